/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ib.flap: an InfiniBand port goes down and up again.
 *
 * In the field a bad cable or transceiver: the link trains, fails, and trains again. Each time
 * down stalls every collective that crosses it, and NCCL may give up where a retry would have
 * done. The health daemon calls a port down after 4 minutes (gpud), so a port that comes back
 * before that is never reported; counting the changes of state is what finds it. The effect cuts
 * the node off for `down` and leaves it whole for `up`, in turns, beginning with a cut. The
 * presets are a choice for a drill, below those 4 minutes.
 */
#include "faults/faults.h"

struct ib_flap {
	nanos down;
	nanos up;
};

static const struct param params[] = {
	{.name = "down",
	 .type = PARAM_DURATION,
	 .offset = offsetof(struct ib_flap, down),
	 .preset = "30s",
	 .min = 1e6,
	 .max = 86400e9,
	 .help = "How long it is down each time."},
	{.name = "up",
	 .type = PARAM_DURATION,
	 .offset = offsetof(struct ib_flap, up),
	 .preset = "60s",
	 .min = 1e6,
	 .max = 86400e9,
	 .help = "How long it is up between."},
	PARAMS_END,
};

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct ib_flap *flap = values;
	const struct effect effect = {
		.kind = EFFECT_NET_FLAP,
		.amount = flap->down,
		.spread = flap->up,
	};

	(void)prng;
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_ib_flap = {
	.name = "ib.flap",
	.group = "ib",
	.help = "An InfiniBand port goes down and up again and again.",
	.params = params,
	.params_size = sizeof(struct ib_flap),
	.needs = EFFECT_BIT(EFFECT_NET_FLAP),
	.targets = TARGET_BIT(ENTITY_NODE),
	.plan = plan,
};
