/* SPDX-License-Identifier: Apache-2.0 */
/* Calls about files: the file system "default" is a folder. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "sim/minilepton/control.h"
#include "sim/minilepton/http.h"
#include "sim/minilepton/multipart.h"
#include "sim/minilepton/subtree.h"

#define ENTRIES_MAX 10000

int control_storage_usage(const char *folder, uint64_t *ret_bytes)
{
	int fd = subtree_open(folder), rc;

	if (fd < 0)
		return -1;
	rc = subtree_usage(fd, ret_bytes);
	close(fd);
	return rc;
}

static void answer_errno(struct http_request *request, const char *path)
{
	switch (errno) {
	case ENOENT:
	case ENOTDIR:
		http_error(request, 404, "there is no '%s'", path);
		return;
	case EINVAL:
	case EXDEV:
	case ELOOP:
	case ENAMETOOLONG:
		http_error(request, 400, "'%s' is no path here", path);
		return;
	case EEXIST:
	case ENOTEMPTY:
	case EISDIR:
		http_error(request, 409, "'%s': %s", path, strerror(errno));
		return;
	case ENOSPC:
	case EDQUOT:
		http_error(request, 507, "'%s': %s", path, strerror(errno));
		return;
	default:
		http_error(request, 500, "'%s': %s", path, strerror(errno));
		return;
	}
}

/* The folder behind a file system; -1: it has answered. */
static int open_system(const struct control *control, struct http_request *request,
		       const char *name)
{
	int fd = -1;

	if (control->storage && !strcmp(name, "default"))
		fd = subtree_open(control->storage);
	if (fd < 0)
		http_error(request, 404, "there is no file system '%s'", name);
	return fd;
}

static const char *path_of(const char *const *parts, char path[SUBTREE_PATH_MAX + 2])
{
	size_t length;

	snprintf(path, SUBTREE_PATH_MAX + 2, "%s", parts[1] ? parts[1] : "");
	length = strlen(path);
	if (length > 0 && path[length - 1] == '/')
		path[length - 1] = '\0';
	return path;
}

/* ---- reading ---- */

static cJSON *system_json(const struct control *control)
{
	cJSON *json = cJSON_CreateObject(), *metadata = cJSON_AddObjectToObject(json, "metadata");
	uint64_t bytes = 0;

	cJSON_AddStringToObject(metadata, "id", "default");
	cJSON_AddStringToObject(metadata, "name", "default");
	control_storage_usage(control->storage, &bytes);
	cJSON_AddNumberToObject(cJSON_AddObjectToObject(json, "status"), "total_usage_bytes",
				(double)bytes);
	return json;
}

static void systems(struct control *control, struct http_request *request, const char *const *parts)
{
	cJSON *list = cJSON_CreateArray();

	(void)parts;
	if (control->storage)
		cJSON_AddItemToArray(list, system_json(control));
	http_answer_json(request, 200, list);
}

static void usage(struct control *control, struct http_request *request, const char *const *parts)
{
	(void)parts;
	if (control->storage)
		http_answer_json(request, 200, system_json(control));
	else
		http_error(request, 404, "there is no file system");
}

/* Takes the descriptor. */
static void answer_folder(struct http_request *request, int fd, const char *path)
{
	DIR *dir = fdopendir(fd);
	cJSON *list = cJSON_CreateArray();
	struct dirent *entry;
	int count = 0;

	while (dir && (entry = readdir(dir)) && count < ENTRIES_MAX) {
		struct stat stat;
		cJSON *item;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
		    fstatat(fd, entry->d_name, &stat, AT_SYMLINK_NOFOLLOW))
			continue;
		item = cJSON_CreateObject();
		cJSON_AddStringToObject(item, "type", S_ISDIR(stat.st_mode) ? "dir" : "file");
		cJSON_AddStringToObject(item, "name", entry->d_name);
		cJSON_AddStringToObject(
			item, "path", arena_printf(&request->arena, "%s/%s", path, entry->d_name));
		cJSON_AddItemToArray(list, item);
		count++;
	}
	if (dir)
		closedir(dir);
	else
		close(fd);
	http_answer_json(request, 200, list);
}

static void get(struct control *control, struct http_request *request, const char *const *parts)
{
	char path[SUBTREE_PATH_MAX + 2];
	struct stat stat;
	int system = open_system(control, request, parts[0]), fd;

	if (system < 0)
		return;
	path_of(parts, path);
	fd = subtree_open_at(system, path, O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0 || fstat(fd, &stat)) {
		answer_errno(request, path);
	} else if (S_ISDIR(stat.st_mode)) {
		answer_folder(request, fd, path);
		fd = -1;
	} else if (S_ISREG(stat.st_mode)) {
		http_answer_file(request, 200, "application/octet-stream", fd, 0,
				 (uint64_t)stat.st_size);
		fd = -1;
	} else {
		http_error(request, 400, "'%s' is no file", path);
	}
	if (fd >= 0)
		close(fd);
	close(system);
}

/* ---- writing ---- */

static void answer_done(struct http_request *request, int rc, const char *path)
{
	if (rc == 0)
		http_answer_json(request, 200, cJSON_CreateObject());
	else
		answer_errno(request, path);
}

static void upload(struct control *control, struct http_request *request, const char *const *parts)
{
	char path[SUBTREE_PATH_MAX + 2];
	const char *data;
	size_t size;
	int system = open_system(control, request, parts[0]);

	if (system < 0)
		return;
	path_of(parts, path);
	if (multipart_find(http_header(request, "Content-Type"), request->body, request->body_size,
			   "file", &data, &size))
		http_error(request, 400,
			   "a multipart/form-data body with a part 'file' belongs here");
	else
		answer_done(request, subtree_write(system, path, data, size), path);
	close(system);
}

static void make(struct control *control, struct http_request *request, const char *const *parts)
{
	char path[SUBTREE_PATH_MAX + 2];
	const char *name;
	int system = open_system(control, request, parts[0]), at, rc = -1;

	if (system < 0)
		return;
	path_of(parts, path);
	at = subtree_parent(system, path, true, &name);
	if (at >= 0)
		rc = mkdirat(at, name, 0755) && errno != EEXIST ? -1 : 0;
	answer_done(request, rc, path);
	if (at >= 0)
		close(at);
	close(system);
}

static void drop(struct control *control, struct http_request *request, const char *const *parts)
{
	const char *all = http_query(request, "removeall");
	char path[SUBTREE_PATH_MAX + 2];
	int system = open_system(control, request, parts[0]);

	if (system < 0)
		return;
	path_of(parts, path);
	answer_done(request, subtree_remove(system, path, all && !strcmp(all, "true")), path);
	close(system);
}

const struct control_call control_calls_storage[] = {
	{"GET", "/storage", systems},
	{"GET", "/storage/du", usage},
	{"GET", "/storage/*", get},
	{"GET", "/storage/*/", get},
	{"GET", "/storage/*/**", get},
	{"POST", "/storage/*/**", upload},
	{"PUT", "/storage/*/**", make},
	{"DELETE", "/storage/*/**", drop},
	{NULL, NULL, NULL},
};
