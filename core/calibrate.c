/* SPDX-License-Identifier: Apache-2.0 */
/* Measured drills, the simulator beside them, and what is left between the two. */
#include "core/calibrate.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/difference.h"
#include "core/driver.h"
#include "core/report.h"
#include "core/run.h"
#include "core/stats.h"

#define CORRECTIONS_MAX 3          /* rounds in which what is missing of FRT is put somewhere */
#define NOTHING (10 * NANOS_US)    /* missing FRT that is not worth a round */
#define SLOPE_SPAN (50 * NANOS_MS) /* transfers that differ by less tell nothing about a rate */
#define SLOPE_MIN 0.05
#define SLOPE_MAX 20

/* One measured drill. */
struct drill {
	const char *folder, *id, *sha256, *name;
	uint64_t seed;
	struct process_scale scale;
	struct scenario *scenario; /* at that scale */
	struct yaml_node *tree;    /* of its text */
	struct observation measured, modelled;
};

/* ---- reading a run folder ---- */

static const cJSON *get(const cJSON *object, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(object, key);
}

static bool is(const cJSON *object, const char *key, const char *word)
{
	const char *text = cJSON_GetStringValue(get(object, key));

	return text && strcmp(text, word) == 0;
}

static int refuse(const struct drill *drill, struct error *e, const char *why)
{
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "%s: %s", drill->folder, why);
}

static int check_kind(const struct drill *drill, const cJSON *record, bool allow_simulated,
		      struct error *e)
{
	const cJSON *head = get(record, "drill");

	if (!is(head, "kind", "injected") && !(allow_simulated && is(head, "kind", "simulated")))
		return refuse(drill, e, "it is not a real drill (kind is not 'injected')");
	if (!cJSON_IsFalse(get(head, "sham")))
		return refuse(drill, e, "it is a sham: nothing was injected");
	if (get(record, "campaign"))
		return refuse(drill, e, "it is a campaign of many trials, not one drill");
	if (!is(record, "verdict", "passed") && !is(record, "verdict", "failed"))
		return refuse(drill, e,
			      "it is not evaluable (its verdict is neither 'passed' nor 'failed')");
	return 0;
}

static double scale_of(const cJSON *head, const char *key)
{
	const cJSON *item = get(get(head, "scale"), key);

	return cJSON_IsNumber(item) && item->valuedouble > 0 ? item->valuedouble : 1;
}

/* The seed has 64 bits, which report_load keeps as text. */
static uint64_t seed_of(const cJSON *head)
{
	const char *digits = get(head, "seed") ? get(head, "seed")->valuestring : NULL;
	uint64_t seed = 0;

	for (; digits && *digits >= '0' && *digits <= '9'; digits++)
		seed = seed * 10 + (uint64_t)(*digits - '0');
	return seed;
}

static int load_scenario(struct drill *drill, const cJSON *head, struct arena *arena,
			 struct error *e)
{
	const char *path = arena_printf(arena, "%s/scenario.yaml", drill->folder);
	struct scenario *loaded;
	struct error first = {0};
	size_t count = 0;

	if (scenario_load(path, NULL, 0, arena, &loaded, &first, 1, &count))
		return error_set(e, first.kind, first.place, "%s", first.text);
	if (!is(head, "scenario_sha256", loaded->sha256))
		return refuse(drill, e, "its scenario.yaml is not the one of its record");
	drill->scale.time_scale = scale_of(head, "time");
	drill->scale.bytes_scale = scale_of(head, "bytes");
	if (yaml_parse(path, loaded->text, loaded->text_size, arena, &drill->tree, e))
		return -1;
	drill->scenario = loaded;
	if (drill->scale.time_scale == 1 && drill->scale.bytes_scale == 1)
		return 0;
	return scenario_scale(loaded, drill->scale.time_scale, drill->scale.bytes_scale, arena,
			      &drill->scenario, e);
}

static int read_drill(struct drill *drill, const struct report_input *input, bool allow_simulated,
		      struct arena *arena, struct error *e)
{
	const cJSON *head = get(input->record, "drill");
	struct error why = {0};
	const char *id = cJSON_GetStringValue(get(head, "id"));

