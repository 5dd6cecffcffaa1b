/* SPDX-License-Identifier: Apache-2.0 */
/* The impairment model beside what theory says of it: shares, bursts, distributions, a rate. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/stats.h"
#include "drivers/linux/impair.h"
#include "tests/test.h"

#define PACKETS 100000
#define Z99 2.5758293035489 /* 99 % of a normal distribution, both sides */
#define KS_N 2000
#define KS_1_PERCENT 1.6276 /* / sqrt(n), Kolmogorov's limit */
#define SIZE 1514
#define SEED 7

static const nanos MS = NANOS_MS;

static struct impair_config random_loss(double probability, double correlation)
{
	return (struct impair_config){
		.loss = {.model = IMPAIR_LOSS_RANDOM,
			 .probability = probability,
			 .correlation = correlation},
	};
}

static struct impair_config delay(nanos latency, nanos jitter, enum impair_distribution shape)
{
	return (struct impair_config){
		.delay = {.latency = latency, .jitter = jitter, .distribution = shape},
	};
}

/* Which of the packets were lost; how many. */
static uint64_t losses(const struct impair_config *config, uint64_t seed, uint64_t stream,
		       bool *ret_lost)
{
	struct impair impair;
	struct impair_verdict verdict;

	impair_open(&impair, config, seed, stream);
	for (size_t i = 0; i < PACKETS; i++) {
		impair_packet(&impair, (nanos)i * 1000, SIZE, &verdict);
		ret_lost[i] = verdict.drop == IMPAIR_DROP_LOSS;
	}
	ck_assert_uint_eq(impair.counters.seen, PACKETS);
	return impair.counters.dropped[IMPAIR_DROP_LOSS];
}

static double deviation_of_share(double share)
{
	return sqrt(share * (1 - share) / PACKETS);
}

START_TEST(check_names_what_is_wrong)
{
	static const struct {
		struct impair_config config;
		const char *text;
	} rows[] = {
		{{.loss = {.probability = 1.5}}, "loss must be between"},
		{{.loss = {.p13 = 0.6, .p14 = 0.6}}, "p13 + p14 must be"},
		{{.loss = {.one_h = -0.1}}, "1-h must be"},
		{{.delay = {.latency = -1}}, "latency must be"},
		{{.delay = {.jitter = 2 * IMPAIR_DELAY_MAX}}, "jitter must be"},
		{{.delay = {.correlation = 2}}, "correlation of delay"},
		{{.duplicate = NAN}, "duplicate must be"},
		{{.corrupt = 1.01}, "corrupt must be"},
		{{.reorder = {.probability = 0.1}}, "reorder needs a latency"},
		{{.rate = {.buffer = 1}}, "buffer and limit need a rate"},
		{{.rate = {.bytes_per_s = UINT64_MAX}}, "at most 1 TB"},
		{{.mtu = 67}, "mtu must be at least 68"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error error = {0};

		ck_assert_int_eq(impair_check(&rows[i].config, &error), -1);
		ck_assert_msg(strstr(error.text, rows[i].text), "'%s' is not '%s'", error.text,
			      rows[i].text);
	}
	ck_assert_int_eq(impair_check(&(struct impair_config){0}, NULL), 0);
}
END_TEST

START_TEST(nothing_does_nothing)
{
	const struct impair_config nothing = {.loss = {.model = IMPAIR_LOSS_RANDOM}};
	struct impair impair;
	struct impair_verdict verdict;

	ck_assert(impair_is_nothing(&nothing));
	ck_assert(!impair_needs_wire_packets(&nothing));
	impair_open(&impair, &nothing, SEED, 0);
	impair_packet(&impair, 5, SIZE, &verdict);
	ck_assert_int_eq(verdict.drop, IMPAIR_PASS);
	ck_assert_uint_eq(verdict.copies, 1);
	ck_assert_int_eq(verdict.at[0], 5);
	ck_assert_uint_eq(verdict.flip[0], IMPAIR_NO_FLIP);
	ck_assert_uint_eq(impair.counters.delayed, 0);
}
END_TEST

START_TEST(random_loss_lies_in_its_interval)
{
	static const double shares[] = {0.001, 0.03, 0.25, 0.5, 0.97};
	static bool lost[PACKETS];

	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		const struct impair_config config = random_loss(shares[i], 0);
		double share = (double)losses(&config, SEED, i, lost) / PACKETS;

		ck_assert_double_eq(impair_loss_share(&config), shares[i]);
		ck_assert_double_eq_tol(share, shares[i], Z99 * deviation_of_share(shares[i]));
	}
}
END_TEST

