/* SPDX-License-Identifier: Apache-2.0 */
/* The frame of every HTML page of drsim, and the parts that pages are made of. */
#include "reports/page.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/timeline.h"
#include "reports/text.h"

#ifndef DRSIM_VERSION
#define DRSIM_VERSION "unknown"
#endif

#define WIDE 6 /* more columns than these get smaller type on paper */

/* ---- the frame ---- */

void page_begin(FILE *page, const char *title)
{
	page_begin_with(page, title, "");
}

void page_begin_with(FILE *page, const char *title, const char *style)
{
	/* The policy keeps a browser from loading anything, whatever a name in the page pretends to
	 * be. */
	fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
	      "<meta name=\"color-scheme\" content=\"light dark\">\n"
	      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	      "style-src 'unsafe-inline'\">\n<title>",
	      page);
	text_escape(page, title);
	fputs(" \xc2\xb7 drsim</title>\n<style>", page);
	for (size_t i = 0; page_style[i]; i++)
		fputs(page_style[i], page);
	fprintf(page,
		"%s</style></head>\n<body>\n"
		"<a class=\"skip\" href=\"#main\">Skip to the details</a>\n<header>\n",
		style);
}

void page_main(FILE *page)
{
	fputs("</header>\n<main id=\"main\" tabindex=\"-1\">\n", page);
}

void page_end(FILE *page, const char *note)
{
	fputs("</main>\n<footer><p>", page);
	if (note) {
		text_escape(page, note);
		fputc(' ', page);
	}
	fputs("drsim ", page);
	text_escape(page, DRSIM_VERSION);
	fputs("</p></footer>\n</body></html>\n", page);
}

void page_kind(FILE *page, const char *kind)
{
	bool injected = kind && strcmp(kind, "injected") == 0;

	fprintf(page, "<span class=\"tag kind\">%s</span>\n", injected ? "INJECTED" : "SIMULATED");
}

void page_tag(FILE *page, const char *class, const char *text)
{
	fprintf(page, "<span class=\"tag%s%s\">", class ? " is-" : "", class ? class : "");
	text_escape(page, text);
	fputs("</span>\n", page);
}

void page_section(FILE *page, const char *id, const char *title)
{
	fprintf(page, "<section aria-labelledby=\"%s\">\n<h2 id=\"%s\">", id, id);
	text_escape(page, title);
	fputs("</h2>\n", page);
}

void page_section_end(FILE *page)
{
	fputs("</section>\n", page);
}

void page_note(FILE *page, const char *text)
{
	fputs("<p class=\"note\">", page);
	text_escape(page, text);
	fputs("</p>\n", page);
}

/* A long name may be broken behind a slash, and nowhere else. */
static void put_key(FILE *page, const char *text)
{
	char part[128];

	while (text && strchr(text, '/')) {
		int length = (int)strcspn(text, "/") + 1;

		if (snprintf(part, sizeof(part), "%.*s", length, text) >= (int)sizeof(part))
			break; /* nobody's name */
		text_escape(page, part);
		fputs("<wbr>", page);
		text += length;
	}
	text_escape(page, text);
}

void page_key(FILE *page, const char *text)
{
	fputs("<span class=\"key\">", page);
	put_key(page, text);
	fputs("</span>", page);
}

/* ---- tables ---- */

