/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.loss: packets are lost.
 *
 * In the field a dirty fibre, an overrun buffer or a failing switch: most packets come through, the
 * others must be sent again. TCP takes loss for congestion and slows down far more than the share
 * that is lost; probes miss now and then, so a detector that wants one miss raises false alarms,
 * and one that wants many sees nothing. The effect loses `percent` of the packets of the target, in
 * each direction. The preset is a choice for a drill.
 *
 * In the field losses come in bursts. `model: gemodel` (Gilbert 1960, Elliott 1963) has a good and
 * a bad state: p leads into the bad one, r out of it, 1-h is lost while it is bad, 1-k while it is
 * good; its presets are bursts of ten packets, one in a hundred. `model: state` has the four states
 * of Salsano et al. (2012) as in netem's manual. The share that is lost follows from the states,
 * and `percent` counts for `random` alone. A model without packets takes that share, each packet by
 * itself.
 */
#include "faults/packets.h"

struct net_loss {
	struct packets packets;
	double percent;
	int model;
	double p, r, one_h, one_k;
	double p13, p31, p32, p23, p14;
};

#define SHARE(key, field, value, text)                                                             \
	{                                                                                          \
		.name = (key), .type = PARAM_PERCENT, .offset = offsetof(struct net_loss, field),  \
		.preset = (value), .help = (text)                                                  \
	}

static const struct param params[] = {
	{.name = "percent",
	 .type = PARAM_PERCENT,
	 .offset = offsetof(struct net_loss, percent),
	 .preset = "10%",
	 .min = 1e-6,
	 .max = 1,
	 .help = "Share of the packets that is lost, each way; random."},
	{.name = "model",
	 .type = PARAM_CHOICE,
	 .offset = offsetof(struct net_loss, model),
	 .preset = "random",
	 .choices = loss_model_names,
	 .help = "Each by itself, or in bursts by states."},
	SHARE("p", p, "1%", "gemodel: chance to turn bad, at each packet."),
	SHARE("r", r, "10%", "gemodel: chance to turn good again."),
	SHARE("1-h", one_h, "100%", "gemodel: share that is lost while it is bad."),
	SHARE("1-k", one_k, "0%", "gemodel: share that is lost while it is good."),
	SHARE("p13", p13, "1%", "state: from good to a burst."),
	SHARE("p31", p31, "10%", "state: from a burst to good."),
	SHARE("p32", p32, "0%", "state: from lost to received within a burst."),
	SHARE("p23", p23, "0%", "state: from received to lost within a burst."),
	SHARE("p14", p14, "0%", "state: one lost alone."),
	PACKETS_CORRELATION,
	PACKETS_ROWS,
	PARAMS_END,
};

static int choose_states(const struct net_loss *loss, struct impairment *impairment,
			 struct error *e)
{
	if (impairment->loss == LOSS_GEMODEL) {
		impairment->p = loss->p;
		impairment->r = loss->r;
		impairment->one_h = loss->one_h;
		impairment->one_k = loss->one_k;
	} else if (impairment->loss == LOSS_STATE) {
		impairment->p13 = loss->p13;
		impairment->p31 = loss->p31;
		impairment->p32 = loss->p32;
		impairment->p23 = loss->p23;
		impairment->p14 = loss->p14;
	}
	if (impairment->loss == LOSS_STATE &&
	    ((loss->p13 > 0 && loss->p31 <= 0) || (loss->p32 > 0 && loss->p23 <= 0) ||
	     loss->p13 + loss->p14 > 1 || loss->p31 + loss->p32 > 1))
		return error_set(e, ERROR_SCENARIO, NO_PLACE,
				 "each state needs a way out, and no more than 100%% may leave it");
	if (impairment->loss != LOSS_RANDOM && impairment->correlation > 0)
		return error_set(e, ERROR_SCENARIO, NO_PLACE,
				 "'correlation' goes with model random: states are correlated "
				 "already");
	return 0;
}

static int plan(const void *values, const struct entity *entities, size_t count, struct prng *prng,
		struct effects *out, struct error *e)
{
	const struct net_loss *loss = values;
	struct impairment impairment = packets_choose(&loss->packets);
	struct effect effect = {.kind = EFFECT_NET_LOSS};

	(void)prng;
	impairment.loss = (enum loss_model)loss->model;
	if (choose_states(loss, &impairment, e))
		return -1;
	effect.amount = faults_ppm(impairment_loss(&impairment, loss->percent));
	if (effect.amount == 0)
		return error_set(e, ERROR_SCENARIO, NO_PLACE, "with these states none is lost");
	effect.impairment = packets_keep(out, &impairment);
	return faults_each(effect, entities, count, out, e);
}

const struct fault_ops fault_net_loss = {
	.name = "net.loss",
	.group = "net",
	.help = "A share of the packets from and to the target is lost.",
	.params = params,
	.params_size = sizeof(struct net_loss),
	.needs = EFFECT_BIT(EFFECT_NET_LOSS),
	.targets = TARGET_BIT(ENTITY_SITE) | TARGET_BIT(ENTITY_NODE) | TARGET_BIT(ENTITY_LINK),
	.plan = plan,
};
