/* SPDX-License-Identifier: Apache-2.0 */
/* The run loop: what is next, wait for it, do it, write it down; the same for simulated and for
 * real time. */
#include "core/run.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/run_private.h"

/* ---- what the controller gives out ---- */

static enum phase phase_of(enum action_kind kind)
{
	switch (kind) {
	case ACTION_BACKUP:
		return PHASE_BACKUP;
	case ACTION_SWITCH:
		return PHASE_SWITCH;
	case ACTION_RESTORE:
		return PHASE_RESTORE;
	case ACTION_VERIFY:
		return PHASE_VERIFY;
	case ACTION_REPAIR:
		return PHASE_REPAIR;
	case ACTION_RETURN:
		return PHASE_FAILBACK;
	case ACTION_PROBE:
	case ACTION_PRUNE:
	case ACTION_FENCE:
	case ACTION_ACTIVATE:
	case ACTION_DIAGNOSE:
	case ACTION_SWITCH_BACK:
	case ACTION_STOP:
	case ACTION_KINDS:
		break;
	}
	return PHASES;
}

static void tell_backup_begin(struct run *run, const struct action *action)
{
	const struct backup_policy *policy = &run->scenario->policies[action->policy];
	const char *classes[DATA_CLASSES];
	size_t count = 0;
	for (int c = 0; c < DATA_CLASSES; c++)
		if (policy->classes & DATA_BIT(c))
			classes[count++] = data_class_names[c];
	timeline_begin(run->timeline, run->now, "backup.begin");
	timeline_int(run->timeline, "backup", action->backup);
	timeline_int(run->timeline, "policy", action->policy);
	timeline_texts(run->timeline, "classes", classes, count);
	timeline_text(run->timeline, "kind", policy->kind == BACKUP_FULL ? "full" : "incremental");
	timeline_text(run->timeline, "site", run->scenario->deployment.sites[action->site].name);
	timeline_end(run->timeline);
}

static const char *action_target(struct run *run, const struct action *action)
{
	const struct site *sites = run->scenario->deployment.sites;
	switch (action->kind) {
	case ACTION_ACTIVATE:
	case ACTION_SWITCH:
	case ACTION_SWITCH_BACK:
	case ACTION_RESTORE:
	case ACTION_VERIFY:
	case ACTION_RETURN:
		return sites[action->to].name;
	case ACTION_REPAIR:
		return run->faults[run->injections[action->step].record].target;
	case ACTION_PROBE:
	case ACTION_BACKUP:
	case ACTION_PRUNE:
	case ACTION_FENCE:
	case ACTION_DIAGNOSE:
	case ACTION_STOP:
	case ACTION_KINDS:
		break;
	}
	return sites[action->site].name;
}

static void tell_begin(struct run *run, const struct action *action)
{
	if (!timeline_on(run->timeline) || action->kind == ACTION_PROBE)
		return;
	if (action->kind == ACTION_BACKUP) {
		tell_backup_begin(run, action);
		return;
	}
	if (action->kind == ACTION_PRUNE) {
		timeline_begin(run->timeline, run->now, "backup.prune");
		timeline_int(run->timeline, "backup", action->backup);
		timeline_end(run->timeline);
		return;
	}
	timeline_begin(run->timeline, run->now, "action.begin");
	timeline_int(run->timeline, "action", (int64_t)action->id);
	timeline_text(run->timeline, "kind", action_names[action->kind]);
	int incident = run->places[action->domain].incident;
	if (incident >= 0)
		timeline_int(run->timeline, "incident", incident);
	else
		timeline_null(run->timeline, "incident");
	timeline_text(run->timeline, "target", action_target(run, action));
	if (action->kind == ACTION_RESTORE) {
		timeline_text(run->timeline, "class", data_class_names[action->data_class]);
		if (action->backup == BACKUP_REPLICA)
			timeline_null(run->timeline, "backup");
		else
			timeline_int(run->timeline, "backup", action->backup);
	}
	timeline_end(run->timeline);
}

