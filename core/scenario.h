/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scenario in memory: every value checked, every default filled in, every target resolved. What
 * is in here is what runs; nothing later parses a string again. Each part knows its place in the
 * file for later messages.
 */
#ifndef CORE_SCENARIO_H
#define CORE_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/argv.h"
#include "core/clock.h"
#include "core/dist.h"
#include "core/error.h"
#include "core/target.h"

struct calibration;
struct fault_ops;
struct trace;

/* Named limits of a scenario; past one comes an error with a place. */
#define SCENARIO_SITES_MAX 64
#define SCENARIO_NODES_MAX 200000 /* over all sites */
#define SCENARIO_GPUS_PER_NODE_MAX 64
#define SCENARIO_CPUS_PER_NODE_MAX 65536
#define SCENARIO_LINKS_MAX 1024
#define SCENARIO_ENDPOINTS_MAX 256
#define SCENARIO_JOBS_MAX 64
#define SCENARIO_SERVICES_MAX 64
#define SCENARIO_WORDS_MAX 256       /* of one command */
#define SCENARIO_ENV_MAX 64          /* variables of one service */
#define SCENARIO_REPLICAS_MAX 100000 /* over all endpoints */
#define SCENARIO_STEPS_MAX 10000
#define SCENARIO_FAILURES_MAX 256 /* rows of `failures` */
#define SCENARIO_FAULTS_MAX 50000 /* of all rows in one run, on average */
#define SCENARIO_TRACES_MAX 32    /* steps that replay a log; each reads its file whole */
#define SCENARIO_DETECTORS_MAX 16
#define SCENARIO_POLICIES_MAX 8
#define SCENARIO_GUARDS_MAX 16
#define SCENARIO_BACKUPS_MAX 1000000    /* in one run, over all policies */
#define SCENARIO_LOOKS_MAX 1000000000   /* rounds of one detector in one run */
#define SCENARIO_PULSES_MAX 1000000     /* of one fault, and of all faults of one run */
#define SCENARIO_DURATION_MAX (7300 * NANOS_DAY)

/* The three data classes of the source document. Order is the order of a sequential restore when
 * none is given. */
enum data_class {
	DATA_MODEL,
	DATA_TRAINING,
	DATA_IO,
	DATA_CLASSES
};
#define DATA_BIT(class) (1u << (class))
extern const char *const data_class_names[DATA_CLASSES]; /* "model", "training", "io" */

/* ---- objectives ---- */
enum objective_kind {
	OBJECTIVE_FRT,
	OBJECTIVE_BRT,
	OBJECTIVE_BRP_SECONDS,
	OBJECTIVE_BRP_BYTES,
	OBJECTIVE_BRP_RECORDS,
	OBJECTIVE_AVAILABILITY,
	OBJECTIVE_MTPD,
	OBJECTIVE_ETTR, /* of the job that has the least */
	OBJECTIVES
};
/* "frt", "brt", "brp.seconds", "brp.bytes", "brp.records", "availability", "mtpd", "ettr" */
extern const char *const objective_names[OBJECTIVES];

/* More of it is better: the limit is a lower one. */
bool objective_is_floor(enum objective_kind kind);

struct objective {
	enum objective_kind kind;
	double limit;    /* s, s, s, bytes, records, fraction, s, fraction */
	double quantile; /* with --trials: 0.95 unless given (`{limit: 5m, quantile: p99}`) */
	bool quantile_given;
	struct place place;
};

/* ---- deployment ---- */
enum heat {
	HEAT_NONE /* not a standby */,
	HEAT_HOT,
	HEAT_WARM,
	HEAT_COLD
};

struct standby {
	enum heat heat;
	uint32_t replicas; /* per endpoint kept for the takeover; 0: as many as the endpoint has */
	nanos replication_lag; /* what it holds is this old; 0: synchronous */
	uint32_t holds; /* DATA_BIT mask of replicated classes; default hot: all, warm: model, cold:
			   none */
	struct place place;
};

struct site {
	const char *name, *region, *zone; /* region and zone default to the site's name */
	uint32_t nodes, racks; /* racks default 1; node n stands in rack n * racks / nodes */
	const char *shape;     /* "gpu.8xh100-sxm" …; see gpus */
	uint32_t gpus;         /* per node, from the shape (0 for cpu.*) or `gpus:` */
	double nic, disk;      /* bytes/s per node; default 25 GB/s (200 Gbit/s) and 6 GB/s */
	struct standby standby;
	struct place place;
	uint32_t cpus;   /* per node, hardware threads */
	uint64_t memory; /* bytes per node */
};

