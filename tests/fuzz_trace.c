/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: any bytes as a log of failures, in each format. What is accepted is in order and
 * within its limits; what is refused has a place and a text. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "core/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct trace *trace)
{
	nanos before = 0;

	assert(trace->count <= TRACE_RECORDS_MAX && trace->cause_count <= TRACE_CAUSES_MAX);
	assert(!trace->causes[trace->cause_count]);
	for (size_t i = 0; i < trace->count; i++) {
		const struct trace_record *record = &trace->records[i];

		assert(record->at >= before && record->down >= 0);
		assert(record->machine < trace->machines && record->line > 0);
		assert(record->cause && record->cause[0]);
		before = record->at;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct trace_filter all = {.system = -1}, one = {.system = 1};

	for (int format = 0; format < TRACE_FORMATS; format++) {
		struct arena arena = {0};
		struct trace *trace = NULL, *part = NULL;
		struct error e = {0};
		int result = trace_parse("fuzz", (const char *)data, size,
					 (enum trace_format)format, &all, &arena, &trace, &e);

		assert((result == 0) == (trace != NULL));
		if (trace) {
			check(trace);
			result = trace_parse("fuzz", (const char *)data, size,
					     (enum trace_format)format, &one, &arena, &part, &e);
			assert(result == 0 && part->count <= trace->count);
			check(part);
		} else {
			assert(e.kind != ERROR_NONE && e.text[0] && e.place.line > 0);
			assert(strlen(e.text) < ERROR_TEXT_MAX - 1);
		}
		arena_free(&arena);
	}
	return 0;
}
