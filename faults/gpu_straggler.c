/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpu.straggler: a GPU works, but slower than the others.
 *
 * In the field a clock that stays low after a power event, a worn board, a noisy neighbour on the
 * host: all health checks are green, results are right, they only come late. A job that works in
 * step runs at the pace of its slowest member, so one GPU costs thousands of them their speed, and
 * nothing in a log says which. Finding it takes a benchmark or a comparison of ranks. The effect
 * lowers the GPU's speed to 1 / slowdown of what it was; the preset of 3 is a choice for a drill.
 */
#include "faults/faults.h"

struct gpu_straggler {
	double slowdown;
};

static const struct param params[] = {
	{.name = "slowdown",
	 .type = PARAM_NUMBER,
	 .offset = offsetof(struct gpu_straggler, slowdown),
	 .preset = "3",
	 .min = 1.001,
	 .max = 1000,
	 .help = "How many times as long its work takes."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct gpu_straggler *straggler = values;
	const struct effect effect = {
		.kind = EFFECT_GPU_SLOW,
		.amount = faults_ppm(1 - 1 / straggler->slowdown),
	};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_gpu_straggler = {
	.name = "gpu.straggler",
	.group = "gpu",
	.help = "A GPU works, but slower than the others; no health check says so.",
	.params = params,
	.params_size = sizeof(struct gpu_straggler),
	.needs = EFFECT_BIT(EFFECT_GPU_SLOW),
	.targets = TARGET_BIT(ENTITY_GPU),
	.plan = plan,
};
