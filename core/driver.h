/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver plug-in: a deployment that faults can be injected into, simulated or real. It applies
 * and reverts effects, reads what can be seen, and carries out the DR controller's actions. It
 * decides nothing.
 */
#ifndef CORE_DRIVER_H
#define CORE_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/fault.h"
#include "core/record.h"
#include "core/scenario.h"
#include "core/timeline.h"

/*
 * What can be seen of one entity from outside, now. Counts are over everything inside the entity (a
 * rack's nodes, a node's GPUs and replicas). The judge of a fault's effect compares two of these,
 * and so does the diagnosis.
 */
struct reading {
	nanos at;
	uint32_t nodes, nodes_powered, nodes_reachable,
		nodes_responding;    /* declared; BMC says on; answer a ping; agent answers */
	uint32_t gpus, gpus_visible; /* declared; listed by the driver of a node that answers */
	uint64_t xid_lines;          /* Xid messages seen so far */
	uint32_t xid;                /* the latest code, 0: none */
	uint32_t replicas, replicas_ready;  /* placed there; ready by their own report */
	uint64_t process_starts;            /* of those replicas, so far */
	uint32_t processes;                 /* running now */
	uint32_t paths, paths_open;         /* network paths that should be / are open */
	nanos round_trip;                   /* to the entity; NANOS_NEVER when unreachable */
	uint64_t copies, digest_mismatches; /* of data, weights or stored backups looked at, and
					       those whose digest is wrong */
	bool usable;                        /* standby, store: could take over / serve now */
	/* GPUs: pace of the slowest against its benchmark, ppm; how many fail their self-test */
	uint32_t pace_ppm, gpus_wrong;
	/* service: requests that fail at once, ppm; what each takes longer; sent a second */
	uint32_t errors_ppm;
	nanos service_added, start_added; /* start_added: by which a start takes longer */
	double request_rate;
	uint32_t processes_stopped; /* running, but stopped (state T) */
	/* network: packets lost, ppm; bandwidth left, bytes/s; service ports that should be / are
	 * open */
	uint32_t loss_ppm, ports, ports_open;
	double rate;
	/* disks of nodes, or of the store: without space, failing, read-only; throughput left */
	uint32_t disks, disks_full, disks_failing, disks_readonly;
	double disk_rate, restore_rate; /* bytes/s; restore_rate: of restores from the store */
	/* content of data, backups, checkpoints: bytes there, how many cannot be read, how old
	 * it is beyond what its label says, shards there, saves that broke off */
	uint64_t content_bytes;
	uint32_t unreadable, missing, shards, torn; /* missing: contents of which bytes are gone */
	nanos older;
	uint32_t backup_jobs_failing; /* 1: a backup job that starts now fails */
	uint64_t restores_stopped;    /* that broke off so far */
	uint32_t nodes_schedulable, sites_full,
		sites_without_api; /* take pods; do not; API silent */
	nanos replica_lag;         /* by which a standby's copies are behind */
	uint32_t writers;          /* sites that take writes now */
	nanos clock_offset;        /* the largest, without its sign */
	uint32_t nodes_refused;    /* whose clocks are off by more than the platform tolerates */
	/* CPU and memory that the node with the least of it has left for what runs there, ppm of
	 * all; of the CPU that it uses, what the tightest quota leaves a replica. 0: not known */
	uint32_t cpu_left_ppm, memory_left_ppm, quota_ppm;
	uint64_t oom_kills;     /* of processes there, by the kernel's OOM killer, so far */
	uint32_t processes_oom; /* replicas not ready since such a kill */
	uint32_t disk_left_ppm; /* space left on the fullest disk, ppm of it; 0: none, not known */
	/* GPUs of which a kernel call did not come back within the time of a self-test */
	uint32_t gpus_hanging;
	/* Of processes there: system calls so far that were failed, replaced or held back, counted
	 * where it happened and not where it was asked for. */
	uint64_t calls_hit;
	/* network: of the packets of a look, those that came twice, with another content, before
	 * one that was sent earlier; connections to service ports that were reset so far; the
	 * largest packet that passed, bytes, 0: not known */
	uint32_t duplicated_ppm, corrupted_ppm, reordered_ppm;
	uint64_t resets;
	uint32_t mtu;
	/* disks, by operations of the look itself on a file of its own: the share that failed, ppm
	 * (of those that are chosen by name and path, where there is a choice); by how much the
	 * slowest took longer; disks on which one did not come back; blocks that cannot be read,
	 * ppm of the disk with the most of them; inodes left on the disk with the fewest, ppm, 0:
	 * none, not known */
	uint32_t io_failing_ppm;
	nanos io_added;
	uint32_t disks_hanging, bad_blocks_ppm, inodes_left_ppm;
	/* Disks of which a crash now would take what was written and not synced, or even what was,
	 * seen by what lies below the file system after a write of the look itself; parts and
	 * writes that were torn so far, as found there after the crash */
	uint32_t disks_unsynced;
	uint64_t writes_torn;
};

