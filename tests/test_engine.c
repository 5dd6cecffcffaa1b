/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine against a sorted array in lock step, and its promises about limits, ids, memory and
 * reuse.
 */
#include <stdlib.h>
#include <string.h>

/* The source itself: the tests look at which structure is in use and wind the sequence forward. */
#include "sim/engine.c"
#include "tests/test.h"

/* ---- lock step: each event run must be the head of a sorted array that saw the same calls ---- */

#define MIRROR_MAX 6000
#define FORGOTTEN_MAX 64

struct mirror_event {
	nanos when;
	uint64_t sequence, tag;
	event_id id;
};

enum pattern {
	PATTERN_UNIFORM,
	PATTERN_TIES,	/* few distinct times */
	PATTERN_BURSTS, /* many at one instant, then nothing for long */
	PATTERN_SKEWED, /* magnitudes from 1 ns to 2^61 ns alike */
	PATTERN_NEAR,	/* mostly now or a few ns later, some very far */
	PATTERN_DRIFT,	/* the density changes by orders of magnitude on the way */
	PATTERN_COUNT,
};

struct mirror {
	struct engine *engine;
	struct mirror_event *events; /* latest first: the head is at the end */
	size_t count;
	uint64_t sequence, tag, random, ran;
	event_id forgotten[FORGOTTEN_MAX]; /* ids that ran or were cancelled */
	enum pattern pattern;
	size_t target; /* pending events to tend to */
	size_t builds_heap, builds_ladder;
	bool was_ladder, stop_asked;
};

static uint64_t mirror_draw(struct mirror *m)
{
	uint64_t x = m->random;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return m->random = x;
}

static uint64_t mirror_below(struct mirror *m, uint64_t n)
{
	return (mirror_draw(m) >> 11) % n;
}

static void check(const struct mirror *m, bool good, const char *what)
{
	if (!good)
		ck_abort_msg("%s, after %llu events of pattern %d", what,
			     (unsigned long long)m->ran, (int)m->pattern);
}

static nanos mirror_time(struct mirror *m)
{
	nanos now = engine_now(m->engine), delay = 0;
	switch (m->pattern) {
	case PATTERN_UNIFORM:
		delay = (nanos)mirror_below(m, 1000000);
		break;
	case PATTERN_TIES:
		return (now / 1000 + 1 + (nanos)mirror_below(m, 5)) * 1000;
	case PATTERN_BURSTS:
		return (now / NANOS_HOUR + (nanos)mirror_below(m, 3) + 1) * NANOS_HOUR +
		       (mirror_below(m, 50) == 0);
	case PATTERN_SKEWED:
		delay = (nanos)(mirror_draw(m) >> (3 + mirror_below(m, 61)));
		break;
	case PATTERN_NEAR:
		delay = mirror_below(m, 8) == 0 ? (nanos)mirror_below(m, NANOS_DAY)
						: (nanos)mirror_below(m, 4);
		break;
	case PATTERN_DRIFT:
		delay = (nanos)mirror_below(m, (uint64_t)100 << (m->ran / 2000 % 8 * 4));
		break;
	case PATTERN_COUNT:
		break;
	}
	/* Once the far end is reached everything happens there. */
	return delay < NANOS_NEVER - now ? now + delay : NANOS_NEVER - 1;
}

static void mirror_insert(struct mirror *m, struct mirror_event x)
{
	size_t low = 0, high = m->count;
	x.sequence = ++m->sequence;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (m->events[middle].when > x.when)
			low = middle + 1;
		else
			high = middle;
	}
	memmove(m->events + low + 1, m->events + low, (m->count - low) * sizeof(x));
	m->events[low] = x;
	m->count++;
}

static struct mirror_event mirror_remove(struct mirror *m, size_t at)
{
	struct mirror_event x = m->events[at];
	m->count--;
	memmove(m->events + at, m->events + at + 1, (m->count - at) * sizeof(x));
	return x;
}

static void mirror_run(void *context, uint64_t tag, nanos now);

