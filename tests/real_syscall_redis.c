/* SPDX-License-Identifier: Apache-2.0 */
/* A real Redis whose log cannot be written or synced at exactly the calls asked: it reacts as its
 * documentation says, strace sees the same calls fail, and what it acknowledged is there. */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/filtered.h"
#include "tests/program.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define SERVER "/usr/bin/redis-server"
#define WITNESS "/usr/bin/strace"
#define END_MS 30000
#define KEYS_MAX 20000

static struct arena arena;
static char folder[PATH_MAX], log_path[PATH_MAX + 64];
static const char *const log_paths[] = {log_path, NULL};
static char port[8];
static FILE *to, *from;

static void setup(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	workplace_enter("redis");
	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	snprintf(log_path, sizeof(log_path), "%s/appendonlydir/appendonly.aof.1.incr*", folder);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	snprintf(port, sizeof(port), "%u", ntohs(address.sin_port));
	close(fd);
	arena = (struct arena){0};
}

static void teardown(void)
{
	arena_free(&arena);
	workplace_leave();
}

static void dial(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)atoi(port)),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	for (int i = 0; i < 400; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
			to = fdopen(fd, "w");
			from = fdopen(dup(fd), "r");
			return;
		}
		close(fd);
		program_pause(25);
	}
	ck_abort_msg("Redis does not listen");
}

static void hang_up(void)
{
	fclose(to);
	fclose(from);
}

/* The first letter of the answer and the word behind it; "" when the connection ends. */
static const char *ask(const char *question, char answer[128])
{
	fprintf(to, "%s\r\n", question);
	fflush(to);
	if (!fgets(answer, 128, from))
		answer[0] = '\0';
	answer[strcspn(answer, "\r\n")] = '\0';
	return answer;
}

static pid_t start_redis(const struct syscall_launch *launch, const char *policy)
{
	const char *const argv[] = {SERVER,      "--port",       port,        "--bind",
				    "127.0.0.1", "--dir",        folder,      "--save",
				    "",          "--appendonly", "yes",       "--appendfsync",
				    policy,      "--logfile",    "redis.log", NULL};
	pid_t pid = filtered_start(launch, argv, -1, false);

	dial();
	return pid;
}

static bool is_watched(const void *self)
{
	char path[64], text[2048] = "";
	const char *line;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)*(const pid_t *)self);
	file = fopen(path, "r");
	if (file && fread(text, 1, sizeof(text) - 1, file) == 0)
		text[0] = '\0';
	if (file)
		fclose(file);
	line = strstr(text, "TracerPid:\t");
	return line && line[11] != '0';
}

/* Someone else who looks at the same calls. */
static pid_t start_witness(pid_t redis)
{
	char number[16];
	const char *const argv[] = {WITNESS,
				    "-f",
				    "-qq",
				    "-o",
				    "seen",
				    "-e",
				    "status=failed",
				    "-e",
				    "trace=write,fdatasync",
				    "-p",
				    number,
				    NULL};
	pid_t pid;

	snprintf(number, sizeof(number), "%d", (int)redis);
	pid = filtered_start(NULL, argv, -1, false);
	ck_assert(program_until(is_watched, &redis, END_MS));
	return pid;
}

static int count_lines(const char *path, const char *words)
{
	char *text = workplace_read(path);
	int count = 0;

	for (const char *at = text; (at = strstr(at, words)); at++)
		count++;
	free(text);
	return count;
}

static void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

/* What it has said yes to is there after a restart without any fault. */
static void check_keys(const bool *acknowledged, int keys)
{
	pid_t pid = start_redis(NULL, "everysec");
	char line[64], answer[128];

	for (int i = 0; i < keys; i++) {
		snprintf(line, sizeof(line), "EXISTS key%d", i);
		if (acknowledged[i])
			ck_assert_str_eq(ask(line, answer), ":1");
	}
	hang_up();
	stop(pid);
}

static const char *const calls[] = {"write", "fdatasync", NULL};

