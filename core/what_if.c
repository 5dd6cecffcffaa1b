/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the drill again with one thing changed, compares, and says what that would have saved. */
#include "core/what_if.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/campaign.h"
#include "core/stats.h"
#include "core/words.h"

#define ALPHA 0.05           /* intervals are 95 % intervals */
#define LEAST_SECONDS 1.0    /* what saves less than this and */
#define LEAST_SHARE 0.01     /* less than this share is not worth a line */
#define LARGE_SHARE 0.1      /* what saves this share is more than a note */
#define NOTHING_SECONDS 1e-6 /* below it is rounding */
#define NODE_WORK 16         /* setting one node up, in the units of record.work */
#define TEXT_WORK 8          /* bytes of a scenario that are read in one of these units */

/* What a run gave, or a campaign of it: by trial, INFINITY where it did not come back. */
struct outcome {
	uint64_t trials;
	const double *values[MEASURES];
	double single[MEASURES]; /* room for one trial */
	struct objective_result objectives[OBJECTIVES];
	size_t objective_count;
};

struct comparison {
	struct record *record;
	const struct run_options *options;
	struct arena *arena;
	struct outcome base;
	size_t tried, told;
};

/* ---- one run ---- */

static void take(struct outcome *outcome, const struct record *record, uint64_t trials)
{
	record_measures(record, outcome->single);
	outcome->trials = trials;
	for (int m = 0; m < MEASURES; m++)
		outcome->values[m] = trials > 1 ? record->campaign->first[m] : &outcome->single[m];
	memcpy(outcome->objectives, record->objectives, sizeof(outcome->objectives));
	outcome->objective_count = record->objective_count;
}

static int run_all(struct run *run, const struct scenario *scenario,
		   const struct run_options *options, uint64_t trials, struct arena *arena,
		   struct outcome *ret)
{
	struct record *record = arena_alloc(arena, sizeof(*record));
	struct timeline *timeline = arena_alloc(arena, sizeof(*timeline));
	struct error e = {0};

	*record = (struct record){.scenario = scenario,
				  .driver = options->driver->name,
				  .kind = options->driver->kind,
				  .seed = options->seed,
				  .headline = -1};
	if (timeline_open(timeline, NULL, &e) || run_trial(run, 0, timeline, record, &e))
		return -1;
	if (trials > 1 && campaign_run(scenario, options, trials, record, arena, &e))
		return -1;
	/* What a guard stopped, or where a fault took no effect, tells nothing about recovery. */
	if (!record_evaluable(record) || record->verdict == VERDICT_ABORTED ||
	    record->verdict == VERDICT_RESIDUE ||
	    (record->campaign && record->campaign->invalid > 0))
		return -1;
	take(ret, record, trials);
	return 0;
}

/* -1: the change makes no valid scenario, or none that can be compared. */
static int run_change(const struct comparison *c, const struct what_if_change *change,
		      struct arena *arena, struct outcome *ret)
{
	struct run_options options = *c->options;
	struct scenario *scenario;
	struct error e = {0};
	struct run *run;
	int rc;

	options.progress = NULL;
	if (scenario_variant(c->record->scenario, change->sets, change->set_count, arena, &scenario,
			     &e) ||
	    run_new(scenario, &options, &run, &e))
		return -1;
	rc = run_all(run, scenario, &options, c->base.trials, arena, ret);
	run_free(run);
	return rc;
}

/* ---- what it would have saved ---- */

struct saving {
	double before, mean, low, high; /* in the unit of the measure; low and high NAN: one run */
	uint64_t pairs, stuck, freed, lost; /* trials that did not come back; of these that then
					       would; that then would not */
};

static struct saving compare(const double *before, const double *after, uint64_t trials)
{
	struct stats_paired paired = stats_paired_of(before, after, trials, ALPHA);
	struct saving saving = {.before = paired.before,
				.mean = paired.mean,
				.low = paired.low,
				.high = paired.high,
				.pairs = paired.n};

