/* SPDX-License-Identifier: Apache-2.0 */
/* Disks of device-mapper: tables built and read, ranges, bounds, and what the undo refuses. What a
 * kernel does with them is in real_guest_dm.c. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "drivers/linux/block_trial.h"
#include "drivers/linux/dm.h"
#include "drivers/linux/dm_table.h"
#include "drivers/linux/dm_undo.h"
#include "drivers/linux/loopdev.h"
#include "tests/test.h"

#define SECTORS 2048
#define DAY (24 * 3600 * NANOS_S)

static struct arena arena;
static struct error error;

static void refused(int rc, const char *text)
{
	ck_assert_int_eq(rc, -1);
	ck_assert_msg(strstr(error.text, text) != NULL, "'%s' is not '%s'", error.text, text);
	error = (struct error){0};
}

/* A table as text, a row a line. */
static const char *text_of(const struct dm_fault *fault, bool dust)
{
	const char *text = "";
	struct dm_table table;

	ck_assert_msg(dm_fault_check(fault, SECTORS, &error) == 0, "%s", error.text);
	dm_table_build(fault, dust, "7:3", SECTORS, &arena, &table);
	for (size_t i = 0; i < table.count; i++)
		text = arena_printf(&arena, "%s%llu %llu %s%s%s\n", text,
				    (unsigned long long)table.rows[i].first,
				    (unsigned long long)table.rows[i].count,
				    dm_target_names[table.rows[i].target],
				    *table.rows[i].params ? " " : "", table.rows[i].params);
	return text;
}

/* ---- building ---- */

START_TEST(tables_are_those_of_the_kernel)
{
	struct dm_fault fault = {.kind = DM_FAULT_NONE};

	ck_assert_str_eq(text_of(&fault, false), "0 2048 linear 7:3 0\n");
	fault.kind = DM_FAULT_ERROR;
	ck_assert_str_eq(text_of(&fault, false), "0 2048 error\n");
	fault = (struct dm_fault){.kind = DM_FAULT_FLAKEY, .up = 3 * NANOS_S, .down = NANOS_S};
	ck_assert_str_eq(text_of(&fault, false), "0 2048 flakey 7:3 0 3 1\n");
	fault.flaw = DM_FLAW_DROP_WRITES;
	ck_assert_str_eq(text_of(&fault, false), "0 2048 flakey 7:3 0 3 1 1 drop_writes\n");
	fault.flaw = DM_FLAW_ERROR_WRITES;
	ck_assert_str_eq(text_of(&fault, false), "0 2048 flakey 7:3 0 3 1 1 error_writes\n");
	fault.flaw = DM_FLAW_CORRUPT_READS;
	fault.byte = 32;
	fault.value = 255;
	ck_assert_str_eq(text_of(&fault, false),
			 "0 2048 flakey 7:3 0 3 1 5 corrupt_bio_byte 32 r 255 0\n");
	fault.flaw = DM_FLAW_CORRUPT_WRITES;
	ck_assert_str_eq(text_of(&fault, false),
			 "0 2048 flakey 7:3 0 3 1 5 corrupt_bio_byte 32 w 255 0\n");
	fault = (struct dm_fault){.kind = DM_FAULT_DELAY,
				  .read = 5 * NANOS_MS,
				  .write = 3600 * NANOS_S,
				  .flush = 7 * NANOS_MS};
	ck_assert_str_eq(text_of(&fault, false), "0 2048 delay 7:3 0 5 7:3 0 3600000 7:3 0 7\n");
	fault = (struct dm_fault){.kind = DM_FAULT_BADBLOCKS};
	ck_assert_str_eq(text_of(&fault, true), "0 2048 dust 7:3 0 4096\n");
	ck_assert_str_eq(text_of(&fault, false), "0 2048 linear 7:3 0\n");
}
END_TEST

