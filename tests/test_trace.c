/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logs of failures: what is read of them, what is refused with its place, and that a drill which
 * replays one ends with the very down times that the log has. The real logs are no part of the
 * project: with DRSIM_TRACES naming a folder that holds them they are replayed too.
 */
/* valgrind: skip */
#include <cjson/cJSON.h>
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/run.h"
#include "core/trace.h"
#include "core/yaml.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define LANL "tests/traces/lanl.csv"
#define INFINITEHBD "tests/traces/infinitehbd.json"
#define HEADER                                                                                     \
	"System,nodenum,Prob Started,Prob Fixed,Down Time,Facilities,Hardware,Human "              \
	"Error,Network,Undetermined,Software\n"

extern char **environ;

static struct arena arena;
static struct error error;

static void setup(void)
{
	arena = (struct arena){0};
	error = (struct error){0};
}

static void teardown(void)
{
	arena_free(&arena);
}

static struct trace *parse(const char *text, enum trace_format format, int64_t system,
			   const char *cause)
{
	struct trace_filter filter = {.system = system, .cause = cause};
	struct trace *trace = NULL;
	int result;

	error = (struct error){0};
	result = trace_parse("log", text, strlen(text), format, &filter, &arena, &trace, &error);

	ck_assert((result == 0) == (trace != NULL));
	return trace;
}

static struct trace *parse_file(const char *path, enum trace_format format, int64_t system,
				const char *cause)
{
	char *text = workplace_read(path);
	struct trace *trace = parse(text, format, system, cause);

	free(text);
	ck_assert_msg(trace != NULL, "%s:%u:%u: %s", path, error.place.line, error.place.column,
		      error.text);
	return trace;
}

static void is(const struct trace_record *record, nanos at, nanos down, uint32_t machine,
	       uint32_t line, const char *cause)
{
	ck_assert_int_eq(record->at, at);
	ck_assert_int_eq(record->down, down);
	ck_assert_uint_eq(record->machine, machine);
	ck_assert_uint_eq(record->line, line);
	ck_assert_str_eq(record->cause, cause);
}

/* ---- reading ---- */

START_TEST(a_csv_is_read)
{
	const struct trace *trace = parse_file(LANL, TRACE_LANL, -1, NULL);

	ck_assert_uint_eq(trace->count, 30);
	ck_assert_uint_eq(trace->machines, 11);
	ck_assert_uint_eq(trace->cause_count, 7);
	ck_assert_str_eq(trace->causes[0], "Hardware");
	ck_assert_ptr_null(trace->causes[7]);
	/* The earliest stands far down in the file; then a burst, in the file's order. */
	is(&trace->records[0], 0, 600 * NANOS_MINUTE, 7, 23, "Hardware");
	is(&trace->records[1], 174 * NANOS_HOUR, 8 * NANOS_MINUTE, 8, 27, "not named");
	is(&trace->records[2], 174 * NANOS_HOUR, 10 * NANOS_MINUTE, 9, 29, "Hardware");
	is(&trace->records[3], 174 * NANOS_HOUR, 12 * NANOS_MINUTE, 10, 31, "Software");
	is(&trace->records[29], (188 * 24 + 18) * NANOS_HOUR, 11 * NANOS_MINUTE, 9, 30,
	   "Human Error");
}
END_TEST

START_TEST(one_system_counts_for_itself)
{
	const struct trace *trace = parse_file(LANL, TRACE_LANL, 1, NULL), *part;

	ck_assert_uint_eq(trace->count, 20);
	ck_assert_uint_eq(trace->machines, 7);
	is(&trace->records[0], 0, 120 * NANOS_MINUTE, 1, 6, "Facilities");
	part = parse_file(LANL, TRACE_LANL, 2, NULL);
	ck_assert_uint_eq(part->count, 4);
	ck_assert_uint_eq(part->machines, 1); /* its node has no number */
	part = parse_file(LANL, TRACE_LANL, 4, NULL);
	ck_assert(part->count == 0 && part->machines == 0);
}
END_TEST

