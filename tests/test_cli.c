/* SPDX-License-Identifier: Apache-2.0 */
/* The program from outside: options, exit codes, what it prints, and what it leaves on the disk. */
/* valgrind: skip */
#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/fault.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define ARGUMENTS_MAX 24
#define TIMEOUT_S 300 /* of a test under a sanitizer on a busy machine */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LOADED_MAX 16 /* libraries of a command, the sanitizer's own among them */
#else
#define LOADED_MAX 9
#endif

extern char **environ;

/* Every site, link and data class that an example of the catalogue may point at. */
static const char scenario_head[] =
	"# A GPU is lost and the standby takes over.\n"
	"apiVersion: drsim/v1\n"
	"name: tiny\n"
	"seed: 42\n"
	"duration: 2h\n"
	"objectives: {frt: 10m, brp: {seconds: 30m}, availability: 50%}\n"
	"deployment:\n"
	"  sites:\n"
	"    - {name: primary, region: eu-1, nodes: 4, shape: gpu.8xh100-sxm}\n"
	"    - {name: backup, nodes: 4, shape: gpu.8xh100-sxm, standby: {heat: warm}}\n"
	"  links: [{between: [primary, backup], rate: 100Gbit/s, latency: 12ms}]\n"
	"  endpoints:\n"
	"    - {name: chat, site: primary, replicas: 1, gpus_per_replica: 8,\n"
	"       model: {bytes: 140GB, start: 45s}, load: {rate: 20/s, service_time: 250ms}}\n"
	"  data:\n"
	"    model: {bytes: 140GB, change: 0B/s}\n"
	"    io: {bytes: 20GB, change: 1MB/s, records: 120/s}\n"
	"  store: {site: backup, read: 8GB/s, write: 4GB/s}\n"
	"backup: {every: 10m, classes: [model, io], verify: true}\n"
	"detector: {kind: probe, interval: 10s, timeout: 1s, misses: 3}\n"
	"recovery: {switch: 20s}\n";
static const char scenario_steps[] = "steps:\n"
				     "  - {at: {uniform: {from: 30m, to: 40m}}, fault: gpu.lost,\n"
				     "     target: \"primary/node[0]/gpu[3]\"}\n";

/* ---- a folder for each test, and the program in it ---- */

struct result {
	int code;        /* exit code, or -signal */
	char *out, *err; /* 0-terminated */
};

static void write_text(const char *name, const char *text, const char *more)
{
	FILE *file = fopen(name, "we");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fputs(more, file);
	ck_assert_int_eq(fclose(file), 0);
}

static void setup(void)
{
	workplace_enter("cli");
	write_text("tiny.yaml", scenario_head, scenario_steps);
}

/* Starts drsim with the words of `line`, one space between two; one at the end: an empty word. */
static pid_t start_with(const char *line, posix_spawn_file_actions_t *actions)
{
	char *argv[ARGUMENTS_MAX] = {workplace_program}, *words = strdup(line), *rest = words,
	     *word;
	size_t count = 1;
	pid_t pid;

	while ((word = strsep(&rest, " ")) != NULL && count + 1 < ARGUMENTS_MAX)
		argv[count++] = word;
	if (!*line)
		argv[1] = NULL;
	ck_assert_int_eq(posix_spawn(&pid, workplace_program, actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(actions);
	free(words);
	return pid;
}

static pid_t start(const char *line, const char *out)
{
	posix_spawn_file_actions_t actions;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, out, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	posix_spawn_file_actions_addopen(&actions, 2, ".err", O_WRONLY | O_CREAT | O_TRUNC, 0666);
	return start_with(line, &actions);
}

/* Its standard output is a pipe whose reader has left, or, like the other two, closed. */
static pid_t start_unread(const char *line, bool closed)
{
	posix_spawn_file_actions_t actions;
	int ends[2];
	pid_t pid;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	close(ends[0]);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
	for (int fd = 0; closed && fd < 3; fd++)
		posix_spawn_file_actions_addclose(&actions, fd);
	pid = start_with(line, &actions);
	close(ends[1]);
	return pid;
}

static int wait_for(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static struct result drsim(const char *line)
{
	struct result result = {.code = wait_for(start(line, ".out"))};

	result.out = workplace_read(".out");
	result.err = workplace_read(".err");
	return result;
}

static void done(struct result *result)
{
	free(result->out);
	free(result->err);
}

/* Runs it, checks the exit code and that `part` stands on one of the two outputs. */
static void expect(const char *line, int code, const char *part)
{
	struct result result = drsim(line);

	ck_assert_msg(result.code == code, "drsim %s: exit %d, not %d\n%s%s", line, result.code,
		      code, result.out, result.err);
	ck_assert_msg(strstr(result.out, part) || strstr(result.err, part),
		      "drsim %s: no '%s' in\n%s%s", line, part, result.out, result.err);
	/* Errors go to standard error and leave standard output empty. */
	if (code == 2 && strncmp(line, "check", 5) != 0)
		ck_assert_str_eq(result.out, "");
	done(&result);
}

/* What lies in the folder beside the files of the test itself. */
static void expect_nothing_written(void)
{
	DIR *dir = opendir(".");
	struct dirent *entry;

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)) != NULL)
		ck_assert_msg(entry->d_name[0] == '.' || strcmp(entry->d_name, "tiny.yaml") == 0,
			      "%s was left behind", entry->d_name);
	closedir(dir);
}

static bool exists(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0;
}

/* Is there a temporary run folder in the folder `dir`? */
static bool has_temporary(const char *dir)
{
	DIR *open = opendir(dir);
	struct dirent *entry;
	bool found = false;

	while (open && (entry = readdir(open)) != NULL)
		found = found || strstr(entry->d_name, ".tmp-") != NULL;
	if (open)
		closedir(open);
	return found;
}

static cJSON *read_json(const char *name)
{
	char *text = workplace_read(name);
	cJSON *json = cJSON_ParseWithOpts(text, NULL, 1);

	ck_assert_msg(json != NULL, "%s is not JSON", name);
	free(text);
	return json;
}

static const cJSON *item(const cJSON *object, const char *a, const char *b)
{
	const cJSON *inner = cJSON_GetObjectItemCaseSensitive(object, a);

	return b ? cJSON_GetObjectItemCaseSensitive(inner, b) : inner;
}

/* ---- help ---- */

