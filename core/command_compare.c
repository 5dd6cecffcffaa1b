/* SPDX-License-Identifier: Apache-2.0 */
/* drsim compare: two runs, two scenarios, or a prediction and what was measured, side by side. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "core/commands.h"
#include "core/compare.h"

#define TRIALS_DEFAULT 200

struct compare_command {
	struct option_texts set;
	struct option_number seed, trials;
	bool json;
};

/* ---- run folders ---- */

/* 0 or the exit code. */
static int load_runs(const struct invocation *in, struct compare_run *runs)
{
	struct error error = {0};
	struct stat status;

	for (size_t i = 0; i < in->word_count; i++)
		if (stat(arena_printf(in->arena, "%s/record.json", in->words[i]), &status))
			return command_usage(in->command,
					     "'%s' holds no record.json: it is no run folder",
					     in->words[i]);
	for (size_t i = 0; i < in->word_count; i++)
		if (compare_load(in->words[i], in->arena, &runs[i], &error)) {
			error_print(&error);
			return EXIT_NOT_EVALUABLE;
		}
	return EXIT_OK;
}

static bool is_campaign(const struct compare_run *run)
{
	return cJSON_GetObjectItemCaseSensitive(run->record, "campaign") != NULL;
}

static int compare_folders(const struct invocation *in, cJSON **ret)
{
	size_t count = in->word_count, campaigns = 0;
	struct compare_run *runs = arena_array(in->arena, count, sizeof(*runs));
	int code = load_runs(in, runs);

	for (size_t i = 1; code == EXIT_OK && i < count; i++)
		campaigns += is_campaign(&runs[i]);
	if (code == EXIT_OK && is_campaign(&runs[0]) && campaigns == 0)
		*ret = compare_prediction(&runs[0], &runs[1], count - 1, in->arena);
	else if (code == EXIT_OK && count == 2)
		*ret = compare_runs(&runs[0], &runs[1], in->arena);
	else if (code == EXIT_OK)
		code = command_usage(in->command,
				     "more than two runs can only be held against a prediction: "
				     "first a campaign (drsim run --trials), then single runs");
	for (size_t i = 0; i < count; i++)
		cJSON_Delete(runs[i].record);
	return code;
}

/* ---- scenarios ---- */

static int compare_files(const struct invocation *in, const struct compare_command *command,
			 cJSON **ret)
{
	struct scenario *sides[2];
	struct error error = {0};
	uint64_t trials = command->trials.given ? command->trials.value : TRIALS_DEFAULT;

	if (in->word_count != 2)
		return command_usage(in->command, "two scenarios can be compared, not %zu",
				     in->word_count);
	for (int i = 0; i < 2; i++)
		if (command_load(in->words[i], &command->set, in->arena, &sides[i]))
			return EXIT_USAGE;
	if (compare_scenarios(sides[0], sides[1],
			      command->seed.given ? command->seed.value : sides[0]->seed, trials,
			      in->arena, ret, &error)) {
		error_print(&error);
		return EXIT_NOT_EVALUABLE;
	}
	return EXIT_OK;
}

static int compare_main(struct invocation *in)
{
	struct compare_command command = {0};
	cJSON *document = NULL;
	struct stat status;
	size_t folders = 0;
	int code;

	if (command_parse(in, &command, &code))
		return code;
	for (size_t i = 0; i < in->word_count; i++)
		folders += stat(in->words[i], &status) == 0 && S_ISDIR(status.st_mode);
	if (folders > 0 && folders < in->word_count)
		return command_usage(in->command,
				     "a run folder cannot be compared with a scenario");
	if (folders > 0 && (command.set.count || command.seed.given || command.trials.given))
		return command_usage(in->command, "--set, --seed and --trials are for scenarios");
	code = folders > 0 ? compare_folders(in, &document)
			   : compare_files(in, &command, &document);
	if (code == EXIT_OK && command.json)
		compare_print_json(document, stdout);
	else if (code == EXIT_OK)
		compare_print(document, stdout);
	cJSON_Delete(document);
	return code;
}

static const struct option options[] = {
	{.name = "trials",
	 .value = "N",
	 .kind = OPTION_NUMBER,
	 .offset = offsetof(struct compare_command, trials),
	 .min = 1,
	 .max = COMPARE_TRIALS_MAX,
	 .help = "Of two scenarios: trials of each; default 200."},
	{.name = "seed",
	 .value = "N",
	 .kind = OPTION_NUMBER,
	 .offset = offsetof(struct compare_command, seed),
	 .max = UINT64_MAX,
	 .help = "Of two scenarios: random numbers of both; default those of the first."},
	{.name = "set",
	 .value = "PATH=VALUE",
	 .kind = OPTION_TEXTS,
	 .offset = offsetof(struct compare_command, set),
	 .help = "Change both scenarios before they are checked. May be given again."},
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct compare_command, json),
	 .help = "Print the comparison as JSON (drsim/compare/v1)."},
	OPTIONS_END,
};

const struct command command_compare = {
	.name = "compare",
	.arguments = "A B...",
	.summary = "two runs or two scenarios side by side, or a prediction and runs",
	.help = "A and B are run folders: measures, marks, objectives, faults, and what differs in "
		"their scenarios. Or they are scenarios: both run on the simulator with the same "
		"random numbers, and the paired differences are told with their intervals. Or A "
		"is the folder of a campaign and what follows are single runs: predicted means "
		"and 90 % intervals beside what was measured. Exit code 0, 2 for a usage error, 3 "
		"when a run cannot be read.",
	.options = options,
	.words_min = 2,
	.words_max = COMPARE_MEASURED_MAX + 1,
	.main = compare_main,
};
