/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The incident as a Gantt chart: a row for each phase of the recovery cycle, and every mark on the
 * axis below. Drawn here, so that the page has it where there is no gnuplot. Labels never lie on
 * one another or on a line: what stands beside a bar has a margin that every text fits into, and
 * marks go down in steps (see put_lanes()).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/html.h"
#include "reports/page.h"
#include "reports/text.h"
#include "reports/view.h"

#define WIDTH 960
#define LEFT 122  /* of the axis; to the left of it the names of the phases */
#define RIGHT 720 /* of the axis; to the right of it room for the longest text */
#define ROW 25
#define LANE 17
#define CHARACTER 7.0 /* width of an average character of a label is below this */
#define BARS_MAX 13
#define MARKS 15
#define TICKS_MAX 8
#define BEFORE 0.3 /* share of the axis that may lie before the fault */

struct bar {
	const char *name, *class;
	double begin, end; /* seconds since the fault */
	bool open;         /* had not ended when the drill did */
};

struct stamp {
	char label[2 * WORDS_MAX];
	double at, x, right;
	size_t lane;
};

struct chart {
	const cJSON *incident;
	double zero;        /* of the axis: t_fault, or the first mark of a false alarm */
	double first, last; /* of the axis, seconds since zero */
	struct bar bars[BARS_MAX];
	size_t bar_count;
	struct stamp marks[MARKS];
	size_t mark_count;
	double limit; /* the objective of FRT; NAN: none in the picture */
	double frt;
};

/* ---- what there is to draw ---- */

static double since(const struct chart *chart, const char *mark)
{
	return view_seconds(chart->incident, mark) - chart->zero;
}

static void add_bar(struct chart *chart, const char *name, const char *class, double begin,
		    double end)
{
	if (isfinite(begin) && isfinite(end) && end >= begin)
		chart->bars[chart->bar_count++] = (struct bar){name, class, begin, end, false};
}

static void collect_bars(struct chart *chart, double rest)
{
	const cJSON *incident = chart->incident;
	double detect = since(chart, "t_detect_ns"), restored = since(chart, "t_restored_ns"),
	       switching = since(chart, "t_switch_begin_ns"),
	       switched = since(chart, "t_switched_ns"), data = since(chart, "t_data_begin_ns"),
	       usable = since(chart, "t_data_restored_ns"),
	       diagnosed = since(chart, "t_diagnosed_ns"), repaired = since(chart, "t_repaired_ns"),
	       done;
	bool failover = isfinite(view_real(incident, "brt_ns"));

	add_bar(chart, "Loss window", "loss", since(chart, "t_bp_ns"), since(chart, "t_loss_ns"));
	add_bar(chart, "FRT", "whole", 0, isnan(chart->frt) ? rest : chart->frt);
	if (chart->bar_count > 0 && isnan(chart->frt))
		chart->bars[chart->bar_count - 1].open = true;
	add_bar(chart, "Detection", "detect", 0, detect);
	/* fmin and fmax pass over a mark that is missing. */
	if (isfinite(view_real(incident, "decision_ns")))
		add_bar(chart, "Decision", "other", detect, fmin(switching, data));
	if (failover)
		add_bar(chart, "BRT", "whole", fmin(switching, data), fmax(switched, usable));
	add_bar(chart, "Switch", "switch", switching, switched);
	add_bar(chart, "Data recovery", "data", data, usable);
	if (isfinite(view_real(incident, "readiness_ns")))
		add_bar(chart, "Readiness", "ready", fmax(switched, usable), restored);
	add_bar(chart, "Verify", "verify", isnan(usable) ? restored : usable,
		since(chart, "t_verified_ns"));
	add_bar(chart, "Diagnose", "detect", detect, diagnosed);
	add_bar(chart, "Repair", "repair", isnan(diagnosed) ? detect : diagnosed, repaired);
	/* Without a move there is no readiness: the rest of the way, from what was done last. */
	done = fmax(fmax(fmax(detect, diagnosed), repaired), 0);
	if (!failover && done < restored)
		add_bar(chart, "Coming back", "ready", done, restored);
	add_bar(chart, "Failback", "other", since(chart, "t_failback_ns"),
		since(chart, "t_normal_ns"));
}

