/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.crash: a node stops at once.
 *
 * In the field the kernel panics or a machine check halts the CPU: no write is flushed, no
 * connection is closed, a ping has no answer, and the BMC still says that the power is on. Peers
 * learn of it by time-outs only. The effect ends everything that ran there and what was not yet
 * on a disk; the power stays on, which tells it from rack.power_loss.
 */
#include "faults/faults.h"

static const struct param params[] = {PARAMS_END};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	(void)values;
	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_NODE_CRASH}, entities, count, out, e);
}

const struct fault_ops fault_node_crash = {
	.name = "node.crash",
	.group = "node",
	.help = "A node stops at once and does not answer; its power stays on.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_NODE_CRASH),
	.targets = TARGET_BIT(ENTITY_NODE),
	.plan = plan,
};
