/* SPDX-License-Identifier: Apache-2.0 */
/* What the faults of a layer say to one operation. */
#include "drivers/linux/fuse_faults.h"

#include <assert.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#define BURST (10 * NANOS_MS) /* what a token bucket holds: so long a time's worth */
#define ERROR_MAX 4095        /* of the kernel */
#define TIME_MAX NANOS_HOUR
#define BIT(slot) ((uint32_t)1 << (slot))

const char *const fuse_method_names[FUSE_METHODS] = {
	[FUSE_ON_LOOKUP] = "lookup",     [FUSE_ON_GETATTR] = "getattr",
	[FUSE_ON_SETATTR] = "setattr",   [FUSE_ON_TRUNCATE] = "truncate",
	[FUSE_ON_OPEN] = "open",         [FUSE_ON_CREATE] = "create",
	[FUSE_ON_READ] = "read",         [FUSE_ON_WRITE] = "write",
	[FUSE_ON_FSYNC] = "fsync",       [FUSE_ON_ALLOCATE] = "fallocate",
	[FUSE_ON_UNLINK] = "unlink",     [FUSE_ON_RENAME] = "rename",
	[FUSE_ON_MKDIR] = "mkdir",       [FUSE_ON_RMDIR] = "rmdir",
	[FUSE_ON_LINK] = "link",         [FUSE_ON_SYMLINK] = "symlink",
	[FUSE_ON_READLINK] = "readlink", [FUSE_ON_MKNOD] = "mknod",
	[FUSE_ON_READDIR] = "readdir",   [FUSE_ON_STATFS] = "statfs",
	[FUSE_ON_XATTR] = "xattr",       [FUSE_ON_OTHER] = "other",
};

const char *const fuse_fault_names[FUSE_FAULT_KINDS] = {
	[FUSE_FAULT_ERRNO] = "io.errno",         [FUSE_FAULT_LATENCY] = "io.latency",
	[FUSE_FAULT_THROTTLE] = "disk.throttle", [FUSE_FAULT_READONLY] = "disk.readonly",
	[FUSE_FAULT_HANG] = "disk.hang",         [FUSE_FAULT_BADBLOCKS] = "disk.badblocks",
	[FUSE_FAULT_BITFLIP] = "data.bitflip",   [FUSE_FAULT_LOST_FSYNC] = "fs.lost_fsync",
	[FUSE_FAULT_TORN_OP] = "fs.torn_op",     [FUSE_FAULT_TORN_SEQ] = "fs.torn_seq",
};

/* ---- what makes sense ---- */

/* The methods that a kind can hit. */
static uint32_t reach(enum fuse_fault_kind kind)
{
	switch (kind) {
	case FUSE_FAULT_ERRNO:
	case FUSE_FAULT_LATENCY:
	case FUSE_FAULT_THROTTLE:
	case FUSE_FAULT_READONLY:
	case FUSE_FAULT_HANG:
	case FUSE_FAULT_LOST_FSYNC:
		return FUSE_METHODS_ALL;
	case FUSE_FAULT_BADBLOCKS:
		return FUSE_METHOD_BIT(FUSE_ON_READ) | FUSE_METHOD_BIT(FUSE_ON_WRITE);
	case FUSE_FAULT_BITFLIP:
		return FUSE_METHOD_BIT(FUSE_ON_READ);
	case FUSE_FAULT_TORN_OP:
	case FUSE_FAULT_TORN_SEQ:
		return FUSE_METHOD_BIT(FUSE_ON_WRITE);
	case FUSE_FAULT_KINDS:
		break;
	}
	return 0;
}

static int refuse(const struct fuse_fault *fault, const char *why, struct error *e)
{
	return error_set(e, ERROR_USAGE, NO_PLACE, "%s: %s", fuse_fault_names[fault->kind], why);
}

static int check_torn(const struct fuse_fault *fault, struct error *e)
{
	if (fault->persist_count > FUSE_PARTS_MAX || fault->part_count > FUSE_PARTS_MAX)
		return refuse(fault, "too many parts", e);
	for (uint32_t i = 0; i < fault->persist_count; i++)
		if (fault->persist[i] == 0)
			return refuse(fault, "parts are counted from 1", e);
	if (fault->kind == FUSE_FAULT_TORN_OP && fault->part_count == 0)
		return refuse(fault, "it has no parts", e);
	if (fault->kind == FUSE_FAULT_TORN_SEQ && fault->persist_count == 0)
		return refuse(fault, "it needs the write that brings the crash", e);
	for (uint32_t i = 0; fault->kind == FUSE_FAULT_TORN_OP && i < fault->persist_count; i++)
		if (fault->persist[i] > fault->part_count + 1)
			return refuse(fault, "there is no such part", e);
	return 0;
}

