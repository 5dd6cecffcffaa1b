/* SPDX-License-Identifier: Apache-2.0 */
/* Incidents: what faults and false alarms led to, mark by mark, and by which path they ended. */
#include <math.h>
#include <string.h>

#include "core/run_private.h"

struct incident *incident_at(struct run *run, uint32_t place)
{
	int index = run->places[place].incident;
	return index < 0 ? NULL : &run->incidents[index];
}

/* ---- which recovery domain a fault hits ---- */

static uint32_t store_place(const struct run *run)
{
	return (uint32_t)run->place_count - 1;
}

/* Domains first, then one place per site (used for standby sites), then the store with its backups.
 */
static uint32_t site_place(const struct run *run, uint32_t site)
{
	int domain = recovery_domain_of(run->recovery, site);
	if (domain >= 0)
		return (uint32_t)domain;
	for (uint32_t d = 0; d < recovery_domains(run->recovery); d++)
		if (recovery_active_site(run->recovery, d) == site ||
		    recovery_next_site(run->recovery, d) == (int)site)
			return d; /* it serves that domain, or is about to */
	return (uint32_t)recovery_domains(run->recovery) + site;
}

static uint32_t place_of(const struct run *run, struct entity entity)
{
	const struct deployment *deployment = &run->scenario->deployment;
	switch (entity.kind) {
	case ENTITY_SITE:
	case ENTITY_RACK:
	case ENTITY_NODE:
	case ENTITY_GPU:
	case ENTITY_STANDBY:
		return site_place(run, entity.site);
	case ENTITY_LINK:
		for (int end = 0; end < 2; end++) {
			uint32_t site = deployment->links[entity.index].site[end];
			if (recovery_domain_of(run->recovery, site) >= 0)
				return site_place(run, site);
		}
		return site_place(run, deployment->links[entity.index].site[0]);
	case ENTITY_ENDPOINT:
	case ENTITY_REPLICA:
		return site_place(run, deployment->endpoints[entity.index].site);
	case ENTITY_JOB:
	case ENTITY_RANK:
		return site_place(run, deployment->jobs[entity.index].site);
	case ENTITY_STORE:
	case ENTITY_BACKUP:
	case ENTITY_CHECKPOINT:
		return store_place(run);
	case ENTITY_DATA:
	case ENTITY_KINDS:
	case ENTITY_NONE:
		break;
	}
	return 0; /* the data belong to the first domain */
}

/* ---- calm, and what only looks like it ---- */

/* Does a fault of the incident come and go, or still grow? */
static bool goes_on(const struct run *run, int index)
{
	for (size_t i = 0; i < run->active_count; i++) {
		const struct injection *injection = &run->injections[run->active[i]];
		if (index >= 0 && injection->incident == index &&
		    injection->change_at != NANOS_NEVER)
			return true;
	}
	return false;
}

/* A target that mends itself is over its incident when it is calm, but not while a fault only
 * pauses: then the controller is told so later. */
static void look_calm(struct run *run, uint32_t place)
{
	struct place_state *state = &run->places[place];
	bool held = run->scenario->recovery.managed_by == MANAGED_BY_TARGET &&
		    place < recovery_domains(run->recovery) && goes_on(run, state->incident);
	if (held == state->held)
		return;
	state->held = held;
	if (held)
		run->held++;
	else
		run->held--;
	recovery_calm(run->recovery, place, run->now, state->calm && !held);
}

void incidents_look_calm(struct run *run)
{
	for (uint32_t p = 0; run->held > 0 && p < recovery_domains(run->recovery); p++)
		if (run->places[p].held)
			look_calm(run, p);
}

void incident_calm(struct run *run, uint32_t domain, bool calm)
{
	struct place_state *state = &run->places[domain];
	state->calm = calm;
	recovery_calm(run->recovery, domain, run->now, calm && !state->held);
}

/* ---- opening, marking ---- */

static void tell_mark(struct run *run, int incident, enum mark mark, nanos at)
{
	if (!timeline_on(run->timeline))
		return;
	timeline_begin(run->timeline, run->now, "mark");
	timeline_int(run->timeline, "incident", incident);
	timeline_text(run->timeline, "mark", mark_names[mark]);
	timeline_nanos(run->timeline, "at_ns", at);
	timeline_end(run->timeline);
}