struct link {
	uint32_t site[2];
	double rate;   /* bytes/s */
	nanos latency; /* one way */
	double loss;   /* fraction of packets lost all the time; default 0 */
	struct place place;
};

enum requests_mode {
	REQUESTS_WINDOWS,
	REQUESTS_ALWAYS,
	REQUESTS_NEVER
};

struct load {
	double rate; /* requests per second, 0: no load is modelled (the fluid regime decides) */
	struct dist service_time;    /* ns; default constant 100 ms */
	uint32_t concurrency;        /* requests a replica works on at once; default 64 */
	nanos timeout;               /* a client gives up; default 30 s */
	bool poisson;                /* arrivals: poisson (default) | constant */
	enum requests_mode requests; /* requests: windows (default) | always | never (fluid only) */
};

struct endpoint {
	const char *name;
	uint32_t site; /* where its primary replicas run; never a standby site */
	uint32_t replicas, gpus_per_replica; /* default 1, 0 */
	uint32_t fallback;    /* 1 + the endpoint with the same model that serves its requests while
			      none of its own is in rotation (logical redundancy); 0: none */
	uint64_t model_bytes; /* weights a replica loads before it starts; default 0 */
	struct dist model_start; /* initialisation after the weights are there; default 0 */
	struct load load;
	struct place place;
};

struct gateway { /* health checks of the routing layer in front of each endpoint's replicas */
	nanos interval, timeout;  /* 5 s, 2 s */
	uint32_t misses, retries; /* 2, 1 */
};

struct platform {     /* what Lepton's own scheduler does without a DR controller */
	bool restart; /* containers restart after a crash (default true), back-off 10 s doubling to
			 5 min */
	nanos reschedule; /* a dead node's replicas move to a free node of the site after this;
			     default 345 s; NANOS_NEVER: `never` */
	nanos allocate;   /* a cold standby gets its nodes and image; default 60 s */
};

struct data { /* one class */
	bool declared;
	uint64_t bytes; /* at the start */
	double change;  /* bytes/s of acknowledged writes */
	double records; /* records/s */
	struct place place;
};

struct store {
	bool declared;
	uint32_t site;
	double read, write; /* bytes/s; default unlimited (INFINITY) */
	struct place place;
};

/* A training job: one rank a node, all GPUs of each, all of them or none (gang scheduling). */
struct job {
	const char *name;
	uint32_t site;
	uint32_t nodes, spares; /* spares: kept free for it, beside its nodes; default 0 */
	nanos step;             /* at full pace; a distribution's mean; default 5 s */
	struct {
		nanos every;    /* of running, from one begin to the next (sync: from an end to the
				   next begin); default 10 min */
		uint64_t bytes; /* default 0: takes no time */
		bool async;     /* default true: training goes on while it is written */
		uint32_t keep;  /* the newest so many; default 3 */
		nanos takes;    /* overrides the transfer; NANOS_NEVER when not given */
		nanos load;     /* overrides the reading; NANOS_NEVER: bytes from the store, 0 when
				   `takes` is given */
	} checkpoint;
	struct dist restart; /* from (re)scheduling to the load of the checkpoint; default 5 min */
	nanos timeout;       /* a step that hangs is aborted after it; default 10 min, as NCCL's */
	nanos work;          /* complete after so much; NANOS_NEVER: it never is */
	struct place place;
};

/* ---- a user's own server ---- */

enum check_kind {
	CHECK_TCP,  /* a connection to the service's port */
	CHECK_EXEC, /* a command that exits with 0 */
	CHECK_HTTP  /* GET `path` answers 200 to 299 */
};

/* Is it ready, is it healthy? Times are real ones: no time scale makes a server start faster. */
struct check {
	bool given;
	enum check_kind kind;
	struct argv exec;
	const char *path;
	nanos interval, timeout; /* 200 ms; ready: 30 s in all, health: 1 s for each look */
};

/* A server that the driver process runs from the user's own command in place of minilepton. It is
 * the endpoint of the same name too, of one replica without GPUs. */
struct service_config {
	const char *name;
	uint32_t site, endpoint; /* index in deployment.endpoints */
	struct argv command;
	struct argv standby;        /* started on the standby site; count 0: `command` is */
	struct check ready, health; /* health not given: as ready */
	struct argv ledger; /* adapter that speaks the line protocol; count 0: nothing is written */
	bool has_data;
	enum data_class data;         /* with has_data: what it keeps in ${DATA} is of this class */
	const struct argv_value *env; /* values with placeholders; NULL name at the end */
	size_t env_count;
	struct place place;
};

