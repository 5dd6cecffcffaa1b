/* SPDX-License-Identifier: Apache-2.0 */
/* drsim check: every error of every scenario named. */
#include "core/commands.h"

#define FILES_MAX 100000

struct check_command {
	struct option_texts set;
};

static int check_main(struct invocation *in)
{
	struct check_command command = {0};
	int code;

	if (command_parse(in, &command, &code))
		return code;
	for (size_t i = 0; i < in->word_count; i++) {
		struct scenario *scenario;
		struct arena arena = {0};

		if (command_load(in->words[i], &command.set, &arena, &scenario))
			code = EXIT_USAGE;
		else
			printf("%s: ok\n", in->words[i]);
		/* Messages of the next file must not overtake this line where both go to one place.
		 */
		fflush(stdout);
		arena_free(&arena);
	}
	return code;
}

static const struct option options[] = {
	{.name = "set",
	 .value = "PATH=VALUE",
	 .kind = OPTION_TEXTS,
	 .offset = offsetof(struct check_command, set),
	 .help = "Change the scenarios before they are checked, as drsim run does."},
	OPTIONS_END,
};

const struct command command_check = {
	.name = "check",
	.arguments = "SCENARIO...",
	.summary = "validate scenarios, show every error with its place",
	.help = "Reads each file, tells every error as file:line:column, and 'ok' where there is "
		"none. "
		"Exit code 0 when all are valid, 2 otherwise.",
	.options = options,
	.words_min = 1,
	.words_max = FILES_MAX,
	.main = check_main,
};
