/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Campaigns over trials whose results are known: the run loop is replaced here by one that computes
 * a trial's record from its number, so that every sum can be checked against plain arithmetic, for
 * any number of threads.
 */
#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/campaign.h"
#include "core/prng.h"
#include "core/stats.h"
#include "tests/test.h"

#define TRIALS_MAX 50000

/* ---- a run loop of known results ---- */

enum behaviour {
	PLAIN,
	SOME_CENSORED,
	SOME_INVALID,
	NO_BRP,
	ALARMS,
	FAILS_AT_70,
	STOPS_AT_500,
	GUARDS
};

struct run {
	const struct scenario *scenario;
	struct run_options options;
	struct incident incident;
	struct fault_record fault;
};

static enum behaviour behaviour;
static atomic_uint runs[TRIALS_MAX];
static volatile sig_atomic_t signal_flag;

int run_new(const struct scenario *scenario, const struct run_options *options,
	    struct run **ret_run, struct error *e)
{
	struct run *run = calloc(1, sizeof(*run));

	(void)e;
	if (!run)
		abort();
	run->scenario = scenario;
	run->options = *options;
	*ret_run = run;
	return 0;
}

void run_free(struct run *run)
{
	free(run);
}

/* Detection of a trial: U(21 s, 31 s), as the closed form of a probe detector has it. */
static nanos detection_of(uint64_t seed, uint64_t trial)
{
	struct prng prng;

	prng_open(&prng, seed, trial, 0, PRNG_TEST);
	return (nanos)llround((21 + 10 * prng_uniform(&prng)) * 1e9);
}

static bool is_every_tenth(uint64_t trial)
{
	return trial % 10 == 9;
}

static void fill_incident(struct incident *incident, nanos detection)
{
	nanos *marks = incident->marks;

	*incident = (struct incident){.path = PATH_FAILOVER, .fault = "gpu.lost"};
	for (size_t i = 0; i < MARKS; i++)
		marks[i] = NANOS_NEVER;
	marks[MARK_FAULT] = NANOS_MINUTE;
	marks[MARK_DETECT] = marks[MARK_SWITCH_BEGIN] = NANOS_MINUTE + detection;
	marks[MARK_SWITCHED] = marks[MARK_DATA_BEGIN] = marks[MARK_DETECT] + 20 * NANOS_S;
	marks[MARK_DATA_RESTORED] = marks[MARK_RESTORED] = marks[MARK_SWITCHED] + 40 * NANOS_S;
}

static void fill_record(struct run *run, uint64_t trial, struct record *record)
{
	struct incident *incident = &run->incident;
	bool tenth = is_every_tenth(trial);

	fill_incident(incident, detection_of(run->options.seed, trial));
	if (behaviour == SOME_CENSORED && tenth) {
		incident->path = PATH_UNRECOVERED;
		incident->marks[MARK_RESTORED] = NANOS_NEVER;
	}
	run->fault = (struct fault_record){
		.name = "gpu.lost",
		.target = "primary",
		.applied = !record->sham,
		.effective = record->sham                         ? TRISTATE_NULL
			     : behaviour == SOME_INVALID && tenth ? TRISTATE_FALSE
								  : TRISTATE_TRUE,
		.reverted = TRISTATE_TRUE,
	};
	record->headline = 0;
	record->incident_count = 1;
	if (record->sham) {
		incident->path = PATH_FALSE_ALARM;
		incident->marks[MARK_FAULT] = NANOS_NEVER;
		record->headline = -1;
		record->incident_count = behaviour == ALARMS && tenth;
	}
	incident_measure(incident);
	record->incidents = incident;
	record->faults = &run->fault;
	record->fault_count = 1;
	record->brp.by_class[DATA_IO].known = true;
	record->brp.known = true;
	record->brp.seconds = behaviour == NO_BRP && tenth ? INFINITY : (double)trial;
	record->brp.bytes = trial * 1000;
	record->availability_time = 1 - (double)trial / 1e6;
	record->availability_requests = NAN;
	record->longest_bad_s = (double)trial;
	if (behaviour == GUARDS && tenth) {
		record->verdict = VERDICT_ABORTED;
		record->abort_reason = "a guard";
	}
	record_judge(record);
}

