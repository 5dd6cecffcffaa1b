/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a disk does with operations: a child writes, syncs and reads a file of its own there and
 * takes it away again. Whether a fault of a disk took effect is seen by that, and not by asking the
 * fault.
 */
#ifndef DRIVERS_LINUX_DISK_TRIAL_H
#define DRIVERS_LINUX_DISK_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/error.h"

#define DISK_TRIAL_BLOCK 4096
#define DISK_TRIAL_BLOCKS 256 /* 1 MiB */

struct disk_trial {
	uint32_t operations, failed; /* that came back; with an error */
	uint32_t blocks, unreadable; /* that were read; of them with EIO */
	bool hangs;                  /* one did not come back in time */
	bool readonly;               /* EROFS */
	bool full;                   /* ENOSPC */
	bool fails;                  /* EIO */
	nanos slowest;               /* of those that came back */
	double rate;                 /* bytes a second written and read; 0: nothing was */
};

/*
 * In `folder`, as this process sees it, for at most `patience`; then the child is killed. Its file
 * is named after this process and is gone afterwards, but for a disk that lets nobody remove files.
 */
int disk_try(const char *folder, nanos patience, struct disk_trial *ret, struct error *e);

#endif
