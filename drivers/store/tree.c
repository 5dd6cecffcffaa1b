/* SPDX-License-Identifier: Apache-2.0 */
/* Folders: what is in one, in the order of a manifest, and how one goes away. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/store/store_private.h"

#define DEPTH_MAX 512
#define LINK_MAX 4096

struct walk {
	struct arena *arena;
	struct tree *tree;
	const char *name; /* of the folder that is read, for messages */
	struct error *e;
};

static int failed(struct walk *walk, const char *what, const char *path)
{
	return error_set(walk->e, ERROR_IO, NO_PLACE, "cannot %s %s/%s: %s", what, walk->name, path,
			 strerror(errno));
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names in an open folder, sorted; the folder stays open. */
static int read_names(struct walk *walk, int fd, const char *path, struct arena *arena,
		      const char ***ret_names, size_t *ret_count)
{
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *listing = again >= 0 ? fdopendir(again) : NULL;
	const struct dirent *item;
	const char **names = NULL;
	size_t count = 0, capacity = 0;
	int rc = 0;

	if (!listing) {
		failed(walk, "list", path);
		if (again >= 0)
			close(again);
		return -1;
	}
	while (errno = 0, item = readdir(listing)) {
		if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0)
			continue;
		if (count >= STORE_ENTRIES_MAX) {
			rc = error_set(walk->e, ERROR_LIMIT, NO_PLACE,
				       "%s/%s has more than %zu entries", walk->name, path,
				       STORE_ENTRIES_MAX);
			break;
		}
		names = arena_grow(arena, names, count, &capacity, sizeof(*names));
		names[count++] = arena_strdup(arena, item->d_name);
	}
	if (rc == 0 && errno != 0)
		rc = failed(walk, "list", path);
	closedir(listing);
	if (count > 0)
		qsort(names, count, sizeof(*names), compare_names);
	*ret_names = names;
	*ret_count = count;
	return rc;
}

static int add(struct walk *walk, const struct entry *entry)
{
	struct tree *tree = walk->tree;

	if (tree->count >= STORE_ENTRIES_MAX)
		return error_set(walk->e, ERROR_LIMIT, NO_PLACE, "%s has more than %zu entries",
				 walk->name, STORE_ENTRIES_MAX);
	tree->entries = arena_grow(walk->arena, tree->entries, tree->count, &tree->capacity,
				   sizeof(*tree->entries));
	tree->entries[tree->count++] = *entry;
	return 0;
}

static struct entry describe(const struct stat *status, const char *path)
{
	return (struct entry){
		.type = S_ISDIR(status->st_mode)   ? ENTRY_FOLDER
			: S_ISLNK(status->st_mode) ? ENTRY_LINK
						   : ENTRY_FILE,
		.path = path,
		.mode = status->st_mode & 07777,
		.uid = status->st_uid,
		.gid = status->st_gid,
		.mtime_s = status->st_mtim.tv_sec,
		.mtime_ns = (uint32_t)status->st_mtim.tv_nsec,
	};
}

static int read_target(struct walk *walk, int fd, const char *name, struct entry *entry)
{
	char target[LINK_MAX + 1];
	ssize_t length = readlinkat(fd, name, target, sizeof(target));

	if (length < 0)
		return failed(walk, "read the link", entry->path);
	if (length == 0 || length > LINK_MAX)
		return error_set(walk->e, ERROR_LIMIT, NO_PLACE,
				 "the link %s/%s is longer than %d bytes", walk->name, entry->path,
				 LINK_MAX);
	entry->target = arena_strndup(walk->arena, target, (size_t)length);
	return 0;
}

static int read_folder(struct walk *walk, int fd, const char *path, size_t depth);

/* One name in the open folder `fd`. */
static int read_one(struct walk *walk, int fd, const char *name, const char *path, size_t depth)
{
	struct stat status;
	struct entry entry;
	int below, rc;

	if (fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW)) {
		if (errno == ENOENT)
			return 0; /* it went away in this instant: as if it had before */
		return failed(walk, "look at", path);
	}
	if (strlen(path) >= STORE_PATH_MAX)
		return error_set(walk->e, ERROR_LIMIT, NO_PLACE,
				 "a path below %s is longer than %d bytes: %.64s...", walk->name,
				 STORE_PATH_MAX - 1, path);
	if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode) && !S_ISLNK(status.st_mode)) {
		walk->tree->skipped++;
		return 0;
	}
	entry = describe(&status, path);
	switch (entry.type) {
	case ENTRY_FILE:
		entry.size = (uint64_t)status.st_size;
		walk->tree->bytes += entry.size;
		return add(walk, &entry);
	case ENTRY_LINK:
		return read_target(walk, fd, name, &entry) || add(walk, &entry) ? -1 : 0;
	case ENTRY_FOLDER:
		break;
	}
	below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (below < 0)
		return errno == ENOENT ? 0 : failed(walk, "open", path);
	rc = add(walk, &entry) || read_folder(walk, below, path, depth + 1);
	close(below);
	return rc ? -1 : 0;
}

static int read_folder(struct walk *walk, int fd, const char *path, size_t depth)
{
	struct arena scratch = {0};
	const char **names;
	size_t count;
	int rc;

	if (depth > DEPTH_MAX)
		return error_set(walk->e, ERROR_LIMIT, NO_PLACE,
				 "folders are nested deeper than %d below %s", DEPTH_MAX,
				 walk->name);
	rc = read_names(walk, fd, path, &scratch, &names, &count);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		const char *below = *path ? arena_printf(walk->arena, "%s/%s", path, names[i])
					  : arena_strdup(walk->arena, names[i]);

		rc = read_one(walk, fd, names[i], below, depth);
	}
	arena_free(&scratch);
	return rc;
}

int tree_read(int fd, const char *name, struct arena *arena, struct tree *ret, struct error *e)
{
	struct walk walk = {.arena = arena, .tree = ret, .name = name, .e = e};
	struct stat status;
	struct entry entry;

	*ret = (struct tree){0};
	if (fstat(fd, &status))
		return failed(&walk, "look at", "");
	entry = describe(&status, "");
	return add(&walk, &entry) || read_folder(&walk, fd, "", 0) ? -1 : 0;
}

int tree_remove(int fd, const char *name, struct error *e)
{
	struct walk walk = {.name = name, .e = e};
	struct arena scratch = {0};
	const char **names;
	size_t count;
	int below, rc;

	if (unlinkat(fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return failed(&walk, "remove", "");
	below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (below < 0)
		return failed(&walk, "open", "");
	fchmod(below, 0700);
	rc = read_names(&walk, below, "", &scratch, &names, &count);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = tree_remove(below, names[i], e);
	close(below);
	arena_free(&scratch);
	if (rc == 0 && unlinkat(fd, name, AT_REMOVEDIR) && errno != ENOENT)
		rc = failed(&walk, "remove", "");
	return rc;
}
