/* SPDX-License-Identifier: Apache-2.0 */
/* The choice among the mechanisms of a bad network, and one door to them. */
#include "drivers/linux/net.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "drivers/linux/nft.h"
#include "drivers/linux/tc.h"

const char *const net_backend_names[] = {"netem", "nftables", "tbf", "user-space link"};

/* ---- choose ---- */

static int probe_one(enum net_backend backend, struct error *e)
{
	switch (backend) {
	case NET_NETEM:
		return tc_probe(TC_NETEM, e);
	case NET_NFTABLES:
		return nft_probe(NFT_DROP, false, e);
	case NET_TBF:
		return tc_probe(TC_TBF, e);
	case NET_LINK:
		return user_link_probe(e);
	}
	return -1;
}

void net_probe(struct net_host *ret_host)
{
	*ret_host = (struct net_host){0};
	for (int i = 0; i < NET_BACKENDS; i++) {
		struct error e = {.kind = ERROR_NONE};

		ret_host->has[i] = probe_one(i, &e) == 0;
		snprintf(ret_host->why[i], NET_WHY_MAX, "%s", e.text);
	}
}

static bool is_only_rate(const struct impair_config *config)
{
	struct impair_config rest = *config;

	memset(&rest.rate, 0, sizeof(rest.rate));
	return config->rate.bytes_per_s && impair_is_nothing(&rest);
}

/* Random loss without memory and nothing else. */
static bool is_only_loss(const struct impair_config *config)
{
	struct impair_config rest = *config;

	memset(&rest.loss, 0, sizeof(rest.loss));
	return config->loss.model == IMPAIR_LOSS_RANDOM && config->loss.correlation <= 0 &&
	       config->loss.probability > 0 && impair_is_nothing(&rest);
}

static bool has_chance(const struct impair_config *config)
{
	return config->loss.model != IMPAIR_LOSS_NONE || config->delay.jitter ||
	       config->duplicate > 0 || config->corrupt > 0 || config->reorder.probability > 0;
}

static int nft_can(const struct impair_config *config, struct error *e)
{
	if (is_only_loss(config) || (is_only_rate(config) && !config->rate.limit))
		return 0;
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
			 "nftables can do random loss alone, or a rate without a queue");
}

/* Can the backend do the config? Not whether the host has it. */
static int can(enum net_backend backend, const struct impair_config *config, struct error *e)
{
	switch (backend) {
	case NET_NETEM:
		return tc_can(TC_NETEM, config, e);
	case NET_NFTABLES:
		return nft_can(config, e);
	case NET_TBF:
		return tc_can(TC_TBF, config, e);
	case NET_LINK:
		break;
	}
	return 0;
}

static int can_ask(const struct net_host *host, const struct net_ask *ask, enum net_backend backend,
		   struct error *e)
{
	const char *name = net_backend_names[backend];

	if (!host->has[backend])
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "this host has no %s: %s", name,
				 host->why[backend]);
	if (backend != NET_LINK && ask->match)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "%s cannot do match", name);
	if (backend != NET_LINK && ask->repeatable && has_chance(&ask->config))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "%s cannot hit the same packets again", name);
	return can(backend, &ask->config, e);
}

int net_choose(const struct net_host *host, const struct net_ask *ask,
	       struct net_choice *ret_choice, struct error *e)
{
	static const enum net_backend usual[] = {NET_NETEM, NET_NFTABLES, NET_TBF, NET_LINK};
	/* What is above a policed rate is lost and not late: the last resort. */
	static const enum net_backend for_rate[] = {NET_TBF, NET_NETEM, NET_LINK, NET_NFTABLES};
	const enum net_backend *order = is_only_rate(&ask->config) ? for_rate : usual;
	struct net_choice choice = {0};
	size_t used = 0;

	if (impair_check(&ask->config, e))
		return -1;
	for (int i = 0; i < NET_BACKENDS; i++) {
		struct error why = {.kind = ERROR_NONE};
		int length;

		choice.backend = order[i];
		if (can_ask(host, ask, order[i], &why) == 0) {
			*ret_choice = choice;
			return 0;
		}
		length = snprintf(choice.why + used, sizeof(choice.why) - used, "%s%s",
				  used ? "; " : "", why.text);
		used += (size_t)length < sizeof(choice.why) - used ? (size_t)length
								   : sizeof(choice.why) - used - 1;
	}
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "no mechanism can do it: %s", choice.why);
}

/* ---- one fault ---- */

