/* SPDX-License-Identifier: Apache-2.0 */
/* The stand-in platform without processes: records, logs, routes, options, paths, timers. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim/minilepton/http.h"
#include "sim/minilepton/iolog.h"
#include "sim/minilepton/loop.h"
#include "sim/minilepton/minilepton.h"
#include "sim/minilepton/node.h"
#include "sim/minilepton/record.h"
#include "sim/minilepton/replica.h"
#include "sim/minilepton/routes.h"
#include "tests/test.h"
#include "tests/workplace.h"

/* ---- records ---- */

START_TEST(a_crc_is_castagnolis)
{
	unsigned char bytes[32];

	/* RFC 3720, appendix B.4. */
	memset(bytes, 0, sizeof(bytes));
	ck_assert_uint_eq(record_crc(bytes, 32), 0x8a9136aa);
	memset(bytes, 0xff, sizeof(bytes));
	ck_assert_uint_eq(record_crc(bytes, 32), 0x62a8ab43);
	for (unsigned char i = 0; i < 32; i++)
		bytes[i] = i;
	ck_assert_uint_eq(record_crc(bytes, 32), 0x46dd794e);
	ck_assert_uint_eq(record_crc("123456789", 9), 0xe3069283);
	ck_assert_uint_eq(record_crc("", 0), 0);
}
END_TEST

START_TEST(a_record_is_printed_as_it_was_read)
{
	static const char line[] = "17 a-key 3 e3069283 0123456789abcdef 123456789";
	struct record record;
	char buffer[RECORD_LINE_MAX];
	size_t size;

	ck_assert_int_eq(record_parse_line(line, strlen(line), &record, NULL), 0);
	ck_assert_uint_eq(record.seq, 17);
	ck_assert_uint_eq(record.epoch, 3);
	ck_assert(record.crc_fits);
	ck_assert_uint_eq(record.payload_size, 9);
	size = record_print(&record, buffer);
	ck_assert_uint_eq(size, sizeof(line));
	ck_assert_mem_eq(buffer, line, size - 1);
	ck_assert_int_eq(buffer[size - 1], '\n');
	record.crc_fits = false;
	size = record_print(&record, buffer);
	ck_assert_mem_eq(buffer, "17 a-key 3 BAD 0123456789abcdef 123456789\n", size);
}
END_TEST

struct body_case {
	const char *text;
	const char *error; /* NULL: none */
};

static const struct body_case bodies[] = {
	{"1 k 2 e3069283 123456789", NULL},
	{"1 k 2 e3069283 123456789\n", NULL},
	{"9223372036854775807 k 18446744073709551615 00000000", NULL},
	{"0 k 0 00000000 ", NULL},
	{"", "SEQ"},
	{" 1 k 2 00000000", "SEQ"},
	{"+1 k 2 00000000", "SEQ"},
	{"9223372036854775808 k 2 00000000", "SEQ"},
	{"1", "KEY"},
	{"1  2 00000000", "KEY"},
	{"1 k\t 2 00000000", "KEY"},
	{"1 k 18446744073709551616 00000000", "EPOCH"},
	{"1 k 2", "CRC32C"},
	{"1 k 2 0000000", "CRC32C"},
	{"1 k 2 E3069283 123456789", "CRC32C"},
	{"1 k 2 e3069283 12345678", "fit"},
	{"1 k 2 00000000 \n\n", "one line"},
};

START_TEST(a_body_is_taken_or_refused)
{
	const struct body_case *row = &bodies[_i];
	struct record record;
	struct error e = {0};
	int rc = record_parse_body(row->text, strlen(row->text), &record, &e);

	ck_assert_int_eq(rc, row->error ? -1 : 0);
	if (row->error)
		ck_assert_msg(strstr(e.text, row->error) != NULL, "'%s' for '%s'", e.text,
			      row->text);
}
END_TEST

/* The text without its 0. */
static void put(char *at, const char *text)
{
	while (*text)
		*at++ = *text++;
}