START_TEST(ranges_become_rows)
{
	struct dm_fault fault = {
		.kind = DM_FAULT_ERROR,
		.ranges = {{0, 8}, {8, 8}, {100, 1}, {2047, 1}},
		.range_count = 4,
	};

	ck_assert_str_eq(text_of(&fault, false), "0 8 error\n8 8 error\n16 84 linear 7:3 16\n"
						 "100 1 error\n101 1946 linear 7:3 101\n"
						 "2047 1 error\n");
	fault = (struct dm_fault){
		.kind = DM_FAULT_FLAKEY, .down = NANOS_S, .ranges = {{16, 8}}, .range_count = 1};
	ck_assert_str_eq(text_of(&fault, false),
			 "0 16 linear 7:3 0\n16 8 flakey 7:3 16 0 1\n24 2024 linear 7:3 24\n");
	fault = (struct dm_fault){
		.kind = DM_FAULT_BADBLOCKS, .ranges = {{16, 8}}, .range_count = 1};
	ck_assert_str_eq(text_of(&fault, false),
			 "0 16 linear 7:3 0\n16 8 error\n24 2024 linear 7:3 24\n");
	ck_assert_str_eq(text_of(&fault, true), "0 2048 dust 7:3 0 4096\n");
	ck_assert_uint_eq(dm_fault_bad(&fault), 1);
	fault.block = 512;
	ck_assert_uint_eq(dm_fault_bad(&fault), 8);
	ck_assert_str_eq(text_of(&fault, true), "0 2048 dust 7:3 0 512\n");
}
END_TEST

/* The longest text that bounds allow has room. */
START_TEST(parameters_have_room)
{
	struct dm_fault fault = {.kind = DM_FAULT_DELAY,
				 .read = DM_DELAY_MAX,
				 .write = DM_DELAY_MAX,
				 .flush = DM_DELAY_MAX,
				 .ranges = {{UINT64_MAX / 512 - 1, 1}},
				 .range_count = 1};
	const char *device = "4294967295:4294967295";
	struct dm_table table;

	ck_assert_int_eq(dm_fault_check(&fault, UINT64_MAX / 512, &error), 0);
	dm_table_build(&fault, false, device, UINT64_MAX / 512, &arena, &table);
	ck_assert_uint_eq(table.count, 2);
	ck_assert_ptr_nonnull(strstr(table.rows[1].params, " 3600000 "));
	ck_assert_str_eq(table.rows[1].params + strlen(table.rows[1].params) - 8, " 3600000");
	ck_assert(dm_table_same(&table, &table));
	fault.kind = DM_FAULT_FLAKEY;
	fault.up = fault.down = DM_INTERVAL_MAX;
	fault.flaw = DM_FLAW_CORRUPT_WRITES;
	fault.byte = DM_BYTE_MAX;
	fault.value = 255;
	dm_table_build(&fault, false, device, UINT64_MAX / 512, &arena, &table);
	ck_assert_ptr_nonnull(
		strstr(table.rows[1].params, " 86400 86400 5 corrupt_bio_byte 1048576 w 255 0"));
	ck_assert(dm_table_same(&table, &table));
}
END_TEST

/* ---- bounds ---- */

