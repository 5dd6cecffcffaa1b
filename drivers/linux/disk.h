/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks of limited size in memory (tmpfs), and faults by their limits: full (disk.fill), and out of
 * inodes (disk.inode_fill), at once and without writing a byte. A limit lives in the mount: it is
 * gone with it, and nothing stays on the host. The caller keeps what to set back: while it is not
 * set back the disk stays full, so a disk that outlives this process is not for it.
 *
 * Threads: any.
 */
#ifndef DRIVERS_LINUX_DISK_H
#define DRIVERS_LINUX_DISK_H

#include <stdint.h>

#include "core/error.h"

struct disk_limits {
	uint64_t bytes, inodes; /* 0: none; in disk_limit(): as it is */
};

/*
 * A disk that is mounted nowhere: *ret_fd is its folder and all that holds it. ERROR_UNAVAILABLE
 * without root or a user namespace of our own.
 */
int disk_make(struct disk_limits limits, int *ret_fd, struct error *e);
/* What it has, and how much of it is taken. `folder`: the disk's own. ERROR_UNAVAILABLE: it is no
 * tmpfs. */
int disk_look(const char *folder, struct disk_limits *ret_limits, struct disk_limits *ret_used,
	      struct error *e);
/*
 * Sets its limits from now on; what was not limited stays so. With those that disk_look() says are
 * used nothing more has room. ERROR_UNAVAILABLE: less than is used, or no right to.
 */
int disk_limit(const char *folder, struct disk_limits limits, struct error *e);

#endif
