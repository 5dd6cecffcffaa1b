/* SPDX-License-Identifier: Apache-2.0 */
/* Echo requests from one place in a network, and what comes back. */
#include "drivers/linux/echo.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/icmp.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PACKET_MAX 65535
#define RECEIVE_ROOM (8 << 20) /* bytes; as much of it as we may have */

struct echo {
	int fd;
	uint32_t nonce;   /* ours: other programs of the namespace send echoes too */
	uint32_t counter; /* of runs: a late answer of the last run is none of this one */
	uint8_t packet[PACKET_MAX];
};

/* Behind the header of an echo request; the rest of the packet is a pattern. */
struct mark {
	uint32_t nonce, run, target, round;
	int64_t sent;
};

/* What is known of the answers while a run goes on. */
struct run {
	struct echo *echo;
	const struct echo_plan *plan;
	const uint32_t *targets;
	size_t count, bytes;
	struct echo_sum *sums;
	nanos *trips;      /* [target][round]; 0: not answered */
	uint32_t *highest; /* round answered so far, + 1, of each target */
	size_t open;       /* requests without an answer */
};

static nanos now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time); /* style: allow */
	return (int64_t)time.tv_sec * NANOS_S + time.tv_nsec;
}

int echo_open(struct echo **ret_echo, struct error *e)
{
	struct echo *echo = calloc(1, sizeof(*echo));
	const int room = RECEIVE_ROOM, whole = IP_PMTUDISC_DO;
	struct icmp_filter answers = {.data = ~(1u << ICMP_ECHOREPLY)};

	assert(echo);
	*ret_echo = NULL;
	echo->fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);
	if (echo->fd < 0 || getrandom(&echo->nonce, sizeof(echo->nonce), 0) < 0 ||
	    setsockopt(echo->fd, SOL_RAW, ICMP_FILTER, &answers, sizeof(answers)) ||
	    setsockopt(echo->fd, IPPROTO_IP, IP_MTU_DISCOVER, &whole, sizeof(whole))) {
		error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot send echo requests: %s",
			  strerror(errno));
		echo_close(echo);
		return -1;
	}
	if (setsockopt(echo->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)))
		setsockopt(echo->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	*ret_echo = echo;
	return 0;
}

void echo_close(struct echo *echo)
{
	if (!echo)
		return;
	if (echo->fd >= 0)
		close(echo->fd);
	free(echo);
}

static uint16_t checksum(const uint8_t *data, size_t size)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum += i & 1 ? data[i] : (uint32_t)data[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static uint8_t pattern(size_t at)
{
	return (uint8_t)(at * 37 + 11);
}

static void fill(struct run *run, uint32_t target, uint32_t round)
{
	struct echo *echo = run->echo;
	struct icmphdr header = {.type = ICMP_ECHO,
				 .un.echo = {.id = htons((uint16_t)echo->nonce),
					     .sequence = htons((uint16_t)round)}};
	const struct mark mark = {.nonce = echo->nonce,
				  .run = echo->counter,
				  .target = target,
				  .round = round,
				  .sent = now()};

	memcpy(echo->packet, &header, sizeof(header));
	memcpy(echo->packet + sizeof(header), &mark, sizeof(mark));
	for (size_t i = sizeof(header) + sizeof(mark); i < run->bytes; i++)
		echo->packet[i] = pattern(i);
	header.checksum = checksum(echo->packet, run->bytes);
	memcpy(echo->packet, &header, sizeof(header));
}

/* A queue that is full for a moment has room again soon; one that does not want it counts as a
 * request that was lost. */
static int send_one(struct run *run, uint32_t target, uint32_t round, struct error *e)
{
	const struct sockaddr_in to = {.sin_family = AF_INET,
				       .sin_addr.s_addr = run->targets[target]};

	fill(run, target, round);
	run->sums[target].sent++;
	run->open++;
	if (sendto(run->echo->fd, run->echo->packet, run->bytes, 0, (const struct sockaddr *)&to,
		   sizeof(to)) >= 0)
		return 0;
	if (errno == ENOMEM || errno == EBADF || errno == EINVAL)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot send an echo request: %s",
				 strerror(errno));
	return 0;
}

