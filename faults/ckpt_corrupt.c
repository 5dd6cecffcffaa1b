/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ckpt.corrupt: a checkpoint no longer holds what was saved.
 *
 * In the field bit rot in the store, a bad DMA, or a node whose memory was wrong when it wrote its
 * shard. Training goes on and nobody is told; only a restart that reads it finds out, has read it
 * in vain, and must take an older one. The effect flips `count` bits of the stored bytes; the
 * digest beside them stays.
 */
#include "faults/faults.h"

struct ckpt_corrupt {
	int64_t count;
};

static const struct param params[] = {
	{.name = "count",
	 .type = PARAM_INTEGER,
	 .offset = offsetof(struct ckpt_corrupt, count),
	 .preset = "1",
	 .min = 1,
	 .max = 1e9,
	 .help = "How many bits flip in each checkpoint."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct ckpt_corrupt *flip = values;

	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_CKPT_FLIP, .amount = flip->count},
			   entities, count, out, e);
}

const struct fault_ops fault_ckpt_corrupt = {
	.name = "ckpt.corrupt",
	.group = "ckpt",
	.help = "A checkpoint no longer holds what was saved.",
	.params = params,
	.params_size = sizeof(struct ckpt_corrupt),
	.needs = EFFECT_BIT(EFFECT_CKPT_FLIP),
	.targets = TARGET_BIT(ENTITY_CHECKPOINT),
	.plan = plan,
};
