/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the scenario loader: the corpus of bad files, every key, defaults, targets, the schema,
 * speed. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fault.h"
#include "core/scenario.h"
#include "core/scenario_private.h"
#include "tests/test.h"

#define BAD "tests/bad"
#define SCHEMA "scenarios/scenario.schema.json"
#define GOOD "tests/corpus/scenario"
#define BAD_MIN 75
#define ERRORS_MAX 64

static struct arena arena;
static struct error errors[ERRORS_MAX];
static size_t error_count;

static void setup(void)
{
	arena = (struct arena){0};
	error_count = 0;
}

static void teardown(void)
{
	arena_free(&arena);
}

/* NULL when it was refused. */
static struct scenario *load(const char *path, const char *const *sets, size_t count)
{
	struct scenario *scenario = NULL;
	int result = scenario_load(path, sets, count, &arena, &scenario, errors, ERRORS_MAX,
				   &error_count);

	ck_assert_int_eq(result == 0, error_count == 0);
	ck_assert_int_eq(result == 0, scenario != NULL);
	return scenario;
}

static struct scenario *parse(const char *text, const char *set)
{
	struct scenario *scenario = NULL;

	scenario_parse("x.yaml", text, strlen(text), &set, set != NULL, &arena, &scenario, errors,
		       ERRORS_MAX, &error_count);
	return scenario;
}

static struct scenario *good(const char *text)
{
	struct scenario *scenario = parse(text, NULL);

	ck_assert_msg(scenario != NULL, "%u:%u: %s", errors[0].place.line, errors[0].place.column,
		      errors[0].text);
	return scenario;
}

/* ---- the corpus ---- */

static int is_yaml(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return dot && strcmp(dot, ".yaml") == 0;
}

/* The first line after "# expect: ". */
static void read_expectation(const char *path, char *line, size_t size)
{
	static const char begin[] = "# expect: ";
	FILE *file = fopen(path, "r");

	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(fgets(line, (int)size, file));
	fclose(file);
	ck_assert_msg(strncmp(line, begin, strlen(begin)) == 0, "%s has no '# expect:'", path);
	line[strcspn(line, "\n")] = '\0';
	memmove(line, line + strlen(begin), strlen(line + strlen(begin)) + 1);
}

START_TEST(bad_files_say_what_and_where)
{
	struct dirent **entries;
	int count = scandir(BAD, &entries, is_yaml, alphasort), wrong = 0;

	ck_assert_int_ge(count, BAD_MIN);
	for (int i = 0; i < count; i++) {
		char path[600], expect[ERROR_TEXT_MAX + 100], got[ERROR_TEXT_MAX + 100];

		snprintf(path, sizeof(path), BAD "/%s", entries[i]->d_name);
		free(entries[i]);
		read_expectation(path, expect, sizeof(expect));
		arena_reset(&arena);
		if (load(path, NULL, 0))
			snprintf(got, sizeof(got), "no error");
		else
			snprintf(got, sizeof(got), "%u:%u: %s", errors[0].place.line,
				 errors[0].place.column, errors[0].text);
		if (strcmp(expect, got) != 0) {
			printf("%s\n  expected %s\n  got      %s\n", path, expect, got);
			wrong++;
		}
	}
	free(entries);
	ck_assert_int_eq(wrong, 0);
}
END_TEST

START_TEST(good_files_are_accepted)
{
	struct dirent **entries;
	int count = scandir(GOOD, &entries, is_yaml, alphasort), seen = 0;

	ck_assert_int_gt(count, 0);
	for (int i = 0; i < count; i++) {
		char path[600];

		snprintf(path, sizeof(path), GOOD "/%s", entries[i]->d_name);
		if (strncmp(entries[i]->d_name, "good_", 5) == 0) {
			ck_assert_msg(load(path, NULL, 0) != NULL, "%s:%u:%u: %s", path,
				      errors[0].place.line, errors[0].place.column, errors[0].text);
			seen++;
		}
		free(entries[i]);
	}
	free(entries);
	ck_assert_int_ge(seen, 3);
}
END_TEST

START_TEST(big_files_are_refused)
{
	char path[] = "/tmp/drsim-scenario-XXXXXX";
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 100 << 20), 0);
	ck_assert_ptr_null(load(path, NULL, 0));
	ck_assert_str_eq(errors[0].text, "the file has 104857600 bytes; the limit is 4194304");
	ck_assert_str_eq(errors[0].place.file, path);
	ck_assert_uint_eq(errors[0].place.line, 0);
	close(fd);
	unlink(path);
	ck_assert_ptr_null(load("tests", NULL, 0));
	ck_assert_str_eq(errors[0].text, "it is a folder, not a regular file");
	ck_assert_ptr_null(load("/dev/zero", NULL, 0));
}
END_TEST

