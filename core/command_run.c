/* SPDX-License-Identifier: Apache-2.0 */
/* drsim run: one drill, or a campaign of them, from the scenario to the run folder. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "core/calibration.h"
#include "core/campaign.h"
#include "core/commands.h"
#include "core/what_if.h"
#include "core/words.h"

struct run_command {
	const char *driver, *out, *sign, *profile, *history;
	struct option_texts set;
	struct option_number seed, trials;
	bool sham, no_plots, png, quiet, json;
};

/* A drill on its way. */
struct drill {
	struct invocation *in;
	const struct run_command *command;
	const char *path; /* of the scenario */
	struct scenario *scenario;
	struct run_options options;
	struct progress progress;
	struct run_folder folder;
	struct record record;
	const char *compact; /* the start in the form of file names */
	double started;
	struct seal *seal; /* NULL: the run is not signed */
};

/* The one writable global: what a signal can reach. */
static volatile sig_atomic_t stop_signal;

static void on_signal(int number)
{
	stop_signal = number;
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

/* ---- what a record says about where and how it was made ---- */

static const char *repeat_command(const struct drill *drill)
{
	const struct run_command *command = drill->command;
	struct arena *arena = drill->in->arena;
	bool dash = drill->path[0] == '-';
	const char *text = arena_printf(
		arena, "%s run %s --seed %" PRIu64, command_quote(drill->in->program, arena),
		command_quote(dash ? arena_printf(arena, "./%s", drill->path) : drill->path, arena),
		drill->options.seed);

	if (command->driver)
		text = arena_printf(arena, "%s --driver %s", text, command->driver);
	if (command->profile)
		text = arena_printf(arena, "%s --profile %s", text,
				    command_quote(command->profile, arena));
	if (command->trials.value > 1)
		text = arena_printf(arena, "%s --trials %" PRIu64, text, command->trials.value);
	for (size_t i = 0; i < command->set.count; i++)
		text = arena_printf(arena, "%s --set %s", text,
				    command_quote(command->set.items[i], arena));
	return command->sham ? arena_printf(arena, "%s --sham", text) : text;
}

/* What tells apart two drills of the same second and process id, on two hosts. No result depends on
 * it. */
static uint64_t unlike(void)
{
	uint64_t number = 0;

	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != sizeof(number))
		number = (uint64_t)(command_seconds() * 1e9); /* as early as in a boot */
	return number;
}

/* NULL when the kernel does not say. */
static const struct clock_state *clock_state(struct arena *arena)
{
	struct clock_state *state = arena_alloc(arena, sizeof(*state));
	struct timex timex = {0};
	int result = adjtimex(&timex);

	if (result < 0)
		return NULL;
	state->synchronised = result != TIME_ERROR && !(timex.status & STA_UNSYNC);
	state->max_error_s = state->synchronised ? (double)timex.maxerror / 1e6 : NAN;
	return state;
}

static void describe(struct drill *drill)
{
	struct record *record = &drill->record;
	struct arena *arena = drill->in->arena;
	struct utsname host;

	drill->started = command_seconds();
	*record = (struct record){.scenario = drill->scenario, .headline = -1};
	record->driver = drill->options.driver->name;
	record->kind = drill->options.driver->kind;
	record->seed = drill->options.seed;
	record->sham = drill->options.sham;
	record->started = command_now(arena, &drill->compact);
	record->host = uname(&host) == 0 ? arena_strdup(arena, host.nodename) : NULL;
	record->command = repeat_command(drill);
	record->clock = clock_state(arena);
	if (drill->scenario->calibration) {
		record->profile = drill->scenario->calibration->sha256;
		record->profile_runs = drill->scenario->calibration->count;
	}
	record->id = arena_printf(arena, "%s-%.12s-%" PRIu64 "-%ld-%016" PRIx64, drill->compact,
				  drill->scenario->sha256, record->seed, (long)getpid(), unlike());
}

/* runs/<UTC time>-<name>-<pid> */
static const char *default_folder(const struct drill *drill)
{
	char *path = arena_printf(drill->in->arena, "runs/%s-%.64s-%ld", drill->compact,
				  drill->scenario->name, (long)getpid());

	for (char *c = path + strlen("runs/"); *c; c++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-",
			    *c))
			*c = '_';
	return path;
}

/* ---- the drill ---- */