START_TEST(help)
{
	static const char *const there[] = {"run ",    "check ",  "plan ",   "list ",
					    "doctor ", "report ", "revert ", "keygen ",
					    "verify ", "bundle ", "help "};
	struct result result = drsim("--help");

	ck_assert_int_eq(result.code, 0);
	ck_assert_str_eq(result.err, "");
	for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++)
		ck_assert_ptr_nonnull(strstr(result.out, there[i]));
	done(&result);
	expect_nothing_written();
}
END_TEST

/* The texts as they are kept in tests/golden/. */
static const struct {
	const char *line, *golden;
} helps[] = {
	{"--help", "cli_help.txt"},
	{"help", "cli_help.txt"},
	{"-h", "cli_help.txt"},
	{"help run", "cli_help_run.txt"},
	{"run --help", "cli_help_run.txt"},
	{"run nothing.yaml --help", "cli_help_run.txt"},
	{"help list", "cli_help_list.txt"},
};

START_TEST(help_golden)
{
	struct result result = drsim(helps[_i].line);
	char path[2 * PATH_MAX], *golden;

	snprintf(path, sizeof(path), "%s/tests/golden/%s", workplace_root, helps[_i].golden);
	golden = workplace_read(path);
	ck_assert_int_eq(result.code, 0);
	ck_assert_str_eq(result.out, golden);
	free(golden);
	done(&result);
}
END_TEST

START_TEST(help_is_quick)
{
	double best = 1;

	/* The best of some runs is what the program needs; the rest is the machine's. */
	for (int i = 0; i < 20; i++) {
		struct timespec before, after;
		double took;

		clock_gettime(CLOCK_MONOTONIC, &before);
		ck_assert_int_eq(wait_for(start("--help", ".out")), 0);
		clock_gettime(CLOCK_MONOTONIC, &after);
		took = (double)(after.tv_sec - before.tv_sec) +
		       (double)(after.tv_nsec - before.tv_nsec) / 1e9;
		best = took < best ? took : best;
	}
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	ck_assert_double_lt(best, 1);
#else
	ck_assert_double_lt(best, 0.010);
#endif
}
END_TEST

/* What only real drills and remote stores call is not even loaded by anything else; but the doctor
 * tries what real drills use. */
static const char *const light_lines[] = {
	"--help",
	"list faults",
	"check tiny.yaml",
	"plan tiny.yaml",
	"plan tiny.yaml --driver process",
	"run tiny.yaml --out run",
	"revert",
};

START_TEST(loads_little)
{
	static const char *const heavy[] = {"libcurl",  "libssl", "libpcap",
					    "libdbus-", "libnl-", "libmicrohttpd"};
	static const char mark[] = "calling init: ";
	char path[64], *text;
	size_t count = 0;
	pid_t pid;

	/* The dynamic linker's own account of what it loads, at the start or later. */
	setenv("LD_DEBUG", "files", 1);
	setenv("LD_DEBUG_OUTPUT", ".loaded", 1);
	pid = start(light_lines[_i], ".out");
	unsetenv("LD_DEBUG");
	unsetenv("LD_DEBUG_OUTPUT");
	ck_assert_int_eq(wait_for(pid), 0);
	snprintf(path, sizeof(path), ".loaded.%ld", (long)pid);
	text = workplace_read(path);
	for (const char *at = text; (at = strstr(at, mark)) != NULL; at += strlen(mark))
		count++;
	ck_assert_ptr_nonnull(strstr(text, "libc.so.6"));
	for (size_t i = 0; i < sizeof(heavy) / sizeof(heavy[0]); i++)
		ck_assert_msg(strstr(text, heavy[i]) == NULL, "drsim %s loads %s", light_lines[_i],
			      heavy[i]);
	ck_assert_msg(count > 0 && count <= LOADED_MAX, "drsim %s loads %zu libraries",
		      light_lines[_i], count);
	free(text);
}
END_TEST

/* Found first where libcurl is looked for, and no library. */
START_TEST(library_missing)
{
	write_text("libcurl.so.4", "", "");
	setenv("LD_LIBRARY_PATH", ".", 1);
	expect("run tiny.yaml --driver process --out run", 3,
	       "error: a library is missing: ./libcurl.so.4: ");
	expect("run tiny.yaml --driver process --out run", 3,
	       "(Debian has it in the package libcurl4)");
	unsetenv("LD_LIBRARY_PATH");
	ck_assert(!exists("run"));
}
END_TEST

/* What a real drill could not keep is refused before anything is started. */
START_TEST(too_many_backups)
{
	expect("run tiny.yaml --driver process --out run --set process.time_scale=1 --set "
	       "backup.every=5s --set duration=10h",
	       3, "the driver process makes at most 5000 backups in one drill");
	ck_assert(!exists("run"));
}
END_TEST

START_TEST(version)
{
	char path[PATH_MAX + 16], *number, line[64];

	snprintf(path, sizeof(path), "%s/VERSION", workplace_root);
	number = workplace_read(path);
	snprintf(line, sizeof(line), "drsim %.32s", number);
	expect("--version", 0, line);
	free(number);
}
END_TEST

/* ---- usage errors: exit 2, nothing written ---- */