START_TEST(a_record_has_its_bounds)
{
	static char text[RECORD_LINE_MAX + 64];
	struct record record;
	int head;

	memset(text, 'x', sizeof(text));
	text[0] = '1';
	text[1] = ' ';
	put(text + 2 + RECORD_KEY_MAX, " 2 00000000");
	ck_assert_int_eq(record_parse_body(text, 13 + RECORD_KEY_MAX, &record, NULL), 0);
	ck_assert_uint_eq(record.key_size, RECORD_KEY_MAX);
	memset(text, 'x', sizeof(text));
	text[0] = '1';
	text[1] = ' ';
	put(text + 3 + RECORD_KEY_MAX, " 2 00000000");
	ck_assert_int_eq(record_parse_body(text, 14 + RECORD_KEY_MAX, &record, NULL), -1);
	memset(text, 'x', sizeof(text));
	head = snprintf(text, 64, "1 k 2 %08" PRIx32,
			record_crc(text + 1000, RECORD_PAYLOAD_MAX - 1000));
	ck_assert_int_eq(head, 14);
	text[head] = ' ';
	memset(text + 15, 'x', RECORD_PAYLOAD_MAX + 1);
	ck_assert_int_eq(record_parse_body(text, 15 + RECORD_PAYLOAD_MAX - 1000, &record, NULL), 0);
	ck_assert_int_eq(record_parse_line("1 k 2 00000000 0123", 19, &record, NULL), -1);
	memset(text, '1', 6);
	ck_assert_int_eq(record_parse_body(text, 15 + RECORD_PAYLOAD_MAX + 1, &record, NULL), -1);
}
END_TEST

START_TEST(an_answer_depends_on_all_of_its_parts)
{
	unsigned char digest[RECORD_DIGEST_SIZE] = {1};
	struct record record = {.key = "k", .key_size = 1, .payload = "p", .payload_size = 1};
	char answers[4][RECORD_ANSWER_SIZE];

	record_answer(digest, &record, answers[0]);
	record.payload = "q";
	record_answer(digest, &record, answers[1]);
	record.key = "l";
	record_answer(digest, &record, answers[2]);
	digest[0] = 2;
	record_answer(digest, &record, answers[3]);
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < i; j++)
			ck_assert_mem_ne(answers[i], answers[j], RECORD_ANSWER_SIZE);
}
END_TEST

/* ---- logs ---- */

static void append_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "ae");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

struct tail_case {
	const char *before, *after;
};

static const struct tail_case tails[] = {
	{"", ""},
	{"torn", ""},
	{"whole\n", "whole\n"},
	{"whole\ntorn", "whole\n"},
	{"one\ntwo\n", "one\ntwo\n"},
	{"\n", "\n"},
};

START_TEST(a_torn_tail_is_cut_off)
{
	const struct tail_case *row = &tails[_i];
	struct error e = {0};
	struct iolog log;
	uint64_t cut;
	char *text;

	workplace_enter("iolog");
	append_text("r.log", row->before);
	ck_assert_int_eq(iolog_open(&log, ".", "r", &cut, &e), 0);
	ck_assert_uint_eq(cut, strlen(row->before) - strlen(row->after));
	ck_assert_int_eq(iolog_append(&log, "next\n", 5, &e), 0);
	iolog_close(&log);
	text = workplace_read("r.log");
	ck_assert_mem_eq(text, row->after, strlen(row->after));
	ck_assert_str_eq(text + strlen(row->after), "next\n");
	free(text);
	workplace_leave();
}
END_TEST

START_TEST(a_long_torn_tail_is_cut_off)
{
	struct error e = {0};
	struct iolog log;
	struct stat status;
	uint64_t cut;
	char *torn = malloc(300001);

	ck_assert_ptr_nonnull(torn);
	memset(torn, 'x', 300000);
	torn[300000] = '\0';
	workplace_enter("iolog");
	append_text("r.log", "whole\n");
	append_text("r.log", torn);
	ck_assert_int_eq(iolog_open(&log, ".", "r", &cut, &e), 0);
	ck_assert_uint_eq(cut, 300000);
	iolog_close(&log);
	ck_assert_int_eq(stat("r.log", &status), 0);
	ck_assert_int_eq(status.st_size, 6);
	ck_assert_int_eq(iolog_open(&log, "nowhere", "r", &cut, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.text, "nowhere/r.log"));
	free(torn);
	workplace_leave();
}
END_TEST

