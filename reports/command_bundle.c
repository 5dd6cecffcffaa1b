/* SPDX-License-Identifier: Apache-2.0 */
/* drsim bundle: a run folder in one file. */
#include <string.h>

#include "core/words.h"
#include "reports/bundle.h"
#include "reports/commands.h"

struct bundle_command {
	const char *out;
};

/* RUN_DIR.tar.lz4, beside the folder. */
static const char *default_path(const char *folder, struct arena *arena)
{
	size_t length = strlen(folder);

	while (length > 1 && folder[length - 1] == '/')
		length--;
	return arena_printf(arena, "%.*s.tar.lz4", (int)length, folder);
}

static int bundle_main(struct invocation *in)
{
	struct bundle_command command = {0};
	char a[WORDS_MAX], b[WORDS_MAX];
	struct bundle_size size;
	struct error error = {0};
	const char *path;
	int code;

	if (command_parse(in, &command, &code))
		return code;
	if (command.out && !*command.out)
		return command_usage(in->command, "the name of the bundle is empty");
	path = command.out ? command.out : default_path(in->words[0], in->arena);
	if (bundle_write(in->words[0], path, in->arena, &size, &error)) {
		error_print(&error);
		return error.kind == ERROR_USAGE ? EXIT_USAGE : EXIT_NOT_EVALUABLE;
	}
	printf("%s: %zu files, %s in %s\n", path, size.files, words_bytes(a, (double)size.bytes),
	       words_bytes(b, (double)size.packed));
	return EXIT_OK;
}

static const struct option options[] = {
	{.name = "out",
	 .letter = 'o',
	 .value = "FILE",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct bundle_command, out),
	 .help = "The bundle, which must not exist; default RUN_DIR.tar.lz4."},
	OPTIONS_END,
};

const struct command command_bundle = {
	.name = "bundle",
	.arguments = "RUN_DIR",
	.summary = "pack a run into one file that drsim verify reads",
	.help = "Packs all files of a run folder into a tar archive in an LZ4 frame. The same run "
		"gives the same archive: no times, no owners. To unpack it: lz4 -dc FILE | tar "
		"-x\n"
		"Exit codes: 0 packed, 2 usage, 3 could not.",
	.options = options,
	.words_min = 1,
	.words_max = 1,
	.main = bundle_main,
};
