/* SPDX-License-Identifier: Apache-2.0 */
/* From the events of a drill to how long each thing took. */
#include "core/observe.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

#define KEY_MAX 64
#define ACTIONS_MAX 1000000 /* of one run */

/* An action or backup that began. */
struct begun {
	double id;
	nanos at;
	enum residual residual; /* RESIDUALS: of no interest */
	bool from_store;
	uint64_t bytes;
};

/* One walk through the events. */
struct walk {
	struct observation *into;
	const struct scenario *scenario;
	struct arena *arena;
	double incident;
	struct begun *actions;
	size_t action_count, action_capacity;
	nanos backup_begun[OBSERVE_BACKUPS_MAX];
	double sums[RESIDUALS];
	size_t counts[RESIDUALS];
	double backup_bytes, backup_seconds, restore_bytes, restore_seconds;
	nanos activated, weights_there, starting, ready; /* NANOS_NEVER: not yet */
	nanos begin;                                     /* of the recovery */
	const char *site; /* where the service is to come back; NULL: where it was */
};

static double number(const cJSON *object, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

static const char *text(const cJSON *object, const char *key)
{
	const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

	return value ? value : "";
}

/* Whatever stands in the file: what is no instant of a drill is none. */
static nanos instant(double value)
{
	return value >= 0 && value <= (double)SCENARIO_DURATION_MAX ? (nanos)llround(value)
								    : NANOS_NEVER;
}

static void took(struct walk *w, enum residual residual, nanos span)
{
	w->sums[residual] += (double)span;
	w->counts[residual]++;
}

/* ---- actions ---- */

static enum residual residual_of(const cJSON *event)
{
	const char *kind = text(event, "kind");

	if (strcmp(kind, "fence") == 0)
		return RESIDUAL_FENCE;
	if (strcmp(kind, "switch") == 0)
		return RESIDUAL_SWITCH;
	for (int c = 0; strcmp(kind, "restore") == 0 && c < DATA_CLASSES; c++)
		if (strcmp(text(event, "class"), data_class_names[c]) == 0)
			return RESIDUAL_RESTORE_MODEL + (enum residual)c;
	return RESIDUALS;
}

static void action_begin(struct walk *w, const cJSON *event, nanos at)
{
	struct begun begun = {.id = number(event, "action"),
			      .at = at,
			      .residual = residual_of(event),
			      .from_store = isfinite(number(event, "backup"))};

	if (number(event, "incident") != w->incident || w->action_count == ACTIONS_MAX)
		return;
	if (strcmp(text(event, "kind"), "activate") == 0 && w->ready == NANOS_NEVER) {
		w->activated = at;
		w->site = arena_strdup(w->arena, text(event, "target"));
	}
	if (begun.residual >= RESIDUAL_RESTORE_MODEL && begun.residual <= RESIDUAL_RESTORE_IO)
		begun.bytes =
			w->scenario->deployment.data[begun.residual - RESIDUAL_RESTORE_MODEL].bytes;
	if (begun.residual == RESIDUALS)
		return;
	w->actions = arena_grow(w->arena, w->actions, w->action_count, &w->action_capacity,
				sizeof(*w->actions));
	w->actions[w->action_count++] = begun;
}

static void action_end(struct walk *w, const cJSON *event, nanos at)
{
	double id = number(event, "action");

	if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(event, "ok")))
		return;
	/* The newest ones end first, as a rule. */
	for (size_t i = w->action_count; i-- > 0;) {
		const struct begun *begun = &w->actions[i];

		if (begun->id != id)
			continue;
		took(w, begun->residual, at - begun->at);
		if (begun->residual == RESIDUAL_RESTORE_MODEL && w->weights_there == NANOS_NEVER)
			w->weights_there = at;
		if (begun->from_store) {
			w->restore_bytes += (double)begun->bytes;
			w->restore_seconds += (double)(at - begun->at) / 1e9;
		}
		return;
	}
}

