/* SPDX-License-Identifier: Apache-2.0 */
/*
 * objstore.unavailable: the backup store does not answer.
 *
 * In the field an outage of the provider's object store, a deleted bucket policy, an expired
 * certificate or a network path that is closed: neither backups nor restores get through. What
 * runs goes on; what wants to start from the store (weights, checkpoints, a standby that restores)
 * does not. A plan whose store stands beside the primary loses both at once. The effect makes the
 * store unusable.
 */
#include "faults/faults.h"

static const struct param params[] = {PARAMS_END};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	(void)values;
	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_STORE_OUT}, entities, count, out, e);
}

const struct fault_ops fault_objstore_unavailable = {
	.name = "objstore.unavailable",
	.group = "objstore",
	.help = "The backup store does not answer: no backup, no restore.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_STORE_OUT),
	.targets = TARGET_BIT(ENTITY_STORE),
	.plan = plan,
};
