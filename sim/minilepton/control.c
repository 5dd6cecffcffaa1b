/* SPDX-License-Identifier: Apache-2.0 */
/* minilepton control: a subset of Lepton's REST API over the nodes, replicas and jobs of a
 * drill. */
#include "sim/minilepton/control.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "core/yaml.h"
#include "sim/minilepton/http.h"
#include "sim/minilepton/minilepton.h"

#define TICK (5 * NANOS_MS)
#define SAVE_WAIT (5 * NANOS_S)   /* a disk that takes longer is told of in the log */
#define STACK ((size_t)256 << 10) /* of a thread that talks to a node */
#define BODY_MAX ((size_t)1 << 20)
#define FILE_MAX ((size_t)64 << 20) /* of an upload */

struct control_options {
	const char *listen, *token, *spec, *gateway, *state, *storage;
};

#define ROW(name) offsetof(struct control_options, name)
static const struct options_row rows[] = {
	{"listen", OPTIONS_TEXT, ROW(listen), true, 0, 0, "A:P", "where the API listens"},
	{"token", OPTIONS_TEXT, ROW(token), true, 0, 0, "T",
	 "bearer token that it asks for, and that it shows to node agents and gateway"},
	{"spec", OPTIONS_TEXT, ROW(spec), true, 0, 0, "FILE", "nodes, deployments, jobs: JSON"},
	{"gateway", OPTIONS_TEXT, ROW(gateway), false, 0, 0, "URL",
	 "the gateway to tell routes to"},
	{"state", OPTIONS_TEXT, ROW(state), false, 0, 0, "FILE",
	 "where the state is kept; the preset is the spec's name with .state"},
	{"storage", OPTIONS_TEXT, ROW(storage), false, 0, 0, "DIR",
	 "folder behind /storage/default"},
	{NULL, OPTIONS_TEXT, 0, false, 0, 0, NULL, NULL},
};
static const struct control_options preset = {0};

/* ---- ticking and saving ---- */

static void drop_deleted(struct control *control)
{
	for (uint32_t d = 0; d < FLEET_DEPLOYMENTS_MAX; d++) {
		struct control_doc *doc = &control->deployments[d];

		if (!doc->used || control->fleet->deployments[d].used)
			continue;
		cJSON_Delete(doc->spec);
		*doc = (struct control_doc){0};
	}
	for (uint32_t j = 0; j < FLEET_JOBS_MAX; j++) {
		struct control_doc *doc = &control->jobs[j];

		if (!doc->used || control->fleet->jobs[j].used)
			continue;
		cJSON_Delete(doc->spec);
		*doc = (struct control_doc){0};
	}
}

void control_changed(struct control *control)
{
	fleet_tick(control->fleet, minilepton_now());
	drop_deleted(control);
	pthread_cond_broadcast(&control->changed);
}

void control_commit(struct control *control)
{
	uint64_t version;
	nanos due = minilepton_now() + SAVE_WAIT;
	struct timespec until = {.tv_sec = (time_t)(due / NANOS_S),
				 .tv_nsec = (long)(due % NANOS_S)};

	control_changed(control);
	version = control->fleet->version;
	while (control->fleet->saved < version && !control->stopping && minilepton_now() < due)
		pthread_cond_timedwait(&control->changed, &control->lock, &until);
}

/* What changed goes to disk before orders that stand on it go out. The lock is held. */
static void save(struct control *control)
{
	uint64_t version = control->fleet->version;
	struct error e = {0};
	char *text;

	if (version == control->fleet->saved)
		return;
	text = control_state_print(control, minilepton_now());
	pthread_mutex_unlock(&control->lock);
	if (!text)
		error_set(&e, ERROR_MEMORY, NO_PLACE, "no memory for the state");
	else if (control_state_write(control->state_path, text, &e) == 0)
		e.kind = ERROR_NONE;
	cJSON_free(text);
	if (e.kind != ERROR_NONE)
		minilepton_say("error: the state is not saved: %s", e.text);
	pthread_mutex_lock(&control->lock);
	if (e.kind != ERROR_NONE)
		return;
	control->fleet->saved = version;
	pthread_cond_broadcast(&control->changed);
}

/* Serves until a signal asks it to end. */
static void serve(struct control *control)
{
	bool ends;

	pthread_mutex_lock(&control->lock);
	do {
		control_changed(control);
		save(control);
		pthread_mutex_unlock(&control->lock);
		ends = minilepton_end_wait(TICK);
		pthread_mutex_lock(&control->lock);
		control->stopping = ends;
	} while (!control->stopping);
	pthread_mutex_unlock(&control->lock);
}

/* ---- the API ---- */

static void healthz(void *self, struct http_request *request)
{
	(void)self;
	http_answer(request, 200, "text/plain", "ok\n", 3);
}

