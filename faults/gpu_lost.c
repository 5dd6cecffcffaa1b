/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpu.lost: a GPU is gone from its user's view.
 *
 * In the field the PCIe link of one board trains down or its power stage fails; the driver finds
 * no device at that address, nvidia-smi lists one GPU less, and every process with a context on
 * it dies. A reboot brings some back, the others wait for a new board. The effect takes the GPU
 * out of the node's inventory, without any Xid line: gpu.xid with code 79 is the same loss
 * announced by the driver.
 */
#include "faults/faults.h"

static const struct param params[] = {PARAMS_END};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	(void)values;
	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_GPU_GONE}, entities, count, out, e);
}

const struct fault_ops fault_gpu_lost = {
	.name = "gpu.lost",
	.group = "gpu",
	.help = "A GPU is gone from its user's view: it is no longer listed.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_GPU_GONE),
	.targets = TARGET_BIT(ENTITY_GPU),
	.plan = plan,
};
