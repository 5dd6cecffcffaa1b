/* SPDX-License-Identifier: Apache-2.0 */
/* Single requests in the windows that decide FRT: open-loop arrivals, routing, queueing, time-outs,
 * the stable window. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "sim/lepton.h"
#include "sim/model/world.h"

#define NONE UINT32_MAX
#define BACKLOG_MAX 1000000 /* more waiting requests than this stay a fluid */
#define CONFIRM_WINDOWS                                                                            \
	10 /* a service that is not stable within so many windows is looked at as a fluid again */
#define WAKE_EVERY 65536     /* arrivals */
#define REQUESTS_MAX 4000000 /* at once; past it the service is long overloaded: new ones fail */

static const struct load *load_of(const struct world *w, const struct service *s)
{
	return &w->scenario->deployment.endpoints[s->endpoint].load;
}

static void dispatch(struct world *w, struct service *s, uint32_t q);

static uint64_t pack(const struct service *s, uint32_t q)
{
	return ((uint64_t)s->endpoint << 32) | q;
}

/* ---- books ---- */

/* Latencies by powers of two in sixteenths, from 1 us: 6 % wide. */
static uint32_t bucket_of(nanos latency)
{
	double octaves = log2(fmax((double)latency / 1e3, 1));
	double bucket = octaves * 16;
	return bucket < HISTOGRAM_BUCKETS - 1 ? (uint32_t)bucket : HISTOGRAM_BUCKETS - 1;
}

static double quantile_of(const struct second *second, double p)
{
	uint64_t total = 0, sum = 0;
	for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
		total += second->histogram[i];
	if (total == 0)
		return NAN;
	for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
		sum += second->histogram[i];
		if ((double)sum >= p * (double)total)
			return exp2((i + 0.5) / 16) * 1e-6;
	}
	return NAN;
}

static nanos second_begin(const struct world *w, const struct service *s)
{
	return world_now(w) / s->second_length * s->second_length;
}

static void flush_second(struct world *w, struct service *s)
{
	struct second *second = &s->second;
	if (second->sent + second->good + second->wrong + second->late + second->failed > 0 &&
	    timeline_on(w->timeline)) {
		timeline_begin(w->timeline, world_now(w), "service.requests");
		timeline_text(w->timeline, "endpoint",
			      w->scenario->deployment.endpoints[s->endpoint].name);
		timeline_int(w->timeline, "from_ns", second->from);
		timeline_int(w->timeline, "to_ns", second->from + s->second_length);
		timeline_int(w->timeline, "sent", second->sent);
		timeline_int(w->timeline, "good", second->good);
		timeline_int(w->timeline, "wrong", second->wrong);
		timeline_int(w->timeline, "late", second->late);
		timeline_int(w->timeline, "failed", second->failed);
		timeline_int(w->timeline, "waited", second->waited);
		timeline_real(w->timeline, "p50_s", quantile_of(second, 0.50));
		timeline_real(w->timeline, "p99_s", quantile_of(second, 0.99));
		timeline_end(w->timeline);
	}
	memset(second, 0, sizeof(*second));
	second->from = second_begin(w, s);
}

static struct second *this_second(struct world *w, struct service *s)
{
	if (world_now(w) >= s->second.from + s->second_length)
		flush_second(w, s);
	return &s->second;
}

static uint32_t request_new(struct world *w, struct service *s)
{
	if (s->free_head == NONE) {
		size_t old = s->pool_capacity;
		if (old >= REQUESTS_MAX)
			return NONE;
		s->pool = arena_grow(&w->arena, s->pool, old, &s->pool_capacity, sizeof(*s->pool));
		for (size_t i = s->pool_capacity; i-- > old;) {
			s->pool[i].next = s->free_head;
			s->free_head = (uint32_t)i;
		}
	}
	uint32_t q = s->free_head;
	s->free_head = s->pool[q].next;
	s->pool[q] = (struct request){.replica = NONE, .next = NONE};
	return q;
}

static void request_free(struct service *s, uint32_t q)
{
	s->pool[q].next = s->free_head;
	s->free_head = q;
}

/* The fluid has counted what it poured into the queue: it must not count twice. */
static void book(double *account, const struct request *request)
{
	*account += request->poured ? 0 : 1;
}

