/* SPDX-License-Identifier: Apache-2.0 */
/* What the DR controller asks for: probes, fencing, switching, standby up and down, diagnosis,
 * repair, the way back. */
#include <math.h>
#include <string.h>

#include "core/diagnosis.h"
#include "sim/model/world.h"

/* A look opens a connection: its first packet is sent again after a second (RFC 6298). */
#define CONNECT_RETRANSMIT NANOS_S
#define PROBE_BASE NANOS_MS /* a health check's own time, without queue and delay */
#define HEARTBEAT_SIGMAS 4  /* mean way of a heartbeat, in its own standard deviations */

static void timed_out(void *context, uint64_t index, nanos now);

/* ---- ends ---- */

void action_end(struct world *w, const struct action *action, bool ok, const char *reason)
{
	struct completion done = {
		.kind = COMPLETION_ACTION, .action = *action, .ok = ok, .reason = reason};
	world_complete(w, &done);
}

/* Looks under way that will miss, or are answered wrongly, stand in a list of their own, by end. */
static void probe_list(struct world *w, uint32_t index)
{
	uint32_t after = w->probe_last;
	while (after && w->timed[after - 1].end > w->timed[index].end)
		after = w->timed[after - 1].earlier;
	uint32_t *before = after ? &w->timed[after - 1].later : &w->probe_first;
	w->timed[index].earlier = after;
	w->timed[index].later = *before;
	*(*before ? &w->timed[*before - 1].earlier : &w->probe_last) = index + 1;
	*before = index + 1;
}

static void timed_release(struct world *w, uint32_t index)
{
	struct timed *timed = &w->timed[index];
	if (timed->action.kind == ACTION_PROBE) {
		uint32_t earlier = timed->earlier, later = timed->later;
		*(earlier ? &w->timed[earlier - 1].later : &w->probe_first) = later;
		*(later ? &w->timed[later - 1].earlier : &w->probe_last) = earlier;
	}
	timed->used = false;
	timed->next = w->timed_free;
	w->timed_free = index + 1;
}

struct timed *action_timed(struct world *w, const struct action *action, nanos takes)
{
	uint32_t i = w->timed_free - 1;
	if (w->timed_free) {
		w->timed_free = w->timed[i].next;
	} else {
		w->timed = arena_grow(&w->arena, w->timed, w->timed_count, &w->timed_capacity,
				      sizeof(*w->timed));
		i = (uint32_t)w->timed_count++;
	}
	struct timed *timed = &w->timed[i];
	*timed = (struct timed){.action = *action, .used = true, .end = world_now(w) + takes};
	timed->event = engine_at(w->engine, timed->end, timed_out, w, i);
	if (action->kind == ACTION_PROBE)
		probe_list(w, i);
	return timed;
}

nanos action_expected_end(struct world *w, action_id id)
{
	for (size_t i = 0; i < w->timed_count; i++)
		if (w->timed[i].used && w->timed[i].action.id == id)
			return w->timed[i].end;
	return storage_expected_end(w, id);
}

/* ---- probes ---- */

/* Looks whose timeout is over are known before the next round begins at this very instant. */
void actions_probes_over(struct world *w)
{
	while (w->probe_first && w->timed[w->probe_first - 1].end <= world_now(w)) {
		uint32_t index = w->probe_first - 1;
		engine_cancel(w->engine, w->timed[index].event);
		timed_out(w, index, world_now(w));
	}
}

/* A replica of those in rotation that was not tried yet. */
static uint32_t draw(const struct service *s, struct prng *prng, const uint32_t *tried, uint32_t k)
{
	for (;;) {
		uint32_t pick =
			s->member_count > 1 ? (uint32_t)prng_below(prng, s->member_count) : 0;
		uint32_t i = 0;
		while (i < k && tried[i] != s->members[pick])
			i++;
		if (i == k)
			return s->members[pick];
	}
}

