/* SPDX-License-Identifier: Apache-2.0 */
/* plots/incidents.svg: every incident of a run with several, when it came and how long it took. */
#include <math.h>
#include <string.h>

#include "reports/plot.h"
#include "reports/text.h"
#include "reports/view.h"

#define LEFT 104
#define NAMES 106 /* for the objective at the right */
#define HEIGHT 260
#define CELL 3 /* pixels: of points that cover one another one is enough, beyond CROWD of them */
#define CROWD 2000
#define COLUMNS (CANVAS_WIDTH / CELL)
#define ROWS (HEIGHT / CELL + 1)
#define SHOWN_MIN 3 /* fewer are told by the table */
#define LANE 0.09   /* share of the axis beside it for what has no place on it */

static const struct {
	const char *path, *point;
} paths[] = {
	{"failover", "pt 7 ps 0.7 lc rgb '" PLOT_BLUE "'"},
	{"in_place", "pt 5 ps 0.6 lc rgb '" PLOT_GREEN "'"},
	{"absorbed", "pt 6 ps 0.7 lc rgb '" PLOT_SKY "'"},
	{"false_alarm", "pt 4 ps 0.6 lc rgb '" PLOT_PURPLE "'"},
	{"unrecovered", "pt 2 ps 0.8 lw 1.8 lc rgb '" PLOT_RED "'"},
};

#define PATHS (sizeof(paths) / sizeof(paths[0]))

/* What all incidents span. */
struct extent {
	double low, high;        /* of the FRT above 0, in seconds */
	bool any_zero, any_open; /* took no time; did not end */
	bool flat;               /* no other, and no objective: only lanes */
	double zero, open;       /* where those stand */
	double objective;
	size_t counts[PATHS];
	struct canvas_axis axis;
};

static double time_of(const cJSON *incident)
{
	double fault = view_seconds(incident, "t_fault_ns");

	return isfinite(fault) ? fault : view_seconds(incident, "t_detect_ns");
}

static void set_objective(struct extent *extent, const cJSON *record)
{
	const cJSON *objective;

	extent->objective = NAN;
	cJSON_ArrayForEach (objective, view_get(record, "objectives"))
		if (view_is(objective, "name", "frt") && view_real(objective, "limit") > 0)
			extent->objective = view_real(objective, "limit");
}

static void measure(struct extent *extent, const cJSON *record)
{
	const cJSON *incident;

	*extent = (struct extent){.low = NAN, .high = NAN};
	set_objective(extent, record);
	extent->low = extent->high = extent->objective;
	cJSON_ArrayForEach (incident, view_get(record, "incidents")) {
		double frt = view_seconds(incident, "frt_ns");

		if (isnan(time_of(incident)))
			continue;
		for (size_t i = 0; i < PATHS; i++)
			extent->counts[i] += view_is(incident, "path", paths[i].path);
		if (frt > 0) {
			extent->low = fmin(extent->low, frt);
			extent->high = fmax(extent->high, frt);
		}
		extent->any_zero = extent->any_zero || frt == 0;
		extent->any_open = extent->any_open || isnan(frt);
	}
	extent->flat = isnan(extent->low);
	if (!extent->flat)
		canvas_log_range(&extent->low, &extent->high);
	extent->axis = canvas_axis(view_real(record, "drill.duration_s"));
}

static double place_of(const struct extent *extent, double frt)
{
	return isnan(frt) ? extent->open : frt > 0 ? frt : extent->zero;
}

static void put_data(struct canvas *canvas, const struct extent *extent, const cJSON *record)
{
	bool crowd = cJSON_GetArraySize(view_get(record, "incidents")) > CROWD;
	char columns[128];

	snprintf(columns, sizeof(columns),
		 "time of the fault [%s]\tFRT [s]\theight in the plot [s]", extent->axis.unit);
	for (size_t i = 0; i < PATHS; i++) {
		bool seen[COLUMNS][ROWS] = {{false}};
		const cJSON *incident;

		canvas_series(canvas, paths[i].path, columns);
		cJSON_ArrayForEach (incident, view_get(record, "incidents")) {
			double t = time_of(incident) / extent->axis.scale;
			double frt = view_seconds(incident, "frt_ns");
			double height = place_of(extent, frt);
			size_t column, row;

			if (isnan(t) || !view_is(incident, "path", paths[i].path))
				continue;
			column = (size_t)fmin(fmax(canvas_x(canvas, t) / CELL, 0), COLUMNS - 1);
			row = (size_t)fmin(
				fmax((canvas_y(canvas, height) - canvas->panel.top) / CELL, 0),
				ROWS - 1);
			if (crowd && seen[column][row])
				continue;
			seen[column][row] = true;
			canvas_row(canvas, 3, t, frt, height);
		}
	}
	canvas_series_end(canvas);
}

