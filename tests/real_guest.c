/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netem and nftables in an emulated guest with a kernel of a distribution, for hosts whose own has
 * no netem.
 */

#include <math.h>
#include <stdio.h>

#include "drivers/lazy/netlink.h"
#include "drivers/lazy/nftables.h"
#include "drivers/linux/net.h"
#include "drivers/linux/nft.h"
#include "drivers/linux/tc.h"
#include "tests/guest.h"
#include "tests/places.h"
#include "tests/program.h"
#include "tests/test.h"

#define GUEST_LOSS 20000 /* packets */
#define GUEST_DELAYS 2000
#define LEASE (60 * NANOS_S)

/* In the order in which they need each other. */
static const char *const modules[] = {
	"llc",
	"stp",
	"bridge",
	"veth",
	"sch_netem",
	"sch_tbf",
	"nfnetlink",
	"libcrc32c",
	"nf_tables",
	"nft_objref",
	"nft_meta_bridge",
	"nft_numgen",
	"nft_limit",
	"nft_reject",
	"nf_reject_ipv4",
	"nf_reject_ipv6",
	"nft_reject_bridge",
	NULL,
};

/* ---- in the guest: what netem does ---- */

static struct net_fault *begin(struct places *places, size_t machine,
			       enum impair_direction direction, const struct impair_config *config)
{
	const struct net_ask ask = {.direction = direction, .config = *config};
	const struct net_place place = places_of(places, machine);
	struct error e = {0};
	struct net_fault *fault;

	places_ok(
		net_begin(&place, &ask, NET_NETEM, "fault", 11, LEASE, &places->arena, &fault, &e),
		&e);
	return fault;
}

static void change(struct net_fault *fault, const struct impair_config *config)
{
	struct error e = {0};

	places_ok(net_change(fault, config, &e), &e);
}

static struct net_counts counts_of(struct net_fault *fault)
{
	struct net_counts counts;
	struct error e = {0};

	places_ok(net_counts(fault, &counts, &e), &e);
	return counts;
}

static void end(struct net_fault *fault)
{
	struct error e = {0};

	places_ok(net_end(fault, &e), &e);
	places_ok(net_end(fault, &e), &e);
}

START_TEST(guest_choice)
{
	const struct net_ask ask = {.config = {.delay = {.latency = NANOS_MS}}};
	struct net_host host;
	struct net_choice choice;
	struct error e = {0};

	net_probe(&host);
	for (int i = 0; i < NET_BACKENDS; i++)
		printf("%-16s %s\n", net_backend_names[i], host.has[i] ? "yes" : host.why[i]);
	places_ok(net_choose(&host, &ask, &choice, &e), &e);
	ck_assert_int_eq(choice.backend, NET_NETEM);
	ck_assert_str_eq(choice.why, "");
	ck_assert(host.has[NET_TBF] && host.has[NET_NFTABLES]);
}
END_TEST

/* 3 % within 4.5 deviations, counted by netem too; then all; then bursts with their long-run
 * share. */
START_TEST(guest_loss)
{
	const double n = GUEST_LOSS, bound = 4.5 * sqrt(n * 0.03 * 0.97);
	struct impair_config config = {.loss = {.model = IMPAIR_LOSS_RANDOM, .probability = 0.03}};
	struct places places;
	struct places_arrived arrived;
	struct net_fault *fault;
	double lost;

	places_open(&places);
	places_warm(&places);
	fault = begin(&places, 1, IMPAIR_TO, &config);
	places_exchange(&places, 0, 1, GUEST_LOSS, 200, &arrived);
	lost = n - (double)arrived.count;
	printf("netem loss of 3 %%: %.0f of %.0f packets, expected %.0f +- %.0f\n", lost, n,
	       n * 0.03, bound);
	ck_assert_double_le(fabs(lost - n * 0.03), bound);
	ck_assert_uint_ge(counts_of(fault).dropped, (uint64_t)lost);
	ck_assert_uint_le(counts_of(fault).dropped, (uint64_t)lost + 20); /* ARP meets it too */
	config.loss.probability = 1;
	change(fault, &config);
	ck_assert(!places_reach(&places, 0, 1) && places_reach(&places, 0, 2));
	/* Gilbert and Elliott: bad for 4 packets of 40, all lost while bad. */
	config.loss = (__typeof__(config.loss)){
		.model = IMPAIR_LOSS_GEMODEL, .p = 1.0 / 36, .r = 0.25, .one_h = 1};
	change(fault, &config);
	places_exchange(&places, 0, 1, GUEST_LOSS, 200, &arrived);
	lost = n - (double)arrived.count;
	printf("netem gemodel: %.0f of %.0f packets lost, expected %.0f\n", lost, n,
	       n * impair_loss_share(&config));
	ck_assert_double_le(fabs(impair_loss_share(&config) - 0.1), 1e-9);
	/* Bursts make the count wider: its variance is that of single losses times
	 * (2 - p - r) / (p + r), the sum of a two-state chain's correlations. */
	ck_assert_double_le(fabs(lost - n * 0.1),
			    4.5 * sqrt(n * 0.09 * (2 - 1.0 / 36 - 0.25) / (1.0 / 36 + 0.25)));
	end(fault);
	places_warm(&places);
	places_exchange(&places, 0, 1, 1000, 200, &arrived);
	ck_assert_uint_eq(arrived.count, 1000);
	places_close(&places);
}
END_TEST

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Largest distance of the sample's distribution function from a normal one's. */
static double distance_from_normal(const double *sorted, size_t n, double mean, double deviation)
{
	double largest = 0;

	for (size_t i = 0; i < n; i++) {
		double p = 0.5 * erfc((mean - sorted[i]) / (deviation * sqrt(2)));

		largest = fmax(largest,
			       fmax(p - (double)i / (double)n, (double)(i + 1) / (double)n - p));
	}
	return largest;
}

