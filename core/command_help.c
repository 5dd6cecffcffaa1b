/* SPDX-License-Identifier: Apache-2.0 */
/* drsim help. */
#include <string.h>

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
