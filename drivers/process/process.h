/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of the driver process: a Lepton deployment, or a user's own servers, as real processes
 * of this host, in real time.
 *
 * The main thread is the run loop's: it starts, kills and freezes machines, applies and reverts
 * effects, and hands completions over. What takes time runs in threads of its own: the observer
 * (observe.c) looks at nodes and control plane, the prober (probe.c) sends the detectors' looks,
 * each action of the DR controller that waits or copies is a worker (actions.c), the client sends
 * the load (drivers/host/client.h), the copies live (copies_live.c). They meet in two places, both
 * behind one lock: the queue of completions, and the observer's last round.
 */
#ifndef DRIVERS_PROCESS_PROCESS_H
#define DRIVERS_PROCESS_PROCESS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/driver.h"
#include "drivers/host/capture.h"
#include "drivers/host/client.h"
#include "drivers/host/guardian.h"
#include "drivers/host/journal.h"
#include "drivers/host/machine.h"
#include "drivers/process/call.h"
#include "drivers/process/copies.h"
#include "drivers/store/store.h"

#define PROCESS_NODES_MAX 128    /* of a scenario: each is a machine of its own */
#define PROCESS_REPLICAS_MAX 256 /* of all endpoints and sites */
#define PROCESS_QUEUE_MAX 4096   /* completions that nobody has fetched */
#define PROCESS_WORKERS_MAX 64   /* actions under way at a time */
#define PROCESS_BACKUPS_MAX 10000
#define PROCESS_TOKEN_MAX 33
#define PROCESS_URL_MAX 128
#define PROCESS_PORTS 256     /* of each node: its agent's, and behind it those of its processes */
#define PROCESS_VIEWS_MAX 32  /* processes of one node */
#define FAULT_RECORDS_MAX 256 /* files or processes that one effect hits */
#define PROCESS_JOBS_MAX 4    /* of a scenario */
#define JOB_BAD_MAX 16        /* checkpoints that one restart found to be bad */
_Static_assert(FAULT_RECORDS_MAX >= PROCESS_REPLICAS_MAX, "what is stopped goes on again");
#define CANARY_SEQUENCE ((uint64_t)1 << 62) /* and above: records that no ledger counts */

/* ---- what it can break ---- */
#define EFFECTS_OF_PACKETS                                                                         \
	(EFFECT_BIT(EFFECT_NET_DELAY) | EFFECT_BIT(EFFECT_NET_LOSS) |                              \
	 EFFECT_BIT(EFFECT_NET_RATE) | EFFECT_BIT(EFFECT_NET_DUPLICATE) |                          \
	 EFFECT_BIT(EFFECT_NET_CORRUPT) | EFFECT_BIT(EFFECT_NET_REORDER) |                         \
	 EFFECT_BIT(EFFECT_NET_MTU))
#define EFFECTS_OF_NETWORK                                                                         \
	(EFFECTS_OF_PACKETS | EFFECT_BIT(EFFECT_NET_CUT) | EFFECT_BIT(EFFECT_NET_FLAP) |           \
	 EFFECT_BIT(EFFECT_NET_DROP) | EFFECT_BIT(EFFECT_NET_RESET))
#define EFFECTS_OF_STORAGE                                                                         \
	(EFFECT_BIT(EFFECT_DISK_ERROR) | EFFECT_BIT(EFFECT_DISK_RATE) |                            \
	 EFFECT_BIT(EFFECT_DISK_READONLY) | EFFECT_BIT(EFFECT_DISK_HANG) |                         \
	 EFFECT_BIT(EFFECT_DISK_BADBLOCKS) | EFFECT_BIT(EFFECT_IO_ERROR) |                         \
	 EFFECT_BIT(EFFECT_IO_LATENCY) | EFFECT_BIT(EFFECT_FS_UNSYNCED) |                          \
	 EFFECT_BIT(EFFECT_FS_TORN_OP) | EFFECT_BIT(EFFECT_FS_TORN_SEQ))
