/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of the control plane outlives its process: documents, places, counts. A control plane that
 * starts again with the same spec takes it over and finds its replicas running. Back-off and other
 * deadlines are not kept: what was held starts when it is seen not to run.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "sim/minilepton/control.h"
#include "sim/minilepton/http.h"

#define EXACT_MAX (((uint64_t)1 << 53) - 1) /* of a JSON number */

/* ---- out ---- */

static void add_doc(cJSON *item, const struct control_doc *doc)
{
	cJSON_AddStringToObject(item, "name", doc->name);
	cJSON_AddItemToObject(item, "spec", cJSON_Duplicate(doc->spec, true));
	cJSON_AddNumberToObject(item, "created_at", (double)doc->created_at);
	cJSON_AddNumberToObject(item, "modified_at", (double)doc->modified_at);
	cJSON_AddNumberToObject(item, "version", (double)doc->version);
	cJSON_AddNumberToObject(item, "start_ns", (double)doc->start);
}

static void add_deployments(const struct control *control, cJSON *root)
{
	cJSON *list = cJSON_AddArrayToObject(root, "deployments");

	for (uint32_t d = 0; d < FLEET_DEPLOYMENTS_MAX; d++) {
		const struct fleet_deployment *deployment = &control->fleet->deployments[d];
		cJSON *item;

		if (!control->deployments[d].used || !deployment->used)
			continue;
		item = cJSON_CreateObject();
		add_doc(item, &control->deployments[d]);
		cJSON_AddNumberToObject(item, "index", d);
		cJSON_AddBoolToObject(item, "deleting", deployment->deleting);
		cJSON_AddBoolToObject(item, "restarting", deployment->restarting);
		cJSON_AddBoolToObject(item, "scaling", deployment->scaling);
		cJSON_AddBoolToObject(item, "at_once", deployment->at_once);
		cJSON_AddBoolToObject(item, "reserved", deployment->reserved);
		cJSON_AddNumberToObject(item, "start_delay_ns", (double)deployment->start_delay);
		cJSON_AddItemToArray(list, item);
	}
}

static void add_jobs(const struct control *control, cJSON *root)
{
	cJSON *list = cJSON_AddArrayToObject(root, "jobs");

	for (uint32_t j = 0; j < FLEET_JOBS_MAX; j++) {
		const struct fleet_job *job = &control->fleet->jobs[j];
		cJSON *item;

		if (!control->jobs[j].used || !job->used)
			continue;
		item = cJSON_CreateObject();
		add_doc(item, &control->jobs[j]);
		cJSON_AddNumberToObject(item, "index", j);
		cJSON_AddBoolToObject(item, "deleting", job->deleting);
		cJSON_AddBoolToObject(item, "admitted", job->admitted);
		cJSON_AddBoolToObject(item, "failing", job->failing);
		cJSON_AddNumberToObject(item, "state", job->state);
		cJSON_AddNumberToObject(item, "failures", job->failures);
		cJSON_AddNumberToObject(item, "spares", job->spares);
		cJSON_AddNumberToObject(item, "restart_ns", (double)job->restart);
		cJSON_AddStringToObject(item, "message", job->message);
		cJSON_AddItemToArray(list, item);
	}
}

static void add_nodes(const struct control *control, cJSON *root)
{
	cJSON *list = cJSON_AddArrayToObject(root, "nodes");

	for (uint32_t n = 0; n < control->fleet->node_count; n++) {
		const struct fleet_node *node = &control->fleet->nodes[n];
		cJSON *item = cJSON_CreateObject(), *ghosts;

		cJSON_AddStringToObject(item, "name", node->name);
		cJSON_AddBoolToObject(item, "schedulable", node->schedulable);
		cJSON_AddBoolToObject(item, "seen", node->seen);
		cJSON_AddNumberToObject(item, "reserved", node->reserved);
		ghosts = cJSON_AddArrayToObject(item, "ghosts");
		for (uint32_t g = 0; g < node->ghost_count; g++)
			cJSON_AddItemToArray(ghosts, cJSON_CreateString(node->ghosts[g]));
		cJSON_AddItemToArray(list, item);
	}
}

