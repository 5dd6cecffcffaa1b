/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every fault that the driver process can inject, one after another in a few drills: it takes, in
 * the figure that it is about, and all of it is taken back. Files of the model are watched from
 * outside meanwhile.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/driver.h"
#include "core/fault.h"
#include "tests/audit.h"
#include "tests/process_drills.h"
#include "tests/program.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define FAULTS_MAX 24
#define PATIENCE 150 /* seconds for two drills at a time */

struct expected {
	const char *fault, *observed; /* observed: how the text begins; "*": any figure */
};

struct drill {
	struct drill_plan plan;
	struct expected faults[FAULTS_MAX];
};

/* ---- processes and load ---- */

static const struct drill processes = {
	{"processes", "420s", "misses: 1000", NULL,
	 "  - {at: 10s, fault: gpu.lost, target: \"primary/node[0]/gpu[0]\", for: 20s}\n"
	 "  - {at: 80s, fault: proc.kill, target: \"endpoint/chat/replica[0]\", for: 5s}\n"
	 "  - {at: 140s, fault: proc.pause, target: endpoint/chat, for: 20s}\n"
	 "  - {at: 180s, fault: traffic.surge, target: endpoint/chat, multiplier: 3, for: 20s}\n"
	 "  - {at: 210s, fault: proc.slow_start, target: endpoint/chat, delay: 20s, for: 70s}\n"
	 "  - {at: 215s, fault: proc.kill, target: endpoint/chat, signal: SIGTERM, for: 5s}\n"
	 "  - {at: 300s, fault: proc.crash_loop, target: endpoint/chat, interval: 5s, for: 20s}\n"},
	{{"gpu.lost", "GPUs visible 1 -> 0"},
	 {"proc.kill", "processes 1 -> "},
	 {"proc.pause", "processes stopped: 0 -> 1"},
	 {"traffic.surge", "requests per second: 20 -> 60"},
	 {"proc.slow_start", "added to a start, ms: 0 -> 2000"},
	 {"proc.kill", "processes 1 -> "},
	 {"proc.crash_loop", "processes 1 -> "}},
};

/* ---- machines and sites ---- */

static const struct drill machines = {
	{"machines", "600s", "misses: 1000", NULL,
	 "  - {at: 10s, fault: node.crash, target: \"primary/node[0]\", for: 20s}\n"
	 "  - {at: 80s, fault: node.reboot, target: \"primary/node[0]\", takes: 20s, for: 40s}\n"
	 "  - {at: 160s, fault: node.hang, target: \"primary/node[0]\", for: 30s}\n"
	 "  - {at: 240s, fault: psu.loss, target: \"primary/node[1]\", for: 20s}\n"
	 "  - {at: 280s, fault: rack.power_loss, target: \"primary/rack[0]\", for: 20s}\n"
	 "  - {at: 360s, fault: zone.outage, target: primary, for: 30s}\n"
	 "  - {at: 450s, fault: region.outage, target: region/eu-1, for: 30s}\n"
	 "  - {at: 540s, fault: standby.unavailable, target: standby, for: 20s}\n"},
	{{"node.crash", "nodes reachable 1 -> 0, with power 1 -> 1"},
	 {"node.reboot", "nodes reachable 1 -> 0, with power 1 -> 1"},
	 {"node.hang", "nodes responding 1 -> 0, reachable 1 -> 1"},
	 {"psu.loss", "nodes with power 1 -> 0"},
	 {"rack.power_loss", "nodes with power 1 -> 0"},
	 {"zone.outage", "nodes with power 2 -> 0"},
	 {"region.outage", "nodes with power 2 -> 0"},
	 {"standby.unavailable", "standby usable yes -> no"}},
};

/* ---- CPU and memory ---- */