/* What becomes of a look that comes to this replica, and what it adds to the latency. */
static enum serve look_at_replica(const struct world *w, const struct replica *replica,
				  struct prng *prng, nanos *latency)
{
	const struct conditions *now = &replica->now;
	enum serve serve = replica->serve;
	if (serve != SERVE_OK && serve != SERVE_WRONG)
		return serve;
	*latency +=
		now->added +
		load_retransmits(now->loss, scenario_time(w->scenario, CONNECT_RETRANSMIT), prng);
	if (now->error > 0 && prng_uniform(prng) < now->error)
		return SERVE_REFUSE;
	if (now->wrong > 0 && prng_uniform(prng) < now->wrong)
		return SERVE_WRONG;
	return serve;
}

/* One request through the gateway, on the way of the clients' requests. */
static enum serve through_gateway(struct world *w, struct service *s, struct prng *prng,
				  nanos *latency)
{
	uint32_t tries = w->scenario->deployment.gateway.retries + 1;
	uint32_t tried[LOAD_ATTEMPTS_MAX];
	enum serve last = SERVE_REFUSE;
	for (uint32_t k = 0; k < tries && k < LOAD_ATTEMPTS_MAX && k < s->member_count; k++) {
		tried[k] = draw(s, prng, tried, k);
		const struct replica *replica = &w->replicas[tried[k]];
		last = replica->serve;
		if (last == SERVE_OK || last == SERVE_WRONG)
			return look_at_replica(w, replica, prng, latency);
		if (last == SERVE_HANG)
			*latency += w->scenario->deployment.gateway.timeout;
	}
	return last;
}

static bool node_answers(const struct world *w, uint32_t site, uint32_t node)
{
	const struct node *n = &w->nodes[node];
	return node_up(w, node) && !n->frozen && !n->cut && !w->sites[site].cut;
}

/* What the network adds to a round trip to what is looked at. */
static nanos added_delay(const struct world *w, const struct entity *entity)
{
	if (entity->kind == ENTITY_ENDPOINT)
		return w->services[entity->index].delay;
	if (entity->kind == ENTITY_JOB)
		return w->sites[w->scenario->deployment.jobs[entity->index].site].delay;
	uint32_t site = entity->site, node = w->sites[site].first_node + (uint32_t)entity->index;
	if (entity->kind == ENTITY_REPLICA) {
		const struct replica *replica =
			replica_at_home(w, (uint32_t)entity->index, entity->part);
		if (!replica)
			return 0;
		site = replica->site;
		node = replica->node;
	}
	return w->sites[site].delay + (node == NODE_NONE ? 0 : w->nodes[node].delay);
}

/* What the scheduler says of it; a canary runs a validation, which needs it to run. */
static enum serve look_at_job(struct world *w, const struct action *action)
{
	uint32_t job = (uint32_t)action->entity.index;
	if (!jobs_running(w, job))
		return SERVE_REFUSE;
	if (w->scenario->detectors[action->detector].kind == DETECTOR_CANARY &&
	    !jobs_validate(w, job))
		return SERVE_WRONG;
	return SERVE_OK;
}

static enum serve look_at(struct world *w, const struct action *action, nanos *latency)
{
	struct entity entity = action->entity;
	if (entity.kind == ENTITY_ENDPOINT) {
		struct service *s = &w->services[entity.index];
		load_settle(w, s);
		*latency += load_wait(s);
		return through_gateway(w, s, &w->probe_prng[action->detector], latency);
	}
	if (entity.kind == ENTITY_REPLICA) {
		const struct replica *replica =
			replica_at_home(w, (uint32_t)entity.index, entity.part);
		return replica ? look_at_replica(w, replica, &w->probe_prng[action->detector],
						 latency)
			       : SERVE_REFUSE;
	}
	if (entity.kind == ENTITY_JOB)
		return look_at_job(w, action);
	uint32_t node = w->sites[entity.site].first_node + (uint32_t)entity.index;
	if (!node_answers(w, entity.site, node))
		return SERVE_HANG;
	if (entity.kind == ENTITY_GPU && (w->nodes[node].gpus_gone >> entity.part & 1))
		return SERVE_REFUSE;
	return SERVE_OK;
}

/*
 * How long a heartbeat is on its way. The gap between two of them, a difference, is to have the
 * deviation jitter_sigma: hence the root. None arrives before it was sent: hence the mean.
 */
