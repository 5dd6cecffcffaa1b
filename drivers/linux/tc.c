/* SPDX-License-Identifier: Apache-2.0 */
/* netem and TBF by rtnetlink. libnl-route knows neither loss models nor rates nor nanoseconds of
 * netem: the options are put with libnl's attributes, the rest is libnl-route's. */
#include "drivers/linux/tc.h"

#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <math.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

#include "drivers/lazy/netlink.h"
#include "drivers/linux/netns.h"

#define HANDLE 0xd5100000 /* by which we know our own */
#define MESSAGE_MAX 65536
#define DEVIATIONS 4 /* a delay of more of them above the latency is rare */
#define PRNG_SEED 14 /* TCA_NETEM_PRNG_SEED, which headers before Linux 6.7 lack */

const char *const tc_kind_names[] = {"netem", "tbf"};

struct tc {
	int netns;
	const char *link;
	enum tc_kind kind;
	uint64_t seed;
};

/* ---- what it can do ---- */

static int cannot(enum tc_kind kind, const char *word, struct error *e)
{
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "%s cannot do %s", tc_kind_names[kind],
			 word);
}

static int tbf_can(const struct impair_config *config, struct error *e)
{
	struct impair_config rest = *config;

	memset(&rest.rate, 0, sizeof(rest.rate));
	if (!impair_is_nothing(&rest))
		return cannot(TC_TBF, "anything but a rate", e);
	return config->rate.bytes_per_s ? 0 : cannot(TC_TBF, "without a rate", e);
}

static int netem_can(const struct impair_config *config, struct error *e)
{
	if (config->delay.correlation > 0 || config->loss.correlation > 0 ||
	    config->reorder.correlation > 0)
		return cannot(TC_NETEM, "correlation without shifting the share", e);
	if (config->rate.buffer || config->rate.limit)
		return cannot(TC_NETEM, "the burst or the queue of a rate", e);
	if (config->mtu)
		return cannot(TC_NETEM, "mtu", e);
	return 0;
}

int tc_can(enum tc_kind kind, const struct impair_config *config, struct error *e)
{
	switch (kind) {
	case TC_NETEM:
		return netem_can(config, e);
	case TC_TBF:
		return tbf_can(config, e);
	}
	return 0;
}

uint32_t tc_queue(const struct impair_config *config)
{
	double rate = (double)(config->rate.bytes_per_s ? config->rate.bytes_per_s : TC_LINE_RATE);
	double seconds =
		((double)config->delay.latency + DEVIATIONS * (double)config->delay.jitter) /
		(double)NANOS_S;
	double packets = ceil(rate * seconds / TC_PACKET_SMALL) + TC_QUEUE_MIN;

	return packets > TC_QUEUE_MAX ? TC_QUEUE_MAX : (uint32_t)packets;
}

/* ---- options ---- */

/* Of 2^32 - 1. */
static uint32_t chance(double probability)
{
	return (uint32_t)lround(probability * UINT32_MAX);
}

static int put_loss(struct nl_msg *message, const struct impair_config *config)
{
	const struct tc_netem_gemodel gemodel = {
		.p = chance(config->loss.p),
		.r = chance(config->loss.r),
		.h = chance(1 - config->loss.one_h),
		.k1 = chance(config->loss.one_k),
	};
	const struct tc_netem_gimodel state = {
		.p13 = chance(config->loss.p13),
		.p31 = chance(config->loss.p31),
		.p32 = chance(config->loss.p32),
		.p14 = chance(config->loss.p14),
		.p23 = chance(config->loss.p23),
	};
	struct nlattr *nest;
	int rc = 0;

	/* Without a model netem goes back to the random loss of its first structure. */
	if (config->loss.model != IMPAIR_LOSS_GEMODEL && config->loss.model != IMPAIR_LOSS_STATE)
		return 0;
	nest = nla_nest_start(message, TCA_NETEM_LOSS);
	if (!nest)
		return -NLE_NOMEM;
	if (config->loss.model == IMPAIR_LOSS_GEMODEL)
		rc = nla_put(message, NETEM_LOSS_GE, sizeof(gemodel), &gemodel);
	else
		rc = nla_put(message, NETEM_LOSS_GI, sizeof(state), &state);
	nla_nest_end(message, nest);
	return rc;
}

