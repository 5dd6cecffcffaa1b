/* SPDX-License-Identifier: Apache-2.0 */
/* drsim history: where the nights are kept, and old runs brought in. */
#include <string.h>
#include <unistd.h>

#include "core/report.h"
#include "reports/commands.h"
#include "reports/history.h"

#define FOLDERS_MAX 10000

struct history_command {
	const char *history;
};

static int show(const struct invocation *in, const char *path)
{
	struct history_list list = {0};
	struct error error = {0};

	if (history_read(path, NULL, in->arena, &list, &error)) {
		error_print(&error);
		return EXIT_NOT_EVALUABLE;
	}
	printf("%s: %zu drill%s", path, list.count, list.count == 1 ? "" : "s");
	if (list.count > 0)
		printf(", %.10s to %.10s", list.drills[0].started,
		       list.drills[list.count - 1].started);
	putchar('\n');
	return EXIT_OK;
}

/* Reads every folder before anything is written: all of them come in, or none. */
static int import(const struct invocation *in, const char *path)
{
	size_t count = in->word_count - 1, added = 0;
	struct history_drill *drills = arena_array(in->arena, count, sizeof(*drills));
	struct error error = {0};

	for (size_t i = 1; i <= count; i++)
		if (access(arena_printf(in->arena, "%s/record.json", in->words[i]), F_OK))
			return command_usage(in->command,
					     "'%s' holds no record.json: it is no run folder",
					     in->words[i]);
	for (size_t i = 0; i < count; i++) {
		struct report_input input = {0};
		int rc = report_load(in->words[i + 1], &input, &error);

		if (rc == 0) {
			rc = history_drill_of(input.record, in->arena, &drills[i], &error);
			report_free(&input);
		}
		if (rc) {
			error_print(&error);
			fputs("drsim: nothing was brought in\n", stderr);
			return EXIT_NOT_EVALUABLE;
		}
	}
	if (history_add(path, drills, count, in->arena, &added, &error)) {
		error_print(&error);
		return EXIT_NOT_EVALUABLE;
	}
	printf("%s: %zu drill%s brought in, %zu there already\n", path, added,
	       added == 1 ? "" : "s", count - added);
	return EXIT_OK;
}

static int history_main(struct invocation *in)
{
	struct history_command command = {0};
	const char *path = NULL;
	struct error error = {0};
	int code;

	if (command_parse(in, &command, &code))
		return code;
	if (in->word_count > 0 && strcmp(in->words[0], "import") != 0)
		return command_unknown(in->command, "word", in->words[0],
				       (const char *const[]){"import", NULL});
	if (in->word_count == 1)
		return command_usage(in->command, "import needs run folders");
	if (history_path(command.history, in->arena, &path, &error)) {
		error_print(&error);
		return EXIT_NOT_EVALUABLE;
	}
	if (!path)
		return command_usage(in->command, "there is no history: it is 'none'");
	return in->word_count > 0 ? import(in, path) : show(in, path);
}

static const struct option options[] = {
	{.name = "history",
	 .value = "FILE",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct history_command, history),
	 .help = "The history; default $DRSIM_HISTORY, else drsim/history.db in $XDG_STATE_HOME or "
		 "~/.local/state."},
	OPTIONS_END,
};

const struct command command_history = {
	.name = "history",
	.arguments = "[import RUN_DIR...]",
	.summary = "where the nights are kept; brings old runs in",
	.help = "Tells which history drsim trend reads. With import, puts runs into it that were "
		"kept as folders, by their time; one that is there already stays as it is. Exit "
		"code 0, 2 for a usage error, 3 when a run or the history cannot be read or "
		"written.",
	.options = options,
	.words_max = FOLDERS_MAX,
	.main = history_main,
};
