/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of quantities, option tables, suggestions, distributions as written, and the list of
 * errors. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/param.h"
#include "tests/test.h"

#define COUNT(rows) ((int)(sizeof(rows) / sizeof((rows)[0])))
#define HERE ((struct place){"x.yaml", 1, 1})

static struct param_context context;
static struct arena arena;

static void setup(void)
{
	arena = (struct arena){0};
	context = (struct param_context){.arena = &arena,
					 .errors = {.arena = &arena, .file = "x.yaml"}};
}

static void teardown(void)
{
	arena_free(&arena);
}

/* ---- quantities ---- */

static const struct {
	const char *text;
	nanos value;
} durations[] = {
	{"0s", 0},
	{"1ns", 1},
	{"30s", 30 * NANOS_S},
	{"+30s", 30 * NANOS_S},
	{"5m", 5 * NANOS_MINUTE},
	{"2h", 2 * NANOS_HOUR},
	{"1d", NANOS_DAY},
	{"1w", 7 * NANOS_DAY},
	{"250ms", 250 * NANOS_MS},
	{"7us", 7000},
	{"1.5h", 90 * NANOS_MINUTE},
	{"0.1s", 100 * NANOS_MS},
	{"0.1ns", 0},
	{"0.5ns", 1},
	{"0.4999ns", 0},
	{"1.5ns", 2},
	{"2.5ns", 3},
	{"1e3s", 1000 * NANOS_S},
	{"1E-3s", NANOS_MS},
	{"1000000e-6s", NANOS_S},
	{"30 s", 30 * NANOS_S},
	{"0.000000000000000000000000000001s", 0},
	{"1e-9999s", 0},
	{"0.30000000000000000000000000000s", 300 * NANOS_MS},
	{"100000000000000000000e-20s", NANOS_S},
	{"0000000000000000000000000030s", 30 * NANOS_S},
	{"0.0000000005s", 1},
	{"0.00000000049s", 0},
	{"7300d", 7300 * NANOS_DAY},
	{"1.23456789s", 1234567890},
	{"87599.9999999999h", 315359999999999640},
};

START_TEST(durations_are_exact)
{
	struct error e = {0};
	nanos value = -1;

	ck_assert_msg(quantity_duration(durations[_i].text, HERE, &value, &e) == 0, "%s", e.text);
	ck_assert_int_eq(value, durations[_i].value);
}
END_TEST

static const struct {
	const char *text;
	uint64_t value;
} sizes[] = {
	{"0B", 0},
	{"1B", 1},
	{"140GB", 140000000000},
	{"1TB", 1000000000000},
	{"1TiB", 1099511627776},
	{"1kB", 1000},
	{"1KB", 1000},
	{"1KiB", 1024},
	{"1.5GiB", 1610612736},
	{"1EB", 1000000000000000000},
	{"1EiB", 1ull << 60},
	{"1e3EB", 0},
	{"0.1KiB", 102},
	{"1E3B", 1000},
};

START_TEST(sizes_are_exact)
{
	struct error e = {0};
	uint64_t value = 1;
	int result = quantity_size(sizes[_i].text, HERE, &value, &e);

	if (strcmp(sizes[_i].text, "1e3EB") == 0) {
		ck_assert_int_eq(result, -1);
		ck_assert_str_eq(e.text, "'1e3EB' is more than 1EiB");
		return;
	}
	ck_assert_msg(result == 0, "%s", e.text);
	ck_assert_uint_eq(value, sizes[_i].value);
}
END_TEST