static const struct drill resources = {
	{"resources", "420s", "misses: 1000", NULL,
	 "  - {at: 10s, fault: cpu.burn, target: \"primary/node[0]\", for: 30s}\n"
	 "  - {at: 60s, fault: cpu.burn, target: \"primary/node[1]\", workers: 48, for: 30s}\n"
	 "  - {at: 110s, fault: cgroup.squeeze, target: \"endpoint/chat/replica[0]\", for: 40s}\n"
	 "  - {at: 180s, fault: proc.oom, target: \"endpoint/chat/replica[0]\", for: 5s}\n"
	 "  - {at: 240s, fault: mem.fill, target: \"primary/node[0]\", percent: 50%, for: 20s}\n"
	 "  - {at: 290s, fault: mem.fill, target: \"primary/node[0]\", percent: 97%, for: 30s}\n"},
	{{"cpu.burn", "CPU left, ppm: 1000000 -> "},
	 {"cpu.burn", "CPU left, ppm: 1000000 -> "},
	 {"cgroup.squeeze", "CPU by its quota, ppm: 1000000 -> 250000"},
	 {"proc.oom", "processes that the OOM killer ended: 0 -> 1"},
	 {"mem.fill", "memory left, ppm: 1000000 -> "},
	 {"mem.fill", "memory left, ppm: 1000000 -> "}},
};

/* ---- data ---- */

#define ON_MODEL 5 /* the first of them */

static const struct drill data = {
	{"data", "480s", "misses: 1000", NULL,
	 "  - {at: 30s, fault: data.bitflip, target: data/model, count: 3, for: 10s}\n"
	 "  - {at: 50s, fault: data.truncate, target: data/model, for: 10s}\n"
	 "  - {at: 70s, fault: data.zero, target: data/model, count: 3, for: 10s}\n"
	 "  - {at: 90s, fault: data.misdirect, target: data/model, for: 10s}\n"
	 "  - {at: 110s, fault: data.delete, target: data/model, for: 10s}\n"
	 "  - {at: 130s, fault: data.bitflip, target: data/training, count: 3, for: 10s}\n"
	 "  - {at: 150s, fault: data.truncate, target: data/training, for: 10s}\n"
	 "  - {at: 170s, fault: data.stale, target: data/training, age: 60s, for: 10s}\n"
	 "  - {at: 190s, fault: data.zero, target: data/training, for: 10s}\n"
	 "  - {at: 210s, fault: data.misdirect, target: data/training, for: 10s}\n"
	 "  - {at: 230s, fault: data.delete, target: data/training, for: 10s}\n"
	 "  - {at: 250s, fault: data.bitflip, target: data/io, for: 10s}\n"
	 "  - {at: 270s, fault: data.truncate, target: data/io, for: 10s}\n"
	 "  - {at: 290s, fault: data.stale, target: data/io, age: 60s, for: 10s}\n"
	 "  - {at: 310s, fault: data.zero, target: data/io, for: 10s}\n"
	 "  - {at: 330s, fault: data.misdirect, target: data/io, for: 10s}\n"
	 "  - {at: 350s, fault: data.delete, target: data/io, for: 10s}\n"
	 "  - {at: 370s, fault: disk.fill, target: \"primary/node[0]\", for: 10s}\n"
	 "  - {at: 410s, fault: disk.fill, target: \"primary/node[0]\", percent: 50%, for: 10s}\n"
	 "  - {at: 430s, fault: disk.fill, target: store, for: 10s}\n"},
	{{"data.bitflip", "digest mismatches 0 -> 1"},
	 {"data.truncate", "bytes there 1000000 -> 500000"},
	 {"data.zero", "digest mismatches 0 -> 1"},
	 {"data.misdirect", "digest mismatches 0 -> 1"},
	 {"data.delete", "bytes there 1000000 -> 0"},
	 {"data.bitflip", "digest mismatches 0 -> "},
	 {"data.truncate", "bytes there "},
	 {"data.stale", "older than its label, ms: 0 -> "},
	 {"data.zero", "digest mismatches 0 -> 1"},
	 {"data.misdirect", "digest mismatches 0 -> 1"},
	 {"data.delete", "bytes there "},
	 {"data.bitflip", "digest mismatches 0 -> 1"},
	 {"data.truncate", "bytes there "},
	 {"data.stale", "older than its label, ms: 0 -> "},
	 {"data.zero", "digest mismatches 0 -> 1"},
	 {"data.misdirect", "digest mismatches 0 -> 1"},
	 {"data.delete", "bytes there "},
	 {"disk.fill", "disks without space: 0 -> 1"},
	 {"disk.fill", "space left, ppm: "},
	 {"disk.fill", "disks without space: 0 -> 1"}},
};

/* ---- backups, and a recovery that meets what was mended and what was not ---- */

