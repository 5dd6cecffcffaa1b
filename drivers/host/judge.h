/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Good and bad service from single requests, in the order of their intended times. No I/O, no
 * clock: outcomes in, turns out.
 *
 * A request is decided when its outcome is known, at the latest one latency limit after its
 * intended time: no answer by then is bad, whatever comes later. Requests are judged in the order
 * of their intended times, those of equal times in the order of their sequence numbers.
 *
 * Good turns bad at request i when, among the requests of the last V = min(W, 1 s) up to i, that is
 * intended in (t_i - V, t_i], and at least the last JUDGE_REQUESTS_MIN, there are at least
 * JUDGE_BAD_MIN bad ones and the share of good ones is below S. Nothing from before the last turn
 * to good is looked at. A total outage is so noticed after (1 - S) * rate * V bad requests, but at
 * least two: for S = 99 % within 10 ms and a latency limit at any rate above 200/s. `since` is the
 * intended time of the bad request that opens the stretch: of all stretches that end at i, the one
 * with the greatest excess of bad requests over the (1 - S) * n that S allows (the change point of
 * Page's CUSUM test, Biometrika 41, 1954), the longest of several.
 *
 * Bad turns good at the first good request g, not before the turn to bad, whose window
 * [t_g, t_g + W] has a share of good requests of at least S. It is known when every request of the
 * window is decided and none can come any more, at the earliest at t_g + W.
 */
#ifndef DRIVERS_HOST_JUDGE_H
#define DRIVERS_HOST_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/error.h"

#define JUDGE_SPAN_MAX NANOS_S               /* V is never longer */
#define JUDGE_REQUESTS_MIN 10                /* looked at, however few they are a second */
#define JUDGE_BAD_MIN 2                      /* one bad request alone is no outage */
#define JUDGE_REQUESTS_MAX ((size_t)1 << 22) /* remembered at one time; older ones are forgotten */

struct judge_mark {
	nanos at;     /* intended */
	uint64_t bad; /* bad requests up to and with this one */
	bool good;
};

/* What a judge says after an input. */
enum judge_verdict {
	JUDGE_SAME,
	JUDGE_BAD,
	JUDGE_GOOD
};

struct judge_turn {
	enum judge_verdict verdict;
	nanos since;       /* intended time of the request that opens the stretch */
	uint64_t sequence; /* its number, from 0 in order of judge_add() */
};

struct judge {
	double success; /* S */
	nanos window;   /* W */
	nanos span;     /* V */
	bool bad;
	struct judge_mark *ring; /* of a power of two, in an arena of the judge's own */
	size_t capacity;
	uint64_t begin, end; /* numbers remembered: [begin, end) */
	uint64_t floor;      /* nothing before it is looked at: the last turn */
	uint64_t fresh;      /* the first request that can turn good into bad */
	uint64_t candidate;  /* bad: the next that can open a stable window */
	uint64_t window_end; /* bad: first after the candidate's window, so far */
	uint64_t span_begin; /* good: first of the last V */
	struct arena arena;
};

/* 0 < success <= 1, window >= 0. The judge holds memory until judge_free(). */
void judge_init(struct judge *judge, double success, nanos window);
void judge_free(struct judge *judge);
/* The next request, in order of `at`. Says at most one turn; call judge_look() until SAME after. */
struct judge_turn judge_add(struct judge *judge, nanos at, bool good);
/* Every request intended before `frontier` has been added: is a stable window over now? */
struct judge_turn judge_look(struct judge *judge, nanos frontier);
/* The earliest frontier at which judge_look() can have something new to say; NANOS_NEVER: none. */
nanos judge_due(const struct judge *judge);

#endif
