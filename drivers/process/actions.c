/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the DR controller asks for, done for real. What waits or copies is a worker, a thread of its
 * own that ends with a completion; nothing here blocks the run loop.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/diagnosis.h"
#include "drivers/process/network.h"
#include "drivers/process/process.h"
#include "drivers/process/services.h"
#include "drivers/process/thread.h"

#define DRAIN (200 * NANOS_MS)         /* for requests under way when the traffic goes back */
#define TELL_PATIENCE (500 * NANOS_MS) /* until a transfer says when it will end */
#define BREAK_PATIENCE (5 * NANOS_S)   /* until a restore that is broken off has ended */
#define VERIFY_PATIENCE (60 * NANOS_S) /* until a service must let its records be read */

static const char no_api[] = "the control plane does not answer";

/* ---- workers ---- */

static struct worker *worker_find(struct real *real, action_id id)
{
	for (size_t i = 0; i < PROCESS_WORKERS_MAX; i++)
		if (real->workers[i].used && real->workers[i].action.id == id)
			return &real->workers[i];
	return NULL;
}

/* A transfer that has just begun still works out how much there is to move. */
static bool will_tell(const struct worker *worker)
{
	return worker && !worker->over && worker->expected_end == NANOS_NEVER &&
	       (worker->action.kind == ACTION_RESTORE || worker->action.kind == ACTION_BACKUP ||
		worker->action.kind == ACTION_RETURN);
}

nanos actions_expected_end(struct real *real, action_id id)
{
	nanos limit = real_now(real) + TELL_PATIENCE;
	int64_t at = limit + real->start;
	const struct timespec until = {.tv_sec = (time_t)(at / NANOS_S),
				       .tv_nsec = (long)(at % NANOS_S)};

	pthread_mutex_lock(&real->lock);
	const struct worker *worker = worker_find(real, id);
	while (will_tell(worker) && real_now(real) < limit)
		pthread_cond_clockwait(&real->changed, &real->lock, CLOCK_MONOTONIC, &until);
	nanos end = worker && !worker->over ? worker->expected_end : NANOS_NEVER;
	pthread_mutex_unlock(&real->lock);
	return end;
}

void actions_expect(struct worker *worker, nanos end)
{
	pthread_mutex_lock(&worker->real->lock);
	worker->expected_end = end;
	pthread_cond_broadcast(&worker->real->changed);
	pthread_mutex_unlock(&worker->real->lock);
}

static int worker_start(struct real *real, const struct action *action, nanos wait,
			void *(*main)(void *), struct error *e)
{
	struct worker *worker = NULL;

	for (size_t i = 0; i < PROCESS_WORKERS_MAX && !worker; i++)
		if (!real->workers[i].used)
			worker = &real->workers[i];
	if (!worker)
		return error_set(e, ERROR_LIMIT, NO_PLACE,
				 "more than %d actions are under way at a time",
				 PROCESS_WORKERS_MAX);
	*worker = (struct worker){.real = real,
				  .action = *action,
				  .used = true,
				  .begun = real_now(real),
				  .wait = wait,
				  .expected_end = NANOS_NEVER};
	if (wait > 0)
		worker->expected_end = worker->begun + wait;
	if (thread_start(&worker->thread, main, worker)) {
		worker->used = false;
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot start a thread");
	}
	return 0;
}

static void worker_over(struct worker *worker)
{
	pthread_mutex_lock(&worker->real->lock);
	worker->over = true;
	pthread_cond_broadcast(&worker->real->changed);
	pthread_mutex_unlock(&worker->real->lock);
}

static void crew_free(struct real *real);

/* In the run loop's thread. */
void actions_reap(struct real *real)
{
	for (size_t i = 0; i < PROCESS_WORKERS_MAX; i++) {
		struct worker *worker = &real->workers[i];
		pthread_mutex_lock(&real->lock);
		bool over = worker->used && worker->over;
		pthread_mutex_unlock(&real->lock);
		if (!over)
			continue;
		pthread_join(worker->thread, NULL);
		worker->used = false;
		if (worker->action.kind == ACTION_REPAIR)
			crew_free(real);
	}
}

