/* SPDX-License-Identifier: Apache-2.0 */
/* Places in a network, sockets in them, and packets with numbers between them. */
#include "tests/places.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/host/undo.h"
#include "tests/program.h"

#define WARM_TRIES 100 /* of 40 ms: a neighbour that was lost is asked for again each second */

void places_ok(int rc, const struct error *e)
{
	ck_assert_msg(rc == 0, "%s", e->text);
}

struct opening {
	const struct machine *machine;
	int type, fd;
	uint16_t port;
};

struct sockaddr_in places_address(const struct machine *machine, uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

	inet_pton(AF_INET, machine_address(machine), &address.sin_addr);
	return address;
}

uint32_t places_number(const struct places *places, size_t machine)
{
	return ntohl(places_address(places->items[machine], 0).sin_addr.s_addr);
}

static void *open_socket(void *self)
{
	struct opening *opening = self;
	struct sockaddr_in address = places_address(opening->machine, opening->port);
	struct error e = {0};
	int one = 1, room = 16 << 20;

	opening->fd = -1;
	if (machine_enter(opening->machine, &e))
		return NULL;
	opening->fd = socket(AF_INET, opening->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	setsockopt(opening->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(opening->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (bind(opening->fd, (struct sockaddr *)&address, sizeof(address)))
		opening->fd = -1;
	return NULL;
}

/* A socket in the machine's network; the calling thread stays where it is. */
int places_socket(const struct machine *machine, int type, uint16_t port)
{
	struct opening opening = {.machine = machine, .type = type, .port = port};
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, open_socket, &opening), 0);
	pthread_join(thread, NULL);
	ck_assert_int_ge(opening.fd, 0);
	return opening.fd;
}

void places_open(struct places *places)
{
	struct error e = {0};

	*places = (struct places){0};
	places_ok(journal_open("net", &places->arena, &places->journal, &e), &e);
	for (size_t i = 0; i < PLACES_SITES; i++)
		places->sites[i].name = i ? "backup" : "primary";
	for (size_t i = 0; i < PLACES; i++)
		places->configs[i] = (struct machine_config){
			.name = arena_printf(&places->arena, "node[%zu]", i),
			.site = (uint32_t)(i % PLACES_SITES),
			.place_only = true,
		};
	places->config = (struct machines_config){
		.sites = places->sites,
		.site_count = PLACES_SITES,
		.machines = places->configs,
		.machine_count = PLACES,
	};
	places_ok(machines_open(&places->config, places->journal, &places->arena, &places->machines,
				&e),
		  &e);
	places->router = machines_router(places->machines);
	for (size_t i = 0; i < PLACES; i++) {
		places->items[i] = machines_get(places->machines, i);
		places->receivers[i] = places_socket(places->items[i], SOCK_DGRAM, PLACES_PORT);
		places->senders[i] = places_socket(places->items[i], SOCK_DGRAM, PLACES_PORT + 1);
	}
}

void places_close(struct places *places)
{
	struct error e = {0};
	struct undo_sum sum;

	for (size_t i = 0; i < PLACES; i++) {
		close(places->receivers[i]);
		close(places->senders[i]);
	}
	places_ok(machines_close(places->machines, &e), &e);
	undo_all(places->journal, &sum);
	ck_assert_uint_eq(sum.left, 0);
	ck_assert(journal_close(places->journal));
	arena_free(&places->arena);
}

/* ---- packets with numbers ---- */

/* false: there is no room for it in the sender's socket. */
bool places_send(const struct places *places, size_t from, size_t to, uint16_t port,
		 uint32_t number, size_t size)
{
	struct sockaddr_in address = places_address(places->items[to], port);
	char bytes[2048] = {0};
	ssize_t sent;

	memcpy(bytes, &number, sizeof(number));
	sent = sendto(places->senders[from], bytes, size, 0, (struct sockaddr *)&address,
		      sizeof(address));
	/* Whatever happens to it on its way: its sender must not be told. */
	ck_assert_msg(sent == (ssize_t)size || errno == EAGAIN, "sendto: %s", strerror(errno));
	return sent == (ssize_t)size;
}

void places_receive(const struct places *places, size_t from, int fd,
		    struct places_arrived *arrived)
{
	struct sockaddr_in source, expected = places_address(places->items[from], PLACES_PORT + 1);
	socklen_t size = sizeof(source);
	char bytes[2048];
	uint32_t number;
	ssize_t got;

	while ((got = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&source, &size)) >
	       0) {
		if (source.sin_addr.s_addr != expected.sin_addr.s_addr)
			continue;
		memcpy(&number, bytes, sizeof(number));
		ck_assert_uint_lt(number, PLACES_NUMBERS);
		arrived->late += number < arrived->highest;
		arrived->highest = number > arrived->highest ? number : arrived->highest;
		arrived->twice += arrived->seen[number / 64] >> number % 64 & 1;
		arrived->count += !(arrived->seen[number / 64] >> number % 64 & 1);
		arrived->seen[number / 64] |= (uint64_t)1 << number % 64;
		arrived->bytes += (uint64_t)got + PLACES_HEADERS;
	}
}

/* Sends so many and takes what comes, until nothing has come for `quiet` ms. */
void places_exchange(const struct places *places, size_t from, size_t to, uint32_t count, int quiet,
		     struct places_arrived *arrived)
{
	struct pollfd row = {.fd = places->receivers[to], .events = POLLIN};

