/* SPDX-License-Identifier: Apache-2.0 */
/* Every row of the Xid table, every rule from symptoms to a cause, and which rule goes first. */
#include <string.h>

#include "core/diagnosis.h"
#include "tests/test.h"

/* ---- the Xid table, written down a second time from gpud's and NVIDIA's columns ---- */

#define REBOOT "REBOOT_SYSTEM"

static const struct {
	uint32_t code;
	const char *event, *action;
	int hits;
} expected[] = {
	{13, "Warning", "CHECK_USER_APP_AND_GPU", XID_PROCESS},
	{31, "Warning", "CHECK_USER_APP_AND_GPU", XID_PROCESS},
	{43, "Warning", "CHECK_USER_APP_AND_GPU", XID_PROCESS},
	{45, "Warning", "IGNORE_NO_ACTION_REQUIRED", XID_PROCESS},
	{48, "Fatal", REBOOT, XID_GPU},
	{62, "Fatal", REBOOT, XID_GPU},
	{63, "Fatal", REBOOT, XID_NOTHING},
	{64, "Fatal", REBOOT, XID_GPU},
	{74, "Fatal", REBOOT, XID_GPU},
	{79, "Fatal", REBOOT, XID_GPU},
	{92, "Warning", "IGNORE_NO_ACTION_REQUIRED", XID_NOTHING},
	{94, "Fatal", REBOOT, XID_PROCESS},
	{95, "Fatal", REBOOT, XID_GPU},
	{109, "Warning", "RESET_GPU", XID_PROCESS},
	{119, "Fatal", REBOOT, XID_GPU},
	{120, "Fatal", REBOOT, XID_GPU},
	{140, "Fatal", REBOOT, XID_GPU},
	{143, "Fatal", "HARDWARE_INSPECTION", XID_GPU},
	{144, "by severity", REBOOT, XID_GPU},
	{145, "by severity", REBOOT, XID_GPU},
	{146, "by severity", REBOOT, XID_GPU},
	{147, "by severity", REBOOT, XID_GPU},
	{148, "by severity", REBOOT, XID_GPU},
	{149, "by severity", REBOOT, XID_GPU},
	{150, "by severity", REBOOT, XID_GPU},
};
#define ROWS (sizeof(expected) / sizeof(expected[0]))

START_TEST(xid_row)
{
	const struct xid_row *row = xid_find(expected[_i].code);

	ck_assert_ptr_nonnull(row);
	ck_assert_ptr_eq(row, &xid_table[_i]);
	ck_assert_uint_eq(row->code, expected[_i].code);
	ck_assert_str_eq(row->event, expected[_i].event);
	ck_assert_str_eq(row->action, expected[_i].action);
	ck_assert_int_eq((int)row->hits, expected[_i].hits);
	ck_assert_uint_gt(strlen(row->name), 0);
}
END_TEST

START_TEST(xid_without_row)
{
	static const uint32_t codes[] = {0, 1, 46, 54, 69, 136, 151, 154, 255};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		ck_assert_ptr_null(xid_find(codes[i]));
	ck_assert_uint_eq(xid_table[ROWS].code, 0);
}
END_TEST

/* ---- rules ---- */

/* One node, its site of four, and the site's links, all well. */
static struct completion healthy(void)
{
	const struct reading node = {
		.nodes = 1,
		.nodes_powered = 1,
		.nodes_reachable = 1,
		.nodes_responding = 1,
		.gpus = 8,
		.gpus_visible = 8,
		.replicas = 1,
		.replicas_ready = 1,
		.processes = 1,
		.process_starts = 1,
		.paths = 1,
		.paths_open = 1,
		.round_trip = NANOS_MS,
		.copies = 1,
	};
	struct completion seen = {.kind = COMPLETION_ACTION, .ok = true, .worst = node};

	seen.suspect = (struct entity){.kind = ENTITY_NODE, .index = 2};
	seen.site_reading = node;
	seen.site_reading.nodes = seen.site_reading.nodes_powered = 4;
	seen.site_reading.nodes_reachable = seen.site_reading.nodes_responding = 4;
	seen.site_reading.gpus = seen.site_reading.gpus_visible = 32;
	seen.site_reading.replicas = seen.site_reading.replicas_ready = 4;
	seen.site_reading.processes = 4;
	seen.link_reading =
		(struct reading){.paths = 1, .paths_open = 1, .round_trip = 24 * NANOS_MS};
	return seen;
}

