/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of the kernel's device-mapper that drsim needs, by ioctl on /dev/mapper/control
 * (<linux/dm-ioctl.h>). Not by libdevmapper: ten calls with one struct are less than its binding,
 * and it agrees with udev by semaphores of its own, which stay on the host when we are killed.
 *
 * Each gives 0, or -1 with errno; ENXIO: there is no device of this name. Any thread.
 */
#ifndef DRIVERS_LINUX_DM_CONTROL_H
#define DRIVERS_LINUX_DM_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/arena.h"
#include "core/error.h"
#include "drivers/linux/dm_table.h"

#define DM_NAME_MAX 127   /* bytes of a device's name */
#define DM_ANSWER_MAX 256 /* bytes of the answer to a message */

/* Is the kernel's part loaded? While it is not there can be no device. Loads nothing. */
bool dm_control_loaded(void);
/* For struct error: it says what is missing, in words. May load the kernel's module. */
int dm_control_open(int *ret_fd, struct error *e);
/* Has the kernel this target by now? Loading a table with it has tried to load its module. */
bool dm_control_has(int fd, enum dm_target target);

/* A device without a table, suspended. */
int dm_control_create(int fd, const char *name);
/* A table that is in force after the next resume. */
int dm_control_load(int fd, const char *name, const struct dm_table *table);
/* Forgets a table that is not in force yet. */
int dm_control_clear(int fd, const char *name);
/* Requests wait from now on; those under way are waited for. A file system on it is not told, so
 * that it writes nothing first. */
int dm_control_suspend(int fd, const char *name);
/* The loaded table is in force; requests that wait go on. */
int dm_control_resume(int fd, const char *name);
/* EBUSY: it is open. `deferred`: then the kernel removes it when it is closed for the last time. */
int dm_control_remove(int fd, const char *name, bool deferred);

struct dm_info {
	dev_t device;
	uint32_t opens;
	bool suspended, has_table;
};

int dm_control_info(int fd, const char *name, struct dm_info *ret);
/* The table in force; `status`: with the rows' statuses in the place of their parameters. Rows are
 * the arena's. */
int dm_control_table(int fd, const char *name, bool status, struct arena *arena,
		     struct dm_table *ret);
/* To the row of that sector. `answer`: DM_ANSWER_MAX bytes; "" when there is none. */
int dm_control_message(int fd, const char *name, uint64_t sector, const char *text, char *answer);
/* The names of all devices, NULL-terminated. */
int dm_control_list(int fd, struct arena *arena, const char ***ret);

#endif
