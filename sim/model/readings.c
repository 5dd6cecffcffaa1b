/* SPDX-License-Identifier: Apache-2.0 */
/* What can be seen of an entity from outside, now: the readings by which effects are judged. */
#include <math.h>
#include <stdlib.h>

#include "sim/model/world.h"

#define ROUND_TRIP_BASE NANOS_MS /* from the controller to a site without any delay */

static uint32_t count_bits(uint64_t word)
{
	return (uint32_t)__builtin_popcountll(word);
}

static void most(uint32_t *to, double value)
{
	uint32_t whole = (uint32_t)lround(value);
	*to = whole > *to ? whole : *to;
}

/* Of one disk, by operations on its files; of several the worst counts. */
static void read_files(const struct world *w, struct entity disk, struct reading *ret)
{
	double failing = 0, left = condition_rate(w, EFFECT_DISK_INODES, disk);
	for (int i = 0; i < FILE_OPERATIONS; i++) {
		nanos added = disk_added(w, disk, FILE_BIT(i));
		failing = fmax(failing, disk_errors(w, disk, FILE_BIT(i)));
		ret->io_added = added > ret->io_added ? added : ret->io_added;
	}
	most(&ret->io_failing_ppm, failing * EFFECT_PPM);
	most(&ret->bad_blocks_ppm, wire_share(w, EFFECT_DISK_BADBLOCKS, disk) * EFFECT_PPM);
	if (left < ret->inodes_left_ppm)
		ret->inodes_left_ppm = (uint32_t)left;
	ret->disks_unsynced += disk_unsynced(w, disk);
}

/* What a node that is up says of its GPUs, disk, ports and clock. */
static void read_condition(const struct world *w, struct entity entity, uint32_t n,
			   struct reading *ret)
{
	const struct node *node = &w->nodes[n];
	const struct site *site = &w->scenario->deployment.sites[entity.site];
	struct entity itself = {.kind = ENTITY_NODE,
				.site = entity.site,
				.index = (int32_t)(n - w->sites[entity.site].first_node)};
	bool refused;
	if (!node_up(w, n))
		return;
	ret->nodes_schedulable += node_open(w, n);
	ret->disks++;
	ret->disks_full += node->disk_full > 0;
	ret->disks_failing += node->disk_failing > 0;
	ret->disks_readonly += node->disk_readonly > 0;
	ret->ports++;
	ret->ports_open += node->dropped == 0 && w->sites[entity.site].dropped == 0;
	ret->disks_hanging += node->disk_hanging > 0;
	if (w->standing_count == 0)
		return;
	for (uint32_t g = 0; g < site->gpus; g++) {
		uint64_t bit = (uint64_t)1 << g;
		if ((entity.kind == ENTITY_GPU && g != entity.part) || (node->gpus_gone & bit))
			continue;
		uint32_t pace = (uint32_t)lround(gpus_pace(w, n, bit) * EFFECT_PPM);
		ret->pace_ppm = pace < ret->pace_ppm ? pace : ret->pace_ppm;
		ret->gpus_wrong += gpus_wrong(w, n, bit) > 0;
		ret->gpus_hanging += gpus_hang(w, n, bit);
	}
	read_files(w, itself, ret);
	ret->disk_rate = fmin(ret->disk_rate, condition_rate(w, EFFECT_DISK_RATE, itself));
	uint32_t left = (uint32_t)fmin(condition_rate(w, EFFECT_DISK_FULL, itself), EFFECT_PPM);
	ret->disk_left_ppm = left < ret->disk_left_ppm ? left : ret->disk_left_ppm;
	uint32_t cpu = (uint32_t)lround(node_cpu(w, n) * EFFECT_PPM);
	uint32_t memory = (uint32_t)fmax(lround(node_memory(w, n) * EFFECT_PPM), 1);
	ret->cpu_left_ppm = cpu < ret->cpu_left_ppm ? cpu : ret->cpu_left_ppm;
	ret->memory_left_ppm = memory < ret->memory_left_ppm ? memory : ret->memory_left_ppm;
	nanos offset = llabs(condition_clock(w, entity.site, n, &refused));
	ret->clock_offset = offset > ret->clock_offset ? offset : ret->clock_offset;
	ret->nodes_refused += refused;
}

static void read_nodes(const struct world *w, struct entity entity, struct node_range range,
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
		ret->resets += node->resets;
		ret->writes_torn += node->writes_torn;
		read_condition(w, entity, n, ret);
	}
}

