/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wall clocks that are wrong: what runs on a node that a step may hit reads its time through
 * libfaketime from its start on, and from a file of the drill how far it is off. Monotonic clocks
 * stay right: no platform compares those of two machines.
 */
#include <stdlib.h>

#include "drivers/linux/clock.h"
#include "drivers/process/effects.h"
#include "drivers/process/planned.h"

#define LOOK (10 * NANOS_MS) /* a clock is read no better than this, by a program that starts */

int clocks_open(struct real *real, struct error *e)
{
	for (uint32_t n = 0; n < real->node_count; n++) {
		const char *path;
		if (!planned_on_node(real, EFFECT_BIT(EFFECT_CLOCK_SKEW), n))
			continue;
		path = arena_printf(&real->arena, "%s/clock-%u", real->journal->work, n);
		if (clock_wall_fits(real->program, e) ||
		    clock_wall_open(path, real->journal, &real->arena, &real->clocks[n], e))
			return -1;
	}
	return 0;
}

void clocks_close(struct real *real)
{
	for (uint32_t n = 0; n < real->node_count; n++) {
		struct error error = {.kind = ERROR_NONE};
		if (real->clocks[n])
			clock_wall_close(real->clocks[n], &error);
		real->clocks[n] = NULL;
	}
}

const char *const *clocks_environment(const struct real *real, const struct node *node)
{
	const struct clock_wall *wall = real->clocks[node - real->nodes];

	return wall ? clock_wall_environment(wall) : NULL;
}

/* All nodes that the entity names: one, or those of a site. */
static int set_all(struct real *real, const struct entity *entity, nanos ahead, struct error *e)
{
	for (uint32_t n = 0; n < real->node_count; n++) {
		const struct node *node = &real->nodes[n];
		if (node->site != entity->site || !real->clocks[n] ||
		    !readings_holds_node(&real->scenario->deployment.sites[node->site], entity,
					 node->index))
			continue;
		if (clock_wall_set(real->clocks[n], ahead, e))
			return -1;
	}
	return 0;
}

int clocks_skew(struct real *real, struct fault_state *fault, struct error *e)
{
	return set_all(real, &fault->effect.entity, fault->effect.amount, e);
}

int clocks_right(struct real *real, struct fault_state *fault, struct error *e)
{
	return set_all(real, &fault->effect.entity, 0, e);
}

/* What a program that starts there now sees: the worst of them. */
void clocks_read(struct real *real, const struct entity *entity, struct reading *ret)
{
	const char *const argv[] = {real->program, "clock", NULL};

	for (uint32_t n = 0; n < real->node_count; n++) {
		const struct node *node = &real->nodes[n];
		struct error error = {.kind = ERROR_NONE};
		struct clock_reading ahead;
		if (node->site != entity->site || !real->clocks[n] ||
		    !readings_holds_node(&real->scenario->deployment.sites[node->site], entity,
					 node->index) ||
		    clock_wall_look(real->clocks[n], argv, &ahead, &error))
			continue;
		nanos off = (ahead.wall + (ahead.wall < 0 ? -LOOK : LOOK) / 2) / LOOK * LOOK;
		off = off < 0 ? -off : off;
		ret->clock_offset = off > ret->clock_offset ? off : ret->clock_offset;
	}
}

bool clocks_skewed(struct real *real, const struct fault_state *fault)
{
	struct reading now = {.clock_offset = 0};

	clocks_read(real, &fault->effect.entity, &now);
	return now.clock_offset >= llabs(fault->effect.amount) / 2;
}
