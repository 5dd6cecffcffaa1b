/* SPDX-License-Identifier: Apache-2.0 */
/* Published failure rates, as rows of a scenario's `failures`: core/failures_presets.c. */
#ifndef CORE_FAILURES_H
#define CORE_FAILURES_H

#include "core/scenario.h"

struct failure_preset_row {
	const char *cause;  /* the name in the source's table */
	const char *fault;  /* of the catalogue */
	const char *params; /* its parameters as YAML, "" or NULL: as they are by default */
	double weight;      /* count in the source's table */
	const char *repair; /* as YAML; NULL: recovery.repair.time */
};

struct failure_preset {
	const char *name;
	double per_1000_node_days; /* of all rows together, shared out by weight */
	struct lemons lemons;
	const struct failure_preset_row *rows; /* ends with a NULL cause */
};

extern const struct failure_preset failure_presets[]; /* ends with a NULL name */
/* Their names, for tables of options; NULL-terminated, in the same order. */
extern const char *const failure_preset_names[];

#endif
