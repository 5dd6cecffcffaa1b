/* SPDX-License-Identifier: Apache-2.0 */
/* plots/service.svg: good service and latency over time, with the faults as bands and the
 * incident's marks. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/plot.h"
#include "reports/text.h"
#include "reports/view.h"

#define SERIES_MAX 4 /* endpoints drawn, those whose service fell deepest first */
#define NAMES_MAX 256
#define BANDS_MAX 500

struct window {
	double begin, end; /* seconds of the drill */
	struct plot_axis axis;
};

struct series {
	const char *endpoint;
	double lowest;
};

/* The incident with a margin when the drill is much longer than it, else the whole drill. */
static struct window choose_window(const struct report_input *input)
{
	const cJSON *incident = view_headline(input->record);
	double duration = view_real(input->record, "drill.duration_s"), end;
	struct window window = {0, duration > 0 ? duration : 1, {1, "s"}};
	double begin = view_seconds(incident, "t_fault_ns");

	end = fmax(view_seconds(incident, "t_restored_ns"),
		   view_seconds(incident, "t_verified_ns"));
	if (isfinite(begin) && isfinite(end) && (end - begin) * 3 < duration) {
		double margin = fmax((end - begin) * 0.35, 1);

		window.begin = fmax(0, begin - margin);
		window.end = fmin(duration, end + margin);
	}
	window.axis = plot_axis(window.end - window.begin);
	return window;
}

static int by_depth(const void *a, const void *b)
{
	const struct series *x = a, *y = b;

	if (x->lowest != y->lowest)
		return x->lowest < y->lowest ? -1 : 1;
	return strcmp(x->endpoint, y->endpoint);
}

/* The endpoints of the timeline, worst first; how many of them are in `series`. */
static size_t find_series(const cJSON *events, struct series series[NAMES_MAX])
{
	const cJSON *event;
	size_t count = 0;

	cJSON_ArrayForEach (event, events) {
		const char *name = view_text(event, "endpoint");
		double success = view_real(event, "success");
		size_t i = 0;

		if (!name || !view_is(event, "event", "service.level") || isnan(success))
			continue;
		while (i < count && strcmp(series[i].endpoint, name) != 0)
			i++;
		if (i == NAMES_MAX)
			continue;
		if (i == count)
			series[count++] = (struct series){name, success};
		series[i].lowest = fmin(series[i].lowest, success);
	}
	qsort(series, count, sizeof(series[0]), by_depth);
	return count;
}

/* Worst and last value of one slot that began at `at`; nothing when it holds none. */
static void put_slot(FILE *script, const struct window *window, double at, double worst,
		     double last)
{
	double x = fmax(at, window->begin) / window->axis.scale;

	if (isfinite(worst))
		fprintf(script, "%.9g %.9g\n%.9g %.9g\n", x, worst, x, last);
}

/*
 * The steps of one field inside the window as a data block. Where there are more than can be seen,
 * each of PLOT_POINTS_MAX slots of time keeps its worst and its last value.
 */
static void put_steps(FILE *script, const cJSON *events, const struct window *window,
		      const char *endpoint, const char *field, bool low_is_worse, double factor)
{
	double slot = (window->end - window->begin) / PLOT_POINTS_MAX, last = NAN, worst = NAN,
	       at = NAN;
	const cJSON *event;

	cJSON_ArrayForEach (event, events) {
		double t = view_seconds(event, "t_ns"), value = view_real(event, field);

		if (t > window->end)
			break;
		if (!view_is(event, "event", "service.level") ||
		    !view_is(event, "endpoint", endpoint))
			continue;
		if (isnan(value)) { /* nothing to show from here on: a gap */
			put_slot(script, window, at, worst * factor, last * factor);
			if (isfinite(worst))
				fprintf(script, "%.9g %.9g\n\n",
					fmax(t, window->begin) / window->axis.scale, last * factor);
			worst = last = at = NAN;
			continue;
		}
		if (t > window->begin && (isnan(at) || t - at >= slot)) {
			/* What stood until now, then the new slot. */
			put_slot(script, window, at, worst * factor, last * factor);
			worst = NAN;
			at = t;
		} else if (isnan(at) || t <= window->begin) {
			worst = NAN;
			at = t;
		}
		worst = isnan(worst)   ? value
			: low_is_worse ? fmin(worst, value)
				       : fmax(worst, value);
		last = value;
	}
	put_slot(script, window, at, worst * factor, last * factor);
	if (isfinite(worst))
		fprintf(script, "%.9g %.9g\n", window->end / window->axis.scale, last * factor);
}

