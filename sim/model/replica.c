/* SPDX-License-Identifier: Apache-2.0 */
/* Replicas, the platform that starts, restarts and moves them, and the gateway's health checks in
 * front of them. */
#include <assert.h>
#include <math.h>

#include "sim/lepton.h"
#include "sim/model/world.h"

#define MOVE_RETRY (30 * NANOS_S) /* the scheduler looks again for a free node */

static void start(struct world *w, uint32_t r);

static const struct endpoint *endpoint_of(const struct world *w, const struct replica *replica)
{
	return &w->scenario->deployment.endpoints[replica->endpoint];
}

static const struct site *site_of(const struct world *w, const struct replica *replica)
{
	return &w->scenario->deployment.sites[replica->site];
}

static void tell(struct world *w, const struct replica *replica, enum lepton_reason reason,
		 const char *why)
{
	char name[ENTITY_TEXT_MAX];
	if (!timeline_on(w->timeline))
		return;
	struct entity entity = {.kind = ENTITY_REPLICA,
				.index = (int32_t)replica->endpoint,
				.part = replica->ordinal};
	timeline_begin(w->timeline, world_now(w), "replica.state");
	timeline_text(w->timeline, "replica", entity_print(entity, w->scenario, name));
	timeline_text(w->timeline, "site", site_of(w, replica)->name);
	timeline_text(w->timeline, "state", lepton_reason_names[reason]);
	timeline_text(w->timeline, "why", why);
	timeline_end(w->timeline);
}

/* ---- placement ---- */

static uint64_t gpu_mask(const struct world *w, const struct replica *replica)
{
	uint32_t count = endpoint_of(w, replica)->gpus_per_replica;
	uint64_t ones = count >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << count) - 1;
	return ones << replica->gpu;
}

static bool fits(const struct world *w, uint32_t node, uint32_t gpus, uint32_t count,
		 uint32_t *ret_gpu)
{
	const struct node *n = &w->nodes[node];
	uint64_t ones = count >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << count) - 1;
	for (uint32_t g = 0; g + count <= gpus; g++) {
		if ((n->gpus_used | n->gpus_gone) & (ones << g))
			continue;
		*ret_gpu = g;
		return true;
	}
	return false;
}

/* Spread over the nodes, starting at the replica's own number; false: no node has the GPUs. */
static bool place(struct world *w, struct replica *replica)
{
	const struct site *site = site_of(w, replica);
	uint32_t count = endpoint_of(w, replica)->gpus_per_replica;
	for (uint32_t k = 0; k < site->nodes; k++) {
		uint32_t node =
			w->sites[replica->site].first_node + (replica->ordinal + k) % site->nodes;
		uint32_t gpu = 0;
		if (!node_up(w, node) || w->nodes[node].frozen || !node_open(w, node) ||
		    !fits(w, node, site->gpus, count, &gpu))
			continue;
		replica->node = node;
		replica->gpu = gpu;
		w->nodes[node].gpus_used |= count ? gpu_mask(w, replica) : 0;
		return true;
	}
	return false;
}

static void unplace(struct world *w, struct replica *replica)
{
	if (replica->node == NODE_NONE)
		return;
	if (endpoint_of(w, replica)->gpus_per_replica)
		w->nodes[replica->node].gpus_used &= ~gpu_mask(w, replica);
	replica->node = NODE_NONE;
}

static bool hardware_well(const struct world *w, const struct replica *replica)
{
	if (replica->node == NODE_NONE || !node_up(w, replica->node))
		return false;
	return endpoint_of(w, replica)->gpus_per_replica == 0 ||
	       !(w->nodes[replica->node].gpus_gone & gpu_mask(w, replica));
}

static uint64_t domain_bit(const struct world *w, const struct replica *replica)
{
	return DOMAIN_BIT(world_domain(w, replica->endpoint));
}

/* Should the platform run it at all? A standby below hot runs nothing before it is activated. */
static bool wanted(const struct world *w, const struct replica *replica)
{
	return replica->home || site_of(w, replica)->standby.heat == HEAT_HOT ||
	       (w->sites[replica->site].activated & domain_bit(w, replica)) != 0;
}

