/* SPDX-License-Identifier: Apache-2.0 */
/* The shipped scenarios and all faults, run as a user runs them, and recomputed from the events. */
/* valgrind: skip */
#include <cjson/cJSON.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/spawn.h"
#include "tests/test.h"

#define MARK_COUNT 15
#define INCIDENTS 4096
#define NEVER INT64_MAX

/* The test's own list: it must not share the code that it checks. */
static const char *const names[MARK_COUNT] = {
	"t_fault",      "t_detect",        "t_decide",   "t_switch_begin", "t_switched",
	"t_data_begin", "t_data_restored", "t_restored", "t_verified",     "t_diagnosed",
	"t_repaired",   "t_failback",      "t_normal",   "t_loss",         "t_bp",
};
enum {
	FAULT,
	DETECT,
	DECIDE,
	SWITCH_BEGIN,
	SWITCHED,
	DATA_BEGIN,
	DATA_RESTORED,
	RESTORED,
	VERIFIED,
	DIAGNOSED,
	REPAIRED,
	FAILBACK,
	NORMAL,
	LOSS,
	BP
};

struct marks {
	int64_t at[MARK_COUNT];
	char path[32];
};

static char folder[] = "/tmp/drsim-shipped-XXXXXX";
static struct marks incidents[INCIDENTS];
static size_t incident_count;

