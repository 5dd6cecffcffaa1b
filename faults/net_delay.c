/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.delay: packets take longer.
 *
 * In the field traffic is rerouted over a longer way, a queue fills up, or a link retransmits:
 * nothing is lost, but every packet comes later, and not equally so. Replication falls behind,
 * tight probe time-outs call a healthy target dead, requests miss their limit. The effect adds
 * `latency` to each packet in each direction, with `jitter` as the standard deviation; a round trip
 * grows by twice that. On a link it is replication that gets older, and every transfer that ends
 * later, by one way; jitter averages out over the packets of a transfer. A model without packets
 * takes all of them, both ways, and jitter as normal.
 */
#include "faults/packets.h"

struct net_delay {
	struct packets packets;
	nanos latency;
	nanos jitter;
	int distribution;
};

static const struct param params[] = {
	{.name = "latency",
	 .type = PARAM_DURATION,
	 .offset = offsetof(struct net_delay, latency),
	 .preset = "100ms",
	 .min = 1,
	 .max = 3600e9,
	 .help = "What is added to each packet, one way."},
	{.name = "jitter",
	 .type = PARAM_DURATION,
	 .offset = offsetof(struct net_delay, jitter),
	 .preset = "0s",
	 .min = 0,
	 .max = 3600e9,
	 .help = "Standard deviation of what is added."},
	{.name = "distribution",
	 .type = PARAM_CHOICE,
	 .offset = offsetof(struct net_delay, distribution),
	 .preset = "normal",
	 .choices = delay_distribution_names,
	 .help = "Of what is added; uniform: latency - jitter to latency + jitter."},
	PACKETS_CORRELATION,
	PACKETS_ROWS,
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct net_delay *delay = values;
	struct impairment impairment = packets_choose(&delay->packets);
	struct effect effect = {
		.kind = EFFECT_NET_DELAY,
		.amount = delay->latency,
		.spread = delay->jitter,
	};

	(void)prng;
	impairment.distribution = (enum delay_distribution)delay->distribution;
	effect.impairment = packets_keep(out, &impairment);
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_net_delay = {
	.name = "net.delay",
	.group = "net",
	.help = "Packets from and to the target take longer.",
	.params = params,
	.params_size = sizeof(struct net_delay),
	.needs = EFFECT_BIT(EFFECT_NET_DELAY),
	.targets = TARGET_BIT(ENTITY_SITE) | TARGET_BIT(ENTITY_NODE) | TARGET_BIT(ENTITY_LINK),
	.plan = plan,
};