action_id run_start(struct run *run, struct action action)
{
	struct error error = {.kind = ERROR_NONE};
	action.id = ++run->next_action;
	tell_begin(run, &action);
	if (run->options.driver->start(run->driver, &action, &error))
		return 0;
	if (action.kind != ACTION_PROBE && action.kind != ACTION_PRUNE &&
	    phase_of(action.kind) != PHASES)
		steps_phase(run, phase_of(action.kind), action.id);
	return action.id;
}

static action_id host_start(void *self, struct action action)
{
	/* The way back begins: what only the old copy had is settled before it takes writes again.
	 */
	if (action.kind == ACTION_RETURN)
		losses_look(self, action.domain);
	return run_start(self, action);
}

static void host_mark(void *self, uint32_t domain, enum mark mark, nanos at)
{
	struct run *run = self;
	incident_mark(run, domain, mark, at);
	if (mark == MARK_DETECT)
		steps_phase(run, PHASE_DETECT, 0);
}

static void host_diagnosed(void *self, uint32_t domain, const struct diagnosis *diagnosis)
{
	struct run *run = self;
	int index = run->places[domain].incident;
	if (index < 0)
		return;
	run->incidents[index].diagnosis = diagnosis->cause;
	run->incidents[index].action = diagnosis->action;
	timeline_begin(run->timeline, run->now, "diagnosis");
	timeline_int(run->timeline, "incident", index);
	timeline_text(run->timeline, "cause", diagnosis->cause);
	timeline_text(run->timeline, "action", diagnosis->action);
	if (diagnosis->xid)
		timeline_int(run->timeline, "xid", diagnosis->xid);
	else
		timeline_null(run->timeline, "xid");
	timeline_texts(run->timeline, "symptoms", diagnosis->symptoms, diagnosis->symptom_count);
	timeline_end(run->timeline);
}

static void host_repair(void *self, uint32_t domain)
{
	incident_repair(self, domain);
}

static void host_restored(void *self, uint32_t domain, enum data_class data_class, nanos as_of)
{
	struct run *run = self;
	run->places[domain].as_of[data_class] = as_of;
	losses_look(run, domain);
}

static void host_normal(void *self, uint32_t domain)
{
	incident_normal(self, domain);
}

/* The same note twice is one finding. */
static void host_note(void *self, enum severity severity, const char *text, double seconds)
{
	struct run *run = self;
	for (size_t i = 0; i < run->record->finding_count; i++)
		if (strcmp(run->record->findings[i].text, text) == 0)
			return;
	findings_add(run->record, severity, seconds > 0 ? seconds : NAN, text);
}

/* ---- detectors ---- */

static void tell_detector(struct run *run, const struct detector *detector,
			  const struct detector_news *news)
{
	static const char *const events[] = {"", "detector.miss", "detector.declare",
					     "detector.clear"};
	char text[ENTITY_TEXT_MAX];
	if (!timeline_on(run->timeline))
		return;
	timeline_begin(run->timeline, run->now, events[news->verdict]);
	timeline_int(run->timeline, "detector", detector->index);
	timeline_text(run->timeline, "kind", detector_names[detector->config->kind]);
	timeline_text(run->timeline, "target",
		      entity_print(news->target->entity, run->scenario, text));
	if (news->verdict == DETECTOR_MISS)
		timeline_int(run->timeline, "misses", news->target->misses);
	if (news->verdict == DETECTOR_DECLARE)
		timeline_text(run->timeline, "reason", news->reason);
	timeline_end(run->timeline);
}

/* Nodes, GPUs and replicas are looked at where they belong, at the primary site: while a standby
 * serves, they say nothing about the service. */
static bool about_service(const struct run *run, const struct detector_target *target)
{
	enum entity_kind kind = target->entity.kind;
	int domain = recovery_domain_of(run->recovery, target->domain);
	if (kind != ENTITY_NODE && kind != ENTITY_GPU && kind != ENTITY_REPLICA)
		return true;
	return recovery_active_site(run->recovery, (uint32_t)domain) == target->domain;
}

/* A job, or a node on which no replica of an endpoint stands where jobs have nodes too: what is
 * wrong there is no reason to move the traffic. */
