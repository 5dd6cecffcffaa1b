/* SPDX-License-Identifier: Apache-2.0 */
/* What the steps of a drill may break. */
#include "drivers/process/planned.h"

/* The chance in it does not matter: only which things and operations can be meant. */
int planned_open(struct real *real, struct error *e)
{
	const struct scenario *scenario = real->scenario;

	real->planned = (struct effects){.arena = &real->arena};
	for (size_t i = 0; i < scenario->step_count; i++) {
		const struct step *step = &scenario->steps[i];
		struct prng prng;
		prng_open(&prng, real->seed, 0, i, PRNG_FAULT);
		if (step->fault->plan(step->params, step->target.entities, step->target.count,
				      &prng, &real->planned, e))
			return -1;
	}
	return 0;
}

static bool may_hit(const struct real *real, const struct entity *entity, uint32_t n)
{
	const struct node *node = &real->nodes[n];

	switch (entity->kind) {
	case ENTITY_SITE:
	case ENTITY_STANDBY:
	case ENTITY_RACK:
	case ENTITY_NODE:
	case ENTITY_GPU:
		return entity->site == node->site &&
		       readings_holds_node(&real->scenario->deployment.sites[node->site], entity,
					   node->index);
	case ENTITY_ENDPOINT:
	case ENTITY_REPLICA:
	case ENTITY_JOB:
	case ENTITY_RANK:
		return true; /* wherever the platform puts it */
	case ENTITY_NONE:
	case ENTITY_LINK:
	case ENTITY_STORE:
	case ENTITY_DATA:
	case ENTITY_BACKUP:
	case ENTITY_CHECKPOINT:
	case ENTITY_KINDS:
		break;
	}
	return false;
}

bool planned_on_node(const struct real *real, effect_mask kinds, uint32_t node)
{
	/* A row of `failures` draws its target anew each time. */
	for (size_t i = 0; i < real->scenario->step_count; i++)
		if (real->scenario->steps[i].when == WHEN_FAILURE &&
		    real->scenario->steps[i].fault->needs & kinds)
			return true;
	for (size_t i = 0; i < real->planned.count; i++) {
		const struct effect *effect = &real->planned.items[i];
		if (EFFECT_BIT(effect->kind) & kinds && may_hit(real, &effect->entity, node))
			return true;
	}
	return false;
}

bool planned_on_store(const struct real *real, effect_mask kinds)
{
	for (size_t i = 0; i < real->planned.count; i++)
		if (EFFECT_BIT(real->planned.items[i].kind) & kinds &&
		    real->planned.items[i].entity.kind == ENTITY_STORE)
			return true;
	return false;
}

void planned_each(const struct real *real, effect_mask kinds,
		  void (*each)(void *self, const struct effect *effect), void *self)
{
	for (size_t i = 0; i < real->planned.count; i++)
		if (EFFECT_BIT(real->planned.items[i].kind) & kinds)
			each(self, &real->planned.items[i]);
}
