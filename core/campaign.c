/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the trials of a campaign on all processors and sums them up in the order of their numbers.
 */
#include "core/campaign.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/stats.h"

#define THREADS_MAX 64
#define BLOCK_MAX 16 /* trials a worker takes at once, so that two seldom write one cache line */
#define ALPHA 0.05   /* intervals are 95 % intervals */

/* What is kept of a trial beside its measures, in one word. 0: not run. */
#define OUTCOME_DONE (1u << 0)
#define OUTCOME_INVALID (1u << 1)
#define OUTCOME_ABORTED (1u << 2)
#define OUTCOME_RESIDUE (1u << 3)
#define OUTCOME_FIRED (1u << 4)
#define OUTCOME_CENSORED (1u << 5)
#define OUTCOME_PATH (1u << 6) /* there is a path, in the three bits from 7 on */
#define OUTCOME_PATH_SHIFT 7
#define OUTCOME_MET_SHIFT 10 /* two bits for each objective: 0 null, 1 missed, 2 met */

_Static_assert(OUTCOME_MET_SHIFT + 2 * OBJECTIVES <= 32, "an outcome has 32 bits");

/* Shared by the workers: each writes only the places of its own trials. */
struct pool {
	const struct scenario *scenario;
	const struct run_options *options;
	uint64_t trials, block;
	double *values[MEASURES]; /* by trial: INFINITY censored, NAN null */
	double *disruptions, *ettrs;
	uint32_t *outcomes;
	atomic_uint_fast64_t next;
	atomic_bool stop;
};

struct worker {
	struct pool *pool;
	pthread_t thread;
	bool caller; /* the calling thread: it alone hears the signal and tells the progress */
	bool started, joined;
	uint64_t failed; /* the trial that could not be run, UINT64_MAX: none */
	struct timeline timeline;
	struct error error;
};

/* ---- one trial ---- */

static uint32_t outcome_of(const struct record *record)
{
	uint32_t outcome = OUTCOME_DONE;
	int path = record->headline < 0 ? -1 : (int)record->incidents[record->headline].path;

	if (!record_evaluable(record))
		outcome |= OUTCOME_INVALID;
	if (record->verdict == VERDICT_ABORTED)
		outcome |= OUTCOME_ABORTED;
	if (record->verdict == VERDICT_RESIDUE)
		outcome |= OUTCOME_RESIDUE;
	if (record->sham && record->incident_count > 0)
		outcome |= OUTCOME_FIRED;
	if (path == PATH_UNRECOVERED)
		outcome |= OUTCOME_CENSORED;
	if (path < 0 && record->incident_count > 0)
		path = PATH_FALSE_ALARM; /* they alone are never the headline */
	if (path >= 0)
		outcome |= OUTCOME_PATH | (uint32_t)path << OUTCOME_PATH_SHIFT;
	for (size_t i = 0; i < record->objective_count; i++)
		if (record->objectives[i].met != TRISTATE_NULL)
			outcome |= (record->objectives[i].met == TRISTATE_TRUE ? 2u : 1u)
				   << (OUTCOME_MET_SHIFT + 2 * i);
	return outcome;
}

/* A trial that says nothing about recovery leaves no numbers, only its count. */
static void keep(struct pool *pool, uint64_t trial, const struct record *record)
{
	double measures[MEASURES];
	uint32_t outcome = outcome_of(record);
	bool invalid = outcome & OUTCOME_INVALID;

	record_measures(record, measures);
	for (size_t i = 0; i < MEASURES; i++)
		pool->values[i][trial] = invalid ? NAN : measures[i];
	pool->disruptions[trial] = invalid ? NAN : record_disruption(record);
	pool->ettrs[trial] = invalid ? NAN : record_ettr(record);
	pool->outcomes[trial] = outcome;
}

static bool stopped(const struct worker *worker)
{
	struct pool *pool = worker->pool;

	if (worker->caller && pool->options->signal && *pool->options->signal)
		atomic_store(&pool->stop, true);
	return atomic_load(&pool->stop);
}

static void tell(const struct worker *worker, uint64_t trial)
{
	const struct run_options *options = worker->pool->options;
	const struct run_progress progress = {.trial = trial, .trials = worker->pool->trials};

	if (worker->caller && options->progress)
		options->progress(options->progress_self, &progress);
}

static int work_trial(struct worker *worker, struct run *run, uint64_t trial)
{
	struct pool *pool = worker->pool;
	struct record record = {
		.scenario = pool->scenario,
		.driver = pool->options->driver->name,
		.kind = pool->options->driver->kind,
		.seed = pool->options->seed,
		.sham = pool->options->sham,
		.trial = trial,
		.headline = -1,
	};

	if (run_trial(run, trial, &worker->timeline, &record, &worker->error)) {
		worker->failed = trial;
		atomic_store(&pool->stop, true);
		return -1;
	}
	/* A signal may have cut this trial short: it does not count. */
	if (worker->caller && stopped(worker))
		return -1;
	keep(pool, trial, &record);
	return 0;
}

