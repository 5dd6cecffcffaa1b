/* SPDX-License-Identifier: Apache-2.0 */
/* The page of evidence: at a glance, the drills, each control, and what is not shown. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "reports/day.h"
#include "reports/evidence.h"
#include "reports/page.h"
#include "reports/text.h"
#include "reports/view.h"

#define DRILLS_SHOWN_MAX 12 /* under each control: those that count first, the latest first */
#define DAY "<span class=\"w\">%s</span>"

static bool is_injected(const struct evidence_drill *drill)
{
	return view_is(drill->record, "drill.kind", "injected");
}

static size_t count_standing(const struct evidence *evidence, enum standing standing)
{
	size_t count = 0;

	for (size_t i = 0; i < evidence->drill_count; i++)
		count += evidence->drills[i].standing == standing;
	return count;
}

static const char *plural(size_t count)
{
	return count == 1 ? "" : "s";
}

/* ---- pieces ---- */

static void put_day(FILE *page, const struct evidence_drill *drill)
{
	char text[DAY_TEXT_MAX];

	fputs(drill->dated ? day_text(text, drill->day) : "no date", page);
}

/* What a drill is, in every row that says something of it. */
static void put_kind(FILE *page, const struct evidence_drill *drill)
{
	page_kind(page, is_injected(drill) ? "injected" : "simulated");
	if (view_bool(drill->record, "drill.sham") > 0)
		page_tag(page, NULL, "SHAM");
}

static void put_drill(FILE *page, const struct evidence_drill *drill)
{
	put_kind(page, drill);
	text_escape(page, view_text(drill->record, "drill.name"));
	fputs("<br><small>", page);
	put_day(page, drill);
	fputs(", ", page);
	text_escape(page, view_text_or(drill->record, "verdict", "no verdict"));
	if (drill->standing != STANDING_COUNTS)
		fprintf(page, "; %s", evidence_standing_text(drill->standing));
	fputs("</small>", page);
}

static void put_due(FILE *page, const struct control *control, const struct control_state *state)
{
	char text[DAY_TEXT_MAX];

	if (control->months == 0) {
		fputs("The text sets no period. ", page);
		if (state->counted > 0)
			fprintf(page, "Last done " DAY ".", day_text(text, state->last));
		else
			fputs("<span class=\"open\">No drill that counts.</span>", page);
		return;
	}
	fprintf(page, "Every %" PRIu32 " months. ", control->months);
	if (state->counted == 0) {
		fputs("<span class=\"bad\">Due: no drill that counts.</span>", page);
		return;
	}
	fprintf(page, "<span class=\"%s\">%s " DAY ".</span> ", state->overdue ? "bad" : "good",
		state->overdue ? "Overdue: last done" : "Done", day_text(text, state->last));
	fprintf(page, "%s by " DAY ".", state->overdue ? "It was due" : "Due again",
		day_text(text, state->due));
}

/* ---- the top ---- */

static void put_top(FILE *page, const struct evidence *evidence)
{
	size_t counts = count_standing(evidence, STANDING_COUNTS), simulated = 0, aside = 0;
	char day[DAY_TEXT_MAX];

	for (size_t i = 0; i < evidence->drill_count; i++)
		simulated += !is_injected(&evidence->drills[i]);
	aside = evidence->drill_count - counts - simulated;
	fputs("<h1>Evidence from drills: ", page);
	text_escape(page, evidence->framework->title);
	fprintf(page, "</h1>\n<p>Of %zu drill%s given, <b>%zu count%s as a test</b>",
		evidence->drill_count, plural(evidence->drill_count), counts,
		counts == 1 ? "s" : "");
	if (simulated > 0)
		fprintf(page, ", %zu %s simulated and never do", simulated,
			simulated == 1 ? "is" : "are");
	if (aside > 0)
		fprintf(page, ", %zu injected one%s %s not", aside, plural(aside),
			aside == 1 ? "does" : "do");
	fprintf(page,
		". As of %s.</p>\n<p>This page provides evidence for what the text asks: for each "
		"control it shows the values of records, and lists what they do not show. It "
		"judges nothing, and what is asked is told in words of this project's own: the "
		"text itself decides.</p>\n",
		day_text(day, evidence->today));
	if (counts == 0)
		fputs("<p><span class=\"bad\">None of these drills is a test of a real "
		      "system.</span> Values of simulated drills stand below as what they are: "
		      "what a model does.</p>\n",
		      page);
}

