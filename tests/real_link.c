/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user-space link between real namespaces: what is asked for is what packets meet, the same
 * seed does it again, connections stand while links begin, change and end, and nothing is left.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <math.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/stats.h"
#include "drivers/host/process.h"
#include "drivers/linux/link.h"
#include "drivers/linux/netns.h"
#include "drivers/linux/nft.h"
#include "tests/stations.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define NOBODY 65534
#define Z99 2.5758293035489
#define KS_1_PERCENT 1.6276
#define DELAYS 2000
#define PACKETS_MAX 100000
#define QUIET (1000 * NANOS_MS) /* nothing comes any more, also on a busy host */
#define BURST 50                /* datagrams, then a pause: nothing on the way may overflow */
#define SEED 7
#define PORT 8080
#define OTHER_PORT 8081
#define DATAGRAM_HEADERS (14 + 20 + 8)

static const nanos MS = NANOS_MS;

/* ---- a network of its own for each test ---- */

struct net {
	struct stations stations;
	struct user_links *links;
	struct user_link *link;
};

static void good(int rc, const struct error *e)
{
	ck_assert_msg(rc == 0, "%s", e->text);
}

static void begin_at(struct net *net, size_t place, const struct user_link_rule *rules,
		     size_t count, nanos lease)
{
	const struct user_link_config config = {
		.port = machine_port(stations_get(&net->stations, place)),
		.bridge = "site0",
		.number = 3,
		.rules = rules,
		.rule_count = count,
		.lease = lease,
	};
	struct error e = {0};

	good(user_link_begin(net->links, &config, &net->link, &e), &e);
}

static void begin(struct net *net, struct user_link_rule rule)
{
	begin_at(net, 0, &rule, 1, 0);
}

static void change(struct net *net, struct user_link_rule rule)
{
	struct error e = {0};

	good(user_link_change(net->link, &rule, 1, &e), &e);
}

static void end(struct net *net)
{
	struct error e = {0};

	good(user_link_end(net->link, &e), &e);
}

static void open_net(struct net *net, uint64_t seed)
{
	struct error e = {0};
	const char *why = stations_open(&net->stations, "link", 3);

	ck_assert_msg(!why, "%s", why);
	good(user_links_open(machines_router(net->stations.machines), seed, &net->links, &e), &e);
}

static void close_net(struct net *net)
{
	user_links_close(net->links);
	stations_close(&net->stations);
}

static struct user_link_stats stats(struct net *net)
{
	struct user_link_stats now;
	struct error e = {0};

	good(user_link_stats(net->link, &now, &e), &e);
	return now;
}

/* Nothing was lost that the rules did not lose. */
static void nothing_else_lost(struct net *net)
{
	struct user_link_stats now = stats(net);

	ck_assert_uint_eq(now.overrun, 0);
	ck_assert_uint_eq(now.queue_full, 0);
	ck_assert_uint_eq(now.refused, 0);
}

/* ---- numbered datagrams from place 1 to place 0 ---- */

struct datagram {
	uint32_t number;
	uint32_t fill;
	nanos sent; /* CLOCK_REALTIME, which the kernel stamps what comes with */
	uint8_t rest[1000];
};

struct flow {
	int from, to;
	struct sockaddr_in address;
	uint32_t size;                       /* bytes of each */
	uint32_t sent, received, bad, early; /* early: comes after a later one */
	uint32_t last;
	nanos first_at, last_at;
	uint8_t count[PACKETS_MAX]; /* how often each came */
	double delay[DELAYS];
};

static struct flow *new_flow(const struct net *net, size_t from, size_t to, uint32_t size)
{
	struct flow *flow = calloc(1, sizeof(*flow));
	int room = 16 << 20, one = 1;

	ck_assert_ptr_nonnull(flow);
	flow->size = size;
	flow->to = stations_bound(&net->stations, to, SOCK_DGRAM, &flow->address);
	flow->from = stations_socket(&net->stations, from, AF_INET, SOCK_DGRAM, 0);
	if (setsockopt(flow->to, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)))
		setsockopt(flow->to, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	ck_assert_int_eq(setsockopt(flow->to, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)), 0);
	return flow;
}

static void free_flow(struct flow *flow)
{
	close(flow->from);
	close(flow->to);
	free(flow);
}

static nanos realtime(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now); /* style: allow */
	return (nanos)now.tv_sec * NANOS_S + now.tv_nsec;
}