START_TEST(a_long_file_of_errors_is_cut_by_count)
{
	size_t size = 200 + 10000 * 8, used;
	char *text = arena_alloc(&arena, size);

	used = (size_t)snprintf(
		text, size,
		"apiVersion: drsim/v1\nname: x\nduration: 1h\ndeployment: {sites: [{name: a}]}\n"
		"steps:\n");
	for (int i = 0; i < 10000; i++)
		used += (size_t)snprintf(text + used, size - used, "- {x: 1}");
	text[used] = '\0';
	for (char *p = strstr(text, "}- "); p; p = strstr(p, "}- "))
		p[1] = '\n', p[2] = '-';
	ck_assert_ptr_null(parse(text, NULL));
	ck_assert_uint_ge(error_count, 1);
	ck_assert_uint_le(error_count, ERRORS_MAX);
}
END_TEST

/* ---- what is read ---- */

START_TEST(the_contract_is_read)
{
	const struct scenario *s = load(GOOD "/good_contract.yaml", NULL, 0);
	const struct deployment *d;

	ck_assert_ptr_nonnull(s);
	d = &s->deployment;
	ck_assert_str_eq(s->name, "gpu_loss");
	ck_assert_uint_eq(s->seed, 42);
	ck_assert_int_eq(s->duration, 2 * NANOS_HOUR);
	ck_assert_uint_eq(s->objective_count, 6);
	ck_assert(s->objectives[0].kind == OBJECTIVE_FRT && s->objectives[0].limit == 300);
	ck_assert(s->objectives[0].quantile == 0.95 && !s->objectives[0].quantile_given);
	ck_assert(s->objectives[3].kind == OBJECTIVE_BRP_BYTES && s->objectives[3].limit == 2e9);
	ck_assert(s->objectives[5].limit == 0.97);
	ck_assert_uint_eq(d->site_count, 2);
	ck_assert_str_eq(d->sites[1].region, "eu-2");
	ck_assert_uint_eq(d->sites[0].gpus, 8);
	ck_assert(d->sites[0].nic == 25e9 && d->sites[0].disk == 6e9);
	ck_assert_int_eq(d->sites[0].standby.heat, HEAT_NONE);
	ck_assert_int_eq(d->sites[1].standby.heat, HEAT_WARM);
	ck_assert_uint_eq(d->sites[1].standby.holds, DATA_BIT(DATA_MODEL));
	ck_assert_int_eq(d->sites[1].standby.replication_lag, 5 * NANOS_S);
	ck_assert(d->links[0].rate == 1.25e10 && d->links[0].latency == 12 * NANOS_MS);
	ck_assert_uint_eq(d->endpoints[0].model_bytes, 140000000000);
	ck_assert_int_eq(d->endpoints[0].model_start.exact, 45 * NANOS_S);
	ck_assert(d->endpoints[0].load.rate == 120 && d->endpoints[0].load.poisson);
	ck_assert_int_eq(d->endpoints[0].load.service_time.kind, DIST_LOGNORMAL);
	ck_assert_int_eq(d->endpoints[0].load.timeout, 30 * NANOS_S);
	ck_assert(d->data[DATA_TRAINING].change == 50e9 / 86400);
	ck_assert(d->store.declared && d->store.site == 1 && d->store.read == 8e9);
	ck_assert_uint_eq(s->policies[0].classes, 7);
	ck_assert_int_eq(s->policies[0].kind, BACKUP_INCREMENTAL);
	ck_assert_int_eq(s->policies[0].takes, NANOS_NEVER);
	ck_assert_int_eq(s->detectors[0].kind, DETECTOR_PROBE);
	ck_assert_int_eq(s->recovery.switch_time.exact, 20 * NANOS_S);
	ck_assert_uint_eq(s->recovery.restore.before_serving,
			  DATA_BIT(DATA_MODEL) | DATA_BIT(DATA_IO));
	ck_assert_str_eq(s->steps[0].fault->name, "gpu.lost");
	ck_assert_int_eq(s->steps[0].at, 34 * NANOS_MINUTE);
	ck_assert_int_eq(s->steps[0].until, UNTIL_REPAIRED);
	ck_assert_uint_eq(s->steps[0].place.line, 40);
	ck_assert_uint_eq(s->guards[0].metric, GUARD_AVAILABILITY);
	ck_assert(s->guards[0].value == 0.5 && s->guards[0].for_at_least == 20 * NANOS_MINUTE);
	ck_assert(s->process.bytes_scale == 1e-5 && s->prices.given);
	ck_assert_ptr_nonnull(strstr(s->drill_json, "\"plan\":{\"id\":\"DR-7\",\"version\":3}"));
}
END_TEST

