/* SPDX-License-Identifier: Apache-2.0 */
/* Long runs: what breaks by chance or as a log has it, when, what it hits, and how long what broke
 * was down. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/run_private.h"
#include "core/trace.h"

/* ---- the nodes that failures are drawn from: one pool of all, one of those with GPUs ---- */

static uint32_t count_nodes(const struct deployment *deployment, bool gpus)
{
	uint32_t count = 0;
	for (size_t s = 0; s < deployment->site_count; s++)
		if (deployment->sites[s].standby.heat == HEAT_NONE &&
		    (!gpus || deployment->sites[s].gpus > 0))
			count += deployment->sites[s].nodes;
	return count;
}

/* Node k of all primary sites. */
static struct entity nth_node(const struct deployment *deployment, uint32_t k)
{
	struct entity node = {.kind = ENTITY_NODE};
	for (; node.site < deployment->site_count; node.site++) {
		const struct site *site = &deployment->sites[node.site];
		if (site->standby.heat != HEAT_NONE)
			continue;
		if (k < site->nodes)
			break;
		k -= site->nodes;
	}
	node.index = (int32_t)k;
	return node;
}

void failures_new(struct run *run)
{
	const struct deployment *deployment = &run->scenario->deployment;
	if (run->scenario->failure_count == 0)
		return;
	for (int gpus = 0; gpus < POOLS; gpus++) {
		struct failure_pool *pool = &run->pools[gpus];
		pool->count = count_nodes(deployment, gpus);
		pool->nodes = arena_array(&run->arena, pool->count + 1, sizeof(*pool->nodes));
	}
}

/* The lemons of this trial come first in each pool: some nodes, each as likely as any other
 * (Fisher and Yates). */
void failures_reset(struct run *run)
{
	const struct scenario *scenario = run->scenario;
	struct failure_pool *all = &run->pools[POOL_ALL], *gpus = &run->pools[POOL_GPUS];
	struct prng prng;
	size_t used = 0;
	if (scenario->failure_count == 0)
		return;
	all->lemons = (uint32_t)llround(scenario->lemons.share * all->count);
	gpus->lemons = 0;
	for (uint32_t i = 0; i < all->count; i++)
		all->nodes[i] = i;
	prng_open(&prng, run->options.seed, run->trial_number, 0, PRNG_LEMONS);
	for (uint32_t i = 0; i < all->lemons; i++) {
		uint32_t other = i + (uint32_t)prng_below(&prng, all->count - i);
		uint32_t node = all->nodes[i];
		all->nodes[i] = all->nodes[other];
		all->nodes[other] = node;
	}
	for (uint32_t i = 0; i < all->count; i++) {
		struct entity node = nth_node(&scenario->deployment, all->nodes[i]);
		if (scenario->deployment.sites[node.site].gpus == 0)
			continue;
		gpus->nodes[used++] = all->nodes[i];
		gpus->lemons += i < all->lemons;
	}
}

static struct entity draw_node(const struct run *run, enum pool which, struct prng *prng)
{
	const struct failure_pool *pool = &run->pools[which];
	uint32_t others = pool->count - pool->lemons, k;
	double weight = run->scenario->lemons.factor * pool->lemons;
	bool lemon = pool->lemons > 0 &&
		     (others == 0 || prng_uniform(prng) < weight / (weight + others));
	if (lemon)
		k = (uint32_t)prng_below(prng, pool->lemons);
	else
		k = pool->lemons + (uint32_t)prng_below(prng, others);
	return nth_node(&run->scenario->deployment, pool->nodes[k]);
}

static struct entity draw_replica(const struct deployment *deployment, struct prng *prng)
{
	struct entity replica = {.kind = ENTITY_REPLICA};
	uint64_t total = 0, k;
	for (size_t i = 0; i < deployment->endpoint_count; i++)
		total += deployment->endpoints[i].replicas;
	for (k = prng_below(prng, total); k >= deployment->endpoints[replica.index].replicas;)
		k -= deployment->endpoints[replica.index++].replicas;
	replica.part = (uint32_t)k;
	return replica;
}