/* One that is there; when the kernel got it, or 0. */
static nanos take_one(const struct flow *flow, struct datagram *ret)
{
	union {
		struct cmsghdr head;
		uint8_t bytes[CMSG_SPACE(sizeof(struct timespec))];
	} control;
	struct iovec part = {.iov_base = ret, .iov_len = sizeof(*ret)};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct timespec stamp;
	ssize_t size;

	size = recvmsg(flow->to, &message, MSG_DONTWAIT);
	if (size < 0)
		return 0;
	if (size != (ssize_t)flow->size)
		ret->number = UINT32_MAX;
	ck_assert_ptr_nonnull(CMSG_FIRSTHDR(&message));
	memcpy(&stamp, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(stamp));
	return (nanos)stamp.tv_sec * NANOS_S + stamp.tv_nsec;
}

static uint32_t fill_of(const struct datagram *datagram)
{
	return ~datagram->number ^ (uint32_t)datagram->sent ^ (uint32_t)(datagram->sent >> 32);
}

/* Waits for the first one only as long as `wait`, takes all that are there. */
static bool take(struct flow *flow, nanos wait)
{
	struct pollfd readable = {.fd = flow->to, .events = POLLIN};
	struct datagram datagram = {0};
	bool any = false;
	nanos at;

	if (poll(&readable, 1, (int)(wait / MS)) != 1)
		return false;
	while ((at = take_one(flow, &datagram)) != 0) {
		bool whole = datagram.number < flow->sent && datagram.fill == fill_of(&datagram);

		any = true;
		for (size_t i = 0; i + sizeof(datagram) - sizeof(datagram.rest) < flow->size; i++)
			whole = whole && datagram.rest[i] == 0;
		if (!whole) {
			flow->bad++;
			continue;
		}
		flow->first_at = flow->received ? flow->first_at : at;
		flow->last_at = at;
		flow->early += datagram.number < flow->last;
		flow->last = datagram.number;
		flow->received++;
		flow->count[datagram.number]++;
		if (datagram.number < DELAYS)
			flow->delay[datagram.number] = (double)(at - datagram.sent);
	}
	return any;
}

static void put(struct flow *flow)
{
	struct datagram datagram = {.number = flow->sent, .sent = realtime()};

	datagram.fill = fill_of(&datagram);
	flow->sent++;
	ck_assert_int_eq(sendto(flow->from, &datagram, flow->size, 0,
				(struct sockaddr *)&flow->address, sizeof(flow->address)),
			 flow->size);
}

/* Each address is known to the other: not even the first datagram waits for ARP. */
static void warm_up(struct flow *flow)
{
	char byte;

	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(sendto(flow->from, "", 1, 0, (struct sockaddr *)&flow->address,
					sizeof(flow->address)),
				 1);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(recv(flow->to, &byte, 1, 0), 1);
}

static void send_all(struct flow *flow, uint32_t count)
{
	while (flow->sent < count) {
		for (int i = 0; i < BURST && flow->sent < count; i++)
			put(flow);
		take(flow, MS);
	}
	while (take(flow, QUIET))
		;
}

static void send_one_by_one(struct flow *flow, uint32_t count)
{
	while (flow->sent < count) {
		put(flow);
		take(flow, MS);
		usleep(500);
	}
	while (take(flow, QUIET))
		;
}

#define HEAD (sizeof(struct datagram) - sizeof(((struct datagram *)0)->rest))

/* ---- the tests ---- */

START_TEST(the_probe_says_yes)
{
	struct error e = {0};

	good(user_link_probe(&e), &e);
}
END_TEST

static uint32_t lost_by(const struct flow *flow)
{
	uint32_t lost = 0;

	for (uint32_t i = 0; i < flow->sent; i++)
		lost += flow->count[i] == 0;
	return lost;
}

START_TEST(loss_lies_in_its_interval_and_comes_again)
{
	const struct user_link_rule rule = {
		.match = "udp",
		.direction = IMPAIR_TO,
		.config.loss = {.model = IMPAIR_LOSS_RANDOM, .probability = 0.03},
	};
	static uint8_t first[PACKETS_MAX];
	const double expected = 0.03 * PACKETS_MAX;

	for (int round = 0; round < 3; round++) {
		struct net net;
		struct flow *flow;
		struct impair_counters counters;

		open_net(&net, round < 2 ? SEED : SEED + 1);
		flow = new_flow(&net, 1, 0, HEAD);
		warm_up(flow);
		begin(&net, rule);
		send_all(flow, PACKETS_MAX);
		counters = user_link_counters(net.link, 0, IMPAIR_TO);
		nothing_else_lost(&net);
		ck_assert_uint_eq(counters.seen, PACKETS_MAX);
		ck_assert_uint_eq(counters.dropped[IMPAIR_DROP_LOSS], lost_by(flow));
		ck_assert_uint_eq(flow->received, PACKETS_MAX - lost_by(flow));
		ck_assert_double_eq_tol(lost_by(flow), expected, Z99 * sqrt(expected * 0.97));
		if (round == 0)
			memcpy(first, flow->count, sizeof(first));
		else
			ck_assert_int_eq(memcmp(first, flow->count, sizeof(first)) == 0,
					 round == 1);
		free_flow(flow);
		close_net(&net);
	}
}
END_TEST

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

