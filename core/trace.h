/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logs of real failures, read to be replayed: who broke when, why, and for how long.
 *
 * Two formats:
 *   lanl         CSV as in the failure data of Los Alamos (LA-UR-05-7318). Columns are found by
 *                their names. A machine is a node of a system; how long it was down stands in
 *                "Down Time", in minutes (only where that is empty, "Prob Fixed" - "Prob Started"
 *                counts: the two differ in some hundred rows, by an hour where clocks were set
 *                forward or back in between); the cause is the name of the one cause column that
 *                is filled, "not named" when none is.
 *   infinitehbd  JSON as in StepFun's InfiniteHBD-Trace: a list of events in days. A fault_start
 *                ends with the first fault_end of the same machine and type after it; one that
 *                has none lasts to the end. The cause is the Class. JSON is read as the YAML it
 *                is part of: that reader knows lines and columns, and has limits.
 *
 * Nothing in a file is trusted: each field is checked, and no order is assumed.
 */
#ifndef CORE_TRACE_H
#define CORE_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/error.h"

/* Named limits of a log; past one comes an error with a place. */
#define TRACE_FILE_MAX ((size_t)16 << 20) /* bytes; the LANL log has 3 MB */
#define TRACE_RECORDS_MAX 100000          /* as many as there may be injections in a run */
#define TRACE_FIELDS_MAX 64               /* columns of a CSV */
#define TRACE_FIELD_MAX 4096              /* bytes of one field */
#define TRACE_CAUSES_MAX 256              /* different ones in a file */

enum trace_format {
	TRACE_LANL,
	TRACE_INFINITEHBD,
	TRACE_FORMATS
};
extern const char *const trace_format_names[TRACE_FORMATS + 1]; /* "lanl", …, NULL */

#define TRACE_NOT_NAMED "not named" /* the cause of a record that gives none */

/* Which records are taken. */
struct trace_filter {
	int64_t system;    /* lanl: that system's only; -1: all */
	const char *cause; /* only what has this cause; NULL: all */
};

struct trace_record {
	nanos at;         /* since the earliest record of the file, or of the one system taken */
	nanos down;       /* how long; NANOS_NEVER: to the end */
	uint32_t machine; /* the k-th different one of the file or system, from 0, as they come */
	uint32_t line;    /* of the file, from 1 */
	const char *cause;
};

struct trace {
	const char *path;
	const struct trace_record *records; /* by time, at one instant as in the file */
	size_t count;
	uint32_t machines;         /* different ones, whatever their cause */
	const char *const *causes; /* different ones, as they appear, NULL-terminated; whatever was
				      asked for */
	size_t cause_count;
};

/*
 * Read the text of a log; `path` is for messages and must outlive the trace. The filter by cause
 * moves neither the origin of time nor the numbers of machines, so that several steps can share one
 * log, each with its own cause. Fails with a place in the file: ERROR_SCENARIO or ERROR_LIMIT. A
 * log without a record that the filter takes is no error: count is 0.
 */
int trace_parse(const char *path, const char *text, size_t size, enum trace_format format,
		const struct trace_filter *filter, struct arena *arena, struct trace **ret_trace,
		struct error *e);

#endif