static void put_glance(FILE *page, const struct evidence *evidence)
{
	static const struct page_column columns[] = {
		{"Control", false}, {"Due and done", false}, {"Fields that a test shows", false}};
	const struct framework *framework = evidence->framework;

	page_section(page, "glance", "At a glance");
	page_table(page, "Each control in one line", columns, 3);
	for (size_t i = 0; i < framework->control_count; i++) {
		const struct control *control = &framework->controls[i];
		struct control_state state = evidence_state(evidence, control);

		fprintf(page, "<tr><th scope=\"row\"><a href=\"#control-%zu\">", i);
		text_escape(page, control->id);
		fputs("</a><br><small>", page);
		text_escape(page, control->title);
		fputs("</small></th><td>", page);
		put_due(page, control, &state);
		fprintf(page, "</td><td>%zu of %zu</td></tr>\n", state.shown, control->field_count);
	}
	page_table_end(page);
	page_section_end(page);
}

/* ---- the drills ---- */

/* "due 2026-03-31, 2 days late" */
static void put_schedule(FILE *page, const struct evidence_drill *drill)
{
	const char *due = view_text(drill->record, "drill.schedule.due");
	char text[DAY_TEXT_MAX];
	int32_t day, late;

	if (!due || !day_parse(due, &day)) {
		fputs("not stated", page);
		return;
	}
	fprintf(page, DAY "<br><small>", day_text(text, day));
	if (drill->standing != STANDING_COUNTS) {
		fputs("not done by this drill", page);
	} else {
		late = drill->day - day;
		if (late > 0)
			fprintf(page, "<span class=\"bad\">%" PRId32 " day%s late</span>", late,
				plural((size_t)late));
		else
			fputs("<span class=\"good\">in time</span>", page);
	}
	fputs("</small>", page);
}

static void put_measure(FILE *page, const cJSON *record, const char *path, const char *name)
{
	const cJSON *item;

	fputs("<td>", page);
	page_value(page, view_real(record, path), "s");
	cJSON_ArrayForEach (item, view_get(record, "objectives"))
		if (view_is(item, "name", name)) {
			fputs("<br><small>at most ", page);
			page_value(page, view_real(item, "limit"), "s");
			fputs("</small>", page);
		}
	fputs("</td>", page);
}

static void put_plan(FILE *page, const cJSON *record)
{
	fputs("<td>", page);
	if (evidence_shows(record, "drill.plan.id"))
		evidence_value(page, record, "drill.plan.id");
	else
		fputs("not stated", page);
	if (evidence_shows(record, "drill.plan.version")) {
		fputs(", version ", page);
		evidence_value(page, record, "drill.plan.version");
	}
	fputs("</td>", page);
}

static void put_row(FILE *page, const struct evidence_drill *drill)
{
	const cJSON *record = drill->record;

	fputs("<tr><th scope=\"row\">", page);
	put_drill(page, drill);
	fputs("<br><small class=\"key\">", page);
	text_escape(page, view_text_or(record, "drill.id", "no id"));
	fprintf(page, "</small></th><td>%s</td><td>",
		drill->standing == STANDING_COUNTS ? "yes" : "no");
	put_schedule(page, drill);
	fputs("</td>", page);
	put_measure(page, record, "metrics.frt_s", "frt");
	put_measure(page, record, "metrics.brp.seconds", "brp.seconds");
	put_plan(page, record);
	fprintf(page, "<td>%s<br><small class=\"key\">%.16s\xe2\x80\xa6</small></td></tr>\n",
		drill->attested ? "there is one" : "none", drill->sha256);
}

