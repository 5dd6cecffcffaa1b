/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of what everything else stands on: error, arena, prng, dist. */
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/arena.h"
#include "core/dist.h"
#include "core/error.h"
#include "core/prng.h"
#include "core/stats.h"
#include "tests/test.h"

#define SEED 42
#define DRAWS 200000

/* ---- error ---- */

START_TEST(error_first_wins)
{
	struct error e = {0};
	struct place place = {"x.yaml", 14, 13};

	ck_assert_int_eq(error_set(&e, ERROR_SCENARIO, place, "unknown fault '%s'", "gpu.los"), -1);
	ck_assert_int_eq(error_set(&e, ERROR_IO, NO_PLACE, "second"), -1);
	ck_assert_int_eq(e.kind, ERROR_SCENARIO);
	ck_assert_uint_eq(e.place.line, 14);
	ck_assert_uint_eq(e.place.column, 13);
	ck_assert_str_eq(e.text, "unknown fault 'gpu.los'");
	ck_assert_int_eq(error_set(NULL, ERROR_IO, NO_PLACE, "nobody listens"), -1);
}
END_TEST

START_TEST(error_long_text_ends_in_dots)
{
	struct error e = {0};
	char text[2 * ERROR_TEXT_MAX];

	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	error_set(&e, ERROR_USAGE, NO_PLACE, "%s", text);
	ck_assert_uint_eq(strlen(e.text), ERROR_TEXT_MAX - 1);
	ck_assert_str_eq(e.text + ERROR_TEXT_MAX - 4, "...");
	e = (struct error){0};
	error_set(&e, ERROR_USAGE, NO_PLACE, "%.*s", ERROR_TEXT_MAX - 1, text);
	ck_assert_int_eq(e.text[ERROR_TEXT_MAX - 2], 'a');
}
END_TEST

/* What error_print writes to standard error. */
static void printed(const struct error *e, char *ret_text, size_t room)
{
	FILE *file = tmpfile();
	int saved;
	size_t length;

	ck_assert_ptr_nonnull(file);
	fflush(stderr);
	saved = dup(STDERR_FILENO);
	ck_assert_int_ge(saved, 0);
	ck_assert_int_ge(dup2(fileno(file), STDERR_FILENO), 0);
	error_print(e);
	fflush(stderr);
	ck_assert_int_ge(dup2(saved, STDERR_FILENO), 0);
	close(saved);
	rewind(file);
	length = fread(ret_text, 1, room - 1, file);
	ret_text[length] = '\0';
	fclose(file);
}

START_TEST(error_print_shows_line_and_caret)
{
	char path[] = "/tmp/drsim-test-XXXXXX", text[1024], expected[1024];
	int fd = mkstemp(path);
	FILE *file = fdopen(fd, "w");
	struct error e = {0};

	ck_assert_ptr_nonnull(file);
	fputs("first: 1\n\tnäme:\t\x1b[31mx\r\nlast: 3", file);
	fclose(file);

	/* Column 8 counts ä as one; the tab stays a tab, the escape character becomes harmless. */
	error_set(&e, ERROR_SCENARIO, (struct place){path, 2, 8}, "bad");
	printed(&e, text, sizeof(text));
	snprintf(expected, sizeof(expected), "%s:2:8: error: bad\n\tnäme:\t?[31mx\n\t     \t^\n",
		 path);
	ck_assert_str_eq(text, expected);

	/* The last line without a newline, a column past its end, a line past the end. */
	e.place.line = 3;
	e.place.column = 99;
	printed(&e, text, sizeof(text));
	snprintf(expected, sizeof(expected), "%s:3:99: error: bad\nlast: 3\n       ^\n", path);
	ck_assert_str_eq(text, expected);
	e.place.line = 4;
	e.place.column = 1;
	printed(&e, text, sizeof(text));
	snprintf(expected, sizeof(expected), "%s:4:1: error: bad\n", path);
	ck_assert_str_eq(text, expected);
	unlink(path);
	printed(&e, text, sizeof(text));
	ck_assert_str_eq(text, expected);

	e.place = (struct place){.file = path};
	printed(&e, text, sizeof(text));
	snprintf(expected, sizeof(expected), "%s: error: bad\n", path);
	ck_assert_str_eq(text, expected);
	e.place = NO_PLACE;
	printed(&e, text, sizeof(text));
	ck_assert_str_eq(text, "drsim: error: bad\n");
}
END_TEST

/* ---- arena ---- */

