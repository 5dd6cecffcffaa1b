/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fault plug-in: a pure function from parameters and targets to effects. A fault says *what*
 * changes; a driver says *how*. Undo and the check that it took effect belong to the run loop, so
 * that a fault cannot forget them.
 */
#ifndef CORE_FAULT_H
#define CORE_FAULT_H

#include <stddef.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/error.h"
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
	EFFECT_GPU_XID,     /* GPU: a new Xid line; value: the code */
	EFFECT_POWER_OFF,   /* site, rack, node: fewer nodes powered */
	EFFECT_NODE_CRASH,  /* node: fewer nodes that answer, power still on */
	EFFECT_NODE_FREEZE, /* node: reachable but its agent no longer responds */
	EFFECT_NET_CUT,     /* site, node, link: fewer reachable paths */
	EFFECT_NET_DELAY,   /* site, node, link: round trip longer; amount: ns, spread: ns */
	EFFECT_PROC_EXIT,   /* replica, endpoint: a process start count that grew or fewer processes
			     */
	EFFECT_DATA_FLIP,   /* data, replica: digest mismatches; amount: how many bits */
	EFFECT_BACKUP_FLIP, /* backup: stored digest differs from the manifest's; amount: how many
			       bits */
	EFFECT_STANDBY_OUT, /* standby: not usable */
	EFFECTS
};
#define EFFECT_BIT(kind) (1ull << (kind))
extern const char *const effect_names[EFFECTS]; /* "gpu.gone", … for `drsim plan` */

struct effect {
	enum effect_kind kind;
	uint32_t step; /* whose step this is */
	struct entity entity;
	int64_t amount;  /* as the kind says */
	int64_t spread;  /* jitter (standard deviation) where the kind has one */
	double fraction; /* share of the matter that is hit, 1 by default */
};

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
	uint64_t needs;   /* EFFECT_BIT mask, checked against the driver before t = 0 */
	uint32_t targets; /* mask of 1 << enum entity_kind it accepts; others are an error with a
			     place */
	/* Pure: the effects of this fault on the `count` selected entities. */
	int (*plan)(const void *params, const struct entity *entities, size_t count,
		    struct prng *prng, struct effects *out, struct error *e);
};

/* The catalogue is wired in core/main.c (and in a test's main): a NULL-terminated table of const
 * fault_ops. */
extern const struct fault_ops *const fault_table[];
const struct fault_ops *fault_find(const char *name); /* NULL when unknown */

#endif
