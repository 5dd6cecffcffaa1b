/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bad networks between real namespaces: every mechanism of the kernel's half applied, measured on
 * the wire, changed, and taken back until links, routes, queueing disciplines and rules are to the
 * letter what they were before.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/impairment.h"
#include "drivers/lazy/nftables.h"
#include "drivers/linux/interface.h"
#include "drivers/linux/net.h"
#include "drivers/linux/netns.h"
#include "drivers/linux/nft.h"
#include "drivers/linux/tc.h"
#include "tests/places.h"
#include "tests/program.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define LEASE (20 * NANOS_S)
#define LOSS_PACKETS 100000
#define DUMP_MAX 65536
#define RATE_TRIES 5

struct net {
	struct places places;
	char *before; /* what its namespaces look like */
};

static void skip_rest(const char *what, const struct error *e)
{
	printf("skipped: %s: %s\n", what, e->text);
}

/* ---- what a namespace looks like ---- */

struct dump {
	char text[DUMP_MAX];
	size_t length;
};

static void say(struct dump *dump, const char *const *argv)
{
	int ends[2];
	ssize_t got = 1;
	pid_t pid;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	pid = fork(); /* from a thread in the namespace: there is the child too */
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	close(ends[1]);
	while (got > 0) {
		ck_assert_uint_lt(dump->length, DUMP_MAX - 1);
		got = read(ends[0], dump->text + dump->length, DUMP_MAX - 1 - dump->length);
		dump->length += got > 0 ? (size_t)got : 0;
	}
	dump->text[dump->length] = '\0';
	close(ends[0]);
	waitpid(pid, NULL, 0);
}

/* Not by a program: one that is started has no rights in a user namespace. */
static int say_rules(struct dump *dump, struct error *e)
{
	struct nft_ctx *context = nft_ctx_new(NFT_CTX_DEFAULT);

	ck_assert_ptr_nonnull(context);
	nft_ctx_buffer_output(context);
	if (nft_run_cmd_from_buffer(context, "list ruleset"))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot list the rules");
	dump->length += (size_t)snprintf(dump->text + dump->length, DUMP_MAX - dump->length, "%s",
					 nft_ctx_get_output_buffer(context));
	ck_assert_uint_lt(dump->length, DUMP_MAX);
	nft_ctx_free(context);
	return 0;
}

static int dump_here(void *self, struct error *e)
{
	static const char *const commands[][8] = {
		{"ip", "-o", "link"},    {"ip", "-o", "-4", "addr"},
		{"ip", "-4", "rule"},    {"ip", "-4", "route", "show", "table", "all"},
		{"tc", "qdisc", "show"}, {"bridge", "link", "show"}};

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		say(self, commands[i]);
	return lazy_nftables_open(e) ? -1 : say_rules(self, e);
}

/* Of all namespaces; for free(). */
static char *dump_all(const struct net *net)
{
	struct dump *dump = calloc(1, sizeof(*dump));
	struct error e = {0};

	ck_assert_ptr_nonnull(dump);
	places_ok(netns_call(net->places.router, dump_here, dump, &e), &e);
	for (size_t i = 0; i < PLACES; i++)
		places_ok(netns_call(machine_network(net->places.items[i]), dump_here, dump, &e),
			  &e);
	return (char *)dump; /* its text is its beginning */
}

/* The state of a link follows its other end a moment later. */
static bool is_as_before(const void *self)
{
	const struct net *net = self;
	char *now = dump_all(net);
	bool same = strcmp(now, net->before) == 0;

	free(now);
	return same;
}

static void expect_as_before(const struct net *net)
{
	const char *was = net->before, *is;
	char *now;

	if (program_until(is_as_before, net, 5000))
		return;
	now = dump_all(net);
	/* The first line that is other. */
	for (is = now; *is && *was && strcspn(is, "\n") == strcspn(was, "\n") &&
		       strncmp(is, was, strcspn(is, "\n")) == 0;) {
		is += strcspn(is, "\n") + (strchr(is, '\n') != NULL);
		was += strcspn(was, "\n") + (strchr(was, '\n') != NULL);
	}
	ck_abort_msg("now '%.*s', before '%.*s'", (int)strcspn(is, "\n"), is,
		     (int)strcspn(was, "\n"), was);
}

static void expect_not_as_before(const struct net *net)
{
	ck_assert(!is_as_before(net));
}

/* A link's state is known a moment after it was made; only lo has none. */
static bool is_settled(const void *self)
{
	char *now = dump_all(self);
	size_t unknown = 0;

	for (const char *at = now; (at = strstr(at, "state UNKNOWN")); at++)
		unknown++;
	free(now);
	return unknown == PLACES + 1;
}

static void open_net(struct net *net)
{
	places_open(&net->places);
	ck_assert(program_until(is_settled, net, 5000));
	net->before = dump_all(net);
	ck_assert_ptr_nonnull(strstr(net->before, "site1"));
	ck_assert_ptr_nonnull(strstr(net->before, "qdisc noqueue"));
	ck_assert_ptr_null(strstr(net->before, "drsim"));
}

static void close_net(struct net *net)
{
	expect_as_before(net);
	places_close(&net->places);
	free(net->before);
}

