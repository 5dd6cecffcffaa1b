/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: any bytes as profile.yaml. What is accepted gives rows that can be drawn from, and a
 * text that is read as the same; what is refused has a place and a text. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "core/calibration.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct calibration *c, struct arena *arena)
{
	struct calibration *again = NULL;
	struct calibration_row row;
	struct error e = {0};
	const char *text = calibration_text(c, arena);
	double factor;
	nanos more;
	int result = calibration_parse("again", text, strlen(text), arena, &again, &e);

	assert(c->count > 0 && c->count <= CALIBRATION_RUNS_MAX);
	assert(c->scale.time_scale > 0 && c->scale.bytes_scale > 0);
	assert(result == 0 && strcmp(text, calibration_text(again, arena)) == 0);
	for (uint64_t trial = 0; trial < 8; trial++) {
		calibration_draw(c, 1, trial, &row);
		calibration_transfer(c->restore_time, c->restore_modelled[0],
				     row.by[RESIDUAL_RESTORE_MODEL], &factor, &more);
		assert(factor >= 0 && more >= 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {0};
	struct calibration *c = NULL;
	struct error e = {0};
	int result = calibration_parse("fuzz", (const char *)data, size, &arena, &c, &e);

	assert((result == 0) == (c != NULL));
	if (c)
		check(c, &arena);
	else
		assert(e.kind != ERROR_NONE && e.text[0] && strlen(e.text) < ERROR_TEXT_MAX);
	arena_free(&arena);
	return 0;
}
