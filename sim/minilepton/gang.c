/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of one size over TCP between the ranks of a gang. */
#include "sim/minilepton/gang.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "sim/minilepton/minilepton.h"
#include "sim/minilepton/options.h"

#define MAGIC UINT64_C(0x64727369676e6731)
#define LOOK_MS 10 /* between two calls of idle */
#define HELLO_PATIENCE (2 * NANOS_S)

struct gang_peer {
	int fd;
	size_t have; /* bytes of the message that is coming */
	struct gang_message message;
};

/* ---- words ---- */

static int broken(const struct gang *gang, uint32_t rank, struct error *e)
{
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
			 "NCCL WARN [Rank %u] NCCL error: remote process exited or there was a "
			 "network error (rank %u)",
			 gang->rank, rank);
}

static int late(const struct gang *gang, nanos patience, struct error *e)
{
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
			 "[Rank %u] Watchdog caught collective operation timeout: "
			 "WorkNCCL(SeqNum=%" PRIu64 ", OpType=ALLREDUCE, Timeout(ms)=%" PRId64 ")",
			 gang->rank, gang->sequence, patience / NANOS_MS);
}

/* ---- sockets ---- */

static int address_of(const char *text, struct sockaddr_in *ret, struct error *e)
{
	const char *colon = strrchr(text, ':');
	char host[INET_ADDRSTRLEN];
	uint64_t port = 0;
	size_t length = colon ? (size_t)(colon - text) : 0;

	*ret = (struct sockaddr_in){.sin_family = AF_INET};
	if (!colon || length >= sizeof(host) ||
	    options_number(colon + 1, strlen(colon + 1), 65535, &port))
		return error_set(e, ERROR_USAGE, NO_PLACE, "'%s' is no ADDRESS:PORT", text);
	memcpy(host, text, length);
	host[length] = '\0';
	if (inet_pton(AF_INET, host, &ret->sin_addr) != 1)
		return error_set(e, ERROR_USAGE, NO_PLACE, "'%s' is no ADDRESS:PORT", text);
	ret->sin_port = htons((uint16_t)port);
	return 0;
}

static void prompt(int fd)
{
	int on = 1;

	/* Best effort: without it messages only wait a little. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* Messages are far smaller than a socket's buffer: it is full only if the peer hangs. */
static int send_one(struct gang *gang, uint32_t rank, int fd, const struct gang_message *message,
		    struct error *e)
{
	struct gang_message out = *message;

	out.magic = MAGIC;
	out.rank = gang->rank;
	if (send(fd, &out, sizeof(out), MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof(out))
		return 0;
	return broken(gang, rank, e);
}

/* 1: a message is there; 0: not yet; -1: the peer is gone, or talks nonsense. */
static int receive(struct gang_peer *peer)
{
	ssize_t got = recv(peer->fd, (char *)&peer->message + peer->have,
			   sizeof(peer->message) - peer->have, MSG_DONTWAIT);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (got <= 0)
		return -1;
	peer->have += (size_t)got;
	if (peer->have < sizeof(peer->message))
		return 0;
	peer->have = 0;
	return peer->message.magic == MAGIC ? 1 : -1;
}

static int look(struct gang *gang, struct error *e)
{
	return gang->idle ? gang->idle(gang->self, e) : 0;
}

/* ---- meeting ---- */

static uint64_t hash(const char *text)
{
	uint64_t value = UINT64_C(14695981039346656037);

	for (; *text; text++)
		value = (value ^ (unsigned char)*text) * UINT64_C(1099511628211);
	return value;
}

/* A new connection says which rank it is; strangers are sent away. */
static int greet(struct gang *gang, int fd, uint64_t job, uint32_t *met)
{
	struct gang_peer peer = {.fd = fd};
	nanos due = minilepton_now() + HELLO_PATIENCE;
	int rc = 0;

	prompt(fd);
	while (rc == 0 && minilepton_now() < due) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};

		if (poll(&ready, 1, LOOK_MS) > 0)
			rc = receive(&peer);
	}
	if (rc == 1 && peer.message.kind == GANG_HELLO && peer.message.a == gang->ranks &&
	    peer.message.b == job && peer.message.rank > 0 && peer.message.rank < gang->ranks &&
	    gang->peers[peer.message.rank].fd < 0) {
		gang->peers[peer.message.rank].fd = fd;
		(*met)++;
		return 0;
	}
	close(fd);
	return -1;
}

static int listen_at(const struct sockaddr_in *address, const char *text, struct error *e)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 &&
	    listen(fd, GANG_RANKS_MAX) == 0)
		return fd;
	error_set(e, ERROR_IO, NO_PLACE, "cannot listen on %s: %s", text, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static int meet_as_first(struct gang *gang, const struct sockaddr_in *address, const char *text,
			 uint64_t job, nanos patience, struct error *e)
{
	nanos due = minilepton_now() + patience;
	int fd = listen_at(address, text, e), rc = fd < 0 ? -1 : 0;
	uint32_t met = 1;

	while (rc == 0 && met < gang->ranks) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};

		if (poll(&ready, 1, LOOK_MS) > 0) {
			struct sockaddr_in from;
			socklen_t size = sizeof(from);
			int peer = accept4(fd, (struct sockaddr *)&from, &size, SOCK_CLOEXEC);

			if (peer >= 0)
				greet(gang, peer, job, &met);
		}
		rc = look(gang, e);
		if (rc == 0 && met < gang->ranks && minilepton_now() > due)
			rc = late(gang, patience, e);
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

static int connect_once(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), code = 0;
	struct pollfd ready = {.fd = fd, .events = POLLOUT};
	socklen_t size = sizeof(code);

	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
	    (errno == EINPROGRESS && poll(&ready, 1, 200) > 0 &&
	     getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) == 0 && code == 0))
		return fd;
	close(fd);
	return -1;
}

