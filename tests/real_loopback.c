/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A drill without root: as a user without any right it runs on loopback, or in a user namespace
 * where that is allowed, and says what it could not do.
 */
#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/host/process.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define NOBODY 65534
#define WORDS_MAX 40

static char folder[PATH_MAX];

/* A user without rights may not be able to see where the test was started: it gets copies. */
static void copy(const char *from, const char *to, mode_t mode)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out;
	char block[65536];
	ssize_t got;

	ck_assert_msg(in >= 0, "%s: %s", from, strerror(errno));
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	ck_assert_int_ge(out, 0);
	while ((got = read(in, block, sizeof(block))) > 0)
		ck_assert_int_eq(write(out, block, (size_t)got), got);
	ck_assert_int_eq(got, 0);
	close(in);
	close(out);
}

static void setup(void)
{
	char path[2 * PATH_MAX];

	workplace_enter("loopback");
	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	copy(workplace_program, "drsim", 0755);
	snprintf(path, sizeof(path), "%.*s/minilepton",
		 (int)(strrchr(workplace_program, '/') - workplace_program), workplace_program);
	copy(path, "minilepton", 0755);
	snprintf(path, sizeof(path), "%s/scenarios/gpu_loss.yaml", workplace_root);
	copy(path, "gpu_loss.yaml", 0644);
	ck_assert_int_eq(mkdir("home", 0700), 0);
	/* The folder of a test is its owner's alone. */
	if (geteuid() == 0)
		ck_assert(chown("home", NOBODY, NOBODY) == 0 && chown(".", NOBODY, NOBODY) == 0);
}

static void teardown(void)
{
	workplace_leave();
}

/* Looks at all command lines, which are for everybody to read: agents of the drill that run, and
 * those of them that show the token. */
static void look_at_commands(size_t *agents, size_t *shown)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)) != NULL) {
		char path[300], text[4096];
		snprintf(path, sizeof(path), "/proc/%s/cmdline", entry->d_name);
		int fd = entry->d_name[0] >= '1' && entry->d_name[0] <= '9'
				 ? open(path, O_RDONLY | O_CLOEXEC)
				 : -1;
		ssize_t got = fd >= 0 ? read(fd, text, sizeof(text)) : 0;
		if (fd >= 0)
			close(fd);
		if (got <= 0 || !memmem(text, (size_t)got, folder, strlen(folder)))
			continue;
		*agents += memmem(text, (size_t)got, "minilepton\0node", 16) != NULL;
		*shown += memmem(text, (size_t)got, "--token", 7) != NULL;
	}
	closedir(dir);
}

static size_t agents_seen, tokens_seen;
static bool interrupts; /* as soon as an agent runs */

/* The program in the folder, as a user without rights; its exit code. */
static int run_as_nobody(const char *const *words, const char *output)
{
	char home[PATH_MAX + 16], state[PATH_MAX + 32];
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		int out = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		snprintf(home, sizeof(home), "%s/home", folder);
		snprintf(state, sizeof(state), "%s/state", home);
		setenv("HOME", home, 1);
		setenv("DRSIM_STATE", state, 1);
		dup2(out, STDOUT_FILENO);
		dup2(out, STDERR_FILENO);
		if (geteuid() == 0 && (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
				       setresuid(NOBODY, NOBODY, NOBODY)))
			_exit(126);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execv("./drsim", (char *const *)(uintptr_t)words);
		_exit(127);
	}
	ck_assert_int_gt(pid, 0);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		look_at_commands(&agents_seen, &tokens_seen);
		if (interrupts && agents_seen > 0) {
			ck_assert_int_eq(kill(pid, SIGINT), 0);
			interrupts = false;
		}
		usleep(50000);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static const cJSON *find(const cJSON *record, const char *path)
{
	char *all = strdup(path), *rest = NULL;

	for (char *at = strtok_r(all, "/", &rest); at; at = strtok_r(NULL, "/", &rest))
		record = cJSON_IsArray(record)
				 ? cJSON_GetArrayItem(record, (int)strtol(at, NULL, 10))
				 : cJSON_GetObjectItemCaseSensitive(record, at);
	ck_assert_msg(record != NULL, "no %s", path);
	free(all);
	return record;
}

