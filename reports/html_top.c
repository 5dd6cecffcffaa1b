/* SPDX-License-Identifier: Apache-2.0 */
/* The first screen of report.html: the verdict, what broke, what was lost, and the measures against
 * their limits. */
#include <math.h>
#include <string.h>

#include "reports/html.h"
#include "reports/page.h"
#include "reports/text.h"
#include "reports/view.h"

/* " node.crash", with how many there were when it was not the only incident. */
static void put_worst(FILE *page, const cJSON *record, const cJSON *incident, const char *after)
{
	int count = cJSON_GetArraySize(view_get(record, "incidents"));
	char text[WORDS_MAX];

	fputc(' ', page);
	text_escape(page, view_text(incident, "fault"));
	if (count > 1)
		fprintf(page, ", the worst of %s incidents%s", words_number(text, count), after);
}

static void put_sentence(FILE *page, const cJSON *record)
{
	const cJSON *incident = view_headline(record),
		    *frt_objective = html_objective(record, "frt");
	double frt = view_real(record, "metrics.frt_s");
	char text[WORDS_MAX];

	fprintf(page, "<h1>%s drill: ",
		view_is(record, "drill.kind", "injected") ? "Injected" : "Simulated");
	if (view_is(record, "verdict", "invalid") || view_is(record, "verdict", "aborted")) {
		fputs(view_is(record, "verdict", "invalid") ? "nothing was proven; "
							    : "stopped before its end; ",
		      page);
		text_escape(page, view_text_or(record, "reason", "no reason is recorded"));
	} else if (view_get(record, "campaign") && isfinite(view_real(frt_objective, "achieved"))) {
		text_escape(page, view_text(record, "drill.name"));
		fprintf(page, " over %s trials, FRT ",
			words_number(text, view_real(record, "campaign.trials")));
		fprintf(page, "<span class=\"w\">%s</span> at p%g",
			words_duration(text, view_real(frt_objective, "achieved")),
			view_real(frt_objective, "quantile") * 100);
	} else if (!incident) {
		text_escape(page, view_text(record, "drill.name"));
		fputs(", no incident was opened", page);
	} else if (view_is(incident, "path", "false_alarm")) {
		fputs("a false alarm, there was no fault", page);
	} else if (isnan(frt)) {
		text_escape(page, view_text(record, "drill.name"));
		fputs(" did not recover from", page);
		put_worst(page, record, incident, "");
	} else if (view_is(incident, "path", "absorbed") && frt == 0) {
		text_escape(page, view_text(record, "drill.name"));
		fputs(" carried", page);
		put_worst(page, record, incident, ",");
		fputs(" without a bad request", page);
	} else {
		text_escape(page, view_text(record, "drill.name"));
		fputs(" recovered from", page);
		put_worst(page, record, incident, ",");
		fprintf(page, " in <span class=\"w\">%s</span>", words_duration(text, frt));
	}
	fputs(".</h1>\n", page);
}

/* ---- what broke, what was lost ---- */

static const char *path_words(const cJSON *incident)
{
	if (view_is(incident, "path", "failover"))
		return "the backup took over";
	if (view_is(incident, "path", "in_place"))
		return "it was repaired or started again where it was";
	if (view_is(incident, "path", "absorbed"))
		return "redundancy carried it";
	return "it was not over at the end of the drill";
}

static void put_broken(FILE *page, const cJSON *record)
{
	const cJSON *incident = view_headline(record);
	double detection = view_seconds(incident, "detection_ns");
	char text[WORDS_MAX];

	fputs("<p><strong>What broke:</strong> ", page);
	if (!incident || isnan(view_real(incident, "t_fault_ns"))) {
		fputs(view_bool(record, "drill.sham") > 0
			      ? "nothing, on purpose: a sham drill checks that the detector stays "
				"silent.</p>\n"
			      : "nothing that opened an incident.</p>\n",
		      page);
		return;
	}
	page_key(page, view_text(incident, "fault"));
	fputs(" on ", page);
	page_key(page, view_text(incident, "target"));
	fprintf(page, ", %s into the drill; ",
		words_duration(text, view_seconds(incident, "t_fault_ns")));
	if (view_bool(incident, "undetected") > 0)
		fputs("nobody noticed it; ", page);
	else if (isfinite(detection))
		fprintf(page, "found after %s; ", words_duration(text, detection));
	fprintf(page, "%s.</p>\n", path_words(incident));
}

