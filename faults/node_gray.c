/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.gray: a node is up by every check, and bad for those who use it.
 *
 * In the field a failing disk, a full connection table, a half-broken network card or a thread
 * pool that is stuck: the node answers its probes, its agent reports healthy, and requests that
 * land there are slow or fail (a gray failure; Huang et al., HotOS 2017: what the system sees
 * differs from what its users see). Balancers keep sending to it, one that counts open requests
 * even prefers it when it fails fast. Only the requests themselves show it.
 *
 * The effect makes requests that are served on the node take `latency` longer and fails
 * `error_rate` of them; what is 0 is left out, and one of the two must be more. The presets are a
 * choice for a drill.
 */
#include "faults/faults.h"

struct node_gray {
	nanos latency;
	double error_rate;
};

static const struct param params[] = {
	{.name = "latency",
	 .type = PARAM_DURATION,
	 .offset = offsetof(struct node_gray, latency),
	 .preset = "2s",
	 .min = 0,
	 .max = 3600e9,
	 .help = "What is added to each request."},
	{.name = "error_rate",
	 .type = PARAM_PERCENT,
	 .offset = offsetof(struct node_gray, error_rate),
	 .preset = "10%",
	 .min = 0,
	 .max = 1,
	 .help = "Share of the requests that fail at once."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct node_gray *gray = values;
	struct effect slow = {.kind = EFFECT_SERVE_SLOW, .amount = gray->latency};
	struct effect error = {.kind = EFFECT_SERVE_ERROR, .amount = faults_ppm(gray->error_rate)};

	(void)prng;
	if (slow.amount == 0 && error.amount == 0)
		return error_set(e, ERROR_SCENARIO, NO_PLACE,
				 "a gray node needs a latency or an error_rate above 0");
	if (slow.amount > 0 && faults_each(slow, entities, count, out, e))
		return -1;
	return error.amount > 0 ? faults_each(error, entities, count, out, e) : 0;
}

const struct fault_ops fault_node_gray = {
	.name = "node.gray",
	.group = "node",
	.help = "A node passes every check, but requests there are slow or fail.",
	.params = params,
	.params_size = sizeof(struct node_gray),
	.needs = EFFECT_BIT(EFFECT_SERVE_SLOW) | EFFECT_BIT(EFFECT_SERVE_ERROR),
	.targets = TARGET_BIT(ENTITY_NODE),
	.plan = plan,
};
