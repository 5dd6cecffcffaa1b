/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway: every request of an endpoint goes to one of its healthy replicas, and to another one
 * when that does not answer. One thread does everything: the server, the transfers to the replicas,
 * and their health checks.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "sim/minilepton/gateway.h"
#include "sim/minilepton/iolog.h"
#include "sim/minilepton/minilepton.h"
#include "sim/minilepton/record.h"

#define END_PATIENCE (1 * NANOS_S) /* for requests on their way, after SIGTERM */
#define REPLY_MAX (IOLOG_ANSWER_MAX + RECORD_LINE_MAX)

/* One request on its way to a replica; it lives in its request's arena. */
struct flight {
	struct gateway *gateway;
	struct endpoint *endpoint;
	struct http_request *request;
	const char *rest; /* of the URL, behind the address */
	struct backend *tried[ROUTES_RETRIES_MAX + 1];
	size_t tries;
	struct http_transfer transfer;
	char url[GATEWAY_URL_MAX];
	struct flight *next, *previous;
};

/* ---- flights ---- */

static void flight_end(struct flight *flight)
{
	struct gateway *gateway = flight->gateway;

	if (flight->previous)
		flight->previous->next = flight->next;
	else
		gateway->flights = flight->next;
	if (flight->next)
		flight->next->previous = flight->previous;
	gateway->flying--;
	flight->endpoint->outstanding--;
	if (gateway->ending && gateway->flying == 0)
		loop_stop(gateway->loop);
}

static bool try_failed(const struct http_transfer *transfer)
{
	return transfer->outcome != HTTP_REPLIED || transfer->status == 502 ||
	       transfer->status == 503;
}

/* The last try's result is the answer, whatever it is. */
static void flight_answer(struct flight *flight)
{
	struct http_transfer *transfer = &flight->transfer;
	struct http_request *request = flight->request;
	const struct backend *backend = flight->tried[flight->tries - 1];
	const char *type = transfer->reply_type[0] ? transfer->reply_type : NULL;

	if (try_failed(transfer) || transfer->status >= 500)
		flight->endpoint->failed++;
	flight_end(flight);
	http_header_add(request, "X-Replica", backend->id);
	switch (transfer->outcome) {
	case HTTP_REPLIED:
		if (transfer->reply)
			http_answer_taken(request, transfer->status, type, transfer->reply,
					  transfer->reply_size);
		else
			http_answer(request, transfer->status, type, "", 0);
		return;
	case HTTP_TIMED_OUT:
		http_error(request, 504, "replica %s did not answer in time", backend->id);
		break;
	case HTTP_NO_CONNECTION:
		http_error(request, 502, "replica %s cannot be reached", backend->id);
		break;
	case HTTP_BROKEN:
		http_error(request, 502, "replica %s broke off", backend->id);
		break;
	}
	free(transfer->reply);
}

static bool flight_try(struct flight *flight)
{
	const struct routes_endpoint *config = flight->endpoint->config;
	struct http_transfer *transfer = &flight->transfer;
	struct backend *backend;

	/* The routes may have changed since the last try: those in force count. */
	if (!config || flight->tries > config->retries)
		return false;
	backend = gateway_choose(flight->gateway, flight->endpoint, flight->tried, flight->tries);
	if (!backend)
		return false;
	flight->tried[flight->tries++] = backend;
	backend->outstanding++;
	backend->requests++;
	snprintf(flight->url, sizeof(flight->url), "http://%s%s", backend->address, flight->rest);
	transfer->timeout = config->request_timeout;
	transfer->connect_timeout = config->timeout < config->request_timeout
					    ? config->timeout
					    : config->request_timeout;
	http_async_start(flight->gateway->async, transfer);
	return true;
}

