/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.corrupt: packets are damaged on the way.
 *
 * In the field a bad cable, a dirty connector or a failing card flips bits. A checksum finds it and
 * the packet is dropped, so that it looks like loss to whoever does not read the counters of the
 * card; one in 65536 that only the TCP checksum looks at is not found (Stone and Partridge, "When
 * the CRC and TCP Checksum Disagree", SIGCOMM 2000), and then wrong bytes are taken for right ones.
 * The effect flips one bit of `percent` of the packets of the target, in each direction. The preset
 * is a choice for a drill.
 */
#include "faults/packets.h"

struct net_corrupt {
	struct packets packets;
	double percent;
};

static const struct param params[] = {
	PACKETS_ROWS,
	{.name = "percent",
	 .type = PARAM_PERCENT,
	 .offset = offsetof(struct net_corrupt, percent),
	 .preset = "0.1%",
	 .min = 1e-6,
	 .max = 1,
	 .help = "Share of the packets that is damaged, each way."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct net_corrupt *corrupt = values;
	struct impairment impairment = packets_choose(&corrupt->packets);
	struct effect effect = {
		.kind = EFFECT_NET_CORRUPT,
		.amount = faults_ppm(corrupt->percent),
	};

	(void)prng;
	effect.impairment = packets_keep(out, &impairment);
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_net_corrupt = {
	.name = "net.corrupt",
	.group = "net",
	.help = "A share of the packets from and to the target is damaged.",
	.params = params,
	.params_size = sizeof(struct net_corrupt),
	.needs = EFFECT_BIT(EFFECT_NET_CORRUPT),
	.targets = TARGET_BIT(ENTITY_SITE) | TARGET_BIT(ENTITY_NODE) | TARGET_BIT(ENTITY_LINK),
	.plan = plan,
};