START_TEST(delays_are_normal)
{
	const struct user_link_rule rule = {
		.match = "udp",
		.direction = IMPAIR_BOTH,
		.config.delay = {.latency = 40 * MS,
				 .jitter = 5 * MS,
				 .distribution = IMPAIR_NORMAL},
	};
	struct net net;
	struct flow *flow;
	double worst = 0;

	open_net(&net, SEED);
	flow = new_flow(&net, 1, 0, HEAD);
	warm_up(flow);
	begin(&net, rule);
	send_one_by_one(flow, DELAYS);
	ck_assert_uint_eq(flow->received, DELAYS);
	ck_assert_uint_gt(flow->early, 0);
	qsort(flow->delay, DELAYS, sizeof(*flow->delay), by_value);
	for (int i = 0; i < DELAYS; i++) {
		double f = stats_normal_cdf((flow->delay[i] - 40e6) / 5e6);

		worst = fmax(worst, fmax(f - (double)i / DELAYS, (i + 1.0) / DELAYS - f));
	}
	fprintf(stderr,
		"delay 40 ms +- 5 ms: median %.3f ms, latest %.0f us late, D sqrt(n) = %.3f\n",
		flow->delay[DELAYS / 2] / 1e6, (double)stats(&net).late_max / 1e3,
		worst * sqrt(DELAYS));
	ck_assert_double_lt(worst * sqrt(DELAYS), KS_1_PERCENT);
	free_flow(flow);
	close_net(&net);
}
END_TEST

/* Does place 1 get through to a port of place 0, or the other way round, within the time? */
static bool connects(const struct net *net, size_t from, size_t to, uint16_t port, nanos wait)
{
	struct sockaddr_in address = stations_address(&net->stations, to, port);
	int listener = stations_socket(&net->stations, to, AF_INET, SOCK_STREAM, 0), one = 1;
	int fd = stations_socket(&net->stations, from, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct pollfd writable = {.fd = fd, .events = POLLOUT};
	bool through;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(listener, 8), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), -1);
	ck_assert_int_eq(errno, EINPROGRESS);
	through = poll(&writable, 1, (int)(wait / MS)) == 1;
	close(fd);
	close(listener);
	return through;
}

START_TEST(a_match_cuts_one_port_alone)
{
	struct user_link_rule rule = {
		.match = "tcp port 8080",
		.direction = IMPAIR_BOTH,
		.config.loss = {.model = IMPAIR_LOSS_RANDOM, .probability = 1},
	};
	struct net net;

	open_net(&net, SEED);
	begin(&net, rule);
	ck_assert(!connects(&net, 1, 0, PORT, 400 * MS));
	ck_assert(!connects(&net, 0, 1, PORT, 400 * MS));
	ck_assert(connects(&net, 1, 0, OTHER_PORT, 3000 * MS));
	ck_assert(connects(&net, 1, 2, PORT, 3000 * MS)); /* not its link */
	ck_assert_uint_gt(user_link_counters(net.link, 0, IMPAIR_TO).dropped[IMPAIR_DROP_LOSS], 0);
	/* One way is enough to cut it off. */
	rule.direction = IMPAIR_FROM;
	change(&net, rule);
	ck_assert(!connects(&net, 1, 0, PORT, 400 * MS));
	rule.config.loss.probability = 0;
	change(&net, rule);
	ck_assert(connects(&net, 1, 0, PORT, 3000 * MS));
	end(&net);
	ck_assert(connects(&net, 1, 0, PORT, 3000 * MS));
	close_net(&net);
}
END_TEST

/* ---- a stream that nothing breaks ---- */

struct stream {
	int ends[2];
	uint64_t sent, received;
	_Atomic bool stop;
	bool wrong;
	pthread_t threads[2];
};

static uint8_t byte_at(uint64_t position)
{
	return (uint8_t)((position * 0x9e3779b97f4a7c15u) >> 56);
}

static void *write_stream(void *self)
{
	struct stream *stream = self;
	static _Thread_local uint8_t bytes[65536];

	while (!stream->stop) {
		ssize_t size;

		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = byte_at(stream->sent + i);
		size = send(stream->ends[0], bytes, sizeof(bytes), MSG_NOSIGNAL);
		if (size <= 0)
			break;
		stream->sent += (uint64_t)size;
	}
	shutdown(stream->ends[0], SHUT_WR);
	return NULL;
}

