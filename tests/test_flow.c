/* SPDX-License-Identifier: Apache-2.0 */
/* Fair sharing of transfers: closed forms, invariants, and a comparison with the naive network on
 * random drills. */
#define FLOW_NAIVE_EXACT
#include "tests/flow_naive.h"
#include "tests/test.h"

#define GB 1000000000u
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* A plain stream of test numbers (splitmix64: Steele, Lea and Flood, OOPSLA 2014). */
static uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static uint64_t below(uint64_t *state, uint64_t n)
{
	return draw(state) % n;
}

/* Between low and high, evenly on a logarithmic scale. */
static double spread(uint64_t *state, double low, double high)
{
	return low * pow(high / low, (double)(draw(state) >> 11) * 0x1p-53);
}

/* In the random drills only failures reach libcheck: it writes each assertion down, passed or not,
 * which is slow. */
#define hold(fact)                                                                                 \
	do {                                                                                       \
		if (!(fact))                                                                       \
			ck_abort_msg("'%s' does not hold", #fact);                                 \
	} while (0)

static void near(double value, double expected)
{
	if (value != expected && !(fabs(value - expected) <= 1e-9 * fabs(expected)))
		ck_abort_msg("%.17g, expected %.17g", value, expected);
}

/* The next completion must be this one. */
static void expect(struct flow_net *net, nanos at, uint64_t argument)
{
	struct flow_done done;

	ck_assert_int_eq(flow_next(net), at);
	ck_assert_uint_eq(flow_advance(net, at, &done, 1), 1);
	ck_assert_int_eq(done.at, at);
	ck_assert_uint_eq(done.argument, argument);
	ck_assert(!flow_stop(net, done.flow, at, NULL));
}

static void expect_end(struct flow_net *net)
{
	struct flow_done done;

	ck_assert_int_eq(flow_next(net), NANOS_NEVER);
	ck_assert_uint_eq(flow_advance(net, NANOS_NEVER - 1, &done, 1), 0);
	ck_assert_uint_eq(flow_count(net), 0);
	flow_close(net);
}

START_TEST(single)
{
	struct flow_net *net = flow_open();
	uint32_t link = flow_resource(net, 500e9 / 3600);

	ck_assert_uint_ne(flow_start(net, 0, 1000 * (uint64_t)GB, INFINITY, &link, 1, 7), 0);
	near(flow_load(net, link), 500e9 / 3600);
	expect(net, 7200 * NANOS_S, 7);
	expect_end(net);
}
END_TEST

/* To the nearest nanosecond, ties up, at slow and fast rates and after a change of rate. */
START_TEST(rounding)
{
	static const struct {
		uint64_t bytes;
		double capacity;
		nanos end;
	} row[] = {
		{1, 3, 333333333},
		{2, 3, 666666667},
		{5, 2e9, 3},
		{1, 2.1e9, 0},
		{1, 1.9e9, 1},
		{1000, 3e11, 3},
		{1100, 3e11, 4},
		{UINT64_MAX, 0x1p64, 1000000000},
		{1, 0x1p-20, 1048576000000000},
		{7, 1e-3, 7000000000000},
		{UINT64_MAX, 0x1p200, 0},
		{UINT64_MAX, 1, NANOS_NEVER},
		{1, 1e-300, NANOS_NEVER},
	};
	struct flow_net *net = flow_open();

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		uint32_t link;

		flow_reset(net);
		link = flow_resource(net, row[i].capacity);
		flow_start(net, 0, row[i].bytes, INFINITY, &link, 1, i);
		ck_assert_int_eq(flow_next(net), row[i].end);
	}
	flow_close(net);
}
END_TEST