static const struct {
	const char *text;
	int (*read)(const char *text, struct place place, double *ret, struct error *e);
	double value;
} doubles[] = {
	{"10Gbit/s", quantity_rate, 1.25e9},
	{"100Gbit/s", quantity_rate, 1.25e10},
	{"1bit/s", quantity_rate, 0.125},
	{"2GB/s", quantity_rate, 2e9},
	{"500GB/h", quantity_rate, 500e9 / 3600},
	{"50GB/d", quantity_rate, 50e9 / 86400},
	{"1TB/d", quantity_rate, 1e12 / 86400},
	{"1MiB/s", quantity_rate, 1048576},
	{"0B/s", quantity_rate, 0},
	{"1B/ms", quantity_rate, 1000},
	{"0.3GB/s", quantity_rate, 0.3e9},
	{"120/s", quantity_per_time, 120},
	{"3/h", quantity_per_time, 3.0 / 3600},
	{"1/w", quantity_per_time, 1.0 / 604800},
	{"0.1/s", quantity_per_time, 0.1},
	{"99.9%", quantity_percent, 0.999},
	{"0%", quantity_percent, 0},
	{"100%", quantity_percent, 1},
	{"0.1%", quantity_percent, 0.001},
	{"1e-1%", quantity_percent, 0.001},
	{"0.3", quantity_number, 0.3},
	{"-1.5e3", quantity_number, -1500},
	{"1e-5", quantity_number, 1e-5},
	{"12345678901234567e2", quantity_number, 12345678901234567e2},
	{"5e-324", quantity_number, 5e-324},
	{"1e-400", quantity_number, 0},
	{"0.1000000000000000055", quantity_number, 0.1},
};

START_TEST(doubles_are_the_nearest)
{
	struct error e = {0};
	double value = -1;

	ck_assert_msg(doubles[_i].read(doubles[_i].text, HERE, &value, &e) == 0, "%s", e.text);
	ck_assert_msg(value == doubles[_i].value, "%s: %.17g, not %.17g", doubles[_i].text, value,
		      doubles[_i].value);
}
END_TEST

START_TEST(integers_have_all_their_digits)
{
	struct error e = {0};
	uint64_t natural;
	int64_t integer;

	ck_assert_int_eq(quantity_unsigned("18446744073709551615", HERE, &natural, &e), 0);
	ck_assert(natural == UINT64_MAX);
	ck_assert_int_eq(quantity_unsigned("18446744073709551616", HERE, &natural, &e), -1);
	e = (struct error){0};
	ck_assert_int_eq(quantity_integer("-9223372036854775807", HERE, &integer, &e), 0);
	ck_assert(integer == -INT64_MAX);
	ck_assert_int_eq(quantity_integer("9223372036854775808", HERE, &integer, &e), -1);
	e = (struct error){0};
	ck_assert_int_eq(quantity_integer("2.0", HERE, &integer, &e), 0);
	ck_assert_int_eq(integer, 2);
	ck_assert_int_eq(quantity_integer("1e3", HERE, &integer, &e), 0);
	ck_assert_int_eq(integer, 1000);
}
END_TEST

static const struct {
	const char *text, *message;
} bad_durations[] = {
	{"", "'' is not a duration; write it like 30s, 5m or 2h"},
	{"s", "'s' is not a duration; write it like 30s, 5m or 2h"},
	{".5s", "'.5s' is not a duration; write it like 30s, 5m or 2h"},
	{"5.s", "unknown unit '.s' in '5.s'; a duration is written like 30s, 5m or 2h"},
	{"--5s", "'--5s' is not a duration; write it like 30s, 5m or 2h"},
	{" 5s", "' 5s' is not a duration; write it like 30s, 5m or 2h"},
	{"5s ", "unknown unit 's ' in '5s '; a duration is written like 30s, 5m or 2h"},
	{"5s5s", "unknown unit 's5s' in '5s5s'; a duration is written like 30s, 5m or 2h"},
	{"1.2.3s", "unknown unit '.3s' in '1.2.3s'; a duration is written like 30s, 5m or 2h"},
	{"0x10s", "unknown unit 'x10s' in '0x10s'; a duration is written like 30s, 5m or 2h"},
	{"30", "'30' needs a unit, such as 30s"},
	{"1e5", "'1e5' needs a unit, such as 1e5s"},
	{"30M", "unknown unit 'M' in '30M'; did you mean '30m'?"},
	{"7301d", "'7301d' is more than twenty years (7300d)"},
	{"1e30s", "'1e30s' is more than twenty years (7300d)"},
	{"1e99999999999s", "'1e99999999999s' is more than twenty years (7300d)"},
	{"9999999999999999999w", "'9999999999999999999w' is more than twenty years (7300d)"},
	{"nan", "'nan' is not a duration; write it like 30s, 5m or 2h"},
	{"-0.1s", "'-0.1s' is negative; a duration is 0 or more"},
	{"12345678901234567890123s", "'12345678901234567890123s' has more than 19 digits"},
	{"٣s", "'٣s' is not a duration; write it like 30s, 5m or 2h"},
};

