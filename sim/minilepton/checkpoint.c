/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests: what a checkpoint consists of, as text, and the folders that have one. */
#include "sim/minilepton/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "core/yaml.h"
#include "sim/minilepton/http.h"
#include "sim/minilepton/options.h"
#include "sim/minilepton/subtree.h"

#define SCHEMA "drsim/checkpoint/v1"
#define EXACT_MAX ((uint64_t)1 << 53) /* of a JSON number */
#define PREFIX "ckpt-"
#define PATH_MAX_HERE 600

/* ---- text ---- */

static void hex_print(const unsigned char *bytes, char *text)
{
	for (size_t i = 0; i < CHECKPOINT_DIGEST; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

static int hex_parse(const char *text, unsigned char *bytes)
{
	static const char digits[] = "0123456789abcdef";

	if (strlen(text) != (size_t)2 * CHECKPOINT_DIGEST)
		return -1;
	for (size_t i = 0; i < CHECKPOINT_DIGEST; i++) {
		const char *high = strchr(digits, text[2 * i]);
		const char *low = strchr(digits, text[2 * i + 1]);

		if (!high || !low)
			return -1;
		bytes[i] = (unsigned char)((high - digits) << 4 | (low - digits));
	}
	return 0;
}

char *checkpoint_print(const struct checkpoint_manifest *manifest)
{
	cJSON *json = cJSON_CreateObject(), *shards;
	char digest[2 * CHECKPOINT_DIGEST + 1], *text;

	cJSON_AddStringToObject(json, "schema", SCHEMA);
	cJSON_AddStringToObject(json, "job", manifest->job);
	cJSON_AddNumberToObject(json, "step", (double)manifest->step);
	cJSON_AddNumberToObject(json, "progress_ns", (double)manifest->progress);
	cJSON_AddNumberToObject(json, "ranks", manifest->ranks);
	shards = cJSON_AddArrayToObject(json, "shards");
	for (uint32_t r = 0; r < manifest->ranks; r++) {
		cJSON *shard = cJSON_CreateObject();

		hex_print(manifest->shards[r].digest, digest);
		cJSON_AddNumberToObject(shard, "bytes", (double)manifest->shards[r].bytes);
		cJSON_AddStringToObject(shard, "sha256", digest);
		cJSON_AddItemToArray(shards, shard);
	}
	text = cJSON_Print(json);
	cJSON_Delete(json);
	return text;
}

static int parse_shards(const cJSON *list, struct checkpoint_manifest *manifest, struct error *e)
{
	const cJSON *item;
	uint32_t r = 0;

	cJSON_ArrayForEach (item, list) {
		struct checkpoint_shard *shard = &manifest->shards[r++];
		const char *digest;

		if (http_json_number(item, "bytes", CHECKPOINT_HEAD, EXACT_MAX, &shard->bytes, e) ||
		    http_json_text(item, "sha256", 2 * CHECKPOINT_DIGEST, &digest, e))
			return -1;
		if (hex_parse(digest, shard->digest))
			return error_set(e, ERROR_USAGE, NO_PLACE, "'sha256' has 64 digits");
	}
	return 0;
}

static int parse(const cJSON *json, struct arena *arena, struct checkpoint_manifest *ret,
		 struct error *e)
{
	struct checkpoint_manifest manifest = {.step = 0};
	const char *schema, *job;
	const cJSON *shards;
	uint64_t progress, ranks;

	if (http_json_text(json, "schema", 64, &schema, e) ||
	    http_json_text(json, "job", CHECKPOINT_JOB_MAX - 1, &job, e) ||
	    http_json_number(json, "step", 0, CHECKPOINT_STEP_MAX, &manifest.step, e) ||
	    http_json_number(json, "progress_ns", 0, EXACT_MAX, &progress, e) ||
	    http_json_number(json, "ranks", 1, CHECKPOINT_RANKS_MAX, &ranks, e) ||
	    http_json_array(json, "shards", CHECKPOINT_RANKS_MAX, &shards, e))
		return -1;
	if (strcmp(schema, SCHEMA) != 0 || (uint64_t)cJSON_GetArraySize(shards) != ranks)
		return error_set(e, ERROR_USAGE, NO_PLACE,
				 "it is no " SCHEMA " with a shard of every rank");
	snprintf(manifest.job, sizeof(manifest.job), "%s", job);
	manifest.progress = (nanos)progress;
	manifest.ranks = (uint32_t)ranks;
	manifest.shards = arena_array(arena, manifest.ranks, sizeof(*manifest.shards));
	if (parse_shards(shards, &manifest, e))
		return -1;
	*ret = manifest;
	return 0;
}

int checkpoint_parse(const char *text, size_t size, struct arena *arena,
		     struct checkpoint_manifest *ret, struct error *e)
{
	cJSON *json = size <= CHECKPOINT_MANIFEST_MAX ? http_json_parse(text, size) : NULL;
	int rc;

	if (!json)
		return error_set(e, ERROR_USAGE, NO_PLACE, "the manifest is no JSON object");
	rc = parse(json, arena, ret, e);
	cJSON_Delete(json);
	return rc;
}

/* ---- files ---- */

static void manifest_path(uint64_t step, char path[PATH_MAX_HERE])
{
	snprintf(path, PATH_MAX_HERE, PREFIX "%012" PRIu64 "/manifest.json", step);
}

int checkpoint_write(const char *dir, const struct checkpoint_manifest *manifest, struct error *e)
{
	char path[PATH_MAX_HERE], *text = checkpoint_print(manifest);
	int folder = subtree_open(dir), rc;

	manifest_path(manifest->step, path);
	if (folder < 0 || !text)
		rc = -1;
	else
		rc = subtree_write(folder, path, text, strlen(text));
	if (rc)
		error_set(e, ERROR_IO, NO_PLACE, "%s/%s: %s", dir, path, strerror(errno));
	if (folder >= 0)
		close(folder);
	cJSON_free(text);
	return rc;
}

int checkpoint_read(const char *dir, uint64_t step, struct arena *arena,
		    struct checkpoint_manifest *ret, struct error *e)
{
	char name[PATH_MAX_HERE], *path, *text;
	struct checkpoint_manifest manifest = {.step = 0};
	size_t size;

	manifest_path(step, name);
	path = arena_printf(arena, "%s/%s", dir, name);
	if (yaml_read_file(path, CHECKPOINT_MANIFEST_MAX, arena, &text, &size, e) ||
	    checkpoint_parse(text, size, arena, &manifest, e))
		return -1;
	if (manifest.step != step)
		return error_set(e, ERROR_USAGE, NO_PLACE, "%s is of step %" PRIu64, path,
				 manifest.step);
	*ret = manifest;
	return 0;
}

/* ---- the folders ---- */

/* The step of "ckpt-000000000042"; false: another name. */
static bool name_step(const char *name, uint64_t *ret_step)
{
	size_t length = strlen(PREFIX);

	return strncmp(name, PREFIX, length) == 0 && strlen(name) == length + 12 &&
	       options_number(name + length, 12, CHECKPOINT_STEP_MAX, ret_step) == 0;
}

static int descending(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? 1 : left > right ? -1 : 0;
}

/* All steps that have a folder, with or without a manifest. */
static int all_steps(const char *dir, bool whole, struct arena *arena, uint64_t **ret_steps,
		     size_t *ret_count, struct error *e)
{
	uint64_t *steps = arena_array(arena, CHECKPOINT_COUNT_MAX, sizeof(*steps)), step;
	char path[PATH_MAX_HERE];
	DIR *folder = opendir(dir);
	struct dirent *entry;
	size_t count = 0;

	if (!folder)
		return error_set(e, ERROR_IO, NO_PLACE, "%s: %s", dir, strerror(errno));
	while ((entry = readdir(folder)) && count < CHECKPOINT_COUNT_MAX) {
		if (!name_step(entry->d_name, &step))
			continue;
		manifest_path(step, path);
		if (!whole || faccessat(dirfd(folder), path, R_OK, 0) == 0)
			steps[count++] = step;
	}
	closedir(folder);
	if (count > 0)
		qsort(steps, count, sizeof(*steps), descending);
	*ret_steps = steps;
	*ret_count = count;
	return 0;
}

int checkpoint_list(const char *dir, struct arena *arena, uint64_t **ret_steps, size_t *ret_count,
		    struct error *e)
{
	return all_steps(dir, true, arena, ret_steps, ret_count, e);
}

/* Is it one of the newest `keep` with a manifest, up to `newest`? */
static bool kept(const uint64_t *whole, size_t count, size_t keep, uint64_t newest, uint64_t step)
{
	size_t seen = 0;

	for (size_t i = 0; i < count && seen < keep; i++) {
		if (whole[i] > newest)
			continue;
		if (whole[i] == step)
			return true;
		seen++;
	}
	return false;
}

int checkpoint_prune(const char *dir, size_t keep, uint64_t newest, struct error *e)
{
	uint64_t *whole = NULL, *all = NULL;
	size_t whole_count = 0, all_count = 0;
	struct arena arena = {0};
	int folder = subtree_open(dir), rc = -1;
	char name[32];

	if (folder < 0)
		error_set(e, ERROR_IO, NO_PLACE, "%s: %s", dir, strerror(errno));
	if (folder < 0 || all_steps(dir, true, &arena, &whole, &whole_count, e) ||
	    all_steps(dir, false, &arena, &all, &all_count, e))
		goto out;
	for (size_t i = 0; i < all_count; i++) {
		if (kept(whole, whole_count, keep, newest, all[i]))
			continue;
		snprintf(name, sizeof(name), PREFIX "%012" PRIu64, all[i]);
		if (subtree_remove(folder, name, true)) {
			error_set(e, ERROR_IO, NO_PLACE, "%s/%s: %s", dir, name, strerror(errno));
			goto out;
		}
	}
	rc = 0;
out:
	if (folder >= 0)
		close(folder);
	arena_free(&arena);
	return rc;
}
