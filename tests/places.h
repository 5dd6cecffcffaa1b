/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Four machines that only have a network, for tests of bad networks: sockets in each of them, and
 * what arrives of packets that have numbers. Machines 0 and 2 are of one site, 1 and 3 of the
 * other.
 */
#ifndef TESTS_PLACES_H
#define TESTS_PLACES_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "drivers/host/machine.h"
#include "drivers/linux/net.h"

#define PLACES 4
#define PLACES_SITES 2
#define PLACES_PORT 9000  /* where each machine receives UDP; it sends from the next one */
#define PLACES_HEADERS 42 /* bytes: Ethernet, IPv4 and UDP before what a program sends */
#define PLACES_NUMBERS (64 * 2048)

struct places {
	struct arena arena;
	struct journal *journal;
	struct machine_site sites[PLACES_SITES];
	struct machine_config configs[PLACES];
	struct machines_config config;
	struct machines *machines;
	struct machine *items[PLACES];
	int router;
	int receivers[PLACES], senders[PLACES]; /* UDP */
};

/* Fails the test with the error's text. */
void places_ok(int rc, const struct error *e);
void places_open(struct places *places);
/* Nothing of it is left. */
void places_close(struct places *places);

struct sockaddr_in places_address(const struct machine *machine, uint16_t port);
/* The IPv4 address of a machine, in host order. */
uint32_t places_number(const struct places *places, size_t machine);
/* A socket in the machine's network that does not block; the calling thread stays where it is. */
int places_socket(const struct machine *machine, int type, uint16_t port);
struct net_place places_of(const struct places *places, size_t machine);

/* What came, each number counted once. */
struct places_arrived {
	uint64_t seen[PLACES_NUMBERS / 64];
	uint64_t count, twice, bytes; /* bytes of frames */
	uint64_t late;                /* that came behind a higher number */
	uint32_t highest;
};

/* false: there is no room for it in the sender's socket. Any other error fails the test: a sender
 * must not be told what happens to its packet. */
bool places_send(const struct places *places, size_t from, size_t to, uint16_t port,
		 uint32_t number, size_t size);
/* Takes what `from` has sent to that socket; what comes from others is thrown away. */
void places_receive(const struct places *places, size_t from, int fd,
		    struct places_arrived *arrived);
/* Sends so many and takes what comes, until nothing has come for `quiet` ms. */
void places_exchange(const struct places *places, size_t from, size_t to, uint32_t count, int quiet,
		     struct places_arrived *arrived);
/* Does one of three packets arrive? */
bool places_reach(const struct places *places, size_t from, size_t to);
/* All reach all, and all neighbours are known: no first packet is late or lost from now on. */
void places_warm(const struct places *places);
/* Bytes per second, as frames, that arrive while `offered` are sent, past the first `skip` ms. */
double places_rate(const struct places *places, size_t from, size_t to, double offered, int skip,
		   int ms);
/* Sends so many, one each ms, and writes the ms that each took on its way, in the order of their
 * arrival. Returns how many came. */
size_t places_delays(const struct places *places, size_t from, size_t to, size_t count,
		     double *ret_ms);

#endif
