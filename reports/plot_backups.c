/* SPDX-License-Identifier: Apache-2.0 */
/* plots/backups.svg: the recovery points over time, the one restored from, and what lies between it
 * and the loss. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/scenario.h"
#include "reports/plot.h"
#include "reports/text.h"
#include "reports/view.h"

#define SHOWN_BEFORE 14 /* recovery points before the loss in a long drill */
#define SHOWN_AFTER 4
#define RESTORES_MAX 64 /* under way at one time */
#define LEFT 168

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

/* The bar from begin to end, and the point at its end. */
static const struct {
	const char *title, *bar, *point;
} fates[FATES] = {
	[FATE_GOOD] = {"restorable", PLOT_BLUE, "pt 7 ps 0.9 lc rgb '" PLOT_BLUE "'"},
	[FATE_PRUNED] = {"restorable, pruned later", PLOT_SKY,
			 "pt 6 ps 0.9 lw 1.6 lc rgb '" PLOT_BLUE "'"},
	[FATE_BAD] = {"finished, not restorable", PLOT_ORANGE,
		      "pt 13 ps 1.2 lc rgb '" PLOT_ORANGE "'"},
	[FATE_CORRUPT] = {"corrupt, as the restore found", PLOT_ORANGE,
			  "pt 12 ps 1.2 lw 1.6 lc rgb '" PLOT_ORANGE "'"},
	[FATE_FAILED] = {"failed", PLOT_RED, "pt 2 ps 1.0 lw 2.2 lc rgb '" PLOT_RED "'"},
	[FATE_RUNNING] = {"did not finish", PLOT_GREY, "pt 8 ps 1.1 lc rgb '" PLOT_GREY "'"},
};

