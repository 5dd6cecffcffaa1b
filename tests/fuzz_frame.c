/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: any bytes as a frame of a TAP device. Its packets are together what it was, and none
 * is larger. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/linux/frame.h"

#define PARTS_MAX 64 /* of one frame that are looked at */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void cut(const uint8_t *bytes, uint32_t size, const struct frame_large *large)
{
	/* As large as promised and no larger: what writes past it is seen. */
	uint8_t *out = malloc(size);
	uint32_t payload = 0;

	assert(out && large->count > 1 && large->headers + large->payload == size);
	for (uint32_t i = 0; i < large->count; i++) {
		uint32_t wire = frame_wire_size(large, i);

		payload += wire + FRAME_HEADER - large->headers;
		if (i >= PARTS_MAX)
			continue;
		assert(frame_part(bytes, large, i, 1, out) == wire + FRAME_HEADER);
		frame_complete(out, wire + FRAME_HEADER);
	}
	assert(payload == large->payload);
	assert(frame_part(bytes, large, 0, large->count, out) == size);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame_large large;
	uint8_t *bytes;

	if (size > FRAME_MAX)
		return 0;
	if (frame_is_large(data, (uint32_t)size, &large))
		cut(data, (uint32_t)size, &large);
	bytes = malloc(size + 1);
	if (!bytes)
		return 0;
	memcpy(bytes, data, size);
	frame_complete(bytes, (uint32_t)size);
	free(bytes);
	return 0;
}
