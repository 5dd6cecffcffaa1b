/* SPDX-License-Identifier: Apache-2.0 */
/* A command that speaks the line protocol, and dies, hangs, babbles, refuses and forgets. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "drivers/host/client.h"
#include "drivers/host/process.h"
#include "tests/adapter_plain.h"
#include "tests/test.h"

#define RECORDS 100000

static char program[4096], folder[] = "/tmp/drsim-adapter-XXXXXX", file[64];
static bool present[RECORDS];

static void enter(void)
{
	const char *build = getenv("DRSIM_BUILD");

	snprintf(program, sizeof(program), "%s/tests/adapter_plain",
		 build ? build : "build/release");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(file, sizeof(file), "%s/records", folder);
}

static void leave(void)
{
	unlink(file);
	rmdir(folder);
}

static int64_t monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * NANOS_S + now.tv_nsec;
}

/* What the command really kept, read by other code than the ledger's. */
static void read_file(void)
{
	FILE *in = fopen(file, "r");
	uint64_t sequence;
	char *line = NULL;
	size_t size = 0;

	ck_assert_ptr_nonnull(in);
	memset(present, 0, sizeof(present));
	while (getline(&line, &size, in) > 0)
		if (sscanf(line, "%" SCNu64 " ", &sequence) == 1 && sequence < RECORDS)
			present[sequence] = true;
	free(line);
	fclose(in);
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

static void compare(struct ledger *ledger, bool tagged)
{
	uint64_t lost = 0, twice = 0, ok = 0, refused = 0, unknown_present = 0;
	struct ledger_totals l;

	ledger_totals(ledger, &l);
	read_file();
	for (uint64_t i = 0; i < l.records; i++) {
		enum ledger_state state = ledger_state(ledger, i);
		enum plain_fate fate = plain_fate(i, tagged);

		ok += state == LEDGER_OK;
		lost += state == LEDGER_OK && !present[i];
		refused += state == LEDGER_FAIL;
		unknown_present += state == LEDGER_UNKNOWN && present[i];
		twice += state == LEDGER_OK && fate == PLAIN_TWICE;
		ck_assert(state != LEDGER_FAIL || fate == PLAIN_REFUSES);
		ck_assert(state != LEDGER_OK || (fate != PLAIN_REFUSES && fate != PLAIN_DIES &&
						 fate != PLAIN_HANGS && fate != PLAIN_BABBLES));
		ck_assert(state != LEDGER_UNSENT || !present[i]);
	}
	ck_assert_uint_eq(l.ok, ok);
	ck_assert_uint_eq(l.fail, refused);
	ck_assert_uint_eq(l.lost, lost);
	ck_assert_uint_eq(l.unknown_present, unknown_present);
	ck_assert_uint_eq(l.acknowledged_twice, twice);
	ck_assert_uint_eq(l.intact, l.ok - l.lost);
	ck_assert_uint_eq(l.stale + l.altered + l.duplicated + l.never_sent, 0);
	ck_assert(l.lost > 10 && l.fail > 10 && l.unknown >= 2 && l.unknown_present >= 1);
	ck_assert(!tagged || twice > 10);
	printf("%s: %" PRIu64 " writes, %" PRIu64 " ok, %" PRIu64 " fail, %" PRIu64
	       " unknown (%" PRIu64 " there), %" PRIu64 " unsent, %" PRIu64 " lost, %" PRIu64
	       " acknowledged twice\n",
	       tagged ? "tagged" : "in order", l.records, l.ok, l.fail, l.unknown,
	       l.unknown_present, l.unsent, l.lost, l.acknowledged_twice);
}

START_TEST(test_plain)
{
	bool tagged = _i == 1;
	const char *const argv[] = {program, file, tagged ? "tagged" : NULL, NULL};
	struct client_endpoint_config endpoint = {
		.name = "store",
		.adapter = {.kind = ADAPTER_EXEC,
			    .argv = argv,
			    .tagged = tagged,
			    .timeout = 5 * NANOS_S},
		.rate = 500,
		.latency_limit = NANOS_S,
		.timeout = 1500 * NANOS_MS,
		.payload_bytes = 100,
		.success = 0.9,
		.window = 300 * NANOS_MS,
	};
	struct client_config config = {.seed = 5,
				       .start = monotonic(),
				       .netns = -1,
				       .endpoints = &endpoint,
				       .endpoint_count = 1};
	struct client_totals t;
	struct client *client;
	struct client_event event;
	struct error e = {0};

	ck_assert_msg(client_open(&config, &client, &e) == 0, "%s", e.text);
	ck_assert_msg(client_start(client, &e) == 0, "%s", e.text);
	wait_for(client, CLIENT_BAD); /* it hangs */
	wait_for(client, CLIENT_GOOD);
	do {
		poll(NULL, 0, 100);
		client_totals(client, 0, &t);
	} while (t.intended < 2600);
	client_stop(client);
	client_totals(client, 0, &t);
	ck_assert_uint_ge(t.restarts, 3); /* a stall may leave one of its fates unsent */
	ck_assert_uint_eq(t.good + t.wrong + t.late + t.failed + t.unknown, t.intended);
	ck_assert_int_eq(client_check(client, 0, &e), 0);
	event = wait_for(client, CLIENT_CHECKED);
	ck_assert_msg(event.ok, "%s", event.reason);
	compare(client_ledger(client, 0), tagged);
	client_free(client);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
}
END_TEST

/* An adapter may be a script that starts others: they end with it. */
START_TEST(test_what_it_starts_ends)
{
	const char *const argv[] = {"/bin/sh", "-c", "sleep 300 & echo $! > \"$0\"; wait", file,
				    NULL};
	struct client_endpoint_config endpoint = {
		.name = "store",
		.adapter = {.kind = ADAPTER_EXEC, .argv = argv, .timeout = NANOS_S},
		.rate = 10,
		.latency_limit = NANOS_S,
		.timeout = NANOS_S,
		.success = 0.9,
	};
	struct client_config config = {
		.start = monotonic(), .netns = -1, .endpoints = &endpoint, .endpoint_count = 1};
	struct client *client;
	struct error e = {0};
	long pid = 0;

	ck_assert_int_eq(client_open(&config, &client, &e), 0);
	ck_assert_msg(client_start(client, &e) == 0, "%s", e.text);
	for (int i = 0; i < 100 && pid == 0; i++) {
		FILE *in = fopen(file, "r");
		if (in && fscanf(in, "%ld", &pid) != 1)
			pid = 0;
		if (in)
			fclose(in);
		poll(NULL, 0, 20);
	}
	ck_assert_int_gt(pid, 0);
	client_stop(client);
	client_free(client);
	ck_assert(process_wait((pid_t)pid, 0, 2 * NANOS_S));
}
END_TEST

/* What cannot be started says so. */
START_TEST(test_no_such_command)
{
	const char *const argv[] = {"/nowhere/adapter", NULL};
	struct client_endpoint_config endpoint = {
		.name = "store",
		.adapter = {.kind = ADAPTER_EXEC, .argv = argv, .timeout = NANOS_S},
		.rate = 10,
		.latency_limit = NANOS_S,
		.timeout = NANOS_S,
		.success = 0.9,
	};
	struct client_config config = {
		.start = monotonic(), .netns = -1, .endpoints = &endpoint, .endpoint_count = 1};
	struct client *client;
	struct error e = {0};

	ck_assert_int_eq(client_open(&config, &client, &e), 0);
	ck_assert_int_ne(client_start(client, &e), 0);
	ck_assert_str_eq(e.text, "'/nowhere/adapter' cannot be started: No such file or directory");
	client_free(client);
}
END_TEST

static void add_cases(Suite *suite)
{
	TCase *tcase = tcase_create("plain");

	tcase_add_checked_fixture(tcase, enter, leave);
	tcase_add_loop_test(tcase, test_plain, 0, 2);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("ends");
	tcase_add_checked_fixture(tcase, enter, leave);
	tcase_add_test(tcase, test_what_it_starts_ends);
	suite_add_tcase(suite, tcase);
	test_add(suite, "no_such_command", test_no_such_command);
}

TEST_MAIN("real_adapter", add_cases)
