/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of nftables: each fault's rules as text, given to libnftables in the namespace. */
#include "drivers/linux/nft.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "drivers/host/machine.h"
#include "drivers/lazy/nftables.h"
#include "drivers/linux/interface.h"
#include "drivers/linux/netns.h"

#define PART ((size_t)1000)     /* pairs */
#define BURST ((uint64_t)65536) /* bytes: one packet of TSO */

struct nft {
	int netns;
	const char *table; /* with its family: "bridge drsim_x" */
	const char *const *links;
	size_t link_count;
	enum impair_direction direction;
	nanos lease;
	uint32_t generation;   /* of its chains and of its set of pairs */
	bool pairs, had_pairs; /* this generation has such a set, and the one before */
};

/* ---- libnftables ---- */

struct batch {
	const char *text;
	struct arena *arena; /* of the answer, in JSON; NULL: none is wanted */
	char *answer;
};

/* "/dev/stdin:1:1-10: Error: Could not …\n…" */
static int refused(struct nft_ctx *context, struct error *e)
{
	const char *text = nft_ctx_get_error_buffer(context);
	const char *reason = text ? strstr(text, "Error: ") : NULL;

	reason = reason ? reason + strlen("Error: ") : "no reason given";
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "nftables refuses: %.*s",
			 (int)strcspn(reason, "\n"), reason);
}

/* In the namespace: where a context is made decides which tables it sees. */
static int run_here(void *self, struct error *e)
{
	struct batch *batch = self;
	struct nft_ctx *context;

	/* libnftables waits with select(), which knows no descriptor above 1023, and a drill has
	 * thousands: in a table of this thread's own, where none of them is, its own are low. */
	if (unshare(CLONE_FILES) || syscall(SYS_close_range, 3, ~0u, 0))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "cannot make room for descriptors: %s", strerror(errno));
	context = nft_ctx_new(NFT_CTX_DEFAULT);
	int rc = -1;

	if (!context)
		return error_set(e, ERROR_MEMORY, NO_PLACE, "out of memory");
	if (nft_ctx_buffer_error(context) || nft_ctx_buffer_output(context)) {
		error_set(e, ERROR_MEMORY, NO_PLACE, "out of memory");
		goto out;
	}
	if (batch->arena)
		nft_ctx_output_set_flags(context, NFT_CTX_OUTPUT_JSON);
	if (nft_run_cmd_from_buffer(context, batch->text)) {
		refused(context, e);
		goto out;
	}
	if (batch->arena)
		batch->answer = arena_strdup(batch->arena, nft_ctx_get_output_buffer(context));
	rc = 0;
out:
	nft_ctx_free(context);
	return rc;
}

static int run(int netns, struct batch *batch, struct error *e)
{
	if (lazy_nftables_open(e))
		return -1;
	return netns_call(netns, run_here, batch, e);
}

/* ---- what a config may be ---- */

static bool is_name(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && length <= NFT_NAME_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == length;
}

static bool is_link(const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i]))
			return false;
	return length > 0 && length <= INTERFACE_NAME_MAX;
}

static int check_links(const struct nft_config *config, struct error *e)
{
	if (config->link_count > NFT_LINKS_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "%zu links for nftables, at most %d",
				 config->link_count, NFT_LINKS_MAX);
	if (config->link_count == 0 && config->direction != IMPAIR_FROM)
		return error_set(e, ERROR_SCENARIO, NO_PLACE,
				 "without links nftables sees what comes in, direction 'from'");
	for (size_t i = 0; i < config->link_count; i++)
		if (!is_link(config->links[i]))
			return error_set(e, ERROR_SCENARIO, NO_PLACE, "'%s' is no name of a link",
					 config->links[i]);
	return 0;
}

static int check_pairs(const struct nft_config *config, struct error *e)
{
	if (config->pair_count > NFT_PAIRS_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "%zu pairs of a partition, at most %d",
				 config->pair_count, NFT_PAIRS_MAX);
	for (size_t i = 0; i < config->pair_count; i++) {
		const struct nft_pair *pair = &config->pairs[i];

		if (pair->from_bits > 32 || pair->to_bits > 32)
			return error_set(e, ERROR_SCENARIO, NO_PLACE,
					 "a prefix of a partition has 32 bits at most");
	}
	if (config->pair_count > 0 && config->direction != IMPAIR_FROM)
		return error_set(e, ERROR_SCENARIO, NO_PLACE,
				 "pairs say the direction themselves: theirs is 'from'");
	return 0;
}

