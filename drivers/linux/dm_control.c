/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of the kernel's device-mapper. */
#include "drivers/linux/dm_control.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "drivers/host/process.h"

#define CONTROL "/dev/" DM_DIR "/" DM_CONTROL_NODE
#define MISC "/proc/misc"
#define ANSWER_ROOM ((size_t)16 << 10)    /* of what the kernel tells, at first, */
#define ANSWER_ROOM_MAX ((size_t)8 << 20) /* and at most */
#define ALIGNED(size) (((size) + 7) & ~(size_t)7)

_Static_assert(DM_NAME_MAX == DM_NAME_LEN - 1, "the kernel's names");

/* A call's memory: the head, and `room` bytes behind it. */
static struct dm_ioctl *begin(struct arena *arena, const char *name, size_t room)
{
	size_t size = ALIGNED(sizeof(struct dm_ioctl)) + room;
	struct dm_ioctl *call = arena_alloc(arena, size);

	assert(strlen(name) <= DM_NAME_MAX && size <= UINT32_MAX);
	/* Every kernel since 2.6 takes it: newer parts of the interface are asked for by flags. */
	call->version[0] = DM_VERSION_MAJOR;
	call->data_size = (uint32_t)size;
	call->data_start = (uint32_t)ALIGNED(sizeof(struct dm_ioctl));
	snprintf(call->name, sizeof(call->name), "%s", name);
	return call;
}

static void *data_of(struct dm_ioctl *call)
{
	return (char *)call + ALIGNED(sizeof(struct dm_ioctl));
}

/* A call that neither takes nor gives anything but its flags. */
static int plain(int fd, unsigned long request, const char *name, uint32_t flags,
		 struct dm_ioctl *ret)
{
	struct arena arena = {0};
	struct dm_ioctl *call = begin(&arena, name, 0);
	int rc, kept;

	call->flags = flags;
	rc = ioctl(fd, request, call);
	kept = errno;
	if (rc == 0 && ret)
		*ret = *call;
	arena_free(&arena);
	errno = kept;
	return rc ? -1 : 0;
}

/* ---- is it there? ---- */

bool dm_control_loaded(void)
{
	struct arena arena = {0};
	const char *text = process_read_text(MISC, &arena);
	bool loaded = text && strstr(text, " device-mapper\n") != NULL;

	arena_free(&arena);
	return loaded;
}

int dm_control_open(int *ret_fd, struct error *e)
{
	int fd = open(CONTROL, O_RDWR | O_CLOEXEC);

	if (fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO) &&
	    !dm_control_loaded())
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "this kernel has no device-mapper (dm_mod), or it is not loaded");
	if (fd < 0)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "%s: %s", CONTROL,
				 strerror(errno));
	if (plain(fd, DM_VERSION, "", 0, NULL)) {
		error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "device-mapper: %s", strerror(errno));
		close(fd);
		return -1;
	}
	*ret_fd = fd;
	return 0;
}

/* A call whose answer may need more room than it has. */
static struct dm_ioctl *ask(int fd, unsigned long request, const char *name, uint32_t flags,
			    struct arena *arena)
{
	for (size_t room = ANSWER_ROOM; room <= ANSWER_ROOM_MAX; room *= 4) {
		struct dm_ioctl *call = begin(arena, name, room);

		call->flags = flags;
		if (ioctl(fd, request, call))
			return NULL;
		if (!(call->flags & DM_BUFFER_FULL_FLAG))
			return call;
	}
	errno = EOVERFLOW;
	return NULL;
}

/* The text at `at`, if it ends within the answer. */
static const char *text_at(const struct dm_ioctl *call, size_t at)
{
	const char *text = (const char *)call + at;

	return at < call->data_size && memchr(text, '\0', call->data_size - at) ? text : NULL;
}

bool dm_control_has(int fd, enum dm_target target)
{
	struct arena arena = {0};
	struct dm_ioctl *call = ask(fd, DM_LIST_VERSIONS, "", 0, &arena);
	size_t at = call ? call->data_start : 0;
	bool found = false;

	while (call && !found && at + sizeof(struct dm_target_versions) < call->data_size) {
		const struct dm_target_versions *one =
			(const struct dm_target_versions *)((const char *)call + at);
		const char *name = text_at(call, at + sizeof(*one));

		found = name && strcmp(name, dm_target_names[target]) == 0;
		if (one->next == 0)
			break;
		at += one->next;
	}
	arena_free(&arena);
	return found;
}

/* ---- devices ---- */

int dm_control_create(int fd, const char *name)
{
	return plain(fd, DM_DEV_CREATE, name, 0, NULL);
}

int dm_control_clear(int fd, const char *name)
{
	return plain(fd, DM_TABLE_CLEAR, name, 0, NULL);
}

int dm_control_suspend(int fd, const char *name)
{
	return plain(fd, DM_DEV_SUSPEND, name, DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG, NULL);
}

int dm_control_resume(int fd, const char *name)
{
	return plain(fd, DM_DEV_SUSPEND, name, DM_SKIP_LOCKFS_FLAG, NULL);
}

