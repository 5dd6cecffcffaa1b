/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backup.stale: a backup holds data that are older than its label says.
 *
 * In the field a job reads a snapshot that was not renewed, a replica that had fallen behind, or a
 * cached copy: it ends well, at the right time, with yesterday's content. The digest matches,
 * since it was made of what was stored. After a restore more is lost than the label promised,
 * which no check of the store tells; comparing the ledger with the restored data does. The effect
 * makes the content of the backup older by `age`. The preset is one missed daily snapshot.
 */
#include "faults/faults.h"

struct backup_stale {
	nanos age;
};

static const struct param params[] = {
	{.name = "age",
	 .type = PARAM_DURATION,
	 .offset = offsetof(struct backup_stale, age),
	 .preset = "1d",
	 .min = 1,
	 .max = (double)PARAM_DURATION_MAX,
	 .help = "How much older the content is than the label."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct backup_stale *stale = values;
	const struct effect effect = {
		.kind = EFFECT_BACKUP_OLD,
		.amount = stale->age,
	};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_backup_stale = {
	.name = "backup.stale",
	.group = "backup",
	.help = "A backup holds older data than its label says.",
	.params = params,
	.params_size = sizeof(struct backup_stale),
	.needs = EFFECT_BIT(EFFECT_BACKUP_OLD),
	.targets = TARGET_BIT(ENTITY_BACKUP),
	.plan = plan,
};
