/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of report.html. Every text from the run goes through text_escape(). */
#include <math.h>
#include <string.h>

#include "reports/html.h"
#include "reports/text.h"
#include "reports/view.h"

#define INCIDENTS_SHOWN 50
#define FAULTS_SHOWN 100
#define CAUSES_SHOWN 100

void html_cell(FILE *page, const char *class, const char *text)
{
	fprintf(page, class ? "<td class=\"%s\">" : "<td>", class);
	text_escape(page, text);
	fputs("</td>", page);
}

static void duration_cell(FILE *page, double seconds)
{
	char text[WORDS_MAX];

	html_cell(page, "n", words_duration_exact(text, seconds));
}

static void met_cell(FILE *page, int met)
{
	html_cell(page,
		  met > 0    ? "good"
		  : met == 0 ? "bad"
			     : "open",
		  met > 0    ? "met"
		  : met == 0 ? "missed"
			     : "not evaluable");
}

void html_objectives(FILE *page, const cJSON *record)
{
	const cJSON *objective;

	if (cJSON_GetArraySize(view_get(record, "objectives")) == 0) {
		fputs("<p class=\"note\">No objectives were given: nothing was judged.</p>\n",
		      page);
		return;
	}
	fputs("<h2>Objectives</h2>\n<table><thead><tr><th>Objective</th><th class=\"n\">Limit</th>"
	      "<th class=\"n\">Achieved</th><th>Judged "
	      "at</th><th>Result</th></tr></thead><tbody>\n",
	      page);
	cJSON_ArrayForEach (objective, view_get(record, "objectives")) {
		const char *unit = view_text_or(objective, "unit", "");
		double quantile = view_real(objective, "quantile");
		char value[WORDS_MAX], limit[WORDS_MAX + 12];

		snprintf(limit, sizeof(limit), "%s %s",
			 text_is_floor(view_text_or(objective, "name", "")) ? "at least"
									    : "at most",
			 text_value(value, view_real(objective, "limit"), unit));
		fputs("<tr>", page);
		html_cell(page, "key", view_text(objective, "name"));
		html_cell(page, "n", limit);
		html_cell(page, "n", text_value(value, view_real(objective, "achieved"), unit));
		if (isfinite(quantile))
			snprintf(value, sizeof(value), "p%g of all trials", quantile * 100);
		else
			snprintf(value, sizeof(value), "this run");
		html_cell(page, NULL, value);
		met_cell(page, view_bool(objective, "met"));
		fputs("</tr>\n", page);
	}
	fputs("</tbody></table>\n", page);
}

static void term(FILE *page, const char *class, const char *name, double seconds, const char *after)
{
	char text[WORDS_MAX];

	fprintf(page, "<span class=\"term %s\"><b>%s</b><i>%s</i></span>%s", class,
		words_duration_exact(text, seconds), name, after);
}

void html_identity(FILE *page, const cJSON *record)
{
	const cJSON *incident = view_headline(record);
	double overlap = view_real(record, "metrics.overlap_s");
	char text[WORDS_MAX];

	if (!incident || isnan(view_real(record, "metrics.brt_s")) ||
	    isnan(view_real(record, "metrics.frt_s")))
		return;
	fputs("<h2>Where the time went</h2>\n<p class=\"sum\">", page);
	term(page, "whole", "FRT", view_real(record, "metrics.frt_s"), " = ");
	term(page, "", "Detection", view_real(record, "metrics.detection_s"), " + ");
	term(page, "", "Decision", view_real(record, "metrics.decision_s"), " + ");
	term(page, "", "BRT", view_real(record, "metrics.brt_s"), " + ");
	term(page, "", "Readiness", view_real(record, "metrics.readiness_s"),
	     "</p>\n<p class=\"sum\">");
	term(page, "whole", "BRT", view_real(record, "metrics.brt_s"), " = ");
	term(page, "", "Switch", view_real(record, "metrics.switch_s"), " + ");
	term(page, "", "Data recovery", view_real(record, "metrics.data_recovery_s"), "");
	if (overlap > 0) {
		fputs(" \xe2\x88\x92 ", page);
		term(page, "", "Overlap", overlap, "");
	} else if (overlap < 0) {
		fputs(" + ", page);
		term(page, "", "Waiting between them", -overlap, "");
	}
	fprintf(page,
		"</p>\n<p class=\"note\">Both sums hold exactly in integer nanoseconds; every mark "
		"comes from its own "
		"event. Recovery, counted from detection, took %s.</p>\n",
		words_duration_exact(text, view_real(record, "metrics.recovery_s")));
}