/* Neither the origin of time nor the numbers of the machines move. */
START_TEST(a_cause_alone_keeps_times_and_machines)
{
	const struct trace *all = parse_file(LANL, TRACE_LANL, 1, NULL);
	const struct trace *some = parse_file(LANL, TRACE_LANL, 1, "Software");
	size_t next = 0;

	ck_assert_uint_eq(some->count, 4);
	ck_assert_uint_eq(some->machines, all->machines);
	for (size_t i = 0; i < all->count; i++) {
		const struct trace_record *record = &all->records[i];

		if (strcmp(record->cause, "Software") != 0)
			continue;
		is(&some->records[next++], record->at, record->down, record->machine, record->line,
		   "Software");
	}
	ck_assert_uint_eq(next, some->count);
	some = parse_file(LANL, TRACE_LANL, -1, TRACE_NOT_NAMED);
	ck_assert_uint_eq(some->count, 3);
	some = parse_file(LANL, TRACE_LANL, -1, "Gremlins");
	ck_assert(some->count == 0 && some->machines == 11 && some->cause_count == 7);
}
END_TEST

START_TEST(columns_stand_where_the_header_says)
{
	const struct trace *trace = parse(
		"\xef\xbb\xbf"
		"Software,Down Time,extra,nodenum,System,Prob Fixed,Prob Started,Undetermined,"
		"\"Human Error\",Network,Hardware,Facilities\r\n"
		"\r\n"
		",7,\"a \"\"b\"\", c\",3,1,,2/29/2000 0:00,,,,\"CPU\",\r\n"
		"OS,,,03,1,3/1/2000 0:05,02/29/2000 23:55,,,,,",
		TRACE_LANL, -1, NULL);

	ck_assert_msg(trace != NULL, "%u:%u: %s", error.place.line, error.place.column, error.text);
	ck_assert_uint_eq(trace->count, 2);
	ck_assert_uint_eq(trace->machines, 1);
	is(&trace->records[0], 0, 7 * NANOS_MINUTE, 0, 3, "Hardware");
	is(&trace->records[1], 1435 * NANOS_MINUTE, 10 * NANOS_MINUTE, 0, 4, "Software");
}
END_TEST

START_TEST(a_json_is_read)
{
	const struct trace *trace = parse_file(INFINITEHBD, TRACE_INFINITEHBD, -1, NULL);
	const nanos tenth = NANOS_DAY / 10;
	size_t open = 0, lost = 0;

	ck_assert_uint_eq(trace->count, 17);
	ck_assert_uint_eq(trace->machines, 8);
	ck_assert_int_eq(trace->records[0].at, 0);
	for (size_t i = 0; i < trace->count; i++) {
		const struct trace_record *record = &trace->records[i];

		open += record->down == NANOS_NEVER;
		if (record->down == NANOS_NEVER)
			ck_assert_int_eq(record->at, 75 * tenth);
		/* The same fault twice on one machine: the first end belongs to the first. */
		if (record->at == 35 * tenth || record->at == 375 * tenth / 10) {
			ck_assert_str_eq(record->cause, "GPU");
			ck_assert_int_eq(record->down,
					 record->at == 35 * tenth ? NANOS_DAY : 175 * tenth / 10);
			lost++;
		}
	}
	ck_assert(open == 1 && lost == 2);
	ck_assert_uint_eq(
		parse_file(INFINITEHBD, TRACE_INFINITEHBD, -1, "File System")->records[0].at,
		66250 * (NANOS_DAY / 10000));
}
END_TEST

START_TEST(a_log_may_be_empty)
{
	ck_assert_uint_eq(parse(HEADER, TRACE_LANL, -1, NULL)->count, 0);
	ck_assert_uint_eq(parse("[]", TRACE_INFINITEHBD, -1, NULL)->count, 0);
}
END_TEST

/* ---- what is refused ---- */

#define EVENT(id, time, type, fault)                                                               \
	"{\"node_id\": " id ", \"event_time\": " time ", \"event_type\": " type                    \
	", \"fault_type\": " fault "}"
#define TYPE "{\"Level\": \"L\", \"Class\": \"C\", \"Desc\": \"D\"}"

