/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.rate: there is less bandwidth than planned.
 *
 * In the field a link of a bundle fails, a provider throttles, another tenant's transfer shares
 * the line, or a failover carries traffic over the small line that was meant for management.
 * Nothing fails: requests pass, and replication, backup and restore take longer by whole factors.
 * A restore that fits into the RTO at full rate does not at a tenth of it. The effect leaves
 * `rate` of bandwidth to the target, in each direction. The preset is a choice for a drill.
 */
#include <math.h>

#include "faults/faults.h"

struct net_rate {
	double rate;
};

static const struct param params[] = {
	{.name = "rate",
	 .type = PARAM_RATE,
	 .offset = offsetof(struct net_rate, rate),
	 .preset = "1Gbit/s",
	 .min = 1,
	 .max = INFINITY,
	 .help = "Bandwidth that is left, each way."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct net_rate *net = values;
	const struct effect effect = {
		.kind = EFFECT_NET_RATE,
		.amount = faults_rate(net->rate),
	};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_net_rate = {
	.name = "net.rate",
	.group = "net",
	.help = "Less bandwidth is left from and to the target.",
	.params = params,
	.params_size = sizeof(struct net_rate),
	.needs = EFFECT_BIT(EFFECT_NET_RATE),
	.targets = TARGET_BIT(ENTITY_SITE) | TARGET_BIT(ENTITY_NODE) | TARGET_BIT(ENTITY_LINK),
	.plan = plan,
};
