/* SPDX-License-Identifier: Apache-2.0 */
/* Calls about deployments and their replicas. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "sim/minilepton/control.h"
#include "sim/minilepton/http.h"
#include "sim/minilepton/minilepton.h"

static void unknown(struct http_request *request, const char *name)
{
	http_error(request, 404, "there is no deployment '%s'", name);
}

static void list(struct control *control, struct http_request *request, const char *const *parts)
{
	cJSON *all = cJSON_CreateArray();

	(void)parts;
	pthread_mutex_lock(&control->lock);
	for (uint32_t d = 0; d < FLEET_DEPLOYMENTS_MAX; d++)
		if (control->deployments[d].used)
			cJSON_AddItemToArray(all, control_deployment_json(control, d));
	pthread_mutex_unlock(&control->lock);
	http_answer_json(request, 200, all);
}

/* Answers with what `make` makes of the deployment that is named, or 404. */
static void answer_of(struct control *control, struct http_request *request, const char *name,
		      cJSON *(*make)(const struct control *control, uint32_t deployment))
{
	cJSON *json = NULL;
	uint32_t d;

	pthread_mutex_lock(&control->lock);
	d = fleet_find_deployment(control->fleet, name);
	if (d != FLEET_NONE)
		json = make(control, d);
	pthread_mutex_unlock(&control->lock);
	if (json)
		http_answer_json(request, 200, json);
	else
		unknown(request, name);
}

static void get(struct control *control, struct http_request *request, const char *const *parts)
{
	answer_of(control, request, parts[0], control_deployment_json);
}

static cJSON *replicas_of(const struct control *control, uint32_t d)
{
	return control_replicas_json(control, UNIT_REPLICA, d);
}

static cJSON *events_of(const struct control *control, uint32_t d)
{
	return control_events_json(control, control->deployments[d].name);
}

static void replicas(struct control *control, struct http_request *request,
		     const char *const *parts)
{
	answer_of(control, request, parts[0], replicas_of);
}

static void readiness(struct control *control, struct http_request *request,
		      const char *const *parts)
{
	answer_of(control, request, parts[0], control_readiness_json);
}

static void termination(struct control *control, struct http_request *request,
			const char *const *parts)
{
	answer_of(control, request, parts[0], control_termination_json);
}

static void events(struct control *control, struct http_request *request, const char *const *parts)
{
	answer_of(control, request, parts[0], events_of);
}

/* ---- changes ---- */

/* max_replicas follows where it is the smaller one. */
static void mend_counts(cJSON *spec, uint32_t replicas)
{
	cJSON *need = cJSON_GetObjectItemCaseSensitive(spec, "resource_requirement");
	cJSON *most = cJSON_GetObjectItemCaseSensitive(need, "max_replicas");

	if (cJSON_IsNumber(most) && most->valuedouble < replicas)
		cJSON_SetNumberValue(most, replicas);
}

static int add(struct control *control, cJSON *body, struct error *e)
{
	const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(body, "metadata");
	const char *key = cJSON_GetObjectItemCaseSensitive(metadata, "name") ? "name" : "id";
	cJSON *spec = cJSON_GetObjectItemCaseSensitive(body, "spec");
	struct fleet_deployment derived = {0};
	struct control_doc *doc;
	nanos now = minilepton_now();
	const char *name;
	uint32_t d;

	if (http_json_text(metadata, key, FLEET_NAME_MAX - 1, &name, e) ||
	    control_check_name(name, e) || control_derive_deployment(spec, &derived, e) ||
	    control_check_free(control, name, e))
		return -1;
	d = fleet_add_deployment(control->fleet, name);
	if (d == FLEET_NONE)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "at most %d deployments",
				 FLEET_DEPLOYMENTS_MAX);
	doc = &control->deployments[d];
	*doc = (struct control_doc){.used = true,
				    .version = 1,
				    .created_at = control_wall_ms(control, now),
				    .modified_at = control_wall_ms(control, now)};
	snprintf(doc->name, sizeof(doc->name), "%s", name);
	doc->spec = cJSON_DetachItemFromObjectCaseSensitive(body, "spec");
	mend_counts(doc->spec, derived.replicas);
	if (control_derive_deployment(doc->spec, &control->fleet->deployments[d], e))
		return -1;
	control_changed(control);
	return 0;
}

static void create(struct control *control, struct http_request *request, const char *const *parts)
{
	cJSON *body = http_body_json(request);
	struct error e = {0};
	int rc;

	(void)parts;
	if (!body)
		return;
	pthread_mutex_lock(&control->lock);
	rc = add(control, body, &e);
	if (rc == 0)
		control_commit(control);
	pthread_mutex_unlock(&control->lock);
	cJSON_Delete(body);
	if (rc)
		control_answer_error(request, &e);
	else
		http_answer_json(request, 201, cJSON_CreateObject());
}

/* A change of what runs, not only of how many. */
static bool restarts(const cJSON *old, const cJSON *spec)
{
	static const char *const members[] = {"container", "envs"};

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		const cJSON *a = cJSON_GetObjectItemCaseSensitive(old, members[i]);
		const cJSON *b = cJSON_GetObjectItemCaseSensitive(spec, members[i]);

		if ((a || b) && !cJSON_Compare(a, b, true))
			return true;
	}
	return false;
}

static int change(struct control *control, uint32_t d, const cJSON *patch, bool dry,
		  struct error *e)
{
	struct fleet_deployment *deployment = &control->fleet->deployments[d],
				derived = *deployment;
	struct control_doc *doc = &control->deployments[d];
	cJSON *spec = cJSON_Duplicate(doc->spec, true);
	bool restart;