#define EFFECTS_OF_CALLS                                                                           \
	(EFFECT_BIT(EFFECT_SYS_ERROR) | EFFECT_BIT(EFFECT_SYS_RETVAL) |                            \
	 EFFECT_BIT(EFFECT_SYS_DELAY) | EFFECT_BIT(EFFECT_GPU_HANG))
#define EFFECTS_OF_PROCESS                                                                         \
	(EFFECT_BIT(EFFECT_GPU_GONE) | EFFECT_BIT(EFFECT_POWER_OFF) |                              \
	 EFFECT_BIT(EFFECT_NODE_CRASH) | EFFECT_BIT(EFFECT_NODE_REBOOT) |                          \
	 EFFECT_BIT(EFFECT_NODE_FREEZE) | EFFECT_BIT(EFFECT_STANDBY_OUT) |                         \
	 EFFECT_BIT(EFFECT_PROC_EXIT) | EFFECT_BIT(EFFECT_PROC_LOOP) |                             \
	 EFFECT_BIT(EFFECT_PROC_FREEZE) | EFFECT_BIT(EFFECT_START_SLOW) |                          \
	 EFFECT_BIT(EFFECT_LOAD_SURGE) | EFFECT_BIT(EFFECT_DISK_FULL) |                            \
	 EFFECT_BIT(EFFECT_DATA_FLIP) | EFFECT_BIT(EFFECT_DATA_CUT) |                              \
	 EFFECT_BIT(EFFECT_DATA_OLD) | EFFECT_BIT(EFFECT_DATA_GONE) |                              \
	 EFFECT_BIT(EFFECT_DATA_ZERO) | EFFECT_BIT(EFFECT_DATA_MISDIRECT) |                        \
	 EFFECT_BIT(EFFECT_BACKUP_FLIP) | EFFECT_BIT(EFFECT_BACKUP_GONE) |                         \
	 EFFECT_BIT(EFFECT_BACKUP_OLD) | EFFECT_BIT(EFFECT_BACKUP_FAIL) |                          \
	 EFFECT_BIT(EFFECT_RESTORE_STOP) | EFFECT_BIT(EFFECT_CKPT_FLIP) |                          \
	 EFFECT_BIT(EFFECT_CKPT_SHARD) | EFFECT_BIT(EFFECT_CKPT_TORN) |                            \
	 EFFECT_BIT(EFFECT_CPU_TAKEN) | EFFECT_BIT(EFFECT_CPU_QUOTA) |                             \
	 EFFECT_BIT(EFFECT_MEM_TAKEN) | EFFECT_BIT(EFFECT_PROC_OOM) | EFFECTS_OF_NETWORK |         \
	 EFFECTS_OF_STORAGE | EFFECTS_OF_CALLS | EFFECT_BIT(EFFECT_DISK_INODES) |                  \
	 EFFECT_BIT(EFFECT_GPU_XID) | EFFECT_BIT(EFFECT_GPU_SLOW) | EFFECT_BIT(EFFECT_GPU_WRONG) | \
	 EFFECT_BIT(EFFECT_CLOCK_SKEW))

/* A node of the scenario: a machine with an agent. */
struct node {
	uint32_t site, index; /* as the scenario counts them */
	char name[160];       /* "primary/node[0]" */
	struct machine *machine;
	char agent[PROCESS_URL_MAX]; /* http://A:P of its agent */
	const char *devices, *disk;  /* folders, as it sees them */
	uint16_t port;               /* of its agent; the ports behind it are the replicas' */
	atomic_bool power;           /* as its power controller says */
	atomic_bool down;            /* we killed it, and nobody started it again */
	/* What other work leaves of its CPU and memory, ppm, as it was last seen. */
	_Atomic uint32_t cpu_left, memory_left;
	uint64_t memory_limit; /* of its cgroup, bytes; 0: none */
};

/* A process, as the agent of its node tells of it. */
struct real_view {
	char id[80];
	pid_t pid;
	uint64_t starts;
	char state; /* R running, T stopped, X exited */
};

