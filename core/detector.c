/* SPDX-License-Identifier: Apache-2.0 */
/* The seven detectors: rounds of looks, misses in a row, deadlines, and what they declare. */
#include "core/detector.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/calibration.h"

#define SLO_ROUNDS_PER_WINDOW 6 /* when no interval is given */

static const struct detector_news quiet = {.verdict = DETECTOR_QUIET};

/* ---- targets ---- */

static void put(struct detector_target *out, size_t at, struct entity entity, uint32_t domain)
{
	if (out)
		out[at] = (struct detector_target){.entity = entity, .domain = domain};
}

/* Endpoints, or their replicas. */
static size_t collect_endpoints(const struct deployment *deployment, bool replicas,
				struct detector_target *out)
{
	size_t count = 0;

	for (size_t i = 0; i < deployment->endpoint_count; i++) {
		const struct endpoint *endpoint = &deployment->endpoints[i];
		uint32_t parts = replicas ? endpoint->replicas : 1;

		for (uint32_t part = 0; part < parts; part++)
			put(out, count++,
			    (struct entity){.kind = replicas ? ENTITY_REPLICA : ENTITY_ENDPOINT,
					    .index = (int32_t)i,
					    .part = part},
			    endpoint->site);
	}
	return count;
}

static size_t collect_jobs(const struct deployment *deployment, struct detector_target *out)
{
	for (size_t i = 0; i < deployment->job_count; i++)
		put(out, i, (struct entity){.kind = ENTITY_JOB, .index = (int32_t)i},
		    deployment->jobs[i].site);
	return deployment->job_count;
}

/* Nodes of a site, or their GPUs. */
static size_t collect_nodes(const struct site *site, uint32_t index, bool gpus,
			    struct detector_target *out, size_t count)
{
	for (uint32_t node = 0; node < site->nodes; node++) {
		uint32_t parts = gpus ? site->gpus : 1;

		for (uint32_t part = 0; part < parts; part++)
			put(out, count++,
			    (struct entity){.kind = gpus ? ENTITY_GPU : ENTITY_NODE,
					    .site = index,
					    .index = (int32_t)node,
					    .part = part},
			    index);
	}
	return count;
}

/* All targets, ascending by (site, index, part), into `out` unless it is NULL. Returns how many. */
static size_t collect(const struct detector_config *config, const struct deployment *deployment,
		      struct detector_target *out)
{
	bool sites = config->kind == DETECTOR_FIXED;
	size_t count = 0;

	if (!sites && (config->scope == SCOPE_ENDPOINT || config->scope == SCOPE_REPLICA))
		return collect_endpoints(deployment, config->scope == SCOPE_REPLICA, out);
	if (!sites && config->scope == SCOPE_JOB)
		return collect_jobs(deployment, out);
	for (uint32_t i = 0; i < deployment->site_count; i++) {
		const struct site *site = &deployment->sites[i];

		if (site->standby.heat != HEAT_NONE)
			continue;
		if (sites)
			put(out, count++, (struct entity){.kind = ENTITY_SITE, .site = i}, i);
		else
			count = collect_nodes(site, i, config->scope == SCOPE_GPU, out, count);
	}
	return count;
}

static int compare_targets(const void *left, const void *right)
{
	const struct entity *a = left;
	const struct entity *b = &((const struct detector_target *)right)->entity;

	if (a->site != b->site)
		return a->site < b->site ? -1 : 1;
	if (a->index != b->index)
		return a->index < b->index ? -1 : 1;
	return (a->part > b->part) - (a->part < b->part);
}

static struct detector_target *find(struct detector *d, struct entity entity)
{
	struct detector_target *target =
		bsearch(&entity, d->targets, d->target_count, sizeof(*d->targets), compare_targets);

	assert(target); /* a completion of someone else's look */
	return target;
}

/* ---- deadlines: a tournament, so that the earliest of many targets costs O(log n) to keep ---- */

static nanos earliest(const struct detector *d)
{
	return d->due_leaves > 0 ? d->due[1] : NANOS_NEVER;
}

static void set_due(struct detector *d, const struct detector_target *target, nanos when)
{
	size_t i = d->due_leaves + (size_t)(target - d->targets);

	d->due[i] = when;
	for (i /= 2; i > 0; i /= 2)
		d->due[i] = d->due[2 * i] <= d->due[2 * i + 1] ? d->due[2 * i] : d->due[2 * i + 1];
}

/* The first target in order of declaration whose deadline is the earliest. */
static struct detector_target *first_due(struct detector *d)
{
	size_t i = 1;

