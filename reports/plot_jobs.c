/* SPDX-License-Identifier: Apache-2.0 */
/* plots/jobs.svg: the time that each training job has lost so far, beside what the objective of its
 * effective training time ratio (ETTR) allows. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/plot.h"
#include "reports/text.h"
#include "reports/view.h"

#define JOBS_MAX 4 /* drawn, those with the lowest ETTR first */
#define NAMES_MAX 256
#define LEFT 66
#define NAMES 205 /* for what stands at the ends of the curves */
#define RIGHT (CANVAS_WIDTH - NAMES)
#define TOP 34
#define HEIGHT 260

struct curve {
	const cJSON *record; /* of record.json's jobs */
	double ettr, begin, wall, lost;
};

struct sheet {
	struct curve jobs[NAMES_MAX];
	size_t found, drawn;
	double objective; /* of the ETTR, NAN without one */
	double begin, end, most;
	struct canvas_axis time, height;
};

static int by_ettr(const void *a, const void *b)
{
	const struct curve *x = a, *y = b;

	if (x->ettr != y->ettr)
		return x->ettr < y->ettr ? -1 : 1;
	return strcmp(view_text_or(x->record, "name", ""), view_text_or(y->record, "name", ""));
}

/* Events say "job/NAME". */
static bool is_of(const cJSON *event, const struct curve *job)
{
	const char *text = view_text_or(event, "job", "");

	return strncmp(text, "job/", 4) == 0 &&
	       strcmp(text + 4, view_text_or(job->record, "name", "")) == 0;
}

static void find_jobs(struct sheet *sheet, const struct report_input *input)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, view_get(input->record, "jobs")) {
		double wall = view_real(item, "wall_s"), work = view_real(item, "work_s");

		if (sheet->found == NAMES_MAX || !(wall > 0) || isnan(work))
			continue;
		sheet->jobs[sheet->found++] =
			(struct curve){item, view_real(item, "ettr"), NAN, wall, wall - work};
	}
	qsort(sheet->jobs, sheet->found, sizeof(sheet->jobs[0]), by_ettr);
	sheet->drawn = sheet->found < JOBS_MAX ? sheet->found : JOBS_MAX;
	cJSON_ArrayForEach (item, view_get(input->record, "objectives"))
		if (view_is(item, "name", "ettr"))
			sheet->objective = view_real(item, "limit");
}

/* Calls `put` with what the job had lost at each event that tells its progress. */
static void follow(struct curve *job, const cJSON *events,
		   void (*put)(void *to, double t, double lost), void *to)
{
	const cJSON *event;

	cJSON_ArrayForEach (event, events) {
		const char *type = view_text_or(event, "event", "");
		double t, progress;

		if (strncmp(type, "job.", 4) != 0 ||
		    (strcmp(type, "job.state") != 0 && strcmp(type, "job.restore") != 0) ||
		    !is_of(event, job))
			continue;
		t = view_seconds(event, "t_ns");
		progress = view_seconds(event, "progress_ns");
		if (isnan(progress))
			continue;
		if (isnan(job->begin))
			job->begin = t;
		put(to, t, t - job->begin - progress);
	}
}

/* The most that was lost at any time. */
static void keep_most(void *to, double t, double lost)
{
	double *most = to;

	(void)t;
	*most = fmax(*most, lost);
}

struct thinner {
	struct canvas *canvas;
	const struct sheet *sheet;
	double at; /* of the last row */
};

/* What was there when, the last of each slot: the curve hardly ever falls. */
static void put_row(void *to, double t, double lost)
{
	struct thinner *thin = to;
	const struct sheet *sheet = thin->sheet;
	double slot = (sheet->end - sheet->begin) / (4 * PLOT_POINTS_MAX);

	if (t - thin->at < slot)
		return;
	canvas_row(thin->canvas, 2, t / sheet->time.scale, lost / sheet->height.scale);
	thin->at = t;
}

