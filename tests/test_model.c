/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the simulated deployment does, number by number: one small scenario, changed a little in
 * each row, and what its record must say by hand arithmetic. The scenario: a replica on node 0 of
 * 4, a backup every 10 min that takes no time, 12 ms to the standby, 10 s to detect, 20 s to
 * switch.
 */
/* valgrind: skip */
#include <cjson/cJSON.h>
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/test.h"
#include "tests/workplace.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define SETS_MAX 6
#define ARGS_MAX (2 * SETS_MAX + 10)
#define EXACT 1e-9

extern char **environ;

static const char scenario[] =
	"# A node dies. The warm standby takes over.\n"
	"apiVersion: drsim/v1\n"
	"name: model\n"
	"seed: 1\n"
	"duration: 2h\n"
	"deployment:\n"
	"  sites:\n"
	"    - {name: primary, nodes: 4, shape: gpu.8xh100-sxm}\n"
	"    - {name: backup, nodes: 4, shape: gpu.8xh100-sxm, standby: {heat: warm}}\n"
	"  links: [{between: [primary, backup], rate: 100Gbit/s, latency: 12ms}]\n"
	"  endpoints:\n"
	"    - name: chat\n"
	"      site: primary\n"
	"      replicas: 1\n"
	"      gpus_per_replica: 8\n"
	"      model: {bytes: 140GB, start: 45s}\n"
	"      load: {rate: 120/s, service_time: 250ms, requests: never}\n"
	"  data:\n"
	"    model: {bytes: 140GB, change: 0B/s}\n"
	"    io: {bytes: 20GB, change: 1MB/s, records: 120/s}\n"
	"  store: {site: backup, read: 8GB/s, write: 4GB/s}\n"
	"backup: {every: 10m, takes: 0s, classes: [model, io], verify: false}\n"
	"detector: {kind: fixed, delay: 10s}\n"
	"recovery: {switch: 20s, repair: {time: 20m}}\n"
	"steps: [{at: 34m, fault: node.crash, target: \"primary/node[0]\"}]\n";

/* ---- one run ---- */

static void setup(void)
{
	FILE *file;

	workplace_enter("model");
	file = fopen("model.yaml", "we");
	ck_assert_ptr_nonnull(file);
	fputs(scenario, file);
	ck_assert_int_eq(fclose(file), 0);
}

/* Runs the scenario with the changes; its record, for cJSON_Delete(). */
static cJSON *run(const char *const sets[SETS_MAX])
{
	static const char *const fixed[] = {"run", "model.yaml", "--out",
					    "run", "--no-plots", "--quiet"};
	char *args[ARGS_MAX] = {workplace_program};
	posix_spawn_file_actions_t actions;
	size_t count = 1;
	int status;
	pid_t pid;

	for (int i = 0; i < COUNT(fixed); i++)
		args[count++] = strdup(fixed[i]);
	for (int i = 0; i < SETS_MAX && sets[i]; i++) {
		args[count++] = strdup("--set");
		args[count++] = strdup(sets[i]);
	}
	workplace_remove("run");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, ".out", O_WRONLY | O_CREAT | O_TRUNC, 0666);
	ck_assert_int_eq(posix_spawn(&pid, workplace_program, &actions, NULL, args, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	while (count > 1)
		free(args[--count]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) <= 1, "drsim ended with %d", status);
	char *text = workplace_read("run/record.json");
	cJSON *record = cJSON_Parse(text);
	ck_assert_ptr_nonnull(record);
	free(text);
	return record;
}

/* "incidents[0].brp.seconds" of a record. */
static const cJSON *find(const cJSON *record, const char *path)
{
	char *words = strdup(path), *rest = words, *word;
	const cJSON *item = record;

	while ((word = strsep(&rest, ".[")) != NULL && item) {
		char *end = strchr(word, ']');
		item = end ? cJSON_GetArrayItem(item, atoi(word))
			   : cJSON_GetObjectItemCaseSensitive(item, word);
	}
	ck_assert_msg(item != NULL, "the record has no %s", path);
	free(words);
	return item;
}

/* ---- rows ---- */