static const struct {
	enum trace_format format;
	const char *text;
	uint32_t line, column;
	const char *error;
} refused[] = {
	{TRACE_LANL, "", 1, 1, "the log is empty; a header is expected"},
	{TRACE_LANL, "a,b\n", 1, 1, "the header has no column 'System'"},
	{TRACE_LANL, "System,x,System\n", 1, 10, "the column 'System' is there twice"},
	{TRACE_LANL, HEADER "1,2\n", 2, 1, "this line has 2 fields, the header 11"},
	{TRACE_LANL, HEADER "1,2,1/1/2000 0:00,,5,,,,,,,\n", 2, 1,
	 "this line has 12 fields, the header 11"},
	{TRACE_LANL, HEADER "\"1,2,1/1/2000 0:00,,5,,,,,,\n", 2, 1,
	 "this quote is not closed on its line"},
	{TRACE_LANL, HEADER "1,\"2\"x,1/1/2000 0:00,,5,,,,,,\n", 2, 3,
	 "a comma or the end of the line is expected after this field's closing quote"},
	{TRACE_LANL, HEADER "1,2\",1/1/2000 0:00,,5,,,,,,\n", 2, 3,
	 "this field has a quote that does not begin it"},
	{TRACE_LANL, HEADER "one,2,1/1/2000 0:00,,5,,,,,,\n", 2, 1,
	 "'System' is 'one'; expected the number of a system"},
	{TRACE_LANL, HEADER "1,-2,1/1/2000 0:00,,5,,,,,,\n", 2, 3,
	 "'nodenum' is '-2'; expected the number of a node"},
	{TRACE_LANL, HEADER "1,2,13/1/2000 0:00,,5,,,,,,\n", 2, 5,
	 "'Prob Started' is '13/1/2000 0:00'; expected a time such as 6/21/2005 10:54"},
	{TRACE_LANL, HEADER "1,2,2/29/2001 0:00,,5,,,,,,\n", 2, 5,
	 "'Prob Started' is '2/29/2001 0:00'; expected a time such as 6/21/2005 10:54"},
	{TRACE_LANL, HEADER "1,2,1/1/2000 24:00,,5,,,,,,\n", 2, 5,
	 "'Prob Started' is '1/1/2000 24:00'; expected a time such as 6/21/2005 10:54"},
	{TRACE_LANL, HEADER "1,2,1/1/1969 0:00,,5,,,,,,\n", 2, 5,
	 "'Prob Started' is '1/1/1969 0:00'; expected a time such as 6/21/2005 10:54"},
	{TRACE_LANL, HEADER "1,2,,,5,,,,,,\n", 2, 5,
	 "'Prob Started' is ''; expected a time such as 6/21/2005 10:54"},
	{TRACE_LANL, HEADER "1,2,1/1/2000 0:00,,5.5,,,,,,\n", 2, 20,
	 "'Down Time' is '5.5'; expected minutes as a whole number, twenty years at most"},
	{TRACE_LANL, HEADER "1,2,1/1/2000 0:00,,10512001,,,,,,\n", 2, 20,
	 "'Down Time' is '10512001'; expected minutes as a whole number, twenty years at most"},
	{TRACE_LANL, HEADER "1,2,1/1/2000 0:00,,,,,,,,\n", 2, 20,
	 "neither 'Down Time' nor 'Prob Fixed' says when this was over"},
	{TRACE_LANL, HEADER "1,2,1/1/2000 0:01,1/1/2000 0:00,,,,,,,\n", 2, 19,
	 "'Prob Fixed' is '1/1/2000 0:00'; expected a time after 'Prob Started', by twenty years "
	 "at most"},
	{TRACE_LANL, HEADER "1,2,1/1/2000 0:00,,5,,CPU,,Switch,,\n", 2, 28,
	 "two causes in one record: 'Hardware' and 'Network'"},
	{TRACE_INFINITEHBD, "{}", 1, 1, "the log is a list of events, not a mapping"},
	{TRACE_INFINITEHBD, "[1]", 1, 2, "an event is a mapping, not a single value"},
	{TRACE_INFINITEHBD, "[{\"node_id\": \"a\"}]", 1, 2, "'event_type' is missing here"},
	{TRACE_INFINITEHBD, "[" EVENT("[a]", "1", "fault_start", TYPE) "]", 1, 14,
	 "'node_id' is a text, not a list"},
	{TRACE_INFINITEHBD, "[" EVENT("\"\"", "1", "fault_start", TYPE) "]", 1, 14,
	 "'node_id' has 0 bytes; expected 1 to 4096"},
	{TRACE_INFINITEHBD, "[" EVENT("a", "-1", "fault_start", TYPE) "]", 1, 31,
	 "'event_time' is '-1'; expected days as a number, 0 to 7300"},
	{TRACE_INFINITEHBD, "[" EVENT("a", "7301", "fault_start", TYPE) "]", 1, 31,
	 "'event_time' is '7301'; expected days as a number, 0 to 7300"},
	{TRACE_INFINITEHBD, "[" EVENT("a", "1d", "fault_start", TYPE) "]", 1, 31,
	 "'event_time' is '1d'; expected days as a number, 0 to 7300"},
	{TRACE_INFINITEHBD, "[" EVENT("a", "1", "fault", TYPE) "]", 1, 48,
	 "'event_type' is 'fault'; expected fault_start or fault_end"},
	{TRACE_INFINITEHBD, "[" EVENT("a", "1", "fault_start", "x") "]", 1, 75,
	 "'fault_type' with Level, Class and Desc is expected here"},
	{TRACE_INFINITEHBD, "[" EVENT("a", "1", "fault_start", "{\"Level\": L}") "]", 1, 75,
	 "'Class' is missing here"},
	{TRACE_INFINITEHBD, "[" EVENT("a", "1", "fault_end", TYPE) "]", 1, 2,
	 "this fault_end has no fault_start of the same machine and type before it"},
	{TRACE_INFINITEHBD,
	 "[" EVENT("a", "2", "fault_start", TYPE) ",\n" EVENT("a", "1", "fault_end", TYPE) "]", 2,
	 1, "this fault_end has no fault_start of the same machine and type before it"},
};