/* The answer, or that there is none any more. */
static void conclude(struct world *w, struct service *s, uint32_t q, enum serve how)
{
	struct request *request = &s->pool[q];
	struct second *second = this_second(w, s);
	nanos delay = s->delay, latency;
	if (s->jitter > 0)
		delay += (nanos)(prng_normal(&s->route_prng) * (double)s->jitter);
	latency = world_now(w) - request->intended + (delay > 0 ? delay : 0);
	bool answered =
		(how == SERVE_OK || how == SERVE_WRONG) && latency <= load_of(w, s)->timeout;
	bool in_time = answered && latency <= w->scenario->steady_state.latency;
	if (answered)
		second->histogram[bucket_of(latency)]++;
	if (!answered) {
		second->failed++;
		book(&s->failed, request);
	} else if (how == SERVE_WRONG) {
		second->wrong++;
		book(&s->wrong, request);
	} else if (!in_time) {
		second->late++;
		book(&s->late, request);
	} else {
		second->good++;
		book(&s->good, request);
		if (request->slot && request->slot <= s->slot_count &&
		    s->slots[request->slot - 1].intended == request->intended)
			s->slots[request->slot - 1].good = true;
	}
	request_free(s, q);
}

/* ---- routing and serving ---- */

static bool has_slot(const struct world *w, const struct service *s, uint32_t r)
{
	return w->replicas[r].outstanding < load_of(w, s)->concurrency;
}

/* Where it was tried last it does not go again, as long as there is another one. */
static bool may_go(const struct service *s, uint32_t q, uint32_t r)
{
	return s->member_count < 2 || s->pool[q].replica != r;
}

/* Can the first that waits go on? Where nobody is left it does, to be refused. */
static bool head_goes(const struct world *w, const struct service *s)
{
	if (s->queued == 0)
		return false;
	for (size_t i = 0; i < s->member_count; i++)
		if (has_slot(w, s, s->members[i]) && may_go(s, s->queue_head, s->members[i]))
			return true;
	return s->member_count == 0;
}

/* As many as can; one that has waited too long gives its turn to the next. */
static void serve_waiting(struct world *w, struct service *s)
{
	while (head_goes(w, s)) {
		uint32_t q = s->queue_head;
		s->queue_head = s->pool[q].next;
		if (s->queue_head == NONE)
			s->queue_tail = NONE;
		s->queued--;
		dispatch(w, s, q);
	}
}

static void again_or_fail(struct world *w, struct service *s, uint32_t q)
{
	if (s->pool[q].attempts <= w->scenario->deployment.gateway.retries)
		dispatch(w, s, q);
	else
		conclude(w, s, q, SERVE_REFUSE);
}

/* Without windows nothing else tells when the queue grows too long, or is short enough again. */
static void look_at_queue(struct world *w, struct service *s)
{
	bool good = (double)s->queued <= s->queue_limit;
	if (load_of(w, s)->requests != REQUESTS_ALWAYS || !s->window || s->confirming)
		return; /* a window closes, then the fluid looks; judge() finds the stable time */
	if (good != s->level_good)
		load_look(w, s->endpoint);
}

static void served(void *context, uint64_t packed, nanos now)
{
	struct world *w = context;
	struct service *s = &w->services[packed >> 32];
	uint32_t q = (uint32_t)packed;
	struct request *request = &s->pool[q];
	struct replica *replica = &w->replicas[request->replica];
	bool hung = request->hung, same = request->starts == replica->starts;
	(void)now;
	replica->outstanding--;
	request->hung = false;
	if (hung || !same || (replica->serve != SERVE_OK && replica->serve != SERVE_WRONG))
		again_or_fail(w, s, q);
	else
		conclude(w, s, q, request->fate == SERVE_OK ? replica->serve : request->fate);
	serve_waiting(w, s);
	look_at_queue(w, s);
}

static uint32_t draw(struct service *s, uint32_t q)
{
	uint32_t r;
	do
		r = s->members[prng_below(&s->route_prng, s->member_count)];
	while (!may_go(s, q, r));
	return r;
}

/* Least request of two; when that one is full, the first with a free slot; NONE: all full. */
static uint32_t choose(struct world *w, struct service *s, uint32_t q)
{
	uint32_t a = draw(s, q), b = s->member_count > 1 ? draw(s, q) : a;
	uint32_t r = lepton_route(a, w->replicas[a].outstanding, b, w->replicas[b].outstanding);
	if (has_slot(w, s, r))
		return r;
	for (size_t i = 0; i < s->member_count; i++)
		if (has_slot(w, s, s->members[i]) && may_go(s, q, s->members[i]))
			return s->members[i];
	return NONE;
}

static void enqueue(struct service *s, uint32_t q)
{
	s->pool[q].next = NONE;
	if (s->queue_tail == NONE)
		s->queue_head = q;
	else
		s->pool[s->queue_tail].next = q;
	s->queue_tail = q;
	s->queued++;
}

