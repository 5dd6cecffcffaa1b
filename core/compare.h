/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two runs, two scenarios, or a prediction and what was measured then, side by side. Each way of
 * comparing builds one JSON document (schema drsim/compare/v1) and prints it as a table from there,
 * so that both say the same.
 */
#ifndef CORE_COMPARE_H
#define CORE_COMPARE_H

#include <stdint.h>
#include <stdio.h>

#include "core/arena.h"
#include "core/error.h"
#include "core/scenario.h"

struct cJSON;

#define COMPARE_MEASURED_MAX 1000 /* drills beside one prediction */
#define COMPARE_TRIALS_MAX 100000

/* A run folder that was read. */
struct compare_run {
	const char *folder;
	struct cJSON *record;         /* parsed and checked; the caller deletes it */
	const struct yaml_node *tree; /* of its scenario.yaml; NULL: there is none */
};

/* Reads record.json and scenario.yaml of a run folder. Errors name file and line. */
int compare_load(const char *folder, struct arena *arena, struct compare_run *ret, struct error *e);

/* The documents; the caller deletes them. */
struct cJSON *compare_runs(const struct compare_run *a, const struct compare_run *b,
			   struct arena *arena);
/* `prediction` is a campaign. For FRT and its phases: mean and 90 % interval of the campaign beside
 * each measured value, which of them lie inside, and how wide the interval is against the spread of
 * what was measured. */
struct cJSON *compare_prediction(const struct compare_run *prediction,
				 const struct compare_run *measured, size_t count,
				 struct arena *arena);
/*
 * Both on the simulator with the same random numbers, `trials` each: the mean of the paired
 * differences b - a of each measure with its 95 % interval (stats_paired_of).
 */
int compare_scenarios(const struct scenario *a, const struct scenario *b, uint64_t seed,
		      uint64_t trials, struct arena *arena, struct cJSON **ret, struct error *e);

/* The document as a table for people. */
void compare_print(const struct cJSON *document, FILE *out);
/* The document itself. */
void compare_print_json(const struct cJSON *document, FILE *out);

#endif
