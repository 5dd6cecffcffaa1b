/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of drsim: what each takes, and the pieces that several of them use. A command is a
 * const table of options and one function; core/main.c finds it by name and gives it the rest of
 * the command line.
 */
#ifndef CORE_COMMANDS_H
#define CORE_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/arena.h"
#include "core/driver.h"
#include "core/error.h"
#include "core/report.h"
#include "core/scenario.h"

/* Exit codes, as the README's table has them. */
enum {
	EXIT_OK = 0,
	EXIT_MISSED = 1, /* an objective */
	EXIT_USAGE = 2,  /* nothing was touched */
	EXIT_NOT_EVALUABLE = 3,
	EXIT_RESIDUE = 4,
	EXIT_ABORTED = 5,
};

#define COMMAND_ERRORS_MAX 256 /* errors of one scenario that are shown */

struct command;

/* A command line on its way. Everything lives as long as the process. */
struct invocation {
	const char *program; /* argv[0] */
	const struct command *command;
	int argc; /* what follows the command's name */
	char **argv;
	struct arena *arena;
	const char **words; /* filled by command_parse(): what is no option */
	size_t word_count;
};

enum option_kind {
	OPTION_FLAG,   /* bool */
	OPTION_TEXT,   /* const char *; NULL when not given */
	OPTION_TEXTS,  /* struct option_texts; may be given again */
	OPTION_NUMBER, /* struct option_number */
};

struct option_texts {
	const char **items;
	size_t count;
};

struct option_number {
	bool given;
	uint64_t value;
};

/* One option: `--name`, `--name VALUE` or `--name=VALUE`. A table of them ends with OPTIONS_END. */
struct option {
	const char *name, *value; /* "seed", "N"; value NULL for a flag */
	enum option_kind kind;
	size_t offset;     /* in the command's struct */
	uint64_t min, max; /* OPTION_NUMBER */
	const char *help;  /* NULL: known, but not offered */
	char letter;       /* `-o` for it too; 0: none */
};
#define OPTIONS_END                                                                                \
	{                                                                                          \
		.name = NULL                                                                       \
	}

struct command {
	const char *name, *arguments, *summary; /* "run", "SCENARIO", one line for --help */
	const char *help;                       /* what `drsim help run` says below the usage */
	const struct option *options;
	size_t words_min, words_max;
	int (*main)(struct invocation *in);
};

extern const struct command command_run, command_check, command_plan, command_list, command_doctor,
	command_report, command_revert, command_help, command_calibrate, command_compare;
extern const struct command *const command_table[]; /* NULL-terminated, in the order of --help */

/* ---- core/command_options.c ---- */

/*
 * Reads the rest of the command line into the struct at `options`, which starts zeroed, and into
 * in->words. `--` ends the options. Returns 0; or -1 when the command is over, with its exit code
 * in *ret_exit: after `--help`, or after a message about what is wrong.
 */
int command_parse(struct invocation *in, void *options, int *ret_exit);
/* A usage error: prints it with the way to help, returns EXIT_USAGE. */
int command_usage(const struct command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The help of one command; the overview of all. */
void command_print_help(const struct command *command, FILE *out);
void command_print_overview(FILE *out);
/* The words of `text` in lines of at most 90 columns, all of which begin at `column`. */
void command_print_wrapped(FILE *out, const char *text, int column);
const struct command *command_find(const char *name);
/* An unknown word where one of `words` (NULL-terminated) belongs: "unknown driver 'smi'; did you
 * mean 'sim'?" */
int command_unknown(const struct command *command, const char *what, const char *word,
		    const char *const *words);
/* "kept in a shell": quoted where it must be. */
const char *command_quote(const char *word, struct arena *arena);

/* ---- core/command_scenario.c ---- */

/* Load a scenario and print every error it has. Returns 0, or -1 after the messages. */
int command_load(const char *path, const struct option_texts *overrides, struct arena *arena,
		 struct scenario **ret_scenario);
/* driver_scale(). Returns 0, or -1 after a message. */
int command_scale(const struct driver_ops *driver, struct arena *arena, struct scenario **scenario);
/* The folder of the shipped scenarios: ./scenarios, else where they were installed; NULL: neither
 * is there. */
const char *command_scenarios_folder(void);
/* Names of its *.yaml files without ".yaml", sorted, NULL-terminated. */
const char **command_scenario_names(const char *folder, struct arena *arena);
/* The driver, the first of the table without a name; NULL after a message. */
const struct driver_ops *command_driver(const struct command *command, const char *name,
					struct arena *arena);
const char *command_select_text(const struct step *step,
				struct arena *arena);            /* "one of 32 GPUs" */
const char *command_kind_text(enum entity_kind kind, bool many); /* "GPUs" */

/* ---- core/command_folder.c: a run folder appears whole or not at all ---- */

#define FOLDER_PATH_MAX 3072 /* leaves room for the names inside it */

struct run_folder {
	char path[FOLDER_PATH_MAX], temporary[FOLDER_PATH_MAX + 32];
	size_t made; /* length of the shortest parent that had to be made, 0: none */
};

/* Prepares `path`: refuses one that exists (ERROR_USAGE), makes the folder `path`.tmp-<pid> beside
 * it. */
int folder_open(struct run_folder *folder, const char *path, struct error *e);
/* temporary/name. */
const char *folder_file(const struct run_folder *folder, const char *name, struct arena *arena);
int folder_write(const struct run_folder *folder, const char *name, const char *text, size_t size,
		 struct arena *arena, struct error *e);
/* fsync and rename; on failure the caller still has to discard. */
int folder_commit(struct run_folder *folder, struct error *e);
/* Removes the temporary folder and the parents that were made for it. */
void folder_discard(struct run_folder *folder);

struct leftovers {
	size_t removed, kept, failed; /* folders */
};

/*
 * Removes what killed runs left: temporary folders of `path`, a run folder that never came to be;
 * with NULL those in runs/ that were to get a default name. Only folders of this user whose name
 * folder_open() gives, whose process is dead, and which hold nothing but files of a run. Prints
 * what it removes, and what it does not and why.
 */
struct leftovers folder_sweep(const char *path, struct arena *arena);

/* ---- core/command_progress.c ---- */

/* A line that is redrawn on a terminal, a plain one now and then elsewhere; on standard error. */
struct progress {
	bool quiet, redrawn, colour, drawn;
	bool real;             /* the drill's seconds are ours: then the end is known beforehand */
	const char *name;      /* of the scenario */
	double started, shown; /* seconds of the monotonic clock */
	nanos duration;
};

struct run_progress;

/* Of a drill; `scenario` NULL: of something else, which is told by progress_note(). */
void progress_start(struct progress *progress, const struct scenario *scenario, bool real,
		    bool quiet);
void progress_tell(void *self, const struct run_progress *told); /* run_options.progress */
/* A text of the caller's own as the line, as often as a line is due. */
void progress_note(struct progress *progress, const char *text);
/* What is done once the drill is over, when that was long enough for a line: told at once. */
void progress_say(struct progress *progress, const char *what);
void progress_end(struct progress *progress);

/* The stream is a terminal on which a line can be redrawn, on which colours are wanted (NO_COLOR,
 * no-color.org). */
bool command_terminal(int fd);
bool command_colour(int fd);
/* Columns of the terminal behind `fd`; 0: there is none, or it does not say. */
int command_columns(int fd);

/* Seconds of a clock that never goes back; the wall clock as RFC 3339 in UTC, and the same for file
 * names. */
double command_seconds(void);
const char *command_now(struct arena *arena, const char **ret_compact);

#endif
