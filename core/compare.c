/* SPDX-License-Identifier: Apache-2.0 */
/* What is set side by side: two runs, two scenarios, a prediction and what was measured. */
#include "core/compare.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/campaign.h"
#include "core/difference.h"
#include "core/driver.h"
#include "core/report.h"
#include "core/stats.h"

#define ALPHA 0.05 /* intervals of differences are 95 % intervals */
#define KEY_MAX 64

/* What a run measured: its name, where it stands in metrics, its unit, what a campaign calls it. */
struct measure {
	const char *name, *path, *unit, *campaign;
};
static const struct measure measures[] = {
	{"frt", "frt_s", "s", "frt_s"},
	{"detection", "detection_s", "s", "detection_s"},
	{"decision", "decision_s", "s", "decision_s"},
	{"brt", "brt_s", "s", "brt_s"},
	{"switch", "switch_s", "s", "switch_s"},
	{"data_recovery", "data_recovery_s", "s", "data_recovery_s"},
	{"readiness", "readiness_s", "s", "readiness_s"},
	{"brp.seconds", "brp.seconds", "s", "brp_seconds"},
	{"brp.bytes", "brp.bytes", "bytes", "brp_bytes"},
	{"brp.records", "brp.records", "records", "brp_records"},
	{"availability", "availability.time", "fraction", "availability"},
	{"bad", "bad_s", "s", NULL},
	{"unprotected", "unprotected_s", "s", NULL},
};
#define MEASURE_COUNT (sizeof(measures) / sizeof(measures[0]))
#define PREDICTED_COUNT 7 /* FRT and its phases: the first ones */

/* ---- small helpers ---- */

static const cJSON *get(const cJSON *object, const char *path)
{
	while (object && *path) {
		size_t length = strcspn(path, ".");
		char key[KEY_MAX];

		if (length >= sizeof(key))
			return NULL;
		memcpy(key, path, length);
		key[length] = '\0';
		object = cJSON_GetObjectItemCaseSensitive(object, key);
		path += length + (path[length] == '.');
	}
	return object;
}

static double number(const cJSON *object, const char *path)
{
	const cJSON *item = get(object, path);

	return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

static const char *text(const cJSON *object, const char *path)
{
	const char *value = cJSON_GetStringValue(get(object, path));

	return value ? value : "";
}

/* NAN and INFINITY are null in JSON. */
static void put(cJSON *object, const char *key, double value)
{
	if (isfinite(value))
		cJSON_AddNumberToObject(object, key, value);
	else
		cJSON_AddNullToObject(object, key);
}

static void put_item(cJSON *object, const char *key, const cJSON *item)
{
	if (item)
		cJSON_AddItemToObject(object, key, cJSON_Duplicate(item, 1));
	else
		cJSON_AddNullToObject(object, key);
}

static cJSON *append(cJSON *list)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddItemToArray(list, object);
	return object;
}

static cJSON *begin(const char *mode)
{
	cJSON *document = cJSON_CreateObject();

	cJSON_AddStringToObject(document, "schema", "drsim/compare/v1");
	cJSON_AddStringToObject(document, "mode", mode);
	return document;
}

static void put_differences(cJSON *document, const struct yaml_node *a, const struct yaml_node *b,
			    struct arena *arena)
{
	struct differences *list = arena_alloc(arena, sizeof(*list));
	cJSON *items;

	if (!a || !b)
		return;
	differences_find(a, b, "", arena, list);
	cJSON_AddNumberToObject(document, "scenario_differences", (double)list->count);
	items = cJSON_AddArrayToObject(document, "scenario");
	for (size_t i = 0; i < list->count && i < DIFFERENCES_MAX; i++) {
		cJSON *item = append(items);

		cJSON_AddStringToObject(item, "path", list->items[i].path);
		if (list->items[i].a)
			cJSON_AddStringToObject(item, "a", list->items[i].a);
		else
			cJSON_AddNullToObject(item, "a");
		if (list->items[i].b)
			cJSON_AddStringToObject(item, "b", list->items[i].b);
		else
			cJSON_AddNullToObject(item, "b");
	}
}

