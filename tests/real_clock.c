/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks that are wrong in real processes: in machines' time namespaces, and under libfaketime. */
#include <cjson/cJSON.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/device.h"
#include "drivers/host/process.h"
#include "drivers/linux/clock.h"
#include "sim/minilepton/gpud.h"
#include "sim/minilepton/http.h"
#include "tests/drill_machines.h"
#include "tests/program.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define SLACK (50 * NANOS_MS)      /* of what is measured to the microsecond, on a busy host */
#define SECOND_SLACK (3 * NANOS_S) /* of what is told in whole seconds */

static struct arena arena;

static void setup(void)
{
	program_find();
	workplace_enter("clock");
#ifdef __SANITIZE_ADDRESS__
	/* A library that is loaded before ASan's own is meant here. */
	ck_assert_int_eq(setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1), 0);
#endif
}

static void teardown(void)
{
	arena_free(&arena);
	workplace_leave();
}

static bool close_to(nanos one, nanos other, nanos slack)
{
	return one - other <= slack && other - one <= slack;
}

static bool skips(bool (*probe)(struct arena *arena, const char **ret_why), const char *what)
{
	const char *why;

	if (probe(&arena, &why))
		return false;
	printf("skipped: %s: %s\n", what, why);
	return true;
}

/* ---- monotonic ---- */

static void check_ahead(struct drill_machines *drill, size_t index, nanos monotonic, nanos boottime)
{
	struct machine *machine = machines_get(drill->machines, index);
	struct clock_reading ahead;
	struct error e = {0};

	ck_assert_msg(clock_namespace_look(machine_first(machine), &ahead, &e) == 0, "%s", e.text);
	ck_assert_msg(close_to(ahead.monotonic, monotonic, SLACK), "%lld ns instead of %lld",
		      (long long)ahead.monotonic, (long long)monotonic);
	ck_assert_msg(close_to(ahead.boottime, boottime, SLACK), "%lld ns instead of %lld",
		      (long long)ahead.boottime, (long long)boottime);
}

static void try_machines(const char *run, bool loopback, enum machine_isolation wanted)
{
	const nanos behind = -clock_look().boottime / 2;
	struct drill_machines drill;

	drill_machines_open(&drill, run, 2, loopback);
	ck_assert_int_eq(machines_isolation(drill.machines), wanted);
	drill_machines_start(&drill, 0,
			     (struct machine_start){.monotonic_ahead = 1000 * NANOS_S + 7,
						    .boottime_ahead = behind});
	drill_machines_start(&drill, 1, (struct machine_start){0});
	check_ahead(&drill, 0, 1000 * NANOS_S + 7, behind);
	check_ahead(&drill, 1, 0, 0);
	/* Its next start is with other clocks, and the one after that with ours. */
	ck_assert_int_eq(machine_kill(machines_get(drill.machines, 0), NULL), 0);
	drill_machines_start(&drill, 0, (struct machine_start){.boottime_ahead = NANOS_DAY});
	check_ahead(&drill, 0, 0, NANOS_DAY);
	ck_assert_int_eq(machine_kill(machines_get(drill.machines, 0), NULL), 0);
	drill_machines_start(&drill, 0, (struct machine_start){0});
	check_ahead(&drill, 0, 0, 0);
	drill_machines_close(&drill);
}

START_TEST(machines_have_clocks_of_their_own)
{
	if (skips(clock_namespace_probe, "time namespaces"))
		return;
	if (geteuid() != 0 && _i == 0)
		return;
	if (_i == 0)
		try_machines("clock-loopback", true, MACHINE_LOOPBACK);
	else
		try_machines("clock", false, MACHINE_NAMESPACES);
}
END_TEST

START_TEST(machines_have_clocks_without_root)
{
	drill_give_up_root();
	if (skips(clock_namespace_probe, "time namespaces without root"))
		return;
	try_machines("clock-user", false, MACHINE_NAMESPACES);
}
END_TEST

/* More than the host has been up: no clock begins before zero. */
START_TEST(an_offset_that_cannot_be_is_told)
{
	const char *const argv[] = {getenv("MINILEPTON"), "clock", NULL};
	struct machine_start how = {.argv = argv, .log = "log"};
	struct drill_machines drill;
	struct error e = {0};

	if (skips(clock_namespace_probe, "time namespaces"))
		return;
	drill_machines_open(&drill, "clock-bad", 1, geteuid() == 0);
	how.log = arena_printf(&drill.arena, "%s/log", drill.journal->work);
	how.monotonic_ahead = -clock_look().monotonic - NANOS_DAY;
	ck_assert_int_eq(machine_start(machines_get(drill.machines, 0), &how, &e), -1);
	ck_assert_msg(strstr(e.text, "set its clocks in a time namespace") != NULL, "%s", e.text);
	drill_machines_close(&drill);
}
END_TEST

/* ---- wall ---- */

