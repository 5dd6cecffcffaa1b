/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of the user-space link. */
#include "drivers/linux/link.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/linux/link_private.h"

#define STREAM(number, rule, direction)                                                            \
	((uint64_t)(number) << 8 | (uint64_t)(rule) << 1 | (uint64_t)(direction))

/* ---- rules ---- */

static void free_rules(struct link_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++)
		if (rules->items[i].program.bf_len > 0)
			pcap_freecode(&rules->items[i].program);
	rules->count = 0;
}

static int compile(const char *match, size_t number, struct bpf_program *ret_program,
		   struct error *e)
{
	pcap_t *pcap;
	int rc;

	if (lazy_pcap_open(e))
		return -1;
	pcap = pcap_open_dead(DLT_EN10MB, FRAME_MAX);
	if (!pcap)
		return error_set(e, ERROR_MEMORY, NO_PLACE, "out of memory");
	rc = pcap_compile(pcap, ret_program, match, 1, PCAP_NETMASK_UNKNOWN);
	if (rc)
		error_set(e, ERROR_USAGE, NO_PLACE, "impairment %zu: match '%s': %s", number, match,
			  pcap_geterr(pcap));
	pcap_close(pcap);
	return rc ? -1 : 0;
}

static int make_rules(const struct user_link_rule *from, size_t count, struct link_rules *ret,
		      struct error *e)
{
	struct error why = {0};

	ret->count = 0;
	if (count > USER_LINK_RULES_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "%zu impairments on a link, at most %d",
				 count, USER_LINK_RULES_MAX);
	for (size_t i = 0; i < count; i++) {
		struct link_rule *rule = &ret->items[i];

		*rule = (struct link_rule){
			.direction = from[i].direction,
			.config = from[i].config,
			.nothing = impair_is_nothing(&from[i].config),
			.cuts = impair_needs_wire_packets(&from[i].config),
		};
		if (impair_check(&from[i].config, &why)) {
			free_rules(ret);
			return error_set(e, why.kind, NO_PLACE, "impairment %zu: %s", i, why.text);
		}
		if (from[i].match && compile(from[i].match, i, &rule->program, e)) {
			free_rules(ret);
			return -1;
		}
		ret->count = i + 1;
	}
	return 0;
}

/* ---- in the thread ---- */

struct change {
	struct user_link *link;
	struct link_rules rules; /* in: the new ones; out: the old ones */
};

static void put_rules(struct user_links *links, void *arg)
{
	struct change *change = arg;
	struct user_link *link = change->link;
	struct link_rules old = link->rules;

	for (size_t i = 0; i < change->rules.count; i++) {
		for (uint64_t d = 0; d < IMPAIR_DIRECTIONS; d++) {
			const struct impair_config *config = &change->rules.items[i].config;

			if (link->opened[i])
				impair_change(&link->impairs[i][d], config);
			else
				impair_open(&link->impairs[i][d], config, links->seed,
					    STREAM(link->number, i, d));
		}
		link->opened[i] = true;
	}
	link->rules = change->rules;
	change->rules = old;
	link->until = link_now() + link->lease;
	link->stats.lapsed = false;
	link_engine_leases(links);
}

struct begin {
	struct user_link *link;
	int rc;
};

static void begin_copying(struct user_links *links, void *arg)
{
	struct begin *begin = arg;
	struct user_link *link = begin->link;
	uint8_t *bytes = links->spare, *first = links->spare + FRAME_MAX;
	ssize_t first_size = read(link->sides[IMPAIR_FROM].fd, first, FRAME_MAX), size;

	link->used = true;
	/* In the order in which the machine sent them: what was caught before the device had its
	 * first frame, then that. */
	while ((size = link_wire_caught(link, bytes, first, first_size)) > 0)
		link_engine_feed(links, link, IMPAIR_FROM, bytes, (uint32_t)size);
	if (first_size > 0)
		link_engine_feed(links, link, IMPAIR_FROM, first, (uint32_t)first_size);
	begin->rc = link_engine_add(links, begin->link);
}

static void end_copying(struct user_links *links, void *arg)
{
	struct user_link *link = arg;

	link_engine_remove(links, link);
	link->used = false;
}

static void renew(struct user_links *links, void *arg)
{
	struct user_link *link = arg;

	if (!link->stats.lapsed)
		link->until = link_now() + link->lease;
	link_engine_leases(links);
}

/* ---- calls ---- */

int user_link_probe(struct error *e)
{
	return link_wire_try(e);
}

int user_links_open(int network, uint64_t seed, struct user_links **ret_links, struct error *e)
{
	struct arena arena = {0};
	struct user_links *links = arena_alloc(&arena, sizeof(*links));

	links->spare = arena_alloc(&arena, 2 * (size_t)FRAME_MAX);
	links->network = network;
	links->seed = seed;
	links->arena = arena;
	if (link_engine_start(links, e)) {
		arena_free(&links->pool);
		arena_free(&arena);
		return -1;
	}
	*ret_links = links;
	return 0;
}

