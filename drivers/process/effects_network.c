/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the network of a drill is broken: at the ports of machines and sites in the router's
 * namespace. All of it is in namespaces that vanish with drsim; a cut is a lease besides, so that
 * it ends even when drsim is stopped.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <math.h>
#include <string.h>

#include "drivers/linux/interface.h"
#include "drivers/linux/nft.h"
#include "drivers/process/network_private.h"

#define LEASE (10 * NANOS_S) /* of a cut, */
#define RENEW NANOS_S        /* and how often it is renewed */
#define SERVICE_PORTS 64     /* of a node, behind that of its agent */
#define PROOF_ROUNDS 2000
#define PROOF_SPACING (100 * NANOS_US)
#define DEVIATIONS 4.0      /* within so many of a share's own the measured one has to be */
#define TRIP_SHARE 0.10     /* and a delay within this share of what was asked for, */
#define TRIP_FLOOR 200000.0 /* or within so many ns */

#define NETWORK_PAIRS_MAX (2 * (PROCESS_NODES_MAX + SCENARIO_SITES_MAX + 1))

/* What stands of one effect. */
struct network_fault {
	struct nft *nft;
	struct nft_config config;
	const char *links[PROCESS_NODES_MAX + 3];
	char names[2][MACHINE_PORT_MAX], label[32];
	struct nft_pair pairs[NETWORK_PAIRS_MAX];
	uint16_t ports[SERVICE_PORTS];
	struct net_fault *packets;
	struct interface *interface;
	bool cut;    /* now; a flap is not all the time */
	nanos renew; /* when the lease has to be */
	nanos trip;  /* round trip before it */
};

static struct arena *memory(struct real *real)
{
	return &real->arena;
}

/* ---- who ---- */

static bool is_node(const struct entity *entity)
{
	return entity->kind == ENTITY_NODE;
}

static const struct machine *machine_of(struct real *real, const struct entity *entity)
{
	return is_node(entity) ? real_node(real, entity->site, (uint32_t)entity->index)->machine
			       : real->network->place[entity->site];
}

/* A node's address, or a site's network; the edge's too, which is the site behind the last one. */
static uint32_t prefix_of(struct real *real, const struct entity *entity, uint8_t *ret_bits)
{
	struct in_addr address = {0};

	inet_pton(AF_INET, machine_address(machine_of(real, entity)), &address);
	*ret_bits = is_node(entity) ? 32 : MACHINE_SITE_BITS;
	return ntohl(address.s_addr) & (is_node(entity) ? ~0u : ~0u << (32 - MACHINE_SITE_BITS));
}

static struct entity site_entity(uint32_t site)
{
	return (struct entity){.kind = ENTITY_SITE, .site = site};
}

static struct entity end_of_link(const struct real *real, const struct entity *link, int end)
{
	return site_entity(real->scenario->deployment.links[link->index].site[end]);
}

/* What one sends to the other; NULL: anyone. */
static void add_pair(struct real *real, struct network_fault *net, const struct entity *from,
		     const struct entity *to)
{
	struct nft_pair *pair = &net->pairs[net->config.pair_count++];

	assert(net->config.pair_count <= NETWORK_PAIRS_MAX);
	*pair = (struct nft_pair){.from = 0};
	if (from)
		pair->from = prefix_of(real, from, &pair->from_bits);
	if (to)
		pair->to = prefix_of(real, to, &pair->to_bits);
}

static void add_both(struct real *real, struct network_fault *net, enum direction direction,
		     const struct entity *one, const struct entity *other)
{
	if (direction != DIRECTION_TO)
		add_pair(real, net, one, other);
	if (direction != DIRECTION_FROM)
		add_pair(real, net, other, one);
}

/* From all others: a node from anyone, a site from other sites and the edge. */
static void add_all(struct real *real, struct network_fault *net, enum direction direction,
		    const struct entity *entity)
{
	if (is_node(entity)) {
		add_both(real, net, direction, entity, NULL);
		return;
	}
	for (uint32_t s = 0; s <= real->network->site_count; s++) {
		const struct entity other = site_entity(s);
		if (s != entity->site)
			add_both(real, net, direction, entity, &other);
	}
}

static enum impair_direction direction_of(enum direction direction)
{
	switch (direction) {
	case DIRECTION_TO:
		return IMPAIR_TO;
	case DIRECTION_FROM:
		return IMPAIR_FROM;
	case DIRECTION_BOTH:
		break;
	}
	return IMPAIR_BOTH;
}

