/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user-space link: between a machine's port and the bridge of its site every frame goes through
 * this program, which does to it what drivers/linux/impair.h says. It needs no more of the kernel
 * than bridges, TAP devices and packet sockets, and the same seed loses the same packets.
 *
 * How: the port moves from its bridge to one of its own with a TAP device, a second TAP device
 * takes its place, and one thread copies between the two, frames of up to 64 KiB (TSO) in one
 * piece. Where each packet on the wire has a fate of its own (impair_needs_wire_packets()) such a
 * frame is judged packet by packet, and neighbours that go on at the same time go on in one piece.
 * Machine, addresses and connections stay as they are when a link begins and ends. What is sent
 * meanwhile is caught and goes on: a few frames may come twice, and one that the bridge has in hand
 * at that moment may be lost. Queueing disciplines and nftables on the port act as before.
 *
 * What the receiver sees of a flipped bit: checksums are complete before, so its kernel drops a
 * packet whose TCP, UDP or IPv4 header checksum no longer fits, as on a real wire; what has no
 * checksum (UDP over IPv4 that asks for none) reaches the program with the bit flipped.
 *
 * All of it is in the router's namespace, in descriptors and a thread of this process: when it
 * dies, however, the TAP devices are gone and the port is cut off, and the namespace goes with its
 * machines. Nothing can stay on the host, so nothing is in the journal.
 *
 * Limits: one thread for all links, some 200,000 frames per second; what it cannot take in time is
 * lost and counted (overrun). A wait ends a few 10 us late on a host that has a processor to spare.
 *
 * Threads: one thread at a time calls these functions for a struct user_links; they wait for the
 * copying thread, which answers between two packets.
 */
#ifndef DRIVERS_LINUX_LINK_H
#define DRIVERS_LINUX_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/error.h"
#include "drivers/linux/impair.h"

#define USER_LINKS_MAX 256
#define USER_LINK_RULES_MAX 16
#define USER_LINK_QUEUE_MAX ((size_t)256 << 20) /* bytes that wait in all links together */

/* One impairment. A packet goes through those that match it, in their order. */
struct user_link_rule {
	/* Which packets, a pcap-filter(7) expression over Ethernet frames, tried on a 64 KiB frame
	 * before it is cut; NULL: all, also ARP. */
	const char *match;
	enum impair_direction direction;
	struct impair_config config;
};

struct user_link_config {
	const char *port;   /* the machine's port in the router's namespace, "m0" */
	const char *bridge; /* the one that it is in, "site0" */
	uint64_t number;    /* of the link: part of what its random numbers are drawn from */
	const struct user_link_rule *rules;
	size_t rule_count;
	/* Without user_link_change() or user_link_renew() for so long it lets all pass; 0:
	 * never. */
	nanos lease;
};

struct user_link_stats {
	uint64_t frames[IMPAIR_DIRECTIONS], bytes[IMPAIR_DIRECTIONS]; /* that went on */
	/* Lost against the will of the rules: this thread was too slow, too many bytes waited
	 * (USER_LINK_QUEUE_MAX), the kernel took a frame not. */
	uint64_t overrun, queue_full, refused;
	nanos late_max;   /* most that a delayed frame went on after its time */
	uint64_t waiting; /* frames under way */
	bool lapsed;      /* the lease is over */
};

struct user_links;
struct user_link;

/* Can this host do it: tried for real in a child with a namespace of its own, with the rights that
 * this process has or those of a user namespace. -1: ERROR_UNAVAILABLE and why not. */
int user_link_probe(struct error *e);

/* Starts the thread. `network`: the namespace with ports and bridges, used by each begin. */
int user_links_open(int network, uint64_t seed, struct user_links **ret_links, struct error *e);
/* Ends the links that there still are; NULL: nothing. */
void user_links_close(struct user_links *links);

/* While traffic flows. Errors: ERROR_USAGE for a match or a config, with the rule's number;
 * ERROR_LIMIT; ERROR_UNAVAILABLE with what the kernel refused, and all is as it was. The config is
 * copied. The link belongs to `links`. */
int user_link_begin(struct user_links *links, const struct user_link_config *config,
		    struct user_link **ret_link, struct error *e);
/* Other rules from the next packet on. Rule i goes on counting packets where rule i was, with the
 * same random numbers; what waits keeps its time. On an error the old ones stay. */
int user_link_change(struct user_link *link, const struct user_link_rule *rules, size_t rule_count,
		     struct error *e);
/* The lease begins anew. Nothing when it is over. */
void user_link_renew(struct user_link *link);
/* The port is in the bridge again; what waited goes on at once. `link` is gone, whatever this
 * returns. */
int user_link_end(struct user_link *link, struct error *e);

/* Of rule i in one direction: how often it acted since the link began. */
struct impair_counters user_link_counters(struct user_link *link, size_t rule,
					  enum impair_direction direction);
/* -1: the kernel does not tell what its devices lost; the rest is there. */
int user_link_stats(struct user_link *link, struct user_link_stats *ret_stats, struct error *e);

#endif
