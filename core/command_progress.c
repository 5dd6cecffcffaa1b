/* SPDX-License-Identifier: Apache-2.0 */
/* How far a run is: one line that is redrawn on a terminal, a plain line now and then elsewhere. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "core/commands.h"
#include "core/run.h"
#include "core/words.h"

#define SILENT_S 0.3 /* shorter runs say nothing */
#define REDRAW_S 0.1
#define PLAIN_S 5.0
#define ESTIMATE_S 0.5  /* of a pace that is not older nobody knows much */
#define LINE_COLUMNS 79 /* where the terminal does not say */
#define BAR_MIN 8
#define BAR_MAX 30

double command_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now); /* style: allow */
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

const char *command_now(struct arena *arena, const char **ret_compact)
{
	struct timespec now;
	struct tm parts;
	char text[64];

	clock_gettime(CLOCK_REALTIME, &now); /* style: allow */
	gmtime_r(&now.tv_sec, &parts);
	strftime(text, sizeof(text), "%Y%m%dT%H%M%SZ", &parts);
	*ret_compact = arena_strdup(arena, text);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
	return arena_printf(arena, "%s.%03ldZ", text, now.tv_nsec / 1000000);
}

/* ---- the terminal ---- */

bool command_terminal(int fd)
{
	const char *terminal = getenv("TERM");

	return isatty(fd) == 1 && terminal && *terminal && strcmp(terminal, "dumb") != 0;
}

bool command_colour(int fd)
{
	const char *without = getenv("NO_COLOR");

	return command_terminal(fd) && (!without || !*without);
}

int command_columns(int fd)
{
	struct winsize size = {0};

	return ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

/* ---- the line ---- */

struct line {
	double share;              /* done, 0 … 1 */
	const char *phase;         /* "switch"; NULL: nothing to tell */
	char where[4 * WORDS_MAX]; /* "2 min of 6 min, 4 min left" */
};

static void append(char *text, size_t room, const char *more)
{
	size_t used = strlen(text);

	snprintf(text + used, room - used, "%s", more);
}

/* Of what is simulated the pace so far tells how long it goes on; once it is worth telling. */
static void append_left(struct line *line, double elapsed)
{
	double left = line->share > 0 ? elapsed / line->share - elapsed : 0;
	char text[WORDS_MAX];

	if (elapsed < ESTIMATE_S || left < 1)
		return;
	append(line->where, sizeof(line->where), ", about ");
	append(line->where, sizeof(line->where), words_duration(text, ceil(left)));
	append(line->where, sizeof(line->where), " left");
}

static void fill_line(const struct progress *progress, const struct run_progress *told,
		      double elapsed, struct line *line)
{
	char at[WORDS_MAX], end[WORDS_MAX], left[WORDS_MAX];
	nanos now = told->now, duration = progress->duration;

	*line = (struct line){.share = 1};
	if (told->trials > 0) {
		line->share = (double)told->trial / (double)told->trials;
		snprintf(line->where, sizeof(line->where), "trial %s of %s",
			 words_number(at, (double)told->trial),
			 words_number(end, (double)told->trials));
		append_left(line, elapsed);
		return;
	}
	if (now < duration)
		line->share = (double)now / (double)duration;
	line->phase = run_phase_names[told->phase];
	snprintf(line->where, sizeof(line->where), "%s of %s", words_nanos(at, now),
		 words_nanos(end, duration));
	if (!progress->real) {
		append(line->where, sizeof(line->where), " simulated");
		append_left(line, elapsed);
	} else if (now < duration) {
		append(line->where, sizeof(line->where), ", ");
		append(line->where, sizeof(line->where),
		       words_duration(left, ceil((double)(duration - now) / 1e9)));
		append(line->where, sizeof(line->where), " left");
	}
}

/* As much of the text as fits; returns the columns that are left. */
static int put_cut(const char *text, int room)
{
	for (; *text; text++) {
		if (((unsigned char)*text & 0xc0) != 0x80 && room-- == 0)
			return 0;
		fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, stderr);
	}
	return room;
}

