/* SPDX-License-Identifier: Apache-2.0 */
/* One thread for each node: carries out orders through its agent, asks it what runs there, and asks
 * replicas whether they are ready. A node that hangs holds up nobody else. */
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "sim/minilepton/control.h"
#include "sim/minilepton/http.h"
#include "sim/minilepton/minilepton.h"

#define ORDERS_MAX 64
#define PROCESSES_MAX 1024          /* of one node */
#define STOP_PATIENCE (5 * NANOS_S) /* agents kill what has not ended after 2 s */
#define URL_MAX 256

struct talk {
	struct control *control;
	uint32_t node;
	char agent[FLEET_ADDRESS_MAX];
	struct http_client *client;
	nanos poll, timeout;
	struct fleet_process *processes; /* PROCESSES_MAX */
	struct arena arena;
};

/* ---- orders ---- */

static int call(struct talk *talk, const char *method, const char *path, const cJSON *body,
		nanos timeout, int *ret_status, cJSON **ret_json)
{
	struct error e = {0};
	char url[URL_MAX];
	struct http_call http = {
		.method = method, .url = url, .token = talk->control->token, .timeout = timeout};

	snprintf(url, sizeof(url), "http://%s%s", talk->agent, path);
	return http_call_json(talk->client, &http, body, ret_status, ret_json, &e);
}

static void tell_refusal(const cJSON *json, int status, char why[FLEET_MESSAGE_MAX])
{
	const cJSON *message = cJSON_GetObjectItemCaseSensitive(json, "message");

	snprintf(why, FLEET_MESSAGE_MAX, "%.180s",
		 cJSON_IsString(message) ? message->valuestring : "the node refuses to start it");
	minilepton_say("a start is refused with %d: %s", status, why);
}

static bool start(struct talk *talk, const struct fleet_order *order)
{
	struct control *control = talk->control;
	char why[FLEET_MESSAGE_MAX] = "";
	cJSON *body = NULL, *reply = NULL;
	struct error e = {0};
	int status = 0, rc = -1;
	bool done;

	pthread_mutex_lock(&control->lock);
	if (control->fleet->units[order->unit].version == order->version &&
	    control->fleet->units[order->unit].node == talk->node)
		rc = control_command(control, &control->fleet->units[order->unit], &body, &e);
	pthread_mutex_unlock(&control->lock);
	if (rc == 0)
		rc = call(talk, "POST", "/_drsim/processes", body, talk->timeout, &status, &reply);
	else if (e.kind != ERROR_NONE)
		snprintf(why, sizeof(why), "%.200s", e.text);
	if (rc == 0 && status >= 400 && status < 500 && status != 409)
		tell_refusal(reply, status, why);
	cJSON_Delete(body);
	cJSON_Delete(reply);
	done = rc == 0 && (status == 201 || status == 200 || status == 409);
	pthread_mutex_lock(&control->lock);
	if (why[0])
		fleet_refused(control->fleet, talk->node, order, why, minilepton_now());
	else if (done)
		fleet_done(control->fleet, talk->node, order, minilepton_now());
	pthread_mutex_unlock(&control->lock);
	return done || why[0];
}

static bool stop(struct talk *talk, const struct fleet_order *order)
{
	struct control *control = talk->control;
	char path[URL_MAX];
	int status = 0;

	snprintf(path, sizeof(path), "/_drsim/processes/%s?signal=%d", order->id,
		 order->kind == ORDER_END_GHOST ? 9 : 15);
	if (call(talk, "DELETE", path, NULL, STOP_PATIENCE, &status, NULL) ||
	    (status != 200 && status != 404))
		return false;
	if (order->kind == ORDER_END_GHOST)
		return true; /* the next report shows that it is gone */
	pthread_mutex_lock(&control->lock);
	fleet_done(control->fleet, talk->node, order, minilepton_now());
	pthread_mutex_unlock(&control->lock);
	return true;
}

static bool carry_out(struct talk *talk, const struct fleet_order *orders, size_t count)
{
	bool all = true;

	for (size_t i = 0; i < count; i++) {
		switch (orders[i].kind) {
		case ORDER_START:
			all &= start(talk, &orders[i]);
			break;
		case ORDER_STOP:
		case ORDER_END_GHOST:
			all &= stop(talk, &orders[i]);
			break;
		}
	}
	return all;
}

/* ---- reports ---- */

static int whole(const cJSON *item, const char *name, int preset)
{
	const cJSON *number = cJSON_GetObjectItemCaseSensitive(item, name);

	if (!cJSON_IsNumber(number) || number->valuedouble < 0 || number->valuedouble > INT32_MAX)
		return preset;
	return (int)number->valuedouble;
}

static void copy_text(const cJSON *item, const char *name, char *out, size_t room)
{
	const cJSON *text = cJSON_GetObjectItemCaseSensitive(item, name);

	snprintf(out, room, "%s", cJSON_IsString(text) ? text->valuestring : "");
}

static size_t read_processes(const cJSON *json, struct fleet_process *processes)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "processes"), *item;
	size_t count = 0;

	cJSON_ArrayForEach (item, list) {
		struct fleet_process *process = &processes[count];
		char state[16];

		if (count == PROCESSES_MAX)
			break; /* an agent starts no more than that */
		*process = (struct fleet_process){.pid = whole(item, "pid", 0),
						  .starts = (uint32_t)whole(item, "starts", 0),
						  .exit_code = whole(item, "exit_code", 255),
						  .signal = whole(item, "signal", -1)};
		copy_text(item, "id", process->id, sizeof(process->id));
		copy_text(item, "reason", process->reason, sizeof(process->reason));
		copy_text(item, "state", state, sizeof(state));
		process->running = strcmp(state, "exited") != 0;
		if (process->exit_code > 255)
			process->exit_code = 255;
		if (process->signal > 127)
			process->signal = 127;
		count++;
	}
	return count;
}

