/* SPDX-License-Identifier: Apache-2.0 */
/* The life of units: counts, starts, crashes and their back-off, ends, and dead nodes. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "sim/minilepton/fleet.h"

const char *const unit_phase_names[] = {"free",    "queued",   "held", "starting",
					"running", "stopping", "over"};

void fleet_touch(struct fleet *fleet)
{
	fleet->version++;
}

/* ---- events ---- */

void fleet_tell(struct fleet *fleet, bool warning, const char *reason, const char *kind,
		const char *object, const char *message, nanos now)
{
	uint32_t kept =
		fleet->event_count < FLEET_EVENTS_MAX ? fleet->event_count : FLEET_EVENTS_MAX;
	struct fleet_event *event;

	fleet_touch(fleet);
	for (uint32_t i = 0; i < kept; i++) {
		event = &fleet->events[i];
		if (event->warning != warning || strcmp(event->reason, reason) != 0 ||
		    strcmp(event->object, object) != 0 || strcmp(event->message, message) != 0)
			continue;
		event->count++;
		event->at = now;
		return;
	}
	event = &fleet->events[fleet->event_count++ % FLEET_EVENTS_MAX];
	*event = (struct fleet_event){.warning = warning, .count = 1, .at = now};
	snprintf(event->reason, sizeof(event->reason), "%s", reason);
	snprintf(event->kind, sizeof(event->kind), "%s", kind);
	snprintf(event->object, sizeof(event->object), "%s", object);
	snprintf(event->message, sizeof(event->message), "%s", message);
}

static void tell_unit(struct fleet *fleet, const struct unit *unit, bool warning,
		      const char *reason, const char *message, nanos now)
{
	fleet_tell(fleet, warning, reason, "Pod", unit->id, message, now);
}

/* ---- tables ---- */

uint32_t fleet_add_node(struct fleet *fleet, const struct fleet_node *node)
{
	struct fleet_node *n;

	if (fleet->node_count >= FLEET_NODES_MAX)
		return FLEET_NONE;
	n = &fleet->nodes[fleet->node_count];
	*n = *node;
	n->silent_since = 0;
	n->misses = FLEET_MISSES; /* until it has answered */
	return fleet->node_count++;
}

uint32_t fleet_add_deployment(struct fleet *fleet, const char *name)
{
	for (uint32_t d = 0; d < FLEET_DEPLOYMENTS_MAX; d++) {
		struct fleet_deployment *deployment = &fleet->deployments[d];

		if (deployment->used)
			continue;
		*deployment = (struct fleet_deployment){.used = true};
		snprintf(deployment->name, sizeof(deployment->name), "%s", name);
		fleet_touch(fleet);
		return d;
	}
	return FLEET_NONE;
}

uint32_t fleet_add_job(struct fleet *fleet, const char *name, nanos now)
{
	for (uint32_t j = 0; j < FLEET_JOBS_MAX; j++) {
		struct fleet_job *job = &fleet->jobs[j];

		if (job->used)
			continue;
		*job = (struct fleet_job){
			.used = true, .state = JOB_QUEUEING, .retries = -1, .created_at = now};
		snprintf(job->name, sizeof(job->name), "%s", name);
		fleet_touch(fleet);
		return j;
	}
	return FLEET_NONE;
}

uint32_t fleet_find_deployment(const struct fleet *fleet, const char *name)
{
	for (uint32_t d = 0; d < FLEET_DEPLOYMENTS_MAX; d++)
		if (fleet->deployments[d].used && !strcmp(fleet->deployments[d].name, name))
			return d;
	return FLEET_NONE;
}

uint32_t fleet_find_job(const struct fleet *fleet, const char *name)
{
	for (uint32_t j = 0; j < FLEET_JOBS_MAX; j++)
		if (fleet->jobs[j].used && !strcmp(fleet->jobs[j].name, name))
			return j;
	return FLEET_NONE;
}

uint32_t fleet_find_node(const struct fleet *fleet, const char *name)
{
	for (uint32_t n = 0; n < fleet->node_count; n++)
		if (!strcmp(fleet->nodes[n].name, name))
			return n;
	return FLEET_NONE;
}

uint32_t fleet_find_unit(const struct fleet *fleet, const char *id)
{
	for (uint32_t u = 0; u < fleet->unit_count; u++)
		if (fleet->units[u].phase != UNIT_FREE && !strcmp(fleet->units[u].id, id))
			return u;
	return FLEET_NONE;
}