START_TEST(defaults_are_filled_in)
{
	const struct scenario *s = good("apiVersion: drsim/v1\nname: x\nduration: 1h\n"
					"deployment:\n"
					"  sites: [{name: a}, {name: b, standby: {heat: hot}}]\n"
					"  endpoints: [{name: e, site: a}]\n"
					"  data: {io: {}}\n  store: {site: b}\n"
					"backup: {every: 1h}\ndetector: {kind: probe}\n");
	const struct deployment *d = &s->deployment;

	ck_assert_uint_eq(s->seed, 1);
	ck_assert_str_eq(d->sites[0].region, "a");
	ck_assert_str_eq(d->sites[0].zone, "a");
	ck_assert_uint_eq(d->sites[0].nodes, 1);
	ck_assert_uint_eq(d->sites[0].racks, 1);
	ck_assert_uint_eq(d->sites[0].gpus, 0);
	ck_assert_uint_eq(d->sites[1].standby.holds, 7);
	ck_assert(d->store.read == INFINITY && d->store.write == INFINITY);
	ck_assert_uint_eq(d->endpoints[0].replicas, 1);
	ck_assert_int_eq(d->endpoints[0].load.service_time.exact, 100 * NANOS_MS);
	ck_assert(d->endpoints[0].load.rate == 0 && d->endpoints[0].load.concurrency == 64);
	ck_assert(d->gateway.interval == 5 * NANOS_S && d->gateway.retries == 1);
	ck_assert(d->platform.restart && d->platform.reschedule == 345 * NANOS_S);
	ck_assert_int_eq(d->platform.allocate, NANOS_MINUTE);
	ck_assert(s->policies[0].at_start && s->policies[0].keep == 24 && !s->policies[0].verify);
	ck_assert_uint_eq(s->policies[0].classes, DATA_BIT(DATA_IO));
	ck_assert(s->detectors[0].interval == 10 * NANOS_S && s->detectors[0].misses == 3);
	ck_assert_int_eq(s->recovery.prefer, PREFER_FAILOVER);
	ck_assert(s->recovery.fence_enabled && s->recovery.fence_timeout == 10 * NANOS_S);
	ck_assert(dist_is_zero(&s->recovery.decide) && dist_is_zero(&s->recovery.switch_time));
	ck_assert_uint_eq(s->recovery.restore.class_count, 1);
	ck_assert_int_eq(s->recovery.restore.classes[0], DATA_IO);
	ck_assert_uint_eq(s->recovery.restore.before_serving, DATA_BIT(DATA_IO));
	ck_assert_int_eq(s->recovery.repair.time.exact, 20 * NANOS_MINUTE);
	ck_assert(s->recovery.repair.crews == 1 && s->recovery.coverage == 1);
	ck_assert(s->recovery.failback.verify && !s->recovery.stop_standby_after_restore);
	ck_assert(s->steady_state.success == 0.99 && s->steady_state.latency == 2 * NANOS_S);
	ck_assert(s->steady_state.window == 30 * NANOS_S && !s->prices.given);
	ck_assert_ptr_null(s->drill_json);
}
END_TEST