static int check_ports(const struct nft_config *config, struct error *e)
{
	if (config->port_count > NFT_PORTS_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "%zu ports, at most %d",
				 config->port_count, NFT_PORTS_MAX);
	for (size_t i = 0; i < config->port_count; i++)
		if (config->ports[i] == 0)
			return error_set(e, ERROR_SCENARIO, NO_PLACE, "a port is 1 to 65535");
	if (config->port_count > 0 && config->protocol != 0 && config->protocol != IPPROTO_TCP &&
	    config->protocol != IPPROTO_UDP)
		return error_set(e, ERROR_SCENARIO, NO_PLACE, "only TCP and UDP have ports");
	return 0;
}

int nft_check(const struct nft_config *config, struct error *e)
{
	if (!is_name(config->name))
		return error_set(e, ERROR_SCENARIO, NO_PLACE,
				 "a fault of nftables is named [a-z0-9_]+, at most %d long: '%s'",
				 NFT_NAME_MAX, config->name);
	if (check_links(config, e) || check_pairs(config, e) || check_ports(config, e))
		return -1;
	if (config->verdict == NFT_RESET &&
	    (config->direction != IMPAIR_FROM ||
	     (config->protocol != 0 && config->protocol != IPPROTO_TCP)))
		return error_set(e, ERROR_SCENARIO, NO_PLACE,
				 "a reset answers what is sent by TCP: direction 'from'");
	if (config->share_ppm == 0 || config->share_ppm > NFT_ALL_PPM)
		return error_set(e, ERROR_SCENARIO, NO_PLACE,
				 "the share of packets is above 0 and at most 100 %%");
	if (config->burst > UINT32_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "a burst has less than 4 GiB");
	if (config->lease < NFT_LEASE_MIN || config->lease > NFT_LEASE_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE,
				 "the lease of a fault of nftables is 100 ms to 1 d");
	return 0;
}

/* ---- rules as text ---- */

static void put_prefix(FILE *out, uint32_t address, uint8_t bits)
{
	if (bits < 32)
		address &= ~(uint32_t)(UINT32_MAX >> bits);
	fprintf(out, "%u.%u.%u.%u", address >> 24, address >> 16 & 255, address >> 8 & 255,
		address & 255);
	if (bits < 32)
		fprintf(out, "/%u", bits);
}

static void put_set(FILE *out, const struct nft *nft, const struct nft_config *config)
{
	bool interval = false;

	for (size_t i = 0; i < config->pair_count; i++)
		interval = interval || config->pairs[i].from_bits < 32 ||
			   config->pairs[i].to_bits < 32;
	fprintf(out, "add set %s pairs%u { type ipv4_addr . ipv4_addr; %s}\n", nft->table,
		nft->generation, interval ? "flags interval; " : "");
}

static void put_pairs(FILE *out, struct nft *nft, const struct nft_config *config)
{
	fprintf(out, "add element %s pairs%u { ", nft->table, nft->generation);
	for (size_t i = 0; i < config->pair_count; i++) {
		fputs(i ? ", " : "", out);
		put_prefix(out, config->pairs[i].from, config->pairs[i].from_bits);
		fputs(" . ", out);
		put_prefix(out, config->pairs[i].to, config->pairs[i].to_bits);
	}
	fputs(" }\n", out);
}