/* "+ 3 min 32.4 s" after the fault, or the drill's time where there is no fault to count from. */
static void mark_row(FILE *page, const cJSON *incident, const char *key, const char *meaning)
{
	double at = view_seconds(incident, key), fault = view_seconds(incident, "t_fault_ns"),
	       since = at - fault;
	char text[WORDS_MAX], relative[WORDS_MAX + 4];

	if (isnan(at))
		return;
	fputs("<tr>", page);
	fprintf(page, "<td class=\"key\">%.*s</td><td>%s</td>", (int)(strlen(key) - 3), key,
		meaning);
	snprintf(relative, sizeof(relative), "%s %s", since < 0 ? "\xe2\x88\x92" : "+",
		 words_duration_exact(text, fabs(since)));
	html_cell(page, "n", isnan(since) ? WORDS_NONE : relative);
	duration_cell(page, at);
	fputs("</tr>\n", page);
}

static void marks_table(FILE *page, const cJSON *incident)
{
	static const char *const rows[][2] = {
		{"t_bp_ns",
		 "backup point: the restored data, or a job's checkpoint, is as of this"},
		{"t_loss_ns",
		 "last acknowledged write that only the lost copy had; of a job the last progress"},
		{"t_fault_ns", "the fault takes effect"},
		{"t_detect_ns", "the detector declares it"},
		{"t_decide_ns", "failover authorised, where there is a place to go"},
		{"t_switch_begin_ns", "first failover action"},
		{"t_switched_ns", "traffic on the backup, old primary fenced"},
		{"t_data_begin_ns", "restore starts"},
		{"t_data_restored_ns", "data usable on the backup"},
		{"t_restored_ns", "service, or a job, is good again and stays good"},
		{"t_verified_ns", "integrity checked, ledger reconciled"},
		{"t_diagnosed_ns", "cause named"},
		{"t_repaired_ns", "component fixed"},
		{"t_failback_ns", "traffic back on the primary"},
		{"t_normal_ns", "redundancy and latency as before"},
	};

	fputs("<table><thead><tr><th>Mark</th><th>Meaning</th><th class=\"n\">After the fault</th>"
	      "<th class=\"n\">Time of the drill</th></tr></thead><tbody>\n",
	      page);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		mark_row(page, incident, rows[i][0], rows[i][1]);
	fputs("</tbody></table>\n", page);
}

static void incident_list(FILE *page, const cJSON *incidents, int count)
{
	const cJSON *incident;
	int index = 0;

	fprintf(page,
		"<h3>All %d "
		"incidents</h3>\n<table><thead><tr><th>#</th><th>Path</th><th>Fault</"
		"th><th>Target</th>"
		"<th class=\"n\">At</th><th class=\"n\">FRT</th><th class=\"n\">BRT</th><th "
		"class=\"n\">BRP</th>"
		"</tr></thead><tbody>\n",
		count);
	cJSON_ArrayForEach (incident, incidents) {
		if (index == INCIDENTS_SHOWN)
			break;
		fprintf(page, "<tr><td>%d</td>", ++index);
		html_cell(page, NULL, view_text(incident, "path"));
		html_cell(page, "key", view_text(incident, "fault"));
		html_cell(page, "key", view_text(incident, "target"));
		duration_cell(page, view_seconds(incident, "t_fault_ns"));
		duration_cell(page, view_seconds(incident, "frt_ns"));
		duration_cell(page, view_seconds(incident, "brt_ns"));
		duration_cell(page, view_real(incident, "brp.seconds"));
		fputs("</tr>\n", page);
	}
	fputs("</tbody></table>\n", page);
	if (count > INCIDENTS_SHOWN)
		fprintf(page, "<p class=\"note\">The first %d of %d; record.json holds all.</p>\n",
			INCIDENTS_SHOWN, count);
}

