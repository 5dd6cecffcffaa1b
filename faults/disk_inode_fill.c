/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.inode_fill: a disk has no room for another file.
 *
 * In the field a cache, a spool or a broken cleanup makes millions of small files: `df` shows
 * space, `df -i` shows none, and every new file fails with ENOSPC while open ones grow on. What
 * appends to its log goes on serving; what makes a file for each thing (a store of objects, a
 * container that starts, a temporary file and rename) does not. With less than 5 % left the kubelet
 * reports DiskPressure (nodefs.inodesFree<5%). The effect uses `percent` of the inodes. With `ramp`
 * they get fewer.
 */
#include "faults/faults.h"

struct disk_inode_fill {
	double percent;
};

static const struct param params[] = {
	{.name = "percent",
	 .type = PARAM_PERCENT,
	 .offset = offsetof(struct disk_inode_fill, percent),
	 .preset = "100%",
	 .min = 0.01,
	 .max = 1,
	 .help = "Share of its inodes that is used."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct disk_inode_fill *fill = values;
	const struct effect effect = {
		.kind = EFFECT_DISK_INODES,
		.amount = EFFECT_PPM - faults_ppm(fill->percent),
	};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_disk_inode_fill = {
	.name = "disk.inode_fill",
	.group = "disk",
	.help = "A disk has no room for another file.",
	.params = params,
	.params_size = sizeof(struct disk_inode_fill),
	.needs = EFFECT_BIT(EFFECT_DISK_INODES),
	.targets = TARGET_BIT(ENTITY_NODE) | TARGET_BIT(ENTITY_STORE),
	.plan = plan,
};
