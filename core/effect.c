/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Did a fault take? One rule for each effect, over two readings and nothing else.
 *
 * A driver's word that it applied something does not count: a fault without a visible effect makes
 * the drill not evaluable. Each rule also says what tells the effect from a stronger one (a frozen
 * node is still reachable, a crashed one still has power), so that one is not taken for the other.
 */
#include <stddef.h>
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

/* It runs as before, and does not want requests. */
static bool judge_unready(const struct reading *before, const struct reading *after,
			  char text[OBSERVED_MAX])
{
	snprintf(text, OBSERVED_MAX, "replicas ready %u -> %u, processes %u -> %u",
		 (unsigned)before->replicas_ready, (unsigned)after->replicas_ready,
		 (unsigned)before->processes, (unsigned)after->processes);
	return after->replicas_ready < before->replicas_ready &&
	       after->processes >= before->processes;
}

static bool judge_bytes(const struct reading *before, const struct reading *after,
			char text[OBSERVED_MAX])
{
	say(text, "bytes there", before->content_bytes, after->content_bytes);
	return after->content_bytes < before->content_bytes;
}

/* One that still has space is seen by how much. */
static bool judge_full(const struct reading *before, const struct reading *after,
		       char text[OBSERVED_MAX])
{
	bool fuller = after->disk_left_ppm > 0 && after->disk_left_ppm < before->disk_left_ppm;

	if (after->disks_full > before->disks_full || !fuller)
		say(text, "disks without space:", before->disks_full, after->disks_full);
	else
		say(text, "space left, ppm:", before->disk_left_ppm, after->disk_left_ppm);
	return after->disks_full > before->disks_full || fuller;
}

static bool judge_store(const struct reading *before, const struct reading *after,
			char text[OBSERVED_MAX])
{
	snprintf(text, OBSERVED_MAX, "store usable %s -> %s", before->usable ? "yes" : "no",
		 after->usable ? "yes" : "no");
	return before->usable && !after->usable;
}

/* Where nothing passes at all it is a cut; where nothing is known of it, it is 0. */
static bool judge_mtu(const struct reading *before, const struct reading *after,
		      char text[OBSERVED_MAX])
{
	say(text, "largest packet that passes, bytes", before->mtu, after->mtu);
	return after->mtu > 0 && after->mtu < before->mtu;
}

/* Most effects move one figure one way. */
struct rule {
	const char *what; /* is said of the figure; NULL: the kind has a judge of its own */
	size_t offset;
	enum {
		FIGURE_U32,
		FIGURE_U64,
		FIGURE_NANOS,
		FIGURE_REAL
	} type;
	enum {
		FALLS,
		RISES
	} way;
	bool (*judge)(const struct reading *before, const struct reading *after,
		      char text[OBSERVED_MAX]);
};

#define FIGURE(text, field, kind, direction)                                                       \
	{                                                                                          \
		.what = (text), .offset = offsetof(struct reading, field), .type = (kind),         \
		.way = (direction)                                                                 \
	}
#define JUDGE(function)                                                                            \
	{                                                                                          \
		.judge = (function)                                                                \
	}

