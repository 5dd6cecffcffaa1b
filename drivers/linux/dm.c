/* SPDX-License-Identifier: Apache-2.0 */
/* Disks of device-mapper: made, broken while they are used, and removed. */
#include "drivers/linux/dm.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "drivers/host/process.h"
#include "drivers/host/undo.h"
#include "drivers/linux/dm_control.h"
#include "drivers/linux/dm_private.h"
#include "drivers/linux/dm_undo.h"

#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyz0123456789_"
#define STAT_ROOM 512
#define STAT_READS 0 /* fields of a block device's stat: requests that came back */
#define STAT_WRITES 4

static int fail(struct error *e, const struct dm *dm, const char *what)
{
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "disk %s: cannot %s: %s", dm->name, what,
			 strerror(errno));
}

const char *dm_path(const struct dm *dm)
{
	return dm->path;
}

const char *dm_name(const struct dm *dm)
{
	return dm->name;
}

uint64_t dm_sectors(const struct dm *dm)
{
	return dm->sectors;
}

/* ---- tables ---- */

/* The target of this table that the kernel does not have; DM_TARGETS: it has all. */
static enum dm_target missing(const struct dm *dm, const struct dm_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		if (!dm_control_has(dm->control, table->rows[i].target))
			return table->rows[i].target;
	return DM_TARGETS;
}

static int cannot_load(const struct dm *dm, const struct dm_table *table, struct error *e)
{
	int kept = errno;
	enum dm_target target = missing(dm, table);

	if (target != DM_TARGETS)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "this kernel's device-mapper has no target '%s' (dm_%s)",
				 dm_target_names[target], dm_target_names[target]);
	errno = kept;
	return fail(e, dm, "load a table");
}

/* Nothing has changed when it fails. */
static int put_in_force(struct dm *dm, const struct dm_table *table, struct error *e)
{
	char device[LOOP_DEVICE_MAX];

	/* Here and nowhere else is a table loaded: whatever lies below it is ours. */
	if (loopdev_require(dm->loop, dm->file, device, e))
		return -1;
	assert(strcmp(device, dm->device) == 0);
	if (dm_control_load(dm->control, dm->name, table))
		return cannot_load(dm, table, e);
	if (dm_control_suspend(dm->control, dm->name)) {
		fail(e, dm, "suspend it");
		dm_control_clear(dm->control, dm->name);
		return -1;
	}
	if (dm_control_resume(dm->control, dm->name)) {
		fail(e, dm, "resume it");
		dm_control_clear(dm->control, dm->name);
		dm_control_resume(dm->control, dm->name);
		return -1;
	}
	return 0;
}

/* ---- bad blocks by dust ---- */

static int tell_dust(struct dm *dm, const char *word, struct error *e)
{
	if (dm_control_message(dm->control, dm->name, 0, word, NULL))
		return fail(e, dm, "send a message to it");
	return 0;
}

static int tell_blocks(struct dm *dm, const char *word, struct dm_range range, struct error *e)
{
	uint64_t sectors = dm_fault_block(&dm->fault) / DM_SECTOR;
	char text[64];

	for (uint64_t at = range.first; at < range.first + range.count; at += sectors) {
		snprintf(text, sizeof(text), "%s %llu", word, (unsigned long long)(at / sectors));
		/* EINVAL: it is bad already, or a write has mended it before. */
		if (dm_control_message(dm->control, dm->name, 0, text, NULL) && errno != EINVAL)
			return fail(e, dm, "send a message to it");
	}
	return 0;
}

static int start_dust(struct dm *dm, struct error *e)
{
	/* Else each bad block is a line in the host's kernel log. */
	if (tell_dust(dm, "quiet", e))
		return -1;
	for (size_t i = 0; i < dm->fault.range_count; i++)
		if (tell_blocks(dm, "addbadblock", dm->fault.ranges[i], e))
			return -1;
	return tell_dust(dm, "enable", e);
}

/* ---- faults ---- */

static int set_by(struct dm *dm, const struct dm_fault *fault, bool dust, struct error *e)
{
	struct arena next = {0};
	struct dm_table table;

	dm_table_build(fault, dust, dm->device, dm->sectors, &next, &table);
	if (put_in_force(dm, &table, e)) {
		arena_free(&next);
		return -1;
	}
	arena_free(&dm->table_arena);
	dm->table_arena = next;
	dm->table = table;
	dm->fault = *fault;
	dm->dust = dust;
	return dust ? start_dust(dm, e) : 0;
}

