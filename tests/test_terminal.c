/* SPDX-License-Identifier: Apache-2.0 */
/* What a person sees while a drill runs and at its end: on a terminal, in a pipe, with --json. */
/* valgrind: skip */
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/spawned.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define TIMEOUT_S 240

/* Its campaign takes long enough for some lines. */
static const char scenario[] =
	"apiVersion: drsim/v1\n"
	"name: watched\n"
	"seed: 42\n"
	"duration: 2h\n"
	"objectives: {frt: 10m}\n"
	"deployment:\n"
	"  sites:\n"
	"    - {name: primary, nodes: 4, shape: gpu.8xh100-sxm}\n"
	"    - {name: backup, nodes: 4, shape: gpu.8xh100-sxm, standby: {heat: warm}}\n"
	"  links: [{between: [primary, backup], rate: 100Gbit/s, latency: 12ms}]\n"
	"  endpoints:\n"
	"    - {name: chat, site: primary, replicas: 1, gpus_per_replica: 8,\n"
	"       model: {bytes: 140GB, start: 45s}, load: {rate: 20/s, service_time: 250ms}}\n"
	"  data:\n"
	"    model: {bytes: 140GB, change: 0B/s}\n"
	"    io: {bytes: 20GB, change: 1MB/s, records: 120/s}\n"
	"  store: {site: backup, read: 8GB/s, write: 4GB/s}\n"
	"backup: {every: 10m, classes: [model, io], verify: true}\n"
	"detector: {kind: probe, interval: 10s, timeout: 1s, misses: 3}\n"
	"recovery: {switch: 20s}\n"
	"steps: [{at: 34m, fault: gpu.lost, target: \"primary/node[0]/gpu[3]\"}]\n";

static void setup(void)
{
	FILE *file;

	workplace_enter("terminal");
	file = fopen("watched.yaml", "we");
	ck_assert_ptr_nonnull(file);
	fputs(scenario, file);
	ck_assert_int_eq(fclose(file), 0);
	setenv("TERM", "xterm-256color", 1);
	unsetenv("NO_COLOR");
}

static int columns_of(const char *text, size_t length)
{
	int columns = 0;

	for (size_t i = 0; i < length; i++) {
		if (text[i] == '\033') { /* a colour, or the line's rest is cleared */
			i += strcspn(text + i, "mK");
			continue;
		}
		columns += ((unsigned char)text[i] & 0xc0) != 0x80;
	}
	return columns;
}

/* The widest of the lines that were drawn over one another; how many there were. */
static int widest_drawn(const char *text, int *ret_count)
{
	int widest = 0;

	*ret_count = 0;
	for (const char *at = strstr(text, "\r\033[K"); at; at = strstr(at, "\r\033[K")) {
		size_t length;
		int columns;

		at += strlen("\r\033[K");
		length = strcspn(at, "\r\n");
		columns = columns_of(at, length);
		widest = columns > widest ? columns : widest;
		*ret_count += columns > 0;
	}
	return widest;
}

/* Runs a campaign, a longer one until it took long enough for a line. */
static struct spawned watch(int columns, bool piped, const char *more)
{
	char trials[16];

	for (int count = 1500;; count *= 4) {
		const char *words[] = {
			workplace_program, "run",  "watched.yaml", "--no-plots", "--out", "out",
			"--trials",        trials, more,           NULL};
		struct spawned run;

		snprintf(trials, sizeof(trials), "%d", count);
		workplace_remove("out");
		run = columns < 0 ? spawned_run(words) : spawned_on_terminal(words, columns, piped);
		ck_assert_msg(run.code == 0, "%s%s", run.err, run.out);
		if (more || strstr(run.err, "\033[K") || strstr(run.err, "drsim: ") ||
		    count > 200000)
			return run;
		spawned_free(&run);
	}
}

START_TEST(a_terminal_gets_one_line_that_fits)
{
	static const int widths[] = {0, 30, 80, 200};
	int columns = widths[_i], drawn, widest;
	struct spawned run = watch(columns, false, NULL);
	const char *end;

	widest = widest_drawn(run.err, &drawn);
	ck_assert_int_gt(drawn, 0);
	ck_assert_int_lt(widest, columns > 0 ? columns : 80);
	ck_assert_ptr_nonnull(strstr(run.err, "trial "));
	/* The last of it is cleared before the summary. */
	end = strstr(run.err, "PASSED");
	ck_assert_ptr_nonnull(end);
	ck_assert_ptr_null(strstr(end, "\033[K"));
	if (columns >= 80) {
		ck_assert_ptr_nonnull(strstr(run.err, "watched  "));
		ck_assert_ptr_nonnull(strstr(run.err, "\xe2\x94\x81"));
	}
	spawned_free(&run);
}
END_TEST