/* t_fault, t_detect and t_decide: the first counts; the others: the last. */
void incident_set_mark(struct run *run, int index, enum mark mark, nanos at)
{
	struct incident *incident = &run->incidents[index];
	bool first_counts = mark == MARK_FAULT || mark == MARK_DETECT || mark == MARK_DECIDE;
	if (incident->marks[mark] == at || (first_counts && incident->marks[mark] != NANOS_NEVER))
		return;
	incident->marks[mark] = at;
	if (mark == MARK_DETECT || mark == MARK_DIAGNOSED)
		incident->undetected = false;
	tell_mark(run, index, mark, at);
}

/* Standby sites and the store have no endpoints of their own. */
static double wrong_so_far(const struct run *run, uint32_t place)
{
	const struct driver_ops *driver = run->options.driver;
	if (place >= recovery_domains(run->recovery) || !driver->wrong)
		return 0;
	return driver->wrong(run->driver, recovery_site(run->recovery, place));
}

static int incident_open(struct run *run, uint32_t place, const struct injection *injection)
{
	if (run->incident_count == INCIDENTS_MAX) {
		run->too_many = true;
		return -1;
	}
	run->incidents = arena_grow(&run->trial, run->incidents, run->incident_count,
				    &run->incident_capacity, sizeof(*run->incidents));
	int index = (int)run->incident_count++;
	struct incident *incident = &run->incidents[index];
	struct place_state *state = &run->places[place];
	memset(incident, 0, sizeof(*incident));
	incident->opened = run->now;
	incident->path = injection ? PATH_UNRECOVERED : PATH_FALSE_ALARM;
	incident->undetected = injection != NULL;
	incident->detector = incident->standby = -1;
	for (int m = 0; m < MARKS; m++)
		incident->marks[m] = NANOS_NEVER;
	if (injection) {
		incident->fault = injection->step->fault->name;
		incident->target = run->faults[injection->record].target;
		incident->place = run_place(run, injection->step->place);
	}
	uint32_t bad = state->bad_endpoints;
	nanos since = state->good_since;
	bool calm = state->calm, held = state->held;
	*state = (struct place_state){.incident = index,
				      .bad_endpoints = bad,
				      .good_since = since,
				      .ever_bad = bad > 0,
				      .loss = NANOS_NEVER,
				      .point = NANOS_NEVER,
				      .calm = calm,
				      .held = held};
	state->wrong_before = wrong_so_far(run, place);
	state->first = injection ? (size_t)(injection - run->injections) : run->injection_count;
	for (int c = 0; c < DATA_CLASSES; c++)
		state->as_of[c] = NANOS_NEVER;
	timeline_begin(run->timeline, run->now, "incident.open");
	timeline_int(run->timeline, "incident", index);
	if (injection)
		timeline_int(run->timeline, "step", injection->step->index);
	else
		timeline_null(run->timeline, "step");
	timeline_text(run->timeline, "fault", incident->fault);
	timeline_text(run->timeline, "target", incident->target);
	timeline_text(run->timeline, "place", incident->place);
	timeline_end(run->timeline);
	return index;
}

static void join(struct run *run, uint32_t place, const struct injection *injection)
{
	int index = run->places[place].incident;
	timeline_begin(run->timeline, run->now, "incident.join");
	timeline_int(run->timeline, "incident", index);
	timeline_int(run->timeline, "step", injection->step->index);
	timeline_text(run->timeline, "fault", injection->step->fault->name);
	timeline_text(run->timeline, "target", run->faults[injection->record].target);
	timeline_end(run->timeline);
}

static void close_incident(struct run *run, uint32_t place);

static action_id repair_start(struct run *run, uint32_t place, struct injection *injection)
{
	struct action repair = {.kind = ACTION_REPAIR,
				.domain = place,
				.step = (uint32_t)(injection - run->injections),
				.time = injection->step->failure.repair};
	if (injection->repairing || !injection->active || injection->step->until != UNTIL_REPAIRED)
		return 0;
	injection->repairing = true;
	return run_start(run, repair);
}

