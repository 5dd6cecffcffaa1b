/* SPDX-License-Identifier: Apache-2.0 */
/* Who reaches whom in a drill's network: echoes from every place, all the time. */
#include "drivers/process/network.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/linux/echo.h"
#include "drivers/linux/flood.h"
#include "drivers/process/network_private.h"
#include "drivers/process/planned.h"
#include "drivers/process/thread.h"

#define ROUND (50 * NANOS_MS) /* from one look to the next, but so long for each echo: */
#define ROUND_ECHO (50 * NANOS_US)
#define PATIENCE (250 * NANOS_MS) /* for an answer, where no step delays packets by more */
#define MISSES 3                  /* looks in a row without an answer: it is not reached */
#define PATH_ROUNDS 3             /* echoes of which one has to be answered */
#define TRIP_ROUNDS 21            /* of which the round trip is the median */
#define TRIP_NOISE (200 * NANOS_US)
#define SHARE_ROUNDS 2000 /* of which a share is told */
#define SHARE_SPACING (100 * NANOS_US)
#define RATE_TIME (500 * NANOS_MS)
#define KNOCK_PATIENCE (500 * NANOS_MS)
#define EFFECTS_OF_PORTS (EFFECT_BIT(EFFECT_NET_DROP) | EFFECT_BIT(EFFECT_NET_RESET))

static uint32_t places(const struct network *network)
{
	return network->site_count + 1;
}

static uint32_t place_of(const struct network *network, uint32_t site)
{
	return site == NETWORK_EDGE ? network->site_count : site;
}

/* Behind the nodes come the places. */
static size_t target_of(const struct real *real, uint32_t place)
{
	return real->node_count + place;
}

static struct seen *seen_at(struct network *network, uint32_t place, size_t target)
{
	return &network->seen[place * network->target_count + target];
}

/* ---- open ---- */

static uint32_t address_of(const struct machine *machine)
{
	struct in_addr address = {0};

	inet_pton(AF_INET, machine_address(machine), &address);
	return address.s_addr;
}

struct opener {
	struct real *real;
	struct error *e;
	int rc;
};

/* Before anything runs: what this host cannot do is refused now, not in the middle of a drill. */
static void check_planned(void *self, const struct effect *effect)
{
	struct opener *opener = self;

	if (opener->rc == 0)
		opener->rc = network_check(opener->real, effect, opener->e);
}

/* In a thread of its own, which walks through the places. */
static void *open_sockets(void *context)
{
	struct opener *opener = context;
	struct network *network = opener->real->network;

	for (uint32_t p = 0; p < places(network) && opener->rc == 0; p++)
		if (machine_enter(network->place[p], opener->e) ||
		    echo_open(&network->watch[p], opener->e) ||
		    echo_open(&network->measure[p], opener->e))
			opener->rc = -1;
	for (uint32_t n = 0; network->among_nodes && n < opener->real->node_count; n++)
		if (opener->rc == 0 && (machine_enter(opener->real->nodes[n].machine, opener->e) ||
					neighbours_open(opener->real, n, opener->e)))
			opener->rc = -1;
	return NULL;
}

/* What is told of the network costs time: only what a step may change. */
static void note_planned(void *self, const struct effect *effect)
{
	struct network *network = self;
	bool delays = effect->kind == EFFECT_NET_DELAY || effect->kind == EFFECT_NET_REORDER;
	nanos patience = 2 * effect->amount + 8 * effect->spread + PATIENCE;

	network->watched = true;
	if (effect->partition && effect->partition->shape != PARTITION_ALL &&
	    effect->entity.kind == ENTITY_NODE)
		network->among_nodes = true;
	if (delays && patience > network->patience)
		network->patience = patience;
}

int network_open(struct real *real, struct error *e)
{
	struct arena *arena = &real->arena;
	struct network *network = arena_alloc(arena, sizeof(*network));
	struct opener opener = {.real = real, .e = e};
	pthread_t thread;

	network->site_count = real->scenario->deployment.site_count;
	network->patience = PATIENCE;
	for (int n = 0; n < PROCESS_NODES_MAX; n++)
		network->neighbours[n] = -1;
	planned_each(real, EFFECTS_OF_NETWORK, note_planned, network);
	network->target_count = real->node_count + places(network);
	network->place = arena_array(arena, places(network), sizeof(struct machine *));
	network->watch = arena_array(arena, places(network), sizeof(struct echo *));
	network->measure = arena_array(arena, places(network), sizeof(struct echo *));
	network->address = arena_array(arena, network->target_count, sizeof(uint32_t));
	network->trip = arena_array(arena, network->target_count, sizeof(nanos));
	network->rate = arena_array(arena, network->target_count, sizeof(double));
	network->seen =
		arena_array(arena, places(network) * network->target_count, sizeof(*network->seen));
	real->network = network;
	for (uint32_t p = 0; p < network->site_count; p++)
		network->place[p] = real->site_machines[p];
	network->place[network->site_count] = real->client_machine;
	if (!network->watched)
		return 0;
	if (machines_isolation(real->machines) != MACHINE_NAMESPACES)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "faults of the network need network namespaces, which this host "
				 "does not allow: drsim doctor says why");
	for (size_t i = 0; i < real->node_count; i++)
		network->address[i] = address_of(real->nodes[i].machine);
	for (uint32_t p = 0; p < places(network); p++)
		network->address[target_of(real, p)] = address_of(network->place[p]);
	if (thread_start(&thread, open_sockets, &opener))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot start a thread");
	pthread_join(thread, NULL);
	net_probe(&network->host);
	planned_each(real, EFFECTS_OF_NETWORK, check_planned, &opener);
	return opener.rc;
}