/* ---- partitions ---- */

static struct nft_pair pair_of(const struct net *net, size_t from, size_t to)
{
	return (struct nft_pair){places_number(&net->places, from), places_number(&net->places, to),
				 32, 32};
}

static struct nft_config drop_config(const struct nft_pair *pairs, size_t count)
{
	return (struct nft_config){
		.name = "test",
		.direction = IMPAIR_FROM,
		.pairs = pairs,
		.pair_count = count,
		.share_ppm = NFT_ALL_PPM,
		.lease = LEASE,
	};
}

static struct nft_counts counts_of(struct nft *nft)
{
	struct nft_counts counts;
	struct error e = {0};

	places_ok(nft_counts(nft, &counts, &e), &e);
	return counts;
}

/* In one site (0 and 2) and between two (0 and 1): one way, then both, then gone. */
START_TEST(partition_of_two)
{
	struct net net;
	struct error e = {0};
	size_t a = 0, b = _i ? 1 : 2;
	struct nft_pair pairs[2];
	struct nft_config config = drop_config(pairs, 1);
	struct places_arrived arrived;
	struct nft *nft;

	open_net(&net);
	places_warm(&net.places);
	pairs[0] = pair_of(&net, a, b);
	pairs[1] = pair_of(&net, b, a);
	places_ok(nft_begin(net.places.router, &config, &net.places.arena, &nft, &e), &e);
	expect_not_as_before(&net);
	places_exchange(&net.places, a, b, 1000, 50, &arrived);
	ck_assert_uint_eq(arrived.count, 0);
	places_exchange(&net.places, b, a, 1000, 50, &arrived);
	ck_assert_uint_eq(arrived.count, 1000);
	ck_assert_uint_eq(counts_of(nft).hit, 1000);
	ck_assert_uint_eq(counts_of(nft).seen, 1000);
	ck_assert_uint_eq(counts_of(nft).hit_bytes, 1000 * (100 + PLACES_HEADERS - 14));
	ck_assert(counts_of(nft).alive);
	config.pair_count = 2;
	places_ok(nft_change(nft, &config, &e), &e);
	places_exchange(&net.places, a, b, 500, 50, &arrived);
	ck_assert_uint_eq(arrived.count, 0);
	places_exchange(&net.places, b, a, 500, 50, &arrived);
	ck_assert_uint_eq(arrived.count, 0);
	places_exchange(&net.places, b, 3, 500, 50, &arrived);
	ck_assert_uint_eq(arrived.count, 500);
	ck_assert_uint_eq(counts_of(nft).hit, 2000);
	places_ok(nft_end(nft, &e), &e);
	places_ok(nft_end(nft, &e), &e);
	places_warm(&net.places);
	close_net(&net);
}
END_TEST

/* Whole sites, by their networks: one way, then both; inside a site nothing is cut. */
START_TEST(partition_of_sites)
{
	struct net net;
	struct error e = {0};
	struct nft_pair pairs[2];
	struct nft_config config = drop_config(pairs, 1);
	struct nft *nft;

	open_net(&net);
	places_warm(&net.places);
	pairs[0] = (struct nft_pair){places_number(&net.places, 0), places_number(&net.places, 1),
				     MACHINE_SITE_BITS, MACHINE_SITE_BITS};
	pairs[1] =
		(struct nft_pair){pairs[0].to, pairs[0].from, MACHINE_SITE_BITS, MACHINE_SITE_BITS};
	places_ok(nft_begin(net.places.router, &config, &net.places.arena, &nft, &e), &e);
	for (size_t both = 0; both < 2; both++) {
		for (size_t from = 0; from < PLACES; from++)
			for (size_t to = 0; to < PLACES; to++)
				ck_assert(from == to ||
					  places_reach(&net.places, from, to) ==
						  (from % 2 == to % 2 || (!both && from % 2)));
		config.pair_count = 2;
		places_ok(nft_change(nft, &config, &e), &e);
	}
	places_ok(nft_end(nft, &e), &e);
	places_warm(&net.places);
	close_net(&net);
}
END_TEST

/* Every shape, as it was planned: each ordered pair is tried. */
START_TEST(partition_shapes)
{
	struct net net;
	struct error e = {0};
	struct nft *nft = NULL;

	open_net(&net);
	places_warm(&net.places);
	for (int shape = PARTITION_HALVES; shape <= PARTITION_BRIDGE; shape++) {
		const struct partition plan = {.shape = shape, .count = PLACES, .one = 2};
		struct nft_pair pairs[PLACES * PLACES];
		struct nft_config config = drop_config(pairs, 0);
		bool lost[PLACES][PLACES] = {{false}};

		/* Of each third pair one way only. */
		for (size_t from = 0; from < PLACES; from++)
			for (size_t to = 0; to < PLACES; to++) {
				lost[from][to] = partition_cuts(&plan, from, to) &&
						 ((from + to) % 3 > 0 || from < to);
				if (lost[from][to])
					pairs[config.pair_count++] = pair_of(&net, from, to);
			}
		places_ok(nft ? nft_change(nft, &config, &e)
			      : nft_begin(net.places.router, &config, &net.places.arena, &nft, &e),
			  &e);
		for (size_t from = 0; from < PLACES; from++)
			for (size_t to = 0; to < PLACES; to++)
				ck_assert(from == to ||
					  places_reach(&net.places, from, to) == !lost[from][to]);
	}
	places_ok(nft_end(nft, &e), &e);
	close_net(&net);
}
END_TEST

