/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated deployment: the world of sim/model behind the driver interface, on a virtual clock.
 */
#include <math.h>
#include <stdlib.h>

#include "drivers/drivers.h"
#include "sim/model/world.h"

/* Node and GPU health checks of the platform: a node is NotReady after 40 to 50 s, gpud polls
 * within the minute. */
#define NOTICE_AFTER (45 * NANOS_S)

static nanos sim_now(void *self)
{
	return world_now(self);
}

/* Events before `when` run; those at `when` itself come after what the run loop does at that
 * instant, but for looks that end then: the next round is to know what they saw. */
static int sim_wait_until(void *self, nanos when, struct error *e)
{
	struct world *w = self;
	if (w->done_count > 0)
		return 0;
	if (engine_run_before(w->engine, when) && w->probes_meet)
		actions_probes_over(w);
	if (engine_overflowed(w->engine))
		return error_set(e, ERROR_LIMIT, NO_PLACE,
				 "the simulation has too many pending events");
	return 0;
}

static const struct clock_ops sim_clock_ops = {
	.name = "virtual", .now = sim_now, .wait_until = sim_wait_until};

static struct clock sim_clock(void *self)
{
	return (struct clock){.ops = &sim_clock_ops, .self = self};
}

static int sim_open(void **ret_self, const struct scenario *scenario, uint64_t seed, uint64_t trial,
		    struct timeline *timeline, struct error *e)
{
	struct world *w = world_open(scenario);
	(void)e;
	world_reset(w, seed, trial, timeline);
	*ret_self = w;
	return 0;
}

static int sim_reopen(void *self, uint64_t seed, uint64_t trial, struct timeline *timeline,
		      struct error *e)
{
	(void)e;
	world_reset(self, seed, trial, timeline);
	return 0;
}

static void sim_close(void *self)
{
	world_close(self);
}

/* ---- effects ---- */

/* What the model does; `noticed`: the platform's own checks see it. Silent damage, slowness and a
 * condition that only shows when something is tried are not among that. */
struct model_row {
	const char *text;
	bool noticed;
};

