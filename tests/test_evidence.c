/* SPDX-License-Identifier: Apache-2.0 */
/* The evidence: the mapping of controls, the fields that it cites, which drills count, and the
 * page. */
/* valgrind: skip */
#include <cjson/cJSON.h>
#include <ctype.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/report.h"
#include "reports/day.h"
#include "reports/evidence.h"
#include "reports/json.h"
#include "tests/sample_record.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define ARGUMENTS_MAX 40
#define PATH_TEXT_MAX 256

extern char **environ;

static struct arena arena;
static struct sample sample;

static void setup(void)
{
	workplace_enter("evidence");
	arena = (struct arena){0};
}

static void teardown(void)
{
	workplace_leave();
	arena_free(&arena);
}

/* ---- the mapping ---- */

static struct controls *shipped(void)
{
	const char *path = arena_printf(&arena, "%s/reports/controls.yaml", workplace_root);
	struct controls *controls = NULL;
	struct error errors[4] = {0};
	size_t count = 0;

	ck_assert_msg(controls_load(path, &arena, &controls, errors, 4, &count) == 0, "%u:%u: %s",
		      errors[0].place.line, errors[0].place.column, errors[0].text);
	return controls;
}

/* The word that is never said, in any of its forms. */
static bool says_it(const char *text)
{
	static const char word[] = "complian";

	for (; *text; text++) {
		size_t i = 0;

		while (word[i] && tolower((unsigned char)text[i]) == word[i])
			i++;
		if (!word[i])
			return true;
	}
	return false;
}

START_TEST(the_mapping_has_every_framework)
{
	const struct controls *controls = shipped();
	size_t total = 0;

	for (size_t i = 0; i < controls->framework_count; i++) {
		const struct framework *framework = &controls->frameworks[i];

		ck_assert_ptr_nonnull(framework_names[i]);
		ck_assert_str_eq(framework->id, framework_names[i]);
		for (size_t k = 0; k < framework->control_count; k++) {
			const struct control *control = &framework->controls[k];

			ck_assert_uint_gt(control->field_count, 0);
			ck_assert_uint_gt(control->not_shown_count, 0);
			ck_assert_uint_gt(strlen(control->asks), 30);
			total++;
		}
	}
	ck_assert_ptr_null(framework_names[controls->framework_count]);
	printf("%zu controls of %zu frameworks\n", total, controls->framework_count);
}
END_TEST

START_TEST(yearly_controls_have_a_period)
{
	static const char *const yearly[][2] = {{"dora", "Art. 11(6)"},
						{"dora", "Art. 24"},
						{"dora", "RTS Art. 25"},
						{"pci-dss", "12.10.2"}};
	const struct controls *controls = shipped();
	size_t seen = 0;

	for (size_t i = 0; i < sizeof(yearly) / sizeof(yearly[0]); i++) {
		const struct framework *framework = controls_find(controls, yearly[i][0]);

		for (size_t k = 0; k < framework->control_count; k++)
			if (strcmp(framework->controls[k].id, yearly[i][1]) == 0) {
				ck_assert_uint_eq(framework->controls[k].months, 12);
				seen++;
			}
	}
	ck_assert_uint_eq(seen, sizeof(yearly) / sizeof(yearly[0]));
}
END_TEST

START_TEST(the_word_is_never_said)
{
	static const char *const files[] = {"reports/controls.yaml", "reports/evidence.c",
					    "reports/evidence_page.c", "reports/evidence_value.c",
					    "reports/command_evidence.c"};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char *text =
			workplace_read(arena_printf(&arena, "%s/%s", workplace_root, files[i]));

		ck_assert_msg(!says_it(text), "%s", files[i]);
		free(text);
	}
	ck_assert(says_it("Non-Compliant") && says_it("COMPLIANCE") && !says_it("complia"));
}
END_TEST

/* ---- the fields that it cites ---- */

static const cJSON *follow(const cJSON *schema, const cJSON *node)
{
	const cJSON *ref = cJSON_GetObjectItemCaseSensitive(node, "$ref");
	static const char begin[] = "#/$defs/";

	if (!ref)
		return node;
	ck_assert(strncmp(ref->valuestring, begin, strlen(begin)) == 0);
	return cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(schema, "$defs"),
						ref->valuestring + strlen(begin));
}

static bool in_schema(const cJSON *schema, const char *field)
{
	const cJSON *node = schema, *items;
	char key[PATH_TEXT_MAX];

	while (node && *field) {
		size_t length = strcspn(field, ".");

		snprintf(key, sizeof(key), "%.*s", (int)length, field);
		node = follow(schema, node);
		while ((items = cJSON_GetObjectItemCaseSensitive(node, "items")) != NULL)
			node = follow(schema, items);
		node = cJSON_GetObjectItemCaseSensitive(
			cJSON_GetObjectItemCaseSensitive(node, "properties"), key);
		field += length + (field[length] == '.');
	}
	return node != NULL;
}

