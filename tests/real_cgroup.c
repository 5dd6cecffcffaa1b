/* SPDX-License-Identifier: Apache-2.0 */
/* Devices that cannot be opened, slow disks and refused forks in real machines, with cgroups of
 * both versions, seen by programs that the machines' agents start. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/host/cgroup.h"
#include "drivers/host/process.h"
#include "sim/minilepton/http.h"
#include "tests/drill_machines.h"
#include "tests/program.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define PATIENCE_MS 20000
#define FORKS 12
#define ROOM 6 /* processes of a machine: its agent, the program, four children */
#define WRITTEN ((size_t)2 << 20)
#define RATE ((uint64_t)2 << 20)
#define BLOCK ((size_t)256 << 10)
#define SLOW_TENTHS                                                                                \
	7 /* of a second: less than what RATE makes of WRITTEN, more than a disk needs */

static char self_path[4096];
static int numbers; /* of programs that were started */

static void setup(void)
{
	struct error e = {0};

	program_find();
	workplace_enter("cgroup");
	ck_assert_int_eq(http_client_prepare(&e), 0);
}

static void teardown(void)
{
	workplace_leave();
}

/* ---- programs in machines; what they find out is their exit code ---- */

static int try_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/* How many of FORKS children there can be at a time. */
static int try_forks(void)
{
	pid_t pids[FORKS];
	int count = 0;

	while (count < FORKS) {
		pids[count] = fork();
		if (pids[count] == 0)
			for (;;)
				pause();
		if (pids[count] < 0)
			break;
		count++;
	}
	for (int i = 0; i < count; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	return count;
}

/* Past the page cache; tenths of a second. */
static int try_write(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
	nanos begin = process_now();
	void *block;

	if (fd < 0 || posix_memalign(&block, 4096, BLOCK))
		return 255;
	memset(block, 1, BLOCK);
	for (size_t at = 0; at < WRITTEN; at += BLOCK)
		if (write(fd, block, BLOCK) != (ssize_t)BLOCK)
			return 254;
	unlink(path);
	return (int)((process_now() - begin) / (100 * NANOS_MS));
}

/* ---- asking an agent, from inside its machine's network ---- */

struct call {
	struct machine *machine;
	const char *address, *argv;
	int number, code;
};

static cJSON *ask(struct http_client *client, const char *method, const char *url, const char *body,
		  struct arena *arena)
{
	const struct http_call call = {.method = method,
				       .url = url,
				       .body = body,
				       .body_size = body ? strlen(body) : 0,
				       .timeout = 10 * NANOS_S};
	struct http_reply reply;
	struct error e = {0};
	cJSON *json;

	ck_assert_msg(http_call(client, &call, arena, &reply, &e) == 0, "%s", e.text);
	ck_assert_msg(reply.status < 300, "%s", reply.body);
	json = cJSON_Parse(reply.body);
	ck_assert_ptr_nonnull(json);
	return json;
}

/* -1: it runs. */
static int exit_code(const cJSON *node, int number)
{
	const cJSON *process, *code;
	int found = -1;

	cJSON_ArrayForEach (process, cJSON_GetObjectItem(node, "processes")) {
		const char *id = cJSON_GetStringValue(cJSON_GetObjectItem(process, "id"));

		code = cJSON_GetObjectItem(process, "exit_code");
		if (id[1] - '0' + 10 * (id[0] - '0') == number && cJSON_IsNumber(code))
			found = code->valueint;
	}
	return found;
}

static void *run_program(void *self)
{
	struct call *call = self;
	struct http_client *client = NULL;
	struct arena arena = {0};
	struct error e = {0};
	const char *base = arena_printf(&arena, "http://%s/_drsim/", call->address);
	int64_t end = program_clock() + (int64_t)PATIENCE_MS * 1000000;

	ck_assert_msg(machine_enter(call->machine, &e) == 0, "%s", e.text);
	ck_assert_int_eq(http_client_open(&client, &e), 0);
	cJSON_Delete(ask(client, "POST", arena_printf(&arena, "%sprocesses", base),
			 arena_printf(&arena, "{\"id\":\"%02d\",\"argv\":[\"%s\",%s]}",
				      call->number, self_path, call->argv),
			 &arena));
	for (call->code = -1; call->code < 0 && program_clock() < end; program_pause(5)) {
		cJSON *node =
			ask(client, "GET", arena_printf(&arena, "%snode", base), NULL, &arena);

		call->code = exit_code(node, call->number);
		cJSON_Delete(node);
	}
	http_client_close(client);
	arena_free(&arena);
	return NULL;
}

/* Runs this program there with these words, "\"--open\",\"/dev/zero\"": its exit code. */
static int run_in(struct drill_machines *drill, size_t index, const char *address, const char *argv)
{
	struct call call = {.machine = machines_get(drill->machines, index),
			    .address = address,
			    .argv = argv,
			    .number = numbers++};
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, run_program, &call), 0);
	pthread_join(thread, NULL);
	ck_assert_int_ge(call.code, 0);
	return call.code;
}

