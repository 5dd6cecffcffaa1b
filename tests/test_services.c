/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands of the user's own in a scenario: how they are read and filled in, what a service is to
 * targets, to the simulator and to its findings. What is wrong in a file is in tests/bad/service_*.
 */
#include <stdio.h>
#include <string.h>

#include "core/fault.h"
#include "core/run.h"
#include "tests/test.h"

#define HEAD                                                                                       \
	"apiVersion: drsim/v1\nname: x\nduration: 30m\n"                                           \
	"deployment:\n"                                                                            \
	"  sites: [{name: primary}, {name: backup, standby: {heat: warm}}]\n"                      \
	"  store: {site: backup}\n"                                                                \
	"  data: {io: {bytes: 1GB, change: 100kB/s, records: 100/s}}\n"
#define TAIL                                                                                       \
	"backup: {every: 5m, command: [restic, \"${DATA}\"], restore: [restic, \"${BACKUP}\"]}\n"  \
	"detector: {kind: probe, scope: replica}\n"                                                \
	"steps: [{at: 10m, fault: proc.kill, target: \"endpoint/redis/replica[0]\"}]\n"

static struct arena arena;

static void teardown(void)
{
	arena_free(&arena);
}

static const struct scenario *parse(const char *text)
{
	struct scenario *scenario = NULL;
	struct error e = {0};
	size_t count = 0;
	int rc = scenario_parse("services.yaml", text, strlen(text), NULL, 0, &arena, &scenario, &e,
				1, &count);

	ck_assert_msg(rc == 0, "%u:%u: %s", e.place.line, e.place.column, e.text);
	return scenario;
}

/* ---- placeholders ---- */

static const struct {
	const char *word, *expected;
} expansions[] = {
	{"plain", "plain"},
	{"", ""},
	{"${PORT}", "6379"},
	{"${ADDRESS}:${PORT}", "127.0.0.1:6379"},
	{"a${PORT}b${PORT}c", "a6379b6379c"},
	{"$$", "$"},
	{"$${PORT}", "${PORT}"},
	{"$$$${PORT}$$", "$${PORT}$"},
	{"${DATA}/x $$(id) `id` ; \"'", "/data ${PORT}/x $(id) `id` ; \"'"},
};

START_TEST(placeholders_are_filled_in_once)
{
	/* What a value holds is not looked at again. */
	static const struct argv_value values[] = {{"PORT", "6379"},
						   {"ADDRESS", "127.0.0.1"},
						   {"DATA", "/data ${PORT}"},
						   {NULL, NULL}};
	ck_assert_str_eq(argv_expand_word(expansions[_i].word, values, &arena),
			 expansions[_i].expected);
}
END_TEST

START_TEST(a_command_ends_with_null)
{
	static const char *const words[] = {"server", "--port", "${PORT}", NULL};
	static const struct argv_value values[] = {{"PORT", "1"}, {NULL, NULL}};
	const struct argv argv = {words, 3};
	char **expanded = argv_expand(&argv, values, &arena);

	ck_assert_str_eq(expanded[0], "server");
	ck_assert_str_eq(expanded[1], "--port");
	ck_assert_str_eq(expanded[2], "1");
	ck_assert_ptr_null(expanded[3]);
}
END_TEST

/* ---- what is read ---- */

START_TEST(defaults_of_a_service)
{
	const struct scenario *s =
		parse(HEAD "  services: [{name: redis, site: primary, command: [redis-server]}]\n");
	const struct service_config *service = s->deployment.services;
	const struct endpoint *endpoint = s->deployment.endpoints;

	ck_assert_uint_eq(s->deployment.service_count, 1);
	ck_assert_uint_eq(s->deployment.endpoint_count, 1);
	ck_assert_str_eq(service->name, "redis");
	ck_assert_uint_eq(service->command.count, 1);
	ck_assert_uint_eq(service->standby.count + service->ledger.count, 0);
	ck_assert(!service->ready.given && service->ready.kind == CHECK_TCP);
	ck_assert_int_eq(service->ready.timeout, 30 * NANOS_S);
	ck_assert_int_eq(service->ready.interval, 200 * NANOS_MS);
	ck_assert(!service->health.given && service->health.kind == CHECK_TCP);
	ck_assert_int_eq(service->health.timeout, NANOS_S);
	ck_assert(service->has_data && service->data == DATA_IO);
	ck_assert_uint_eq(service->env_count, 0);
	ck_assert_str_eq(endpoint->name, "redis");
	ck_assert_uint_eq(endpoint->replicas, 1);
	ck_assert_uint_eq(endpoint->gpus_per_replica, 0);
	ck_assert(!(endpoint->load.rate > 0) && endpoint->load.concurrency == 64);
	ck_assert_uint_eq(s->process.disk, 64 << 20);
	ck_assert_int_eq(s->process.isolation, ISOLATION_AUTO);
}
END_TEST