	for (uint64_t i = 0; i < trials; i++) {
		saving.stuck += isinf(before[i]) != 0;
		saving.freed += isinf(before[i]) && isfinite(after[i]);
		saving.lost += isfinite(before[i]) && isinf(after[i]);
	}
	return saving;
}

/* Time without good service, out of its share of good time. */
static struct saving compare_bad_time(const struct comparison *c, const struct outcome *after)
{
	double duration = (double)c->record->duration / 1e9;
	struct saving good = compare(c->base.values[MEASURE_AVAILABILITY],
				     after->values[MEASURE_AVAILABILITY], after->trials);

	return (struct saving){.before = (1 - good.before) * duration,
			       .mean = -good.mean * duration,
			       .low = -good.high * duration,
			       .high = -good.low * duration,
			       .pairs = good.pairs};
}

static bool is_worth(const struct saving *saving)
{
	if (saving->pairs == 0 || !(saving->mean > NOTHING_SECONDS) || saving->lost > 0 ||
	    (saving->pairs > 1 && !(saving->low > 0)))
		return false;
	return saving->mean >= LEAST_SECONDS || saving->mean >= LEAST_SHARE * saving->before;
}

/* "frt, brp.seconds": the objectives that were judged otherwise; "" for none. */
static const char *objectives_that(const struct comparison *c, const struct outcome *after,
				   enum tristate to)
{
	const char *list = "";

	/* One trial is no quantile of many. */
	if (c->record->campaign && after->trials < 2)
		return list;
	for (size_t i = 0; i < after->objective_count; i++) {
		const struct objective_result *now = &after->objectives[i];
		enum tristate was = c->base.objectives[i].met;

		if (now->met == to && was != to && was != TRISTATE_NULL)
			list = arena_printf(c->arena, "%s%s%s", list, *list ? ", " : "", now->name);
	}
	return list;
}

static const char *and_objectives(const struct comparison *c, const char *verb, const char *list)
{
	return *list ? arena_printf(c->arena, "%s the objective%s ", verb,
				    strchr(list, ',') ? "s" : "")
		     : "";
}

/* What gets faster in one place may cost elsewhere: false alarms, a standby that is overrun. NAN:
 * nothing worth a word. */
static double price_of(const struct comparison *c, const struct outcome *after)
{
	double more = -compare_bad_time(c, after).mean;

	return more >= LEAST_SECONDS ? more : NAN;
}

static const char *price_text(const struct comparison *c, double price)
{
	char text[WORDS_MAX];

	if (isnan(price))
		return "";
	return arena_printf(c->arena, ", at the price of %s more bad service in all",
			    words_duration(text, price));
}

static const char *commands(const struct comparison *c, const struct what_if_change *change)
{
	const char *text = "";

	for (size_t i = 0; i < change->set_count; i++)
		text = arena_printf(c->arena, "%s --set '%s'", text, change->sets[i]);
	return text;
}

/* `what` it would have done, with what that does to the objectives and how to try it. */
static void tell(struct comparison *c, const struct what_if_change *change,
		 const struct outcome *after, enum severity severity, double seconds,
		 const char *format, ...) __attribute__((format(printf, 6, 7)));

