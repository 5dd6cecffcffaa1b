/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.fill: there is no space left on a disk.
 *
 * In the field logs, core dumps, old checkpoints or an image cache fill it up: every write fails
 * with ENOSPC while reads go on, so the service answers and nothing new is kept. What is written
 * next is lost or torn: a checkpoint, a backup, the state of the very tool that should clean up.
 * On a store it is the backup that fails, and the newest one gets older from day to day. The
 * effect leaves no space for a write on the node's disk, or in the store.
 */
#include "faults/faults.h"

static const struct param params[] = {PARAMS_END};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	(void)values;
	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_DISK_FULL}, entities, count, out, e);
}

const struct fault_ops fault_disk_fill = {
	.name = "disk.fill",
	.group = "disk",
	.help = "No space is left on a disk: writes fail, reads go on.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_DISK_FULL),
	.targets = TARGET_BIT(ENTITY_NODE) | TARGET_BIT(ENTITY_STORE),
	.plan = plan,
};
