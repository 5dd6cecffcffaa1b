/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.hang: operations on a disk do not come back.
 *
 * In the field a lost path with `no_path_retry queue`, an NFS server that went away under a hard
 * mount, or firmware that stalls: nothing fails, so nothing handles it. Processes sit in an
 * uninterruptible sleep, the load average climbs, requests that write are held, a backup makes no
 * progress and does not end. It lasts as long as the disk is away, and then all goes on. The effect
 * holds all reads and writes of the node's disk, or of the store.
 */
#include "faults/faults.h"

static const struct param params[] = {PARAMS_END};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	(void)values;
	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_DISK_HANG}, entities, count, out, e);
}

const struct fault_ops fault_disk_hang = {
	.name = "disk.hang",
	.group = "disk",
	.help = "Operations on a disk do not come back.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_DISK_HANG),
	.targets = TARGET_BIT(ENTITY_NODE) | TARGET_BIT(ENTITY_STORE),
	.plan = plan,
};
