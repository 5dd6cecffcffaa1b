/* SPDX-License-Identifier: Apache-2.0 */
/* drsim help. */
#include <string.h>

#include "core/command_pages.h"
#include "core/commands.h"

#define COMMANDS_MAX 32

struct help_command {
	const char *as;
};

static int print_as(struct invocation *in, const char *as)
{
	static const struct {
		const char *name;
		void (*print)(FILE *out);
	} pages[] = {
		{"man", command_print_manual},
		{"bash", command_print_bash},
		{"zsh", command_print_zsh},
	};
	const char *names[sizeof(pages) / sizeof(pages[0]) + 1] = {NULL};

	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		if (strcmp(pages[i].name, as) == 0) {
			pages[i].print(stdout);
			return EXIT_OK;
		}
		names[i] = pages[i].name;
	}
	return command_unknown(in->command, "page", as, names);
}

static int help_main(struct invocation *in)
{
	const char *names[COMMANDS_MAX] = {NULL};
	struct help_command help = {0};
	const struct command *command;
	int code;

	if (command_parse(in, &help, &code))
		return code;
	if (help.as && in->word_count > 0)
		return command_usage(in->command, "--as is of all commands together");
	if (help.as)
		return print_as(in, help.as);
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

static const struct option options[] = {
	{.name = "as",
	 .value = "man|bash|zsh",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct help_command, as),
	 .help = "Everything as a manual page for man, or as completions for a shell. make install "
		 "puts them where they are found."},
	OPTIONS_END,
};

const struct command command_help = {
	.name = "help",
	.arguments = "[COMMAND]",
	.summary = "this overview, or the options of a command",
	.help = "Shows the overview, or what one command takes.",
	.options = options,
	.words_max = 1,
	.main = help_main,
};