void actions_stop(struct real *real)
{
	for (size_t i = 0; i < PROCESS_WORKERS_MAX; i++)
		if (real->workers[i].used)
			atomic_store(&real->workers[i].cancel, true);
	pthread_mutex_lock(&real->lock);
	real->closing = true;
	pthread_cond_broadcast(&real->changed);
	pthread_mutex_unlock(&real->lock);
	for (size_t i = 0; i < PROCESS_WORKERS_MAX; i++) {
		if (!real->workers[i].used)
			continue;
		pthread_join(real->workers[i].thread, NULL);
		real->workers[i].used = false;
	}
}

static void cancel(struct real *real, struct worker *worker)
{
	atomic_store(&worker->cancel, true);
	pthread_mutex_lock(&real->lock);
	pthread_cond_broadcast(&real->changed);
	pthread_mutex_unlock(&real->lock);
}

/* What the controller gave up must not happen later. */
static void call_off(struct real *real, uint32_t domain, enum action_kind kind)
{
	for (size_t i = 0; i < PROCESS_WORKERS_MAX; i++) {
		struct worker *worker = &real->workers[i];
		if (worker->used && worker->action.kind == kind && worker->action.domain == domain)
			cancel(real, worker);
	}
}

/* Until those that were made to break off have. */
static void wait_broken(struct real *real)
{
	nanos limit = real_now(real) + BREAK_PATIENCE;
	int64_t at = limit + real->start;
	const struct timespec until = {.tv_sec = (time_t)(at / NANOS_S),
				       .tv_nsec = (long)(at % NANOS_S)};

	pthread_mutex_lock(&real->lock);
	for (size_t i = 0; i < PROCESS_WORKERS_MAX; i++)
		while (real->workers[i].used && real->workers[i].broken && !real->workers[i].over &&
		       real_now(real) < limit)
			pthread_cond_clockwait(&real->changed, &real->lock, CLOCK_MONOTONIC,
					       &until);
	pthread_mutex_unlock(&real->lock);
}

size_t actions_break_restores(struct real *real)
{
	size_t count = 0;

	for (size_t i = 0; i < PROCESS_WORKERS_MAX; i++) {
		struct worker *worker = &real->workers[i];
		pthread_mutex_lock(&real->lock);
		bool under_way = worker->used && !worker->over &&
				 worker->action.kind == ACTION_RESTORE &&
				 worker->action.backup != BACKUP_REPLICA;
		pthread_mutex_unlock(&real->lock);
		if (!under_way)
			continue;
		worker->broken = true;
		cancel(real, worker);
		count++;
	}
	wait_broken(real);
	return count;
}

static bool in_domain(const struct real *real, uint32_t endpoint, uint32_t domain)
{
	uint32_t site = real->scenario->deployment.endpoints[endpoint].site;

	return real_domain_of(real, site) == domain;
}

/* ---- fencing, up and down ---- */

/* The fence stands in the site's own storage, where every replica looks before it acknowledges: one
 * that was frozen finds it when it goes on. A site that cannot be reached cannot be fenced. */
static void *fence(void *context)
{
	struct worker *worker = context;
	struct real *real = worker->real;
	const struct action *action = &worker->action;
	struct error error = {.kind = ERROR_NONE};
	const char *reason = NULL;

	if (!network_wait(real, NETWORK_EDGE, action->site, worker->begun + action->timeout,
			  &worker->cancel))
		reason = "the site cannot be reached";
	else if (copies_fence(real->copies, action->site, true, &error))
		reason = "the fence could not be written";
	if (!reason)
		services_fence(real, action->site, true);
	real_end(real, action, !reason, reason);
	worker_over(worker);
	return NULL;
}

