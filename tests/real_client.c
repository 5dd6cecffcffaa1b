/* SPDX-License-Identifier: Apache-2.0 */
/* The client against a server on loopback that answers, refuses, hangs, drops and loses on purpose:
 * every class is counted exactly, and the wire says the same. */
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <limits.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "drivers/host/capture.h"
#include "drivers/host/client.h"
#include "tests/ledger_server.h"
#include "tests/test.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RATE_MOST 150.0
#define RATE_OUTAGE 150.0
#else
#define RATE_MOST 3000.0
#define RATE_OUTAGE 1000.0
#endif
#define RATE 200.0
#define ROUND 400 /* fates come again after so many requests */

static const unsigned char digest[32] = {0xde, 0xad, 1, 2, 3};
static const char *const sites[] = {"backup", LEDGER_SERVER_SITE};

static int64_t monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * NANOS_S + now.tv_nsec;
}

static struct client_endpoint_config endpoint_of(uint16_t port)
{
	return (struct client_endpoint_config){
		.name = "chat",
		.adapter = {.host = "127.0.0.1",
			    .port = port,
			    .path = "/chat/predict",
			    .records_path = "/chat/records",
			    .timeout = 2 * NANOS_S},
		.rate = RATE,
		/* Generous: a busy machine must not look like a bad server. */
		.latency_limit = 2 * NANOS_S,
		.timeout = 3 * NANOS_S,
		.payload_bytes = 40.3,
		.keys = 1000,
		.expect = client_expect_digest,
		.expect_self = digest,
		.success = 0.5,
		.window = NANOS_S,
	};
}

static struct client *client_of(const struct client_endpoint_config *endpoint, int netns)
{
	struct client_config config = {.seed = 42,
				       .start = monotonic(),
				       .netns = netns,
				       .endpoints = endpoint,
				       .endpoint_count = 1,
				       .sites = sites,
				       .site_count = 2};
	struct client *client = NULL;
	struct error e = {0};

	ck_assert_msg(client_open(&config, &client, &e) == 0, "%s", e.text);
	ck_assert_msg(client_start(client, &e) == 0, "%s", e.text);
	return client;
}

static void sleep_ms(int ms)
{
	poll(NULL, 0, ms);
}

/* The next event, within half a minute. */
static struct client_event next_event(struct client *client)
{
	struct pollfd told = {.fd = client_eventfd(client), .events = POLLIN};
	struct client_event event;

	ck_assert_int_eq(poll(&told, 1, 30000), 1);
	ck_assert_uint_eq(client_events(client, &event, 1), 1);
	return event;
}

static void read_back(struct client *client)
{
	struct error e = {0};
	struct client_event event;

	ck_assert_msg(client_check(client, 0, &e) == 0, "%s", e.text);
	do
		event = next_event(client);
	while (event.kind != CLIENT_CHECKED);
	ck_assert_msg(event.ok, "%s", event.reason);
}

/* ---- every class ---- */

static enum fate fate_of(uint64_t sequence)
{
	switch (sequence % ROUND) {
	case 10:
		return FATE_REFUSED;
	case 45:
		return FATE_ERROR;
	case 80:
		return FATE_WRONG;
	case 115:
		return FATE_LATE;
	case 150:
		return FATE_HANGS;
	case 185:
		return FATE_DROPPED;
	case 220:
	case 221:
		return FATE_LOST;
	case 255:
		return FATE_TWICE;
	case 290:
		return FATE_ALTERED;
	case 325:
		return FATE_BROKEN;
	case 360:
		return FATE_STALE;
	default:
		return FATE_GOOD;
	}
}

