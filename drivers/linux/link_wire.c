/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The devices of a user-space link, and how it comes between a port and its bridge:
 *
 *   machine eth0 ── port ┬ inner bridge ┬ near (TAP) ── this program ── far (TAP) ┬ bridge
 *
 * The port changes bridges; it stays up and so do its hooks: queueing disciplines and nftables on
 * it act as before. (A packet socket on the port would read what nftables drops there.)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/lazy/netlink.h"
#include "drivers/linux/link_private.h"
#include "drivers/linux/netns.h"

#ifndef TUN_F_USO4 /* headers older than Linux 6.2 */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define QUEUE 4096            /* frames in a device: much may come while the port is moved */
#define CATCH_ROOM (16 << 20) /* bytes */

struct wire {
	struct user_link *link;
	struct error *e;
	int control; /* socket for calls to devices, in the namespace */
	struct nl_sock *netlink;
};

static int fail(struct wire *wire, const char *what, const char *name)
{
	return error_set(wire->e, ERROR_UNAVAILABLE, NO_PLACE, "cannot %s '%s': %s", what, name,
			 strerror(errno));
}

static int open_wire(struct wire *wire)
{
	if (netns_socket(&wire->netlink, wire->e))
		return -1;
	wire->control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (wire->control >= 0)
		return 0;
	nl_socket_free(wire->netlink);
	return fail(wire, "open a socket for", wire->link->port);
}

static void close_wire(struct wire *wire)
{
	close(wire->control);
	nl_socket_free(wire->netlink);
}

static struct ifreq request(const char *name)
{
	struct ifreq request = {0};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	return request;
}

static int call(struct wire *wire, unsigned long what, struct ifreq *request)
{
	return ioctl(wire->control, what, request);
}

/* Its own IPv6 would send packets of its own through the link. Best effort: without IPv6 there is
 * nothing to switch off, and with it the packets are only few. */
static void silence(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, "1", 1) != 1)
		errno = 0;
	close(fd);
}

/* Up, and deaf to ARP: the router's namespace must not answer there. */
static int set_up(struct wire *wire, const char *name)
{
	struct ifreq flags = request(name);

	silence(name);
	if (call(wire, SIOCGIFFLAGS, &flags))
		return fail(wire, "look at", name);
	flags.ifr_flags = (short)(flags.ifr_flags | IFF_UP | IFF_NOARP);
	return call(wire, SIOCSIFFLAGS, &flags) ? fail(wire, "set up", name) : 0;
}

static int change_port(struct wire *wire, unsigned long what, const char *bridge, const char *port)
{
	struct ifreq ports = request(bridge);

	ports.ifr_ifindex = (int)if_nametoindex(port);
	if (ports.ifr_ifindex == 0)
		return fail(wire, "find", port);
	if (call(wire, what, &ports) == 0)
		return 0;
	return fail(wire, what == SIOCBRADDIF ? "add to its bridge" : "take out of its bridge",
		    port);
}

/* By netlink: the call of SIOCSIFTXQLEN needs rights on the host. */
static int set_queue(struct wire *wire, const char *name)
{
	struct rtnl_link *device = rtnl_link_alloc(), *change = rtnl_link_alloc();
	int rc = -NLE_NOMEM;

	if (device && change) {
		rtnl_link_set_ifindex(device, (int)if_nametoindex(name));
		rtnl_link_set_txqlen(change, QUEUE);
		rc = rtnl_link_change(wire->netlink, device, change, 0);
	}
	rtnl_link_put(device);
	rtnl_link_put(change);
	if (rc == 0)
		return 0;
	return error_set(wire->e, ERROR_UNAVAILABLE, NO_PLACE, "cannot set the queue of '%s': %s",
			 name, nl_geterror(rc));
}

