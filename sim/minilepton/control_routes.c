/* SPDX-License-Identifier: Apache-2.0 */
/* One thread tells the gateway its routes: at once after a change, and now and then so that a
 * gateway that was started again has them, too. */
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "sim/minilepton/control.h"
#include "sim/minilepton/http.h"
#include "sim/minilepton/minilepton.h"

#define AGAIN (500 * NANOS_MS)
#define TIMEOUT (2 * NANOS_S)
#define EPOCH_STEP 1000 /* past a gateway that knows a later epoch than we do */

struct routes {
	struct control *control;
	struct http_client *client;
	char *told; /* the last routes that the gateway took, for cJSON_free() */
	char url[FLEET_PATH_MAX];
};

static int put(struct routes *routes, const cJSON *json, int *ret_status)
{
	struct http_call call = {.method = "PUT",
				 .url = routes->url,
				 .token = routes->control->token,
				 .timeout = TIMEOUT};
	struct error e = {0};

	return http_call_json(routes->client, &call, json, ret_status, NULL, &e);
}

/* Says all routes; an epoch is used once for each state of them. */
static bool say(struct routes *routes, cJSON *json, uint64_t serial)
{
	struct control *control = routes->control;
	char *text = cJSON_PrintUnformatted(json);
	uint64_t epoch;
	int status = 0;
	bool done;

	pthread_mutex_lock(&control->lock);
	if (!routes->told || !text || strcmp(routes->told, text) != 0)
		control->routes_epoch++;
	epoch = control->routes_epoch;
	pthread_mutex_unlock(&control->lock);
	cJSON_AddNumberToObject(json, "epoch", (double)epoch);
	done = put(routes, json, &status) == 0 && status == 200;
	pthread_mutex_lock(&control->lock);
	if (done && control->routes_pushed < serial)
		control->routes_pushed = serial;
	if (status == 409)
		control->routes_epoch += EPOCH_STEP;
	if (done) {
		cJSON_free(routes->told);
		routes->told = text;
		pthread_cond_broadcast(&control->changed);
	} else {
		cJSON_free(text);
	}
	pthread_mutex_unlock(&control->lock);
	return done;
}

static bool differs(const struct routes *routes, const cJSON *json)
{
	char *text = cJSON_PrintUnformatted(json);
	bool result = !routes->told || !text || strcmp(routes->told, text) != 0;

	cJSON_free(text);
	return result;
}

/* Until the routes change or `due` has come; NULL: the program ends. */
static cJSON *wait_change(struct routes *routes, nanos due, uint64_t *ret_serial)
{
	struct control *control = routes->control;
	struct timespec until = {.tv_sec = (time_t)(due / NANOS_S),
				 .tv_nsec = (long)(due % NANOS_S)};
	cJSON *json = NULL;

	pthread_mutex_lock(&control->lock);
	while (!control->stopping) {
		json = control_routes_json(control);
		*ret_serial = control->routes_wanted;
		if (minilepton_now() >= due || control->routes_pushed < control->routes_wanted ||
		    differs(routes, json))
			break;
		cJSON_Delete(json);
		json = NULL;
		pthread_cond_timedwait(&control->changed, &control->lock, &until);
	}
	pthread_mutex_unlock(&control->lock);
	return json;
}

/* After a failure nothing is hurried: a gateway that is down is not asked all the time. */
static bool pause_for(struct control *control, nanos span)
{
	nanos due = minilepton_now() + span;
	struct timespec until = {.tv_sec = (time_t)(due / NANOS_S),
				 .tv_nsec = (long)(due % NANOS_S)};
	bool on;

	pthread_mutex_lock(&control->lock);
	while (!control->stopping && minilepton_now() < due)
		pthread_cond_timedwait(&control->changed, &control->lock, &until);
	on = !control->stopping;
	pthread_mutex_unlock(&control->lock);
	return on;
}

void *control_routes_run(void *self)
{
	struct control *control = self;
	struct routes routes = {.control = control};
	struct error e = {0};
	uint64_t serial = 0;
	cJSON *json;
	nanos due = 0;
	bool failed = false;

	if (http_client_open(&routes.client, &e)) {
		minilepton_say("error: %s", e.text);
		return NULL;
	}
	snprintf(routes.url, sizeof(routes.url), "%.200s/_drsim/routes", control->gateway_url);
	while ((json = wait_change(&routes, due, &serial))) {
		bool done = say(&routes, json, serial);

		cJSON_Delete(json);
		if (done == failed)
			minilepton_say(done ? "the gateway has the routes"
					    : "the gateway does not take the routes");
		failed = !done;
		due = minilepton_now() + AGAIN;
		if (!done && !pause_for(control, 50 * NANOS_MS))
			break;
	}
	cJSON_free(routes.told);
	http_client_close(routes.client);
	return NULL;
}

int control_routes_wait(struct control *control)
{
	uint64_t serial = control->routes_wanted;
	nanos due = minilepton_now() + CONTROL_ROUTES_WAIT;
	struct timespec until = {.tv_sec = (time_t)(due / NANOS_S),
				 .tv_nsec = (long)(due % NANOS_S)};

	if (!control->gateway_url) {
		control->routes_pushed = serial;
		return 0;
	}
	while (control->routes_pushed < serial && !control->stopping) {
		if (minilepton_now() >= due)
			return -1;
		pthread_cond_timedwait(&control->changed, &control->lock, &until);
	}
	return control->routes_pushed >= serial ? 0 : -1;
}