struct backup {
	const cJSON *classes;
	double id, policy, begin, end, as_of;
	enum fate fate;
	bool found_corrupt;
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

/* Restores that are under way: whose end is still to come. */
struct restores {
	struct {
		double action, backup;
	} open[RESTORES_MAX];
	size_t count;
};

/* What listed as restorable, and turned out corrupt when it was read back. */
static void follow_restore(struct restores *restores, struct backups *all, const cJSON *event)
{
	double action = view_real(event, "action");
	struct backup *backup;

	if (view_is(event, "event", "action.begin")) {
		if (view_is(event, "kind", "restore") && restores->count < RESTORES_MAX) {
			restores->open[restores->count].action = action;
			restores->open[restores->count++].backup = view_real(event, "backup");
		}
		return;
	}
	for (size_t i = 0; i < restores->count; i++) {
		if (restores->open[i].action != action)
			continue;
		backup = find_backup(all, restores->open[i].backup);
		if (backup && view_is(event, "reason", "the digest does not match"))
			backup->found_corrupt = true;
		restores->open[i] = restores->open[--restores->count];
		return;
	}
}

static void end_backup(struct backup *backup, const cJSON *event)
{
	backup->end = view_seconds(event, "t_ns");
	if (isfinite(view_real(event, "as_of_ns")))
		backup->as_of = view_seconds(event, "as_of_ns");
	backup->fate = view_bool(event, "ok") == 0           ? FATE_FAILED
		       : view_bool(event, "restorable") == 0 ? FATE_BAD
							     : FATE_GOOD;
}

static bool collect(struct backups *all, const cJSON *events)
{
	struct restores restores = {.count = 0};
	const cJSON *event;

	cJSON_ArrayForEach (event, events) {
		const char *type = view_text_or(event, "event", "");
		struct backup *backup;

		if (strncmp(type, "action.", 7) == 0)
			follow_restore(&restores, all, event);
		if (strncmp(type, "backup.", 7) != 0)
			continue;
		if (strcmp(type, "backup.begin") == 0 && !add_backup(all, event))
			return false;
		backup = find_backup(all, view_real(event, "backup"));
		if (backup && strcmp(type, "backup.end") == 0)
			end_backup(backup, event);
		if (backup && strcmp(type, "backup.prune") == 0 && backup->fate == FATE_GOOD)
			backup->fate = FATE_PRUNED;
	}
	for (size_t i = 0; i < all->count; i++)
		if (all->list[i].found_corrupt)
			all->list[i].fate = FATE_CORRUPT;
	return all->count > 0;
}

/* What the picture shows of the drill. */
struct view {
	double begin, end; /* seconds of the drill */
	double zero;       /* that the axis counts from */
	double t_bp, t_loss;
	size_t rows; /* policies */
	struct canvas_axis axis;
};

static double on_axis(const struct view *view, double t)
{
	return (t - view->zero) / view->axis.scale;
}

/* Some points around the loss when the drill has many. */
static void choose_window(struct view *view, const struct backups *all, const cJSON *record)
{
	double duration = view_real(record, "drill.duration_s"),
	       centre = isfinite(view->t_loss) ? view->t_loss
			: view->zero > 0       ? view->zero
					       : duration;
	size_t first, last = 0;

	view->begin = 0;
	view->end = duration > 0 ? duration : 1;
	if (all->count <= SHOWN_BEFORE + SHOWN_AFTER)
		return;
	for (size_t i = 0; i < all->count; i++)
		if (all->list[i].begin <= centre)
			last = i;
	first = last > SHOWN_BEFORE ? last - SHOWN_BEFORE : 0;
	view->begin = all->list[first].begin;
	if (isfinite(view->t_bp))
		view->begin = fmax(0, fmin(view->begin, view->t_bp - (view->t_loss - view->t_bp)));
	if (last + SHOWN_AFTER < all->count)
		view->end = fmin(view->end, all->list[last + SHOWN_AFTER].begin);
	/* A loss soon after the last backup before it is in the picture, too. */
	view->end = fmin(duration > 0 ? duration : view->end,
			 fmax(view->end, centre + (centre - view->begin) * 0.06));
	if (view->end <= view->begin)
		view->end = view->begin + 1;
}

static size_t row_of(const struct backup *backup)
{
	return isfinite(backup->policy)
		       ? (size_t)fmax(0, fmin(backup->policy, SCENARIO_POLICIES_MAX))
		       : 0;
}

static void put_data(struct canvas *canvas, const struct backups *all, const struct view *view)
{
	char columns[96];

	snprintf(columns, sizeof(columns), "begin [%s]\tend [%s]\tpolicy [row]", view->axis.unit,
		 view->axis.unit);
	for (size_t fate = 0; fate < FATES; fate++) {
		canvas_series(canvas, fates[fate].title, columns);
		for (size_t i = 0; i < all->count; i++) {
			const struct backup *backup = &all->list[i];
			double stop = isnan(backup->end) ? view->end : backup->end;

			if (backup->fate != fate || stop < view->begin || backup->begin > view->end)
				continue;
			canvas_row(canvas, 3, on_axis(view, fmax(backup->begin, view->begin)),
				   on_axis(view, fmin(stop, view->end)), (double)row_of(backup));
		}
	}
	canvas_series_end(canvas);
}

/* The recovery point that was restored from, NULL when it is not known. */
static const struct backup *find_source(const struct backups *all, const struct view *view)
{
	const struct backup *source = NULL;

	for (size_t i = 0; i < all->count; i++) {
		const struct backup *backup = &all->list[i];

		if (isfinite(view->t_bp) && fabs(backup->as_of - view->t_bp) < 1e-6 &&
		    isfinite(backup->end) && backup->fate != FATE_FAILED &&
		    backup->fate != FATE_BAD && backup->fate != FATE_CORRUPT)
			source = backup;
	}
	return source;
}

/* A ring around it. */
static void put_source(struct canvas *canvas, const struct backup *source, const struct view *view)
{
	if (!source || source->end < view->begin || source->end > view->end)
		return;
	fprintf(canvas->script,
		"set label '' at first %.9g,%zu point pt 6 ps 2.1 lw 1.8 lc rgb '" PLOT_INK
		"' front\n",
		on_axis(view, source->end), row_of(source));
	canvas_entry(canvas, SIGN_POINT, "pt 6 ps 1.5 lw 1.8 lc rgb '" PLOT_INK "'",
		     "restored from this one");
}

static void put_loss(struct canvas *canvas, const cJSON *incident, const struct view *view)
{
	const struct canvas_panel *panel = &canvas->panel;
	char seconds[WORDS_MAX], bytes[WORDS_MAX], records[WORDS_MAX], text[4 * WORDS_MAX];
	double x, from, width;

	if (isnan(view->t_loss) && view->zero > 0) {
		x = canvas_x(canvas, 0);
		canvas_line(canvas, x, panel->top - 6, x, panel->bottom, 1.4, 1, PLOT_RED);
		canvas_text(canvas, x, panel->top - 14, ALIGN_CENTRE, CANVAS_SMALL, PLOT_INK,
			    "fault");
	}
	if (!(view->t_loss >= view->begin && view->t_loss <= view->end))
		return;
	from = x = canvas_x(canvas, on_axis(view, view->t_loss));
	snprintf(text, sizeof(text), "loss");
	if (view->t_bp <= view->t_loss) {
		from = canvas_x(canvas, on_axis(view, fmax(view->t_bp, view->begin)));
		canvas_rectangle(canvas,
				 (struct canvas_box){from, x, panel->top - 6, panel->bottom},
				 PLOT_RED, 0.16);
		canvas_line(canvas, from, panel->top - 6, from, panel->bottom, 1, 3, PLOT_RULE);
		snprintf(text, sizeof(text), "BRP %s: %s, %s records lost",
			 words_duration_exact(seconds, view_real(incident, "brp.seconds")),
			 words_bytes(bytes, view_real(incident, "brp.bytes")),
			 words_number(records, view_real(incident, "brp.records")));
	}
	canvas_line(canvas, x, panel->top - 6, x, panel->bottom, 1.4, 1, PLOT_RED);
	width = canvas_text_width(text, CANVAS_SMALL);
	from = fmin(from, CANVAS_WIDTH - 8 - width);
	canvas_text(canvas, from, panel->top - 14, ALIGN_LEFT, CANVAS_SMALL, PLOT_INK, text);
	canvas_take(canvas, canvas_text_box(from, panel->top - 14, ALIGN_LEFT, CANVAS_SMALL, text));
}

/* How old the recovery point may be, counted from the loss. */
static void put_objective(struct canvas *canvas, const cJSON *record, const struct view *view)
{
	const struct canvas_panel *panel = &canvas->panel;
	const cJSON *objective;
	char words[WORDS_MAX], text[2 * WORDS_MAX];

	cJSON_ArrayForEach (objective, view_get(record, "objectives")) {
		double limit = view_real(objective, "limit"), x, top = panel->top - 22, half;

		if (!view_is(objective, "name", "brp.seconds") ||
		    !(view->t_loss - limit >= view->begin))
			continue;
		x = canvas_x(canvas, on_axis(view, view->t_loss - limit));
		/* The line does not go through what is said of the loss. */
		if (!canvas_take(canvas, (struct canvas_box){x - 2, x + 2, panel->top - 22,
							     panel->top - 8}))
			top = panel->top - 6;
		canvas_line(canvas, x, top, x, panel->bottom, 1.4, 2, PLOT_INK);
		snprintf(text, sizeof(text), "objective: not older than %s",
			 words_duration(words, limit));
		half = canvas_text_width(text, CANVAS_SMALL) / 2;
		canvas_text(canvas, fmin(fmax(x, 12 + half), CANVAS_WIDTH - 8 - half),
			    panel->top - 30, ALIGN_CENTRE, CANVAS_SMALL, PLOT_INK, text);
	}
}

/* What a policy backs up stands before its row. */
static void put_name(struct canvas *canvas, const struct backups *all, size_t row)
{
	const cJSON *class = NULL;
	char text[CANVAS_TEXT_MAX] = "", cut[CANVAS_TEXT_MAX];
	size_t used = 0;

	for (size_t i = 0; i < all->count && !class; i++)
		if (row_of(&all->list[i]) == row)
			class = all->list[i].classes ? all->list[i].classes->child : NULL;
	for (; class && used + 64 < sizeof(text); class = class->next)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%.40s",
					 used ? ", " : "", view_text_or(class, "", "?"));
	canvas_text(canvas, LEFT - 14, canvas_y(canvas, (double)row), ALIGN_RIGHT, CANVAS_SMALL + 1,
		    PLOT_INK, canvas_fit(cut, text[0] ? text : "backups", LEFT - 24, 12));
}

