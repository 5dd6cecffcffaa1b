/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drills of real training jobs, beside a spectator who knows nothing of the driver: while the drill
 * runs he reads the job's folder, hashes every checkpoint when it appears and, whenever training
 * went back, finds out by himself from which one. What he saw is held against the record, and the
 * record against events.jsonl.
 */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/timeline.h"
#include "tests/audit.h"
#include "tests/program.h"
#include "tests/workplace.h"

#define STEP_S 0.05
/* So near the drill's end a checkpoint is counted or not: time 0 is known by a file that is made
 * right after it, which a busy host may delay. */
#define NEAR_S 0.5
#define LOOK_MS 10
#define REMOVAL_MS 500
#define DRILL_MS 150000
#define SEEN_MAX 256
#define PATH_SIZE 4600

struct seen {
	unsigned long long step;
	ino_t inode; /* of its manifest: another one is another checkpoint of the same step */
	struct timespec written, there; /* it has its name since */
	bool whole, counted;            /* counted: found to be bad by a resume */
};

struct spectator {
	char folder[PATH_SIZE / 2]; /* of the job; "": not there yet */
	double begun;               /* wall clock; 0: the drill's time has not begun */
	struct seen seen[SEEN_MAX];
	size_t count, bad, falls;
	unsigned long long step, lost; /* the last that was noted; done again so far */
	int partial;                   /* checkpoints that were not whole when they appeared */
};

/* ---- reading the job's folder ---- */