static const struct {
	struct dm_fault fault;
	uint64_t sectors;
	const char *text;
} bad[] = {
	{{.kind = DM_FAULT_KINDS}, SECTORS, "no such fault"},
	{{.kind = DM_FAULT_ERROR}, 0, "no sectors"},
	{{.kind = DM_FAULT_ERROR, .range_count = DM_RANGES_MAX + 1}, SECTORS, "at most 256"},
	{{.kind = DM_FAULT_ERROR, .ranges = {{8, 0}}, .range_count = 1}, SECTORS, "without"},
	{{.kind = DM_FAULT_ERROR, .ranges = {{8, 8}, {15, 1}}, .range_count = 2},
	 SECTORS,
	 "overlap"},
	{{.kind = DM_FAULT_ERROR, .ranges = {{8, 8}, {0, 8}}, .range_count = 2},
	 SECTORS,
	 "not sorted"},
	{{.kind = DM_FAULT_ERROR, .ranges = {{2048, 1}}, .range_count = 1}, SECTORS, "not on"},
	{{.kind = DM_FAULT_ERROR, .ranges = {{2047, 2}}, .range_count = 1}, SECTORS, "not on"},
	{{.kind = DM_FAULT_ERROR, .ranges = {{1, UINT64_MAX}}, .range_count = 1},
	 SECTORS,
	 "not on"},
	{{.kind = DM_FAULT_FLAKEY}, SECTORS, "down: whole seconds"},
	{{.kind = DM_FAULT_FLAKEY, .down = NANOS_S + 1}, SECTORS, "down: whole seconds"},
	{{.kind = DM_FAULT_FLAKEY, .down = DAY + NANOS_S}, SECTORS, "down: whole seconds"},
	{{.kind = DM_FAULT_FLAKEY, .down = NANOS_S, .up = -NANOS_S}, SECTORS, "up: whole"},
	{{.kind = DM_FAULT_FLAKEY, .down = NANOS_S, .up = NANOS_MS}, SECTORS, "up: whole"},
	{{.kind = DM_FAULT_FLAKEY, .down = NANOS_S, .flaw = DM_FLAWS}, SECTORS, "no such flaw"},
	{{.kind = DM_FAULT_FLAKEY, .down = NANOS_S, .flaw = DM_FLAW_CORRUPT_READS},
	 SECTORS,
	 "byte: from 1"},
	{{.kind = DM_FAULT_FLAKEY,
	  .down = NANOS_S,
	  .flaw = DM_FLAW_CORRUPT_WRITES,
	  .byte = DM_BYTE_MAX + 1},
	 SECTORS,
	 "byte: from 1"},
	{{.kind = DM_FAULT_BADBLOCKS, .block = 256}, SECTORS, "power of two"},
	{{.kind = DM_FAULT_BADBLOCKS, .block = 1536}, SECTORS, "power of two"},
	{{.kind = DM_FAULT_BADBLOCKS, .block = 2 * DM_BLOCK_MAX}, SECTORS, "power of two"},
	{{.kind = DM_FAULT_BADBLOCKS}, SECTORS + 1, "the device is no whole number"},
	{{.kind = DM_FAULT_BADBLOCKS, .ranges = {{4, 8}}, .range_count = 1},
	 SECTORS,
	 "a range is no whole number"},
	{{.kind = DM_FAULT_BADBLOCKS, .ranges = {{8, 4}}, .range_count = 1},
	 SECTORS,
	 "a range is no whole number"},
	{{.kind = DM_FAULT_BADBLOCKS,
	  .block = 512,
	  .ranges = {{0, DM_BAD_MAX + 1}},
	  .range_count = 1},
	 3 * (uint64_t)DM_BAD_MAX,
	 "4097 bad blocks"},
	{{.kind = DM_FAULT_DELAY, .read = NANOS_US}, SECTORS, "whole milliseconds"},
	{{.kind = DM_FAULT_DELAY, .write = -NANOS_MS}, SECTORS, "whole milliseconds"},
	{{.kind = DM_FAULT_DELAY, .flush = DM_DELAY_MAX + NANOS_MS}, SECTORS, "at most an hour"},
};

START_TEST(bounds)
{
	refused(dm_fault_check(&bad[_i].fault, bad[_i].sectors, &error), bad[_i].text);
}
END_TEST

/* ---- ranges ---- */

static const char *ranges_of(const struct dm_fault *fault)
{
	const char *text = "";

	for (size_t i = 0; i < fault->range_count; i++)
		text = arena_printf(&arena, "%s%s%llu+%llu", text, i ? " " : "",
				    (unsigned long long)fault->ranges[i].first,
				    (unsigned long long)fault->ranges[i].count);
	return text;
}

static const char *more(struct dm_fault *fault, uint64_t first, uint64_t count)
{
	ck_assert_int_eq(dm_range_add(fault, (struct dm_range){first, count}, &error), 0);
	return ranges_of(fault);
}

static const char *less(struct dm_fault *fault, uint64_t first, uint64_t count)
{
	ck_assert_int_eq(dm_range_remove(fault, (struct dm_range){first, count}, &error), 0);
	return ranges_of(fault);
}

