/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rack.power_loss: a rack's feed is lost.
 *
 * In the field a breaker trips or a power distribution unit fails: all nodes of the rack go dark
 * in the same instant, with their GPUs, local disks and top-of-rack switch, and what was only in
 * memory is gone. It is one fault with many losses, which counting nodes one by one underrates.
 * The effect takes the power from the rack; its nodes' BMCs are silent too.
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

const struct fault_ops fault_rack_power_loss = {
	.name = "rack.power_loss",
	.group = "rack",
	.help = "A rack's feed is lost: all of its nodes are without power at once.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_POWER_OFF),
	.targets = TARGET_BIT(ENTITY_RACK),
	.plan = plan,
};
