/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pictures of a run, drawn by gnuplot, an optional program. Each plot leaves three files beside one
 * another: plots/NAME.gp, plots/NAME.tsv which it reads, and plots/NAME.svg. The first two are
 * written without gnuplot too; `cd plots && gnuplot NAME.gp` makes the third again, byte by byte.
 */
#ifndef REPORTS_PLOT_H
#define REPORTS_PLOT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/report.h"
#include "reports/canvas.h"

#define PLOT_TIMEOUT_S 30               /* gnuplot is ended after this */
#define PLOT_SIZE_MAX ((size_t)8 << 20) /* bytes of one picture */
#define PLOT_POINTS_MAX 1000 /* of one curve, one a pixel; past it each keeps its worst value */

struct plot {
	const char *name, *title; /* plots/NAME.svg; the caption in the page */
	/* Writes commands and data; false when the run has nothing to draw. */
	bool (*draw)(struct canvas *canvas, const struct report_input *input);
};

extern const struct plot plot_incident, plot_service, plot_backups, plot_ecdf, plot_incidents,
	plot_jobs;
extern const struct plot *const plot_table[]; /* NULL-terminated, in the order of the page */

/* Is there a gnuplot on PATH? */
bool plot_available(void);

/*
 * A picture of no run, and of no folder: what `draw` writes holds its data in itself (a named data
 * block). The SVG, for free(); NULL without gnuplot, or when there is nothing to draw.
 */
char *plot_svg(const char *name, bool (*draw)(struct canvas *canvas, const void *self),
	       const void *self);

/*
 * CSS for a page that holds the pictures inline in an element of class "picture": texts, axes and
 * grids take the page's variables --ink, --soft, --line, --rule and --paper, so that they follow it
 * into the dark.
 */
extern const char plot_style[];

#endif