/*
 * A fault comes while a false alarm is being handled: the false alarm ends here, and what it has
 * begun (a declaration that stands, a move under way) belongs to the fault's incident, from the
 * instant of the fault on.
 */
static void take_over(struct run *run, uint32_t place, const struct injection *injection)
{
	static const enum mark carried[] = {MARK_DETECT,   MARK_DECIDE,     MARK_SWITCH_BEGIN,
					    MARK_SWITCHED, MARK_DATA_BEGIN, MARK_DATA_RESTORED};
	struct place_state before = run->places[place];
	nanos marks[MARKS];
	enum recovery_state state = recovery_state(run->recovery, place);
	bool moving = state == RECOVERY_DECIDING || state == RECOVERY_MOVING;
	memcpy(marks, run->incidents[before.incident].marks, sizeof(marks));
	close_incident(run, place);
	int index = incident_open(run, place, injection);
	if (index < 0)
		return;
	incident_set_mark(run, index, MARK_FAULT, run->now);
	for (size_t i = 0; moving && i < sizeof(carried) / sizeof(carried[0]); i++)
		if (marks[carried[i]] != NANOS_NEVER)
			incident_set_mark(run, index, carried[i], run->now);
	if (!moving)
		return;
	run->places[place].moved_from = before.moved_from;
	memcpy(run->places[place].as_of, before.as_of, sizeof(before.as_of));
	memcpy(run->incidents[index].restored, run->incidents[before.incident].restored,
	       sizeof(run->incidents[index].restored));
}

/*
 * In a long run something is always being mended: failures that come by chance or from a log would
 * all be one incident. Each is one of its own there, once the service is good again and the traffic
 * where it was; what is still broken then is mended within the newest.
 */
static bool begins_anew(const struct run *run, uint32_t place, const struct injection *injection)
{
	const struct place_state *state = &run->places[place];
	enum when_kind when = injection->step->when;
	enum recovery_state recovery;
	if ((when != WHEN_FAILURE && when != WHEN_TRACE) || state->bad_endpoints > 0 ||
	    place >= recovery_domains(run->recovery))
		return false;
	recovery = recovery_state(run->recovery, place);
	return (recovery == RECOVERY_NORMAL || recovery == RECOVERY_IN_PLACE) &&
	       run->incidents[state->incident].marks[MARK_SWITCH_BEGIN] == NANOS_NEVER &&
	       !state->return_lost;
}

static void succeed(struct run *run, uint32_t place, const struct injection *injection)
{
	int before = run->places[place].incident;
	bool repair_wanted = run->places[place].repair_wanted;
	close_incident(run, place);
	int index = incident_open(run, place, injection);
	if (index < 0)
		return;
	run->places[place].repair_wanted = repair_wanted;
	for (size_t i = 0; i < run->active_count; i++) {
		struct injection *other = &run->injections[run->active[i]];
		if (other == injection || other->incident != before)
			continue;
		other->incident = index;
		if (run->active[i] < run->places[place].first)
			run->places[place].first = run->active[i];
	}
	recovery_anew(run->recovery, place);
}

/* Does it break the place that serves? What has no site of its own may. */
static bool hits_service(const struct run *run, uint32_t domain, struct entity entity)
{
	uint32_t active = recovery_active_site(run->recovery, domain);
	switch (entity.kind) {
	case ENTITY_SITE:
	case ENTITY_RACK:
	case ENTITY_NODE:
	case ENTITY_GPU:
	case ENTITY_STANDBY:
		return entity.site == active;
	case ENTITY_REPLICA:
	case ENTITY_DATA:
		return recovery_site(run->recovery, domain) == active;
	case ENTITY_NONE:
	case ENTITY_LINK:
	case ENTITY_STORE:
	case ENTITY_ENDPOINT:
	case ENTITY_JOB:
	case ENTITY_RANK:
	case ENTITY_BACKUP:
	case ENTITY_CHECKPOINT:
	case ENTITY_KINDS:
		break;
	}
	return true;
}