START_TEST(a_full_disk_leaves_no_half_of_a_line)
{
	/* A limit on the file's size stands for the disk. */
	struct rlimit limit;
	struct error e = {0}, none = {0};
	struct iolog log;
	struct stat status;
	uint64_t cut;
	char lines[61];

	workplace_enter("iolog");
	memset(lines, 'x', 60);
	lines[59] = '\n';
	ck_assert_int_eq(iolog_open(&log, ".", "r", &cut, &e), 0);
	ck_assert_int_eq(iolog_append(&log, lines, 60, &e), 0);
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = 100;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(iolog_append(&log, lines, 60, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_UNAVAILABLE);
	ck_assert_int_eq(stat("r.log", &status), 0);
	ck_assert_int_eq(status.st_size, 60);
	/* What fits is taken again. */
	ck_assert_int_eq(iolog_append(&log, lines + 40, 20, &none), 0);
	ck_assert_int_eq(stat("r.log", &status), 0);
	ck_assert_int_eq(status.st_size, 80);
	limit.rlim_cur = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	iolog_close(&log);
	workplace_leave();
}
END_TEST

static void read_back(struct iolog_reader *reader, uint64_t from, uint64_t count,
		      const char *wanted)
{
	struct error e = {0};
	size_t size;
	char *text;

	ck_assert_msg(iolog_read(reader, from, count, &text, &size, &e) == 0, "%s", e.text);
	ck_assert_msg(size == strlen(wanted) && memcmp(text, wanted, size) == 0,
		      "got '%.*s', not '%s'", (int)size, text, wanted);
	free(text);
}

#define LINE(seq) seq " k 1 00000000 0123456789abcdef \n"

START_TEST(logs_are_read_as_they_grow)
{
	struct iolog_reader *reader;
	struct error e = {0};

	workplace_enter("iolog");
	ck_assert_int_eq(iolog_reader_open(".", &reader, &e), 0);
	read_back(reader, 0, 100, "");
	append_text("b.log", LINE("5") LINE("3") "4 k 1");
	read_back(reader, 0, 100, LINE("3") LINE("5"));
	append_text("b.log", " 00000000 0123456789abcdef \n");
	append_text("a.log", LINE("4") LINE("2") LINE("9"));
	append_text("a.txt", LINE("1"));
	read_back(reader, 0, 100, LINE("2") LINE("3") LINE("4") LINE("4") LINE("5") LINE("9"));
	read_back(reader, 3, 2, LINE("3") LINE("4") LINE("4"));
	read_back(reader, 9, 1, LINE("9"));
	read_back(reader, 10, 10000, "");
	ck_assert_uint_eq(iolog_damaged(reader), 0);
	/* Another file of the same name, and a shorter one. */
	append_text("new", LINE("7"));
	ck_assert_int_eq(rename("new", "a.log"), 0);
	ck_assert_int_eq(truncate("b.log", (off_t)strlen(LINE("5"))), 0);
	read_back(reader, 0, 100, LINE("5") LINE("7"));
	/* Cut and grown again to what it was, with something else. */
	ck_assert_int_eq(truncate("b.log", 0), 0);
	append_text("b.log", LINE("6"));
	read_back(reader, 0, 100, LINE("6") LINE("7"));
	ck_assert_int_eq(unlink("a.log"), 0);
	append_text("b.log", "damaged\n" LINE("8"));
	read_back(reader, 0, 100, LINE("6") LINE("8"));
	ck_assert_uint_eq(iolog_damaged(reader), 1);
	iolog_reader_close(reader);
	workplace_leave();
}
END_TEST

START_TEST(altered_records_are_told)
{
	struct iolog_reader *reader;
	struct error e = {0};
	FILE *file;

	workplace_enter("iolog");
	append_text("a.log", "1 k 1 e3069283 0123456789abcdef 123456789\n"
			     "2 k 1 e3069283 0123456789abcdef 123456789\n");
	ck_assert_int_eq(iolog_reader_open(".", &reader, &e), 0);
	read_back(reader, 1, 1, "1 k 1 e3069283 0123456789abcdef 123456789\n");
	/* One bit of the payload, behind the reader's back. */
	file = fopen("a.log", "r+e");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fseek(file, 32, SEEK_SET), 0);
	ck_assert_int_ne(fputc('0', file), EOF);
	fclose(file);
	read_back(reader, 1, 10,
		  "1 k 1 BAD 0123456789abcdef 023456789\n"
		  "2 k 1 e3069283 0123456789abcdef 123456789\n");
	/* A word that cannot be read any more. */
	file = fopen("a.log", "r+e");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fseek(file, 4, SEEK_SET), 0);
	ck_assert_int_ne(fputc('x', file), EOF);
	fclose(file);
	read_back(reader, 1, 1, "1 - 0 BAD 0000000000000000 \n");
	iolog_reader_close(reader);
	workplace_leave();
}
END_TEST