int run_trial(struct run *run, uint64_t trial, struct timeline *timeline, struct record *record,
	      struct error *e)
{
	(void)timeline;
	atomic_fetch_add(&runs[trial], 1);
	if (behaviour == FAILS_AT_70 && trial >= 70)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "too many events");
	/* Only the thread that was given the flag can see it. */
	if (behaviour == STOPS_AT_500 && trial >= 500) {
		if (run->options.signal)
			signal_flag = SIGINT;
		else
			usleep(1000); /* or these would be through before that one has its turn */
	}
	fill_record(run, trial, record);
	return 0;
}

/* ---- frame ---- */

static const struct driver_ops driver = {.name = "known", .kind = "simulated"};

struct fixture {
	struct scenario scenario;
	struct step step;
	struct run_options options;
	struct record record;
	struct arena arena;
	struct run *run; /* trial 0's: its incidents stand in the record */
};

static void setup(struct fixture *fixture, enum behaviour how, bool sham, uint32_t threads)
{
	*fixture = (struct fixture){0};
	behaviour = how;
	signal_flag = 0;
	memset(runs, 0, sizeof(runs));
	fixture->scenario.step_count = 1;
	fixture->scenario.steps = &fixture->step;
	fixture->scenario.objective_count = 4;
	fixture->scenario.objectives[0] =
		(struct objective){.kind = OBJECTIVE_FRT, .limit = 90, .quantile = 0.95};
	fixture->scenario.objectives[1] =
		(struct objective){.kind = OBJECTIVE_BRP_SECONDS, .limit = 99, .quantile = 0.5};
	fixture->scenario.objectives[2] =
		(struct objective){.kind = OBJECTIVE_AVAILABILITY, .limit = 0.9, .quantile = 0.99};
	fixture->scenario.objectives[3] =
		(struct objective){.kind = OBJECTIVE_MTPD, .limit = 1e9, .quantile = 0.99};
	fixture->options = (struct run_options){.driver = &driver,
						.seed = 42,
						.sham = sham,
						.threads = threads,
						.signal = &signal_flag};
	fixture->record = (struct record){
		.scenario = &fixture->scenario, .seed = 42, .sham = sham, .headline = -1};
	run_new(&fixture->scenario, &fixture->options, &fixture->run, NULL);
	fill_record(fixture->run, 0, &fixture->record);
}

static void teardown(struct fixture *fixture)
{
	run_free(fixture->run);
	arena_free(&fixture->arena);
}

static struct campaign *campaign_of(struct fixture *fixture, uint64_t trials)
{
	struct error e = {0};

	ck_assert_msg(campaign_run(&fixture->scenario, &fixture->options, trials, &fixture->record,
				   &fixture->arena, &e) == 0,
		      "%s", e.text);
	ck_assert_ptr_nonnull(fixture->record.campaign);
	return fixture->record.campaign;
}

/* ---- tests ---- */

START_TEST(every_trial_once)
{
	struct fixture fixture;
	uint64_t trials = (const uint64_t[]){2, 3, 17, 1000, 20000}[_i % 5];

	setup(&fixture, PLAIN, false, (const uint32_t[]){1, 2, 3, 8}[_i / 5]);
	ck_assert_uint_eq(campaign_of(&fixture, trials)->trials, trials);
	ck_assert_uint_eq(atomic_load(&runs[0]), 0); /* it was there already */
	for (uint64_t i = 1; i < trials; i++)
		ck_assert_uint_eq(atomic_load(&runs[i]), 1);
	ck_assert_uint_eq(atomic_load(&runs[trials]), 0);
	teardown(&fixture);
}
END_TEST

