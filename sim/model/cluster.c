/* SPDX-License-Identifier: Apache-2.0 */
/* Sites, racks, nodes, GPUs and links: what holds them down, what can be seen of them, how effects
 * come and go. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/diagnosis.h"
#include "sim/model/world.h"

#define ROUND_TRIP_BASE NANOS_MS /* from the controller to a site without any delay */

/* ---- who is up, who can be reached ---- */

bool node_up(const struct world *w, uint32_t node)
{
	return w->nodes[node].power_off == 0 && w->nodes[node].crashed == 0;
}

bool site_alive(const struct world *w, uint32_t site)
{
	const struct site *config = &w->scenario->deployment.sites[site];
	for (uint32_t n = 0; n < config->nodes; n++)
		if (node_up(w, w->sites[site].first_node + n))
			return true;
	return false;
}

bool site_reachable(const struct world *w, uint32_t site)
{
	return w->sites[site].cut == 0;
}

bool link_open(const struct world *w, size_t link)
{
	return w->links[link].cut == 0 && w->scenario->deployment.links[link].loss < 1;
}

bool sites_connected(const struct world *w, uint32_t a, uint32_t b)
{
	if (a == b)
		return true;
	int link = scenario_link_between(w->scenario, a, b);
	return w->sites[a].cut == 0 && w->sites[b].cut == 0 &&
	       (link < 0 || link_open(w, (size_t)link));
}

nanos sites_way(const struct world *w, uint32_t a, uint32_t b)
{
	if (a == b)
		return 0;
	int link = scenario_link_between(w->scenario, a, b);
	nanos added = w->sites[a].delay + w->sites[b].delay;
	nanos latency = 0;
	if (link >= 0) {
		added += w->links[link].delay;
		latency = w->scenario->deployment.links[link].latency;
	}
	return latency + added / 2; /* kept for round trips */
}

bool site_usable(const struct world *w, uint32_t site)
{
	return w->sites[site].standby_out == 0 && site_reachable(w, site) && site_alive(w, site);
}

void cluster_reset(struct world *w)
{
	memset(w->nodes, 0, w->node_count * sizeof(*w->nodes));
	for (uint32_t s = 0; s < w->scenario->deployment.site_count; s++) {
		struct site_state *site = &w->sites[s];
		uint32_t first = site->first_node, port = site->port, uplink = site->uplink;
		*site = (struct site_state){.first_node = first, .port = port, .uplink = uplink};
	}
	for (size_t l = 0; l < w->scenario->deployment.link_count; l++)
		w->links[l] = (struct link_state){.resource = w->links[l].resource};
	w->token_count = 0;
}

void cluster_changed(struct world *w)
{
	replicas_look(w);
	storage_look(w);
	load_look_all(w);
	actions_look(w);
}

/* ---- which nodes an entity stands for ---- */

struct range {
	uint32_t first, end; /* in world.nodes */
};

static struct range nodes_of(const struct world *w, struct entity entity)
{
	const struct deployment *deployment = &w->scenario->deployment;
	if (entity.site >= deployment->site_count)
		return (struct range){0, 0};
	const struct site *site = &deployment->sites[entity.site];
	uint32_t base = w->sites[entity.site].first_node;
	switch (entity.kind) {
	case ENTITY_SITE:
	case ENTITY_STANDBY:
		return (struct range){base, base + site->nodes};
	case ENTITY_RACK: {
		/* node n stands in rack n * racks / nodes */
		uint64_t r = (uint64_t)entity.index, racks = site->racks ? site->racks : 1;
		uint32_t from = (uint32_t)((r * site->nodes + racks - 1) / racks);
		uint32_t to = (uint32_t)(((r + 1) * site->nodes + racks - 1) / racks);
		return (struct range){base + from, base + to};
	}
	case ENTITY_NODE:
	case ENTITY_GPU:
		return (struct range){base + (uint32_t)entity.index,
				      base + (uint32_t)entity.index + 1};
	case ENTITY_NONE:
	case ENTITY_LINK:
	case ENTITY_STORE:
	case ENTITY_ENDPOINT:
	case ENTITY_REPLICA:
	case ENTITY_JOB:
	case ENTITY_DATA:
	case ENTITY_BACKUP:
		break;
	}
	return (struct range){0, 0};
}