struct unit *fleet_new_unit(struct fleet *fleet, enum unit_kind kind, uint32_t owner,
			    uint32_t ordinal, const char *name, nanos now)
{
	struct unit *unit = NULL;

	for (uint32_t u = 0; u < fleet->unit_count && !unit; u++)
		if (fleet->units[u].phase == UNIT_FREE)
			unit = &fleet->units[u];
	if (!unit && fleet->unit_count < FLEET_UNITS_MAX)
		unit = &fleet->units[fleet->unit_count++];
	if (!unit)
		return NULL;
	*unit = (struct unit){.kind = kind,
			      .phase = UNIT_QUEUED,
			      .owner = owner,
			      .ordinal = ordinal,
			      .node = FLEET_NONE,
			      .changed_at = now};
	snprintf(unit->id, sizeof(unit->id), "%s-%u", name, ordinal);
	fleet_touch(fleet);
	return unit;
}

void fleet_free_unit(struct fleet *fleet, struct unit *unit)
{
	fleet_unplace(fleet, unit);
	unit->phase = UNIT_FREE;
	fleet_touch(fleet);
}

/* ---- phases ---- */

static void enter(struct fleet *fleet, struct unit *unit, enum unit_phase phase, nanos now)
{
	unit->phase = phase;
	unit->changed_at = now;
	if (phase != UNIT_RUNNING)
		unit->ready = false;
	fleet_touch(fleet);
}

void fleet_hold(struct fleet *fleet, struct unit *unit, enum hold hold, nanos due, nanos now)
{
	unit->hold = hold;
	unit->due = due;
	unit->pid = 0;
	enter(fleet, unit, UNIT_HELD, now);
}

static void begin(struct fleet *fleet, struct unit *unit, nanos now)
{
	unit->told = unit->refused = unit->was_ready = false;
	unit->starts++;
	unit->started_at = now;
	enter(fleet, unit, UNIT_STARTING, now);
}

/* Its process is gone, and that was asked for. */
static void stopped(struct fleet *fleet, struct unit *unit, nanos now)
{
	unit->pid = 0;
	switch (unit->after) {
	case AFTER_STOP_START:
		unit->crashes = 0;
		fleet_hold(fleet, unit, HOLD_BACKOFF, now, now);
		return;
	case AFTER_STOP_QUEUE:
		fleet_unplace(fleet, unit);
		enter(fleet, unit, UNIT_QUEUED, now);
		return;
	case AFTER_STOP_FREE:
		fleet_free_unit(fleet, unit);
		return;
	case AFTER_STOP_OVER:
		enter(fleet, unit, UNIT_OVER, now);
		return;
	}
}

/* What may still run there is ended when the node is back. The oldest is forgotten when there are
 * too many: its node would have been away for dozens of moves. */
static void leave_ghost(struct fleet *fleet, const struct unit *unit)
{
	struct fleet_node *node = &fleet->nodes[unit->node];

	if (node->ghost_count == FLEET_GHOSTS_MAX) {
		memmove(node->ghosts[0], node->ghosts[1],
			sizeof(node->ghosts[0]) * (FLEET_GHOSTS_MAX - 1));
		node->ghost_count--;
	}
	snprintf(node->ghosts[node->ghost_count++], FLEET_ID_MAX, "%s", unit->id);
	fleet_touch(fleet);
}

void fleet_abandon(struct fleet *fleet, struct unit *unit, nanos now)
{
	leave_ghost(fleet, unit);
	stopped(fleet, unit, now);
}

static bool has_process(const struct unit *unit)
{
	return unit->phase == UNIT_STARTING || unit->phase == UNIT_RUNNING;
}

void fleet_stop(struct fleet *fleet, struct unit *unit, enum unit_after after, nanos now)
{
	unit->after = after;
	if (unit->phase == UNIT_STOPPING)
		return;
	if (!has_process(unit)) {
		stopped(fleet, unit, now);
		return;
	}
	tell_unit(fleet, unit, false, "Killing", "Stopping container", now);
	enter(fleet, unit, UNIT_STOPPING, now);
}

/* ---- crashes ---- */