static void put_data(struct canvas *canvas, struct sheet *sheet, const cJSON *events)
{
	char columns[96];

	snprintf(columns, sizeof(columns), "time of the drill [%s]\ttime lost so far [%s]",
		 sheet->time.unit, sheet->height.unit);
	for (size_t i = 0; i < sheet->drawn; i++) {
		struct curve *job = &sheet->jobs[i];
		struct thinner thin = {canvas, sheet, -INFINITY};

		canvas_series(canvas, view_text_or(job->record, "name", "?"), columns);
		follow(job, events, put_row, &thin);
		canvas_row(canvas, 2, (job->begin + job->wall) / sheet->time.scale,
			   job->lost / sheet->height.scale);
	}
	if (isfinite(sheet->objective)) {
		canvas_series(canvas, "objective of the ETTR", columns);
		canvas_row(canvas, 2, sheet->begin / sheet->time.scale, 0.0);
		canvas_row(canvas, 2, sheet->end / sheet->time.scale,
			   (1 - sheet->objective) * (sheet->end - sheet->begin) /
				   sheet->height.scale);
	}
	canvas_series_end(canvas);
}

static const char *const colours[JOBS_MAX] = {PLOT_BLUE, PLOT_GREEN, PLOT_PURPLE, PLOT_ORANGE};

struct label {
	double y;
	const char *colour;
	char first[CANVAS_TEXT_MAX], second[CANVAS_TEXT_MAX];
};

static int by_height(const void *a, const void *b)
{
	const struct label *x = a, *y = b;

	return x->y < y->y ? -1 : x->y > y->y;
}

/* Names at the right ends of the curves, moved apart where they would cover one another. */
static void put_labels(struct canvas *canvas, struct label *labels, size_t count)
{
	double low = canvas->panel.bottom;

	qsort(labels, count, sizeof(labels[0]), by_height);
	for (size_t i = 0; i < count; i++) /* from the top: none above the panel */
		labels[i].y = fmax(labels[i].y, i > 0 ? labels[i - 1].y + 32 : canvas->panel.top);
	for (size_t i = count; i-- > 0; low = labels[i].y - 32)
		labels[i].y = fmin(labels[i].y, low);
	for (size_t i = 0; i < count; i++) {
		canvas_line_front(canvas, RIGHT + 8, labels[i].y - 13, RIGHT + 8, labels[i].y + 13,
				  3, 1, labels[i].colour);
		canvas_text(canvas, RIGHT + 15, labels[i].y - 7, ALIGN_LEFT, CANVAS_TEXT, PLOT_INK,
			    labels[i].first);
		canvas_text(canvas, RIGHT + 15, labels[i].y + 8, ALIGN_LEFT, CANVAS_SMALL,
			    PLOT_SOFT, labels[i].second);
	}
}

static void name_curves(struct canvas *canvas, const struct sheet *sheet)
{
	struct label labels[JOBS_MAX + 1];
	size_t count = 0;
	char percent[WORDS_MAX], text[WORDS_MAX], words[3 * WORDS_MAX];

	for (size_t i = 0; i < sheet->drawn; i++) {
		const struct curve *job = &sheet->jobs[i];
		struct label *label = &labels[count++];

		label->y = canvas_y(canvas, job->lost / sheet->height.scale);
		label->colour = colours[i];
		canvas_fit(label->first, view_text_or(job->record, "name", "?"), NAMES - 20,
			   CANVAS_TEXT);
		snprintf(words, sizeof(words), "ETTR %s, %s lost",
			 words_percent(percent, job->ettr), words_duration(text, job->lost));
		canvas_fit(label->second, words, NAMES - 20, CANVAS_SMALL);
	}
	if (isfinite(sheet->objective)) {
		struct label *label = &labels[count++];

		label->y = canvas_y(canvas, (1 - sheet->objective) * (sheet->end - sheet->begin) /
						    sheet->height.scale);
		label->colour = PLOT_INK;
		snprintf(label->first, sizeof(label->first), "objective");
		snprintf(label->second, sizeof(label->second), "ETTR at least %s",
			 words_percent(percent, sheet->objective));
	}
	put_labels(canvas, labels, count);
}

