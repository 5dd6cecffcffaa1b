/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines: options from a table, did-you-mean, help texts. */
#include <stdarg.h>
#include <string.h>

#include "core/commands.h"
#include "core/param.h"

#define USAGE_COLUMN 25 /* where explanations start */
#define WORDS_AT_ONCE 64

/* ---- messages ---- */

int command_usage(const struct command *command, const char *format, ...)
{
	struct error error = {.kind = ERROR_USAGE};
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error.text, sizeof(error.text), format, arguments);
	va_end(arguments);
	error_print(&error);
	fprintf(stderr, "'drsim help%s%s' says more\n", command ? " " : "",
		command ? command->name : "");
	return EXIT_USAGE;
}

int command_unknown(const struct command *command, const char *what, const char *word,
		    const char *const *words)
{
	const char *near = param_suggest(word, words);
	char quoted[YAML_QUOTE_MAX];

	yaml_quote(word, quoted);
	if (near)
		return command_usage(command, "unknown %s '%s'; did you mean '%s'?", what, quoted,
				     near);
	return command_usage(command, "unknown %s '%s'", what, quoted);
}

const char *command_quote(const char *word, struct arena *arena)
{
	static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
				   "_@%+=:,./-";
	char *quoted;
	size_t used = 0;

	if (*word && strspn(word, safe) == strlen(word))
		return word;
	/* Between single quotes only a single quote is special: it becomes '\''. */
	quoted = arena_alloc(arena, 4 * strlen(word) + 3);
	quoted[used++] = '\'';
	for (; *word; word++) {
		if (*word == '\'') {
			memcpy(quoted + used, "'\\''", 4);
			used += 4;
		} else {
			quoted[used++] = *word;
		}
	}
	quoted[used++] = '\'';
	quoted[used] = '\0';
	return quoted;
}

/* ---- help ---- */

void command_print_wrapped(FILE *out, const char *text, int column)
{
	int at = column;

	while (*text) {
		int length = (int)strcspn(text, " \n");

		if (at > column && at + 1 + length > 90) {
			fprintf(out, "\n%*s", column, "");
			at = column;
		} else if (at > column) {
			fputc(' ', out);
			at++;
		}
		fprintf(out, "%.*s", length, text);
		at += length;
		text += length;
		if (*text == '\n' && text[1]) {
			fprintf(out, "\n%*s", column, "");
			at = column;
		}
		text += *text != '\0';
	}
	fputc('\n', out);
}

static void print_option(FILE *out, const struct option *option)
{
	int length = option->letter ? fprintf(out, "  -%c,", option->letter) : fprintf(out, " ");

	length += fprintf(out, " --%s%s%s", option->name, option->value ? " " : "",
			  option->value ? option->value : "");

	if (length + 2 > USAGE_COLUMN) {
		fputc('\n', out);
		length = 0;
	}
	fprintf(out, "%*s", USAGE_COLUMN - length, "");
	command_print_wrapped(out, option->help, USAGE_COLUMN);
}

void command_print_help(const struct command *command, FILE *out)
{
	const struct option *option = command->options;

	fprintf(out, "usage: drsim %s%s%s%s\n\n", command->name, *command->arguments ? " " : "",
		command->arguments, option->name ? " [OPTION]..." : "");
	command_print_wrapped(out, command->help, 0);
	if (option->name)
		fputs("\noptions:\n", out);
	for (; option->name; option++)
		if (option->help)
			print_option(out, option);
}

void command_print_overview(FILE *out)
{
	fputs("drsim rehearses disasters on AI infrastructure and measures the recovery.\n\n"
	      "usage: drsim COMMAND [ARGUMENT]...\n\n",
	      out);
	for (size_t i = 0; command_table[i]; i++) {
		const struct command *command = command_table[i];
		int length = fprintf(out, "  %-10s", command->name);

		length += fprintf(out, "%s%s", length > 12 ? " " : "", command->arguments);
		if (length >= USAGE_COLUMN) {
			fputc('\n', out);
			length = 0;
		}
		fprintf(out, "%*s%s\n", USAGE_COLUMN - length, "", command->summary);
	}
	fputs("\n"
	      "drsim help COMMAND tells the options of a command; drsim --version tells the "
	      "version.\n"
	      "Exit codes: 0 objectives met, 1 an objective missed, 2 usage or invalid scenario,\n"
	      "3 not evaluable, 4 something could not be reverted, 5 aborted.\n"
	      "\n"
	      "To begin: drsim run scenarios/gpu_loss.yaml\n",
	      out);
}

const struct command *command_find(const char *name)
{
	for (size_t i = 0; command_table[i]; i++)
		if (strcmp(command_table[i]->name, name) == 0)
			return command_table[i];
	return NULL;
}