START_TEST(bad_durations_say_why)
{
	struct error e = {0};
	nanos value = 77;

	ck_assert_int_eq(quantity_duration(bad_durations[_i].text, HERE, &value, &e), -1);
	ck_assert_str_eq(e.text, bad_durations[_i].message);
	ck_assert_uint_eq(e.place.line, 1);
	ck_assert_int_eq(value, 77);
}
END_TEST

START_TEST(durations_are_printed_in_their_largest_unit)
{
	char buffer[QUANTITY_TEXT_MAX];

	ck_assert_str_eq(quantity_print_duration(0, buffer), "0s");
	ck_assert_str_eq(quantity_print_duration(90 * NANOS_S, buffer), "90s");
	ck_assert_str_eq(quantity_print_duration(2 * NANOS_HOUR, buffer), "2h");
	ck_assert_str_eq(quantity_print_duration(14 * NANOS_DAY, buffer), "14d");
	ck_assert_str_eq(quantity_print_duration(1001, buffer), "1001ns");
}
END_TEST

/* ---- suggestions ---- */

START_TEST(suggestions_are_near)
{
	static const char *const words[] = {"gpu.lost", "gpu.xid", "at",  "for",
					    "interval", "target",  "frt", NULL};

	ck_assert_str_eq(param_suggest("gpu.los", words), "gpu.lost");
	ck_assert_str_eq(param_suggest("gpu.lots", words), "gpu.lost");
	ck_assert_str_eq(param_suggest("int", words), "interval");
	ck_assert_str_eq(param_suggest("intreval", words), "interval");
	ck_assert_str_eq(param_suggest("targets", words), "target");
	ck_assert_ptr_null(param_suggest("xy", words));
	ck_assert_ptr_null(param_suggest("", words));
	ck_assert_ptr_null(param_suggest("rto", words));
	ck_assert_ptr_null(param_suggest("something.else", words));
}
END_TEST

/* ---- tables ---- */

struct all {
	bool flag;
	int64_t integer;
	nanos duration;
	uint64_t size, seed;
	double rate, per_time, percent, number;
	int choice;
	struct dist dist;
	const char *text;
	uint32_t count;
	const struct yaml_node *node;
	nanos untouched;
};
#define ALL(field) offsetof(struct all, field)