/* Things that go wrong, each as the readings show it. */
enum trouble {
	SITE_DARK = 1,
	RACK_DARK = 2,
	NODE_DARK = 4,
	SITE_CUT = 8,
	NODE_DOWN = 16,
	NODE_SILENT = 32,
	GPU_MISSING = 64,
	XID_79 = 128,
	XID_13 = 256,
	XID_92 = 512,
	XID_46 = 1024,
	PROCESS_GONE = 2048,
	DIGEST = 4096,
	CANARY = 8192,
	UNREADY = 16384,
	LINK_CUT = 32768,
	SLOW = 65536,
	DATA_DIGEST = 131072,
};

/* The wider trouble last: it hides the narrower one. */
static void break_nodes(struct completion *seen, unsigned trouble)
{
	struct reading *site = &seen->site_reading, *node = &seen->worst;

	if (trouble & RACK_DARK) {
		site->nodes_powered = site->nodes_reachable = site->nodes_responding = 2;
		node->nodes = 2;
		node->nodes_powered = node->nodes_reachable = node->nodes_responding = 0;
	}
	if (trouble & NODE_DARK) {
		site->nodes_powered = site->nodes_reachable = site->nodes_responding = 3;
		node->nodes_powered = node->nodes_reachable = node->nodes_responding = 0;
	}
	if (trouble & NODE_DOWN) {
		site->nodes_reachable = site->nodes_responding = 3;
		node->nodes_reachable = node->nodes_responding = 0;
	}
	if (trouble & NODE_SILENT) {
		site->nodes_responding = 3;
		node->nodes_responding = 0;
	}
	if (trouble & SITE_CUT) {
		site->nodes_reachable = site->nodes_responding = 0;
		node->nodes_reachable = node->nodes_responding = 0;
	}
	if (trouble & SITE_DARK)
		site->nodes_powered = site->nodes_reachable = site->nodes_responding = 0;
	if (trouble & GPU_MISSING)
		node->gpus_visible = 7;
}

static struct completion broken(unsigned trouble)
{
	struct completion seen = healthy();
	struct reading *node = &seen.worst;

	break_nodes(&seen, trouble);
	if (trouble & (XID_79 | XID_13 | XID_92 | XID_46))
		node->xid_lines = 1;
	node->xid = trouble & XID_79   ? 79
		    : trouble & XID_13 ? 13
		    : trouble & XID_92 ? 92
		    : trouble & XID_46 ? 46
				       : 0;
	if (trouble & PROCESS_GONE)
		node->processes = node->replicas_ready = 0;
	if (trouble & UNREADY)
		node->replicas_ready = 0;
	if (trouble & DIGEST)
		node->digest_mismatches = 1;
	if (trouble & DATA_DIGEST)
		seen.site_reading.digest_mismatches = 1;
	if (trouble & LINK_CUT)
		seen.link_reading.paths_open = 0;
	if (trouble & SLOW)
		seen.link_reading.round_trip = 300 * NANOS_MS;
	return seen;
}

