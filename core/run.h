/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run loop: one straight line, the same for simulated and real time. The next of {step, revert,
 * probe, controller deadline, end}; wait for it; do it; write it down. At one instant: faults, then
 * probes, then backups. On any exit the undo stack unwinds, last in first out.
 */
#ifndef CORE_RUN_H
#define CORE_RUN_H

#include <signal.h>
#include <stdbool.h>

#include "core/driver.h"
#include "core/record.h"
#include "core/scenario.h"

/* Where the recovery of what is broken is, in the order of its cycle. */
enum run_phase {
	PHASE_OF_NORMAL, /* nothing is broken */
	PHASE_OF_DETECTION,
	PHASE_OF_DECISION,
	PHASE_OF_SWITCH,
	PHASE_OF_DATA_RECOVERY,
	PHASE_OF_READINESS,
	PHASE_OF_REPAIR,
	PHASE_OF_FAILBACK,
};
extern const char *const run_phase_names[]; /* "normal", "detection", … */

/* How far a run is. Told often, always by the thread that called. */
struct run_progress {
	nanos now; /* of a single drill */
	enum run_phase phase;
	uint64_t trial, trials; /* of a campaign: this one, of so many; trials 0: a single drill */
};

struct run_options {
	const struct driver_ops *driver;
	uint64_t seed;
	bool sham;                           /* everything but the injection */
	const volatile sig_atomic_t *signal; /* not 0: stop, revert, verdict aborted; may be NULL */
	void (*progress)(void *self, const struct run_progress *progress); /* may be NULL */
	void *progress_self;
	uint32_t threads; /* of a campaign; 0: one per processor */
	uint64_t keep;    /* of a campaign: the measures of so many first trials; 0:
			     CAMPAIGN_FIRST_MAX */
	const char *folder; /* what a real drill leaves beside its record; NULL: nothing */
};

struct run;

/* Prepares a drill: checks the driver against the faults' needs. Touches nothing yet. */
int run_new(const struct scenario *scenario, const struct run_options *options,
	    struct run **ret_run, struct error *e);
/*
 * Runs one trial from 0 to the end. `timeline` is open (or writes to nowhere). Fills the parts of
 * *record that the drill decides (incidents, faults, measures, findings, verdict of this trial,
 * exit code); strings and arrays in it belong to the run and live until the next trial or
 * run_free(). Returns -1 only when nothing could be recorded.
 */
int run_trial(struct run *run, uint64_t trial, struct timeline *timeline, struct record *record,
	      struct error *e);
void run_free(struct run *run);

/* Findings that the record itself gives: what dominated FRT, missing recovery points, defects of
 * the plan. core/findings.c */
void findings_add(struct record *record, enum severity severity, double seconds, const char *text);
void findings_compute(struct record *record, struct arena *arena);

#endif
