/* SPDX-License-Identifier: Apache-2.0 */
/* Long lists of a record, cut for people: the first few by weight. */
#include "reports/ranked.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "reports/view.h"

void ranked_fill(struct ranked *ranked, const cJSON *array, size_t most,
		 double (*weigh)(const cJSON *item))
{
	const cJSON *item;

	assert(most > 0 && most <= RANKED_MAX);
	ranked->count = ranked->total = 0;
	cJSON_ArrayForEach (item, array) {
		size_t at = ranked->count, index = ranked->total++;
		double weight = weigh(item);

		while (at > 0 && weight > ranked->rows[at - 1].weight)
			at--;
		if (at == most)
			continue;
		if (ranked->count < most)
			ranked->count++;
		memmove(&ranked->rows[at + 1], &ranked->rows[at],
			(ranked->count - at - 1) * sizeof(ranked->rows[0]));
		ranked->rows[at].item = item;
		ranked->rows[at].index = index;
		ranked->rows[at].weight = weight;
	}
}

double ranked_incident(const cJSON *incident)
{
	double frt = view_real(incident, "frt_ns");

	if (view_is(incident, "path", "false_alarm"))
		return -1;
	return isnan(frt) ? INFINITY : frt;
}

double ranked_fault(const cJSON *fault)
{
	return cJSON_GetArraySize(view_get(fault, "residue")) > 0 ? 4
	       : view_bool(fault, "reverted") == 0                ? 3
	       : view_bool(fault, "effective") == 0               ? 2
	       : view_bool(fault, "applied") == 0                 ? 1
								  : 0;
}

double ranked_finding(const cJSON *finding)
{
	double seconds = view_real(finding, "seconds");

	if (isfinite(seconds))
		return seconds;
	return view_is(finding, "severity", "high")     ? INFINITY
	       : view_is(finding, "severity", "medium") ? -1
	       : view_is(finding, "severity", "low")    ? -2
							: -3;
}