static const struct {
	unsigned trouble;
	const char *cause, *action;
	uint32_t xid;
	size_t symptoms;
} cases[] = {
	{0, "none found", "NONE", 0, 0},
	/* each rule alone */
	{SITE_DARK, "zone.outage", "REPAIR_POWER", 0, 1},
	{RACK_DARK, "rack.power_loss", "REPAIR_POWER", 0, 1},
	{NODE_DARK, "psu.loss", "REPAIR_POWER", 0, 1},
	{SITE_CUT, "net.partition", "CHECK_NETWORK", 0, 1},
	{NODE_DOWN, "node.crash", REBOOT, 0, 1},
	{NODE_SILENT, "node.hang", REBOOT, 0, 1},
	{GPU_MISSING, "gpu.lost", REBOOT, 0, 1},
	{GPU_MISSING | XID_79, "gpu.xid", REBOOT, 79, 2},
	{XID_79, "gpu.xid", REBOOT, 79, 1},
	{XID_13, "gpu.xid", "CHECK_USER_APP_AND_GPU", 13, 1},
	{XID_92, "gpu.xid", "IGNORE_NO_ACTION_REQUIRED", 92, 1},
	{XID_46, "gpu.xid", "NONE", 46, 1},
	{PROCESS_GONE, "proc.kill", "RESTART_APP", 0, 1},
	{UNREADY, "proc.kill", "RESTART_APP", 0, 1},
	{DIGEST, "data.bitflip", "RESTORE_DATA", 0, 1},
	{DATA_DIGEST, "data.bitflip", "RESTORE_DATA", 0, 1},
	{CANARY, "data.bitflip", "RESTORE_DATA", 0, 1},
	{LINK_CUT, "net.partition", "CHECK_NETWORK", 0, 1},
	{SLOW, "net.delay", "CHECK_NETWORK", 0, 1},
	/* the wider failure explains the narrower one */
	{SITE_DARK | NODE_DARK | SITE_CUT | GPU_MISSING, "zone.outage", "REPAIR_POWER", 0, 2},
	{RACK_DARK | GPU_MISSING | LINK_CUT, "rack.power_loss", "REPAIR_POWER", 0, 3},
	{NODE_DARK | PROCESS_GONE | GPU_MISSING, "psu.loss", "REPAIR_POWER", 0, 3},
	{SITE_CUT | NODE_DOWN | LINK_CUT, "net.partition", "CHECK_NETWORK", 0, 2},
	{SITE_CUT | LINK_CUT | PROCESS_GONE | SLOW, "net.partition", "CHECK_NETWORK", 0, 4},
	{NODE_DOWN | GPU_MISSING | PROCESS_GONE, "node.crash", REBOOT, 0, 3},
	{NODE_SILENT | GPU_MISSING | UNREADY, "node.hang", REBOOT, 0, 3},
	{NODE_SILENT | XID_79 | GPU_MISSING, "node.hang", REBOOT, 79, 3},
	{GPU_MISSING | PROCESS_GONE | DIGEST, "gpu.lost", REBOOT, 0, 3},
	/* an Xid explains a loss only when it takes such a thing down */
	{GPU_MISSING | XID_13, "gpu.lost", REBOOT, 13, 2},
	{GPU_MISSING | XID_92, "gpu.lost", REBOOT, 92, 2},
	{GPU_MISSING | XID_46, "gpu.lost", REBOOT, 46, 2},
	{XID_13 | PROCESS_GONE, "gpu.xid", "CHECK_USER_APP_AND_GPU", 13, 2},
	{XID_92 | PROCESS_GONE, "proc.kill", "RESTART_APP", 92, 2},
	{XID_46 | DIGEST, "data.bitflip", "RESTORE_DATA", 46, 2},
	{PROCESS_GONE | DIGEST, "proc.kill", "RESTART_APP", 0, 2},
	{UNREADY | CANARY, "data.bitflip", "RESTORE_DATA", 0, 2},
	{UNREADY | LINK_CUT | SLOW, "proc.kill", "RESTART_APP", 0, 3},
	{LINK_CUT | SLOW, "net.partition", "CHECK_NETWORK", 0, 2},
	{SLOW | XID_92, "net.delay", "CHECK_NETWORK", 92, 2},
};

START_TEST(rules)
{
	struct completion seen = broken(cases[_i].trouble);
	struct diagnosis diagnosis;

	diagnose(&seen, cases[_i].trouble & CANARY, &diagnosis);
	ck_assert_str_eq(diagnosis.cause, cases[_i].cause);
	ck_assert_str_eq(diagnosis.action, cases[_i].action);
	ck_assert_uint_eq(diagnosis.xid, cases[_i].xid);
	ck_assert_uint_eq(diagnosis.symptom_count, cases[_i].symptoms);
	for (size_t i = 0; i < diagnosis.symptom_count; i++)
		ck_assert_ptr_nonnull(diagnosis.symptoms[i]);
}
END_TEST

/* ---- what only looks closer than "is it up" show ---- */