	while (i < d->due_leaves)
		i = d->due[2 * i] == d->due[i] ? 2 * i : 2 * i + 1;
	return &d->targets[i - d->due_leaves];
}

static bool has_deadlines(const struct detector_config *config)
{
	return config->kind == DETECTOR_PHI || config->kind == DETECTOR_FIXED;
}

/* ---- preparation ---- */

static bool is_blind(const struct detector_config *config)
{
	return config->kind == DETECTOR_POLL && config->blind;
}

static nanos interval_of(const struct detector_config *config)
{
	nanos interval = config->interval;

	if (config->kind == DETECTOR_SLO && (interval <= 0 || interval == NANOS_NEVER))
		interval = config->slo_window / SLO_ROUNDS_PER_WINDOW;
	return interval > 0 ? interval : 1;
}

static nanos timeout_of(const struct detector_config *config)
{
	switch (config->kind) {
	case DETECTOR_PROBE:
	case DETECTOR_POLL:
	case DETECTOR_CANARY:
	case DETECTOR_WATCHDOG:
		return config->timeout;
	case DETECTOR_PHI:
		return config->interval; /* later heartbeats say the same */
	case DETECTOR_FIXED:
	case DETECTOR_SLO:
		break;
	}
	return 0; /* the client's own figures are there at once */
}

/* Misses in a row that declare. */
static uint32_t needed_of(const struct detector_config *config)
{
	if (config->kind == DETECTOR_SLO || config->misses == 0)
		return 1; /* a bad window is many bad requests already */
	return config->misses;
}

static void set_reasons(struct detector *d)
{
	const struct detector_config *config = d->config;
	char *text = d->reason;
	uint32_t misses = needed_of(config);

	switch (config->kind) {
	case DETECTOR_PROBE:
		snprintf(text, DETECTOR_REASON_MAX, "%u %s without an answer", (unsigned)misses,
			 misses == 1 ? "probe" : "probes");
		break;
	case DETECTOR_PHI:
		snprintf(text, DETECTOR_REASON_MAX, "phi above %.6g", config->threshold);
		break;
	case DETECTOR_SLO:
		snprintf(text, DETECTOR_REASON_MAX, "success below %.6g %%",
			 config->slo_success * 100);
		snprintf(d->latency_reason, DETECTOR_REASON_MAX, "latency p99 above %.6g s",
			 (double)config->slo_latency / (double)NANOS_S);
		break;
	case DETECTOR_WATCHDOG:
		snprintf(text, DETECTOR_REASON_MAX, "no progress for %.6g s",
			 (double)config->timeout / (double)NANOS_S);
		break;
	case DETECTOR_POLL:
	case DETECTOR_FIXED:
	case DETECTOR_CANARY:
		break; /* constant texts */
	}
}

int detector_init(struct detector *d, const struct scenario *scenario, uint32_t index,
		  uint64_t seed, uint64_t trial, struct arena *arena, struct error *e)
{
	const struct detector_config *config = &scenario->detectors[index];
	size_t count = collect(config, &scenario->deployment, NULL);

	assert(index < scenario->detector_count);
	if (count > DETECTOR_TARGETS_MAX)
		return error_set(e, ERROR_LIMIT, config->place,
				 "a detector looks at %d targets at most, this one at %zu; "
				 "take a wider scope",
				 DETECTOR_TARGETS_MAX, count);
	*d = (struct detector){.config = config,
			       .index = index,
			       .target_count = count,
			       .calibration = scenario->calibration};
	d->targets = arena_array(arena, count > 0 ? count : 1, sizeof(*d->targets));
	collect(config, &scenario->deployment, d->targets);
	set_reasons(d);
	if (config->kind == DETECTOR_PHI) {
		assert(config->window > 0);
		d->sigmas = phi_sigmas(config->threshold);
		for (size_t i = 0; i < count; i++)
			d->targets[i].intervals =
				arena_array(arena, config->window, sizeof(double));
	}
	if (has_deadlines(config) && count > 0) {
		for (d->due_leaves = 1; d->due_leaves < count;)
			d->due_leaves *= 2;
		d->due = arena_array(arena, 2 * d->due_leaves, sizeof(*d->due));
	}
	detector_reset(d, seed, trial);
	return 0;
}

