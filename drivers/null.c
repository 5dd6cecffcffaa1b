/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver that does nothing: a healthy deployment that no fault can touch.
 *
 * It tests the program itself: apply says yes and changes nothing, so every fault must end as not
 * effective and every drill as not evaluable. Actions succeed in no time. Its clock is virtual.
 */
#include <math.h>

#include "drivers/drivers.h"

#define NULL_QUEUE_MAX ((size_t)1 << 20) /* actions that ended and were not handed over */

struct null_driver {
	struct arena arena; /* holds this struct too */
	const struct scenario *scenario;
	nanos now;
	struct action *queue; /* ended; their completions are made when they are handed over */
	size_t first, count, capacity;
};

/* ---- what can be seen: the deployment as declared ---- */

static void see_nodes(const struct site *site, uint32_t nodes, struct reading *ret)
{
	ret->nodes = ret->nodes_powered = ret->nodes_reachable = ret->nodes_responding = nodes;
	ret->nodes_schedulable = nodes;
	ret->gpus = ret->gpus_visible = nodes * site->gpus;
	ret->ports = ret->ports_open = nodes;
	ret->rate = site->nic;
	ret->disks = nodes;
	ret->disk_rate = site->disk;
	ret->cpu_left_ppm = ret->memory_left_ppm = ret->disk_left_ppm = EFFECT_PPM;
}

static void see_replicas(uint32_t replicas, struct reading *ret)
{
	ret->replicas = ret->replicas_ready = ret->processes = replicas;
	ret->process_starts = replicas;
	ret->quota_ppm = EFFECT_PPM;
}

static uint32_t nodes_of_rack(const struct site *site, uint32_t rack)
{
	uint32_t count = 0;

	for (uint32_t node = 0; node < site->nodes; node++)
		if ((uint64_t)node * site->racks / site->nodes == rack)
			count++;
	return count;
}

static void see_links(const struct deployment *deployment, uint32_t site, struct reading *ret)
{
	for (size_t i = 0; i < deployment->link_count; i++) {
		const struct link *link = &deployment->links[i];

		if (link->site[0] != site && link->site[1] != site)
			continue;
		ret->paths++;
		if (2 * link->latency > ret->round_trip)
			ret->round_trip = 2 * link->latency;
	}
	ret->paths_open = ret->paths;
}

static void see_link(const struct link *link, struct reading *ret)
{
	ret->paths = ret->paths_open = 1;
	ret->round_trip = 2 * link->latency;
	ret->rate = link->rate;
	ret->loss_ppm = (uint32_t)(link->loss * EFFECT_PPM + 0.5);
}

static void see_store(const struct store *store, struct reading *ret)
{
	ret->disks = 1;
	ret->disk_rate = store->read < store->write ? store->read : store->write;
	ret->restore_rate = store->read;
}

static void see_endpoint(const struct endpoint *endpoint, uint32_t replicas, struct reading *ret)
{
	see_replicas(replicas, ret);
	ret->copies = replicas;
	ret->content_bytes = replicas * endpoint->model_bytes;
	ret->request_rate = endpoint->load.rate * replicas / endpoint->replicas;
}

static void see_site(const struct deployment *deployment, uint32_t index, struct reading *ret)
{
	uint32_t replicas = 0;

	see_nodes(&deployment->sites[index], deployment->sites[index].nodes, ret);
	see_links(deployment, index, ret);
	for (size_t i = 0; i < deployment->endpoint_count; i++)
		if (deployment->endpoints[i].site == index)
			replicas += deployment->endpoints[i].replicas;
	see_replicas(replicas, ret);
	for (int i = 0; i < DATA_CLASSES; i++)
		ret->copies += deployment->data[i].declared;
}

static void see_ranks(uint32_t ranks, struct reading *ret)
{
	ret->nodes = ret->nodes_powered = ret->nodes_reachable = ret->nodes_responding = ranks;
	ret->processes = ranks;
	ret->process_starts = ranks;
}