static int check_kind(const struct fuse_fault *fault, struct error *e)
{
	switch (fault->kind) {
	case FUSE_FAULT_ERRNO:
		return fault->error > 0 && fault->error <= ERROR_MAX
			       ? 0
			       : refuse(fault, "it has no error", e);
	case FUSE_FAULT_LATENCY:
		return fault->time >= 0 && fault->time <= TIME_MAX && fault->jitter >= 0 &&
				       fault->jitter <= TIME_MAX && fault->time + fault->jitter > 0
			       ? 0
			       : refuse(fault, "it waits for no time, or longer than an hour", e);
	case FUSE_FAULT_THROTTLE:
		return fault->bytes_per_second >= 0 && fault->operations_per_second >= 0 &&
				       fault->bytes_per_second + fault->operations_per_second > 0
			       ? 0
			       : refuse(fault, "it has no rate", e);
	case FUSE_FAULT_BADBLOCKS:
		return fault->range_count > 0 && fault->range_count <= FUSE_RANGES_MAX
			       ? 0
			       : refuse(fault, "it has no ranges, or too many", e);
	case FUSE_FAULT_BITFLIP:
		return fault->bits > 0 && fault->bits <= FUSE_BITS_MAX
			       ? 0
			       : refuse(fault, "it flips no bits, or too many", e);
	case FUSE_FAULT_TORN_OP:
	case FUSE_FAULT_TORN_SEQ:
		return check_torn(fault, e);
	case FUSE_FAULT_READONLY:
	case FUSE_FAULT_HANG:
	case FUSE_FAULT_LOST_FSYNC:
	case FUSE_FAULT_KINDS:
		break;
	}
	return 0;
}

int fuse_fault_check(const struct fuse_fault *fault, struct error *e)
{
	assert(fault->kind < FUSE_FAULT_KINDS);
	if (!(fault->probability >= 0 && fault->probability <= 1))
		return refuse(fault, "a probability is from 0 to 1", e);
	if (fault->methods & ~reach(fault->kind))
		return refuse(fault, "it cannot hit these operations", e);
	if (fault->path && (strlen(fault->path) >= FUSE_PATH_MAX || fault->path[0] == '/'))
		return refuse(fault, "a path is too long, or begins with a slash", e);
	if (fault->lease < 0 || (fault->last > 0 && fault->last < fault->first))
		return refuse(fault, "it ends before it begins", e);
	return check_kind(fault, e);
}

/* ---- whose it is ---- */

bool fuse_path_matches(const char *pattern, const char *path)
{
	size_t length;

	if (!pattern || !pattern[0])
		return true;
	if (strpbrk(pattern, "*?["))
		return fnmatch(pattern, path, 0) == 0;
	length = strlen(pattern);
	while (length > 1 && pattern[length - 1] == '/')
		length--;
	return strncmp(pattern, path, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

uint32_t fuse_rules_paths(const struct fuse_rules *rules, const char *path, const char *other)
{
	uint32_t found = 0;

	for (size_t i = 0; i < FUSE_FAULTS_MAX; i++) {
		const char *pattern = rules->slots[i].fault.path;

		if ((rules->standing & BIT(i)) && (fuse_path_matches(pattern, path) ||
						   (other && fuse_path_matches(pattern, other))))
			found |= BIT(i);
	}
	return found;
}

/* FNV-1a, 64 bits. */
uint64_t fuse_path_hash(const char *path)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *path; path++)
		hash = (hash ^ (unsigned char)*path) * UINT64_C(0x100000001b3);
	return hash;
}

void fuse_rules_drop(struct fuse_rules *rules, size_t slot)
{
	rules->slots[slot].number = 0;
	rules->standing &= ~BIT(slot);
	rules->reads &= ~BIT(slot);
	rules->tracks &= ~BIT(slot);
}

void fuse_rules_put(struct fuse_rules *rules, size_t slot, uint32_t number,
		    const struct fuse_fault *fault, struct fuse_tally *tally)
{
	struct fuse_rule *rule = &rules->slots[slot];

	assert(slot < FUSE_FAULTS_MAX && number > 0);
	if (rule->number != number) {
		*rule = (struct fuse_rule){.number = number, .tally = tally, .sequence = 0};
		prng_open(&rule->prng, rules->seed, 0, number, PRNG_STORAGE);
	}
	fuse_rules_drop(rules, slot);
	rule->number = number;
	rule->fault = *fault;
	snprintf(rule->path, sizeof(rule->path), "%s", fault->path ? fault->path : "");
	rule->fault.path = rule->path;
	rule->methods = fault->methods ? fault->methods : reach(fault->kind);
	rules->standing |= BIT(slot);
	if (fault->kind == FUSE_FAULT_BITFLIP)
		rules->reads |= BIT(slot);
	if (fault->kind == FUSE_FAULT_LOST_FSYNC || fault->kind == FUSE_FAULT_TORN_OP ||
	    fault->kind == FUSE_FAULT_TORN_SEQ)
		rules->tracks |= BIT(slot);
}