START_TEST(a_damaged_log_is_refused)
{
	ck_assert_ptr_null(parse(refused[_i].text, refused[_i].format, -1, NULL));
	ck_assert_str_eq(error.text, refused[_i].error);
	ck_assert_str_eq(error.place.file, "log");
	ck_assert_uint_eq(error.place.line, refused[_i].line);
	ck_assert_uint_eq(error.place.column, refused[_i].column);
}
END_TEST

/* A text of `count` times `item` behind `head`. */
static char *repeat(const char *head, const char *item, size_t count)
{
	char *text = NULL, *copy;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(out);
	fputs(head, out);
	for (size_t i = 0; i < count; i++)
		fputs(item, out);
	ck_assert_int_eq(fclose(out), 0);
	copy = arena_strdup(&arena, text);
	free(text);
	return copy;
}

START_TEST(limits_hold)
{
	static const struct trace_filter all = {.system = -1};
	const char *record = "1,2,1/1/2000 0:00,,5,,,,,,\n";
	struct trace *trace = NULL;

	ck_assert_ptr_nonnull(
		parse(repeat(HEADER, record, TRACE_RECORDS_MAX), TRACE_LANL, -1, NULL));
	ck_assert_ptr_null(
		parse(repeat(HEADER, record, TRACE_RECORDS_MAX + 1), TRACE_LANL, -1, NULL));
	ck_assert(error.kind == ERROR_LIMIT && error.place.line == TRACE_RECORDS_MAX + 2);
	ck_assert_str_eq(error.text, "more than 100000 records");
	ck_assert_ptr_null(parse(repeat("x", ",", TRACE_FIELDS_MAX), TRACE_LANL, -1, NULL));
	ck_assert_str_eq(error.text, "more than 64 fields in a line");
	ck_assert_ptr_null(parse(repeat("", "x", TRACE_FIELD_MAX + 1), TRACE_LANL, -1, NULL));
	ck_assert_str_eq(error.text, "a field of more than 4096 bytes");
	error = (struct error){0};
	ck_assert_int_lt(trace_parse("log", "", TRACE_FILE_MAX + 1, TRACE_LANL, &all, &arena,
				     &trace, &error),
			 0);
	ck_assert(error.kind == ERROR_LIMIT);
	error = (struct error){0};
	ck_assert_int_lt(trace_parse("log", "a\0b", 3, TRACE_LANL, &all, &arena, &trace, &error),
			 0);
	ck_assert_str_eq(error.text, "this is not a text file");
}
END_TEST

