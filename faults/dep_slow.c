/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dep.slow: something that the service depends on gets slow.
 *
 * In the field a tokenizer, a vector store, a feature service or a safety filter behind the
 * endpoint answers late: each request waits for it and holds its slot meanwhile, so throughput
 * falls with latency and a queue grows in a service that is itself well. Its probes, which do not
 * call the dependency, are green, and a failover to a standby with the same dependency changes
 * nothing. The effect makes each request of the endpoint take `latency` longer. The preset is a
 * choice for a drill.
 */
#include "faults/faults.h"

struct dep_slow {
	nanos latency;
};

static const struct param params[] = {
	{.name = "latency",
	 .type = PARAM_DURATION,
	 .offset = offsetof(struct dep_slow, latency),
	 .preset = "2s",
	 .min = 1,
	 .max = 3600e9,
	 .help = "What is added to each request."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct dep_slow *slow = values;
	const struct effect effect = {
		.kind = EFFECT_SERVE_SLOW,
		.amount = slow->latency,
	};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_dep_slow = {
	.name = "dep.slow",
	.group = "dep",
	.help = "A dependency is slow, and each request of the endpoint waits.",
	.params = params,
	.params_size = sizeof(struct dep_slow),
	.needs = EFFECT_BIT(EFFECT_SERVE_SLOW),
	.targets = TARGET_BIT(ENTITY_ENDPOINT),
	.plan = plan,
};
