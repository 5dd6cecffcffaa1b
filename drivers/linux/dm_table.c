/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of device-mapper as text, built and read. */
#include "drivers/linux/dm_table.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define CLASSES 3 /* of requests: reads, writes, flushes */

const char *const dm_target_names[DM_TARGETS] = {
	[DM_LINEAR] = "linear", [DM_ERROR] = "error", [DM_FLAKEY] = "flakey",
	[DM_DUST] = "dust",     [DM_DELAY] = "delay",
};

const char *const dm_fault_names[DM_FAULT_KINDS] = {
	[DM_FAULT_NONE] = "none",     [DM_FAULT_ERROR] = "error",
	[DM_FAULT_FLAKEY] = "flakey", [DM_FAULT_BADBLOCKS] = "badblocks",
	[DM_FAULT_DELAY] = "delay",
};

const char *const dm_flaw_names[DM_FLAWS] = {
	[DM_FLAW_ERROR] = "error",
	[DM_FLAW_DROP_WRITES] = "drop_writes",
	[DM_FLAW_ERROR_WRITES] = "error_writes",
	[DM_FLAW_CORRUPT_READS] = "corrupt_reads",
	[DM_FLAW_CORRUPT_WRITES] = "corrupt_writes",
};

/* ---- is it possible? ---- */

static int usage(struct error *e, const struct dm_fault *fault, const char *text)
{
	return error_set(e, ERROR_USAGE, NO_PLACE, "%s of a block device: %s",
			 dm_fault_names[fault->kind], text);
}

uint32_t dm_fault_block(const struct dm_fault *fault)
{
	return fault->block ? fault->block : DM_BLOCK_PRESET;
}

static uint64_t sectors_of(const struct dm_fault *fault)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < fault->range_count; i++)
		sum += fault->ranges[i].count;
	return sum;
}

uint64_t dm_fault_bad(const struct dm_fault *fault)
{
	return sectors_of(fault) / (dm_fault_block(fault) / DM_SECTOR);
}

static int check_ranges(const struct dm_fault *fault, uint64_t sectors, struct error *e)
{
	uint64_t free = 0;

	if (fault->range_count > DM_RANGES_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE,
				 "%zu ranges of a block device, at most %d", fault->range_count,
				 DM_RANGES_MAX);
	for (size_t i = 0; i < fault->range_count; i++) {
		const struct dm_range *range = &fault->ranges[i];

		if (range->count == 0)
			return usage(e, fault, "a range without sectors");
		if (range->first < free)
			return usage(e, fault, "ranges overlap, or are not sorted");
		if (range->first >= sectors || range->count > sectors - range->first)
			return usage(e, fault, "a range is not on the device");
		free = range->first + range->count;
	}
	return 0;
}

static int check_flakey(const struct dm_fault *fault, struct error *e)
{
	bool corrupts =
		fault->flaw == DM_FLAW_CORRUPT_READS || fault->flaw == DM_FLAW_CORRUPT_WRITES;

	if (fault->up < 0 || fault->up > DM_INTERVAL_MAX || fault->up % NANOS_S)
		return usage(e, fault, "up: whole seconds, at most a day");
	if (fault->down < NANOS_S || fault->down > DM_INTERVAL_MAX || fault->down % NANOS_S)
		return usage(e, fault, "down: whole seconds, from 1 s to a day");
	if ((unsigned)fault->flaw >= DM_FLAWS)
		return usage(e, fault, "no such flaw");
	if (corrupts && (fault->byte == 0 || fault->byte > DM_BYTE_MAX))
		return usage(e, fault, "byte: from 1, the first one, to 1048576");
	return 0;
}

static int check_blocks(const struct dm_fault *fault, uint64_t sectors, struct error *e)
{
	uint32_t block = dm_fault_block(fault);

	if (block < DM_SECTOR || block > DM_BLOCK_MAX || (block & (block - 1)) != 0)
		return usage(e, fault, "block: a power of two from 512 bytes to 1 MiB");
	if (sectors % (block / DM_SECTOR))
		return usage(e, fault, "the device is no whole number of blocks");
	for (size_t i = 0; i < fault->range_count; i++)
		if (fault->ranges[i].first % (block / DM_SECTOR) ||
		    fault->ranges[i].count % (block / DM_SECTOR))
			return usage(e, fault, "a range is no whole number of blocks");
	if (dm_fault_bad(fault) > DM_BAD_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "%llu bad blocks, at most %d",
				 (unsigned long long)dm_fault_bad(fault), DM_BAD_MAX);
	return 0;
}

