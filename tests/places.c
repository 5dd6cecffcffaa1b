/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets in the networks of stand-in machines. */
#include "tests/places.h"

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

nanos places_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now); /* style: allow */
	return (nanos)now.tv_sec * NANOS_S + now.tv_nsec;
}

const char *places_open(struct places *places, const char *run, size_t count)
{
	struct error e = {0};

	*places = (struct places){.count = count + 1, .state = "/tmp/drsim-places-XXXXXX"};
	must(mkdtemp(places->state) ? 0 : -1, "folder", "cannot be made");
	setenv("DRSIM_STATE", places->state, 1);
	must(journal_open(run, &places->arena, &places->journal, &e), "journal", e.text);
	places->sites[0].name = "primary";
	places->sites[1].name = "backup";
	for (size_t i = 0; i <= count; i++)
		places->configs[i] = (struct machine_config){
			.name = arena_printf(&places->arena, "place[%zu]", i),
			.site = i == count,
			.place_only = true,
		};
	places->config = (struct machines_config){
		.sites = places->sites,
		.site_count = 2,
		.machines = places->configs,
		.machine_count = places->count,
	};
	must(machines_open(&places->config, places->journal, &places->arena, &places->machines, &e),
	     "machines", e.text);
	if (machines_isolation(places->machines) == MACHINE_NAMESPACES)
		return NULL;
	places_close(places);
	return "no namespaces for machines";
}

void places_close(struct places *places)
{
	struct error e = {0};

	must(machines_close(places->machines, &e), "machines", e.text);
	journal_close(places->journal);
	workplace_remove(places->state);
	arena_free(&places->arena);
}

struct machine *places_get(const struct places *places, size_t index)
{
	return machines_get(places->machines, index);
}

struct sockaddr_in places_address(const struct places *places, size_t index, uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

	inet_pton(AF_INET, machine_address(places_get(places, index)), &address.sin_addr);
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

int places_socket(const struct places *places, size_t index, int family, int type, int protocol)
{
	struct wish wish = {family, type, protocol, -1};
	struct error e = {0};

	must(netns_call(machine_network(places_get(places, index)), make, &wish, &e), "socket",
	     e.text);
	must(wish.fd, "socket", "the kernel refuses");
	return wish.fd;
}

int places_bound(const struct places *places, size_t index, int type, struct sockaddr_in *ret)
{
	struct sockaddr_in address = places_address(places, index, 0);
	socklen_t size = sizeof(*ret);
	int fd = places_socket(places, index, AF_INET, type, 0);

	must(bind(fd, (struct sockaddr *)&address, sizeof(address)), "bind", "refused");
	must(getsockname(fd, (struct sockaddr *)ret, &size), "getsockname", "refused");
	return fd;
}

void places_connect(const struct places *places, size_t from, size_t to, uint16_t port,
		    int ret_ends[2])
{
	struct sockaddr_in address = places_address(places, to, port);
	int listener = places_socket(places, to, AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	must(bind(listener, (struct sockaddr *)&address, sizeof(address)), "bind", strerror(errno));
	must(listen(listener, 1), "listen", strerror(errno));
	ret_ends[0] = places_socket(places, from, AF_INET, SOCK_STREAM, 0);
	must(connect(ret_ends[0], (struct sockaddr *)&address, sizeof(address)), "connect",
	     strerror(errno));
	ret_ends[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	must(ret_ends[1], "accept", strerror(errno));
	close(listener);
	for (int i = 0; i < 2; i++)
		setsockopt(ret_ends[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}