static void check_outcomes(const struct client_totals *t, const uint64_t n[FATES])
{
	uint64_t acknowledged = n[FATE_GOOD] + n[FATE_LOST] + n[FATE_TWICE] + n[FATE_ALTERED] +
				n[FATE_BROKEN] + n[FATE_STALE];

	ck_assert_uint_eq(t->good, acknowledged);
	ck_assert_uint_eq(t->wrong, n[FATE_WRONG]);
	ck_assert_uint_eq(t->late, n[FATE_LATE]);
	ck_assert_uint_eq(t->failed, n[FATE_REFUSED] + n[FATE_ERROR]);
	ck_assert_uint_eq(t->unknown, n[FATE_HANGS] + n[FATE_DROPPED]);
	ck_assert_uint_eq(t->unsent, 0);
	ck_assert_uint_eq(t->open, 0);
	ck_assert_uint_eq(t->sent, t->intended);
}

static void check_ledger(struct client *client, const uint64_t n[FATES])
{
	struct client_totals t;
	struct ledger_totals l;
	uint64_t records, bytes, all_bytes;

	client_totals(client, 0, &t);
	ledger_totals(client_ledger(client, 0), &l);
	ck_assert_uint_eq(l.records, t.intended);
	ck_assert_uint_eq(l.ok, t.good + t.wrong + t.late);
	ck_assert_uint_eq(l.fail, n[FATE_REFUSED]);
	ck_assert_uint_eq(l.unknown, n[FATE_ERROR] + n[FATE_HANGS] + n[FATE_DROPPED]);
	ck_assert_uint_eq(l.checked, l.ok);
	ck_assert_uint_eq(l.lost, n[FATE_LOST]);
	ck_assert_uint_eq(l.altered, n[FATE_ALTERED] + n[FATE_BROKEN]);
	ck_assert_uint_eq(l.stale, n[FATE_STALE]);
	ck_assert_uint_eq(l.intact, l.ok - l.lost - l.altered - l.stale);
	ck_assert_uint_eq(l.duplicated, n[FATE_TWICE]);
	ck_assert_uint_eq(l.unknown_present, n[FATE_ERROR] + n[FATE_HANGS]);
	ck_assert_uint_eq(l.fail_present, 0);
	ck_assert_uint_eq(l.never_sent, 1);
	ck_assert_uint_eq(l.acknowledged_twice, 0);
	ledger_count(client_ledger(client, 0), 1, -1, NANOS_NEVER, true, &records, &bytes);
	ck_assert_uint_eq(records, l.lost + l.altered + l.stale);
	ck_assert_uint_eq(bytes, l.lost_bytes);
	ledger_count(client_ledger(client, 0), 1, -1, NANOS_NEVER, false, &records, &all_bytes);
	ck_assert_uint_eq(records, l.ok);
	ck_assert_uint_gt(all_bytes, bytes);
	ledger_count(client_ledger(client, 0), 0, -1, NANOS_NEVER, false, &records, &bytes);
	ck_assert_uint_eq(records, 0);
}

static void check_slices(struct client *client, const struct client_totals *t)
{
	static struct client_slice slices[64];
	size_t count = client_slices(client, slices, 64);
	uint64_t requests = 0, good = 0, wrong = 0, late = 0, failed = 0, unknown = 0;

	ck_assert_uint_ge(count, 3);
	for (size_t i = 0; i < count; i++) {
		ck_assert_int_eq(slices[i].to - slices[i].from, NANOS_S);
		ck_assert(i == 0 || slices[i].from == slices[i - 1].to);
		ck_assert(slices[i].requests == 0 ||
			  (slices[i].p50 > 0 && slices[i].p50 <= slices[i].p99));
		requests += slices[i].requests;
		good += slices[i].good;
		wrong += slices[i].wrong;
		late += slices[i].late;
		failed += slices[i].failed;
		unknown += slices[i].unknown;
	}
	/* The last one is still open when the client stops. */
	ck_assert(requests <= t->intended && requests > t->intended / 2);
	ck_assert_uint_eq(requests, good + wrong + late + failed + unknown);
}

