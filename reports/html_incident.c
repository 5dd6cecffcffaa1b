/* SPDX-License-Identifier: Apache-2.0 */
/* The incident with the largest FRT: its picture, its sums and its marks; then all others. */
#include <math.h>
#include <string.h>

#include "reports/html.h"
#include "reports/page.h"
#include "reports/text.h"
#include "reports/view.h"

#define INCIDENTS_SHOWN 50

/* ---- where the time went ---- */

static void term(FILE *page, const char *before, const char *name, double seconds)
{
	fprintf(page, "%s<span class=\"w\">%s ", before, name);
	page_value(page, seconds, "s");
	fputs("</span>", page);
}

static void put_sums(FILE *page, const cJSON *record)
{
	double overlap = view_real(record, "metrics.overlap_s");

	if (isnan(view_real(record, "metrics.brt_s")) || isnan(view_real(record, "metrics.frt_s")))
		return;
	fputs("<p class=\"sum\">", page);
	term(page, "", "<strong>FRT</strong>", view_real(record, "metrics.frt_s"));
	term(page, " = ", "Detection", view_real(record, "metrics.detection_s"));
	term(page, " + ", "Decision", view_real(record, "metrics.decision_s"));
	term(page, " + ", "BRT", view_real(record, "metrics.brt_s"));
	term(page, " + ", "Readiness", view_real(record, "metrics.readiness_s"));
	fputs("<br>\n", page);
	term(page, "", "<strong>BRT</strong>", view_real(record, "metrics.brt_s"));
	term(page, " = ", "Switch", view_real(record, "metrics.switch_s"));
	term(page, " + ", "Data recovery", view_real(record, "metrics.data_recovery_s"));
	if (overlap > 0)
		term(page, " \xe2\x88\x92 ", "Overlap", overlap);
	else if (overlap < 0)
		term(page, " + ", "Waiting between them", -overlap);
	fputs("</p>\n<p class=\"note\">Both sums hold exactly in integer nanoseconds; every mark "
	      "comes from its own event. Recovery, counted from detection, took ",
	      page);
	page_value(page, view_real(record, "metrics.recovery_s"), "s");
	fputs(".</p>\n", page);
}

/* ---- the marks ---- */

static const char *const marks[][2] = {
	{"t_bp_ns",
	 "backup point: the restored data, or a job\xe2\x80\x99s checkpoint, is as of this"},
	{"t_loss_ns",
	 "last acknowledged write that only the lost copy had; of a job the last progress"},
	{"t_fault_ns", "the fault takes effect"},
	{"t_detect_ns", "the detector declares it"},
	{"t_decide_ns", "failover authorised, where there is a place to go"},
	{"t_switch_begin_ns", "first failover action"},
	{"t_switched_ns", "traffic on the backup, old primary fenced"},
	{"t_data_begin_ns", "restore starts"},
	{"t_data_restored_ns", "data usable on the backup"},
	{"t_restored_ns", "service, or a job, is good again for a whole window"},
	{"t_verified_ns", "integrity checked, ledger reconciled"},
	{"t_diagnosed_ns", "cause named"},
	{"t_repaired_ns", "component fixed"},
	{"t_failback_ns", "traffic back on the primary"},
	{"t_normal_ns", "redundancy and latency as before"},
};

/* "+ 3 min 32.4 s" after the fault; nothing where there is no fault to count from. */
static void since_cell(FILE *page, double since)
{
	char text[WORDS_MAX], relative[WORDS_MAX + 4];

	snprintf(relative, sizeof(relative), "%s %s", since < 0 ? "\xe2\x88\x92" : "+",
		 words_duration_exact(text, fabs(since)));
	fputs("<td class=\"n\">", page);
	page_value_as(page, since, "s", relative);
	fputs("</td>", page);
}

static void put_marks(FILE *page, const cJSON *incident)
{
	static const struct page_column columns[] = {{"Mark", false},
						     {"Meaning", false},
						     {"After the fault", true},
						     {"Time of the drill", true}};
	double fault = view_seconds(incident, "t_fault_ns");

	page_table(page, "The marks of this incident", columns, 4);
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		double at = view_seconds(incident, marks[i][0]);
		char name[32];

		snprintf(name, sizeof(name), "%.*s", (int)strlen(marks[i][0]) - 3, marks[i][0]);
		page_row(page);
		page_row_head(page, name);
		page_cell(page, "text", marks[i][1]);
		if (isnan(at)) {
			fputs("<td class=\"n\" colspan=\"2\">not reached</td>", page);
		} else {
			since_cell(page, at - fault);
			page_cell_value(page, at, "s");
		}
		page_row_end(page);
	}
	page_table_end(page);
}

/* ---- what kind of incident ---- */

static void put_fact(FILE *page, const char *name, const char *text)
{
	fprintf(page, "<dt>%s</dt><dd>", name);
	text_escape(page, text);
	fputs("</dd>\n", page);
}

