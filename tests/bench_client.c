/* SPDX-License-Identifier: Apache-2.0 */
/* What the drill's client costs: thousands of requests a second from one thread, against a server
 * in this process, with the processor time of the client's thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "tests/ledger_server.h"

/* The source itself: the time of its thread is read from within. */
#include "drivers/host/client.c"

#define SECONDS 4

static int64_t monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * NANOS_S + now.tv_nsec;
}

static double thread_seconds(pthread_t thread)
{
	struct timespec time;
	clockid_t clock;

	if (pthread_getcpuclockid(thread, &clock) || clock_gettime(clock, &time))
		return NAN;
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void run_rate(double rate)
{
	static const unsigned char digest[32] = {1};
	struct ledger_server *server =
		ledger_server_start(&(struct ledger_server_config){.digest = digest});
	struct client_endpoint_config endpoint = {
		.name = "chat",
		.adapter = {.host = "127.0.0.1",
			    .port = ledger_server_port(server),
			    .path = "/chat/predict",
			    .records_path = "/chat/records",
			    .timeout = NANOS_S},
		.rate = rate,
		.latency_limit = 100 * NANOS_MS,
		.timeout = NANOS_S,
		.payload_bytes = 40.5,
		.expect = client_expect_digest,
		.expect_self = digest,
		.success = 0.99,
		.window = NANOS_S,
	};
	struct client_config config = {.seed = 1,
				       .start = monotonic(),
				       .netns = -1,
				       .endpoints = &endpoint,
				       .endpoint_count = 1};
	struct error e = {0};
	struct client *client;
	struct client_totals totals;
	struct client_window window;
	double used;

	if (client_open(&config, &client, &e) || client_start(client, &e)) {
		fprintf(stderr, "%s\n", e.text);
		exit(1);
	}
	poll(NULL, 0, SECONDS * 1000);
	used = thread_seconds(client->thread);
	client_totals(client, 0, &totals);
	client_window(client, 0, SECONDS * NANOS_S, &window);
	client_stop(client);
	printf("%6.0f/s: %7.0f answered a second, %.2f %% good, p50 %.3f ms, p99 %.3f ms, "
	       "%.1f %% of a core, %.1f us a request, sender late by %.2f ms at most\n",
	       rate, (double)(totals.intended - totals.open) / SECONDS, 100 * window.success,
	       (double)window.p50 * 1e-6, (double)window.p99 * 1e-6, 100 * used / SECONDS,
	       1e6 * used / (double)totals.intended, (double)totals.lag * 1e-6);
	client_free(client);
	ledger_server_stop(server);
}

int main(void)
{
	static const double rates[] = {1000, 3000, 5000};

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
		run_rate(rates[i]);
	return 0;
}
