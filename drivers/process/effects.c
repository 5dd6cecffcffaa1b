/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How each effect is done to real processes and machines, and taken back. Data and backups are in
 * effects_data.c. An undo record is in the journal before anything is touched; what lives inside
 * the machines (processes, device files) goes with them, whoever dies.
 */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/host/process.h"
#include "drivers/host/undo.h"
#include "drivers/process/effects.h"
#include "drivers/process/network.h"
#include "drivers/process/services.h"

#define EXIT_PATIENCE (2 * NANOS_S) /* until a killed process is seen to be gone */
#define LOOP_LOOK (20 * NANOS_MS)   /* until a process that is to be killed again is looked for */
#define NOTICE_AFTER (45 * NANOS_S) /* scenario time; a node is NotReady after 40 to 50 s */

/* ---- what is hit ---- */

static bool in_entity(const struct site *site, struct entity entity, uint32_t node)
{
	switch (entity.kind) {
	case ENTITY_SITE:
	case ENTITY_STANDBY:
		return true;
	case ENTITY_RACK:
		return (uint64_t)node * site->racks / site->nodes == (uint32_t)entity.index;
	case ENTITY_NODE:
	case ENTITY_GPU:
		return node == (uint32_t)entity.index;
	case ENTITY_NONE:
	case ENTITY_LINK:
	case ENTITY_STORE:
	case ENTITY_ENDPOINT:
	case ENTITY_REPLICA:
	case ENTITY_JOB:
	case ENTITY_DATA:
	case ENTITY_BACKUP:
	case ENTITY_RANK:
	case ENTITY_CHECKPOINT:
	case ENTITY_KINDS:
		break;
	}
	return false;
}

/* Calls back for each node inside the entity, until one call fails. */
static int each_node(struct real *real, struct entity entity,
		     int (*act)(struct real *real, struct node *node, void *context,
				struct error *e),
		     void *context, struct error *e)
{
	const struct site *site = &real->scenario->deployment.sites[entity.site];

	for (uint32_t n = 0; n < site->nodes; n++)
		if (in_entity(site, entity, n) &&
		    act(real, real_node(real, entity.site, n), context, e))
			return -1;
	return 0;
}

/* Processes of replicas that the entity names, at the endpoint's own site; ranks of a job. */
int effects_each_process(struct real *real, struct entity entity,
			 int (*act)(struct real *real, struct node *node, pid_t pid, void *context,
				    struct error *e),
			 void *context, struct error *e)
{
	struct view *view = real->scratch;
	bool ranks = entity.kind == ENTITY_JOB || entity.kind == ENTITY_RANK;
	size_t hit = 0;

	observe_fresh(real, view);
	for (uint32_t r = 0; ranks && r < view->jobs[entity.index].rank_count; r++) {
		const struct rank_view *rank = &view->jobs[entity.index].ranks[r];
		if ((entity.kind == ENTITY_RANK && r != entity.part) || rank->node < 0 ||
		    rank->pid == 0 || rank->state == 'X')
			continue;
		struct node *node = &real->nodes[rank->node];
		pid_t pid = machine_pid(node->machine, rank->pid);
		if (pid != 0 && act(real, node, pid, context, e))
			return -1;
		hit += pid != 0;
	}
	for (size_t r = 0; !ranks && r < view->replica_count; r++) {
		const struct replica_view *replica = &view->replicas[r];
		bool in = replica->endpoint == (uint32_t)entity.index &&
			  replica->site == real->route[replica->endpoint] &&
			  (entity.kind == ENTITY_ENDPOINT || replica->ordinal == entity.part);
		if (!in || replica->node < 0 || replica->pid == 0 || replica->state == 'X')
			continue;
		struct node *node = &real->nodes[replica->node];
		pid_t pid = machine_pid(node->machine, replica->pid);
		if (pid == 0)
			continue;
		if (act(real, node, pid, context, e))
			return -1;
		hit++;
	}
	return hit > 0 ? 0
		       : error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				   "no process runs there that could be hit");
}

/* ---- the journal ---- */

int effects_note(struct real *real, struct fault_state *fault, struct undo undo, struct error *e)
{
	if (fault->record_count == FAULT_RECORDS_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE,
				 "more than %d files or processes would be hit", FAULT_RECORDS_MAX);
	if (undo.pid && !undo.start)
		undo.start = process_start(undo.pid);
	if (journal_add(real->journal, &undo, e))
		return -1;
	fault->records[fault->record_count++] = undo.number;
	return 0;
}

