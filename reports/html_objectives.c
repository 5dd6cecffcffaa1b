/* SPDX-License-Identifier: Apache-2.0 */
/* What the drill was judged by, and what all trials of a campaign achieved. */
#include <math.h>

#include "reports/html.h"
#include "reports/page.h"
#include "reports/text.h"
#include "reports/view.h"

void html_objectives(FILE *page, const cJSON *record)
{
	static const struct page_column columns[] = {{"Objective", false},
						     {"Result", false},
						     {"Achieved", true},
						     {"Limit", true},
						     {"Judged at", false}};
	const cJSON *objective;

	page_section(page, "objectives", "Objectives");
	if (cJSON_GetArraySize(view_get(record, "objectives")) == 0) {
		fputs("<p>No objectives were given: nothing was judged.</p>\n", page);
		page_section_end(page);
		return;
	}
	page_table(page, "What was asked for and what was achieved", columns,
		   sizeof(columns) / sizeof(columns[0]));
	cJSON_ArrayForEach (objective, view_get(record, "objectives")) {
		const char *unit = view_text_or(objective, "unit", "");
		double quantile = view_real(objective, "quantile"),
		       achieved = view_real(objective, "achieved");
		char value[WORDS_MAX];

		page_row(page);
		page_row_head(page, view_text(objective, "name"));
		page_cell_met(page, view_bool(objective, "met"));
		/* Missed without a number: it had not ended when the drill did. */
		page_cell_value(page,
				isnan(achieved) && view_bool(objective, "met") == 0 ? INFINITY
										    : achieved,
				unit);
		fprintf(page, "<td class=\"n\">at %s ",
			text_is_floor(view_text_or(objective, "name", "")) ? "least" : "most");
		page_value(page, view_real(objective, "limit"), unit);
		fputs("</td>", page);
		if (isfinite(quantile))
			snprintf(value, sizeof(value), "p%g of all trials", quantile * 100);
		else
			snprintf(value, sizeof(value), "this run");
		page_cell(page, "w", value);
		page_row_end(page);
	}
	page_table_end(page);
	page_section_end(page);
}

/* ---- all trials ---- */

static void campaign_row(FILE *page, const char *name, const cJSON *measure, const char *unit)
{
	static const char *const keys[] = {"p05", "p50", "p95", "p99"};
	double error = view_real(measure, "stderr"), high = view_real(measure, "p99_high");

	if (isnan(view_real(measure, "mean")))
		return;
	page_row(page);
	page_row_head(page, name);
	fputs("<td class=\"n\">", page);
	page_value(page, view_real(measure, "mean"), unit);
	if (error > 0) {
		fputs(" \xc2\xb1 ", page);
		page_value(page, 1.96 * error, unit);
	}
	fputs("</td>", page);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		page_cell_value(page, view_real(measure, keys[i]), unit);
	fputs("<td class=\"n\">", page);
	if (isnan(view_real(measure, "p99_low"))) {
		fputs("too few trials", page);
	} else {
		page_value(page, view_real(measure, "p99_low"), unit);
		fputs(" \xe2\x80\xa6 ", page);
		if (isnan(high))
			fputs("no bound", page);
		else
			page_value(page, high, unit);
	}
	fputs("</td><td class=\"n\">", page);
	page_value(page, view_real(measure, "min"), unit);
	fputs(" \xe2\x80\xa6 ", page);
	page_value(page, view_real(measure, "max"), unit);
	fputs("</td>", page);
	page_row_end(page);
}

static void put_measures(FILE *page, const cJSON *campaign)
{
	static const struct page_column columns[] = {{"Measure", false},
						     {"Mean, 95 % interval", true},
						     {"p05", true},
						     {"p50", true},
						     {"p95", true},
						     {"p99", true},
						     {"p99, 95 % interval", true},
						     {"Smallest \xe2\x80\xa6 largest", true}};
	static const char *const rows[][3] = {
		{"FRT", "frt_s", "s"},
		{"Detection", "detection_s", "s"},
		{"Decision", "decision_s", "s"},
		{"BRT", "brt_s", "s"},
		{"Switch", "switch_s", "s"},
		{"Data recovery", "data_recovery_s", "s"},
		{"Readiness", "readiness_s", "s"},
		{"BRP age", "brp_seconds", "s"},
		{"BRP bytes", "brp_bytes", "bytes"},
		{"BRP records", "brp_records", "count"},
		{"Availability", "availability", "fraction"},
	};

	page_table(page, "Distributions over all trials", columns,
		   sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		campaign_row(page, rows[i][0], view_get(campaign, rows[i][1]), rows[i][2]);
	page_table_end(page);
}

static void put_counts(FILE *page, const cJSON *campaign)
{
	const cJSON *item;
	const char *between = "";
	char text[WORDS_MAX];

	fprintf(page, "<p>%s trials, ", words_number(text, view_real(campaign, "trials")));
	fprintf(page, "%s not recovered (censored, counted as above every value)",
		words_number(text, view_real(campaign, "censored")));
	if (view_real(campaign, "invalid") > 0)
		fprintf(page, ", %s without effect",
			words_number(text, view_real(campaign, "invalid")));
	fputs(". Paths: ", page);
	cJSON_ArrayForEach (item, view_get(campaign, "paths")) {
		if (!(item->valuedouble > 0))
			continue;
		fputs(between, page);
		text_escape(page, item->string);
		fprintf(page, " %s", words_number(text, item->valuedouble));
		between = ", ";
	}
	fputs(".</p>\n", page);
	if (!view_get(campaign, "objective_met_fraction.frt") &&
	    cJSON_GetArraySize(view_get(campaign, "objective_met_fraction")) == 0)
		return;
	fputs("<p>Share of trials that met each objective: ", page);
	cJSON_ArrayForEach (item, view_get(campaign, "objective_met_fraction")) {
		text_escape(page, item->string);
		fputc(' ', page);
		page_value(page, cJSON_IsNumber(item) ? item->valuedouble : NAN, "fraction");
		fputs(item->next ? ", " : ".</p>\n", page);
	}
}

void html_campaign(FILE *page, const struct report_input *input)
{
	const cJSON *campaign = view_get(input->record, "campaign");
	char text[320], a[WORDS_MAX], b[WORDS_MAX];

	if (!campaign)
		return;
	page_section(page, "campaign", "All trials");
	put_counts(page, campaign);
	snprintf(
		text, sizeof(text),
		"The share of trials at or below each value. FRT: half of the trials within %.80s, "
		"95 of 100 within %.80s. The table below has the numbers.",
		words_duration(a, view_real(campaign, "frt_s.p50")),
		words_duration(b, view_real(campaign, "frt_s.p95")));
	html_plot(page, input, &plot_ecdf, text);
	put_measures(page, campaign);
	page_note(page,
		  "Intervals of quantiles are distribution-free (order statistics). All other "
		  "sections show trial 0.");
	page_section_end(page);
}