static const struct drill backups = {
	{"backups", "480s", "misses: 2", NULL,
	 "  - {at: 75s, fault: backup.corrupt, target: \"backup[-1]\", for: 20s}\n"
	 "  - {at: 105s, fault: backup.missing, target: \"backup[-1]\", for: 20s}\n"
	 "  - {at: 135s, fault: backup.stale, target: \"backup[-1]\", age: 50s, for: 20s}\n"
	 "  - {at: 161s, fault: backup.job_fail, target: store, for: 20s}\n"
	 "  - {at: 225s, fault: backup.corrupt, target: \"backup[-1]\"}\n"
	 "  - {at: 230s, fault: zone.outage, target: primary, for: 60s}\n"
	 "  - {after: {phase: restore, progress: 50%}, fault: restore.interrupt, target: store}\n"},
	{{"backup.corrupt", "digest mismatches 0 -> 3"},
	 {"backup.missing", "copies in the store: 3 -> 0"},
	 {"backup.stale", "older than its label, ms: 0 -> 6"},
	 {"backup.job_fail", "failing backup jobs: 0 -> 1"},
	 {"backup.corrupt", "digest mismatches 0 -> 3"},
	 {"zone.outage", "nodes with power 2 -> 0"},
	 {"restore.interrupt", "restores that broke off: 0 -> 1"}},
};

/* ---- the network ---- */

static const struct drill network = {
	{"network", "940s", "misses: 1000", NULL,
	 "  - {at: 10s, fault: net.partition, target: \"primary/node[0]\", for: 15s}\n"
	 "  - {at: 55s, fault: net.partition, target: \"primary\", for: 15s}\n"
	 "  - {at: 100s, fault: net.partition, target: \"link[primary-backup]\", for: 15s}\n"
	 "  - {at: 145s, fault: net.partition, target: \"primary/node[*]\", shape: halves, select: "
	 "all, for: 15s}\n"
	 "  - {at: 190s, fault: net.interface_down, target: \"primary/node[0]\", for: 15s}\n"
	 "  - {at: 235s, fault: net.blackhole, target: \"primary/node[0]\", for: 15s}\n"
	 "  - {at: 280s, fault: net.delay, target: \"primary/node[0]\", latency: 200ms, for: 15s}\n"
	 "  - {at: 325s, fault: net.delay, target: \"primary\", latency: 100ms, jitter: 10ms, for: "
	 "15s}\n"
	 "  - {at: 370s, fault: net.loss, target: \"primary/node[0]\", percent: 10%, for: 15s}\n"
	 "  - {at: 415s, fault: net.loss, target: \"link[primary-backup]\", percent: 5%, for: "
	 "15s}\n"
	 "  - {at: 460s, fault: net.rate, target: \"primary/node[0]\", rate: 1MB/s, for: 15s}\n"
	 "  - {at: 505s, fault: net.duplicate, target: \"primary/node[0]\", percent: 5%, for: "
	 "15s}\n"
	 "  - {at: 550s, fault: net.corrupt, target: \"primary/node[0]\", percent: 5%, for: 15s}\n"
	 "  - {at: 595s, fault: net.reorder, target: \"primary/node[0]\", percent: 20%, for: 15s}\n"
	 "  - {at: 640s, fault: net.mtu, target: \"primary/node[0]\", bytes: 1280, for: 15s}\n"
	 "  - {at: 685s, fault: net.flap, target: \"primary/node[0]\", down: 2s, up: 2s, for: "
	 "15s}\n"
	 "  - {at: 730s, fault: net.reset_peer, target: \"primary/node[0]\", for: 15s}\n"
	 "  - {at: 775s, fault: nic.fail, target: \"primary/node[0]\", for: 15s}\n"
	 "  - {at: 820s, fault: nic.fail, target: \"primary/node[0]\", rate: 1MB/s, for: 15s}\n"
	 "  - {at: 865s, fault: ib.flap, target: \"primary/node[0]\", down: 2s, up: 2s, for: "
	 "15s}\n"},
	{{"net.partition", "network paths open 9 -> 0"},
	 {"net.partition", "network paths open 4 -> 0"},
	 {"net.partition", "network paths open 1 -> 0"},
	 {"net.partition", "2 of 2 effects seen; network paths open 9 -> 8"},
	 {"net.interface_down", "network paths open 9 -> 0"},
	 {"net.blackhole", "service ports open: 1 -> 0"},
	 {"net.delay", "round trip "},
	 {"net.delay", "round trip "},
	 {"net.loss", "packets lost, ppm: 0 -> "},
	 {"net.loss", "packets lost, ppm: 0 -> "},
	 {"net.rate", "bandwidth, bytes/s: "},
	 {"net.duplicate", "packets that come twice, ppm: 0 -> "},
	 {"net.corrupt", "packets damaged, ppm: 0 -> "},
	 {"net.reorder", "packets out of order, ppm: 0 -> "},
	 {"net.mtu", "largest packet that passes, bytes 1500 -> 1280"},
	 {"net.flap", "network paths open 9 -> 0"},
	 {"net.reset_peer", "connections reset: 0 -> "},
	 {"nic.fail", "network paths open 9 -> 0"},
	 {"nic.fail", "bandwidth, bytes/s: "},
	 {"ib.flap", "network paths open 9 -> 0"}},
};

