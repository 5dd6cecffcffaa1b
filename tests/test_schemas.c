/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON Schemas that are shipped: every scenario of the repository keeps the scenario's; what
 * the loader refuses for its structure the schema refuses too; and the record of every shipped
 * scenario keeps the record's.
 */
/* valgrind: skip */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "core/yaml.h"
#include "tests/json_schema.h"
#include "tests/spawned.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define TIMEOUT_S 240
#define RECORD_MAX ((size_t)64 << 20)

static struct arena arena;

static void setup(void)
{
	arena = (struct arena){0};
	workplace_enter("schemas");
}

static void teardown(void)
{
	workplace_leave();
	arena_free(&arena);
}

/* NULL: it is not YAML. */
static struct yaml_node *parse(const char *path, size_t limit)
{
	struct yaml_node *root = NULL;
	struct error e = {0};
	char *text;
	size_t size;

	ck_assert_msg(yaml_read_file(path, limit, &arena, &text, &size, &e) == 0, "%s", e.text);
	return yaml_parse(path, text, size, &arena, &root, &e) == 0 ? root : NULL;
}

static const char *in_root(const char *path)
{
	return arena_printf(&arena, "%s/%s", workplace_root, path);
}

static const struct yaml_node *schema_of(const char *path)
{
	const struct yaml_node *schema = parse(in_root(path), YAML_FILE_MAX);

	ck_assert_ptr_nonnull(schema);
	ck_assert_uint_gt(json_schema_check(schema), 10);
	return schema;
}

static void expect_valid(const struct yaml_node *schema, const char *path,
			 const struct yaml_node *instance)
{
	char why[JSON_SCHEMA_WHY_MAX];

	ck_assert_msg(instance != NULL, "%s is not YAML", path);
	ck_assert_msg(json_schema_valid(schema, instance, why), "%s:%s", path, why);
}

static int is_yaml(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return dot && strcmp(dot, ".yaml") == 0;
}

/* Calls `each` with the path of every YAML file of a folder whose name begins so; how many. */
static size_t for_each(const char *folder, const char *begin,
		       void (*each)(const struct yaml_node *schema, const char *path),
		       const struct yaml_node *schema)
{
	struct dirent **entries;
	int count = scandir(in_root(folder), &entries, is_yaml, alphasort);
	size_t seen = 0;

	ck_assert_int_gt(count, 0);
	for (int i = 0; i < count; i++) {
		if (strncmp(entries[i]->d_name, begin, strlen(begin)) == 0) {
			each(schema,
			     in_root(arena_printf(&arena, "%s/%s", folder, entries[i]->d_name)));
			seen++;
		}
		free(entries[i]);
	}
	free(entries);
	return seen;
}

/* ---- the checker itself: a schema and what it says of an instance ---- */