void html_incidents(FILE *page, const cJSON *record)
{
	const cJSON *incident = view_headline(record), *incidents = view_get(record, "incidents");
	int count = cJSON_GetArraySize(incidents),
	    faults = cJSON_GetArraySize(view_get(incident, "faults"));
	char text[WORDS_MAX];

	if (!incident) {
		fputs("<h2>Incident</h2>\n<p>No incident was opened in this drill.</p>\n", page);
		return;
	}
	fputs("<h2>Incident with the largest FRT</h2>\n<dl>", page);
	if (count > 1)
		fprintf(page, "<dt>Number</dt><dd>%g of %d</dd>",
			view_real(record, "metrics.incident") + 1, count);
	fputs("<dt>Path</dt><dd>", page);
	text_escape(page, view_text(incident, "path"));
	fputs("</dd><dt>Fault</dt><dd class=\"key\">", page);
	text_escape(page, view_text(incident, "fault"));
	fputs(" on ", page);
	text_escape(page, view_text(incident, "target"));
	fputs(" (", page);
	text_escape(page, view_text(incident, "place"));
	fputs(")</dd>", page);
	if (faults > 1)
		fprintf(page,
			"<dt>Faults</dt><dd>%d; the others came before all was as before</dd>",
			faults);
	fputs("<dt>Diagnosis</dt><dd>", page);
	text_escape(page, view_text(incident, "diagnosis"));
	fputs("</dd><dt>Action</dt><dd>", page);
	text_escape(page, view_text(incident, "action"));
	if (view_bool(incident, "undetected") > 0)
		fputs("</dd><dt>Detected</dt><dd class=\"bad\">no: no detector declared it and the "
		      "platform did not notice it",
		      page);
	if (view_real(incident, "wrong") > 0)
		fprintf(page,
			"</dd><dt>Wrong answers</dt><dd class=\"bad\">"
			"%s requests while it was open",
			words_number(text, view_real(incident, "wrong")));
	fputs("</dd></dl>\n", page);
	marks_table(page, incident);
	if (count > 1)
		incident_list(page, incidents, count);
}

static void brp_row(FILE *page, const char *name, const cJSON *brp, const char *row_class)
{
	char text[WORDS_MAX];

	fprintf(page, "<tr class=\"%s\">", row_class);
	html_cell(page, NULL, name);
	duration_cell(page, view_real(brp, "seconds"));
	html_cell(page, "n", words_bytes(text, view_real(brp, "bytes")));
	html_cell(page, "n", words_number(text, view_real(brp, "records")));
	fputs("</tr>\n", page);
}

void html_brp(FILE *page, const cJSON *record)
{
	const cJSON *brp = view_get(record, "metrics.brp"), *class;
	char text[WORDS_MAX];

	fputs("<h2>Backup recovery point</h2>\n<table><thead><tr><th>Data class</th><th "
	      "class=\"n\">Age</th>"
	      "<th class=\"n\">Bytes lost</th><th class=\"n\">Records "
	      "lost</th></tr></thead><tbody>\n",
	      page);
	cJSON_ArrayForEach (class, view_get(brp, "by_class"))
		brp_row(page, class->string, class, "");
	brp_row(page, "worst class", brp, "total");
	if (isfinite(view_real(brp, "worst_seconds"))) {
		fputs("<tr><td>worst case of the policy, when every backup succeeds</td>", page);
		duration_cell(page, view_real(brp, "worst_seconds"));
		html_cell(page, "n", words_bytes(text, view_real(brp, "worst_bytes")));
		html_cell(page, "n", WORDS_NONE);
		fputs("</tr>\n", page);
	}
	fputs("</tbody></table>\n<p class=\"note\">Age: from the recovery point that was restored "
	      "to the last acknowledged "
	      "write. Lost: acknowledged writes in between that cannot be read after "
	      "recovery.</p>\n",
	      page);
}

