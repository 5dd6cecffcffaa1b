/* SPDX-License-Identifier: Apache-2.0 */
/* report.html: one file that needs nothing else; styles and pictures are in it, there are no
 * scripts. */
#include "reports/html.h"

#include <stdlib.h>
#include <string.h>

#include "reports/file.h"
#include "reports/page.h"
#include "reports/table.h"
#include "reports/text.h"
#include "reports/view.h"

#define PICTURE_MAX ((size_t)1 << 20) /* bytes of a plot within the page */
#define TITLE_MAX 256

const cJSON *html_objective(const cJSON *record, const char *name)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, view_get(record, "objectives"))
		if (view_is(item, "name", name))
			return item;
	return NULL;
}

void html_cut(FILE *page, const struct ranked *ranked, const char *what, const char *which)
{
	char shown[WORDS_MAX], total[WORDS_MAX], text[512];

	if (ranked->count == ranked->total)
		return;
	words_number(shown, (double)ranked->count);
	words_number(total, (double)ranked->total);
	snprintf(text, sizeof(text),
		 "These are %.32s of %.32s %.64s, %.128s. All of them are in record.json, with "
		 "every event in events.jsonl.",
		 shown, total, what, which);
	page_note(page, text);
}

/* ---- plots ---- */

/* The file as text, to free(); NULL when it is not there, with *ret_large when it is too large. */
static char *read_plot(const char *dir, const char *file_name, bool *ret_large)
{
	char path[REPORT_PATH_MAX], *text;
	size_t size;
	FILE *file;

	*ret_large = false;
	if (report_path(path, dir, file_name, NULL))
		return NULL;
	file = fopen(path, "re");
	text = file ? malloc(PICTURE_MAX + 1) : NULL;
	if (text) {
		size = fread(text, 1, PICTURE_MAX + 1, file);
		*ret_large = size > PICTURE_MAX;
		text[size <= PICTURE_MAX ? size : 0] = '\0';
	}
	if (file)
		fclose(file);
	return text;
}

bool html_plot(FILE *page, const struct report_input *input, const struct plot *plot,
	       const char *text)
{
	char name[64], *svg;
	bool whole, large = false;

	snprintf(name, sizeof(name), "plots/%s.svg", plot->name);
	svg = input->plots ? read_plot(input->out_dir, name, &large) : NULL;
	whole = svg && strstr(svg, "<svg") && strstr(svg, "</svg>");
	if (whole) {
		page_figure(page, plot->title, NULL);
		page_svg(page, svg, plot->name, text);
		page_figure_end(page);
	}
	if (large)
		fprintf(page,
			"<p class=\"note\">%s: the picture is too large for this page, see "
			"<span class=\"key\">%s</span>.</p>\n",
			plot->title, name);
	free(svg);
	return whole || large;
}

/* ---- the page ---- */

static void put_title(FILE *page, const cJSON *record)
{
	char title[TITLE_MAX];

	snprintf(title, sizeof(title), "%.128s: %.32s (%s%s)",
		 view_text_or(record, "drill.name", "drill"),
		 view_text_or(record, "verdict", "unknown"),
		 view_is(record, "drill.kind", "injected") ? "INJECTED" : "SIMULATED",
		 view_bool(record, "drill.sham") > 0 ? ", sham" : "");
	page_begin_with(page, title, plot_style);
}

static int write_report(const struct report_input *input, struct error *e)
{
	const cJSON *record = input->record;
	struct report_file out;
	FILE *page;

	if (report_file_begin(&out, input->out_dir, "report.html", e))
		return -1;
	page = out.file;
	put_title(page, record);
	html_top(page, record);
	page_main(page);
	html_objectives(page, record);
	html_campaign(page, input);
	html_incident(page, input);
	html_client(page, input);
	html_backups(page, input);
	html_measured(page, record);
	html_jobs(page, input);
	html_faults(page, record);
	html_findings(page, record);
	html_residue(page, record);
	html_drill(page, record);
	html_not_shown(page, record);
	html_repeat(page, record);
	html_terms(page);
	page_end(page, view_is(record, "drill.kind", "injected")
			       ? "INJECTED: faults were injected into a real system."
			       : "SIMULATED: this result comes from a simulation. It is not a test "
				 "of a real system.");
	return report_file_end(&out, 0, e);
}

const struct report_ops report_html = {
	.name = "html",
	.file = "report.html",
	.help = "one self-contained page for people",
	.write = write_report,
};
