/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: any bytes as what a command or a server says: answers, data and records, in pieces
 * of a size that the first byte gives. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/host/adapter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool within(const char *part, size_t part_length, const char *line, size_t length)
{
	return part >= line && part + part_length <= line + length;
}

static void check_found(const struct ledger_found *found, const char *line, size_t length)
{
	assert(within(found->key, found->key_length, line, length));
	assert(within(found->payload, found->length, line, length));
	assert(!found->readable || ledger_crc32c(found->payload, found->length) == found->crc);
}

static void check_line(const char *line, size_t length)
{
	struct adapter_answer answer;
	struct ledger_found found;

	for (int tagged = 0; tagged < 2; tagged++) {
		if (adapter_parse_answer(line, length, tagged, &answer))
			continue;
		assert(within(answer.text, answer.length, line, length));
		assert(answer.kind != ADAPTER_DATA || answer.length > 0);
		if (answer.kind == ADAPTER_DATA &&
		    adapter_parse_data(answer.text, answer.length, &found) == 0)
			check_found(&found, answer.text, answer.length);
	}
	if (adapter_parse_data(line, length, &found) == 0)
		check_found(&found, line, length);
	if (adapter_parse_record(line, length, &found) == 0)
		check_found(&found, line, length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct adapter_lines lines = {.buffer = malloc(ADAPTER_LINE_MAX + 1)};
	size_t step = size ? (size_t)data[0] + 1 : 1, total = 0, taken = 0;

	for (size_t i = 1; i < size && lines.buffer;) {
		size_t length, room, n = size - i < step ? size - i : step;
		char *at, *line;

		room = adapter_room(&lines, &at);
		if (room == 0)
			break;
		if (n > room)
			n = room;
		memcpy(at, data + i, n);
		lines.length += n;
		total += n;
		i += n;
		while ((line = adapter_line(&lines, &length))) {
			check_line(line, length);
			taken += length + 1;
		}
	}
	assert(taken + lines.length == total);
	free(lines.buffer);
	return 0;
}
