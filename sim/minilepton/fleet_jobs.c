/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training jobs: a gang of ranks that runs as a whole or not at all. A job gets its nodes and its
 * spares at the start and keeps them; a rank whose node has failed starts again on a spare.
 */
#include <stdio.h>
#include <string.h>

#include "sim/minilepton/fleet.h"

const char *const fleet_job_state_names[] = {
	"Starting", "Running",  "Failed",     "Completed", "Stopped",
	"Stopping", "Deleting", "Restarting", "Queueing",
};

static void enter(struct fleet *fleet, struct fleet_job *job, enum job_state state,
		  const char *message, nanos now)
{
	if (job->state == state && !strcmp(job->message, message))
		return;
	job->state = state;
	snprintf(job->message, sizeof(job->message), "%s", message);
	fleet_tell(fleet, state == JOB_FAILED || state == JOB_RESTARTING,
		   fleet_job_state_names[state], "Job", job->name, message, now);
}

/* The next unit that is a rank of it, from *cursor on; NULL at the end. */
static struct unit *rank_of(struct fleet *fleet, uint32_t j, uint32_t *cursor)
{
	while (*cursor < fleet->unit_count) {
		struct unit *unit = &fleet->units[(*cursor)++];

		if (unit->phase != UNIT_FREE && unit->kind == UNIT_RANK && unit->owner == j)
			return unit;
	}
	return NULL;
}

/* ---- its nodes ---- */

/* Nothing of anybody else's is on it, and nobody holds it. */
static bool empty(const struct fleet_node *node)
{
	return node->gpus_used == 0 && node->reserved == 0 && node->gpus_gone == 0;
}

static uint32_t slots(const struct fleet *fleet, uint32_t n, const struct fleet_job *job)
{
	const struct fleet_node *node = &fleet->nodes[n];

	if (strcmp(node->group, job->group) != 0 || !fleet_node_fits(fleet, n))
		return 0;
	return fleet_node_slots(node, job->gpus);
}

/* The first free nodes of its group that hold all ranks, and as many spares as are left. */
static bool admit(struct fleet *fleet, uint32_t j)
{
	struct fleet_job *job = &fleet->jobs[j];
	uint32_t room = 0, spares = 0;

	for (uint32_t n = 0; n < fleet->node_count && room < job->ranks; n++)
		if (empty(&fleet->nodes[n]))
			room += slots(fleet, n, job);
	if (room < job->ranks)
		return false;
	room = 0;
	for (uint32_t n = 0; n < fleet->node_count; n++) {
		struct fleet_node *node = &fleet->nodes[n];
		uint32_t own = empty(node) ? slots(fleet, n, job) : 0;

		if (own == 0 || (room >= job->ranks && spares >= job->spares))
			continue;
		if (room >= job->ranks)
			spares++;
		else
			room += own;
		node->reserved = j + 1;
	}
	job->admitted = true;
	fleet_touch(fleet);
	return true;
}

static void release(struct fleet *fleet, uint32_t j)
{
	for (uint32_t n = 0; n < fleet->node_count; n++)
		if (fleet->nodes[n].reserved == j + 1)
			fleet->nodes[n].reserved = 0;
	fleet->jobs[j].admitted = false;
	fleet_touch(fleet);
}

/* ---- its ranks ---- */

static bool well(const struct fleet *fleet, const struct unit *unit)
{
	uint64_t ones = unit->gpus >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << unit->gpus) - 1;
	uint64_t gpus = unit->gpus ? ones << unit->gpu : 0;

	return unit->node != FLEET_NONE && fleet_node_fits(fleet, unit->node) &&
	       !(fleet->nodes[unit->node].gpus_gone & gpus);
}

static bool place_rank(struct fleet *fleet, uint32_t j, struct unit *unit)
{
	for (uint32_t n = 0; n < fleet->node_count; n++)
		if (fleet->nodes[n].reserved == j + 1 && fleet_node_fits(fleet, n) &&
		    fleet_place_on(fleet, unit, n))
			return true;
	return false;
}

