/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Effects come and go: one function for each kind says what it changes, on the way in and on the
 * way out. Counters, not flags, so that two faults on one thing do not mend each other; a strength
 * that has to be weighed against others (a rate, a share) is not kept here but looked up in
 * conditions.c while the effect stands.
 */
#include <math.h>

#include "core/diagnosis.h"
#include "sim/model/world.h"

static struct node *node_of(struct world *w, struct entity entity)
{
	return &w->nodes[nodes_of(w, entity).first];
}

static void count(uint16_t *counter, bool on)
{
	*counter = (uint16_t)(*counter + (on ? 1 : -1));
}

/* As it was when the effect came: what it broke stays there when the traffic moves on. */
static bool was_hit(const struct world *w, const struct replica *replica, const struct token *token)
{
	return replica_is_of(w, replica, token->effect.entity, token->site);
}

/* ---- hardware ---- */

static void gpu_gone(struct world *w, struct entity entity, bool on)
{
	struct node *node = node_of(w, entity);
	uint64_t bit = (uint64_t)1 << entity.part;
	count(&node->gone_by[entity.part], on);
	node->gpus_gone =
		node->gone_by[entity.part] ? node->gpus_gone | bit : node->gpus_gone & ~bit;
}

static void change_gpu_gone(struct world *w, struct token *token, bool on)
{
	gpu_gone(w, token->effect.entity, on);
}

static void exit_matching(struct world *w, struct entity entity)
{
	for (uint32_t r = 0; r < w->replica_count; r++)
		if (replica_matches(w, &w->replicas[r], entity) &&
		    w->replicas[r].stage != STAGE_NONE)
			replica_exit(w, r);
	jobs_exit(w, entity);
}

static void oom_matching(struct world *w, struct entity entity)
{
	for (uint32_t r = 0; r < w->replica_count; r++)
		if (replica_matches(w, &w->replicas[r], entity))
			replica_oom(w, r);
	jobs_oom(w, entity);
}

static void log_xid(struct world *w, struct token *token)
{
	struct entity entity = token->effect.entity;
	struct node *node = node_of(w, entity);
	const struct xid_row *row = xid_find((uint32_t)token->effect.amount);
	token->changed = false;
	if (!node_up(w, nodes_of(w, entity).first))
		return; /* a node that is down logs nothing */
	node->xid = (uint16_t)token->effect.amount;
	node->xid_lines++;
	token->changed = row && row->hits == XID_GPU;
	if (token->changed)
		gpu_gone(w, entity, true);
	else if (row && row->hits == XID_PROCESS)
		exit_matching(w, entity);
}

static void change_xid(struct world *w, struct token *token, bool on)
{
	struct node *node = node_of(w, token->effect.entity);
	if (on) {
		log_xid(w, token);
		return;
	}
	if (token->changed)
		gpu_gone(w, token->effect.entity, false);
	if (node->xid == token->effect.amount)
		node->xid = 0; /* mended: set healthy, as the health daemon's operators do */
}

static void change_power(struct world *w, struct token *token, bool on)
{
	struct node_range range = nodes_of(w, token->effect.entity);
	for (uint32_t n = range.first; n < range.end; n++) {
		if (on && node_up(w, n))
			disk_crashed(w, n);
		count(&w->nodes[n].power_off, on);
	}
}

/* A reboot in good order syncs all disks before. */
static void change_crash(struct world *w, struct token *token, bool on)
{
	uint32_t n = nodes_of(w, token->effect.entity).first;
	bool orderly = token->effect.kind == EFFECT_NODE_REBOOT && token->effect.spread;
	if (on && node_up(w, n) && !orderly)
		disk_crashed(w, n);
	count(&w->nodes[n].crashed, on);
}

static void change_freeze(struct world *w, struct token *token, bool on)
{
	count(&node_of(w, token->effect.entity)->frozen, on);
}

static void booted(void *context, uint64_t id, nanos now)
{
	struct world *w = context;
	(void)now;
	w->tokens[id - 1].event = EVENT_NONE;
	effect_revert(w, id);
	engine_stop(w->engine); /* the run loop wants to see that it is over */
}