START_TEST(every_key_is_read)
{
	const struct scenario *s = load(GOOD "/good_full.yaml", NULL, 0);
	const struct deployment *d;

	ck_assert_ptr_nonnull(s);
	d = &s->deployment;
	ck_assert(s->seed == UINT64_MAX && s->duration == 3650 * NANOS_DAY);
	ck_assert(s->objectives[0].quantile == 0.999 && s->objectives[0].quantile_given);
	ck_assert(s->objectives[6].kind == OBJECTIVE_MTPD && s->objectives[6].limit == 86400);
	ck_assert(d->sites[0].cpus == 192 && d->sites[0].memory == 1000000000000);
	ck_assert(d->sites[1].cpus == 224 && d->sites[1].memory == 2000000000000);
	ck_assert_uint_eq(d->sites[1].gpus, 4);
	ck_assert_uint_eq(d->sites[2].gpus, 1);
	ck_assert_uint_eq(d->sites[3].gpus, 2);
	ck_assert_uint_eq(d->sites[4].gpus, 0);
	ck_assert_uint_eq(d->sites[5].standby.holds, DATA_BIT(DATA_IO) | DATA_BIT(DATA_MODEL));
	ck_assert(d->links[0].loss == 0.0001 && d->links[1].rate == INFINITY);
	ck_assert_int_eq(d->endpoints[0].load.requests, REQUESTS_NEVER);
	ck_assert(!d->endpoints[0].load.poisson && d->platform.reschedule == NANOS_NEVER);
	ck_assert(!s->policies[0].at_start && s->policies[1].takes == 0);
	ck_assert(s->detectors[2].blind && s->detectors[2].false_fault == 0.2);
	ck_assert(s->detectors[1].window == 50 && s->detectors[1].jitter_sigma == 0.2);
	ck_assert_int_eq(s->detectors[3].delay.kind, DIST_EXPONENTIAL);
	ck_assert_int_eq(s->detectors[4].interval, 20 * NANOS_S);
	ck_assert(s->detectors[5].slo_success == 0.999 && s->detectors[5].slo_latency == NANOS_S);
	ck_assert(s->recovery.restore.in_faulty && s->recovery.stop_standby_after_restore);
	ck_assert_int_eq(s->recovery.restore.classes[0], DATA_IO);
	ck_assert_int_eq(s->recovery.restore.order, RESTORE_PARALLEL);
	ck_assert_int_eq(s->recovery.fence_on_fail, FENCE_PROCEED);
	ck_assert(s->steps[0].target.count == 64 && s->steps[0].select.kind == SELECT_COUNT);
	ck_assert_int_eq(s->steps[0].until, UNTIL_PERMANENT);
	ck_assert(s->steps[1].when == WHEN_UNIFORM && s->steps[1].to == 2 * NANOS_HOUR);
	ck_assert(s->steps[1].select.fraction == 0.25 && s->steps[1].until == UNTIL_ELAPSED);
	ck_assert(s->steps[2].when == WHEN_EVERY && s->steps[2].to == NANOS_HOUR);
	ck_assert(s->steps[3].after.phase == PHASE_RESTORE && s->steps[3].after.progress == 0.5);
	ck_assert_int_eq(s->steps[4].after.delay, 5 * NANOS_S);
	ck_assert_int_eq(s->steps[4].target.entities[0].index, -1);
	ck_assert_int_eq(s->steps[5].select.kind, SELECT_ONE);
	ck_assert(s->steps[5].probability == 1 && !s->steps[5].seeded && s->steps[5].count == 0);
	ck_assert(s->steps[9].probability == 0.125 && s->steps[9].count == 3);
	ck_assert(s->steps[9].seeded && s->steps[9].seed == 7);
	ck_assert(s->steps[10].when == WHEN_DRAWN && s->steps[10].drawn.kind == DIST_WEIBULL);
	ck_assert_int_eq(s->steps[10].pulse.active, 30 * NANOS_S);
	ck_assert_int_eq(s->steps[10].pulse.dormant, 90 * NANOS_S);
	ck_assert(s->steps[11].ramp == 10 * NANOS_MINUTE && s->steps[11].pulse.active == 0);
	ck_assert_uint_eq(s->steps[12].count, 0); /* it is the fault's own: bits to flip */
	ck_assert_uint_eq(s->guard_count, 5);
	ck_assert(s->guards[2].value == 30e9 && s->guards[3].op == GUARD_GT);
	ck_assert_ptr_nonnull(strstr(s->drill_json, "{\"id\":\"007\",\"version\":\"1.10\","));
	ck_assert_ptr_nonnull(strstr(s->drill_json, "\"functions\":[\"answers\"]"));
	ck_assert_ptr_nonnull(strstr(s->drill_json, "true},{\"name\":\"B\"}]"));
	ck_assert_ptr_nonnull(strstr(s->drill_json, "\"versions\":{\"cuda\":\"12.10\"}"));
	ck_assert_ptr_nonnull(strstr(s->drill_json, "\"exclusions\":[]"));
}
END_TEST

START_TEST(the_text_as_run_is_hashed)
{
	static const char text[] =
		"apiVersion: drsim/v1\nname: x\nduration: 1h\ndeployment: {sites: [{name: a}]}\n";
	const struct scenario *s = good(text), *again;

	/* sha256sum of the text: without overrides the file itself is what was run. */
	ck_assert_str_eq(s->text, text);
	ck_assert_str_eq(s->sha256,
			 "19c91f75f2046fe0427f779c5a3a6a65a68042665ba1b481498b4246118c54f5");
	s = parse(text, "duration=2h");
	ck_assert_ptr_nonnull(s);
	ck_assert_int_eq(s->duration, 2 * NANOS_HOUR);
	ck_assert_ptr_nonnull(strstr(s->text, "duration: 2h\n"));
	ck_assert_uint_eq(s->text_size, strlen(s->text));
	again = good(s->text);
	ck_assert_str_eq(again->sha256, s->sha256);
	ck_assert_str_eq(again->text, s->text);
}
END_TEST