/* Why a drill is not evaluable, in one line, where the run loop had no reason of its own. */
static const char *invalid_reason(const struct record *record)
{
	bool applied = false;

	for (size_t i = 0; i < record->fault_count; i++) {
		if (record->faults[i].effective == TRISTATE_FALSE && !record->sham)
			return "a fault had no effect";
		applied = applied || record->faults[i].applied;
	}
	if (record->campaign && record->campaign->invalid > 0)
		return "a fault had no effect in some of the trials";
	if (!applied && record->scenario->step_count > 0 && !record->sham)
		return "no fault was injected";
	return "no objective could be measured";
}

/* Trial 0 with its timeline in the folder. */
static int run_first(struct drill *drill, struct run *run, struct error *e)
{
	struct arena *arena = drill->in->arena;
	struct timeline *timeline = arena_alloc(arena, sizeof(*timeline));
	struct error closing = {0};

	if (timeline_open(timeline, folder_file(&drill->folder, "events.jsonl", arena), e))
		return -1;
	if (run_trial(run, 0, timeline, &drill->record, e)) {
		timeline_close(timeline, &closing);
		return -1;
	}
	return timeline_close(timeline, e);
}

static int write_reports(struct drill *drill, struct error *e)
{
	struct report_input input = {0};
	int rc;

	if (report_write_record(&drill->record,
				folder_file(&drill->folder, "record.json", drill->in->arena), e))
		return -1;
	if (report_load(drill->folder.temporary, &input, e)) {
		if (e->kind != ERROR_LIMIT)
			return -1;
		/* Too large to be read back into pages: the record and its events still count. */
		progress_end(&drill->progress);
		error_print(e);
		fputs("drsim: the record is written, its pages are not\n", stderr);
		*e = (struct error){0};
		return 0;
	}
	input.out_dir = drill->folder.temporary;
	input.plots = !drill->command->no_plots;
	input.png = drill->command->png;
	rc = report_write_all(&input, e);
	report_free(&input);
	return rc;
}

/* Everything between the empty temporary folder and the folder under its name. */
static int fill_folder(struct drill *drill, struct run *run, struct error *e)
{
	struct arena *arena = drill->in->arena;
	struct record *record = &drill->record;
	uint64_t trials = drill->command->trials.value;
	int rc;

	if (folder_write(&drill->folder, "scenario.yaml", drill->scenario->text,
			 drill->scenario->text_size, arena, e))
		return -1;
	progress_start(&drill->progress, drill->scenario,
		       strcmp(drill->options.driver->kind, "injected") == 0,
		       drill->command->quiet);
	rc = run_first(drill, run, e);
	if (rc == 0 && trials > 1 && !stop_signal)
		rc = campaign_run(drill->scenario, &drill->options, trials, record, arena, e);
	if (rc) {
		progress_end(&drill->progress);
		return -1;
	}
	record->wall_s = command_seconds() - drill->started;
	progress_say(&drill->progress, "changes of the plan are tried");
	/* Its commands name the scenario alone, which is another one than the calibrated one. */
	if (!drill->scenario->calibration)
		what_if_compute(record, &drill->options, arena);
	findings_compute(record, arena);
	if (record->verdict == VERDICT_INVALID && !record->abort_reason)
		record->abort_reason = invalid_reason(record);
	/* Whatever came of the drill is signed, a failed, invalid or aborted one too. */
	progress_say(&drill->progress, "the reports are written");
	rc = drill->seal ? seal_events(drill->seal, drill->folder.temporary, record, e) : 0;
	if (rc == 0)
		rc = write_reports(drill, e);
	progress_end(&drill->progress);
	if (rc || (drill->seal && seal_run(drill->seal, drill->folder.temporary, record, e)))
		return -1;
	return folder_commit(&drill->folder, e);
}

/* ---- what it says at the end ---- */

static int print_file(const char *path, struct error *e)
{
	FILE *file = fopen(path, "re");
	char block[65536];
	size_t got;

	if (!file)
		return error_set(e, ERROR_IO, NO_PLACE, "cannot read %s: %s", path,
				 strerror(errno));
	while ((got = fread(block, 1, sizeof(block), file)) > 0)
		fwrite(block, 1, got, stdout);
	fclose(file);
	return 0;
}