/* ---- actions: what the DR controller asks for. They begin at once, never block, and end with a
 * completion. ---- */
typedef uint64_t action_id; /* given by the run loop, from 1, in order of starting */

enum action_kind {
	ACTION_PROBE,    /* detector, entity, timeout: one look at one target */
	ACTION_BACKUP,   /* policy, backup, site: classes of that policy from the active site to the
			    store */
	ACTION_PRUNE,    /* backup */
	ACTION_FENCE,    /* site, timeout: make sure that the old primary takes no more writes */
	ACTION_ACTIVATE, /* site: start (or scale up) the replicas there */
	ACTION_SWITCH,   /* site -> to: route the traffic */
	ACTION_RESTORE,  /* class, backup (or BACKUP_REPLICA), to: bring the data there, verify its
			    digest */
	ACTION_VERIFY,   /* to: integrity check and reconciliation of the ledger */
	ACTION_DIAGNOSE, /* site: collect symptoms */
	ACTION_REPAIR, /* step: mend what this step broke; one per broken thing, crews permitting */
	ACTION_RETURN, /* site (standby) -> to (primary): bring data and replicas back to the
			  primary, unfence it */
	ACTION_SWITCH_BACK, /* site (standby) -> to (primary): route the traffic back */
	ACTION_STOP,        /* site: stop the standby's replicas again */
	ACTION_KINDS
};
extern const char *const action_names[ACTION_KINDS]; /* "probe", "backup", … */

#define BACKUP_REPLICA (-1) /* restore from the standby's own replica */

struct action {
	enum action_kind kind;
	action_id id;
	uint32_t domain;   /* recovery domain: index of the primary site */
	uint32_t site, to; /* sites */
	uint32_t policy, detector, step;
	int32_t backup;
	enum data_class data_class;
	struct entity entity; /* probe: what is looked at */
	nanos timeout;
	nanos late; /* probe: a simulator tells a miss so much later; below 0: earlier */
	const struct dist *time; /* repair: how long a crew works; NULL: recovery.repair.time */
};

/* The end of an action, or something the client or the platform saw by itself. */
enum completion_kind {
	COMPLETION_ACTION,
	COMPLETION_BAD,     /* client: endpoint turned bad at `since` */
	COMPLETION_GOOD,    /* client: endpoint good again since `since`, stable since then
			      (steady_state) */
	COMPLETION_NOTICE,  /* the platform's own health checks noticed what `injection` broke */
	COMPLETION_RESTART, /* a job of action.domain read a checkpoint and will go on from it */
	COMPLETION_CALM, /* `ok`: whether the endpoints of action.domain are at the level before the
			    fault */
};

#define SYMPTOMS_MAX 13

