/* SPDX-License-Identifier: Apache-2.0 */
/* Keys are paths below the store's folder; a list is what lies there, sorted. */
#include "sim/minilepton/store_keys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim/minilepton/options.h"
#include "sim/minilepton/subtree.h"

bool store_key_good(const char *key)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/-";

	return key && strlen(key) <= STORE_KEYS_BYTES_MAX && strspn(key, letters) == strlen(key) &&
	       subtree_path_good(key);
}

struct reading {
	struct store_keys *keys;
	const char *prefix, *after, *hidden;
	struct error *e;
};

/* Can anything below the folder `path` begin with the prefix? */
static bool leads_there(const char *path, const char *prefix)
{
	size_t a = strlen(path), b = strlen(prefix);

	return strncmp(path, prefix, a < b ? a : b) == 0;
}

static int note(struct reading *reading, const char *key, const struct stat *stat)
{
	struct store_keys *keys = reading->keys;

	if (strncmp(key, reading->prefix, strlen(reading->prefix)) != 0 ||
	    strcmp(key, reading->after) <= 0)
		return 0;
	if (keys->count == STORE_KEYS_MAX)
		return error_set(reading->e, ERROR_LIMIT, NO_PLACE, "more than %zu objects",
				 STORE_KEYS_MAX);
	keys->items = arena_grow(keys->arena, keys->items, keys->count, &keys->capacity,
				 sizeof(*keys->items));
	keys->items[keys->count++] = (struct store_key){
		.key = arena_strdup(keys->arena, key),
		.bytes = (uint64_t)stat->st_size,
		.modified_ms =
			(int64_t)stat->st_mtim.tv_sec * 1000 + stat->st_mtim.tv_nsec / 1000000,
	};
	return 0;
}

static int walk(struct reading *reading, int parent, const char *name, const char *path,
		uint32_t depth);

static int entry(struct reading *reading, int at, const char *path, const char *name,
		 uint32_t depth)
{
	struct stat stat;
	char *key;

	if (!strcmp(name, ".") || !strcmp(name, "..") ||
	    (depth == 0 && !strncmp(name, reading->hidden, strlen(reading->hidden))))
		return 0;
	if (fstatat(at, name, &stat, AT_SYMLINK_NOFOLLOW))
		return 0; /* removed since it was read */
	key = arena_printf(reading->keys->arena, "%s%s%s", path, name,
			   S_ISDIR(stat.st_mode) ? "/" : "");
	if (S_ISREG(stat.st_mode))
		return note(reading, key, &stat);
	if (!S_ISDIR(stat.st_mode) || !leads_there(key, reading->prefix))
		return 0;
	return walk(reading, at, name, key, depth + 1);
}

static int walk(struct reading *reading, int parent, const char *name, const char *path,
		uint32_t depth)
{
	int at = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), rc = 0;
	DIR *dir = at < 0 ? NULL : fdopendir(at);
	struct dirent *found;

	if (!dir) {
		if (at >= 0)
			close(at);
		return errno == ENOENT ? 0
				       : error_set(reading->e, ERROR_IO, NO_PLACE, "%s: %s", path,
						   strerror(errno));
	}
	if (depth > SUBTREE_DEPTH_MAX)
		rc = error_set(reading->e, ERROR_LIMIT, NO_PLACE, "%s: too deep", path);
	while (rc == 0 && (found = readdir(dir)))
		rc = entry(reading, at, path, found->d_name, depth);
	closedir(dir);
	return rc;
}

static int compare(const void *a, const void *b)
{
	const struct store_key *left = a, *right = b;

	return strcmp(left->key, right->key);
}

int store_keys_read(struct store_keys *keys, int dir, const char *prefix, const char *after,
		    const char *hidden, struct error *e)
{
	struct reading reading = {
		.keys = keys, .prefix = prefix, .after = after, .hidden = hidden, .e = e};

	if (walk(&reading, dir, ".", "", 0))
		return -1;
	if (keys->count > 0)
		qsort(keys->items, keys->count, sizeof(*keys->items), compare);
	return 0;
}

int store_keys_sweep(int dir, const char *hidden, struct error *e)
{
	int at = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = at < 0 ? NULL : fdopendir(at);
	struct dirent *found;

	if (!folder) {
		if (at >= 0)
			close(at);
		return error_set(e, ERROR_IO, NO_PLACE, "the store's folder: %s", strerror(errno));
	}
	while ((found = readdir(folder)))
		if (!strncmp(found->d_name, hidden, strlen(hidden)))
			unlinkat(at, found->d_name, 0);
	closedir(folder);
	return 0;
}

int store_range(const char *text, uint64_t size, uint64_t *ret_from, uint64_t *ret_count)
{
	const char *from, *to;
	uint64_t first = 0, last = size ? size - 1 : 0, tail;

	if (strncmp(text, "bytes=", 6) != 0 || size == 0)
		return -1;
	from = text + 6;
	to = strchr(from, '-');
	if (!to)
		return -1;
	if (to == from) {
		if (options_number(to + 1, strlen(to + 1), UINT64_MAX, &tail) || tail == 0)
			return -1;
		first = tail < size ? size - tail : 0;
	} else if (options_number(from, (size_t)(to - from), UINT64_MAX, &first)) {
		return -1;
	}
	if (to != from && to[1] && options_number(to + 1, strlen(to + 1), UINT64_MAX, &last))
		return -1;
	if (last >= size)
		last = size - 1;
	if (first > last)
		return -1;
	*ret_from = first;
	*ret_count = last - first + 1;
	return 0;
}
