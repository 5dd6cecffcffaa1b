/* SPDX-License-Identifier: Apache-2.0 */
/* How far a run is: one line that is redrawn on a terminal, a plain line now and then elsewhere. */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/commands.h"
#include "core/words.h"

#define SILENT_S 0.3 /* shorter runs say nothing */
#define REDRAW_S 0.1
#define PLAIN_S 5.0
#define LINE_COLUMNS 78

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

void progress_start(struct progress *progress, nanos duration, bool quiet)
{
	*progress = (struct progress){
		.quiet = quiet,
		.terminal = isatty(STDERR_FILENO) == 1,
		.started = command_seconds(),
		.duration = duration,
	};
	progress->shown = progress->started;
}

void progress_tell(void *self, nanos now, const char *what)
{
	struct progress *progress = self;
	double clock, wait = progress->terminal ? REDRAW_S : PLAIN_S;
	char at[WORDS_MAX], end[WORDS_MAX], line[2 * WORDS_MAX + 64];

	if (progress->quiet)
		return;
	clock = command_seconds();
	if (clock - progress->shown < (progress->drawn ? wait : SILENT_S))
		return;
	progress->shown = clock;
	progress->drawn = true;
	if (now == NANOS_NEVER) /* a campaign, which counts trials */
		snprintf(line, sizeof(line), "%.80s", what ? what : "");
	else
		snprintf(line, sizeof(line), "%.24s of %.24s (%d %%)%s%.80s", words_nanos(at, now),
			 words_nanos(end, progress->duration),
			 progress->duration > 0
				 ? (int)(100.0 * (double)now / (double)progress->duration)
				 : 100,
			 what && *what ? ", " : "", what ? what : "");
	if (progress->terminal)
		fprintf(stderr, "\r\033[K%.*s", LINE_COLUMNS, line);
	else
		fprintf(stderr, "drsim: %s\n", line);
	fflush(stderr);
}

void progress_end(struct progress *progress)
{
	if (progress->drawn && progress->terminal)
		fputs("\r\033[K", stderr);
	progress->drawn = false;
	progress->quiet = true;
}
