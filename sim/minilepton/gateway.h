/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's state: endpoints and replicas that live on from one set of routes to the next. */
#ifndef SIM_MINILEPTON_GATEWAY_H
#define SIM_MINILEPTON_GATEWAY_H

#include <stdbool.h>

#include "core/prng.h"
#include "sim/minilepton/http.h"
#include "sim/minilepton/loop.h"
#include "sim/minilepton/routes.h"

#define GATEWAY_URL_MAX (HTTP_ADDRESS_MAX + 128)
#define GATEWAY_HEALTH_MAX ((size_t)64 << 10) /* of a reply to a health check */

struct gateway;

/* A replica behind the gateway. */
struct backend {
	struct gateway *gateway;
	struct endpoint *endpoint;
	char id[ROUTES_TEXT_MAX + 1], address[ROUTES_TEXT_MAX + 1];
	bool routed; /* the routes in force have it */
	bool healthy, checking;
	uint64_t misses; /* health checks in a row */
	uint64_t requests, failed;
	size_t outstanding;
	nanos checked; /* when the last check began */
	struct loop_timer timer;
	struct http_transfer check;
	char check_url[GATEWAY_URL_MAX];
	struct backend *next; /* of the endpoint */
};

struct deployment {
	const char *name;
	uint64_t weight;
	struct backend **backends;
	size_t count;
};

struct endpoint {
	char name[ROUTES_TEXT_MAX + 1];
	const struct routes_endpoint *config; /* NULL: the routes in force do not have it */
	struct deployment *deployments;
	struct backend *backends; /* also those that are only waited for */
	uint64_t requests, failed, retried;
	size_t outstanding;
	struct endpoint *next;
};

struct gateway {
	struct loop *loop;
	struct http_server *server;
	struct http_async *async;
	struct prng prng;   /* the two random choices, and the deployment by weight */
	bool routed;        /* it has been told routes */
	struct arena arena; /* of the routes in force */
	struct routes routes;
	struct endpoint *endpoints;
	struct flight *flights;
	size_t flying;
	bool ending;
	struct loop_timer end_timer;
};

/* ---- gateway_table.c ---- */

struct endpoint *gateway_endpoint(const struct gateway *gateway, const char *name);
/* Puts routes in force; takes the arena they live in. */
void gateway_route(struct gateway *gateway, struct arena *arena, const struct routes *routes,
		   struct error *e);
/* Frees what the routes in force no longer have and nobody waits for. */
void gateway_sweep(struct gateway *gateway);
void gateway_forget(struct gateway *gateway);
/* A replica for the next try that is none of `tried`; NULL when there is none. */
struct backend *gateway_choose(struct gateway *gateway, const struct endpoint *endpoint,
			       struct backend *const *tried, size_t tried_count);
struct cJSON *gateway_stats(const struct gateway *gateway);

#endif
