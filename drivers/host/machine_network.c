/* SPDX-License-Identifier: Apache-2.0 */
/* The networks of the machines: namespaces, a bridge for each site, a router between them. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/host/machine_private.h"
#include "drivers/lazy/netlink.h"

#define NET_BASE 90 /* site 0 is 10.90.0.0/16 */
#define HOSTS_IN_PART 250
#define ROUTER_PART 0xfffe /* 10.S.255.254 */

/* ---- rights ---- */

static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), rc;

	if (fd < 0)
		return -1;
	rc = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
	close(fd);
	return rc;
}

int machine_enter_user(struct error *e)
{
	long uid = (long)geteuid(), gid = (long)getegid();
	char uids[64], gids[64];

	/* As the same user: what it may do with files and processes stays as it is. */
	snprintf(uids, sizeof(uids), "%ld %ld 1", uid, uid);
	snprintf(gids, sizeof(gids), "%ld %ld 1", gid, gid);
	if (unshare(CLONE_NEWUSER) || put("/proc/self/setgroups", "deny") ||
	    put("/proc/self/uid_map", uids) || put("/proc/self/gid_map", gids))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "cannot enter a user namespace: %s", strerror(errno));
	return 0;
}

/* In a child that ends right after: what a machine needs. Its exit status is an errno. */
static int try_namespaces(bool user)
{
	struct error error;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (user && machine_enter_user(&error))
			_exit(errno ? errno : EPERM);
		if (unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID) ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("drsim", "/proc", "tmpfs", 0, "size=4k"))
			_exit(errno);
		_exit(0);
	}
	if (pid < 0)
		return errno;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EPERM;
}

int machine_probe(bool *ret_user)
{
	int error = try_namespaces(false);

	*ret_user = error != 0;
	return error ? try_namespaces(true) : 0;
}

/* ---- one namespace at a time, in a thread of its own ---- */

struct builder {
	struct machines *machines;
	struct nl_sock *socket; /* in the namespace that the thread is in */
	struct error *e;
	int rc;
};

static int fail(struct builder *builder, const char *what, int error)
{
	return error_set(builder->e, ERROR_UNAVAILABLE, NO_PLACE, "cannot %s: %s", what,
			 error < 0 ? nl_geterror(error) : strerror(errno));
}

static int connect_here(struct builder *builder)
{
	int rc;

	nl_socket_free(builder->socket);
	builder->socket = nl_socket_alloc();
	if (!builder->socket)
		return error_set(builder->e, ERROR_MEMORY, NO_PLACE, "out of memory");
	rc = nl_connect(builder->socket, NETLINK_ROUTE);
	if (rc == 0)
		fcntl(nl_socket_get_fd(builder->socket), F_SETFD, FD_CLOEXEC);
	return rc ? fail(builder, "open a netlink socket", rc) : 0;
}

/* A new network namespace, in which the thread is from then on. */
static int make_namespace(struct builder *builder, int *ret_fd)
{
	if (unshare(CLONE_NEWNET))
		return fail(builder, "make a network namespace", 0);
	*ret_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	return *ret_fd < 0 ? fail(builder, "hold a network namespace", 0) : 0;
}

static int go_to(struct builder *builder, int fd)
{
	if (setns(fd, CLONE_NEWNET))
		return fail(builder, "enter a network namespace", 0);
	return connect_here(builder);
}

static int set_up(struct builder *builder, int index, bool forwards)
{
	struct rtnl_link *link = rtnl_link_alloc(), *change = rtnl_link_alloc();
	int rc = -NLE_NOMEM;

	if (link && change) {
		rtnl_link_set_ifindex(link, index);
		rtnl_link_set_flags(change, IFF_UP);
		/* Who has not the address asked for must not answer for who has: a bridge would
		 * take what belongs to the router behind one of its ports. */
		rtnl_link_inet_set_conf(change, IPV4_DEVCONF_ARP_IGNORE, 1);
		if (forwards)
			rtnl_link_inet_set_conf(change, IPV4_DEVCONF_FORWARDING, 1);
		rc = rtnl_link_change(builder->socket, link, change, 0);
	}
	rtnl_link_put(link);
	rtnl_link_put(change);
	return rc ? fail(builder, "set a link up", rc) : 0;
}

