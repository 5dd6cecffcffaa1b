/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scenario is kept with every run of it, and its hash is signed: it must not hold a credential.
 * What looks like one is refused, with the way to do without. And which variables of the
 * environment a scenario names in their place.
 */
#include <string.h>

#include "core/scenario_private.h"
#include "core/secret.h"

static int refuse(struct loader *loader, struct place place, const char *what)
{
	return loader_error(
		loader, place,
		"%s does not belong into a scenario, which is kept with every run: "
		"leave it to the environment; a command and 'env' of a service can name "
		"it as ${env:NAME}",
		what);
}

static bool is_flag(const char *word)
{
	return word[0] == '-' && word[1] != '\0';
}

/* --password x: two words of a list. */
static bool is_value_of(const struct yaml_node *option, const struct yaml_node *value)
{
	return option->kind == YAML_KIND_SCALAR && is_flag(option->text) &&
	       !strpbrk(option->text, "=: ") && secret_is_name(option->text, option->length) &&
	       value->kind == YAML_KIND_SCALAR && !is_flag(value->text) &&
	       secret_is_literal(value->text);
}

static bool is_word_of_yaml(const struct yaml_node *node)
{
	return node->style == YAML_STYLE_PLAIN &&
	       (yaml_is_null(node) || yaml_is(node, "true") || yaml_is(node, "false"));
}

static int look(struct loader *loader, const struct yaml_node *node, bool in_list)
{
	const struct yaml_node *before = NULL;
	struct secret secret;
	int result = 0;

	if (node->kind == YAML_KIND_SCALAR) {
		bool named = node->key && secret_is_name(node->key->text, node->key->length) &&
			     secret_is_literal(node->text) && !is_word_of_yaml(node);

		if (named)
			return refuse(loader, node->place, "a credential");
		if (in_list ? secret_find_word(node->text, &secret)
			    : secret_find(node->text, &secret))
			return refuse(loader, node->place, secret.what);
		return 0;
	}
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		if (before && is_value_of(before, child))
			result = refuse(loader, child->place, "a credential");
		result |= look(loader, child, node->kind == YAML_KIND_LIST);
		before = node->kind == YAML_KIND_LIST ? child : NULL;
	}
	return result;
}

/* Comments are kept too. */
static int look_at_text(struct loader *loader, const char *file, const char *text, size_t size)
{
	struct arena *arena = loader->context.arena;
	uint32_t number = 1;

	for (const char *end = text + size; text < end; number++) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t length = (size_t)((newline ? newline : end) - text);
		const char *mark = memchr(text, '#', length);
		struct secret secret;

		if (mark && secret_find(arena_strndup(arena, mark, length - (size_t)(mark - text)),
					&secret))
			return refuse(loader,
				      (struct place){file, number, (uint32_t)(mark - text) + 1},
				      secret.what);
		text += length + 1;
	}
	return 0;
}

int refuse_secrets(struct loader *loader, const struct yaml_node *root, const char *file,
		   const char *text, size_t size)
{
	int result = look(loader, root, false);

	return result == 0 && text ? look_at_text(loader, file, text, size) : result;
}

/* ---- the variables that stand for them ---- */

struct visitor {
	scenario_variable_fn *visit;
	void *self;
	struct place place;
	const char *stopped;
};

static void visit_word(struct visitor *visitor, const char *word)
{
	static const char begin[] = "${env:";
	char name[ARGV_WORD_MAX + 1];

	for (const char *at = strstr(word, begin); at && !visitor->stopped;
	     at = strstr(at + 1, begin)) {
		size_t length = strcspn(at + strlen(begin), "}");

		if (length >= sizeof(name))
			continue;
		memcpy(name, at + strlen(begin), length);
		name[length] = '\0';
		if (!visitor->visit(visitor->self, name, visitor->place))
			visitor->stopped = at;
	}
}

static void visit_argv(struct visitor *visitor, const struct argv *argv)
{
	for (size_t i = 0; i < argv->count; i++)
		visit_word(visitor, argv->words[i]);
}

void scenario_variables(const struct scenario *scenario, scenario_variable_fn *visit, void *self)
{
	const struct deployment *d = &scenario->deployment;
	struct visitor visitor = {.visit = visit, .self = self};

	for (size_t i = 0; i < d->service_count; i++) {
		const struct service_config *service = &d->services[i];

		visitor.place = service->place;
		visit_argv(&visitor, &service->command);
		visit_argv(&visitor, &service->standby);
		visit_argv(&visitor, &service->ledger);
		visit_argv(&visitor, &service->ready.exec);
		visit_argv(&visitor, &service->health.exec);
		for (size_t k = 0; k < service->env_count; k++)
			visit_word(&visitor, service->env[k].value);
	}
	for (size_t i = 0; i < scenario->policy_count; i++) {
		visitor.place = scenario->policies[i].place;
		visit_argv(&visitor, &scenario->policies[i].command);
		visit_argv(&visitor, &scenario->policies[i].restore);
	}
}