/* ---- the watch ---- */

static void note(struct network *network, uint32_t place, const struct echo_sum *sums)
{
	for (size_t t = 0; t < network->target_count; t++) {
		struct seen *seen = seen_at(network, place, t);
		uint32_t misses = sums[t].answered ? 0 : atomic_load(&seen->misses) + 1;
		atomic_store(&seen->misses, misses);
		if (sums[t].answered)
			atomic_store(&seen->round_trip, sums[t].round_trip);
	}
}

struct watcher {
	struct real *real;
	uint32_t place;
	pthread_t thread;
	bool running;
};

static void *watch(void *context)
{
	const struct watcher *watcher = context;
	struct real *real = watcher->real;
	struct network *network = real->network;
	const struct echo_plan plan = {.rounds = 1, .patience = network->patience};
	struct echo_sum *sums = calloc(network->target_count, sizeof(*sums));
	nanos each = (nanos)(places(network) * network->target_count) * ROUND_ECHO;
	nanos pause = each > ROUND ? each : ROUND;

	assert(sums);
	while (!atomic_load(&network->ends)) {
		struct error error = {.kind = ERROR_NONE};
		nanos begun = real_now(real);
		echo_run(network->watch[watcher->place], network->address, network->target_count,
			 &plan, sums, &error);
		note(network, watcher->place, sums);
		real_sleep(real, begun + pause, &network->ends);
	}
	free(sums);
	return NULL;
}

int network_start(struct real *real, struct error *e)
{
	struct network *network = real->network;

	network->watchers = arena_array(&real->arena, places(network), sizeof(struct watcher));
	for (uint32_t p = 0; network->watched && p < places(network); p++) {
		struct watcher *watcher = &network->watchers[p];
		*watcher = (struct watcher){.real = real, .place = p};
		if (thread_start(&watcher->thread, watch, watcher))
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
					 "cannot start a thread that watches the network");
		watcher->running = true;
	}
	return 0;
}

void network_stop(struct real *real)
{
	struct network *network = real->network;

	if (!network)
		return;
	atomic_store(&network->ends, true);
	pthread_mutex_lock(&real->lock);
	pthread_cond_broadcast(&real->changed);
	pthread_mutex_unlock(&real->lock);
	for (uint32_t p = 0; network->watchers && p < places(network); p++)
		if (network->watchers[p].running)
			pthread_join(network->watchers[p].thread, NULL);
	network->watchers = NULL;
	user_links_close(network->links);
	network->links = NULL;
	for (uint32_t p = 0; p < places(network); p++) {
		echo_close(network->watch[p]);
		echo_close(network->measure[p]);
		network->watch[p] = network->measure[p] = NULL;
	}
	neighbours_close(real);
	network->among_nodes = false;
}

/* ---- who reaches whom ---- */

int network_enter(struct real *real, uint32_t site, struct error *e)
{
	return machine_enter(real->network->place[place_of(real->network, site)], e);
}

static bool open_between(const struct real *real, uint32_t place, size_t target)
{
	struct seen *seen = seen_at(real->network, place, target);

	return atomic_load(&seen->misses) < MISSES;
}

bool network_reaches(struct real *real, uint32_t from, uint32_t to)
{
	const struct network *network = real->network;

	return !network->watched || from == to ||
	       open_between(real, place_of(network, from), target_of(real, place_of(network, to)));
}

bool network_wait(struct real *real, uint32_t from, uint32_t to, nanos until,
		  const atomic_bool *cancel)
{
	while (!network_reaches(real, from, to)) {
		if (real_now(real) >= until)
			return false;
		if (!real_sleep(real, real_now(real) + ROUND, cancel))
			return false;
	}
	return true;
}

/* ---- readings ---- */

