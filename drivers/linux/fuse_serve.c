/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that serves a layer: reads what the kernel asks, lets the faults decide before it is
 * done, keeps what has to wait, and takes orders of other threads. The kernel's messages wait as
 * they are: nothing is kept of an operation that is half done.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "drivers/host/process.h"
#include "drivers/linux/fuse_private.h"

#define LOOK_AGAIN (20 * NANOS_MS) /* whether a program that waits was killed */
#define STATUS_MAX 4096
#define BIT(slot) ((uint32_t)1 << (slot))
#define SIGKILL_BIT (UINT64_C(1) << (SIGKILL - 1))

/* ---- which faults an operation is in the reach of ---- */

uint32_t fuse_paths_of(struct fuse_layer *layer, struct fuse_node *node, const char *name)
{
	char path[FUSE_PATH_MAX];

	if (layer->rules.standing == 0)
		return 0;
	if (!name && node->epoch == layer->nodes.epoch)
		return node->paths;
	/* A path that is too long is one that no pattern speaks of. */
	if (!nodes_path(&layer->nodes, node, name, path))
		path[0] = '\0';
	if (name)
		return fuse_rules_paths(&layer->rules, path, NULL);
	node->paths = fuse_rules_paths(&layer->rules, path, NULL);
	node->hash = fuse_path_hash(path);
	node->epoch = layer->nodes.epoch;
	return node->paths;
}

/* ---- what a message asks for ---- */

/* A message of the kernel, cut into its parts. */
struct message {
	const struct fuse_in_header *head;
	const unsigned char *body;
	size_t size; /* of the body */
	struct fuse_operation operation;
	struct fuse_handle *handle; /* of a write */
};

/* The text at an offset of the body; NULL: it does not end in it. */
static const char *text_at(const struct message *message, size_t offset)
{
	if (offset >= message->size ||
	    !memchr(message->body + offset, '\0', message->size - offset))
		return NULL;
	return (const char *)message->body + offset;
}

static uint32_t name_paths(struct fuse_layer *layer, const struct message *message, size_t offset)
{
	return fuse_paths_of(layer, nodes_at(&layer->nodes, message->head->nodeid),
			     text_at(message, offset));
}

static uint32_t rename_paths(struct fuse_layer *layer, const struct message *message, size_t offset,
			     uint64_t new_parent)
{
	const char *name = text_at(message, offset), *new_name;
	uint32_t paths = name_paths(layer, message, offset);

	new_name = name ? text_at(message, offset + strlen(name) + 1) : NULL;
	return paths | fuse_paths_of(layer, nodes_at(&layer->nodes, new_parent), new_name);
}

static bool is(struct message *message, enum fuse_method method, bool writes, uint32_t paths)
{
	message->operation.method = method;
	message->operation.writes = writes;
	message->operation.paths = paths;
	return true;
}

/* Operations on a name in a folder. */
static bool decode_name(struct fuse_layer *layer, struct message *message)
{
	const void *body = message->body;

	switch (message->head->opcode) {
	case FUSE_LOOKUP:
		return is(message, FUSE_ON_LOOKUP, false, name_paths(layer, message, 0));
	case FUSE_UNLINK:
		return is(message, FUSE_ON_UNLINK, true, name_paths(layer, message, 0));
	case FUSE_RMDIR:
		return is(message, FUSE_ON_RMDIR, true, name_paths(layer, message, 0));
	case FUSE_SYMLINK:
		return is(message, FUSE_ON_SYMLINK, true, name_paths(layer, message, 0));
	case FUSE_MKNOD:
		return is(message, FUSE_ON_MKNOD, true,
			  name_paths(layer, message, sizeof(struct fuse_mknod_in)));
	case FUSE_MKDIR:
		return is(message, FUSE_ON_MKDIR, true,
			  name_paths(layer, message, sizeof(struct fuse_mkdir_in)));
	case FUSE_CREATE:
		return is(message, FUSE_ON_CREATE, true,
			  name_paths(layer, message, sizeof(struct fuse_create_in)));
	case FUSE_LINK:
		return is(message, FUSE_ON_LINK, true,
			  name_paths(layer, message, sizeof(struct fuse_link_in)));
	case FUSE_RENAME:
		return is(message, FUSE_ON_RENAME, true,
			  rename_paths(layer, message, sizeof(struct fuse_rename_in),
				       ((const struct fuse_rename_in *)body)->newdir));
	case FUSE_RENAME2:
		return is(message, FUSE_ON_RENAME, true,
			  rename_paths(layer, message, sizeof(struct fuse_rename2_in),
				       ((const struct fuse_rename2_in *)body)->newdir));
	default:
		return false;
	}
}