bool run_is_of_job(const struct run *run, struct entity entity)
{
	const struct deployment *deployment = &run->scenario->deployment;
	struct reading reading;
	if (entity.kind == ENTITY_JOB)
		return true;
	if ((entity.kind != ENTITY_NODE && entity.kind != ENTITY_GPU) ||
	    deployment->job_count == 0 || deployment->endpoint_count == 0)
		return false;
	entity.kind = ENTITY_NODE;
	entity.part = 0;
	run->options.driver->read(run->driver, entity, 0, &reading);
	return reading.replicas == 0;
}

bool run_declared(const struct run *run, uint32_t domain, bool *ret_of_jobs)
{
	bool any = false;
	*ret_of_jobs = true;
	for (size_t i = 0; i < run->scenario->detector_count; i++)
		for (size_t t = 0; t < run->detectors[i].target_count; t++) {
			const struct detector_target *target = &run->detectors[i].targets[t];
			if (!target->declared || !about_service(run, target) ||
			    recovery_domain_of(run->recovery, target->domain) != (int)domain)
				continue;
			any = true;
			*ret_of_jobs = *ret_of_jobs && run_is_of_job(run, target->entity);
		}
	return any;
}

static void heard(struct run *run, struct detector *detector, const struct detector_news *news,
		  bool wrong_answer)
{
	uint32_t domain;
	bool of_jobs;
	if (news->verdict == DETECTOR_QUIET)
		return;
	tell_detector(run, detector, news);
	domain = (uint32_t)recovery_domain_of(run->recovery, news->target->domain);
	if (news->verdict == DETECTOR_DECLARE && !about_service(run, news->target)) {
		if (run->places[domain].incident >= 0)
			recovery_noticed(run->recovery, domain, news->target->domain);
	} else if (news->verdict == DETECTOR_DECLARE) {
		incident_declared(run, domain, detector->index);
		if (run_is_of_job(run, news->target->entity))
			recovery_declared_job(run->recovery, domain, run->now, wrong_answer);
		else
			recovery_declared(run->recovery, domain, run->now, wrong_answer);
	} else if (news->verdict == DETECTOR_CLEAR && !run_declared(run, domain, &of_jobs)) {
		recovery_cleared(run->recovery, domain, run->now);
	}
}

static void expire(struct run *run, struct detector *detector)
{
	for (;;) {
		struct detector_news news = detector_expire(detector, run->now);
		if (news.verdict == DETECTOR_QUIET)
			return;
		heard(run, detector, &news, false);
	}
}

void run_clear_fixed(struct run *run, uint32_t domain)
{
	for (size_t i = 0; i < run->scenario->detector_count; i++) {
		struct detector_news news = detector_clear_domain(
			&run->detectors[i], recovery_site(run->recovery, domain), run->now);
		heard(run, &run->detectors[i], &news, false);
	}
}

static void look(struct run *run)
{
	for (size_t i = 0; i < run->scenario->detector_count; i++) {
		struct detector *detector = &run->detectors[i];
		if (detector_deadline(detector) > run->now)
			continue;
		expire(run, detector);
		size_t count = detector_round(detector, run->now, run->probes, run->probes_max);
		for (size_t k = 0; k < count; k++)
			run_start(run, run->probes[k]);
		expire(run, detector);
	}
}

/* ---- completions ---- */

static void tell_end(struct run *run, const struct completion *c)
{
	const struct action *action = &c->action;
	if (!timeline_on(run->timeline) || action->kind == ACTION_PROBE ||
	    action->kind == ACTION_PRUNE)
		return;
	if (action->kind == ACTION_BACKUP) {
		timeline_begin(run->timeline, run->now, "backup.end");
		timeline_int(run->timeline, "backup", action->backup);
		timeline_bool(run->timeline, "ok", c->ok);
		timeline_bool(run->timeline, "restorable", c->ok);
		timeline_nanos(run->timeline, "as_of_ns", c->ok ? c->as_of : NANOS_NEVER);
		timeline_int(run->timeline, "bytes", (int64_t)c->bytes);
	} else {
		timeline_begin(run->timeline, run->now, "action.end");
		timeline_int(run->timeline, "action", (int64_t)action->id);
		timeline_text(run->timeline, "kind", action_names[action->kind]);
		timeline_bool(run->timeline, "ok", c->ok && !c->corrupt);
	}
	timeline_text(run->timeline, "reason", c->reason);
	timeline_end(run->timeline);
}