struct row {
	const char *what;
	const char *sets[SETS_MAX];
	const char *path; /* in the record */
	double number;
	const char *text; /* instead of a number; "null" too */
};

static void check_row(const struct row *row)
{
	cJSON *record = run(row->sets);
	const cJSON *item = find(record, row->path);

	if (row->text && strcmp(row->text, "null") == 0)
		ck_assert_msg(cJSON_IsNull(item), "%s: %s is %s", row->what, row->path,
			      cJSON_PrintUnformatted(item));
	else if (row->text)
		ck_assert_msg(cJSON_IsString(item) && !strcmp(item->valuestring, row->text),
			      "%s: %s is %s, not %s", row->what, row->path,
			      cJSON_PrintUnformatted(item), row->text);
	else
		ck_assert_msg(cJSON_IsNumber(item) && fabs(item->valuedouble - row->number) <=
							      EXACT * fmax(fabs(row->number), 1),
			      "%s: %s is %s, not %.12g", row->what, row->path,
			      cJSON_PrintUnformatted(item), row->number);
	cJSON_Delete(record);
}

#define OBSERVED "faults[0].observed"
#define BRP "metrics.brp.seconds"
#define SECOND_BRP "incidents[1].brp.seconds"
#define DATA "metrics.data_recovery_s"
#define HOT "deployment.sites[1].standby={heat: hot, replicas: 1, replication_lag: 5s}"
#define SYNCHRONOUS "deployment.sites[1].standby={heat: hot, replicas: 1, replication_lag: 0s}"
#define NO_LATENCY "deployment.links[0].latency=0s"
#define STORE_AWAY "deployment.store.site=primary" /* its other nodes outlive the crash */
#define SLOW(target)                                                                               \
	"steps=[{at: 20m, fault: net.delay, latency: 100ms, for: 5m, target: \"" target "\"}]"
#define SLOW_LINK                                                                                  \
	"steps=[{at: 33m, fault: net.delay, latency: 100ms, target: \"link[primary-backup]\", "    \
	"for: 5m}, {at: 34m, fault: node.crash, target: \"primary/node[0]\"}]"
#define LIMIT(latency) "steady_state.latency=" latency, "detector.delay=1h"
#define LATE "detector.delay=100s"
#define PATIENT "detector={kind: probe, interval: 10s, timeout: 1s, misses: 20}"
#define NEVER_MOVED "deployment.platform={reschedule: never}"
#define PROBE(scope, timeout)                                                                      \
	"detector={kind: probe, scope: " scope ", interval: 10s, misses: 3, timeout: " timeout "}"

/* 100 ms one way are 200 ms there and back: of 1 ms to a site or a node, 24 ms over the link; of
 * the 250 ms that a request takes; of the 1 ms that a probe takes. */
static const struct row round_trips[] = {
	{"site", {SLOW("primary")}, OBSERVED, 0, "round trip 1 ms -> 201 ms"},
	{"node", {SLOW("primary/node[0]")}, OBSERVED, 0, "round trip 1 ms -> 201 ms"},
	{"link", {SLOW("link[primary-backup]")}, OBSERVED, 0, "round trip 24 ms -> 224 ms"},
	{"in the limit", {SLOW("primary"), LIMIT("450ms")}, "metrics.bad_s", 0, NULL},
	{"over the limit", {SLOW("primary"), LIMIT("449ms")}, "metrics.bad_s", 300, NULL},
	{"node, in it", {SLOW("primary/node[0]"), LIMIT("450ms")}, "metrics.bad_s", 0, NULL},
	{"node, over it", {SLOW("primary/node[0]"), LIMIT("449ms")}, "metrics.bad_s", 300, NULL},
	{"a probe in time",
	 {SLOW("primary/node[0]"), PROBE("replica", "201ms")},
	 "metrics.detection_s",
	 0,
	 "null"},
	{"a probe too late", /* 3 misses of a look every 10 s, the first one at once */
	 {SLOW("primary/node[0]"), PROBE("replica", "200ms")},
	 "metrics.detection_s",
	 20.2,
	 NULL},
	{"a probe of the endpoint",
	 {SLOW("primary/node[0]"), PROBE("endpoint", "200ms")},
	 "metrics.detection_s",
	 20.2,
	 NULL},
};

