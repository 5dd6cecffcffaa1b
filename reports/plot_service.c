/* SPDX-License-Identifier: Apache-2.0 */
/* plots/service.svg: good service and latency over time, under a ribbon of the recovery's phases,
 * with the faults as bands. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/param.h"
#include "core/yaml.h"
#include "reports/file.h"
#include "reports/plot.h"
#include "reports/text.h"
#include "reports/view.h"

#define SERIES_MAX 4 /* endpoints drawn, those whose service fell deepest first */
#define NAMES_MAX 256
#define BANDS_MAX 4096 /* faults that are present at one time or another */
#define LEFT 66
#define RIGHT (CANVAS_WIDTH - 14)
#define UPPER 190 /* heights of the panels */
#define LOWER 150
#define GAP 36

struct window {
	double begin, end; /* seconds of the drill */
	double zero;       /* that the axis counts from: the fault, or the begin of the drill */
	struct canvas_axis axis;
};

struct series {
	const char *endpoint;
	double lowest;
};

struct band {
	double begin, end;
};

static double on_axis(const struct window *window, double t)
{
	return (t - window->zero) / window->axis.scale;
}

/* The incident with a margin when the drill is much longer than it, else the whole drill. */
static struct window choose_window(const struct report_input *input)
{
	const cJSON *incident = view_headline(input->record);
	double duration = view_real(input->record, "drill.duration_s"), end;
	struct window window = {0, duration > 0 ? duration : 1, 0, {1, "s", 1}};
	double begin = view_seconds(incident, "t_fault_ns");

	end = fmax(view_seconds(incident, "t_restored_ns"),
		   view_seconds(incident, "t_verified_ns"));
	/* Of an incident that took no time there is nothing to see but when it came. */
	if (end > begin && (end - begin) * 3 < duration) {
		double margin = (end - begin) * 0.35;

		window.begin = fmax(0, begin - margin);
		window.end = fmin(duration, end + margin);
	}
	/* All of a drill with several incidents has no time that is before or after the fault. */
	if (isfinite(begin) && (window.begin > 0 || window.end < duration ||
				cJSON_GetArraySize(view_get(input->record, "incidents")) == 1))
		window.zero = begin;
	window.axis = canvas_axis(window.end - window.begin);
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
		const char *name;
		double success;
		size_t i = 0;

