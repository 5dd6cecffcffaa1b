/* SPDX-License-Identifier: Apache-2.0 */
/* The three data classes: who writes them, what replicates, backups, restores, and all transfers
 * over sim/flow. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "sim/model/world.h"

#define DONE_BATCH 64
#define TCP_SEGMENT 1460     /* bytes: the most that one packet of a connection carries */
#define RETRANSMIT (NANOS_S) /* what is lost behind a cut is sent again this often */

static const struct data *data_of(const struct world *w, int c)
{
	return &w->scenario->deployment.data[c];
}

/* ---- who writes: the ledger ---- */

static bool owns_data(const struct world *w, uint32_t endpoint)
{
	return world_domain(w, endpoint) == DOMAIN_OF_DATA;
}

static bool serves(const struct world *w, const struct replica *replica)
{
	if (replica->stage != STAGE_RUNNING || !node_up(w, replica->node))
		return false;
	return !w->nodes[replica->node].frozen && !w->nodes[replica->node].cut;
}

/* Backup and replication agents run beside the serving processes of a site: see world.h. */
static bool agents_run(const struct world *w, uint32_t site)
{
	bool any = false;
	for (uint32_t r = 0; r < w->replica_count; r++) {
		const struct replica *replica = &w->replicas[r];
		if (replica->site != site || !owns_data(w, replica->endpoint))
			continue;
		if (serves(w, replica))
			return true;
		any = true;
	}
	return !any && site_alive(w, site);
}

static bool data_fenced(const struct world *w, uint32_t site)
{
	return (w->sites[site].fenced & DOMAIN_BIT(DOMAIN_OF_DATA)) != 0;
}

/* The copy of a primary takes writes while any process there lives and nobody fenced it; a hang or
 * a partition leaves them running, a crash does not, and where every request fails (the log cannot
 * be written, tokens are refused, nobody is ready) nothing is acknowledged. A standby takes them
 * once traffic is routed to replicas that serve. */
static bool writes(const struct world *w, uint32_t site)
{
	bool routed = false, alive = false, home = false, hidden = w->sites[site].cut;
	if (data_fenced(w, site) || !site_alive(w, site))
		return false;
	for (uint32_t e = 0; e < w->scenario->deployment.endpoint_count; e++)
		routed |= w->services[e].route == site && owns_data(w, e);
	for (uint32_t r = 0; r < w->replica_count; r++) {
		const struct replica *replica = &w->replicas[r];
		if (replica->site != site || !owns_data(w, replica->endpoint))
			continue;
		home |= replica->home;
		bool runs = replica->stage == STAGE_RUNNING && node_up(w, replica->node) &&
			    !w->nodes[replica->node].dropped && !w->sites[site].dropped &&
			    !w->nodes[replica->node].reset && !w->sites[site].reset &&
			    !replica->now.hangs;
		alive |= runs && replica->now.error < 1 && !replica->now.unready;
		hidden |= runs && w->nodes[replica->node].cut;
	}
	if (site == world_data_site(w))
		return (alive || !home) && (routed || !home || hidden);
	return routed && alive && (w->sites[site].activated & DOMAIN_BIT(DOMAIN_OF_DATA));
}

/* Of the clients' writes: a standby that believes that it is the primary takes some of them. */
static double writing_share(const struct world *w, uint32_t site)
{
	double others = 0;
	if (!(writes(w, site) || w->sites[site].split > 0))
		return 0;
	if (site != world_data_site(w))
		return writes(w, site) ? 1 : w->sites[site].split;
	for (uint32_t s = 0; s < w->scenario->deployment.site_count; s++)
		others += w->sites[s].split;
	return fmax(1 - others, 0);
}

static void look_writing(struct world *w, uint32_t site)
{
	struct site_state *state = &w->sites[site];
	double share = site_alive(w, site) ? writing_share(w, site) : 0;
	struct writing *open = state->writing ? &w->writings[state->writing - 1] : NULL;
	if ((open ? open->share : 0) == share)
		return;
	if (open)
		open->to = world_now(w);
	state->writing = 0;
	if (share <= 0)
		return;
	w->writings = arena_grow(&w->arena, w->writings, w->writing_count, &w->writing_capacity,
				 sizeof(*w->writings));
	w->writings[w->writing_count++] = (struct writing){
		.from = world_now(w), .to = NANOS_NEVER, .site = site, .share = share};
	state->writing = w->writing_count;
}

void storage_ledger(const struct world *w, uint32_t site, enum data_class c, nanos from, nanos to,
		    double *ret_bytes, double *ret_records)
{
	double seconds = 0;
	for (size_t i = 0; i < w->writing_count; i++) {
		const struct writing *writing = &w->writings[i];
		nanos a = writing->from > from ? writing->from : from;
		nanos b = writing->to < to ? writing->to : to;
		if (writing->site == site && b > a)
			seconds += (double)(b - a) / 1e9 * writing->share;
	}
	*ret_bytes = seconds * data_of(w, c)->change;
	*ret_records = seconds * data_of(w, c)->records;
}

