/* SPDX-License-Identifier: Apache-2.0 */
/* Detectors against their closed forms, and what makes each declare, clear and declare again. */
#include <math.h>
#include <string.h>

#include "core/detector.h"
#include "tests/test.h"

#define S NANOS_S
#define MS NANOS_MS

static const struct site sites[] = {
	{.name = "backup", .nodes = 4, .gpus = 8, .standby = {.heat = HEAT_WARM}},
	{.name = "primary", .nodes = 3, .gpus = 2},
	{.name = "second", .nodes = 1, .gpus = 0},
};
static const struct endpoint endpoints[] = {
	{.name = "chat", .site = 1, .replicas = 3},
	{.name = "embed", .site = 2, .replicas = 1},
};

/* A detector with everything it lives in. */
struct bench {
	struct arena arena;
	struct scenario scenario;
	struct detector detector;
};

/* `endpoint_count` is the number of targets of the usual scope. */
static void bench_open(struct bench *bench, struct detector_config config, size_t endpoint_count)
{
	struct error e = {0};

	*bench = (struct bench){.scenario = {.name = "test", .detector_count = 1}};
	bench->scenario.detectors[0] = config;
	bench->scenario.deployment.sites = sites;
	bench->scenario.deployment.site_count = 3;
	bench->scenario.deployment.endpoints = endpoints;
	bench->scenario.deployment.endpoint_count = endpoint_count;
	ck_assert_int_eq(
		detector_init(&bench->detector, &bench->scenario, 0, 1, 0, &bench->arena, &e), 0);
}

static void bench_close(struct bench *bench)
{
	arena_free(&bench->arena);
}

/* For loops of millions: libcheck's own macros write to a file each time they hold. */
static void require(bool holds)
{
	if (!holds)
		ck_abort_msg("a requirement of the test does not hold");
}

/* The look of the next round at a detector with one target. */
static struct action look(struct detector *detector, nanos *ret_now)
{
	struct action action;

	*ret_now = detector->next;
	require(detector_round(detector, *ret_now, &action, 1) == 1);
	require(action.kind == ACTION_PROBE);
	return action;
}

static struct detector_news answer(struct detector *detector, struct action action, nanos at,
				   bool ok)
{
	struct completion completion = {.action = action, .at = at, .ok = ok, .success = 1};

	return detector_result(detector, &completion);
}

/* One round with a good or bad look that ends at once (good) or at its timeout (bad). */
static struct detector_news step(struct detector *detector, bool ok)
{
	nanos now;
	struct action action = look(detector, &now);

	return answer(detector, action, ok ? now : now + action.timeout, ok);
}

static void expect(struct detector_news news, enum detector_verdict verdict, nanos at,
		   const char *reason)
{
	ck_assert_int_eq(news.verdict, verdict);
	if (verdict == DETECTOR_QUIET)
		return;
	ck_assert_int_eq(news.at, at);
	ck_assert_str_eq(news.reason, reason);
}

/* Within three standard errors of what the closed form says. */
static void check_mean(double sum, double sum_squares, double n, double expected)
{
	double mean = sum / n;
	double error = sqrt((sum_squares / n - mean * mean) / (n - 1));

	ck_assert_msg(fabs(mean - expected) <= 3 * error, "mean %.6g, expected %.6g, error %.3g",
		      mean, expected, error);
}

/* ---- probe ---- */

static const struct detector_config probe = {
	.kind = DETECTOR_PROBE, .interval = 10 * S, .timeout = 1 * S, .misses = 3};

/* The target is dead from `fault` on. The instant of the declaration. */
static nanos declared_after(struct detector *detector, nanos fault)
{
	for (;;) {
		struct detector_news news;
		nanos now;
		struct action action = look(detector, &now);

		news = answer(detector, action, now < fault ? now + 12 * MS : now + action.timeout,
			      now < fault);
		if (news.verdict == DETECTOR_DECLARE)
			return news.at;
		require(now <= fault + 100 * S);
	}
}

