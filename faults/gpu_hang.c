/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpu.hang: what computes on a GPU is stuck in a kernel call.
 *
 * In the field a driver that waits for firmware, a lock that is never released, a fault on the bus
 * that nobody reports: the process sits in an uninterruptible call, no signal ends it, nvidia-smi
 * hangs as well. Nothing is missing in any inventory and no log line is written, so a training job
 * waits in its collective operation until the watchdog's time-out (10 min for NCCL in PyTorch), and
 * a probe that only opens a port sees nothing. The effect keeps all that computes on the GPU from
 * coming back while it stands; its processes stay.
 */
#include "faults/faults.h"

static const struct param params[] = {PARAMS_END};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	(void)values;
	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_GPU_HANG}, entities, count, out, e);
}

const struct fault_ops fault_gpu_hang = {
	.name = "gpu.hang",
	.group = "gpu",
	.help = "What computes on a GPU is stuck in a kernel call.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_GPU_HANG),
	.targets = TARGET_BIT(ENTITY_GPU),
	.plan = plan,
};