#define OPEN(path) "\"--open\",\"" path "\""

/* ---- faults ---- */

static void must(int rc, const struct error *e)
{
	ck_assert_msg(rc == 0, "%s", e->text);
}

static void try_devices(struct drill_machines *drill, const char *addresses[2])
{
	const struct cgroup_device full = {.major = 1, .minor = 7}, zero = {.major = 1, .minor = 5};
	struct machine *machine = machines_get(drill->machines, 0);
	struct error e = {0};

	ck_assert_int_eq(run_in(drill, 0, addresses[0], OPEN("/dev/full")), 0);
	for (int twice = 0; twice < 2; twice++)
		must(machine_deny_device(machine, &full, true, &e), &e);
	ck_assert_int_eq(run_in(drill, 0, addresses[0], OPEN("/dev/full")), EPERM);
	ck_assert_int_eq(run_in(drill, 0, addresses[0], OPEN("/dev/zero")), 0);
	ck_assert_int_eq(run_in(drill, 1, addresses[1], OPEN("/dev/full")), 0);
	must(machine_deny_device(machine, &zero, true, &e), &e);
	ck_assert_int_eq(run_in(drill, 0, addresses[0], OPEN("/dev/zero")), EPERM);
	for (int twice = 0; twice < 2; twice++)
		must(machine_deny_device(machine, &full, false, &e), &e);
	ck_assert_int_eq(run_in(drill, 0, addresses[0], OPEN("/dev/full")), 0);
	ck_assert_int_eq(run_in(drill, 0, addresses[0], OPEN("/dev/zero")), EPERM);
	/* A machine that is booted is under it from its first process on. */
	must(machine_kill(machine, &e), &e);
	addresses[0] = drill_machines_start(drill, 0, (struct machine_start){0});
	ck_assert_int_eq(run_in(drill, 0, addresses[0], OPEN("/dev/zero")), EPERM);
	must(machine_deny_device(machine, &zero, false, &e), &e);
	ck_assert_int_eq(run_in(drill, 0, addresses[0], OPEN("/dev/zero")), 0);
}

static void try_processes(struct drill_machines *drill, const char *addresses[2])
{
	struct machine *machine = machines_get(drill->machines, 0);
	struct error e = {0};

	ck_assert_int_eq(run_in(drill, 0, addresses[0], "\"--forks\""), FORKS);
	must(machine_limit_processes(machine, ROOM, &e), &e);
	ck_assert_int_eq(run_in(drill, 0, addresses[0], "\"--forks\""), ROOM - 2);
	ck_assert_uint_ge(machine_refused_forks(machine), 1);
	ck_assert_int_eq(run_in(drill, 1, addresses[1], "\"--forks\""), FORKS);
	must(machine_limit_processes(machine, 0, &e), &e);
	ck_assert_int_eq(run_in(drill, 0, addresses[0], "\"--forks\""), FORKS);
}

