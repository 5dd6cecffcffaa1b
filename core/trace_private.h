/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers of the two formats hand to core/trace.c; nobody else includes this. */
#ifndef CORE_TRACE_PRIVATE_H
#define CORE_TRACE_PRIVATE_H

#include "core/trace.h"

/* One outage as the log has it. */
struct trace_entry {
	const char *name; /* of the machine */
	nanos at, down;   /* at: on the log's own clock */
	const char *cause;
	uint32_t line, order, machine; /* order: in the file */
};

struct trace_reader {
	const char *path;
	int64_t system; /* lanl: records of other systems are checked and left out; -1: none are */
	struct arena *arena;
	struct error *error;
	struct trace_entry *entries;
	size_t count, capacity;
	const char **causes; /* room for TRACE_CAUSES_MAX and the NULL */
	size_t cause_count;
};

int trace_add(struct trace_reader *reader, struct trace_entry entry);
/* The one copy of this cause's name. */
int trace_cause(struct trace_reader *reader, const char *text, struct place place,
		const char **ret_cause);

/* core/trace_lanl.c, core/trace_infinitehbd.c: 0, or -1 with reader->error set. */
int trace_read_lanl(struct trace_reader *reader, const char *text, size_t size);
int trace_read_infinitehbd(struct trace_reader *reader, const char *text, size_t size);

#endif