/* One line in the history of nights. Without it the drill counts all the same. */
static void remember(const struct drill *drill)
{
	struct arena *arena = drill->in->arena;
	struct error error = {0};
	const char *path = NULL;

	if (history_path(drill->command->history, arena, &path, &error) == 0 &&
	    (!path || history_write(&drill->record, path, arena, &error) == 0))
		return;
	error_print(&error);
	fputs("drsim: this drill is not in the history; its result and its folder stand\n",
	      stderr);
}

static int finish(struct drill *drill)
{
	struct error error = {0};

	remember(drill);
	if (drill->command->json) {
		if (print_file(arena_printf(drill->in->arena, "%s/record.json", drill->folder.path),
			       &error))
			error_print(&error);
	} else {
		summary_print(&drill->record, drill->folder.path, stdout,
			      command_colour(STDOUT_FILENO), command_columns(STDOUT_FILENO));
		if (drill->seal)
			printf("Signed with key %.16s...: drsim verify %s --key PUB\n",
			       seal_key_id(drill->seal),
			       command_quote(drill->folder.path, drill->in->arena));
	}
	return drill->record.exit_code;
}

/* The folder could not be filled. What is worse than that stays: something that is not reverted. */
static int give_up(struct drill *drill, const struct error *error)
{
	error_print(error);
	folder_discard(&drill->folder);
	fprintf(stderr, "drsim: no record was written; nothing is left at %s\n",
		drill->folder.path);
	if (drill->record.verdict == VERDICT_RESIDUE)
		return EXIT_RESIDUE;
	return stop_signal ? EXIT_ABORTED : EXIT_NOT_EVALUABLE;
}

static int run_drill(struct drill *drill)
{
	const char *out = drill->command->out;
	struct error error = {0};
	struct run *run;
	int code;

	drill->options.folder = drill->folder.temporary;
	if (drill->options.driver->require_clean &&
	    drill->options.driver->require_clean(drill->in->arena, &error)) {
		error_print(&error);
		return EXIT_NOT_EVALUABLE;
	}
	if (run_new(drill->scenario, &drill->options, &run, &error)) {
		error_print(&error);
		return error.kind == ERROR_UNAVAILABLE || error.kind == ERROR_IO ||
				       error.kind == ERROR_MEMORY
			       ? EXIT_NOT_EVALUABLE
			       : EXIT_USAGE;
	}
	describe(drill);
	catch_signals();
	if (folder_open(&drill->folder, out ? out : default_folder(drill), &error)) {
		error_print(&error);
		run_free(run);
		return error.kind == ERROR_USAGE ? EXIT_USAGE : EXIT_NOT_EVALUABLE;
	}
	code = fill_folder(drill, run, &error) ? give_up(drill, &error) : finish(drill);
	run_free(run);
	return code;
}

static bool calibration_is_scaled(const struct calibration *calibration)
{
	return calibration->scale.time_scale != 1 || calibration->scale.bytes_scale != 1;
}

/* The scenario as the profile's drills had it: at their scale, and with what they took longer. */
static int apply_profile(struct drill *drill)
{
	struct calibration *calibration;
	struct error error = {0};

	if (strcmp(drill->options.driver->kind, "simulated") != 0)
		return command_usage(drill->in->command,
				     "--profile is for the simulator: it says what a real drill "
				     "would measure");
	if (calibration_load(drill->command->profile, drill->in->arena, &calibration, &error) ||
	    (calibration_is_scaled(calibration) &&
	     scenario_scale(drill->scenario, calibration->scale.time_scale,
			    calibration->scale.bytes_scale, drill->in->arena, &drill->scenario,
			    &error))) {
		error_print(&error);
		return EXIT_USAGE;
	}
	drill->scenario->calibration = calibration;
	return EXIT_OK;
}

/* The key is checked before anything is touched. */
static int run_signed(struct drill *drill)
{
	struct error error = {0};
	int code;

	if (drill->command->sign &&
	    seal_open(drill->command->sign, drill->in->arena, &drill->seal, &error)) {
		error_print(&error);
		return EXIT_USAGE;
	}
	code = run_drill(drill);
	seal_close(drill->seal);
	return code;
}