/* ---- effects ---- */

static void power(struct world *w, struct entity entity, int by)
{
	struct range range = nodes_of(w, entity);
	for (uint32_t n = range.first; n < range.end; n++)
		w->nodes[n].power_off = (uint16_t)(w->nodes[n].power_off + by);
}

static void cut(struct world *w, struct entity entity, int by)
{
	if (entity.kind == ENTITY_LINK) {
		w->links[entity.index].cut = (uint16_t)(w->links[entity.index].cut + by);
	} else if (entity.kind == ENTITY_NODE) {
		struct node *node = &w->nodes[nodes_of(w, entity).first];
		node->cut = (uint16_t)(node->cut + by);
	} else {
		w->sites[entity.site].cut = (uint16_t)(w->sites[entity.site].cut + by);
	}
}

/* The effect is on each packet, what is kept is for a round trip: two packets, whose deviations are
 * independent of each other. */
static void delay(struct world *w, const struct effect *effect, int by)
{
	struct entity entity = effect->entity;
	nanos *to = &w->sites[entity.site].delay, *spread = &w->sites[entity.site].jitter;
	if (entity.kind == ENTITY_LINK) {
		to = &w->links[entity.index].delay;
		spread = NULL; /* it averages out over the many packets of a transfer */
	} else if (entity.kind == ENTITY_NODE) {
		struct node *node = &w->nodes[nodes_of(w, entity).first];
		to = &node->delay;
		spread = &node->jitter;
	}
	*to += by * 2 * effect->amount;
	if (spread)
		*spread += by * (nanos)llround(sqrt(2) * (double)effect->spread);
}

/* Replicas that an effect on a replica, an endpoint (those at `site`) or a GPU means. */
static bool is_of(const struct world *w, const struct replica *replica, struct entity entity,
		  uint32_t site)
{
	switch (entity.kind) {
	case ENTITY_REPLICA:
		return replica->home && replica->endpoint == (uint32_t)entity.index &&
		       replica->ordinal == entity.part;
	case ENTITY_ENDPOINT:
		return replica->endpoint == (uint32_t)entity.index && replica->site == site;
	case ENTITY_GPU: {
		uint32_t count =
			w->scenario->deployment.endpoints[replica->endpoint].gpus_per_replica;
		return replica->node == nodes_of(w, entity).first && entity.part >= replica->gpu &&
		       entity.part < replica->gpu + count;
	}
	case ENTITY_SITE:
	case ENTITY_STANDBY:
	case ENTITY_RACK:
	case ENTITY_NODE: {
		struct range range = nodes_of(w, entity);
		return replica->node != NODE_NONE && replica->node >= range.first &&
		       replica->node < range.end;
	}
	case ENTITY_NONE:
	case ENTITY_LINK:
	case ENTITY_STORE:
	case ENTITY_JOB:
	case ENTITY_DATA:
	case ENTITY_BACKUP:
		break;
	}
	return false;
}

/* As seen now: an endpoint is where its traffic goes. */
static bool replica_matches(const struct world *w, const struct replica *replica,
			    struct entity entity)
{
	bool of_endpoint = entity.kind == ENTITY_ENDPOINT;
	return is_of(w, replica, entity, of_endpoint ? w->services[entity.index].route : 0);
}

/* As it was when the effect came: what it broke stays there when the traffic moves on. */
static bool was_hit(const struct world *w, const struct replica *replica, const struct token *token)
{
	return is_of(w, replica, token->effect.entity, token->site);
}

static void exit_matching(struct world *w, struct entity entity)
{
	for (uint32_t r = 0; r < w->replica_count; r++)
		if (replica_matches(w, &w->replicas[r], entity) &&
		    w->replicas[r].stage != STAGE_NONE)
			replica_exit(w, r);
}