static int check_delay(const struct dm_fault *fault, struct error *e)
{
	const nanos all[CLASSES] = {fault->read, fault->write, fault->flush};

	for (int i = 0; i < CLASSES; i++)
		if (all[i] < 0 || all[i] > DM_DELAY_MAX || all[i] % NANOS_MS)
			return usage(e, fault,
				     "read, write, flush: whole milliseconds, at most an hour");
	return 0;
}

int dm_fault_check(const struct dm_fault *fault, uint64_t sectors, struct error *e)
{
	if ((unsigned)fault->kind >= DM_FAULT_KINDS)
		return error_set(e, ERROR_USAGE, NO_PLACE, "no such fault of a block device");
	if (sectors == 0)
		return usage(e, fault, "the device has no sectors");
	if (check_ranges(fault, sectors, e))
		return -1;
	switch (fault->kind) {
	case DM_FAULT_NONE:
	case DM_FAULT_ERROR:
	case DM_FAULT_KINDS:
		return 0;
	case DM_FAULT_FLAKEY:
		return check_flakey(fault, e);
	case DM_FAULT_BADBLOCKS:
		return check_blocks(fault, sectors, e);
	case DM_FAULT_DELAY:
		return check_delay(fault, e);
	}
	return 0;
}

/* ---- ranges ---- */

static uint64_t end_of(struct dm_range range)
{
	return range.first + range.count;
}

/* Both leave the list in `next` first: it may be too long only in the end. */
struct list {
	struct dm_range items[DM_RANGES_MAX + 2];
	size_t count;
};

static int take(struct dm_fault *fault, const struct list *next, struct error *e)
{
	if (next->count > DM_RANGES_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "more than %d ranges of a block device",
				 DM_RANGES_MAX);
	memcpy(fault->ranges, next->items, next->count * sizeof(next->items[0]));
	fault->range_count = next->count;
	return 0;
}

int dm_range_add(struct dm_fault *fault, struct dm_range range, struct error *e)
{
	struct list next = {.count = 0};
	size_t i = 0;

	assert(range.count > 0 && fault->range_count <= DM_RANGES_MAX);
	for (; i < fault->range_count && end_of(fault->ranges[i]) < range.first; i++)
		next.items[next.count++] = fault->ranges[i];
	for (; i < fault->range_count && fault->ranges[i].first <= end_of(range); i++) {
		uint64_t end = end_of(range), other = end_of(fault->ranges[i]);

		if (fault->ranges[i].first < range.first)
			range.first = fault->ranges[i].first;
		range.count = (end > other ? end : other) - range.first;
	}
	next.items[next.count++] = range;
	for (; i < fault->range_count; i++)
		next.items[next.count++] = fault->ranges[i];
	return take(fault, &next, e);
}

int dm_range_remove(struct dm_fault *fault, struct dm_range range, struct error *e)
{
	struct list next = {.count = 0};

	assert(range.count > 0 && fault->range_count <= DM_RANGES_MAX);
	for (size_t i = 0; i < fault->range_count; i++) {
		struct dm_range one = fault->ranges[i];

		if (end_of(one) <= range.first || one.first >= end_of(range)) {
			next.items[next.count++] = one;
			continue;
		}
		if (one.first < range.first)
			next.items[next.count++] =
				(struct dm_range){one.first, range.first - one.first};
		if (end_of(one) > end_of(range))
			next.items[next.count++] =
				(struct dm_range){end_of(range), end_of(one) - end_of(range)};
	}
	return take(fault, &next, e);
}

/* ---- building ---- */

static void print_flakey(const struct dm_fault *fault, const char *device, uint64_t at,
			 char *params)
{
	char features[64] = "";

	switch (fault->flaw) {
	case DM_FLAW_ERROR:
	case DM_FLAWS:
		break;
	case DM_FLAW_DROP_WRITES:
	case DM_FLAW_ERROR_WRITES:
		snprintf(features, sizeof(features), " 1 %s", dm_flaw_names[fault->flaw]);
		break;
	case DM_FLAW_CORRUPT_READS:
	case DM_FLAW_CORRUPT_WRITES:
		/* Flags 0: requests of any kind. */
		snprintf(features, sizeof(features), " 5 corrupt_bio_byte %u %c %u 0",
			 (unsigned)fault->byte, fault->flaw == DM_FLAW_CORRUPT_READS ? 'r' : 'w',
			 (unsigned)fault->value);
		break;
	}
	snprintf(params, DM_PARAMS_MAX, "%s %llu %lld %lld%s", device, (unsigned long long)at,
		 (long long)(fault->up / NANOS_S), (long long)(fault->down / NANOS_S), features);
}

