/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.fill: there is no space left on a disk, or hardly any.
 *
 * In the field logs, core dumps, old checkpoints or an image cache fill it up: every write fails
 * with ENOSPC while reads go on, so the service answers and nothing new is kept. What is written
 * next is lost or torn: a checkpoint, a backup, the state of the very tool that should clean up.
 * On a store it is the backup that fails, and the newest one gets older from day to day. Before
 * that, with less than a tenth left, the kubelet reports DiskPressure (nodefs.available<10%), and
 * the node takes no pods. The effect fills `percent` of the space of the node's disk, or of the
 * store; 100 % leave no space for a write. With `ramp` it fills up.
 */
#include "faults/faults.h"

struct disk_fill {
	double percent;
};

static const struct param params[] = {
	{.name = "percent",
	 .type = PARAM_PERCENT,
	 .offset = offsetof(struct disk_fill, percent),
	 .preset = "100%",
	 .min = 0.01,
	 .max = 1,
	 .help = "Share of its space that is used."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct disk_fill *fill = values;
	const struct effect effect = {
		.kind = EFFECT_DISK_FULL,
		.amount = EFFECT_PPM - faults_ppm(fill->percent),
	};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_disk_fill = {
	.name = "disk.fill",
	.group = "disk",
	.help = "No space is left on a disk: writes fail, reads go on.",
	.params = params,
	.params_size = sizeof(struct disk_fill),
	.needs = EFFECT_BIT(EFFECT_DISK_FULL),
	.targets = TARGET_BIT(ENTITY_NODE) | TARGET_BIT(ENTITY_STORE),
	.plan = plan,
};
