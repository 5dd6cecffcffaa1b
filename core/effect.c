/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Did a fault take? One rule for each effect, over two readings and nothing else.
 *
 * A driver's word that it applied something does not count: a fault without a visible effect makes
 * the drill not evaluable. Each rule also says what tells the effect from a stronger one (a frozen
 * node is still reachable, a crashed one still has power), so that one is not taken for the other.
 */
#include <stdio.h>

#include "core/driver.h"

static void say(char text[OBSERVED_MAX], const char *what, uint64_t before, uint64_t after)
{
	snprintf(text, OBSERVED_MAX, "%s %llu -> %llu", what, (unsigned long long)before,
		 (unsigned long long)after);
}

static bool judge_gpu_gone(const struct reading *before, const struct reading *after,
			   char text[OBSERVED_MAX])
{
	say(text, "GPUs visible", before->gpus_visible, after->gpus_visible);
	return after->gpus_visible < before->gpus_visible;
}

static bool judge_xid(const struct reading *before, const struct reading *after,
		      char text[OBSERVED_MAX])
{
	bool seen = after->xid_lines > before->xid_lines;

	if (seen)
		snprintf(text, OBSERVED_MAX, "Xid lines %llu -> %llu, the latest: %u",
			 (unsigned long long)before->xid_lines,
			 (unsigned long long)after->xid_lines, (unsigned)after->xid);
	else
		say(text, "Xid lines", before->xid_lines, after->xid_lines);
	return seen;
}

static bool judge_power(const struct reading *before, const struct reading *after,
			char text[OBSERVED_MAX])
{
	say(text, "nodes with power", before->nodes_powered, after->nodes_powered);
	return after->nodes_powered < before->nodes_powered;
}

static bool judge_crash(const struct reading *before, const struct reading *after,
			char text[OBSERVED_MAX])
{
	snprintf(text, OBSERVED_MAX, "nodes reachable %u -> %u, with power %u -> %u",
		 (unsigned)before->nodes_reachable, (unsigned)after->nodes_reachable,
		 (unsigned)before->nodes_powered, (unsigned)after->nodes_powered);
	return after->nodes_reachable < before->nodes_reachable &&
	       after->nodes_powered >= before->nodes_powered;
}

static bool judge_freeze(const struct reading *before, const struct reading *after,
			 char text[OBSERVED_MAX])
{
	snprintf(text, OBSERVED_MAX, "nodes responding %u -> %u, reachable %u -> %u",
		 (unsigned)before->nodes_responding, (unsigned)after->nodes_responding,
		 (unsigned)before->nodes_reachable, (unsigned)after->nodes_reachable);
	return after->nodes_responding < before->nodes_responding &&
	       after->nodes_reachable >= before->nodes_reachable;
}

static bool judge_cut(const struct reading *before, const struct reading *after,
		      char text[OBSERVED_MAX])
{
	say(text, "network paths open", before->paths_open, after->paths_open);
	return after->paths_open < before->paths_open;
}

static const char *milliseconds(nanos value, char buffer[32])
{
	if (value == NANOS_NEVER)
		return "none";
	snprintf(buffer, 32, "%.6g ms", (double)value / (double)NANOS_MS);
	return buffer;
}

/* An unreachable entity has no round trip: that is a cut, not a delay. */
static bool judge_delay(const struct reading *before, const struct reading *after,
			char text[OBSERVED_MAX])
{
	char from[32], to[32];

	snprintf(text, OBSERVED_MAX, "round trip %s -> %s", milliseconds(before->round_trip, from),
		 milliseconds(after->round_trip, to));
	return after->round_trip != NANOS_NEVER && after->round_trip > before->round_trip;
}

/* A process that was started again at once leaves only its start to be seen. */
static bool judge_exit(const struct reading *before, const struct reading *after,
		       char text[OBSERVED_MAX])
{
	snprintf(text, OBSERVED_MAX, "processes %u -> %u, starts %llu -> %llu",
		 (unsigned)before->processes, (unsigned)after->processes,
		 (unsigned long long)before->process_starts,
		 (unsigned long long)after->process_starts);
	return after->processes < before->processes ||
	       after->process_starts > before->process_starts;
}

static bool judge_digests(const struct reading *before, const struct reading *after,
			  char text[OBSERVED_MAX])
{
	say(text, "digest mismatches", before->digest_mismatches, after->digest_mismatches);
	return after->digest_mismatches > before->digest_mismatches;
}

static bool judge_standby(const struct reading *before, const struct reading *after,
			  char text[OBSERVED_MAX])
{
	snprintf(text, OBSERVED_MAX, "standby usable %s -> %s", before->usable ? "yes" : "no",
		 after->usable ? "yes" : "no");
	return before->usable && !after->usable;
}

bool effect_visible(enum effect_kind kind, const struct reading *before,
		    const struct reading *after, char text[OBSERVED_MAX])
{
	switch (kind) {
	case EFFECT_GPU_GONE:
		return judge_gpu_gone(before, after, text);
	case EFFECT_GPU_XID:
		return judge_xid(before, after, text);
	case EFFECT_POWER_OFF:
		return judge_power(before, after, text);
	case EFFECT_NODE_CRASH:
		return judge_crash(before, after, text);
	case EFFECT_NODE_FREEZE:
		return judge_freeze(before, after, text);
	case EFFECT_NET_CUT:
		return judge_cut(before, after, text);
	case EFFECT_NET_DELAY:
		return judge_delay(before, after, text);
	case EFFECT_PROC_EXIT:
		return judge_exit(before, after, text);
	case EFFECT_DATA_FLIP:
	case EFFECT_BACKUP_FLIP:
		return judge_digests(before, after, text);
	case EFFECT_STANDBY_OUT:
		return judge_standby(before, after, text);
	case EFFECTS:
		break;
	}
	text[0] = '\0';
	return false;
}
