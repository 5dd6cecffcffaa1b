/* SPDX-License-Identifier: Apache-2.0 */
/* The history as series of nights, and what changed in them. */
#include "reports/trend.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/words.h"

const char *const trend_metric_names[] = {"frt", "brp", "brt", NULL};
const char *const trend_metric_titles[] = {"FRT", "BRP", "BRT", NULL};
const char *const trend_state_names[] = {"too_few", "steady", "better", "worse", "small", "old"};

/* ---- groups ---- */

static int by_group(const struct history_drill *a, const struct history_drill *b)
{
	int order = strcmp(a->name, b->name);

	if (order == 0)
		order = strcmp(a->kind, b->kind);
	if (order == 0)
		order = strcmp(a->driver, b->driver);
	return order ? order : strcmp(a->variant, b->variant);
}

/* Within a group the order of the list, which is that of time, stays. */
static int compare(const void *left, const void *right)
{
	const struct history_drill *a = *(const struct history_drill *const *)left,
				   *b = *(const struct history_drill *const *)right;
	int order = by_group(a, b);

	return order ? order : (a > b) - (a < b);
}

static bool counts(struct trend_group *group, const struct history_drill *drill)
{
	if (drill->sham)
		group->shams++;
	else if (strcmp(drill->verdict, "invalid") == 0)
		group->invalid++;
	else if (strcmp(drill->verdict, "aborted") == 0)
		group->aborted++;
	else
		return true;
	return false;
}

static void fill_group(struct trend_group *group, const struct history_drill *const *drills,
		       size_t count, size_t last, struct arena *arena)
{
	group->name = drills[0]->name;
	group->kind = drills[0]->kind;
	group->driver = drills[0]->driver;
	group->variant = drills[0]->variant;
	group->nights = arena_array(arena, count, sizeof(void *));
	for (size_t i = 0; i < count; i++)
		if (counts(group, drills[i]))
			group->nights[group->count++] = drills[i];
	if (group->count > last) {
		group->older = group->count - last;
		group->nights += group->older;
		group->count = last;
	}
	group->same_seed = strcmp(group->kind, "simulated") == 0 && group->count > 1;
	for (size_t i = 0; i < group->count; i++) {
		group->unrecovered += group->nights[i]->recovered == 0;
		group->same_seed = group->same_seed &&
				   strcmp(group->nights[i]->seed, group->nights[0]->seed) == 0;
	}
}

/* ---- series ---- */

static double value_of(const struct history_drill *drill, enum trend_metric metric)
{
	switch (metric) {
	case TREND_FRT:
		return drill->frt_s;
	case TREND_BRP:
		return drill->brp_s;
	case TREND_BRT:
		return drill->brt_s;
	case TREND_METRICS:
		break;
	}
	return NAN;
}

const struct change *trend_last(const struct trend_series *series)
{
	return series->found_count > 0 ? &series->found[series->found_count - 1] : NULL;
}

double trend_level(const struct trend_series *series, double x)
{
	return series->logs ? exp(x) : x;
}

double trend_ratio(const struct trend_series *series, const struct change *change)
{
	if (series->logs)
		return expm1(change->after - change->before);
	return change->before > 0 ? change->after / change->before - 1 : (double)NAN;
}

double trend_now(const struct trend_series *series)
{
	const struct change *last = trend_last(series);
	double sum = 0;

	if (last)
		return trend_level(series, last->after);
	for (size_t i = 0; i < series->series.n; i++)
		sum += series->series.x[i];
	return trend_level(series, sum / (double)series->series.n);
}

/* Of a change that the gate found; n: nights of what it watched. */
static enum trend_state judge(const struct change *last, size_t n, double ratio,
			      const struct trend_options *options)
{
	if (!last)
		return n < CHANGE_NIGHTS_MIN ? TREND_TOO_FEW : TREND_STEADY;
	if (last->after < last->before)
		return TREND_BETTER;
	if (fabs(ratio) < options->least)
		return TREND_SMALL;
	return n - 1 - last->found < options->hold ? TREND_WORSE : TREND_OLD;
}

