/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.badblocks: some blocks of a disk cannot be read.
 *
 * In the field a disk wears out in places: what lies there is read with EIO, what is written there
 * again is remapped and well. Nobody notices until somebody reads what was not read for long, which
 * for a backup is the day it is needed (Bairavasundaram et al., "An Analysis of Latent Sector
 * Errors in Disk Drives", SIGMETRICS 2007: 3.45 % of disks in 32 months). The effect makes `share`
 * of the blocks that are there, in so many `ranges`, unreadable until they are written, as dm-dust
 * does.
 */
#include "faults/faults.h"

struct disk_badblocks {
	double share;
	int64_t ranges;
};

static const struct param params[] = {
	{.name = "share",
	 .type = PARAM_PERCENT,
	 .offset = offsetof(struct disk_badblocks, share),
	 .preset = "0.1%",
	 .min = 1e-6,
	 .max = 1,
	 .help = "Share of the blocks that cannot be read."},
	{.name = "ranges",
	 .type = PARAM_INTEGER,
	 .offset = offsetof(struct disk_badblocks, ranges),
	 .preset = "16",
	 .min = 1,
	 .max = 1000000,
	 .help = "In so many places they lie."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct disk_badblocks *blocks = values;
	const struct effect effect = {
		.kind = EFFECT_DISK_BADBLOCKS,
		.amount = faults_ppm(blocks->share),
		.spread = blocks->ranges,
	};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_disk_badblocks = {
	.name = "disk.badblocks",
	.group = "disk",
	.help = "Some blocks of a disk cannot be read.",
	.params = params,
	.params_size = sizeof(struct disk_badblocks),
	.needs = EFFECT_BIT(EFFECT_DISK_BADBLOCKS),
	.targets = TARGET_BIT(ENTITY_NODE) | TARGET_BIT(ENTITY_STORE),
	.plan = plan,
};
