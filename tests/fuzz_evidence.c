/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: what begins with a brace is a record, anything else a mapping of controls. Whatever
 * it holds, a page comes of it, or an error with a text. */
#include <assert.h>
#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "reports/evidence.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char mapping[] =
	"apiVersion: drsim/controls/v1\n"
	"frameworks:\n"
	"  - id: x\n"
	"    title: X\n"
	"    controls:\n"
	"      - {id: A, title: a, asks: b, period: 12 months, not_shown: [c], fields: [drill, "
	"drill.plan.version, drill.scope.systems, drill.participants.independent, drill.signoff, "
	"objectives, objectives.met, faults, timeline, findings, incidents, metrics.brp, "
	"metrics.frt_s, backup.consistent_as_of_ns, integrity, requests.sent, clock]}\n";
static const char record[] = "{\"drill\":{\"kind\":\"injected\",\"sham\":false,\"name\":\"n\","
			     "\"started\":\"2026-01-31\"},"
			     "\"verdict\":\"passed\"}";

static struct controls *parse_mapping(const char *text, size_t size, struct arena *arena)
{
	struct controls *controls = NULL;
	struct error errors[4] = {0};
	size_t count = 0;
	int result = controls_parse("fuzz", text, size, arena, &controls, errors, 4, &count);

	assert((result == 0) == (controls != NULL) && (result == 0) == (count == 0));
	assert(count == 0 || errors[0].text[0]);
	return controls;
}

static void make_page(const struct controls *controls, const struct framework *framework,
		      const cJSON *root)
{
	struct evidence_drill drill = {.folder = "<run>", .record = root};
	struct evidence evidence = {.controls = controls,
				    .framework = framework,
				    .drills = &drill,
				    .drill_count = 1,
				    .today = 20500};
	char *text = NULL;
	size_t size = 0;
	FILE *page = open_memstream(&text, &size);

	assert(page);
	evidence_sort(&evidence);
	evidence_page(page, &evidence);
	fclose(page);
	assert(strstr(text, "</html>") && !strstr(text, "<script"));
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool is_record = size > 0 && data[0] == '{';
	struct arena arena = {0};
	const struct controls *controls = is_record
						  ? parse_mapping(mapping, strlen(mapping), &arena)
						  : parse_mapping((const char *)data, size, &arena);
	cJSON *root =
		is_record ? cJSON_ParseWithLength((const char *)data, size) : cJSON_Parse(record);

	for (size_t i = 0; controls && root && i < controls->framework_count; i++)
		make_page(controls, &controls->frameworks[i], root);
	cJSON_Delete(root);
	arena_free(&arena);
	return 0;
}