/* Each measured second: time, good share in per cent, p99 in seconds. */
static size_t put_seconds(FILE *script, const cJSON *events, const struct window *window,
			  const char *endpoint)
{
	const cJSON *event;
	size_t count = 0;

	fputs("$requests << EOD\n", script);
	cJSON_ArrayForEach (event, events) {
		double t = (view_seconds(event, "from_ns") + view_seconds(event, "to_ns")) / 2;
		double good = view_real(event, "good"), p99 = view_real(event, "p99_s");
		/* Of the requests whose outcome became known in this second. */
		double known = good + view_real(event, "wrong") + view_real(event, "late") +
			       view_real(event, "failed");

		if (!view_is(event, "event", "service.requests") ||
		    !view_is(event, "endpoint", endpoint) ||
		    !(t >= window->begin && t <= window->end) || !(known > 0) ||
		    count == PLOT_POINTS_MAX)
			continue;
		fprintf(script, "%.9g %.9g ", t / window->axis.scale, 100 * good / known);
		fprintf(script, isfinite(p99) && p99 > 0 ? "%.9g\n" : "NaN\n", p99);
		count++;
	}
	fputs("EOD\n", script);
	return count;
}

/* Of the same injection; of the same step where a record of an older version does not say which. */
static bool is_revert_of(const cJSON *event, const cJSON *injection)
{
	const char *key = view_get(injection, "injection") ? "injection" : "step";

	return view_is(event, "event", "fault.revert") &&
	       view_real(event, key) == view_real(injection, key);
}

/* A band from each injection to its revert, or to the end of the window. */
static void put_bands(FILE *script, const cJSON *events, const struct window *window)
{
	const cJSON *event, *later;
	size_t count = 0;

	cJSON_ArrayForEach (event, events) {
		double begin = view_seconds(event, "t_ns"), end = window->end;

		if (!view_is(event, "event", "fault.inject") || begin > window->end ||
		    count == BANDS_MAX)
			continue;
		for (later = event->next; later; later = later->next)
			if (is_revert_of(later, event)) {
				end = fmin(end, view_seconds(later, "t_ns"));
				break;
			}
		if (end < window->begin)
			continue;
		plot_band(script, fmax(begin, window->begin) / window->axis.scale,
			  end / window->axis.scale, PLOT_RED, 0.10);
		count++;
	}
}

#define LABEL_ROWS 3

struct label {
	double left, right; /* shares of the width */
	int row;
};

/* The lowest row in which no label stands at that place; -1 when there is none. */
static int free_row(const struct label *labels, size_t count, double left, double right)
{
	for (int row = 0; row < LABEL_ROWS; row++) {
		size_t i = 0;

		while (i < count &&
		       (labels[i].row != row || labels[i].right <= left || labels[i].left >= right))
			i++;
		if (i == count)
			return row;
	}
	return -1;
}

/* The marks as dashed lines; on top of the upper panel their names, the weightiest first, in the
 * lowest row with room. Where there is none the line stands alone: the table of marks names it. */
static void put_marks(FILE *script, const cJSON *incident, const struct window *window, bool names)
{
	static const struct {
		const char *key, *name;
	} marks[] = {
		{"t_fault_ns", "fault"},       {"t_restored_ns", "restored"},
		{"t_detect_ns", "detected"},   {"t_switch_begin_ns", "switch begins"},
		{"t_switched_ns", "switched"}, {"t_data_restored_ns", "data restored"},
		{"t_repaired_ns", "repaired"}, {"t_failback_ns", "failback"},
		{"t_normal_ns", "normal"},
	};
	struct label labels[sizeof(marks) / sizeof(marks[0])];
	double previous = NAN;
	size_t count = 0;

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		double t = view_seconds(incident, marks[i].key);
		double place = (t - window->begin) / (window->end - window->begin);
		double half = (double)(strlen(marks[i].name) + 2) * 0.0041;
		int row = free_row(labels, count, place - half, place + half);

		if (!(place >= 0 && place <= 1) || t == previous)
			continue;
		previous = t;
		plot_vertical(script, t / window->axis.scale, PLOT_INK);
		if (!names || row < 0)
			continue;
		labels[count++] = (struct label){place - half, place + half, row};
		fputs("set label ", script);
		plot_quote(script, marks[i].name);
		fprintf(script,
			" at first %.9g, graph 1 center offset 0,%g font ',11' textcolor rgb "
			"'" PLOT_INK "'\n",
			t / window->axis.scale, 0.7 + row);
	}
}

