/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drills whose target is a real Redis. What the record calls lost is held against Redis itself:
 * after the recovery all of its keys are read, and acknowledged writes that are not there are
 * counted.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/test.h"
#include "tests/workplace.h"

#define KEYS_MAX 20000
#define ANSWER_MAX ((size_t)4 << 20)
#define LINE_MAX_BYTES 4096
#define SCENARIO_MAX 65536

/* ---- Redis, asked by itself ---- */

/* Its keys at one instant: keys[k] when record k is there. */
struct keys {
	bool there[KEYS_MAX];
	long highest; /* -1: none */
	int count;
};

static int connect_redis(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const struct timeval patience = {.tv_sec = 2};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* All that "KEYS *" answers: "*N", then for each key its length and itself. false: not whole. */
static bool take_keys(const char *text, struct keys *ret)
{
	char *end = NULL;
	long count = *text == '*' ? strtol(text + 1, &end, 10) : -1;

	if (count < 0 || !end)
		return false;
	*ret = (struct keys){.highest = -1};
	for (; ret->count < count; ret->count++) {
		const char *length = strchr(end, '$'), *key = length ? strchr(length, '\n') : NULL;
		if (!key)
			return false;
		long number = strtol(key + 1, &end, 10);
		if (end == key + 1 || *end != '\r')
			return false;
		ck_assert_int_lt(number, KEYS_MAX);
		ret->there[number] = true;
		ret->highest = number > ret->highest ? number : ret->highest;
	}
	return true;
}

static bool read_keys(const char *path, struct keys *ret)
{
	static const char question[] = "*2\r\n$4\r\nKEYS\r\n$1\r\n*\r\n";
	int fd = connect_redis(path);
	char *answer = calloc(1, ANSWER_MAX);
	size_t size = 0;
	ssize_t got;
	bool whole = false;

	if (fd >= 0 && send(fd, question, sizeof(question) - 1, MSG_NOSIGNAL) > 0)
		while (!whole && (got = recv(fd, answer + size, ANSWER_MAX - 1 - size, 0)) > 0) {
			size += (size_t)got;
			whole = take_keys(answer, ret);
		}
	if (fd >= 0)
		close(fd);
	free(answer);
	return whole;
}

/* ---- a drill ---- */

static bool have_redis(void)
{
	const char *path = getenv("PATH");
	char *all = strdup(path ? path : ""), *rest = NULL, file[PATH_MAX];
	bool found = false;

	for (char *at = strtok_r(all, ":", &rest); at && !found; at = strtok_r(NULL, ":", &rest)) {
		snprintf(file, sizeof(file), "%s/redis-server", at);
		found = access(file, X_OK) == 0;
	}
	free(all);
	if (!found)
		printf("skipped: there is no redis-server\n");
	return found;
}

static void setup(void)
{
	char path[2 * PATH_MAX], builds[PATH_MAX];

	ck_assert_ptr_nonnull(getenv("DRSIM_BUILD"));
	ck_assert_ptr_nonnull(realpath(getenv("DRSIM_BUILD"), builds));
	snprintf(path, sizeof(path), "%s/tests:%s", builds, getenv("PATH"));
	workplace_enter("services");
	setenv("PATH", path, 1); /* adapter_redis is there */
}

static void teardown(void)
{
	workplace_leave();
}

static char *replace(char *text, const char *old, const char *new)
{
	char *at = strstr(text, old), *changed = calloc(1, SCENARIO_MAX);

	ck_assert_msg(at != NULL, "no '%s' in the scenario", old);
	snprintf(changed, SCENARIO_MAX, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
	free(text);
	return changed;
}

/* A scenario of the folder tests/ with other texts in place of some, and a socket for each site in
 * the folder of the test; written as drill.yaml. */
static void write_scenario(const char *name, const char *const (*changes)[2])
{
	char path[2 * PATH_MAX], folder[PATH_MAX];

	snprintf(path, sizeof(path), "%s/tests/%s", workplace_root, name);
	char *text = workplace_read(path);
	for (; (*changes)[0]; changes++)
		text = replace(text, (*changes)[0], (*changes)[1]);
	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	snprintf(path, sizeof(path), "--unixsocket, \"%s/${SITE}.sock\", --save", folder);
	text = replace(text, "--save", path);
	FILE *file = fopen("drill.yaml", "we");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
	free(text);
}

static pid_t start_drill(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		int out = open("output", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out, STDOUT_FILENO);
		dup2(out, STDERR_FILENO);
		execl(workplace_program, workplace_program, "run", "drill.yaml", "--driver",
		      "process", "--out", "out", (char *)NULL);
		_exit(127);
	}
	ck_assert_int_gt(pid, 0);
	return pid;
}

static int exit_code(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		ck_assert_int_eq(errno, EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Lets the drill run to its end; `ret` is the last that a Redis said before it. */
static int run_drill(struct keys *ret)
{
	static const char *const sockets[] = {"primary.sock", "backup.sock"};
	struct keys *seen = calloc(1, sizeof(*seen));
	pid_t pid = start_drill();
	siginfo_t info = {0};

	*ret = (struct keys){.highest = -1};
	while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == 0) {
		for (size_t i = 0; i < 2; i++)
			if (read_keys(sockets[i], seen))
				*ret = *seen;
		poll(NULL, 0, 300);
	}
	free(seen);
	return exit_code(pid);
}

/* ---- what it says of it ---- */

static cJSON *record;

static double value(const char *path)
{
	const cJSON *item = record;
	char *all = strdup(path), *rest = NULL;

	for (char *at = strtok_r(all, "/", &rest); at; at = strtok_r(NULL, "/", &rest))
		item = cJSON_IsArray(item) ? cJSON_GetArrayItem(item, (int)strtol(at, NULL, 10))
					   : cJSON_GetObjectItemCaseSensitive(item, at);
	ck_assert_msg(cJSON_IsNumber(item), "%s is no number", path);
	free(all);
	return item->valuedouble;
}

static void read_record(void)
{
	char *text = workplace_read("out/record.json");

	record = cJSON_Parse(text);
	ck_assert_ptr_nonnull(record);
	free(text);
}

static const char *path_of_incident(void)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(record, "incidents");

	ck_assert_int_eq(cJSON_GetArraySize(list), 1);
	return cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(list, 0), "path")->valuestring;
}