void effects_forget(struct real *real, struct fault_state *fault)
{
	struct error error = {.kind = ERROR_NONE};

	while (fault->record_count > 0)
		journal_done(real->journal, fault->records[--fault->record_count], &error);
}

/* ---- machines ---- */

static int kill_node(struct real *real, struct node *node, void *context, struct error *e)
{
	bool power = *(bool *)context;

	node->down = true;
	node->power = node->power && !power;
	if (machine_kill(node->machine, e))
		return -1;
	return disks_crash(real, node, e);
}

static int start_node(struct real *real, struct node *node, void *context, struct error *e)
{
	(void)context;
	node->power = true;
	return node->down ? deploy_node(real, node, e) : 0;
}

static int thaw_node(struct real *real, struct node *node, void *context, struct error *e)
{
	(void)real;
	(void)context;
	return node->down ? 0 : machine_freeze(node->machine, false, e);
}

static int freeze_node(struct real *real, struct node *node, void *context, struct error *e)
{
	(void)real;
	(void)context;
	return node->down ? 0 : machine_freeze(node->machine, true, e);
}

/* A site of which no machine has power has no storage either. */
static void look_power(struct real *real, uint32_t site)
{
	bool on = false;

	for (uint32_t n = 0; n < real->scenario->deployment.sites[site].nodes; n++)
		on = on || real_node(real, site, n)->power;
	copies_power(real->copies, site, on);
}

/* ---- devices ---- */

static void device_path(const struct node *node, uint32_t gpu, bool gone, char *path, size_t room)
{
	snprintf(path, room, "%s%s/%sgpu%u", machine_root(node->machine), node->devices,
		 gone ? ".gone-" : "", gpu);
}

static int remove_gpu(struct real *real, struct fault_state *fault, struct error *e)
{
	const struct entity *entity = &fault->effect.entity;
	struct node *node = real_node(real, entity->site, (uint32_t)entity->index);
	char from[1024], to[1024];

	device_path(node, entity->part, false, from, sizeof(from));
	device_path(node, entity->part, true, to, sizeof(to));
	if (effects_note(
		    real, fault,
		    (struct undo){.kind = UNDO_RENAME, .path = from, .from = to, .pid = getpid()},
		    e))
		return -1;
	if (rename(from, to))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot remove %s: %s", from,
				 strerror(errno));
	return 0;
}

static int bring_gpu(struct real *real, struct fault_state *fault, struct error *e)
{
	const struct entity *entity = &fault->effect.entity;
	struct node *node = real_node(real, entity->site, (uint32_t)entity->index);
	char from[1024], to[1024];

	device_path(node, entity->part, false, to, sizeof(to));
	device_path(node, entity->part, true, from, sizeof(from));
	if (rename(from, to) && errno != ENOENT)
		return error_set(e, ERROR_IO, NO_PLACE, "cannot bring back %s: %s", to,
				 strerror(errno));
	return 0;
}

static bool gpu_gone(struct real *real, const struct fault_state *fault)
{
	const struct entity *entity = &fault->effect.entity;
	const struct node *node = real_node(real, entity->site, (uint32_t)entity->index);
	char path[1024];

	device_path(node, entity->part, false, path, sizeof(path));
	return access(path, F_OK) != 0;
}

/* ---- processes ---- */

struct signalling {
	struct fault_state *fault;
	int number;
	bool journal; /* SIGSTOP: what undoes it is written down first */
};

static int send_signal(struct real *real, struct node *node, pid_t pid, void *context,
		       struct error *e)
{
	const struct signalling *signalling = context;
	struct undo undo = {.kind = UNDO_CONTINUE, .pid = pid};

	(void)node;
	if (signalling->journal) {
		if ((undo.start = process_start(pid)) == 0)
			return 0; /* it ended meanwhile */
		if (effects_note(real, signalling->fault, undo, e))
			return -1;
	}
	if (kill(pid, signalling->number) && errno != ESRCH)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot signal process %ld: %s",
				 (long)pid, strerror(errno));
	return 0;
}

static int signal_processes(struct real *real, struct fault_state *fault, int number, bool journal,
			    struct error *e)
{
	struct signalling signalling = {.fault = fault, .number = number, .journal = journal};

