/* SPDX-License-Identifier: Apache-2.0 */
/* Completions for bash and zsh, from the tables of commands, faults and drivers. */
#include <string.h>

#include "core/command_pages.h"
#include "core/commands.h"
#include "core/fault.h"

/* What can stand as an option's value or as an argument. */
enum kind {
	KIND_NOTHING, /* that a shell could know */
	KIND_FILE,
	KIND_FOLDER,
	KIND_SCENARIO,
	KIND_COMMAND,
	KIND_CATALOGUE, /* of drsim list: what, then a name */
	KIND_DRIVER,
	KIND_CHOICE, /* of words with a bar between: the value says which */
};

static bool holds(const char *text, const char *word)
{
	return strstr(text, word) != NULL;
}

/* From the capitals that the help has for it. */
static enum kind kind_of_value(const struct option *option)
{
	if (option->kind == OPTION_NUMBER)
		return KIND_NOTHING;
	if (strcmp(option->name, "driver") == 0)
		return KIND_DRIVER;
	if (holds(option->value, "|"))
		return KIND_CHOICE;
	if (holds(option->value, "DIR"))
		return KIND_FOLDER;
	if (holds(option->value, "FILE") || holds(option->value, "KEY") ||
	    holds(option->value, "PUB"))
		return KIND_FILE;
	return KIND_NOTHING;
}

static enum kind kind_of_arguments(const struct command *command)
{
	if (!*command->arguments)
		return KIND_NOTHING;
	if (holds(command->arguments, "SCENARIO"))
		return KIND_SCENARIO;
	if (holds(command->arguments, "WHAT"))
		return KIND_CATALOGUE;
	if (holds(command->arguments, "COMMAND"))
		return KIND_COMMAND;
	if (holds(command->arguments, "RUN_DIR"))
		return KIND_FOLDER;
	return KIND_FILE; /* a folder too */
}

/* ---- lists of words ---- */

static void put_choices(FILE *out, const char *value)
{
	for (; *value; value++)
		fputc(*value == '|' ? ' ' : *value, out);
}

static void put_commands(FILE *out)
{
	for (size_t i = 0; command_table[i]; i++)
		fprintf(out, "%s ", command_table[i]->name);
}

static void put_drivers(FILE *out)
{
	for (size_t i = 0; driver_table[i]; i++)
		fprintf(out, "%s%s", i > 0 ? " " : "", driver_table[i]->name);
}

static void put_faults(FILE *out)
{
	for (size_t i = 0; fault_table[i]; i++)
		fprintf(out, "%s%s", i > 0 ? " " : "", fault_table[i]->name);
}

/* ---- bash ---- */

static void put_bash_value(FILE *out, const struct command *command, const struct option *option)
{
	fprintf(out, "\t%s:--%s", command->name, option->name);
	if (option->letter)
		fprintf(out, "|%s:-%c", command->name, option->letter);
	fputs(") ", out);
	switch (kind_of_value(option)) {
	case KIND_DRIVER:
		fputs("words='", out);
		put_drivers(out);
		fputc('\'', out);
		break;
	case KIND_CHOICE:
		fputs("words='", out);
		put_choices(out, option->value);
		fputc('\'', out);
		break;
	case KIND_FILE:
		fputs("kind=file", out);
		break;
	case KIND_FOLDER:
		fputs("kind=folder", out);
		break;
	case KIND_NOTHING:
	case KIND_SCENARIO:
	case KIND_COMMAND:
	case KIND_CATALOGUE:
		fputs("return", out);
		break;
	}
	fputs(" ;;\n", out);
}

static void put_bash_catalogue(FILE *out, const struct command *command)
{
	fprintf(out, "\t%s:%s) words='faults drivers scenarios' ;;\n", command->name,
		command->name);
	fprintf(out, "\t%s:faults) words='", command->name);
	put_faults(out);
	fprintf(out, "' ;;\n\t%s:drivers) words='", command->name);
	put_drivers(out);
	fputs("' ;;\n", out);
}

static void put_bash_command(FILE *out, const struct command *command)
{
	static const char *const kinds[] = {
		[KIND_NOTHING] = "",          [KIND_FILE] = "file",       [KIND_FOLDER] = "folder",
		[KIND_SCENARIO] = "scenario", [KIND_COMMAND] = "command", [KIND_CATALOGUE] = "",
		[KIND_DRIVER] = "",           [KIND_CHOICE] = "",
	};

	fprintf(out, "\t%s:*) options='--help", command->name);
	for (const struct option *option = command->options; option->name; option++)
		if (option->help)
			fprintf(out, " --%s", option->name);
	fprintf(out, "' kind=%s ;;\n", kinds[kind_of_arguments(command)]);
}

