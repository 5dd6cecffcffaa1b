/* SPDX-License-Identifier: Apache-2.0 */
/* drsim revert: what killed runs left on this host, and their half-written run folders. */
#include <string.h>
#include <sys/stat.h>

#include "core/commands.h"
#include "drivers/host/undo.h"

static int revert_main(struct invocation *in)
{
	const char *path;
	struct leftovers folders;
	struct undo_sweep sweep;
	struct stat status;
	bool there;
	int code;

	if (command_parse(in, NULL, &code))
		return code;
	path = in->word_count > 0 && *in->words[0] ? in->words[0] : NULL;
	there = path && stat(path, &status) == 0;
	if (there && !S_ISDIR(status.st_mode))
		return command_usage(in->command, "'%s' is no folder", path);
	undo_sweep(in->arena, &sweep);
	folders = folder_sweep(path, in->arena);
	if (folders.failed + sweep.left > 0)
		return EXIT_RESIDUE;
	if (folders.removed + folders.kept + sweep.runs > 0)
		return EXIT_OK;
	if (path && !there)
		return command_usage(in->command, "no run folder '%s'", path);
	puts("nothing to undo");
	return EXIT_OK;
}

static const struct option no_options[] = {OPTIONS_END};

const struct command command_revert = {
	.name = "revert",
	.arguments = "[RUN_DIR]",
	.summary = "undo what a killed run left behind",
	.help = "Undoes what a killed run left: from the undo journals of all runs whose process "
		"is "
		"dead, last in first out, after a reboot too; and the temporary folder beside "
		"RUN_DIR (without one: those in runs/). Runs that are under way are left alone. "
		"Exit code 0, 4 when something could not be undone: it is named, and stays in the "
		"journal.\n"
		"The journals are in $DRSIM_STATE/journal; DRSIM_STATE is /var/lib/drsim for root, "
		"else $XDG_STATE_HOME/drsim or ~/.local/state/drsim.",
	.options = no_options,
	.words_max = 1,
	.main = revert_main,
};