static void fill_series(struct trend_series *series, const struct trend_group *group,
			const struct trend_options *options, struct arena *arena)
{
	double *values = arena_array(arena, group->count + 1, sizeof(*values)), *x;
	size_t *nights = arena_array(arena, group->count + 1, sizeof(*nights)), n = 0;
	const struct change *last;

	for (size_t i = 0; i < group->count; i++) {
		double value = value_of(group->nights[i], series->metric);

		if (isnan(value))
			continue;
		values[n] = value;
		nights[n++] = i;
	}
	x = arena_array(arena, n + 1, sizeof(*x));
	series->values = values;
	series->nights = nights;
	series->series = (struct change_series){.x = x, .n = n, .exact = group->same_seed};
	/* How old a recovery point is scatters evenly over the time between two backups: in
	 * seconds, not in proportion. */
	series->logs =
		change_scale(values, n, series->metric != TREND_BRP, x, &series->series.resolution);
	if (n >= CHANGE_CHART_NIGHTS)
		series->point_count = change_points(&series->series, arena, &series->points);
	else if (n >= 2)
		series->chart = change_chart(&series->series);
	series->found_count = change_watch(&series->series, arena, &series->found);
	last = trend_last(series);
	series->state = judge(last, n, last ? trend_ratio(series, last) : 0, options);
}

static void fill_share(struct trend_group *group, const struct trend_options *options,
		       struct arena *arena)
{
	bool *failed = arena_array(arena, group->count + 1, sizeof(*failed));
	const struct change *last;

	for (size_t i = 0; i < group->count; i++)
		failed[i] = group->nights[i]->recovered == 0;
	group->share_count = change_watch_share(failed, group->count, arena, &group->share);
	last = group->share_count ? &group->share[group->share_count - 1] : NULL;
	group->share_state = judge(last, group->count, INFINITY, options);
}

static void judge_group(struct trend_group *group, const struct trend_options *options,
			struct arena *arena)
{
	for (int metric = 0; metric < TREND_METRICS; metric++) {
		struct trend_series *series = &group->series[group->series_count];

		if (options->metric >= 0 && options->metric != metric)
			continue;
		series->metric = (enum trend_metric)metric;
		fill_series(series, group, options, arena);
		/* What this scenario never has is no series of it. */
		if (series->series.n > 0)
			group->series_count++;
	}
	fill_share(group, options, arena);
}

void trend_make(const struct history_list *history, const struct trend_options *options,
		struct arena *arena, struct trend *ret)
{
	const struct history_drill **drills =
		arena_array(arena, history->count + 1, sizeof(void *));
	struct trend trend = {.options = *options, .drills = history->count};
	size_t capacity = 0, from = 0;

	assert(options->last <= CHANGE_NIGHTS_MAX);
	for (size_t i = 0; i < history->count; i++)
		drills[i] = &history->drills[i];
	if (history->count > 1)
		qsort(drills, history->count, sizeof(void *), compare);
	for (size_t to = 1; to <= history->count; to++) {
		struct trend_group *group;

		if (to < history->count && by_group(drills[from], drills[to]) == 0)
			continue;
		trend.groups = arena_grow(arena, trend.groups, trend.count, &capacity,
					  sizeof(*trend.groups));
		group = &trend.groups[trend.count++];
		*group = (struct trend_group){0};
		fill_group(group, drills + from, to - from, options->last, arena);
		judge_group(group, options, arena);
		from = to;
	}
	*ret = trend;
}

size_t trend_worse(const struct trend *trend, size_t *ret_judged)
{
	size_t worse = 0, judged = 0;

	for (size_t i = 0; i < trend->count; i++) {
		const struct trend_group *group = &trend->groups[i];

		judged += group->count > 0;
		worse += group->share_state == TREND_WORSE;
		for (size_t k = 0; k < group->series_count; k++)
			worse += group->series[k].state == TREND_WORSE;
	}
	*ret_judged = judged;
	return worse;
}

/* ---- words ---- */

size_t trend_night(const struct trend_series *series, size_t index)
{
	return series->nights[index] + 1;
}

void trend_date(const struct history_drill *drill, char ret_date[16])
{
	snprintf(ret_date, 16, "%.10s", drill->started);
}

/* A part of the level, with a sign where it goes down. */
static void percent(char text[WORDS_MAX], double share)
{
	snprintf(text, WORDS_MAX, "%.*f %%", fabs(share) < 0.0995 ? 1 : 0, 100 * share);
}

