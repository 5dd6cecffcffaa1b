/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.readonly: a disk can be read but not written.
 *
 * In the field the kernel remounts a file system read-only after an error in its journal, or an
 * operator does: writes fail with EROFS, everything that only reads goes on. A serving replica
 * does not notice, a checkpoint or a backup cannot be written, and a monitor that looks at free
 * space sees plenty. The effect makes all writes to the node's disk, or to the store, fail.
 */
#include "faults/faults.h"

static const struct param params[] = {PARAMS_END};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	(void)values;
	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_DISK_READONLY}, entities, count, out, e);
}

const struct fault_ops fault_disk_readonly = {
	.name = "disk.readonly",
	.group = "disk",
	.help = "A disk can be read but not written.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_DISK_READONLY),
	.targets = TARGET_BIT(ENTITY_NODE) | TARGET_BIT(ENTITY_STORE),
	.plan = plan,
};