struct deployment {
	const struct site *sites;
	size_t site_count;
	const struct link *links;
	size_t link_count;
	const struct endpoint *endpoints;
	size_t endpoint_count;
	const struct job *jobs;
	size_t job_count;
	struct gateway gateway;
	struct platform platform;
	struct data data[DATA_CLASSES];
	struct store store;
	const struct service_config *services;
	size_t service_count;
};

/* ---- the DR plan ---- */
enum backup_kind {
	BACKUP_FULL,
	BACKUP_INCREMENTAL
};

struct backup_policy {
	bool at_start;         /* default true */
	nanos every;           /* NANOS_NEVER when `every` is absent */
	enum backup_kind kind; /* default full */
	uint32_t classes;      /* DATA_BIT mask; default all declared */
	bool verify;    /* read back after writing; default false. Restorable only when finished and
			   verified. */
	uint32_t keep;  /* retention, default 24 */
	double failure; /* probability that a backup fails at its end */
	nanos takes;    /* overrides transfer and verification; NANOS_NEVER when not given */
	struct argv command, restore; /* a tool such as restic in place of drsim's own engine; both
					 or none */
	struct place place;
};

enum detector_kind {
	DETECTOR_PROBE,
	DETECTOR_PHI,
	DETECTOR_POLL,
	DETECTOR_FIXED,
	DETECTOR_CANARY,
	DETECTOR_SLO,
	DETECTOR_WATCHDOG
};
extern const char *const detector_names[];
enum detector_scope {
	SCOPE_ENDPOINT,
	SCOPE_REPLICA,
	SCOPE_JOB,
	SCOPE_NODE,
	SCOPE_GPU
};

struct detector_config {
	enum detector_kind kind;
	enum detector_scope scope; /* default endpoint; watchdog: job */
	nanos interval;      /* probe, phi, poll (10 s, 1 s, 60 s); `every` of canary (60 s) */
	nanos timeout;       /* probe, canary: 1 s; watchdog: 10 min without progress */
	uint32_t misses;     /* probe: 3; poll, canary: 1 */
	double loss;         /* probe: share of probes lost on the way, default 0 */
	double threshold;    /* phi: 8 */
	uint32_t window;     /* phi: samples, 100 */
	double jitter_sigma; /* phi: standard deviation of heartbeat arrivals as a fraction of the
				interval, 0.1 */
	double false_fault;  /* poll: chance of FAULT at each poll whatever the truth is, default 0
			      */
	bool blind; /* poll: the status is that chance alone (`blind: true`), the target is not
		       looked at */
	struct dist delay;  /* fixed */
	nanos slo_window;   /* slo: 1 min */
	double slo_success; /* slo: below it the window is a violation; default steady_state.success
			     */
	nanos slo_latency;  /* slo: p99 above it is a violation; NANOS_NEVER: not looked at */
	struct place place;
};

enum managed_by {
	MANAGED_BY_DRSIM,
	MANAGED_BY_TARGET
};
enum restore_order {
	RESTORE_SEQUENTIAL,
	RESTORE_PARALLEL
};
enum fence_on_fail {
	FENCE_STOP,
	FENCE_PROCEED
};
enum failback_after {
	FAILBACK_REPAIRED,
	FAILBACK_NEVER
};
enum prefer {
	PREFER_FAILOVER,
	PREFER_IN_PLACE
};

struct recovery_config {
	enum managed_by managed_by;
	enum prefer
		prefer; /* default failover when a standby exists; in_place: repair where it is */
	struct dist decide;  /* ns; default 0 */
	nanos fence_timeout; /* how long an unreachable primary is tried; default 10 s */
	bool fence_enabled;  /* `fence: none` says false: the old primary is not fenced */
	enum fence_on_fail fence_on_fail; /* default stop */
	struct dist switch_time;          /* key `switch`; default 0 */
	struct {
		enum restore_order order; /* sequential: after the switch and one class after the
					     other; parallel: all at once with the switch */
		enum data_class classes[DATA_CLASSES];
		size_t class_count; /* in order; default all declared that a backup policy covers */
		uint32_t before_serving; /* DATA_BIT mask; default: all of classes */
		bool in_faulty; /* `into: faulty`: the restore runs inside the faulty place (the
				   seed script's defect); default standby */
		struct place place;
	} restore;
	struct dist verify_time; /* `verify`: integrity check and reconciliation after the restore;
				    default 0 */
	struct dist diagnose_time; /* `diagnose`: default 0 */
	struct {
		struct dist time; /* default constant 20 min */
		uint32_t crews;   /* default 1 */
	} repair;
	double coverage; /* probability that the takeover works; default 1 */
	struct {
		enum failback_after after; /* default repaired; `never` */
		bool verify; /* default true: the primary must answer well before traffic goes back
			      */
	} failback;
	bool stop_standby_after_restore; /* `after_restore: stop_standby` (the seed script's
					    defect); default false */
	struct place place;
};