static void add_units(const struct control *control, cJSON *root)
{
	cJSON *list = cJSON_AddArrayToObject(root, "units");

	for (uint32_t u = 0; u < control->fleet->unit_count; u++) {
		const struct unit *unit = &control->fleet->units[u];
		cJSON *item;

		if (unit->phase == UNIT_FREE)
			continue;
		item = cJSON_CreateObject();
		cJSON_AddNumberToObject(item, "kind", unit->kind);
		cJSON_AddNumberToObject(item, "owner", unit->owner);
		cJSON_AddNumberToObject(item, "ordinal", unit->ordinal);
		cJSON_AddNumberToObject(item, "phase", unit->phase);
		cJSON_AddNumberToObject(item, "after", unit->after);
		if (unit->node != FLEET_NONE)
			cJSON_AddStringToObject(item, "node",
						control->fleet->nodes[unit->node].name);
		cJSON_AddNumberToObject(item, "gpu", unit->gpu);
		cJSON_AddNumberToObject(item, "gpus", unit->gpus);
		cJSON_AddNumberToObject(item, "port", unit->port);
		cJSON_AddNumberToObject(item, "starts", unit->starts);
		cJSON_AddNumberToObject(item, "seen_starts", unit->seen_starts);
		cJSON_AddNumberToObject(item, "crashes", unit->crashes);
		cJSON_AddNumberToObject(item, "exit_code", unit->exit_code);
		cJSON_AddItemToArray(list, item);
	}
}

char *control_state_print(const struct control *control, nanos now)
{
	cJSON *root = cJSON_CreateObject(), *list;
	char *text;

	(void)now;
	cJSON_AddNumberToObject(root, "epoch", (double)control->routes_epoch);
	add_deployments(control, root);
	add_jobs(control, root);
	list = cJSON_AddArrayToObject(root, "ingress");
	for (size_t i = 0; i < CONTROL_INGRESS_MAX; i++) {
		cJSON *item;

		if (!control->ingress[i].used)
			continue;
		item = cJSON_CreateObject();
		add_doc(item, &control->ingress[i]);
		cJSON_AddItemToArray(list, item);
	}
	add_nodes(control, root);
	add_units(control, root);
	if (control->secrets)
		cJSON_AddItemToObject(root, "secrets", cJSON_Duplicate(control->secrets, true));
	text = cJSON_PrintUnformatted(root);
	cJSON_Delete(root);
	return text;
}

static int folder_sync(const char *path, struct error *e)
{
	char folder[FLEET_PATH_MAX];
	const char *slash = strrchr(path, '/');
	int fd, rc;

	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) : 1,
		 slash ? path : ".");
	fd = open(folder[0] ? folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set(e, ERROR_IO, NO_PLACE, "%s: %s", folder, strerror(errno));
	rc = fsync(fd);
	close(fd);
	return rc ? error_set(e, ERROR_IO, NO_PLACE, "%s: %s", folder, strerror(errno)) : 0;
}

int control_state_write(const char *path, const char *text, struct error *e)
{
	char temporary[FLEET_PATH_MAX];
	size_t size = strlen(text), done = 0;
	ssize_t written = 0;
	int fd;

	if (snprintf(temporary, sizeof(temporary), "%s.new", path) >= (int)sizeof(temporary))
		return error_set(e, ERROR_LIMIT, NO_PLACE, "the path of the state is too long");
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_set(e, ERROR_IO, NO_PLACE, "%s: %s", temporary, strerror(errno));
	while (done < size && written >= 0) {
		written = write(fd, text + done, size - done);
		done += written > 0 ? (size_t)written : 0;
	}
	if (written < 0 || fsync(fd)) {
		error_set(e, ERROR_IO, NO_PLACE, "%s: %s", temporary, strerror(errno));
		close(fd);
		return -1;
	}
	close(fd);
	if (rename(temporary, path))
		return error_set(e, ERROR_IO, NO_PLACE, "%s: %s", path, strerror(errno));
	return folder_sync(path, e);
}