/* Bars first, their ends over them; the legend names only what there is. */
static void put_plot(struct canvas *canvas)
{
	fputs("plot ", canvas->script);
	for (size_t fate = 0; fate < FATES; fate++)
		fprintf(canvas->script,
			"%s'backups.tsv' index %zu using 1:3:($2-$1):(0) with vectors nohead lw 6 "
			"lc rgb '%s' title '%s'",
			fate ? ", " : "", fate, fates[fate].bar, fates[fate].title);
	for (size_t fate = FATES; fate > 0; fate--)
		fprintf(canvas->script, ", '' index %zu using 2:3 with points %s title '%s'",
			fate - 1, fates[fate - 1].point, fates[fate - 1].title);
	fputc('\n', canvas->script);
}

static void make_legend(struct canvas *canvas, const struct backups *all, const struct view *view)
{
	bool any[FATES] = {false};

	for (size_t i = 0; i < all->count; i++) {
		double stop = isnan(all->list[i].end) ? view->end : all->list[i].end;

		if (stop >= view->begin && all->list[i].begin <= view->end)
			any[all->list[i].fate] = true;
	}
	for (size_t fate = FATES; fate > 0; fate--)
		if (any[fate - 1])
			canvas_entry(canvas, SIGN_POINT, fates[fate - 1].point, "%s",
				     fates[fate - 1].title);
	canvas_entry(canvas, SIGN_BAR, PLOT_BLUE, "from begin to end; the data is as of the begin");
	if (view->t_bp <= view->t_loss)
		canvas_entry(canvas, SIGN_BAND, PLOT_RED, "written after it, and lost");
}