static const struct {
	const char *line, *part;
} wrong[] = {
	{"", "usage: drsim COMMAND"},
	{"rnu tiny.yaml", "unknown command 'rnu'; did you mean 'run'?"},
	{"chekc tiny.yaml", "did you mean 'check'?"},
	{"--hlep", "unknown option '--hlep'; did you mean '--help'?"},
	{"nonsense-without-end", "unknown command 'nonsense-without-end'"},
	{"help rnu", "did you mean 'run'?"},
	{"run", "needs SCENARIO"},
	{"run tiny.yaml tiny.yaml", "one argument too many"},
	{"run tiny.yaml --sede 3", "unknown option '--sede'; did you mean '--seed'?"},
	{"run tiny.yaml --sede=3", "unknown option '--sede'; did you mean '--seed'?"},
	{"run tiny.yaml -x", "unknown option '-x'"},
	{"run tiny.yaml --seed", "--seed needs a value"},
	{"run tiny.yaml --seed abc", "--seed needs a whole number"},
	{"run tiny.yaml --seed -1", "--seed needs a whole number"},
	{"run tiny.yaml --seed 1.5", "--seed needs a whole number"},
	{"run tiny.yaml --seed 0x10", "--seed needs a whole number"},
	{"run tiny.yaml --seed=", "--seed needs a whole number"},
	{"run tiny.yaml --seed 18446744073709551616", "--seed needs a whole number"},
	{"run tiny.yaml --seed 1 --seed 2", "--seed is given twice"},
	{"run tiny.yaml --trials 0", "--trials must be 1 to 10000000"},
	{"run tiny.yaml --trials 10000001", "--trials must be 1 to 10000000"},
	{"run tiny.yaml --sham=yes", "--sham takes no value"},
	{"run tiny.yaml --driver smi", "unknown driver 'smi'; did you mean 'sim'?"},
	{"run tiny.yaml --driver docker", "unknown driver 'docker'"},
	{"run tiny.yaml --out ", "name of the run folder is empty"},
	{"run tiny.yaml --set duration=2", "--set duration=2"},
	{"run tiny.yaml --set nonsense", "--set nonsense"},
	{"run tiny.yaml --set steps[0].fault=gpu.los", "did you mean 'gpu.lost'?"},
	{"run tiny.yaml --sign key.pem", "cannot read the key key.pem"},
	{"run no.yaml --sign key.pem", "no scenario 'no.yaml'"},
	{"run tinny.yaml", "no scenario 'tinny.yaml'"},
	{"run .", ""},
	{"plan", "needs SCENARIO"},
	{"plan tinny.yaml", "no scenario 'tinny.yaml'"},
	{"plan tiny.yaml --seed 3", "unknown option '--seed'"},
	{"check", "needs SCENARIO..."},
	{"list", "needs WHAT"},
	{"list fualts", "unknown list 'fualts'; did you mean 'faults'?"},
	{"list faults gpu.los", "unknown fault 'gpu.los'; did you mean 'gpu.lost'?"},
	{"list drivers nul", "unknown driver 'nul'; did you mean 'null'?"},
	{"list faults gpu.lost more", "one argument too many"},
	{"doctor now", "one argument too many"},
	{"report", "needs RUN_DIR"},
	{"report nowhere", "no run folder 'nowhere'"},
	{"report tiny.yaml", "is no folder"},
	{"report .", "holds no record.json"},
	{"revert nowhere", "no run folder 'nowhere'"},
	{"keygen", "needs --out DIR"},
	{"verify x --key y", "cannot read the key y"},
	{"bundle", "needs RUN_DIR"},
};

START_TEST(usage)
{
	expect(wrong[_i].line, 2, wrong[_i].part);
	expect_nothing_written();
}
END_TEST

/* A typing error in the path of a shipped scenario. */
START_TEST(nearest_scenario)
{
	char text[4096];

	snprintf(text, sizeof(text), "%s%s", scenario_steps,
		 "description: A GPU is lost. The standby takes over, i.e. its replicas serve, and "
		 "what it\n  costs is measured.\n");
	ck_assert_int_eq(mkdir("scenarios", 0777), 0);
	write_text("scenarios/gpu_loss.yaml", scenario_head, scenario_steps);
	write_text("scenarios/case_study.yaml", scenario_head, text);
	write_text("scenarios/broken.yaml", "a: [", "");
	expect("run scenarios/gpu_los.yaml", 2, "did you mean 'scenarios/gpu_loss.yaml'?");
	expect("run gpu_loss", 2, "did you mean 'scenarios/gpu_loss.yaml'?");
	expect("check case-study.yaml", 2, "did you mean 'scenarios/case_study.yaml'?");
	expect("run whatever.yaml", 2, "drsim list scenarios");
	expect("list scenarios", 0,
	       "case_study             A GPU is lost. The standby takes over, i.e. its replicas "
	       "serve, and\n                       what it costs is measured.\n");
	expect("list scenarios", 0, "gpu_loss               (no description)");
	expect("list scenarios", 0, "broken                 (it cannot be read");
	expect("list scenarios gpu_loss", 0, "scenarios/gpu_loss.yaml");
	expect("list scenarios gpu_los", 2, "did you mean 'gpu_loss'?");
}
END_TEST

/* ---- run ---- */

static const char *const run_files[] = {"record.json", "events.jsonl", "scenario.yaml",
					"report.html", "report.md",    "junit.xml",
					"metrics.prom"};

static void expect_run_folder(const char *dir)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(run_files) / sizeof(run_files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, run_files[i]);
		ck_assert_msg(exists(path), "%s is missing", path);
	}
}

START_TEST(run_writes_a_folder)
{
	struct result result = drsim("run tiny.yaml --no-plots --out=one");
	cJSON *record;

	ck_assert_msg(result.code == 0, "%s%s", result.out, result.err);
	expect_run_folder("one");
	ck_assert(!has_temporary("."));
	ck_assert_ptr_nonnull(strstr(result.out, "run tiny.yaml --seed 42"));
	ck_assert_str_eq(result.err, "");
	done(&result);

	record = read_json("one/record.json");
	ck_assert_int_eq(item(record, "exit_code", NULL)->valueint, 0);
	ck_assert_str_eq(item(record, "drill", "kind")->valuestring, "simulated");
	ck_assert_ptr_nonnull(strstr(item(record, "drill", "command")->valuestring, "--seed 42"));
	ck_assert(cJSON_IsString(item(record, "drill", "started")));
	ck_assert(cJSON_IsString(item(record, "drill", "id")));
	cJSON_Delete(record);
}
END_TEST

START_TEST(run_refuses_what_exists)
{
	char *before, *after;

	expect("run tiny.yaml --no-plots --quiet --out one", 0, "");
	before = workplace_read("one/record.json");
	expect("run tiny.yaml --no-plots --out one", 2, "one exists already");
	expect("run tiny.yaml --no-plots --out one/", 2, "one exists already");
	expect("run tiny.yaml --no-plots --out .", 2, "exists already");
	expect("run tiny.yaml --no-plots --out tiny.yaml", 2, "exists already");
	after = workplace_read("one/record.json");
	ck_assert_str_eq(before, after);
	ck_assert(!has_temporary("."));
	free(before);
	free(after);
}
END_TEST

START_TEST(run_default_folder)
{
	struct dirent **entries;
	char path[PATH_MAX];
	int count;

	expect("run tiny.yaml --no-plots", 0, "runs/");
	count = scandir("runs", &entries, NULL, alphasort);
	ck_assert_int_eq(count, 3); /* . and .. */
	ck_assert_ptr_nonnull(strstr(entries[2]->d_name, "-tiny-"));
	snprintf(path, sizeof(path), "runs/%s", entries[2]->d_name);
	expect_run_folder(path);
	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
}
END_TEST

START_TEST(run_makes_parents)
{
	expect("run tiny.yaml --no-plots --out a/b/c", 0, "a/b/c");
	expect_run_folder("a/b/c");
	/* Where it cannot: not evaluable, and nothing is left of what was begun. */
	expect("run tiny.yaml --no-plots --out tiny.yaml/x", 3, "tiny.yaml");
	expect("run tiny.yaml --no-plots --out /proc/none/x", 3, "/proc/none");
}
END_TEST