static int meet_as_other(struct gang *gang, const struct sockaddr_in *address, uint64_t job,
			 nanos patience, struct error *e)
{
	nanos due = minilepton_now() + patience;
	struct gang_message hello = {.kind = GANG_HELLO, .a = gang->ranks, .b = job};
	struct timespec pause = {.tv_nsec = LOOK_MS * NANOS_MS};

	while (gang->peers[0].fd < 0) {
		gang->peers[0].fd = connect_once(address);
		if (gang->peers[0].fd >= 0)
			break;
		if (look(gang, e))
			return -1;
		if (minilepton_now() > due)
			return late(gang, patience, e);
		nanosleep(&pause, NULL);
	}
	prompt(gang->peers[0].fd);
	return gang_say(gang, &hello, e);
}

int gang_open(struct gang *gang, const char *coordinator, const char *job, nanos patience,
	      struct error *e)
{
	struct sockaddr_in address;

	if (address_of(coordinator, &address, e))
		return -1;
	gang->peer_count = gang->rank == 0 ? gang->ranks : 1;
	gang->peers = calloc(gang->peer_count, sizeof(*gang->peers));
	if (!gang->peers)
		return error_set(e, ERROR_MEMORY, NO_PLACE, "no memory for the gang");
	for (uint32_t p = 0; p < gang->peer_count; p++)
		gang->peers[p].fd = -1;
	if (gang->ranks == 1)
		return 0;
	if (gang->rank == 0)
		return meet_as_first(gang, &address, coordinator, hash(job), patience, e);
	return meet_as_other(gang, &address, hash(job), patience, e);
}

/* ---- collective operations ---- */

/* Those that are still to come, for poll(). */
static nfds_t missing(const struct gang *gang, const bool *seen, struct pollfd *list,
		      uint32_t *ranks)
{
	nfds_t count = 0;

	for (uint32_t r = 1; r < gang->ranks; r++) {
		if (seen[r])
			continue;
		list[count] = (struct pollfd){.fd = gang->peers[r].fd, .events = POLLIN};
		ranks[count++] = r;
	}
	return count;
}

static int take(struct gang *gang, uint32_t rank, enum gang_kind kind, struct gang_message *ret,
		bool *ret_there, struct error *e)
{
	struct gang_peer *peer = &gang->peers[gang->rank == 0 ? rank : 0];
	int rc = receive(peer);

	if (rc < 0 || (rc == 1 && peer->message.kind != kind))
		return broken(gang, rank, e);
	*ret_there = rc == 1;
	if (rc == 1)
		*ret = peer->message;
	return 0;
}

int gang_gather(struct gang *gang, enum gang_kind kind, struct gang_message *all, nanos patience,
		struct error *e)
{
	nanos due = minilepton_now() + patience;
	struct pollfd list[GANG_RANKS_MAX];
	uint32_t ranks[GANG_RANKS_MAX];
	bool seen[GANG_RANKS_MAX] = {true};
	nfds_t count;

	gang->sequence++;
	while ((count = missing(gang, seen, list, ranks)) > 0) {
		if (poll(list, count, LOOK_MS) > 0) {
			for (nfds_t i = 0; i < count; i++)
				if (list[i].revents &&
				    take(gang, ranks[i], kind, &all[ranks[i]], &seen[ranks[i]], e))
					return -1;
		}
		if (look(gang, e))
			return -1;
		if (minilepton_now() > due)
			return late(gang, patience, e);
	}
	return 0;
}

int gang_tell(struct gang *gang, const struct gang_message *message, struct error *e)
{
	for (uint32_t r = 1; r < gang->ranks; r++)
		if (send_one(gang, r, gang->peers[r].fd, message, e))
			return -1;
	return 0;
}

int gang_say(struct gang *gang, const struct gang_message *message, struct error *e)
{
	return send_one(gang, 0, gang->peers[0].fd, message, e);
}

int gang_hear(struct gang *gang, enum gang_kind kind, struct gang_message *ret, nanos patience,
	      struct error *e)
{
	nanos due = minilepton_now() + patience;
	bool there = false;

	gang->sequence++;
	while (!there) {
		struct pollfd ready = {.fd = gang->peers[0].fd, .events = POLLIN};

		if (poll(&ready, 1, LOOK_MS) > 0) {
			if (take(gang, 0, kind, ret, &there, e))
				return -1;
		}
		if (look(gang, e))
			return -1;
		if (!there && minilepton_now() > due)
			return late(gang, patience, e);
	}
	return 0;
}

void gang_close(struct gang *gang)
{
	for (uint32_t p = 0; gang->peers && p < gang->peer_count; p++)
		if (gang->peers[p].fd >= 0)
			close(gang->peers[p].fd);
	free(gang->peers);
	gang->peers = NULL;
}