START_TEST(sums_by_hand)
{
	struct fixture fixture;
	const struct campaign *campaign;
	const struct summary *brp, *bytes;

	setup(&fixture, PLAIN, false, 2);
	campaign = campaign_of(&fixture, 1000);
	brp = &campaign->measures[MEASURE_BRP_SECONDS]; /* 0, 1, … 999 */
	ck_assert_str_eq(brp->name, "brp_seconds");
	ck_assert_uint_eq(brp->n, 1000);
	ck_assert_uint_eq(brp->censored, 0);
	ck_assert_double_eq_tol(brp->mean, 499.5, 1e-9);
	ck_assert_double_eq_tol(brp->stderr_, sqrt(1000 * 1001 / 12.0 / 1000), 1e-9);
	ck_assert_double_eq(brp->min, 0);
	ck_assert_double_eq(brp->p50, 499);
	ck_assert_double_eq(brp->p95, 949);
	ck_assert_double_eq(brp->p99, 989);
	ck_assert_double_eq(brp->p99_low, 982); /* ranks 983 … 997 */
	ck_assert_double_eq(brp->p99_high, 996);
	ck_assert_double_eq(brp->max, 999);
	bytes = &campaign->measures[MEASURE_BRP_BYTES];
	ck_assert_double_eq(bytes->max, 999000);
	ck_assert_uint_eq(campaign->paths[PATH_FAILOVER], 1000);
	ck_assert_uint_eq(campaign->measures[MEASURE_DECISION].n, 1000);
	ck_assert_double_eq(campaign->measures[MEASURE_SWITCH].max, 20);
	/* 100 of 1000 trials keep to 99 s; its median does not. */
	ck_assert_double_eq(campaign->met_fraction[1], 0.1);
	ck_assert_double_eq(fixture.record.objectives[1].achieved, 499);
	ck_assert_int_eq(fixture.record.objectives[1].met, TRISTATE_FALSE);
	/* 99 % of the trials have at least this availability. */
	ck_assert_double_eq(fixture.record.objectives[2].achieved, 1 - 989 / 1e6);
	ck_assert_double_eq(fixture.record.objectives[3].achieved, 989);
	ck_assert_int_eq(fixture.record.verdict, VERDICT_FAILED);
	teardown(&fixture);
}
END_TEST

/* With 100 trials no order statistic bounds the p99 from above. */
START_TEST(too_few_for_a_bound)
{
	struct fixture fixture;
	const struct summary *brp;

	setup(&fixture, PLAIN, false, 0);
	brp = &campaign_of(&fixture, 100)->measures[MEASURE_BRP_SECONDS];
	ck_assert_double_eq(brp->p99, 98);
	ck_assert_double_eq(brp->p99_low, 96); /* rank 97 */
	ck_assert(isnan(brp->p99_high));
	teardown(&fixture);
}
END_TEST

/* Detection is U(21, 31): mean 26, and its quantiles, within three standard errors. */
START_TEST(against_the_closed_form)
{
	struct fixture fixture;
	const struct summary *detection, *frt;
	double n = 20000;

	setup(&fixture, PLAIN, false, 2);
	detection = &campaign_of(&fixture, (uint64_t)n)->measures[MEASURE_DETECTION];
	ck_assert_double_eq_tol(detection->mean, 26, 3 * 10 / sqrt(12 * n));
	ck_assert_double_eq_tol(detection->stderr_, 10 / sqrt(12 * n), 1e-3);
	ck_assert_double_eq_tol(detection->p95, 30.5, 3 * 10 * sqrt(0.95 * 0.05 / n));
	ck_assert_double_le(detection->p99_low, detection->p99);
	ck_assert_double_ge(detection->p99_high, detection->p99);
	ck_assert_double_ge(detection->min, 21);
	ck_assert_double_le(detection->max, 31);
	/* FRT is the detection and one minute, trial by trial. */
	frt = &fixture.record.campaign->measures[MEASURE_FRT];
	for (size_t i = 0; i < frt->n; i++)
		ck_assert_double_eq_tol(frt->sorted[i], detection->sorted[i] + 60, 1e-9);
	teardown(&fixture);
}
END_TEST