/* Detection ~ U((k-1)I+T, kI+T): mean, range, and the quartiles' shares. */
START_TEST(probe_closed_form)
{
	const int trials = 20000;
	double sum = 0, squares = 0, quarter = 0, half = 0, low = 1e9, high = 0;
	struct bench bench;
	struct prng prng;

	bench_open(&bench, probe, 1);
	prng_open(&prng, 1, 0, 0, PRNG_TEST);
	for (int i = 0; i < trials; i++) {
		nanos fault = (nanos)(prng_uniform(&prng) * 100 * (double)S);
		double took;

		detector_reset(&bench.detector, 1, (uint64_t)i);
		took = (double)(declared_after(&bench.detector, fault) - fault) / (double)S;
		sum += took;
		squares += took * took;
		low = fmin(low, took);
		high = fmax(high, took);
		quarter += took < 23.5;
		half += took < 26;
	}
	check_mean(sum, squares, trials, 26);
	check_mean(quarter, quarter, trials, 0.25);
	check_mean(half, half, trials, 0.5);
	ck_assert_double_ge(low, 21);
	ck_assert_double_lt(low, 21.01);
	ck_assert_double_le(high, 31);
	ck_assert_double_gt(high, 30.99);
	bench_close(&bench);
}
END_TEST

/* The edges are exact: a fault at the instant of a look goes first. */
START_TEST(probe_edges)
{
	struct bench bench;

	bench_open(&bench, probe, 1);
	ck_assert_int_eq(detector_deadline(&bench.detector), 10 * S);
	ck_assert_int_eq(declared_after(&bench.detector, 50 * S), 71 * S);
	detector_reset(&bench.detector, 1, 1);
	ck_assert_int_eq(declared_after(&bench.detector, 50 * S + 1), 81 * S);
	bench_close(&bench);
}
END_TEST

static const struct {
	double loss;
	uint32_t misses;
	double expected;
} suspicions[] = {{0.1, 3, 1110}, {0.05, 2, 420}};

/* False suspicion under loss p: (1-p^k)/(p^k(1-p)) probes. */
START_TEST(false_suspicion)
{
	const int trials = 4000;
	double loss = suspicions[_i].loss, power = pow(loss, suspicions[_i].misses);
	double sum = 0, squares = 0;
	struct detector_config config = probe;
	struct bench bench;
	struct prng prng;

	config.misses = suspicions[_i].misses;
	bench_open(&bench, config, 1);
	prng_open(&prng, 2, 0, 0, PRNG_TEST);
	for (int i = 0; i < trials; i++) {
		enum detector_verdict verdict = DETECTOR_QUIET;
		double probes = 0;

		detector_reset(&bench.detector, 1, (uint64_t)i);
		for (; verdict != DETECTOR_DECLARE; probes++)
			verdict = step(&bench.detector, prng_uniform(&prng) >= loss).verdict;
		sum += probes;
		squares += probes * probes;
	}
	ck_assert_double_eq_tol((1 - power) / (power * (1 - loss)), suspicions[_i].expected, 1e-6);
	check_mean(sum, squares, trials, suspicions[_i].expected);
	bench_close(&bench);
}
END_TEST

START_TEST(probe_declares_clears_and_declares_again)
{
	struct bench bench;
	struct detector *detector = &bench.detector;

	bench_open(&bench, probe, 1);
	expect(step(detector, true), DETECTOR_QUIET, 0, "");
	expect(step(detector, false), DETECTOR_MISS, 21 * S, "3 probes without an answer");
	expect(step(detector, true), DETECTOR_QUIET, 0, ""); /* in a row */
	expect(step(detector, false), DETECTOR_MISS, 41 * S, "3 probes without an answer");
	expect(step(detector, false), DETECTOR_MISS, 51 * S, "3 probes without an answer");
	ck_assert_uint_eq(detector->targets[0].misses, 2);
	expect(step(detector, false), DETECTOR_DECLARE, 61 * S, "3 probes without an answer");
	ck_assert(detector->targets[0].declared);
	expect(step(detector, false), DETECTOR_QUIET, 0, ""); /* still probed, no news */
	expect(step(detector, true), DETECTOR_CLEAR, 80 * S, "an answer");
	expect(step(detector, false), DETECTOR_MISS, 91 * S, "3 probes without an answer");
	expect(step(detector, false), DETECTOR_MISS, 101 * S, "3 probes without an answer");
	expect(step(detector, false), DETECTOR_DECLARE, 111 * S, "3 probes without an answer");
	bench_close(&bench);
}
END_TEST