/* A node that goes down in good order has left the gateway's rotation before. */
static void change_reboot(struct world *w, struct token *token, bool on)
{
	struct node_range range = nodes_of(w, token->effect.entity);
	change_crash(w, token, on);
	engine_cancel(w->engine, token->event);
	token->event = EVENT_NONE;
	if (!on)
		return;
	for (uint32_t r = 0; r < w->replica_count && token->effect.spread; r++)
		if (w->replicas[r].node == range.first)
			w->replicas[r].routable = false;
	token->event = engine_at(w->engine, world_now(w) + token->effect.amount, booted, w,
				 (uint64_t)(token - w->tokens) + 1);
}

/* ---- the network ---- */

static void cut(struct world *w, struct entity entity, bool on)
{
	if (entity.kind == ENTITY_LINK)
		count(&w->links[entity.index].cut, on);
	else if (entity.kind == ENTITY_NODE)
		count(&node_of(w, entity)->cut, on);
	else
		count(&w->sites[entity.site].cut, on);
}

static void change_cut(struct world *w, struct token *token, bool on)
{
	struct entity entity = token->effect.entity;
	if (!wire_is_shaped(&token->effect)) {
		cut(w, entity, on);
		return;
	}
	w->parted += on ? 1 : -(size_t)1;
	if (entity.kind == ENTITY_NODE)
		count(&node_of(w, entity)->parted, on);
	else
		count(&w->sites[entity.site].parted, on);
}

static void turned(void *context, uint64_t id, nanos now)
{
	struct world *w = context;
	struct token *token = &w->tokens[id - 1];
	const struct effect *effect = &token->effect;
	token->down = !token->down;
	cut(w, effect->entity, token->down);
	token->event = engine_at(w->engine, now + (token->down ? effect->amount : effect->spread),
				 turned, w, id);
	cluster_changed(w);
}

static void change_flap(struct world *w, struct token *token, bool on)
{
	engine_cancel(w->engine, token->event);
	token->event = EVENT_NONE;
	if (on || token->down)
		cut(w, token->effect.entity, on);
	token->down = on;
	if (on)
		token->event = engine_at(w->engine, world_now(w) + token->effect.amount, turned, w,
					 (uint64_t)(token - w->tokens) + 1);
}

/* The effect is on each packet, what is kept is for a round trip: two packets, whose deviations are
 * independent of each other. */
static void delay(struct world *w, struct entity entity, nanos amount, nanos jitter, bool on)
{
	int by = on ? 1 : -1;
	nanos *to = &w->sites[entity.site].delay, *spread = &w->sites[entity.site].jitter;
	if (entity.kind == ENTITY_LINK) {
		to = &w->links[entity.index].delay;
		spread = NULL; /* it averages out over the many packets of a transfer */
	} else if (entity.kind == ENTITY_NODE) {
		to = &node_of(w, entity)->delay;
		spread = &node_of(w, entity)->jitter;
	}
	*to += by * 2 * amount;
	if (spread)
		*spread += by * (nanos)llround(sqrt(2) * (double)jitter);
}

static void change_delay(struct world *w, struct token *token, bool on)
{
	delay(w, token->effect.entity, token->effect.amount, token->effect.spread, on);
}

static void change_reorder(struct world *w, struct token *token, bool on)
{
	delay(w, token->effect.entity, wire_held(&token->effect), 0, on);
}

static void change_width(struct world *w, struct token *token, bool on)
{
	(void)token;
	w->narrowed |= on;
}

/* Those that are open, and whoever comes: its checks by the gateway too. With a time-out only what
 * takes longer meets it, which is a condition. */
static void change_reset(struct world *w, struct token *token, bool on)
{
	struct entity entity = token->effect.entity;
	struct node_range range = nodes_of(w, entity);
	for (uint32_t n = range.first; n < range.end && on; n++)
		w->nodes[n].resets += node_up(w, n);
	if (token->effect.amount > 0)
		return;
	if (entity.kind == ENTITY_NODE)
		count(&node_of(w, entity)->reset, on);
	else
		count(&w->sites[entity.site].reset, on);
}