static void null_read(void *self, struct entity entity, effect_mask about, struct reading *ret)
{
	const struct null_driver *driver = self;
	const struct deployment *deployment = &driver->scenario->deployment;

	(void)about;
	*ret = (struct reading){
		.at = driver->now, .usable = true, .pace_ppm = EFFECT_PPM, .writers = 1};
	switch (entity.kind) {
	case ENTITY_SITE:
	case ENTITY_STANDBY:
		see_site(deployment, entity.site, ret);
		break;
	case ENTITY_RACK:
		see_nodes(&deployment->sites[entity.site],
			  nodes_of_rack(&deployment->sites[entity.site], (uint32_t)entity.index),
			  ret);
		break;
	case ENTITY_NODE: /* which replica stands where is not modelled */
		see_nodes(&deployment->sites[entity.site], 1, ret);
		ret->paths = ret->paths_open = 1;
		break;
	case ENTITY_GPU:
		see_nodes(&deployment->sites[entity.site], 1, ret);
		ret->gpus = ret->gpus_visible = 1;
		break;
	case ENTITY_LINK:
		see_link(&deployment->links[entity.index], ret);
		break;
	case ENTITY_ENDPOINT:
		see_endpoint(&deployment->endpoints[entity.index],
			     deployment->endpoints[entity.index].replicas, ret);
		break;
	case ENTITY_REPLICA:
		see_endpoint(&deployment->endpoints[entity.index], 1, ret);
		break;
	case ENTITY_DATA:
		ret->copies = 1;
		ret->content_bytes = deployment->data[entity.index].bytes;
		break;
	case ENTITY_BACKUP:
		ret->copies = 1;
		break;
	case ENTITY_JOB:
		see_ranks(deployment->jobs[entity.index].nodes, ret);
		break;
	case ENTITY_RANK:
		see_ranks(1, ret);
		break;
	case ENTITY_CHECKPOINT:
		ret->copies = 1;
		ret->shards = deployment->jobs[entity.index].nodes;
		ret->content_bytes = deployment->jobs[entity.index].checkpoint.bytes;
		break;
	case ENTITY_STORE:
		see_store(&deployment->store, ret);
		break;
	case ENTITY_KINDS:
	case ENTITY_NONE:
		break;
	}
}

/* ---- actions ---- */

static uint64_t bytes_of(const struct deployment *deployment, uint32_t classes)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < DATA_CLASSES; i++)
		if (classes & DATA_BIT(i))
			bytes += deployment->data[i].bytes;
	return bytes;
}

/* How each action ends: well, at once, with everything as declared. */
static void finish(struct null_driver *driver, const struct action *action, struct completion *ret)
{
	const struct scenario *scenario = driver->scenario;

	*ret = (struct completion){
		.kind = COMPLETION_ACTION,
		.at = driver->now,
		.action = *action,
		.ok = true,
		.success = 1,
		.as_of = driver->now,
		.since = driver->now,
	};
	switch (action->kind) {
	case ACTION_BACKUP:
		ret->bytes =
			bytes_of(&scenario->deployment, scenario->policies[action->policy].classes);
		break;
	case ACTION_RESTORE:
		ret->bytes = bytes_of(&scenario->deployment, DATA_BIT(action->data_class));
		break;
	case ACTION_DIAGNOSE:
		null_read(driver, (struct entity){.kind = ENTITY_SITE, .site = action->site},
			  EFFECTS_ALL, &ret->site_reading);
		see_links(&scenario->deployment, action->site, &ret->link_reading);
		break;
	case ACTION_PROBE:
	case ACTION_PRUNE:
	case ACTION_FENCE:
	case ACTION_ACTIVATE:
	case ACTION_SWITCH:
	case ACTION_VERIFY:
	case ACTION_REPAIR:
	case ACTION_RETURN:
	case ACTION_SWITCH_BACK:
	case ACTION_STOP:
	case ACTION_KINDS:
		break;
	}
}

static int null_start(void *self, const struct action *action, struct error *e)
{
	struct null_driver *driver = self;

	if (driver->count >= NULL_QUEUE_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE,
				 "driver null: more than %zu actions wait to be handed over",
				 NULL_QUEUE_MAX);
	driver->queue = arena_grow(&driver->arena, driver->queue, driver->count, &driver->capacity,
				   sizeof(*driver->queue));
	driver->queue[driver->count++] = *action;
	return 0;
}

static size_t null_poll(void *self, struct completion *ret, size_t max)
{
	struct null_driver *driver = self;
	size_t count = 0;

	while (count < max && driver->first < driver->count)
		finish(driver, &driver->queue[driver->first++], &ret[count++]);
	if (driver->first == driver->count)
		driver->first = driver->count = 0;
	return count;
}

/* ---- time ---- */

static nanos null_now(void *self)
{
	const struct null_driver *driver = self;

	return driver->now;
}

static int null_wait_until(void *self, nanos when, struct error *e)
{
	struct null_driver *driver = self;

	(void)e;
	/* A completion is due now: it must not be handed over later than it ended. */
	if (driver->first < driver->count)
		return 0;
	if (when > driver->now)
		driver->now = when;
	return 0;
}

/* Nothing is ever under way: an action ends when it starts. */
static nanos null_expected_end(void *self, action_id id)
{
	(void)id;
	return null_now(self);
}

