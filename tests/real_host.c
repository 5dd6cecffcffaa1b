/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stand-in machines as real processes: started, reached, stopped, limited, killed; and what stays
 * behind when drsim is killed at any moment, in half of the cases with its guardian. As root the
 * same without it too, in a child that gave it up.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/link/bridge.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/prng.h"
#include "drivers/host/cgroup.h"
#include "drivers/host/guardian.h"
#include "drivers/host/machine.h"
#include "drivers/host/process.h"
#include "drivers/host/residue.h"
#include "drivers/host/undo.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define NOBODY 65534
#define SITES 2
#define DISK_BYTES ((uint64_t)1 << 20)
#define WAIT (10 * NANOS_S)
#define EATEN ((size_t)128 << 20)
#define KILLS 20
#define KILLS_SOAK 200

extern char **environ;

static char self_path[4096]; /* this program, which is also the one that the machines run */

/* ---- the machines' program: answers a line with a line ---- */

static int listen_at(const char *host)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, host, &address.sin_addr);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 64) ||
	    getsockname(fd, (struct sockaddr *)&address, &size)) {
		close(fd);
		return -1;
	}
	printf("listening %s:%u\n", host, ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

/* Sends a line to "A:P", takes the answer; false when there is none within a second (longer for
 * what is much work). */
static bool ask(const char *address, const char *question, char answer[256])
{
	const struct timeval patience = {.tv_sec = strcmp(question, "ping") == 0 ? 1 : 20};
	struct sockaddr_in to = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const char *port = strchr(address, ':') + 1;
	char host[64], line[512];
	ssize_t got = -1;

	snprintf(host, sizeof(host), "%.*s", (int)(port - address - 1), address);
	snprintf(line, sizeof(line), "%s\n", question);
	inet_pton(AF_INET, host, &to.sin_addr);
	to.sin_port = htons((uint16_t)process_number(&port));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
	    send(fd, line, strlen(line), MSG_NOSIGNAL) == (ssize_t)strlen(line))
		got = recv(fd, answer, 255, 0);
	close(fd);
	if (got > 0)
		answer[got] = '\0';
	return got > 0;
}

static const char *fill(const char *path, char answer[256])
{
	static const char block[4096];
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	long bytes = 0;

	while (fd >= 0 && bytes < 16 << 20 && write(fd, block, sizeof(block)) == sizeof(block))
		bytes += (long)sizeof(block);
	if (fd >= 0)
		close(fd);
	snprintf(answer, 256, "%ld", bytes);
	return answer;
}