/* A prefix of length 0 is the default route's destination. */
static struct nl_addr *make_address(uint32_t host_order, int prefix)
{
	uint32_t network_order = htonl(host_order);
	struct nl_addr *address = nl_addr_build(AF_INET, &network_order, sizeof(network_order));

	if (address)
		nl_addr_set_prefixlen(address, prefix);
	return address;
}

static int add_address(struct builder *builder, int index, uint32_t host_order)
{
	struct rtnl_addr *row = rtnl_addr_alloc();
	struct nl_addr *address = make_address(host_order, MACHINE_SITE_BITS);
	int rc = -NLE_NOMEM;

	if (row && address) {
		rtnl_addr_set_ifindex(row, index);
		rtnl_addr_set_local(row, address);
		rc = rtnl_addr_add(builder->socket, row, 0);
	}
	nl_addr_put(address);
	rtnl_addr_put(row);
	return rc ? fail(builder, "add an address", rc) : 0;
}

static int add_default_route(struct builder *builder, int index, uint32_t gateway)
{
	struct rtnl_route *route = rtnl_route_alloc();
	struct rtnl_nexthop *hop = rtnl_route_nh_alloc();
	struct nl_addr *to = make_address(0, 0), *by = make_address(gateway, 32);
	int rc = -NLE_NOMEM;

	if (route && hop && to && by) {
		rtnl_route_set_dst(route, to);
		rtnl_route_nh_set_ifindex(hop, index);
		rtnl_route_nh_set_gateway(hop, by);
		rtnl_route_add_nexthop(route, hop); /* takes the hop */
		hop = NULL;
		rc = rtnl_route_add(builder->socket, route, 0);
	}
	if (hop)
		rtnl_route_nh_free(hop);
	nl_addr_put(to);
	nl_addr_put(by);
	rtnl_route_put(route);
	return rc ? fail(builder, "add a route", rc) : 0;
}

/* ---- the whole ---- */

static uint32_t network_of(size_t site)
{
	return 10u << 24 | (uint32_t)(NET_BASE + site) << 16;
}

/* A bridge for the machines of a site, without an address: it only joins them. */
static int add_bridge(struct builder *builder, size_t site)
{
	struct rtnl_link *link = rtnl_link_bridge_alloc();
	/* Its own, which does not change when ports come and go; machines have random ones. */
	uint8_t bytes[6] = {0x02, 0xd5, 0, 0, (uint8_t)(site >> 8), (uint8_t)site};
	struct nl_addr *address = nl_addr_build(AF_LLC, bytes, sizeof(bytes));
	char name[32];
	int rc = -NLE_NOMEM;

	snprintf(name, sizeof(name), "site%zu", site);
	if (link && address) {
		rtnl_link_set_name(link, name);
		rtnl_link_set_addr(link, address);
		rc = rtnl_link_add(builder->socket, link, NLM_F_CREATE | NLM_F_EXCL);
	}
	nl_addr_put(address);
	rtnl_link_put(link);
	if (rc)
		return fail(builder, "add a bridge", rc);
	return set_up(builder, (int)if_nametoindex(name), false);
}

/* What joins a site to all others: a port of its bridge, and at the other end the router. So a
 * site's link is a port like a machine's, and what can be done to one can be done to the other. */
static int add_uplink(struct builder *builder, size_t site)
{
	struct rtnl_link *link = rtnl_link_veth_alloc(), *peer = NULL;
	char name[MACHINE_PORT_MAX], gateway[MACHINE_PORT_MAX], bridge[32];
	int rc = -NLE_NOMEM, index;

	machines_uplink((uint32_t)site, name);
	machines_gateway((uint32_t)site, gateway);
	snprintf(bridge, sizeof(bridge), "site%zu", site);
	if (link)
		peer = rtnl_link_veth_get_peer(link);
	if (peer) {
		rtnl_link_set_name(link, name);
		rtnl_link_set_master(link, (int)if_nametoindex(bridge));
		rtnl_link_set_name(peer, gateway);
		rc = rtnl_link_add(builder->socket, link, NLM_F_CREATE | NLM_F_EXCL);
		rtnl_link_put(peer);
	}
	rtnl_link_put(link);
	if (rc)
		return fail(builder, "add a site's link", rc);
	index = (int)if_nametoindex(gateway);
	return set_up(builder, (int)if_nametoindex(name), false) ||
			       add_address(builder, index, network_of(site) | ROUTER_PART) ||
			       set_up(builder, index, true)
		       ? -1
		       : 0;
}

