/* SPDX-License-Identifier: Apache-2.0 */
/* What the drill found, by what it costs or risks. */
#include "reports/html.h"
#include "reports/page.h"
#include "reports/text.h"
#include "reports/view.h"

#define FINDINGS_SHOWN 64

void html_findings(FILE *page, const cJSON *record)
{
	static const struct page_column columns[] = {
		{"Finding", false}, {"Costs or risks", true}, {"Severity", false}};
	struct ranked list;

	ranked_fill(&list, view_get(record, "findings"), FINDINGS_SHOWN, ranked_finding);
	page_section(page, "findings", "Findings");
	if (list.total == 0) {
		fputs("<p>None.</p>\n", page);
		page_section_end(page);
		return;
	}
	page_table(page, "What costs or risks the most time comes first", columns, 3);
	for (size_t i = 0; i < list.count; i++) {
		const cJSON *finding = list.rows[i].item;
		bool high = view_is(finding, "severity", "high"),
		     medium = view_is(finding, "severity", "medium");

		page_row(page);
		fputs("<th scope=\"row\" class=\"text\">", page);
		text_escape(page, view_text(finding, "text"));
		fputs("</th>", page);
		page_cell_value(page, view_real(finding, "seconds"), "s");
		fprintf(page, "<td><span class=\"%s\">", high ? "bad" : medium ? "open" : "plain");
		text_escape(page, view_text(finding, "severity"));
		fputs("</span></td>", page);
		page_row_end(page);
	}
	page_table_end(page);
	html_cut(page, &list, "findings", "the most costly");
	page_section_end(page);
}