START_TEST(ranges_join_and_part)
{
	struct dm_fault fault = {.kind = DM_FAULT_BADBLOCKS};

	ck_assert_str_eq(more(&fault, 16, 8), "16+8");
	ck_assert_str_eq(more(&fault, 48, 8), "16+8 48+8");
	ck_assert_str_eq(more(&fault, 0, 8), "0+8 16+8 48+8");
	ck_assert_str_eq(more(&fault, 32, 8), "0+8 16+8 32+8 48+8");
	ck_assert_str_eq(more(&fault, 24, 8), "0+8 16+24 48+8");
	ck_assert_str_eq(more(&fault, 18, 2), "0+8 16+24 48+8");
	ck_assert_str_eq(more(&fault, 4, 100), "0+104");
	ck_assert_str_eq(less(&fault, 8, 8), "0+8 16+88");
	ck_assert_str_eq(less(&fault, 100, 8), "0+8 16+84");
	ck_assert_str_eq(less(&fault, 8, 8), "0+8 16+84");
	ck_assert_str_eq(less(&fault, 4, 20), "0+4 24+76");
	ck_assert_str_eq(less(&fault, 0, 1000), "");
	ck_assert_str_eq(less(&fault, 0, 1000), "");
}
END_TEST

/* Against a bit for each sector, with any ranges; too many of them change nothing. */
START_TEST(ranges_are_sets)
{
	static bool set[SECTORS];
	struct dm_fault fault = {.kind = DM_FAULT_BADBLOCKS};
	uint64_t state = 7, limits = 0, wrong = 0;

	for (int step = 0; step < 20000; step++) {
		struct dm_range range;
		bool add;
		int rc;

		state = state * 6364136223846793005U + 1442695040888963407U;
		range = (struct dm_range){(state >> 33) % (SECTORS - 4), 1 + (state >> 60) % 4};
		add = (state >> 50 & 7) < 6;
		rc = add ? dm_range_add(&fault, range, &error)
			 : dm_range_remove(&fault, range, &error);
		if (rc) {
			ck_assert_int_eq(error.kind, ERROR_LIMIT);
			error = (struct error){0};
			limits++;
			dm_range_remove(&fault, (struct dm_range){0, SECTORS / 2}, &error);
			memset(set, 0, sizeof(set) / 2);
			continue;
		}
		for (uint64_t i = 0; i < range.count; i++)
			set[range.first + i] = add;
		uint64_t at = 0;
		for (size_t r = 0; r < fault.range_count; r++) {
			for (; at < fault.ranges[r].first; at++)
				wrong += set[at];
			for (; at < fault.ranges[r].first + fault.ranges[r].count; at++)
				wrong += !set[at];
		}
		for (; at < SECTORS; at++)
			wrong += set[at];
		ck_assert_uint_eq(wrong, 0);
	}
	printf("20000 changes of ranges, %llu times too many\n", (unsigned long long)limits);
	ck_assert_uint_gt(limits, 0);
}
END_TEST

/* ---- reading ---- */

static struct dm_row row(enum dm_target target, const char *params)
{
	struct dm_row one = {.first = 0, .count = SECTORS, .target = target};

	snprintf(one.params, sizeof(one.params), "%s", params);
	return one;
}

static bool same(enum dm_target target, const char *asked, const char *found)
{
	struct dm_row a = row(target, asked), b = row(target, found);

	return dm_table_same(&(struct dm_table){&a, 1}, &(struct dm_table){&b, 1});
}

