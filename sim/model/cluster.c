/* SPDX-License-Identifier: Apache-2.0 */
/* Sites, racks, nodes, GPUs and links: what holds them down, who is up, who can be reached. */
#include <string.h>

#include "sim/model/world.h"

/* ---- who is up, who can be reached ---- */

bool node_up(const struct world *w, uint32_t node)
{
	return w->nodes[node].power_off == 0 && w->nodes[node].crashed == 0;
}

bool node_open(const struct world *w, uint32_t node)
{
	return w->nodes[node].cordoned == 0 && w->nodes[node].disk_low == 0;
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
	struct entity entity = {.kind = ENTITY_LINK, .index = (int32_t)link};
	return w->links[link].cut == 0 && w->scenario->deployment.links[link].loss < 1 &&
	       wire_loss(w, entity) < 1;
}

bool sites_connected(const struct world *w, uint32_t a, uint32_t b)
{
	if (a == b)
		return true;
	int link = scenario_link_between(w->scenario, a, b);
	if (w->sites[a].parted && w->sites[b].parted &&
	    wire_parted(w, (struct entity){.kind = ENTITY_SITE, .site = a},
			(struct entity){.kind = ENTITY_SITE, .site = b}))
		return false;
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
	effects_reset(w);
}

void cluster_changed(struct world *w)
{
	replicas_look(w);
	jobs_look(w);
	storage_look(w);
	load_look_all(w);
	actions_look(w);
}

/* ---- which nodes an entity stands for ---- */

struct node_range nodes_of(const struct world *w, struct entity entity)
{
	const struct deployment *deployment = &w->scenario->deployment;
	if (entity.site >= deployment->site_count)
		return (struct node_range){0, 0};
	const struct site *site = &deployment->sites[entity.site];
	uint32_t base = w->sites[entity.site].first_node;
	switch (entity.kind) {
	case ENTITY_SITE:
	case ENTITY_STANDBY:
		return (struct node_range){base, base + site->nodes};
	case ENTITY_RACK: {
		/* node n stands in rack n * racks / nodes */
		uint64_t r = (uint64_t)entity.index, racks = site->racks ? site->racks : 1;
		uint32_t from = (uint32_t)((r * site->nodes + racks - 1) / racks);
		uint32_t to = (uint32_t)(((r + 1) * site->nodes + racks - 1) / racks);
		return (struct node_range){base + from, base + to};
	}
	case ENTITY_NODE:
	case ENTITY_GPU:
		return (struct node_range){base + (uint32_t)entity.index,
					   base + (uint32_t)entity.index + 1};
	case ENTITY_NONE:
	case ENTITY_LINK:
	case ENTITY_STORE:
	case ENTITY_ENDPOINT:
	case ENTITY_REPLICA:
	case ENTITY_JOB:
	case ENTITY_DATA:
	case ENTITY_BACKUP:
	case ENTITY_RANK:
	case ENTITY_CHECKPOINT:
	case ENTITY_KINDS:
		break;
	}
	return (struct node_range){0, 0};
}

/* Replicas that an effect on a replica, an endpoint (those at `site`) or a GPU means. */
bool replica_is_of(const struct world *w, const struct replica *replica, struct entity entity,
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
		struct node_range range = nodes_of(w, entity);
		return replica->node != NODE_NONE && replica->node >= range.first &&
		       replica->node < range.end;
	}
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

/* As seen now: an endpoint is where its traffic goes. */
bool replica_matches(const struct world *w, const struct replica *replica, struct entity entity)
{
	bool of_endpoint = entity.kind == ENTITY_ENDPOINT;
	return replica_is_of(w, replica, entity, of_endpoint ? w->services[entity.index].route : 0);
}
