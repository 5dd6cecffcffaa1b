/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the statistics of a campaign against published numbers, exact sums and simulation. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "core/prng.h"
#include "core/stats.h"
#include "tests/test.h"

#define SEED 42

START_TEST(quantile_is_an_order_statistic)
{
	const double values[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
	double mixed[] = {3, -1, 2, 2, 0};

	ck_assert_double_eq(stats_quantile(values, 10, 0.5), 5);
	ck_assert_double_eq(stats_quantile(values, 10, 0.51), 6);
	ck_assert_double_eq(stats_quantile(values, 10, 0.95), 10);
	ck_assert_double_eq(stats_quantile(values, 10, 0.0001), 1);
	ck_assert_double_eq(stats_quantile(values, 1, 0.99), 1);
	ck_assert(isnan(stats_quantile(values, 0, 0.5)));
	/* 0.07 * 100 is 7.000000000000001 in doubles. */
	ck_assert_uint_eq(stats_quantile_rank(100, 0.07), 7);
	ck_assert_uint_eq(stats_quantile_rank(1000000, 0.95), 950000);
	ck_assert_uint_eq(stats_quantile_rank(0, 0.5), 0);
	stats_sort(mixed, 5);
	for (int i = 1; i < 5; i++)
		ck_assert_double_ge(mixed[i], mixed[i - 1]);
	ck_assert_double_eq(stats_quantile(mixed, 5, 0.5), 2);
}
END_TEST

static const struct {
	size_t n;
	double p;
	size_t low, high;
} intervals[] = {
	{20, 0.5, 6, 15},      {100, 0.95, 90, 100}, {100, 0.99, 97, 0}, {1000, 0.99, 983, 997},
	{367, 0.99, 359, 0}, /* one trial more gives p99 an upper bound */
	{368, 0.99, 360, 368}, {100, 0.01, 0, 4},    {100, 0.05, 1, 11}, {5, 0.5, 0, 0},
	{6, 0.5, 1, 6},        {1, 0.5, 0, 0},       {0, 0.5, 0, 0},
};

/* The first four are the design's; the others were summed up in exact fractions. */
START_TEST(interval_published_ranks)
{
	struct stats_ranks ranks = stats_quantile_interval(intervals[_i].n, intervals[_i].p, 0.05);

	ck_assert_uint_eq(ranks.low, intervals[_i].low);
	ck_assert_uint_eq(ranks.high, intervals[_i].high);
}
END_TEST

/* P(B <= k), summed up from the end where the first term is no underflow: slow, and another way. */
static double binomial_sum(size_t n, double p, size_t k)
{
	double term = pow(1 - p, (double)n), sum = term;

	if (k >= n)
		return 1;
	if (p > 0.5)
		return 1 - binomial_sum(n, 1 - p, n - k - 1);
	for (size_t i = 0; i < k; i++) {
		term *= (double)(n - i) / (double)(i + 1) * (p / (1 - p));
		sum += term;
	}
	return sum;
}

START_TEST(interval_keeps_its_promise)
{
	static const double p[] = {0.01, 0.1, 0.5, 0.9, 0.95, 0.99};

	for (size_t n = 1; n < 700; n += 3) {
		for (int j = 0; j < 6; j++) {
			struct stats_ranks r = stats_quantile_interval(n, p[j], 0.05);

			/* low is the largest rank with P(B < low) <= 2.5 %, high mirrors it. */
			if (r.low > 0)
				ck_assert_double_le(binomial_sum(n, p[j], r.low - 1), 0.025);
			if (r.low < n)
				ck_assert_double_gt(binomial_sum(n, p[j], r.low), 0.025);
			if (r.high > 0)
				ck_assert_double_ge(binomial_sum(n, p[j], r.high - 1), 0.975);
			if (r.high > 1)
				ck_assert_double_lt(binomial_sum(n, p[j], r.high - 2), 0.975);
			if (r.high == 0)
				ck_assert_double_lt(binomial_sum(n, p[j], n - 1), 0.975);
		}
	}
}
END_TEST

START_TEST(interval_of_many)
{
	/* The normal approximation is good to a rank or two per thousand deviations here. */
	const size_t n = 100000000;
	struct stats_ranks ranks = stats_quantile_interval(n, 0.95, 0.05);
	double half = 1.959963984540054 * sqrt((double)n * 0.95 * 0.05);

	ck_assert_double_eq_tol((double)ranks.low, 0.95 * (double)n - half, 3);
	ck_assert_double_eq_tol((double)ranks.high, 0.95 * (double)n + half, 3);
}
END_TEST

/* Of 4000 samples of 100 uniforms, how many intervals miss the true p90: at most 5 % but for
 * chance. */
START_TEST(interval_covers)
{
	struct stats_ranks ranks = stats_quantile_interval(100, 0.9, 0.05);
	double values[100];
	int missed = 0;

	for (uint64_t trial = 0; trial < 4000; trial++) {
		struct prng prng;

		prng_open(&prng, SEED, trial, 0, PRNG_TEST);
		for (int i = 0; i < 100; i++)
			values[i] = prng_uniform(&prng);
		stats_sort(values, 100);
		missed += values[ranks.low - 1] > 0.9 || values[ranks.high - 1] < 0.9;
	}
	ck_assert_double_le(missed / 4000.0, 0.05 + 4 * sqrt(0.05 * 0.95 / 4000));
	ck_assert_int_gt(missed, 40); /* nor is it so wide that it says nothing */
}
END_TEST

START_TEST(trials_without_miss)
{
	ck_assert_uint_eq(stats_trials_without_miss(0.05, 0.05), 59);
	ck_assert_uint_eq(stats_trials_without_miss(0.01, 0.05), 299);
	ck_assert_uint_eq(stats_trials_without_miss(0.1, 0.05), 29);
	ck_assert_uint_eq(stats_trials_without_miss(0.01, 0.01), 459);
	ck_assert_uint_eq(stats_trials_without_miss(0.5, 0.25), 2); /* exact: no rounding up to 3 */
}
END_TEST

START_TEST(moments_are_stable)
{
	/* Large and close together: the sum of squares minus the square of the sum has no digit
	 * left. */
	const double values[] = {1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16};
	struct stats_moments moments = stats_moments_of(values, 4);
	struct stats_moments empty = {0};

	ck_assert_double_eq(moments.mean, 1e9 + 10);
	ck_assert_double_eq(stats_variance(&moments), 30);
	ck_assert_double_eq(stats_standard_error(&moments), sqrt(7.5));
	ck_assert_double_eq(moments.min, 1e9 + 4);
	ck_assert_double_eq(moments.max, 1e9 + 16);
	ck_assert_uint_eq(moments.n, 4);
	ck_assert(isnan(stats_standard_error(&empty)));
	stats_moments_add(&empty, -3);
	ck_assert_double_eq(empty.min, -3);
	ck_assert_double_eq(empty.max, -3);
	ck_assert(isnan(stats_variance(&empty)));
}
END_TEST

START_TEST(ecdf_and_band)
{
	const double values[] = {1, 2, 2, 2, 5};
	struct stats_ecdf_point points[5];
	double half = stats_dkw_half_width(5, 0.05);

	ck_assert_double_eq(stats_ecdf(values, 5, 0.5), 0);
	ck_assert_double_eq(stats_ecdf(values, 5, 1), 0.2);
	ck_assert_double_eq(stats_ecdf(values, 5, 2), 0.8);
	ck_assert_double_eq(stats_ecdf(values, 5, 4.9), 0.8);
	ck_assert_double_eq(stats_ecdf(values, 5, 5), 1);
	ck_assert(isnan(stats_ecdf(values, 0, 5)));

	ck_assert_double_eq_tol(half, 0.6073614619083052, 1e-15);
	ck_assert_double_eq_tol(stats_dkw_half_width(1000, 0.05), 0.04294694083467376, 1e-15);
	ck_assert_uint_eq(stats_ecdf_points(values, 5, 0.05, points), 3);
	ck_assert_double_eq(points[1].x, 2);
	ck_assert_double_eq(points[1].p, 0.8);
	ck_assert_double_eq(points[0].low, 0);
	ck_assert_double_eq_tol(points[0].high, 0.2 + half, 1e-15);
	ck_assert_double_eq_tol(points[1].low, 0.8 - half, 1e-15);
	ck_assert_double_eq(points[2].high, 1);
	ck_assert_uint_eq(stats_ecdf_points(values, 0, 0.05, points), 0);
}
END_TEST

/* Freireich et al., 1963: weeks of remission under 6-MP, the textbook example; censored ones as
 * given. */
START_TEST(kaplan_meier_textbook)
{
	struct stats_sample samples[] = {
		{6, false},  {6, false}, {6, false},  {6, true},   {7, false},  {9, true},
		{10, false}, {10, true}, {11, true},  {13, false}, {16, false}, {17, true},
		{19, true},  {20, true}, {22, false}, {23, false}, {25, true},  {32, true},
		{32, true},  {34, true}, {35, true},
	};
	static const double x[] = {6, 7, 10, 13, 16, 22, 23};
	static const double survival[] = {0.857143, 0.806723, 0.752941, 0.690196,
					  0.627451, 0.537815, 0.448179};
	struct stats_survival_point points[21];

	stats_samples_sort(samples, 21);
	ck_assert_uint_eq(stats_kaplan_meier(samples, 21, points), 7);
	for (int i = 0; i < 7; i++) {
		ck_assert_double_eq(points[i].x, x[i]);
		ck_assert_double_eq_tol(points[i].survival, survival[i], 5e-7);
	}
	ck_assert_double_eq(stats_kaplan_meier_quantile(samples, 21, 0.5), 23);
	ck_assert_double_eq(stats_kaplan_meier_quantile(samples, 21, 0.2), 10);
	ck_assert(isnan(stats_kaplan_meier_quantile(samples, 21, 0.6)));
	ck_assert(isnan(stats_kaplan_meier_quantile(samples, 0, 0.5)));
}
END_TEST

START_TEST(kaplan_meier_without_censoring_is_the_ecdf)
{
	enum {
		N = 997
	};
	struct stats_sample samples[N];
	struct stats_survival_point points[N];
	double values[N];
	struct prng prng;
	size_t count;

	prng_open(&prng, SEED, 0, 1, PRNG_TEST);
	for (int i = 0; i < N; i++) {
		values[i] = (double)prng_below(&prng, 300);
		samples[i] = (struct stats_sample){values[i], false};
	}
	stats_sort(values, N);
	stats_samples_sort(samples, N);
	count = stats_kaplan_meier(samples, N, points);
	ck_assert_uint_gt(count, 250);
	for (size_t i = 0; i < count; i++)
		ck_assert_double_eq_tol(points[i].survival, 1 - stats_ecdf(values, N, points[i].x),
					1e-15);
	ck_assert_double_eq(points[count - 1].survival, 0);
	for (int i = 1; i < 200; i++)
		ck_assert_double_eq(stats_kaplan_meier_quantile(samples, N, i / 200.0),
				    stats_quantile(values, N, i / 200.0));
}
END_TEST

START_TEST(kaplan_meier_all_or_last_censored)
{
	struct stats_sample none[] = {{1, true}, {2, true}};
	struct stats_sample last[] = {{1, false}, {2, false}, {2, true}};
	struct stats_survival_point points[3];

	ck_assert_uint_eq(stats_kaplan_meier(none, 2, points), 0);
	ck_assert(isnan(stats_kaplan_meier_quantile(none, 2, 0.01)));
	/* A sample censored at 2 was at risk at 2: the sort puts the event first. */
	last[1].censored = true;
	last[2].censored = false;
	stats_samples_sort(last, 3);
	ck_assert(!last[1].censored);
	ck_assert_uint_eq(stats_kaplan_meier(last, 3, points), 2);
	ck_assert_double_eq_tol(points[1].survival, 1.0 / 3, 1e-15);
}
END_TEST

START_TEST(erlang_c_table)
{
	ck_assert_double_eq_tol(stats_erlang_c(10, 8), 0.409180, 5e-7);
	ck_assert_double_eq_tol(stats_erlang_c(1, 0.7), 0.7, 1e-15);
	ck_assert_double_eq_tol(stats_erlang_c(2, 1), 1.0 / 3, 1e-15);
	ck_assert_double_eq(stats_erlang_c(3, 3), 1);
	ck_assert_double_eq(stats_erlang_c(3, 7), 1);
	ck_assert_double_eq(stats_erlang_c(3, 0), 0);
	ck_assert(stats_erlang_c(10000, 9900) > 0 && stats_erlang_c(10000, 9900) < 1);
}
END_TEST

START_TEST(normal_both_ways)
{
	ck_assert_double_eq_tol(stats_normal_quantile(0.975), 1.959963984540054, 1e-15);
	ck_assert_double_eq_tol(stats_normal_quantile(0.25), -0.6744897501960817, 1e-15);
	ck_assert_double_eq_tol(stats_normal_quantile(1e-8), -5.612001244174788, 1e-14);
	ck_assert_double_eq_tol(stats_normal_quantile(1e-20), -9.262340089798408, 1e-14);
	ck_assert_double_eq(stats_normal_quantile(0.5), 0);
	for (int i = -480; i < 80; i++) {
		double z = i / 16.0, p = stats_normal_cdf(z);

		/* The error of p grows by z per unit of z; above 0 the rounding of p itself shows.
		 */
		ck_assert_double_eq_tol(stats_normal_quantile(p), z,
					z < 0 ? 1e-13 : 1e-15 * exp(z * z / 2) + 1e-14);
	}
}
END_TEST

/* Of the tables of Student's t, 0.975. */
static const struct {
	double freedom, t;
} t_table[] = {
	{1, 12.7062047}, {2, 4.3026527},  {3, 3.1824463},  {4, 2.7764451},
	{9, 2.2621572},  {29, 2.0452296}, {199, 1.9719565}, {1e9, 1.9599640},
};

START_TEST(student_t)
{
	double t = t_table[_i].t;

	ck_assert_double_eq_tol(stats_t_quantile(t_table[_i].freedom, 0.975), t, 0.003 * t);
	ck_assert_double_eq_tol(stats_t_quantile(t_table[_i].freedom, 0.025), -t, 0.003 * t);
}
END_TEST

START_TEST(paired_differences)
{
	const double a[] = {10, 20, NAN, 30, 40, INFINITY, 7};
	const double b[] = {8, 17, 3, 28, 35, 4, INFINITY};
	const double far[] = {1e9 + 41, 2e9 + 41, 5e9 + 41}, near[] = {1e9, 2e9, 5e9};
	struct stats_paired paired = stats_paired_of(a, b, 7, 0.05);

	/* Differences 2, 3, 2, 5: mean 3, standard error sqrt(2 / 4), t with 3 degrees 3.182. */
	ck_assert_uint_eq(paired.n, 4);
	ck_assert_double_eq(paired.before, 25);
	ck_assert_double_eq(paired.mean, 3);
	ck_assert_double_eq_tol(paired.high - 3, 3.1824463 * sqrt(0.5), 0.01);
	ck_assert_double_eq_tol(3 - paired.low, paired.high - 3, 1e-12);
	/* What varies in both alike costs no precision. */
	paired = stats_paired_of(far, near, 3, 0.05);
	ck_assert_double_eq(paired.low, 41);
	ck_assert_double_eq(paired.high, 41);
	paired = stats_paired_of(a, b, 1, 0.05);
	ck_assert_double_eq(paired.mean, 2);
	ck_assert(isnan(paired.low) && isnan(paired.high));
	paired = stats_paired_of(a + 2, b + 2, 1, 0.05);
	ck_assert_uint_eq(paired.n, 0);
	ck_assert(isnan(paired.mean) && isnan(paired.before));
}
END_TEST

static void add_cases(Suite *suite)
{
	test_add(suite, "quantile", quantile_is_an_order_statistic);
	test_add_loop(suite, "interval: ranks", interval_published_ranks,
		      (int)(sizeof(intervals) / sizeof(intervals[0])));
	test_add(suite, "interval: promise", interval_keeps_its_promise);
	test_add(suite, "interval: many", interval_of_many);
	test_add(suite, "interval: coverage", interval_covers);
	test_add(suite, "trials without miss", trials_without_miss);
	test_add(suite, "moments", moments_are_stable);
	test_add(suite, "ecdf", ecdf_and_band);
	test_add(suite, "Kaplan-Meier: textbook", kaplan_meier_textbook);
	test_add(suite, "Kaplan-Meier: uncensored", kaplan_meier_without_censoring_is_the_ecdf);
	test_add(suite, "Kaplan-Meier: edges", kaplan_meier_all_or_last_censored);
	test_add(suite, "Erlang C", erlang_c_table);
	test_add(suite, "normal", normal_both_ways);
	test_add_loop(suite, "Student's t", student_t, sizeof(t_table) / sizeof(t_table[0]));
	test_add(suite, "paired differences", paired_differences);
}

TEST_MAIN("stats", add_cases)