static void residue_cell(FILE *page, const cJSON *fault)
{
	const cJSON *residue, *list = view_get(fault, "residue");
	int reverted = view_bool(fault, "reverted");

	if (cJSON_GetArraySize(list) == 0) {
		html_cell(page,
			  reverted > 0    ? "good"
			  : reverted == 0 ? "bad"
					  : "open",
			  reverted > 0    ? "reverted"
			  : reverted == 0 ? "NOT reverted"
					  : "not due");
		return;
	}
	fputs("<td class=\"bad any\">left behind:", page);
	cJSON_ArrayForEach (residue, list) {
		fputs("<br>", page);
		text_escape(page, cJSON_GetStringValue(residue));
	}
	fputs("</td>", page);
}

void html_faults(FILE *page, const cJSON *record)
{
	const cJSON *fault;
	char text[WORDS_MAX];
	int count = 0;

	fputs("<h2>Faults and their "
	      "proof</h2>\n<table><thead><tr><th>Step</th><th>Fault</th><th>Mechanism</th>"
	      "<th>Effect</th><th>Observed</th><th>Reverted</th></tr></thead><tbody>\n",
	      page);
	cJSON_ArrayForEach (fault, view_get(record, "faults")) {
		int effective = view_bool(fault, "effective"),
		    applied = view_bool(fault, "applied");

		if (++count > FAULTS_SHOWN)
			continue;
		fprintf(page, "<tr><td>%.0f</td><td class=\"key\">", view_real(fault, "step"));
		text_escape(page, view_text(fault, "name"));
		fputs("<br>", page);
		text_escape(page, view_text(fault, "target"));
		if (view_text(fault, "cause")) {
			fputs("<br><small>cause: ", page);
			text_escape(page, view_text(fault, "cause"));
			fputs("</small>", page);
		}
		if (view_text(fault, "place")) {
			fputs("<br><small>", page);
			text_escape(page, view_text(fault, "place"));
			fputs("</small>", page);
		}
		fputs("</td><td>", page);
		text_escape(page, view_text(fault, "mechanism"));
		fputs("<br><small>fidelity: ", page);
		text_escape(page, view_text(fault, "fidelity"));
		if (view_get(fault, "after_ns"))
			fprintf(page, "; injected within %s",
				words_duration_exact(text,
						     view_seconds(fault, "after_ns") -
							     view_seconds(fault, "before_ns")));
		fputs("</small></td>", page);
		html_cell(page,
			  effective > 0    ? "good"
			  : effective == 0 ? "bad"
					   : "open",
			  effective > 0    ? "effective"
			  : effective == 0 ? "no effect"
			  : applied > 0    ? "not known"
					   : "not injected");
		html_cell(page, NULL, view_text(fault, "observed"));
		residue_cell(page, fault);
		fputs("</tr>\n", page);
	}
	fputs("</tbody></table>\n", page);
	if (count == 0)
		fputs("<p class=\"note\">The scenario has no fault.</p>\n", page);
	if (count > FAULTS_SHOWN)
		fprintf(page, "<p class=\"note\">The first %d of %d; record.json holds all.</p>\n",
			FAULTS_SHOWN, count);
}