/* Over many seeds as many shares lie outside of the 99 % interval as there should: neither the
 * mean nor the spread is off. */
START_TEST(random_loss_has_the_right_spread)
{
	enum {
		SEEDS = 300
	};
	static bool lost[PACKETS];
	const struct impair_config config = random_loss(0.03, 0);
	size_t outside = 0;
	double sum = 0;

	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		double share = (double)losses(&config, seed, 0, lost) / PACKETS;

		sum += share;
		outside += fabs(share - 0.03) > deviation_of_share(0.03); /* 31.7 % */
	}
	ck_assert_double_eq_tol(sum / SEEDS, 0.03, Z99 * deviation_of_share(0.03) / sqrt(SEEDS));
	ck_assert_double_eq_tol((double)outside / SEEDS, 0.3173,
				Z99 * sqrt(0.3173 * 0.6827 / SEEDS));
}
END_TEST

START_TEST(the_same_seed_loses_the_same_packets)
{
	static bool a[PACKETS], b[PACKETS];
	struct impair_config config = random_loss(0.03, 0.3);

	losses(&config, SEED, 1, a);
	losses(&config, SEED, 1, b);
	ck_assert_mem_eq(a, b, sizeof(a));
	/* What is added beside it shifts nothing. */
	config.duplicate = 0.5;
	config.corrupt = 0.5;
	config.delay.latency = MS;
	config.delay.jitter = MS;
	losses(&config, SEED, 1, b);
	ck_assert_mem_eq(a, b, sizeof(a));
	losses(&config, SEED, 2, b);
	ck_assert_mem_ne(a, b, sizeof(a));
	losses(&config, SEED + 1, 1, b);
	ck_assert_mem_ne(a, b, sizeof(a));
}
END_TEST

static double autocorrelation(const double *x, size_t n)
{
	double mean = 0, variance = 0, product = 0;

	for (size_t i = 0; i < n; i++)
		mean += x[i] / (double)n;
	for (size_t i = 0; i < n; i++) {
		variance += (x[i] - mean) * (x[i] - mean);
		if (i > 0)
			product += (x[i] - mean) * (x[i - 1] - mean);
	}
	return product / variance;
}

START_TEST(correlated_loss_keeps_its_share)
{
	static const double rhos[] = {0, 0.25, 0.5, 0.9};
	static bool lost[PACKETS];
	static double x[PACKETS];

	for (size_t i = 0; i < sizeof(rhos) / sizeof(rhos[0]); i++) {
		const struct impair_config config = random_loss(0.2, rhos[i]);
		double share = (double)losses(&config, SEED, i, lost) / PACKETS;

		/* The variance of a mean of correlated draws: (1 + rho) / (1 - rho) times. */
		ck_assert_double_eq_tol(share, 0.2,
					Z99 * deviation_of_share(0.2) *
						sqrt((1 + rhos[i]) / (1 - rhos[i])));
		for (size_t j = 0; j < PACKETS; j++)
			x[j] = lost[j];
		ck_assert_double_eq_tol(autocorrelation(x, PACKETS), rhos[i], 0.015);
	}
}
END_TEST

/* Mean length of runs of losses. */
static double mean_burst(const bool *lost)
{
	size_t bursts = 0, packets = 0;

	for (size_t i = 0; i < PACKETS; i++) {
		packets += lost[i];
		bursts += lost[i] && (i == 0 || !lost[i - 1]);
	}
	return bursts ? (double)packets / (double)bursts : 0;
}