static int require_effect(struct dm *dm, struct error *e)
{
	struct dm_look look;

	if (dm_look(dm, &look, e))
		return -1;
	if (!look.stands)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "disk %s: the kernel's table is not the one that was loaded",
				 dm->name);
	return 0;
}

int dm_set(struct dm *dm, const struct dm_fault *fault, struct error *e)
{
	struct error why = {0};

	if (dm_fault_check(fault, dm->sectors, e))
		return -1;
	if (fault->kind == DM_FAULT_BADBLOCKS && !dm->no_dust) {
		if (set_by(dm, fault, true, &why) == 0)
			return require_effect(dm, e);
		if (dm_control_has(dm->control, DM_DUST))
			return error_set(e, why.kind, NO_PLACE, "%s", why.text);
		dm->no_dust = true;
	}
	if (set_by(dm, fault, false, e))
		return -1;
	return require_effect(dm, e);
}

static int change_bad(struct dm *dm, struct dm_range range, bool more, struct error *e)
{
	struct dm_fault fault = dm->fault;

	if (fault.kind != DM_FAULT_BADBLOCKS)
		return error_set(e, ERROR_USAGE, NO_PLACE, "disk %s: no fault of bad blocks stands",
				 dm->name);
	if (range.count == 0 || range.first >= dm->sectors ||
	    range.count > dm->sectors - range.first)
		return error_set(e, ERROR_USAGE, NO_PLACE, "disk %s: a range is not on the device",
				 dm->name);
	if (more ? dm_range_add(&fault, range, e) : dm_range_remove(&fault, range, e))
		return -1;
	if (dm_fault_check(&fault, dm->sectors, e))
		return -1;
	if (!dm->dust)
		return set_by(dm, &fault, false, e) ? -1 : require_effect(dm, e);
	/* The list of the kernel stays: writes may have mended some of it. */
	dm->fault = fault;
	return tell_blocks(dm, more ? "addbadblock" : "removebadblock", range, e);
}

int dm_add_bad(struct dm *dm, struct dm_range range, struct error *e)
{
	return change_bad(dm, range, true, e);
}

int dm_remove_bad(struct dm *dm, struct dm_range range, struct error *e)
{
	return change_bad(dm, range, false, e);
}

const char *dm_mechanism(const struct dm *dm)
{
	enum dm_target target = DM_LINEAR;

	for (size_t i = 0; i < dm->table.count; i++)
		if (dm->table.rows[i].target != DM_LINEAR)
			target = dm->table.rows[i].target;
	return dm_target_names[target];
}

/* ---- what the kernel says ---- */

static int read_counts(struct dm *dm, struct dm_look *ret, struct error *e)
{
	uint64_t fields[STAT_WRITES + 1];
	char path[64], text[STAT_ROOM];
	const char *at = text;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/stat", major(dm->number),
		 minor(dm->number));
	if (process_read_file(path, text, sizeof(text)) < 0)
		return fail(e, dm, "read its counters");
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		at += strspn(at, " ");
		fields[i] = process_number(&at);
	}
	ret->reads = fields[STAT_READS];
	ret->writes = fields[STAT_WRITES];
	return 0;
}

/* Blocks that are bad by the table, or by the list of dust. */
static int count_bad(struct dm *dm, const struct dm_table *found, struct dm_look *ret,
		     struct error *e)
{
	char answer[DM_ANSWER_MAX];
	uint64_t sectors = 0;

	if (dm->fault.kind != DM_FAULT_BADBLOCKS)
		return 0;
	if (dm->dust) {
		if (dm_control_message(dm->control, dm->name, 0, "countbadblocks", answer))
			return fail(e, dm, "count its bad blocks");
		if (!dm_answer_count(answer, &ret->bad))
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
					 "disk %s: this kernel does not tell how many blocks are "
					 "bad",
					 dm->name);
		return 0;
	}
	for (size_t i = 0; i < found->count; i++)
		if (found->rows[i].target == DM_ERROR)
			sectors += found->rows[i].count;
	ret->bad = sectors / (dm_fault_block(&dm->fault) / DM_SECTOR);
	return 0;
}

static int read_statuses(struct dm *dm, struct arena *arena, struct dm_look *ret, struct error *e)
{
	struct dm_table statuses;

	if (dm_control_table(dm->control, dm->name, true, arena, &statuses))
		return fail(e, dm, "read its status");
	for (size_t i = 0; i < statuses.count; i++) {
		const struct dm_row *row = &statuses.rows[i];
		uint64_t waiting = 0;
		bool fine = true;

		if (row->target == DM_DELAY)
			fine = dm_status_waiting(row->params, &waiting);
		else if (row->target == DM_DUST)
			ret->stands = dm_status_dusty(row->params, &fine) && fine && ret->stands;
		if (!fine && row->target == DM_DELAY)
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
					 "disk %s: no status of a delay: '%s'", dm->name,
					 row->params);
		ret->waiting += waiting;
	}
	return 0;
}

