/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queueing disciplines of the kernel at the root of a link: netem, which does what struct
 * impair_config asks except for `mtu`, and the token bucket filter (TBF), which does its `rate`.
 * They act on what leaves the link: on the router's port of a machine that is what the machine
 * gets, on the machine's own link what it sends.
 *
 * netem has no burst of a rate, and its correlations shift the shares that were asked for
 * (tc-netem(8)): neither is asked of it. Chance can be seeded from Linux 6.7 on only. Its queue is
 * sized from rate and delay: the usual 1000 packets would lose more than was asked for.
 *
 * A discipline vanishes with its link or namespace; what the link had by itself is back after
 * tc_end(). Any thread, one discipline in one thread at a time. What tc_begin() returns lives in
 * the arena.
 */
#ifndef DRIVERS_LINUX_TC_H
#define DRIVERS_LINUX_TC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/error.h"
#include "drivers/linux/impair.h"

#define TC_LINE_RATE ((uint64_t)2500000000) /* bytes/s of a link without a limit: 20 Gbit/s */
#define TC_PACKET_SMALL 256   /* bytes on average, where a queue is counted in packets */
#define TC_QUEUE_MIN 1000     /* packets */
#define TC_QUEUE_MAX 10000000 /* packets */
#define TC_BURST_MIN 65536    /* bytes: one packet of TSO */
#define TC_TABLE 4096         /* entries of a table of delays */

enum tc_kind {
	TC_NETEM,
	TC_TBF,
};
extern const char *const tc_kind_names[]; /* "netem", "tbf" */

/* Can this host do it? Tried in a namespace of its own; ERROR_UNAVAILABLE says why not. */
int tc_probe(enum tc_kind kind, struct error *e);
/* Can a discipline of the kind do all that the config asks? The error names the first word that it
 * cannot. Needs no rights. */
int tc_can(enum tc_kind kind, const struct impair_config *config, struct error *e);

/* Packets that netem must have room for: rate × the longest delay, or the line's rate without one;
 * TC_QUEUE_MIN at least. */
uint32_t tc_queue(const struct impair_config *config);

struct tc;

struct tc_counts {
	uint64_t packets, bytes; /* that left */
	uint64_t drops;
	uint64_t overlimits; /* times that one had to wait for the rate */
	uint64_t waiting_packets, waiting_bytes;
};

/* In force when it returns. ERROR_UNAVAILABLE also when another discipline was put there by
 * someone. `netns` must stay open. */
int tc_begin(int netns, const char *link, enum tc_kind kind, const struct impair_config *config,
	     uint64_t seed, struct arena *arena, struct tc **ret_tc, struct error *e);
/* Packets that wait keep their times. */
int tc_change(struct tc *tc, const struct impair_config *config, struct error *e);
int tc_counts(struct tc *tc, struct tc_counts *ret_counts, struct error *e);
/* Nothing when it is gone. Packets that wait in it are lost. */
int tc_end(struct tc *tc, struct error *e);

#endif