/* How far a node agent's wall clock is ahead, by the time that it tells; whole seconds. */
static nanos agent_ahead(const char *address)
{
	struct http_client *client = NULL;
	const char *url = arena_printf(&arena, "http://%s/v1/events", address);
	const struct http_call call = {.method = "GET", .url = url, .timeout = 5 * NANOS_S};
	struct http_reply reply;
	struct error e = {0};
	struct tm parts = {0};
	cJSON *list;
	nanos told;

	ck_assert_int_eq(http_client_open(&client, &e), 0);
	ck_assert_msg(http_call(client, &call, &arena, &reply, &e) == 0, "%s", e.text);
	http_client_close(client);
	list = cJSON_Parse(reply.body);
	ck_assert_ptr_nonnull(strptime(
		cJSON_GetStringValue(cJSON_GetObjectItem(cJSON_GetArrayItem(list, 0), "endTime")),
		"%Y-%m-%dT%H:%M:%SZ", &parts));
	cJSON_Delete(list);
	told = (nanos)timegm(&parts) * NANOS_S;
	return told - clock_look().wall;
}

static void set_and_check(const struct clock_wall *wall, const char *address, nanos ahead)
{
	const char *const clock[] = {getenv("MINILEPTON"), "clock", NULL};
	struct clock_reading seen;
	struct error e = {0};

	ck_assert_msg(clock_wall_set(wall, ahead, &e) == 0, "%s", e.text);
	ck_assert_msg(clock_wall_look(wall, clock, &seen, &e) == 0, "%s", e.text);
	ck_assert_msg(close_to(seen.wall, ahead, SLACK), "%lld ns instead of %lld",
		      (long long)seen.wall, (long long)ahead);
	ck_assert_msg(clock_wall_look(wall, NULL, &seen, &e) == 0, "%s", e.text);
	ck_assert_msg(close_to(seen.wall, ahead, SECOND_SLACK), "date(1): %lld ns ahead",
		      (long long)seen.wall);
	/* What runs already sees it at its next look. */
	ck_assert(close_to(agent_ahead(address), ahead, SECOND_SLACK));
}

static bool shared_memory_left(void)
{
	const char *const names[] = {"/dev/shm/drsim-clock-wall-offset",
				     "/dev/shm/sem.drsim-clock-wall-offset"};

	return access(names[0], F_OK) == 0 || access(names[1], F_OK) == 0;
}

START_TEST(wall_clocks_are_switched_at_run_time)
{
	struct drill_machines drill;
	struct clock_wall *wall = NULL, *other = NULL;
	const char *addresses[2];
	struct error e = {0};

	if (skips(clock_wall_probe, "libfaketime"))
		return;
	ck_assert_int_eq(http_client_prepare(&e), 0);
	drill_machines_open(&drill, "clock-wall", 2, true);
	ck_assert_int_eq(clock_wall_fits(getenv("MINILEPTON"), &e), 0);
	ck_assert_msg(clock_wall_open(arena_printf(&arena, "%s/offset", drill.journal->work),
				      drill.journal, &drill.arena, &wall, &e) == 0,
		      "%s", e.text);
	/* Two nodes of one drill may have clocks that are off. */
	ck_assert_msg(clock_wall_open(arena_printf(&arena, "%s/other", drill.journal->work),
				      drill.journal, &drill.arena, &other, &e) == 0,
		      "%s", e.text);
	ck_assert_int_eq(clock_wall_close(other, &e), 0);
	addresses[0] = drill_machines_start(
		&drill, 0, (struct machine_start){.environment = clock_wall_environment(wall)});
	addresses[1] = drill_machines_start(&drill, 1, (struct machine_start){0});
	ck_assert(shared_memory_left());
	set_and_check(wall, addresses[0], NANOS_HOUR + 250 * NANOS_MS);
	ck_assert(close_to(agent_ahead(addresses[1]), 0, SECOND_SLACK));
	set_and_check(wall, addresses[0], -2 * NANOS_HOUR);
	set_and_check(wall, addresses[0], 400 * NANOS_MS);
	set_and_check(wall, addresses[0], 0);
	ck_assert_int_eq(clock_wall_set(wall, CLOCK_SKEW_MAX + 1, &e), -1);
	ck_assert_int_eq(machine_kill(machines_get(drill.machines, 0), &e), 0);
	ck_assert_int_eq(clock_wall_close(wall, NULL), 0);
	ck_assert(!shared_memory_left());
	drill_machines_close(&drill);
}
END_TEST