static void mirror_schedule(struct mirror *m)
{
	if (m->count == MIRROR_MAX)
		return;
	nanos when = mirror_time(m);
	uint64_t tag = ++m->tag;
	event_id id = engine_at(m->engine, when, mirror_run, m, tag);
	check(m, id != EVENT_NONE, "engine_at refused");
	mirror_insert(m, (struct mirror_event){.when = when, .tag = tag, .id = id});
}

/* One random call, from inside or outside of a handler. */
static void mirror_act(struct mirror *m)
{
	uint64_t what = mirror_below(m, 100);
	if (m->count == 0 || what < (m->count < m->target ? 60u : 25u)) {
		mirror_schedule(m);
	} else if (what < 70) {
		struct mirror_event x = mirror_remove(m, mirror_below(m, m->count));
		check(m, engine_cancel(m->engine, x.id), "a pending event could not be cancelled");
		check(m, !engine_cancel(m->engine, x.id), "an event was cancelled twice");
		m->forgotten[x.tag % FORGOTTEN_MAX] = x.id;
	} else if (what < 90) {
		struct mirror_event x = mirror_remove(m, mirror_below(m, m->count));
		x.when = mirror_below(m, 4) == 0 ? x.when : mirror_time(m);
		check(m, engine_move(m->engine, x.id, x.when),
		      "a pending event could not be moved");
		mirror_insert(m, x);
	} else if (what < 97) {
		event_id id = m->forgotten[mirror_below(m, FORGOTTEN_MAX)];
		check(m, !engine_cancel(m->engine, id), "an old id was cancelled");
		check(m, !engine_move(m->engine, id, engine_now(m->engine)), "an old id was moved");
	} else {
		nanos next = m->count > 0 ? m->events[m->count - 1].when : NANOS_NEVER;
		check(m, engine_next(m->engine) == next, "engine_next differs");
	}
	check(m, engine_pending(m->engine) == m->count, "engine_pending differs");
}

static void mirror_run(void *context, uint64_t tag, nanos now)
{
	struct mirror *m = context;
	check(m, m->count > 0, "an event ran that was not pending");
	struct mirror_event x = mirror_remove(m, m->count - 1);
	check(m, x.tag == tag, "events ran in another order");
	check(m, x.when == now && engine_now(m->engine) == now, "an event ran at another time");
	check(m, !engine_cancel(m->engine, x.id), "a running event was cancelled");
	m->forgotten[x.tag % FORGOTTEN_MAX] = x.id;
	m->ran++;
	check(m, engine_executed(m->engine) == m->ran, "engine_executed differs");
	bool ladder = m->engine->front != UINT64_MAX;
	m->builds_ladder += ladder && !m->was_ladder;
	m->builds_heap += !ladder && m->was_ladder;
	m->was_ladder = ladder;
	for (uint64_t n = mirror_below(m, 4); n > 0; n--)
		mirror_act(m);
	if (mirror_below(m, 200) == 0) {
		engine_stop(m->engine);
		m->stop_asked = true;
	}
}

/* Some calls from outside, then a run to a random time. */
static void mirror_round(struct mirror *m)
{
	for (uint64_t n = mirror_below(m, m->count < m->target ? 400 : 20); n > 0; n--)
		mirror_act(m);
	nanos start = engine_now(m->engine), when = mirror_time(m);
	bool inclusive = mirror_below(m, 2) == 0;
	/* Often exactly at an event: there before and until differ. */
	if (m->count > 0 && mirror_below(m, 2) == 0)
		when = m->events[mirror_below(m, m->count)].when;
	m->stop_asked = false;
	uint64_t ran = m->ran;
	bool reached =
		inclusive ? engine_run_until(m->engine, when) : engine_run_before(m->engine, when);
	check(m, reached == !m->stop_asked, "the run's end and engine_stop() disagree");
	nanos now = engine_now(m->engine);
	if (reached) {
		check(m, now == when, "the time is not where the run should end");
		nanos next = m->count > 0 ? m->events[m->count - 1].when : NANOS_NEVER;
		check(m, inclusive ? next > when : next >= when, "an event was left behind");
	} else {
		check(m, now >= start && now <= when && m->ran > ran,
		      "a stopped run has a wrong time");
	}
	/* Up and down, so that both structures are used and left. */
	if (mirror_below(m, 25) == 0)
		m->target = mirror_below(m, 3) == 0 ? 4 : mirror_below(m, MIRROR_MAX / 2);
}