static void setup(void)
{
	memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static const char *in_folder(const char *name)
{
	static char paths[4][256];
	static int turn;

	turn = (turn + 1) % 4;
	snprintf(paths[turn], sizeof(paths[turn]), "%s/%s", folder, name);
	return paths[turn];
}

static void remove_tree(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char child[512];

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(child, sizeof(child), "%.200s/%.200s", path, entry->d_name);
		if (unlink(child))
			remove_tree(child);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

static void teardown(void)
{
	remove_tree(folder);
}

static char *slurp(const char *path)
{
	FILE *file = fopen(path, "r");
	size_t size = 0, capacity = 1 << 16, got;
	char *text = malloc(capacity);

	ck_assert_msg(file != NULL, "%s cannot be read", path);
	while ((got = fread(text + size, 1, capacity - size - 1, file)) > 0) {
		size += got;
		if (capacity - size < 2)
			text = realloc(text, capacity *= 2);
	}
	fclose(file);
	text[size] = '\0';
	return text;
}

/* Run `scenario` with up to six more words into the folder `out`; the exit status. */
static int run(const char *scenario, const char *out, const char *const *more)
{
	const char *arguments[SPAWN_ARGS_MAX + 1] = {"run",        scenario, "--quiet",
						     "--no-plots", "--out",  in_folder(out)};
	size_t count = 6;

	while (more && *more)
		arguments[count++] = *more++;
	arguments[count] = NULL;
	return spawn_drsim(arguments, in_folder("log.txt"));
}

/* ---- the events, read by the rules of core/timeline.h ---- */

static int mark_number(const char *name)
{
	for (int i = 0; i < MARK_COUNT; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	ck_abort_msg("unknown mark %s", name);
	return -1;
}

/* Integers beyond 2^53 would lose digits as a JSON number: they are taken from the text. */
static int64_t integer(const char *line, const char *key)
{
	char pattern[64];

	snprintf(pattern, sizeof(pattern), "\"%s\":", key);
	const char *at = strstr(line, pattern);
	ck_assert_msg(at != NULL, "no %s in %s", key, line);
	at += strlen(pattern);
	return strncmp(at, "null", 4) == 0 ? NEVER : strtoll(at, NULL, 10);
}

static void take_mark(const char *line, const cJSON *event)
{
	int64_t incident = integer(line, "incident"), at = integer(line, "at_ns");
	int mark = mark_number(cJSON_GetObjectItem(event, "mark")->valuestring);
	struct marks *marks = &incidents[incident];

	ck_assert_uint_lt((size_t)incident, incident_count);
	ck_assert(at == NEVER || at <= integer(line, "t_ns"));
	if (mark <= DECIDE && marks->at[mark] != NEVER)
		return; /* the first counts */
	marks->at[mark] = at;
}

static void read_events(const char *path)
{
	char *text = slurp(path), *line = text, *end;
	int64_t seq = 0, last = 0;

	incident_count = 0;
	for (; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		cJSON *event = cJSON_Parse(line);
		ck_assert_msg(event != NULL, "not JSON: %s", line);
		const char *type = cJSON_GetObjectItem(event, "event")->valuestring;

		ck_assert_int_eq(integer(line, "seq"), seq++);
		ck_assert_int_ge(integer(line, "t_ns"), last);
		last = integer(line, "t_ns");
		if (strcmp(type, "incident.open") == 0) {
			ck_assert_uint_lt(incident_count, INCIDENTS);
			for (int i = 0; i < MARK_COUNT; i++)
				incidents[incident_count].at[i] = NEVER;
			incidents[incident_count++].path[0] = '\0';
		} else if (strcmp(type, "mark") == 0) {
			take_mark(line, event);
		} else if (strcmp(type, "incident.close") == 0) {
			struct marks *marks = &incidents[integer(line, "incident")];
			snprintf(marks->path, sizeof(marks->path), "%s",
				 cJSON_GetObjectItem(event, "path")->valuestring);
		}
		cJSON_Delete(event);
	}
	ck_assert_msg(*line == '\0', "the last line has no end");
	free(text);
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void in_order(const struct marks *marks, int a, int b)
{
	if (marks->at[a] != NEVER && marks->at[b] != NEVER)
		ck_assert_msg(marks->at[a] <= marks->at[b], "%s after %s", names[a], names[b]);
}

/* Order of the marks, and FRT = Detection + Decision + BRT + Readiness in integer nanoseconds. */
static void check_incident(const struct marks *m, const cJSON *record)
{
	static const int order[][2] = {{FAULT, DETECT},
				       {DETECT, DECIDE},
				       {DECIDE, SWITCH_BEGIN},
				       {SWITCH_BEGIN, SWITCHED},
				       {DATA_BEGIN, DATA_RESTORED},
				       {DATA_RESTORED, VERIFIED},
				       {DETECT, DIAGNOSED},
				       {DIAGNOSED, REPAIRED},
				       {REPAIRED, FAILBACK},
				       {FAILBACK, NORMAL},
				       {RESTORED, NORMAL},
				       {BP, LOSS}};
	bool failover = strcmp(m->path, "failover") == 0;

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		in_order(m, order[i][0], order[i][1]);
	ck_assert_str_eq(cJSON_GetObjectItem(record, "path")->valuestring, m->path);
	for (int i = 0; i < MARK_COUNT; i++) {
		char key[40];
		snprintf(key, sizeof(key), "%s_ns", names[i]);
		const cJSON *value = cJSON_GetObjectItem(record, key);
		ck_assert_msg(value != NULL, "%s is missing", key);
		ck_assert_msg(cJSON_IsNull(value) ? m->at[i] == NEVER
						  : (int64_t)value->valuedouble == m->at[i],
			      "%s differs", key);
	}
	if (!failover)
		return;
	int64_t begin = least(m->at[SWITCH_BEGIN], m->at[DATA_BEGIN]);
	int64_t ready = -least(-m->at[SWITCHED], -m->at[DATA_RESTORED]);
	int64_t detection = m->at[DETECT] - m->at[FAULT], decision = begin - m->at[DETECT];
	int64_t brt = ready - begin, readiness = m->at[RESTORED] - ready;
	int64_t frt = m->at[RESTORED] - m->at[FAULT];

	ck_assert(detection >= 0 && decision >= 0 && brt >= 0 && readiness >= 0);
	ck_assert_int_eq(detection + decision + brt + readiness, frt);
	ck_assert_int_eq((int64_t)cJSON_GetObjectItem(record, "frt_ns")->valuedouble, frt);
	ck_assert_int_eq((int64_t)cJSON_GetObjectItem(record, "brt_ns")->valuedouble, brt);
	ck_assert_int_eq((int64_t)cJSON_GetObjectItem(record, "readiness_ns")->valuedouble,
			 readiness);
}

static cJSON *check_run(const char *out)
{
	char path[300];
	size_t count = 0;
	const cJSON *incident;

	snprintf(path, sizeof(path), "%s/events.jsonl", in_folder(out));
	read_events(path);
	snprintf(path, sizeof(path), "%s/record.json", in_folder(out));
	char *text = slurp(path);
	cJSON *record = cJSON_Parse(text);
	free(text);
	ck_assert_ptr_nonnull(record);
	cJSON_ArrayForEach (incident, cJSON_GetObjectItem(record, "incidents")) {
		ck_assert_uint_lt(count, incident_count);
		check_incident(&incidents[count++], incident);
	}
	ck_assert_uint_eq(count, incident_count);
	return record;
}

/* ---- scenarios ---- */

/* "Expected: path failover, …, exit 0." in the comment that a scenario opens with. */
static int expected_exit(const char *text)
{
	const char *end = strstr(text, "apiVersion"), *at = strstr(text, "exit ");

	ck_assert_msg(end && at && at < end, "the opening comment does not say 'exit N'");
	return (int)strtol(at + 5, NULL, 10);
}

static void check_scenario(const char *name)
{
	char path[300], expected_path[32] = "";
	snprintf(path, sizeof(path), "scenarios/%s", name);
	char *text = slurp(path);
	const char *words = strstr(text, "path ");
	int exit_code = run(path, name, NULL);

	ck_assert_msg(exit_code == expected_exit(text), "%s: exit %d", name, exit_code);
	cJSON *record = check_run(name);
	if (words && words < strstr(text, "apiVersion"))
		sscanf(words, "path %31[a-z_]", expected_path);
	int headline = (int)cJSON_GetObjectItem(cJSON_GetObjectItem(record, "metrics"), "incident")
			       ->valuedouble;
	if (expected_path[0])
		ck_assert_str_eq(incidents[headline].path, expected_path);
	cJSON_Delete(record);
	free(text);
}

START_TEST(scenarios_do_what_they_say)
{
	DIR *dir = opendir("scenarios");
	struct dirent *entry;
	size_t count = 0;

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir))) {
		size_t length = strlen(entry->d_name);
		if (length < 5 || strcmp(entry->d_name + length - 5, ".yaml") != 0)
			continue;
		check_scenario(entry->d_name);
		count++;
	}
	closedir(dir);
	ck_assert_uint_ge(count, 6);
}
END_TEST

/* ---- every fault ---- */

static const char *const steps[] = {
	"{at: 34m, fault: gpu.lost, target: \"primary/node[0]/gpu[3]\"}",
	"{at: 34m, fault: gpu.xid, target: \"primary/node[0]/gpu[3]\", code: 79}",
	"{at: 34m, fault: node.crash, target: \"primary/node[0]\"}",
	"{at: 34m, fault: node.hang, target: \"primary/node[0]\"}",
	"{at: 34m, fault: rack.power_loss, target: \"primary/rack[0]\"}",
	"{at: 34m, fault: zone.outage, target: primary}",
	"{at: 34m, fault: net.partition, target: primary}",
	"{at: 34m, fault: net.delay, target: primary, latency: 3s, for: 5m}",
	"{at: 34m, fault: proc.kill, target: \"endpoint/chat/replica[0]\"}",
	"{at: 34m, fault: data.bitflip, target: data/io, for: 5m}",
	"{at: 34m, fault: backup.corrupt, target: \"backup[-1]\"}",
	"{at: 34m, fault: standby.unavailable, target: standby}",
};
#define STEPS (int)(sizeof(steps) / sizeof(steps[0]))

static const cJSON *only_fault(const cJSON *record)
{
	const cJSON *faults = cJSON_GetObjectItem(record, "faults");

	ck_assert_int_eq(cJSON_GetArraySize(faults), 1);
	return cJSON_GetArrayItem(faults, 0);
}

static int run_step(const char *step, const char *out, const char *driver)
{
	char set[256];
	const char *more[] = {"--set", set, "--set", "abort=[]", "--driver", driver, NULL};

	snprintf(set, sizeof(set), "steps=[%s]", step);
	return run("scenarios/gpu_loss.yaml", out, more);
}

START_TEST(no_fault_takes_on_the_null_driver)
{
	ck_assert_int_eq(run_step(steps[_i], "null", "null"), 3);
	cJSON *record = check_run("null");
	ck_assert(cJSON_IsFalse(cJSON_GetObjectItem(only_fault(record), "effective")));
	ck_assert_str_eq(cJSON_GetObjectItem(record, "verdict")->valuestring, "invalid");
	cJSON_Delete(record);
}
END_TEST

START_TEST(every_fault_takes_and_is_undone)
{
	int exit_code = run_step(steps[_i], "sim", "sim");

	ck_assert_msg(exit_code == 0 || exit_code == 1, "exit %d", exit_code);
	cJSON *record = check_run("sim");
	const cJSON *fault = only_fault(record);
	ck_assert(cJSON_IsTrue(cJSON_GetObjectItem(fault, "effective")));
	ck_assert(cJSON_IsTrue(cJSON_GetObjectItem(fault, "reverted")));
	ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(fault, "residue")), 0);
	cJSON_Delete(record);
}
END_TEST