/* ---- what it says ---- */

bool fuse_rule_turn(struct fuse_rule *rule)
{
	const struct fuse_fault *fault = &rule->fault;
	uint64_t first = fault->first > 0 ? fault->first : 1, turn = ++rule->turns;

	atomic_fetch_add_explicit(&rule->tally->matched, 1, memory_order_relaxed);
	if (turn < first || (fault->last > 0 && turn > fault->last))
		return false;
	return fault->step < 2 || (turn - first) % fault->step == 0;
}

void fuse_rule_acted(struct fuse_rule *rule)
{
	atomic_fetch_add_explicit(&rule->tally->acted, 1, memory_order_relaxed);
}

static bool touches(const struct fuse_fault *fault, const struct fuse_operation *operation)
{
	for (size_t i = 0; i < fault->range_count; i++) {
		const struct fuse_range *range = &fault->ranges[i];
		uint64_t from =
			range->offset > operation->offset ? range->offset : operation->offset;

		/* No sum that could overflow. */
		if (from - range->offset < range->size &&
		    from - operation->offset < operation->size)
			return true;
	}
	return false;
}

static bool concerns(const struct fuse_rule *rule, const struct fuse_operation *operation)
{
	if (!(rule->methods & FUSE_METHOD_BIT(operation->method)))
		return false;
	switch (rule->fault.kind) {
	case FUSE_FAULT_READONLY:
		return operation->writes;
	case FUSE_FAULT_BADBLOCKS:
		return touches(&rule->fault, operation);
	case FUSE_FAULT_ERRNO:
	case FUSE_FAULT_LATENCY:
	case FUSE_FAULT_THROTTLE:
	case FUSE_FAULT_HANG:
		return true;
	/* These come while it is done, not before. */
	case FUSE_FAULT_BITFLIP:
	case FUSE_FAULT_LOST_FSYNC:
	case FUSE_FAULT_TORN_OP:
	case FUSE_FAULT_TORN_SEQ:
	case FUSE_FAULT_KINDS:
		break;
	}
	return false;
}

/* Takes from a bucket that fills at `rate` and holds BURST; how long until there was enough. */
static nanos take(nanos *free, double amount, double rate, nanos now)
{
	nanos wait;

	if (rate <= 0)
		return 0;
	if (*free < now - BURST)
		*free = now - BURST;
	*free += (nanos)(amount / rate * (double)NANOS_S);
	wait = *free - now;
	return wait > 0 ? wait : 0;
}

static nanos throttle(struct fuse_rule *rule, const struct fuse_operation *operation)
{
	const struct fuse_fault *fault = &rule->fault;
	bool moves = operation->method == FUSE_ON_READ || operation->method == FUSE_ON_WRITE;
	nanos bytes = take(&rule->bytes_free, moves ? (double)operation->size : 0,
			   fault->bytes_per_second, operation->now);
	nanos operations =
		take(&rule->operations_free, 1, fault->operations_per_second, operation->now);

	return bytes > operations ? bytes : operations;
}

static nanos latency(struct fuse_rule *rule)
{
	const struct fuse_fault *fault = &rule->fault;
	nanos wait = fault->time;

	if (fault->jitter > 0)
		wait += (nanos)((2 * prng_uniform(&rule->prng) - 1) * (double)fault->jitter);
	return wait > 0 ? wait : 0;
}

static void apply(struct fuse_rule *rule, size_t slot, const struct fuse_operation *operation,
		  struct fuse_verdict *verdict)
{
	nanos wait = 0;

	switch (rule->fault.kind) {
	case FUSE_FAULT_ERRNO:
		verdict->error = rule->fault.error;
		break;
	case FUSE_FAULT_READONLY:
		verdict->error = EROFS;
		break;
	case FUSE_FAULT_BADBLOCKS:
		verdict->error = EIO;
		break;
	case FUSE_FAULT_HANG:
		verdict->hangs |= BIT(slot);
		break;
	case FUSE_FAULT_LATENCY:
		wait = latency(rule);
		break;
	case FUSE_FAULT_THROTTLE:
		wait = throttle(rule, operation);
		if (wait == 0)
			return;
		break;
	case FUSE_FAULT_BITFLIP:
	case FUSE_FAULT_LOST_FSYNC:
	case FUSE_FAULT_TORN_OP:
	case FUSE_FAULT_TORN_SEQ:
	case FUSE_FAULT_KINDS:
		return;
	}
	verdict->wait += wait;
	atomic_fetch_add_explicit(&rule->tally->delayed, wait, memory_order_relaxed);
	fuse_rule_acted(rule);
}