static nanos backoff(const struct fleet_rules *rules, uint32_t crashes)
{
	nanos wait = rules->backoff_first;

	if (crashes == 0)
		return 0; /* the first restart comes at once */
	for (uint32_t i = 1; i < crashes && wait < rules->backoff_max; i++)
		wait *= 2;
	return wait < rules->backoff_max ? wait : rules->backoff_max;
}

static void note_end(struct unit *unit, const struct fleet_process *process, nanos now)
{
	struct fleet_termination *end =
		&unit->terminations[unit->termination_count++ % FLEET_TERMINATIONS_MAX];

	unit->exit_code = process->signal > 0 ? 128 + process->signal : process->exit_code;
	snprintf(unit->message, sizeof(unit->message), "%s", process->reason);
	*end = (struct fleet_termination){
		.started_at = unit->started_at, .finished_at = now, .exit_code = unit->exit_code};
	snprintf(end->reason, sizeof(end->reason), "%s",
		 unit->exit_code == 0 ? "Completed" : "Error");
	snprintf(end->message, sizeof(end->message), "%s", process->reason);
}

static void ended(struct fleet *fleet, struct unit *unit, const struct fleet_process *process,
		  nanos now)
{
	const struct fleet_rules *rules = &fleet->rules;
	char text[FLEET_MESSAGE_MAX];

	note_end(unit, process, now);
	unit->seen_starts = process->starts;
	if (unit->phase == UNIT_STOPPING) {
		stopped(fleet, unit, now);
		return;
	}
	if (unit->ready && now - unit->ready_since > rules->backoff_reset)
		unit->crashes = 0;
	unit->pid = 0;
	snprintf(text, sizeof(text), "exit code %d: %.150s", unit->exit_code, process->reason);
	tell_unit(fleet, unit, unit->exit_code != 0, "Exited", text, now);
	if (unit->kind == UNIT_RANK || !rules->restart) {
		enter(fleet, unit, UNIT_OVER, now);
		return;
	}
	fleet_hold(fleet, unit, HOLD_BACKOFF, now + backoff(rules, unit->crashes), now);
	if (unit->crashes > 0)
		tell_unit(fleet, unit, true, "BackOff", "Back-off restarting failed container",
			  now);
	unit->crashes++;
}

/* Its node came back without it: nothing that it did wrong. */
static void vanished(struct fleet *fleet, struct unit *unit, nanos now)
{
	struct fleet_process process = {.exit_code = 255, .signal = -1};

	snprintf(process.reason, sizeof(process.reason), "the node lost its processes");
	unit->crashes = 0;
	ended(fleet, unit, &process, now);
	unit->crashes = 0;
	unit->seen_starts = 0;
}

/* ---- reports ---- */

static const struct fleet_process *find(const struct fleet_process *processes, size_t count,
					const char *id)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(processes[i].id, id))
			return &processes[i];
	return NULL;
}

static void report_unit(struct fleet *fleet, struct unit *unit, const struct fleet_process *process,
			nanos now)
{
	if (unit->lost) {
		unit->lost = false;
		fleet_touch(fleet);
	}
	if (unit->phase == UNIT_STARTING && !unit->told)
		return; /* what is told of the id is an earlier process */
	if (!has_process(unit) && unit->phase != UNIT_STOPPING)
		return;
	if (!process) {
		if (unit->phase == UNIT_STOPPING)
			stopped(fleet, unit, now);
		else
			vanished(fleet, unit, now);
	} else if (process->running) {
		unit->pid = process->pid;
		if (unit->phase == UNIT_STARTING)
			enter(fleet, unit, UNIT_RUNNING, now);
	} else if (process->starts != unit->seen_starts) {
		ended(fleet, unit, process, now);
	}
}

static uint64_t gpus_of(const struct unit *unit)
{
	uint64_t ones = unit->gpus >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << unit->gpus) - 1;
	return unit->gpus ? ones << unit->gpu : 0;
}

/* A GPU that is back: what crashed for want of it need not wait any longer. */
static void mended(struct fleet *fleet, uint32_t node, uint64_t back, nanos now)
{
	for (uint32_t u = 0; u < fleet->unit_count; u++) {
		struct unit *unit = &fleet->units[u];

		if (unit->phase != UNIT_HELD || unit->node != node || unit->hold != HOLD_BACKOFF ||
		    !(gpus_of(unit) & back) || (gpus_of(unit) & fleet->nodes[node].gpus_gone))
			continue;
		unit->crashes = 0;
		unit->due = now;
	}
}

