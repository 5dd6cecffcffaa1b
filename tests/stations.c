/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets in the networks of stand-in machines. */
#include "tests/stations.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "drivers/linux/netns.h"
#include "tests/workplace.h"

static void must(int rc, const char *what, const char *why)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, why);
	abort();
}

nanos stations_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now); /* style: allow */
	return (nanos)now.tv_sec * NANOS_S + now.tv_nsec;
}

const char *stations_open(struct stations *stations, const char *run, size_t count)
{
	struct error e = {0};

	*stations = (struct stations){.count = count + 1, .state = "/tmp/drsim-stations-XXXXXX"};
	must(mkdtemp(stations->state) ? 0 : -1, "folder", "cannot be made");
	setenv("DRSIM_STATE", stations->state, 1);
	must(journal_open(run, &stations->arena, &stations->journal, &e), "journal", e.text);
	must(guardian_start(&stations->guardian, stations->journal, &e), "guardian", e.text);
	stations->sites[0].name = "primary";
	stations->sites[1].name = "backup";
	for (size_t i = 0; i <= count; i++)
		stations->configs[i] = (struct machine_config){
			.name = arena_printf(&stations->arena, "place[%zu]", i),
			.site = i == count,
			.place_only = true,
		};
	stations->config = (struct machines_config){
		.sites = stations->sites,
		.site_count = 2,
		.machines = stations->configs,
		.machine_count = stations->count,
	};
	must(machines_open(&stations->config, stations->journal, &stations->arena,
			   &stations->machines, &e),
	     "machines", e.text);
	if (machines_isolation(stations->machines) == MACHINE_NAMESPACES)
		return NULL;
	stations_close(stations);
	return "no namespaces for machines";
}

void stations_close(struct stations *stations)
{
	struct error e = {0};

	must(machines_close(stations->machines, &e), "machines", e.text);
	guardian_end(&stations->guardian);
	journal_close(stations->journal);
	workplace_remove(stations->state);
	arena_free(&stations->arena);
}

struct machine *stations_get(const struct stations *stations, size_t index)
{
	return machines_get(stations->machines, index);
}

struct sockaddr_in stations_address(const struct stations *stations, size_t index, uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

	inet_pton(AF_INET, machine_address(stations_get(stations, index)), &address.sin_addr);
	return address;
}

struct wish {
	int family, type, protocol, fd;
};

static int make(void *self, struct error *e)
{
	struct wish *wish = self;

	(void)e;
	wish->fd = socket(wish->family, wish->type | SOCK_CLOEXEC, wish->protocol);
	return 0;
}

int stations_socket(const struct stations *stations, size_t index, int family, int type,
		    int protocol)
{
	struct wish wish = {family, type, protocol, -1};
	struct error e = {0};

	must(netns_call(machine_network(stations_get(stations, index)), make, &wish, &e), "socket",
	     e.text);
	must(wish.fd, "socket", "the kernel refuses");
	return wish.fd;
}

int stations_bound(const struct stations *stations, size_t index, int type, struct sockaddr_in *ret)
{
	struct sockaddr_in address = stations_address(stations, index, 0);
	socklen_t size = sizeof(*ret);
	int fd = stations_socket(stations, index, AF_INET, type, 0);

	must(bind(fd, (struct sockaddr *)&address, sizeof(address)), "bind", "refused");
	must(getsockname(fd, (struct sockaddr *)ret, &size), "getsockname", "refused");
	return fd;
}

void stations_connect(const struct stations *stations, size_t from, size_t to, uint16_t port,
		      int ret_ends[2])
{
	struct sockaddr_in address = stations_address(stations, to, port);
	int listener = stations_socket(stations, to, AF_INET, SOCK_STREAM, 0), one = 1;
	socklen_t size = sizeof(address);

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	must(bind(listener, (struct sockaddr *)&address, sizeof(address)), "bind", strerror(errno));
	must(listen(listener, 1), "listen", strerror(errno));
	ret_ends[0] = stations_socket(stations, from, AF_INET, SOCK_STREAM, 0);
	must(connect(ret_ends[0], (struct sockaddr *)&address, sizeof(address)), "connect",
	     strerror(errno));
	ret_ends[1] = accept4(listener, (struct sockaddr *)&address, &size, SOCK_CLOEXEC);
	must(ret_ends[1], "accept", strerror(errno));
	close(listener);
	for (int i = 0; i < 2; i++)
		setsockopt(ret_ends[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}
