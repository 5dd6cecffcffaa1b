/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ckpt.missing_shard: shards of a checkpoint are not there.
 *
 * In the field a rank writes its shard to the wrong place, a lifecycle rule of the store deletes
 * it, or an upload was never finished while the others were. A sharded checkpoint is worth nothing
 * without any one of its shards; the restart that needs it finds out. The effect takes `count`
 * shards away, of as many as the job has ranks.
 */
#include "faults/faults.h"

struct ckpt_missing_shard {
	int64_t count;
};

static const struct param params[] = {
	{.name = "count",
	 .type = PARAM_INTEGER,
	 .offset = offsetof(struct ckpt_missing_shard, count),
	 .preset = "1",
	 .min = 1,
	 .max = 1e6,
	 .help = "How many shards are missing from each checkpoint."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct ckpt_missing_shard *missing = values;

	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_CKPT_SHARD, .amount = missing->count},
			   entities, count, out, e);
}

const struct fault_ops fault_ckpt_missing_shard = {
	.name = "ckpt.missing_shard",
	.group = "ckpt",
	.help = "Shards of a checkpoint are not there.",
	.params = params,
	.params_size = sizeof(struct ckpt_missing_shard),
	.needs = EFFECT_BIT(EFFECT_CKPT_SHARD),
	.targets = TARGET_BIT(ENTITY_CHECKPOINT),
	.plan = plan,
};
