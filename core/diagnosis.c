/* SPDX-License-Identifier: Apache-2.0 */
/* The Xid table and the rules from symptoms to causes. */
#include "core/diagnosis.h"

#define REBOOT "REBOOT_SYSTEM"
#define INSPECT "HARDWARE_INSPECTION"
#define CHECK_APP "CHECK_USER_APP_AND_GPU"
#define IGNORE "IGNORE_NO_ACTION_REQUIRED"
#define POWER "REPAIR_POWER"
#define NETWORK "CHECK_NETWORK"

/*
 * The action is the first that gpud names (its xid component, leptonai/gpud); code 109 has none
 * there and takes NVIDIA's immediate action (NVIDIA, "Xid Errors"). What goes down: an
 * application's own error and contained errors end the process, the others take the GPU with it;
 * 63 and 92 are notes.
 */
const struct xid_row xid_table[] = {
	{13, "graphics engine exception", "Warning", CHECK_APP, XID_PROCESS},
	{31, "MMU fault", "Warning", CHECK_APP, XID_PROCESS},
	{43, "GPU stopped processing", "Warning", CHECK_APP, XID_PROCESS},
	{45, "preemptive cleanup", "Warning", IGNORE, XID_PROCESS},
	{48, "double-bit ECC error", "Fatal", REBOOT, XID_GPU},
	{62, "PMU halt", "Fatal", REBOOT, XID_GPU},
	{63, "row remapping event", "Fatal", REBOOT, XID_NOTHING},
	{64, "row remapping failure", "Fatal", REBOOT, XID_GPU},
	{74, "NVLink error", "Fatal", REBOOT, XID_GPU},
	{79, "fallen off the bus", "Fatal", REBOOT, XID_GPU},
	{92, "high single-bit ECC error rate", "Warning", IGNORE, XID_NOTHING},
	{94, "contained ECC error", "Fatal", REBOOT, XID_PROCESS},
	{95, "uncontained ECC error", "Fatal", REBOOT, XID_GPU},
	{109, "context switch time-out", "Warning", "RESET_GPU", XID_PROCESS},
	{119, "GSP RPC time-out", "Fatal", REBOOT, XID_GPU},
	{120, "GSP error", "Fatal", REBOOT, XID_GPU},
	{140, "unrecovered ECC error", "Fatal", REBOOT, XID_GPU},
	{143, "GPU initialisation failure", "Fatal", INSPECT, XID_GPU},
	{144, "NVLink 5 SAW error", "by severity", REBOOT, XID_GPU},
	{145, "NVLink 5 RLW error", "by severity", REBOOT, XID_GPU},
	{146, "NVLink 5 TLW error", "by severity", REBOOT, XID_GPU},
	{147, "NVLink 5 TREX error", "by severity", REBOOT, XID_GPU},
	{148, "NVLink 5 NVLPW_CTRL error", "by severity", REBOOT, XID_GPU},
	{149, "NVLink 5 NETIR error", "by severity", REBOOT, XID_GPU},
	{150, "NVLink 5 MSE error", "by severity", REBOOT, XID_GPU},
	{0, NULL, NULL, NULL, XID_NOTHING},
};

const struct xid_row *xid_find(uint32_t code)
{
	for (const struct xid_row *row = xid_table; row->code != 0; row++)
		if (row->code == code)
			return row;
	return NULL;
}

/* What the rules look at. */
struct facts {
	const struct reading *site, *links;
	const struct reading *look; /* the most broken node, else the site */
	const struct completion *seen;
	bool wrong_answers;
	nanos normal_round_trip;
	uint32_t xid;
	const struct xid_row *row; /* of xid; NULL: none */
};

static bool fewer(uint32_t there, uint32_t declared)
{
	return there < declared;
}

static bool site_dark(const struct facts *f)
{
	return f->site->nodes > 0 && f->site->nodes_powered == 0;
}

static bool rack_dark(const struct facts *f)
{
	bool dark = f->look->nodes > 0 && f->look->nodes_powered == 0;

	return (f->look->nodes > 1 && dark) || f->site->nodes_powered + 1 < f->site->nodes ||
	       (dark && f->seen->suspect.kind == ENTITY_RACK);
}

static bool node_dark(const struct facts *f)
{
	return fewer(f->look->nodes_powered, f->look->nodes);
}

