/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machines that are only places in a network, for tests of what happens on the way between them:
 * sockets of this process that are in a machine's network. In namespaces of their own.
 */
#ifndef TESTS_STATIONS_H
#define TESTS_STATIONS_H

#include <netinet/in.h>

#include "core/arena.h"
#include "core/clock.h"
#include "drivers/host/guardian.h"
#include "drivers/host/machine.h"

#define STATIONS_MAX 8

struct stations {
	struct arena arena;
	struct journal *journal;
	struct guardian guardian; /* nothing is left when the test is killed */
	char state[64];           /* folder of its own, DRSIM_STATE until the end */
	struct machine_site sites[2];
	struct machine_config configs[STATIONS_MAX];
	struct machines_config config;
	struct machines *machines;
	size_t count;
};

/* `count` machines in the first site, and one in the second. The calling thread goes into a user
 * namespace of its own where it is not root. NULL, or why this cannot be done here. */
const char *stations_open(struct stations *stations, const char *run, size_t count);
void stations_close(struct stations *stations);
struct machine *stations_get(const struct stations *stations, size_t index);
struct sockaddr_in stations_address(const struct stations *stations, size_t index, uint16_t port);

/* A socket in the machine's network, close-on-exec; the test fails when there is none. */
int stations_socket(const struct stations *stations, size_t index, int family, int type,
		    int protocol);
/* Bound to a free port of the machine; tells which. */
int stations_bound(const struct stations *stations, size_t index, int type,
		   struct sockaddr_in *ret);
/* Two ends of a TCP connection from one machine to another, without delay by Nagle. */
void stations_connect(const struct stations *stations, size_t from, size_t to, uint16_t port,
		      int ret_ends[2]);

nanos stations_now(void);

#endif