/* Hand it to the controller; when the traffic is elsewhere then, it has left what broke. */
static void follow(struct run *run, const struct completion *c)
{
	uint32_t before = recovery_active_site(run->recovery, c->action.domain);
	bool of_jobs;
	recovery_completed(run->recovery, c, run->now);
	if (recovery_active_site(run->recovery, c->action.domain) == before)
		return;
	run_clear_fixed(run, c->action.domain);
	if (!run_declared(run, c->action.domain, &of_jobs))
		recovery_cleared(run->recovery, c->action.domain, run->now);
}

static void complete(struct run *run, const struct completion *c)
{
	struct detector_news news;
	switch (c->kind) {
	case COMPLETION_ACTION:
		tell_end(run, c);
		if (c->action.kind == ACTION_PROBE) {
			news = detector_result(&run->detectors[c->action.detector], c);
			heard(run, &run->detectors[c->action.detector], &news, c->ok && c->wrong);
		} else if (c->action.kind == ACTION_REPAIR) {
			incident_repaired(run, c);
		} else {
			if (c->action.kind == ACTION_RESTORE && c->ok && !c->corrupt)
				incident_restored(run, c);
			if (c->action.kind == ACTION_RETURN && c->ok && c->corrupt)
				losses_of_return(run, c->action.domain, c->action.site);
			follow(run, c);
		}
		break;
	case COMPLETION_BAD:
	case COMPLETION_GOOD:
		incident_client(run, c);
		break;
	case COMPLETION_RESTART:
		losses_of_restart(run, c);
		break;
	case COMPLETION_NOTICE:
		incident_notice(run, c->injection);
		break;
	case COMPLETION_CALM:
		incident_calm(run, c->action.domain, c->ok);
		break;
	}
}

/* In a real drill time goes on while we work. */
void run_tick(struct run *run)
{
	nanos now = run->clock.ops->now(run->clock.self);
	if (now > run->now)
		run->now = now;
}

void run_drain(struct run *run)
{
	struct completion batch[COMPLETIONS_BATCH];
	size_t count;
	run_tick(run);
	while ((count = run->options.driver->poll(run->driver, batch, COMPLETIONS_BATCH)) > 0)
		for (size_t i = 0; i < count; i++)
			complete(run, &batch[i]);
	steps_revert_due(run);
	incidents_look_calm(run);
}

/* ---- guards ---- */

static double guard_value(struct run *run, enum guard_metric metric)
{
	double success = 1;
	nanos latency = 0;
	run->options.driver->level(run->driver, &success, &latency);
	switch (metric) {
	case GUARD_AVAILABILITY:
		return success;
	case GUARD_ERROR_RATE:
		return 1 - success;
	case GUARD_LATENCY_P99:
		return (double)latency;
	case GUARD_LOST_RECORDS:
		return (double)losses_so_far(run);
	case GUARD_DURATION:
		return (double)run->now;
	}
	return 0;
}

static bool guard_holds(const struct guard *guard, double value)
{
	switch (guard->op) {
	case GUARD_LT:
		return value < guard->value;
	case GUARD_LE:
		return value <= guard->value;
	case GUARD_GT:
		return value > guard->value;
	case GUARD_GE:
		return value >= guard->value;
	}
	return false;
}

static void check_guards(struct run *run)
{
	for (size_t g = 0; g < run->scenario->guard_count && !run->aborted; g++) {
		const struct guard *guard = &run->scenario->guards[g];
		struct guard_state *state = &run->guards[g];
		double value = guard_value(run, guard->metric);
		if (!guard_holds(guard, value)) {
			state->since = NANOS_NEVER;
			continue;
		}
		if (state->since == NANOS_NEVER)
			state->since = run->now;
		if (run->now - state->since < guard->for_at_least)
			continue;
		run->aborted = true;
		run->abort_reason = arena_printf(&run->trial, "guard: %s", guard->text);
		timeline_begin(run->timeline, run->now, "guard.abort");
		timeline_text(run->timeline, "guard", guard->text);
		timeline_real(run->timeline, "value", value);
		timeline_end(run->timeline);
	}
}

