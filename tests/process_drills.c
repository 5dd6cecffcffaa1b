/* SPDX-License-Identifier: Apache-2.0 */
/* Real drills in tests, and what is left of them. */
#include "tests/process_drills.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/program.h"
#include "tests/workplace.h"

#define WORDS_MAX 32
#define LEFT_MAX 8192
#define RUN_SECONDS 110

extern char **environ;

static const char deployment[] =
	"deployment:\n"
	"  sites:\n"
	"    - {name: primary, region: eu-1, zone: a, nodes: 2, gpus: 2, racks: 2}\n"
	"    - {name: backup, region: eu-2, zone: a, nodes: 2, gpus: 2, standby: {heat: warm, "
	"replicas: 1, replication_lag: 5s}}\n"
	"  links: [{between: [primary, backup], rate: 10Gbit/s, latency: 1ms}]\n"
	"  endpoints:\n"
	"    - name: chat\n"
	"      site: primary\n"
	"      replicas: 1\n"
	"      gpus_per_replica: 2\n"
	"      model: {bytes: 1MB, start: 3s}\n"
	"      load: {rate: 2/s, service_time: {lognormal: {median: 50ms, sigma: 0.4}}, "
	"concurrency: 16}\n"
	"  gateway: {interval: 3s, timeout: 3s, misses: 2, retries: 1}\n"
	"  data:\n"
	"    model:    {bytes: 1MB, change: 0B/s}\n"
	"    training: {bytes: 2MB, change: 20kB/s}\n"
	"    io:       {bytes: 200kB, change: 200B/s, records: 2/s}\n"
	"  store: {site: backup, read: 50MB/s, write: 50MB/s}\n";

static const char rest[] =
	"recovery:\n"
	"  decide: 0s\n"
	"  fence: {timeout: 10s, on_fail: stop}\n"
	"  switch: 5s\n"
	"  restore: {order: sequential, classes: [model, training, io], before_serving: [model, "
	"io]}\n"
	"  repair: {time: 30s, crews: 1}\n"
	"  failback: {after: repaired, verify: true}\n"
	"steady_state: {success: 99%, latency: 10s, window: 10s}\n"
	"process: {time_scale: 0.1, bytes_scale: 1}\n";

void drill_write(const struct drill_plan *plan)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s.yaml", plan->name);
	file = fopen(path, "we");
	ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
	fprintf(file,
		"apiVersion: drsim/v1\nname: %s\nseed: 7\nduration: %s\n%s"
		"backup: {%s, classes: [model, training, io], verify: true, keep: 40}\n"
		"detector: {kind: probe, scope: endpoint, interval: 5s, timeout: 4s, %s}\n%s",
		plan->name, plan->duration, deployment,
		plan->backup ? plan->backup : "at_start: true, every: 30s, kind: incremental",
		plan->detect, rest);
	if (plan->steps)
		fprintf(file, "steps:\n%s", plan->steps);
	ck_assert_int_eq(fclose(file), 0);
}

