/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proc.crash_loop: a process starts and ends again and again.
 *
 * In the field a bad configuration, a missing secret, weights that do not load, or memory that
 * runs out on the first request: the platform starts the process, it dies, and it is started
 * again, each time later (Kubernetes waits 10 s, then doubles up to 5 min). Between two deaths it
 * may pass as healthy, so a detector that wants several misses in a row sees only some of them,
 * and the GPU is held all the time. The effect ends each process of the target `interval` after it
 * has started. The preset is a choice for a drill: shorter than loading a model takes.
 */
#include "faults/faults.h"

struct proc_crash_loop {
	nanos interval;
};

static const struct param params[] = {
	{.name = "interval",
	 .type = PARAM_DURATION,
	 .offset = offsetof(struct proc_crash_loop, interval),
	 .preset = "20s",
	 .min = 1e6,
	 .max = 86400e9,
	 .help = "From a start of the process to its next end."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct proc_crash_loop *loop = values;
	const struct effect effect = {
		.kind = EFFECT_PROC_LOOP,
		.amount = loop->interval,
	};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_proc_crash_loop = {
	.name = "proc.crash_loop",
	.group = "proc",
	.help = "A process starts and ends again and again.",
	.params = params,
	.params_size = sizeof(struct proc_crash_loop),
	.needs = EFFECT_BIT(EFFECT_PROC_LOOP),
	.targets = TARGET_BIT(ENTITY_REPLICA) | TARGET_BIT(ENTITY_ENDPOINT),
	.plan = plan,
};