static struct entity draw(const struct run *run, const struct step *step, struct prng *prng)
{
	const struct deployment *deployment = &run->scenario->deployment;
	struct entity entity;
	if (step->failure.hits == ENTITY_REPLICA)
		return draw_replica(deployment, prng);
	entity = draw_node(run, step->failure.hits == ENTITY_GPU ? POOL_GPUS : POOL_ALL, prng);
	const struct site *site = &deployment->sites[entity.site];
	entity.kind = step->failure.hits;
	if (entity.kind == ENTITY_GPU)
		entity.part = (uint32_t)prng_below(prng, site->gpus);
	else if (entity.kind == ENTITY_RACK) /* node n stands in rack n * racks / nodes */
		entity.index = (int32_t)((uint64_t)entity.index * site->racks / site->nodes);
	else if (entity.kind == ENTITY_SITE)
		entity.index = 0;
	return entity;
}

/* ---- when, and what this time ---- */

/* Exponential: as if each node had failed independently, at a constant rate. */
nanos failure_after(const struct step *step, nanos last, struct prng *prng)
{
	double per_day = step->failure.per_1000_node_days / 1000 * step->failure.nodes;
	double gap = -log(prng_uniform(prng)) / per_day * (double)NANOS_DAY;
	return gap < (double)SCENARIO_DURATION_MAX ? last + (nanos)gap : NANOS_NEVER;
}

const struct trace_record *occurrence_record(const struct step *step,
					     const struct schedule *schedule)
{
	/* The one that is happening was counted already. */
	return step->trace ? &step->trace->records[schedule->occurrence - 1] : NULL;
}

size_t occurrence_entities(struct run *run, const struct step *step, struct schedule *schedule,
			   const struct entity **ret)
{
	const struct trace_record *record = occurrence_record(step, schedule);
	struct entity *own;
	if (record) {
		*ret = &step->target.entities[record->machine];
		return 1;
	}
	if (step->when == WHEN_FAILURE) {
		own = arena_alloc(&run->trial, sizeof(*own));
		*own = draw(run, step, &schedule->select);
		*ret = own;
		return 1;
	}
	if (step->select.kind == SELECT_ALL) {
		*ret = step->target.entities;
		return step->target.count;
	}
	own = arena_array(&run->trial, target_select_max(&step->target, &step->select),
			  sizeof(*own));
	*ret = own;
	return target_select(&step->target, &step->select, &schedule->select, own);
}

const char *occurrence_cause(const struct step *step, const struct schedule *schedule)
{
	const struct trace_record *record = occurrence_record(step, schedule);
	return record ? record->cause : step->failure.cause;
}

/* ---- what breaks something that is broken ---- */

static bool stands_in(const struct deployment *deployment, struct entity inner, struct entity outer)
{
	const struct site *site = &deployment->sites[outer.site];
	bool below = inner.kind == ENTITY_NODE || inner.kind == ENTITY_GPU;
	if (entity_equal(inner, outer))
		return true;
	if (outer.kind == ENTITY_SITE || outer.kind == ENTITY_STANDBY)
		return (below || inner.kind == ENTITY_RACK) && inner.site == outer.site;
	if (outer.kind == ENTITY_RACK)
		return below && inner.site == outer.site &&
		       (uint64_t)inner.index * site->racks / site->nodes == (uint64_t)outer.index;
	return outer.kind == ENTITY_NODE && inner.kind == ENTITY_GPU && inner.site == outer.site &&
	       inner.index == outer.index;
}

/*
 * Logs are full of outages that hit what is broken already, and a failure by chance may hit a
 * process that is down: then there is nothing to be seen of it. That is no fault without effect:
 * what it broke is broken until it is mended too. Where a process runs only the driver knows, so
 * that of a replica anything broken counts.
 */
