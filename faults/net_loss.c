/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.loss: packets are lost.
 *
 * In the field a dirty fibre, an overrun buffer or a failing switch: most packets come through,
 * the others must be sent again. TCP takes loss for congestion and slows down far more than the
 * share that is lost; probes miss now and then, so a detector that wants one miss raises false
 * alarms, and one that wants many sees nothing. The effect loses `percent` of the packets of the
 * target, in each direction. The preset is a choice for a drill.
 */
#include "faults/faults.h"

struct net_loss {
	double percent;
};

static const struct param params[] = {
	{.name = "percent",
	 .type = PARAM_PERCENT,
	 .offset = offsetof(struct net_loss, percent),
	 .preset = "10%",
	 .min = 1e-6,
	 .max = 1,
	 .help = "Share of the packets that is lost, each way."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct net_loss *loss = values;
	const struct effect effect = {
		.kind = EFFECT_NET_LOSS,
		.amount = faults_ppm(loss->percent),
	};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_net_loss = {
	.name = "net.loss",
	.group = "net",
	.help = "A share of the packets from and to the target is lost.",
	.params = params,
	.params_size = sizeof(struct net_loss),
	.needs = EFFECT_BIT(EFFECT_NET_LOSS),
	.targets = TARGET_BIT(ENTITY_SITE) | TARGET_BIT(ENTITY_NODE) | TARGET_BIT(ENTITY_LINK),
	.plan = plan,
};
