/* SPDX-License-Identifier: Apache-2.0 */
/* plots/incident.svg: the phases of the headline incident, one on each row, with FRT and BRT as
 * brackets and the objective as a line. */
#include <math.h>
#include <stddef.h>

#include "reports/plot.h"
#include "reports/text.h"
#include "reports/view.h"

#define ROWS_MAX 12
#define ROW_HEIGHT 34
#define BAR_HALF 8 /* pixels */
#define SPACE 12   /* above what comes after the recovery */
#define LEFT 152   /* where the rows begin; their names stand before it */
#define VALUES 138 /* for the durations at the right */
#define HEAD 52    /* above the first row */

struct row {
	const char *name, *marks, *colour; /* colour NULL: a bracket over the rows below it */
	double begin, end;                 /* seconds since t_fault; end NAN: it did not end */
	bool inner, after;                 /* a part of BRT; not a part of FRT */
};

struct chart {
	struct row rows[ROWS_MAX];
	size_t count;
	double limit; /* right end of the axis, seconds since t_fault */
	double objective;
	struct canvas_axis axis;
};

/* A mark in seconds since t_fault, NAN when it was not reached. */
static double since(const cJSON *incident, const char *mark)
{
	return view_seconds(incident, mark) - view_seconds(incident, "t_fault_ns");
}

static void add(struct chart *chart, const struct row *row)
{
	bool open = isnan(row->end);

	if (isfinite(row->begin) && (open || row->end >= row->begin))
		chart->rows[chart->count++] = *row;
}

/* A phase that needs both of its ends. */
static void add_whole(struct chart *chart, const struct row *row)
{
	if (isfinite(row->end))
		add(chart, row);
}

static void collect_recovery(struct chart *chart, const cJSON *incident)
{
	double detect = since(incident, "t_detect_ns"), restored = since(incident, "t_restored_ns");
	double switching = since(incident, "t_switch_begin_ns"),
	       switched = since(incident, "t_switched_ns");
	double data = since(incident, "t_data_begin_ns"),
	       usable = since(incident, "t_data_restored_ns");
	double begin = fmin(switching, data), ready = fmax(switched, usable);
	bool failover = isfinite(view_real(incident, "brt_ns"));

	/* fmin and fmax pass over a mark that is missing. */
	add(chart, &(struct row){"FRT", "fault to restored", NULL, 0,
				 view_seconds(incident, "frt_ns"), false, false});
	add_whole(chart, &(struct row){"Detection", "fault to detected", PLOT_ORANGE, 0, detect,
				       false, false});
	if (isfinite(view_real(incident, "decision_ns")))
		add_whole(chart, &(struct row){"Decision", "detected to begin", PLOT_PURPLE, detect,
					       begin, false, false});
	if (failover)
		add(chart,
		    &(struct row){"BRT", "begin to ready", NULL, begin, ready, false, false});
	add(chart, &(struct row){"Switch", "traffic moved, fenced", PLOT_SKY, switching, switched,
				 failover, false});
	add(chart, &(struct row){"Data recovery", "data usable again", PLOT_BLUE, data, usable,
				 failover, false});
	if (isfinite(view_real(incident, "readiness_ns")))
		add_whole(chart, &(struct row){"Readiness", "ready to restored", PLOT_GREEN, ready,
					       restored, false, false});
}

static void collect_rest(struct chart *chart, const cJSON *incident)
{
	double detect = since(incident, "t_detect_ns"), restored = since(incident, "t_restored_ns");
	double usable = since(incident, "t_data_restored_ns"),
	       diagnosed = since(incident, "t_diagnosed_ns");

	add_whole(chart, &(struct row){"Verification", "data compared", PLOT_GREY,
				       isnan(usable) ? restored : usable,
				       since(incident, "t_verified_ns"), false, true});
	add_whole(chart, &(struct row){"Diagnosis", "detected to named", PLOT_GREY, detect,
				       diagnosed, false, true});
	add_whole(chart, &(struct row){"Repair", "component fixed", PLOT_GREY,
				       isnan(diagnosed) ? detect : diagnosed,
				       since(incident, "t_repaired_ns"), false, true});
	add(chart, &(struct row){"Failback", "to normal again", PLOT_GREY,
				 since(incident, "t_failback_ns"), since(incident, "t_normal_ns"),
				 false, true});
}

/* The recovery is the subject: a repair that takes days may run out of the picture, the phases of
 * FRT may not. Without a recovery it is all the rest of the drill. */
static void set_limit(struct chart *chart, const cJSON *record, const cJSON *incident)
{
	double frt = view_seconds(incident, "frt_ns");
	double rest = view_real(record, "drill.duration_s") - view_seconds(incident, "t_fault_ns");
	double last = isfinite(frt) ? frt : rest;
	const cJSON *objective;

	for (size_t i = 0; i < chart->count; i++)
		last = fmax(last, chart->rows[i].end);
	if (isfinite(frt) && frt > 0 && last > 4 * frt)
		last = 2.2 * frt;
	chart->objective = NAN;
	cJSON_ArrayForEach (objective, view_get(record, "objectives"))
		if (view_is(objective, "name", "frt"))
			chart->objective = view_real(objective, "limit");
	/* The objective belongs into the picture unless it would press everything else flat. */
	if (chart->objective < 4 * last)
		last = fmax(last, 1.04 * chart->objective);
	chart->limit = last > 0 ? last : 1;
	chart->axis = canvas_axis(chart->limit);
}