START_TEST(causes_are_limited)
{
	char *text = arena_strdup(&arena, "[");

	for (int i = 0; i <= TRACE_CAUSES_MAX; i++)
		text = arena_printf(&arena,
				    "%s{node_id: a, event_time: 1, event_type: fault_start, "
				    "fault_type: {Level: l, Class: c%d, Desc: d}},\n",
				    text, i);
	ck_assert_ptr_null(parse(arena_printf(&arena, "%s]", text), TRACE_INFINITEHBD, -1, NULL));
	ck_assert_str_eq(error.text, "more than 256 different causes");
	ck_assert_uint_eq(error.place.line, TRACE_CAUSES_MAX + 1);
}
END_TEST

/* ---- replayed ---- */

struct figure {
	const char *cause;
	uint64_t count;
	double mean, median;
};

/* Worked out apart from the program, from the logs' lines. */
static const struct figure of_lanl[] = {
	{"all", 30, 46627.0 / 30, 39},
	{"Hardware", 9, 45496.0 / 9, 62},
	{"Software", 7, 232.0 / 7, 15},
	{"Facilities", 5, 145.8, 120},
	{"not named", 3, 62.0 / 3, 9},
	{"Human Error", 2, 22, 22},
	{"Network", 2, 31, 31},
	{"Undetermined", 2, 1, 1},
	{NULL, 0, 0, 0},
};
static const struct figure of_system_1[] = {
	{"all", 20, 135.7, 61.5},   {"Hardware", 6, 281, 61.5}, {"Facilities", 5, 145.8, 120},
	{"Software", 4, 46.75, 46}, {"Undetermined", 2, 1, 1},  {"Human Error", 1, 33, 33},
	{"Network", 1, 32, 32},     {"not named", 1, 45, 45},   {NULL, 0, 0, 0},
};
static const struct figure of_infinitehbd[] = {
	{"all", 16, 23328.72 / 16, 720},
	{"GPU", 6, 2040, 1980},
	{"NIC", 4, 396, 360},
	{"Unknown Error", 2, 1980, 1980},
	{"Fan", 1, 5040, 5040},
	{"File System", 1, 360.72, 360.72},
	{"Software Tool", 1, 144, 144},
	{"System Crash", 1, 0, 0},
	{NULL, 0, 0, 0},
};
/* Before day 50 only: what is still down then is not counted. */
static const struct figure of_50_days[] = {
	{"all", 17, 1634.0 / 17, 45},
	{"Facilities", 5, 145.8, 120},
	{"Software", 5, 150.0 / 5, 15},
	{"Hardware", 3, 660.0 / 3, 50},
	{"not named", 3, 62.0 / 3, 9},
	{"Human Error", 1, 33, 33},
	{NULL, 0, 0, 0},
};

static const struct {
	const char *sets[3];
	const struct figure *figures;
	size_t faults, hidden; /* hidden: inside another outage of that machine; one that ends when
				  the next begins is over before it */
} replays[] = {
	{{NULL}, of_lanl, 30, 4},
	{{"steps[0].at.system=1"}, of_system_1, 20, 2},
	{{"duration=50d"}, of_50_days, 17, 2},
	{{"steps[0].at={trace: infinitehbd.json, format: infinitehbd}"}, of_infinitehbd, 17, 4},
};

struct replay {
	struct scenario *scenario;
	struct run *run;
	struct record record;
};

static void replay(struct replay *r, const char *const *sets, size_t count)
{
	struct run_options options = {.driver = driver_find("sim"), .seed = 1};
	struct timeline timeline;
	struct error errors[1] = {{0}};
	size_t error_count;

	*r = (struct replay){0};
	ck_assert_msg(scenario_load("tests/traces/replay.yaml", sets, count, &arena, &r->scenario,
				    errors, 1, &error_count) == 0,
		      "%s", errors[0].text);
	ck_assert_int_eq(run_new(r->scenario, &options, &r->run, errors), 0);
	ck_assert_int_eq(timeline_open(&timeline, NULL, errors), 0);
	r->record = (struct record){.scenario = r->scenario, .seed = 1, .headline = -1};
	ck_assert_int_eq(run_trial(r->run, 0, &timeline, &r->record, errors), 0);
}