static enum direction asked_direction(const struct effect *effect)
{
	if (effect->partition)
		return effect->partition->direction;
	return effect->impairment ? effect->impairment->direction : DIRECTION_BOTH;
}

/* ---- cuts ---- */

/* A link is cut between its sites; a target is cut off from all, or from those of its partition. */
static void choose_cut(struct real *real, const struct effect *effect, struct network_fault *net)
{
	const struct partition *partition = effect->partition;
	enum direction direction = asked_direction(effect);

	if (effect->entity.kind == ENTITY_LINK) {
		const struct entity a = end_of_link(real, &effect->entity, 0);
		const struct entity b = end_of_link(real, &effect->entity, 1);
		add_both(real, net, direction, &a, &b);
		return;
	}
	if (!partition || partition->shape == PARTITION_ALL) {
		add_all(real, net, direction, &effect->entity);
		return;
	}
	/* Each of them has an effect of its own, but for the direction it would be cut twice. */
	for (size_t i = 0; i < partition->count; i++)
		if (partition_between(partition, effect->entity, partition->entities[i]))
			add_both(real, net,
				 direction == DIRECTION_BOTH ? DIRECTION_FROM : direction,
				 &effect->entity, &partition->entities[i]);
}

static void add_link(struct real *real, struct network_fault *net, const struct machine *machine)
{
	(void)real;
	net->links[net->config.link_count++] = machine_port(machine);
}

/* Resets go to whoever sends there: from the ports of all others. */
static void choose_senders(struct real *real, const struct entity *entity,
			   struct network_fault *net)
{
	for (size_t n = 0; n < real->node_count; n++) {
		const struct node *node = &real->nodes[n];
		bool own = node->site == entity->site &&
			   (!is_node(entity) || node->index == (uint32_t)entity->index);
		if (!own)
			add_link(real, net, node->machine);
	}
	add_link(real, net, real->control_machine);
	add_link(real, net, real->gateway_machine);
	add_link(real, net, real->client_machine);
}

/* Nodes have the same ports, each in a network of its own. */
static void choose_ports(struct real *real, const struct effect *effect, struct network_fault *net)
{
	const struct entity *entity = &effect->entity;

	net->config.protocol = IPPROTO_TCP;
	for (uint32_t n = 0; n < real->scenario->deployment.sites[entity->site].nodes; n++) {
		const struct node *node = real_node(real, entity->site, n);
		if (node->port == 0 || net->config.port_count > 0)
			continue;
		for (uint16_t i = 0; i < SERVICE_PORTS; i++)
			net->ports[net->config.port_count++] = (uint16_t)(node->port + 1 + i);
	}
	net->config.ports = net->ports;
	add_all(real, net,
		effect->kind == EFFECT_NET_RESET ? DIRECTION_TO : asked_direction(effect), entity);
	if (effect->kind != EFFECT_NET_RESET)
		return;
	net->config.verdict = NFT_RESET;
	choose_senders(real, entity, net);
}

static int begin_nft(struct real *real, struct network_fault *net, struct error *e)
{
	net->config.name = net->label;
	net->config.direction = IMPAIR_FROM;
	net->config.links = net->config.link_count > 0 ? net->links : NULL;
	net->config.pairs = net->config.pair_count > 0 ? net->pairs : NULL;
	net->config.share_ppm = NFT_ALL_PPM;
	net->config.lease = LEASE;
	net->renew = real_now(real) + RENEW;
	net->cut = true;
	if (net->nft)
		return nft_renew(net->nft, e);
	return nft_begin(machines_router(real->machines), &net->config, memory(real), &net->nft, e);
}

static int end_nft(struct network_fault *net, struct error *e)
{
	struct nft *nft = net->nft;

	net->cut = false;
	net->nft = NULL;
	return nft ? nft_end(nft, e) : 0;
}

static int interface_down(struct real *real, const struct entity *entity, struct network_fault *net,
			  struct error *e)
{
	if (is_node(entity))
		snprintf(net->names[0], MACHINE_PORT_MAX, "%s",
			 machine_port(machine_of(real, entity)));
	else
		machines_uplink(entity->site, net->names[0]);
	if (!net->interface && interface_open(machines_router(real->machines), net->names[0],
					      memory(real), &net->interface, e))
		return -1;
	return interface_set_up(net->interface, false, e);
}

/* ---- packets ---- */