static cJSON *read_json(const char *path)
{
	char *text = workplace_read(path);
	cJSON *json = cJSON_Parse(text);

	ck_assert_msg(json != NULL, "%s", path);
	free(text);
	return json;
}

START_TEST(every_field_is_in_the_schema)
{
	const struct controls *controls = shipped();
	cJSON *schema =
		read_json(arena_printf(&arena, "%s/reports/record.schema.json", workplace_root));

	ck_assert(!in_schema(schema, "drill.plan.owner") && !in_schema(schema, "integrity.x"));
	for (size_t i = 0; i < controls->framework_count; i++)
		for (size_t k = 0; k < controls->frameworks[i].control_count; k++) {
			const struct control *control = &controls->frameworks[i].controls[k];

			for (size_t f = 0; f < control->field_count; f++)
				ck_assert_msg(in_schema(schema, control->fields[f]),
					      "%s %s cites %s", controls->frameworks[i].id,
					      control->id, control->fields[f]);
		}
	cJSON_Delete(schema);
}
END_TEST

/* ---- the program ---- */

struct result {
	int code;
	char *out, *err;
};

/* Runs drsim with the words of `line`; a word may hold no space. */
static struct result run(const char *format, ...) __attribute__((format(printf, 1, 2)));

static struct result run(const char *format, ...)
{
	char line[16384], *argv[ARGUMENTS_MAX] = {workplace_program}, *rest = line, *word;
	posix_spawn_file_actions_t actions;
	struct result result = {0};
	size_t count = 1;
	va_list arguments;
	int status;
	pid_t pid;

