/* SPDX-License-Identifier: Apache-2.0 */
/* The manual page, from the tables of commands. */
#include <string.h>

#include "core/command_pages.h"
#include "core/commands.h"

#ifndef DRSIM_VERSION
#define DRSIM_VERSION "unknown"
#endif
#ifndef DRSIM_DATADIR
#define DRSIM_DATADIR "/usr/local/share/drsim"
#endif

/* ---- roff ---- */

/* Text of a line: what roff would take for its own is escaped, and a hyphen is one that can be
 * copied into a shell. A newline begins a paragraph. */
static void put(FILE *out, const char *text)
{
	bool begins = true;

	for (; *text; text++) {
		if (begins && (*text == '.' || *text == '\''))
			fputs("\\&", out);
		begins = *text == '\n';
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-')
			fputs("\\-", out);
		else if (*text == '\n')
			fputs("\n.PP\n", out);
		else
			fputc(*text, out);
	}
}

static void paragraph(FILE *out, const char *text)
{
	fputs(".PP\n", out);
	put(out, text);
	fputc('\n', out);
}

static void heading(FILE *out, const char *macro, const char *text)
{
	fprintf(out, "%s \"", macro);
	put(out, text);
	fputs("\"\n", out);
}

/* .TP, a bold word with what belongs to it, and its explanation. */
static void item(FILE *out, const char *word, const char *value, const char *text)
{
	fputs(".TP\n\\fB", out);
	put(out, word);
	fputs("\\fR", out);
	if (value) {
		fputs(" \\fI", out);
		put(out, value);
		fputs("\\fR", out);
	}
	fputc('\n', out);
	put(out, text);
	fputc('\n', out);
}

/* ---- the commands ---- */

static void put_option(FILE *out, const struct option *option)
{
	char name[128];

	if (option->letter)
		snprintf(name, sizeof(name), "-%c, --%.100s", option->letter, option->name);
	else
		snprintf(name, sizeof(name), "--%.100s", option->name);
	item(out, name, option->value, option->help);
}

static void put_command(FILE *out, const struct command *command)
{
	const struct option *option = command->options;
	char usage[256];

	snprintf(usage, sizeof(usage), "drsim %.40s%s%.150s%s", command->name,
		 *command->arguments ? " " : "", command->arguments,
		 option->name ? " [OPTION]..." : "");
	heading(out, ".SS", usage);
	put(out, command->help);
	fputc('\n', out);
	for (; option->name; option++)
		if (option->help)
			put_option(out, option);
}

static void put_synopsis(FILE *out)
{
	fputs(".SH SYNOPSIS\n", out);
	for (size_t i = 0; command_table[i]; i++) {
		const struct command *command = command_table[i];

		fputs(i > 0 ? ".br\n\\fBdrsim " : "\\fBdrsim ", out);
		put(out, command->name);
		fputs("\\fR ", out);
		put(out, command->arguments);
		fputs(command->options->name ? " [OPTION]...\n" : "\n", out);
	}
	fputs(".br\n\\fBdrsim \\-\\-version\\fR\n", out);
}

/* ---- what the tables do not have ---- */

struct fact {
	const char *word, *text;
};

static void put_facts(FILE *out, const char *title, const struct fact *facts, size_t count)
{
	heading(out, ".SH", title);
	for (size_t i = 0; i < count; i++)
		item(out, facts[i].word, NULL, facts[i].text);
}

static const struct fact codes[] = {
	{"0", "Objectives met; of other commands: done, nothing found."},
	{"1", "An objective was missed; of other commands: what was asked for does not hold."},
	{"2", "Usage or an invalid scenario; nothing was touched."},
	{"3", "Not evaluable: a fault had no effect, the target is unavailable, a record could not "
	      "be written or read."},
	{"4", "Something could not be reverted."},
	{"5", "Stopped by a guard or a signal; everything was reverted."},
};

static const struct fact variables[] = {
	{"DRSIM_STATE", "Where the undo journals and work files of real drills are; "
			"/var/lib/drsim for root, else $XDG_STATE_HOME/drsim or "
			"~/.local/state/drsim."},
	{"DRSIM_STORE_TOKEN", "The bearer token of an object server that keeps backups."},
	{"NO_COLOR", "When it is set and not empty nothing is coloured."},
	{"TERM", "When it is dumb, or not set, nothing is coloured and no line is redrawn."},
	{"PATH", "Where gnuplot is looked for, and the commands of a scenario."},
	{"Others", "Servers, adapters and backup tools of a scenario get the whole environment, "
		   "and ${env:NAME} in a scenario stands for the variable NAME, so that no secret "
		   "has to stand in a file."},
};

static const struct fact files[] = {
	{"runs/", "Where run folders go unless --out says otherwise."},
	{DRSIM_DATADIR "/scenarios", "The scenarios that are shipped, and the JSON Schema of "
				     "scenarios."},
	{DRSIM_DATADIR "/reports", "The JSON Schemas of records and profiles."},
};

static const struct fact examples[] = {
	{"drsim run scenarios/gpu_loss.yaml", "Simulate the loss of a GPU."},
	{"drsim run scenarios/gpu_loss.yaml --driver process",
	 "The same with real processes on this host."},
	{"drsim run scenarios/gpu_loss.yaml --trials 10000 --set backup.every=1h",
	 "Ten thousand trials of it, with a backup each hour."},
};

#define COUNT(facts) (sizeof(facts) / sizeof((facts)[0]))

void command_print_manual(FILE *out)
{
	fputs(".\\\" Written by drsim help --as man.\n"
	      ".TH DRSIM 1 \"\" \"drsim " DRSIM_VERSION "\" \"User Commands\"\n"
	      ".SH NAME\ndrsim \\- rehearse disasters on AI infrastructure and measure the "
	      "recovery\n",
	      out);
	put_synopsis(out);
	fputs(".SH DESCRIPTION\n", out);
	put(out,
	    "A scenario in YAML describes a deployment of GPUs, its backups, its recovery plan, "
	    "and what breaks. drsim runs it, on a simulator or with real processes on this "
	    "host, breaks it, drives backup and failover, and reports what was achieved: how "
	    "long the recovery took, how much data was lost, and whether the objectives were "
	    "met.");
	fputc('\n', out);
	paragraph(out, "Options may stand before or after arguments; -- ends them. A value "
		       "follows its option as the next word or after an equals sign.");
	fputs(".SH COMMANDS\n", out);
	for (size_t i = 0; command_table[i]; i++)
		put_command(out, command_table[i]);
	put_facts(out, "EXIT STATUS", codes, COUNT(codes));
	paragraph(out, "The worst wins: 4, then 5, 3, 1.");
	put_facts(out, "ENVIRONMENT", variables, COUNT(variables));
	put_facts(out, "FILES", files, COUNT(files));
	put_facts(out, "EXAMPLES", examples, COUNT(examples));
}
