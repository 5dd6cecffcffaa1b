/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who cannot reach whom in a network partition, as ordered pairs of members. A pure function of its
 * config: the same seed cuts the same pairs. The shapes are those of Jepsen's nemesis
 * (jepsen.nemesis: bisect, split-one, bridge, majorities-ring); the members are shuffled first.
 */
#ifndef CORE_PARTITION_H
#define CORE_PARTITION_H

#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/error.h"

#define PARTITION_MEMBERS_MAX 1000
#define PARTITION_REACHES_ALL UINT32_MAX /* group of a member that nothing is cut from */

enum partition_shape {
	PARTITION_HALVES,   /* two sides; the first has the smaller half */
	PARTITION_ONE,      /* the first side is a single member */
	PARTITION_MAJORITY, /* the first side is the largest minority: also of four one */
	/* Everyone still reaches a majority (itself counted), and no two the same one: members in a
	 * ring reach majority / 2 neighbours on each side. Four members at least. */
	PARTITION_MAJORITIES_RING,
	/* Two halves and one member between them that reaches all. Three members at least. */
	PARTITION_BRIDGE,
	PARTITION_CUSTOM, /* members of different groups do not reach each other */
};
extern const char *const partition_shape_names[]; /* "halves", …, "majorities-ring", … */

/* Which packets are lost, seen from the first side (custom: the lower group; ring: the earlier
 * member of a pair). */
enum partition_direction {
	PARTITION_TO,
	PARTITION_FROM,
	PARTITION_BOTH,
};
extern const char *const partition_direction_names[]; /* "to", "from", "both" */

struct partition_config {
	enum partition_shape shape;
	enum partition_direction direction;
	size_t member_count;
	const uint32_t *groups; /* custom: of each member */
	uint64_t seed, trial, entity;
};

/* What `from` sends does not reach `to`. */
struct partition_pair {
	uint32_t from, to;
};

/*
 * The pairs, sorted by from and to, in `arena`. Both directions of a pair are two pairs. Errors:
 * ERROR_LIMIT with too many members, ERROR_SCENARIO with too few for the shape, or when nothing
 * would be cut.
 */
int partition_plan(const struct partition_config *config, struct arena *arena,
		   struct partition_pair **ret_pairs, size_t *ret_count, struct error *e);

#endif
