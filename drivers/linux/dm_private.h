/* SPDX-License-Identifier: Apache-2.0 */
/* A disk of device-mapper, for its own parts. */
#ifndef DRIVERS_LINUX_DM_PRIVATE_H
#define DRIVERS_LINUX_DM_PRIVATE_H

#include <sys/types.h>

#include "drivers/linux/dm.h"
#include "drivers/linux/loopdev.h"

struct dm {
	struct arena *arena;
	struct journal *journal; /* NULL: of a probe, which leaves its end to the kernel */
	const char *name;        /* drsim-RUN-NAME */
	const char *file_path;
	const char *path; /* of the block device */
	bool owns_file;
	int file, loop, control, fd;  /* fd: of the device; -1: not open */
	char device[LOOP_DEVICE_MAX]; /* of the loop device */
	dev_t number;
	uint64_t sectors;
	uint64_t loopdev_record, mapper_record;
	struct dm_fault fault;
	struct dm_table table; /* in force, in an arena of its own */
	struct arena table_arena;
	bool dust;    /* BADBLOCKS is by the target dust */
	bool no_dust; /* the kernel has none */
	const char *mounted_at;
};

/* Over the open file: the loop device, the device above it, in order. When it fails what was made
 * is for dm_private_end(). */
int dm_private_begin(struct dm *dm, struct error *e);
int dm_private_end(struct dm *dm, struct error *e);

#endif
