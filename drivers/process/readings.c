/* SPDX-License-Identifier: Apache-2.0 */
/* What can be seen of an entity, now: from the observer's rounds, the files, the store, the client.
 * What is not looked at on this driver stays 0. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "core/diagnosis.h"
#include "drivers/process/effects.h"
#include "drivers/process/network.h"
#include "drivers/process/process.h"
#include "drivers/process/training.h"

/* ---- machines ---- */

static uint32_t space_left(struct real *real, const char *folder)
{
	struct statvfs space;

	(void)real;
	if (statvfs(folder, &space) || space.f_blocks == 0)
		return 0;
	return (uint32_t)((double)space.f_bavail * EFFECT_PPM / (double)space.f_blocks);
}

static uint32_t inodes_left(const char *folder)
{
	struct statvfs space;

	if (statvfs(folder, &space) || space.f_files == 0)
		return 0;
	return (uint32_t)((double)space.f_favail * EFFECT_PPM / (double)space.f_files);
}

/* The device file itself: of a GPU alone the agent's list does not say which one is missing. */
static uint32_t gpus_seen(const struct real *real, const struct node *node,
			  const struct node_view *view, const struct entity *entity)
{
	(void)real;
	(void)node;
	if (entity->kind != ENTITY_GPU)
		return view->gpus;
	return (uint32_t)(view->gpu_mask >> entity->part & 1);
}

static void read_node(struct real *real, const struct view *view, struct entity entity, uint32_t n,
		      struct reading *ret)
{
	const struct site *site = &real->scenario->deployment.sites[entity.site];
	const struct node *node = real_node(real, entity.site, n);
	const struct node_view *seen = &view->nodes[real->first_node[entity.site] + n];

	ret->nodes++;
	ret->nodes_powered += node->power;
	ret->nodes_reachable += seen->reachable;
	ret->nodes_responding += seen->responding;
	ret->nodes_schedulable += seen->ready;
	ret->gpus += entity.kind == ENTITY_GPU ? 1 : site->gpus;
	ret->gpus_visible += seen->responding ? gpus_seen(real, node, seen, &entity) : 0;
	ret->xid_lines += seen->xid_lines;
	ret->xid = seen->xid ? seen->xid : ret->xid;
	if (!node->down)
		devices_read(real, &entity, n, site->gpus, ret);
	ret->ports++;
	ret->ports_open += seen->reachable;
	if (node->cpu_left < ret->cpu_left_ppm)
		ret->cpu_left_ppm = node->cpu_left;
	if (node->memory_left < ret->memory_left_ppm)
		ret->memory_left_ppm = node->memory_left;
	ret->oom_kills += seen->oom_kills;
	if (!seen->responding || !real->volumes[entity.site])
		return;
	uint32_t left = space_left(real, copies_site_folder(real->copies, entity.site));
	ret->inodes_left_ppm = inodes_left(copies_site_folder(real->copies, entity.site));
	ret->disks++;
	ret->disks_full += left == 0;
	ret->disk_left_ppm = left;
}

double readings_steady(double *usual, double now)
{
	if (*usual <= 0)
		*usual = now;
	return now < *usual / 2 ? now : *usual;
}

bool readings_holds_node(const struct site *site, const struct entity *entity, uint32_t n)
{
	if (entity->kind == ENTITY_RACK)
		return (uint64_t)n * site->racks / site->nodes == (uint32_t)entity->index;
	if (entity->kind == ENTITY_NODE || entity->kind == ENTITY_GPU)
		return n == (uint32_t)entity->index;
	return true;
}

/* Is the replica on it, or of it? */
static bool holds_replica(const struct real *real, const struct entity *entity,
			  const struct replica_view *replica)
{
	uint32_t first = real->first_node[entity->site];

	switch (entity->kind) {
	case ENTITY_ENDPOINT:
		return replica->endpoint == (uint32_t)entity->index &&
		       replica->site == real->route[entity->index];
	case ENTITY_REPLICA:
		return replica->endpoint == (uint32_t)entity->index &&
		       replica->ordinal == entity->part &&
		       replica->site == real->scenario->deployment.endpoints[entity->index].site;
	case ENTITY_SITE:
	case ENTITY_STANDBY:
		return replica->site == entity->site;
	case ENTITY_RACK:
	case ENTITY_NODE:
	case ENTITY_GPU:
		return replica->node >= (int)first &&
		       readings_holds_node(&real->scenario->deployment.sites[entity->site], entity,
				  (uint32_t)replica->node - first) &&
		       real->nodes[replica->node].site == entity->site;
	case ENTITY_NONE:
	case ENTITY_LINK:
	case ENTITY_STORE:
	case ENTITY_JOB:
	case ENTITY_DATA:
	case ENTITY_BACKUP:
	case ENTITY_RANK:
	case ENTITY_CHECKPOINT:
	case ENTITY_KINDS:
		break;
	}
	return false;
}