enum finer {
	GPU_WRONG = 1,
	DISK_FAILS = 2,
	DISK_READONLY = 4,
	DISK_FULL = 8,
	CLOCK_OFF = 16,
	STANDS_STILL = 32,
	CONTENT_MISSING = 64,
	CONTENT_SEALED = 128,
	PORT_CLOSED = 256,
	LOST_AT_NODE = 512,
	LOST_AT_SITE = 1024,
	LOST_ON_LINK = 2048,
	GPU_SLOW = 4096,
	FAILS = 8192,
	TAKES_LONGER = 16384,
	MEMORY_LOW = 32768,
	MEMORY_ENOUGH = 65536,
	OOM_KILLED = 131072,
	CPU_TAKEN = 262144,
	THROTTLED = 524288,
};

static struct completion worse(unsigned trouble, unsigned finer)
{
	struct completion seen = broken(trouble);
	struct reading *node = &seen.worst, *site = &seen.site_reading;

	node->pace_ppm = finer & GPU_SLOW ? 333333 : EFFECT_PPM;
	node->ports = 1;
	node->ports_open = !(finer & PORT_CLOSED);
	node->gpus_wrong = (finer & GPU_WRONG) != 0;
	node->disks_failing = (finer & DISK_FAILS) != 0;
	node->disks_readonly = (finer & DISK_READONLY) != 0;
	node->disks_full = (finer & DISK_FULL) != 0;
	node->nodes_refused = (finer & CLOCK_OFF) != 0;
	node->processes_stopped = (finer & STANDS_STILL) != 0;
	node->loss_ppm = finer & LOST_AT_NODE ? 10000 : 0;
	node->errors_ppm = finer & FAILS ? 100000 : 0;
	node->service_added = finer & TAKES_LONGER ? NANOS_MS : 0;
	node->memory_left_ppm = finer & MEMORY_LOW      ? EFFECT_PPM / 10 - 1
				: finer & MEMORY_ENOUGH ? EFFECT_PPM / 10
							: EFFECT_PPM;
	node->processes_oom = (finer & OOM_KILLED) != 0;
	node->cpu_left_ppm = finer & CPU_TAKEN ? EFFECT_PPM - 1 : EFFECT_PPM;
	node->quota_ppm = finer & THROTTLED ? EFFECT_PPM - 1 : EFFECT_PPM;
	site->missing = (finer & CONTENT_MISSING) != 0;
	site->unreadable = (finer & CONTENT_SEALED) != 0;
	site->loss_ppm = finer & LOST_AT_SITE ? 10000 : 0;
	seen.link_reading.loss_ppm = finer & LOST_ON_LINK ? 10000 : 0;
	return seen;
}