void user_links_close(struct user_links *links)
{
	struct error error = {0};
	struct arena arena;

	if (!links)
		return;
	for (size_t i = 0; i < links->count; i++)
		if (links->items[i]->used)
			user_link_end(links->items[i], &error);
	link_engine_stop(links);
	arena = links->arena;
	arena_free(&arena);
}

struct claim {
	const struct user_link_config *config;
	struct user_link *link; /* NULL: there are too many */
};

/* In the thread, which looks at all of them. One that has ended gives its memory to the next. */
static void claim(struct user_links *links, void *arg)
{
	struct claim *claimed = arg;
	struct user_link *link = NULL;

	for (size_t i = 0; i < links->count && !link; i++)
		if (!links->items[i]->used)
			link = links->items[i];
	if (!link && links->count < USER_LINKS_MAX) {
		link = arena_alloc(&links->arena, sizeof(*link));
		links->items[links->count++] = link;
	}
	claimed->link = link;
	if (!link)
		return;
	*link = (struct user_link){
		.owner = links,
		.number = claimed->config->number,
		.lease = claimed->config->lease,
		.catch = -1,
		.sides = {{link, -1, IMPAIR_TO}, {link, -1, IMPAIR_FROM}},
	};
}

static int set_names(struct user_link *link, const struct user_link_config *config, struct error *e)
{
	/* "m249" gets "m249.near": longer ones have no room for that. */
	if (strlen(config->port) + strlen(".inner") >= IFNAMSIZ ||
	    strlen(config->bridge) >= IFNAMSIZ)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "the name '%s' or '%s' is too long",
				 config->port, config->bridge);
	snprintf(link->port, IFNAMSIZ, "%s", config->port);
	snprintf(link->bridge, IFNAMSIZ, "%s", config->bridge);
	snprintf(link->near, IFNAMSIZ, "%.9s.near", config->port);
	snprintf(link->far, IFNAMSIZ, "%.9s.far", config->port);
	snprintf(link->inner, IFNAMSIZ, "%.9s.inner", config->port);
	return 0;
}

static int begin_in(struct user_links *links, struct user_link *link,
		    const struct user_link_config *config, struct error *e)
{
	struct change change = {.link = link};
	struct begin begin = {.link = link};

	if (make_rules(config->rules, config->rule_count, &change.rules, e))
		return -1;
	if (link_wire_in(link, links->network, e)) {
		free_rules(&change.rules);
		return -1;
	}
	link_engine_call(links, put_rules, &change);
	link_engine_call(links, begin_copying, &begin);
	if (begin.rc == 0)
		return 0;
	error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot watch '%s'", link->port);
	user_link_end(link, e);
	return -1;
}

int user_link_begin(struct user_links *links, const struct user_link_config *config,
		    struct user_link **ret_link, struct error *e)
{
	struct claim claimed = {.config = config};
	struct user_link *link;

	link_engine_call(links, claim, &claimed);
	link = claimed.link;
	if (!link)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "more than %d links", USER_LINKS_MAX);
	if (set_names(link, config, e) || begin_in(links, link, config, e))
		return -1;
	*ret_link = link;
	return 0;
}

int user_link_change(struct user_link *link, const struct user_link_rule *rules, size_t rule_count,
		     struct error *e)
{
	struct change change = {.link = link};

	if (make_rules(rules, rule_count, &change.rules, e))
		return -1;
	link_engine_call(link->owner, put_rules, &change);
	free_rules(&change.rules);
	return 0;
}

void user_link_renew(struct user_link *link)
{
	link_engine_call(link->owner, renew, link);
}

int user_link_end(struct user_link *link, struct error *e)
{
	int rc;

	link_engine_call(link->owner, end_copying, link);
	rc = link_wire_out(link, link->owner->network, e);
	free_rules(&link->rules);
	return rc;
}

struct look {
	const struct user_link *link;
	size_t rule;
	enum impair_direction direction;
	struct impair_counters counters;
	struct user_link_stats stats;
};

static void look(struct user_links *links, void *arg)
{
	struct look *look = arg;

	(void)links;
	look->counters = look->link->impairs[look->rule][look->direction].counters;
	look->stats = look->link->stats;
}

struct impair_counters user_link_counters(struct user_link *link, size_t rule,
					  enum impair_direction direction)
{
	struct look arg = {.link = link, .rule = rule, .direction = direction};

	assert(rule < USER_LINK_RULES_MAX && direction < IMPAIR_DIRECTIONS);
	link_engine_call(link->owner, look, &arg);
	return arg.counters;
}

int user_link_stats(struct user_link *link, struct user_link_stats *ret_stats, struct error *e)
{
	struct look arg = {.link = link};

	link_engine_call(link->owner, look, &arg);
	*ret_stats = arg.stats;
	return link_wire_overrun(link, link->owner->network, &ret_stats->overrun, e);
}