START_TEST(run_json)
{
	struct result result = drsim("run tiny.yaml --no-plots --json --out one");
	char *file = workplace_read("one/record.json");

	ck_assert_int_eq(result.code, 0);
	ck_assert_str_eq(result.out, file);
	cJSON_Delete(read_json("one/record.json"));
	free(file);
	done(&result);
}
END_TEST

/* The same seed gives the same bytes, another gives others. */
START_TEST(run_repeats)
{
	char *one, *two, *three;

	expect("run --no-plots --out one -- tiny.yaml", 0, "");
	expect("run --no-plots tiny.yaml --seed=42 --out two", 0, "");
	expect("run --no-plots tiny.yaml --seed 43 --out three", 0, "--seed 43");
	one = workplace_read("one/events.jsonl");
	two = workplace_read("two/events.jsonl");
	three = workplace_read("three/events.jsonl");
	ck_assert_str_eq(one, two);
	ck_assert_str_ne(one, three);
	free(one);
	free(two);
	free(three);
}
END_TEST

/* The command at the end repeats the run: with what --set changed, and as a shell wants it. */
START_TEST(run_tells_how_to_repeat)
{
	expect("run tiny.yaml --no-plots --quiet --trials 3 --set duration=1h --out one "
	       "--set steps[0].at={\"uniform\":{\"from\":\"5m\",\"to\":\"6m\"}}",
	       0,
	       "run tiny.yaml --seed 42 --trials 3 --set duration=1h "
	       "--set 'steps[0].at={\"uniform\":{\"from\":\"5m\",\"to\":\"6m\"}}'");
	expect("run tiny.yaml --no-plots --sham --driver sim --set description=it's --out two", 0,
	       "--seed 42 --driver sim --set 'description=it'\\''s' --sham");
}
END_TEST

START_TEST(run_scenario_as_run)
{
	char *text;

	expect("run tiny.yaml --no-plots --set objectives.frt=9m --out one", 0, "");
	text = workplace_read("one/scenario.yaml");
	ck_assert_ptr_nonnull(strstr(text, "9m"));
	free(text);
	expect("check one/scenario.yaml", 0, "one/scenario.yaml: ok");
}
END_TEST

START_TEST(exit_codes)
{
	expect("run tiny.yaml --no-plots --out met", 0, "PASSED");
	expect("run tiny.yaml --no-plots --set objectives.frt=1s --out missed", 1, "FAILED");
	expect("run tiny.yaml --no-plots --driver null --out none", 3, "INVALID");
	expect("run tiny.yaml --no-plots --sham --out sham", 0, "");
	expect_run_folder("none");
}
END_TEST

START_TEST(exit_code_of_a_guard)
{
	char text[4096];

	snprintf(text, sizeof(text), "%sabort: [{when: \"duration > 20m\"}]\n", scenario_steps);
	write_text("guard.yaml", scenario_head, text);
	expect("run guard.yaml --no-plots --out one", 5, "ABORTED");
	expect_run_folder("one");
}
END_TEST

/* A detector that fires when nothing is broken is what a sham run is for. */
START_TEST(sham_alarm)
{
	expect("run tiny.yaml --no-plots --sham --out one "
	       "--set detector={\"kind\":\"poll\",\"blind\":true,\"false_fault\":\"50%\"}",
	       1, "Negative control");
}
END_TEST

/* ---- campaigns ---- */

START_TEST(campaign)
{
	cJSON *one, *many;
	char *events_one, *events_many, *a = NULL, *b = NULL;

	expect("run tiny.yaml --no-plots --out one", 0, "");
	expect("run tiny.yaml --no-plots --trials 200 --out many", 0, "--trials 200");
	one = read_json("one/record.json");
	many = read_json("many/record.json");
	events_one = workplace_read("one/events.jsonl");
	events_many = workplace_read("many/events.jsonl");
	ck_assert_str_eq(events_one, events_many);
	ck_assert_ptr_null(item(one, "campaign", NULL));
	ck_assert_int_eq(item(many, "campaign", "trials")->valueint, 200);
	a = cJSON_PrintUnformatted(item(one, "metrics", NULL));
	b = cJSON_PrintUnformatted(item(many, "metrics", NULL));
	ck_assert_str_eq(a, b);
	ck_assert_double_gt(item(item(many, "campaign", "frt_s"), "stderr", NULL)->valuedouble, 0);
	free(a);
	free(b);
	free(events_one);
	free(events_many);
	cJSON_Delete(one);
	cJSON_Delete(many);
}
END_TEST

/* ---- signals ---- */

static void pause_ms(long ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&time, NULL);
}

/* Starts a campaign that would take long, and waits until it is at it. */
static pid_t start_long(void)
{
	pid_t pid = start("run tiny.yaml --no-plots --trials 3000000 --out long", ".out");

	for (int i = 0; i < 3000 && !has_temporary("."); i++)
		pause_ms(10);
	ck_assert_msg(has_temporary("."), "the run did not begin");
	pause_ms(300);
	return pid;
}

/* The aborted run leaves a whole record, and nothing else. */
START_TEST(signal_aborts)
{
	pid_t pid = start_long();
	cJSON *record;

	kill(pid, (const int[]){SIGINT, SIGTERM, SIGHUP}[_i]);
	ck_assert_int_eq(wait_for(pid), 5);
	ck_assert(!has_temporary("."));
	expect_run_folder("long");
	record = read_json("long/record.json");
	ck_assert_str_eq(item(record, "verdict", NULL)->valuestring, "aborted");
	ck_assert_int_eq(item(record, "exit_code", NULL)->valueint, 5);
	cJSON_Delete(record);
}
END_TEST

/* Killed outright: there may be rests beside it, but nothing stands under the name. */
START_TEST(kill_leaves_no_half_record)
{
	pid_t pid = start_long();

	kill(pid, SIGKILL);
	ck_assert_int_eq(wait_for(pid), -SIGKILL);
	ck_assert(!exists("long"));
	expect("run tiny.yaml --no-plots --out long", 0, "");
}
END_TEST

/* ---- full disks ---- */

/* A tmpfs of `kilobytes` at ./full, in a mount namespace of its own. Says why when it cannot. */
static bool mount_small(int kilobytes)
{
	char size[64];

	snprintf(size, sizeof(size), "size=%dk", kilobytes);
	ck_assert(mkdir("full", 0777) == 0 || errno == EEXIST);
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("drsim-test", "full", "tmpfs", 0, size)) {
		printf("skipped: a full disk needs root and a mount: %s\n", strerror(errno));
		return false;
	}
	return true;
}

