/* SPDX-License-Identifier: Apache-2.0 */
/* The files of training jobs: the note of the last step, and checkpoints, read as anybody could
 * read them who has the folder and the page that describes it. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cjson/cJSON.h>

#include "drivers/host/undo.h"
#include "drivers/process/training.h"

#define MANIFEST_MAX ((size_t)1 << 20)
#define STEP_DIGITS 12

/* ---- instants ---- */

static int64_t clock_of(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now); /* style: allow */
	return (int64_t)now.tv_sec * NANOS_S + now.tv_nsec;
}

/* Files know the wall clock only. */
nanos saves_instant(const struct real *real, int64_t written)
{
	int64_t behind = clock_of(CLOCK_REALTIME) - clock_of(CLOCK_MONOTONIC);

	return written - behind - real->start;
}

static int64_t modified(const struct stat *status)
{
	return (int64_t)status->st_mtim.tv_sec * NANOS_S + status->st_mtim.tv_nsec;
}

static bool read_number(const char *text, size_t digits, uint64_t *ret)
{
	*ret = 0;
	for (size_t i = 0; i < digits; i++) {
		if (text[i] < '0' || text[i] > '9' || *ret > UINT64_MAX / 100)
			return false;
		*ret = *ret * 10 + (uint64_t)(text[i] - '0');
	}
	return true;
}

bool saves_last_step(struct real *real, uint32_t job, uint64_t *ret_step, nanos *ret_at)
{
	char path[JOB_PATH_MAX], text[20];
	struct stat status;

	snprintf(path, sizeof(path), "%s/last-step", training_folder(real, job));
	FILE *file = fopen(path, "re");
	if (!file)
		return false;
	bool good = fstat(fileno(file), &status) == 0 && fread(text, 1, 20, file) == 20 &&
		    read_number(text, 20, ret_step);
	fclose(file);
	if (good)
		*ret_at = saves_instant(real, modified(&status));
	return good;
}

/* ---- what is there ---- */

size_t saves_find(const struct real *real, uint32_t job, struct save_found found[SAVES_FOUND_MAX])
{
	const char *folder = training_folder(real, job), *prefix = "ckpt-";
	DIR *list = opendir(folder);
	struct dirent *entry;
	size_t count = 0;

	while (list && count < SAVES_FOUND_MAX && (entry = readdir(list))) {
		char path[JOB_PATH_MAX + 300];
		struct stat status;
		struct save_found *save = &found[count];
		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0 ||
		    strlen(entry->d_name) != strlen(prefix) + STEP_DIGITS ||
		    !read_number(entry->d_name + strlen(prefix), STEP_DIGITS, &save->step))
			continue;
		snprintf(path, sizeof(path), "%s/%s/manifest.json", folder, entry->d_name);
		save->whole = stat(path, &status) == 0;
		if (!save->whole) {
			snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
			if (stat(path, &status))
				continue; /* it has just been removed */
		}
		save->inode = (uint64_t)status.st_ino;
		save->written = modified(&status);
		count++;
	}
	if (list)
		closedir(list);
	return count;
}

static void save_path(const struct real *real, uint32_t job, const struct save *save,
		      const char *name, char path[JOB_PATH_MAX])
{
	snprintf(path, JOB_PATH_MAX, "%s/ckpt-%012llu/%s", training_folder(real, job),
		 (unsigned long long)save->step, name);
}

bool saves_there(const struct real *real, uint32_t job, int32_t id)
{
	size_t count;
	const struct save *saves = training_saves(real, job, &count);
	char path[JOB_PATH_MAX];
	struct stat status;

	if (id < 0 || (size_t)id >= count)
		return false;
	save_path(real, job, &saves[id], "manifest.json", path);
	return stat(path, &status) == 0 && (uint64_t)status.st_ino == saves[id].inode &&
	       modified(&status) == saves[id].written;
}

int32_t saves_by_index(const struct real *real, uint32_t job, int32_t index)
{
	size_t count;

	training_saves(real, job, &count);
	if (index < 0)
		index += (int32_t)count;
	return saves_there(real, job, index) ? index : -1;
}

const char *saves_shard(const struct real *real, uint32_t job, int32_t id, uint32_t rank,
			char path[JOB_PATH_MAX])
{
	char name[32];
	size_t count;

	snprintf(name, sizeof(name), "shard-%05u.bin", rank);
	save_path(real, job, &training_saves(real, job, &count)[id], name, path);
	return path;
}

/* ---- is it whole? ---- */

static cJSON *read_manifest(const char *path)
{
	char *text = malloc(MANIFEST_MAX);
	FILE *file = fopen(path, "re");
	cJSON *json = NULL;

	if (text && file)
		json = cJSON_ParseWithLength(text, fread(text, 1, MANIFEST_MAX, file));
	if (file)
		fclose(file);
	free(text);
	return json;
}

void saves_look(const struct real *real, uint32_t job, int32_t id, struct save_look *ret)
{
	char path[JOB_PATH_MAX], digest[JOURNAL_DIGEST_MAX];
	const cJSON *shard;
	uint32_t rank = 0;
	size_t count;

	*ret = (struct save_look){.shards = 0};
	save_path(real, job, &training_saves(real, job, &count)[id], "manifest.json", path);
	cJSON *manifest = read_manifest(path);
	cJSON_ArrayForEach (shard, cJSON_GetObjectItemCaseSensitive(manifest, "shards")) {
		struct error error = {.kind = ERROR_NONE};
		uint64_t bytes = 0;
		saves_shard(real, job, id, rank++, path);
		if (undo_digest(path, digest, &bytes, &error))
			continue;
		ret->shards++;
		ret->bytes += bytes;
		ret->mismatches += strcmp(digest, observe_text(shard, "sha256")) != 0;
		ret->torn += (double)bytes < observe_number(shard, "bytes");
	}
	cJSON_Delete(manifest);
}