static nanos heartbeat(const struct detector_config *config, struct prng *prng, nanos *ret_mean)
{
	double sigma = config->jitter_sigma * (double)config->interval / sqrt(2);
	*ret_mean = (nanos)llround(HEARTBEAT_SIGMAS * sigma);
	return *ret_mean + (nanos)llround(prng_normal(prng) * sigma);
}

/* As long as it takes in a calibrated trial. */
static nanos later(nanos takes, nanos residual)
{
	return takes + residual > 0 ? takes + residual : 0;
}

static void probe(struct world *w, const struct action *action)
{
	const struct detector_config *config = &w->scenario->detectors[action->detector];
	struct prng *prng = &w->probe_prng[action->detector];
	struct completion done = {
		.kind = COMPLETION_ACTION, .action = *action, .ok = true, .success = 1};
	nanos latency = scenario_time(w->scenario, PROBE_BASE), mean = 0;
	if (config->kind == DETECTOR_SLO) {
		struct service *s = &w->services[action->entity.index];
		load_look(w, action->entity.index);
		load_window_stats(w, s, config->slo_window, &done.success, &done.latency_p99);
		done.at = world_now(w);
		world_complete(w, &done);
		return;
	}
	if (config->kind == DETECTOR_WATCHDOG) {
		done.ok = jobs_stalled(w, (uint32_t)action->entity.index) < action->timeout;
		if (!done.ok && action->late > 0) {
			action_timed(w, action, action->late);
			return;
		}
		done.at = world_now(w);
		world_complete(w, &done);
		return;
	}
	enum serve seen = look_at(w, action, &latency);
	/* A heartbeat goes one way only, anything else there and back. */
	latency += added_delay(w, &action->entity) / (config->kind == DETECTOR_PHI ? 2 : 1);
	if (config->kind == DETECTOR_CANARY && action->entity.kind == ENTITY_ENDPOINT) {
		const struct load *load =
			&w->scenario->deployment.endpoints[action->entity.index].load;
		latency += load->rate > 0 ? (nanos)dist_mean(&load->service_time) : 0;
	}
	bool lost = config->loss > 0 && prng_uniform(prng) < config->loss;
	if (config->kind == DETECTOR_PHI)
		latency += heartbeat(config, prng, &mean);
	if (latency < 0)
		latency = 0;
	done.latency = latency;
	if (!lost && seen == SERVE_WRONG && latency <= action->timeout) {
		action_timed(w, action, later(latency, action->late))->wrong_after =
			latency > 0 ? latency : 1;
		return;
	}
	if (!lost && seen == SERVE_OK && latency - mean <= action->timeout) {
		/* The answer is certain already; it is handed over now with the instant at which it
		 * will be known. */
		done.at = world_now(w) + latency;
		world_complete(w, &done);
		return;
	}
	/* a miss is known when its timeout is over */
	action_timed(w, action, later(action->timeout, action->late));
}

/* ---- fencing and switching ---- */

static const char no_api[] = "the control plane does not answer";

/* What the controller gave up must not happen later: an old fence on a place that serves again, an
 * old switch after a newer one. */
static void call_off(struct world *w, uint32_t domain, enum action_kind kind)
{
	for (size_t i = 0; i < w->timed_count; i++) {
		struct timed *timed = &w->timed[i];
		if (!timed->used || timed->action.kind != kind || timed->action.domain != domain)
			continue;
		engine_cancel(w->engine, timed->event);
		timed_release(w, (uint32_t)i);
		action_end(w, &timed->action, false, "called off");
	}
}

static void set_fence(struct world *w, const struct action *action, uint32_t site, bool on)
{
	uint64_t bit = DOMAIN_BIT(action->domain), *fenced = &w->sites[site].fenced;
	if (((*fenced & bit) != 0) == on)
		return;
	*fenced ^= bit;
	cluster_changed(w);
}

/* Behind a partition nobody is fenced, whether it is around the site or around a node on which one
 * of its processes lives. */
static bool out_of_reach(const struct world *w, const struct action *action)
{
	return w->sites[action->site].cut || replicas_hidden(w, action->site, action->domain);
}