static void put_drills(FILE *page, const struct evidence *evidence)
{
	static const struct page_column columns[] = {{"Drill", false},
						     {"Counts", false},
						     {"Due", false},
						     {"FRT", false},
						     {"BRP", false},
						     {"Plan", false},
						     {"Attestation, record SHA-256", false}};

	page_section(page, "drills", "The drills");
	page_table(page, "What was given", columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < evidence->drill_count; i++)
		put_row(page, &evidence->drills[i]);
	page_table_end(page);
	fputs("<p class=\"note\">A drill counts when its faults were "
	      "injected into a real system and it came to a verdict on its objectives, met or "
	      "missed. Attestations are not checked here: <span class=\"key\">drsim verify RUN_DIR "
	      "--key PUB</span> does. FRT is the achieved recovery time (RTA), BRP the achieved "
	      "recovery point (RPA); their limits are the objectives (RTO, RPO).</p>\n",
	      page);
	page_section_end(page);
}

/* ---- one control ---- */

/* The drills in the order in which they are shown; returns how many. */
static size_t choose(const struct evidence *evidence, const struct control *control,
		     const struct evidence_drill *chosen[DRILLS_SHOWN_MAX], size_t *ret_more)
{
	size_t count = 0;

	*ret_more = 0;
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = evidence->drill_count; i-- > 0;) {
			const struct evidence_drill *drill = &evidence->drills[i];
			bool any = false;

			if ((drill->standing == STANDING_COUNTS) != (pass == 0))
				continue;
			for (size_t k = 0; k < control->field_count && !any; k++)
				any = evidence_shows(drill->record, control->fields[k]);
			if (any && count < DRILLS_SHOWN_MAX)
				chosen[count++] = drill;
			else
				*ret_more += any;
		}
	}
	return count;
}

/* A path of keys, which may go on in the next line behind a dot. */
static void put_path(FILE *page, const char *path)
{
	for (; *path; path++) {
		fputc(*path, page); /* the mapping allows nothing that HTML would take amiss */
		if (*path == '.')
			fputs("<wbr>", page);
	}
}

/* One drill in a group of rows. Each row says what kind of drill it is of. */
static void put_group(FILE *page, const struct evidence_drill *drill, const struct control *control)
{
	fputs("<tbody><tr><th colspan=\"3\" scope=\"rowgroup\">", page);
	put_drill(page, drill);
	fputs("</th></tr>\n", page);
	for (size_t i = 0; i < control->field_count; i++) {
		if (!evidence_shows(drill->record, control->fields[i]))
			continue;
		fputs("<tr><td>", page);
		put_kind(page, drill);
		fputs("</td><th scope=\"row\" class=\"key\">", page);
		put_path(page, control->fields[i]);
		fputs("</th><td>", page);
		evidence_value(page, drill->record, control->fields[i]);
		fputs("</td></tr>\n", page);
	}
	fputs("</tbody>\n", page);
}

static void put_values(FILE *page, const struct evidence *evidence, const struct control *control)
{
	static const struct page_column columns[] = {
		{"Kind", false}, {"Field of the record", false}, {"What it says", false}};
	const struct evidence_drill *chosen[DRILLS_SHOWN_MAX];
	size_t more, count = choose(evidence, control, chosen, &more);
	char caption[200];

	if (count == 0) {
		fputs("<p><span class=\"open\">No drill shows any of the fields.</span></p>\n",
		      page);
		return;
	}
	snprintf(caption, sizeof(caption), "What the drills show of %.160s", control->id);
	page_table(page, caption, columns, 3);
	fputs("</tbody>", page); /* each drill has one of its own */
	for (size_t i = 0; i < count; i++)
		put_group(page, chosen[i], control);
	fputs("<tbody>", page);
	page_table_end(page);
	if (more > 0)
		fprintf(page,
			"<p class=\"note\">%zu more drill%s show%s some of these fields: see The "
			"drills.</p>\n",
			more, plural(more), more == 1 ? "s" : "");
}

