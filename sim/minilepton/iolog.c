/* SPDX-License-Identifier: Apache-2.0 */
/* Writing an I/O log: recovery of its tail, and appends that are on the disk when they return. */
#include "sim/minilepton/iolog.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK ((size_t)64 << 10)

/* The place behind the last newline before `end`. */
static int tail_find(int fd, uint64_t end, uint64_t *ret_whole, struct error *e)
{
	char block[BLOCK];

	while (end > 0) {
		uint64_t from = end > BLOCK ? end - BLOCK : 0;
		ssize_t got = pread(fd, block, (size_t)(end - from), (off_t)from);
		const char *newline;

		if (got != (ssize_t)(end - from))
			return error_set(e, ERROR_IO, NO_PLACE, "an I/O log cannot be read: %s",
					 got < 0 ? strerror(errno) : "it became shorter");
		newline = memrchr(block, '\n', (size_t)got);
		if (newline) {
			*ret_whole = from + (uint64_t)(newline - block) + 1;
			return 0;
		}
		end = from;
	}
	*ret_whole = 0;
	return 0;
}

static int folder_sync(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return -1;
	rc = fsync(fd);
	close(fd);
	return rc;
}

static int recover(struct iolog *log, uint64_t *ret_cut, struct error *e)
{
	struct stat status;
	uint64_t whole = 0;

	if (fstat(log->fd, &status))
		return error_set(e, ERROR_IO, NO_PLACE, "fstat: %s", strerror(errno));
	if (tail_find(log->fd, (uint64_t)status.st_size, &whole, e))
		return -1;
	*ret_cut = (uint64_t)status.st_size - whole;
	log->size = whole;
	if (*ret_cut > 0 && (ftruncate(log->fd, (off_t)whole) || fsync(log->fd)))
		return error_set(e, ERROR_IO, NO_PLACE, "a torn line cannot be cut off: %s",
				 strerror(errno));
	return 0;
}

int iolog_open(struct iolog *log, const char *dir, const char *id, uint64_t *ret_cut,
	       struct error *e)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s" IOLOG_SUFFIX, dir, id) >= (int)sizeof(path))
		return error_set(e, ERROR_USAGE, NO_PLACE, "the path of the I/O log is too long");
	/* O_APPEND: a frozen writer of the same log that wakes up cannot overwrite anything. */
	log->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (log->fd < 0)
		return error_set(e, ERROR_IO, NO_PLACE, "%s: %s", path, strerror(errno));
	if (recover(log, ret_cut, e) == 0) {
		if (folder_sync(dir) == 0)
			return 0;
		error_set(e, ERROR_IO, NO_PLACE, "%s: %s", dir, strerror(errno));
	}
	close(log->fd);
	log->fd = -1;
	return -1;
}

/* A write that failed half way leaves no half of a line behind. */
static int take_back(struct iolog *log, int why, struct error *e)
{
	if (ftruncate(log->fd, (off_t)log->size) || fdatasync(log->fd))
		return error_set(e, ERROR_IO, NO_PLACE,
				 "the I/O log can neither be written (%s) nor cut back (%s)",
				 strerror(why), strerror(errno));
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "the I/O log cannot be written: %s",
			 strerror(why));
}

int iolog_append(struct iolog *log, const char *lines, size_t size, struct error *e)
{
	size_t done = 0;
	struct stat status;

	while (done < size) {
		ssize_t put = write(log->fd, lines + done, size - done);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return take_back(log, put < 0 ? errno : EIO, e);
		done += (size_t)put;
	}
	/* After a failed sync the pages count as clean: asking again would be told a lie. */
	if (fdatasync(log->fd) || fstat(log->fd, &status))
		return error_set(e, ERROR_IO, NO_PLACE, "the I/O log cannot be synced: %s",
				 strerror(errno));
	log->size = (uint64_t)status.st_size;
	return 0;
}

void iolog_close(struct iolog *log)
{
	if (log->fd >= 0)
		close(log->fd);
	log->fd = -1;
}