/* A declaration that stands already, false until now, is acted on like a new one. */
static void tell_controller(struct run *run, uint32_t domain, struct entity entity, bool joined)
{
	bool hits = hits_service(run, domain, entity), of_jobs;
	if (joined)
		recovery_broken(run->recovery, domain);
	if (run_declared(run, domain, &of_jobs)) {
		incident_set_mark(run, run->places[domain].incident, MARK_DETECT, run->now);
		if (hits && of_jobs)
			recovery_declared_job(run->recovery, domain, run->now, false);
		else if (hits)
			recovery_declared(run->recovery, domain, run->now, false);
	}
	hits = hits && !run_is_of_job(run, entity);
	for (size_t i = 0; hits && i < run->scenario->detector_count; i++)
		detector_fault(&run->detectors[i], recovery_site(run->recovery, domain), run->now);
}

/* Of some faults the harm comes later: of one that grows, or pulses, and of a queue that fills. */
static bool is_building(const struct run *run, int index)
{
	for (size_t i = 0; i < run->active_count; i++) {
		const struct injection *injection = &run->injections[run->active[i]];
		if (injection->incident == index && injection->effects[0].kind == EFFECT_LOAD_SURGE)
			return true;
	}
	return goes_on(run, index);
}

/* Nothing has come of the open incident so far: no request was answered badly or wrongly, nobody
 * declared anything, and no live data are damaged, which is an onset that nobody sees. */
static bool is_harmless(const struct run *run, uint32_t place)
{
	const struct place_state *state = &run->places[place];
	const struct incident *incident = &run->incidents[state->incident];
	if (state->ever_bad || incident->marks[MARK_DETECT] != NANOS_NEVER ||
	    incident->marks[MARK_FAULT] == run->now || is_building(run, state->incident) ||
	    wrong_so_far(run, place) > state->wrong_before)
		return false;
	for (int c = 0; c < DATA_CLASSES; c++)
		if (losses_damaged(run, state, c))
			return false;
	return true;
}

/* What went before did no harm until now: the incident is this fault's, and its time counts. */
static void move_onset(struct run *run, uint32_t place, const struct injection *injection)
{
	struct incident *incident = incident_at(run, place);
	incident->fault = injection->step->fault->name;
	incident->target = run->faults[injection->record].target;
	incident->place = run_place(run, injection->step->place);
	incident->marks[MARK_FAULT] = run->now;
	tell_mark(run, run->places[place].incident, MARK_FAULT, run->now);
}

int incident_fault(struct run *run, struct injection *injection)
{
	const struct effect *first = &injection->effects[0];
	/* Two writers are the service's trouble, whatever the standby does besides. */
	bool split = first->kind == EFFECT_SPLIT_BRAIN;
	uint32_t place = split ? 0 : place_of(run, first->entity);
	struct place_state *state = &run->places[place];
	struct incident *incident = incident_at(run, place);
	bool open = incident != NULL, joins = false;
	if (open && incident->path == PATH_FALSE_ALARM)
		take_over(run, place, injection);
	else if (open && begins_anew(run, place, injection))
		succeed(run, place, injection);
	else if ((joins = open))
		join(run, place, injection);
	else
		incident_open(run, place, injection);
	incident = incident_at(run, place);
	if (!incident)
		return -1;
	bool onset = !joins || is_harmless(run, place); /* before this one counts as part of it */
	incident->faults = arena_grow(&run->trial, incident->faults, incident->fault_count,
				      &incident->fault_capacity, sizeof(*incident->faults));
	incident->faults[incident->fault_count++] = injection->step->index;
	run->faults[injection->record].incident = state->incident;
	injection->incident = state->incident;
	if (joins && onset)
		move_onset(run, place, injection);
	else
		incident_set_mark(run, state->incident, MARK_FAULT, run->now);
	if (state->repair_wanted)
		repair_start(run, place, injection);
	if (place < recovery_domains(run->recovery))
		tell_controller(run, place, injection->effects[0].entity, open);
	look_calm(run, place);
	return state->incident;
}

