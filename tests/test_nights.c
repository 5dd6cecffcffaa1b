/* SPDX-License-Identifier: Apache-2.0 */
/* Changes over the nights: what is found, how soon, and how seldom where there is nothing. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/change.h"
#include "core/prng.h"
#include "core/stats.h"
#include "reports/trend.h"
#include "tests/test.h"

#define NIGHTS 300
#define WORSE_FROM 200 /* the first night that is worse, counted from 1 */
#define SIGMA 0.05

static struct arena arena;

static void setup(void)
{
	arena = (struct arena){0};
}

static void teardown(void)
{
	arena_free(&arena);
}

/* Lognormal nights, each with random numbers of its own; from `change` on, counted from 1, worse by
 * `factor`. `stream` tells series of one seed apart. */
static void make(double *values, size_t n, uint64_t seed, uint64_t stream, size_t change,
		 double factor)
{
	for (size_t i = 0; i < n; i++) {
		struct prng prng;

		prng_open(&prng, seed, i, stream, PRNG_TEST);
		values[i] = 90 * exp(SIGMA * prng_normal(&prng)) * (i + 1 >= change ? factor : 1);
	}
}

static struct change_series series_of(const double *values, size_t n, double *x)
{
	struct change_series series = {.x = x, .n = n};

	change_scale(values, n, true, x, &series.resolution);
	return series;
}

/* ---- the t-test ---- */

/* Of tables with many digits, and of exact integrals: 1 and 2 degrees have closed forms. */
static const struct {
	double t, freedom, upper;
} tails[] = {
	{0, 7, 0.5},
	{1, 1, 0.25},
	{12.706204736174698, 1, 0.025},
	{2.228138851964939, 10, 0.025},
	{4.143700494046590, 10, 0.001},
	{-2.228138851964939, 10, 0.975},
};

START_TEST(tail_of_t)
{
	ck_assert_double_eq_tol(stats_t_upper(tails[_i].t, tails[_i].freedom), tails[_i].upper,
				1e-9 * tails[_i].upper);
}
END_TEST

/* Far out: two degrees of freedom by their closed form, three by numerical integration. */
START_TEST(tail_of_t_far_out)
{
	for (double t = 1; t < 1e6; t *= 3) {
		double root = sqrt(2 + t * t), two = 1 / (root * (root + t)), sum = 0, step;
		double density = 2 / (M_PI * sqrt(3));

		ck_assert_double_eq_tol(stats_t_upper(t, 2), two, 1e-10 * two);
		/* P = integral over u = t / x in (0, 1] of f(t / u) t / u^2. */
		step = 1e-5;
		for (double u = step / 2; u < 1; u += step) {
			double x = t / u, f = density / ((1 + x * x / 3) * (1 + x * x / 3));

			sum += f * t / (u * u) * step;
		}
		ck_assert_double_eq_tol(stats_t_upper(t, 3), sum, 1e-6 * sum);
	}
	/* Against the quantile, which has another way of its own. */
	for (double freedom = 20; freedom < 400; freedom += 37)
		ck_assert_double_eq_tol(stats_t_upper(stats_t_quantile(freedom, 0.975), freedom),
					0.025, 1e-5);
}
END_TEST

/* ---- what a gate finds ---- */

/* One look at the gate after `n` nights of FRT, through what the command does. */
static enum trend_state gate_after(const double *values, size_t n, struct trend *trend)
{
	static const struct trend_options options = {
		.metric = TREND_FRT, .last = CHANGE_NIGHTS_MAX, .hold = 14, .least = 0.01};
	struct history_drill *drills = arena_array(&arena, n, sizeof(*drills));
	struct history_list list = {.drills = drills, .count = n};

	for (size_t i = 0; i < n; i++)
		drills[i] = (struct history_drill){
			.id = arena_printf(&arena, "%05zu", i),
			.started = arena_printf(&arena, "2026-01-01T00:00:%02zu.%03zuZ", i / 1000,
						i % 1000),
			.name = "gpu_loss",
			.kind = "injected",
			.driver = "process",
			.variant = "",
			.verdict = "passed",
			.version = "1",
			.scenario = "a",
			.seed = "42",
			.recovered = 1,
			.frt_s = values[i],
			.brt_s = NAN,
			.brp_s = NAN,
			.availability = NAN,
		};
	trend_make(&list, &options, &arena, trend);
	ck_assert_uint_eq(trend->count, 1);
	ck_assert_uint_eq(trend->groups[0].series_count, 1);
	return trend->groups[0].series[0].state;
}

/* 10 % worse from night 200 on, in a noise of 5 %: night by night the gate says nothing before, and
 * fails by night 210. */
