/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated world: one Lepton deployment in virtual time. Each file of this folder owns one
 * part of it:
 *
 *   cluster.c   sites, racks, nodes, GPUs, links: what is powered, reachable, answering
 *   effects.c   effects come and go: what each changes, and whether anything of it is left
 *   conditions.c  effects that stand and have a strength, looked up when someone asks
 *   readings.c  what can be seen of an entity from outside
 *   replica.c   replicas, the platform that starts and moves them, the gateway's health checks
 *   jobs.c      training jobs: gangs of ranks, their checkpoints and restarts
 *   storage.c   the data classes, their ledger, replication, backups, restores, all transfers
 *   load.c      the fluid view of the clients: success, latency, backlog; good and bad
 *   requests.c  single requests in the windows that decide FRT
 *   actions.c   what the DR controller asks for
 *
 * A standby site at the start, and what it still needs before it serves:
 *
 *   heat   replicas            data (standby.holds)     then
 *   hot    running, weights    all classes, as old as   traffic switched, digests checked
 *          in the GPUs         the replication lag
 *   warm   nodes and image     weights on disk          + weights to the GPUs, initialisation,
 *          there, idle                                    the other classes restored
 *   cold   none                none                     + nodes allocated, weights fetched
 *
 * Backup and replication agents run beside a site's serving processes. They stop when none of those
 * is left that runs on a node which is up, not frozen and not cut off (a crash, a hang), when the
 * site is fenced, and when the store or the standby cannot be reached; a site without endpoints has
 * them while any node is up. So idle nodes read nothing from a copy whose processes died, a backup
 * under way then is lost, and a process that comes back in place takes them up again. A standby's
 * replica is as old as its lag and one packet's way there; without a lag it is synchronous, and has
 * every write that was acknowledged. What a store has received it verifies by itself.
 *
 * How fluid and single requests meet: the fluid state (arrivals, capacity, backlog, share of good
 * answers) is kept at all times and changes only at events. Single requests are simulated in a
 * window of steady_state.window after the service turns bad, and from the instant the fluid says
 * "good again" until a stable window is proven. When a window opens, the fluid's backlog becomes
 * that many waiting requests (spread over the time they must have arrived in); when it closes, the
 * waiting requests become backlog. t_restored comes from the single requests; without load (rate 0,
 * or `requests: never`) it is the fluid's instant.
 */
#ifndef SIM_MODEL_WORLD_H
#define SIM_MODEL_WORLD_H

#include "core/calibration.h"
#include "core/driver.h"
#include "sim/engine.h"
#include "sim/flow.h"

/* ---- cluster ---- */
struct node {
	uint16_t power_off, crashed, frozen, cut; /* how many effects hold it so */
	uint16_t xid;                             /* latest code */
	uint32_t xid_lines;
	uint64_t gpus_gone, gpus_used; /* bit per GPU; used: by a replica placed there */
	uint16_t gone_by[SCENARIO_GPUS_PER_NODE_MAX]; /* how many effects hold each GPU so */
	nanos delay, jitter;           /* added to a round trip */
	uint32_t job, rank; /* 1 + the job whose node or spare it is, 1 + its rank on it; 0: none */
	uint32_t disk;                 /* 1 + its flow resource, 0: nobody has read from it yet */
	/* how many effects: drop requests to its ports; keep pods off it; of its disk */
	uint16_t dropped, cordoned, disk_full, disk_failing, disk_readonly;
	uint16_t disk_low; /* effects: hardly any space, so that it takes no pods */
	/* how many effects: hold its disk, leave it no inodes, reset its connections, cut it off
	 * from some others */
	uint16_t disk_hanging, no_inodes, reset, parted;
	uint64_t resets, writes_torn; /* so far */
};

/* What is wrong with the content of one data class at a site, by how many effects. */
struct damage_state {
	uint64_t flips;                  /* damaged chunks: wrong answers */
	uint32_t cut, sealed, gone, old; /* shorter, unreadable, not there; of an earlier time */
	uint64_t copy;                   /* so many times a good copy has replaced it */
};

