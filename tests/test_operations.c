/* SPDX-License-Identifier: Apache-2.0 */
/* Which operations are hit: strace's grammar, errors by name, lists; shares of loss models and the
 * shapes of partitions. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/errno_names.h"
#include "core/impairment.h"
#include "core/operations.h"
#include "core/prng.h"
#include "tests/test.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* ---- when ---- */

static const struct {
	const char *text, *printed;
	struct when when;
	uint64_t among_10; /* of the first ten */
} whens[] = {
	{"1", "1", {1, 1, 1}, 1},
	{"3", "3", {3, 3, 1}, 1},
	{"1+", "1+", {1, WHEN_ENDLESS, 1}, 10},
	{"3+", "3+", {3, WHEN_ENDLESS, 1}, 8},
	{"3+1", "3+", {3, WHEN_ENDLESS, 1}, 8},
	{"3+2", "3+2", {3, WHEN_ENDLESS, 2}, 4},
	{"3..9", "3..9", {3, 9, 1}, 7},
	{"3..9+", "3..9", {3, 9, 1}, 7},
	{"3..9+2", "3..9+2", {3, 9, 2}, 4},
	{"3..8+2", "3..8+2", {3, 8, 2}, 3},
	{"3..3", "3", {3, 3, 1}, 1},
	{"8..20+5", "8..20+5", {8, 20, 5}, 1},
	{"11", "11", {11, 11, 1}, 0},
	{"1000000000000", "1000000000000", {WHEN_MAX, WHEN_MAX, 1}, 0},
};

