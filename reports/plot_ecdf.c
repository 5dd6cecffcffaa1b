/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plots/ecdf.svg: the distributions of FRT, BRT and BRP over all trials, with the 95 % band of
 * Dvoretzky, Kiefer and Wolfowitz (1956; the constant is Massart's, 1990) and the objectives.
 */
#include <math.h>
#include <stddef.h>

#include "reports/plot.h"
#include "reports/text.h"
#include "reports/view.h"

struct panel {
	const char *title, *key, *objective;
};

static const struct panel panels[] = {
	{"FRT", "frt_s", "frt"},
	{"BRT", "brt_s", "brt"},
	{"BRP (age of the recovery point)", "brp_seconds", "brp.seconds"},
};

static const cJSON *find_objective(const cJSON *record, const char *name)
{
	const cJSON *objective;

	cJSON_ArrayForEach (objective, view_get(record, "objectives"))
		if (view_is(objective, "name", name))
			return objective;
	return NULL;
}

/* Rows of x, share, and the band's edges; the last step runs on to the right edge. */
static void put_data(FILE *script, size_t index, const cJSON *ecdf, double scale, double limit)
{
	const cJSON *x = view_get(ecdf, "x"), *f = view_get(ecdf, "f");
	double n = view_real(ecdf, "n"), half = n > 0 ? sqrt(log(2 / 0.05) / (2 * n)) : 1,
	       share = 0, before = 0;

	fprintf(script, "$ecdf%zu << EOD\n", index);
	x = x ? x->child : NULL;
	f = f ? f->child : NULL;
	for (; x && f; x = x->next, f = f->next) {
		share = f->valuedouble;
		/* Two rows a point: the level before it and the level from it on, so that the band
		 * has steps too. */
		fprintf(script, "%.9g %.9g %.9g %.9g\n", x->valuedouble / scale, before,
			fmax(0, before - half), fmin(1, before + half));
		fprintf(script, "%.9g %.9g %.9g %.9g\n", x->valuedouble / scale, share,
			fmax(0, share - half), fmin(1, share + half));
		before = share;
	}
	fprintf(script, "%.9g %.9g %.9g %.9g\nEOD\n", limit / scale, share, fmax(0, share - half),
		fmin(1, share + half));
}

static void put_objective(FILE *script, const cJSON *objective, const struct plot_axis *axis,
			  bool right)
{
	double limit = view_real(objective, "limit"), quantile = view_real(objective, "quantile");
	char text[WORDS_MAX], name[32] = "limit";

	if (isnan(limit))
		return;
	if (isfinite(quantile))
		snprintf(name, sizeof(name), "p%g \xe2\x89\xa4", quantile * 100);
	fprintf(script,
		"set arrow from first %.9g, graph 0 to first %.9g, graph 1 nohead lw 2 dt 2 lc rgb "
		"'" PLOT_RED "' front\n",
		limit / axis->scale, limit / axis->scale);
	fputs("set label ", script);
	plot_quotef(script, "%s %s", name, words_duration_exact(text, limit));
	fprintf(script, " at first %.9g, graph 1.05 %s font ',11' textcolor rgb '" PLOT_RED "'\n",
		limit / axis->scale, right ? "right offset 1.5,0" : "center");
	if (isfinite(quantile))
		fprintf(script,
			"set arrow from graph 0, first %.9g to graph 1, first %.9g nohead lw 1 dt "
			"3 lc rgb '" PLOT_GREY "' back\n",
			quantile, quantile);
}

static void put_panel(FILE *script, size_t index, const struct report_input *input)
{
	const struct panel *panel = &panels[index];
	const cJSON *ecdf = view_get(view_get(input->record, "campaign.ecdf"), panel->key);
	const cJSON *objective = find_objective(input->record, panel->objective),
		    *x = view_get(ecdf, "x");
	double last = 0, limit = view_real(objective, "limit"),
	       left = 0.055 + 0.325 * (double)index;
	double censored = view_real(view_get(input->record, "campaign"), "censored");
	struct plot_axis axis;

	fprintf(script,
		"unset label\nunset arrow\nset lmargin at screen %g\nset rmargin at screen %g\n",
		left, left + 0.275);
	if (!x || !x->child) {
		fputs("set title ", script);
		plot_quotef(script, "%s: no trial has it", panel->title);
		fputs("\nset xrange [0:1]\nplot NaN notitle\n", script);
		return;
	}
	for (x = x->child; x; x = x->next)
		last = fmax(last, x->valuedouble);
	/* A limit far beyond every value would press the curve flat against the left edge. */
	if (isfinite(limit) && limit < last * 4)
		last = fmax(last, limit);
	last = last > 0 ? last * 1.06 : 1;
	axis = plot_axis(last);
	put_data(script, index, ecdf, axis.scale, last);
	if (limit <= last)
		put_objective(script, objective, &axis, limit > 0.75 * last);
	fputs("set title ", script);
	if (index == 0 && censored > 0)
		plot_quotef(script, "%s (%.0f of %.0f never recovered)", panel->title, censored,
			    view_real(ecdf, "n"));
	else
		plot_quote(script, panel->title);
	fprintf(script, " offset 0,1.1\nset xlabel '[%s]'\nset xrange [0:%.9g]\n", axis.unit,
		last / axis.scale);
	fprintf(script,
		"plot $ecdf%zu using 1:3:4 with filledcurves lc rgb '#C9DDEE' title '95 %% band', "
		"$ecdf%zu using 1:2 with "
		"lines lw 2.2 lc rgb '" PLOT_BLUE "' title 'trials'\n",
		index, index);
}

static bool draw(FILE *script, const struct report_input *input)
{
	if (!view_get(input->record, "campaign.ecdf"))
		return false;
	fputs("set multiplot\nset tmargin at screen 0.83\nset bmargin at screen 0.19\nset yrange "
	      "[0:1.02]\n"
	      "unset key\nset ylabel 'share of trials' offset 1,0\n",
	      script);
	for (size_t i = 0; i < sizeof(panels) / sizeof(panels[0]); i++) {
		put_panel(script, i, input);
		fputs("unset ylabel\n", script);
	}
	fputs("unset multiplot\n", script);
	return true;
}

const struct plot plot_ecdf = {
	.name = "ecdf",
	.title = "All trials: share of them at or below a value (shaded: 95 % confidence band, "
		 "dashed: "
		 "objective)",
	.width = 1000,
	.height = 380,
	.draw = draw,
};