void detector_reset(struct detector *d, uint64_t seed, uint64_t trial)
{
	const struct detector_config *config = d->config;
	struct calibration_row row;

	calibration_draw(d->calibration, seed, trial, &row);
	d->late = row.by[RESIDUAL_DETECTION];
	prng_open(&d->prng, seed, trial, d->index, PRNG_DETECTOR);
	d->next = config->kind == DETECTOR_FIXED ? NANOS_NEVER : interval_of(config);
	d->blind_round = NANOS_NEVER;
	d->blind_next = 0;
	for (size_t i = 0; i < 2 * d->due_leaves; i++)
		d->due[i] = NANOS_NEVER;
	for (size_t i = 0; i < d->target_count; i++) {
		struct detector_target *target = &d->targets[i];

		target->misses = 0;
		target->declared = target->probing = false;
		target->busy_until = 0;
		target->arriving = target->deadline = NANOS_NEVER;
		if (config->kind == DETECTOR_PHI) {
			detector_phi_reset(target, config, d->sigmas);
			set_due(d, target, target->deadline);
		}
	}
}

/* ---- rounds ---- */

nanos detector_deadline(const struct detector *d)
{
	nanos when = d->next;

	if (earliest(d) < when)
		when = earliest(d);
	if (d->blind_round < when)
		when = d->blind_round;
	return when;
}

/* Will another miss declare it? */
static bool declares(const struct detector *d, const struct detector_target *target)
{
	return !target->declared && target->misses + 1 >= needed_of(d->config);
}

size_t detector_round(struct detector *d, nanos now, struct action *out, size_t max)
{
	const struct detector_config *config = d->config;
	nanos interval = interval_of(config);
	bool waits = config->kind != DETECTOR_PHI;
	size_t count = 0;

	if (now < d->next)
		return 0;
	d->next = (now / interval + 1) * interval;
	if (is_blind(config)) {
		assert(d->blind_round == NANOS_NEVER);
		d->blind_round = now;
		d->blind_next = 0;
		return 0;
	}
	for (size_t i = 0; i < d->target_count; i++) {
		struct detector_target *target = &d->targets[i];

		if (waits && (target->probing || target->busy_until > now))
			continue;
		assert(count < max);
		out[count++] = (struct action){
			.kind = ACTION_PROBE,
			.domain = target->domain,
			.site = target->domain,
			.detector = d->index,
			.entity = target->entity,
			.timeout = timeout_of(config),
			.late = declares(d, target) ? d->late : 0,
		};
		target->probing = true;
	}
	return count;
}

/* ---- verdicts ---- */

static struct detector_news tell(enum detector_verdict verdict, struct detector_target *target,
				 nanos at, const char *reason)
{
	return (struct detector_news){
		.verdict = verdict, .target = target, .at = at, .reason = reason};
}

/* One look was bad (`fault` says why) or good (NULL). */
static struct detector_news judge(struct detector *d, struct detector_target *target, nanos at,
				  const char *fault, const char *good)
{
	if (!fault) {
		target->misses = 0;
		if (!target->declared)
			return quiet;
		target->declared = false;
		return tell(DETECTOR_CLEAR, target, at, good);
	}
	if (target->misses < UINT32_MAX)
		target->misses++;
	if (target->declared)
		return quiet;
	if (target->misses < needed_of(d->config))
		return tell(DETECTOR_MISS, target, at, fault);
	target->declared = true;
	return tell(DETECTOR_DECLARE, target, at, fault);
}

/* A heartbeat ends a declaration, or puts the deadline off. */
static struct detector_news take_heartbeat(struct detector *d, struct detector_target *target,
					   nanos at)
{
	bool cleared = target->declared, news = at >= target->last_arrival;

	detector_phi_arrive(target, d->config, d->sigmas, at);
	/* Never earlier: the next heartbeat would be late every time. */
	if (news && d->late > 0)
		target->deadline += d->late;
	target->declared = false;
	target->misses = 0;
	target->arriving = NANOS_NEVER;
	set_due(d, target, target->deadline);
	return cleared ? tell(DETECTOR_CLEAR, target, at, "a heartbeat") : quiet;
}

static struct detector_news heartbeat(struct detector *d, struct detector_target *target,
				      const struct completion *completion)
{
	if (!completion->ok)
		return quiet; /* silence speaks by the deadline */
	if (target->arriving != NANOS_NEVER) {
		/* One is known to come after the deadline; an earlier one takes its place. */
		if (completion->at >= target->arriving)
			return quiet;
		target->arriving = NANOS_NEVER;
	}
	if (!target->declared && completion->at > target->deadline) {
		target->arriving = completion->at;
		return quiet; /* first the deadline, then the arrival: both by detector_expire() */
	}
	return take_heartbeat(d, target, completion->at);
}