/* ---- reading ---- */

int compare_load(const char *folder, struct arena *arena, struct compare_run *ret, struct error *e)
{
	const char *path = arena_printf(arena, "%s/scenario.yaml", folder);
	struct report_input input = {0};
	struct yaml_node *tree = NULL;
	struct error why = {0};
	char *yaml;
	size_t size;

	if (report_load(folder, &input, e))
		return -1;
	ret->folder = folder;
	ret->record = cJSON_Duplicate(input.record, 1);
	report_free(&input);
	if (yaml_read_file(path, YAML_FILE_MAX, arena, &yaml, &size, &why) == 0)
		yaml_parse(path, yaml, size, arena, &tree, &why);
	ret->tree = tree;
	return 0;
}

static void put_run(cJSON *document, const char *key, const struct compare_run *run)
{
	static const char *const keys[] = {"id",      "kind",    "name",  "driver", "seed",
					   "started", "version", "scale", "profile"};
	cJSON *object = cJSON_AddObjectToObject(document, key);
	const cJSON *head = get(run->record, "drill");

	cJSON_AddStringToObject(object, "folder", run->folder);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (get(head, keys[i]))
			put_item(object, keys[i], get(head, keys[i]));
	put_item(object, "verdict", get(run->record, "verdict"));
	if (get(run->record, "campaign"))
		put_item(object, "trials", get(run->record, "campaign.trials"));
}

/* ---- two runs ---- */

static void put_measures(cJSON *document, const cJSON *a, const cJSON *b)
{
	cJSON *list = cJSON_AddArrayToObject(document, "measures");

	for (size_t i = 0; i < MEASURE_COUNT; i++) {
		double x = number(get(a, "metrics"), measures[i].path);
		double y = number(get(b, "metrics"), measures[i].path);
		cJSON *row;

		if (isnan(x) && isnan(y))
			continue;
		row = append(list);
		cJSON_AddStringToObject(row, "name", measures[i].name);
		cJSON_AddStringToObject(row, "unit", measures[i].unit);
		put(row, "a", x);
		put(row, "b", y);
		put(row, "difference", y - x);
	}
}

/* Both are campaigns: their means, with the interval of the difference of two independent ones. */
static void put_campaigns(cJSON *document, const cJSON *a, const cJSON *b)
{
	cJSON *list = cJSON_AddArrayToObject(document, "campaign");
	double z = stats_normal_quantile(1 - ALPHA / 2);

	for (size_t i = 0; i < MEASURE_COUNT; i++) {
		const cJSON *x = measures[i].campaign ? get(a, measures[i].campaign) : NULL;
		const cJSON *y = measures[i].campaign ? get(b, measures[i].campaign) : NULL;
		double difference = number(y, "mean") - number(x, "mean");
		double half = z * hypot(number(x, "stderr"), number(y, "stderr"));
		cJSON *row;

		if (isnan(number(x, "mean")) && isnan(number(y, "mean")))
			continue;
		row = append(list);
		cJSON_AddStringToObject(row, "name", measures[i].name);
		cJSON_AddStringToObject(row, "unit", measures[i].unit);
		put(row, "a", number(x, "mean"));
		put(row, "b", number(y, "mean"));
		put(row, "difference", difference);
		put(row, "low", difference - half);
		put(row, "high", difference + half);
		put(row, "a_p95", number(x, "p95"));
		put(row, "b_p95", number(y, "p95"));
	}
}

static const cJSON *headline(const cJSON *record)
{
	double index = number(record, "metrics.incident");

	return index >= 0 && index < INCIDENTS_MAX
		       ? cJSON_GetArrayItem(get(record, "incidents"), (int)index)
		       : NULL;
}