START_TEST(disk_full)
{
	static const int sizes[] = {4, 8, 16, 32, 64};
	struct result result;

	if (!mount_small(sizes[_i]))
		return;
	result = drsim("run tiny.yaml --no-plots --out full/one");
	if (result.code == 0) {
		expect_run_folder("full/one"); /* there was room for all of it */
	} else {
		ck_assert_msg(result.code == 3, "%d: %s", result.code, result.err);
		ck_assert_msg(strstr(result.err, "error"), "%s", result.err);
		ck_assert(!exists("full/one"));
		ck_assert(!has_temporary("full"));
	}
	if (sizes[_i] <= 16)
		ck_assert_int_eq(result.code, 3);
	done(&result);
	ck_assert_int_eq(umount("full"), 0);
}
END_TEST

START_TEST(output_full)
{
	ck_assert_int_eq(wait_for(start("--help", "/dev/full")), 3);
	ck_assert_int_eq(wait_for(start("run tiny.yaml --no-plots --json --out one", "/dev/full")),
			 3);
	expect_run_folder("one");
}
END_TEST

/* Who does not read what is printed does not change what was found, nor the record. */
START_TEST(output_unread)
{
	cJSON *record;
	char *text;

	for (int closed = 0; closed < 2; closed++) {
		const char *dir = closed ? "closed" : "left";
		char line[128], path[64];

		snprintf(line, sizeof(line), "run tiny.yaml --no-plots --out %s", dir);
		ck_assert_int_eq(wait_for(start_unread(line, closed)), 0);
		expect_run_folder(dir);
		snprintf(path, sizeof(path), "%s/events.jsonl", dir);
		text = workplace_read(path);
		ck_assert(strncmp(text, "{\"seq\":0,", 9) == 0 && !strstr(text, "PASSED"));
		free(text);
		snprintf(path, sizeof(path), "%s/record.json", dir);
		record = read_json(path);
		ck_assert_str_eq(item(record, "verdict", NULL)->valuestring, "passed");
		cJSON_Delete(record);
		snprintf(line, sizeof(line),
			 "run tiny.yaml --no-plots --json --set objectives.frt=1s --out %s-1", dir);
		ck_assert_int_eq(wait_for(start_unread(line, closed)), 1);
		ck_assert_int_eq(wait_for(start_unread("list faults", closed)), 0);
	}
	ck_assert(!has_temporary("."));
}
END_TEST

/* Nothing asked for and nothing recovered is no success; and it says that nothing was judged. */
START_TEST(nothing_asked)
{
	expect("run tiny.yaml --no-plots --set objectives={} --out one", 0,
	       "PASSED  tiny: no objectives were given: nothing was judged");
	expect("run tiny.yaml --no-plots --set objectives={} --set recovery.prefer=in_place "
	       "--set recovery.repair={\"time\":\"9h\"} --out two",
	       1, "FAILED  tiny: no objectives were given: nothing was judged; not recovered");
	expect("run tiny.yaml --no-plots --set objectives={} --set recovery.prefer=in_place "
	       "--set recovery.repair={\"time\":\"9h\"} --out three",
	       1, "did not come back");
}
END_TEST

/* Two drills of the same second, seed and scenario are two drills. */
START_TEST(ids_differ)
{
	cJSON *one, *two;

	expect("run tiny.yaml --no-plots --out one", 0, "");
	expect("run tiny.yaml --no-plots --out two", 0, "");
	one = read_json("one/record.json");
	two = read_json("two/record.json");
	ck_assert_str_ne(item(one, "drill", "id")->valuestring,
			 item(two, "drill", "id")->valuestring);
	cJSON_Delete(one);
	cJSON_Delete(two);
}
END_TEST

/* ---- check, plan, list ---- */

START_TEST(check_tells_every_error)
{
	struct result result;

	write_text("bad.yaml", scenario_head,
		   "steps:\n"
		   "  - {at: 5, fault: gpu.los, target: \"primary/node[0]/gpu[3]\"}\n"
		   "  - {at: 5m, fault: gpu.lost, target: \"primary/node[9]\"}\n");
	result = drsim("check tiny.yaml bad.yaml tiny.yaml");
	ck_assert_int_eq(result.code, 2);
	ck_assert_str_eq(result.out, "tiny.yaml: ok\ntiny.yaml: ok\n");
	ck_assert_msg(strstr(result.err, "bad.yaml:23:10: error:"), "%s", result.err);
	ck_assert_msg(strstr(result.err, "did you mean 'gpu.lost'?"), "%s", result.err);
	ck_assert_msg(strstr(result.err, "bad.yaml:24:"), "%s", result.err);
	done(&result);
	expect("check tiny.yaml", 0, "tiny.yaml: ok");
	expect("check --set duration=3h tiny.yaml", 0, "tiny.yaml: ok");
	expect("check --set duration=x tiny.yaml", 2, "--set duration=x");
}
END_TEST

START_TEST(plan_touches_nothing)
{
	expect("plan tiny.yaml", 0, "gpu.lost");
	expect("plan tiny.yaml", 0, "primary/node[0]/gpu[3]");
	expect("plan tiny.yaml", 0, "between 30 min and 40 min");
	expect("plan tiny.yaml", 0, "21 s to 31 s");
	expect("plan tiny.yaml", 0, "fails over to backup");
	expect("plan tiny.yaml --driver null", 0, "nothing is changed");
	expect_nothing_written();
}
END_TEST

START_TEST(plan_tells_what_links_do_not_do)
{
	expect("plan tiny.yaml", 0, "Latency and loss of links do not touch the");
	write_text("links.yaml",
		   "apiVersion: drsim/v1\nname: links\nduration: 1h\ndeployment:\n"
		   "  sites: [{name: a}, {name: b}, {name: c, standby: {heat: cold}}]\n",
		   "  links: [{between: [a, b]}, {between: [a, c]}]\n"
		   "  endpoints: [{name: e, site: a}]\n");
	expect("plan links.yaml", 0, "Link a-b carries nothing");
}
END_TEST

/* A plan of the target's own: nobody but the target mends anything. */
START_TEST(target_repairs_nothing)
{
	expect("plan tiny.yaml --set recovery={\"managed_by\":\"target\"}", 0, "nobody mends");
	expect("run tiny.yaml --set detector={\"kind\":\"slo\",\"scope\":\"node\"}", 2,
	       "a slo detector looks at endpoints");
	expect("list faults standby.unavailable", 0, "target: \"standby\"");
}
END_TEST