START_TEST(test_classes)
{
	struct ledger_server *server =
		ledger_server_start(&(struct ledger_server_config){.fate = fate_of,
								   .threads = true,
								   .late_ms = 4500,
								   .hang_ms = 8000,
								   .digest = digest});
	struct client_endpoint_config endpoint = endpoint_of(ledger_server_port(server));
	struct client *client;
	struct client_totals t;
	uint64_t counts[FATES], sum = 0;
	double sent;

	endpoint.rate = RATE_MOST;
	endpoint.connections = 1000;
	endpoint.latency_limit = 4 * NANOS_S;
	endpoint.timeout = 7 * NANOS_S;
	client = client_of(&endpoint, -1);
	client_epoch(client, 0, 7); /* from here on a stale copy has an epoch before it */
	sleep_ms(4000);
	sent = RATE_MOST * (double)client_now(client) * 1e-9;
	client_stop(client);
	client_totals(client, 0, &t);
	printf("classes: %" PRIu64 " requests at %.0f/s, sender late by %.1f ms at most\n",
	       t.intended, RATE_MOST, (double)t.lag * 1e-6);
	for (int i = 0; i < FATES; i++) {
		counts[i] = ledger_server_count(server, (enum fate)i);
		sum += counts[i];
		ck_assert_msg(counts[i] > 0, "fate %d never came", i);
	}
	ck_assert_uint_eq(sum, t.intended);
	ck_assert(fabs((double)t.intended - sent) < 0.15 * sent);
	check_outcomes(&t, counts);
	check_slices(client, &t);
	ledger_server_invent(server, t.intended + 3);
	read_back(client);
	check_ledger(client, counts);
	client_free(client);
	ledger_server_stop(server);
}
END_TEST

/* ---- an outage, and the wire ---- */

static void write_outage(const struct wire_result *wire)
{
	printf("outage: client %.3f ms, wire %.3f ms, difference %.3f ms, allowed %.3f ms, "
	       "silence %.3f ms; %" PRIu64 " requests, %" PRIu64 " responses on the wire\n",
	       (double)wire->client * 1e-6, (double)wire->outage * 1e-6,
	       (double)wire->difference * 1e-6, (double)wire->allowed * 1e-6,
	       (double)wire->silence * 1e-6, wire->requests, wire->responses);
}

/* Against the wire; then with a client that is off by half a second, which must not agree. */
static void check_wire(const char *path, const struct capture_stats *stats,
		       struct client_outage outage, const struct client_totals *t)
{
	struct wire_result wire;
	struct error e = {0};

	ck_assert_msg(wire_check(path, stats, &outage, &wire, &e) == 0, "%s", e.text);
	ck_assert_msg(wire.available && wire.agrees, "%s", wire.reason);
	write_outage(&wire);
	ck_assert_uint_eq(wire.requests, t->sent);
	ck_assert_uint_eq(wire.responses, t->sent);
	ck_assert(wire.silence > 900 * NANOS_MS && wire.silence <= wire.outage);
	/* What is kept of it says the same, and is smaller. */
	struct wire_result kept;
	char excerpt[PATH_MAX];
	snprintf(excerpt, sizeof(excerpt), "%s.excerpt", path);
	ck_assert_msg(wire_excerpt(path, excerpt, &outage, 100 * NANOS_MS, &e) == 0, "%s", e.text);
	ck_assert_msg(wire_check(excerpt, stats, &outage, &kept, &e) == 0, "%s", e.text);
	ck_assert(kept.agrees && kept.outage == wire.outage && kept.requests < wire.requests);
	unlink(excerpt);
	outage.since -= 500 * NANOS_MS;
	ck_assert_int_eq(wire_check(path, stats, &outage, &wire, &e), 0);
	ck_assert(wire.available && !wire.agrees && wire.reason[0]);
	outage.after.sequence = 1 << 30;
	ck_assert_int_eq(wire_check(path, stats, &outage, &wire, &e), 0);
	ck_assert(!wire.available && wire.reason[0]);
}