/* ---- backups ---- */

static void backup_event(struct walk *w, const cJSON *event, nanos at, bool begins)
{
	double id = number(event, "backup");
	struct observation *o = w->into;
	size_t i;

	if (!(id >= 0 && id < OBSERVE_BACKUPS_MAX))
		return;
	i = (size_t)id;
	if (begins) {
		for (; o->backup_count <= i; o->backup_count++) {
			o->backups[o->backup_count] = NANOS_NEVER;
			w->backup_begun[o->backup_count] = NANOS_NEVER;
		}
		w->backup_begun[i] = at;
		return;
	}
	if (i >= o->backup_count || w->backup_begun[i] == NANOS_NEVER ||
	    !cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(event, "ok")))
		return;
	o->backups[i] = at - w->backup_begun[i];
	took(w, RESIDUAL_BACKUP, o->backups[i]);
	w->backup_bytes += fmax(number(event, "bytes"), 0);
	w->backup_seconds += (double)o->backups[i] / 1e9;
}

/* ---- replicas ---- */

/* The first replica of the place that takes over which is ready after the recovery began. */
static void replica_state(struct walk *w, const cJSON *event, nanos at)
{
	const char *state = text(event, "state");

	if (w->begin == NANOS_NEVER || at < w->begin || w->ready != NANOS_NEVER)
		return;
	if (w->site && strcmp(text(event, "site"), w->site) != 0)
		return;
	if (strcmp(state, "InProgress") == 0)
		w->starting = at;
	else if (strcmp(state, "Ready") == 0 && w->starting != NANOS_NEVER)
		w->ready = at;
}

static void take_event(struct walk *w, const cJSON *event)
{
	const char *type = text(event, "event");
	nanos at = instant(number(event, "t_ns"));

	if (at == NANOS_NEVER)
		return;
	if (strcmp(type, "action.begin") == 0)
		action_begin(w, event, at);
	else if (strcmp(type, "action.end") == 0)
		action_end(w, event, at);
	else if (strcmp(type, "backup.begin") == 0)
		backup_event(w, event, at, true);
	else if (strcmp(type, "backup.end") == 0)
		backup_event(w, event, at, false);
	else if (strcmp(type, "replica.state") == 0)
		replica_state(w, event, at);
}

/* ---- the whole ---- */

static nanos later(nanos a, nanos b)
{
	return a == NANOS_NEVER ? b : b == NANOS_NEVER || a > b ? a : b;
}

static nanos span(nanos from, nanos to)
{
	return from == NANOS_NEVER || to == NANOS_NEVER ? NANOS_NEVER : to - from;
}

/* Has the standby the weights before they are restored? */
static bool has_weights(const struct walk *w)
{
	const struct deployment *d = &w->scenario->deployment;

	for (size_t i = 0; i < d->site_count; i++)
		if (strcmp(d->sites[i].name, w->site) == 0)
			return !d->data[DATA_MODEL].declared ||
			       (d->sites[i].standby.holds & DATA_BIT(DATA_MODEL));
	return true;
}

/* When the start could begin: at the activation, or when the weights are there; in place at the
 * restart. */
static nanos start_order(const struct walk *w)
{
	if (!w->site)
		return w->starting;
	if (!has_weights(w) && w->weights_there != NANOS_NEVER && w->weights_there < w->ready)
		return later(w->activated, w->weights_there);
	return w->activated;
}