static bool gpu_gone(struct world *w, struct entity entity, bool gone)
{
	struct node *node = &w->nodes[nodes_of(w, entity).first];
	uint64_t bit = (uint64_t)1 << entity.part;
	bool changed = ((node->gpus_gone & bit) != 0) != gone;
	node->gpus_gone = gone ? node->gpus_gone | bit : node->gpus_gone & ~bit;
	return changed;
}

static void xid(struct world *w, struct token *token)
{
	struct entity entity = token->effect.entity;
	struct node *node = &w->nodes[nodes_of(w, entity).first];
	const struct xid_row *row = xid_find((uint32_t)token->effect.amount);
	token->changed = false;
	if (!node_up(w, nodes_of(w, entity).first))
		return; /* a node that is down logs nothing */
	node->xid = (uint16_t)token->effect.amount;
	node->xid_lines++;
	if (row && row->hits == XID_GPU)
		token->changed = gpu_gone(w, entity, true);
	else if (row && row->hits == XID_PROCESS)
		exit_matching(w, entity);
}

static void flip_data(struct world *w, struct token *token, bool on)
{
	struct effect *effect = &token->effect;
	uint64_t bits = (uint64_t)effect->amount, *flips = NULL;
	if (effect->entity.kind == ENTITY_REPLICA) {
		for (uint32_t r = 0; r < w->replica_count; r++)
			if (replica_matches(w, &w->replicas[r], effect->entity) &&
			    (w->replicas[r].stage == STAGE_RUNNING || !on))
				flips = &w->replicas[r].flips;
	} else {
		flips = &w->sites[world_data_site(w)].flips[effect->entity.index];
	}
	if (!flips)
		return;
	if (on)
		*flips += bits;
	else
		*flips -= *flips < bits ? *flips
					: bits; /* a good copy may have replaced it meanwhile */
}

static void flip_backup(struct world *w, struct token *token, bool on)
{
	struct effect *effect = &token->effect;
	int32_t id = effect->entity.index;
	if (on) /* which one `backup[-1]` is, is settled here; a fault must be undone on the same
		   one */
		effect->entity.index = id = storage_backup_by_index(w, id);
	if (id < 0)
		return;
	if (on)
		w->backups[id].flips += (uint64_t)effect->amount;
	else
		w->backups[id].flips -= (uint64_t)effect->amount;
}