void incident_declared(struct run *run, uint32_t domain, uint32_t detector)
{
	if (run->places[domain].incident < 0)
		incident_open(run, domain, NULL);
	struct incident *incident = incident_at(run, domain);
	if (incident && incident->detector < 0)
		incident->detector = (int)detector;
}

/* ---- the client's view ---- */

/* A flap that lets everything through right now: good because it pauses, as of a pulse. */
static bool is_pausing(struct run *run, const struct injection *injection)
{
	const struct effect *effect = &injection->effects[0];
	char text[OBSERVED_MAX];
	struct reading now;
	if (effect->kind != EFFECT_NET_FLAP)
		return false;
	run->options.driver->read(run->driver, effect->entity, EFFECT_BIT(effect->kind), &now);
	return !effect_visible(effect->kind, &injection->before[0], &now, text);
}

/* The service is good again since `since`: what is still broken, redundancy carries. */
static void note_carried(struct run *run, uint32_t domain, int index, nanos since)
{
	for (size_t i = run->places[domain].first; i < run->injection_count; i++) {
		struct injection *injection = &run->injections[i];
		if (injection->incident != index)
			continue;
		injection->carried = false;
		if (!hits_service(run, domain, injection->effects[0].entity))
			continue; /* a standby that is not needed now carries nothing */
		/* Of a pulse: was it still applied then, or good only because it pauses? */
		injection->carried = injection->reverted_at > since;
		if (injection->active && !injection->dormant)
			injection->carried =
				injection_present(run, injection) && !is_pausing(run, injection);
	}
}

/* Does t_restored stand against what the move does? A move that begins or ends after it is part of
 * the recovery. */
static bool is_past_move(const struct incident *incident)
{
	static const enum mark of_move[] = {MARK_SWITCH_BEGIN, MARK_SWITCHED, MARK_DATA_BEGIN,
					    MARK_DATA_RESTORED};
	nanos restored = incident->marks[MARK_RESTORED];
	for (size_t i = 0; i < sizeof(of_move) / sizeof(of_move[0]); i++)
		if (incident->marks[of_move[i]] != NANOS_NEVER &&
		    incident->marks[of_move[i]] > restored)
			return false;
	return restored != NANOS_NEVER;
}

/*
 * The service is bad again since `since`. t_restored opened a stable window when the service was
 * good for as long as that; what disturbs it later is no part of this recovery, unless a fault of
 * the incident can be behind it: one that came later, or one that is still there and hits what
 * serves.
 */
static bool is_settled(const struct run *run, uint32_t place, nanos since)
{
	const struct place_state *state = &run->places[place];
	const struct incident *incident = &run->incidents[state->incident];
	nanos restored = incident->marks[MARK_RESTORED];
	if (!is_past_move(incident) || since - restored < run->scenario->steady_state.window)
		return false;
	for (size_t i = state->first; i < run->injection_count; i++) {
		const struct injection *injection = &run->injections[i];
		if (injection->incident != state->incident)
			continue;
		if (injection->began > restored ||
		    (injection->active && hits_service(run, place, injection->effects[0].entity)))
			return false;
	}
	return true;
}

/* t_restored as far as it is known: nothing while the service is bad; not before t_ready once a
 * move is complete. */
static void update_restored(struct run *run, uint32_t place, bool closing)
{
	struct place_state *state = &run->places[place];
	struct incident *incident = incident_at(run, place);
	if (!incident || (state->settled && is_past_move(incident)))
		return;
	nanos switched = incident->marks[MARK_SWITCHED], data = incident->marks[MARK_DATA_RESTORED];
	bool moved = switched != NANOS_NEVER && data != NANOS_NEVER;
	nanos at = NANOS_NEVER, begin = incident->marks[MARK_FAULT];
	if (begin == NANOS_NEVER)
		begin = incident->marks[MARK_DETECT];
	if (state->bad_endpoints == 0 && (state->ever_bad || moved || closing)) {
		at = state->ever_bad && state->good_since > begin ? state->good_since : begin;
		nanos ready = switched > data ? switched : data;
		if (moved && at < ready)
			at = ready;
	}
	incident_set_mark(run, state->incident, MARK_RESTORED, at);
}

