/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nights over time: the history as series, and what changed in them. One `struct trend` is made
 * from the history; the table, the JSON document and the page are printed from it, so that all say
 * the same.
 */
#ifndef REPORTS_TREND_H
#define REPORTS_TREND_H

#include <stdio.h>

#include "core/change.h"
#include "reports/history.h"

struct cJSON;

enum trend_metric {
	TREND_FRT,
	TREND_BRP,
	TREND_BRT,
	TREND_METRICS
};
extern const char *const trend_metric_names[]; /* "frt" …, NULL-terminated */
extern const char *const trend_metric_titles[];

enum trend_state {
	TREND_TOO_FEW, /* nights to judge */
	TREND_STEADY,
	TREND_BETTER, /* since the last change that was found */
	TREND_WORSE,
	TREND_SMALL, /* worse beyond chance, but by less than asked for */
	TREND_OLD,   /* worse, but found so long ago that it is the level to compare with now */
};
extern const char *const trend_state_names[];

/* One measure of the drills of a group. */
struct trend_series {
	enum trend_metric metric;
	const double *values;        /* seconds, one for each night that has one */
	const size_t *nights;        /* which night of the group each is of */
	struct change_series series; /* the same in the scale that is judged */
	bool logs;                   /* that scale is logarithms: differences are ratios */
	struct change *points;       /* looking back; none below CHANGE_CHART_NIGHTS */
	size_t point_count;
	struct change *found; /* as the gate found them */
	size_t found_count;
	struct change_chart chart; /* below CHANGE_CHART_NIGHTS, with 2 nights or more */
	enum trend_state state;
};

/* Drills that are alike: same scenario, kind, driver and variant. */
struct trend_group {
	const char *name, *kind, *driver, *variant;
	const struct history_drill **nights; /* evaluable ones, in order of time */
	size_t count, older;                 /* older: left out by --last */
	size_t shams, invalid, aborted;      /* left out */
	size_t unrecovered;
	bool same_seed; /* simulated, and all of one seed: repeats without chance */
	struct trend_series series[TREND_METRICS];
	size_t series_count;
	struct change *share; /* of nights that did not recover, as the gate found them */
	size_t share_count;
	enum trend_state share_state;
};

struct trend_options {
	const char *path;         /* of the history */
	const char *const *names; /* of scenarios, NULL-terminated; NULL: all */
	int metric;               /* -1: all */
	size_t last;              /* nights of a group */
	size_t hold;              /* nights for which a worsening counts once it is found */
	double least;             /* share of the level before: what is smaller does not count */
};

struct trend {
	struct trend_options options;
	struct trend_group *groups; /* by name, kind, driver, variant */
	size_t count;
	size_t drills;
};

/* Series and changes of a history. */
void trend_make(const struct history_list *history, const struct trend_options *options,
		struct arena *arena, struct trend *ret);
/* How many series got worse beyond chance; *ret_judged: how many could be judged at all. */
size_t trend_worse(const struct trend *trend, size_t *ret_judged);

/* The last change that the gate found, or NULL. */
const struct change *trend_last(const struct trend_series *series);
/* The night of the group, counted from 1, of an index of the series; its date, "2026-03-01". */
size_t trend_night(const struct trend_series *series, size_t index);
void trend_date(const struct history_drill *drill, char ret_date[16]);

#define TREND_TEXT_MAX 320

/* "9.8 % (6.9 % to 12.9 %)" or "12 s (8 s to 16 s)": how much a change is, with its interval. */
const char *trend_size(const struct trend_series *series, const struct change *change,
		       char text[TREND_TEXT_MAX]);
/* In seconds: a mean in the scale that is judged, so a geometric one with logarithms. */
double trend_level(const struct trend_series *series, double x);
/* The level since the last change that was found. */
double trend_now(const struct trend_series *series);
/* after / before - 1; NAN without a level before. */
double trend_ratio(const struct trend_series *series, const struct change *change);
/* What is told of a change beside its size: another version, scenario text or host that began at
 * about the same time. "" for nothing. */
const char *trend_because(const struct trend_group *group, const struct trend_series *series,
			  const struct change *change, struct arena *arena);
/* "worse by 9.8 % (6.9 % to 12.9 %) since night 201 (2026-07-19), found in night 208" */
const char *trend_sentence(const struct trend_group *group, const struct trend_series *series,
			   struct arena *arena);
const char *trend_share_sentence(const struct trend_group *group, struct arena *arena);

void trend_print(const struct trend *trend, struct arena *arena, FILE *out);
/* Schema drsim/trend/v1; the caller deletes it. */
struct cJSON *trend_json(const struct trend *trend, struct arena *arena);
/* One page that needs nothing else. */
int trend_page(const struct trend *trend, const char *path, struct arena *arena, struct error *e);

#endif