static bool digest_of(const char *path, char hex[65])
{
	unsigned char block[65536], digest[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	FILE *file = fopen(path, "re");
	unsigned size = 0;
	size_t got;

	EVP_DigestInit_ex(context, EVP_sha256(), NULL);
	while (file && (got = fread(block, 1, sizeof(block), file)) > 0)
		EVP_DigestUpdate(context, block, got);
	EVP_DigestFinal_ex(context, digest, &size);
	EVP_MD_CTX_free(context);
	for (unsigned i = 0; i < size; i++)
		snprintf(hex + 2 * (size_t)i, 3, "%02x", digest[i]);
	if (file)
		fclose(file);
	return file != NULL;
}

static bool is_whole(const struct spectator *s, unsigned long long step)
{
	char path[PATH_SIZE], text[65536] = "", hex[65];
	const cJSON *shard;
	bool whole = true;
	int rank = 0;

	snprintf(path, sizeof(path), "%s/ckpt-%012llu/manifest.json", s->folder, step);
	FILE *file = fopen(path, "re");
	if (!file)
		return false;
	ck_assert_uint_lt(fread(text, 1, sizeof(text) - 1, file), sizeof(text) - 1);
	fclose(file);
	cJSON *json = cJSON_Parse(text);
	ck_assert_ptr_nonnull(json);
	ck_assert_double_eq(cJSON_GetObjectItem(json, "step")->valuedouble, (double)step);
	cJSON_ArrayForEach (shard, cJSON_GetObjectItem(json, "shards")) {
		snprintf(path, sizeof(path), "%s/ckpt-%012llu/shard-%05d.bin", s->folder, step,
			 rank++);
		whole = digest_of(path, hex) && whole &&
			strcmp(hex, cJSON_GetObjectItem(shard, "sha256")->valuestring) == 0;
	}
	cJSON_Delete(json);
	return whole && rank > 0;
}

/* Is this checkpoint still there after a while? What is being removed is not whole any more. */
static bool stays(const struct spectator *s, unsigned long long step, const struct stat *before)
{
	char path[PATH_SIZE];
	struct stat now;

	program_pause(REMOVAL_MS);
	snprintf(path, sizeof(path), "%s/ckpt-%012llu/manifest.json", s->folder, step);
	return stat(path, &now) == 0 && now.st_ino == before->st_ino &&
	       now.st_mtim.tv_sec == before->st_mtim.tv_sec &&
	       now.st_mtim.tv_nsec == before->st_mtim.tv_nsec;
}

static double seconds_of(struct timespec at)
{
	return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static struct seen *see(struct spectator *s, unsigned long long step, const struct stat *status)
{
	for (size_t i = 0; i < s->count; i++) {
		struct seen *seen = &s->seen[i];
		if (seen->step == step && seen->inode == status->st_ino &&
		    seen->written.tv_sec == status->st_mtim.tv_sec &&
		    seen->written.tv_nsec == status->st_mtim.tv_nsec)
			return seen;
	}
	ck_assert_uint_lt(s->count, SEEN_MAX);
	struct seen *seen = &s->seen[s->count++];
	*seen = (struct seen){
		step, status->st_ino, status->st_mtim, status->st_ctim, is_whole(s, step), false};
	s->partial += !seen->whole && stays(s, step, status);
	return seen;
}

/* All checkpoints that have a manifest; calls back when `each` is given. */
static void look_checkpoints(struct spectator *s,
			     void (*each)(struct spectator *s, struct seen *seen))
{
	DIR *list = opendir(s->folder);
	struct dirent *entry;

	while (list && (entry = readdir(list))) {
		char path[PATH_SIZE];
		unsigned long long step;
		struct stat status;
		if (sscanf(entry->d_name, "ckpt-%12llu", &step) != 1)
			continue;
		snprintf(path, sizeof(path), "%s/%s/manifest.json", s->folder, entry->d_name);
		if (stat(path, &status))
			continue;
		struct seen *seen = see(s, step, &status);
		if (each)
			each(s, seen);
	}
	if (list)
		closedir(list);
}

static unsigned long long fell_to;

static void newest_whole(struct spectator *s, struct seen *seen)
{
	if (seen->step > fell_to && is_whole(s, seen->step))
		fell_to = seen->step;
}

/* Newer than what it went on from: it was read, and was bad. */
static void count_bad(struct spectator *s, struct seen *seen)
{
	if (seen->step <= fell_to || seen->counted)
		return;
	seen->counted = true;
	s->bad++;
}

static void look(struct spectator *s)
{
	char path[PATH_SIZE], text[32] = "";
	struct stat status;

	snprintf(path, sizeof(path), "%s.start", s->folder);
	if (s->begun == 0 && stat(path, &status) == 0)
		s->begun = seconds_of(status.st_mtim);
	look_checkpoints(s, NULL);
	snprintf(path, sizeof(path), "%s/last-step", s->folder);
	FILE *file = fopen(path, "re");
	if (!file)
		return;
	bool good = fread(text, 1, 20, file) == 20;
	fclose(file);
	unsigned long long step = good ? strtoull(text, NULL, 10) : s->step;
	if (step < s->step) { /* a gang began to step again, further back */
		fell_to = 0;
		look_checkpoints(s, newest_whole);
		look_checkpoints(s, count_bad);
		ck_assert_uint_gt(step, fell_to);
		s->lost += s->step - fell_to;
		s->falls++;
	}
	s->step = step;
}

static void find_folder(struct spectator *s)
{
	char path[PATH_SIZE];
	DIR *list;
	struct dirent *entry;

	snprintf(path, sizeof(path), "%s/run", getenv("DRSIM_STATE"));
	list = opendir(path);
	while (list && (entry = readdir(list))) {
		char folder[PATH_SIZE / 2];
		if (entry->d_name[0] == '.')
			continue;
		snprintf(folder, sizeof(folder), "%.1000s/%.200s/sites/primary/ckpt/pretrain", path,
			 entry->d_name);
		if (access(folder, F_OK) == 0)
			memcpy(s->folder, folder, sizeof(folder));
	}
	if (list)
		closedir(list);
}

/* ---- a drill ---- */

/* Runs it to its end; its exit code. */
static int drill(const char *name, const char *text, struct spectator *s)
{
	char scenario[64], log[64];
	int64_t end = program_clock() + (int64_t)DRILL_MS * 1000000;
	int status = 0;

	*s = (struct spectator){.count = 0};
	snprintf(scenario, sizeof(scenario), "%s.yaml", name);
	snprintf(log, sizeof(log), "%s.log", name);
	bench_write(scenario, text);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
			_exit(126);
		execl(workplace_program, "drsim", "run", scenario, "--driver", "process", "--out",
		      name, (char *)NULL);
		_exit(127);
	}
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (program_clock() > end) {
			kill(pid, SIGTERM);
			waitpid(pid, &status, 0);
			ck_abort_msg("%s takes too long", name);
		}
		if (s->folder[0])
			look(s);
		else
			find_folder(s);
		program_pause(LOOK_MS);
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		char *said = workplace_read(log);
		fprintf(stderr, "%s", said);
		free(said);
	}
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static double number(const cJSON *object, const char *key)
{
	return audit_field(object, key)->valuedouble;
}

/* The gang goes on while the drill is taken down: what is whole only then is none of its. */
static void compare_count(const cJSON *record, const cJSON *job, const struct spectator *s)
{
	double end = s->begun + audit_under(record, "drill", "duration_s")->valuedouble;
	size_t least = 0, most = 0;

	ck_assert_double_gt(s->begun, 0);
	for (size_t i = 0; i < s->count; i++) {
		least += seconds_of(s->seen[i].there) <= end - NEAR_S;
		most += seconds_of(s->seen[i].written) <= end + NEAR_S;
	}
	ck_assert_double_ge(number(job, "checkpoints"), (double)least);
	ck_assert_double_le(number(job, "checkpoints"), (double)most);
}

/* What the spectator saw, what the record says, and what the events say are the same. */
static cJSON *compare(struct bench *b, const char *name, const struct spectator *s)
{
	cJSON *record = bench_record(b, name);
	const cJSON *job = cJSON_GetArrayItem(cJSON_GetObjectItem(record, "jobs"), 0);
	const char *events = arena_printf(&b->arena, "%s/events.jsonl", name);
	struct audit *audit = calloc(1, sizeof(*audit));

	ck_assert_ptr_nonnull(job);
	ck_assert_int_eq(s->partial, 0);
	ck_assert_uint_gt(s->count, 3);
	compare_count(record, job, s);
	ck_assert_double_eq(number(job, "bad_checkpoints"), (double)s->bad);
	ck_assert_double_eq(number(job, "restarts"), (double)s->falls);
	ck_assert_double_eq_tol(number(job, "lost_work_s"), STEP_S * (double)s->lost, 1e-9);
	/* The gang goes on for some steps while the drill is already taken down. */
	ck_assert_double_le(number(job, "work_s"), STEP_S * (double)s->step + 1e-9);
	ck_assert_double_ge(number(job, "work_s"), STEP_S * (double)s->step - 2);
	audit_read(b, events, audit);
	audit_check(audit);
	audit_compare(audit, record);
	audit_free(audit);
	free(audit);
	return record;
}

static const char *path_of(const cJSON *record, int incident)
{
	return audit_word(cJSON_GetArrayItem(audit_field(record, "incidents"), incident), "path");
}

static void nothing_left(void)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), "%s/run", getenv("DRSIM_STATE"));
	DIR *list = opendir(path);
	struct dirent *entry;
	while (list && (entry = readdir(list)))
		ck_assert_msg(entry->d_name[0] == '.', "%s/%s is left", path, entry->d_name);
	if (list)
		closedir(list);
}