/* ---- disks ---- */

static const struct drill disks = {
	{"disks", "700s", "misses: 1000", NULL,
	 "  - {at: 10s, fault: disk.error, target: \"primary/node[0]\", for: 20s}\n"
	 "  - {at: 70s, fault: disk.readonly, target: \"primary/node[0]\", for: 20s}\n"
	 "  - {at: 130s, fault: disk.throttle, target: \"primary/node[0]\", rate: 1MB/s, for: "
	 "20s}\n"
	 "  - {at: 190s, fault: disk.hang, target: \"primary/node[0]\", for: 20s}\n"
	 "  - {at: 250s, fault: nvme.timeout, target: \"primary/node[0]\", timeout: 10s, for: "
	 "20s}\n"
	 "  - {at: 310s, fault: disk.badblocks, target: \"primary/node[0]\", share: 10%, for: "
	 "20s}\n"
	 "  - {at: 370s, fault: io.errno, target: \"primary/node[0]\", methods: write, error: "
	 "ENOSPC, for: 20s}\n"
	 "  - {at: 430s, fault: io.latency, target: \"primary/node[0]\", time: 500ms, for: 20s}\n"
	 "  - {at: 490s, fault: disk.inode_fill, target: \"primary/node[0]\", for: 20s}\n"
	 "  - {at: 550s, fault: fs.lost_fsync, target: \"primary/node[0]\", for: 20s}\n"
	 "  - {at: 610s, fault: fs.torn_op, target: \"primary/node[0]\", for: 20s}\n"},
	{{"disk.error", "disks that fail: 0 -> 1"},
	 {"disk.readonly", "read-only disks: 0 -> 1"},
	 {"disk.throttle", "disk throughput, bytes/s: "},
	 {"disk.hang", "disks that hang: 0 -> 1"},
	 {"nvme.timeout", "disks that hang: 0 -> 1"},
	 {"disk.badblocks", "blocks that cannot be read, ppm: 0 -> "},
	 {"io.errno", "operations on files that fail, ppm: 0 -> "},
	 {"io.latency", "added to an operation on a file, ms: 0 -> "},
	 {"disk.inode_fill", "inodes left, ppm: "},
	 {"fs.lost_fsync", "disks that forget in a crash: 0 -> 1"},
	 {"fs.torn_op", "writes torn: 0 -> 1"}},
};

/* ---- system calls and GPUs ---- */