static double median_delay(const struct places *places, size_t from, size_t to)
{
	double ms[200];

	ck_assert_uint_eq(places_delays(places, from, to, 200, ms), 200);
	qsort(ms, 200, sizeof(ms[0]), by_value);
	return ms[100];
}

/* A fixed delay; 40 ms +- 5 ms, normal, by Kolmogorov and Smirnov's test at 1 %; less after a
 * change; none after its end. What the way takes without netem is no part of it. */
START_TEST(guest_delay)
{
	struct impair_config config = {.delay = {.latency = 40 * NANOS_MS}};
	static double ms[GUEST_DELAYS];
	struct places places;
	struct net_fault *fault;
	double distance, own, fixed, changed, bound = 1.628 / sqrt(GUEST_DELAYS);

	places_open(&places);
	places_warm(&places);
	own = median_delay(&places, 0, 1);
	fault = begin(&places, 1, IMPAIR_TO, &config);
	fixed = median_delay(&places, 0, 1);
	ck_assert_double_lt(median_delay(&places, 1, 0), own + 5);
	config.delay.jitter = 5 * NANOS_MS;
	config.delay.distribution = IMPAIR_NORMAL;
	change(fault, &config);
	ck_assert_uint_eq(places_delays(&places, 0, 1, GUEST_DELAYS, ms), GUEST_DELAYS);
	qsort(ms, GUEST_DELAYS, sizeof(ms[0]), by_value);
	distance = distance_from_normal(ms, GUEST_DELAYS, 40 + own, 5);
	config.delay = (__typeof__(config.delay)){.latency = 10 * NANOS_MS};
	change(fault, &config);
	changed = median_delay(&places, 0, 1);
	printf("netem delay: %.2f ms fixed, asked 40; %.2f ms, asked 10; without %.2f ms; distance "
	       "from 40 +- 5 normal %.4f, bound %.4f\n",
	       fixed, changed, own, distance, bound);
	ck_assert_double_le(fabs(fixed - 40 - own), 0.2);
	ck_assert_double_le(distance, bound);
	ck_assert_double_le(fabs(changed - 10 - own), 0.2);
	ck_assert_uint_ge(counts_of(fault).acted, GUEST_DELAYS + 400);
	end(fault);
	ck_assert_double_lt(median_delay(&places, 0, 1), own + 2);
	places_close(&places);
}
END_TEST

/* More than netem's usual 1000 packets are under way at once, and none is lost. */
START_TEST(guest_queue)
{
	const struct impair_config config = {.delay = {.latency = 2 * NANOS_S}};
	struct places places;
	struct places_arrived arrived;
	struct net_fault *fault;

	places_open(&places);
	places_warm(&places);
	fault = begin(&places, 1, IMPAIR_TO, &config);
	places_exchange(&places, 0, 1, 5000, 3000, &arrived);
	printf("netem queue: %u of 5000 packets came through a delay of 2 s\n",
	       (unsigned)arrived.count);
	ck_assert_uint_eq(arrived.count, 5000);
	ck_assert_uint_eq(counts_of(fault).dropped, 0);
	end(fault);
	places_close(&places);
}
END_TEST

START_TEST(guest_rate)
{
	const double asked = 500000;
	struct impair_config config = {.rate = {.bytes_per_s = (uint64_t)asked}};
	struct places places;
	struct net_fault *fault;

	places_open(&places);
	places_warm(&places);
	fault = begin(&places, 1, IMPAIR_TO, &config);
	for (int part = 1; part <= 2; part++) {
		double rate = places_rate(&places, 0, 1, 2 * asked, 300, 1500);

		printf("netem rate: %.0f bytes/s of %.0f asked\n", rate, asked / part);
		ck_assert_double_le(fabs(rate - asked / part), 0.05 * asked / part);
		end(fault); /* what waits is lost with it */
		config.rate.bytes_per_s = (uint64_t)asked / 2;
		fault = begin(&places, 1, IMPAIR_TO, &config);
	}
	end(fault);
	places_close(&places);
}
END_TEST

