/* SPDX-License-Identifier: Apache-2.0 */
/* Quantities that are a constant or a distribution: `20m`, `{lognormal: {median: 20m, sigma:
 * 0.3}}`. */
#ifndef CORE_DIST_H
#define CORE_DIST_H

#include <stdbool.h>
#include <stddef.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/prng.h"

enum dist_kind {
	DIST_CONSTANT,    /* a */
	DIST_UNIFORM,     /* {from: a, to: b} */
	DIST_EXPONENTIAL, /* {mean: a} */
	DIST_LOGNORMAL,   /* {median: a, sigma: b}; sigma of log x, without unit */
	DIST_WEIBULL,     /* {scale: a, shape: b}; shape without unit */
	DIST_NORMAL, /* {mean: a, sigma: b}; sigma in the unit of a; draws below 0 are taken as 0 */
	DIST_PARETO, /* {min: a, alpha: b}; P(x > t) = (a / t)^b */
	DIST_EMPIRICAL, /* FILE: one value with unit per line; values[], ascending; drawn with equal
			   weight */
};

/* Values are in the base unit of the quantity: ns, bytes, bytes/s, 1/s, or a fraction. */
struct dist {
	enum dist_kind kind;
	double a, b;
	int64_t exact; /* DIST_CONSTANT of a time or a size: the integer itself, no rounding through
			  double */
	const double *values; /* DIST_EMPIRICAL */
	size_t count;
};

struct dist dist_constant_nanos(nanos value);
/* The same distribution of `factor` times each value; new observed values live in `arena`. */
struct dist dist_scale(const struct dist *dist, double factor, struct arena *arena);
bool dist_is_zero(const struct dist *dist); /* the constant 0 */

double dist_sample(const struct dist *dist, struct prng *prng); /* never below 0 */
/* One draw rounded to the nearest nanosecond, 0 … NANOS_DAY * 36500. A constant draws nothing from
 * the stream. */
nanos dist_sample_nanos(const struct dist *dist, struct prng *prng);
double dist_mean(const struct dist *dist);
double dist_quantile(const struct dist *dist, double p); /* 0 < p < 1 */
double dist_cdf(const struct dist *dist, double x);      /* P(X <= x) */

#endif
