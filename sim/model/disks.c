/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What breaks on disks beside space and speed: operations that fail, take longer or do not come
 * back, blocks that cannot be read, inodes, and what a crash takes. Paths and numbers of single
 * operations are left out: the model has none, so that an effect hits its share of all of them.
 */
#include <math.h>

#include "sim/model/world.h"

/* A large file is read in pieces, one at a time: 1 MiB, as the read-ahead of network and cluster
 * file systems is, and the part size of object stores and more. */
#define PIECE ((double)(1 << 20))
#define INODE_PRESSURE (EFFECT_PPM / 20) /* kubelet's nodefs.inodesFree<5% */

static double share_of(const struct effect *effect)
{
	return (double)effect->amount / EFFECT_PPM;
}

static struct node *node_of(struct world *w, struct entity entity)
{
	return &w->nodes[nodes_of(w, entity).first];
}

static void count(uint16_t *counter, bool on)
{
	*counter = (uint16_t)(*counter + (on ? 1 : -1));
}

struct entity node_entity(const struct world *w, uint32_t node)
{
	uint32_t site = 0;
	while (site + 1 < w->scenario->deployment.site_count &&
	       w->sites[site + 1].first_node <= node)
		site++;
	return (struct entity){.kind = ENTITY_NODE,
			       .site = site,
			       .index = (int32_t)(node - w->sites[site].first_node)};
}

/* Of what `files` does once each, at least one fails. */
double disk_errors(const struct world *w, struct entity entity, uint32_t files)
{
	double well = 1;
	for (size_t k = 0; k < w->standing_count; k++) {
		const struct effect *effect = condition_standing(w, k, EFFECT_IO_ERROR);
		if (effect && entity_equal(effect->entity, entity))
			well *= pow(1 - share_of(effect),
				    __builtin_popcount(files & effect->operations->files));
	}
	return 1 - well;
}

/* By so much what `files` does once each takes longer; the mean, where there is jitter. */
nanos disk_added(const struct world *w, struct entity entity, uint32_t files)
{
	nanos added = 0;
	for (size_t k = 0; k < w->standing_count; k++) {
		const struct effect *effect = condition_standing(w, k, EFFECT_IO_LATENCY);
		if (effect && entity_equal(effect->entity, entity))
			added += effect->amount *
				 __builtin_popcount(files & effect->operations->files);
	}
	return added;
}

bool disk_has_bad_blocks(const struct world *w, struct entity entity)
{
	for (size_t k = 0; k < w->standing_count; k++) {
		const struct effect *effect = condition_standing(w, k, EFFECT_DISK_BADBLOCKS);
		if (effect && entity_equal(effect->entity, entity))
			return true;
	}
	return false;
}

/* Each piece takes so much longer: what is left of `rate`, which INFINITY leaves to others. */
double disk_left(const struct world *w, struct entity entity, double rate, uint32_t files)
{
	double piece = PIECE * w->scenario->scale.bytes_scale;
	nanos added = w->standing_count > 0 ? disk_added(w, entity, files) : 0;
	return added > 0 ? piece / (piece / rate + (double)added / 1e9) : rate;
}

/* ---- effects that come and go ---- */

static uint16_t *hanging(struct world *w, const struct token *token)
{
	bool store = token->effect.entity.kind == ENTITY_STORE;
	return store ? &w->store.hanging : &node_of(w, token->effect.entity)->disk_hanging;
}

static uint16_t *failing(struct world *w, const struct token *token)
{
	bool store = token->effect.entity.kind == ENTITY_STORE;
	return store ? &w->store.failing : &node_of(w, token->effect.entity)->disk_failing;
}

/* What was held until now fails, and what comes fails at once. */
static void timed_out(void *context, uint64_t id, nanos now)
{
	struct world *w = context;
	struct token *token = &w->tokens[id - 1];
	(void)now;
	token->event = EVENT_NONE;
	token->changed = true;
	count(hanging(w, token), false);
	count(failing(w, token), true);
	cluster_changed(w);
}