struct site_state {
	uint32_t first_node; /* in world.nodes */
	uint16_t cut, standby_out;
	nanos delay, jitter; /* added to a round trip */
	uint64_t fenced;     /* domains, a bit each, told to take no more writes here */
	uint64_t activated;  /* domains that this standby was told to serve */
	bool return_lost;    /* a primary: what the standby had written did not come back */
	bool restless;       /* a primary whose endpoints are not calm */
	uint32_t data_ready; /* DATA_BIT mask: usable here (primaries: what is declared) */
	struct damage_state damage[DATA_CLASSES]; /* of the site's copy of each class */
	uint16_t dropped, full, api_out; /* effects: requests vanish; pods stay pending; no API */
	uint16_t reset, parted; /* effects: connections are reset; cut off from some sites */
	uint64_t pending;  /* domains whose pods stay pending here: the scheduler will look again */
	nanos lag_added;   /* a standby: its copies are later by */
	double split;      /* a standby: share of the clients whose writes it takes by itself */
	bool replicates;   /* a standby: replication to it goes on, */
	nanos replica_way; /* a packet taking so long, */
	nanos replica_lag; /* and coming so much later; */
	nanos replica_reached; /* as of when its copies were when either last changed */
	size_t writing;        /* 1 + its open interval in world.writings, 0: none */
	uint32_t port, uplink; /* flow resources: all NICs of the site; its way to other sites */
};

struct link_state {
	uint16_t cut;
	nanos delay; /* added to a round trip */
	uint32_t resource;
};

struct store_state { /* how many effects hold it so */
	uint16_t out, full, failing, readonly, jobs_failing, hanging, no_inodes;
	uint64_t restores_stopped;     /* so far */
	uint32_t read, write, restore; /* flow resources; restore: of restores alone */
};

/* ---- replicas ---- */
enum stage {
	STAGE_NONE,
	STAGE_WAITING,
	STAGE_QUEUED,
	STAGE_LOADING,
	STAGE_STARTING,
	STAGE_RUNNING
};
enum serve {
	SERVE_OK,
	SERVE_WRONG,
	SERVE_REFUSE,
	SERVE_HANG
};

#define NODE_NONE UINT32_MAX

/* What the standing effects make of one replica; all zero but pace: it is well. */
struct conditions {
	double pace;              /* 1: full speed */
	double wrong, error;      /* share of requests answered wrongly; with an error, at once */
	double loss;              /* share of packets lost on the way to it */
	nanos added, start_added; /* a request, a start takes longer */
	nanos loops;              /* it exits so long after each start; 0: it does not */
	bool stopped, unready;
	bool hangs;      /* its GPU or its disk does not come back */
	double squeezed; /* share of the CPU that it uses which its quota takes away */
};

struct replica {
	uint32_t endpoint, ordinal, site;
	uint32_t node, gpu; /* global node, first GPU; NODE_NONE: not placed */
	enum stage stage;
	enum serve serve;      /* as last published to the gateway */
	bool routable;         /* in the gateway's rotation */
	struct conditions now; /* as of the last look */
	uint64_t flips;        /* damaged chunks of its weights in memory */
	bool home;             /* of the primary site */
	uint32_t crashes;      /* in a row, for the back-off */
	uint64_t starts;
	event_id stage_event, gateway_event, move_event, loop_event;
	struct prng start;    /* initialisation times */
	uint32_t load;        /* 1 + the transfer that brings its weights, 0: none */
	uint32_t outstanding; /* single requests in it */
	nanos running_since;
	uint64_t oom_kills; /* by the OOM killer, so far */
	bool oom;           /* and it has not been ready since the last */
};

/* ---- load ---- */
struct request {
	nanos intended;
	uint32_t next;    /* free list or queue */
	uint32_t replica; /* world.replicas: where it was tried last */
	uint32_t slot;    /* its place in service.slots + 1, 0: not judged */
	uint64_t starts;  /* of the replica when it took the request: a restart loses it */
	uint8_t attempts;
	bool hung;
	enum serve fate; /* of the answer: SERVE_OK, SERVE_WRONG, SERVE_REFUSE: an error */
	bool poured;     /* from the fluid's backlog, which has counted it */
	bool waited;     /* found no free slot, at least once */
};

#define SLOTS_MAX 4000000 /* requests of one stable window; more stay a fluid */
#define HISTOGRAM_BUCKETS 512
#define LOAD_ATTEMPTS_MAX 8 /* first try and retries; the loader allows no more */