/* `side`: "sport" or "dport". */
static void put_rule(FILE *out, const struct nft *nft, const struct nft_config *config,
		     const char *chain, const char *side)
{
	fprintf(out, "add rule %s %s%u ", nft->table, chain, nft->generation);
	if (config->pair_count > 0)
		fprintf(out, "ip saddr . ip daddr @pairs%u ", nft->generation);
	if (config->verdict == NFT_RESET)
		/* Resets go on: they are what ends the other side's connection. */
		fputs("meta l4proto tcp tcp flags & rst == 0 ", out);
	else if (config->protocol != 0)
		fprintf(out, "meta l4proto %u ", config->protocol);
	else if (side)
		fputs("meta l4proto { tcp, udp } ", out);
	if (side) {
		fprintf(out, "th %s { ", side);
		for (size_t i = 0; i < config->port_count; i++)
			fprintf(out, "%s%u", i ? ", " : "", config->ports[i]);
		fputs(" } ", out);
	}
	fputs("counter name seen ", out);
	if (config->share_ppm < NFT_ALL_PPM)
		fprintf(out, "numgen random mod %d < %u ", NFT_ALL_PPM, config->share_ppm);
	if (config->rate)
		fprintf(out, "limit rate over %" PRIu64 " bytes/second burst %" PRIu64 " bytes ",
			config->rate, config->burst ? config->burst : BURST);
	fprintf(out, "counter name hit %s\n",
		config->verdict == NFT_RESET ? "reject with tcp reset" : "drop");
}

static void put_chain(FILE *out, const struct nft *nft, const struct nft_config *config,
		      const char *chain, const char *hook)
{
	fprintf(out, "add chain %s %s%u { type filter hook %s ", nft->table, chain, nft->generation,
		hook);
	for (size_t i = 0; i < nft->link_count; i++)
		fprintf(out, "%s\"%s\"", i ? ", " : "devices = { ", nft->links[i]);
	fprintf(out, "%spriority 0; policy accept; }\n", nft->link_count ? " } " : "");
	fprintf(out, "add rule %s %s%u meta protocol != @live accept\n", nft->table, chain,
		nft->generation);
	if (nft->link_count == 0)
		fprintf(out, "add rule %s %s%u iifname \"%s\" accept\n", nft->table, chain,
			nft->generation, MACHINE_UPLINKS);
	if (config->port_count == 0) {
		put_rule(out, nft, config, chain, NULL);
		return;
	}
	/* One that is both goes on to the second rule only if the first has let it pass. */
	put_rule(out, nft, config, chain, "dport");
	put_rule(out, nft, config, chain, "sport");
}

static void put_rules(FILE *out, const struct nft *nft, const struct nft_config *config)
{
	if (nft->direction != IMPAIR_TO)
		put_chain(out, nft, config, "from", nft->link_count ? "ingress" : "prerouting");
	if (nft->direction != IMPAIR_FROM)
		put_chain(out, nft, config, "to", "egress");
}

static void put_no_chain(FILE *out, const struct nft *nft, const char *chain)
{
	fprintf(out, "flush chain %s %s%u\n", nft->table, chain, nft->generation);
	fprintf(out, "delete chain %s %s%u\n", nft->table, chain, nft->generation);
}

static void put_no_rules(FILE *out, const struct nft *nft)
{
	if (nft->direction != IMPAIR_TO)
		put_no_chain(out, nft, "from");
	if (nft->direction != IMPAIR_FROM)
		put_no_chain(out, nft, "to");
	if (nft->pairs)
		fprintf(out, "delete set %s pairs%u\n", nft->table, nft->generation);
}

/* Kernels before 6.12 leave the time-out of an element that is there as it is: it must go first,
 * in the same step. To add it before makes it sure that there is one to take out. */
static void put_lease(FILE *out, const struct nft *nft)
{
	long long ms = nft->lease / NANOS_MS;

	fprintf(out, "add element %s live { ip timeout %lldms, ip6 timeout %lldms }\n", nft->table,
		ms, ms);
	fprintf(out, "delete element %s live { ip, ip6 }\n", nft->table);
	fprintf(out, "add element %s live { ip timeout %lldms, ip6 timeout %lldms }\n", nft->table,
		ms, ms);
}

/* ---- one fault ---- */

/* What `put` writes, run as one transaction. */
static int run_text(struct nft *nft, const struct nft_config *config,
		    void (*put)(FILE *out, struct nft *nft, const struct nft_config *config),
		    struct error *e)
{
	struct batch batch = {.text = NULL};
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	int rc;

