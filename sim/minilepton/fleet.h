/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a control plane decides, without any I/O and without a clock of its own: which replica runs
 * on which node and GPUs, when a crashed one starts again, when those of a dead node move, and the
 * life of training jobs as gangs. Reports of node agents come in with the time, orders go out.
 *
 * A unit is one process: a replica of a deployment, or a rank of a job. It keeps its id wherever it
 * runs, so that its log keeps its name.
 */
#ifndef SIM_MINILEPTON_FLEET_H
#define SIM_MINILEPTON_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/clock.h"
#include "sim/lepton.h"

#define FLEET_NODES_MAX 256
#define FLEET_DEPLOYMENTS_MAX 64
#define FLEET_JOBS_MAX 16
#define FLEET_UNITS_MAX 1024
#define FLEET_UNITS_EACH_MAX 256 /* replicas of a deployment, ranks of a job */
#define FLEET_GPUS_MAX 64
#define FLEET_GROUPS_MAX 8
#define FLEET_NAME_MAX 64
#define FLEET_ID_MAX 80
#define FLEET_ADDRESS_MAX 64
#define FLEET_PATH_MAX 256
#define FLEET_MESSAGE_MAX 208
#define FLEET_TERMINATIONS_MAX 8
#define FLEET_EVENTS_MAX 256
#define FLEET_GHOSTS_MAX 64
#define FLEET_PORTS_MAX 1024 /* of one node; each unit takes two */
#define FLEET_MISSES 2       /* polls in a row that a node agent leaves unanswered: NotReady */

#define FLEET_NONE UINT32_MAX

enum unit_kind {
	UNIT_REPLICA,
	UNIT_RANK
};
enum unit_phase {
	UNIT_FREE,     /* the slot is not in use */
	UNIT_QUEUED,   /* waits for a node with room */
	UNIT_HELD,     /* has its place and starts when `due` has come */
	UNIT_STARTING, /* its process is to be started, or was not seen yet */
	UNIT_RUNNING,  /* its process runs */
	UNIT_STOPPING, /* its process is to end */
	UNIT_OVER,     /* its process has ended and is not to be started again by itself */
};
enum unit_after {
	AFTER_STOP_START, /* a restart */
	AFTER_STOP_QUEUE, /* it leaves its node */
	AFTER_STOP_FREE,  /* it is not wanted any more */
	AFTER_STOP_OVER,  /* a rank that waits for its gang */
};
enum hold {
	HOLD_ALLOCATION, /* nodes and image are being allocated */
	HOLD_BACKOFF,
	HOLD_GANG, /* all ranks of a job start at one moment */
};

struct fleet_termination {
	nanos started_at, finished_at;
	int exit_code; /* 128 + signal for one that was killed */
	char reason[16], message[FLEET_MESSAGE_MAX];
};

struct unit {
	enum unit_kind kind;
	enum unit_phase phase;
	enum unit_after after; /* STOPPING */
	enum hold hold;        /* HELD */
	uint32_t owner, ordinal;
	char id[FLEET_ID_MAX];
	uint32_t node, gpu, gpus, port; /* node FLEET_NONE: no place; port: offset from port_base */
	uint64_t version;               /* of the fleet when it got this place */
	bool told;                      /* STARTING: the agent has it */
	bool refused;                   /* the agent would not start it */
	bool ready, was_ready, lost;    /* lost: its node does not answer */
	bool full;                      /* QUEUED: no node had room when it was tried last */
	nanos due, started_at, ready_since, changed_at;
	uint32_t crashes, starts;
	uint32_t seen_starts; /* of the agent's count: ends up to it are known */
	int64_t pid;          /* in its node's PID namespace; 0: none */
	int exit_code;
	char message[FLEET_MESSAGE_MAX];
	struct fleet_termination terminations[FLEET_TERMINATIONS_MAX];
	uint32_t termination_count; /* all of them; the newest are kept */
};

