/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes in a series of nights: where its level moved, by how much, and whether that is more than
 * chance.
 *
 * Two questions, two procedures. change_points() looks back over the whole series: E-divisive
 * places the splits, Student's t decides which of them count, as in Hunter. change_watch() is what
 * a gate asks every night anew; it accounts for having asked in all the nights before.
 *
 * Pure functions over arrays of finite doubles. Larger is worse. Nights count from 0. The t-test
 * wants values that scatter normally and independently: for times that means logarithms
 * (change_scale).
 */
#ifndef CORE_CHANGE_H
#define CORE_CHANGE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/arena.h"

#define CHANGE_NIGHTS_MAX 2000 /* of one series: the splits of n nights cost n^2 */
#define CHANGE_CHART_NIGHTS 20 /* below it there is a control chart, and no look back */
#define CHANGE_NIGHTS_MIN 6    /* below it there is nothing to judge */

struct change_series {
	const double *x;
	size_t n;
	double resolution; /* a smaller difference is none: rounding */
	bool exact;        /* repeats that chance does not touch: every difference counts */
};

/* One change: nights [from, at) against nights [at, to). */
struct change {
	size_t from, at, to;
	size_t found;         /* the night that it was found in */
	double before, after; /* means */
	double low, high;     /* after - before with 95 % confidence, were `at` known */
	double p;             /* that chance alone does so much, were `at` known; two-sided */
};

/*
 * The scale to judge `n` values in, and its resolution. With `ratios`, and when all values are
 * above 0: logarithms, so that differences are ratios and noise in proportion is alike; else the
 * values as they are. Fills ret_x[n]. Returns whether those are logarithms.
 */
bool change_scale(const double *values, size_t n, bool ratios, double *ret_x,
		  double *ret_resolution);

/*
 * Means and their difference of two neighbouring stretches, from < at < to; p by Student's t with
 * pooled variance. Where half of the nights or more have one and the same value t knows nothing:
 * then p is by Fisher's exact test of how the others fall on the two sides. Two constant sides of
 * an exact series: 0.
 */
struct change change_compare(const struct change_series *series, size_t from, size_t at, size_t to);

/*
 * Where the level moved, looking back, in order of time. Candidates: E-divisive with alpha = 1
 * (Matteson and James, JASA 109(505), 2014, section 2) over the whole series and over overlapping
 * windows of 50 nights, split again while Student's t finds the sides unlike at a loose level. Then
 * the weakest is taken away and its neighbours are compared anew until all are significant at the
 * strict level and none rests on a single night (Fleming et al., "Hunter: Using Change Point
 * Detection to Hunt for Performance Regressions", ICPE 2023). Deterministic. The strict level is
 * for one look at 300 nights: of unchanged series of that length fewer than one in 100 has such a
 * change.
 */
size_t change_points(const struct change_series *series, struct arena *arena,
		     struct change **ret_changes);

/*
 * The series as a gate has seen it, night by night: each night the last 1, 2, 4, 7, 11, 20 and 40
 * nights are compared with all before them, back to the last change that was found. One odd night
 * alone is no change, but in an exact series. The levels are such that an unchanged series of 300
 * nights shows a worsening in fewer than one case in 100, all nights and lengths together. A change
 * that is found is dated by E-divisive. Needs 5 nights before.
 */
size_t change_watch(const struct change_series *series, struct arena *arena,
		    struct change **ret_changes);

/*
 * The same for a yes or no of each night: did it fail? Fisher's exact test takes the place of
 * Student's t; before and after are shares, low and high are NAN.
 */
size_t change_watch_share(const bool *failed, size_t n, struct arena *arena,
			  struct change **ret_changes);

/* Individuals chart with moving ranges (Shewhart; Montgomery, Introduction to Statistical Quality
 * Control, 7th ed., section 6.4): mean -+ 2.66 times the mean moving range. n >= 2. */
struct change_chart {
	double mean, range, low, high; /* range: the mean moving range */
	size_t outside;                /* nights beyond the limits */
};
struct change_chart change_chart(const struct change_series *series);

#endif