static void range_of(struct message *message, uint64_t offset, uint64_t size)
{
	message->operation.offset = offset;
	message->operation.size = size;
}

/* Operations on what is open, or on a node. */
static bool decode_node(struct message *message, uint32_t paths)
{
	const void *body = message->body;
	const struct fuse_read_in *read_in = body;
	const struct fuse_write_in *write_in = body;
	const struct fuse_open_in *open_in = body;
	const struct fuse_fallocate_in *allocate = body;
	const struct fuse_setattr_in *set = body;

	switch (message->head->opcode) {
	case FUSE_READ:
		range_of(message, read_in->offset, read_in->size);
		return is(message, FUSE_ON_READ, false, paths);
	case FUSE_WRITE:
		range_of(message, write_in->offset, write_in->size);
		message->handle = (struct fuse_handle *)(uintptr_t)write_in->fh;
		return is(message, FUSE_ON_WRITE, true, paths);
	case FUSE_FALLOCATE:
		range_of(message, allocate->offset, allocate->length);
		return is(message, FUSE_ON_ALLOCATE, true, paths);
	case FUSE_FSYNC:
	case FUSE_FSYNCDIR:
		return is(message, FUSE_ON_FSYNC, false, paths);
	case FUSE_GETATTR:
		return is(message, FUSE_ON_GETATTR, false, paths);
	case FUSE_SETATTR:
		return is(message, set->valid & FATTR_SIZE ? FUSE_ON_TRUNCATE : FUSE_ON_SETATTR,
			  true, paths);
	case FUSE_OPEN:
		return is(message, FUSE_ON_OPEN, (open_in->flags & O_ACCMODE) != O_RDONLY, paths);
	case FUSE_OPENDIR:
	case FUSE_READDIR:
		return is(message, FUSE_ON_READDIR, false, paths);
	case FUSE_READLINK:
		return is(message, FUSE_ON_READLINK, false, paths);
	case FUSE_STATFS:
		return is(message, FUSE_ON_STATFS, false, paths);
	case FUSE_GETXATTR:
	case FUSE_LISTXATTR:
		return is(message, FUSE_ON_XATTR, false, paths);
	case FUSE_SETXATTR:
	case FUSE_REMOVEXATTR:
		return is(message, FUSE_ON_XATTR, true, paths);
	case FUSE_LSEEK:
	case FUSE_ACCESS:
		return is(message, FUSE_ON_OTHER, false, paths);
	default:
		return false;
	}
}

/* false: nothing that a program asked for, and that could fail. */
static bool decode(struct fuse_layer *layer, const unsigned char *bytes, size_t size,
		   struct message *message)
{
	const struct fuse_in_header *head = (const void *)bytes;

	*message = (struct message){
		.head = head,
		.body = bytes + sizeof(*head),
		.size = size - sizeof(*head),
	};
	if (decode_name(layer, message))
		return true;
	switch (head->opcode) {
	case FUSE_INIT:
	case FUSE_DESTROY:
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_FLUSH:
		return false;
	default:
		return decode_node(
			message, fuse_paths_of(layer, nodes_at(&layer->nodes, head->nodeid), NULL));
	}
}

/* ---- what is done at once, and what waits ---- */

static void process(struct fuse_layer *layer, unsigned char *bytes, size_t size)
{
	struct fuse_buf buf = {.size = size, .mem = bytes, .fd = -1};

	fuse_session_process_buf(layer->session, &buf);
}

static void fail(const struct fuse_layer *layer, uint64_t unique, int error)
{
	struct fuse_out_header out = {.len = sizeof(out), .error = -error, .unique = unique};

	/* ENOENT: its program does not wait any more. */
	while (write(layer->device, &out, sizeof(out)) < 0 && errno == EINTR)
		;
}

