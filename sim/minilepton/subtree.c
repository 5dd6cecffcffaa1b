/* SPDX-License-Identifier: Apache-2.0 */
/* Files below one folder, found by openat2() so that neither ".." nor a link leads out of it. */
#include "sim/minilepton/subtree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

bool subtree_path_good(const char *path)
{
	uint32_t depth = 0;

	if (strlen(path) > SUBTREE_PATH_MAX || !*path)
		return false;
	for (;;) {
		size_t length = strcspn(path, "/");

		if (++depth > SUBTREE_DEPTH_MAX || length == 0 || length > 255 ||
		    (length == 1 && path[0] == '.') ||
		    (length == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		if (!path[length])
			return true;
		path += length + 1;
	}
}

int subtree_open(const char *path)
{
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int subtree_open_at(int folder, const char *path, int flags, mode_t mode)
{
	struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC),
			       .mode = flags & O_CREAT ? mode : 0,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};

	if (*path && !subtree_path_good(path)) {
		errno = EINVAL;
		return -1;
	}
	return (int)syscall(SYS_openat2, folder, *path ? path : ".", &how, sizeof(how));
}

/* One more segment down. Takes `at`. */
static int step(int at, const char *name, size_t length, bool make)
{
	char segment[256];
	int next, made;

	snprintf(segment, sizeof(segment), "%.*s", (int)length, name);
	made = make ? mkdirat(at, segment, 0755) : -1;
	if ((made && make && errno != EEXIST) || (made == 0 && fsync(at)))
		next = -1;
	else
		next = openat(at, segment, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	close(at);
	return next;
}

int subtree_parent(int folder, const char *path, bool make, const char **ret_name)
{
	int at;

	if (!subtree_path_good(path)) {
		errno = EINVAL;
		return -1;
	}
	at = fcntl(folder, F_DUPFD_CLOEXEC, 0);
	for (;;) {
		size_t length = strcspn(path, "/");

		if (at < 0 || !path[length]) {
			*ret_name = path;
			return at;
		}
		at = step(at, path, length, make);
		path += length + 1;
	}
}

static int write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t written = write(fd, data, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -1;
		data += written;
		size -= (size_t)written;
	}
	return fsync(fd);
}

int subtree_write(int folder, const char *path, const void *data, size_t size)
{
	char temporary[] = ".upload-new";
	const char *name;
	int at = subtree_parent(folder, path, true, &name), fd, rc = -1, saved;

	if (at < 0)
		return -1;
	fd = openat(at, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd >= 0) {
		rc = write_all(fd, data, size);
		saved = errno;
		close(fd);
		errno = saved;
		if (rc == 0)
			rc = renameat(at, temporary, at, name) || fsync(at) ? -1 : 0;
		saved = errno;
		if (rc)
			unlinkat(at, temporary, 0);
		errno = saved;
	}
	saved = errno;
	close(at);
	errno = saved;
	return rc;
}

/* Counts the bytes of all files below, and with `clear` removes what it has counted. */
static int walk(int folder, uint32_t depth, bool clear, uint64_t *bytes)
{
	DIR *dir;
	struct dirent *entry;
	int copy, rc = 0;

	if (depth > SUBTREE_DEPTH_MAX) {
		errno = ELOOP;
		return -1;
	}
	copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = copy < 0 ? NULL : fdopendir(copy);
	if (!dir) {
		if (copy >= 0)
			close(copy);
		return -1;
	}
	while (rc == 0 && (entry = readdir(dir))) {
		struct stat stat;
		bool down;
		int next;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
		    fstatat(copy, entry->d_name, &stat, AT_SYMLINK_NOFOLLOW))
			continue;
		down = S_ISDIR(stat.st_mode);
		if (down) {
			next = openat(copy, entry->d_name,
				      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			rc = next < 0 ? -1 : walk(next, depth + 1, clear, bytes);
			if (next >= 0)
				close(next);
		} else {
			*bytes += S_ISREG(stat.st_mode) ? (uint64_t)stat.st_size : 0;
		}
		if (clear && rc == 0)
			rc = unlinkat(copy, entry->d_name, down ? AT_REMOVEDIR : 0);
	}
	closedir(dir);
	return rc;
}

int subtree_remove(int folder, const char *path, bool all)
{
	const char *name;
	int at = subtree_parent(folder, path, false, &name), below, rc, saved;
	uint64_t bytes = 0;

	if (at < 0)
		return -1;
	rc = unlinkat(at, name, 0);
	if (rc && errno == EISDIR) {
		rc = 0;
		below = all ? openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
			    : -1;
		if (below >= 0) {
			rc = walk(below, 0, true, &bytes);
			close(below);
		}
		rc = rc ? -1 : unlinkat(at, name, AT_REMOVEDIR);
	}
	saved = errno;
	close(at);
	errno = saved;
	return rc;
}

int subtree_usage(int folder, uint64_t *ret_bytes)
{
	uint64_t bytes = 0;

	if (walk(folder, 0, false, &bytes))
		return -1;
	*ret_bytes = bytes;
	return 0;
}