struct fuse_verdict fuse_rules_decide(struct fuse_rules *rules,
				      const struct fuse_operation *operation)
{
	struct fuse_verdict verdict = {0};

	for (size_t i = 0; i < FUSE_FAULTS_MAX; i++) {
		struct fuse_rule *rule = &rules->slots[i];

		if (!(rules->standing & operation->paths & BIT(i)) || !concerns(rule, operation))
			continue;
		/* The first error is the one that its user sees: others had no chance to act. */
		if (verdict.error && (rule->fault.kind == FUSE_FAULT_ERRNO ||
				      rule->fault.kind == FUSE_FAULT_READONLY ||
				      rule->fault.kind == FUSE_FAULT_BADBLOCKS))
			continue;
		if (!fuse_rule_turn(rule))
			continue;
		if (rule->fault.probability > 0 &&
		    prng_uniform(&rule->prng) >= rule->fault.probability)
			continue;
		apply(rule, i, operation, &verdict);
	}
	return verdict;
}

/* ---- bits ---- */

/* Flips those of one block that lie in what was read; returns how many. */
static uint64_t flip_block(const struct fuse_rule *rule, uint64_t seed, uint64_t file,
			   uint64_t block, uint64_t offset, unsigned char *bytes, size_t size)
{
	uint64_t chosen[FUSE_BITS_MAX], flipped = 0;
	struct prng prng;

	prng_open(&prng, seed, rule->number, file + block * UINT64_C(0x9e3779b97f4a7c15),
		  PRNG_BITFLIP);
	if (rule->fault.probability > 0 && prng_uniform(&prng) >= rule->fault.probability)
		return 0;
	for (uint32_t i = 0; i < rule->fault.bits; i++) {
		bool again = false;
		uint64_t at;

		chosen[i] = prng_below(&prng, FUSE_BLOCK * 8);
		for (uint32_t k = 0; k < i; k++)
			again = again || chosen[k] == chosen[i];
		at = block * FUSE_BLOCK + chosen[i] / 8;
		/* Twice the same bit would be none. */
		if (again || at < offset || at - offset >= size)
			continue;
		bytes[at - offset] ^= (unsigned char)(1u << (chosen[i] % 8));
		flipped++;
	}
	return flipped;
}

void fuse_rules_flip(struct fuse_rules *rules, uint32_t paths, uint64_t file, uint64_t offset,
		     unsigned char *bytes, size_t size)
{
	for (size_t i = 0; i < FUSE_FAULTS_MAX && size > 0; i++) {
		struct fuse_rule *rule = &rules->slots[i];
		uint64_t flipped = 0;

		if (!(rules->reads & paths & BIT(i)) || !fuse_rule_turn(rule))
			continue;
		for (uint64_t block = offset / FUSE_BLOCK;
		     block <= (offset + size - 1) / FUSE_BLOCK; block++)
			flipped += flip_block(rule, rules->seed, file, block, offset, bytes, size);
		if (flipped == 0)
			continue;
		atomic_fetch_add_explicit(&rule->tally->bits, flipped, memory_order_relaxed);
		fuse_rule_acted(rule);
	}
}

/* ---- torn writes ---- */

static struct fuse_range torn_part(const struct fuse_fault *fault, uint64_t size, uint32_t part)
{
	uint64_t from = 0, to;

	if (fault->parts_bytes[0] == 0) {
		/* Equal parts; the last takes what does not divide. */
		uint64_t each = size / fault->part_count;

		from = each * (part - 1);
		to = part < fault->part_count ? from + each : size;
		return (struct fuse_range){from, part <= fault->part_count ? to - from : 0};
	}
	for (uint32_t i = 0; i + 1 < part; i++)
		from += fault->parts_bytes[i];
	if (from >= size)
		return (struct fuse_range){0};
	to = part <= fault->part_count ? fault->parts_bytes[part - 1] : size - from;
	return (struct fuse_range){from, to < size - from ? to : size - from};
}

size_t fuse_torn_parts(const struct fuse_fault *fault, uint64_t size,
		       struct fuse_range ret[FUSE_PARTS_MAX])
{
	size_t count = 0;

	for (uint32_t i = 0; i < fault->persist_count; i++) {
		ret[count] = torn_part(fault, size, fault->persist[i]);
		if (ret[count].size > 0)
			count++;
	}
	return count;
}