/* Whoever is reached, or is known by its power controller to be off, is fenced at once. */
static void fence(struct world *w, const struct action *action)
{
	if (out_of_reach(w, action)) {
		action_timed(w, action, action->timeout);
		return;
	}
	if (w->late.by[RESIDUAL_FENCE] > 0) {
		action_timed(w, action, w->late.by[RESIDUAL_FENCE]);
		return;
	}
	set_fence(w, action, action->site, true);
	action_end(w, action, true, NULL);
}

/* Wherever the traffic is: a failover that was given up may have moved it already. */
static void route(struct world *w, const struct action *action)
{
	for (uint32_t e = 0; e < w->scenario->deployment.endpoint_count; e++)
		if (world_domain(w, e) == action->domain && w->services[e].route != action->to)
			load_route(w, e, action->to);
	storage_look(w);
}

static void activate(struct world *w, const struct action *action)
{
	if (!site_usable(w, action->to)) {
		action_end(w, action, false, "the standby is not usable");
		return;
	}
	if (w->sites[action->to].api_out) {
		action_end(w, action, false, no_api);
		return;
	}
	set_fence(w, action, action->to, false); /* it may have served before, and been left */
	replicas_activate(w, action->to, action->domain);
	action_end(w, action, true, NULL);
}

static void switched(struct world *w, const struct action *action)
{
	if (!site_usable(w, action->to)) {
		action_end(w, action, false, "the place to switch to is not usable");
		return;
	}
	if (w->sites[action->to].api_out) {
		action_end(w, action, false, no_api);
		return;
	}
	route(w, action);
	action_end(w, action, true, NULL);
}

/* Is there any traffic to move? A failover that was given up may have moved it, or not. */
static bool is_away(const struct world *w, uint32_t site)
{
	for (uint32_t e = 0; e < w->scenario->deployment.endpoint_count; e++)
		if (w->scenario->deployment.endpoints[e].site == site &&
		    w->services[e].route != site)
			return true;
	return false;
}

static void switched_back(struct world *w, const struct action *action)
{
	if (!site_usable(w, action->to)) {
		action_end(w, action, false, "the primary went away again");
		return;
	}
	if (w->sites[action->to].api_out) {
		action_end(w, action, false, no_api);
		return;
	}
	set_fence(w, action, action->to, false);
	route(w, action);
	action_end(w, action, true, NULL);
}

static void stop(struct world *w, const struct action *action)
{
	struct site_state *site = &w->sites[action->site];
	uint32_t holds = w->scenario->deployment.sites[action->site].standby.holds;
	replicas_stop(w, action->site, action->domain);
	if (action->domain == DOMAIN_OF_DATA)
		site->data_ready &= holds; /* restored data grow stale; replication goes on */
	set_fence(w, action, action->site, false);
	storage_look(w);
	action_end(w, action, true, NULL);
}

/* ---- the way back to the primary ---- */

static void returned(struct world *w, const struct action *action)
{
	struct completion done = {.kind = COMPLETION_ACTION, .action = *action, .ok = true};
	done.corrupt = w->sites[action->to].return_lost;
	if (done.corrupt)
		done.reason = "the standby was lost with what it had written";
	w->sites[action->to].return_lost = false;
	world_complete(w, &done);
}

void action_wait_primary(struct world *w, const struct action *action)
{
	set_fence(w, action, action->to, false);
	if (!w->scenario->recovery.failback.verify || replica_hosts_ready(w, action->to)) {
		returned(w, action);
		return;
	}
	w->waiting = arena_grow(&w->arena, w->waiting, w->waiting_count, &w->waiting_capacity,
				sizeof(*w->waiting));
	w->waiting[w->waiting_count++] = *action;
}

void actions_look(struct world *w)
{
	for (size_t i = 0; i < w->waiting_count;) {
		struct action action = w->waiting[i];
		bool gone = !site_alive(w, action.to) || !site_reachable(w, action.to);
		if (!gone && !replica_hosts_ready(w, action.to)) {
			i++;
			continue;
		}
		w->waiting[i] = w->waiting[--w->waiting_count];
		if (gone)
			action_end(w, &action, false, "the primary went away");
		else
			returned(w, &action);
	}
}

/* ---- diagnosis ---- */

