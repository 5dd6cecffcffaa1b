/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: any bytes as an undo journal. What is taken from it is sound, and can be written and
 * read again; what is not is counted as damage, and never undone. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "drivers/host/journal_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_record(const struct journal *journal, size_t i)
{
	const struct undo *undo = &journal->records[i];
	struct error e = {0};
	size_t size = 0;
	char *text;

	assert(undo->number == i + 1 && undo->kind < UNDO_KINDS);
	if (journal->damaged > 0 && undo->done && !undo->path && undo->kind == UNDO_RUN)
		return; /* a hole */
	text = arena_alloc(journal->arena, JOURNAL_LINE_MAX + 1);
	assert(journal_print_undo(undo, text, &size, &e) == 0);
	assert(size > 0 && size <= JOURNAL_LINE_MAX && text[size - 1] == '\n');
	assert(!undo->path || journal_is_path(undo->path));
	assert(undo->pid >= 0);
}

static void check(const char *run, const char *text, size_t size)
{
	struct arena arena = {0};
	struct journal *journal;

	journal_parse(run, text, size, &arena, &journal);
	assert(journal->size <= size && journal->fd == -1);
	assert(size == journal->size || !memchr(text + journal->size, '\n', size - journal->size));
	assert((journal->damaged > 0) == (journal->damage != NULL));
	assert(journal->count <= JOURNAL_RECORDS_MAX);
	assert(journal_open_count(journal) <= journal->count);
	/* Without a header that can be read nothing is whole. */
	assert(journal->work || journal->damaged > 0 || journal->size == 0);
	for (size_t i = 0; i < journal->count && i < 100; i++)
		check_record(journal, i);
	arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {0};
	const char *begin = (const char *)data, *end = begin + size;
	char *text = arena_alloc(&arena, (size + 1) * (JOURNAL_CLOSING_MAX + 1));
	size_t length = 0;

	check("fuzz", begin, size);
	/* The same lines with checksums that match: what no fuzzer would find by itself. */
	while (begin < end) {
		const char *newline = memchr(begin, '\n', (size_t)(end - begin));
		size_t line = (size_t)((newline ? newline : end) - begin);

		memcpy(text + length, begin, line);
		length += journal_close_line(text + length, line);
		begin += line + 1;
	}
	check("fuzz", text, length);
	arena_free(&arena);
	return 0;
}