static nanos guards_deadline(const struct run *run)
{
	nanos next = NANOS_NEVER;
	for (size_t g = 0; g < run->scenario->guard_count; g++) {
		const struct guard *guard = &run->scenario->guards[g];
		nanos at = NANOS_NEVER;
		if (run->guards[g].since != NANOS_NEVER)
			at = run->guards[g].since + guard->for_at_least;
		else if (guard->metric == GUARD_DURATION && (nanos)guard->value >= run->now)
			at = (nanos)guard->value + 1;
		if (at > run->now && at < next)
			next = at;
	}
	return next;
}

/* ---- the loop ---- */

static nanos next_instant(const struct run *run)
{
	nanos next = run->scenario->duration, at;
	at = steps_deadline(run);
	next = at < next ? at : next;
	at = recovery_deadline(run->recovery);
	next = at < next ? at : next;
	at = guards_deadline(run);
	next = at < next ? at : next;
	for (size_t i = 0; i < run->scenario->detector_count; i++) {
		at = detector_deadline(&run->detectors[i]);
		next = at < next ? at : next;
	}
	return next > run->now ? next : run->now;
}

static bool stopped_by_signal(struct run *run)
{
	if (!run->options.signal || *run->options.signal == 0)
		return false;
	run->aborted = true;
	run->abort_reason = arena_printf(&run->trial, "signal %d", (int)*run->options.signal);
	timeline_begin(run->timeline, run->now, "signal");
	timeline_int(run->timeline, "signal", (int)*run->options.signal);
	timeline_end(run->timeline);
	return true;
}

static void tell_progress(struct run *run)
{
	const struct run_progress progress = {.now = run->now, .phase = run_phase(run)};

	run->options.progress(run->options.progress_self, &progress);
}

/* At one instant: faults, then probes, then backups (with whatever else the controller has to do).
 */
static int loop(struct run *run, struct error *e)
{
	while (run->now < run->scenario->duration) {
		run->turns++;
		if (stopped_by_signal(run))
			return 0;
		if (run->clock.ops->wait_until(run->clock.self, next_instant(run), e))
			return -1;
		run->now = run->clock.ops->now(run->clock.self);
		if (run->now >= run->scenario->duration)
			break;
		run_drain(run);
		if (steps_due(run, e))
			return -1;
		run_drain(run);
		look(run);
		run_drain(run);
		if (recovery_deadline(run->recovery) <= run->now)
			recovery_tick(run->recovery, run->now);
		run_drain(run);
		if (run->scenario->guard_count > 0)
			check_guards(run);
		if (run->options.progress)
			tell_progress(run);
		if (run->aborted || run->too_many)
			return 0;
	}
	/* A real clock is past it already. */
	if (run->now < run->scenario->duration)
		run->now = run->scenario->duration;
	return 0;
}

/* ---- one trial ---- */

static void tell_start(struct run *run)
{
	timeline_begin(run->timeline, 0, "run.start");
	timeline_text(run->timeline, "name", run->scenario->name);
	timeline_int(run->timeline, "seed", (int64_t)run->options.seed);
	timeline_int(run->timeline, "trial", (int64_t)run->trial_number);
	timeline_text(run->timeline, "driver", run->options.driver->name);
	timeline_text(run->timeline, "clock",
		      strcmp(run->options.driver->kind, "simulated") == 0 ? "virtual"
									  : "monotonic");
	timeline_text(run->timeline, "kind", run->options.driver->kind);
	timeline_int(run->timeline, "duration_ns", run->scenario->duration);
	timeline_end(run->timeline);
}

static void tell_finish(struct run *run)
{
	const char *reason = "complete";
	if (run->aborted)
		reason = run->options.signal && *run->options.signal ? "signal" : "guard";
	else if (run->any_invalid)
		reason = "not_effective";
	timeline_begin(run->timeline, run->now, "run.end");
	timeline_text(run->timeline, "reason", reason);
	timeline_end(run->timeline);
}

