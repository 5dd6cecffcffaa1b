/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A user's own servers as targets. Each service has an instance at its site, and one at each
 * standby site. A keeper, a thread of its own, starts an instance through the agent of its node,
 * looks whether it is ready and healthy, and restarts it as the platform restarts containers. To
 * the rest of the driver an instance is a replica; no gateway stands before it.
 */
#ifndef DRIVERS_PROCESS_SERVICES_H
#define DRIVERS_PROCESS_SERVICES_H

#include "drivers/process/process.h"

/* How to look whether an instance is well. Texts live as long as the drill. */
struct service_look {
	enum check_kind kind;
	const char *address;     /* A:P */
	const char *path;        /* http */
	const char *const *argv; /* exec */
	nanos timeout;
};

/* What the scenario says of an endpoint that is a service; NULL: it is one of minilepton's. */
const struct service_config *services_config(const struct real *real, uint32_t endpoint);
/* Starts the keepers, when the nodes' agents are up. */
int services_start(struct real *real, struct error *e);
/* Ends the keepers; the instances end with their nodes. Safe to call twice. */
void services_stop(struct real *real);
/* -1 with what it said, when the start of one has failed. */
int services_failed(struct real *real, struct error *e);
/* Adds the instances to a round of the observer. */
void services_view(struct real *real, struct view *view);
/* May the instance run? */
void services_scale(struct real *real, uint32_t endpoint, uint32_t site, bool on);
/* Fenced instances of a site are killed, and stay so until they may run again. */
void services_fence(struct real *real, uint32_t site, bool on);
/* Starts take so much longer from now on. */
void services_delay(struct real *real, uint32_t endpoint, nanos delay);
/* The adapter for an endpoint at a site. */
void services_adapter(struct real *real, uint32_t endpoint, uint32_t site,
		      struct adapter_config *ret);
/* false: no instance of the endpoint is at the site. */
bool services_look(struct real *real, uint32_t endpoint, uint32_t site, struct service_look *ret);
/* Before the traffic goes back: the standby's instances end, their data come to the primary, whose
 * instances start on them. NULL, or why not. */
const char *services_hand_over(struct real *real, uint32_t domain, uint32_t from, uint32_t to,
			       const atomic_bool *cancel);

#endif
