/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plot is drawn on: gnuplot commands on one side, the data that they read on the other.
 * Places are pixels from the upper left corner, so that a drawer knows what lies where and no label
 * covers another.
 *
 * A text that comes from a scenario goes into a single-quoted string (canvas_quote) or a comment of
 * the data, never anywhere else: nothing in it can become a command.
 */
#ifndef REPORTS_CANVAS_H
#define REPORTS_CANVAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* A palette that colour-blind people tell apart (Okabe and Ito 2008). */
#define PLOT_BLUE "#0072B2"
#define PLOT_SKY "#56B4E9"
#define PLOT_GREEN "#009E73"
#define PLOT_ORANGE "#E69F00"
#define PLOT_RED "#D55E00"
#define PLOT_PURPLE "#CC79A7"
#define PLOT_GREY "#8A8F98"
/* Texts and what stands out; small print; grids; axes. The page's style sheet knows these. */
#define PLOT_INK "#1C2025"
#define PLOT_SOFT "#525963"
#define PLOT_LINE "#D7DBE1"
#define PLOT_RULE "#8D949E"
#define PLOT_BAD "#A53100" /* letters that say what went wrong: the palette's red is too light */

#define CANVAS_WIDTH 960
#define CANVAS_TEXT 13  /* pixels */
#define CANVAS_SMALL 11 /* small print and the numbers at the axes */
#define CANVAS_TEXT_MAX 512
#define CANVAS_BOXES_MAX 64
#define CANVAS_SIGNS_MAX 16

enum canvas_align {
	ALIGN_LEFT,
	ALIGN_CENTRE,
	ALIGN_RIGHT
};

/* Where the data is drawn, and which values its edges have. */
struct canvas_panel {
	double left, right, top, bottom;
	double x0, x1, y0, y1;
	bool log_y;
};

struct canvas_box {
	double left, right, top, bottom;
};

/* How an entry of the legend looks. */
enum canvas_sign {
	SIGN_LINE,
	SIGN_DASHED,
	SIGN_BAND, /* a tint */
	SIGN_BAR,
	SIGN_POINT,
	SIGN_NONE /* a remark */
};

struct canvas_entry {
	enum canvas_sign sign;
	const char *style; /* a colour; of a point "pt 7 ps 1 lc rgb '#…'" */
	char text[CANVAS_TEXT_MAX];
};

struct canvas {
	FILE *script, *data;
	int height; /* set by the drawer before anything else */
	size_t series;
	bool empty; /* the series that is being written has no row yet */
	struct canvas_panel panel;
	struct canvas_box taken[CANVAS_BOXES_MAX]; /* by texts that others must not cover */
	size_t taken_count;
	struct canvas_entry legend[CANVAS_SIGNS_MAX];
	size_t legend_count;
};

/* ---- data ---- */

/*
 * Begins the next series; returns its index. `name` may come from a scenario; `columns` are the
 * names with units, separated by tabs.
 */
size_t canvas_series(struct canvas *canvas, const char *name, const char *columns);
/* A row of `count` doubles; NAN is written as NaN. */
void canvas_row(struct canvas *canvas, int count, ...);
/* A line that is broken here. */
void canvas_gap(struct canvas *canvas);
/* The last series is complete; canvas_series() does it for those before. */
void canvas_series_end(struct canvas *canvas);

/* ---- texts ---- */

/* How wide the text is at most, in a wide typeface. */
double canvas_text_width(const char *text, double size);
/* The text cut with an ellipsis to fit `width`, without control characters. Returns out. */
const char *canvas_fit(char out[CANVAS_TEXT_MAX], const char *text, double width, double size);
/* A text as a gnuplot string: nothing in it is a command. */
void canvas_quote(FILE *script, const char *text);
/* A text whose middle is at the height y. */
void canvas_text(struct canvas *canvas, double x, double y, enum canvas_align align, double size,
		 const char *colour, const char *text);
void canvas_textf(struct canvas *canvas, double x, double y, enum canvas_align align, double size,
		  const char *colour, const char *format, ...)
	__attribute__((format(printf, 7, 8)));
/* The box of such a text. */
struct canvas_box canvas_text_box(double x, double y, enum canvas_align align, double size,
				  const char *text);
/* Is nothing there? Then it is taken from now on. */
bool canvas_take(struct canvas *canvas, struct canvas_box box);

/* ---- shapes, in pixels ---- */

void canvas_line(struct canvas *canvas, double x0, double y0, double x1, double y1, double width,
		 int dash, const char *colour);
/* The same above the data. */
void canvas_line_front(struct canvas *canvas, double x0, double y0, double x1, double y1,
		       double width, int dash, const char *colour);
/* A filled rectangle behind the data; density 1 is opaque. */
void canvas_rectangle(struct canvas *canvas, struct canvas_box box, const char *colour,
		      double density);

/* ---- panels and axes ---- */

/* Margins and ranges for the next `plot` command. */
void canvas_panel(struct canvas *canvas, const struct canvas_panel *panel);
double canvas_x(const struct canvas *canvas, double value);
double canvas_y(const struct canvas *canvas, double value);
/* Labels, lines and shapes of the panel before are gone. */
void canvas_clear(struct canvas *canvas);

/* A time axis: divide seconds by `scale`; the unit by the span that it shows. */
struct canvas_axis {
	double scale;
	const char *unit;
	double step; /* between two numbers, in units */
};
struct canvas_axis canvas_axis(double span_s);
/* The numbers at the panel's lower edge, and what they are below them. */
void canvas_x_axis(struct canvas *canvas, const struct canvas_axis *axis, const char *title);
/* Durations at the left of a panel with a logarithmic axis of seconds. */
void canvas_duration_tics(struct canvas *canvas);
/* [low, high] widened so that it has a span and begins and ends a little outside, for a logarithmic
 * axis of seconds. */
void canvas_log_range(double *low, double *high);

/* ---- the legend ---- */

void canvas_entry(struct canvas *canvas, enum canvas_sign sign, const char *style,
		  const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The entries from left to right, in as many rows as they need; the first row's middle lies 9
 * pixels below `top`. */
void canvas_legend(struct canvas *canvas, double left, double right, double top);
/* How high it will be. */
double canvas_legend_height(struct canvas *canvas, double left, double right);

#endif