static int open_tap(struct wire *wire, const char *name, int mtu, int *ret_fd)
{
	static const unsigned int offloads[] = {
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_USO4 | TUN_F_USO6,
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN,
	};
	struct ifreq tap = request(name);
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return fail(wire, "open", "/dev/net/tun");
	tap.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL);
	if (ioctl(fd, TUNSETIFF, &tap)) {
		fail(wire, "make the TAP device", name);
		close(fd);
		return -1;
	}
	*ret_fd = fd;
	/* The second without UDP, which kernels before 6.2 do not leave to us. */
	if (ioctl(fd, TUNSETOFFLOAD, offloads[0]) && ioctl(fd, TUNSETOFFLOAD, offloads[1]))
		return fail(wire, "get large frames from", name);
	tap = request(name);
	tap.ifr_mtu = mtu;
	if (call(wire, SIOCSIFMTU, &tap))
		return fail(wire, "set the MTU of", name);
	return set_queue(wire, name) || set_up(wire, name) ? -1 : 0;
}

/*
 * A bridge without an address of its own has the smallest of its ports', which change now; its
 * neighbours must not see that. And a port with the bridge's address would keep what is sent to
 * the bridge: nobody else knows a port's address, so it gets another one.
 */
static int settle_addresses(struct wire *wire)
{
	const struct user_link *link = wire->link;
	struct ifreq bridge = request(link->bridge), port = request(link->port);
	struct ifreq other = request(link->far);

	if (call(wire, SIOCGIFHWADDR, &bridge) || call(wire, SIOCSIFHWADDR, &bridge))
		return fail(wire, "fix the address of", link->bridge);
	if (call(wire, SIOCGIFHWADDR, &port))
		return fail(wire, "look at", link->port);
	if (memcmp(port.ifr_hwaddr.sa_data, bridge.ifr_hwaddr.sa_data, 6) != 0)
		return 0;
	/* The TAP's is random; the same with another byte is nobody's. */
	if (call(wire, SIOCGIFHWADDR, &other))
		return fail(wire, "look at", link->far);
	port.ifr_hwaddr = other.ifr_hwaddr;
	port.ifr_hwaddr.sa_data[5] = (char)(port.ifr_hwaddr.sa_data[5] ^ 1);
	return call(wire, SIOCSIFHWADDR, &port) ? fail(wire, "set the address of", link->port) : 0;
}

static int make_devices(struct wire *wire)
{
	struct user_link *link = wire->link;
	struct ifreq port = request(link->port);

	if (call(wire, SIOCGIFMTU, &port))
		return fail(wire, "find", link->port);
	if (open_tap(wire, link->far, port.ifr_mtu, &link->sides[IMPAIR_TO].fd) ||
	    open_tap(wire, link->near, port.ifr_mtu, &link->sides[IMPAIR_FROM].fd) ||
	    settle_addresses(wire))
		return -1;
	if (ioctl(wire->control, SIOCBRADDBR, link->inner))
		return fail(wire, "make the bridge", link->inner);
	link->has_inner = true;
	if (change_port(wire, SIOCBRADDIF, link->inner, link->near) || set_up(wire, link->inner))
		return -1;
	return change_port(wire, SIOCBRADDIF, link->bridge, link->far);
}

/* What is not there yet, or no longer, does no harm. */
static void remove_devices(struct wire *wire)
{
	struct user_link *link = wire->link;
	struct ifreq inner = request(link->inner);

	for (int i = 0; i < IMPAIR_DIRECTIONS; i++) {
		if (link->sides[i].fd >= 0)
			close(link->sides[i].fd);
		link->sides[i].fd = -1;
	}
	if (link->catch >= 0)
		close(link->catch);
	link->catch = -1;
	if (!link->has_inner)
		return;
	call(wire, SIOCSIFFLAGS, &inner); /* down: else it would not go */
	ioctl(wire->control, SIOCBRDELBR, link->inner);
	link->has_inner = false;
}

/* ---- the switch, while traffic flows ---- */

static void leave_out_all(int fd)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	const struct sock_fprog program = {.len = 1, .filter = &nothing};

	setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

/*
 * Between two bridges a port hands what the machine sends to nobody, for as long as the kernel
 * needs to move it. A packet socket sees it nevertheless.
 */