static void put_bar(const struct progress *progress, double share, int columns)
{
	int done = (int)(share * columns);

	fputs(progress->colour ? "\033[34m" : "", stderr);
	for (int i = 0; i < columns; i++) {
		if (i == done)
			fputs(progress->colour ? "\033[0;2m" : "", stderr);
		fputs(i < done ? "\xe2\x94\x81" : "\xe2\x94\x80", stderr);
	}
	fputs(progress->colour ? "\033[0m" : "", stderr);
}

/* NAME  ━━━━────  43 %  switch  2 min of 6 min, 4 min left. What is narrow loses the bar first,
 * then the end of the line; the last column stays empty, or some terminals would begin a new line.
 */
static void redraw(const struct progress *progress, const struct line *line)
{
	int columns = command_columns(STDERR_FILENO), room, bar;
	char tail[sizeof(line->where) + 64];

	snprintf(tail, sizeof(tail), "%3d %%%s%s  %s", (int)(line->share * 100),
		 line->phase ? "  " : "", line->phase ? line->phase : "", line->where);
	room = (columns > 0 ? columns : LINE_COLUMNS + 1) - 1;
	bar = room - (int)words_columns(tail) - (int)words_columns(progress->name) - 4;
	fputs("\r\033[K", stderr);
	if (bar >= BAR_MIN) {
		bar = bar < BAR_MAX ? bar : BAR_MAX;
		room = put_cut("  ", put_cut(progress->name, room));
		put_bar(progress, line->share, bar);
		room = put_cut("  ", room - bar);
	}
	put_cut(tail, room);
}

void progress_start(struct progress *progress, const struct scenario *scenario, bool real,
		    bool quiet)
{
	*progress = (struct progress){
		.quiet = quiet,
		.redrawn = command_terminal(STDERR_FILENO),
		.colour = command_colour(STDERR_FILENO),
		.real = real,
		.name = scenario ? scenario->name : NULL,
		.started = command_seconds(),
		.duration = scenario ? scenario->duration : 0,
	};
	progress->shown = progress->started;
}

/* Is it time for another line? */
static bool is_due(struct progress *progress, double now)
{
	double wait = progress->redrawn ? REDRAW_S : PLAIN_S;

	if (progress->quiet || now - progress->shown < (progress->drawn ? wait : SILENT_S))
		return false;
	progress->shown = now;
	progress->drawn = true;
	return true;
}

void progress_tell(void *self, const struct run_progress *told)
{
	struct progress *progress = self;
	double now = command_seconds();
	struct line line;

	if (!is_due(progress, now))
		return;
	fill_line(progress, told, now - progress->started, &line);
	if (progress->redrawn)
		redraw(progress, &line);
	else
		fprintf(stderr, "drsim: %d %%, %s%s%s\n", (int)(line.share * 100),
			line.phase ? line.phase : "", line.phase ? ", " : "", line.where);
	fflush(stderr);
}

static void show(const struct progress *progress, const char *text)
{
	int columns = command_columns(STDERR_FILENO);

	if (progress->redrawn) {
		fputs("\r\033[K", stderr);
		put_cut(text, (columns > 0 ? columns : LINE_COLUMNS + 1) - 1);
	} else {
		fprintf(stderr, "drsim: %s\n", text);
	}
	fflush(stderr);
}

void progress_note(struct progress *progress, const char *text)
{
	if (is_due(progress, command_seconds()))
		show(progress, text);
}

void progress_say(struct progress *progress, const char *what)
{
	/* It may take long, and nobody comes by here meanwhile. */
	if (!progress->quiet && progress->drawn)
		show(progress, what);
}

void progress_end(struct progress *progress)
{
	if (progress->drawn && progress->redrawn)
		fputs("\r\033[K", stderr);
	progress->drawn = false;
	progress->quiet = true;
}
