/* SPDX-License-Identifier: Apache-2.0 */
/* Undo of files: pristine copies, and what is made of them again; folders of a run. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/host/process.h"
#include "drivers/host/undo_private.h"

#define BLOCK_SIZE ((size_t)64 << 10)
#define DEPTH_MAX 128 /* of folders in the work folder */

static int fail(struct error *e, const char *what, const char *path)
{
	return error_set(e, ERROR_IO, NO_PLACE, "cannot %s %s: %s", what, path, strerror(errno));
}

bool undo_is_below(const char *path, const char *folder)
{
	size_t length = strlen(folder);

	return strncmp(path, folder, length) == 0 && path[length] == '/';
}

/* ---- content ---- */

/*
 * Reads all of `from`; writes it to `to` (-1: nowhere), from the beginning of both. The digest is
 * of what was read.
 */
static int pour(int from, int to, char ret_digest[JOURNAL_DIGEST_MAX], uint64_t *ret_bytes)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char block[BLOCK_SIZE / 4], digest[EVP_MAX_MD_SIZE];
	uint64_t bytes = 0;
	unsigned int size = 0;
	ssize_t got = -1;

	errno = ENOMEM;
	if (!context || !EVP_DigestInit_ex(context, EVP_sha256(), NULL))
		goto out;
	while ((got = pread(from, block, sizeof(block), (off_t)bytes)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			goto out;
		EVP_DigestUpdate(context, block, (size_t)got);
		for (ssize_t done = 0; to >= 0 && done < got;) {
			ssize_t wrote =
				pwrite(to, block + done, (size_t)(got - done), (off_t)bytes + done);

			if (wrote < 0 && errno != EINTR) {
				got = -1;
				goto out;
			}
			done += wrote > 0 ? wrote : 0;
		}
		bytes += (uint64_t)got;
	}
	EVP_DigestFinal_ex(context, digest, &size);
	for (unsigned int i = 0; i < size; i++)
		snprintf(ret_digest + 2 * (size_t)i, 3, "%02x", digest[i]);
	*ret_bytes = bytes;
out:
	EVP_MD_CTX_free(context);
	return got < 0 ? -1 : 0;
}

int undo_digest(const char *path, char ret_digest[JOURNAL_DIGEST_MAX], uint64_t *ret_bytes,
		struct error *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), rc;

	if (fd < 0)
		return fail(e, "read", path);
	rc = pour(fd, -1, ret_digest, ret_bytes) ? fail(e, "read", path) : 0;
	close(fd);
	return rc;
}

static int sync_parent(const char *path, struct error *e)
{
	char folder[JOURNAL_PATH_MAX];
	int fd, rc;

	snprintf(folder, sizeof(folder), "%s", path);
	*strrchr(folder, '/') = '\0';
	fd = open(folder[0] ? folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail(e, "open", folder);
	rc = fsync(fd);
	close(fd);
	return rc && errno != EINVAL ? fail(e, "write", folder) : 0;
}

/* ---- keep ---- */

/* An empty file in the work folder that nothing else uses. */
static int make_copy(const struct journal *journal, const char **ret_path, struct error *e)
{
	const char *folder = arena_printf(journal->arena, "%s/pristine", journal->work);

	if (mkdir(folder, 0700) && errno != EEXIST)
		return fail(e, "make the folder", folder);
	for (size_t i = journal->count; i < JOURNAL_RECORDS_MAX; i++) {
		const char *path = arena_printf(journal->arena, "%s/%zu", folder, i + 1);
		int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

		if (fd < 0 && errno == EEXIST)
			continue;
		if (fd < 0)
			return fail(e, "create", path);
		*ret_path = path;
		return fd;
	}
	return error_set(e, ERROR_LIMIT, NO_PLACE, "too many files in %s", folder);
}

static int open_regular(const char *path, struct stat *status, struct error *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return fail(e, "read", path);
	if (fstat(fd, status) == 0 && S_ISREG(status->st_mode))
		return fd;
	close(fd);
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "%s is no regular file", path);
}

int undo_keep_file(struct journal *journal, const char *path, pid_t pid, uint64_t *ret_number,
		   struct error *e)
{
	struct undo undo = {.kind = UNDO_FILE, .path = path, .pid = pid};
	struct stat status = {0};
	int from = open_regular(path, &status, e), to, rc = -1;