/* Requests of one second. */
struct second {
	nanos from;
	uint32_t sent, good, wrong, late, failed, waited;
	uint32_t histogram[HISTOGRAM_BUCKETS];
};

struct verdict_slot {
	nanos intended;
	bool good;
};

/* Replicas that answer alike. */
#define GRADES_MAX 16
struct grade {
	double weight, pace, loss; /* weight: share of the answers */
	nanos added;
};

struct service {
	uint32_t endpoint, route; /* the site that gets the traffic */
	nanos retransmit, second_length; /* RETRANSMIT_FIRST and a second, at the scale of the
					    scenario */
	uint32_t source; /* the endpoint whose replicas serve it: its own, or its fallback */
	uint32_t *members;
	size_t member_count; /* replicas in rotation */
	uint32_t *all;
	size_t all_count;  /* all replicas of the endpoint, every site */
	uint32_t expected; /* replicas ready at the start */
	/* fluid */
	nanos since;              /* the figures below hold from here on */
	double backlog, capacity; /* waiting requests; requests per second that can be served */
	double right[LOAD_ATTEMPTS_MAX]; /* share that gets a right answer after i time-outs on the
					    way */
	double share_right, share_wrong;
	struct grade grades[GRADES_MAX]; /* of the right answers; none: all replicas are well */
	size_t grade_count;
	double surge; /* arrivals, as a multiple of the load's rate */
	nanos delay, jitter;
	double told_success, told_capacity, told_surge;
	nanos told_delay;
	double told_backlog;  /* as last written to the timeline */
	bool level_good, bad; /* expected level / the client's verdict */
	event_id crossing;
	double queue_limit; /* requests: always: with more waiting the level is bad */
	double sent, good, wrong, late, failed;
	/* window ring of the slo detector */
	struct level {
		nanos from;
		double success;
		nanos p99;
	} * levels;
	size_t level_count, level_capacity;
	/* single requests */
	bool window, confirming; /* window open / looking for the stable window */
	nanos window_opened, window_ends;
	struct prng arrival, service_prng, route_prng;
	event_id arrival_event, judge_event;
	uint64_t arrivals;
	struct request *pool;
	size_t pool_capacity;
	uint32_t free_head;
	uint32_t queue_head, queue_tail;
	size_t queued;
	struct verdict_slot *slots;
	size_t slot_count, slot_capacity, slot_first; /* since window_opened, by arrival */
	size_t edge;
	uint32_t edge_good; /* sliding stable window [slot_first, edge) */
	struct second second;
	bool calm;
};

/* ---- storage ---- */
struct backup_state {
	uint32_t policy, site;
	nanos as_of, begun;
	uint64_t bytes;
	bool running, ok, pruned;
	uint32_t poisoned; /* DATA_BIT mask: it faithfully holds content that was wrong already */
	uint64_t flips;    /* damaged chunks of the stored copy */
	uint32_t gone;     /* effects that took it out of the store */
	nanos older;       /* its content is so much older than its label */
	flow_id flow;
	event_id event;
	action_id action;
};

struct writing {
	nanos from, to;
	uint32_t site;
	double share; /* of the clients' writes */
};                    /* to NANOS_NEVER: still going on */

struct transfer { /* argument of a flow */
	enum {
		TRANSFER_NONE,
		TRANSFER_BACKUP,
		TRANSFER_VERIFY_BACKUP,
		TRANSFER_RESTORE,
		TRANSFER_WEIGHTS,
		TRANSFER_RETURN,
		TRANSFER_SAVE, /* of a job: a checkpoint to the store, or from it */
		TRANSFER_LOAD
	} kind;
	uint32_t index; /* backup, replica, job, or the next free slot + 1 */
	struct action action;
	uint32_t from, to; /* sites */
	uint32_t through;  /* flow resource: the store's port, or a disk; FLOW_RESOURCE_NONE */
	bool local;        /* from a node's own disk: no network */
	flow_id flow;
	double cap;     /* of the flow: what one connection gets on that link */
	event_id event; /* all is sent, the last byte is on its way */
	nanos arrives;
	nanos more; /* in a calibrated trial: so long after its last byte it is done */
	uint64_t bytes;
};

/* For so long the primary's copy of a class was wrong; to NANOS_NEVER: it still is. */
struct damage {
	enum data_class data_class;
	nanos from, to;
};