/* Milliseconds of processor that half a second brings. */
static const char *burn(char answer[256])
{
	nanos end = process_now() + 500 * NANOS_MS;
	struct rusage before, after;
	long us;

	getrusage(RUSAGE_SELF, &before);
	while (process_now() < end)
		;
	getrusage(RUSAGE_SELF, &after);
	us = (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000 + after.ru_utime.tv_usec -
	     before.ru_utime.tv_usec + (after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1000000 +
	     after.ru_stime.tv_usec - before.ru_stime.tv_usec;
	snprintf(answer, 256, "%ld", us / 1000);
	return answer;
}

/* A child wants more memory than the machine may have. */
static const char *eat(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		char *bytes = malloc(EATEN);

		for (size_t i = 0; bytes && i < EATEN; i += 4096)
			((volatile char *)bytes)[i] = 1;
		_exit(bytes ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? "killed" : "eaten";
}

static const char *reply(const char *question, char answer[256])
{
	const char *word = strchr(question, ' ');

	word = word ? word + 1 : "";
	if (strncmp(question, "dial ", 5) == 0)
		return ask(word, "ping", answer) ? answer : "unreachable";
	if (strncmp(question, "file ", 5) == 0)
		return access(word, F_OK) ? "gone" : "there";
	if (strncmp(question, "fill ", 5) == 0)
		return fill(word, answer);
	if (strcmp(question, "burn") == 0)
		return burn(answer);
	if (strcmp(question, "eat") == 0)
		return eat();
	if (strcmp(question, "pid") == 0) {
		snprintf(answer, 256, "%ld", (long)getpid());
		return answer;
	}
	return "pong";
}

static int serve(const char *host)
{
	int server = listen_at(host);

	if (server < 0)
		return 1;
	/* A child that nobody looks after, in a session of its own. */
	if (fork() == 0) {
		setsid();
		for (;;)
			pause();
	}
	for (;;) {
		struct sockaddr_in from;
		socklen_t size = sizeof(from);
		char question[512] = "", answer[256];
		int fd = accept4(server, (struct sockaddr *)&from, &size, SOCK_CLOEXEC);

		if (fd < 0)
			continue;
		if (recv(fd, question, sizeof(question) - 1, 0) > 0) {
			const char *text;

			question[strcspn(question, "\n")] = '\0';
			text = reply(question, answer);
			send(fd, text, strlen(text), MSG_NOSIGNAL);
		}
		close(fd);
	}
}

/* ---- a drill's machines ---- */

struct drill {
	struct arena arena;
	struct journal *journal;
	struct guardian guardian;
	struct machine_site sites[SITES];
	struct machine_config *configs;
	struct machines_config config;
	struct machines *machines;
	char (*addresses)[MACHINE_ADDRESS_MAX];
};

/* For the victim too, which is no test. */
static void must(int rc, const struct error *e)
{
	if (rc == 0)
		return;
	fprintf(stderr, "%s\n", e->text);
	abort();
}

static void must_call(int rc, const char *path)
{
	if (rc >= 0)
		return;
	perror(path);
	abort();
}

static void open_drill(struct drill *drill, const char *run, size_t count, bool loopback)
{
	struct error e = {0};
	struct arena *arena = &drill->arena;

	*drill = (struct drill){0};
	must(journal_open(run, arena, &drill->journal, &e), &e);
	must(guardian_start(&drill->guardian, drill->journal, &e), &e);
	for (size_t i = 0; i < SITES; i++)
		drill->sites[i] = (struct machine_site){
			.name = i ? "backup" : "primary",
			.storage = arena_printf(arena, "%s/sites/%zu", drill->journal->work, i),
		};
	drill->configs = arena_array(arena, count, sizeof(*drill->configs));
	drill->addresses = arena_array(arena, count, sizeof(*drill->addresses));
	for (size_t i = 0; i < count; i++)
		drill->configs[i] = (struct machine_config){
			.name = arena_printf(arena, "%s/node[%zu]", drill->sites[i % SITES].name,
					     i / SITES),
			.site = (uint32_t)(i % SITES),
			.place_only = i + 1 == count,
			.disk = arena_printf(arena, "%s/machines/%zu/disk", drill->journal->work,
					     i),
			.disk_bytes = DISK_BYTES,
			.devices =
				arena_printf(arena, "%s/machines/%zu/dev", drill->journal->work, i),
			.device_count = 2,
		};
	drill->config = (struct machines_config){
		.sites = drill->sites,
		.site_count = SITES,
		.machines = drill->configs,
		.machine_count = count,
		.loopback_only = loopback,
	};
	must(machines_open(&drill->config, drill->journal, arena, &drill->machines, &e), &e);
}

static void start(struct drill *drill, size_t index)
{
	struct machine *machine = machines_get(drill->machines, index);
	const char *argv[] = {self_path, "--serve", machine_address(machine), NULL};
	const struct machine_start how = {
		.argv = argv,
		.log = arena_printf(&drill->arena, "%s/log-%zu", drill->journal->work, index),
	};
	struct error e = {0};

	must(machine_start(machine, &how, &e), &e);
}

static void hear(struct drill *drill, size_t index)
{
	struct error e = {0};

	must(machine_listening(machines_get(drill->machines, index), WAIT, drill->addresses[index],
			       &e),
	     &e);
}

/* All but the last, which is the clients' place. */
static void start_all(struct drill *drill)
{
	for (size_t i = 0; i + 1 < drill->config.machine_count; i++)
		start(drill, i);
	for (size_t i = 0; i + 1 < drill->config.machine_count; i++)
		hear(drill, i);
}

static void close_drill(struct drill *drill)
{
	struct error e = {0};
	struct undo_sum sum;
	const char **residues;
	size_t count;

	must(machines_close(drill->machines, &e), &e);
	undo_all(drill->journal, &sum);
	ck_assert_msg(sum.left == 0, "%s", sum.left ? sum.left_texts[0] : "");
	count = residue_scan(drill->journal, &residues);
	ck_assert_msg(count == 0, "%s", count ? residues[0] : "");
	guardian_end(&drill->guardian);
	ck_assert(journal_close(drill->journal));
	arena_free(&drill->arena);
}

/* ---- asked from the clients' place, by a thread of its own ---- */

struct call {
	struct drill *drill;
	size_t index;
	const char *question;
	char answer[256];
	bool answered;
};

static void *call_in_thread(void *self)
{
	struct call *call = self;
	struct drill *drill = call->drill;

	if (machine_enter(machines_get(drill->machines, drill->config.machine_count - 1), NULL) ==
	    0)
		call->answered = ask(drill->addresses[call->index], call->question, call->answer);
	return NULL;
}

static const char *call(struct drill *drill, size_t index, const char *question)
{
	struct call call = {.drill = drill, .index = index, .question = question};
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, call_in_thread, &call), 0);
	pthread_join(thread, NULL);
	return call.answered ? arena_strdup(&drill->arena, call.answer) : "nothing";
}

static void expect(struct drill *drill, size_t index, const char *question, const char *answer)
{
	ck_assert_str_eq(call(drill, index, question), answer);
}

/* ---- what a machine is ---- */

static bool is_isolated(const struct drill *drill)
{
	return machines_isolation(drill->machines) == MACHINE_NAMESPACES;
}

static void try_network(struct drill *drill)
{
	struct arena *arena = &drill->arena;

	for (size_t i = 0; i + 1 < drill->config.machine_count; i++)
		expect(drill, i, "ping", "pong");
	/* In the same site, and by the router in the other one. */
	expect(drill, 0, arena_printf(arena, "dial %s", drill->addresses[2]), "pong");
	expect(drill, 0, arena_printf(arena, "dial %s", drill->addresses[1]), "pong");
	expect(drill, 1, arena_printf(arena, "dial %s", drill->addresses[0]), "pong");
}

static void touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	must_call(fd, path);
	close(fd);
}