static const struct {
	const char *schema, *instance;
	bool valid;
} rules[] = {
	{"{type: integer}", "3", true},
	{"{type: integer}", "3.0", true},
	{"{type: integer}", "3.5", false},
	{"{type: integer}", "\"3\"", false},
	{"{type: string}", "3s", true},
	{"{type: string}", "3", false},
	{"{type: [string, \"null\"]}", "~", true},
	{"{type: [string, \"null\"]}", "true", false},
	{"{type: number}", "1e-5", true},
	{"{enum: [a, 1, null]}", "1.0", true},
	{"{enum: [a, 1, null]}", "\"1\"", false},
	{"{const: a}", "[a]", false},
	{"{minimum: 2, maximum: 3}", "4", false},
	{"{minimum: 2, maximum: 3}", "many", true},
	{"{exclusiveMinimum: 0}", "0", false},
	{"{maxLength: 2}", "abc", false},
	{"{maxLength: 2}", "1234", true},
	{"{minItems: 1, maxItems: 2}", "[]", false},
	{"{minItems: 1, maxItems: 2}", "[1, 2]", true},
	{"{maxProperties: 1}", "{a: 1, b: 2}", false},
	{"{uniqueItems: true}", "[1, 2, 1.0]", false},
	{"{pattern: ^a}", "ba", false},
	{"{pattern: a}", "ba", true},
	{"{required: [a]}", "{b: 1}", false},
	{"{required: [a]}", "[]", true},
	{"{dependentRequired: {a: [b]}}", "{a: 1}", false},
	{"{dependentRequired: {a: [b]}}", "{c: 1}", true},
	{"{properties: {a: {type: string}}}", "{a: 1}", false},
	{"{properties: {a: true}, additionalProperties: false}", "{a: 1, b: 2}", false},
	{"{properties: {a: true}, additionalProperties: {type: integer}}", "{a: x, b: 2}", true},
	{"{properties: {a: true}, additionalProperties: {type: integer}}", "{a: x, b: x}", false},
	{"{propertyNames: {pattern: ^a}}", "{ab: 1, ba: 1}", false},
	{"{items: {type: integer}}", "[1, x]", false},
	{"{oneOf: [{type: integer}, {minimum: 2}]}", "3", false},
	{"{oneOf: [{type: integer}, {minimum: 2}]}", "1", true},
	{"{anyOf: [{type: integer}, {type: string}]}", "1.5", false},
	{"{allOf: [{minimum: 1}, {maximum: 2}]}", "3", false},
	{"{not: {type: integer}}", "1", false},
	{"{$ref: '#/$defs/x', $defs: {x: {minimum: 2}}}", "1", false},
};

START_TEST(the_checker_knows_its_keywords)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		struct yaml_node *schema, *instance;
		char why[JSON_SCHEMA_WHY_MAX];
		struct error e = {0};

		ck_assert_int_eq(yaml_parse("s", rules[i].schema, strlen(rules[i].schema), &arena,
					    &schema, &e),
				 0);
		ck_assert_int_eq(yaml_parse("i", rules[i].instance, strlen(rules[i].instance),
					    &arena, &instance, &e),
				 0);
		ck_assert_msg(json_schema_valid(schema, instance, why) == rules[i].valid,
			      "%s of %s: %s", rules[i].schema, rules[i].instance, why);
	}
}
END_TEST

/* ---- scenarios ---- */

static void keeps(const struct yaml_node *schema, const char *path)
{
	expect_valid(schema, path, parse(path, YAML_FILE_MAX));
}

START_TEST(every_scenario_keeps_the_schema)
{
	const struct yaml_node *schema = schema_of("scenarios/scenario.schema.json");
	size_t count = for_each("scenarios", "", keeps, schema);

	count += for_each("tests/validation", "", keeps, schema);
	count += for_each("tests/corpus/scenario", "good_", keeps, schema);
	ck_assert_uint_gt(count, 45);
	printf("schemas: %zu scenarios keep the scenario's schema\n", count);
}
END_TEST

/*
 * Rules that no schema of one file can have: between parts of it (a name that something else
 * declares, what fits where), with the catalogue of faults and shapes, with other files, or of
 * limits of time and size that are counted.
 */
