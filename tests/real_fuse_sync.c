/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is lost and torn in a crash, by real programs: one that forgets to sync is found and one
 * that does not is spared; SQLite, Redis and the stand-in platform's replica lose nothing that they
 * said was safe.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/host/process.h"
#include "sim/minilepton/http.h"
#include "tests/fuse_bed.h"
#include "tests/program.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define SIZE 10000

/* ---- a program that saves a file, and may forget a part of it ---- */

enum habit {
	CAREFUL,         /* writes, syncs, renames, syncs the folder */
	FORGETS_ALL,     /* writes and renames */
	FORGETS_CONTENT, /* syncs the folder only */
	FORGETS_FOLDER,  /* syncs the file only */
	HABITS
};

/* The version in all its bytes: any reader can tell whether it is whole. */
static int save(enum habit habit, char version)
{
	char bytes[SIZE];
	int fd = open(bed_above("state.tmp"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600),
	    folder = open(bed_data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool content = habit == CAREFUL || habit == FORGETS_FOLDER,
	     names = habit == CAREFUL || habit == FORGETS_CONTENT;

	memset(bytes, version, sizeof(bytes));
	if (fd < 0 || folder < 0 || write(fd, bytes, sizeof(bytes)) != sizeof(bytes) ||
	    (content && fsync(fd)) || rename(bed_above("state.tmp"), bed_above("state")) ||
	    (names && fsync(folder)))
		return 1;
	close(fd);
	close(folder);
	return 0;
}

/* The version that is there; 0: no file; -1: it is damaged. */
static int load(void)
{
	char bytes[SIZE + 1] = "";
	ssize_t got = bed_read(bed_above("state"), bytes, sizeof(bytes));

	if (got < 0)
		return 0;
	for (size_t i = 0; i < SIZE; i++)
		if (got != SIZE || bytes[i] != bytes[0])
			return -1;
	return bytes[0];
}

struct saver {
	enum habit habit;
	char first, last;
};

static int save_versions(void *self)
{
	const struct saver *saver = self;

	for (char version = saver->first; version <= saver->last; version++)
		if (save(saver->habit, version))
			return 1;
	return 0;
}

/* Saves versions 2 to 4 by a process of its own, after 1 that is safe; then the power fails. */
static struct fuse_loss save_and_crash(enum habit habit, const struct fuse_fault *fault)
{
	struct fuse_loss loss;
	uint32_t number;
	int status;

	ck_assert_int_eq(save(CAREFUL, 1), 0);
	number = bed_set(fault);
	status = bed_wait(bed_child(save_versions, &(struct saver){habit, 2, 4}), 5000);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
	ck_assert_int_eq(load(), 4);
	loss = bed_crash();
	ck_assert_uint_eq(bed_counts(number).acted, loss.files + loss.names);
	bed_end(number);
	return loss;
}

START_TEST(forgotten_syncs_are_found)
{
	/* What is there after: in POSIX, where names follow any sync, with names always safe. */
	static const int wanted[HABITS][3] = {
		[CAREFUL] = {4, 4, 4},
		[FORGETS_ALL] = {1, 1, -1},
		[FORGETS_CONTENT] = {-1, -1, -1},
		[FORGETS_FOLDER] = {1, 4, 4},
	};
	struct fuse_fault fault = {.kind = FUSE_FAULT_LOST_FSYNC};
	struct fuse_loss loss;

	if (!bed_layer)
		return;
	for (int i = 0; i < 3; i++) {
		fault.names_follow = i == 1;
		fault.data_only = i == 2;
		loss = save_and_crash((enum habit)_i, &fault);
		/* The last rename is after the last sync of a file. */
		if (_i == FORGETS_FOLDER && i == 1)
			ck_assert_int_eq(load(), 3);
		else
			ck_assert_msg(load() == wanted[_i][i], "%d instead of %d", load(),
				      wanted[_i][i]);
		if (_i == CAREFUL)
			ck_assert_uint_eq(loss.files + loss.names, 0);
		/* It goes on: what is lost is lost, what is there can be used. */
		ck_assert_int_eq(save(CAREFUL, 9), 0);
		ck_assert_int_eq(load(), 9);
	}
}
END_TEST

START_TEST(a_lying_disk_loses_what_was_synced)
{
	const struct fuse_fault lie = {.kind = FUSE_FAULT_LOST_FSYNC, .fsync_lies = true};
	uint32_t number;

	if (!bed_layer)
		return;
	ck_assert_int_eq(save(CAREFUL, 1), 0);
	number = bed_set(&lie);
	ck_assert_int_eq(save(CAREFUL, 2), 0);
	ck_assert_uint_eq(bed_counts(number).acted, 2);
	bed_crash();
	ck_assert_int_eq(load(), 1);
	/* Ended before the crash: all of it is safe. */
	ck_assert_int_eq(save(CAREFUL, 3), 0);
	bed_end(number);
	ck_assert_uint_eq(bed_crash().names, 0);
	ck_assert_int_eq(load(), 3);
}
END_TEST

/* O_DSYNC is a sync too; another file's, or another folder's, is none. */
START_TEST(each_file_is_for_itself)
{
	char got[8] = "";
	int one, two, folder;

	if (!bed_layer)
		return;
	one = open(bed_above("one"), O_RDWR | O_CREAT | O_DSYNC | O_CLOEXEC, 0600);
	two = open(bed_above("two"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(mkdir(bed_above("folder"), 0700), 0);
	bed_set(&(struct fuse_fault){.kind = FUSE_FAULT_LOST_FSYNC});
	ck_assert_int_eq(write(one, "safe", 4), 4);
	ck_assert_int_eq(write(two, "lost", 4), 4);
	ck_assert_int_eq(mknod(bed_above("new"), S_IFREG | 0600, 0), 0);
	ck_assert_int_eq(mknod(bed_above("folder/new"), S_IFREG | 0600, 0), 0);
	folder = open(bed_above("folder"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(fsync(folder), 0);
	close(folder);
	bed_crash();
	ck_assert_int_eq(access(bed_above("folder/new"), F_OK), 0);
	ck_assert_int_ne(access(bed_above("new"), F_OK), 0);
	ck_assert_int_eq(bed_read(bed_above("one"), got, 8), 4);
	ck_assert_int_eq(bed_read(bed_above("two"), got, 8), 0);
	close(one);
	close(two);
}
END_TEST

/* ---- torn writes ---- */

/* Ten writes of their own letter; in pairs with a sync after. */
static int write_letters(void *self)
{
	int fd = open(bed_above("log"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	char bytes[3000];

	(void)self;
	for (int i = 0; i < 10; i++) {
		memset(bytes, 'a' + i, sizeof(bytes));
		if (pwrite(fd, bytes, sizeof(bytes), i * 3000) != sizeof(bytes))
			return 1;
		if (i % 4 == 3 && fsync(fd))
			return 1;
	}
	return 0;
}

static pid_t begin_letters(const struct fuse_fault *fault, uint32_t *number)
{
	struct pollfd crash = {.fd = fuse_layer_crash_fd(bed_layer), .events = POLLIN};
	pid_t pid;

	bed_write(bed_below("log"), "", 0);
	*number = bed_set(fault);
	pid = bed_child(write_letters, NULL);
	ck_assert_int_eq(poll(&crash, 1, 5000), 1);
	ck_assert(fuse_layer_crashes(bed_layer));
	/* No answer gets out any more. */
	ck_assert_int_eq(bed_wait(pid, 100), -1);
	return pid;
}

static void expect_letters(const char *wanted)
{
	char got[40000];
	ssize_t size = bed_read(bed_above("log"), got, sizeof(got));

	ck_assert_int_eq(size, (ssize_t)strlen(wanted) * 1000);
	for (ssize_t i = 0; i < size; i++)
		ck_assert_msg(got[i] == (wanted[i / 1000] == '.' ? '\0' : wanted[i / 1000]),
			      "byte %zd is %c", i, got[i]);
}

START_TEST(writes_are_torn)
{
	static const struct {
		struct fuse_fault fault;
		const char *wanted;
		uint64_t torn;
	} cases[] = {
		/* The sixth: the fifth before it was not synced, and is lost. */
		{{.kind = FUSE_FAULT_TORN_OP,
		  .occurrence = 6,
		  .part_count = 3,
		  .persist = {1, 3},
		  .persist_count = 2},
		 "aaabbbcccddd...f.f",
		 2},
		{{.kind = FUSE_FAULT_TORN_OP,
		  .occurrence = 1,
		  .part_count = 1,
		  .parts_bytes = {1000},
		  .persist = {1},
		  .persist_count = 1},
		 "a",
		 1},
		{{.kind = FUSE_FAULT_TORN_OP, .occurrence = 5, .part_count = 2}, "aaabbbcccddd", 0},
		/* The second sequence e f g h: f and g of it. */
		{{.kind = FUSE_FAULT_TORN_SEQ,
		  .occurrence = 2,
		  .persist = {3, 2},
		  .persist_count = 2},
		 "aaabbbcccddd...fffggg",
		 2},
	};
	struct fuse_loss loss;
	uint32_t number;
	pid_t pid;
	int status;

	if (!bed_layer)
		return;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		pid = begin_letters(&cases[i].fault, &number);
		kill(pid, SIGKILL);
		ck_assert_int_ne(bed_wait(pid, 2000), -1);
		loss = bed_crash();
		ck_assert_uint_eq(loss.torn, cases[i].torn);
		ck_assert(!fuse_layer_crashes(bed_layer));
		expect_letters(cases[i].wanted);
		ck_assert_uint_eq(bed_counts(number).acted, 1);
		/* It comes once. */
		ck_assert(!fuse_layer_stands(bed_layer, number));
		status = bed_wait(bed_child(write_letters, NULL), 5000);
		ck_assert_int_eq(status, 0);
		expect_letters("aaabbbcccdddeeefffggghhhiiijjj");
	}
}
END_TEST

static int read_log(void *self)
{
	(void)self;
	return bed_read(bed_above("log"), NULL, 0) < 0 && errno == EIO ? 8 : 1;
}

START_TEST(without_a_kill_the_disk_is_gone)
{
	uint32_t number;
	pid_t pid, reader;
	int status;

	if (!bed_layer)
		return;
	pid = begin_letters(&(struct fuse_fault){.kind = FUSE_FAULT_TORN_OP, .part_count = 2},
			    &number);
	/* No other fault stands; all wait for the crash. */
	reader = bed_child(read_log, NULL);
	ck_assert_int_eq(bed_wait(reader, 100), -1);
	bed_crash();
	status = bed_wait(reader, 2000);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 8, "status %d", status);
	status = bed_wait(pid, 2000);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %d", status);
}
END_TEST

/* ---- SQLite ---- */

static int sqlite(const char *mode, const char *text, char *said, size_t size)
{
	char before[256];
	const char *argv[] = {"sqlite3", "-batch", "-cmd", before, bed_above("db"), text, NULL};

	snprintf(before, sizeof(before),
		 "PRAGMA journal_mode=%s; PRAGMA synchronous=FULL; PRAGMA cache_size=20", mode);
	return bed_run(argv, said, size);
}

struct inserter {
	const char *mode;
	int acknowledged;
};

/* Rows one by one in transactions of their own; each that is committed is told. */
static int insert_rows(void *self)
{
	static char text[20000];
	const struct inserter *inserter = self;
	size_t used = (size_t)snprintf(text, sizeof(text),
				       "PRAGMA journal_mode=%s; PRAGMA synchronous=FULL;\n",
				       inserter->mode);
	const char *argv[] = {"sqlite3", "-batch", bed_above("db"), text, NULL};

	for (int i = 0; i < 150; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "INSERT INTO t(x) VALUES(randomblob(3000)) RETURNING "
					 "'row'||id;\n");
	dup2(inserter->acknowledged, STDOUT_FILENO);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	return 127;
}

static const char *const journal_modes[] = {"delete", "wal", "truncate"};

/* RETURNING tells a row before its commit: the last one told may be missing, no other. */
static int rows_told(int fd)
{
	char text[8192] = "";
	size_t used = 0;
	ssize_t got;
	int last = 0;

	while ((got = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)got;
	for (const char *at = text; (at = strstr(at, "row")) != NULL; at++)
		last++;
	return last;
}

START_TEST(sqlite_keeps_its_promises)
{
	const char *mode = journal_modes[_i];
	char said[4096];
	int before = 0;

	if (!bed_layer || !bed_has("sqlite3"))
		return;
	ck_assert_int_eq(
		sqlite(mode, "CREATE TABLE t(id INTEGER PRIMARY KEY, x)", said, sizeof(said)), 0);
	ck_assert_int_eq(sqlite(mode,
				"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n "
				"LIMIT 200) INSERT INTO t(x) SELECT randomblob(1000) FROM n; "
				"DELETE FROM t; PRAGMA integrity_check",
				said, sizeof(said)),
			 0);
	ck_assert_ptr_nonnull(strstr(said, "ok"));
	/* All of a folder of an open database is synced, but not by those who only wrote below. */
	bed_set(&(struct fuse_fault){.kind = FUSE_FAULT_LOST_FSYNC});
	for (int round = 0; round < 4; round++) {
		struct inserter inserter = {.mode = mode};
		int ends[2], told, there;
		char *at;
		pid_t pid;

		ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
		inserter.acknowledged = ends[1];
		pid = bed_child(insert_rows, &inserter);
		close(ends[1]);
		process_pause((20 + 30 * round) * NANOS_MS);
		kill(pid, SIGKILL);
		ck_assert_int_ne(bed_wait(pid, 5000), -1);
		told = rows_told(ends[0]);
		close(ends[0]);
		bed_crash();
		ck_assert_int_eq(sqlite(mode, "PRAGMA integrity_check; SELECT 'n', count(*) FROM t",
					said, sizeof(said)),
				 0);
		ck_assert_msg(strstr(said, "ok\n") != NULL, "%s", said);
		at = strstr(said, "n|");
		ck_assert_ptr_nonnull(at);
		there = (int)strtol(at + 2, NULL, 10);
		ck_assert_msg(there >= before + told - 1, "%d rows of %d + %d (%s)", there, before,
			      told, mode);
		before = there;
	}
	ck_assert_int_gt(before, 0);
}
END_TEST

/* ---- Redis ---- */

static uint16_t free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	close(fd);
	return ntohs(address.sin_port);
}

static char redis_port[16];

static int run_redis(void *self)
{
	const char *argv[] = {"redis-server",
			      "--port",
			      redis_port,
			      "--dir",
			      bed_data,
			      "--appendonly",
			      "yes",
			      "--appendfsync",
			      "always",
			      "--daemonize",
			      "no",
			      "--bind",
			      "127.0.0.1",
			      "--loglevel",
			      "warning",
			      "--save",
			      "",
			      "--enable-debug-command",
			      "local",
			      NULL};
	int null = open("/dev/null", O_WRONLY);

	(void)self;
	dup2(null, STDOUT_FILENO);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	return 127;
}

static bool redis_says(const char *command, const char *word, const char *more, const char *wanted)
{
	const char *argv[] = {"redis-cli", "-p", redis_port, command, word, more, NULL};
	char said[16384];

	return bed_run(argv, said, sizeof(said)) == 0 && strstr(said, wanted) != NULL;
}

static pid_t start_redis(void)
{
	pid_t pid = bed_child(run_redis, NULL);
	nanos end = process_now() + 20 * NANOS_S;

	while (!redis_says("ping", NULL, NULL, "PONG")) {
		ck_assert_int_lt(process_now(), end);
		process_pause(20 * NANOS_MS);
	}
	return pid;
}

static int talk(int fd, const char *text)
{
	char answer[64];
	ssize_t got;

	if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		return -1;
	got = recv(fd, answer, sizeof(answer), 0);
	return got > 0 && answer[0] == '+' ? 0 : -1;
}

/* Sets numbered keys until it is killed; tells how many were answered. */
static int write_keys(pid_t pid, int count)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const char *port = redis_port;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), done = 0;

	address.sin_port = htons((uint16_t)process_number(&port));
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	for (; done < count; done++) {
		char text[128];

		snprintf(text, sizeof(text), "SET key%d value%d\r\n", done, done);
		if (done == count - 1)
			kill(pid, SIGKILL);
		if (talk(fd, text))
			break;
	}
	close(fd);
	return done;
}

START_TEST(redis_keeps_its_promises)
{
	char key[32], value[32];
	pid_t pid;
	int done;

	if (!bed_layer || !bed_has("redis-server"))
		return;
	snprintf(redis_port, sizeof(redis_port), "%u", free_port());
	pid = start_redis();
	ck_assert(redis_says("debug", "populate", "2000", "OK"));
	ck_assert(redis_says("bgrewriteaof", NULL, NULL, "rewriting started"));
	process_pause(300 * NANOS_MS);
	ck_assert(redis_says("save", NULL, NULL, "OK"));
	ck_assert(redis_says("info", "persistence", NULL, "aof_last_bgrewrite_status:ok"));
	bed_set(&(struct fuse_fault){.kind = FUSE_FAULT_LOST_FSYNC});
	done = write_keys(pid, 300);
	ck_assert_int_ge(done, 299);
	ck_assert_int_ne(bed_wait(pid, 5000), -1);
	bed_crash();
	pid = start_redis();
	for (int i = 0; i < done; i += i < done - 10 ? 23 : 1) {
		snprintf(key, sizeof(key), "key%d", i);
		snprintf(value, sizeof(value), "value%d", i);
		ck_assert_msg(redis_says("get", key, NULL, value), "%s is lost", key);
	}
	kill(pid, SIGKILL);
	ck_assert_int_ne(bed_wait(pid, 5000), -1);
}
END_TEST

/* ---- the stand-in platform's replica ---- */

static uint32_t crc_of(const char *bytes, size_t size)
{
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < size; i++) {
		crc ^= (unsigned char)bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

struct load {
	char url[128];
	int answered; /* a pipe that gets the numbers of those that were */
};

static int predict(struct http_client *client, const char *url, unsigned number)
{
	struct arena arena = {0};
	struct error e = {0};
	char body[128], payload[32];
	struct http_call call = {
		.method = "POST", .url = url, .body = body, .timeout = 2 * NANOS_S};
	struct http_reply reply = {0};
	int rc;

	snprintf(payload, sizeof(payload), "payload-%u", number);
	snprintf(body, sizeof(body), "%u key%u 1 %08" PRIx32 " %s\n", number, number,
		 crc_of(payload, strlen(payload)), payload);
	call.body_size = strlen(body);
	rc = http_call(client, &call, &arena, &reply, &e) || reply.status != 200;
	arena_free(&arena);
	return rc;
}

static int load_replica(void *self)
{
	const struct load *load = self;
	struct http_client *client;
	struct error e = {0};

	if (http_client_open(&client, &e))
		return 1;
	for (unsigned i = 1; predict(client, load->url, i) == 0; i++)
		if (write(load->answered, &i, sizeof(i)) != sizeof(i))
			return 1;
	return 0;
}

static bool answers(const void *self)
{
	const struct load *load = self;
	struct http_client *client;
	struct error e = {0};
	bool good;

	ck_assert_int_eq(http_client_open(&client, &e), 0);
	good = predict(client, load->url, 0) == 0;
	http_client_close(client);
	return good;
}

static struct program start_replica(struct load *load)
{
	struct program program = program_start("replica --id r1 --endpoint chat --site primary "
					       "--listen 127.0.0.1:0 --io-dir %s --weights weights",
					       "data");

	ck_assert_msg(program.address[0], "it does not start");
	snprintf(load->url, sizeof(load->url), "http://%s/predict", program.address);
	ck_assert(program_until(answers, load, 20000));
	return program;
}

/* It is killed in the middle of many answers, and the power fails; none that was given is gone. */
START_TEST(the_replica_keeps_its_promises)
{
	unsigned last = 0, number, lines = 0, most = 0;
	struct program program;
	struct load load = {0};
	struct error e = {0};
	char *text, *line;
	int ends[2];
	pid_t loader;

	if (!bed_layer)
		return;
	ck_assert_int_eq(http_client_prepare(&e), 0);
	bed_write("weights", "weights", 7);
	ck_assert_int_eq(symlink(bed_data, "data"), 0);
	bed_set(&(struct fuse_fault){.kind = FUSE_FAULT_LOST_FSYNC});
	program = start_replica(&load);
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	load.answered = ends[1];
	loader = bed_child(load_replica, &load);
	close(ends[1]);
	while (last < 300)
		ck_assert_int_eq(read(ends[0], &last, sizeof(last)), sizeof(last));
	kill(program.pid, SIGKILL);
	while (read(ends[0], &number, sizeof(number)) == sizeof(number))
		last = number;
	close(ends[0]);
	ck_assert_int_ne(program_wait(&program, 5000), -1);
	ck_assert_int_ne(bed_wait(loader, 10000), -1);
	bed_crash();
	program = start_replica(&load);
	text = workplace_read("data/r1.log");
	for (line = text; *line; line = strchr(line, '\n') + 1) {
		unsigned seq = (unsigned)strtoul(line, NULL, 10);

		ck_assert_ptr_nonnull(strchr(line, '\n'));
		lines++;
		most = seq > most ? seq : most;
	}
	free(text);
	ck_assert_msg(most >= last, "%u of %u", most, last);
	/* One line each, and those of the two first looks. */
	ck_assert_uint_ge(lines, last);
	program_end(&program);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test, int count)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, bed_setup, bed_teardown);
	tcase_add_loop_test(tcase, test, 0, count);
	tcase_set_timeout(tcase, 120);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	add(suite, "forgotten_syncs_are_found", forgotten_syncs_are_found, HABITS);
	add(suite, "a_lying_disk_loses_what_was_synced", a_lying_disk_loses_what_was_synced, 1);
	add(suite, "each_file_is_for_itself", each_file_is_for_itself, 1);
	add(suite, "writes_are_torn", writes_are_torn, 1);
	add(suite, "without_a_kill_the_disk_is_gone", without_a_kill_the_disk_is_gone, 1);
	add(suite, "sqlite_keeps_its_promises", sqlite_keeps_its_promises, 3);
	add(suite, "redis_keeps_its_promises", redis_keeps_its_promises, 1);
	add(suite, "the_replica_keeps_its_promises", the_replica_keeps_its_promises, 1);
}

int main(void)
{
	program_find();
	return test_main("real fuse sync", add_cases);
}