static const struct {
	unsigned trouble, finer;
	const char *cause, *action;
	size_t symptoms;
} finer_cases[] = {
	{0, 0, "none found", "NONE", 0},
	/* each rule alone */
	{0, GPU_WRONG, "gpu.sdc", "HARDWARE_INSPECTION", 1},
	{0, DISK_FAILS, "disk.error", "HARDWARE_INSPECTION", 1},
	{0, DISK_READONLY, "disk.readonly", "HARDWARE_INSPECTION", 1},
	{0, DISK_FULL, "disk.fill", "FREE_SPACE", 1},
	{0, CLOCK_OFF, "clock.skew", "SET_CLOCK", 1},
	{0, STANDS_STILL, "proc.pause", "RESTART_APP", 1},
	{0, CONTENT_MISSING, "data.delete", "RESTORE_DATA", 1},
	{0, CONTENT_SEALED, "data.encrypt", "RESTORE_DATA", 1},
	{0, PORT_CLOSED, "net.blackhole", "CHECK_NETWORK", 1},
	{0, LOST_AT_NODE, "net.loss", "CHECK_NETWORK", 1},
	{0, LOST_AT_SITE, "net.loss", "CHECK_NETWORK", 1},
	{0, LOST_ON_LINK, "net.loss", "CHECK_NETWORK", 1},
	{0, GPU_SLOW, "gpu.straggler", "HARDWARE_INSPECTION", 1},
	{0, FAILS, "node.gray", "DRAIN_NODE", 1},
	{0, TAKES_LONGER, "node.gray", "DRAIN_NODE", 1},
	{0, MEMORY_LOW, "mem.fill", "FREE_MEMORY", 1},
	{0, MEMORY_ENOUGH, "none found", "NONE", 0},
	{0, OOM_KILLED, "proc.oom", "RAISE_MEMORY_LIMIT", 1},
	{0, CPU_TAKEN, "cpu.burn", "FREE_CPU", 1},
	{0, THROTTLED, "cgroup.squeeze", "RAISE_CPU_LIMIT", 1},
	/* which one goes first, of a kind and of several */
	{PROCESS_GONE, MEMORY_LOW | OOM_KILLED, "mem.fill", "FREE_MEMORY", 2},
	{PROCESS_GONE, OOM_KILLED, "proc.oom", "RAISE_MEMORY_LIMIT", 1},
	{UNREADY, MEMORY_ENOUGH | OOM_KILLED, "proc.oom", "RAISE_MEMORY_LIMIT", 1},
	{XID_79, OOM_KILLED, "gpu.xid", REBOOT, 2},
	{0, CPU_TAKEN | THROTTLED | FAILS, "cpu.burn", "FREE_CPU", 2},
	{0, GPU_SLOW | CPU_TAKEN, "gpu.straggler", "HARDWARE_INSPECTION", 2},
	{SLOW, THROTTLED, "cgroup.squeeze", "RAISE_CPU_LIMIT", 2},
	{0, DISK_FAILS | DISK_READONLY | DISK_FULL, "disk.error", "HARDWARE_INSPECTION", 1},
	{0, DISK_READONLY | DISK_FULL, "disk.readonly", "HARDWARE_INSPECTION", 1},
	{0, CONTENT_MISSING | CONTENT_SEALED, "data.delete", "RESTORE_DATA", 1},
	{DIGEST, CONTENT_SEALED, "data.encrypt", "RESTORE_DATA", 1},
	{LINK_CUT, PORT_CLOSED | LOST_ON_LINK, "net.partition", "CHECK_NETWORK", 1},
	{0, PORT_CLOSED | LOST_AT_NODE, "net.blackhole", "CHECK_NETWORK", 1},
	{0, GPU_SLOW | FAILS, "gpu.straggler", "HARDWARE_INSPECTION", 2},
	{SLOW, GPU_SLOW, "gpu.straggler", "HARDWARE_INSPECTION", 1},
	{SLOW, FAILS, "node.gray", "DRAIN_NODE", 2},
	{XID_92, FAILS, "node.gray", "DRAIN_NODE", 2},
	{PROCESS_GONE, STANDS_STILL, "proc.kill", "RESTART_APP", 1},
	{UNREADY, STANDS_STILL, "proc.pause", "RESTART_APP", 1},
	{UNREADY, CONTENT_MISSING, "data.delete", "RESTORE_DATA", 2},
	{PROCESS_GONE, CONTENT_MISSING, "proc.kill", "RESTART_APP", 2},
	{GPU_MISSING, GPU_WRONG | DISK_FULL, "gpu.lost", REBOOT, 2},
	{XID_13, GPU_WRONG, "gpu.sdc", "HARDWARE_INSPECTION", 2},
	{XID_79, DISK_FAILS | FAILS, "disk.error", "HARDWARE_INSPECTION", 3},
	{0, DISK_FULL | CLOCK_OFF, "disk.fill", "FREE_SPACE", 2},
	{PROCESS_GONE, CLOCK_OFF, "clock.skew", "SET_CLOCK", 2},
	{NODE_SILENT, CLOCK_OFF | PORT_CLOSED | FAILS, "node.hang", REBOOT, 4},
	{NODE_DARK, GPU_WRONG | LOST_AT_SITE, "psu.loss", "REPAIR_POWER", 3},
};

START_TEST(finer_rules)
{
	struct completion seen = worse(finer_cases[_i].trouble, finer_cases[_i].finer);
	struct diagnosis diagnosis;

	diagnose(&seen, false, &diagnosis);
	ck_assert_str_eq(diagnosis.cause, finer_cases[_i].cause);
	ck_assert_str_eq(diagnosis.action, finer_cases[_i].action);
	ck_assert_uint_eq(diagnosis.symptom_count, finer_cases[_i].symptoms);
}
END_TEST

