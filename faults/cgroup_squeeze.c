/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup.squeeze: a process gets less CPU than it uses, by the quota of its cgroup.
 *
 * In the field a CPU limit is set too low, or a deployment is changed and its limit is not: the
 * kernel lets the process run for its quota (cpu.max) and then not until the next period begins.
 * The node looks idle, the process is healthy, and every request takes longer. The effect lowers
 * the quota to `cpu`, a share of the CPU time that the process uses under its usual load.
 */
#include "faults/faults.h"

struct cgroup_squeeze {
	double cpu;
};

static const struct param params[] = {
	{.name = "cpu",
	 .type = PARAM_PERCENT,
	 .offset = offsetof(struct cgroup_squeeze, cpu),
	 .preset = "25%",
	 .min = 0.01,
	 .max = 0.99,
	 .help = "What is left of the CPU time that it uses."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct cgroup_squeeze *squeeze = values;
	const struct effect effect = {
		.kind = EFFECT_CPU_QUOTA,
		.amount = faults_ppm(1 - squeeze->cpu),
	};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_cgroup_squeeze = {
	.name = "cgroup.squeeze",
	.group = "cgroup",
	.help = "A process is held to a CPU quota below what it uses.",
	.params = params,
	.params_size = sizeof(struct cgroup_squeeze),
	.needs = EFFECT_BIT(EFFECT_CPU_QUOTA),
	.targets = TARGET_BIT(ENTITY_REPLICA) | TARGET_BIT(ENTITY_ENDPOINT),
	.plan = plan,
};