/* Acknowledged writes that Redis does not have. Those above the highest that it has may have been
 * on their way when it was asked: writes are put one after the other. */
static int count_missing(const struct keys *keys)
{
	FILE *file = fopen("out/ledger.jsonl", "re");
	char line[LINE_MAX_BYTES];
	int missing = 0, lost = 0;

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file)) {
		cJSON *item = line[0] == '[' ? cJSON_Parse(line) : NULL;
		if (!item)
			continue;
		long sequence = (long)cJSON_GetArrayItem(item, 0)->valuedouble;
		const char *state = cJSON_GetArrayItem(item, 4)->valuestring;
		const cJSON *verdict = cJSON_GetArrayItem(item, 9);
		bool said = cJSON_IsString(verdict) && strcmp(verdict->valuestring, "lost") == 0;
		bool gone = sequence <= keys->highest && strcmp(state, "ok") == 0 &&
			    !keys->there[sequence];
		ck_assert_msg(sequence > keys->highest || said == gone,
			      "record %ld: the ledger says %s, Redis %s", sequence,
			      said ? "lost" : "there", gone ? "not there" : "there");
		missing += gone;
		lost += said;
		cJSON_Delete(item);
	}
	fclose(file);
	ck_assert_int_eq(lost, missing);
	return missing;
}

static void check_losses(const struct keys *keys)
{
	int missing = count_missing(keys);

	ck_assert_int_eq((int)value("ledger/lost"), missing);
	ck_assert_int_eq((int)value("incidents/0/brp/records"), missing);
	ck_assert_int_eq((int)value("ledger/altered") + (int)value("ledger/foreign"), 0);
	ck_assert_int_eq((int)value("ledger/read_back"), (int)value("ledger/acknowledged"));
}

static void check_exit(int code, int wanted)
{
	if (code == wanted)
		return;
	char *said = workplace_read("output");
	ck_abort_msg("exit code %d:\n%s", code, said);
}

/* ---- Redis is killed where it is ---- */

/* With its log; and without, when it forgets all that it had acknowledged, and with a second that
 * its start takes, so that there is an outage. */
