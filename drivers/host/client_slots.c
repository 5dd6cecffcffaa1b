/* SPDX-License-Identifier: Apache-2.0 */
/* The client's requests: sent on time, ended once, judged in order, summed up by slices. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "drivers/host/client_private.h"

#define SLOTS_FIRST 1024u
#define SENDS_AT_ONCE 16u

/* ---- quantiles of a few thousand times ---- */

static void swap(nanos *a, nanos *b)
{
	nanos t = *a;

	*a = *b;
	*b = t;
}

/* The value of rank k, 0-based (Hoare's algorithm FIND, CACM 4(7), 1961); reorders. */
static nanos rank(nanos *values, ptrdiff_t n, ptrdiff_t k)
{
	ptrdiff_t low = 0, high = n - 1;

	while (low < high) {
		nanos pivot = values[k];
		ptrdiff_t i = low, j = high;

		do {
			while (values[i] < pivot)
				i++;
			while (pivot < values[j])
				j--;
			if (i <= j)
				swap(&values[i++], &values[j--]);
		} while (i <= j);
		if (j < k)
			low = i;
		if (k < i)
			high = j;
	}
	return values[k];
}

/* The order statistic ceil(n p), as in core/stats.h. */
nanos client_quantile(nanos *values, size_t n, double p)
{
	ptrdiff_t k = (ptrdiff_t)ceil((double)n * p);

	return n > 0 ? rank(values, (ptrdiff_t)n, k > 0 ? k - 1 : 0) : NANOS_NEVER;
}

/* ---- what is told ---- */

void client_signal(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		assert(errno == EAGAIN); /* full: then it is readable all the same */
}

void client_tell(struct client *client, struct client_event event)
{
	event.at = client_now(client);
	if (client->event_tail - client->event_head == CLIENT_EVENTS_MAX)
		client->event_head++;
	client->events[client->event_tail++ % CLIENT_EVENTS_MAX] = event;
	client_signal(client->told);
}

static void tell_slice(struct client *client, const struct client_slice *slice)
{
	if (client->slice_tail - client->slice_head == CLIENT_SLICES_MAX)
		client->slice_head++;
	client->slices[client->slice_tail++ % CLIENT_SLICES_MAX] = *slice;
}

static void broken(struct endpoint *endpoint, const char *reason)
{
	struct client_event event = {.kind = CLIENT_BROKEN, .endpoint = endpoint->number};

	snprintf(event.reason, sizeof(event.reason), "%s", reason);
	endpoint->rate = 0;
	endpoint->next = NANOS_NEVER;
	client_tell(endpoint->client, event);
}

/* ---- slots ---- */

static uint64_t needed_from(const struct endpoint *endpoint)
{
	uint64_t from = endpoint->slice_begin;

	if (endpoint->judge.begin < from)
		from = endpoint->judge.begin;
	if (endpoint->oldest < from)
		from = endpoint->oldest;
	if (endpoint->undecided < from)
		from = endpoint->undecided;
	return from;
}

/* Room for one more slot; false: too many are open. */
static bool slot_room(struct endpoint *endpoint, nanos now)
{
	uint64_t capacity = endpoint->capacity;
	struct slot *slots;

	if (endpoint->end - endpoint->begin < capacity)
		return true;
	if (endpoint->begin < needed_from(endpoint) &&
	    (capacity == SLOTS_MAX ||
	     client_slot(endpoint, endpoint->begin)->intended < now - SLOTS_KEPT)) {
		endpoint->begin++;
		return true;
	}
	if (capacity == SLOTS_MAX)
		return false;
	capacity = capacity ? capacity * 2 : SLOTS_FIRST;
	slots = arena_array(&endpoint->client->arena, capacity, sizeof(*slots));
	for (uint64_t i = endpoint->begin; i < endpoint->end; i++)
		slots[i & (capacity - 1)] = *client_slot(endpoint, i);
	endpoint->slots = slots;
	endpoint->capacity = capacity;
	return true;
}

static struct client_request seen(const struct endpoint *endpoint, uint64_t sequence)
{
	const struct slot *slot = client_slot(endpoint, sequence);