	return effects_each_process(real, fault->effect.entity, send_signal, &signalling, e);
}

void effects_wait_seen(struct real *real, struct entity entity, uint64_t starts, uint32_t processes)
{
	nanos end = real_now(real) + EXIT_PATIENCE;
	struct reading reading;

	while (real_now(real) < end) {
		readings_take(real, entity, &reading);
		if (reading.processes < processes || reading.process_starts > starts)
			return;
		real_sleep(real, real_now(real) + 5 * NANOS_MS, NULL);
	}
}

static int end_processes(struct real *real, struct fault_state *fault, int number, struct error *e)
{
	struct reading before;

	readings_take(real, fault->effect.entity, &before);
	if (signal_processes(real, fault, number, false, e))
		return -1;
	effects_wait_seen(real, fault->effect.entity, before.process_starts, before.processes);
	return 0;
}

/* The platform gives the next starts a longer initialisation. */
static int delay_starts(struct real *real, const struct fault_state *fault, int64_t delay,
			struct error *e)
{
	const struct entity *entity = &fault->effect.entity;
	uint32_t endpoint = (uint32_t)entity->index;
	char name[256], url[PROCESS_URL_MAX + 320], body[64];

	if (services_config(real, endpoint)) {
		services_delay(real, endpoint, delay);
		real->start_added[endpoint] = delay;
		return 0;
	}
	deploy_name(real, endpoint, real->scenario->deployment.endpoints[endpoint].site, name,
		    sizeof(name));
	snprintf(url, sizeof(url), "%s/_drsim/deployments/%s/start-delay", real->control, name);
	snprintf(body, sizeof(body), "{\"ns\":%lld}", (long long)delay);
	if (call_json(real->caller, "POST", url, body, 5 * NANOS_S, NULL, e))
		return -1;
	real->start_added[endpoint] = delay;
	return 0;
}

/* ---- load ---- */

static void set_rate(struct real *real, uint32_t endpoint)
{
	double rate = real->scenario->deployment.endpoints[endpoint].load.rate, factor = 1;

	for (size_t i = 0; i < real->fault_count; i++) {
		const struct fault_state *fault = &real->faults[i];
		if (fault->used && fault->effect.kind == EFFECT_LOAD_SURGE &&
		    (uint32_t)fault->effect.entity.index == endpoint)
			factor += (double)fault->effect.amount / EFFECT_PPM;
	}
	real->rate[endpoint] = rate * factor;
	client_rate(real->client, endpoint, rate * factor);
}

/* ---- each effect: begin, take back, is it there ---- */

static bool any_node(struct real *real, struct entity entity, bool (*is)(const struct node *node))
{
	const struct site *site = &real->scenario->deployment.sites[entity.site];
	bool any = false;

	for (uint32_t n = 0; n < site->nodes; n++)
		any = any || (in_entity(site, entity, n) && is(real_node(real, entity.site, n)));
	return any;
}

static bool is_down(const struct node *node)
{
	return node->down;
}

static bool is_frozen(const struct node *node)
{
	return !node->down && machine_frozen(node->machine);
}

static int crash(struct real *real, struct fault_state *fault, struct error *e)
{
	bool power = fault->effect.kind == EFFECT_POWER_OFF;

	if (fault->effect.kind == EFFECT_NODE_REBOOT)
		fault->due = real_now(real) + fault->effect.amount;
	if (each_node(real, fault->effect.entity, kill_node, &power, e))
		return -1;
	look_power(real, fault->effect.entity.site);
	return 0;
}

static int bring_up(struct real *real, struct fault_state *fault, struct error *e)
{
	fault->due = NANOS_NEVER;
	if (each_node(real, fault->effect.entity, start_node, NULL, e))
		return -1;
	look_power(real, fault->effect.entity.site);
	return 0;
}

static bool crashed(struct real *real, const struct fault_state *fault)
{
	return any_node(real, fault->effect.entity, is_down);
}

static int freeze(struct real *real, struct fault_state *fault, struct error *e)
{
	if (fault->effect.kind == EFFECT_STANDBY_OUT)
		real->standby_out[fault->effect.entity.site] = true;
	return each_node(real, fault->effect.entity, freeze_node, NULL, e);
}

static int thaw(struct real *real, struct fault_state *fault, struct error *e)
{
	if (fault->effect.kind == EFFECT_STANDBY_OUT)
		real->standby_out[fault->effect.entity.site] = false;
	return each_node(real, fault->effect.entity, thaw_node, NULL, e);
}