static void on_tried(void *self, struct http_transfer *transfer)
{
	struct flight *flight = self;
	struct gateway *gateway = flight->gateway;
	struct backend *backend = flight->tried[flight->tries - 1];
	bool failed = try_failed(transfer);
	char *reply = transfer->reply;

	/* Tried replicas stay counted until the end, so that none of them is freed. */
	backend->failed += failed;
	if (failed && flight_try(flight)) {
		free(reply);
		flight->endpoint->retried++;
		return;
	}
	for (size_t i = 0; i < flight->tries; i++)
		flight->tried[i]->outstanding--;
	flight_answer(flight);
	gateway_sweep(gateway);
}

/* Begins a flight, or answers why not. `rest` is copied. */
static void fly(struct gateway *gateway, struct http_request *request, const char *rest)
{
	struct endpoint *endpoint = gateway_endpoint(gateway, request->parts[0]);
	struct flight *flight;

	if (!endpoint || !endpoint->config) {
		http_error(request, 404, "there is no endpoint %s", request->parts[0]);
		return;
	}
	endpoint->requests++;
	if (gateway->ending || endpoint->outstanding >= endpoint->config->concurrency) {
		endpoint->failed++;
		http_error(request, 503, "%s",
			   gateway->ending ? "the gateway ends" : "too many requests at a time");
		return;
	}
	flight = arena_alloc(&request->arena, sizeof(*flight));
	*flight = (struct flight){.gateway = gateway, .endpoint = endpoint, .request = request};
	flight->rest = arena_strdup(&request->arena, rest);
	flight->transfer.method = request->method;
	flight->transfer.url = flight->url;
	flight->transfer.reply_max = REPLY_MAX;
	flight->transfer.done = on_tried;
	flight->transfer.self = flight;
	if (strcmp(request->method, "POST") == 0) {
		flight->transfer.type = "text/plain";
		flight->transfer.body = request->body;
		flight->transfer.body_size = request->body_size;
	}
	if (!flight_try(flight)) {
		endpoint->failed++;
		http_error(request, 503, "no replica of %s is healthy", endpoint->name);
		return;
	}
	endpoint->outstanding++;
	gateway->flying++;
	flight->next = gateway->flights;
	if (flight->next)
		flight->next->previous = flight;
	gateway->flights = flight;
	http_defer(request);
}

/* ---- calls ---- */

static void on_predict(void *self, struct http_request *request)
{
	fly(self, request, "/predict");
}

static void on_replica_health(void *self, struct http_request *request)
{
	fly(self, request, "/healthz");
}

static void on_records(void *self, struct http_request *request)
{
	uint64_t from = 0, count = IOLOG_ASKED_MAX;
	char rest[96];

	if (http_query_number(request, "from", RECORD_SEQ_MAX, &from) ||
	    http_query_number(request, "count", IOLOG_ASKED_MAX, &count))
		return;
	snprintf(rest, sizeof(rest), "/records?from=%" PRIu64 "&count=%" PRIu64, from, count);
	fly(self, request, rest);
}

static void on_health(void *self, struct http_request *request)
{
	(void)self;
	http_answer(request, 200, "text/plain", "ok\n", 3);
}

static void on_stats(void *self, struct http_request *request)
{
	http_answer_json(request, 200, gateway_stats(self));
}

static void on_routes(void *self, struct http_request *request)
{
	struct gateway *gateway = self;
	struct arena arena = {0};
	struct error e = {0};
	struct routes routes;

	if (routes_parse(request->body, request->body_size, &arena, &routes, &e)) {
		arena_free(&arena);
		http_error(request, 400, "%s", e.text);
		return;
	}
	if (gateway->routed && routes.epoch < gateway->routes.epoch) {
		arena_free(&arena);
		http_error(request, 409, "routes of epoch %" PRIu64 " are in force",
			   gateway->routes.epoch);
		return;
	}
	gateway_route(gateway, &arena, &routes, &e);
	if (e.kind != ERROR_NONE) {
		http_error(request, 500, "%s", e.text);
		return;
	}
	minilepton_say("gateway: routes of epoch %" PRIu64 " are in force", routes.epoch);
	http_answer_json(request, 200, gateway_stats(gateway));
}