START_TEST(kernels_write_the_same_in_several_ways)
{
	ck_assert(same(DM_LINEAR, "7:3 0", "7:3 0"));
	ck_assert(!same(DM_LINEAR, "7:3 0", "7:4 0"));
	ck_assert(!same(DM_LINEAR, "7:3 0", "8:3 0"));
	ck_assert(!same(DM_LINEAR, "7:3 0", "7:3 8"));
	ck_assert(!same(DM_LINEAR, "7:3 0", "7:3 0 1"));
	ck_assert(!same(DM_LINEAR, "7:3 0", "/dev/loop3 0"));
	ck_assert(same(DM_ERROR, "", ""));
	ck_assert(same(DM_ERROR, "", " "));
	ck_assert(!same(DM_ERROR, "", "1"));
	/* Before and since Linux 6.5. */
	ck_assert(same(DM_FLAKEY, "7:3 0 0 1", "7:3 0 0 1 0 "));
	ck_assert(same(DM_FLAKEY, "7:3 0 0 1", "7:3 0 0 1 2 error_reads error_writes "));
	ck_assert(same(DM_FLAKEY, "7:3 0 0 1 1 drop_writes", "7:3 0 0 1 1 drop_writes "));
	ck_assert(!same(DM_FLAKEY, "7:3 0 0 1", "7:3 0 0 1 1 drop_writes "));
	ck_assert(!same(DM_FLAKEY, "7:3 0 0 1", "7:3 0 0 1 1 error_reads "));
	ck_assert(!same(DM_FLAKEY, "7:3 0 0 1 1 error_writes",
			"7:3 0 0 1 2 error_reads "
			"error_writes"));
	ck_assert(!same(DM_FLAKEY, "7:3 0 0 1 1 drop_writes",
			"7:3 0 0 1 2 drop_writes "
			"error_writes"));
	ck_assert(!same(DM_FLAKEY, "7:3 0 0 1", "7:3 0 1 1 0 "));
	ck_assert(!same(DM_FLAKEY, "7:3 0 0 1", "7:3 0 0 1 1 random_read_corrupt 5"));
	ck_assert(!same(DM_FLAKEY, "7:3 0 0 1", "7:3 0 0 1 3 error_reads error_writes"));
	ck_assert(same(DM_FLAKEY, "7:3 0 0 1 5 corrupt_bio_byte 9 r 1 0",
		       "7:3 0 0 1 5 corrupt_bio_byte 9 r 1 0 "));
	ck_assert(!same(DM_FLAKEY, "7:3 0 0 1 5 corrupt_bio_byte 9 r 1 0",
			"7:3 0 0 1 5 corrupt_bio_byte 9 w 1 0 "));
	ck_assert(!same(DM_FLAKEY, "7:3 0 0 1 5 corrupt_bio_byte 9 r 1 0",
			"7:3 0 0 1 5 corrupt_bio_byte 9 r 2 0 "));
	ck_assert(!same(DM_FLAKEY, "7:3 0 0 1 5 corrupt_bio_byte 9 r 1 0",
			"7:3 0 0 1 5 corrupt_bio_byte 9 r 1 32 "));
	ck_assert(!same(DM_FLAKEY, "7:3 0 0 1 5 corrupt_bio_byte 9 r 1 0",
			"7:3 0 0 1 5 corrupt_bio_byte 9 r 256 0 "));
	ck_assert(same(DM_DUST, "7:3 0 4096", "7:3 0 4096"));
	ck_assert(!same(DM_DUST, "7:3 0 4096", "7:3 0 512"));
	ck_assert(same(DM_DELAY, "7:3 0 5 7:3 0 5 7:3 0 5", "7:3 0 5"));
	ck_assert(same(DM_DELAY, "7:3 0 5 7:3 0 6 7:3 0 6", "7:3 0 5 7:3 0 6"));
	ck_assert(!same(DM_DELAY, "7:3 0 5 7:3 0 6 7:3 0 7", "7:3 0 5 7:3 0 6"));
	ck_assert(!same(DM_DELAY, "7:3 0 5", "7:3 0 5 7:4 0 5"));
	ck_assert(!same(DM_DELAY, "7:3 0 5", "7:3 0 4294967296"));
	ck_assert(!same(DM_TARGETS, "", ""));
}
END_TEST

