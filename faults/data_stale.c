/* SPDX-License-Identifier: Apache-2.0 */
/*
 * data.stale: the live data are those of an earlier time.
 *
 * In the field a volume is attached from an old snapshot, a cache or a replica that fell behind is
 * taken for the original, a restore went over data that were newer: everything can be read and is
 * consistent, digests match, and what was written since is gone. Nobody notices until somebody
 * misses something, and meanwhile new writes go on top. The effect sets the active copy back by
 * `age`. The preset is a choice for a drill.
 */
#include "faults/faults.h"

struct data_stale {
	nanos age;
};

static const struct param params[] = {
	{.name = "age",
	 .type = PARAM_DURATION,
	 .offset = offsetof(struct data_stale, age),
	 .preset = "1h",
	 .min = 1,
	 .max = (double)PARAM_DURATION_MAX,
	 .help = "How far back the content is."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct data_stale *stale = values;
	const struct effect effect = {
		.kind = EFFECT_DATA_OLD,
		.amount = stale->age,
	};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_data_stale = {
	.name = "data.stale",
	.group = "data",
	.help = "The live data are those of an earlier time.",
	.params = params,
	.params_size = sizeof(struct data_stale),
	.needs = EFFECT_BIT(EFFECT_DATA_OLD),
	.targets = TARGET_BIT(ENTITY_DATA),
	.plan = plan,
};