START_TEST(too_long_lines_are_damaged)
{
	struct iolog_reader *reader;
	struct error e = {0};
	char *text = malloc(700001);

	ck_assert_ptr_nonnull(text);
	memset(text, 'x', 700000);
	memcpy(text, "1 ", 2);
	text[700000] = '\0';
	workplace_enter("iolog");
	append_text("a.log", text);
	ck_assert_int_eq(iolog_reader_open(".", &reader, &e), 0);
	read_back(reader, 0, 100, "");
	append_text("a.log", "\n" LINE("2"));
	read_back(reader, 0, 100, LINE("2"));
	ck_assert_uint_eq(iolog_damaged(reader), 1);
	iolog_reader_close(reader);
	free(text);
	workplace_leave();
}
END_TEST

/* ---- routes ---- */

#define ENDPOINT(members) "{\"epoch\":7,\"endpoints\":[{" members "}]}"
#define CHECKS                                                                                     \
	"\"name\":\"chat\",\"interval_ns\":1000,\"timeout_ns\":1000,\"misses\":3,\"retries\":1,"   \
	"\"request_timeout_ns\":1000"
#define DEPLOYMENTS(replicas)                                                                      \
	",\"deployments\":[{\"name\":\"d\",\"weight\":100,\"replicas\":[" replicas "]}]"

struct routes_case {
	const char *text, *error;
};

static const struct routes_case routes_cases[] = {
	{"{\"epoch\":7,\"endpoints\":[]}", NULL},
	{ENDPOINT(CHECKS ",\"deployments\":[]"), NULL},
	{ENDPOINT(CHECKS DEPLOYMENTS("{\"id\":\"r\",\"address\":\"127.0.0.1:1\"}")), NULL},
	{ENDPOINT(CHECKS ",\"concurrency\":5,\"deployments\":[]"), NULL},
	{"", "no JSON"},
	{"[]", "no JSON"},
	{"{\"epoch\":7,\"endpoints\":[]} x", "no JSON"},
	{"{\"endpoints\":[]}", "'epoch'"},
	{"{\"epoch\":-1,\"endpoints\":[]}", "'epoch'"},
	{"{\"epoch\":1.5,\"endpoints\":[]}", "'epoch'"},
	{"{\"epoch\":1e300,\"endpoints\":[]}", "'epoch'"},
	{"{\"epoch\":1,\"endpoints\":{}}", "'endpoints'"},
	{ENDPOINT("\"name\":\"chat\""), "'interval_ns'"},
	{ENDPOINT(CHECKS), "'deployments'"},
	{ENDPOINT(CHECKS ",\"concurrency\":0,\"deployments\":[]"), "'concurrency'"},
	{ENDPOINT(CHECKS DEPLOYMENTS("{\"id\":\"r\"}")), "'address'"},
	{ENDPOINT(CHECKS DEPLOYMENTS("{\"id\":\"r\",\"address\":\"example.com:1\"}")),
	 "no ADDRESS:PORT"},
	{ENDPOINT(CHECKS DEPLOYMENTS("{\"id\":\"r\",\"address\":\"127.0.0.1\"}")),
	 "no ADDRESS:PORT"},
	{ENDPOINT(CHECKS DEPLOYMENTS("{\"id\":\"r x\",\"address\":\"127.0.0.1:1\"}")), "blanks"},
	{ENDPOINT(CHECKS DEPLOYMENTS("{\"id\":\"r\",\"address\":\"127.0.0.1:1\"},"
				     "{\"id\":\"r\",\"address\":\"127.0.0.1:2\"}")),
	 "twice"},
	{"{\"epoch\":1,\"endpoints\":[{" CHECKS ",\"deployments\":[]},{" CHECKS
	 ",\"deployments\":[]}]}",
	 "twice"},
};

