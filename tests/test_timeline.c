/* SPDX-License-Identifier: Apache-2.0 */
/* The writer of events.jsonl: bytes, numbers, escapes, and a disk that is full. */
#include "core/timeline.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/record.h"
#include "tests/test.h"

static void temporary(char path[64])
{
	char folder[] = "/tmp/drsim-timeline-XXXXXX";

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, 64, "%s/events.jsonl", folder);
}

static void forget(char path[64])
{
	unlink(path);
	*strrchr(path, '/') = '\0';
	ck_assert_int_eq(rmdir(path), 0);
}

static void expect_file(const char *path, const char *expected)
{
	char text[4096];
	FILE *file = fopen(path, "r");
	size_t size;

	ck_assert_ptr_nonnull(file);
	size = fread(text, 1, sizeof(text) - 1, file);
	text[size] = '\0';
	fclose(file);
	ck_assert_str_eq(text, expected);
}

START_TEST(writes_every_kind_of_field)
{
	static const char *const classes[] = {"model", "i\"o"};
	struct timeline timeline;
	struct error e = {0};
	char path[64];

	temporary(path);
	ck_assert_int_eq(timeline_open(&timeline, path, &e), 0);
	ck_assert(timeline_on(&timeline));
	timeline_begin(&timeline, 0, "a");
	timeline_int(&timeline, "int", INT64_MIN);
	timeline_nanos(&timeline, "at_ns", INT64_MAX - 1);
	timeline_nanos(&timeline, "never", NANOS_NEVER);
	timeline_real(&timeline, "real", 0.1);
	timeline_real(&timeline, "nan", NAN);
	timeline_end(&timeline);
	timeline_begin(&timeline, 7, "b");
	timeline_bool(&timeline, "yes", true);
	timeline_bool(&timeline, "no", false);
	timeline_null(&timeline, "nothing");
	timeline_text(&timeline, "text", "tab\tquote\"back\\ bell\a \xc3\xa9 \xff");
	timeline_text(&timeline, "none", NULL);
	timeline_texts(&timeline, "classes", classes, 2);
	timeline_texts(&timeline, "empty", NULL, 0);
	timeline_end(&timeline);
	ck_assert_int_eq(timeline_close(&timeline, &e), 0);
	expect_file(
		path,
		"{\"seq\":0,\"t_ns\":0,\"event\":\"a\",\"int\":-9223372036854775808,"
		"\"at_ns\":9223372036854775806,\"never\":null,\"real\":0.1,\"nan\":null}\n"
		"{\"seq\":1,\"t_ns\":7,\"event\":\"b\",\"yes\":true,\"no\":false,\"nothing\":null,"
		"\"text\":\"tab\\tquote\\\"back\\\\ bell\\u0007 \xc3\xa9 "
		"\xef\xbf\xbd\",\"none\":null,"
		"\"classes\":[\"model\",\"i\\\"o\"],\"empty\":[]}\n");
	forget(path);
}
END_TEST

START_TEST(nowhere_costs_and_writes_nothing)
{
	struct timeline timeline;
	struct error e = {0};

	ck_assert_int_eq(timeline_open(&timeline, NULL, &e), 0);
	ck_assert(!timeline_on(&timeline));
	timeline_begin(&timeline, 5, "a");
	timeline_text(&timeline, "text", "x");
	timeline_end(&timeline);
	ck_assert_uint_eq(timeline.length, 0);
	ck_assert_int_eq(timeline_close(&timeline, &e), 0);
}
END_TEST