struct steady_state {
	double success; /* 0.99 */
	nanos latency;  /* 2 s */
	nanos window;   /* 30 s */
};

/* ---- what breaks ---- */
enum when_kind {
	WHEN_AT,
	WHEN_UNIFORM,
	WHEN_EVERY,
	WHEN_AFTER,
	WHEN_DRAWN,
	WHEN_FAILURE, /* a row of `failures`: by chance, again and again */
	WHEN_TRACE    /* {trace: FILE}: as a log has it, again and again */
};
enum phase {
	PHASE_BACKUP,
	PHASE_DETECT,
	PHASE_SWITCH,
	PHASE_RESTORE,
	PHASE_VERIFY,
	PHASE_REPAIR,
	PHASE_FAILBACK,
	PHASES
};
extern const char *const phase_names[PHASES];
enum until_kind {
	UNTIL_REPAIRED,
	UNTIL_PERMANENT,
	UNTIL_ELAPSED
};

struct step {
	uint32_t index; /* position in `steps`, from 0 */
	const struct fault_ops *fault;
	void *params; /* of fault->params_size bytes, filled from the step's other keys and defaults
		       */
	struct target target;
	struct select select;
	enum when_kind when;
	nanos at, to; /* WHEN_AT: at; WHEN_UNIFORM: at … to; WHEN_EVERY: at = every, to = jitter */
	struct {
		enum phase phase;
		nanos delay;
		double progress;
	} after; /* WHEN_AFTER: delay after its begin, or at that share of it (progress 0: not
		    given) */
	enum until_kind until; /* default repaired */
	struct dist duration;  /* UNTIL_ELAPSED */
	const struct trace *trace; /* WHEN_TRACE: machine k of the log is entity k of the target;
				      each outage lasts as long as it says, `duration` counts not */
	struct {
		uint32_t row; /* in `failures`, from 0 */
		const char *cause;
		double per_1000_node_days;
		uint32_t nodes; /* that it can hit: of all primary sites, for a GPU's fault those
				   with GPUs */
		enum entity_kind hits;     /* what is drawn: a node, GPU or replica, or the rack or
					      site that the node drawn stands in */
		const struct dist *repair; /* how long a crew works on it; NULL:
					      recovery.repair.time */
	} failure; /* WHEN_FAILURE; the target is only the first thing that it may hit */
	struct place place, when_place;
	struct dist drawn;  /* WHEN_DRAWN: the instant; one after the end does not come */
	double probability; /* that an occurrence is injected, drawn for each; default 1 */
	uint32_t count;     /* WHEN_EVERY: at most so many occurrences; 0: no limit */
	bool seeded;        /* draws from `seed`, not from the drill's */
	uint64_t seed;      /* for time, target, duration, probability and the fault's own draws */
	nanos ramp;         /* grows to its full strength over so long; 0: at once */
	struct place ramp_place;
	struct {
		nanos active, dormant;
	} pulse; /* applied and taken back in turn while it stands; active 0: no pulse */
};

/* Some nodes fail more often than others; the rate of all together stays. */
struct lemons {
	double share;  /* of the nodes, drawn anew in each trial */
	double factor; /* how often such a node fails for once of another; 1: none do */
};

enum guard_metric {
	GUARD_AVAILABILITY,
	GUARD_ERROR_RATE,
	GUARD_LATENCY_P99,
	GUARD_LOST_RECORDS,
	GUARD_DURATION
};
enum guard_op {
	GUARD_LT,
	GUARD_LE,
	GUARD_GT,
	GUARD_GE
};

struct guard { /* abort: [{when: "availability < 50%", for: 20m}] */
	const char *text;
	enum guard_metric metric;
	enum guard_op op;
	double value; /* fraction, fraction, ns, records, ns */
	nanos for_at_least;
	struct place place;
};

/* By what durations and sizes of a scenario were multiplied; rates follow. */
struct process_scale {
	double time_scale, bytes_scale;
};

enum isolation {
	ISOLATION_AUTO, /* namespaces where this host lets us make them, else loopback */
	ISOLATION_NAMESPACES,
	ISOLATION_LOOPBACK
};
extern const char *const isolation_names[]; /* "auto", "namespaces", "loopback", NULL */

/* `process:` how the driver process plays the scenario; `prices:`; `drill:` what a person supplies
 * for the evidence. */
