/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backup.job_fail: backup jobs fail.
 *
 * In the field expired credentials, a changed path, a full store or a hung agent: each run ends
 * with an error in a log that nobody reads, or does not start at all. The last good backup gets
 * older by the hour, and the loss of a later disaster grows with it. That is the danger: the fault
 * itself costs nothing, the next one does. The effect lets every backup to the store fail that
 * starts while it lasts.
 */
#include "faults/faults.h"

static const struct param params[] = {PARAMS_END};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	(void)values;
	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_BACKUP_FAIL}, entities, count, out, e);
}

const struct fault_ops fault_backup_job_fail = {
	.name = "backup.job_fail",
	.group = "backup",
	.help = "Backup jobs fail: the newest backup gets older and older.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_BACKUP_FAIL),
	.targets = TARGET_BIT(ENTITY_STORE),
	.plan = plan,
};