static const char *const mark_keys[MARKS] = {
	"t_bp_ns",       "t_loss_ns",       "t_fault_ns",
	"t_detect_ns",   "t_decide_ns",     "t_switch_begin_ns",
	"t_switched_ns", "t_data_begin_ns", "t_data_restored_ns",
	"t_restored_ns", "t_verified_ns",   "t_diagnosed_ns",
	"t_repaired_ns", "t_failback_ns",   "t_normal_ns",
};

static void collect_marks(struct chart *chart)
{
	for (size_t i = 0; i < MARKS; i++) {
		double at = since(chart, mark_keys[i]);
		struct stamp *mark = &chart->marks[chart->mark_count], moved;
		size_t slot = chart->mark_count;

		if (isnan(at))
			continue;
		*mark = (struct stamp){.at = at};
		snprintf(mark->label, sizeof(mark->label), "%.*s", (int)strlen(mark_keys[i]) - 3,
			 mark_keys[i]);
		chart->mark_count++;
		/* By time; at one instant in the order of the definitions. */
		for (; slot > 0 && chart->marks[slot - 1].at > chart->marks[slot].at; slot--) {
			moved = chart->marks[slot - 1];
			chart->marks[slot - 1] = chart->marks[slot];
			chart->marks[slot] = moved;
		}
	}
}

/* ---- the axis ---- */

/*
 * The recovery is the subject: a repair that takes days may run out of the picture, and so may a
 * backup of yesterday; the phases of FRT may not.
 */
static void set_axis(struct chart *chart, const cJSON *record)
{
	double limit = view_real(html_objective(record, "frt"), "limit"), furthest = 0;

	for (size_t i = 0; i < chart->bar_count; i++)
		chart->last = fmax(chart->last, chart->bars[i].end);
	for (size_t i = 0; i < chart->mark_count; i++) {
		chart->last = fmax(chart->last, chart->marks[i].at);
		furthest = fmin(furthest, chart->marks[i].at);
	}
	if (chart->frt > 0 && chart->last > 4 * chart->frt)
		chart->last = 2.2 * chart->frt;
	/* With trials the limit is for a quantile of them, not for this one. */
	if (limit > 0 && limit <= 2 * chart->last && !view_get(record, "campaign")) {
		chart->limit = limit;
		chart->last = fmax(chart->last, limit);
	}
	if (!(chart->last > 0))
		chart->last = furthest < 0 ? -furthest : 1;
	chart->first = fmax(furthest, -BEFORE / (1 - BEFORE) * chart->last);
}

/* What the numbers at the axis count, by the span that it shows. */
static const struct unit {
	const char *name;
	double scale, span;
} units[] = {{"s", 1, 180}, {"min", 60, 180 * 60}, {"h", 3600, 72 * 3600}, {"d", 86400, INFINITY}};

static double place(const struct chart *chart, double at)
{
	double share = (at - chart->first) / (chart->last - chart->first);

	return LEFT + (RIGHT - LEFT) * fmin(fmax(share, 0), 1);
}

/* A round step that gives at most TICKS_MAX of them: 1, 2 or 5, or a divisor of an hour or day. */
static double tick_step(double span)
{
	static const double steps[] = {1, 2, 5, 10, 15, 20, 30, 60};
	double decade = pow(10, floor(log10(span / TICKS_MAX)));

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && span <= 60.0 * TICKS_MAX; i++)
		if (span / steps[i] <= TICKS_MAX && span > TICKS_MAX)
			return steps[i];
	for (double factor = 1;; factor *= factor == 2 ? 2.5 : 2) /* 1, 2, 5, 10 */
		if (span / (decade * factor) <= TICKS_MAX || factor >= 10)
			return decade * factor;
}