	assert(sequence >= endpoint->begin && sequence < endpoint->end);
	return (struct client_request){
		.sequence = sequence,
		.intended = slot->intended,
		.sent = slot->sent,
		.answered = slot->answered ? slot->ended : NANOS_NEVER,
	};
}

enum outcome client_outcome(const struct endpoint *endpoint, uint64_t sequence, bool expected,
			    nanos at)
{
	if (!expected)
		return OUTCOME_WRONG;
	if (at - client_slot(endpoint, sequence)->intended > endpoint->config.latency_limit)
		return OUTCOME_LATE;
	return OUTCOME_GOOD;
}

void client_end(struct endpoint *endpoint, uint64_t sequence, enum outcome outcome, bool answered,
		nanos at)
{
	struct slot *slot = client_slot(endpoint, sequence);
	struct client_totals *totals = &endpoint->totals;

	assert(slot->outcome == OUTCOME_OPEN);
	slot->outcome = (uint8_t)outcome;
	slot->out = false;
	slot->carrier = NULL;
	slot->answered = answered;
	slot->ended = at;
	if (!slot->decided) {
		slot->decided = true;
		slot->good = outcome == OUTCOME_GOOD;
	}
	totals->open--;
	switch (outcome) {
	case OUTCOME_OPEN:
		break;
	case OUTCOME_GOOD:
		totals->good++;
		break;
	case OUTCOME_WRONG:
		totals->wrong++;
		break;
	case OUTCOME_LATE:
		totals->late++;
		break;
	case OUTCOME_FAILED:
		totals->failed++;
		break;
	case OUTCOME_UNKNOWN:
		totals->unknown++;
		break;
	}
}

void client_never_sent(struct endpoint *endpoint, uint64_t sequence, nanos at)
{
	struct slot *slot = client_slot(endpoint, sequence);

	if (slot->out)
		endpoint->totals.sent--;
	slot->sent = NANOS_NEVER;
	endpoint->totals.unsent++;
	ledger_unsent(endpoint->ledger, sequence);
	client_end(endpoint, sequence, OUTCOME_FAILED, false, at);
}

/* ---- arrivals ---- */

nanos client_gap(struct endpoint *endpoint)
{
	double length = 1e9 / endpoint->rate, whole;

	if (endpoint->config.arrival == CLIENT_POISSON)
		return (nanos)(-log(prng_uniform(&endpoint->arrivals)) * length);
	whole = floor(length + endpoint->carry);
	endpoint->carry += length - whole;
	return (nanos)whole;
}

static void arrive(struct endpoint *endpoint, nanos now)
{
	struct error e = {0};
	uint64_t sequence;
	struct slot *slot;

	if (!slot_room(endpoint, now)) {
		broken(endpoint, "more requests are open than the client can remember");
		return;
	}
	if (ledger_next(endpoint->ledger, endpoint->epoch, &sequence, &e)) {
		broken(endpoint, e.text);
		return;
	}
	assert(sequence == endpoint->end);
	slot = client_slot(endpoint, sequence);
	*slot = (struct slot){.intended = endpoint->next, .sent = NANOS_NEVER};
	endpoint->end++;
	endpoint->totals.intended++;
	endpoint->totals.open++;
	if (now - endpoint->next > endpoint->totals.lag)
		endpoint->totals.lag = now - endpoint->next;
	endpoint->next += client_gap(endpoint);
}

static bool hand_over(struct endpoint *endpoint, uint64_t sequence, nanos now)
{
	struct slot *slot = client_slot(endpoint, sequence);
	bool taken = false;

	slot->out = true;
	endpoint->totals.sent++;
	switch (endpoint->config.adapter.kind) {
	case ADAPTER_HTTP:
		taken = client_http_send(endpoint, sequence, now);
		break;
	case ADAPTER_EXEC:
		taken = client_exec_send(endpoint, sequence, now);
		break;
	}
	if (!taken) {
		slot->out = false;
		endpoint->totals.sent--;
	}
	return taken;
}

/*
 * Sends what is due; what found no connection within the limit is bad. After a stall much is due
 * at once: answers are read in between, so that their connections are used again instead of new
 * ones, which would cost more and make the stall longer.
 */