static void hold(struct fuse_layer *layer, const unsigned char *bytes, size_t size, nanos due,
		 const struct fuse_verdict *verdict)
{
	struct fuse_held *held, **at = &layer->held;

	if (atomic_load(&layer->held_count) >= FUSE_HELD_MAX ||
	    !(held = malloc(sizeof(*held) + size))) {
		fail(layer, ((const struct fuse_in_header *)(const void *)bytes)->unique, EIO);
		return;
	}
	*held = (struct fuse_held){
		.due = due, .hangs = verdict->hangs, .error = verdict->error, .size = size};
	memcpy(held->bytes, bytes, size);
	while (*at && (*at)->due <= due)
		at = &(*at)->next;
	held->next = *at;
	*at = held;
	atomic_fetch_add(&layer->held_count, 1);
}

static void let_go(struct fuse_layer *layer, struct fuse_held **at)
{
	struct fuse_held *held = *at;

	*at = held->next;
	free(held);
	atomic_fetch_sub(&layer->held_count, 1);
}

static uint64_t unique_of(const struct fuse_held *held)
{
	return ((const struct fuse_in_header *)(const void *)held->bytes)->unique;
}

static void fail_held(struct fuse_layer *layer, int error)
{
	while (layer->held) {
		fail(layer, unique_of(layer->held), error);
		let_go(layer, &layer->held);
	}
}

/* A write that may be torn. true: the crash comes, and it waits for it. */
static bool tear(struct fuse_layer *layer, const struct message *message)
{
	const struct fuse_write_in *in = (const void *)message->body;
	uint64_t offset = in->offset;
	struct stat status;

	if (message->operation.method != FUSE_ON_WRITE || !message->handle ||
	    message->size < sizeof(*in) + in->size)
		return false;
	if ((in->flags & O_APPEND) && !message->handle->mapped &&
	    fstat(message->handle->fd, &status) == 0)
		offset = (uint64_t)status.st_size;
	return torn_write(layer, message->operation.paths, message->handle->fd,
			  message->body + sizeof(*in), in->size, offset);
}

/* Whatever the faults had to say before is over; a message that waited is read again. */
static void do_it(struct fuse_layer *layer, unsigned char *bytes, size_t size,
		  const struct message *message)
{
	static const struct fuse_verdict crashed = {.error = EIO};
	struct message again;

	if (!message && decode(layer, bytes, size, &again))
		message = &again;
	if (message && (layer->rules.tracks & message->operation.paths) && tear(layer, message))
		hold(layer, bytes, size, NANOS_NEVER, &crashed);
	else
		process(layer, bytes, size);
}

/* Those whose time has come. */
static void release_due(struct fuse_layer *layer)
{
	nanos now = process_now();

	for (struct fuse_held **at = &layer->held; *at && (*at)->due <= now;) {
		struct fuse_held *held = *at;

		if (held->hangs || atomic_load(&layer->crashes)) {
			at = &held->next;
			continue;
		}
		/* Not in the list while it is done. */
		*at = held->next;
		if (held->error)
			fail(layer, unique_of(held), held->error);
		else
			do_it(layer, held->bytes, held->size, NULL);
		free(held);
		atomic_fetch_sub(&layer->held_count, 1);
	}
}

/* Is a SIGKILL on its way to this thread? true also when it cannot be seen. */
static bool is_killed(uint32_t thread)
{
	char path[64], text[STATUS_MAX];

	snprintf(path, sizeof(path), "/proc/%u/status", thread);
	if (thread == 0 || process_read_file(path, text, sizeof(text)) < 0)
		return true;
	for (const char *line = text; line; line = strchr(line, '\n')) {
		uint64_t signals = 0;

		line += *line == '\n';
		if (strncmp(line, "SigPnd:\t", 8) != 0 && strncmp(line, "ShdPnd:\t", 8) != 0)
			continue;
		for (const char *at = line + 8; *at && *at != '\n'; at++)
			signals = signals << 4 |
				  (uint64_t)(*at <= '9' ? *at - '0' : (*at | 32) - 'a' + 10);
		if (signals & SIGKILL_BIT)
			return true;
	}
	return false;
}

/*
 * A program that is killed while it waits here could not end: the kernel waits for the answer. To
 * one that just gets a signal a disk does not say EINTR.
 */
static bool answer_killed(struct fuse_layer *layer)
{
	bool interrupted = false;

	for (struct fuse_held **at = &layer->held; *at;) {
		const struct fuse_in_header *head = (const void *)(*at)->bytes;

		if ((*at)->interrupted && is_killed(head->pid)) {
			fail(layer, head->unique, EINTR);
			let_go(layer, at);
			continue;
		}
		interrupted = interrupted || (*at)->interrupted;
		at = &(*at)->next;
	}
	return interrupted;
}