static const char *const colours[] = {"red", "green", NULL};
static const struct param rows[] = {
	{"flag", PARAM_BOOL, ALL(flag), "true", 0, 0, NULL, ""},
	{"integer", PARAM_INTEGER, ALL(integer), "-3", -5, 5, NULL, ""},
	{"duration", PARAM_DURATION, ALL(duration), "1m", 1, 3600e9, NULL, ""},
	{"size", PARAM_SIZE, ALL(size), "1KiB", 0, 0, NULL, ""},
	{"seed", PARAM_SEED, ALL(seed), "7", 0, 0, NULL, ""},
	{"rate", PARAM_RATE, ALL(rate), "1MB/s", 0, 0, NULL, ""},
	{"per_time", PARAM_PER_TIME, ALL(per_time), "2/s", 0, 0, NULL, ""},
	{"percent", PARAM_PERCENT, ALL(percent), "5%", 0.01, 0.5, NULL, ""},
	{"number", PARAM_NUMBER, ALL(number), "0.5", 0, 0, NULL, ""},
	{"choice", PARAM_CHOICE, ALL(choice), "green", 0, 0, colours, ""},
	{"dist", PARAM_DIST, ALL(dist), "{uniform: {from: 1s, to: 2s}}", 0, 0, NULL, ""},
	{"text", PARAM_TEXT, ALL(text), NULL, 0, 0, NULL, "A text."},
	{"count", PARAM_COUNT, ALL(count), "4", 1, 9, NULL, ""},
	{"node", PARAM_NODE, ALL(node), "", 0, 0, NULL, ""},
	{"untouched", PARAM_DURATION, ALL(untouched), "", 0, 0, NULL, ""},
	PARAMS_END,
};

static int load(const char *text, struct all *ret)
{
	static const char *const others[] = {"other", NULL};
	struct yaml_node *root;
	struct error e = {0};

	ck_assert_msg(yaml_parse("x.yaml", text, strlen(text), &arena, &root, &e) == 0, "%s",
		      e.text);
	ret->untouched = 99;
	return params_load(root, "a thing", rows, ret, &context, others);
}

START_TEST(presets_fill_every_type)
{
	struct all all = {0};

	ck_assert_int_eq(load("{text: hello, other: 1}", &all), 0);
	ck_assert(all.flag);
	ck_assert_int_eq(all.integer, -3);
	ck_assert_int_eq(all.duration, NANOS_MINUTE);
	ck_assert_uint_eq(all.size, 1024);
	ck_assert_uint_eq(all.seed, 7);
	ck_assert(all.rate == 1e6 && all.per_time == 2 && all.percent == 0.05 && all.number == 0.5);
	ck_assert_int_eq(all.choice, 1);
	ck_assert_int_eq(all.dist.kind, DIST_UNIFORM);
	ck_assert_str_eq(all.text, "hello");
	ck_assert_uint_eq(all.count, 4);
	ck_assert_ptr_null(all.node);
	ck_assert_int_eq(all.untouched, 99);
}
END_TEST

START_TEST(values_replace_presets)
{
	struct all all = {0};

	ck_assert_int_eq(load("{flag: false, integer: -5, duration: 1h, size: 2TB, seed: 9, rate: "
			      "8bit/s, per_time: 1/h, percent: 50%, number: -1, choice: red, dist: "
			      "3s, text: '', count: 9, node: [1], untouched: 1s}",
			      &all),
			 0);
	ck_assert(!all.flag);
	ck_assert_int_eq(all.integer, -5);
	ck_assert_int_eq(all.duration, NANOS_HOUR);
	ck_assert_uint_eq(all.size, 2000000000000);
	ck_assert_uint_eq(all.seed, 9);
	ck_assert(all.rate == 1 && all.percent == 0.5 && all.number == -1);
	ck_assert_int_eq(all.choice, 0);
	ck_assert_int_eq(all.dist.kind, DIST_CONSTANT);
	ck_assert_int_eq(all.dist.exact, 3 * NANOS_S);
	ck_assert_str_eq(all.text, "");
	ck_assert_uint_eq(all.count, 9);
	ck_assert_int_eq(all.node->kind, YAML_KIND_LIST);
	ck_assert_int_eq(all.untouched, NANOS_S);
}
END_TEST