START_TEST(routes_are_taken_or_refused)
{
	const struct routes_case *row = &routes_cases[_i];
	struct arena arena = {0};
	struct routes routes;
	struct error e = {0};
	int rc = routes_parse(row->text, strlen(row->text), &arena, &routes, &e);

	ck_assert_msg(rc == (row->error ? -1 : 0), "%s: %s", row->text, e.text);
	if (row->error)
		ck_assert_msg(strstr(e.text, row->error) != NULL, "'%s' for %s", e.text, row->text);
	else
		ck_assert_uint_eq(routes.epoch, 7);
	arena_free(&arena);
}
END_TEST

/* ---- HTTP's texts ---- */

struct path_case {
	const char *pattern, *path, *parts[2]; /* parts[0] NULL and fits: no wildcard */
	bool fits;
};

static const struct path_case paths[] = {
	{"/healthz", "/healthz", {NULL}, true},
	{"/healthz", "/healthz/", {NULL}, false},
	{"/healthz", "/health", {NULL}, false},
	{"/", "/", {NULL}, true},
	{"/", "/x", {NULL}, false},
	{"/*/predict", "/chat/predict", {"chat"}, true},
	{"/*/predict", "//predict", {NULL}, false},
	{"/*/predict", "/a/b/predict", {NULL}, false},
	{"/a/*/b/*", "/a/x/b/y", {"x", "y"}, true},
	{"/o/**", "/o/a/b/c", {"a/b/c"}, true},
	{"/o/**", "/o/", {NULL}, false},
	{"/o/**", "/o", {NULL}, false},
	{"/*/**", "/a/b/c", {"a", "b/c"}, true},
	{"/**", "/a", {"a"}, true},
	{"/ab", "/a*", {NULL}, false},
};

START_TEST(paths_fit_their_patterns)
{
	const struct path_case *row = &paths[_i];
	const char *parts[HTTP_PARTS_MAX] = {NULL};
	struct arena arena = {0};

	ck_assert_int_eq(http_path_fits(row->pattern, row->path, &arena, parts), row->fits);
	for (int i = 0; row->fits && i < 2; i++)
		ck_assert_pstr_eq(parts[i], row->parts[i]);
	arena_free(&arena);
}
END_TEST

START_TEST(tokens_must_be_the_same)
{
	ck_assert(http_token_fits("Bearer secret", "secret"));
	ck_assert(!http_token_fits("Bearer secre", "secret"));
	ck_assert(!http_token_fits("Bearer secrets", "secret"));
	ck_assert(!http_token_fits("Bearer  secret", "secret"));
	ck_assert(!http_token_fits("secret", "secret"));
	ck_assert(!http_token_fits("Basic secret", "secret"));
	ck_assert(!http_token_fits("", "secret"));
	ck_assert(!http_token_fits(NULL, "secret"));
}
END_TEST

START_TEST(json_is_bounded_in_depth)
{
	char text[1024];
	cJSON *json;
	size_t used = 0;

	for (int depth = 1; depth <= HTTP_JSON_DEPTH_MAX; depth++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "{\"a\":");
	text[used++] = '1';
	memset(text + used, '}', HTTP_JSON_DEPTH_MAX);
	used += HTTP_JSON_DEPTH_MAX;
	json = http_json_parse(text, used);
	ck_assert_ptr_nonnull(json);
	cJSON_Delete(json);
	memmove(text + 5, text, used);
	put(text, "{\"a\":");
	text[used + 5] = '}';
	ck_assert_ptr_null(http_json_parse(text, used + 6));
	json = http_json_parse("{\"a\":\"[[[[\\\"{{\"}\n", 18);
	ck_assert_ptr_nonnull(json);
	cJSON_Delete(json);
	ck_assert_ptr_null(http_json_parse("{}x", 3));
	ck_assert_ptr_null(http_json_parse("", 0));
}
END_TEST