static bool serves_other_model(const struct world *w, const struct replica *replica)
{
	for (size_t k = 0; k < w->standing_count; k++) {
		const struct token *token = &w->tokens[w->standing[k]];
		if (token->effect.kind == EFFECT_MODEL_BAD &&
		    replica_is_of(w, replica, token->effect.entity, token->site))
			return true;
	}
	return false;
}

static void read_replicas(const struct world *w, struct entity entity, struct reading *ret)
{
	for (uint32_t r = 0; r < w->replica_count; r++) {
		const struct replica *replica = &w->replicas[r];
		if (!replica_matches(w, replica, entity))
			continue;
		bool runs = replica->stage == STAGE_RUNNING;
		uint32_t errors = (uint32_t)lround(replica->now.error * EFFECT_PPM);
		ret->replicas++;
		ret->replicas_ready += runs && !replica->now.unready;
		ret->processes_stopped += runs && replica->now.stopped;
		if (runs && errors > ret->errors_ppm)
			ret->errors_ppm = errors;
		if (runs && replica->now.added > ret->service_added)
			ret->service_added = replica->now.added;
		if (replica->now.start_added > ret->start_added)
			ret->start_added = replica->now.start_added;
		ret->processes += replica->stage == STAGE_RUNNING ||
				  replica->stage == STAGE_STARTING ||
				  replica->stage == STAGE_LOADING;
		ret->process_starts += replica->starts;
		ret->copies += replica->stage == STAGE_RUNNING;
		uint32_t quota = (uint32_t)lround((1 - replica->now.squeezed) * EFFECT_PPM);
		ret->quota_ppm = quota < ret->quota_ppm ? quota : ret->quota_ppm;
		ret->oom_kills += replica->oom_kills;
		ret->processes_oom += replica->oom;
		ret->digest_mismatches += replica->flips + (runs && serves_other_model(w, replica));
	}
}

static void read_path(const struct world *w, struct entity entity, struct reading *ret)
{
	bool open = true, parted = false;
	nanos trip = scenario_time(w->scenario, ROUND_TRIP_BASE);
	if (entity.kind == ENTITY_LINK) {
		const struct link *link = &w->scenario->deployment.links[entity.index];
		open = link_open(w, (size_t)entity.index);
		trip = 2 * link->latency + w->links[entity.index].delay;
	} else {
		open = w->sites[entity.site].cut == 0;
		parted = w->sites[entity.site].parted > 0;
		trip += w->sites[entity.site].delay;
		if (entity.kind == ENTITY_NODE || entity.kind == ENTITY_GPU) {
			const struct node *node = &w->nodes[nodes_of(w, entity).first];
			open = open && node->cut == 0;
			parted = parted || node->parted > 0;
			trip += node->delay;
		}
	}
	ret->paths++;
	ret->paths_open += open && !parted;
	if (entity.kind == ENTITY_GPU)
		entity.kind = ENTITY_NODE;
	entity.part = 0;
	most(&ret->loss_ppm, wire_share(w, EFFECT_NET_LOSS, entity) * EFFECT_PPM);
	most(&ret->duplicated_ppm, wire_share(w, EFFECT_NET_DUPLICATE, entity) * EFFECT_PPM);
	most(&ret->corrupted_ppm, wire_share(w, EFFECT_NET_CORRUPT, entity) * EFFECT_PPM);
	most(&ret->reordered_ppm, wire_share(w, EFFECT_NET_REORDER, entity) * EFFECT_PPM);
	ret->mtu = wire_mtu(w, entity);
	ret->rate = condition_rate(w, EFFECT_NET_RATE, entity);
	ret->round_trip = open ? trip : NANOS_NEVER;
}

static void read_backup(const struct world *w, struct entity entity, struct reading *ret)
{
	int32_t id = storage_backup_by_index(w, entity.index);
	if (id < 0)
		return;
	ret->copies = w->backups[id].gone == 0;
	ret->digest_mismatches = w->backups[id].flips;
	ret->older = w->backups[id].older;
}

