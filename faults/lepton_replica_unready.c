/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lepton.replica_unready: a replica runs, but does not become ready.
 *
 * In the field a readiness probe on the wrong port, an approval that nobody gives
 * (`RequireReadinessApproval`), or a warm-up that does not end: the process runs and holds its
 * GPUs, the platform sends it no requests. If it is all of them, the endpoint is down with every
 * process up; a rollout waits for ever. No restart helps, since nothing has failed. The effect
 * makes the target report that it is not ready.
 */
#include "faults/faults.h"

static const struct param params[] = {PARAMS_END};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	(void)values;
	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_REPLICA_UNREADY}, entities, count, out,
			   e);
}

const struct fault_ops fault_lepton_replica_unready = {
	.name = "lepton.replica_unready",
	.group = "lepton",
	.help = "A replica runs but reports that it is not ready.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_REPLICA_UNREADY),
	.targets = TARGET_BIT(ENTITY_REPLICA) | TARGET_BIT(ENTITY_ENDPOINT),
	.plan = plan,
};