/* A share of packets, within 4.5 deviations; what the counter says is what does not come. */
START_TEST(share_of_packets)
{
	const double share = 0.03, n = LOSS_PACKETS;
	const double bound = 4.5 * sqrt(n * share * (1 - share));
	struct net net;
	struct error e = {0};
	struct nft_pair pair;
	struct nft_config config = drop_config(&pair, 1);
	struct places_arrived arrived;
	struct nft *nft;
	double lost;

	open_net(&net);
	places_warm(&net.places);
	pair = pair_of(&net, 0, 1);
	config.share_ppm = 30000;
	places_ok(nft_begin(net.places.router, &config, &net.places.arena, &nft, &e), &e);
	places_exchange(&net.places, 0, 1, LOSS_PACKETS, 100, &arrived);
	lost = n - (double)arrived.count;
	printf("loss of 3 %%: %.0f of %.0f packets, expected %.0f +- %.0f\n", lost, n, n * share,
	       bound);
	ck_assert_uint_eq(counts_of(nft).seen, LOSS_PACKETS);
	ck_assert_uint_eq(counts_of(nft).hit + arrived.count, LOSS_PACKETS);
	ck_assert_double_le(fabs(lost - n * share), bound);
	config.share_ppm = NFT_ALL_PPM / 2;
	places_ok(nft_change(nft, &config, &e), &e);
	places_exchange(&net.places, 0, 1, 10000, 100, &arrived);
	ck_assert_double_le(fabs((double)arrived.count - 5000), 4.5 * sqrt(10000 * 0.25));
	places_ok(nft_end(nft, &e), &e);
	close_net(&net);
}
END_TEST

/* What goes to a port, and what comes from it, vanishes; other ports do not. */
START_TEST(black_hole)
{
	static const uint16_t ports[] = {7, PLACES_PORT};
	struct net net;
	struct error e = {0};
	struct nft_pair pairs[2];
	struct nft_config config = drop_config(pairs, 2);
	struct places_arrived arrived = {.count = 0};
	struct nft *nft;
	int other;

	open_net(&net);
	places_warm(&net.places);
	other = places_socket(net.places.items[1], SOCK_DGRAM, PLACES_PORT + 5);
	pairs[0] = (struct nft_pair){.to = places_number(&net.places, 1), .to_bits = 32};
	pairs[1] = (struct nft_pair){.from = places_number(&net.places, 1), .from_bits = 32};
	config.ports = ports;
	config.port_count = 2;
	places_ok(nft_begin(net.places.router, &config, &net.places.arena, &nft, &e), &e);
	ck_assert(!places_reach(&net.places, 0, 1) && !places_reach(&net.places, 3, 1));
	ck_assert(!places_reach(&net.places, 1, 0) && places_reach(&net.places, 0, 2));
	places_send(&net.places, 0, 1, PLACES_PORT + 5, 1, 100);
	program_pause(50);
	places_receive(&net.places, 0, other, &arrived);
	ck_assert_uint_eq(arrived.count, 1);
	ck_assert_uint_eq(counts_of(nft).hit, 9);
	config.protocol = IPPROTO_TCP;
	places_ok(nft_change(nft, &config, &e), &e);
	ck_assert(places_reach(&net.places, 0, 1));
	places_ok(nft_end(nft, &e), &e);
	close(other);
	close_net(&net);
}
END_TEST

/* ---- a lease ---- */

/* Another process of ours, which renews its fault until it is stopped or killed. */
static void hold_fault(const struct net *net, int said)
{
	const struct nft_pair pair = pair_of(net, 0, 1);
	struct nft_config config = drop_config(&pair, 1);
	struct arena arena = {0};
	struct error e = {0};
	struct nft *nft;

	config.lease = NANOS_S;
	if (nft_begin(net->places.router, &config, &arena, &nft, &e) || write(said, "b", 1) != 1)
		_exit(1);
	for (;;) {
		program_pause(200);
		if (nft_renew(nft, &e))
			_exit(1);
	}
}

struct way {
	const struct net *net;
	size_t from, to;
};

static bool is_open(const void *self)
{
	const struct way *way = self;

	return places_reach(&way->net->places, way->from, way->to);
}

static bool is_cut(const void *self)
{
	return !is_open(self);
}

/* How long until it is so, in ms. */
static double until(bool (*done)(const void *self), const struct way *way)
{
	int64_t begin = program_clock();

	ck_assert(program_until(done, way, 5000));
	return (double)(program_clock() - begin) / (double)NANOS_MS;
}