/* A file that drsim reaches in a machine's own mounts: mended at the latest when they go. */
static void keep_and_cut(struct drill *drill, const char *path)
{
	struct error e = {0};
	struct stat before, after;
	uint64_t number;

	ck_assert_int_eq(stat(path, &before), 0);
	for (int i = 0; i < 2; i++) {
		must(undo_keep_file(drill->journal, path, getpid(), &number, &e), &e);
		ck_assert_int_eq(truncate(path, 10), 0);
		if (i > 0)
			break;
		must(undo_number(drill->journal, number, &e), &e);
		ck_assert_int_eq(stat(path, &after), 0);
		ck_assert_int_eq(after.st_size, before.st_size);
		ck_assert_int_eq(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
	}
}

static void try_files(struct drill *drill)
{
	struct arena *arena = &drill->arena;
	struct machine *machine = machines_get(drill->machines, 0);
	const char *root = machine_root(machine), *device, *shared;

	device = arena_printf(arena, "%s/gpu1", drill->configs[0].devices);
	expect(drill, 0, arena_printf(arena, "file %s", device), "there");
	ck_assert_int_eq(unlink(arena_printf(arena, "%s%s", root, device)), 0);
	expect(drill, 0, arena_printf(arena, "file %s", device), "gone");
	expect(drill, 2, arena_printf(arena, "file %s/gpu1", drill->configs[2].devices), "there");
	if (is_isolated(drill)) {
		expect(drill, 2, arena_printf(arena, "file %s/gpu0", drill->configs[0].devices),
		       "gone");
		expect(drill, 0, arena_printf(arena, "fill %s/full", drill->configs[0].disk),
		       arena_printf(arena, "%llu", (unsigned long long)DISK_BYTES));
	} else {
		expect(drill, 0, arena_printf(arena, "fill %s/full", drill->configs[0].disk),
		       "16777216");
	}
	keep_and_cut(drill, arena_printf(arena, "%s%s/full", root, drill->configs[0].disk));
	shared = arena_printf(arena, "%s/shared", drill->sites[0].storage);
	touch(shared);
	expect(drill, 0, arena_printf(arena, "file %s", shared), "there");
	expect(drill, 2, arena_printf(arena, "file %s", shared), "there");
	expect(drill, 1, arena_printf(arena, "file %s", shared),
	       is_isolated(drill) ? "gone" : "there");
}

static void try_stop(struct drill *drill)
{
	struct machine *machine = machines_get(drill->machines, 0);
	struct error e = {0};

	for (int i = 0; i < 3; i++) {
		must(machine_freeze(machine, true, &e), &e);
		ck_assert(machine_frozen(machine) && machine_alive(machine));
		expect(drill, 0, "ping", "nothing");
		expect(drill, 1, "ping", "pong");
		must(machine_freeze(machine, false, &e), &e);
		expect(drill, 0, "ping", "pong");
	}
}

static void try_pids(struct drill *drill)
{
	struct machine *machine = machines_get(drill->machines, 0);
	const char *said = call(drill, 0, "pid");
	pid_t inner = (pid_t)process_number(&said), pid = machine_pid(machine, inner);
	struct process process;

	ck_assert_int_eq(inner == 1, is_isolated(drill));
	ck_assert(process_read(pid, &process));
	ck_assert_int_eq(process.parent, getpid());
	ck_assert_int_eq(machine_pid(machine, 99999999), 0);
	/* The first, and its child in another session. */
	ck_assert_uint_eq(machine_processes(machine, NULL, NULL), 2);
}

static struct machine_beside start_beside(struct drill *drill, const char *const *words)
{
	/* This program is in a folder beside it; both are in other folders by then. */
	char *own = realpath("/proc/self/exe", NULL);
	const char *argv[16] = {arena_printf(&drill->arena, "%s/../minilepton", dirname(own)),
				"strain"};
	const struct machine_start how = {
		.argv = argv,
		.log = arena_printf(&drill->arena, "%s/beside.log", drill->journal->work)};
	struct error e = {0};
	struct machine_beside beside;

	free(own);
	for (size_t i = 0; words[i]; i++)
		argv[i + 2] = words[i];
	must(machine_start_beside(machines_get(drill->machines, 0), &how, &beside, &e), &e);
	ck_assert(machine_beside_lives(&beside));
	return beside;
}

static void try_kill(struct drill *drill, bool frozen)
{
	struct machine *machine = machines_get(drill->machines, 0);
	struct arena *arena = &drill->arena;
	static const char *const none[] = {NULL};
	struct machine_beside beside = start_beside(drill, none);
	struct error e = {0};

	if (frozen)
		must(machine_freeze(machine, true, &e), &e);
	must(machine_kill(machine, &e), &e);
	ck_assert(!machine_alive(machine) && !machine_frozen(machine));
	ck_assert(!machine_beside_lives(&beside));
	ck_assert_uint_eq(machine_processes(machine, NULL, NULL), 0);
	expect(drill, 0, "ping", "nothing");
	must(machine_kill(machine, &e), &e);
	/* The disk outlives it, and so does the loss of a device. */
	ck_assert_int_eq(access(arena_printf(arena, "%s%s/full", machine_root(machine),
					     drill->configs[0].disk),
				F_OK),
			 0);
	start(drill, 0);
	hear(drill, 0);
	expect(drill, 0, "ping", "pong");
	expect(drill, 0, arena_printf(arena, "file %s/full", drill->configs[0].disk), "there");
	expect(drill, 0, arena_printf(arena, "file %s/gpu1", drill->configs[0].devices), "gone");
}

static void try_limits(struct drill *drill)
{
	struct machine *machine = machines_get(drill->machines, 0);
	struct error e = {0};
	const char *said;

	if (machine_limit(machine, 0.2, (uint64_t)64 << 20, &e)) {
		ck_assert_int_eq(e.kind, ERROR_UNAVAILABLE);
		printf("limits: %s\n", e.text);
		ck_assert(machines_lost(drill->machines)[0] != NULL);
		return;
	}
	said = call(drill, 0, "burn");
	printf("limits: 0.2 processors gave %s ms of 500\n", said);
	ck_assert_uint_le(process_number(&said), 180);
	must(machine_limit(machine, 0, (uint64_t)64 << 20, &e), &e);
	expect(drill, 0, "eat", "killed");
	expect(drill, 0, "ping", "pong");
	must(machine_limit(machine, 0, 0, &e), &e);
	expect(drill, 0, "eat", "eaten");
}

/* Other work in the machine: it is of the machine, counts apart, is stopped with it and ends. */
static void try_beside(struct drill *drill)
{
	static const char *const words[] = {"--workers", "1",        "--load-ppm", "300000",
					    "--memory",  "16000000", NULL};
	struct machine *machine = machines_get(drill->machines, 0);
	struct machine_beside strain = start_beside(drill, words);
	pid_t pid = strain.pid;
	struct machine_memory own, beside;
	struct error e = {0};

	process_pause(NANOS_S / 2);
	ck_assert_uint_eq(machine_processes(machine, NULL, NULL), 2 + 1 + 4);
	nanos used = process_cpu(pid), from = process_now();
	process_pause(NANOS_S);
	double load = (double)(process_cpu(pid) - used) / (double)(process_now() - from);
	printf("beside: %.3f of a processor\n", load);
	ck_assert_msg(load > 0.1 && load < 0.33, "%.3f", load);
	if (machine_memory(machine, false, &own) && machine_memory(machine, true, &beside)) {
		printf("beside: %.1f MB, its own %.1f MB\n", (double)beside.private_bytes / 1e6,
		       (double)own.private_bytes / 1e6);
		ck_assert_uint_ge(beside.private_bytes, 15500000);
		ck_assert_uint_le(beside.private_bytes, 19000000);
		ck_assert_uint_le(own.private_bytes, 8000000);
	}
	must(machine_freeze(machine, true, &e), &e);
	process_pause(50 * NANOS_MS);
	used = process_cpu(pid);
	process_pause(100 * NANOS_MS);
	ck_assert_int_eq(process_cpu(pid), used);
	must(machine_freeze(machine, false, &e), &e);
	machine_end_beside(machine, &strain);
	ck_assert(!process_lives(pid, 0));
	process_pause(50 * NANOS_MS); /* those that it started end by themselves */
	ck_assert_uint_eq(machine_processes(machine, NULL, NULL), 2);
	expect(drill, 0, "ping", "pong");
}

/* One process is held back, and then no longer. */
static void try_squeeze(struct drill *drill)
{
	struct machine *machine = machines_get(drill->machines, 0);
	const char *said = call(drill, 0, "pid");
	pid_t pid = machine_pid(machine, (pid_t)process_number(&said));
	struct error e = {0};

	if (machine_squeeze(machine, pid, 0.2, &e)) {
		ck_assert_int_eq(e.kind, ERROR_UNAVAILABLE);
		printf("squeeze: %s\n", e.text);
		return;
	}
	said = call(drill, 0, "burn");
	printf("squeeze: 0.2 processors gave %s ms of 500\n", said);
	ck_assert_uint_le(process_number(&said), 180);
	ck_assert_uint_gt(machine_throttled(machine, pid), 0);
	must(machine_squeeze(machine, pid, 0.002, &e), &e);
	said = call(drill, 0, "burn");
	printf("squeeze: 0.002 processors gave %s ms of 500\n", said);
	ck_assert_uint_le(process_number(&said), 20);
	must(machine_release(machine, pid, &e), &e);
	must(machine_release(machine, pid, &e), &e);
	said = call(drill, 0, "burn");
	ck_assert_uint_gt(process_number(&said), 180);
}

static void try_refusals(struct drill *drill)
{
	struct machine *machine = machines_get(drill->machines, 0);
	const char *argv[] = {"/nowhere/drsim-none", NULL};
	struct machine_start how = {.argv = argv, .log = drill->journal->path};
	char address[MACHINE_ADDRESS_MAX];
	struct error e = {0};
	uint16_t first, second;

	how.log = arena_printf(&drill->arena, "%s/log", drill->journal->work);
	ck_assert_int_eq(machine_start(machine, &how, &e), -1);
	ck_assert_ptr_ne(strstr(e.text, "cannot run its program"), NULL);
	ck_assert(!machine_alive(machine));
	argv[0] = "/bin/false";
	e = (struct error){0};
	must(machine_start(machine, &how, &e), &e);
	ck_assert_int_eq(machine_listening(machine, WAIT, address, &e), -1);
	ck_assert_ptr_ne(strstr(e.text, "ended before it listened"), NULL);
	e = (struct error){0};
	must(machine_ports(machine, 8, &first, &e), &e);
	must(machine_ports(machine, 8, &second, &e), &e);
	ck_assert_int_ge(abs(first - second), 8);
}

static size_t count_links(void)
{
	struct if_nameindex *links = if_nameindex();
	size_t count = 0;

	while (links && links[count].if_index)
		count++;
	if_freenameindex(links);
	return count;
}

static void try_all(const char *run, size_t count, bool loopback, enum machine_isolation expected)
{
	size_t links = count_links();
	struct drill drill;
	nanos begin = process_now(), opened, started;

	open_drill(&drill, run, count, loopback);
	opened = process_now();
	ck_assert_int_eq(machines_isolation(drill.machines), expected);
	for (const char *const *text = machines_lost(drill.machines); *text; text++)
		printf("%s: lost: %s\n", run, *text);
	start_all(&drill);
	started = process_now();
	printf("%s: %zu machines, %s: made in %.0f ms, started in %.0f ms\n", run, count,
	       machine_isolation_names[expected], (double)(opened - begin) / 1e6,
	       (double)(started - opened) / 1e6);
	try_network(&drill);
	try_files(&drill);
	try_pids(&drill);
	try_stop(&drill);
	try_limits(&drill);
	try_squeeze(&drill);
	try_beside(&drill);
	try_kill(&drill, false);
	try_kill(&drill, true);
	try_refusals(&drill);
	begin = process_now();
	close_drill(&drill);
	printf("%s: closed in %.0f ms\n", run, (double)(process_now() - begin) / 1e6);
	ck_assert_uint_eq(count_links(), links);
}

static bool can_isolate(bool user)
{
	struct arena arena = {0};
	pid_t pid = fork();
	int status;

	(void)arena;
	if (pid == 0)
		_exit(unshare((user ? CLONE_NEWUSER : 0) | CLONE_NEWNET | CLONE_NEWPID) ? 1 : 0);
	waitpid(pid, &status, 0);
	return status == 0;
}

START_TEST(machines_with_namespaces)
{
	if (!can_isolate(geteuid() != 0)) {
		printf("skipped: namespaces: %s\n", strerror(errno));
		return;
	}
	try_all("namespaces", 12, false, MACHINE_NAMESPACES);
}
END_TEST

/* As on hosts with cgroups of version 1 only, where a frozen process cannot be killed. */
static bool hide_version_2(void)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    umount2("/sys/fs/cgroup/unified", MNT_DETACH))
		return false;
	return access("/sys/fs/cgroup/freezer/cgroup.procs", W_OK) == 0;
}