/* Of the headline incidents, counted from their faults. */
static void put_marks(cJSON *document, const cJSON *a, const cJSON *b)
{
	cJSON *list = cJSON_AddArrayToObject(document, "marks");
	const cJSON *x = headline(a), *y = headline(b);
	char key[KEY_MAX];

	for (size_t i = MARK_DETECT; i < MARKS; i++) {
		double p, q;
		cJSON *row;

		snprintf(key, sizeof(key), "%s_ns", mark_names[i]);
		p = (number(x, key) - number(x, "t_fault_ns")) / 1e9;
		q = (number(y, key) - number(y, "t_fault_ns")) / 1e9;
		if (isnan(p) && isnan(q))
			continue;
		row = append(list);
		cJSON_AddStringToObject(row, "name", mark_names[i]);
		put(row, "a", p);
		put(row, "b", q);
		put(row, "difference", q - p);
	}
}

static const cJSON *named(const cJSON *list, const char *name)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, list)
		if (strcmp(text(item, "name"), name) == 0)
			return item;
	return NULL;
}

static void put_objective(cJSON *list, const char *name, const cJSON *x, const cJSON *y)
{
	cJSON *row = append(list);

	cJSON_AddStringToObject(row, "name", name);
	cJSON_AddStringToObject(row, "unit", text(x ? x : y, "unit"));
	put(row, "limit_a", number(x, "limit"));
	put(row, "limit_b", number(y, "limit"));
	put(row, "a", number(x, "achieved"));
	put(row, "b", number(y, "achieved"));
	put_item(row, "met_a", get(x, "met"));
	put_item(row, "met_b", get(y, "met"));
}

static void put_objectives(cJSON *document, const cJSON *a, const cJSON *b)
{
	cJSON *list = cJSON_AddArrayToObject(document, "objectives");
	const cJSON *left = get(a, "objectives"), *right = get(b, "objectives"), *item;

	cJSON_ArrayForEach (item, left)
		put_objective(list, text(item, "name"), item, named(right, text(item, "name")));
	cJSON_ArrayForEach (item, right)
		if (!named(left, text(item, "name")))
			put_objective(list, text(item, "name"), NULL, item);
}

static void put_fault(cJSON *row, const char *key, const cJSON *fault)
{
	cJSON *object;

	if (!fault) {
		cJSON_AddNullToObject(row, key);
		return;
	}
	object = cJSON_AddObjectToObject(row, key);
	put_item(object, "name", get(fault, "name"));
	put_item(object, "target", get(fault, "target"));
	put_item(object, "effective", get(fault, "effective"));
	put_item(object, "reverted", get(fault, "reverted"));
}

#define FAULTS_SHOWN 32

static void put_faults(cJSON *document, const cJSON *a, const cJSON *b)
{
	cJSON *list = cJSON_AddArrayToObject(document, "faults");
	const cJSON *x = get(get(a, "faults"), ""), *y = get(get(b, "faults"), "");

	x = x ? x->child : NULL;
	y = y ? y->child : NULL;
	for (int i = 0; (x || y) && i < FAULTS_SHOWN; i++) {
		cJSON *row = append(list);

		put_fault(row, "a", x);
		put_fault(row, "b", y);
		x = x ? x->next : NULL;
		y = y ? y->next : NULL;
	}
}

cJSON *compare_runs(const struct compare_run *a, const struct compare_run *b, struct arena *arena)
{
	cJSON *document = begin("runs");
	const cJSON *x = headline(a->record), *y = headline(b->record);

	put_run(document, "a", a);
	put_run(document, "b", b);
	put_item(document, "path_a", get(x, "path"));
	put_item(document, "path_b", get(y, "path"));
	put_measures(document, a->record, b->record);
	if (get(a->record, "campaign") && get(b->record, "campaign"))
		put_campaigns(document, get(a->record, "campaign"), get(b->record, "campaign"));
	put_marks(document, a->record, b->record);
	put_objectives(document, a->record, b->record);
	put_faults(document, a->record, b->record);
	put_differences(document, a->tree, b->tree, arena);
	return document;
}