static bool frozen(struct real *real, const struct fault_state *fault)
{
	return any_node(real, fault->effect.entity, is_frozen);
}

static int end_process(struct real *real, struct fault_state *fault, struct error *e)
{
	return end_processes(real, fault, (int)fault->effect.amount, e);
}

/* As many run as before, and they were started since. */
static bool ended(struct real *real, const struct fault_state *fault)
{
	struct reading now;

	readings_glance(real, fault->effect.entity, &now);
	return now.processes < fault->processes || now.process_starts <= fault->starts;
}

static int loop_processes(struct real *real, struct fault_state *fault, struct error *e)
{
	fault->due = real_now(real) + fault->effect.amount;
	return end_processes(real, fault, SIGKILL, e);
}

static int let_loop(struct real *real, struct fault_state *fault, struct error *e)
{
	(void)real;
	(void)e;
	fault->due = NANOS_NEVER;
	return 0;
}

static int stop_processes(struct real *real, struct fault_state *fault, struct error *e)
{
	nanos end = real_now(real) + EXIT_PATIENCE;
	struct reading reading = {0};

	if (signal_processes(real, fault, SIGSTOP, true, e))
		return -1;
	/* Until the agent tells of it: on a busy host one of its answers may come too late. */
	while (reading.processes_stopped == 0 && real_now(real) < end)
		readings_take(real, fault->effect.entity, &reading);
	return 0;
}

static int continue_processes(struct real *real, struct fault_state *fault, struct error *e)
{
	for (size_t i = 0; i < fault->record_count; i++)
		if (undo_number(real->journal, fault->records[i], e))
			return -1;
	fault->record_count = 0;
	return 0;
}

static bool stopped(struct real *real, const struct fault_state *fault)
{
	for (size_t i = 0; i < fault->record_count; i++) {
		const struct undo *undo = journal_find(real->journal, fault->records[i]);
		struct process now;
		if (undo && process_read(undo->pid, &now) && now.start == undo->start &&
		    now.state == 'T')
			return true;
	}
	return false;
}

static int slow_starts(struct real *real, struct fault_state *fault, struct error *e)
{
	return delay_starts(real, fault, fault->effect.amount, e);
}

static int usual_starts(struct real *real, struct fault_state *fault, struct error *e)
{
	return delay_starts(real, fault, 0, e);
}

static bool starts_slow(struct real *real, const struct fault_state *fault)
{
	return real->start_added[fault->effect.entity.index] > 0;
}

static int surge(struct real *real, struct fault_state *fault, struct error *e)
{
	(void)e;
	set_rate(real, (uint32_t)fault->effect.entity.index);
	return 0;
}

static int calm_down(struct real *real, struct fault_state *fault, struct error *e)
{
	fault->effect.amount = 0;
	return surge(real, fault, e);
}

static bool is_used(struct real *real, const struct fault_state *fault)
{
	(void)real;
	return fault->used;
}

static bool is_over(struct real *real, const struct fault_state *fault)
{
	(void)real;
	(void)fault;
	return false;
}

static int fail_backups(struct real *real, struct fault_state *fault, struct error *e)
{
	(void)fault;
	(void)e;
	real->backups_failed = 0;
	real->backups_fail = true;
	return 0;
}

static int let_backups(struct real *real, struct fault_state *fault, struct error *e)
{
	(void)fault;
	(void)e;
	real->backups_fail = false;
	return 0;
}

static int break_restores(struct real *real, struct fault_state *fault, struct error *e)
{
	(void)fault;
	if (actions_break_restores(real) > 0)
		return 0;
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
			 "no restore is under way that could break off");
}

static int nothing(struct real *real, struct fault_state *fault, struct error *e)
{
	(void)real;
	(void)fault;
	(void)e;
	return 0;
}

/* ---- the table ---- */

struct way {
	const char *text;
	enum fidelity fidelity;
	bool noticed; /* by the platform's own checks */
	int (*apply)(struct real *real, struct fault_state *fault, struct error *e);
	int (*revert)(struct real *real, struct fault_state *fault, struct error *e);
	bool (*present)(struct real *real, const struct fault_state *fault);
};

#define LAYER "a FUSE layer over the node's storage: "
#define NOTIFIED "seccomp user notification: "
#define SEEN true
#define SILENT false