START_TEST(existing_file_is_refused)
{
	struct timeline timeline;
	struct error e = {0};
	char path[64];

	temporary(path);
	ck_assert_int_eq(timeline_open(&timeline, path, &e), 0);
	ck_assert_int_eq(timeline_close(&timeline, &e), 0);
	ck_assert_int_eq(timeline_open(&timeline, path, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_IO);
	forget(path);
}
END_TEST

/* A file that may not grow past 64 KiB stands for a full disk: the write fails, and close tells it.
 */
START_TEST(full_disk_is_told)
{
	struct rlimit before, small;
	struct timeline timeline;
	struct error e = {0};
	char path[64];

	temporary(path);
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){.rlim_cur = 65536, .rlim_max = before.rlim_max};
	ck_assert_int_eq(timeline_open(&timeline, path, &e), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (int i = 0; i < _i; i++) {
		timeline_begin(&timeline, i, "filler");
		timeline_text(&timeline, "text", "0123456789012345678901234567890123456789");
		timeline_end(&timeline);
	}
	ck_assert_int_eq(timeline_close(&timeline, &e), -1);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	ck_assert_int_eq(e.kind, ERROR_IO);
	ck_assert_ptr_nonnull(strstr(e.text, strerror(EFBIG)));
	forget(path);
}
END_TEST

START_TEST(reals_are_short)
{
	static const struct {
		double value;
		const char *text;
	} cases[] = {
		{0, "0"},
		{-0.0, "-0"},
		{1, "1"},
		{0.1, "0.1"},
		{0.3, "0.3"},
		{0.1 + 0.2, "0.30000000000000004"},
		{1e12, "1000000000000"},
		{1e20, "1e+20"},
		{212.4, "212.4"},
		{1.0 / 3, "0.3333333333333333"},
		{5e-324, "5e-324"},
		{DBL_MAX, "1.7976931348623157e+308"},
		{123456789012345678.0, "1.2345678901234568e+17"},
		{NAN, "null"},
		{INFINITY, "null"},
		{-INFINITY, "null"},
	};
	char text[REAL_TEXT_MAX];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_uint_eq(real_text(text, cases[i].value), strlen(cases[i].text));
		ck_assert_str_eq(text, cases[i].text);
	}
}
END_TEST

/* Every bit pattern of a linear congruential walk reads back as itself. */
START_TEST(reals_read_back)
{
	uint64_t bits = 88172645463325252u;
	char text[REAL_TEXT_MAX];

	for (int i = 0; i < 200000; i++) {
		double value;

		bits = bits * 6364136223846793005u + 1442695040888963407u;
		memcpy(&value, &bits, sizeof(value));
		real_text(text, value);
		if (isfinite(value))
			ck_assert(strtod(text, NULL) == value);
	}
}
END_TEST

START_TEST(escapes)
{
	static const char *const cases[][2] = {
		{"", ""},
		{"plain", "plain"},
		{"\"\\", "\\\"\\\\"},
		{"\b\f\n\r\t", "\\b\\f\\n\\r\\t"},
		{"\x01\x1f\x7f", "\\u0001\\u001f\\u007f"},
		{"\xe2\x82\xac", "\xe2\x82\xac"},
		{"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
		{"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},                 /* overlong */
		{"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* surrogate */
		{"\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"},                 /* cut off */
		{"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
	};
	char out[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_uint_eq(json_escape(out, sizeof(out), cases[i][0]), strlen(cases[i][1]));
		ck_assert_str_eq(out, cases[i][1]);
	}
	ck_assert_uint_eq(json_escape(out, 4, "abc"), 3);
	ck_assert(json_escape(out, 3, "abc") == SIZE_MAX);
	ck_assert(json_escape(out, 6, "\x01") == SIZE_MAX);
}
END_TEST

START_TEST(names_are_complete)
{
	for (size_t i = 0; i < MARKS; i++)
		ck_assert(strncmp(mark_names[i], "t_", 2) == 0);
	for (size_t i = 0; i < MEASURES; i++)
		ck_assert_ptr_nonnull(measure_names[i]);
	ck_assert_str_eq(path_names[PATH_UNRECOVERED], "unrecovered");
	ck_assert_str_eq(verdict_names[VERDICT_ABORTED], "aborted");
	ck_assert_str_eq(fidelity_names[FIDELITY_REAL], "real");
	ck_assert_str_eq(severity_names[SEVERITY_HIGH], "high");
}
END_TEST

static void add_cases(Suite *suite)
{
	TCase *full = tcase_create("full_disk_is_told");

	test_add(suite, "writes_every_kind_of_field", writes_every_kind_of_field);
	test_add(suite, "nowhere_costs_and_writes_nothing", nowhere_costs_and_writes_nothing);
	test_add(suite, "existing_file_is_refused", existing_file_is_refused);
	/* Few enough lines to fail at the flush in close, and enough to fail while writing. */
	tcase_add_loop_test(full, full_disk_is_told, 1500, 1501);
	tcase_add_loop_test(full, full_disk_is_told, 40000, 40001);
	suite_add_tcase(suite, full);
	test_add(suite, "reals_are_short", reals_are_short);
	test_add(suite, "reals_read_back", reals_read_back);
	test_add(suite, "escapes", escapes);
	test_add(suite, "names_are_complete", names_are_complete);
}

TEST_MAIN("timeline", add_cases)