bool failure_hidden(const struct run *run, const struct injection *injection)
{
	const struct deployment *deployment = &run->scenario->deployment;
	enum when_kind when = injection->step->when;
	if ((when != WHEN_FAILURE && when != WHEN_TRACE) || injection->effect_count == 0)
		return false;
	struct entity hit = injection->effects[0].entity;
	for (size_t i = 0; i < run->active_count; i++) {
		const struct injection *other = &run->injections[run->active[i]];
		if (other == injection)
			continue;
		if (hit.kind == ENTITY_REPLICA ||
		    stands_in(deployment, hit, other->effects[0].entity))
			return true;
	}
	return false;
}

bool failure_of_broken(const struct run *run, const struct injection *injection)
{
	return injection->step->when == WHEN_FAILURE && injection->effect_count > 0 &&
	       injection->effects[0].entity.kind != ENTITY_REPLICA &&
	       failure_hidden(run, injection);
}

/* ---- how long it was down ---- */

static int compare_minutes(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;
	return a < b ? -1 : a > b;
}

/* `minutes` is put in order. */
static struct repair_summary sum_up(const char *cause, double *minutes, size_t count)
{
	struct repair_summary summary = {
		.cause = cause, .count = count, .mean = NAN, .median = NAN};
	double sum = 0;
	if (count == 0)
		return summary;
	for (size_t i = 0; i < count; i++)
		sum += minutes[i];
	qsort(minutes, count, sizeof(*minutes), compare_minutes);
	summary.mean = sum / (double)count;
	summary.median = (minutes[(count - 1) / 2] + minutes[count / 2]) / 2;
	return summary;
}

/* One fault that was mended, and its cause as a number. */
struct mended {
	uint32_t cause;
	double minutes;
};

static uint32_t number_of(struct run *run, struct repair_summary **causes, size_t *count,
			  size_t *capacity, const char *cause)
{
	for (size_t i = 0; i < *count; i++)
		if ((*causes)[i].cause == cause || strcmp((*causes)[i].cause, cause) == 0) {
			(*causes)[i].count++;
			return (uint32_t)i;
		}
	*causes = arena_grow(&run->trial, *causes, *count, capacity, sizeof(**causes));
	(*causes)[*count] = (struct repair_summary){.cause = cause, .count = 1};
	return (uint32_t)(*count)++;
}

static int by_count(const void *left, const void *right)
{
	const struct repair_summary *a = left, *b = right;
	if (a->count != b->count)
		return a->count > b->count ? -1 : 1;
	return strcmp(a->cause, b->cause);
}

void failures_measure(struct run *run, struct record *record)
{
	struct mended *mended = arena_array(&run->trial, run->injection_count + 1, sizeof(*mended));
	double *minutes = arena_array(&run->trial, run->injection_count + 1, sizeof(*minutes));
	struct repair_summary *causes = NULL;
	size_t count = 0, cause_count = 0, capacity = 0;
	bool any = false;
	for (size_t i = 0; i < run->scenario->step_count; i++)
		any |= run->scenario->steps[i].when == WHEN_FAILURE ||
		       run->scenario->steps[i].when == WHEN_TRACE;
	record->repairs = NULL;
	record->repair_count = 0;
	if (!any)
		return;
	for (size_t i = 0; i < run->injection_count; i++) {
		const struct injection *injection = &run->injections[i];
		const char *cause = run->faults[injection->record].cause;
		if (!cause || injection->reverted_at == NANOS_NEVER)
			continue;
		mended[count].cause = number_of(run, &causes, &cause_count, &capacity, cause);
		mended[count].minutes =
			(double)(injection->reverted_at - injection->began) / (double)NANOS_MINUTE;
		count++;
	}
	struct repair_summary *all = arena_array(&run->trial, cause_count + 1, sizeof(*all));
	for (size_t i = 0; i < count; i++)
		minutes[i] = mended[i].minutes;
	all[0] = sum_up("all", minutes, count);
	for (size_t c = 0; c < cause_count; c++) {
		size_t n = 0;
		for (size_t i = 0; i < count; i++)
			if (mended[i].cause == c)
				minutes[n++] = mended[i].minutes;
		all[c + 1] = sum_up(causes[c].cause, minutes, n);
	}
	qsort(all + 1, cause_count, sizeof(*all), by_count);
	record->repairs = all;
	record->repair_count = cause_count + 1;
}
