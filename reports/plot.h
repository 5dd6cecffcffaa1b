/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures drawn by gnuplot, an optional program: each plot writes a script, one runner draws it.
 */
#ifndef REPORTS_PLOT_H
#define REPORTS_PLOT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/report.h"

#define PLOT_TIMEOUT_S 30                /* gnuplot is ended after this */
#define PLOT_SIZE_MAX ((size_t)32 << 20) /* bytes of one picture */
#define PLOT_POINTS_MAX 4000 /* of one curve; past it each pixel keeps its worst value */

/* A palette that colour-blind people tell apart (Okabe and Ito 2008), ordered by lightness where it
 * matters. */
#define PLOT_BLUE "#0072B2"
#define PLOT_SKY "#56B4E9"
#define PLOT_GREEN "#009E73"
#define PLOT_ORANGE "#E69F00"
#define PLOT_RED "#D55E00"
#define PLOT_PURPLE "#CC79A7"
#define PLOT_GREY "#8A8F98"
#define PLOT_INK "#22262B"

struct plot {
	const char *name, *title; /* plots/NAME.svg; the caption in the page */
	int width, height;        /* pixels */
	/* Writes gnuplot commands but for the terminal; false when the run has nothing to draw. */
	bool (*draw)(FILE *script, const struct report_input *input);
};

extern const struct plot plot_incident, plot_service, plot_backups, plot_ecdf;
extern const struct plot *const plot_table[]; /* NULL-terminated, in the order of the page */

/* Is there a gnuplot on PATH? */
bool plot_available(void);

/* A time axis: divide seconds by `scale`; "s", "min", "h" or "d" by the span it shows. */
struct plot_axis {
	double scale;
	const char *unit;
};
struct plot_axis plot_axis(double span_s);

/* A text as a gnuplot string: quoted so that nothing in it is a command, cut at 90 characters. */
void plot_quote(FILE *script, const char *text);
/* The same for a formatted text of at most 250 bytes. */
void plot_quotef(FILE *script, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A dashed vertical line at x over the whole panel. */
void plot_vertical(FILE *script, double x, const char *colour);
/* A shaded band between x0 and x1 behind the curves. */
void plot_band(FILE *script, double x0, double x1, const char *colour, double density);

#endif
