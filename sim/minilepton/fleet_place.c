/* SPDX-License-Identifier: Apache-2.0 */
/* Which node, which GPUs, which ports: spread over a group's nodes, adjacent GPUs, first fit. */
#include <assert.h>
#include <string.h>

#include "sim/minilepton/fleet.h"

#define PAIRS (FLEET_PORTS_MAX / 2)

static uint64_t mask(uint32_t gpu, uint32_t count)
{
	uint64_t ones = count >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << count) - 1;
	return count ? ones << gpu : 0;
}

bool fleet_node_ready(const struct fleet_node *node)
{
	return node->seen && node->misses < FLEET_MISSES;
}

bool fleet_all_asked(const struct fleet *fleet)
{
	for (uint32_t n = 0; n < fleet->node_count; n++)
		if (!fleet->nodes[n].asked)
			return false;
	return true;
}

bool fleet_node_fits(const struct fleet *fleet, uint32_t node)
{
	const struct fleet_node *n = &fleet->nodes[node];
	return fleet_node_ready(n) && n->misses == 0 && n->schedulable;
}

/* The first `count` adjacent GPUs that are there and free. */
static bool find_gpus(const struct fleet_node *node, uint32_t count, uint32_t *ret_gpu)
{
	for (uint32_t g = 0; g + count <= node->gpus; g++) {
		if ((node->gpus_used | node->gpus_gone) & mask(g, count))
			continue;
		*ret_gpu = g;
		return true;
	}
	return count == 0;
}

static bool find_pair(const struct fleet_node *node, uint32_t *ret_pair)
{
	for (uint32_t k = 0; k < PAIRS; k++) {
		if (node->ports[k / 64] >> (k % 64) & 1)
			continue;
		*ret_pair = k;
		return true;
	}
	return false;
}

bool fleet_place_on(struct fleet *fleet, struct unit *unit, uint32_t node)
{
	struct fleet_node *n = &fleet->nodes[node];
	uint32_t gpu = 0, pair = 0;

	assert(unit->node == FLEET_NONE);
	if (!find_gpus(n, unit->gpus, &gpu) || !find_pair(n, &pair))
		return false;
	n->gpus_used |= mask(gpu, unit->gpus);
	n->ports[pair / 64] |= (uint64_t)1 << (pair % 64);
	unit->node = node;
	unit->gpu = gpu;
	unit->port = 2 * pair;
	unit->seen_starts = 0;
	unit->told = unit->lost = unit->full = false;
	fleet_touch(fleet);
	unit->version = fleet->version;
	return true;
}

void fleet_unplace(struct fleet *fleet, struct unit *unit)
{
	struct fleet_node *n;
	uint32_t pair = unit->port / 2;

	if (unit->node == FLEET_NONE)
		return;
	n = &fleet->nodes[unit->node];
	n->gpus_used &= ~mask(unit->gpu, unit->gpus);
	n->ports[pair / 64] &= ~((uint64_t)1 << (pair % 64));
	unit->node = FLEET_NONE;
	unit->ready = unit->lost = unit->told = false;
	unit->pid = 0;
	fleet_touch(fleet);
}

static bool allowed(const struct fleet_deployment *deployment, const struct fleet_node *node)
{
	if (deployment->group_count == 0)
		return true;
	for (uint32_t i = 0; i < deployment->group_count; i++)
		if (!strcmp(deployment->groups[i], node->group))
			return true;
	return false;
}

/* Starting at the replica's own number among the nodes allowed, so that replicas spread. */
bool fleet_place(struct fleet *fleet, struct unit *unit, const struct fleet_deployment *deployment)
{
	uint32_t count = 0, seen = 0, first;

	for (uint32_t n = 0; n < fleet->node_count; n++)
		count += allowed(deployment, &fleet->nodes[n]);
	if (count == 0)
		return false;
	first = unit->ordinal % count;
	for (uint32_t pass = 0; pass < 2; pass++) {
		seen = 0;
		for (uint32_t n = 0; n < fleet->node_count; n++) {
			bool late;

			if (!allowed(deployment, &fleet->nodes[n]))
				continue;
			late = seen++ >= first;
			if (late != (pass == 0) || fleet->nodes[n].reserved ||
			    !fleet_node_fits(fleet, n))
				continue;
			if (fleet_place_on(fleet, unit, n))
				return true;
		}
	}
	return false;
}

uint32_t fleet_node_slots(const struct fleet_node *node, uint32_t gpus)
{
	uint32_t slots = 0;

	if (gpus == 0)
		return 1;
	for (uint32_t g = 0; g + gpus <= node->gpus;) {
		bool taken = (node->gpus_used | node->gpus_gone) & mask(g, gpus);

		slots += !taken;
		g += taken ? 1 : gpus;
	}
	return slots;
}
