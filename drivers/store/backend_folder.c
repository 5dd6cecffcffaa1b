/* SPDX-License-Identifier: Apache-2.0 */
/* A store in a folder: an object is a file, written under tmp/, made durable, and renamed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/store/backend.h"
#include "drivers/store/format.h"

#define TEMPORARY "tmp"
#define WRITE_LOCK "lock.write"
#define READ_LOCK "lock.read"

static const char *const folders[] = {"packs", "backups", TEMPORARY};
#define FOLDERS (sizeof(folders) / sizeof(folders[0]))

struct folder {
	char *path;
	int fd;
	int folder_fds[FOLDERS];
	int write_lock, read_lock; /* -1: not held */
	atomic_uint next;          /* names of temporary files */
};

static int failed(struct error *e, const char *what, const struct folder *folder, const char *key)
{
	if (errno == ENOSPC || errno == EDQUOT)
		return error_set(e, ERROR_IO, NO_PLACE, "cannot %s %s/%s: the disk is full", what,
				 folder->path, key);
	/* A sector that cannot be read is as good as an object that is gone. */
	return error_set(e, errno == ENOENT || errno == EIO ? ERROR_TARGET : ERROR_IO, NO_PLACE,
			 "cannot %s %s/%s: %s", what, folder->path, key, strerror(errno));
}

static void folder_close(void *self)
{
	struct folder *folder = self;

	if (folder->write_lock >= 0)
		close(folder->write_lock);
	if (folder->read_lock >= 0)
		close(folder->read_lock);
	for (size_t i = 0; i < FOLDERS; i++)
		if (folder->folder_fds[i] >= 0)
			close(folder->folder_fds[i]);
	if (folder->fd >= 0)
		close(folder->fd);
	free(folder->path);
	free(folder);
}

/* The folders below; those that are missing are made, by who may write. */
static int open_folders(struct folder *folder, struct error *e)
{
	for (size_t i = 0; i < FOLDERS; i++) {
		int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
		int fd = openat(folder->fd, folders[i], flags);

		if (fd < 0 && errno == ENOENT &&
		    (mkdirat(folder->fd, folders[i], 0777) == 0 || errno == EEXIST)) {
			fsync(folder->fd);
			fd = openat(folder->fd, folders[i], flags);
		}
		if (fd < 0)
			return failed(e, "open", folder, folders[i]);
		folder->folder_fds[i] = fd;
	}
	return 0;
}

/* Only what a store has, or nothing: a folder with other things does not become one by mistake. */
static bool is_pure(int fd, bool *ret_empty)
{
	static const char *const known[] = {".",        "..",    KEY_HEADER, KEY_INDEX, READ_LOCK,
					    WRITE_LOCK, "packs", "backups",  TEMPORARY};
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *listing = again >= 0 ? fdopendir(again) : NULL;
	const struct dirent *item;
	bool pure = true;

	*ret_empty = true;
	if (!listing)
		return false;
	while (pure && (item = readdir(listing))) {
		size_t i = 0;

		while (i < sizeof(known) / sizeof(known[0]) && strcmp(item->d_name, known[i]) != 0)
			i++;
		pure = i < sizeof(known) / sizeof(known[0]);
		*ret_empty = *ret_empty && i < 2;
	}
	closedir(listing);
	return pure;
}

/* A killed writer may have left one without a header; a lost header does not hide the backups. */
static bool looks_like_store(int fd, bool create)
{
	struct stat status;
	bool empty;

	if (fstatat(fd, KEY_HEADER, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode) &&
	    status.st_size == HEADER_BYTES)
		return true;
	return is_pure(fd, &empty) && (create || !empty);
}

static int open_root(struct folder *folder, bool create, struct error *e)
{
	int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

	folder->fd = open(folder->path, flags);
	if (folder->fd < 0 && errno == ENOENT && create) {
		if (mkdir(folder->path, 0777) && errno != EEXIST)
			return error_set(e, errno == ENOENT ? ERROR_USAGE : ERROR_IO, NO_PLACE,
					 "cannot make %s: %s", folder->path, strerror(errno));
		folder->fd = open(folder->path, flags);
	}
	if (folder->fd < 0)
		return error_set(e, errno == ENOENT || errno == ENOTDIR ? ERROR_USAGE : ERROR_IO,
				 NO_PLACE, "no store at %s: %s", folder->path, strerror(errno));
	if (!looks_like_store(folder->fd, create))
		return error_set(e, ERROR_USAGE, NO_PLACE,
				 create ? "%s is no store, and not empty" : "%s is no store",
				 folder->path);
	return 0;
}

