/* SPDX-License-Identifier: Apache-2.0 */
/* Which operations are hit: errors by name, lists; shares of loss models and the
 * shapes of partitions. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/errno_names.h"
#include "core/impairment.h"
#include "core/operations.h"
#include "tests/test.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

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
	test_add(suite, "errors", errors_have_names);
	test_add(suite, "files", files_are_read);
	test_add(suite, "calls", calls_are_checked);
	test_add(suite, "parts", parts_are_read);
	test_add_loop(suite, "loss models", loss_models_lose_their_share, 4);
	test_add(suite, "shapes", shapes_cut);
}

TEST_MAIN("operations", add_cases)