void disk_change_hang(struct world *w, struct token *token, bool on)
{
	engine_cancel(w->engine, token->event);
	token->event = EVENT_NONE;
	count(!on && token->changed ? failing(w, token) : hanging(w, token), on);
	token->changed = false;
	if (on && token->effect.amount > 0)
		token->event = engine_at(w->engine, world_now(w) + token->effect.amount, timed_out,
					 w, (uint64_t)(token - w->tokens) + 1);
}

/* What is on the store cannot be read as it was written; what is written from now on can. Of a
 * node it is a condition. */
void disk_change_badblocks(struct world *w, struct token *token, bool on)
{
	uint64_t ranges = (uint64_t)token->effect.spread;
	if (token->effect.entity.kind != ENTITY_STORE)
		return;
	if (on)
		token->since = world_now(w);
	for (size_t i = 0; i < w->backup_count; i++)
		if (w->backups[i].ok && w->backups[i].as_of <= token->since)
			w->backups[i].flips += on ? ranges : -ranges;
	jobs_badblocks(w, token->since, ranges, on);
}

void disk_change_inodes(struct world *w, struct token *token, bool on)
{
	bool store = token->effect.entity.kind == ENTITY_STORE;
	if (!store && token->effect.amount < INODE_PRESSURE)
		count(&node_of(w, token->effect.entity)->disk_low, on);
	if (token->effect.amount == 0)
		count(store ? &w->store.no_inodes : &node_of(w, token->effect.entity)->no_inodes,
		      on);
}

/* ---- what a crash takes ---- */

/* Records that were acknowledged on this node go to its disk: the input and output log of the data
 * site's replicas. */
static bool keeps_log(const struct world *w, uint32_t node)
{
	if (!w->scenario->deployment.data[DATA_IO].declared)
		return false;
	for (uint32_t r = 0; r < w->replica_count; r++) {
		const struct replica *replica = &w->replicas[r];
		if (replica->node == node && replica->site == world_data_site(w) &&
		    world_domain(w, replica->endpoint) == DOMAIN_OF_DATA)
			return true;
	}
	return false;
}

/* Where these records were is a hole: one more damaged place of the log. Who syncs before it
 * answers loses nothing to a disk that keeps what was synced. */
void disk_crashed(struct world *w, uint32_t node)
{
	struct damage_state *damage = &w->sites[world_data_site(w)].damage[DATA_IO];
	for (size_t k = 0; k < w->standing_count; k++) {
		struct token *token = &w->tokens[w->standing[k]];
		if (token->effect.kind != EFFECT_FS_UNSYNCED || !token->effect.spread ||
		    token->changed || nodes_of(w, token->effect.entity).first != node ||
		    !keeps_log(w, node))
			continue;
		token->changed = true;
		token->copy = damage->copy;
		damage->flips++;
	}
}

/* Who mends the disk mends what it had damaged, where no good copy has replaced that already. */
void disk_change_unsynced(struct world *w, struct token *token, bool on)
{
	struct damage_state *damage = &w->sites[world_data_site(w)].damage[DATA_IO];
	if (!on && token->changed && token->copy == damage->copy)
		damage->flips--;
	token->changed = false;
}

/* At once: while requests come, records are written. The record that is torn is a damaged place of
 * the log; what runs on the node ends. */
void disk_change_torn(struct world *w, struct token *token, bool on)
{
	struct damage_state *damage = &w->sites[world_data_site(w)].damage[DATA_IO];
	uint32_t node = nodes_of(w, token->effect.entity).first;
	if (!on) {
		disk_change_unsynced(w, token, false);
		return;
	}
	if (!node_up(w, node) || !keeps_log(w, node))
		return;
	token->changed = true;
	token->copy = damage->copy;
	damage->flips++;
	w->nodes[node].writes_torn++;
	for (uint32_t r = 0; r < w->replica_count; r++)
		if (w->replicas[r].node == node && w->replicas[r].stage != STAGE_NONE)
			replica_exit(w, r);
}

bool disk_unsynced(const struct world *w, struct entity entity)
{
	for (size_t k = 0; k < w->standing_count; k++) {
		const struct effect *effect = condition_standing(w, k, EFFECT_FS_UNSYNCED);
		if (effect && entity_equal(effect->entity, entity))
			return true;
	}
	return false;
}