struct timed { /* an action that ends at a known time */
	struct action action;
	nanos wrong_after; /* a probe that is answered wrongly, so long after it was sent; 0: not */
	event_id event;
	nanos end;
	bool used;
	uint32_t next;           /* 1 + the next free one, 0: none */
	uint32_t later, earlier; /* probes, by their end: 1 + the neighbours, 0: none */
};

struct token {                /* one applied effect */
	bool active, changed; /* changed: an Xid took its GPU down */
	bool down;            /* a flap: cut right now */
	struct effect effect;
	uint32_t site;       /* that served the endpoint it hit */
	uint64_t generation; /* of the job whose processes it stopped; 0: none */
	uint64_t copy;       /* of the content that it damaged */
	nanos since;         /* what was written before it is hit */
	event_id event;      /* the next turn of a flap, the end of a reboot */
};

struct world {
	const struct scenario *scenario;
	struct timeline *timeline;
	uint64_t seed, trial;
	struct calibration_row late; /* of this trial: by which things take longer than modelled */
	struct arena arena; /* everything that grows */
	struct engine *engine;
	struct flow_net *flows;
	event_id flow_event;

	struct node *nodes;
	size_t node_count;
	struct site_state *sites;
	struct link_state *links;
	struct store_state store;
	bool disks_used; /* some node's disk is a flow resource */

	struct job_state *jobs; /* jobs.c */
	size_t job_count;

	struct replica *replicas;
	size_t replica_count;
	struct service *services;
	bool fallbacks; /* some endpoint falls back on another one's replicas */

	struct writing *writings;
	size_t writing_count, writing_capacity;
	struct damage *damages; /* of the data site, in order of their begin */
	size_t damage_count, damage_capacity;
	size_t damage_open[DATA_CLASSES]; /* 1 + the one that goes on, 0: none */
	struct backup_state *backups;
	size_t backup_count, backup_capacity;
	int32_t newest[SCENARIO_POLICIES_MAX]; /* last backup of each policy that ended well; -1 */
	struct prng backup_prng[SCENARIO_POLICIES_MAX];
	struct transfer *transfers;
	size_t transfer_count, transfer_capacity;
	uint32_t transfer_free; /* 1 + head of the free list, 0: none */
	struct timed *timed;
	size_t timed_count, timed_capacity;
	uint32_t timed_free;              /* 1 + head of the free list, 0: none */
	uint32_t probe_first, probe_last; /* 1 + the timed probes that end first and last */

	struct action *waiting;
	size_t waiting_count, waiting_capacity; /* returns that wait for the primary's replicas */
	uint32_t crews_busy;
	struct action *repair_queue;
	size_t repair_count, repair_capacity;
	struct prng switch_prng; /* switch, verify and diagnose times, in order of asking */
	struct prng probe_prng[SCENARIO_DETECTORS_MAX];
	bool probes_meet; /* of some detector, one look's timeout may end when the next begins */

	struct token *tokens;
	size_t token_count, token_capacity;
	uint32_t *standing; /* active tokens that conditions.c looks up */
	size_t standing_count, standing_capacity;
	size_t parted; /* effects that cut some off from some others */
	bool narrowed; /* something took bandwidth of all packets, once */

	struct completion *done;
	size_t done_first, done_count, done_capacity; /* ring */
};

/* The site whose storage holds the three data classes: the first primary one. */
uint32_t world_data_site(const struct world *world);
/* Recovery domains are numbered by primary site; the first one owns the data. */
#define DOMAIN_BIT(domain) ((uint64_t)1 << (domain))
#define DOMAIN_OF_DATA 0
uint32_t world_domain(const struct world *world, uint32_t endpoint);

/* world.c: set up and reset to time 0 */
struct world *world_open(const struct scenario *scenario);
void world_close(struct world *world);
void world_reset(struct world *world, uint64_t seed, uint64_t trial, struct timeline *timeline);
void world_complete(struct world *world,
		    const struct completion *completion); /* queue it; the run loop wakes up */

/* cluster.c */
bool node_up(const struct world *world, uint32_t node);    /* powered and not crashed */
bool node_open(const struct world *world, uint32_t node);  /* takes pods, if it is up */
bool site_alive(const struct world *world, uint32_t site); /* any node of it is up */
bool site_reachable(const struct world *world,
		    uint32_t site);                     /* from the clients and the controller */