/* The smallest thing that explains most: a rack that is dark as a whole, else the most broken node.
 */
static void find_suspect(struct world *w, uint32_t site, struct completion *done)
{
	const struct site *config = &w->scenario->deployment.sites[site];
	int worst = 0;
	struct reading reading;
	done->suspect = (struct entity){.kind = ENTITY_SITE, .site = site};
	reading_take(w, done->suspect, &done->worst);
	for (uint32_t k = 0; config->racks > 1 && k < config->racks; k++) {
		struct entity rack = {.kind = ENTITY_RACK, .site = site, .index = (int32_t)k};
		reading_hardware(w, rack, &reading);
		if (reading.nodes > 1 && reading.nodes_powered == 0) {
			done->suspect = rack;
			reading_take(w, rack, &done->worst);
			return;
		}
	}
	for (uint32_t n = 0; n < config->nodes; n++) {
		struct entity node = {.kind = ENTITY_NODE, .site = site, .index = (int32_t)n};
		reading_hardware(w, node, &reading);
		if (diagnosis_brokenness(&reading) <= worst)
			continue;
		worst = diagnosis_brokenness(&reading);
		done->suspect = node;
	}
	/* Replicas that are not well weigh less than any hardware, but for an Xid alone. */
	for (size_t r = 0; worst <= DIAGNOSIS_BROKEN_REPLICA && r < w->replica_count; r++) {
		const struct replica *replica = &w->replicas[r];
		struct entity node = {.kind = ENTITY_NODE, .site = site};
		if (replica->site != site || replica->node == NODE_NONE ||
		    (replica->stage == STAGE_RUNNING && replica->flips == 0 &&
		     conditions_well(&replica->now)))
			continue;
		node.index = (int32_t)(replica->node - w->sites[site].first_node);
		reading_take(w, node, &reading);
		int brokenness = diagnosis_brokenness(&reading);
		bool first = brokenness == worst && node.index < done->suspect.index;
		if (brokenness <= worst && !first)
			continue;
		worst = brokenness;
		done->suspect = node;
	}
	if (worst > 0)
		reading_take(w, done->suspect, &done->worst);
}

static void diagnosed(struct world *w, const struct action *action)
{
	struct completion done = {.kind = COMPLETION_ACTION, .action = *action, .ok = true};
	struct entity site = {.kind = ENTITY_SITE, .site = action->site};
	reading_take(w, site, &done.site_reading);
	done.link_reading.round_trip = NANOS_NEVER;
	for (uint32_t l = 0; l < w->scenario->deployment.link_count; l++) {
		const struct link *link = &w->scenario->deployment.links[l];
		if (link->site[0] != action->site && link->site[1] != action->site)
			continue;
		reading_take(w, (struct entity){.kind = ENTITY_LINK, .index = (int32_t)l},
			     &done.link_reading);
		if (done.link_reading.paths_open < done.link_reading.paths)
			break;
	}
	find_suspect(w, action->site, &done);
	world_complete(w, &done);
}

/* ---- repair: so many crews, first come first served ---- */

static void repair_start(struct world *w, const struct action *action)
{
	struct prng prng;
	w->crews_busy++;
	const struct dist *time = action->time ? action->time : &w->scenario->recovery.repair.time;
	prng_open(&prng, w->seed, w->trial, action->step, PRNG_REPAIR);
	action_timed(w, action, dist_sample_nanos(time, &prng));
}

static void repair(struct world *w, const struct action *action)
{
	if (w->crews_busy < w->scenario->recovery.repair.crews) {
		repair_start(w, action);
		return;
	}
	w->repair_queue = arena_grow(&w->arena, w->repair_queue, w->repair_count,
				     &w->repair_capacity, sizeof(*w->repair_queue));
	w->repair_queue[w->repair_count++] = *action;
}

static void repaired(struct world *w, const struct action *action)
{
	w->crews_busy--;
	action_end(w, action, true, NULL);
	if (w->repair_count == 0)
		return;
	struct action next = w->repair_queue[0];
	memmove(w->repair_queue, w->repair_queue + 1, --w->repair_count * sizeof(*w->repair_queue));
	repair_start(w, &next);
}

