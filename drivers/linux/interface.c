/* SPDX-License-Identifier: Apache-2.0 */
/* Links: up and down, MTU, offload, the routes that go with them; routes that lead nowhere. */
#include "drivers/linux/interface.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "drivers/lazy/netlink.h"
#include "drivers/linux/netns.h"

/* One that somebody has put there: those of the kernel come back by themselves. */
struct route {
	uint32_t to, by; /* network order; by 0: no gateway */
	uint8_t bits, table, scope, protocol;
	uint32_t priority;
};

struct interface {
	int netns;
	const char *name;
	int index;
	struct interface_state now, before;
	bool tso, gso; /* before */
	struct route routes[INTERFACE_ROUTES_MAX];
	size_t route_count;
};

/* ---- in the namespace ---- */

struct visit {
	struct interface *interface;
	const struct interface_state *wanted;
	struct nl_sock *socket;
	struct error *e;
};

static int fail(struct error *e, const char *what, const char *name, int error)
{
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot %s %s: %s", what, name,
			 error < 0 ? nl_geterror(error) : strerror(errno));
}

/* One of ETHTOOL_GTSO … with its value. */
static int ethtool(const char *name, uint32_t command, uint32_t *value)
{
	struct ethtool_value request = {.cmd = command, .data = *value};
	struct ifreq row = {.ifr_data = (char *)&request};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;

	if (fd < 0)
		return -1;
	snprintf(row.ifr_name, sizeof(row.ifr_name), "%s", name);
	rc = ioctl(fd, SIOCETHTOOL, &row);
	close(fd);
	if (rc == 0)
		*value = request.data;
	return rc;
}

static bool offloads(const char *name, uint32_t command)
{
	uint32_t value = 0;

	return ethtool(name, command, &value) == 0 && value;
}

static int look(struct visit *visit, struct interface_state *ret)
{
	struct interface *interface = visit->interface;
	struct rtnl_link *link = NULL;
	uint32_t changes = 0;
	int rc = rtnl_link_get_kernel(visit->socket, 0, interface->name, &link);

	if (rc == -NLE_OBJ_NOTFOUND || rc == -NLE_NODEV)
		return error_set(visit->e, ERROR_TARGET, NO_PLACE, "there is no link '%s'",
				 interface->name);
	if (rc)
		return fail(visit->e, "look at the link", interface->name, rc);
	interface->index = rtnl_link_get_ifindex(link);
	rtnl_link_get_carrier_changes(link, &changes);
	*ret = (struct interface_state){
		.up = rtnl_link_get_flags(link) & IFF_UP,
		.carrier = rtnl_link_get_carrier(link),
		.mtu = rtnl_link_get_mtu(link),
		.changes = changes,
		.cuts = !offloads(interface->name, ETHTOOL_GTSO) &&
			!offloads(interface->name, ETHTOOL_GGSO),
	};
	rtnl_link_put(link);
	return 0;
}

/* `change` says what is to be other on the link; takes it. */
static int change_link(struct visit *visit, struct rtnl_link *change, const char *what)
{
	struct rtnl_link *link = rtnl_link_alloc();
	int rc = -NLE_NOMEM;

	if (link && change) {
		rtnl_link_set_ifindex(link, visit->interface->index);
		rc = rtnl_link_change(visit->socket, link, change, 0);
	}
	rtnl_link_put(link);
	rtnl_link_put(change);
	return rc ? fail(visit->e, what, visit->interface->name, rc) : 0;
}

/* ---- its routes ---- */

static uint32_t address_of(struct nl_addr *address)
{
	uint32_t value = 0;

	if (address && nl_addr_get_family(address) == AF_INET && nl_addr_get_prefixlen(address) > 0)
		memcpy(&value, nl_addr_get_binary_addr(address), sizeof(value));
	return value;
}

static void keep_route(struct interface *interface, struct rtnl_route *route)
{
	struct rtnl_nexthop *hop = rtnl_route_nexthop_n(route, 0);

	if (rtnl_route_get_nnexthops(route) != 1 || rtnl_route_get_type(route) != RTN_UNICAST ||
	    rtnl_route_nh_get_ifindex(hop) != interface->index ||
	    rtnl_route_get_protocol(route) == RTPROT_KERNEL ||
	    rtnl_route_get_table(route) > UINT8_MAX)
		return;
	interface->routes[interface->route_count++] = (struct route){
		.to = address_of(rtnl_route_get_dst(route)),
		.bits = (uint8_t)nl_addr_get_prefixlen(rtnl_route_get_dst(route)),
		.by = address_of(rtnl_route_nh_get_gateway(hop)),
		.table = (uint8_t)rtnl_route_get_table(route),
		.scope = rtnl_route_get_scope(route),
		.protocol = rtnl_route_get_protocol(route),
		.priority = rtnl_route_get_priority(route),
	};
}