static void read_replicas(const struct real *real, const struct view *view,
			  const struct entity *entity, struct reading *ret)
{
	for (size_t r = 0; r < view->replica_count; r++) {
		const struct replica_view *replica = &view->replicas[r];
		if (!holds_replica(real, entity, replica))
			continue;
		ret->replicas++;
		ret->replicas_ready += replica->ready && replica->state == 'R';
		ret->processes += replica->pid != 0 && replica->state != 'X';
		ret->processes_stopped += replica->pid != 0 && replica->state == 'T';
		ret->process_starts += replica->starts;
		uint32_t quota = real->quota[replica->endpoint];
		if (quota > 0 && quota < ret->quota_ppm)
			ret->quota_ppm = quota;
	}
}

static void read_machines(struct real *real, const struct view *view, struct entity entity,
			  bool fresh, struct reading *ret)
{
	const struct site *site = &real->scenario->deployment.sites[entity.site];

	for (uint32_t n = 0; n < site->nodes; n++)
		if (readings_holds_node(site, &entity, n))
			read_node(real, view, entity, n, ret);
	read_replicas(real, view, &entity, ret);
	network_read(real, view, entity, fresh, ret);
	if (fresh && real->about & EFFECTS_OF_STORAGE)
		disks_read(real, &entity, ret);
	if (real->about & EFFECT_BIT(EFFECT_CLOCK_SKEW))
		clocks_read(real, &entity, ret);
	calls_read(real, &entity, ret);
	ret->usable = real_site_usable(real, entity.site) && ret->nodes_responding > 0;
	ret->sites_without_api = !view->control;
}

/* ---- data and backups ---- */

static void read_data(struct real *real, enum data_class data_class, struct reading *ret)
{
	struct copies_look look;

	copies_look(real->copies, copies_source(real->copies), data_class, &look);
	ret->copies = 1;
	ret->content_bytes = look.bytes;
	ret->digest_mismatches = look.mismatches;
	ret->missing = look.missing;
	ret->unreadable = look.unreadable;
	ret->older = look.older;
}

static void read_backup(struct real *real, int32_t index, struct reading *ret)
{
	struct store_handle *store = NULL;
	struct error error = {.kind = ERROR_NONE};
	int32_t id = effects_backup_index(real, index);

	if (id < 0 || actions_open_store(real, &store, &error))
		return;
	const struct backup_state *backup = &real->backups[id];
	for (int c = 0; c < DATA_CLASSES; c++) {
		const struct store_verify_options options = {.mark = false};
		struct store_verified verified = {0};
		struct store_backup found;
		if (!backup->ids[c][0])
			continue;
		if (store_find(store, backup->ids[c], &found, &error)) {
			ret->digest_mismatches += error.kind == ERROR_IO;
			error = (struct error){.kind = ERROR_NONE};
			continue;
		}
		ret->copies++;
		if (backup->as_of - found.as_of > ret->older)
			ret->older = backup->as_of - found.as_of;
		if (store_verify(store, backup->ids[c], &options, &verified, &error) ||
		    verified.damages > 0)
			ret->digest_mismatches++;
		error = (struct error){.kind = ERROR_NONE};
	}
	store_close(store);
}

static void read_store(struct real *real, struct reading *ret)
{
	char folder[1024];

	ret->usable = machine_alive(real->store_machine);
	ret->backup_jobs_failing = real->backups_fail ? real->backups_failed : 0;
	ret->restores_stopped = real->restores_stopped;
	snprintf(folder, sizeof(folder), "%s%s", machine_root(real->store_machine),
		 real->store_disk);
	ret->disks = 1;
	ret->disk_left_ppm = space_left(real, folder);
	ret->disks_full = ret->disk_left_ppm == 0;
}

/* ---- one entity ---- */