START_TEST(gilbert_elliott_comes_in_bursts)
{
	static bool lost[PACKETS];
	const double p = 0.01, r = 0.2, share = p / (p + r);
	struct impair_config config = {
		.loss = {.model = IMPAIR_LOSS_GEMODEL, .p = p, .r = r, .one_h = 1, .one_k = 0},
	};
	double measured = (double)losses(&config, SEED, 0, lost) / PACKETS;
	double lambda = 1 - p - r;

	ck_assert_double_eq_tol(impair_loss_share(&config), share, 1e-12);
	ck_assert_double_eq_tol(measured, share,
				Z99 * deviation_of_share(share) *
					sqrt((1 + lambda) / (1 - lambda)));
	/* Geometric, mean 1 / r, variance (1 - r) / r^2, of about 952 bursts. */
	ck_assert_double_eq_tol(mean_burst(lost), 1 / r,
				Z99 * sqrt((1 - r) / (r * r) / (PACKETS * share * r)));
	config.loss.one_h = 0.5;
	config.loss.one_k = 0.01;
	measured = (double)losses(&config, SEED, 1, lost) / PACKETS;
	ck_assert_double_eq_tol(impair_loss_share(&config), share * 0.5 + (1 - share) * 0.01,
				1e-12);
	ck_assert_double_eq_tol(measured, impair_loss_share(&config), 0.003);
}
END_TEST

START_TEST(four_states_lose_their_share)
{
	static bool lost[PACKETS];
	static const struct {
		double p13, p31, p32, p23, p14, share;
	} rows[] = {
		{0.02, 0.3, 0.1, 0.6, 0.005,
		 (0.005 + 0.02 / 0.3) / (1 + 0.005 + 0.02 / 0.3 * (1 + 1. / 6))},
		{0, 0, 0, 0, 0.1, 0.1 / 1.1},
		{0.01, 0, 0, 0, 0, 1},     /* a burst without an end */
		{0.05, 0.1, 0.2, 0, 0, 0}, /* the received part of a burst is never left */
		{0.05, 0, 0.25, 0.5, 0, 2. / 3},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct impair_config config = {
			.loss = {.model = IMPAIR_LOSS_STATE,
				 .p13 = rows[i].p13,
				 .p31 = rows[i].p31,
				 .p32 = rows[i].p32,
				 .p23 = rows[i].p23,
				 .p14 = rows[i].p14},
		};
		double share = (double)losses(&config, SEED, i, lost) / PACKETS;

		ck_assert_double_eq_tol(impair_loss_share(&config), rows[i].share, 1e-12);
		ck_assert_double_eq_tol(share, rows[i].share, 0.006);
	}
	/* Row 1: what is lost alone is never followed by another loss. */
	losses(&(struct impair_config){.loss = {.model = IMPAIR_LOSS_STATE, .p14 = 0.5}}, SEED, 0,
	       lost);
	ck_assert_double_eq(mean_burst(lost), 1);
}
END_TEST

/* ---- delays ---- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void delays_of(const struct impair_config *config, uint64_t seed, double *ret, size_t n)
{
	struct impair impair;
	struct impair_verdict verdict;

	impair_open(&impair, config, seed, 0);
	for (size_t i = 0; i < n; i++) {
		impair_packet(&impair, (nanos)i * MS, SIZE, &verdict);
		ret[i] = (double)(verdict.at[0] - (nanos)i * MS);
	}
	ck_assert_uint_eq(impair.counters.delayed, n);
}

static double cdf(enum impair_distribution shape, double x)
{
	double low = 1e-12, high = 1 - 1e-12;

	switch (shape) {
	case IMPAIR_UNIFORM:
		return x < -1 ? 0 : x > 1 ? 1 : (x + 1) / 2;
	case IMPAIR_NORMAL:
		return stats_normal_cdf(x);
	case IMPAIR_PARETO:
		return 1 - pow(1.5 + x * sqrt(0.75), -3);
	case IMPAIR_PARETONORMAL:
		break;
	}
	/* No closed form: what its definition says, by bisection. */
	while (high - low > 1e-9) {
		double u = (low + high) / 2;
		double pareto = (1 / cbrt(1 - u) - 1.5) / sqrt(0.75);

		if ((0.25 * stats_normal_quantile(u) + 0.75 * pareto) / 0.937754 < x)
			low = u;
		else
			high = u;
	}
	return low;
}