/* ---- determinism ---- */

static char *events_of(const char *out)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/events.jsonl", in_folder(out));
	return slurp(path);
}

/* The scenario `from` with one more line after its last step. */
static void write_with_step(const char *from, const char *to, const char *line)
{
	char *text = slurp(from), *rest = strstr(text, "\nabort:");
	FILE *file = fopen(to, "w");

	ck_assert(rest != NULL && file != NULL);
	fprintf(file, "%.*s\n%s%s", (int)(rest - text), text, line, rest + 1);
	fclose(file);
	free(text);
}

START_TEST(same_seed_same_bytes)
{
	const char *const other[] = {"--seed", "43", NULL};

	ck_assert_int_eq(run("scenarios/gpu_loss.yaml", "a", NULL), 0);
	ck_assert_int_eq(run("scenarios/gpu_loss.yaml", "b", NULL), 0);
	ck_assert_int_eq(run("scenarios/gpu_loss.yaml", "c", other), 0);
	write_with_step("scenarios/gpu_loss.yaml", in_folder("gpu_loss.yaml"),
			"  - {at: 110m, fault: node.crash, target: \"primary/node[1]\"}\n");
	ck_assert_int_eq(run(in_folder("gpu_loss.yaml"), "d", NULL), 0);
	char *a = events_of("a"), *b = events_of("b"), *c = events_of("c"), *d = events_of("d");
	ck_assert_str_eq(a, b);
	ck_assert_str_ne(a, c);
	/* A step added at the end leaves what was before it as it was. */
	const char *added = strstr(d, "\"t_ns\":6600000000000,\"event\":\"fault.inject\"");
	ck_assert_ptr_nonnull(added);
	while (added > d && added[-1] != '\n')
		added--;
	ck_assert_msg(strncmp(a, d, (size_t)(added - d)) == 0, "events before the step differ");
	free(a);
	free(b);
	free(c);
	free(d);
}
END_TEST