/* Everything at once: a symptom of each kind, no more. */
START_TEST(everything_at_once)
{
	struct completion seen =
		broken(SITE_DARK | GPU_MISSING | XID_79 | PROCESS_GONE | DIGEST | LINK_CUT | SLOW);
	struct diagnosis diagnosis;

	seen.worst.nodes_reachable = 0;
	seen.worst.disks_full = seen.worst.nodes_refused = seen.worst.errors_ppm = 1;
	seen.worst.memory_left_ppm = seen.worst.cpu_left_ppm = 1;
	diagnose(&seen, true, &diagnosis);
	ck_assert_str_eq(diagnosis.cause, "zone.outage");
	ck_assert_uint_eq(diagnosis.symptom_count, SYMPTOMS_MAX);
}
END_TEST

/* A site of one node: whether it crashed or was cut off, its links tell. */
START_TEST(site_of_one_node)
{
	struct completion seen = healthy();
	struct diagnosis diagnosis;

	seen.site_reading = seen.worst;
	seen.site_reading.nodes_reachable = seen.site_reading.nodes_responding = 0;
	seen.worst = seen.site_reading;
	diagnose(&seen, false, &diagnosis);
	ck_assert_str_eq(diagnosis.cause, "node.crash");
	seen.link_reading.paths_open = 0;
	diagnose(&seen, false, &diagnosis);
	ck_assert_str_eq(diagnosis.cause, "net.partition");
}
END_TEST

/* A rack of one node is told from a node by the suspect; without a worst node the site counts. */
START_TEST(suspects)
{
	struct completion seen = broken(NODE_DARK);
	struct diagnosis diagnosis;

	seen.suspect.kind = ENTITY_RACK;
	diagnose(&seen, false, &diagnosis);
	ck_assert_str_eq(diagnosis.cause, "rack.power_loss");
	/* The worst node stands for several: the site has lost more than one. */
	seen = broken(NODE_DARK);
	seen.site_reading.nodes_powered = 2;
	diagnose(&seen, false, &diagnosis);
	ck_assert_str_eq(diagnosis.cause, "rack.power_loss");
	seen = healthy();
	seen.worst = (struct reading){0};
	seen.site_reading.gpus_visible = 31;
	seen.site_reading.xid = 119;
	diagnose(&seen, false, &diagnosis);
	ck_assert_str_eq(diagnosis.cause, "gpu.xid");
	ck_assert_uint_eq(diagnosis.xid, 119);
}
END_TEST

/* More than twice the normal round trip (and a millisecond) is far above it. */
START_TEST(normal_round_trip)
{
	struct completion seen = healthy();
	struct diagnosis diagnosis;

	seen.link_reading.round_trip = 49 * NANOS_MS;
	diagnose_normal(&seen, false, 24 * NANOS_MS, &diagnosis);
	ck_assert_str_eq(diagnosis.cause, "none found");
	seen.link_reading.round_trip++;
	diagnose_normal(&seen, false, 24 * NANOS_MS, &diagnosis);
	ck_assert_str_eq(diagnosis.cause, "net.delay");
	diagnose(&seen, false, &diagnosis);
	ck_assert_str_eq(diagnosis.cause, "none found");
	/* No round trip at all is not a slow one. */
	seen.link_reading.round_trip = NANOS_NEVER;
	diagnose_normal(&seen, false, 24 * NANOS_MS, &diagnosis);
	ck_assert_str_eq(diagnosis.cause, "none found");
}
END_TEST

static void add_cases(Suite *suite)
{
	test_add_loop(suite, "xid rows", xid_row, (int)ROWS);
	test_add(suite, "xid without a row", xid_without_row);
	test_add_loop(suite, "rules", rules, sizeof(cases) / sizeof(cases[0]));
	test_add_loop(suite, "finer rules", finer_rules,
		      sizeof(finer_cases) / sizeof(finer_cases[0]));
	test_add(suite, "everything at once", everything_at_once);
	test_add(suite, "site of one node", site_of_one_node);
	test_add(suite, "suspects", suspects);
	test_add(suite, "normal round trip", normal_round_trip);
}

TEST_MAIN("diagnosis", add_cases)
