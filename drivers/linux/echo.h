/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Echo requests (ICMP) from one place in a network: what the wire between two places does, as seen
 * by whoever is at its ends. The kernel of the other end answers, so that a program there that is
 * frozen or dead does not count as a broken wire.
 */
#ifndef DRIVERS_LINUX_ECHO_H
#define DRIVERS_LINUX_ECHO_H

#include <stddef.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/error.h"

#define ECHO_TARGETS_MAX 1024
#define ECHO_ROUNDS_MAX 20000
#define ECHO_BYTES 64 /* of each packet behind the IP header */

struct echo;

/* Its packets leave by the network namespace that the calling thread is in now; afterwards any one
 * thread may use it. ERROR_UNAVAILABLE without CAP_NET_RAW there. */
int echo_open(struct echo **ret_echo, struct error *e);
void echo_close(struct echo *echo); /* NULL: nothing */

struct echo_plan {
	uint32_t rounds; /* 1 … ECHO_ROUNDS_MAX, to each target */
	nanos spacing;   /* between rounds */
	nanos patience;  /* for answers behind the last round */
	size_t bytes; /* of each packet behind the IP header; 0: ECHO_BYTES. Never cut in parts */
};

struct echo_sum {
	uint32_t sent, answered; /* requests; those with at least one right answer */
	uint32_t again;          /* right answers to a request that had one */
	uint32_t altered;        /* answers that are not what was sent */
	uint32_t late;           /* answers to a request older than one that is answered already */
	nanos round_trip;        /* median; NANOS_NEVER: no answer */
};

/* Sends to each of `count` addresses (IPv4, network order), waits, and fills ret[count]. Ends early
 * when all are answered. -1 only when nothing can be sent at all. */
int echo_run(struct echo *echo, const uint32_t *targets, size_t count, const struct echo_plan *plan,
	     struct echo_sum *ret, struct error *e);

/* Share of packets that one direction loses, when both lose alike. */
double echo_loss(const struct echo_sum *sum);

#endif