struct completion {
	enum completion_kind kind;
	nanos at; /* when it is known; a simulator may hand over a probe's result ahead of time */
	struct action action; /* COMPLETION_ACTION */
	bool ok;
	const char *reason; /* when not ok; static or arena text */
	/* probe */
	nanos latency;  /* of an answer */
	bool wrong;     /* the answer's digest is not the model's (seen by canaries only) */
	double success; /* slo: success and p99 of the client's requests in the window */
	nanos latency_p99;
	/* backup, restore */
	nanos as_of; /* consistent as of */
	uint64_t bytes;
	bool broke_off; /* restore: not ok, but both ends are there: it may begin again at once */
	bool corrupt;   /* restore: the digest does not match, or the content is bad */
	/* diagnose */
	struct reading site_reading, link_reading; /* whole site; its links */
	struct reading worst;                      /* of the most broken node, or replica's node */
	struct entity suspect;                     /* that node, GPU or replica */
	/* client, platform; a job is told of like an endpoint: after them all, so that `endpoint`
	 * is endpoint_count + the job's number. It is bad from the instant at which it makes less
	 * than steady_state.success of its normal pace, and good again once it has that pace and
	 * has done again what it had done before. */
	uint32_t endpoint, injection;
	nanos since;
	/* a job's restart */
	nanos stopped, saved, lost; /* its last progress; as of when it goes on; work between */
};

/* What a driver needs to take an effect back, after a crash or a reboot too. The simulator keeps it
 * in memory. */
struct undo_record {
	struct effect effect;
	uint64_t token; /* the driver's own */
	bool applied;
	const char *mechanism; /* that was taken, where the driver had a choice; NULL: as its
				  mechanism() says. Static. */
};

/* The client's and the ledger's account of the whole run, asked once at the end. */
struct account {
	double sent, good, wrong, late, failed; /* requests; 0 without load */
};

/* Acknowledged writes that a read-back did not find as they were written. */
struct ledger_loss {
	uint64_t bytes, records;
	nanos first, last; /* when the first and the last of them were acknowledged */
};

/* How a driver would apply one effect: for `drsim plan` and the record. */
struct mechanism {
	const char *text; /* "model: GPU removed from the node's inventory" */
	enum fidelity fidelity;
	const char *privilege; /* "none", "root", "CAP_NET_ADMIN" … */
};

