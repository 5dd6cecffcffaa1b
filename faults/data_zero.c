/* SPDX-License-Identifier: Apache-2.0 */
/*
 * data.zero: ranges of the live data are zeros.
 *
 * In the field a file system gives out blocks that were allocated and, for a crash in between,
 * never written; a sparse copy, a trim of the wrong range or a lost write of a fresh block do the
 * same. Names, sizes and dates are right, reads succeed, and some of what is read is zeros. Backups
 * taken afterwards carry it along. The effect writes zeros over `count` ranges of `length` bytes of
 * the active copy of a data class. The preset of `length` is a block of most file systems.
 */
#include "faults/faults.h"

struct data_zero {
	int64_t count;
	uint64_t length;
};

static const struct param params[] = {
	{.name = "count",
	 .type = PARAM_INTEGER,
	 .offset = offsetof(struct data_zero, count),
	 .preset = "1",
	 .min = 1,
	 .max = 1e6,
	 .help = "How many ranges are zeros."},
	{.name = "length",
	 .type = PARAM_SIZE,
	 .offset = offsetof(struct data_zero, length),
	 .preset = "4KiB",
	 .min = 1,
	 .max = 1e12,
	 .help = "Bytes of each range."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct data_zero *zero = values;
	const struct effect effect = {
		.kind = EFFECT_DATA_ZERO,
		.amount = zero->count,
		.spread = (int64_t)zero->length,
	};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_data_zero = {
	.name = "data.zero",
	.group = "data",
	.help = "Ranges of live data are zeros.",
	.params = params,
	.params_size = sizeof(struct data_zero),
	.needs = EFFECT_BIT(EFFECT_DATA_ZERO),
	.targets = TARGET_BIT(ENTITY_DATA),
	.plan = plan,
};