static void delay_config(const struct effect *effect, struct impair_config *config)
{
	const struct impairment *more = effect->impairment;
	static const enum impair_distribution distributions[] = {
		[DELAY_NORMAL] = IMPAIR_NORMAL,
		[DELAY_UNIFORM] = IMPAIR_UNIFORM,
		[DELAY_PARETO] = IMPAIR_PARETO,
		[DELAY_PARETONORMAL] = IMPAIR_PARETONORMAL,
	};

	config->delay.latency = effect->amount;
	config->delay.jitter = effect->spread;
	config->delay.distribution = distributions[more ? more->distribution : DELAY_NORMAL];
	config->delay.correlation = more ? more->correlation : 0;
}

static void loss_config(const struct effect *effect, struct impair_config *config)
{
	const struct impairment *more = effect->impairment;
	double share = (double)effect->amount / EFFECT_PPM;
	double full = more ? impairment_loss(more, share) : share;

	config->loss.model = IMPAIR_LOSS_RANDOM;
	config->loss.probability = share;
	if (!more)
		return;
	config->loss.correlation = more->correlation;
	if (more->loss == LOSS_GEMODEL) {
		config->loss.model = IMPAIR_LOSS_GEMODEL;
		/* A weaker one is seldom bad, and as bad then. */
		config->loss.p = full > 0 ? more->p * fmin(1, share / full) : more->p;
		config->loss.r = more->r;
		config->loss.one_h = more->one_h;
		config->loss.one_k = more->one_k;
	}
	if (more->loss == LOSS_STATE) {
		double weaker = full > 0 ? fmin(1, share / full) : 1;
		config->loss.model = IMPAIR_LOSS_STATE;
		config->loss.p13 = more->p13 * weaker;
		config->loss.p14 = more->p14 * weaker;
		config->loss.p31 = more->p31;
		config->loss.p32 = more->p32;
		config->loss.p23 = more->p23;
	}
}

static struct impair_config config_of(const struct effect *effect)
{
	double share = (double)effect->amount / EFFECT_PPM;
	struct impair_config config = {0};

	if (effect->kind == EFFECT_NET_DELAY)
		delay_config(effect, &config);
	if (effect->kind == EFFECT_NET_LOSS)
		loss_config(effect, &config);
	if (effect->kind == EFFECT_NET_RATE)
		config.rate.bytes_per_s = (uint64_t)effect->amount;
	if (effect->kind == EFFECT_NET_DUPLICATE)
		config.duplicate = share;
	if (effect->kind == EFFECT_NET_CORRUPT)
		config.corrupt = share;
	if (effect->kind == EFFECT_NET_MTU)
		config.mtu = (uint32_t)effect->amount;
	if (effect->kind == EFFECT_NET_REORDER) {
		config.delay.latency = effect->spread;
		config.reorder.probability = share;
		config.reorder.gap = effect->impairment ? effect->impairment->gap : 0;
	}
	return config;
}

/* A link's packets are, of those of its first site, the ones from and to the second. */
static const char *match_of(struct real *real, const struct effect *effect)
{
	const char *wanted = effect->impairment ? effect->impairment->match : NULL;
	char text[INET_ADDRSTRLEN];
	struct in_addr network;
	uint8_t bits;

	if (effect->entity.kind != ENTITY_LINK)
		return wanted;
	const struct entity other = end_of_link(real, &effect->entity, 1);
	network.s_addr = htonl(prefix_of(real, &other, &bits));
	inet_ntop(AF_INET, &network, text, sizeof(text));
	return wanted ? arena_printf(memory(real), "net %s/%u and (%s)", text, bits, wanted)
		      : arena_printf(memory(real), "net %s/%u", text, bits);
}

/* At a machine's port all mechanisms stand in the same place. A site's link has two ends in the
 * router's namespace: a queue stands at that end from which packets leave, the link of our own at
 * the port of the bridge, for which the site is the far side. */
static void find_place(struct real *real, const struct entity *entity, enum net_backend backend,
		       struct net_ask *ask, struct network_fault *net, struct net_place *ret)
{
	uint8_t bits;

	*ret = (struct net_place){
		.router = machines_router(real->machines),
		.bridge = arena_printf(memory(real), "site%u", entity->site),
		.links = real->network->links,
	};
	if (is_node(entity)) {
		const struct node *node = real_node(real, entity->site, (uint32_t)entity->index);
		ret->port = machine_port(node->machine);
		ret->machine = machine_network(node->machine);
		ret->interface = MACHINE_LINK;
		ret->number = (uint64_t)(node - real->nodes);
		ret->address = prefix_of(real, entity, &bits);
		return;
	}
	machines_gateway(entity->site, net->names[0]);
	machines_uplink(entity->site, net->names[1]);
	ret->machine = ret->router;
	ret->number = PROCESS_NODES_MAX + entity->site;
	ret->port = net->names[backend == NET_LINK ? 1 : 0];
	ret->interface = net->names[backend == NET_LINK ? 0 : 1];
	if (backend == NET_LINK && ask->direction != IMPAIR_BOTH)
		ask->direction = ask->direction == IMPAIR_TO ? IMPAIR_FROM : IMPAIR_TO;
}

