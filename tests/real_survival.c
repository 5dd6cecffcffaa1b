/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stays on the host when drsim is killed in the middle of a drill, in half of the cases with
 * its guardian: after `drsim revert` at the latest nothing, and the next drill starts.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/audit.h"
#include "tests/process_drills.h"
#include "tests/program.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define RUNS 20
#define RUNS_SOAK 200
#define PROCESSES_MAX 256
#define SPAN_MS 7600 /* of one drill, from its start to its last moment */

/* Files cut, removed and filled, a process stopped, a GPU away, machines frozen: each of it is in
 * place for a part of the drill. */
static const struct drill_plan plan = {
	.name = "short",
	.duration = "55s",
	.detect = "misses: 1000",
	.steps = "  - {at: 3s, fault: data.truncate, target: data/training, for: 20s}\n"
		 "  - {at: 5s, fault: proc.pause, target: endpoint/chat, for: 15s}\n"
		 "  - {at: 8s, fault: disk.fill, target: \"primary/node[1]\", percent: 10%, for: "
		 "25s}\n"
		 "  - {at: 10s, fault: data.delete, target: data/io, for: 15s}\n"
		 "  - {at: 20s, fault: gpu.lost, target: \"backup/node[1]/gpu[0]\", for: 25s}\n"
		 "  - {at: 25s, fault: node.hang, target: \"primary/node[1]\", for: 15s}\n"
		 "  - {at: 30s, fault: standby.unavailable, target: standby, for: 20s}\n",
};

struct counts {
	unsigned runs, with_guardian, over, by_guardian, dirty, refused, left;
};

static bool is_named(pid_t pid, const char *name)
{
	char path[64], text[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%ld/comm", (long)pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	text[strcspn(text, "\n")] = '\0';
	return strcmp(text, name) == 0;
}

/* The guardian of the only drill that runs with our $DRSIM_STATE; 0: there is none. */
static pid_t guardian(void)
{
	pid_t pids[PROCESSES_MAX];
	size_t count = drill_processes(pids, PROCESSES_MAX);

	for (size_t i = 0; i < count; i++)
		if (is_named(pids[i], "drsim-guardian"))
			return pids[i];
	return 0;
}

static char *said(const char *log)
{
	return workplace_read(log);
}

static char *said_by(const char *out)
{
	char path[64];

	snprintf(path, sizeof(path), "%s.log", out);
	return said(path);
}

/* Something is in the journal still: a drill must say so and not begin. */
static void check_refusal(pid_t killed, struct counts *counts)
{
	struct stat status;
	char *text;

	if (*drill_left(killed) == '\0')
		return;
	counts->dirty++;
	pid_t pid = drill_start("short", "refused", NULL);
	int code = drill_wait(pid, 60);
	text = said("refused.log");
	ck_assert_msg(code == 3, "on a dirty host a drill ends with %d: %s", code, text);
	ck_assert_msg(strstr(text, "drsim revert") != NULL, "it does not say what to do: %s", text);
	ck_assert_int_ne(stat("refused", &status), 0);
	free(text);
	counts->refused++;
}

/* The folder that the record was to be written to, half made. */
static bool has_folder(const char *out)
{
	DIR *folder = opendir(".");
	const struct dirent *entry;
	bool found = false;
	char name[64];

	ck_assert_ptr_nonnull(folder);
	snprintf(name, sizeof(name), "%s.tmp-", out);
	while ((entry = readdir(folder)))
		found = found || strncmp(entry->d_name, name, strlen(name)) == 0;
	closedir(folder);
	return found;
}

static void check_revert(pid_t killed, const char *out, struct counts *counts)
{
	const char *const words[] = {"revert", out, NULL};
	int code = drill_wait(drill_command("revert.log", words), 60);
	char *text = said("revert.log");
	const char *left = drill_left_after(killed, 2);

	counts->left += *left != '\0' || has_folder(out);
	/* Killed before it made its folder, with nothing left: there is nothing to name. */
	ck_assert_msg(code == 0 || strstr(text, "no run folder"), "drsim revert ends with %d: %s",
		      code, text);
	ck_assert_msg(*left == '\0', "left after drsim revert: %s(%s)", left, text);
	ck_assert_msg(!has_folder(out), "the folder of %s is left (%s)", out, text);
	free(text);
}

/* drsim dies at `ms` after its start, and with it the guardian where `both`. */
static void kill_once(int run, struct dice *dice, struct counts *counts)
{
	bool both = run % 2 == 1;
	int ms = (int)dice_below(dice, SPAN_MS);
	char out[32];

	snprintf(out, sizeof(out), "run-%d", run);
	pid_t pid = drill_start("short", out, NULL);
	program_pause(ms);
	pid_t watcher = both ? guardian() : 0;
	/* The guardian first: it must not see the end of drsim. */
	if (watcher)
		kill(watcher, SIGKILL);
	kill(pid, SIGKILL);
	int code = drill_wait(pid, 60);
	counts->runs++;
	/* The next drill always starts: it is never refused. */
	ck_assert_msg(code == 128 + SIGKILL || code == 0, "drill %d ends with %d: %s", run, code,
		      said_by(out));
	counts->over += code == 0;
	counts->with_guardian += watcher != 0;
	if (watcher)
		check_refusal(pid, counts);
	else if (code != 0)
		counts->by_guardian += *drill_left_after(pid, 30) == '\0';
	check_revert(pid, out, counts);
}

START_TEST(killed_at_any_moment)
{
	const char *soak = getenv("DRSIM_SOAK"), *seed = getenv("DRSIM_SEED");
	int runs = soak && *soak ? RUNS_SOAK : RUNS;
	struct dice dice = {.state = seed ? (uint64_t)atoll(seed) : 4}; /* style: allow */
	struct counts counts = {0};

	workplace_enter("real-survival");
	drill_write(&plan);
	for (int run = 0; run < runs; run++)
		kill_once(run, &dice, &counts);
	printf("killed: %u drills at random moments, %u with their guardian, %u were over before; "
	       "%u were all cleared by their guardian; "
	       "%u left a dirty host, %u of them were refused; left after revert: %u\n",
	       counts.runs, counts.with_guardian, counts.over, counts.by_guardian, counts.dirty,
	       counts.refused, counts.left);
	ck_assert_uint_eq(counts.left, 0);
	ck_assert_uint_eq(counts.refused, counts.dirty);
	ck_assert_uint_gt(counts.with_guardian, 0);
	ck_assert_uint_gt(counts.dirty, 0);
	ck_assert_uint_eq(counts.by_guardian, counts.runs - counts.with_guardian - counts.over);
	/* A drill starts and ends well after all of that. */
	int code = drill_run("short", "last", NULL);
	ck_assert_msg(code == 0, "the drill after them: exit %d: %s", code, said("last.log"));
	ck_assert_str_eq(drill_left(0), "");
	workplace_leave();
}
END_TEST

static void add_cases(Suite *suite)
{
	const char *soak = getenv("DRSIM_SOAK");
	TCase *tcase = tcase_create("killed_at_any_moment");

	tcase_add_test(tcase, killed_at_any_moment);
	tcase_set_timeout(tcase, soak && *soak ? 1800 : 600);
	suite_add_tcase(suite, tcase);
}

TEST_MAIN("real_survival", add_cases)
