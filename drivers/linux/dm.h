/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk of the drill's own that can be broken: a file in the run's work folder, a loop device over
 * it, and over that a device of the kernel's device-mapper, whose table is changed while it is
 * used.
 *
 *   fault      by                                    does
 *   error      target error, or rows of it           reads and writes fail with EIO
 *   flakey     target flakey                         the same, or writes are lost, fail, or bytes
 *                                                    change; for `down` of each `up` + `down`
 *   badblocks  target dust; else rows of error       reads fail with EIO; dust: a write mends
 *   delay      target delay                          later, told apart by read, write and flush
 *
 * This is a mechanism with its probe (`drsim doctor`), its undo and its residue scan. No driver
 * uses it: the driver `process` breaks disks by the FUSE layer (fuse.h), which needs neither root
 * nor dm_mod, and leaves the data below it readable for what backs them up, which a disk does not.
 *
 * Nothing but such a loop device is ever touched: before each table is loaded the device below must
 * be a loop device (by its major number) over the file that was made here (by its inode).
 *
 * Whoever dies: the loop device goes when nobody holds it open (autoclear), and so does the device
 * above it (deferred removal), so that a disk that is not mounted is gone with this process. What
 * is mounted, or suspended, is undone by the records UNDO_LOOP and UNDO_MAPPER, which stand in the
 * journal before. There is no lease: a fault lasts until it is changed, or until that.
 *
 * Linux 5.8; CAP_SYS_ADMIN on the host, in no user namespace. One thread at a time.
 */
#ifndef DRIVERS_LINUX_DM_H
#define DRIVERS_LINUX_DM_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/error.h"
#include "drivers/host/journal.h"
#include "drivers/linux/dm_table.h"

#define DM_DISK_MIN ((uint64_t)1 << 16) /* bytes */
#define DM_DISK_MAX ((uint64_t)1 << 40)
#define DM_SHORT_MAX 16 /* bytes of a disk's name */

struct dm_config {
	const char *name; /* [a-z0-9_]: the device is drsim-RUN-NAME, the file WORK/NAME.disk */
	uint64_t bytes;   /* whole sectors */
	/* A file whose content it begins with, such as one that mke2fs has made; it is copied, and
	 * may be shorter. NULL: zeros. */
	const char *image;
};

struct dm;

/* *ret_why: "errors, bad blocks, …", or why not. Tried for real with a disk in memory, which the
 * kernel removes by itself. Changes nothing else; may load the kernel's modules. */
bool dm_probe(struct arena *arena, const char **ret_why);

/* In order, without a fault. ERROR_UNAVAILABLE: no device-mapper, no loop devices, no right. */
int dm_open(const struct dm_config *config, struct journal *journal, struct arena *arena,
	    struct dm **ret_dm, struct error *e);
/* Mended, unmounted and removed, with its file. ERROR_UNAVAILABLE: somebody has it open; then all
 * that is left stays in the journal. */
int dm_close(struct dm *dm, struct error *e);

const char *dm_path(const struct dm *dm); /* of the block device */
const char *dm_name(const struct dm *dm); /* drsim-RUN-NAME */
uint64_t dm_sectors(const struct dm *dm);

/*
 * Mounts it at a folder in the work folder, in this process's mount namespace. UNDO_MAPPER unmounts
 * it too. In another namespace (a machine's) it may be mounted by its path.
 */
int dm_mount(struct dm *dm, const char *type, const char *folder, struct error *e);
/* What the kernel has cached of it is forgotten, written or not: the next mount sees the disk. */
int dm_unmount(struct dm *dm, struct error *e);

/*
 * Another fault from now on, or none; in force when it returns, and read back from the kernel.
 * Requests under way are waited for. What a file system has not written yet it writes later, and
 * meets the fault. ERROR_USAGE: makes no sense; ERROR_UNAVAILABLE: the kernel lacks the target.
 */
int dm_set(struct dm *dm, const struct dm_fault *fault, struct error *e);
/* While BADBLOCKS stands: more of them, or fewer. */
int dm_add_bad(struct dm *dm, struct dm_range range, struct error *e);
int dm_remove_bad(struct dm *dm, struct dm_range range, struct error *e);

/* The target that makes the fault: "dust", "error", …; "linear": there is none. */
const char *dm_mechanism(const struct dm *dm);

/* What the kernel says. */
struct dm_look {
	bool stands;            /* the table in force is the one that was asked for */
	bool suspended;         /* all requests wait */
	uint64_t reads, writes; /* requests that went through it; not those that it failed */
	uint64_t waiting;       /* requests that the target delay holds now */
	uint64_t bad;           /* BADBLOCKS: blocks now; dust: less those that writes mended */
};

int dm_look(struct dm *dm, struct dm_look *ret, struct error *e);

#endif