static void change_drop(struct world *w, struct token *token, bool on)
{
	struct entity entity = token->effect.entity;
	if (entity.kind == ENTITY_NODE)
		count(&node_of(w, entity)->dropped, on);
	else
		count(&w->sites[entity.site].dropped, on);
}

/* ---- processes ---- */

static void change_exit(struct world *w, struct token *token, bool on)
{
	if (on)
		exit_matching(w, token->effect.entity);
}

static void change_oom(struct world *w, struct token *token, bool on)
{
	if (on)
		oom_matching(w, token->effect.entity);
}

/* How much is left is a condition; the killer comes when it is too little. */
static void change_memory(struct world *w, struct token *token, bool on)
{
	if (on && node_starved(w, nodes_of(w, token->effect.entity).first))
		replicas_starve(w, token->effect.entity);
}

/* Of replicas it is a condition; a job knows which of its processes were stopped. */
static void change_stop(struct world *w, struct token *token, bool on)
{
	if (on)
		token->generation = jobs_stop(w, token->effect.entity);
	else
		jobs_go_on(w, token->effect.entity, token->generation);
}

/* Which one `ckpt[-1]` is, is settled when the effect comes. */
static void change_checkpoint(struct world *w, struct token *token, bool on)
{
	struct entity *entity = &token->effect.entity;
	if (on)
		entity->part = (uint32_t)jobs_save_by_index(w, (uint32_t)entity->index,
							    (int32_t)entity->part);
	jobs_damage(w, &token->effect, on);
}

/* ---- disks and the store ---- */

/* kubelet's nodefs.available<10% */
#define DISK_PRESSURE (EFFECT_PPM / 10)

static void change_disk_full(struct world *w, struct token *token, bool on)
{
	bool store = token->effect.entity.kind == ENTITY_STORE;
	if (!store && token->effect.amount < DISK_PRESSURE)
		count(&node_of(w, token->effect.entity)->disk_low, on);
	if (token->effect.amount > 0)
		return;
	count(store ? &w->store.full : &node_of(w, token->effect.entity)->disk_full, on);
}

static void change_disk_error(struct world *w, struct token *token, bool on)
{
	bool store = token->effect.entity.kind == ENTITY_STORE;
	count(store ? &w->store.failing : &node_of(w, token->effect.entity)->disk_failing, on);
}

static void change_disk_readonly(struct world *w, struct token *token, bool on)
{
	bool store = token->effect.entity.kind == ENTITY_STORE;
	count(store ? &w->store.readonly : &node_of(w, token->effect.entity)->disk_readonly, on);
}

static void change_store_out(struct world *w, struct token *token, bool on)
{
	(void)token;
	count(&w->store.out, on);
}

static void change_backup_fail(struct world *w, struct token *token, bool on)
{
	(void)token;
	count(&w->store.jobs_failing, on);
}

static void change_restore_stop(struct world *w, struct token *token, bool on)
{
	(void)token;
	if (on)
		storage_stop_restores(w);
}

/* ---- data and backups ---- */

static void damage(uint32_t *counter, bool on)
{
	*counter += on ? 1 : -1u;
}

/* Of the weights in a replica's memory: a fresh copy comes with its next start. */
static void flip_replica(struct world *w, struct token *token, bool on)
{
	uint64_t bits = (uint64_t)token->effect.amount;
	for (uint32_t r = 0; r < w->replica_count; r++) {
		struct replica *replica = &w->replicas[r];
		if (!replica_matches(w, replica, token->effect.entity))
			continue;
		if (on && replica->stage == STAGE_RUNNING) {
			token->copy = replica->starts;
			replica->flips += bits;
		} else if (!on && token->copy == replica->starts) {
			replica->flips -= bits;
		}
	}
}

/* The content that the effect damages; NULL: a good copy has replaced it, nothing is left. */
static struct damage_state *damage_of(struct world *w, struct token *token, bool on)
{
	struct damage_state *damage =
		&w->sites[world_data_site(w)].damage[token->effect.entity.index];
	if (on)
		token->copy = damage->copy;
	return token->copy == damage->copy ? damage : NULL;
}