static const struct rule rules[EFFECTS] = {
	[EFFECT_GPU_GONE] = JUDGE(judge_gpu_gone),
	[EFFECT_GPU_XID] = JUDGE(judge_xid),
	[EFFECT_POWER_OFF] = JUDGE(judge_power),
	[EFFECT_NODE_CRASH] = JUDGE(judge_crash),
	[EFFECT_NODE_FREEZE] = JUDGE(judge_freeze),
	[EFFECT_NET_CUT] = JUDGE(judge_cut),
	[EFFECT_NET_DELAY] = JUDGE(judge_delay),
	[EFFECT_PROC_EXIT] = JUDGE(judge_exit),
	[EFFECT_DATA_FLIP] = JUDGE(judge_digests),
	[EFFECT_BACKUP_FLIP] = JUDGE(judge_digests),
	[EFFECT_STANDBY_OUT] = JUDGE(judge_standby),
	[EFFECT_GPU_SLOW] = FIGURE("pace of the slowest GPU, ppm", pace_ppm, FIGURE_U32, FALLS),
	[EFFECT_GPU_WRONG] =
		FIGURE("GPUs that fail their self-test", gpus_wrong, FIGURE_U32, RISES),
	[EFFECT_NODE_REBOOT] = JUDGE(judge_crash),
	[EFFECT_SERVE_ERROR] = FIGURE("requests that fail, ppm", errors_ppm, FIGURE_U32, RISES),
	[EFFECT_SERVE_SLOW] =
		FIGURE("added to each request, ms", service_added, FIGURE_NANOS, RISES),
	[EFFECT_PROC_FREEZE] = FIGURE("processes stopped", processes_stopped, FIGURE_U32, RISES),
	[EFFECT_PROC_LOOP] = JUDGE(judge_exit),
	[EFFECT_START_SLOW] = FIGURE("added to a start, ms", start_added, FIGURE_NANOS, RISES),
	[EFFECT_REPLICA_UNREADY] = JUDGE(judge_unready),
	[EFFECT_NET_LOSS] = FIGURE("packets lost, ppm", loss_ppm, FIGURE_U32, RISES),
	[EFFECT_NET_RATE] = FIGURE("bandwidth, bytes/s", rate, FIGURE_REAL, FALLS),
	[EFFECT_NET_FLAP] = JUDGE(judge_cut),
	[EFFECT_NET_DROP] = FIGURE("service ports open", ports_open, FIGURE_U32, FALLS),
	[EFFECT_DISK_FULL] = JUDGE(judge_full),
	[EFFECT_DISK_ERROR] = FIGURE("disks that fail", disks_failing, FIGURE_U32, RISES),
	[EFFECT_DISK_RATE] = FIGURE("disk throughput, bytes/s", disk_rate, FIGURE_REAL, FALLS),
	[EFFECT_DISK_READONLY] = FIGURE("read-only disks", disks_readonly, FIGURE_U32, RISES),
	[EFFECT_DATA_CUT] = JUDGE(judge_bytes),
	[EFFECT_DATA_OLD] = FIGURE("older than its label, ms", older, FIGURE_NANOS, RISES),
	[EFFECT_DATA_SEALED] =
		FIGURE("contents that cannot be read", unreadable, FIGURE_U32, RISES),
	[EFFECT_DATA_GONE] = JUDGE(judge_bytes),
	[EFFECT_BACKUP_GONE] = FIGURE("copies in the store", copies, FIGURE_U64, FALLS),
	[EFFECT_BACKUP_OLD] = FIGURE("older than its label, ms", older, FIGURE_NANOS, RISES),
	[EFFECT_BACKUP_FAIL] =
		FIGURE("failing backup jobs", backup_jobs_failing, FIGURE_U32, RISES),
	[EFFECT_RESTORE_STOP] =
		FIGURE("restores that broke off", restores_stopped, FIGURE_U64, RISES),
	[EFFECT_RESTORE_RATE] =
		FIGURE("throughput of restores, bytes/s", restore_rate, FIGURE_REAL, FALLS),
	[EFFECT_STORE_OUT] = JUDGE(judge_store),
	[EFFECT_STORE_RATE] =
		FIGURE("throughput of the store, bytes/s", disk_rate, FIGURE_REAL, FALLS),
	[EFFECT_STANDBY_SMALL] =
		FIGURE("nodes that take pods", nodes_schedulable, FIGURE_U32, FALLS),
	[EFFECT_NO_CAPACITY] = FIGURE("sites without capacity", sites_full, FIGURE_U32, RISES),
	[EFFECT_REPL_LAG] = FIGURE("replication lag, ms", replica_lag, FIGURE_NANOS, RISES),
	[EFFECT_SPLIT_BRAIN] = FIGURE("sites that take writes", writers, FIGURE_U32, RISES),
	[EFFECT_CLOCK_SKEW] = FIGURE("clock offset, ms", clock_offset, FIGURE_NANOS, RISES),
	[EFFECT_API_OUT] =
		FIGURE("control planes that do not answer", sites_without_api, FIGURE_U32, RISES),
	[EFFECT_LOAD_SURGE] = FIGURE("requests per second", request_rate, FIGURE_REAL, RISES),
	[EFFECT_MODEL_BAD] = JUDGE(judge_digests),
	[EFFECT_CKPT_FLIP] = JUDGE(judge_digests),
	[EFFECT_CKPT_SHARD] = FIGURE("shards", shards, FIGURE_U32, FALLS),
	[EFFECT_CKPT_TORN] = FIGURE("saves that broke off", torn, FIGURE_U32, RISES),
	[EFFECT_CPU_TAKEN] = FIGURE("CPU left, ppm", cpu_left_ppm, FIGURE_U32, FALLS),
	[EFFECT_CPU_QUOTA] = FIGURE("CPU by its quota, ppm", quota_ppm, FIGURE_U32, FALLS),
	[EFFECT_MEM_TAKEN] = FIGURE("memory left, ppm", memory_left_ppm, FIGURE_U32, FALLS),
	[EFFECT_PROC_OOM] =
		FIGURE("processes that the OOM killer ended", oom_kills, FIGURE_U64, RISES),
	[EFFECT_DATA_ZERO] = JUDGE(judge_digests),
	[EFFECT_DATA_MISDIRECT] = JUDGE(judge_digests),
	[EFFECT_SYS_ERROR] = FIGURE("system calls that were hit", calls_hit, FIGURE_U64, RISES),
	[EFFECT_SYS_RETVAL] = FIGURE("system calls that were hit", calls_hit, FIGURE_U64, RISES),
	[EFFECT_SYS_DELAY] = FIGURE("system calls that were hit", calls_hit, FIGURE_U64, RISES),
	[EFFECT_GPU_HANG] = FIGURE("GPUs that hang", gpus_hanging, FIGURE_U32, RISES),
	[EFFECT_NET_DUPLICATE] =
		FIGURE("packets that come twice, ppm", duplicated_ppm, FIGURE_U32, RISES),
	[EFFECT_NET_CORRUPT] = FIGURE("packets damaged, ppm", corrupted_ppm, FIGURE_U32, RISES),
	[EFFECT_NET_REORDER] =
		FIGURE("packets out of order, ppm", reordered_ppm, FIGURE_U32, RISES),
	[EFFECT_NET_RESET] = FIGURE("connections reset", resets, FIGURE_U64, RISES),
	[EFFECT_NET_MTU] = JUDGE(judge_mtu),
	[EFFECT_IO_ERROR] =
		FIGURE("operations on files that fail, ppm", io_failing_ppm, FIGURE_U32, RISES),
	[EFFECT_IO_LATENCY] =
		FIGURE("added to an operation on a file, ms", io_added, FIGURE_NANOS, RISES),
	[EFFECT_DISK_HANG] = FIGURE("disks that hang", disks_hanging, FIGURE_U32, RISES),
	[EFFECT_DISK_BADBLOCKS] =
		FIGURE("blocks that cannot be read, ppm", bad_blocks_ppm, FIGURE_U32, RISES),
	[EFFECT_DISK_INODES] = FIGURE("inodes left, ppm", inodes_left_ppm, FIGURE_U32, FALLS),
	[EFFECT_FS_UNSYNCED] =
		FIGURE("disks that forget in a crash", disks_unsynced, FIGURE_U32, RISES),
	[EFFECT_FS_TORN_OP] = FIGURE("writes torn", writes_torn, FIGURE_U64, RISES),
	[EFFECT_FS_TORN_SEQ] = FIGURE("writes torn", writes_torn, FIGURE_U64, RISES),
};

static double figure(const struct rule *rule, const struct reading *reading)
{
	const char *at = (const char *)reading + rule->offset;

	switch (rule->type) {
	case FIGURE_U32:
		return *(const uint32_t *)(const void *)at;
	case FIGURE_U64:
		return (double)*(const uint64_t *)(const void *)at;
	case FIGURE_NANOS:
		return (double)*(const nanos *)(const void *)at / (double)NANOS_MS;
	case FIGURE_REAL:
		return *(const double *)(const void *)at;
	}
	return 0;
}

bool effect_visible(enum effect_kind kind, const struct reading *before,
		    const struct reading *after, char text[OBSERVED_MAX])
{
	const struct rule *rule = &rules[kind];
	double from, to;

	if (rule->judge)
		return rule->judge(before, after, text);
	from = figure(rule, before);
	to = figure(rule, after);
	snprintf(text, OBSERVED_MAX, "%s: %.9g -> %.9g", rule->what, from, to);
	return rule->way == RISES ? to > from : to < from;
}
