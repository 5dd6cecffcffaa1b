/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scenario in another measure of time and data. The model has no measure of its own: what it says
 * of a scaled scenario is what it says of the scenario, scaled; with factors of 1 it says the same
 * bytes. What a scenario holds is scaled by its unit, and nothing else is.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/fault.h"
#include "core/run.h"
#include "core/trace.h"
#include "core/words.h"
#include "tests/test.h"

#define TIME 0.05
#define BYTES 1e-5
#define FULL "tests/corpus/scenario/good_full.yaml" /* has every key */
#define NEAR 1e-6 /* relative: of what is multiplied once and rounded to a nanosecond */

static struct arena arena;

static struct scenario *load(const char *path)
{
	struct scenario *scenario = NULL;
	struct error e = {0};
	size_t count = 0;
	int rc = scenario_load(path, NULL, 0, &arena, &scenario, &e, 1, &count);

	ck_assert_msg(rc == 0, "%s: %s", path, e.text);
	return scenario;
}

static struct scenario *scale(const struct scenario *scenario, double time, double bytes)
{
	struct scenario *scaled = NULL;
	struct error e = {0};

	ck_assert_msg(scenario_scale(scenario, time, bytes, &arena, &scaled, &e) == 0, "%s",
		      e.text);
	return scaled;
}

/* The record lives as long as the run. */
static struct run *drill(const struct scenario *scenario, const char *events, struct record *record)
{
	struct run_options options = {.driver = driver_find("sim"), .seed = scenario->seed};
	struct timeline timeline;
	struct error e = {0};
	struct run *run;

	ck_assert_int_eq(run_new(scenario, &options, &run, &e), 0);
	ck_assert_int_eq(timeline_open(&timeline, events, &e), 0);
	*record = (struct record){.scenario = scenario, .seed = options.seed, .headline = -1};
	ck_assert_msg(run_trial(run, 0, &timeline, record, &e) == 0, "%s", e.text);
	ck_assert_int_eq(timeline_close(&timeline, &e), 0);
	return run;
}

/* ---- the simulator has no measure of its own ---- */

static const char *const shipped[] = {
	"gpu_loss",
	"checkpoint_corruption",
	"stale_backup",
	"restore_interrupted",
	"failback_under_load",
	"region_outage",
	"seed_monitor",
	"backup_too_old",
	"case_study",
	"cold_standby_too_slow",
	"control_plane_down",
	"flapping_network",
	"gray_gpu",
	"hanging_store",
	"hung_gpu",
	"lying_disk",
	"network_partition",
	"rack_power_loss",
	"split_brain",
	"standby_full",
	"training_gpu_loss",
	"ransomware_restore",
	"deploy_bad_model",
};
#define SHIPPED ((int)(sizeof(shipped) / sizeof(shipped[0])))

static char *slurp(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text;
	long size;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
	size = ftell(file);
	ck_assert_int_ge(size, 0);
	rewind(file);
	text = arena_alloc(&arena, (size_t)size + 1);
	ck_assert_uint_eq(fread(text, 1, (size_t)size, file), (size_t)size);
	fclose(file);
	return text;
}

START_TEST(factors_of_one_change_no_byte)
{
	const struct scenario *scenario =
		load(arena_printf(&arena, "scenarios/%s.yaml", shipped[_i]));
	const char *a = arena_printf(&arena, "scale-%d-a.jsonl", _i);
	const char *b = arena_printf(&arena, "scale-%d-b.jsonl", _i);
	struct record record;

	run_free(drill(scenario, a, &record));
	run_free(drill(scale(scenario, 1, 1), b, &record));
	ck_assert_str_eq(slurp(a), slurp(b));
	ck_assert_int_eq(remove(a), 0);
	ck_assert_int_eq(remove(b), 0);
	arena_free(&arena);
}
END_TEST

/* Both not a number, both without end, or within `near` of each other. */
static void expect(const char *what, double is, double expected, double near)
{
	if (isnan(expected) || isinf(expected)) {
		ck_assert_msg(isnan(is) == isnan(expected) && isinf(is) == isinf(expected),
			      "%s: %g, expected %g", what, is, expected);
		return;
	}
	ck_assert_msg(fabs(is - expected) <= near, "%s: %.9g, expected %.9g", what, is, expected);
}