	if (check_kind(drill, input->record, allow_simulated, e) ||
	    load_scenario(drill, head, arena, e))
		return -1;
	drill->id = arena_strdup(arena, id ? id : "");
	drill->name = drill->scenario->name;
	drill->seed = seed_of(head);
	if (observe_record(input->record, input->events, drill->scenario, arena, &drill->measured,
			   &why))
		return refuse(drill, e, why.text);
	return 0;
}

static int hash_record(struct drill *drill, struct arena *arena, struct error *e)
{
	const char *path = arena_printf(arena, "%s/record.json", drill->folder);
	struct arena whole = {0};
	char *text, *hex = arena_alloc(arena, 65);
	size_t size;
	int rc = yaml_read_file(path, CALIBRATE_RECORD_MAX, &whole, &text, &size, e);

	if (rc == 0)
		calibration_sha256(text, size, hex);
	arena_free(&whole);
	drill->sha256 = hex;
	return rc;
}

static int load_drill(struct drill *drill, bool allow_simulated, struct arena *arena,
		      struct error *e)
{
	struct report_input input = {0};
	int rc;

	if (hash_record(drill, arena, e) || report_load(drill->folder, &input, e))
		return -1;
	rc = read_drill(drill, &input, allow_simulated, arena, e);
	report_free(&input);
	return rc;
}

/* ---- do they belong together ---- */

static int by_id(const void *left, const void *right)
{
	const struct drill *a = left, *b = right;
	int ids = strcmp(a->id, b->id);

	return ids != 0 ? ids : strcmp(a->sha256, b->sha256);
}

/* What decides how long things take; what breaks, and the seed, may differ. */
static int check_plan(const struct drill *a, const struct drill *b, struct arena *arena,
		      struct error *e)
{
	static const char *const parts[] = {"deployment", "backup",       "detector",
					    "recovery",   "steady_state", "process"};
	struct differences *list = arena_alloc(arena, sizeof(*list));

	if (a->scale.time_scale != b->scale.time_scale ||
	    a->scale.bytes_scale != b->scale.bytes_scale)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "%s and %s ran at different scales", a->folder, b->folder);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		differences_find(yaml_get(a->tree, parts[i]), yaml_get(b->tree, parts[i]), parts[i],
				 arena, list);
	if (list->count == 0)
		return 0;
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
			 "%s and %s are drills of different plans: %s is %.60s in the one and "
			 "%.60s in the other",
			 a->folder, b->folder, list->items[0].path,
			 list->items[0].a ? list->items[0].a : "not there",
			 list->items[0].b ? list->items[0].b : "not there");
}

static int check_together(const struct drill *drills, size_t count, struct arena *arena,
			  struct error *e)
{
	for (size_t i = 1; i < count; i++) {
		if (check_plan(&drills[0], &drills[i], arena, e))
			return -1;
		for (size_t k = 0; k < i; k++)
			if (strcmp(drills[k].sha256, drills[i].sha256) == 0)
				return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
						 "%s and %s are the same run", drills[k].folder,
						 drills[i].folder);
	}
	return 0;
}

/* ---- the simulator beside a drill ---- */

/* The same drill, corrected by `calibration` or (NULL) as the model has it. With `events` their
 * text, to free. */
static int simulate(const struct drill *drill, const struct calibration *calibration,
		    char **ret_events, struct observation *ret, struct arena *arena,
		    struct error *e)
{
	struct scenario scenario = *drill->scenario;
	struct run_options options = {.driver = driver_find("sim"), .seed = drill->seed};
	struct record record = {.scenario = &scenario,
				.driver = "sim",
				.kind = "simulated",
				.seed = drill->seed,
				.headline = -1};
	struct timeline *timeline = arena_alloc(arena, sizeof(*timeline));
	struct run *run;
	size_t size = 0;
	int rc = -1;

	assert(options.driver);
	scenario.calibration = calibration;
	if (run_new(&scenario, &options, &run, e))
		return -1;
	if (timeline_open(timeline, NULL, e))
		goto out;
	if (ret_events)
		timeline->file = open_memstream(ret_events, &size);
	rc = run_trial(run, 0, timeline, &record, e);
	if (timeline->file)
		fclose(timeline->file);
	if (rc == 0)
		rc = observe_run(&record, ret_events ? *ret_events : "", arena, ret, e);
out:
	run_free(run);
	return rc;
}

