/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proc.pause: a process is stopped, but not ended.
 *
 * In the field SIGSTOP of a debugger, a frozen cgroup, a long pause of a garbage collector or a
 * storage call that does not return: the process exists, its port accepts connections because the
 * kernel does that, and no request is answered. Restart policies see a process that runs. When it
 * goes on, it believes that no time has passed: it may serve old data, or write with a lease that
 * has long run out. The effect stops the processes of the target (state T); taking it back lets
 * them go on.
 */
#include "faults/faults.h"

static const struct param params[] = {PARAMS_END};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	(void)values;
	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_PROC_FREEZE}, entities, count, out, e);
}

const struct fault_ops fault_proc_pause = {
	.name = "proc.pause",
	.group = "proc",
	.help = "A process is stopped but not ended: it accepts and never answers.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_PROC_FREEZE),
	.targets = TARGET_BIT(ENTITY_REPLICA) | TARGET_BIT(ENTITY_ENDPOINT) |
		   TARGET_BIT(ENTITY_JOB) | TARGET_BIT(ENTITY_RANK),
	.plan = plan,
};