/* An endpoint by its name, a job as a target names it. */
static const char *service_name(const struct run *run, uint32_t endpoint,
				char text[ENTITY_TEXT_MAX])
{
	const struct deployment *deployment = &run->scenario->deployment;
	if (endpoint < deployment->endpoint_count)
		return deployment->endpoints[endpoint].name;
	struct entity job = {.kind = ENTITY_JOB,
			     .index = (int32_t)(endpoint - deployment->endpoint_count)};
	return entity_print(job, run->scenario, text);
}

static void note_relapse(struct run *run, uint32_t place, nanos since)
{
	struct place_state *state = &run->places[place];
	state->settled = is_settled(run, place, since);
	if (state->settled && state->bad_endpoints == 0) {
		run->incidents[state->incident].relapses++;
		state->relapse = since;
	}
}

static void end_relapse(struct run *run, uint32_t place, nanos until)
{
	struct place_state *state = &run->places[place];
	if (state->settled)
		run->incidents[state->incident].relapsed += until - state->relapse;
}

void incident_client(struct run *run, const struct completion *c)
{
	char text[ENTITY_TEXT_MAX];
	uint32_t place = c->action.domain;
	struct place_state *state = &run->places[place];
	bool bad = c->kind == COMPLETION_BAD;
	timeline_begin(run->timeline, run->now, bad ? "service.bad" : "service.good");
	timeline_text(run->timeline, "endpoint", service_name(run, c->endpoint, text));
	timeline_int(run->timeline, "since_ns", c->since);
	timeline_end(run->timeline);
	if (bad) {
		if (state->incident >= 0)
			note_relapse(run, place, c->since);
		state->bad_endpoints++;
		state->ever_bad = true;
		run->bad_since[c->endpoint] = c->since;
	} else {
		state->bad_endpoints--;
		state->good_since = c->since > state->good_since ? c->since : state->good_since;
		measure_end_bad_time(run, c->endpoint, c->since);
		if (state->bad_endpoints == 0 && state->incident >= 0) {
			note_carried(run, place, state->incident, c->since);
			end_relapse(run, place, c->since);
		}
	}
	update_restored(run, place, false);
}

/* ---- marks from the controller ---- */

static void begin_move(struct run *run, uint32_t domain)
{
	struct place_state *state = &run->places[domain];
	const nanos *marks = run->incidents[state->incident].marks;
	if (marks[MARK_SWITCHED] != NANOS_NEVER && marks[MARK_DATA_RESTORED] != NANOS_NEVER) {
		state->past = arena_grow(&run->trial, state->past, state->past_count,
					 &state->past_capacity, sizeof(*state->past));
		struct past_move *past = &state->past[state->past_count++];
		past->site = state->moved_from;
		memcpy(past->as_of, state->as_of, sizeof(past->as_of));
		for (int c = 0; c < DATA_CLASSES; c++)
			state->as_of[c] = NANOS_NEVER;
	}
	state->moved_from = recovery_active_site(run->recovery, domain);
	run->incidents[state->incident].standby = recovery_next_site(run->recovery, domain);
}

void incident_mark(struct run *run, uint32_t domain, enum mark mark, nanos at)
{
	if (run->places[domain].incident < 0)
		return;
	if (mark == MARK_SWITCH_BEGIN && at != NANOS_NEVER)
		begin_move(run, domain);
	incident_set_mark(run, run->places[domain].incident, mark, at);
	if (mark == MARK_SWITCHED || mark == MARK_DATA_RESTORED) {
		if (at == NANOS_NEVER) {
			losses_forget(run, domain);
		}
		losses_look(run, domain);
		update_restored(run, domain, false);
	}
}

void incident_restored(struct run *run, const struct completion *c)
{
	struct incident *incident = incident_at(run, c->action.domain);
	const struct backup_policy *policy = &run->scenario->policies[c->action.policy];
	bool backup = c->action.backup != BACKUP_REPLICA;
	if (incident)
		incident->restored[c->action.data_class] = (struct restored){
			.known = true,
			.backup = c->action.backup,
			.verified = backup && policy->verify,
			.as_of = c->as_of,
		};
}