static void put_plot(struct canvas *canvas, const struct sheet *sheet)
{
	for (size_t i = 0; i < sheet->drawn; i++) {
		fprintf(canvas->script,
			"%s'jobs.tsv' index %zu using 1:2 with lines lw 2 lc rgb '%s' title ",
			i > 0 ? ", " : "plot ", i, colours[i]);
		canvas_quote(canvas->script, view_text_or(sheet->jobs[i].record, "name", "?"));
	}
	if (isfinite(sheet->objective))
		fprintf(canvas->script,
			", 'jobs.tsv' index %zu using 1:2 with lines lw 1.4 dt 2 lc rgb '" PLOT_INK
			"' title 'objective'",
			sheet->drawn);
	fputc('\n', canvas->script);
}

/* What all curves span. */
static void measure(struct sheet *sheet, const cJSON *events)
{
	sheet->begin = INFINITY;
	for (size_t i = 0; i < sheet->drawn; i++) {
		struct curve *job = &sheet->jobs[i];

		follow(job, events, keep_most, &sheet->most);
		if (isnan(job->begin))
			job->begin = 0;
		sheet->begin = fmin(sheet->begin, job->begin);
		sheet->end = fmax(sheet->end, job->begin + job->wall);
		sheet->most = fmax(sheet->most, job->lost);
	}
	if (isfinite(sheet->objective))
		sheet->most =
			fmax(sheet->most, (1 - sheet->objective) * (sheet->end - sheet->begin));
	sheet->most = sheet->most > 0 ? sheet->most * 1.06 : 1;
	sheet->time = canvas_axis(sheet->end - sheet->begin);
	sheet->height = canvas_axis(sheet->most);
}

static bool draw_sheet(struct canvas *canvas, struct sheet *sheet, const cJSON *events)
{
	struct canvas_panel panel = {.left = LEFT, .right = RIGHT, .top = TOP};
	char title[64];

	measure(sheet, events);
	panel.bottom = TOP + HEIGHT;
	panel.x0 = sheet->begin / sheet->time.scale;
	panel.x1 = sheet->end / sheet->time.scale;
	panel.y1 = sheet->most / sheet->height.scale;
	panel.y0 = -0.015 * panel.y1; /* a curve at 0 is not the axis */
	canvas->height = TOP + HEIGHT + 50;
	put_data(canvas, sheet, events);
	canvas_panel(canvas, &panel);
	fprintf(canvas->script, "set ytics %.9g format '%%g'\n", sheet->height.step);
	canvas_textf(canvas, 12, 14, ALIGN_LEFT, CANVAS_SMALL, PLOT_SOFT,
		     "time lost so far [%s]: what passed, less the progress that still counts",
		     sheet->height.unit);
	if (sheet->found > sheet->drawn)
		canvas_textf(canvas, CANVAS_WIDTH - 12, 14, ALIGN_RIGHT, CANVAS_SMALL, PLOT_SOFT,
			     "not drawn: %zu more with a higher ETTR", sheet->found - sheet->drawn);
	snprintf(title, sizeof(title), "time of the drill [%s]", sheet->time.unit);
	canvas_x_axis(canvas, &sheet->time, title);
	name_curves(canvas, sheet);
	put_plot(canvas, sheet);
	return true;
}

static bool draw(struct canvas *canvas, const struct report_input *input)
{
	struct sheet sheet = {.objective = NAN};

	find_jobs(&sheet, input);
	return sheet.drawn > 0 && draw_sheet(canvas, &sheet, input->events);
}

const struct plot plot_jobs = {
	.name = "jobs",
	.title = "Training: the time that was lost, and what the objective allows",
	.draw = draw,
};