static void compare(const struct figure *figures, const struct repair_summary *repairs,
		    size_t count)
{
	size_t i = 0;

	for (; figures[i].cause; i++) {
		ck_assert_uint_lt(i, count);
		ck_assert_str_eq(repairs[i].cause, figures[i].cause);
		ck_assert_uint_eq(repairs[i].count, figures[i].count);
		ck_assert_double_eq_tol(repairs[i].mean, figures[i].mean, 1e-9);
		ck_assert_double_eq_tol(repairs[i].median, figures[i].median, 1e-9);
	}
	ck_assert_uint_eq(i, count);
}

START_TEST(a_drill_replays_it)
{
	struct replay r;
	size_t sets = 0, hidden = 0;

	while (replays[_i].sets[sets])
		sets++;
	replay(&r, replays[_i].sets, sets);
	ck_assert_uint_eq(r.record.fault_count, replays[_i].faults);
	for (size_t i = 0; i < r.record.fault_count; i++) {
		const struct fault_record *fault = &r.record.faults[i];

		ck_assert(fault->applied && fault->reverted == TRISTATE_TRUE);
		ck_assert(fault->effective != TRISTATE_FALSE && fault->cause);
		hidden += fault->effective == TRISTATE_NULL;
		if (fault->effective == TRISTATE_NULL)
			ck_assert_int_eq(strncmp(fault->observed, "broken already: ", 16), 0);
	}
	ck_assert_uint_eq(hidden, replays[_i].hidden);
	compare(replays[_i].figures, r.record.repairs, r.record.repair_count);
	ck_assert_int_eq(r.record.exit_code, 0);
	run_free(r.run);
}
END_TEST

/* Two steps share a log, each with the cause that its fault stands for. */
START_TEST(causes_become_different_faults)
{
	static const char *const sets[] = {
		"steps=[{at: {trace: lanl.csv, format: lanl, cause: Network}, fault: net.partition,"
		" target: 'primary/node[*]'}, {at: {trace: lanl.csv, format: lanl, cause: "
		"Hardware}, fault: gpu.lost, target: 'primary/node[*]/gpu[0]'}]"};
	struct replay r;
	size_t network = 0, hardware = 0;

	replay(&r, sets, 1);
	for (size_t i = 0; i < r.record.fault_count; i++) {
		network += strcmp(r.record.faults[i].name, "net.partition") == 0;
		hardware += strcmp(r.record.faults[i].name, "gpu.lost") == 0;
	}
	ck_assert(network == 2 && hardware == 9);
	ck_assert_str_eq(r.record.faults[0].target, "primary/node[7]/gpu[0]");
	ck_assert_uint_eq(r.record.repair_count, 3);
	run_free(r.run);
}
END_TEST

/* ---- the real logs, where they are ---- */

static bool run_program(const char *const *argv, const char *output)
{
	posix_spawn_file_actions_t actions;
	int status = -1;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	if (posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ) ==
	    0)
		waitpid(pid, &status, 0);
	posix_spawn_file_actions_destroy(&actions);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The path of a real log, unpacked where it must be; NULL with the reason printed. */
static const char *real_log(const char *name)
{
	const char *folder = getenv("DRSIM_TRACES"), *path, *packed;
	const char *unpack[] = {"xz", "-dc", NULL, NULL};

	if (!folder || !*folder) {
		printf("skipped: %s: DRSIM_TRACES does not name a folder with the real logs\n",
		       name);
		return NULL;
	}
	path = arena_printf(&arena, "%s/%s", folder, name);
	if (access(path, R_OK) == 0)
		return realpath(path, arena_alloc(&arena, PATH_MAX));
	unpack[2] = packed = arena_printf(&arena, "%s.xz", path);
	if (access(packed, R_OK) != 0) {
		printf("skipped: %s: neither it nor %s.xz is in DRSIM_TRACES\n", name, name);
		return NULL;
	}
	if (!run_program(unpack, "log")) {
		printf("skipped: %s: xz could not unpack it\n", name);
		return NULL;
	}
	return realpath("log", arena_alloc(&arena, PATH_MAX));
}