static struct net_ask ask_for(struct real *real, const struct effect *effect)
{
	return (struct net_ask){
		.config = config_of(effect),
		.direction = direction_of(asked_direction(effect)),
		.match = match_of(real, effect),
		.repeatable = false,
	};
}

int network_check(struct real *real, const struct effect *effect, struct error *e)
{
	const struct net_host *host = &real->network->host;
	struct net_choice choice;

	if (EFFECT_BIT(effect->kind) & EFFECTS_OF_PACKETS) {
		const struct net_ask ask = ask_for(real, effect);
		return net_choose(host, &ask, &choice, e);
	}
	if (effect->partition && effect->partition->interface)
		return 0;
	return host->has[NET_NFTABLES] ? 0
				       : error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
						   "packets cannot be dropped on this host: %s",
						   host->why[NET_NFTABLES]);
}

/* What made it, for the record. */
static const char *const taken[NET_BACKENDS] = {
	[NET_NETEM] = "netem at the link",
	[NET_NFTABLES] = "nftables at the link",
	[NET_TBF] = "a token bucket (tbf) at the link",
	[NET_LINK] = "a user-space link of our own",
};

static int begin_packets(struct real *real, struct fault_state *fault, struct error *e)
{
	const struct effect *effect = &fault->effect;
	struct network_fault *net = fault->net;
	struct entity entity = effect->entity.kind == ENTITY_LINK
				       ? end_of_link(real, &effect->entity, 0)
				       : effect->entity;
	struct net_ask ask = ask_for(real, effect);
	struct net_choice choice;
	struct net_place place;

	if (net_choose(&real->network->host, &ask, &choice, e))
		return -1;
	if (choice.backend == NET_LINK && !real->network->links &&
	    user_links_open(machines_router(real->machines), real->seed, &real->network->links, e))
		return -1;
	find_place(real, &entity, choice.backend, &ask, net, &place);
	if (net_begin(&place, &ask, choice.backend, net->label, real->seed, LEASE, memory(real),
		      &net->packets, e))
		return -1;
	net->renew = real_now(real) + RENEW;
	fault->mechanism = taken[choice.backend];
	return 0;
}

/* ---- is it as strong as was asked for? ---- */

static uint32_t directions_of(const struct effect *effect)
{
	return effect->impairment && effect->impairment->direction != DIRECTION_BOTH ? 1 : 2;
}

static int prove_loss(struct real *real, const struct effect *effect, struct error *e)
{
	const struct impairment *more = effect->impairment;
	double asked = (double)effect->amount / EFFECT_PPM;
	struct echo_sum sum;

	/* Losses that come in bursts vary more than can be told from so few packets. */
	if (more && (more->match || more->correlation > 0 || more->loss != LOSS_RANDOM))
		return 0;
	network_measure(real, &effect->entity, PROOF_ROUNDS, PROOF_SPACING, 0, &sum);
	double answered = pow(1 - asked, directions_of(effect));
	double deviation = sqrt(answered * (1 - answered) * sum.sent);
	if (fabs(sum.answered - answered * sum.sent) <= DEVIATIONS * deviation + 1)
		return 0;
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
			 "of %u echoes %u came back, where a loss of %.3g %% lets %.0f back",
			 sum.sent, sum.answered, 100 * asked, answered * sum.sent);
}

static int prove_delay(struct real *real, const struct effect *effect,
		       const struct network_fault *net, struct error *e)
{
	const struct impairment *more = effect->impairment;
	double asked = (double)effect->amount * directions_of(effect), added, allowed;
	struct echo_sum sum;

	/* The median of a lopsided distribution is not its latency. */
	if (net->trip == NANOS_NEVER ||
	    (more && (more->match || (effect->spread > 0 && more->distribution > DELAY_UNIFORM))))
		return 0;
	network_measure(real, &effect->entity, 101, 2 * NANOS_MS, 0, &sum);
	if (sum.round_trip == NANOS_NEVER)
		return 0; /* the judge sees that it is cut, and says so */
	added = (double)(sum.round_trip - net->trip);
	allowed = fmax(TRIP_SHARE * asked, TRIP_FLOOR) +
		  DEVIATIONS * 1.25 * (double)effect->spread * sqrt(directions_of(effect)) / 10;
	if (fabs(added - asked) <= allowed)
		return 0;
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
			 "the round trip grew by %.3g ms instead of %.3g ms", added / 1e6,
			 asked / 1e6);
}