static int folder_open_backend(const char *where, const struct store_options *options,
			       void **ret_self, struct error *e)
{
	struct folder *folder = calloc(1, sizeof(*folder));

	if (!folder)
		return error_set(e, ERROR_MEMORY, NO_PLACE, "no memory");
	folder->fd = folder->write_lock = folder->read_lock = -1;
	for (size_t i = 0; i < FOLDERS; i++)
		folder->folder_fds[i] = -1;
	folder->path = strdup(where);
	if (!folder->path || open_root(folder, options->create, e) || open_folders(folder, e)) {
		folder_close(folder);
		return -1;
	}
	*ret_self = folder;
	return 0;
}

/* ---- objects ---- */

static int write_all(int fd, const uint8_t *data, size_t bytes)
{
	while (bytes > 0) {
		ssize_t wrote = write(fd, data, bytes);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0) {
			errno = wrote == 0 ? ENOSPC : errno;
			return -1;
		}
		data += wrote;
		bytes -= (size_t)wrote;
	}
	return 0;
}

static int folder_put(void *self, const char *key, const void *data, size_t bytes, struct error *e)
{
	struct folder *folder = self;
	char temporary[64];
	int fd, rc = -1;

	snprintf(temporary, sizeof(temporary), TEMPORARY "/%ld-%u", (long)getpid(),
		 atomic_fetch_add(&folder->next, 1));
	fd = openat(folder->fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		    0666);
	if (fd < 0)
		return failed(e, "make", folder, temporary);
	if (write_all(fd, data, bytes) || fsync(fd)) {
		failed(e, "write", folder, key);
		close(fd);
		goto out;
	}
	if (close(fd)) {
		failed(e, "write", folder, key);
		goto out;
	}
	/* The bytes are on the disk before the name is. */
	if (renameat(folder->fd, temporary, folder->fd, key)) {
		failed(e, "write", folder, key);
		goto out;
	}
	rc = 0;
out:
	if (rc)
		unlinkat(folder->fd, temporary, 0);
	return rc;
}

/* Names are on the disk when their folders are. */
static int folder_flush(void *self, struct error *e)
{
	struct folder *folder = self;

	for (size_t i = 0; i < FOLDERS; i++)
		if (strcmp(folders[i], TEMPORARY) != 0 && fsync(folder->folder_fds[i]))
			return failed(e, "write", folder, folders[i]);
	return fsync(folder->fd) ? failed(e, "write", folder, "") : 0;
}

