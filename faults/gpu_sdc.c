/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpu.sdc: a GPU computes wrong results and reports none of them.
 *
 * In the field a marginal circuit gives a wrong product now and then (silent data corruption): no
 * Xid, no ECC count, the process goes on. Answers are wrong, or a training run learns nonsense and
 * its checkpoints carry it on. 6 of the 419 unexpected interruptions of Llama 3 405B's training
 * were told to be this (arXiv 2407.21783, table 5), and those are the ones that were found. Only
 * comparing results finds it: a canary with a known answer, a self-test, two GPUs on the same
 * input. The effect makes `rate` of the GPU's results wrong.
 */
#include "faults/faults.h"

struct gpu_sdc {
	double rate;
};

static const struct param params[] = {
	{.name = "rate",
	 .type = PARAM_PERCENT,
	 .offset = offsetof(struct gpu_sdc, rate),
	 .preset = "100%",
	 .min = 1e-6,
	 .max = 1,
	 .help = "Share of its results that are wrong."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct gpu_sdc *sdc = values;
	const struct effect effect = {
		.kind = EFFECT_GPU_WRONG,
		.amount = faults_ppm(sdc->rate),
	};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_gpu_sdc = {
	.name = "gpu.sdc",
	.group = "gpu",
	.help = "A GPU computes wrong results, and nothing reports it.",
	.params = params,
	.params_size = sizeof(struct gpu_sdc),
	.needs = EFFECT_BIT(EFFECT_GPU_WRONG),
	.targets = TARGET_BIT(ENTITY_GPU),
	.plan = plan,
};