/* timeout > interval: the next look waits for the one under way, known ahead of time or not. */
START_TEST(look_under_way)
{
	struct detector_config config = probe;
	struct bench bench;
	struct detector *detector = &bench.detector;
	struct action action, none;
	nanos now;

	config.timeout = 25 * S;
	bench_open(&bench, config, 1);
	action = look(detector, &now);
	ck_assert_int_eq(now, 10 * S);
	ck_assert_uint_eq(detector_round(detector, 20 * S, &none, 1), 0); /* no result yet */
	answer(detector, action, 35 * S, false); /* handed over ahead of time */
	ck_assert_uint_eq(detector_round(detector, 30 * S, &none, 1), 0);
	ck_assert_uint_eq(detector_round(detector, 35 * S, &none, 1), 0); /* no round is due */
	action = look(detector, &now);
	ck_assert_int_eq(now, 40 * S);
	ck_assert_int_eq(action.timeout, 25 * S);
	/* A caller that comes late does not make up for the rounds it missed. */
	answer(detector, action, 40 * S, true);
	ck_assert_uint_eq(detector_round(detector, 77 * S, &none, 1), 1);
	ck_assert_int_eq(detector_deadline(detector), 80 * S);
	bench_close(&bench);
}
END_TEST

/* ---- scopes ---- */

static const struct {
	enum detector_kind kind;
	enum detector_scope scope;
	size_t count;
	struct entity last;
	uint32_t domain;
} scopes[] = {
	{DETECTOR_PROBE, SCOPE_ENDPOINT, 2, {.kind = ENTITY_ENDPOINT, .index = 1}, 2},
	{DETECTOR_PROBE, SCOPE_REPLICA, 4, {.kind = ENTITY_REPLICA, .index = 1}, 2},
	{DETECTOR_PROBE, SCOPE_NODE, 4, {.kind = ENTITY_NODE, .site = 2}, 2},
	{DETECTOR_POLL, SCOPE_GPU, 6, {.kind = ENTITY_GPU, .site = 1, .index = 2, .part = 1}, 1},
	{DETECTOR_FIXED, SCOPE_ENDPOINT, 2, {.kind = ENTITY_SITE, .site = 2}, 2},
};

START_TEST(targets_by_scope)
{
	struct detector_config config = {
		.kind = scopes[_i].kind, .scope = scopes[_i].scope, .interval = S, .misses = 1};
	struct bench bench;
	struct detector *detector = &bench.detector;
	struct action actions[8];
	size_t count;

	bench_open(&bench, config, 2);
	ck_assert_uint_eq(detector->target_count, scopes[_i].count);
	ck_assert(entity_equal(detector->targets[scopes[_i].count - 1].entity, scopes[_i].last));
	ck_assert_uint_eq(detector->targets[scopes[_i].count - 1].domain, scopes[_i].domain);
	if (config.kind == DETECTOR_FIXED) {
		ck_assert_int_eq(detector_deadline(detector), NANOS_NEVER);
		bench_close(&bench);
		return;
	}
	/* Results find their target in whatever order they come. */
	count = detector_round(detector, S, actions, 8);
	ck_assert_uint_eq(count, scopes[_i].count);
	for (size_t i = count; i-- > 0;) {
		struct detector_news news = answer(detector, actions[i], S, false);

		ck_assert_int_eq(news.verdict, DETECTOR_DECLARE);
		ck_assert(entity_equal(news.target->entity, actions[i].entity));
		ck_assert_uint_eq(actions[i].domain, news.target->domain);
	}
	bench_close(&bench);
}
END_TEST

