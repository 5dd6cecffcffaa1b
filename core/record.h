/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a drill found: incidents with their marks, faults with their proof, the measures FRT, BRT
 * and BRP, and the verdict. Definitions: see the README's "What is measured". All instants are
 * nanoseconds of the drill's clock, NANOS_NEVER where a mark was not reached or a path does not
 * have the phase (null in JSON).
 */
#ifndef CORE_RECORD_H
#define CORE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/scenario.h"
#include "core/timeline.h"

/* In the order of record.json. */
enum mark {
	MARK_FAULT,
	MARK_DETECT,
	MARK_DECIDE,
	MARK_SWITCH_BEGIN,
	MARK_SWITCHED,
	MARK_DATA_BEGIN,
	MARK_DATA_RESTORED,
	MARK_RESTORED,
	MARK_VERIFIED,
	MARK_DIAGNOSED,
	MARK_REPAIRED,
	MARK_FAILBACK,
	MARK_NORMAL,
	MARK_LOSS,
	MARK_BP,
	MARKS
};
extern const char *const mark_names[MARKS]; /* "t_fault", "t_detect", … without the suffix "_ns" */

enum path {
	PATH_FAILOVER,
	PATH_IN_PLACE,
	PATH_ABSORBED,
	PATH_FALSE_ALARM,
	PATH_UNRECOVERED
};
extern const char *const path_names[];

enum verdict {
	VERDICT_PASSED,
	VERDICT_FAILED,
	VERDICT_INVALID,
	VERDICT_RESIDUE,
	VERDICT_ABORTED
};
extern const char *const verdict_names[];

/* Losses of one incident. A class that was not declared has known = false and is left out of the
 * JSON. */
struct brp {
	bool known; /* false: nothing can be read (yet), or the content is in doubt: all null */
	struct {
		bool known;
		double seconds; /* t_loss - t_bp of this class; INFINITY (null) when nothing could
				   be restored and no point exists */
		uint64_t bytes, records;
	} by_class[DATA_CLASSES];
	double seconds;          /* the worst class, or work of a job that is lost and worse */
	uint64_t bytes, records; /* worst class by bytes, by records */
};

/* What a data class was restored from. */
struct restored {
	bool known;
	int32_t backup; /* BACKUP_REPLICA: the standby's own copy */
	bool verified;  /* the backup was read back after it was written */
	nanos as_of;    /* consistent as of */
};

#define INCIDENTS_MAX 100000 /* in one run; past it the run ends with an error */

struct incident {
	enum path path;
	uint32_t *faults; /* steps, the first one opened it; none for a false alarm */
	size_t fault_count, fault_capacity;
	const char *fault, *target, *place; /* of the first that did harm, or might have; NULL for
					       a false alarm */
	nanos opened, closed; /* opened by the first of all */
	nanos marks[MARKS];
	const char *diagnosis, *action; /* NULL until diagnosed */
	struct brp brp;
	/* derived by incident_measure() */
	nanos detection, decision, switching, data_recovery, overlap, readiness, brt, frt;
	uint64_t wrong;   /* requests that its endpoints answered wrongly while it was open, and
			    steps that its jobs computed wrongly */
	bool undetected;  /* no detector declared it, and the platform did not notice it either */
	double lost_work; /* s of training that a restart from a checkpoint does again; the most
			     of any restart */
	bool of_work;     /* t_loss and t_bp are those of lost_work, not of data */
	bool silent;      /* unrecovered although the service looked good */
	int detector, standby; /* which declared it first; the site moved to last; -1: none */
	uint32_t relapses;     /* times the service was bad again after t_restored, which stood */
	nanos relapsed;        /* for how long, together */
	struct restored restored[DATA_CLASSES]; /* by the latest move */
};

enum fidelity {
	FIDELITY_SIM,
	FIDELITY_DETECTOR,
	FIDELITY_API,
	FIDELITY_REAL
};
extern const char *const fidelity_names[];

enum tristate {
	TRISTATE_NULL = -1,
	TRISTATE_FALSE,
	TRISTATE_TRUE
};

#define RESIDUE_MAX 16

struct fault_record {
	uint32_t step;
	int incident; /* index; -1: none */
	const char *name, *target, *mechanism, *observed;
	const char *cause; /* of a failure or of a log's record; NULL: a step has none */
	enum fidelity fidelity;
	bool applied;
	enum tristate effective, reverted; /* null: sham, or what it hit was broken already; null:
					      not yet due (permanent) */
	const char *residue[RESIDUE_MAX];
	size_t residue_count;
	/* A real injection takes its time: t_fault lies in between. Not timed: simulated, or not
	 * injected. */
	bool timed;
	nanos before, after;
};

