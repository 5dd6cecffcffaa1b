/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.throttle: a disk gets slow.
 *
 * In the field a cloud volume has used up its burst credits, a RAID rebuilds, or flash collects
 * its garbage: nothing fails, but loading weights, writing checkpoints and restoring data take
 * many times as long. It is found at the moment of recovery, when a start from this disk is waited
 * for. The effect leaves `rate` of throughput; the preset is the baseline of an AWS gp3 volume
 * (125 MiB/s), which is what is left of a faster one whose credit is gone.
 */
#include <math.h>

#include "faults/faults.h"

struct disk_throttle {
	double rate;
};

static const struct param params[] = {
	{.name = "rate",
	 .type = PARAM_RATE,
	 .offset = offsetof(struct disk_throttle, rate),
	 .preset = "125MiB/s",
	 .min = 1,
	 .max = INFINITY,
	 .help = "Throughput that is left."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct disk_throttle *throttle = values;
	const struct effect effect = {
		.kind = EFFECT_DISK_RATE,
		.amount = faults_rate(throttle->rate),
	};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_disk_throttle = {
	.name = "disk.throttle",
	.group = "disk",
	.help = "A disk gets slow: loading, saving and restoring take longer.",
	.params = params,
	.params_size = sizeof(struct disk_throttle),
	.needs = EFFECT_BIT(EFFECT_DISK_RATE),
	.targets = TARGET_BIT(ENTITY_NODE) | TARGET_BIT(ENTITY_STORE),
	.plan = plan,
};
