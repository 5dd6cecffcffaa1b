/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a fault, probe or action points at: the words of the scenario (`primary/node[1]/gpu[3]`) and
 * the entities they name. Parsed and resolved once, when the scenario is loaded; everyone after
 * that passes entities.
 */
#ifndef CORE_TARGET_H
#define CORE_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/error.h"
#include "core/prng.h"

struct scenario;

enum entity_kind {
	ENTITY_NONE,
	ENTITY_SITE,     /* site */
	ENTITY_RACK,     /* site, index: the rack in the site */
	ENTITY_NODE,     /* site, index: the node in the site */
	ENTITY_GPU,      /* site, index: the node, part: the GPU in the node */
	ENTITY_LINK,     /* index: in deployment.links */
	ENTITY_STORE,    /* the backup store */
	ENTITY_ENDPOINT, /* index: in deployment.endpoints */
	ENTITY_REPLICA,  /* index: the endpoint, part: the replica */
	ENTITY_JOB,      /* index: in deployment.jobs */
	ENTITY_DATA,     /* index: enum data_class */
	ENTITY_BACKUP, /* index: which backup, -1 the newest, -2 the one before, 0 the first ever */
	ENTITY_STANDBY, /* site: the standby site as a whole */
	ENTITY_RANK,    /* index: the job, part: the rank */
	ENTITY_CHECKPOINT, /* index: the job, part: which, an int32_t: -1 the newest, 0 the first */
	ENTITY_KINDS
};

/* One thing of the deployment, by number; compared with entity_equal(), printed with
 * entity_print(). */
struct entity {
	enum entity_kind kind;
	uint32_t site;
	int32_t index;
	uint32_t part;
};

enum select_kind {
	SELECT_ALL,
	SELECT_ONE,
	SELECT_COUNT,
	SELECT_FRACTION
};

struct select {
	enum select_kind kind; /* default: one where the pattern names one thing, else an error asks
				  for it */
	uint32_t count;        /* SELECT_COUNT */
	double fraction;       /* SELECT_FRACTION, 0 … 1; at least one is taken */
};

struct target {
	const char *spec; /* as written */
	struct place place;
	const struct entity *entities; /* every declared thing the pattern matches, in order of
					  declaration; > 0 */
	size_t count;
};

/*
 * Parse `spec` and find what it matches among the declared entities of `scenario` (sites, racks,
 * nodes, GPUs, links, store, endpoints, replicas, jobs, data classes, backups, standby). `[*]`
 * matches every index. A standby site is a site too. Backups are matched without looking: they come
 * to exist during the drill. Fails with ERROR_TARGET at `place`, with the nearest name or the valid
 * range as the suggestion.
 */
int target_resolve(const char *spec, struct place place, const struct scenario *scenario,
		   struct arena *arena, struct target *ret_target, struct error *e);

/* How many of the matched entities a selection takes. */
size_t target_select_max(const struct target *target, const struct select *select);
/* Which of the matched entities this drill takes. Writes target_select_max() entities, in order;
 * returns how many. */
size_t target_select(const struct target *target, const struct select *select, struct prng *prng,
		     struct entity *ret);

bool entity_equal(struct entity a, struct entity b);
/* "primary/node[1]/gpu[3]", the same words a scenario uses. Returns `buffer`. */
#define ENTITY_TEXT_MAX 160
const char *entity_print(struct entity entity, const struct scenario *scenario,
			 char buffer[ENTITY_TEXT_MAX]);

#endif