static const char *const beyond[] = {
	"all_standby",
	"backup_no_data",
	"backup_no_store",
	"backup_too_often",
	"backup_undeclared_class",
	"detector_scope_job",
	"detector_too_often",
	"detector_watchdog",
	"dist_uniform_backwards",
	"drill_day",
	"duplicate_site",
	"duration_digits",
	"duration_huge",
	"duration_thirty_years",
	"empirical_folder",
	"empirical_missing",
	"endpoint_on_standby",
	"endpoint_packing",
	"endpoint_too_many_gpus",
	"endpoint_too_many_replicas",
	"endpoint_twice",
	"endpoint_unknown_site",
	"endpoints_share_site",
	"failures_fault_typo",
	"failures_foreign_key",
	"failures_no_node",
	"failures_no_replicas",
	"failures_preset_no_gpus",
	"failures_too_many",
	"fallback_unknown",
	"fault_param_range",
	"fault_param_unit",
	"fault_typo",
	"fault_unknown",
	"fault_unknown_param",
	"frequency_absurd",
	"job_no_room",
	"job_no_store",
	"job_on_standby",
	"job_step_zero",
	"job_too_many_nodes",
	"job_twice",
	"job_unknown_site",
	"link_missing_backup",
	"link_missing_replication",
	"link_twice",
	"link_unknown_site",
	"more_racks_than_nodes",
	"params_temperature",
	"params_together",
	"process_disk_small",
	"rate_above_all",
	"recovery_no_standby",
	"replication_too_slow",
	"restore_before_serving",
	"restore_undeclared",
	"select_missing",
	"select_too_many",
	"service_class_undeclared",
	"service_command_blank",
	"service_name_of_endpoint",
	"service_name_twice",
	"service_on_standby",
	"shape_count",
	"shape_gpus_differ",
	"shape_typo",
	"shape_unknown",
	"size_two_exbibytes",
	"standby_holds_undeclared",
	"step_after_no_backup",
	"step_at_late",
	"step_at_never",
	"step_count",
	"step_every_jitter",
	"step_pulse_short",
	"step_ramp",
	"step_ramp_one",
	"step_uniform_backwards",
	"step_uniform_late",
	"step_when",
	"store_unknown_site",
	"target_backup_no_index",
	"target_backup_none",
	"target_ckpt_as_node",
	"target_data_undeclared",
	"target_endpoint_unknown",
	"target_gpu_range",
	"target_job",
	"target_job_unknown",
	"target_link_unknown",
	"target_no_links",
	"target_no_region",
	"target_no_standby",
	"target_node_range",
	"target_nothing_near",
	"target_primary_as_standby",
	"target_rack_range",
	"target_rank_range",
	"target_replica_range",
	"target_serving_as_gpu",
	"target_store_none",
	"target_unknown_region",
	"target_unknown_site",
	"target_wrong_kind",
	"too_many_nodes",
	"trace_bad_line",
	"trace_cause_typo",
	"trace_cause_unknown",
	"trace_json_as_csv",
	"trace_late",
	"trace_machines",
	"trace_no_file",
	"trace_no_system",
	"trace_too_many",
	"trace_wrong_format",
};

static bool is_beyond(const char *path)
{
	const char *name = strrchr(path, '/') + 1;

	for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++)
		if (strncmp(name, beyond[i], strlen(beyond[i])) == 0 &&
		    strcmp(name + strlen(beyond[i]), ".yaml") == 0)
			return true;
	return false;
}

static struct {
	size_t no_yaml, refused, accepted, wrong;
} tally;

static void judge(const struct yaml_node *schema, const char *path)
{
	const struct yaml_node *instance = parse(path, YAML_FILE_MAX);
	char why[JSON_SCHEMA_WHY_MAX];

	if (!instance) {
		tally.no_yaml++;
		return;
	}
	if (json_schema_valid(schema, instance, why)) {
		tally.accepted++;
		if (!is_beyond(path)) {
			printf("%s: the schema accepts it\n", path);
			tally.wrong++;
		}
		return;
	}
	tally.refused++;
	if (is_beyond(path)) {
		printf("%s: the schema refuses it after all:%s\n", path, why);
		tally.wrong++;
	}
}

START_TEST(what_is_built_wrongly_is_refused_by_the_schema_too)
{
	const struct yaml_node *schema = schema_of("scenarios/scenario.schema.json");

	for_each("tests/bad", "", judge, schema);
	printf("schemas: of %zu bad scenarios %zu are no YAML, %zu are refused by the schema, %zu "
	       "break rules beyond it\n",
	       tally.no_yaml + tally.refused + tally.accepted, tally.no_yaml, tally.refused,
	       tally.accepted);
	fflush(stdout);
	ck_assert_uint_eq(tally.wrong, 0);
	ck_assert_uint_gt(tally.refused, 200);
	ck_assert_uint_eq(tally.accepted, sizeof(beyond) / sizeof(beyond[0]));
}
END_TEST

/* ---- records ---- */

