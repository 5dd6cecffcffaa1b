/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual clock and its pending events: a discrete-event engine with a total order.
 *
 * Order. Events run by (time, sequence), where the sequence counts calls of engine_at() and
 * engine_move(): events of one instant run in the order in which they were scheduled, always. The
 * order depends on the calls alone, never on the structure that holds the events at the moment.
 *
 * Structure. Few events lie in a 4-ary heap whose top is replaced when a handler schedules its
 * successor. Many lie in a ladder: one sorted run (the earliest bucket), a small heap for events
 * that come too late for the run, a ring of buckets of equal width for the near future, and coarser
 * and coarser buckets behind it for the rest (Tang, Goh, Thng: "Ladder Queue", TOMACS 2005, with
 * the cascade of Varghese and Lauck's hierarchical timing wheels, SOSP 1987, instead of an unsorted
 * top). The width follows the density of the events.
 *
 * Cost. Scheduling and running take O(1) amortised when times are spread in any halfway regular
 * way, and O(log n) for the worst of patterns. Cancelling takes O(1) amortised. Memory comes in
 * growing pieces and is kept until engine_close(), so that a steady state allocates nothing. Out of
 * memory ends the program with exit 3.
 *
 * Limits. `pending_limit` events pending at once, ENGINE_SEQUENCE_MAX calls of engine_at() and
 * engine_move() between two resets. Past either see engine_overflowed(). One engine belongs to one
 * thread at a time.
 */
#ifndef SIM_ENGINE_H
#define SIM_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/clock.h"

#define ENGINE_PENDING_MAX (((size_t)1 << 24) - 1)    /* the largest pending_limit: 16.7 million */
#define ENGINE_SEQUENCE_MAX (((uint64_t)1 << 39) - 1) /* 550 thousand million */

struct engine;

/*
 * Names one scheduled event. Never used twice within 2^39 events, hence safe to keep after the
 * event ran.
 */
typedef uint64_t event_id;
#define EVENT_NONE ((event_id)0)

/*
 * What an event does. `context` and `argument` are those of engine_at(); `now` is the event's time.
 * A handler may call everything here but engine_run_before(), engine_run_until(), engine_reset()
 * and engine_close(). Its own id is no longer pending when it starts. The engine never reads what
 * `context` points to (it may prefetch it).
 */
typedef void event_handler(void *context, uint64_t argument, nanos now);

/*
 * A new engine at time 0 with nothing pending; the caller owns it. 1 <= pending_limit <=
 * ENGINE_PENDING_MAX (asserted). Address space is reserved for the limit, memory is used for what
 * has been pending.
 */
struct engine *engine_open(size_t pending_limit);

/* Give all memory back. Contexts are the caller's. NULL is fine. */
void engine_close(struct engine *engine);

/*
 * Back to time 0, nothing pending, nothing executed, no overflow; all memory stays. The cost is a
 * fixed few dozen instructions plus at most one step per pending event. Ids from before are no
 * longer pending.
 */
void engine_reset(struct engine *engine);

/* The virtual time: of the running event, or what the last run ended at. */
nanos engine_now(const struct engine *engine);

/*
 * Call handler(context, argument, when) at time `when`, engine_now() <= when < NANOS_NEVER
 * (asserted). An event at the present instant runs after everything already pending for it. Returns
 * its id, or EVENT_NONE past a limit: nothing is scheduled then and engine_overflowed() becomes
 * true.
 */
event_id engine_at(struct engine *engine, nanos when, event_handler *handler, void *context,
		   uint64_t argument);

/*
 * Unschedule. False when the event already ran, runs now, was cancelled, or id is EVENT_NONE. O(1)
 * amortised.
 */
bool engine_cancel(struct engine *engine, event_id id);

/*
 * Reschedule to `when` (bounds as in engine_at()) under the same id. The event takes a new place in
 * the sequence, as if it had just been scheduled, even when the time stays. False when it is no
 * longer pending, or past ENGINE_SEQUENCE_MAX (engine_overflowed() tells); nothing has changed
 * then. O(1) amortised.
 */
bool engine_move(struct engine *engine, event_id id, nanos when);

/* Time of the earliest pending event, NANOS_NEVER when there is none. */
nanos engine_next(struct engine *engine);

/* From a handler: run no further event after this one. Without effect outside of a run. */
void engine_stop(struct engine *engine);

/*
 * Run all events with time < when (before) or <= when (until), those included that handlers add on
 * the way, then set the time to `when` and return true. engine_now() <= when (asserted). With when
 * = NANOS_NEVER everything runs and the time stays at the last event. Returns false, and the time
 * is that of the last event run, when a handler called engine_stop() or a limit was passed; events
 * left are still pending and a later run goes on with them (never after an overflow: then only
 * engine_reset() helps).
 */
bool engine_run_before(struct engine *engine, nanos when);
bool engine_run_until(struct engine *engine, nanos when);

/*
 * A limit was passed since the last reset, so an event is missing. The run ends after the handler
 * during which it happened, and every later run returns false at once; the caller reports
 * ERROR_LIMIT.
 */
bool engine_overflowed(const struct engine *engine);

uint64_t engine_executed(const struct engine *engine); /* events run since the last reset */
size_t
engine_pending(const struct engine *engine); /* events scheduled, not cancelled, not yet started */

/*
 * Bytes taken and touched so far; at most about 160 per event of the highest pending count, plus 2
 * MiB.
 */
size_t engine_memory(const struct engine *engine);

#endif
