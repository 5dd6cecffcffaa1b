/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long each thing took in one drill, read from its record and its events: what calibration
 * holds against the simulator.
 */
#ifndef CORE_OBSERVE_H
#define CORE_OBSERVE_H

#include "core/arena.h"
#include "core/calibration.h"
#include "core/record.h"

struct cJSON;

#define OBSERVE_BACKUPS_MAX 1000 /* looked at in one run; later ones say nothing new */

/* Of the headline incident; NANOS_NEVER where the drill did not have it. */
struct observation {
	nanos frt;
	nanos marks[MARKS];
	const char *path;      /* "failover" … */
	nanos took[RESIDUALS]; /* the mean where it happened more than once */
	nanos *backups;        /* of each backup by its id; NANOS_NEVER: it did not end well */
	size_t backup_count;
	double backup_rate, restore_rate; /* bytes/s, NAN: none; restores from the store alone */
};

/*
 * `record` is the parsed record.json, `events` the array of its events (report_load), `scenario`
 * what was drilled, at the drill's scale. Fails with ERROR_UNAVAILABLE when the drill recovered
 * from nothing.
 */
int observe_record(const struct cJSON *record, const struct cJSON *events,
		   const struct scenario *scenario, struct arena *arena, struct observation *ret,
		   struct error *e);
/* The same of a drill that was just run: `events` is the text of its timeline. */
int observe_run(const struct record *record, const char *events, struct arena *arena,
		struct observation *ret, struct error *e);

#endif