/* What the observer saw of one node. */
struct node_view {
	bool reachable, responding, ready; /* answers a connection; a call; is Ready to the control
					      plane */
	uint32_t gpus;                     /* present */
	uint64_t gpu_mask;                 /* which */
	uint64_t xid_lines;                /* about its GPUs, so far */
	uint32_t xid;                      /* the latest code; 0: none */
	struct real_view seen[PROCESS_VIEWS_MAX];
	uint32_t processes;
	uint64_t oom_kills; /* of its processes, so far */
};

/* A replica, as the control plane tells of it. */
struct replica_view {
	char id[80], deployment[96], address[64];
	uint32_t endpoint, site, ordinal;
	int node;        /* index in nodes; -1: none */
	char reason[32]; /* Lepton's readiness reason */
	bool ready;
	uint64_t starts;
	pid_t pid;  /* inside its node's machine; 0: it does not run */
	char state; /* R running, T stopped, X exited */
};

/* A rank of a job: control plane and agent of its node tell of it. */
struct rank_view {
	int node;   /* index in nodes; -1: none */
	pid_t pid;  /* inside its node's machine; 0: it does not run */
	char state; /* R running, T stopped, X exited */
	uint64_t starts;
};

/* A training job. */
struct job_view {
	char state[16], message[208]; /* as the control plane says; "": it said nothing yet */
	uint64_t failures;
	uint32_t rank_count;
	struct rank_view ranks[PROCESS_NODES_MAX];
	char first[64]; /* address of rank 0 */
	/* What rank 0 told of itself. */
	bool told, running, restored;
	uint64_t restored_from;          /* step */
	uint64_t bad_steps[JOB_BAD_MAX]; /* of the checkpoints that it found to be bad */
	char bad_whys[JOB_BAD_MAX][64];
	uint32_t bad_count;
};

/* One round of the observer. */
struct view {
	uint64_t round;
	nanos at;     /* when it was begun */
	bool control; /* the control plane answered */
	struct node_view nodes[PROCESS_NODES_MAX];
	struct replica_view replicas[PROCESS_REPLICAS_MAX];
	size_t replica_count;
	struct job_view jobs[PROCESS_JOBS_MAX];
};

struct backup_state {
	bool ok, pruned;
	uint32_t policy, classes;
	nanos as_of;
	uint64_t bytes;
	char ids[DATA_CLASSES][STORE_ID_MAX]; /* in the store, of each class */
};

struct worker {
	struct real *real;
	struct action action;
	pthread_t thread;
	bool used, over;
	bool broken; /* a restore that is made to break off */
	atomic_bool cancel;
	nanos begun, wait, expected_end; /* NANOS_NEVER: unknown */
};

/* Something applied that is more than one call. */
struct fault_state {
	bool used;
	struct effect effect;
	uint64_t records[FAULT_RECORDS_MAX]; /* numbers in the journal */
	uint64_t inodes[FAULT_RECORDS_MAX];  /* of the files that were damaged */
	uint64_t cut[FAULT_RECORDS_MAX];     /* 1 + their size after it; 0: not cut */
	uint8_t *tails[FAULT_RECORDS_MAX];   /* what came between the copy and the cut */
	size_t tail_size[FAULT_RECORDS_MAX];
	size_t record_count;
	uint32_t site;  /* whose data were damaged */
	bool unwritten; /* the history of the data stands still for it */
	struct kept_object *objects[FAULT_RECORDS_MAX]; /* of the store */
	size_t object_count;
	struct kept_shard *shards[FAULT_RECORDS_MAX]; /* of a checkpoint */
	size_t shard_count;
	struct machine_beside strain;        /* that takes CPU or memory */
	pid_t pids[FAULT_RECORDS_MAX];       /* that are held to a quota */
	double cpu_used[FAULT_RECORDS_MAX];  /* by each of them before: processors */
	uint32_t node_of[FAULT_RECORDS_MAX]; /* where each of them runs */
	size_t pid_count;
	struct network_fault *net;         /* of the network */
	const char *mechanism;             /* undo_record.mechanism */
	uint32_t inodes_taken;             /* files that took them */
	uint32_t layer_fault;              /* its number in the layer over the disk; 0: none */
	bool crashed;                      /* a torn write brought the node down */
	uint32_t rules[FAULT_RECORDS_MAX]; /* on system calls */
	size_t rule_count;
	nanos renew;                          /* when their leases have to be */
	nanos cpu_at, cpu_then;               /* a look at the strain: when, and what it had used */
	int32_t backup;                       /* or checkpoint of the job */
	char ids[DATA_CLASSES][STORE_ID_MAX]; /* of the backup before it was aged */
	uint32_t processes;                   /* that ran before it */
	uint64_t starts;                      /* of them, before it */
	nanos due;           /* of what happens again or later by itself; NANOS_NEVER: nothing */
	nanos evident_since; /* the platform could see it; NANOS_NEVER: it cannot */
	bool noticed;
};

