/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proc.slow_start: a process takes longer to start.
 *
 * In the field the image must be pulled again, a compilation cache is cold, or the node's disk is
 * busy. It does not hurt until something is started, which is the moment of a recovery: readiness
 * is often the largest part of it. vLLM with Llama-3.1-8B on one L40S took 294 s without caches
 * and 82 s with them; the preset is the difference. The effect adds `delay` to each start of the
 * target's processes.
 */
#include "faults/faults.h"

struct proc_slow_start {
	nanos delay;
};

static const struct param params[] = {
	{.name = "delay",
	 .type = PARAM_DURATION,
	 .offset = offsetof(struct proc_slow_start, delay),
	 .preset = "212s",
	 .min = 1,
	 .max = 86400e9,
	 .help = "What is added to each start."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct proc_slow_start *start = values;
	const struct effect effect = {
		.kind = EFFECT_START_SLOW,
		.amount = start->delay,
	};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_proc_slow_start = {
	.name = "proc.slow_start",
	.group = "proc",
	.help = "A process takes longer to start, which shows when it is needed.",
	.params = params,
	.params_size = sizeof(struct proc_slow_start),
	.needs = EFFECT_BIT(EFFECT_START_SLOW),
	.targets = TARGET_BIT(ENTITY_REPLICA) | TARGET_BIT(ENTITY_ENDPOINT),
	.plan = plan,
};