struct fleet_node {
	char name[FLEET_NAME_MAX], group[FLEET_NAME_MAX];
	char agent[FLEET_ADDRESS_MAX]; /* HOST:PORT */
	char devices[FLEET_PATH_MAX];  /* folder of gpu0 … as its processes see it */
	uint32_t gpus, port_base;
	bool schedulable;
	bool asked;         /* it has been asked once, whatever came of it */
	bool seen;          /* it has answered at least once */
	uint32_t misses;    /* polls in a row without an answer */
	nanos silent_since; /* NANOS_NEVER: it answers */
	uint64_t gpus_gone; /* bit by index */
	uint64_t gpus_used; /* bit by index */
	uint32_t reserved;  /* 1 + the job that holds it alone; 0: free for all */
	uint64_t ports[FLEET_PORTS_MAX / 2 / 64]; /* pairs in use, bit by index */
	/* Units that left while it did not answer: ended when it is back. */
	char ghosts[FLEET_GHOSTS_MAX][FLEET_ID_MAX];
	uint32_t ghost_count;
};

struct fleet_deployment {
	bool used, deleting, restarting, scaling;
	char name[FLEET_NAME_MAX];
	char groups[FLEET_GROUPS_MAX][FLEET_NAME_MAX];
	uint32_t group_count; /* 0: any node */
	uint32_t replicas, gpus;
	bool at_once;  /* its first replicas do not wait for an allocation */
	bool reserved; /* its nodes are kept for it: no replica ever waits for an allocation */
	nanos start_delay;
};

enum job_state {
	JOB_STARTING,
	JOB_RUNNING,
	JOB_FAILED,
	JOB_COMPLETED,
	JOB_STOPPED,
	JOB_STOPPING,
	JOB_DELETING,
	JOB_RESTARTING,
	JOB_QUEUEING,
};
struct fleet_job {
	bool used, stopped, deleting, admitted;
	char name[FLEET_NAME_MAX], group[FLEET_NAME_MAX];
	uint32_t ranks, gpus, spares;
	int64_t retries; /* -1: without end */
	nanos restart;
	enum job_state state;
	bool failing; /* a rank has failed: the others get until `due` to see it themselves */
	nanos due, created_at, completed_at;
	uint32_t failures;
	char message[FLEET_MESSAGE_MAX];
};

struct fleet_rules {
	bool restart;
	nanos backoff_first, backoff_max, backoff_reset;
	nanos reschedule; /* NANOS_NEVER: units stay where they are */
	nanos allocate;
};

struct fleet_event {
	bool warning;
	char reason[32], kind[16], object[FLEET_ID_MAX], message[FLEET_MESSAGE_MAX];
	uint32_t count;
	nanos at;
};

/* Zero-initialise, fill `rules`, add nodes. Large: it belongs into an arena. */
struct fleet {
	struct fleet_rules rules;
	struct fleet_node nodes[FLEET_NODES_MAX];
	uint32_t node_count;
	struct fleet_deployment deployments[FLEET_DEPLOYMENTS_MAX];
	struct fleet_job jobs[FLEET_JOBS_MAX];
	struct unit units[FLEET_UNITS_MAX];
	uint32_t unit_count; /* slots that were ever in use */
	struct fleet_event events[FLEET_EVENTS_MAX];
	uint32_t event_count; /* all of them; the newest are kept */
	/* Counts every change that must outlive the control plane. What an order stands on is on
	 * disk first: a unit's place counts from saved >= unit.version. */
	uint64_t version, saved;
};

/* One process as a node agent tells it. */
struct fleet_process {
	char id[FLEET_ID_MAX];
	bool running; /* or stopped by a signal: it exists */
	int64_t pid;
	uint32_t starts;
	int exit_code, signal; /* -1: not known */
	char reason[FLEET_MESSAGE_MAX];
};

enum fleet_order_kind {
	ORDER_START,
	ORDER_STOP,
	ORDER_END_GHOST
};
struct fleet_order {
	enum fleet_order_kind kind;
	uint32_t unit; /* FLEET_NONE for a ghost */
	uint64_t version;
	char id[FLEET_ID_MAX];
};

/* ---- what changes it ---- */