nanos storage_last_write(const struct world *w, uint32_t site)
{
	nanos last = 0;
	for (size_t i = 0; i < w->writing_count; i++) {
		const struct writing *writing = &w->writings[i];
		nanos to = writing->to == NANOS_NEVER ? world_now(w) : writing->to;
		if (writing->site == site && to > last)
			last = to;
	}
	return last;
}

/* ---- when the primary's copy was wrong ---- */

bool content_missing(const struct site_state *site, enum data_class c)
{
	return site->damage[c].cut || site->damage[c].sealed || site->damage[c].gone;
}

bool content_wrong(const struct site_state *site, enum data_class c)
{
	return site->damage[c].flips || site->damage[c].old || content_missing(site, c);
}

/* By a good copy: what damaged the old one has no hold on it. */
static void content_replaced(struct site_state *site, enum data_class c)
{
	site->damage[c] = (struct damage_state){.copy = site->damage[c].copy + 1};
}

static void look_damage(struct world *w)
{
	const struct site_state *site = &w->sites[world_data_site(w)];
	for (int c = 0; c < DATA_CLASSES; c++) {
		size_t *open = &w->damage_open[c];
		if (content_wrong(site, (enum data_class)c) == (*open > 0))
			continue;
		if (*open) {
			w->damages[*open - 1].to = world_now(w);
			*open = 0;
			continue;
		}
		w->damages = arena_grow(&w->arena, w->damages, w->damage_count, &w->damage_capacity,
					sizeof(*w->damages));
		w->damages[w->damage_count++] = (struct damage){
			.data_class = (enum data_class)c, .from = world_now(w), .to = NANOS_NEVER};
		*open = w->damage_count;
	}
}

static bool was_damaged(const struct world *w, enum data_class c, nanos at)
{
	for (size_t i = 0; i < w->damage_count; i++) {
		const struct damage *damage = &w->damages[i];
		if (damage->data_class == c && damage->from < at && at < damage->to)
			return true;
	}
	return false;
}

/* ---- transfers ---- */

static void pumped(void *context, uint64_t argument, nanos now);

void storage_pump(struct world *w)
{
	nanos next = flow_next(w->flows);
	if (next == NANOS_NEVER) {
		engine_cancel(w->engine, w->flow_event);
		w->flow_event = EVENT_NONE;
		return;
	}
	if (next < world_now(w))
		next = world_now(w);
	if (w->flow_event == EVENT_NONE || !engine_move(w->engine, w->flow_event, next))
		w->flow_event = engine_at(w->engine, next, pumped, w, 0);
}

static uint32_t transfer_new(struct world *w)
{
	if (w->transfer_free) {
		uint32_t index = w->transfer_free - 1;
		w->transfer_free = w->transfers[index].index;
		return index;
	}
	w->transfers = arena_grow(&w->arena, w->transfers, w->transfer_count, &w->transfer_capacity,
				  sizeof(*w->transfers));
	return (uint32_t)w->transfer_count++;
}

static void transfer_free(struct world *w, uint32_t index)
{
	w->transfers[index] = (struct transfer){.kind = TRANSFER_NONE, .index = w->transfer_free};
	w->transfer_free = index + 1;
}

/* What the NIC of the node lets through that loads weights over the network. */
static double node_rate(const struct world *w, const struct transfer *transfer)
{
	if (transfer->kind != TRANSFER_WEIGHTS || transfer->local)
		return INFINITY;
	uint32_t site = transfer->to, node = w->replicas[transfer->index].node;
	struct entity entity = {.kind = ENTITY_NODE,
				.site = site,
				.index = (int32_t)(node - w->sites[site].first_node)};
	double width = wire_width(w, entity), rate = condition_rate(w, EFFECT_NET_RATE, entity);
	return width < 1 ? fmin(rate, w->scenario->deployment.sites[site].nic) * width : rate;
}

/* Share of packets that TCP does not take for lost; segments are as long as the shortest. */
static double connection_kept(const struct world *w, struct entity entity, int link,
			      double *segment)
{
	double rate = link < 0 ? INFINITY : w->scenario->deployment.links[link].rate;
	if (w->standing_count == 0)
		return 1;
	*segment = fmin(*segment, wire_segment(w, entity));
	return (1 - wire_loss(w, entity)) * (1 - wire_overtaken(w, entity, rate));
}

/*
 * What one connection gets from a link on which packets are lost: MSS / RTT x sqrt(3/2) / sqrt(p).
 * Mathis, Semke, Mahdavi and Ott, "The macroscopic behavior of the TCP congestion avoidance
 * algorithm", ACM Computer Communication Review 27(3), 1997. Without a round trip time no limit.
 */
static double connection_cap(const struct world *w, const struct transfer *transfer)
{
	uint32_t from = transfer->from, to = transfer->to;
	int link = from == to ? -1 : scenario_link_between(w->scenario, from, to);
	double kept = 1, segment = TCP_SEGMENT;
	nanos trip = 2 * sites_way(w, from, to);
	if (from == to)
		return node_rate(w, transfer);
	if (link >= 0) {
		struct entity entity = {.kind = ENTITY_LINK, .index = link};
		kept *= 1 - w->scenario->deployment.links[link].loss;
		kept *= connection_kept(w, entity, link, &segment);
	}
	kept *= connection_kept(w, (struct entity){.kind = ENTITY_SITE, .site = from}, link,
				&segment);
	kept *= connection_kept(w, (struct entity){.kind = ENTITY_SITE, .site = to}, link,
				&segment);
	if (kept >= 1 || trip <= 0)
		return node_rate(w, transfer);
	return fmin(node_rate(w, transfer), segment * w->scenario->scale.bytes_scale /
						    ((double)trip / 1e9) * sqrt(1.5) /
						    sqrt(1 - kept));
}