static const struct drill calls = {
	{"calls", "665s", "misses: 1000", NULL,
	 "  - {at: 10s, fault: sys.error, target: \"endpoint/chat/replica[0]\", calls: fdatasync, "
	 "error: EIO, when: \"1..3\", for: 25s}\n"
	 "  - {at: 65s, fault: sys.delay, target: \"endpoint/chat/replica[0]\", calls: fdatasync, "
	 "time: 500ms, for: 25s}\n"
	 "  - {at: 120s, fault: sys.retval, target: \"primary/node[0]\", calls: fdatasync, value: "
	 "0, for: 25s}\n"
	 "  - {at: 175s, fault: gpu.hang, target: \"primary/node[0]/gpu[0]\", for: 25s}\n"
	 "  - {at: 230s, fault: gpu.xid, target: \"primary/node[0]/gpu[0]\", code: 79, for: 25s}\n"
	 "  - {at: 285s, fault: gpu.straggler, target: \"primary/node[0]/gpu[0]\", slowdown: 4, "
	 "for: 25s}\n"
	 "  - {at: 340s, fault: gpu.sdc, target: \"primary/node[0]/gpu[0]\", for: 25s}\n"
	 "  - {at: 395s, fault: gpu.fallen_off_bus, target: \"primary/node[0]/gpu[1]\", for: 25s}\n"
	 "  - {at: 450s, fault: gpu.thermal, target: \"primary/node[0]/gpu[0]\", for: 25s}\n"
	 "  - {at: 505s, fault: gpu.ecc, target: \"primary/node[0]/gpu[0]\", for: 25s}\n"
	 "  - {at: 560s, fault: clock.skew, target: \"primary/node[0]\", offset: 100s, "
	 "for: 25s}\n"
	 "  - {at: 615s, fault: gpu.nvlink_down, target: \"primary/node[0]/gpu[0]\", traffic: 50%, "
	 "for: 25s}\n"},
	{{"sys.error", "system calls that were hit: 0 -> "},
	 {"sys.delay", "system calls that were hit: "},
	 {"sys.retval", "system calls that were hit: 0 -> "},
	 {"gpu.hang", "GPUs that hang: 0 -> 1"},
	 {"gpu.xid", "Xid lines 0 -> 1, the latest: 79"},
	 {"gpu.straggler", "pace of the slowest GPU, ppm: 1000000 -> 250000"},
	 {"gpu.sdc", "GPUs that fail their self-test: 0 -> 1"},
	 {"gpu.fallen_off_bus", "Xid lines 1 -> 2, the latest: 79"},
	 {"gpu.thermal", "pace of the slowest GPU, ppm: 1000000 -> 500000"},
	 {"gpu.ecc", "Xid lines 2 -> 3, the latest: 48"},
	 {"clock.skew", "clock offset"},
	 {"gpu.nvlink_down", "pace of the slowest GPU, ppm: 1000000 -> "}},
};

/* ---- what a record must say ---- */

static void check_faults(const struct drill *drill, const cJSON *record)
{
	const cJSON *fault;
	unsigned applied = 0;
	size_t i = 0;

	cJSON_ArrayForEach (fault, audit_field(record, "faults")) {
		const struct expected *expected = &drill->faults[i++];
		const char *observed = audit_word(fault, "observed");

		printf("%-20s %-26s %s; by %s\n", audit_word(fault, "name"),
		       audit_word(fault, "target"), observed, audit_word(fault, "mechanism"));
		ck_assert_msg(!strstr(audit_word(fault, "mechanism"), ", or in a link"),
			      "%s: no mechanism is named", expected->fault);
		ck_assert_ptr_nonnull(expected->fault);
		ck_assert_str_eq(audit_word(fault, "name"), expected->fault);
		ck_assert_msg(strncmp(observed, expected->observed, strlen(expected->observed)) ==
				      0,
			      "%s: '%s', not '%s…'", expected->fault, observed, expected->observed);
		ck_assert_msg(cJSON_IsTrue(audit_field(fault, "effective")), "%s: no effect: %s",
			      expected->fault, observed);
		ck_assert_msg(cJSON_IsTrue(audit_field(fault, "reverted")), "%s stays",
			      expected->fault);
		ck_assert_int_eq(cJSON_GetArraySize(audit_field(fault, "residue")), 0);
		applied += cJSON_IsTrue(audit_field(fault, "applied")) != 0;
	}
	ck_assert_ptr_null(drill->faults[i].fault);
	ck_assert_uint_eq(applied, i);
	printf("%s: %zu faults applied, effective, reverted; nothing is left of them\n",
	       drill->plan.name, i);
}

/* Nothing stays broken, and what was acknowledged is there to the last record. */
static void check_after(const cJSON *record, bool losses)
{
	static const char *const none[] = {"stale", "altered", "acknowledged_twice", "foreign"};
	const cJSON *ledger = audit_field(record, "ledger"), *incident;

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		ck_assert_msg(audit_number(ledger, none[i]) == 0, "%s: %d", none[i],
			      (int)audit_number(ledger, none[i]));
	if (!losses)
		ck_assert_int_eq(audit_number(ledger, "lost"), 0);
	cJSON_ArrayForEach (incident, audit_field(record, "incidents"))
		ck_assert_str_ne(audit_word(incident, "path"), "unrecovered");
}

/* What a drill saw that did not end well. */
static void tell(const struct drill *drill)
{
	cJSON *record = drill_record(drill->plan.name);
	const cJSON *fault;

	printf("%s: %s\n", drill->plan.name, audit_word(record, "reason"));
	cJSON_ArrayForEach (fault, audit_field(record, "faults"))
		printf("%-20s effective %d, reverted %d: %s\n", audit_word(fault, "name"),
		       cJSON_IsTrue(audit_field(fault, "effective")),
		       cJSON_IsTrue(audit_field(fault, "reverted")), audit_word(fault, "observed"));
	fflush(stdout);
	cJSON_Delete(record);
}

