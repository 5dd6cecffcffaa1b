/* SPDX-License-Identifier: Apache-2.0 */
/* strace's `when=`: what it means, and where its errors are. */
#include <stdint.h>
#include <string.h>

#include "core/when.h"
#include "tests/test.h"

struct good {
	const char *text;
	const char *hits; /* of the calls 1 … 12 */
	const char *again;
};

static const struct good goods[] = {
	{"1", "x...........", "1"},
	{"3", "..x.........", "3"},
	{"3+", "..xxxxxxxxxx", "3+"},
	{"3+1", "..xxxxxxxxxx", "3+"},
	{"3+2", "..x.x.x.x.x.", "3+2"},
	{"3..7", "..xxxxx.....", "3..7"},
	{"3..7+", "..xxxxx.....", "3..7"},
	{"3..7+2", "..x.x.x.....", "3..7+2"},
	{"3..8+2", "..x.x.x.....", "3..8+2"},
	{"3..3", "..x.........", "3"},
	{"2..11+9", ".x........x.", "2..11+9"},
	{"1+18446744073709551615", "x...........", "1+18446744073709551615"},
	{"0012", "...........x", "12"},
};

START_TEST(what_is_meant)
{
	const struct good *good = &goods[_i];
	struct error e = {0};
	struct when when;
	char hits[13] = "", text[WHEN_TEXT_MAX];

	ck_assert_msg(when_parse(good->text, NO_PLACE, &when, &e) == 0, "%s", e.text);
	for (uint64_t n = 1; n <= 12; n++)
		hits[n - 1] = when_includes(&when, n) ? 'x' : '.';
	ck_assert_str_eq(hits, good->hits);
	ck_assert_str_eq(when_text(text, &when), good->again);
}
END_TEST

START_TEST(nothing_said_is_every_call)
{
	const struct when when = {0};
	char text[WHEN_TEXT_MAX];

	ck_assert(when_includes(&when, 1) && when_includes(&when, UINT64_MAX));
	ck_assert_str_eq(when_text(text, &when), "1+");
}
END_TEST

START_TEST(a_step_never_wraps)
{
	const struct when when = {UINT64_MAX - 1, UINT64_MAX, UINT64_MAX};
	char text[WHEN_TEXT_MAX];

	ck_assert(when_includes(&when, UINT64_MAX - 1));
	ck_assert(!when_includes(&when, UINT64_MAX));
	ck_assert_uint_lt(strlen(when_text(text, &when)), WHEN_TEXT_MAX);
}
END_TEST

struct bad {
	const char *text;
	uint32_t column;
	const char *words;
};

static const struct bad bads[] = {
	{"", 10, "the first is no number"},
	{"0", 10, "the first is 0"},
	{"-1", 10, "the first is no number"},
	{" 1", 10, "the first is no number"},
	{"1 ", 11, "something follows"},
	{"3.7", 11, "something follows"},
	{"3..", 13, "the last is no number"},
	{"3..2", 13, "the last comes before the first"},
	{"3..0", 13, "the last is 0"},
	{"3..+2", 13, "the last is no number"},
	{"3+0", 12, "the step is 0"},
	{"3++", 12, "the step is no number"},
	{"3+2..7", 13, "something follows"},
	{"3..7+x", 15, "the step is no number"},
	{"18446744073709551616", 10, "the first is too large"},
	{"1..99999999999999999999", 13, "the last is too large"},
};

START_TEST(errors_have_a_place)
{
	const struct bad *bad = &bads[_i];
	struct error e = {0};
	struct when when = {7, 8, 9};

	ck_assert_int_eq(when_parse(bad->text, (struct place){"f.yaml", 3, 10}, &when, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_SCENARIO);
	ck_assert_uint_eq(e.place.line, 3);
	ck_assert_uint_eq(e.place.column, bad->column);
	ck_assert_msg(strstr(e.text, bad->words), "%s", e.text);
	ck_assert_uint_eq(when.first, 7);
	/* Without a place it stays without. */
	e = (struct error){0};
	ck_assert_int_eq(when_parse(bad->text, NO_PLACE, &when, &e), -1);
	ck_assert_uint_eq(e.place.column, 0);
}
END_TEST

static void add_cases(Suite *suite)
{
	test_add_loop(suite, "good", what_is_meant, sizeof(goods) / sizeof(goods[0]));
	test_add(suite, "nothing", nothing_said_is_every_call);
	test_add(suite, "wrap", a_step_never_wraps);
	test_add_loop(suite, "bad", errors_have_a_place, sizeof(bads) / sizeof(bads[0]));
}

TEST_MAIN("when", add_cases)