/* ---- what a request sent to it meets ---- */

static bool answers_wrongly(const struct damage_state *damage)
{
	return damage->flips || damage->old;
}

enum serve replica_serve(const struct world *w, const struct replica *replica)
{
	const struct site_state *site = &w->sites[replica->site];
	if (replica->node == NODE_NONE)
		return SERVE_REFUSE;
	const struct node *node = &w->nodes[replica->node];
	if (!node_up(w, replica->node) || node->frozen || node->cut || site->cut)
		return SERVE_HANG;
	if (node->dropped || site->dropped || replica->now.stopped)
		return SERVE_HANG;
	if (node->reset || site->reset)
		return SERVE_REFUSE;
	if (replica->now.hangs && replica->stage == STAGE_RUNNING)
		return SERVE_HANG;
	if (replica->stage != STAGE_RUNNING || (site->fenced & domain_bit(w, replica)) ||
	    site->standby_out || replica->now.unready)
		return SERVE_REFUSE;
	bool has_data = endpoint_of(w, replica)->site == world_data_site(w);
	if (has_data && (w->scenario->recovery.restore.before_serving & ~site->data_ready))
		return SERVE_REFUSE;
	if (replica->flips || answers_wrongly(&site->damage[DATA_MODEL]) ||
	    answers_wrongly(&site->damage[DATA_IO]))
		return SERVE_WRONG;
	return SERVE_OK;
}

static void evict(void *context, uint64_t r, nanos now)
{
	struct world *w = context;
	(void)now;
	w->replicas[r].gateway_event = EVENT_NONE;
	w->replicas[r].routable = false;
	load_look(w, w->replicas[r].endpoint);
}

static void admit(void *context, uint64_t r, nanos now)
{
	struct world *w = context;
	(void)now;
	w->replicas[r].gateway_event = EVENT_NONE;
	w->replicas[r].routable = true;
	load_look(w, w->replicas[r].endpoint);
}

/* It answers the gateway's checks: it is in rotation, in a calibrated trial once that is seen. */
static void take_in(struct world *w, uint32_t r)
{
	struct replica *replica = &w->replicas[r];
	nanos late = w->late.by[RESIDUAL_READINESS];
	if (!replica->routable && late > 0) {
		if (replica->gateway_event == EVENT_NONE)
			replica->gateway_event =
				engine_at(w->engine, world_now(w) + late, admit, w, r);
		return;
	}
	engine_cancel(w->engine, replica->gateway_event);
	replica->gateway_event = EVENT_NONE;
	replica->routable = true;
}

/*
 * The gateway checks every `interval` from time 0 and takes a replica out after `misses` failures
 * in a row; the last one is known when its timeout is over. Nothing else happens at those checks,
 * so the one instant that matters is computed instead of simulating each check. A replica that
 * reports ready is taken in at once.
 */
static void publish(struct world *w, uint32_t r)
{
	struct replica *replica = &w->replicas[r];
	const struct gateway *gateway = &w->scenario->deployment.gateway;
	conditions_of(w, replica, &replica->now);
	enum serve serve = replica_serve(w, replica);
	bool healthy = serve == SERVE_OK || serve == SERVE_WRONG;
	replica->serve = serve;
	if (replica->now.unready)
		replica->routable = false; /* by its own report */
	if (healthy) {
		take_in(w, r);
	} else if (!replica->routable && w->late.by[RESIDUAL_READINESS] > 0) {
		engine_cancel(w->engine, replica->gateway_event);
		replica->gateway_event = EVENT_NONE;
	} else if (replica->routable && replica->gateway_event == EVENT_NONE) {
		nanos now = world_now(w),
		      first = (now + gateway->interval - 1) / gateway->interval * gateway->interval;
		nanos last = first + (gateway->misses - 1) * gateway->interval;
		replica->gateway_event = engine_at(w->engine, last + gateway->timeout, evict, w, r);
	}
}

/* ---- the life of a process ---- */

static void settle_stage(struct world *w, uint32_t r, enum stage stage)
{
	struct replica *replica = &w->replicas[r];
	replica->stage = stage;
	publish(w, r);
	load_look(w, replica->endpoint);
}

