/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame of every HTML page of drsim, and the parts that pages are made of. A page is one file
 * without scripts that asks for nothing from outside; it reads well in light and dark, on a phone,
 * on paper, with a keyboard and with a screen reader, as long as it is made of these parts:
 *
 *	page_begin(page, "gpu_loss (SIMULATED)");
 *	page_kind(page, "simulated");
 *	fputs("<h1>…</h1>", page);
 *	page_main(page);
 *	page_section(page, "faults", "Faults");
 *	page_table(page, "What was broken", columns, 2);
 *	page_row(page);
 *	page_row_head(page, "gpu.lost");
 *	page_cell_value(page, 212.4, "s");
 *	page_row_end(page);
 *	page_table_end(page);
 *	page_section_end(page);
 *	page_end(page, "This result comes from a simulation.");
 *
 * Every text is escaped here. An id or a class is the program's own and is not.
 */
#ifndef REPORTS_PAGE_H
#define REPORTS_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* The style sheet, in page_style.c, as parts up to a NULL. Classes for writers: good, bad, open (a
 * word that judges), n (a number's cell), key (a name of the scenario), text (a cell that is read),
 * note (small print), w (never broken over lines). */
extern const char *const page_style[];

/* From the document type to the open <header>. */
void page_begin(FILE *page, const char *title);
/* The same with rules of the page's own, which are written as they are. */
void page_begin_with(FILE *page, const char *title, const char *style);
/* Ends the header and opens <main>. */
void page_main(FILE *page);
/* Ends the main part; the footer says `note`, or nothing but drsim and its version when NULL. */
void page_end(FILE *page, const char *note);

/* SIMULATED or INJECTED as a tag; it stands on top of every page that shows a result. */
void page_kind(FILE *page, const char *kind);
/* Any other tag; `class` is NULL, "good", "bad" or "open". */
void page_tag(FILE *page, const char *class, const char *text);

/* A section with its <h2>; `id` is unique in the page. Inside come <h3>. */
void page_section(FILE *page, const char *id, const char *title);
void page_section_end(FILE *page);
/* A paragraph of small print. */
void page_note(FILE *page, const char *text);

struct page_column {
	const char *name; /* "" where the cells speak for themselves */
	bool number;
};

/*
 * A table in a box of its own, which scrolls sideways where it is too wide and can be reached by
 * keyboard. The caption is shown and names the box: no two of a page are alike.
 */
void page_table(FILE *page, const char *caption, const struct page_column *columns, size_t count);
void page_table_end(FILE *page);
void page_row(FILE *page);
/* The last row, which sums up the others. */
void page_row_total(FILE *page);
void page_row_end(FILE *page);
/* The first cell of a row, which names it. */
void page_row_head(FILE *page, const char *text);
/* A cell of text; `class` may be NULL; "key" is as page_key(). */
void page_cell(FILE *page, const char *class, const char *text);
/* A number by its unit, as of text_value(); the raw value on hover and for programs. */
void page_cell_value(FILE *page, double value, const char *unit);
/* "met", "missed" or "not evaluable" for 1, 0 and -1. */
void page_cell_met(FILE *page, int met);

/* A name of the scenario, such as a target; long ones may be broken behind a slash. */
void page_key(FILE *page, const char *text);
/* The same outside of tables: a value within a text, and one in words of the caller's own. */
void page_value(FILE *page, double value, const char *unit);
void page_value_as(FILE *page, double value, const char *unit, const char *shown);
void page_met(FILE *page, int met);

/*
 * A bar from 0 to `value` with a line at `limit`, the same for values far beyond it. `text` says it
 * for those who do not see it. Nothing is written unless both are numbers and the limit is above 0;
 * an infinite value fills the bar. met: 1, 0 or -1.
 */
void page_bar(FILE *page, double value, double limit, int met, const char *text);

/*
 * A picture: an <svg> comes between begin and end. The caption is shown and names the box, `text`
 * says what there is to see for those who do not see it; NULL when the <svg> has a title and a
 * description of its own.
 */
void page_figure(FILE *page, const char *caption, const char *text);
void page_figure_end(FILE *page);
/*
 * Between them, of a figure with text NULL: the svg element that gnuplot wrote, without its own
 * titles. Its ids get `name` in front, which no other picture of the page has; `text` as of
 * page_figure().
 */
void page_svg(FILE *page, const char *svg, const char *name, const char *text);

#endif
