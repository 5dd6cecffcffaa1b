/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proc.kill: a serving process ends by a signal.
 *
 * In the field the kernel's out-of-memory killer (SIGKILL), a bug (SIGSEGV, SIGABRT) or an
 * operator (SIGTERM) ends the process of a replica: its requests are cut off, the GPU's memory is
 * freed, and the platform starts it again after its back-off, which loads the weights anew. The
 * effect ends the processes of the replica, or of all replicas of the endpoint; its amount is the
 * signal's number. Only SIGTERM lets a process say goodbye.
 */
#include <signal.h>

#include "faults/faults.h"

struct proc_kill {
	int signal; /* position in signal_words */
};

static const char *const signal_words[] = {"SIGKILL", "SIGTERM", "SIGSEGV", "SIGABRT", NULL};
static const int signal_numbers[] = {SIGKILL, SIGTERM, SIGSEGV, SIGABRT};

static const struct param params[] = {
	{.name = "signal",
	 .type = PARAM_CHOICE,
	 .offset = offsetof(struct proc_kill, signal),
	 .preset = "SIGKILL",
	 .choices = signal_words,
	 .help = "The signal that ends the process."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct proc_kill *kill = values;
	const struct effect effect = {
		.kind = EFFECT_PROC_EXIT,
		.amount = signal_numbers[kill->signal],
	};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_proc_kill = {
	.name = "proc.kill",
	.group = "proc",
	.help = "A process ends by a signal; the platform may start it again.",
	.params = params,
	.params_size = sizeof(struct proc_kill),
	.needs = EFFECT_BIT(EFFECT_PROC_EXIT),
	.targets = TARGET_BIT(ENTITY_REPLICA) | TARGET_BIT(ENTITY_ENDPOINT) |
		   TARGET_BIT(ENTITY_JOB) | TARGET_BIT(ENTITY_RANK),
	.plan = plan,
};
