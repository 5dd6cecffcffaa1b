/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repl.lag: the copies at the standby are older than they should be.
 *
 * In the field a long transaction, a slow link, or a replica that applies with one thread what the
 * primary writes with many: replication goes on, and what arrives is of some time ago. Service is
 * not hurt. A takeover from that copy loses the lag, which no backup interval in the plan speaks
 * of, and a monitor that asks whether replication runs is content. The effect makes the standby's
 * copies older by `lag`. The preset is a choice for a drill.
 */
#include "faults/faults.h"

struct repl_lag {
	nanos lag;
};

static const struct param params[] = {
	{.name = "lag",
	 .type = PARAM_DURATION,
	 .offset = offsetof(struct repl_lag, lag),
	 .preset = "5m",
	 .min = 1,
	 .max = (double)PARAM_DURATION_MAX,
	 .help = "By how much the copies are behind."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct repl_lag *repl = values;
	const struct effect effect = {
		.kind = EFFECT_REPL_LAG,
		.amount = repl->lag,
	};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_repl_lag = {
	.name = "repl.lag",
	.group = "repl",
	.help = "The copies at the standby are older than they should be.",
	.params = params,
	.params_size = sizeof(struct repl_lag),
	.needs = EFFECT_BIT(EFFECT_REPL_LAG),
	.targets = TARGET_BIT(ENTITY_STANDBY),
	.plan = plan,
};