/* ---- a prediction ---- */

static void predict(cJSON *list, const struct measure *measure, const cJSON *campaign,
		    const struct compare_run *measured, size_t count, struct arena *arena)
{
	const cJSON *summary = get(campaign, measure->campaign);
	double low = number(summary, "p05"), high = number(summary, "p95"), spread = NAN;
	double *sorted = arena_array(arena, count, sizeof(*sorted));
	size_t n = 0, inside = 0;
	cJSON *row = append(list), *values;

	cJSON_AddStringToObject(row, "name", measure->name);
	cJSON_AddStringToObject(row, "unit", measure->unit);
	put(row, "mean", number(summary, "mean"));
	put(row, "low", low);
	put(row, "high", high);
	values = cJSON_AddArrayToObject(row, "measured");
	for (size_t i = 0; i < count; i++) {
		double value = number(get(measured[i].record, "metrics"), measure->path);
		bool in = value >= low && value <= high;
		cJSON *item = append(values);

		put(item, "value", value);
		if (isnan(value) || isnan(low) || isnan(high))
			cJSON_AddNullToObject(item, "inside");
		else
			cJSON_AddBoolToObject(item, "inside", in);
		if (isnan(value))
			continue;
		sorted[n++] = value;
		inside += in;
	}
	stats_sort(sorted, n);
	if (n > 1)
		spread = stats_quantile(sorted, n, 0.95) - stats_quantile(sorted, n, 0.05);
	cJSON_AddNumberToObject(row, "n", (double)n);
	cJSON_AddNumberToObject(row, "inside", (double)inside);
	put(row, "width", high - low);
	put(row, "spread", spread);
	put(row, "ratio", spread > 0 ? (high - low) / spread : (double)NAN);
}

static bool same_scale(const cJSON *a, const cJSON *b)
{
	return cJSON_Compare(get(a, "drill.scale"), get(b, "drill.scale"), 1) ||
	       (!get(a, "drill.scale") && !get(b, "drill.scale"));
}

cJSON *compare_prediction(const struct compare_run *prediction, const struct compare_run *measured,
			  size_t count, struct arena *arena)
{
	cJSON *document = begin("prediction"), *list;
	bool same = true;

	assert(count > 0);
	put_run(document, "prediction", prediction);
	list = cJSON_AddArrayToObject(document, "runs");
	for (size_t i = 0; i < count; i++) {
		cJSON *holder = cJSON_CreateObject();

		put_run(holder, "run", &measured[i]);
		cJSON_AddItemToArray(list, cJSON_DetachItemFromObject(holder, "run"));
		cJSON_Delete(holder);
		same = same && same_scale(prediction->record, measured[i].record);
	}
	cJSON_AddBoolToObject(document, "same_scale", same);
	list = cJSON_AddArrayToObject(document, "measures");
	for (size_t i = 0; i < PREDICTED_COUNT; i++)
		predict(list, &measures[i], get(prediction->record, "campaign"), measured, count,
			arena);
	put_differences(document, prediction->tree, measured[0].tree, arena);
	return document;
}

/* ---- two scenarios ---- */

static int run_scenario(const struct scenario *scenario, uint64_t seed, uint64_t trials,
			struct arena *arena, struct record *record, struct error *e)
{
	struct run_options options = {.driver = driver_find("sim"), .seed = seed, .keep = trials};
	struct timeline *timeline = arena_alloc(arena, sizeof(*timeline));
	struct run *run;
	int rc;

	*record = (struct record){.scenario = scenario,
				  .driver = options.driver->name,
				  .kind = options.driver->kind,
				  .seed = seed,
				  .headline = -1};
	if (run_new(scenario, &options, &run, e))
		return -1;
	rc = timeline_open(timeline, NULL, e) || run_trial(run, 0, timeline, record, e);
	if (rc == 0 && trials > 1)
		rc = campaign_run(scenario, &options, trials, record, arena, e);
	if (rc == 0 && trials == 1) {
		struct campaign *campaign = arena_alloc(arena, sizeof(*campaign));
		double *values = arena_array(arena, MEASURES, sizeof(*values));

		/* One trial is a campaign of one here. */
		record_measures(record, values);
		campaign->trials = campaign->first_count = 1;
		for (size_t i = 0; i < MEASURES; i++)
			campaign->first[i] = &values[i];
		record->campaign = campaign;
	}
	run_free(run);
	return rc ? -1 : 0;
}