static void try_disk(struct drill_machines *drill, const char *addresses[2])
{
	struct machine *machine = machines_get(drill->machines, 0);
	struct cgroup_device disk = {.block = true};
	char folder[4096], words[4200];
	struct error e = {0};
	struct stat status;

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	ck_assert_int_eq(stat(".", &status), 0);
	if (major(status.st_dev) == 0) {
		printf("skipped: slow disks: %s is on no disk of its own\n", folder);
		return;
	}
	disk.major = major(status.st_dev);
	disk.minor = minor(status.st_dev);
	snprintf(words, sizeof(words), "\"--write\",\"%s/written\"", folder);
	ck_assert_int_lt(run_in(drill, 0, addresses[0], words), SLOW_TENTHS);
	must(machine_limit_io(machine, &disk, 0, RATE, &e), &e);
	ck_assert_int_ge(run_in(drill, 0, addresses[0], words), SLOW_TENTHS);
	must(machine_limit_io(machine, &disk, 0, 0, &e), &e);
	ck_assert_int_lt(run_in(drill, 0, addresses[0], words), SLOW_TENTHS);
}

/* What a host does not have is refused with the reason that the probe gives. */
static bool has(struct drill_machines *drill, enum cgroup_extra extra)
{
	struct cgroup_place places[CGROUP_EXTRAS];

	cgroup_extras_probe(&drill->arena, places);
	if (!places[extra].path)
		printf("skipped: cgroup %s: %s\n", cgroup_extra_names[extra], places[extra].why);
	return places[extra].path != NULL;
}

static void try_all(const char *run, bool loopback)
{
	struct drill_machines drill;
	const char *addresses[2];

	drill_machines_open(&drill, run, 2, loopback);
	for (size_t i = 0; i < 2; i++)
		addresses[i] = drill_machines_start(&drill, i, (struct machine_start){0});
	if (has(&drill, CGROUP_DEVICES))
		try_devices(&drill, addresses);
	if (has(&drill, CGROUP_PIDS))
		try_processes(&drill, addresses);
	if (has(&drill, CGROUP_IO))
		try_disk(&drill, addresses);
	drill_machines_close(&drill);
}

/* As on hosts with cgroups of version 1 only. */
static bool hide_version_2(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       umount2("/sys/fs/cgroup/unified", MNT_DETACH) == 0;
}

START_TEST(machines_are_held_by_single_controllers)
{
	static const char *const names[] = {"held-0", "held-1", "held-2", "held-3"};

	if (geteuid() != 0) {
		printf("skipped: cgroup faults: they take root here\n");
		return;
	}
	if (_i >= 2 && !hide_version_2()) {
		printf("skipped: cgroups of version 1 alone: %s\n", strerror(errno));
		return;
	}
	try_all(names[_i], _i % 2 == 0);
}
END_TEST

START_TEST(without_the_right_it_is_refused)
{
	const struct cgroup_device full = {.major = 1, .minor = 7};
	struct drill_machines drill;
	struct error e = {0};

	drill_give_up_root();
	drill_machines_open(&drill, "held-user", 1, true);
	if (!has(&drill, CGROUP_DEVICES)) {
		ck_assert_int_eq(
			machine_deny_device(machines_get(drill.machines, 0), &full, true, &e), -1);
		ck_assert_int_eq(e.kind, ERROR_UNAVAILABLE);
		ck_assert_msg(strstr(e.text, "has no cgroup for devices: ") != NULL, "%s", e.text);
		e = (struct error){0};
		ck_assert_int_eq(machine_limit_processes(machines_get(drill.machines, 0), 5, &e),
				 -1);
		ck_assert_msg(strstr(e.text, "has no cgroup for pids: ") != NULL, "%s", e.text);
	}
	drill_machines_close(&drill);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test, int count)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test, 0, count);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	add(suite, "held", machines_are_held_by_single_controllers, 4);
	add(suite, "refused", without_the_right_it_is_refused, 1);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--open") == 0)
		return try_open(argv[2]);
	if (argc == 2 && strcmp(argv[1], "--forks") == 0)
		return try_forks();
	if (argc == 3 && strcmp(argv[1], "--write") == 0)
		return try_write(argv[2]);
	if (readlink("/proc/self/exe", self_path, sizeof(self_path) - 1) < 0)
		return EXIT_FAILURE;
	return test_main("cgroup", add_cases);
}