static void *read_stream(void *self)
{
	struct stream *stream = self;
	static _Thread_local uint8_t bytes[65536];
	ssize_t size;

	while ((size = recv(stream->ends[1], bytes, sizeof(bytes), 0)) > 0) {
		for (ssize_t i = 0; i < size; i++)
			stream->wrong |= bytes[i] != byte_at(stream->received + (uint64_t)i);
		stream->received += (uint64_t)size;
	}
	stream->wrong |= size < 0;
	return NULL;
}

static void start_stream(struct stream *stream, const struct net *net, size_t from, size_t to)
{
	*stream = (struct stream){0};
	stations_connect(&net->stations, from, to, (uint16_t)(9000 + from), stream->ends);
	ck_assert_int_eq(pthread_create(&stream->threads[0], NULL, write_stream, stream), 0);
	ck_assert_int_eq(pthread_create(&stream->threads[1], NULL, read_stream, stream), 0);
}

static void end_stream(struct stream *stream)
{
	stream->stop = true;
	pthread_join(stream->threads[0], NULL);
	pthread_join(stream->threads[1], NULL);
	ck_assert_uint_gt(stream->sent, 0);
	ck_assert_uint_eq(stream->received, stream->sent);
	ck_assert(!stream->wrong);
	close(stream->ends[0]);
	close(stream->ends[1]);
}

START_TEST(streams_survive_begin_change_and_end)
{
	static const struct impair_config configs[] = {
		{.delay = {.latency = 2000000}},
		{.loss = {.model = IMPAIR_LOSS_RANDOM, .probability = 0.01}},
		{.delay = {.latency = 1000000}, .duplicate = 0.05, .corrupt = 0.01},
		{.delay = {.latency = 2000000, .jitter = 500000, .distribution = IMPAIR_PARETO}},
		{.delay = {.latency = 1000000}, .reorder = {.probability = 0.05}},
		{.rate = {.bytes_per_s = 20000000, .limit = 1000000}},
		{.loss = {.model = IMPAIR_LOSS_GEMODEL, .p = 0.002, .r = 0.3, .one_h = 1}},
	};
	const size_t count = sizeof(configs) / sizeof(configs[0]);
	struct stream to, from;
	struct net net;

	open_net(&net, SEED);
	start_stream(&to, &net, 1, 0);
	start_stream(&from, &net, 0, 2);
	for (size_t i = 0; i < 2 * count; i++) {
		begin(&net, (struct user_link_rule){.direction = IMPAIR_BOTH,
						    .config = configs[i % count]});
		usleep(100000);
		change(&net, (struct user_link_rule){.direction = IMPAIR_BOTH,
						     .config = configs[(i + 1) % count]});
		usleep(100000);
		end(&net);
	}
	end_stream(&to);
	end_stream(&from);
	close_net(&net);
}
END_TEST

#define IN_HAND 3 /* frames, in 16 switches */

struct steady {
	struct flow *flow;
	_Atomic bool stop;
};

static void *send_steadily(void *self)
{
	struct steady *steady = self;

	while (!steady->stop && steady->flow->sent < PACKETS_MAX) {
		put(steady->flow);
		put(steady->flow);
		usleep(50);
	}
	return NULL;
}

/* In neither direction, but for a frame that a processor has just looked up the old port for: once
 * in a hundred switches or so. A port that is moved carelessly loses as many each time. */
START_TEST(a_switch_loses_next_to_nothing)
{
	struct steady steady[2] = {0};
	pthread_t threads[2];
	struct net net;

	open_net(&net, SEED);
	for (size_t i = 0; i < 2; i++) {
		steady[i].flow = new_flow(&net, 1 - i, i, HEAD);
		warm_up(steady[i].flow);
		ck_assert_int_eq(pthread_create(&threads[i], NULL, send_steadily, &steady[i]), 0);
	}
	for (int i = 0; i < 8; i++) {
		usleep(30000);
		begin_at(&net, 0, NULL, 0, 0);
		usleep(30000);
		nothing_else_lost(&net);
		end(&net);
	}
	for (size_t i = 0; i < 2; i++) {
		steady[i].stop = true;
		pthread_join(threads[i], NULL);
		while (take(steady[i].flow, QUIET))
			;
		printf("16 switches, %s the machine: %u sent, %u lost, %u too many\n",
		       impair_direction_names[i], steady[i].flow->sent, lost_by(steady[i].flow),
		       steady[i].flow->received - steady[i].flow->sent + lost_by(steady[i].flow));
		ck_assert_uint_le(lost_by(steady[i].flow), IN_HAND);
		ck_assert_uint_lt(steady[i].flow->received, steady[i].flow->sent * 1.1);
		free_flow(steady[i].flow);
	}
	close_net(&net);
}
END_TEST