static void put_axis(FILE *page, const struct chart *chart, double top, double bottom)
{
	const struct unit *unit = units;
	double span = chart->last - chart->first, step, first;

	while (span > unit->span)
		unit++;
	step = tick_step(span / unit->scale);
	first = ceil(chart->first / unit->scale / step - 1e-9);

	fprintf(page, "<text x=\"%d\" y=\"%.1f\" class=\"unit\">%s since the fault</text>\n",
		RIGHT + 30, top - 8, unit->name);
	for (double i = first; i * step * unit->scale <= chart->last * (1 + 1e-9); i++) {
		double x = place(chart, i * step * unit->scale);

		fprintf(page,
			"<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/><text x=\"%.1f\" y=\"%.1f\" "
			"class=\"tick\">%s%g</text>\n",
			x, top, bottom, x, top - 8, i < 0 ? "\xe2\x88\x92" : "", fabs(i * step));
	}
	fprintf(page, "<path class=\"axis\" d=\"M%d %.1fH%d\"/>\n", LEFT, bottom, RIGHT);
}

/* ---- rows ---- */

static void put_bar_text(FILE *page, const struct chart *chart, const struct bar *bar, double x,
			 double y)
{
	char took[WORDS_MAX], from[WORDS_MAX];

	words_duration_exact(took, bar->end - bar->begin);
	fprintf(page, "<text x=\"%.1f\" y=\"%.1f\">", x + 7, y);
	if (bar->begin < chart->first)
		fputs("\xe2\x97\x82 ", page);
	if (bar->open)
		fprintf(page, "not recovered in %s", took);
	else if (bar->begin > chart->last)
		fprintf(page, "%s, from +%s \xe2\x96\xb8", took, words_duration(from, bar->begin));
	else
		fprintf(page, "%s%s", took, bar->end > chart->last ? " \xe2\x96\xb8" : "");
	fputs("</text>\n", page);
}

static void put_bars(FILE *page, const struct chart *chart, double top)
{
	char took[WORDS_MAX], from[WORDS_MAX];

	for (size_t i = 0; i < chart->bar_count; i++) {
		const struct bar *bar = &chart->bars[i];
		double y = top + ROW * (double)i, begin = place(chart, bar->begin),
		       end = place(chart, bar->end);
		bool thin = strcmp(bar->class, "whole") == 0;

		fprintf(page, "<text x=\"%d\" y=\"%.1f\" class=\"name\">%s</text>\n", LEFT - 10,
			y + 17, bar->name);
		/* What took no time is a line. */
		if (bar->begin <= chart->last)
			fprintf(page,
				"<rect class=\"bar-%s%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
				"height=\"%d\"><title>%s: %s, from %s after the fault (%.9f "
				"s)</title></rect>\n",
				bar->class, bar->open ? " bar-open" : "", begin, y + (thin ? 9 : 5),
				fmax(end - begin, 2), thin ? 7 : 15, bar->name,
				words_duration_exact(took, bar->end - bar->begin),
				words_duration_exact(from, bar->begin), bar->end - bar->begin);
		put_bar_text(page, chart, bar, fmax(end, begin + 2), y + 17);
	}
}

static void put_limit(FILE *page, const struct chart *chart, double top, double bottom)
{
	double x = place(chart, chart->limit);
	char text[WORDS_MAX];

	if (isnan(chart->limit))
		return;
	fprintf(page,
		"<path class=\"goal\" d=\"M%.1f %.1fV%.1f\"/><path class=\"goal\" "
		"d=\"M%.1f %.1fV%.1f\"/><text x=\"%.1f\" y=\"%.1f\" "
		"class=\"goal-name\">FRT objective %s</text>\n",
		x, top - 36, top - 22, x, top - 3, bottom, x + 6, top - 26,
		words_duration_exact(text, chart->limit));
}

/* ---- marks ---- */

/*
 * A label stands to the right of its line. The rightmost are nearest to the axis: a label goes one
 * lane below the lowest of those that begin before it ends. So no two labels share a place, and the
 * line of a mark, which ends at its own lane, passes above every label that begins left of it.
 * Returns the number of lanes.
 */
