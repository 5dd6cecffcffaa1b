/* SPDX-License-Identifier: Apache-2.0 */
/* plots/backups.svg: the recovery points over time, the one restored from, and what lies between it
 * and the loss. */
#include <math.h>
#include <stdlib.h>

#include "core/scenario.h"
#include "reports/plot.h"
#include "reports/text.h"
#include "reports/view.h"

#define SHOWN_BEFORE 14 /* recovery points before the loss in a long drill */
#define SHOWN_AFTER 4

/* What became of a backup at the end of the drill. */
enum fate {
	FATE_RUNNING,
	FATE_FAILED,
	FATE_BAD,
	FATE_CORRUPT,
	FATE_PRUNED,
	FATE_GOOD,
	FATES
};

static const struct {
	const char *name, *title, *bar, *point;
} fates[FATES] = {
	[FATE_GOOD] = {"good", "restorable", PLOT_BLUE, "pt 7 ps 1.1 lc rgb '" PLOT_BLUE "'"},
	[FATE_PRUNED] = {"pruned", "restorable, pruned later", "#A9C8DE",
			 "pt 6 ps 1.0 lw 1.6 lc rgb '" PLOT_BLUE "'"},
	[FATE_BAD] = {"bad", "finished, not restorable", PLOT_ORANGE,
		      "pt 13 ps 1.4 lc rgb '" PLOT_ORANGE "'"},
	[FATE_CORRUPT] = {"corrupt", "corrupt, as the restore found", PLOT_ORANGE,
			  "pt 12 ps 1.3 lw 1.6 lc rgb '" PLOT_ORANGE "'"},
	[FATE_FAILED] = {"failed", "failed", PLOT_RED, "pt 2 ps 1.1 lw 2.5 lc rgb '" PLOT_RED "'"},
	[FATE_RUNNING] = {"running", "did not finish", "#B9BEC5",
			  "pt 8 ps 1.2 lc rgb '" PLOT_GREY "'"},
};

struct backup {
	const cJSON *classes;
	double id, policy, begin, end, as_of;
	enum fate fate;
};

struct backups {
	struct backup *list; /* in the order of their begin */
	size_t count, capacity;
};

static bool add_backup(struct backups *all, const cJSON *event)
{
	double t = view_seconds(event, "t_ns");

	if (all->count == all->capacity) {
		size_t capacity = all->capacity ? 2 * all->capacity : 64;
		struct backup *list = realloc(all->list, capacity * sizeof(*list));

		if (!list)
			return false;
		all->list = list;
		all->capacity = capacity;
	}
	all->list[all->count++] = (struct backup){
		.classes = view_get(event, "classes"),
		.id = view_real(event, "backup"),
		.policy = view_real(event, "policy"),
		.begin = t,
		.end = NAN,
		.as_of = t,
	};
	return true;
}

/* The latest backup of that number: most events name one of the last few. */
static struct backup *find_backup(struct backups *all, double id)
{
	for (size_t i = all->count; i > 0; i--)
		if (all->list[i - 1].id == id)
			return &all->list[i - 1];
	return NULL;
}

/* What listed as restorable, and turned out corrupt when it was read back. */
static void mark_corrupt(struct backups *all, const cJSON *events)
{
	const cJSON *event, *later;

	cJSON_ArrayForEach (event, events) {
		struct backup *backup;

		if (!view_is(event, "event", "action.begin") || !view_is(event, "kind", "restore"))
			continue;
		for (later = event->next; later; later = later->next)
			if (view_is(later, "event", "action.end") &&
			    view_real(later, "action") == view_real(event, "action"))
				break;
		if (!later || !view_is(later, "reason", "the digest does not match"))
			continue;
		backup = find_backup(all, view_real(event, "backup"));
		if (backup)
			backup->fate = FATE_CORRUPT;
	}
}