/* Large frames are judged packet by packet: that many, and the stream is whole. */
START_TEST(a_stream_is_judged_by_the_packet)
{
	const struct user_link_rule rule = {
		.match = "tcp",
		.direction = IMPAIR_TO,
		.config.loss = {.model = IMPAIR_LOSS_RANDOM, .probability = 0.002},
	};
	struct impair_counters counters;
	struct user_link_stats now;
	struct stream stream;
	struct net net;
	double share;

	open_net(&net, SEED);
	begin(&net, rule);
	start_stream(&stream, &net, 1, 0);
	usleep(1000000);
	end_stream(&stream);
	counters = user_link_counters(net.link, 0, IMPAIR_TO);
	now = stats(&net);
	share = (double)counters.dropped[IMPAIR_DROP_LOSS] / (double)counters.seen;
	printf("stream: %.1f MB as %lu packets in %lu frames, loss %.3f %%\n",
	       (double)stream.received / 1e6, (unsigned long)counters.seen,
	       (unsigned long)now.frames[IMPAIR_TO], share * 100);
	ck_assert_uint_ge(counters.seen, stream.received / 1460);
	ck_assert_uint_lt(now.frames[IMPAIR_TO], counters.seen);
	ck_assert_double_eq_tol(share, 0.002, Z99 * sqrt(0.002 * 0.998 / (double)counters.seen));
	close_net(&net);
}
END_TEST

/* The bridge has the address of port m1, as one has that got none of its own. */
static int share_address(void *self, struct error *e)
{
	struct ifreq bridge = {.ifr_name = "site0"}, port = {.ifr_name = "m1"};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;

	(void)self;
	rc = ioctl(fd, SIOCGIFHWADDR, &port);
	bridge.ifr_hwaddr = port.ifr_hwaddr;
	if (rc == 0)
		rc = ioctl(fd, SIOCSIFHWADDR, &bridge);
	close(fd);
	return rc ? error_set(e, ERROR_IO, NO_PLACE, "%s", strerror(errno)) : 0;
}

/* A frame to the router must not end at the port that has the router's address too. Each port in
 * turn, to the other site. */
START_TEST(every_port_reaches_the_router)
{
	struct error e = {0};
	struct net net;

	open_net(&net, SEED);
	good(netns_call(machines_router(net.stations.machines), share_address, NULL, &e), &e);
	for (size_t i = 0; i < 3; i++) {
		begin_at(&net, i, NULL, 0, 0);
		ck_assert(connects(&net, i, 3, PORT, 3000 * MS));
		ck_assert(connects(&net, 3, i, PORT, 3000 * MS));
		end(&net);
		ck_assert(connects(&net, i, 3, PORT, 3000 * MS));
		ck_assert(connects(&net, 3, i, PORT, 3000 * MS));
	}
	close_net(&net);
}
END_TEST

/* ---- the other impairments, by counts ---- */

START_TEST(copies_come_twice)
{
	struct net net;
	struct flow *flow;
	uint32_t twice = 0;
	struct impair_counters counters;

	open_net(&net, SEED);
	flow = new_flow(&net, 1, 0, HEAD);
	warm_up(flow);
	begin(&net, (struct user_link_rule){
			    .match = "udp", .direction = IMPAIR_TO, .config.duplicate = 0.1});
	send_all(flow, 10000);
	for (uint32_t i = 0; i < flow->sent; i++)
		twice += flow->count[i] == 2;
	counters = user_link_counters(net.link, 0, IMPAIR_TO);
	ck_assert_uint_eq(twice, counters.duplicated);
	ck_assert_uint_eq(flow->received, 10000 + counters.duplicated);
	ck_assert_double_eq_tol(twice, 1000, Z99 * sqrt(1000 * 0.9));
	free_flow(flow);
	close_net(&net);
}
END_TEST

/* Row 0: a receiver's kernel finds each flipped bit by a checksum. Row 1: without one in UDP the
 * program sees those in the payload. */