static bool links_cut(const struct facts *f)
{
	return fewer(f->links->paths_open, f->links->paths);
}

/* One node alone may as well have crashed: its links tell. */
static bool site_cut_off(const struct facts *f)
{
	return f->site->nodes_powered > 0 && f->site->nodes_reachable == 0 &&
	       (f->site->nodes > 1 || links_cut(f));
}

static bool node_unreachable(const struct facts *f)
{
	return fewer(f->look->nodes_reachable, f->look->nodes_powered);
}

static bool node_silent(const struct facts *f)
{
	return fewer(f->look->nodes_responding, f->look->nodes_reachable);
}

static bool gpu_missing(const struct facts *f)
{
	return fewer(f->look->gpus_visible, f->look->gpus);
}

static bool gpu_missing_xid(const struct facts *f)
{
	return gpu_missing(f) && f->row && f->row->hits == XID_GPU;
}

static bool xid_harmful(const struct facts *f)
{
	return f->row && f->row->hits != XID_NOTHING;
}

static bool gpu_wrong(const struct facts *f)
{
	return f->look->gpus_wrong > 0;
}

static bool gpu_hangs(const struct facts *f)
{
	return f->look->gpus_hanging > 0;
}

/* Nothing is known of the pace where the reading has none. */
static bool gpu_slow(const struct facts *f)
{
	return f->look->pace_ppm > 0 && f->look->pace_ppm < EFFECT_PPM;
}

static bool disk_failing(const struct facts *f)
{
	return f->look->disks_failing > 0;
}

static bool disk_hangs(const struct facts *f)
{
	return f->look->disks_hanging > 0;
}

static bool files_fail(const struct facts *f)
{
	return f->look->io_failing_ppm > 0;
}

static bool blocks_bad(const struct facts *f)
{
	return f->look->bad_blocks_ppm > 0;
}

static bool files_slow(const struct facts *f)
{
	return f->look->io_added > 0;
}

static bool disk_readonly(const struct facts *f)
{
	return f->look->disks_readonly > 0;
}

static bool disk_full(const struct facts *f)
{
	return f->look->disks_full > 0;
}

static bool clock_off(const struct facts *f)
{
	return f->look->nodes_refused > 0;
}

static bool process_stopped(const struct facts *f)
{
	return f->look->processes_stopped > 0;
}

/* Where nothing is known of them, what is left is 0. */
static bool memory_low(const struct facts *f)
{
	return f->look->memory_left_ppm > 0 && f->look->memory_left_ppm < DIAGNOSIS_MEMORY_MIN;
}

static bool cpu_taken(const struct facts *f)
{
	return f->look->cpu_left_ppm > 0 && f->look->cpu_left_ppm < EFFECT_PPM;
}

static bool cpu_throttled(const struct facts *f)
{
	return f->look->quota_ppm > 0 && f->look->quota_ppm < EFFECT_PPM;
}

static bool process_oom(const struct facts *f)
{
	return f->look->processes_oom > 0;
}

static bool requests_fail(const struct facts *f)
{
	return f->look->errors_ppm > 0 || f->look->service_added > 0;
}

static bool ports_closed(const struct facts *f)
{
	return fewer(f->look->ports_open, f->look->ports);
}

/* Everybody reaches it, and somebody else does not. */
static bool node_parted(const struct facts *f)
{
	return f->look->nodes_reachable == f->look->nodes &&
	       fewer(f->look->paths_open, f->look->paths);
}

static bool packets_damaged(const struct facts *f)
{
	return f->look->corrupted_ppm > 0 || f->site->corrupted_ppm > 0 ||
	       f->links->corrupted_ppm > 0;
}

static bool packets_lost(const struct facts *f)
{
	return f->look->loss_ppm > 0 || f->site->loss_ppm > 0 || f->links->loss_ppm > 0;
}

static bool data_unreadable(const struct facts *f)
{
	return f->site->unreadable > 0;
}

static bool data_missing(const struct facts *f)
{
	return f->site->missing > 0;
}

static bool process_missing(const struct facts *f)
{
	return fewer(f->look->processes, f->look->replicas);
}

static bool data_wrong(const struct facts *f)
{
	return f->wrong_answers || f->look->digest_mismatches > 0 || f->site->digest_mismatches > 0;
}

static bool replica_unready(const struct facts *f)
{
	return fewer(f->look->replicas_ready, f->look->replicas);
}

