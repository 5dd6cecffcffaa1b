/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which mechanism makes a network bad in the way that is asked for, by what this host has; and the
 * same calls for all of them. The first that can do all of it is taken:
 *
 *                             netem     nftables    tbf     user-space link
 *   latency, jitter           yes       -           -       yes
 *   distributions             yes       -           -       yes
 *   loss, random              yes       yes         -       yes
 *   correlations              -         -           -       yes
 *   loss, gemodel and state   yes       -           -       yes
 *   duplicate, corrupt        yes       -           -       yes
 *   reorder                   yes       -           -       yes
 *   rate                      shapes    polices     shapes  shapes
 *   burst and queue of a rate -         burst       yes     yes
 *   mtu (larger ones vanish)  -         -           -       yes
 *   match (pcap expression)   -         -           -       yes
 *   the same packets again    -         -           -       yes
 *   partition, ports, reset   -         yes         -       -
 *   ends when nobody renews   -         yes         -       yes
 *   needs                     sch_netem nf_tables   sch_tbf /dev/net/tun
 *
 * A rate alone goes to tbf first and to nftables last. Partitions, black holes and resets are calls
 * of nft.h; links that are down, MTUs and routes of interface.h.
 *
 * One fault of netem, of tbf and of the user-space link on a machine at a time; a second one is
 * refused with ERROR_UNAVAILABLE. Everything that this makes lives in namespaces and vanishes with
 * them. One thread at a time.
 */
#ifndef DRIVERS_LINUX_NET_H
#define DRIVERS_LINUX_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/error.h"
#include "drivers/linux/impair.h"
#include "drivers/linux/link.h"

enum net_backend {
	NET_NETEM,
	NET_NFTABLES,
	NET_TBF,
	NET_LINK,
};
#define NET_BACKENDS 4
extern const char *const net_backend_names[]; /* "netem", "nftables", "tbf", "user-space link" */

#define NET_WHY_MAX 512

/* What the host has, and of what it has not why. */
struct net_host {
	bool has[NET_BACKENDS];
	char why[NET_BACKENDS][NET_WHY_MAX];
};

struct net_ask {
	struct impair_config config;
	enum impair_direction direction;
	const char *match; /* pcap expression of the packets meant; NULL: all */
	bool repeatable;   /* the same seed must meet the same packets again */
};

struct net_choice {
	enum net_backend backend;
	char why[NET_WHY_MAX]; /* why none of those before it, in words; "" when it is the first */
};

/* Tries each in a namespace of its own. */
void net_probe(struct net_host *ret_host);
/* A pure function. ERROR_UNAVAILABLE when none can do it, with the reason of each. */
int net_choose(const struct net_host *host, const struct net_ask *ask,
	       struct net_choice *ret_choice, struct error *e);

/* A machine's place in the network. Names and descriptors must stay as long as the fault. */
struct net_place {
	int router;            /* namespace of the port */
	const char *port;      /* the router's end of the machine's link */
	int machine;           /* namespace of the machine */
	const char *interface; /* its own end */
	uint32_t address;      /* IPv4, host order; 0: all that passes the port is meant */
	const char *bridge;    /* in the router's namespace, where the port is in */
	/* Of that namespace, and the number of this machine's; NULL: no user-space link here. */
	struct user_links *links;
	uint64_t number;
};

struct net_fault;

struct net_counts {
	uint64_t seen;    /* packets that came to it */
	uint64_t acted;   /* how often it was other than without it, as far as the backend counts */
	uint64_t unwanted; /* lost against the will of the config: the mechanism was too slow */
	uint64_t dropped; /* lost by chance, by a full queue, by the rate */
};

/*
 * In force when it returns. `name`: [a-z0-9_]+, of this fault alone. `lease`: of NET_NFTABLES and
 * NET_LINK; the others last until net_end() or the namespace's end.
 */
int net_begin(const struct net_place *place, const struct net_ask *ask, enum net_backend backend,
	      const char *name, uint64_t seed, nanos lease, struct arena *arena,
	      struct net_fault **ret_fault, struct error *e);
/* Another strength; the direction and the match stay. ERROR_UNAVAILABLE when the backend cannot do
 * it; then nothing has changed. */
int net_change(struct net_fault *fault, const struct impair_config *config, struct error *e);
int net_renew(struct net_fault *fault, struct error *e);
int net_counts(struct net_fault *fault, struct net_counts *ret_counts, struct error *e);
int net_end(struct net_fault *fault, struct error *e);

#endif