static void expect_outage(struct client *client, struct ledger_server *server)
{
	struct client_event event;
	nanos from, to;

	sleep_ms(1000);
	from = client_now(client);
	ledger_server_down(server, true);
	event = next_event(client);
	ck_assert_int_eq(event.kind, CLIENT_BAD);
	/* Some dozens of requests, and the machine's own delays. */
	ck_assert_msg(event.since > from - 50 * NANOS_MS && event.at < from + NANOS_S,
		      "bad since %" PRId64 ", known %" PRId64 " ns after the fault",
		      event.since - from, event.at - from);
	printf("bad since %+.3f ms, known after %.3f ms\n", (double)(event.since - from) * 1e-6,
	       (double)(event.at - from) * 1e-6);
	ck_assert(client_is_bad(client, 0));
	sleep_ms(1000);
	to = client_now(client);
	ledger_server_down(server, false);
	event = next_event(client);
	ck_assert_int_eq(event.kind, CLIENT_GOOD);
	ck_assert(event.since > to - 50 * NANOS_MS && event.since < to + NANOS_S);
	ck_assert(event.at >= event.since + NANOS_S && event.at < event.since + 3 * NANOS_S);
	ck_assert(!client_is_bad(client, 0));
}

START_TEST(test_outage)
{
	struct ledger_server *server =
		ledger_server_start(&(struct ledger_server_config){.digest = digest});
	struct client_endpoint_config endpoint = endpoint_of(ledger_server_port(server));
	char path[] = "/tmp/drsim-capture-XXXXXX";
	struct capture_config config = {.path = path,
					.interface = "lo",
					.netns = -1,
					.ports = {ledger_server_port(server)},
					.port_count = 1};
	struct capture *capture = NULL;
	struct capture_stats stats = {0};
	struct client_outage outage;
	struct client_totals t;
	struct client_window window;
	struct client *client;
	struct error e = {0};

	close(mkstemp(path));
	if (capture_start(&config, &capture, &e))
		printf("skipped: the wire: %s\n", e.text);
	endpoint.success = 0.99;
	endpoint.rate = RATE_OUTAGE;
	client = client_of(&endpoint, -1);
	expect_outage(client, server);
	client_window(client, 0, 500 * NANOS_MS, &window);
	ck_assert(window.requests > 0 && window.success >= 0.99 && window.p99 <= 2 * NANOS_S);
	ck_assert(client_outage(client, 0, &outage) && outage.until != NANOS_NEVER);
	ck_assert(outage.has_before && outage.wrong == 0);
	ck_assert(outage.before.sequence < outage.first.sequence &&
		  outage.first.sequence < outage.after.sequence);
	ck_assert(outage.until - outage.since > 900 * NANOS_MS);
	client_stop(client);
	client_totals(client, 0, &t);
	if (capture) {
		capture_stop(capture, &stats);
		printf("capture: %" PRIu64 " packets, %" PRIu64 " bytes, %" PRIu64 " dropped\n",
		       stats.packets, stats.bytes, stats.dropped);
		check_wire(path, &stats, outage, &t);
	}
	unlink(path);
	client_free(client);
	ledger_server_stop(server);
}
END_TEST

START_TEST(test_capture_is_bounded)
{
	struct ledger_server *server =
		ledger_server_start(&(struct ledger_server_config){.digest = digest});
	struct client_endpoint_config endpoint = endpoint_of(ledger_server_port(server));
	char path[] = "/tmp/drsim-capture-XXXXXX";
	struct capture_config config = {.path = path,
					.interface = "lo",
					.netns = -1,
					.ports = {ledger_server_port(server)},
					.port_count = 1,
					.max_bytes = 40000};
	struct client_outage outage = {
		.until = 1, .has_before = true, .before = {.sequence = 1u << 30}};
	struct capture *capture = NULL;
	struct capture_stats stats;
	struct wire_result wire;
	struct client *client;
	struct error e = {0};

	close(mkstemp(path));
	if (capture_start(&config, &capture, &e)) {
		printf("skipped: the bounded capture: %s\n", e.text);
	} else {
		client = client_of(&endpoint, -1);
		sleep_ms(500);
		client_free(client);
		capture_stop(capture, &stats);
		ck_assert(stats.full && stats.bytes <= 40000 && stats.packets > 50);
		ck_assert_int_eq(wire_check(path, &stats, &outage, &wire, &e), 0);
		ck_assert(!wire.available && strstr(wire.reason, "limit"));
		ck_assert_uint_gt(wire.requests, 10);
	}
	unlink(path);
	ledger_server_stop(server);
}
END_TEST