struct driver_ops {
	const char *name, *help;
	const char *kind;    /* "simulated" or "injected": stands on every page */
	effect_mask effects; /* EFFECT_BITs: what it can apply and revert */
	uint64_t detectors;  /* mask of 1 << enum detector_kind it can serve */
	struct mechanism (*mechanism)(enum effect_kind kind);
	/* Starts the deployment of `scenario` in its steady state at time 0. Everything of it lives
	 * until close(). */
	int (*open)(void **ret_self, const struct scenario *scenario, uint64_t seed, uint64_t trial,
		    struct timeline *timeline, struct error *e);
	/* Back to time 0 for another trial, without setting everything up again; NULL: close and
	 * open instead. */
	int (*reopen)(void *self, uint64_t seed, uint64_t trial, struct timeline *timeline,
		      struct error *e);
	struct clock (*clock)(void *self); /* style: allow */
	/* Begins an effect. Fills *undo before it touches anything. -1: could not (the drill is
	 * then not evaluable). A fault that pulses brings the *undo of the last time, which was
	 * taken back. */
	int (*apply)(void *self, const struct effect *effect, struct undo_record *undo,
		     struct error *e);
	/* Puts another strength of the same effect in the place of what *undo holds, at one
	 * instant: it is never away in between, and nothing is mended by it. */
	int (*adjust)(void *self, const struct effect *effect, struct undo_record *undo,
		      struct error *e);
	/* Takes it back. Safe to call twice. */
	int (*revert)(void *self, struct undo_record *undo, struct error *e);
	/* Looks at one entity, now. Never fails: what cannot be seen is counted as not there.
	 * `about`: the EFFECT_BITs that are judged by it; what would take time to see and tells of
	 * others only may be left out. */
	void (*read)(void *self, struct entity entity, effect_mask about, struct reading *ret);
	int (*start)(void *self, const struct action *action, struct error *e);
	/* Hands over what ended since the last call, in order of `at`. Returns how many, 0: nothing
	 * more. */
	size_t (*poll)(void *self, struct completion *ret, size_t max);
	/* Is any of this effect still there? The proof of an undo. */
	bool (*present)(void *self, const struct undo_record *undo);
	/* When an action under way is expected to end, as things stand; NANOS_NEVER: unknown. */
	nanos (*expected_end)(void *self, action_id id);
	/* Writes of one class acknowledged by a site in (from, to]. */
	void (*ledger)(void *self, uint32_t site, enum data_class data_class, nanos from, nanos to,
		       uint64_t *ret_bytes, uint64_t *ret_records);
	/* The instant of the last acknowledged write at a site: now while it goes on writing. */
	nanos (*last_write)(void *self, uint32_t site);
	/* The client's view now, of the worst endpoint: share of good answers 0 … 1, and latency; a
	 * job counts as 1 while it is good, else as 0.
	 */
	void (*level)(void *self, double *ret_success, nanos *ret_latency);
	void (*account)(void *self, struct account *ret);
	/* One training job, of the whole run. */
	void (*job)(void *self, uint32_t job, struct job_record *ret);
	void (*close)(void *self);
	/* Requests answered wrongly so far by the endpoints of a primary site, and steps that its
	 * jobs computed wrongly; NULL: it cannot tell. Changes nothing. */
	double (*wrong)(void *self, uint32_t site);
	/* What this trial has cost so far, as a count that depends on scenario, seed and version
	 * only; NULL: not known. */
	uint64_t (*work)(void *self);
	/* It plays a scenario shrunk by its `process` block: open() gets the scenario_scale()d
	 * one. */
	bool scaled;
	/*
	 * The end of a drill on a real system, after account(): takes everything down, proves that
	 * nothing is left, and tells what it measured by means of its own. Texts live in `arena`.
	 * Files that belong to the record go to `folder` (NULL: none are kept). NULL: there is
	 * nothing to take down.
	 */
	void (*finish)(void *self, const char *folder, struct arena *arena, struct measured *ret);
	/*
	 * Writes of one class acknowledged by a site in (from, to] that the last read-back did not
	 * find, although nothing was restored: a real target can lose what it acknowledged. false:
	 * there is no read-back, or nothing is lost. NULL: data stay where they are.
	 */
	bool (*lost)(void *self, uint32_t site, enum data_class data_class, nanos from, nanos to,
		     struct ledger_loss *ret);
	/* Refuses (ERROR_UNAVAILABLE) to begin on a host where a killed run left something. */
	int (*require_clean)(struct arena *arena, struct error *e);
	/* For `drsim doctor`: what this host can do for it, and why not, a line each. Changes
	 * nothing. NULL: nothing to tell. */
	void (*doctor)(struct arena *arena,
		       void (*say)(const char *what, bool yes, const char *detail));
};

extern const struct driver_ops *const driver_table[]; /* NULL-terminated */
const struct driver_ops *driver_find(const char *name);
/* The scenario as this driver plays it: shrunk by its `process` block where the driver says so. */
int driver_scale(const struct driver_ops *driver, struct arena *arena, struct scenario **scenario,
		 struct error *e);

/*
 * Did it take? Judged by two readings of the effect's entity, before and after, and nothing else.
 * Writes what was observed ("GPUs visible 32 -> 31") to `text`.
 */
#define OBSERVED_MAX 160
bool effect_visible(enum effect_kind kind, const struct reading *before,
		    const struct reading *after, char text[OBSERVED_MAX]);

#endif