static void tell(struct comparison *c, const struct what_if_change *change,
		 const struct outcome *after, enum severity severity, double seconds,
		 const char *format, ...)
{
	const char *met = objectives_that(c, after, TRISTATE_TRUE);
	const char *missed = objectives_that(c, after, TRISTATE_FALSE);
	double price = price_of(c, after);
	char what[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	if ((*missed || price > seconds) && severity < SEVERITY_HIGH)
		severity = SEVERITY_INFO;
	else if (*met && severity < SEVERITY_MEDIUM)
		severity = SEVERITY_MEDIUM;
	c->told++;
	seconds = round(seconds * 1e9) / 1e9; /* what is less is the rounding of differences */
	findings_add(c->record, severity, seconds,
		     arena_printf(c->arena,
				  "%s would have %s%s%s%s%s%s (recomputed by running the drill "
				  "again with%s).",
				  change->text, what, and_objectives(c, ", and met", met), met,
				  and_objectives(c, ", but missed", missed), missed,
				  price_text(c, price), commands(c, change)));
}

static enum severity weight(const struct saving *saving)
{
	return saving->mean >= LARGE_SHARE * saving->before ? SEVERITY_LOW : SEVERITY_INFO;
}

/* " on average (95 % interval 38 s to 44 s, 200 trials)"; nothing for one run. */
static const char *interval_text(const struct comparison *c, const struct saving *saving)
{
	char low[WORDS_MAX], high[WORDS_MAX];

	if (c->base.trials < 2)
		return c->record->campaign ? " in trial 0" : "";
	return arena_printf(c->arena, " on average (95 %% interval %s to %s, %" PRIu64 " trials)",
			    words_duration(low, saving->low), words_duration(high, saving->high),
			    saving->pairs);
}

static bool tell_recovered(struct comparison *c, const struct what_if_change *change,
			   const struct outcome *after, const struct saving *frt)
{
	const struct incident *incident = &c->record->incidents[c->record->headline];
	double open = (double)(c->record->duration - incident->marks[MARK_FAULT]) / 1e9;
	double now = after->values[MEASURE_FRT][0];
	char text[WORDS_MAX];

	if (frt->freed == 0 || frt->lost >= frt->freed)
		return false;
	if (after->trials == 1)
		tell(c, change, after, SEVERITY_HIGH, open - now,
		     "recovered it, %s after the fault", words_duration(text, now));
	else
		tell(c, change, after, SEVERITY_HIGH, NAN,
		     "recovered %" PRIu64 " of the %" PRIu64 " trials that did not recover (of the "
		     "first %" PRIu64 ")",
		     frt->freed, frt->stuck, after->trials);
	return true;
}

static bool tell_time(struct comparison *c, const struct what_if_change *change,
		      const struct outcome *after, const struct saving *saving, const char *what)
{
	char saved[WORDS_MAX], whole[WORDS_MAX];

	if (!is_worth(saving))
		return false;
	tell(c, change, after, weight(saving), saving->mean, "saved %s of %s %s%s",
	     words_duration(saved, saving->mean), words_duration(whole, saving->before), what,
	     interval_text(c, saving));
	return true;
}

static bool tell_loss(struct comparison *c, const struct what_if_change *change,
		      const struct outcome *after)
{
	struct saving age = compare(c->base.values[MEASURE_BRP_SECONDS],
				    after->values[MEASURE_BRP_SECONDS], after->trials);
	struct saving bytes = compare(c->base.values[MEASURE_BRP_BYTES],
				      after->values[MEASURE_BRP_BYTES], after->trials);
	char was[WORDS_MAX], now[WORDS_MAX], less[WORDS_MAX];

	if (!is_worth(&age))
		return false;
	words_bytes(less, bytes.mean);
	tell(c, change, after, weight(&age), age.mean,
	     "restored from a point %s old instead of %s%s%s%s%s",
	     words_duration(now, age.before - age.mean), words_duration(was, age.before),
	     interval_text(c, &age), bytes.mean >= 1 ? ", and kept " : "",
	     bytes.mean >= 1 ? less : "", bytes.mean >= 1 ? " of what was lost" : "");
	return true;
}

static void judge(struct comparison *c, const struct what_if_change *change,
		  const struct outcome *after)
{
	struct saving frt =
		compare(c->base.values[MEASURE_FRT], after->values[MEASURE_FRT], after->trials);
	struct saving bad = compare_bad_time(c, after);

	if (tell_recovered(c, change, after, &frt))
		return;
	if (change->aim == WHAT_IF_LOSS && tell_loss(c, change, after))
		return;
	if (tell_time(c, change, after, &frt, "FRT"))
		return;
	if (frt.lost == 0 && tell_time(c, change, after, &bad, "bad service"))
		return;
	if (change->aim != WHAT_IF_LOSS)
		tell_loss(c, change, after);
}

/* ---- all of them ---- */

static bool signalled(const struct run_options *options)
{
	return options->signal && *options->signal != 0;
}

/* Is there a recovery that a change could have made shorter, and a model that can run it again? */
static bool applies(const struct record *record, const struct run_options *options)
{
	double measures[MEASURES];

	if (record->sham || strcmp(options->driver->kind, "simulated") != 0 ||
	    scenario_is_scaled(record->scenario) || record->headline < 0 || signalled(options) ||
	    !record_evaluable(record))
		return false;
	if (record->campaign) {
		const struct summary *frt = &record->campaign->measures[MEASURE_FRT];

		return frt->censored > 0 || (frt->n > 0 && frt->max > 0);
	}
	record_measures(record, measures);
	return measures[MEASURE_FRT] > 0 || measures[MEASURE_BRP_SECONDS] > 0;
}

/* Of one trial, as a count that is the same wherever it runs. */
static double cost_of(const struct record *record)
{
	const struct scenario *scenario = record->scenario;
	double cost = (double)record->work + (double)scenario->text_size / TEXT_WORK;

	for (size_t i = 0; i < scenario->deployment.site_count; i++)
		cost += NODE_WORK * (double)scenario->deployment.sites[i].nodes;
	return cost;
}

/*
 * How many trials of each change are worth their time: as many as were run, or one. That goes by
 * counts, not by a clock, so that it is the same wherever it runs; after a campaign it may take as
 * much as that took. Where one trial of each is too much already, the last changes are left out.
 */
static uint64_t trials_for(const struct record *record, size_t *changes)
{
	double cost = cost_of(record), most = WHAT_IF_WORK_MAX, fit;
	uint64_t trials = 1;

	if (record->campaign) {
		most = fmax(most, cost * (double)record->campaign->trials);
		trials = record->campaign->first_count;
	}
	fit = most / cost;
	if ((double)(trials * *changes) > fit)
		trials = (uint64_t)(fit / (double)*changes);
	if (trials < WHAT_IF_PAIRS_MIN)
		trials = 1;
	if ((double)*changes > fit)
		*changes = (size_t)fit;
	return trials;
}

static void run_changes(struct comparison *c, const struct what_if_change *changes, size_t count)
{
	for (size_t i = 0; i < count && !signalled(c->options); i++) {
		struct arena arena = {0};
		struct outcome after;

		if (run_change(c, &changes[i], &arena, &after) == 0 && !signalled(c->options)) {
			c->tried++;
			judge(c, &changes[i], &after);
		}
		arena_free(&arena);
	}
}

void what_if_compute(struct record *record, const struct run_options *options, struct arena *arena)
{
	struct comparison *c;
	struct what_if_change changes[WHAT_IF_CHANGES_MAX];
	size_t found, count;
	uint64_t trials;

	if (!applies(record, options))
		return;
	if (record->incident_count > WHAT_IF_INCIDENTS_MAX) {
		findings_add(record, SEVERITY_INFO, NAN,
			     "What changes of the plan would have saved was not recomputed: there "
			     "were too many incidents for one of them to tell.");
		return;
	}
	found = count = what_if_changes(record, arena, changes);
	if (count == 0)
		return;
	trials = trials_for(record, &count);
	c = arena_alloc(arena, sizeof(*c));
	*c = (struct comparison){.record = record, .options = options, .arena = arena};
	take(&c->base, record, trials);
	run_changes(c, changes, count);
	if (signalled(options))
		return;
	if (c->tried > 0 && c->told == 0)
		findings_add(
			record, SEVERITY_INFO, NAN,
			arena_printf(arena,
				     "None of the %zu changes that were recomputed (detection, "
				     "switch, restore, standby, backups, jobs) would have saved "
				     "more than 1 s or 1 %%.",
				     c->tried));
	if (count < found)
		findings_add(record, SEVERITY_INFO, NAN,
			     arena_printf(arena,
					  "What %zu %schanges of the plan would have saved was "
					  "not recomputed: it is a long run. Try them with --set.",
					  found - count, count > 0 ? "other " : ""));
}