static int keep_routes(struct visit *visit)
{
	struct interface *interface = visit->interface;
	struct nl_cache *cache;
	struct nl_object *item;
	int rc = rtnl_route_alloc_cache(visit->socket, AF_INET, 0, &cache);

	if (rc)
		return fail(visit->e, "look at the routes of", interface->name, rc);
	interface->route_count = 0;
	for (item = nl_cache_get_first(cache);
	     rc == 0 && item && interface->route_count < INTERFACE_ROUTES_MAX;
	     item = nl_cache_get_next(item))
		keep_route(interface, (struct rtnl_route *)item);
	nl_cache_free(cache);
	if (item)
		return error_set(visit->e, ERROR_LIMIT, NO_PLACE,
				 "%s has more routes than %d: they could not be brought back",
				 interface->name, INTERFACE_ROUTES_MAX - 1);
	return 0;
}

static struct nl_addr *make_address(uint32_t network_order, int bits)
{
	struct nl_addr *address = nl_addr_build(AF_INET, &network_order, sizeof(network_order));

	if (address)
		nl_addr_set_prefixlen(address, bits);
	return address;
}

/* 0, or an error of libnl. */
static int add_route(struct nl_sock *socket, int index, const struct route *row)
{
	struct rtnl_route *route = rtnl_route_alloc();
	struct rtnl_nexthop *hop = rtnl_route_nh_alloc();
	struct nl_addr *to = make_address(row->to, row->bits), *by = make_address(row->by, 32);
	int rc = -NLE_NOMEM;

	if (route && hop && to && by) {
		rtnl_route_set_dst(route, to);
		rtnl_route_set_table(route, row->table);
		rtnl_route_set_scope(route, row->scope);
		rtnl_route_set_protocol(route, row->protocol);
		rtnl_route_set_priority(route, row->priority);
		rtnl_route_nh_set_ifindex(hop, index);
		if (row->by)
			rtnl_route_nh_set_gateway(hop, by);
		rtnl_route_add_nexthop(route, hop); /* takes the hop */
		hop = NULL;
		rc = rtnl_route_add(socket, route, NLM_F_CREATE | NLM_F_EXCL);
	}
	if (hop)
		rtnl_route_nh_free(hop);
	nl_addr_put(to);
	nl_addr_put(by);
	rtnl_route_put(route);
	return rc == -NLE_EXIST ? 0 : rc;
}

/* Those without a gateway first: the others' gateways may be reached by them. */
static int bring_routes(struct visit *visit)
{
	const struct interface *interface = visit->interface;

	for (int gateways = 0; gateways < 2; gateways++)
		for (size_t i = 0; i < interface->route_count; i++) {
			const struct route *row = &interface->routes[i];
			int rc = 0;

			if ((row->by != 0) == (gateways == 1))
				rc = add_route(visit->socket, interface->index, row);
			if (rc)
				return fail(visit->e, "bring back a route of", interface->name, rc);
		}
	return 0;
}

/* ---- what is asked for ---- */

static int set_up(struct visit *visit, bool up)
{
	struct rtnl_link *change = rtnl_link_alloc();

	/* What came since the last look is brought back too. */
	if (!up && keep_routes(visit)) {
		rtnl_link_put(change);
		return -1;
	}
	if (change && up)
		rtnl_link_set_flags(change, IFF_UP);
	else if (change)
		rtnl_link_unset_flags(change, IFF_UP);
	if (change_link(visit, change, up ? "set up the link" : "set down the link"))
		return -1;
	return up ? bring_routes(visit) : 0;
}

static int set_mtu(struct visit *visit, uint32_t mtu)
{
	struct rtnl_link *change = rtnl_link_alloc();

	if (change)
		rtnl_link_set_mtu(change, mtu);
	return change_link(visit, change, "set the MTU of the link");
}

static int set_cuts(struct visit *visit, bool cuts)
{
	const struct interface *interface = visit->interface;
	uint32_t tso = !cuts && (interface->tso || interface->before.cuts);
	uint32_t gso = !cuts && (interface->gso || interface->before.cuts);

	if (ethtool(interface->name, ETHTOOL_STSO, &tso) ||
	    ethtool(interface->name, ETHTOOL_SGSO, &gso))
		return fail(visit->e, "set the offload of the link", interface->name, 0);
	return 0;
}

static int open_here(void *self, struct error *e)
{
	struct visit *visit = self;
	struct interface *interface = visit->interface;
	int rc;

	if (netns_socket(&visit->socket, e))
		return -1;
	rc = look(visit, &interface->before);
	interface->now = interface->before;
	interface->tso = offloads(interface->name, ETHTOOL_GTSO);
	interface->gso = offloads(interface->name, ETHTOOL_GGSO);
	nl_socket_free(visit->socket);
	return rc;
}

static int get_here(void *self, struct error *e)
{
	struct visit *visit = self;
	int rc;

	if (netns_socket(&visit->socket, e))
		return -1;
	rc = look(visit, &visit->interface->now);
	nl_socket_free(visit->socket);
	return rc;
}