static void change_data_flip(struct world *w, struct token *token, bool on)
{
	uint64_t bits = (uint64_t)token->effect.amount;
	struct damage_state *damage;
	if (token->effect.entity.kind == ENTITY_REPLICA)
		flip_replica(w, token, on);
	else if ((damage = damage_of(w, token, on)))
		damage->flips += on ? bits : -bits;
}

/* A range of zeros is one damaged chunk, whatever its length. */
static void change_data_zero(struct world *w, struct token *token, bool on)
{
	struct damage_state *damage = damage_of(w, token, on);
	uint64_t ranges = (uint64_t)token->effect.amount;
	if (damage)
		damage->flips += on ? ranges : -ranges;
}

/* So is a block that another one was written over. */
static void change_data_misdirect(struct world *w, struct token *token, bool on)
{
	struct damage_state *damage = damage_of(w, token, on);
	if (damage)
		damage->flips += on ? 1 : -1ull;
}

static void change_data_cut(struct world *w, struct token *token, bool on)
{
	struct damage_state *state = damage_of(w, token, on);
	if (state)
		damage(&state->cut, on);
}

static void change_data_old(struct world *w, struct token *token, bool on)
{
	struct damage_state *state = damage_of(w, token, on);
	if (state)
		damage(&state->old, on);
}

static void change_data_sealed(struct world *w, struct token *token, bool on)
{
	struct damage_state *state = damage_of(w, token, on);
	if (state)
		damage(&state->sealed, on);
}

static void change_data_gone(struct world *w, struct token *token, bool on)
{
	struct damage_state *state = damage_of(w, token, on);
	if (state)
		damage(&state->gone, on);
}

/* Which one `backup[-1]` is, is settled when the effect comes; it is undone on the same one. */
static struct backup_state *backup_of(struct world *w, struct token *token, bool on)
{
	int32_t *id = &token->effect.entity.index;
	if (on)
		*id = storage_backup_by_index(w, *id);
	return *id < 0 ? NULL : &w->backups[*id];
}

static void change_backup_flip(struct world *w, struct token *token, bool on)
{
	struct backup_state *backup = backup_of(w, token, on);
	uint64_t bits = (uint64_t)token->effect.amount;
	if (backup)
		backup->flips += on ? bits : -bits;
}

static void change_backup_gone(struct world *w, struct token *token, bool on)
{
	struct backup_state *backup = backup_of(w, token, on);
	if (backup)
		damage(&backup->gone, on);
}

static void change_backup_old(struct world *w, struct token *token, bool on)
{
	struct backup_state *backup = backup_of(w, token, on);
	if (backup)
		backup->older += on ? token->effect.amount : -token->effect.amount;
}

/* ---- sites, the platform, the standby ---- */

static void change_standby_out(struct world *w, struct token *token, bool on)
{
	count(&w->sites[token->effect.entity.site].standby_out, on);
}

/* The last of its nodes take no pods any more, and those that are there leave. */
static void change_standby_small(struct world *w, struct token *token, bool on)
{
	struct node_range range = nodes_of(w, token->effect.entity);
	double share = (double)token->effect.amount / EFFECT_PPM;
	uint32_t taken = (uint32_t)ceil((range.end - range.first) * share - 1e-9);
	for (uint32_t n = range.end - taken; n < range.end; n++)
		count(&w->nodes[n].cordoned, on);
	replicas_evict(w, token->effect.entity.site);
}

static void change_no_capacity(struct world *w, struct token *token, bool on)
{
	count(&w->sites[token->effect.entity.site].full, on);
}

static void change_repl_lag(struct world *w, struct token *token, bool on)
{
	w->sites[token->effect.entity.site].lag_added +=
		on ? token->effect.amount : -token->effect.amount;
}

static void change_split(struct world *w, struct token *token, bool on)
{
	double share = (double)token->effect.amount / EFFECT_PPM;
	w->sites[token->effect.entity.site].split = on ? share : 0;
}

