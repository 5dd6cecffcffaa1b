/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.error: reads and writes of a disk fail.
 *
 * In the field worn-out flash, a bad controller or a lost path: the kernel returns EIO and
 * processes do with it what their authors thought of, which is often to end, sometimes to go on
 * with half of a file. Network and agent are as before. On a store, backups and restores fail.
 * SSDs were 3 of the 419 unexpected interruptions of Llama 3 405B's training. The effect makes all
 * reads and writes of the node's disk, or of the store, fail.
 */
#include "faults/faults.h"

static const struct param params[] = {PARAMS_END};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	(void)values;
	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_DISK_ERROR}, entities, count, out, e);
}

const struct fault_ops fault_disk_error = {
	.name = "disk.error",
	.group = "disk",
	.help = "Reads and writes of a disk fail.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_DISK_ERROR),
	.targets = TARGET_BIT(ENTITY_NODE) | TARGET_BIT(ENTITY_STORE),
	.plan = plan,
};