/* Always told: what is left out stays as it was. */
static int put_distribution(struct nl_msg *message, const struct impair_config *config)
{
	int16_t table[TC_TABLE];

	for (int i = 0; i < TC_TABLE; i++) {
		double value = NETEM_DIST_SCALE *
			       impair_quantile(config->delay.distribution, (i + 0.5) / TC_TABLE);

		table[i] = (int16_t)lround(fmin(fmax(value, INT16_MIN), INT16_MAX));
	}
	return nla_put(message, TCA_NETEM_DELAY_DIST, sizeof(table), table);
}

static int put_netem(struct nl_msg *message, const struct impair_config *config, uint64_t seed)
{
	const struct tc_netem_qopt first = {
		.limit = tc_queue(config),
		.loss = config->loss.model == IMPAIR_LOSS_RANDOM ? chance(config->loss.probability)
								 : 0,
		.duplicate = chance(config->duplicate),
		.gap = config->reorder.probability > 0 && config->reorder.gap == 0
			       ? 1
			       : config->reorder.gap,
	};
	const struct tc_netem_reorder reorder = {.probability =
							 chance(config->reorder.probability)};
	const struct tc_netem_corrupt corrupt = {.probability = chance(config->corrupt)};
	const uint64_t rate = config->rate.bytes_per_s;
	const struct tc_netem_rate rates = {.rate = rate > UINT32_MAX ? UINT32_MAX
								      : (uint32_t)rate};
	const int64_t latency = config->delay.latency, jitter = config->delay.jitter;
	int rc = nlmsg_append(message, (void *)&first, sizeof(first), NLA_ALIGNTO);

	/* The gap alone would mean that each gap-th packet goes at once. */
	if (rc == 0 && first.gap > 0)
		rc = nla_put(message, TCA_NETEM_REORDER, sizeof(reorder), &reorder);
	if (rc == 0)
		rc = nla_put(message, TCA_NETEM_CORRUPT, sizeof(corrupt), &corrupt);
	if (rc == 0)
		rc = put_loss(message, config);
	if (rc == 0)
		rc = nla_put(message, TCA_NETEM_RATE, sizeof(rates), &rates);
	if (rc == 0 && rate > UINT32_MAX)
		rc = nla_put(message, TCA_NETEM_RATE64, sizeof(rate), &rate);
	if (rc == 0)
		rc = nla_put(message, TCA_NETEM_LATENCY64, sizeof(latency), &latency);
	if (rc == 0)
		rc = nla_put(message, TCA_NETEM_JITTER64, sizeof(jitter), &jitter);
	if (rc == 0)
		rc = nla_put(message, PRNG_SEED, sizeof(seed), &seed);
	return rc ? rc : put_distribution(message, config);
}

/* The rate's link layer is named, so that the kernel wants no table of times. */
static int put_tbf(struct nl_msg *message, const struct impair_config *config)
{
	const uint64_t rate = config->rate.bytes_per_s;
	const uint64_t least = rate / 250; /* as much as goes out in one tick of a slow timer */
	uint64_t burst = config->rate.buffer ? config->rate.buffer : TC_BURST_MIN;
	uint64_t limit = config->rate.limit ? config->rate.limit : rate;
	uint32_t burst_bytes;
	struct tc_tbf_qopt first = {
		.rate = {.linklayer = TC_LINKLAYER_ETHERNET,
			 .rate = rate > UINT32_MAX ? UINT32_MAX : (uint32_t)rate},
	};
	int rc;

	if (burst < least && !config->rate.buffer)
		burst = least;
	if (limit < burst && !config->rate.limit)
		limit = burst;
	burst_bytes = burst > UINT32_MAX ? UINT32_MAX : (uint32_t)burst;
	first.limit = limit > UINT32_MAX ? UINT32_MAX : (uint32_t)limit;
	rc = nla_put(message, TCA_TBF_PARMS, sizeof(first), &first);
	if (rc == 0)
		rc = nla_put(message, TCA_TBF_BURST, sizeof(burst_bytes), &burst_bytes);
	if (rc == 0 && rate > UINT32_MAX)
		rc = nla_put(message, TCA_TBF_RATE64, sizeof(rate), &rate);
	return rc;
}