START_TEST(every_key_of_a_service)
{
	const struct scenario *s =
		parse(HEAD "  endpoints: [{name: chat, site: primary}]\n"
			   "  services:\n"
			   "    - name: redis\n"
			   "      site: primary\n"
			   "      command: [redis-server, --port, \"${PORT}\"]\n"
			   "      standby: {command: [redis-server, --replicaof, \"${SITE}\"]}\n"
			   "      ready: {exec: [redis-cli, ping], timeout: 10s, interval: 50ms}\n"
			   "      health: {http: /healthz, interval: 100ms, timeout: 300ms}\n"
			   "      ledger: {command: [adapter, \"${ADDRESS}\"]}\n"
			   "      load: {rate: 20/s, concurrency: 3}\n"
			   "      data: io\n"
			   "      env: {LANG: C, N: \"${NODE}\"}\n"
			   "process: {disk: 16MiB, isolation: loopback}\n");
	const struct service_config *service = s->deployment.services;

	ck_assert_uint_eq(service->endpoint, 1);
	ck_assert_str_eq(s->deployment.endpoints[0].name, "chat");
	ck_assert_str_eq(s->deployment.endpoints[1].name, "redis");
	ck_assert_uint_eq(s->deployment.endpoints[1].load.concurrency, 3);
	ck_assert_str_eq(service->command.words[2], "${PORT}");
	ck_assert_ptr_null(service->command.words[3]);
	ck_assert_str_eq(service->standby.words[1], "--replicaof");
	ck_assert(service->ready.given && service->ready.kind == CHECK_EXEC);
	ck_assert_str_eq(service->ready.exec.words[1], "ping");
	ck_assert_int_eq(service->ready.interval, 50 * NANOS_MS);
	ck_assert(service->health.given && service->health.kind == CHECK_HTTP);
	ck_assert_str_eq(service->health.path, "/healthz");
	ck_assert_int_eq(service->health.timeout, 300 * NANOS_MS);
	ck_assert_str_eq(service->ledger.words[0], "adapter");
	ck_assert_uint_eq(service->env_count, 2);
	ck_assert_str_eq(service->env[1].name, "N");
	ck_assert_str_eq(service->env[1].value, "${NODE}");
	ck_assert_ptr_null(service->env[2].name);
	ck_assert_uint_eq(s->process.disk, 16 << 20);
	ck_assert_int_eq(s->process.isolation, ISOLATION_LOOPBACK);
}
END_TEST

/* How health is looked at follows from how readiness is; how long is health's own. */
START_TEST(health_is_looked_at_as_readiness_is)
{
	const struct scenario *s =
		parse(HEAD "  services: [{name: redis, site: primary, command: [a], "
			   "ready: {exec: [ping], timeout: 9s, interval: 1s}}]\n");
	const struct check *health = &s->deployment.services[0].health;

	ck_assert(!health->given && health->kind == CHECK_EXEC);
	ck_assert_str_eq(health->exec.words[0], "ping");
	ck_assert_int_eq(health->timeout, NANOS_S);
	ck_assert_int_eq(health->interval, 200 * NANOS_MS);
}
END_TEST

/* ---- the same file on the simulator ---- */

START_TEST(the_simulator_plays_a_service_as_an_endpoint)
{
	const struct scenario *s =
		parse(HEAD "  services: [{name: redis, site: primary, command: [redis-server], "
			   "load: {rate: 10/s}}]\n" TAIL);
	struct run_options options = {.driver = driver_find("sim"), .seed = 1};
	struct record record = {.scenario = s, .kind = "simulated", .headline = -1};
	struct timeline timeline;
	struct error e = {0};
	struct run *run;
	size_t told = 0;

	ck_assert_str_eq(s->steps[0].target.spec, "endpoint/redis/replica[0]");
	ck_assert_int_eq(s->steps[0].target.entities[0].kind, ENTITY_REPLICA);
	ck_assert_int_eq(run_new(s, &options, &run, &e), 0);
	ck_assert_int_eq(timeline_open(&timeline, NULL, &e), 0);
	ck_assert_msg(run_trial(run, 0, &timeline, &record, &e) == 0, "%s", e.text);
	ck_assert_int_eq(timeline_close(&timeline, &e), 0);
	ck_assert_int_eq(record.fault_count, 1);
	ck_assert_int_eq(record.faults[0].effective, TRISTATE_TRUE);
	ck_assert(!record.faults[0].timed && !record.measured);
	ck_assert_uint_gt(record.sent, 10000);
	findings_compute(&record, &arena);
	for (size_t i = 0; i < record.finding_count; i++)
		told += record.findings[i].severity == SEVERITY_INFO &&
			(strstr(record.findings[i].text, "Service redis was not started") ||
			 strstr(record.findings[i].text, "backup tool restic was not run"));
	ck_assert_uint_eq(told, 2);
	run_free(run);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test, int count)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_loop_test(tcase, test, 0, count);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	add(suite, "argv: words", placeholders_are_filled_in_once,
	    (int)(sizeof(expansions) / sizeof(expansions[0])));
	add(suite, "argv: command", a_command_ends_with_null, 1);
	add(suite, "service: defaults", defaults_of_a_service, 1);
	add(suite, "service: every key", every_key_of_a_service, 1);
	add(suite, "service: health", health_is_looked_at_as_readiness_is, 1);
	add(suite, "service: simulated", the_simulator_plays_a_service_as_an_endpoint, 1);
}

TEST_MAIN("services", add_cases)