START_TEST(three_sizes)
{
	struct flow_net *net = flow_open();
	uint32_t store = flow_resource(net, 1e9);

	for (uint64_t i = 0; i < 3; i++)
		flow_start(net, 5, (uint64_t)(10 << i) * GB, INFINITY, &store, 1, i);
	expect(net, 30 * NANOS_S + 5, 0);
	expect(net, 50 * NANOS_S + 5, 1);
	expect(net, 70 * NANOS_S + 5, 2);
	expect_end(net);
}
END_TEST

/* N equal restores end at N * S / C; the rate C / N is rarely a round number. */
START_TEST(equal_restores)
{
	static const size_t counts[] = {1, 3, 7, 10, 97, 1000, 9973};
	static const uint64_t sizes[] = {1, 999999937, 140 * (uint64_t)GB};
	struct flow_net *net = flow_open();
	struct flow_done done[64];

	for (size_t i = 0; i < ARRAY_SIZE(counts) * ARRAY_SIZE(sizes); i++) {
		size_t n = counts[i / ARRAY_SIZE(sizes)], got, all = 0;
		uint64_t size = sizes[i % ARRAY_SIZE(sizes)];
		double capacity = 3e9;
		uint32_t store;
		long double exact =
			(long double)n * (long double)size * 1e9L / (long double)capacity;

		flow_reset(net);
		store = flow_resource(net, capacity);
		for (size_t k = 0; k < n; k++)
			flow_start(net, 0, size, INFINITY, &store, 1, k);
		while ((got = flow_advance(net, NANOS_DAY * 365, done, ARRAY_SIZE(done)))) {
			for (size_t k = 0; k < got; k++, all++) {
				ck_assert_uint_eq(done[k].argument, all);
				ck_assert(fabsl((long double)done[k].at - exact) <= 1);
			}
		}
		ck_assert_uint_eq(all, n);
	}
	expect_end(net);
}
END_TEST

/* Starts one second apart: flow k of 10 (1 GB, C = 1 GB/s) by hand-made processor sharing, and no
 * drift by asking. */
START_TEST(staggered)
{
	struct flow_net *net = flow_open();
	uint32_t store = flow_resource(net, 1e9);
	flow_id first = flow_start(net, 0, 3 * (uint64_t)GB, INFINITY, &store, 1, 0);

	/* 1 s alone, then half the rate. */
	ck_assert_uint_eq(flow_bytes_done(net, first, NANOS_S), GB);
	flow_start(net, NANOS_S, 1 * (uint64_t)GB, INFINITY, &store, 1, 1);
	for (nanos t = NANOS_S; t < 3 * NANOS_S; t += 999983) {
		uint64_t bytes = flow_bytes_done(net, first, t);

		ck_assert_uint_eq(bytes, GB + (uint64_t)(t - NANOS_S) / 2);
		near(flow_rate(net, first), 5e8);
	}
	expect(net, 3 * NANOS_S, 1);
	expect(net, 4 * NANOS_S, 0);
	expect_end(net);
}
END_TEST

/* Water filling: C = 10, caps 1, 2, 3.5 and none twice: 1, 2, 2.33, 2.33, 2.33; then C = 12: 1, 2,
 * 3, 3, 3; C = 20. */