int dm_control_remove(int fd, const char *name, bool deferred)
{
	return plain(fd, DM_DEV_REMOVE, name, deferred ? DM_DEFERRED_REMOVE : 0, NULL);
}

int dm_control_info(int fd, const char *name, struct dm_info *ret)
{
	struct dm_ioctl call;

	if (plain(fd, DM_DEV_STATUS, name, 0, &call))
		return -1;
	*ret = (struct dm_info){
		.device = (dev_t)call.dev,
		.opens = call.open_count > 0 ? (uint32_t)call.open_count : 0,
		.suspended = call.flags & DM_SUSPEND_FLAG,
		.has_table = call.flags & DM_ACTIVE_PRESENT_FLAG,
	};
	return 0;
}

/* ---- tables ---- */

static size_t size_of(const struct dm_row *row)
{
	return ALIGNED(sizeof(struct dm_target_spec) + strlen(row->params) + 1);
}

int dm_control_load(int fd, const char *name, const struct dm_table *table)
{
	struct arena arena = {0};
	struct dm_ioctl *call;
	size_t room = 0;
	char *at;
	int rc, kept;

	for (size_t i = 0; i < table->count; i++)
		room += size_of(&table->rows[i]);
	call = begin(&arena, name, room);
	call->target_count = (uint32_t)table->count;
	at = data_of(call);
	for (size_t i = 0; i < table->count; i++) {
		const struct dm_row *row = &table->rows[i];
		struct dm_target_spec *spec = (struct dm_target_spec *)at;

		assert(row->target < DM_TARGETS);
		spec->sector_start = row->first;
		spec->length = row->count;
		spec->next = (uint32_t)size_of(row);
		snprintf(spec->target_type, sizeof(spec->target_type), "%s",
			 dm_target_names[row->target]);
		memcpy(at + sizeof(*spec), row->params, strlen(row->params) + 1);
		at += size_of(row);
	}
	rc = ioctl(fd, DM_TABLE_LOAD, call);
	kept = errno;
	arena_free(&arena);
	errno = kept;
	return rc ? -1 : 0;
}

int dm_control_table(int fd, const char *name, bool status, struct arena *arena,
		     struct dm_table *ret)
{
	struct dm_ioctl *call =
		ask(fd, DM_TABLE_STATUS, name, status ? 0 : DM_STATUS_TABLE_FLAG, arena);
	size_t at;

	if (!call)
		return -1;
	at = call->data_start;
	*ret = (struct dm_table){
		.rows = arena_array(arena, call->target_count + 1, sizeof(*ret->rows)),
	};
	for (uint32_t i = 0; i < call->target_count; i++) {
		const struct dm_target_spec *spec =
			(const struct dm_target_spec *)((const char *)call + at);
		struct dm_row *row = &ret->rows[ret->count++];
		const char *text = text_at(call, at + sizeof(*spec));

		if (!text || strlen(text) >= sizeof(row->params) ||
		    !memchr(spec->target_type, '\0', sizeof(spec->target_type))) {
			errno = EPROTO;
			return -1;
		}
		row->first = spec->sector_start;
		row->count = spec->length;
		row->target = dm_target_of(spec->target_type);
		memcpy(row->params, text, strlen(text) + 1);
		/* From the first one on, not from the last. */
		at = call->data_start + spec->next;
	}
	return 0;
}

int dm_control_message(int fd, const char *name, uint64_t sector, const char *text, char *answer)
{
	struct arena arena = {0};
	struct dm_ioctl *call = begin(&arena, name, ANSWER_ROOM);
	struct dm_target_msg *message = data_of(call);
	const char *said = NULL;
	int rc, kept;

	assert(strlen(text) < ANSWER_ROOM - sizeof(*message));
	message->sector = sector;
	memcpy(message->message, text, strlen(text) + 1);
	rc = ioctl(fd, DM_TARGET_MSG, call);
	kept = errno;
	if (rc == 0 && call->flags & DM_DATA_OUT_FLAG)
		said = text_at(call, call->data_start);
	if (answer)
		snprintf(answer, DM_ANSWER_MAX, "%s", said ? said : "");
	arena_free(&arena);
	errno = kept;
	return rc ? -1 : 0;
}

int dm_control_list(int fd, struct arena *arena, const char ***ret)
{
	struct dm_ioctl *call = ask(fd, DM_LIST_DEVICES, "", 0, arena);
	const char **names = NULL;
	size_t count = 0, capacity = 0, at;

	if (!call)
		return -1;
	for (at = call->data_start; at + sizeof(struct dm_name_list) < call->data_size;) {
		const struct dm_name_list *one =
			(const struct dm_name_list *)((const char *)call + at);
		const char *name = text_at(call, at + offsetof(struct dm_name_list, name));

		/* With device number 0 it says that there is none. */
		if (one->dev == 0 || !name)
			break;
		names = arena_grow(arena, names, count, &capacity, sizeof(*names));
		names[count++] = name;
		if (one->next == 0)
			break;
		at += one->next;
	}
	names = arena_grow(arena, names, count, &capacity, sizeof(*names));
	names[count] = NULL;
	*ret = names;
	return 0;
}
