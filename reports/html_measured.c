/* SPDX-License-Identifier: Apache-2.0 */
/* What a real drill measured by means of its own, for report.html: the wire, the ledger, the host.
 */
#include <math.h>

#include "reports/html.h"
#include "reports/page.h"
#include "reports/text.h"
#include "reports/view.h"

static const struct page_column columns[] = {
	{"Measure", false}, {"Value", true}, {"Meaning", false}};

static void row(FILE *page, const char *name, double value, const char *unit, const char *meaning)
{
	page_row(page);
	page_row_head(page, name);
	page_cell_value(page, value, unit);
	page_cell(page, "text", meaning);
	page_row_end(page);
}

static void put_wire(FILE *page, const cJSON *record)
{
	const cJSON *wire = view_get(record, "wire");
	char allowed[WORDS_MAX], words[WORDS_MAX + 64];

	page_table(page, "The outage, on the wire and by the client", columns, 3);
	if (!cJSON_IsObject(wire)) {
		row(page, "Outage on the wire", NAN, "s",
		    view_text_or(record, "wire_reason", "not captured"));
		page_table_end(page);
		return;
	}
	row(page, "Outage on the wire", view_real(wire, "outage_s"), "s",
	    "from the last good answer to the first stable good one, in capture.pcap");
	row(page, "Outage by the client", view_real(wire, "client_s"), "s",
	    "by the account of the program that sent the requests");
	words_duration_exact(allowed, view_real(wire, "allowed_s"));
	snprintf(words, sizeof(words), "%s; at most %s is allowed",
		 view_bool(wire, "agrees") > 0 ? "they agree" : "they contradict one another",
		 allowed);
	row(page, "Difference", view_real(wire, "difference_s"), "s", words);
	page_table_end(page);
}

static void put_ledger(FILE *page, const cJSON *ledger)
{
	static const char *const rows[][3] = {
		{"Records written", "written", "by the client"},
		{"acknowledged", "acknowledged", "the client was told that they are safe"},
		{"failed", "failed", "the client was told that they are not"},
		{"unknown", "unknown", "no answer, or none in time"},
		{"read back", "read_back", "after the recovery"},
		{"lost", "lost", "acknowledged, and not there"},
		{"stale", "stale", "an older value of the same key"},
		{"altered", "altered", "not what was written"},
		{"duplicated", "duplicated", "there more than once"},
		{"acknowledged twice", "acknowledged_twice", "by two sites: a split brain"},
		{"foreign", "foreign", "there, and never written by this client"},
	};

	page_table(page, "The ledger: what became of every record that the client wrote", columns,
		   3);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		row(page, rows[i][0], view_real(ledger, rows[i][1]), "count", rows[i][2]);
	page_table_end(page);
}

void html_measured(FILE *page, const cJSON *record)
{
	const cJSON *environment = view_get(record, "environment"), *lost;

	if (!environment)
		return;
	page_section(page, "measured", "Measured on this host");
	put_wire(page, record);
	if (view_get(record, "ledger"))
		put_ledger(page, view_get(record, "ledger"));
	fputs("<p class=\"note\">Isolation of the nodes: ", page);
	text_escape(page, view_text(environment, "isolation"));
	fputs("; kernel: ", page);
	text_escape(page, view_text(environment, "kernel"));
	fputs(".</p>\n", page);
	if (cJSON_GetArraySize(view_get(environment, "lost")) > 0) {
		fputs("<p>What this host could not do:</p>\n<ul>\n", page);
		cJSON_ArrayForEach (lost, view_get(environment, "lost")) {
			fputs("<li>", page);
			text_escape(page, cJSON_GetStringValue(lost));
			fputs("</li>\n", page);
		}
		fputs("</ul>\n", page);
	}
	page_section_end(page);
}