bool link_open(const struct world *world, size_t link); /* not cut, not every packet lost */
bool sites_connected(const struct world *world, uint32_t a, uint32_t b);
nanos sites_way(const struct world *world, uint32_t a, uint32_t b); /* of a packet, one way */
bool site_usable(const struct world *world,
		 uint32_t site); /* could serve: alive, reachable, not out */
struct node_range {
	uint32_t first, end; /* in world.nodes */
};
struct node_range nodes_of(const struct world *world, struct entity entity); /* may be empty */
/* Replicas that an effect on `entity` means; an endpoint: those at `site`. */
bool replica_is_of(const struct world *world, const struct replica *replica, struct entity entity,
		   uint32_t site);
/* The same as seen now: an endpoint is where its traffic goes. */
bool replica_matches(const struct world *world, const struct replica *replica,
		     struct entity entity);
void cluster_reset(struct world *world);
void cluster_changed(struct world *world); /* after any effect: everyone looks again */

/* effects.c */
void effects_reset(struct world *world);
/* *token: 0, or the token of the same effect that was reverted: it is used again. */
void effect_apply(struct world *world, const struct effect *effect, uint64_t *token);
/* Another strength of an effect that is there, without a moment in between. */
void effect_adjust(struct world *world, const struct effect *effect, uint64_t token);
void effect_revert(struct world *world, uint64_t token);
bool effect_present(const struct world *world, uint64_t token); /* is anything of it there? */

/* conditions.c: the effects of the kinds that it names, while they stand */
bool condition_kind(enum effect_kind kind);
/* The k-th that stands, or NULL when it is of another kind. */
static inline const struct effect *condition_standing(const struct world *world, size_t k,
						      enum effect_kind kind)
{
	const struct token *token = &world->tokens[world->standing[k]];
	return token->effect.kind == kind ? &token->effect : NULL;
}
bool gpus_hang(const struct world *world, uint32_t node, uint64_t mask);
void conditions_of(const struct world *world, const struct replica *replica,
		   struct conditions *ret);
bool conditions_well(const struct conditions *now); /* nothing changes what it answers */
/* The GPUs of `mask` on a node: pace of the slowest (1: full), share of wrong results. */
double gpus_pace(const struct world *world, uint32_t node, uint64_t mask);
double gpus_wrong(const struct world *world, uint32_t node, uint64_t mask);
/* Shares of a node's CPU and memory that are left for what runs there; too little memory for a
 * process that serves or trains? */
double node_cpu(const struct world *world, uint32_t node);
double node_memory(const struct world *world, uint32_t node);
bool node_starved(const struct world *world, uint32_t node);
/* Bandwidth left (INFINITY: all), by effects on exactly that thing. */
double condition_rate(const struct world *world, enum effect_kind kind, struct entity entity);
/* Is it of this kind, and is the content of that class still the copy that it damaged? */
bool condition_damages(const struct world *world, const struct token *token, enum effect_kind kind,
		       enum data_class c);
/* Arrivals at an endpoint as a multiple of its load's rate. */
double condition_surge(const struct world *world, uint32_t endpoint);
/* By how much a site's or node's clock is off; *ret_refused: more than the platform tolerates. */
nanos condition_clock(const struct world *world, uint32_t site, uint32_t node, bool *ret_refused);

/* wire.c: effects on the packets of exactly that thing */
double wire_share(const struct world *world, enum effect_kind kind, struct entity entity);
double wire_loss(const struct world *world, struct entity entity); /* that never arrive */
uint32_t wire_mtu(const struct world *world, struct entity entity);
double wire_width(const struct world *world, struct entity entity); /* of its bandwidth, left */
double wire_segment(const struct world *world, struct entity entity);
/* Share that TCP takes for lost, where a connection could have `rate`. */
double wire_overtaken(const struct world *world, struct entity entity, double rate);
nanos wire_held(const struct effect *effect);     /* by reordering, one way */
bool wire_is_shaped(const struct effect *effect); /* a cut with somebody on either side */
bool wire_parted(const struct world *world, struct entity a, struct entity b);

