/* SPDX-License-Identifier: Apache-2.0 */
/*
 * data.truncate: a part of the live data is missing.
 *
 * In the field a copy that broke off, a file system check that cut files off, or a program that
 * wrote less than it meant to: the files are there, their names and dates are right, and their
 * ends are not. Whoever reads to the end fails, whoever does not gives answers from half of the
 * data. The next backup keeps the short files and in time the last whole one is pruned. The effect
 * cuts `share` of the bytes from the active copy. The preset is a choice for a drill.
 */
#include "faults/faults.h"

struct data_truncate {
	double share;
};

static const struct param params[] = {
	{.name = "share",
	 .type = PARAM_PERCENT,
	 .offset = offsetof(struct data_truncate, share),
	 .preset = "50%",
	 .min = 1e-6,
	 .max = 1,
	 .help = "Share of the bytes that is missing."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct data_truncate *truncate = values;
	const struct effect effect = {
		.kind = EFFECT_DATA_CUT,
		.amount = faults_ppm(truncate->share),
	};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_data_truncate = {
	.name = "data.truncate",
	.group = "data",
	.help = "A part of the live data is missing: files end too early.",
	.params = params,
	.params_size = sizeof(struct data_truncate),
	.needs = EFFECT_BIT(EFFECT_DATA_CUT),
	.targets = TARGET_BIT(ENTITY_DATA),
	.plan = plan,
};
