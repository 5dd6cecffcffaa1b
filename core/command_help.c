/* SPDX-License-Identifier: Apache-2.0 */
/* drsim help, and drsim revert, which has only folders to remove as long as nothing real is broken.
 */
#include <string.h>
#include <sys/stat.h>

#include "core/commands.h"

#define COMMANDS_MAX 32

static const struct option no_options[] = {OPTIONS_END};

static int help_main(struct invocation *in)
{
	const char *names[COMMANDS_MAX] = {NULL};
	const struct command *command;
	int code;

	if (command_parse(in, NULL, &code))
		return code;
	if (in->word_count == 0) {
		command_print_overview(stdout);
		return EXIT_OK;
	}
	command = command_find(in->words[0]);
	if (command) {
		command_print_help(command, stdout);
		return EXIT_OK;
	}
	for (size_t i = 0; command_table[i] && i + 1 < COMMANDS_MAX; i++)
		names[i] = command_table[i]->name;
	return command_unknown(NULL, "command", in->words[0], names);
}

const struct command command_help = {
	.name = "help",
	.arguments = "[COMMAND]",
	.summary = "this overview, or the options of a command",
	.help = "Shows the overview, or what one command takes.",
	.options = no_options,
	.words_max = 1,
	.main = help_main,
};

static int revert_main(struct invocation *in)
{
	const char *path;
	struct leftovers left;
	struct stat status;
	bool there;
	int code;

	if (command_parse(in, NULL, &code))
		return code;
	path = in->word_count > 0 && *in->words[0] ? in->words[0] : NULL;
	there = path && stat(path, &status) == 0;
	if (there && !S_ISDIR(status.st_mode))
		return command_usage(in->command, "'%s' is no folder", path);
	/* A simulated deployment ends with the process that simulated it. */
	left = folder_sweep(path, in->arena);
	if (left.removed + left.kept + left.failed > 0)
		return left.failed > 0 ? EXIT_RESIDUE : EXIT_OK;
	if (path && !there)
		return command_usage(in->command, "no run folder '%s'", path);
	puts("nothing to undo");
	return EXIT_OK;
}

const struct command command_revert = {
	.name = "revert",
	.arguments = "[RUN_DIR]",
	.summary = "undo what a killed run left behind",
	.help = "Undoes what a killed run left. The drivers of this version only simulate: what "
		"they break ends with the process. What stays is the temporary folder beside "
		"RUN_DIR (without one: those in runs/); it is removed when its process is dead. "
		"Exit code 0, 4 when something could not be removed.",
	.options = no_options,
	.words_max = 1,
	.main = revert_main,
};