static void finish(struct walk *w)
{
	struct observation *o = w->into;
	const nanos *marks = o->marks;
	nanos begin = marks[MARK_SWITCH_BEGIN];
	nanos up = later(later(marks[MARK_SWITCHED], marks[MARK_DATA_RESTORED]), w->ready);

	if (marks[MARK_DATA_BEGIN] < begin)
		begin = marks[MARK_DATA_BEGIN];
	for (size_t i = 0; i < RESIDUALS; i++)
		o->took[i] = w->counts[i] ? (nanos)llround(w->sums[i] / (double)w->counts[i])
					  : NANOS_NEVER;
	o->took[RESIDUAL_DETECTION] = span(marks[MARK_FAULT], marks[MARK_DETECT]);
	o->took[RESIDUAL_DECISION] = span(marks[MARK_DETECT], begin);
	o->took[RESIDUAL_START] = span(start_order(w), w->ready);
	o->took[RESIDUAL_READINESS] = span(up, marks[MARK_RESTORED]);
	o->backup_rate = w->backup_seconds > 0 ? w->backup_bytes / w->backup_seconds : (double)NAN;
	o->restore_rate =
		w->restore_seconds > 0 ? w->restore_bytes / w->restore_seconds : (double)NAN;
}

static struct walk *walk_begin(struct observation *into, double incident,
			       const struct scenario *scenario, struct arena *arena)
{
	struct walk *w = arena_alloc(arena, sizeof(*w));

	w->into = into;
	w->scenario = scenario;
	w->arena = arena;
	w->incident = incident;
	w->activated = w->weights_there = w->starting = w->ready = NANOS_NEVER;
	/* A restart in place begins before anybody declares anything. */
	w->begin = into->marks[MARK_SWITCH_BEGIN] != NANOS_NEVER ? into->marks[MARK_SWITCH_BEGIN]
								 : into->marks[MARK_FAULT];
	into->backups = arena_array(arena, OBSERVE_BACKUPS_MAX, sizeof(*into->backups));
	return w;
}

static int recovered(const struct observation *o, struct error *e)
{
	if (o->frt != NANOS_NEVER && o->marks[MARK_FAULT] != NANOS_NEVER &&
	    o->marks[MARK_RESTORED] != NANOS_NEVER)
		return 0;
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
			 "the drill has no incident that it recovered from: there is nothing to "
			 "measure");
}

int observe_record(const cJSON *record, const cJSON *events, const struct scenario *scenario,
		   struct arena *arena, struct observation *ret, struct error *e)
{
	const cJSON *metrics = cJSON_GetObjectItemCaseSensitive(record, "metrics");
	double index = number(metrics, "incident");
	const cJSON *incident =
		index >= 0 && index < INCIDENTS_MAX
			? cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(record, "incidents"),
					     (int)index)
			: NULL;
	const cJSON *event;
	struct observation o = {.frt = instant(number(incident, "frt_ns"))};
	struct walk *w;
	char key[KEY_MAX];

	for (size_t i = 0; i < MARKS; i++) {
		snprintf(key, sizeof(key), "%s_ns", mark_names[i]);
		o.marks[i] = instant(number(incident, key));
	}
	if (recovered(&o, e))
		return -1;
	o.path = arena_strdup(arena, text(incident, "path"));
	w = walk_begin(&o, index, scenario, arena);
	cJSON_ArrayForEach (event, events)
		take_event(w, event);
	finish(w);
	*ret = o;
	return 0;
}

int observe_run(const struct record *record, const char *events, struct arena *arena,
		struct observation *ret, struct error *e)
{
	struct observation o = {.frt = NANOS_NEVER, .marks = {[MARK_FAULT] = NANOS_NEVER}};
	struct walk *w;

	if (record->headline >= 0) {
		const struct incident *incident = &record->incidents[record->headline];

		o.frt = incident->frt;
		memcpy(o.marks, incident->marks, sizeof(o.marks));
		o.path = path_names[incident->path];
	}
	if (recovered(&o, e))
		return -1;
	w = walk_begin(&o, record->headline, record->scenario, arena);
	for (const char *line = events, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		cJSON *event = cJSON_ParseWithLength(line, (size_t)(end - line));

		take_event(w, event);
		cJSON_Delete(event);
	}
	finish(w);
	*ret = o;
	return 0;
}