struct net_fault {
	enum net_backend backend;
	enum impair_direction direction;
	const char *name, *match;
	uint32_t address;
	const char *port;
	nanos lease;
	struct impair_config config;
	struct tc *tc[IMPAIR_DIRECTIONS]; /* [IMPAIR_TO]: on the port; NULL: not there */
	struct nft *nft;
	struct user_link *link;
};

static bool goes(enum impair_direction asked, enum impair_direction direction)
{
	return asked == IMPAIR_BOTH || asked == direction;
}

static int end_tc(struct net_fault *fault, struct error *e)
{
	int rc = 0;

	for (int i = 0; i < IMPAIR_DIRECTIONS; i++)
		if (fault->tc[i] && tc_end(fault->tc[i], e))
			rc = -1;
	return rc;
}

static int begin_tc(struct net_fault *fault, const struct net_place *place, uint64_t seed,
		    struct arena *arena, struct error *e)
{
	enum tc_kind kind = fault->backend == NET_TBF ? TC_TBF : TC_NETEM;
	int rc = 0;

	for (int i = 0; rc == 0 && i < IMPAIR_DIRECTIONS; i++)
		if (goes(fault->direction, i))
			rc = tc_begin(i == IMPAIR_TO ? place->router : place->machine,
				      i == IMPAIR_TO ? place->port : place->interface, kind,
				      &fault->config, seed * IMPAIR_DIRECTIONS + (uint64_t)i, arena,
				      &fault->tc[i], e);
	if (rc)
		end_tc(fault, NULL);
	return rc;
}

/* As nftables says it: by the machine's address, or all at the port. */
static struct nft_config nft_config_of(const struct net_fault *fault, struct nft_pair pairs[2])
{
	const struct impair_config *config = &fault->config;
	struct nft_config result = {
		.name = fault->name,
		.direction = IMPAIR_FROM,
		.pairs = pairs,
		.share_ppm = NFT_ALL_PPM,
		.rate = config->rate.bytes_per_s,
		.burst = config->rate.buffer,
		.lease = fault->lease,
	};

	if (fault->address == 0) {
		result.links = &fault->port;
		result.link_count = 1;
		result.pairs = NULL;
		result.direction = fault->direction;
	} else if (goes(fault->direction, IMPAIR_TO)) {
		pairs[result.pair_count++] = (struct nft_pair){.to = fault->address, .to_bits = 32};
	}
	if (fault->address != 0 && goes(fault->direction, IMPAIR_FROM))
		pairs[result.pair_count++] =
			(struct nft_pair){.from = fault->address, .from_bits = 32};
	if (config->loss.model == IMPAIR_LOSS_RANDOM)
		result.share_ppm =
			(uint32_t)fmax(lround(config->loss.probability * NFT_ALL_PPM), 1);
	return result;
}

static struct user_link_rule rule_of(const struct net_fault *fault)
{
	return (struct user_link_rule){
		.match = fault->match, .direction = fault->direction, .config = fault->config};
}

static int begin_link(struct net_fault *fault, const struct net_place *place, struct error *e)
{
	const struct user_link_rule rule = rule_of(fault);
	const struct user_link_config config = {
		.port = place->port,
		.bridge = place->bridge,
		.number = place->number,
		.rules = &rule,
		.rule_count = 1,
		.lease = fault->lease,
	};

	if (!place->links)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "there is no user-space link in this network");
	return user_link_begin(place->links, &config, &fault->link, e);
}

int net_begin(const struct net_place *place, const struct net_ask *ask, enum net_backend backend,
	      const char *name, uint64_t seed, nanos lease, struct arena *arena,
	      struct net_fault **ret_fault, struct error *e)
{
	struct net_fault *fault = arena_alloc(arena, sizeof(*fault));
	struct nft_pair pairs[2];
	struct nft_config config;
	int rc = -1;

	if (impair_check(&ask->config, e) || can(backend, &ask->config, e))
		return -1;
	*fault = (struct net_fault){
		.backend = backend,
		.direction = ask->direction,
		.name = arena_strdup(arena, name),
		.match = ask->match ? arena_strdup(arena, ask->match) : NULL,
		.address = place->address,
		.port = place->port,
		.lease = lease,
		.config = ask->config,
	};
	switch (backend) {
	case NET_NETEM:
	case NET_TBF:
		rc = begin_tc(fault, place, seed, arena, e);
		break;
	case NET_NFTABLES:
		config = nft_config_of(fault, pairs);
		rc = nft_begin(place->router, &config, arena, &fault->nft, e);
		break;
	case NET_LINK:
		rc = begin_link(fault, place, e);
		break;
	}
	if (rc == 0)
		*ret_fault = fault;
	return rc;
}

