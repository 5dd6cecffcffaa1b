/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The timeline: everything that happened, in order, one JSON object a line (events.jsonl). Every
 * number of a report can be recomputed from it. Bytes depend on scenario, seed and version only
 * (simulator).
 *
 * Each line is {"seq":N,"t_ns":T,"event":"TYPE",…}; seq counts from 0, t_ns never goes back. TYPE
 * and its fields:
 *
 *   run.start         name, seed, trial, driver, clock, kind ("simulated" | "injected"),
 *                     duration_ns
 *   fault.inject      step, injection (which of the record's faults), fault, target, mechanism,
 *                     fidelity, place ("gpu_loss.yaml:14"); of a failure or a log also cause
 *   fault.skip        step, fault, why ("probability" | "broken already", of a failure by
 *                     chance): this occurrence does not come
 *   fault.ramp        step, injection, share (of the full strength, or of the targets, up to 1)
 *   fault.pulse       step, injection, on (false: taken back for now; true: applied again)
 *   fault.verdict     step, injection, effective (true | false | null: sham, or broken already),
 *                     observed ("GPUs visible 1 -> 0"), where the driver chose also mechanism (the
 *                     one that was taken). Of a ramp once its effect shows; again, false, when a
 *                     later pulse or step has no effect
 *   fault.revert      step, injection, cause ("repaired" | "elapsed" | "restarted" | "end"),
 *                     reverted, residue
 *   incident.open     incident, step (null: false alarm), fault, target, place
 *   incident.join     incident, step, fault, target
 *   incident.close    incident, path, wrong (answers while it was open), undetected
 *   mark              incident, mark ("t_detect" …), at_ns (null takes an earlier mark back). For
 *                     t_detect and t_decide the first counts, for the others the last; t_fault
 *                     moves to a fault that joins while no harm was done.
 *                     at_ns <= t_ns: some are known later than they were.
 *   detector.miss     detector, kind, target, misses
 *   detector.declare  detector, kind, target, reason
 *   detector.clear    detector, kind, target
 *   diagnosis         incident, cause, action, xid (null without), symptoms
 *   backup.begin      backup (id from 0), policy, classes, kind, site
 *   backup.end        backup, ok, restorable, as_of_ns, bytes, reason
 *   backup.prune      backup
 *   action.begin      action (id), kind ("fence" "switch" "restore" … as in action_names),
 *                     incident, target; a restore: class, backup (null: the standby's replica)
 *   action.end        action, kind, ok, reason
 *   replica.state     replica, site, state (Lepton's readiness reason: Ready, InProgress …), why
 *   endpoint.state    endpoint, state (Lepton's: Ready, Not Ready …), site
 *   service.level     endpoint, success (0 … 1, expected for a request sent now; of a real drill
 *                     that of the last slice of requests that is decided), latency_s
 *                     (expected; null when nobody answers), rate, capacity (1/s), backlog
 *   service.requests  endpoint, from_ns, to_ns, sent, and the outcomes known in that second: good,
 *                     wrong, late, failed, p50_s, p99_s (single requests); waited: how many found
 *                     no free slot in that second and joined the queue
 *   service.bad       endpoint (a job as "job/NAME"), since_ns
 *   service.good      endpoint, since_ns
 *   job.state         job, state (Lepton's: Running, Failed, Queueing, Restarting, Completed), why,
 *                     step (the last that ended), progress_ns (of training at full pace), nodes
 *                     (that it holds)
 *   job.checkpoint    job, checkpoint (from 0; null: it came to nothing), begin_ns, step and
 *                     progress_ns at its begin, ok, reason; told at its end
 *   job.restore       job, checkpoint (null: the beginning), as_of_ns, progress_ns, ok (false: it
 *                     is bad), stopped_ns (its last progress before), lost_ns (that it had beyond
 *                     this one; null when not ok), reason; told when it was read
 *   guard.abort       guard, value
 *   signal            signal
 *   run.end           reason ("complete" | "guard" | "signal" | "not_effective" | "error")
 */
#ifndef CORE_TIMELINE_H
#define CORE_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/clock.h"
#include "core/error.h"

#define TIMELINE_LINE_MAX 8192 /* a longer line is a bug, asserted */

struct timeline {
	FILE *file; /* NULL: lines are not kept (trials after the first) */
	uint64_t seq;
	nanos last;
	bool failed; /* a write failed; told by timeline_close() */
	int reason;  /* errno of the first write that failed */
	bool open;   /* between timeline_begin() and timeline_end() */
	size_t length;
	char line[TIMELINE_LINE_MAX];
};

/* Start writing to `path` (created, must not exist), or to nowhere when NULL. */
int timeline_open(struct timeline *timeline, const char *path, struct error *e);
/* Flush, fsync and close; fails with ERROR_IO when any byte did not reach the disk. */
int timeline_close(struct timeline *timeline, struct error *e);
static inline bool timeline_on(const struct timeline *timeline)
{
	return timeline->file != NULL;
}

/* One event: begin, any number of fields, end. Without a file these do nothing, cheaply. */
void timeline_begin(struct timeline *timeline, nanos t, const char *event);
void timeline_int(struct timeline *timeline, const char *key, int64_t value);
void timeline_nanos(struct timeline *timeline, const char *key,
		    nanos value); /* NANOS_NEVER: null */
void timeline_real(struct timeline *timeline, const char *key,
		   double value); /* shortest text that reads back equal; not finite: null */
void timeline_bool(struct timeline *timeline, const char *key, bool value);
void timeline_null(struct timeline *timeline, const char *key);
void timeline_text(struct timeline *timeline, const char *key,
		   const char *value); /* escaped; NULL: null */
void timeline_texts(struct timeline *timeline, const char *key, const char *const *values,
		    size_t count);
void timeline_end(struct timeline *timeline);

/* How numbers and texts stand in events.jsonl and in record.json; both files use these. */
#define REAL_TEXT_MAX 32
/* The shortest decimal text that reads back as `value`; "null" when not finite. Returns its length.
 */
size_t real_text(char buffer[REAL_TEXT_MAX], double value);
/*
 * Write `text` to `out` (of `room` bytes, 0-terminated) with the escapes of a JSON string but
 * without its quotes; bytes that are not UTF-8 become U+FFFD. Returns the length, or SIZE_MAX when
 * it does not fit; 6 bytes per byte always do.
 */
size_t json_escape(char *out, size_t room, const char *text);
/* Length in bytes of the character at `s` (UTF-8, RFC 3629), 0 when it is none. Stops at a 0. */
size_t utf8_length(const unsigned char *s);

#endif