/* A box that scrolls has to be reached by keyboard, and then has to say what it is. */
static void box(FILE *page, const char *label)
{
	fputs("<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"", page);
	text_escape(page, label);
	fputs("\">\n", page);
}

void page_table(FILE *page, const char *caption, const struct page_column *columns, size_t count)
{
	box(page, caption);
	fputs(count > WIDE ? "<table class=\"wide\"><caption>" : "<table><caption>", page);
	text_escape(page, caption);
	fputs("</caption>\n<thead><tr>", page);
	for (size_t i = 0; i < count; i++) {
		if (!*columns[i].name) { /* a heading without text is none */
			fputs("<td></td>", page);
			continue;
		}
		fputs(columns[i].number ? "<th scope=\"col\" class=\"n\">" : "<th scope=\"col\">",
		      page);
		text_escape(page, columns[i].name);
		fputs("</th>", page);
	}
	fputs("</tr></thead><tbody>\n", page);
}

void page_table_end(FILE *page)
{
	fputs("</tbody></table></div>\n", page);
}

void page_row(FILE *page)
{
	fputs("<tr>", page);
}

void page_row_total(FILE *page)
{
	fputs("<tr class=\"total\">", page);
}

void page_row_end(FILE *page)
{
	fputs("</tr>\n", page);
}

void page_row_head(FILE *page, const char *text)
{
	fputs("<th scope=\"row\">", page);
	text_escape(page, text);
	fputs("</th>", page);
}

void page_cell(FILE *page, const char *class, const char *text)
{
	if (class)
		fprintf(page, "<td class=\"%s\">", class);
	else
		fputs("<td>", page);
	if (class && strcmp(class, "key") == 0)
		put_key(page, text);
	else
		text_escape(page, text);
	fputs("</td>", page);
}

void page_cell_value(FILE *page, double value, const char *unit)
{
	fputs("<td class=\"n\">", page);
	page_value(page, value, unit);
	fputs("</td>", page);
}

void page_cell_met(FILE *page, int met)
{
	fputs("<td>", page);
	page_met(page, met);
	fputs("</td>", page);
}

/* ---- values ---- */

void page_value_as(FILE *page, double value, const char *unit, const char *shown)
{
	char raw[REAL_TEXT_MAX];
	/* A fraction or a count has no unit that could be written behind it. */
	bool bare = !*unit || strcmp(unit, "fraction") == 0 || strcmp(unit, "ratio") == 0 ||
		    strcmp(unit, "count") == 0;

	if (isnan(value)) {
		fputs("<span aria-hidden=\"true\">" WORDS_NONE
		      "</span><span class=\"unseen\">none</span>",
		      page);
		return;
	}
	if (isinf(value)) { /* no JSON number, and none here */
		text_escape(page, shown);
		return;
	}
	real_text(raw, value);
	fprintf(page, "<data value=\"%s\" title=\"%s%s", raw, raw, bare ? "" : " ");
	text_escape(page, bare ? "" : unit);
	fputs("\">", page);
	text_escape(page, shown);
	fputs("</data>", page);
}

void page_value(FILE *page, double value, const char *unit)
{
	char text[WORDS_MAX];

	page_value_as(page, value, unit, text_value(text, value, unit));
}

void page_met(FILE *page, int met)
{
	fprintf(page, "<span class=\"%s\">%s</span>",
		met > 0    ? "good"
		: met == 0 ? "bad"
			   : "open",
		met > 0    ? "met"
		: met == 0 ? "missed"
			   : "not evaluable");
}

/* ---- pictures ---- */

void page_bar(FILE *page, double value, double limit, int met, const char *text)
{
	double whole, mark;

	if (isnan(value) || !(limit > 0) || isinf(limit))
		return;
	/* The limit stands at four fifths, unless the value needs the room. */
	whole = fmax(limit * 1.25, isinf(value) ? 0 : value);
	mark = 100 * limit / whole;
	fputs("<svg class=\"bar\" viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" "
	      "role=\"img\" aria-label=\"",
	      page);
	text_escape(page, text);
	fprintf(page,
		"\"><rect class=\"track\" width=\"100\" height=\"10\"/>"
		"<rect class=\"is-%s\" width=\"%.2f\" height=\"10\"/>"
		"<path class=\"limit\" d=\"M%.2f 0V10\"/></svg>\n",
		met > 0    ? "good"
		: met == 0 ? "bad"
			   : "open",
		isinf(value) ? 100 : fmax(100 * value / whole, 0), mark);
}

void page_figure(FILE *page, const char *caption, const char *text)
{
	fputs("<figure><figcaption>", page);
	text_escape(page, caption);
	fputs("</figcaption>\n", page);
	box(page, caption);
	fputs("<div class=\"picture\"", page);
	if (text) {
		fputs(" role=\"img\" aria-label=\"", page);
		text_escape(page, text);
		fputc('"', page);
	}
	fputs(">\n", page);
}

void page_figure_end(FILE *page)
{
	fputs("</div></div></figure>\n", page);
}

/* ---- pictures of gnuplot ---- */

/* Does `text` go on with the start of an id or of a reference to one? Returns the length of that
 * start. */
static size_t id_start(const char *text)
{
	static const char *const starts[] = {" id='", " id=\"", "href='#", "href=\"#", "url(#"};

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (strncmp(text, starts[i], strlen(starts[i])) == 0)
			return strlen(starts[i]);
	return 0;
}

/* How long the element is that begins here, when it is the title or the description of a picture:
 * these hold gnuplot's names of its curves. The page has words of its own. */
static size_t words_length(const char *at)
{
	static const char *const ends[][2] = {{"<title>", "</title>"}, {"<desc>", "</desc>"}};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		const char *end;

		if (strncmp(at, ends[i][0], strlen(ends[i][0])) != 0)
			continue;
		end = strstr(at, ends[i][1]);
		return end ? (size_t)(end - at) + strlen(ends[i][1]) : 0;
	}
	return 0;
}

void page_svg(FILE *page, const char *svg, const char *name, const char *text)
{
	const char *at = strstr(svg, "<svg");

	fputs("<svg role=\"img\" aria-label=\"", page);
	text_escape(page, text);
	fputc('"', page);
	for (at += strlen("<svg"); *at;) {
		size_t words = words_length(at), start = words > 0 ? 0 : id_start(at);

		at += words;
		if (words > 0)
			continue;
		fwrite(at, 1, start > 0 ? start : 1, page);
		if (start > 0)
			fprintf(page, "%s-", name);
		at += start > 0 ? start : 1;
	}
}