static double ks(enum impair_distribution shape, double latency, double jitter, double *x, size_t n)
{
	double worst = 0;

	qsort(x, n, sizeof(*x), by_value);
	for (size_t i = 0; i < n; i++) {
		double f = cdf(shape, (x[i] - latency) / jitter);

		worst = fmax(worst,
			     fmax(f - (double)i / (double)n, (double)(i + 1) / (double)n - f));
	}
	return worst * sqrt((double)n);
}

START_TEST(delays_have_their_distribution)
{
	static double x[KS_N];
	const enum impair_distribution shape = (enum impair_distribution)_i;
	const struct impair_config config = delay(40 * MS, 5 * MS, shape);

	for (uint64_t seed = 0; seed < 5; seed++) {
		double fit, misfit;

		delays_of(&config, seed, x, KS_N);
		fit = ks(shape, 40e6, 5e6, x, KS_N);
		misfit = ks((enum impair_distribution)((_i + 1) % 4), 40e6, 5e6, x, KS_N);
		ck_assert_double_lt(fit, KS_1_PERCENT);
		ck_assert_double_gt(misfit, KS_1_PERCENT);
	}
}
END_TEST

START_TEST(distributions_have_deviation_one)
{
	enum {
		N = 4000000
	};

	for (int shape = IMPAIR_NORMAL; shape <= IMPAIR_PARETONORMAL; shape++) {
		double sum = 0, squares = 0;

		for (int i = 0; i < N; i++) {
			double x = impair_quantile((enum impair_distribution)shape, (i + 0.5) / N);

			sum += x / N;
			squares += x * x / N;
		}
		ck_assert_double_eq_tol(sum, 0, 1e-3);
		ck_assert_double_eq_tol(squares, 1, 0.02); /* a heavy tail is summed badly */
	}
}
END_TEST

START_TEST(correlated_delays_keep_their_distribution)
{
	static double x[PACKETS], thin[KS_N];
	struct impair_config config = delay(40 * MS, 5 * MS, IMPAIR_NORMAL);

	config.delay.correlation = 0.7;
	delays_of(&config, SEED, x, PACKETS);
	ck_assert_double_eq_tol(autocorrelation(x, PACKETS), 0.7, 0.01);
	for (size_t i = 0; i < KS_N; i++)
		thin[i] = x[i * (PACKETS / KS_N)]; /* 0.7^50 is nothing: independent */
	ck_assert_double_lt(ks(IMPAIR_NORMAL, 40e6, 5e6, thin, KS_N), KS_1_PERCENT);
}
END_TEST

START_TEST(a_delay_is_never_negative)
{
	const struct impair_config config = delay(MS, 5 * MS, IMPAIR_NORMAL);
	struct impair impair;
	struct impair_verdict verdict;
	size_t at_once = 0;

	impair_open(&impair, &config, SEED, 0);
	for (size_t i = 0; i < 10000; i++) {
		impair_packet(&impair, 1000, SIZE, &verdict);
		ck_assert_int_ge(verdict.at[0], 1000);
		at_once += verdict.at[0] == 1000;
	}
	ck_assert_double_eq_tol((double)at_once / 10000, stats_normal_cdf(-0.2), 0.02);
	ck_assert_uint_eq(impair.counters.delayed, 10000 - at_once);
}
END_TEST

/* ---- the rest ---- */

START_TEST(a_rate_is_exact)
{
	static const uint64_t rates[] = {7, 1000003, 12500000, 123456789, 1250000000};

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		const struct impair_config config = {
			.rate = {.bytes_per_s = rates[i], .limit = 1000000000},
		};
		struct impair impair;
		struct impair_verdict verdict = {0};
		uint64_t bytes = 0;

		impair_open(&impair, &config, SEED, 0);
		for (uint32_t n = 0; n < 1000; n++) {
			uint32_t size = 60 + n * 31 % 1455;

			impair_packet(&impair, 500, size, &verdict);
			bytes += size;
			ck_assert_int_eq(verdict.drop, IMPAIR_PASS);
			/* The last bit of all so far, to the nanosecond. */
			ck_assert_int_eq(verdict.at[0] - 500, (nanos)(bytes * NANOS_S / rates[i]));
		}
		ck_assert_uint_eq(impair.counters.delayed, 1000);
	}
}
END_TEST

