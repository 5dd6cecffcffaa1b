/* SPDX-License-Identifier: Apache-2.0 */
/*
 * objstore.throttle: the backup store slows its clients down.
 *
 * In the field the provider limits requests or bandwidth for each client or prefix (`503 Slow
 * Down`): a backup of many small objects or a restore on a hundred nodes at once meets the limit,
 * a test on one does not. Backups run into each other, restores take hours. The effect leaves
 * `rate` of throughput to everything that reads from or writes to the store. The preset is what
 * AWS says to count on for one connection to S3 (85 to 90 MB/s).
 */
#include <math.h>

#include "faults/faults.h"

struct objstore_throttle {
	double rate;
};

static const struct param params[] = {
	{.name = "rate",
	 .type = PARAM_RATE,
	 .offset = offsetof(struct objstore_throttle, rate),
	 .preset = "85MB/s",
	 .min = 1,
	 .max = INFINITY,
	 .help = "Throughput that is left."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct objstore_throttle *throttle = values;
	const struct effect effect = {
		.kind = EFFECT_STORE_RATE,
		.amount = faults_rate(throttle->rate),
	};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_objstore_throttle = {
	.name = "objstore.throttle",
	.group = "objstore",
	.help = "The backup store slows its clients down, both ways.",
	.params = params,
	.params_size = sizeof(struct objstore_throttle),
	.needs = EFFECT_BIT(EFFECT_STORE_RATE),
	.targets = TARGET_BIT(ENTITY_STORE),
	.plan = plan,
};
