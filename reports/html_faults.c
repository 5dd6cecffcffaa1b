/* SPDX-License-Identifier: Apache-2.0 */
/* Each fault with the proof that it took effect and was taken back; and what was left behind. */
#include <math.h>

#include "reports/html.h"
#include "reports/page.h"
#include "reports/text.h"
#include "reports/view.h"

#define FAULTS_SHOWN 50

static void put_small(FILE *page, const char *before, const char *text)
{
	if (!text)
		return;
	fprintf(page, "<br><small>%s", before);
	text_escape(page, text);
	fputs("</small>", page);
}

static void put_name(FILE *page, const cJSON *fault)
{
	fputs("<th scope=\"row\">", page);
	page_key(page, view_text(fault, "name"));
	fputs("<br>", page);
	page_key(page, view_text(fault, "target"));
	put_small(page, "cause: ", view_text(fault, "cause"));
	put_small(page, "", view_text(fault, "place"));
	fputs("</th>", page);
}

static void put_mechanism(FILE *page, const cJSON *fault)
{
	double before = view_seconds(fault, "before_ns"), after = view_seconds(fault, "after_ns");
	char text[WORDS_MAX];

	fputs("<td class=\"text\">", page);
	text_escape(page, view_text(fault, "mechanism"));
	put_small(page, "fidelity: ", view_text(fault, "fidelity"));
	if (isfinite(before) && isfinite(after))
		fprintf(page, "<br><small>injected within %s</small>",
			words_duration_exact(text, after - before));
	fputs("</td>", page);
}

static void put_effect(FILE *page, const cJSON *fault)
{
	int effective = view_bool(fault, "effective");

	fprintf(page, "<td class=\"text\"><span class=\"%s\">%s</span>",
		effective > 0    ? "good"
		: effective == 0 ? "bad"
				 : "open",
		effective > 0                     ? "effective"
		: effective == 0                  ? "no effect"
		: view_bool(fault, "applied") > 0 ? "not known"
						  : "not injected");
	put_small(page, "", view_text(fault, "observed"));
	fputs("</td>", page);
}

static void put_revert(FILE *page, const cJSON *fault)
{
	const cJSON *residue, *list = view_get(fault, "residue");
	int reverted = view_bool(fault, "reverted");

	if (cJSON_GetArraySize(list) == 0) {
		fprintf(page, "<td><span class=\"%s\">%s</span></td>",
			reverted > 0    ? "good"
			: reverted == 0 ? "bad"
					: "open",
			reverted > 0    ? "reverted"
			: reverted == 0 ? "NOT reverted"
					: "not due");
		return;
	}
	fputs("<td class=\"text\"><span class=\"bad\">left behind</span>", page);
	cJSON_ArrayForEach (residue, list)
		put_small(page, "", cJSON_GetStringValue(residue));
	fputs("</td>", page);
}

void html_faults(FILE *page, const cJSON *record)
{
	static const struct page_column columns[] = {{"Fault", false},
						     {"Step", true},
						     {"Mechanism", false},
						     {"Effect, and how it was seen", false},
						     {"Reverted", false}};
	struct ranked list;

	ranked_fill(&list, view_get(record, "faults"), FAULTS_SHOWN, ranked_fault);
	page_section(page, "faults", "Faults and their proof");
	if (list.total == 0) {
		fputs("<p>No fault was due in this drill.</p>\n", page);
		page_section_end(page);
		return;
	}
	page_table(page, "What was broken, and whether it was", columns, 5);
	for (size_t i = 0; i < list.count; i++) {
		const cJSON *fault = list.rows[i].item;

		page_row(page);
		put_name(page, fault);
		fprintf(page, "<td class=\"n\">%.0f</td>", view_real(fault, "step"));
		put_mechanism(page, fault);
		put_effect(page, fault);
		put_revert(page, fault);
		page_row_end(page);
	}
	page_table_end(page);
	html_cut(page, &list, "faults", "those that were not as they should be, then the first");
	page_section_end(page);
}

/* ---- what is left ---- */

static void put_left(FILE *page, const cJSON *list)
{
	const cJSON *residue;

	cJSON_ArrayForEach (residue, list) {
		fputs("<li><span class=\"bad\">left behind</span>: ", page);
		text_escape(page, cJSON_GetStringValue(residue));
		fputs("</li>\n", page);
	}
}

static void put_sum(FILE *page, const cJSON *record)
{
	double reverted = 0, not_reverted = 0, not_due = 0;
	const cJSON *fault;
	char a[WORDS_MAX], b[WORDS_MAX], c[WORDS_MAX];

	cJSON_ArrayForEach (fault, view_get(record, "faults")) {
		int state = view_bool(fault, "reverted");

		*(state > 0 ? &reverted : state == 0 ? &not_reverted : &not_due) += 1;
	}
	fprintf(page,
		"<p>Faults taken back: %s. Not taken back: %s. Not due, since they are permanent "
		"or were not injected: %s.</p>\n",
		words_number(a, reverted), words_number(b, not_reverted), words_number(c, not_due));
}

void html_residue(FILE *page, const cJSON *record)
{
	const cJSON *fault, *host = view_get(record, "environment.residue");
	bool injected = view_is(record, "drill.kind", "injected"),
	     left = view_is(record, "verdict", "residue");

	page_section(page, "residue", "What is left behind");
	fprintf(page, "<p><span class=\"%s\">%s</span></p>\n", left ? "bad" : "good",
		left       ? "Something is left: see below, and clean up before the next drill."
		: injected ? "Nothing is left of this drill on the host."
			   : "Nothing can be left: the simulator touches nothing outside itself.");
	put_sum(page, record);
	if (left) {
		fputs("<ul>\n", page);
		put_left(page, host);
		cJSON_ArrayForEach (fault, view_get(record, "faults"))
			put_left(page, view_get(fault, "residue"));
		fputs("</ul>\n", page);
	}
	if (injected)
		page_note(page, "After everything was taken back drsim looked for processes, "
				"cgroups, mounts, network namespaces, links and rules of this run, "
				"for its work folder, and for changed files.");
	page_section_end(page);
}