/* ---- messages ---- */

static int index_of(const struct tc *tc, int *ret_index, struct error *e)
{
	unsigned index = if_nametoindex(tc->link);

	if (index == 0)
		return error_set(e, ERROR_TARGET, NO_PLACE, "there is no link '%s'", tc->link);
	*ret_index = (int)index;
	return 0;
}

static int put_all(struct nl_msg *message, const struct tc *tc, int index, int type, int flags,
		   const struct impair_config *config)
{
	const struct tcmsg head = {
		.tcm_ifindex = index, .tcm_handle = HANDLE, .tcm_parent = TC_H_ROOT};
	const char *kind = tc_kind_names[tc->kind];
	struct nlattr *nest;
	int rc;

	if (!nlmsg_put(message, NL_AUTO_PORT, NL_AUTO_SEQ, type, 0, flags) ||
	    nlmsg_append(message, (void *)&head, sizeof(head), NLMSG_ALIGNTO))
		return -NLE_NOMEM;
	if (!config)
		return 0;
	rc = nla_put(message, TCA_KIND, (int)strlen(kind) + 1, kind);
	if (rc)
		return rc;
	nest = nla_nest_start(message, TCA_OPTIONS);
	if (!nest)
		return -NLE_NOMEM;
	switch (tc->kind) {
	case TC_NETEM:
		rc = put_netem(message, config, tc->seed);
		break;
	case TC_TBF:
		rc = put_tbf(message, config);
		break;
	}
	nla_nest_end(message, nest);
	return rc;
}

/* Tells the kernel and waits for its answer: 0 or an error of libnl. */
static int tell(struct nl_sock *socket, const struct tc *tc, int index, int type, int flags,
		const struct impair_config *config)
{
	struct nl_msg *message = nlmsg_alloc_size(MESSAGE_MAX);
	int rc;

	if (!message)
		return -NLE_NOMEM;
	rc = put_all(message, tc, index, type, flags, config);
	if (rc) {
		nlmsg_free(message);
		return rc;
	}
	return nl_send_sync(socket, message); /* takes the message */
}

/* ---- one discipline ---- */

struct request {
	const struct tc *tc;
	const struct impair_config *config;
	int flags;
	struct tc_counts counts;
};

static int set_here(void *self, struct error *e)
{
	const struct request *request = self;
	const struct tc *tc = request->tc;
	struct nl_sock *socket;
	int index = 0, rc;

	if (netns_socket(&socket, e))
		return -1;
	rc = index_of(tc, &index, e);
	if (rc == 0) {
		rc = tell(socket, tc, index, RTM_NEWQDISC, request->flags, request->config);
		if (rc)
			rc = error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot set %s on %s: %s",
				       tc_kind_names[tc->kind], tc->link,
				       rc == -NLE_EXIST          ? "there is another discipline"
				       : rc == -NLE_OBJ_NOTFOUND ? "this kernel has none"
								 : nl_geterror(rc));
	}
	nl_socket_free(socket);
	return rc;
}

int tc_begin(int netns, const char *link, enum tc_kind kind, const struct impair_config *config,
	     uint64_t seed, struct arena *arena, struct tc **ret_tc, struct error *e)
{
	struct tc *tc;
	struct request request = {.config = config, .flags = NLM_F_CREATE | NLM_F_EXCL};

	if (impair_check(config, e) || tc_can(kind, config, e))
		return -1;
	tc = arena_alloc(arena, sizeof(*tc));
	*tc = (struct tc){
		.netns = netns,
		.link = arena_strdup(arena, link),
		.kind = kind,
		.seed = seed,
	};
	request.tc = tc;
	if (netns_call(netns, set_here, &request, e))
		return -1;
	*ret_tc = tc;
	return 0;
}