static void mirror_restart(struct mirror *m)
{
	engine_reset(m->engine);
	m->count = 0;
	m->ran = 0;
	check(m, engine_now(m->engine) == 0 && engine_pending(m->engine) == 0,
	      "reset left something");
	check(m, engine_next(m->engine) == NANOS_NEVER && engine_executed(m->engine) == 0,
	      "reset left something");
}

START_TEST(lock_step)
{
	struct mirror m = {.pattern = (enum pattern)(_i % PATTERN_COUNT),
			   .random = 88172645463325252u + (uint64_t)_i * 7919};
	m.engine = engine_open(MIRROR_MAX);
	m.events = malloc((MIRROR_MAX + 1) * sizeof(*m.events));
	ck_assert_ptr_nonnull(m.events);
	m.target = 1500;
	while (m.sequence < 80000) {
		mirror_round(&m);
		bool at_the_end = engine_now(m.engine) > NANOS_NEVER / 2;
		if (at_the_end || mirror_below(&m, 1000) == 0) {
			for (size_t i = 0; i < m.count && i < FORGOTTEN_MAX; i++)
				m.forgotten[i] = m.events[i].id;
			mirror_restart(&m);
			m.target = mirror_below(&m, MIRROR_MAX / 2);
		}
	}
	m.target = 0;
	while (m.count > 0)
		(void)engine_run_until(m.engine, NANOS_NEVER);
	ck_assert_uint_eq(engine_pending(m.engine), 0);
	ck_assert_msg(m.builds_ladder > 0, "the ladder was never used");
	if (m.pattern == PATTERN_UNIFORM)
		ck_assert_msg(m.builds_heap > 0, "the heap was never used again");
	engine_close(m.engine);
	free(m.events);
}
END_TEST

/* ---- many events, scheduled at once ---- */

struct log_event {
	uint64_t when, tag;
};

struct log {
	struct log_event *events;
	size_t count;
};

static void log_run(void *context, uint64_t tag, nanos now)
{
	struct log *log = context;
	log->events[log->count++] = (struct log_event){(uint64_t)now, tag};
}

static int compare_log(const void *a, const void *b)
{
	const struct log_event *x = a, *y = b;
	if (x->when != y->when)
		return x->when < y->when ? -1 : 1;
	return (x->tag > y->tag) - (x->tag < y->tag);
}

/*
 * Spread evenly; one instant; a far cluster; magnitudes alike; dense and each power of two; two
 * dense clusters.
 */
static nanos bulk_time(int kind, uint64_t x)
{
	switch (kind) {
	case 0:
		return (nanos)(x % (uint64_t)NANOS_DAY);
	case 1:
		return NANOS_DAY;
	case 2:
		return NANOS_NEVER - 1 - (nanos)(x % 100000);
	case 3:
		return (nanos)(x >> (2 + (x & 63) % 62));
	case 4:
		return x % 2 == 0 ? (nanos)(x / 2 % 5000) : (nanos)1 << x / 2 % 62;
	default:
		return x % 16 == 0 ? (nanos)(x % (uint64_t)NANOS_HOUR)
				   : (nanos)(x % 2) * NANOS_HOUR + (nanos)(x / 2 % 1000);
	}
}

