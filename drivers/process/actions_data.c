/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backups, restores and the way back of a real drill, by the backup engine over the object store.
 *
 * Sizes are shrunk, and a real record is larger than its share of the declared bytes: a transfer is
 * paced so that it takes at least as long as the declared bytes take at the declared rate. What the
 * engine and the disk add comes on top.
 */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "drivers/process/network.h"
#include "drivers/process/process.h"
#include "drivers/process/services.h"

/* ---- pace ---- */

struct pace {
	struct worker *worker;
	nanos begun, takes;
};

/* So far as the declared transfer would be, and no farther. */
static void hold_back(void *self, uint64_t bytes, uint64_t total)
{
	const struct pace *pace = self;
	double share = total > 0 ? (double)bytes / (double)total : 1;

	real_sleep(pace->worker->real, pace->begun + (nanos)((double)pace->takes * share),
		   &pace->worker->cancel);
}

static struct pace pace_of(struct worker *worker, double bytes, double rate, uint32_t from,
			   uint32_t to)
{
	const struct scenario *scenario = worker->real->scenario;
	int link = from == to ? -1 : scenario_link_between(scenario, from, to);
	struct pace pace = {.worker = worker, .begun = real_now(worker->real)};

	if (link >= 0)
		rate = fmin(rate, scenario->deployment.links[link].rate);
	if (bytes > 0 && rate > 0 && isfinite(rate))
		pace.takes = (nanos)(bytes / rate * 1e9);
	if (link >= 0)
		pace.takes += scenario->deployment.links[link].latency;
	return pace;
}

/* ---- the store ---- */

int actions_open_store(struct real *real, struct store_handle **ret_store, struct error *e)
{
	const struct store_options options = {
		.create = true, .token = real->token, .lock_wait = 10 * NANOS_S, .threads = 2};

	return store_open(real->store_url, &options, ret_store, e);
}

static uint32_t store_site(const struct real *real, uint32_t other)
{
	const struct store *store = &real->scenario->deployment.store;

	return store->declared ? store->site : other;
}

static const char *store_obstacle(struct real *real)
{
	const struct store *store = &real->scenario->deployment.store;

	if (store->declared && !real_site_alive(real, store->site))
		return "the store cannot be reached";
	return NULL;
}

static struct backup_state *backup_at(struct real *real, int32_t index)
{
	pthread_mutex_lock(&real->lock);
	assert(index >= 0 && index < PROCESS_BACKUPS_MAX);
	struct backup_state *backup = &real->backups[index];
	if ((size_t)index >= real->backup_count)
		real->backup_count = (size_t)index + 1;
	pthread_mutex_unlock(&real->lock);
	return backup;
}

/* ---- backup ---- */

/* Declared bytes that this backup moves: all, or those since the last one of its policy. */
static double declared_bytes(struct worker *worker, const struct backup_state *last, nanos now)
{
	struct real *real = worker->real;
	const struct backup_policy *policy = &real->scenario->policies[worker->action.policy];
	double total = 0;

	for (int c = 0; c < DATA_CLASSES; c++) {
		const struct data *data = &real->scenario->deployment.data[c];
		double bytes = (double)data->bytes;
		if (!(policy->classes & DATA_BIT(c)))
			continue;
		if (policy->kind == BACKUP_INCREMENTAL && last)
			bytes = fmin(bytes, data->change * (double)(now - last->as_of) / 1e9);
		total += bytes;
	}
	return total;
}

static const struct backup_state *last_of_policy(struct real *real, int32_t before, uint32_t policy)
{
	for (int32_t i = before - 1; i >= 0; i--)
		if (real->backups[i].ok && real->backups[i].policy == policy)
			return &real->backups[i];
	return NULL;
}

static int keep_class(struct worker *worker, struct store_handle *store, enum data_class c,
		      struct backup_state *backup, struct pace *pace, struct error *e)
{
	struct real *real = worker->real;
	char folder[COPIES_PATH_MAX];
	struct store_backup kept;
	struct store_backup_options options = {.as_of = backup->as_of,
					       .label = data_class_names[c]};

	options.hooks = (struct store_hooks){
		.self = pace, .progress = hold_back, .cancel = &worker->cancel};
	copies_class_folder(real->copies, worker->action.site, c, folder);
	if (store_backup(store, folder, &options, &kept, e))
		return -1;
	snprintf(backup->ids[c], STORE_ID_MAX, "%s", kept.id);
	backup->bytes += kept.new_bytes;
	return 0;
}