static void read_data(const struct world *w, enum data_class c, struct reading *ret)
{
	const struct damage_state *damage = &w->sites[world_data_site(w)].damage[c];
	double there = 1;
	for (size_t k = 0; k < w->standing_count; k++) {
		const struct token *token = &w->tokens[w->standing[k]];
		if (condition_damages(w, token, EFFECT_DATA_CUT, c))
			there *= 1 - (double)token->effect.amount / EFFECT_PPM;
		if (condition_damages(w, token, EFFECT_DATA_OLD, c))
			ret->older += token->effect.amount;
	}
	ret->copies = 1;
	ret->digest_mismatches = damage->flips;
	ret->unreadable = damage->sealed > 0;
	ret->content_bytes =
		damage->gone
			? 0
			: (uint64_t)llround((double)w->scenario->deployment.data[c].bytes * there);
}

static void read_store(const struct world *w, struct reading *ret)
{
	const struct store *store = &w->scenario->deployment.store;
	struct entity entity = {.kind = ENTITY_STORE};
	ret->usable = site_usable(w, store->site) && w->store.out == 0;
	ret->disks = 1;
	ret->disks_full = w->store.full > 0;
	ret->disks_failing = w->store.failing > 0;
	ret->disks_readonly = w->store.readonly > 0;
	ret->backup_jobs_failing = w->store.jobs_failing > 0;
	ret->restores_stopped = w->store.restores_stopped;
	ret->disk_rate = fmin(condition_rate(w, EFFECT_STORE_RATE, entity),
			      condition_rate(w, EFFECT_DISK_RATE, entity));
	ret->disk_rate = fmin(ret->disk_rate, fmax(store->read, store->write));
	ret->disks_hanging = w->store.hanging > 0;
	read_files(w, entity, ret);
	ret->disk_left_ppm =
		(uint32_t)fmin(condition_rate(w, EFFECT_DISK_FULL, entity), EFFECT_PPM);
	ret->restore_rate = fmin(store->read, condition_rate(w, EFFECT_RESTORE_RATE, entity));
}

/* Of a site as a platform: does it take pods and calls, and how far behind are its copies? */
static void read_site(const struct world *w, struct entity entity, struct reading *ret)
{
	const struct site_state *site = &w->sites[entity.site];
	const struct site *config = &w->scenario->deployment.sites[entity.site];
	ret->usable = site_usable(w, entity.site);
	ret->sites_full = site->full > 0;
	ret->sites_without_api = site->api_out > 0;
	ret->replica_lag = config->standby.replication_lag + site->lag_added;
	for (uint32_t s = 0; s < w->scenario->deployment.site_count; s++)
		ret->writers += w->sites[s].writing != 0;
	for (int c = 0; c < DATA_CLASSES; c++) {
		const struct damage_state *damage = &site->damage[c];
		ret->digest_mismatches += damage->flips + damage->old;
		ret->unreadable += damage->sealed > 0;
		ret->missing += damage->cut || damage->gone;
	}
}

static void begin(const struct world *w, struct reading *ret)
{
	*ret = (struct reading){.at = world_now(w), .pace_ppm = EFFECT_PPM};
	ret->rate = ret->disk_rate = ret->restore_rate = INFINITY;
	ret->cpu_left_ppm = ret->memory_left_ppm = ret->quota_ppm = EFFECT_PPM;
	ret->disk_left_ppm = ret->inodes_left_ppm = EFFECT_PPM;
}

void reading_hardware(const struct world *w, struct entity entity, struct reading *ret)
{
	begin(w, ret);
	read_nodes(w, entity, nodes_of(w, entity), ret);
	read_path(w, entity, ret);
}

void reading_take(const struct world *w, struct entity entity, struct reading *ret)
{
	begin(w, ret);
	switch (entity.kind) {
	case ENTITY_SITE:
	case ENTITY_STANDBY:
		read_site(w, entity, ret);
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
		ret->request_rate = load_rate(w, &w->services[entity.index]);
		read_replicas(w, entity, ret);
		break;
	case ENTITY_REPLICA:
		read_replicas(w, entity, ret);
		break;
	case ENTITY_DATA:
		read_data(w, (enum data_class)entity.index, ret);
		break;
	case ENTITY_BACKUP:
		read_backup(w, entity, ret);
		break;
	case ENTITY_STORE:
		read_store(w, ret);
		break;
	case ENTITY_JOB:
	case ENTITY_RANK:
	case ENTITY_CHECKPOINT:
		jobs_read(w, entity, ret);
		break;
	case ENTITY_KINDS:
	case ENTITY_NONE:
		break;
	}
}
