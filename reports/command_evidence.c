/* SPDX-License-Identifier: Apache-2.0 */
/* drsim evidence: what the records of several drills show of a framework's controls. */
#include "reports/commands.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/calibration.h"
#include "core/param.h"
#include "core/yaml.h"
#include "reports/day.h"
#include "reports/evidence.h"
#include "reports/file.h"
#include "reports/json.h"
#include "reports/view.h"

#define BYTES_MAX ((size_t)256 << 20) /* of all records together */
#define ERRORS_SHOWN_MAX 16

struct evidence_command {
	const char *framework, *out, *controls, *as_of;
	bool quiet;
};

/* ---- what it is about ---- */

/* "soc2, iso22301, … " */
static const char *join(const char *const *words, struct arena *arena)
{
	const char *text = "";

	for (size_t i = 0; words[i]; i++)
		text = arena_printf(arena, "%s%s%s", text, i > 0 ? ", " : "", words[i]);
	return text;
}

/* 0 or the exit code. */
static int load_controls(const struct invocation *in, const struct evidence_command *command,
			 struct controls **ret)
{
	const char *path = command->controls ? command->controls : controls_path(in->arena);
	struct error errors[ERRORS_SHOWN_MAX] = {0};
	size_t count = 0;

	if (!path)
		return command_usage(in->command,
				     "the mapping of controls was not found where drsim is "
				     "installed: say where it is with --controls FILE");
	if (controls_load(path, in->arena, ret, errors, ERRORS_SHOWN_MAX, &count) == 0)
		return EXIT_OK;
	for (size_t i = 0; i < count; i++)
		error_print(&errors[i]);
	return EXIT_USAGE;
}

static int choose_framework(const struct invocation *in, const char *id, struct evidence *evidence)
{
	const char **names = controls_names(evidence->controls, in->arena);
	char quoted[YAML_QUOTE_MAX];

	if (!id)
		return command_usage(in->command, "say for which framework: --framework %s",
				     join(names, in->arena));
	evidence->framework = controls_find(evidence->controls, id);
	if (evidence->framework)
		return EXIT_OK;
	if (param_suggest(id, names))
		return command_unknown(in->command, "framework", id, names);
	return command_usage(in->command, "unknown framework '%s'; there are %s",
			     yaml_quote(id, quoted), join(names, in->arena));
}

static int choose_day(const struct invocation *in, const char *text, int32_t *ret)
{
	const char *compact;
	char quoted[YAML_QUOTE_MAX];

	if (!text && day_parse(command_now(in->arena, &compact), ret))
		return EXIT_OK;
	if (text && day_parse(text, ret))
		return EXIT_OK;
	return command_usage(in->command, "--as-of needs a day such as 2026-03-31, not '%s'",
			     yaml_quote(text ? text : "", quoted));
}

/* What was signed stays as it was signed: no file is added to it. */
static int check_out(const struct invocation *in, const char *out)
{
	const char *slash = out ? strrchr(out, '/') : NULL;
	const char *folder =
		!slash ? "."
		       : arena_strndup(in->arena, out, slash == out ? 1 : (size_t)(slash - out));
	struct stat status;

	if (!out)
		return command_usage(in->command, "say where the page is to go: --out FILE");
	if (stat(out, &status) == 0 && !S_ISREG(status.st_mode))
		return command_usage(in->command, "'%s' is there and is no regular file", out);
	if (access(arena_printf(in->arena, "%s/attestation.intoto.jsonl", folder), F_OK) == 0)
		return command_usage(in->command,
				     "'%s' would lie in a signed run folder: choose another place",
				     out);
	return EXIT_OK;
}

/* ---- the drills ---- */

static int hash_record(const char *path, char ret_hex[65], size_t *bytes, struct error *e)
{
	struct arena whole = {0};
	char *text;
	size_t size;
	int rc = yaml_read_file(path, REPORT_FILE_LIMIT, &whole, &text, &size, e);

	if (rc == 0) {
		calibration_sha256(text, size, ret_hex);
		*bytes += size;
	}
	arena_free(&whole);
	return rc;
}

static int load_drill(const char *folder, struct evidence_drill *drill, size_t *bytes,
		      struct arena *arena, struct error *e)
{
	const char *path = arena_printf(arena, "%s/record.json", folder);
	cJSON *record;

	drill->folder = folder;
	drill->attested =
		access(arena_printf(arena, "%s/attestation.intoto.jsonl", folder), F_OK) == 0;
	if (hash_record(path, drill->sha256, bytes, e))
		return -1;
	if (*bytes > BYTES_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE,
				 "the records have more than %zu MiB together; give fewer drills",
				 BYTES_MAX >> 20);
	if (report_load_record(folder, &record, e))
		return -1;
	drill->record = record;
	return 0;
}

/* The same drill twice would be two tests. */
static int check_twice(const struct evidence *evidence, size_t last, struct error *e)
{
	const struct evidence_drill *drill = &evidence->drills[last];
	const char *id = view_text_or(drill->record, "drill.id", "");

	for (size_t i = 0; i < last; i++) {
		const struct evidence_drill *other = &evidence->drills[i];

		if (strcmp(other->sha256, drill->sha256) == 0 ||
		    (*id && view_is(other->record, "drill.id", id)))
			return error_set(e, ERROR_USAGE, NO_PLACE,
					 "%s and %s are records of the same drill", other->folder,
					 drill->folder);
	}
	return 0;
}