static void forget_ghosts(struct fleet *fleet, struct fleet_node *node,
			  const struct fleet_process *processes, size_t count)
{
	uint32_t kept = 0;

	for (uint32_t g = 0; g < node->ghost_count; g++) {
		const struct fleet_process *process = find(processes, count, node->ghosts[g]);

		if (!process || !process->running)
			continue;
		if (kept != g)
			memcpy(node->ghosts[kept], node->ghosts[g], FLEET_ID_MAX);
		kept++;
	}
	if (kept != node->ghost_count)
		fleet_touch(fleet);
	node->ghost_count = kept;
}

void fleet_report(struct fleet *fleet, uint32_t node, uint64_t gpus_gone,
		  const struct fleet_process *processes, size_t count, nanos now)
{
	struct fleet_node *n = &fleet->nodes[node];
	uint64_t back = n->gpus_gone & ~gpus_gone;

	if (!fleet_node_ready(n))
		fleet_tell(fleet, false, "NodeReady", "Node", n->name, "its agent answers", now);
	if (gpus_gone & ~n->gpus_gone)
		fleet_tell(fleet, true, "GPULost", "Node", n->name, "a GPU is gone", now);
	n->seen = n->asked = true;
	n->misses = 0;
	n->silent_since = NANOS_NEVER;
	if (n->gpus_gone != gpus_gone)
		fleet_touch(fleet);
	n->gpus_gone = gpus_gone;
	if (back)
		mended(fleet, node, back, now);
	for (uint32_t u = 0; u < fleet->unit_count; u++) {
		struct unit *unit = &fleet->units[u];

		if (unit->phase != UNIT_FREE && unit->node == node)
			report_unit(fleet, unit, find(processes, count, unit->id), now);
	}
	forget_ghosts(fleet, n, processes, count);
}

void fleet_silent(struct fleet *fleet, uint32_t node, nanos now)
{
	struct fleet_node *n = &fleet->nodes[node];

	n->asked = true;
	if (n->misses == 0)
		n->silent_since = now;
	if (n->misses < FLEET_MISSES && ++n->misses == FLEET_MISSES)
		fleet_tell(fleet, true, "NodeNotReady", "Node", n->name,
			   "its agent does not answer", now);
	if (fleet_node_ready(n))
		return;
	for (uint32_t u = 0; u < fleet->unit_count; u++) {
		struct unit *unit = &fleet->units[u];

		if (unit->phase == UNIT_FREE || unit->node != node || unit->lost)
			continue;
		unit->lost = true;
		unit->ready = false;
		fleet_touch(fleet);
	}
}

void fleet_ready(struct fleet *fleet, uint32_t u, bool ready, nanos now)
{
	struct unit *unit = &fleet->units[u];

	if (unit->phase != UNIT_RUNNING || unit->lost || unit->ready == ready)
		return;
	unit->ready = ready;
	if (ready) {
		unit->ready_since = now;
		unit->was_ready = true;
	}
	tell_unit(fleet, unit, !ready, ready ? "Ready" : "Unhealthy",
		  ready ? "the readiness probe succeeds" : "the readiness probe fails", now);
}

/* ---- orders ---- */

size_t fleet_orders(const struct fleet *fleet, uint32_t node, struct fleet_order *orders,
		    size_t room)
{
	const struct fleet_node *n = &fleet->nodes[node];
	size_t count = 0;

	for (uint32_t g = 0; g < n->ghost_count && count < room; g++) {
		struct fleet_order *order = &orders[count++];

		*order = (struct fleet_order){.kind = ORDER_END_GHOST, .unit = FLEET_NONE};
		memcpy(order->id, n->ghosts[g], FLEET_ID_MAX);
	}
	for (uint32_t u = 0; u < fleet->unit_count && count < room; u++) {
		const struct unit *unit = &fleet->units[u];
		bool start = unit->phase == UNIT_STARTING && !unit->told && !unit->refused;

		if (unit->node != node || unit->version > fleet->saved ||
		    (!start && unit->phase != UNIT_STOPPING))
			continue;
		orders[count] = (struct fleet_order){.kind = start ? ORDER_START : ORDER_STOP,
						     .unit = u,
						     .version = unit->version};
		memcpy(orders[count++].id, unit->id, FLEET_ID_MAX);
	}
	return count;
}