/* ---- in ---- */

static bool flag(const cJSON *item, const char *name)
{
	return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, name));
}

static int number(const cJSON *item, const char *name, uint64_t max, uint32_t *ret, struct error *e)
{
	uint64_t value;

	if (http_json_number(item, name, 0, max, &value, e))
		return -1;
	*ret = (uint32_t)value;
	return 0;
}

static int load_doc(const cJSON *item, struct control_doc *doc, struct error *e)
{
	const cJSON *spec = cJSON_GetObjectItemCaseSensitive(item, "spec");
	uint64_t created, modified, start;
	const char *name;
	uint32_t version;

	if (http_json_text(item, "name", FLEET_NAME_MAX - 1, &name, e) ||
	    control_check_name(name, e) ||
	    http_json_number(item, "created_at", 0, EXACT_MAX, &created, e) ||
	    http_json_number(item, "modified_at", 0, EXACT_MAX, &modified, e) ||
	    http_json_number(item, "start_ns", 0, EXACT_MAX, &start, e) ||
	    number(item, "version", UINT32_MAX, &version, e))
		return -1;
	if (!cJSON_IsObject(spec))
		return error_set(e, ERROR_USAGE, NO_PLACE, "a document has no spec");
	if (doc->used)
		return error_set(e, ERROR_USAGE, NO_PLACE, "two documents have one index");
	*doc = (struct control_doc){.used = true,
				    .spec = cJSON_Duplicate(spec, true),
				    .created_at = (int64_t)created,
				    .modified_at = (int64_t)modified,
				    .start = (nanos)start,
				    .version = version};
	snprintf(doc->name, sizeof(doc->name), "%s", name);
	return 0;
}

static int load_deployment(struct control *control, const cJSON *item, struct error *e)
{
	struct fleet_deployment *deployment;
	uint64_t delay;
	uint32_t d;

	if (number(item, "index", FLEET_DEPLOYMENTS_MAX - 1, &d, e) ||
	    http_json_number(item, "start_delay_ns", 0, EXACT_MAX, &delay, e) ||
	    load_doc(item, &control->deployments[d], e))
		return -1;
	deployment = &control->fleet->deployments[d];
	*deployment = (struct fleet_deployment){.used = true,
						.deleting = flag(item, "deleting"),
						.restarting = flag(item, "restarting"),
						.scaling = flag(item, "scaling"),
						.at_once = flag(item, "at_once"),
						.reserved = flag(item, "reserved"),
						.start_delay = (nanos)delay};
	snprintf(deployment->name, sizeof(deployment->name), "%s", control->deployments[d].name);
	return control_derive_deployment(control->deployments[d].spec, deployment, e);
}

static int load_job(struct control *control, const cJSON *item, nanos now, struct error *e)
{
	struct fleet_job *job;
	uint64_t restart;
	uint32_t j, state, failures, spares;

	if (number(item, "index", FLEET_JOBS_MAX - 1, &j, e) ||
	    number(item, "state", JOB_QUEUEING, &state, e) ||
	    number(item, "failures", UINT32_MAX, &failures, e) ||
	    number(item, "spares", FLEET_NODES_MAX, &spares, e) ||
	    http_json_number(item, "restart_ns", 0, EXACT_MAX, &restart, e) ||
	    load_doc(item, &control->jobs[j], e))
		return -1;
	job = &control->fleet->jobs[j];
	*job = (struct fleet_job){.used = true,
				  .deleting = flag(item, "deleting"),
				  .admitted = flag(item, "admitted"),
				  .failing = flag(item, "failing"),
				  .state = (enum job_state)state,
				  .failures = failures,
				  .spares = spares,
				  .restart = (nanos)restart,
				  .due = now + (nanos)restart,
				  .created_at = now,
				  .completed_at = now};
	snprintf(job->name, sizeof(job->name), "%s", control->jobs[j].name);
	return control_derive_job(control->jobs[j].spec, job, e);
}