/* How long the replica works on it, and what will come of it. */
static nanos service_time(struct world *w, struct service *s, struct request *request,
			  const struct conditions *now)
{
	double takes = (double)dist_sample_nanos(&load_of(w, s)->service_time, &s->service_prng);
	request->fate = SERVE_OK;
	if (now->error > 0 && prng_uniform(&s->route_prng) < now->error) {
		request->fate = SERVE_REFUSE;
		takes = 0; /* at once */
	} else if (now->wrong > 0 && prng_uniform(&s->route_prng) < now->wrong) {
		request->fate = SERVE_WRONG;
	}
	return (nanos)(takes / now->pace) + now->added +
	       load_retransmits(now->loss, s->retransmit, &s->route_prng);
}

static void dispatch(struct world *w, struct service *s, uint32_t q)
{
	struct request *request = &s->pool[q];
	nanos now = world_now(w);
	if (now - request->intended > load_of(w, s)->timeout || s->member_count == 0) {
		conclude(w, s, q, SERVE_REFUSE);
		return;
	}
	uint32_t r = choose(w, s, q);
	if (r == NONE) {
		this_second(w, s)->waited += !request->waited;
		request->waited = true;
		enqueue(s, q);
		return;
	}
	struct replica *replica = &w->replicas[r];
	request->attempts++;
	request->replica = r;
	if (replica->serve == SERVE_REFUSE) {
		again_or_fail(w, s, q);
		return;
	}
	request->hung = replica->serve == SERVE_HANG;
	request->starts = replica->starts;
	replica->outstanding++;
	nanos takes = request->hung ? w->scenario->deployment.gateway.timeout
				    : service_time(w, s, request, &replica->now);
	engine_at(w->engine, now + takes, served, w, pack(s, q));
}

/* ---- the stable window: the first good request after which success holds for steady_state.window
 * ---- */

static void judge(struct world *w, struct service *s)
{
	nanos window = w->scenario->steady_state.window,
	      decided = w->scenario->steady_state.latency;
	nanos now = world_now(w);
	while (s->confirming && s->slot_first < s->slot_count) {
		struct verdict_slot *first = &s->slots[s->slot_first];
		if (first->intended + window + decided > now)
			return; /* not all of its window is decided yet */
		if (!first->good) {
			s->slot_first++;
			if (s->edge < s->slot_first)
				s->edge = s->slot_first;
			continue;
		}
		while (s->edge < s->slot_count &&
		       s->slots[s->edge].intended < first->intended + window)
			s->edge_good += s->slots[s->edge++].good;
		double total = (double)(s->edge - s->slot_first);
		if (s->edge_good >= w->scenario->steady_state.success * total) {
			s->confirming = false;
			load_confirm(w, s, first->intended);
			if (!s->window)
				load_look(w, s->endpoint); /* what waited is worked off */
			return;
		}
		s->edge_good--; /* it was good, and no stable window begins with it */
		s->slot_first++;
	}
}

/* So long after a request was sent its window can be judged. */
static nanos decided_after(const struct world *w)
{
	return w->scenario->steady_state.window + w->scenario->steady_state.latency;
}

/* Where requests are rare, the next arrival would be too late to judge by. */
static void judge_later(void *context, uint64_t e, nanos now)
{
	struct world *w = context;
	(void)now;
	w->services[e].judge_event = EVENT_NONE;
	judge(w, &w->services[e]);
}

/* ---- arrivals ---- */

static void arrived(void *context, uint64_t e, nanos now);

static void next_arrival(struct world *w, struct service *s)
{
	double gap = 1e9 / load_rate(w, s);
	nanos now = world_now(w), at;
	if (load_of(w, s)->poisson) {
		at = now + (nanos)llround(-log(prng_uniform(&s->arrival)) * gap);
	} else {
		double k = floor((double)now / gap) +
			   1; /* the k-th intended send time of the whole run */
		at = (nanos)llround(k * gap);
		if (at <= now)
			at = (nanos)llround((k + 1) * gap);
	}
	s->arrival_event = engine_at(w->engine, at, arrived, w, s->endpoint);
}

static void send_one(struct world *w, struct service *s, nanos intended)
{
	uint32_t q = request_new(w, s);
	s->sent++;
	this_second(w, s)->sent++;
	if (q == NONE) {
		this_second(w, s)->failed++;
		s->failed++;
		return;
	}
	s->pool[q].intended = intended;
	if (s->confirming) {
		s->slots = arena_grow(&w->arena, s->slots, s->slot_count, &s->slot_capacity,
				      sizeof(*s->slots));
		s->slots[s->slot_count++] = (struct verdict_slot){.intended = intended};
		s->pool[q].slot = (uint32_t)s->slot_count;
	}
	dispatch(w, s, q);
}