static void initialised(void *context, uint64_t r, nanos now)
{
	struct world *w = context;
	struct replica *replica = &w->replicas[r];
	replica->stage_event = EVENT_NONE;
	replica->running_since = now;
	replica->oom = false;
	tell(w, replica, LEPTON_REASON_READY, "initialised");
	settle_stage(w, (uint32_t)r, STAGE_RUNNING);
	storage_look(w); /* a home replica that runs again takes writes again */
	actions_look(w);
	engine_stop(w->engine); /* a killed process is back: the run loop wants to see that now */
}

void replica_weights_done(struct world *w, uint32_t r)
{
	struct replica *replica = &w->replicas[r];
	nanos now = world_now(w);
	if (node_starved(w, replica->node)) { /* they do not fit into the node's memory */
		replica_oom(w, r);
		return;
	}
	nanos takes = dist_sample_nanos(&endpoint_of(w, replica)->model_start, &replica->start) +
		      replica->now.start_added + w->late.by[RESIDUAL_START];
	replica->flips =
		0; /* a fresh copy; what is wrong with the site's content is counted there */
	replica->stage = STAGE_STARTING;
	replica->stage_event = EVENT_NONE;
	if (takes <= 0)
		initialised(w, r, now);
	else
		replica->stage_event = engine_at(w->engine, now + takes, initialised, w, r);
}

/* The site's copy of the weights is not whole, or the disk it lies on fails. */
static bool cannot_load(const struct world *w, const struct replica *replica)
{
	bool declared = w->scenario->deployment.data[DATA_MODEL].declared;
	struct entity node = node_entity(w, replica->node);
	if (w->nodes[replica->node].no_inodes)
		return true; /* nor can its container make a file */
	if (endpoint_of(w, replica)->model_bytes == 0)
		return false;
	/* Of the many reads that it takes some meet what a share of them meets. */
	return w->nodes[replica->node].disk_failing > 0 ||
	       disk_errors(w, node, FILE_BIT(FILE_OPEN) | FILE_BIT(FILE_READ)) > 0 ||
	       disk_has_bad_blocks(w, node) ||
	       (declared && world_domain(w, replica->endpoint) == DOMAIN_OF_DATA &&
		content_missing(&w->sites[replica->site], DATA_MODEL));
}

/* Where the weights come from: the site's own copy when it has one, a running restore of them, or
 * the store. */
static void load_weights(struct world *w, uint32_t r)
{
	struct replica *replica = &w->replicas[r];
	const struct site *site = site_of(w, replica);
	uint64_t bytes = endpoint_of(w, replica)->model_bytes;
	bool owner = world_domain(w, replica->endpoint) == DOMAIN_OF_DATA;
	bool declared = owner && w->scenario->deployment.data[DATA_MODEL].declared;
	bool local = declared ? w->sites[replica->site].data_ready & DATA_BIT(DATA_MODEL)
			      : site->standby.heat != HEAT_COLD;
	bool restored = false;
	for (size_t i = 0; owner && i < w->scenario->recovery.restore.class_count; i++)
		restored |= w->scenario->recovery.restore.classes[i] == DATA_MODEL;
	if (bytes == 0 || replica->home)
		local = true;
	if (local && cannot_load(w, replica)) {
		replica_exit(w, r);
		return;
	}
	if (!local && restored) {
		replica->stage = STAGE_QUEUED; /* replicas_data() goes on when the class is there */
		return;
	}
	replica->stage = STAGE_LOADING;
	if (!local) {
		storage_weights(w, r);
		return;
	}
	if (llround((double)bytes / site->disk * 1e9) == 0)
		replica_weights_done(w, r);
	else
		storage_disk(w, r);
}

static void halt(struct world *w, uint32_t r)
{
	struct replica *replica = &w->replicas[r];
	engine_cancel(w->engine, replica->stage_event);
	engine_cancel(w->engine, replica->loop_event);
	replica->stage_event = replica->loop_event = EVENT_NONE;
	if (replica->load)
		storage_weights_stop(w, r);
}