static void draw_all(struct canvas *canvas, const struct report_input *input,
		     const struct backups *all, const struct view *view)
{
	const struct backup *source = find_source(all, view);
	double pad = 0.012 * (view->end - view->begin), top;
	struct canvas_panel panel = {LEFT,
				     CANVAS_WIDTH - 20,
				     0,
				     0,
				     on_axis(view, view->begin - pad),
				     on_axis(view, view->end + pad),
				     (double)view->rows - 0.5,
				     -0.5,
				     false};
	char title[64];

	make_legend(canvas, all, view);
	/* The ring's entry comes with the ring; one row more than the others may need. */
	top = canvas_legend_height(canvas, 12, CANVAS_WIDTH - 220) + 4;
	panel.top = top + 42;
	panel.bottom = panel.top + 40 * (double)view->rows;
	canvas->height = (int)panel.bottom + 50;
	put_data(canvas, all, view);
	canvas_panel(canvas, &panel);
	put_loss(canvas, view_headline(input->record), view);
	put_objective(canvas, input->record, view);
	put_source(canvas, source, view);
	canvas_legend(canvas, 12, CANVAS_WIDTH - 20, 4);
	for (size_t row = 0; row < view->rows; row++)
		put_name(canvas, all, row);
	fputs("unset ytics\nset grid noytics xtics\n", canvas->script);
	snprintf(title, sizeof(title), "time %s [%s]",
		 view->zero > 0 ? "since the fault" : "of the drill", view->axis.unit);
	canvas_x_axis(canvas, &view->axis, title);
	put_plot(canvas);
}

static bool draw(struct canvas *canvas, const struct report_input *input)
{
	const cJSON *incident = view_headline(input->record);
	double fault = view_seconds(incident, "t_fault_ns");
	struct view view = {.zero = isfinite(fault) ? fault : 0,
			    .t_bp = view_seconds(incident, "t_bp_ns"),
			    .t_loss = view_seconds(incident, "t_loss_ns"),
			    .rows = 1};
	struct backups all = {0};
	bool any = collect(&all, input->events);

	if (any) {
		choose_window(&view, &all, input->record);
		view.axis = canvas_axis(view.end - view.begin);
		for (size_t i = 0; i < all.count; i++)
			if (row_of(&all.list[i]) >= view.rows)
				view.rows = row_of(&all.list[i]) + 1;
		draw_all(canvas, input, &all, &view);
	}
	free(all.list);
	return any;
}

const struct plot plot_backups = {
	.name = "backups",
	.title = "Recovery points, and what was written after the one restored from",
	.draw = draw,
};
