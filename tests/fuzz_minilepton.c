/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: any bytes as a record, as a line of a log, as routes, as a plan of a process, as a
 * path. What is accepted is within its limits; what is refused has a text. */
#include <assert.h>
#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sim/minilepton/http.h"
#include "sim/minilepton/node.h"
#include "sim/minilepton/record.h"
#include "sim/minilepton/routes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_record(const char *text, size_t size)
{
	struct record record, again;
	struct error e = {0};
	char *line;
	size_t length;

	if (record_parse_body(text, size, &record, &e) == 0)
		assert(record.crc_fits && !record.answer);
	else
		assert(e.kind == ERROR_USAGE && e.text[0]);
	if (record_parse_line(text, size, &record, NULL))
		return;
	assert(record.seq <= RECORD_SEQ_MAX && record.payload_size <= RECORD_PAYLOAD_MAX);
	assert(record.key_size >= 1 && record.key_size <= RECORD_KEY_MAX);
	line = malloc(RECORD_HEAD_MAX + record.payload_size);
	assert(line);
	length = record_print(&record, line);
	assert(length <= RECORD_HEAD_MAX + record.payload_size && line[length - 1] == '\n');
	/* What is printed is read as the same, unless it says that it is bad. */
	if (record.crc_fits) {
		int rc = record_parse_line(line, length - 1, &again, NULL);

		assert(rc == 0 && again.seq == record.seq && again.epoch == record.epoch);
		assert(again.crc_fits && again.payload_size == record.payload_size);
	}
	free(line);
}

static void check_routes(const char *text, size_t size)
{
	struct arena arena = {0};
	struct routes routes;
	struct error e = {0};

	if (routes_parse(text, size, &arena, &routes, &e)) {
		assert(e.kind != ERROR_NONE && e.text[0]);
	} else {
		assert(routes.endpoint_count <= ROUTES_ENDPOINTS_MAX);
		for (size_t i = 0; i < routes.endpoint_count; i++) {
			const struct routes_endpoint *endpoint = &routes.endpoints[i];

			assert(endpoint->interval > 0 && endpoint->timeout > 0);
			assert(endpoint->retries <= ROUTES_RETRIES_MAX && endpoint->misses > 0);
			assert(strlen(endpoint->name) <= ROUTES_TEXT_MAX);
			for (size_t j = 0; j < endpoint->deployment_count; j++)
				assert(endpoint->deployments[j].weight <= ROUTES_WEIGHT_MAX);
		}
	}
	arena_free(&arena);
}

static void check_plan(const char *text, size_t size)
{
	struct arena arena = {0};
	struct task_plan plan;
	struct error e = {0};

	if (task_plan_parse(text, size, &arena, &plan, &e))
		assert(e.kind != ERROR_NONE && e.text[0]);
	else
		assert(plan.id[0] && plan.argv[0] && plan.argv[0][0]);
	arena_free(&arena);
}

static void check_path(const char *text, size_t size)
{
	static const char *const patterns[] = {"/*/predict", "/o/**", "/a/*/b/*", "/"};
	struct arena arena = {0};
	char *path = arena_strndup(&arena, text, size);

	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		const char *parts[HTTP_PARTS_MAX] = {NULL};

		if (http_path_fits(patterns[i], path, &arena, parts))
			assert(!strchr(patterns[i], '*') || parts[0][0]);
	}
	assert(!http_token_fits(path, "a token that no corpus has"));
	arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;

	check_record(text, size);
	check_routes(text, size);
	check_plan(text, size);
	check_path(text, size);
	return 0;
}
