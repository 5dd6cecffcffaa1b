/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.blackhole: what is sent to the service vanishes, the rest passes.
 *
 * In the field a firewall rule, a security group or a stale route swallows what is meant for the
 * service's ports: no answer and no refusal, so callers wait for their time-out instead of failing
 * at once. Ping, the agent and the BMC are as before, and a probe of the node says that all is
 * well; only a probe of the service itself sees it. The effect drops all requests to the service
 * ports of the target.
 */
#include "faults/faults.h"

static const struct param params[] = {PARAMS_END};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	(void)values;
	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_NET_DROP}, entities, count, out, e);
}

const struct fault_ops fault_net_blackhole = {
	.name = "net.blackhole",
	.group = "net",
	.help = "Requests to the service vanish without an answer; the rest passes.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_NET_DROP),
	.targets = TARGET_BIT(ENTITY_SITE) | TARGET_BIT(ENTITY_NODE),
	.plan = plan,
};
