/* SPDX-License-Identifier: Apache-2.0 */
/* Who cannot reach whom: every shape, direction and number of members, by its definition. */
#include <string.h>

#include "core/partition.h"
#include "tests/test.h"

#define MEMBERS 13
#define SEEDS 40

struct cuts {
	bool lost[MEMBERS][MEMBERS]; /* [from][to] */
	size_t count;
};

static void plan(const struct partition_config *config, struct cuts *cuts)
{
	struct arena arena = {0};
	struct error e = {.kind = ERROR_NONE};
	struct partition_pair *pairs;

	memset(cuts, 0, sizeof(*cuts));
	ck_assert_msg(partition_plan(config, &arena, &pairs, &cuts->count, &e) == 0, "%s", e.text);
	for (size_t i = 0; i < cuts->count; i++) {
		ck_assert(pairs[i].from < config->member_count);
		ck_assert(pairs[i].to < config->member_count);
		ck_assert(pairs[i].from != pairs[i].to);
		ck_assert(!cuts->lost[pairs[i].from][pairs[i].to]);
		ck_assert(i == 0 || pairs[i - 1].from < pairs[i].from ||
			  (pairs[i - 1].from == pairs[i].from && pairs[i - 1].to < pairs[i].to));
		cuts->lost[pairs[i].from][pairs[i].to] = true;
	}
	arena_free(&arena);
}

/* Members that one reaches and is reached by, itself counted. */
static size_t reach(const struct cuts *cuts, size_t member, size_t count)
{
	size_t found = 0;

	for (size_t other = 0; other < count; other++)
		found += !cuts->lost[member][other] && !cuts->lost[other][member];
	return found;
}

/* Sizes of the sides, by how many each reaches. */
static void expect_sides(const struct cuts *cuts, size_t count, size_t first, size_t second)
{
	size_t small = 0, large = 0;

	for (size_t i = 0; i < count; i++) {
		size_t reached = reach(cuts, i, count);

		ck_assert(reached == first || reached == second);
		small += reached == first;
		large += reached == second;
	}
	ck_assert_uint_eq(small, first == second ? count : first);
	ck_assert_uint_eq(large, first == second ? count : second);
	ck_assert_uint_eq(cuts->count, 2 * first * second);
}

START_TEST(sides)
{
	size_t count = (size_t)_i;

	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct partition_config config = {
			.direction = PARTITION_BOTH, .member_count = count, .seed = seed};
		struct cuts cuts;

		config.shape = PARTITION_HALVES;
		plan(&config, &cuts);
		expect_sides(&cuts, count, count / 2, count - count / 2);
		config.shape = PARTITION_ONE;
		plan(&config, &cuts);
		expect_sides(&cuts, count, 1, count - 1);
		config.shape = PARTITION_MAJORITY;
		plan(&config, &cuts);
		expect_sides(&cuts, count, (count - 1) / 2, count - (count - 1) / 2);
		ck_assert(2 * (count - (count - 1) / 2) > count);
	}
}
END_TEST

START_TEST(bridges)
{
	size_t count = (size_t)_i;

	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		const struct partition_config config = {.shape = PARTITION_BRIDGE,
							.direction = PARTITION_BOTH,
							.member_count = count,
							.seed = seed};
		struct cuts cuts;
		size_t all = 0, half = (count - 1) / 2;

		plan(&config, &cuts);
		for (size_t i = 0; i < count; i++)
			all += reach(&cuts, i, count) == count;
		ck_assert_uint_eq(all, 1);
		ck_assert_uint_eq(cuts.count, 2 * half * (count - 1 - half));
	}
}
END_TEST

/* Everyone reaches a majority, cuts are mutual, and no two reach the same members. */
START_TEST(rings)
{
	size_t count = (size_t)_i;

	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		const struct partition_config config = {.shape = PARTITION_MAJORITIES_RING,
							.direction = PARTITION_BOTH,
							.member_count = count,
							.seed = seed};
		struct cuts cuts;

		plan(&config, &cuts);
		for (size_t i = 0; i < count; i++) {
			ck_assert_uint_gt(2 * reach(&cuts, i, count), count);
			ck_assert_uint_lt(reach(&cuts, i, count), count);
			for (size_t k = 0; k < count; k++) {
				ck_assert(cuts.lost[i][k] == cuts.lost[k][i]);
				ck_assert(i == k || memcmp(cuts.lost[i], cuts.lost[k], count) != 0);
			}
		}
	}
}
END_TEST

/* What goes to the first side and what comes from it are together all that is cut, and nothing
 * twice. */
START_TEST(directions)
{
	for (int shape = 0; shape <= PARTITION_BRIDGE; shape++) {
		struct partition_config config = {
			.shape = shape, .member_count = 7, .seed = 5, .direction = PARTITION_BOTH};
		struct cuts both, to, from;

		plan(&config, &both);
		config.direction = PARTITION_TO;
		plan(&config, &to);
		config.direction = PARTITION_FROM;
		plan(&config, &from);
		ck_assert_uint_eq(both.count, to.count + from.count);
		for (size_t i = 0; i < MEMBERS; i++)
			for (size_t k = 0; k < MEMBERS; k++) {
				ck_assert(both.lost[i][k] == (to.lost[i][k] || from.lost[i][k]));
				ck_assert(to.lost[i][k] == from.lost[k][i]);
			}
	}
}
END_TEST