/* A server with timers and conditions by the monotonic clock works on, and does not spin. */
START_TEST(monotonic_clocks_stay_right_under_it)
{
	struct clock_wall *wall = NULL;
	struct journal *journal = NULL;
	struct program replica;
	struct error e = {0};
	nanos before;

	if (skips(clock_wall_probe, "libfaketime"))
		return;
	ck_assert_int_eq(journal_open("clock-spin", &arena, &journal, &e), 0);
	ck_assert_int_eq(clock_wall_open(arena_printf(&arena, "%s/offset", journal->work), journal,
					 &arena, &wall, &e),
			 0);
	ck_assert_int_eq(clock_wall_set(wall, NANOS_HOUR, &e), 0);
	for (const char *const *at = clock_wall_environment(wall); *at; at++)
		ck_assert_int_eq(setenv(arena_strndup(&arena, *at, strcspn(*at, "=")),
					strchr(*at, '=') + 1, 1),
				 0);
	ck_assert_int_eq(mkdir("io", 0777), 0);
	fclose(fopen("weights", "we"));
	replica = program_start("replica --id r1 --endpoint chat --site primary --listen "
				"127.0.0.1:0 --io-dir io --weights weights");
	ck_assert_int_eq(unsetenv("LD_PRELOAD"), 0);
	ck_assert(replica.address[0]);
	program_pause(500);
	before = process_cpu(replica.pid);
	program_pause(2000);
	ck_assert_int_lt(process_cpu(replica.pid) - before, 200 * NANOS_MS);
	ck_assert_int_eq(program_end(&replica), 0);
	ck_assert_int_eq(clock_wall_close(wall, &e), 0);
	journal_close(journal);
}
END_TEST

/* ---- programs that do not see it ---- */

/* A little ELF file: with a loader, with a note of Go's, or with neither. */
static void write_elf(const char *path, bool loader, const char *note)
{
	Elf64_Ehdr head = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64},
			   .e_phoff = sizeof(head),
			   .e_phentsize = sizeof(Elf64_Phdr),
			   .e_phnum = 2};
	Elf64_Phdr headers[2] = {{.p_type = loader ? PT_INTERP : PT_LOAD},
				 {.p_type = PT_NOTE,
				  .p_offset = sizeof(head) + sizeof(headers),
				  .p_filesz = sizeof(Elf64_Nhdr) + 4}};
	Elf64_Nhdr name = {.n_namesz = 4};
	FILE *file = fopen(path, "we");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(&head, sizeof(head), 1, file), 1);
	ck_assert_uint_eq(fwrite(headers, sizeof(headers), 1, file), 1);
	ck_assert_uint_eq(fwrite(&name, sizeof(name), 1, file), 1);
	ck_assert_uint_eq(fwrite(note, 4, 1, file), 1);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(chmod(path, 0755), 0);
}

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	ck_assert(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void check_fits(const char *program, const char *why)
{
	struct error e = {0};
	int rc = clock_wall_fits(program, &e);

	if (!why) {
		ck_assert_msg(rc == 0, "%s", e.text);
		return;
	}
	ck_assert_int_eq(rc, -1);
	ck_assert_int_eq(e.kind, ERROR_UNAVAILABLE);
	ck_assert_msg(strstr(e.text, why) != NULL, "%s", e.text);
}

START_TEST(programs_that_do_not_see_it_are_refused)
{
	write_elf("dynamic", true, "GNU");
	write_elf("static", false, "GNU");
	write_elf("go", true, "Go\0");
	write_text("script", "#! /bin/sh -e\necho\n");
	write_text("loop", "#!loop\n");
	write_text("text", "nothing\n");
	write_elf("changes", true, "GNU");
	ck_assert_int_eq(chmod("changes", 04755), 0);
	check_fits("dynamic", NULL);
	check_fits("script", NULL);
	check_fits(workplace_program, NULL);
	check_fits("static", "it is linked statically");
	check_fits("go", "it is a Go program");
	check_fits("changes", "it changes its user");
	check_fits("text", "it is no ELF program");
	check_fits("loop", "it is no ELF program");
	check_fits(".", "it is no file");
	check_fits("none", "No such file");
}
END_TEST

/* ---- drsim is killed ---- */

static bool gone(const void *unused)
{
	(void)unused;
	return !shared_memory_left();
}

START_TEST(the_guardian_removes_what_it_needs)
{
	pid_t pid;

	if (skips(clock_wall_probe, "libfaketime"))
		return;
	pid = fork();
	if (pid == 0) {
		struct journal *journal;
		struct guardian guardian;
		struct clock_wall *wall;

		if (journal_open("clock-wall", &arena, &journal, NULL) ||
		    guardian_start(&guardian, journal, NULL) ||
		    clock_wall_open(arena_printf(&arena, "%s/offset", journal->work), journal,
				    &arena, &wall, NULL) ||
		    !shared_memory_left())
			_exit(1);
		raise(SIGKILL);
	}
	int status = 0;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	ck_assert(program_until(gone, NULL, 10000));
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
	add(suite, "monotonic", machines_have_clocks_of_their_own, 2);
	add(suite, "monotonic: user", machines_have_clocks_without_root, 1);
	add(suite, "monotonic: bad", an_offset_that_cannot_be_is_told, 1);
	add(suite, "wall", wall_clocks_are_switched_at_run_time, 1);
	add(suite, "wall: monotonic", monotonic_clocks_stay_right_under_it, 1);
	add(suite, "wall: refused", programs_that_do_not_see_it_are_refused, 1);
	add(suite, "wall: killed", the_guardian_removes_what_it_needs, 1);
}

TEST_MAIN("clock", add_cases)