		if (!view_is(event, "event", "service.level"))
			continue;
		name = view_text(event, "endpoint");
		success = view_real(event, "success");
		if (!name || isnan(success))
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

/*
 * The latency above which a request is not good, in seconds; NAN when the folder does not tell. A
 * drill that shrank time measured other latencies than those of the scenario.
 */
static double latency_limit(const struct report_input *input)
{
	struct arena arena = {0};
	struct yaml_node *root;
	const struct yaml_node *latency;
	struct error e = {0};
	char path[REPORT_PATH_MAX], *text;
	nanos limit = 2 * NANOS_S; /* as a scenario that does not say it has it */
	double found = NAN;
	size_t size;

	if (view_get(input->record, "drill.scale") || !input->run_dir ||
	    report_path(path, input->run_dir, "scenario.yaml", &e))
		return NAN;
	if (yaml_read_file(path, YAML_FILE_MAX, &arena, &text, &size, &e) == 0 &&
	    yaml_parse("scenario.yaml", text, size, &arena, &root, &e) == 0) {
		latency = yaml_get(yaml_get(root, "steady_state"), "latency");
		if (!latency || !latency->text ||
		    quantity_duration(latency->text, NO_PLACE, &limit, &e) == 0)
			found = (double)limit / 1e9;
	}
	arena_free(&arena);
	return found;
}

/* ---- the curves ---- */

/* A curve on its way: each slot of time keeps its worst and its last value. */
struct steps {
	struct canvas *canvas;
	const struct window *window;
	double at, worst, last; /* NAN: nothing stands in this slot */
	double *low, *high;     /* of all that was written */
};

static void put_point(struct steps *steps, double t, double value)
{
	canvas_row(steps->canvas, 2, on_axis(steps->window, fmax(t, steps->window->begin)), value);
	*steps->low = fmin(*steps->low, value);
	*steps->high = fmax(*steps->high, value);
}

static void put_slot(struct steps *steps)
{
	if (isnan(steps->worst))
		return;
	put_point(steps, steps->at, steps->worst);
	if (steps->last != steps->worst)
		put_point(steps, steps->at, steps->last);
}

static void step_to(struct steps *steps, double t, double value, bool low_is_worse)
{
	double slot = (steps->window->end - steps->window->begin) / PLOT_POINTS_MAX;

	if (isnan(value)) { /* nothing to show from here on: a gap */
		put_slot(steps);
		if (isfinite(steps->worst)) {
			put_point(steps, t, steps->last);
			canvas_gap(steps->canvas);
		}
		steps->worst = steps->last = steps->at = NAN;
		return;
	}
	if (isnan(steps->at) || t <= steps->window->begin || t - steps->at >= slot) {
		if (t > steps->window->begin)
			put_slot(steps);
		steps->worst = NAN;
		steps->at = t;
	}
	if (isnan(steps->worst))
		steps->worst = value;
	steps->worst = low_is_worse ? fmin(steps->worst, value) : fmax(steps->worst, value);
	steps->last = value;
}

/* The steps of one field inside the window. Values of 0 have no place on a logarithmic axis. */
static void put_steps(struct steps *steps, const cJSON *events, const char *endpoint,
		      const char *field, double factor)
{
	bool low_is_worse = strcmp(field, "success") == 0;
	const cJSON *event;

	steps->at = steps->worst = steps->last = NAN;
	cJSON_ArrayForEach (event, events) {
		double t = view_seconds(event, "t_ns"), value;

		if (t > steps->window->end)
			break;
		if (!view_is(event, "event", "service.level") ||
		    !view_is(event, "endpoint", endpoint))
			continue;
		value = view_real(event, field) * factor;
		step_to(steps, t, low_is_worse || value > 0 ? value : NAN, low_is_worse);
	}
	put_slot(steps);
	if (isfinite(steps->worst))
		put_point(steps, steps->window->end, steps->last);
}

/* What was measured in one slot of time: the worst second of it. */
struct second {
	double t, good, p99;
};

static void put_second(struct steps *steps, const struct second *second)
{
	if (isnan(second->t))
		return;
	canvas_row(steps->canvas, 3, on_axis(steps->window, second->t), second->good, second->p99);
	*steps->low = fmin(*steps->low, second->p99); /* passes over NAN */
	*steps->high = fmax(*steps->high, second->p99);
}

/* Each measured second: time, good share in per cent, p99 in seconds. */
static size_t put_seconds(struct steps *steps, const cJSON *events, const char *endpoint)
{
	double slot = (steps->window->end - steps->window->begin) / PLOT_POINTS_MAX;
	struct second worst = {NAN, NAN, NAN};
	const cJSON *event;
	size_t count = 0;

	cJSON_ArrayForEach (event, events) {
		double t, good, known, p99;

		if (!view_is(event, "event", "service.requests") ||
		    !view_is(event, "endpoint", endpoint))
			continue;
		t = (view_seconds(event, "from_ns") + view_seconds(event, "to_ns")) / 2;
		good = view_real(event, "good");
		/* Of the requests whose outcome became known in this second. */
		known = good + view_real(event, "wrong") + view_real(event, "late") +
			view_real(event, "failed");
		if (!(t >= steps->window->begin && t <= steps->window->end) || !(known > 0))
			continue;
		p99 = view_real(event, "p99_s");
		p99 = p99 > 0 ? p99 : NAN;
		count++;
		if (isfinite(worst.t) && t - worst.t < slot) {
			worst.good = fmin(worst.good, 100 * good / known);
			worst.p99 = fmax(worst.p99, p99);
			continue;
		}
		put_second(steps, &worst);
		worst = (struct second){t, 100 * good / known, p99};
	}
	put_second(steps, &worst);
	return count;
}

/* ---- faults ---- */

/* Of the same injection; of the same step where a record of an older version does not say which. */
static double injection_of(const cJSON *event)
{
	double injection = view_real(event, "injection");

	return isfinite(injection) ? injection : view_real(event, "step");
}

static int by_begin(const void *a, const void *b)
{
	const struct band *x = a, *y = b;

	return x->begin < y->begin ? -1 : x->begin > y->begin;
}

/* When a fault is present: from its injection to its revert, or to the end of the window. */
static size_t find_bands(struct band bands[BANDS_MAX], const cJSON *events,
			 const struct window *window)
{
	double open[BANDS_MAX]; /* the injection of each band that has no end yet, else NAN */
	const cJSON *event;
	size_t count = 0, kept = 0;

	cJSON_ArrayForEach (event, events) {
		bool injected = view_is(event, "event", "fault.inject");
		double t;

		if (!injected && !view_is(event, "event", "fault.revert"))
			continue;
		t = view_seconds(event, "t_ns");
		for (size_t i = 0; !injected && i < count; i++)
			if (open[i] == injection_of(event)) {
				bands[i].end = t;
				open[i] = NAN;
			}
		if (injected && count < BANDS_MAX) {
			open[count] = injection_of(event);
			bands[count++] = (struct band){t, INFINITY};
		}
	}
	qsort(bands, count, sizeof(bands[0]), by_begin);
	/* What overlaps becomes one: tint upon tint would say something that is not so. */
	for (size_t i = 0; i < count; i++) {
		struct band band = {fmax(bands[i].begin, window->begin),
				    fmin(bands[i].end, window->end)};

		if (!(band.begin <= band.end))
			continue;
		if (kept > 0 && band.begin <= bands[kept - 1].end)
			bands[kept - 1].end = fmax(bands[kept - 1].end, band.end);
		else
			bands[kept++] = band;
	}
	return kept;
}

/* ---- the incident above the panels ---- */

/* The marks as dotted lines through both panels, with their names, the weightiest first, in the
 * lowest row with room. Where there is none the line stands alone: the table of marks names it. */
static void put_marks(struct canvas *canvas, const cJSON *incident, const struct window *window,
		      double ribbon, double bottom)
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

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		double t = view_seconds(incident, marks[i].key), x;

