/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.reorder: packets overtake each other.
 *
 * In the field traffic is spread over several ways that are not equally long, or a queue serves
 * another first: nothing is lost, but it comes in another order. TCP takes three later segments in
 * a row for the loss of an earlier one (RFC 5681, section 3.2), sends it again and slows down; what
 * reads datagrams has to sort them. The effect holds all packets of the target back for `delay` but
 * for `percent` of them, which go at once, past those that wait, as netem does; with `gap` only
 * each gap-th packet may do so. The presets are those of netem's manual.
 */
#include "faults/packets.h"

struct net_reorder {
	struct packets packets;
	double percent;
	int64_t gap;
	nanos delay;
};

static const struct param params[] = {
	PACKETS_ROWS,
	PACKETS_CORRELATION,
	{.name = "percent",
	 .type = PARAM_PERCENT,
	 .offset = offsetof(struct net_reorder, percent),
	 .preset = "25%",
	 .min = 1e-6,
	 .max = 1,
	 .help = "Share of the packets that goes before others, each way."},
	{.name = "gap",
	 .type = PARAM_INTEGER,
	 .offset = offsetof(struct net_reorder, gap),
	 .preset = "0",
	 .min = 0,
	 .max = 1000000,
	 .help = "Only each gap-th packet may go before others; 0: each."},
	{.name = "delay",
	 .type = PARAM_DURATION,
	 .offset = offsetof(struct net_reorder, delay),
	 .preset = "10ms",
	 .min = 1,
	 .max = 3600e9,
	 .help = "For so long the others are held back."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct net_reorder *reorder = values;
	struct impairment impairment = packets_choose(&reorder->packets);
	struct effect effect = {
		.kind = EFFECT_NET_REORDER,
		.amount = faults_ppm(reorder->percent),
		.spread = reorder->delay,
	};

	(void)prng;
	impairment.gap = (uint32_t)reorder->gap;
	effect.impairment = packets_keep(out, &impairment);
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_net_reorder = {
	.name = "net.reorder",
	.group = "net",
	.help = "Packets from and to the target overtake each other.",
	.params = params,
	.params_size = sizeof(struct net_reorder),
	.needs = EFFECT_BIT(EFFECT_NET_REORDER),
	.targets = TARGET_BIT(ENTITY_SITE) | TARGET_BIT(ENTITY_NODE) | TARGET_BIT(ENTITY_LINK),
	.plan = plan,
};