/* Nodes that are not in the spec any more are left out. */
static int load_node(struct control *control, const cJSON *item, nanos now, struct error *e)
{
	const cJSON *ghosts, *ghost;
	struct fleet_node *node;
	const char *name;
	uint32_t n, reserved;

	if (http_json_text(item, "name", FLEET_NAME_MAX - 1, &name, e) ||
	    number(item, "reserved", FLEET_JOBS_MAX, &reserved, e) ||
	    http_json_array(item, "ghosts", FLEET_GHOSTS_MAX, &ghosts, e))
		return -1;
	n = fleet_find_node(control->fleet, name);
	if (n == FLEET_NONE)
		return 0;
	node = &control->fleet->nodes[n];
	node->schedulable = flag(item, "schedulable");
	node->seen = flag(item, "seen");
	node->reserved = reserved && control->fleet->jobs[reserved - 1].used ? reserved : 0;
	node->silent_since = now;
	node->ghost_count = 0;
	cJSON_ArrayForEach (ghost, ghosts)
		if (cJSON_IsString(ghost))
			snprintf(node->ghosts[node->ghost_count++], FLEET_ID_MAX, "%s",
				 ghost->valuestring);
	return 0;
}

/* It keeps the place that it had, or none at all. */
static void take_place(struct fleet *fleet, struct unit *unit, const cJSON *item, uint32_t gpu,
		       uint32_t port)
{
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(item, "node");
	uint64_t ones = unit->gpus >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << unit->gpus) - 1;
	uint32_t n = cJSON_IsString(name) ? fleet_find_node(fleet, name->valuestring) : FLEET_NONE;
	uint64_t gpus, *pairs, pair = (uint64_t)1 << (port / 2 % 64);
	struct fleet_node *node;

	if (n == FLEET_NONE)
		return;
	node = &fleet->nodes[n];
	pairs = &node->ports[port / 2 / 64];
	if (gpu + unit->gpus > node->gpus)
		return;
	gpus = unit->gpus ? ones << gpu : 0;
	if ((node->gpus_used & gpus) || (*pairs & pair))
		return;
	node->gpus_used |= gpus;
	*pairs |= pair;
	unit->node = n;
	unit->gpu = gpu;
	unit->port = port;
}

/* What was about to start may have started: a node agent refuses a second one of the id, which is
 * then the one that was meant. */
static enum unit_phase phase_again(const struct unit *unit, enum unit_phase saved)
{
	bool places = saved != UNIT_QUEUED;

	if (places && unit->node == FLEET_NONE)
		return UNIT_QUEUED;
	if (saved == UNIT_RUNNING)
		return UNIT_STARTING;
	return saved;
}

static bool owner_is(const struct fleet *fleet, uint32_t kind, uint32_t owner)
{
	if (kind == UNIT_REPLICA)
		return owner < FLEET_DEPLOYMENTS_MAX && fleet->deployments[owner].used;
	return owner < FLEET_JOBS_MAX && fleet->jobs[owner].used;
}