START_TEST(writes_fail_and_come_back)
{
	static const char *const write_calls[] = {"write", NULL};
	static bool acknowledged[KEYS_MAX];
	const struct syscall_rule rule = {
		.calls = write_calls, .error = ENOSPC, .paths = log_paths, .when = {3, 61, 2}};
	struct syscalls *syscalls = filtered_open(&arena, NULL, calls);
	pid_t redis = start_redis(syscalls_launch(syscalls, 0), "everysec"),
	      witness = start_witness(redis);
	uint32_t number = filtered_rule(syscalls, &rule);
	int keys = 0, refused = 0;
	char line[64], answer[128];

	while (syscalls_counts(syscalls, number).matched < 100) {
		ck_assert_int_lt(keys, KEYS_MAX);
		snprintf(line, sizeof(line), "SET key%d value", keys);
		ask(line, answer);
		acknowledged[keys++] = strcmp(answer, "+OK") == 0;
		refused += strncmp(answer, "-MISCONF", 8) == 0;
		ck_assert_msg(acknowledged[keys - 1] || strncmp(answer, "-MISCONF", 8) == 0, "%s",
			      answer);
	}
	hang_up();
	ck_assert_uint_eq(syscalls_counts(syscalls, number).acted, 30);
	kill(redis, SIGTERM);
	ck_assert_int_eq(filtered_wait(redis, END_MS), 0);
	ck_assert_int_eq(filtered_wait(witness, END_MS), 0);
	printf("redis: %d writes asked of it, %d refused; strace saw %d calls fail\n", keys,
	       refused, count_lines("seen", "ENOSPC"));
	ck_assert_int_eq(count_lines("seen", "ENOSPC"), 30);
	ck_assert_int_gt(refused, 0);
	ck_assert_int_gt(count_lines("redis.log", "Error writing to the AOF file: No space left"),
			 0);
	syscalls_close(syscalls);
	check_keys(acknowledged, keys);
}
END_TEST

START_TEST(a_sync_that_fails_is_its_end)
{
	static const char *const sync_calls[] = {"fdatasync", NULL};
	bool acknowledged[64] = {false};
	const struct syscall_rule rule = {
		.calls = sync_calls, .error = EIO, .paths = log_paths, .when = {17, 17, 1}};
	struct syscalls *syscalls = filtered_open(&arena, NULL, calls);
	uint32_t number = filtered_rule(syscalls, &rule);
	pid_t redis = start_redis(syscalls_launch(syscalls, 0), "always"),
	      witness = start_witness(redis);
	char line[64], answer[128];
	int keys = 0, yes = 0;

	do {
		snprintf(line, sizeof(line), "SET key%d value", keys);
		ask(line, answer);
		acknowledged[keys] = strcmp(answer, "+OK") == 0;
		yes += acknowledged[keys];
	} while (acknowledged[keys++] && keys < 64);
	hang_up();
	ck_assert_int_eq(filtered_wait(redis, END_MS), 1);
	ck_assert_int_eq(filtered_wait(witness, END_MS), 0);
	/* Each write is one sync: the seventeenth is the one that nobody was told of. */
	ck_assert_int_eq(yes, 16);
	ck_assert_uint_eq(syscalls_counts(syscalls, number).matched, 17);
	ck_assert_uint_eq(syscalls_counts(syscalls, number).acted, 1);
	ck_assert_int_eq(count_lines("seen", "EIO"), 1);
	ck_assert_int_eq(count_lines("redis.log", "Can't persist AOF for fsync error"), 1);
	syscalls_close(syscalls);
	check_keys(acknowledged, keys);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test);
	tcase_set_timeout(tcase, 120);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	add(suite, "write", writes_fail_and_come_back);
	add(suite, "sync", a_sync_that_fails_is_its_end);
}

int main(void)
{
	struct error e = {0};
	bool sync;

	if (syscall_probe(&sync, &e)) {
		printf("syscall redis: skipped: %s\n", e.text);
		return 0;
	}
	if (access(SERVER, X_OK) || access(WITNESS, X_OK)) {
		printf("syscall redis: skipped: %s or %s is missing\n", SERVER, WITNESS);
		return 0;
	}
	return test_main("syscall redis", add_cases);
}