START_TEST(bulk)
{
	enum {
		COUNT = 30000
	};
	struct log_event *expected = malloc(COUNT * sizeof(*expected));
	struct log log = {.events = malloc(COUNT * sizeof(*log.events))};
	ck_assert(expected && log.events);
	struct engine *engine = engine_open(COUNT);
	uint64_t x = 88172645463325252u;
	size_t kept = 0;
	for (uint64_t tag = 0; tag < COUNT; tag++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		nanos when = bulk_time(_i, x);
		event_id id = engine_at(engine, when, log_run, &log, tag);
		if (x % 5 == 0)
			ck_assert(engine_cancel(engine, id));
		else
			expected[kept++] = (struct log_event){(uint64_t)when, tag};
	}
	qsort(expected, kept, sizeof(*expected), compare_log);
	ck_assert(engine_run_until(engine, NANOS_NEVER));
	ck_assert_uint_eq(log.count, kept);
	ck_assert_mem_eq(log.events, expected, kept * sizeof(*expected));
	ck_assert_int_eq(engine_now(engine), (nanos)expected[kept - 1].when);
	engine_close(engine);
	free(log.events);
	free(expected);
}
END_TEST

/* ---- promises ---- */

static void count_run(void *context, uint64_t argument, nanos now)
{
	uint64_t *count = context;
	(void)now;
	*count += argument;
}

START_TEST(limit_reached)
{
	uint64_t count = 0;
	struct engine *engine = engine_open(3);
	for (int trial = 0; trial < 2; trial++) {
		for (int i = 0; i < 3; i++)
			ck_assert(engine_at(engine, 10, count_run, &count, 1) != EVENT_NONE);
		ck_assert(!engine_overflowed(engine));
		ck_assert_uint_eq(engine_at(engine, 10, count_run, &count, 1), EVENT_NONE);
		ck_assert(engine_overflowed(engine));
		ck_assert_uint_eq(engine_pending(engine), 3);
		ck_assert(!engine_run_until(engine, 20));
		ck_assert(!engine_run_before(engine, 20));
		ck_assert_int_eq(engine_now(engine), 0);
		engine_reset(engine);
		ck_assert(!engine_overflowed(engine));
	}
	ck_assert_uint_eq(count, 0);
	/* Cancelled and run events make room again. */
	for (int i = 0; i < 10; i++) {
		event_id id = engine_at(engine, 10, count_run, &count, 1);
		ck_assert(engine_at(engine, 10, count_run, &count, 1) != EVENT_NONE);
		ck_assert(engine_at(engine, 10, count_run, &count, 1) != EVENT_NONE);
		ck_assert(engine_cancel(engine, id));
		ck_assert(engine_at(engine, 10, count_run, &count, 1) != EVENT_NONE);
		ck_assert(engine_run_until(engine, 10));
	}
	ck_assert_uint_eq(count, 30);
	engine_close(engine);
}
END_TEST

static void flood_run(void *context, uint64_t argument, nanos now)
{
	struct engine *engine = context;
	engine_at(engine, now + 1, flood_run, engine, argument);
	engine_at(engine, now + 1, flood_run, engine, argument);
}

START_TEST(limit_reached_in_a_handler)
{
	struct engine *engine = engine_open(1000);
	engine_at(engine, 0, flood_run, engine, 0);
	ck_assert(!engine_run_until(engine, 1000));
	ck_assert(engine_overflowed(engine));
	ck_assert_uint_eq(engine_pending(engine), 1000);
	/*
	 * 1 + 2 + ... + 256 events up to time 8 leave 512; of these each adds one until there are
	 * 1000.
	 */
	ck_assert_int_eq(engine_now(engine), 9);
	ck_assert_uint_eq(engine_executed(engine), 511 + 489);
	engine_close(engine);
}
END_TEST