		if (!(t >= window->begin && t <= window->end))
			continue;
		x = canvas_x(canvas, on_axis(window, t));
		for (int row = 0; row < 3; row++) {
			double y = ribbon - 9 - 14 * row;
			double half = canvas_text_width(marks[i].name, CANVAS_SMALL) / 2;
			double at = fmin(x, RIGHT + 8 - half);

			if (!canvas_take(canvas, canvas_text_box(at, y, ALIGN_CENTRE, CANVAS_SMALL,
								 marks[i].name)))
				continue;
			canvas_text(canvas, at, y, ALIGN_CENTRE, CANVAS_SMALL, PLOT_INK,
				    marks[i].name);
			break;
		}
		canvas_line(canvas, x, ribbon, x, bottom, 1, 3, PLOT_RULE);
	}
}

struct stretch {
	const char *name, *colour;
	double begin, end;
};

/* What the platform was busy with, one phase after the other; at most four. */
static size_t find_phases(struct stretch phases[4], const cJSON *incident,
			  const struct window *window)
{
	double fault = view_seconds(incident, "t_fault_ns"),
	       detect = view_seconds(incident, "t_detect_ns"),
	       restored = view_seconds(incident, "t_restored_ns");
	double begin = fmin(view_seconds(incident, "t_switch_begin_ns"),
			    view_seconds(incident, "t_data_begin_ns"));
	double ready = fmax(view_seconds(incident, "t_switched_ns"),
			    view_seconds(incident, "t_data_restored_ns"));
	size_t count = 0;

	if (isnan(detect)) {
		phases[count++] = (struct stretch){"not noticed", PLOT_GREY, fault,
						   isfinite(restored) ? restored : window->end};
		return count;
	}
	phases[count++] = (struct stretch){"detection", PLOT_ORANGE, fault, fmin(detect, restored)};
	if (isfinite(view_real(incident, "brt_ns"))) {
		phases[count++] = (struct stretch){"decision", PLOT_PURPLE, detect, begin};
		phases[count++] =
			(struct stretch){"switch and data recovery (BRT)", PLOT_BLUE, begin, ready};
		phases[count++] = (struct stretch){"readiness", PLOT_GREEN, ready, restored};
	} else if (isfinite(restored)) {
		phases[count++] = (struct stretch){"recovery", PLOT_BLUE, detect, restored};
	} else {
		phases[count++] = (struct stretch){"not recovered", PLOT_RED, detect, window->end};
	}
	return count;
}