static void print_params(const struct dm_fault *fault, enum dm_target target, const char *device,
			 uint64_t at, char *params)
{
	unsigned long long start = at;

	switch (target) {
	case DM_LINEAR:
		snprintf(params, DM_PARAMS_MAX, "%s %llu", device, start);
		return;
	case DM_FLAKEY:
		print_flakey(fault, device, at, params);
		return;
	case DM_DUST:
		snprintf(params, DM_PARAMS_MAX, "%s %llu %u", device, start,
			 (unsigned)dm_fault_block(fault));
		return;
	case DM_DELAY:
		snprintf(params, DM_PARAMS_MAX, "%s %llu %lld %s %llu %lld %s %llu %lld", device,
			 start, (long long)(fault->read / NANOS_MS), device, start,
			 (long long)(fault->write / NANOS_MS), device, start,
			 (long long)(fault->flush / NANOS_MS));
		return;
	case DM_ERROR:
	case DM_TARGETS:
		break;
	}
	params[0] = '\0';
}

static enum dm_target target_of(const struct dm_fault *fault, bool dust)
{
	switch (fault->kind) {
	case DM_FAULT_ERROR:
		return DM_ERROR;
	case DM_FAULT_FLAKEY:
		return DM_FLAKEY;
	case DM_FAULT_BADBLOCKS:
		return dust ? DM_DUST : DM_ERROR;
	case DM_FAULT_DELAY:
		return DM_DELAY;
	case DM_FAULT_NONE:
	case DM_FAULT_KINDS:
		break;
	}
	return DM_LINEAR;
}

static void put_row(struct dm_table *table, const struct dm_fault *fault, enum dm_target target,
		    const char *device, uint64_t first, uint64_t end)
{
	struct dm_row *row;

	if (first == end)
		return;
	row = &table->rows[table->count++];
	*row = (struct dm_row){.first = first, .count = end - first, .target = target};
	print_params(fault, target, device, first, row->params);
}

void dm_table_build(const struct dm_fault *fault, bool dust, const char *device, uint64_t sectors,
		    struct arena *arena, struct dm_table *ret)
{
	enum dm_target target = target_of(fault, dust);
	bool whole = fault->range_count == 0 || target == DM_DUST || target == DM_LINEAR;
	uint64_t at = 0;

	*ret = (struct dm_table){
		.rows = arena_array(arena, 2 * fault->range_count + 1, sizeof(*ret->rows)),
	};
	if (whole) {
		bool nothing = fault->kind == DM_FAULT_BADBLOCKS && target == DM_ERROR;

		put_row(ret, fault, nothing ? DM_LINEAR : target, device, 0, sectors);
		return;
	}
	for (size_t i = 0; i < fault->range_count; i++) {
		const struct dm_range *range = &fault->ranges[i];

		put_row(ret, fault, DM_LINEAR, device, at, range->first);
		put_row(ret, fault, target, device, range->first, end_of(*range));
		at = end_of(*range);
	}
	put_row(ret, fault, DM_LINEAR, device, at, sectors);
}

/* ---- reading ---- */

enum dm_target dm_target_of(const char *name)
{
	int target = 0;

	while (target < DM_TARGETS && strcmp(dm_target_names[target], name) != 0)
		target++;
	return (enum dm_target)target;
}