static void end_drill(const struct drill *drill, pid_t pid)
{
	int code = drill_wait(pid, PATIENCE);
	char path[256];

	snprintf(path, sizeof(path), "%s/record.json", drill->plan.name);
	if (code != 0 && access(path, F_OK) == 0)
		tell(drill);
	snprintf(path, sizeof(path), "%s.log", drill->plan.name);
	ck_assert_msg(code == 0, "%s: exit %d: %s", drill->plan.name, code, workplace_read(path));
}

static void check_drill(const struct drill *drill, bool losses)
{
	cJSON *record = drill_record(drill->plan.name);

	check_faults(drill, record);
	check_after(record, losses);
	cJSON_Delete(record);
}

static pid_t begin_drill(const struct drill *drill)
{
	/* Restores that take half a second and more, so that there is one to break off. */
	const char *const words[] = {"--set", "deployment.store.read=40kB/s", NULL};

	drill_write(&drill->plan);
	return drill_start(drill->plan.name, drill->plan.name, words);
}

/* ---- a file watched from outside ---- */

struct seen {
	bool there;
	mode_t mode;
	off_t size;
	struct timespec changed;
	uint64_t content; /* FNV-1a */
};

static void look(const char *path, struct seen *ret)
{
	struct stat status;
	FILE *file = fopen(path, "re");
	uint64_t hash = 0xcbf29ce484222325u;
	int byte;

	*ret = (struct seen){.there = file && fstat(fileno(file), &status) == 0};
	if (!file || !ret->there) {
		if (file)
			fclose(file);
		return;
	}
	while ((byte = fgetc(file)) != EOF)
		hash = (hash ^ (uint64_t)byte) * 0x100000001b3u;
	fclose(file);
	ret->mode = status.st_mode;
	ret->size = status.st_size;
	ret->changed = status.st_mtim;
	ret->content = hash;
}

static bool same(const struct seen *a, const struct seen *b)
{
	return a->there == b->there && a->mode == b->mode && a->size == b->size &&
	       a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec &&
	       a->content == b->content;
}

/* The weights at the primary, in the work folder of this drill; false: not yet. */
static bool weights_of(pid_t pid, char *path, size_t room)
{
	char folder[PATH_MAX];
	struct stat status;

	if (!drill_folder(pid, folder, sizeof(folder)))
		return false;
	snprintf(path, room, "%s/sites/primary/data/model/chat.weights", folder);
	return stat(path, &status) == 0 && status.st_size == 1000000;
}

/* How often the file went away from what it was and came back to exactly that, until `times` or the
 * time is over. */
static unsigned watch(pid_t pid, unsigned times, int seconds)
{
	char path[PATH_MAX + 64];
	struct seen first, now;
	unsigned back = 0;
	bool away = false;

	for (int i = 0; i < 400 && !weights_of(pid, path, sizeof(path)); i++)
		program_pause(50);
	program_pause(1000); /* all of it is written */
	look(path, &first);
	ck_assert(first.there);
	for (int i = 0; i < 50 * seconds && back < times; i++) {
		look(path, &now);
		bool differs = !same(&first, &now);
		back += away && !differs;
		away = differs;
		program_pause(20);
	}
	return back;
}

/* ---- tests ---- */

START_TEST(processes_and_machines)
{
	workplace_enter("real-faults");
	pid_t first = begin_drill(&processes), second = begin_drill(&machines);

	end_drill(&processes, first);
	end_drill(&machines, second);
	ck_assert_str_eq(drill_left_after(first, 1), "");
	ck_assert_str_eq(drill_left_after(second, 1), "");
	check_drill(&processes, false);
	check_drill(&machines, false);
	workplace_leave();
}
END_TEST

START_TEST(data_and_backups)
{
	workplace_enter("real-faults");
	pid_t first = begin_drill(&data), second = begin_drill(&backups);
	unsigned back = watch(first, ON_MODEL, 40);

	printf("the model's file came back %u times as it was\n", back);
	ck_assert_uint_eq(back, ON_MODEL);
	end_drill(&data, first);
	end_drill(&backups, second);
	ck_assert_str_eq(drill_left_after(first, 1), "");
	ck_assert_str_eq(drill_left_after(second, 1), "");
	check_drill(&data, false);
	check_drill(&backups, true);
	workplace_leave();
}
END_TEST

