/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: any bytes as a capture. What is read from it keeps its order and its limits. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "drivers/host/capture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_request *requests = NULL;
	struct arena arena = {0};
	struct error e = {0};
	size_t count = 0;
	FILE *file;

	if (size == 0)
		return 0;
	file = fmemopen((void *)(uintptr_t)data, size, "rb");
	if (!file)
		return 0;
	if (wire_read_file(file, "fuzz", &arena, &requests, &count, &e)) {
		assert(e.kind != ERROR_NONE && e.text[0]);
	} else {
		assert(count == 0 || requests);
		/* A request takes more than its header in the file. */
		assert(count <= size / strlen("POST \r\nX-Seq: 0-0\r"));
		for (size_t i = 0; i < count; i++) {
			const struct wire_request *request = &requests[i];

			assert((request->status == 0) == (request->answered == NANOS_NEVER));
			assert(request->status == 0 ||
			       (request->status >= 200 && request->status <= 999));
		}
	}
	arena_free(&arena);
	return 0;
}