/* In a child that gave up root: the reason is told, and nothing else happens. */
START_TEST(test_no_right_to_capture)
{
	struct capture_config config = {
		.path = "/dev/null", .interface = "lo", .netns = -1, .port_count = 0};
	struct capture *capture;
	struct error e = {0};
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		bool refused;

		if (geteuid() == 0 && setresuid(65534, 65534, 65534))
			_exit(2);
		refused = capture_start(&config, &capture, &e) != 0 &&
			  e.kind == ERROR_UNAVAILABLE && strstr(e.text, "CAP_NET_RAW");
		_exit(refused ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	config.interface = "nothere0";
	ck_assert_int_ne(capture_start(&config, &capture, &e), 0);
	ck_assert_int_eq(e.kind, ERROR_UNAVAILABLE);
}
END_TEST

/* ---- nobody there; another namespace; rates ---- */

static uint16_t free_port(void)
{
	struct ledger_server *server =
		ledger_server_start(&(struct ledger_server_config){.digest = digest});
	uint16_t port = ledger_server_port(server);

	ledger_server_stop(server);
	return port;
}

START_TEST(test_refused)
{
	struct client_endpoint_config endpoint = endpoint_of(free_port());
	struct client *client = client_of(&endpoint, -1);
	struct client_event event = next_event(client);
	struct client_totals t;
	struct ledger_totals l;

	ck_assert_int_eq(event.kind, CLIENT_BAD);
	ck_assert(event.since < 300 * NANOS_MS && event.at < 600 * NANOS_MS);
	client_stop(client);
	client_totals(client, 0, &t);
	ledger_totals(client_ledger(client, 0), &l);
	ck_assert_uint_gt(t.intended, 1);
	ck_assert_uint_eq(t.failed, t.intended);
	ck_assert_uint_eq(t.unsent, t.intended);
	ck_assert_uint_eq(t.sent, 0);
	ck_assert_uint_eq(l.unsent, t.intended);
	client_free(client);
}
END_TEST

static enum fate hangs(uint64_t sequence)
{
	(void)sequence;
	return FATE_HANGS;
}

/* Four connections that hang: whatever finds none free within the limit is bad, and never sent. */
START_TEST(test_connection_limit)
{
	struct ledger_server *server = ledger_server_start(&(struct ledger_server_config){
		.fate = hangs, .threads = true, .hang_ms = 1000, .digest = digest});
	struct client_endpoint_config endpoint = endpoint_of(ledger_server_port(server));
	struct client_totals t;
	struct client *client;

	endpoint.connections = 4;
	endpoint.rate = 300;
	endpoint.latency_limit = 200 * NANOS_MS;
	endpoint.timeout = 400 * NANOS_MS;
	client = client_of(&endpoint, -1);
	sleep_ms(1000);
	ck_assert(client_is_bad(client, 0));
	client_stop(client);
	client_totals(client, 0, &t);
	ck_assert(t.sent >= 8 && t.sent <= 24);
	ck_assert_uint_eq(t.unknown, t.sent);
	ck_assert_uint_eq(t.failed, t.intended - t.sent);
	ck_assert_uint_eq(t.unsent, t.failed);
	ck_assert_uint_eq(t.good, 0);
	ck_assert_uint_eq(ledger_server_count(server, FATE_HANGS), t.sent);
	client_free(client);
	ledger_server_stop(server);
}
END_TEST

/* In a fresh namespace loopback is down: the same server cannot be reached from there. */
START_TEST(test_namespace)
{
	struct ledger_server *server =
		ledger_server_start(&(struct ledger_server_config){.digest = digest});
	struct client_endpoint_config endpoint = endpoint_of(ledger_server_port(server));
	int here = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), there;
	struct client_totals t;
	struct client *client;

	if (unshare(CLONE_NEWNET)) {
		printf("skipped: a network namespace of its own: no right to make one\n");
	} else {
		there = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
		ck_assert_int_eq(setns(here, CLONE_NEWNET), 0);
		client = client_of(&endpoint, there);
		sleep_ms(300);
		client_stop(client);
		client_totals(client, 0, &t);
		ck_assert(t.intended > 10 && t.unsent == t.intended);
		client_free(client);
		close(there);
	}
	close(here);
	ledger_server_stop(server);
}
END_TEST

