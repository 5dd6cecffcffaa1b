/* SPDX-License-Identifier: Apache-2.0 */
/* Torn writes: what of them persists is kept until the crash that they bring. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/linux/fuse_private.h"

void torn_forget(struct fuse_torn *torn)
{
	for (size_t i = 0; i < torn->count; i++)
		free(torn->parts[i].bytes);
	if (torn->fd >= 0)
		close(torn->fd);
	*torn = (struct fuse_torn){.fd = -1};
}

void torn_persist(struct fuse_torn *torn, struct fuse_loss *ret)
{
	struct stat status;
	bool has_name = torn->fd >= 0 && fstat(torn->fd, &status) == 0 && status.st_nlink > 0;

	for (size_t i = 0; i < torn->count && has_name; i++) {
		const struct fuse_torn_part *part = &torn->parts[i];

		if (pwrite(torn->fd, part->bytes, part->size, (off_t)part->offset) ==
		    (ssize_t)part->size)
			ret->torn++;
	}
	torn_forget(torn);
}

static void keep(struct fuse_torn *torn, int fd, const unsigned char *bytes, size_t size,
		 uint64_t offset)
{
	struct fuse_torn_part *part = &torn->parts[torn->count];

	if (torn->fd < 0)
		torn->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (torn->count == FUSE_PARTS_MAX || size == 0)
		return;
	part->bytes = malloc(size);
	if (!part->bytes)
		return; /* it does not persist: a crash may be so */
	memcpy(part->bytes, bytes, size);
	part->size = size;
	part->offset = offset;
	torn->count++;
}

/* From now on everything waits for the crash; the fault is spent. */
static void bring_crash(struct fuse_layer *layer, struct fuse_rule *rule)
{
	size_t slot = (size_t)(rule - layer->rules.slots);
	const uint64_t one = 1;

	fuse_rule_acted(rule);
	pthread_mutex_lock(&layer->lock);
	if (layer->slots[slot].number == rule->number)
		layer->slots[slot].stands = false;
	fuse_rules_drop(&layer->rules, slot);
	atomic_store(&layer->crashes, true);
	pthread_cond_broadcast(&layer->changed);
	pthread_mutex_unlock(&layer->lock);
	/* It can only fail where it is set already. */
	if (write(layer->wanted, &one, sizeof(one)) < 0 && errno != EAGAIN)
		abort();
}

static uint64_t wanted_occurrence(const struct fuse_fault *fault)
{
	return fault->occurrence > 0 ? fault->occurrence : 1;
}

static bool tear_one(struct fuse_layer *layer, struct fuse_rule *rule, int fd,
		     const unsigned char *bytes, size_t size, uint64_t offset)
{
	struct fuse_range parts[FUSE_PARTS_MAX];
	size_t count;

	if (++rule->sequence != wanted_occurrence(&rule->fault))
		return false;
	torn_forget(&layer->torn);
	count = fuse_torn_parts(&rule->fault, size, parts);
	for (size_t i = 0; i < count; i++)
		keep(&layer->torn, fd, bytes + parts[i].offset, (size_t)parts[i].size,
		     offset + parts[i].offset);
	bring_crash(layer, rule);
	return true;
}

static bool tear_sequence(struct fuse_layer *layer, struct fuse_rule *rule, int fd,
			  const unsigned char *bytes, size_t size, uint64_t offset)
{
	const struct fuse_fault *fault = &rule->fault;
	bool persists = false, more = false;

	rule->sequence += rule->in_sequence++ == 0;
	if (rule->sequence != wanted_occurrence(fault))
		return false;
	for (uint32_t i = 0; i < fault->persist_count; i++) {
		persists = persists || fault->persist[i] == rule->in_sequence;
		more = more || fault->persist[i] > rule->in_sequence;
	}
	if (persists)
		keep(&layer->torn, fd, bytes, size, offset);
	if (more)
		return false;
	bring_crash(layer, rule);
	return true;
}

bool torn_write(struct fuse_layer *layer, uint32_t paths, int fd, const unsigned char *bytes,
		size_t size, uint64_t offset)
{
	for (size_t i = 0; i < FUSE_FAULTS_MAX; i++) {
		struct fuse_rule *rule = &layer->rules.slots[i];
		bool one = rule->fault.kind == FUSE_FAULT_TORN_OP;

		if (!(layer->rules.standing & paths & (uint32_t)1 << i) ||
		    (!one && rule->fault.kind != FUSE_FAULT_TORN_SEQ))
			continue;
		fuse_rule_turn(rule);
		if (one ? tear_one(layer, rule, fd, bytes, size, offset)
			: tear_sequence(layer, rule, fd, bytes, size, offset))
			return true;
	}
	return false;
}

void torn_synced(struct fuse_layer *layer, uint32_t paths)
{
	for (size_t i = 0; i < FUSE_FAULTS_MAX; i++) {
		struct fuse_rule *rule = &layer->rules.slots[i];

		if (!(layer->rules.standing & paths & (uint32_t)1 << i) ||
		    rule->fault.kind != FUSE_FAULT_TORN_SEQ || rule->in_sequence == 0)
			continue;
		rule->in_sequence = 0;
		/* The sequence ended before its crash: it is all there. */
		torn_forget(&layer->torn);
	}
}