START_TEST(error_codes_go_by_the_status)
{
	ck_assert_str_eq(http_error_code(404), "ResourceNotFound");
	ck_assert_str_eq(http_error_code(503), "ServiceUnavailable");
	ck_assert_str_eq(http_error_code(418), "InternalError");
}
END_TEST

/* ---- options ---- */

struct options_in {
	const char *text;
	struct options_texts texts;
	uint64_t number;
	nanos time;
};

static const struct options_row options_rows[] = {
	{"text", OPTIONS_TEXT, offsetof(struct options_in, text), true, 0, 0, "T", "a text"},
	{"texts", OPTIONS_TEXTS, offsetof(struct options_in, texts), false, 0, 0, "T", "texts"},
	{"number", OPTIONS_NUMBER, offsetof(struct options_in, number), false, 2, 100, "N", "n"},
	{"time-ns", OPTIONS_NANOS, offsetof(struct options_in, time), false, 0, 0, "N", "ns"},
	{.name = NULL},
};

struct options_case {
	const char *words[8];
	const char *error;
};

static const struct options_case options_cases[] = {
	{{"--text", "a"}, NULL},
	{{"--text=a", "--number=100", "--time-ns", "9223372036854775807"}, NULL},
	{{"--text", "a", "--texts", "b", "--texts", "c"}, NULL},
	{{"--number", "5"}, "--text is missing"},
	{{"--text", "a", "--number", "1"}, "2 to 100"},
	{{"--text", "a", "--number", "101"}, "2 to 100"},
	{{"--text", "a", "--number", "5x"}, "'5x'"},
	{{"--text", "a", "--number", ""}, "2 to 100"},
	{{"--text", "a", "--time-ns", "9223372036854775808"}, "--time-ns"},
	{{"--text", "a", "--time-ns", "-1"}, "--time-ns"},
	{{"--text", "a", "--text", "b"}, "twice"},
	{{"--text"}, "needs a value"},
	{{"text", "a"}, "'text' is no option"},
	{{"--txt", "a"}, "did you mean '--text'?"},
	{{"--quite-another", "a"}, "unknown option"},
};

START_TEST(options_are_taken_or_refused)
{
	const struct options_case *row = &options_cases[_i];
	struct options_in in = {.number = 7};
	struct error e = {0};
	char *words[8];
	size_t count = 0;
	int rc;

	for (; row->words[count]; count++)
		words[count] = strdup(row->words[count]);
	rc = options_parse(options_rows, count, words, &in, &e);
	ck_assert_msg(rc == (row->error ? -1 : 0), "%s", e.text);
	if (row->error)
		ck_assert_msg(strstr(e.text, row->error) != NULL, "'%s'", e.text);
	else
		ck_assert_str_eq(in.text, "a");
	if (_i == 0)
		ck_assert_uint_eq(in.number, 7);
	if (_i == 1)
		ck_assert_uint_eq(in.number, 100);
	if (_i == 1)
		ck_assert_int_eq(in.time, INT64_MAX);
	if (_i == 2)
		ck_assert_uint_eq(in.texts.count, 2);
	for (size_t i = 0; i < count; i++)
		free(words[i]);
}
END_TEST

START_TEST(numbers_keep_their_limits)
{
	uint64_t value = 0;

	ck_assert_int_eq(options_number("18446744073709551615", 20, UINT64_MAX, &value), 0);
	ck_assert_uint_eq(value, UINT64_MAX);
	ck_assert_int_eq(options_number("18446744073709551616", 20, UINT64_MAX, &value), -1);
	ck_assert_int_eq(options_number("99999999999999999999999", 23, UINT64_MAX, &value), -1);
	for (uint64_t max = 0; max < 30; max++)
		for (uint64_t n = 0; n < 130; n++) {
			char text[8];
			int size = snprintf(text, sizeof(text), "%" PRIu64, n);
			int rc = options_number(text, (size_t)size, max, &value);

			ck_assert_int_eq(rc, n <= max ? 0 : -1);
			ck_assert(n > max || value == n);
		}
}
END_TEST