/* A backup that was made is proven by reading it back. */
static int prove(struct store_handle *store, const struct backup_state *backup, struct error *e)
{
	const struct store_verify_options options = {.mark = false};

	for (int c = 0; c < DATA_CLASSES; c++) {
		struct store_verified verified;
		if (!backup->ids[c][0])
			continue;
		if (store_verify(store, backup->ids[c], &options, &verified, e))
			return -1;
		if (verified.damages > 0)
			return error_set(e, ERROR_IO, NO_PLACE, "the backup is damaged");
	}
	return 0;
}

static const char *backup_obstacle(struct worker *worker)
{
	struct real *real = worker->real;
	uint32_t site = worker->action.site;

	if (!real_site_alive(real, site) || copies_is_off(real->copies, site) ||
	    copies_fenced(real->copies, site))
		return "the source is down";
	if (real->backups_fail) {
		real->backups_failed++;
		return "the backup job failed";
	}
	return store_obstacle(real);
}

static const char *make_backup(struct worker *worker, struct backup_state *backup)
{
	struct real *real = worker->real;
	const struct backup_policy *policy = &real->scenario->policies[worker->action.policy];
	const struct store *config = &real->scenario->deployment.store;
	const struct backup_state *last =
		last_of_policy(real, worker->action.backup, worker->action.policy);
	struct store_handle *store = NULL;
	struct error error = {.kind = ERROR_NONE};
	const char *reason = NULL;

	double bytes = declared_bytes(worker, last, backup->as_of);
	struct pace pace = pace_of(worker, bytes, config->declared ? config->write : INFINITY,
				   worker->action.site, store_site(real, worker->action.site));
	if (policy->takes != NANOS_NEVER)
		pace.takes = policy->takes;
	actions_expect(worker, pace.begun + pace.takes);
	if (policy->command.count > 0)
		return action_tool_backup(worker, policy, &backup->bytes);
	if (actions_open_store(real, &store, &error))
		return real_keep_text(real, error.text);
	for (int c = 0; c < DATA_CLASSES && !reason; c++)
		if ((policy->classes & DATA_BIT(c)) &&
		    keep_class(worker, store, (enum data_class)c, backup, &pace, &error))
			reason = real_keep_text(real, error.text);
	if (!reason && policy->verify && prove(store, backup, &error))
		reason = real_keep_text(real, error.text);
	store_close(store);
	return reason;
}

void action_backup(struct worker *worker)
{
	struct real *real = worker->real;
	const struct backup_policy *policy = &real->scenario->policies[worker->action.policy];
	struct backup_state *backup = backup_at(real, worker->action.backup);
	const char *reason = backup_obstacle(worker);

	*backup = (struct backup_state){.policy = worker->action.policy,
					.classes = policy->classes,
					.as_of = worker->begun};
	if (!reason) {
		/* A user's own tool, or the engine. */
		pthread_mutex_lock(&real->store_lock);
		reason = make_backup(worker, backup);
		pthread_mutex_unlock(&real->store_lock);
	}
	if (!reason)
		reason = backup_obstacle(worker); /* it may have died meanwhile */
	struct completion done = {.kind = COMPLETION_ACTION,
				  .action = worker->action,
				  .ok = !reason,
				  .reason = reason,
				  .as_of = backup->as_of,
				  .bytes = backup->bytes};
	pthread_mutex_lock(&real->lock);
	backup->ok = !reason;
	pthread_mutex_unlock(&real->lock);
	real_complete(real, &done);
}

/* The controller names each backup that goes: its manifests are removed, and the engine clears up
 * what nobody needs any more when it prunes. */
void action_prune(struct worker *worker)
{
	struct real *real = worker->real;
	struct backup_state *backup = backup_at(real, worker->action.backup);
	struct store_handle *store = NULL;
	struct error error = {.kind = ERROR_NONE};
	int rc = 0;

	pthread_mutex_lock(&real->store_lock);
	rc = actions_open_store(real, &store, &error);
	for (int c = 0; c < DATA_CLASSES && rc == 0; c++) {
		uint32_t keep = real->scenario->policies[backup->policy].keep;
		const struct store_prune_options options = {.keep = keep,
							    .label = data_class_names[c]};
		if (backup->ids[c][0])
			rc = store_prune(store, &options, NULL, &error);
	}
	store_close(store);
	backup->pruned = true;
	pthread_mutex_unlock(&real->store_lock);
	real_end(real, &worker->action, rc == 0, rc == 0 ? NULL : real_keep_text(real, error.text));
}

/* ---- restore ---- */

