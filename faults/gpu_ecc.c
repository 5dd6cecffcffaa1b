/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpu.ecc: the memory of a GPU returns wrong bits and says so.
 *
 * In the field a cell of HBM or SRAM wears out or a particle hits it. ECC mends single bits and
 * the driver notes a high rate of them (Xid 92), which costs nothing yet. Two wrong bits in one
 * word cannot be mended: the GPU stops (48). An error that was contained costs the process that
 * used the page (94), an uncontained one the GPU (95). Faulty HBM3 was 72 of the 419 unexpected
 * interruptions of Llama 3 405B's training (arXiv 2407.21783, table 5). The danger is the GPU that
 * is put back to work after a reset and fails again: a note of single bits today is the loss of
 * tomorrow. The effect is the Xid of that kind, with what it takes down, as in gpu.xid.
 */
#include "faults/faults.h"

struct gpu_ecc {
	int type; /* position in type_words */
};

static const char *const type_words[] = {"sbe", "dbe", "sram", "sram_contained", NULL};
static const int64_t type_codes[] = {92, 48, 95, 94}; /* NVIDIA, "Xid Errors" */

static const struct param params[] = {
	{.name = "type",
	 .type = PARAM_CHOICE,
	 .offset = offsetof(struct gpu_ecc, type),
	 .preset = "dbe",
	 .choices = type_words,
	 .help = "Single bits mended, double bits, or SRAM uncontained or contained."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct gpu_ecc *ecc = values;
	const struct effect effect = {
		.kind = EFFECT_GPU_XID,
		.amount = type_codes[ecc->type],
	};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_gpu_ecc = {
	.name = "gpu.ecc",
	.group = "gpu",
	.help = "The memory of a GPU returns wrong bits, and the driver reports it.",
	.params = params,
	.params_size = sizeof(struct gpu_ecc),
	.needs = EFFECT_BIT(EFFECT_GPU_XID),
	.targets = TARGET_BIT(ENTITY_GPU),
	.plan = plan,
};
