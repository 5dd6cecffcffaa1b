/* SPDX-License-Identifier: Apache-2.0 */
/*
 * data.delete: the live data are gone.
 *
 * In the field a wrong path in a clean-up job, a bucket's lifecycle rule, an operator in the wrong
 * window: the data are deleted by those who may. Replication carries the deletion to the standby
 * as fast as it carries a write, so a replica is no backup. The effect removes all bytes of the
 * active copy.
 */
#include "faults/faults.h"

static const struct param params[] = {PARAMS_END};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	(void)values;
	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_DATA_GONE}, entities, count, out, e);
}

const struct fault_ops fault_data_delete = {
	.name = "data.delete",
	.group = "data",
	.help = "The live data are gone: everything was deleted.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_DATA_GONE),
	.targets = TARGET_BIT(ENTITY_DATA),
	.plan = plan,
};