static struct unit *unit_of(struct fleet *fleet, uint32_t node, const struct fleet_order *order)
{
	struct unit *unit = order->unit < fleet->unit_count ? &fleet->units[order->unit] : NULL;

	if (!unit || unit->phase == UNIT_FREE || unit->node != node ||
	    unit->version != order->version || strcmp(unit->id, order->id) != 0)
		return NULL;
	return unit;
}

void fleet_done(struct fleet *fleet, uint32_t node, const struct fleet_order *order, nanos now)
{
	struct unit *unit = unit_of(fleet, node, order);

	if (!unit)
		return;
	if (order->kind == ORDER_START && unit->phase == UNIT_STARTING) {
		unit->told = true;
		tell_unit(fleet, unit, false, "Started", "Started container", now);
	} else if (order->kind == ORDER_START && unit->phase == UNIT_STOPPING) {
		unit->told = true;
	} else if (order->kind == ORDER_STOP && unit->phase == UNIT_STOPPING) {
		stopped(fleet, unit, now);
	}
}

void fleet_refused(struct fleet *fleet, uint32_t node, const struct fleet_order *order,
		   const char *why, nanos now)
{
	struct unit *unit = unit_of(fleet, node, order);

	if (!unit || order->kind != ORDER_START || unit->phase != UNIT_STARTING)
		return;
	unit->refused = true;
	snprintf(unit->message, sizeof(unit->message), "%s", why);
	tell_unit(fleet, unit, true, "Failed", why, now);
}

/* ---- the tick ---- */

static uint32_t count_units(const struct fleet *fleet, enum unit_kind kind, uint32_t owner)
{
	uint32_t count = 0;

	for (uint32_t u = 0; u < fleet->unit_count; u++)
		count += fleet->units[u].phase != UNIT_FREE && fleet->units[u].kind == kind &&
			 fleet->units[u].owner == owner;
	return count;
}

static bool ordinal_taken(const struct fleet *fleet, uint32_t owner, uint32_t ordinal)
{
	for (uint32_t u = 0; u < fleet->unit_count; u++) {
		const struct unit *unit = &fleet->units[u];

		if (unit->phase != UNIT_FREE && unit->kind == UNIT_REPLICA &&
		    unit->owner == owner && unit->ordinal == ordinal)
			return true;
	}
	return false;
}

static void tick_counts(struct fleet *fleet, uint32_t d, nanos now)
{
	struct fleet_deployment *deployment = &fleet->deployments[d];
	uint32_t wanted = deployment->deleting ? 0 : deployment->replicas;

	for (uint32_t u = 0; u < fleet->unit_count; u++) {
		struct unit *unit = &fleet->units[u];
		bool own =
			unit->phase != UNIT_FREE && unit->kind == UNIT_REPLICA && unit->owner == d;

		if (own && unit->ordinal >= wanted)
			fleet_stop(fleet, unit, AFTER_STOP_FREE, now);
	}
	for (uint32_t k = 0; k < wanted; k++) {
		struct unit *unit;

		if (ordinal_taken(fleet, d, k))
			continue;
		unit = fleet_new_unit(fleet, UNIT_REPLICA, d, k, deployment->name, now);
		if (!unit)
			return;
		unit->gpus = deployment->gpus;
		unit->due = deployment->at_once || deployment->reserved
				    ? now
				    : now + fleet->rules.allocate;
	}
	if (wanted > 0)
		deployment->at_once = false;
	if (deployment->deleting && count_units(fleet, UNIT_REPLICA, d) == 0) {
		deployment->used = false;
		fleet_touch(fleet);
	}
}

static void place(struct fleet *fleet, struct unit *unit, nanos now)
{
	if (!fleet_all_asked(fleet))
		return;
	if (fleet_place(fleet, unit, &fleet->deployments[unit->owner])) {
		tell_unit(fleet, unit, false, "Scheduled", fleet->nodes[unit->node].name, now);
		if (unit->due > now)
			fleet_hold(fleet, unit, HOLD_ALLOCATION, unit->due, now);
		else
			begin(fleet, unit, now);
		return;
	}
	if (unit->full)
		return;
	unit->full = true;
	tell_unit(fleet, unit, true, "FailedScheduling", "no node has the GPUs", now);
}

