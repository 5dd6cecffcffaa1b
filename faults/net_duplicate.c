/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.duplicate: packets come twice.
 *
 * In the field a loop in the network, a bonded interface that sends on both of its ports, or a
 * switch that floods while it learns: every copy takes its share of the bandwidth, and what does
 * not count its packets sees a message twice. TCP drops the copies. The effect sends `percent` of
 * the packets of the target twice, in each direction. The preset is a choice for a drill. A model
 * without packets takes the bandwidth alone.
 */
#include "faults/packets.h"

struct net_duplicate {
	struct packets packets;
	double percent;
};

static const struct param params[] = {
	PACKETS_ROWS,
	{.name = "percent",
	 .type = PARAM_PERCENT,
	 .offset = offsetof(struct net_duplicate, percent),
	 .preset = "1%",
	 .min = 1e-6,
	 .max = 1,
	 .help = "Share of the packets that come twice, each way."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct net_duplicate *duplicate = values;
	struct impairment impairment = packets_choose(&duplicate->packets);
	struct effect effect = {
		.kind = EFFECT_NET_DUPLICATE,
		.amount = faults_ppm(duplicate->percent),
	};

	(void)prng;
	effect.impairment = packets_keep(out, &impairment);
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_net_duplicate = {
	.name = "net.duplicate",
	.group = "net",
	.help = "A share of the packets from and to the target comes twice.",
	.params = params,
	.params_size = sizeof(struct net_duplicate),
	.needs = EFFECT_BIT(EFFECT_NET_DUPLICATE),
	.targets = TARGET_BIT(ENTITY_SITE) | TARGET_BIT(ENTITY_NODE) | TARGET_BIT(ENTITY_LINK),
	.plan = plan,
};
