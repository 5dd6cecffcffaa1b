/* SPDX-License-Identifier: Apache-2.0 */
/* Disks of device-mapper that a run has left: found, and taken back. */
#include "drivers/linux/dm_undo.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "drivers/host/process.h"
#include "drivers/host/undo_private.h"
#include "drivers/linux/dm_control.h"
#include "drivers/linux/loopdev.h"

#define BEFORE "drsim-"
#define MOUNTS_MAX 64
#define WAIT NANOS_S /* until it is closed: whoever looks at new disks has it open for a moment */
#define PAUSE (5 * NANOS_MS)

bool dm_is_of_run(const char *name, const char *run)
{
	size_t length = strlen(run);

	return strncmp(name, BEFORE, strlen(BEFORE)) == 0 &&
	       strncmp(name + strlen(BEFORE), run, length) == 0 &&
	       name[strlen(BEFORE) + length] == '-' && name[strlen(BEFORE) + length + 1] &&
	       !strchr(name + strlen(BEFORE) + length + 1, '-');
}

/* Requests go on, and reach the file below, if there is one. What cannot be done here shows when it
 * is unmounted or removed. */
static void heal(int control, const char *name, const char *file, struct arena *arena)
{
	struct dm_fault none = {.kind = DM_FAULT_NONE};
	struct loopdev_seen *loops;
	size_t count = loopdev_list(arena, &loops);
	struct dm_table table;

	for (size_t i = 0; i < count; i++) {
		if (strcmp(loops[i].file, file) != 0 || loops[i].sectors == 0)
			continue;
		dm_table_build(&none, false, loops[i].device, loops[i].sectors, arena, &table);
		dm_control_load(control, name, &table);
		break;
	}
	dm_control_resume(control, name);
}

/* The last place where this device is mounted, and nothing over it. NULL: there is none. */
static const char *find_mount(dev_t device, struct arena *arena)
{
	char *line = process_read_text("/proc/self/mountinfo", arena);
	const char *wanted = arena_printf(arena, "%u:%u", major(device), minor(device));
	const char *place = NULL;

	while (line && *line) {
		char *next = strchr(line, '\n'), *number, *at;

		if (next)
			*next++ = '\0';
		undo_next_word(&line);
		undo_next_word(&line);
		number = undo_next_word(&line);
		undo_next_word(&line);
		at = undo_next_word(&line);
		if (strcmp(number, wanted) == 0)
			place = at;
		else if (place && strcmp(place, at) == 0)
			place = NULL;
		line = next;
	}
	return place;
}

static int unmount_all(dev_t device, struct arena *arena, struct error *e)
{
	for (int i = 0; i < MOUNTS_MAX; i++) {
		const char *place = find_mount(device, arena);

		if (!place)
			return 0;
		if (umount2(place, UMOUNT_NOFOLLOW | MNT_DETACH) && errno != EINVAL)
			return error_set(e, ERROR_IO, NO_PLACE, "cannot unmount %s: %s", place,
					 strerror(errno));
	}
	return error_set(e, ERROR_LIMIT, NO_PLACE, "more than %d mounts of device %u:%u",
			 MOUNTS_MAX, major(device), minor(device));
}

static int remove_device(int control, const char *name, struct error *e)
{
	nanos end = process_now() + WAIT;

	for (;;) {
		if (dm_control_remove(control, name, false) == 0 || errno == ENXIO)
			return 0;
		if (errno != EBUSY || process_now() >= end)
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
					 "cannot remove the device %s: %s", name, strerror(errno));
		process_pause(PAUSE);
	}
}

static int undo_device(int control, const char *name, const char *file, struct error *e)
{
	struct arena arena = {0};
	struct dm_info info;
	int rc = 0;

	if (dm_control_info(control, name, &info) == 0) {
		heal(control, name, file, &arena);
		rc = unmount_all(info.device, &arena, e) || remove_device(control, name, e) ? -1
											    : 0;
	} else if (errno != ENXIO) {
		rc = error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot look at the device %s: %s",
			       name, strerror(errno));
	}
	arena_free(&arena);
	return rc;
}

int dm_undo_mapper(const struct journal *journal, const struct undo *undo, struct error *e)
{
	const char *name = undo->path + strlen(DM_FOLDER);
	int control, rc;

	if (strncmp(undo->path, DM_FOLDER, strlen(DM_FOLDER)) != 0 ||
	    !dm_is_of_run(name, journal->run) || strlen(name) > DM_NAME_MAX)
		return error_set(e, ERROR_USAGE, NO_PLACE, "%s is no device of this run",
				 undo->path);
	if (!undo_is_below(undo->from, journal->work))
		return error_set(e, ERROR_USAGE, NO_PLACE, "%s is not in the work folder",
				 undo->from);
	/* Without the kernel's module there is no device. */
	if (!dm_control_loaded())
		return 0;
	if (dm_control_open(&control, e))
		return -1;
	rc = undo_device(control, name, undo->from, e);
	close(control);
	return rc;
}

int dm_undo_loop(const struct journal *journal, const struct undo *undo, struct error *e)
{
	if (!undo_is_below(undo->path, journal->work))
		return error_set(e, ERROR_USAGE, NO_PLACE, "%s is not in the work folder",
				 undo->path);
	return loopdev_detach(undo->path, WAIT, e);
}

/* ---- what is left ---- */

static void find_devices(const struct journal *journal,
			 void (*add)(void *self, const char *what, const char *which), void *self)
{
	const char **names;
	int control;

	/* Whoever may not ask cannot have made one either. */
	if (!dm_control_loaded() || dm_control_open(&control, NULL))
		return;
	if (dm_control_list(control, journal->arena, &names) == 0)
		for (; *names; names++)
			if (dm_is_of_run(*names, journal->run))
				add(self, "device-mapper device", *names);
	close(control);
}

void dm_find(const struct journal *journal,
	     void (*add)(void *self, const char *what, const char *which), void *self)
{
	struct loopdev_seen *loops;
	size_t count;

	find_devices(journal, add, self);
	count = journal->work ? loopdev_list(journal->arena, &loops) : 0;
	for (size_t i = 0; i < count; i++)
		if (undo_is_below(loops[i].file, journal->work))
			add(self, "loop device",
			    arena_printf(journal->arena, "/dev/loop%u of %s", loops[i].number,
					 loops[i].file));
}
