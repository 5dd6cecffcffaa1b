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
#define NEAR 1e-6 /* relative: of what is multiplied once and rounded to a nanosecond */

static struct arena arena;

static struct scenario *load(const char *name)
{
	struct scenario *scenario = NULL;
	struct error e = {0};
	size_t count = 0;
	int rc = scenario_load(arena_printf(&arena, "scenarios/%s.yaml", name), NULL, 0, &arena,
			       &scenario, &e, 1, &count);

	ck_assert_msg(rc == 0, "%s: %s", name, e.text);
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
	const struct scenario *scenario = load(shipped[_i]);
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
	const struct scenario *scenario = load(shipped[_i]);
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

static void add_cases(Suite *suite)
{
	test_add_loop(suite, "factors_of_one_change_no_byte", factors_of_one_change_no_byte,
		      SHIPPED);
	test_add_loop(suite, "a_scaled_scenario_predicts_the_whole_one",
		      a_scaled_scenario_predicts_the_whole_one, SHIPPED);
}

TEST_MAIN("scale", add_cases)
