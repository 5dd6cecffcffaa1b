/* SPDX-License-Identifier: Apache-2.0 */
/* A real Redis that is killed and loses the end of its log: the writes that the ledger calls lost
 * are those that Redis itself does not have. */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "drivers/host/client.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define RATE 1500
#define TORN_BYTES 20000 /* of the log, not yet on disk when the power went */

static char folder[] = "/tmp/drsim-redis-XXXXXX";
static uint16_t port;
static pid_t redis;

static int64_t monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * NANOS_S + now.tv_nsec;
}

static struct sockaddr_in loopback(uint16_t number)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons(number),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static uint16_t free_port(void)
{
	struct sockaddr_in address = loopback(0);
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	close(fd);
	return ntohs(address.sin_port);
}

static int connect_redis(void)
{
	struct sockaddr_in address = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	for (int i = 0; i < 200; i++) {
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
			return fd;
		poll(NULL, 0, 50);
	}
	ck_abort_msg("Redis does not listen");
	return -1;
}

static void start_redis(void)
{
	char number[8];
	int null;

	snprintf(number, sizeof(number), "%u", port);
	redis = fork();
	if (redis == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		null = open("/dev/null", O_RDWR);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execlp("redis-server", "redis-server", "--port", number, "--bind", "127.0.0.1",
		       "--dir", folder, "--save", "", "--appendonly", "yes", "--appendfsync",
		       "everysec", "--aof-load-truncated", "yes", (char *)NULL);
		_exit(127);
	}
	close(connect_redis());
}

static void kill_redis(void)
{
	kill(redis, SIGKILL);
	ck_assert_int_eq(waitpid(redis, NULL, 0), redis);
}

/* What a power cut takes: the end of the log that was written, but not synced. */
static void tear_log(void)
{
	char path[512];
	DIR *dir;
	struct dirent *entry;
	struct stat info;
	bool torn = false;

	snprintf(path, sizeof(path), "%s/appendonlydir", folder);
	dir = opendir(path);
	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir))) {
		if (!strstr(entry->d_name, ".incr.aof"))
			continue;
		snprintf(path, sizeof(path), "%s/appendonlydir/%s", folder, entry->d_name);
		ck_assert(stat(path, &info) == 0 && info.st_size > 2 * TORN_BYTES);
		ck_assert_int_eq(truncate(path, info.st_size - TORN_BYTES), 0);
		torn = true;
	}
	closedir(dir);
	ck_assert(torn);
}

/* Asks Redis itself, by its inline commands. */
static bool exists(FILE *to, FILE *from, uint64_t sequence)
{
	char line[64];

	fprintf(to, "EXISTS %" PRIu64 "\r\n", sequence);
	fflush(to);
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), from));
	return strcmp(line, ":1\r\n") == 0;
}

static struct client_event wait_for(struct client *client, enum client_event_kind kind)
{
	struct pollfd told = {.fd = client_eventfd(client), .events = POLLIN};
	struct client_event event;

	do {
		ck_assert_int_eq(poll(&told, 1, 20000), 1);
		ck_assert_uint_eq(client_events(client, &event, 1), 1);
	} while (event.kind != kind);
	return event;
}

static void compare(struct ledger *ledger)
{
	uint64_t lost = 0, unknown_present = 0, odd = 0;
	struct ledger_totals l;
	int fd = connect_redis();
	FILE *to = fdopen(fd, "w"), *from = fdopen(dup(fd), "r");

	ledger_totals(ledger, &l);
	for (uint64_t i = 0; i < l.records; i++) {
		enum ledger_state state = ledger_state(ledger, i);
		bool there = exists(to, from, i);

		lost += state == LEDGER_OK && !there;
		unknown_present += state == LEDGER_UNKNOWN && there;
		odd += (state == LEDGER_UNSENT || state == LEDGER_FAIL) && there;
		ck_assert(state != LEDGER_OK ||
			  ledger_verdict(ledger, i) == (there ? LEDGER_INTACT : LEDGER_LOST));
	}
	fclose(to);
	fclose(from);
	printf("redis: %" PRIu64 " writes, %" PRIu64 " ok, %" PRIu64 " unknown, %" PRIu64
	       " lost by the ledger, %" PRIu64 " not in Redis\n",
	       l.records, l.ok, l.unknown, l.lost, lost);
	ck_assert_uint_eq(l.lost, lost);
	ck_assert_uint_gt(l.lost, 50);
	ck_assert_uint_eq(l.unknown_present, unknown_present);
	ck_assert_uint_eq(odd, 0);
	ck_assert_uint_eq(l.altered + l.stale + l.duplicated + l.never_sent, 0);
}

static struct client *start_client(const char *const *argv)
{
	struct client_endpoint_config endpoint = {
		.name = "redis",
		.adapter = {.kind = ADAPTER_EXEC, .argv = argv, .timeout = 5 * NANOS_S},
		.rate = RATE,
		.latency_limit = 1500 * NANOS_MS,
		.timeout = 3 * NANOS_S,
		.payload_bytes = 64,
		.success = 0.99,
		.window = 500 * NANOS_MS,
	};
	struct client_config config = {.seed = 5,
				       .start = monotonic(),
				       .netns = -1,
				       .endpoints = &endpoint,
				       .endpoint_count = 1};
	struct client *client;
	struct error e = {0};

	ck_assert_msg(client_open(&config, &client, &e) == 0, "%s", e.text);
	ck_assert_msg(client_start(client, &e) == 0, "%s", e.text);
	return client;
}

START_TEST(test_killed)
{
	const char *build = getenv("DRSIM_BUILD");
	char program[4096], number[8];
	const char *const argv[] = {program, number, NULL};
	struct client_outage outage;
	struct client_event event;
	struct client *client;
	struct error e = {0};
	nanos killed, back;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	port = free_port();
	snprintf(program, sizeof(program), "%s/tests/adapter_redis",
		 build ? build : "build/release");
	snprintf(number, sizeof(number), "%u", port);
	start_redis();
	client = start_client(argv);
	poll(NULL, 0, 2000);
	killed = client_now(client);
	kill_redis();
	event = wait_for(client, CLIENT_BAD);
	ck_assert(event.since > killed - 100 * NANOS_MS && event.since < killed + 500 * NANOS_MS);
	tear_log();
	poll(NULL, 0, 500);
	back = client_now(client);
	start_redis();
	event = wait_for(client, CLIENT_GOOD);
	ck_assert(event.since > back);
	ck_assert(client_outage(client, 0, &outage) &&
		  outage.until - outage.since > 500 * NANOS_MS);
	client_stop(client);
	ck_assert_int_eq(client_check(client, 0, &e), 0);
	event = wait_for(client, CLIENT_CHECKED);
	ck_assert_msg(event.ok, "%s", event.reason);
	compare(client_ledger(client, 0));
	client_free(client);
	kill_redis();
	workplace_remove(folder);
}
END_TEST

static void add_cases(Suite *suite)
{
	test_add(suite, "killed", test_killed);
}

TEST_MAIN("real_redis", add_cases)