/* What counts as a way to what it names: from the other places, to a node from its own site too. */
static bool leads_to(const struct real *real, const struct entity *entity, uint32_t place,
		     size_t target)
{
	const struct deployment *d = &real->scenario->deployment;
	const struct node *node = &real->nodes[target];

	if (entity->kind == ENTITY_LINK) {
		const struct link *link = &d->links[entity->index];
		return place == link->site[0] && target == target_of(real, link->site[1]);
	}
	if (target >= real->node_count || node->site != entity->site ||
	    !readings_holds_node(&d->sites[entity->site], entity, node->index))
		return false;
	return place != entity->site ||
	       (entity->kind != ENTITY_SITE && entity->kind != ENTITY_STANDBY);
}

/* As the watch saw them, or by echoes of its own. */
static void count_paths(struct real *real, const struct entity *entity, bool fresh,
			struct reading *ret)
{
	struct network *network = real->network;
	const struct echo_plan plan = {
		.rounds = PATH_ROUNDS, .spacing = 20 * NANOS_MS, .patience = network->patience};

	ret->paths = ret->paths_open = 0;
	for (uint32_t p = 0; p < places(network); p++) {
		uint32_t addresses[PROCESS_NODES_MAX + 1];
		struct echo_sum sums[PROCESS_NODES_MAX + 1];
		struct error error = {.kind = ERROR_NONE};
		size_t count = 0;
		for (size_t t = 0; t < network->target_count; t++) {
			if (!leads_to(real, entity, p, t))
				continue;
			ret->paths++;
			ret->paths_open += !fresh && open_between(real, p, t);
			addresses[count++] = network->address[t];
		}
		if (fresh && count > 0)
			echo_run(network->measure[p], addresses, count, &plan, sums, &error);
		for (size_t i = 0; fresh && i < count; i++)
			ret->paths_open += sums[i].answered > 0;
	}
	if (fresh && network->among_nodes && entity->kind == ENTITY_NODE)
		neighbours_count(real, real->first_node[entity->site] + (uint32_t)entity->index,
				 ret);
}

/* Where the way to measure begins, and where it ends. */
static void ends_of(const struct real *real, const struct entity *entity, uint32_t *ret_place,
		    size_t *ret_target)
{
	const struct network *network = real->network;
	const struct site *site = &real->scenario->deployment.sites[entity->site];

	*ret_place = place_of(network, NETWORK_EDGE);
	*ret_target = target_of(real, entity->site);
	if (entity->kind == ENTITY_LINK) {
		const struct link *link = &real->scenario->deployment.links[entity->index];
		*ret_place = link->site[0];
		*ret_target = target_of(real, link->site[1]);
		return;
	}
	for (uint32_t n = site->nodes; n-- > 0;)
		if (readings_holds_node(site, entity, n))
			*ret_target = real->first_node[entity->site] + n;
}

void network_measure(struct real *real, const struct entity *entity, uint32_t rounds, nanos spacing,
		     size_t bytes, struct echo_sum *ret)
{
	struct network *network = real->network;
	const struct echo_plan plan = {.rounds = rounds,
				       .spacing = spacing,
				       .patience = network->patience,
				       .bytes = bytes};
	struct error error = {.kind = ERROR_NONE};
	uint32_t place;
	size_t target;

	ends_of(real, entity, &place, &target);
	echo_run(network->measure[place], &network->address[target], 1, &plan, ret, &error);
}

static uint32_t share(uint32_t part, uint32_t whole)
{
	return whole ? (uint32_t)((uint64_t)part * EFFECT_PPM / whole) : 0;
}

/* The largest packet that comes through whole, by halving. */
static uint32_t measure_mtu(struct real *real, const struct entity *entity)
{
	uint32_t low = ECHO_BYTES + 20, high = NETWORK_MTU, middle = high;
	struct echo_sum sum;

	while (low < high) {
		network_measure(real, entity, 3, 2 * NANOS_MS, middle - 20, &sum);
		if (sum.answered > 0)
			low = middle;
		else
			high = middle - 1;
		middle = (low + high + 1) / 2;
	}
	return low;
}

/* Bytes a second that pass to it, for as long as it takes to send what comes at once. */
static double measure_rate(struct real *real, const struct entity *entity)
{
	const struct network *network = real->network;
	struct error error = {.kind = ERROR_NONE};
	uint32_t place;
	size_t target;
	double rate = 0;

	ends_of(real, entity, &place, &target);
	const struct machine *to = target < real->node_count
					   ? real->nodes[target].machine
					   : network->place[target - real->node_count];
	flood_measure(machine_network(network->place[place]), machine_network(to),
		      network->address[target], RATE_TIME, &rate, &error);
	return readings_steady(&network->rate[target], rate);
}

/* It is what it was first until it is longer by more than an idle host may add. */
static nanos steady_trip(struct real *real, const struct entity *entity, nanos trip)
{
	nanos *usual;
	uint32_t place;
	size_t target;

	ends_of(real, entity, &place, &target);
	usual = &real->network->trip[target];
	if (*usual == 0 && trip != NANOS_NEVER)
		*usual = trip;
	return trip != NANOS_NEVER && trip <= *usual + TRIP_NOISE ? *usual : trip;
}