START_TEST(several_errors_come_in_order)
{
	ck_assert_ptr_null(parse("apiVersion: drsim/v1\nname: x\nduration: 1h\n"
				 "steps: [{at: 5, fault: gpu.los, target: a}]\n"
				 "recovery: {coverage: 1}\n"
				 "deployment: {sites: [{name: a}], gateway: {misses: no}}\n",
				 NULL));
	ck_assert_uint_eq(error_count, 4);
	ck_assert_str_eq(errors[0].text, "'5' needs a unit, such as 5s");
	ck_assert_str_eq(errors[1].text, "unknown fault 'gpu.los'; did you mean 'gpu.lost'?");
	ck_assert_str_eq(errors[2].text, "'1' needs a unit, such as 100%");
	ck_assert_str_eq(errors[3].text, "'no' is not a number; write it like 3");
}
END_TEST

START_TEST(overrides_have_places_of_their_own)
{
	static const char text[] =
		"apiVersion: drsim/v1\nname: x\nduration: 1h\ndeployment: {sites: [{name: a}]}\n";

	ck_assert_ptr_null(parse(text, "duration=30"));
	ck_assert_str_eq(errors[0].place.file, "--set duration=30");
	ck_assert_uint_eq(errors[0].place.line, 1);
	ck_assert_uint_eq(errors[0].place.column, 10);
	ck_assert_ptr_null(parse(text, "deployment.sites[0].nodez=3"));
	ck_assert_str_eq(errors[0].text, "unknown key 'nodez' in a site; did you mean 'nodes'?");
	ck_assert_uint_eq(errors[0].place.column, 21);
}
END_TEST

/* ---- links, standbys, targets ---- */

static const char two_sites[] = "apiVersion: drsim/v1\nname: x\nduration: 1h\n"
				"deployment:\n"
				"  sites:\n"
				"    - {name: spare, region: eu 1, standby: {heat: warm}}\n"
				"    - {name: main-1, region: eu 1, nodes: 3, "
				"shape: gpu.2xa100-80gb, racks: 2}\n"
				"    - {name: other, nodes: 2}\n"
				"    - {name: late, standby: {heat: hot}}\n"
				"  links: [{between: [main-1, spare]}, {between: [other, main-1]}, "
				"{between: [main-1, late]}]\n"
				"  endpoints: [{name: chat, site: main-1, replicas: 2}]\n"
				"  data: {io: {bytes: 1GB}}\n"
				"  store: {site: main-1}\n"
				"backup: {every: 1h, takes: 0s}\n";

START_TEST(standbys_and_links_are_found)
{
	const struct scenario *s = good(two_sites);

	ck_assert_int_eq(scenario_standby_of(s, 1), 3);
	ck_assert_int_eq(scenario_standby_of(s, 3), 0);
	ck_assert_int_eq(scenario_standby_of(s, 0), 3);
	ck_assert_int_eq(scenario_link_between(s, 0, 1), 0);
	ck_assert_int_eq(scenario_link_between(s, 1, 2), 1);
	ck_assert_int_eq(scenario_link_between(s, 0, 2), -1);
}
END_TEST

static const struct {
	const char *spec;
	size_t count;
	struct entity first;
	const char *printed; /* when it is not spec */
} targets[] = {
	{"main-1", 1, {.kind = ENTITY_SITE, .site = 1}, NULL},
	{"main-1/rack[1]", 1, {.kind = ENTITY_RACK, .site = 1, .index = 1}, NULL},
	{"main-1/node[2]", 1, {.kind = ENTITY_NODE, .site = 1, .index = 2}, NULL},
	{"main-1/node[*]", 3, {.kind = ENTITY_NODE, .site = 1}, "main-1/node[0]"},
	{"main-1/node[1]/gpu[1]", 1, {ENTITY_GPU, 1, 1, 1}, NULL},
	{"main-1/node[*]/gpu[1]", 3, {ENTITY_GPU, 1, 0, 1}, "main-1/node[0]/gpu[1]"},
	{"main-1/node[*]/gpu[*]", 6, {ENTITY_GPU, 1, 0, 0}, "main-1/node[0]/gpu[0]"},
	{"link[main-1-spare]", 1, {.kind = ENTITY_LINK}, NULL},
	{"link[main-1-other]", 1, {.kind = ENTITY_LINK, .index = 1}, "link[other-main-1]"},
	{"link[*]", 3, {.kind = ENTITY_LINK}, "link[main-1-spare]"},
	{"store", 1, {.kind = ENTITY_STORE}, NULL},
	{"endpoint/chat", 1, {.kind = ENTITY_ENDPOINT}, NULL},
	{"endpoint/chat/replica[1]", 1, {.kind = ENTITY_REPLICA, .part = 1}, NULL},
	{"endpoint/chat/replica[*]", 2, {.kind = ENTITY_REPLICA}, "endpoint/chat/replica[0]"},
	{"data/io", 1, {.kind = ENTITY_DATA, .index = DATA_IO}, NULL},
	{"backup[-1]", 1, {.kind = ENTITY_BACKUP, .index = -1}, NULL},
	{"backup[0]", 1, {.kind = ENTITY_BACKUP}, NULL},
	{"standby", 1, {.kind = ENTITY_STANDBY, .site = 0}, NULL},
	{"standby/node[0]", 1, {.kind = ENTITY_NODE, .site = 0}, "spare/node[0]"},
	{"region/eu 1", 2, {.kind = ENTITY_SITE, .site = 0}, "spare"},
	{"region/other", 1, {.kind = ENTITY_SITE, .site = 2}, "other"},
};

