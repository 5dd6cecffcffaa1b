/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network of a drill: who reaches whom, and what packets meet on the way.
 *
 * Each site has a place of its own beside its nodes, from which what the site does is sent (its
 * backups), and the edge has one, where clients, gateway and control plane are. Where the scenario
 * breaks the network, a thread asks for echoes all the time, from every place to every node and
 * place: that is what "reaches" means here. Where it does not, everybody reaches everybody, and
 * nothing is sent.
 */
#ifndef DRIVERS_PROCESS_NETWORK_H
#define DRIVERS_PROCESS_NETWORK_H

#include "drivers/process/process.h"

#define NETWORK_EDGE UINT32_MAX

/* After the machines are made, before the main thread is in the network of one. With namespaces
 * only: ERROR_UNAVAILABLE where the scenario breaks the network and there are none. */
int network_open(struct real *real, struct error *e);
/* Begins to ask for echoes, when anything can break. */
int network_start(struct real *real, struct error *e);
void network_stop(struct real *real);

/* Sockets of the calling thread are the site's from now on. */
int network_enter(struct real *real, uint32_t site, struct error *e);
/* Do packets come through, there and back? Sites, or NETWORK_EDGE. Any thread. */
bool network_reaches(struct real *real, uint32_t from, uint32_t to);
/* Waits until they do, at most until `until`. */
bool network_wait(struct real *real, uint32_t from, uint32_t to, nanos until,
		  const atomic_bool *cancel);

/* Fills what a reading says of the network of a site, standby, rack, node, GPU or link. `fresh`: by
 * a look of its own (main thread); else as it was seen last. */
void network_read(struct real *real, const struct view *view, struct entity entity, bool fresh,
		  struct reading *ret);

/* ---- effects_network.c ---- */
int network_break(struct real *real, struct fault_state *fault, struct error *e);
int network_mend(struct real *real, struct fault_state *fault, struct error *e);
bool network_broken(struct real *real, const struct fault_state *fault);
int network_adjust(struct real *real, struct fault_state *fault, const struct effect *effect,
		   struct error *e);
/* While it stands: leases, flaps, ports of services that came since. */
void network_look(struct real *real, struct fault_state *fault);

#endif
