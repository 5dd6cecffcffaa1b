/* SPDX-License-Identifier: Apache-2.0 */
/* What the whole drill comes to: the worst of its incidents, its bad time, its unprotected time. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/run_private.h"

/* Endpoints, then jobs. */
static size_t services(const struct run *run)
{
	return run->scenario->deployment.endpoint_count + run->scenario->deployment.job_count;
}

void measure_end_bad_time(struct run *run, size_t endpoint, nanos to)
{
	run->bad = arena_grow(&run->trial, run->bad, run->bad_count, &run->bad_capacity,
			      sizeof(*run->bad));
	run->bad[run->bad_count++] = (struct bad_time){run->bad_since[endpoint], to};
	run->bad_since[endpoint] = NANOS_NEVER;
}

void measure_reset(struct run *run)
{
	run->incidents = NULL;
	run->incident_count = run->incident_capacity = 0;
	run->lost_records = 0;
	run->held = 0;
	run->bad = NULL;
	run->bad_count = run->bad_capacity = 0;
	run->bad_since = arena_array(&run->trial, services(run) + 1, sizeof(*run->bad_since));
	for (size_t i = 0; i < services(run); i++)
		run->bad_since[i] = NANOS_NEVER;
	for (size_t p = 0; p < run->place_count; p++)
		run->places[p] = (struct place_state){.incident = -1, .calm = true};
	for (size_t g = 0; g < SCENARIO_GUARDS_MAX; g++)
		run->guards[g].since = NANOS_NEVER;
}

void measure_end(struct run *run)
{
	for (size_t i = 0; i < services(run); i++)
		if (run->bad_since[i] != NANOS_NEVER)
			measure_end_bad_time(run, i, run->now);
}

/* From the first fault to redundancy restored, over all incidents; where two overlap the time
 * counts once. They are in order of opening. */
static double unprotected_time(const struct run *run)
{
	nanos sum = 0, covered = 0;
	for (size_t i = 0; i < run->incident_count; i++) {
		const struct incident *incident = &run->incidents[i];
		nanos from = incident->opened, to = incident->marks[MARK_NORMAL];
		if (incident->marks[MARK_FAULT] == NANOS_NEVER)
			continue;
		if (to == NANOS_NEVER)
			to = incident->closed;
		from = from > covered ? from : covered;
		if (to <= from)
			continue;
		sum += to - from;
		covered = to;
	}
	return (double)sum / 1e9;
}

/* By chance or from a log something may break just before the end. */
static bool is_long_run(const struct scenario *scenario)
{
	bool traced = false;
	for (size_t i = 0; i < scenario->step_count; i++)
		traced |= scenario->steps[i].when == WHEN_TRACE;
	return traced || scenario->failure_count > 0;
}

/* So long it took at least. What is not recovered from took longer than anything, but for what a
 * long run has no time left to mend: that counts by how long it has lasted so far. */
static nanos length_of(const struct run *run, const struct incident *incident, bool cut_short)
{
	if (incident->frt == NANOS_NEVER && cut_short && !incident->silent)
		return run->now - incident->marks[MARK_FAULT];
	return incident->frt;
}

static void find_headline(const struct run *run, struct record *record)
{
	bool cut_short = is_long_run(run->scenario);
	record->headline = -1;
	for (size_t i = 0; i < run->incident_count; i++) {
		const struct incident *incident = &run->incidents[i];
		const struct incident *best =
			record->headline < 0 ? NULL : &run->incidents[record->headline];
		if (incident->path == PATH_FALSE_ALARM)
			continue;
		if (!best || length_of(run, incident, cut_short) > length_of(run, best, cut_short))
			record->headline = (int)i;
	}
}

static void worst_brp(const struct run *run, struct record *record)
{
	struct brp *worst = &record->brp;
	memset(worst, 0, sizeof(*worst));
	worst->known = true;
	for (size_t i = 0; i < run->incident_count; i++) {
		const struct brp *brp = &run->incidents[i].brp;
		worst->known = worst->known && brp->known;
		worst->seconds = fmax(worst->seconds, brp->seconds);
		worst->bytes = brp->bytes > worst->bytes ? brp->bytes : worst->bytes;
		worst->records = brp->records > worst->records ? brp->records : worst->records;
		for (int c = 0; c < DATA_CLASSES; c++) {
			if (!brp->by_class[c].known)
				continue;
			worst->by_class[c].known = true;
			worst->by_class[c].seconds =
				fmax(worst->by_class[c].seconds, brp->by_class[c].seconds);
			if (brp->by_class[c].bytes > worst->by_class[c].bytes)
				worst->by_class[c].bytes = brp->by_class[c].bytes;
			if (brp->by_class[c].records > worst->by_class[c].records)
				worst->by_class[c].records = brp->by_class[c].records;
		}
	}
}

static int compare_bad_times(const void *left, const void *right)
{
	const struct bad_time *a = left, *b = right;
	if (a->from != b->from)
		return a->from < b->from ? -1 : 1;
	return (a->to > b->to) - (a->to < b->to);
}

/* The union of what was bad, its longest stretch, and from its first to its last instant. */
static void measure_bad_time(struct run *run, struct record *record)
{
	nanos sum = 0, covered = 0, last = 0, began = 0, longest = 0;
	if (run->bad_count > 0)
		qsort(run->bad, run->bad_count, sizeof(*run->bad), compare_bad_times);
	for (size_t i = 0; i < run->bad_count; i++) {
		nanos from = run->bad[i].from > covered ? run->bad[i].from : covered;
		last = run->bad[i].to > last ? run->bad[i].to : last;
		if (run->bad[i].to <= from)
			continue;
		if (from > covered || covered == 0)
			began = from; /* a gap: another stretch */
		sum += run->bad[i].to - from;
		covered = run->bad[i].to;
		longest = covered - began > longest ? covered - began : longest;
	}
	record->longest_bad_s = (double)longest / 1e9;
	record->bad_s = (double)sum / 1e9;
	record->span_s = run->bad_count > 0 ? (double)(last - run->bad[0].from) / 1e9 : 0;
	record->availability_time = run->now > 0 ? 1 - (double)sum / (double)run->now : NAN;
}

void measure_drill(struct run *run, struct record *record)
{
	record->incidents = run->incidents;
	record->incident_count = run->incident_count;
	find_headline(run, record);
	worst_brp(run, record);
	measure_bad_time(run, record);
	record->unprotected_s = unprotected_time(run);
}
