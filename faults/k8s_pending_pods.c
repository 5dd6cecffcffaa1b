/* SPDX-License-Identifier: Apache-2.0 */
/*
 * k8s.pending_pods: new pods find no place.
 *
 * In the field no node has the GPUs free, a quota is used up, a taint or an affinity rule leaves
 * nothing over, or a gang of pods waits until it fits as a whole: the pods stay Pending
 * (`NoCapacity`). Service goes on until something dies; then it is not replaced, and a restart
 * that used to heal in a minute does not end. The effect lets the site place no new pods; those
 * that run go on.
 */
#include "faults/faults.h"

static const struct param params[] = {PARAMS_END};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	(void)values;
	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_NO_CAPACITY}, entities, count, out, e);
}

const struct fault_ops fault_k8s_pending_pods = {
	.name = "k8s.pending_pods",
	.group = "k8s",
	.help = "New pods stay pending: what dies is not replaced.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_NO_CAPACITY),
	.targets = TARGET_BIT(ENTITY_SITE),
	.plan = plan,
};
