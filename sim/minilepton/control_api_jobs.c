/* SPDX-License-Identifier: Apache-2.0 */
/* Calls about training jobs. */
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "sim/minilepton/control.h"
#include "sim/minilepton/http.h"
#include "sim/minilepton/minilepton.h"

#define PAGE_SIZE 500
#define PAGES_MAX 1000000

static void unknown(struct http_request *request, const char *name)
{
	http_error(request, 404, "there is no job '%s'", name);
}

/* Nothing is archived here: what is deleted is gone. */
static bool only_archive(const struct http_request *request)
{
	const char *mode = http_query(request, "job_query_mode");
	return mode && !strcmp(mode, "archive_only");
}

static bool asked_for(const struct http_request *request, const struct fleet_job *job)
{
	const char *part = http_query(request, "q"), *state = http_query(request, "status");

	if (part && !strstr(job->name, part))
		return false;
	return !state || !strcmp(state, fleet_job_state_names[job->state]);
}

static void list(struct control *control, struct http_request *request, const char *const *parts)
{
	uint64_t page = 1, size = PAGE_SIZE, seen = 0;
	cJSON *json, *jobs;

	(void)parts;
	if (http_query_number(request, "page", PAGES_MAX, &page) ||
	    http_query_number(request, "page_size", PAGE_SIZE, &size))
		return;
	json = cJSON_CreateObject();
	jobs = cJSON_AddArrayToObject(json, "jobs");
	pthread_mutex_lock(&control->lock);
	for (uint32_t j = 0; page > 0 && !only_archive(request) && j < FLEET_JOBS_MAX; j++) {
		if (!control->jobs[j].used || !asked_for(request, &control->fleet->jobs[j]))
			continue;
		if (seen >= (page - 1) * size && seen < page * size)
			cJSON_AddItemToArray(jobs, control_job_json(control, j));
		seen++;
	}
	pthread_mutex_unlock(&control->lock);
	cJSON_AddNumberToObject(json, "total", (double)seen);
	http_answer_json(request, 200, json);
}

static void answer_of(struct control *control, struct http_request *request, const char *name,
		      cJSON *(*make)(const struct control *control, uint32_t job))
{
	cJSON *json = NULL;
	uint32_t j;

	pthread_mutex_lock(&control->lock);
	j = fleet_find_job(control->fleet, name);
	if (j != FLEET_NONE)
		json = make(control, j);
	pthread_mutex_unlock(&control->lock);
	if (json)
		http_answer_json(request, 200, json);
	else
		unknown(request, name);
}

static void get(struct control *control, struct http_request *request, const char *const *parts)
{
	answer_of(control, request, parts[0], control_job_json);
}

static cJSON *replicas_of(const struct control *control, uint32_t j)
{
	return control_replicas_json(control, UNIT_RANK, j);
}

static void replicas(struct control *control, struct http_request *request,
		     const char *const *parts)
{
	answer_of(control, request, parts[0], replicas_of);
}

static cJSON *events_of(const struct control *control, uint32_t j)
{
	return control_events_json(control, control->jobs[j].name);
}

static void events(struct control *control, struct http_request *request, const char *const *parts)
{
	answer_of(control, request, parts[0], events_of);
}

static int add(struct control *control, cJSON *body, uint32_t *ret_job, struct error *e)
{
	const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(body, "metadata");
	const char *key = cJSON_GetObjectItemCaseSensitive(metadata, "name") ? "name" : "id";
	const cJSON *spec = cJSON_GetObjectItemCaseSensitive(body, "spec");
	struct fleet_job derived = {0};
	struct control_doc *doc;
	nanos now = minilepton_now();
	const char *name;
	uint32_t j;

	if (http_json_text(metadata, key, FLEET_NAME_MAX - 1, &name, e) ||
	    control_check_name(name, e) || control_derive_job(spec, &derived, e) ||
	    control_check_free(control, name, e))
		return -1;
	j = fleet_add_job(control->fleet, name, now);
	if (j == FLEET_NONE)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "at most %d jobs", FLEET_JOBS_MAX);
	doc = &control->jobs[j];
	*doc = (struct control_doc){.used = true,
				    .version = 1,
				    .created_at = control_wall_ms(control, now),
				    .modified_at = control_wall_ms(control, now)};
	snprintf(doc->name, sizeof(doc->name), "%s", name);
	doc->spec = cJSON_DetachItemFromObjectCaseSensitive(body, "spec");
	if (control_derive_job(doc->spec, &control->fleet->jobs[j], e))
		return -1;
	*ret_job = j;
	control_changed(control);
	return 0;
}