/* How long a backup of the policy takes in steady state: a full one moves all. */
static double backup_takes(const struct scenario *scenario, const struct backup_policy *policy)
{
	const struct deployment *d = &scenario->deployment;
	double bytes = 0, rate = d->store.write;
	int link = -1;

	if (policy->takes != NANOS_NEVER)
		return (double)policy->takes / 1e9;
	for (uint32_t s = 0; s < d->site_count && link < 0; s++)
		if (d->sites[s].standby.heat == HEAT_NONE)
			link = scenario_link_between(scenario, s, d->store.site);
	for (int c = 0; c < DATA_CLASSES; c++) {
		double whole = (double)d->data[c].bytes;
		double changed = d->data[c].change * (double)policy->every / 1e9;
		if (policy->classes & DATA_BIT(c))
			bytes += policy->kind == BACKUP_FULL ? whole : fmin(whole, changed);
	}
	if (link >= 0)
		rate = fmin(rate, d->links[link].rate);
	return bytes / rate + (policy->verify ? bytes / d->store.read : 0);
}

/*
 * The worst that the policy allows in steady state, when every backup succeeds: from the start of
 * one backup to the end of the next (a backup that is still running when the next is due makes
 * that one wait for its turn on the schedule).
 */
static void worst_case(const struct run *run, struct record *record)
{
	const struct scenario *scenario = run->scenario;

	record->worst_seconds = record->worst_bytes = NAN;
	for (int c = 0; c < DATA_CLASSES; c++) {
		const struct data *data = &scenario->deployment.data[c];
		double best = NAN;

		if (!data->declared || (data->change <= 0 && data->records <= 0))
			continue;
		for (size_t p = 0; p < scenario->policy_count; p++) {
			const struct backup_policy *policy = &scenario->policies[p];
			if (!(policy->classes & DATA_BIT(c)) || policy->every == NANOS_NEVER)
				continue;
			double every = (double)policy->every / 1e9;
			double takes = backup_takes(scenario, policy);
			double turns = fmax(1, ceil(takes / every));
			best = fmin(best, turns * every + takes); /* fmin ignores NAN */
		}
		record->worst_seconds = fmax(record->worst_seconds, best);
		record->worst_bytes = fmax(record->worst_bytes, best * data->change);
	}
}

/* As the drill left them, before what is still broken is taken back. */
static void measure_jobs(struct run *run, struct record *record)
{
	record->job_count = run->scenario->deployment.job_count;
	record->jobs = arena_array(&run->trial, record->job_count + 1, sizeof(*record->jobs));
	for (uint32_t i = 0; i < record->job_count; i++)
		run->options.driver->job(run->driver, i, &record->jobs[i]);
}

static void sum_up(struct run *run, struct record *record)
{
	struct account account;
	run->options.driver->account(run->driver, &account);
	record->availability_requests = account.sent > 0 ? account.good / account.sent : NAN;
	record->sent = (uint64_t)llround(account.sent);
	record->good = (uint64_t)llround(account.good);
	record->wrong = (uint64_t)llround(account.wrong);
	record->late = (uint64_t)llround(account.late);
	record->failed = (uint64_t)llround(account.failed);
	record->duration = run->now;
	record->work = run->turns;
	if (run->options.driver->work)
		record->work += run->options.driver->work(run->driver);
	record->measured = NULL;
	if (run->options.driver->finish) {
		struct measured *measured = arena_alloc(&run->trial, sizeof(*measured));
		run->options.driver->finish(run->driver, run->options.folder, &run->trial,
					    measured);
		record->measured = measured;
		if (measured->broken)
			run->abort_reason = measured->broken;
	}
	record->faults = run->faults;
	record->fault_count = run->fault_count;
	record->left_out = run->left_out;
	measure_drill(run, record);
	worst_case(run, record);
	record->verdict = VERDICT_PASSED;
	if (record->measured && record->measured->broken)
		record->verdict = VERDICT_INVALID;
	if (run->aborted)
		record->verdict = VERDICT_ABORTED;
	record->abort_reason = run->abort_reason;
	record_judge(record);
	if (timeline_on(run->timeline))
		findings_compute(record, &run->trial);
}