/* Only what is other than it should be. */
static int set_here(void *self, struct error *e)
{
	struct visit *visit = self;
	struct interface_state now = {0};
	const struct interface_state *wanted = visit->wanted;
	int rc;

	if (netns_socket(&visit->socket, e))
		return -1;
	rc = look(visit, &now);
	if (rc == 0 && wanted->up != now.up)
		rc = set_up(visit, wanted->up);
	if (rc == 0 && wanted->mtu != now.mtu)
		rc = set_mtu(visit, wanted->mtu);
	if (rc == 0 && wanted->cuts != now.cuts)
		rc = set_cuts(visit, wanted->cuts);
	if (rc == 0)
		rc = look(visit, &visit->interface->now);
	nl_socket_free(visit->socket);
	return rc;
}

static int set(struct interface *interface, const struct interface_state *wanted, struct error *e)
{
	struct visit visit = {.interface = interface, .wanted = wanted, .e = e};

	return netns_call(interface->netns, set_here, &visit, e);
}

int interface_open(int netns, const char *name, struct arena *arena,
		   struct interface **ret_interface, struct error *e)
{
	struct interface *interface;
	struct visit visit = {.e = e};

	if (strlen(name) > INTERFACE_NAME_MAX)
		return error_set(e, ERROR_TARGET, NO_PLACE, "there is no link '%s'", name);
	interface = arena_alloc(arena, sizeof(*interface));
	interface->netns = netns;
	interface->name = arena_strdup(arena, name);
	visit.interface = interface;
	if (netns_call(netns, open_here, &visit, e))
		return -1;
	*ret_interface = interface;
	return 0;
}

int interface_set_up(struct interface *interface, bool up, struct error *e)
{
	struct interface_state wanted = interface->now;

	wanted.up = up;
	return set(interface, &wanted, e);
}

int interface_set_mtu(struct interface *interface, uint32_t mtu, struct error *e)
{
	struct interface_state wanted = interface->now;

	if (mtu < INTERFACE_MTU_MIN || mtu > INTERFACE_MTU_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "an MTU is %d to %d bytes",
				 INTERFACE_MTU_MIN, INTERFACE_MTU_MAX);
	wanted.mtu = mtu;
	return set(interface, &wanted, e);
}

int interface_set_cuts(struct interface *interface, bool cuts, struct error *e)
{
	struct interface_state wanted = interface->now;

	wanted.cuts = cuts;
	return set(interface, &wanted, e);
}

int interface_get(struct interface *interface, struct interface_state *ret_state, struct error *e)
{
	struct visit visit = {.interface = interface, .e = e};

	if (netns_call(interface->netns, get_here, &visit, e))
		return -1;
	*ret_state = interface->now;
	return 0;
}

int interface_restore(struct interface *interface, struct error *e)
{
	return set(interface, &interface->before, e);
}

/* ---- routes that lead nowhere ---- */

struct nowhere {
	uint32_t prefix, bits;
	enum interface_route kind;
	bool there;
};

static int change_nowhere(struct nl_sock *socket, const struct nowhere *nowhere, uint32_t prefix,
			  uint32_t bits)
{
	struct rtnl_route *route = rtnl_route_alloc();
	struct nl_addr *to = make_address(htonl(prefix), (int)bits);
	int rc = -NLE_NOMEM;

	if (route && to) {
		rtnl_route_set_dst(route, to);
		rtnl_route_set_table(route, RT_TABLE_MAIN);
		rtnl_route_set_type(route, nowhere->kind == INTERFACE_BLACKHOLE ? RTN_BLACKHOLE
										: RTN_UNREACHABLE);
		rc = nowhere->there ? rtnl_route_add(socket, route, NLM_F_CREATE | NLM_F_EXCL)
				    : rtnl_route_delete(socket, route, 0);
	}
	nl_addr_put(to);
	rtnl_route_put(route);
	return rc == -NLE_EXIST || rc == -NLE_OBJ_NOTFOUND ? 0 : rc;
}

static int nowhere_here(void *self, struct error *e)
{
	const struct nowhere *nowhere = self;
	uint32_t bits = nowhere->bits < 32 ? nowhere->bits + 1 : 32;
	uint32_t prefix = nowhere->bits < 32 ? nowhere->prefix & ~(UINT32_MAX >> nowhere->bits)
					     : nowhere->prefix;
	struct nl_sock *socket;
	int rc;

	if (netns_socket(&socket, e))
		return -1;
	rc = change_nowhere(socket, nowhere, prefix, bits);
	if (rc == 0 && nowhere->bits < 32)
		rc = change_nowhere(socket, nowhere, prefix | UINT32_C(1) << (32 - bits), bits);
	nl_socket_free(socket);
	return rc ? fail(e, nowhere->there ? "add" : "remove", "a route that leads nowhere", rc)
		  : 0;
}

int interface_route(int netns, uint32_t prefix, uint32_t bits, enum interface_route kind,
		    bool there, struct error *e)
{
	struct nowhere nowhere = {.prefix = prefix, .bits = bits, .kind = kind, .there = there};

	if (bits < 1 || bits > 32)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "a prefix has 1 to 32 bits");
	return netns_call(netns, nowhere_here, &nowhere, e);
}
