/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpu.xid: the GPU's driver reports an error by its Xid code.
 *
 * In the field the NVIDIA driver writes `NVRM: Xid (PCI:0000:04:00): 79, GPU has fallen off the
 * bus` to the kernel's log. What stands behind the code differs: an application's own mistake
 * that costs its process (13, 31, 43), an error that takes the GPU with it (48, 79, 119), or a
 * note that costs nothing yet (63, 92); core/diagnosis.c has the table. The effect adds the line
 * and takes down what the code takes down. A line of the kernel's log cannot be unwritten:
 * reverting mends the GPU and leaves the line.
 */
#include "faults/faults.h"

struct gpu_xid {
	int64_t code;
};

static const struct param params[] = {
	{.name = "code",
	 .type = PARAM_INTEGER,
	 .offset = offsetof(struct gpu_xid, code),
	 .preset = "79",
	 .min = 1,
	 .max = 255,
	 .help = "The Xid code that is reported (79: the GPU has fallen off the bus)."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct gpu_xid *xid = values;

	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_GPU_XID, .amount = xid->code}, entities,
			   count, out, e);
}

const struct fault_ops fault_gpu_xid = {
	.name = "gpu.xid",
	.group = "gpu",
	.help = "The driver reports an Xid error, with what that code takes down.",
	.params = params,
	.params_size = sizeof(struct gpu_xid),
	.needs = EFFECT_BIT(EFFECT_GPU_XID),
	.targets = TARGET_BIT(ENTITY_GPU),
	.plan = plan,
};