START_TEST(a_scaled_scenario_predicts_the_whole_one)
{
	static const bool in_time[MEASURES] = {
		[MEASURE_FRT] = true,    [MEASURE_DETECTION] = true,     [MEASURE_DECISION] = true,
		[MEASURE_SWITCH] = true, [MEASURE_DATA_RECOVERY] = true, [MEASURE_READINESS] = true,
		[MEASURE_BRT] = true,    [MEASURE_BRP_SECONDS] = true,
	};
	const struct scenario *scenario =
		load(arena_printf(&arena, "scenarios/%s.yaml", shipped[_i]));
	double whole[MEASURES], small[MEASURES];
	struct record a, b;
	struct run *run_a = drill(scenario, NULL, &a);
	struct run *run_b = drill(scale(scenario, TIME, BYTES), NULL, &b);

	ck_assert_str_eq(verdict_names[a.verdict], verdict_names[b.verdict]);
	ck_assert_uint_eq(a.incident_count, b.incident_count);
	ck_assert_uint_eq(a.fault_count, b.fault_count);
	record_measures(&a, whole);
	record_measures(&b, small);
	for (int i = 0; i < MEASURES; i++) {
		double factor = in_time[i] ? TIME : i == MEASURE_BRP_BYTES ? BYTES : 1;
		double expected = whole[i] * factor;

		expect(measure_names[i], small[i], expected,
		       fabs(expected) * 1e-3 + (in_time[i]                  ? 1e-5
						: i == MEASURE_AVAILABILITY ? 1e-4
									    : 2));
	}
	expect("sent", (double)b.sent, (double)a.sent, 2 + 1e-3 * (double)a.sent);
	expect("duration", (double)b.duration, (double)a.duration * TIME, 1);
	run_free(run_a);
	run_free(run_b);
	arena_free(&arena);
}
END_TEST

/* ---- the shipped ones that a real host plays ---- */

#define REAL 7 /* the first of `shipped` */

static void in_bounds(const char *what, double is, double low, double high)
{
	ck_assert_msg(is >= low && is <= high, "%s: %g is not in %g ... %g", what, is, low, high);
}

START_TEST(a_real_drill_fits_on_one_host)
{
	const struct scenario *a = load(arena_printf(&arena, "scenarios/%s.yaml", shipped[_i]));
	const struct scenario *b = scale(a, a->process.time_scale, a->process.bytes_scale);
	double seconds = (double)b->duration / 1e9, rate = 0, bytes = 0;

	in_bounds("minutes", seconds / 60, 1, 6);
	for (size_t i = 0; i < b->deployment.endpoint_count; i++)
		rate += b->deployment.endpoints[i].load.rate;
	in_bounds("requests a second", rate, 0, 3000);
	for (size_t i = 0; i < b->detector_count; i++)
		in_bounds("time-out of a look, ms", (double)b->detectors[i].timeout / 1e6, 20, 1e6);
	for (int i = 0; i < DATA_CLASSES; i++)
		bytes += (double)b->deployment.data[i].bytes +
			 b->deployment.data[i].change * seconds;
	/* On each site, and in the store. */
	bytes *= (double)b->deployment.site_count + 1;
	for (size_t i = 0; i < b->deployment.job_count; i++)
		bytes += (double)b->deployment.jobs[i].checkpoint.bytes *
			 (b->deployment.jobs[i].checkpoint.keep + 1);
	in_bounds("MB", bytes / 1e6, 0, 64);
	arena_free(&arena);
}
END_TEST

/* ---- what is scaled, and what is not ---- */

static void same_time(const char *what, nanos is, nanos was)
{
	if (was == NANOS_NEVER)
		ck_assert_msg(is == NANOS_NEVER, "%s: never is never", what);
	else
		expect(what, (double)is, (double)was * TIME, 1);
}

static void same_dist(const char *what, const struct dist *is, const struct dist *was)
{
	ck_assert_int_eq(is->kind, was->kind);
	expect(what, dist_mean(is), dist_mean(was) * TIME, 1 + NEAR * dist_mean(was));
	if (was->kind != DIST_CONSTANT)
		expect(what, dist_quantile(is, 0.9), dist_quantile(was, 0.9) * TIME,
		       1 + NEAR * dist_quantile(was, 0.9));
}