static void same_summary(const struct summary *a, const struct summary *b)
{
	ck_assert_uint_eq(a->n, b->n);
	ck_assert_uint_eq(a->censored, b->censored);
	ck_assert_mem_eq(&a->mean, &b->mean, sizeof(double));
	ck_assert_mem_eq(&a->stderr_, &b->stderr_, sizeof(double));
	ck_assert_mem_eq(&a->p99_low, &b->p99_low, sizeof(double));
	if (a->n > 0)
		ck_assert_mem_eq(a->sorted, b->sorted, a->n * sizeof(double));
}

START_TEST(threads_do_not_matter)
{
	struct fixture one, many;
	const struct campaign *a, *b;

	setup(&one, SOME_CENSORED, false, 1);
	a = campaign_of(&one, 5000);
	setup(&many, SOME_CENSORED, false, (const uint32_t[]){2, 3, 8, 64}[_i]);
	b = campaign_of(&many, 5000);
	for (size_t i = 0; i < MEASURES; i++)
		same_summary(&a->measures[i], &b->measures[i]);
	same_summary(&a->disruption, &b->disruption);
	ck_assert_mem_eq(a->met_fraction, b->met_fraction, sizeof(a->met_fraction));
	ck_assert_mem_eq(a->paths, b->paths, sizeof(a->paths));
	teardown(&one);
	teardown(&many);
}
END_TEST

/* One in ten never recovers: no p95 of FRT, and the objective is missed without end. */
START_TEST(censored)
{
	struct fixture fixture;
	const struct campaign *campaign;
	const struct summary *frt;

	setup(&fixture, SOME_CENSORED, false, 2);
	campaign = campaign_of(&fixture, 1000);
	frt = &campaign->measures[MEASURE_FRT];
	ck_assert_uint_eq(campaign->censored, 100);
	ck_assert_uint_eq(frt->censored, 100);
	ck_assert_uint_eq(frt->n, 900);
	ck_assert(isfinite(frt->p50));
	ck_assert(isnan(frt->p95));
	ck_assert(isnan(frt->p99_high));
	ck_assert_double_eq(frt->p50, frt->sorted[499]); /* of 1000, not of 900 */
	ck_assert_uint_eq(campaign->paths[PATH_UNRECOVERED], 100);
	ck_assert(isinf(fixture.record.objectives[0].achieved));
	ck_assert_int_eq(fixture.record.objectives[0].met, TRISTATE_FALSE);
	/* They missed it in their own trial too. */
	ck_assert_double_eq_tol(campaign->met_fraction[0], 0.9 * 0.9, 0.05);
	teardown(&fixture);
}
END_TEST

START_TEST(no_recovery_point)
{
	struct fixture fixture;
	const struct summary *brp;

	setup(&fixture, NO_BRP, false, 2);
	brp = &campaign_of(&fixture, 1000)->measures[MEASURE_BRP_SECONDS];
	ck_assert_uint_eq(brp->censored, 100);
	ck_assert_uint_eq(brp->n, 900);
	ck_assert_uint_eq(fixture.record.campaign->censored, 0); /* they recovered, without data */
	teardown(&fixture);
}
END_TEST

/* What a trial without effect measured is in no number, and the campaign is not evaluable. */
START_TEST(invalid)
{
	struct fixture fixture;
	const struct campaign *campaign;

	setup(&fixture, SOME_INVALID, false, 2);
	campaign = campaign_of(&fixture, 1000);
	ck_assert_uint_eq(campaign->invalid, 100);
	ck_assert_uint_eq(campaign->measures[MEASURE_FRT].n, 900);
	ck_assert_uint_eq(campaign->measures[MEASURE_FRT].censored, 0);
	ck_assert_int_eq(fixture.record.verdict, VERDICT_INVALID);
	ck_assert_int_eq(fixture.record.exit_code, 3);
	teardown(&fixture);
}
END_TEST

START_TEST(guards)
{
	struct fixture fixture;

	setup(&fixture, GUARDS, false, 2);
	ck_assert_uint_eq(campaign_of(&fixture, 1000)->aborted, 100);
	ck_assert_int_eq(fixture.record.exit_code, 5);
	teardown(&fixture);
}
END_TEST