START_TEST(when_is_read)
{
	char text[WHEN_TEXT_MAX];
	struct when when, again;
	struct error e = {0};
	uint64_t hits = 0;

	ck_assert_msg(when_parse(whens[_i].text, NO_PLACE, &when, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(when.first, whens[_i].when.first);
	ck_assert_uint_eq(when.last, whens[_i].when.last);
	ck_assert_uint_eq(when.step, whens[_i].when.step);
	ck_assert_str_eq(when_print(&when, text), whens[_i].printed);
	ck_assert_int_eq(when_parse(text, NO_PLACE, &again, &e), 0);
	ck_assert_mem_eq(&again, &when, sizeof(when));
	for (uint64_t n = 1; n <= 10; n++)
		hits += when_hits(&when, n);
	ck_assert_uint_eq(hits, whens[_i].among_10);
	ck_assert_uint_eq(when_hits_among(&when, 10), whens[_i].among_10);
}
END_TEST

static const struct {
	const char *text, *error;
} no_whens[] = {
	{"", "says no operations"},
	{"0", "says no operations"},
	{"0+", "says no operations"},
	{"-1", "says no operations"},
	{"+2", "says no operations"},
	{"3..", "says no operations"},
	{"3.9", "says no operations"},
	{"3...9", "says no operations"},
	{"3..9+0", "says no operations"},
	{"3+ 2", "says no operations"},
	{" 3", "says no operations"},
	{"3 ", "says no operations"},
	{"3+2+1", "says no operations"},
	{"3+x", "says no operations"},
	{"0x3", "says no operations"},
	{"..9", "says no operations"},
	{"3..9..12", "says no operations"},
	{"three", "says no operations"},
	{"9..3", "ends before it begins"},
	{"1000000000001", "counts further than"},
	{"1..99999999999999999999999", "counts further than"},
	{"1+18446744073709551617", "counts further than"},
};

START_TEST(when_is_refused)
{
	const struct place place = {"a.yaml", 3, 7};
	struct when when = {7, 7, 7};
	struct error e = {0};

	ck_assert_int_eq(when_parse(no_whens[_i].text, place, &when, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_SCENARIO);
	ck_assert_uint_eq(e.place.line, 3);
	ck_assert_msg(strstr(e.text, no_whens[_i].error) != NULL, "%s", e.text);
	ck_assert_uint_eq(when.first, 7);
}
END_TEST

/* Counting at once is the same as asking for each. */
START_TEST(when_counts)
{
	struct prng prng;

	prng_open(&prng, 1, 0, 0, PRNG_FAULT);
	for (int i = 0; i < 2000; i++) {
		struct when when = {.first = 1 + prng_below(&prng, 20),
				    .step = 1 + prng_below(&prng, 9)};
		uint64_t count = prng_below(&prng, 60), hits = 0;

		when.last =
			prng_below(&prng, 4) ? when.first + prng_below(&prng, 40) : WHEN_ENDLESS;
		for (uint64_t n = 1; n <= count; n++)
			hits += when_hits(&when, n);
		ck_assert_uint_eq(when_hits_among(&when, count), hits);
	}
}
END_TEST

/* ---- errors by name ---- */

START_TEST(errors_have_names)
{
	int known = 0;

	for (int number = 1; number < 4096; number++) {
		const char *name = errno_name(number);

		if (!name)
			continue;
		ck_assert_int_eq(errno_by_name(name), number);
		known++;
	}
	ck_assert_int_eq(known, 131);
	ck_assert_str_eq(errno_name(28), "ENOSPC");
	ck_assert_int_eq(errno_by_name("EIO"), 5);
	ck_assert_int_eq(errno_by_name("EWOULDBLOCK"), EAGAIN);
	ck_assert_int_eq(errno_by_name("ENOTSUP"), EOPNOTSUPP);
	ck_assert_int_eq(errno_by_name("EDEADLOCK"), EDEADLK);
	ck_assert_int_eq(errno_by_name("eio"), 0);
	ck_assert_int_eq(errno_by_name(""), 0);
	ck_assert_ptr_null(errno_name(0));
	ck_assert_ptr_null(errno_name(-5));
	ck_assert_ptr_null(errno_name(41));
}
END_TEST

/* ---- lists ---- */

START_TEST(files_are_read)
{
	char text[OPERATIONS_TEXT_MAX];
	struct error e = {0};
	uint32_t files;

	ck_assert_int_eq(operations_parse_files("all", NO_PLACE, &files, &e), 0);
	ck_assert_uint_eq(files, FILE_ALL);
	ck_assert_str_eq(operations_print_files(files, text), "all");
	ck_assert_int_eq(operations_parse_files("sync,read", NO_PLACE, &files, &e), 0);
	ck_assert_uint_eq(files, FILE_BIT(FILE_READ) | FILE_BIT(FILE_SYNC));
	ck_assert_str_eq(operations_print_files(files, text), "read,sync");
	ck_assert_str_eq(operations_print_files(FILE_ALL & ~FILE_BIT(FILE_OPEN), text),
			 "read,write,sync,truncate,rename,remove,create,list,status");
	ck_assert_str_eq(operations_print_files(0, text), "none");
	for (int i = 0; i < FILE_OPERATIONS; i++) {
		ck_assert_int_eq(
			operations_parse_files(file_operation_names[i], NO_PLACE, &files, &e), 0);
		ck_assert_uint_eq(files, FILE_BIT(i));
	}
	ck_assert_ptr_null(file_operation_names[FILE_OPERATIONS]);
	ck_assert_ptr_null(fd_kind_names[FD_KINDS]);
	ck_assert_int_eq(operations_parse_files("", NO_PLACE, &files, &e), -1);
	ck_assert_int_eq(operations_parse_files("read,", NO_PLACE, &files, &e), -1);
	ck_assert_int_eq(operations_parse_files("read all", NO_PLACE, &files, &e), -1);
	ck_assert_int_eq(operations_parse_files("readreadreadreadreadreadreadreadread", NO_PLACE,
						&files, &e),
			 -1);
	ck_assert_uint_eq(files, FILE_BIT(FILE_OPERATIONS - 1));
}
END_TEST

START_TEST(calls_are_checked)
{
	char many[OPERATIONS_NAMES_MAX * 4 + 8] = "";
	struct error e = {0};

	ck_assert_int_eq(operations_check_calls("openat", NO_PLACE, &e), 0);
	ck_assert_int_eq(operations_check_calls("openat,pwrite64,_llseek", NO_PLACE, &e), 0);
	ck_assert_int_eq(operations_check_calls("read,pread64,preadv,readv", NO_PLACE, &e), 0);
	ck_assert_int_eq(operations_check_calls("", NO_PLACE, &e), -1);
	ck_assert_int_eq(operations_check_calls("read, write", NO_PLACE, &e), -1);
	ck_assert_int_eq(operations_check_calls("read;write", NO_PLACE, &e), -1);
	ck_assert_int_eq(operations_check_calls("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NO_PLACE, &e),
			 -1);
	for (int i = 0; i <= OPERATIONS_NAMES_MAX; i++)
		snprintf(many + strlen(many), sizeof(many) - strlen(many), "%sc%d", i ? "," : "",
			 i);
	e = (struct error){0};
	ck_assert_int_eq(operations_check_calls(many, NO_PLACE, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_LIMIT);
}
END_TEST

START_TEST(parts_are_read)
{
	struct error e = {0};
	uint64_t persist;

	ck_assert_int_eq(operations_parse_parts("1,3", 4, NO_PLACE, &persist, &e), 0);
	ck_assert_uint_eq(persist, 5);
	ck_assert_int_eq(operations_parse_parts("none", 4, NO_PLACE, &persist, &e), 0);
	ck_assert_uint_eq(persist, 0);
	ck_assert_int_eq(operations_parse_parts("64", 64, NO_PLACE, &persist, &e), 0);
	ck_assert_uint_eq(persist, (uint64_t)1 << 63);
	ck_assert_int_eq(operations_parse_parts("0", 4, NO_PLACE, &persist, &e), -1);
	ck_assert_int_eq(operations_parse_parts("5", 4, NO_PLACE, &persist, &e), -1);
	ck_assert_int_eq(operations_parse_parts("1,,2", 4, NO_PLACE, &persist, &e), -1);
}
END_TEST

/* ---- packets ---- */

/* The chain itself, step by step, loses what the formula says. */
START_TEST(loss_models_lose_their_share)
{
	static const struct impairment models[] = {
		{.loss = LOSS_GEMODEL, .p = 0.01, .r = 0.1, .one_h = 1},
		{.loss = LOSS_GEMODEL, .p = 0.02, .r = 0.2, .one_h = 0.5, .one_k = 0.01},
		{.loss = LOSS_STATE, .p13 = 0.01, .p31 = 0.1, .p14 = 0.01},
		{.loss = LOSS_STATE, .p13 = 0.05, .p31 = 0.2, .p32 = 0.3, .p23 = 0.4},
	};
	const struct impairment *m = &models[_i];
	double good = 1, bad = 0, s[4] = {1, 0, 0, 0};

	for (int i = 0; i < 100000; i++) {
		double next = bad + good * m->p - bad * m->r;
		double t[4] = {s[0] * (1 - m->p13 - m->p14) + s[2] * m->p31 + s[3],
			       s[1] * (1 - m->p23) + s[2] * m->p32,
			       s[2] * (1 - m->p31 - m->p32) + s[0] * m->p13 + s[1] * m->p23,
			       s[0] * m->p14};
		good = 1 - next;
		bad = next;
		memcpy(s, t, sizeof(s));
	}
	double lost = m->loss == LOSS_GEMODEL ? good * m->one_k + bad * m->one_h : s[2] + s[3];
	ck_assert_double_eq_tol(impairment_loss(m, 0.5), lost, 1e-9);
}
END_TEST

/* Of an odd number the first half is the smaller; in a ring each sees a majority and no two see the
 * same one. */
START_TEST(shapes_cut)
{
	struct entity nodes[9];
	struct partition partition = {.entities = nodes, .count = 5};

	for (int i = 0; i < 9; i++)
		nodes[i] = (struct entity){.kind = ENTITY_NODE, .index = i};
	partition.shape = PARTITION_HALVES;
	ck_assert(partition_cuts(&partition, 1, 2) && !partition_cuts(&partition, 2, 4));
	partition.shape = PARTITION_MAJORITY;
	ck_assert(partition_cuts(&partition, 2, 3) && !partition_cuts(&partition, 0, 2));
	partition.shape = PARTITION_ONE;
	partition.one = 3;
	ck_assert(partition_cuts(&partition, 0, 3) && !partition_cuts(&partition, 0, 4));
	ck_assert(partition_between(&partition, nodes[3], nodes[0]));
	ck_assert(!partition_between(&partition, nodes[3], nodes[3]));
	ck_assert(!partition_between(&partition, nodes[3], nodes[7]));
	partition.shape = PARTITION_ALL;
	ck_assert(partition_between(&partition, nodes[3], nodes[7]));
	ck_assert(!partition_between(&partition, nodes[6], nodes[7]));
	partition.shape = PARTITION_RING;
	for (partition.count = 4; partition.count <= 9; partition.count++) {
		uint32_t seen[9] = {0};

		for (size_t a = 0; a < partition.count; a++) {
			for (size_t b = 0; b < partition.count; b++)
				if (!partition_cuts(&partition, a, b))
					seen[a] |= 1u << b;
			ck_assert_uint_gt(2 * (size_t)__builtin_popcount(seen[a]), partition.count);
			ck_assert_uint_lt((size_t)__builtin_popcount(seen[a]), partition.count);
			for (size_t b = 0; b < a; b++)
				ck_assert_uint_ne(seen[a], seen[b]);
		}
	}
	partition.shape = PARTITION_BRIDGE;
	partition.count = 5;
	for (size_t i = 0; i < 5; i++)
		ck_assert(!partition_cuts(&partition, 2, i));
	ck_assert(partition_cuts(&partition, 1, 3));
}
END_TEST

static void add_cases(Suite *suite)
{
	test_add_loop(suite, "when", when_is_read, COUNT(whens));
	test_add_loop(suite, "no when", when_is_refused, COUNT(no_whens));
	test_add(suite, "when counts", when_counts);
	test_add(suite, "errors", errors_have_names);
	test_add(suite, "files", files_are_read);
	test_add(suite, "calls", calls_are_checked);
	test_add(suite, "parts", parts_are_read);
	test_add_loop(suite, "loss models", loss_models_lose_their_share, 4);
	test_add(suite, "shapes", shapes_cut);
}

TEST_MAIN("operations", add_cases)