static void put_failback(FILE *page, const cJSON *failback)
{
	if (view_bool(failback, "done") < 0)
		return;
	fprintf(page, "<dt>Failback</dt><dd>%s",
		view_bool(failback, "done") > 0 ? "done" : "not within the drill");
	if (isfinite(view_real(failback, "duration_s"))) {
		fputs(", ", page);
		page_value(page, view_real(failback, "duration_s"), "s");
		fputs(" after the repair", page);
	}
	if (isfinite(view_real(failback, "sustained_s"))) {
		fputs("; the backup system served alone for ", page);
		page_value(page, view_real(failback, "sustained_s"), "s");
	}
	fputs("</dd>\n", page);
}

static void put_facts(FILE *page, const cJSON *record, const cJSON *incident)
{
	int count = cJSON_GetArraySize(view_get(record, "incidents")),
	    faults = cJSON_GetArraySize(view_get(incident, "faults"));
	char text[WORDS_MAX], relapsed[WORDS_MAX];

	fputs("<dl>", page);
	if (count > 1)
		fprintf(page, "<dt>Number</dt><dd>%g of %s, by the longest FRT</dd>\n",
			view_real(record, "metrics.incident") + 1, words_number(text, count));
	put_fact(page, "Path", view_text(incident, "path"));
	fputs("<dt>Fault</dt><dd>", page);
	page_key(page, view_text(incident, "fault"));
	fputs(" on ", page);
	page_key(page, view_text(incident, "target"));
	fputs(" (", page);
	page_key(page, view_text(incident, "place"));
	fputs(")</dd>\n", page);
	if (faults > 1)
		fprintf(page,
			"<dt>Faults</dt><dd>%d; the others came before all was as before</dd>\n",
			faults);
	put_fact(page, "Diagnosis", view_text(incident, "diagnosis"));
	put_fact(page, "Action", view_text(incident, "action"));
	if (view_bool(incident, "undetected") > 0)
		fputs("<dt>Detected</dt><dd><span class=\"bad\">no</span>: no detector declared it "
		      "and the platform did not notice it</dd>\n",
		      page);
	if (view_real(incident, "wrong") > 0)
		fprintf(page,
			"<dt>Wrong answers</dt><dd><span class=\"bad\">%s requests</span> while it "
			"was open</dd>\n",
			words_number(text, view_real(incident, "wrong")));
	if (view_real(incident, "relapses") > 0)
		fprintf(page,
			"<dt>Relapses</dt><dd>bad again %s times after that, %s in all</dd>\n",
			words_number(text, view_real(incident, "relapses")),
			words_duration_exact(relapsed, view_seconds(incident, "relapsed_ns")));
	put_failback(page, view_get(record, "failback"));
	fputs("</dl>\n", page);
}

/* ---- all of them ---- */

static void put_list(FILE *page, const cJSON *incidents)
{
	static const struct page_column columns[] = {
		{"Number", true},   {"Path", false}, {"Fault", false}, {"Target", false},
		{"Fault at", true}, {"FRT", true},   {"BRT", true},    {"BRP", true}};
	struct ranked list;

	ranked_fill(&list, incidents, INCIDENTS_SHOWN, ranked_incident);
	if (list.total < 2)
		return;
	page_table(page, "All incidents of the drill, the longest FRT first", columns,
		   sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < list.count; i++) {
		const cJSON *incident = list.rows[i].item;

		page_row(page);
		fprintf(page, "<th scope=\"row\" class=\"n\">%zu</th>", list.rows[i].index + 1);
		page_cell(page, NULL, view_text(incident, "path"));
		page_cell(page, "key", view_text(incident, "fault"));
		page_cell(page, "key", view_text(incident, "target"));
		page_cell_value(page, view_seconds(incident, "t_fault_ns"), "s");
		page_cell_value(page,
				view_is(incident, "path", "unrecovered")
					? INFINITY
					: view_seconds(incident, "frt_ns"),
				"s");
		page_cell_value(page, view_seconds(incident, "brt_ns"), "s");
		page_cell_value(page, view_real(incident, "brp.seconds"), "s");
		page_row_end(page);
	}
	page_table_end(page);
	html_cut(page, &list, "incidents", "those with the longest FRT");
}

void html_incident(FILE *page, const struct report_input *input)
{
	const cJSON *record = input->record, *incident = view_headline(record);
	char text[128], count[WORDS_MAX];

	page_section(page, "incident",
		     incident ? "The incident with the longest FRT" : "Incidents");
	if (!incident) {
		fputs("<p>No incident was opened in this drill.</p>\n", page);
		page_section_end(page);
		return;
	}
	html_gantt(page, record);
	put_sums(page, record);
	put_facts(page, record, incident);
	put_marks(page, incident);
	snprintf(text, sizeof(text),
		 "The FRT of %.32s incidents over the time of the drill. The table below lists the "
		 "worst of them.",
		 words_number(count, cJSON_GetArraySize(view_get(record, "incidents"))));
	html_plot(page, input, &plot_incidents, text);
	put_list(page, view_get(record, "incidents"));
	page_section_end(page);
}
