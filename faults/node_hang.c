/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.hang: a node answers, but nothing on it makes progress.
 *
 * In the field a soft lock-up, a hung file system or a driver stuck in the kernel: the network
 * card and the kernel still answer a ping, connections stay open, but no process runs, the agent
 * included. The danger is that it may wake up later and go on writing, so the old primary must be
 * fenced. The effect freezes all processes of the node and keeps it reachable.
 */
#include "faults/faults.h"

static const struct param params[] = {PARAMS_END};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	(void)values;
	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_NODE_FREEZE}, entities, count, out, e);
}

const struct fault_ops fault_node_hang = {
	.name = "node.hang",
	.group = "node",
	.help = "A node answers a ping, but nothing on it makes progress any more.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_NODE_FREEZE),
	.targets = TARGET_BIT(ENTITY_NODE),
	.plan = plan,
};
