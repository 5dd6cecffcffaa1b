/* SPDX-License-Identifier: Apache-2.0 */
/* The fault trace of InfiniteHBD: JSON, a list of events that begin or end a fault of a server. */
#include <stdlib.h>
#include <string.h>

#include "core/param.h"
#include "core/trace_private.h"

struct event {
	const char *machine, *type, *cause; /* type: level, class and description in one */
	nanos at;
	bool starts;
	struct place place;
	size_t order; /* in the file */
	nanos ends;   /* of what it starts; NANOS_NEVER: the log does not say */
};

struct events {
	struct event *items;
	size_t count, capacity;
};

/* The value of a key that has to be there, a text; NULL with an error. */
static const struct yaml_node *read_text(struct trace_reader *r, const struct yaml_node *map,
					 const char *key)
{
	const struct yaml_node *node = yaml_get(map, key);

	if (!node) {
		error_set(r->error, ERROR_SCENARIO, map->place, "'%s' is missing here", key);
		return NULL;
	}
	if (node->kind != YAML_KIND_SCALAR || yaml_is_null(node)) {
		error_set(r->error, ERROR_SCENARIO, node->place, "'%s' is a text, not %s", key,
			  yaml_describe(node));
		return NULL;
	}
	if (node->length == 0 || node->length > TRACE_FIELD_MAX) {
		error_set(r->error, ERROR_SCENARIO, node->place,
			  "'%s' has %zu bytes; expected 1 to %d", key, node->length,
			  TRACE_FIELD_MAX);
		return NULL;
	}
	return node;
}

/* Days with a fraction, to the nearest nanosecond. */
static int read_days(struct trace_reader *r, const struct yaml_node *map, nanos *ret)
{
	const struct yaml_node *node = read_text(r, map, "event_time");
	char quoted[YAML_QUOTE_MAX];
	struct error e = {0};

	if (!node)
		return -1;
	if (node->text[0] < '0' || node->text[0] > '9' || node->text[node->length - 1] < '0' ||
	    node->text[node->length - 1] > '9' ||
	    quantity_duration(arena_printf(r->arena, "%sd", node->text), node->place, ret, &e))
		return error_set(r->error, ERROR_SCENARIO, node->place,
				 "'event_time' is '%s'; expected days as a number, 0 to 7300",
				 yaml_quote(node->text, quoted));
	return 0;
}

static int read_type(struct trace_reader *r, const struct yaml_node *item, struct event *event)
{
	const struct yaml_node *type = yaml_get(item, "fault_type"), *level, *class, *text;

	if (!type || type->kind != YAML_KIND_MAP)
		return error_set(r->error, ERROR_SCENARIO, type ? type->place : item->place,
				 "'fault_type' with Level, Class and Desc is expected here");
	level = read_text(r, type, "Level");
	class = level ? read_text(r, type, "Class") : NULL;
	text = class ? read_text(r, type, "Desc") : NULL;
	if (!text)
		return -1;
	event->type = arena_printf(r->arena, "%s\n%s\n%s", level->text, class->text, text->text);
	return trace_cause(r, class->text, class->place, &event->cause);
}

static int read_event(struct trace_reader *r, const struct yaml_node *item, struct events *events)
{
	const struct yaml_node *machine, *what;
	struct event event = {.place = item->place, .order = events->count, .ends = NANOS_NEVER};
	char quoted[YAML_QUOTE_MAX];

	if (item->kind != YAML_KIND_MAP)
		return error_set(r->error, ERROR_SCENARIO, item->place,
				 "an event is a mapping, not %s", yaml_describe(item));
	machine = read_text(r, item, "node_id");
	what = machine ? read_text(r, item, "event_type") : NULL;
	if (!what || read_days(r, item, &event.at))
		return -1;
	event.machine = machine->text;
	event.starts = yaml_is(what, "fault_start");
	if (!event.starts && !yaml_is(what, "fault_end"))
		return error_set(r->error, ERROR_SCENARIO, what->place,
				 "'event_type' is '%s'; expected fault_start or fault_end",
				 yaml_quote(what->text, quoted));
	if (read_type(r, item, &event))
		return -1;
	events->items = arena_grow(r->arena, events->items, events->count, &events->capacity,
				   sizeof(*events->items));
	events->items[events->count++] = event;
	return 0;
}

/* Of one machine and type together, by time; what begins before what ends, then as in the file. */
static int by_fault(const void *left, const void *right)
{
	const struct event *a = left, *b = right;
	int names = strcmp(a->machine, b->machine);

	if (names == 0)
		names = strcmp(a->type, b->type);
	if (names != 0)
		return names;
	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	if (a->starts != b->starts)
		return a->starts ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

static int by_order(const void *left, const void *right)
{
	const struct event *a = left, *b = right;

	return a->order < b->order ? -1 : a->order > b->order;
}

/* Each end belongs to the oldest fault of its machine and type that has none yet. */
static int pair_up(struct trace_reader *r, struct events *events)
{
	size_t open = 0; /* no start of the group before it waits for its end */

	for (size_t i = 0; i < events->count; i++) {
		struct event *event = &events->items[i];
		const struct event *before = i > 0 ? event - 1 : NULL;

		if (!before || strcmp(before->machine, event->machine) != 0 ||
		    strcmp(before->type, event->type) != 0)
			open = i;
		if (event->starts)
			continue;
		while (open < i && !events->items[open].starts)
			open++;
		if (open == i)
			return error_set(r->error, ERROR_SCENARIO, event->place,
					 "this fault_end has no fault_start of the same machine "
					 "and type before it");
		events->items[open++].ends = event->at;
	}
	return 0;
}

int trace_read_infinitehbd(struct trace_reader *r, const char *text, size_t size)
{
	struct events events = {0};
	struct yaml_node *root = NULL;

	if (yaml_parse(r->path, text, size, r->arena, &root, r->error) < 0)
		return -1;
	if (root->kind != YAML_KIND_LIST)
		return error_set(r->error, ERROR_SCENARIO, root->place,
				 "the log is a list of events, not %s", yaml_describe(root));
	for (const struct yaml_node *item = root->first; item; item = item->next)
		if (read_event(r, item, &events))
			return -1;
	if (events.count == 0)
		return 0;
	qsort(events.items, events.count, sizeof(*events.items), by_fault);
	if (pair_up(r, &events))
		return -1;
	qsort(events.items, events.count, sizeof(*events.items), by_order);
	for (size_t i = 0; i < events.count; i++) {
		const struct event *event = &events.items[i];
		nanos down = event->ends == NANOS_NEVER ? NANOS_NEVER : event->ends - event->at;

		if (event->starts && trace_add(r, (struct trace_entry){.name = event->machine,
								       .at = event->at,
								       .down = down,
								       .cause = event->cause,
								       .line = event->place.line}))
			return -1;
	}
	return 0;
}