/* It moves when another node has room; else its old place stays its own, and it is tried again. */
static void move(struct fleet *fleet, struct unit *unit, nanos now)
{
	struct unit old = *unit;
	uint64_t version = fleet->version;

	fleet_unplace(fleet, unit);
	if (!fleet_place(fleet, unit, &fleet->deployments[unit->owner])) {
		struct fleet_node *node = &fleet->nodes[old.node];

		node->gpus_used |= gpus_of(&old);
		node->ports[old.port / 2 / 64] |= (uint64_t)1 << (old.port / 2 % 64);
		*unit = old;
		fleet->version = version;
		if (!unit->full)
			tell_unit(fleet, unit, true, "FailedScheduling",
				  "its node is lost, and no other node has the GPUs", now);
		unit->full = true;
		return;
	}
	leave_ghost(fleet, &old);
	unit->crashes = 0;
	tell_unit(fleet, unit, true, "Rescheduled", fleet->nodes[unit->node].name, now);
	begin(fleet, unit, now);
}

static void tick_replica(struct fleet *fleet, struct unit *unit, nanos now)
{
	const struct fleet_node *node = unit->node == FLEET_NONE ? NULL : &fleet->nodes[unit->node];
	bool dead = node && !fleet_node_ready(node);

	if (unit->phase == UNIT_STOPPING && dead) {
		fleet_abandon(fleet, unit, now);
	} else if (dead && node->seen && fleet->rules.reschedule != NANOS_NEVER &&
		   now - node->silent_since >= fleet->rules.reschedule) {
		move(fleet, unit, now);
	}
	if (unit->phase == UNIT_QUEUED)
		place(fleet, unit, now);
	else if (unit->phase == UNIT_HELD && unit->due <= now)
		begin(fleet, unit, now);
	else if (unit->phase == UNIT_RUNNING && unit->ready && unit->crashes &&
		 now - unit->ready_since > fleet->rules.backoff_reset)
		unit->crashes = 0;
}

/* A restart or a change of size is over when all are ready. */
static void settle(struct fleet *fleet, uint32_t d)
{
	struct fleet_deployment *deployment = &fleet->deployments[d];

	if (!deployment->restarting && !deployment->scaling)
		return;
	if (fleet_ready_units(fleet, UNIT_REPLICA, d) != deployment->replicas ||
	    count_units(fleet, UNIT_REPLICA, d) != deployment->replicas)
		return;
	deployment->restarting = deployment->scaling = false;
	fleet_touch(fleet);
}

void fleet_tick(struct fleet *fleet, nanos now)
{
	for (uint32_t d = 0; d < FLEET_DEPLOYMENTS_MAX; d++) {
		if (!fleet->deployments[d].used)
			continue;
		tick_counts(fleet, d, now);
		settle(fleet, d);
	}
	for (uint32_t j = 0; j < FLEET_JOBS_MAX; j++)
		if (fleet->jobs[j].used)
			fleet_tick_job(fleet, j, now);
	for (uint32_t u = 0; u < fleet->unit_count; u++) {
		struct unit *unit = &fleet->units[u];

		if (unit->phase != UNIT_FREE && unit->kind == UNIT_REPLICA)
			tick_replica(fleet, unit, now);
		else if (unit->phase == UNIT_HELD && unit->due <= now)
			begin(fleet, unit, now);
	}
}

void fleet_restart(struct fleet *fleet, uint32_t d, nanos now)
{
	fleet->deployments[d].restarting = true;
	fleet_touch(fleet);
	for (uint32_t u = 0; u < fleet->unit_count; u++) {
		struct unit *unit = &fleet->units[u];

		if (unit->phase == UNIT_FREE || unit->phase == UNIT_QUEUED ||
		    unit->kind != UNIT_REPLICA || unit->owner != d ||
		    (unit->phase == UNIT_STOPPING && unit->after == AFTER_STOP_FREE))
			continue;
		fleet_stop(fleet, unit, AFTER_STOP_START, now);
	}
}

