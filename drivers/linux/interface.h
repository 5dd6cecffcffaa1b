/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a link of a namespace: up or down, its MTU, who cuts its large packets, and routes
 * that lead nowhere. What was there before is looked at first and comes back with
 * interface_restore(), routes that went with the link too.
 *
 * The link that is down is the router's port (the machine sees its carrier go, as with a cable that
 * is pulled; its routes stay) or the machine's own (its routes go, senders get ENETUNREACH).
 * net.flap is its caller's: interface_set_up() again and again.
 *
 * All of it vanishes with the namespace. Any thread, one interface in one thread at a time. What
 * interface_open() returns lives in the arena.
 */
#ifndef DRIVERS_LINUX_INTERFACE_H
#define DRIVERS_LINUX_INTERFACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/error.h"

#define INTERFACE_NAME_MAX 15
#define INTERFACE_MTU_MIN 68 /* RFC 791 */
#define INTERFACE_MTU_MAX 65535
#define INTERFACE_ROUTES_MAX 64 /* of one link, that come back with it */

struct interface;

struct interface_state {
	bool up;          /* as set */
	bool carrier;     /* it and its other end are */
	uint32_t mtu;     /* bytes */
	uint32_t changes; /* of its carrier, since it was made */
	bool cuts;        /* TCP is cut into packets of the MTU before they enter the link */
};

/* Looks at it; changes nothing. ERROR_TARGET when there is none of that name. `netns` must stay
 * open. */
int interface_open(int netns, const char *name, struct arena *arena,
		   struct interface **ret_interface, struct error *e);
int interface_set_up(struct interface *interface, bool up, struct error *e);
int interface_set_mtu(struct interface *interface, uint32_t mtu, struct error *e);
/* Without TSO and GSO on the sender's link each packet meets its fate alone; with them a burst of
 * up to 64 KiB is one packet for netem and nftables. */
int interface_set_cuts(struct interface *interface, bool cuts, struct error *e);
int interface_get(struct interface *interface, struct interface_state *ret_state, struct error *e);
/* As interface_open() found it. */
int interface_restore(struct interface *interface, struct error *e);

enum interface_route {
	INTERFACE_BLACKHOLE,   /* what is forwarded there vanishes; own senders get EINVAL */
	INTERFACE_UNREACHABLE, /* its sender is told "no route to host" */
};

/*
 * Adds or removes the route that leads an IPv4 prefix (host order, 1 … 32 bits) nowhere: below 32
 * bits as two of one bit more, which win over the route that the prefix has. In the router's
 * namespace it cuts what goes from one site to another; inside one site packets meet no route.
 */
int interface_route(int netns, uint32_t prefix, uint32_t bits, enum interface_route kind,
		    bool there, struct error *e);

#endif