static bool collect(struct backups *all, const cJSON *events)
{
	const cJSON *event;

	cJSON_ArrayForEach (event, events) {
		struct backup *backup;

		if (view_is(event, "event", "backup.begin") && !add_backup(all, event))
			return false;
		if (!view_is(event, "event", "backup.end") &&
		    !view_is(event, "event", "backup.prune"))
			continue;
		backup = find_backup(all, view_real(event, "backup"));
		if (!backup)
			continue;
		if (view_is(event, "event", "backup.prune")) {
			if (backup->fate == FATE_GOOD)
				backup->fate = FATE_PRUNED;
			continue;
		}
		backup->end = view_seconds(event, "t_ns");
		if (isfinite(view_real(event, "as_of_ns")))
			backup->as_of = view_seconds(event, "as_of_ns");
		backup->fate = view_bool(event, "ok") == 0           ? FATE_FAILED
			       : view_bool(event, "restorable") == 0 ? FATE_BAD
								     : FATE_GOOD;
	}
	mark_corrupt(all, events);
	return all->count > 0;
}

/* Where the picture begins and ends: some points around the loss when the drill has many. */
static void choose_window(const struct backups *all, const cJSON *record, double t_bp,
			  double t_loss, double *begin, double *end)
{
	double duration = view_real(record, "drill.duration_s"),
	       centre = isfinite(t_loss) ? t_loss : duration;
	size_t first, last = 0;

	*begin = 0;
	*end = duration > 0 ? duration : 1;
	if (all->count <= SHOWN_BEFORE + SHOWN_AFTER)
		return;
	for (size_t i = 0; i < all->count; i++)
		if (all->list[i].begin <= centre)
			last = i;
	first = last > SHOWN_BEFORE ? last - SHOWN_BEFORE : 0;
	*begin = all->list[first].begin;
	if (isfinite(t_bp))
		*begin = fmax(0, fmin(*begin, t_bp - (t_loss - t_bp)));
	if (last + SHOWN_AFTER < all->count)
		*end = fmin(*end, all->list[last + SHOWN_AFTER].begin);
	if (*end <= *begin)
		*end = *begin + 1;
}

static void put_backups(FILE *script, const struct backups *all, double begin, double end,
			double scale)
{
	for (size_t fate = 0; fate < FATES; fate++) {
		/* A row that is not drawn keeps gnuplot content where there is none of this fate.
		 */
		fprintf(script, "$%s << EOD\nNaN NaN NaN\n", fates[fate].name);
		for (size_t i = 0; i < all->count; i++) {
			const struct backup *backup = &all->list[i];
			double stop = isnan(backup->end) ? end : backup->end;

			if (backup->fate != fate || stop < begin || backup->begin > end)
				continue;
			fprintf(script, "%.9g %g %.9g\n", backup->begin / scale,
				isfinite(backup->policy) ? -backup->policy : 0,
				fmin(stop, end) / scale);
		}
		fputs("EOD\n", script);
	}
}

/* A ring around the recovery point that was restored from, with its name. */
static void put_source(FILE *script, const struct backups *all, double t_bp, double begin,
		       double end, double scale)
{
	const struct backup *source = NULL;
	bool left;

	for (size_t i = 0; i < all->count; i++)
		if (isfinite(t_bp) && fabs(all->list[i].as_of - t_bp) < 1e-6 &&
		    isfinite(all->list[i].end) && all->list[i].fate != FATE_FAILED &&
		    all->list[i].fate != FATE_BAD && all->list[i].fate != FATE_CORRUPT)
			source = &all->list[i];
	if (!source)
		return;
	left = (source->end - begin) / (end - begin) < 0.2;
	fprintf(script,
		"set label 'restored from this one' at %.9g,%g %s,1.6 front\n"
		"set label '' at %.9g,%g point pt 6 ps 2.6 lw 2 lc rgb '" PLOT_INK "' front\n",
		source->end / scale, isfinite(source->policy) ? -source->policy : 0.0,
		left ? "left offset 0.6" : "right offset -0.6", source->end / scale,
		isfinite(source->policy) ? -source->policy : 0.0);
}