static const struct model_row rows[EFFECTS] = {
	[EFFECT_GPU_GONE] = {"model: the GPU leaves its node's inventory and its process dies",
			     true},
	[EFFECT_GPU_XID] = {"model: an Xid line is logged, and what it takes down goes down", true},
	[EFFECT_POWER_OFF] = {"model: the nodes lose power", true},
	[EFFECT_NODE_CRASH] = {"model: the node stops with its processes", true},
	[EFFECT_NODE_FREEZE] = {"model: the node stops answering, its processes stay", true},
	[EFFECT_NET_CUT] = {"model: no packet crosses the cut", true},
	[EFFECT_NET_DELAY] = {"model: every packet takes longer, a round trip twice that", false},
	[EFFECT_PROC_EXIT] = {"model: the process exits", true},
	[EFFECT_DATA_FLIP] = {"model: bits of the content flip, digests no longer match", false},
	[EFFECT_BACKUP_FLIP] = {"model: bits of the stored backup flip, nobody is told", false},
	[EFFECT_STANDBY_OUT] = {"model: the standby accepts neither data nor traffic", true},
	[EFFECT_GPU_SLOW] = {"model: what runs on the GPU goes at a lower pace", false},
	[EFFECT_GPU_WRONG] = {"model: results of the GPU are wrong, nobody is told", false},
	[EFFECT_NODE_REBOOT] = {"model: the node stops with its processes and boots again", true},
	[EFFECT_SERVE_ERROR] = {"model: requests are answered with an error, checks are not",
				false},
	[EFFECT_SERVE_SLOW] = {"model: every request takes longer", false},
	[EFFECT_PROC_FREEZE] = {"model: the process stands still with its connections open", false},
	[EFFECT_PROC_LOOP] = {"model: the process exits again after each start", true},
	[EFFECT_START_SLOW] = {"model: the next start takes longer", false},
	[EFFECT_REPLICA_UNREADY] = {"model: the replica reports that it is not ready", true},
	[EFFECT_NET_LOSS] = {"model: packets are lost and sent again", false},
	[EFFECT_NET_RATE] = {"model: transfers over it share less bandwidth", false},
	[EFFECT_NET_FLAP] = {"model: no packet crosses, in turns", true},
	[EFFECT_NET_DROP] = {"model: requests vanish on their way in", false},
	[EFFECT_DISK_FULL] = {"model: writes fail for want of space", true},
	[EFFECT_DISK_ERROR] = {"model: reads and writes fail", true},
	[EFFECT_DISK_RATE] = {"model: transfers from and to it share less throughput", false},
	[EFFECT_DISK_READONLY] = {"model: writes fail", true},
	[EFFECT_DATA_CUT] = {"model: a part of the content is missing", false},
	[EFFECT_DATA_OLD] = {"model: the content is that of an earlier time", false},
	[EFFECT_DATA_SEALED] = {"model: the content cannot be read any more", false},
	[EFFECT_DATA_GONE] = {"model: the content is missing", false},
	[EFFECT_BACKUP_GONE] = {"model: the listed backup is not in the store", false},
	[EFFECT_BACKUP_OLD] = {"model: the backup holds an earlier time than it says", false},
	[EFFECT_BACKUP_FAIL] = {"model: every backup job fails", true},
	[EFFECT_RESTORE_STOP] = {"model: the restores under way break off", false},
	[EFFECT_RESTORE_RATE] = {"model: restores share less throughput", false},
	[EFFECT_STORE_OUT] = {"model: the store does not answer", true},
	[EFFECT_STORE_RATE] = {"model: transfers from and to the store share less throughput",
			       false},
	[EFFECT_STANDBY_SMALL] = {"model: some of its nodes take no pods", false},
	[EFFECT_NO_CAPACITY] = {"model: pods that should start stay pending", false},
	[EFFECT_REPL_LAG] = {"model: replication is later", false},
	[EFFECT_SPLIT_BRAIN] = {"model: the standby takes some of the clients' writes", false},
	[EFFECT_CLOCK_SKEW] = {"model: the clock is off, beyond its tolerance tokens are refused",
			       false},
	[EFFECT_API_OUT] = {"model: calls to the platform fail", true},
	[EFFECT_LOAD_SURGE] = {"model: more requests arrive", false},
	[EFFECT_MODEL_BAD] = {"model: the replicas serve other weights than were released", false},
	[EFFECT_CKPT_FLIP] = {"model: bits of a checkpoint flip, nobody is told", false},
	[EFFECT_CKPT_SHARD] = {"model: shards of a checkpoint are missing", false},
	[EFFECT_CKPT_TORN] = {"model: a save broke off, and lists as whole", false},
	[EFFECT_CPU_TAKEN] = {"model: what runs on the node gets less CPU", false},
	[EFFECT_CPU_QUOTA] = {"model: the process is throttled to its quota", false},
	[EFFECT_MEM_TAKEN] = {"model: less memory; too little of it ends processes", true},
	[EFFECT_PROC_OOM] = {"model: the process is killed for want of memory", true},
	[EFFECT_DATA_ZERO] = {"model: ranges are zeros, digests no longer match", false},
	[EFFECT_DATA_MISDIRECT] = {"model: a block is another one, nobody is told", false},
	[EFFECT_GPU_HANG] = {"model: what computes on the GPU does not come back", false},
	[EFFECT_NET_DUPLICATE] = {"model: copies take their share of the bandwidth", false},
	[EFFECT_NET_CORRUPT] = {"model: damaged packets fail their checksum and are lost", false},
	[EFFECT_NET_REORDER] = {"model: packets are held back; TCP takes overtaking for loss",
				false},
	[EFFECT_NET_RESET] = {"model: connections to its ports are reset", false},
	[EFFECT_NET_MTU] = {"model: headers take a larger share of smaller packets", false},
	[EFFECT_IO_ERROR] = {"model: a share of operations on files fails, on whatever path",
			     false},
	[EFFECT_IO_LATENCY] = {"model: each record that is written, each piece that is read takes "
			       "longer, on whatever path",
			       false},
	[EFFECT_DISK_HANG] = {"model: what reads or writes is held", false},
	[EFFECT_DISK_BADBLOCKS] = {"model: what lies there cannot be read any more", false},
	[EFFECT_DISK_INODES] = {"model: no new file can be made", true},
	[EFFECT_FS_UNSYNCED] = {"model: a crash of the node damages the log if the disk lies",
				false},
	[EFFECT_FS_TORN_OP] = {"model: the processes of the node end, a record is damaged", true},
	[EFFECT_FS_TORN_SEQ] = {"model: the processes of the node end, a record is damaged", true},
};

/* It has requests and files, but no system calls. */
#define WITHOUT                                                                                    \
	(EFFECT_BIT(EFFECT_SYS_ERROR) | EFFECT_BIT(EFFECT_SYS_RETVAL) |                            \
	 EFFECT_BIT(EFFECT_SYS_DELAY))

static struct mechanism sim_mechanism(enum effect_kind kind)
{
	return (struct mechanism){
		.text = rows[kind].text, .fidelity = FIDELITY_SIM, .privilege = "none"};
}