/* Is it a pixel wide or more? */
static bool can_be_seen(const struct stretch *phase, const struct window *window)
{
	double pixel = (window->end - window->begin) / (RIGHT - LEFT);

	return fmin(phase->end, window->end) - fmax(phase->begin, window->begin) >= pixel;
}

/* A strip above the panels; the legend has the names of those that can be seen. */
static void put_phases(struct canvas *canvas, const struct stretch *phases, size_t count,
		       const struct window *window, double ribbon)
{
	for (size_t i = 0; i < count; i++) {
		double begin = fmax(phases[i].begin, window->begin),
		       end = fmin(phases[i].end, window->end);

		if (begin < end)
			canvas_rectangle(
				canvas,
				(struct canvas_box){canvas_x(canvas, on_axis(window, begin)),
						    canvas_x(canvas, on_axis(window, end)), ribbon,
						    ribbon + 7},
				phases[i].colour, 1);
	}
}

/* ---- the panels ---- */

struct content {
	struct window window;
	struct series series[NAMES_MAX];
	size_t found, drawn;
	size_t bands, success, latency, measured; /* indices of the data; those of the endpoints
						     follow one another */
	bool any_band, any_second;
	double low, high; /* of the latencies */
	double limit;     /* that a good one has */
};

static const char *const colours[SERIES_MAX] = {PLOT_BLUE, PLOT_GREEN, PLOT_PURPLE, PLOT_ORANGE};

static void put_data(struct canvas *canvas, struct content *content, const cJSON *events)
{
	struct window *window = &content->window;
	double low = NAN, high = NAN;
	struct steps success = {canvas, window, NAN, NAN, NAN, &low, &high};
	struct steps latency = {canvas, window, NAN, NAN, NAN, &content->low, &content->high};
	struct band bands[BANDS_MAX];
	size_t count = find_bands(bands, events, window);
	char columns[128], name[CANVAS_TEXT_MAX];

	snprintf(columns, sizeof(columns), "begin [%s]\tend [%s]", window->axis.unit,
		 window->axis.unit);
	content->any_band = count > 0;
	content->bands = canvas_series(canvas, "a fault is present", columns);
	for (size_t i = 0; i < count; i++)
		canvas_row(canvas, 2, on_axis(window, bands[i].begin),
			   on_axis(window, bands[i].end));
	content->low = content->high = NAN;
	for (size_t i = 0; i < 2 * content->drawn; i++) {
		const char *endpoint = content->series[i % content->drawn].endpoint;
		bool upper = i < content->drawn;
		size_t index;

		snprintf(name, sizeof(name), "%.200s: %s", endpoint,
			 upper ? "good answers expected" : "latency expected");
		snprintf(columns, sizeof(columns), "time [%s]\t%s", window->axis.unit,
			 upper ? "good answers [%]" : "latency [s]");
		index = canvas_series(canvas, name, columns);
		*(upper ? &content->success : &content->latency) = index - i % content->drawn;
		put_steps(upper ? &success : &latency, events, endpoint,
			  upper ? "success" : "latency_s", upper ? 100 : 1);
	}
	snprintf(name, sizeof(name), "%.200s: measured", content->series[0].endpoint);
	snprintf(columns, sizeof(columns), "time [%s]\tgood answers [%%]\tlatency, p99 [s]",
		 window->axis.unit);
	content->measured = canvas_series(canvas, name, columns);
	content->any_second = put_seconds(&latency, events, content->series[0].endpoint) > 0;
	canvas_series_end(canvas);
}

