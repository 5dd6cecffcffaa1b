/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys.delay: system calls of a process take longer.
 *
 * In the field a call that takes microseconds takes seconds now and then: a journal that commits, a
 * device that collects garbage, a lock in the kernel. The median stays, the tail does not, and what
 * waits behind that call waits with it. The effect holds the calls that are chosen back for `time`
 * before they are carried out. A model without system calls refuses it.
 */
#include "faults/calls.h"

struct sys_delay {
	struct calls calls;
	nanos time;
};

static const struct param params[] = {
	CALLS_ROWS("fdatasync"),
	{.name = "time",
	 .type = PARAM_DURATION,
	 .offset = offsetof(struct sys_delay, time),
	 .preset = "100ms",
	 .min = 1,
	 .max = 3600e9,
	 .help = "For so long it is held back."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct sys_delay *call = values;
	struct operations operations;
	struct effect effect = {
		.kind = EFFECT_SYS_DELAY,
		.amount = call->time,
		.spread = faults_ppm(call->calls.probability),
	};

	if (calls_choose(&call->calls, prng, &operations, e))
		return -1;
	effect.operations = faults_keep(out, &operations, sizeof(operations));
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_sys_delay = {
	.name = "sys.delay",
	.group = "sys",
	.help = "System calls take longer.",
	.params = params,
	.params_size = sizeof(struct sys_delay),
	.needs = EFFECT_BIT(EFFECT_SYS_DELAY),
	.targets = CALLS_TARGETS,
	.plan = plan,
};