START_TEST(flipped_bits_are_found_or_seen)
{
	struct net net;
	struct flow *flow;
	struct impair_counters counters;
	int off = _i;

	open_net(&net, SEED);
	flow = new_flow(&net, 1, 0, sizeof(struct datagram));
	warm_up(flow);
	ck_assert_int_eq(setsockopt(flow->from, SOL_SOCKET, SO_NO_CHECK, &off, sizeof(off)), 0);
	begin(&net, (struct user_link_rule){
			    .match = "udp", .direction = IMPAIR_TO, .config.corrupt = 0.05});
	send_all(flow, 10000);
	nothing_else_lost(&net);
	counters = user_link_counters(net.link, 0, IMPAIR_TO);
	ck_assert_double_eq_tol((double)counters.corrupted, 500, Z99 * sqrt(500 * 0.95));
	/* 28 of 1044 bytes are headers; of them nobody notices another port of the sender. */
	ck_assert_uint_ge(flow->received, 10000 - counters.corrupted);
	ck_assert_uint_le(flow->received, 10000 - counters.corrupted + (_i == 0 ? 0 : 10));
	if (_i == 0)
		ck_assert_uint_eq(flow->bad, 0);
	else
		ck_assert_uint_gt(flow->bad, counters.corrupted * 9 / 10);
	free_flow(flow);
	close_net(&net);
}
END_TEST

START_TEST(some_overtake)
{
	struct net net;
	struct flow *flow;
	struct impair_counters counters;

	open_net(&net, SEED);
	flow = new_flow(&net, 1, 0, HEAD);
	warm_up(flow);
	begin(&net, (struct user_link_rule){
			    .match = "udp",
			    .direction = IMPAIR_TO,
			    .config = {.delay.latency = 20 * MS, .reorder.probability = 0.1}});
	send_one_by_one(flow, 1000);
	counters = user_link_counters(net.link, 0, IMPAIR_TO);
	ck_assert_uint_eq(flow->received, 1000);
	ck_assert_double_eq_tol((double)counters.reordered, 100, Z99 * sqrt(100 * 0.9));
	ck_assert_uint_eq(counters.delayed, 1000 - counters.reordered);
	ck_assert_uint_gt(flow->early, 50);
	free_flow(flow);
	close_net(&net);
}
END_TEST

START_TEST(a_rate_is_kept)
{
	const uint32_t size = sizeof(struct datagram), count = 1000;
	const double rate = 1000000, wire = size + DATAGRAM_HEADERS;
	struct net net;
	struct flow *flow;
	double took, expected = (count - 1) * wire / rate;

	open_net(&net, SEED);
	flow = new_flow(&net, 1, 0, size);
	warm_up(flow);
	begin(&net,
	      (struct user_link_rule){.match = "udp",
				      .direction = IMPAIR_TO,
				      .config.rate = {.bytes_per_s = 1000000, .limit = 2000000}});
	send_all(flow, count);
	while (flow->received < count && take(flow, 2000 * MS))
		;
	took = (double)(flow->last_at - flow->first_at) / NANOS_S;
	printf("rate 1 MB/s: %u datagrams in %.4f s, asked %.4f s\n", flow->received, took,
	       expected);
	ck_assert_uint_eq(flow->received, count);
	ck_assert_double_eq_tol(took, expected, expected * 0.02);
	free_flow(flow);
	close_net(&net);
}
END_TEST

/* Two on one link: one after the other, each packet meets those that mean it. */
START_TEST(impairments_compose)
{
	const struct user_link_rule rules[] = {
		{.match = "udp", .direction = IMPAIR_TO, .config.delay.latency = 30 * NANOS_MS},
		{.match = "tcp port 8080",
		 .direction = IMPAIR_BOTH,
		 .config.loss = {.model = IMPAIR_LOSS_RANDOM, .probability = 1}},
		{.match = "udp",
		 .direction = IMPAIR_BOTH,
		 .config = {.delay.latency = 20 * NANOS_MS, .mtu = 500}},
	};
	struct net net;
	struct flow *small, *large;

	open_net(&net, SEED);
	small = new_flow(&net, 1, 0, HEAD);
	large = new_flow(&net, 1, 0, sizeof(struct datagram));
	warm_up(small);
	begin_at(&net, 0, rules, 3, 0);
	for (int i = 0; i < 20; i++) {
		put(small);
		put(large);
	}
	while (take(small, QUIET))
		;
	ck_assert_uint_eq(small->received, 20);
	qsort(small->delay, 20, sizeof(*small->delay), by_value);
	ck_assert_double_ge(small->delay[0], 50e6);
	ck_assert_double_lt(small->delay[10], 60e6);
	ck_assert(!take(large, 100 * MS));
	ck_assert_uint_eq(user_link_counters(net.link, 2, IMPAIR_TO).dropped[IMPAIR_DROP_MTU], 20);
	ck_assert(!connects(&net, 1, 0, PORT, 400 * MS));
	ck_assert(connects(&net, 1, 0, OTHER_PORT, 3000 * MS));
	/* What waits at the end goes on. */
	put(small);
	end(&net);
	ck_assert(take(small, QUIET));
	ck_assert_uint_eq(small->received, 21);
	free_flow(small);
	free_flow(large);
	close_net(&net);
}
END_TEST

