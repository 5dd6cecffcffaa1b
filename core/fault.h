/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fault plug-in: a pure function from parameters and targets to effects. A fault says *what*
 * changes; a driver says *how*. Undo and the check that it took effect belong to the run loop, so
 * that a fault cannot forget them.
 */
#ifndef CORE_FAULT_H
#define CORE_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/error.h"
#include "core/impairment.h"
#include "core/operations.h"
#include "core/param.h"
#include "core/prng.h"
#include "core/target.h"

/*
 * What can change in a deployment. Each effect hits one entity; the comment says which kinds and
 * what a reading of that entity shows when it took (core/effect.c judges by exactly that, never by
 * the driver's word).
 */
enum effect_kind {
	EFFECT_GPU_GONE,    /* GPU: fewer GPUs visible */
	EFFECT_GPU_XID,     /* GPU: a new Xid line; amount: the code */
	EFFECT_POWER_OFF,   /* site, rack, node: fewer nodes powered */
	EFFECT_NODE_CRASH,  /* node: fewer nodes that answer, power still on */
	EFFECT_NODE_FREEZE, /* node: reachable but its agent no longer responds */
	EFFECT_NET_CUT,     /* site, node, link: fewer reachable paths */
	EFFECT_NET_DELAY,   /* site, node, link: round trip longer; amount: ns, spread: ns */
	EFFECT_PROC_EXIT,   /* replica, endpoint, rank, job: a process start count that grew or
			       fewer processes; amount: the signal */
	EFFECT_DATA_FLIP,   /* data, replica: digest mismatches; amount: how many bits */
	EFFECT_BACKUP_FLIP, /* backup: stored digest differs from the manifest's; amount: how many
			       bits */
	EFFECT_STANDBY_OUT, /* standby: not usable */
	EFFECT_GPU_SLOW,    /* GPU: its benchmark is slower; amount: share of speed lost, ppm */
	EFFECT_GPU_WRONG,   /* GPU: its self-test gives wrong results; amount: share, ppm */
	EFFECT_NODE_REBOOT, /* node: fewer nodes that answer, power still on; amount: ns until it is
			       up again by itself */
	EFFECT_SERVE_ERROR, /* node, replica, endpoint: requests fail at once, health checks do not;
			       amount: share of requests, ppm */
	EFFECT_SERVE_SLOW,  /* node, replica, endpoint: requests take longer; amount: ns */
	EFFECT_PROC_FREEZE, /* replica, endpoint, rank, job: processes stopped (state T) */
	EFFECT_PROC_LOOP,   /* replica, endpoint: the process exits again and again; amount: ns from
			       one start to the next exit */
	EFFECT_START_SLOW,  /* replica, endpoint: a start takes longer; amount: ns */
	EFFECT_REPLICA_UNREADY, /* replica, endpoint: runs, but reports that it is not ready */
	EFFECT_NET_LOSS,        /* site, node, link: packets lost; amount: share, ppm */
	EFFECT_NET_RATE,        /* site, node, link: bandwidth left; amount: bytes/s */
	EFFECT_NET_FLAP,   /* site, node, link: cut and whole in turns; amount: ns cut, spread: ns
			      whole */
	EFFECT_NET_DROP,   /* site, node: requests to its service ports vanish, the rest passes */
	EFFECT_DISK_FULL,  /* node, store: no space left for a write; amount: share of its space
			      that is left after all, ppm */
	EFFECT_DISK_ERROR, /* node, store: reads and writes fail with EIO */
	EFFECT_DISK_RATE,  /* node, store: throughput left; amount: bytes/s */
	EFFECT_DISK_READONLY, /* node, store: writes fail with EROFS */
	EFFECT_DATA_CUT,      /* data: bytes missing; amount: share, ppm */
	EFFECT_DATA_OLD,      /* data: the content is that of an earlier time; amount: ns */
	EFFECT_DATA_SEALED,   /* data: content there but unreadable (encrypted) */
	EFFECT_DATA_GONE,     /* data: all bytes missing */
	EFFECT_BACKUP_GONE,   /* backup: listed, but not in the store */
	EFFECT_BACKUP_OLD,    /* backup: its content is older than its label; amount: ns */
	EFFECT_BACKUP_FAIL,   /* store: backup jobs fail */
	EFFECT_RESTORE_STOP,  /* store: a restore under way breaks off */
	EFFECT_RESTORE_RATE,  /* store: throughput left for restores; amount: bytes/s */
	EFFECT_STORE_OUT,     /* store: not usable */
	EFFECT_STORE_RATE,    /* store: throughput left; amount: bytes/s */
	EFFECT_STANDBY_SMALL, /* standby: fewer nodes that take pods; amount: share of nodes
				 that is missing, ppm */
	EFFECT_NO_CAPACITY,   /* site: new pods stay pending */
	EFFECT_REPL_LAG,      /* standby: its copies are older; amount: ns */
	EFFECT_SPLIT_BRAIN,   /* standby: it takes writes beside the primary; amount: share of the
				 clients, ppm */
	EFFECT_CLOCK_SKEW,    /* site, node: the clock is off; amount: ns, spread: ns that the
				 platform tolerates */
	EFFECT_API_OUT,       /* site: the control plane does not answer */
	EFFECT_LOAD_SURGE,    /* endpoint: more requests; amount: ppm of the normal rate added */
	EFFECT_MODEL_BAD,  /* endpoint: the weights that serve are not those that were released */
	EFFECT_CKPT_FLIP,  /* checkpoint: digest mismatches; amount: bits */
	EFFECT_CKPT_SHARD, /* checkpoint: shards missing; amount: how many */
	EFFECT_CKPT_TORN,  /* checkpoint: a save that broke off, but lists as whole */
	EFFECT_CPU_TAKEN,  /* node: less CPU left for what runs there; amount: load of each worker,
			      ppm of a CPU, spread: workers, 0: one on each CPU */
	EFFECT_CPU_QUOTA,  /* replica, endpoint: less CPU by its cgroup's quota; amount: share of
			      what it uses that is taken away, ppm */
	EFFECT_MEM_TAKEN,  /* node: less memory left; amount: share of it taken, ppm, or, where
			      above 0, spread: bytes */
	EFFECT_PROC_OOM,   /* replica, endpoint, rank, job: ended by the OOM killer, which counts
			      its kills; amount: the signal */
	EFFECT_DATA_ZERO,  /* data: digest mismatches; amount: how many ranges are zeros, spread:
			      bytes of each */
	EFFECT_DATA_MISDIRECT, /* data: digest mismatches; amount: the place that one block was
				  read from, spread: that it was written to, ppm of the content */
	/* From here on with `operations`, where it says so, which choose what is hit. */
	EFFECT_SYS_ERROR,  /* node, replica, endpoint, rank, job: calls that were hit; amount: share
			      of the calls that are chosen, ppm; operations: which, and the errno */
	EFFECT_SYS_RETVAL, /* the same: such a call is not carried out and returns operations.value;
			      amount: share, ppm */
	EFFECT_SYS_DELAY,  /* the same: such a call takes longer; amount: ns, spread: share of the
			      calls, ppm */
	EFFECT_GPU_HANG, /* GPU: what computes on it is stuck in a kernel call and cannot be killed;
			      its self-test does not come back */
	EFFECT_NET_DUPLICATE, /* site, node, link: packets that come twice; amount: share, ppm */
	EFFECT_NET_CORRUPT,   /* site, node, link: packets with a flipped bit; amount: share, ppm */
	EFFECT_NET_REORDER,   /* site, node, link: packets that go before others; amount: share,
				 ppm, spread: ns that all the others are held back */
	EFFECT_NET_RESET,     /* site, node: connections to its service ports are reset; amount: ns
			     after they were opened, 0: at once */
	EFFECT_NET_MTU,       /* site, node, link: largest packet that passes; amount: bytes */
	EFFECT_IO_ERROR,   /* node, store: operations on files fail; amount: share of those that are
			     chosen, ppm; operations: which, and the errno */
	EFFECT_IO_LATENCY, /* node, store: operations on files take longer; amount: ns, spread:
			      ns to either side, evenly; operations: which */
	EFFECT_DISK_HANG,  /* node, store: reads and writes do not come back; amount: ns after which
			      each fails with EIO, 0: never */
	EFFECT_DISK_BADBLOCKS, /* node, store: blocks that cannot be read; amount: share, ppm,
				  spread: ranges that they lie in */
	EFFECT_DISK_INODES,    /* node, store: no room for another file; amount: share of its inodes
				  that is left, ppm */
	EFFECT_FS_UNSYNCED,    /* node: what a crash takes although it was synced, spread 1, or only
				  what was not, spread 0 */
	EFFECT_FS_TORN_OP,     /* node: its programs end in the middle of a write, of which a part
				  is there; operations: which, its parts */
	EFFECT_FS_TORN_SEQ,    /* node: its programs end between writes in a row, some of which are
				  there; operations: which */
	EFFECTS
};
/* One bit for each kind: more than a word of 64 has. */
__extension__ typedef unsigned __int128 effect_mask;
#define EFFECT_BIT(kind) ((effect_mask)1 << (kind))
_Static_assert(EFFECTS < 8 * sizeof(effect_mask), "a mask has a bit for each kind of effect");
#define EFFECTS_ALL (EFFECT_BIT(EFFECTS) - 1)
#define EFFECT_PPM 1000000 /* amounts that are shares are in parts per million */
extern const char *const effect_names[EFFECTS]; /* "gpu.gone", … for `drsim plan` */

