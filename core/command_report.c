/* SPDX-License-Identifier: Apache-2.0 */
/* drsim report: the pages of a run again, from its record and its events. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/commands.h"

struct report_command {
	const char *out;
	bool no_plots, png;
};

/* A folder with a record in it; 0 or the exit code. */
static int check_folder(const struct invocation *in, const char *dir)
{
	struct stat status;

	if (stat(dir, &status))
		return command_usage(in->command, "no run folder '%s': %s", dir, strerror(errno));
	if (!S_ISDIR(status.st_mode))
		return command_usage(in->command, "'%s' is no folder", dir);
	if (access(arena_printf(in->arena, "%s/record.json", dir), F_OK))
		return command_usage(in->command, "'%s' holds no record.json: it is no run folder",
				     dir);
	return 0;
}

static int write_new(const struct report_input *from, const char *out, struct error *e)
{
	struct report_input input = *from;
	struct run_folder folder;

	if (folder_open(&folder, out, e))
		return -1;
	input.out_dir = folder.temporary;
	if (report_write_all(&input, e) || folder_commit(&folder, e)) {
		folder_discard(&folder);
		return -1;
	}
	return 0;
}

static int report_main(struct invocation *in)
{
	struct report_command command = {0};
	struct report_input input = {0};
	struct error error = {0};
	const char *dir;
	int code, rc;

	if (command_parse(in, &command, &code))
		return code;
	dir = in->words[0];
	code = check_folder(in, dir);
	if (code)
		return code;
	/* What was signed stays as it was signed. */
	if (!command.out &&
	    access(arena_printf(in->arena, "%s/attestation.intoto.jsonl", dir), F_OK) == 0)
		return command_usage(in->command,
				     "'%s' is signed: choose another folder with --out", dir);
	if (report_load(dir, &input, &error)) {
		error_print(&error);
		return EXIT_NOT_EVALUABLE;
	}
	input.plots = !command.no_plots;
	input.png = command.png;
	input.out_dir = dir;
	rc = command.out ? write_new(&input, command.out, &error)
			 : report_write_all(&input, &error);
	report_free(&input);
	if (rc) {
		error_print(&error);
		return error.kind == ERROR_USAGE ? EXIT_USAGE : EXIT_NOT_EVALUABLE;
	}
	printf("%s: written again\n", command.out ? command.out : dir);
	return EXIT_OK;
}

static const struct option options[] = {
	{.name = "out",
	 .value = "DIR",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct report_command, out),
	 .help = "Where to write, a folder that does not exist; default the run folder itself."},
	{.name = "no-plots",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct report_command, no_plots),
	 .help = "Leave the plots out."},
	{.name = "png",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct report_command, png),
	 .help = "Write the plots as PNG too."},
	OPTIONS_END,
};

const struct command command_report = {
	.name = "report",
	.arguments = "RUN_DIR",
	.summary = "write the reports of a run again",
	.help = "Reads record.json and events.jsonl of a run folder and writes the reports again: "
		"report.html, report.md, plots, junit.xml, metrics.prom. Exit code 0, 2 when there "
		"is no such run, 3 when it is damaged or cannot be written.",
	.options = options,
	.words_min = 1,
	.words_max = 1,
	.main = report_main,
};
