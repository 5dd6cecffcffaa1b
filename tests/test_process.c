/* SPDX-License-Identifier: Apache-2.0 */
/* What the driver process can be asked without starting anything: its table of effects, and the
 * data of its sites as files: they prove themselves, grow, are replicated, mirrored and fenced. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/driver.h"
#include "drivers/drivers.h"
#include "drivers/process/copies.h"
#include "tests/test.h"
#include "tests/workplace.h"

static struct arena arena;

/* ---- effects ---- */

START_TEST(effects_have_a_mechanism_or_are_refused)
{
	size_t there = 0;

	for (int kind = 0; kind < EFFECTS; kind++) {
		bool can = (driver_process.effects >> kind & 1) != 0;
		const char *text = driver_process.mechanism((enum effect_kind)kind).text;
		ck_assert_msg(can == (strcmp(text, "none on this driver") != 0), "%s: %s",
			      effect_names[kind], text);
		there += can;
	}
	ck_assert_uint_ge(there, 20);
}
END_TEST

/* ---- copies ---- */

static nanos now_of(void *self)
{
	struct timespec now;

	(void)self;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (nanos)now.tv_sec * NANOS_S + now.tv_nsec;
}

static bool reaches(void *self, uint32_t from, uint32_t to)
{
	(void)self;
	(void)from;
	(void)to;
	return true;
}

static struct copies *make(bool start)
{
	static const char text[] = "apiVersion: drsim/v1\nname: c\nduration: 10m\n"
				   "deployment:\n"
				   "  sites:\n"
				   "    - {name: a, nodes: 1, shape: gpu.h100-sxm}\n"
				   "    - {name: b, nodes: 1, shape: gpu.h100-sxm,"
				   " standby: {heat: hot, replication_lag: 50ms}}\n"
				   "  endpoints: [{name: chat, site: a, model: {bytes: 100kB}}]\n"
				   "  data:\n"
				   "    model: {bytes: 100kB}\n"
				   "    training: {bytes: 10kB, change: 100kB/s}\n"
				   "    io: {bytes: 10kB, change: 1kB/s, records: 10/s}\n";
	struct copies_config config = {.folder = ".", .seed = 7, .now = now_of, .reaches = reaches};
	struct scenario *scenario;
	struct copies *copies;
	struct error e = {0};
	size_t count;

	workplace_enter("copies");
	ck_assert_msg(scenario_parse("c.yaml", text, strlen(text), NULL, 0, &arena, &scenario, &e,
				     1, &count) == 0,
		      "%s", e.text);
	config.scenario = scenario;
	mkdir("a", 0755);
	mkdir("b", 0755);
	ck_assert_msg(copies_open(&config, &copies, &e) == 0, "%s", e.text);
	if (start)
		ck_assert_int_eq(copies_start(copies, &e), 0);
	return copies;
}

static void unmake(struct copies *copies)
{
	copies_close(copies);
	workplace_leave();
	arena_reset(&arena);
}