START_TEST(a_rate_has_a_buffer_and_a_limit)
{
	const struct impair_config config = {
		.rate = {.bytes_per_s = 1000000, .buffer = 10 * 1000, .limit = 5 * 1000},
	};
	struct impair impair;
	struct impair_verdict verdict;
	nanos last = 0;

	impair_open(&impair, &config, SEED, 0);
	for (int i = 0; i < 16; i++) {
		impair_packet(&impair, 0, 1000, &verdict);
		ck_assert_int_eq(verdict.drop, IMPAIR_PASS);
		ck_assert_int_eq(verdict.at[0], i < 10 ? 0 : (i - 9) * MS);
	}
	impair_packet(&impair, 0, 1000, &verdict);
	ck_assert_int_eq(verdict.drop, IMPAIR_DROP_LIMIT);
	ck_assert_uint_eq(verdict.copies, 0);
	/* For a second at three times the rate: the buffer, the rate, and what may wait. */
	impair_open(&impair, &config, SEED, 0);
	for (int i = 0; i < 3000; i++) {
		impair_packet(&impair, i * MS / 3, 1000, &verdict);
		if (verdict.copies)
			last = verdict.at[0];
	}
	ck_assert_uint_eq(impair.counters.dropped[IMPAIR_DROP_LIMIT], 3000 - 1000 - 10 - 6 + 1);
	ck_assert_int_eq(last, 1005 * MS);
	/* After a pause the buffer is full again. */
	impair_packet(&impair, 2000 * MS, 1000, &verdict);
	ck_assert_int_eq(verdict.at[0], 2000 * MS);
}
END_TEST

START_TEST(a_change_goes_on_counting)
{
	static bool before[PACKETS], after[PACKETS];
	const struct impair_config some = random_loss(0.03, 0), all = random_loss(1, 0);
	struct impair impair;
	struct impair_verdict verdict;

	losses(&some, SEED, 0, before);
	impair_open(&impair, &some, SEED, 0);
	for (size_t i = 0; i < PACKETS; i++) {
		if (i == 1000)
			impair_change(&impair, &all);
		if (i == 2000)
			impair_change(&impair, &some);
		impair_packet(&impair, 0, SIZE, &verdict);
		after[i] = verdict.copies == 0;
		if (i >= 1000 && i < 2000) {
			ck_assert(after[i]);
			after[i] = before[i];
		}
	}
	ck_assert_mem_eq(before, after, sizeof(before));
	ck_assert_uint_eq(impair.counters.seen, PACKETS);
}
END_TEST

START_TEST(copies_flips_and_the_mtu)
{
	static uint32_t bytes[SIZE];
	struct impair_config config = {.duplicate = 0.1, .corrupt = 0.2, .mtu = 1500};
	struct impair impair;
	struct impair_verdict verdict;
	uint64_t twice = 0, flips = 0, copies = 0, hit = 0;

	impair_open(&impair, &config, SEED, 0);
	for (size_t i = 0; i < PACKETS; i++) {
		impair_packet(&impair, 9, SIZE, &verdict);
		twice += verdict.copies == 2;
		copies += verdict.copies;
		for (uint32_t c = 0; c < verdict.copies; c++) {
			if (verdict.flip[c] == IMPAIR_NO_FLIP)
				continue;
			flips++;
			ck_assert_uint_ge(verdict.flip[c], 8 * IMPAIR_FRAME_HEADER);
			ck_assert_uint_lt(verdict.flip[c], 8 * SIZE);
			bytes[verdict.flip[c] / 8]++;
		}
	}
	ck_assert_uint_eq(impair.counters.duplicated, twice);
	ck_assert_uint_eq(impair.counters.corrupted, flips);
	ck_assert_double_eq_tol((double)twice / PACKETS, 0.1, Z99 * deviation_of_share(0.1));
	ck_assert_double_eq_tol((double)flips / (double)copies, 0.2, Z99 * deviation_of_share(0.2));
	for (size_t i = IMPAIR_FRAME_HEADER; i < SIZE; i++)
		hit += bytes[i] > 0;
	ck_assert_uint_gt(hit, (SIZE - IMPAIR_FRAME_HEADER) * 95 / 100);
	impair_packet(&impair, 9, SIZE + 1, &verdict);
	ck_assert_int_eq(verdict.drop, IMPAIR_DROP_MTU);
	ck_assert_uint_eq(impair.counters.dropped[IMPAIR_DROP_MTU], 1);
}
END_TEST