START_TEST(finds_ten_percent)
{
	uint64_t seed = (uint64_t)_i + 1;
	double values[NIGHTS];
	size_t found = 0;
	struct trend trend;

	make(values, NIGHTS, seed, 0, WORSE_FROM, 1.1);
	for (size_t n = 1; n <= WORSE_FROM + 10 && !found; n++) {
		if (n < WORSE_FROM - 5 && n % 7)
			continue; /* an alarm would last longer than that */
		if (gate_after(values, n, &trend) == TREND_WORSE)
			found = n;
		ck_assert_msg(!found || found >= WORSE_FROM, "seed %zu: alarm in night %zu",
			      (size_t)seed, n);
	}
	ck_assert_msg(found > 0, "seed %zu: nothing found by night %d", (size_t)seed,
		      WORSE_FROM + 10);
	printf("seed %2zu: night %zu, %s\n", (size_t)seed, found,
	       trend_sentence(&trend.groups[0], &trend.groups[0].series[0], &arena));
}
END_TEST

/* Seldom is not never: chance can hide it. Of 500 other series 97 % and more are found by then. */
START_TEST(finds_nearly_all)
{
	size_t found = 0;

	for (uint64_t seed = 101; seed <= 600; seed++) {
		double values[NIGHTS], x[NIGHTS];
		struct change_series series;
		struct change *changes;
		size_t count;

		make(values, WORSE_FROM + 10, seed, 0, WORSE_FROM, 1.1);
		series = series_of(values, WORSE_FROM + 10, x);
		count = change_watch(&series, &arena, &changes);
		found += count > 0 && changes[count - 1].after > changes[count - 1].before &&
			 changes[count - 1].found + 1 >= WORSE_FROM;
		arena_reset(&arena);
	}
	printf("10 %% worse in a noise of 5 %%: %zu of 500 other series found within ten nights\n",
	       found);
	ck_assert_uint_ge(found, 485);
}
END_TEST

/* Looking back over all 300, it is placed within ten nights, and its interval holds the truth. */
START_TEST(looks_back)
{
	size_t placed = 0, held = 0, changes = 0;

	for (uint64_t seed = 1; seed <= 20; seed++) {
		double values[NIGHTS], x[NIGHTS];
		struct change_series series;
		struct change *points;
		size_t count;

		make(values, NIGHTS, seed, 0, WORSE_FROM, 1.1);
		series = series_of(values, NIGHTS, x);
		count = change_points(&series, &arena, &points);
		changes += count;
		for (size_t i = 0; i < count; i++) {
			double off = (double)points[i].at + 1 - WORSE_FROM;

			placed += fabs(off) <= 10;
			held += points[i].low <= log(1.1) && log(1.1) <= points[i].high;
			ck_assert_double_gt(points[i].after, points[i].before);
		}
	}
	ck_assert_uint_eq(changes, 20);
	ck_assert_uint_eq(placed, 20);
	ck_assert_uint_ge(held, 17);
}
END_TEST

/* At most one of the first 100 unchanged series has an alarm in any of its 300 nights; and of 1500
 * no more than 1 % do. */
START_TEST(seldom_cries_wolf)
{
	size_t first = 0, all = 0, back = 0;

	for (uint64_t seed = 1; seed <= 1500; seed++) {
		double values[NIGHTS], x[NIGHTS];
		struct change_series series;
		struct change *found;
		size_t count;
		bool worse = false;

		make(values, NIGHTS, seed, 1, NIGHTS + 1, 1);
		series = series_of(values, NIGHTS, x);
		count = change_watch(&series, &arena, &found);
		for (size_t i = 0; i < count; i++)
			worse = worse || found[i].after > found[i].before;
		all += worse;
		first += worse && seed <= 100;
		if (seed <= 300)
			back += change_points(&series, &arena, &found) > 0;
		arena_reset(&arena);
	}
	printf("unchanged series of 300 nights: alarms in %zu of the first 100, in %zu of 1500; "
	       "looking back a change in %zu of 300\n",
	       first, all, back);
	ck_assert_uint_le(first, 1);
	ck_assert_uint_le(all, 15);
	ck_assert_uint_le(back, 6);
}
END_TEST

/* What was found in a night was found from the nights up to it alone. */
START_TEST(replay_knows_no_future)
{
	double values[NIGHTS], x[NIGHTS];
	struct change_series series;
	struct change *all, *part;
	size_t count, then;

	make(values, NIGHTS, 3, 0, WORSE_FROM, 1.1);
	for (size_t i = 250; i < NIGHTS; i++)
		values[i] /= 1.3;
	series = series_of(values, NIGHTS, x);
	count = change_watch(&series, &arena, &all);
	ck_assert_uint_eq(count, 2);
	for (size_t n = 1; n <= NIGHTS; n++) {
		series.n = n;
		then = change_watch(&series, &arena, &part);
		ck_assert_uint_eq(then, (size_t)(all[0].found < n) + (all[1].found < n));
		for (size_t i = 0; i < then; i++) {
			ck_assert_uint_eq(part[i].found, all[i].found);
			ck_assert_uint_eq(part[i].at, all[i].at);
		}
	}
}
END_TEST

