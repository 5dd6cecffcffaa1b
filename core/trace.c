/* SPDX-License-Identifier: Apache-2.0 */
/* Logs of real failures: what both formats share. Machines are numbered, times counted from the
 * first record, what was not asked for is left out. */
#include "core/trace.h"

#include <stdlib.h>
#include <string.h>

#include "core/trace_private.h"

const char *const trace_format_names[TRACE_FORMATS + 1] = {"lanl", "infinitehbd", NULL};

int trace_cause(struct trace_reader *r, const char *text, struct place place,
		const char **ret_cause)
{
	for (size_t i = 0; i < r->cause_count; i++)
		if (strcmp(r->causes[i], text) == 0) {
			*ret_cause = r->causes[i];
			return 0;
		}
	if (r->cause_count == TRACE_CAUSES_MAX)
		return error_set(r->error, ERROR_LIMIT, place, "more than %d different causes",
				 TRACE_CAUSES_MAX);
	*ret_cause = r->causes[r->cause_count++] = arena_strdup(r->arena, text);
	return 0;
}

int trace_add(struct trace_reader *r, struct trace_entry entry)
{
	struct place place = {r->path, entry.line, 1};

	if (r->count == TRACE_RECORDS_MAX)
		return error_set(r->error, ERROR_LIMIT, place, "more than %d records",
				 TRACE_RECORDS_MAX);
	r->entries = arena_grow(r->arena, r->entries, r->count, &r->capacity, sizeof(*r->entries));
	entry.order = (uint32_t)r->count;
	r->entries[r->count++] = entry;
	return 0;
}

static int compare_order(const struct trace_entry *a, const struct trace_entry *b)
{
	return a->order < b->order ? -1 : a->order > b->order;
}

static int by_machine(const void *left, const void *right)
{
	const struct trace_entry *a = left, *b = right;
	int names = strcmp(a->name, b->name);

	return names != 0 ? names : compare_order(a, b);
}

static int by_order(const void *left, const void *right)
{
	return compare_order(left, right);
}

static int by_time(const void *left, const void *right)
{
	const struct trace_entry *a = left, *b = right;

	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	return compare_order(a, b);
}

/* Numbers the machines as they appear in the file: sorted by name, the first of each name knows
 * where that was. A table of hashes would do it faster, but not with every file. */
static uint32_t number_machines(struct trace_reader *r)
{
	uint32_t *number = arena_array(r->arena, r->count + 1, sizeof(*number)), next = 0;

	qsort(r->entries, r->count, sizeof(*r->entries), by_machine);
	for (size_t i = 0, first = 0; i < r->count; i++) {
		if (strcmp(r->entries[first].name, r->entries[i].name) != 0)
			first = i;
		r->entries[i].machine = r->entries[first].order;
	}
	qsort(r->entries, r->count, sizeof(*r->entries), by_order);
	for (size_t i = 0; i < r->count; i++) {
		struct trace_entry *entry = &r->entries[i];

		if (entry->machine == entry->order)
			number[i] = next++;
		entry->machine = number[entry->machine];
	}
	return next;
}

static struct trace *finish(struct trace_reader *r, const struct trace_filter *filter)
{
	struct trace *trace = arena_alloc(r->arena, sizeof(*trace));
	struct trace_record *records = arena_array(r->arena, r->count + 1, sizeof(*records));

	trace->path = r->path;
	trace->records = records;
	trace->causes = r->causes;
	trace->cause_count = r->cause_count;
	if (r->count == 0)
		return trace;
	trace->machines = number_machines(r);
	qsort(r->entries, r->count, sizeof(*r->entries), by_time);
	for (size_t i = 0; i < r->count; i++) {
		const struct trace_entry *entry = &r->entries[i];

		if (filter->cause && strcmp(filter->cause, entry->cause) != 0)
			continue;
		records[trace->count++] = (struct trace_record){.at = entry->at - r->entries[0].at,
								.down = entry->down,
								.machine = entry->machine,
								.line = entry->line,
								.cause = entry->cause};
	}
	return trace;
}

int trace_parse(const char *path, const char *text, size_t size, enum trace_format format,
		const struct trace_filter *filter, struct arena *arena, struct trace **ret_trace,
		struct error *e)
{
	struct trace_reader reader = {
		.path = path, .system = filter->system, .arena = arena, .error = e};
	int failed = -1;

	reader.causes = arena_array(arena, TRACE_CAUSES_MAX + 1, sizeof(*reader.causes));
	if (size > TRACE_FILE_MAX)
		return error_set(e, ERROR_LIMIT, (struct place){path, 1, 1},
				 "a log has %zu bytes at most, this one %zu", TRACE_FILE_MAX, size);
	switch (format) {
	case TRACE_LANL:
		failed = trace_read_lanl(&reader, text, size);
		break;
	case TRACE_INFINITEHBD:
		failed = trace_read_infinitehbd(&reader, text, size);
		break;
	case TRACE_FORMATS:
		break;
	}
	if (failed)
		return -1;
	*ret_trace = finish(&reader, filter);
	return 0;
}
