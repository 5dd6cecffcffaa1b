/* SPDX-License-Identifier: Apache-2.0 */
/* Option tables at work: a mapping goes into a struct row by row; errors are gathered in the order
 * of the file. */
#include "core/param.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- errors in the order of the file ---- */

static bool same_file(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* < 0 when `a` is to be told first. Places outside the file keep the order they came in. */
static int compare_places(const struct error_list *list, struct place a, struct place b)
{
	bool a_here = same_file(a.file, list->file), b_here = same_file(b.file, list->file);

	if (a_here != b_here)
		return a_here ? -1 : 1;
	if (!a_here)
		return same_file(a.file, b.file) && a.line == b.line && a.column == b.column ? 0
											     : 1;
	if (a.line != b.line)
		return a.line < b.line ? -1 : 1;
	return a.column < b.column ? -1 : a.column > b.column;
}

int error_list_add(struct error_list *list, enum error_kind kind, struct place place,
		   const char *format, ...)
{
	size_t at = list->count;
	va_list arguments;

	if (!list->items)
		list->items = arena_array(list->arena, PARAM_ERRORS_MAX, sizeof(*list->items));
	for (size_t i = 0; i < list->count; i++)
		if (compare_places(list, place, list->items[i].place) == 0)
			return -1;
	while (at > 0 && compare_places(list, place, list->items[at - 1].place) < 0)
		at--;
	if (at == PARAM_ERRORS_MAX)
		return -1;
	if (list->count == PARAM_ERRORS_MAX)
		list->count--;
	memmove(&list->items[at + 1], &list->items[at], (list->count - at) * sizeof(*list->items));
	list->count++;
	list->items[at].kind = kind;
	list->items[at].place = place;
	va_start(arguments, format);
	vsnprintf(list->items[at].text, sizeof(list->items[at].text), format, arguments);
	va_end(arguments);
	return -1;
}

/* ---- did you mean ---- */

#define SUGGEST_WORD_MAX 64 /* longer words get no suggestion */
#define SUGGEST_DISTANCE_MAX 2

/* Edits (insert, delete, replace, swap of neighbours) from a to b; both at most SUGGEST_WORD_MAX
 * long. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t rows[3][SUGGEST_WORD_MAX + 1], la = strlen(a), lb = strlen(b);

	for (size_t j = 0; j <= lb; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t *now = rows[i % 3];
		const size_t *up = rows[(i + 2) % 3], *upup = rows[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t best = up[j - 1] + (a[i - 1] != b[j - 1]);

			if (up[j] + 1 < best)
				best = up[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    upup[j - 2] + 1 < best)
				best = upup[j - 2] + 1;
			now[j] = best;
		}
	}
	return rows[la % 3][lb];
}

const char *param_suggest(const char *word, const char *const *words)
{
	size_t length = strlen(word), best = SUGGEST_DISTANCE_MAX + 1;
	const char *suggestion = NULL;

	if (length == 0 || length > SUGGEST_WORD_MAX)
		return NULL;
	for (; *words; words++) {
		size_t other = strlen(*words), shorter = length < other ? length : other, distance;

		if (other > SUGGEST_WORD_MAX)
			continue;
		distance = edit_distance(word, *words);
		/* Two edits of a three-letter word make any word. */
		if (distance * 2 > shorter && strncmp(word, *words, shorter) != 0)
			continue;
		if (distance > SUGGEST_DISTANCE_MAX && shorter >= 3 &&
		    strncmp(word, *words, shorter) == 0)
			distance = SUGGEST_DISTANCE_MAX;
		if (distance < best) {
			best = distance;
			suggestion = *words;
		}
	}
	return suggestion;
}

/* ---- rows ---- */

const char *param_type_name(enum param_type type)
{
	static const char *const names[] = {
		[PARAM_BOOL] = "true or false", [PARAM_INTEGER] = "whole number",
		[PARAM_DURATION] = "duration",  [PARAM_SIZE] = "size",
		[PARAM_RATE] = "rate",          [PARAM_PER_TIME] = "frequency",
		[PARAM_PERCENT] = "percentage", [PARAM_NUMBER] = "number",
		[PARAM_CHOICE] = "choice",      [PARAM_DIST] = "duration or distribution",
		[PARAM_TEXT] = "text",          [PARAM_COUNT] = "whole number",
		[PARAM_SEED] = "whole number",  [PARAM_NODE] = "mapping or list",
	};

	return names[type];
}