START_TEST(shipped_scenarios_plan)
{
	char line[2 * PATH_MAX];
	struct dirent *entry;
	size_t count = 0;
	DIR *dir;

	snprintf(line, sizeof(line), "%s/scenarios", workplace_root);
	dir = opendir(line);
	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)) != NULL) {
		if (!strstr(entry->d_name, ".yaml"))
			continue;
		snprintf(line, sizeof(line), "plan %s/scenarios/%s", workplace_root, entry->d_name);
		expect(line, 0, "Objectives");
		count++;
	}
	closedir(dir);
	ck_assert_uint_gt(count, 0);
	snprintf(line, sizeof(line), "plan %s/scenarios/training_gpu_loss.yaml", workplace_root);
	expect(line, 0, "64 nodes of primary, with 2 spares.");
	snprintf(line, sizeof(line), "plan %s/scenarios/long_run.yaml --set %s", workplace_root,
		 "lemons.share=10% --set lemons.factor=4");
	expect(line, 0, "10 % of the nodes, drawn in each trial, fail 4 times");
}
END_TEST

/* The first scenario of the README, and its annotated example. */
START_TEST(readme_example)
{
	static const char *const headings[] = {"## The real drill on one host",
					       "## How to write a scenario"};
	char path[PATH_MAX + 16], *text, *begin, *end;

	snprintf(path, sizeof(path), "%s/README.md", workplace_root);
	text = workplace_read(path);
	begin = strstr(text, headings[_i]);
	ck_assert_ptr_nonnull(begin);
	begin = strstr(begin, "```yaml\n");
	ck_assert_ptr_nonnull(begin);
	begin += strlen("```yaml\n");
	end = strstr(begin, "```");
	ck_assert_ptr_nonnull(end);
	*end = '\0';
	write_text("readme.yaml", begin, "");
	free(text);
	expect("run readme.yaml --no-plots --out one", 0, "PASSED");
}
END_TEST

static size_t fault_count(void)
{
	size_t count = 0;

	while (fault_table[count])
		count++;
	return count;
}

/* The scenario with a training job in it. */
static void write_with_job(const char *name, const char *steps)
{
	const char *rest = strstr(scenario_head, "  endpoints:\n");
	FILE *file = fopen(name, "we");

	ck_assert_ptr_nonnull(rest);
	ck_assert_ptr_nonnull(file);
	fprintf(file, "%.*s  jobs: [{name: pretrain, site: primary, nodes: 2, spares: 1}]\n%s%s",
		(int)(rest - scenario_head), scenario_head, rest, steps);
	ck_assert_int_eq(fclose(file), 0);
}

/* Its faults of calls, files and packets load, and the simulator begins nothing of it. */
START_TEST(readme_calls)
{
	char path[PATH_MAX + 32], line[PATH_MAX + 64], *text, *begin, *end;

	snprintf(path, sizeof(path), "%s/README.md", workplace_root);
	text = workplace_read(path);
	begin = strstr(text, "### Single calls");
	ck_assert_ptr_nonnull(begin);
	begin = strstr(begin, "```yaml\n");
	ck_assert_ptr_nonnull(begin);
	begin += strlen("```yaml\n");
	end = strstr(begin, "```");
	ck_assert_ptr_nonnull(end);
	*end = '\0';
	write_with_job("calls.yaml", begin);
	free(text);
	expect("check calls.yaml", 0, "ok");
	snprintf(line, sizeof(line), "run %s/tests/failing_writes.yaml --out run", workplace_root);
	expect(line, 3,
	       "the driver 'sim' cannot apply 'sys.error': it has no mechanism for "
	       "sys.error");
	ck_assert_int_eq(access("run", F_OK), -1);
	snprintf(line, sizeof(line), "plan %s/tests/failing_writes.yaml", workplace_root);
	expect(line, 0, "refused: driver sim has no way to apply sys.delay");
}
END_TEST