static int run_main(struct invocation *in)
{
	struct run_command command = {.trials = {.value = 1}};
	struct drill *drill = arena_alloc(in->arena, sizeof(*drill));
	int code;

	if (command_parse(in, &command, &code))
		return code;
	drill->in = in;
	drill->command = &command;
	drill->path = in->words[0];
	drill->options.driver = command_driver(in->command, command.driver, in->arena);
	if (!drill->options.driver)
		return EXIT_USAGE;
	if (command_load(drill->path, &command.set, in->arena, &drill->scenario))
		return EXIT_USAGE;
	if (strcmp(drill->options.driver->kind, "injected") == 0 && command.trials.value > 1)
		return command_usage(in->command,
				     "--trials is for simulated drills: driver %s injects real "
				     "faults, one drill at a time. Run it again for another one, "
				     "or predict the spread with --driver sim",
				     drill->options.driver->name);
	if (command_scale(drill->options.driver, in->arena, &drill->scenario))
		return EXIT_USAGE;
	if (command.profile) {
		code = apply_profile(drill);
		if (code)
			return code;
	}
	drill->options.seed = command.seed.given ? command.seed.value : drill->scenario->seed;
	drill->options.sham = command.sham;
	drill->options.signal = &stop_signal;
	drill->options.progress = progress_tell;
	drill->options.progress_self = &drill->progress;
	return run_signed(drill);
}

static const struct option options[] = {
	{.name = "driver",
	 .value = "NAME",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct run_command, driver),
	 .help = "What the faults are injected into (drsim list drivers); default sim."},
	{.name = "seed",
	 .value = "N",
	 .kind = OPTION_NUMBER,
	 .offset = offsetof(struct run_command, seed),
	 .max = UINT64_MAX,
	 .help = "Random numbers of this run; default the scenario's."},
	{.name = "trials",
	 .value = "N",
	 .kind = OPTION_NUMBER,
	 .offset = offsetof(struct run_command, trials),
	 .min = 1,
	 .max = CAMPAIGN_TRIALS_MAX,
	 .help = "Run so many trials, each with its own random numbers, and judge their quantiles. "
		 "Events and incidents are those of trial 0."},
	{.name = "set",
	 .value = "PATH=VALUE",
	 .kind = OPTION_TEXTS,
	 .offset = offsetof(struct run_command, set),
	 .help = "Change the scenario before it is checked: backup.every=12h, "
		 "'steps[0].at={uniform: "
		 "{from: 1d, to: 2d}}'. May be given again."},
	{.name = "profile",
	 .value = "FILE",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct run_command, profile),
	 .help = "Predict a real drill: run at the scale of the profile's drills, and let "
		 "everything take as long as it took there (drsim calibrate). Simulator only."},
	{.name = "out",
	 .value = "DIR",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct run_command, out),
	 .help = "The run folder, which must not exist; default runs/<UTC time>-<name>-<pid>."},
	{.name = "history",
	 .value = "FILE",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct run_command, history),
	 .help = "Where the drill is remembered for drsim trend; default $DRSIM_HISTORY, else "
		 "drsim/history.db in $XDG_STATE_HOME or ~/.local/state; none: nowhere."},
	{.name = "sham",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct run_command, sham),
	 .help = "Everything but the injection, as a negative control: exit 0 when no detector "
		 "declared anything, 1 when one did."},
	{.name = "no-plots",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct run_command, no_plots),
	 .help = "Leave the plots out."},
	{.name = "png",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct run_command, png),
	 .help = "Write the plots as PNG too."},
	{.name = "sign",
	 .value = "KEY",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct run_command, sign),
	 .help = "Sign the run, whatever comes of it, with this private key (drsim keygen): "
		 "events.chain and attestation.intoto.jsonl, for drsim verify."},
	{.name = "quiet",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct run_command, quiet),
	 .help = "No progress on standard error."},
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct run_command, json),
	 .help = "record.json on standard output instead of the summary."},
	OPTIONS_END,
};

const struct command command_run = {
	.name = "run",
	.arguments = "SCENARIO",
	.summary = "rehearse a disaster and measure the recovery",
	.help = "Injects the faults of the scenario, drives backup and failover, and writes a run "
		"folder: "
		"record.json, events.jsonl, scenario.yaml, report.html, report.md, plots, "
		"junit.xml, metrics.prom.\n"
		"Exit codes: 0 objectives met, 1 an objective missed, 2 usage or invalid scenario "
		"and "
		"nothing touched, 3 not evaluable (a fault had no effect, or the record could not "
		"be "
		"written), 4 something could not be reverted, 5 aborted by a guard or a signal.",
	.options = options,
	.words_min = 1,
	.words_max = 1,
	.main = run_main,
};