/* The standby's copy is as old as the lag and a packet's way: 5 s + 12 ms. 20 GB at 8 GB/s take
 * 2.5 s, over the link one way more. Mathis at 0.01 % loss: 1460 B / 24 ms x sqrt(1.5 / 1e-4). */
static const struct row links[] = {
	{"replica, no latency", {HOT, NO_LATENCY}, BRP, 5, NULL},
	{"replica", {HOT}, BRP, 5.012, NULL},
	{"replica, synchronous", {SYNCHRONOUS}, BRP, 0, NULL},
	{"replica, slow link", {HOT, SLOW_LINK, LATE}, BRP, 5.112, NULL},
	{"replica, slow primary",
	 {HOT,
	  "steps=[{at: 33m, fault: net.delay, latency: 100ms, target: primary, for: 5m}, "
	  "{at: 34m, fault: node.crash, target: \"primary/node[0]\"}]",
	  LATE},
	 "incidents[0].t_bp_ns",
	 2040e9 - 5.112e9,
	 NULL},
	{"what has arrived stays", /* what is sent later takes an hour: 33 min - 5.012 s */
	 {HOT,
	  "steps=[{at: 33m, fault: net.delay, latency: 1h, target: \"link[primary-backup]\", "
	  "for: 5m}, {at: 34m, fault: node.crash, target: \"primary/node[0]\"}]",
	  LATE},
	 BRP,
	 65.012,
	 NULL},
	{"restore beside the store", {NULL}, DATA, 2.5, NULL},
	{"restore, no latency", {STORE_AWAY, NO_LATENCY}, DATA, 2.5, NULL},
	{"restore", {STORE_AWAY}, DATA, 2.512, NULL},
	{"restore, slow link", {STORE_AWAY, SLOW_LINK, LATE}, DATA, 2.612, NULL},
	{"restore, lossy link",
	 {STORE_AWAY, "deployment.links[0].loss=0.01%", "deployment.data.io.bytes=1GB"},
	 DATA,
	 134.218616043 + 0.012,
	 NULL},
	{"lossy link without latency",
	 {STORE_AWAY, "deployment.links[0].loss=0.01%", NO_LATENCY},
	 DATA,
	 2.5,
	 NULL},
	{"every packet lost", {HOT, "deployment.links[0].loss=100%"}, BRP, 2040, NULL},
	{"weights", /* 140 GB at 8 GB/s, their way, initialisation; less the io's 2.512 s */
	 {STORE_AWAY, "deployment.sites[1].standby={heat: cold}",
	  "deployment.platform={allocate: 0s}",
	  "deployment.data={io: {bytes: 20GB, change: 1MB/s}}", "backup.classes=[io]"},
	 "metrics.frt_s",
	 10 + 17.5 + 0.012 + 45,
	 NULL},
};

#define FLIPPED(more) "steps=[{at: 10m, fault: data.bitflip, target: data/io, for: 5m}, " more "]"
#define CRASH_AT(at) "{at: " at ", fault: node.crash, target: \"primary/node[0]\"}"
/* Wrong from 10 to 15 min. Where that is an incident of its own, the second one is the crash's. */
static const struct row damages[] = {
	{"a replica that is newer is clean",
	 {HOT, PATIENT, FLIPPED(CRASH_AT("34m"))},
	 SECOND_BRP,
	 5.012,
	 NULL},
	{"a replica from then is bad", /* so it is the backup of 0 min; that of 10 min is bad too */
	 {HOT, PATIENT,
	  "steps=[{at: 10m, fault: data.bitflip, target: data/io}, " CRASH_AT("11m") "]"},
	 BRP,
	 660,
	 NULL},
	{"a replica that stayed behind is bad",
	 {HOT, PATIENT,
	  FLIPPED("{at: 12m, fault: net.partition, target: \"link[primary-backup]\", for: "
		  "1h}, " CRASH_AT("30m"))},
	 BRP,
	 1800,
	 NULL},
	{"a backup from then is bad", {PATIENT, FLIPPED(CRASH_AT("16m"))}, SECOND_BRP, 960, NULL},
	{"a backup after it is good", {PATIENT, FLIPPED(CRASH_AT("26m"))}, SECOND_BRP, 360, NULL},
};