	if (!out)
		return error_set(e, ERROR_MEMORY, NO_PLACE, "out of memory");
	put(out, nft, config);
	if (fclose(out))
		rc = error_set(e, ERROR_MEMORY, NO_PLACE, "out of memory");
	else {
		batch.text = text;
		rc = run(nft->netns, &batch, e);
	}
	free(text);
	return rc;
}

static void put_table(FILE *out, struct nft *nft, const struct nft_config *config)
{
	fprintf(out, "create table %s\n", nft->table);
	fprintf(out, "add counter %s seen\n", nft->table);
	fprintf(out, "add counter %s hit\n", nft->table);
	fprintf(out, "add set %s live { type ether_type; flags timeout; }\n", nft->table);
	if (config->pair_count > 0)
		put_set(out, nft, config);
}

/* With these it is in force. */
static void put_begin(FILE *out, struct nft *nft, const struct nft_config *config)
{
	put_rules(out, nft, config);
	put_lease(out, nft);
}

static void put_end(FILE *out, struct nft *nft, const struct nft_config *config)
{
	(void)config;
	/* To add a table that is there changes nothing; so one that is gone can be deleted too. */
	fprintf(out, "add table %s\ndelete table %s\n", nft->table, nft->table);
}

/* A few at a time into a set that no rule asks yet: who has no rights on the host has no more room
 * in a message. */
static int add_pairs(struct nft *nft, const struct nft_config *config, struct error *e)
{
	struct nft_config part = *config;

	for (size_t i = 0; i < config->pair_count; i += PART) {
		part.pairs = config->pairs + i;
		part.pair_count = config->pair_count - i < PART ? config->pair_count - i : PART;
		if (run_text(nft, &part, put_pairs, e))
			return -1;
	}
	return 0;
}

int nft_begin(int netns, const struct nft_config *config, struct arena *arena, struct nft **ret_nft,
	      struct error *e)
{
	struct nft *nft;
	const char **links;

	if (nft_check(config, e))
		return -1;
	nft = arena_alloc(arena, sizeof(*nft));
	links = arena_array(arena, config->link_count, sizeof(*links));
	for (size_t i = 0; i < config->link_count; i++)
		links[i] = arena_strdup(arena, config->links[i]);
	*nft = (struct nft){
		.netns = netns,
		.table = arena_printf(arena, "%s drsim_%s",
				      config->link_count ? "netdev" : "bridge", config->name),
		.links = links,
		.link_count = config->link_count,
		.direction = config->direction,
		.lease = config->lease,
	};
	nft->pairs = config->pair_count > 0;
	if (run_text(nft, config, put_table, e))
		return -1;
	if (add_pairs(nft, config, e) || run_text(nft, config, put_begin, e)) {
		run_text(nft, NULL, put_end, NULL);
		return -1;
	}
	*ret_nft = nft;
	return 0;
}

static void put_new_set(FILE *out, struct nft *nft, const struct nft_config *config)
{
	put_set(out, nft, config);
}

static void put_no_set(FILE *out, struct nft *nft, const struct nft_config *config)
{
	put_set(out, nft, config); /* so that there is one */
	fprintf(out, "delete set %s pairs%u\n", nft->table, nft->generation);
}

/* The rules of the generation before go in the step in which these come. */
static void put_change(FILE *out, struct nft *nft, const struct nft_config *config)
{
	struct nft before = *nft;

	before.generation--;
	before.pairs = nft->had_pairs;
	put_no_rules(out, &before);
	put_rules(out, nft, config);
	put_lease(out, nft);
}

int nft_change(struct nft *nft, const struct nft_config *config, struct error *e)
{
	struct nft before = *nft;

	assert(config->direction == nft->direction);
	if (nft_check(config, e))
		return -1;
	nft->generation++;
	nft->had_pairs = nft->pairs;
	nft->pairs = config->pair_count > 0;
	nft->lease = config->lease;
	if ((nft->pairs && run_text(nft, config, put_new_set, e)) || add_pairs(nft, config, e) ||
	    run_text(nft, config, put_change, e)) {
		if (nft->pairs)
			run_text(nft, config, put_no_set, NULL);
		*nft = before;
		return -1;
	}
	return 0;
}

static void put_renew(FILE *out, struct nft *nft, const struct nft_config *config)
{
	(void)config;
	put_lease(out, nft);
}

