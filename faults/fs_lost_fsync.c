/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs.lost_fsync: a crash takes what was not synced, or even what was.
 *
 * In the field the page cache holds a write for 30 s before it is on the disk, so that a program
 * that forgets fsync loses what it acknowledged as soon as the power fails, and never in a test
 * that only kills it; and there are disks that say of their volatile cache that it is on the
 * platter. The effect makes a crash of the node take all that was written and not synced since it
 * began; with `lies` also what was synced.
 */
#include "faults/faults.h"

struct fs_lost_fsync {
	bool lies;
};

static const struct param params[] = {
	{.name = "lies",
	 .type = PARAM_BOOL,
	 .offset = offsetof(struct fs_lost_fsync, lies),
	 .preset = "false",
	 .help = "A sync is confirmed and keeps nothing."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct fs_lost_fsync *fsync = values;
	const struct effect effect = {.kind = EFFECT_FS_UNSYNCED, .spread = fsync->lies};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_fs_lost_fsync = {
	.name = "fs.lost_fsync",
	.group = "fs",
	.help = "A crash takes what was not synced, or even what was.",
	.params = params,
	.params_size = sizeof(struct fs_lost_fsync),
	.needs = EFFECT_BIT(EFFECT_FS_UNSYNCED),
	.targets = TARGET_BIT(ENTITY_NODE),
	.plan = plan,
};