static const struct {
	const char *text, *message;
} bad_tables[] = {
	{"{}", "a thing needs 'text': A text."},
	{"[]", "a thing must be a mapping of keys and values, not a list"},
	{"{txt: x}", "unknown key 'txt' in a thing; did you mean 'text'?"},
	{"{text: a, othre: 1}", "unknown key 'othre' in a thing; did you mean 'other'?"},
	{"{text: a, integer: 6}", "'6' is too large: 'integer' must be at most 5"},
	{"{text: a, integer: -6}", "'-6' is too small: 'integer' must be at least -5"},
	{"{text: a, integer: 99999999999999999999999}",
	 "'99999999999999999999999' has more than 19 digits"},
	{"{text: a, duration: 2h}", "'2h' is too large: 'duration' must be at most 1h"},
	{"{text: a, duration: 0s}", "'0s' is too small: 'duration' must be at least 1ns"},
	{"{text: a, percent: 60%}", "'60%' is too large: 'percent' must be at most 50%"},
	{"{text: a, choice: gren}", "unknown choice 'gren'; did you mean 'green'?"},
	{"{text: a, choice: blue}", "unknown choice 'blue'; it can be red or green"},
	{"{text: a, flag: on}", "'on' must be true or false"},
	{"{text: a, count: 4294967296}", "'4294967296' is too large"},
	{"{text: a, count: 10}", "'10' is too large: 'count' must be at most 9"},
	{"{text: a, number: .inf}", "'.inf' is not a number; write it like 3"},
	{"{text: a, number: 1e400}", "'1e400' is too large for a number"},
	{"{text: }", "'text' has no value"},
	{"{text: a, dist: {uniform: {from: 2s, to: 1s}}}", "'from' is after 'to'"},
	{"{text: a, dist: }", "'dist' has no value"},
};

START_TEST(bad_tables_say_why)
{
	struct all all = {0};

	ck_assert_int_eq(load(bad_tables[_i].text, &all), -1);
	ck_assert_uint_eq(context.errors.count, 1);
	ck_assert_str_eq(context.errors.items[0].text, bad_tables[_i].message);
}
END_TEST

/* ---- distributions ---- */

static struct dist load_dist(const char *text, int expect)
{
	struct yaml_node *root;
	struct error e = {0};
	struct dist dist = {0};

	ck_assert_msg(yaml_parse("x.yaml", text, strlen(text), &arena, &root, &e) == 0, "%s",
		      e.text);
	ck_assert_int_eq(dist_load(root, &context, &dist), expect);
	return dist;
}

START_TEST(distributions_keep_their_parameters)
{
	struct dist d = load_dist("{lognormal: {median: 20m, sigma: 0.3}}", 0);

	ck_assert(d.kind == DIST_LOGNORMAL && d.a == 1200e9 && d.b == 0.3);
	d = load_dist("{uniform: {from: 1s, to: 2s}}", 0);
	ck_assert(d.kind == DIST_UNIFORM && d.a == 1e9 && d.b == 2e9);
	d = load_dist("{exponential: {mean: 5m}}", 0);
	ck_assert(d.kind == DIST_EXPONENTIAL && d.a == 300e9);
	d = load_dist("{weibull: {scale: 1s, shape: 0.7}}", 0);
	ck_assert(d.kind == DIST_WEIBULL && d.a == 1e9 && d.b == 0.7);
	d = load_dist("{normal: {mean: 1s, sigma: 100ms}}", 0);
	ck_assert(d.kind == DIST_NORMAL && d.a == 1e9 && d.b == 1e8);
	d = load_dist("{pareto: {min: 1s, alpha: 2}}", 0);
	ck_assert(d.kind == DIST_PARETO && d.a == 1e9 && d.b == 2);
}
END_TEST

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	fclose(file);
}