static void *activate(void *context)
{
	struct worker *worker = context;
	struct real *real = worker->real;
	const struct action *action = &worker->action;
	struct caller *caller = caller_new(real->token);
	struct error error = {.kind = ERROR_NONE};
	const char *reason = NULL;

	if (!real_site_usable(real, action->to))
		reason = "the standby is not usable";
	else if (copies_fence(real->copies, action->to, false, &error))
		reason = "the fence could not be taken away";
	services_fence(real, action->to, false);
	for (uint32_t e = 0; !reason && e < real->scenario->deployment.endpoint_count; e++)
		if (in_domain(real, e, action->domain) &&
		    deploy_scale(real, caller, e, action->to, deploy_replicas(real, e, action->to),
				 &error))
			reason = no_api;
	real_end(real, action, !reason, reason);
	caller_free(caller);
	worker_over(worker);
	return NULL;
}

static void *stop(void *context)
{
	struct worker *worker = context;
	struct real *real = worker->real;
	const struct action *action = &worker->action;
	const struct site *site = &real->scenario->deployment.sites[action->site];
	struct caller *caller = caller_new(real->token);
	struct error error = {.kind = ERROR_NONE};
	const char *reason = NULL;

	for (uint32_t e = 0; e < real->scenario->deployment.endpoint_count; e++)
		if (in_domain(real, e, action->domain) && site->standby.heat != HEAT_HOT &&
		    deploy_scale(real, caller, e, action->site, 0, &error))
			reason = no_api;
	if (action->domain == 0 && copies_resume(real->copies, action->site, &error))
		reason = "replication to the standby could not begin again";
	if (copies_fence(real->copies, action->site, false, &error))
		reason = "the fence could not be taken away";
	services_fence(real, action->site, false);
	real_end(real, action, !reason, reason);
	caller_free(caller);
	worker_over(worker);
	return NULL;
}

/* ---- traffic ---- */

static const char *route(struct real *real, const struct action *action)
{
	struct caller *caller = caller_new(real->token);
	struct error error = {.kind = ERROR_NONE};
	const char *reason = NULL;

	for (uint32_t e = 0; !reason && e < real->scenario->deployment.endpoint_count; e++) {
		if (!in_domain(real, e, action->domain))
			continue;
		if (deploy_route(real, caller, e, action->to, &error)) {
			reason = no_api;
			continue;
		}
		pthread_mutex_lock(&real->lock);
		real->route[e] = action->to;
		pthread_mutex_unlock(&real->lock);
	}
	if (!reason && action->domain == 0)
		copies_set_source(real->copies, action->to);
	caller_free(caller);
	return reason;
}

static void *switch_traffic(void *context)
{
	struct worker *worker = context;
	struct real *real = worker->real;
	const struct action *action = &worker->action;
	const char *reason = "called off";

	if (real_sleep(real, worker->begun + worker->wait, &worker->cancel)) {
		if (!real_site_usable(real, action->to))
			reason = "the place to switch to is not usable";
		else
			reason = route(real, action);
	}
	real_end(real, action, !reason, reason);
	worker_over(worker);
	return NULL;
}

/* The primary takes writes from here on. What was under way at the standby is let go through, then
 * nothing more is acknowledged there, and its last writes follow: in files of its own, which nobody
 * else writes. */