static void measure(struct real *real, const struct entity *entity, struct reading *ret)
{
	const effect_mask shares = EFFECT_BIT(EFFECT_NET_LOSS) | EFFECT_BIT(EFFECT_NET_DUPLICATE) |
				   EFFECT_BIT(EFFECT_NET_CORRUPT) | EFFECT_BIT(EFFECT_NET_REORDER);
	struct echo_sum sum;

	network_measure(real, entity, TRIP_ROUNDS, 2 * NANOS_MS, 0, &sum);
	ret->round_trip = steady_trip(real, entity, sum.round_trip);
	if (sum.answered == 0)
		return; /* nothing comes through of which more could be told */
	if (real->about & EFFECT_BIT(EFFECT_NET_MTU))
		ret->mtu = measure_mtu(real, entity);
	if (real->about & EFFECT_BIT(EFFECT_NET_RATE))
		ret->rate = measure_rate(real, entity);
	if (!(real->about & shares))
		return;
	network_measure(real, entity, SHARE_ROUNDS, SHARE_SPACING, 0, &sum);
	ret->loss_ppm = (uint32_t)lround(echo_loss(&sum) * EFFECT_PPM);
	ret->duplicated_ppm = share(sum.again, sum.sent);
	ret->corrupted_ppm = share(sum.altered, sum.sent);
	ret->reordered_ppm = share(sum.late, sum.sent);
}

/* ---- service ports ---- */

enum answer {
	ANSWER_NONE,
	ANSWER_OPEN,
	ANSWER_RESET
};

/* A connection, and a request on it, from where the clients are. */
static enum answer knock(const char *address)
{
	static const char request[] =
		"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	char host[64], byte;
	const char *colon = strrchr(address, ':');
	struct sockaddr_in to = {.sin_family = AF_INET};
	const struct timeval patience = {.tv_usec = KNOCK_PATIENCE / NANOS_US};
	enum answer answer = ANSWER_NONE;
	int fd, error = 0;
	uint64_t port;

	if (!colon || (size_t)(colon - address) >= sizeof(host))
		return ANSWER_NONE;
	snprintf(host, sizeof(host), "%.*s", (int)(colon - address), address);
	for (port = 0, colon++; *colon >= '0' && *colon <= '9' && port < 65536; colon++)
		port = port * 10 + (uint64_t)(*colon - '0');
	to.sin_port = htons((uint16_t)port);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || inet_pton(AF_INET, host, &to.sin_addr) != 1)
		return ANSWER_NONE;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) ||
	    send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0 || recv(fd, &byte, 1, 0) < 0)
		error = errno;
	if (error == 0)
		answer = ANSWER_OPEN;
	else if (error == ECONNRESET || error == ECONNREFUSED || error == EPIPE)
		answer = ANSWER_RESET;
	close(fd);
	return answer;
}

static void read_ports(struct real *real, const struct view *view, const struct entity *entity,
		       struct reading *ret)
{
	const struct site *site = &real->scenario->deployment.sites[entity->site];
	struct network *network = real->network;

	ret->ports = ret->ports_open = 0;
	for (size_t r = 0; r < view->replica_count; r++) {
		const struct replica_view *replica = &view->replicas[r];
		if (replica->node < 0 || real->nodes[replica->node].site != entity->site ||
		    !readings_holds_node(site, entity, real->nodes[replica->node].index))
			continue;
		enum answer answer = knock(replica->address);
		ret->ports++;
		ret->ports_open += answer == ANSWER_OPEN;
		network->resets += answer == ANSWER_RESET;
	}
	ret->resets = network->resets;
}

void network_read(struct real *real, const struct view *view, struct entity entity, bool fresh,
		  struct reading *ret)
{
	const struct network *network = real->network;
	bool link = entity.kind == ENTITY_LINK;

	if (!network->watched) {
		/* Nothing breaks it: a path is there where its ends are. */
		ret->paths = ret->paths_open = 1;
		ret->round_trip = link || ret->nodes_reachable > 0 ? NANOS_MS : NANOS_NEVER;
		return;
	}
	fresh = fresh && real->about & EFFECTS_OF_NETWORK;
	count_paths(real, &entity, fresh, ret);
	if (fresh) {
		measure(real, &entity, ret);
		if (!link && real->about & EFFECTS_OF_PORTS)
			read_ports(real, view, &entity, ret);
		return;
	}
	uint32_t place;
	size_t target;
	ends_of(real, &entity, &place, &target);
	ret->round_trip = open_between(real, place, target)
				  ? atomic_load(&seen_at(real->network, place, target)->round_trip)
				  : NANOS_NEVER;
}
