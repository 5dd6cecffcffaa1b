/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a drill, shared by run.c (the loop), run_step.c (faults), run_incident.c (what they
 * led to). */
#ifndef CORE_RUN_PRIVATE_H
#define CORE_RUN_PRIVATE_H

#include "core/arena.h"
#include "core/detector.h"
#include "core/recovery.h"
#include "core/run.h"

#define INJECTIONS_MAX 100000 /* per trial, repeated steps included */
#define SKIPS_MAX 1000000     /* per trial: occurrences that chance left out */
#define COMPLETIONS_BATCH 32

/* One fault on its way: a step, or one occurrence of a repeated step. */
struct injection {
	const struct step *step;
	struct effect *effects;
	struct undo_record *undos;
	struct reading *before; /* of each effect's entity */
	size_t effect_count;
	nanos revert_at;        /* NANOS_NEVER: not by the clock */
	nanos reverted_at;      /* NANOS_NEVER: still there */
	bool carried;           /* it was still there when the service was good again */
	bool hidden;            /* what it hit was broken already */
	bool active, repairing; /* active: something is to be undone */
	uint32_t record;        /* in run.faults */
	int incident;           /* -1: none */
	/* what was seen of it */
	bool *seen;     /* of each effect, once; by a pulse again each time */
	size_t hit;     /* effects applied so far, the first ones; a ramp comes to the rest later */
	size_t taken;   /* of these, how many were seen */
	bool missed;    /* one was not, in this round */
	bool late;      /* what was not seen may still show, when the first operation is hit; */
	nanos look_at;  /* looked for then; NANOS_NEVER: not */
	char *observed; /* OBSERVED_MAX */
	/* its strength over time, run_strength.c */
	nanos began, change_at; /* change_at NANOS_NEVER: as it is now it stays */
	bool dormant;           /* a pulse: taken back for now, and still to be mended */
	bool whole;             /* a ramp in levels, all effects together; else one by one */
	uint32_t level, levels; /* steps of a ramp done, and all; 0: no ramp */
};

/* When a step is due next. */
struct schedule {
	nanos due; /* NANOS_NEVER: waits for a phase, or done */
	uint64_t occurrence;
	bool waiting; /* for its phase */
	struct prng time, duration, select, fault, chance;
};

/* A site that lost the traffic, and what the next one restored from. */
struct past_move {
	uint32_t site;
	nanos as_of[DATA_CLASSES];
};

/* What the client sees of one recovery domain, and the incident that is open there. The last ones
 * are the domains of standby sites and of the store, which have no controller: what breaks there is
 * mended when the platform notices. */
struct place_state {
	int incident; /* open one; -1: none */
	size_t first; /* the injections before this one are none of its */
	uint32_t bad_endpoints;
	nanos good_since;            /* of the last endpoint that came back */
	bool ever_bad;               /* since the incident opened */
	bool settled;                /* it was bad again after t_restored, which stands */
	nanos relapse;               /* since when, the last time */
	bool repair_wanted;          /* the controller asked; faults that join are mended too */
	uint32_t moved_from;         /* site that lost the traffic */
	nanos as_of[DATA_CLASSES];   /* points restored from; NANOS_NEVER: none */
	nanos loss, point;           /* of the data: last write that is lost, headline's point */
	bool restarted;              /* a job went on from a checkpoint: that is its recovery */
	nanos work_loss, work_point; /* of the restart that lost the most */
	bool calm;                   /* as the client sees it */
	bool held;                   /* the controller is told that it is not */
	bool return_lost;            /* the primary goes on without what the standby had written */
	struct past_move *past;      /* earlier moves of the incident: what they lost stays lost */
	size_t past_count, past_capacity;
	double wrong_before; /* answers of its endpoints when the incident opened */
};

/* An endpoint was bad in [from, to). It is known to be good again only a while after `to`. */
struct bad_time {
	nanos from, to;
};

