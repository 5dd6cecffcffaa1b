/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backup.corrupt: a stored backup no longer holds what was written.
 *
 * In the field bit rot in the store, a torn upload, or a job that reported success all the same;
 * it is found out when the restore fails, which is why unproven backups are no backups. Service
 * is not hurt. The effect flips `count` bits of the stored bytes; the manifest keeps the digest
 * of what should be there, so that reading back finds it.
 */
#include "faults/faults.h"

struct backup_corrupt {
	int64_t count;
};

static const struct param params[] = {
	{.name = "count",
	 .type = PARAM_INTEGER,
	 .offset = offsetof(struct backup_corrupt, count),
	 .preset = "1",
	 .min = 1,
	 .max = 1e9,
	 .help = "How many bits flip in each backup."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct backup_corrupt *flip = values;

	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_BACKUP_FLIP, .amount = flip->count},
			   entities, count, out, e);
}

const struct fault_ops fault_backup_corrupt = {
	.name = "backup.corrupt",
	.group = "backup",
	.help = "A stored backup no longer holds what was written.",
	.params = params,
	.params_size = sizeof(struct backup_corrupt),
	.needs = EFFECT_BIT(EFFECT_BACKUP_FLIP),
	.targets = TARGET_BIT(ENTITY_BACKUP),
	.plan = plan,
};