static const struct way ways[EFFECTS] = {
	[EFFECT_GPU_GONE] = {"the GPU's device file leaves the machine; what has it open fails as "
			     "CUDA programs do",
			     FIDELITY_REAL, SEEN, remove_gpu, bring_gpu, gpu_gone},
	[EFFECT_GPU_XID] =
		{"a line as the GPU's driver writes it, in a kernel log of the drill's own "
		 "or, where the scenario says so, the host's",
		 FIDELITY_DETECTOR, SILENT, xid_write, nothing, is_over},
	[EFFECT_GPU_SLOW] =
		{"the stand-in GPU's clock goes down; what computes on it takes as much "
		 "longer",
		 FIDELITY_REAL, SILENT, devices_weaken, devices_restore, devices_weak},
	[EFFECT_GPU_WRONG] = {"a share of what the stand-in GPU computes is wrong", FIDELITY_REAL,
			      SILENT, devices_weaken, devices_restore, devices_weak},
	[EFFECT_CLOCK_SKEW] = {"programs of the node see another wall clock, by libfaketime",
			       FIDELITY_REAL, SILENT, clocks_skew, clocks_right, clocks_skewed},
	[EFFECT_POWER_OFF] = {"the machine is killed whole, its site's storage with the last one",
			      FIDELITY_REAL, SEEN, crash, bring_up, crashed},
	[EFFECT_NODE_CRASH] = {"the machine is killed whole: its cgroup, its namespaces",
			       FIDELITY_REAL, SEEN, crash, bring_up, crashed},
	[EFFECT_NODE_REBOOT] = {"the machine is killed whole and started again", FIDELITY_REAL,
				SEEN, crash, bring_up, crashed},
	[EFFECT_NODE_FREEZE] = {"every process of the machine is stopped: cgroup freezer, or "
				"SIGSTOP without one",
				FIDELITY_REAL, SEEN, freeze, thaw, frozen},
	[EFFECT_STANDBY_OUT] = {"every process of the standby's machines is stopped", FIDELITY_REAL,
				SEEN, freeze, thaw, frozen},
	[EFFECT_PROC_EXIT] = {"the process gets the signal", FIDELITY_REAL, SEEN, end_process,
			      nothing, ended},
	[EFFECT_PROC_LOOP] = {"the process is killed again after each start", FIDELITY_REAL, SEEN,
			      loop_processes, let_loop, is_used},
	[EFFECT_PROC_FREEZE] = {"the process gets SIGSTOP", FIDELITY_REAL, SILENT, stop_processes,
				continue_processes, stopped},
	[EFFECT_START_SLOW] = {"the platform starts the process with a longer initialisation",
			       FIDELITY_API, SILENT, slow_starts, usual_starts, starts_slow},
	[EFFECT_LOAD_SURGE] = {"the client sends more requests", FIDELITY_REAL, SILENT, surge,
			       calm_down, is_used},
	[EFFECT_DISK_FULL] = {"a file takes what is left of the volume, which is of limited size",
			      FIDELITY_REAL, SILENT, disk_fill, disk_free, disk_filled},
	[EFFECT_DATA_FLIP] = {"bits of the files flip", FIDELITY_REAL, SILENT, data_damage,
			      data_mend, data_damaged},
	[EFFECT_DATA_CUT] = {"the files lose their ends", FIDELITY_REAL, SILENT, data_damage,
			     data_mend, data_damaged},
	[EFFECT_DATA_OLD] = {"the files are what they were earlier", FIDELITY_REAL, SILENT,
			     data_damage, data_mend, data_damaged},
	[EFFECT_DATA_GONE] = {"the files are removed", FIDELITY_REAL, SILENT, data_damage,
			      data_mend, data_damaged},
	[EFFECT_DATA_ZERO] = {"ranges of the files are overwritten with zeros", FIDELITY_REAL,
			      SILENT, data_damage, data_mend, data_damaged},
	[EFFECT_DATA_MISDIRECT] = {"a block of a file is written over another", FIDELITY_REAL,
				   SILENT, data_damage, data_mend, data_damaged},
	[EFFECT_BACKUP_FLIP] = {"bits of the backup's chunks in the store flip", FIDELITY_REAL,
				SILENT, backup_damage, backup_mend, backup_damaged},
	[EFFECT_BACKUP_GONE] = {"the backup's manifests leave the store", FIDELITY_REAL, SILENT,
				backup_damage, backup_mend, backup_damaged},
	[EFFECT_BACKUP_OLD] = {"the backup's name leads to an earlier backup", FIDELITY_REAL,
			       SILENT, backup_damage, backup_mend, backup_damaged},
	[EFFECT_BACKUP_FAIL] = {"backup jobs that start fail", FIDELITY_API, SEEN, fail_backups,
				let_backups, is_used},
	[EFFECT_RESTORE_STOP] = {"the restores under way are broken off", FIDELITY_REAL, SILENT,
				 break_restores, nothing, is_over},
	[EFFECT_CKPT_FLIP] = {"bits of the checkpoint's shards flip", FIDELITY_REAL, SILENT,
			      checkpoint_damage, checkpoint_mend, checkpoint_damaged},
	[EFFECT_CKPT_SHARD] = {"shards of the checkpoint are removed", FIDELITY_REAL, SILENT,
			       checkpoint_damage, checkpoint_mend, checkpoint_damaged},
	[EFFECT_CKPT_TORN] = {"the end of the checkpoint's last shard is cut off", FIDELITY_REAL,
			      SILENT, checkpoint_damage, checkpoint_mend, checkpoint_damaged},
	[EFFECT_CPU_TAKEN] = {"other work on the machine, which weighs as much as all that runs "
			      "there",
			      FIDELITY_REAL, SILENT, cpu_take, cpu_give, strain_runs},
	[EFFECT_CPU_QUOTA] = {"the CPU quota of a cgroup, below what the process used before",
			      FIDELITY_REAL, SILENT, quota_set, quota_lift, quota_holds},
	[EFFECT_MEM_TAKEN] = {"other work takes memory of the machine's cgroup; the kernel's OOM "
			      "killer ends who needs more",
			      FIDELITY_REAL, SEEN, mem_take, mem_give, strain_runs},
	[EFFECT_PROC_OOM] = {"the kernel's OOM killer ends the process, for want of room in the "
			     "machine's cgroup",
			     FIDELITY_REAL, SEEN, oom_kill, nothing, ended},
	[EFFECT_NET_CUT] = {"packets are dropped at the link of the machine or site, by nftables; "
			    "or the link is down",
			    FIDELITY_REAL, SEEN, network_break, network_mend, network_broken},
	[EFFECT_NET_FLAP] = {"packets are dropped at the link in turns, by nftables", FIDELITY_REAL,
			     SEEN, network_break, network_mend, network_broken},
	[EFFECT_NET_DROP] = {"packets to the service ports are dropped, by nftables", FIDELITY_REAL,
			     SEEN, network_break, network_mend, network_broken},
	[EFFECT_NET_RESET] = {"connections to the service ports are reset, by nftables",
			      FIDELITY_REAL, SEEN, network_break, network_mend, network_broken},
	[EFFECT_NET_DELAY] = {"packets wait: in netem, or in a link of our own", FIDELITY_REAL,
			      SILENT, network_break, network_mend, network_broken},
	[EFFECT_NET_LOSS] = {"packets are dropped by chance: by netem, nftables, or a link of our "
			     "own",
			     FIDELITY_REAL, SILENT, network_break, network_mend, network_broken},
	[EFFECT_NET_RATE] = {"a token bucket at the link, or a link of our own", FIDELITY_REAL,
			     SILENT, network_break, network_mend, network_broken},
	[EFFECT_NET_DUPLICATE] = {"packets are sent twice: by netem, or by a link of our own",
				  FIDELITY_REAL, SILENT, network_break, network_mend,
				  network_broken},
	[EFFECT_NET_CORRUPT] = {"bits of packets flip: in netem, or in a link of our own",
				FIDELITY_REAL, SILENT, network_break, network_mend, network_broken},
	[EFFECT_NET_REORDER] = {"packets overtake others: in netem, or in a link of our own",
				FIDELITY_REAL, SILENT, network_break, network_mend, network_broken},
	[EFFECT_DISK_ERROR] = {LAYER "reads, writes and syncs fail with EIO", FIDELITY_REAL, SEEN,
			       disks_break, disks_mend, disks_broken},
	[EFFECT_DISK_RATE] = {LAYER "reads and writes share a token bucket", FIDELITY_REAL, SILENT,
			      disks_break, disks_mend, disks_broken},
	[EFFECT_DISK_READONLY] = {LAYER "what writes fails with EROFS", FIDELITY_REAL, SEEN,
				  disks_break, disks_mend, disks_broken},
	[EFFECT_DISK_HANG] = {LAYER "operations do not come back", FIDELITY_REAL, SEEN, disks_break,
			      disks_mend, disks_broken},
	[EFFECT_DISK_BADBLOCKS] = {LAYER "ranges of files cannot be read", FIDELITY_REAL, SILENT,
				   disks_break, disks_mend, disks_broken},
	[EFFECT_IO_ERROR] = {LAYER "chosen operations fail", FIDELITY_REAL, SILENT, disks_break,
			     disks_mend, disks_broken},
	[EFFECT_IO_LATENCY] = {LAYER "chosen operations take longer", FIDELITY_REAL, SILENT,
			       disks_break, disks_mend, disks_broken},
	[EFFECT_FS_UNSYNCED] = {LAYER "what was not synced is gone after a crash", FIDELITY_REAL,
				SILENT, disks_break, disks_mend, disks_broken},
	[EFFECT_FS_TORN_OP] = {LAYER "a write is half done, and the machine crashes", FIDELITY_REAL,
			       SEEN, disks_break, disks_mend, disks_broken},
	[EFFECT_FS_TORN_SEQ] = {LAYER "of some writes a part is done, and the machine crashes",
				FIDELITY_REAL, SEEN, disks_break, disks_mend, disks_broken},
	[EFFECT_DISK_INODES] = {"empty files take the inodes of the volume, which are limited",
				FIDELITY_REAL, SILENT, inodes_fill, inodes_free, inodes_filled},
	[EFFECT_SYS_ERROR] = {NOTIFIED "the call fails", FIDELITY_REAL, SILENT, calls_break,
			      calls_mend, calls_broken},
	[EFFECT_SYS_RETVAL] = {NOTIFIED "the call is not made and returns a value", FIDELITY_REAL,
			       SILENT, calls_break, calls_mend, calls_broken},
	[EFFECT_SYS_DELAY] = {NOTIFIED "the call begins later", FIDELITY_REAL, SILENT, calls_break,
			      calls_mend, calls_broken},
	[EFFECT_GPU_HANG] = {NOTIFIED "calls on the GPU's device do not come back", FIDELITY_REAL,
			     SEEN, calls_break, calls_mend, calls_broken},
	[EFFECT_NET_MTU] = {"larger packets vanish, in a link of our own", FIDELITY_REAL, SILENT,
			    network_break, network_mend, network_broken},
};