static void duration(char text[WORDS_MAX], double seconds)
{
	char positive[WORDS_MAX];

	words_duration_exact(positive, fabs(seconds));
	snprintf(text, WORDS_MAX, "%s%.90s", seconds < 0 ? "-" : "", positive);
}

const char *trend_size(const struct trend_series *series, const struct change *change,
		       char text[TREND_TEXT_MAX])
{
	void (*put)(char text[WORDS_MAX], double value) = series->logs ? percent : duration;
	double sizes[] = {change->after - change->before, change->low, change->high};
	char words[3][WORDS_MAX];

	/* How much worse or better: both are told as a size above 0. */
	for (int i = 0; i < 3; i++)
		sizes[i] = series->logs ? expm1(sizes[i]) : sizes[i];
	if (change->after < change->before) {
		double low = -sizes[2];

		sizes[0] = -sizes[0];
		sizes[2] = -sizes[1];
		sizes[1] = low;
	}
	for (int i = 0; i < 3; i++)
		put(words[i], sizes[i]);
	if (isinf(change->low) || isinf(change->high) || change->low >= change->high)
		snprintf(text, TREND_TEXT_MAX, "%s", words[0]);
	else
		snprintf(text, TREND_TEXT_MAX, "%s (%s to %s)", words[0], words[1], words[2]);
	return text;
}

static const char *join(struct arena *arena, const char *list, const char *word)
{
	return arena_printf(arena, "%s%s%s", list, *list ? ", " : "", word);
}

/* A change is dated with some doubt: what began within so many nights of it may be its cause. */
#define DOUBT 5

const char *trend_because(const struct trend_group *group, const struct trend_series *series,
			  const struct change *change, struct arena *arena)
{
	size_t night = series->nights[change->at];
	const struct history_drill
		*a = group->nights[night > DOUBT ? night - 1 - DOUBT : 0],
		*b = group->nights[night + DOUBT < group->count ? night + DOUBT : group->count - 1];
	const char *list = "";

	if (strcmp(a->version, b->version) != 0)
		list = join(arena, list,
			    arena_printf(arena, "drsim %.40s instead of %.40s", b->version,
					 a->version));
	if (strcmp(a->scenario, b->scenario) != 0)
		list = join(arena, list,
			    arena_printf(arena, "another scenario text (%.12s instead of %.12s)",
					 b->scenario, a->scenario));
	if (a->host && b->host && strcmp(a->host, b->host) != 0)
		list = join(arena, list,
			    arena_printf(arena, "host %.64s instead of %.64s", b->host, a->host));
	return list;
}

static const char *since(const struct trend_group *group, size_t at, size_t found,
			 struct arena *arena)
{
	char date[16];

	trend_date(group->nights[at], date);
	return arena_printf(arena, "since night %zu (%s), found in night %zu", at + 1, date,
			    found + 1);
}

const char *trend_sentence(const struct trend_group *group, const struct trend_series *series,
			   struct arena *arena)
{
	const struct change *last = trend_last(series);
	char size[TREND_TEXT_MAX];
	const char *when, *note = "";

	if (series->state == TREND_TOO_FEW)
		return arena_printf(arena, "%zu of the %d nights that it takes to judge",
				    series->series.n, CHANGE_NIGHTS_MIN);
	if (!last)
		return "steady";
	when = since(group, series->nights[last->at], series->nights[last->found], arena);
	if (series->state == TREND_SMALL)
		note = "; too little to count";
	else if (series->state == TREND_OLD)
		note = "; this is the level to compare with now";
	return arena_printf(arena, "%s by %s %s%s", last->after < last->before ? "better" : "worse",
			    trend_size(series, last, size), when, note);
}

const char *trend_share_sentence(const struct trend_group *group, struct arena *arena)
{
	const struct change *last =
		group->share_count ? &group->share[group->share_count - 1] : NULL;
	char before[WORDS_MAX], after[WORDS_MAX];

	if (!last)
		return arena_printf(arena, "%zu of %zu nights did not recover", group->unrecovered,
				    group->count);
	return arena_printf(arena, "%s of the nights did not recover, %s before %s",
			    words_percent(after, last->after), words_percent(before, last->before),
			    since(group, last->at, last->found, arena));
}
