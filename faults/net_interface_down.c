/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.interface_down: the network interface of a node is down.
 *
 * In the field somebody runs `ip link set down` on the wrong machine, a driver resets the card, or
 * an update of the network's configuration takes it away. Unlike behind a cut, the node itself
 * knows: its programs get ENETDOWN at once, its addresses are gone, and local services that
 * listened on them stop. To everybody else it looks like a crash. The effect takes all paths of the
 * node away and leaves its processes running.
 */
#include "faults/faults.h"

static const struct param params[] = {PARAMS_END};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct partition partition = {
		.shape = PARTITION_ALL,
		.interface = true,
		.entities = faults_keep(out, entities, count * sizeof(*entities)),
		.count = count,
	};
	struct effect effect = {.kind = EFFECT_NET_CUT};

	(void)values;
	(void)prng;
	effect.partition = faults_keep(out, &partition, sizeof(partition));
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_net_interface_down = {
	.name = "net.interface_down",
	.group = "net",
	.help = "The network interface of a node is down.",
	.params = params,
	.params_size = 0,
	.needs = EFFECT_BIT(EFFECT_NET_CUT),
	.targets = TARGET_BIT(ENTITY_NODE),
	.plan = plan,
};
