/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real drill of a server that is given credentials by its environment, watched on a terminal:
 * they stand in nothing that it leaves or says, and the line says how long it goes on.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/planted.h"
#include "tests/spawned.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define TIMEOUT_S 180

static void setup(void)
{
	char path[2 * PATH_MAX], builds[PATH_MAX];

	ck_assert_ptr_nonnull(getenv("DRSIM_BUILD"));
	ck_assert_ptr_nonnull(realpath(getenv("DRSIM_BUILD"), builds));
	snprintf(path, sizeof(path), "%s/tests:%s", builds, getenv("PATH"));
	workplace_enter("tokens");
	setenv("PATH", path, 1); /* adapter_redis is there */
	setenv("TERM", "xterm", 1);
	planted_environment();
}

static void write_scenario(const char *command, const char *ready)
{
	FILE *file = fopen("drill.yaml", "we");

	ck_assert_ptr_nonnull(file);
	fprintf(file,
		"apiVersion: drsim/v1\n"
		"name: tokens\n"
		"seed: 7\n"
		"duration: 20s\n"
		"objectives: {frt: 10s}\n"
		"deployment:\n"
		"  sites:\n"
		"    - {name: primary, nodes: 1, gpus: 0}\n"
		"  services:\n"
		"    - name: redis\n"
		"      site: primary\n"
		"      command: %s\n"
		"      ready: %s\n"
		"      health: {tcp: true}\n"
		"      ledger: {command: [adapter_redis, \"${PORT}\", \"${ADDRESS}\"]}\n"
		"      load: {rate: 50/s, service_time: 1ms, timeout: 1s}\n"
		"      env: {PGPASSWORD: \"${env:PGPASSWORD}\", DSN: "
		"\"pg://u:${env:API_TOKEN}@h/\"}\n"
		"  data:\n"
		"    io: {bytes: 64KB, change: 10KB/s, records: 50/s}\n"
		"  platform: {restart: true}\n"
		"detector: {kind: probe, scope: endpoint, interval: 500ms, timeout: 200ms, misses: "
		"2}\n"
		"recovery: {prefer: in_place}\n"
		"steady_state: {success: 99%%, latency: 500ms, window: 2s}\n"
		"steps:\n"
		"  - {at: 8s, fault: proc.pause, target: endpoint/redis, for: 4s}\n"
		"process: {time_scale: 1, bytes_scale: 1}\n",
		command, ready);
	ck_assert_int_eq(fclose(file), 0);
}

static struct spawned drill(void)
{
	return spawned_on_terminal((const char *const[]){workplace_program, "run", "drill.yaml",
							 "--driver", "process", "--out", "out",
							 NULL},
				   100, true);
}

START_TEST(a_watched_drill_keeps_its_tokens)
{
	struct spawned run;
	size_t files;

	if (!spawned_have("redis-server", "no real drill with tokens"))
		return;
	write_scenario(
		"[env, \"WORD=${env:PLAIN_SETTING}\", redis-server, --port, \"${PORT}\", --bind,\n"
		"                \"${ADDRESS}\", --dir, \"${DATA}\", --protected-mode, \"no\", "
		"--save, \"\",\n"
		"                --appendonly, \"yes\"]",
		"{exec: [redis-cli, -h, \"${ADDRESS}\", -p, \"${PORT}\", -e, ping], timeout: 10s}");
	run = drill();
	ck_assert_msg(run.code == 0 || run.code == 1, "exit %d: %s%s", run.code, run.out, run.err);
	planted_nowhere_in("standard output", run.out);
	planted_nowhere_in("the terminal", run.err);
	files = planted_nowhere_below(".");
	ck_assert_uint_gt(files, 6);
	/* 20 s of it, of which some are left, and the phases of the cycle. */
	ck_assert_ptr_nonnull(strstr(run.err, " of 20 s, "));
	ck_assert_ptr_nonnull(strstr(run.err, " s left"));
	ck_assert_ptr_null(strstr(run.err, "simulated"));
	ck_assert_ptr_nonnull(strstr(run.err, "  normal  "));
	ck_assert_ptr_nonnull(strstr(run.err, "  detection  "));
	ck_assert_ptr_nonnull(strstr(run.err, "  repair  "));
	printf("tokens: %d, %zu files of a real drill: none is in any\n", PLANTED, files);
	spawned_free(&run);
}
END_TEST

/* What a server says of itself when it fails is told, but for what it was given. */
START_TEST(a_server_that_tells_is_covered)
{
	struct spawned run;

	write_scenario("[printf, \"login with %s and %s failed\\\\n\", \"${env:PLAIN_SETTING}\",\n"
		       "                \"${env:API_TOKEN}\"]",
		       "{tcp: true, timeout: 2s}");
	run = drill();
	ck_assert_msg(run.code == 3, "exit %d: %s%s", run.code, run.out, run.err);
	planted_nowhere_in("standard output", run.out);
	planted_nowhere_in("the terminal", run.err);
	planted_nowhere_below(".");
	ck_assert_msg(strstr(run.err, "login with **************** and **************** failed"),
		      "%s", run.err);
	spawned_free(&run);
}
END_TEST

START_TEST(a_variable_that_is_missing_is_named)
{
	struct spawned run;

	unsetenv("API_TOKEN");
	write_scenario("[server, \"${env:PGPASSWORD}\"]", "{tcp: true, timeout: 2s}");
	run = drill();
	ck_assert_msg(run.code == 3, "exit %d: %s%s", run.code, run.out, run.err);
	ck_assert_msg(strstr(run.err, "the environment has no variable 'API_TOKEN'") != NULL, "%s",
		      run.err);
	planted_nowhere_in("the terminal", run.err);
	spawned_free(&run);
}
END_TEST

static void add_cases(Suite *suite)
{
	TCase *tcase = tcase_create("tokens");

	tcase_add_checked_fixture(tcase, setup, workplace_leave);
	tcase_set_timeout(tcase, TIMEOUT_S);
	tcase_add_test(tcase, a_watched_drill_keeps_its_tokens);
	tcase_add_test(tcase, a_server_that_tells_is_covered);
	tcase_add_test(tcase, a_variable_that_is_missing_is_named);
	suite_add_tcase(suite, tcase);
}

TEST_MAIN("tokens", add_cases)