/* "io 240 MB in 28,800 records": each class that lost something. */
static void put_classes(FILE *page, const cJSON *brp)
{
	const cJSON *class;
	const char *between = "";
	char text[WORDS_MAX];

	cJSON_ArrayForEach (class, view_get(brp, "by_class")) {
		double bytes = view_real(class, "bytes"), records = view_real(class, "records");

		if (!(bytes > 0 || records > 0))
			continue;
		fprintf(page, "%s", between);
		page_value(page, bytes, "bytes");
		fputs(" of ", page);
		text_escape(page, class->string);
		if (records > 0) {
			fputs(" (", page);
			page_value_as(page, records, "records", words_number(text, records));
			fputs("\xc2\xa0records)", page);
		}
		between = ", ";
	}
}

static void put_lost(FILE *page, const cJSON *record)
{
	const cJSON *brp = view_get(record, "metrics.brp");
	double seconds = view_real(brp, "seconds"), bytes = view_real(brp, "bytes"),
	       records = view_real(brp, "records");
	char text[WORDS_MAX];

	fputs("<p><strong>What was lost:</strong> ", page);
	if (isnan(bytes) && isnan(records)) {
		fputs("not known: at the end nothing could be read, or its content is in "
		      "doubt.</p>\n",
		      page);
	} else if (bytes > 0 || records > 0) {
		put_classes(page, brp);
		if (isfinite(seconds))
			fprintf(page, ", acknowledged up to %s before the loss",
				words_duration(text, seconds));
		fputs(".</p>\n", page);
	} else if (seconds > 0 && view_get(record, "jobs")) {
		fprintf(page, "no data; up to %s of training, done again after a restart.</p>\n",
			words_duration(text, seconds));
	} else {
		fputs("nothing that had been acknowledged.</p>\n", page);
	}
}

/* ---- the cards ---- */

/* One measure, with its limit where there is one. */
struct card {
	const char *objective, *name, *meaning, *unit;
	double value; /* of this run, or of trial 0 */
};

/* Of a lower limit: how much of the gap to all was used. */
static void put_used(FILE *page, double share)
{
	char text[WORDS_MAX];

	if (share > 2)
		fprintf(page, "; %.3g times the allowed loss", share);
	else
		fprintf(page, "; %s of the allowed loss used",
			words_percent(text, round(share * 1000) / 1000));
}

static void put_limit(FILE *page, const cJSON *item, double value)
{
	bool floor = text_is_floor(view_text_or(item, "name", ""));
	double limit = view_real(item, "limit");

	fputs("<span>", page);
	page_met(page, view_bool(item, "met"));
	fprintf(page, " <small>%s ", floor ? "at least" : "at most");
	page_value(page, limit, view_text_or(item, "unit", ""));
	if (isfinite(view_real(item, "quantile")))
		fprintf(page, ", p%g of all trials", view_real(item, "quantile") * 100);
	if (floor && limit < 1 && isfinite(value)) /* which is what the bar shows */
		put_used(page, (1 - value) / (1 - limit));
	fputs("</small></span>\n", page);
}

/* How much of what is allowed was used: of a lower limit, of the gap to all. */
static void put_bar(FILE *page, const cJSON *item, double value)
{
	bool floor = text_is_floor(view_text_or(item, "name", ""));
	double limit = view_real(item, "limit");
	char share[WORDS_MAX], text[WORDS_MAX + 64];

	if (floor) {
		value = 1 - value;
		limit = 1 - limit;
	}
	words_percent(share, value / limit);
	snprintf(text, sizeof(text), isinf(value) ? "beyond the limit" : "%s of %s", share,
		 floor ? "the loss that is allowed" : "the limit");
	page_bar(page, value, limit, view_bool(item, "met"), text);
}

static void put_card(FILE *page, const cJSON *record, const struct card *card)
{
	const cJSON *item = html_objective(record, card->objective);
	double value = card->value;

	/* With trials the objective judges a quantile of all of them, and that is the number beside
	 * it. */
	if (item && isfinite(view_real(item, "quantile")))
		value = view_real(item, "achieved");
	/* What was judged and has no number did not end. */
	if (item && isnan(value) && view_bool(item, "met") == 0)
		value = INFINITY;
	fprintf(page,
		"<li class=\"card\"><span class=\"name\"><strong>%s</strong>%s</span><span "
		"class=\"big\">",
		card->name, card->meaning);
	page_value(page, value, card->unit);
	fputs("</span>\n", page);
	if (item) {
		put_bar(page, item, value);
		put_limit(page, item, value);
	} else {
		fprintf(page, "<small>no objective%s</small>\n",
			view_get(record, "campaign") ? "; of trial 0" : "");
	}
}