#define JOB(nodes, ranks, rest)                                                                    \
	"deployment:\n  sites:\n    - {name: primary, region: eu-1, zone: a, nodes: " nodes        \
	", shape: gpu.8xh100-sxm}\n  jobs:\n    - name: pretrain\n      site: primary\n"           \
	"      nodes: " ranks "\n      step: 5s\n      timeout: 2m\n" rest                         \
	"  store: {site: primary, read: 10GB/s, write: 5GB/s}\n"                                   \
	"detector: {kind: watchdog, timeout: 2m}\n"                                                \
	"process: {time_scale: 0.01, bytes_scale: 1e-5}\n"

/* ---- the drills ---- */

/* The newest checkpoint is corrupt when a node dies: the one before it serves. */
START_TEST(an_older_checkpoint)
{
	static const char text[] =
		"apiVersion: drsim/v1\nname: older\nseed: 7\nduration: 40m\n"
		"objectives: {frt: 30m, brp: {seconds: 20m}}\n" JOB(
			"6", "4",
			"      spares: 1\n      restart: 2m\n"
			"      checkpoint: {every: 5m, bytes: 40GB, keep: 3}\n") "recovery: "
										 "{diagnose: 1m, "
										 "repair: {time: "
										 "6m, crews: 1}}\n"
										 "steps:\n"
										 "  - {at: 16m, "
										 "fault: "
										 "ckpt.corrupt, "
										 "target: "
										 "\"job/pretrain/"
										 "ckpt[-1]\", for: "
										 "permanent}\n"
										 "  - {at: 17m, "
										 "fault: "
										 "node.crash, "
										 "target: "
										 "\"primary/"
										 "node[2]\"}\n";
	struct bench b;
	struct spectator s;

	bench_open(&b);
	ck_assert_int_eq(drill("older", text, &s), 0);
	cJSON *record = compare(&b, "older", &s);
	ck_assert_uint_eq(s.bad, 1);
	ck_assert_uint_eq(s.falls, 1);
	/* More than one save interval, and not more than two and what a save takes. */
	ck_assert_double_gt(STEP_S * (double)s.lost, 3);
	ck_assert_double_lt(STEP_S * (double)s.lost, 7);
	ck_assert_str_eq(path_of(record, 1), "in_place");
	cJSON_Delete(record);
	nothing_left();
	bench_close(&b);
}
END_TEST