static size_t run_and_check(const struct yaml_node *schema, const char *scenario,
			    const char *const *more)
{
	const char *words[24] = {workplace_program, "run",   scenario, "--no-plots",
				 "--quiet",         "--out", "out"};
	struct spawned run;

	for (size_t i = 0; more && more[i]; i++)
		words[7 + i] = more[i];
	run = spawned_run(words);
	ck_assert_msg(run.code < 2 || run.code == 3 || run.code == 5, "%s: exit %d: %s", scenario,
		      run.code, run.err);
	expect_valid(schema, scenario, parse("out/record.json", RECORD_MAX));
	workplace_remove("out");
	spawned_free(&run);
	return 1;
}

static size_t recorded;

static void record_of(const struct yaml_node *schema, const char *path)
{
	/* 54 days of it are months of failures: their record is as any other's after a tenth. */
	static const char *const shorter[] = {"--set", "duration=2d", NULL};
	bool is_long = strstr(path, "54_days") || strstr(path, "long_run");

	recorded += run_and_check(schema, path, is_long ? shorter : NULL);
}

START_TEST(every_record_keeps_the_schema)
{
	static const char *const sham[] = {"--sham", NULL},
				 *const trials[] = {"--trials", "50", NULL},
				 *const without[] = {"--driver", "null", NULL},
				 *const stopped[] = {"--set", "abort=[{when: 'duration > 10m'}]",
						     NULL};
	const struct yaml_node *schema = schema_of("reports/record.schema.json");
	const char *one = in_root("scenarios/gpu_loss.yaml");

	for_each("scenarios", "", record_of, schema);
	recorded += run_and_check(schema, one, sham);
	recorded += run_and_check(schema, one, trials);
	recorded += run_and_check(schema, one, without);
	recorded += run_and_check(schema, one, stopped);
	/* Records kept from real drills and made by hand. */
	expect_valid(schema, "sample_injected",
		     parse(in_root("tests/golden/sample_injected/record.json"), RECORD_MAX));
	printf("schemas: %zu records keep the record's schema\n", recorded + 1);
}
END_TEST

/* What the schema is for: a record with a key of the wrong type is found. */
START_TEST(a_twisted_record_breaks_the_schema)
{
	static const struct {
		const char *from, *to;
	} twists[] = {
		{"\"kind\": \"injected\"", "\"kind\": \"real\""},
		{"\"verdict\":", "\"verdicts\":"},
		{"\"exit_code\": 0", "\"exit_code\": \"0\""},
		{"\"path\": \"failover\"", "\"path\": \"fail-over\""},
		{"\"applied\": true", "\"applied\": 1"},
	};
	const struct yaml_node *schema = schema_of("reports/record.schema.json");
	char *text = workplace_read(in_root("tests/golden/sample_injected/record.json"));

	for (size_t i = 0; i < sizeof(twists) / sizeof(twists[0]); i++) {
		const char *at = strstr(text, twists[i].from);
		struct yaml_node *root = NULL;
		char why[JSON_SCHEMA_WHY_MAX], *twisted;
		struct error e = {0};

		ck_assert_msg(at != NULL, "no %s", twists[i].from);
		twisted = arena_printf(&arena, "%.*s%s%s", (int)(at - text), text, twists[i].to,
				       at + strlen(twists[i].from));
		ck_assert_msg(yaml_parse("twisted", twisted, strlen(twisted), &arena, &root, &e) ==
				      0,
			      "%s", e.text);
		ck_assert_msg(!json_schema_valid(schema, root, why), "%s", twists[i].to);
	}
	free(text);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, TIMEOUT_S);
	tcase_add_test(tcase, test);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	add(suite, "checker", the_checker_knows_its_keywords);
	add(suite, "scenarios", every_scenario_keeps_the_schema);
	add(suite, "bad scenarios", what_is_built_wrongly_is_refused_by_the_schema_too);
	add(suite, "records", every_record_keeps_the_schema);
	add(suite, "twisted records", a_twisted_record_breaks_the_schema);
}

TEST_MAIN("schemas", add_cases)