/* A pair of links, one end in the bridge of its site, the other in the machine. */
static int add_pair(struct builder *builder, const struct machine *machine)
{
	struct rtnl_link *link = rtnl_link_veth_alloc(), *peer = NULL;
	char bridge[32];
	int rc = -NLE_NOMEM;

	snprintf(bridge, sizeof(bridge), "site%u", machine->config->site);
	if (link)
		peer = rtnl_link_veth_get_peer(link);
	if (peer) {
		rtnl_link_set_name(link, machine->port);
		rtnl_link_set_master(link, (int)if_nametoindex(bridge));
		rtnl_link_set_name(peer, MACHINE_LINK);
		rtnl_link_set_ns_fd(peer, machine->network);
		rc = rtnl_link_add(builder->socket, link, NLM_F_CREATE | NLM_F_EXCL);
		rtnl_link_put(peer);
	}
	rtnl_link_put(link);
	if (rc)
		return fail(builder, "add a pair of links", rc);
	return set_up(builder, (int)if_nametoindex(machine->port), false);
}

static int set_machine_up(struct builder *builder, const struct machine *machine)
{
	struct in_addr address;
	int index;

	inet_pton(AF_INET, machine->address, &address);
	if (go_to(builder, machine->network))
		return -1;
	index = (int)if_nametoindex(MACHINE_LINK);
	if (set_up(builder, (int)if_nametoindex("lo"), false) ||
	    add_address(builder, index, ntohl(address.s_addr)) || set_up(builder, index, false))
		return -1;
	return add_default_route(builder, index, network_of(machine->config->site) | ROUTER_PART);
}

static int build(struct builder *builder)
{
	struct machines *machines = builder->machines;
	const struct machines_config *config = machines->config;
	uint32_t used[MACHINE_SITES_MAX] = {0};

	if (make_namespace(builder, &machines->router))
		return -1;
	for (size_t i = 0; i < config->machine_count; i++) {
		struct machine *machine = &machines->items[i];
		uint32_t number = used[machine->config->site]++;

		snprintf(machine->address, sizeof(machine->address), "10.%u.%u.%u",
			 NET_BASE + machine->config->site, number / HOSTS_IN_PART,
			 number % HOSTS_IN_PART + 1);
		snprintf(machine->port, sizeof(machine->port), "m%zu", machine->index);
		if (make_namespace(builder, &machine->network))
			return -1;
	}
	if (go_to(builder, machines->router) || set_up(builder, (int)if_nametoindex("lo"), false))
		return -1;
	for (size_t i = 0; i < config->site_count; i++)
		if (add_bridge(builder, i) || add_uplink(builder, i))
			return -1;
	for (size_t i = 0; i < config->machine_count; i++)
		if (add_pair(builder, &machines->items[i]))
			return -1;
	for (size_t i = 0; i < config->machine_count; i++)
		if (set_machine_up(builder, &machines->items[i]))
			return -1;
	return 0;
}

static void *build_in_thread(void *self)
{
	struct builder *builder = self;

	builder->rc = build(builder);
	nl_socket_free(builder->socket);
	return NULL;
}

int machine_build_network(struct machines *machines, struct error *e)
{
	struct builder builder = {.machines = machines, .e = e};
	pthread_t thread;
	int rc;

	if (lazy_netlink_open(e))
		return -1;
	/* Only a thread of its own can walk through namespaces without taking drsim along. */
	rc = pthread_create(&thread, NULL, build_in_thread, &builder);
	if (rc)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot start a thread: %s",
				 strerror(rc));
	pthread_join(thread, NULL);
	return builder.rc;
}