const char *param_type_example(enum param_type type)
{
	static const char *const examples[] = {
		[PARAM_BOOL] = "true",     [PARAM_INTEGER] = "3",     [PARAM_DURATION] = "30s",
		[PARAM_SIZE] = "140GB",    [PARAM_RATE] = "10Gbit/s", [PARAM_PER_TIME] = "120/s",
		[PARAM_PERCENT] = "99.9%", [PARAM_NUMBER] = "0.5",    [PARAM_CHOICE] = "",
		[PARAM_DIST] = "20m",      [PARAM_TEXT] = "",         [PARAM_COUNT] = "3",
		[PARAM_SEED] = "42",       [PARAM_NODE] = "",
	};

	return examples[type];
}

/* "hot, warm or cold" */
static const char *join_words(struct arena *arena, const char *const *words)
{
	const char *text = "";

	for (size_t i = 0; words[i]; i++)
		text = arena_printf(arena, "%s%s%s", text,
				    i == 0         ? ""
				    : words[i + 1] ? ", "
						   : " or ",
				    words[i]);
	return text;
}

/* A bound of a range in the unit of the type. */
static const char *print_bound(enum param_type type, double value, char buffer[QUANTITY_TEXT_MAX])
{
	if (type == PARAM_DURATION || type == PARAM_DIST)
		return quantity_print_duration((nanos)value, buffer);
	if (type == PARAM_PERCENT)
		snprintf(buffer, QUANTITY_TEXT_MAX, "%.15g%%", value * 100);
	else
		snprintf(buffer, QUANTITY_TEXT_MAX, "%.15g%s", value,
			 type == PARAM_SIZE       ? "B"
			 : type == PARAM_RATE     ? "B/s"
			 : type == PARAM_PER_TIME ? "/s"
						  : "");
	return buffer;
}

static int check_range(const struct param *row, const struct yaml_node *node, double value,
		       struct error *e)
{
	char low[QUANTITY_TEXT_MAX], high[QUANTITY_TEXT_MAX], quoted[YAML_QUOTE_MAX];

	if ((row->min == 0 && row->max == 0) || (value >= row->min && value <= row->max))
		return 0;
	yaml_quote(node->text ? node->text : row->name, quoted);
	print_bound(row->type, row->min, low);
	if (value < row->min)
		return error_set(e, ERROR_SCENARIO, node->place,
				 "'%s' is too small: '%s' must be at least %s", quoted, row->name,
				 low);
	print_bound(row->type, row->max, high);
	return error_set(e, ERROR_SCENARIO, node->place,
			 "'%s' is too large: '%s' must be at most %s", quoted, row->name, high);
}

static int load_bool(const struct yaml_node *node, bool *ret, struct error *e)
{
	char quoted[YAML_QUOTE_MAX];

	if (!yaml_is(node, "true") && !yaml_is(node, "false"))
		return error_set(e, ERROR_SCENARIO, node->place, "'%s' must be true or false",
				 yaml_quote(node->text, quoted));
	*ret = yaml_is(node, "true");
	return 0;
}

static int load_choice(const struct param *row, const struct yaml_node *node, int *ret,
		       struct arena *arena, struct error *e)
{
	const char *suggestion;
	char quoted[YAML_QUOTE_MAX];

	for (int i = 0; row->choices[i]; i++) {
		if (strcmp(row->choices[i], node->text) == 0) {
			*ret = i;
			return 0;
		}
	}
	suggestion = param_suggest(node->text, row->choices);
	yaml_quote(node->text, quoted);
	if (suggestion)
		return error_set(e, ERROR_SCENARIO, node->place,
				 "unknown %s '%s'; did you mean '%s'?", row->name, quoted,
				 suggestion);
	return error_set(e, ERROR_SCENARIO, node->place, "unknown %s '%s'; it can be %s", row->name,
			 quoted, join_words(arena, row->choices));
}

static int load_count(const struct yaml_node *node, uint32_t *ret, struct error *e)
{
	uint64_t value;
	char quoted[YAML_QUOTE_MAX];

	if (quantity_unsigned(node->text, node->place, &value, e) < 0)
		return -1;
	if (value > UINT32_MAX)
		return error_set(e, ERROR_SCENARIO, node->place, "'%s' is too large",
				 yaml_quote(node->text, quoted));
	*ret = (uint32_t)value;
	return 0;
}

union value {
	bool flag;
	int64_t integer;
	nanos duration;
	uint64_t natural;
	double number;
	int choice;
	uint32_t count;
	const char *text;
};

/* Read a scalar as the row's type; *ret_size says how many bytes of the value belong in the struct.
 */
static int read_scalar(const struct param *row, const struct yaml_node *node, struct arena *arena,
		       union value *v, size_t *ret_size, struct error *e)
{
	double checked = 0;
	int result = -1;

