/* SPDX-License-Identifier: Apache-2.0 */
/* Walks two YAML trees side by side and lists where they part. */
#include "core/difference.h"

#include <string.h>

#define SHOWN_MAX 60 /* bytes of a value */

/* In flow style, cut when it is long. */
static const char *shown(const struct yaml_node *node, struct arena *arena)
{
	char quoted[YAML_QUOTE_MAX];
	const char *all = "", *between = "";

	if (!node)
		return NULL;
	if (node->kind == YAML_KIND_SCALAR)
		return arena_strdup(arena, yaml_quote(node->text, quoted));
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		const char *value = strlen(all) > SHOWN_MAX ? "..." : shown(child, arena);

		if (child->key)
			all = arena_printf(arena, "%s%s%s: %s", all, between,
					   yaml_quote(child->key->text, quoted), value);
		else
			all = arena_printf(arena, "%s%s%s", all, between, value);
		between = ", ";
		if (strlen(all) > SHOWN_MAX)
			break;
	}
	all = arena_printf(arena, node->kind == YAML_KIND_MAP ? "{%s}" : "[%s]", all);
	return arena_strdup(arena, yaml_quote(all, quoted));
}

static void add(const struct yaml_node *a, const struct yaml_node *b, const char *path,
		struct arena *arena, struct differences *list)
{
	if (list->count < DIFFERENCES_MAX)
		list->items[list->count] = (struct difference){
			.path = path, .a = shown(a, arena), .b = shown(b, arena)};
	list->count++;
}

static const char *key_path(const char *path, const char *key, struct arena *arena)
{
	char quoted[YAML_QUOTE_MAX];

	return arena_printf(arena, "%s%s%s", path, *path ? "." : "", yaml_quote(key, quoted));
}

static void find_in_maps(const struct yaml_node *a, const struct yaml_node *b, const char *path,
			 struct arena *arena, struct differences *list)
{
	for (const struct yaml_node *child = a->first; child; child = child->next)
		differences_find(child, yaml_get(b, child->key->text),
				 key_path(path, child->key->text, arena), arena, list);
	for (const struct yaml_node *child = b->first; child; child = child->next)
		if (!yaml_get(a, child->key->text))
			differences_find(NULL, child, key_path(path, child->key->text, arena),
					 arena, list);
}

static void find_in_lists(const struct yaml_node *a, const struct yaml_node *b, const char *path,
			  struct arena *arena, struct differences *list)
{
	const struct yaml_node *x = a->first, *y = b->first;

	for (size_t i = 0; x || y; i++) {
		differences_find(x, y, arena_printf(arena, "%s[%zu]", path, i), arena, list);
		x = x ? x->next : NULL;
		y = y ? y->next : NULL;
	}
}

void differences_find(const struct yaml_node *a, const struct yaml_node *b, const char *path,
		      struct arena *arena, struct differences *list)
{
	if (!a && !b)
		return;
	if (!a || !b || a->kind != b->kind) {
		add(a, b, path, arena, list);
		return;
	}
	switch (a->kind) {
	case YAML_KIND_MAP:
		find_in_maps(a, b, path, arena, list);
		break;
	case YAML_KIND_LIST:
		find_in_lists(a, b, path, arena, list);
		break;
	case YAML_KIND_SCALAR:
		if (strcmp(a->text, b->text) != 0)
			add(a, b, path, arena, list);
		break;
	}
}
