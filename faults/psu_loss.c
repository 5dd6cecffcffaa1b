/* SPDX-License-Identifier: Apache-2.0 */
/*
 * psu.loss: the power supply of one node fails.
 *
 * In the field the second supply should carry the node; where it does not, or both hang on one
 * feed, the node goes dark at once with all its GPUs and its local disks. The BMC is silent too,
 * which tells it from a crash. It is rare (3 of the 419 unexpected interruptions of Llama 3 405B's
 * training) and slow to mend: a part must come, in a published trace the median repair took 351 h
 * (InfiniteHBD). The effect takes the power from the node.
 */
#include "faults/faults.h"

static const struct param params[] = {PARAMS_END};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	(void)values;
	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_POWER_OFF}, entities, count, out, e);
}

const struct fault_ops fault_psu_loss = {
	.name = "psu.loss",
	.group = "psu",
	.help = "The power supply of a node fails: it is dark, its BMC too.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_POWER_OFF),
	.targets = TARGET_BIT(ENTITY_NODE),
	.plan = plan,
};
