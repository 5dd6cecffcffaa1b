/* SPDX-License-Identifier: Apache-2.0 */
/* The catalogue of faults looked up by name, and the growing list of effects that a fault's plan
 * fills. */
#include "core/fault.h"

#include <math.h>
#include <string.h>

const char *const effect_names[EFFECTS] = {
	[EFFECT_GPU_GONE] = "gpu.gone",
	[EFFECT_GPU_XID] = "gpu.xid",
	[EFFECT_POWER_OFF] = "power.off",
	[EFFECT_NODE_CRASH] = "node.crash",
	[EFFECT_NODE_FREEZE] = "node.freeze",
	[EFFECT_NET_CUT] = "net.cut",
	[EFFECT_NET_DELAY] = "net.delay",
	[EFFECT_PROC_EXIT] = "proc.exit",
	[EFFECT_DATA_FLIP] = "data.flip",
	[EFFECT_BACKUP_FLIP] = "backup.flip",
	[EFFECT_STANDBY_OUT] = "standby.out",
	[EFFECT_GPU_SLOW] = "gpu.slow",
	[EFFECT_GPU_WRONG] = "gpu.wrong",
	[EFFECT_NODE_REBOOT] = "node.reboot",
	[EFFECT_SERVE_ERROR] = "serve.error",
	[EFFECT_SERVE_SLOW] = "serve.slow",
	[EFFECT_PROC_FREEZE] = "proc.freeze",
	[EFFECT_PROC_LOOP] = "proc.loop",
	[EFFECT_START_SLOW] = "start.slow",
	[EFFECT_REPLICA_UNREADY] = "replica.unready",
	[EFFECT_NET_LOSS] = "net.loss",
	[EFFECT_NET_RATE] = "net.rate",
	[EFFECT_NET_FLAP] = "net.flap",
	[EFFECT_NET_DROP] = "net.drop",
	[EFFECT_DISK_FULL] = "disk.full",
	[EFFECT_DISK_ERROR] = "disk.error",
	[EFFECT_DISK_RATE] = "disk.rate",
	[EFFECT_DISK_READONLY] = "disk.readonly",
	[EFFECT_DATA_CUT] = "data.cut",
	[EFFECT_DATA_OLD] = "data.old",
	[EFFECT_DATA_SEALED] = "data.sealed",
	[EFFECT_DATA_GONE] = "data.gone",
	[EFFECT_BACKUP_GONE] = "backup.gone",
	[EFFECT_BACKUP_OLD] = "backup.old",
	[EFFECT_BACKUP_FAIL] = "backup.fail",
	[EFFECT_RESTORE_STOP] = "restore.stop",
	[EFFECT_RESTORE_RATE] = "restore.rate",
	[EFFECT_STORE_OUT] = "store.out",
	[EFFECT_STORE_RATE] = "store.rate",
	[EFFECT_STANDBY_SMALL] = "standby.small",
	[EFFECT_NO_CAPACITY] = "capacity.none",
	[EFFECT_REPL_LAG] = "repl.lag",
	[EFFECT_SPLIT_BRAIN] = "repl.split",
	[EFFECT_CLOCK_SKEW] = "clock.skew",
	[EFFECT_API_OUT] = "api.out",
	[EFFECT_LOAD_SURGE] = "load.surge",
	[EFFECT_MODEL_BAD] = "model.bad",
	[EFFECT_CKPT_FLIP] = "ckpt.flip",
	[EFFECT_CKPT_SHARD] = "ckpt.shard",
	[EFFECT_CKPT_TORN] = "ckpt.torn",
	[EFFECT_CPU_TAKEN] = "cpu.taken",
	[EFFECT_CPU_QUOTA] = "cpu.quota",
	[EFFECT_MEM_TAKEN] = "mem.taken",
	[EFFECT_PROC_OOM] = "proc.oom",
	[EFFECT_DATA_ZERO] = "data.zero",
	[EFFECT_DATA_MISDIRECT] = "data.misdirect",
	[EFFECT_SYS_ERROR] = "sys.error",
	[EFFECT_SYS_RETVAL] = "sys.retval",
	[EFFECT_SYS_DELAY] = "sys.delay",
	[EFFECT_GPU_HANG] = "gpu.hang",
	[EFFECT_NET_DUPLICATE] = "net.duplicate",
	[EFFECT_NET_CORRUPT] = "net.corrupt",
	[EFFECT_NET_REORDER] = "net.reorder",
	[EFFECT_NET_RESET] = "net.reset",
	[EFFECT_NET_MTU] = "net.mtu",
	[EFFECT_IO_ERROR] = "io.error",
	[EFFECT_IO_LATENCY] = "io.latency",
	[EFFECT_DISK_HANG] = "disk.hang",
	[EFFECT_DISK_BADBLOCKS] = "disk.badblocks",
	[EFFECT_DISK_INODES] = "disk.inodes",
	[EFFECT_FS_UNSYNCED] = "fs.unsynced",
	[EFFECT_FS_TORN_OP] = "fs.torn_op",
	[EFFECT_FS_TORN_SEQ] = "fs.torn_seq",
};

