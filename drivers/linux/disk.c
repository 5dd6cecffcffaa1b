/* SPDX-License-Identifier: Apache-2.0 */
/* Disks in memory and their limits, by the calls of mount that need no place to mount at. */
#include "drivers/linux/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "drivers/linux/mounts.h"

struct order {
	const char *folder; /* NULL: a new disk */
	struct disk_limits limits;
	int fd, error;
};

static int set_limits(int context, struct disk_limits limits)
{
	char bytes[32], inodes[32];

	snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long)limits.bytes);
	snprintf(inodes, sizeof(inodes), "%llu", (unsigned long long)limits.inodes);
	if (limits.bytes > 0 && mounts_set(context, "size", bytes))
		return -1;
	return limits.inodes > 0 ? mounts_set(context, "nr_inodes", inodes) : 0;
}

static int make_new(struct order *order)
{
	int context = mounts_open("tmpfs"), kept;

	if (context < 0)
		return -1;
	order->fd = -1;
	if (mounts_set(context, "source", "drsim") == 0 &&
	    set_limits(context, order->limits) == 0 && mounts_set(context, "mode", "755") == 0 &&
	    mounts_create(context) == 0)
		order->fd = mounts_nowhere(context);
	kept = errno;
	close(context);
	errno = kept;
	return order->fd < 0 ? -1 : 0;
}

static int change(const struct order *order)
{
	int context = mounts_pick(order->folder), rc, kept;

	if (context < 0)
		return -1;
	rc = set_limits(context, order->limits) || mounts_change(context) ? -1 : 0;
	kept = errno;
	close(context);
	errno = kept;
	return rc;
}

static void carry_out(struct order *order)
{
	order->error = (order->folder ? change(order) : make_new(order)) ? errno : 0;
}

static void *carry_out_apart(void *order)
{
	if (mounts_enter() == 0)
		carry_out(order);
	return NULL;
}

/* Without root only a thread with a mount namespace of its own may. */
static int give(struct order *order)
{
	pthread_t thread;

	carry_out(order);
	if (order->error == EPERM && pthread_create(&thread, NULL, carry_out_apart, order) == 0)
		pthread_join(thread, NULL);
	return order->error;
}

int disk_make(struct disk_limits limits, int *ret_fd, struct error *e)
{
	struct order order = {.limits = limits, .fd = -1};

	if (give(&order))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot make a disk: %s",
				 strerror(order.error));
	*ret_fd = order.fd;
	return 0;
}

int disk_look(const char *folder, struct disk_limits *ret_limits, struct disk_limits *ret_used,
	      struct error *e)
{
	struct statfs space;

	if (statfs(folder, &space))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot look at %s: %s", folder,
				 strerror(errno));
	if (space.f_type != TMPFS_MAGIC)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "%s is on no disk whose limits can be set", folder);
	*ret_limits = (struct disk_limits){space.f_blocks * (uint64_t)space.f_bsize, space.f_files};
	*ret_used = (struct disk_limits){
		(space.f_blocks - space.f_bfree) * (uint64_t)space.f_bsize,
		space.f_files - space.f_ffree,
	};
	return 0;
}

int disk_limit(const char *folder, struct disk_limits limits, struct error *e)
{
	struct disk_limits had = {0}, used = {0};
	struct order order = {.folder = folder, .limits = limits, .fd = -1};

	if (disk_look(folder, &had, &used, e))
		return -1;
	/* The kernel does not limit after the fact what has no limit. */
	if ((had.bytes == 0 && limits.bytes > 0) || (had.inodes == 0 && limits.inodes > 0))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "the disk of %s has no limit",
				 folder);
	if (give(&order))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "cannot set the limits of the disk of %s: %s", folder,
				 strerror(order.error));
	return 0;
}