/* What nftables drops at the port the link does not carry around it. */
START_TEST(hooks_of_the_port_act_as_before)
{
	const char *const port = "m0";
	struct nft_config config = {
		.name = "beside",
		.links = &port,
		.link_count = 1,
		.direction = IMPAIR_FROM,
		.verdict = NFT_DROP,
		.share_ppm = NFT_ALL_PPM,
		.lease = NANOS_MINUTE,
	};
	struct error e = {0};
	struct flow *flow[2];
	struct nft *nft;
	struct net net;

	if (nft_probe(NFT_DROP, true, &e)) {
		printf("skipped: nftables beside a link: %s\n", e.text);
		return;
	}
	open_net(&net, SEED);
	for (size_t i = 0; i < 2; i++) {
		flow[i] = new_flow(&net, 1 - i, i, HEAD);
		warm_up(flow[i]);
	}
	begin_at(&net, 0, NULL, 0, 0);
	for (int i = 0; i < 2; i++) {
		config.direction = i == 0 ? IMPAIR_FROM : IMPAIR_TO;
		good(nft_begin(machines_router(net.stations.machines), &config, &net.stations.arena,
			       &nft, &e),
		     &e);
		put(flow[0]);
		put(flow[1]);
		ck_assert(take(flow[i], QUIET));
		ck_assert(!take(flow[1 - i], 200 * MS));
		good(nft_end(nft, &e), &e);
	}
	put(flow[0]);
	put(flow[1]);
	ck_assert(take(flow[0], QUIET) && take(flow[1], QUIET));
	free_flow(flow[0]);
	free_flow(flow[1]);
	close_net(&net);
}
END_TEST

START_TEST(a_lease_ends_it)
{
	struct user_link_rule rule = {
		.match = "udp",
		.direction = IMPAIR_TO,
		.config.loss = {.model = IMPAIR_LOSS_RANDOM, .probability = 1},
	};
	struct net net;
	struct flow *flow;

	open_net(&net, SEED);
	flow = new_flow(&net, 1, 0, HEAD);
	warm_up(flow);
	begin_at(&net, 0, &rule, 1, 500 * MS);
	for (int i = 0; i < 10; i++) {
		usleep(100000);
		user_link_renew(net.link);
		put(flow);
	}
	ck_assert(!take(flow, MS));
	ck_assert(!stats(&net).lapsed);
	usleep(700000);
	put(flow);
	ck_assert(take(flow, 1000 * MS));
	ck_assert_uint_eq(flow->received, 1);
	ck_assert(stats(&net).lapsed);
	user_link_renew(net.link);
	put(flow);
	ck_assert(take(flow, 1000 * MS));
	change(&net, rule);
	put(flow);
	ck_assert(!take(flow, 200 * MS));
	free_flow(flow);
	close_net(&net);
}
END_TEST