START_TEST(targets_are_resolved_and_printed)
{
	const struct scenario *s = good(two_sites);
	struct place place = {"x.yaml", 9, 9};
	struct target target;
	struct error e = {0};
	char buffer[ENTITY_TEXT_MAX];
	int result = target_resolve(targets[_i].spec, place, s, &arena, &target, &e);

	ck_assert_msg(result == 0, "%s", e.text);
	ck_assert_uint_eq(target.count, targets[_i].count);
	ck_assert(entity_equal(target.entities[0], targets[_i].first));
	ck_assert_str_eq(entity_print(target.entities[0], s, buffer),
			 targets[_i].printed ? targets[_i].printed : targets[_i].spec);
}
END_TEST

START_TEST(entities_differ_in_every_part)
{
	const struct entity a = {ENTITY_GPU, 1, 2, 3};

	ck_assert(entity_equal(a, (struct entity){ENTITY_GPU, 1, 2, 3}));
	ck_assert(!entity_equal(a, (struct entity){ENTITY_NODE, 1, 2, 3}));
	ck_assert(!entity_equal(a, (struct entity){ENTITY_GPU, 0, 2, 3}));
	ck_assert(!entity_equal(a, (struct entity){ENTITY_GPU, 1, 0, 3}));
	ck_assert(!entity_equal(a, (struct entity){ENTITY_GPU, 1, 2, 0}));
}
END_TEST

START_TEST(a_standby_site_is_what_the_fault_accepts)
{
	static const char *const steps[] = {
		"steps: [{at: 1m, fault: zone.outage, target: standby}]\n",
		"steps: [{at: 1m, fault: standby.unavailable, target: standby}]\n",
		"steps: [{at: 1m, fault: standby.unavailable, target: spare}]\n",
		"steps: [{at: 1m, fault: standby.unavailable, target: main-1}]\n",
		"steps: [{at: 1m, fault: standby.unavailable, target: region/eu 1}]\n",
	};
	const struct scenario *s;

	s = good(arena_printf(&arena, "%s%s", two_sites, steps[0]));
	ck_assert_int_eq(s->steps[0].target.entities[0].kind, ENTITY_SITE);
	for (int i = 1; i < 3; i++) {
		s = good(arena_printf(&arena, "%s%s", two_sites, steps[i]));
		ck_assert_int_eq(s->steps[0].target.entities[0].kind, ENTITY_STANDBY);
	}
	ck_assert_ptr_null(parse(arena_printf(&arena, "%s%s", two_sites, steps[3]), NULL));
	ck_assert_str_eq(errors[0].text,
			 "'main-1' is a site; standby.unavailable hits the standby");
	/* Of a region it is each site that must be what the fault accepts. */
	ck_assert_ptr_null(parse(arena_printf(&arena, "%s%s", two_sites, steps[4]), NULL));
	ck_assert_str_eq(errors[0].text,
			 "'region/eu 1' is a site; standby.unavailable hits the standby");
}
END_TEST

START_TEST(detectors_look_at_what_they_can)
{
	static const char *const wrong[] = {
		"{kind: slo, window: 1m, scope: node}", "{kind: slo, scope: gpu}",
		"{kind: slo, scope: replica}",          "{kind: canary, scope: node}",
		"{kind: canary, scope: gpu}",
	};
	static const char *const right[] = {
		"{kind: slo, scope: endpoint}",
		"{kind: canary, scope: endpoint}",
		"{kind: canary, scope: replica}",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ck_assert_ptr_null(parse(two_sites, arena_printf(&arena, "detector=%s", wrong[i])));
		ck_assert_msg(strstr(errors[0].text, " detector looks at endpoints"), "%s",
			      errors[0].text);
		ck_assert_uint_eq(errors[0].place.line, 1);
	}
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++)
		ck_assert_msg(parse(two_sites, arena_printf(&arena, "detector=%s", right[i])),
			      "%s: %s", right[i], errors[0].text);
}
END_TEST