START_TEST(lease)
{
	struct net net;
	struct way way = {&net, 0, 1};
	struct nft_config config = drop_config(NULL, 0);
	struct error e = {0};
	struct nft *nft;
	double stopped, resumed, killed;
	int said[2];
	pid_t pid;
	char byte;

	open_net(&net);
	places_warm(&net.places);
	ck_assert_int_eq(pipe2(said, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0)
		hold_fault(&net, said[1]);
	ck_assert_int_eq(read(said[0], &byte, 1), 1);
	/* Renewed, it outlives its lease twice and more. */
	for (int i = 0; i < 25; i++) {
		ck_assert(!places_reach(&net.places, 0, 1));
		program_pause(50);
	}
	kill(pid, SIGSTOP);
	stopped = until(is_open, &way);
	kill(pid, SIGCONT);
	resumed = until(is_cut, &way);
	kill(pid, SIGKILL);
	killed = until(is_open, &way);
	waitpid(pid, NULL, 0);
	printf("lease of 1000 ms: open %.0f ms after its holder was stopped, cut %.0f ms after it "
	       "went on, open %.0f ms after it was killed\n",
	       stopped, resumed, killed);
	ck_assert_double_le(stopped, 3000);
	ck_assert_double_le(resumed, 3000);
	ck_assert_double_le(killed, 3000);
	/* The dead one's table does nothing, but it is still there: its name is taken. */
	ck_assert_int_eq(nft_begin(net.places.router, &config, &net.places.arena, &nft, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_UNAVAILABLE);
	close(said[0]);
	close(said[1]);
	free(net.before);
	net.before = dump_all(&net);
	close_net(&net);
}
END_TEST

/* Over without a renewal, alive again with one; the counters tell. */
START_TEST(lease_renewed)
{
	struct net net;
	struct error e = {0};
	struct nft_pair pair;
	struct nft_config config = drop_config(&pair, 1);
	struct nft *nft;

	open_net(&net);
	places_warm(&net.places);
	pair = pair_of(&net, 2, 0);
	config.lease = 300 * NANOS_MS;
	places_ok(nft_begin(net.places.router, &config, &net.places.arena, &nft, &e), &e);
	ck_assert(counts_of(nft).alive && !places_reach(&net.places, 2, 0));
	program_pause(400);
	ck_assert(!counts_of(nft).alive && places_reach(&net.places, 2, 0));
	places_ok(nft_renew(nft, &e), &e);
	ck_assert(counts_of(nft).alive && !places_reach(&net.places, 2, 0));
	ck_assert_uint_eq(counts_of(nft).hit, 6);
	places_ok(nft_end(nft, &e), &e);
	close_net(&net);
}
END_TEST

/* ---- resets ---- */

/* errno of what the call meets within a second; 0: it succeeds. */
static int outcome(int fd, bool write_first)
{
	struct pollfd row = {.fd = fd, .events = write_first ? POLLIN : POLLOUT};
	char byte = 'x';
	int error = 0;
	socklen_t size = sizeof(error);

	if (write_first && send(fd, &byte, 1, MSG_NOSIGNAL) != 1)
		return errno;
	if (poll(&row, 1, 1000) <= 0)
		return ETIMEDOUT;
	if (!write_first)
		return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) ? errno : error;
	return recv(fd, &byte, 1, 0) < 0 ? errno : 0;
}

/* A new connection, whose client is not waited for. */
static int dial(const struct net *net, size_t from, size_t to)
{
	struct sockaddr_in address = places_address(net->places.items[to], PLACES_PORT);
	int fd = places_socket(net->places.items[from], SOCK_STREAM, 0);

	ck_assert(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ||
		  errno == EINPROGRESS);
	return fd;
}

static int take(int listener)
{
	struct pollfd row = {.fd = listener, .events = POLLIN};
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	int fd;

	ck_assert_int_eq(poll(&row, 1, 1000), 1);
	fd = accept4(listener, (struct sockaddr *)&from, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
	ck_assert_int_ge(fd, 0);
	return fd;
}

/* One that stands and is used: both ends meet a reset. Others, and UDP, go on. By rules at the
 * links and at the bridges, whatever this kernel has. */
START_TEST(reset_peer)
{
	bool at_links = _i;
	struct net net;
	struct error e = {0};
	struct nft_pair pairs[2];
	struct nft_config config = drop_config(pairs, 2);
	struct nft *nft;
	int listener, client, server, other, fresh;

	if (nft_probe(NFT_RESET, at_links, &e)) {
		skip_rest(at_links ? "reset at links" : "reset at bridges", &e);
		return;
	}
	open_net(&net);
	places_warm(&net.places);
	listener = places_socket(net.places.items[1], SOCK_STREAM, PLACES_PORT);
	ck_assert_int_eq(listen(listener, 8), 0);
	client = dial(&net, 0, 1);
	server = take(listener);
	ck_assert_int_eq(send(server, "hi", 2, 0), 2);
	ck_assert_int_eq(outcome(client, true), 0);
	other = dial(&net, 3, 1);
	ck_assert_int_eq(outcome(other, false), 0);
	close(take(listener));
	close(other);

	pairs[0] = pair_of(&net, 0, 1);
	pairs[1] = pair_of(&net, 1, 0);
	config.verdict = NFT_RESET;
	config.links = (const char *[]){machine_port(net.places.items[0]),
					machine_port(net.places.items[1])};
	config.link_count = at_links ? 2 : 0;
	places_ok(nft_begin(net.places.router, &config, &net.places.arena, &nft, &e), &e);
	recv(client, &(char[8]){0}, 8, 0);
	ck_assert_int_eq(outcome(client, true), ECONNRESET);
	while (recv(server, &(char[8]){0}, 8, 0) > 0)
		;
	ck_assert_int_eq(outcome(server, true), ECONNRESET);
	fresh = dial(&net, 0, 1);
	ck_assert_int_eq(outcome(fresh, false), ECONNREFUSED);
	close(fresh);
	other = dial(&net, 3, 1);
	ck_assert_int_eq(outcome(other, false), 0);
	ck_assert(places_reach(&net.places, 0, 1));
	printf("reset_peer: %llu packets answered with a reset\n",
	       (unsigned long long)counts_of(nft).hit);
	ck_assert_uint_ge(counts_of(nft).hit, 3);
	places_ok(nft_end(nft, &e), &e);
	fresh = dial(&net, 0, 1);
	ck_assert_int_eq(outcome(fresh, false), 0);
	close(fresh);
	close(other);
	close(client);
	close(server);
	close(listener);
	close_net(&net);
}
END_TEST

/* ---- rates ---- */

/* TBF shapes, nftables polices: at the rate, changed to half of it, in each direction. */
static const struct rate_row {
	enum net_backend backend;
	enum impair_direction direction;
	int skip; /* ms: what may pass at once at the beginning */
} rates[] = {
	{NET_TBF, IMPAIR_TO, 300},
	{NET_TBF, IMPAIR_FROM, 300},
	{NET_NFTABLES, IMPAIR_TO, 2500},
};

START_TEST(rate_limit)
{
	const struct rate_row *row = &rates[_i];
	const double asked = 4e6;
	struct net_ask ask = {.direction = row->direction};
	struct net net;
	struct error e = {0};
	struct net_fault *fault;
	struct net_counts counts;
	struct net_place place;
	size_t from = row->direction == IMPAIR_TO ? 0 : 1, to = 1 - from;

	open_net(&net);
	if (row->backend == NET_TBF && tc_probe(TC_TBF, &e)) {
		skip_rest("tbf", &e);
		close_net(&net);
		return;
	}
	places_warm(&net.places);
	place = places_of(&net.places, 1);
	ask.config.rate.bytes_per_s = (uint64_t)asked;
	ask.config.rate.limit = row->backend == NET_TBF ? 200000 : 0;
	places_ok(net_begin(&place, &ask, row->backend, "rate", 1, LEASE, &net.places.arena, &fault,
			    &e),
		  &e);
	expect_not_as_before(&net);
	for (int part = 1; part <= 2; part++) {
		double rate = 0;

		/* A host that is busy may keep the sender from offering enough. */
		for (int i = 0; i < RATE_TRIES && rate < 0.95 * asked / part; i++)
			rate = places_rate(&net.places, from, to, 2 * asked, row->skip, 1500);
		printf("rate by %s: %.0f bytes/s of %.0f asked\n", net_backend_names[row->backend],
		       rate, asked / part);
		fflush(stdout);
		ck_assert_double_le(fabs(rate - asked / part), 0.05 * asked / part);
		ask.config.rate.bytes_per_s = (uint64_t)asked / 2;
		places_ok(net_change(fault, &ask.config, &e), &e);
		/* The other direction is as fast as it was. */
		rate = 0;
		for (int i = 0; i < RATE_TRIES && rate < 1.5 * asked; i++)
			rate = places_rate(&net.places, to, from, 2 * asked, 100, 300);
		ck_assert_double_ge(rate, 1.5 * asked);
	}
	places_ok(net_counts(fault, &counts, &e), &e);
	/* A sender whose own link is slow waits; what others send to it is lost at the port. */
	ck_assert(row->direction == IMPAIR_FROM ? counts.dropped == 0 : counts.dropped > 1000);
	ck_assert_uint_gt(counts.acted, 1000);
	ck_assert_uint_ge(counts.acted, counts.dropped);
	places_ok(net_renew(fault, &e), &e);
	places_ok(net_end(fault, &e), &e);
	places_ok(net_end(fault, &e), &e);
	close_net(&net);
}
END_TEST

/* A discipline that somebody else has put there stays. */
START_TEST(other_discipline)
{
	const struct impair_config config = {.rate = {.bytes_per_s = 1000000}};
	struct net net;
	struct error e = {0};
	struct tc *first, *second;

	open_net(&net);
	if (tc_probe(TC_TBF, &e)) {
		skip_rest("tbf", &e);
		close_net(&net);
		return;
	}
	places_ok(tc_begin(net.places.router, "m0", TC_TBF, &config, 0, &net.places.arena, &first,
			   &e),
		  &e);
	ck_assert_int_eq(tc_begin(net.places.router, "m0", TC_TBF, &config, 0, &net.places.arena,
				  &second, &e),
			 -1);
	ck_assert_str_eq(e.text, "cannot set tbf on m0: there is another discipline");
	e = (struct error){0};
	ck_assert_int_eq(tc_begin(net.places.router, "m9", TC_TBF, &config, 0, &net.places.arena,
				  &second, &e),
			 -1);
	ck_assert_int_eq(e.kind, ERROR_TARGET);
	e = (struct error){0};
	places_ok(tc_end(first, &e), &e);
	close_net(&net);
}
END_TEST

/* ---- links and routes ---- */

START_TEST(interface_down)
{
	struct net net;
	struct error e = {0};
	struct interface *port, *own;
	struct interface_state state;
	struct way way = {&net, 0, 1};

	open_net(&net);
	places_warm(&net.places);
	places_ok(interface_open(net.places.router, machine_port(net.places.items[1]),
				 &net.places.arena, &port, &e),
		  &e);
	places_ok(interface_open(machine_network(net.places.items[1]), MACHINE_LINK,
				 &net.places.arena, &own, &e),
		  &e);
	places_ok(interface_get(own, &state, &e), &e);
	ck_assert(state.up && state.carrier && state.mtu == 1500 && !state.cuts);
	places_ok(interface_set_up(port, false, &e), &e);
	ck_assert(!places_reach(&net.places, 0, 1) && !places_reach(&net.places, 3, 1) &&
		  places_reach(&net.places, 0, 3));
	places_ok(interface_get(own, &state, &e), &e);
	ck_assert(state.up && !state.carrier);
	expect_not_as_before(&net);
	places_ok(interface_restore(port, &e), &e);
	places_ok(interface_restore(port, &e), &e);
	ck_assert(program_until(is_open, &way, 5000));
	expect_as_before(&net);
	/* The machine's own end: its routes go and come back. */
	places_ok(interface_set_up(own, false, &e), &e);
	ck_assert(!places_reach(&net.places, 0, 1));
	expect_not_as_before(&net);
	places_ok(interface_restore(own, &e), &e);
	ck_assert(program_until(is_open, &way, 5000));
	places_warm(&net.places);
	/* net.flap */
	for (int i = 0; i < 10; i++) {
		places_ok(interface_set_up(port, false, &e), &e);
		places_ok(interface_set_up(port, true, &e), &e);
	}
	places_ok(interface_get(port, &state, &e), &e);
	ck_assert_uint_ge(state.changes, 20);
	ck_assert(program_until(is_open, &way, 5000));
	ck_assert_int_eq(interface_open(net.places.router, "m9", &net.places.arena, &own, &e), -1);
	ck_assert_str_eq(e.text, "there is no link 'm9'");
	close_net(&net);
}
END_TEST

START_TEST(mtu_and_cuts)
{
	struct net net;
	struct error e = {0};
	struct interface *own;
	struct interface_state state;
	const int whole = IP_PMTUDISC_DO;
	struct sockaddr_in to;
	char bytes[1200] = {0};

	open_net(&net);
	places_warm(&net.places);
	to = places_address(net.places.items[1], PLACES_PORT);
	setsockopt(net.places.senders[0], IPPROTO_IP, IP_MTU_DISCOVER, &whole, sizeof(whole));
	places_ok(interface_open(machine_network(net.places.items[0]), MACHINE_LINK,
				 &net.places.arena, &own, &e),
		  &e);
	places_ok(interface_set_mtu(own, 1000, &e), &e);
	ck_assert_int_eq(sendto(net.places.senders[0], bytes, sizeof(bytes), 0,
				(struct sockaddr *)&to, sizeof(to)),
			 -1);
	ck_assert_int_eq(errno, EMSGSIZE);
	ck_assert(places_reach(&net.places, 0, 1));
	places_ok(interface_set_cuts(own, true, &e), &e);
	places_ok(interface_get(own, &state, &e), &e);
	ck_assert(state.mtu == 1000 && state.cuts && state.up);
	ck_assert_int_eq(interface_set_mtu(own, 67, &e), -1);
	ck_assert_str_eq(e.text, "an MTU is 68 to 65535 bytes");
	e = (struct error){0};
	places_ok(interface_restore(own, &e), &e);
	places_ok(interface_get(own, &state, &e), &e);
	ck_assert(state.mtu == 1500 && !state.cuts && state.up);
	places_send(&net.places, 0, 1, PLACES_PORT, 1, sizeof(bytes));
	close_net(&net);
}
END_TEST

/* Between sites one way, and to one machine; within a site no route is asked. */
START_TEST(routes_to_nowhere)
{
	struct net net;
	struct error e = {0};

	open_net(&net);
	places_warm(&net.places);
	for (int kind = 0; kind <= INTERFACE_UNREACHABLE; kind++) {
		places_ok(interface_route(net.places.router, places_number(&net.places, 1), 16,
					  kind, true, &e),
			  &e);
		places_ok(interface_route(net.places.router, places_number(&net.places, 1), 16,
					  kind, true, &e),
			  &e);
		if (kind == INTERFACE_BLACKHOLE)
			ck_assert(!places_reach(&net.places, 0, 1) &&
				  !places_reach(&net.places, 2, 3));
		ck_assert(places_reach(&net.places, 1, 0) && places_reach(&net.places, 1, 3) &&
			  places_reach(&net.places, 0, 2));
		places_ok(interface_route(net.places.router, places_number(&net.places, 1), 16,
					  kind, false, &e),
			  &e);
		places_ok(interface_route(net.places.router, places_number(&net.places, 1), 16,
					  kind, false, &e),
			  &e);
	}
	places_ok(interface_route(net.places.router, places_number(&net.places, 1), 32,
				  INTERFACE_BLACKHOLE, true, &e),
		  &e);
	ck_assert(!places_reach(&net.places, 0, 1) && places_reach(&net.places, 0, 3));
	places_ok(interface_route(net.places.router, places_number(&net.places, 1), 32,
				  INTERFACE_BLACKHOLE, false, &e),
		  &e);
	places_warm(&net.places);
	close_net(&net);
}
END_TEST

/* ---- the choice ---- */

START_TEST(chosen)
{
	static const struct {
		const char *name;
		struct impair_config config;
	} rows[] = {
		{"delay", {.delay = {.latency = NANOS_MS}}},
		{"loss", {.loss = {.model = IMPAIR_LOSS_RANDOM, .probability = 0.2}}},
		{"rate", {.rate = {.bytes_per_s = 1000000}}},
	};
	struct net_host host;

	net_probe(&host);
	for (int i = 0; i < NET_BACKENDS; i++)
		printf("%-16s %s\n", net_backend_names[i], host.has[i] ? "yes" : host.why[i]);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct net_ask ask = {.config = rows[i].config};
		struct net_choice choice;
		struct error e = {0};

		if (net_choose(&host, &ask, &choice, &e)) {
			skip_rest(rows[i].name, &e);
			continue;
		}
		ck_assert(host.has[choice.backend]);
		printf("%s: %s%s%s\n", rows[i].name, net_backend_names[choice.backend],
		       *choice.why ? "; " : "", choice.why);
	}
}
END_TEST

static struct net_fault *begin_fault(struct net *net, const struct net_place *place,
				     const struct net_ask *ask, enum net_backend backend)
{
	struct error e = {0};
	struct net_fault *fault;

	places_ok(net_begin(place, ask, backend, "fault", 3, LEASE, &net->places.arena, &fault, &e),
		  &e);
	return fault;
}

static struct net_counts net_counts_of(struct net_fault *fault)
{
	struct net_counts counts;
	struct error e = {0};

	places_ok(net_counts(fault, &counts, &e), &e);
	return counts;
}

static void count_loss(struct net *net, struct net_fault *fault, bool exact)
{
	const uint64_t others = exact ? 0 : 20; /* all but nftables meet ARP too */
	struct places_arrived there, back;
	struct net_counts before = net_counts_of(fault), after;
	uint64_t lost, dropped, unwanted;

	places_exchange(&net->places, 0, 1, 5000, 200, &there);
	places_exchange(&net->places, 1, 0, 5000, 200, &back);
	after = net_counts_of(fault);
	lost = 10000 - there.count - back.count;
	dropped = after.dropped - before.dropped;
	/* Too slow for a moment on a busy host: told apart from what was asked for. */
	unwanted = after.unwanted - before.unwanted;
	ck_assert_uint_le(unwanted, exact ? 0 : 1000);
	ck_assert_double_le(fabs((double)dropped - 0.2 * (double)(after.seen - before.seen)),
			    4.5 * sqrt(10000 * 0.16));
	ck_assert(dropped <= lost + others && lost <= dropped + unwanted);
	ck_assert_uint_ge(after.seen - before.seen + unwanted, 10000);
	ck_assert_uint_le(after.seen - before.seen, 10000 + others);
	ck_assert_uint_eq(after.acted, after.dropped);
}

/* The same loss by each that this host has: as asked, then all, then refused what it cannot do. */
static const enum net_backend losers[] = {NET_NETEM, NET_NFTABLES, NET_LINK};

START_TEST(loss_by_each)
{
	struct net_ask ask = {
		.direction = IMPAIR_BOTH,
		.config = {.loss = {.model = IMPAIR_LOSS_RANDOM, .probability = 0.2}}};
	enum net_backend backend = losers[_i];
	struct net net;
	struct way way = {&net, 0, 1};
	struct error e = {0};
	struct net_host host;
	struct net_fault *fault;
	struct net_place place;

	net_probe(&host);
	if (!host.has[backend]) {
		printf("skipped: loss by %s: %s\n", net_backend_names[backend], host.why[backend]);
		return;
	}
	open_net(&net);
	places_warm(&net.places);
	place = places_of(&net.places, 1);
	places_ok(user_links_open(net.places.router, 5, &place.links, &e), &e);
	fault = begin_fault(&net, &place, &ask, backend);
	expect_not_as_before(&net);
	/* A router that has to ask for its neighbour again keeps few packets meanwhile. */
	ck_assert(program_until(is_open, &way, 5000));
	count_loss(&net, fault, backend == NET_NFTABLES);
	ask.config.loss.probability = 1;
	places_ok(net_change(fault, &ask.config, &e), &e);
	ck_assert(!places_reach(&net.places, 0, 1) && !places_reach(&net.places, 1, 2) &&
		  places_reach(&net.places, 0, 2));
	/* What it cannot do changes nothing. */
	ask.config.corrupt = backend == NET_NFTABLES ? 0.5 : 2;
	ck_assert_int_eq(net_change(fault, &ask.config, &e), -1);
	e = (struct error){0};
	ck_assert(!places_reach(&net.places, 0, 1));
	places_ok(net_renew(fault, &e), &e);
	places_ok(net_end(fault, &e), &e);
	places_ok(net_end(fault, &e), &e);
	ck_assert(program_until(is_open, &way, 5000));
	user_links_close(place.links);
	close_net(&net);
}
END_TEST

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median_delay(const struct net *net, size_t from, size_t to)
{
	double ms[200];

	ck_assert_uint_eq(places_delays(&net->places, from, to, 200, ms), 200);
	qsort(ms, 200, sizeof(ms[0]), by_value);
	return ms[100];
}

/* A delay of one direction, changed, gone. */
START_TEST(delay_by_each)
{
	static const enum net_backend backends[] = {NET_NETEM, NET_LINK};
	enum net_backend backend = backends[_i];
	struct net_ask ask = {.direction = IMPAIR_TO,
			      .config = {.delay = {.latency = 20 * NANOS_MS}}};
	struct net net;
	struct error e = {0};
	struct net_host host;
	struct net_fault *fault;
	struct net_place place;

	net_probe(&host);
	if (!host.has[backend]) {
		printf("skipped: delay by %s: %s\n", net_backend_names[backend], host.why[backend]);
		return;
	}
	open_net(&net);
	places_warm(&net.places);
	place = places_of(&net.places, 1);
	places_ok(user_links_open(net.places.router, 5, &place.links, &e), &e);
	fault = begin_fault(&net, &place, &ask, backend);
	for (int part = 1; part <= 2; part++) {
		double there = median_delay(&net, 0, 1), back = median_delay(&net, 1, 0);

		printf("delay by %s: %.2f ms there, %.2f ms back, asked %d ms there\n",
		       net_backend_names[backend], there, back, 20 / part);
		ck_assert_double_le(fabs(there - 20.0 / part), 2.0 / part);
		ck_assert_double_lt(back, 2);
		ask.config.delay.latency = 10 * NANOS_MS;
		places_ok(net_change(fault, &ask.config, &e), &e);
	}
	places_ok(net_end(fault, &e), &e);
	ck_assert_double_lt(median_delay(&net, 0, 1), 2);
	user_links_close(place.links);
	close_net(&net);
}
END_TEST

/* ---- */

/* Partitions and more as 40 machines need it: so many pairs are set in one step. */
START_TEST(many_pairs)
{
	enum {
		SIDE = 125,
		PAIRS = 2 * SIDE * SIDE
	};
	struct nft_pair *pairs = calloc(PAIRS, sizeof(*pairs));
	struct nft_config config = drop_config(pairs, PAIRS);
	struct net net;
	struct error e = {0};
	struct nft *nft;
	size_t count = 0;
	int64_t begin;

	open_net(&net);
	places_warm(&net.places);
	for (uint32_t a = 1; a <= SIDE; a++)
		for (uint32_t b = 1; b <= SIDE; b++) {
			uint32_t first = 0x0a5a0000 + a, second = 0x0a5b0000 + b;

			pairs[count++] = (struct nft_pair){first, second, 32, 32};
			pairs[count++] = (struct nft_pair){second, first, 32, 32};
		}
	begin = program_clock();
	places_ok(nft_begin(net.places.router, &config, &net.places.arena, &nft, &e), &e);
	printf("%d pairs: begun in %.0f ms, ", PAIRS, (double)(program_clock() - begin) / 1e6);
	ck_assert(!places_reach(&net.places, 0, 1) && !places_reach(&net.places, 3, 2) &&
		  places_reach(&net.places, 1, 3));
	begin = program_clock();
	places_ok(nft_renew(nft, &e), &e);
	printf("renewed in %.1f ms\n", (double)(program_clock() - begin) / 1e6);
	places_ok(nft_end(nft, &e), &e);
	close_net(&net);
	free(pairs);
}
END_TEST

static void enter(void)
{
	workplace_enter("net");
}

static void add(Suite *suite, const char *name, const TTest *test, int count)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, enter, workplace_leave);
	tcase_add_loop_test(tcase, test, 0, count);
	tcase_set_timeout(tcase, 120);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	struct error e = {0};

	add(suite, "chosen", chosen, 1);
	add(suite, "loss by each", loss_by_each, sizeof(losers) / sizeof(losers[0]));
	add(suite, "delay by each", delay_by_each, 2);
	if (nft_probe(NFT_DROP, false, &e)) {
		skip_rest("nftables", &e);
	} else {
		add(suite, "partition of two", partition_of_two, 2);
		add(suite, "partition of sites", partition_of_sites, 1);
		add(suite, "partition shapes", partition_shapes, 1);
		add(suite, "share", share_of_packets, 1);
		add(suite, "black hole", black_hole, 1);
		add(suite, "lease", lease, 1);
		add(suite, "lease renewed", lease_renewed, 1);
		add(suite, "many pairs", many_pairs, 1);
		add(suite, "reset peer", reset_peer, 2);
	}
	add(suite, "rate", rate_limit, sizeof(rates) / sizeof(rates[0]));
	add(suite, "other discipline", other_discipline, 1);
	add(suite, "interface down", interface_down, 1);
	add(suite, "mtu and cuts", mtu_and_cuts, 1);
	add(suite, "routes to nowhere", routes_to_nowhere, 1);
}

TEST_MAIN("net", add_cases)
