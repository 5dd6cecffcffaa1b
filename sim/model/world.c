/* SPDX-License-Identifier: Apache-2.0 */
/* The world as a whole: set up once per scenario, put back to time 0 for every trial, and its queue
 * of completions. */
#include "sim/model/world.h"

#include <string.h>

#define EVENTS_MAX ((size_t)8 << 20) /* pending at once: requests in flight, mostly */

uint32_t world_data_site(const struct world *w)
{
	const struct deployment *d = &w->scenario->deployment;
	for (uint32_t s = 0; s < d->site_count; s++)
		if (d->sites[s].standby.heat == HEAT_NONE)
			return s;
	return 0;
}

uint32_t world_domain(const struct world *w, uint32_t endpoint)
{
	uint32_t domain = 0, site = w->scenario->deployment.endpoints[endpoint].site;
	for (uint32_t s = 0; s < site; s++)
		domain += w->scenario->deployment.sites[s].standby.heat == HEAT_NONE;
	return domain;
}

void world_complete(struct world *w, const struct completion *completion)
{
	if (w->done_count == w->done_capacity) {
		size_t old = w->done_capacity, capacity = old ? old * 2 : 64;
		struct completion *ring = arena_array(&w->arena, capacity, sizeof(*ring));
		for (size_t i = 0; i < old; i++)
			ring[i] = w->done[(w->done_first + i) % old];
		w->done = ring;
		w->done_first = 0;
		w->done_capacity = capacity;
	}
	struct completion *slot = &w->done[(w->done_first + w->done_count++) % w->done_capacity];
	*slot = *completion;
	if (slot->at < world_now(w))
		slot->at = world_now(w);
	engine_stop(w->engine); /* the run loop wakes up at this very instant */
}

struct world *world_open(const struct scenario *scenario)
{
	struct arena arena = {0};
	struct world *w = arena_alloc(&arena, sizeof(*w));
	const struct deployment *d = &scenario->deployment;
	w->arena = arena;
	w->scenario = scenario;
	w->engine = engine_open(EVENTS_MAX);
	w->flows = flow_open();
	w->sites = arena_array(&w->arena, d->site_count, sizeof(*w->sites));
	w->links = arena_array(&w->arena, d->link_count + 1, sizeof(*w->links));
	for (uint32_t s = 0; s < d->site_count; s++) {
		w->sites[s].first_node = (uint32_t)w->node_count;
		w->node_count += d->sites[s].nodes;
	}
	w->nodes = arena_array(&w->arena, w->node_count + 1, sizeof(*w->nodes));
	w->services = arena_array(&w->arena, d->endpoint_count + 1, sizeof(*w->services));
	for (size_t i = 0; i < scenario->detector_count; i++) {
		const struct detector_config *config = &scenario->detectors[i];
		w->probes_meet |= config->interval > 0 && config->timeout >= config->interval &&
				  config->timeout % config->interval == 0;
	}
	jobs_open(w);
	replicas_open(w);
	load_open(w);
	return w;
}

void world_close(struct world *w)
{
	if (!w)
		return;
	engine_close(w->engine);
	flow_close(w->flows);
	struct arena arena = w->arena; /* the world itself lives in it */
	arena_free(&arena);
}

void world_reset(struct world *w, uint64_t seed, uint64_t trial, struct timeline *timeline)
{
	w->seed = seed;
	w->trial = trial;
	calibration_draw(w->scenario->calibration, seed, trial, &w->late);
	w->timeline = timeline;
	engine_reset(w->engine);
	w->done_first = w->done_count = 0;
	cluster_reset(w);
	storage_reset(w);
	actions_reset(w);
	jobs_reset(w); /* before replicas: they take whole nodes */
	replicas_reset(w);
	load_reset(w);
	storage_look(w);
	w->done_first = w->done_count = 0; /* nothing happened yet */
	for (uint32_t e = 0; e < w->scenario->deployment.endpoint_count; e++)
		if (w->services[e]
			    .bad) { /* a service that is bad from the start is worth hearing of */
			struct completion bad = {.kind = COMPLETION_BAD, .endpoint = e};
			world_complete(w, &bad);
		}
}