static void *work(void *self)
{
	struct worker *worker = self;
	struct pool *pool = worker->pool;
	struct run_options options = *pool->options;
	struct run *run;

	/* Only one thread may look at the flag that a signal sets; it tells the others by
	 * pool->stop. */
	if (!worker->caller)
		options.signal = NULL;
	options.progress = NULL;
	if (run_new(pool->scenario, &options, &run, &worker->error)) {
		worker->failed = 0;
		atomic_store(&pool->stop, true);
		return NULL;
	}
	timeline_open(&worker->timeline, NULL, NULL);
	tell(worker, 1); /* the others may be done before the first block is ours */
	while (!stopped(worker)) {
		uint64_t first = atomic_fetch_add(&pool->next, pool->block);

		if (first >= pool->trials)
			break;
		tell(worker, first);
		for (uint64_t i = first; i < first + pool->block && i < pool->trials; i++)
			if (stopped(worker) || work_trial(worker, run, i))
				break;
	}
	run_free(run);
	return NULL;
}

/* ---- all of them ---- */

static uint32_t thread_count(const struct run_options *options, uint64_t trials)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t count = processors > 0 ? (uint64_t)processors : 1;

	if (options->threads > 0)
		count = options->threads;
	if (count > THREADS_MAX)
		count = THREADS_MAX;
	if (count > trials)
		count = trials;
	/* A real deployment can be broken by one drill at a time only. */
	return strcmp(options->driver->kind, "simulated") == 0 ? (uint32_t)count : 1;
}

/* Wait for the others, with an eye on the signal. */
static void join_all(struct worker *workers, uint32_t count)
{
	const struct timespec pause = {.tv_nsec = NANOS_MS};
	uint32_t left = 0;

	for (uint32_t i = 1; i < count; i++)
		left += workers[i].started;
	while (left > 0) {
		for (uint32_t i = 1; i < count; i++) {
			struct worker *worker = &workers[i];

			if (!worker->started || worker->joined ||
			    pthread_tryjoin_np(worker->thread, NULL))
				continue;
			worker->joined = true;
			left--;
		}
		if (left > 0) {
			stopped(&workers[0]);
			nanosleep(&pause, NULL);
		}
	}
}

static int run_all(struct pool *pool, uint32_t count, struct arena *arena, struct error *e)
{
	struct worker *workers = arena_array(arena, count, sizeof(*workers)), *failed = NULL;

	for (uint32_t i = 0; i < count; i++) {
		workers[i].pool = pool;
		workers[i].caller = i == 0;
		workers[i].failed = UINT64_MAX;
	}
	/* A thread that cannot be had is one thread less, nothing else. */
	for (uint32_t i = 1; i < count; i++)
		workers[i].started =
			pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0;
	work(&workers[0]);
	join_all(workers, count);
	for (uint32_t i = 0; i < count; i++)
		if (workers[i].failed != UINT64_MAX &&
		    (!failed || workers[i].failed < failed->failed))
			failed = &workers[i];
	if (!failed)
		return 0;
	return error_set(e, failed->error.kind, failed->error.place, "trial %" PRIu64 ": %s",
			 failed->failed, failed->error.text);
}

/* ---- the sums: over the values in ascending order, so that they do not depend on who was first
 * ---- */

/* Past the last value stand the censored ones, of which no more is known. */
static double at_rank(const struct summary *summary, uint64_t rank)
{
	return rank > 0 && rank <= summary->n ? summary->sorted[rank - 1] : NAN;
}

/* Sorts `values` in place and keeps it as the summary's. */
static struct summary sum_up(const char *name, double *values, uint64_t trials)
{
	struct summary summary = {.name = name, .sorted = values};
	struct stats_moments moments;
	struct stats_ranks ranks;
	uint64_t total;

	for (uint64_t i = 0; i < trials; i++) {
		if (isinf(values[i]))
			summary.censored++;
		else if (!isnan(values[i]))
			values[summary.n++] = values[i];
	}
	stats_sort(values, summary.n);
	moments = stats_moments_of(values, summary.n);
	total = summary.n + summary.censored;
	ranks = total > 0 ? stats_quantile_interval(total, 0.99, ALPHA) : (struct stats_ranks){0};
	summary.mean = summary.n > 0 ? moments.mean : NAN;
	summary.stderr_ = stats_standard_error(&moments);
	summary.min = at_rank(&summary, 1);
	summary.max = at_rank(&summary, summary.n);
	summary.p05 = at_rank(&summary, stats_quantile_rank(total, 0.05));
	summary.p50 = at_rank(&summary, stats_quantile_rank(total, 0.50));
	summary.p95 = at_rank(&summary, stats_quantile_rank(total, 0.95));
	summary.p99 = at_rank(&summary, stats_quantile_rank(total, 0.99));
	summary.p99_low = at_rank(&summary, ranks.low);
	summary.p99_high = at_rank(&summary, ranks.high);
	return summary;
}

