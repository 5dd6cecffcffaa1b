/* SPDX-License-Identifier: Apache-2.0 */
/* Which mechanism is chosen for a bad network, what each refuses, and how long netem's queue is. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "drivers/linux/net.h"
#include "drivers/linux/nft.h"
#include "drivers/linux/tc.h"
#include "tests/test.h"

#define ALL 15u

/* A host that has the backends of the bits. */
static struct net_host host_with(unsigned bits)
{
	struct net_host host = {0};

	for (int i = 0; i < NET_BACKENDS; i++) {
		host.has[i] = bits & 1u << i;
		snprintf(host.why[i], NET_WHY_MAX, "%s", host.has[i] ? "" : "not built in");
	}
	return host;
}

#define BIT(backend) (1u << (backend))
#define RANDOM(share)                                                                              \
	{                                                                                          \
		.model = IMPAIR_LOSS_RANDOM, .probability = (share)                                \
	}

static const struct choice_row {
	const char *name;
	struct net_ask ask;
	unsigned host;
	enum net_backend expected;
} choices[] = {
	{"delay", {.config = {.delay = {.latency = NANOS_MS}}}, ALL, NET_NETEM},
	{"delay without netem",
	 {.config = {.delay = {.latency = NANOS_MS}}},
	 ALL & ~BIT(NET_NETEM),
	 NET_LINK},
	{"loss", {.config = {.loss = RANDOM(0.03)}}, ALL, NET_NETEM},
	{"loss without netem",
	 {.config = {.loss = RANDOM(0.03)}},
	 ALL & ~BIT(NET_NETEM),
	 NET_NFTABLES},
	{"loss with nothing else", {.config = {.loss = RANDOM(0.03)}}, BIT(NET_LINK), NET_LINK},
	{"loss again", {.config = {.loss = RANDOM(0.03)}, .repeatable = true}, ALL, NET_LINK},
	{"loss of some",
	 {.config = {.loss = RANDOM(0.03)}, .match = "tcp port 8080"},
	 ALL,
	 NET_LINK},
	{"correlated",
	 {.config = {.loss = {.model = IMPAIR_LOSS_RANDOM, .probability = 0.1, .correlation = .5}}},
	 ALL,
	 NET_LINK},
	{"bursts",
	 {.config = {.loss = {.model = IMPAIR_LOSS_GEMODEL, .p = 0.1, .r = 0.5, .one_h = 1}}},
	 ALL,
	 NET_NETEM},
	{"bursts without netem",
	 {.config = {.loss = {.model = IMPAIR_LOSS_GEMODEL, .p = 0.1, .r = 0.5, .one_h = 1}}},
	 ALL & ~BIT(NET_NETEM),
	 NET_LINK},
	{"loss and delay without netem",
	 {.config = {.loss = RANDOM(0.03), .delay = {.latency = NANOS_MS}}},
	 ALL & ~BIT(NET_NETEM),
	 NET_LINK},
	{"rate", {.config = {.rate = {.bytes_per_s = 1000000}}}, ALL, NET_TBF},
	{"rate again",
	 {.config = {.rate = {.bytes_per_s = 1000000}}, .repeatable = true},
	 ALL,
	 NET_TBF},
	{"rate without tbf",
	 {.config = {.rate = {.bytes_per_s = 1000000}}},
	 ALL & ~BIT(NET_TBF),
	 NET_NETEM},
	{"rate and queue without tbf",
	 {.config = {.rate = {.bytes_per_s = 1000000, .limit = 10000}}},
	 ALL & ~BIT(NET_TBF),
	 NET_LINK},
	{"rate, policed",
	 {.config = {.rate = {.bytes_per_s = 1000000}}},
	 BIT(NET_NFTABLES),
	 NET_NFTABLES},
	{"rate and delay",
	 {.config = {.rate = {.bytes_per_s = 1000000}, .delay = {.latency = NANOS_MS}}},
	 ALL,
	 NET_NETEM},
	{"mtu", {.config = {.mtu = 1000}}, ALL, NET_LINK},
	{"damage", {.config = {.corrupt = 0.01, .duplicate = 0.01}}, ALL, NET_NETEM},
};