/* ---- service times ---- */

START_TEST(service_times_are_those_of_the_seed)
{
	struct replica_service service;
	struct error e = {0};
	double sum = 0, squares = 0, log_median = log(1e6);
	int count = 10000;

	ck_assert_int_eq(replica_service_parse("250", &service, &e), 0);
	ck_assert_int_eq(replica_service(&service, 1, 1), 250);
	ck_assert_int_eq(replica_service_parse("1000000,0.5", &service, &e), 0);
	ck_assert_int_eq(replica_service(&service, 1, 1), replica_service(&service, 1, 1));
	ck_assert_int_ne(replica_service(&service, 1, 1), replica_service(&service, 2, 1));
	ck_assert_int_ne(replica_service(&service, 1, 1), replica_service(&service, 1, 2));
	for (int i = 0; i < count; i++) {
		double x = log((double)replica_service(&service, 9, (uint64_t)i)) - log_median;

		sum += x;
		squares += x * x;
	}
	/* Five standard errors of mean and deviation. */
	ck_assert(fabs(sum / count) < 5 * 0.5 / 100);
	ck_assert(fabs(sqrt(squares / count) - 0.5) < 5 * 0.5 / 141);
	ck_assert_int_eq(replica_service_parse("", &service, &e), -1);
	ck_assert_int_eq(replica_service_parse("1,", &service, &e), -1);
	ck_assert_int_eq(replica_service_parse("1,9", &service, &e), -1);
	ck_assert_int_eq(replica_service_parse("1,-1", &service, &e), -1);
	ck_assert_int_eq(replica_service_parse("1x,1", &service, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.text, "--service-ns"));
}
END_TEST

/* ---- plans of processes ---- */

struct plan_case {
	const char *text, *error;
};

static const struct plan_case plans[] = {
	{"{\"id\":\"a\",\"argv\":[\"x\"]}", NULL},
	{"{\"id\":\"a\",\"argv\":[\"x\",\"\"],\"env\":{\"A\":\"\"},\"log\":\"l\"}", NULL},
	{"{\"argv\":[\"x\"]}", "'id'"},
	{"{\"id\":\"a/b\",\"argv\":[\"x\"]}", "'id'"},
	{"{\"id\":\"a\",\"argv\":[]}", "'argv'"},
	{"{\"id\":\"a\",\"argv\":[\"\"]}", "'argv'"},
	{"{\"id\":\"a\",\"argv\":[1]}", "'argv'"},
	{"{\"id\":\"a\",\"argv\":[\"x\"],\"env\":[]}", "'env'"},
	{"{\"id\":\"a\",\"argv\":[\"x\"],\"env\":{\"A=B\":\"\"}}", "'env'"},
	{"{\"id\":\"a\",\"argv\":[\"x\"],\"env\":{\"A\":1}}", "'env'"},
	{"{\"id\":\"a\",\"argv\":[\"x\"],\"log\":1}", "'log'"},
};

START_TEST(plans_are_taken_or_refused)
{
	const struct plan_case *row = &plans[_i];
	struct arena arena = {0};
	struct task_plan plan;
	struct error e = {0};
	int rc = task_plan_parse(row->text, strlen(row->text), &arena, &plan, &e);

	ck_assert_msg(rc == (row->error ? -1 : 0), "%s: %s", row->text, e.text);
	if (row->error)
		ck_assert_msg(strstr(e.text, row->error) != NULL, "'%s' for %s", e.text, row->text);
	else
		ck_assert_str_eq(plan.argv[0], "x");
	arena_free(&arena);
}
END_TEST

/* ---- the event loop ---- */

#define TIMERS 200

struct ticks {
	struct loop *loop;
	struct loop_timer timers[TIMERS];
	nanos last;
	size_t fired;
	int pipe[2];
};

