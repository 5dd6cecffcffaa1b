/* SPDX-License-Identifier: Apache-2.0 */
/*
 * region.outage: all sites of a region go dark.
 *
 * In the field a storm, a grid failure or an error of the operator's control plane that is shared
 * by the zones of a region: sites that were built to fail one by one fail together. A standby in
 * another zone of the same region, and a backup store there, go with the primary; that is what
 * this fault finds out. The effect takes the power from every site that is named: the target
 * region/NAME names all sites of a region, where zone.outage is about one of them.
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

const struct fault_ops fault_region_outage = {
	.name = "region.outage",
	.group = "region",
	.help = "All sites of a region go dark, a standby there as well.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_POWER_OFF),
	.targets = TARGET_BIT(ENTITY_SITE),
	.plan = plan,
	.example = "region/eu-1",
};
