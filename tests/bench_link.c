/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user-space link beside the bare way (veth, bridge, veth) of the same two machines: TCP
 * throughput, round trip, small requests. Both in turns, medians, ratios.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/linux/link.h"
#include "tests/stations.h"

#define ROUNDS 7
#define STREAM_FOR (700 * NANOS_MS)
#define CHUNK ((size_t)256 << 10)
#define TRIPS 4000
#define REQUESTS 3000
#define REQUEST 200
#define ANSWER 1024
#define PORT 9000

static const double GBIT = 8e-9;

static void must(int rc, const char *what)
{
	if (rc >= 0)
		return;
	perror(what);
	exit(1);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
	qsort(values, count, sizeof(*values), compare);
	return values[count / 2];
}

/* Threads made afterwards are there too. */
static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (cpu < 0 || i == cpu)
			CPU_SET(i, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* ---- a stream ---- */

static void *swallow(void *self)
{
	static char sink[CHUNK];
	int fd = *(int *)self;
	uint64_t *bytes = calloc(1, sizeof(*bytes));
	ssize_t size;

	while ((size = recv(fd, sink, sizeof(sink), 0)) > 0)
		*bytes += (uint64_t)size;
	return bytes;
}

/* Gbit/s. */
static double stream(const struct stations *stations, size_t from, size_t to)
{
	static char source[CHUNK];
	int ends[2];
	pthread_t thread;
	nanos begin, took;
	void *bytes;
	double rate;

	memset(source, 1, sizeof(source));
	stations_connect(stations, from, to, PORT, ends);
	begin = stations_now();
	must(-pthread_create(&thread, NULL, swallow, &ends[1]), "thread");
	while (stations_now() - begin < STREAM_FOR)
		must((int)send(ends[0], source, sizeof(source), 0), "send");
	shutdown(ends[0], SHUT_WR);
	pthread_join(thread, &bytes);
	took = stations_now() - begin;
	rate = (double)*(uint64_t *)bytes / (double)took * NANOS_S * GBIT;
	free(bytes);
	close(ends[0]);
	close(ends[1]);
	return rate;
}

/* ---- round trips ---- */

struct talk {
	int fd;
	size_t ask, answer;
};

static int receive(int fd, size_t size)
{
	static _Thread_local char bytes[ANSWER];

	return recv(fd, bytes, size, MSG_WAITALL) == (ssize_t)size ? 0 : -1;
}

static void *answer(void *self)
{
	static const char bytes[ANSWER];
	const struct talk *talk = self;

	while (receive(talk->fd, talk->ask) == 0)
		must((int)send(talk->fd, bytes, talk->answer, 0), "answer");
	return NULL;
}

/* Median in microseconds of `count` questions and answers over one connection. */
static double talk(const struct stations *stations, size_t ask, size_t reply, size_t count)
{
	static const char bytes[ANSWER];
	static double took[TRIPS];
	int ends[2];
	struct talk other;
	pthread_t thread;

	stations_connect(stations, 0, 1, PORT, ends);
	other = (struct talk){ends[1], ask, reply};
	must(-pthread_create(&thread, NULL, answer, &other), "thread");
	for (size_t i = 0; i < count; i++) {
		nanos begin = stations_now();

		must((int)send(ends[0], bytes, ask, 0), "ask");
		must(receive(ends[0], reply), "receive");
		took[i] = (double)(stations_now() - begin) / 1e3;
	}
	shutdown(ends[0], SHUT_WR);
	pthread_join(thread, NULL);
	close(ends[0]);
	close(ends[1]);
	return median(took, count);
}

/* ---- with and without ---- */

enum {
	TO_IT,
	FROM_IT,
	TRIP,
	HTTP,
	KINDS
};
static const char *const names[KINDS] = {"TCP stream to the machine, Gbit/s",
					 "TCP stream from it, Gbit/s", "round trip of 1 byte, us",
					 "request 200 B, answer 1 KiB, us"};

static double measure(const struct stations *stations, int kind)
{
	switch (kind) {
	case TO_IT:
		return stream(stations, 1, 0);
	case FROM_IT:
		return stream(stations, 0, 1);
	case TRIP:
		return talk(stations, 1, 1, TRIPS);
	case HTTP:
		return talk(stations, REQUEST, ANSWER, REQUESTS);
	}
	return 0;
}

struct row {
	const char *name;
	struct user_link_rule rule;
	bool streams_only;
};

static void run(const struct stations *stations, const struct row *row)
{
	const struct user_link_config config = {
		.port = "m0", .bridge = "site0", .rules = &row->rule, .rule_count = 1};
	double with[KINDS][ROUNDS], without[KINDS][ROUNDS];
	struct error e = {0};

	for (int round = 0; round < ROUNDS; round++)
		for (int kind = 0; kind < (row->streams_only ? TRIP : KINDS); kind++) {
			struct user_links *links;
			struct user_link *link;

			/* A round trip on one processor: waking another one that sleeps would
			 * cost more than all that is measured. */
			pin(kind >= TRIP ? 0 : -1);
			without[kind][round] = measure(stations, kind);
			if (user_links_open(machines_router(stations->machines), 1, &links, &e) ||
			    user_link_begin(links, &config, &link, &e)) {
				fprintf(stderr, "%s\n", e.text);
				exit(1);
			}
			with[kind][round] = measure(stations, kind);
			user_links_close(links);
		}
	printf("%s\n", row->name);
	for (int kind = 0; kind < (row->streams_only ? TRIP : KINDS); kind++) {
		double a = median(with[kind], ROUNDS), b = median(without[kind], ROUNDS);

		printf("  %-34s link %7.2f, bare %7.2f, ratio %.2f\n", names[kind], a, b, a / b);
	}
}

int main(void)
{
	static const struct row rows[] = {
		{"nothing to do", {.direction = IMPAIR_BOTH}, false},
		{"delay of 1 ms each way",
		 {.direction = IMPAIR_BOTH, .config = {.delay = {.latency = NANOS_MS}}},
		 true},
		{"delay of 1 ms and jitter of 0.1 ms: each packet alone",
		 {.direction = IMPAIR_BOTH,
		  .config = {.delay = {.latency = NANOS_MS,
				       .jitter = NANOS_MS / 10,
				       .distribution = IMPAIR_NORMAL}}},
		 true},
		{"loss of 0.1 %, packet by packet",
		 {.direction = IMPAIR_BOTH,
		  .config = {.loss = {.model = IMPAIR_LOSS_RANDOM, .probability = 0.001}}},
		 true},
		{"a match and nothing to do",
		 {.match = "tcp port 8080",
		  .direction = IMPAIR_BOTH,
		  .config = {.loss = {.model = IMPAIR_LOSS_RANDOM, .probability = 1}}},
		 false},
	};
	struct stations stations;
	struct error e = {0};
	const char *why;

	if (user_link_probe(&e)) {
		printf("skipped: %s\n", e.text);
		return 0;
	}
	why = stations_open(&stations, "bench", 2);
	if (why) {
		printf("skipped: %s\n", why);
		return 0;
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		run(&stations, &rows[i]);
	stations_close(&stations);
	return 0;
}