START_TEST(sequence_spent_and_restarted)
{
	uint64_t count = 0;
	struct engine *engine = engine_open(8);
	event_id old = engine_at(engine, 5, count_run, &count, 1);
	engine->sequence = ENGINE_SEQUENCE_MAX - 2;
	event_id last = engine_at(engine, 5, count_run, &count, 1);
	ck_assert(engine_move(engine, last, 6));
	ck_assert(!engine_move(engine, last, 7));
	ck_assert(engine_overflowed(engine));
	ck_assert_uint_eq(engine_at(engine, 7, count_run, &count, 1), EVENT_NONE);
	engine_reset(engine);
	ck_assert(!engine_cancel(engine, old));
	ck_assert(!engine_cancel(engine, last));
	event_id young = engine_at(engine, 5, count_run, &count, 1);
	ck_assert(young > last);
	ck_assert(!engine_cancel(engine, last));
	engine->sequence = 2 * ENGINE_SEQUENCE_MAX - 1;
	last = engine_at(engine, 5, count_run, &count, 1);
	ck_assert(last > young);
	ck_assert(engine_run_until(engine, 5));
	ck_assert_uint_eq(count, 2);
	engine_reset(engine);
	ck_assert_uint_eq(engine->sequence, 0);
	ck_assert(!engine_cancel(engine, last));
	ck_assert(engine_cancel(engine, engine_at(engine, 0, count_run, &count, 1)));
	engine_close(engine);
}
END_TEST

START_TEST(ids_after_reuse)
{
	uint64_t count = 0;
	struct engine *engine = engine_open(4);
	ck_assert(!engine_cancel(engine, EVENT_NONE));
	ck_assert(!engine_move(engine, EVENT_NONE, 5));
	event_id first = engine_at(engine, 10, count_run, &count, 1);
	ck_assert(engine_move(engine, first, 20));
	ck_assert(engine_move(engine, first, 15));
	ck_assert_int_eq(engine_next(engine), 15);
	ck_assert(engine_cancel(engine, first));
	ck_assert_int_eq(engine_next(engine), NANOS_NEVER);
	/* The same slot, another event. */
	event_id second = engine_at(engine, 10, count_run, &count, 100);
	ck_assert(second != first);
	ck_assert(!engine_cancel(engine, first));
	ck_assert(!engine_move(engine, first, 30));
	ck_assert(engine_run_until(engine, 12));
	ck_assert(!engine_cancel(engine, second));
	ck_assert_uint_eq(count, 100);
	/* Ids from before a reset do not name events after it. */
	event_id third = engine_at(engine, 20, count_run, &count, 1);
	engine_reset(engine);
	ck_assert(!engine_cancel(engine, third));
	event_id fourth = engine_at(engine, 20, count_run, &count, 1);
	ck_assert(!engine_cancel(engine, third));
	ck_assert(engine_cancel(engine, fourth));
	engine_close(engine);
}
END_TEST

START_TEST(move_goes_behind_its_instant)
{
	struct log_event events[3];
	struct log log = {.events = events};
	struct engine *engine = engine_open(8);
	event_id first = engine_at(engine, 5, log_run, &log, 1);
	engine_at(engine, 5, log_run, &log, 2);
	engine_at(engine, 5, log_run, &log, 3);
	ck_assert(engine_move(engine, first, 5));
	ck_assert(engine_run_until(engine, 5));
	ck_assert_uint_eq(log.count, 3);
	ck_assert_uint_eq(events[0].tag, 2);
	ck_assert_uint_eq(events[1].tag, 3);
	ck_assert_uint_eq(events[2].tag, 1);
	engine_close(engine);
}
END_TEST

static void stop_run(void *context, uint64_t argument, nanos now)
{
	(void)argument;
	(void)now;
	engine_stop(context);
}

START_TEST(stop_and_go_on)
{
	uint64_t count = 0;
	struct engine *engine = engine_open(8);
	engine_at(engine, 5, count_run, &count, 1);
	engine_at(engine, 5, stop_run, engine, 0);
	engine_at(engine, 5, count_run, &count, 10);
	engine_at(engine, 9, count_run, &count, 100);
	engine_stop(engine);
	ck_assert(!engine_run_until(engine, 8));
	ck_assert_int_eq(engine_now(engine), 5);
	ck_assert_uint_eq(count, 1);
	ck_assert(engine_run_before(engine, 9));
	ck_assert_int_eq(engine_now(engine), 9);
	ck_assert_uint_eq(count, 11);
	ck_assert(engine_run_until(engine, 9));
	ck_assert_uint_eq(count, 111);
	ck_assert(engine_run_until(engine, NANOS_NEVER));
	ck_assert_int_eq(engine_now(engine), 9);
	engine_close(engine);
}
END_TEST