/* The NICs of a site, the ways out, the link, the store's port; or a disk alone. */
static size_t path_of(const struct world *w, const struct transfer *transfer,
		      uint32_t path[FLOW_PATH_MAX])
{
	uint32_t from = transfer->from, to = transfer->to;
	size_t count = 0;
	if (!transfer->local)
		path[count++] = w->sites[to].port;
	if (transfer->through != FLOW_RESOURCE_NONE)
		path[count++] = transfer->through;
	if (transfer->kind == TRANSFER_RESTORE && w->store.restore != FLOW_RESOURCE_NONE)
		path[count++] = w->store.restore;
	if (from != to) {
		int link = scenario_link_between(w->scenario, from, to);
		path[count++] = w->sites[from].port;
		path[count++] = w->sites[from].uplink;
		path[count++] = w->sites[to].uplink;
		if (link >= 0)
			path[count++] = w->links[link].resource;
	}
	return count;
}

/* In a calibrated trial restores and backups take so many times as long; what comes on top when all
 * is there. */
static nanos calibrate(const struct world *w, const struct transfer *transfer, double *ret_factor)
{
	const struct calibration *calibration = w->scenario->calibration;
	enum data_class c = transfer->action.data_class;
	nanos more = 0;
	*ret_factor = 1;
	if (calibration && transfer->kind == TRANSFER_RESTORE)
		calibration_transfer(calibration->restore_time, calibration->restore_modelled[c],
				     w->late.by[RESIDUAL_RESTORE_MODEL + c], ret_factor, &more);
	if (calibration && transfer->kind == TRANSFER_BACKUP)
		calibration_transfer(calibration->backup_time, calibration->backup_modelled,
				     w->late.by[RESIDUAL_BACKUP], ret_factor, &more);
	return more;
}

static uint32_t transfer_start(struct world *w, struct transfer transfer)
{
	uint32_t path[FLOW_PATH_MAX], index = transfer_new(w);
	double factor;
	transfer.more = calibrate(w, &transfer, &factor);
	if (factor != 1)
		transfer.bytes = (uint64_t)llround((double)transfer.bytes * factor);
	size_t count = path_of(w, &transfer, path);
	transfer.cap = connection_cap(w, &transfer);
	transfer.arrives = NANOS_NEVER;
	transfer.event = EVENT_NONE;
	transfer.flow = flow_start(w->flows, world_now(w), transfer.bytes, transfer.cap, path,
				   count, index);
	w->transfers[index] = transfer;
	storage_pump(w);
	return index;
}

static void transfer_stop(struct world *w, uint32_t index)
{
	struct transfer *transfer = &w->transfers[index];
	engine_cancel(w->engine, transfer->event);
	flow_stop(w->flows, transfer->flow, world_now(w), NULL); /* unless it is all sent */
	transfer_free(w, index);
}

/* ---- backups ---- */

/* One that ended well and still stands, counted from the newest (-1, -2 …) or from the first (0, 1
 * …); -1: none. */
int32_t storage_backup_by_index(const struct world *w, int32_t index)
{
	if (index < 0) {
		for (size_t i = w->backup_count; i-- > 0;)
			if (w->backups[i].ok && !w->backups[i].pruned && ++index == 0)
				return (int32_t)i;
		return -1;
	}
	for (size_t i = 0; i < w->backup_count; i++)
		if (w->backups[i].ok && index-- == 0)
			return w->backups[i].pruned ? -1 : (int32_t)i;
	return -1;
}

static struct action backup_action(const struct backup_state *backup, uint32_t id)
{
	return (struct action){.kind = ACTION_BACKUP,
			       .id = backup->action,
			       .policy = backup->policy,
			       .backup = (int32_t)id,
			       .site = backup->site};
}

static void backup_fail(struct world *w, uint32_t id, const char *reason)
{
	struct backup_state *backup = &w->backups[id];
	struct action action = backup_action(backup, id);
	backup->running = false;
	engine_cancel(w->engine, backup->event);
	action_end(w, &action, false, reason);
}

static void backup_end(struct world *w, uint32_t id)
{
	struct backup_state *backup = &w->backups[id];
	const struct backup_policy *policy = &w->scenario->policies[backup->policy];
	struct prng *prng = &w->backup_prng[backup->policy];
	if (policy->failure > 0 && prng_uniform(prng) < policy->failure) {
		backup_fail(w, id, "the backup job failed");
		return;
	}
	backup->running = false;
	backup->ok = true;
	w->newest[backup->policy] = (int32_t)id;
	struct completion done = {.kind = COMPLETION_ACTION,
				  .action = backup_action(backup, id),
				  .ok = true,
				  .as_of = backup->as_of,
				  .bytes = backup->bytes};
	world_complete(w, &done);
}