struct real {
	const struct scenario *scenario; /* scaled */
	struct arena arena, texts;       /* texts: of any thread */
	uint64_t seed;
	struct timeline *timeline;
	char run[JOURNAL_RUN_MAX];
	char token[PROCESS_TOKEN_MAX];
	_Atomic int64_t start; /* CLOCK_MONOTONIC, ns, of instant 0 */
	int home;              /* the network namespace that the main thread came from; -1 */
	bool entered;          /* the main thread is in the client's */

	struct journal *journal;
	struct guardian guardian;
	bool guarded;
	struct machines *machines;
	struct machine_config *machine_configs; /* the nodes' first, in their order */
	struct machine *control_machine, *gateway_machine, *store_machine, *client_machine;
	struct machine *site_machines[SCENARIO_SITES_MAX]; /* each site's place in the network */
	struct network *network;
	effect_mask about;                   /* what a reading that is taken now is asked for */
	struct effects planned;              /* of all steps, on all that they may hit */
	uint64_t writes_torn;                /* so far */
	double disk_rate[PROCESS_NODES_MAX]; /* as it was first; 0: not measured */
	struct fuse_layer *layers[PROCESS_NODES_MAX]; /* over the storage, as a node sees it */
	struct clock_wall *clocks[PROCESS_NODES_MAX]; /* NULL: they stay right */
	const char *kernel_log;                       /* that the nodes read */
	struct kmsg *kmsg;         /* where lines of it are written; NULL: no step does */
	struct syscalls *syscalls; /* NULL: no step breaks any call */
	const char *store_disk;
	bool volumes[SCENARIO_SITES_MAX]; /* of limited size: mounted */
	struct node nodes[PROCESS_NODES_MAX];
	size_t node_count;
	uint32_t first_node[SCENARIO_SITES_MAX];
	char control[PROCESS_URL_MAX], gateway[PROCESS_URL_MAX], store_url[PROCESS_URL_MAX];
	uint16_t gateway_port, control_port;
	const char *program; /* minilepton */
	const char *log;     /* folder of the logs */
	struct copies *copies;
	struct caller *caller; /* of the main thread */

	struct client *client;
	struct capture *capture;
	const char *capture_path, *capture_reason; /* reason: why there is none */
	const char *broken;                        /* why the client cannot go on */
	struct client_outage outage;               /* the longest, as the wire was asked about */
	bool outage_known;
	bool ended;
	bool bad[SCENARIO_ENDPOINTS_MAX], calm[SCENARIO_SITES_MAX];
	nanos disturbed;                                /* something was broken last; 0: never */
	nanos calm_level[SCENARIO_ENDPOINTS_MAX];       /* p99 in the steady state */
	_Atomic uint32_t route[SCENARIO_ENDPOINTS_MAX]; /* site that has the traffic */
	double rate[SCENARIO_ENDPOINTS_MAX];            /* requests a second, now */
	nanos start_added[SCENARIO_ENDPOINTS_MAX];
	/* The tightest quota on a replica, ppm of what it used before; 0: none. */
	_Atomic uint32_t quota[SCENARIO_ENDPOINTS_MAX];
	atomic_bool checked[SCENARIO_ENDPOINTS_MAX];  /* its ledger was read back at least once */
	atomic_bool checking[SCENARIO_ENDPOINTS_MAX]; /* is being read back */
	bool unread[SCENARIO_ENDPOINTS_MAX];          /* has to be, before anything is calm */
	const char *check_reason;
	atomic_bool verifying;            /* set last, when the three below are */
	struct action verify;             /* ends with the read-back under way, or one after it */
	bool check_failed;                /* of the read-backs since it began */
	nanos verify_again, verify_until; /* NANOS_NEVER: not tried again */