START_TEST(some_overtake_those_that_wait)
{
	struct impair_config config = delay(10 * MS, 0, IMPAIR_UNIFORM);
	struct impair impair;
	struct impair_verdict verdict;
	size_t gap = 0;

	config.reorder.probability = 0.25;
	impair_open(&impair, &config, SEED, 0);
	for (size_t i = 0; i < PACKETS; i++) {
		impair_packet(&impair, 0, SIZE, &verdict);
		ck_assert(verdict.at[0] == 0 || verdict.at[0] == 10 * MS);
	}
	ck_assert_double_eq_tol((double)impair.counters.reordered / PACKETS, 0.25,
				Z99 * deviation_of_share(0.25));
	ck_assert_uint_eq(impair.counters.delayed, PACKETS - impair.counters.reordered);
	config.reorder.probability = 1;
	config.reorder.gap = 5;
	impair_open(&impair, &config, SEED, 0);
	for (size_t i = 1; i <= 1000; i++) {
		impair_packet(&impair, 0, SIZE, &verdict);
		ck_assert_int_eq(verdict.at[0] == 0, i % 5 == 0);
		gap += verdict.at[0] == 0;
	}
	ck_assert_uint_eq(gap, 200);
}
END_TEST

START_TEST(what_must_be_cut_first)
{
	struct impair_config config = delay(10 * MS, 0, IMPAIR_UNIFORM);

	config.rate.bytes_per_s = 1250000000;
	ck_assert(!impair_needs_wire_packets(&config));
	config.delay.jitter = 1;
	ck_assert(impair_needs_wire_packets(&config));
	ck_assert(impair_needs_wire_packets(&(struct impair_config){.duplicate = 0.1}));
	ck_assert(impair_needs_wire_packets(&(struct impair_config){.corrupt = 0.1}));
	ck_assert(impair_needs_wire_packets(&(struct impair_config){.mtu = 1000}));
	ck_assert(impair_needs_wire_packets(&(struct impair_config){.rate = {.bytes_per_s = 1}}));
	config = random_loss(0.01, 0);
	ck_assert(impair_needs_wire_packets(&config));
}
END_TEST

static void add_cases(Suite *suite)
{
	test_add(suite, "check", check_names_what_is_wrong);
	test_add(suite, "nothing", nothing_does_nothing);
	test_add(suite, "loss", random_loss_lies_in_its_interval);
	test_add(suite, "spread", random_loss_has_the_right_spread);
	test_add(suite, "seed", the_same_seed_loses_the_same_packets);
	test_add(suite, "correlation", correlated_loss_keeps_its_share);
	test_add(suite, "gemodel", gilbert_elliott_comes_in_bursts);
	test_add(suite, "state", four_states_lose_their_share);
	test_add_loop(suite, "distribution", delays_have_their_distribution, 4);
	test_add(suite, "deviation", distributions_have_deviation_one);
	test_add(suite, "delay correlation", correlated_delays_keep_their_distribution);
	test_add(suite, "negative", a_delay_is_never_negative);
	test_add(suite, "rate", a_rate_is_exact);
	test_add(suite, "buffer", a_rate_has_a_buffer_and_a_limit);
	test_add(suite, "change", a_change_goes_on_counting);
	test_add(suite, "copies", copies_flips_and_the_mtu);
	test_add(suite, "reorder", some_overtake_those_that_wait);
	test_add(suite, "cut", what_must_be_cut_first);
}

TEST_MAIN("impair", add_cases)