/* Relative, of a rate or a share. */
static void same(const char *what, double is, double was, double factor)
{
	expect(what, is, was * factor, NEAR * fabs(was * factor));
}

START_TEST(what_exists_is_scaled)
{
	const struct scenario *a = load(FULL), *b = scale(a, TIME, BYTES);
	const struct deployment *x = &a->deployment, *y = &b->deployment;

	same_time("duration", b->duration, a->duration);
	same("nic", y->sites[0].nic, x->sites[0].nic, BYTES / TIME);
	same("disk", y->sites[0].disk, x->sites[0].disk, BYTES / TIME);
	same_time("lag", y->sites[5].standby.replication_lag, x->sites[5].standby.replication_lag);
	same("link rate", y->links[0].rate, x->links[0].rate, BYTES / TIME);
	ck_assert(isinf(y->links[1].rate));
	same_time("latency", y->links[0].latency, x->links[0].latency);
	same("loss", y->links[0].loss, x->links[0].loss, 1);
	expect("model", (double)y->endpoints[0].model_bytes, 1400000, 1);
	same_dist("start", &y->endpoints[0].model_start, &x->endpoints[0].model_start);
	same("requests", y->endpoints[0].load.rate, x->endpoints[0].load.rate, 1 / TIME);
	same_dist("service", &y->endpoints[0].load.service_time,
		  &x->endpoints[0].load.service_time);
	same_time("timeout", y->endpoints[0].load.timeout, x->endpoints[0].load.timeout);
	ck_assert_uint_eq(y->endpoints[0].load.concurrency, x->endpoints[0].load.concurrency);
	same_time("gateway", y->gateway.interval, x->gateway.interval);
	same_time("gateway", y->gateway.timeout, x->gateway.timeout);
	same_time("reschedule", y->platform.reschedule, x->platform.reschedule);
	same_time("allocate", y->platform.allocate, x->platform.allocate);
	same_time("step", y->jobs[0].step, x->jobs[0].step);
	same_time("every", y->jobs[0].checkpoint.every, x->jobs[0].checkpoint.every);
	expect("checkpoint", (double)y->jobs[0].checkpoint.bytes, 1e12 * BYTES, 1);
	same_time("takes", y->jobs[0].checkpoint.takes, x->jobs[0].checkpoint.takes);
	same_time("load", y->jobs[0].checkpoint.load, x->jobs[0].checkpoint.load);
	same_dist("restart", &y->jobs[0].restart, &x->jobs[0].restart);
	same_time("hang", y->jobs[0].timeout, x->jobs[0].timeout);
	same_time("work", y->jobs[0].work, x->jobs[0].work);
	for (int i = 0; i < DATA_CLASSES; i++) {
		expect("bytes", (double)y->data[i].bytes, (double)x->data[i].bytes * BYTES, 1);
		same("change", y->data[i].change, x->data[i].change, BYTES / TIME);
		same("records", y->data[i].records, x->data[i].records, 1 / TIME);
	}
	same("read", y->store.read, x->store.read, BYTES / TIME);
	same("write", y->store.write, x->store.write, BYTES / TIME);
	/* A server of the user's own takes as long as it takes. */
	ck_assert_int_eq(y->services[0].ready.timeout, x->services[0].ready.timeout);
	ck_assert_uint_eq(b->process.disk, a->process.disk);
	arena_free(&arena);
}
END_TEST