static const struct http_route routes[] = {
	{.method = "POST",
	 .pattern = "/*/predict",
	 .handle = on_predict,
	 .body_max = RECORD_LINE_MAX,
	 .open = true},
	{.method = "GET", .pattern = "/healthz", .handle = on_health, .open = true},
	{.method = "GET", .pattern = "/_drsim/stats", .handle = on_stats},
	{.method = "PUT",
	 .pattern = "/_drsim/routes",
	 .handle = on_routes,
	 .body_max = ROUTES_BODY_MAX},
	{.method = "GET", .pattern = "/*/records", .handle = on_records, .open = true},
	{.method = "GET", .pattern = "/*/healthz", .handle = on_replica_health, .open = true},
	{.method = NULL},
};

/* ---- start and end ---- */

struct gateway_options {
	const char *listen, *token;
	uint64_t seed;
};

static const struct options_row rows[] = {
	{"listen", OPTIONS_TEXT, offsetof(struct gateway_options, listen), true, 0, 0, "A:P",
	 "port 0 picks one"},
	{"token", OPTIONS_TEXT, offsetof(struct gateway_options, token), false, 0, 0, "T",
	 "bearer token of /_drsim/"},
	{"seed", OPTIONS_NUMBER, offsetof(struct gateway_options, seed), false, 0, 0, "N",
	 "of the random choices"},
	{.name = NULL},
};

static const struct gateway_options preset = {.listen = NULL};

static void on_end_patience(void *self)
{
	const struct gateway *gateway = self;

	minilepton_say("gateway: %zu requests are given up", gateway->flying);
	loop_stop(gateway->loop);
}

static void on_end(void *self)
{
	struct gateway *gateway = self;

	if (gateway->ending)
		return;
	gateway->ending = true;
	http_server_quiesce(gateway->server);
	loop_timer_set(gateway->loop, &gateway->end_timer, minilepton_now() + END_PATIENCE);
	if (gateway->flying == 0)
		loop_stop(gateway->loop);
}

static void flights_give_up(struct gateway *gateway)
{
	while (gateway->flights) {
		struct flight *flight = gateway->flights;

		http_async_cancel(gateway->async, &flight->transfer);
		for (size_t i = 0; i < flight->tries; i++)
			flight->tried[i]->outstanding--;
		flight_end(flight);
		http_error(flight->request, 503, "the gateway ends");
	}
}

static int serve(struct gateway *gateway, const struct gateway_options *options, struct error *e)
{
	const struct http_config config = {
		.listen = options->listen,
		.token = options->token,
		.routes = routes,
		.self = gateway,
		.threads = HTTP_LOOP,
	};
	int rc;

	if (http_async_open(gateway->loop, &gateway->async, e))
		return -1;
	if (http_server_open(&config, &gateway->server, e)) {
		http_async_close(gateway->async);
		return -1;
	}
	loop_serve(gateway->loop, gateway->server);
	loop_on_end(gateway->loop, on_end, gateway);
	http_server_announce(gateway->server);
	rc = loop_run(gateway->loop, e);
	flights_give_up(gateway);
	loop_timer_clear(gateway->loop, &gateway->end_timer);
	http_server_close(gateway->server);
	gateway_forget(gateway);
	http_async_close(gateway->async);
	return rc;
}

static int gateway_main(const void *given)
{
	const struct gateway_options *options = given;
	struct gateway gateway = {0};
	struct error e = {0};
	int rc;

	gateway.end_timer.fire = on_end_patience;
	gateway.end_timer.self = &gateway;
	prng_open(&gateway.prng, options->seed, 0, 0, PRNG_ROUTE);
	if (loop_open(&gateway.loop, &e))
		return minilepton_fail(&e);
	rc = serve(&gateway, options, &e);
	loop_close(gateway.loop);
	return rc ? minilepton_fail(&e) : MINILEPTON_OK;
}

const struct minilepton_command minilepton_gateway = {
	.name = "gateway",
	.help = "routes requests to healthy replicas by ingress weight and load",
	.rows = rows,
	.preset = &preset,
	.options_size = sizeof(struct gateway_options),
	.main = gateway_main,
};