/* What of an effect is its strength, and its value when nothing is there; a kind that is not listed
 * has none. */
static const struct strength {
	bool amount, spread, fraction;
	int64_t no_amount;
	double no_fraction;
} strengths[EFFECTS] = {
	[EFFECT_NET_DELAY] = {.amount = true, .spread = true},
	[EFFECT_GPU_SLOW] = {.amount = true},
	[EFFECT_GPU_WRONG] = {.amount = true},
	[EFFECT_SERVE_ERROR] = {.amount = true},
	[EFFECT_SERVE_SLOW] = {.amount = true},
	[EFFECT_START_SLOW] = {.amount = true},
	[EFFECT_NET_LOSS] = {.amount = true},
	[EFFECT_DATA_CUT] = {.amount = true},
	[EFFECT_DATA_OLD] = {.amount = true},
	[EFFECT_STANDBY_SMALL] = {.amount = true},
	[EFFECT_REPL_LAG] = {.amount = true},
	[EFFECT_SPLIT_BRAIN] = {.amount = true},
	[EFFECT_CLOCK_SKEW] = {.amount = true},
	[EFFECT_LOAD_SURGE] = {.amount = true},
	[EFFECT_CPU_TAKEN] = {.amount = true},
	[EFFECT_CPU_QUOTA] = {.amount = true},
	[EFFECT_MEM_TAKEN] = {.amount = true, .spread = true},
	[EFFECT_DISK_FULL] = {.amount = true, .no_amount = EFFECT_PPM},
	[EFFECT_SYS_ERROR] = {.amount = true},
	[EFFECT_SYS_RETVAL] = {.amount = true},
	[EFFECT_SYS_DELAY] = {.amount = true},
	[EFFECT_NET_DUPLICATE] = {.amount = true},
	[EFFECT_NET_CORRUPT] = {.amount = true},
	[EFFECT_NET_REORDER] = {.amount = true},
	[EFFECT_IO_ERROR] = {.amount = true},
	[EFFECT_IO_LATENCY] = {.amount = true, .spread = true},
	[EFFECT_DISK_BADBLOCKS] = {.amount = true},
	[EFFECT_DISK_INODES] = {.amount = true, .no_amount = EFFECT_PPM},
};

bool effect_has_strength(enum effect_kind kind)
{
	return strengths[kind].amount || strengths[kind].spread || strengths[kind].fraction;
}

struct effect effect_scaled(struct effect full, double share)
{
	const struct strength *strength = &strengths[full.kind];
	struct effect part = full;

	if (share >= 1)
		return full;
	if (strength->amount)
		part.amount = strength->no_amount +
			      llround((double)(full.amount - strength->no_amount) * share);
	if (strength->spread)
		part.spread = llround((double)full.spread * share);
	if (strength->fraction)
		part.fraction =
			strength->no_fraction + (full.fraction - strength->no_fraction) * share;
	return part;
}

int effects_add(struct effects *effects, struct effect effect, struct error *e)
{
	if (effects->count >= EFFECTS_PER_FAULT_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE,
				 "one fault may have at most %d effects; select fewer targets",
				 EFFECTS_PER_FAULT_MAX);
	effects->items = arena_grow(effects->arena, effects->items, effects->count,
				    &effects->capacity, sizeof(*effects->items));
	effects->items[effects->count++] = effect;
	return 0;
}

const struct fault_ops *fault_find(const char *name)
{
	for (const struct fault_ops *const *fault = fault_table; *fault; fault++)
		if (strcmp((*fault)->name, name) == 0)
			return *fault;
	return NULL;
}