/* The larger, the sooner; and what is better again is told as better. */
START_TEST(large_ones_are_found_at_once)
{
	double values[NIGHTS], x[NIGHTS];
	struct change_series series;
	struct change *found;

	make(values, NIGHTS, 1, 0, WORSE_FROM, 2);
	for (size_t i = 250; i < NIGHTS; i++)
		values[i] /= 2;
	series = series_of(values, NIGHTS, x);
	ck_assert_uint_eq(change_watch(&series, &arena, &found), 2);
	ck_assert_uint_eq(found[0].found + 1, WORSE_FROM + 1);
	ck_assert_uint_eq(found[0].at + 1, WORSE_FROM);
	ck_assert_double_eq_tol(exp(found[0].after - found[0].before), 2, 0.1);
	ck_assert_double_lt(found[1].after, found[1].before);
	ck_assert_uint_eq(found[1].at, 250);
}
END_TEST

/* One night that is ten times as long, and another one weeks later, are odd nights. */
START_TEST(odd_nights_are_no_change)
{
	size_t alarms = 0, back = 0;

	for (uint64_t seed = 1; seed <= 100; seed++) {
		double values[NIGHTS], x[NIGHTS];
		struct change_series series;
		struct change *found;

		make(values, NIGHTS, seed, 3, NIGHTS + 1, 1);
		values[80 + seed] *= 10;
		values[180 + seed] *= 10;
		series = series_of(values, NIGHTS, x);
		alarms += change_watch(&series, &arena, &found) > 0;
		back += change_points(&series, &arena, &found) > 0;
		arena_reset(&arena);
	}
	ck_assert_uint_le(alarms, 1);
	ck_assert_uint_eq(back, 0);
}
END_TEST

/* Nothing is lost but in one night of fifty: seldom, and as seldom as before. */
START_TEST(seldom_losses_are_no_change)
{
	size_t alarms = 0;

	for (uint64_t seed = 1; seed <= 200; seed++) {
		double values[NIGHTS], x[NIGHTS];
		struct change_series series;
		struct change *found;
		struct prng prng;

		prng_open(&prng, seed, 4, 0, PRNG_TEST);
		for (size_t i = 0; i < NIGHTS; i++)
			values[i] = prng_uniform(&prng) < 0.02 ? 3 + prng_uniform(&prng) : 0;
		series = series_of(values, NIGHTS, x);
		alarms += change_watch(&series, &arena, &found) > 0;
	}
	ck_assert_uint_le(alarms, 2);
}
END_TEST

/* ---- without noise ---- */

static size_t watch_constant(size_t n, size_t change, double factor, bool exact,
			     struct change **ret)
{
	double values[NIGHTS], x[NIGHTS];
	struct change_series series;

	for (size_t i = 0; i < n; i++)
		values[i] = 89.3 * (i + 1 >= change ? factor : 1);
	series = series_of(values, n, x);
	series.exact = exact;
	return change_watch(&series, &arena, ret);
}

START_TEST(constant_series)
{
	double values[NIGHTS], x[NIGHTS];
	struct change_series series;
	struct change *found, *points;

	ck_assert_uint_eq(watch_constant(NIGHTS, NIGHTS + 1, 1, true, &found), 0);
	ck_assert_uint_eq(watch_constant(NIGHTS, NIGHTS + 1, 1, false, &found), 0);
	/* Repeats of one seed: a step is found the night it comes. */
	ck_assert_uint_eq(watch_constant(NIGHTS, WORSE_FROM, 1.01, true, &found), 1);
	ck_assert_uint_eq(found[0].at + 1, WORSE_FROM);
	ck_assert_uint_eq(found[0].found + 1, WORSE_FROM);
	/* Nights that only happened to be equal: it takes a few, so that order cannot be chance. */
	ck_assert_uint_eq(watch_constant(NIGHTS, WORSE_FROM, 1.01, false, &found), 1);
	ck_assert_uint_eq(found[0].at + 1, WORSE_FROM);
	ck_assert_uint_le(found[0].found + 1, WORSE_FROM + 3);
	ck_assert_uint_eq(watch_constant(12, 12, 2, false, &found), 0);
	for (size_t i = 0; i < NIGHTS; i++)
		values[i] = i + 1 >= WORSE_FROM ? 91 : 89.3;
	series = series_of(values, NIGHTS, x);
	ck_assert_uint_eq(change_points(&series, &arena, &points), 1);
	ck_assert_uint_eq(points[0].at + 1, WORSE_FROM);
	/* Zeros have no logarithm: nothing was lost in any night, and then there was. */
	for (size_t i = 0; i < NIGHTS; i++)
		values[i] = i + 1 >= WORSE_FROM ? 3 : 0;
	ck_assert(!change_scale(values, NIGHTS, true, x, &series.resolution));
	ck_assert_uint_eq(change_watch(&series, &arena, &found), 1);
	ck_assert_uint_eq(found[0].at + 1, WORSE_FROM);
}
END_TEST

