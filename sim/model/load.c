/* SPDX-License-Identifier: Apache-2.0 */
/* The clients as a fluid: expected success, latency and backlog of each endpoint, and when it is
 * bad or good. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "sim/lepton.h"
#include "sim/model/world.h"

#define STRETCHES_MAX 256  /* of one window of the slo detector; older ones are left out */
#define LEVELS_MAX 4096    /* history that the slo detector can look back on */
#define SUCCESS_PANELS 128 /* of the integral of success over a wait that grows or shrinks */

static const struct load *load_of(const struct world *w, const struct service *s)
{
	return &w->scenario->deployment.endpoints[s->endpoint].load;
}

static bool fluid_only(const struct world *w, const struct service *s)
{
	const struct load *load = load_of(w, s);
	/* A stable window of too many requests is not simulated one by one. */
	double judged =
		load_rate(w, s) / 1e9 *
		(double)(w->scenario->steady_state.window + w->scenario->steady_state.latency);
	return load->rate <= 0 || load->requests == REQUESTS_NEVER || judged > SLOTS_MAX;
}

double load_rate(const struct world *w, const struct service *s)
{
	return load_of(w, s)->rate * s->surge;
}

/* ---- the level: what a request sent now meets ---- */

nanos load_wait(const struct service *s)
{
	double waiting = s->window ? (double)s->queued : s->backlog;
	if (s->capacity <= 0 || waiting <= 0)
		return 0;
	return (nanos)llround(waiting / s->capacity * 1e9);
}

/* By replicas that are well. With jitter the delay is normal, cut at 0, and the mean over it is
 * taken by Gauss-Hermite quadrature with eight points. */
static double answered_well(const struct load *load, const struct service *s, double left,
			    double pace)
{
	static const double x[4] = {0.3811869902073221, 1.1571937124467802, 1.9816567566958429,
				    2.9306374202572440};
	static const double weight[4] = {0.6611470125582413, 0.2078023258148919, 0.0170779830074134,
					 0.0001996040722114};
	double sum = 0;
	if (s->jitter == 0 && load->rate > 0)
		return left < 0 ? 0 : dist_cdf(&load->service_time, left * pace);
	if (s->jitter == 0)
		return left >= 0;
	for (int i = 0; i < 8; i++) {
		double away = sqrt(2) * (double)s->jitter * (i < 4 ? x[i] : -x[i - 4]);
		double spare = left - fmax(away, -(double)s->delay);
		if (spare >= 0)
			sum += weight[i % 4] *
			       (load->rate > 0 ? dist_cdf(&load->service_time, spare * pace) : 1);
	}
	return sum / sqrt(acos(-1));
}

/*
 * A request and its answer are a packet each. Where one is lost the sender waits RETRANSMIT_FIRST
 * and sends again, then twice as long, and so on (RFC 6298, section 5.5; Linux starts at 200 ms on
 * a connection that has measured its round trip).
 */
#define RETRANSMITS_MAX 8

static double lost_once(double loss)
{
	return 1 - (1 - loss) * (1 - loss);
}

nanos load_retransmits(double loss, nanos first, struct prng *prng)
{
	nanos added = 0;
	int k = 0;
	if (loss <= 0)
		return 0;
	for (; k < RETRANSMITS_MAX && prng_uniform(prng) < lost_once(loss); k++)
		added += first << k;
	return added;
}

/* The share of requests answered within `left` of their turn, over all grades of replicas. */
static double answered_within(const struct load *load, const struct service *s, double left)
{
	double sum = 0;
	if (s->grade_count == 0)
		return answered_well(load, s, left, 1);
	for (size_t g = 0; g < s->grade_count; g++) {
		const struct grade *grade = &s->grades[g];
		double lost = lost_once(grade->loss), reach = grade->weight;
		double rest = left - (double)grade->added;
		for (int k = 0; k < RETRANSMITS_MAX && reach > 0; k++) {
			sum += reach * (1 - lost) * answered_well(load, s, rest, grade->pace);
			rest -= (double)(s->retransmit << k);
			reach *= lost;
		}
	}
	return sum;
}

