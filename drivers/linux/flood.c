/* SPDX-License-Identifier: Apache-2.0 */
/* A moment of UDP as fast as it can be sent, and what of it arrives. */
#include "drivers/linux/flood.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "drivers/linux/netns.h"

#define SEND_ROOM (64 << 10) /* small: a full queue of the link stops us, and drops little */
#define RECEIVE_ROOM (4 << 20)
#define ARRIVED_MIN 8 /* packets between which a rate makes sense */

struct ends {
	int in, out;
	struct sockaddr_in to;
};

static nanos now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time); /* style: allow */
	return (int64_t)time.tv_sec * NANOS_S + time.tv_nsec;
}

static int fail(struct error *e)
{
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot measure a rate: %s",
			 strerror(errno));
}

static int open_in(void *self, struct error *e)
{
	struct ends *ends = self;
	const int room = RECEIVE_ROOM;
	socklen_t size = sizeof(ends->to);

	ends->in = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (ends->in < 0 || bind(ends->in, (struct sockaddr *)&ends->to, size) ||
	    getsockname(ends->in, (struct sockaddr *)&ends->to, &size))
		return fail(e);
	setsockopt(ends->in, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	return 0;
}

static int open_out(void *self, struct error *e)
{
	struct ends *ends = self;
	const int room = SEND_ROOM;

	ends->out = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (ends->out < 0 || setsockopt(ends->out, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) ||
	    connect(ends->out, (const struct sockaddr *)&ends->to, sizeof(ends->to)))
		return fail(e);
	return 0;
}

static double flood(const struct ends *ends, nanos time)
{
	static const char packet[FLOOD_BYTES];
	char got[2048];
	nanos begun = now(), first = 0, last = 0, at;
	uint64_t sent = 0, arrived = 0;
	ssize_t size;

	while ((at = now()) - begun < time && sent < FLOOD_MAX) {
		struct pollfd wait = {.fd = ends->out, .events = POLLOUT};
		for (int i = 0; i < 16; i++)
			if (send(ends->out, packet, sizeof(packet), 0) > 0)
				sent += sizeof(packet);
		while ((size = recv(ends->in, got, sizeof(got), 0)) > 0) {
			first = first ? first : at;
			last = at;
			arrived += (uint64_t)size;
		}
		poll(&wait, 1, 1);
	}
	/* The first one starts the clock and counts for nothing. */
	if (arrived < ARRIVED_MIN * FLOOD_BYTES || last <= first)
		return 0;
	return (double)(arrived - FLOOD_BYTES) / ((double)(last - first) / 1e9);
}

int flood_measure(int from, int to, uint32_t address, nanos time, double *ret_rate, struct error *e)
{
	struct ends ends = {
		.in = -1,
		.out = -1,
		.to = {.sin_family = AF_INET, .sin_addr.s_addr = address},
	};
	int rc = -1;

	*ret_rate = 0;
	if (netns_call(to, open_in, &ends, e) == 0 && netns_call(from, open_out, &ends, e) == 0) {
		*ret_rate = flood(&ends, time);
		rc = 0;
	}
	if (ends.in >= 0)
		close(ends.in);
	if (ends.out >= 0)
		close(ends.out);
	return rc;
}