#define IN_FLIGHT "backup={every: 20m, takes: 10m, classes: [model, io], verify: false}"
#define SLOW_WRITE                                                                                 \
	"backup={every: 20m, classes: [model, io], verify: false}", "deployment.store.write="      \
								    "200MB/s"

static const struct row agents[] = {
	{"idle nodes read nothing", {HOT, NEVER_MOVED, "detector.delay=5m"}, BRP, 5.012, NULL},
	{"nor do backups", {NEVER_MOVED, "detector.delay=7m"}, BRP, 240, NULL},
	{"a backup in flight is lost", {IN_FLIGHT, "steps=[" CRASH_AT("25m") "]"}, BRP, 1500, NULL},
	{"one that was done is not", {IN_FLIGHT, "steps=[" CRASH_AT("31m") "]"}, BRP, 660, NULL},
	{"a transfer in flight is lost",
	 {SLOW_WRITE, "steps=[" CRASH_AT("33m") "]"},
	 BRP,
	 1980,
	 NULL},
	{"one that was done, at 33 min 20.012 s, is not",
	 {SLOW_WRITE, "steps=[" CRASH_AT("2000013ms") "]"},
	 BRP,
	 800.013,
	 NULL},
	{"a hang stops replication", /* it writes until it is fenced */
	 {HOT, "steps=[{at: 34m, fault: node.hang, target: \"primary/node[0]\"}]"},
	 BRP,
	 15.012,
	 NULL},
	{"a process that is back replicates again",
	 {HOT, PATIENT,
	  "steps=[{at: 10m, fault: proc.kill, target: \"endpoint/chat/replica[0]\"}, " CRASH_AT(
		  "34m") "]"},
	 BRP,
	 5.012,
	 NULL},
	{"no process, no backup", /* loading and starting take 68.3 s */
	 {PATIENT,
	  "steps=[{at: 590s, fault: proc.kill, target: \"endpoint/chat/replica[0]\"}, " CRASH_AT(
		  "15m") "]"},
	 BRP,
	 900,
	 NULL},
	{"where every request fails nothing is acknowledged",
	 {"steps=[{at: 34m, fault: data.encrypt, target: data/io}]", LATE},
	 BRP,
	 240,
	 NULL},
	{"nor where no replica is ready",
	 {"steps=[{at: 34m, fault: lepton.replica_unready, target: endpoint/chat}]", LATE},
	 BRP,
	 240,
	 NULL},
	{"a process that ends before it is ready never serves", /* 68.3 s from its start */
	 {"steps=[{at: 34m, fault: proc.crash_loop, target: endpoint/chat, interval: 60s, for: "
	  "10m}]",
	  "detector.delay=1h"},
	 "metrics.bad_s",
	 600 + 140.0 / 6 + 45,
	 NULL},
	{"no way to the store, no backup",
	 {"steps=[{at: 25m, fault: net.partition, target: \"link[primary-backup]\", for: "
	  "1h}, " CRASH_AT("34m") "]",
	  PATIENT},
	 BRP,
	 840,
	 NULL},
};

#define HALVES(nodes)                                                                              \
	"deployment.endpoints[0].replicas=2", "deployment.endpoints[0].gpus_per_replica=4",        \
		"deployment.sites[1].nodes=" nodes,                                                \
		"steps=[{at: 34m, fault: zone.outage, "                                            \
		"target: primary}]"

/* 140 GB at 6 GB/s, then 45 s; loading begins with the switch, 10 s after the fault. */
static const struct row disks[] = {
	{"one alone", {NULL}, "metrics.frt_s", 10 + 140.0 / 6 + 45, NULL},
	{"on two nodes", {HALVES("2")}, "metrics.frt_s", 10 + 140.0 / 6 + 45, NULL},
	{"on one node", {HALVES("1")}, "metrics.frt_s", 10 + 280.0 / 6 + 45, NULL},
};

