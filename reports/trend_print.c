/* SPDX-License-Identifier: Apache-2.0 */
/* Nights over time as a table for people. */
#include <math.h>
#include <string.h>

#include "core/words.h"
#include "reports/text.h"
#include "reports/trend.h"

#define SPARKS 40 /* the last nights as a row of bars */
#define LEVEL_COLUMNS 16
#define CHANGES_SHOWN 8 /* looking back; the document and the page have all */

/* A row of bars from the lowest to the highest of these nights. */
static void print_bars(const struct trend_series *series, FILE *out)
{
	static const char *const bars[] = {"\xe2\x96\x81", "\xe2\x96\x82", "\xe2\x96\x83",
					   "\xe2\x96\x84", "\xe2\x96\x85", "\xe2\x96\x86",
					   "\xe2\x96\x87", "\xe2\x96\x88"};
	size_t n = series->series.n, from = n > SPARKS ? n - SPARKS : 0;
	double low = INFINITY, high = -INFINITY;

	for (size_t i = from; i < n; i++) {
		low = fmin(low, series->values[i]);
		high = fmax(high, series->values[i]);
	}
	for (size_t i = from; i < n; i++) {
		double share = high > low ? (series->values[i] - low) / (high - low) : 0;

		fputs(bars[(int)(share * 7.999)], out);
	}
}

static void put(FILE *out, const char *text, size_t columns)
{
	size_t used = words_columns(text);

	fprintf(out, "%s%*s", text, (int)(used < columns ? columns - used : 1), "");
}

static void print_chart(const struct trend_series *series, FILE *out)
{
	const struct change_chart *chart = &series->chart;
	char low[WORDS_MAX], high[WORDS_MAX];
	double lowest = trend_level(series, chart->low);

	words_duration_exact(low, fmax(lowest, 0));
	words_duration_exact(high, trend_level(series, chart->high));
	fprintf(out, "        control chart: limits %s to %s; ", low, high);
	if (chart->outside)
		fprintf(out, "%zu night%s outside\n", chart->outside,
			chart->outside > 1 ? "s" : "");
	else
		fputs("no night outside\n", out);
}

/* What the look back found, the latest last. */
static void print_points(const struct trend_series *series, const struct trend_group *group,
			 FILE *out)
{
	size_t from = series->point_count > CHANGES_SHOWN ? series->point_count - CHANGES_SHOWN : 0;
	char size[TREND_TEXT_MAX], date[16];

	for (size_t i = from; i < series->point_count; i++) {
		const struct change *change = &series->points[i];
		size_t night = series->nights[change->at];

		trend_date(group->nights[night], date);
		fprintf(out, "        night %zu (%s): %s by %s\n", night + 1, date,
			change->after < change->before ? "better" : "worse",
			trend_size(series, change, size));
	}
	if (from > 0)
		fprintf(out, "        and %zu earlier changes\n", from);
}

static void print_series(const struct trend_group *group, const struct trend_series *series,
			 struct arena *arena, FILE *out)
{
	const struct change *last = trend_last(series);
	char level[WORDS_MAX];
	const char *because;

	words_duration_exact(level, trend_now(series));
	fprintf(out, "  %-6s", trend_metric_titles[series->metric]);
	put(out, level, LEVEL_COLUMNS);
	print_bars(series, out);
	fprintf(out, "\n        %s\n", trend_sentence(group, series, arena));
	because = last ? trend_because(group, series, last, arena) : "";
	if (*because)
		fprintf(out, "        began about then: %s\n", because);
	if (series->series.n < CHANGE_CHART_NIGHTS && series->series.n >= CHANGE_NIGHTS_MIN)
		print_chart(series, out);
	if (series->point_count > 0) {
		fputs("        looking back:\n", out);
		print_points(series, group, out);
	}
}

static void print_left_out(const struct trend_group *group, FILE *out)
{
	if (group->shams + group->invalid + group->aborted)
		fprintf(out, "  left out: %zu sham, %zu invalid, %zu aborted\n", group->shams,
			group->invalid, group->aborted);
	if (group->older)
		fprintf(out, "  and %zu older nights, which --last leaves out\n", group->older);
	if (group->same_seed)
		fprintf(out,
			"  All of seed %s: the simulator repeats such a drill exactly. What "
			"differs "
			"is the drill,\n  never chance; and that nothing differs says nothing "
			"about "
			"chance.\n",
			group->nights[0]->seed);
}

static void print_group(const struct trend_group *group, struct arena *arena, FILE *out)
{
	char first[16], last[16];

	fprintf(out, "%s  %s by driver %s%s%s: %zu night%s", group->name,
		strcmp(group->kind, "injected") == 0 ? "INJECTED" : "SIMULATED", group->driver,
		*group->variant ? ", " : "", group->variant, group->count,
		group->count == 1 ? "" : "s");
	if (group->count > 0) {
		trend_date(group->nights[0], first);
		trend_date(group->nights[group->count - 1], last);
		fprintf(out, ", %s to %s", first, last);
	}
	fputc('\n', out);
	print_left_out(group, out);
	if (group->unrecovered)
		fprintf(out, "  %s\n", trend_share_sentence(group, arena));
	for (size_t i = 0; i < group->series_count; i++)
		print_series(group, &group->series[i], arena, out);
	fputc('\n', out);
}

void trend_print(const struct trend *trend, struct arena *arena, FILE *out)
{
	for (size_t i = 0; i < trend->count; i++)
		print_group(&trend->groups[i], arena, out);
	fprintf(out, "%zu drill%s in %s. Intervals are 95 %% intervals.\n", trend->drills,
		trend->drills == 1 ? "" : "s", trend->options.path);
}