START_TEST(arena_gives_zeroed_aligned_memory)
{
	struct arena arena = {0};
	size_t total = 0;

	/* Two rounds: after a reset the same bytes are handed out again, zeroed again. */
	for (int round = 0; round < 2; round++) {
		total = 0;
		for (size_t size = 0; size < 200000; size = size * 3 / 2 + 1) {
			unsigned char *memory = arena_alloc(&arena, size);

			ck_assert_uint_eq((uintptr_t)memory % _Alignof(max_align_t), 0);
			for (size_t i = 0; i < size; i++)
				ck_assert_uint_eq(memory[i], 0);
			memset(memory, 0xee, size);
			total += size;
		}
		ck_assert_uint_eq(arena.total, total);
		arena_reset(&arena);
		ck_assert_uint_eq(arena.total, 0);
	}
	arena_free(&arena);
	ck_assert_ptr_null(arena.head);
	ck_assert_ptr_nonnull(arena_alloc(&arena, 8)); /* usable again after being freed */
	arena_free(&arena);
}
END_TEST

START_TEST(arena_reset_keeps_blocks)
{
	struct arena arena = {0};
	void *first[400], *again;

	for (int i = 0; i < 400; i++)
		first[i] = arena_alloc(&arena, (size_t)i * 37);
	arena_reset(&arena);
	for (int i = 0; i < 400; i++) {
		again = arena_alloc(&arena, (size_t)i * 37);
		ck_assert_ptr_eq(again, first[i]);
	}
	arena_free(&arena);
}
END_TEST

START_TEST(arena_texts)
{
	struct arena arena = {0};

	ck_assert_str_eq(arena_strdup(&arena, "switch"), "switch");
	ck_assert_str_eq(arena_strndup(&arena, "failover", 4), "fail");
	ck_assert_str_eq(arena_strndup(&arena, "fail", 40), "fail");
	ck_assert_str_eq(arena_printf(&arena, "%s[%d]", "node", 7), "node[7]");
	ck_assert_str_eq(arena_printf(&arena, "%s", ""), "");
	arena_free(&arena);
}
END_TEST

START_TEST(arena_grow_keeps_items)
{
	struct arena arena = {0};
	size_t capacity = 0, changes = 0;
	int *items = NULL;

	for (int i = 0; i < 10000; i++) {
		int *grown = arena_grow(&arena, items, (size_t)i, &capacity, sizeof(*items));

		ck_assert_ptr_nonnull(grown);
		changes += grown != items;
		items = grown;
		ck_assert_uint_gt(capacity, (size_t)i);
		items[i] = i;
	}
	for (int i = 0; i < 10000; i++)
		ck_assert_int_eq(items[i], i);
	ck_assert_uint_le(changes, 15);
	ck_assert_uint_lt(arena.total, 2 * capacity * sizeof(*items));
	arena_free(&arena);
}
END_TEST

/* These end the program on purpose: run as children of libcheck with the exit status 3. */
START_TEST(arena_dies_past_its_limit)
{
	struct arena arena = {.limit = 1000};

	arena_alloc(&arena, 900);
	arena_alloc(&arena, 101);
}
END_TEST

START_TEST(arena_dies_of_overflow)
{
	struct arena arena = {0};

	arena_array(&arena, SIZE_MAX / 2, 3);
}
END_TEST

/* ---- prng ---- */

/* philox4x64-10 of Random123's kat_vectors: zeros, ones, digits of pi. */
static const struct {
	uint64_t counter[4], key[2], expected[4];
} known_answers[] = {
	{{0, 0, 0, 0},
	 {0, 0},
	 {0x16554d9eca36314c, 0xdb20fe9d672d0fdc, 0xd7e772cee186176b, 0x7e68b68aec7ba23b}},
	{{UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX},
	 {UINT64_MAX, UINT64_MAX},
	 {0x87b092c3013fe90b, 0x438c3c67be8d0224, 0x9cc7d7c69cd777b6, 0xa09caebf594f0ba0}},
	{{0x243f6a8885a308d3, 0x13198a2e03707344, 0xa4093822299f31d0, 0x082efa98ec4e6c89},
	 {0x452821e638d01377, 0xbe5466cf34e90c6c},
	 {0xa528f45403e61d95, 0x38c72dbd566e9788, 0xa5a1610e72fd18b5, 0x57bd43b5e52b7fe6}},
};

START_TEST(prng_known_answers)
{
	struct prng prng = {0};

	memcpy(prng.counter, known_answers[_i].counter, sizeof(prng.counter));
	memcpy(prng.key, known_answers[_i].key, sizeof(prng.key));
	for (int i = 0; i < 4; i++)
		ck_assert_uint_eq(prng_u64(&prng), known_answers[_i].expected[i]);
}
END_TEST