/* disks.c: effects on a node's disk or on the store's */
struct entity node_entity(const struct world *world, uint32_t node);
double disk_errors(const struct world *world, struct entity entity, uint32_t files);
nanos disk_added(const struct world *world, struct entity entity, uint32_t files);
bool disk_has_bad_blocks(const struct world *world, struct entity entity);
double disk_left(const struct world *world, struct entity entity, double rate, uint32_t files);
void disk_change_hang(struct world *world, struct token *token, bool on);
void disk_change_badblocks(struct world *world, struct token *token, bool on);
void disk_change_inodes(struct world *world, struct token *token, bool on);
void disk_change_unsynced(struct world *world, struct token *token, bool on);
void disk_change_torn(struct world *world, struct token *token, bool on);
void disk_crashed(struct world *world, uint32_t node); /* it went down without a warning */
bool disk_unsynced(const struct world *world, struct entity entity);

/* readings.c */
void reading_take(const struct world *world, struct entity entity, struct reading *ret);
/* The same of a rack or node without its replicas, which takes no look at all of them. */
void reading_hardware(const struct world *world, struct entity entity, struct reading *ret);

/* replica.c */
void replicas_open(struct world *world);
void replicas_reset(struct world *world);
void replicas_look(struct world *world);                  /* processes die with their node or GPU */
void replica_exit(struct world *world, uint32_t replica); /* the process is killed */
void replica_revive(struct world *world, uint32_t replica); /* a repair starts it again */
/* The OOM killer ends its process, if it has one; the biggest process of a node. */
void replica_oom(struct world *world, uint32_t replica);
void replicas_starve(struct world *world, struct entity node);
void replicas_activate(struct world *world, uint32_t site, uint32_t domain);
void replicas_stop(struct world *world, uint32_t site, uint32_t domain);
void replicas_data(struct world *world, uint32_t site); /* the site's data changed: go on loading */
bool replica_hosts_ready(const struct world *world,
			 uint32_t site); /* all home replicas of the site are well */
/* Home replica `ordinal` of an endpoint; NULL: it has not so many. */
const struct replica *replica_at_home(const struct world *world, uint32_t endpoint,
				      uint32_t ordinal);
/* Pods leave the nodes of a standby that were cordoned; those that can go elsewhere do. */
void replicas_evict(struct world *world, uint32_t site);
/* Does any process of the domain live at the site on a node that is up and cut off? */
bool replicas_hidden(const struct world *world, uint32_t site, uint32_t domain);
enum serve replica_serve(const struct world *world, const struct replica *replica);
void replica_weights_done(struct world *world, uint32_t replica);

/* storage.c */
void storage_reset(struct world *world);
void storage_look(struct world *world); /* who writes, what replicates, what broke off */
void storage_backup(struct world *world, const struct action *action);
void storage_prune(struct world *world, int32_t backup);
void storage_restore(struct world *world, const struct action *action);
/* From the standby's own copy, which takes time in a calibrated trial only: that is over. */
void storage_restore_end(struct world *world, const struct action *action);
void storage_return(struct world *world, const struct action *action);
void storage_weights(struct world *world, uint32_t replica); /* fetch weights from the store */
void storage_disk(struct world *world, uint32_t replica);    /* read them from its node's disk */
void storage_weights_stop(struct world *world, uint32_t replica); /* give either up */
void storage_pump(struct world *world); /* (re)schedule the next end of a transfer */
void storage_ledger(const struct world *world, uint32_t site, enum data_class c, nanos from,
		    nanos to, double *ret_bytes, double *ret_records);
nanos storage_last_write(const struct world *world, uint32_t site);
/* Is the site's copy of the class wrong in any way? Is any of it missing or unreadable? */
bool content_wrong(const struct site_state *site, enum data_class c);
bool content_missing(const struct site_state *site, enum data_class c);
void storage_stop_restores(struct world *world); /* those under way break off */
int32_t storage_backup_by_index(const struct world *world,
				int32_t index); /* -1 newest that ended well; -1: none */
nanos storage_expected_end(struct world *world, action_id id);

/* A job's save to the store, or its way back; the transfer, for storage_job_stop(). */
uint32_t storage_job(struct world *world, uint32_t job, uint32_t site, bool save, uint64_t bytes);
void storage_job_stop(struct world *world, uint32_t transfer);
const char *storage_job_obstacle(const struct world *world, uint32_t site,
				 bool save); /* NULL: none */