static const char *restore_obstacle(struct worker *worker)
{
	struct real *real = worker->real;
	const struct action *action = &worker->action;

	if (real->scenario->recovery.restore.in_faulty ? !actions_site_ready(real, action->to)
						       : !real_site_usable(real, action->to))
		return real->scenario->recovery.restore.in_faulty
			       ? "the restore runs inside the faulty place, which does not run"
			       : "the standby is not usable";
	return action->backup == BACKUP_REPLICA ? NULL : store_obstacle(real);
}

/* The standby's own copy: it is there already, and replication ends. Wrong is what proves so. */
static void take_replica(struct worker *worker, struct completion *done)
{
	struct real *real = worker->real;
	const struct action *action = &worker->action;
	struct copies_look look;

	done->as_of = copies_promote(real->copies, action->to, action->data_class);
	copies_look(real->copies, action->to, action->data_class, &look);
	done->bytes = look.bytes;
	done->corrupt = look.mismatches || look.unreadable || look.missing;
	if (done->corrupt)
		done->reason = "the standby's copy is not what was written";
}

/* From the store: every chunk and file is checked on the way by the engine. */
static void take_backup(struct worker *worker, struct completion *done)
{
	struct real *real = worker->real;
	const struct action *action = &worker->action;
	const struct backup_state *backup = backup_at(real, action->backup);
	const struct store *config = &real->scenario->deployment.store;
	const struct data *data = &real->scenario->deployment.data[action->data_class];
	struct store_handle *store = NULL;
	struct store_restored restored = {0};
	struct store_restore_options options = {.exact = true};
	struct error error = {.kind = ERROR_NONE};
	char folder[COPIES_PATH_MAX];

	double bytes = (double)data->bytes;
	struct pace pace = pace_of(worker, bytes, config->declared ? config->read : INFINITY,
				   store_site(real, action->to), action->to);
	actions_expect(worker, pace.begun + pace.takes);
	options.hooks = (struct store_hooks){
		.self = &pace, .progress = hold_back, .cancel = &worker->cancel};
	copies_class_folder(real->copies, action->to, action->data_class, folder);
	copies_promote(real->copies, action->to, action->data_class);
	const struct backup_policy *policy = &real->scenario->policies[backup->policy];
	bool tool = policy->command.count > 0;
	int rc = tool ? action_tool_restore(worker, policy, &error)
		      : actions_open_store(real, &store, &error);
	if (rc == 0 && !tool)
		rc = store_restore(store, backup->ids[action->data_class], folder, &options,
				   &restored, &error);
	store_close(store);
	done->as_of = restored.backup.as_of ? restored.backup.as_of : backup->as_of;
	done->bytes = restored.bytes;
	if (rc == 0)
		return;
	done->reason = real_keep_text(real, error.text);
	/* What is damaged or gone is no obstacle but a bad backup: the next older one is tried. */
	done->corrupt = error.kind == ERROR_IO || error.kind == ERROR_USAGE;
	done->ok = done->corrupt;
	done->broke_off = worker->broken;
	if (worker->broken)
		done->reason = "the restore broke off";
}

void action_restore(struct worker *worker)
{
	struct real *real = worker->real;
	const struct action *action = &worker->action;
	struct error error = {.kind = ERROR_NONE};
	struct completion done = {.kind = COMPLETION_ACTION, .action = *action, .ok = true};

	done.reason = restore_obstacle(worker);
	done.ok = !done.reason;
	if (done.ok && action->backup == BACKUP_REPLICA)
		take_replica(worker, &done);
	else if (done.ok)
		take_backup(worker, &done);
	if (done.ok && !done.corrupt &&
	    copies_mark_ready(real->copies, action->to, action->data_class, true, &error)) {
		done.ok = false;
		done.reason = real_keep_text(real, error.text);
	}
	if (worker->broken && done.broke_off) {
		pthread_mutex_lock(&real->lock);
		real->restores_stopped++;
		pthread_mutex_unlock(&real->lock);
	}
	real_complete(real, &done);
}

/* ---- the way back ---- */

/* All replicas of the primary stop, and start again on the data that came back. */
static int scale_primary(struct worker *worker, struct caller *caller, bool up, struct error *e)
{
	struct real *real = worker->real;
	const struct deployment *d = &real->scenario->deployment;
	uint32_t site = worker->action.to;

	for (uint32_t i = 0; i < d->endpoint_count; i++)
		if (d->endpoints[i].site == site &&
		    deploy_scale(real, caller, i, site, up ? d->endpoints[i].replicas : 0, e))
			return -1;
	return 0;
}