static int model(struct drill *drill, struct arena *arena, struct error *e)
{
	struct error why = {0};
	char *events = NULL;
	int rc = simulate(drill, NULL, &events, &drill->modelled, arena, &why);

	free(events);
	if (rc)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "%s: in the simulator: %s",
				 drill->folder, why.text);
	if (strcmp(drill->modelled.path, drill->measured.path) != 0)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "%s: the drill took the path '%s', the simulator '%s': the model "
				 "does not describe it",
				 drill->folder, drill->measured.path, drill->modelled.path);
	return 0;
}

/* ---- rates ---- */

/* A line of measured over modelled times. */
struct line {
	double n, x, y, xx, xy, least, most;
};

static void line_add(struct line *line, nanos modelled, nanos measured)
{
	double x = (double)modelled, y = (double)measured;

	if (modelled == NANOS_NEVER || measured == NANOS_NEVER || modelled <= 0)
		return;
	line->least = line->n > 0 ? fmin(line->least, x) : x;
	line->most = fmax(line->most, x);
	line->n++;
	line->x += x;
	line->y += y;
	line->xx += x * x;
	line->xy += x * y;
}

/* Its slope by least squares, 1 where the times are too much alike to tell. */
static double line_slope(const struct line *line)
{
	double below = line->n * line->xx - line->x * line->x, slope;

	if (line->n < 2 || line->most < 2 * line->least ||
	    line->most - line->least < (double)SLOPE_SPAN || !(below > 0))
		return 1;
	slope = round((line->n * line->xy - line->x * line->y) / below * 1e3) / 1e3;
	return slope >= SLOPE_MIN && slope <= SLOPE_MAX ? slope : 1;
}

static bool is_restore(size_t residual)
{
	return residual >= RESIDUAL_RESTORE_MODEL && residual <= RESIDUAL_RESTORE_IO;
}

/* Mean over the drills that have it. */
static nanos mean_modelled(const struct drill *drills, size_t count, size_t residual)
{
	double sum = 0, n = 0;

	for (size_t i = 0; i < count; i++) {
		if (drills[i].modelled.took[residual] == NANOS_NEVER)
			continue;
		sum += (double)drills[i].modelled.took[residual];
		n++;
	}
	return n > 0 ? (nanos)llround(sum / n) : 0;
}

static void fit_rates(const struct drill *drills, size_t count, struct calibration *c)
{
	struct line restores = {0}, backups = {0};

	for (size_t i = 0; i < count; i++) {
		const struct observation *a = &drills[i].modelled, *b = &drills[i].measured;

		for (size_t k = RESIDUAL_RESTORE_MODEL; k <= RESIDUAL_RESTORE_IO; k++)
			line_add(&restores, a->took[k], b->took[k]);
		for (size_t k = 0; k < a->backup_count && k < b->backup_count; k++)
			line_add(&backups, a->backups[k], b->backups[k]);
	}
	c->restore_time = line_slope(&restores);
	c->backup_time = line_slope(&backups);
	for (int k = 0; k < DATA_CLASSES; k++)
		c->restore_modelled[k] =
			mean_modelled(drills, count, RESIDUAL_RESTORE_MODEL + (size_t)k);
	c->backup_modelled = mean_modelled(drills, count, RESIDUAL_BACKUP);
}

/* ---- residuals ---- */

/* Measured less modelled; a time that the model does not have at all counts from 0. */
static bool residual_of(const struct drill *drill, const struct calibration *c, size_t which,
			nanos *ret)
{
	nanos measured = drill->measured.took[which], modelled = drill->modelled.took[which];
	double times = is_restore(which)          ? c->restore_time
		       : which == RESIDUAL_BACKUP ? c->backup_time
						  : 1;

	*ret = 0;
	if (measured == NANOS_NEVER || modelled == NANOS_NEVER)
		return false;
	*ret = measured - (nanos)llround(times * (double)modelled);
	return true;
}