/* A whole number of decimal digits, after blanks. */
static bool number(const char **at, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;

	*at += strspn(*at, " ");
	if (**at < '0' || **at > '9')
		return false;
	for (; **at >= '0' && **at <= '9'; ++*at) {
		uint64_t digit = (uint64_t)(**at - '0');

		if (value > (max - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*ret = value;
	return **at == ' ' || **at == '\0' || **at == ':' || **at == '\n';
}

/* Exactly this word. */
static bool word(const char **at, const char *text)
{
	size_t length = strlen(text);

	*at += strspn(*at, " ");
	if (strncmp(*at, text, length) != 0 || ((*at)[length] != ' ' && (*at)[length] != '\0'))
		return false;
	*at += length;
	return true;
}

static bool at_end(const char *at)
{
	at += strspn(at, " \n");
	return *at == '\0';
}

/* What parameters mean. */
struct meaning {
	uint64_t major, minor, start;
	uint64_t numbers[4]; /* FLAKEY: up, down, byte, value; DUST: block; DELAY: three times */
	enum dm_flaw flaw;
};

static bool read_place(const char **at, struct meaning *ret)
{
	if (!number(at, UINT32_MAX, &ret->major) || **at != ':')
		return false;
	++*at;
	return number(at, UINT32_MAX, &ret->minor) && number(at, UINT64_MAX, &ret->start);
}

/* From Linux 6.5 on the flaw of none is written out. */
static bool read_features(const char **at, struct meaning *ret)
{
	bool reads = false, writes = false, drops = false, corrupts = false;
	uint64_t count = 0, flags = 0;

	if (at_end(*at))
		return true;
	if (!number(at, 16, &count))
		return false;
	while (!at_end(*at)) {
		if (word(at, "error_reads")) {
			reads = true;
		} else if (word(at, "error_writes")) {
			writes = true;
		} else if (word(at, "drop_writes")) {
			drops = true;
		} else if (word(at, "corrupt_bio_byte") &&
			   number(at, UINT32_MAX, &ret->numbers[2])) {
			corrupts = true;
			ret->flaw = word(at, "r") ? DM_FLAW_CORRUPT_READS : DM_FLAW_CORRUPT_WRITES;
			if ((ret->flaw == DM_FLAW_CORRUPT_WRITES && !word(at, "w")) ||
			    !number(at, UINT8_MAX, &ret->numbers[3]) ||
			    !number(at, UINT32_MAX, &flags) || flags != 0)
				return false;
		} else {
			return false;
		}
	}
	if (count != (uint64_t)reads + writes + drops + (corrupts ? 5 : 0))
		return false;
	if (corrupts)
		return !reads && !writes && !drops;
	if (drops)
		ret->flaw = DM_FLAW_DROP_WRITES;
	else if (writes != reads)
		ret->flaw = DM_FLAW_ERROR_WRITES;
	return !drops ? !reads || writes : !reads && !writes;
}

/* Without a place of their own writes go with reads, and flushes with writes. */
static bool read_delays(const char **at, struct meaning *ret)
{
	struct meaning other;
	int class = 1;

	if (!number(at, UINT32_MAX, &ret->numbers[0]))
		return false;
	for (; class < CLASSES && !at_end(*at); class ++)
		if (!read_place(at, &other) || other.major != ret->major ||
		    other.minor != ret->minor || other.start != ret->start ||
		    !number(at, UINT32_MAX, &ret->numbers[class]))
			return false;
	for (; class < CLASSES; class ++)
		ret->numbers[class] = ret->numbers[class - 1];
	return true;
}

static bool understand(const struct dm_row *row, struct meaning *ret)
{
	const char *at = row->params;

	*ret = (struct meaning){.flaw = DM_FLAW_ERROR};
	if (row->target == DM_TARGETS || (row->target != DM_ERROR && !read_place(&at, ret)))
		return false;
	if (row->target == DM_FLAKEY &&
	    (!number(&at, UINT32_MAX, &ret->numbers[0]) ||
	     !number(&at, UINT32_MAX, &ret->numbers[1]) || !read_features(&at, ret)))
		return false;
	if (row->target == DM_DUST && !number(&at, UINT32_MAX, &ret->numbers[0]))
		return false;
	if (row->target == DM_DELAY && !read_delays(&at, ret))
		return false;
	return at_end(at);
}

static bool same_row(const struct dm_row *asked, const struct dm_row *found)
{
	struct meaning a, b;

	return asked->first == found->first && asked->count == found->count &&
	       asked->target == found->target && understand(asked, &a) && understand(found, &b) &&
	       a.major == b.major && a.minor == b.minor && a.start == b.start && a.flaw == b.flaw &&
	       memcmp(a.numbers, b.numbers, sizeof(a.numbers)) == 0;
}

bool dm_table_same(const struct dm_table *asked, const struct dm_table *found)
{
	if (asked->count != found->count)
		return false;
	for (size_t i = 0; i < asked->count; i++)
		if (!same_row(&asked->rows[i], &found->rows[i]))
			return false;
	return true;
}

bool dm_status_waiting(const char *status, uint64_t *ret)
{
	uint64_t sum = 0, count;

	for (int i = 0; i < CLASSES; i++) {
		/* Before Linux 4.18 flushes were among the writes. */
		if (i == CLASSES - 1 && at_end(status))
			break;
		if (!number(&status, UINT32_MAX, &count))
			return false;
		sum += count;
	}
	if (!at_end(status))
		return false;
	*ret = sum;
	return true;
}

bool dm_status_dusty(const char *status, bool *ret)
{
	bool fails;

	/* The device's name: a number pair, or a path. */
	status += strcspn(status, " ");
	fails = word(&status, "fail_read_on_bad_block");
	if (!fails && !word(&status, "bypass"))
		return false;
	*ret = fails;
	return true;
}

bool dm_answer_count(const char *answer, uint64_t *ret)
{
	uint64_t count;

	if (!word(&answer, "countbadblocks:") || !number(&answer, UINT64_MAX, &count) ||
	    !word(&answer, "badblock(s)"))
		return false;
	*ret = count;
	return true;
}
