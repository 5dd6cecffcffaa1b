/* SPDX-License-Identifier: Apache-2.0 */
/*
 * standby.undersized: the standby has fewer nodes than the plan says.
 *
 * In the field the primary grew and the standby did not, nodes there were lent to someone else or
 * are broken and nobody was in a hurry: the takeover works, and then there is no room for all
 * replicas. Service comes back with less capacity, a queue grows, and what starts does not start.
 * Nothing shows before, since a standby has no load. The effect lets `share` of the standby's
 * nodes take no pods. The preset is a choice for a drill.
 */
#include "faults/faults.h"

struct standby_undersized {
	double share;
};

static const struct param params[] = {
	{.name = "share",
	 .type = PARAM_PERCENT,
	 .offset = offsetof(struct standby_undersized, share),
	 .preset = "50%",
	 .min = 1e-6,
	 .max = 1,
	 .help = "Share of its nodes that is missing."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct standby_undersized *undersized = values;
	const struct effect effect = {
		.kind = EFFECT_STANDBY_SMALL,
		.amount = faults_ppm(undersized->share),
	};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_standby_undersized = {
	.name = "standby.undersized",
	.group = "standby",
	.help = "The standby has fewer nodes than the plan says.",
	.params = params,
	.params_size = sizeof(struct standby_undersized),
	.needs = EFFECT_BIT(EFFECT_STANDBY_SMALL),
	.targets = TARGET_BIT(ENTITY_STANDBY),
	.plan = plan,
};