static void looped(void *context, uint64_t r, nanos now)
{
	struct world *w = context;
	(void)now;
	w->replicas[r].loop_event = EVENT_NONE;
	if (!w->replicas[r].now.loops)
		return;
	replica_exit(w, (uint32_t)r);
	load_look(w, w->replicas[r].endpoint);
	storage_look(w);
}

static void start(struct world *w, uint32_t r)
{
	struct replica *replica = &w->replicas[r];
	halt(w, r);
	replica->starts++;
	conditions_of(w, replica, &replica->now);
	if (replica->now.loops) /* while it loads, as a rule */
		replica->loop_event =
			engine_at(w->engine, world_now(w) + replica->now.loops, looped, w, r);
	tell(w, replica, LEPTON_REASON_IN_PROGRESS, "starting");
	load_weights(w, r);
	publish(w, r);
}

static void try_again(void *context, uint64_t argument, nanos now)
{
	struct world *w = context;
	uint32_t r = (uint32_t)argument;
	struct replica *replica = &w->replicas[r];
	replica->stage_event = EVENT_NONE;
	(void)now;
	if (replica->node != NODE_NONE && w->nodes[replica->node].frozen)
		return; /* nothing starts on a hung node; it is revived with it */
	if (hardware_well(w, replica))
		start(w, r);
	else if (replica->node != NODE_NONE && node_up(w, replica->node))
		replica_exit(
			w,
			r); /* its GPU is still missing: it crashes again, and backs off longer */
	else
		replica->stage = STAGE_NONE;
	load_look(w, replica->endpoint);
}

static void exit_for(struct world *w, uint32_t r, const char *why)
{
	struct replica *replica = &w->replicas[r];
	nanos now = world_now(w), wait = 0;
	if (replica->stage == STAGE_RUNNING &&
	    now - replica->running_since >
		    scenario_time(w->scenario, LEPTON_BACKOFF_RESET_S * NANOS_S))
		replica->crashes = 0;
	halt(w, r);
	if (replica->crashes) {
		uint32_t doublings = replica->crashes - 1 < 5 ? replica->crashes - 1 : 5;
		wait = (nanos)(LEPTON_BACKOFF_FIRST_S << doublings) * NANOS_S;
		if (wait > LEPTON_BACKOFF_MAX_S * NANOS_S)
			wait = LEPTON_BACKOFF_MAX_S * NANOS_S;
		wait = scenario_time(w->scenario, wait);
	}
	replica->crashes++;
	tell(w, replica, LEPTON_REASON_SYSTEM_ERROR, why);
	replica->stage = STAGE_WAITING;
	if (w->scenario->deployment.platform.restart && wanted(w, replica))
		replica->stage_event = engine_at(w->engine, now + wait, try_again, w, r);
	publish(w, r);
}

void replica_exit(struct world *w, uint32_t r)
{
	exit_for(w, r, "process exited");
}

static bool has_process(const struct replica *replica)
{
	return replica->stage == STAGE_LOADING || replica->stage == STAGE_STARTING ||
	       replica->stage == STAGE_RUNNING;
}

void replica_oom(struct world *w, uint32_t r)
{
	struct replica *replica = &w->replicas[r];
	if (!has_process(replica))
		return;
	replica->oom_kills++;
	replica->oom = true;
	exit_for(w, r, "OOMKilled, exit code 137");
}

/* One that starts is the next to ask for memory; while it waits, it is the next to be killed. Of
 * those that run the one with the largest weights is the biggest. */
void replicas_starve(struct world *w, struct entity node)
{
	uint32_t victim = (uint32_t)w->replica_count;
	for (uint32_t r = 0; r < w->replica_count; r++) {
		const struct replica *replica = &w->replicas[r];
		if (replica->node != nodes_of(w, node).first || replica->stage == STAGE_NONE)
			continue;
		if (victim == w->replica_count || replica->stage != STAGE_RUNNING ||
		    endpoint_of(w, replica)->model_bytes >
			    endpoint_of(w, &w->replicas[victim])->model_bytes)
			victim = r;
		if (replica->stage != STAGE_RUNNING)
			break;
	}
	if (victim < w->replica_count)
		replica_oom(w, victim);
	else
		jobs_oom(w, node);
}