/* Nodes of the primary sites that failures are drawn from, counted through all of those sites. */
enum pool {
	POOL_ALL,
	POOL_GPUS, /* that have GPUs */
	POOLS
};
struct failure_pool {
	uint32_t *nodes; /* the lemons first */
	uint32_t count, lemons;
};

struct guard_state {
	nanos since; /* the condition holds since; NANOS_NEVER: it does not */
};

struct run {
	const struct scenario *scenario;
	struct run_options options;
	struct arena arena, trial; /* for the whole run; for one trial */
	void *driver;
	struct clock clock;
	struct timeline *timeline;
	uint64_t trial_number;
	uint64_t turns; /* of the loop in this trial */
	nanos now;

	struct recovery *recovery;
	struct detector detectors[SCENARIO_DETECTORS_MAX];
	struct action *probes; /* room for one round */
	size_t probes_max;
	action_id next_action;

	struct schedule *schedules;
	uint32_t *left_out;     /* by chance: occurrences of each step */
	uint64_t skips, pulses; /* of all steps in this trial */
	struct failure_pool pools[POOLS];
	struct injection *injections;
	size_t injection_count, injection_capacity;
	uint32_t *active; /* injections with something to undo, in order of injection */
	size_t active_count, active_capacity;
	struct fault_record *faults;
	size_t fault_count, fault_capacity;

	struct incident *incidents;
	size_t incident_count, incident_capacity;
	struct place_state *places;
	size_t place_count, held; /* held: at how many of them */
	struct guard_state guards[SCENARIO_GUARDS_MAX];

	struct bad_time *bad; /* of all endpoints, in the order in which they ended */
	size_t bad_count, bad_capacity;
	nanos *bad_since; /* of each endpoint, then of each job; NANOS_NEVER: it is good */
	bool any_invalid, aborted;
	bool too_many;         /* incidents: the run ends with an error */
	uint64_t lost_records; /* as known so far, for the guard */
	const char *abort_reason;
	struct record *record;
};

/* run.c */
action_id run_start(struct run *run, struct action action);
void run_drain(struct run *run);
void run_tick(struct run *run); /* now is what the clock says */
bool run_is_of_job(const struct run *run, struct entity entity); /* and of no endpoint */
/* Does any detector's declaration about the place that serves stand? If so, of jobs alone? */
bool run_declared(const struct run *run, uint32_t domain, bool *ret_of_jobs);
/* What `domain` was told to be broken is gone, or its traffic is: detectors that cannot see it. */
void run_clear_fixed(struct run *run, uint32_t domain);

/* run_phase.c */
enum run_phase run_phase(struct run *run);

/* run_step.c */
const char *run_place(struct run *run, struct place place);
int steps_new(struct run *run, struct error *e);
void steps_reset(struct run *run);
nanos steps_deadline(const struct run *run);
int steps_due(struct run *run, struct error *e); /* injects what is due */
void steps_revert_due(struct run *run); /* takes back what has elapsed or ended by itself */
void steps_phase(struct run *run, enum phase phase,
		 action_id id); /* a phase began: `after:` steps get their time */
void injection_revert(struct run *run, struct injection *injection, const char *cause);
void steps_unwind(struct run *run); /* last in, first out, whatever happened */
/* Applies one effect of a fault, at a share of its full strength, and looks whether it took. */
int injection_apply(struct run *run, struct injection *injection, size_t i, double share,
		    struct error *e);
/* Looks whether effect i took since the reading before it. */
void injection_look(struct run *run, struct injection *injection, size_t i);
/* The verdict on what was seen so far, told when it is new; none while a ramp may still show. */
void injection_settle(struct run *run, struct injection *injection);
/* What was not seen at once may still show, on a real system; and no longer, after another look. */
void injection_expect_later(struct run *run, struct injection *injection);
void injection_last_look(struct run *run, struct injection *injection);
/* It could not be applied as the step says, for the reason in *e, which is cleared. */
void injection_failed(struct run *run, struct injection *injection, struct error *e);
/* Takes back what is applied; what stays is noted as residue. */
void injection_take_back(struct run *run, struct injection *injection);
/* Is anything of it still there? */
bool injection_present(const struct run *run, const struct injection *injection);