void fleet_evict(struct fleet *fleet, uint32_t node, nanos now)
{
	for (uint32_t u = 0; u < fleet->unit_count; u++) {
		struct unit *unit = &fleet->units[u];

		if (unit->phase == UNIT_FREE || unit->kind != UNIT_REPLICA || unit->node != node ||
		    (unit->phase == UNIT_STOPPING && unit->after == AFTER_STOP_FREE))
			continue;
		fleet_stop(fleet, unit, AFTER_STOP_QUEUE, now);
	}
}

/* ---- what people see ---- */

uint32_t fleet_ready_units(const struct fleet *fleet, enum unit_kind kind, uint32_t owner)
{
	uint32_t count = 0;

	for (uint32_t u = 0; u < fleet->unit_count; u++) {
		const struct unit *unit = &fleet->units[u];

		count += unit->phase == UNIT_RUNNING && unit->ready && unit->kind == kind &&
			 unit->owner == owner;
	}
	return count;
}

enum lepton_state fleet_deployment_state(const struct fleet *fleet, uint32_t d)
{
	const struct fleet_deployment *deployment = &fleet->deployments[d];
	bool refused = false, moving = false, began = false;

	if (deployment->deleting)
		return LEPTON_DELETING;
	if (deployment->replicas == 0)
		return count_units(fleet, UNIT_REPLICA, d) ? LEPTON_STOPPING : LEPTON_STOPPED;
	if (fleet_ready_units(fleet, UNIT_REPLICA, d) >= deployment->replicas)
		return LEPTON_READY;
	for (uint32_t u = 0; u < fleet->unit_count; u++) {
		const struct unit *unit = &fleet->units[u];

		if (unit->phase == UNIT_FREE || unit->kind != UNIT_REPLICA || unit->owner != d)
			continue;
		refused |= unit->phase == UNIT_STARTING && unit->refused;
		moving |= unit->phase == UNIT_STOPPING && unit->after == AFTER_STOP_QUEUE;
		began |= unit->ready || unit->termination_count > 0 || unit->was_ready;
	}
	if (refused)
		return LEPTON_ERROR;
	if (deployment->restarting)
		return LEPTON_RESTARTING;
	if (moving)
		return LEPTON_MIGRATING;
	if (!began)
		return LEPTON_STARTING;
	return deployment->scaling ? LEPTON_SCALING : LEPTON_NOT_READY;
}

static void say(char *message, const char *text)
{
	snprintf(message, FLEET_MESSAGE_MAX, "%s", text);
}

enum lepton_reason fleet_reason(const struct fleet *fleet, const struct unit *unit, char *message)
{
	say(message, "");
	if (unit->lost) {
		say(message, "its node does not answer");
		return LEPTON_REASON_UNKNOWN;
	}
	switch (unit->phase) {
	case UNIT_FREE:
		return LEPTON_REASON_DELETED;
	case UNIT_QUEUED:
		say(message, unit->full ? "no node has the GPUs" : "waits for a node");
		return unit->full ? LEPTON_REASON_NO_CAPACITY : LEPTON_REASON_QUEUEING;
	case UNIT_HELD:
		if (unit->hold != HOLD_BACKOFF || unit->crashes == 0) {
			say(message, unit->hold == HOLD_ALLOCATION ? "nodes are being allocated"
								   : "starts again");
			return unit->hold == HOLD_BACKOFF ? LEPTON_REASON_IN_PROGRESS
							  : LEPTON_REASON_QUEUEING;
		}
		snprintf(message, FLEET_MESSAGE_MAX, "exit code %d: %.150s", unit->exit_code,
			 unit->message);
		return LEPTON_REASON_SYSTEM_ERROR;
	case UNIT_STARTING:
	case UNIT_RUNNING:
		if (unit->refused) {
			say(message, unit->message);
			return LEPTON_REASON_CONFIG_ERROR;
		}
		say(message, unit->ready ? "" : "the container starts");
		return unit->ready ? LEPTON_REASON_READY : LEPTON_REASON_IN_PROGRESS;
	case UNIT_STOPPING:
		say(message, "the container is being stopped");
		return LEPTON_REASON_DELETING;
	case UNIT_OVER:
		snprintf(message, FLEET_MESSAGE_MAX, "exit code %d: %.150s", unit->exit_code,
			 unit->message);
		return unit->exit_code == 0 ? LEPTON_REASON_DELETED : LEPTON_REASON_SYSTEM_ERROR;
	}
	(void)fleet;
	return LEPTON_REASON_UNKNOWN;
}