START_TEST(the_plan_is_scaled)
{
	static const double objectives[OBJECTIVES] = {
		[OBJECTIVE_FRT] = TIME,         [OBJECTIVE_BRT] = TIME,
		[OBJECTIVE_BRP_SECONDS] = TIME, [OBJECTIVE_BRP_BYTES] = BYTES,
		[OBJECTIVE_BRP_RECORDS] = 1,    [OBJECTIVE_AVAILABILITY] = 1,
		[OBJECTIVE_MTPD] = TIME,        [OBJECTIVE_ETTR] = 1,
	};
	const struct scenario *a = load(FULL), *b = scale(a, TIME, BYTES);

	ck_assert_uint_eq(a->objective_count, OBJECTIVES);
	for (size_t i = 0; i < a->objective_count; i++)
		same(objective_names[a->objectives[i].kind], b->objectives[i].limit,
		     a->objectives[i].limit, objectives[a->objectives[i].kind]);
	for (size_t i = 0; i < a->policy_count; i++) {
		same_time("every", b->policies[i].every, a->policies[i].every);
		same_time("takes", b->policies[i].takes, a->policies[i].takes);
	}
	for (size_t i = 0; i < a->detector_count; i++) {
		same_time("interval", b->detectors[i].interval, a->detectors[i].interval);
		same_time("timeout", b->detectors[i].timeout, a->detectors[i].timeout);
		same_time("window", b->detectors[i].slo_window, a->detectors[i].slo_window);
		same_time("slo", b->detectors[i].slo_latency, a->detectors[i].slo_latency);
		same_dist("delay", &b->detectors[i].delay, &a->detectors[i].delay);
		ck_assert_uint_eq(b->detectors[i].misses, a->detectors[i].misses);
	}
	same_dist("decide", &b->recovery.decide, &a->recovery.decide);
	same_time("fence", b->recovery.fence_timeout, a->recovery.fence_timeout);
	same_dist("switch", &b->recovery.switch_time, &a->recovery.switch_time);
	same_dist("verify", &b->recovery.verify_time, &a->recovery.verify_time);
	same_dist("diagnose", &b->recovery.diagnose_time, &a->recovery.diagnose_time);
	same_dist("repair", &b->recovery.repair.time, &a->recovery.repair.time);
	same_time("latency", b->steady_state.latency, a->steady_state.latency);
	same_time("window", b->steady_state.window, a->steady_state.window);
	same("success", b->steady_state.success, a->steady_state.success, 1);
	for (size_t i = 0; i < a->guard_count; i++) {
		bool timed = a->guards[i].metric == GUARD_LATENCY_P99 ||
			     a->guards[i].metric == GUARD_DURATION;

		same(a->guards[i].text, b->guards[i].value, a->guards[i].value, timed ? TIME : 1);
		same_time("for", b->guards[i].for_at_least, a->guards[i].for_at_least);
	}
	ck_assert_str_eq(b->sha256, a->sha256);
	ck_assert_str_eq(b->text, a->text);
	arena_free(&arena);
}
END_TEST

static void same_params(const struct step *is, const struct step *was)
{
	for (const struct param *row = was->fault->params; row && row->name; row++) {
		const char *x = (const char *)was->params + row->offset;
		const char *y = (const char *)is->params + row->offset;

		if (row->type == PARAM_DURATION)
			same_time(row->name, *(const nanos *)(const void *)y,
				  *(const nanos *)(const void *)x);
		else if (row->type == PARAM_RATE)
			same(row->name, *(const double *)(const void *)y,
			     *(const double *)(const void *)x, BYTES / TIME);
		else if (row->type == PARAM_COUNT)
			ck_assert_uint_eq(*(const uint32_t *)(const void *)y,
					  *(const uint32_t *)(const void *)x);
	}
}

START_TEST(what_breaks_is_scaled)
{
	const struct scenario *a = load(FULL), *b = scale(a, TIME, BYTES);
	size_t traces = 0;

	ck_assert_uint_eq(b->step_count, a->step_count);
	for (size_t i = 0; i < a->step_count; i++) {
		const struct step *x = &a->steps[i], *y = &b->steps[i];

		same_time("at", y->at, x->at);
		same_time("to", y->to, x->to);
		same_time("delay", y->after.delay, x->after.delay);
		same("progress", y->after.progress, x->after.progress, 1);
		same_dist("for", &y->duration, &x->duration);
		same_dist("drawn", &y->drawn, &x->drawn);
		same_time("ramp", y->ramp, x->ramp);
		same_time("active", y->pulse.active, x->pulse.active);
		same_time("dormant", y->pulse.dormant, x->pulse.dormant);
		same("failures", y->failure.per_1000_node_days, x->failure.per_1000_node_days,
		     1 / TIME);
		ck_assert(!x->failure.repair == !y->failure.repair);
		if (x->failure.repair)
			same_dist("repair", y->failure.repair, x->failure.repair);
		same_params(y, x);
		for (size_t k = 0; x->trace && k < x->trace->count; k++, traces++) {
			same_time("log", y->trace->records[k].at, x->trace->records[k].at);
			same_time("log", y->trace->records[k].down, x->trace->records[k].down);
		}
	}
	ck_assert_uint_gt(traces, 0);
	arena_free(&arena);
}
END_TEST

