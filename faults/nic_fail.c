/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nic.fail: the network card of a node fails.
 *
 * In the field a port, a transceiver or the card itself dies. With one port the node is cut off
 * and runs on unseen; with several, what is left carries everything, slower. 7 of the 419
 * unexpected interruptions of Llama 3 405B's training were network cards; in a published trace
 * half of the repairs took longer than 11.8 h, and a tenth more than 725 h (InfiniteHBD). The
 * effect cuts the node off when nothing is left (`rate` 0, the preset), else it leaves `rate` of
 * its bandwidth: of 400 Gbit/s on two ports, say, the 200 of the other one.
 */
#include <math.h>

#include "faults/faults.h"

struct nic_fail {
	double rate;
};

static const struct param params[] = {
	{.name = "rate",
	 .type = PARAM_RATE,
	 .offset = offsetof(struct nic_fail, rate),
	 .preset = "0B/s",
	 .min = 0,
	 .max = INFINITY,
	 .help = "Bandwidth that is left; 0B/s: none, the node is cut off."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct nic_fail *fail = values;
	struct effect effect = {.kind = EFFECT_NET_CUT};

	(void)prng;
	if (fail->rate > 0)
		effect =
			(struct effect){.kind = EFFECT_NET_RATE, .amount = faults_rate(fail->rate)};
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_nic_fail = {
	.name = "nic.fail",
	.group = "nic",
	.help = "The network card of a node fails: cut off, or with less bandwidth.",
	.params = params,
	.params_size = sizeof(struct nic_fail),
	.needs = EFFECT_BIT(EFFECT_NET_CUT) | EFFECT_BIT(EFFECT_NET_RATE),
	.targets = TARGET_BIT(ENTITY_NODE),
	.plan = plan,
};
