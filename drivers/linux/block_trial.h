/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a block device does with single sectors: a child reads or writes them one by one past the
 * page cache. Whether a fault of a device took effect is seen by that, and not by asking the fault.
 *
 * Threads: any.
 */
#ifndef DRIVERS_LINUX_BLOCK_TRIAL_H
#define DRIVERS_LINUX_BLOCK_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/error.h"

#define BLOCK_TRIAL_SECTOR 512
#define BLOCK_TRIAL_MAX 4096 /* sectors at a time */

struct block_trial_ask {
	const char *path; /* of a block device, or of a file on a disk that can be read directly */
	uint64_t first;   /* sector */
	uint32_t count;
	bool write;   /* else they are read */
	bool flush;   /* and an fdatasync behind the last one */
	uint8_t fill; /* what each byte becomes; read: what each should be */
};

struct block_trial {
	uint32_t done, failed; /* sectors that came back; of them with EIO */
	uint32_t wrong;        /* read without an error, but not all bytes are `fill` */
	uint64_t bad[BLOCK_TRIAL_MAX / 64]; /* a bit for each that failed or was wrong */
	bool hangs;                         /* one did not come back in time */
	int error;                          /* another error than EIO, which ended it; 0: none */
	nanos quickest, slowest;            /* of those that came back */
	nanos flushed;                      /* what the fdatasync took */
};

/* For at most `patience`; then the child is killed, and what came back until then is told. */
int block_try(const struct block_trial_ask *ask, nanos patience, struct block_trial *ret,
	      struct error *e);
/* The sector number `first + i`. */
bool block_trial_bad(const struct block_trial *trial, uint32_t i);

#endif
