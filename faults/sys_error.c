/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys.error: system calls of a process fail.
 *
 * In the field a full disk, a lost mount, an exhausted table or a signal at the wrong moment make
 * single calls fail with an error that the program's author never saw: what is done with it decides
 * whether one write is lost or all of them (fsync that fails once and is tried again loses data:
 * Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020). The effect
 * lets the calls that are chosen return `error` without being carried out. The preset is that of a
 * worn disk. A model without system calls refuses it.
 */
#include "core/errno_names.h"
#include "faults/calls.h"

struct sys_error {
	struct calls calls;
	const char *error;
};

static const struct param params[] = {
	CALLS_ROWS("pwrite64"),
	{.name = "error",
	 .type = PARAM_TEXT,
	 .offset = offsetof(struct sys_error, error),
	 .preset = "EIO",
	 .help = "The error that such a call returns, by name."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct sys_error *call = values;
	struct operations operations;
	struct effect effect = {
		.kind = EFFECT_SYS_ERROR,
		.amount = faults_ppm(call->calls.probability),
	};

	if (calls_choose(&call->calls, prng, &operations, e) ||
	    errno_parse(call->error, NO_PLACE, &operations.error, e))
		return -1;
	effect.operations = faults_keep(out, &operations, sizeof(operations));
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_sys_error = {
	.name = "sys.error",
	.group = "sys",
	.help = "System calls fail with an error.",
	.params = params,
	.params_size = sizeof(struct sys_error),
	.needs = EFFECT_BIT(EFFECT_SYS_ERROR),
	.targets = CALLS_TARGETS,
	.plan = plan,
};
