/* SPDX-License-Identifier: Apache-2.0 */
/*
 * data.bitflip: bits of live data are wrong.
 *
 * In the field memory without ECC, a disk that lies, a faulty cable, or a GPU that computes
 * wrongly (silent data corruption): nothing fails, nothing is logged, answers and files are
 * wrong. Backups taken afterwards carry the wrong bits along, so the last good one may be old.
 * The effect flips `count` bits of the active copy of a data class, or of the weights that a
 * running replica holds in memory; loading them again mends the latter.
 */
#include "faults/faults.h"

struct data_bitflip {
	int64_t count;
};

static const struct param params[] = {
	{.name = "count",
	 .type = PARAM_INTEGER,
	 .offset = offsetof(struct data_bitflip, count),
	 .preset = "1",
	 .min = 1,
	 .max = 1e9,
	 .help = "How many bits flip in each target."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct data_bitflip *flip = values;

	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_DATA_FLIP, .amount = flip->count},
			   entities, count, out, e);
}

const struct fault_ops fault_data_bitflip = {
	.name = "data.bitflip",
	.group = "data",
	.help = "Bits of live data, or of the weights a replica holds, are wrong.",
	.params = params,
	.params_size = sizeof(struct data_bitflip),
	.needs = EFFECT_BIT(EFFECT_DATA_FLIP),
	.targets = TARGET_BIT(ENTITY_DATA) | TARGET_BIT(ENTITY_REPLICA),
	.plan = plan,
};
