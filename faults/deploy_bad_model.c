/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deploy.bad_model: the weights that serve are not those that were released.
 *
 * In the field a wrong tag, a half-finished upload, a fine-tuning run that went wrong, or a
 * quantised copy in the place of the original: the rollout ends well, replicas are ready, answers
 * come in time and are bad. No probe of liveness or latency sees it; a canary with a known answer,
 * or a digest of the weights, does. A standby that loads from the same registry serves the same
 * nonsense, so the way back is the version before. The effect replaces the weights that the
 * endpoint's replicas serve from.
 */
#include "faults/faults.h"

static const struct param params[] = {PARAMS_END};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	(void)values;
	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_MODEL_BAD}, entities, count, out, e);
}

const struct fault_ops fault_deploy_bad_model = {
	.name = "deploy.bad_model",
	.group = "deploy",
	.help = "The weights that serve are not those that were released.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_MODEL_BAD),
	.targets = TARGET_BIT(ENTITY_ENDPOINT),
	.plan = plan,
};
