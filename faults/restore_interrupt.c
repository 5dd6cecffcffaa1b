/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore.interrupt: a restore breaks off before its end.
 *
 * In the field a time-out, a lost connection, a node that is drained or a token that expires half
 * way: what was copied so far is there, the rest is not, and a tool may call that completed
 * (velero-io/velero#2121). If it begins again from the start, the recovery takes nearly twice as
 * long; if it is used as it is, service stands on half of the data. The effect breaks off the
 * restores from the store that are under way, once. A step says when: `after: {phase: restore,
 * progress: 50%}`.
 */
#include "faults/faults.h"

static const struct param params[] = {PARAMS_END};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	(void)values;
	(void)prng;
	return faults_each((struct effect){.kind = EFFECT_RESTORE_STOP}, entities, count, out, e);
}

const struct fault_ops fault_restore_interrupt = {
	.name = "restore.interrupt",
	.group = "restore",
	.help = "A restore that is under way breaks off.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_RESTORE_STOP),
	.targets = TARGET_BIT(ENTITY_STORE),
	.plan = plan,
};