#define NEEDS_CGROUP                                                                               \
	(EFFECT_BIT(EFFECT_CPU_QUOTA) | EFFECT_BIT(EFFECT_MEM_TAKEN) | EFFECT_BIT(EFFECT_PROC_OOM))

#define NEEDS_VOLUME (EFFECT_BIT(EFFECT_DISK_FULL) | EFFECT_BIT(EFFECT_DISK_INODES))

struct mechanism effects_mechanism(enum effect_kind kind)
{
	const struct way *way = &ways[kind];
	const char *privilege = "none";

	if (EFFECT_BIT(kind) & NEEDS_CGROUP)
		privilege = "cgroups that we may make";
	if (EFFECT_BIT(kind) & (EFFECTS_OF_NETWORK | NEEDS_VOLUME))
		privilege = "namespaces";
	if (EFFECT_BIT(kind) & EFFECTS_OF_STORAGE)
		privilege = "namespaces, /dev/fuse";
	return (struct mechanism){.text = way->text ? way->text : "none on this driver",
				  .fidelity = way->fidelity,
				  .privilege = privilege};
}

/* ---- the door ---- */

static struct fault_state *fault_new(struct real *real, const struct effect *effect,
				     uint64_t *token)
{
	size_t i = *token;

	/* A pulse comes again with the token of its last time. */
	if (i == 0) {
		real->faults = arena_grow(&real->arena, real->faults, real->fault_count,
					  &real->fault_capacity, sizeof(*real->faults));
		i = ++real->fault_count;
	}
	*token = i;
	struct fault_state *fault = &real->faults[i - 1];
	*fault = (struct fault_state){.used = true,
				      .effect = *effect,
				      .due = NANOS_NEVER,
				      .evident_since = NANOS_NEVER,
				      .noticed = *token != i};
	return fault;
}