static const struct {
	const char *file, *format;
	int nodes, days;
	double tolerance; /* of the published figures, whole minutes */
	struct figure figures[8];
} real[] = {
	{"LA-UR-05-7318-failure-data-1996-2005.csv",
	 "lanl",
	 4750,
	 3766,
	 0.5,
	 {{"all", 23739, 352, 59},
	  {"Human Error", 149, 163, 44},
	  {"Facilities", 362, 572, 276},
	  {"Network", 421, 250, 70},
	  {"Hardware", 14341, 344, 68},
	  {"Software", 5361, 348, 43},
	  {NULL, 0, 0, 0}}},
	{"infinitehbd_fault_trace.json",
	 "infinitehbd",
	 400,
	 348,
	 3, /* published in tenths of hours */
	 {{"all", 584, 132.8 * 60, 20.4 * 60},
	  {"Parameter Plane Cable", 40, 119.5 * 60, 47.4 * 60},
	  {"NIC", 30, 256.4 * 60, 11.8 * 60},
	  {"Power Supply", 26, 439 * 60, 351.1 * 60},
	  {NULL, 0, 0, 0}}},
};

static const cJSON *find_cause(const cJSON *repairs, const char *cause)
{
	const cJSON *item;

	if (strcmp(cause, "all") == 0)
		return cJSON_GetObjectItem(repairs, "all");
	cJSON_ArrayForEach (item, cJSON_GetObjectItem(repairs, "by_cause"))
		if (strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(item, "cause")), cause) == 0)
			return item;
	return NULL;
}

START_TEST(the_real_logs_give_the_published_figures)
{
	const char *log = NULL;
	const cJSON *repairs;
	cJSON *record = NULL;

	workplace_enter("trace");
	log = real_log(real[_i].file);
	if (log) {
		const char *argv[] = {
			workplace_program,
			"run",
			arena_printf(&arena, "%s/tests/traces/replay.yaml", workplace_root),
			"--json",
			"--no-plots",
			"--out",
			"run",
			"--set",
			arena_printf(&arena, "duration=%dd", real[_i].days + 2),
			"--set",
			arena_printf(&arena, "deployment.sites[0].nodes=%d", real[_i].nodes),
			"--set",
			arena_printf(&arena, "steps[0].at={trace: '%s', format: %s}", log,
				     real[_i].format),
			NULL};
		ck_assert(run_program(argv, "record"));
		struct error e = {0};
		char *text;
		size_t size;

		ck_assert_int_eq(
			yaml_read_file("record", (size_t)64 << 20, &arena, &text, &size, &e), 0);
		record = cJSON_Parse(text);
		repairs = cJSON_GetObjectItem(record, "repairs");
		for (const struct figure *f = real[_i].figures; f->cause; f++) {
			const cJSON *found = find_cause(repairs, f->cause);

			ck_assert_ptr_nonnull(found);
			ck_assert(cJSON_GetObjectItem(found, "count")->valuedouble ==
				  (double)f->count);
			ck_assert_double_eq_tol(cJSON_GetObjectItem(found, "mean_min")->valuedouble,
						f->mean, real[_i].tolerance);
			ck_assert_double_eq_tol(
				cJSON_GetObjectItem(found, "median_min")->valuedouble, f->median,
				real[_i].tolerance);
		}
		cJSON_Delete(record);
	}
	workplace_leave();
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test, int count)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test, 0, count);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	add(suite, "lanl", a_csv_is_read, 1);
	add(suite, "lanl: system", one_system_counts_for_itself, 1);
	add(suite, "lanl: cause", a_cause_alone_keeps_times_and_machines, 1);
	add(suite, "lanl: columns", columns_stand_where_the_header_says, 1);
	add(suite, "infinitehbd", a_json_is_read, 1);
	add(suite, "empty", a_log_may_be_empty, 1);
	add(suite, "refused", a_damaged_log_is_refused,
	    (int)(sizeof(refused) / sizeof(refused[0])));
	add(suite, "limits", limits_hold, 1);
	add(suite, "limits: causes", causes_are_limited, 1);
	add(suite, "replay", a_drill_replays_it, (int)(sizeof(replays) / sizeof(replays[0])));
	add(suite, "replay: two steps", causes_become_different_faults, 1);
	add(suite, "real", the_real_logs_give_the_published_figures,
	    (int)(sizeof(real) / sizeof(real[0])));
}

TEST_MAIN("trace", add_cases)
