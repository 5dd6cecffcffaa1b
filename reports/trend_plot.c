/* SPDX-License-Identifier: Apache-2.0 */
/* One measure over the nights as a picture: the nights, the levels, and where they change. */
#include <math.h>
#include <stdlib.h>

#include "core/words.h"
#include "reports/plot.h"
#include "reports/trend_private.h"

#define LEFT 64
#define RIGHT (CANVAS_WIDTH - 16)
#define TOP 58
#define BOTTOM 258
#define HEIGHT 306
#define MARGIN 0.08 /* of the range, above and below */

/* The stretches between changes, with their levels: what was found looking back, or by the gate
 * where there are too few nights to look back. */
static size_t stretches(const struct trend_series *series, const struct change **ret_changes)
{
	bool back = series->series.n >= CHANGE_CHART_NIGHTS;

	*ret_changes = back ? series->points : series->found;
	return back ? series->point_count : series->found_count;
}

static struct canvas_panel panel_of(const struct trend_series *series, struct canvas_axis *ret_axis)
{
	double low = INFINITY, high = 0, range;
	size_t n = series->series.n;

	for (size_t i = 0; i < n; i++) {
		low = fmin(low, series->values[i]);
		high = fmax(high, series->values[i]);
	}
	if (n < CHANGE_CHART_NIGHTS && n >= 2) {
		low = fmin(low, fmax(0, trend_level(series, series->chart.low)));
		high = fmax(high, trend_level(series, series->chart.high));
	}
	range = high > low ? high - low : fmax(high, 1) * 0.2;
	*ret_axis = canvas_axis(high > 0 ? high : 1);
	return (struct canvas_panel){
		.left = LEFT,
		.right = RIGHT,
		.top = TOP,
		.bottom = BOTTOM,
		.x0 = (double)trend_night(series, 0) - 0.5,
		.x1 = (double)trend_night(series, n - 1) + 0.5,
		.y0 = fmax(0, low - MARGIN * range) / ret_axis->scale,
		.y1 = (high + MARGIN * range) / ret_axis->scale,
	};
}

/* Whole nights: 1, 2, 5, 10, 20 … of them, at most twelve numbers at the axis. */
static struct canvas_axis night_axis(double nights)
{
	struct canvas_axis axis = {1, "", 1};

	while (nights / axis.step > 12)
		axis.step *= nights / axis.step > 60 ? 10 : nights / axis.step > 24 ? 5 : 2;
	return axis;
}

static void put_data(struct canvas *canvas, const struct trend_series *series, double scale)
{
	const struct change *changes;
	size_t count = stretches(series, &changes), n = series->series.n, from = 0;

	fputs("$nights << EOD\n", canvas->script);
	for (size_t i = 0; i < n; i++)
		fprintf(canvas->script, "%zu\t%.9g\n", trend_night(series, i),
			series->values[i] / scale);
	fputs("EOD\n$levels << EOD\n", canvas->script);
	for (size_t i = 0; i <= count; i++) {
		size_t to = i < count ? changes[i].at : n;
		double level = 0;

		for (size_t k = from; k < to; k++)
			level += series->series.x[k] / (double)(to - from);
		level = trend_level(series, level) / scale;
		fprintf(canvas->script, "%g\t%.9g\n%g\t%.9g\n\n",
			(double)trend_night(series, from) - 0.5, level,
			(double)trend_night(series, to - 1) + 0.5, level);
		from = to;
	}
	fputs("EOD\n", canvas->script);
}

/* A line where the level changes, and its size above it where there is room. */
static void put_changes(struct canvas *canvas, const struct trend_series *series)
{
	const struct canvas_panel *panel = &canvas->panel;
	const struct change *changes;
	size_t count = stretches(series, &changes);

	for (size_t i = 0; i < count; i++) {
		double x = canvas_x(canvas, (double)trend_night(series, changes[i].at) - 0.5);
		bool worse = changes[i].after > changes[i].before;
		double size = trend_ratio(series, &changes[i]), half, middle;
		const char *colour = worse ? PLOT_BAD : PLOT_SOFT;
		char text[WORDS_MAX];

		canvas_line(canvas, x, panel->top, x, panel->bottom, 1.2, 2, colour);
		if (isfinite(size))
			snprintf(text, sizeof(text), "night %zu: %+.1f %%",
				 trend_night(series, changes[i].at), 100 * size);
		else
			snprintf(text, sizeof(text), "night %zu",
				 trend_night(series, changes[i].at));
		half = canvas_text_width(text, CANVAS_SMALL) / 2;
		middle = fmin(fmax(x, panel->left + half), panel->right - half);
		if (canvas_take(canvas, canvas_text_box(middle, panel->top - 9, ALIGN_CENTRE,
							CANVAS_SMALL, text)))
			canvas_text(canvas, middle, panel->top - 9, ALIGN_CENTRE, CANVAS_SMALL,
				    colour, text);
	}
}

static void put_limits(struct canvas *canvas, const struct trend_series *series, double scale)
{
	const struct canvas_panel *panel = &canvas->panel;
	const double limits[] = {trend_level(series, series->chart.low),
				 trend_level(series, series->chart.high)};

	for (int i = 0; i < 2; i++) {
		double y = canvas_y(canvas, limits[i] / scale);

		if (limits[i] >= 0)
			canvas_line(canvas, panel->left, y, panel->right, y, 1.2, 2, PLOT_INK);
	}
	canvas_entry(canvas, SIGN_DASHED, PLOT_INK, "limits of the control chart");
}

static bool draw(struct canvas *canvas, const void *self)
{
	const struct trend_series *series = self;
	struct canvas_axis axis, nights;
	struct canvas_panel panel;
	const struct change *changes;

	if (series->series.n < 2)
		return false;
	panel = panel_of(series, &axis);
	nights = night_axis(panel.x1 - panel.x0);
	canvas->height = HEIGHT;
	canvas_panel(canvas, &panel);
	put_data(canvas, series, axis.scale);
	canvas_entry(canvas, SIGN_POINT, "pt 7 ps 0.5 lc rgb '" PLOT_SKY "'", "one night");
	canvas_entry(canvas, SIGN_LINE, PLOT_BLUE, "level");
	if (series->series.n < CHANGE_CHART_NIGHTS)
		put_limits(canvas, series, axis.scale);
	if (stretches(series, &changes) > 0)
		canvas_entry(canvas, SIGN_DASHED, PLOT_BAD, "change of the level");
	canvas_legend(canvas, 12, RIGHT, 4);
	put_changes(canvas, series);
	canvas_textf(canvas, 12, TOP - 22, ALIGN_LEFT, CANVAS_SMALL, PLOT_SOFT, "%s [%s]",
		     trend_metric_titles[series->metric], axis.unit);
	canvas_x_axis(canvas, &nights, "night");
	fputs("set ytics autofreq format '%g'\n"
	      "plot $nights using 1:2 with points pt 7 ps 0.5 lc rgb '" PLOT_SKY "', "
	      "$levels using 1:2 with lines lw 2.2 lc rgb '" PLOT_BLUE "'\n",
	      canvas->script);
	return true;
}

char *trend_picture(const struct trend_series *series, const char *name)
{
	return plot_svg(name, draw, series);
}