static uint64_t read_gone(const cJSON *json)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "gpus"), *item;
	uint64_t gone = 0;

	cJSON_ArrayForEach (item, list) {
		int index = whole(item, "index", FLEET_GPUS_MAX);

		if (index < FLEET_GPUS_MAX &&
		    cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(item, "present")))
			gone |= (uint64_t)1 << index;
	}
	return gone;
}

static bool ask_agent(struct talk *talk)
{
	struct control *control = talk->control;
	cJSON *json = NULL;
	int status = 0, rc;
	uint64_t gone = 0;
	size_t count = 0;

	rc = call(talk, "GET", "/_drsim/node", NULL, talk->timeout, &status, &json);
	if (rc == 0 && status == 200 && json) {
		count = read_processes(json, talk->processes);
		gone = read_gone(json);
	} else {
		rc = -1;
	}
	cJSON_Delete(json);
	pthread_mutex_lock(&control->lock);
	if (rc == 0)
		fleet_report(control->fleet, talk->node, gone, talk->processes, count,
			     minilepton_now());
	else
		fleet_silent(control->fleet, talk->node, minilepton_now());
	control_changed(control);
	pthread_mutex_unlock(&control->lock);
	return rc == 0;
}

/* ---- readiness ---- */

static void ask_unit(struct talk *talk, uint32_t u, const char *address, uint64_t version,
		     uint32_t starts)
{
	struct control *control = talk->control;
	char url[URL_MAX];
	struct http_call http = {.method = "GET", .url = url, .timeout = talk->timeout};
	struct http_reply reply = {0};
	struct error e = {0};
	const struct unit *unit;
	bool ready;

	snprintf(url, sizeof(url), "http://%s/healthz", address);
	arena_reset(&talk->arena);
	ready = http_call(talk->client, &http, &talk->arena, &reply, &e) == 0 &&
		reply.status == 200;
	pthread_mutex_lock(&control->lock);
	unit = &control->fleet->units[u];
	if (unit->version == version && unit->node == talk->node && unit->starts == starts) {
		fleet_ready(control->fleet, u, ready, minilepton_now());
		control_changed(control);
	}
	pthread_mutex_unlock(&control->lock);
}

struct asked {
	uint32_t unit, starts;
	uint64_t version;
	char address[FLEET_ADDRESS_MAX];
};

static void ask_units(struct talk *talk)
{
	struct control *control = talk->control;
	struct asked asked[FLEET_GPUS_MAX];
	size_t count = 0;

	pthread_mutex_lock(&control->lock);
	for (uint32_t u = 0; u < control->fleet->unit_count && count < FLEET_GPUS_MAX; u++) {
		const struct unit *unit = &control->fleet->units[u];

		if (unit->phase != UNIT_RUNNING || unit->node != talk->node)
			continue;
		asked[count].unit = u;
		asked[count].starts = unit->starts;
		asked[count].version = unit->version;
		control_address(control->fleet, unit, asked[count++].address);
	}
	pthread_mutex_unlock(&control->lock);
	for (size_t i = 0; i < count; i++)
		ask_unit(talk, asked[i].unit, asked[i].address, asked[i].version, asked[i].starts);
}

/* ---- the thread ---- */

static void deadline(nanos when, struct timespec *ret)
{
	ret->tv_sec = (time_t)(when / NANOS_S);
	ret->tv_nsec = (long)(when % NANOS_S);
}

/* Until there are orders, or the next poll is due. An agent that did not do the last ones is not
 * hurried. false: the program ends. */
static bool wait_orders(struct talk *talk, nanos due, bool hurry, struct fleet_order *orders,
			size_t *ret_count)
{
	struct control *control = talk->control;
	struct timespec until;
	bool on;

	deadline(due, &until);
	pthread_mutex_lock(&control->lock);
	for (;;) {
		on = !control->stopping;
		*ret_count = on ? fleet_orders(control->fleet, talk->node, orders, ORDERS_MAX) : 0;
		if (!on || (hurry && *ret_count) || minilepton_now() >= due)
			break;
		pthread_cond_timedwait(&control->changed, &control->lock, &until);
	}
	pthread_mutex_unlock(&control->lock);
	return on;
}

void *control_agent_run(void *self)
{
	struct control_agent *agent = self;
	struct control *control = agent->control;
	struct fleet_order orders[ORDERS_MAX];
	struct talk talk = {.control = control, .node = agent->node};
	struct error e = {0};
	nanos due = 0;
	bool hurry = true;
	size_t count;

	memcpy(talk.agent, control->fleet->nodes[agent->node].agent, sizeof(talk.agent));
	talk.poll = control->settings.poll;
	talk.timeout = control->settings.poll_timeout;
	talk.processes = arena_array(&talk.arena, PROCESSES_MAX, sizeof(*talk.processes));
	if (http_client_open(&talk.client, &e)) {
		minilepton_say("error: %s", e.text);
		arena_free(&talk.arena);
		return NULL;
	}
	while (wait_orders(&talk, due, hurry, orders, &count)) {
		due = minilepton_now() + talk.poll;
		hurry = carry_out(&talk, orders, count);
		if (ask_agent(&talk))
			ask_units(&talk);
		else
			hurry = false;
	}
	http_client_close(talk.client);
	arena_free(&talk.arena);
	return NULL;
}