	control_merge_patch(spec, patch);
	if (control_derive_deployment(spec, &derived, e))
		goto out;
	mend_counts(spec, derived.replicas);
	if (cJSON_Compare(spec, doc->spec, true)) {
		error_set(e, ERROR_USAGE, NO_PLACE, "no valid field to update");
		goto out;
	}
	if (derived.gpus != deployment->gpus) {
		error_set(e, ERROR_USAGE, NO_PLACE,
			  "the resource shape of a deployment does not change");
		goto out;
	}
	if (dry)
		goto out;
	restart = restarts(doc->spec, spec);
	derived.scaling = derived.scaling || derived.replicas != deployment->replicas;
	*deployment = derived;
	cJSON_Delete(doc->spec);
	doc->spec = spec;
	doc->version++;
	doc->modified_at = control_wall_ms(control, minilepton_now());
	fleet_touch(control->fleet);
	if (restart)
		fleet_restart(control->fleet, d, minilepton_now());
	control_changed(control);
	return 0;
out:
	cJSON_Delete(spec);
	return e->kind == ERROR_NONE ? 0 : -1;
}

static void patch(struct control *control, struct http_request *request, const char *const *parts)
{
	const char *dry = http_query(request, "dryrun");
	cJSON *body = http_body_json(request), *json = NULL;
	const cJSON *spec = cJSON_GetObjectItemCaseSensitive(body, "spec");
	struct error e = {0};
	uint32_t d;

	if (!body)
		return;
	pthread_mutex_lock(&control->lock);
	d = fleet_find_deployment(control->fleet, parts[0]);
	if (d != FLEET_NONE && !cJSON_IsObject(spec))
		error_set(&e, ERROR_USAGE, NO_PLACE, "no valid field to update");
	else if (d != FLEET_NONE && control->fleet->deployments[d].deleting)
		error_set(&e, ERROR_TARGET, NO_PLACE, "it is being deleted");
	else if (d != FLEET_NONE && change(control, d, spec, dry && !strcmp(dry, "true"), &e) == 0)
		json = control_deployment_json(control, d);
	if (json)
		control_commit(control);
	pthread_mutex_unlock(&control->lock);
	cJSON_Delete(body);
	if (json)
		http_answer_json(request, 200, json);
	else if (d == FLEET_NONE)
		unknown(request, parts[0]);
	else
		control_answer_error(request, &e);
}

static void restart(struct control *control, struct http_request *request, const char *const *parts)
{
	cJSON *json = NULL;
	uint32_t d;

	pthread_mutex_lock(&control->lock);
	d = fleet_find_deployment(control->fleet, parts[0]);
	if (d != FLEET_NONE) {
		fleet_restart(control->fleet, d, minilepton_now());
		json = control_deployment_json(control, d);
		control_commit(control);
	}
	pthread_mutex_unlock(&control->lock);
	if (json)
		http_answer_json(request, 200, json);
	else
		unknown(request, parts[0]);
}

static void drop(struct control *control, struct http_request *request, const char *const *parts)
{
	uint32_t d;

	pthread_mutex_lock(&control->lock);
	d = fleet_find_deployment(control->fleet, parts[0]);
	if (d != FLEET_NONE) {
		control->fleet->deployments[d].deleting = true;
		fleet_touch(control->fleet);
		control_commit(control);
	}
	pthread_mutex_unlock(&control->lock);
	if (d != FLEET_NONE)
		http_answer_json(request, 200, cJSON_CreateObject());
	else
		unknown(request, parts[0]);
}

/* ---- logs ---- */

void control_answer_log(struct control *control, struct http_request *request, const char *name,
			const char *id, enum unit_kind kind)
{
	char path[FLEET_PATH_MAX];
	struct stat stat;
	bool known = false;
	uint32_t u;
	int fd;

	pthread_mutex_lock(&control->lock);
	u = fleet_find_unit(control->fleet, id);
	if (u != FLEET_NONE) {
		const struct unit *unit = &control->fleet->units[u];
		const char *owner = kind == UNIT_RANK
					    ? control->fleet->jobs[unit->owner].name
					    : control->fleet->deployments[unit->owner].name;

		known = unit->kind == kind && !strcmp(owner, name);
	}
	pthread_mutex_unlock(&control->lock);
	if (!known) {
		http_error(request, 404, "'%s' has no replica '%s'", name, id);
		return;
	}
	fd = control_log_path(control, id, path) ? -1
						 : open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &stat) || !S_ISREG(stat.st_mode)) {
		if (fd >= 0)
			close(fd);
		http_answer(request, 200, "text/plain", "", 0);
		return;
	}
	http_answer_file(request, 200, "text/plain", fd, 0, (uint64_t)stat.st_size);
}

static void replica_log(struct control *control, struct http_request *request,
			const char *const *parts)
{
	control_answer_log(control, request, parts[0], parts[1], UNIT_REPLICA);
}

const struct control_call control_calls_deployments[] = {
	{"GET", "/deployments", list},
	{"POST", "/deployments", create},
	{"GET", "/deployments/*", get},
	{"PATCH", "/deployments/*", patch},
	{"DELETE", "/deployments/*", drop},
	{"PUT", "/deployments/*/restart", restart},
	{"GET", "/deployments/*/replicas", replicas},
	{"GET", "/deployments/*/readiness", readiness},
	{"GET", "/deployments/*/termination", termination},
	{"GET", "/deployments/*/events", events},
	{"GET", "/deployments/*/replicas/*/log", replica_log},
	{NULL, NULL, NULL},
};
