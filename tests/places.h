/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machines that are only places in a network, for tests of what happens on the way between them:
 * sockets of this process that are in a machine's network. In namespaces of their own.
 */
#ifndef TESTS_PLACES_H
#define TESTS_PLACES_H

#include <netinet/in.h>

#include "core/arena.h"
#include "core/clock.h"
#include "drivers/host/machine.h"

#define PLACES_MAX 8

struct places {
	struct arena arena;
	struct journal *journal;
	char state[64]; /* folder of its own, DRSIM_STATE until the end */
	struct machine_site sites[2];
	struct machine_config configs[PLACES_MAX];
	struct machines_config config;
	struct machines *machines;
	size_t count;
};

/* `count` machines in the first site, and one in the second. The calling thread goes into a user
 * namespace of its own where it is not root. NULL, or why this cannot be done here. */
const char *places_open(struct places *places, const char *run, size_t count);
void places_close(struct places *places);
struct machine *places_get(const struct places *places, size_t index);
struct sockaddr_in places_address(const struct places *places, size_t index, uint16_t port);

/* A socket in the machine's network, close-on-exec; the test fails when there is none. */
int places_socket(const struct places *places, size_t index, int family, int type, int protocol);
/* Bound to a free port of the machine; tells which. */
int places_bound(const struct places *places, size_t index, int type, struct sockaddr_in *ret);
/* Two ends of a TCP connection from one machine to another, without delay by Nagle. */
void places_connect(const struct places *places, size_t from, size_t to, uint16_t port,
		    int ret_ends[2]);

nanos places_now(void);

#endif