START_TEST(machines_with_version_1)
{
	if (!hide_version_2()) {
		printf("skipped: version 1: %s\n", strerror(errno));
		return;
	}
	if (_i == 0)
		try_all("version-1", 4, false, MACHINE_NAMESPACES);
	else
		try_all("version-1-loopback", 4, true, MACHINE_LOOPBACK);
}
END_TEST

START_TEST(machines_on_loopback)
{
	try_all("loopback", 6, true, MACHINE_LOOPBACK);
}
END_TEST

START_TEST(forty_machines)
{
	struct drill drill;
	nanos begin = process_now();

	open_drill(&drill, "forty", 40, false);
	start_all(&drill);
	printf("forty: %s: made and started in %.0f ms\n",
	       machine_isolation_names[machines_isolation(drill.machines)],
	       (double)(process_now() - begin) / 1e6);
	for (size_t i = 0; i + 1 < 40; i++)
		expect(&drill, i, "ping", "pong");
	close_drill(&drill);
}
END_TEST

/* ---- without root ---- */

static void give_up_root(void)
{
	ck_assert_int_eq(chown(".", NOBODY, NOBODY), 0);
	ck_assert_int_eq(setgroups(0, NULL), 0);
	ck_assert_int_eq(setgid(NOBODY), 0);
	ck_assert_int_eq(setuid(NOBODY), 0);
	/* As after an exec: else even our own /proc belongs to root. */
	ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 1), 0);
}

