/* SPDX-License-Identifier: Apache-2.0 */
/*
 * traffic.surge: there are many more requests than usual.
 *
 * In the field a launch, a link that goes round, a client that retries without back-off, or the
 * traffic of a failed neighbour: more comes in than the replicas can work on. Queues grow,
 * requests pass their time limit after the work on them was done, clients send them again. It may
 * not end with its cause, and a failover then moves the load to a standby that is smaller and
 * colder. The effect multiplies the rate of requests to the endpoint. The preset is a choice for a
 * drill.
 */
#include "faults/faults.h"

struct traffic_surge {
	double multiplier;
};

static const struct param params[] = {
	{.name = "multiplier",
	 .type = PARAM_NUMBER,
	 .offset = offsetof(struct traffic_surge, multiplier),
	 .preset = "3",
	 .min = 1.001,
	 .max = 1000,
	 .help = "How many times the usual rate."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct traffic_surge *surge = values;
	const struct effect effect = {
		.kind = EFFECT_LOAD_SURGE,
		.amount = faults_ppm(surge->multiplier - 1),
	};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_traffic_surge = {
	.name = "traffic.surge",
	.group = "traffic",
	.help = "Many more requests than usual come to the endpoint.",
	.params = params,
	.params_size = sizeof(struct traffic_surge),
	.needs = EFFECT_BIT(EFFECT_LOAD_SURGE),
	.targets = TARGET_BIT(ENTITY_ENDPOINT),
	.plan = plan,
};
