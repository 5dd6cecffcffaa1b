/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.mtu: large packets do not pass.
 *
 * In the field a tunnel or an overlay takes its bytes of each packet, one switch of many has jumbo
 * frames off, or a firewall drops the messages that path MTU discovery lives on (RFC 1191, RFC
 * 2923: a black hole). Small requests, probes among them, pass; what fills a packet does not, so
 * that a connection opens and then hangs. The effect lets packets of the target pass up to `bytes`,
 * counted from the IP header on. The preset is the least that IPv6 asks of any link.
 */
#include "faults/faults.h"

struct net_mtu {
	int64_t bytes;
};

static const struct param params[] = {
	{.name = "bytes",
	 .type = PARAM_INTEGER,
	 .offset = offsetof(struct net_mtu, bytes),
	 .preset = "1280",
	 .min = 68,
	 .max = 65535,
	 .help = "The largest packet that passes, in bytes."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct net_mtu *mtu = values;
	const struct effect effect = {.kind = EFFECT_NET_MTU, .amount = mtu->bytes};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_net_mtu = {
	.name = "net.mtu",
	.group = "net",
	.help = "Large packets from and to the target do not pass.",
	.params = params,
	.params_size = sizeof(struct net_mtu),
	.needs = EFFECT_BIT(EFFECT_NET_MTU),
	.targets = TARGET_BIT(ENTITY_SITE) | TARGET_BIT(ENTITY_NODE) | TARGET_BIT(ENTITY_LINK),
	.plan = plan,
};