static int open_catch(struct wire *wire, int *ret_fd)
{
	struct sockaddr_ll port = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(wire->link->port),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1, room = CATCH_ROOM;

	if (fd < 0)
		return fail(wire, "open a packet socket on", wire->link->port);
	/* The first needs rights on the host, the second is cut down to what everybody may. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&port, sizeof(port))) {
		fail(wire, "listen on", wire->link->port);
		close(fd);
		return -1;
	}
	*ret_fd = fd;
	return 0;
}

/* What came until now has gone its way. */
static void forget(int fd)
{
	uint8_t byte;

	for (int i = 0; i < QUEUE && read(fd, &byte, 1) > 0; i++)
		;
}

/* From one bridge to the other. What comes from the machine meanwhile is in the catch, and perhaps
 * a little of what came just before. On an error the port is where it was. */
static int move_port(struct wire *wire, int catch, const char *from, const char *to)
{
	const char *port = wire->link->port;
	struct wire back = *wire;

	back.e = NULL;
	forget(catch);
	if (change_port(wire, SIOCBRDELIF, from, port))
		return -1;
	if (change_port(wire, SIOCBRADDIF, to, port)) {
		change_port(&back, SIOCBRADDIF, from, port);
		return -1;
	}
	leave_out_all(catch);
	return 0;
}

static int go_in(void *self, struct error *e)
{
	struct wire wire = {.link = self, .e = e};
	struct user_link *link = self;
	int rc;

	if (open_wire(&wire))
		return -1;
	rc = make_devices(&wire);
	if (rc == 0)
		rc = open_catch(&wire, &link->catch);
	/* What all ports get the machine has got already. */
	if (rc == 0)
		forget(link->sides[IMPAIR_TO].fd);
	if (rc == 0)
		rc = move_port(&wire, link->catch, link->bridge, link->inner);
	if (rc)
		remove_devices(&wire);
	close_wire(&wire);
	return rc;
}

int link_wire_in(struct user_link *link, int network, struct error *e)
{
	return netns_call(network, go_in, link, e);
}

static bool same(const uint8_t *a, ssize_t a_size, const uint8_t *b, ssize_t b_size)
{
	return a_size == b_size && a_size > FRAME_HEADER &&
	       memcmp(a + FRAME_HEADER, b + FRAME_HEADER, (size_t)a_size - FRAME_HEADER) == 0;
}

ssize_t link_wire_caught(struct user_link *link, uint8_t *bytes, const uint8_t *stop,
			 ssize_t stop_size)
{
	ssize_t size = link->catch < 0 ? -1 : read(link->catch, bytes, FRAME_MAX);

	if (size > 0 && !same(bytes, size, stop, stop_size))
		return size;
	if (link->catch >= 0)
		close(link->catch);
	link->catch = -1;
	return 0;
}

static void put(struct user_link *link, int fd, const uint8_t *bytes, ssize_t size)
{
	link->stats.refused += write(fd, bytes, (size_t)size) != size;
}

/*
 * Nobody reads the devices any more. What the machine sent waits in the near one, and what came
 * after that in the catch; the first ones there are the last ones of the device.
 */
static void empty_near(struct user_link *link, uint8_t *bytes, uint8_t *first)
{
	int near = link->sides[IMPAIR_FROM].fd, far = link->sides[IMPAIR_TO].fd;
	ssize_t first_size = recv(link->catch, first, FRAME_MAX, MSG_PEEK), size;
	uint8_t byte;
	bool met = false;

	for (int i = 0; i < QUEUE && (size = read(near, bytes, FRAME_MAX)) > 0; i++) {
		put(link, far, bytes, size);
		met = met || same(bytes, size, first, first_size);
		if (met && read(link->catch, &byte, 1) <= 0)
			break;
	}
	for (int i = 0; i < QUEUE && (size = read(link->catch, bytes, FRAME_MAX)) > 0; i++)
		put(link, far, bytes, size);
}

static int go_out(void *self, struct error *e)
{
	struct wire wire = {.link = self, .e = e};
	struct user_link *link = self;
	uint8_t *bytes = link->owner->spare;
	ssize_t size;
	int rc;

	if (open_wire(&wire))
		return -1;
	rc = open_catch(&wire, &link->catch);
	if (rc == 0)
		rc = move_port(&wire, link->catch, link->inner, link->bridge);
	if (rc == 0) {
		empty_near(link, bytes, bytes + FRAME_MAX);
		rc = change_port(&wire, SIOCBRDELIF, link->bridge, link->far);
		for (int i = 0; i < QUEUE; i++) {
			size = read(link->sides[IMPAIR_TO].fd, bytes, FRAME_MAX);
			if (size <= 0)
				break;
			put(link, link->catch, bytes, size);
		}
	}
	remove_devices(&wire);
	close_wire(&wire);
	return rc;
}

int link_wire_out(struct user_link *link, int network, struct error *e)
{
	return netns_call(network, go_out, link, e);
}

/* ---- what was lost ---- */

static uint64_t dropped(struct nl_sock *socket, const char *name)
{
	struct rtnl_link *device;
	uint64_t count;

	if (rtnl_link_get_kernel(socket, 0, name, &device))
		return 0;
	count = rtnl_link_get_stat(device, RTNL_LINK_TX_DROPPED);
	rtnl_link_put(device);
	return count;
}

struct overrun {
	const struct user_link *link;
	uint64_t frames;
};

static int look(void *self, struct error *e)
{
	struct overrun *overrun = self;
	struct nl_sock *socket;

	if (netns_socket(&socket, e))
		return -1;
	overrun->frames =
		dropped(socket, overrun->link->near) + dropped(socket, overrun->link->far);
	nl_socket_free(socket);
	return 0;
}

int link_wire_overrun(const struct user_link *link, int network, uint64_t *ret_frames,
		      struct error *e)
{
	struct overrun overrun = {.link = link};

	if (netns_call(network, look, &overrun, e))
		return -1;
	*ret_frames = overrun.frames;
	return 0;
}

/* ---- can it be done here ---- */

/* All of it in a namespace of its own, with a TAP device for the machine's port. */
static int try_it(struct user_links *links, struct error *e)
{
	struct user_link link = {
		.owner = links,
		.catch = -1,
		.port = "try",
		.bridge = "site",
		.near = "near",
		.far = "far",
		.inner = "inner",
		.sides = {{&link, -1, IMPAIR_TO}, {&link, -1, IMPAIR_FROM}},
	};
	struct wire wire = {.link = &link, .e = e};
	int port;

	if (unshare(CLONE_NEWNET) && unshare(CLONE_NEWUSER | CLONE_NEWNET))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "cannot make a network namespace: %s", strerror(errno));
	if (open_wire(&wire))
		return -1;
	if (ioctl(wire.control, SIOCBRADDBR, link.bridge))
		return fail(&wire, "make the bridge", link.bridge);
	if (open_tap(&wire, link.port, 1500, &port) ||
	    change_port(&wire, SIOCBRADDIF, link.bridge, link.port))
		return -1;
	return go_in(&link, e) || go_out(&link, e) ? -1 : 0;
}

/* A child, so that this process stays where it is; what it made ends with it. */
int link_wire_try(struct error *e)
{
	struct user_links links = {0};
	struct error error = {0};
	int ends[2], status;
	bool told;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot make a pipe: %s",
				 strerror(errno));
	links.spare = arena_alloc(&links.arena, 2 * (size_t)FRAME_MAX);
	pid = fork();
	if (pid == 0) {
		try_it(&links, &error);
		_exit(write(ends[1], &error, sizeof(error)) == sizeof(error) ? 0 : 1);
	}
	arena_free(&links.arena);
	close(ends[1]);
	/* Less than a pipe holds: it comes in one piece, or not at all. */
	told = pid > 0 && read(ends[0], &error, sizeof(error)) == sizeof(error);
	close(ends[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!told)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "the child that tries it ended");
	if (error.kind == ERROR_NONE)
		return 0;
	return error_set(e, error.kind, NO_PLACE, "%s", error.text);
}