START_TEST(prng_streams_are_set_by_five_numbers)
{
	struct prng base, again, other[4];
	uint64_t first, word;

	prng_open(&base, SEED, 1, 2, PRNG_FAULT);
	prng_open(&again, SEED, 1, 2, PRNG_FAULT);
	prng_open(&other[0], SEED + 1, 1, 2, PRNG_FAULT);
	prng_open(&other[1], SEED, 2, 2, PRNG_FAULT);
	prng_open(&other[2], SEED, 1, 3, PRNG_FAULT);
	prng_open(&other[3], SEED, 1, 2, PRNG_PHASE);
	for (int i = 0; i < 100; i++) {
		first = prng_u64(&base);
		ck_assert_uint_eq(prng_u64(&again), first);
		for (int j = 0; j < 4; j++) {
			word = prng_u64(&other[j]);
			ck_assert_uint_ne(word, first);
		}
	}
	/* Draw 5 is the first word of the second block: counter {entity, purpose, 1, 0}. */
	prng_open(&base, SEED, 1, 2, PRNG_FAULT);
	for (int i = 0; i < 4; i++)
		prng_u64(&base);
	again = (struct prng){.key = {SEED, 1}, .counter = {2, PRNG_FAULT, 1, 0}};
	ck_assert_uint_eq(prng_u64(&base), prng_u64(&again));
}
END_TEST

START_TEST(prng_uniform_is_open_and_even)
{
	struct prng prng;
	struct stats_moments moments = {0};

	/* The words at both ends give the values next to 0 and 1, not 0 and 1. */
	prng = (struct prng){.buffer = {0, UINT64_MAX, 0, UINT64_MAX}, .left = 4};
	ck_assert_double_gt(prng_uniform(&prng), 0.0);
	ck_assert_double_lt(prng_uniform(&prng), 1.0);

	prng_open(&prng, SEED, 0, 0, PRNG_TEST);
	for (int i = 0; i < DRAWS; i++)
		stats_moments_add(&moments, prng_uniform(&prng));
	ck_assert_double_eq_tol(moments.mean, 0.5, 4 * stats_standard_error(&moments));
	ck_assert_double_eq_tol(stats_variance(&moments), 1.0 / 12, 4 * sqrt(1.0 / 180 / DRAWS));
}
END_TEST

START_TEST(prng_below_has_no_bias)
{
	struct prng prng;
	uint64_t counts[7] = {0}, thirds = 0;
	const uint64_t large = (uint64_t)3 << 62;

	prng_open(&prng, SEED, 0, 1, PRNG_TEST);
	for (int i = 0; i < DRAWS; i++)
		counts[prng_below(&prng, 7)]++;
	for (int i = 0; i < 7; i++)
		ck_assert_double_eq_tol((double)counts[i] / DRAWS, 1.0 / 7,
					4 * sqrt(6.0 / 49 / DRAWS));
	/* Four words for three numbers: without rejection every third would come up half the time.
	 */
	for (int i = 0; i < DRAWS; i++) {
		uint64_t draw = prng_below(&prng, large);

		ck_assert_uint_lt(draw, large);
		thirds += draw % 3 == 0;
	}
	ck_assert_double_eq_tol((double)thirds / DRAWS, 1.0 / 3, 4 * sqrt(2.0 / 9 / DRAWS));
	ck_assert_uint_eq(prng_below(&prng, 1), 0);
}
END_TEST

/* The share of normal draws below each of several z against Φ(z), and the first four moments. */
START_TEST(prng_normal_is_normal)
{
	static const double z[] = {-3, -1.5, -0.5, 0, 1, 2, 3};
	uint64_t below[7] = {0};
	double third = 0, fourth = 0;
	struct stats_moments moments = {0};
	struct prng prng;

	prng_open(&prng, SEED, 0, 2, PRNG_TEST);
	for (int i = 0; i < DRAWS; i++) {
		double x = prng_normal(&prng);

		stats_moments_add(&moments, x);
		third += x * x * x / DRAWS;
		fourth += x * x * x * x / DRAWS;
		for (int j = 0; j < 7; j++)
			below[j] += x <= z[j];
	}
	ck_assert_double_eq_tol(moments.mean, 0, 4 / sqrt(DRAWS));
	ck_assert_double_eq_tol(stats_variance(&moments), 1, 4 * sqrt(2.0 / DRAWS));
	ck_assert_double_eq_tol(third, 0, 4 * sqrt(15.0 / DRAWS));
	ck_assert_double_eq_tol(fourth, 3, 4 * sqrt(96.0 / DRAWS));
	for (int j = 0; j < 7; j++) {
		double p = stats_normal_cdf(z[j]);

		ck_assert_double_eq_tol((double)below[j] / DRAWS, p, 4 * sqrt(p * (1 - p) / DRAWS));
	}
}
END_TEST