void replica_revive(struct world *w, uint32_t r)
{
	struct replica *replica = &w->replicas[r];
	if ((replica->stage != STAGE_NONE && replica->stage != STAGE_WAITING) ||
	    !wanted(w, replica))
		return;
	if (!hardware_well(w, replica) || w->nodes[replica->node].frozen)
		return; /* it starts when the last thing that holds it down is mended */
	replica->crashes = 0;
	start(w, r);
}

/* ---- moving away from a dead node ---- */

static bool node_lost(const struct world *w, const struct replica *replica)
{
	return replica->node != NODE_NONE &&
	       (!node_up(w, replica->node) || w->nodes[replica->node].frozen);
}

static void reschedule(void *context, uint64_t argument, nanos now)
{
	struct world *w = context;
	uint32_t r = (uint32_t)argument;
	struct replica *replica = &w->replicas[r];
	replica->move_event = EVENT_NONE;
	if (!node_lost(w, replica) || (w->sites[replica->site].fenced & domain_bit(w, replica)))
		return;
	if (w->sites[replica->site].api_out || w->sites[replica->site].full) {
		replica->move_event = engine_at(
			w->engine, now + scenario_time(w->scenario, MOVE_RETRY), reschedule, w, r);
		return;
	}
	uint32_t node = replica->node, gpu = replica->gpu;
	unplace(w, replica);
	if (place(w, replica)) {
		start(w, r);
		load_look(w, replica->endpoint);
		storage_look(w); /* on a node that hangs it ran until now */
		return;
	}
	replica->node = node; /* nowhere to go: its old place stays reserved */
	replica->gpu = gpu;
	if (endpoint_of(w, replica)->gpus_per_replica)
		w->nodes[node].gpus_used |= gpu_mask(w, replica);
	replica->move_event = engine_at(w->engine, now + scenario_time(w->scenario, MOVE_RETRY),
					reschedule, w, r);
}

static void look(struct world *w, uint32_t r)
{
	struct replica *replica = &w->replicas[r];
	nanos after = w->scenario->deployment.platform.reschedule;
	if (replica->node == NODE_NONE)
		return;
	if (!node_up(w, replica->node) && replica->stage != STAGE_NONE) {
		halt(w, r);
		replica->stage = STAGE_NONE;
		tell(w, replica, LEPTON_REASON_UNKNOWN, "node lost");
	} else if (node_up(w, replica->node) && !hardware_well(w, replica) &&
		   replica->stage >= STAGE_QUEUED) {
		replica_exit(w, r);
	}
	if (!node_lost(w, replica)) {
		engine_cancel(w->engine, replica->move_event);
		replica->move_event = EVENT_NONE;
	} else if (replica->home && after != NANOS_NEVER && replica->move_event == EVENT_NONE) {
		replica->move_event = engine_at(w->engine, world_now(w) + after, reschedule, w, r);
	}
	publish(w, r);
}

void replicas_look(struct world *w)
{
	for (uint32_t r = 0; r < w->replica_count; r++)
		look(w, r);
}

/* ---- standby sites ---- */

static void allocated(void *context, uint64_t packed, nanos now);

static bool nodes_closed(const struct world *w, uint32_t site)
{
	uint32_t first = w->sites[site].first_node;
	for (uint32_t n = 0; n < w->scenario->deployment.sites[site].nodes; n++)
		if (!node_open(w, first + n))
			return true;
	return false;
}

/* Where pods stay pending for want of capacity, the scheduler looks again. `first` is told. */
static void bring_up(struct world *w, uint32_t site, uint32_t domain, bool first)
{
	bool full = w->sites[site].full > 0, pending = false;
	for (uint32_t r = 0; r < w->replica_count; r++) {
		struct replica *replica = &w->replicas[r];
		if (replica->site != site || replica->home || replica->stage != STAGE_NONE ||
		    domain_bit(w, replica) != DOMAIN_BIT(domain) || !wanted(w, replica))
			continue;
		if (full || (replica->node == NODE_NONE && !place(w, replica))) {
			pending = true;
			if (first)
				tell(w, replica, LEPTON_REASON_NO_CAPACITY,
				     full ? "the pod stays pending" : "no node has the GPUs");
			continue;
		}
		if (hardware_well(w, replica))
			start(w, r);
	}
	if (pending && (full || nodes_closed(w, site)) &&
	    !(w->sites[site].pending & DOMAIN_BIT(domain))) {
		w->sites[site].pending |= DOMAIN_BIT(domain);
		engine_at(w->engine, world_now(w) + scenario_time(w->scenario, MOVE_RETRY),
			  allocated, w, (uint64_t)domain << 32 | site);
	}
	load_look_all(w);
}