static void backup_timed(void *context, uint64_t id, nanos now)
{
	struct world *w = context;
	if (w->store.hanging) { /* its last write does not come back */
		w->backups[id].event =
			engine_at(w->engine, now + scenario_time(w->scenario, RETRANSMIT),
				  backup_timed, w, id);
		return;
	}
	w->backups[id].event = EVENT_NONE;
	backup_end(w, (uint32_t)id);
}

/* A full copy, or what was written since the last good backup of the policy. The store keeps chunks
 * by content, so that every backup restores alone; the first one of a policy moves everything. */
static uint64_t backup_bytes(const struct world *w, uint32_t id)
{
	const struct backup_state *backup = &w->backups[id];
	const struct backup_policy *policy = &w->scenario->policies[backup->policy];
	double total = 0;
	int32_t last = w->newest[backup->policy];
	for (int c = 0; c < DATA_CLASSES; c++) {
		double bytes = (double)data_of(w, c)->bytes, changed, records;
		if (!(policy->classes & DATA_BIT(c)))
			continue;
		if (policy->kind == BACKUP_INCREMENTAL && last >= 0) {
			storage_ledger(w, backup->site, (enum data_class)c, w->backups[last].as_of,
				       world_now(w), &changed, &records);
			bytes = changed < bytes ? changed : bytes;
		}
		total += bytes;
	}
	return (uint64_t)llround(total);
}

static bool store_usable(const struct world *w, uint32_t from)
{
	const struct store *store = &w->scenario->deployment.store;
	if (!store->declared)
		return true;
	return w->store.out == 0 && w->store.failing == 0 && site_alive(w, store->site) &&
	       sites_connected(w, from, store->site);
}

/* Operations on its files that a copy to it, or from it, needs. */
static const char *store_failing(const struct world *w, bool save)
{
	static const uint32_t reads = FILE_BIT(FILE_OPEN) | FILE_BIT(FILE_READ);
	static const uint32_t writes = FILE_BIT(FILE_OPEN) | FILE_BIT(FILE_CREATE) |
				       FILE_BIT(FILE_WRITE) | FILE_BIT(FILE_SYNC) |
				       FILE_BIT(FILE_RENAME);
	if (save && w->store.no_inodes)
		return "no inodes left on the store";
	if (disk_errors(w, (struct entity){.kind = ENTITY_STORE}, save ? writes : reads) > 0)
		return "operations on the store's files fail";
	return NULL;
}

static const char *backup_obstacle(const struct world *w, uint32_t site)
{
	if (!agents_run(w, site) || data_fenced(w, site))
		return "the source is down";
	if (!store_usable(w, site))
		return "the store cannot be reached";
	if (w->store.jobs_failing)
		return "the backup job failed";
	if (w->store.full)
		return "no space left on the store";
	if (w->store.readonly)
		return "the store is read-only";
	return store_failing(w, true);
}

void storage_backup(struct world *w, const struct action *action)
{
	const struct backup_policy *policy = &w->scenario->policies[action->policy];
	uint32_t id = (uint32_t)action->backup, store = w->scenario->deployment.store.site;
	while (w->backup_count <= id) {
		w->backups = arena_grow(&w->arena, w->backups, w->backup_count, &w->backup_capacity,
					sizeof(*w->backups));
		w->backups[w->backup_count++] = (struct backup_state){.running = false};
	}
	struct backup_state *backup = &w->backups[id];
	*backup = (struct backup_state){.policy = action->policy,
					.site = action->site,
					.running = true,
					.as_of = world_now(w),
					.begun = world_now(w),
					.action = action->id};
	for (int c = 0; c < DATA_CLASSES; c++)
		if ((policy->classes & DATA_BIT(c)) &&
		    content_wrong(&w->sites[action->site], (enum data_class)c))
			backup->poisoned |= DATA_BIT(c);
	backup->bytes = backup_bytes(w, id);
	const char *obstacle = backup_obstacle(w, action->site);
	if (obstacle) {
		backup_fail(w, id, obstacle);
	} else if (policy->takes == 0 && !w->store.hanging) {
		backup_end(w, id);
	} else if (policy->takes != NANOS_NEVER) {
		backup->event =
			engine_at(w->engine, world_now(w) + policy->takes, backup_timed, w, id);
	} else {
		transfer_start(w, (struct transfer){.kind = TRANSFER_BACKUP,
						    .index = id,
						    .action = *action,
						    .from = action->site,
						    .to = store,
						    .through = w->store.write,
						    .bytes = backup->bytes});
	}
}

void storage_prune(struct world *w, int32_t backup)
{
	w->backups[backup].pruned = true;
}

/* ---- restores ---- */

static void restore_done(struct world *w, const struct action *action, nanos as_of, bool corrupt)
{
	struct site_state *site = &w->sites[action->to];
	struct completion done = {.kind = COMPLETION_ACTION,
				  .action = *action,
				  .ok = true,
				  .as_of = as_of,
				  .corrupt = corrupt,
				  .bytes = data_of(w, action->data_class)->bytes};
	if (corrupt)
		done.reason = "the digest does not match";
	if (!corrupt) {
		site->data_ready |= DATA_BIT(action->data_class);
		content_replaced(site, action->data_class);
		look_damage(w);
	}
	world_complete(w, &done);
	if (!corrupt)
		replicas_data(w, action->to);
}