/* ---- dist ---- */

static const double file_values[] = {1, 2, 2, 4, 8, 16, 16, 16, 40, 100};

static const struct {
	const char *name;
	struct dist dist;
	double mean, median; /* worked out by hand; mean NAN: checked elsewhere */
} dists[] = {
	{"uniform", {.kind = DIST_UNIFORM, .a = 10, .b = 30}, 20, 20},
	{"uniform of one value", {.kind = DIST_UNIFORM, .a = 7, .b = 7}, 7, 7},
	{"exponential", {.kind = DIST_EXPONENTIAL, .a = 5}, 5, 3.4657359027997265},
	{"lognormal", {.kind = DIST_LOGNORMAL, .a = 20, .b = 0.3}, 20.920557198174345, 20},
	{"lognormal without spread", {.kind = DIST_LOGNORMAL, .a = 20, .b = 0}, 20, 20},
	{"weibull", {.kind = DIST_WEIBULL, .a = 10, .b = 2}, 8.862269254527580, 8.325546111576978},
	{"weibull 1", {.kind = DIST_WEIBULL, .a = 4, .b = 1}, 4, 2.772588722239781},
	{"normal", {.kind = DIST_NORMAL, .a = 50, .b = 5}, 50, 50},
	{"normal cut at 0", {.kind = DIST_NORMAL, .a = 1, .b = 1}, 1.0833154705876864, 1},
	{"normal without spread", {.kind = DIST_NORMAL, .a = 3, .b = 0}, 3, 3},
	{"pareto", {.kind = DIST_PARETO, .a = 2, .b = 5}, 2.5, 2.297396709994070},
	{"empirical", {.kind = DIST_EMPIRICAL, .values = file_values, .count = 10}, 20.5, 8},
};

#define DISTS ((int)(sizeof(dists) / sizeof(dists[0])))

START_TEST(dist_closed_forms)
{
	const struct dist *dist = &dists[_i].dist;

	ck_assert_msg(fabs(dist_mean(dist) / dists[_i].mean - 1) < 1e-12, "%s: mean %.17g",
		      dists[_i].name, dist_mean(dist));
	ck_assert_msg(fabs(dist_quantile(dist, 0.5) / dists[_i].median - 1) < 1e-12,
		      "%s: median %.17g", dists[_i].name, dist_quantile(dist, 0.5));
}
END_TEST

START_TEST(dist_quantile_inverts_cdf)
{
	static const double p[] = {1e-6, 0.01, 0.2, 0.5, 0.8, 0.95, 0.99, 1 - 1e-6};
	const struct dist *dist = &dists[_i].dist;

	for (int j = 0; j < 8; j++) {
		double x = dist_quantile(dist, p[j]);

		/* What holds of every distribution: F(x) >= p, and less just below x. */
		ck_assert_msg(dist_cdf(dist, x * (1 + 1e-9)) >= p[j] * (1 - 1e-9),
			      "%s at %g: %.17g", dists[_i].name, p[j], dist_cdf(dist, x));
		ck_assert_msg(x <= 0 || dist_cdf(dist, x * (1 - 1e-9)) <= p[j] * (1 + 1e-9),
			      "%s below %g", dists[_i].name, p[j]);
	}
	ck_assert_double_le(dist_cdf(dist, -1), 0);
	ck_assert_double_ge(dist_cdf(dist, 1e30), 1);
}
END_TEST

START_TEST(dist_draws_follow_cdf)
{
	static const double p[] = {0.05, 0.25, 0.5, 0.75, 0.95};
	const struct dist *dist = &dists[_i].dist;
	struct stats_moments moments = {0};
	uint64_t below[5] = {0};
	struct prng prng;

	prng_open(&prng, SEED, 0, (uint64_t)_i, PRNG_TEST);
	for (int i = 0; i < DRAWS; i++) {
		double x = dist_sample(dist, &prng);

		ck_assert(x >= 0);
		stats_moments_add(&moments, x);
		for (int j = 0; j < 5; j++)
			below[j] += x <= dist_quantile(dist, p[j]) * (1 + 1e-12);
	}
	ck_assert_msg(fabs(moments.mean - dist_mean(dist)) <=
			      4 * stats_standard_error(&moments) + 1e-12,
		      "%s: mean %g, expected %g", dists[_i].name, moments.mean, dist_mean(dist));
	for (int j = 0; j < 5; j++) {
		double expected = dist_cdf(dist, dist_quantile(dist, p[j]) * (1 + 1e-12));
		double error = sqrt(expected * (1 - expected) / DRAWS);

		ck_assert_msg(fabs((double)below[j] / DRAWS - expected) <= 4 * error + 1e-12,
			      "%s: %g of the draws below the %g quantile", dists[_i].name,
			      (double)below[j] / DRAWS, p[j]);
	}
}
END_TEST