START_TEST(too_many_targets)
{
	static const struct endpoint large[] = {{.replicas = DETECTOR_TARGETS_MAX},
						{.replicas = 1}};
	struct scenario scenario = {.detector_count = 1};
	struct detector detector;
	struct arena arena = {0};
	struct error e = {0};

	scenario.detectors[0] = probe;
	scenario.detectors[0].scope = SCOPE_REPLICA;
	scenario.detectors[0].place = (struct place){"x.yaml", 14, 3};
	scenario.deployment.sites = &sites[1];
	scenario.deployment.site_count = 1;
	scenario.deployment.endpoints = large;
	scenario.deployment.endpoint_count = 2;
	ck_assert_int_eq(detector_init(&detector, &scenario, 0, 1, 0, &arena, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_LIMIT);
	ck_assert_uint_eq(e.place.line, 14);
	scenario.deployment.endpoint_count = 1;
	ck_assert_int_eq(detector_init(&detector, &scenario, 0, 1, 0, &arena, NULL), 0);
	arena_free(&arena);
}
END_TEST

/* ---- phi ---- */

static const struct detector_config phi = {
	.kind = DETECTOR_PHI, .interval = 1 * S, .threshold = 8, .window = 20, .jitter_sigma = 0.1};

START_TEST(phi_numbers)
{
	ck_assert_double_eq_tol(phi_sigmas(8), 5.6120, 5e-5);
	ck_assert_double_eq_tol(phi_value(10, 10, 2), 0.30102999566398, 1e-12);
	ck_assert_double_eq_tol(phi_value(1 + 0.1 * phi_sigmas(8), 1, 0.1), 8, 1e-9);
	ck_assert_double_eq_tol(phi_sigmas(1), 1.2815515655446, 1e-9);
	ck_assert_double_eq_tol(phi_sigmas(0.30102999566398), 0, 1e-9);
	/* Far beyond what erfc() can hold, and where the two ways of computing meet. */
	ck_assert_double_eq_tol(phi_value(phi_sigmas(1000), 0, 1), 1000, 1e-6);
	ck_assert_double_eq_tol(phi_value(30 - 1e-9, 0, 1), phi_value(30 + 1e-9, 0, 1), 1e-6);
	for (double threshold = 0.01; threshold < 500; threshold *= 1.7)
		ck_assert_double_eq_tol(phi_value(phi_sigmas(threshold), 0, 1), threshold,
					1e-9 * threshold + 1e-12);
}
END_TEST

/* The last arrival of `count` heartbeats with gaps of `gap` plus noise; gaps go to `gaps`. */
static nanos beat(struct detector *detector, int count, double noise, struct prng *prng,
		  double *gaps)
{
	nanos last = 0;

	for (int i = 0; i < count; i++) {
		nanos now, at;
		struct action action = look(detector, &now);

		at = now + 20 * MS + (nanos)llround(noise * prng_normal(prng));
		if (gaps && i > 0)
			gaps[i - 1] = (double)(at - last);
		last = at;
		expect(answer(detector, action, at, true), DETECTOR_QUIET, 0, "");
		expect(detector_expire(detector, at), DETECTOR_QUIET, 0, "");
	}
	return last;
}

/* Beyond the ring's length, the deadline is that of the last `window` gaps. */
START_TEST(phi_deadline)
{
	double gaps[200], mean = 0, variance = 0;
	struct bench bench;
	struct detector *detector = &bench.detector;
	struct prng prng;
	nanos last, expected, now;

	bench_open(&bench, phi, 1);
	prng_open(&prng, 3, 0, 0, PRNG_TEST);
	last = beat(detector, 137, 0.1 * (double)S, &prng, gaps);
	for (int i = 116; i < 136; i++)
		mean += gaps[i] / 20;
	for (int i = 116; i < 136; i++)
		variance += (gaps[i] - mean) * (gaps[i] - mean) / 19;
	expected = last + (nanos)ceil(mean + 5.612001244 * sqrt(variance));
	ck_assert_int_le(llabs(detector->targets[0].deadline - expected), 2);
	/* Silence: looks without an answer do not count, the deadline does. */
	answer(detector, look(detector, &now), detector->next, false);
	expect(detector_expire(detector, detector->targets[0].deadline - 1), DETECTOR_QUIET, 0, "");
	expected = detector->targets[0].deadline;
	expect(detector_expire(detector, expected + S), DETECTOR_DECLARE, expected, "phi above 8");
	expect(detector_expire(detector, expected + S), DETECTOR_QUIET, 0, "");
	bench_close(&bench);
}
END_TEST

/* Until there are ten gaps, mean = interval and sigma = jitter_sigma * interval. */
START_TEST(phi_bootstrap)
{
	const nanos patience = S + (nanos)ceil(5.612001244 * 0.1 * (double)S);
	struct bench bench;
	struct detector *detector = &bench.detector;
	struct prng prng;
	nanos last;

	bench_open(&bench, phi, 1);
	prng_open(&prng, 4, 0, 0, PRNG_TEST);
	ck_assert_int_le(llabs(detector->targets[0].deadline - (S + patience)), 2);
	last = beat(detector, 10, 0, &prng, NULL); /* nine gaps */
	ck_assert_int_le(llabs(detector->targets[0].deadline - (last + patience)), 2);
	last = beat(detector, 1, 0, &prng, NULL); /* the tenth: gaps without noise, sigma 1 ns */
	ck_assert_int_eq(detector->targets[0].deadline, last + S + 6);
	/* A target that never answers is declared too. */
	detector_reset(detector, 1, 1);
	ck_assert_int_eq(detector_expire(detector, 9 * S).verdict, DETECTOR_DECLARE);
	bench_close(&bench);
}
END_TEST

/* An answer known ahead of time that comes after the deadline declares first and clears then. */
START_TEST(phi_clears_and_declares_again)
{
	struct bench bench;
	struct detector *detector = &bench.detector;
	struct detector_target *target;
	struct prng prng;
	struct action action;
	nanos now, deadline;
	double sum;

	bench_open(&bench, phi, 1);
	target = &detector->targets[0];
	prng_open(&prng, 5, 0, 0, PRNG_TEST);
	beat(detector, 30, 0.05 * (double)S, &prng, NULL);
	deadline = target->deadline;
	sum = target->sum;
	action = look(detector, &now);
	expect(answer(detector, action, deadline + 3 * S, true), DETECTOR_QUIET, 0, "");
	ck_assert_int_eq(detector_expire(detector, deadline - 1).verdict, DETECTOR_QUIET);
	expect(detector_expire(detector, deadline), DETECTOR_DECLARE, deadline, "phi above 8");
	expect(detector_expire(detector, deadline + 3 * S - 1), DETECTOR_QUIET, 0, "");
	expect(detector_expire(detector, deadline + 3 * S), DETECTOR_CLEAR, deadline + 3 * S,
	       "a heartbeat");
	ck_assert_double_eq(target->sum, sum); /* the outage is no sample */
	ck_assert(!target->declared);
	/* Silence again; then a heartbeat that comes as it is sent. */
	deadline = target->deadline;
	ck_assert_int_gt(deadline, now + 4 * S);
	expect(detector_expire(detector, deadline), DETECTOR_DECLARE, deadline, "phi above 8");
	ck_assert_uint_eq(detector_round(detector, deadline + S, &action, 1), 1);
	expect(answer(detector, action, deadline + S, true), DETECTOR_CLEAR, deadline + S,
	       "a heartbeat");
	bench_close(&bench);
}
END_TEST

/* Of several targets the one whose deadline is first declares first; the others keep theirs. */
START_TEST(phi_several_targets)
{
	struct detector_config config = phi;
	struct bench bench;
	struct detector *detector = &bench.detector;
	struct action actions[4];
	nanos deadline = 0;

	config.scope = SCOPE_NODE;
	bench_open(&bench, config, 1);
	for (int round = 1; round <= 20; round++) {
		ck_assert_uint_eq(detector_round(detector, round * S, actions, 4), 4);
		for (int i = 0; i < 4; i++) {
			bool dead = (i == 2 && round > 15) || (i == 1 && round > 17);

			answer(detector, actions[i], round * S + i * MS, !dead);
		}
		if (round == 15)
			deadline = detector->targets[2].deadline;
	}
	ck_assert_int_eq(detector_deadline(detector), deadline);
	for (int i = 0; i < 2; i++) {
		struct detector_news news = detector_expire(detector, 21 * S);

		ck_assert_int_eq(news.verdict, DETECTOR_DECLARE);
		ck_assert_int_eq(news.target - detector->targets, i == 0 ? 2 : 1);
	}
	ck_assert_int_eq(detector_expire(detector, 21 * S).verdict, DETECTOR_QUIET);
	bench_close(&bench);
}
END_TEST

/* ---- poll ---- */

static const struct detector_config poll_config = {
	.kind = DETECTOR_POLL, .interval = 60 * S, .timeout = 1 * S, .misses = 1};

START_TEST(poll_status)
{
	struct bench bench;

	bench_open(&bench, poll_config, 1);
	expect(step(&bench.detector, true), DETECTOR_QUIET, 0, "");
	expect(step(&bench.detector, false), DETECTOR_DECLARE, 121 * S, "status FAULT");
	expect(step(&bench.detector, true), DETECTOR_CLEAR, 180 * S, "status OK");
	expect(step(&bench.detector, false), DETECTOR_DECLARE, 241 * S, "status FAULT");
	bench_close(&bench);
}
END_TEST

/* A healthy target is called faulty with the chance given, and only then. */
START_TEST(poll_false_fault)
{
	const int rounds = 20000;
	struct detector_config config = poll_config;
	struct bench bench;
	double faults = 0;

	config.false_fault = 0.3;
	bench_open(&bench, config, 1);
	for (int i = 0; i < rounds; i++) {
		step(&bench.detector, true);
		faults += bench.detector.targets[0].declared;
	}
	check_mean(faults, faults, rounds, 0.3);
	/* A target that is down is faulty whatever is drawn. */
	detector_reset(&bench.detector, 1, 1);
	for (int i = 0; i < 100; i++) {
		step(&bench.detector, false);
		ck_assert(bench.detector.targets[0].declared);
	}
	bench_close(&bench);
}
END_TEST

/* A blind poll looks at nothing; k false faults in a row take as many polls as k lost probes. */
START_TEST(poll_blind)
{
	const int trials = 4000;
	struct detector_config config = poll_config;
	struct bench bench;
	struct detector *detector = &bench.detector;
	double sum = 0, squares = 0;
	struct action action;

	config.blind = true;
	config.false_fault = 0.05;
	config.misses = 2;
	bench_open(&bench, config, 1);
	for (int i = 0; i < trials; i++) {
		struct detector_news news = {.verdict = DETECTOR_QUIET};
		nanos now = 0;

		detector_reset(detector, 1, (uint64_t)i);
		while (news.verdict != DETECTOR_DECLARE) {
			now = detector_deadline(detector);
			require(detector_round(detector, now, &action, 1) == 0);
			require(detector_deadline(detector) == now);
			news = detector_expire(detector, now);
			if (news.verdict != DETECTOR_QUIET)
				require(detector_expire(detector, now).verdict == DETECTOR_QUIET);
			require(detector_deadline(detector) == now + 60 * S);
		}
		expect(news, DETECTOR_DECLARE, now, "status FAULT");
		sum += (double)(now / (60 * S));
		squares += (double)(now / (60 * S)) * (double)(now / (60 * S));
	}
	check_mean(sum, squares, trials, 420);
	bench_close(&bench);
}
END_TEST

/* ---- fixed ---- */

START_TEST(fixed_delay)
{
	struct detector_config config = {.kind = DETECTOR_FIXED,
					 .delay = dist_constant_nanos(300 * S)};
	struct bench bench;
	struct detector *detector = &bench.detector;

	bench_open(&bench, config, 1);
	ck_assert_int_eq(detector_deadline(detector), NANOS_NEVER);
	detector_fault(detector, 0, 50 * S); /* a standby is no domain */
	ck_assert_int_eq(detector_deadline(detector), NANOS_NEVER);
	detector_fault(detector, 1, 100 * S);
	detector_fault(detector, 1, 200 * S); /* the first one counts */
	detector_fault(detector, 2, 150 * S);
	ck_assert_int_eq(detector_deadline(detector), 400 * S);
	expect(detector_expire(detector, 399 * S), DETECTOR_QUIET, 0, "");
	expect(detector_expire(detector, 400 * S), DETECTOR_DECLARE, 400 * S,
	       "the fixed delay is over");
	ck_assert_int_eq(detector_deadline(detector), 450 * S);
	detector_fault(detector, 1, 410 * S); /* a declaration stands */
	ck_assert_int_eq(detector_expire(detector, 450 * S).target->domain, 2);
	ck_assert_int_eq(detector_deadline(detector), NANOS_NEVER);
	expect(detector_clear_domain(detector, 1, 900 * S), DETECTOR_CLEAR, 900 * S,
	       "the domain is good again");
	expect(detector_clear_domain(detector, 1, 900 * S), DETECTOR_QUIET, 0, "");
	/* Again; and one that was good again before anyone noticed. */
	detector_fault(detector, 1, 1000 * S);
	expect(detector_expire(detector, 1300 * S), DETECTOR_DECLARE, 1300 * S,
	       "the fixed delay is over");
	detector_clear_domain(detector, 1, 1400 * S);
	detector_fault(detector, 1, 1500 * S);
	expect(detector_clear_domain(detector, 1, 1600 * S), DETECTOR_QUIET, 0, "");
	ck_assert_int_eq(detector_deadline(detector), NANOS_NEVER);
	bench_close(&bench);
}
END_TEST

/* The case study: no delay at all. And of several draws the earliest counts. */
START_TEST(fixed_draws)
{
	struct detector_config config = {.kind = DETECTOR_FIXED, .delay = dist_constant_nanos(0)};
	struct bench bench;
	struct prng same;
	nanos first;

	bench_open(&bench, config, 1);
	detector_fault(&bench.detector, 1, NANOS_DAY);
	expect(detector_expire(&bench.detector, NANOS_DAY), DETECTOR_DECLARE, NANOS_DAY,
	       "the fixed delay is over");
	bench_close(&bench);
	config.delay = (struct dist){.kind = DIST_UNIFORM, .a = 0, .b = 600e9};
	bench_open(&bench, config, 1);
	prng_open(&same, 1, 0, 0, PRNG_DETECTOR);
	first = NANOS_NEVER;
	for (int i = 0; i < 50; i++) {
		nanos when = i * S + dist_sample_nanos(&config.delay, &same);

		detector_fault(&bench.detector, 1, i * S);
		first = when < first ? when : first;
	}
	ck_assert_int_eq(detector_deadline(&bench.detector), first);
	bench_close(&bench);
}
END_TEST

/* ---- canary ---- */

static struct detector_news ask(struct detector *detector, bool ok, bool wrong)
{
	nanos now;
	struct completion completion = {.action = look(detector, &now), .ok = ok, .wrong = wrong};

	completion.at = ok ? now : now + completion.action.timeout;
	return detector_result(detector, &completion);
}

START_TEST(canary_sees_wrong_answers)
{
	struct detector_config config = probe;
	struct bench bench;

	config.kind = DETECTOR_CANARY;
	config.misses = 2;
	bench_open(&bench, config, 1);
	expect(ask(&bench.detector, true, false), DETECTOR_QUIET, 0, "");
	expect(ask(&bench.detector, true, true), DETECTOR_MISS, 20 * S, "wrong answer");
	expect(ask(&bench.detector, false, false), DETECTOR_DECLARE, 31 * S, "no answer");
	expect(ask(&bench.detector, true, false), DETECTOR_CLEAR, 40 * S, "a right answer");
	expect(ask(&bench.detector, true, true), DETECTOR_MISS, 50 * S, "wrong answer");
	expect(ask(&bench.detector, true, true), DETECTOR_DECLARE, 60 * S, "wrong answer");
	bench_close(&bench);
	/* A probe asks whether there is an answer, not which. */
	config.kind = DETECTOR_PROBE;
	config.misses = 1;
	bench_open(&bench, config, 1);
	expect(ask(&bench.detector, true, true), DETECTOR_QUIET, 0, "");
	expect(ask(&bench.detector, false, false), DETECTOR_DECLARE, 21 * S,
	       "1 probe without an answer");
	bench_close(&bench);
}
END_TEST

/* ---- slo ---- */

static struct detector_news measure(struct detector *detector, double success, nanos latency)
{
	nanos now;
	struct completion completion = {.action = look(detector, &now), .ok = true};

	completion.at = now;
	completion.success = success;
	completion.latency_p99 = latency;
	return detector_result(detector, &completion);
}

START_TEST(slo_windows)
{
	struct detector_config config = {.kind = DETECTOR_SLO,
					 .slo_window = 60 * S,
					 .slo_success = 0.99,
					 .slo_latency = 2 * S,
					 .misses = 3};
	struct bench bench;
	struct detector *detector = &bench.detector;

	bench_open(&bench, config, 1);
	expect(measure(detector, 0.99, 2 * S), DETECTOR_QUIET, 0, "");
	expect(measure(detector, 0.9899, S), DETECTOR_DECLARE, 20 * S, "success below 99 %");
	expect(measure(detector, NAN, 0), DETECTOR_QUIET, 0, ""); /* no request, no news */
	expect(measure(detector, 1, 3 * S), DETECTOR_QUIET, 0, "");
	expect(measure(detector, 1, S), DETECTOR_CLEAR, 50 * S, "a good window");
	expect(measure(detector, 1, 2 * S + 1), DETECTOR_DECLARE, 60 * S, "latency p99 above 2 s");
	bench_close(&bench);
	config.slo_latency = NANOS_NEVER;
	config.interval = 7 * S;
	bench_open(&bench, config, 1);
	expect(measure(detector, 1, 1000 * S), DETECTOR_QUIET, 0, "");
	ck_assert_int_eq(detector_deadline(detector), 14 * S);
	bench_close(&bench);
}
END_TEST

/* ---- all ---- */

/* The same seed and trial give the same verdicts after a reset, another trial gives others. */
START_TEST(reset_repeats)
{
	struct detector_config config = poll_config;
	struct bench bench;
	uint64_t seen[3] = {0};

	config.false_fault = 0.5;
	bench_open(&bench, config, 1);
	for (int run = 0; run < 3; run++) {
		detector_reset(&bench.detector, 9, run == 2 ? 1 : 0);
		for (int i = 0; i < 64; i++) {
			step(&bench.detector, true);
			seen[run] = seen[run] << 1 | bench.detector.targets[0].declared;
		}
	}
	ck_assert_uint_eq(seen[0], seen[1]);
	ck_assert_uint_ne(seen[0], seen[2]);
	bench_close(&bench);
}
END_TEST

static void add_cases(Suite *suite)
{
	test_add(suite, "probe: closed form", probe_closed_form);
	test_add(suite, "probe: edges", probe_edges);
	test_add_loop(suite, "probe: false suspicion", false_suspicion, 2);
	test_add(suite, "probe: verdicts", probe_declares_clears_and_declares_again);
	test_add(suite, "probe: look under way", look_under_way);
	test_add_loop(suite, "scopes", targets_by_scope, sizeof(scopes) / sizeof(scopes[0]));
	test_add(suite, "too many targets", too_many_targets);
	test_add(suite, "phi: numbers", phi_numbers);
	test_add(suite, "phi: deadline", phi_deadline);
	test_add(suite, "phi: bootstrap", phi_bootstrap);
	test_add(suite, "phi: verdicts", phi_clears_and_declares_again);
	test_add(suite, "phi: several targets", phi_several_targets);
	test_add(suite, "poll: status", poll_status);
	test_add(suite, "poll: false fault", poll_false_fault);
	test_add(suite, "poll: blind", poll_blind);
	test_add(suite, "fixed: delay", fixed_delay);
	test_add(suite, "fixed: draws", fixed_draws);
	test_add(suite, "canary", canary_sees_wrong_answers);
	test_add(suite, "slo", slo_windows);
	test_add(suite, "reset", reset_repeats);
}

TEST_MAIN("detector", add_cases)