/* Of a cold standby, or of pods that stayed pending. */
static void allocated(void *context, uint64_t packed, nanos now)
{
	struct world *w = context;
	uint32_t site = (uint32_t)packed, domain = (uint32_t)(packed >> 32);
	w->sites[site].pending &= ~DOMAIN_BIT(domain);
	if (!(w->sites[site].activated & DOMAIN_BIT(domain)))
		return;
	if (site_usable(w, site))
		bring_up(w, site, domain, false);
	else
		engine_at(w->engine, now + scenario_time(w->scenario, MOVE_RETRY), allocated, w,
			  packed);
}

void replicas_activate(struct world *w, uint32_t site, uint32_t domain)
{
	nanos wait = w->scenario->deployment.platform.allocate;
	bool again = (w->sites[site].activated & DOMAIN_BIT(domain)) != 0;
	w->sites[site].activated |= DOMAIN_BIT(domain);
	if (w->scenario->deployment.sites[site].standby.heat != HEAT_COLD || wait == 0)
		bring_up(w, site, domain, true);
	else if (!again)
		engine_at(w->engine, world_now(w) + wait, allocated, w,
			  (uint64_t)domain << 32 | site);
}

/* What is stopped on purpose leaves the gateway's rotation at once. */
static void leave_rotation(struct world *w, struct replica *replica)
{
	engine_cancel(w->engine, replica->gateway_event);
	replica->gateway_event = EVENT_NONE;
	replica->routable = false;
}

void replicas_evict(struct world *w, uint32_t site)
{
	for (uint32_t r = 0; r < w->replica_count; r++) {
		struct replica *replica = &w->replicas[r];
		if (replica->site != site || replica->node == NODE_NONE ||
		    !w->nodes[replica->node].cordoned)
			continue;
		halt(w, r);
		leave_rotation(w, replica);
		if (replica->stage != STAGE_NONE)
			tell(w, replica, LEPTON_REASON_DELETED, "its node takes no pods");
		replica->stage = STAGE_NONE;
		unplace(w, replica);
		if (wanted(w, replica) && place(w, replica) && hardware_well(w, replica))
			start(w, r);
		publish(w, r);
	}
	for (uint32_t r = 0; r < w->replica_count; r++) {
		struct replica *replica = &w->replicas[r];
		if (replica->site != site || replica->home || replica->node != NODE_NONE ||
		    site_of(w, replica)->standby.heat == HEAT_COLD || !place(w, replica))
			continue; /* else there is room for it again */
		if (wanted(w, replica) && hardware_well(w, replica))
			start(w, r);
		publish(w, r);
	}
}

void replicas_stop(struct world *w, uint32_t site, uint32_t domain)
{
	enum heat heat = w->scenario->deployment.sites[site].standby.heat;
	w->sites[site].activated &= ~DOMAIN_BIT(domain);
	for (uint32_t r = 0; r < w->replica_count; r++) {
		struct replica *replica = &w->replicas[r];
		if (replica->site != site || replica->home || heat == HEAT_HOT ||
		    domain_bit(w, replica) != DOMAIN_BIT(domain))
			continue;
		halt(w, r);
		leave_rotation(w, replica);
		if (replica->stage != STAGE_NONE)
			tell(w, replica, LEPTON_REASON_DELETED, "standby stopped");
		replica->stage = STAGE_NONE;
		replica->crashes = 0;
		if (heat == HEAT_COLD)
			unplace(w, replica);
		publish(w, r);
	}
	load_look_all(w);
}