START_TEST(selection_is_even_and_in_order)
{
	struct entity all[10], taken[10];
	struct target target = {.spec = "x", .entities = all, .count = 10};
	struct select select = {.kind = SELECT_COUNT, .count = 3};
	struct prng prng;
	int hits[10] = {0};

	for (int i = 0; i < 10; i++)
		all[i] = (struct entity){.kind = ENTITY_NODE, .index = i};
	prng_open(&prng, 1, 0, 0, PRNG_STEP_TARGET);
	for (int round = 0; round < 10000; round++) {
		ck_assert_uint_eq(target_select(&target, &select, &prng, taken), 3);
		ck_assert(taken[0].index < taken[1].index && taken[1].index < taken[2].index);
		for (int i = 0; i < 3; i++)
			hits[taken[i].index]++;
	}
	/* 3000 expected each, standard deviation 46. */
	for (int i = 0; i < 10; i++)
		ck_assert(hits[i] > 2770 && hits[i] < 3230);
	select = (struct select){.kind = SELECT_ALL};
	ck_assert_uint_eq(target_select(&target, &select, &prng, taken), 10);
	ck_assert(entity_equal(taken[9], all[9]));
	select = (struct select){.kind = SELECT_ONE};
	ck_assert_uint_eq(target_select(&target, &select, &prng, taken), 1);
	select = (struct select){.kind = SELECT_FRACTION, .fraction = 0.25};
	ck_assert_uint_eq(target_select(&target, &select, &prng, taken), 3);
	select.fraction = 0.01;
	ck_assert_uint_eq(target_select(&target, &select, &prng, taken), 1);
	select.fraction = 1;
	ck_assert_uint_eq(target_select(&target, &select, &prng, taken), 10);
}
END_TEST