struct tick {
	struct ticks *ticks;
	struct loop_timer *timer;
};

static void on_tick(void *self)
{
	struct tick *tick = self;

	ck_assert(tick->timer->at >= tick->ticks->last);
	ck_assert(minilepton_now() >= tick->timer->at);
	tick->ticks->last = tick->timer->at;
	if (++tick->ticks->fired == TIMERS / 2)
		ck_assert_int_eq(write(tick->ticks->pipe[1], "x", 1), 1);
}

static void on_pipe(void *self, int fd, uint32_t events)
{
	struct ticks *ticks = self;

	ck_assert(events & EPOLLIN);
	ck_assert_uint_eq(ticks->fired, TIMERS / 2);
	loop_unwatch(ticks->loop, fd);
	loop_stop(ticks->loop);
}

START_TEST(timers_fire_in_order)
{
	static struct ticks ticks;
	static struct tick all[TIMERS];
	struct error e = {0};
	nanos now = minilepton_now();

	ck_assert_int_eq(loop_open(&ticks.loop, &e), 0);
	ck_assert_int_eq(pipe(ticks.pipe), 0);
	ck_assert_int_eq(loop_watch(ticks.loop, ticks.pipe[0], EPOLLIN, on_pipe, &ticks, &e), 0);
	for (int i = 0; i < TIMERS; i++) {
		all[i] = (struct tick){&ticks, &ticks.timers[i]};
		ticks.timers[i].fire = on_tick;
		ticks.timers[i].self = &all[i];
		loop_timer_set(ticks.loop, &ticks.timers[i],
			       now + NANOS_HOUR + (i * 7919 % TIMERS) * NANOS_US);
	}
	/* Moved, and every second one taken back. */
	for (int i = 0; i < TIMERS; i++)
		loop_timer_set(ticks.loop, &ticks.timers[i],
			       now + (i * 7919 % 97) * 100 * NANOS_US);
	for (int i = 0; i < TIMERS; i += 2)
		loop_timer_clear(ticks.loop, &ticks.timers[i]);
	ck_assert_int_eq(loop_run(ticks.loop, &e), 0);
	ck_assert_uint_eq(ticks.fired, TIMERS / 2);
	loop_close(ticks.loop);
}
END_TEST

#define ROWS(table) ((int)(sizeof(table) / sizeof((table)[0])))

static void add_cases(Suite *suite)
{
	test_add(suite, "crc", a_crc_is_castagnolis);
	test_add(suite, "record", a_record_is_printed_as_it_was_read);
	test_add_loop(suite, "body", a_body_is_taken_or_refused, ROWS(bodies));
	test_add(suite, "bounds", a_record_has_its_bounds);
	test_add(suite, "answer", an_answer_depends_on_all_of_its_parts);
	test_add_loop(suite, "tail", a_torn_tail_is_cut_off, ROWS(tails));
	test_add(suite, "long tail", a_long_torn_tail_is_cut_off);
	test_add(suite, "full", a_full_disk_leaves_no_half_of_a_line);
	test_add(suite, "logs", logs_are_read_as_they_grow);
	test_add(suite, "altered", altered_records_are_told);
	test_add(suite, "long lines", too_long_lines_are_damaged);
	test_add_loop(suite, "routes", routes_are_taken_or_refused, ROWS(routes_cases));
	test_add_loop(suite, "paths", paths_fit_their_patterns, ROWS(paths));
	test_add(suite, "tokens", tokens_must_be_the_same);
	test_add(suite, "depth", json_is_bounded_in_depth);
	test_add(suite, "codes", error_codes_go_by_the_status);
	test_add_loop(suite, "options", options_are_taken_or_refused, ROWS(options_cases));
	test_add(suite, "numbers", numbers_keep_their_limits);
	test_add(suite, "service", service_times_are_those_of_the_seed);
	test_add_loop(suite, "plans", plans_are_taken_or_refused, ROWS(plans));
	test_add(suite, "timers", timers_fire_in_order);
}

TEST_MAIN("minilepton", add_cases)