/* One packet with its IP header, as raw sockets give it: also one whose checksum is wrong. */
static void take(struct run *run, const uint8_t *packet, size_t size)
{
	const size_t head = size > 0 ? (size_t)(packet[0] & 15) * 4 : 0;
	struct icmphdr header;
	struct mark mark;
	bool altered = false;

	if (head < sizeof(struct iphdr) || size < head + sizeof(header) + sizeof(mark))
		return;
	memcpy(&header, packet + head, sizeof(header));
	memcpy(&mark, packet + head + sizeof(header), sizeof(mark));
	if (header.un.echo.id != htons((uint16_t)run->echo->nonce) ||
	    mark.nonce != run->echo->nonce || mark.run != run->echo->counter ||
	    mark.target >= run->count || mark.round >= run->plan->rounds)
		return;
	struct echo_sum *sum = &run->sums[mark.target];
	nanos *trip = &run->trips[mark.target * run->plan->rounds + mark.round];
	altered = size - head != run->bytes || checksum(packet + head, size - head) != 0;
	if (altered) {
		sum->altered++;
		return;
	}
	if (*trip > 0) {
		sum->again++;
		return;
	}
	*trip = now() - mark.sent;
	*trip = *trip > 0 ? *trip : 1;
	sum->answered++;
	run->open--;
	if (mark.round + 1 < run->highest[mark.target])
		sum->late++;
	else
		run->highest[mark.target] = mark.round + 1;
}

static void receive_until(struct run *run, nanos end)
{
	struct pollfd ready = {.fd = run->echo->fd, .events = POLLIN};
	uint8_t packet[2048], *large = run->bytes > 1900 ? malloc(PACKET_MAX) : NULL;
	nanos left;

	do {
		ssize_t got;
		while ((got = recv(run->echo->fd, large ? large : packet,
				   large ? PACKET_MAX : sizeof(packet), 0)) > 0)
			take(run, large ? large : packet, (size_t)got);
		left = end - now();
		if (left > 0 && run->open > 0) {
			const struct timespec wait = {.tv_sec = left / NANOS_S,
						      .tv_nsec = left % NANOS_S};
			ppoll(&ready, 1, &wait, NULL);
		}
	} while (left > 0 && run->open > 0);
	free(large);
}

static int by_size(const void *a, const void *b)
{
	nanos one = *(const nanos *)a, two = *(const nanos *)b;

	return one < two ? -1 : one > two;
}

static nanos median(nanos *trips, uint32_t rounds)
{
	uint32_t none = 0;

	qsort(trips, rounds, sizeof(*trips), by_size);
	while (none < rounds && trips[none] == 0)
		none++;
	return none == rounds ? NANOS_NEVER : trips[none + (rounds - none) / 2];
}

int echo_run(struct echo *echo, const uint32_t *targets, size_t count, const struct echo_plan *plan,
	     struct echo_sum *ret, struct error *e)
{
	size_t bytes = plan->bytes ? plan->bytes : ECHO_BYTES;
	struct run run = {.echo = echo,
			  .plan = plan,
			  .targets = targets,
			  .count = count,
			  .bytes = bytes,
			  .sums = ret,
			  .trips = calloc(count * plan->rounds, sizeof(*run.trips)),
			  .highest = calloc(count, sizeof(*run.highest))};
	nanos begun = now();
	int rc = 0;

	assert(count > 0 && count <= ECHO_TARGETS_MAX && run.trips && run.highest);
	assert(plan->rounds > 0 && plan->rounds <= ECHO_ROUNDS_MAX);
	assert(bytes >= sizeof(struct icmphdr) + sizeof(struct mark) && bytes <= PACKET_MAX - 20);
	echo->counter++;
	memset(ret, 0, count * sizeof(*ret));
	for (uint32_t round = 0; round < plan->rounds && rc == 0; round++) {
		for (uint32_t t = 0; t < count && rc == 0; t++)
			rc = send_one(&run, t, round, e);
		if (round + 1 < plan->rounds)
			receive_until(&run, begun + (round + 1) * plan->spacing);
		/* All answered: the next round still waits for its time. */
		nanos left = begun + (round + 1) * plan->spacing - now();
		const struct timespec pause = {.tv_sec = left / NANOS_S, .tv_nsec = left % NANOS_S};
		if (left > 0 && round + 1 < plan->rounds)
			nanosleep(&pause, NULL);
	}
	receive_until(&run, now() + plan->patience);
	for (size_t t = 0; t < count; t++)
		ret[t].round_trip = median(run.trips + t * plan->rounds, plan->rounds);
	free(run.trips);
	free(run.highest);
	return rc;
}

double echo_loss(const struct echo_sum *sum)
{
	return sum->sent ? 1 - sqrt((double)sum->answered / (double)sum->sent) : 0;
}
