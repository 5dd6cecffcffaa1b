/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backup.missing: a backup is in the catalogue, but not in the store.
 *
 * In the field a lifecycle rule expired the object, a clean-up took it for old, or an upload was
 * never finished and the catalogue was written all the same: the list of backups looks whole, and
 * the restore finds nothing where one should be. A chain of incrementals breaks with any one of
 * its members. Service is not hurt; only a restore, or reading back, finds it. The effect removes
 * the stored backup and leaves its entry.
 */
#include "faults/faults.h"

static const struct param params[] = {PARAMS_END};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	(void)values;
	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_BACKUP_GONE}, entities, count, out, e);
}

const struct fault_ops fault_backup_missing = {
	.name = "backup.missing",
	.group = "backup",
	.help = "A backup is listed, but it is not in the store.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_BACKUP_GONE),
	.targets = TARGET_BIT(ENTITY_BACKUP),
	.plan = plan,
};