/* A node with its agent; FLEET_NONE past FLEET_NODES_MAX. It is not Ready until it has answered. */
uint32_t fleet_add_node(struct fleet *fleet, const struct fleet_node *node);
/* A deployment or job of the name; FLEET_NONE when the table is full. Deployments begin with no
 * replicas: set the fields and tick. */
uint32_t fleet_add_deployment(struct fleet *fleet, const char *name);
uint32_t fleet_add_job(struct fleet *fleet, const char *name, nanos now);
uint32_t fleet_find_deployment(const struct fleet *fleet, const char *name);
uint32_t fleet_find_job(const struct fleet *fleet, const char *name);
uint32_t fleet_find_node(const struct fleet *fleet, const char *name);
uint32_t fleet_find_unit(const struct fleet *fleet, const char *id);

/* Counts, placements, timers, gangs: call it often, and after each change. */
void fleet_tick(struct fleet *fleet, nanos now);

/* All units of a deployment end and start again at once. */
void fleet_restart(struct fleet *fleet, uint32_t deployment, nanos now);
/* Units leave the node for another one with room. */
void fleet_evict(struct fleet *fleet, uint32_t node, nanos now);

/* ---- what the node agents tell ---- */

void fleet_report(struct fleet *fleet, uint32_t node, uint64_t gpus_gone,
		  const struct fleet_process *processes, size_t count, nanos now);
void fleet_silent(struct fleet *fleet, uint32_t node, nanos now);
/* The replica's own answer at /healthz. */
void fleet_ready(struct fleet *fleet, uint32_t unit, bool ready, nanos now);

/* What is to be done on a node now; `room` orders at most, the others come with the next call. */
size_t fleet_orders(const struct fleet *fleet, uint32_t node, struct fleet_order *orders,
		    size_t room);
/* The outcome of an order: done, or refused for good with a reason. Orders that got no answer come
 * again. `order` may be outdated by now: then nothing happens. */
void fleet_done(struct fleet *fleet, uint32_t node, const struct fleet_order *order, nanos now);
void fleet_refused(struct fleet *fleet, uint32_t node, const struct fleet_order *order,
		   const char *why, nanos now);

/* ---- what people see ---- */

enum lepton_state fleet_deployment_state(const struct fleet *fleet, uint32_t deployment);
/* `message` has room for FLEET_MESSAGE_MAX. */
enum lepton_reason fleet_reason(const struct fleet *fleet, const struct unit *unit, char *message);
uint32_t fleet_ready_units(const struct fleet *fleet, enum unit_kind kind, uint32_t owner);
bool fleet_node_ready(const struct fleet_node *node);
extern const char *const fleet_job_state_names[];
extern const char *const unit_phase_names[];
void fleet_tell(struct fleet *fleet, bool warning, const char *reason, const char *kind,
		const char *object, const char *message, nanos now);

/* ---- between fleet*.c ---- */

void fleet_touch(struct fleet *fleet);
/* A place for a replica on one of the deployment's nodes; false: none has room. */
bool fleet_place(struct fleet *fleet, struct unit *unit, const struct fleet_deployment *deployment);
bool fleet_place_on(struct fleet *fleet, struct unit *unit, uint32_t node);
void fleet_unplace(struct fleet *fleet, struct unit *unit);
/* Placement waits for this, so that it does not hang on which agent answers first. */
bool fleet_all_asked(const struct fleet *fleet);
bool fleet_node_fits(const struct fleet *fleet, uint32_t node);
uint32_t fleet_node_slots(const struct fleet_node *node, uint32_t gpus);
struct unit *fleet_new_unit(struct fleet *fleet, enum unit_kind kind, uint32_t owner,
			    uint32_t ordinal, const char *name, nanos now);
void fleet_stop(struct fleet *fleet, struct unit *unit, enum unit_after after, nanos now);
void fleet_hold(struct fleet *fleet, struct unit *unit, enum hold hold, nanos due, nanos now);
/* STOPPING on a node that does not answer: what may still run there is ended when it is back. */
void fleet_abandon(struct fleet *fleet, struct unit *unit, nanos now);
void fleet_free_unit(struct fleet *fleet, struct unit *unit);
void fleet_tick_job(struct fleet *fleet, uint32_t job, nanos now);

#endif