void html_jobs(FILE *page, const cJSON *record)
{
	const cJSON *jobs = view_get(record, "jobs"), *job;
	char text[WORDS_MAX];

	if (!jobs)
		return;
	fputs("<h2>Training jobs</h2>\n<table><thead><tr><th>Job</th><th class=\"n\">ETTR</th><th "
	      "class=\"n\">Goodput</th><th class=\"n\">Training</th><th "
	      "class=\"n\">Interruptions</th><th class=\"n\">Restarts</th><th class=\"n\">Done "
	      "again</th><th class=\"n\">Without training</th><th "
	      "class=\"n\">Checkpoints</th><th class=\"n\">Bad ones</th></tr></thead><tbody>\n",
	      page);
	cJSON_ArrayForEach (job, jobs) {
		static const char *const counts[] = {"checkpoints", "bad_checkpoints"};

		fputs("<tr>", page);
		html_cell(page, "key", view_text(job, "name"));
		html_cell(page, "n", words_percent(text, view_real(job, "ettr")));
		html_cell(page, "n", words_percent(text, view_real(job, "goodput")));
		duration_cell(page, view_real(job, "work_s"));
		html_cell(page, "n", words_number(text, view_real(job, "interruptions")));
		html_cell(page, "n", words_number(text, view_real(job, "restarts")));
		duration_cell(page, view_real(job, "lost_work_s"));
		duration_cell(page, view_real(job, "down_s"));
		for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
			html_cell(page, "n", words_number(text, view_real(job, counts[i])));
		fputs("</tr>\n", page);
	}
	fputs("</tbody></table>\n<p class=\"note\">ETTR, the effective training time ratio, is the "
	      "training that still counted at the end over the time for which the job was to run. "
	      "Goodput leaves out what was trained on corrupted data.</p>\n",
	      page);
}

static void repair_row(FILE *page, const char *row_class, const char *cause, const cJSON *repair)
{
	char text[WORDS_MAX];

	fprintf(page, "<tr class=\"%s\">", row_class);
	html_cell(page, NULL, cause);
	html_cell(page, "n", words_number(text, view_real(repair, "count")));
	duration_cell(page, view_real(repair, "mean_min") * 60);
	duration_cell(page, view_real(repair, "median_min") * 60);
	fputs("</tr>\n", page);
}

void html_repairs(FILE *page, const cJSON *record)
{
	const cJSON *repairs = view_get(record, "repairs"), *cause;
	int count = 0;

	if (!repairs)
		return;
	fputs("<h2>Down time by cause</h2>\n<table><thead><tr><th>Cause</th><th "
	      "class=\"n\">Faults</th><th class=\"n\">Mean</th><th class=\"n\">Median</th></tr>"
	      "</thead><tbody>\n",
	      page);
	cJSON_ArrayForEach (cause, view_get(repairs, "by_cause"))
		if (count++ < CAUSES_SHOWN)
			repair_row(page, "", view_text(cause, "cause"), cause);
	repair_row(page, "total", "all", view_get(repairs, "all"));
	fputs("</tbody></table>\n<p class=\"note\">From the fault until it was mended, of the "
	      "faults that ended within the drill.",
	      page);
	if (count > CAUSES_SHOWN)
		fprintf(page, " The first %d of %d causes; record.json holds all.", CAUSES_SHOWN,
			count);
	fputs("</p>\n", page);
}

static void count_row(FILE *page, const char *name, double count, double whole)
{
	char text[WORDS_MAX], share[WORDS_MAX];

	fputs("<tr>", page);
	html_cell(page, NULL, name);
	html_cell(page, "n", words_number(text, count));
	html_cell(page, "n", whole > 0 ? words_percent(share, count / whole) : WORDS_NONE);
	fputs("</tr>\n", page);
}

static void requests_table(FILE *page, const cJSON *record)
{
	static const char *const rows[][2] = {
		{"good", "requests.good"},
		{"late", "requests.late"},
		{"wrong answer", "requests.wrong"},
		{"failed", "requests.failed"},
	};
	double sent = view_real(record, "requests.sent");

	fputs("<div><h2>Requests</h2>\n", page);
	if (!(sent > 0)) {
		fputs("<p>No requests were modelled: availability by requests was not "
		      "measured.</p></div>\n",
		      page);
		return;
	}
	fputs("<table><thead><tr><th></th><th class=\"n\">Count</th><th "
	      "class=\"n\">Share</th></tr></thead><tbody>\n",
	      page);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		count_row(page, rows[i][0], view_real(record, rows[i][1]), sent);
	count_row(page, "sent", sent, sent);
	fputs("</tbody></table></div>\n", page);
}