void replicas_data(struct world *w, uint32_t site)
{
	for (uint32_t r = 0; r < w->replica_count; r++) {
		struct replica *replica = &w->replicas[r];
		if (replica->site != site)
			continue;
		if (replica->stage == STAGE_QUEUED &&
		    (w->sites[site].data_ready & DATA_BIT(DATA_MODEL)))
			load_weights(w, r);
		publish(w, r);
	}
	load_look_all(w);
}

bool replica_hosts_ready(const struct world *w, uint32_t site)
{
	for (uint32_t r = 0; r < w->replica_count; r++) {
		const struct replica *replica = &w->replicas[r];
		if (replica->home && replica->site == site &&
		    (replica->stage != STAGE_RUNNING || node_lost(w, replica)))
			return false;
	}
	return true;
}

/* Those of the endpoint's own site come first in its list. */
const struct replica *replica_at_home(const struct world *w, uint32_t endpoint, uint32_t ordinal)
{
	if (ordinal >= w->scenario->deployment.endpoints[endpoint].replicas)
		return NULL;
	return &w->replicas[w->services[endpoint].all[ordinal]];
}

bool replicas_hidden(const struct world *w, uint32_t site, uint32_t domain)
{
	for (uint32_t r = 0; r < w->replica_count; r++) {
		const struct replica *replica = &w->replicas[r];
		bool lives = replica->stage >= STAGE_LOADING || replica->stage_event != EVENT_NONE;
		if (replica->site != site || replica->node == NODE_NONE || !lives ||
		    domain_bit(w, replica) != DOMAIN_BIT(domain))
			continue;
		if (node_up(w, replica->node) && w->nodes[replica->node].cut)
			return true;
	}
	return false;
}

/* ---- set up ---- */

static uint32_t standby_replicas(const struct site *site, const struct endpoint *endpoint)
{
	if (site->standby.heat == HEAT_NONE)
		return 0;
	return site->standby.replicas ? site->standby.replicas : endpoint->replicas;
}

static void add(struct world *w, uint32_t endpoint, uint32_t site, uint32_t count, bool home,
		uint32_t *r)
{
	struct service *service = &w->services[endpoint];
	for (uint32_t i = 0; i < count; i++, (*r)++) {
		service->all[service->all_count++] = *r;
		w->replicas[*r] = (struct replica){
			.endpoint = endpoint, .ordinal = i, .site = site, .home = home};
	}
}

void replicas_open(struct world *w)
{
	const struct deployment *d = &w->scenario->deployment;
	size_t total = 0;
	for (uint32_t e = 0; e < d->endpoint_count; e++) {
		size_t own = d->endpoints[e].replicas;
		for (uint32_t s = 0; s < d->site_count; s++)
			own += standby_replicas(&d->sites[s], &d->endpoints[e]);
		w->services[e].all = arena_array(&w->arena, own ? own : 1, sizeof(uint32_t));
		total += own;
	}
	w->replicas = arena_array(&w->arena, total ? total : 1, sizeof(*w->replicas));
	w->replica_count = total;
	uint32_t r = 0;
	for (uint32_t e = 0; e < d->endpoint_count; e++) {
		add(w, e, d->endpoints[e].site, d->endpoints[e].replicas, true, &r);
		for (uint32_t s = 0; s < d->site_count; s++)
			add(w, e, s, standby_replicas(&d->sites[s], &d->endpoints[e]), false, &r);
	}
}

void replicas_reset(struct world *w)
{
	for (uint32_t r = 0; r < w->replica_count; r++) {
		struct replica *old = &w->replicas[r];
		enum heat heat = site_of(w, old)->standby.heat;
		struct replica fresh = {.endpoint = old->endpoint,
					.ordinal = old->ordinal,
					.site = old->site,
					.home = old->home,
					.node = NODE_NONE,
					.now = {.pace = 1},
					.serve = SERVE_REFUSE};
		*old = fresh;
		prng_open(&old->start, w->seed, w->trial, r, PRNG_START);
		if (heat != HEAT_COLD)
			place(w, old);
		if (old->node == NODE_NONE || !wanted(w, old))
			continue;
		old->stage = STAGE_RUNNING;
		old->starts = 1;
		old->serve = replica_serve(w, old);
		old->routable = true;
	}
}