/* The scale of times, and beside it the lanes of what has no time. */
static void put_scale(struct canvas *canvas, struct extent *extent, struct canvas_panel *panel)
{
	double lane = pow(extent->high / extent->low, LANE);

	panel->y0 = extent->low;
	panel->y1 = extent->high;
	canvas_panel(canvas, panel);
	canvas_duration_tics(canvas);
	extent->open = extent->high * sqrt(lane);
	extent->zero = extent->low / sqrt(lane);
	panel->y1 *= extent->any_open ? lane : 1;
	panel->y0 /= extent->any_zero ? lane : 1;
}

static void put_heights(struct canvas *canvas, struct extent *extent, struct canvas_panel *panel)
{
	if (extent->flat) {
		extent->zero = 1;
		extent->open = 4;
		panel->y0 = extent->any_zero ? 0.5 : 2;
		panel->y1 = extent->any_open ? 8 : 2;
		fputs("unset ytics\n", canvas->script);
	} else {
		put_scale(canvas, extent, panel);
	}
	canvas_panel(canvas, panel);
	if (extent->any_open)
		canvas_text(canvas, LEFT - 10, canvas_y(canvas, extent->open), ALIGN_RIGHT,
			    CANVAS_SMALL, PLOT_BAD, "not recovered");
	if (extent->any_zero)
		canvas_text(canvas, LEFT - 10, canvas_y(canvas, extent->zero), ALIGN_RIGHT,
			    CANVAS_SMALL, PLOT_SOFT, "0 s");
}

static void put_objective(struct canvas *canvas, const struct extent *extent)
{
	char text[WORDS_MAX], words[2 * WORDS_MAX], cut[CANVAS_TEXT_MAX];
	double y, right = canvas->panel.right;

	if (isnan(extent->objective))
		return;
	y = canvas_y(canvas, extent->objective);
	canvas_line_front(canvas, LEFT, y, right + 4, y, 1.4, 2, PLOT_INK);
	canvas_text(canvas, right + 10, y - 7, ALIGN_LEFT, CANVAS_SMALL, PLOT_INK, "objective:");
	snprintf(words, sizeof(words), "at most %s", words_duration(text, extent->objective));
	canvas_text(canvas, right + 10, y + 7, ALIGN_LEFT, CANVAS_SMALL, PLOT_INK,
		    canvas_fit(cut, words, NAMES, CANVAS_SMALL));
}

static void put_plot(struct canvas *canvas, const struct extent *extent)
{
	const char *before = "plot ";

	for (size_t i = 0; i < PATHS; i++) {
		if (extent->counts[i] == 0)
			continue;
		fprintf(canvas->script,
			"%s'incidents.tsv' index %zu using 1:3 with points %s title '%s'", before,
			i, paths[i].point, paths[i].path);
		before = ", ";
	}
	fputc('\n', canvas->script);
}

static bool draw(struct canvas *canvas, const struct report_input *input)
{
	double duration = view_real(input->record, "drill.duration_s"), top;
	struct extent extent;
	struct canvas_panel panel = {.left = LEFT, .right = CANVAS_WIDTH - 14, .log_y = true};
	size_t shown = 0;
	char number[WORDS_MAX], title[64];

	measure(&extent, input->record);
	if (isfinite(extent.objective))
		panel.right -= NAMES;
	for (size_t i = 0; i < PATHS; i++) {
		shown += extent.counts[i];
		if (extent.counts[i] > 0)
			canvas_entry(canvas, SIGN_POINT, paths[i].point, "%s %s", paths[i].path,
				     words_number(number, (double)extent.counts[i]));
	}
	if (shown < SHOWN_MIN || !(duration > 0))
		return false;
	top = 4 + canvas_legend_height(canvas, 12, CANVAS_WIDTH - 12);
	panel.top = top + 26;
	panel.bottom = panel.top + (extent.flat ? 60 : HEIGHT);
	panel.x1 = duration / extent.axis.scale;
	canvas->height = (int)panel.bottom + 50;
	canvas_legend(canvas, 12, CANVAS_WIDTH - 12, 4);
	put_heights(canvas, &extent, &panel);
	put_data(canvas, &extent, input->record);
	put_objective(canvas, &extent);
	canvas_text(canvas, 12, top + 12, ALIGN_LEFT, CANVAS_SMALL, PLOT_SOFT,
		    "FRT of each incident");
	snprintf(title, sizeof(title), "time of the drill [%s]", extent.axis.unit);
	canvas_x_axis(canvas, &extent.axis, title);
	put_plot(canvas, &extent);
	return true;
}

const struct plot plot_incidents = {
	.name = "incidents",
	.title = "All incidents: when they came and how long recovery took",
	.draw = draw,
};