START_TEST(sham)
{
	struct fixture fixture;

	setup(&fixture, PLAIN, true, 2);
	ck_assert_uint_eq(campaign_of(&fixture, 100)->fired, 0);
	ck_assert_int_eq(fixture.record.exit_code, 0);
	teardown(&fixture);

	setup(&fixture, ALARMS, true, 2);
	ck_assert_uint_eq(campaign_of(&fixture, 100)->fired, 10);
	ck_assert_uint_eq(fixture.record.campaign->paths[PATH_FALSE_ALARM], 10);
	ck_assert_int_eq(fixture.record.exit_code, 1);
	teardown(&fixture);
}
END_TEST

/* A signal: what is summed up are the trials from 0 on that are done, without a gap. */
START_TEST(stopped)
{
	struct fixture fixture;
	const struct campaign *campaign;

	setup(&fixture, STOPS_AT_500, false, (const uint32_t[]){1, 2, 8}[_i]);
	campaign = campaign_of(&fixture, TRIALS_MAX);
	/* One thread stops right there; among several the one that is told may come to it later. */
	ck_assert_uint_gt(campaign->trials, 0);
	ck_assert_uint_lt(campaign->trials, TRIALS_MAX);
	if (_i == 0)
		ck_assert_uint_eq(campaign->trials, 500);
	ck_assert_uint_eq(campaign->measures[MEASURE_FRT].n, campaign->trials);
	ck_assert_double_eq(campaign->measures[MEASURE_BRP_SECONDS].max,
			    (double)campaign->trials - 1);
	ck_assert_int_eq(fixture.record.verdict, VERDICT_ABORTED);
	ck_assert_int_eq(fixture.record.exit_code, 5);
	ck_assert_ptr_nonnull(strstr(fixture.record.abort_reason, "of 50000 trials"));
	teardown(&fixture);
}
END_TEST

START_TEST(trial_fails)
{
	struct fixture fixture;
	struct error e = {0};

	setup(&fixture, FAILS_AT_70, false, 1);
	ck_assert_int_eq(campaign_run(&fixture.scenario, &fixture.options, 1000, &fixture.record,
				      &fixture.arena, &e),
			 -1);
	ck_assert_int_eq(e.kind, ERROR_LIMIT);
	ck_assert_str_eq(e.text, "trial 70: too many events");
	ck_assert_ptr_null(fixture.record.campaign);
	teardown(&fixture);
}
END_TEST

/* ---- progress: from the calling thread only, never backwards ---- */

struct heard {
	uint64_t count, last;
};

static void hear(void *self, const struct run_progress *progress)
{
	struct heard *heard = self;

	ck_assert_uint_eq(progress->trials, 10000);
	ck_assert_uint_lt(progress->trial, progress->trials);
	ck_assert_uint_ge(progress->trial, heard->last);
	heard->count++;
	heard->last = progress->trial;
}

START_TEST(progress)
{
	struct fixture fixture;
	struct heard heard = {0};

	setup(&fixture, PLAIN, false, 2);
	fixture.options.progress = hear;
	fixture.options.progress_self = &heard;
	campaign_of(&fixture, 10000);
	ck_assert_uint_gt(heard.count, 0);
	ck_assert_uint_gt(heard.last, 0);
	teardown(&fixture);
}
END_TEST

static void add_cases(Suite *suite)
{
	test_add_loop(suite, "every trial once", every_trial_once, 20);
	test_add(suite, "sums by hand", sums_by_hand);
	test_add(suite, "too few for a bound", too_few_for_a_bound);
	test_add(suite, "closed form", against_the_closed_form);
	test_add_loop(suite, "threads", threads_do_not_matter, 4);
	test_add(suite, "censored", censored);
	test_add(suite, "no recovery point", no_recovery_point);
	test_add(suite, "invalid", invalid);
	test_add(suite, "guards", guards);
	test_add(suite, "sham", sham);
	test_add_loop(suite, "stopped", stopped, 3);
	test_add(suite, "trial fails", trial_fails);
	test_add(suite, "progress", progress);
}

TEST_MAIN("campaign", add_cases)