/* ---- closing ---- */

/*
 * Nobody looks for it, so it goes on: a fault that is still there, while requests were answered
 * wrongly, or that has damaged the live data. What is broken and harms nobody is no outage.
 */
static bool harms_unseen(const struct run *run, const struct incident *incident)
{
	int index = (int)(incident - run->incidents);
	for (size_t i = 0; incident->undetected && i < run->active_count; i++) {
		const struct injection *injection = &run->injections[run->active[i]];
		for (size_t k = 0; injection->incident == index && k < injection->effect_count;
		     k++) {
			/* The pause of a pulse mends nothing. */
			bool there =
				injection->dormant ||
				run->options.driver->present(run->driver, &injection->undos[k]);
			if ((losses_damages(&injection->effects[k]) || incident->wrong > 0) &&
			    there)
				return true;
		}
	}
	return false;
}

static enum path path_of(struct run *run, uint32_t place)
{
	struct place_state *state = &run->places[place];
	struct incident *incident = incident_at(run, place);
	if (incident->marks[MARK_FAULT] == NANOS_NEVER)
		return PATH_FALSE_ALARM;
	incident->silent = state->bad_endpoints == 0 && harms_unseen(run, incident);
	if (state->bad_endpoints > 0 || incident->silent)
		return PATH_UNRECOVERED;
	if (incident->marks[MARK_SWITCHED] != NANOS_NEVER &&
	    incident->marks[MARK_DATA_RESTORED] != NANOS_NEVER)
		return PATH_FAILOVER;
	if (!state->ever_bad)
		return PATH_ABSORBED;
	if (state->restarted) /* on other nodes, it may be: the scheduler mended it */
		return PATH_IN_PLACE;
	/* Good again without a move: because the broken thing came back, or because others carried
	 * it. */
	for (size_t i = state->first; i < run->injection_count; i++)
		if (run->injections[i].incident == state->incident && run->injections[i].carried)
			return PATH_ABSORBED;
	return PATH_IN_PLACE;
}

static void close_incident(struct run *run, uint32_t place)
{
	struct place_state *state = &run->places[place];
	struct incident *incident = incident_at(run, place);
	double wrong = wrong_so_far(run, place) - state->wrong_before;
	incident->wrong = (uint64_t)llround(fmax(wrong, 0));
	update_restored(run, place, true);
	incident->path = path_of(run, place);
	if (incident->path == PATH_UNRECOVERED)
		incident_set_mark(run, state->incident, MARK_RESTORED, NANOS_NEVER);
	if (incident->path != PATH_FAILOVER && incident->path != PATH_FALSE_ALARM) {
		/* A move that was begun and did not come about is no phase of this path. */
		static const enum mark of_move[] = {MARK_SWITCH_BEGIN, MARK_SWITCHED,
						    MARK_DATA_BEGIN, MARK_DATA_RESTORED,
						    MARK_VERIFIED};
		for (size_t i = 0; i < sizeof(of_move) / sizeof(of_move[0]); i++)
			if (incident->marks[of_move[i]] != NANOS_NEVER)
				incident_set_mark(run, state->incident, of_move[i], NANOS_NEVER);
		if (!state->return_lost)
			losses_forget(run, place);
	}
	losses_sum(run, place, incident);
	incident_measure(incident);
	incident->closed = run->now;
	timeline_begin(run->timeline, run->now, "incident.close");
	timeline_int(run->timeline, "incident", state->incident);
	timeline_text(run->timeline, "path", path_names[incident->path]);
	timeline_int(run->timeline, "wrong", (int64_t)incident->wrong);
	timeline_bool(run->timeline, "undetected", incident->undetected);
	timeline_end(run->timeline);
	state->incident = -1;
	state->repair_wanted = false;
}

void incident_normal(struct run *run, uint32_t domain)
{
	if (run->places[domain].incident < 0)
		return;
	close_incident(run, domain);
	run_clear_fixed(run, domain);
}

