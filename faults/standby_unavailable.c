/* SPDX-License-Identifier: Apache-2.0 */
/*
 * standby.unavailable: the standby cannot take over.
 *
 * In the field the spare capacity was given to someone else, the quota is zero, the credentials
 * have expired, or the standby was never set up as the plan says; it is found out on the day it
 * is needed. Service is not hurt until there is a second fault, so nobody notices. The effect
 * makes the standby unusable for a takeover and leaves the primary alone. The loader takes the name
 * of a standby site for the standby; a site that serves is refused.
 */
#include "faults/faults.h"

static const struct param params[] = {PARAMS_END};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	(void)values;
	(void)prng;
	for (size_t i = 0; i < count; i++) {
		struct effect effect = {.kind = EFFECT_STANDBY_OUT, .fraction = 1};

		effect.entity = (struct entity){.kind = ENTITY_STANDBY, .site = entities[i].site};
		if (effects_add(out, effect, e))
			return -1;
	}
	return 0;
}

const struct fault_ops fault_standby_unavailable = {
	.name = "standby.unavailable",
	.group = "standby",
	.help = "The standby cannot take over: no capacity, quota or access there.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_STANDBY_OUT),
	.targets = TARGET_BIT(ENTITY_STANDBY),
	.plan = plan,
};
