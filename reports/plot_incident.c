/* SPDX-License-Identifier: Apache-2.0 */
/* plots/incident.svg: the phases of the headline incident on rows, with FRT and BRT as brackets
 * above them. */
#include <math.h>
#include <stddef.h>

#include "reports/plot.h"
#include "reports/text.h"
#include "reports/view.h"

#define ROWS_MAX 12

struct row {
	const char *label, *colour;
	double begin, end; /* seconds since t_fault */
};

struct chart {
	struct row rows[ROWS_MAX];
	size_t count;
	double limit; /* right end of the axis, seconds since t_fault */
	struct plot_axis axis;
};

/* A mark in seconds since t_fault, NAN when it was not reached. */
static double since(const cJSON *incident, const char *mark)
{
	return view_seconds(incident, mark) - view_seconds(incident, "t_fault_ns");
}

static void add(struct chart *chart, const char *label, const char *colour, double begin,
		double end)
{
	if (isfinite(begin) && isfinite(end) && end >= begin)
		chart->rows[chart->count++] = (struct row){label, colour, begin, end};
}

static void collect(struct chart *chart, const cJSON *incident)
{
	double detect = since(incident, "t_detect_ns"), restored = since(incident, "t_restored_ns");
	double switching = since(incident, "t_switch_begin_ns"),
	       switched = since(incident, "t_switched_ns");
	double data = since(incident, "t_data_begin_ns"),
	       usable = since(incident, "t_data_restored_ns");
	double diagnosed = since(incident, "t_diagnosed_ns"),
	       repaired = since(incident, "t_repaired_ns");

	add(chart, "Detection", PLOT_ORANGE, 0, detect);
	/* fmin and fmax pass over a mark that is missing. */
	if (isfinite(view_real(incident, "decision_ns")))
		add(chart, "Decision", PLOT_GREY, detect, fmin(switching, data));
	add(chart, "Switch", PLOT_SKY, switching, switched);
	add(chart, "Data recovery", PLOT_BLUE, data, usable);
	if (isfinite(view_real(incident, "readiness_ns")))
		add(chart, "Readiness", PLOT_GREEN, fmax(switched, usable), restored);
	add(chart, "Verify", PLOT_PURPLE, isnan(usable) ? restored : usable,
	    since(incident, "t_verified_ns"));
	add(chart, "Diagnose", PLOT_ORANGE, detect, diagnosed);
	add(chart, "Repair", PLOT_RED, isnan(diagnosed) ? detect : diagnosed, repaired);
	add(chart, "Failback", PLOT_GREY, since(incident, "t_failback_ns"),
	    since(incident, "t_normal_ns"));
}

/* The recovery is the subject: a repair that takes days may run out of the picture, the phases of
 * FRT may not. Without a recovery it is all the rest of the drill. */
static void set_limit(struct chart *chart, const cJSON *record, const cJSON *incident)
{
	double frt = view_seconds(incident, "frt_ns");
	double rest = view_real(record, "drill.duration_s") - view_seconds(incident, "t_fault_ns");
	double last = isfinite(frt) ? frt : rest;

	for (size_t i = 0; i < chart->count; i++)
		last = fmax(last, chart->rows[i].end);
	if (isfinite(frt) && frt > 0 && last > 4 * frt)
		last = 2.2 * frt;
	chart->limit = last > 0 ? last : 1;
	chart->axis = plot_axis(chart->limit);
}

static void draw_row(FILE *script, const struct chart *chart, const struct row *row, double y)
{
	double scale = chart->axis.scale, end = fmin(row->end, chart->limit);
	double half = fmin(0.3, 0.06 * (double)chart->count); /* few rows: no fat bars */
	bool out = row->begin > chart->limit, left = end > 0.72 * chart->limit;
	char text[WORDS_MAX], from[WORDS_MAX];

	fputs("set label ", script);
	plot_quote(script, row->label);
	fprintf(script, " at graph 0, first %g right offset -1,0 textcolor rgb '" PLOT_INK "'\n",
		y);
	if (!out)
		fprintf(script,
			"set object rectangle from %.9g,%g to %.9g,%g fc rgb '%s' fs solid 1 "
			"border lc rgb '%s' front\n",
			row->begin / scale, y - half, end / scale, y + half, row->colour,
			row->colour); /* 0 s: a thin line */
	words_duration_exact(text, row->end - row->begin);
	words_duration_exact(from, row->begin);
	fputs("set label ", script);
	if (out)
		plot_quotef(script, "%s, from t_fault + %s \xe2\x96\xb8", text, from);
	else if (row->end > chart->limit)
		plot_quotef(script, "%s, ends after the right edge \xe2\x96\xb8", text);
	else
		plot_quote(script, text);
	if (out || (left && row->begin < 0.4 * chart->limit))
		fprintf(script, " at first %.9g,%g right offset -0.7,0 front textcolor rgb '%s'\n",
			end / scale, y, out ? PLOT_INK : "#FFFFFF");
	else if (left)
		fprintf(script, " at first %.9g,%g right offset -0.7,0 front\n", row->begin / scale,
			y);
	else
		fprintf(script, " at first %.9g,%g left offset 0.7,0 front\n", end / scale, y);
}

