/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training jobs by hand arithmetic: one small scenario, changed a little in each row, and what its
 * record must say. The scenario: 8 ranks and a spare on 10 nodes, a save every 10 min that takes
 * 1 min to write and 1 min to read, 5 min to restart; a node dies at 65 min. From there: restart
 * until 70 min, the save of 60 min read until 71 min, and 5 min of work done again until 76 min.
 */
/* valgrind: skip */
#include <cjson/cJSON.h>
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/audit.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define SETS_MAX 6
#define CHECKS_MAX 8
#define ARGS_MAX (2 * SETS_MAX + 10)
#define EXACT 1e-9

extern char **environ;

static const char scenario[] =
	"# A node of a training job dies.\n"
	"apiVersion: drsim/v1\n"
	"name: jobs\n"
	"duration: 4h\n"
	"deployment:\n"
	"  sites: [{name: primary, nodes: 10, shape: gpu.8xh100-sxm}]\n"
	"  store: {site: primary, read: 10GB/s, write: 10GB/s}\n"
	"  jobs:\n"
	"    - {name: pretrain, site: primary, nodes: 8, spares: 1, restart: 5m,\n"
	"       checkpoint: {every: 10m, bytes: 600GB}}\n"
	"detector: {kind: fixed, delay: 10s}\n"
	"recovery: {repair: {time: 30m}}\n"
	"steps: [{at: 65m, fault: node.crash, target: \"primary/node[3]\"}]\n";

static void setup(void)
{
	FILE *file;

	workplace_enter("jobs");
	file = fopen("jobs.yaml", "we");
	ck_assert_ptr_nonnull(file);
	fputs(scenario, file);
	ck_assert_int_eq(fclose(file), 0);
}