/* Share and latency of the client's own requests; a window without requests says nothing. */
static struct detector_news slo(struct detector *d, struct detector_target *target,
				const struct completion *completion)
{
	const struct detector_config *config = d->config;
	const char *fault = NULL;

	if (isnan(completion->success))
		return quiet;
	if (completion->success < config->slo_success)
		fault = d->reason;
	else if (config->slo_latency != NANOS_NEVER &&
		 completion->latency_p99 > config->slo_latency)
		fault = d->latency_reason;
	return judge(d, target, completion->at, fault, "a good window");
}

/* A status that is wrong by chance, whatever the truth is. */
static bool false_fault(struct detector *d)
{
	return d->config->false_fault > 0 && prng_uniform(&d->prng) < d->config->false_fault;
}

struct detector_news detector_result(struct detector *d, const struct completion *completion)
{
	struct detector_target *target = find(d, completion->action.entity);
	const char *fault = NULL;
	bool chance;

	target->probing = false;
	target->busy_until = completion->at;
	switch (d->config->kind) {
	case DETECTOR_PROBE:
		fault = completion->ok ? NULL : d->reason;
		return judge(d, target, completion->at, fault, "an answer");
	case DETECTOR_PHI:
		return heartbeat(d, target, completion);
	case DETECTOR_POLL:
		chance = false_fault(d); /* drawn whatever the truth is: the stream stays in step */
		fault = chance || !completion->ok ? "status FAULT" : NULL;
		return judge(d, target, completion->at, fault, "status OK");
	case DETECTOR_CANARY:
		if (!completion->ok)
			fault = "no answer";
		else if (completion->wrong)
			fault = "wrong answer";
		return judge(d, target, completion->at, fault, "a right answer");
	case DETECTOR_SLO:
		return slo(d, target, completion);
	case DETECTOR_WATCHDOG:
		fault = completion->ok ? NULL : d->reason;
		return judge(d, target, completion->at, fault, "progress");
	case DETECTOR_FIXED:
		break; /* looks at nothing */
	}
	return quiet;
}

/* The draws of a blind round, target by target. */
static struct detector_news expire_blind(struct detector *d)
{
	nanos at = d->blind_round;

	while (d->blind_next < d->target_count) {
		struct detector_target *target = &d->targets[d->blind_next++];
		const char *fault = false_fault(d) ? "status FAULT" : NULL;
		struct detector_news news = judge(d, target, at, fault, "status OK");

		if (news.verdict != DETECTOR_QUIET)
			return news;
	}
	d->blind_round = NANOS_NEVER;
	return quiet;
}

struct detector_news detector_expire(struct detector *d, nanos now)
{
	struct detector_target *target;
	nanos at;

	if (d->blind_round <= now)
		return expire_blind(d);
	if (earliest(d) > now || earliest(d) == NANOS_NEVER)
		return quiet;
	target = first_due(d);
	if (target->declared) /* phi: the heartbeat that was known to come */
		return take_heartbeat(d, target, target->arriving);
	at = target->deadline;
	target->declared = true;
	target->misses = 1;
	target->deadline = NANOS_NEVER;
	set_due(d, target, target->arriving);
	return tell(DETECTOR_DECLARE, target, at,
		    d->config->kind == DETECTOR_PHI ? d->reason : "the fixed delay is over");
}

/* ---- fixed: it is told about faults, and about their end ---- */

static struct detector_target *find_domain(struct detector *d, uint32_t domain)
{
	for (size_t i = 0; i < d->target_count; i++)
		if (d->targets[i].domain == domain)
			return &d->targets[i];
	return NULL;
}

void detector_fault(struct detector *d, uint32_t domain, nanos now)
{
	struct detector_target *target;
	nanos when;

	if (d->config->kind != DETECTOR_FIXED)
		return;
	/* Drawn even while a declaration stands: the stream stays in step. */
	when = now + dist_sample_nanos(&d->config->delay, &d->prng) + d->late;
	when = when > now ? when : now;
	target = find_domain(d, domain);
	if (!target || target->declared || when >= target->deadline)
		return;
	target->deadline = when;
	set_due(d, target, when);
}

struct detector_news detector_clear_domain(struct detector *d, uint32_t domain, nanos now)
{
	struct detector_target *target;

	if (d->config->kind != DETECTOR_FIXED)
		return quiet;
	target = find_domain(d, domain);
	if (!target)
		return quiet;
	target->deadline = NANOS_NEVER;
	set_due(d, target, NANOS_NEVER);
	return judge(d, target, now, NULL, "the domain is good again");
}