static void change_api(struct world *w, struct token *token, bool on)
{
	count(&w->sites[token->effect.entity.site].api_out, on);
}

/* ---- all of them ---- */

typedef void change_fn(struct world *w, struct token *token, bool on);

/* Kinds without a function are conditions: what they do is looked up while they stand. */
static change_fn *const changes[EFFECTS] = {
	[EFFECT_GPU_GONE] = change_gpu_gone,       [EFFECT_GPU_XID] = change_xid,
	[EFFECT_POWER_OFF] = change_power,         [EFFECT_NODE_CRASH] = change_crash,
	[EFFECT_NODE_FREEZE] = change_freeze,      [EFFECT_NET_CUT] = change_cut,
	[EFFECT_NET_DELAY] = change_delay,         [EFFECT_PROC_EXIT] = change_exit,
	[EFFECT_DATA_FLIP] = change_data_flip,     [EFFECT_BACKUP_FLIP] = change_backup_flip,
	[EFFECT_STANDBY_OUT] = change_standby_out, [EFFECT_NODE_REBOOT] = change_reboot,
	[EFFECT_PROC_LOOP] = change_exit,          [EFFECT_NET_FLAP] = change_flap,
	[EFFECT_NET_DROP] = change_drop,           [EFFECT_DISK_FULL] = change_disk_full,
	[EFFECT_DISK_ERROR] = change_disk_error,   [EFFECT_DISK_READONLY] = change_disk_readonly,
	[EFFECT_DATA_CUT] = change_data_cut,       [EFFECT_DATA_OLD] = change_data_old,
	[EFFECT_DATA_SEALED] = change_data_sealed, [EFFECT_DATA_GONE] = change_data_gone,
	[EFFECT_BACKUP_GONE] = change_backup_gone, [EFFECT_BACKUP_OLD] = change_backup_old,
	[EFFECT_BACKUP_FAIL] = change_backup_fail, [EFFECT_RESTORE_STOP] = change_restore_stop,
	[EFFECT_STORE_OUT] = change_store_out,     [EFFECT_STANDBY_SMALL] = change_standby_small,
	[EFFECT_NO_CAPACITY] = change_no_capacity, [EFFECT_REPL_LAG] = change_repl_lag,
	[EFFECT_SPLIT_BRAIN] = change_split,       [EFFECT_API_OUT] = change_api,
	[EFFECT_PROC_FREEZE] = change_stop,        [EFFECT_CKPT_FLIP] = change_checkpoint,
	[EFFECT_CKPT_SHARD] = change_checkpoint,   [EFFECT_CKPT_TORN] = change_checkpoint,
	[EFFECT_MEM_TAKEN] = change_memory,        [EFFECT_PROC_OOM] = change_oom,
	[EFFECT_DATA_ZERO] = change_data_zero,     [EFFECT_DATA_MISDIRECT] = change_data_misdirect,
	[EFFECT_NET_REORDER] = change_reorder,     [EFFECT_NET_DUPLICATE] = change_width,
	[EFFECT_NET_MTU] = change_width,           [EFFECT_NET_RESET] = change_reset,
	[EFFECT_DISK_HANG] = disk_change_hang,     [EFFECT_DISK_BADBLOCKS] = disk_change_badblocks,
	[EFFECT_DISK_INODES] = disk_change_inodes, [EFFECT_FS_UNSYNCED] = disk_change_unsynced,
	[EFFECT_FS_TORN_OP] = disk_change_torn,    [EFFECT_FS_TORN_SEQ] = disk_change_torn,
};

void effects_reset(struct world *w)
{
	w->token_count = w->standing_count = w->parted = 0;
	w->narrowed = false;
}

static void stand(struct world *w, uint32_t index, bool on)
{
	size_t i = 0;
	if (!condition_kind(w->tokens[index].effect.kind))
		return;
	if (on) {
		w->standing = arena_grow(&w->arena, w->standing, w->standing_count,
					 &w->standing_capacity, sizeof(*w->standing));
		w->standing[w->standing_count++] = index;
		return;
	}
	while (w->standing[i] != index)
		i++;
	w->standing[i] = w->standing[--w->standing_count];
}