double load_success(const struct world *w, const struct service *s, nanos wait)
{
	const struct load *load = load_of(w, s);
	nanos limit = w->scenario->steady_state.latency - s->delay - wait;
	double sum = 0;
	for (int i = 0; i < LOAD_ATTEMPTS_MAX; i++) {
		nanos left = limit - i * w->scenario->deployment.gateway.timeout;
		if (s->right[i] > 0)
			sum += s->right[i] * answered_within(load, s, (double)left);
	}
	return sum;
}

/* Mean of the distribution function over [from, to]: exact for a constant, else Simpson's rule. */
static double mean_cdf(const struct load *load, const struct service *s, double from, double to)
{
	const struct dist *dist = &load->service_time;
	double low = s->jitter ? from : fmax(from, 0), step = (to - low) / SUCCESS_PANELS, sum;
	if (to <= low)
		return 0;
	if (dist->kind == DIST_CONSTANT && s->jitter == 0 && s->grade_count == 0)
		return (to - fmin(fmax(low, dist->a), to)) / (to - from);
	sum = answered_within(load, s, low) + answered_within(load, s, to);
	for (int i = 1; i < SUCCESS_PANELS; i++)
		sum += answered_within(load, s, low + i * step) * (i % 2 ? 4 : 2);
	return sum * step / 3 / (to - from);
}

/* Mean success of requests sent while the wait goes in a straight line from one to another. */
static double mean_success(const struct world *w, const struct service *s, double from, double to)
{
	double limit = (double)(w->scenario->steady_state.latency - s->delay), sum = 0;
	double retry = (double)w->scenario->deployment.gateway.timeout;
	for (int i = 0; i < LOAD_ATTEMPTS_MAX; i++)
		if (s->right[i] > 0)
			sum += s->right[i] * mean_cdf(load_of(w, s), s,
						      limit - i * retry - fmax(from, to),
						      limit - i * retry - fmin(from, to));
	return sum;
}

/* The longest wait at which the service is still good, to the nanosecond: one more is bad. -1: not
 * even without waiting. */