START_TEST(killed)
{
	static const char *const as_it_is[][2] = {{NULL, NULL}};
	static const char *const forgets[][2] = {
		{"--appendonly, \"yes\"", "--appendonly, \"no\""},
		{"[redis-server", "[sh, -c, 'sleep 1; exec redis-server \"$$@\"', sh"},
		{NULL, NULL}};
	static struct keys keys;

	if (!have_redis())
		return;
	write_scenario("redis_killed.yaml", _i == 0 ? as_it_is : forgets);
	check_exit(run_drill(&keys), _i == 0 ? 0 : 1); /* 1: more is lost than the objective says */
	read_record();
	ck_assert_int_gt(keys.highest, 1000);
	check_losses(&keys);
	if (_i == 1) {
		ck_assert_str_eq(path_of_incident(), "in_place");
		ck_assert_double_ge(value("incidents/0/frt_ns"), 1e9);
		ck_assert_int_gt((int)value("ledger/lost"), 500);
	}
	cJSON_Delete(record);
}
END_TEST

/* ---- its node is lost, the standby takes over, and the traffic comes back ---- */

#define KEPT "classes: [io], keep: 4"

/* With drsim's own backups; with a tool of the user's; and when the node does not crash but hangs:
 * then the fence kills a Redis that is frozen, and only a look that wants an answer sees it. */
START_TEST(moves)
{
	static const char *const own[][2] = {{NULL, NULL}};
	static const char *const hangs[][2] = {
		{"node.crash", "node.hang"},
		{"interval: 500ms, timeout: 200ms", "interval: 1s, timeout: 900ms"},
		{"{tcp: true}",
		 "{exec: [redis-cli, -h, \"${ADDRESS}\", -p, \"${PORT}\", -e, ping]}"},
		{NULL, NULL}};
	static const char *const tool[][2] = {
		{KEPT, KEPT ", command: [cp, -r, -T, \"${DATA}\", \"${STORE}/${BACKUP}-${CLASS}\"],"
			    " restore: [cp, -r, -T, \"${STORE}/${BACKUP}-${CLASS}\", \"${DATA}\"]"},
		{NULL, NULL}};
	static struct keys keys;

	if (!have_redis())
		return;
	write_scenario("redis_site.yaml", _i == 0 ? own : _i == 1 ? tool : hangs);
	check_exit(run_drill(&keys), 0);
	read_record();
	ck_assert_str_eq(path_of_incident(), "failover");
	ck_assert_int_gt(keys.highest, 1000);
	check_losses(&keys);
	/* What was written between the last backup and the crash, which is less than its period. */
	ck_assert_double_le(value("incidents/0/brp/seconds"), 3.2);
	if (_i < 2) /* of one that hangs a backup may still be made before it is declared */
		ck_assert_int_gt((int)value("ledger/lost"), 0);
	ck_assert_double_gt(value("incidents/0/t_failback_ns"), value("incidents/0/t_switched_ns"));
	cJSON_Delete(record);
}
END_TEST

/* ---- one that does not start ---- */

START_TEST(does_not_start)
{
	static const char *const wrong[][2] = {{"--protected-mode", "--protectd-mode"},
					       {NULL, NULL}};
	static struct keys keys;

	if (!have_redis())
		return;
	write_scenario("redis_killed.yaml", wrong);
	ck_assert_int_ge(run_drill(&keys), 2);
	char *said = workplace_read("output");
	ck_assert_msg(strstr(said, "service 'redis' does not get ready") &&
			      strstr(said, "Bad directive"),
		      "%s", said);
	ck_assert_int_ne(access("out", F_OK), 0);
	free(said);
}
END_TEST

/* ---- what a real drill cannot play is said before anything starts ---- */

START_TEST(refused)
{
	static const char *const no_ledger[][2] = {
		{"ledger: {command: [adapter_redis, \"${PORT}\", \"${ADDRESS}\"]}", ""},
		{NULL, NULL}};
	static const char *const hot[][2] = {{"heat: warm", "heat: hot"}, {NULL, NULL}};
	static struct keys keys;

	write_scenario(_i == 0 ? "redis_killed.yaml" : "redis_site.yaml",
		       _i == 0 ? no_ledger : hot);
	ck_assert_int_ge(run_drill(&keys), 2);
	char *said = workplace_read("output");
	ck_assert_msg(strstr(said, _i == 0 ? "needs 'ledger'" : "not hot") != NULL, "%s", said);
	free(said);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test, int count)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 180);
	tcase_add_loop_test(tcase, test, 0, count);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	add(suite, "a Redis that is killed", killed, 2);
	add(suite, "a Redis whose node is lost", moves, 3);
	add(suite, "a server that does not start", does_not_start, 1);
	add(suite, "what is refused", refused, 2);
}

TEST_MAIN("real_services", add_cases)
