/* SPDX-License-Identifier: Apache-2.0 */
/* drsim trend: FRT, BRP and BRT of each scenario over the nights, and a gate. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "reports/commands.h"
#include "reports/trend.h"

#define HOLD_DEFAULT 14
#define LEAST_DEFAULT 1 /* % */
#define NAMES_MAX 256   /* scenarios of a history that a wrong name is compared with */

struct trend_command {
	const char *history, *metric, *out;
	struct option_number last, hold, least;
	bool json, gate;
};

/* "scenarios/gpu_loss.yaml" is gpu_loss. */
static const char *scenario_name(const char *word, struct arena *arena)
{
	const char *slash = strrchr(word, '/'), *base = slash ? slash + 1 : word;
	size_t length = strlen(base);

	if (length > 5 && strcmp(base + length - 5, ".yaml") == 0)
		return arena_strndup(arena, base, length - 5);
	return word;
}

static bool has(const struct history_list *history, const char *name)
{
	for (size_t i = 0; i < history->count; i++)
		if (strcmp(history->drills[i].name, name) == 0)
			return true;
	return false;
}

static bool is_among(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* 0, or the exit code after a message with the nearest name that there is. */
static int check_names(const struct invocation *in, const char *path, const char *const *names,
		       const struct history_list *history)
{
	struct history_list all = {0};
	const char *known[NAMES_MAX];
	struct error error = {0};
	size_t count = 0;

	for (; names && *names; names++)
		if (!has(history, *names))
			break;
	if (!names || !*names)
		return EXIT_OK;
	if (history_read(path, NULL, in->arena, &all, &error)) {
		error_print(&error);
		return EXIT_NOT_EVALUABLE;
	}
	for (size_t i = 0; i < all.count && count + 1 < NAMES_MAX; i++)
		if (!is_among(all.drills[i].name, known, count))
			known[count++] = all.drills[i].name;
	known[count] = NULL;
	return command_unknown(in->command, "scenario in this history:", *names, known);
}

static int load(const struct invocation *in, const struct trend_options *options,
		struct history_list *ret)
{
	struct error error = {0};

	if (history_read(options->path, options->names, in->arena, ret, &error)) {
		error_print(&error);
		return EXIT_NOT_EVALUABLE;
	}
	return check_names(in, options->path, options->names, ret);
}

static int set_options(const struct invocation *in, const struct trend_command *command,
		       struct trend_options *ret)
{
	const char **names = NULL;
	struct error error = {0};

	*ret = (struct trend_options){
		.metric = -1,
		.last = command->last.given ? command->last.value : CHANGE_NIGHTS_MAX,
		.hold = command->hold.given ? command->hold.value : HOLD_DEFAULT,
		.least =
			(double)(command->least.given ? command->least.value : LEAST_DEFAULT) / 100,
	};
	for (int i = 0; command->metric && trend_metric_names[i]; i++)
		if (strcmp(command->metric, trend_metric_names[i]) == 0)
			ret->metric = i;
	if (command->metric && ret->metric < 0)
		return command_unknown(in->command, "metric", command->metric, trend_metric_names);
	if (in->word_count > 0)
		names = arena_array(in->arena, in->word_count + 1, sizeof(*names));
	for (size_t i = 0; i < in->word_count; i++)
		names[i] = scenario_name(in->words[i], in->arena);
	ret->names = names;
	if (history_path(command->history, in->arena, &ret->path, &error)) {
		error_print(&error);
		return EXIT_NOT_EVALUABLE;
	}
	if (!ret->path)
		return command_usage(in->command, "there is no trend of no history: it is 'none'");
	return EXIT_OK;
}

/* What the gate says, one line for each worsening. */
static void tell(const struct trend *trend, struct arena *arena, FILE *out)
{
	for (size_t i = 0; i < trend->count; i++) {
		const struct trend_group *group = &trend->groups[i];

		if (group->share_state == TREND_WORSE)
			fprintf(out, "gate: %s (%s, %s): %s\n", group->name, group->kind,
				group->driver, trend_share_sentence(group, arena));
		for (size_t k = 0; k < group->series_count; k++)
			if (group->series[k].state == TREND_WORSE)
				fprintf(out, "gate: %s (%s, %s): %s %s\n", group->name, group->kind,
					group->driver, trend_metric_titles[group->series[k].metric],
					trend_sentence(group, &group->series[k], arena));
	}
}

static int gate(const struct trend *trend, struct arena *arena, bool json)
{
	/* The document alone belongs on standard output when it was asked for. */
	FILE *out = json ? stderr : stdout;
	size_t judged, worse = trend_worse(trend, &judged);

	if (judged == 0) {
		fputs("gate: no drill to judge\n", out);
		return EXIT_NOT_EVALUABLE;
	}
	tell(trend, arena, out);
	fprintf(out, "gate: %s\n", worse ? "failed" : "passed, nothing got worse beyond chance");
	return worse ? EXIT_MISSED : EXIT_OK;
}

static int print(const struct trend *trend, const struct trend_command *command,
		 struct arena *arena)
{
	struct error error = {0};

	if (command->out && trend_page(trend, command->out, arena, &error)) {
		error_print(&error);
		return EXIT_NOT_EVALUABLE;
	}
	if (command->json) {
		cJSON *document = trend_json(trend, arena);
		char *text = cJSON_Print(document);

		cJSON_Delete(document);
		puts(text ? text : "");
		cJSON_free(text);
	} else {
		trend_print(trend, arena, stdout);
	}
	return EXIT_OK;
}

static int trend_main(struct invocation *in)
{
	struct trend_command command = {0};
	struct history_list history = {0};
	struct trend_options options;
	struct trend trend;
	int code;

	if (command_parse(in, &command, &code))
		return code;
	code = set_options(in, &command, &options);
	if (code == EXIT_OK)
		code = load(in, &options, &history);
	if (code != EXIT_OK)
		return code;
	trend_make(&history, &options, in->arena, &trend);
	code = print(&trend, &command, in->arena);
	return code == EXIT_OK && command.gate ? gate(&trend, in->arena, command.json) : code;
}

static const struct option options[] = {
	{.name = "history",
	 .value = "FILE",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct trend_command, history),
	 .help = "The history; default $DRSIM_HISTORY, else drsim/history.db in $XDG_STATE_HOME or "
		 "~/.local/state."},
	{.name = "metric",
	 .value = "frt|brp|brt",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct trend_command, metric),
	 .help = "Only this one; default all three."},
	{.name = "last",
	 .value = "N",
	 .kind = OPTION_NUMBER,
	 .offset = offsetof(struct trend_command, last),
	 .min = 1,
	 .max = CHANGE_NIGHTS_MAX,
	 .help = "Only the last N nights of each scenario; default 2000, which is the most."},
	{.name = "gate",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct trend_command, gate),
	 .help = "Exit with 1 when something got worse beyond chance, and say what, by how much "
		 "and "
		 "since which night; 0 when not; 3 without any drill to judge."},
	{.name = "hold",
	 .value = "N",
	 .kind = OPTION_NUMBER,
	 .offset = offsetof(struct trend_command, hold),
	 .min = 1,
	 .max = CHANGE_NIGHTS_MAX,
	 .help = "The gate fails for N nights, from the one in which a worsening is found; then it "
		 "is the level to compare with. Default 14."},
	{.name = "least",
	 .value = "PERCENT",
	 .kind = OPTION_NUMBER,
	 .offset = offsetof(struct trend_command, least),
	 .max = 1000,
	 .help = "What is worse by less is told, but does not fail the gate; default 1."},
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct trend_command, json),
	 .help = "Print everything as JSON (drsim/trend/v1)."},
	{.name = "out",
	 .value = "FILE",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct trend_command, out),
	 .help = "Write a page with plots too, such as trend.html."},
	OPTIONS_END,
};

const struct command command_trend = {
	.name = "trend",
	.arguments = "[SCENARIO]...",
	.summary = "recovery over the nights, and a gate for CI",
	.help = "Shows FRT, BRP and BRT of each scenario over the nights of the history that drsim "
		"run writes, and where their level changed. Simulated and injected drills, and "
		"those "
		"of another driver or scale, are never mixed. Shams, invalid and aborted drills "
		"are "
		"counted, not compared.\n"
		"On machines that are fresh each night, keep the history file as an artefact or a "
		"cache of the CI system, or bring kept run folders in with drsim history import.\n"
		"Exit code 0; with --gate 1 on a worsening; 2 for a usage error; 3 when there is "
		"no "
		"history, nothing in it to judge, or it cannot be read.",
	.options = options,
	.words_max = 64,
	.main = trend_main,
};
