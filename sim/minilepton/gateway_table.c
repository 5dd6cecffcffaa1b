/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's table: puts routes in force, checks the health of replicas, chooses among them. */
#include <assert.h>
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/lepton.h"
#include "sim/minilepton/gateway.h"
#include "sim/minilepton/minilepton.h"

/* ---- health ---- */

static void check_start(void *self)
{
	struct backend *backend = self;
	const struct routes_endpoint *config = backend->endpoint->config;

	backend->checked = minilepton_now();
	backend->checking = true;
	backend->check.timeout = config->timeout;
	backend->check.connect_timeout = config->timeout;
	http_async_start(backend->gateway->async, &backend->check);
}

static void checked(struct backend *backend, bool good)
{
	uint64_t limit = backend->endpoint->config->misses;

	backend->misses = good ? 0 : backend->misses + 1;
	if (good && !backend->healthy) {
		backend->healthy = true;
		minilepton_say("gateway: %s at %s is in", backend->id, backend->address);
	} else if (backend->healthy && backend->misses >= limit) {
		backend->healthy = false;
		minilepton_say("gateway: %s at %s is out: %llu health checks failed", backend->id,
			       backend->address, (unsigned long long)limit);
	}
}

static void on_checked(void *self, struct http_transfer *transfer)
{
	struct backend *backend = self;
	nanos now = minilepton_now(), next;

	free(transfer->reply);
	transfer->reply = NULL;
	backend->checking = false;
	if (!backend->routed)
		return;
	checked(backend, transfer->outcome == HTTP_REPLIED && transfer->status == 200);
	next = backend->checked + backend->endpoint->config->interval;
	loop_timer_set(backend->gateway->loop, &backend->timer, next > now ? next : now);
}

/* ---- endpoints and backends ---- */

struct endpoint *gateway_endpoint(const struct gateway *gateway, const char *name)
{
	for (struct endpoint *at = gateway->endpoints; at; at = at->next)
		if (strcmp(at->name, name) == 0)
			return at;
	return NULL;
}

static struct endpoint *endpoint_make(struct gateway *gateway, const char *name, struct error *e)
{
	struct endpoint *endpoint = gateway_endpoint(gateway, name);

	if (endpoint)
		return endpoint;
	endpoint = calloc(1, sizeof(*endpoint));
	if (!endpoint) {
		error_set(e, ERROR_MEMORY, NO_PLACE, "no memory for an endpoint");
		return NULL;
	}
	snprintf(endpoint->name, sizeof(endpoint->name), "%s", name);
	endpoint->next = gateway->endpoints;
	gateway->endpoints = endpoint;
	return endpoint;
}

static struct backend *backend_make(struct gateway *gateway, struct endpoint *endpoint,
				    const struct routes_replica *replica, struct error *e)
{
	struct backend *backend;

	/* The same replica at another address is another one: its health is not known yet. */
	for (backend = endpoint->backends; backend; backend = backend->next)
		if (strcmp(backend->id, replica->id) == 0 &&
		    strcmp(backend->address, replica->address) == 0)
			return backend;
	backend = calloc(1, sizeof(*backend));
	if (!backend) {
		error_set(e, ERROR_MEMORY, NO_PLACE, "no memory for a replica");
		return NULL;
	}
	backend->gateway = gateway;
	backend->endpoint = endpoint;
	snprintf(backend->id, sizeof(backend->id), "%s", replica->id);
	snprintf(backend->address, sizeof(backend->address), "%s", replica->address);
	snprintf(backend->check_url, sizeof(backend->check_url), "http://%s/healthz",
		 replica->address);
	backend->timer.fire = check_start;
	backend->timer.self = backend;
	backend->check = (struct http_transfer){.method = "GET",
						.url = backend->check_url,
						.reply_max = GATEWAY_HEALTH_MAX,
						.done = on_checked,
						.self = backend};
	backend->next = endpoint->backends;
	endpoint->backends = backend;
	return backend;
}