	if (from < 0)
		return -1;
	to = make_copy(journal, &undo.from, e);
	if (to < 0) {
		close(from);
		return -1;
	}
	undo.start = pid ? process_start(pid) : 0;
	undo.mode = status.st_mode & 07777;
	undo.uid = status.st_uid;
	undo.gid = status.st_gid;
	undo.mtime_s = status.st_mtim.tv_sec;
	undo.mtime_ns = status.st_mtim.tv_nsec;
	/* The copy before the record, and the record before whatever the caller does. */
	if (pour(from, to, undo.digest, &undo.bytes) || fsync(to))
		fail(e, "copy to", undo.from);
	else if (sync_parent(undo.from, e) == 0 && journal_add(journal, &undo, e) == 0)
		rc = 0;
	close(from);
	close(to);
	if (rc)
		unlink(undo.from);
	else
		*ret_number = undo.number;
	return rc;
}

/* ---- restore ---- */

/* The file to write to; one that is gone is made anew. A file that is there stays the same file:
 * others may have it open, and its links and attributes stay. */
static int open_target(const struct undo *undo, struct error *e)
{
	const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	struct stat status;
	int fd = open(undo->path, flags);

	if (fd < 0 && errno == EACCES && chmod(undo->path, undo->mode | 0600) == 0)
		fd = open(undo->path, flags);
	if (fd < 0 && errno == ENOENT)
		fd = open(undo->path, flags | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return fail(e, "write", undo->path);
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
		return fd;
	close(fd);
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "%s is no regular file", undo->path);
}

static int set_attributes(int fd, const struct undo *undo, struct error *e)
{
	const struct timespec times[2] = {
		{.tv_nsec = UTIME_OMIT},
		{.tv_sec = undo->mtime_s, .tv_nsec = (long)undo->mtime_ns},
	};
	struct stat status;
	int rc = fstat(fd, &status);

	/* Only root can give a file away, so that without it the owner is the same; and in a user
	 * namespace of our own the owners of others have no number. */
	if (rc == 0 && (status.st_uid != undo->uid || status.st_gid != undo->gid))
		rc = geteuid() == 0 ? fchown(fd, undo->uid, undo->gid)
				    : fchown(fd, (uid_t)-1, undo->gid) && errno != EPERM &&
					      errno != EINVAL;
	if (rc)
		return fail(e, "give back the owner of", undo->path);
	/* After the owner: chown takes set-id bits away. */
	if (fchmod(fd, undo->mode))
		return fail(e, "give back the mode of", undo->path);
	if (futimens(fd, times) || fsync(fd))
		return fail(e, "give back the time of", undo->path);
	return 0;
}

static int restore(int from, int to, const struct undo *undo, struct error *e)
{
	char digest[JOURNAL_DIGEST_MAX] = "";
	uint64_t bytes = 0;

	if (pour(from, -1, digest, &bytes))
		return fail(e, "read", undo->from);
	/* Never put something else in the place of what we broke. */
	if (bytes != undo->bytes || strcmp(digest, undo->digest) != 0)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "%s: its pristine copy %s is damaged", undo->path, undo->from);
	if (pour(to, -1, digest, &bytes))
		return fail(e, "read", undo->path);
	if (bytes == undo->bytes && strcmp(digest, undo->digest) == 0)
		return set_attributes(to, undo, e);
	if (pour(from, to, digest, &bytes) || ftruncate(to, (off_t)undo->bytes) || fsync(to))
		return fail(e, "write", undo->path);
	if (set_attributes(to, undo, e))
		return -1;
	if (pour(to, -1, digest, &bytes))
		return fail(e, "read", undo->path);
	if (bytes != undo->bytes || strcmp(digest, undo->digest) != 0)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "%s does not have its content back: someone else writes to it",
				 undo->path);
	return 0;
}

int undo_file(const struct journal *journal, const struct undo *undo, struct error *e)
{
	struct stat status;
	int from, to, rc;

	if (!undo_is_below(undo->from, journal->work))
		return error_set(e, ERROR_USAGE, NO_PLACE, "%s is not in the work folder",
				 undo->from);
	from = open_regular(undo->from, &status, e);
	if (from < 0)
		return -1;
	to = open_target(undo, e);
	if (to < 0) {
		close(from);
		return -1;
	}
	rc = restore(from, to, undo, e);
	close(from);
	close(to);
	return rc ? -1 : sync_parent(undo->path, e);
}

int undo_remove(const struct undo *undo, struct error *e)
{
	struct stat status;

	if (lstat(undo->path, &status))
		return errno == ENOENT || errno == ENOTDIR ? 0 : fail(e, "look at", undo->path);
	if (S_ISDIR(status.st_mode))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "%s is a folder: left alone",
				 undo->path);
	if (unlink(undo->path) && errno != ENOENT)
		return fail(e, "remove", undo->path);
	return sync_parent(undo->path, e);
}