static bool slow(const struct facts *f, nanos round_trip)
{
	nanos limit = DIAGNOSIS_ROUND_TRIP_MAX;

	if (f->normal_round_trip > 0 && f->normal_round_trip < SCENARIO_DURATION_MAX)
		limit = 2 * f->normal_round_trip + NANOS_MS;
	return round_trip != NANOS_NEVER && round_trip > limit;
}

static bool network_slow(const struct facts *f)
{
	return slow(f, f->links->round_trip) || slow(f, f->site->round_trip) ||
	       slow(f, f->look->round_trip);
}

static bool xid_any(const struct facts *f)
{
	return f->xid != 0;
}

/* Of one kind, only the first symptom is told: a dark site is not also a dark rack. */
enum symptom_kind {
	SYMPTOM_POWER,
	SYMPTOM_REACH,
	SYMPTOM_GPU,
	SYMPTOM_XID,
	SYMPTOM_REPLICA,
	SYMPTOM_DATA,
	SYMPTOM_PATH,
	SYMPTOM_SLOW,
	SYMPTOM_DISK,
	SYMPTOM_CLOCK,
	SYMPTOM_SERVICE,
	SYMPTOM_MEMORY,
	SYMPTOM_CPU,
};

/* The order is explained in the header. An action of NULL is the Xid's own. */
static const struct rule {
	bool (*fits)(const struct facts *f);
	enum symptom_kind kind;
	const char *symptom, *cause, *action;
} rules[] = {
	{site_dark, SYMPTOM_POWER, "no node of the site has power", "zone.outage", POWER},
	{rack_dark, SYMPTOM_POWER, "several nodes without power", "rack.power_loss", POWER},
	{node_dark, SYMPTOM_POWER, "a node without power", "psu.loss", POWER},
	{site_cut_off, SYMPTOM_REACH, "no node of the site is reachable", "net.partition", NETWORK},
	{node_unreachable, SYMPTOM_REACH, "a node is not reachable", "node.crash", REBOOT},
	{node_silent, SYMPTOM_REACH, "a reachable node does not respond", "node.hang", REBOOT},
	{gpu_missing_xid, SYMPTOM_GPU, "a GPU is missing after an Xid", "gpu.xid", NULL},
	{gpu_missing, SYMPTOM_GPU, "a GPU is missing", "gpu.lost", REBOOT},
	{gpu_wrong, SYMPTOM_GPU, "a GPU fails its self-test", "gpu.sdc", INSPECT},
	{gpu_hangs, SYMPTOM_GPU, "a GPU does not come back", "gpu.hang", REBOOT},
	{disk_failing, SYMPTOM_DISK, "a disk fails", "disk.error", INSPECT},
	{disk_hangs, SYMPTOM_DISK, "a disk does not come back", "disk.hang", INSPECT},
	{files_fail, SYMPTOM_DISK, "operations on files fail", "io.errno", INSPECT},
	{blocks_bad, SYMPTOM_DISK, "blocks of a disk cannot be read", "disk.badblocks", INSPECT},
	{disk_readonly, SYMPTOM_DISK, "a disk is read-only", "disk.readonly", INSPECT},
	{disk_full, SYMPTOM_DISK, "a disk is full", "disk.fill", "FREE_SPACE"},
	{clock_off, SYMPTOM_CLOCK, "a clock is off", "clock.skew", "SET_CLOCK"},
	{xid_harmful, SYMPTOM_XID, "an Xid was reported", "gpu.xid", NULL},
	{memory_low, SYMPTOM_MEMORY, "hardly any memory is left on a node", "mem.fill",
	 "FREE_MEMORY"},
	{process_oom, SYMPTOM_REPLICA, "the OOM killer ended a process", "proc.oom",
	 "RAISE_MEMORY_LIMIT"},
	{process_missing, SYMPTOM_REPLICA, "a process is missing", "proc.kill", "RESTART_APP"},
	{process_stopped, SYMPTOM_REPLICA, "a process stands still", "proc.pause", "RESTART_APP"},
	{data_missing, SYMPTOM_DATA, "content is missing", "data.delete", "RESTORE_DATA"},
	{data_unreadable, SYMPTOM_DATA, "content cannot be read", "data.encrypt", "RESTORE_DATA"},
	{data_wrong, SYMPTOM_DATA, "wrong digests or answers", "data.bitflip", "RESTORE_DATA"},
	{replica_unready, SYMPTOM_REPLICA, "a replica is not ready", "proc.kill", "RESTART_APP"},
	{links_cut, SYMPTOM_PATH, "a network path is closed", "net.partition", NETWORK},
	{ports_closed, SYMPTOM_PATH, "service ports do not answer", "net.blackhole", NETWORK},
	{node_parted, SYMPTOM_PATH, "a node does not reach all others", "net.partition", NETWORK},
	{packets_damaged, SYMPTOM_PATH, "packets are damaged", "net.corrupt", NETWORK},
	{packets_lost, SYMPTOM_PATH, "packets are lost", "net.loss", NETWORK},
	{gpu_slow, SYMPTOM_SLOW, "a GPU is slower than the others", "gpu.straggler", INSPECT},
	{cpu_taken, SYMPTOM_CPU, "other work takes the CPU of a node", "cpu.burn", "FREE_CPU"},
	{cpu_throttled, SYMPTOM_CPU, "a process gets less CPU than it uses", "cgroup.squeeze",
	 "RAISE_CPU_LIMIT"},
	{files_slow, SYMPTOM_SERVICE, "operations on files take longer", "io.latency", INSPECT},
	{requests_fail, SYMPTOM_SERVICE,
	 "requests to a node that passes its checks fail or are slow", "node.gray", "DRAIN_NODE"},
	{network_slow, SYMPTOM_SLOW, "round trips take far longer", "net.delay", NETWORK},
	{xid_any, SYMPTOM_XID, "an Xid that takes nothing down", "gpu.xid", NULL},
};
_Static_assert(SYMPTOM_CPU < SYMPTOMS_MAX, "one symptom of each kind must fit");

