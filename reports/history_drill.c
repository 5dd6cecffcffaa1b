/* SPDX-License-Identifier: Apache-2.0 */
/* The line of the history that a drill becomes: from its record in memory, or from record.json. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/report.h"
#include "core/words.h"
#include "reports/history.h"
#include "reports/view.h"

#ifndef DRSIM_VERSION
#define DRSIM_VERSION "unknown"
#endif

/* Drills of one name that are not alike: "median of trials, time scale 1:20, bytes 1:100000". */
static const char *variant(struct arena *arena, bool trials, bool profile, double time_scale,
			   double bytes_scale)
{
	const char *text = trials ? "median of trials" : "";
	char scale[WORDS_MAX];

	if (time_scale != 1 || bytes_scale != 1)
		text = arena_printf(arena, "%s%s%s", text, *text ? ", " : "",
				    words_scale(scale, time_scale, bytes_scale));
	if (profile)
		text = arena_printf(arena, "%s%s%s", text, *text ? ", " : "", "calibrated");
	return text;
}

/* What the database will be asked for again must be in it as it is. */
static int check(const struct history_drill *drill, struct error *e)
{
	const char *const texts[] = {drill->id,      drill->started, drill->name,
				     drill->kind,    drill->driver,  drill->variant,
				     drill->verdict, drill->version, drill->scenario,
				     drill->host,    drill->seed};

	if (!drill->id || !*drill->id || !drill->started || !history_is_time(drill->started))
		return error_set(e, ERROR_IO, NO_PLACE,
				 "the record of '%s' has no id or no time: it has no place in a "
				 "history",
				 drill->name);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (texts[i] && strlen(texts[i]) > HISTORY_TEXT_MAX)
			return error_set(e, ERROR_LIMIT, NO_PLACE,
					 "a text of the record is too long for the history: "
					 "'%.40s...' has more than %d bytes",
					 texts[i], HISTORY_TEXT_MAX);
		for (const char *c = texts[i]; c && *c;) {
			size_t length = utf8_length((const unsigned char *)c);

			if (length == 0 || (unsigned char)*c < 0x20)
				return error_set(e, ERROR_IO, NO_PLACE,
						 "a text of the record has characters that a "
						 "history does not take");
			c += length;
		}
	}
	return 0;
}

/* A measure that a history can hold. */
static double measure(double value)
{
	return value >= 0 && value <= HISTORY_VALUE_MAX ? value : (double)NAN;
}

/* ---- from the record in memory ---- */

static double seconds(nanos value)
{
	return value == NANOS_NEVER ? (double)NAN : (double)value / 1e9;
}

static void measure_record(const struct record *record, struct history_drill *ret)
{
	const struct campaign *campaign = record->campaign;
	const struct incident *incident =
		record->headline < 0 ? NULL : &record->incidents[record->headline];

	if (campaign) {
		ret->frt_s = campaign->measures[MEASURE_FRT].p50;
		ret->brt_s = campaign->measures[MEASURE_BRT].p50;
		ret->brp_s = campaign->measures[MEASURE_BRP_SECONDS].p50;
		ret->availability = campaign->measures[MEASURE_AVAILABILITY].p50;
		ret->recovered = isfinite(ret->frt_s) ? 1 : campaign->censored > 0 ? 0 : -1;
		return;
	}
	ret->frt_s = incident ? seconds(incident->frt) : (double)NAN;
	ret->brt_s = incident ? seconds(incident->brt) : (double)NAN;
	ret->brp_s = record->brp.known ? record->brp.seconds : (double)NAN;
	ret->availability = record->availability_time;
	ret->recovered = !incident ? -1 : incident->path != PATH_UNRECOVERED;
}

int history_write(const struct record *record, const char *path, struct arena *arena,
		  struct error *e)
{
	const struct scenario *scenario = record->scenario;
	struct history_drill drill = {
		.id = record->id,
		.started = record->started,
		.name = scenario->name,
		.kind = record->kind,
		.driver = record->driver,
		.verdict = verdict_names[record->verdict],
		.version = DRSIM_VERSION,
		.scenario = scenario->sha256,
		.host = record->host,
		.seed = arena_printf(arena, "%" PRIu64, record->seed),
		.sham = record->sham,
	};
	size_t added;

	drill.variant = variant(arena, record->campaign != NULL, record->profile != NULL,
				scenario->scale.time_scale, scenario->scale.bytes_scale);
	measure_record(record, &drill);
	drill.frt_s = measure(drill.frt_s);
	drill.brt_s = measure(drill.brt_s);
	drill.brp_s = measure(drill.brp_s);
	drill.availability = measure(drill.availability);
	if (check(&drill, e))
		return -1;
	return history_add(path, &drill, 1, arena, &added, e);
}

/* ---- from record.json ---- */

static double median_or(const cJSON *record, const char *median, const char *single)
{
	return measure(view_real(record, view_get(record, "campaign") ? median : single));
}

static int recovered(const cJSON *record, double frt_s)
{
	const cJSON *incident = view_headline(record);

	if (view_get(record, "campaign"))
		return isfinite(frt_s) ? 1 : view_real(record, "campaign.censored") > 0 ? 0 : -1;
	return !incident ? -1 : !view_is(incident, "path", "unrecovered");
}

/* The texts of a record that goes away. */
static void keep(struct history_drill *drill, struct arena *arena)
{
	const char **const texts[] = {
		&drill->id,      &drill->started, &drill->name, &drill->kind, &drill->driver,
		&drill->verdict, &drill->version, &drill->host, &drill->seed, &drill->scenario};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (*texts[i])
			*texts[i] = arena_strdup(arena, *texts[i]);
}

int history_drill_of(const cJSON *record, struct arena *arena, struct history_drill *ret,
		     struct error *e)
{
	double time_scale = view_real(record, "drill.scale.time"),
	       bytes_scale = view_real(record, "drill.scale.bytes");
	struct history_drill drill = {
		.id = view_text(record, "drill.id"),
		.started = view_text(record, "drill.started"),
		.name = view_text_or(record, "drill.name", ""),
		.kind = view_text_or(record, "drill.kind", ""),
		.driver = view_text_or(record, "drill.driver", ""),
		.verdict = view_text_or(record, "verdict", ""),
		.version = view_text_or(record, "drill.version", ""),
		.scenario = view_text_or(record, "drill.scenario_sha256", ""),
		.host = view_text(record, "drill.host"),
		.seed = view_seed(record),
		.sham = view_bool(record, "drill.sham") > 0,
		.frt_s = median_or(record, "campaign.frt_s.p50", "metrics.frt_s"),
		.brt_s = median_or(record, "campaign.brt_s.p50", "metrics.brt_s"),
		.brp_s = median_or(record, "campaign.brp_seconds.p50", "metrics.brp.seconds"),
		.availability =
			median_or(record, "campaign.availability.p50", "metrics.availability.time"),
	};

	drill.variant = variant(arena, view_get(record, "campaign") != NULL,
				cJSON_IsObject(view_get(record, "drill.profile")),
				isfinite(time_scale) ? time_scale : 1,
				isfinite(bytes_scale) ? bytes_scale : 1);
	drill.recovered = recovered(record, drill.frt_s);
	if (check(&drill, e))
		return -1;
	keep(&drill, arena);
	*ret = drill;
	return 0;
}
