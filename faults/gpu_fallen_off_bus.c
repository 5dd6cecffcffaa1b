/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpu.fallen_off_bus: a GPU no longer answers on PCIe.
 *
 * In the field the board loses power for a moment, its link trains down, or its firmware stops:
 * the driver reads all ones from it and writes `Xid 79, GPU has fallen off the bus`. Every process
 * with a context on it dies and nvidia-smi lists one GPU less. NVIDIA's immediate action is a
 * restart of the machine, so the loss of one GPU costs all of its node. The effect is Xid 79,
 * which takes the GPU down; gpu.lost is the same loss without a word from the driver.
 */
#include "faults/faults.h"

#define XID_FALLEN_OFF_BUS 79

static const struct param params[] = {PARAMS_END};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	(void)values;
	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_GPU_XID, .amount = XID_FALLEN_OFF_BUS},
			   entities, count, out, e);
}

const struct fault_ops fault_gpu_fallen_off_bus = {
	.name = "gpu.fallen_off_bus",
	.group = "gpu",
	.help = "A GPU no longer answers on PCIe, and the driver reports Xid 79.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_GPU_XID),
	.targets = TARGET_BIT(ENTITY_GPU),
	.plan = plan,
};