static int prove(struct real *real, const struct fault_state *fault, struct error *e)
{
	if (fault->effect.kind == EFFECT_NET_LOSS)
		return prove_loss(real, &fault->effect, e);
	if (fault->effect.kind == EFFECT_NET_DELAY)
		return prove_delay(real, &fault->effect, fault->net, e);
	return 0;
}

/* ---- the door ---- */

static struct network_fault *net_of(struct real *real, struct fault_state *fault)
{
	struct echo_sum sum;

	fault->net = arena_alloc(memory(real), sizeof(*fault->net));
	snprintf(fault->net->label, sizeof(fault->net->label), "f%zu", ++real->network->faults);
	if (fault->effect.kind == EFFECT_NET_DELAY) {
		network_measure(real, &fault->effect.entity, 21, 2 * NANOS_MS, 0, &sum);
		fault->net->trip = sum.round_trip;
	}
	return fault->net;
}

static int break_interface(struct real *real, struct fault_state *fault, struct error *e)
{
	fault->mechanism = "the link is down";
	return interface_down(real, &fault->effect.entity, fault->net, e);
}

int network_break(struct real *real, struct fault_state *fault, struct error *e)
{
	const struct effect *effect = &fault->effect;
	struct network_fault *net = net_of(real, fault);

	if (EFFECT_BIT(effect->kind) & EFFECTS_OF_PACKETS)
		return begin_packets(real, fault, e) ? -1 : prove(real, fault, e);
	if (effect->partition && effect->partition->interface)
		return break_interface(real, fault, e);
	if (effect->kind == EFFECT_NET_RESET && effect->amount > 0)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "this driver resets connections at once, not after a 'timeout'");
	if (effect->kind == EFFECT_NET_DROP || effect->kind == EFFECT_NET_RESET)
		choose_ports(real, effect, net);
	else
		choose_cut(real, effect, net);
	fault->mechanism = taken[NET_NFTABLES];
	if (effect->kind == EFFECT_NET_FLAP)
		fault->due = real_now(real) + effect->amount;
	return begin_nft(real, net, e);
}

int network_mend(struct real *real, struct fault_state *fault, struct error *e)
{
	struct network_fault *net = fault->net;
	int rc = 0;

	(void)real;
	fault->due = NANOS_NEVER;
	if (!net)
		return 0;
	if (net->packets)
		rc = net_end(net->packets, e);
	net->packets = NULL;
	if (end_nft(net, e))
		rc = -1;
	if (net->interface && interface_restore(net->interface, e))
		rc = -1;
	net->interface = NULL;
	return rc;
}

bool network_broken(struct real *real, const struct fault_state *fault)
{
	const struct network_fault *net = fault->net;

	(void)real;
	return net && (net->nft || net->packets || net->interface);
}

/* Another strength while it stands; what cannot change is put anew. */
int network_adjust(struct real *real, struct fault_state *fault, const struct effect *effect,
		   struct error *e)
{
	struct network_fault *net = fault->net;

	fault->effect = *effect;
	if (net && net->packets) {
		struct impair_config config = config_of(effect);
		return net_change(net->packets, &config, e);
	}
	if (network_mend(real, fault, e))
		return -1;
	return network_break(real, fault, e);
}

static void flap(struct real *real, struct fault_state *fault)
{
	struct network_fault *net = fault->net;
	struct error error = {.kind = ERROR_NONE};
	bool cut = net->cut;

	fault->due = real_now(real) + (cut ? fault->effect.spread : fault->effect.amount);
	if (cut)
		end_nft(net, &error);
	else
		begin_nft(real, net, &error);
}

void network_look(struct real *real, struct fault_state *fault)
{
	struct network_fault *net = fault->net;
	struct error error = {.kind = ERROR_NONE};
	nanos now = real_now(real);

	if (!net)
		return;
	if (fault->effect.kind == EFFECT_NET_FLAP && fault->due <= now)
		flap(real, fault);
	if (now < net->renew)
		return;
	net->renew = now + RENEW;
	if (net->nft)
		nft_renew(net->nft, &error);
	if (net->packets)
		net_renew(net->packets, &error);
}