/* Does any of the sentences on what the host could not do begin so? */
static bool is_lost(const cJSON *record, const char *begin)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, find(record, "environment/lost"))
		if (strncmp(item->valuestring, begin, strlen(begin)) == 0)
			return true;
	return false;
}

/* What the doctor says that is missing is what the drill says that it missed. */
static void check_doctor(const cJSON *record)
{
	static const char *const groups[] = {"freezer", "cpu", "memory"};
	const char *const words[] = {"drsim", "doctor", NULL};
	char line[64], sentence[64];

	ck_assert_int_eq(run_as_nobody(words, "doctor"), 0);
	char *said = workplace_read("doctor");
	ck_assert_msg(strstr(said, "wire capture ") && strstr(said, "namespaces "), "%s", said);
	ck_assert_msg(strstr(said, "undo journal   yes"), "%s", said);
	for (size_t i = 0; i < 3; i++) {
		snprintf(line, sizeof(line), "cgroup %-7s no", groups[i]);
		snprintf(sentence, sizeof(sentence), "no cgroup %s", groups[i]);
		ck_assert_msg((strstr(said, line) != NULL) == is_lost(record, sentence),
			      "the doctor and the drill differ on the %s group:\n%s", groups[i],
			      said);
	}
	free(said);
}

static void check_loopback(const cJSON *record, const char *said)
{
	const cJSON *reason = find(record, "wire_reason");

	ck_assert_str_eq(find(record, "environment/isolation")->valuestring, "loopback");
	ck_assert(is_lost(record, "no namespaces"));
	ck_assert_msg(strstr(said, "not here: no namespaces") != NULL, "%s", said);
	ck_assert(cJSON_IsNull(find(record, "wire")));
	ck_assert(cJSON_IsString(reason));
	ck_assert_ptr_nonnull(strstr(reason->valuestring, "CAP_NET_RAW"));
	ck_assert(is_lost(record, "the client's link could not be captured"));
	ck_assert_msg(strstr(said, "it takes CAP_NET_RAW") != NULL, "%s", said);
}

/* Nothing but the two empty folders, and nothing to undo. */
static void check_clean(void)
{
	const char *const words[] = {"drsim", "revert", NULL};

	ck_assert_int_eq(run_as_nobody(words, "revert"), 0);
	ck_assert_int_eq(rmdir("home/state/run"), 0);
	ck_assert_int_eq(rmdir("home/state/journal"), 0);
}

/* Some 20 requests a second, 40 seconds, and all that happens in gpu_loss. */
START_TEST(without_root)
{
	const char *isolation = _i == 0 ? "process.isolation=loopback" : "process.isolation=auto";
	/* A minute of the scenario is a third of a second here: looks and limits are wide. */
	const char *const words[WORDS_MAX] = {
		"drsim",
		"run",
		"gpu_loss.yaml",
		"--driver",
		"process",
		"--out",
		"out",
		"--set",
		isolation,
		"--set",
		"process.time_scale=0.00555",
		"--set",
		"steady_state.latency=60s",
		"--set",
		"detector.interval=30s",
		"--set",
		"detector.timeout=30s",
		"--set",
		"objectives.frt=30m",
		"--set",
		"objectives.brt=20m",
		"--set",
		"objectives.brp.seconds=60m",
		"--set",
		"objectives.availability=80%",
		"--set",
		"deployment.endpoints[0].load.rate=0.11/s",
		"--set",
		"deployment.data.io.records=0.11/s",
	};
	int code = run_as_nobody(words, "output");
	char *said = workplace_read("output");

	ck_assert_msg(code == 0, "exit code %d:\n%s", code, said);
	char *text = workplace_read("out/record.json");
	cJSON *record = cJSON_Parse(text);
	ck_assert_ptr_nonnull(record);
	if (_i == 0)
		check_loopback(record, said);
	ck_assert_str_eq(find(record, "incidents/0/path")->valuestring, "failover");
	ck_assert_double_eq(find(record, "ledger/read_back")->valuedouble,
			    find(record, "ledger/acknowledged")->valuedouble);
	ck_assert_double_gt(find(record, "ledger/acknowledged")->valuedouble, 500);
	ck_assert_double_eq(find(record, "ledger/lost")->valuedouble,
			    find(record, "incidents/0/brp/records")->valuedouble);
	check_doctor(record);
	check_clean();
	cJSON_Delete(record);
	free(text);
	free(said);
}
END_TEST