/* As of when a standby's copies are. They never get older: what is sent later comes later. Without
 * any lag replication is synchronous: no write is acknowledged before the standby has it. */
static nanos replica_as_of(const struct world *w, uint32_t site)
{
	const struct site_state *state = &w->sites[site];
	nanos lag = state->replica_lag;
	nanos as_of = world_now(w) - (lag > 0 ? lag + state->replica_way : 0);
	return state->replicates && as_of > state->replica_reached ? as_of : state->replica_reached;
}

/* The standby's own copy: as old as the replication lag and the way there, or as it was when
 * replication broke off. What was wrong at the primary then, it copied faithfully. */
static void restore_replica(struct world *w, const struct action *action)
{
	nanos as_of = replica_as_of(w, action->to);
	restore_done(w, action, as_of, was_damaged(w, action->data_class, as_of));
}

static const char *restore_obstacle(const struct world *w, const struct action *action)
{
	bool faulty = w->scenario->recovery.restore.in_faulty;
	if (faulty && !replica_hosts_ready(w, action->to))
		return "the restore runs inside the faulty place, which does not run";
	if (!faulty && !site_usable(w, action->to))
		return "the standby is not usable";
	if (action->backup != BACKUP_REPLICA && !store_usable(w, action->to))
		return "the store cannot be reached";
	return action->backup != BACKUP_REPLICA ? store_failing(w, false) : NULL;
}

void storage_restore(struct world *w, const struct action *action)
{
	const char *obstacle = restore_obstacle(w, action);
	if (obstacle) {
		action_end(w, action, false, obstacle);
	} else if (action->backup == BACKUP_REPLICA) {
		nanos more = w->late.by[RESIDUAL_RESTORE_MODEL + action->data_class];
		if (more > 0)
			action_timed(w, action, more);
		else
			restore_replica(w, action);
	} else if (w->backups[action->backup].gone) {
		struct completion done = {.kind = COMPLETION_ACTION,
					  .action = *action,
					  .ok = true,
					  .corrupt = true,
					  .reason = "the backup is not in the store"};
		world_complete(w, &done);
	} else {
		const struct store *store = &w->scenario->deployment.store;
		uint32_t from = store->declared ? store->site : action->to;
		transfer_start(w,
			       (struct transfer){.kind = TRANSFER_RESTORE,
						 .action = *action,
						 .from = from,
						 .to = action->to,
						 .through = w->store.read,
						 .bytes = data_of(w, action->data_class)->bytes});
	}
}

void storage_restore_end(struct world *w, const struct action *action)
{
	const char *obstacle = restore_obstacle(w, action);
	if (obstacle)
		action_end(w, action, false, obstacle);
	else
		restore_replica(w, action);
}

static void restored(struct world *w, const struct transfer *transfer)
{
	const struct backup_state *backup = &w->backups[transfer->action.backup];
	bool corrupt = backup->flips || (backup->poisoned & DATA_BIT(transfer->action.data_class));
	restore_done(w, &transfer->action, backup->as_of - backup->older, corrupt);
}

void storage_stop_restores(struct world *w)
{
	for (uint32_t i = 0; i < w->transfer_count; i++) {
		struct transfer transfer = w->transfers[i];
		if (transfer.kind != TRANSFER_RESTORE)
			continue;
		struct completion done = {.kind = COMPLETION_ACTION,
					  .action = transfer.action,
					  .broke_off = true,
					  .reason = "the restore broke off"};
		transfer_stop(w, i);
		w->store.restores_stopped++;
		world_complete(w, &done);
	}
}

/* ---- back to the primary ---- */

/* What the standby wrote meanwhile; a class whose copy at the primary is wrong goes back whole. */
static uint64_t return_bytes(const struct world *w, const struct action *action)
{
	double total = 0;
	if (action->site == action->to || action->to != world_data_site(w))
		return 0;
	for (int c = 0; c < DATA_CLASSES; c++) {
		double bytes = (double)data_of(w, c)->bytes, changed, records;
		if (!data_of(w, c)->declared)
			continue;
		storage_ledger(w, action->site, (enum data_class)c, 0, world_now(w), &changed,
			       &records);
		if (!content_wrong(&w->sites[action->to], (enum data_class)c) && changed < bytes)
			bytes = changed;
		total += bytes;
	}
	return (uint64_t)llround(total);
}

/* A standby that serves but cannot be reached is waited for; one that is dead is not: what only it
 * had stays there, and the primary goes on with its own copy. */
static const char *return_obstacle(const struct world *w, const struct action *action)
{
	if (!site_alive(w, action->to) || !site_reachable(w, action->to))
		return "the primary is not there";
	if (action->site != action->to && site_usable(w, action->site) &&
	    !sites_connected(w, action->site, action->to))
		return "the standby's data cannot reach the primary";
	return NULL;
}