static void change(struct world *w, struct token *token, bool on)
{
	struct effect *effect = &token->effect;
	struct entity entity = effect->entity;
	int by = on ? 1 : -1;
	struct node *node = &w->nodes[nodes_of(w, entity).first];
	switch (effect->kind) {
	case EFFECT_GPU_GONE:
		if (on)
			token->changed = gpu_gone(w, entity, true);
		else if (token->changed)
			gpu_gone(w, entity, false);
		break;
	case EFFECT_GPU_XID:
		if (on)
			xid(w, token);
		else if (token->changed)
			gpu_gone(w, entity, false);
		if (!on && node->xid == effect->amount)
			node->xid =
				0; /* mended: set healthy, as the health daemon's operators do */
		break;
	case EFFECT_POWER_OFF:
		power(w, entity, by);
		break;
	case EFFECT_NODE_CRASH:
		node->crashed = (uint16_t)(node->crashed + by);
		break;
	case EFFECT_NODE_FREEZE:
		node->frozen = (uint16_t)(node->frozen + by);
		break;
	case EFFECT_NET_CUT:
		cut(w, entity, by);
		break;
	case EFFECT_NET_DELAY:
		delay(w, effect, by);
		break;
	case EFFECT_PROC_EXIT:
		if (on)
			exit_matching(w, entity);
		break;
	case EFFECT_DATA_FLIP:
		flip_data(w, token, on);
		break;
	case EFFECT_BACKUP_FLIP:
		flip_backup(w, token, on);
		break;
	case EFFECT_STANDBY_OUT:
		w->sites[entity.site].standby_out =
			(uint16_t)(w->sites[entity.site].standby_out + by);
		break;
	case EFFECT_GPU_SLOW:
	case EFFECT_GPU_WRONG:
	case EFFECT_NODE_REBOOT:
	case EFFECT_SERVE_ERROR:
	case EFFECT_SERVE_SLOW:
	case EFFECT_PROC_FREEZE:
	case EFFECT_PROC_LOOP:
	case EFFECT_START_SLOW:
	case EFFECT_REPLICA_UNREADY:
	case EFFECT_NET_LOSS:
	case EFFECT_NET_RATE:
	case EFFECT_NET_FLAP:
	case EFFECT_NET_DROP:
	case EFFECT_DISK_FULL:
	case EFFECT_DISK_ERROR:
	case EFFECT_DISK_RATE:
	case EFFECT_DISK_READONLY:
	case EFFECT_DATA_CUT:
	case EFFECT_DATA_OLD:
	case EFFECT_DATA_SEALED:
	case EFFECT_DATA_GONE:
	case EFFECT_BACKUP_GONE:
	case EFFECT_BACKUP_OLD:
	case EFFECT_BACKUP_FAIL:
	case EFFECT_RESTORE_STOP:
	case EFFECT_RESTORE_RATE:
	case EFFECT_STORE_OUT:
	case EFFECT_STORE_RATE:
	case EFFECT_STANDBY_SMALL:
	case EFFECT_NO_CAPACITY:
	case EFFECT_REPL_LAG:
	case EFFECT_SPLIT_BRAIN:
	case EFFECT_CLOCK_SKEW:
	case EFFECT_API_OUT:
	case EFFECT_LOAD_SURGE:
	case EFFECT_MODEL_BAD:
	case EFFECT_CKPT_FLIP:
	case EFFECT_CKPT_SHARD:
	case EFFECT_CKPT_TORN:
	case EFFECTS:
		break;
	}
}

void cluster_apply(struct world *w, const struct effect *effect, uint64_t *ret_token)
{
	w->tokens = arena_grow(&w->arena, w->tokens, w->token_count, &w->token_capacity,
			       sizeof(*w->tokens));
	struct token *token = &w->tokens[w->token_count++];
	*token = (struct token){.active = true, .effect = *effect};
	if (effect->entity.kind == ENTITY_ENDPOINT)
		token->site = w->services[effect->entity.index].route;
	*ret_token = w->token_count;
	change(w, token, true);
	cluster_changed(w);
}

/* What was broken comes back; processes that died of it are started again by those who mended it.
 */
void cluster_revert(struct world *w, uint64_t id)
{
	struct token *token = &w->tokens[id - 1];
	if (!token->active)
		return;
	token->active = false;
	change(w, token, false);
	for (uint32_t r = 0; r < w->replica_count; r++)
		if (was_hit(w, &w->replicas[r], token))
			replica_revive(w, r);
	cluster_changed(w);
}

bool cluster_present(const struct world *w, uint64_t id)
{
	const struct token *token = &w->tokens[id - 1];
	bool process = token->effect.kind == EFFECT_PROC_EXIT;
	if (!token->active)
		return false;
	if (token->effect.kind == EFFECT_GPU_XID) {
		const struct xid_row *row = xid_find((uint32_t)token->effect.amount);
		if (token->changed)
			return true;
		process = row && row->hits == XID_PROCESS;
		if (!process)
			return false; /* a line in a log: nothing that could be there any more */
	}
	if (!process)
		return true;
	/* A process that was killed is gone until it runs again, and then nothing of the fault is
	 * left. */
	for (uint32_t r = 0; r < w->replica_count; r++)
		if (was_hit(w, &w->replicas[r], token) && w->replicas[r].stage != STAGE_RUNNING)
			return true;
	return false;
}

/* ---- readings ---- */

static uint32_t count_bits(uint64_t word)
{
	return (uint32_t)__builtin_popcountll(word);
}

