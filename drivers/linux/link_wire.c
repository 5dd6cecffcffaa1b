/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The devices of a user-space link, and how it comes between a port and its bridge:
 *
 *   machine eth0 ── port ┬ inner bridge ┬ near (TAP) ── this program ── far (TAP) ┬ bridge
 *
 * The port changes bridges; it stays up and so do its hooks: queueing disciplines and nftables on
 * it act as before. (A packet socket on the port would read what nftables drops there.)
 */
#include <errno.h>
#include <fcntl.h>
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

#include "drivers/linux/link_private.h"
#include "drivers/linux/netns.h"

#ifndef TUN_F_USO4 /* headers older than Linux 6.2 */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

struct wire {
	struct user_link *link;
	struct error *e;
	int control; /* socket for calls to devices, in the namespace */
};

static int fail(struct wire *wire, const char *what, const char *name)
{
	return error_set(wire->e, ERROR_UNAVAILABLE, NO_PLACE, "cannot %s '%s': %s", what, name,
			 strerror(errno));
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
static int set_up(struct wire *wire, const char *name, bool up)
{
	struct ifreq flags = request(name);

	if (up)
		silence(name);
	if (call(wire, SIOCGIFFLAGS, &flags))
		return fail(wire, "look at", name);
	flags.ifr_flags =
		(short)(up ? flags.ifr_flags | IFF_UP | IFF_NOARP : flags.ifr_flags & ~IFF_UP);
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
	return set_up(wire, name, true);
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
	if (change_port(wire, SIOCBRADDIF, link->inner, link->near) ||
	    set_up(wire, link->inner, true))
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
	inner.ifr_flags = 0;
	call(wire, SIOCSIFFLAGS, &inner);
	ioctl(wire->control, SIOCBRDELBR, link->inner);
}

static int go_in(void *self, struct error *e)
{
	struct wire wire = {.link = self, .e = e};
	struct user_link *link = self;
	int rc;

	wire.control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (wire.control < 0)
		return fail(&wire, "reach", link->port);
	rc = make_devices(&wire);
	if (rc == 0 && change_port(&wire, SIOCBRDELIF, link->bridge, link->port))
		rc = -1;
	if (rc == 0 && change_port(&wire, SIOCBRADDIF, link->inner, link->port)) {
		struct wire back = {.link = link, .control = wire.control};

		change_port(&back, SIOCBRADDIF, link->bridge, link->port);
		rc = -1;
	}
	if (rc)
		remove_devices(&wire);
	close(wire.control);
	return rc;
}

int link_wire_in(struct user_link *link, int network, struct error *e)
{
	return netns_call(network, go_in, link, e);
}

static int go_out(void *self, struct error *e)
{
	struct wire wire = {.link = self, .e = e};
	struct user_link *link = self;
	int rc;

	wire.control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (wire.control < 0)
		return fail(&wire, "reach", link->port);
	rc = change_port(&wire, SIOCBRDELIF, link->inner, link->port);
	if (change_port(&wire, SIOCBRADDIF, link->bridge, link->port))
		rc = -1;
	remove_devices(&wire);
	close(wire.control);
	return rc;
}

int link_wire_out(struct user_link *link, int network, struct error *e)
{
	return netns_call(network, go_out, link, e);
}

/* ---- can it be done here ---- */

/* All of it in a namespace of its own, with a TAP device for the machine's port. */
static int try_it(struct error *e)
{
	struct user_link link = {
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
	wire.control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (wire.control < 0)
		return fail(&wire, "make", "a socket");
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
	struct error error = {0};
	int ends[2], status;
	bool told;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot make a pipe: %s",
				 strerror(errno));
	pid = fork();
	if (pid == 0) {
		try_it(&error);
		_exit(write(ends[1], &error, sizeof(error)) != sizeof(error));
	}
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