START_TEST(tables_of_other_rows_differ)
{
	struct dm_row rows[2] = {row(DM_LINEAR, "7:3 0"), row(DM_ERROR, "")}, other[2];
	struct dm_table asked = {rows, 2}, found = {other, 2};

	memcpy(other, rows, sizeof(rows));
	ck_assert(dm_table_same(&asked, &found));
	found.count = 1;
	ck_assert(!dm_table_same(&asked, &found));
	found.count = 2;
	other[1].first = 8;
	ck_assert(!dm_table_same(&asked, &found));
	other[1] = rows[1];
	other[1].count--;
	ck_assert(!dm_table_same(&asked, &found));
	other[1] = rows[1];
	other[0].target = DM_FLAKEY;
	ck_assert(!dm_table_same(&asked, &found));
	for (int i = 0; i < DM_TARGETS; i++)
		ck_assert_int_eq(dm_target_of(dm_target_names[i]), i);
	ck_assert_int_eq(dm_target_of("striped"), DM_TARGETS);
	ck_assert_int_eq(dm_target_of(""), DM_TARGETS);
}
END_TEST

START_TEST(statuses)
{
	uint64_t count = 77;
	bool fails = false;

	ck_assert(dm_status_waiting("3 4 5", &count) && count == 12);
	ck_assert(dm_status_waiting("3 4", &count) && count == 7);
	ck_assert(dm_status_waiting("0 0 0 ", &count) && count == 0);
	count = 77;
	ck_assert(!dm_status_waiting("", &count));
	ck_assert(!dm_status_waiting("3", &count));
	ck_assert(!dm_status_waiting("3 -4 5", &count));
	ck_assert(!dm_status_waiting("3 4 5 6", &count));
	ck_assert(!dm_status_waiting("3 4 99999999999", &count));
	ck_assert_uint_eq(count, 77);
	ck_assert(dm_status_dusty("7:3 fail_read_on_bad_block verbose", &fails) && fails);
	ck_assert(dm_status_dusty("/dev/loop3 bypass quiet", &fails) && !fails);
	ck_assert(!dm_status_dusty("7:3", &fails));
	ck_assert(!dm_status_dusty("", &fails));
	ck_assert(!dm_status_dusty("7:3 fail_read_on_bad_blocks", &fails));
	ck_assert(dm_answer_count("countbadblocks: 3 badblock(s) found\n", &count) && count == 3);
	ck_assert(
		dm_answer_count("countbadblocks: 18446744073709551615 badblock(s) found", &count));
	ck_assert_uint_eq(count, UINT64_MAX);
	ck_assert(!dm_answer_count("countbadblocks: 18446744073709551616 badblock(s)", &count));
	ck_assert(!dm_answer_count("countbadblocks: badblock(s) found", &count));
	ck_assert(!dm_answer_count("3 badblock(s) found", &count));
	ck_assert(!dm_answer_count("", &count));
}
END_TEST

/* ---- whose is it? ---- */

START_TEST(names_are_of_one_run)
{
	ck_assert(dm_is_of_run("drsim-night-disk", "night"));
	ck_assert(dm_is_of_run("drsim-night-2-disk", "night-2"));
	ck_assert(!dm_is_of_run("drsim-night-2-disk", "night"));
	ck_assert(!dm_is_of_run("drsim-night-", "night"));
	ck_assert(!dm_is_of_run("drsim-night", "night"));
	ck_assert(!dm_is_of_run("drsim-nights-disk", "night"));
	ck_assert(!dm_is_of_run("night-disk", "night"));
	ck_assert(!dm_is_of_run("", "night"));
}
END_TEST

START_TEST(the_undo_refuses_what_is_not_ours)
{
	struct journal journal = {.arena = &arena, .run = "night", .work = "/var/lib/x/run/night"};
	struct undo undo = {.kind = UNDO_MAPPER,
			    .path = "/dev/mapper/drsim-other-disk",
			    .from = "/var/lib/x/run/night/disk.disk"};

	refused(dm_undo_mapper(&journal, &undo, &error), "no device of this run");
	undo.path = "/dev/sda";
	refused(dm_undo_mapper(&journal, &undo, &error), "no device of this run");
	undo.path = "/dev/mapper/drsim-night-disk";
	undo.from = "/var/lib/x/run/nights/disk.disk";
	refused(dm_undo_mapper(&journal, &undo, &error), "not in the work folder");
	undo = (struct undo){.kind = UNDO_LOOP, .path = "/home/me/disk.img"};
	refused(dm_undo_loop(&journal, &undo, &error), "not in the work folder");
	/* What was never there is gone. */
	undo.path = "/var/lib/x/run/night/disk.disk";
	ck_assert_msg(dm_undo_loop(&journal, &undo, &error) == 0, "%s", error.text);
}
END_TEST

