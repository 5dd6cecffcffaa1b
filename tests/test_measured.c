/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the run loop and the commands do for a driver of real systems: the scaled scenario, the
 * interval of each injection, and what the driver measured by means of its own. The simulator plays
 * the real system here, under another name.
 */
#include <string.h>

#include "core/driver.h"
#include "core/run.h"
#include "tests/test.h"

static struct arena arena;

static void measure(void *self, const char *folder, struct arena *texts,
		    struct measured *ret)
{
	(void)self;
	(void)folder;
	*ret = (struct measured){
		.wire_known = true,
		.wire = {.outage_s = 1, .client_s = 1.5, .difference_s = 0.5, .allowed_s = 0.1},
		.isolation = arena_strdup(texts, "loopback"),
		.kernel = "Linux",
	};
}

static void measure_well(void *self, const char *folder, struct arena *texts,
			 struct measured *ret)
{
	measure(self, folder, texts, ret);
	ret->wire.agrees = true;
}

static struct driver_ops real_driver(void (*finish)(void *, const char *, struct arena *,
						   struct measured *))
{
	struct driver_ops driver = *driver_find("sim");

	driver.name = "real";
	driver.kind = "injected";
	driver.scaled = true;
	driver.finish = finish;
	return driver;
}

static struct scenario *load(const char *path)
{
	struct scenario *scenario = NULL;
	struct error e = {0};
	size_t count = 0;

	ck_assert_msg(scenario_load(path, NULL, 0, &arena, &scenario, &e, 1, &count) == 0, "%s",
		      e.text);
	return scenario;
}

static struct run *drill(const struct driver_ops *driver, bool sham, struct record *record)
{
	struct scenario *scenario = load("scenarios/gpu_loss.yaml");
	struct run_options options = {.driver = driver, .seed = 42, .sham = sham};
	struct timeline timeline;
	struct error e = {0};
	struct run *run;

	ck_assert_int_eq(driver_scale(driver, &arena, &scenario, &e), 0);
	ck_assert_int_eq(run_new(scenario, &options, &run, &e), 0);
	ck_assert_int_eq(timeline_open(&timeline, NULL, &e), 0);
	*record = (struct record){.scenario = scenario, .kind = driver->kind, .headline = -1};
	ck_assert_msg(run_trial(run, 0, &timeline, record, &e) == 0, "%s", e.text);
	ck_assert_int_eq(timeline_close(&timeline, &e), 0);
	return run;
}

START_TEST(a_real_driver_gets_the_scaled_scenario)
{
	const struct driver_ops driver = real_driver(measure_well);
	struct record record;
	struct run *run = drill(&driver, false, &record);

	ck_assert(scenario_is_scaled(record.scenario));
	ck_assert_int_eq(record.duration, 6 * NANOS_MINUTE);
	ck_assert_int_eq(record.verdict, VERDICT_PASSED);
	ck_assert_ptr_nonnull(record.measured);
	ck_assert_str_eq(record.measured->isolation, "loopback");
	run_free(run);
	arena_free(&arena);
}
END_TEST

START_TEST(a_simulated_one_does_not)
{
	struct record record;
	struct run *run = drill(driver_find("sim"), false, &record);

	ck_assert(!scenario_is_scaled(record.scenario));
	ck_assert_int_eq(record.duration, 2 * NANOS_HOUR);
	ck_assert_ptr_null(record.measured);
	ck_assert(!record.faults[0].timed);
	run_free(run);
	arena_free(&arena);
}
END_TEST

START_TEST(the_fault_lies_in_the_interval_of_its_injection)
{
	const struct driver_ops driver = real_driver(measure_well);
	struct record record;
	struct run *run = drill(&driver, false, &record);
	const struct fault_record *fault = &record.faults[0];

	ck_assert(fault->timed);
	ck_assert_int_le(fault->before, record.incidents[0].marks[MARK_FAULT]);
	ck_assert_int_ge(fault->after, record.incidents[0].marks[MARK_FAULT]);
	run_free(run);
	run = drill(&driver, true, &record);
	ck_assert(!record.faults[0].timed);
	run_free(run);
	arena_free(&arena);
}
END_TEST

START_TEST(a_wire_that_contradicts_proves_nothing)
{
	const struct driver_ops driver = real_driver(measure);
	struct record record;
	struct run *run = drill(&driver, false, &record);

	ck_assert_int_eq(record.verdict, VERDICT_INVALID);
	ck_assert_int_eq(record.exit_code, 3);
	ck_assert_ptr_nonnull(strstr(record.abort_reason, "contradicts the client's own account"));
	ck_assert(!record_evaluable(&record));
	run_free(run);
	arena_free(&arena);
}
END_TEST

static void add_cases(Suite *suite)
{
	test_add(suite, "scaled", a_real_driver_gets_the_scaled_scenario);
	test_add(suite, "simulated", a_simulated_one_does_not);
	test_add(suite, "interval", the_fault_lies_in_the_interval_of_its_injection);
	test_add(suite, "wire", a_wire_that_contradicts_proves_nothing);
}

TEST_MAIN("measured", add_cases)