START_TEST(test_rates)
{
	struct ledger_server *server =
		ledger_server_start(&(struct ledger_server_config){.digest = digest});
	struct client_endpoint_config endpoint = endpoint_of(ledger_server_port(server));
	struct client_totals a, b, c;
	struct client *client;

	endpoint.arrival = CLIENT_CONSTANT;
	endpoint.rate = 50;
	client = client_of(&endpoint, -1);
	sleep_ms(1000);
	client_totals(client, 0, &a);
	client_rate(client, 0, 300);
	sleep_ms(1000);
	client_totals(client, 0, &b);
	client_rate(client, 0, 0);
	sleep_ms(50);
	client_totals(client, 0, &b);
	sleep_ms(500);
	client_totals(client, 0, &c);
	ck_assert_uint_eq(b.intended, c.intended);
	ck_assert(a.intended >= 49 && a.intended < 100);
	ck_assert(b.intended > a.intended + 200);
	client_rate(client, 0, 200);
	sleep_ms(500);
	client_stop(client);
	client_totals(client, 0, &c);
	ck_assert(c.intended > b.intended + 80);
	ck_assert_uint_eq(c.good, c.intended);
	client_free(client);
	ledger_server_stop(server);
}
END_TEST

/* What the server no longer has is lost, also while the sending goes on. */
START_TEST(test_check_while_sending)
{
	struct ledger_server *server =
		ledger_server_start(&(struct ledger_server_config){.digest = digest});
	struct client_endpoint_config endpoint = endpoint_of(ledger_server_port(server));
	struct client *client = client_of(&endpoint, -1);
	struct ledger_totals l;
	nanos at;

	sleep_ms(1000);
	read_back(client);
	ledger_totals(client_ledger(client, 0), &l);
	ck_assert(l.checked > 0 && l.intact == l.checked && l.never_sent == 0);
	for (uint64_t i = 10; i < 20; i++)
		ledger_server_forget(server, i);
	read_back(client);
	ledger_totals(client_ledger(client, 0), &l);
	ck_assert_uint_eq(l.lost, 10);
	ck_assert_uint_eq(l.intact, l.checked - 10);
	ck_assert_int_eq(ledger_verdict(client_ledger(client, 0), 15), LEDGER_LOST);
	ck_assert(ledger_last(client_ledger(client, 0), 1, &at) && at > 900 * NANOS_MS);
	ck_assert(!ledger_last(client_ledger(client, 0), 0, &at));
	client_stop(client);
	client_free(client);
	ledger_server_stop(server);
}
END_TEST

static void add_cases(Suite *suite)
{
	test_add(suite, "classes", test_classes);
	test_add(suite, "outage", test_outage);
	test_add(suite, "capture_is_bounded", test_capture_is_bounded);
	test_add(suite, "no_right_to_capture", test_no_right_to_capture);
	test_add(suite, "refused", test_refused);
	test_add(suite, "connection_limit", test_connection_limit);
	test_add(suite, "namespace", test_namespace);
	test_add(suite, "rates", test_rates);
	test_add(suite, "check_while_sending", test_check_while_sending);
}

TEST_MAIN("real_client", add_cases)
