/* SPDX-License-Identifier: Apache-2.0 */
/* A run folder appears under its name whole, or not at all: it is made beside it and renamed. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/commands.h"

#define OPEN_FILES_MAX 16 /* while a folder is removed */

static int fail(struct error *e, const char *what, const char *path)
{
	return error_set(e, ERROR_IO, NO_PLACE, "cannot %s %s: %s", what, path, strerror(errno));
}

/* Make the folders above `path`; remembers the highest that was not there. */
static int make_parents(struct run_folder *folder, struct error *e)
{
	char *path = folder->path;

	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		int rc;

		*slash = '\0';
		rc = mkdir(path, 0777);
		if (rc == 0 && folder->made == 0)
			folder->made = (size_t)(slash - path);
		if (rc && errno != EEXIST)
			fail(e, "make the folder", path);
		*slash = '/';
		if (rc && errno != EEXIST)
			return -1;
	}
	return 0;
}

/* Remove the parents that were made, as far as nobody else uses them. */
static void remove_parents(struct run_folder *folder)
{
	char path[FOLDER_PATH_MAX];

	if (folder->made == 0)
		return;
	memcpy(path, folder->path, sizeof(path));
	for (char *slash = strrchr(path, '/'); slash && (size_t)(slash - path) >= folder->made;
	     slash = strrchr(path, '/')) {
		*slash = '\0';
		if (rmdir(path))
			return;
	}
}

int folder_open(struct run_folder *folder, const char *path, struct error *e)
{
	size_t length = strlen(path);
	struct stat status;

	*folder = (struct run_folder){0};
	while (length > 1 && path[length - 1] == '/')
		length--;
	if (length == 0)
		return error_set(e, ERROR_USAGE, NO_PLACE, "the name of the run folder is empty");
	if (length >= sizeof(folder->path))
		return error_set(e, ERROR_USAGE, NO_PLACE,
				 "the name of the run folder is longer than %d bytes",
				 FOLDER_PATH_MAX - 1);
	memcpy(folder->path, path, length);
	if (lstat(folder->path, &status) == 0)
		return error_set(e, ERROR_USAGE, NO_PLACE,
				 "%s exists already: a run is never written over another",
				 folder->path);
	if (errno != ENOENT)
		return fail(e, "make the folder", folder->path);
	snprintf(folder->temporary, sizeof(folder->temporary), "%s.tmp-%ld", folder->path,
		 (long)getpid());
	if (make_parents(folder, e) ||
	    (mkdir(folder->temporary, 0777) && fail(e, "make the folder", folder->temporary))) {
		remove_parents(folder);
		return -1;
	}
	return 0;
}

const char *folder_file(const struct run_folder *folder, const char *name, struct arena *arena)
{
	return arena_printf(arena, "%s/%s", folder->temporary, name);
}

int folder_write(const struct run_folder *folder, const char *name, const char *text, size_t size,
		 struct arena *arena, struct error *e)
{
	const char *path = folder_file(folder, name, arena);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	if (fd < 0)
		return fail(e, "create", path);
	while (size > 0) {
		ssize_t wrote = write(fd, text, size);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0) {
			fail(e, "write", path);
			close(fd);
			return -1;
		}
		text += wrote;
		size -= (size_t)wrote;
	}
	if (fsync(fd)) {
		fail(e, "write", path);
		close(fd);
		return -1;
	}
	return close(fd) ? fail(e, "write", path) : 0;
}

static int sync_folder(const char *path, struct error *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return fail(e, "open", path);
	rc = fsync(fd);
	/* A file system that cannot sync a folder says EINVAL; there is nothing more to do then. */
	if (rc && errno != EINVAL)
		fail(e, "write", path);
	else
		rc = 0;
	close(fd);
	return rc;
}

int folder_commit(struct run_folder *folder, struct error *e)
{
	char parent[FOLDER_PATH_MAX];
	struct stat status;
	int rc;

	if (sync_folder(folder->temporary, e))
		return -1;
	rc = renameat2(AT_FDCWD, folder->temporary, AT_FDCWD, folder->path, RENAME_NOREPLACE);
	if (rc && (errno == EINVAL || errno == ENOSYS)) {
		/* This file system cannot refuse to replace: look first. */
		errno = EEXIST;
		if (lstat(folder->path, &status))
			rc = rename(folder->temporary, folder->path);
	}
	if (rc)
		return fail(e, "rename the run folder to", folder->path);
	memcpy(parent, folder->path, sizeof(parent));
	return sync_folder(dirname(parent), e);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *at)
{
	(void)status;
	(void)type;
	(void)at;
	remove(path); /* what cannot be removed is left; the rest still goes */
	return 0;
}

void folder_discard(struct run_folder *folder)
{
	assert(folder->temporary[0] != '\0');
	nftw(folder->temporary, remove_entry, OPEN_FILES_MAX, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	remove_parents(folder);
}