int undo_rename(const struct undo *undo, struct error *e)
{
	struct stat status;

	if (lstat(undo->from, &status)) {
		if (errno != ENOENT)
			return fail(e, "look at", undo->from);
		/* It was never moved away, or is back already. */
		return lstat(undo->path, &status) ? fail(e, "find", undo->path) : 0;
	}
	if (rename(undo->from, undo->path))
		return fail(e, "move back", undo->path);
	return sync_parent(undo->path, e) || sync_parent(undo->from, e) ? -1 : 0;
}

/* ---- folders of a run ---- */

static uint64_t mount_of(int fd, const char *name, int flags)
{
	struct statx status = {0};

	if (statx(fd, name, flags | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_MNT_ID, &status))
		return 0;
	if (status.stx_mask & STATX_MNT_ID)
		return status.stx_mnt_id;
	/* A kernel without it: the device tells most mounts apart. */
	return ((uint64_t)status.stx_dev_major << 32 | status.stx_dev_minor) + 1;
}

/* A folder in `parent`, never through a link; one that we may not enter is ours to open up. */
static int open_folder(int parent, const char *name)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(parent, name, flags);

	if (fd < 0 && errno == EACCES && fchmodat(parent, name, 0700, 0) == 0)
		fd = openat(parent, name, flags);
	return fd;
}

static int remove_below(int parent, const char *name, uint64_t mount, int depth, struct error *e);

static int empty_folder(int fd, const char *name, uint64_t mount, int depth, struct error *e)
{
	DIR *dir = fdopendir(fd); /* takes the descriptor */
	struct dirent *entry;
	struct stat status;
	int rc = 0;

	if (!dir) {
		close(fd);
		return fail(e, "read", name);
	}
	fchmod(fd, 0700); /* else nothing can be removed from it */
	while ((entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW))
			rc |= errno == ENOENT ? 0 : fail(e, "look at", entry->d_name);
		else if (S_ISDIR(status.st_mode))
			rc |= remove_below(fd, entry->d_name, mount, depth + 1, e);
		else if (unlinkat(fd, entry->d_name, 0) && errno != ENOENT)
			rc |= fail(e, "remove", entry->d_name);
	}
	closedir(dir);
	return rc;
}

static int remove_below(int parent, const char *name, uint64_t mount, int depth, struct error *e)
{
	int fd;

	if (depth > DEPTH_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "%s is more than %d folders deep", name,
				 DEPTH_MAX);
	fd = open_folder(parent, name);
	if (fd < 0)
		return errno == ENOENT ? 0 : fail(e, "open", name);
	if (mount_of(fd, "", AT_EMPTY_PATH) != mount) {
		close(fd);
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "something is mounted at %s: left alone", name);
	}
	if (empty_folder(fd, name, mount, depth, e))
		return -1;
	if (unlinkat(parent, name, AT_REMOVEDIR) && errno != ENOENT)
		return fail(e, "remove", name);
	return 0;
}

/* Walks from `fd` down the names of `path`, through no link; the last one is removed. Closes `fd`.
 */
static int remove_at(int fd, const char *path, struct error *e)
{
	uint64_t mount = mount_of(fd, "", AT_EMPTY_PATH);
	char name[JOURNAL_PATH_MAX];

	for (;;) {
		size_t length = strcspn(path, "/");
		int next, rc;

		snprintf(name, sizeof(name), "%.*s", (int)length, path);
		if (!path[length]) {
			rc = remove_below(fd, name, mount, 0, e);
			close(fd);
			return rc;
		}
		next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		rc = next >= 0 ? 0 : errno == ENOENT ? 1 : fail(e, "open", name);
		close(fd);
		if (rc)
			return rc > 0 ? 0 : -1;
		fd = next;
		path += length + 1;
	}
}

int undo_remove_tree(const char *path, struct error *e)
{
	struct arena arena = {0};
	const char *state, *runs;
	int rc = -1, fd;

	if (!journal_state(&arena, &state, e)) {
		runs = arena_printf(&arena, "%s/run", state);
		/* A path with ".." would lead out of it again. */
		if (strstr(path, "/../") || strstr(path, "/./") || strstr(path, "//") ||
		    !undo_is_below(path, runs) || path[strlen(runs) + 1] == '\0' ||
		    path[strlen(path) - 1] == '/' || path[strlen(path) - 1] == '.')
			error_set(e, ERROR_USAGE, NO_PLACE, "%s is no folder in %s: left alone",
				  path, runs);
		else if ((fd = open(runs, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
			fail(e, "open", runs);
		else
			rc = remove_at(fd, path + strlen(runs) + 1, e);
	}
	arena_free(&arena);
	return rc;
}
