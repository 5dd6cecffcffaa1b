/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plots/ecdf.svg: the distributions of FRT, BRT and BRP over all trials, with the 95 % band of
 * Dvoretzky, Kiefer and Wolfowitz (1956; the constant is Massart's, 1990), the objectives, and the
 * quantile that is judged with its own interval.
 */
#include <math.h>
#include <stddef.h>

#include "core/stats.h"
#include "reports/json.h"
#include "reports/plot.h"
#include "reports/text.h"
#include "reports/view.h"

#define PANELS 3
#define LEFT 46
#define PANEL_WIDTH 276
#define PANEL_GAP 32
#define TOP 108
#define HEIGHT 210
#define ALPHA 0.05
#define TRIALS_MAX 1e9 /* that an interval is computed for */

static const struct panel {
	const char *title, *key, *objective;
} panels[PANELS] = {
	{"FRT", "frt_s", "frt"},
	{"BRT", "brt_s", "brt"},
	{"BRP, the age of the recovery point", "brp_seconds", "brp.seconds"},
};

/* One measure over all trials, in seconds. */
struct curve {
	const cJSON *x, *f; /* the first of each */
	double n, limit, quantile;
	double value, low, high; /* of the quantile; low or high NAN: too few trials */
	double last;             /* right end of the axis */
	double largest;
	struct canvas_axis axis;
};

static const cJSON *find_objective(const cJSON *record, const char *name)
{
	const cJSON *objective;

	cJSON_ArrayForEach (objective, view_get(record, "objectives"))
		if (view_is(objective, "name", name))
			return objective;
	return NULL;
}

/* The first value with at least this share of trials at or below it; `below`: the last with at most
 * that share. NAN past the last one, which censored trials are. */
static double value_at(const struct curve *curve, double share, bool below)
{
	const cJSON *x = curve->x, *f = curve->f;
	double found = NAN;

	for (; x && f; x = x->next, f = f->next) {
		if (below && f->valuedouble > share + 1e-12)
			return isnan(found) ? x->valuedouble : found;
		if (!below && f->valuedouble >= share - 1e-12)
			return x->valuedouble;
		found = x->valuedouble;
	}
	return below ? found : NAN;
}

/*
 * The interval of the quantile by order statistics. Of more trials than the record keeps steps for,
 * the next step outside is taken: the interval is then wider than it needs to be, never narrower.
 */
static void set_interval(struct curve *curve, bool whole)
{
	struct stats_ranks ranks = {0, 0};

	if (curve->n >= 1 && curve->n <= TRIALS_MAX)
		ranks = stats_quantile_interval((size_t)curve->n, curve->quantile, ALPHA);
	/* At or below the value of rank r lie r trials or more. */
	curve->low = ranks.low > 0 ? value_at(curve, (double)ranks.low / curve->n, !whole) : NAN;
	curve->high = ranks.high > 0 ? value_at(curve, (double)ranks.high / curve->n, false) : NAN;
}

/* The quantile that the objective names, without one p95. The record has p95 and p99 exactly. */
static void set_quantile(struct curve *curve, const cJSON *summary, const cJSON *objective)
{
	double achieved = view_real(objective, "achieved");

	curve->quantile = view_real(objective, "quantile");
	if (!(curve->quantile > 0 && curve->quantile < 1)) {
		curve->quantile = 0.95;
		achieved = view_real(summary, "p95");
	}
	curve->value = achieved;
	set_interval(curve, view_real(summary, "n") <= ECDF_POINTS_MAX);
	if (curve->quantile == 0.99) {
		curve->low = view_real(summary, "p99_low");
		curve->high = view_real(summary, "p99_high");
	}
}

/* Where the axis ends: a tail far beyond the 99th per cent, or a limit far beyond every value,
 * would press the curve flat against the left edge. */
static void set_end(struct curve *curve)
{
	double most = value_at(curve, 0.99, false);

	curve->largest = 0;
	for (const cJSON *x = curve->x; x; x = x->next)
		curve->largest = fmax(curve->largest, x->valuedouble);
	if (isnan(most))
		most = curve->largest;
	curve->last = curve->largest > 2.5 * most && most > 0 ? 1.6 * most : curve->largest;
	if (curve->limit < 4 * curve->last)
		curve->last = fmax(curve->last, curve->limit);
	curve->last = curve->last > 0 ? curve->last * 1.06 : 1;
	curve->axis = canvas_axis(curve->last);
	/* A third of the width: a third of the numbers. */
	curve->axis.step *= curve->last / curve->axis.scale / curve->axis.step > 5 ? 2 : 1;
}

static bool make_curve(struct curve *curve, const struct panel *panel, const cJSON *record)
{
	const cJSON *ecdf = view_get(view_get(record, "campaign.ecdf"), panel->key);
	const cJSON *objective = find_objective(record, panel->objective);
	const cJSON *x = view_get(ecdf, "x"), *f = view_get(ecdf, "f");

	*curve = (struct curve){.x = x ? x->child : NULL,
				.f = f ? f->child : NULL,
				.n = view_real(ecdf, "n"),
				.limit = view_real(objective, "limit")};
	if (!curve->x || !curve->f) {
		curve->x = NULL;
		return false;
	}
	set_quantile(curve, view_get(view_get(record, "campaign"), panel->key), objective);
	set_end(curve);
	return true;
}

/* Two rows a point: the level before it and the level from it on, so that the band has steps too;
 * the last step runs on to the right edge. */
static void put_curve(struct canvas *canvas, const struct panel *panel, const struct curve *curve)
{
	double half = curve->n >= 1 && curve->n <= TRIALS_MAX
			      ? stats_dkw_half_width((size_t)curve->n, ALPHA)
			      : 1;
	const cJSON *x = curve->x, *f = curve->f;
	double before = 0, scale = curve->axis.scale;
	char columns[160];

	snprintf(columns, sizeof(columns),
		 "%s [%s]\tshare of trials\tlower end of the band\tupper end of the band",
		 panel->key, curve->axis.unit);
	canvas_series(canvas, panel->title, columns);
	for (; x && f && x->valuedouble <= curve->last; x = x->next, f = f->next) {
		double share = f->valuedouble, at = x->valuedouble / scale;

		canvas_row(canvas, 4, at, before, fmax(0, before - half), fmin(1, before + half));
		canvas_row(canvas, 4, at, share, fmax(0, share - half), fmin(1, share + half));
		before = share;
	}
	canvas_row(canvas, 4, curve->last / scale, before, fmax(0, before - half),
		   fmin(1, before + half));
	snprintf(columns, sizeof(columns), "p%g [%s]\tquantile\tlow [%s]\thigh [%s]",
		 curve->quantile * 100, curve->axis.unit, curve->axis.unit, curve->axis.unit);
	canvas_series(canvas, "the quantile and its 95 % interval", columns);
	if (isfinite(curve->value))
		canvas_row(canvas, 4, curve->value / scale, curve->quantile,
			   (isfinite(curve->low) ? curve->low : 0) / scale,
			   (isfinite(curve->high) ? fmin(curve->high, curve->last) : curve->last) /
				   scale);
}

static void put_objective(struct canvas *canvas, const struct curve *curve)
{
	const struct canvas_panel *panel = &canvas->panel;
	char words[WORDS_MAX], text[2 * WORDS_MAX];
	double x, half;

	if (isnan(curve->limit))
		return;
	snprintf(text, sizeof(text), "objective: p%g at most %s%s", curve->quantile * 100,
		 words_duration(words, curve->limit),
		 curve->limit > curve->last ? ", further right \xe2\x80\xba" : "");
	x = fmin(canvas_x(canvas, curve->limit / curve->axis.scale), panel->right);
	half = canvas_text_width(text, CANVAS_SMALL) / 2;
	if (curve->limit <= curve->last)
		canvas_line_front(canvas, x, panel->top - 5, x, panel->bottom, 1.4, 2, PLOT_INK);
	canvas_text(canvas, fmin(fmax(x, panel->left - 8 + half), panel->right + 8 - half),
		    panel->top - 12, ALIGN_CENTRE, CANVAS_SMALL, PLOT_INK, text);
}

/* Title, quantile and its interval, one below the other. */
static void put_head(struct canvas *canvas, const struct panel *panel, const struct curve *curve)
{
	double left = canvas->panel.left - 8;
	char a[WORDS_MAX], b[WORDS_MAX], text[4 * WORDS_MAX], cut[CANVAS_TEXT_MAX];

	canvas_text(canvas, left, TOP - 68, ALIGN_LEFT, CANVAS_TEXT, PLOT_INK, panel->title);
	if (isfinite(curve->value))
		canvas_textf(canvas, left, TOP - 50, ALIGN_LEFT, CANVAS_SMALL, PLOT_INK, "p%g: %s",
			     curve->quantile * 100, words_duration_exact(a, curve->value));
	else
		canvas_textf(canvas, left, TOP - 50, ALIGN_LEFT, CANVAS_SMALL, PLOT_INK,
			     "p%g: not recovered", curve->quantile * 100);
	if (isnan(curve->low))
		snprintf(text, sizeof(text), "too few trials for an interval");
	else if (isnan(curve->high))
		snprintf(text, sizeof(text), "95 %% interval: %s or more",
			 words_duration_exact(a, curve->low));
	else
		snprintf(text, sizeof(text), "95 %% interval: %s to %s",
			 words_duration_exact(a, curve->low), words_duration_exact(b, curve->high));
	canvas_text(canvas, left, TOP - 35, ALIGN_LEFT, CANVAS_SMALL, PLOT_SOFT,
		    canvas_fit(cut, text, PANEL_WIDTH + PANEL_GAP - 4, CANVAS_SMALL));
}

/* What the share never reaches, and what lies to the right of the picture. */
static void put_notes(struct canvas *canvas, const struct curve *curve)
{
	const struct canvas_panel *panel = &canvas->panel;
	const cJSON *f = curve->f;
	char text[WORDS_MAX];

	while (f->next)
		f = f->next;
	if (f->valuedouble < 1 - 1e-9)
		canvas_textf(canvas, panel->right, panel->bottom - 26, ALIGN_RIGHT, CANVAS_SMALL,
			     PLOT_SOFT, "never: %s of the trials",
			     words_percent(text, 1 - f->valuedouble));
	if (curve->largest > curve->last)
		canvas_textf(canvas, panel->right, panel->bottom - 10, ALIGN_RIGHT, CANVAS_SMALL,
			     PLOT_SOFT, "the largest: %s \xe2\x80\xba",
			     words_duration(text, curve->largest));
}

static void put_panel(struct canvas *canvas, size_t index, const struct curve *curve, size_t series)
{
	double left = LEFT + (double)index * (PANEL_WIDTH + PANEL_GAP);
	struct canvas_panel panel = {left, left + PANEL_WIDTH, TOP, TOP + HEIGHT, 0, 1, 0, 1.0,
				     false};
	char title[32];

	if (!curve->x) {
		canvas_panel(canvas, &panel);
		canvas_text(canvas, left - 8, TOP - 68, ALIGN_LEFT, CANVAS_TEXT, PLOT_INK,
			    panels[index].title);
		canvas_text(canvas, left + PANEL_WIDTH / 2.0, TOP + HEIGHT / 2.0, ALIGN_CENTRE,
			    CANVAS_SMALL, PLOT_SOFT, "no trial has it");
		fputs("unset xtics\nset format y ''\nset grid noytics\nplot NaN notitle lc rgb "
		      "'" PLOT_INK "'\nset grid ytics\n",
		      canvas->script);
		canvas_clear(canvas);
		return;
	}
	panel.x1 = curve->last / curve->axis.scale;
	canvas_panel(canvas, &panel);
	put_head(canvas, &panels[index], curve);
	put_objective(canvas, curve);
	put_notes(canvas, curve);
	snprintf(title, sizeof(title), "%.3s [%s]", panels[index].title, curve->axis.unit);
	canvas_x_axis(canvas, &curve->axis, title);
	fprintf(canvas->script,
		"plot 'ecdf.tsv' index %zu using 1:3:4 with filledcurves fs transparent solid 0.25 "
		"lc rgb '" PLOT_SKY "' title '95 %% band', '' index %zu using 1:2 with lines lw 2 "
		"lc rgb '" PLOT_BLUE "' title 'trials', '' index %zu using 1:2:3:4 with xerrorbars "
		"pt 7 ps 0.7 lw 1.8 lc rgb '" PLOT_RED "' title 'quantile'\n",
		series, series, series + 1);
	canvas_clear(canvas);
}

static bool draw(struct canvas *canvas, const struct report_input *input)
{
	struct curve curves[PANELS];
	size_t series[PANELS] = {0};

	if (!view_get(input->record, "campaign.ecdf"))
		return false;
	for (size_t i = 0; i < PANELS; i++) {
		if (!make_curve(&curves[i], &panels[i], input->record))
			continue;
		series[i] = canvas->series;
		put_curve(canvas, &panels[i], &curves[i]);
	}
	if (canvas->series == 0)
		return false;
	canvas_series_end(canvas);
	canvas->height = TOP + HEIGHT + 48;
	canvas_entry(canvas, SIGN_LINE, PLOT_BLUE, "share of the trials at or below a value");
	canvas_entry(canvas, SIGN_BAND, PLOT_SKY, "its 95 %% band");
	canvas_entry(canvas, SIGN_POINT, "pt 7 ps 0.7 lc rgb '" PLOT_RED "'",
		     "quantile with its 95 %% interval");
	for (size_t i = 0, any = 0; i < PANELS; i++)
		if (curves[i].x && isfinite(curves[i].limit) && !any++)
			canvas_entry(canvas, SIGN_DASHED, PLOT_INK, "objective");
	fputs("set multiplot\nset bars 0.6\nset ytics 0,0.25,1 format '%g'\n", canvas->script);
	canvas_legend(canvas, 12, CANVAS_WIDTH - 12, 4);
	for (size_t i = 0; i < PANELS; i++) {
		put_panel(canvas, i, &curves[i], series[i]);
		fputs("set format y ''\n", canvas->script);
	}
	fputs("unset multiplot\n", canvas->script);
	return true;
}

const struct plot plot_ecdf = {
	.name = "ecdf",
	.title = "All trials: how many took at most how long",
	.draw = draw,
};