	pthread_mutex_t lock;
	pthread_cond_t changed; /* a round of the observer is over, a worker ended, closing */
	int wake;               /* eventfd: there is something to fetch */
	struct completion queue[PROCESS_QUEUE_MAX];
	size_t queue_first, queue_count;
	nanos shown; /* the latest instant that anybody was told */
	bool closing;

	pthread_t observer;
	bool observing;
	bool observer_ends;
	uint64_t rounds_begun, rounds_wanted; /* it hurries until it has made so many */
	struct view view, *scratch;           /* scratch: the main thread's own */
	uint64_t seen_round;
	struct replica_view told[PROCESS_REPLICAS_MAX]; /* in the timeline */
	size_t told_count;
	struct probes *probes;
	struct services *services; /* a user's own servers */

	struct jobs *jobs; /* NULL: none */

	struct worker workers[PROCESS_WORKERS_MAX];
	uint32_t crews_busy;
	struct action repairs[PROCESS_WORKERS_MAX]; /* wait for a crew */
	size_t repair_count;
	struct prng switching;

	struct backup_state *backups; /* PROCESS_BACKUPS_MAX */
	size_t backup_count;
	pthread_mutex_t store_lock;      /* backups and prunes go one after the other */
	pthread_mutex_t text_lock;       /* of the arena, for texts of workers */
	_Atomic uint32_t backups_failed; /* jobs that failed since they have to */
	atomic_bool backups_fail, standby_out[SCENARIO_SITES_MAX];
	uint64_t restores_stopped;

	struct fault_state *faults;
	size_t fault_count, fault_capacity;
};

/* ---- process.c ---- */
nanos real_now(void *self);
/* Queues a completion for the run loop; any thread. */
void real_complete(struct real *real, const struct completion *completion);
void real_end(struct real *real, const struct action *action, bool ok, const char *reason);
/* Something is about to break: nothing is calm until the client has had time to see it. */
void real_disturbed(struct real *real);
/* Waits until `when` or until `cancel` or the end of the drill; false: not the whole time. */
bool real_sleep(struct real *real, nanos when, const atomic_bool *cancel);
/* A copy that lives as long as the drill; any thread. */
const char *real_keep_text(struct real *real, const char *text);
struct node *real_node(struct real *real, uint32_t site, uint32_t index);
/* Does any machine of the site run? And is it not taken out? */
bool real_site_alive(struct real *real, uint32_t site);
bool real_site_usable(struct real *real, uint32_t site);
uint32_t real_domain_of(const struct real *real, uint32_t site);
/* Writes acknowledged by a site; driver_ops.ledger. */
void real_ledger(void *self, uint32_t site, enum data_class data_class, nanos from, nanos to,
		 uint64_t *ret_bytes, uint64_t *ret_records);

/* ---- deploy.c, deploy_spec.c, deploy_end.c ---- */
int deploy_open(struct real *real, struct error *e);
/* Starts the agent of a node that was killed. */
int deploy_node(struct real *real, struct node *node, struct error *e);
/* The endpoint's and the deployment's name in the platform's own characters: "chat",
 * "chat-primary". */
const char *deploy_endpoint(const struct real *real, uint32_t endpoint, char *name, size_t room);
const char *deploy_name(const struct real *real, uint32_t endpoint, uint32_t site, char *name,
			size_t room);
