/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu.burn: other work takes the CPU of a node.
 *
 * In the field a batch job, a compression of logs, a scan or a stuck thread of the node's own
 * agents keeps CPUs busy. Nothing fails: whoever needs the CPU gets less of it, so tokenising,
 * scheduling and launching kernels take longer, and GPUs idle in between. The effect runs `workers`
 * that keep a CPU busy for `load` of the time each. Their group weighs as much as what they run
 * beside, so that a fair scheduler leaves the latter at least half of each CPU.
 */
#include "faults/faults.h"

struct cpu_burn {
	int64_t workers;
	double load;
};

static const struct param params[] = {
	{.name = "workers",
	 .type = PARAM_INTEGER,
	 .offset = offsetof(struct cpu_burn, workers),
	 .preset = "0",
	 .min = 0,
	 .max = 65536,
	 .help = "How many workers run; 0: one on each CPU."},
	{.name = "load",
	 .type = PARAM_PERCENT,
	 .offset = offsetof(struct cpu_burn, load),
	 .preset = "100%",
	 .min = 0.01,
	 .max = 1,
	 .help = "Share of the time in which a worker keeps its CPU busy."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct cpu_burn *burn = values;
	const struct effect effect = {
		.kind = EFFECT_CPU_TAKEN,
		.amount = faults_ppm(burn->load),
		.spread = burn->workers,
	};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_cpu_burn = {
	.name = "cpu.burn",
	.group = "cpu",
	.help = "Other work takes CPU of a node: what runs there gets less.",
	.params = params,
	.params_size = sizeof(struct cpu_burn),
	.needs = EFFECT_BIT(EFFECT_CPU_TAKEN),
	.targets = TARGET_BIT(ENTITY_NODE),
	.plan = plan,
};
