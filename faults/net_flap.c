/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.flap: the network is cut and whole in turns.
 *
 * In the field a cable with a loose contact, a route that two routers disagree about, a card that
 * resets itself: each change starts something (routes converge anew, connections break, detectors
 * count from the start), and the next one comes before that has ended. A detector that wants
 * several misses in a row never fires, a controller without patience fails over and back and over
 * again. The effect cuts all paths of the target for `down` and opens them for `up`, in turns,
 * beginning with a cut. The presets are a choice for a drill.
 */
#include "faults/faults.h"

struct net_flap {
	nanos down;
	nanos up;
};

static const struct param params[] = {
	{.name = "down",
	 .type = PARAM_DURATION,
	 .offset = offsetof(struct net_flap, down),
	 .preset = "10s",
	 .min = 1e6,
	 .max = 86400e9,
	 .help = "How long it is cut each time."},
	{.name = "up",
	 .type = PARAM_DURATION,
	 .offset = offsetof(struct net_flap, up),
	 .preset = "30s",
	 .min = 1e6,
	 .max = 86400e9,
	 .help = "How long it is whole between."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct net_flap *flap = values;
	const struct effect effect = {
		.kind = EFFECT_NET_FLAP,
		.amount = flap->down,
		.spread = flap->up,
	};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_net_flap = {
	.name = "net.flap",
	.group = "net",
	.help = "The network around the target is cut and whole in turns.",
	.params = params,
	.params_size = sizeof(struct net_flap),
	.needs = EFFECT_BIT(EFFECT_NET_FLAP),
	.targets = TARGET_BIT(ENTITY_SITE) | TARGET_BIT(ENTITY_NODE) | TARGET_BIT(ENTITY_LINK),
	.plan = plan,
};