/* jobs.c */
void jobs_open(struct world *world);
void jobs_reset(struct world *world);
void jobs_look(struct world *world);
void jobs_transferred(struct world *world, uint32_t job, bool save);
/* A process of a job or rank, or that uses a GPU, is killed; is the job down? */
void jobs_exit(struct world *world, struct entity entity);
bool jobs_down(const struct world *world, struct entity entity);
/* The OOM killer ends a process of a job or rank, or of the job on a node. */
void jobs_oom(struct world *world, struct entity entity);
/* Processes are stopped (state T); returns their generation, which goes on or dies. */
uint64_t jobs_stop(struct world *world, struct entity entity);
void jobs_go_on(struct world *world, struct entity entity, uint64_t generation);
bool jobs_stopped(const struct world *world, struct entity entity, uint64_t generation);
/* -1 the newest kept one, -2 the one before, 0 the first ever; -1: not there (any more). */
int32_t jobs_save_by_index(const struct world *world, uint32_t job, int32_t which);
/* The saves from before `since` cannot be read as they were written, or can again. */
void jobs_badblocks(struct world *world, nanos since, uint64_t ranges, bool on);
/* An effect on a checkpoint whose part is settled comes or goes. */
void jobs_damage(struct world *world, const struct effect *effect, bool on);
void jobs_read(const struct world *world, struct entity entity, struct reading *ret);
bool jobs_running(const struct world *world, uint32_t job);
nanos jobs_stalled(const struct world *world, uint32_t job); /* so long without progress */
bool jobs_validate(struct world *world, uint32_t job);
bool jobs_calm(const struct world *world, uint32_t site);
bool jobs_all_good(const struct world *world);
double jobs_wrong(const struct world *world, uint32_t site); /* steps with wrong results */
void jobs_account(const struct world *world, uint32_t job, struct job_record *ret);

/* load.c */
void load_calm(struct world *world, uint32_t site); /* is all of the site calm? tells a change */
void load_open(struct world *world);
void load_reset(struct world *world);
void load_look(struct world *world, uint32_t endpoint); /* membership, modes or delays changed */
void load_look_all(struct world *world);
void load_route(struct world *world, uint32_t endpoint, uint32_t site);
void load_settle(struct world *world, struct service *service); /* bring the fluid up to now */
void load_confirm(struct world *world, struct service *service, nanos good_since);
void load_account(struct world *world, struct account *ret);
/* Requests answered wrongly so far by a site's endpoints. */
double load_wrong(struct world *world, uint32_t site);
void load_window_stats(struct world *world, const struct service *service, nanos window,
		       double *ret_success, nanos *ret_p99);
/* What a request sent now meets: share of good answers, p99 of the latency. */
void load_now(const struct world *world, const struct service *service, double *ret_success,
	      nanos *ret_p99);
nanos load_wait(const struct service *service);                             /* queueing time now */
double load_rate(const struct world *world, const struct service *service); /* arrivals, 1/s */
#define RETRANSMIT_FIRST (200 * NANOS_MS) /* after which a lost packet is sent again */
/* What packets lost on the way add to one answer; 0 mostly. */
nanos load_retransmits(double loss, nanos first, struct prng *prng);
/* Share of good answers when a request waits `wait`: right, and within the latency limit. */
double load_success(const struct world *world, const struct service *service, nanos wait);

/* requests.c */
void requests_reset(struct world *world, struct service *service);
void requests_open(struct world *world, struct service *service, bool confirming, nanos ends);
void requests_close(struct world *world, struct service *service);
void requests_members_changed(struct world *world, struct service *service);

/* actions.c */
int action_begin(struct world *world, const struct action *action, struct error *e);
struct timed *action_timed(struct world *world, const struct action *action,
			   nanos takes); /* ok at its end, unless actions.c says otherwise */
nanos action_expected_end(struct world *world, action_id id);
void action_end(struct world *world, const struct action *action, bool ok, const char *reason);
void actions_reset(struct world *world);
void actions_probes_over(struct world *world); /* misses that end now become known now */
void actions_look(struct world *world);        /* what waits for the primary may go on */
void action_wait_primary(struct world *world, const struct action *action);

static inline nanos world_now(const struct world *world)
{
	return engine_now(world->engine);
}

#endif