START_TEST(faults_are_found_and_effects_counted)
{
	struct effects effects = {.arena = &arena};
	struct error e = {0};

	ck_assert_ptr_null(fault_find("gpu.los"));
	ck_assert_str_eq(fault_find("gpu.lost")->name, "gpu.lost");
	for (int i = 0; i < EFFECTS; i++)
		ck_assert_ptr_nonnull(effect_names[i]);
	for (size_t i = 0; i < EFFECTS_PER_FAULT_MAX; i++)
		ck_assert_int_eq(effects_add(&effects, (struct effect){.step = (uint32_t)i}, &e),
				 0);
	ck_assert_int_eq(effects_add(&effects, (struct effect){0}, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_LIMIT);
	ck_assert_uint_eq(effects.count, EFFECTS_PER_FAULT_MAX);
	ck_assert_uint_eq(effects.items[EFFECTS_PER_FAULT_MAX - 1].step, EFFECTS_PER_FAULT_MAX - 1);
}
END_TEST

/* ---- the JSON Schema ---- */

/* JSON is YAML: the schema is read with the same tree. */
static const struct yaml_node *read_schema(void)
{
	struct error e = {0};
	struct yaml_node *root = NULL;
	char *text;
	size_t size;

	ck_assert_msg(yaml_read_file(SCHEMA, YAML_FILE_MAX, &arena, &text, &size, &e) == 0, "%s",
		      e.text);
	ck_assert_msg(yaml_parse(SCHEMA, text, size, &arena, &root, &e) == 0, "%s", e.text);
	return root;
}

static bool in_list(const struct yaml_node *list, const char *word)
{
	for (const struct yaml_node *item = list ? list->first : NULL; item; item = item->next)
		if (yaml_is(item, word))
			return true;
	return false;
}

/* The row and the schema's property agree on whether it is required, its choices and its default.
 */
static void compare_row(const char *table, const struct param *row,
			const struct yaml_node *definition)
{
	const struct yaml_node *property = yaml_get(yaml_get(definition, "properties"), row->name);
	const struct yaml_node *words, *preset;
	size_t count = 0;

	ck_assert_msg(property != NULL, "%s.%s is not in the schema", table, row->name);
	ck_assert_msg(in_list(yaml_get(definition, "required"), row->name) == !row->preset,
		      "%s.%s: required differs", table, row->name);
	words = yaml_get(property, "enum");
	preset = yaml_get(property, "default");
	if (row->preset && *row->preset)
		ck_assert_msg(preset && yaml_is(preset, row->preset), "%s.%s: default differs",
			      table, row->name);
	if (row->type != PARAM_CHOICE || yaml_get(property, "const"))
		return;
	for (; row->choices[count]; count++)
		ck_assert_msg(in_list(words, row->choices[count]), "%s.%s: '%s' is not in the enum",
			      table, row->name, row->choices[count]);
	ck_assert_uint_eq(words->count, count);
}

static void compare_tables(const struct scenario_table *tables, const struct yaml_node *schema)
{
	for (; tables->name; tables++) {
		const struct yaml_node *definition =
			tables == scenario_tables
				? schema
				: yaml_get(yaml_get(schema, "$defs"), tables->name);
		size_t count = 0;

		ck_assert_msg(definition != NULL, "no definition of '%s'", tables->name);
		for (; tables->rows[count].name; count++)
			compare_row(tables->name, &tables->rows[count], definition);
		ck_assert_msg(yaml_get(definition, "properties")->count == count,
			      "the schema knows more keys of '%s' than the loader", tables->name);
	}
}

START_TEST(schema_and_loader_know_the_same_keys)
{
	const struct yaml_node *schema = read_schema();

	compare_tables(scenario_tables, schema);
	compare_tables(deployment_tables, schema);
	compare_tables(plan_tables, schema);
	compare_tables(goal_tables, schema);
	compare_tables(step_tables, schema);
	compare_tables(failure_tables, schema);
}
END_TEST

/* Every "$ref" in the schema leads to a definition. */
static void follow_references(const struct yaml_node *node, const struct yaml_node *definitions)
{
	const struct yaml_node *reference = yaml_get(node, "$ref");
	static const char begin[] = "#/$defs/";

	if (reference) {
		ck_assert_int_eq(strncmp(reference->text, begin, strlen(begin)), 0);
		ck_assert_msg(yaml_get(definitions, reference->text + strlen(begin)) != NULL, "%s",
			      reference->text);
	}
	for (const struct yaml_node *child = node->first; child; child = child->next)
		follow_references(child, definitions);
}

START_TEST(schema_references_lead_somewhere)
{
	const struct yaml_node *schema = read_schema();

	follow_references(schema, yaml_get(schema, "$defs"));
}
END_TEST

/* Does a key of this name stand anywhere below the node? */
static bool uses_key(const struct yaml_node *node, const char *key)
{
	for (const struct yaml_node *child = node->first; child; child = child->next)
		if ((child->key && yaml_is(child->key, key)) || uses_key(child, key))
			return true;
	return false;
}

START_TEST(the_full_example_uses_every_key)
{
	static const struct scenario_table *const tables[] = {
		scenario_tables, deployment_tables, plan_tables,
		goal_tables,     step_tables,       failure_tables};
	/* A preset stands in place of rows of one's own: it needs a file for itself. */
	static const char *const files[] = {GOOD "/good_full.yaml", GOOD "/good_preset.yaml"};
	struct error e = {0};
	struct yaml_node *roots[2] = {NULL};
	char *text;
	size_t size;

	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(yaml_read_file(files[i], YAML_FILE_MAX, &arena, &text, &size, &e),
				 0);
		ck_assert_int_eq(yaml_parse(files[i], text, size, &arena, &roots[i], &e), 0);
	}
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct scenario_table *table = tables[i]; table->name; table++)
			for (const struct param *row = table->rows; row->name; row++)
				ck_assert_msg(uses_key(roots[0], row->name) ||
						      uses_key(roots[1], row->name),
					      "good_full.yaml does not use %s.%s", table->name,
					      row->name);
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
	add(suite, "corpus: bad", bad_files_say_what_and_where, 1);
	add(suite, "corpus: good", good_files_are_accepted, 1);
	add(suite, "corpus: big", big_files_are_refused, 1);
	add(suite, "corpus: many errors", a_long_file_of_errors_is_cut_by_count, 1);
	add(suite, "read: contract", the_contract_is_read, 1);
	add(suite, "read: defaults", defaults_are_filled_in, 1);
	add(suite, "read: every key", every_key_is_read, 1);
	add(suite, "read: hash", the_text_as_run_is_hashed, 1);
	add(suite, "errors: order", several_errors_come_in_order, 1);
	add(suite, "errors: overrides", overrides_have_places_of_their_own, 1);
	add(suite, "links and standbys", standbys_and_links_are_found, 1);
	add(suite, "targets: resolved", targets_are_resolved_and_printed,
	    (int)(sizeof(targets) / sizeof(targets[0])));
	add(suite, "targets: equal", entities_differ_in_every_part, 1);
	add(suite, "targets: standby", a_standby_site_is_what_the_fault_accepts, 1);
	add(suite, "detectors: scope", detectors_look_at_what_they_can, 1);
	add(suite, "targets: selection", selection_is_even_and_in_order, 1);
	add(suite, "faults", faults_are_found_and_effects_counted, 1);
	add(suite, "schema: keys", schema_and_loader_know_the_same_keys, 1);
	add(suite, "schema: references", schema_references_lead_somewhere, 1);
	add(suite, "schema: full example", the_full_example_uses_every_key, 1);
}

TEST_MAIN("scenario", add_cases)