static int deployment_route(struct gateway *gateway, struct endpoint *endpoint,
			    struct deployment *deployment, const struct routes_deployment *config,
			    struct error *e)
{
	deployment->name = config->name;
	deployment->weight = config->weight;
	deployment->backends =
		arena_array(&gateway->arena, config->replica_count, sizeof(struct backend *));
	for (size_t i = 0; i < config->replica_count; i++) {
		struct backend *backend = backend_make(gateway, endpoint, &config->replicas[i], e);

		if (!backend)
			return -1;
		deployment->backends[deployment->count++] = backend;
		backend->routed = true;
		if (!backend->checking && backend->timer.slot == 0)
			loop_timer_set(gateway->loop, &backend->timer, minilepton_now());
	}
	return 0;
}

static int endpoint_route(struct gateway *gateway, const struct routes_endpoint *config,
			  struct error *e)
{
	struct endpoint *endpoint = endpoint_make(gateway, config->name, e);

	if (!endpoint)
		return -1;
	endpoint->config = config;
	endpoint->deployments = arena_array(&gateway->arena, config->deployment_count,
					    sizeof(*endpoint->deployments));
	for (size_t i = 0; i < config->deployment_count; i++)
		if (deployment_route(gateway, endpoint, &endpoint->deployments[i],
				     &config->deployments[i], e))
			return -1;
	return 0;
}

/* Nothing of the routes in force is used after this. */
static void unroute(struct gateway *gateway)
{
	for (struct endpoint *endpoint = gateway->endpoints; endpoint; endpoint = endpoint->next) {
		endpoint->config = NULL;
		endpoint->deployments = NULL;
		for (struct backend *at = endpoint->backends; at; at = at->next)
			at->routed = false;
	}
}

void gateway_sweep(struct gateway *gateway)
{
	for (struct endpoint **link = &gateway->endpoints; *link;) {
		struct endpoint *endpoint = *link;

		for (struct backend **place = &endpoint->backends; *place;) {
			struct backend *backend = *place;

			if (backend->routed || backend->outstanding > 0) {
				place = &backend->next;
				continue;
			}
			loop_timer_clear(gateway->loop, &backend->timer);
			http_async_cancel(gateway->async, &backend->check);
			*place = backend->next;
			free(backend);
		}
		if (endpoint->config || endpoint->outstanding > 0 || endpoint->backends) {
			link = &endpoint->next;
			continue;
		}
		*link = endpoint->next;
		free(endpoint);
	}
}

void gateway_route(struct gateway *gateway, struct arena *arena, const struct routes *routes,
		   struct error *e)
{
	struct arena old = gateway->arena;
	int rc = 0;

	unroute(gateway);
	gateway->arena = *arena;
	gateway->routes = *routes;
	gateway->routed = true;
	for (size_t i = 0; i < routes->endpoint_count && rc == 0; i++)
		rc = endpoint_route(gateway, &gateway->routes.endpoints[i], e);
	/* Those that are out now but still answer someone are no longer checked. */
	for (struct endpoint *endpoint = gateway->endpoints; endpoint; endpoint = endpoint->next)
		for (struct backend *at = endpoint->backends; at; at = at->next)
			if (!at->routed) {
				loop_timer_clear(gateway->loop, &at->timer);
				http_async_cancel(gateway->async, &at->check);
				at->checking = false;
			}
	gateway_sweep(gateway);
	arena_free(&old);
}

void gateway_forget(struct gateway *gateway)
{
	unroute(gateway);
	gateway_sweep(gateway);
	arena_free(&gateway->arena);
}

/* ---- the choice ---- */

static bool usable(const struct backend *backend, struct backend *const *tried, size_t count)
{
	if (!backend->healthy)
		return false;
	for (size_t i = 0; i < count; i++)
		if (tried[i] == backend)
			return false;
	return true;
}

static size_t usable_count(const struct deployment *deployment, struct backend *const *tried,
			   size_t count)
{
	size_t found = 0;

	for (size_t i = 0; i < deployment->count; i++)
		found += usable(deployment->backends[i], tried, count);
	return found;
}

/* The usable one of number `at`. */
static struct backend *usable_at(const struct deployment *deployment, struct backend *const *tried,
				 size_t count, uint64_t at)
{
	for (size_t i = 0; i < deployment->count; i++)
		if (usable(deployment->backends[i], tried, count) && at-- == 0)
			return deployment->backends[i];
	assert(false);
	return NULL;
}