enum kernel_log {
	KERNEL_LOG_OWN, /* a file of the drill's */
	KERNEL_LOG_HOST /* /dev/kmsg: the scenario's grant */
};
extern const char *const kernel_log_names[]; /* "own", "host" */

/* What `drill.controls` may name: the frameworks of reports/controls.yaml, NULL-terminated. */
extern const char *const framework_names[];

struct process_config {
	double time_scale, bytes_scale;
	uint64_t disk; /* of each machine's own size-limited mount; real bytes, default 64 MiB */
	enum isolation isolation;
	enum kernel_log kernel_log;
};
struct prices {
	double gpu_hour, tb_month;
	bool given;
};

struct scenario {
	const char *path, *name, *description;
	uint64_t seed;
	nanos duration;
	struct objective objectives[OBJECTIVES];
	size_t objective_count;
	struct deployment deployment;
	struct backup_policy policies[SCENARIO_POLICIES_MAX];
	size_t policy_count;
	struct detector_config detectors[SCENARIO_DETECTORS_MAX];
	size_t detector_count;
	struct recovery_config recovery;
	struct steady_state steady_state;
	const struct step *steps; /* those of `steps`, then the rows of `failures` */
	size_t step_count;
	size_t failure_count; /* how many of them are rows of `failures` */
	struct lemons lemons;
	struct guard guards[SCENARIO_GUARDS_MAX];
	size_t guard_count;
	struct process_config process;
	struct process_scale scale; /* what scenario_scale() did: 1, 1 as it was loaded */
	struct prices prices;
	const struct calibration *calibration; /* what real drills add to all this; NULL: nothing */
	const char *drill_json; /* the `drill:` block as one JSON object, or NULL; it becomes part
				   of the record's drill block */
	const char *text;       /* the scenario as run (overrides applied), as YAML */
	size_t text_size;
	char sha256[65]; /* of text, lower-case hex */
};

/*
 * Load, override, check. `overrides` are the PATH=VALUE strings of --set, applied in order to the
 * YAML tree before it is read (places of overridden values say `--set`). On failure *e holds the
 * first error and where; scenario_check style callers that want every error pass `errors` (at most
 * `errors_max` are stored, *ret_error_count says how many). Nothing is written anywhere. The
 * scenario lives in `arena`.
 */
int scenario_load(const char *path, const char *const *overrides, size_t override_count,
		  struct arena *arena, struct scenario **ret_scenario, struct error *errors,
		  size_t errors_max, size_t *ret_error_count);
/* The same from memory (fuzzing, tests); `path` is only for messages. */
int scenario_parse(const char *path, const char *text, size_t size, const char *const *overrides,
		   size_t override_count, struct arena *arena, struct scenario **ret_scenario,
		   struct error *errors, size_t errors_max, size_t *ret_error_count);

/* Another scenario: the text of `base` as it ran, with more overrides, loaded and checked like any
 * other. -1 with the first error when it is none. */
int scenario_variant(const struct scenario *base, const char *const *overrides,
		     size_t override_count, struct arena *arena, struct scenario **ret_scenario,
		     struct error *e);

/*
 * A copy of `scenario` that goes `time_scale` times as long with `bytes_scale` times as much data:
 * every duration is multiplied by the one, every size by the other (what was not 0 stays at least
 * 1), requests and records a second are divided by time_scale, byte rates multiplied by bytes_scale
 * / time_scale, so that all counts stay. Text and sha256 stay those of the file. Fails when
 * `scenario` was scaled before or a factor is not above 0 and at most 1. The copy shares with
 * `scenario` what does not change, so it lives at most as long.
 */
int scenario_scale(const struct scenario *scenario, double time_scale, double bytes_scale,
		   struct arena *arena, struct scenario **ret_scenario, struct error *e);
bool scenario_is_scaled(const struct scenario *scenario);
/* A duration that the program, not the scenario, sets (the platform's back-off, a retransmission),
 * as long as it is at the scenario's scale. */
nanos scenario_time(const struct scenario *scenario, nanos duration);

/*
 * Every ${env:NAME} in the scenario's commands and in the variables of its services, each time that
 * it occurs, with the place of what names it. `visit` returns false to stop.
 */
typedef bool scenario_variable_fn(void *self, const char *name, struct place place);
void scenario_variables(const struct scenario *scenario, scenario_variable_fn *visit, void *self);

/* The site that stands by for `site`: the first standby site in order of declaration after it, or
 * -1. */
int scenario_standby_of(const struct scenario *scenario, uint32_t site);
/* The link between two sites, or -1. */
int scenario_link_between(const struct scenario *scenario, uint32_t a, uint32_t b);

#endif