void incidents_close(struct run *run)
{
	for (size_t i = 0; i < run->active_count; i++)
		losses_of_split(run, &run->injections[run->active[i]]); /* it ends with the drill */
	for (uint32_t p = 0; p < run->place_count; p++) {
		if (run->places[p].incident < 0)
			continue;
		bool away = p < recovery_domains(run->recovery) &&
			    recovery_active_site(run->recovery, p) != run->places[p].moved_from;
		if (away) /* the old copy may have gone on taking writes that nobody will read */
			losses_look(run, p);
		close_incident(run, p);
	}
	measure_end(run);
}

/* ---- repair ---- */

/* Where the incident is open: a standby's own, or the domain that it has served since then. */
static uint32_t place_of_incident(const struct run *run, int index)
{
	uint32_t place = 0;
	while (place < run->place_count && (index < 0 || run->places[place].incident != index))
		place++;
	return place;
}

/* A site, or something in it. */
static bool stands_at_site(struct entity entity)
{
	return entity.kind == ENTITY_SITE || entity.kind == ENTITY_RACK ||
	       entity.kind == ENTITY_NODE || entity.kind == ENTITY_GPU ||
	       entity.kind == ENTITY_STANDBY;
}

static bool breaks_standby(const struct run *run, uint32_t domain, struct entity entity)
{
	return stands_at_site(entity) && entity.site != recovery_site(run->recovery, domain);
}

/* All that the incident broke is gone: the controller is told, or, at a place without one, it is
 * over. */
void incident_ended_faults(struct run *run, int index)
{
	uint32_t place = place_of_incident(run, index);
	if (place == run->place_count)
		return;
	bool domain = place < recovery_domains(run->recovery), whole = true;
	for (size_t i = 0; i < run->active_count; i++) {
		const struct injection *injection = &run->injections[run->active[i]];
		if (injection->incident != index)
			continue;
		/* A standby that is still broken does not keep the primary from serving again. */
		whole = false;
		if (!domain || !breaks_standby(run, place, injection->effects[0].entity))
			return;
	}
	if (domain) {
		run_clear_fixed(run, place);
		recovery_repaired(run->recovery, place, run->now, whole);
		return;
	}
	incident_set_mark(run, index, MARK_REPAIRED, run->now);
	incident_set_mark(run, index, MARK_NORMAL, run->now);
	close_incident(run, place);
}

void incident_repair(struct run *run, uint32_t domain)
{
	struct place_state *state = &run->places[domain];
	bool any = false;
	state->repair_wanted = true;
	if (state->incident < 0)
		return;
	for (size_t i = 0; i < run->active_count; i++) {
		struct injection *injection = &run->injections[run->active[i]];
		if (injection->incident == state->incident) {
			any = true;
			repair_start(run, domain, injection);
		}
	}
	if (!any) /* nothing is broken: a false alarm, or it mended itself */
		recovery_repaired(run->recovery, domain, run->now, true);
}

void incident_repaired(struct run *run, const struct completion *c)
{
	struct injection *injection = &run->injections[c->action.step];
	injection->repairing = false;
	if (!injection->active)
		return; /* it ended before the crew was done */
	injection_revert(run, injection, "repaired");
	incident_ended_faults(run, injection->incident);
}

static uint32_t broken_site(const struct run *run, uint32_t domain, struct entity entity)
{
	return stands_at_site(entity) ? entity.site : recovery_active_site(run->recovery, domain);
}

void incident_restarted(struct run *run, const struct injection *injection)
{
	if ((injection->effects[0].kind == EFFECT_PROC_EXIT ||
	     injection->effects[0].kind == EFFECT_PROC_OOM) &&
	    place_of_incident(run, injection->incident) < run->place_count)
		run->incidents[injection->incident].undetected = false;
}

void incident_notice(struct run *run, uint32_t index)
{
	struct injection *injection = &run->injections[index];
	uint32_t place = place_of_incident(run, injection->incident);
	if (!injection->active || place == run->place_count)
		return;
	run->incidents[injection->incident].undetected = false;
	if (place < recovery_domains(run->recovery))
		recovery_noticed(run->recovery, place,
				 broken_site(run, place, injection->effects[0].entity));
	else
		repair_start(run, place, injection);
}