static size_t put_lanes(struct chart *chart)
{
	size_t lanes = 0;

	for (size_t i = chart->mark_count; i-- > 0;) {
		struct stamp *mark = &chart->marks[i];
		char text[WORDS_MAX], name[32];

		snprintf(name, sizeof(name), "%s", mark->label);
		snprintf(mark->label, sizeof(mark->label), "%s%s %s%s%s",
			 mark->at < chart->first ? "\xe2\x97\x82 " : "", name,
			 mark->at < 0 ? "\xe2\x88\x92" : "+",
			 words_duration_exact(text, fabs(mark->at)),
			 mark->at > chart->last ? " \xe2\x96\xb8" : "");
		mark->x = place(chart, mark->at);
		mark->right = mark->x + 8 + CHARACTER * (double)words_columns(mark->label);
		for (size_t k = i + 1; k < chart->mark_count; k++)
			if (chart->marks[k].x < mark->right && mark->lane <= chart->marks[k].lane)
				mark->lane = chart->marks[k].lane + 1;
		lanes = mark->lane + 1 > lanes ? mark->lane + 1 : lanes;
	}
	return lanes;
}

static void put_marks(FILE *page, const struct chart *chart, double top, double bottom)
{
	for (size_t i = 0; i < chart->mark_count; i++) {
		const struct stamp *mark = &chart->marks[i];
		double y = bottom + 16 + LANE * (double)mark->lane;
		bool edge = strncmp(mark->label, "t_fault ", 8) == 0 ||
			    strncmp(mark->label, "t_restored ", 11) == 0;

		fprintf(page, "<path class=\"%s\" d=\"M%.1f %.1fV%.1f\"/>", edge ? "edge" : "mark",
			mark->x, edge ? top : bottom, y + 1);
		fprintf(page,
			"<text x=\"%.1f\" y=\"%.1f\" class=\"mark-name\">%s<title>%.9f s after the "
			"fault</title></text>\n",
			mark->x + 5, y, mark->label, mark->at);
	}
}

/* ---- all of it ---- */

static void put_description(FILE *page, const struct chart *chart)
{
	char took[WORDS_MAX], from[WORDS_MAX];

	fputs("<desc id=\"gantt-text\">", page);
	for (size_t i = 0; i < chart->bar_count; i++) {
		const struct bar *bar = &chart->bars[i];

		words_duration_exact(took, bar->end - bar->begin);
		words_duration_exact(from, fabs(bar->begin));
		fprintf(page, "%s: %s%s, from %s %s the fault. ", bar->name,
			bar->open ? "not over after " : "", took, from,
			bar->begin < 0 ? "before" : "after");
	}
	fputs("The table of marks has every instant.</desc>\n", page);
}

static void draw(FILE *page, struct chart *chart)
{
	double top = isnan(chart->limit) ? 30 : 54,
	       bottom = top + ROW * (double)chart->bar_count + 6;
	size_t lanes = put_lanes(chart);

	fprintf(page,
		"<svg class=\"gantt\" viewBox=\"0 0 %d %.0f\" role=\"img\" "
		"aria-labelledby=\"gantt-title gantt-text\">\n"
		"<title id=\"gantt-title\">The phases of the recovery over time</title>\n",
		WIDTH, bottom + 26 + LANE * (double)lanes);
	put_description(page, chart);
	put_axis(page, chart, top, bottom);
	put_marks(page, chart, top, bottom);
	put_limit(page, chart, top, bottom);
	put_bars(page, chart, top);
	fputs("</svg>\n", page);
}

static bool goes_beyond(const struct chart *chart)
{
	for (size_t i = 0; i < chart->mark_count; i++)
		if (chart->marks[i].at < chart->first || chart->marks[i].at > chart->last)
			return true;
	return false;
}

void html_gantt(FILE *page, const cJSON *record)
{
	struct chart chart = {.incident = view_headline(record), .limit = NAN};
	double detect = view_seconds(chart.incident, "t_detect_ns");

	if (!chart.incident)
		return;
	chart.zero = view_seconds(chart.incident, "t_fault_ns");
	if (isnan(chart.zero)) /* a false alarm */
		chart.zero = detect;
	if (isnan(chart.zero))
		return;
	chart.frt = view_seconds(chart.incident, "frt_ns");
	collect_bars(&chart, view_real(record, "drill.duration_s") - chart.zero);
	collect_marks(&chart);
	set_axis(&chart, record);
	page_figure(page, "What took how long", NULL);
	draw(page, &chart);
	page_figure_end(page);
	if (goes_beyond(&chart))
		page_note(page,
			  "\xe2\x97\x82 and \xe2\x96\xb8: goes on beyond the edge of the picture.");
}