void storage_return(struct world *w, const struct action *action)
{
	uint64_t bytes = return_bytes(w, action);
	const char *obstacle = return_obstacle(w, action);
	if (obstacle) {
		action_end(w, action, false, obstacle);
		return;
	}
	w->sites[action->to].return_lost = bytes > 0 && !site_usable(w, action->site);
	if (bytes == 0 || w->sites[action->to].return_lost) {
		action_wait_primary(w, action);
		return;
	}
	transfer_start(w, (struct transfer){.kind = TRANSFER_RETURN,
					    .action = *action,
					    .from = action->site,
					    .to = action->to,
					    .through = FLOW_RESOURCE_NONE,
					    .bytes = bytes});
}

static void returned(struct world *w, const struct action *action)
{
	for (int c = 0; c < DATA_CLASSES; c++)
		content_replaced(&w->sites[action->to], (enum data_class)c);
	look_damage(w);
	action_wait_primary(w, action);
}

void storage_weights(struct world *w, uint32_t r)
{
	struct replica *replica = &w->replicas[r];
	const struct store *store = &w->scenario->deployment.store;
	uint32_t from = store->declared ? store->site : replica->site;
	uint64_t bytes = w->scenario->deployment.endpoints[replica->endpoint].model_bytes;
	replica->load = 1 + transfer_start(w, (struct transfer){.kind = TRANSFER_WEIGHTS,
								.index = r,
								.from = from,
								.to = replica->site,
								.through = w->store.read,
								.bytes = bytes});
}

static double disk_rate(const struct world *w, uint32_t node)
{
	struct entity entity = node_entity(w, node);
	double rate = fmin(w->scenario->deployment.sites[entity.site].disk,
			   condition_rate(w, EFFECT_DISK_RATE, entity));
	return w->nodes[node].disk_hanging ? 0 : disk_left(w, entity, rate, FILE_BIT(FILE_READ));
}

/* Replicas that load from the same disk at a time share it. */
void storage_disk(struct world *w, uint32_t r)
{
	struct replica *replica = &w->replicas[r];
	struct node *node = &w->nodes[replica->node];
	uint64_t bytes = w->scenario->deployment.endpoints[replica->endpoint].model_bytes;
	if (!node->disk)
		node->disk = 1 + flow_resource(w->flows, disk_rate(w, replica->node));
	w->disks_used = true;
	replica->load = 1 + transfer_start(w, (struct transfer){.kind = TRANSFER_WEIGHTS,
								.index = r,
								.from = replica->site,
								.to = replica->site,
								.through = node->disk - 1,
								.local = true,
								.bytes = bytes});
}

void storage_weights_stop(struct world *w, uint32_t r)
{
	transfer_stop(w, w->replicas[r].load - 1);
	w->replicas[r].load = 0;
}

/* ---- checkpoints of jobs ---- */

uint32_t storage_job(struct world *w, uint32_t job, uint32_t site, bool save, uint64_t bytes)
{
	uint32_t store = w->scenario->deployment.store.site;
	return transfer_start(w, (struct transfer){.kind = save ? TRANSFER_SAVE : TRANSFER_LOAD,
						   .index = job,
						   .from = save ? site : store,
						   .to = save ? store : site,
						   .through = save ? w->store.write : w->store.read,
						   .bytes = bytes});
}

void storage_job_stop(struct world *w, uint32_t transfer)
{
	transfer_stop(w, transfer);
}

const char *storage_job_obstacle(const struct world *w, uint32_t site, bool save)
{
	if (!store_usable(w, site))
		return "the store cannot be reached";
	if (save && w->store.full)
		return "no space left on the store";
	return save && w->store.readonly ? "the store is read-only" : store_failing(w, save);
}

/* ---- ends of transfers ---- */

static void finished(struct world *w, uint32_t index)
{
	struct transfer transfer = w->transfers[index];
	transfer_free(w, index);
	switch (transfer.kind) {
	case TRANSFER_BACKUP:
		if (w->scenario->policies[transfer.action.policy].verify) {
			/* read back what was written, at the store's own speed */
			transfer.kind = TRANSFER_VERIFY_BACKUP;
			transfer.from = transfer.to;
			transfer.through = w->store.read;
			transfer_start(w, transfer);
		} else {
			backup_end(w, transfer.index);
		}
		break;
	case TRANSFER_VERIFY_BACKUP:
		backup_end(w, transfer.index);
		break;
	case TRANSFER_RESTORE:
		restored(w, &transfer);
		break;
	case TRANSFER_RETURN:
		returned(w, &transfer.action);
		break;
	case TRANSFER_WEIGHTS:
		w->replicas[transfer.index].load = 0;
		replica_weights_done(w, transfer.index);
		break;
	case TRANSFER_SAVE:
	case TRANSFER_LOAD:
		jobs_transferred(w, transfer.index, transfer.kind == TRANSFER_SAVE);
		break;
	case TRANSFER_NONE:
		break;
	}
}

static void arrived(void *context, uint64_t index, nanos now)
{
	struct world *w = context;
	struct transfer *transfer = &w->transfers[index];
	transfer->event = EVENT_NONE;
	if (sites_connected(w, transfer->from, transfer->to)) {
		finished(w, (uint32_t)index);
		return;
	}
	transfer->arrives = now + scenario_time(w->scenario, RETRANSMIT);
	transfer->event = engine_at(w->engine, transfer->arrives, arrived, w, index);
}

