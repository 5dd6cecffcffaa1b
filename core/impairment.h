/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an effect on the network says beside its strength: which packets, in which direction, by
 * which model of chance, and who is cut off from whom. A fault fills it; a driver that moves
 * packets obeys it; a model that has none takes the strength alone. The words are netem's
 * (tc-netem(8)). All shares are in [0, 1].
 */
#ifndef CORE_IMPAIRMENT_H
#define CORE_IMPAIRMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/target.h"

/* As the target sees it: packets to it, from it, or both. */
enum direction {
	DIRECTION_BOTH,
	DIRECTION_TO,
	DIRECTION_FROM
};
extern const char *const direction_names[]; /* "both", "to", "from", NULL */

enum delay_distribution {
	DELAY_NORMAL,  /* jitter is the standard deviation, as in all but uniform */
	DELAY_UNIFORM, /* latency - jitter … latency + jitter */
	DELAY_PARETO,
	DELAY_PARETONORMAL
};
extern const char *const delay_distribution_names[]; /* "normal", "uniform", … NULL */

enum loss_model {
	LOSS_RANDOM,  /* each packet by itself, or correlated with the one before */
	LOSS_GEMODEL, /* Gilbert 1960, Elliott 1963: a good and a bad state */
	LOSS_STATE    /* Salsano et al. 2012: four states */
};
extern const char *const loss_model_names[]; /* "random", "gemodel", "state", NULL */

/* All zero: every packet, both ways, each by itself. The strength (share, latency, jitter, bytes)
 * is the effect's amount and spread. Lives as long as the effects of its injection. */
struct impairment {
	enum direction direction;
	const char *match;  /* a pcap-filter(7) expression; NULL: every packet */
	double correlation; /* of one packet's fate with that of the one before */
	enum delay_distribution distribution;
	enum loss_model loss;
	/* gemodel: good to bad, bad to good, loss while bad (1-h), loss while good (1-k). With an
	 * effect that is not at its full strength these stay, and the share of all packets that
	 * is lost is `amount`: scale p to it. */
	double p, r, one_h, one_k;
	/* state: 1 received, 2 received in a burst, 3 lost in a burst, 4 lost alone; one in state
	 * 4 goes to 1 */
	double p13, p31, p32, p23, p14;
	uint32_t gap; /* reorder: only each gap-th packet may go before others; 0, 1: each */
};

/* The share of all packets that its loss model loses in the long run; LOSS_RANDOM: `share`. */
double impairment_loss(const struct impairment *impairment, double share);

enum partition_shape {
	PARTITION_ALL,      /* each target is cut off from everything, outside included */
	PARTITION_HALVES,   /* the first half of the targets from the second; of an odd number
			       the first half is the smaller one */
	PARTITION_ONE,      /* one of them, drawn, from all others */
	PARTITION_MAJORITY, /* the smallest majority, the first ones, from the rest */
	PARTITION_RING,   /* each sees a majority, no two the same one: its neighbours in a ring */
	PARTITION_BRIDGE, /* halves, and the one in the middle sees both */
	PARTITION_CUSTOM  /* as `groups` says: who shares no group does not see each other */
};
extern const char *const partition_shape_names[]; /* "all", "halves", … NULL */

/* One for all effects of a fault. Outside (clients, gateway, platform) reaches all of them, but for
 * PARTITION_ALL. */
struct partition {
	enum partition_shape shape;
	enum direction direction;      /* of what is dropped, as the first of two sees it */
	bool interface;                /* the interface itself is down: programs see ENETDOWN */
	const struct entity *entities; /* what was selected, in that order */
	size_t count;
	size_t one;             /* PARTITION_ONE: the index of that one */
	const uint64_t *groups; /* PARTITION_CUSTOM: a bit for each group it is in, of each */
};

/* Is entity a cut off from entity b, both by their place in `entities`? Never from itself. */
bool partition_cuts(const struct partition *partition, size_t a, size_t b);
/* The same of two things anywhere in the deployment: false when one is not of the partition, but
 * for PARTITION_ALL, where a target is cut off from everything. */
bool partition_between(const struct partition *partition, struct entity a, struct entity b);

#endif