static bool make_ranks(struct fleet *fleet, uint32_t j, nanos now)
{
	struct fleet_job *job = &fleet->jobs[j];

	for (uint32_t r = 0; r < job->ranks; r++) {
		struct unit *unit = NULL;
		uint32_t cursor = 0;

		while ((unit = rank_of(fleet, j, &cursor)))
			if (unit->ordinal == r)
				break;
		if (unit)
			continue;
		unit = fleet_new_unit(fleet, UNIT_RANK, j, r, job->name, now);
		if (!unit)
			return false;
		unit->gpus = job->gpus;
	}
	return true;
}

/* All ranks get a place that is well, or the gang waits. Those that are well stay. */
static bool place_gang(struct fleet *fleet, uint32_t j, nanos now)
{
	struct unit *unit;
	uint32_t cursor = 0;
	bool all = true;

	if (!make_ranks(fleet, j, now))
		return false;
	while ((unit = rank_of(fleet, j, &cursor)))
		if (!well(fleet, unit))
			fleet_unplace(fleet, unit);
	cursor = 0;
	while ((unit = rank_of(fleet, j, &cursor)))
		if (unit->node == FLEET_NONE && !place_rank(fleet, j, unit))
			all = false;
	return all;
}

static bool over(const struct unit *unit)
{
	return unit->phase == UNIT_OVER || unit->phase == UNIT_QUEUED;
}

/* Ranks on a node that does not answer cannot be told to stop: they are given up. */
static void stop_gang(struct fleet *fleet, uint32_t j, enum unit_after after, nanos now)
{
	struct unit *unit;
	uint32_t cursor = 0;

	while ((unit = rank_of(fleet, j, &cursor))) {
		bool done = over(unit) && after == AFTER_STOP_OVER;

		if (done)
			continue;
		fleet_stop(fleet, unit, after, now);
		if (unit->phase == UNIT_STOPPING && unit->lost)
			fleet_abandon(fleet, unit, now);
	}
}

static bool gang_over(struct fleet *fleet, uint32_t j)
{
	struct unit *unit;
	uint32_t cursor = 0;

	while ((unit = rank_of(fleet, j, &cursor)))
		if (!over(unit))
			return false;
	return true;
}

/* ---- its life ---- */

static void queue(struct fleet *fleet, uint32_t j, nanos now)
{
	struct fleet_job *job = &fleet->jobs[j];
	/* Its restart time passed while it waited for a node: it begins with the node. */
	bool waited = job->failures > 0 && job->state == JOB_QUEUEING;
	struct unit *unit;
	uint32_t cursor = 0;

	if (!fleet_all_asked(fleet))
		return;
	if (!job->admitted && !admit(fleet, j)) {
		enter(fleet, job, JOB_QUEUEING, "the group has no free nodes for all ranks", now);
		return;
	}
	if (!place_gang(fleet, j, now)) {
		enter(fleet, job, JOB_QUEUEING, "a rank has no healthy node", now);
		return;
	}
	while ((unit = rank_of(fleet, j, &cursor)))
		fleet_hold(fleet, unit, HOLD_GANG, waited ? now + job->restart : now, now);
	job->failing = false;
	if (job->failures)
		enter(fleet, job, JOB_RESTARTING, "the gang starts again", now);
	else
		enter(fleet, job, JOB_STARTING, "the gang starts", now);
}

/* A rank has failed when its process did, or when its node has been away for so long that the
 * platform gives it up. */
static const struct unit *find_failed(struct fleet *fleet, uint32_t j, nanos now)
{
	struct unit *unit;
	uint32_t cursor = 0;

	while ((unit = rank_of(fleet, j, &cursor))) {
		nanos patience = fleet->rules.reschedule;

		if (unit->phase == UNIT_OVER && unit->exit_code != 0)
			return unit;
		if (unit->lost && patience != NANOS_NEVER &&
		    now - fleet->nodes[unit->node].silent_since >= patience)
			return unit;
	}
	return NULL;
}

