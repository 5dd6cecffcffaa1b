/* SPDX-License-Identifier: Apache-2.0 */
/* What a disk does with operations, tried by a child that may hang. */
#include "drivers/linux/disk_trial.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATH_ROOM 4096
#define KILL_PATIENCE_MS 2000 /* until a killed child is gone: a held operation ends on SIGKILL */

static nanos now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time); /* style: allow */
	return (int64_t)time.tv_sec * NANOS_S + time.tv_nsec;
}

/* ---- in the child: no memory, no locks ---- */

struct attempt {
	int out;
	nanos begun;
	struct disk_trial look;
};

/* Told after each operation: what one that hangs has not told before is lost. */
static bool done(struct attempt *trial, bool ok)
{
	struct disk_trial *look = &trial->look;
	int error = errno;
	nanos took = now() - trial->begun;

	look->operations++;
	look->failed += !ok;
	look->readonly = look->readonly || (!ok && error == EROFS);
	look->full = look->full || (!ok && error == ENOSPC);
	look->fails = look->fails || (!ok && error == EIO);
	look->slowest = took > look->slowest ? took : look->slowest;
	if (write(trial->out, look, sizeof(*look)) != sizeof(*look))
		_exit(1);
	trial->begun = now();
	return ok;
}

static void read_blocks(struct attempt *trial, int fd, char *block)
{
	for (uint32_t i = 0; i < DISK_TRIAL_BLOCKS; i++) {
		errno = 0; /* a short read is no error of its own */
		ssize_t got = pread(fd, block, DISK_TRIAL_BLOCK, (off_t)i * DISK_TRIAL_BLOCK);
		trial->look.blocks++;
		trial->look.unreadable += got < 0 && errno == EIO;
		done(trial, got == DISK_TRIAL_BLOCK);
	}
}

static void try_disk(struct attempt *trial, const char *path)
{
	char block[DISK_TRIAL_BLOCK];
	nanos begun = now();
	struct stat status;
	uint64_t written = 0;
	int fd;

	memset(block, 'd', sizeof(block));
	trial->begun = begun;
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (done(trial, fd >= 0)) {
		for (uint32_t i = 0; i < DISK_TRIAL_BLOCKS; i++)
			if (done(trial, pwrite(fd, block, sizeof(block),
					       (off_t)(i * sizeof(block))) == sizeof(block)))
				written += sizeof(block);
		done(trial, fdatasync(fd) == 0);
		done(trial, fstat(fd, &status) == 0);
		read_blocks(trial, fd, block);
		trial->look.rate =
			(double)(written + (uint64_t)trial->look.blocks * sizeof(block)) /
			((double)(now() - begun + 1) / 1e9);
		close(fd);
	}
	done(trial, unlink(path) == 0 || errno == ENOENT);
}

/* ---- here ---- */

static void reap(pid_t pid)
{
	for (int i = 0; i < KILL_PATIENCE_MS; i++) {
		const struct timespec pause = {.tv_nsec = NANOS_MS};
		if (waitpid(pid, NULL, WNOHANG) != 0)
			return;
		nanosleep(&pause, NULL);
	}
}

/* Its last word is the whole; false: none came in time. */
static bool listen_to(int in, nanos end, struct disk_trial *ret)
{
	struct disk_trial look;
	nanos left;

	while ((left = end - now()) > 0) {
		struct pollfd word = {.fd = in, .events = POLLIN};
		const struct timespec wait = {.tv_sec = left / NANOS_S, .tv_nsec = left % NANOS_S};
		if (ppoll(&word, 1, &wait, NULL) <= 0)
			continue;
		ssize_t got = read(in, &look, sizeof(look));
		if (got == 0)
			return true;
		if (got == sizeof(look))
			*ret = look;
		else if (got > 0 || errno != EINTR)
			return true;
	}
	return false;
}

int disk_try(const char *folder, nanos patience, struct disk_trial *ret, struct error *e)
{
	struct attempt trial = {.look = {.operations = 0}};
	char path[PATH_ROOM];
	int ends[2];
	pid_t pid;

	*ret = (struct disk_trial){.operations = 0};
	snprintf(path, sizeof(path), "%s/.drsim-look-%ld", folder, (long)getpid());
	/* Packets: a word is whole, or not there. */
	if (pipe2(ends, O_CLOEXEC | O_DIRECT))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot make a pipe: %s",
				 strerror(errno));
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		trial.out = ends[1];
		try_disk(&trial, path);
		_exit(0);
	}
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot fork: %s",
				 strerror(errno));
	}
	ret->hangs = !listen_to(ends[0], now() + patience, ret);
	close(ends[0]);
	if (ret->hangs)
		kill(pid, SIGKILL);
	reap(pid);
	return 0;
}