static void put_panel(struct canvas *canvas, const struct content *content, bool upper)
{
	const struct canvas_panel *panel = &canvas->panel;
	FILE *script = canvas->script;
	size_t first = upper ? content->success : content->latency;

	fputs("plot ", script);
	if (content->any_band)
		fprintf(script,
			"'service.tsv' index %zu using 1:(%.9g):1:2:(%.9g):(%.9g) with boxxyerror "
			"fs transparent solid 0.14 noborder lc rgb '" PLOT_RED
			"' title 'a fault is present', ",
			content->bands, panel->y1, panel->y0, panel->y1);
	/* The worst curve comes last, on top of the others. */
	for (size_t i = content->drawn; i-- > 0;) {
		fprintf(script,
			"'service.tsv' index %zu using 1:2 with steps lw 2 dt %d lc rgb '%s' ",
			first + i, i > 0 ? 2 : 1, colours[i]);
		fputs("title ", script);
		canvas_quote(script, content->series[i].endpoint);
		fputs(i > 0 ? ", " : "", script);
	}
	if (content->any_second)
		fprintf(script,
			", 'service.tsv' index %zu using 1:%d with points pt 6 ps 0.3 lc rgb "
			"'" PLOT_INK "' title 'measured'",
			content->measured, upper ? 2 : 3);
	fputc('\n', script);
}

static void make_legend(struct canvas *canvas, const struct content *content,
			const struct stretch *phases, size_t phase_count)
{
	const struct window *window = &content->window;
	bool thinned = window->end - window->begin > PLOT_POINTS_MAX;
	char name[CANVAS_TEXT_MAX];

	for (size_t i = 0; i < content->drawn; i++) {
		bool only = content->drawn == 1;

		canvas_fit(name, content->series[i].endpoint, only ? 240 : 150, CANVAS_SMALL);
		canvas_entry(canvas, i == 0 ? SIGN_LINE : SIGN_DASHED, colours[i], "%s%s", name,
			     i == 0 ? ": expected for a request sent now" : "");
	}
	canvas_fit(name, content->series[0].endpoint, 150, CANVAS_SMALL);
	if (content->any_second)
		canvas_entry(canvas, SIGN_POINT, "pt 6 ps 0.45 lc rgb '" PLOT_INK "'",
			     thinned ? "%s: measured, the worst second of each pixel"
				     : "%s: measured in each second",
			     name);
	for (size_t i = 0; i < phase_count; i++)
		if (can_be_seen(&phases[i], window))
			canvas_entry(canvas, SIGN_BAR, phases[i].colour, "%s", phases[i].name);
	if (content->any_band)
		canvas_entry(canvas, SIGN_BAND, PLOT_RED, "a fault is present");
	if (content->found > content->drawn)
		canvas_entry(canvas, SIGN_NONE, NULL, "not drawn: %zu more that fell less deep",
			     content->found - content->drawn);
}

static void put_time(struct canvas *canvas, const struct window *window)
{
	char title[64];

	snprintf(title, sizeof(title), "time %s [%s]",
		 window->zero > 0 ? "since the fault" : "of the drill", window->axis.unit);
	canvas_x_axis(canvas, &window->axis, title);
}