static int begin(struct run *run, struct error *e)
{
	const struct driver_ops *driver = run->options.driver;
	uint64_t seed = run->options.seed, trial = run->trial_number;
	arena_reset(&run->trial);
	tell_start(run);
	int opened =
		run->driver && driver->reopen
			? driver->reopen(run->driver, seed, trial, run->timeline, e)
			: driver->open(&run->driver, run->scenario, seed, trial, run->timeline, e);
	if (opened)
		return -1;
	run->clock = driver->clock(run->driver);
	run->now = 0;
	run->turns = 0;
	run->next_action = 0;
	run->any_invalid = run->aborted = run->too_many = false;
	run->abort_reason = NULL;
	recovery_reset(run->recovery, seed, trial);
	for (size_t i = 0; i < run->scenario->detector_count; i++)
		detector_reset(&run->detectors[i], seed, trial);
	steps_reset(run);
	measure_reset(run);
	return 0;
}

int run_trial(struct run *run, uint64_t trial, struct timeline *timeline, struct record *record,
	      struct error *e)
{
	run->trial_number = trial;
	run->timeline = timeline;
	run->record = record;
	record->scenario = run->scenario;
	record->finding_count = 0;
	if (run->driver && !run->options.driver->reopen) {
		run->options.driver->close(run->driver);
		run->driver = NULL;
	}
	if (begin(run, e))
		return -1;
	recovery_begin(run->recovery, 0);
	int failed = loop(run, e);
	if (!failed && run->too_many)
		failed = error_set(e, ERROR_LIMIT, NO_PLACE,
				   "more than %d incidents in one run; let faults come less often",
				   INCIDENTS_MAX);
	incidents_close(run);
	failures_measure(run, record);
	measure_jobs(run, record);
	steps_unwind(run);
	tell_finish(run);
	sum_up(run, record);
	return failed;
}

/* ---- set up ---- */

static int detectors_new(struct run *run, struct error *e)
{
	const struct scenario *scenario = run->scenario;
	for (uint32_t i = 0; i < scenario->detector_count; i++) {
		struct detector *detector = &run->detectors[i];
		if (!(run->options.driver->detectors >> scenario->detectors[i].kind & 1))
			return error_set(e, ERROR_UNAVAILABLE, scenario->detectors[i].place,
					 "the driver '%s' cannot serve a '%s' detector",
					 run->options.driver->name,
					 detector_names[scenario->detectors[i].kind]);
		if (detector_init(detector, scenario, i, run->options.seed, 0, &run->arena, e))
			return -1;
		if (detector->target_count > run->probes_max)
			run->probes_max = detector->target_count;
	}
	run->probes = arena_array(&run->arena, run->probes_max + 1, sizeof(*run->probes));
	return 0;
}

int run_new(const struct scenario *scenario, const struct run_options *options,
	    struct run **ret_run, struct error *e)
{
	struct arena arena = {0};
	struct run *run = arena_alloc(&arena, sizeof(*run));
	run->arena = arena;
	run->scenario = scenario;
	run->options = *options;
	const struct recovery_host host = {
		.self = run,
		.start = host_start,
		.mark = host_mark,
		.diagnosed = host_diagnosed,
		.repair = host_repair,
		.restored = host_restored,
		.normal = host_normal,
		.note = host_note,
	};
	run->recovery = recovery_new(scenario, &host, &run->arena);
	run->place_count = recovery_domains(run->recovery) + scenario->deployment.site_count + 1;
	run->places = arena_array(&run->arena, run->place_count, sizeof(*run->places));
	if (steps_new(run, e) || detectors_new(run, e)) {
		run_free(run);
		return -1;
	}
	*ret_run = run;
	return 0;
}

void run_free(struct run *run)
{
	if (!run)
		return;
	if (run->driver)
		run->options.driver->close(run->driver);
	arena_free(&run->trial);
	struct arena arena = run->arena; /* the run itself lives in it */
	arena_free(&arena);
}