bool actions_site_ready(struct real *real, uint32_t site)
{
	const struct deployment *d = &real->scenario->deployment;
	struct view *view = malloc(sizeof(*view));
	bool ready = true;

	assert(view);
	observe_last(real, view);
	for (uint32_t e = 0; e < d->endpoint_count; e++) {
		uint32_t count = 0;
		if (d->endpoints[e].site != site)
			continue;
		for (size_t r = 0; r < view->replica_count; r++)
			count += view->replicas[r].endpoint == e &&
				 view->replicas[r].site == site && view->replicas[r].ready;
		ready = ready && count >= d->endpoints[e].replicas;
	}
	free(view);
	return ready;
}

static bool primary_stopped(struct real *real, uint32_t site)
{
	struct view *view = malloc(sizeof(*view));
	bool stopped = true;

	assert(view);
	observe_fresh(real, view);
	for (size_t r = 0; r < view->replica_count; r++)
		stopped = stopped && (view->replicas[r].site != site || view->replicas[r].pid == 0);
	free(view);
	return stopped;
}

/* Brings the standby's data to the primary, at the pace of the declared bytes that it wrote. */
static const char *bring_back(struct worker *worker)
{
	struct real *real = worker->real;
	const struct action *action = &worker->action;
	const struct deployment *d = &real->scenario->deployment;
	struct error error = {.kind = ERROR_NONE};
	uint64_t bytes = 0;
	double declared = 0;

	for (int c = 0; c < DATA_CLASSES; c++) {
		uint64_t written = 0, records = 0;
		nanos from = 0;
		if (c != DATA_MODEL && d->data[c].declared)
			real_ledger(real, action->site, (enum data_class)c, from, worker->begun,
				    &written, &records);
		declared += fmin((double)written, (double)d->data[c].bytes);
		if (d->data[c].declared && c != DATA_MODEL &&
		    copies_mirror(real->copies, action->site, action->to, (enum data_class)c, false,
				  &bytes, &error))
			return real_keep_text(real, error.text);
	}
	struct pace pace = pace_of(worker, declared, INFINITY, action->site, action->to);
	actions_expect(worker, pace.begun + pace.takes);
	real_sleep(real, pace.begun + pace.takes, &worker->cancel);
	return NULL;
}

static const char *go_back(struct worker *worker, struct caller *caller, bool *ret_lost)
{
	struct real *real = worker->real;
	const struct action *action = &worker->action;
	bool moved = action->site != action->to && action->domain == 0;
	struct error error = {.kind = ERROR_NONE};
	const char *reason = NULL;

	if (!network_reaches(real, action->site, action->to))
		return "the primary cannot be reached";
	*ret_lost = moved && !real_site_usable(real, action->site);
	if (moved && !*ret_lost) {
		if (scale_primary(worker, caller, false, &error))
			return real_keep_text(real, error.text);
		while (!primary_stopped(real, action->to) && !atomic_load(&worker->cancel))
			real_sleep(real, real_now(real) + 20 * NANOS_MS, &worker->cancel);
		reason = bring_back(worker);
	}
	/* On the primary's own copies nothing is fenced any more once traffic comes; until then the
	 * replicas only start. */
	if (!reason && scale_primary(worker, caller, true, &error))
		reason = real_keep_text(real, error.text);
	if (!reason && !moved && copies_fence(real->copies, action->to, false, &error))
		reason = real_keep_text(real, error.text);
	if (!reason && !moved)
		services_fence(real, action->to, false);
	return reason;
}

void action_return(struct worker *worker)
{
	struct real *real = worker->real;
	const struct action *action = &worker->action;
	struct caller *caller = caller_new(real->token);
	const char *reason = NULL;
	bool lost = false;

	if (!real_site_alive(real, action->to) || copies_is_off(real->copies, action->to))
		reason = "the primary is not there";
	if (!reason)
		reason = go_back(worker, caller, &lost);
	while (!reason && real->scenario->recovery.failback.verify &&
	       !actions_site_ready(real, action->to)) {
		if (!real_site_alive(real, action->to))
			reason = "the primary went away";
		else if (!real_sleep(real, real_now(real) + 20 * NANOS_MS, &worker->cancel))
			reason = "called off";
	}
	struct completion done = {.kind = COMPLETION_ACTION,
				  .action = *action,
				  .ok = !reason,
				  .reason = reason,
				  .corrupt = !reason && lost};
	if (done.corrupt)
		done.reason = "the standby was lost with what it had written";
	real_complete(real, &done);
	caller_free(caller);
}