START_TEST(only_loop_devices)
{
	char device[LOOP_DEVICE_MAX];
	int file = memfd_create("test", MFD_CLOEXEC), null = open("/dev/null", O_RDWR | O_CLOEXEC);

	ck_assert(file >= 0 && null >= 0);
	refused(loopdev_require(file, file, device, &error), "no loop device");
	refused(loopdev_require(null, file, device, &error), "no loop device");
	close(file);
	close(null);
}
END_TEST

/* On any host: it says yes or no, and why. */
START_TEST(the_probe_has_a_reason)
{
	const char *why = NULL;
	bool yes = dm_probe(&arena, &why);

	ck_assert_ptr_nonnull(why);
	printf("device-mapper: %s: %s\n", yes ? "yes" : "no", why);
	ck_assert_uint_gt(strlen(why), 10);
	ck_assert(!yes || strstr(why, "errors"));
}
END_TEST

/* ---- trials ---- */

START_TEST(sectors_are_tried)
{
	char path[] = "/var/tmp/drsim-trial-XXXXXX", text[4096];
	struct block_trial_ask ask = {.path = path, .count = 8, .write = true, .fill = 'a'};
	struct block_trial trial;
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(block_try(&ask, 5 * NANOS_S, &trial, &error), 0);
	if (trial.error) {
		printf("skipped: sectors: %s cannot be written directly: %s\n", path,
		       strerror(trial.error));
		unlink(path);
		return;
	}
	ck_assert_uint_eq(trial.done, 8);
	ask.write = false;
	memset(text, 'b', 1);
	ck_assert_int_eq(pwrite(fd, text, 1, 3 * 512 + 100), 1);
	ck_assert_int_eq(fsync(fd), 0);
	ck_assert_int_eq(block_try(&ask, 5 * NANOS_S, &trial, &error), 0);
	ck_assert(trial.done == 8 && trial.failed == 0 && trial.wrong == 1 && !trial.hangs);
	for (uint32_t i = 0; i < 8; i++)
		ck_assert(block_trial_bad(&trial, i) == (i == 3));
	ask.count = 9; /* behind the end */
	ck_assert_int_eq(block_try(&ask, 5 * NANOS_S, &trial, &error), 0);
	ck_assert(trial.done == 8 && trial.error != 0);
	ask.path = "/nowhere";
	ck_assert_int_eq(block_try(&ask, 5 * NANOS_S, &trial, &error), 0);
	ck_assert(trial.done == 0 && trial.error != 0);
	close(fd);
	unlink(path);
}
END_TEST

static void add_cases(Suite *suite)
{
	test_add(suite, "tables", tables_are_those_of_the_kernel);
	test_add(suite, "rows", ranges_become_rows);
	test_add(suite, "room", parameters_have_room);
	test_add_loop(suite, "bounds", bounds, sizeof(bad) / sizeof(bad[0]));
	test_add(suite, "ranges", ranges_join_and_part);
	test_add(suite, "sets", ranges_are_sets);
	test_add(suite, "reading", kernels_write_the_same_in_several_ways);
	test_add(suite, "other tables", tables_of_other_rows_differ);
	test_add(suite, "statuses", statuses);
	test_add(suite, "names", names_are_of_one_run);
	test_add(suite, "undo", the_undo_refuses_what_is_not_ours);
	test_add(suite, "loop devices", only_loop_devices);
	test_add(suite, "probe", the_probe_has_a_reason);
	test_add(suite, "trials", sectors_are_tried);
}

TEST_MAIN("dm", add_cases)