static void interrupt(struct fuse_layer *layer, const unsigned char *bytes, size_t size)
{
	const struct fuse_interrupt_in *in = (const void *)(bytes + sizeof(struct fuse_in_header));

	if (size < sizeof(struct fuse_in_header) + sizeof(*in))
		return;
	for (struct fuse_held *held = layer->held; held; held = held->next)
		if (unique_of(held) == in->unique)
			held->interrupted = true;
}

static void serve_faulty(struct fuse_layer *layer, unsigned char *bytes, size_t size,
			 struct message *message)
{
	static const struct fuse_verdict crashed = {.error = EIO};
	struct fuse_verdict verdict;

	if (atomic_load(&layer->crashes)) {
		hold(layer, bytes, size, NANOS_NEVER, &crashed);
		return;
	}
	message->operation.now = process_now();
	verdict = fuse_rules_decide(&layer->rules, &message->operation);
	if (verdict.hangs || verdict.wait > 0)
		hold(layer, bytes, size, message->operation.now + verdict.wait, &verdict);
	else if (verdict.error)
		fail(layer, message->head->unique, verdict.error);
	else
		do_it(layer, bytes, size, message);
}

static void serve(struct fuse_layer *layer, unsigned char *bytes, size_t size)
{
	struct message message;

	if (size < sizeof(struct fuse_in_header))
		return;
	if (((const struct fuse_in_header *)(const void *)bytes)->opcode == FUSE_INTERRUPT) {
		interrupt(layer, bytes, size);
		return;
	}
	if (!decode(layer, bytes, size, &message)) {
		process(layer, bytes, size);
		return;
	}
	atomic_fetch_add_explicit(&layer->operations[message.operation.method], 1,
				  memory_order_relaxed);
	if (layer->rules.standing == 0 && !atomic_load(&layer->crashes))
		process(layer, bytes, size);
	else
		serve_faulty(layer, bytes, size, &message);
}

/* ---- orders ---- */

/* Content or names that nobody waits to see lost any more count as synced. */
static void settle(struct fuse_layer *layer)
{
	bool names = false;

	/* What a torn write brought is still to come. */
	if (atomic_load(&layer->crashes))
		return;
	for (size_t i = 0; i < FUSE_FAULTS_MAX; i++)
		names = names || ((layer->rules.standing & BIT(i)) &&
				  layer->rules.slots[i].fault.kind == FUSE_FAULT_LOST_FSYNC &&
				  !layer->rules.slots[i].fault.data_only);
	if (!names)
		lost_synced_names(&layer->lost);
	if (layer->rules.tracks == 0)
		lost_forget_all(&layer->lost);
}

/* With the lock. */
static void adopt(struct fuse_layer *layer)
{
	for (size_t i = 0; i < FUSE_FAULTS_MAX; i++) {
		struct fuse_slot *slot = &layer->slots[i];
		uint32_t had = layer->rules.slots[i].number;

		if (slot->stands && (slot->change > layer->seen || had != slot->number))
			fuse_rules_put(&layer->rules, i, slot->number, &slot->fault, &slot->tally);
		else if (!slot->stands)
			fuse_rules_drop(&layer->rules, i);
		if (slot->stands && slot->number == had)
			continue;
		for (struct fuse_held *held = layer->held; held; held = held->next)
			held->hangs &= ~BIT(i);
	}
	layer->seen = layer->adopted = atomic_load(&layer->generation);
	layer->nodes.epoch++;
	settle(layer);
	pthread_cond_broadcast(&layer->changed);
}

/* With the lock. */
static void crash(struct fuse_layer *layer)
{
	uint64_t drained;

	layer->loss = (struct fuse_loss){0};
	lost_crash(&layer->lost, &layer->loss);
	torn_persist(&layer->torn, &layer->loss);
	for (size_t i = 0; i < FUSE_FAULTS_MAX; i++) {
		struct fuse_rule *rule = &layer->rules.slots[i];

		if ((layer->rules.standing & BIT(i)) && rule->fault.kind == FUSE_FAULT_LOST_FSYNC)
			atomic_fetch_add(&rule->tally->acted,
					 layer->loss.files + layer->loss.names);
	}
	atomic_store(&layer->crashes, false);
	while (read(layer->wanted, &drained, sizeof(drained)) > 0)
		;
	fail_held(layer, EIO);
	layer->order = FUSE_ORDER_NONE;
	pthread_cond_broadcast(&layer->changed);
}

