/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys.retval: system calls of a process return something else.
 *
 * In the field a read comes back short, a write takes only a part, or a call says that all is well
 * and did nothing: a broken file system in user space, an interposed library, a container runtime
 * that stubs a call out. The effect does not carry out the calls that are chosen and returns
 * `value`; 0 from a read is the end of the file. A model without system calls refuses it.
 */
#include "faults/calls.h"

struct sys_retval {
	struct calls calls;
	int64_t value;
};

static const struct param params[] = {
	CALLS_ROWS("read"),
	{.name = "value",
	 .type = PARAM_INTEGER,
	 .offset = offsetof(struct sys_retval, value),
	 .preset = "0",
	 .min = 0,
	 .max = INT32_MAX,
	 .help = "What such a call returns instead of doing anything."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct sys_retval *call = values;
	struct operations operations;
	struct effect effect = {
		.kind = EFFECT_SYS_RETVAL,
		.amount = faults_ppm(call->calls.probability),
	};

	if (calls_choose(&call->calls, prng, &operations, e))
		return -1;
	operations.value = call->value;
	effect.operations = faults_keep(out, &operations, sizeof(operations));
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_sys_retval = {
	.name = "sys.retval",
	.group = "sys",
	.help = "System calls return something else and do nothing.",
	.params = params,
	.params_size = sizeof(struct sys_retval),
	.needs = EFFECT_BIT(EFFECT_SYS_RETVAL),
	.targets = CALLS_TARGETS,
	.plan = plan,
};