/* Makes a name one of the platform's: a letter, then letters, digits and '-'. */
const char *deploy_platform_name(char *name);
uint32_t deploy_replicas(const struct real *real, uint32_t endpoint, uint32_t site);
int deploy_scale(struct real *real, struct caller *caller, uint32_t endpoint, uint32_t site,
		 uint32_t replicas, struct error *e);
int deploy_route(struct real *real, struct caller *caller, uint32_t endpoint, uint32_t site,
		 struct error *e);
/* What the control plane is told to run. */
int deploy_spec(struct real *real, const char *path, struct error *e);
/* Stops everything, saves what belongs into the run folder (NULL: nothing), and looks for residue.
 * Safe to call twice. */
void deploy_end(struct real *real, const char *folder, struct arena *arena, struct measured *ret);

/* ---- observe.c ---- */
int observe_start(struct real *real, struct error *e);
void observe_stop(struct real *real);
/* A copy of a round that was begun after now; of the last one when none comes in time. */
void observe_fresh(struct real *real, struct view *ret);
/* A round now: something changed that somebody may wait for. */
void observe_hurry(struct real *real);
void observe_last(struct real *real, struct view *ret);
uint64_t observe_round(struct real *real);
void observe_tell(struct real *real, const struct view *view);
/* Of an answer: "" and 0 where there is no such text or number. */
const char *observe_text(const cJSON *object, const char *key);
double observe_number(const cJSON *object, const char *key);

/* ---- probe.c ---- */
int probes_start(struct real *real, struct error *e);
void probes_stop(struct real *real);
int probes_send(struct real *real, const struct action *action, struct error *e);

/* ---- actions.c ---- */
int actions_start(struct real *real, const struct action *action, struct error *e);
void actions_stop(struct real *real);
nanos actions_expected_end(struct real *real, action_id id);
void actions_reap(struct real *real);
/* Makes the restores under way break off, and waits until they have; returns how many. */
size_t actions_break_restores(struct real *real);
void actions_expect(struct worker *worker, nanos end);

/* ---- actions_data.c: backup, restore, the way back ---- */
void action_backup(struct worker *worker);
void action_prune(struct worker *worker);
void action_restore(struct worker *worker);
void action_return(struct worker *worker);
/* ---- actions_tool.c: the same by commands of the user's ---- */
/* NULL, or why not; the tool got so many bytes to keep. */
const char *action_tool_backup(struct worker *worker, const struct backup_policy *policy,
			       uint64_t *ret_bytes);
int action_tool_restore(struct worker *worker, const struct backup_policy *policy, struct error *e);
int actions_open_store(struct real *real, struct store_handle **ret_store, struct error *e);
/* All replicas of its endpoints are Ready at the site. */
bool actions_site_ready(struct real *real, uint32_t site);

/* ---- effects.c ---- */
struct mechanism effects_mechanism(enum effect_kind kind);
int effects_apply(struct real *real, const struct effect *effect, struct undo_record *undo,
		  struct error *e);
int effects_adjust(struct real *real, const struct effect *effect, struct undo_record *undo,
		   struct error *e);
int effects_revert(struct real *real, struct undo_record *undo, struct error *e);
bool effects_present(struct real *real, const struct undo_record *undo);
/* What happens again or later by itself, and what the platform noticed. */
void effects_look(struct real *real);
nanos effects_deadline(const struct real *real);
/* One that ended well and still stands, from the newest (-1, -2 …) or from the first; -1: none. */
int32_t effects_backup_index(struct real *real, int32_t index);

/* ---- readings.c ---- */
/* By a look of its own; by the observer's last one. Main thread. */
void readings_take(struct real *real, struct entity entity, struct reading *ret);
void readings_glance(struct real *real, struct entity entity, struct reading *ret);
void readings_diagnose(struct real *real, uint32_t site, struct completion *ret);
/* A rate is what it was first (*usual, 0: not known yet) until it is less than half of that: a
 * smaller change is the host's. */
double readings_steady(double *usual, double now);
/* Is node n of the site in the rack, node or GPU, or is it the whole site? */
bool readings_holds_node(const struct site *site, const struct entity *entity, uint32_t n);

#endif