/* The words of the summary fit a usual terminal; what cannot be broken is a path or a command. */
START_TEST(the_summary_fits_the_terminal)
{
	struct spawned run =
		spawned_on_terminal((const char *const[]){workplace_program, "run", "watched.yaml",
							  "--no-plots", "--out", "out", NULL},
				    80, false);
	char *rest = NULL;

	ck_assert_int_eq(run.code, 0);
	for (char *line = strtok_r(run.err, "\r\n", &rest); line;
	     line = strtok_r(NULL, "\r\n", &rest))
		if (!strstr(line, "Repeat with") && !strstr(line, "Incident "))
			ck_assert_msg(columns_of(line, strlen(line)) <= 80, "%s", line);
	spawned_free(&run);
}
END_TEST

static bool coloured(const char *text)
{
	for (const char *at = strstr(text, "\033["); at; at = strstr(at + 1, "\033["))
		if (at[2 + strspn(at + 2, "0123456789;")] == 'm')
			return true;
	return false;
}

static const struct {
	const char *term, *no_color;
	bool redrawn, colour;
} terminals[] = {
	{"xterm-256color", NULL, true, true},
	{"xterm-256color", "", true, true}, /* empty is not set: no-color.org */
	{"xterm-256color", "1", true, false},
	{"dumb", NULL, false, false},
	{NULL, NULL, false, false},
};

START_TEST(colours_and_redrawing_are_asked_for)
{
	struct spawned run;

	if (terminals[_i].term)
		setenv("TERM", terminals[_i].term, 1);
	else
		unsetenv("TERM");
	if (terminals[_i].no_color)
		setenv("NO_COLOR", terminals[_i].no_color, 1);
	run = watch(80, false, NULL);
	ck_assert_ptr_nonnull(strstr(run.err, "PASSED"));
	ck_assert_int_eq(coloured(run.err), terminals[_i].colour);
	ck_assert_int_eq(strstr(run.err, "\033[K") != NULL, terminals[_i].redrawn);
	if (!terminals[_i].redrawn) {
		ck_assert_ptr_null(strchr(run.err, '\033'));
		ck_assert_ptr_nonnull(strstr(run.err, "drsim: "));
	}
	spawned_free(&run);
}
END_TEST

/* A pipe gets plain text, whatever the terminal beside it gets. */
START_TEST(a_pipe_gets_plain_text)
{
	struct spawned run = watch(80, true, NULL);

	ck_assert_ptr_null(strchr(run.out, '\033'));
	ck_assert_ptr_null(strchr(run.out, '\r'));
	ck_assert_ptr_nonnull(strstr(run.out, "PASSED"));
	ck_assert_ptr_nonnull(strstr(run.err, "\033[K"));
	spawned_free(&run);
	run = watch(-1, true, NULL);
	ck_assert_ptr_null(strchr(run.out, '\033'));
	ck_assert_ptr_null(strchr(run.err, '\033'));
	ck_assert_ptr_null(strchr(run.err, '\r'));
	ck_assert_ptr_nonnull(strstr(run.err, "drsim: "));
	spawned_free(&run);
}
END_TEST

/* --json: one document on standard output, byte for byte record.json, and nothing beside it; on a
 * terminal, in a pipe, when an objective is missed, when nothing is evaluable. */
START_TEST(json_is_clean)
{
	static const struct {
		const char *more[4];
		int code;
	} runs[] = {
		{{"--seed", "42"}, 0},     {{"--set", "objectives.frt=1s"}, 1},
		{{"--driver", "null"}, 3}, {{"--sham", "--quiet"}, 0},
		{{"--trials", "1500"}, 0},
	};
	const char *words[16] = {workplace_program, "run",   "watched.yaml", "--no-plots",
				 "--json",          "--out", "out"};
	struct spawned run;
	cJSON *json;
	char *file;

	words[7] = runs[_i].more[0];
	words[8] = runs[_i].more[1];
	run = spawned_on_terminal(words, 80, true);
	ck_assert_msg(run.code == runs[_i].code, "%s", run.err);
	file = workplace_read("out/record.json");
	ck_assert_str_eq(run.out, file);
	json = cJSON_ParseWithOpts(run.out, NULL, 1);
	ck_assert_ptr_nonnull(json);
	cJSON_Delete(json);
	free(file);
	spawned_free(&run);
}
END_TEST

START_TEST(quiet_is_quiet)
{
	struct spawned run = watch(80, true, "--quiet");

	ck_assert_str_eq(run.err, "");
	spawned_free(&run);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test, int count)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, workplace_leave);
	tcase_set_timeout(tcase, TIMEOUT_S);
	tcase_add_loop_test(tcase, test, 0, count);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	add(suite, "terminal", a_terminal_gets_one_line_that_fits, 4);
	add(suite, "summary", the_summary_fits_the_terminal, 1);
	add(suite, "colours", colours_and_redrawing_are_asked_for,
	    (int)(sizeof(terminals) / sizeof(terminals[0])));
	add(suite, "pipe", a_pipe_gets_plain_text, 1);
	add(suite, "json", json_is_clean, 5);
	add(suite, "quiet", quiet_is_quiet, 1);
}

TEST_MAIN("terminal", add_cases)