/* What needs rights that are missing here is not silently passed: it says so and counts apart. */
static bool has_namespaces(void)
{
	if (geteuid() == 0)
		return true;
	printf("skipped: faults of the network, of disks and of calls: not root\n");
	return false;
}

START_TEST(network_faults)
{
	if (!has_namespaces())
		return;
	workplace_enter("real-faults");
	pid_t only = begin_drill(&network);

	end_drill(&network, only);
	ck_assert_str_eq(drill_left_after(only, 1), "");
	check_drill(&network, false);
	workplace_leave();
}
END_TEST

START_TEST(disks_and_calls)
{
	if (!has_namespaces())
		return;
	workplace_enter("real-faults");
	pid_t first = begin_drill(&disks), second = begin_drill(&calls);

	end_drill(&disks, first);
	end_drill(&calls, second);
	ck_assert_str_eq(drill_left_after(first, 1), "");
	ck_assert_str_eq(drill_left_after(second, 1), "");
	check_drill(&disks, true);
	check_drill(&calls, false);
	workplace_leave();
}
END_TEST

START_TEST(cpu_and_memory)
{
	workplace_enter("real-faults");
	pid_t drill = begin_drill(&resources);

	end_drill(&resources, drill);
	ck_assert_str_eq(drill_left_after(drill, 1), "");
	check_drill(&resources, false);
	workplace_leave();
}
END_TEST

/* ---- the catalogue ---- */

static const struct drill *const drills[] = {&processes, &machines, &resources, &data,
					     &backups,   &network,  &disks,     &calls};

/* Faults of training jobs and of a restore under way need a drill of another kind. */
static const struct {
	const char *fault, *program;
} elsewhere[] = {
	{"ckpt.corrupt", "real_jobs"},
	{"fs.torn_seq", "real_jobs"}, /* only a checkpoint is written in several pieces */
	{"ckpt.missing_shard", "real_jobs"},
	{"ckpt.torn_save", "real_jobs"},
	{"restore.interrupt", "real_drill"},
};

/* Where a fault is injected for real; NULL: nowhere. */
static const char *drill_of(const char *fault)
{
	for (size_t i = 0; i < sizeof(drills) / sizeof(drills[0]); i++)
		for (size_t k = 0; k < FAULTS_MAX && drills[i]->faults[k].fault; k++)
			if (strcmp(drills[i]->faults[k].fault, fault) == 0)
				return drills[i]->plan.name;
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++)
		if (strcmp(elsewhere[i].fault, fault) == 0)
			return elsewhere[i].program;
	return NULL;
}

/* No fault that the driver can inject is left out, and what it cannot is told apart. */
START_TEST(catalogue)
{
	const struct driver_ops *driver = driver_find("process");
	unsigned covered = 0, missing = 0, unable = 0;

	for (size_t i = 0; fault_table[i]; i++) {
		const struct fault_ops *fault = fault_table[i];
		const char *where = drill_of(fault->name);

		if ((fault->needs & ~driver->effects) != 0) {
			printf("%-30s skipped: the driver process has no such effect\n",
			       fault->name);
			unable++;
			ck_assert_ptr_null(where);
			continue;
		}
		printf("%-30s %s\n", fault->name, where ? where : "NOWHERE");
		covered += where != NULL;
		missing += where == NULL;
	}
	printf("catalogue: %u faults injected for real, %u skipped, %u in no drill\n", covered,
	       unable, missing);
	fflush(stdout); /* a failed check does not */
	ck_assert_uint_eq(missing, 0);
}
END_TEST

static void add_slow(Suite *suite, const char *name, const TTest *test)
{
	TCase *tcase = tcase_create(name);

	tcase_add_test(tcase, test);
	tcase_set_timeout(tcase, 2.0 * PATIENCE);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	test_add(suite, "catalogue", catalogue);
	add_slow(suite, "processes_and_machines", processes_and_machines);
	add_slow(suite, "cpu_and_memory", cpu_and_memory);
	add_slow(suite, "data_and_backups", data_and_backups);
	add_slow(suite, "network_faults", network_faults);
	add_slow(suite, "disks_and_calls", disks_and_calls);
}

TEST_MAIN("real_faults", add_cases)