static void put_paired(cJSON *document, const struct campaign *a, const struct campaign *b)
{
	cJSON *list = cJSON_AddArrayToObject(document, "measures");
	uint64_t trials = a->first_count < b->first_count ? a->first_count : b->first_count;

	for (size_t m = 0; m < MEASURES; m++) {
		/* b - a: what the second one has more of. */
		struct stats_paired paired =
			stats_paired_of(b->first[m], a->first[m], trials, ALPHA);
		uint64_t stuck[2] = {0};
		cJSON *row = append(list);

		for (uint64_t i = 0; i < trials; i++) {
			stuck[0] += isinf(a->first[m][i]) != 0;
			stuck[1] += isinf(b->first[m][i]) != 0;
		}
		cJSON_AddStringToObject(row, "name", measure_names[m]);
		cJSON_AddNumberToObject(row, "pairs", (double)paired.n);
		put(row, "a", paired.before - paired.mean);
		put(row, "b", paired.before);
		put(row, "difference", paired.mean);
		put(row, "low", paired.low);
		put(row, "high", paired.high);
		cJSON_AddNumberToObject(row, "not_reached_a", (double)stuck[0]);
		cJSON_AddNumberToObject(row, "not_reached_b", (double)stuck[1]);
	}
}

static void put_scenario(cJSON *document, const char *key, const struct record *record)
{
	cJSON *object = cJSON_AddObjectToObject(document, key), *met;
	const struct scenario *scenario = record->scenario;

	cJSON_AddStringToObject(object, "path", scenario->path);
	cJSON_AddStringToObject(object, "name", scenario->name);
	cJSON_AddStringToObject(object, "sha256", scenario->sha256);
	cJSON_AddStringToObject(object, "verdict", verdict_names[record->verdict]);
	met = cJSON_AddObjectToObject(object, "objective_met");
	for (size_t i = 0; i < record->objective_count; i++) {
		const struct objective_result *result = &record->objectives[i];

		if (result->met == TRISTATE_NULL)
			cJSON_AddNullToObject(met, result->name);
		else
			cJSON_AddBoolToObject(met, result->name, result->met == TRISTATE_TRUE);
	}
}

int compare_scenarios(const struct scenario *a, const struct scenario *b, uint64_t seed,
		      uint64_t trials, struct arena *arena, cJSON **ret, struct error *e)
{
	const struct scenario *sides[2] = {a, b};
	struct yaml_node *trees[2] = {NULL, NULL};
	struct record *records = arena_array(arena, 2, sizeof(*records));
	cJSON *document;

	assert(trials >= 1 && trials <= COMPARE_TRIALS_MAX);
	for (int i = 0; i < 2; i++) {
		/* The record's own strings end with its run: only what the arena holds is read. */
		if (run_scenario(sides[i], seed, trials, arena, &records[i], e) ||
		    yaml_parse(sides[i]->path, sides[i]->text, sides[i]->text_size, arena,
			       &trees[i], e))
			return -1;
	}
	document = begin("scenarios");
	put_scenario(document, "a", &records[0]);
	put_scenario(document, "b", &records[1]);
	cJSON_AddItemToObject(
		document, "seed",
		cJSON_CreateRaw(arena_printf(arena, "%llu", (unsigned long long)seed)));
	cJSON_AddNumberToObject(document, "trials", (double)trials);
	put_paired(document, records[0].campaign, records[1].campaign);
	put_differences(document, trees[0], trees[1], arena);
	*ret = document;
	return 0;
}