static void send_pending(struct endpoint *endpoint, nanos now)
{
	uint32_t sent = 0;

	endpoint->more = false;
	for (; endpoint->pending < endpoint->end; endpoint->pending++) {
		struct slot *slot = client_slot(endpoint, endpoint->pending);

		if (now - slot->intended > endpoint->config.latency_limit)
			client_never_sent(endpoint, endpoint->pending, now);
		else if (sent++ == SENDS_AT_ONCE || !hand_over(endpoint, endpoint->pending, now))
			break;
	}
	endpoint->more = sent > SENDS_AT_ONCE;
}

static void give_up(struct endpoint *endpoint, nanos now)
{
	for (; endpoint->oldest < endpoint->end; endpoint->oldest++) {
		struct slot *slot = client_slot(endpoint, endpoint->oldest);

		if (slot->outcome != OUTCOME_OPEN)
			continue;
		if (!slot->out || now - slot->intended < endpoint->config.timeout)
			break;
		switch (endpoint->config.adapter.kind) {
		case ADAPTER_HTTP:
			client_http_give_up(endpoint, endpoint->oldest, now);
			break;
		case ADAPTER_EXEC:
			client_exec_give_up(endpoint, endpoint->oldest, now);
			break;
		}
	}
}

/* ---- good and bad ---- */

static uint64_t wrong_from(const struct endpoint *endpoint, uint64_t sequence)
{
	uint64_t wrong = 0;

	if (sequence < endpoint->begin)
		sequence = endpoint->begin;
	for (; sequence < endpoint->end; sequence++)
		wrong += client_slot(endpoint, sequence)->outcome == OUTCOME_WRONG;
	return wrong;
}

static void turn_bad(struct endpoint *endpoint, const struct judge_turn *turn)
{
	struct outage *outage = &endpoint->now;
	uint64_t before = turn->sequence;

	endpoint->bad = true;
	*outage = (struct outage){.seen = {.endpoint = endpoint->number,
					   .since = turn->since,
					   .until = NANOS_NEVER,
					   .first = seen(endpoint, turn->sequence)}};
	while (before > endpoint->begin && !outage->seen.has_before) {
		outage->seen.has_before = client_slot(endpoint, --before)->good;
		if (outage->seen.has_before)
			outage->seen.before = seen(endpoint, before);
	}
	outage->wrong_before = endpoint->totals.wrong - wrong_from(endpoint, turn->sequence);
	client_tell(endpoint->client, (struct client_event){.kind = CLIENT_BAD,
							    .endpoint = endpoint->number,
							    .since = turn->since,
							    .ok = true});
}

nanos client_outage_length(const struct outage *outage, nanos now)
{
	nanos until = outage->seen.until == NANOS_NEVER ? now : outage->seen.until;

	return until - outage->seen.since;
}

static void turn_good(struct endpoint *endpoint, const struct judge_turn *turn)
{
	struct outage *outage = &endpoint->now;

	endpoint->bad = false;
	outage->seen.until = turn->since;
	outage->seen.after = seen(endpoint, turn->sequence);
	outage->seen.wrong = endpoint->totals.wrong - outage->wrong_before -
			     wrong_from(endpoint, turn->sequence);
	if (!endpoint->any_longest ||
	    client_outage_length(outage, 0) > client_outage_length(&endpoint->longest, 0))
		endpoint->longest = *outage;
	endpoint->any_longest = true;
	client_tell(endpoint->client, (struct client_event){.kind = CLIENT_GOOD,
							    .endpoint = endpoint->number,
							    .since = turn->since,
							    .ok = true});
}

static bool handle(struct endpoint *endpoint, struct judge_turn turn)
{
	switch (turn.verdict) {
	case JUDGE_SAME:
		return false;
	case JUDGE_BAD:
		turn_bad(endpoint, &turn);
		break;
	case JUDGE_GOOD:
		turn_good(endpoint, &turn);
		break;
	}
	return true;
}