static void read_nodes(const struct world *w, struct entity entity, struct range range,
		       struct reading *ret)
{
	const struct site *site = &w->scenario->deployment.sites[entity.site];
	for (uint32_t n = range.first; n < range.end; n++) {
		const struct node *node = &w->nodes[n];
		bool up = node_up(w, n),
		     connected = node->cut == 0 && w->sites[entity.site].cut == 0;
		uint64_t gone = node->gpus_gone;
		uint32_t gpus = site->gpus;
		if (entity.kind == ENTITY_GPU) {
			gone &= (uint64_t)1 << entity.part;
			gpus = 1;
		}
		ret->nodes++;
		ret->nodes_powered += node->power_off == 0;
		ret->nodes_reachable += up && connected;
		ret->nodes_responding += up && node->frozen == 0 && connected;
		ret->gpus += gpus;
		ret->gpus_visible += up ? gpus - count_bits(gone) : 0;
		ret->xid_lines += node->xid_lines;
		if (node->xid)
			ret->xid = node->xid;
	}
}

static void read_replicas(const struct world *w, struct entity entity, struct reading *ret)
{
	for (uint32_t r = 0; r < w->replica_count; r++) {
		const struct replica *replica = &w->replicas[r];
		if (!replica_matches(w, replica, entity))
			continue;
		ret->replicas++;
		ret->replicas_ready += replica->stage == STAGE_RUNNING;
		ret->processes += replica->stage == STAGE_RUNNING ||
				  replica->stage == STAGE_STARTING ||
				  replica->stage == STAGE_LOADING;
		ret->process_starts += replica->starts;
		ret->copies += replica->stage == STAGE_RUNNING;
		ret->digest_mismatches += replica->flips;
	}
}

static void read_path(const struct world *w, struct entity entity, struct reading *ret)
{
	bool open = true;
	nanos trip = ROUND_TRIP_BASE;
	if (entity.kind == ENTITY_LINK) {
		const struct link *link = &w->scenario->deployment.links[entity.index];
		open = link_open(w, (size_t)entity.index);
		trip = 2 * link->latency + w->links[entity.index].delay;
	} else {
		open = w->sites[entity.site].cut == 0;
		trip += w->sites[entity.site].delay;
		if (entity.kind == ENTITY_NODE || entity.kind == ENTITY_GPU) {
			const struct node *node = &w->nodes[nodes_of(w, entity).first];
			open = open && node->cut == 0;
			trip += node->delay;
		}
	}
	ret->paths++;
	ret->paths_open += open;
	ret->round_trip = open ? trip : NANOS_NEVER;
}

static void read_backup(const struct world *w, struct entity entity, struct reading *ret)
{
	int32_t id = storage_backup_by_index(w, entity.index);
	if (id < 0)
		return;
	ret->copies = 1;
	ret->digest_mismatches = w->backups[id].flips;
}

void cluster_read(struct world *w, struct entity entity, struct reading *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->at = world_now(w);
	switch (entity.kind) {
	case ENTITY_SITE:
	case ENTITY_STANDBY:
		ret->usable = site_usable(w, entity.site);
		for (int c = 0; c < DATA_CLASSES; c++)
			ret->digest_mismatches += w->sites[entity.site].flips[c];
		__attribute__((fallthrough));
	case ENTITY_RACK:
	case ENTITY_NODE:
	case ENTITY_GPU:
		read_nodes(w, entity, nodes_of(w, entity), ret);
		read_replicas(w, entity, ret);
		read_path(w, entity, ret);
		break;
	case ENTITY_LINK:
		read_path(w, entity, ret);
		break;
	case ENTITY_ENDPOINT:
	case ENTITY_REPLICA:
		read_replicas(w, entity, ret);
		break;
	case ENTITY_DATA:
		ret->copies = 1;
		ret->digest_mismatches = w->sites[world_data_site(w)].flips[entity.index];
		break;
	case ENTITY_BACKUP:
		read_backup(w, entity, ret);
		break;
	case ENTITY_STORE:
		ret->usable = site_usable(w, w->scenario->deployment.store.site);
		break;
	case ENTITY_NONE:
	case ENTITY_JOB:
		break;
	}
}
