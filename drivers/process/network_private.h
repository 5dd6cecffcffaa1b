/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a drill's network, shared by network.c and effects_network.c. */
#ifndef DRIVERS_PROCESS_NETWORK_PRIVATE_H
#define DRIVERS_PROCESS_NETWORK_PRIVATE_H

#include <stdatomic.h>

#include "drivers/linux/echo.h"
#include "drivers/linux/link.h"
#include "drivers/linux/net.h"
#include "drivers/process/network.h"

#define NETWORK_MTU 1500 /* of every link that nobody broke */

/* What the watch last saw from a place to a target. */
struct seen {
	_Atomic uint32_t misses; /* in a row */
	_Atomic nanos round_trip;
};

struct network {
	uint32_t site_count;
	bool watched;     /* the scenario breaks it somewhere */
	bool among_nodes; /* or single nodes from one another */
	struct net_host host;
	struct machine **place;            /* of each site, then the edge's */
	struct echo **watch, **measure;    /* from each place: the watch's, the main thread's */
	int neighbours[PROCESS_NODES_MAX]; /* sockets of nodes that may be cut off so */
	uint32_t looks;                    /* from them, so far */
	uint32_t *address;                 /* network order: of each node, then of each place */
	size_t target_count;
	struct seen *seen;        /* [place][target] */
	struct user_links *links; /* where packets are touched by ourselves; NULL: not yet */
	size_t faults;            /* so far, for their names */
	uint64_t resets;          /* connections of looks that were reset, so far */
	nanos *trip;              /* round trip to each target, as it was first; 0: not measured */
	double *rate;             /* bytes/s to each target, as it was first; 0: not measured */
	nanos patience;           /* for an answer */
	struct watcher *watchers; /* of each place; NULL: not started */
	atomic_bool ends;
};

/* Echoes between the ends of what the entity names. Main thread. */
void network_measure(struct real *real, const struct entity *entity, uint32_t rounds, nanos spacing,
		     size_t bytes, struct echo_sum *ret);

/* ---- effects_network.c ---- */
/* Can this host do it? ERROR_UNAVAILABLE says why not. */
int network_check(struct real *real, const struct effect *effect, struct error *e);

/* ---- network_neighbours.c ---- */
/* The calling thread is in the network of the node. */
int neighbours_open(struct real *real, uint32_t n, struct error *e);
void neighbours_close(struct real *real);
/* Adds the ways from and to each other node. Main thread. */
void neighbours_count(struct real *real, uint32_t own, struct reading *ret);

#endif