/* A drill of one step that has no effect, for whatever reason: it is not evaluable. Returns what it
 * said. */
static char *run_one_step(const char *step, cJSON **ret_record)
{
	const char *const words[WORDS_MAX] = {
		"drsim",         "run",
		"gpu_loss.yaml", "--driver",
		"process",       "--out",
		"out",           "--no-plots",
		"--set",         "process.isolation=loopback",
		"--set",         "process.time_scale=0.00555",
		"--set",         "duration=30m",
		"--set",         "deployment.endpoints[0].load.rate=0.11/s",
		"--set",         "deployment.data.io.records=0.11/s",
		"--set",         step,
	};
	int code = run_as_nobody(words, "output");
	char *said = workplace_read("output");

	ck_assert_msg(code == 3, "exit code %d:\n%s", code, said);
	char *text = workplace_read("out/record.json");
	*ret_record = cJSON_Parse(text);
	ck_assert_ptr_nonnull(*ret_record);
	free(text);
	check_clean();
	return said;
}

/* On loopback the store lies on the host's own disk: a fault that fills it is refused. Of a share
 * that is taken already nothing would be written even so. */
START_TEST(the_hosts_disk_is_not_filled)
{
	cJSON *record;
	char *said = run_one_step("steps=[{at: 10m, fault: disk.fill, percent: 1%, target: store, "
				  "for: 5m}]",
				  &record);

	ck_assert(cJSON_IsFalse(find(record, "faults/0/applied")));
	ck_assert_msg(strstr(said, "no volume of limited size") != NULL, "%s", said);
	ck_assert_uint_gt(agents_seen, 0);
	ck_assert_uint_eq(tokens_seen, 0);
	cJSON_Delete(record);
	free(said);
}
END_TEST

/* A deployment may take minutes to get ready: who is called off meanwhile does not wait for it. */
START_TEST(a_signal_ends_the_wait_for_a_deployment)
{
	const char *const words[WORDS_MAX] = {
		"drsim",
		"run",
		"gpu_loss.yaml",
		"--driver",
		"process",
		"--out",
		"out",
		"--set",
		"process.isolation=loopback",
		"--set",
		"deployment.endpoints[0].model.start=1h",
		"--set",
		"deployment.endpoints[0].load.rate=0.11/s",
		"--set",
		"deployment.data.io.records=0.11/s",
	};
	nanos begun = process_now();

	interrupts = true;
	int code = run_as_nobody(words, "output");
	char *said = workplace_read("output");
	ck_assert_msg(code == 5, "exit code %d:\n%s", code, said);
	ck_assert_msg(strstr(said, "stopped by a signal") != NULL, "%s", said);
	ck_assert_int_lt(process_now() - begun, 30 * NANOS_S);
	ck_assert_int_ne(access("out", F_OK), 0);
	check_clean();
	free(said);
}
END_TEST

/* Backups begin every ten minutes: between them no job is there that could fail. */
START_TEST(a_backup_that_never_began_did_not_fail)
{
	cJSON *record;
	char *said = run_one_step("steps=[{at: 13m, fault: backup.job_fail, target: store, "
				  "for: 3m}]",
				  &record);

	ck_assert(cJSON_IsFalse(find(record, "faults/0/effective")));
	ck_assert_str_eq(find(record, "faults/0/observed")->valuestring,
			 "failing backup jobs: 0 -> 0");
	cJSON_Delete(record);
	free(said);
}
END_TEST

static void add_cases(Suite *suite)
{
	TCase *tcase = tcase_create("without root");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 150);
	tcase_add_loop_test(tcase, without_root, 0, 2);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("refusals");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 150);
	tcase_add_test(tcase, the_hosts_disk_is_not_filled);
	tcase_add_test(tcase, a_backup_that_never_began_did_not_fail);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("signal");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, a_signal_ends_the_wait_for_a_deployment);
	suite_add_tcase(suite, tcase);
}

TEST_MAIN("real_loopback", add_cases)
