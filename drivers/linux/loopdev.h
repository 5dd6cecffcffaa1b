/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loop devices: a file as a block device. One that is made here is let go of by the kernel as soon
 * as nobody holds it open any more (autoclear), however we end.
 *
 * Threads: any.
 */
#ifndef DRIVERS_LINUX_LOOPDEV_H
#define DRIVERS_LINUX_LOOPDEV_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/error.h"

#define LOOP_DEVICE_MAX 32 /* "MAJOR:MINOR" */

/*
 * A loop device over an open file; *ret_fd holds it. `label`: what losetup shows beside the path,
 * cut at 63 bytes. ERROR_UNAVAILABLE: no right, no free one, or a kernel before 5.8.
 */
int loopdev_open(int file, const char *label, int *ret_fd, struct error *e);

/* Is this open block device a loop device, and over exactly this open file? ERROR_USAGE says what
 * it is else: nothing may be done to it then. "7:3" to ret_device. */
int loopdev_require(int fd, int file, char ret_device[LOOP_DEVICE_MAX], struct error *e);

struct loopdev_seen {
	uint32_t number;
	const char *file; /* as the kernel knows it, without its " (deleted)" */
	uint64_t sectors;
	char device[LOOP_DEVICE_MAX];
};

/* All loop devices of this host that have a file; returns how many. */
size_t loopdev_list(struct arena *arena, struct loopdev_seen **ret);

/* Detaches all loop devices over this file, and waits until they are. Nothing when there is none.
 * ERROR_UNAVAILABLE: somebody holds one open. */
int loopdev_detach(const char *file, nanos timeout, struct error *e);

#endif
