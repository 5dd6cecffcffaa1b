/* SPDX-License-Identifier: Apache-2.0 */
/* Long lists of a record, cut for people: the first few by weight. */
#ifndef REPORTS_RANKED_H
#define REPORTS_RANKED_H

#include <cjson/cJSON.h>
#include <stddef.h>

#define RANKED_MAX 100

struct ranked {
	struct {
		const cJSON *item;
		size_t index; /* in the array, from 0 */
		double weight;
	} rows[RANKED_MAX];
	size_t count, total; /* rows; items of the array */
};

/* The `most` (at most RANKED_MAX) weightiest of the array, equal ones in its order. NULL: none. */
void ranked_fill(struct ranked *ranked, const cJSON *array, size_t most,
		 double (*weigh)(const cJSON *item));
/* Of incidents: the longest FRT, what was not recovered before all; false alarms last. */
double ranked_incident(const cJSON *incident);
/* Of faults: what went wrong with the fault itself, which was not taken back, or had no effect. */
double ranked_fault(const cJSON *fault);
/* Of findings: by seconds; without seconds the grave ones come first and the others last. */
double ranked_finding(const cJSON *finding);

#endif
