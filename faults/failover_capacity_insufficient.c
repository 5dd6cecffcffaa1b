/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failover.capacity_insufficient: no GPUs are to be had where the service should go.
 *
 * In the field the plan is to get machines at the moment of the failover, from a reservation that
 * has lapsed or from the open market, and everybody else in the failed zone wants the same ones at
 * the same time: the platform answers NoCapacity, the new pods stay pending, and the takeover
 * waits. What runs there already goes on; a hot standby does not notice, a cold one never comes
 * up. The effect lets the standby's site place no new pods. It is k8s.pending_pods at the one site
 * where it hurts most; the loader takes the name of a standby site for the standby, and a site
 * that serves is refused.
 */
#include "faults/faults.h"

static const struct param params[] = {PARAMS_END};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	(void)values;
	(void)prng;
	for (size_t i = 0; i < count; i++) {
		struct effect effect = {.kind = EFFECT_NO_CAPACITY, .fraction = 1};

		/* What lacks room is the site that the standby is. */
		effect.entity = (struct entity){.kind = ENTITY_SITE, .site = entities[i].site};
		if (effects_add(out, effect, e))
			return -1;
	}
	return 0;
}

const struct fault_ops fault_failover_capacity_insufficient = {
	.name = "failover.capacity_insufficient",
	.group = "failover",
	.help = "No GPUs are to be had at the standby: new pods stay pending.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_NO_CAPACITY),
	.targets = TARGET_BIT(ENTITY_STANDBY),
	.plan = plan,
};
