/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: any bytes as a scenario. No file is read, memory stays bounded, errors have a place
 * and a text. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "core/scenario.h"

#define ERRORS_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {0};
	struct scenario *scenario = NULL, *again = NULL;
	struct error errors[ERRORS_MAX] = {{0}};
	size_t count = 0;
	const char *set = "seed=7";
	int result = scenario_parse("fuzz.yaml", (const char *)data, size, NULL, 0, &arena,
				    &scenario, errors, ERRORS_MAX, &count);

	assert((result == 0) == (count == 0));
	assert((result == 0) == (scenario != NULL));
	for (size_t i = 0; i < count; i++) {
		assert(errors[i].kind != ERROR_NONE && errors[i].text[0] != '\0');
		assert(strlen(errors[i].text) < ERROR_TEXT_MAX - 1);
		assert(errors[i].place.line > 0 && errors[i].place.column > 0);
	}
	/* What is accepted is accepted again as it is written back. */
	if (scenario) {
		result = scenario_parse("fuzz.yaml", (const char *)data, size, &set, 1, &arena,
					&again, errors, ERRORS_MAX, &count);
		assert(result == 0);
		result = scenario_parse("again.yaml", again->text, again->text_size, NULL, 0,
					&arena, &scenario, errors, ERRORS_MAX, &count);
		assert(result == 0 && scenario->seed == 7);
		/* And can be played at its own scale, and at the smallest. */
		result = scenario_scale(scenario, scenario->process.time_scale,
					scenario->process.bytes_scale, &arena, &again, errors);
		assert(result == 0 && again->duration > 0);
		result = scenario_scale(scenario, 1e-6, 1e-15, &arena, &again, errors);
		assert(result == 0 && again->duration > 0);
	}
	arena_free(&arena);
	return 0;
}