int effects_apply(struct real *real, const struct effect *effect, struct undo_record *undo,
		  struct error *e)
{
	struct fault_state *fault = fault_new(real, effect, &undo->token);
	struct reading before;

	assert(ways[effect->kind].apply);
	undo->applied = true;
	readings_take(real, effect->entity, &before);
	fault->processes = before.processes;
	fault->starts = before.process_starts;
	real_disturbed(real);
	if (ways[effect->kind].apply(real, fault, e))
		return -1;
	undo->mechanism = fault->mechanism;
	return 0;
}

int effects_adjust(struct real *real, const struct effect *effect, struct undo_record *undo,
		   struct error *e)
{
	struct fault_state *fault = &real->faults[undo->token - 1];

	if (effect->kind == EFFECT_LOAD_SURGE) {
		fault->effect = *effect;
		return surge(real, fault, e);
	}
	if (EFFECT_BIT(effect->kind) & EFFECTS_OF_NETWORK)
		return network_adjust(real, fault, effect, e);
	if (ways[effect->kind].revert(real, fault, e))
		return -1;
	fault->effect = *effect;
	return ways[effect->kind].apply(real, fault, e);
}

int effects_revert(struct real *real, struct undo_record *undo, struct error *e)
{
	struct fault_state *fault = &real->faults[undo->token - 1];

	if (!fault->used)
		return 0;
	if (ways[fault->effect.kind].revert(real, fault, e))
		return -1;
	effects_forget(real, fault);
	fault->used = false;
	return 0;
}

