/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: any bytes as what the stand-in platform reads from outside: a spec, a state file, a
 * checkpoint's manifest, an upload. What is accepted can be written and read again. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "sim/minilepton/checkpoint.h"
#include "sim/minilepton/control.h"
#include "sim/minilepton/multipart.h"
#include "sim/minilepton/store_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void control_open(struct control *control)
{
	*control = (struct control){.wall_offset = NANOS_S};
	control->fleet = arena_alloc(&control->arena, sizeof(*control->fleet));
}

static void control_close(struct control *control)
{
	control_docs_free(control);
	arena_free(&control->arena);
}

/* Nodes answer, units start; nothing of it may leave its tables. */
static void live(struct control *control)
{
	struct fleet *fleet = control->fleet;
	struct fleet_order orders[8];

	for (nanos now = 1; now < 4; now++) {
		for (uint32_t n = 0; n < fleet->node_count; n++) {
			size_t count = fleet_orders(fleet, n, orders, 8);

			for (size_t i = 0; i < count; i++)
				fleet_done(fleet, n, &orders[i], now);
			fleet_report(fleet, n, 0, NULL, 0, now);
		}
		fleet_tick(fleet, now);
		fleet->saved = fleet->version;
	}
	for (uint32_t u = 0; u < fleet->unit_count; u++) {
		const struct unit *unit = &fleet->units[u];
		struct error e = {0};
		cJSON *body = NULL;

		if (unit->phase == UNIT_FREE || unit->node == FLEET_NONE)
			continue;
		assert(unit->node < fleet->node_count);
		assert(unit->gpu + unit->gpus <= fleet->nodes[unit->node].gpus);
		if (control_command(control, unit, &body, &e) == 0)
			cJSON_Delete(body);
	}
	cJSON_Delete(control_whole_json(control));
	cJSON_Delete(control_routes_json(control));
}

static void spec(const char *text, size_t size)
{
	struct control first, second;
	struct error e = {0};
	char *state;

	control_open(&first);
	if (control_spec_load(&first, text, size, 1, &e)) {
		assert(e.text[0]);
		control_close(&first);
		return;
	}
	live(&first);
	state = control_state_print(&first, 5);
	control_open(&second);
	assert(state && control_spec_load_nodes(&second, text, size, &e) == 0);
	assert(control_state_load(&second, state, strlen(state), 6, &e) == 0);
	live(&second);
	cJSON_free(state);
	control_close(&first);
	control_close(&second);
}

static void state(const char *text, size_t size)
{
	static const char nodes[] =
		"{\"workspace\":\"w\",\"nodes\":[{\"name\":\"n\",\"group\":\"g\","
		"\"agent\":\"127.0.0.1:1\",\"gpus\":8,\"port_base\":20000}]}";
	struct control control;
	struct error e = {0};

	control_open(&control);
	assert(control_spec_load_nodes(&control, nodes, strlen(nodes), &e) == 0);
	if (control_state_load(&control, text, size, 1, &e) == 0)
		live(&control);
	else
		assert(e.text[0]);
	control_close(&control);
}

static void manifest(const char *text, size_t size)
{
	struct checkpoint_manifest first, second;
	struct arena arena = {0};
	struct error e = {0};

	if (checkpoint_parse(text, size, &arena, &first, &e) == 0) {
		char *again = checkpoint_print(&first);

		assert(again && checkpoint_parse(again, strlen(again), &arena, &second, &e) == 0);
		assert(first.step == second.step && first.ranks == second.ranks);
		assert(memcmp(first.shards, second.shards,
			      first.ranks * sizeof(*first.shards)) == 0);
		cJSON_free(again);
	} else {
		assert(e.text[0]);
	}
	arena_free(&arena);
}

static void upload(const char *text, size_t size)
{
	const char *part = NULL;
	size_t length = 0;

	if (multipart_find("multipart/form-data; boundary=XX", text, size, "file", &part,
			   &length) == 0)
		assert(part >= text && part + length <= text + size);
}

static void words(const char *text)
{
	uint64_t from, count;
	uint32_t gpus;
	struct error e = {0};

	if (store_range(text, 1000, &from, &count) == 0)
		assert(count > 0 && from + count <= 1000);
	if (control_shape_gpus(text, &gpus, &e) == 0)
		assert(gpus <= FLEET_GPUS_MAX);
	store_key_good(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	spec(text, size);
	state(text, size);
	manifest(text, size);
	upload(text, size);
	words(text);
	free(text);
	return 0;
}