/* "one" from its own view: it alone sends nothing out, or gets nothing. */
START_TEST(direction_of_one)
{
	struct partition_config config = {
		.shape = PARTITION_ONE, .member_count = 5, .seed = 9, .direction = PARTITION_TO};
	struct cuts to, from;
	size_t one = 0;

	plan(&config, &to);
	while (!to.lost[(one + 1) % 5][one])
		one++;
	ck_assert_uint_eq(to.count, 4);
	config.direction = PARTITION_FROM;
	plan(&config, &from);
	ck_assert_uint_eq(from.count, 4);
	for (size_t other = 0; other < 5; other++) {
		ck_assert(to.lost[other][one] == (other != one));
		ck_assert(from.lost[one][other] == (other != one));
	}
}
END_TEST

START_TEST(custom)
{
	const uint32_t groups[] = {2, 7, PARTITION_REACHES_ALL, 2, 7};
	struct partition_config config = {.shape = PARTITION_CUSTOM,
					  .direction = PARTITION_BOTH,
					  .member_count = 5,
					  .groups = groups};
	struct cuts cuts;

	plan(&config, &cuts);
	ck_assert_uint_eq(cuts.count, 8);
	for (size_t i = 0; i < 5; i++)
		for (size_t k = 0; k < 5; k++)
			ck_assert(cuts.lost[i][k] == (i != 2 && k != 2 && groups[i] != groups[k]));
	config.direction = PARTITION_TO;
	plan(&config, &cuts);
	ck_assert_uint_eq(cuts.count, 4);
	ck_assert(cuts.lost[1][0] && cuts.lost[1][3] && cuts.lost[4][0] && cuts.lost[4][3]);
}
END_TEST

/* The same seed cuts the same pairs; among many seeds each member is cut off once. */
START_TEST(seeds)
{
	bool was[MEMBERS] = {false};
	size_t different = 0;

	for (uint64_t seed = 0; seed < 200; seed++) {
		const struct partition_config config = {.shape = PARTITION_ONE,
							.direction = PARTITION_BOTH,
							.member_count = MEMBERS,
							.seed = seed};
		struct cuts first, again;

		plan(&config, &first);
		plan(&config, &again);
		ck_assert_mem_eq(&first, &again, sizeof(first));
		for (size_t i = 0; i < MEMBERS; i++)
			was[i] = was[i] || reach(&first, i, MEMBERS) == 1;
	}
	for (size_t i = 0; i < MEMBERS; i++)
		different += was[i];
	ck_assert_uint_eq(different, MEMBERS);
}
END_TEST

static void expect_error(const struct partition_config *config, enum error_kind kind,
			 const char *text)
{
	struct arena arena = {0};
	struct error e = {.kind = ERROR_NONE};
	struct partition_pair *pairs;
	size_t count;

	ck_assert_int_eq(partition_plan(config, &arena, &pairs, &count, &e), -1);
	ck_assert_int_eq(e.kind, kind);
	ck_assert_str_eq(e.text, text);
	arena_free(&arena);
}

START_TEST(refuses)
{
	static const uint32_t alone[] = {3, 3, PARTITION_REACHES_ALL};
	struct partition_config config = {.shape = PARTITION_MAJORITIES_RING, .member_count = 3};

	expect_error(&config, ERROR_SCENARIO,
		     "a partition of shape majorities-ring needs 4 members at least, it has 3");
	config.shape = PARTITION_BRIDGE;
	config.member_count = 2;
	expect_error(&config, ERROR_SCENARIO,
		     "a partition of shape bridge needs 3 members at least, it has 2");
	config.shape = PARTITION_HALVES;
	config.member_count = 1001;
	expect_error(&config, ERROR_LIMIT, "1001 members of a partition, at most 1000");
	config.member_count = 0;
	expect_error(&config, ERROR_SCENARIO,
		     "a partition of shape halves needs 2 members at least, it has 0");
	config.shape = PARTITION_CUSTOM;
	config.groups = alone;
	config.member_count = 3;
	expect_error(&config, ERROR_SCENARIO,
		     "nothing is cut: all members of the partition are in one group");
}
END_TEST

static void add_range(Suite *suite, const char *name, const TTest *test, int from)
{
	TCase *tcase = tcase_create(name);

	tcase_add_loop_test(tcase, test, from, MEMBERS + 1);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	add_range(suite, "sides", sides, 3);
	add_range(suite, "bridges", bridges, 3);
	add_range(suite, "rings", rings, 4);
	test_add(suite, "directions", directions);
	test_add(suite, "direction of one", direction_of_one);
	test_add(suite, "custom", custom);
	test_add(suite, "seeds", seeds);
	test_add(suite, "refuses", refuses);
}

TEST_MAIN("partition", add_cases)
