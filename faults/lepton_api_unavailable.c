/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lepton.api_unavailable: the platform's control plane does not answer.
 *
 * In the field the provider's API is down, overloaded or behind a login that is: replicas that run
 * go on serving, and nothing can be changed. No start, no scaling, no weights of an ingress moved,
 * which is the failover lever itself; the SDK waits 120 s for an answer and does not try again.
 * Disasters come in company: a zone that fails sends all of its tenants to the API at once. The
 * effect lets the control plane of the site answer nothing.
 */
#include "faults/faults.h"

static const struct param params[] = {PARAMS_END};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	(void)values;
	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_API_OUT}, entities, count, out, e);
}

const struct fault_ops fault_lepton_api_unavailable = {
	.name = "lepton.api_unavailable",
	.group = "lepton",
	.help = "The platform's API does not answer: nothing can be changed.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_API_OUT),
	.targets = TARGET_BIT(ENTITY_SITE),
	.plan = plan,
};