/* Cancelled and moved events must not pile up, with few others pending and with many. */
START_TEST(memory_bounded)
{
	uint64_t count = 0;
	size_t others = _i == 0 ? 10 : 5000, limit = others + 10, rounds = 5000000;
	/* Cancelling is the same code however often: less of it where each step is checked. */
	const char *preload = getenv("LD_PRELOAD");
	if (preload && strstr(preload, "valgrind"))
		rounds = 200000;
	struct engine *engine = engine_open(limit);
	for (size_t i = 0; i < others; i++)
		engine_at(engine, NANOS_HOUR + (nanos)i * 1000, count_run, &count, 1);
	/* Makes a ladder of many. */
	engine_at(engine, 1, count_run, &count, 0);
	ck_assert(engine_run_until(engine, 1));
	size_t before_bytes = engine_memory(engine);
	event_id moved = engine_at(engine, NANOS_DAY, count_run, &count, 1000000);
	for (size_t i = 0; i < rounds; i++) {
		event_id id = engine_at(engine, 1 + (nanos)(i * 7919 % (uint64_t)NANOS_DAY),
					count_run, &count, 1);
		if (!engine_cancel(engine, id) || !engine_move(engine, moved, NANOS_DAY + (nanos)i))
			ck_abort_msg("cancel or move refused");
	}
	ck_assert_uint_eq(engine_pending(engine), others + 1);
	ck_assert_uint_le(engine_memory(engine), before_bytes + (1 << 20));
	ck_assert(engine_run_until(engine, NANOS_NEVER));
	ck_assert_uint_eq(count, others + 1000000);
	ck_assert_int_eq(engine_now(engine), NANOS_DAY + (nanos)rounds - 1);
	engine_close(engine);
}
END_TEST

static void renew_run(void *context, uint64_t delay, nanos now)
{
	struct engine *engine = context;
	delay = (delay * 1103515245 + 12345) % 1000003;
	engine_at(engine, now + (nanos)delay, renew_run, engine, delay);
}

/* A steady state and trial after trial take no more memory. */
START_TEST(memory_kept)
{
	struct engine *engine = engine_open(20000);
	size_t settled = 0;
	for (int trial = 0; trial < 6; trial++) {
		for (uint64_t i = 0; i < 20000; i++)
			engine_at(engine, (nanos)i, renew_run, engine, i);
		ck_assert(engine_run_until(engine, 3000000));
		if (trial == 2)
			settled = engine_memory(engine);
		ck_assert(engine_memory(engine) < 20000 * 160 + (2 << 20));
		engine_reset(engine);
	}
	ck_assert_uint_eq(engine_memory(engine), settled);
	engine_close(engine);
}
END_TEST

static void add_cases(Suite *suite)
{
	test_add_loop(suite, "lock_step", lock_step, 3 * PATTERN_COUNT);
	test_add_loop(suite, "bulk", bulk, 6);
	test_add(suite, "limit_reached", limit_reached);
	test_add(suite, "limit_reached_in_a_handler", limit_reached_in_a_handler);
	test_add(suite, "sequence_spent_and_restarted", sequence_spent_and_restarted);
	test_add(suite, "ids_after_reuse", ids_after_reuse);
	test_add(suite, "move_goes_behind_its_instant", move_goes_behind_its_instant);
	test_add(suite, "stop_and_go_on", stop_and_go_on);
	test_add_loop(suite, "memory_bounded", memory_bounded, 2);
	test_add(suite, "memory_kept", memory_kept);
}

TEST_MAIN("engine", add_cases)