#define FENCE(on_fail) "recovery.fence={timeout: 10s, on_fail: " on_fail "}"
#define CUT(node) "{at: 34m, fault: net.partition, target: \"primary/node[" node "]\"}"

static const struct row fences[] = {
	{"a site cut off",
	 {FENCE("proceed"), "steps=[{at: 34m, fault: net.partition, target: primary}]"},
	 "metrics.switch_s",
	 30,
	 NULL},
	{"its node cut off",
	 {FENCE("proceed"), "steps=[" CUT("0") "]"},
	 "metrics.switch_s",
	 30,
	 NULL},
	{"and the plan says stop",
	 {FENCE("stop"), "steps=[" CUT("0") "]"},
	 "metrics.switch_s",
	 0,
	 "null"},
	{"a node that is down too",
	 {FENCE("stop"), "steps=[" CRASH_AT("34m") ", " CUT("0") "]"},
	 "metrics.switch_s",
	 20,
	 NULL},
	{"a node without a process",
	 {FENCE("stop"), "steps=[" CUT("1") ", " CRASH_AT("34m") "]"},
	 "metrics.switch_s",
	 20,
	 NULL},
	{"it goes on writing until it is mended", /* 10 s + 20 min later, without replication */
	 {HOT, FENCE("proceed"), "steps=[" CUT("0") "]"},
	 BRP,
	 10 + 1200 + 5.012,
	 NULL},
};

START_TEST(round_trip)
{
	check_row(&round_trips[_i]);
}
END_TEST

START_TEST(link_way)
{
	check_row(&links[_i]);
}
END_TEST

START_TEST(damage)
{
	check_row(&damages[_i]);
}
END_TEST

START_TEST(agent)
{
	check_row(&agents[_i]);
}
END_TEST

START_TEST(disk)
{
	check_row(&disks[_i]);
}
END_TEST

START_TEST(fence)
{
	check_row(&fences[_i]);
}
END_TEST

/* A site without endpoints has its agents while any of its nodes is up: all backups of 2 h. */
static const char bare[] = "deployment={sites: [{name: primary, nodes: 2, shape: cpu.small}, "
			   "{name: backup, nodes: 1, shape: cpu.small, standby: {heat: warm}}], "
			   "data: {io: {bytes: 20GB, change: 1MB/s}}, store: {site: backup}}";

static int backups_done(void)
{
	char *text = workplace_read("run/events.jsonl"), *at = text;
	int done = 0;

	while ((at = strstr(at, "\"restorable\":true")) != NULL) {
		done++;
		at++;
	}
	free(text);
	return done;
}

START_TEST(without_endpoints)
{
	static const char *const one[SETS_MAX] = {bare, "backup.classes=[io]", "detector.delay=90m",
						  "steps=[" CRASH_AT("34m") "]", NULL};
	static const char *const both[SETS_MAX] = {
		bare,
		"backup.classes=[io]",
		"recovery.repair.time=3h",
		"detector.delay=90m",
		"steps=[{at: 34m, fault: zone.outage, target: primary}]",
		NULL};

	cJSON_Delete(run(one));
	ck_assert_int_eq(backups_done(), 12);
	cJSON_Delete(run(both));
	ck_assert_int_eq(backups_done(), 4); /* at 0, 10, 20 and 30 min */
}
END_TEST

static void add_rows(Suite *suite, const char *name, const TTest *test, int count)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, workplace_leave);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, test, 0, count);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	add_rows(suite, "a packet goes there and back", round_trip, COUNT(round_trips));
	add_rows(suite, "the way over a link", link_way, COUNT(links));
	add_rows(suite, "content that was wrong", damage, COUNT(damages));
	add_rows(suite, "agents beside processes", agent, COUNT(agents));
	add_rows(suite, "a site without endpoints", without_endpoints, 1);
	add_rows(suite, "one disk for all of a node", disk, COUNT(disks));
	add_rows(suite, "who can be fenced", fence, COUNT(fences));
}

TEST_MAIN("model", add_cases)
