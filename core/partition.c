/* SPDX-License-Identifier: Apache-2.0 */
/* The shapes of a network partition. */
#include "core/partition.h"

#include <assert.h>
#include <stdbool.h>

#include "core/prng.h"

const char *const partition_shape_names[] = {"halves",          "one",    "majority",
					     "majorities-ring", "bridge", "custom"};
const char *const partition_direction_names[] = {"to", "from", "both"};

static const uint32_t fewest[] = {
	[PARTITION_HALVES] = 2,          [PARTITION_ONE] = 2,    [PARTITION_MAJORITY] = 3,
	[PARTITION_MAJORITIES_RING] = 4, [PARTITION_BRIDGE] = 3, [PARTITION_CUSTOM] = 2,
};

struct plan {
	const struct partition_config *config;
	uint32_t *order;  /* of each member: its place after shuffling */
	uint32_t *groups; /* of each member */
	struct partition_pair *pairs;
	size_t count;
};

/* Fisher and Yates, from the end. */
static void shuffle(struct plan *plan, struct arena *arena)
{
	const struct partition_config *config = plan->config;
	uint32_t *members = arena_array(arena, config->member_count, sizeof(*members));
	struct prng prng;

	prng_open(&prng, config->seed, config->trial, config->entity, PRNG_PARTITION);
	for (uint32_t i = 0; i < config->member_count; i++)
		members[i] = i;
	for (uint32_t i = (uint32_t)config->member_count - 1; i > 0; i--) {
		uint32_t other = (uint32_t)prng_below(&prng, i + 1), held = members[i];

		members[i] = members[other];
		members[other] = held;
	}
	for (uint32_t i = 0; i < config->member_count; i++)
		plan->order[members[i]] = i;
}

/* The side of the member at a place of the shuffled row. */
static uint32_t group_at(const struct partition_config *config, uint32_t place)
{
	uint32_t count = (uint32_t)config->member_count, half = count / 2;

	switch (config->shape) {
	case PARTITION_HALVES:
		return place < half ? 0 : 1;
	case PARTITION_ONE:
		return place < 1 ? 0 : 1;
	case PARTITION_MAJORITY:
		return place < (count - 1) / 2 ? 0 : 1;
	case PARTITION_BRIDGE:
		half = (count - 1) / 2;
		return place == half ? PARTITION_REACHES_ALL : place < half ? 0 : 1;
	case PARTITION_MAJORITIES_RING:
	case PARTITION_CUSTOM:
		break;
	}
	return place; /* of a ring everyone is a side of its own */
}

static uint32_t around(uint32_t a, uint32_t b, uint32_t count)
{
	uint32_t distance = a < b ? b - a : a - b;

	return distance < count - distance ? distance : count - distance;
}

static bool is_cut(const struct plan *plan, uint32_t a, uint32_t b)
{
	uint32_t count = (uint32_t)plan->config->member_count, majority = count / 2 + 1;

	if (plan->config->shape == PARTITION_MAJORITIES_RING)
		return around(plan->order[a], plan->order[b], count) > majority / 2;
	return plan->groups[a] != plan->groups[b] && plan->groups[a] != PARTITION_REACHES_ALL &&
	       plan->groups[b] != PARTITION_REACHES_ALL;
}

/* Does what `from` sends get lost? */
static bool is_lost(const struct plan *plan, uint32_t from, uint32_t to)
{
	if (from == to || !is_cut(plan, from, to))
		return false;
	switch (plan->config->direction) {
	case PARTITION_TO:
		return plan->groups[to] < plan->groups[from];
	case PARTITION_FROM:
		return plan->groups[from] < plan->groups[to];
	case PARTITION_BOTH:
		break;
	}
	return true;
}

static size_t walk(struct plan *plan)
{
	uint32_t count = (uint32_t)plan->config->member_count;
	size_t found = 0;

	for (uint32_t from = 0; from < count; from++)
		for (uint32_t to = 0; to < count; to++) {
			if (!is_lost(plan, from, to))
				continue;
			if (plan->pairs)
				plan->pairs[found] = (struct partition_pair){from, to};
			found++;
		}
	return found;
}

int partition_plan(const struct partition_config *config, struct arena *arena,
		   struct partition_pair **ret_pairs, size_t *ret_count, struct error *e)
{
	struct plan plan = {.config = config};

	assert(config->shape != PARTITION_CUSTOM || config->groups);
	if (config->member_count > PARTITION_MEMBERS_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "%zu members of a partition, at most %d",
				 config->member_count, PARTITION_MEMBERS_MAX);
	if (config->member_count < fewest[config->shape])
		return error_set(e, ERROR_SCENARIO, NO_PLACE,
				 "a partition of shape %s needs %u members at least, it has %zu",
				 partition_shape_names[config->shape], fewest[config->shape],
				 config->member_count);
	plan.order = arena_array(arena, config->member_count, sizeof(*plan.order));
	plan.groups = arena_array(arena, config->member_count, sizeof(*plan.groups));
	shuffle(&plan, arena);
	for (size_t i = 0; i < config->member_count; i++)
		plan.groups[i] = config->shape == PARTITION_CUSTOM
					 ? config->groups[i]
					 : group_at(config, plan.order[i]);
	plan.count = walk(&plan);
	if (plan.count == 0)
		return error_set(e, ERROR_SCENARIO, NO_PLACE,
				 "nothing is cut: all members of the partition are in one group");
	plan.pairs = arena_array(arena, plan.count, sizeof(*plan.pairs));
	walk(&plan);
	*ret_pairs = plan.pairs;
	*ret_count = plan.count;
	return 0;
}