static int change_tc(struct net_fault *fault, struct error *e)
{
	for (int i = 0; i < IMPAIR_DIRECTIONS; i++)
		if (fault->tc[i] && tc_change(fault->tc[i], &fault->config, e))
			return -1;
	return 0;
}

static int change(struct net_fault *fault, struct error *e)
{
	struct nft_pair pairs[2];
	struct nft_config config;
	struct user_link_rule rule;

	switch (fault->backend) {
	case NET_NETEM:
	case NET_TBF:
		return change_tc(fault, e);
	case NET_NFTABLES:
		config = nft_config_of(fault, pairs);
		return nft_change(fault->nft, &config, e);
	case NET_LINK:
		rule = rule_of(fault);
		return user_link_change(fault->link, &rule, 1, e);
	}
	return -1;
}

int net_change(struct net_fault *fault, const struct impair_config *config, struct error *e)
{
	struct impair_config before = fault->config;

	if (impair_check(config, e) || can(fault->backend, config, e))
		return -1;
	fault->config = *config;
	if (change(fault, e)) {
		fault->config = before;
		change(fault, NULL); /* one of two directions may have changed already */
		return -1;
	}
	return 0;
}

int net_renew(struct net_fault *fault, struct error *e)
{
	switch (fault->backend) {
	case NET_NETEM:
	case NET_TBF:
		break;
	case NET_NFTABLES:
		return nft_renew(fault->nft, e);
	case NET_LINK:
		user_link_renew(fault->link);
		break;
	}
	return 0;
}

/* netem counts what it drops; what it delays is all of it. */
static int count_tc(struct net_fault *fault, struct net_counts *counts, struct error *e)
{
	for (int i = 0; i < IMPAIR_DIRECTIONS; i++) {
		struct tc_counts row;

		if (!fault->tc[i])
			continue;
		if (tc_counts(fault->tc[i], &row, e))
			return -1;
		counts->seen += row.packets + row.drops + row.waiting_packets;
		counts->dropped += row.drops;
		counts->acted += fault->backend == NET_TBF ? row.overlimits + row.drops : row.drops;
		if (fault->backend == NET_NETEM && fault->config.delay.latency)
			counts->acted += row.packets + row.waiting_packets;
	}
	return 0;
}

static int count_nft(struct net_fault *fault, struct net_counts *counts, struct error *e)
{
	struct nft_counts row;

	if (nft_counts(fault->nft, &row, e))
		return -1;
	*counts = (struct net_counts){.seen = row.seen, .acted = row.hit, .dropped = row.hit};
	return 0;
}

static int count_link(struct net_fault *fault, struct net_counts *counts, struct error *e)
{
	struct user_link_stats stats;

	if (user_link_stats(fault->link, &stats, e))
		return -1;
	for (int i = 0; i < IMPAIR_DIRECTIONS; i++) {
		struct impair_counters row = user_link_counters(fault->link, 0, i);

		counts->seen += row.seen;
		for (int drop = 0; drop < IMPAIR_DROPS; drop++)
			counts->dropped += row.dropped[drop];
		counts->acted += row.duplicated + row.corrupted + row.reordered + row.delayed;
	}
	counts->acted += counts->dropped;
	counts->unwanted = stats.overrun + stats.queue_full + stats.refused;
	return 0;
}

int net_counts(struct net_fault *fault, struct net_counts *ret_counts, struct error *e)
{
	struct net_counts counts = {0};
	int rc = 0;

	switch (fault->backend) {
	case NET_NETEM:
	case NET_TBF:
		rc = count_tc(fault, &counts, e);
		break;
	case NET_NFTABLES:
		rc = count_nft(fault, &counts, e);
		break;
	case NET_LINK:
		rc = count_link(fault, &counts, e);
		break;
	}
	if (rc == 0)
		*ret_counts = counts;
	return rc;
}

int net_end(struct net_fault *fault, struct error *e)
{
	struct user_link *link = fault->link;

	switch (fault->backend) {
	case NET_NETEM:
	case NET_TBF:
		return end_tc(fault, e);
	case NET_NFTABLES:
		return nft_end(fault->nft, e);
	case NET_LINK:
		fault->link = NULL;
		return link ? user_link_end(link, e) : 0;
	}
	return -1;
}