static const struct http_route routes[] = {
	{.method = "GET", .pattern = "/healthz", .handle = healthz, .open = true},
	{.method = "POST",
	 .pattern = "/storage/**",
	 .handle = control_dispatch,
	 .body_max = FILE_MAX},
	{.method = "POST",
	 .pattern = "/api/v2/workspaces/*/storage/**",
	 .handle = control_dispatch,
	 .body_max = FILE_MAX},
	{.method = "GET", .pattern = "/**", .handle = control_dispatch, .body_max = BODY_MAX},
	{.method = "HEAD", .pattern = "/**", .handle = control_dispatch, .body_max = BODY_MAX},
	{.method = "POST", .pattern = "/**", .handle = control_dispatch, .body_max = BODY_MAX},
	{.method = "PUT", .pattern = "/**", .handle = control_dispatch, .body_max = BODY_MAX},
	{.method = "PATCH", .pattern = "/**", .handle = control_dispatch, .body_max = BODY_MAX},
	{.method = "DELETE", .pattern = "/**", .handle = control_dispatch, .body_max = BODY_MAX},
	{.method = NULL},
};

/* ---- beginning and end ---- */

static int load(struct control *control, const char *spec_path, struct error *e)
{
	char *text;
	size_t size;
	nanos now = minilepton_now();

	if (yaml_read_file(spec_path, CONTROL_SPEC_MAX, &control->arena, &text, &size, e))
		return -1;
	if (access(control->state_path, F_OK))
		return control_spec_load(control, text, size, now, e);
	if (control_spec_load_nodes(control, text, size, e) ||
	    yaml_read_file(control->state_path, CONTROL_SPEC_MAX, &control->arena, &text, &size, e))
		return -1;
	minilepton_say("goes on with the state in %s", control->state_path);
	return control_state_load(control, text, size, now, e);
}

static int set_up(struct control *control, const struct control_options *options, struct error *e)
{
	pthread_condattr_t attributes;
	struct timespec wall;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&control->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&control->lock, NULL);
	/* Wall-clock times are for people only; nothing is decided by them. */
	clock_gettime(CLOCK_REALTIME, &wall); /* style: allow */
	control->wall_offset = (nanos)wall.tv_sec * NANOS_S + wall.tv_nsec - minilepton_now();
	control->fleet = arena_alloc(&control->arena, sizeof(*control->fleet));
	control->token = options->token;
	control->gateway_url = options->gateway;
	control->storage = options->storage;
	control->state_path = options->state
				      ? options->state
				      : arena_printf(&control->arena, "%s.state", options->spec);
	control->routes_wanted = 1;
	return load(control, options->spec, e);
}

static int threads_start(struct control *control, struct control_agent *agents,
			 pthread_t *ret_routes, size_t *ret_count, struct error *e)
{
	pthread_attr_t attributes;
	int rc = 0;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK);
	for (uint32_t n = 0; n < control->fleet->node_count && rc == 0; n++) {
		agents[n] = (struct control_agent){.control = control, .node = n};
		rc = pthread_create(&agents[n].thread, &attributes, control_agent_run, &agents[n]);
		*ret_count += rc == 0;
	}
	pthread_attr_destroy(&attributes);
	if (rc == 0 && control->gateway_url)
		rc = pthread_create(ret_routes, NULL, control_routes_run, control);
	if (rc)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "no thread: %s", strerror(rc));
	return 0;
}

static int run(struct control *control, const struct control_options *options, struct error *e)
{
	struct http_config config = {.listen = options->listen,
				     .token = options->token,
				     .routes = routes,
				     .self = control,
				     .threads = HTTP_THREADS};
	struct control_agent *agents =
		arena_array(&control->arena, FLEET_NODES_MAX, sizeof(*agents));
	struct http_server *server;
	pthread_t gateway = 0;
	size_t count = 0;
	int rc;

	if (http_server_open(&config, &server, e))
		return -1;
	http_server_announce(server);
	rc = threads_start(control, agents, &gateway, &count, e);
	if (rc == 0)
		serve(control);
	pthread_mutex_lock(&control->lock);
	control->stopping = true;
	pthread_cond_broadcast(&control->changed);
	pthread_mutex_unlock(&control->lock);
	for (size_t i = 0; i < count; i++)
		pthread_join(agents[i].thread, NULL);
	if (gateway)
		pthread_join(gateway, NULL);
	http_server_close(server);
	return rc;
}

static int control_main(const void *given)
{
	const struct control_options *options = given;
	struct control *control = calloc(1, sizeof(*control));
	struct error e = {0};
	int rc;

	if (!control) {
		error_set(&e, ERROR_MEMORY, NO_PLACE, "no memory for the control plane");
		return minilepton_fail(&e);
	}
	rc = set_up(control, options, &e) || run(control, options, &e) ? -1 : 0;
	control_docs_free(control);
	arena_free(&control->arena);
	free(control);
	return rc ? minilepton_fail(&e) : MINILEPTON_OK;
}

const struct minilepton_command minilepton_control = {
	.name = "control",
	.help = "the control plane: Lepton's API, placement, restarts, ingress weights",
	.rows = rows,
	.preset = &preset,
	.options_size = sizeof(struct control_options),
	.main = control_main,
};
