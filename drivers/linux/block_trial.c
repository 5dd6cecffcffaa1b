/* SPDX-License-Identifier: Apache-2.0 */
/* What a block device does with single sectors, tried by a child that may hang. */
#include "drivers/linux/block_trial.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/host/process.h"

#define PAUSE (NANOS_MS / 2)
#define KILL_PATIENCE (2 * NANOS_S) /* until a killed child is gone; one that cannot be stays */

/* ---- in the child: no memory, no locks; what it writes is seen outside at once ---- */

static void one(const struct block_trial_ask *ask, int fd, uint32_t i, uint8_t *sector,
		struct block_trial *look)
{
	off_t at = (off_t)((ask->first + i) * BLOCK_TRIAL_SECTOR);
	nanos begun, took;
	ssize_t got;
	bool wrong = false;

	memset(sector, ask->write ? ask->fill : ~ask->fill, BLOCK_TRIAL_SECTOR);
	begun = process_now();
	got = ask->write ? pwrite(fd, sector, BLOCK_TRIAL_SECTOR, at)
			 : pread(fd, sector, BLOCK_TRIAL_SECTOR, at);
	took = process_now() - begun;
	if (got != BLOCK_TRIAL_SECTOR && (got >= 0 || errno != EIO)) {
		look->error = got >= 0 ? ENODATA : errno;
		return;
	}
	for (int b = 0; got > 0 && !ask->write && b < BLOCK_TRIAL_SECTOR; b++)
		wrong = wrong || sector[b] != ask->fill;
	look->failed += got < 0;
	look->wrong += wrong;
	if (got < 0 || wrong)
		look->bad[i / 64] |= (uint64_t)1 << (i % 64);
	look->slowest = took > look->slowest ? took : look->slowest;
	look->quickest = look->done == 0 || took < look->quickest ? took : look->quickest;
	look->done++;
}

static void try_sectors(const struct block_trial_ask *ask, struct block_trial *look)
{
	_Alignas(4096) uint8_t sector[BLOCK_TRIAL_SECTOR];
	int fd = open(ask->path, (ask->write ? O_WRONLY : O_RDONLY) | O_DIRECT | O_CLOEXEC);
	nanos begun;

	if (fd < 0) {
		look->error = errno;
		return;
	}
	for (uint32_t i = 0; i < ask->count && look->error == 0; i++)
		one(ask, fd, i, sector, look);
	begun = process_now();
	if (ask->flush && look->error == 0 && fdatasync(fd) && errno != EIO)
		look->error = errno;
	look->flushed = process_now() - begun;
}

/* ---- here ---- */

static bool wait_for(pid_t pid, nanos patience)
{
	nanos end = process_now() + patience;

	for (;;) {
		pid_t got = waitpid(pid, NULL, WNOHANG);

		if (got == pid || (got < 0 && errno != EINTR))
			return true;
		if (process_now() >= end)
			return false;
		process_pause(PAUSE);
	}
}

int block_try(const struct block_trial_ask *ask, nanos patience, struct block_trial *ret,
	      struct error *e)
{
	struct block_trial *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
					  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int rc = 0;
	pid_t pid;

	assert(ask->count > 0 && ask->count <= BLOCK_TRIAL_MAX);
	if (shared == MAP_FAILED)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "out of memory: %s",
				 strerror(errno));
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* One that cannot be killed must not hold the device, nor the journal's lock. */
		syscall(SYS_close_range, 3, ~0u, 0);
		try_sectors(ask, shared);
		_exit(0);
	}
	if (pid < 0) {
		rc = error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot fork: %s", strerror(errno));
	} else if (!wait_for(pid, patience)) {
		shared->hangs = true;
		kill(pid, SIGKILL);
		wait_for(pid, KILL_PATIENCE);
	}
	if (rc == 0)
		*ret = *shared;
	munmap(shared, sizeof(*shared));
	return rc;
}

bool block_trial_bad(const struct block_trial *trial, uint32_t i)
{
	assert(i < BLOCK_TRIAL_MAX);
	return trial->bad[i / 64] >> (i % 64) & 1;
}