	memset(arrived, 0, sizeof(*arrived));
	for (uint32_t i = 0; i < count; i++) {
		while (!places_send(places, from, to, PLACES_PORT, i, 100))
			program_pause(1);
		if (i % 64 == 63) {
			/* The kernel's own queues are short, and it must come to empty them. */
			program_pause(1);
			places_receive(places, from, row.fd, arrived);
		}
	}
	while (poll(&row, 1, quiet) > 0)
		places_receive(places, from, row.fd, arrived);
}

/* Does one of three packets arrive? Those of others and of earlier tries are thrown away. */
bool places_reach(const struct places *places, size_t from, size_t to)
{
	struct places_arrived arrived = {.count = 0};
	struct pollfd row = {.fd = places->receivers[to], .events = POLLIN};

	places_receive(places, from, row.fd, &arrived);
	memset(&arrived, 0, sizeof(arrived));
	for (uint32_t i = 0; i < 3; i++)
		places_send(places, from, to, PLACES_PORT, i, 100);
	while (arrived.count < 3 && poll(&row, 1, 40) > 0)
		places_receive(places, from, row.fd, &arrived);
	return arrived.count > 0;
}

/* All neighbours are known, so that no first packet is late or lost. */
void places_warm(const struct places *places)
{
	for (size_t from = 0; from < PLACES; from++)
		for (size_t to = 0; to < PLACES; to++) {
			bool there = from == to;

			for (int i = 0; !there && i < WARM_TRIES; i++)
				there = places_reach(places, from, to);
			ck_assert(there);
		}
}

/* ---- how fast ---- */

/* Bytes per second, as frames, that arrive while `offered` are sent, past the first `skip` ms. */
double places_rate(const struct places *places, size_t from, size_t to, double offered, int skip,
		   int ms)
{
	const size_t size = 1400;
	struct places_arrived *arrived = calloc(1, sizeof(*arrived));
	int64_t begin = program_clock(), now = begin, from_here = 0;
	uint64_t before = 0;
	uint32_t sent = 0;
	double rate;

	ck_assert_ptr_nonnull(arrived);
	while (now - begin < (skip + ms) * NANOS_MS) {
		double due = offered * (double)(now - begin) / (double)NANOS_S;

		while (sent * (double)(size + PLACES_HEADERS) < due &&
		       places_send(places, from, to, PLACES_PORT, sent % PLACES_NUMBERS, size))
			sent++;
		program_pause(1);
		places_receive(places, from, places->receivers[to], arrived);
		now = program_clock();
		if (from_here == 0 && now - begin >= skip * NANOS_MS) {
			from_here = now;
			before = arrived->bytes;
		}
	}
	rate = (double)(arrived->bytes - before) / ((double)(now - from_here) / (double)NANOS_S);
	free(arrived);
	return rate;
}

struct net_place places_of(const struct places *places, size_t machine)
{
	return (struct net_place){
		.router = places->router,
		.port = machine_port(places->items[machine]),
		.machine = machine_network(places->items[machine]),
		.interface = MACHINE_LINK,
		.address = places_number(places, machine),
		.bridge = machine % PLACES_SITES ? "site1" : "site0",
	};
}

/* ---- how late ---- */

static size_t take_delays(const struct places *places, size_t from, int fd, int64_t wait,
			  double *ret_ms)
{
	struct sockaddr_in source, expected = places_address(places->items[from], PLACES_PORT + 1);
	socklen_t size = sizeof(source);
	struct pollfd row = {.fd = fd, .events = POLLIN};
	const struct timespec left = {.tv_nsec = wait > 0 ? wait : 0};
	size_t count = 0;
	int64_t sent;

	if (ppoll(&row, 1, &left, NULL) <= 0)
		return 0;
	while (recvfrom(fd, &sent, sizeof(sent), 0, (struct sockaddr *)&source, &size) ==
	       sizeof(sent))
		if (source.sin_addr.s_addr == expected.sin_addr.s_addr)
			ret_ms[count++] = (double)(program_clock() - sent) / (double)NANOS_MS;
	return count;
}

size_t places_delays(const struct places *places, size_t from, size_t to, size_t count,
		     double *ret_ms)
{
	struct sockaddr_in address = places_address(places->items[to], PLACES_PORT);
	int fd = places->receivers[to];
	int64_t now = program_clock(), next = now, quiet = now;
	size_t came = 0, sent = 0;

	while (came < count && now - quiet < 500 * NANOS_MS) {
		size_t more;

		if (sent < count && now >= next) {
			ssize_t size;

			now = quiet = program_clock();
			size = sendto(places->senders[from], &now, sizeof(now), 0,
				      (struct sockaddr *)&address, sizeof(address));
			ck_assert_msg(size == sizeof(now) || errno == EAGAIN, "sendto: %s",
				      strerror(errno));
			sent += size == sizeof(now);
			next = now + NANOS_MS; /* also when we are late: no burst */
		}
		more = take_delays(places, from, fd, sent < count ? next - now : NANOS_MS,
				   ret_ms + came);
		came += more;
		now = program_clock();
		quiet = more ? now : quiet;
	}
	return came;
}