START_TEST(caps)
{
	static const double cap[] = {1e9, 2e9, 3.5e9, INFINITY, INFINITY};
	static const double rate[3][5] = {{1e9, 2e9, 7e9 / 3, 7e9 / 3, 7e9 / 3},
					  {1e9, 2e9, 3e9, 3e9, 3e9},
					  {1e9, 2e9, 3.5e9, 6.75e9, 6.75e9}};
	static const double capacity[] = {10e9, 12e9, 20e9};
	struct flow_net *net = flow_open();
	uint32_t store = flow_resource(net, 1);
	flow_id flow[5];

	for (size_t i = 0; i < 5; i++)
		flow[i] = flow_start(net, 0, 1000 * (uint64_t)GB, cap[i], &store, 1, i);
	for (size_t k = 0; k < 3; k++) {
		flow_set_capacity(net, store, capacity[k], 0);
		for (size_t i = 0; i < 5; i++)
			near(flow_rate(net, flow[i]), rate[k][i]);
	}
	/* Uncapping the first: 20 - 2 - 3.5 for three. */
	ck_assert(flow_set_cap(net, flow[0], INFINITY, 100 * NANOS_S));
	near(flow_rate(net, flow[0]), 14.5e9 / 3);
	ck_assert_uint_eq(flow_bytes_done(net, flow[0], 100 * NANOS_S), 100 * (uint64_t)GB);
	ck_assert(flow_set_cap(net, flow[0], 1e9, 100 * NANOS_S));
	ck_assert(!flow_set_cap(net, 0, 1e9, 100 * NANOS_S));
	expect(net, 148148148148, 3); /* 1000 GB at 6.75 GB/s */
	expect(net, 148148148148, 4);
	/* 148148148148.148… for the rest; the first alone has 1 GB/s throughout. */
	expect(net, 285714285714, 2); /* at its cap 3.5 GB/s from the first instant on */
	expect(net, 500 * NANOS_S, 1);
	expect(net, 1000 * NANOS_S, 0);
	expect_end(net);
}
END_TEST

/*
 * Links of 4 and 10 into a store of 12: two flows over the first (2 each), two over the second (4
 * each, the store's rest); with the store at 20 the second link is the limit (5 each).
 */
START_TEST(link_and_store)
{
	struct flow_net *net = flow_open();
	uint32_t slow = flow_resource(net, 4e9), fast = flow_resource(net, 10e9),
		 store = flow_resource(net, 12e9);
	uint32_t a[] = {slow, store}, b[] = {store, fast, store};
	flow_id flow[4];

	for (size_t i = 0; i < 4; i++)
		flow[i] = flow_start(net, 0, 40 * (uint64_t)GB, INFINITY, i < 2 ? a : b,
				     i < 2 ? 2 : 3, i);
	near(flow_rate(net, flow[0]), 2e9);
	near(flow_rate(net, flow[1]), 2e9);
	near(flow_rate(net, flow[2]), 4e9);
	near(flow_rate(net, flow[3]), 4e9);
	near(flow_load(net, store), 12e9);
	near(flow_load(net, fast), 8e9);
	flow_set_capacity(net, store, 20e9, 5 * NANOS_S);
	near(flow_rate(net, flow[0]), 2e9);
	near(flow_rate(net, flow[3]), 5e9);
	/* 20 of 40 GB are left to the second pair: 4 s more. */
	expect(net, 9 * NANOS_S, 2);
	expect(net, 9 * NANOS_S, 3);
	expect(net, 20 * NANOS_S, 0);
	expect(net, 20 * NANOS_S, 1);
	expect_end(net);
}
END_TEST

/* Three links in a row, one long flow and one short flow on each: the parking lot of Bertsekas and
 * Gallager. */
START_TEST(parking_lot)
{
	struct flow_net *net = flow_open();
	uint32_t link[3];
	flow_id whole, part[3];

	for (size_t i = 0; i < 3; i++)
		link[i] = flow_resource(net, (double)(i + 1) * 1e9);
	whole = flow_start(net, 0, GB, INFINITY, link, 3, 9);
	for (size_t i = 0; i < 3; i++)
		part[i] = flow_start(net, 0, GB, INFINITY, &link[i], 1, i);
	near(flow_rate(net, whole), 0.5e9);
	near(flow_rate(net, part[0]), 0.5e9);
	near(flow_rate(net, part[1]), 1.5e9);
	near(flow_rate(net, part[2]), 2.5e9);
	flow_close(net);
}
END_TEST