static int load_drills(const struct invocation *in, struct evidence *evidence, struct error *e)
{
	size_t bytes = 0;

	evidence->drills = arena_array(in->arena, in->word_count + 1, sizeof(*evidence->drills));
	for (size_t i = 0; i < in->word_count; i++) {
		if (load_drill(in->words[i], &evidence->drills[i], &bytes, in->arena, e))
			return -1;
		evidence->drill_count++;
		if (check_twice(evidence, i, e))
			return -1;
	}
	evidence_sort(evidence);
	return 0;
}

static void free_drills(struct evidence *evidence)
{
	/* load_drill() made them; the rest only reads them, hence the const. */
	for (size_t i = 0; i < evidence->drill_count; i++)
		cJSON_Delete((cJSON *)(uintptr_t)evidence->drills[i].record);
}

static int write_page(const struct evidence *evidence, const char *out, struct error *e)
{
	struct report_file file;

	if (report_file_begin(&file, NULL, out, e))
		return -1;
	evidence_page(file.file, evidence);
	return report_file_end(&file, 0, e);
}

/* ---- the end ---- */

static void print_result(const struct evidence *evidence, const char *out)
{
	size_t counts = 0, simulated = 0, overdue = 0;

	for (size_t i = 0; i < evidence->drill_count; i++) {
		counts += evidence->drills[i].standing == STANDING_COUNTS;
		simulated += evidence->drills[i].standing == STANDING_SIMULATED;
	}
	for (size_t i = 0; i < evidence->framework->control_count; i++)
		overdue += evidence_state(evidence, &evidence->framework->controls[i]).overdue;
	printf("%s: %s\n  %zu drill%s: %zu count%s as a test, %zu simulated, %zu other%s not "
	       "counted\n  %zu controls, of %zu of them a test is due\n",
	       out, evidence->framework->title, evidence->drill_count,
	       evidence->drill_count == 1 ? "" : "s", counts, counts == 1 ? "s" : "", simulated,
	       evidence->drill_count - counts - simulated,
	       evidence->drill_count - counts - simulated == 1 ? "" : "s",
	       evidence->framework->control_count, overdue);
}

static int make_page(const struct invocation *in, const struct evidence_command *command,
		     struct evidence *evidence)
{
	struct error error = {0};
	int rc = load_drills(in, evidence, &error);

	if (rc == 0)
		rc = write_page(evidence, command->out, &error);
	if (rc == 0 && !command->quiet)
		print_result(evidence, command->out);
	free_drills(evidence);
	if (rc == 0)
		return EXIT_OK;
	error_print(&error);
	return error.kind == ERROR_USAGE ? EXIT_USAGE : EXIT_NOT_EVALUABLE;
}

static int evidence_main(struct invocation *in)
{
	struct evidence_command command = {0};
	struct evidence evidence = {0};
	struct controls *controls;
	struct stat status;
	int code;

	if (command_parse(in, &command, &code))
		return code;
	code = load_controls(in, &command, &controls);
	if (code)
		return code;
	evidence.controls = controls;
	code = choose_framework(in, command.framework, &evidence);
	if (code == EXIT_OK)
		code = choose_day(in, command.as_of, &evidence.today);
	if (code == EXIT_OK)
		code = check_out(in, command.out);
	if (code)
		return code;
	for (size_t i = 0; i < in->word_count; i++)
		if (stat(arena_printf(in->arena, "%s/record.json", in->words[i]), &status))
			return command_usage(in->command,
					     "'%s' is no run folder: %s/record.json: %s",
					     in->words[i], in->words[i], strerror(errno));
	return make_page(in, &command, &evidence);
}

static const struct option options[] = {
	{.name = "framework",
	 .value = "NAME",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct evidence_command, framework),
	 .help = "Whose controls: soc2, iso22301, iso27001, dora, nist-800-53, nist-800-34, "
		 "nist-800-84, hipaa, pci-dss, ffiec."},
	{.name = "out",
	 .letter = 'o',
	 .value = "FILE",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct evidence_command, out),
	 .help = "Where the page goes; a file that is there is replaced."},
	{.name = "as-of",
	 .value = "DAY",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct evidence_command, as_of),
	 .help = "The day for which due and done are told, such as 2026-03-31; default today."},
	{.name = "controls",
	 .value = "FILE",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct evidence_command, controls),
	 .help = "Another mapping of controls than the one that comes with drsim."},
	{.name = "quiet",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct evidence_command, quiet),
	 .help = "Print nothing when all went well."},
	OPTIONS_END,
};

const struct command command_evidence = {
	.name = "evidence",
	.arguments = "RUN_DIR...",
	.summary = "what drills show of the controls of a framework",
	.help = "Reads the records of drills, of a year for instance, and writes a page that "
		"provides evidence for the controls of a framework: what each asks, which fields "
		"of which drills show it, what is not shown, what is due and what was done. A "
		"simulated drill never counts as a test, nor does a sham, an invalid or an "
		"aborted one. Exit code 0, 2 for a usage error, 3 when a record cannot be read or "
		"the page not be written.",
	.options = options,
	.words_min = 1,
	.words_max = EVIDENCE_DRILLS_MAX,
	.main = evidence_main,
};