/* ---- few nights ---- */

/* 5 nights and more before: then a large step is found, and below that nothing is said. */
START_TEST(few_nights)
{
	double values[NIGHTS], x[NIGHTS];
	struct change_series series;
	struct change *found;
	struct trend trend;

	for (size_t n = 1; n < CHANGE_NIGHTS_MIN; n++) {
		make(values, n, 5, 0, n, 10);
		ck_assert_int_eq(gate_after(values, n, &trend), TREND_TOO_FEW);
	}
	make(values, 14, 5, 0, 12, 3);
	series = series_of(values, 14, x);
	ck_assert_uint_eq(change_watch(&series, &arena, &found), 1);
	ck_assert_uint_eq(found[0].at + 1, 12);
}
END_TEST

START_TEST(control_chart)
{
	/* Ranges 1 2 3 4: mean 2.5. */
	const double x[] = {10, 11, 9, 12, 8};
	const struct change_series series = {.x = x, .n = 5};
	const double far[] = {10, 10.1, 9.9, 10, 10.1, 9.9, 10, 10.1, 9.9, 30};
	struct change_chart chart = change_chart(&series);

	ck_assert_double_eq_tol(chart.mean, 10, 1e-12);
	ck_assert_double_eq_tol(chart.range, 2.5, 1e-12);
	ck_assert_double_eq_tol(chart.low, 10 - 2.66 * 2.5, 1e-12);
	ck_assert_double_eq_tol(chart.high, 10 + 2.66 * 2.5, 1e-12);
	ck_assert_uint_eq(chart.outside, 0);
	chart = change_chart(&(struct change_series){.x = far, .n = 10});
	ck_assert_uint_eq(chart.outside, 1);
}
END_TEST

/* ---- nights that did not recover ---- */

START_TEST(nights_that_fail)
{
	bool failed[NIGHTS] = {false};
	struct change *found;

	ck_assert_uint_eq(change_watch_share(failed, 60, &arena, &found), 0);
	failed[30] = true; /* one is an accident */
	ck_assert_uint_eq(change_watch_share(failed, 60, &arena, &found), 0);
	for (size_t i = 50; i < 60; i++)
		failed[i] = true;
	ck_assert_uint_eq(change_watch_share(failed, 60, &arena, &found), 1);
	ck_assert_uint_eq(found[0].at, 50);
	ck_assert_uint_le(found[0].found, 57);
	ck_assert_double_eq(found[0].after, 1);
}
END_TEST

/* A coin that falls badly one night in five, for 300 nights: no alarm but by chance. */
START_TEST(failing_nights_by_chance)
{
	size_t alarms = 0;

	for (uint64_t seed = 1; seed <= 300; seed++) {
		bool failed[NIGHTS], worse = false;
		struct change *found;
		struct prng prng;
		size_t count;

		prng_open(&prng, seed, 2, 0, PRNG_TEST);
		for (size_t i = 0; i < NIGHTS; i++)
			failed[i] = prng_uniform(&prng) < 0.2;
		count = change_watch_share(failed, NIGHTS, &arena, &found);
		for (size_t i = 0; i < count; i++)
			worse = worse || found[i].after > found[i].before;
		alarms += worse;
	}
	ck_assert_uint_le(alarms, 3);
}
END_TEST

static void add_cases(Suite *suite)
{
	TCase *tcase;

	test_add_loop(suite, "tail of t", tail_of_t, sizeof(tails) / sizeof(tails[0]));
	test_add(suite, "far tail of t", tail_of_t_far_out);
	tcase = tcase_create("nights");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, finds_ten_percent, 0, 20);
	tcase_add_test(tcase, finds_nearly_all);
	tcase_add_test(tcase, looks_back);
	tcase_add_test(tcase, seldom_cries_wolf);
	tcase_add_test(tcase, replay_knows_no_future);
	tcase_add_test(tcase, large_ones_are_found_at_once);
	tcase_add_test(tcase, odd_nights_are_no_change);
	tcase_add_test(tcase, seldom_losses_are_no_change);
	tcase_add_test(tcase, constant_series);
	tcase_add_test(tcase, few_nights);
	tcase_add_test(tcase, control_chart);
	tcase_add_test(tcase, nights_that_fail);
	tcase_add_test(tcase, failing_nights_by_chance);
	suite_add_tcase(suite, tcase);
}

TEST_MAIN("nights", add_cases)
