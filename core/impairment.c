/* SPDX-License-Identifier: Apache-2.0 */
/* Shares that a loss model comes to, and who is cut off from whom. */
#include "core/impairment.h"

#include <assert.h>

const char *const direction_names[] = {"both", "to", "from", NULL};
const char *const delay_distribution_names[] = {"normal", "uniform", "pareto", "paretonormal",
						NULL};
const char *const loss_model_names[] = {"random", "gemodel", "state", NULL};
const char *const partition_shape_names[] = {"all",  "halves", "one",    "majority",
					     "ring", "bridge", "custom", NULL};

/*
 * Of the time in each state, from its balance: gemodel: bad p / (p + r). State (Salsano et al.,
 * "Definition of a general and intuitive loss model for packet networks and its implementation in
 * the Netem module", 2012, section 3): p13 leads from 1 to 3, where a burst is, p14 to 4 and back;
 * within the burst p32 leads to 2 and p23 back, p31 ends it. With w1 = 1: w4 = p14, w3 = p13 / p31,
 * w2 = w3 p32 / p23; lost is what is in 3 and 4.
 */
double impairment_loss(const struct impairment *impairment, double share)
{
	const struct impairment *i = impairment;
	double w2, w3, bad;

	switch (i->loss) {
	case LOSS_RANDOM:
		break;
	case LOSS_GEMODEL:
		bad = i->p + i->r > 0 ? i->p / (i->p + i->r) : 0;
		return bad * i->one_h + (1 - bad) * i->one_k;
	case LOSS_STATE:
		assert((i->p13 <= 0 || i->p31 > 0) && (i->p32 <= 0 || i->p23 > 0));
		w3 = i->p13 > 0 ? i->p13 / i->p31 : 0;
		w2 = i->p32 > 0 ? w3 * i->p32 / i->p23 : 0;
		return (w3 + i->p14) / (1 + w2 + w3 + i->p14);
	}
	return share;
}

/* The neighbours that each sees in a ring: so many on either side that with itself they are a
 * majority. */
static bool ring_cuts(size_t count, size_t a, size_t b)
{
	size_t away = a > b ? a - b : b - a, reach = (count / 2 + 1) / 2;

	away = away < count - away ? away : count - away;
	return away > reach;
}

bool partition_cuts(const struct partition *partition, size_t a, size_t b)
{
	size_t count = partition->count, half = count / 2;

	assert(a < count && b < count);
	if (a == b)
		return false;
	switch (partition->shape) {
	case PARTITION_ALL:
		return true;
	case PARTITION_HALVES:
		return (a < half) != (b < half);
	case PARTITION_ONE:
		return a == partition->one || b == partition->one;
	case PARTITION_MAJORITY:
		return (a <= half) != (b <= half);
	case PARTITION_RING:
		return ring_cuts(count, a, b);
	case PARTITION_BRIDGE:
		return a != half && b != half && (a < half) != (b < half);
	case PARTITION_CUSTOM:
		return !(partition->groups[a] & partition->groups[b]);
	}
	return false;
}

static size_t place_of(const struct partition *partition, struct entity entity)
{
	size_t i = 0;

	while (i < partition->count && !entity_equal(partition->entities[i], entity))
		i++;
	return i;
}

bool partition_between(const struct partition *partition, struct entity a, struct entity b)
{
	size_t i = place_of(partition, a), k = place_of(partition, b);
	bool in_a = i < partition->count, in_b = k < partition->count;

	if (entity_equal(a, b))
		return false;
	if (in_a && in_b)
		return partition_cuts(partition, i, k);
	return partition->shape == PARTITION_ALL && (in_a || in_b);
}