/* The last byte is sent; it arrives one way later. */
static void sent(struct world *w, uint32_t index)
{
	struct transfer *transfer = &w->transfers[index];
	nanos way = sites_way(w, transfer->from, transfer->to) + transfer->more;
	if (way == 0) {
		finished(w, index);
		return;
	}
	transfer->arrives = world_now(w) + way;
	transfer->event = engine_at(w->engine, transfer->arrives, arrived, w, index);
}

static void pumped(void *context, uint64_t argument, nanos now)
{
	struct world *w = context;
	struct flow_done done[DONE_BATCH];
	size_t count;
	(void)argument;
	w->flow_event = EVENT_NONE;
	while ((count = flow_advance(w->flows, now, done, DONE_BATCH)) > 0)
		for (size_t i = 0; i < count; i++)
			if (w->transfers[done[i].argument].flow == done[i].flow) /* or given up */
				sent(w, (uint32_t)done[i].argument);
	storage_pump(w);
}

/* ---- after something broke or came back ---- */

static const char *transfer_obstacle(const struct world *w, const struct transfer *transfer)
{
	const struct action *action = &transfer->action;
	switch (transfer->kind) {
	case TRANSFER_BACKUP:
		return backup_obstacle(w, action->site);
	case TRANSFER_RESTORE:
		return restore_obstacle(w, action);
	case TRANSFER_RETURN:
		return return_obstacle(w, action);
	case TRANSFER_VERIFY_BACKUP:
		return store_usable(w, transfer->to) ? NULL : "the store is down";
	case TRANSFER_SAVE:
	case TRANSFER_LOAD: /* jobs.c looks itself */
	case TRANSFER_WEIGHTS:
	case TRANSFER_NONE:
		break;
	}
	return NULL;
}

/* The standby dies while its data are on their way back. */
static void look_return(struct world *w, uint32_t index)
{
	struct transfer transfer = w->transfers[index];
	if (transfer.kind != TRANSFER_RETURN || site_usable(w, transfer.action.site))
		return;
	transfer_stop(w, index);
	w->sites[transfer.action.to].return_lost = true;
	action_wait_primary(w, &transfer.action);
}

static void look_transfers(struct world *w)
{
	for (uint32_t i = 0; i < w->transfer_count; i++)
		look_return(w, i);
	for (uint32_t i = 0; i < w->transfer_count; i++) {
		struct transfer transfer = w->transfers[i];
		const char *obstacle = transfer_obstacle(w, &transfer);
		if (!obstacle)
			continue;
		transfer_stop(w, i);
		if (transfer.kind == TRANSFER_BACKUP || transfer.kind == TRANSFER_VERIFY_BACKUP)
			backup_fail(w, transfer.index, obstacle);
		else
			action_end(w, &transfer.action, false, obstacle);
	}
	for (uint32_t b = 0; b < w->backup_count; b++) {
		struct backup_state *backup = &w->backups[b];
		if (!backup->running || backup->event == EVENT_NONE)
			continue;
		const char *obstacle = backup_obstacle(w, backup->site);
		if (obstacle)
			backup_fail(w, b, obstacle);
	}
}

static void look_store(struct world *w)
{
	const struct store *store = &w->scenario->deployment.store;
	struct entity entity = {.kind = ENTITY_STORE};
	if (!store->declared)
		return;
	double left = fmin(condition_rate(w, EFFECT_STORE_RATE, entity),
			   condition_rate(w, EFFECT_DISK_RATE, entity));
	bool works = w->store.out == 0 && w->store.failing == 0 && w->store.hanging == 0;
	double read = disk_left(w, entity, fmin(store->read, left), FILE_BIT(FILE_READ));
	double write = disk_left(w, entity, fmin(store->write, left),
				 FILE_BIT(FILE_WRITE) | FILE_BIT(FILE_SYNC));
	flow_set_capacity(w->flows, w->store.read, works ? read : 0, world_now(w));
	flow_set_capacity(w->flows, w->store.write, works ? write : 0, world_now(w));
	flow_set_capacity(w->flows, w->store.restore,
			  condition_rate(w, EFFECT_RESTORE_RATE, entity), world_now(w));
}

/* What takes bandwidth of all packets of a site takes it on the way as well. */
static double link_width(const struct world *w, struct entity link)
{
	const uint32_t *site = w->scenario->deployment.links[link.index].site;
	return wire_width(w, link) *
	       wire_width(w, (struct entity){.kind = ENTITY_SITE, .site = site[0]}) *
	       wire_width(w, (struct entity){.kind = ENTITY_SITE, .site = site[1]});
}