static void put_missing(FILE *page, const struct evidence *evidence, const struct control *control,
			const struct control_state *state)
{
	fputs("<h4>Not shown</h4>\n<ul>\n", page);
	if (state->counted == 0)
		fputs("<li>Anything about a real system: no drill that counts as a test was "
		      "given.</li>\n",
		      page);
	if (state->counted > 0 && state->overdue)
		fputs("<li>A test within the period that ends on the day of this page.</li>\n",
		      page);
	for (size_t i = 0; i < control->field_count; i++)
		if (!evidence_tested(evidence, control->fields[i]))
			fprintf(page,
				"<li><span class=\"key\">%s</span>: no drill that counts has a "
				"value of it. It was not measured, or nobody stated it.</li>\n",
				control->fields[i]);
	for (size_t i = 0; i < control->not_shown_count; i++) {
		fputs("<li>", page);
		text_escape(page, control->not_shown[i]);
		fputs("</li>\n", page);
	}
	fputs("</ul>\n", page);
}

static void put_control(FILE *page, const struct evidence *evidence, size_t index)
{
	const struct control *control = &evidence->framework->controls[index];
	struct control_state state = evidence_state(evidence, control);

	fprintf(page, "<h3 id=\"control-%zu\">", index);
	text_escape(page, control->id);
	fputs(" \xc2\xb7 ", page);
	text_escape(page, control->title);
	fputs("</h3>\n<p><b>What is asked.</b> ", page);
	text_escape(page, control->asks);
	fputs("</p>\n<p><b>Due and done.</b> ", page);
	put_due(page, control, &state);
	fputs("</p>\n<h4>Shown</h4>\n", page);
	put_values(page, evidence, control);
	put_missing(page, evidence, control, &state);
}

/* ---- the end ---- */

static bool any_scaled(const struct evidence *evidence)
{
	for (size_t i = 0; i < evidence->drill_count; i++)
		if (evidence->drills[i].standing == STANDING_COUNTS &&
		    view_get(evidence->drills[i].record, "drill.scale"))
			return true;
	return false;
}

static void put_limits(FILE *page, const struct evidence *evidence)
{
	page_section(page, "limits", "What this page does not show");
	fputs("<ul>\n"
	      "<li>Simulated drills show what a model does. They are no test of the system that is "
	      "modelled, however many there are.</li>\n"
	      "<li>Only the drills given here are known: neither others that ran nor those that "
	      "should have.</li>\n"
	      "<li>What people stated (plan, scope, participants, segregation, sign-off) was not "
	      "measured.</li>\n"
	      "<li>Whether a record is as it was written: that is what <span class=\"key\">drsim "
	      "verify</span> finds out of a signed one.</li>\n"
	      "<li>Whether a control is fulfilled: that is for the auditor to say.</li>\n",
	      page);
	if (any_scaled(evidence))
		fputs("<li>Some of the tests shrank time and data and ran on stand-in processes: "
		      "what does not shrink with them weighs more or less than in the deployment "
		      "that is meant.</li>\n",
		      page);
	fputs("</ul>\n", page);
	page_section_end(page);
	page_section(page, "sources", "Where this comes from");
	fputs("<dl><dt>Mapping of controls</dt><dd>", page);
	page_key(page, evidence->controls->path);
	fprintf(page, "</dd><dt>Its SHA-256</dt><dd class=\"key\">%s</dd>",
		evidence->controls->sha256);
	fputs("<dt>Records</dt><dd class=\"key\">", page);
	for (size_t i = 0; i < evidence->drill_count; i++) {
		fprintf(page, "%s ", evidence->drills[i].sha256);
		page_key(page, evidence->drills[i].folder);
		fputs("/<wbr>record.json<br>", page);
	}
	fputs("</dd></dl>\n", page);
	page_section_end(page);
}

void evidence_page(FILE *page, const struct evidence *evidence)
{
	page_begin_with(page, "Evidence from drills", "tbody th.key{overflow-wrap:normal}\n");
	put_top(page, evidence);
	page_main(page);
	put_glance(page, evidence);
	put_drills(page, evidence);
	page_section(page, "controls", "Control by control");
	for (size_t i = 0; i < evidence->framework->control_count; i++)
		put_control(page, evidence, i);
	page_section_end(page);
	put_limits(page, evidence);
	page_end(page, "It provides evidence; it judges nothing.");
}
