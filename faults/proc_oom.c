/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proc.oom: the kernel's out-of-memory killer ends a process.
 *
 * In the field a leak, a request that is larger than any before, or a memory limit that is too low
 * drives a process over the limit of its cgroup: SIGKILL, exit code 137, and the platform says
 * OOMKilled. It is started again like after any other exit, but another start is no cure: what the
 * process needs is a higher limit. The effect ends the processes of the replica, of all replicas of
 * the endpoint, or of the job; the killer counts them.
 */
#include <signal.h>

#include "faults/faults.h"

static const struct param params[] = {PARAMS_END};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	(void)values;
	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_PROC_OOM, .amount = SIGKILL}, entities,
			   count, out, e);
}

const struct fault_ops fault_proc_oom = {
	.name = "proc.oom",
	.group = "proc",
	.help = "The OOM killer ends a process; the platform may start it again.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_PROC_OOM),
	.targets = TARGET_BIT(ENTITY_REPLICA) | TARGET_BIT(ENTITY_ENDPOINT) |
		   TARGET_BIT(ENTITY_JOB) | TARGET_BIT(ENTITY_RANK),
	.plan = plan,
};