static void arrived(void *context, uint64_t e, nanos now)
{
	struct world *w = context;
	struct service *s = &w->services[e];
	s->arrival_event = EVENT_NONE;
	bool over = now >= s->window_ends;
	if (++s->arrivals % WAKE_EVERY == 0)
		engine_stop(w->engine); /* a signal is heard while millions of requests run */
	judge(w, s);
	if (!s->window)
		return; /* that was the proof: the window is closed */
	/* Counted from the first request: they may be hours apart. */
	bool unstable = s->confirming && s->slot_count > 0 &&
			now > s->slots[0].intended +
					CONFIRM_WINDOWS * w->scenario->steady_state.window +
					w->scenario->steady_state.latency;
	if ((over || unstable) && load_of(w, s)->requests != REQUESTS_ALWAYS) {
		requests_close(w, s);
		load_look(w, (uint32_t)e);
		return;
	}
	next_arrival(w, s);
	send_one(w, s, now);
	look_at_queue(w, s);
	if (s->judge_event == EVENT_NONE && s->confirming)
		s->judge_event = engine_at(w->engine, now + decided_after(w), judge_later, w, e);
}

/* ---- windows ---- */

/* The fluid's backlog becomes requests that wait, in the order and over the time in which they must
 * have come. */
static void pour_backlog(struct world *w, struct service *s)
{
	nanos wait = (nanos)llround(s->backlog / load_rate(w, s) * 1e9), now = world_now(w);
	uint32_t count = (uint32_t)s->backlog;
	s->backlog = 0;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t q = request_new(w, s);
		if (q == NONE)
			break;
		s->pool[q].intended = now - wait + (nanos)((double)wait * i / count);
		if (s->pool[q].intended < 0)
			s->pool[q].intended = 0;
		s->pool[q].poured = s->pool[q].waited = true;
		enqueue(s, q);
	}
}

/* What waits at the end of a window goes on as backlog, booked with what it will meet. */
static void book_waiting(const struct world *w, struct service *s, const struct request *request,
			 size_t ahead)
{
	nanos limit = load_of(w, s)->timeout, wait = NANOS_NEVER;
	if (s->capacity > 0)
		wait = world_now(w) - request->intended +
		       (nanos)llround((double)ahead / s->capacity * 1e9);
	if (request->poured)
		return;
	double right = wait <= limit ? s->share_right : 0;
	double wrong = wait <= limit ? s->share_wrong : 0;
	double good = wait <= limit ? load_success(w, s, wait) : 0;
	s->good += good;
	s->late += right - good;
	s->wrong += wrong;
	s->failed += 1 - right - wrong;
}

void requests_open(struct world *w, struct service *s, bool confirming, nanos ends)
{
	if (!s->window && s->backlog > BACKLOG_MAX)
		return;
	load_settle(w, s);
	if (!s->window) {
		pour_backlog(w, s);
		s->window = true;
		s->second.from = second_begin(w, s);
	}
	s->window_opened = world_now(w);
	s->window_ends = load_of(w, s)->requests == REQUESTS_ALWAYS ? NANOS_NEVER : ends;
	s->confirming = confirming;
	s->slot_count = s->slot_first = s->edge = 0;
	s->edge_good = 0;
	if (s->arrival_event == EVENT_NONE)
		next_arrival(w, s);
	requests_members_changed(w, s);
}

void requests_close(struct world *w, struct service *s)
{
	flush_second(w, s);
	engine_cancel(w->engine, s->arrival_event);
	s->arrival_event = EVENT_NONE;
	s->window = s->confirming = false;
	s->since = world_now(w);
	s->backlog = (double)s->queued;
	for (size_t ahead = 0; s->queue_head != NONE; ahead++) {
		uint32_t q = s->queue_head;
		s->queue_head = s->pool[q].next;
		book_waiting(w, s, &s->pool[q], ahead);
		request_free(s, q);
	}
	s->queue_tail = NONE;
	s->queued = 0;
}

/* Replicas came or went: what waits may go on, or is refused when nobody is left. */
void requests_members_changed(struct world *w, struct service *s)
{
	if (s->window)
		serve_waiting(w, s);
}

void requests_reset(struct world *w, struct service *s)
{
	s->window = s->confirming = false;
	s->arrival_event = s->judge_event = EVENT_NONE;
	s->queue_head = s->queue_tail = NONE;
	s->queued = 0;
	s->slot_count = s->slot_first = s->edge = 0;
	s->edge_good = 0;
	s->free_head = NONE;
	for (size_t i = s->pool_capacity; i-- > 0;) {
		s->pool[i].next = s->free_head;
		s->free_head = (uint32_t)i;
	}
	memset(&s->second, 0, sizeof(s->second));
	prng_open(&s->arrival, w->seed, w->trial, s->endpoint, PRNG_ARRIVAL);
	prng_open(&s->service_prng, w->seed, w->trial, s->endpoint, PRNG_SERVICE);
	prng_open(&s->route_prng, w->seed, w->trial, s->endpoint, PRNG_ROUTE);
}