	va_start(arguments, format);
	ck_assert_int_lt(vsnprintf(line, sizeof(line), format, arguments), (int)sizeof(line));
	va_end(arguments);
	while ((word = strsep(&rest, " ")) != NULL) {
		ck_assert_uint_lt(count + 1, ARGUMENTS_MAX);
		argv[count++] = word;
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, ".out", O_WRONLY | O_CREAT | O_TRUNC, 0666);
	posix_spawn_file_actions_addopen(&actions, 2, ".err", O_WRONLY | O_CREAT | O_TRUNC, 0666);
	ck_assert_int_eq(posix_spawn(&pid, workplace_program, &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	result.code = WEXITSTATUS(status);
	result.out = workplace_read(".out");
	result.err = workplace_read(".err");
	return result;
}

static void drop(struct result *result)
{
	free(result->out);
	free(result->err);
}

static void run_well(const char *line)
{
	struct result result = run("%s", line);

	ck_assert_msg(result.code == 0, "drsim %s: %d\n%s", line, result.code, result.err);
	drop(&result);
}

static void ignore(void *self, const cJSON *value)
{
	(void)self;
	(void)value;
}

/* The shipped scenario with everything that a person may supply. */
START_TEST(every_field_is_in_a_real_record)
{
	const struct controls *controls = shipped();
	cJSON *record;

	run_well(arena_printf(&arena,
			      "run %s/scenarios/%s.yaml --quiet --no-plots --out run --set "
			      "drill.signoff=[{\"name\":\"A\",\"at\":\"2027-01-01\"}]",
			      workplace_root, _i == 0 ? "finance_fraud" : "medical_diagnosis"));
	record = read_json("run/record.json");
	for (size_t i = 0; i < controls->framework_count; i++)
		for (size_t k = 0; k < controls->frameworks[i].control_count; k++) {
			const struct control *control = &controls->frameworks[i].controls[k];

			for (size_t f = 0; f < control->field_count; f++)
				ck_assert_msg(controls_values(record, control->fields[f], ignore,
							      NULL) > 0,
					      "%s %s cites %s", controls->frameworks[i].id,
					      control->id, control->fields[f]);
		}
	cJSON_Delete(record);
}
END_TEST

/* ---- what a drill knows of itself ---- */

static const cJSON *at(const cJSON *item, const char *path)
{
	while (item && *path) {
		char key[64];
		size_t length = strcspn(path, "/");

		snprintf(key, sizeof(key), "%.*s", (int)length, path);
		item = cJSON_IsArray(item) ? cJSON_GetArrayItem(item, key[0] - '0')
					   : cJSON_GetObjectItemCaseSensitive(item, key);
		path += length + (path[length] == '/');
	}
	return item;
}

static double number_at(const cJSON *record, const char *path)
{
	const cJSON *item = at(record, path);

	ck_assert_msg(cJSON_IsNumber(item), "%s", path);
	return item->valuedouble;
}

static const char *text_at(const cJSON *record, const char *path)
{
	const cJSON *item = at(record, path);

	ck_assert_msg(cJSON_IsString(item), "%s", path);
	return item->valuestring;
}

START_TEST(a_failover_says_what_it_came_back_from)
{
	const cJSON *moment;
	double last = 0;
	cJSON *record;

	run_well(arena_printf(&arena, "run %s/scenarios/gpu_loss.yaml --quiet --no-plots --out run",
			      workplace_root));
	record = read_json("run/record.json");
	ck_assert_str_eq(text_at(record, "backup/source"), "backup");
	ck_assert_str_eq(text_at(record, "backup/by_class/model/source"), "replica");
	ck_assert(cJSON_IsNull(at(record, "backup/by_class/model/id")));
	ck_assert(cJSON_IsTrue(at(record, "backup/verified")));
	ck_assert(number_at(record, "backup/id") > 0);
	ck_assert(number_at(record, "backup/consistent_as_of_ns") ==
		  number_at(record, "incidents/0/t_bp_ns"));
	ck_assert(cJSON_IsTrue(at(record, "failback/done")));
	ck_assert_double_eq_tol(number_at(record, "failback/sustained_s"),
				(number_at(record, "incidents/0/t_failback_ns") -
				 number_at(record, "incidents/0/t_restored_ns")) /
					1e9,
				1e-6);
	ck_assert_double_eq_tol(number_at(record, "failback/duration_s"),
				(number_at(record, "incidents/0/t_failback_ns") -
				 number_at(record, "incidents/0/t_repaired_ns")) /
					1e9,
				1e-6);
	ck_assert_int_ge(cJSON_GetArraySize(at(record, "timeline")), 12);
	cJSON_ArrayForEach (moment, at(record, "timeline")) {
		ck_assert(number_at(moment, "t_ns") >= last);
		last = number_at(moment, "t_ns");
	}
	/* Nothing of a model was compared, and virtual time has no date. */
	ck_assert(cJSON_IsNull(at(record, "integrity/mismatch")));
	ck_assert(cJSON_IsNull(at(record, "clock/anchor")));
	ck_assert_str_eq(text_at(record, "clock/name"), "virtual");
	ck_assert_str_eq(text_at(record, "drill/environment/dr_site/0"), "backup");
	ck_assert(cJSON_IsNull(at(record, "drill/environment/segregated")));
	ck_assert_str_eq(text_at(record, "findings/0/id"), "F1");
	ck_assert(!at(record, "drill/approved_by"));
	cJSON_Delete(record);
}
END_TEST

START_TEST(without_a_failover_nothing_was_restored)
{
	static const char *const nulls[] = {"backup/id",           "backup/source",
					    "backup/verified",     "backup/consistent_as_of_ns",
					    "failback/done",       "failback/duration_s",
					    "failback/sustained_s"};
	cJSON *record;

	run_well(arena_printf(&arena,
			      "run %s/scenarios/gpu_loss.yaml --quiet --no-plots --out run --sham",
			      workplace_root));
	record = read_json("run/record.json");
	for (size_t i = 0; i < sizeof(nulls) / sizeof(nulls[0]); i++)
		ck_assert_msg(cJSON_IsNull(at(record, nulls[i])), "%s", nulls[i]);
	ck_assert_int_eq(cJSON_GetArraySize(at(record, "timeline")), 2);
	cJSON_Delete(record);
}
END_TEST

/* ---- records of drills that were never run ---- */

static const char everything[] =
	"{\"purpose\":\"test\",\"plan\":{\"id\":\"DR-7\",\"version\":3},"
	"\"scope\":{\"systems\":[\"chat\"],\"functions\":[\"answers\"]},"
	"\"scenario\":{\"severity\":\"severe\",\"assumptions\":[\"staff on call\"]},"
	"\"schedule\":{\"due\":\"2026-03-31\",\"last_run\":\"2025-03-29\"},"
	"\"participants\":[{\"role\":\"audit\",\"independent\":true}],"
	"\"deviations\":[],\"controls\":[\"dora\"],"
	"\"signoff\":[{\"name\":\"A\",\"at\":\"2025-01-01\"}]}";

/* A drill in the folder of this name. */
static void make_drill(const char *folder, const char *kind, const char *started)
{
	struct error e = {0};

	sample.record.kind = kind;
	sample.record.started = started;
	sample.record.id = arena_printf(&arena, "drill-%s", folder);
	sample.scenario.drill_json = everything;
	ck_assert_int_eq(mkdir(folder, 0755), 0);
	ck_assert_msg(report_write_record(&sample.record,
					  arena_printf(&arena, "%s/record.json", folder), &e) == 0,
		      "%s", e.text);
}

static void sample_injected(void)
{
	sample_failover(&sample);
	sample.fault.fidelity = FIDELITY_REAL;
	sample.measured =
		(struct measured){.ledger_known = true,
				  .ledger = {.written = 1000, .read_back = 900, .stale = 2},
				  .isolation = "namespaces",
				  .kernel = "Linux"};
	sample.record.measured = &sample.measured;
	sample.incident.restored[DATA_IO] =
		(struct restored){.known = true, .backup = 3, .verified = true, .as_of = 5};
}

static struct evidence load(const char *framework, const char *const *folders, const char *today)
{
	const struct controls *controls = shipped();
	struct evidence evidence = {.controls = controls,
				    .framework = controls_find(controls, framework)};
	struct error e = {0};

	ck_assert_ptr_nonnull(evidence.framework);
	ck_assert(day_parse(today, &evidence.today));
	evidence.drills = arena_array(&arena, 8, sizeof(*evidence.drills));
	for (; folders[evidence.drill_count]; evidence.drill_count++) {
		struct evidence_drill *drill = &evidence.drills[evidence.drill_count];
		cJSON *record;

		ck_assert_msg(report_load_record(folders[evidence.drill_count], &record, &e) == 0,
			      "%s", e.text);
		drill->folder = folders[evidence.drill_count];
		drill->record = record;
	}
	evidence_sort(&evidence);
	return evidence;
}

static void unload(struct evidence *evidence)
{
	for (size_t i = 0; i < evidence->drill_count; i++)
		cJSON_Delete((cJSON *)(uintptr_t)evidence->drills[i].record);
}

static const struct {
	const char *kind, *started;
	enum verdict verdict;
	bool sham;
	enum standing standing;
} standings[] = {
	{"injected", "2026-01-31T10:00:00Z", VERDICT_PASSED, false, STANDING_COUNTS},
	{"injected", "2026-01-31T10:00:00Z", VERDICT_FAILED, false, STANDING_COUNTS},
	{"simulated", "2026-01-31T10:00:00Z", VERDICT_PASSED, false, STANDING_SIMULATED},
	{"simulated", "2026-01-31T10:00:00Z", VERDICT_ABORTED, true, STANDING_SIMULATED},
	{"injected", "2026-01-31T10:00:00Z", VERDICT_PASSED, true, STANDING_SHAM},
	{"injected", "2026-01-31T10:00:00Z", VERDICT_INVALID, false, STANDING_INVALID},
	{"injected", "2026-01-31T10:00:00Z", VERDICT_ABORTED, false, STANDING_ABORTED},
	{"injected", "2026-01-31T10:00:00Z", VERDICT_RESIDUE, false, STANDING_RESIDUE},
	{"injected", "yesterday", VERDICT_PASSED, false, STANDING_UNDATED},
	{"injected", "2026-12-31T23:59:59Z", VERDICT_PASSED, false, STANDING_COUNTS},
	{"injected", "2027-01-01T00:00:00Z", VERDICT_PASSED, false, STANDING_LATER},
};

START_TEST(only_a_real_test_counts)
{
	static const char *const folders[] = {"one", NULL};
	struct evidence evidence;

	sample_injected();
	sample.record.verdict = standings[_i].verdict;
	sample.record.sham = standings[_i].sham;
	make_drill("one", standings[_i].kind, standings[_i].started);
	evidence = load("dora", folders, "2026-12-31");
	ck_assert_int_eq(evidence.drills[0].standing, standings[_i].standing);
	ck_assert_uint_gt(strlen(evidence_standing_text(standings[_i].standing)), 5);
	ck_assert_uint_eq(evidence_state(&evidence, &evidence.framework->controls[0]).counted,
			  standings[_i].standing == STANDING_COUNTS);
	unload(&evidence);
}
END_TEST

/* ---- due and done ---- */

START_TEST(days_are_those_of_the_calendar)
{
	static const struct {
		const char *from, *to;
		uint32_t months;
	} steps[] = {
		{"2026-01-31", "2026-02-28", 1},  {"2024-01-31", "2024-02-29", 1},
		{"2024-02-29", "2025-02-28", 12}, {"2026-12-31", "2027-12-31", 12},
		{"2026-11-30", "2027-02-28", 3},  {"1999-12-31", "2000-02-29", 2},
	};
	char text[DAY_TEXT_MAX];
	int32_t day, last;

	ck_assert(day_parse("1970-01-01", &day) && day == 0);
	ck_assert(day_parse("2026-11-24T01:02:03Z", &day) && day == 20781);
	ck_assert(!day_parse("2026-02-29", &day) && !day_parse("2026-13-01", &day));
	ck_assert(!day_parse("2026-1-1", &day) && !day_parse("", &day) && !day_parse(NULL, &day));
	ck_assert(!day_parse("2026-01-01x", &day) && !day_parse("1969-12-31", &day));
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		ck_assert(day_parse(steps[i].from, &day));
		ck_assert_str_eq(day_text(text, day_add_months(day, steps[i].months)), steps[i].to);
	}
	/* Every day of four hundred years has a name, and is what its name says. */
	ck_assert(day_parse("2399-12-31", &last));
	for (int32_t i = 0; i <= last; i++)
		ck_assert(day_parse(day_text(text, i), &day) && day == i);
}
END_TEST

START_TEST(a_year_ends_on_its_last_day)
{
	static const char *const folders[] = {"late", "early", "model", NULL};
	struct evidence evidence;
	struct control_state state;
	char text[DAY_TEXT_MAX];

	sample_injected();
	make_drill("late", "injected", "2026-03-29T10:00:00Z");
	make_drill("early", "injected", "2025-03-01T10:00:00Z");
	make_drill("model", "simulated", "2027-01-01T10:00:00Z");
	evidence = load("dora", folders, "2027-03-29");
	ck_assert_str_eq(evidence.drills[0].folder, "early");
	state = evidence_state(&evidence, &evidence.framework->controls[0]);
	ck_assert_uint_eq(state.counted, 2);
	ck_assert_uint_eq(state.in_period, 1);
	ck_assert(!state.overdue);
	ck_assert_str_eq(day_text(text, state.last), "2026-03-29");
	ck_assert_str_eq(day_text(text, state.due), "2027-03-29");
	evidence.today++;
	state = evidence_state(&evidence, &evidence.framework->controls[0]);
	ck_assert(state.overdue && state.in_period == 0 && state.counted == 2);
	unload(&evidence);
}
END_TEST

/* ---- the page ---- */

static char *page_of(const struct evidence *evidence)
{
	char *text = NULL;
	size_t size = 0;
	FILE *page = open_memstream(&text, &size);

	evidence_page(page, evidence);
	ck_assert_int_eq(fclose(page), 0);
	return text;
}

static size_t count(const char *text, const char *word)
{
	size_t n = 0;

	for (; (text = strstr(text, word)) != NULL; text += strlen(word))
		n++;
	return n;
}

START_TEST(the_page_shows_values_and_what_is_missing)
{
	static const char *const folders[] = {"real", NULL};
	static const char *const shown[] = {
		"1 counts as a test",
		"provides evidence for",
		"DORA, Regulation (EU) 2022/2554",
		"Every 12 months.",
		"Done <span class=\"w\">2026-03-29</span>.",
		"Due again by <span class=\"w\">2027-03-29</span>.",
		"2026-03-31</span><br><small><span class=\"good\">in time",
		">drill.<wbr>scenario.<wbr>assumptions</th><td>staff on call</td>",
		"integrity.<wbr>sampled</th><td><data value=\"900\" title=\"900\">900</data></td>",
		"integrity.<wbr>mismatch</th><td><data value=\"2\" title=\"2\">2</data></td>",
		"fidelity real, took effect, reverted",
		" of at most <data value=\"300\" title=\"300 s\">5 min</data>",
		"<span class=\"key\">drill.scope.third_parties</span>: no drill that counts has",
		"<span class=\"key\">drill.signoff</span>: no drill that counts has",
		"Crisis communication plans.",
	};
	struct evidence evidence;
	char *text;

	sample_injected();
	make_drill("real", "injected", "2026-03-29T10:00:00Z");
	evidence = load("dora", folders, "2026-11-24");
	text = page_of(&evidence);
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		ck_assert_msg(strstr(text, shown[i]) != NULL, "%s", shown[i]);
	ck_assert(!says_it(text));
	ck_assert_ptr_null(strstr(text, "<script"));
	ck_assert_ptr_null(strstr(text, "http://"));
	ck_assert_ptr_null(strstr(text, "SIMULATED"));
	free(text);
	unload(&evidence);
}
END_TEST

/* Each row of the table of drills, each group of rows, and each row within. */
START_TEST(a_simulated_drill_is_marked_in_every_row)
{
	static const char *const folders[] = {"model", NULL};
	struct evidence evidence;
	size_t rows;
	char *text;

	sample_injected();
	make_drill("model", "simulated", "2026-03-29T10:00:00Z");
	evidence = load("iso22301", folders, "2026-11-24");
	text = page_of(&evidence);
	rows = count(text, "<th scope=\"row\" class=\"key\">drill.") +
	       count(text, "<th scope=\"row\" class=\"key\">timeline") +
	       count(text, "<th scope=\"row\" class=\"key\">metrics.") +
	       count(text, "<th scope=\"row\" class=\"key\">objectives") +
	       count(text, "<th scope=\"row\" class=\"key\">findings");
	ck_assert_uint_gt(rows, 10);
	ck_assert_uint_eq(count(text, "<td><span class=\"tag kind\">SIMULATED</span>"), rows);
	ck_assert_uint_eq(count(text, ">SIMULATED</span>\ngpu_loss"), count(text, "gpu_loss<br>"));
	ck_assert_uint_eq(count(text, "gpu_loss<br>"), 3);
	ck_assert_ptr_null(strstr(text, "INJECTED"));
	ck_assert_ptr_nonnull(strstr(text, "None of these drills is a test"));
	ck_assert_ptr_nonnull(strstr(text, "<td>0 of "));
	ck_assert_ptr_nonnull(strstr(text, "not done by this drill"));
	ck_assert_ptr_nonnull(strstr(text, "Anything about a real system"));
	free(text);
	unload(&evidence);
}
END_TEST

START_TEST(other_drills_are_listed_as_what_they_are)
{
	static const char *const folders[] = {"a", "b", "c", NULL};
	struct evidence evidence;
	char *text;

	sample_injected();
	sample.record.verdict = VERDICT_ABORTED;
	make_drill("a", "injected", "2026-01-01T10:00:00Z");
	sample.record.verdict = VERDICT_INVALID;
	make_drill("b", "injected", "2026-01-02T10:00:00Z");
	sample.record.verdict = VERDICT_PASSED;
	sample.record.sham = true;
	make_drill("c", "injected", "2026-01-03T10:00:00Z");
	evidence = load("soc2", folders, "2026-11-24");
	text = page_of(&evidence);
	ck_assert_ptr_nonnull(strstr(text, "aborted; aborted: no test"));
	ck_assert_ptr_nonnull(strstr(text, "invalid; not evaluable: no test"));
	ck_assert_ptr_nonnull(strstr(text, ">SHAM</span>\ngpu_loss"));
	ck_assert_ptr_nonnull(strstr(text, "3 injected ones do not"));
	ck_assert_ptr_null(strstr(text, "counts as a test."));
	free(text);
	unload(&evidence);
}
END_TEST

START_TEST(hostile_texts_stay_texts)
{
	static const char *const folders[] = {"<b>&", NULL};
	struct evidence evidence;
	char *text;

	sample_injected();
	sample.scenario.name = sample.fault.name = sample.fault.target =
		"</td><script>alert(1)</script>\"'&";
	make_drill("<b>&", "injected", "2026-03-29T10:00:00Z");
	evidence = load("ffiec", folders, "2026-11-24");
	text = page_of(&evidence);
	ck_assert_ptr_null(strstr(text, "<script"));
	ck_assert_ptr_null(strstr(text, "<b>&"));
	ck_assert_ptr_nonnull(strstr(text, "&lt;script&gt;"));
	ck_assert_ptr_nonnull(strstr(text, "&lt;b&gt;&amp;</span>/<wbr>record.json"));
	free(text);
	unload(&evidence);
}
END_TEST

/* Lists of several items, of which some, or all, have none; and the same value in a row. */
START_TEST(what_says_nothing_new_is_counted)
{
	static const char *const rows[][2] = {
		{"[{\"residue\":[]},{\"residue\":[]}]", "none"},
		{"[{\"residue\":[\"a\"]},{\"residue\":[]}]", "a<br>and none 1 time"},
		{"[{\"residue\":[]},{\"residue\":[\"a\",\"b\"]},{\"residue\":[]}]",
		 "a<br>b<br>and none 2 times"},
		{"[{\"residue\":[\"a\"]}]", "a"},
		{"[{\"residue\":[\"a\",\"a\",\"b\"]},{\"residue\":[\"b\",\"b\",\"a\"]}]",
		 "a (2 times)<br>b (3 times)<br>a"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cJSON *record = cJSON_CreateObject();
		char *text = NULL;
		size_t size;
		FILE *page = open_memstream(&text, &size);

		ck_assert_ptr_nonnull(page);
		cJSON_AddItemToObject(record, "faults", cJSON_Parse(rows[i][0]));
		evidence_value(page, record, "faults.residue");
		fclose(page);
		ck_assert_str_eq(text, rows[i][1]);
		free(text);
		cJSON_Delete(record);
	}
}
END_TEST

START_TEST(a_sign_off_comes_after_the_drill)
{
	static const char before[] = "{\"signoff\":[{\"name\":\"A\",\"at\":\"2026-03-28\"}]}";
	static const char after[] = "{\"signoff\":[{\"name\":\"A\",\"at\":\"2026-03-29\"}]}";
	cJSON *record = cJSON_Parse("{\"drill\":{\"started\":\"2026-03-29T10:00:00Z\"}}");

	for (int i = 0; i < 2; i++) {
		cJSON *drill = cJSON_Parse(i ? after : before);

		cJSON_AddStringToObject(drill, "started", "2026-03-29T10:00:00Z");
		cJSON_ReplaceItemInObjectCaseSensitive(record, "drill", drill);
		ck_assert_int_eq(evidence_shows(record, "drill.signoff"), i);
	}
	cJSON_Delete(record);
}
END_TEST

/* ---- the command ---- */

static void expect_refusal(int code, const char *said, const char *line)
{
	struct result result = run("%s", line);

	ck_assert_msg(result.code == code, "drsim %s: %d\n%s", line, result.code, result.err);
	ck_assert_msg(strstr(result.err, said) != NULL, "drsim %s said\n%s", line, result.err);
	ck_assert_str_eq(result.out, "");
	drop(&result);
}

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
}

START_TEST(the_command_says_what_is_wrong)
{
	struct stat status;

	sample_injected();
	make_drill("one", "injected", "2026-03-29T10:00:00Z");
	make_drill("signed", "injected", "2026-03-30T10:00:00Z");
	write_text("signed/attestation.intoto.jsonl", "{}\n");
	ck_assert_int_eq(mkdir("bad", 0755), 0);
	write_text("bad/record.json", "{\"schema\":\"drsim/record/v1\"}");
	expect_refusal(2, "say for which framework: --framework soc2, iso22301",
		       "evidence one -o e.html");
	expect_refusal(2, "unknown framework 'dore'; did you mean 'dora'?",
		       "evidence one --framework dore -o e.html");
	expect_refusal(2, "unknown framework 'gdpr'; there are soc2,",
		       "evidence one --framework gdpr -o e.html");
	expect_refusal(2, "--out FILE", "evidence one --framework dora");
	expect_refusal(2, "drsim evidence needs RUN_DIR...", "evidence --framework dora -o e.html");
	expect_refusal(2, "'none' is no run folder",
		       "evidence one none --framework dora -o e.html");
	expect_refusal(2, "one and one are records of the same drill",
		       "evidence one one --framework dora -o e.html");
	expect_refusal(2, "--as-of needs a day such as 2026-03-31, not '2026-02-30'",
		       "evidence one --framework dora -o e.html --as-of 2026-02-30");
	expect_refusal(2, "would lie in a signed run folder",
		       "evidence one --framework dora -o signed/e.html");
	expect_refusal(2, "is no regular file", "evidence one --framework dora -o bad");
	expect_refusal(3, "'drill.id' is missing", "evidence one bad --framework dora -o e.html");
	expect_refusal(3, "nowhere/e.html", "evidence one --framework dora -o nowhere/e.html");
	ck_assert_int_ne(stat("e.html", &status), 0);
}
END_TEST

START_TEST(the_command_writes_a_page)
{
	struct result result;
	char *text;

	sample_injected();
	make_drill("one", "injected", "2026-03-29T10:00:00Z");
	make_drill("two", "simulated", "2026-03-30T10:00:00Z");
	write_text("e.html", "old");
	result = run("evidence one two --framework dora -o e.html --as-of 2026-11-24");
	ck_assert_msg(result.code == 0, "%s", result.err);
	ck_assert_str_eq(result.err, "");
	ck_assert_ptr_nonnull(strstr(result.out, "2 drills: 1 counts as a test, 1 simulated, 0 "));
	ck_assert_ptr_nonnull(strstr(result.out, "9 controls, of 0 of them a test is due"));
	ck_assert(!says_it(result.out));
	drop(&result);
	text = workplace_read("e.html");
	ck_assert_ptr_nonnull(strstr(text, "</html>"));
	free(text);
	/* The order of the folders does not matter. */
	run_well("evidence two one --framework dora -o f.html --as-of 2026-11-24 --quiet");
	result = run("help evidence");
	ck_assert(result.code == 0 && !says_it(result.out));
	drop(&result);
	for (size_t i = 0; framework_names[i]; i++) {
		run_well(arena_printf(&arena, "evidence one --framework %s -o %s.html --quiet",
				      framework_names[i], framework_names[i]));
		text = workplace_read(arena_printf(&arena, "%s.html", framework_names[i]));
		ck_assert(strstr(text, "</html>") && !says_it(text));
		free(text);
	}
}
END_TEST

static const struct {
	const char *line, *said;
} mappings[] = {
	{"    - {id: A, title: b, asks: c, fields: [drill.id], not_shown: [d], perod: 1 month}",
	 "m.yaml:7:70: error: unknown key 'perod' in a control; did you mean 'period'?"},
	{"    - {id: A, title: b, asks: c, fields: [drill..id], not_shown: [d]}",
	 "m.yaml:7:43: error: a field is a path of keys"},
	{"    - {id: A, title: b, asks: c, fields: [], not_shown: [d]}",
	 "m.yaml:7:42: error: 'fields' is empty"},
	{"    - {id: A, title: b, asks: c, fields: [drill.id], not_shown: [d], period: yearly}",
	 "m.yaml:7:78: error: a period is written like 12 months"},
	{"    - {id: A, title: b, asks: c, fields: [drill.id], not_shown: [d], period: 0 months}",
	 "m.yaml:7:78: error: a period is written like 12 months"},
	{"    - {id: A, title: b, asks: c, fields: drill.id, not_shown: [d]}",
	 "m.yaml:7:42: error: 'fields' must be a list, not a single value"},
	{"    - {id: A, title: b, asks: c, fields: [drill.id]}",
	 "m.yaml:7:7: error: a control needs"},
	{"    - {id: A, title: b, asks: c, fields: [a], not_shown: [d]}\n"
	 "    - {id: A, title: b, asks: c, fields: [a], not_shown: [d]}",
	 "m.yaml:8:7: error: the control 'A' is there twice"},
};

START_TEST(a_mapping_of_ones_own_is_checked)
{
	static const char head[] = "apiVersion: drsim/controls/v1\n"
				   "# ours\n"
				   "frameworks:\n"
				   "  - id: ours\n"
				   "    title: Ours\n"
				   "    controls:\n";
	char *text;

	sample_injected();
	make_drill("one", "injected", "2026-03-29T10:00:00Z");
	for (size_t i = 0; i < sizeof(mappings) / sizeof(mappings[0]); i++) {
		write_text("m.yaml", arena_printf(&arena, "%s%s\n", head, mappings[i].line));
		expect_refusal(2, mappings[i].said,
			       "evidence one --controls m.yaml --framework ours -o e.html");
	}
	write_text("m.yaml",
		   arena_printf(&arena, "%s%s\n", head,
				"    - {id: A, title: b, asks: c, fields: [drill.id, no.such], "
				"not_shown: [d]}"));
	run_well("evidence one --controls m.yaml --framework ours -o e.html --quiet");
	text = workplace_read("e.html");
	ck_assert_ptr_nonnull(strstr(text, "drill.<wbr>id</th><td>drill-one</td>"));
	ck_assert_ptr_nonnull(strstr(text, "no.such</span>: no drill that counts"));
	free(text);
}
END_TEST

/* A year of nights. */
START_TEST(many_drills_make_one_page)
{
	enum {
		NIGHTS = 366
	};
	static const char *const words[] = {"evidence", "--framework", "dora",
					    "-o",       "year.html",   "--quiet"};
	char *argv[NIGHTS + 8] = {workplace_program};
	char day[DAY_TEXT_MAX];
	struct stat status;
	int32_t first;
	pid_t pid;
	int ended;

	sample_injected();
	ck_assert(day_parse("2025-11-01", &first));
	for (size_t i = 0; i < 6; i++)
		argv[1 + i] = arena_strdup(&arena, words[i]);
	for (int i = 0; i < NIGHTS; i++) {
		char *folder = arena_printf(&arena, "night-%d", i);

		argv[7 + i] = folder;
		make_drill(folder, i % 30 == 0 ? "injected" : "simulated",
			   arena_printf(&arena, "%sT02:00:00Z", day_text(day, first + i)));
	}
	ck_assert_int_eq(posix_spawn(&pid, workplace_program, NULL, NULL, argv, environ), 0);
	ck_assert_int_eq(waitpid(pid, &ended, 0), pid);
	ck_assert(WIFEXITED(ended) && WEXITSTATUS(ended) == 0);
	ck_assert_int_eq(stat("year.html", &status), 0);
	ck_assert_int_lt(status.st_size, 5 << 20);
	printf("%d drills: a page of %ld kB\n", NIGHTS, (long)status.st_size / 1000);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test, int times)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test, 0, times);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	add(suite, "mapping: frameworks", the_mapping_has_every_framework, 1);
	add(suite, "mapping: periods", yearly_controls_have_a_period, 1);
	add(suite, "mapping: own", a_mapping_of_ones_own_is_checked, 1);
	add(suite, "word", the_word_is_never_said, 1);
	add(suite, "fields: schema", every_field_is_in_the_schema, 1);
	add(suite, "fields: record", every_field_is_in_a_real_record, 2);
	add(suite, "record: failover", a_failover_says_what_it_came_back_from, 1);
	add(suite, "record: none", without_a_failover_nothing_was_restored, 1);
	add(suite, "standing", only_a_real_test_counts,
	    (int)(sizeof(standings) / sizeof(standings[0])));
	add(suite, "days", days_are_those_of_the_calendar, 1);
	add(suite, "due", a_year_ends_on_its_last_day, 1);
	add(suite, "page: values", the_page_shows_values_and_what_is_missing, 1);
	add(suite, "page: simulated", a_simulated_drill_is_marked_in_every_row, 1);
	add(suite, "page: others", other_drills_are_listed_as_what_they_are, 1);
	add(suite, "page: hostile", hostile_texts_stay_texts, 1);
	add(suite, "lists", what_says_nothing_new_is_counted, 1);
	add(suite, "sign-off", a_sign_off_comes_after_the_drill, 1);
	add(suite, "command: refusals", the_command_says_what_is_wrong, 1);
	add(suite, "command: page", the_command_writes_a_page, 1);
	add(suite, "command: year", many_drills_make_one_page, 1);
}

TEST_MAIN("evidence", add_cases)