static nanos wait_limit(const struct world *w, const struct service *s)
{
	double wanted = w->scenario->steady_state.success;
	nanos low = 0, high = w->scenario->steady_state.latency + 1;
	if (load_success(w, s, 0) < wanted)
		return -1;
	while (high - low > 1) {
		nanos middle = low + (high - low) / 2;
		if (load_success(w, s, middle) >= wanted)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* What the replicas in rotation make of a request that comes to one of them. */
struct shares {
	double right, wrong, error, hang; /* how many replicas' worth of each */
	double slots;                     /* requests at once, slower replicas counting less */
};

/* Answers of this replica, among those of others that answer alike. More kinds than there is room
 * for are taken together with the last. */
static void grade(struct service *s, const struct conditions *now, double weight)
{
	size_t g = 0;
	while (g < s->grade_count &&
	       (s->grades[g].pace != now->pace || s->grades[g].loss != now->loss ||
		s->grades[g].added != now->added))
		g++;
	if (g == GRADES_MAX)
		g--;
	else if (g == s->grade_count)
		s->grades[s->grade_count++] =
			(struct grade){.pace = now->pace, .loss = now->loss, .added = now->added};
	s->grades[g].weight += weight;
}

static struct shares look_at_members(const struct world *w, struct service *s)
{
	struct shares shares = {0};
	bool well = true;
	s->grade_count = 0;
	for (size_t i = 0; i < s->member_count; i++) {
		const struct replica *replica = &w->replicas[s->members[i]];
		const struct conditions *now = &replica->now;
		double answers = (1 - now->error), right = answers * (1 - now->wrong);
		shares.hang += replica->serve == SERVE_HANG;
		if (replica->serve == SERVE_WRONG)
			right = 0;
		else if (replica->serve != SERVE_OK)
			continue;
		well = well && conditions_well(now);
		shares.right += right;
		shares.wrong += answers - right;
		shares.error += now->error;
		shares.slots += now->pace;
		grade(s, now, right);
	}
	for (size_t g = 0; g < s->grade_count; g++)
		s->grades[g].weight /= shares.right > 0 ? shares.right : 1;
	if (well)
		s->grade_count = 0;
	return shares;
}

/* Routing: each attempt goes to a replica in rotation that was not tried yet; refusals cost
 * nothing, time-outs do, and an error is an answer: it is not tried again. All of them get as
 * many, while single requests go to the less busy of two: fewer to a slow one. */
static void route_shares(const struct world *w, struct service *s)
{
	struct shares shares = look_at_members(w, s);
	double n = (double)s->member_count, right = shares.right, wrong = shares.wrong;
	double reach[LOAD_ATTEMPTS_MAX + 1] = {1}; /* by time-outs so far */
	memset(s->right, 0, sizeof(s->right));
	s->share_right = s->share_wrong = 0;
	double answered = right + wrong + shares.error, broken = n - answered;
	double hang_share = broken > 1e-9 ? shares.hang / broken : 0;
	uint32_t tries = w->scenario->deployment.gateway.retries + 1;
	for (uint32_t k = 0; k < tries && k < LOAD_ATTEMPTS_MAX && n > k; k++) {
		double left = n - k, bad = fmax(left - answered, 0) / left;
		double next[LOAD_ATTEMPTS_MAX + 1] = {0};
		for (uint32_t t = 0; t <= k; t++) {
			s->right[t] += reach[t] * right / left;
			s->share_right += reach[t] * right / left;
			s->share_wrong += reach[t] * wrong / left;
			next[t] += reach[t] * bad * (1 - hang_share);
			next[t + 1] += reach[t] * bad * hang_share;
		}
		memcpy(reach, next, sizeof(reach));
	}
	double mean = dist_mean(&load_of(w, s)->service_time) / 1e9;
	double slots = shares.slots * load_of(w, s)->concurrency;
	s->capacity = load_of(w, s)->rate > 0 && mean > 0 ? slots / mean : slots * 1e9;
}

/* Replicas of the endpoint that are in rotation, where its traffic goes. */
static void collect_members(const struct world *w, struct service *s, uint32_t endpoint)
{
	const struct service *source = &w->services[endpoint];
	nanos delay = 0, jitter = 0;
	s->member_count = 0;
	s->source = endpoint;
	for (size_t i = 0; i < source->all_count; i++) {
		const struct replica *replica = &w->replicas[source->all[i]];
		if (replica->site != source->route || !replica->routable)
			continue;
		s->members[s->member_count++] = source->all[i];
		delay += w->nodes[replica->node].delay;
		jitter += w->nodes[replica->node].jitter;
	}
	nanos count = s->member_count ? (nanos)s->member_count : 1;
	s->delay = w->sites[source->route].delay + delay / count;
	s->jitter = w->sites[source->route].jitter + jitter / count;
}

/* Its part of replicas that others draw on too, by their rates. */
static double its_share(const struct world *w, const struct service *s)
{
	double all = 0;
	for (uint32_t e = 0; e < w->scenario->deployment.endpoint_count; e++)
		if (w->services[e].source == s->source)
			all += load_rate(w, &w->services[e]);
	return all > 0 ? load_rate(w, s) / all : 1;
}

static void collect(struct world *w, struct service *s)
{
	uint32_t fallback = w->scenario->deployment.endpoints[s->endpoint].fallback;
	s->surge = condition_surge(w, s->endpoint);
	collect_members(w, s, s->endpoint);
	if (s->member_count == 0 && fallback)
		collect_members(w, s, fallback - 1);
	route_shares(w, s);
	if (w->fallbacks)
		s->capacity *= its_share(w, s);
}

/* ---- the fluid between events ---- */

static double inflow(const struct world *w, const struct service *s)
{
	return load_rate(w, s) * (s->share_right + s->share_wrong);
}

static double backlog_limit(const struct world *w, const struct service *s)
{
	return s->capacity * (double)load_of(w, s)->timeout / 1e9;
}

/* Seconds, of the last `seconds`, in which a request that was sent got a good answer, on average.
 * The backlog went in a straight line from `before` to what it is now, and maybe stayed there. */
static double good_seconds(const struct world *w, const struct service *s, double before,
			   double seconds)
{
	double slope = inflow(w, s) - s->capacity, moved = s->backlog - before;
	double moving = fabs(moved) > 1e-6 ? fmin(fmax(moved / slope, 0), seconds) : 0;
	double still = load_success(w, s, load_wait(s)) * (seconds - moving);
	if (moving <= 0)
		return still;
	return still + moving * mean_success(w, s, before / s->capacity * 1e9,
					     s->backlog / s->capacity * 1e9);
}

/* Advance the books to now. Each request is booked when it is sent, with what it will meet. */
void load_settle(struct world *w, struct service *s)
{
	nanos now = world_now(w);
	double seconds = (double)(now - s->since) / 1e9, rate = load_rate(w, s);
	double before = s->backlog, lost = 0;
	s->since = now;
	if (rate <= 0 || s->window || seconds <= 0)
		return;
	if (s->capacity > 0) {
		s->backlog += (inflow(w, s) - s->capacity) * seconds;
		if (s->backlog > backlog_limit(w, s)) {
			lost = s->backlog - backlog_limit(w, s); /* they gave up waiting */
			s->backlog -= lost;
		}
	}
	if (s->backlog < 1e-6)
		s->backlog = 0;
	double sent = rate * seconds, good = rate * good_seconds(w, s, before, seconds);
	double answered = sent * s->share_right;
	s->sent += sent;
	s->good += good;
	s->wrong += sent * s->share_wrong;
	s->failed += sent * (1 - s->share_right - s->share_wrong) + fmin(lost, answered - good);
	s->late += fmax(answered - good - fmin(lost, answered - good), 0);
}

static void crossed(void *context, uint64_t e, nanos now)
{
	struct world *w = context;
	(void)now;
	w->services[e].crossing = EVENT_NONE;
	load_look(w, (uint32_t)e);
}

/* The next instant at which the fluid changes by itself: drained, full, or good turns bad or back.
 */
static void schedule_crossing(struct world *w, struct service *s)
{
	double slope = inflow(w, s) - s->capacity, to[3];
	nanos limit, next = NANOS_NEVER;
	engine_cancel(w->engine, s->crossing);
	s->crossing = EVENT_NONE;
	if (load_of(w, s)->rate <= 0 || s->window || s->capacity <= 0)
		return;
	if (slope <= 0 && s->backlog <= 0)
		return; /* it stays empty */
	limit = wait_limit(w, s);
	to[0] = 0;
	to[1] = backlog_limit(w, s);
	to[2] = limit >= 0 ? (double)(limit + (slope > 0)) / 1e9 * s->capacity : -1;
	for (int i = 0; i < 3; i++) {
		double distance = to[i] - s->backlog;
		if (to[i] < 0 || (slope > 0) != (distance > 0) || fabs(distance) < 1e-9 ||
		    fabs(slope) < 1e-9)
			continue;
		nanos at = world_now(w) + (nanos)ceil(distance / slope * 1e9) + 1;
		next = at < next ? at : next;
	}
	if (next != NANOS_NEVER && next < SCENARIO_DURATION_MAX * 2)
		s->crossing = engine_at(w->engine, next, crossed, w, s->endpoint);
}

/* ---- telling ---- */

/* What the work itself takes, on average over the grades. */
static double mean_service(const struct world *w, const struct service *s)
{
	double mean = load_of(w, s)->rate > 0 ? dist_mean(&load_of(w, s)->service_time) : 0;
	double sum = 0;
	for (size_t g = 0; g < s->grade_count; g++) {
		const struct grade *grade = &s->grades[g];
		double lost = lost_once(grade->loss), waits = 0, reach = lost;
		for (int k = 0; k < RETRANSMITS_MAX; k++, reach *= lost)
			waits += reach * (double)(s->retransmit << k);
		sum += grade->weight * (mean / grade->pace + (double)grade->added + waits);
	}
	return s->grade_count && s->share_right > 0 ? sum : mean;
}

static nanos expected_latency(const struct world *w, const struct service *s)
{
	return (nanos)mean_service(w, s) + load_wait(s) + s->delay;
}

/* What one request in a hundred exceeds, by the service time and the grades alone. */
static nanos p99_now(const struct world *w, const struct service *s)
{
	const struct dist *service = &load_of(w, s)->service_time;
	nanos fixed = load_wait(s) + s->delay, low = 0, high = load_of(w, s)->timeout;
	if (s->grade_count == 0) {
		if (load_of(w, s)->rate <= 0)
			return expected_latency(w, s);
		return expected_latency(w, s) +
		       (nanos)(dist_quantile(service, 0.99) - dist_mean(service));
	}
	while (high - low > scenario_time(w->scenario, NANOS_MS)) {
		nanos middle = low + (high - low) / 2;
		if (answered_within(load_of(w, s), s, (double)middle) >= 0.99)
			high = middle;
		else
			low = middle;
	}
	return fixed + high;
}

static void remember_level(struct world *w, struct service *s, double success)
{
	if (s->level_count == LEVELS_MAX) {
		memmove(s->levels, s->levels + LEVELS_MAX / 2, LEVELS_MAX / 2 * sizeof(*s->levels));
		s->level_count = LEVELS_MAX / 2;
	}
	if (!s->levels)
		s->levels = arena_array(&w->arena, LEVELS_MAX, sizeof(*s->levels));
	s->levels[s->level_count++] =
		(struct level){.from = world_now(w), .success = success, .p99 = p99_now(w, s)};
}

static void tell_level(struct world *w, struct service *s, double success)
{
	const struct endpoint *endpoint = &w->scenario->deployment.endpoints[s->endpoint];
	double backlog = s->window ? (double)s->queued : s->backlog;
	remember_level(w, s, success);
	if (!timeline_on(w->timeline))
		return;
	if (success == s->told_success && s->capacity == s->told_capacity &&
	    s->delay == s->told_delay && backlog == s->told_backlog && s->surge == s->told_surge &&
	    s->since > 0)
		return;
	s->told_surge = s->surge;
	s->told_success = success;
	s->told_backlog = backlog;
	s->told_capacity = s->capacity;
	s->told_delay = s->delay;
	timeline_begin(w->timeline, world_now(w), "service.level");
	timeline_text(w->timeline, "endpoint", endpoint->name);
	timeline_real(w->timeline, "success", success);
	bool answers = s->capacity > 0 && s->share_right + s->share_wrong > 0;
	timeline_real(w->timeline, "latency_s",
		      answers ? (double)expected_latency(w, s) / 1e9 : NAN);
	timeline_real(w->timeline, "rate", load_rate(w, s));
	timeline_real(w->timeline, "capacity", endpoint->load.rate > 0 ? s->capacity : NAN);
	timeline_real(w->timeline, "backlog", backlog);
	timeline_end(w->timeline);
}

static void tell_endpoint(struct world *w, const struct service *s, size_t members_before)
{
	if (!timeline_on(w->timeline) || (s->member_count > 0) == (members_before > 0))
		return;
	timeline_begin(w->timeline, world_now(w), "endpoint.state");
	timeline_text(w->timeline, "endpoint", w->scenario->deployment.endpoints[s->endpoint].name);
	timeline_text(w->timeline, "state",
		      lepton_state_names[s->member_count ? LEPTON_READY : LEPTON_NOT_READY]);
	timeline_text(w->timeline, "site", w->scenario->deployment.sites[s->route].name);
	timeline_end(w->timeline);
}

/* All replicas that should run do, nothing waits, no delay, and the client is content. */
static bool is_calm(const struct world *w, const struct service *s)
{
	bool always = load_of(w, s)->requests == REQUESTS_ALWAYS; /* its window never closes */
	bool window = s->window && (s->confirming || !always);
	if (s->bad || window || s->backlog >= 1 || s->delay || !s->level_good || s->grade_count ||
	    s->surge != 1)
		return false;
	for (size_t i = 0; i < s->all_count; i++) {
		const struct replica *replica = &w->replicas[s->all[i]];
		if (replica->site == s->route && (!replica->routable || replica->serve != SERVE_OK))
			return false;
	}
	return true;
}

static uint32_t domain_of_site(const struct world *w, uint32_t site)
{
	uint32_t domain = 0;
	for (uint32_t s = 0; s < site; s++)
		domain += w->scenario->deployment.sites[s].standby.heat == HEAT_NONE;
	return domain;
}

void load_calm(struct world *w, uint32_t site)
{
	bool restless = !jobs_calm(w, site);
	for (size_t e = 0; e < w->scenario->deployment.endpoint_count; e++)
		if (w->scenario->deployment.endpoints[e].site == site)
			restless |= !w->services[e].calm;
	if (restless == w->sites[site].restless)
		return;
	w->sites[site].restless = restless;
	struct completion calm = {.kind = COMPLETION_CALM, .ok = !restless};
	calm.action.domain = domain_of_site(w, site);
	world_complete(w, &calm);
}

static void look_calm(struct world *w, struct service *s)
{
	s->calm = is_calm(w, s);
	load_calm(w, w->scenario->deployment.endpoints[s->endpoint].site);
}

static void turn_bad(struct world *w, struct service *s)
{
	struct completion bad = {
		.kind = COMPLETION_BAD, .endpoint = s->endpoint, .since = world_now(w)};
	s->bad = true;
	bad.action.domain = world_domain(w, s->endpoint);
	world_complete(w, &bad);
	if (!fluid_only(w, s))
		requests_open(w, s, false, world_now(w) + w->scenario->steady_state.window);
}

void load_confirm(struct world *w, struct service *s, nanos good_since)
{
	struct completion good = {
		.kind = COMPLETION_GOOD, .endpoint = s->endpoint, .since = good_since};
	s->bad = false;
	good.action.domain = world_domain(w, s->endpoint);
	world_complete(w, &good);
	if (s->window && load_of(w, s)->requests != REQUESTS_ALWAYS)
		requests_close(w, s);
	look_calm(w, s);
}

/* Level and verdict after any change: bad at once, good when proven. */
static void judge_level(struct world *w, struct service *s, double success)
{
	s->level_good = success >= w->scenario->steady_state.success;
	if (!s->bad && !s->level_good) {
		turn_bad(w, s);
	} else if (s->bad && s->level_good && fluid_only(w, s)) {
		load_confirm(w, s, world_now(w));
	} else if (s->bad && s->level_good && !s->confirming) {
		requests_open(w, s, true, NANOS_NEVER);
		if (!s->window)
			load_confirm(w, s, world_now(w)); /* too many waiting to simulate each */
	} else if (s->bad && !s->level_good && s->confirming) {
		requests_open(w, s, false, world_now(w) + w->scenario->steady_state.window);
	}
}

static void look(struct world *w, uint32_t e)
{
	struct service *s = &w->services[e];
	size_t members = s->member_count;
	load_settle(w, s);
	collect(w, s);
	if (s->capacity <= 0)
		s->backlog = 0; /* nobody serves them any more: they count as failed when they were
				   sent */
	double success = load_success(w, s, load_wait(s));
	tell_endpoint(w, s, members);
	tell_level(w, s, success);
	/* In a window the single requests tell when what waits is worked off. One that is always
	 * open looks for the stable time only when that is done. */
	bool always = load_of(w, s)->requests == REQUESTS_ALWAYS;
	if (always)
		s->queue_limit = (double)wait_limit(w, s) / 1e9 * s->capacity;
	bool single = s->window && (s->confirming || !always);
	judge_level(w, s, single ? load_success(w, s, 0) : success);
	schedule_crossing(w, s);
	requests_members_changed(w, s);
	look_calm(w, s);
}

/* One that shares its replicas with others changes what is left for them. */
void load_look(struct world *w, uint32_t e)
{
	const struct endpoint *endpoints = w->scenario->deployment.endpoints;
	look(w, e);
	for (uint32_t x = 0; x < w->scenario->deployment.endpoint_count && w->fallbacks; x++)
		if (x != e && (endpoints[x].fallback == e + 1 || endpoints[e].fallback == x + 1))
			look(w, x);
}

void load_look_all(struct world *w)
{
	for (uint32_t e = 0; e < w->scenario->deployment.endpoint_count; e++)
		load_look(w, e);
}

void load_route(struct world *w, uint32_t e, uint32_t site)
{
	w->services[e].route = site;
	load_look(w, e);
}

/* ---- asked by detectors and at the end ---- */

/* A stretch of time with one latency. */
struct stretch {
	nanos latency;
	double weight;
};

/* The latency that the share p of the time keeps to. */
static nanos latency_quantile(struct stretch *stretches, size_t count, double p)
{
	double total = 0, sum = 0;
	for (size_t i = 0; i < count; i++)
		total += stretches[i].weight;
	for (size_t i = 0; i < count; i++) { /* selection sort, as far as it is needed */
		for (size_t k = i + 1; k < count; k++) {
			struct stretch swap = stretches[i];
			if (stretches[k].latency >= swap.latency)
				continue;
			stretches[i] = stretches[k];
			stretches[k] = swap;
		}
		sum += stretches[i].weight;
		if (sum >= p * total)
			return stretches[i].latency;
	}
	return 0;
}

void load_window_stats(struct world *w, const struct service *s, nanos window, double *ret_success,
		       nanos *ret_p99)
{
	nanos now = world_now(w), from = now > window ? now - window : 0, end = now;
	double sum = 0, covered = 0;
	struct stretch stretches[STRETCHES_MAX];
	size_t count = 0;
	for (size_t i = s->level_count; i-- > 0 && end > from;) {
		nanos begin = s->levels[i].from > from ? s->levels[i].from : from;
		if (end > begin) {
			sum += s->levels[i].success * (double)(end - begin);
			covered += (double)(end - begin);
			if (count < STRETCHES_MAX)
				stretches[count++] =
					(struct stretch){s->levels[i].p99, (double)(end - begin)};
		}
		end = s->levels[i].from < end ? s->levels[i].from : end;
	}
	*ret_success = covered > 0 ? sum / covered : 1;
	*ret_p99 = latency_quantile(stretches, count, 0.99);
}

void load_now(const struct world *w, const struct service *s, double *ret_success, nanos *ret_p99)
{
	*ret_success = load_success(w, s, load_wait(s));
	*ret_p99 = p99_now(w, s);
}

void load_account(struct world *w, struct account *ret)
{
	*ret = (struct account){0};
	for (size_t e = 0; e < w->scenario->deployment.endpoint_count; e++) {
		struct service *s = &w->services[e];
		load_settle(w, s);
		ret->sent += s->sent;
		ret->good += s->good;
		ret->wrong += s->wrong;
		ret->late += s->late;
		ret->failed += s->failed;
	}
}

/* The books are brought up to now in a copy: whoever asks must leave no trace in what follows. */
double load_wrong(struct world *w, uint32_t site)
{
	double sum = 0;
	for (size_t e = 0; e < w->scenario->deployment.endpoint_count; e++) {
		struct service copy = w->services[e];
		if (w->scenario->deployment.endpoints[e].site != site)
			continue;
		load_settle(w, &copy);
		sum += copy.wrong;
	}
	return sum;
}

void load_open(struct world *w)
{
	for (uint32_t e = 0; e < w->scenario->deployment.endpoint_count; e++) {
		struct service *s = &w->services[e];
		uint32_t fallback = w->scenario->deployment.endpoints[e].fallback;
		size_t most = s->all_count;
		if (fallback && w->services[fallback - 1].all_count > most)
			most = w->services[fallback - 1].all_count;
		s->endpoint = s->source = e;
		s->retransmit = scenario_time(w->scenario, RETRANSMIT_FIRST);
		s->second_length = scenario_time(w->scenario, NANOS_S);
		s->members = arena_array(&w->arena, most ? most : 1, sizeof(*s->members));
		w->fallbacks |= fallback != 0;
	}
}

void load_reset(struct world *w)
{
	for (uint32_t e = 0; e < w->scenario->deployment.endpoint_count; e++) {
		struct service *s = &w->services[e];
		s->source = e;
		s->route = w->scenario->deployment.endpoints[e].site;
		s->since = 0;
		s->surge = 1;
		s->grade_count = 0;
		s->backlog = s->sent = s->good = s->wrong = s->late = s->failed = 0;
		s->level_good = s->calm = true;
		s->bad = false;
		s->crossing = EVENT_NONE;
		s->level_count = s->member_count = 0;
		s->told_success = s->told_capacity = -1;
		s->told_delay = -1;
		requests_reset(w, s);
		collect(w, s);
	}
	for (uint32_t e = 0; e < w->scenario->deployment.endpoint_count; e++) {
		struct service *s = &w->services[e];
		if (load_of(w, s)->requests == REQUESTS_ALWAYS && load_of(w, s)->rate > 0)
			requests_open(w, s, false, NANOS_NEVER);
		load_look(w, e); /* which may look at another one too */
	}
}