/* ---- begin and end ---- */

static void answered_wrongly(struct world *w, const struct action *action, nanos latency)
{
	struct completion done = {.kind = COMPLETION_ACTION, .action = *action, .ok = true};
	done.wrong = true;
	done.success = 1;
	done.latency = latency;
	world_complete(w, &done);
}

static void timed_out(void *context, uint64_t index, nanos now)
{
	struct world *w = context;
	struct action action = w->timed[index].action;
	(void)now;
	nanos wrong_after = w->timed[index].wrong_after;
	timed_release(w, (uint32_t)index);
	switch (action.kind) {
	case ACTION_PROBE:
		if (wrong_after)
			answered_wrongly(w, &action, wrong_after);
		else
			action_end(w, &action, false, "no answer in time");
		break;
	case ACTION_FENCE:
		if (out_of_reach(w, &action)) {
			action_end(w, &action, false, "the old primary cannot be reached");
			break;
		}
		set_fence(w, &action, action.site, true);
		action_end(w, &action, true, NULL);
		break;
	case ACTION_SWITCH:
		switched(w, &action);
		break;
	case ACTION_SWITCH_BACK:
		switched_back(w, &action);
		break;
	case ACTION_DIAGNOSE:
		diagnosed(w, &action);
		break;
	case ACTION_REPAIR:
		repaired(w, &action);
		break;
	case ACTION_RESTORE:
		storage_restore_end(w, &action);
		break;
	case ACTION_BACKUP:
	case ACTION_PRUNE:
	case ACTION_ACTIVATE:
	case ACTION_VERIFY:
	case ACTION_RETURN:
	case ACTION_STOP:
	case ACTION_KINDS:
		action_end(w, &action, true, NULL);
		break;
	}
}

static nanos switch_time(struct world *w)
{
	return later(dist_sample_nanos(&w->scenario->recovery.switch_time, &w->switch_prng),
		     w->late.by[RESIDUAL_SWITCH]);
}

int action_begin(struct world *w, const struct action *action, struct error *e)
{
	const struct recovery_config *config = &w->scenario->recovery;
	(void)e;
	switch (action->kind) {
	case ACTION_PROBE:
		probe(w, action);
		break;
	case ACTION_BACKUP:
		storage_backup(w, action);
		break;
	case ACTION_PRUNE:
		storage_prune(w, action->backup);
		action_end(w, action, true, NULL);
		break;
	case ACTION_FENCE:
		call_off(w, action->domain, ACTION_FENCE);
		fence(w, action);
		break;
	case ACTION_ACTIVATE:
		activate(w, action);
		break;
	case ACTION_SWITCH:
		call_off(w, action->domain, ACTION_SWITCH);
		action_timed(w, action, switch_time(w));
		break;
	case ACTION_SWITCH_BACK:
		action_timed(w, action, is_away(w, action->to) ? switch_time(w) : 0);
		break;
	case ACTION_RESTORE:
		storage_restore(w, action);
		break;
	case ACTION_VERIFY:
		action_timed(w, action, dist_sample_nanos(&config->verify_time, &w->switch_prng));
		break;
	case ACTION_DIAGNOSE:
		action_timed(w, action, dist_sample_nanos(&config->diagnose_time, &w->switch_prng));
		break;
	case ACTION_REPAIR:
		repair(w, action);
		break;
	case ACTION_RETURN:
		call_off(w, action->domain, ACTION_FENCE);
		call_off(w, action->domain, ACTION_SWITCH);
		storage_return(w, action);
		break;
	case ACTION_STOP:
		stop(w, action);
		break;
	case ACTION_KINDS:
		return -1;
	}
	return 0;
}

void actions_reset(struct world *w)
{
	w->timed_count = w->timed_free = w->waiting_count = w->repair_count = 0;
	w->probe_first = w->probe_last = 0;
	w->crews_busy = 0;
	prng_open(&w->switch_prng, w->seed, w->trial, 0, PRNG_SWITCH);
	for (uint32_t i = 0; i < w->scenario->detector_count; i++)
		prng_open(&w->probe_prng[i], w->seed, w->trial, i, PRNG_PROBE);
}
