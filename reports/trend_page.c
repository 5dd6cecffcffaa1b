/* SPDX-License-Identifier: Apache-2.0 */
/* trend.html: nights over time as one page that needs nothing else. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/words.h"
#include "reports/file.h"
#include "reports/page.h"
#include "reports/plot.h"
#include "reports/text.h"
#include "reports/trend_private.h"

#define PICTURES_MAX 60 /* in one page; the tables have everything */
#define NIGHTS_SHOWN 30 /* the last ones of a scenario */

/* ---- pictures ---- */

static void put_picture(FILE *page, const struct trend_group *group,
			const struct trend_series *series, size_t *count, struct arena *arena)
{
	const char *title = trend_metric_titles[series->metric];
	const char *name = arena_printf(arena, "trend%zu", *count);
	char *svg = *count < PICTURES_MAX ? trend_picture(series, name) : NULL;

	if (!svg)
		return;
	(*count)++;
	page_figure(page,
		    arena_printf(arena, "%s of %s, %s, over the nights", title, group->name,
				 group->driver),
		    NULL);
	page_svg(page, svg, name,
		 arena_printf(arena, "%s of %zu nights: %s", title, series->series.n,
			      trend_sentence(group, series, arena)));
	page_figure_end(page);
	free(svg);
}

/* ---- tables ---- */

static const char *state_class(enum trend_state state)
{
	switch (state) {
	case TREND_WORSE:
		return "bad text";
	case TREND_STEADY:
	case TREND_BETTER:
		return "good text";
	case TREND_TOO_FEW:
	case TREND_SMALL:
	case TREND_OLD:
		break;
	}
	return "open text";
}

static void put_measures(FILE *page, const struct trend_group *group, const char *what,
			 struct arena *arena)
{
	static const struct page_column columns[] = {
		{"Measure", false}, {"Nights", true}, {"Level now", true}, {"For the gate", false}};

	page_table(page, arena_printf(arena, "What became of %s", what), columns, 4);
	for (size_t i = 0; i < group->series_count; i++) {
		const struct trend_series *series = &group->series[i];
		const struct change *last = trend_last(series);
		const char *text = trend_sentence(group, series, arena);
		const char *because = last ? trend_because(group, series, last, arena) : "";

		page_row(page);
		page_row_head(page, trend_metric_titles[series->metric]);
		page_cell_value(page, (double)series->series.n, "count");
		page_cell_value(page, trend_now(series), "s");
		page_cell(page, state_class(series->state),
			  *because ? arena_printf(arena, "%s; began about then: %s", text, because)
				   : text);
		page_row_end(page);
	}
	if (group->unrecovered) {
		page_row(page);
		page_row_head(page, "Not recovered");
		page_cell_value(page, (double)group->count, "count");
		page_cell_value(page, (double)group->unrecovered, "count");
		page_cell(page, state_class(group->share_state),
			  trend_share_sentence(group, arena));
		page_row_end(page);
	}
	page_table_end(page);
}

static void put_points(FILE *page, const struct trend_group *group, const char *what,
		       struct arena *arena)
{
	static const struct page_column columns[] = {{"Since", false},
						     {"Measure", false},
						     {"Before", true},
						     {"After", true},
						     {"Change, with its 95 % interval", false},
						     {"p", true}};
	size_t count = 0;
	char size[TREND_TEXT_MAX], date[16];

	for (size_t i = 0; i < group->series_count; i++)
		count += group->series[i].point_count;
	if (count == 0)
		return;
	page_table(page, arena_printf(arena, "Looking back: where %s changed", what), columns, 6);
	for (size_t i = 0; i < group->series_count; i++) {
		const struct trend_series *series = &group->series[i];

		for (size_t k = 0; k < series->point_count; k++) {
			const struct change *change = &series->points[k];
			size_t night = series->nights[change->at];

			trend_date(group->nights[night], date);
			page_row(page);
			page_row_head(page, arena_printf(arena, "night %zu, %s", night + 1, date));
			page_cell(page, NULL, trend_metric_titles[series->metric]);
			page_cell_value(page, trend_level(series, change->before), "s");
			page_cell_value(page, trend_level(series, change->after), "s");
			page_cell(page, NULL,
				  arena_printf(arena, "%s by %s",
					       change->after < change->before ? "better" : "worse",
					       trend_size(series, change, size)));
			page_cell(page, "n", arena_printf(arena, "%.1g", change->p));
			page_row_end(page);
		}
	}
	page_table_end(page);
}

static void put_nights(FILE *page, const struct trend_group *group, const char *what,
		       struct arena *arena)
{
	static const struct page_column columns[] = {
		{"Night", false}, {"Verdict", false}, {"FRT", true},   {"BRP", true},
		{"BRT", true},    {"drsim", false},   {"Seed", false}, {"Scenario text", false}};
	size_t from = group->count > NIGHTS_SHOWN ? group->count - NIGHTS_SHOWN : 0;

	page_table(page, arena_printf(arena, "The last nights of %s", what), columns, 8);
	for (size_t i = group->count; i > from; i--) {
		const struct history_drill *drill = group->nights[i - 1];

		page_row(page);
		page_row_head(page, arena_printf(arena, "%zu, %.19s", i, drill->started));
		page_cell(page, strcmp(drill->verdict, "passed") == 0 ? "good" : "bad",
			  drill->verdict);
		page_cell_value(page, drill->frt_s, "s");
		page_cell_value(page, drill->brp_s, "s");
		page_cell_value(page, drill->brt_s, "s");
		page_cell(page, NULL, drill->version);
		page_cell(page, "key", drill->seed);
		page_cell(page, "key", arena_printf(arena, "%.12s", drill->scenario));
		page_row_end(page);
	}
	page_table_end(page);
}