static void run(struct fleet *fleet, uint32_t j, nanos now)
{
	struct fleet_job *job = &fleet->jobs[j];
	const struct unit *failed = find_failed(fleet, j, now);
	char text[FLEET_MESSAGE_MAX];

	if (failed) {
		job->failing = true;
		job->failures++;
		job->due = now + job->restart;
		snprintf(text, sizeof(text), "%.60s: exit code %d: %.100s", failed->id,
			 failed->lost ? 255 : failed->exit_code,
			 failed->lost ? "its node does not answer" : failed->message);
		enter(fleet, job, JOB_RESTARTING, text, now);
	} else if (gang_over(fleet, j)) {
		stop_gang(fleet, j, AFTER_STOP_FREE, now);
		release(fleet, j);
		job->completed_at = now;
		enter(fleet, job, JOB_COMPLETED, "all work is done", now);
	} else if (job->state != JOB_RUNNING &&
		   fleet_ready_units(fleet, UNIT_RANK, j) == job->ranks) {
		enter(fleet, job, JOB_RUNNING, "all ranks step", now);
	}
}

/* The other ranks see the failure themselves, as those of a real gang do; what still runs when the
 * job is to start again is stopped. */
static void fail(struct fleet *fleet, uint32_t j, nanos now)
{
	struct fleet_job *job = &fleet->jobs[j];

	if (job->retries >= 0 && (int64_t)job->failures > job->retries) {
		stop_gang(fleet, j, AFTER_STOP_OVER, now);
		if (!gang_over(fleet, j))
			return;
		stop_gang(fleet, j, AFTER_STOP_FREE, now);
		release(fleet, j);
		job->failing = false;
		job->completed_at = now;
		enter(fleet, job, JOB_FAILED, "it has failed too often", now);
		return;
	}
	if (now < job->due)
		return;
	stop_gang(fleet, j, AFTER_STOP_OVER, now);
	if (gang_over(fleet, j))
		queue(fleet, j, now);
}

static void end(struct fleet *fleet, uint32_t j, nanos now)
{
	struct fleet_job *job = &fleet->jobs[j];
	uint32_t cursor = 0;

	stop_gang(fleet, j, AFTER_STOP_FREE, now);
	if (rank_of(fleet, j, &cursor)) {
		enter(fleet, job, job->deleting ? JOB_DELETING : JOB_STOPPING,
		      "its ranks are being stopped", now);
		return;
	}
	if (job->admitted)
		release(fleet, j);
	job->failing = false;
	if (job->deleting) {
		job->used = false;
		fleet_touch(fleet);
		return;
	}
	job->failures = 0;
	enter(fleet, job, JOB_STOPPED, "stopped on request", now);
}

void fleet_tick_job(struct fleet *fleet, uint32_t j, nanos now)
{
	struct fleet_job *job = &fleet->jobs[j];

	if (job->deleting || (job->stopped && job->state != JOB_COMPLETED &&
			      job->state != JOB_FAILED && job->state != JOB_STOPPED)) {
		end(fleet, j, now);
		return;
	}
	if (job->failing) {
		fail(fleet, j, now);
		return;
	}
	switch (job->state) {
	case JOB_STOPPED:
		if (job->stopped)
			return;
		queue(fleet, j, now);
		return;
	case JOB_QUEUEING:
		queue(fleet, j, now);
		return;
	case JOB_STARTING:
	case JOB_RUNNING:
	case JOB_RESTARTING:
		run(fleet, j, now);
		return;
	case JOB_FAILED:
	case JOB_COMPLETED:
		return;
	case JOB_STOPPING:
	case JOB_DELETING:
		end(fleet, j, now); /* asked to start again meanwhile: it stops first */
		return;
	}
}