/* With the lock. When the next lease ends. */
static nanos end_leases(struct fuse_layer *layer, nanos now)
{
	nanos next = NANOS_NEVER;

	for (size_t i = 0; i < FUSE_FAULTS_MAX; i++) {
		struct fuse_slot *slot = &layer->slots[i];
		nanos end;

		if (!slot->stands || slot->fault.lease == 0)
			continue;
		end = atomic_load(&slot->renewed) + slot->fault.lease;
		if (end <= now) {
			slot->stands = false;
			atomic_fetch_add(&layer->generation, 1);
		} else if (end < next) {
			next = end;
		}
	}
	return next;
}

/* false: the end. */
static bool take_orders(struct fuse_layer *layer, nanos *ret_next)
{
	bool goes_on;

	pthread_mutex_lock(&layer->lock);
	*ret_next = end_leases(layer, process_now());
	if (atomic_load(&layer->generation) != layer->seen)
		adopt(layer);
	if (layer->order == FUSE_ORDER_CRASH)
		crash(layer);
	goes_on = layer->order != FUSE_ORDER_STOP;
	pthread_mutex_unlock(&layer->lock);
	return goes_on;
}

/* ---- the loop ---- */

/* 0: served or nothing there; -1: the connection has ended. */
static int read_one(struct fuse_layer *layer)
{
	ssize_t got = read(layer->device, layer->buffer, layer->buffer_size);

	if (got > 0)
		serve(layer, layer->buffer, (size_t)got);
	else if (got == 0 || (errno != EINTR && errno != EAGAIN && errno != ENOENT))
		return -1;
	return 0;
}

static nanos wake_at(const struct fuse_layer *layer, nanos leases, bool interrupted)
{
	nanos next = leases;

	if (layer->held && !atomic_load(&layer->crashes))
		for (const struct fuse_held *held = layer->held; held; held = held->next)
			if (!held->hangs) {
				next = held->due < next ? held->due : next;
				break;
			}
	if (interrupted) {
		nanos look = process_now() + LOOK_AGAIN;

		next = look < next ? look : next;
	}
	return next;
}

static void wait_for_work(struct fuse_layer *layer, nanos until, struct pollfd fds[2])
{
	struct timespec timeout = {0};
	nanos left = until == NANOS_NEVER ? NANOS_NEVER : until - process_now();

	if (left > 0 && left != NANOS_NEVER) {
		timeout.tv_sec = left / NANOS_S;
		timeout.tv_nsec = left % NANOS_S;
	}
	fds[0] = (struct pollfd){.fd = layer->device, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = layer->wake, .events = POLLIN};
	if (ppoll(fds, 2, left == NANOS_NEVER ? NULL : &timeout, NULL) < 0)
		fds[0].revents = fds[1].revents = 0;
}

static void loop(struct fuse_layer *layer)
{
	nanos leases = NANOS_NEVER;
	bool interrupted = false;

	for (;;) {
		struct pollfd fds[2];
		uint64_t drained;

		wait_for_work(layer, wake_at(layer, leases, interrupted), fds);
		if (fds[1].revents && read(layer->wake, &drained, sizeof(drained)) < 0)
			continue;
		/* The lock only when there is a reason: this is once an operation. */
		if ((fds[1].revents || atomic_load(&layer->generation) != layer->seen ||
		     (leases != NANOS_NEVER && process_now() >= leases)) &&
		    !take_orders(layer, &leases))
			return;
		if (atomic_load(&layer->generation) != layer->seen)
			continue;
		release_due(layer);
		if (fds[0].revents && read_one(layer))
			return;
		interrupted = answer_killed(layer);
	}
}

void *fuse_serve(void *self)
{
	struct fuse_layer *layer = self;
	struct error error = {0};

	/* A mask of its own: the kernel has applied the program's already. */
	if (unshare(CLONE_FS) == 0)
		umask(0);
	prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	if (fuse_layer_begin(layer, &error) == 0)
		loop(layer);
	pthread_mutex_lock(&layer->lock);
	layer->ended = true;
	layer->failure = error;
	pthread_cond_broadcast(&layer->changed);
	pthread_mutex_unlock(&layer->lock);
	fail_held(layer, EIO);
	return NULL;
}