START_TEST(at_once)
{
	struct flow_net *net = flow_open();
	uint32_t free_link = flow_resource(net, INFINITY), stalled = flow_resource(net, 0);
	uint64_t bytes = 0;
	flow_id flow;

	flow_start(net, 3, UINT64_MAX, INFINITY, &free_link, 1, 1);
	flow_start(net, 3, 0, INFINITY, &stalled, 1, 2);
	flow_start(net, 3, 5, INFINITY, NULL, 0, 3);
	flow = flow_start(net, 3, 5, 0, &free_link, 1, 4);
	ck_assert_uint_eq(flow_count(net), 4);
	expect(net, 3, 2);
	expect(net, 3, 1);
	expect(net, 3, 3);
	ck_assert_int_eq(flow_next(net), NANOS_NEVER);
	ck_assert(flow_stop(net, flow, 10, &bytes));
	ck_assert_uint_eq(bytes, 0);
	/* A limit that appears at the same instant holds. */
	flow_start(net, 10, 1000, INFINITY, &free_link, 1, 5);
	flow_set_capacity(net, free_link, 1e3, 10);
	expect(net, NANOS_S + 10, 5);
	expect_end(net);
}
END_TEST

START_TEST(stall)
{
	struct flow_net *net = flow_open();
	uint32_t link = flow_resource(net, 1e9);
	flow_id flow = flow_start(net, 0, 10 * (uint64_t)GB, INFINITY, &link, 1, 1);

	flow_set_capacity(net, link, 0, 4 * NANOS_S);
	ck_assert_int_eq(flow_next(net), NANOS_NEVER);
	ck_assert_double_eq(flow_rate(net, flow), 0);
	ck_assert_uint_eq(flow_bytes_done(net, flow, 50 * NANOS_S), 4 * (uint64_t)GB);
	flow_set_capacity(net, link, 3e9, 100 * NANOS_S);
	expect(net, 102 * NANOS_S, 1);
	expect_end(net);
}
END_TEST

START_TEST(stop)
{
	struct flow_net *net = flow_open();
	uint32_t store = flow_resource(net, 1e9);
	flow_id a = flow_start(net, 0, 10 * (uint64_t)GB, INFINITY, &store, 1, 1), b, c;
	uint64_t bytes = 0;

	b = flow_start(net, 0, 10 * (uint64_t)GB, INFINITY, &store, 1, 2);
	ck_assert(flow_stop(net, a, 5 * NANOS_S, &bytes));
	ck_assert_uint_eq(bytes, 5 * (uint64_t)GB / 2);
	bytes = 77;
	ck_assert(!flow_stop(net, a, 5 * NANOS_S, &bytes));
	ck_assert_uint_eq(bytes, 77);
	ck_assert_uint_eq(flow_bytes_done(net, a, 5 * NANOS_S), 0);
	ck_assert_double_eq(flow_rate(net, a), 0);
	/* The slot is taken again; the old id stays void. */
	c = flow_start(net, 5 * NANOS_S, GB, INFINITY, &store, 1, 3);
	ck_assert_uint_ne(a, c);
	ck_assert(!flow_set_cap(net, a, 1, 5 * NANOS_S));
	expect(net, 7 * NANOS_S, 3);
	/* Stopped at the very instant of its end: all bytes, no report. */
	ck_assert_int_eq(flow_next(net), 13500 * NANOS_MS);
	ck_assert(flow_stop(net, b, 13500 * NANOS_MS, &bytes));
	ck_assert_uint_eq(bytes, 10 * (uint64_t)GB);
	expect_end(net);
}
END_TEST