/* How long faults of one cause were down, from the fault until it was mended, in minutes. */
struct repair_summary {
	const char *cause;
	uint64_t count;      /* that ended within the run */
	double mean, median; /* NAN without one; of an even number the mean of the middle two */
};

struct objective_result {
	const char *name, *unit; /* "frt" "s" */
	double limit, quantile;  /* quantile NAN without trials */
	double achieved;         /* NAN: null, not measured */
	enum tristate met;
};

enum severity {
	SEVERITY_INFO,
	SEVERITY_LOW,
	SEVERITY_MEDIUM,
	SEVERITY_HIGH
};
extern const char *const severity_names[];

struct finding {
	enum severity severity;
	const char *text;
	double seconds; /* what it cost or risks; NAN: null */
	bool derived;   /* by findings_compute(), which replaces its own when it is called again */
};
#define FINDINGS_MAX 64

/* One measure over all trials. Values in seconds, bytes, records or a fraction; NAN is null. */
struct summary {
	const char *name; /* "frt_s" … as in record.json's campaign */
	uint64_t n, censored;
	double mean, stderr_, min, p05, p50, p95, p99, p99_low, p99_high, max;
	const double *sorted; /* n values, ascending, for the ECDF */
};

enum campaign_measure {
	MEASURE_FRT,
	MEASURE_DETECTION,
	MEASURE_DECISION,
	MEASURE_SWITCH,
	MEASURE_DATA_RECOVERY,
	MEASURE_READINESS,
	MEASURE_BRT,
	MEASURE_BRP_SECONDS,
	MEASURE_BRP_BYTES,
	MEASURE_BRP_RECORDS,
	MEASURE_AVAILABILITY,
	MEASURES
};
extern const char *const measure_names[MEASURES];

struct campaign {
	uint64_t trials, censored,
		invalid; /* censored: unrecovered; invalid: a fault had no effect */
	struct summary measures[MEASURES];
	uint64_t aborted, residue,
		fired; /* stopped by a guard; not all reverted; sham trials whose detector fired */
	double met_fraction[OBJECTIVES]; /* by position in scenario->objectives; of the trials that
					    could tell, else NAN */
	uint64_t paths[5];               /* trials by the path of their headline incident */
	struct summary ettr;             /* for the objective ettr, counted from the top */
	struct summary disruption;       /* for the objective mtpd; not a measure of record.json */
	const double *first[MEASURES];   /* of the first trials in their order, for comparisons */
	uint64_t first_count;            /* at most run_options.keep */
};
#define CAMPAIGN_FIRST_MAX 200

/*
 * One training job. ETTR, the effective training time ratio, is the share of the wall time for
 * which the job was to run that went into progress which still counted at the end (Kokolis et al.,
 * "Revisiting Reliability in Large-Scale Machine Learning Research Clusters", arXiv 2410.21680,
 * section IV): work / wall. Time lost to queueing, restarts, hangs, a slow rank, saves that stop
 * training, and work done twice is missing from it. Goodput is the same without work that was done
 * on corrupted data and still counts as progress, since nobody has found out.
 */
struct job_record {
	const char *name;
	double work_s; /* progress at the end, at full pace */
	double wall_s; /* from the start until the end of the run, or until it was complete */
	double ettr, goodput;
	uint64_t interruptions; /* it failed or was stopped; again during a restart counts too */
	uint64_t restarts;      /* it ran again */
	double lost_work_s;     /* done again: progress when interrupted less that restored from */
	uint64_t checkpoints, bad_checkpoints; /* saved; found to be bad when read */
	double down_s; /* no rank trained: queueing, restarting, reading a checkpoint */
	bool complete;
	double wrong_work_s; /* done on corrupted data, and nobody knows */
};

/*
 * What a real drill measured on its host, by means of its own: on the wire, in the data, and what
 * the host could not do.
 */
struct wire_record {               /* the client's outage, seen in the capture of its link */
	double outage_s, client_s; /* by the capture; by the client's own account */
	double difference_s, allowed_s;
	bool agrees;
};
struct ledger_record { /* what became of the records that the client wrote */
	uint64_t written, acknowledged, failed, unknown; /* sent; and how each ended */
	uint64_t lost, stale, altered, duplicated;       /* of the acknowledged, when read back */
	uint64_t acknowledged_twice, foreign; /* by two sites; never written by this client */
	uint64_t read_back;                   /* records that were looked at in the end */
};
#define ENVIRONMENT_LOST_MAX 16
struct measured {
	bool wire_known, ledger_known;
	struct wire_record wire;
	const char *wire_reason; /* why there is none; NULL when wire_known */
	struct ledger_record ledger;
	const char *isolation, *kernel;         /* "namespaces" or "loopback"; "Linux 6.12.1" */
	const char *lost[ENVIRONMENT_LOST_MAX]; /* what this host could not do, one sentence each */
	size_t lost_count;
	const char *residue[RESIDUE_MAX]; /* what is still there after everything was taken back */
	size_t residue_count;
	const char *broken; /* why what was measured counts for nothing; NULL: it counts */
};

