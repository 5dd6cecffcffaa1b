/* SPDX-License-Identifier: Apache-2.0 */
/* Good and bad service: two pointers that walk over a ring of prefix sums. */
#include "drivers/host/judge.h"

#include <assert.h>
#include <string.h>

#define RING_FIRST 1024u
#define SHARE_TOLERANCE 1e-9 /* 99 of 100 is not below 99 %, however 0.99 is rounded */

void judge_init(struct judge *judge, double success, nanos window)
{
	assert(success > 0 && success <= 1);
	assert(window >= 0);
	*judge = (struct judge){.success = success, .window = window};
	judge->span = window < JUDGE_SPAN_MAX ? window : JUDGE_SPAN_MAX;
}

void judge_free(struct judge *judge)
{
	arena_free(&judge->arena);
	judge->ring = NULL;
	judge->capacity = 0;
}

static struct judge_mark *mark(const struct judge *judge, uint64_t number)
{
	return &judge->ring[number & (judge->capacity - 1)];
}

/* Bad requests in [from, to), to > from. */
static uint64_t bad_between(const struct judge *judge, uint64_t from, uint64_t to)
{
	const struct judge_mark *first = mark(judge, from);

	return mark(judge, to - 1)->bad - first->bad + !first->good;
}

static bool below(const struct judge *judge, uint64_t bad, uint64_t total)
{
	return (double)(total - bad) < (judge->success - SHARE_TOLERANCE) * (double)total;
}

/* Old rings stay in the arena; together they are smaller than the last one. */
static void grow(struct judge *judge)
{
	size_t capacity = judge->capacity ? judge->capacity * 2 : RING_FIRST;
	struct judge_mark *ring = arena_array(&judge->arena, capacity, sizeof(*ring));

	for (uint64_t i = judge->begin; i < judge->end; i++)
		ring[i & (capacity - 1)] = *mark(judge, i);
	judge->ring = ring;
	judge->capacity = capacity;
}

static void forget(struct judge *judge)
{
	uint64_t keep = judge->bad ? judge->candidate : judge->span_begin;

	if (!judge->bad && judge->fresh < keep + JUDGE_REQUESTS_MIN)
		keep = judge->fresh < JUDGE_REQUESTS_MIN ? 0 : judge->fresh - JUDGE_REQUESTS_MIN;
	if (keep > judge->begin)
		judge->begin = keep;
}

static void append(struct judge *judge, nanos at, bool good)
{
	uint64_t bad = judge->end > 0 ? mark(judge, judge->end - 1)->bad : 0;

	forget(judge);
	if (judge->end - judge->begin == judge->capacity) {
		if (judge->capacity < JUDGE_REQUESTS_MAX) {
			grow(judge);
		} else {
			judge->begin++;
			if (judge->floor < judge->begin)
				judge->floor = judge->begin;
			if (judge->candidate < judge->begin)
				judge->candidate = judge->begin;
			if (judge->span_begin < judge->begin)
				judge->span_begin = judge->begin;
		}
	}
	*mark(judge, judge->end) = (struct judge_mark){.at = at, .bad = bad + !good, .good = good};
	judge->end++;
}

/* The stretch that ends at `last` with the greatest excess of bad requests. */
static uint64_t stretch_begin(const struct judge *judge, uint64_t from, uint64_t last)
{
	uint64_t best = last;
	double most = -1;

	for (uint64_t i = last + 1; i-- > from;) {
		double excess;

		if (mark(judge, i)->good)
			continue;
		excess = (double)bad_between(judge, i, last + 1) -
			 (1 - judge->success) * (double)(last + 1 - i);
		if (excess >= most) {
			most = excess;
			best = i;
		}
	}
	return best;
}

/* Is the service bad at request `last`? Then `*ret` says since when. */
static bool turns_bad(struct judge *judge, uint64_t last, struct judge_turn *ret)
{
	nanos at = mark(judge, last)->at;
	uint64_t from, bad;

	while (judge->span_begin < judge->floor ||
	       (judge->span_begin < last && mark(judge, judge->span_begin)->at <= at - judge->span))
		judge->span_begin++;
	from = judge->span_begin;
	if (last + 1 - from < JUDGE_REQUESTS_MIN)
		from = last + 1 < JUDGE_REQUESTS_MIN ? 0 : last + 1 - JUDGE_REQUESTS_MIN;
	if (from < judge->floor)
		from = judge->floor;
	bad = bad_between(judge, from, last + 1);
	if (bad < JUDGE_BAD_MIN || !below(judge, bad, last + 1 - from))
		return false;
	ret->verdict = JUDGE_BAD;
	ret->sequence = stretch_begin(judge, from, last);
	ret->since = mark(judge, ret->sequence)->at;
	judge->bad = true;
	judge->candidate = judge->window_end = last;
	return true;
}

static bool turns_good(struct judge *judge, nanos frontier, struct judge_turn *ret)
{
	for (; judge->candidate < judge->end; judge->candidate++) {
		const struct judge_mark *first = mark(judge, judge->candidate);
		nanos over = first->at + judge->window;

		if (!first->good)
			continue;
		if (frontier <= over)
			return false;
		if (judge->window_end <= judge->candidate)
			judge->window_end = judge->candidate + 1;
		while (judge->window_end < judge->end && mark(judge, judge->window_end)->at <= over)
			judge->window_end++;
		if (below(judge, bad_between(judge, judge->candidate, judge->window_end),
			  judge->window_end - judge->candidate))
			continue;
		ret->verdict = JUDGE_GOOD;
		ret->sequence = judge->candidate;
		ret->since = first->at;
		judge->bad = false;
		judge->floor = judge->span_begin = judge->candidate;
		judge->fresh = judge->window_end;
		return true;
	}
	return false;
}

struct judge_turn judge_look(struct judge *judge, nanos frontier)
{
	struct judge_turn turn = {.verdict = JUDGE_SAME};

	if (judge->bad) {
		turns_good(judge, frontier, &turn);
		return turn;
	}
	while (judge->fresh < judge->end)
		if (turns_bad(judge, judge->fresh++, &turn))
			break;
	return turn;
}

struct judge_turn judge_add(struct judge *judge, nanos at, bool good)
{
	assert(judge->end == judge->begin || at >= mark(judge, judge->end - 1)->at);
	append(judge, at, good);
	return judge_look(judge, at);
}

nanos judge_due(const struct judge *judge)
{
	if (!judge->bad || judge->candidate >= judge->end)
		return NANOS_NEVER;
	return mark(judge, judge->candidate)->at + judge->window + 1;
}