/* Runs the scenario with the changes; its record, for cJSON_Delete(). */
static cJSON *run(const char *const sets[SETS_MAX])
{
	static const char *const fixed[] = {"run", "jobs.yaml",  "--out",
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

/* "jobs[0].ettr" of a record. */
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

struct row {
	const char *what;
	const char *sets[SETS_MAX];
	struct {
		const char *path; /* in the record */
		double number;
		const char *text; /* instead of a number */
	} checks[CHECKS_MAX];
};

#define FRT(seconds)                                                                               \
	{                                                                                          \
		"metrics.frt_s", seconds, NULL                                                     \
	}
#define LOST(seconds)                                                                              \
	{                                                                                          \
		"metrics.brp.seconds", seconds, NULL                                               \
	}
#define WORK(seconds)                                                                              \
	{                                                                                          \
		"jobs[0].work_s", seconds, NULL                                                    \
	}
#define OF_JOB(key, value)                                                                         \
	{                                                                                          \
		"jobs[0]." key, value, NULL                                                        \
	}
#define PATH(name)                                                                                 \
	{                                                                                          \
		"incidents[0].path", 0, name                                                       \
	}
#define JOB "deployment.jobs[0]."
#define STEP(text) "steps=[{" text "}]"
#define AFTER_CORRUPTION(fault)                                                                    \
	"steps=[{at: 64m, fault: " fault ", target: 'job/pretrain/ckpt[-1]', for: permanent}, "    \
	"{at: 65m, fault: node.crash, target: 'primary/node[3]'}]"
#define SDC "steps=[{at: 65m, fault: gpu.sdc, target: 'primary/node[3]/gpu[0]'}]"

static const struct row restarts[] = {
	{"a spare takes over",
	 {NULL},
	 {FRT(660), LOST(300), WORK(14400 - 660), PATH("in_place"), OF_JOB("interruptions", 1),
	  OF_JOB("restarts", 1), OF_JOB("lost_work_s", 300), OF_JOB("down_s", 360)}},
	{"marks of the loss",
	 {NULL},
	 {{"incidents[0].t_bp_ns", 3600e9, NULL}, {"incidents[0].t_loss_ns", 3900e9, NULL}}},
	{"a save that is still being written is of no use",
	 {"steps[0].at=3630s"},
	 {FRT(360 + 630), LOST(630)}},
	{"saves that stop training: the one under way is lost", /* begin at 10, 21 … 54, 65 min */
	 {JOB "checkpoint.async=false", "steps[0].at=3930s"},
	 {FRT(360 + 600), LOST(600), {"incidents[0].t_bp_ns", 54 * 60e9, NULL}}},
	{"saves that stop training: between two",
	 {JOB "checkpoint.async=false", "steps[0].at=64m"},
	 {FRT(360 + 540), LOST(540)}},
	{"saves that stop training cost time", /* 21 of 11 min each, and 9 min */
	 {JOB "checkpoint.async=false", "steps=[]"},
	 {WORK(21 * 600 + 540), OF_JOB("checkpoints", 21)}},
	{"saves that take nothing", {JOB "checkpoint.takes=0s"}, {FRT(300 + 300), LOST(300)}},
	{"reading takes as long as it says",
	 {JOB "checkpoint.takes=0s", JOB "checkpoint.load=90s"},
	 {FRT(300 + 90 + 300), LOST(300)}},
	{"without a spare it waits for the repair",
	 {JOB "spares=0"},
	 {FRT(10 + 1800 + 360 + 300), LOST(300), PATH("in_place"), OF_JOB("interruptions", 1)}},
	{"a second node is lost during the restart",
	 {JOB "spares=2", "steps[0].at=65m",
	  "steps=[{at: 65m, fault: node.crash, target: 'primary/node[3]'}, {at: 67m, fault: "
	  "node.crash, target: 'primary/node[4]'}]"},
	 {FRT(120 + 660), LOST(300), OF_JOB("interruptions", 2), OF_JOB("restarts", 1),
	  OF_JOB("lost_work_s", 300)}},
	{"a spare that dies while it is idle is missed by nobody",
	 {"steps[0].target=\"primary/node[8]\""},
	 {FRT(0), LOST(0), WORK(14400), PATH("absorbed"), OF_JOB("interruptions", 0)}},
	{"the work is complete",
	 {JOB "work=2h"},
	 {OF_JOB("work_s", 7200), OF_JOB("wall_s", 7200 + 660), OF_JOB("ettr", 7200. / 7860)}},
	{"down at the end: what it will do again does not count",
	 {"steps[0].at=235m"},
	 {WORK(230 * 60), OF_JOB("ettr", 230. / 240), OF_JOB("lost_work_s", 0),
	  PATH("unrecovered")}},
	{"down at the end: nor does what is in a save of no use",
	 {"steps=[{at: 232m, fault: ckpt.corrupt, target: 'job/pretrain/ckpt[-1]', for: "
	  "permanent}, "
	  "{at: 237m, fault: node.crash, target: 'primary/node[3]'}]"},
	 {WORK(220 * 60)}},
	{"a process is killed",
	 {STEP("at: 65m, fault: proc.kill, target: 'job/pretrain/rank[3]'")},
	 {FRT(660), LOST(300), PATH("in_place")}},
	{"a process is killed for want of memory",
	 {STEP("at: 65m, fault: proc.oom, target: 'job/pretrain/rank[3]'")},
	 {FRT(660), LOST(300), PATH("in_place"), OF_JOB("interruptions", 1)}},
	{"its restart is seen by the platform",
	 {STEP("at: 65m, fault: proc.oom, target: 'job/pretrain/rank[3]'"), "detector.delay=3h",
	  JOB "restart=10s", JOB "checkpoint.takes=0s"},
	 {FRT(10 + 300), {"incidents[0].undetected", 0, "false"}}},
	{"the memory of a node is taken: a spare takes over",
	 {STEP("at: 65m, fault: mem.fill, target: 'primary/node[3]'")},
	 {FRT(660), LOST(300), PATH("in_place"), OF_JOB("interruptions", 1)}},
	{"without a spare it waits for the memory",
	 {JOB "spares=0", STEP("at: 65m, for: 20m, fault: mem.fill, target: 'primary/node[3]'")},
	 {FRT(1200 + 660), LOST(300), OF_JOB("interruptions", 1)}},
	{"nine tenths of the memory may be taken",
	 {STEP("at: 65m, fault: mem.fill, target: 'primary/node[3]', percent: 90%")},
	 {FRT(0), WORK(14400), PATH("absorbed"), OF_JOB("interruptions", 0)}},
	{"the memory of a spare is taken",
	 {STEP("at: 65m, fault: mem.fill, target: 'primary/node[8]'")},
	 {FRT(0), WORK(14400), OF_JOB("interruptions", 0)}},
	{"the memory of a second node is taken during the restart",
	 {JOB "spares=2", "steps=[{at: 65m, fault: node.crash, target: 'primary/node[3]'}, {at: "
			  "67m, fault: mem.fill, target: 'primary/node[4]'}]"},
	 {FRT(120 + 660), LOST(300), OF_JOB("interruptions", 2), OF_JOB("restarts", 1)}},
	{"half of the CPU is enough",
	 {STEP("at: 65m, fault: cpu.burn, target: 'primary/node[3]'")},
	 {FRT(0), WORK(14400), PATH("absorbed")}},
	{"a GPU is lost",
	 {STEP("at: 65m, fault: gpu.lost, target: 'primary/node[3]/gpu[1]'")},
	 {FRT(660), LOST(300), PATH("in_place")}},
	{"without any save everything is done again",
	 {JOB "checkpoint.every=5h"},
	 {FRT(300 + 3900), LOST(3900), {"incidents[0].t_bp_ns", 0, NULL}}},
};

static const struct row hangs[] = {
	{"a straggler slows every step",
	 {STEP("at: 60m, for: 10m, fault: gpu.straggler, slowdown: 2, target: "
	       "'primary/node[3]/gpu[0]'")},
	 {FRT(600), LOST(0), WORK(14400 - 300), PATH("in_place"), OF_JOB("interruptions", 0)}},
	{"one that is slow within the limit is good enough",
	 {STEP("at: 60m, for: 10m, fault: gpu.straggler, slowdown: 1.25, target: "
	       "'primary/node[3]/gpu[0]'"),
	  "steady_state.success=80%"},
	 {FRT(0), WORK(14400 - 120), PATH("absorbed")}},
	{"a hang that ends by itself",
	 {STEP("at: 65m, for: 5m, fault: node.hang, target: 'primary/node[3]'")},
	 {FRT(300), LOST(0), WORK(14400 - 300), OF_JOB("interruptions", 0)}},
	{"a hang is aborted",
	 {STEP("at: 65m, fault: node.hang, target: 'primary/node[3]'")},
	 {FRT(600 + 660),
	  LOST(300),
	  OF_JOB("interruptions", 1),
	  {"incidents[0].t_loss_ns", 3900e9, NULL}}},
	{"a rank is cut off",
	 {STEP("at: 65m, fault: net.partition, target: 'primary/node[3]'"), JOB "timeout=2m"},
	 {FRT(120 + 660), LOST(300)}},
	{"a GPU hangs, and its node is kept away from", /* one more node than ranks */
	 {STEP("at: 65m, for: permanent, fault: gpu.hang, target: 'primary/node[3]/gpu[7]'")},
	 {FRT(600 + 660), LOST(300), OF_JOB("interruptions", 1), OF_JOB("restarts", 1)}},
	{"it comes back in time",
	 {STEP("at: 65m, for: 5m, fault: gpu.hang, target: 'primary/node[3]/gpu[7]'")},
	 {FRT(300), LOST(0), OF_JOB("interruptions", 0)}},
	{"the network is cut between its nodes",
	 {STEP("at: 65m, for: 5m, fault: net.partition, shape: ring, target: 'primary/node[*]', "
	       "select: all")},
	 {FRT(300), LOST(0), OF_JOB("interruptions", 0)}},
	{"but not between its nodes",
	 {STEP("at: 65m, for: 5m, fault: net.partition, shape: halves, target: "
	       "'primary/node[*]', select: all"),
	  JOB "nodes=5"},
	 {FRT(0), WORK(14400)}},
	{"a store with bad blocks: what is saved later is whole", /* saves each 10 min */
	 {"steps=[{at: 62m, for: permanent, fault: disk.badblocks, target: store}, {at: 75m, "
	  "fault: node.crash, target: 'primary/node[3]'}]"},
	 {LOST(300), OF_JOB("bad_checkpoints", 0)}},
	{"a rank is stopped for a while",
	 {STEP("at: 65m, for: 5m, fault: proc.pause, target: 'job/pretrain/rank[0]'")},
	 {FRT(300), LOST(0), OF_JOB("interruptions", 0)}},
	{"a rank is stopped: its restart is another process",
	 {STEP("at: 65m, for: 30m, fault: proc.pause, target: 'job/pretrain/rank[0]'")},
	 {FRT(600 + 660), LOST(300), OF_JOB("interruptions", 1)}},
	{"stopped while it reads its checkpoint: aborted too", /* runs at 71, aborted at 81 min */
	 {"steps=[{at: 65m, fault: node.crash, target: 'primary/node[3]'}, {at: 4230s, for: "
	  "permanent, fault: proc.pause, target: 'job/pretrain'}]"},
	 {FRT(960 + 660), LOST(300), OF_JOB("interruptions", 2), OF_JOB("restarts", 2)}},
	{"a watchdog sees that no step ends",
	 {STEP("at: 65m, fault: node.hang, target: 'primary/node[3]'"),
	  "detector={kind: watchdog, timeout: 2m, interval: 30s}"},
	 {{"metrics.detection_s", 120, NULL}}},
	{"a probe sees that the job does not run",
	 {"detector={kind: probe, scope: job, interval: 10s, timeout: 1s, misses: 3}"},
	 {{"metrics.detection_s", 21, NULL}}},
};

static const struct row contents[] = {
	{"the newest save is corrupt",
	 {AFTER_CORRUPTION("ckpt.corrupt")},
	 {FRT(420 + 900), LOST(900), OF_JOB("bad_checkpoints", 1)}},
	{"a shard of the newest is missing",
	 {AFTER_CORRUPTION("ckpt.missing_shard")},
	 {FRT(420 + 900), LOST(900), OF_JOB("bad_checkpoints", 1)}},
	{"the newest broke off",
	 {AFTER_CORRUPTION("ckpt.torn_save")},
	 {FRT(420 + 900), LOST(900), OF_JOB("bad_checkpoints", 1)}},
	{"the only one kept is corrupt",
	 {JOB "checkpoint.keep=1", AFTER_CORRUPTION("ckpt.corrupt")},
	 {FRT(360 + 3900), LOST(3900), OF_JOB("bad_checkpoints", 1)}},
	{"wrong results are found by a validation run", /* at 90 min; the save of 60 min is right */
	 {SDC, "detector={kind: canary, scope: job, every: 30m, timeout: 1m}"},
	 {FRT(1500 + 360 + 1800),
	  LOST(1800),
	  OF_JOB("wrong_work_s", 0),
	  {"incidents[0].undetected", 0, "false"}}},
	{"wrong results that nobody looks for", /* from 65 min on all work is worth nothing */
	 {SDC, "detector={kind: watchdog}"},
	 {OF_JOB("ettr", 1),
	  OF_JOB("goodput", 65. / 240),
	  OF_JOB("wrong_work_s", 175 * 60),
	  {"incidents[0].undetected", 0, "true"},
	  PATH("unrecovered")}},
	{"no save from before the corruption is kept",
	 {SDC, JOB "checkpoint.keep=1",
	  "detector={kind: canary, scope: job, every: 30m, timeout: 1m}"},
	 {FRT(1500 + 300 + 5400), LOST(5400)}},
};

/* An endpoint with data beside the job; the cut-off primary goes on taking writes for 40 min. */
#define SERVICE                                                                                    \
	"deployment={sites: [{name: primary, nodes: 10, shape: gpu.8xh100-sxm}, {name: backup, "   \
	"nodes: 2, shape: gpu.8xh100-sxm, standby: {heat: hot}}], links: [{between: [primary, "    \
	"backup], rate: 100Gbit/s, latency: 12ms}], endpoints: [{name: chat, site: primary, "      \
	"replicas: 1, gpus_per_replica: 8, load: {rate: 50/s, requests: never}}], data: {io: "     \
	"{bytes: 20GB, change: 1MB/s, records: 100/s}}, store: {site: backup, read: 10GB/s, "      \
	"write: 10GB/s}, jobs: [{name: pretrain, site: primary, nodes: 8, spares: 1, restart: "    \
	"5m, checkpoint: {every: 10m, bytes: 600GB}}]}",                                           \
		"backup={every: 10m}", "recovery.fence={timeout: 10s, on_fail: proceed}"
#define CUT_OFF STEP("at: 65m, for: 40m, fault: net.partition, target: primary")

static const struct row beside[] = {
	{"what the job lost does not hide what the data lost",
	 {SERVICE, CUT_OFF},
	 {PATH("failover"),
	  LOST(2400),
	  {"metrics.brp.bytes", 2.4e9, NULL},
	  {"metrics.brp.records", 240000, NULL},
	  {"incidents[0].t_loss_ns", 105 * 60e9, NULL},
	  {"incidents[0].t_bp_ns", 65 * 60e9, NULL}}},
	{"a watchdog of the job moves no traffic that is fine",
	 {SERVICE, "detector={kind: watchdog, timeout: 2m, interval: 30s}"},
	 {PATH("in_place"),
	  LOST(300),
	  {"metrics.brp.records", 0, NULL},
	  {"metrics.detection_s", 120, NULL},
	  {"incidents[0].t_repaired_ns", 5745e9, NULL}}},
	{"nor does a probe of a node on which no replica stands",
	 {SERVICE, "detector={kind: probe, scope: node}"},
	 {PATH("in_place"), LOST(300), {"metrics.brp.records", 0, NULL}}},
	{"nor one that is told",
	 {SERVICE, "detector={kind: fixed, delay: 1m}"},
	 {PATH("in_place"), LOST(300), {"metrics.brp.records", 0, NULL}}},
	{"nor the other way round",
	 {SERVICE, CUT_OFF, "deployment.jobs[0].checkpoint.every=5h"},
	 {PATH("failover"),
	  LOST(3900),
	  {"metrics.brp.bytes", 2.4e9, NULL},
	  {"incidents[0].t_loss_ns", 65 * 60e9, NULL},
	  {"incidents[0].t_bp_ns", 0, NULL}}},
};

/* The record against its own events. */
static void check_books(const cJSON *record)
{
	struct audit *audit = calloc(1, sizeof(*audit));
	struct bench bench = {0};

	ck_assert_ptr_nonnull(audit);
	audit_read(&bench, "run/events.jsonl", audit);
	audit_check(audit);
	audit_compare(audit, record);
	audit_free(audit);
	arena_free(&bench.arena);
	free(audit);
}

static void check_row(const struct row *row)
{
	cJSON *record = run(row->sets);

	check_books(record);
	for (int i = 0; i < CHECKS_MAX && row->checks[i].path; i++) {
		const cJSON *item = find(record, row->checks[i].path);
		const char *text = row->checks[i].text;
		double number = row->checks[i].number;
		char *json = cJSON_PrintUnformatted(item);

		if (text)
			ck_assert_msg(strstr(json, text) != NULL, "%s: %s is %s, not %s", row->what,
				      row->checks[i].path, json, text);
		else
			ck_assert_msg(cJSON_IsNumber(item) && fabs(item->valuedouble - number) <=
								      EXACT * fmax(fabs(number), 1),
				      "%s: %s is %s, not %.12g", row->what, row->checks[i].path,
				      json, number);
		cJSON_free(json);
	}
	cJSON_Delete(record);
}

START_TEST(restart)
{
	check_row(&restarts[_i]);
}
END_TEST

START_TEST(hang)
{
	check_row(&hangs[_i]);
}
END_TEST

START_TEST(service)
{
	check_row(&beside[_i]);
}
END_TEST

/* The backup policy has no say in how old a checkpoint is. */
START_TEST(no_backup_is_blamed)
{
	static const char *const sets[SETS_MAX] = {SERVICE, JOB "checkpoint.every=2h"};
	cJSON *record = run(sets);
	char *json = cJSON_PrintUnformatted(find(record, "findings"));

	ck_assert_msg(strstr(json, "the policy allows") == NULL, "%s", json);
	cJSON_free(json);
	cJSON_Delete(record);
}
END_TEST

/* What looks at answers finds nothing in a job: the change that is tried looks at its results. */
START_TEST(a_canary_for_jobs_is_tried)
{
	static const char *const sets[SETS_MAX] = {SDC, "detector={kind: watchdog}"};
	cJSON *record = run(sets);
	char *json = cJSON_PrintUnformatted(find(record, "findings"));

	ck_assert_msg(strstr(json, "kind: canary, scope: job") != NULL, "%s", json);
	cJSON_free(json);
	cJSON_Delete(record);
}
END_TEST

START_TEST(content)
{
	check_row(&contents[_i]);
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
	add_rows(suite, "interruptions and restarts", restart, COUNT(restarts));
	add_rows(suite, "hangs and stragglers", hang, COUNT(hangs));
	add_rows(suite, "beside a service", service, COUNT(beside));
	add_rows(suite, "findings", no_backup_is_blamed, 1);
	add_rows(suite, "what if", a_canary_for_jobs_is_tried, 1);
	add_rows(suite, "what saves hold", content, COUNT(contents));
}

TEST_MAIN("jobs", add_cases)