/* A measure as an arrow with a head at each end and its value above. */
static void draw_bracket(FILE *script, const struct chart *chart, const char *label, double begin,
			 double end, double y)
{
	double scale = chart->axis.scale;
	char text[WORDS_MAX];

	if (!isfinite(begin) || !isfinite(end))
		return;
	fprintf(script,
		"set arrow from first %.9g,%g to first %.9g,%g heads size screen 0.008,25 filled "
		"lw 1.8 lc rgb '" PLOT_INK "' front\n",
		begin / scale, y, end / scale, y);
	for (int i = 0; i < 2; i++)
		fprintf(script,
			"set arrow from first %.9g,%g to first %.9g,0.5 nohead lw 0.9 dt 2 lc rgb "
			"'" PLOT_GREY "' back\n",
			(i ? end : begin) / scale, y + 0.25, (i ? end : begin) / scale);
	fputs("set label ", script);
	plot_quotef(script, "%s  %s", label, words_duration_exact(text, end - begin));
	fprintf(script,
		" at first %.9g,%g center offset 0,0.75 front textcolor rgb '" PLOT_INK "'\n",
		(begin + end) / 2 / scale, y);
}

/* FRT of an incident that did not end. */
static void draw_open_end(FILE *script, const struct chart *chart, double y)
{
	double right = chart->limit / chart->axis.scale;

	fprintf(script,
		"set arrow from first 0,%g to first %.9g,%g head size screen 0.008,25 lw 1.8 dt 2 "
		"lc rgb "
		"'" PLOT_RED "' front\n",
		y, right, y);
	fprintf(script,
		"set label 'FRT: not recovered' at first %.9g,%g center offset 0,0.75 front "
		"textcolor rgb "
		"'" PLOT_RED "'\n",
		right / 2, y);
}

/* The objective of FRT, labelled above everything else; whether there was one to draw. */
static bool draw_limit(FILE *script, const struct chart *chart, const cJSON *record, double y)
{
	const cJSON *objective;
	char text[WORDS_MAX];
	bool drawn = false;

	cJSON_ArrayForEach (objective, view_get(record, "objectives")) {
		double limit = view_real(objective, "limit");

		if (!view_is(objective, "name", "frt") || !(limit <= chart->limit * 1.02))
			continue;
		fprintf(script,
			"set arrow from first %.9g,%g to first %.9g,0.5 nohead lw 1.6 dt 4 lc rgb "
			"'" PLOT_RED "' front\n",
			limit / chart->axis.scale, y - 0.15, limit / chart->axis.scale);
		fputs("set label ", script);
		plot_quotef(script, "FRT objective %s", words_duration_exact(text, limit));
		fprintf(script, " at first %.9g,%g center front textcolor rgb '" PLOT_RED "'\n",
			limit / chart->axis.scale, y + 0.2);
		drawn = true;
	}
	return drawn;
}

static bool draw(FILE *script, const struct report_input *input)
{
	const cJSON *incident = view_headline(input->record);
	struct chart chart = {0};
	double begin, ready, top;
	char text[WORDS_MAX];
	bool failover;

	if (!incident || isnan(view_real(incident, "t_fault_ns")))
		return false;
	collect(&chart, incident);
	if (chart.count == 0 && view_seconds(incident, "frt_ns") == 0)
		return false; /* nothing took any time */
	set_limit(&chart, input->record, incident);
	failover = isfinite(view_real(incident, "brt_ns"));
	top = (double)chart.count + (failover ? 2.8 : 1.7);
	for (size_t i = 0; i < chart.count; i++)
		draw_row(script, &chart, &chart.rows[i], (double)(chart.count - i));
	begin = fmin(since(incident, "t_switch_begin_ns"), since(incident, "t_data_begin_ns"));
	ready = fmax(since(incident, "t_switched_ns"), since(incident, "t_data_restored_ns"));
	if (failover)
		draw_bracket(script, &chart, "BRT", begin, ready, top - 1.9);
	if (isfinite(view_real(incident, "frt_ns")))
		draw_bracket(script, &chart, "FRT", 0, view_seconds(incident, "frt_ns"), top - 0.8);
	else
		draw_open_end(script, &chart, top - 0.8);
	if (draw_limit(script, &chart, input->record, top + 0.3))
		top += 0.9;
	fputs("unset key\nset border 1\nunset ytics\nset xlabel ", script);
	plot_quotef(script, "time since the fault [%s]   (t_fault: %s into the drill)",
		    chart.axis.unit,
		    words_duration_exact(text, view_seconds(incident, "t_fault_ns")));
	fprintf(script,
		"\nset lmargin 16\nset rmargin 3\nset tmargin 1\nset xrange [0:%.9g]\nset yrange "
		"[0.4:%g]\nplot NaN\n",
		chart.limit * 1.06 / chart.axis.scale, top);
	return true;
}

const struct plot plot_incident = {
	.name = "incident",
	.title = "The incident with the largest FRT: what took how long",
	.width = 1000,
	.height = 420,
	.draw = draw,
};