int nft_renew(struct nft *nft, struct error *e)
{
	return run_text(nft, NULL, put_renew, e);
}

int nft_end(struct nft *nft, struct error *e)
{
	return run_text(nft, NULL, put_end, e);
}

/* ---- what it did ---- */

static uint64_t number_of(const cJSON *counter, const char *name)
{
	const cJSON *number = cJSON_GetObjectItemCaseSensitive(counter, name);

	return cJSON_IsNumber(number) && number->valuedouble >= 0 ? (uint64_t)number->valuedouble
								  : 0;
}

static void take_counter(const cJSON *counter, struct nft_counts *counts)
{
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(counter, "name");

	if (!cJSON_IsString(name))
		return;
	if (strcmp(name->valuestring, "seen") == 0)
		counts->seen = number_of(counter, "packets");
	if (strcmp(name->valuestring, "hit") == 0) {
		counts->hit = number_of(counter, "packets");
		counts->hit_bytes = number_of(counter, "bytes");
	}
}

/* {"nftables": [{"metainfo": …}, {"counter": {…}} or {"set": {…, "elem": […]}}, …]} */
static int take_answer(const char *answer, struct nft_counts *counts, struct error *e)
{
	cJSON *root = cJSON_Parse(answer);
	const cJSON *rows = cJSON_GetObjectItemCaseSensitive(root, "nftables"), *row;

	if (!cJSON_IsArray(rows)) {
		cJSON_Delete(root);
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "nftables answers what is no list of objects");
	}
	cJSON_ArrayForEach (row, rows) {
		const cJSON *counter = cJSON_GetObjectItemCaseSensitive(row, "counter");
		const cJSON *set = cJSON_GetObjectItemCaseSensitive(row, "set");

		if (counter)
			take_counter(counter, counts);
		if (set)
			counts->alive = cJSON_GetArraySize(
						cJSON_GetObjectItemCaseSensitive(set, "elem")) > 0;
	}
	cJSON_Delete(root);
	return 0;
}

static int ask(const struct nft *nft, const char *question, struct arena *arena,
	       struct nft_counts *counts, struct error *e)
{
	struct batch batch = {.text = question, .arena = arena};

	return run(nft->netns, &batch, e) ? -1 : take_answer(batch.answer, counts, e);
}

int nft_counts(struct nft *nft, struct nft_counts *ret_counts, struct error *e)
{
	struct arena arena = {0};
	struct nft_counts counts = {0};
	int rc;

	rc = ask(nft, arena_printf(&arena, "list counters table %s", nft->table), &arena, &counts,
		 e);
	if (rc == 0)
		rc = ask(nft, arena_printf(&arena, "list set %s live", nft->table), &arena, &counts,
			 e);
	arena_free(&arena);
	if (rc == 0)
		*ret_counts = counts;
	return rc;
}

/* ---- probe ---- */

struct trial {
	enum nft_verdict verdict;
	bool at_links;
};

static int try_here(void *self, struct error *e)
{
	static const char *const links[] = {"lo"};
	static const struct nft_pair pairs[] = {{0x0a5a0001, 0x0a5b0000, 32, 16}};
	const struct trial *trial = self;
	const struct nft_config config = {
		.name = "probe",
		.links = links,
		.link_count = trial->at_links ? 1 : 0,
		.direction = IMPAIR_FROM,
		.pairs = pairs,
		.pair_count = 1,
		.verdict = trial->verdict,
		.share_ppm = NFT_ALL_PPM / 2,
		.lease = NANOS_S,
	};
	struct arena arena = {0};
	struct nft *nft;
	int netns, rc;

	if (netns_here(&netns, e))
		return -1;
	rc = nft_begin(netns, &config, &arena, &nft, e);
	if (rc == 0)
		rc = nft_end(nft, e);
	arena_free(&arena);
	close(netns);
	return rc;
}

int nft_probe(enum nft_verdict verdict, bool at_links, struct error *e)
{
	struct trial trial = {.verdict = verdict, .at_links = at_links};

	return lazy_nftables_open(e) ? -1 : netns_try(try_here, &trial, e);
}