/* ---- the page ---- */

/* What got worse, in the words of the gate. */
static void put_worse(FILE *page, const struct trend *trend, struct arena *arena)
{
	fputs("<ul>\n", page);
	for (size_t i = 0; i < trend->count; i++) {
		const struct trend_group *group = &trend->groups[i];
		const char *who = arena_printf(arena, "%s, %s by %s", group->name, group->kind,
					       group->driver);

		if (group->share_state == TREND_WORSE) {
			fputs("<li>", page);
			text_escape(page, arena_printf(arena, "%s: %s", who,
						       trend_share_sentence(group, arena)));
			fputs("</li>\n", page);
		}
		for (size_t k = 0; k < group->series_count; k++) {
			const struct trend_series *series = &group->series[k];

			if (series->state != TREND_WORSE)
				continue;
			fputs("<li>", page);
			text_escape(page, arena_printf(arena, "%s: %s %s", who,
						       trend_metric_titles[series->metric],
						       trend_sentence(group, series, arena)));
			fputs("</li>\n", page);
		}
	}
	fputs("</ul>\n", page);
}

static void put_group(FILE *page, const struct trend_group *group, size_t index, size_t *pictures,
		      struct arena *arena)
{
	bool injected = strcmp(group->kind, "injected") == 0;
	const char *what = arena_printf(arena, "%s, %s by %s%s%s", group->name, group->kind,
					group->driver, *group->variant ? ", " : "", group->variant);

	page_section(page, arena_printf(arena, "group%zu", index), group->name);
	fputs("<p>", page);
	page_kind(page, group->kind);
	text_escape(page, arena_printf(arena, "by driver %s%s%s: %zu night%s", group->driver,
				       *group->variant ? ", " : "", group->variant, group->count,
				       group->count == 1 ? "" : "s"));
	fputs("</p>\n", page);
	if (!injected)
		page_note(page, "These nights were simulated. They are no test of a real system.");
	if (group->shams + group->invalid + group->aborted + group->older)
		page_note(page,
			  arena_printf(arena,
				       "Left out: %zu sham, %zu invalid, %zu aborted drills; "
				       "%zu older nights.",
				       group->shams, group->invalid, group->aborted, group->older));
	if (group->same_seed)
		page_note(
			page,
			arena_printf(arena,
				     "All of seed %s: the simulator repeats such a drill exactly. "
				     "What differs is the drill, never chance; and that nothing "
				     "differs says nothing about chance.",
				     group->nights[0]->seed));
	if (group->count > 0) {
		put_measures(page, group, what, arena);
		for (size_t i = 0; i < group->series_count; i++)
			put_picture(page, group, &group->series[i], pictures, arena);
		put_points(page, group, what, arena);
		put_nights(page, group, what, arena);
	}
	page_section_end(page);
}

static void put_method(FILE *page)
{
	page_section(page, "method", "How changes are found");
	fputs("<p>For the gate each night is asked anew: the last 2, 4, 7, 11, 20 and 40 nights "
	      "are compared with all before them, by Student's t, at levels that keep false alarms "
	      "of an unchanged series below one in a hundred over 300 nights. One odd night alone "
	      "is no change. Looking back, E-divisive places changes and Student's t decides. "
	      "Below 20 nights there are the limits of a control chart instead. FRT and BRT are "
	      "judged by their logarithms, so their levels are geometric means; BRP is judged in "
	      "seconds. An interval holds for a change whose "
	      "night is known; a night that was picked for its change makes it look a little "
	      "larger.</p>\n",
	      page);
	page_section_end(page);
}

static void put_page(FILE *page, const struct trend *trend, struct arena *arena)
{
	size_t judged, worse = trend_worse(trend, &judged), pictures = 0;
	const char *kind = trend->count > 0 ? trend->groups[0].kind : "";
	bool mixed = false;

	for (size_t i = 1; i < trend->count; i++)
		mixed = mixed || strcmp(kind, trend->groups[i].kind) != 0;
	page_begin_with(page, "Nights", plot_style);
	if (*kind && !mixed)
		page_kind(page, kind);
	else if (mixed)
		page_tag(page, NULL, "SIMULATED AND INJECTED, EACH APART");
	page_tag(page,
		 judged == 0 ? "open"
		 : worse     ? "bad"
			     : "good",
		 judged == 0 ? "NOTHING TO JUDGE"
		 : worse     ? "WORSE"
			     : "NOT WORSE");
	fprintf(page, "<h1>Nights: %s</h1>\n",
		judged == 0 ? "there is no drill to judge"
		: worse     ? "recovery got worse beyond chance"
			    : "nothing got worse beyond chance");
	if (worse)
		put_worse(page, trend, arena);
	page_main(page);
	for (size_t i = 0; i < trend->count; i++)
		put_group(page, &trend->groups[i], i, &pictures, arena);
	if (!plot_available())
		page_note(page, "gnuplot was not found: this page has no pictures.");
	put_method(page);
	page_end(page, NULL);
}

int trend_page(const struct trend *trend, const char *path, struct arena *arena, struct error *e)
{
	struct report_file out;

	if (report_file_begin(&out, NULL, path, e))
		return -1;
	put_page(out.file, trend, arena);
	return report_file_end(&out, 0, e);
}