/* The host's wall clock, as its kernel judged it at the start. */
struct clock_state {
	bool synchronised;
	double max_error_s; /* NAN: not known */
};

struct record {
	const struct scenario *scenario;
	const char *driver, *kind, *id,
		*started; /* kind: "simulated" | "injected"; started: RFC 3339 wall clock */
	const char *host;
	const char *command; /* what repeats this run */
	const char *profile; /* SHA-256 of the profile it was calibrated with, NULL: none */
	size_t profile_runs; /* that the profile was fitted to */
	uint64_t seed, trial;
	bool sham;
	nanos duration; /* how long the drill ran on its clock */
	double wall_s;  /* how long it took */
	struct incident *incidents;
	size_t incident_count;
	int headline;   /* the incident with the largest FRT (unrecovered counts as infinite); -1:
			   none */
	struct brp brp; /* the worst of any incident */
	double worst_seconds, worst_bytes; /* the worst case of the policy, whenever the fault
					      comes; NAN: no policy */
	double availability_time, availability_requests;    /* NAN: null (no requests) */
	double bad_s, longest_bad_s, span_s, unprotected_s; /* longest_bad_s: in one stretch */
	uint64_t sent, good, wrong, late, failed; /* requests, single and fluid together, rounded */
	struct job_record *jobs;
	size_t job_count; /* as many as the scenario declares */
	struct fault_record *faults;
	size_t fault_count;
	const uint32_t *left_out;             /* by chance: occurrences of each step; NULL: none */
	const struct repair_summary *repairs; /* all of them, then by cause, the most frequent
						 first; NULL without failures or logs */
	size_t repair_count;
	struct objective_result objectives[OBJECTIVES];
	size_t objective_count;
	struct finding findings[FINDINGS_MAX];
	size_t finding_count;
	enum verdict verdict;
	const char *abort_reason;  /* NULL unless aborted or invalid by an error */
	int exit_code;             /* as the README's table says */
	uint64_t work;             /* turns of the loop and the driver's events: what it cost */
	struct campaign *campaign; /* NULL with one trial */
	const struct measured *measured; /* NULL: simulated */
	/* Of a signed run, else NULL: the last hash of events.chain, and lines of events.jsonl. */
	const char *log_head;
	uint64_t log_events;
	const struct clock_state *clock; /* NULL: not known */
};

/*
 * Fill detection … frt from the marks: with t_begin = the earlier of t_switch_begin and
 * t_data_begin, t_ready = the later of t_switched and t_data_restored, FRT = Detection + Decision +
 * BRT + Readiness on path failover; on the other paths FRT = t_restored - t_fault and the phases
 * they do not have stay NANOS_NEVER. (README, "What is measured".)
 */
void incident_measure(struct incident *incident);
/*
 * Check the order of an incident's marks and, on path failover, the identity, in integer
 * nanoseconds. Returns 0, or -1 with what does not hold. Run after every drill; a failure is a bug
 * in the controller and makes the drill invalid.
 */
int incident_check(const struct incident *incident, struct error *e);
/*
 * Objectives of one run (quantile ignored) or, with a campaign, of its quantiles. Fills objectives,
 * verdict and exit code. What the run loop knows goes in beforehand: verdict ABORTED or RESIDUE, or
 * INVALID with an abort_reason, stays unless something worse is found (the worst wins: residue,
 * aborted, invalid, failed). Invalid too: a fault without effect, no fault injected at all, a wire
 * that contradicts the client, marks out of order, objectives of which none could be measured. May
 * be called again.
 */
void record_judge(struct record *record);
/*
 * The measures of one run as a campaign collects them, in the units of record.json: INFINITY where
 * recovery or a recovery point never came (censored), NAN where the run could not tell (null). FRT
 * and its phases are the headline's.
 */
void record_measures(const struct record *record, double ret_values[MEASURES]);
/* The faults took effect, the marks are in order and nothing went wrong: what the run measured
 * means something. */
bool record_evaluable(const struct record *record);
/* The longest stretch of bad service, INFINITY when it stayed down, NAN without an incident. */
double record_disruption(const struct record *record);
/* The least ETTR of any job, NAN without one. */
double record_ettr(const struct record *record);

#endif