/* A node crashes in the middle of a save: the first write of it is there no more, the second is. */
START_TEST(a_torn_save)
{
	static const char text[] =
		"apiVersion: drsim/v1\nname: torn\nseed: 8\nduration: 30m\n"
		"objectives: {frt: 30m, brp: {seconds: 20m}}\n" JOB(
			"5", "4",
			"      spares: 1\n      restart: 1m\n"
			"      checkpoint: {every: 150s, bytes: 40GB, keep: 3}\n")
			"recovery: {diagnose: 1m, repair: {time: 60m, crews: 1}}\n"
			"steps:\n"
			"  - {at: 9m, fault: fs.torn_seq, target: \"primary/node[1]\",\n"
			"     for: 200s}\n";
	struct bench b;
	struct spectator s;

	if (geteuid() != 0) {
		printf("skipped: fs.torn_seq needs a mount: not root\n");
		return;
	}
	bench_open(&b);
	ck_assert_int_eq(drill("torn", text, &s), 0);
	cJSON *record = compare(&b, "torn", &s);
	ck_assert_uint_eq(s.falls, 1);
	ck_assert_str_eq(
		audit_word(cJSON_GetArrayItem(audit_field(record, "faults"), 0), "observed"),
		"writes torn: 0 -> 1");
	cJSON_Delete(record);
	nothing_left();
	bench_close(&b);
}
END_TEST

/* A rank that exits, a GPU that is lost, a rank that hangs until the watchdog of the others aborts,
 * a pause that is shorter; and checkpoints with a missing shard and with a torn one. */
START_TEST(many_failures)
{
	static const char text[] = "apiVersion: drsim/v1\nname: many\nseed: 8\nduration: 40m\n"
				   "objectives: {frt: 40m}\n" JOB(
					   "5", "4",
					   "      spares: 1\n      restart: 1m\n"
					   "      checkpoint: {every: 150s, bytes: 40GB, keep: "
					   "3}\n") "recovery: {diagnose: 1m, repair: {time: 60m, "
						   "crews: 1}}\n"
						   "steps:\n"
						   "  - {at: 4m, fault: proc.kill, target: "
						   "\"job/pretrain/rank[0]\"}\n"
						   "  - {at: 9m, fault: gpu.lost, target: "
						   "\"primary/node[1]/gpu[3]\", for: permanent}\n"
						   "  - {at: 14m, fault: ckpt.missing_shard, "
						   "target: \"job/pretrain/ckpt[-1]\", for: "
						   "permanent}\n"
						   "  - {at: 14.2m, fault: proc.kill, target: "
						   "\"job/pretrain/rank[2]\"}\n"
						   "  - {at: 20m, fault: ckpt.torn_save, target: "
						   "\"job/pretrain/ckpt[-1]\", for: "
						   "permanent}\n"
						   "  - {at: 20.2m, fault: proc.pause, target: "
						   "\"job/pretrain/rank[3]\", for: 3m}\n"
						   "  - {at: 32m, fault: proc.pause, target: "
						   "\"job/pretrain/rank[1]\", for: 1m}\n";
	struct bench b;
	struct spectator s;

	bench_open(&b);
	ck_assert_int_eq(drill("many", text, &s), 0);
	cJSON *record = compare(&b, "many", &s);
	ck_assert_uint_eq(s.bad, 2);
	ck_assert_uint_eq(s.falls, 4); /* the short pause ends before anybody aborts */
	const cJSON *fault;
	cJSON_ArrayForEach (fault, audit_field(record, "faults"))
		ck_assert(cJSON_IsTrue(audit_field(fault, "effective")));
	cJSON_Delete(record);
	nothing_left();
	bench_close(&b);
}
END_TEST