int dm_look(struct dm *dm, struct dm_look *ret, struct error *e)
{
	struct arena arena = {0};
	struct dm_look look = {0};
	struct dm_table found;
	struct dm_info info;
	int rc = -1;

	if (dm_control_info(dm->control, dm->name, &info) ||
	    dm_control_table(dm->control, dm->name, false, &arena, &found)) {
		fail(e, dm, "look at it");
		goto out;
	}
	look.suspended = info.suspended;
	look.stands = !info.suspended && dm_table_same(&dm->table, &found);
	if (read_statuses(dm, &arena, &look, e) || read_counts(dm, &look, e) ||
	    count_bad(dm, &found, &look, e))
		goto out;
	*ret = look;
	rc = 0;
out:
	arena_free(&arena);
	return rc;
}

/* ---- making ---- */

static int copy_image(struct dm *dm, const char *image, uint64_t bytes, struct error *e)
{
	int from = open(image, O_RDONLY | O_CLOEXEC), rc = 0;
	uint64_t left = bytes;
	struct stat status;
	ssize_t got = 1;

	if (from < 0)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "%s: %s", image, strerror(errno));
	if (fstat(from, &status) || (uint64_t)status.st_size > bytes)
		rc = error_set(e, ERROR_USAGE, NO_PLACE, "%s is larger than the disk", image);
	while (rc == 0 && left > 0 && got > 0) {
		got = sendfile(dm->file, from, NULL, (size_t)left);
		if (got < 0)
			rc = fail(e, dm, "copy its content");
		left -= got > 0 ? (uint64_t)got : 0;
	}
	close(from);
	return rc;
}

static int make_file(struct dm *dm, const struct dm_config *config, struct error *e)
{
	dm->file_path = arena_printf(dm->arena, "%s/%s.disk", dm->journal->work, config->name);
	dm->file = open(dm->file_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (dm->file < 0)
		return fail(e, dm, "make its file");
	dm->owns_file = true;
	/* A full file system below would be an error that nobody has asked for. */
	if (fallocate(dm->file, 0, 0, (off_t)config->bytes) &&
	    (errno != EOPNOTSUPP || ftruncate(dm->file, (off_t)config->bytes)))
		return fail(e, dm, "give its file room");
	return config->image ? copy_image(dm, config->image, config->bytes, e) : 0;
}

static int note(struct dm *dm, enum undo_kind kind, const char *path, uint64_t *ret_number,
		struct error *e)
{
	struct undo undo = {.kind = kind, .path = path};

	if (!dm->journal)
		return 0;
	if (kind == UNDO_MAPPER)
		undo.from = dm->file_path;
	if (journal_add(dm->journal, &undo, e))
		return -1;
	*ret_number = undo.number;
	return 0;
}

static int make_loop(struct dm *dm, struct error *e)
{
	return note(dm, UNDO_LOOP, dm->file_path, &dm->loopdev_record, e) ||
			       loopdev_open(dm->file, dm->name, &dm->loop, e) ||
			       loopdev_require(dm->loop, dm->file, dm->device, e)
		       ? -1
		       : 0;
}

static bool is_device(const char *path, dev_t device)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISBLK(status.st_mode) && status.st_rdev == device;
}

/* Of devtmpfs, or where there is none one of our own. */
static int open_node(struct dm *dm, struct error *e)
{
	struct dm_info info;

	if (dm_control_info(dm->control, dm->name, &info))
		return fail(e, dm, "look at it");
	dm->number = info.device;
	dm->path = arena_printf(dm->arena, "/dev/dm-%u", minor(info.device));
	if (!is_device(dm->path, info.device) && dm->journal) {
		dm->path = arena_printf(dm->arena, "%s.dev", dm->file_path);
		if (mknod(dm->path, S_IFBLK | 0600, info.device))
			return fail(e, dm, "make its device file");
	}
	dm->fd = open(dm->path, O_RDONLY | O_CLOEXEC);
	/* When nobody has it open any more, ourselves included, the kernel removes it. */
	if (dm->fd < 0 || dm_control_remove(dm->control, dm->name, true))
		return fail(e, dm, "open it");
	return 0;
}