/* Bytes and records have a card together with the age, and limits of their own. */
static void put_losses(FILE *page, const cJSON *record)
{
	static const char *const losses[][3] = {
		{"brp.bytes", "metrics.brp.bytes", "bytes"},
		{"brp.records", "metrics.brp.records", "records"},
	};

	for (size_t i = 0; i < sizeof(losses) / sizeof(losses[0]); i++) {
		const cJSON *item = html_objective(record, losses[i][0]);

		if (!item)
			continue;
		fputs("<span><small>", page);
		page_value(page, view_real(item, "achieved"), losses[i][2]);
		fputs("</small> ", page);
		page_met(page, view_bool(item, "met"));
		fputs(" <small>at most ", page);
		page_value(page, view_real(item, "limit"), losses[i][2]);
		fputs("</small></span>\n", page);
	}
}

/* The job that got least out of its time; NULL without one. */
static const cJSON *worst_job(const cJSON *record)
{
	const cJSON *job, *worst = NULL;

	cJSON_ArrayForEach (job, view_get(record, "jobs"))
		if (isfinite(view_real(job, "ettr")) &&
		    (!worst || view_real(job, "ettr") < view_real(worst, "ettr")))
			worst = job;
	return worst;
}

static void put_cards(FILE *page, const cJSON *record)
{
	const cJSON *job = worst_job(record);
	double available = view_real(record, "metrics.availability.time");
	const struct card measures[] = {
		{"frt", "FRT", "fault to recovery", "s", view_real(record, "metrics.frt_s")},
		{"brt", "BRT", "switch and restore", "s", view_real(record, "metrics.brt_s")},
		{"brp.seconds", "BRP", "age of the data", "s",
		 view_real(record, "metrics.brp.seconds")},
		{"availability", "Availability", "of the time", "fraction", available},
		{"ettr", "ETTR", "effective training", "fraction", view_real(job, "ettr")},
	};

	fputs("<ul class=\"cards\">\n", page);
	for (size_t i = 0; i < sizeof(measures) / sizeof(measures[0]); i++) {
		const struct card *card = &measures[i];

		/* The three measures always; the others where there is something to tell. */
		if (i > 2 && isnan(card->value) && !html_objective(record, card->objective))
			continue;
		put_card(page, record, card);
		if (strcmp(card->objective, "brp.seconds") == 0)
			put_losses(page, record);
		fputs("</li>\n", page);
	}
	fputs("</ul>\n", page);
}

/* ---- all of it ---- */

static void put_tags(FILE *page, const cJSON *record)
{
	const char *verdict = view_text_or(record, "verdict", "unknown");
	double runs = view_real(record, "drill.profile.runs");
	char upper[16] = "", text[WORDS_MAX];

	for (size_t i = 0; verdict[i] && i + 1 < sizeof(upper); i++)
		upper[i] = (char)(verdict[i] >= 'a' && verdict[i] <= 'z' ? verdict[i] - 'a' + 'A'
									 : verdict[i]);
	fputs("<p>", page);
	page_kind(page, view_text(record, "drill.kind"));
	if (view_bool(record, "drill.sham") > 0)
		page_tag(page, NULL, "SHAM");
	page_tag(page,
		 strcmp(verdict, "passed") == 0                                      ? "good"
		 : strcmp(verdict, "failed") == 0 || strcmp(verdict, "residue") == 0 ? "bad"
										     : "open",
		 upper);
	if (runs > 0) {
		snprintf(text, sizeof(text), "calibrated on %.0f runs", runs);
		page_tag(page, NULL, text);
	}
	fputs("</p>\n", page);
}

static void put_about(FILE *page, const cJSON *record)
{
	char text[WORDS_MAX];

	if (view_text(record, "drill.description")) {
		fputs("<p class=\"about\">", page);
		text_escape(page, view_text(record, "drill.description"));
		fputs("</p>\n", page);
	}
	fputs("<p class=\"note\">", page);
	text_escape(page, view_text(record, "drill.name"));
	fputs(" \xc2\xb7 driver ", page);
	text_escape(page, view_text(record, "drill.driver"));
	fprintf(page, " \xc2\xb7 %s of drill time",
		words_duration_exact(text, view_real(record, "drill.duration_s")));
	if (view_get(record, "drill.scale"))
		fprintf(page, " \xc2\xb7 %s",
			words_scale(text, view_real(record, "drill.scale.time"),
				    view_real(record, "drill.scale.bytes")));
	if (view_text(record, "drill.started")) {
		fputs(" \xc2\xb7 started ", page);
		text_escape(page, view_text(record, "drill.started"));
	}
	fputs("</p>\n", page);
}

void html_top(FILE *page, const cJSON *record)
{
	put_tags(page, record);
	put_sentence(page, record);
	if (view_get(record, "campaign"))
		page_note(page, "What follows here is trial 0; limits that name a quantile are "
				"judged over all trials.");
	put_broken(page, record);
	put_lost(page, record);
	put_cards(page, record);
	put_about(page, record);
}