	switch (row->type) {
	case PARAM_BOOL:
		*ret_size = sizeof(v->flag);
		return load_bool(node, &v->flag, e);
	case PARAM_TEXT:
		*ret_size = sizeof(v->text);
		v->text = node->text;
		return 0;
	case PARAM_CHOICE:
		*ret_size = sizeof(v->choice);
		return load_choice(row, node, &v->choice, arena, e);
	case PARAM_INTEGER:
		*ret_size = sizeof(v->integer);
		result = quantity_integer(node->text, node->place, &v->integer, e);
		checked = (double)v->integer;
		break;
	case PARAM_DURATION:
		*ret_size = sizeof(v->duration);
		result = quantity_duration(node->text, node->place, &v->duration, e);
		checked = (double)v->duration;
		break;
	case PARAM_SIZE:
	case PARAM_SEED:
		*ret_size = sizeof(v->natural);
		result = row->type == PARAM_SIZE
				 ? quantity_size(node->text, node->place, &v->natural, e)
				 : quantity_unsigned(node->text, node->place, &v->natural, e);
		checked = (double)v->natural;
		break;
	case PARAM_RATE:
	case PARAM_PER_TIME:
	case PARAM_PERCENT:
	case PARAM_NUMBER:
		*ret_size = sizeof(v->number);
		result = row->type == PARAM_RATE
				 ? quantity_rate(node->text, node->place, &v->number, e)
			 : row->type == PARAM_PER_TIME
				 ? quantity_per_time(node->text, node->place, &v->number, e)
			 : row->type == PARAM_PERCENT
				 ? quantity_percent(node->text, node->place, &v->number, e)
				 : quantity_number(node->text, node->place, &v->number, e);
		checked = v->number;
		break;
	case PARAM_COUNT:
		*ret_size = sizeof(v->count);
		result = load_count(node, &v->count, e);
		checked = v->count;
		break;
	case PARAM_DIST:
	case PARAM_NODE:
		assert(!"these are no scalars");
		break;
	}
	return result < 0 ? -1 : check_range(row, node, checked, e);
}

static int load_row_dist(const struct param *row, const struct yaml_node *node, struct dist *field,
			 struct param_context *context)
{
	struct error e = {0};
	struct dist dist;

	if (dist_load(node, context, &dist) < 0)
		return -1;
	if (dist.kind == DIST_CONSTANT && check_range(row, node, dist.a, &e) < 0)
		return error_list_add(&context->errors, e.kind, e.place, "%s", e.text);
	*field = dist;
	return 0;
}

/* One value into its field; on failure the field is left alone. */
static int load_row(const struct param *row, const struct yaml_node *node, void *out,
		    struct param_context *context)
{
	void *field = (char *)out + row->offset;
	struct error e = {0};
	union value v = {0};
	size_t size = 0;

	if (row->type == PARAM_NODE) {
		*(const struct yaml_node **)field = node;
		return 0;
	}
	if (yaml_is_null(node))
		return error_list_add(&context->errors, ERROR_SCENARIO,
				      node->key ? node->key->place : node->place,
				      "'%s' has no value", row->name);
	if (row->type == PARAM_DIST)
		return load_row_dist(row, node, field, context);
	if (node->kind != YAML_KIND_SCALAR) {
		if (row->type == PARAM_DURATION && node->kind == YAML_KIND_MAP)
			return error_list_add(
				&context->errors, ERROR_SCENARIO, node->place,
				"'%s' is one duration, such as 30s; it cannot be a distribution",
				row->name);
		return error_list_add(&context->errors, ERROR_SCENARIO, node->place,
				      "'%s' must be a single value, not %s", row->name,
				      yaml_describe(node));
	}
	if (read_scalar(row, node, context->arena, &v, &size, &e) < 0)
		return error_list_add(&context->errors, e.kind, e.place, "%s", e.text);
	memcpy(field, &v, size);
	return 0;
}

static void load_preset(const struct param *row, void *out, struct param_context *context)
{
	struct error e = {0};
	struct yaml_node *node = NULL;
	int result;

	if (!row->preset || row->preset[0] == '\0')
		return;
	if (row->preset[0] == '{' || row->preset[0] == '[') {
		result = yaml_parse("preset", row->preset, strlen(row->preset), context->arena,
				    &node, &e);
		assert(result == 0);
	} else {
		node = arena_alloc(context->arena, sizeof(*node));
		node->style = YAML_STYLE_SINGLE;
		node->text = row->preset;
		node->length = strlen(row->preset);
	}
	result = load_row(row, node, out, context);
	assert(result == 0);
	(void)result;
}