/* Without a spare it waits for the repair of its node; then it does all of its work. */
START_TEST(all_its_work)
{
	static const char text[] =
		"apiVersion: drsim/v1\nname: work\nseed: 9\nduration: 24m\n"
		"objectives: {frt: 20m}\n" JOB(
			"4", "4",
			"      restart: 1m\n      work: 12m\n"
			"      checkpoint: {every: 150s, bytes: 4GB, async: false, keep: "
			"2}\n") "recovery: {diagnose: 1m, repair: {time: 3m, crews: 1}}\n"
				"steps:\n"
				"  - {at: 6m, fault: node.crash, target: "
				"\"primary/node[0]\"}\n";
	struct bench b;
	struct spectator s;

	bench_open(&b);
	ck_assert_int_eq(drill("work", text, &s), 0);
	cJSON *record = compare(&b, "work", &s);
	const cJSON *job = cJSON_GetArrayItem(cJSON_GetObjectItem(record, "jobs"), 0);
	ck_assert(cJSON_IsTrue(audit_field(job, "complete")));
	ck_assert_uint_eq(s.step, 144);
	ck_assert_double_eq_tol(number(job, "work_s"), 7.2, 1e-9);
	ck_assert_double_lt(number(job, "wall_s"), 24 * 0.6);
	/* Diagnosis and repair, and only then its restart. */
	ck_assert_double_gt(number(job, "down_s"), 0.6 + 1.8 + 0.6);
	cJSON_Delete(record);
	nothing_left();
	bench_close(&b);
}
END_TEST

/* Saves that came to nothing, by the events: none of them was ever seen as a whole. */
static int given_up(struct bench *b, const char *name, const struct spectator *s)
{
	char *text = bench_read(b, arena_printf(&b->arena, "%s/events.jsonl", name), NULL), *line;
	int count = 0;

	while ((line = strsep(&text, "\n"))) {
		cJSON *event = cJSON_Parse(line);
		if (event && audit_is(event, "job.checkpoint") &&
		    !cJSON_IsTrue(audit_field(event, "ok"))) {
			count++;
			for (size_t i = 0; i < s->count; i++)
				ck_assert_int_ne(audit_number(event, "step"),
						 (nanos)s->seen[i].step);
		}
		cJSON_Delete(event);
	}
	return count;
}

/* No save is whole while the volume is full; a node that hangs takes the gang with it. */
START_TEST(saves_fail)
{
	static const char text[] =
		"apiVersion: drsim/v1\nname: full\nseed: 10\nduration: 30m\n"
		"objectives: {frt: 30m}\n" JOB(
			"5", "4",
			"      spares: 1\n      restart: 1m\n"
			"      checkpoint: {every: 150s, bytes: 4TB, async: false, takes: 15s, "
			"keep: 2}\n") "recovery: {diagnose: 1m, repair: {time: 3m, crews: 1}}\n"
				      "steps:\n"
				      "  - {at: 4m, fault: disk.fill, target: \"primary/node[0]\", "
				      "for: 5m}\n"
				      "  - {at: 16m, fault: node.hang, target: "
				      "\"primary/node[1]\", for: 8m}\n";
	struct bench b;
	struct spectator s;

	if (geteuid() != 0) {
		printf("saves_fail: left out, only root may mount a volume of limited size\n");
		return;
	}
	bench_open(&b);
	ck_assert_int_eq(drill("full", text, &s), 0);
	cJSON *record = compare(&b, "full", &s);
	ck_assert_int_ge(given_up(&b, "full", &s), 1);
	ck_assert_uint_eq(s.bad, 0);
	ck_assert_uint_eq(s.falls, 1);
	cJSON_Delete(record);
	nothing_left();
	bench_close(&b);
}
END_TEST

static void enter(void)
{
	workplace_enter("real-jobs");
}

static void leave(void)
{
	workplace_leave();
}

int main(void)
{
	Suite *suite = suite_create("real_jobs");
	TCase *tcase = tcase_create("drills");
	int failed;

	/* Machines are namespaces and mounts where there are any. */
	tcase_add_checked_fixture(tcase, enter, leave);
	tcase_set_timeout(tcase, 200);
	tcase_add_test(tcase, an_older_checkpoint);
	tcase_add_test(tcase, a_torn_save);
	tcase_add_test(tcase, many_failures);
	tcase_add_test(tcase, all_its_work);
	tcase_add_test(tcase, saves_fail);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