static void put_panel(FILE *script, const struct series *series, size_t count, bool upper,
		      bool measured)
{
	static const char *const colours[SERIES_MAX] = {PLOT_BLUE, PLOT_GREEN, PLOT_PURPLE,
							PLOT_ORANGE};

	fputs("plot ", script);
	for (size_t i = 0; i < count; i++) {
		fprintf(script, "%s$%s%zu using 1:2 with steps lw 2.2 dt %zu lc rgb '%s' title ",
			i ? ", " : "", upper ? "success" : "latency", i, i + 1, colours[i]);
		plot_quotef(script, "%s: %s", series[i].endpoint,
			    upper ? "expected for a request sent now" : "expected");
	}
	if (measured) {
		fprintf(script,
			", $requests using 1:%d with points pt 6 ps 0.35 lc rgb '" PLOT_INK
			"' title ",
			upper ? 2 : 3);
		plot_quotef(script, "%s: %s", series[0].endpoint,
			    upper ? "good share of each second" : "p99 of each second");
	}
	fputc('\n', script);
}

static void put_data(FILE *script, const cJSON *events, const struct window *window,
		     const struct series *series, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		fprintf(script, "$success%zu << EOD\n", i);
		put_steps(script, events, window, series[i].endpoint, "success", true, 100);
		fprintf(script, "EOD\n$latency%zu << EOD\n", i);
		put_steps(script, events, window, series[i].endpoint, "latency_s", false, 1);
		fputs("EOD\n", script);
	}
}

static bool draw(FILE *script, const struct report_input *input)
{
	struct window window = choose_window(input);
	const cJSON *incident = view_headline(input->record);
	struct series series[NAMES_MAX] = {{NULL, 0}};
	size_t found = find_series(input->events, series),
	       count = found < SERIES_MAX ? found : SERIES_MAX;
	bool measured;

	if (count == 0)
		return false;
	put_data(script, input->events, &window, series, count);
	measured = put_seconds(script, input->events, &window, series[0].endpoint) > 0;
	fprintf(script,
		"set multiplot\nset xrange [%.9g:%.9g]\nset lmargin at screen 0.075\nset rmargin "
		"at screen 0.985\n",
		window.begin / window.axis.scale, window.end / window.axis.scale);
	put_bands(script, input->events, &window);
	put_marks(script, incident, &window, true);
	fputs("set tmargin at screen 0.80\nset bmargin at screen 0.53\nset yrange [-4:104]\nset "
	      "ytics 25\n"
	      "set format x ''\nset ylabel 'good answers [%]'\nset key at screen 0.985,0.985 right "
	      "top horizontal samplen 2 font ',11'\n",
	      script);
	put_panel(script, series, count, true, measured);
	fputs("unset label\nunset arrow\nunset object\n", script);
	put_bands(script, input->events, &window);
	put_marks(script, incident, &window, false);
	fprintf(script,
		"set key at screen 0.985,0.505 right top horizontal samplen 2 font ',11'\n"
		"set tmargin at screen 0.45\nset bmargin at screen 0.125\nset format x '%%g'\n"
		"set xlabel 'time of the drill [%s]     (shaded: a fault is present)'\nset yrange "
		"[*:*]\nset logscale y\n"
		"set ytics autofreq\nset ylabel 'latency [s]'\nset format y '%%g'\n",
		window.axis.unit);
	if (found > count)
		fprintf(script,
			"set label '%zu more endpoints are not drawn' at graph 0.01,0.06 font "
			"',11'\n",
			found - count);
	put_panel(script, series, count, false, measured);
	fputs("unset multiplot\n", script);
	return true;
}

const struct plot plot_service = {
	.name = "service",
	.title = "Service as clients see it",
	.width = 1000,
	.height = 560,
	.draw = draw,
};