static int folder_get(void *self, const char *key, uint64_t offset, void *buffer, size_t bytes,
		      size_t *ret_got, struct error *e)
{
	struct folder *folder = self;
	int fd = openat(folder->fd, key, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	size_t got = 0;

	if (fd < 0)
		return failed(e, "open", folder, key);
	while (got < bytes) {
		ssize_t more =
			pread(fd, (uint8_t *)buffer + got, bytes - got, (off_t)(offset + got));

		if (more < 0 && errno == EINTR)
			continue;
		if (more < 0) {
			failed(e, "read", folder, key);
			close(fd);
			return -1;
		}
		if (more == 0)
			break;
		got += (size_t)more;
	}
	close(fd);
	*ret_got = got;
	return 0;
}

static int folder_size(void *self, const char *key, uint64_t *ret_bytes, struct error *e)
{
	struct folder *folder = self;
	struct stat status;

	if (fstatat(folder->fd, key, &status, AT_SYMLINK_NOFOLLOW))
		return failed(e, "find", folder, key);
	*ret_bytes = (uint64_t)status.st_size;
	return 0;
}

static int folder_remove(void *self, const char *key, struct error *e)
{
	struct folder *folder = self;

	return unlinkat(folder->fd, key, 0) && errno != ENOENT ? failed(e, "remove", folder, key)
							       : 0;
}

/* The files of one of the folders, or of the store's own when `name` is ".". */
static int list_folder(struct folder *folder, const char *name, const char *prefix,
		       store_object_fn *each, void *each_self, struct error *e)
{
	int fd = openat(folder->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *listing = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *item;
	int rc = 0;

	if (!listing) {
		failed(e, "list", folder, name);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while (rc == 0 && (errno = 0, item = readdir(listing))) {
		char key[STORE_KEY_MAX];
		struct stat status;
		bool top = strcmp(name, ".") == 0;
		int length = snprintf(key, sizeof(key), "%s%s%s", top ? "" : name, top ? "" : "/",
				      item->d_name);

		if (length >= (int)sizeof(key) || strncmp(key, prefix, strlen(prefix)) != 0 ||
		    strncmp(key, "lock.", 5) == 0)
			continue;
		if (fstatat(fd, item->d_name, &status, AT_SYMLINK_NOFOLLOW) ||
		    S_ISDIR(status.st_mode))
			continue;
		rc = each(each_self, key, (uint64_t)status.st_size, e);
	}
	if (rc == 0 && errno != 0)
		rc = failed(e, "list", folder, name);
	closedir(listing);
	return rc ? -1 : 0;
}

static int folder_list(void *self, const char *prefix, store_object_fn *each, void *each_self,
		       struct error *e)
{
	struct folder *folder = self;

	if (!strchr(prefix, '/') && list_folder(folder, ".", prefix, each, each_self, e))
		return -1;
	for (size_t i = 0; i < FOLDERS; i++) {
		size_t length = strlen(folders[i]);

		if (strcmp(folders[i], TEMPORARY) == 0)
			continue;
		if (strncmp(prefix, folders[i],
			    strlen(prefix) < length ? strlen(prefix) : length) == 0 &&
		    list_folder(folder, folders[i], prefix, each, each_self, e))
			return -1;
	}
	return 0;
}

/* ---- locks: they end with the process that holds them ---- */

static int take(struct folder *folder, const char *name, int operation, int *ret_fd,
		struct error *e)
{
	int fd = openat(folder->fd, name, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);

	if (fd < 0 && (errno == EROFS || errno == EACCES)) {
		fd = openat(folder->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		/* Nobody can write to what this one only reads, or there is no lock to take. */
		if (fd < 0 && operation == LOCK_SH)
			return 0;
	}
	if (fd < 0)
		return failed(e, "open", folder, name);
	if (flock(fd, operation | LOCK_NB)) {
		close(fd);
		if (errno != EWOULDBLOCK)
			return failed(e, "lock", folder, name);
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "another process %s %s",
				 strcmp(name, WRITE_LOCK) == 0 ? "is writing to"
				 : operation == LOCK_SH        ? "is removing from"
							       : "is reading from",
				 folder->path);
	}
	*ret_fd = fd;
	return 0;
}

static void folder_unlock(void *self)
{
	struct folder *folder = self;

	if (folder->write_lock >= 0)
		close(folder->write_lock);
	if (folder->read_lock >= 0)
		close(folder->read_lock);
	folder->write_lock = folder->read_lock = -1;
}

static int folder_lock(void *self, enum store_lock lock, struct error *e)
{
	struct folder *folder = self;

	if (lock != STORE_LOCK_READ && folder->write_lock < 0 &&
	    take(folder, WRITE_LOCK, LOCK_EX, &folder->write_lock, e))
		return -1;
	if (lock != STORE_LOCK_WRITE && folder->read_lock < 0 &&
	    take(folder, READ_LOCK, lock == STORE_LOCK_READ ? LOCK_SH : LOCK_EX, &folder->read_lock,
		 e)) {
		if (lock == STORE_LOCK_PRUNE)
			folder_unlock(folder);
		return -1;
	}
	return 0;
}

static int folder_check_lock(void *self, struct error *e)
{
	(void)self;
	(void)e;
	return 0; /* the kernel keeps it for as long as the process lives */
}

static void folder_heed(void *self, const atomic_bool *cancel)
{
	(void)self;
	(void)cancel; /* nothing takes long here */
}

static int folder_sweep(void *self, struct error *e)
{
	struct folder *folder = self;
	int fd = openat(folder->fd, TEMPORARY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *listing = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *item;

	if (!listing) {
		failed(e, "list", folder, TEMPORARY);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while ((item = readdir(listing)))
		if (strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0)
			unlinkat(fd, item->d_name, 0);
	closedir(listing);
	return 0;
}

const struct store_backend_ops store_folder_backend = {
	.name = "folder",
	.open = folder_open_backend,
	.put = folder_put,
	.flush = folder_flush,
	.get = folder_get,
	.list = folder_list,
	.size = folder_size,
	.remove = folder_remove,
	.lock = folder_lock,
	.check_lock = folder_check_lock,
	.unlock = folder_unlock,
	.heed = folder_heed,
	.sweep = folder_sweep,
	.close = folder_close,
};