static void flip(const char *path, off_t at)
{
	int fd = open(path, O_RDWR);
	unsigned char byte;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
	byte ^= 1;
	ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

static uint64_t mismatches(struct copies *copies, uint32_t site, enum data_class c)
{
	struct copies_look look;

	copies_look(copies, site, c, &look);
	ck_assert_uint_eq(look.missing, 0);
	ck_assert_uint_eq(look.unreadable, 0);
	return look.mismatches;
}

START_TEST(files_prove_themselves)
{
	struct copies *copies = make(false);

	for (int c = 0; c < DATA_CLASSES; c++)
		ck_assert_uint_eq(mismatches(copies, 0, (enum data_class)c), 0);
	flip("a/data/model/chat.weights", 54321);
	flip("a/data/training/base", 9000);
	flip("a/data/io/base", 0);
	for (int c = 0; c < DATA_CLASSES; c++)
		ck_assert_uint_eq(mismatches(copies, 0, (enum data_class)c), 1);
	/* The standby's are others. */
	for (int c = 0; c < DATA_CLASSES; c++)
		ck_assert_uint_eq(mismatches(copies, 1, (enum data_class)c), 0);
	unmake(copies);
}
END_TEST

/* A block over another is whole by itself, and still not what was written there. */
START_TEST(a_block_knows_its_place)
{
	struct copies *copies = make(false);
	char block[COPIES_BLOCK];
	int fd = open("a/data/training/base", O_RDWR);

	ck_assert_int_eq(pread(fd, block, sizeof(block), 0), COPIES_BLOCK);
	ck_assert_int_eq(pwrite(fd, block, sizeof(block), 5 * COPIES_BLOCK), COPIES_BLOCK);
	close(fd);
	ck_assert_uint_eq(mismatches(copies, 0, DATA_TRAINING), 1);
	unmake(copies);
}
END_TEST

START_TEST(a_site_is_mirrored)
{
	struct copies *copies = make(false);
	struct error e = {0};
	uint64_t bytes = 0;
	FILE *own;

	flip("b/data/training/base", 100);
	own = fopen("b/data/training/surplus", "w");
	fputs("x", own);
	fclose(own);
	ck_assert_int_eq(copies_mirror(copies, 0, 1, DATA_TRAINING, false, &bytes, &e), 0);
	ck_assert_uint_eq(mismatches(copies, 1, DATA_TRAINING), 0);
	ck_assert_int_ne(access("b/data/training/surplus", F_OK), 0);
	ck_assert_uint_eq(bytes, 10000 / COPIES_BLOCK * COPIES_BLOCK);
	copies_power(copies, 0, false);
	ck_assert_int_eq(copies_mirror(copies, 0, 1, DATA_TRAINING, false, &bytes, &e), -1);
	unmake(copies);
}
END_TEST

/* A server of the user's may keep thousands of small files: all of them go to the other site. */
START_TEST(a_site_of_many_files_is_mirrored_whole)
{
	struct copies *copies = make(false);
	struct error e = {0};
	char path[64];

	ck_assert_int_eq(mkdir("a/data/io/db", 0755), 0);
	for (int i = 0; i < 1200; i++) {
		snprintf(path, sizeof(path), "a/data/io/db/%d", i);
		FILE *file = fopen(path, "w");
		ck_assert_ptr_nonnull(file);
		fprintf(file, "%d", i);
		fclose(file);
	}
	ck_assert_int_eq(copies_mirror_folder(copies, 0, 1, DATA_IO, "db", &e), 0);
	for (int i = 0; i < 1200; i++) {
		snprintf(path, sizeof(path), "b/data/io/db/%d", i);
		ck_assert_msg(access(path, F_OK) == 0, "%s is missing", path);
	}
	unmake(copies);
}
END_TEST

static void pause_ms(long ms)
{
	const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&pause, NULL);
}

START_TEST(training_data_grow_and_are_replicated)
{
	struct copies *copies = make(true);
	nanos begun = now_of(NULL), reached;
	struct error e = {0};

	pause_ms(600);
	uint64_t fed = copies_fed(copies, 0, begun, now_of(NULL));
	ck_assert_uint_ge(fed, 20000); /* 60 kB by the rate, on a machine that is free */
	ck_assert_uint_le(fed, 90000);
	ck_assert_uint_eq(mismatches(copies, 1, DATA_TRAINING), 0);
	/* Fenced, nothing grows; promoted, nothing is replicated any more. */
	ck_assert_int_eq(copies_fence(copies, 0, true, &e), 0);
	ck_assert(copies_fenced(copies, 0));
	pause_ms(100);
	nanos last = copies_last_fed(copies, 0);
	pause_ms(200);
	ck_assert_int_eq(copies_last_fed(copies, 0), last);
	reached = copies_promote(copies, 1, DATA_TRAINING);
	ck_assert_int_gt(reached, begun);
	ck_assert_int_le(reached, now_of(NULL) - 50 * NANOS_MS);
	uint64_t held = copies_bytes(copies, 1, DATA_TRAINING);
	ck_assert_uint_eq(held, copies_bytes(copies, 0, DATA_TRAINING));
	ck_assert_int_eq(copies_fence(copies, 0, false, &e), 0);
	pause_ms(300);
	ck_assert_uint_eq(copies_bytes(copies, 1, DATA_TRAINING), held);
	ck_assert_uint_gt(copies_bytes(copies, 0, DATA_TRAINING), held);
	ck_assert_int_eq(copies_resume(copies, 1, &e), 0);
	pause_ms(300);
	ck_assert_uint_gt(copies_bytes(copies, 1, DATA_TRAINING), held);
	unmake(copies);
}
END_TEST

static void add_cases(Suite *suite)
{
	test_add(suite, "effects", effects_have_a_mechanism_or_are_refused);
	test_add(suite, "proof", files_prove_themselves);
	test_add(suite, "place", a_block_knows_its_place);
	test_add(suite, "mirror", a_site_is_mirrored);
	test_add(suite, "many files", a_site_of_many_files_is_mirrored_whole);
	test_add(suite, "replication", training_data_grow_and_are_replicated);
}

TEST_MAIN("process", add_cases)