void html_operations(FILE *page, const struct report_input *input)
{
	double begun = 0, restorable = 0, bad = 0, failed = 0, pruned = 0, refused = 0;
	const cJSON *event;

	cJSON_ArrayForEach (event, input->events) {
		begun += view_is(event, "event", "backup.begin");
		pruned += view_is(event, "event", "backup.prune");
		refused += view_is(event, "event", "action.end") &&
			   view_is(event, "kind", "restore") &&
			   view_is(event, "reason", "the digest does not match");
		if (!view_is(event, "event", "backup.end"))
			continue;
		failed += view_bool(event, "ok") == 0;
		bad += view_bool(event, "ok") != 0 && view_bool(event, "restorable") == 0;
		restorable += view_bool(event, "ok") != 0 && view_bool(event, "restorable") != 0;
	}
	fputs("<div class=\"pair\">\n<div><h2>Backups</h2>\n", page);
	if (begun > 0) {
		fputs("<table><thead><tr><th></th><th class=\"n\">Count</th><th "
		      "class=\"n\">Share</th></tr></thead><tbody>\n",
		      page);
		count_row(page, "finished, and listed as restorable", restorable, begun);
		if (refused > 0)
			count_row(page, "found corrupt by a restore of a class", refused, NAN);
		count_row(page, "finished, not restorable", bad, begun);
		count_row(page, "failed", failed, begun);
		count_row(page, "did not finish", begun - restorable - bad - failed, begun);
		count_row(page, "begun", begun, begun);
		count_row(page, "pruned later", pruned, begun);
		fputs("</tbody></table>", page);
	} else {
		fputs("<p>No backup was made during the drill.</p>", page);
	}
	fputs("</div>\n", page);
	requests_table(page, input->record);
	fputs("</div>\n", page);
}

void html_findings(FILE *page, const cJSON *record)
{
	static const char *const order[] = {"high", "medium", "low", "info"};
	const cJSON *finding;
	char text[WORDS_MAX];

	fputs("<h2>Findings</h2>\n", page);
	if (cJSON_GetArraySize(view_get(record, "findings")) == 0) {
		fputs("<p>None.</p>\n", page);
		return;
	}
	fputs("<table><thead><tr><th>Severity</th><th>Finding</th><th class=\"n\">Costs or "
	      "risks</th></tr></thead><tbody>\n",
	      page);
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		cJSON_ArrayForEach (finding, view_get(record, "findings")) {
			if (!view_is(finding, "severity", order[i]))
				continue;
			fputs("<tr>", page);
			html_cell(page, i == 0 ? "bad" : i == 1 ? "open" : NULL, order[i]);
			html_cell(page, NULL, view_text(finding, "text"));
			html_cell(page, "n",
				  words_duration_exact(text, view_real(finding, "seconds")));
			fputs("</tr>\n", page);
		}
	fputs("</tbody></table>\n", page);
}

static void campaign_row(FILE *page, const char *name, const cJSON *measure, const char *unit)
{
	static const char *const keys[] = {"mean", "p05", "p50", "p95", "p99"};
	double error = view_real(measure, "stderr"), high = view_real(measure, "p99_high");
	char a[WORDS_MAX], b[WORDS_MAX], both[2 * WORDS_MAX + 8];

	if (isnan(view_real(measure, "mean")))
		return;
	fputs("<tr>", page);
	html_cell(page, NULL, name);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		text_value(a, view_real(measure, keys[i]), unit);
		if (i == 0 && error > 0)
			snprintf(both, sizeof(both), "%s \xc2\xb1 %s", a,
				 text_value(b, 1.96 * error, unit));
		else
			snprintf(both, sizeof(both), "%s", a);
		html_cell(page, "n", both);
	}
	text_value(a, view_real(measure, "p99_low"), unit);
	if (isnan(view_real(measure, "p99_low")))
		snprintf(both, sizeof(both), "too few trials");
	else
		snprintf(both, sizeof(both), "%s \xe2\x80\xa6 %s", a,
			 isnan(high) ? "no bound" : text_value(b, high, unit));
	html_cell(page, "n", both);
	text_value(a, view_real(measure, "min"), unit);
	snprintf(both, sizeof(both), "%s \xe2\x80\xa6 %s", a,
		 text_value(b, view_real(measure, "max"), unit));
	html_cell(page, "n", both);
	fputs("</tr>\n", page);
}