static double top_of(const struct chart *chart, size_t index)
{
	bool space = chart->rows[index].after && !chart->rows[0].after;

	return HEAD + (double)index * ROW_HEIGHT + (space ? SPACE : 0);
}

static void put_names(struct canvas *canvas, const struct row *row, double y)
{
	canvas_text(canvas, row->inner ? LEFT - 124 : LEFT - 140, y - 6, ALIGN_LEFT, CANVAS_TEXT,
		    row->after ? PLOT_SOFT : PLOT_INK, row->name);
	canvas_text(canvas, row->inner ? LEFT - 124 : LEFT - 140, y + 8, ALIGN_LEFT,
		    CANVAS_SMALL - 1, PLOT_SOFT, row->marks);
}

/* A measure as a line with an end at each side. */
static void put_bracket(struct canvas *canvas, const struct chart *chart, const struct row *row,
			double y)
{
	bool open = isnan(row->end);
	double left = canvas_x(canvas, row->begin / chart->axis.scale);
	double right = canvas_x(canvas, (open ? chart->limit : row->end) / chart->axis.scale);

	canvas_line_front(canvas, left, y, right, y, 1.6, open ? 2 : 1, open ? PLOT_RED : PLOT_INK);
	canvas_line_front(canvas, left, y - 5, left, y + 5, 1.6, 1, open ? PLOT_RED : PLOT_INK);
	if (!open)
		canvas_line_front(canvas, right, y - 5, right, y + 5, 1.6, 1, PLOT_INK);
}

/* As exactly as there is room. */
static const char *short_duration(char out[WORDS_MAX], double seconds)
{
	words_duration_exact(out, seconds);
	return canvas_text_width(out, CANVAS_TEXT) <= VALUES - 16 ? out
								  : words_duration(out, seconds);
}

static void put_value(struct canvas *canvas, const struct chart *chart, const struct row *row,
		      double y)
{
	double right = CANVAS_WIDTH - 12;
	bool bold = !row->inner && !row->after;
	char text[WORDS_MAX];

	if (isnan(row->end))
		canvas_text(canvas, right, y, ALIGN_RIGHT, CANVAS_TEXT, PLOT_BAD,
			    row->colour ? "did not end" : "not recovered");
	else
		canvas_text(canvas, right, y, ALIGN_RIGHT, CANVAS_TEXT, bold ? PLOT_INK : PLOT_SOFT,
			    short_duration(text, row->end - row->begin));
	/* What lies beyond the right edge says when it begins. */
	if (row->begin > chart->limit)
		canvas_textf(canvas, canvas->panel.right - 6, y, ALIGN_RIGHT, CANVAS_SMALL,
			     PLOT_SOFT, "%s after the fault \xe2\x80\xba",
			     words_duration(text, row->begin));
	else if (row->end > chart->limit)
		canvas_text(canvas, canvas->panel.right + 3, y, ALIGN_LEFT, CANVAS_TEXT, PLOT_SOFT,
			    "\xe2\x80\xba");
}

/* Bars come from the data, in pixels above the axis, so that all are equally high. */
static void put_data(struct canvas *canvas, const struct chart *chart)
{
	double scale = chart->axis.scale;

	for (size_t i = 0; i < chart->count; i++) {
		const struct row *row = &chart->rows[i];
		bool open = isnan(row->end);
		char columns[64];

		snprintf(columns, sizeof(columns), "begin [%s]\tend [%s]\trow [px]",
			 chart->axis.unit, chart->axis.unit);
		canvas_series(canvas, row->name, columns);
		if (row->begin <= chart->limit)
			canvas_row(canvas, 3, row->begin / scale,
				   (open ? chart->limit : row->end) / scale,
				   canvas->panel.bottom - top_of(chart, i) - ROW_HEIGHT / 2.0);
	}
	canvas_series_end(canvas);
}

static void put_plot(struct canvas *canvas, const struct chart *chart)
{
	const char *before = "plot ";

	for (size_t i = 0; i < chart->count; i++) {
		const struct row *row = &chart->rows[i];

		if (!row->colour)
			continue;
		/* The line at its begin shows a phase that took no time, too. */
		fprintf(canvas->script,
			"%s'incident.tsv' index %zu using 1:3:1:2:($3-%d):($3+%d) with boxxyerror "
			"fs %s lc rgb '%s' title '%s', '' index %zu using 1:($3-%d):(0):(%d) with "
			"vectors nohead lw 2 lc rgb '%s' title '%s'",
			before, i, BAR_HALF, BAR_HALF,
			isnan(row->end) ? "transparent solid 0.3 noborder" : "solid 1 noborder",
			row->colour, row->name, i, BAR_HALF, 2 * BAR_HALF, row->colour, row->name);
		before = ", ";
	}
	if (*before == 'p')
		fputs("plot NaN notitle lc rgb '" PLOT_INK "'", canvas->script);
	fputc('\n', canvas->script);
}

