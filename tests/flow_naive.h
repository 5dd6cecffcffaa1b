/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plainest max-min fair network: one list of flows, all rates found anew by textbook
 * progressive filling after every change, O(flows) a round. What sim/flow.c is compared with, in
 * its results (tests) and its speed (benchmark).
 */
#ifndef TESTS_FLOW_NAIVE_H
#define TESTS_FLOW_NAIVE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sim/flow.h"

/*
 * What progress is kept in. With quadruple precision, though slow, the instants are comparable to
 * the nanosecond, also under valgrind, which cuts the long double of x86 down to a double.
 */
#ifdef FLOW_NAIVE_EXACT
#ifdef __SIZEOF_FLOAT128__
__extension__ typedef __float128 naive_real;
#else
typedef long double naive_real;
#endif
#else
typedef double naive_real;
#endif

struct naive_flow {
	uint64_t bytes, argument;
	naive_real left; /* bytes to go at `anchor` */
	nanos anchor, due;
	double cap, rate, fresh;
	uint32_t path[FLOW_PATH_MAX];
	size_t count;
	bool frozen;
};

/* Flows are kept in order of start. The arrays are the caller's, large enough. */
struct naive {
	struct naive_flow *flows;
	size_t flow_count;
	double *capacity, *used;
	size_t *rising; /* flows through a resource that are not frozen */
	size_t resource_count;
};

static inline bool naive_uses(const struct naive_flow *f, size_t resource)
{
	for (size_t i = 0; i < f->count; i++) {
		if (f->path[i] == resource)
			return true;
	}
	return false;
}

static inline double naive_share(const struct naive *n, size_t r)
{
	return n->rising[r] ? fmax(0, n->capacity[r] - n->used[r]) / (double)n->rising[r]
			    : (double)INFINITY;
}

/* Freeze at `level` whatever is at its cap or crosses a resource that is full at this level. */
static inline void naive_freeze(struct naive *n, double level)
{
	static const double slack = 1e-14;

	for (size_t r = 0; r < n->resource_count; r++) {
		if (naive_share(n, r) > level * (1 + slack))
			continue;
		for (size_t i = 0; i < n->flow_count; i++) {
			if (!n->flows[i].frozen && naive_uses(&n->flows[i], r))
				n->flows[i].fresh = level;
		}
	}
	for (size_t i = 0; i < n->flow_count; i++) {
		struct naive_flow *f = &n->flows[i];

		if (f->frozen)
			continue;
		if (f->cap <= level)
			f->fresh = level;
		if (f->fresh < 0)
			continue;
		f->frozen = true;
		for (size_t k = 0; k < f->count; k++) {
			n->used[f->path[k]] += level;
			n->rising[f->path[k]]--;
		}
	}
}

static inline nanos naive_due(const struct naive_flow *f)
{
	naive_real wait;

	if (f->left <= 0 || f->rate >= INFINITY)
		return f->anchor;
	if (!(f->rate > 0))
		return NANOS_NEVER;
	wait = f->left / (naive_real)f->rate * 1e9 + 0.5;
	return wait < 4e18 ? f->anchor + (nanos)wait : NANOS_NEVER;
}

static inline naive_real naive_left(const struct naive_flow *f, nanos now)
{
	naive_real left;

	if (now == f->anchor)
		return f->left;
	left = f->left - (naive_real)f->rate * (naive_real)(now - f->anchor) / 1e9;
	return left > 0 ? left : 0;
}

/* All rates from `now` on. */
static inline void naive_settle(struct naive *n, nanos now)
{
	double level;

	memset(n->used, 0, n->resource_count * sizeof(*n->used));
	memset(n->rising, 0, n->resource_count * sizeof(*n->rising));
	for (size_t i = 0; i < n->flow_count; i++) {
		n->flows[i].frozen = false;
		n->flows[i].fresh = -1;
		for (size_t k = 0; k < n->flows[i].count; k++)
			n->rising[n->flows[i].path[k]]++;
	}
	do {
		level = INFINITY;
		for (size_t r = 0; r < n->resource_count; r++)
			level = fmin(level, naive_share(n, r));
		for (size_t i = 0; i < n->flow_count; i++) {
			if (!n->flows[i].frozen)
				level = fmin(level, n->flows[i].cap);
		}
		if (level < INFINITY)
			naive_freeze(n, level);
	} while (level < INFINITY);
	for (size_t i = 0; i < n->flow_count; i++) {
		struct naive_flow *f = &n->flows[i];
		double rate = f->frozen ? f->fresh : (double)INFINITY;

		if (rate != f->rate) {
			f->left = naive_left(f, now);
			f->anchor = now;
			f->rate = rate;
		}
		f->due = naive_due(f);
	}
}

/* The next calls change the list only; naive_settle() follows. */
static inline void naive_start(struct naive *n, nanos now, uint64_t bytes, double cap,
			       const uint32_t *path, size_t count, uint64_t argument)
{
	struct naive_flow *f = &n->flows[n->flow_count++];

	*f = (struct naive_flow){.bytes = bytes,
				 .argument = argument,
				 .left = (naive_real)bytes,
				 .anchor = now,
				 .due = NANOS_NEVER,
				 .cap = cap,
				 .count = count};
	if (count)
		memcpy(f->path, path, count * sizeof(*path));
}

static inline void naive_remove(struct naive *n, size_t at)
{
	n->flow_count--;
	memmove(&n->flows[at], &n->flows[at + 1], (n->flow_count - at) * sizeof(*n->flows));
}

static inline nanos naive_next(const struct naive *n)
{
	nanos next = NANOS_NEVER;

	for (size_t i = 0; i < n->flow_count; i++) {
		if (n->flows[i].due < next)
			next = n->flows[i].due;
	}
	return next;
}

/* Remove the flows due until `now` and write their arguments, in order of start. */
static inline size_t naive_advance(struct naive *n, nanos now, uint64_t *arguments)
{
	size_t kept = 0, done = 0;

	for (size_t i = 0; i < n->flow_count; i++) {
		if (n->flows[i].due <= now)
			arguments[done++] = n->flows[i].argument;
		else
			n->flows[kept++] = n->flows[i];
	}
	n->flow_count = kept;
	return done;
}

#endif
