/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.reset_peer: connections to the target's service ports are reset.
 *
 * In the field a firewall or load balancer forgets its connections, a proxy is restarted, or a
 * process runs out of descriptors: the peer gets a RST instead of an answer, `connection reset by
 * peer`. It is told at once, so that a client with retries goes elsewhere within a round trip, and
 * one without sees an error each time; whether what it had sent was carried out, nobody can tell
 * it. The effect resets each connection to the service ports `timeout` after it was opened, those
 * that are open included; 0 resets it at once.
 */
#include "faults/faults.h"

struct net_reset_peer {
	nanos timeout;
};

static const struct param params[] = {
	{.name = "timeout",
	 .type = PARAM_DURATION,
	 .offset = offsetof(struct net_reset_peer, timeout),
	 .preset = "0s",
	 .min = 0,
	 .max = 3600e9,
	 .help = "So long after it was opened a connection is reset."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct net_reset_peer *reset = values;
	const struct effect effect = {.kind = EFFECT_NET_RESET, .amount = reset->timeout};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_net_reset_peer = {
	.name = "net.reset_peer",
	.group = "net",
	.help = "Connections to the target's service ports are reset.",
	.params = params,
	.params_size = sizeof(struct net_reset_peer),
	.needs = EFFECT_BIT(EFFECT_NET_RESET),
	.targets = TARGET_BIT(ENTITY_SITE) | TARGET_BIT(ENTITY_NODE),
	.plan = plan,
};