bool effects_present(struct real *real, const struct undo_record *undo)
{
	const struct fault_state *fault = &real->faults[undo->token - 1];

	return fault->used && ways[fault->effect.kind].present(real, fault);
}

/* ---- what goes on by itself ---- */

static void happen_again(struct real *real, struct fault_state *fault)
{
	struct error error = {.kind = ERROR_NONE};

	fault->due = NANOS_NEVER;
	if (fault->effect.kind == EFFECT_NODE_REBOOT) {
		bring_up(real, fault, &error);
		return;
	}
	/* The time runs from a start: a process that is not up yet is looked for again soon. */
	bool up = signal_processes(real, fault, SIGKILL, false, &error) == 0;
	fault->due = real_now(real) + (up ? fault->effect.amount : LOOP_LOOK);
}

/* Does the platform see it? A node that is not Ready, a GPU that is missing, a replica that is not
 * ready, for as long as it takes the platform to say so. */
static bool evident(struct real *real, const struct fault_state *fault)
{
	struct reading now;

	readings_glance(real, fault->effect.entity, &now);
	bool job =
		fault->effect.entity.kind == ENTITY_JOB || fault->effect.entity.kind == ENTITY_RANK;
	return now.nodes_responding < now.nodes || now.gpus_visible < now.gpus ||
	       now.replicas_ready < now.replicas || now.backup_jobs_failing > 0 ||
	       (job && !now.usable);
}

static void look_notice(struct real *real, struct fault_state *fault)
{
	nanos now = real_now(real);

	if (!ways[fault->effect.kind].noticed || fault->noticed)
		return;
	if (!evident(real, fault)) {
		fault->evident_since = NANOS_NEVER;
		return;
	}
	if (fault->evident_since == NANOS_NEVER)
		fault->evident_since = now;
	if (now - fault->evident_since < scenario_time(real->scenario, NOTICE_AFTER))
		return;
	fault->noticed = true;
	const struct completion seen = {.kind = COMPLETION_NOTICE,
					.injection = fault->effect.injection};
	real_complete(real, &seen);
}

void effects_look(struct real *real)
{
	for (size_t i = 0; i < real->fault_count; i++) {
		struct fault_state *fault = &real->faults[i];
		if (fault->used && fault->net)
			network_look(real, fault);
		else if (fault->used && fault->layer_fault > 0)
			disks_look(real, fault);
		else if (fault->used && fault->rule_count > 0)
			calls_look(real, fault);
		else if (fault->used && fault->due <= real_now(real))
			happen_again(real, fault);
		if (fault->used)
			resources_look(real, fault);
		if (fault->used)
			look_notice(real, fault);
	}
}

nanos effects_deadline(const struct real *real)
{
	nanos next = NANOS_NEVER;

	for (size_t i = 0; i < real->fault_count; i++) {
		const struct fault_state *fault = &real->faults[i];
		if (fault->used && fault->due < next)
			next = fault->due;
	}
	return next;
}