pid_t drill_command(const char *log, const char *const *words)
{
	char *argv[WORDS_MAX + 2] = {workplace_program};
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int count = 1;

	for (; *words; words++) {
		ck_assert_int_lt(count, WORDS_MAX);
		argv[count++] = (char *)(uintptr_t)*words;
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	posix_spawn_file_actions_adddup2(&actions, 1, 2);
	ck_assert_int_eq(posix_spawn(&pid, workplace_program, &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

pid_t drill_start(const char *scenario, const char *out, const char *const *words)
{
	const char *all[WORDS_MAX + 1] = {"run",   NULL, "--driver",   "process",
					  "--out", out,  "--no-plots", "--quiet"};
	char path[256], log[256];
	int count = 8;

	snprintf(path, sizeof(path), strchr(scenario, '/') ? "%s" : "%s.yaml", scenario);
	snprintf(log, sizeof(log), "%s.log", out);
	all[1] = path;
	for (; words && *words; words++) {
		ck_assert_int_lt(count, WORDS_MAX);
		all[count++] = *words;
	}
	return drill_command(log, all);
}

int drill_wait(pid_t pid, int seconds)
{
	int status = 0;

	for (int ms = 0; ms < 1000 * seconds; ms += 5) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		program_pause(5);
	}
	kill(pid, SIGTERM);
	for (int ms = 0; ms < 20000 && waitpid(pid, &status, WNOHANG) != pid; ms += 5)
		program_pause(5);
	ck_abort_msg("drsim was still running after %d s", seconds);
	return -1;
}

int drill_run(const char *scenario, const char *out, const char *const *words)
{
	return drill_wait(drill_start(scenario, out, words), RUN_SECONDS);
}

cJSON *drill_record(const char *out)
{
	char path[256], *text;
	cJSON *record;

	snprintf(path, sizeof(path), "%s/record.json", out);
	text = workplace_read(path);
	record = cJSON_Parse(text);
	free(text);
	ck_assert_msg(record != NULL, "%s is not JSON", path);
	return record;
}

/* ---- what is left ---- */

static char left[LEFT_MAX];
static char cgroup_name[64];

static void tell(const char *what, const char *name)
{
	size_t used = strlen(left);

	snprintf(left + used, sizeof(left) - used, "%s %s; ", what, name);
}

/* Is "NAME=VALUE" in the environment that the process was started with? */
static bool has_environment(const char *pid, const char *wanted)
{
	char path[64], *text = calloc(1, 1 << 16);
	bool found = false;
	size_t size = 0;
	FILE *file;

	ck_assert_ptr_nonnull(text);
	snprintf(path, sizeof(path), "/proc/%.20s/environ", pid);
	file = fopen(path, "re");
	if (file) {
		size = fread(text, 1, (1 << 16) - 1, file);
		fclose(file);
	}
	for (size_t at = 0; at < size; at += strlen(text + at) + 1)
		found = found || strcmp(text + at, wanted) == 0;
	free(text);
	return found;
}

size_t drill_processes(pid_t *pids, size_t max)
{
	DIR *folder = opendir("/proc");
	const struct dirent *entry;
	char wanted[PATH_MAX + 32];
	size_t count = 0;

	ck_assert_ptr_nonnull(folder);
	snprintf(wanted, sizeof(wanted), "DRSIM_STATE=%s", getenv("DRSIM_STATE"));
	while ((entry = readdir(folder)) && count < max) {
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10); /* style: allow */
		if (pid != getpid() && has_environment(entry->d_name, wanted))
			pids[count++] = pid;
	}
	closedir(folder);
	return count;
}

static void look_processes(void)
{
	pid_t pids[256];
	size_t count = drill_processes(pids, 256);
	char path[64], name[64];

	for (size_t i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "/proc/%ld/comm", (long)pids[i]);
		FILE *file = fopen(path, "re");
		if (!file)
			continue; /* it has ended */
		name[fread(name, 1, sizeof(name) - 1, file)] = '\0';
		fclose(file);
		name[strcspn(name, "\n")] = '\0';
		tell("process", name);
	}
}

static void look_mounts(void)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char line[4096];

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file))
		if (strstr(line, getenv("DRSIM_STATE")))
			tell("mount", line);
	fclose(file);
}

static int look_cgroup(const char *path, const struct stat *status, int type, struct FTW *at)
{
	(void)status;
	if (type == FTW_D && strncmp(path + at->base, cgroup_name, strlen(cgroup_name)) == 0)
		tell("cgroup", path);
	return 0;
}

static void look_folder(const char *name)
{
	char path[PATH_MAX + 32];
	const struct dirent *entry;
	DIR *folder;

	snprintf(path, sizeof(path), "%s/%s", getenv("DRSIM_STATE"), name);
	folder = opendir(path);
	if (!folder)
		return;
	while ((entry = readdir(folder)))
		if (entry->d_name[0] != '.')
			tell(name, entry->d_name);
	closedir(folder);
}

bool drill_folder(pid_t run, char *path, size_t room)
{
	char state[PATH_MAX + 8], prefix[32];
	const struct dirent *entry;
	bool found = false;
	DIR *folder;

	snprintf(state, sizeof(state), "%s/run", getenv("DRSIM_STATE"));
	snprintf(prefix, sizeof(prefix), "%ld-", (long)run);
	folder = opendir(state);
	while (folder && !found && (entry = readdir(folder))) {
		found = strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
		snprintf(path, room, "%s/%s", state, entry->d_name);
	}
	if (folder)
		closedir(folder);
	return found;
}

const char *drill_left(pid_t run)
{
	left[0] = '\0';
	look_processes();
	look_mounts();
	look_folder("run");
	look_folder("journal");
	if (run > 0) {
		snprintf(cgroup_name, sizeof(cgroup_name), "drsim-%ld-", (long)run);
		nftw("/sys/fs/cgroup", look_cgroup, 16, FTW_PHYS);
	}
	return left;
}

const char *drill_left_after(pid_t run, int seconds)
{
	for (int i = 0; i < 20 * seconds && *drill_left(run); i++)
		program_pause(50);
	return left;
}
