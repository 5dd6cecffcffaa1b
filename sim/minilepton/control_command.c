/* SPDX-License-Identifier: Apache-2.0 */
/* The command of a unit, its placeholders filled in: what a node agent is asked to start. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "sim/minilepton/control.h"
#include "sim/minilepton/http.h"

#define VALUE_MAX 320
#define VALUES_MAX 16

struct value {
	const char *name;
	char text[VALUE_MAX];
};
struct values {
	struct value items[VALUES_MAX];
	size_t count;
};

static void put(struct values *values, const char *name, const char *text)
{
	struct value *value = &values->items[values->count++];

	value->name = name;
	snprintf(value->text, sizeof(value->text), "%s", text);
}

static void put_number(struct values *values, const char *name, int64_t number)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRId64, number);
	put(values, name, text);
}

static void address_at(const struct fleet *fleet, const struct unit *unit, uint32_t offset,
		       char address[FLEET_ADDRESS_MAX])
{
	const struct fleet_node *node = &fleet->nodes[unit->node];
	const char *colon = strrchr(node->agent, ':');
	int host = colon ? (int)(colon - node->agent) : (int)strlen(node->agent);

	snprintf(address, FLEET_ADDRESS_MAX, "%.*s:%u", host < 56 ? host : 56, node->agent,
		 node->port_base + unit->port + offset);
}

void control_address(const struct fleet *fleet, const struct unit *unit,
		     char address[FLEET_ADDRESS_MAX])
{
	address_at(fleet, unit, 0, address);
}

int control_log_path(const struct control *control, const char *id, char path[FLEET_PATH_MAX])
{
	int length = snprintf(path, FLEET_PATH_MAX, "%s/%s.log", control->settings.log_dir, id);

	return control->settings.log_dir[0] && length < FLEET_PATH_MAX ? 0 : -1;
}

/* Rank 0 coordinates, at the second port of its pair. */
static void put_gang(const struct control *control, const struct unit *unit, struct values *values)
{
	const struct fleet *fleet = control->fleet;
	char address[FLEET_ADDRESS_MAX] = "";

	for (uint32_t u = 0; u < fleet->unit_count; u++) {
		const struct unit *first = &fleet->units[u];

		if (first->phase != UNIT_FREE && first->kind == UNIT_RANK &&
		    first->owner == unit->owner && first->ordinal == 0 && first->node != FLEET_NONE)
			address_at(fleet, first, 1, address);
	}
	put(values, "coordinator", address);
	put_number(values, "ranks", fleet->jobs[unit->owner].ranks);
}

static void fill(const struct control *control, const struct unit *unit, struct values *values)
{
	const struct fleet *fleet = control->fleet;
	const struct fleet_node *node = &fleet->nodes[unit->node];
	bool rank = unit->kind == UNIT_RANK;
	nanos delay = rank ? 0 : fleet->deployments[unit->owner].start_delay;
	nanos start = rank ? 0 : control->deployments[unit->owner].start;
	char address[FLEET_ADDRESS_MAX];

	control_address(fleet, unit, address);
	put(values, "id", unit->id);
	put(values, "name",
	    rank ? fleet->jobs[unit->owner].name : fleet->deployments[unit->owner].name);
	put(values, "job", rank ? fleet->jobs[unit->owner].name : "");
	put_number(values, rank ? "rank" : "ordinal", unit->ordinal);
	put(values, "node", node->name);
	put(values, "group", node->group);
	put(values, "address", address);
	put_number(values, "port", node->port_base + unit->port);
	*strrchr(address, ':') = '\0';
	put(values, "host", address);
	put_number(values, "start_ns", start + delay);
	put_number(values, "start_delay_ns", delay);
	if (rank)
		put_gang(control, unit, values);
}

static const struct value *find(const struct values *values, const char *name, size_t size)
{
	for (size_t i = 0; i < values->count; i++)
		if (strlen(values->items[i].name) == size &&
		    !memcmp(values->items[i].name, name, size))
			return &values->items[i];
	return NULL;
}