/* ---- negative control, guards ---- */

START_TEST(sham_drills)
{
	const char *const silent[] = {"--sham", NULL};
	const char *const fires[] = {
		"--sham", "--set", "detector={kind: poll, interval: 60s, false_fault: 20%}", NULL};

	ck_assert_int_eq(run("scenarios/gpu_loss.yaml", "silent", silent), 0);
	cJSON *record = check_run("silent");
	ck_assert(cJSON_IsTrue(cJSON_GetObjectItem(cJSON_GetObjectItem(record, "drill"), "sham")));
	ck_assert(cJSON_IsNull(cJSON_GetObjectItem(only_fault(record), "effective")));
	cJSON_Delete(record);
	ck_assert_int_eq(run("scenarios/gpu_loss.yaml", "fires", fires), 1);
	cJSON_Delete(check_run("fires"));
}
END_TEST

START_TEST(a_guard_ends_a_drill)
{
	const char *const more[] = {"--set", "abort=[{when: \"availability < 50%\", for: 10s}]",
				    NULL};

	ck_assert_int_eq(run("scenarios/gpu_loss.yaml", "guard", more), 5);
	cJSON *record = check_run("guard");
	ck_assert_str_eq(cJSON_GetObjectItem(record, "verdict")->valuestring, "aborted");
	ck_assert(cJSON_IsTrue(cJSON_GetObjectItem(only_fault(record), "reverted")));
	cJSON_Delete(record);
}
END_TEST

static void add_cases(Suite *suite)
{
	TCase *cases = tcase_create("shipped");

	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_set_timeout(cases, 120);
	tcase_add_test(cases, scenarios_do_what_they_say);
	tcase_add_loop_test(cases, no_fault_takes_on_the_null_driver, 0, STEPS);
	tcase_add_loop_test(cases, every_fault_takes_and_is_undone, 0, STEPS);
	tcase_add_test(cases, same_seed_same_bytes);
	tcase_add_test(cases, sham_drills);
	tcase_add_test(cases, a_guard_ends_a_drill);
	suite_add_tcase(suite, cases);
}

TEST_MAIN("shipped", add_cases)
