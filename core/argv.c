/* SPDX-License-Identifier: Apache-2.0 */
/* Commands with placeholders: checked when a scenario is loaded, filled in when they are started.
 */
#include "core/argv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/param.h"
#include "core/yaml.h"

const char *const argv_service_names[] = {"PORT", "ADDRESS", "DATA", "SITE", "NODE", NULL};
const char *const argv_backup_names[] = {"DATA", "STORE", "BACKUP", "CLASS", NULL};

/* What stands at a dollar: its length in the text, and the name's; a name of 0 is `$$`. Length 0:
 * neither. */
static size_t placeholder(const char *dollar, size_t *ret_name)
{
	const char *end;

	*ret_name = 0;
	if (dollar[1] == '$')
		return 2;
	end = dollar[1] == '{' ? strchr(dollar, '}') : NULL;
	if (!end)
		return 0;
	*ret_name = (size_t)(end - dollar) - 2;
	return *ret_name > 0 ? *ret_name + 3 : 0;
}

#define FROM_ENVIRONMENT "env:"

/* "env:NAME", of a variable that can be. */
static bool is_environment(const char *name)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
	size_t begin = strlen(FROM_ENVIRONMENT);

	if (strncmp(name, FROM_ENVIRONMENT, begin) != 0 || !name[begin] ||
	    !strchr(letters, name[begin]))
		return false;
	name += begin;
	while (*name && (strchr(letters, *name) || strchr("0123456789", *name)))
		name++;
	return *name == '\0';
}

static const char *name_list(const char *const *names, struct arena *arena)
{
	const char *text = "";

	for (size_t i = 0; names[i]; i++)
		text = arena_printf(arena, "%s%s${%s}", text,
				    i == 0         ? ""
				    : names[i + 1] ? ", "
						   : " and ",
				    names[i]);
	return text;
}

static int unknown(const struct yaml_node *node, const char *name, const char *const *names,
		   struct param_context *context)
{
	const char *suggestion = param_suggest(name, names);
	char quoted[YAML_QUOTE_MAX];

	yaml_quote(name, quoted);
	if (suggestion)
		return error_list_add(&context->errors, ERROR_SCENARIO, node->place,
				      "unknown placeholder '${%s}'; did you mean '${%s}'?", quoted,
				      suggestion);
	return error_list_add(&context->errors, ERROR_SCENARIO, node->place,
			      "unknown placeholder '${%s}'; there are %s", quoted,
			      name_list(names, context->arena));
}

int argv_check(const struct yaml_node *node, const char *const *names,
	       struct param_context *context)
{
	const char *at = node->text;
	size_t length, name;

	if (node->length > ARGV_WORD_MAX)
		return error_list_add(&context->errors, ERROR_LIMIT, node->place,
				      "%zu bytes in one word of a command; the limit is %d",
				      node->length, ARGV_WORD_MAX);
	for (at = strchr(at, '$'); at; at = strchr(at + length, '$')) {
		const char *word;
		size_t i = 0;

		length = placeholder(at, &name);
		if (length == 0)
			return error_list_add(&context->errors, ERROR_SCENARIO, node->place,
					      "a '$' begins a placeholder such as ${%s}; write $$ "
					      "for a dollar",
					      names[0]);
		if (name == 0)
			continue;
		word = arena_strndup(context->arena, at + 2, name);
		while (names[i] && strcmp(names[i], word) != 0)
			i++;
		if (!names[i] && !is_environment(word))
			return unknown(node, word, names, context);
	}
	return 0;
}

int argv_load(const struct yaml_node *node, const char *what, const char *const *names,
	      struct param_context *context, struct argv *ret)
{
	const char **words;
	size_t count = 0;
	int result = 0;

	if (node->kind != YAML_KIND_LIST || !node->first)
		return error_list_add(&context->errors, ERROR_SCENARIO, node->place,
				      "'%s' is a list of words, such as [redis-server, --port, "
				      "\"${PORT}\"]; no shell reads it",
				      what);
	if (node->count > ARGV_WORDS_MAX)
		return error_list_add(&context->errors, ERROR_LIMIT, node->place,
				      "'%s' has %zu words; the limit is %d", what, node->count,
				      ARGV_WORDS_MAX);
	words = arena_array(context->arena, node->count + 1, sizeof(*words));
	for (const struct yaml_node *item = node->first; item; item = item->next) {
		if (item->kind != YAML_KIND_SCALAR) {
			result = error_list_add(&context->errors, ERROR_SCENARIO, item->place,
						"a word of '%s' is expected here, not %s", what,
						yaml_describe(item));
			continue;
		}
		result |= argv_check(item, names, context);
		words[count++] = item->text;
	}
	if (result == 0 && *words[0] == '\0')
		result = error_list_add(&context->errors, ERROR_SCENARIO, node->first->place,
					"'%s' begins with the name of a program", what);
	*ret = (struct argv){.words = words, .count = count};
	return result;
}

static const char *value_of(const struct argv_value *values, const char *name, size_t length,
			    struct arena *arena)
{
	size_t begin = strlen(FROM_ENVIRONMENT);

	if (length > begin && strncmp(name, FROM_ENVIRONMENT, begin) == 0) {
		const char *value = getenv(arena_strndup(arena, name + begin, length - begin));

		assert(value); /* whoever starts commands has looked */
		return value ? value : "";
	}
	for (; values->name; values++)
		if (strlen(values->name) == length && strncmp(values->name, name, length) == 0)
			return values->value;
	assert(!"a placeholder without a value");
	return "";
}

char *argv_expand_word(const char *word, const struct argv_value *values, struct arena *arena)
{
	char *text = arena_strdup(arena, "");

	while (*word) {
		size_t plain = strcspn(word, "$"), length = 0, name = 0;
		const char *value = "";

		if (word[plain] == '$') {
			length = placeholder(word + plain, &name);
			assert(length > 0); /* the loader has seen to it */
			value = name == 0 ? "$" : value_of(values, word + plain + 2, name, arena);
		}
		text = arena_printf(arena, "%s%.*s%s", text, (int)plain, word, value);
		word += plain + length;
	}
	return text;
}

char **argv_expand(const struct argv *argv, const struct argv_value *values, struct arena *arena)
{
	char **words = arena_array(arena, argv->count + 1, sizeof(*words));

	for (size_t i = 0; i < argv->count; i++)
		words[i] = argv_expand_word(argv->words[i], values, arena);
	return words;
}