/* Completions that were not fetched in time keep their instants and their order. */
START_TEST(late_fetch)
{
	struct flow_net *net = flow_open();
	uint32_t a = flow_resource(net, 1e9), b = flow_resource(net, 2e9);
	struct flow_done done[8];

	flow_start(net, 0, 2 * (uint64_t)GB, INFINITY, &a, 1, 0);
	flow_start(net, 0, 6 * (uint64_t)GB, INFINITY, &b, 1, 1);
	flow_start(net, 0, 2 * (uint64_t)GB, INFINITY, &b, 1, 2);
	flow_start(net, 8 * NANOS_S, GB, INFINITY, &a, 1, 3);
	ck_assert_int_eq(flow_next(net), 2 * NANOS_S);
	ck_assert_uint_eq(flow_advance(net, 9 * NANOS_S, done, 8), 2);
	ck_assert_uint_eq(done[0].argument, 0);
	ck_assert_uint_eq(done[1].argument, 2);
	ck_assert_int_eq(done[1].at, 2 * NANOS_S);
	ck_assert_uint_eq(flow_advance(net, 9 * NANOS_S, done, 8), 1);
	ck_assert_uint_eq(done[0].argument, 1);
	ck_assert_int_eq(done[0].at, 4 * NANOS_S);
	ck_assert_uint_eq(flow_advance(net, 9 * NANOS_S - 1, done, 8), 0);
	expect(net, 9 * NANOS_S, 3);
	expect_end(net);
}
END_TEST

/* ---- Random drills against the naive network ---- */

#define DRILL_FLOWS 400
#define DRILL_RESOURCES 12
#define DRILL_PATHS 10

struct drill {
	uint64_t state;
	struct flow_net *net;
	struct naive naive;
	struct naive_flow flows[DRILL_FLOWS];
	double capacity[DRILL_RESOURCES], used[DRILL_RESOURCES];
	size_t rising[DRILL_RESOURCES];
	uint32_t path[DRILL_PATHS][FLOW_PATH_MAX];
	size_t path_length[DRILL_PATHS];
	double cap[4];
	flow_id id[DRILL_FLOWS];
	nanos end[DRILL_FLOWS], naive_end[DRILL_FLOWS]; /* 0: not ended */
	size_t started;
	nanos last; /* instant of the last report */
};

static double drill_capacity(struct drill *d)
{
	switch (below(&d->state, 10)) {
	case 0:
		return INFINITY;
	case 1:
		return 0;
	case 2:
		return 1e8;
	}
	return spread(&d->state, 3e6, 3e9);
}