START_TEST(machines_without_root)
{
	bool user;

	if (geteuid() == 0)
		give_up_root();
	user = can_isolate(true);
	if (_i == 0)
		try_all("unprivileged-loopback", 6, true, MACHINE_LOOPBACK);
	else
		try_all("unprivileged", 12, false, user ? MACHINE_NAMESPACES : MACHINE_LOOPBACK);
}
END_TEST

/* ---- drsim is killed ---- */

#define TARGET_SIZE 100000

/* What the victim breaks: files of a target outside the work folder, and a process of it. */
struct target {
	char data[4200], moved[4200], made[4200];
	pid_t process;
};

static void name_target(struct target *target, pid_t process)
{
	char cwd[4096];

	if (!getcwd(cwd, sizeof(cwd)))
		_exit(9);
	snprintf(target->data, sizeof(target->data), "%s/target/data", cwd);
	snprintf(target->moved, sizeof(target->moved), "%s/target/moved", cwd);
	snprintf(target->made, sizeof(target->made), "%s/target/made", cwd);
	target->process = process;
}

/* One way of damaging a file after another. */
static void damage(const char *path, int round)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (round % 3 == 0)
		unlink(path);
	else if (round % 3 == 1)
		(void)!ftruncate(fd, 17);
	else
		(void)!pwrite(fd, "broken", 6, 5000);
	close(fd);
	chmod(path, 0600);
}

static uint64_t note(struct drill *drill, struct undo undo)
{
	struct error e = {0};

	must(journal_add(drill->journal, &undo, &e), &e);
	return undo.number;
}

/* Breaks all of the target, and mends it. */
static void one_round(struct drill *drill, const struct target *target, int round)
{
	struct machine *machine = machines_get(drill->machines, 0);
	struct journal *journal = drill->journal;
	const char *away = arena_printf(&drill->arena, "%s.away", target->moved);
	struct error e = {0};
	uint64_t numbers[4];

	must(undo_keep_file(journal, target->data, 0, &numbers[0], &e), &e);
	damage(target->data, round);
	numbers[1] = note(drill, (struct undo){.kind = UNDO_REMOVE, .path = target->made});
	touch(target->made);
	numbers[2] = note(drill,
			  (struct undo){.kind = UNDO_RENAME, .path = target->moved, .from = away});
	must_call(rename(target->moved, away), away);
	numbers[3] = note(drill, (struct undo){.kind = UNDO_CONTINUE,
					       .pid = target->process,
					       .start = process_start(target->process)});
	kill(target->process, SIGSTOP);
	must(machine_freeze(machine, true, &e), &e);
	if (round % 2) {
		must(machine_freeze(machine, false, &e), &e);
	} else {
		must(machine_kill(machine, &e), &e);
		start(drill, 0);
		hear(drill, 0);
	}
	for (size_t i = 4; i-- > 0;)
		must(undo_number(journal, numbers[i], &e), &e);
}

/* What is killed: a drill that goes on for ever. */
static _Noreturn void be_victim(const char *run, const char *process, const char *mode)
{
	struct target target = {0};
	struct drill drill;

	if (strcmp(mode, "version 1") == 0 || strcmp(mode, "frozen") == 0)
		hide_version_2();
	name_target(&target, (pid_t)process_number(&process));
	open_drill(&drill, run, 4, strcmp(mode, "loopback") == 0);
	start_all(&drill);
	if (strcmp(mode, "frozen") == 0) {
		struct error e = {0};

		must(machine_freeze(machines_get(drill.machines, 0), true, &e), &e);
		touch("frozen");
		for (;;)
			pause();
	}
	for (int round = 0;; round++)
		one_round(&drill, &target, round);
}

/* ---- and what is left then ---- */

struct likeness {
	char digest[JOURNAL_DIGEST_MAX];
	uint64_t bytes;
	struct stat status;
};

static struct likeness look(const char *path)
{
	struct likeness likeness = {0};

	if (lstat(path, &likeness.status) == 0)
		undo_digest(path, likeness.digest, &likeness.bytes, NULL);
	return likeness;
}

static bool alike(const struct likeness *a, const struct likeness *b)
{
	return strcmp(a->digest, b->digest) == 0 && a->bytes == b->bytes &&
	       a->status.st_mode == b->status.st_mode && a->status.st_uid == b->status.st_uid &&
	       a->status.st_mtim.tv_sec == b->status.st_mtim.tv_sec &&
	       a->status.st_mtim.tv_nsec == b->status.st_mtim.tv_nsec;
}