int tc_change(struct tc *tc, const struct impair_config *config, struct error *e)
{
	struct request request = {.tc = tc, .config = config};

	if (impair_check(config, e) || tc_can(tc->kind, config, e))
		return -1;
	return netns_call(tc->netns, set_here, &request, e);
}

/* Ours at the root of the link, or NULL; for rtnl_qdisc_put(). */
static struct rtnl_qdisc *find(struct nl_cache *cache, int index)
{
	struct rtnl_qdisc *root = rtnl_qdisc_get_by_parent(cache, index, TC_H_ROOT);

	if (root && rtnl_tc_get_handle(TC_CAST(root)) == HANDLE)
		return root;
	rtnl_qdisc_put(root);
	return NULL;
}

static uint64_t stat_of(struct rtnl_qdisc *root, enum rtnl_tc_stat which)
{
	return rtnl_tc_get_stat(TC_CAST(root), which);
}

/* Looks for ours: takes its numbers, or takes it away when no config says otherwise. */
static int look_here(struct request *request, bool end, struct error *e)
{
	struct nl_sock *socket;
	struct nl_cache *cache = NULL;
	struct rtnl_qdisc *root = NULL;
	int index = 0, rc;

	if (netns_socket(&socket, e))
		return -1;
	rc = rtnl_qdisc_alloc_cache(socket, &cache);
	if (rc == 0 && index_of(request->tc, &index, NULL) == 0)
		root = find(cache, index);
	if (root && end)
		rc = tell(socket, request->tc, index, RTM_DELQDISC, 0, NULL);
	else if (root)
		request->counts = (struct tc_counts){
			.packets = stat_of(root, RTNL_TC_PACKETS),
			.bytes = stat_of(root, RTNL_TC_BYTES),
			.drops = stat_of(root, RTNL_TC_DROPS),
			.overlimits = stat_of(root, RTNL_TC_OVERLIMITS),
			.waiting_packets = stat_of(root, RTNL_TC_QLEN),
			.waiting_bytes = stat_of(root, RTNL_TC_BACKLOG),
		};
	if (rc)
		rc = error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot %s %s on %s: %s",
			       end ? "end" : "look at", tc_kind_names[request->tc->kind],
			       request->tc->link, nl_geterror(rc));
	else if (!root && !end)
		rc = error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "%s on %s is gone",
			       tc_kind_names[request->tc->kind], request->tc->link);
	rtnl_qdisc_put(root);
	if (cache)
		nl_cache_free(cache);
	nl_socket_free(socket);
	return rc;
}

static int counts_here(void *self, struct error *e)
{
	return look_here(self, false, e);
}

static int end_here(void *self, struct error *e)
{
	return look_here(self, true, e);
}

int tc_counts(struct tc *tc, struct tc_counts *ret_counts, struct error *e)
{
	struct request request = {.tc = tc};

	if (netns_call(tc->netns, counts_here, &request, e))
		return -1;
	*ret_counts = request.counts;
	return 0;
}

int tc_end(struct tc *tc, struct error *e)
{
	struct request request = {.tc = tc};

	return netns_call(tc->netns, end_here, &request, e);
}

/* ---- probe ---- */

static int try_here(void *self, struct error *e)
{
	const enum tc_kind *kind = self;
	const struct impair_config config = {.rate = {.bytes_per_s = 1000000}};
	struct arena arena = {0};
	struct tc *tc;
	int netns, rc;

	if (netns_here(&netns, e))
		return -1;
	rc = tc_begin(netns, "lo", *kind, &config, 0, &arena, &tc, e);
	if (rc == 0)
		rc = tc_end(tc, e);
	arena_free(&arena);
	close(netns);
	return rc;
}

int tc_probe(enum tc_kind kind, struct error *e)
{
	return lazy_netlink_open(e) ? -1 : netns_try(try_here, &kind, e);
}