static void change(struct world *w, struct token *token, bool on)
{
	if (changes[token->effect.kind])
		changes[token->effect.kind](w, token, on);
}

void effect_apply(struct world *w, const struct effect *effect, uint64_t *id)
{
	if (*id == 0) {
		w->tokens = arena_grow(&w->arena, w->tokens, w->token_count, &w->token_capacity,
				       sizeof(*w->tokens));
		*id = ++w->token_count;
	}
	struct token *token = &w->tokens[*id - 1];
	*token = (struct token){.active = true, .effect = *effect, .event = EVENT_NONE};
	if (effect->entity.kind == ENTITY_ENDPOINT)
		token->site = w->services[effect->entity.index].route;
	stand(w, (uint32_t)(*id - 1), true);
	change(w, token, true);
	cluster_changed(w);
}

void effect_adjust(struct world *w, const struct effect *effect, uint64_t id)
{
	struct token *token = &w->tokens[id - 1];
	if (!token->active)
		return;
	change(w, token, false);
	token->effect.amount = effect->amount;
	token->effect.spread = effect->spread;
	token->effect.fraction = effect->fraction;
	change(w, token, true);
	cluster_changed(w);
}

/* Of these processes may have died, or could not start. */
#define DEADLY                                                                                     \
	((EFFECT_BIT(EFFECT_GPU_SLOW) - 1) | EFFECT_BIT(EFFECT_NODE_REBOOT) |                      \
	 EFFECT_BIT(EFFECT_PROC_LOOP) | EFFECT_BIT(EFFECT_DISK_ERROR) |                            \
	 EFFECT_BIT(EFFECT_MEM_TAKEN) | EFFECT_BIT(EFFECT_PROC_OOM) |                              \
	 EFFECT_BIT(EFFECT_DISK_HANG) | EFFECT_BIT(EFFECT_IO_ERROR) |                              \
	 EFFECT_BIT(EFFECT_DISK_BADBLOCKS) | EFFECT_BIT(EFFECT_DISK_INODES) |                      \
	 EFFECT_BIT(EFFECT_FS_TORN_OP) | EFFECT_BIT(EFFECT_FS_TORN_SEQ))

/* What was broken comes back; processes that died of it are started again by those who mended it.
 */
void effect_revert(struct world *w, uint64_t id)
{
	struct token *token = &w->tokens[id - 1];
	if (!token->active)
		return;
	token->active = false;
	stand(w, (uint32_t)(id - 1), false);
	change(w, token, false);
	for (uint32_t r = 0; r < w->replica_count && (DEADLY >> token->effect.kind & 1); r++)
		if (was_hit(w, &w->replicas[r], token))
			replica_revive(w, r);
	cluster_changed(w);
}

/* A process that was killed is gone until it runs again, and then nothing of the fault is left. */
static bool process_down(const struct world *w, const struct token *token)
{
	for (uint32_t r = 0; r < w->replica_count; r++)
		if (was_hit(w, &w->replicas[r], token) && w->replicas[r].stage != STAGE_RUNNING)
			return true;
	return jobs_down(w, token->effect.entity);
}

bool effect_present(const struct world *w, uint64_t id)
{
	const struct token *token = &w->tokens[id - 1];
	const struct xid_row *row;
	if (!token->active)
		return false;
	if (token->effect.kind == EFFECT_GPU_XID && !token->changed) {
		/* A line in a log is nothing that could still be there; a process it ended is. */
		row = xid_find((uint32_t)token->effect.amount);
		return row && row->hits == XID_PROCESS && process_down(w, token);
	}
	if (token->effect.kind == EFFECT_PROC_EXIT || token->effect.kind == EFFECT_PROC_OOM)
		return process_down(w, token);
	if (token->effect.kind == EFFECT_PROC_FREEZE && token->generation)
		return jobs_stopped(w, token->effect.entity, token->generation);
	return token->effect.kind != EFFECT_RESTORE_STOP; /* a moment */
}