/* ---- parsing ---- */

static const struct option *find_option(const struct command *command, const char *name,
					size_t length)
{
	for (const struct option *option = command->options; option->name; option++)
		if (strlen(option->name) == length && memcmp(option->name, name, length) == 0)
			return option;
	return NULL;
}

static const struct option *find_letter(const struct command *command, const char *word)
{
	for (const struct option *option = command->options; option->name; option++)
		if (option->letter && option->letter == word[1] && word[2] == '\0')
			return option;
	return NULL;
}

static int unknown_option(struct invocation *in, const char *word)
{
	const char *names[WORDS_AT_ONCE] = {"--help"};
	size_t count = 1;
	const char *bare = arena_strndup(in->arena, word, strcspn(word, "="));

	for (const struct option *option = in->command->options;
	     option->name && count + 1 < WORDS_AT_ONCE; option++)
		if (option->help)
			names[count++] = arena_printf(in->arena, "--%s", option->name);
	return command_unknown(in->command, "option", bare, names);
}

static int set_number(const struct command *command, const struct option *option, const char *value,
		      struct option_number *ret)
{
	struct error error = {0};
	char quoted[YAML_QUOTE_MAX];
	uint64_t number;

	if (quantity_unsigned(value, NO_PLACE, &number, &error))
		return command_usage(command, "--%s needs a whole number, not '%s'", option->name,
				     yaml_quote(value, quoted));
	if (number < option->min || number > option->max)
		return command_usage(command, "--%s must be %llu to %llu, not %llu", option->name,
				     (unsigned long long)option->min,
				     (unsigned long long)option->max, (unsigned long long)number);
	if (ret->given)
		return command_usage(command, "--%s is given twice", option->name);
	*ret = (struct option_number){.given = true, .value = number};
	return 0;
}

/* Store one option; 0 or the exit code. */
static int set_option(struct invocation *in, const struct option *option, const char *value,
		      void *options)
{
	void *field = (char *)options + option->offset;
	struct option_texts *texts;

	switch (option->kind) {
	case OPTION_FLAG:
		*(bool *)field = true;
		return 0;
	case OPTION_TEXT:
		if (*(const char **)field)
			return command_usage(in->command, "--%s is given twice", option->name);
		*(const char **)field = value;
		return 0;
	case OPTION_TEXTS:
		texts = field;
		if (!texts->items)
			texts->items =
				arena_array(in->arena, (size_t)in->argc, sizeof(*texts->items));
		texts->items[texts->count++] = value;
		return 0;
	case OPTION_NUMBER:
		return set_number(in->command, option, value, field);
	}
	return 0;
}

/* The option at argv[*at]; moves *at over a value of its own. 0 or the exit code. */
static int parse_option(struct invocation *in, int *at, void *options)
{
	const char *word = in->argv[*at], *name = word + 2, *equals = strchr(word, '=');
	size_t length = equals ? (size_t)(equals - name) : strlen(name);
	const struct option *option = word[1] == '-' ? find_option(in->command, name, length)
						     : find_letter(in->command, word);

	if (!option)
		return unknown_option(in, word);
	if (option->kind == OPTION_FLAG && equals)
		return command_usage(in->command, "--%s takes no value", option->name);
	if (option->kind == OPTION_FLAG)
		return set_option(in, option, NULL, options);
	if (equals)
		return set_option(in, option, equals + 1, options);
	if (*at + 1 >= in->argc)
		return command_usage(in->command, "--%s needs a value: --%s %s", option->name,
				     option->name, option->value);
	return set_option(in, option, in->argv[++*at], options);
}

static int check_words(struct invocation *in)
{
	const struct command *command = in->command;

	if (in->word_count < command->words_min)
		return command_usage(command, "drsim %s needs %s", command->name,
				     command->arguments);
	if (in->word_count > command->words_max)
		return command_usage(command, "one argument too many: '%s'",
				     in->words[command->words_max]);
	return 0;
}

int command_parse(struct invocation *in, void *options, int *ret_exit)
{
	bool only_words = false;
	int code;

	in->words = arena_array(in->arena, (size_t)in->argc + 1, sizeof(*in->words));
	for (int i = 0; i < in->argc; i++) {
		const char *word = in->argv[i];

		if (only_words || word[0] != '-' || word[1] == '\0') {
			in->words[in->word_count++] = word;
			continue;
		}
		if (strcmp(word, "--") == 0) {
			only_words = true;
			continue;
		}
		if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
			command_print_help(in->command, stdout);
			*ret_exit = EXIT_OK;
			return -1;
		}
		code = parse_option(in, &i, options);
		if (code) {
			*ret_exit = code;
			return -1;
		}
	}
	*ret_exit = check_words(in);
	return *ret_exit ? -1 : 0;
}