static void look_network(struct world *w)
{
	const struct deployment *d = &w->scenario->deployment;
	for (size_t l = 0; l < d->link_count; l++) {
		struct entity entity = {.kind = ENTITY_LINK, .index = (int32_t)l};
		double rate = fmin(d->links[l].rate, condition_rate(w, EFFECT_NET_RATE, entity));
		if (w->narrowed)
			rate *= link_width(w, entity);
		flow_set_capacity(w->flows, w->links[l].resource, link_open(w, l) ? rate : 0,
				  world_now(w));
	}
	for (uint32_t s = 0; s < d->site_count; s++) {
		struct entity entity = {.kind = ENTITY_SITE, .site = s};
		flow_set_capacity(w->flows, w->sites[s].uplink,
				  w->sites[s].cut ? 0 : condition_rate(w, EFFECT_NET_RATE, entity),
				  world_now(w));
		if (w->narrowed)
			flow_set_capacity(w->flows, w->sites[s].port,
					  d->sites[s].nic * d->sites[s].nodes *
						  wire_width(w, entity),
					  world_now(w));
	}
	for (uint32_t n = 0; n < w->node_count && w->disks_used; n++)
		if (w->nodes[n].disk)
			flow_set_capacity(w->flows, w->nodes[n].disk - 1, disk_rate(w, n),
					  world_now(w));
	for (size_t i = 0; i < w->transfer_count; i++) {
		struct transfer *transfer = &w->transfers[i];
		if (transfer->kind == TRANSFER_NONE)
			continue;
		double cap = connection_cap(w, transfer);
		if (cap != transfer->cap)
			flow_set_cap(w->flows, transfer->flow, cap, world_now(w));
		transfer->cap = cap;
	}
}

static void look_replication(struct world *w, uint32_t site)
{
	uint32_t source = world_data_site(w);
	struct site_state *state = &w->sites[site];
	state->replica_reached = replica_as_of(w, site);
	state->replica_way = sites_way(w, source, site);
	state->replica_lag =
		w->scenario->deployment.sites[site].standby.replication_lag + state->lag_added;
	state->replicates = state->split <= 0 && agents_run(w, source) && !data_fenced(w, source) &&
			    site_alive(w, site) && !state->standby_out &&
			    sites_connected(w, source, site);
}

void storage_look(struct world *w)
{
	look_damage(w);
	for (uint32_t s = 0; s < w->scenario->deployment.site_count; s++) {
		look_writing(w, s);
		if (w->scenario->deployment.sites[s].standby.heat != HEAT_NONE)
			look_replication(w, s);
	}
	look_store(w);
	look_network(w);
	look_transfers(w);
	storage_pump(w);
}

nanos storage_expected_end(struct world *w, action_id id)
{
	for (size_t i = 0; i < w->transfer_count; i++) {
		const struct transfer *transfer = &w->transfers[i];
		if (transfer->kind == TRANSFER_NONE || transfer->action.id != id)
			continue;
		if (transfer->arrives != NANOS_NEVER)
			return transfer->arrives;
		double rate = flow_rate(w->flows, transfer->flow);
		uint64_t done = flow_bytes_done(w->flows, transfer->flow, world_now(w));
		if (!(rate > 0))
			return NANOS_NEVER;
		return world_now(w) + sites_way(w, transfer->from, transfer->to) +
		       (nanos)llround((double)(transfer->bytes - done) / rate * 1e9);
	}
	for (size_t b = 0; b < w->backup_count; b++)
		if (w->backups[b].running && w->backups[b].action == id &&
		    w->backups[b].event != EVENT_NONE)
			return w->backups[b].begun +
			       w->scenario->policies[w->backups[b].policy].takes;
	return NANOS_NEVER;
}

void storage_reset(struct world *w)
{
	const struct deployment *d = &w->scenario->deployment;
	flow_reset(w->flows);
	w->flow_event = EVENT_NONE;
	w->disks_used = false;
	w->store = (struct store_state){.read = FLOW_RESOURCE_NONE,
					.write = FLOW_RESOURCE_NONE,
					.restore = FLOW_RESOURCE_NONE};
	if (d->store.declared) {
		w->store.restore = flow_resource(w->flows, INFINITY);
		w->store.read = flow_resource(w->flows, d->store.read);
		w->store.write = flow_resource(w->flows, d->store.write);
	}
	for (uint32_t s = 0; s < d->site_count; s++) {
		struct site_state *site = &w->sites[s];
		site->port = flow_resource(w->flows, d->sites[s].nic * d->sites[s].nodes);
		site->uplink = flow_resource(w->flows, INFINITY);
		for (int c = 0; c < DATA_CLASSES; c++)
			if (d->data[c].declared && (d->sites[s].standby.heat == HEAT_NONE ||
						    (d->sites[s].standby.holds & DATA_BIT(c))))
				site->data_ready |= DATA_BIT(c);
	}
	for (size_t l = 0; l < d->link_count; l++)
		w->links[l].resource = flow_resource(w->flows, d->links[l].rate);
	for (uint32_t p = 0; p < w->scenario->policy_count; p++)
		w->newest[p] = -1;
	for (uint32_t p = 0; p < w->scenario->policy_count; p++)
		prng_open(&w->backup_prng[p], w->seed, w->trial, p, PRNG_BACKUP);
	w->writing_count = w->backup_count = w->transfer_count = w->damage_count = 0;
	w->transfer_free = 0;
	memset(w->damage_open, 0, sizeof(w->damage_open));
}