/* The less busy of two random ones of `count` usable. */
static struct backend *less_busy(struct gateway *gateway, const struct deployment *deployment,
				 size_t count, struct backend *const *tried, size_t tried_count)
{
	uint64_t first = prng_below(&gateway->prng, count), second;
	struct backend *pair[2];

	pair[0] = usable_at(deployment, tried, tried_count, first);
	if (count == 1)
		return pair[0];
	second = prng_below(&gateway->prng, count - 1);
	second += second >= first;
	pair[1] = usable_at(deployment, tried, tried_count, second);
	return pair[lepton_route(0, (uint32_t)pair[0]->outstanding, 1,
				 (uint32_t)pair[1]->outstanding)];
}

struct backend *gateway_choose(struct gateway *gateway, const struct endpoint *endpoint,
			       struct backend *const *tried, size_t tried_count)
{
	const struct deployment *all = endpoint->deployments;
	size_t counts[ROUTES_DEPLOYMENTS_MAX] = {0}, deployments, i;
	uint64_t weights[ROUTES_DEPLOYMENTS_MAX] = {0}, total = 0, drawn;

	deployments = endpoint->config ? endpoint->config->deployment_count : 0;
	for (i = 0; i < deployments; i++) {
		counts[i] = usable_count(&all[i], tried, tried_count);
		weights[i] = counts[i] > 0 ? all[i].weight : 0;
		total += weights[i];
	}
	if (total == 0)
		return NULL;
	drawn = prng_below(&gateway->prng, total);
	for (i = 0; drawn >= weights[i]; i++)
		drawn -= weights[i];
	return less_busy(gateway, &all[i], counts[i], tried, tried_count);
}

/* ---- statistics ---- */

static cJSON *backend_stats(const struct backend *backend)
{
	cJSON *json = cJSON_CreateObject();

	cJSON_AddStringToObject(json, "id", backend->id);
	cJSON_AddStringToObject(json, "address", backend->address);
	cJSON_AddBoolToObject(json, "healthy", backend->healthy);
	cJSON_AddNumberToObject(json, "requests", (double)backend->requests);
	cJSON_AddNumberToObject(json, "failed", (double)backend->failed);
	cJSON_AddNumberToObject(json, "outstanding", (double)backend->outstanding);
	return json;
}

static cJSON *endpoint_stats(const struct endpoint *endpoint)
{
	cJSON *json = cJSON_CreateObject(), *list = cJSON_CreateArray();
	size_t healthy = 0, replicas = 0;

	for (size_t i = 0; i < endpoint->config->deployment_count; i++) {
		const struct deployment *deployment = &endpoint->deployments[i];
		cJSON *item = cJSON_CreateObject(), *backends = cJSON_CreateArray();

		for (size_t j = 0; j < deployment->count; j++) {
			healthy += deployment->backends[j]->healthy;
			replicas++;
			cJSON_AddItemToArray(backends, backend_stats(deployment->backends[j]));
		}
		cJSON_AddStringToObject(item, "name", deployment->name);
		cJSON_AddNumberToObject(item, "weight", (double)deployment->weight);
		cJSON_AddItemToObject(item, "replicas", backends);
		cJSON_AddItemToArray(list, item);
	}
	cJSON_AddStringToObject(json, "name", endpoint->name);
	cJSON_AddNumberToObject(json, "healthy", (double)healthy);
	cJSON_AddNumberToObject(json, "replicas", (double)replicas);
	cJSON_AddNumberToObject(json, "requests", (double)endpoint->requests);
	cJSON_AddNumberToObject(json, "failed", (double)endpoint->failed);
	cJSON_AddNumberToObject(json, "retried", (double)endpoint->retried);
	cJSON_AddNumberToObject(json, "outstanding", (double)endpoint->outstanding);
	cJSON_AddItemToObject(json, "deployments", list);
	return json;
}

struct cJSON *gateway_stats(const struct gateway *gateway)
{
	cJSON *json = cJSON_CreateObject(), *list = cJSON_CreateArray();

	for (size_t i = 0; i < gateway->routes.endpoint_count; i++) {
		const struct endpoint *endpoint =
			gateway_endpoint(gateway, gateway->routes.endpoints[i].name);

		if (endpoint && endpoint->config)
			cJSON_AddItemToArray(list, endpoint_stats(endpoint));
	}
	if (gateway->routed)
		cJSON_AddNumberToObject(json, "epoch", (double)gateway->routes.epoch);
	else
		cJSON_AddNullToObject(json, "epoch");
	cJSON_AddItemToObject(json, "endpoints", list);
	return json;
}