/* A process may be started again elsewhere in its site. */
static uint64_t oom_kills(const struct real *real, const struct view *view, uint32_t site)
{
	uint64_t sum = 0;

	for (size_t n = 0; n < real->node_count; n++)
		if (real->nodes[n].site == site)
			sum += view->nodes[n].oom_kills;
	return sum;
}

static void read_service(struct real *real, const struct view *view, const struct entity *entity,
			 struct reading *ret)
{
	uint32_t endpoint = (uint32_t)entity->index;

	read_replicas(real, view, entity, ret);
	ret->paths = ret->paths_open = 1;
	ret->request_rate = real->rate[endpoint];
	ret->start_added = real->start_added[endpoint];
	ret->usable = ret->replicas_ready > 0;
	calls_read(real, entity, ret);
	ret->oom_kills = oom_kills(real, view, real->route[endpoint]);
}

static void take(struct real *real, const struct view *view, struct entity entity, bool fresh,
		 struct reading *ret)
{
	*ret = (struct reading){.at = real_now(real),
				.pace_ppm = EFFECT_PPM,
				.cpu_left_ppm = EFFECT_PPM,
				.memory_left_ppm = EFFECT_PPM,
				.quota_ppm = EFFECT_PPM};
	switch (entity.kind) {
	case ENTITY_SITE:
	case ENTITY_STANDBY:
	case ENTITY_RACK:
	case ENTITY_NODE:
	case ENTITY_GPU:
		read_machines(real, view, entity, fresh, ret);
		break;
	case ENTITY_ENDPOINT:
	case ENTITY_REPLICA:
		read_service(real, view, &entity, ret);
		break;
	case ENTITY_DATA:
		read_data(real, (enum data_class)entity.index, ret);
		break;
	case ENTITY_BACKUP:
		read_backup(real, entity.index, ret);
		break;
	case ENTITY_STORE:
		read_store(real, ret);
		break;
	case ENTITY_LINK:
		network_read(real, view, entity, fresh, ret);
		break;
	case ENTITY_JOB:
	case ENTITY_RANK:
	case ENTITY_CHECKPOINT:
		training_reading(real, view, entity, ret);
		ret->oom_kills = oom_kills(real, view, entity.site);
		calls_read(real, &entity, ret);
		break;
	case ENTITY_NONE:
	case ENTITY_KINDS:
		break;
	}
}

void readings_take(struct real *real, struct entity entity, struct reading *ret)
{
	struct view *view = real->scratch;
	bool by_files = entity.kind == ENTITY_DATA || entity.kind == ENTITY_BACKUP ||
			entity.kind == ENTITY_STORE;

	/* What is read from files at once is not to be older by a round of the observer. */
	if (!by_files)
		observe_fresh(real, view);
	take(real, view, entity, true, ret);
}

void readings_glance(struct real *real, struct entity entity, struct reading *ret)
{
	observe_last(real, real->scratch);
	take(real, real->scratch, entity, false, ret);
}

/* ---- diagnosis ---- */

void readings_diagnose(struct real *real, uint32_t site, struct completion *ret)
{
	const struct site *config = &real->scenario->deployment.sites[site];
	struct view *view = calloc(1, sizeof(*view));
	struct reading reading;
	int worst = 0;

	assert(view);
	observe_fresh(real, view);
	ret->suspect = (struct entity){.kind = ENTITY_SITE, .site = site};
	take(real, view, ret->suspect, false, &ret->site_reading);
	ret->worst = ret->site_reading;
	ret->link_reading.round_trip = NANOS_NEVER;
	for (uint32_t l = 0; l < real->scenario->deployment.link_count; l++) {
		const struct link *link = &real->scenario->deployment.links[l];
		const struct entity entity = {.kind = ENTITY_LINK, .index = (int32_t)l};
		if (link->site[0] != site && link->site[1] != site)
			continue;
		take(real, view, entity, false, &ret->link_reading);
		if (ret->link_reading.paths_open < ret->link_reading.paths)
			break;
	}
	for (uint32_t n = 0; n < config->nodes; n++) {
		struct entity node = {.kind = ENTITY_NODE, .site = site, .index = (int32_t)n};
		take(real, view, node, false, &reading);
		int brokenness = diagnosis_brokenness(&reading);
		if (brokenness <= worst)
			continue;
		worst = brokenness;
		ret->suspect = node;
		ret->worst = reading;
	}
	free(view);
}