void html_campaign(FILE *page, const cJSON *record)
{
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
	const cJSON *campaign = view_get(record, "campaign"), *item;
	char text[WORDS_MAX];

	if (!campaign)
		return;
	fprintf(page, "<h2>All trials</h2>\n<p>%s trials, ",
		words_number(text, view_real(campaign, "trials")));
	fprintf(page, "%s not recovered (censored, counted as above every value)",
		words_number(text, view_real(campaign, "censored")));
	if (view_real(campaign, "invalid") > 0)
		fprintf(page, ", %s without effect",
			words_number(text, view_real(campaign, "invalid")));
	fputs(". Paths: ", page);
	cJSON_ArrayForEach (item, view_get(campaign, "paths")) {
		if (!(item->valuedouble > 0))
			continue;
		text_escape(page, item->string);
		fprintf(page, " %s; ", words_number(text, item->valuedouble));
	}
	fputs("share of trials that met each objective: ", page);
	cJSON_ArrayForEach (item, view_get(campaign, "objective_met_fraction")) {
		text_escape(page, item->string);
		fprintf(page, " %s%s",
			words_percent(text, cJSON_IsNumber(item) ? item->valuedouble : NAN),
			item->next ? ", " : "");
	}
	fputs(".</p>\n<table class=\"dense\"><thead><tr><th></th><th class=\"n\">Mean, 95 % "
	      "interval</th><th class=\"n\">p05</th><th class=\"n\">p50</th>"
	      "<th class=\"n\">p95</th><th class=\"n\">p99</th><th class=\"n\">p99, 95 % "
	      "interval</th>"
	      "<th class=\"n\">Smallest \xe2\x80\xa6 largest</th></tr></thead><tbody>\n",
	      page);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		campaign_row(page, rows[i][0], view_get(campaign, rows[i][1]), rows[i][2]);
	fputs("</tbody></table>\n<p class=\"note\">Intervals of quantiles are distribution-free "
	      "(order statistics). All other "
	      "sections show trial 0.</p>\n",
	      page);
}

static void fact(FILE *page, const char *name, const char *value)
{
	fprintf(page, "<dt>%s</dt><dd class=\"key\">", name);
	text_escape(page, value);
	fputs("</dd>", page);
}

void html_repeat(FILE *page, const cJSON *record)
{
	fputs("<h2>How to repeat this run</h2>\n<pre>", page);
	text_escape(page, view_text(record, "drill.command"));
	fputs("</pre>\n<dl>", page);
	fact(page, "Seed", view_seed(record));
	fact(page, "drsim version", view_text(record, "drill.version"));
	fact(page, "Scenario SHA-256", view_text(record, "drill.scenario_sha256"));
	if (view_text(record, "drill.profile.sha256"))
		fact(page, "Profile SHA-256", view_text(record, "drill.profile.sha256"));
	fact(page, "Drill id", view_text(record, "drill.id"));
	fact(page, "Started", view_text(record, "drill.started"));
	fact(page, "Host", view_text(record, "drill.host"));
	fputs("</dl>\n<p class=\"note\">On the simulator the same scenario, seed and version give "
	      "the same events, byte for byte. "
	      "The scenario as run is scenario.yaml in the run folder; every number here can be "
	      "recomputed from "
	      "events.jsonl.</p>\n",
	      page);
}

