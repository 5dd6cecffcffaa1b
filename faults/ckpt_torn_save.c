/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ckpt.torn_save: a save broke off half way, but lists as whole.
 *
 * In the field the marker that says "complete" was written before the last shard was, or the name
 * was given before the data reached the disk, and then the writer died. Whatever picks the newest
 * checkpoint picks this one, reads it, and only then finds that its end is missing. The effect
 * tears the checkpoint that it hits; ckpt[-1] is the newest at that instant.
 */
#include "faults/faults.h"

static const struct param params[] = {PARAMS_END};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	(void)values;
	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_CKPT_TORN}, entities, count, out, e);
}

const struct fault_ops fault_ckpt_torn_save = {
	.name = "ckpt.torn_save",
	.group = "ckpt",
	.help = "A save broke off, but lists as whole.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_CKPT_TORN),
	.targets = TARGET_BIT(ENTITY_CHECKPOINT),
	.plan = plan,
};
