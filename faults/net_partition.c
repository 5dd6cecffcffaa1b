/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.partition: the network around the target is cut.
 *
 * In the field a fibre is dug up, a router loses its routes, or a firewall rule goes wrong:
 * packets are dropped in both directions without an answer, while everything on the far side goes
 * on running. A primary cut off like this still believes that it is the primary, and what it
 * acknowledges inside the cut is lost at the takeover (two primaries, "split brain", when nobody
 * fences it). The effect closes all paths of the target, both ways.
 */
#include "faults/faults.h"

static const struct param params[] = {PARAMS_END};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	(void)values;
	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_NET_CUT}, entities, count, out, e);
}

const struct fault_ops fault_net_partition = {
	.name = "net.partition",
	.group = "net",
	.help = "The network around the target is cut; inside, all goes on running.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_NET_CUT),
	.targets = TARGET_BIT(ENTITY_SITE) | TARGET_BIT(ENTITY_NODE) | TARGET_BIT(ENTITY_LINK),
	.plan = plan,
};