struct effect {
	enum effect_kind kind;
	uint32_t step;      /* whose step this is */
	uint32_t injection; /* and which of that run's injections */
	struct entity entity;
	int64_t amount;  /* as the kind says */
	int64_t spread;  /* as the kind says; jitter (standard deviation) of a delay */
	double fraction; /* share of the matter that is hit, 1 by default */
	/* What a strength does not say; NULL where the kind has none of it, or as it was planned
	 * without. They live as long as the effects of their injection, in the same arena. */
	const struct operations *operations; /* sys.*, io.*, fs.* */
	const struct impairment *impairment; /* net.* but cuts */
	const struct partition *partition;   /* net.cut */
};

/*
 * A kind that has a strength can be there more or less: a ramp makes it grow. `share` 1 is what was
 * planned, 0 would be as if it were not there. What has no strength is there or not.
 */
bool effect_has_strength(enum effect_kind kind);
struct effect effect_scaled(struct effect full, double share);

/* Filled by plan(); a fault that wants more than the limit gets an error with its place. */
#define EFFECTS_PER_FAULT_MAX 65536
struct effects {
	struct effect *items;
	size_t count, capacity;
	struct arena *arena;
};
int effects_add(struct effects *effects, struct effect effect, struct error *e);

struct fault_ops {
	const char *name, *group, *help; /* "gpu.lost", "gpu", one sentence */
	const struct param *params;      /* PARAMS_END-terminated */
	size_t params_size;
	effect_mask needs; /* EFFECT_BITs, checked against the driver before t = 0 */
	uint32_t targets;  /* mask of 1 << enum entity_kind it accepts; others are an error with a
			     place */
	/* Pure: the effects of this fault on the `count` selected entities, at least one on each
	 * (but for who sees all others in a partition).
	 * -1: the parameters cannot stand together; found when the scenario is loaded. */
	int (*plan)(const void *params, const struct entity *entities, size_t count,
		    struct prng *prng, struct effects *out, struct error *e);
	const char *example; /* a target for the example of `drsim list faults NAME`; NULL: the
				usual one of the first kind it accepts */
};

/* The catalogue is wired in core/main.c (and in a test's main): a NULL-terminated table of const
 * fault_ops. */
extern const struct fault_ops *const fault_table[];
const struct fault_ops *fault_find(const char *name); /* NULL when unknown */

#endif