static void make_target(const struct target *target)
{
	static char text[TARGET_SIZE];
	const char *const paths[] = {target->data, target->moved};

	memset(text, 'x', sizeof(text));
	ck_assert(mkdir("target", 0700) == 0 || errno == EEXIST);
	for (size_t i = 0; i < 2; i++) {
		int fd = open(paths[i], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

		ck_assert_int_eq(write(fd, text, sizeof(text)), sizeof(text));
		fchmod(fd, 0640);
		close(fd);
	}
}

static size_t count_files(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	size_t count = 0;

	while (dir && (entry = readdir(dir)) != NULL)
		count += entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return count;
}

static pid_t spawn(const char *const *argv)
{
	pid_t pid;

	ck_assert_int_eq(
		posix_spawn(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ), 0);
	return pid;
}

static int end_of(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

/* The guardian of a run: the child of its owner that left the owner's group. 0: not yet there. */
static pid_t find_guardian(pid_t owner)
{
	struct arena arena = {0};
	struct process *list;
	size_t count = process_list(&arena, &list);
	pid_t found = 0;

	for (size_t i = 0; i < count; i++)
		if (list[i].parent == owner && strcmp(list[i].name, "drsim-guardian") == 0)
			found = list[i].pid;
	arena_free(&arena);
	return found;
}

/* Looked for by ourselves, not by the journal that is gone. */
static size_t count_residues(const char *run, const struct target *target,
			     const struct likeness before[2])
{
	struct arena arena = {0};
	struct journal journal = {
		.arena = &arena,
		.run = run,
		.work = arena_printf(&arena, "%s/run/%s", getenv("DRSIM_STATE"), run),
	};
	const char **texts;
	size_t count = residue_scan(&journal, &texts);
	struct likeness now[2] = {look(target->data), look(target->moved)};
	struct process process;

	for (size_t i = 0; i < count; i++)
		printf("residue: %s\n", texts[i]);
	for (size_t i = 0; i < 2; i++)
		if (!alike(&now[i], &before[i])) {
			printf("residue: file %zu is not as it was\n", i);
			count++;
		}
	count += count_files("target") != 2;
	count += count_files("state/journal") + count_files("state/run");
	if (!process_read(target->process, &process) || process.state == 'T') {
		printf("residue: the target's process is stopped or gone\n");
		count++;
	}
	arena_free(&arena);
	return count;
}

enum fate {
	UNGUARDED, /* killed before its guardian was there, or before its name was */
	GUARDED,   /* it was, and lives */
	BOTH,      /* killed together */
};

/* Runs a victim, and kills it at some moment. */
static enum fate kill_one(const char *run, const struct target *target, const char *mode,
			  struct prng *prng, bool with_guardian)
{
	char process[32];
	const char *argv[] = {self_path, "--victim", run, process, mode, NULL};
	nanos delay = (nanos)prng_below(prng, 400) * NANOS_MS;
	pid_t victim, guardian = 0;
	int status;

	snprintf(process, sizeof(process), "%ld", (long)target->process);
	victim = spawn(argv);
	while (with_guardian && !find_guardian(victim) && process_lives(victim, 0))
		process_pause(NANOS_MS);
	process_pause(delay);
	guardian = find_guardian(victim);
	if (with_guardian && guardian && prng_below(prng, 2))
		kill(guardian, SIGKILL);
	kill(victim, SIGKILL);
	if (with_guardian && guardian) {
		/* At once, or in the middle of its work. */
		if (prng_below(prng, 2))
			process_pause((nanos)prng_below(prng, 30) * NANOS_MS);
		kill(guardian, SIGKILL);
	}
	status = end_of(victim);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		      "the victim ended by itself: status %x", (unsigned)status);
	return guardian == 0 ? UNGUARDED : with_guardian ? BOTH : GUARDED;
}

/* It is killed too, and begins again. */
static void interrupted_revert(struct prng *prng)
{
	const char *argv[] = {workplace_program, "revert", NULL};
	pid_t pid;

	fflush(stdout);
	pid = spawn(argv);
	process_pause((nanos)prng_below(prng, 20000) * NANOS_US);
	kill(pid, SIGKILL);
	end_of(pid);
}

static int drsim_revert(void)
{
	const char *argv[] = {workplace_program, "revert", NULL};
	int status;

	fflush(stdout);
	status = end_of(spawn(argv));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Does the guardian finish alone? */
static bool wait_for_guardian(void)
{
	nanos end = process_now() + WAIT;

	while (count_files("state/journal") > 0 && process_now() < end)
		process_pause(2 * NANOS_MS);
	return count_files("state/journal") == 0;
}

static int count_kills(void)
{
	return getenv("DRSIM_SOAK") ? KILLS_SOAK : KILLS;
}

/* 0: as we are, 1: with cgroups of version 1, 2: without root, 3: without root, on loopback. */
START_TEST(killed_at_any_moment)
{
	static const char *const modes[] = {"any", "version 1", "any", "loopback"};
	int kills = _i == 0 ? count_kills() : count_kills() / 4, alone = 0;
	int fates[3] = {0};
	size_t residues = 0;
	struct target target = {0};
	struct prng prng;
	pid_t idle;

	if (_i > 1 && geteuid() == 0)
		give_up_root();
	idle = fork();
	if (idle == 0)
		for (;;)
			pause();
	name_target(&target, idle);
	prng_open(&prng, 42, 0, (uint64_t)_i, PRNG_TEST);
	for (int i = 0; i < kills; i++) {
		char run[32];
		struct likeness before[2];
		enum fate fate;

		snprintf(run, sizeof(run), "kill-%d-%d", _i, i);
		make_target(&target);
		before[0] = look(target.data);
		before[1] = look(target.moved);
		fate = kill_one(run, &target, modes[_i], &prng, i % 2);
		fates[fate]++;
		if (fate == BOTH && prng_below(&prng, 2))
			interrupted_revert(&prng);
		if (fate == GUARDED)
			alone += wait_for_guardian();
		else
			ck_assert_int_eq(drsim_revert(), 0);
		residues += count_residues(run, &target, before);
	}
	kill(idle, SIGKILL);
	end_of(idle);
	printf("killed: %d runs, in %d the guardian too, in %d before it was there, %d finished by "
	       "the guardian: %zu residues\n",
	       kills, fates[BOTH], fates[UNGUARDED], alone, residues);
	ck_assert_uint_eq(residues, 0);
	ck_assert_int_eq(alone, fates[GUARDED]);
	ck_assert_int_gt(fates[BOTH], 0);
}
END_TEST

/* What is frozen with version 1 ends only when it is thawed, whichever group it is killed in. */
START_TEST(killed_while_frozen)
{
	const char *argv[] = {self_path, "--victim", "frozen", "1", "frozen", NULL};
	nanos begin;
	pid_t victim;

	if (geteuid() != 0 || access("/sys/fs/cgroup/freezer", W_OK)) {
		printf("skipped: frozen: %s\n", strerror(errno));
		return;
	}
	victim = spawn(argv);
	while (access("frozen", F_OK) && process_lives(victim, 0))
		process_pause(NANOS_MS);
	begin = process_now();
	kill(victim, SIGKILL);
	ck_assert(WIFSIGNALED(end_of(victim)));
	ck_assert(wait_for_guardian());
	ck_assert_int_lt(process_now() - begin, UNDO_WAIT_MS * NANOS_MS);
	ck_assert_uint_eq(count_files("state/run"), 0);
}
END_TEST

/* ---- a host that is dirty ---- */

START_TEST(dirty_until_reverted)
{
	struct arena arena = {0};
	struct error e = {0};
	struct target target = {0};
	struct prng prng;
	pid_t idle = fork();

	if (idle == 0)
		for (;;)
			pause();
	name_target(&target, idle);
	make_target(&target);
	prng_open(&prng, 42, 1, 0, PRNG_TEST);
	while (kill_one("dirty", &target, "any", &prng, true) != BOTH)
		ck_assert_int_eq(drsim_revert(), 0);
	kill(idle, SIGKILL);
	end_of(idle);
	if (count_files("state/journal") > 0) {
		ck_assert_int_eq(undo_require_clean(&arena, &e), -1);
		ck_assert_int_eq(e.kind, ERROR_UNAVAILABLE);
		ck_assert_ptr_ne(strstr(e.text, "run `drsim revert` first"), NULL);
	}
	ck_assert_int_eq(drsim_revert(), 0);
	e = (struct error){0};
	must(undo_require_clean(&arena, &e), &e);
	arena_free(&arena);
}
END_TEST

/* ---- cgroups of both versions, mounts ---- */

static pid_t idle_in(const char *group)
{
	pid_t pid = fork();
	struct error e = {0};

	if (pid == 0)
		for (;;)
			pause();
	must(cgroup_join(group, pid, &e), &e);
	return pid;
}

/* A group with one in it, both with processes, frozen; gone at once. */
START_TEST(a_frozen_cgroup_is_removed)
{
	static const char *const folders[] = {"/sys/fs/cgroup/freezer", "/sys/fs/cgroup/unified",
					      "/sys/fs/cgroup"};
	static const char *const files[] = {"freezer.state", "cgroup.freeze", "cgroup.freeze"};
	struct arena arena = {0};
	struct error e = {0};
	const char *group = arena_printf(&arena, "%s/drsim-test-%ld", folders[_i], (long)getpid());
	const char *inner = arena_printf(&arena, "%s/inner", group), **texts;
	struct journal journal = {.arena = &arena,
				  .run = arena_printf(&arena, "test-%ld", (long)getpid())};
	pid_t pids[2];

	if (mkdir(group, 0755) || access(arena_printf(&arena, "%s/%s", group, files[_i]), F_OK)) {
		printf("skipped: no %s in %s\n", files[_i], group);
		rmdir(group);
		arena_free(&arena);
		return;
	}
	must(cgroup_make(inner, _i > 0, false, &e), &e);
	pids[0] = idle_in(group);
	pids[1] = idle_in(inner);
	must(cgroup_freeze(inner, _i > 0, true, WAIT, &e), &e);
	must(cgroup_freeze(group, _i > 0, true, WAIT, &e), &e);
	ck_assert_uint_eq(residue_scan(&journal, &texts), 1);
	ck_assert_str_eq(texts[0], arena_printf(&arena, "cgroup %s", group));
	must(cgroup_destroy(group, WAIT, &e), &e);
	ck_assert_uint_eq(residue_scan(&journal, &texts), 0);
	for (size_t i = 0; i < 2; i++) {
		int status = end_of(pids[i]);

		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	must(cgroup_destroy(group, WAIT, &e), &e);
	arena_free(&arena);
}
END_TEST

/* What is mounted in a work folder is unmounted by its own record only, and never emptied. */
START_TEST(mounts_are_not_crossed)
{
	struct arena arena = {0};
	struct error e = {0};
	struct journal *journal;
	struct undo undo = {.kind = UNDO_UNMOUNT};
	const char **texts;
	struct undo_sum sum;

	if (geteuid() != 0 || unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		printf("skipped: mounts: %s\n", strerror(errno));
		return;
	}
	/* Lists of mounts write a blank in another way. */
	ck_assert_int_eq(setenv("DRSIM_STATE",
				arena_printf(&arena, "%s of mounts", getenv("DRSIM_STATE")), 1),
			 0);
	must(journal_open("mounts", &arena, &journal, &e), &e);
	undo.path = arena_printf(&arena, "%s/mnt", journal->work);
	ck_assert_int_eq(mkdir(undo.path, 0700), 0);
	ck_assert_int_eq(mkdir("precious", 0700), 0);
	touch("precious/file");
	/* A bind mount is of the same device: only its number tells it apart. */
	ck_assert_int_eq(mount("precious", undo.path, NULL, MS_BIND, NULL), 0);
	ck_assert_int_eq(undo_number(journal, 1, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.text, "mounted"));
	ck_assert_int_eq(access("precious/file", F_OK), 0);
	ck_assert_uint_eq(residue_scan(journal, &texts), 2);
	e = (struct error){0};
	must(journal_add(journal, &undo, &e), &e);
	undo_all(journal, &sum);
	ck_assert_uint_eq(sum.left, 0);
	ck_assert_uint_eq(residue_scan(journal, &texts), 0);
	ck_assert_int_eq(access("precious/file", F_OK), 0);
	ck_assert(journal_close(journal));
	arena_free(&arena);
}
END_TEST

/* ---- names that nothing of ours may leave in the host's own network ---- */

/* Adds the nft table drsim_test: named as faults of the network name theirs. */
static int add_table(struct nl_sock *socket)
{
	static const int types[] = {NFNL_MSG_BATCH_BEGIN,
				    NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE,
				    NFNL_MSG_BATCH_END};
	char batch[1024];
	size_t size = 0;

	for (size_t i = 0; i < 3; i++) {
		struct nl_msg *message = nlmsg_alloc_simple(
			types[i],
			i == 1 ? NLM_F_REQUEST | NLM_F_CREATE | NLM_F_ACK : NLM_F_REQUEST);
		struct nfgenmsg family = {.nfgen_family = i == 1 ? AF_INET : AF_UNSPEC};

		if (i != 1)
			family.res_id = htons(NFNL_SUBSYS_NFTABLES);
		nlmsg_append(message, &family, sizeof(family), NLMSG_ALIGNTO);
		if (i == 1)
			nla_put_string(message, NFTA_TABLE_NAME, "drsim_test");
		nlmsg_hdr(message)->nlmsg_seq = (uint32_t)i + 1;
		memcpy(batch + size, nlmsg_hdr(message), nlmsg_hdr(message)->nlmsg_len);
		size += NLMSG_ALIGN(nlmsg_hdr(message)->nlmsg_len);
		nlmsg_free(message);
	}
	nl_socket_disable_seq_check(socket);
	if (nl_connect(socket, NETLINK_NETFILTER) || nl_sendto(socket, batch, size) < 0)
		return -1;
	return nl_wait_for_ack(socket);
}

START_TEST(names_in_the_network_are_found)
{
	struct arena arena = {0};
	struct journal journal = {.arena = &arena, .run = "names"};
	struct nl_sock *route = nl_socket_alloc(), *filter = nl_socket_alloc();
	struct rtnl_link *bridge = rtnl_link_bridge_alloc();
	const char **texts;

	if (geteuid() != 0 || unshare(CLONE_NEWNET | CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("test", "/run", "tmpfs", 0, NULL)) {
		printf("skipped: names: %s\n", strerror(errno));
		return;
	}
	ck_assert_uint_eq(residue_scan(&journal, &texts), 0);
	ck_assert_int_eq(mkdir("/run/netns", 0755), 0);
	touch("/run/netns/drsim-names");
	rtnl_link_set_name(bridge, "drsim-0");
	ck_assert_int_eq(nl_connect(route, NETLINK_ROUTE), 0);
	ck_assert_int_eq(rtnl_link_add(route, bridge, NLM_F_CREATE), 0);
	ck_assert_int_eq(add_table(filter), 0);
	ck_assert_uint_eq(residue_scan(&journal, &texts), 3);
	ck_assert_str_eq(texts[0], "network namespace drsim-names");
	ck_assert_str_eq(texts[1], "network link drsim-0");
	ck_assert_str_eq(texts[2], "nft table drsim_test");
	rtnl_link_put(bridge);
	nl_socket_free(route);
	nl_socket_free(filter);
	arena_free(&arena);
}
END_TEST

/* ---- the place of a test ---- */

static void find_self(void)
{
	ssize_t length = readlink("/proc/self/exe", self_path, sizeof(self_path) - 1);

	self_path[length > 0 ? length : 0] = '\0';
}

static void setup(void)
{
	char cwd[4096], state[4200];

	workplace_enter("host");
	ck_assert_int_eq(chmod(".", 0755), 0);
	ck_assert(getcwd(cwd, sizeof(cwd)) != NULL);
	snprintf(state, sizeof(state), "%s/state", cwd);
	setenv("DRSIM_STATE", state, 1);
}

static void teardown(void)
{
	workplace_leave();
}

static void add(Suite *suite, const char *name, const TTest *test, int count)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 600);
	tcase_add_loop_test(tcase, test, 0, count);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	add(suite, "machines: namespaces", machines_with_namespaces, 1);
	add(suite, "machines: loopback", machines_on_loopback, 1);
	add(suite, "machines: version 1", machines_with_version_1, 2);
	add(suite, "machines: forty", forty_machines, 1);
	add(suite, "machines: without root", machines_without_root, 2);
	add(suite, "cgroups", a_frozen_cgroup_is_removed, 3);
	add(suite, "names", names_in_the_network_are_found, 1);
	add(suite, "mounts", mounts_are_not_crossed, 1);
	add(suite, "killed", killed_at_any_moment, geteuid() == 0 ? 4 : 1);
	add(suite, "killed: frozen", killed_while_frozen, 1);
	add(suite, "dirty", dirty_until_reverted, 1);
}

int main(int argc, char **argv)
{
	find_self();
	if (argc == 3 && strcmp(argv[1], "--serve") == 0)
		return serve(argv[2]);
	if (argc == 5 && strcmp(argv[1], "--victim") == 0)
		be_victim(argv[2], argv[3], argv[4]);
	return test_main("host", add_cases);
}