static nanos missing_frt(const struct drill *drill, const struct calibration *all,
			 const struct calibration_row *row, struct arena *arena)
{
	struct calibration one = *all;
	struct observation corrected;
	struct error why = {0};

	one.rows = row;
	one.count = 1;
	if (simulate(drill, &one, NULL, &corrected, arena, &why))
		return NANOS_NEVER;
	return drill->measured.frt - corrected.frt;
}

static nanos size_of(nanos value)
{
	return value < 0 ? -value : value;
}

/*
 * Phases overlap, and some marks wait for others: what the rows leave open of FRT goes where it
 * changes something, last things first. Returns what is missing in the end.
 */
static nanos correct(const struct drill *drill, const struct calibration *all,
		     struct calibration_row *row, struct arena *arena)
{
	static const enum residual places[] = {RESIDUAL_READINESS, RESIDUAL_START, RESIDUAL_SWITCH,
					       RESIDUAL_DETECTION};
	nanos missing = missing_frt(drill, all, row, arena);

	for (int round = 0; round < CORRECTIONS_MAX; round++) {
		for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
			struct calibration_row tried = *row;
			nanos left;

			if (missing == NANOS_NEVER || size_of(missing) <= NOTHING)
				return missing;
			tried.by[places[i]] += missing;
			left = missing_frt(drill, all, &tried, arena);
			if (left == NANOS_NEVER || size_of(left) > size_of(missing) / 2)
				continue;
			*row = tried;
			missing = left;
		}
	}
	return missing;
}

static int fit(struct drill *drills, size_t count, struct arena *arena, struct calibration *c,
	       struct error *e)
{
	struct calibration_row *rows = arena_array(arena, count, sizeof(*rows));
	struct calibration_source *sources = arena_array(arena, count, sizeof(*sources));
	bool *gaps = arena_array(arena, count * RESIDUALS, sizeof(*gaps));

	fit_rates(drills, count, c);
	for (size_t i = 0; i < count; i++) {
		struct arena trial = {0};
		nanos missing;

		for (size_t k = 0; k < RESIDUALS; k++)
			gaps[i * RESIDUALS + k] = !residual_of(&drills[i], c, k, &rows[i].by[k]);
		missing = correct(&drills[i], c, &rows[i], &trial);
		arena_free(&trial);
		if (missing == NANOS_NEVER)
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
					 "%s: the corrected simulator does not recover",
					 drills[i].folder);
		for (size_t k = 0; k < RESIDUALS; k++)
			if (rows[i].by[k] != 0)
				gaps[i * RESIDUALS + k] = false;
		sources[i] = (struct calibration_source){
			.id = drills[i].id,
			.sha256 = drills[i].sha256,
			.frt = drills[i].measured.frt,
			.modelled = drills[i].modelled.frt,
			.missing = missing,
		};
	}
	c->sources = sources;
	c->gaps = gaps;
	c->count = count;
	calibration_complete(c, rows);
	return 0;
}

int calibrate(const char *const *folders, size_t count, bool allow_simulated, struct arena *arena,
	      struct calibrate_result *ret, struct error *e)
{
	struct drill *drills = arena_array(arena, count, sizeof(*drills));
	struct observation *measured = arena_array(arena, count, sizeof(*measured));
	struct observation *modelled = arena_array(arena, count, sizeof(*modelled));
	struct calibration *c = arena_alloc(arena, sizeof(*c));

	assert(count > 0);
	if (count > CALIBRATION_RUNS_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "%d runs at most, not %zu",
				 CALIBRATION_RUNS_MAX, count);
	for (size_t i = 0; i < count; i++) {
		drills[i].folder = folders[i];
		if (load_drill(&drills[i], allow_simulated, arena, e))
			return -1;
	}
	qsort(drills, count, sizeof(*drills), by_id);
	if (check_together(drills, count, arena, e))
		return -1;
	for (size_t i = 0; i < count; i++)
		if (model(&drills[i], arena, e))
			return -1;
	c->scenario = drills[0].name;
	c->scale = drills[0].scale;
	if (fit(drills, count, arena, c, e))
		return -1;
	for (size_t i = 0; i < count; i++) {
		measured[i] = drills[i].measured;
		modelled[i] = drills[i].modelled;
	}
	*ret = (struct calibrate_result){c, measured, modelled};
	return 0;
}