/* Braces that hold no known name stay as they are: a word may be JSON. */
static int expand(const struct values *values, const char *word, char out[CONTROL_WORD_MAX],
		  struct error *e)
{
	size_t used = 0;

	for (const char *at = word; *at;) {
		const char *close = *at == '{' ? strchr(at, '}') : NULL;
		const struct value *value =
			close ? find(values, at + 1, (size_t)(close - at - 1)) : NULL;
		const char *text = value ? value->text : at;
		size_t length = value ? strlen(text) : 1;

		if (used + length >= CONTROL_WORD_MAX)
			return error_set(e, ERROR_LIMIT, NO_PLACE,
					 "a word of the command has more than %d bytes",
					 CONTROL_WORD_MAX - 1);
		memcpy(out + used, text, length);
		used += length;
		at = value ? close + 1 : at + 1;
	}
	out[used] = '\0';
	return 0;
}

static void add_devices(const struct control *control, const struct unit *unit, cJSON *argv)
{
	const struct fleet_node *node = &control->fleet->nodes[unit->node];
	char path[FLEET_PATH_MAX + 16];

	for (uint32_t g = unit->gpu; g < unit->gpu + unit->gpus; g++) {
		snprintf(path, sizeof(path), "%s/gpu%u", node->devices, g);
		cJSON_AddItemToArray(argv, cJSON_CreateString("--device"));
		cJSON_AddItemToArray(argv, cJSON_CreateString(path));
	}
}

static int add_argv(const struct control *control, const struct unit *unit, const cJSON *spec,
		    const struct values *values, cJSON *body, struct error *e)
{
	const cJSON *container = cJSON_GetObjectItemCaseSensitive(spec, "container");
	const cJSON *command = cJSON_GetObjectItemCaseSensitive(container, "command"), *word;
	cJSON *argv = cJSON_AddArrayToObject(body, "argv");
	char text[CONTROL_WORD_MAX];

	cJSON_ArrayForEach (word, command) {
		if (!strcmp(word->valuestring, "{devices}")) {
			add_devices(control, unit, argv);
			continue;
		}
		if (expand(values, word->valuestring, text, e))
			return -1;
		cJSON_AddItemToArray(argv, cJSON_CreateString(text));
	}
	return 0;
}

static int add_env(const struct unit *unit, const cJSON *spec, const struct values *values,
		   cJSON *body, struct error *e)
{
	const cJSON *envs = cJSON_GetObjectItemCaseSensitive(spec, "envs"), *env;
	cJSON *out = cJSON_AddObjectToObject(body, "env");
	char text[CONTROL_WORD_MAX];

	cJSON_AddStringToObject(out, "LEPTON_REPLICA_ID", unit->id);
	cJSON_ArrayForEach (env, envs) {
		const cJSON *name = cJSON_GetObjectItemCaseSensitive(env, "name");
		const cJSON *value = cJSON_GetObjectItemCaseSensitive(env, "value");

		if (expand(values, value ? value->valuestring : "", text, e))
			return -1;
		cJSON_DeleteItemFromObjectCaseSensitive(out, name->valuestring);
		cJSON_AddStringToObject(out, name->valuestring, text);
	}
	return 0;
}

int control_command(const struct control *control, const struct unit *unit, cJSON **ret_body,
		    struct error *e)
{
	const struct control_doc *doc = unit->kind == UNIT_RANK
						? &control->jobs[unit->owner]
						: &control->deployments[unit->owner];
	char log[FLEET_PATH_MAX];
	struct values values = {.count = 0};
	cJSON *body = cJSON_CreateObject();

	fill(control, unit, &values);
	cJSON_AddStringToObject(body, "id", unit->id);
	if (add_argv(control, unit, doc->spec, &values, body, e) ||
	    add_env(unit, doc->spec, &values, body, e)) {
		cJSON_Delete(body);
		return -1;
	}
	if (control_log_path(control, unit->id, log) == 0)
		cJSON_AddStringToObject(body, "log", log);
	*ret_body = body;
	return 0;
}