START_TEST(chooses)
{
	const struct choice_row *row = &choices[_i];
	struct net_host host = host_with(row->host);
	struct net_choice choice;
	struct error e = {.kind = ERROR_NONE};

	ck_assert_msg(net_choose(&host, &row->ask, &choice, &e) == 0, "%s: %s", row->name, e.text);
	ck_assert_msg(choice.backend == row->expected, "%s: %s, because %s", row->name,
		      net_backend_names[choice.backend], choice.why);
}
END_TEST

/* Why not those before it stands there in words; when none can, of each. */
START_TEST(says_why)
{
	const struct net_ask loss = {.config = {.loss = RANDOM(0.03)}};
	const struct net_ask damage = {.config = {.corrupt = 0.5}};
	struct net_host host = host_with(BIT(NET_NFTABLES) | BIT(NET_TBF));
	struct net_choice choice;
	struct error e = {.kind = ERROR_NONE};

	ck_assert_int_eq(net_choose(&host, &loss, &choice, &e), 0);
	ck_assert_str_eq(choice.why, "this host has no netem: not built in");
	ck_assert_int_eq(net_choose(&host, &damage, &choice, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_UNAVAILABLE);
	ck_assert_str_eq(e.text,
			 "no mechanism can do it: this host has no netem: not built in; nftables "
			 "can do random loss alone, or a rate without a queue; tbf cannot do "
			 "anything but a rate; this host has no user-space link: not built in");
}
END_TEST

/* Reasons that are longer than there is room for are cut, and nothing else is written. */
START_TEST(long_reasons)
{
	const struct net_ask ask = {.config = {.mtu = 1000}};
	struct net_host host = host_with(BIT(NET_LINK));
	struct net_choice choice;
	struct error e = {.kind = ERROR_NONE};

	for (int i = 0; i < NET_LINK; i++) {
		memset(host.why[i], 'x', NET_WHY_MAX - 1);
		host.why[i][NET_WHY_MAX - 1] = '\0';
	}
	ck_assert_int_eq(net_choose(&host, &ask, &choice, &e), 0);
	ck_assert_int_eq(choice.backend, NET_LINK);
	ck_assert_uint_eq(strlen(choice.why), NET_WHY_MAX - 1);
}
END_TEST

START_TEST(refuses_nonsense)
{
	const struct net_ask ask = {.config = {.loss = RANDOM(1.5)}};
	struct net_host host = host_with(ALL);
	struct net_choice choice;
	struct error e = {.kind = ERROR_NONE};

	ck_assert_int_eq(net_choose(&host, &ask, &choice, &e), -1);
	ck_assert_int_ne(e.kind, ERROR_NONE);
	ck_assert_int_ne(e.kind, ERROR_UNAVAILABLE);
}
END_TEST

/* 10 MB/s for 100 ms and four deviations of 25 ms are 2 MB, in packets of 256 bytes. */
START_TEST(queue)
{
	struct impair_config config = {.delay = {.latency = 100 * NANOS_MS},
				       .rate = {.bytes_per_s = 10000000}};

	ck_assert_uint_eq(tc_queue(&config), TC_QUEUE_MIN + 3907);
	config.delay.jitter = 25 * NANOS_MS;
	ck_assert_uint_eq(tc_queue(&config), TC_QUEUE_MIN + 7813);
	config.rate.bytes_per_s = 0; /* then as fast as a link can be */
	ck_assert_uint_eq(tc_queue(&config), TC_QUEUE_MIN + 1953125);
	config.delay.latency = IMPAIR_DELAY_MAX;
	ck_assert_uint_eq(tc_queue(&config), TC_QUEUE_MAX);
	config.delay.latency = config.delay.jitter = 0;
	ck_assert_uint_eq(tc_queue(&config), TC_QUEUE_MIN);
}
END_TEST

static const char *const two_links[] = {"m0", "m1"};
static const char *const bad_links[] = {"m0", "m1; flush ruleset"};
static const struct nft_pair one_pair[] = {{0x0a5a0001, 0x0a5b0000, 32, 16}};
static const struct nft_pair bad_pair[] = {{0x0a5a0001, 0x0a5b0000, 33, 16}};
static const uint16_t bad_ports[] = {80, 0};

#define GOOD                                                                                       \
	.name = "cut_1", .direction = IMPAIR_FROM, .pairs = one_pair, .pair_count = 1,             \
	.share_ppm = NFT_ALL_PPM, .lease = NANOS_S

static const struct check_row {
	struct nft_config config;
	const char *error; /* NULL: none */
} checks[] = {
	{{GOOD}, NULL},
	{{GOOD, .links = two_links, .link_count = 2, .verdict = NFT_RESET}, NULL},
	{{GOOD, .verdict = NFT_RESET}, NULL},
	{{.name = "all",
	  .links = two_links,
	  .link_count = 2,
	  .direction = IMPAIR_BOTH,
	  .share_ppm = 1,
	  .lease = NFT_LEASE_MIN},
	 NULL},
	{{.name = ""}, "a fault of nftables is named [a-z0-9_]+, at most 63 long: ''"},
	{{.name = "a b"}, "a fault of nftables is named [a-z0-9_]+, at most 63 long: 'a b'"},
	{{.name = "x", .links = bad_links, .link_count = 2},
	 "'m1; flush ruleset' is no name of a link"},
	{{.name = "x", .link_count = 257}, "257 links for nftables, at most 256"},
	{{.name = "x", .direction = IMPAIR_BOTH},
	 "without links nftables sees what comes in, direction 'from'"},
	{{.name = "x", .direction = IMPAIR_FROM, .pairs = bad_pair, .pair_count = 1},
	 "a prefix of a partition has 32 bits at most"},
	{{.name = "x", .direction = IMPAIR_FROM, .pair_count = 62501},
	 "62501 pairs of a partition, at most 62500"},
	{{.name = "x",
	  .direction = IMPAIR_TO,
	  .links = two_links,
	  .link_count = 2,
	  .pairs = one_pair,
	  .pair_count = 1},
	 "pairs say the direction themselves: theirs is 'from'"},
	{{.name = "x", .direction = IMPAIR_FROM, .ports = bad_ports, .port_count = 2},
	 "a port is 1 to 65535"},
	{{.name = "x", .direction = IMPAIR_FROM, .port_count = 65}, "65 ports, at most 64"},
	{{.name = "x",
	  .direction = IMPAIR_FROM,
	  .ports = bad_ports,
	  .port_count = 1,
	  .protocol = IPPROTO_ICMP},
	 "only TCP and UDP have ports"},
	{{GOOD, .links = two_links, .link_count = 2, .verdict = NFT_RESET, .protocol = IPPROTO_UDP},
	 "a reset answers what is sent by TCP: direction 'from'"},
	{{.name = "x", .direction = IMPAIR_FROM},
	 "the share of packets is above 0 and at most 100 %"},
	{{.name = "x", .direction = IMPAIR_FROM, .share_ppm = NFT_ALL_PPM + 1},
	 "the share of packets is above 0 and at most 100 %"},
	{{.name = "x", .direction = IMPAIR_FROM, .share_ppm = 1, .burst = (uint64_t)4 << 30},
	 "a burst has less than 4 GiB"},
	{{.name = "x", .direction = IMPAIR_FROM, .share_ppm = 1, .lease = NFT_LEASE_MIN - 1},
	 "the lease of a fault of nftables is 100 ms to 1 d"},
	{{.name = "x", .direction = IMPAIR_FROM, .share_ppm = 1, .lease = NFT_LEASE_MAX + 1},
	 "the lease of a fault of nftables is 100 ms to 1 d"},
};

START_TEST(nft_checks)
{
	struct error e = {.kind = ERROR_NONE};
	int rc = nft_check(&checks[_i].config, &e);

	if (checks[_i].error) {
		ck_assert_int_eq(rc, -1);
		ck_assert_str_eq(e.text, checks[_i].error);
	} else {
		ck_assert_msg(rc == 0, "%s", e.text);
	}
}
END_TEST

static void add_cases(Suite *suite)
{
	test_add_loop(suite, "chooses", chooses, sizeof(choices) / sizeof(choices[0]));
	test_add(suite, "says why", says_why);
	test_add(suite, "long reasons", long_reasons);
	test_add(suite, "nonsense", refuses_nonsense);
	test_add(suite, "queue", queue);
	test_add_loop(suite, "nft checks", nft_checks, sizeof(checks) / sizeof(checks[0]));
}

TEST_MAIN("net", add_cases)
