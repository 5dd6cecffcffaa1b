/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statistics of a campaign: quantiles with honest intervals, means, distribution functions,
 * censored samples, queues.
 *
 * Pure functions: no state, no memory of their own, no I/O. A sample is an array of finite doubles
 * in whatever unit the caller measures in; the results have that unit. `sorted` means ascending
 * (stats_sort). The order of summation is the order of the array, so that equal arrays give equal
 * bits. NAN means "cannot be said" and becomes null in a report. `alpha` is the chance of being
 * wrong that the caller accepts: 0.05 for a 95 % statement.
 */
#ifndef CORE_STATS_H
#define CORE_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sort ascending, in place. */
void stats_sort(double *values, size_t n);

/*
 * The quantile of a sorted sample: its order statistic number ceil(n p), an observed value and
 * never an interpolated one (Hyndman and Fan, The American Statistician 50(4), 1996, definition 1).
 * 0 < p < 1. NAN when n is 0.
 */
double stats_quantile(const double *sorted, size_t n, double p);

/* The rank, 1 … n, of that order statistic; 0 when n is 0. */
size_t stats_quantile_rank(size_t n, double p);

/* Order statistics that enclose a quantile; ranks count from 1, 0 means that n is too small for
 * this bound. */
struct stats_ranks {
	size_t low, high;
};

/*
 * Distribution-free confidence interval of the p-quantile of n independent values, two-sided at 1 −
 * alpha: the largest `low` with P(B < low) <= alpha/2 and the smallest `high` with P(B >= high) <=
 * alpha/2, B ~ binomial(n, p). n = 20, p = 0.5: 6 … 15; n = 100, p = 0.99: 97 … none. (David and
 * Nagaraja, Order Statistics, 3rd ed., section 7.1.) n up to 10^9.
 */
struct stats_ranks stats_quantile_interval(size_t n, double p, double alpha);

/*
 * How many trials without a single miss show, at confidence 1 − alpha, that a trial misses with a
 * probability below `miss`: ceil(ln alpha / ln(1 − miss)). 0 < miss < 1. (0.05, 0.05) gives 59.
 */
uint64_t stats_trials_without_miss(double miss, double alpha);

/* Running mean and spread (Welford, Technometrics 4(3), 1962). Zero-initialise ({0}) to use. */
struct stats_moments {
	uint64_t n;
	double mean, squares; /* squares: sum of (x − mean)^2 */
	double min, max;      /* valid from the first value on */
};

void stats_moments_add(struct stats_moments *moments, double value);
struct stats_moments stats_moments_of(const double *values, size_t n);
/* Of the sample, with n − 1; NAN below 2 values. */
double stats_variance(const struct stats_moments *moments);
/* Of the mean; NAN below 2 values. */
double stats_standard_error(const struct stats_moments *moments);

/* The mean of differences with its confidence interval. */
struct stats_paired {
	uint64_t n; /* pairs of finite values; the others are left out */
	double before, mean, low, high; /* before: the mean of a; NAN without pairs, low and high
					   below 2 */
};

/*
 * Paired differences a[i] − b[i] of two policies under common random numbers (Law, Simulation
 * Modeling and Analysis, 5th ed., section 10.2.1): their mean and its interval at 1 − alpha, by
 * Student's t with n − 1 degrees of freedom.
 */
struct stats_paired stats_paired_of(const double *a, const double *b, size_t n, double alpha);

/* Student's t: the quantile for `freedom` >= 1 degrees of freedom, 0 < p < 1. Exact for 1 and 2,
 * else the expansion of Abramowitz and Stegun 26.7.5: within 0.3 % for 95 % intervals from 3 on. */
double stats_t_quantile(double freedom, double p);

/* Student's t: P(T > t) for `freedom` >= 1, to some 1e-12 of itself, far out in the tail too: half
 * the regularised incomplete beta function I_x(freedom / 2, 1 / 2) at x = freedom / (freedom +
 * t^2) (Abramowitz and Stegun 26.7.1), by its continued fraction (DLMF 8.17.22). */
double stats_t_upper(double t, double freedom);

/* Share of a sorted sample at or below x; NAN when n is 0. */
double stats_ecdf(const double *sorted, size_t n, double x);

/*
 * Half width of the Dvoretzky–Kiefer–Wolfowitz band with Massart's constant: the whole distribution
 * function lies within ± sqrt(ln(2 / alpha) / (2 n)) of the empirical one with probability 1 −
 * alpha (Massart, Ann. Probab. 18(3), 1990).
 */
double stats_dkw_half_width(size_t n, double alpha);

/* One step of an empirical distribution function: P(X <= x) is p, and low … high with confidence 1
 * − alpha. */
struct stats_ecdf_point {
	double x, p, low, high;
};

/*
 * The steps of the empirical distribution function, one for each distinct value, with the DKW band
 * cut to 0 … 1. `ret_points` has room for n. Returns how many were written.
 */
size_t stats_ecdf_points(const double *sorted, size_t n, double alpha,
			 struct stats_ecdf_point *ret_points);

/* One trial that may have ended before the event: then the true value is above `value`. */
struct stats_sample {
	double value;
	bool censored;
};

/* Sort by value, at equal values the events before the censored ones (those were still at risk). */
void stats_samples_sort(struct stats_sample *samples, size_t n);

/* One step of the survival curve: P(X > x) is `survival` from x on. */
struct stats_survival_point {
	double x, survival;
};

/*
 * Kaplan–Meier product-limit estimate of the survival function of sorted samples (JASA 53, 1958,
 * equation 2b): one step for each distinct event time. `ret_points` has room for n. Returns how
 * many were written. Without censored samples it is 1 − ECDF, bit for bit.
 */
size_t stats_kaplan_meier(const struct stats_sample *sorted, size_t n,
			  struct stats_survival_point *ret_points);

/* Smallest event time x with P(X > x) <= 1 − p, 0 < p < 1; NAN when the curve does not come down
 * that far. */
double stats_kaplan_meier_quantile(const struct stats_sample *sorted, size_t n, double p);

/*
 * Erlang C: probability that a request waits in an M/M/c queue; `load` in erlangs (arrival rate
 * times mean service time). 1 when load >= servers. By the recursion of Erlang B, 1/B(k) = 1 + k /
 * (load B(k−1)). (10, 8) gives 0.409180.
 */
double stats_erlang_c(uint32_t servers, double load);

/* Standard normal distribution function, and its inverse for 0 < p < 1 (Wichura, AS 241 PPND16;
 * relative error 1e-15). */
double stats_normal_cdf(double z);
double stats_normal_quantile(double p);

#endif
