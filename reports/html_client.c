/* SPDX-License-Identifier: Apache-2.0 */
/* The service as its clients saw it: over time, and what became of their requests. */
#include <math.h>

#include "reports/html.h"
#include "reports/page.h"
#include "reports/text.h"
#include "reports/view.h"

static void put_times(FILE *page, const cJSON *record)
{
	static const struct page_column columns[] = {
		{"Measure", false}, {"Value", true}, {"Meaning", false}};
	static const char *const rows[][4] = {
		{"Availability", "metrics.availability.time", "fraction",
		 "share of the drill\xe2\x80\x99s time with good service; what the objective "
		 "judges"},
		{"of requests", "metrics.availability.requests", "fraction",
		 "share of requests answered well"},
		{"Bad service", "metrics.bad_s", "s", "all of it together"},
		{"longest stretch", "metrics.longest_bad_s", "s", "without a good moment in it"},
		{"Span", "metrics.span_s", "s", "from the first bad moment to the last"},
		{"Unprotected", "metrics.unprotected_s", "s",
		 "from the fault until redundancy was back"},
	};

	page_table(page, "Good and bad service", columns, 3);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		page_row(page);
		page_row_head(page, rows[i][0]);
		page_cell_value(page, view_real(record, rows[i][1]), rows[i][2]);
		page_cell(page, "text", rows[i][3]);
		page_row_end(page);
	}
	page_table_end(page);
}

static void put_requests(FILE *page, const cJSON *record)
{
	static const struct page_column columns[] = {
		{"Requests", false}, {"Count", true}, {"Share", true}};
	static const char *const rows[][2] = {
		{"good", "requests.good"},          {"late", "requests.late"},
		{"wrong answer", "requests.wrong"}, {"failed", "requests.failed"},
		{"sent", "requests.sent"},
	};
	size_t last = sizeof(rows) / sizeof(rows[0]) - 1;
	double sent = view_real(record, "requests.sent");

	if (!(sent > 0)) {
		fputs("<p>No requests were modelled: availability by requests was not "
		      "measured.</p>\n",
		      page);
		return;
	}
	page_table(page, "What became of the requests", columns, 3);
	for (size_t i = 0; i <= last; i++) {
		if (i == last)
			page_row_total(page);
		else
			page_row(page);
		page_row_head(page, rows[i][0]);
		page_cell_value(page, view_real(record, rows[i][1]), "count");
		page_cell_value(page, view_real(record, rows[i][1]) / sent, "fraction");
		page_row_end(page);
	}
	page_table_end(page);
}

void html_client(FILE *page, const struct report_input *input)
{
	const cJSON *record = input->record, *incident = view_headline(record);
	char text[640], bad[WORDS_MAX], at[WORDS_MAX], share[WORDS_MAX];
	int length;

	length = snprintf(text, sizeof(text),
			  "Share of good answers above, latency below, over the time of the drill, "
			  "with the faults as shaded bands. The service was good for %.80s of the "
			  "time, and bad for %.80s in all.",
			  words_percent(share, view_real(record, "metrics.availability.time")),
			  words_duration(bad, view_real(record, "metrics.bad_s")));
	if (incident)
		snprintf(text + length, sizeof(text) - (size_t)length,
			 " The worst fault came %.80s into the drill.",
			 words_duration(at, view_seconds(incident, "t_fault_ns")));
	page_section(page, "client", "The service as its clients saw it");
	/* Whether pictures can be drawn at all is said once, where the first would stand. */
	if (!html_plot(page, input, &plot_service, text))
		page_note(
			page,
			!input->plots ? "Pictures were switched off for this report."
			: plot_available()
				? "There is nothing to draw, or gnuplot could not draw it."
				: "gnuplot was not found: this page has no plots. Install gnuplot "
				  "and run \xe2\x80\x9c"
				  "drsim report\xe2\x80\x9d again.");
	put_times(page, record);
	put_requests(page, record);
	page_section_end(page);
}