/* run_strength.c */
int strength_start(struct run *run, struct injection *injection,
		   struct error *e);                /* applies it, or the first step of its ramp */
int strength_due(struct run *run, struct error *e); /* pulses and ramp steps whose time has come */

/* run_failure.c */
void failures_new(struct run *run);
void failures_reset(struct run *run);
nanos failure_after(const struct step *step, nanos last, struct prng *prng); /* the next one */
/* What the occurrence that is due now hits; whose cause it has, NULL: none is named; and the
 * outage of the log that it replays, NULL: none. */
size_t occurrence_entities(struct run *run, const struct step *step, struct schedule *schedule,
			   const struct entity **ret);
const char *occurrence_cause(const struct step *step, const struct schedule *schedule);
const struct trace_record *occurrence_record(const struct step *step,
					     const struct schedule *schedule);
bool failure_hidden(const struct run *run, const struct injection *injection);
/* By chance, and what it would hit is broken: nothing fails twice before it is mended. */
bool failure_of_broken(const struct run *run, const struct injection *injection);
void failures_measure(struct run *run, struct record *record); /* before the run is unwound */

/* run_incident.c */
int incident_fault(struct run *run,
		   struct injection *injection); /* opens or joins; returns the incident */
struct incident *incident_at(struct run *run, uint32_t place); /* the open one; NULL: none */
/* t_detect and t_decide: the first counts; the others: the last. */
void incident_set_mark(struct run *run, int incident, enum mark mark, nanos at);
void incident_declared(struct run *run, uint32_t domain, uint32_t detector);
void incident_mark(struct run *run, uint32_t domain, enum mark mark, nanos at);
void incident_restored(struct run *run, const struct completion *completion); /* a data class */
void incident_client(struct run *run, const struct completion *completion); /* bad or good */
void incident_ended_faults(struct run *run,
			   int incident); /* one of its faults is gone: was it the last? */
void incident_notice(struct run *run, uint32_t injection);
/* What it broke runs again: of a process that had ended the platform saw to that. */
void incident_restarted(struct run *run, const struct injection *injection);
void incident_repair(struct run *run, uint32_t domain);
void incident_repaired(struct run *run, const struct completion *completion);
void incident_normal(struct run *run, uint32_t domain);
void incident_calm(struct run *run, uint32_t domain, bool calm); /* as the client sees it */
void incidents_look_calm(struct run *run); /* where it was held back: does a fault still go on? */
void incidents_close(struct run *run);     /* the end of the trial */

/* run_losses.c */
/* Does it make the live content of a data class another one than was written? Did a fault of the
 * open incident damage this class? */
bool losses_damages(const struct effect *effect);
bool losses_damaged(const struct run *run, const struct place_state *state, int data_class);
void losses_look(struct run *run, uint32_t domain);   /* t_loss and t_bp as of now */
/* Records of the worst class that are lost as far as is known now, a split brain that goes on
 * included: what the standby took by itself will not be kept. */
uint64_t losses_so_far(struct run *run);
void losses_forget(struct run *run, uint32_t domain); /* nothing was restored after all */
void losses_of_split(struct run *run, const struct injection *injection);     /* it ends */
void losses_of_return(struct run *run, uint32_t domain, uint32_t site);       /* what only it had */
void losses_of_restart(struct run *run, const struct completion *completion); /* of a job */
void losses_sum(struct run *run, uint32_t place, struct incident *incident);  /* at its close */

/* run_measure.c */
void measure_reset(struct run *run);
void measure_end_bad_time(struct run *run, size_t service, nanos to);
void measure_end(struct run *run); /* what is bad until the end */
void measure_drill(struct run *run, struct record *record);

#endif
