/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zone.outage: a whole site goes dark.
 *
 * In the field the utility feed and the generators behind it, the cooling, or a fire alarm: every
 * node of the availability zone loses power at once, its storage and its network with them.
 * Nothing there can be repaired in the time of a failover, and backups kept in the same site are
 * out of reach. The effect takes the power from all nodes of the site.
 */
#include "faults/faults.h"

static const struct param params[] = {PARAMS_END};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	(void)values;
	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_POWER_OFF}, entities, count, out, e);
}

const struct fault_ops fault_zone_outage = {
	.name = "zone.outage",
	.group = "zone",
	.help = "A whole site goes dark: none of its nodes has power.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_POWER_OFF),
	.targets = TARGET_BIT(ENTITY_SITE),
	.plan = plan,
};