static int make_mapper(struct dm *dm, struct error *e)
{
	const struct dm_fault none = {.kind = DM_FAULT_NONE};
	const char *path = arena_printf(dm->arena, DM_FOLDER "%s", dm->name);

	if (note(dm, UNDO_MAPPER, path, &dm->mapper_record, e))
		return -1;
	if (dm_control_create(dm->control, dm->name))
		return fail(e, dm, "make its device");
	return set_by(dm, &none, false, e) || open_node(dm, e) ? -1 : 0;
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int dm_private_begin(struct dm *dm, struct error *e)
{
	struct stat status;

	if (fstat(dm->file, &status))
		return fail(e, dm, "look at its file");
	dm->sectors = (uint64_t)status.st_size / DM_SECTOR;
	if (dm_control_open(&dm->control, e))
		return -1;
	return make_loop(dm, e) || make_mapper(dm, e) ? -1 : 0;
}

int dm_private_end(struct dm *dm, struct error *e)
{
	const struct dm_fault none = {.kind = DM_FAULT_NONE};
	int rc = 0;

	/* What is still to be written must meet a disk that is in order, and not wait for good. */
	if (dm->fd >= 0 && dm->fault.kind != DM_FAULT_NONE)
		set_by(dm, &none, false, NULL);
	close_one(&dm->fd);
	if (dm->mapper_record > 0)
		rc |= undo_number(dm->journal, dm->mapper_record, e);
	close_one(&dm->loop);
	if (dm->loopdev_record > 0)
		rc |= undo_number(dm->journal, dm->loopdev_record, e);
	close_one(&dm->control);
	close_one(&dm->file);
	arena_free(&dm->table_arena);
	return rc ? -1 : 0;
}

int dm_open(const struct dm_config *config, struct journal *journal, struct arena *arena,
	    struct dm **ret_dm, struct error *e)
{
	struct dm *dm = arena_alloc(arena, sizeof(*dm));
	size_t length = strlen(config->name);

	if (length == 0 || length > DM_SHORT_MAX || strspn(config->name, NAME_LETTERS) != length)
		return error_set(e, ERROR_USAGE, NO_PLACE, "no name of a disk: '%s'", config->name);
	if (config->bytes < DM_DISK_MIN || config->bytes > DM_DISK_MAX ||
	    config->bytes % DM_BLOCK_PRESET)
		return error_set(e, ERROR_USAGE, NO_PLACE,
				 "disk %s: a size from 64 KiB to 1 TiB, a multiple of 4096 bytes",
				 config->name);
	*dm = (struct dm){
		.arena = arena,
		.journal = journal,
		.name = arena_printf(arena, "drsim-%s-%s", journal->run, config->name),
		.file = -1,
		.loop = -1,
		.control = -1,
		.fd = -1,
	};
	if (make_file(dm, config, e) || dm_private_begin(dm, e)) {
		dm_close(dm, NULL);
		return -1;
	}
	*ret_dm = dm;
	return 0;
}

int dm_close(struct dm *dm, struct error *e)
{
	if (dm_private_end(dm, e))
		return -1;
	if (dm->owns_file && unlink(dm->file_path) && errno != ENOENT)
		return fail(e, dm, "remove its file");
	if (dm->path && strncmp(dm->path, "/dev/", strlen("/dev/")) != 0 && unlink(dm->path) &&
	    errno != ENOENT)
		return fail(e, dm, "remove its device file");
	return 0;
}

/* ---- file systems ---- */

int dm_mount(struct dm *dm, const char *type, const char *folder, struct error *e)
{
	size_t length = strlen(dm->journal->work);

	if (strncmp(folder, dm->journal->work, length) != 0 || folder[length] != '/' ||
	    strstr(folder, "/../"))
		return error_set(e, ERROR_USAGE, NO_PLACE, "%s is not in the work folder", folder);
	if (mount(dm->path, folder, type, MS_NOSUID | MS_NODEV, NULL))
		return fail(e, dm, "mount it");
	dm->mounted_at = arena_strdup(dm->arena, folder);
	return 0;
}

int dm_unmount(struct dm *dm, struct error *e)
{
	if (!dm->mounted_at)
		return 0;
	if (umount2(dm->mounted_at, UMOUNT_NOFOLLOW) && errno != EINVAL)
		return fail(e, dm, "unmount it");
	dm->mounted_at = NULL;
	/* We have it open: the kernel would keep what it thinks is written, and the next mount see
	 * it in the place of what is on the disk. */
	if (ioctl(dm->fd, BLKFLSBUF, 0))
		return fail(e, dm, "forget what is cached of it");
	return 0;
}