/* Twins, damaged ones that the checksum finds, and some that overtake. */
START_TEST(guest_others)
{
	const double n = 5000, bound = 4.5 * sqrt(n * 0.1 * 0.9);
	struct impair_config config = {.duplicate = 0.1};
	struct places places;
	struct places_arrived arrived;
	struct net_fault *fault;

	places_open(&places);
	places_warm(&places);
	fault = begin(&places, 1, IMPAIR_BOTH, &config);
	places_exchange(&places, 0, 1, (uint32_t)n, 200, &arrived);
	printf("netem duplicate: %u of %.0f packets came twice, asked 10 %%\n",
	       (unsigned)arrived.twice, n);
	ck_assert_uint_eq(arrived.count, (uint64_t)n);
	ck_assert_double_le(fabs((double)arrived.twice - n * 0.1), bound);
	config = (struct impair_config){.corrupt = 0.1};
	change(fault, &config);
	places_exchange(&places, 0, 1, (uint32_t)n, 200, &arrived);
	printf("netem corrupt: %.0f of %.0f packets did not come, asked 10 %%\n",
	       n - (double)arrived.count, n);
	ck_assert_uint_eq(arrived.twice, 0);
	ck_assert_double_le(fabs(n - (double)arrived.count - n * 0.1), bound);
	config = (struct impair_config){.delay = {.latency = 30 * NANOS_MS},
					.reorder = {.probability = 0.1}};
	change(fault, &config);
	places_exchange(&places, 0, 1, (uint32_t)n, 200, &arrived);
	printf("netem reorder: %u of %.0f packets came late\n", (unsigned)arrived.late, n);
	ck_assert_uint_eq(arrived.count, (uint64_t)n);
	ck_assert_uint_gt(arrived.late, (uint64_t)n / 2);
	end(fault);
	places_warm(&places);
	places_exchange(&places, 0, 1, 1000, 200, &arrived);
	ck_assert(arrived.count == 1000 && arrived.late == 0 && arrived.twice == 0);
	places_close(&places);
}
END_TEST

/* A kernel that cannot lengthen a time-out that runs: the lease is renewed nevertheless, and over
 * without. */
START_TEST(guest_lease)
{
	struct places places;
	struct error e = {0};
	struct nft_pair pair;
	struct nft_config config = {
		.name = "test",
		.direction = IMPAIR_FROM,
		.pairs = &pair,
		.pair_count = 1,
		.share_ppm = NFT_ALL_PPM,
		.lease = 2 * NANOS_S,
	};
	struct nft *nft;

	places_open(&places);
	places_warm(&places);
	pair = (struct nft_pair){places_number(&places, 0), places_number(&places, 1), 32, 32};
	places_ok(nft_begin(places.router, &config, &places.arena, &nft, &e), &e);
	for (int i = 0; i < 5; i++) {
		ck_assert(!places_reach(&places, 0, 1));
		ck_assert(places_reach(&places, 1, 0));
		program_pause(800);
		ck_assert(!places_reach(&places, 0, 1));
		places_ok(nft_renew(nft, &e), &e);
	}
	ck_assert(!places_reach(&places, 0, 1));
	program_pause(2500);
	ck_assert(places_reach(&places, 0, 1));
	places_ok(nft_end(nft, &e), &e);
	places_ok(nft_probe(NFT_RESET, false, &e), &e);
	printf("nftables: a lease renewed and over; resets at bridges\n");
	places_close(&places);
}
END_TEST

static void add_guest_cases(Suite *suite)
{
	guest_add(suite, "choice", guest_choice);
	guest_add(suite, "loss", guest_loss);
	guest_add(suite, "delay", guest_delay);
	guest_add(suite, "queue", guest_queue);
	guest_add(suite, "rate", guest_rate);
	guest_add(suite, "others", guest_others);
	guest_add(suite, "lease", guest_lease);
}

/* What is loaded at the first use must be among what is packed. */
static void load_libraries(struct guest_archive *archive)
{
	struct error e = {0};

	(void)archive;
	places_ok(lazy_netlink_open(&e), &e);
	places_ok(lazy_nftables_open(&e), &e);
}

static const struct guest_plan plan = {
	.name = "guest",
	.modules = modules,
	.checks = 7,
	.add_cases = add_guest_cases,
	.pack = load_libraries,
};

int main(void)
{
	return guest_main(&plan);
}
