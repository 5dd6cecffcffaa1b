/* SPDX-License-Identifier: Apache-2.0 */
/* What a real drill measured by means of its own, for report.html: the wire, the ledger, the host.
 */
#include <math.h>

#include "reports/html.h"
#include "reports/text.h"
#include "reports/view.h"

static void row(FILE *page, const char *name, const char *value, const char *meaning)
{
	fputs("<tr>", page);
	html_cell(page, NULL, name);
	html_cell(page, "n", value);
	html_cell(page, NULL, meaning);
	fputs("</tr>\n", page);
}

static void wire_rows(FILE *page, const cJSON *record)
{
	const cJSON *wire = view_get(record, "wire");
	char text[WORDS_MAX], allowed[WORDS_MAX], words[WORDS_MAX + 64];

	if (!cJSON_IsObject(wire)) {
		row(page, "Outage on the wire", WORDS_NONE,
		    view_text_or(record, "wire_reason", "not captured"));
		return;
	}
	row(page, "Outage on the wire", words_duration_exact(text, view_real(wire, "outage_s")),
	    "from the last good answer to the first stable good one, in capture.pcap");
	row(page, "Outage by the client", words_duration_exact(text, view_real(wire, "client_s")),
	    "by the account of the program that sent the requests");
	words_duration_exact(allowed, view_real(wire, "allowed_s"));
	snprintf(words, sizeof(words), "%s; at most %s is allowed",
		 view_bool(wire, "agrees") > 0 ? "they agree" : "they contradict one another",
		 allowed);
	row(page, "Difference", words_duration_exact(text, view_real(wire, "difference_s")), words);
}

static void ledger_rows(FILE *page, const cJSON *ledger)
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
	char text[WORDS_MAX];

	for (size_t i = 0; ledger && i < sizeof(rows) / sizeof(rows[0]); i++)
		row(page, rows[i][0], words_number(text, view_real(ledger, rows[i][1])),
		    rows[i][2]);
}

void html_measured(FILE *page, const cJSON *record)
{
	const cJSON *environment = view_get(record, "environment"), *lost;

	if (!environment)
		return;
	fputs("<h2>Measured on this host</h2>\n<table><thead><tr><th></th><th "
	      "class=\"n\">Value</th><th>Meaning</th></tr></thead><tbody>\n",
	      page);
	wire_rows(page, record);
	ledger_rows(page, view_get(record, "ledger"));
	fputs("</tbody></table>\n<p class=\"note\">Isolation of the nodes: ", page);
	text_escape(page, view_text(environment, "isolation"));
	fputs("; kernel: ", page);
	text_escape(page, view_text(environment, "kernel"));
	fputs(".</p>\n", page);
	if (cJSON_GetArraySize(view_get(environment, "lost")) == 0)
		return;
	fputs("<p>What this host could not do:</p>\n<ul>\n", page);
	cJSON_ArrayForEach (lost, view_get(environment, "lost")) {
		fputs("<li>", page);
		text_escape(page, cJSON_GetStringValue(lost));
		fputs("</li>\n", page);
	}
	fputs("</ul>\n", page);
}