/* The example of every fault of the catalogue is a step that loads. */
START_TEST(fault_examples_load)
{
	struct result list = drsim("list faults");
	size_t count = 0;

	for (char *rest, *line = strtok_r(list.out, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		char command[128], name[64] = "", *example;
		struct result fault;

		if (line[0] != ' ')
			continue; /* a heading, or the hint at the end */
		ck_assert_int_eq(sscanf(line, "%63s", name), 1);
		snprintf(command, sizeof(command), "list faults %s", name);
		fault = drsim(command);
		ck_assert_int_eq(fault.code, 0);
		example = strstr(fault.out, "example:\n");
		ck_assert_msg(example != NULL, "%s", fault.out);
		/* It stands indented, as it would in a list of steps. */
		write_with_job("example.yaml", "");
		{
			FILE *file = fopen("example.yaml", "ae");
			char *step = strstr(example, "- {");

			ck_assert_ptr_nonnull(file);
			ck_assert_ptr_nonnull(step);
			fprintf(file, "steps:\n  %s", step);
			fclose(file);
		}
		expect("check example.yaml", 0, "ok");
		done(&fault);
		count++;
	}
	ck_assert_uint_eq(count, fault_count());
	done(&list);
}
END_TEST

/* One line each in the order of the catalogue, names and texts below one another, under headings
 * that keep a family together. */
START_TEST(fault_list_reads_well)
{
	struct result list = drsim("list faults");
	size_t count = 0, headings = 0, column = 0;
	bool between = true;

	for (char *rest = list.out, *line; (line = strsep(&rest, "\n")) != NULL && rest;) {
		const struct fault_ops *fault = fault_table[count];
		const char *words;

		ck_assert_uint_le(strlen(line), 100);
		if (line[0] != ' ') {
			ck_assert(between || !*line);
			headings += *line && fault;
			between = true;
			continue;
		}
		ck_assert_ptr_nonnull(fault);
		ck_assert_int_eq(strncmp(line + 2, fault->name, strlen(fault->name)), 0);
		words = strstr(line, fault->help);
		ck_assert_msg(words && words[-1] == ' ' && words[strlen(fault->help)] == '\0', "%s",
			      line);
		column = column ? column : (size_t)(words - line);
		ck_assert_uint_eq(words - line, column);
		ck_assert(count > 0 || headings == 1);
		between = false;
		count++;
	}
	ck_assert_uint_eq(count, fault_count());
	ck_assert_uint_eq(headings, 8);
	done(&list);
}
END_TEST

/* ---- every fault of the catalogue on the driver that does nothing ---- */

static const char *const kind_targets[] = {
	[ENTITY_SITE] = "primary",
	[ENTITY_RACK] = "primary/rack[0]",
	[ENTITY_NODE] = "primary/node[0]",
	[ENTITY_GPU] = "primary/node[0]/gpu[3]",
	[ENTITY_LINK] = "link[primary-backup]",
	[ENTITY_STORE] = "store",
	[ENTITY_ENDPOINT] = "endpoint/chat",
	[ENTITY_REPLICA] = "endpoint/chat/replica[0]",
	[ENTITY_DATA] = "data/io",
	[ENTITY_BACKUP] = "backup[-1]",
	[ENTITY_STANDBY] = "standby",
	[ENTITY_JOB] = "job/pretrain",
	[ENTITY_RANK] = "job/pretrain/rank[0]",
	[ENTITY_CHECKPOINT] = "job/pretrain/ckpt[-1]",
};

static void expect_no_effect(const struct fault_ops *fault, const char *target)
{
	char steps[256];
	cJSON *record;

	snprintf(steps, sizeof(steps), "steps: [{at: 34m, fault: %s, target: \"%s\"}]\n",
		 fault->name, target);
	write_with_job("null.yaml", steps);
	expect("run null.yaml --driver null --no-plots --out none", 3, "INVALID");
	record = read_json("none/record.json");
	ck_assert_str_eq(item(record, "verdict", NULL)->valuestring, "invalid");
	const cJSON *one = cJSON_GetArrayItem(item(record, "faults", NULL), 0);
	ck_assert_str_eq(item(one, "name", NULL)->valuestring, fault->name);
	ck_assert_msg(cJSON_IsFalse(item(one, "effective", NULL)), "%s on %s", fault->name, target);
	ck_assert_msg(cJSON_IsTrue(item(one, "reverted", NULL)), "%s on %s", fault->name, target);
	ck_assert_int_gt(strlen(item(one, "observed", NULL)->valuestring), 5);
	cJSON_Delete(record);
	workplace_remove("none");
}

START_TEST(no_fault_takes_on_null)
{
	const struct fault_ops *fault = fault_table[_i];
	size_t runs = 0;

	for (size_t kind = 0; kind < sizeof(kind_targets) / sizeof(kind_targets[0]); kind++) {
		if (!(fault->targets >> kind & 1) || !kind_targets[kind])
			continue;
		expect_no_effect(fault, kind_targets[kind]);
		runs++;
	}
	ck_assert_uint_gt(runs, 0);
}
END_TEST

/* What cannot stand together is found by check, with its place. */
START_TEST(params_are_checked_together)
{
	write_text("cold.yaml", scenario_head,
		   "steps:\n"
		   "  - {at: 5m, fault: gpu.thermal, celsius: 60, target: "
		   "\"primary/node[0]/gpu[3]\"}\n");
	expect("check cold.yaml", 2,
	       "cold.yaml:23:21: error: gpu.thermal: at 60 degrees nothing happens to a GPU that "
	       "slows down at 89 degrees");
	expect("run cold.yaml --driver null", 2, "gpu.thermal: at 60 degrees");
	write_text("hot.yaml", scenario_head,
		   "steps:\n"
		   "  - {at: 5m, fault: gpu.thermal, celsius: 95, target: "
		   "\"primary/node[0]/gpu[3]\"}\n");
	expect("check hot.yaml", 0, "hot.yaml: ok");
}
END_TEST

START_TEST(list_drivers)
{
	expect("list drivers", 0, "sim");
	expect("list drivers", 0, "null");
	expect("list drivers sim", 0, "gpu.lost");
	expect("list faults net.delay", 0, "duration, 1ns to 1h; default 100ms");
	expect("list faults net.rate", 0, "rate, 1B/s or more; default 1Gbit/s");
	expect("list faults gpu.sdc", 0, "percentage, 0.0001% to 100%; default 100%");
	expect("list faults region.outage", 0, "target: \"region/eu-1\"");
	expect("list faults region.outage", 0, "or region/NAME for all sites of a region");
	expect("list faults node.gray", 0,
	       "  null         none: nothing is changed (fidelity sim, privilege none)\n"
	       "  process      no: it has no way to apply serve.error\n");
	expect("list drivers process", 0, "gpu.lost");
}
END_TEST

/* ---- doctor, revert, report ---- */

START_TEST(doctor)
{
	expect("doctor", 0, "driver sim     yes");
	expect("doctor", 0, "driver process yes");
	expect("doctor", 0, "undo journal");
	expect("doctor", 0, "kernel log");
	expect("doctor", 0, "time namespace");
	expect("doctor", 0, "cgroup devices");
	ck_assert_int_eq(setenv("PATH", "/nowhere", 1), 0);
	expect("doctor", 0, "gnuplot        no");
	expect_nothing_written();
}
END_TEST

/* A gnuplot that never answers costs seconds, not the evening. */
START_TEST(doctor_does_not_hang)
{
	FILE *file;

	ck_assert_int_eq(mkdir("bin", 0777), 0);
	file = fopen("bin/gnuplot", "we");
	ck_assert_ptr_nonnull(file);
	fputs("#!/bin/sh\nexec /bin/sleep 100\n", file);
	fclose(file);
	ck_assert_int_eq(chmod("bin/gnuplot", 0755), 0);
	ck_assert_int_eq(setenv("PATH", "bin", 1), 0);
	expect("doctor", 0, "does not tell its version");
}
END_TEST

/* What a killed run left goes; whatever else has such a name stays. */
START_TEST(revert_sweeps)
{
	char name[64], other[80], line[128];
	pid_t pid = start_long();

	snprintf(name, sizeof(name), "long.tmp-%ld", (long)pid);
	expect("revert long", 0, "which is running: left alone");
	ck_assert(exists(name));
	kill(pid, SIGKILL);
	ck_assert_int_eq(wait_for(pid), -SIGKILL);
	ck_assert(exists(name));
	snprintf(other, sizeof(other), "other.tmp-%ld", (long)pid);
	ck_assert_int_eq(mkdir(other, 0777), 0);
	expect("revert", 0, "nothing to undo");
	snprintf(line, sizeof(line), "%s/notes.txt", name);
	write_text(line, "mine", "");
	expect("revert long", 0, "not of a run: left alone");
	ck_assert_int_eq(unlink(line), 0);
	snprintf(line, sizeof(line), "%s: removed", name);
	expect("revert ./long", 0, line);
	ck_assert(!exists(name));
	ck_assert(exists(other));
	expect("revert long", 2, "no run folder 'long'");

	ck_assert_int_eq(mkdir("runs", 0777), 0);
	snprintf(name, sizeof(name), "runs/20260301T020000Z-tiny-%ld.tmp-%ld", (long)pid,
		 (long)pid);
	snprintf(other, sizeof(other), "runs/20260301T020000Z-tiny-1%ld.tmp-%ld", (long)pid,
		 (long)pid);
	ck_assert_int_eq(mkdir(name, 0777), 0);
	ck_assert_int_eq(symlink(name, "runs/20260301T020000Z-tiny-9.tmp-9"), 0);
	ck_assert_int_eq(mkdir(other, 0777), 0);
	snprintf(line, sizeof(line), "%s/record.json.tmp-%ld", name, (long)pid);
	write_text(line, "{", "");
	/* Plots, finished or not, are of the run; what else lies beside them is somebody's. */
	snprintf(line, sizeof(line), "%s/plots", name);
	ck_assert_int_eq(mkdir(line, 0777), 0);
	snprintf(line, sizeof(line), "%s/plots/incident.svg.tmp-%ld", name, (long)pid);
	write_text(line, "<svg", "");
	snprintf(line, sizeof(line), "%s/plots/incident.gp", name);
	write_text(line, "plot 1", "");
	snprintf(line, sizeof(line), "%s/plots/mine.txt", name);
	write_text(line, "mine", "");
	expect("revert ", 0, "not of a run: left alone");
	ck_assert_int_eq(unlink(line), 0);
	expect("revert ", 0, "removed");
	ck_assert(!exists(name));
	ck_assert(exists(other));
	ck_assert(exists("runs/20260301T020000Z-tiny-9.tmp-9"));
	expect("revert", 0, "nothing to undo");
}
END_TEST

START_TEST(revert)
{
	expect("revert", 0, "nothing to undo");
	expect("revert .", 0, "nothing to undo");
	expect("revert tiny.yaml", 2, "is no folder");
}
END_TEST

START_TEST(report_again)
{
	char *before, *after;

	expect("run tiny.yaml --no-plots --out one", 0, "");
	before = workplace_read("one/report.html");
	ck_assert_int_eq(unlink("one/report.html"), 0);
	expect("report one --no-plots", 0, "one: written again");
	after = workplace_read("one/report.html");
	ck_assert_str_eq(before, after);
	free(after);
	expect("report one --no-plots --out two", 0, "two: written again");
	after = workplace_read("two/report.html");
	ck_assert_str_eq(before, after);
	free(before);
	free(after);
	expect("report one --no-plots --out two", 2, "two exists already");
	ck_assert(!has_temporary("."));

	ck_assert_int_eq(truncate("one/events.jsonl", 1000), 0);
	expect("report one --no-plots --out three", 3, "events.jsonl");
	ck_assert(!exists("three"));
	write_text("one/attestation.intoto.jsonl", "{}\n", "");
	expect("report one --no-plots", 2, "is signed");
}
END_TEST

/* ---- the source document's script: its defects are the findings ---- */

START_TEST(seed_monitor)
{
	static const char *const parts[] = {
		"status is random", "No debounce",          "No backup of the io data",
		"into: faulty",     "stop_standby",         "no switch back",
		"False alarms",     "Objective frt missed",
	};
	char line[2 * PATH_MAX], *record;

	snprintf(line, sizeof(line), "run %s/scenarios/seed_monitor.yaml --no-plots --out one",
		 workplace_root);
	expect(line, 1, "FAILED");
	record = workplace_read("one/record.json");
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		ck_assert_msg(strstr(record, parts[i]) != NULL, "no finding says '%s'", parts[i]);
	free(record);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test, int count)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, workplace_leave);
	tcase_set_timeout(tcase, TIMEOUT_S);
	tcase_add_loop_test(tcase, test, 0, count);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	add(suite, "help", help, 1);
	add(suite, "help, golden", help_golden, (int)(sizeof(helps) / sizeof(helps[0])));
	add(suite, "help is quick", help_is_quick, 1);
	add(suite, "version", version, 1);
	add(suite, "usage", usage, (int)(sizeof(wrong) / sizeof(wrong[0])));
	add(suite, "nearest scenario", nearest_scenario, 1);
	add(suite, "run", run_writes_a_folder, 1);
	add(suite, "run over a run", run_refuses_what_exists, 1);
	add(suite, "run, default folder", run_default_folder, 1);
	add(suite, "run, parents", run_makes_parents, 1);
	add(suite, "run --json", run_json, 1);
	add(suite, "run repeats", run_repeats, 1);
	add(suite, "run tells how", run_tells_how_to_repeat, 1);
	add(suite, "scenario as run", run_scenario_as_run, 1);
	add(suite, "exit codes", exit_codes, 1);
	add(suite, "guard", exit_code_of_a_guard, 1);
	add(suite, "sham alarm", sham_alarm, 1);
	add(suite, "campaign", campaign, 1);
	add(suite, "signals", signal_aborts, 3);
	add(suite, "kill", kill_leaves_no_half_record, 1);
	add(suite, "disk full", disk_full, 5);
	add(suite, "output full", output_full, 1);
	add(suite, "output unread", output_unread, 1);
	add(suite, "nothing asked", nothing_asked, 1);
	add(suite, "ids", ids_differ, 1);
	add(suite, "check", check_tells_every_error, 1);
	add(suite, "plan", plan_touches_nothing, 1);
	add(suite, "plan, links", plan_tells_what_links_do_not_do, 1);
	add(suite, "target's own", target_repairs_nothing, 1);
	add(suite, "plan, shipped", shipped_scenarios_plan, 1);
	add(suite, "readme: calls", readme_calls, 1);
	add(suite, "readme", readme_example, 2);
	add(suite, "fault examples", fault_examples_load, 1);
	add(suite, "fault list", fault_list_reads_well, 1);
	add(suite, "no effect on null", no_fault_takes_on_null, (int)fault_count());
	add(suite, "params together", params_are_checked_together, 1);
	add(suite, "list drivers", list_drivers, 1);
	add(suite, "doctor", doctor, 1);
	add(suite, "doctor, hanging", doctor_does_not_hang, 1);
	add(suite, "revert", revert, 1);
	add(suite, "revert, killed", revert_sweeps, 1);
	add(suite, "report", report_again, 1);
	add(suite, "seed monitor", seed_monitor, 1);
	add(suite, "loads little", loads_little,
	    (int)(sizeof(light_lines) / sizeof(light_lines[0])));
	add(suite, "library missing", library_missing, 1);
	add(suite, "too many backups", too_many_backups, 1);
}

TEST_MAIN("cli", add_cases)