/* A byte rate of a fault is one of the deployment's; nothing shrinks to nothing. */
START_TEST(small_things_stay_something)
{
	const struct scenario *a = load(FULL), *b = scale(a, 1e-6, 1e-15);

	ck_assert_uint_eq(b->deployment.endpoints[0].model_bytes, 1);
	ck_assert_int_eq(b->deployment.links[2].latency, 1);
	ck_assert_int_eq(b->policies[1].takes, 0);
	ck_assert_int_gt(b->detectors[4].interval, 0);
	arena_free(&arena);
}
END_TEST

START_TEST(observed_values_are_scaled_too)
{
	static const double values[] = {1e9, 2e9, 4e9};
	const struct dist observed = {.kind = DIST_EMPIRICAL, .values = values, .count = 3};
	struct dist scaled = dist_scale(&observed, 0.5, &arena);

	ck_assert(scaled.values[0] == 5e8 && scaled.values[2] == 2e9 && scaled.count == 3);
	ck_assert(values[0] == 1e9);
	arena_free(&arena);
}
END_TEST

static const struct {
	double time, bytes;
} useless[] = {{0, 1}, {1, 0}, {-1, 1}, {NAN, 1}, {1, INFINITY}, {1.5, 1}, {1, 1e-300}};

START_TEST(useless_factors_are_refused)
{
	const struct scenario *scenario = load("scenarios/gpu_loss.yaml");
	struct scenario *scaled = NULL;
	struct error e = {0};

	ck_assert_int_eq(
		scenario_scale(scenario, useless[_i].time, useless[_i].bytes, &arena, &scaled, &e),
		-1);
	ck_assert_int_eq(e.kind, ERROR_SCENARIO);
	ck_assert_ptr_null(scaled);
	arena_free(&arena);
}
END_TEST

START_TEST(twice_is_refused)
{
	const struct scenario *once = scale(load("scenarios/gpu_loss.yaml"), 0.5, 1);
	struct scenario *twice = NULL;
	struct error e = {0};

	ck_assert_int_eq(scenario_scale(once, 0.5, 1, &arena, &twice, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.text, "scaled already"));
	ck_assert(scenario_is_scaled(once));
	ck_assert_int_eq(scenario_time(once, 45 * NANOS_S), 22500 * NANOS_MS);
	ck_assert_int_eq(scenario_time(once, NANOS_NEVER), NANOS_NEVER);
	arena_free(&arena);
}
END_TEST

static const struct {
	double time, bytes;
	const char *words;
} scales[] = {
	{0.05, 1e-5, "time scale 1:20, bytes 1:100000"},
	{1, 1, "time scale 1:1, bytes 1:1"},
	{0.03, 1e-15, "time scale 1:33.33, bytes 1:1000000000000000"},
};

START_TEST(a_scale_in_words)
{
	char text[WORDS_MAX];

	ck_assert_str_eq(words_scale(text, scales[_i].time, scales[_i].bytes), scales[_i].words);
}
END_TEST

static void add_cases(Suite *suite)
{
	test_add_loop(suite, "factors_of_one_change_no_byte", factors_of_one_change_no_byte,
		      SHIPPED);
	test_add_loop(suite, "a_real_drill_fits_on_one_host", a_real_drill_fits_on_one_host, REAL);
	test_add(suite, "what_exists_is_scaled", what_exists_is_scaled);
	test_add(suite, "the_plan_is_scaled", the_plan_is_scaled);
	test_add(suite, "what_breaks_is_scaled", what_breaks_is_scaled);
	test_add(suite, "small_things_stay_something", small_things_stay_something);
	test_add(suite, "observed_values_are_scaled_too", observed_values_are_scaled_too);
	test_add_loop(suite, "useless_factors_are_refused", useless_factors_are_refused,
		      (int)(sizeof(useless) / sizeof(useless[0])));
	test_add(suite, "twice_is_refused", twice_is_refused);
	test_add_loop(suite, "a_scale_in_words", a_scale_in_words,
		      (int)(sizeof(scales) / sizeof(scales[0])));
	test_add_loop(suite, "a_scaled_scenario_predicts_the_whole_one",
		      a_scaled_scenario_predicts_the_whole_one, SHIPPED);
}

TEST_MAIN("scale", add_cases)