static void notice(void *context, uint64_t injection, nanos now)
{
	struct completion seen = {
		.kind = COMPLETION_NOTICE, .at = now, .injection = (uint32_t)injection};
	world_complete(context, &seen);
}

static int sim_apply(void *self, const struct effect *effect, struct undo_record *undo,
		     struct error *e)
{
	struct world *w = self;
	bool again = undo->token != 0; /* a pulse: it was noticed the first time */
	(void)e;
	undo->applied = true;
	effect_apply(w, effect, &undo->token);
	if (rows[effect->kind].noticed && !again && !wire_is_shaped(effect))
		engine_at(w->engine, world_now(w) + scenario_time(w->scenario, NOTICE_AFTER),
			  notice, w, effect->injection);
	return 0;
}

static int sim_adjust(void *self, const struct effect *effect, struct undo_record *undo,
		      struct error *e)
{
	(void)e;
	effect_adjust(self, effect, undo->token);
	return 0;
}

static int sim_revert(void *self, struct undo_record *undo, struct error *e)
{
	(void)e;
	effect_revert(self, undo->token);
	return 0;
}

static bool sim_present(void *self, const struct undo_record *undo)
{
	return effect_present(self, undo->token);
}

static void sim_read(void *self, struct entity entity, effect_mask about, struct reading *ret)
{
	(void)about;
	reading_take(self, entity, ret);
}

/* ---- actions, completions, accounts ---- */

static int sim_start(void *self, const struct action *action, struct error *e)
{
	return action_begin(self, action, e);
}

static size_t sim_poll(void *self, struct completion *ret, size_t max)
{
	struct world *w = self;
	size_t count = 0;
	while (count < max && w->done_count > 0) {
		ret[count++] = w->done[w->done_first];
		w->done_first = (w->done_first + 1) % w->done_capacity;
		w->done_count--;
	}
	return count;
}

static nanos sim_expected_end(void *self, action_id id)
{
	return action_expected_end(self, id);
}

static void sim_ledger(void *self, uint32_t site, enum data_class data_class, nanos from, nanos to,
		       uint64_t *ret_bytes, uint64_t *ret_records)
{
	double bytes, records;
	storage_ledger(self, site, data_class, from, to, &bytes, &records);
	*ret_bytes = (uint64_t)llround(bytes);
	*ret_records = (uint64_t)llround(records);
}

static nanos sim_last_write(void *self, uint32_t site)
{
	return storage_last_write(self, site);
}

static void sim_level(void *self, double *ret_success, nanos *ret_latency)
{
	struct world *w = self;
	*ret_success = jobs_all_good(w) ? 1 : 0;
	*ret_latency = 0;
	for (size_t e = 0; e < w->scenario->deployment.endpoint_count; e++) {
		double success;
		nanos p99;
		load_now(w, &w->services[e], &success, &p99);
		*ret_success = success < *ret_success ? success : *ret_success;
		*ret_latency = p99 > *ret_latency ? p99 : *ret_latency;
	}
}

static void sim_account(void *self, struct account *ret)
{
	load_account(self, ret);
}

static void sim_job(void *self, uint32_t job, struct job_record *ret)
{
	jobs_account(self, job, ret);
}

static double sim_wrong(void *self, uint32_t site)
{
	return load_wrong(self, site) + jobs_wrong(self, site);
}

static uint64_t sim_work(void *self)
{
	const struct world *w = self;
	return engine_executed(w->engine);
}

const struct driver_ops driver_sim = {
	.name = "sim",
	.help = "a simulated Lepton deployment in virtual time; nothing real is touched",
	.kind = "simulated",
	.effects = EFFECTS_ALL & ~WITHOUT,
	.detectors = 1u << DETECTOR_PROBE | 1u << DETECTOR_PHI | 1u << DETECTOR_POLL |
		     1u << DETECTOR_FIXED | 1u << DETECTOR_CANARY | 1u << DETECTOR_SLO |
		     1u << DETECTOR_WATCHDOG,
	.mechanism = sim_mechanism,
	.open = sim_open,
	.reopen = sim_reopen,
	.clock = sim_clock,
	.apply = sim_apply,
	.adjust = sim_adjust,
	.revert = sim_revert,
	.present = sim_present,
	.read = sim_read,
	.start = sim_start,
	.poll = sim_poll,
	.expected_end = sim_expected_end,
	.ledger = sim_ledger,
	.last_write = sim_last_write,
	.level = sim_level,
	.account = sim_account,
	.job = sim_job,
	.close = sim_close,
	.wrong = sim_wrong,
	.work = sim_work,
};