void command_print_bash(FILE *out)
{
	fputs("# Completion of drsim for bash. Written by drsim help --as bash.\n"
	      "_drsim()\n{\n"
	      "\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
	      "\tlocal options= words= kind=\n"
	      "\tCOMPREPLY=()\n"
	      "\t# --name=value comes as three words.\n"
	      "\tif [[ $word == = ]]; then\n"
	      "\t\tword=\n"
	      "\telif [[ $before == = && $COMP_CWORD -gt 2 ]]; then\n"
	      "\t\tbefore=${COMP_WORDS[COMP_CWORD-2]}\n"
	      "\tfi\n"
	      "\tif [[ $COMP_CWORD -eq 1 ]]; then\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -W '",
	      out);
	put_commands(out);
	fputs("--help --version' -- \"$word\")\n\t\treturn\n\tfi\n"
	      "\tcase ${COMP_WORDS[1]}:$before in\n",
	      out);
	for (size_t i = 0; command_table[i]; i++) {
		const struct command *command = command_table[i];

		for (const struct option *option = command->options; option->name; option++)
			if (option->help && option->value)
				put_bash_value(out, command, option);
		if (kind_of_arguments(command) == KIND_CATALOGUE)
			put_bash_catalogue(out, command);
		put_bash_command(out, command);
	}
	fputs("\tesac\n"
	      "\tif [[ -n $options && $word == -* ]]; then\n\t\twords=$options kind=\n\tfi\n"
	      "\tcase $kind in\n"
	      "\tfile) mapfile -t COMPREPLY < <(compgen -f -- \"$word\") ;;\n"
	      "\tfolder) mapfile -t COMPREPLY < <(compgen -d -- \"$word\") ;;\n"
	      "\tscenario) mapfile -t COMPREPLY < <(compgen -f -X '!*.yaml' -- \"$word\"\n"
	      "\t\tcompgen -d -- \"$word\") ;;\n"
	      "\tcommand) words='",
	      out);
	put_commands(out);
	fputs("' ;;\n\tesac\n"
	      "\tif [[ -n $words ]]; then\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
	      "\telif [[ -n $kind ]]; then\n"
	      "\t\tcompopt -o filenames 2>/dev/null\n"
	      "\tfi\n\treturn 0\n}\ncomplete -F _drsim drsim\n",
	      out);
}

/* ---- zsh ---- */

/* Up to the first full stop, within single quotes; what _arguments reads as its own is escaped. */
static void put_zsh_text(FILE *out, const char *text)
{
	for (; *text && *text != '\n'; text++) {
		if (*text == '.' && (text[1] == ' ' || text[1] == '\0'))
			return;
		if (*text == '\'')
			fputs("'\\'", out);
		else if (strchr("[]:\\", *text))
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void put_zsh_action(FILE *out, enum kind kind, const char *value)
{
	switch (kind) {
	case KIND_FILE:
		fputs("_files", out);
		break;
	case KIND_FOLDER:
		fputs("_files -/", out);
		break;
	case KIND_SCENARIO:
		fputs("_files -g \"*.yaml\"", out);
		break;
	case KIND_COMMAND:
		fputc('(', out);
		put_commands(out);
		fputc(')', out);
		break;
	case KIND_CATALOGUE:
		fputs("(faults drivers scenarios ", out);
		put_drivers(out);
		fputc(' ', out);
		put_faults(out);
		fputc(')', out);
		break;
	case KIND_DRIVER:
		fputc('(', out);
		put_drivers(out);
		fputc(')', out);
		break;
	case KIND_CHOICE:
		fputc('(', out);
		put_choices(out, value);
		fputc(')', out);
		break;
	case KIND_NOTHING:
		fputc(' ', out);
		break;
	}
}

static void put_zsh_option(FILE *out, const struct option *option)
{
	const char *again = option->kind == OPTION_TEXTS ? "*" : "";

	fprintf(out, " \\\n\t\t\t'%s--%s%s[", again, option->name, option->value ? "=" : "");
	put_zsh_text(out, option->help);
	fputc(']', out);
	if (option->value) {
		fputc(':', out);
		put_zsh_text(out, option->value);
		fputc(':', out);
		put_zsh_action(out, kind_of_value(option), option->value);
	}
	fputc('\'', out);
}

static void put_zsh_command(FILE *out, const struct command *command)
{
	enum kind kind = kind_of_arguments(command);

	fprintf(out, "\t%s)\n\t\t_arguments '--help[its help]'", command->name);
	for (const struct option *option = command->options; option->name; option++)
		if (option->help)
			put_zsh_option(out, option);
	if (kind != KIND_NOTHING) {
		fputs(" \\\n\t\t\t'*:", out);
		put_zsh_text(out, command->arguments);
		fputc(':', out);
		put_zsh_action(out, kind, NULL);
		fputc('\'', out);
	}
	fputs(" ;;\n", out);
}

void command_print_zsh(FILE *out)
{
	fputs("#compdef drsim\n"
	      "# Completion of drsim for zsh. Written by drsim help --as zsh.\n"
	      "_drsim()\n{\n\tlocal -a commands\n\tcommands=(\n",
	      out);
	for (size_t i = 0; command_table[i]; i++) {
		fprintf(out, "\t\t'%s:", command_table[i]->name);
		put_zsh_text(out, command_table[i]->summary);
		fputs("'\n", out);
	}
	fputs("\t)\n\tif (( CURRENT == 2 )); then\n"
	      "\t\t_describe command commands\n\t\treturn\n\tfi\n"
	      "\tshift words\n\t(( CURRENT-- ))\n"
	      "\tcase $words[1] in\n",
	      out);
	for (size_t i = 0; command_table[i]; i++)
		put_zsh_command(out, command_table[i]);
	fputs("\tesac\n}\n_drsim \"$@\"\n", out);
}
