/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repl.split_brain: the standby takes writes beside the primary.
 *
 * In the field a failover is started while the old primary still serves: it was cut off and not
 * fenced, somebody promoted the standby by hand, or two controllers disagree. Both sides take
 * writes, each in good faith, and the two histories cannot be put together again by a machine:
 * whichever side is chosen, the writes acknowledged by the other one are lost. The effect lets the
 * standby take the writes of `share` of the clients, until it is fenced or the fault is taken
 * back. The preset is a choice for a drill.
 */
#include "faults/faults.h"

struct repl_split_brain {
	double share;
};

static const struct param params[] = {
	{.name = "share",
	 .type = PARAM_PERCENT,
	 .offset = offsetof(struct repl_split_brain, share),
	 .preset = "50%",
	 .min = 1e-6,
	 .max = 1,
	 .help = "Share of the clients that write to the standby."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct repl_split_brain *split = values;
	const struct effect effect = {
		.kind = EFFECT_SPLIT_BRAIN,
		.amount = faults_ppm(split->share),
	};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_repl_split_brain = {
	.name = "repl.split_brain",
	.group = "repl",
	.help = "The standby takes writes beside the primary (split brain).",
	.params = params,
	.params_size = sizeof(struct repl_split_brain),
	.needs = EFFECT_BIT(EFFECT_SPLIT_BRAIN),
	.targets = TARGET_BIT(ENTITY_STANDBY),
	.plan = plan,
};
