/* SPDX-License-Identifier: Apache-2.0 */
/* Nights over time as one JSON document, drsim/trend/v1. */
#include <cjson/cJSON.h>
#include <math.h>

#include "reports/trend.h"

/* What is not finite is null. */
static void put(cJSON *object, const char *key, double value)
{
	if (isfinite(value))
		cJSON_AddNumberToObject(object, key, value);
	else
		cJSON_AddNullToObject(object, key);
}

static cJSON *append(cJSON *list)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddItemToArray(list, object);
	return object;
}

/* Before, after and the interval: in seconds; the interval of the ratio after / before where
 * logarithms were judged, else of the difference. */
static cJSON *put_change(cJSON *list, const struct trend_group *group,
			 const struct trend_series *series, const struct change *change)
{
	cJSON *object = append(list);
	double size = change->after - change->before;

	cJSON_AddNumberToObject(object, "night", (double)trend_night(series, change->at));
	cJSON_AddStringToObject(object, "started",
				group->nights[series->nights[change->at]]->started);
	put(object, "before", trend_level(series, change->before));
	put(object, "after", trend_level(series, change->after));
	put(object, "change", series->logs ? expm1(size) : size);
	put(object, "change_low", series->logs ? expm1(change->low) : change->low);
	put(object, "change_high", series->logs ? expm1(change->high) : change->high);
	put(object, "p", change->p);
	return object;
}

static void put_chart(cJSON *object, const struct trend_series *series)
{
	cJSON *chart = cJSON_AddObjectToObject(object, "control_chart");

	put(chart, "mean", trend_level(series, series->chart.mean));
	put(chart, "low", trend_level(series, series->chart.low));
	put(chart, "high", trend_level(series, series->chart.high));
	cJSON_AddNumberToObject(chart, "outside", (double)series->chart.outside);
}

static void put_series(cJSON *list, const struct trend_group *group,
		       const struct trend_series *series, struct arena *arena)
{
	cJSON *object = append(list), *items;

	cJSON_AddStringToObject(object, "metric", trend_metric_names[series->metric]);
	cJSON_AddStringToObject(object, "unit", "s");
	cJSON_AddStringToObject(object, "change_unit", series->logs ? "ratio" : "s");
	cJSON_AddNumberToObject(object, "nights", (double)series->series.n);
	cJSON_AddStringToObject(object, "state", trend_state_names[series->state]);
	cJSON_AddStringToObject(object, "text", trend_sentence(group, series, arena));
	put(object, "level", trend_now(series));
	items = cJSON_AddArrayToObject(object, "found");
	for (size_t i = 0; i < series->found_count; i++)
		cJSON_AddNumberToObject(put_change(items, group, series, &series->found[i]),
					"found",
					(double)trend_night(series, series->found[i].found));
	items = cJSON_AddArrayToObject(object, "looking_back");
	for (size_t i = 0; i < series->point_count; i++)
		put_change(items, group, series, &series->points[i]);
	if (series->series.n >= 2 && series->series.n < CHANGE_CHART_NIGHTS)
		put_chart(object, series);
}

static void put_nights(cJSON *object, const struct trend_group *group)
{
	cJSON *list = cJSON_AddArrayToObject(object, "drills");

	for (size_t i = 0; i < group->count; i++) {
		const struct history_drill *drill = group->nights[i];
		cJSON *night = append(list);

		cJSON_AddNumberToObject(night, "night", (double)(i + 1));
		cJSON_AddStringToObject(night, "id", drill->id);
		cJSON_AddStringToObject(night, "started", drill->started);
		cJSON_AddStringToObject(night, "verdict", drill->verdict);
		cJSON_AddStringToObject(night, "version", drill->version);
		cJSON_AddStringToObject(night, "scenario_sha256", drill->scenario);
		put(night, "frt_s", drill->frt_s);
		put(night, "brp_s", drill->brp_s);
		put(night, "brt_s", drill->brt_s);
		put(night, "availability", drill->availability);
	}
}

static void put_group(cJSON *list, const struct trend_group *group, struct arena *arena)
{
	cJSON *object = append(list), *left_out, *series;

	cJSON_AddStringToObject(object, "name", group->name);
	cJSON_AddStringToObject(object, "kind", group->kind);
	cJSON_AddStringToObject(object, "driver", group->driver);
	cJSON_AddStringToObject(object, "variant", group->variant);
	cJSON_AddNumberToObject(object, "nights", (double)group->count);
	left_out = cJSON_AddObjectToObject(object, "left_out");
	cJSON_AddNumberToObject(left_out, "sham", (double)group->shams);
	cJSON_AddNumberToObject(left_out, "invalid", (double)group->invalid);
	cJSON_AddNumberToObject(left_out, "aborted", (double)group->aborted);
	cJSON_AddNumberToObject(left_out, "older", (double)group->older);
	cJSON_AddBoolToObject(object, "same_seed", group->same_seed);
	cJSON_AddNumberToObject(object, "unrecovered", (double)group->unrecovered);
	cJSON_AddStringToObject(object, "unrecovered_state", trend_state_names[group->share_state]);
	series = cJSON_AddArrayToObject(object, "series");
	for (size_t i = 0; i < group->series_count; i++)
		put_series(series, group, &group->series[i], arena);
	put_nights(object, group);
}

cJSON *trend_json(const struct trend *trend, struct arena *arena)
{
	cJSON *document = cJSON_CreateObject(), *groups;
	size_t judged, worse = trend_worse(trend, &judged);

	cJSON_AddStringToObject(document, "schema", "drsim/trend/v1");
	cJSON_AddStringToObject(document, "history", trend->options.path);
	cJSON_AddNumberToObject(document, "worse", (double)worse);
	groups = cJSON_AddArrayToObject(document, "groups");
	for (size_t i = 0; i < trend->count; i++)
		put_group(groups, &trend->groups[i], arena);
	return document;
}