static const struct clock_ops null_clock_ops = {
	.name = "virtual",
	.now = null_now,
	.wait_until = null_wait_until,
};

static struct clock null_clock(void *self)
{
	return (struct clock){.ops = &null_clock_ops, .self = self};
}

/* ---- effects: none ---- */

static struct mechanism null_mechanism(enum effect_kind kind)
{
	(void)kind;
	return (struct mechanism){
		.text = "none: nothing is changed", .fidelity = FIDELITY_SIM, .privilege = "none"};
}

static int null_apply(void *self, const struct effect *effect, struct undo_record *undo,
		      struct error *e)
{
	(void)self;
	(void)e;
	*undo = (struct undo_record){.effect = *effect, .applied = true};
	return 0;
}

static int null_adjust(void *self, const struct effect *effect, struct undo_record *undo,
		       struct error *e)
{
	return null_apply(self, effect, undo, e);
}

static int null_revert(void *self, struct undo_record *undo, struct error *e)
{
	(void)self;
	(void)e;
	undo->applied = false;
	return 0;
}

static bool null_present(void *self, const struct undo_record *undo)
{
	(void)self;
	(void)undo;
	return false;
}

/* ---- the account of a run in which nothing happened ---- */

/* A standby takes no writes: nothing ever moves there. */
static void null_ledger(void *self, uint32_t site, enum data_class data_class, nanos from, nanos to,
			uint64_t *ret_bytes, uint64_t *ret_records)
{
	const struct null_driver *driver = self;
	const struct deployment *deployment = &driver->scenario->deployment;
	const struct data *data = &deployment->data[data_class];
	bool writes = to > from && deployment->sites[site].standby.heat == HEAT_NONE;
	double seconds = writes ? (double)(to - from) / (double)NANOS_S : 0;

	*ret_bytes = (uint64_t)(data->change * seconds + 0.5);
	*ret_records = (uint64_t)(data->records * seconds + 0.5);
}

static nanos null_last_write(void *self, uint32_t site)
{
	(void)site;
	return null_now(self);
}

static void null_level(void *self, double *ret_success, nanos *ret_latency)
{
	(void)self;
	*ret_success = 1;
	*ret_latency = 0;
}

static void null_account(void *self, struct account *ret)
{
	(void)self;
	*ret = (struct account){0};
}

/* It trains at full pace, and saves nothing. */
static void null_job(void *self, uint32_t job, struct job_record *ret)
{
	const struct null_driver *driver = self;
	const struct job *config = &driver->scenario->deployment.jobs[job];
	nanos work = config->work < driver->now ? config->work : driver->now;

	*ret = (struct job_record){
		.name = config->name,
		.work_s = (double)work / 1e9,
		.wall_s = (double)work / 1e9,
		.ettr = work > 0 ? 1 : NAN,
		.goodput = work > 0 ? 1 : NAN,
		.complete = work == config->work,
	};
}

/* ---- begin and end ---- */

static int null_reopen(void *self, uint64_t seed, uint64_t trial, struct timeline *timeline,
		       struct error *e)
{
	struct null_driver *driver = self;

	(void)seed;
	(void)trial;
	(void)timeline;
	(void)e;
	driver->now = 0;
	driver->first = driver->count = 0;
	return 0;
}

static int null_open(void **ret_self, const struct scenario *scenario, uint64_t seed,
		     uint64_t trial, struct timeline *timeline, struct error *e)
{
	struct arena arena = {0};
	struct null_driver *driver = arena_alloc(&arena, sizeof(*driver));

	driver->arena = arena;
	driver->scenario = scenario;
	*ret_self = driver;
	return null_reopen(driver, seed, trial, timeline, e);
}

static void null_close(void *self)
{
	struct null_driver *driver = self;
	struct arena arena = driver->arena;

	arena_free(&arena);
}

const struct driver_ops driver_null = {
	.name = "null",
	.help = "Does nothing: every fault must end as not effective; tests drsim itself.",
	.kind = "simulated",
	.effects = EFFECTS_ALL,
	.detectors = ~0ull,
	.mechanism = null_mechanism,
	.open = null_open,
	.reopen = null_reopen,
	.clock = null_clock,
	.apply = null_apply,
	.adjust = null_adjust,
	.revert = null_revert,
	.read = null_read,
	.start = null_start,
	.poll = null_poll,
	.present = null_present,
	.expected_end = null_expected_end,
	.ledger = null_ledger,
	.last_write = null_last_write,
	.level = null_level,
	.account = null_account,
	.job = null_job,
	.close = null_close,
};