START_TEST(empirical_values_are_read_and_sorted)
{
	char folder[] = "/tmp/drsim-param-XXXXXX";
	const char *path;
	struct dist d;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	path = arena_printf(&arena, "%s/times.txt", folder);
	context.folder = folder;
	write_file(path, "# repair times\n3s\n\n1s\r\n2.5s \n");
	d = load_dist("{empirical: times.txt}", 0);
	ck_assert_int_eq(d.kind, DIST_EMPIRICAL);
	ck_assert_uint_eq(d.count, 3);
	ck_assert(d.values[0] == 1e9 && d.values[1] == 2.5e9 && d.values[2] == 3e9);
	write_file(path, "1s\n2\n");
	load_dist("{empirical: times.txt}", -1);
	ck_assert_str_eq(context.errors.items[0].text, "'2' needs a unit, such as 2s");
	ck_assert_str_eq(context.errors.items[0].place.file, path);
	ck_assert_uint_eq(context.errors.items[0].place.line, 2);
	write_file(path, "\n# nothing\n");
	load_dist("{empirical: times.txt}", -1);
	ck_assert_str_eq(context.errors.items[1].text,
			 "there are no values in it; one duration a line is expected");
	unlink(path);
	rmdir(folder);
}
END_TEST

START_TEST(files_are_refused_in_memory)
{
	load_dist("{empirical: /etc/passwd}", -1);
	ck_assert_str_eq(context.errors.items[0].text,
			 "the file '/etc/passwd' cannot be read: this scenario is not read from a "
			 "file");
}
END_TEST

/* ---- the list of errors ---- */

START_TEST(errors_are_in_the_order_of_the_file)
{
	struct error_list *list = &context.errors;

	error_list_add(list, ERROR_SCENARIO, (struct place){"--set a=1", 1, 3}, "set");
	error_list_add(list, ERROR_SCENARIO, (struct place){"x.yaml", 5, 1}, "c");
	error_list_add(list, ERROR_SCENARIO, (struct place){"x.yaml", 2, 9}, "b");
	error_list_add(list, ERROR_SCENARIO, (struct place){"x.yaml", 2, 3}, "a");
	error_list_add(list, ERROR_SCENARIO, (struct place){"x.yaml", 2, 9}, "b again");
	ck_assert_uint_eq(list->count, 4);
	ck_assert_str_eq(list->items[0].text, "a");
	ck_assert_str_eq(list->items[1].text, "b");
	ck_assert_str_eq(list->items[2].text, "c");
	ck_assert_str_eq(list->items[3].text, "set");
}
END_TEST

START_TEST(the_earliest_errors_are_kept)
{
	struct error_list *list = &context.errors;

	for (uint32_t line = 2000; line > 0; line--)
		error_list_add(list, ERROR_SCENARIO, (struct place){"x.yaml", line, 1}, "%u", line);
	ck_assert_uint_eq(list->count, PARAM_ERRORS_MAX);
	ck_assert_str_eq(list->items[0].text, "1");
	ck_assert_uint_eq(list->items[PARAM_ERRORS_MAX - 1].place.line, PARAM_ERRORS_MAX);
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
	add(suite, "quantity: durations", durations_are_exact, COUNT(durations));
	add(suite, "quantity: sizes", sizes_are_exact, COUNT(sizes));
	add(suite, "quantity: doubles", doubles_are_the_nearest, COUNT(doubles));
	add(suite, "quantity: integers", integers_have_all_their_digits, 1);
	add(suite, "quantity: bad durations", bad_durations_say_why, COUNT(bad_durations));
	add(suite, "quantity: printed", durations_are_printed_in_their_largest_unit, 1);
	add(suite, "suggestions", suggestions_are_near, 1);
	add(suite, "table: presets", presets_fill_every_type, 1);
	add(suite, "table: values", values_replace_presets, 1);
	add(suite, "table: bad", bad_tables_say_why, COUNT(bad_tables));
	add(suite, "dist: parameters", distributions_keep_their_parameters, 1);
	add(suite, "dist: empirical", empirical_values_are_read_and_sorted, 1);
	add(suite, "dist: no files in memory", files_are_refused_in_memory, 1);
	add(suite, "errors: order", errors_are_in_the_order_of_the_file, 1);
	add(suite, "errors: limit", the_earliest_errors_are_kept, 1);
}

TEST_MAIN("param", add_cases)