static const char *switch_home(struct worker *worker)
{
	struct real *real = worker->real;
	const struct action *action = &worker->action;
	struct error error = {.kind = ERROR_NONE};
	const char *reason;
	uint64_t bytes = 0;

	if (!real_site_alive(real, action->to))
		return "the primary went away again";
	if (copies_fence(real->copies, action->to, false, &error))
		return "the fence could not be taken away";
	services_fence(real, action->to, false);
	/* A server of the user's cannot take writes of another into what it keeps: the standby's
	 * ends first, and the primary's starts on what it left. */
	reason = action->site == action->to ? NULL
					    : services_hand_over(real, action->domain, action->site,
								 action->to, &worker->cancel);
	if (!reason)
		reason = route(real, action);
	if (!reason && action->site != action->to) {
		real_sleep(real, real_now(real) + DRAIN, NULL);
		if (copies_fence(real->copies, action->site, true, &error))
			reason = "the standby could not be fenced";
	}
	for (int c = 0;
	     !reason && action->domain == 0 && action->site != action->to && c < DATA_CLASSES; c++)
		if (c != DATA_MODEL && copies_mirror(real->copies, action->site, action->to,
						     (enum data_class)c, true, &bytes, &error))
			reason = "the last writes of the standby could not be brought back";
	return reason;
}

static void *switch_back(void *context)
{
	struct worker *worker = context;
	struct real *real = worker->real;
	const char *reason = "called off";

	if (real_sleep(real, worker->begun + worker->wait, &worker->cancel))
		reason = switch_home(worker);
	real_end(real, &worker->action, !reason, reason);
	worker_over(worker);
	return NULL;
}

/* Is there any traffic to move? A failover that was given up may have moved it, or not. */
static bool is_away(const struct real *real, uint32_t site)
{
	const struct deployment *d = &real->scenario->deployment;

	for (uint32_t e = 0; e < d->endpoint_count; e++)
		if (d->endpoints[e].site == site && real->route[e] != site)
			return true;
	return false;
}

/* ---- looking ---- */

static void *look_around(void *context)
{
	struct worker *worker = context;
	struct real *real = worker->real;
	struct completion done = {.kind = COMPLETION_ACTION, .action = worker->action, .ok = true};

	real_sleep(real, worker->begun + worker->wait, &worker->cancel);
	readings_diagnose(real, worker->action.site, &done);
	real_complete(real, &done);
	worker_over(worker);
	return NULL;
}

/* The ledger is read back; the end of that is the end of the verification. */
static void *verify(void *context)
{
	struct worker *worker = context;
	struct real *real = worker->real;
	struct error error = {.kind = ERROR_NONE};
	bool any = false, wanted = false;

	real_sleep(real, worker->begun + worker->wait, &worker->cancel);
	pthread_mutex_lock(&real->lock);
	for (uint32_t e = 0; e < real->scenario->deployment.endpoint_count; e++) {
		if (real->scenario->deployment.endpoints[e].load.rate <= 0)
			continue;
		wanted = true;
		if (!real->checking[e])
			real->checking[e] = client_check(real->client, e, &error) == 0;
		any |= real->checking[e];
	}
	real->verify = worker->action;
	real->check_failed = false;
	real->verify_again = NANOS_NEVER;
	real->verify_until = real_now(real) + VERIFY_PATIENCE;
	real->verifying = any;
	pthread_mutex_unlock(&real->lock);
	/* Without records there is nothing to verify; a read-back that cannot begin proves nothing.
	 */
	if (!any)
		real_end(real, &worker->action, !wanted,
			 wanted ? "the ledger could not be read back" : NULL);
	worker_over(worker);
	return NULL;
}

/* ---- repair: so many crews, first come first served ---- */

static void *repair(void *context)
{
	struct worker *worker = context;
	struct real *real = worker->real;

	real_sleep(real, worker->begun + worker->wait, &worker->cancel);
	real_end(real, &worker->action, true, NULL);
	worker_over(worker);
	return NULL;
}

static int repair_start(struct real *real, const struct action *action, struct error *e)
{
	const struct dist *time =
		action->time ? action->time : &real->scenario->recovery.repair.time;
	struct prng prng;

	prng_open(&prng, real->seed, 0, action->step, PRNG_REPAIR);
	real->crews_busy++;
	return worker_start(real, action, dist_sample_nanos(time, &prng), repair, e);
}