void params_preset(const struct param *rows, void *out, struct param_context *context)
{
	for (; rows->name; rows++)
		load_preset(rows, out, context);
}

const char *const param_any_key[] = {NULL};

static bool known(const char *key, const struct param *rows, const char *const *also_known)
{
	if (also_known == param_any_key)
		return true;
	for (; rows->name; rows++)
		if (strcmp(rows->name, key) == 0)
			return true;
	for (; also_known && *also_known; also_known++)
		if (strcmp(*also_known, key) == 0)
			return true;
	return false;
}

/* Every key that may stand in the mapping, for suggestions. */
static const char **list_words(const struct param *rows, const char *const *also_known,
			       struct arena *arena)
{
	const char **words;
	size_t count = 0;

	for (const struct param *row = rows; row->name; row++)
		count++;
	for (const char *const *word = also_known; word && *word; word++)
		count++;
	words = arena_array(arena, count + 1, sizeof(*words));
	count = 0;
	for (const struct param *row = rows; row->name; row++)
		words[count++] = row->name;
	for (const char *const *word = also_known; word && *word; word++)
		words[count++] = *word;
	return words;
}

static int unknown_key(const struct yaml_node *key, const char *what, const char *const *words,
		       struct param_context *context)
{
	const char *suggestion = param_suggest(key->text, words);
	char quoted[YAML_QUOTE_MAX];

	yaml_quote(key->text, quoted);
	if (suggestion)
		return error_list_add(&context->errors, ERROR_SCENARIO, key->place,
				      "unknown key '%s' in %s; did you mean '%s'?", quoted, what,
				      suggestion);
	if (!words[0])
		return error_list_add(&context->errors, ERROR_SCENARIO, key->place,
				      "unknown key '%s' in %s; it has no keys", quoted, what);
	return error_list_add(&context->errors, ERROR_SCENARIO, key->place,
			      "unknown key '%s' in %s; it can have %s", quoted, what,
			      join_words(context->arena, words));
}

/* A required key that is not there, unless an unknown key was told to be that key misspelt. */
static int missing_key(const struct yaml_node *map, const char *what, const struct param *row,
		       const struct param *rows, const char *const *also_known,
		       struct param_context *context)
{
	const char *example = param_type_example(row->type);
	const char **words = list_words(rows, also_known, context->arena);
	int unknown = 0;

	for (const struct yaml_node *child = map->first; child; child = child->next) {
		const char *suggestion;

		if (known(child->key->text, rows, also_known))
			continue;
		if (++unknown > PARAM_UNKNOWN_KEYS_MAX)
			break;
		suggestion = param_suggest(child->key->text, words);
		if (suggestion && strcmp(suggestion, row->name) == 0)
			return -1;
	}
	if (row->type == PARAM_CHOICE)
		return error_list_add(&context->errors, ERROR_SCENARIO, map->place,
				      "%s needs '%s': %s", what, row->name,
				      join_words(context->arena, row->choices));
	if (*example == '\0')
		return error_list_add(&context->errors, ERROR_SCENARIO, map->place,
				      "%s needs '%s': %s", what, row->name, row->help);
	return error_list_add(&context->errors, ERROR_SCENARIO, map->place,
			      "%s needs '%s', such as %s: %s", what, row->name, row->name, example);
}

int params_load(const struct yaml_node *map, const char *what, const struct param *rows, void *out,
		struct param_context *context, const char *const *also_known)
{
	const char **words = NULL;
	int result = 0, unknown = 0;

	params_preset(rows, out, context);
	if (yaml_is_null(map))
		return error_list_add(
			&context->errors, ERROR_SCENARIO, map->key ? map->key->place : map->place,
			"%s must be a mapping of keys and values; there is nothing here", what);
	if (map->kind != YAML_KIND_MAP)
		return error_list_add(&context->errors, ERROR_SCENARIO, map->place,
				      "%s must be a mapping of keys and values, not %s", what,
				      yaml_describe(map));
	for (const struct yaml_node *child = map->first; child; child = child->next) {
		if (known(child->key->text, rows, also_known))
			continue;
		if (++unknown > PARAM_UNKNOWN_KEYS_MAX)
			break;
		words = words ? words : list_words(rows, also_known, context->arena);
		result = unknown_key(child->key, what, words, context);
	}
	for (const struct param *row = rows; row->name; row++) {
		const struct yaml_node *child = yaml_get(map, row->name);

		if (child && load_row(row, child, out, context) < 0)
			result = -1;
		if (!child && !row->preset)
			result = missing_key(map, what, row, rows, also_known, context);
	}
	return result;
}