/* The first symptom names the cause. */
static void take(const struct rule *rule, const struct facts *f, struct diagnosis *ret)
{
	const char *own = f->row && f->row->action ? f->row->action : "NONE";

	if (ret->symptom_count == 0) {
		ret->cause = rule->cause;
		ret->action = rule->action ? rule->action : own;
	}
	ret->symptoms[ret->symptom_count++] = rule->symptom;
}

void diagnose_normal(const struct completion *seen, bool wrong_answers, nanos normal_round_trip,
		     struct diagnosis *ret)
{
	struct facts facts = {
		.site = &seen->site_reading,
		.links = &seen->link_reading,
		.look = seen->worst.nodes > 0 ? &seen->worst : &seen->site_reading,
		.seen = seen,
		.wrong_answers = wrong_answers,
		.normal_round_trip = normal_round_trip,
	};
	unsigned told = 0;

	facts.xid = facts.look->xid != 0 ? facts.look->xid : facts.site->xid;
	facts.row = xid_find(facts.xid);
	*ret = (struct diagnosis){.cause = "none found", .action = "NONE", .xid = facts.xid};
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		if (told & 1u << rules[i].kind || !rules[i].fits(&facts))
			continue;
		told |= 1u << rules[i].kind;
		take(&rules[i], &facts, ret);
	}
}

void diagnose(const struct completion *seen, bool wrong_answers, struct diagnosis *ret)
{
	diagnose_normal(seen, wrong_answers, 0, ret);
}

int diagnosis_brokenness(const struct reading *r)
{
	if (r->nodes_powered < r->nodes)
		return 6;
	if (r->nodes_reachable < r->nodes)
		return 5;
	if (r->nodes_responding < r->nodes)
		return 4;
	if (r->gpus_visible < r->gpus)
		return 3;
	if (r->gpus_wrong || r->disks_failing || r->disks_full || r->disks_readonly ||
	    r->nodes_refused || r->gpus_hanging || r->disks_hanging || r->io_failing_ppm)
		return 3;
	if (r->processes < r->replicas || r->replicas_ready < r->replicas || r->processes_stopped)
		return DIAGNOSIS_BROKEN_REPLICA;
	if (r->ports_open < r->ports || r->errors_ppm || r->service_added || r->loss_ppm ||
	    r->corrupted_ppm || r->io_added || r->bad_blocks_ppm || r->paths_open < r->paths)
		return 1;
	return r->digest_mismatches || r->xid || r->pace_ppm < EFFECT_PPM ? 1 : 0;
}