/* Everything intended before it is known to the client. */
static nanos frontier(const struct endpoint *endpoint, uint64_t from, nanos now)
{
	if (from < endpoint->end)
		return client_slot(endpoint, from)->intended;
	return endpoint->next < now ? endpoint->next : now;
}

static void decide(struct endpoint *endpoint, nanos now)
{
	for (; endpoint->undecided < endpoint->end; endpoint->undecided++) {
		struct slot *slot = client_slot(endpoint, endpoint->undecided);

		if (now - slot->intended > endpoint->config.latency_limit)
			slot->decided = true; /* good: false, unless it was */
		if (!slot->decided)
			break;
		if (handle(endpoint, judge_add(&endpoint->judge, slot->intended, slot->good)))
			while (handle(endpoint, judge_look(&endpoint->judge, slot->intended)))
				;
	}
	while (handle(endpoint,
		      judge_look(&endpoint->judge, frontier(endpoint, endpoint->undecided, now))))
		;
}

/* ---- the timeline ---- */

/* How long the caller waited, for an answer or in vain; false: it was refused. */
bool client_waited(const struct slot *slot, nanos now, nanos *ret)
{
	if (slot->outcome == OUTCOME_FAILED)
		return false;
	*ret = (slot->outcome == OUTCOME_OPEN ? now : slot->ended) - slot->intended;
	return true;
}

static void count_slot(struct client_slice *slice, const struct slot *slot)
{
	slice->requests++;
	slice->good += slot->outcome == OUTCOME_GOOD;
	slice->wrong += slot->outcome == OUTCOME_WRONG;
	slice->late += slot->outcome == OUTCOME_LATE;
	slice->failed += slot->outcome == OUTCOME_FAILED;
	slice->unknown += slot->outcome == OUTCOME_UNKNOWN;
}

static void finish_slice(struct endpoint *endpoint)
{
	struct client *client = endpoint->client;
	struct client_slice slice = {.endpoint = endpoint->number,
				     .from = endpoint->slice_from,
				     .to = endpoint->slice_from + client->slice};
	size_t n = 0;

	for (; endpoint->slice_begin < endpoint->end; endpoint->slice_begin++) {
		const struct slot *slot = client_slot(endpoint, endpoint->slice_begin);

		if (slot->intended >= slice.to)
			break;
		count_slot(&slice, slot);
		endpoint->samples = arena_grow(&client->arena, endpoint->samples, n,
					       &endpoint->sample_room, sizeof(nanos));
		n += client_waited(slot, 0, &endpoint->samples[n]);
	}
	slice.p50 = client_quantile(endpoint->samples, n, P50);
	slice.p99 = client_quantile(endpoint->samples, n, P99);
	endpoint->slice_from = slice.to;
	tell_slice(client, &slice);
}

static void finish_slices(struct endpoint *endpoint, nanos now)
{
	nanos known = frontier(endpoint, endpoint->oldest, now);

	while (known >= endpoint->slice_from + endpoint->client->slice)
		finish_slice(endpoint);
}

/* ---- a turn ---- */

void client_step(struct endpoint *endpoint, nanos now)
{
	while (endpoint->next <= now)
		arrive(endpoint, now);
	send_pending(endpoint, now);
	give_up(endpoint, now);
	decide(endpoint, now);
	finish_slices(endpoint, now);
}

/* When something has to be done, if nothing happens before. */
nanos client_due(struct endpoint *endpoint, nanos now)
{
	nanos at = endpoint->next, look = judge_due(&endpoint->judge);
	nanos limit = endpoint->config.latency_limit + 1;

	if (endpoint->more)
		return now;
	if (endpoint->pending < endpoint->end)
		at = earlier(at, client_slot(endpoint, endpoint->pending)->intended + limit);
	if (endpoint->undecided < endpoint->end)
		at = earlier(at, client_slot(endpoint, endpoint->undecided)->intended + limit);
	if (endpoint->oldest < endpoint->end)
		at = earlier(at, client_slot(endpoint, endpoint->oldest)->intended +
					 endpoint->config.timeout);
	else
		at = earlier(at, endpoint->slice_from + endpoint->client->slice);
	if (look > now)
		at = earlier(at, look);
	return at;
}