static void create(struct control *control, struct http_request *request, const char *const *parts)
{
	cJSON *body = http_body_json(request), *json = NULL;
	struct error e = {0};
	uint32_t j = 0;

	(void)parts;
	if (!body)
		return;
	pthread_mutex_lock(&control->lock);
	if (add(control, body, &j, &e) == 0)
		json = control_job_json(control, j);
	if (json)
		control_commit(control);
	pthread_mutex_unlock(&control->lock);
	cJSON_Delete(body);
	if (json)
		http_answer_json(request, 201, json);
	else
		control_answer_error(request, &e);
}

/* Size, shape and group of a job stay; it is stopped, started, and its command changes. */
static int change(struct control *control, uint32_t j, const cJSON *patch, struct error *e)
{
	struct fleet_job *job = &control->fleet->jobs[j], derived = *job;
	struct control_doc *doc = &control->jobs[j];
	cJSON *spec = cJSON_Duplicate(doc->spec, true);

	control_merge_patch(spec, patch);
	if (control_derive_job(spec, &derived, e))
		goto out;
	if (cJSON_Compare(spec, doc->spec, true)) {
		error_set(e, ERROR_USAGE, NO_PLACE, "no valid field to update");
		goto out;
	}
	if (derived.ranks != job->ranks || derived.gpus != job->gpus ||
	    strcmp(derived.group, job->group) != 0) {
		error_set(e, ERROR_USAGE, NO_PLACE,
			  "the shape, size and node group of a job do not change");
		goto out;
	}
	*job = derived;
	cJSON_Delete(doc->spec);
	doc->spec = spec;
	doc->version++;
	doc->modified_at = control_wall_ms(control, minilepton_now());
	fleet_touch(control->fleet);
	control_changed(control);
	return 0;
out:
	cJSON_Delete(spec);
	return -1;
}

static void patch(struct control *control, struct http_request *request, const char *const *parts)
{
	cJSON *body = http_body_json(request), *json = NULL;
	const cJSON *spec = cJSON_GetObjectItemCaseSensitive(body, "spec");
	struct error e = {0};
	uint32_t j;

	if (!body)
		return;
	pthread_mutex_lock(&control->lock);
	j = fleet_find_job(control->fleet, parts[0]);
	if (j != FLEET_NONE && !cJSON_IsObject(spec))
		error_set(&e, ERROR_USAGE, NO_PLACE, "no valid field to update");
	else if (j != FLEET_NONE && change(control, j, spec, &e) == 0)
		json = control_job_json(control, j);
	if (json)
		control_commit(control);
	pthread_mutex_unlock(&control->lock);
	cJSON_Delete(body);
	if (json)
		http_answer_json(request, 200, json);
	else if (j == FLEET_NONE)
		unknown(request, parts[0]);
	else
		control_answer_error(request, &e);
}

static void drop(struct control *control, struct http_request *request, const char *const *parts)
{
	uint32_t j;

	pthread_mutex_lock(&control->lock);
	j = fleet_find_job(control->fleet, parts[0]);
	if (j != FLEET_NONE) {
		control->fleet->jobs[j].deleting = true;
		fleet_touch(control->fleet);
		control_commit(control);
	}
	pthread_mutex_unlock(&control->lock);
	if (j != FLEET_NONE)
		http_answer_json(request, 200, cJSON_CreateObject());
	else
		unknown(request, parts[0]);
}

static void rank_log(struct control *control, struct http_request *request,
		     const char *const *parts)
{
	control_answer_log(control, request, parts[0], parts[1], UNIT_RANK);
}

const struct control_call control_calls_jobs[] = {
	{"GET", "/jobs", list},
	{"POST", "/jobs", create},
	{"GET", "/jobs/*", get},
	{"PATCH", "/jobs/*", patch},
	{"DELETE", "/jobs/*", drop},
	{"GET", "/jobs/*/replicas", replicas},
	{"GET", "/jobs/*/events", events},
	{"GET", "/jobs/*/replicas/*/log", rank_log},
	{NULL, NULL, NULL},
};