static int load_unit(struct fleet *fleet, const cJSON *item, nanos now, struct error *e)
{
	uint32_t kind, owner, ordinal, phase, after, gpu, gpus, port, starts, seen, crashes, code;
	struct unit *unit;
	const char *name;

	if (number(item, "kind", UNIT_RANK, &kind, e) ||
	    number(item, "owner", FLEET_DEPLOYMENTS_MAX, &owner, e) ||
	    number(item, "ordinal", FLEET_UNITS_EACH_MAX, &ordinal, e) ||
	    number(item, "phase", UNIT_OVER, &phase, e) ||
	    number(item, "after", AFTER_STOP_OVER, &after, e) ||
	    number(item, "gpu", FLEET_GPUS_MAX, &gpu, e) ||
	    number(item, "gpus", FLEET_GPUS_MAX, &gpus, e) ||
	    number(item, "port", FLEET_PORTS_MAX - 2, &port, e) ||
	    number(item, "starts", UINT32_MAX, &starts, e) ||
	    number(item, "seen_starts", UINT32_MAX, &seen, e) ||
	    number(item, "crashes", UINT32_MAX, &crashes, e) ||
	    number(item, "exit_code", 1000, &code, e))
		return -1;
	if (!owner_is(fleet, kind, owner) || phase == UNIT_FREE)
		return error_set(e, ERROR_USAGE, NO_PLACE, "a unit has no owner");
	name = kind == UNIT_RANK ? fleet->jobs[owner].name : fleet->deployments[owner].name;
	unit = fleet_new_unit(fleet, (enum unit_kind)kind, owner, ordinal, name, now);
	if (!unit)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "more than %d units", FLEET_UNITS_MAX);
	unit->gpus = gpus;
	take_place(fleet, unit, item, gpu, port & ~1u);
	unit->phase = phase_again(unit, (enum unit_phase)phase);
	unit->after = (enum unit_after)after;
	unit->hold = HOLD_BACKOFF;
	unit->due = unit->started_at = now;
	unit->starts = starts;
	unit->seen_starts = seen;
	unit->crashes = crashes;
	unit->exit_code = (int)code;
	/* Its process, if there is one, was started on orders of this state: it is looked for. */
	unit->told = phase == UNIT_RUNNING;
	return 0;
}

static int each(struct control *control, const cJSON *root, const char *name, size_t max,
		int (*load)(struct control *control, const cJSON *item, nanos now, struct error *e),
		nanos now, struct error *e)
{
	const cJSON *list, *item;

	if (http_json_array(root, name, max, &list, e))
		return -1;
	cJSON_ArrayForEach (item, list)
		if (load(control, item, now, e))
			return -1;
	return 0;
}

static int each_deployment(struct control *control, const cJSON *item, nanos now, struct error *e)
{
	(void)now;
	return load_deployment(control, item, e);
}

static int each_unit(struct control *control, const cJSON *item, nanos now, struct error *e)
{
	return load_unit(control->fleet, item, now, e);
}

static int each_ingress(struct control *control, const cJSON *item, nanos now, struct error *e)
{
	(void)now;
	for (size_t i = 0; i < CONTROL_INGRESS_MAX; i++) {
		struct control_doc *doc = &control->ingress[i];

		if (doc->used)
			continue;
		if (load_doc(item, doc, e))
			return -1;
		return control_check_ingress(doc->spec, e);
	}
	return error_set(e, ERROR_LIMIT, NO_PLACE, "more than %d ingress", CONTROL_INGRESS_MAX);
}

static int load_all(struct control *control, const cJSON *root, nanos now, struct error *e)
{
	const cJSON *secrets = cJSON_GetObjectItemCaseSensitive(root, "secrets");

	if (http_json_number(root, "epoch", 0, EXACT_MAX, &control->routes_epoch, e) ||
	    each(control, root, "deployments", FLEET_DEPLOYMENTS_MAX, each_deployment, now, e) ||
	    each(control, root, "jobs", FLEET_JOBS_MAX, load_job, now, e) ||
	    each(control, root, "ingress", CONTROL_INGRESS_MAX, each_ingress, now, e) ||
	    each(control, root, "nodes", FLEET_NODES_MAX, load_node, now, e) ||
	    each(control, root, "units", FLEET_UNITS_MAX, each_unit, now, e))
		return -1;
	if (cJSON_IsArray(secrets))
		control->secrets = cJSON_Duplicate(secrets, true);
	return 0;
}

int control_state_load(struct control *control, const char *text, size_t size, nanos now,
		       struct error *e)
{
	cJSON *root = size <= CONTROL_SPEC_MAX ? http_json_parse(text, size) : NULL;
	int rc;

	if (!root)
		return error_set(e, ERROR_USAGE, NO_PLACE, "the state is no JSON object");
	rc = load_all(control, root, now, e);
	cJSON_Delete(root);
	return rc;
}
