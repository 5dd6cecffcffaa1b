/* SPDX-License-Identifier: Apache-2.0 */
/* gpu.lost and gpu.hang as a drill makes them: the calls on a device of a machine fail or hang, by
 * rules that are switched on under replicas which its agent has started. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/linux/syscall.h"
#include "sim/minilepton/http.h"
#include "tests/drill_machines.h"
#include "tests/program.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define READY_MS 20000
#define END_MS 5000

static struct arena arena;
static struct http_client *client;

static void setup(void)
{
	struct error e = {0};
	FILE *file;

	program_find();
	workplace_enter("device-calls");
	file = fopen("weights", "we");
	ck_assert(file && fputs("the weights", file) >= 0 && fclose(file) == 0);
	ck_assert_int_eq(mkdir("io", 0777), 0);
	ck_assert_int_eq(http_client_prepare(&e), 0);
}

static void teardown(void)
{
	arena_free(&arena);
	workplace_leave();
}

static int ask(const char *method, const char *address, const char *path, const char *body,
	       int timeout_ms, const char **ret_text)
{
	const struct http_call call = {.method = method,
				       .url = arena_printf(&arena, "http://%s%s", address, path),
				       .body = body,
				       .body_size = body ? strlen(body) : 0,
				       .timeout = timeout_ms * NANOS_MS};
	struct http_reply reply;
	struct error e = {0};

	if (http_call(client, &call, &arena, &reply, &e))
		return 0;
	*ret_text = reply.body;
	return reply.status;
}

static bool healthy(const void *address)
{
	const char *text;

	return ask("GET", address, "/healthz", NULL, 1000, &text) == 200;
}

struct end {
	const char *agent;
	char reason[256];
};

/* The agent says that the replica has exited; its reason. */
static bool ended(const void *self)
{
	struct end *end = (struct end *)(uintptr_t)self;
	const char *text = "";
	cJSON *node, *process;
	bool is;

	ck_assert_int_eq(ask("GET", end->agent, "/_drsim/node", NULL, 1000, &text), 200);
	node = cJSON_Parse(text);
	process = cJSON_GetArrayItem(cJSON_GetObjectItem(node, "processes"), 0);
	is = strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(process, "state")), "exited") == 0;
	snprintf(end->reason, sizeof(end->reason), "%s",
		 cJSON_GetStringValue(cJSON_GetObjectItem(process, "reason")));
	cJSON_Delete(node);
	return is;
}

/* By the agent of machine 0, with both of its GPUs; where it serves. */
static const char *start_replica(struct drill_machines *drill, const char *agent)
{
	const char *dev = drill->configs[0].devices, *body, *text = "";
	char folder[4096];
	uint16_t port;
	struct error e = {0};

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	ck_assert_int_eq(machine_ports(machines_get(drill->machines, 0), 1, &port, &e), 0);
	body = arena_printf(&arena,
			    "{\"id\":\"r\",\"argv\":[\"%s\",\"replica\",\"--id\",\"r1\","
			    "\"--endpoint\",\"chat\",\"--site\",\"primary\",\"--listen\","
			    "\"127.0.0.1:%u\",\"--weights\",\"%s/weights\",\"--io-dir\",\"%s/io\","
			    "\"--device\",\"%s/gpu0\",\"--device\",\"%s/gpu1\"]}",
			    getenv("MINILEPTON"), (unsigned)port, folder, folder, dev, dev);
	ck_assert_int_eq(ask("POST", agent, "/_drsim/processes", body, 5000, &text), 201);
	return arena_printf(&arena, "127.0.0.1:%u", (unsigned)port);
}

static uint32_t add_rule(struct syscalls *syscalls, const char *path, enum syscall_action action)
{
	const char *const calls[] = {"openat", "ioctl", "pread64", NULL};
	const char *const paths[] = {path, NULL};
	const struct syscall_rule rule = {.calls = calls,
					  .action = action,
					  .error = ENODEV,
					  .place = SYSCALL_EVERYWHERE,
					  .paths = paths,
					  .lease = 60 * NANOS_S};
	struct error e = {0};
	uint32_t number;

	ck_assert_msg(syscalls_rule(syscalls, &rule, &number, &e) == 0, "%s", e.text);
	return number;
}

static void try_rules(struct drill_machines *drill, struct syscalls *syscalls, const char *agent)
{
	const char *gpu = arena_printf(&arena, "%s/gpu1", drill->configs[0].devices);
	uint32_t lost = add_rule(syscalls, gpu, SYSCALL_ERROR);
	uint32_t hung = add_rule(syscalls, gpu, SYSCALL_HANG);
	const char *replica = start_replica(drill, agent), *text = "";
	struct end end = {.agent = agent};

	/* gpu.lost: within a beat, without a request. */
	ck_assert(program_until(healthy, replica, READY_MS));
	syscalls_switch(syscalls, lost, true);
	ck_assert(program_until(ended, &end, END_MS));
	ck_assert_str_eq(end.reason, "CUDA error: device is lost (gpu1)");
	ck_assert_uint_eq(syscalls_counts(syscalls, lost).acted, 1);
	/* It cannot come back before the GPU does. */
	replica = start_replica(drill, agent);
	ck_assert(program_until(ended, &end, END_MS));
	ck_assert_uint_eq(syscalls_counts(syscalls, lost).acted, 2);
	syscalls_switch(syscalls, lost, false);
	replica = start_replica(drill, agent);
	ck_assert(program_until(healthy, replica, READY_MS));
	/* gpu.hang: no answer while it says that it is well; then all of it goes on. */
	syscalls_switch(syscalls, hung, true);
	ck_assert_int_eq(ask("POST", replica, "/predict", "1 key 1 00000000 ", 300, &text), 0);
	ck_assert(healthy(replica));
	ck_assert_uint_eq(syscalls_counts(syscalls, hung).held, 1);
	syscalls_switch(syscalls, hung, false);
	ck_assert_int_eq(ask("POST", replica, "/predict", "2 key 1 00000000 ", 5000, &text), 200);
}

START_TEST(devices_are_lost_and_hang)
{
	const struct syscall_filter_config config = {
		.calls = (const struct syscall_call[]){{.name = "openat"},
						       {.name = "ioctl"},
						       {.name = "pread64"}},
		.call_count = 3,
	};
	const struct syscall_filter *filter;
	struct drill_machines drill;
	struct syscalls *syscalls;
	struct error e = {0};
	const char *agent;
	bool sync;

	if (syscall_probe(&sync, &e)) {
		printf("skipped: %s\n", e.text);
		return;
	}
	ck_assert_int_eq(http_client_open(&client, &e), 0);
	drill_machines_open(&drill, "device-calls", 1, true);
	ck_assert_msg(syscall_filter_make(&config, &arena, &filter, &e) == 0, "%s", e.text);
	ck_assert_msg(syscalls_open(filter, &drill.guardian, &arena, &syscalls, &e) == 0, "%s",
		      e.text);
	agent = drill_machines_start(
		&drill, 0, (struct machine_start){.filter = syscalls_launch(syscalls, 0)});
	try_rules(&drill, syscalls, agent);
	http_client_close(client);
	ck_assert_int_eq(machine_kill(machines_get(drill.machines, 0), &e), 0);
	syscalls_close(syscalls);
	drill_machines_close(&drill);
}
END_TEST

static void add_cases(Suite *suite)
{
	TCase *tcase = tcase_create("calls");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, devices_are_lost_and_hang);
	suite_add_tcase(suite, tcase);
}

TEST_MAIN("device_calls", add_cases)