START_TEST(says_what_is_wrong)
{
	struct user_link_rule rule = {.match = "tcp prot 80", .config.duplicate = 0.1};
	struct user_link_config config = {
		.port = "m0", .bridge = "site0", .rules = &rule, .rule_count = 1};
	struct user_link *link;
	struct error e = {0};
	struct net net;

	open_net(&net, SEED);
	ck_assert_int_eq(user_link_begin(net.links, &config, &link, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_USAGE);
	ck_assert_ptr_nonnull(strstr(e.text, "impairment 0: match 'tcp prot 80'"));
	e = (struct error){0};
	rule = (struct user_link_rule){.config.duplicate = 2};
	ck_assert_int_eq(user_link_begin(net.links, &config, &link, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.text, "impairment 0: duplicate must be"));
	e = (struct error){0};
	rule.config.duplicate = 0;
	config.port = "m77";
	ck_assert_int_eq(user_link_begin(net.links, &config, &link, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(e.text, "cannot find 'm77'"));
	e = (struct error){0};
	config.port = "m0";
	config.bridge = "site1";
	ck_assert_int_eq(user_link_begin(net.links, &config, &link, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.text, "take out of its bridge 'm0'"));
	/* All is as it was. */
	ck_assert(connects(&net, 1, 0, PORT, 3000 * MS));
	begin(&net, rule);
	e = (struct error){0};
	config.bridge = "site0";
	ck_assert_int_eq(user_link_begin(net.links, &config, &link, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.text, "m0.far"));
	ck_assert(connects(&net, 1, 0, PORT, 3000 * MS));
	close_net(&net);
}
END_TEST

/* ---- nothing is left ---- */

static size_t interfaces(void)
{
	struct if_nameindex *all = if_nameindex();
	size_t count = 0;

	ck_assert_ptr_nonnull(all);
	while (all[count].if_index)
		count++;
	if_freenameindex(all);
	return count;
}

struct victim {
	char state[sizeof(((struct stations *)0)->state)];
	pid_t guardian;
};

/* Tells when its link works, then waits for its end. */
static void be_killed(int tell)
{
	struct victim victim;
	struct net net;

	open_net(&net, SEED);
	begin(&net,
	      (struct user_link_rule){.direction = IMPAIR_BOTH, .config.delay.latency = NANOS_MS});
	memcpy(victim.state, net.stations.state, sizeof(victim.state));
	victim.guardian = net.stations.guardian.pid;
	if (!connects(&net, 1, 0, PORT, 3 * NANOS_S) ||
	    write(tell, &victim, sizeof(victim)) != sizeof(victim))
		_exit(1);
	for (;;)
		pause();
}

START_TEST(a_kill_leaves_no_device)
{
	size_t before = interfaces();

	for (int i = 0; i < 3; i++) {
		struct victim victim;
		uint64_t start;
		int ends[2], status;
		pid_t pid;

		ck_assert_int_eq(pipe(ends), 0);
		pid = fork();
		if (pid == 0)
			be_killed(ends[1]);
		close(ends[1]);
		ck_assert_int_eq(read(ends[0], &victim, sizeof(victim)), sizeof(victim));
		ck_assert_uint_eq(interfaces(), before);
		start = process_start(victim.guardian);
		ck_assert_int_eq(kill(pid, SIGKILL), 0);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_uint_eq(interfaces(), before);
		ck_assert_uint_eq(if_nametoindex("m0"), 0);
		ck_assert_uint_eq(if_nametoindex("m0.far"), 0);
		/* It ends when all is undone. */
		ck_assert(process_wait(victim.guardian, start, 5 * NANOS_S));
		workplace_remove(victim.state);
		close(ends[0]);
	}
}
END_TEST

/* As somebody who may do nothing: in a user namespace. */
START_TEST(works_without_root)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct net net;
		struct flow *flow;

		if (geteuid() == 0 && (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY) ||
				       prctl(PR_SET_DUMPABLE, 1)))
			_exit(1);
		open_net(&net, SEED);
		flow = new_flow(&net, 1, 0, HEAD);
		warm_up(flow);
		begin(&net, (struct user_link_rule){.match = "udp",
						    .direction = IMPAIR_TO,
						    .config.loss = {.model = IMPAIR_LOSS_RANDOM,
								    .probability = 0.5}});
		send_all(flow, 2000);
		ck_assert_uint_eq(
			user_link_counters(net.link, 0, IMPAIR_TO).dropped[IMPAIR_DROP_LOSS],
			2000 - flow->received);
		ck_assert_double_eq_tol(flow->received, 1000, Z99 * sqrt(500));
		end(&net);
		close_net(&net);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
}
END_TEST

static void add_cases(Suite *suite)
{
	struct error e = {0};

	if (user_link_probe(&e)) {
		printf("skipped: %s\n", e.text);
		exit(EXIT_SUCCESS);
	}
	test_add(suite, "probe", the_probe_says_yes);
	test_add(suite, "loss", loss_lies_in_its_interval_and_comes_again);
	test_add(suite, "delay", delays_are_normal);
	test_add(suite, "match", a_match_cuts_one_port_alone);
	test_add(suite, "streams", streams_survive_begin_change_and_end);
	test_add(suite, "switch", a_switch_loses_next_to_nothing);
	test_add(suite, "packets", a_stream_is_judged_by_the_packet);
	test_add(suite, "router", every_port_reaches_the_router);
	test_add(suite, "duplicate", copies_come_twice);
	test_add_loop(suite, "corrupt", flipped_bits_are_found_or_seen, 2);
	test_add(suite, "reorder", some_overtake);
	test_add(suite, "rate", a_rate_is_kept);
	test_add(suite, "compose", impairments_compose);
	test_add(suite, "hooks", hooks_of_the_port_act_as_before);
	test_add(suite, "lease", a_lease_ends_it);
	test_add(suite, "errors", says_what_is_wrong);
	test_add(suite, "kill", a_kill_leaves_no_device);
	test_add(suite, "user", works_without_root);
}

TEST_MAIN("link", add_cases)