static int repair_queue(struct real *real, const struct action *action, struct error *e)
{
	if (real->crews_busy < real->scenario->recovery.repair.crews)
		return repair_start(real, action, e);
	if (real->repair_count == PROCESS_WORKERS_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "more than %d repairs wait for a crew",
				 PROCESS_WORKERS_MAX);
	real->repairs[real->repair_count++] = *action;
	return 0;
}

/* The crew goes to the next. */
static void crew_free(struct real *real)
{
	struct error error = {.kind = ERROR_NONE};
	struct action next;

	real->crews_busy--;
	if (real->repair_count == 0)
		return;
	next = real->repairs[0];
	memmove(real->repairs, real->repairs + 1, --real->repair_count * sizeof(*real->repairs));
	if (repair_start(real, &next, &error))
		real_end(real, &next, false, "no thread for the crew");
}

/* ---- the door ---- */

/* What it sends is sent from there: a site that is cut off gets no backup out. */
static bool goes_to(struct worker *worker, uint32_t site)
{
	struct error error = {.kind = ERROR_NONE};

	if (network_enter(worker->real, site, &error) == 0)
		return true;
	real_end(worker->real, &worker->action, false, real_keep_text(worker->real, error.text));
	return false;
}

static void *copy_worker(void *context)
{
	struct worker *worker = context;

	switch (worker->action.kind) {
	case ACTION_BACKUP:
		if (goes_to(worker, worker->action.site))
			action_backup(worker);
		break;
	case ACTION_PRUNE:
		action_prune(worker);
		break;
	case ACTION_RESTORE:
		if (goes_to(worker, worker->action.to))
			action_restore(worker);
		break;
	case ACTION_RETURN:
		action_return(worker);
		break;
	case ACTION_PROBE:
	case ACTION_FENCE:
	case ACTION_ACTIVATE:
	case ACTION_SWITCH:
	case ACTION_VERIFY:
	case ACTION_DIAGNOSE:
	case ACTION_REPAIR:
	case ACTION_SWITCH_BACK:
	case ACTION_STOP:
	case ACTION_KINDS:
		assert(!"not a copy");
	}
	worker_over(worker);
	return NULL;
}

static nanos draw(struct real *real, const struct dist *dist)
{
	return dist_sample_nanos(dist, &real->switching);
}

int actions_start(struct real *real, const struct action *action, struct error *e)
{
	const struct recovery_config *config = &real->scenario->recovery;

	switch (action->kind) {
	case ACTION_PROBE:
		return probes_send(real, action, e);
	case ACTION_BACKUP:
	case ACTION_PRUNE:
	case ACTION_RESTORE:
		return worker_start(real, action, 0, copy_worker, e);
	case ACTION_RETURN:
		call_off(real, action->domain, ACTION_SWITCH);
		return worker_start(real, action, 0, copy_worker, e);
	case ACTION_FENCE:
		return worker_start(real, action, 0, fence, e);
	case ACTION_ACTIVATE:
		return worker_start(real, action, 0, activate, e);
	case ACTION_SWITCH:
		call_off(real, action->domain, ACTION_SWITCH);
		return worker_start(real, action, draw(real, &config->switch_time), switch_traffic,
				    e);
	case ACTION_SWITCH_BACK:
		return worker_start(real, action,
				    is_away(real, action->to) ? draw(real, &config->switch_time)
							      : 0,
				    switch_back, e);
	case ACTION_VERIFY:
		return worker_start(real, action, draw(real, &config->verify_time), verify, e);
	case ACTION_DIAGNOSE:
		return worker_start(real, action, draw(real, &config->diagnose_time), look_around,
				    e);
	case ACTION_REPAIR:
		return repair_queue(real, action, e);
	case ACTION_STOP:
		return worker_start(real, action, 0, stop, e);
	case ACTION_KINDS:
		break;
	}
	assert(!"an action of a kind that there is not");
	return -1;
}