static void drill_open(struct drill *d, uint64_t seed, struct flow_net *net)
{
	*d = (struct drill){.state = seed, .net = net};
	d->naive = (struct naive){.flows = d->flows,
				  .capacity = d->capacity,
				  .used = d->used,
				  .rising = d->rising,
				  .resource_count = 1 + below(&d->state, DRILL_RESOURCES)};
	for (size_t r = 0; r < d->naive.resource_count; r++) {
		d->capacity[r] = drill_capacity(d);
		hold(flow_resource(net, d->capacity[r]) == r);
	}
	for (size_t p = 0; p < DRILL_PATHS; p++) {
		size_t length = below(&d->state, 6);

		for (size_t r = 0, k = length; r < d->naive.resource_count && k; r++, k--) {
			/* Distinct resources in a drawn rotation: start anywhere, step anywhere. */
			uint32_t next = (uint32_t)below(&d->state, d->naive.resource_count);
			bool taken = false;

			for (size_t i = 0; i < d->path_length[p]; i++)
				taken |= d->path[p][i] == next;
			if (!taken)
				d->path[p][d->path_length[p]++] = next;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(d->cap); i++)
		d->cap[i] = i < 2 ? (double)INFINITY : spread(&d->state, 3e6, 3e9);
}

static double drill_cap(struct drill *d)
{
	return below(&d->state, 4) ? d->cap[below(&d->state, ARRAY_SIZE(d->cap))]
				   : spread(&d->state, 3e6, 3e9);
}

/* No resource above its capacity; every flow at its cap or, on a full resource of its path, not
 * slower than others. */
static void drill_max_min(const struct drill *d)
{
	const struct naive *n = &d->naive;
	double load[DRILL_RESOURCES] = {0}, fastest[DRILL_RESOURCES] = {0};

	for (size_t i = 0; i < n->flow_count; i++) {
		const struct naive_flow *f = &n->flows[i];
		double rate = flow_rate(d->net, d->id[f->argument]);

		for (size_t k = 0; k < f->count; k++) {
			load[f->path[k]] += rate;
			fastest[f->path[k]] = fmax(fastest[f->path[k]], rate);
		}
	}
	for (size_t r = 0; r < n->resource_count; r++) {
		hold(load[r] <= n->capacity[r] * (1 + 1e-9));
		near(flow_load(d->net, (uint32_t)r), load[r]);
	}
	for (size_t i = 0; i < n->flow_count; i++) {
		const struct naive_flow *f = &n->flows[i];
		double rate = flow_rate(d->net, d->id[f->argument]);
		bool bounded = rate >= f->cap;

		hold(rate <= f->cap);
		for (size_t k = 0; k < f->count; k++) {
			uint32_t r = f->path[k];

			bounded |= load[r] >= n->capacity[r] * (1 - 1e-9) &&
				   rate >= fastest[r] * (1 - 1e-9);
		}
		hold(bounded);
	}
}

/* Run both networks until `now` and note the ends. */
static void drill_until(struct drill *d, nanos now)
{
	uint64_t arguments[DRILL_FLOWS];
	struct flow_done done[3];
	size_t count;
	nanos at;

	while ((count = flow_advance(d->net, now, done, 1 + below(&d->state, 3)))) {
		for (size_t i = 0; i < count; i++) {
			hold(done[i].at >= d->last);
			hold(done[i].flow == d->id[done[i].argument]);
			d->last = done[i].at;
			d->end[done[i].argument] = done[i].at + 1;
		}
	}
	while ((at = naive_next(&d->naive)) <= now) {
		count = naive_advance(&d->naive, at, arguments);
		for (size_t i = 0; i < count; i++)
			d->naive_end[arguments[i]] = at + 1;
		naive_settle(&d->naive, at);
	}
}

static void drill_start(struct drill *d, nanos now)
{
	size_t p = below(&d->state, DRILL_PATHS), i = d->started++;
	uint64_t bytes = below(&d->state, 20) ? (uint64_t)spread(&d->state, 1, 1e9) : 0;
	double cap = drill_cap(d);

	if (below(&d->state, 4) == 0)
		bytes = 123456789;
	d->id[i] = flow_start(d->net, now, bytes, cap, d->path[p], d->path_length[p], i);
	naive_start(&d->naive, now, bytes, cap, d->path[p], d->path_length[p], i);
}

static void drill_change(struct drill *d, nanos now)
{
	struct naive *n = &d->naive;
	size_t at = n->flow_count ? below(&d->state, n->flow_count) : 0;
	struct naive_flow *f = &n->flows[at];
	uint64_t bytes = 0, kind = below(&d->state, 10);

	if (kind < 6 || (kind < 8 && n->flow_count == 0)) {
		if (d->started < DRILL_FLOWS)
			drill_start(d, now);
	} else if (kind == 6) {
		double done = (double)((naive_real)f->bytes - naive_left(f, now));

		hold(flow_stop(d->net, d->id[f->argument], now, &bytes));
		hold(fabs((double)bytes - done) <= 0.5 + 1e-9 * done);
		naive_remove(n, at);
	} else if (kind == 7) {
		double cap = drill_cap(d);

		/* False when it ends at this very instant, and then the cap no longer matters. */
		flow_set_cap(d->net, d->id[f->argument], cap, now);
		f->cap = cap;
	} else {
		uint32_t r = (uint32_t)below(&d->state, n->resource_count);

		n->capacity[r] = drill_capacity(d);
		flow_set_capacity(d->net, r, n->capacity[r], now);
	}
}

static void drill_check(const struct drill *d)
{
	const struct naive *n = &d->naive;

	hold(flow_count(d->net) == n->flow_count);
	for (size_t i = 0; i < n->flow_count; i++) {
		const struct naive_flow *f = &n->flows[i];

		near(flow_rate(d->net, d->id[f->argument]), f->rate);
	}
	drill_max_min(d);
}

static void drill_run(uint64_t seed, struct flow_net *net)
{
	struct drill *d = malloc(sizeof(*d));
	nanos now = 0;

	hold(d);
	drill_open(d, seed, net);
	for (size_t step = 0; step < 400; step++) {
		now += (nanos)spread(&d->state, 1e3, 3e9);
		drill_until(d, now);
		for (uint64_t i = 1 + below(&d->state, 3); i > 0; i--) {
			drill_change(d, now);
			naive_settle(&d->naive, now);
		}
		/* Fetch what ends at once, so that both sides hold the same flows. */
		drill_until(d, now);
		drill_check(d);
	}
	for (size_t r = 0; r < d->naive.resource_count; r++)
		flow_set_capacity(net, (uint32_t)r, d->capacity[r] = 1e9, now);
	naive_settle(&d->naive, now);
	drill_until(d, now + NANOS_DAY);
	hold(flow_count(net) == 0);
	for (size_t i = 0; i < d->started; i++)
		hold(llabs(d->end[i] - d->naive_end[i]) <= 2);
	free(d);
}

#define DRILLS_EACH 10

START_TEST(random_drill)
{
	struct flow_net *net = flow_open();

	for (int i = 0; i < DRILLS_EACH; i++) {
		flow_reset(net);
		drill_run((uint64_t)(_i * DRILLS_EACH + i), net);
	}
	flow_close(net);
}
END_TEST

/* The same calls after a reset give the same bits, whatever ran before. */
START_TEST(reset)
{
	struct flow_net *fresh = flow_open(), *used = flow_open();
	struct flow_done a, b;

	for (uint32_t round = 0; round < 3; round++) {
		uint64_t state[2] = {round, round};
		struct flow_net *nets[2] = {fresh, used};

		flow_close(fresh);
		nets[0] = fresh = flow_open();
		for (size_t side = 0; side < 2; side++) {
			uint64_t *s = &state[side];

			flow_reset(nets[side]);
			for (size_t r = 0; r < 6; r++)
				flow_resource(nets[side], spread(s, 1e8, 1e9));
			for (uint64_t i = 0; i < 300; i++) {
				uint32_t path[2] = {(uint32_t)below(s, 6), (uint32_t)below(s, 6)};

				flow_start(nets[side], (nanos)i * NANOS_MS, draw(s) >> 36,
					   spread(s, 1e7, 1e9), path, 2, i);
			}
		}
		while (flow_advance(fresh, NANOS_DAY, &a, 1)) {
			ck_assert_uint_eq(flow_advance(used, NANOS_DAY, &b, 1), 1);
			ck_assert_int_eq(a.at, b.at);
			ck_assert_uint_eq(a.flow, b.flow);
			ck_assert_uint_eq(a.argument, b.argument);
			/* Leave some behind for the next round. */
			if (flow_count(used) == 20 * round)
				break;
		}
	}
	flow_close(fresh);
	flow_close(used);
	flow_close(NULL);
}
END_TEST

static void add_cases(Suite *suite)
{
	test_add(suite, "single", single);
	test_add(suite, "rounding", rounding);
	test_add(suite, "three_sizes", three_sizes);
	test_add(suite, "equal_restores", equal_restores);
	test_add(suite, "staggered", staggered);
	test_add(suite, "caps", caps);
	test_add(suite, "link_and_store", link_and_store);
	test_add(suite, "parking_lot", parking_lot);
	test_add(suite, "at_once", at_once);
	test_add(suite, "stall", stall);
	test_add(suite, "stop", stop);
	test_add(suite, "late_fetch", late_fetch);
	test_add(suite, "reset", reset);
	test_add_loop(suite, "random_drill", random_drill, 20);
}

TEST_MAIN("flow", add_cases)