/* What is slower is not good. */
static void put_limit(struct canvas *canvas, double limit)
{
	double y = canvas_y(canvas, limit), top = canvas->panel.top;
	char text[WORDS_MAX];

	if (isnan(limit))
		return;
	canvas_line_front(canvas, LEFT, y, RIGHT, y, 1.2, 2, PLOT_INK);
	/* Inside the panel or above it, not on its edge. */
	canvas_textf(canvas, LEFT + 6, y - top < 16 ? top - 8 : y - 8, ALIGN_LEFT, CANVAS_SMALL,
		     PLOT_INK, "limit of a good answer: %s", words_duration(text, limit));
}

/* The latencies, below what is drawn already. */
static void draw_lower(struct canvas *canvas, const struct content *content)
{
	struct canvas_panel panel = canvas->panel;

	canvas_clear(canvas);
	panel.top = panel.bottom + GAP;
	panel.bottom = panel.top + LOWER;
	panel.y0 = fmin(content->low, content->limit);
	panel.y1 = fmax(content->high, content->limit);
	canvas_log_range(&panel.y0, &panel.y1);
	panel.log_y = true;
	canvas_panel(canvas, &panel);
	canvas_duration_tics(canvas);
	put_limit(canvas, content->limit);
	put_time(canvas, &content->window);
	put_panel(canvas, content, false);
}

static void draw_content(struct canvas *canvas, const struct content *content,
			 const cJSON *incident)
{
	static const char upper[] = "good answers [%]";
	const struct window *window = &content->window;
	bool fault = view_seconds(incident, "t_fault_ns") == window->zero;
	struct stretch phases[4];
	size_t count = fault ? find_phases(phases, incident, window) : 0;
	double lower = isfinite(content->low) ? GAP + LOWER : 0, ribbon, x0, x1;

	make_legend(canvas, content, phases, count);
	ribbon = canvas_legend_height(canvas, 12, RIGHT) + 14 + (fault ? 3 * 14 : 14);
	canvas->height = (int)(ribbon + 9 + UPPER + lower + 48);
	fputs("set multiplot\n", canvas->script);
	canvas_legend(canvas, 12, RIGHT, 4);
	x0 = on_axis(window, window->begin);
	x1 = on_axis(window, window->end);
	canvas_panel(canvas, &(struct canvas_panel){LEFT, RIGHT, ribbon + 9, ribbon + 9 + UPPER, x0,
						    x1, -3, 103, false});
	canvas_take(canvas, canvas_text_box(12, ribbon - 9, ALIGN_LEFT, CANVAS_SMALL, upper));
	canvas_text(canvas, 12, ribbon - 9, ALIGN_LEFT, CANVAS_SMALL, PLOT_SOFT, upper);
	if (fault) {
		put_marks(canvas, incident, window, ribbon, canvas->panel.bottom + lower);
		put_phases(canvas, phases, count, window, ribbon);
	}
	fprintf(canvas->script, "set ytics 0,25,100\nset xtics %.9g format ''\n",
		window->axis.step);
	if (lower > 0)
		canvas_text(canvas, 12, canvas->panel.bottom + 22, ALIGN_LEFT, CANVAS_SMALL,
			    PLOT_SOFT, "latency");
	else
		put_time(canvas, window);
	put_panel(canvas, content, true);
	if (lower > 0)
		draw_lower(canvas, content);
	fputs("unset multiplot\n", canvas->script);
}

static bool draw(struct canvas *canvas, const struct report_input *input)
{
	struct content content = {.window = choose_window(input), .limit = latency_limit(input)};

	content.found = find_series(input->events, content.series);
	content.drawn = content.found < SERIES_MAX ? content.found : SERIES_MAX;
	if (content.found == 0)
		return false;
	put_data(canvas, &content, input->events);
	draw_content(canvas, &content, view_headline(input->record));
	return true;
}

const struct plot plot_service = {
	.name = "service",
	.title = "Service as clients see it",
	.draw = draw,
};