START_TEST(dist_constant_is_exact)
{
	/* No double holds this number of nanoseconds. */
	const nanos odd = ((nanos)1 << 60) + 1;
	struct dist dist = dist_constant_nanos(odd), zero = dist_constant_nanos(0);
	struct dist never = dist_constant_nanos(NANOS_NEVER);
	struct dist share = {.kind = DIST_CONSTANT, .a = 0.25};
	struct dist exponential = {.kind = DIST_EXPONENTIAL, .a = 1};
	struct prng prng = {0}, untouched = {0};

	ck_assert_int_eq(dist_sample_nanos(&dist, &prng), odd);
	ck_assert_mem_eq(&prng, &untouched, sizeof(prng));
	ck_assert_int_eq(dist_sample_nanos(&never, &prng), NANOS_DAY * 36500);
	ck_assert_double_eq(dist_sample(&share, &prng), 0.25);
	ck_assert(dist_is_zero(&zero));
	ck_assert(!dist_is_zero(&dist));
	ck_assert(!dist_is_zero(&share));
	ck_assert(!dist_is_zero(&exponential));
}
END_TEST

START_TEST(dist_nanos_are_rounded_and_bounded)
{
	struct dist near = {.kind = DIST_UNIFORM, .a = 10.4, .b = 10.6};
	struct dist heavy = {.kind = DIST_PARETO, .a = 1e9, .b = 0.01};
	struct prng prng;
	nanos low = 0, high = 0, longest = 0;

	prng_open(&prng, SEED, 0, 99, PRNG_TEST);
	for (int i = 0; i < 10000; i++) {
		nanos x = dist_sample_nanos(&near, &prng), y = dist_sample_nanos(&heavy, &prng);

		low += x == 10;
		high += x == 11;
		ck_assert_int_ge(y, NANOS_S);
		longest = y > longest ? y : longest;
	}
	ck_assert_int_eq(low + high, 10000);
	ck_assert_double_eq_tol((double)low / 10000, 0.5, 4 * 0.5 / 100);
	ck_assert_int_eq(longest, NANOS_DAY * 36500);
	ck_assert(isinf(dist_mean(&heavy)));
}
END_TEST

static void add_cases(Suite *suite)
{
	const char *fork = getenv("CK_FORK");

	test_add(suite, "error: first wins", error_first_wins);
	test_add(suite, "error: long text", error_long_text_ends_in_dots);
	test_add(suite, "error: print", error_print_shows_line_and_caret);
	test_add(suite, "arena: memory", arena_gives_zeroed_aligned_memory);
	test_add(suite, "arena: reset", arena_reset_keeps_blocks);
	test_add(suite, "arena: texts", arena_texts);
	test_add(suite, "arena: grow", arena_grow_keeps_items);
	if (!fork || strcmp(fork, "no") != 0) {
		TCase *dying = tcase_create("arena: limits");

		tcase_add_exit_test(dying, arena_dies_past_its_limit, 3);
		tcase_add_exit_test(dying, arena_dies_of_overflow, 3);
		suite_add_tcase(suite, dying);
	}
	test_add_loop(suite, "prng: known answers", prng_known_answers, 3);
	test_add(suite, "prng: streams", prng_streams_are_set_by_five_numbers);
	test_add(suite, "prng: uniform", prng_uniform_is_open_and_even);
	test_add(suite, "prng: below", prng_below_has_no_bias);
	test_add(suite, "prng: normal", prng_normal_is_normal);
	test_add_loop(suite, "dist: closed forms", dist_closed_forms, DISTS);
	test_add_loop(suite, "dist: quantiles", dist_quantile_inverts_cdf, DISTS);
	test_add_loop(suite, "dist: draws", dist_draws_follow_cdf, DISTS);
	test_add(suite, "dist: constant", dist_constant_is_exact);
	test_add(suite, "dist: nanoseconds", dist_nanos_are_rounded_and_bounded);
}

TEST_MAIN("base", add_cases)
