/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Effects on packets, as far as a model without packets goes: which share never arrives, what the
 * rest needs of the bandwidth, what TCP takes for loss, and who is cut off from whom. Filters,
 * directions, correlations and distributions of a struct impairment are left out: each packet has
 * its fate by itself, both ways.
 */
#include <math.h>

#include "sim/model/world.h"

#define MTU_USUAL 1500
#define HEADERS 40 /* bytes of IPv4 and TCP in each packet, RFC 791 and RFC 9293, without options */
#define FRAMING 38 /* around it: Ethernet's preamble, header, checksum and gap, IEEE 802.3 */
#define DUPLICATE_ACKS 3 /* RFC 5681, section 3.2 */

static double share_of(const struct effect *effect)
{
	return (double)effect->amount / EFFECT_PPM;
}

double wire_share(const struct world *w, enum effect_kind kind, struct entity entity)
{
	double spared = 1;
	for (size_t k = 0; k < w->standing_count; k++) {
		const struct effect *effect = condition_standing(w, k, kind);
		if (effect && entity_equal(effect->entity, entity))
			spared *= 1 - share_of(effect);
	}
	return 1 - spared;
}

/* A damaged packet fails its checksum and is dropped. The one in 65536 that a checksum of 16 bits
 * lets pass is left out: Ethernet's has 32. */
double wire_loss(const struct world *w, struct entity entity)
{
	double kept = 1 - wire_share(w, EFFECT_NET_LOSS, entity);
	return 1 - kept * (1 - wire_share(w, EFFECT_NET_CORRUPT, entity));
}

uint32_t wire_mtu(const struct world *w, struct entity entity)
{
	uint32_t mtu = MTU_USUAL;
	for (size_t k = 0; k < w->standing_count; k++) {
		const struct effect *effect = condition_standing(w, k, EFFECT_NET_MTU);
		if (effect && entity_equal(effect->entity, entity) && effect->amount < mtu)
			mtu = (uint32_t)effect->amount;
	}
	return mtu;
}

/* Of what a link carries, that is data of a connection whose packets are full. */
static double payload(uint32_t mtu)
{
	return ((double)mtu - HEADERS) / (mtu + FRAMING);
}

/* Path MTU discovery works: packets are as large as may be, none vanishes for its size. A copy
 * takes as much as the packet itself. */
double wire_width(const struct world *w, struct entity entity)
{
	double copies = 1;
	uint32_t mtu = wire_mtu(w, entity);
	for (size_t k = 0; k < w->standing_count; k++) {
		const struct effect *effect = condition_standing(w, k, EFFECT_NET_DUPLICATE);
		if (effect && entity_equal(effect->entity, entity))
			copies *= 1 + share_of(effect);
	}
	return (mtu < MTU_USUAL ? payload(mtu) / payload(MTU_USUAL) : 1) / copies;
}

double wire_segment(const struct world *w, struct entity entity)
{
	return wire_mtu(w, entity) - HEADERS;
}

/*
 * Packets that go at once pass those that are held back. While one is held, `rate` brings so many
 * later ones; when more than three of them go before it, TCP takes it for lost and halves its
 * window, though nothing is lost. Fewer do no harm.
 */
double wire_overtaken(const struct world *w, struct entity entity, double rate)
{
	double calm = 1;
	for (size_t k = 0; k < w->standing_count; k++) {
		const struct effect *effect = condition_standing(w, k, EFFECT_NET_REORDER);
		if (!effect || !entity_equal(effect->entity, entity))
			continue;
		double later = rate * (double)effect->spread / 1e9 /
			       (wire_segment(w, entity) * w->scenario->scale.bytes_scale);
		if (later * share_of(effect) >= DUPLICATE_ACKS)
			calm *= 1 - share_of(effect);
	}
	return 1 - calm;
}

/* What all packets wait for, on average: those that go at once do not. */
nanos wire_held(const struct effect *effect)
{
	return llround((1 - share_of(effect)) * (double)effect->spread);
}

/* ---- partitions that run through the deployment ---- */

bool wire_is_shaped(const struct effect *effect)
{
	return effect->partition && effect->partition->shape != PARTITION_ALL;
}

/* One direction is as bad as both: a connection needs its answers. */
bool wire_parted(const struct world *w, struct entity a, struct entity b)
{
	for (size_t i = 0; i < w->token_count && w->parted > 0; i++) {
		const struct token *token = &w->tokens[i];
		if (!token->active || token->effect.kind != EFFECT_NET_CUT ||
		    !wire_is_shaped(&token->effect))
			continue;
		if ((entity_equal(token->effect.entity, a) ||
		     entity_equal(token->effect.entity, b)) &&
		    partition_between(token->effect.partition, a, b))
			return true;
	}
	return false;
}