/* Of availability more is better: its p95 is what 95 % of the trials kept to at least. */
static void count_from_top(struct summary *summary)
{
	struct stats_ranks ranks = summary->n > 0 ? stats_quantile_interval(summary->n, 0.99, ALPHA)
						  : (struct stats_ranks){0};
	uint64_t n = summary->n, top = n + 1;

	summary->p05 = at_rank(summary, top - stats_quantile_rank(n, 0.05));
	summary->p50 = at_rank(summary, top - stats_quantile_rank(n, 0.50));
	summary->p95 = at_rank(summary, top - stats_quantile_rank(n, 0.95));
	summary->p99 = at_rank(summary, top - stats_quantile_rank(n, 0.99));
	summary->p99_high = ranks.low > 0 ? at_rank(summary, top - ranks.low) : NAN;
	summary->p99_low = ranks.high > 0 ? at_rank(summary, top - ranks.high) : NAN;
}

static void count_outcomes(const struct pool *pool, uint64_t trials, struct campaign *campaign)
{
	size_t objectives = pool->scenario->objective_count;
	uint64_t met[OBJECTIVES] = {0}, missed[OBJECTIVES] = {0};

	for (uint64_t i = 0; i < trials; i++) {
		uint32_t outcome = pool->outcomes[i];

		campaign->invalid += (outcome & OUTCOME_INVALID) != 0;
		campaign->aborted += (outcome & OUTCOME_ABORTED) != 0;
		campaign->residue += (outcome & OUTCOME_RESIDUE) != 0;
		campaign->fired += (outcome & OUTCOME_FIRED) != 0;
		campaign->censored += (outcome & OUTCOME_CENSORED) != 0;
		if (outcome & OUTCOME_PATH)
			campaign->paths[outcome >> OUTCOME_PATH_SHIFT & 7]++;
		for (size_t k = 0; k < objectives && !(outcome & OUTCOME_INVALID); k++) {
			uint32_t bits = outcome >> (OUTCOME_MET_SHIFT + 2 * k) & 3;

			met[k] += bits == 2;
			missed[k] += bits == 1;
		}
	}
	for (size_t k = 0; k < objectives; k++) {
		double judged = (double)(met[k] + missed[k]);

		campaign->met_fraction[k] = judged > 0 ? (double)met[k] / judged : NAN;
	}
}

/* Before they are sorted. */
static void keep_first(const struct pool *pool, struct campaign *campaign, struct arena *arena)
{
	uint64_t count = campaign->trials,
		 most = pool->options->keep ? pool->options->keep : CAMPAIGN_FIRST_MAX;

	campaign->first_count = count < most ? count : most;
	for (size_t i = 0; i < MEASURES; i++) {
		double *first = arena_array(arena, campaign->first_count, sizeof(*first));

		memcpy(first, pool->values[i], campaign->first_count * sizeof(*first));
		campaign->first[i] = first;
	}
}

static uint64_t done_from_start(const struct pool *pool)
{
	uint64_t count = 0;

	while (count < pool->trials && pool->outcomes[count])
		count++;
	return count;
}

int campaign_run(const struct scenario *scenario, const struct run_options *options,
		 uint64_t trials, struct record *record, struct arena *arena, struct error *e)
{
	uint32_t threads = thread_count(options, trials);
	struct pool pool = {.scenario = scenario, .options = options, .trials = trials};
	struct campaign *campaign = arena_alloc(arena, sizeof(*campaign));

	assert(trials > 1);
	assert(trials <= CAMPAIGN_TRIALS_MAX);
	for (size_t i = 0; i < MEASURES; i++)
		pool.values[i] = arena_array(arena, trials, sizeof(double));
	pool.disruptions = arena_array(arena, trials, sizeof(double));
	pool.ettrs = arena_array(arena, trials, sizeof(double));
	pool.outcomes = arena_array(arena, trials, sizeof(uint32_t));
	pool.block = trials / (64 * (uint64_t)threads);
	pool.block = pool.block < 1 ? 1 : pool.block > BLOCK_MAX ? BLOCK_MAX : pool.block;
	atomic_init(&pool.next, 1);
	atomic_init(&pool.stop, false);
	keep(&pool, 0, record);
	if (run_all(&pool, threads, arena, e))
		return -1;

	campaign->trials = done_from_start(&pool);
	count_outcomes(&pool, campaign->trials, campaign);
	keep_first(&pool, campaign, arena);
	for (size_t i = 0; i < MEASURES; i++)
		campaign->measures[i] = sum_up(measure_names[i], pool.values[i], campaign->trials);
	count_from_top(&campaign->measures[MEASURE_AVAILABILITY]);
	campaign->ettr = sum_up("ettr", pool.ettrs, campaign->trials);
	count_from_top(&campaign->ettr);
	campaign->disruption = sum_up("longest_bad_s", pool.disruptions, campaign->trials);
	record->campaign = campaign;
	if (campaign->trials < trials && record->verdict != VERDICT_RESIDUE) {
		record->verdict = VERDICT_ABORTED;
		record->abort_reason =
			arena_printf(arena, "a signal after %" PRIu64 " of %" PRIu64 " trials",
				     campaign->trials, trials);
	}
	record_judge(record);
	return 0;
}