static void put_loss(FILE *script, const cJSON *incident, double t_bp, double t_loss, double begin,
		     double end, double scale)
{
	char seconds[WORDS_MAX], bytes[WORDS_MAX], records[WORDS_MAX];
	bool right = (t_loss - begin) / (end - begin) > 0.6;

	if (!isfinite(t_loss) || t_loss < begin || t_loss > end)
		return;
	plot_vertical(script, t_loss / scale, PLOT_RED);
	if (isfinite(t_bp) && t_bp < t_loss) {
		plot_vertical(script, t_bp / scale, PLOT_INK);
		plot_band(script, fmax(t_bp, begin) / scale, t_loss / scale, PLOT_RED, 0.16);
	}
	fputs("set label ", script);
	plot_quotef(script, "BRP %s: %s, %s records lost",
		    words_duration_exact(seconds, view_real(incident, "brp.seconds")),
		    words_bytes(bytes, view_real(incident, "brp.bytes")),
		    words_number(records, view_real(incident, "brp.records")));
	fprintf(script,
		" at first %.9g, graph 0.93 %s offset %g,0 front textcolor rgb '" PLOT_INK "'\n",
		t_loss / scale, right ? "right" : "left", right ? -1.0 : 1.0);
}

/* What a policy backs up stands before its row. */
static void put_name(FILE *script, const struct backups *all, double row)
{
	const cJSON *class = NULL;
	char text[64] = "";
	size_t used = 0;

	for (size_t i = 0; i < all->count && !class; i++)
		if (all->list[i].policy == row)
			class = all->list[i].classes ? all->list[i].classes->child : NULL;
	for (; class && used + 1 < sizeof(text); class = class->next)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%.20s",
					 used ? ", " : "", view_text_or(class, "", "?"));
	fputs("set label ", script);
	plot_quote(script, text[0] ? text : "backups");
	fprintf(script, " at graph 0, first %g right offset -1,0\n", -row);
}

/* Bars first, their ends over them; the key names only what there is. */
static void put_plot(FILE *script, const struct backups *all)
{
	bool any[FATES] = {false};

	for (size_t i = 0; i < all->count; i++)
		any[all->list[i].fate] = true;
	fputs("plot ", script);
	for (size_t fate = 0; fate < FATES; fate++)
		fprintf(script,
			"%s$%s using 1:2:($3-$1):(0) with vectors nohead lw 7 lc rgb '%s' notitle",
			fate ? ", " : "", fates[fate].name, fates[fate].bar);
	for (size_t fate = FATES; fate > 0; fate--)
		if (any[fate - 1])
			fprintf(script, ", $%s using 3:2 with points %s title '%s'",
				fates[fate - 1].name, fates[fate - 1].point, fates[fate - 1].title);
	fputc('\n', script);
}

static bool draw_all(FILE *script, const struct report_input *input, struct backups *all)
{
	const cJSON *incident = view_headline(input->record);
	double t_bp = view_seconds(incident, "t_bp_ns"),
	       t_loss = view_seconds(incident, "t_loss_ns"), begin, end, rows = 0;
	struct plot_axis axis;

	if (!collect(all, input->events))
		return false;
	choose_window(all, input->record, t_bp, t_loss, &begin, &end);
	axis = plot_axis(end - begin);
	for (size_t i = 0; i < all->count; i++)
		rows = fmax(rows, isfinite(all->list[i].policy)
					  ? fmin(all->list[i].policy, SCENARIO_POLICIES_MAX)
					  : 0);
	put_backups(script, all, begin, end, axis.scale);
	put_loss(script, incident, t_bp, t_loss, begin, end, axis.scale);
	put_source(script, all, t_bp, begin, end, axis.scale);
	for (int row = 0; row <= (int)rows; row++)
		put_name(script, all, row);
	fprintf(script,
		"unset ytics\nset border 1\nset lmargin 18\nset rmargin 3\nset tmargin 4\n"
		"set key above left Left reverse horizontal samplen 1 font ',11'\n"
		"set xrange [%.9g:%.9g]\nset yrange [%g:0.75]\n"
		"set xlabel 'time of the drill [%s]     (bar: from begin to end of a backup; its "
		"data is as of the begin)'\n",
		(begin - 0.012 * (end - begin)) / axis.scale, end / axis.scale, -rows - 0.6,
		axis.unit);
	put_plot(script, all);
	return true;
}

static bool draw(FILE *script, const struct report_input *input)
{
	struct backups all = {0};
	bool drawn = draw_all(script, input, &all);

	free(all.list);
	return drawn;
}

const struct plot plot_backups = {
	.name = "backups",
	.title = "Recovery points, and what was written after the one restored from",
	.width = 1000,
	.height = 260,
	.draw = draw,
};