/* The objective of FRT as a line over all rows of it, with its name on top. */
static void put_objective(struct canvas *canvas, const struct chart *chart)
{
	double x = canvas_x(canvas, chart->objective / chart->axis.scale), width, bottom = HEAD;
	char text[WORDS_MAX], label[2 * WORDS_MAX];

	if (isnan(chart->objective))
		return;
	for (size_t i = 0; i < chart->count; i++)
		bottom += chart->rows[i].after ? 0 : ROW_HEIGHT;
	snprintf(label, sizeof(label), "objective: FRT at most %s",
		 words_duration(text, chart->objective));
	width = canvas_text_width(label, CANVAS_SMALL);
	if (chart->objective > chart->limit) {
		canvas_textf(canvas, canvas->panel.right, HEAD - 14, ALIGN_RIGHT, CANVAS_SMALL,
			     PLOT_SOFT, "%s, beyond the right edge \xe2\x80\xba", label);
		return;
	}
	canvas_line_front(canvas, x, HEAD - 3, x, bottom, 1.4, 2, PLOT_INK);
	canvas_text(canvas, fmin(fmax(x, LEFT + width / 2), CANVAS_WIDTH - 8 - width / 2),
		    HEAD - 14, ALIGN_CENTRE, CANVAS_SMALL, PLOT_INK, label);
}

/* What broke, above everything. */
static void put_head(struct canvas *canvas, const cJSON *record, const cJSON *incident)
{
	int count = cJSON_GetArraySize(view_get(record, "incidents"));
	char text[CANVAS_TEXT_MAX], cut[CANVAS_TEXT_MAX];

	snprintf(text, sizeof(text), "%.200s%s%.200s", view_text_or(incident, "fault", "no fault"),
		 view_text(incident, "target") ? " on " : "", view_text_or(incident, "target", ""));
	canvas_fit(cut, text, 620, CANVAS_TEXT);
	canvas_text(canvas, 12, 14, ALIGN_LEFT, CANVAS_TEXT, PLOT_INK, cut);
	snprintf(text, sizeof(text), "path: %.40s", view_text_or(incident, "path", "?"));
	if (count > 1)
		snprintf(text, sizeof(text), "path: %.40s; the worst of %d incidents",
			 view_text_or(incident, "path", "?"), count);
	canvas_text(canvas, CANVAS_WIDTH - 12, 14, ALIGN_RIGHT, CANVAS_SMALL, PLOT_SOFT, text);
}

static void draw_chart(struct canvas *canvas, const struct chart *chart, const cJSON *incident)
{
	double bottom = top_of(chart, chart->count - 1) + ROW_HEIGHT + 4;
	struct canvas_panel panel = {LEFT, CANVAS_WIDTH - 12 - VALUES,
				     HEAD, bottom,
				     0,    chart->limit * 1.01 / chart->axis.scale,
				     0,    bottom - HEAD,
				     false};
	char text[WORDS_MAX], title[2 * WORDS_MAX];

	canvas->height = (int)bottom + 50;
	canvas_panel(canvas, &panel);
	put_data(canvas, chart);
	for (size_t i = 0; i < chart->count; i++) {
		double y = top_of(chart, i) + ROW_HEIGHT / 2.0;

		put_names(canvas, &chart->rows[i], y);
		put_value(canvas, chart, &chart->rows[i], y);
		if (!chart->rows[i].colour)
			put_bracket(canvas, chart, &chart->rows[i], y);
	}
	put_objective(canvas, chart);
	fputs("unset ytics\nset grid noytics xtics\n", canvas->script);
	snprintf(title, sizeof(title),
		 "time since the fault [%s]; the fault came %s into the drill", chart->axis.unit,
		 words_duration(text, view_seconds(incident, "t_fault_ns")));
	canvas_x_axis(canvas, &chart->axis, title);
}

static bool draw(struct canvas *canvas, const struct report_input *input)
{
	const cJSON *incident = view_headline(input->record);
	struct chart chart = {0};

	if (!incident || isnan(view_real(incident, "t_fault_ns")))
		return false;
	collect_recovery(&chart, incident);
	collect_rest(&chart, incident);
	if (chart.count <= 1 && view_seconds(incident, "frt_ns") == 0)
		return false; /* nothing took any time */
	set_limit(&chart, input->record, incident);
	draw_chart(canvas, &chart, incident);
	put_head(canvas, input->record, incident);
	put_plot(canvas, &chart);
	return true;
}

const struct plot plot_incident = {
	.name = "incident",
	.title = "The incident with the largest FRT: what took how long",
	.draw = draw,
};