void html_not_shown(FILE *page, const cJSON *record)
{
	const cJSON *item;

	fputs("<h2>What this does not show</h2>\n<ul>\n", page);
	if (!view_is(record, "drill.kind", "injected"))
		fputs("<li>Nothing real was touched: a simulated result shows what the model of "
		      "the deployment does, and is not a "
		      "test of the real system.</li>\n",
		      page);
	if (view_real(record, "drill.profile.runs") > 0)
		fprintf(page,
			"<li>The model was corrected by what %.0f measured drills took longer: "
			"what those did not meet is not in it.</li>\n",
			view_real(record, "drill.profile.runs"));
	if (view_bool(record, "drill.sham") > 0)
		fputs("<li>This was a sham drill: no fault was injected, it checks that the "
		      "detector stays silent.</li>\n",
		      page);
	cJSON_ArrayForEach (item, view_get(record, "objectives")) {
		if (view_bool(item, "met") >= 0)
			continue;
		fputs("<li>Objective <span class=\"key\">", page);
		text_escape(page, view_text(item, "name"));
		fputs("</span> was not evaluable: it is neither met nor missed.</li>\n", page);
	}
	if (cJSON_GetArraySize(view_get(record, "objectives")) == 0)
		fputs("<li>The scenario states no objective, so nothing was judged.</li>\n", page);
	if (!view_get(record, "campaign"))
		fputs("<li>One run is one sample: how the measures vary needs <span "
		      "class=\"key\">--trials</span>.</li>\n",
		      page);
	if (!(view_real(record, "requests.sent") > 0))
		fputs("<li>Requests were not modelled, availability by requests is unknown.</li>\n",
		      page);
	if (view_get(record, "drill.scale"))
		fputs("<li>Time and data were shrunk: what does not shrink with them, such as the "
		      "start of a process or the reach of a disk's cache, weighs more or less here "
		      "than in the deployment that is meant.</li>\n",
		      page);
	if (view_get(record, "environment") && !cJSON_IsObject(view_get(record, "wire")))
		fputs("<li>The outage was not seen on the wire: it is the client's account "
		      "alone.</li>\n",
		      page);
	if (!view_get(record, "drill.integrity") && !(view_real(record, "ledger.read_back") > 0))
		fputs("<li>The contents of restored data were not compared with the original by an "
		      "independent check.</li>\n",
		      page);
	if (!view_get(record, "drill.participants"))
		fputs("<li>No people took part: decisions are times in the scenario, not an "
		      "exercise of the staff.</li>\n",
		      page);
	fputs("<li>Only the faults listed above were tried; nothing is said about any "
	      "other.</li>\n</ul>\n",
	      page);
}

void html_terms(FILE *page)
{
	static const char *const terms[][2] = {
		{"FRT", "fault recovery time: from the fault to stable good service; what auditors "
			"call the achieved RTO (RTA)"},
		{"BRT", "backup recovery time: from the first failover action until the backup "
			"system has traffic and data"},
		{"BRP", "backup recovery point: age of the data restored from, and the "
			"acknowledged writes lost; the achieved RPO (RPA)"},
		{"Detection", "from the fault to the detector's declaration"},
		{"Decision", "from the declaration to the first failover action"},
		{"Switch", "routing traffic to the backup and fencing the old primary"},
		{"Data recovery", "restoring data until it is usable"},
		{"Readiness",
		 "from a ready backup system to the first good request of a stable window"},
		{"Availability", "share of the drill's time with good service; by requests: share "
				 "of requests answered well"},
		{"failover \xc2\xb7 in_place \xc2\xb7 absorbed",
		 "the backup took over \xc2\xb7 repaired where it was \xc2\xb7 redundancy carried "
		 "it"},
		{"fidelity", "how real the fault was: sim (in the model), detector (only what the "
			     "detector sees), api (through the "
			     "platform's interface), real"},
	};

	fputs("<h2>Terms</h2>\n<dl class=\"terms\">", page);
	for (size_t i = 0; i < sizeof(terms) / sizeof(terms[0]); i++)
		fprintf(page, "<dt>%s</dt><dd>%s</dd>\n", terms[i][0], terms[i][1]);
	fputs("</dl>\n", page);
}
