/* SPDX-License-Identifier: Apache-2.0 */
/* Reading distributions: a constant, a named distribution with its parameters, or a file of
 * observed values. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/param.h"

/* The parameters as they are written; each distribution fills its two. */
struct dist_form {
	nanos a, b;
	double shape;
};

#define FORM(field) offsetof(struct dist_form, field)
#define LONGEST ((double)PARAM_DURATION_MAX)

static const struct param uniform_rows[] = {
	{"from", PARAM_DURATION, FORM(a), NULL, 0, 0, NULL, "Shortest value."},
	{"to", PARAM_DURATION, FORM(b), NULL, 0, 0, NULL, "Longest value."},
	PARAMS_END,
};
static const struct param exponential_rows[] = {
	{"mean", PARAM_DURATION, FORM(a), NULL, 1, LONGEST, NULL, "Mean."},
	PARAMS_END,
};
static const struct param lognormal_rows[] = {
	{"median", PARAM_DURATION, FORM(a), NULL, 1, LONGEST, NULL, "Median."},
	{"sigma", PARAM_NUMBER, FORM(shape), NULL, 0, 10, NULL,
	 "Standard deviation of the logarithm, without unit."},
	PARAMS_END,
};
static const struct param weibull_rows[] = {
	{"scale", PARAM_DURATION, FORM(a), NULL, 1, LONGEST, NULL, "Scale."},
	{"shape", PARAM_NUMBER, FORM(shape), NULL, 0.05, 100, NULL, "Shape, without unit."},
	PARAMS_END,
};
static const struct param normal_rows[] = {
	{"mean", PARAM_DURATION, FORM(a), NULL, 0, 0, NULL, "Mean."},
	{"sigma", PARAM_DURATION, FORM(b), NULL, 0, 0, NULL,
	 "Standard deviation; draws below 0 are taken as 0."},
	PARAMS_END,
};
static const struct param pareto_rows[] = {
	{"min", PARAM_DURATION, FORM(a), NULL, 1, LONGEST, NULL, "Smallest value."},
	{"alpha", PARAM_NUMBER, FORM(shape), NULL, 0.05, 100, NULL, "Tail index, without unit."},
	PARAMS_END,
};

static const struct {
	const char *name, *what;
	enum dist_kind kind;
	const struct param *rows;
} dist_forms[] = {
	{"uniform", "uniform", DIST_UNIFORM, uniform_rows},
	{"exponential", "exponential", DIST_EXPONENTIAL, exponential_rows},
	{"lognormal", "lognormal", DIST_LOGNORMAL, lognormal_rows},
	{"weibull", "weibull", DIST_WEIBULL, weibull_rows},
	{"normal", "normal", DIST_NORMAL, normal_rows},
	{"pareto", "pareto", DIST_PARETO, pareto_rows},
};
const char *const dist_names[] = {"uniform", "exponential", "lognormal", "weibull",
				  "normal",  "pareto",      "empirical", NULL};

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* One value with its unit a line; blank lines and lines that begin with # are skipped. `text` is
 * cut up. */
static int read_values(const char *path, char *text, struct param_context *context,
		       struct dist *ret)
{
	double *values = NULL;
	size_t count = 0, capacity = 0;
	struct place place = {path, 0, 1};
	struct error e = {0};

	for (char *line = text, *next; line; line = next) {
		char *end = strchr(line, '\n');
		nanos value;

		next = end ? end + 1 : NULL;
		end = end ? end : line + strlen(line);
		while (end > line && strchr(" \t\r", end[-1]))
			end--;
		*end = '\0';
		place.line++;
		if (*line == '\0' || *line == '#')
			continue;
		if (count == PARAM_EMPIRICAL_VALUES_MAX)
			return error_list_add(&context->errors, ERROR_LIMIT, place,
					      "more than %d values", PARAM_EMPIRICAL_VALUES_MAX);
		if (quantity_duration(line, place, &value, &e) < 0)
			return error_list_add(&context->errors, e.kind, e.place, "%s", e.text);
		values = arena_grow(context->arena, values, count, &capacity, sizeof(*values));
		values[count++] = (double)value;
	}
	if (count == 0)
		return error_list_add(&context->errors, ERROR_SCENARIO, (struct place){path, 1, 1},
				      "there are no values in it; one duration a line is expected");
	qsort(values, count, sizeof(*values), compare_doubles);
	*ret = (struct dist){.kind = DIST_EMPIRICAL, .values = values, .count = count};
	return 0;
}

const char *param_file(struct param_context *context, const struct yaml_node *node)
{
	char quoted[YAML_QUOTE_MAX];

	if (!context->folder) {
		error_list_add(&context->errors, ERROR_SCENARIO, node->place,
			       "the file '%s' cannot be read: this scenario is not read from a "
			       "file",
			       yaml_quote(node->text, quoted));
		return NULL;
	}
	if (node->text[0] == '/' || !*context->folder)
		return node->text;
	return arena_printf(context->arena, "%s/%s", context->folder, node->text);
}

static int load_empirical(const struct yaml_node *node, struct param_context *context,
			  struct dist *ret)
{
	const char *path;
	char *text, quoted[YAML_QUOTE_MAX];
	size_t size;
	struct error e = {0};

	if (node->kind != YAML_KIND_SCALAR || node->length == 0)
		return error_list_add(
			&context->errors, ERROR_SCENARIO, node->place,
			"'empirical' takes the name of a file with one duration a line");
	path = param_file(context, node);
	if (!path)
		return -1;
	if (yaml_read_file(path, PARAM_EMPIRICAL_FILE_MAX, context->arena, &text, &size, &e) < 0)
		return error_list_add(&context->errors, e.kind, node->place, "'%s': %s",
				      yaml_quote(path, quoted), e.text);
	if (strlen(text) != size)
		return error_list_add(&context->errors, ERROR_SCENARIO, node->place,
				      "'%s' is not a text file", yaml_quote(path, quoted));
	return read_values(path, text, context, ret);
}

static int load_form(size_t which, const struct yaml_node *node, struct param_context *context,
		     struct dist *ret)
{
	struct dist_form form = {0};
	enum dist_kind kind = dist_forms[which].kind;

	if (params_load(node, dist_forms[which].what, dist_forms[which].rows, &form, context,
			NULL) < 0)
		return -1;
	if (kind == DIST_UNIFORM && form.a > form.b)
		return error_list_add(&context->errors, ERROR_SCENARIO,
				      yaml_get(node, "from")->place, "'from' is after 'to'");
	*ret = (struct dist){.kind = kind,
			     .a = (double)form.a,
			     .b = kind == DIST_UNIFORM || kind == DIST_NORMAL ? (double)form.b
									      : form.shape};
	return 0;
}

int dist_load(const struct yaml_node *node, struct param_context *context, struct dist *ret)
{
	const struct yaml_node *only = node->first;
	const char *suggestion;
	struct error e = {0};
	nanos value;
	char quoted[YAML_QUOTE_MAX];

	if (node->kind == YAML_KIND_SCALAR) {
		if (quantity_duration(node->text, node->place, &value, &e) < 0)
			return error_list_add(&context->errors, e.kind, e.place, "%s", e.text);
		*ret = (struct dist){.kind = DIST_CONSTANT, .a = (double)value, .exact = value};
		return 0;
	}
	if (node->kind != YAML_KIND_MAP || node->count != 1)
		return error_list_add(&context->errors, ERROR_SCENARIO, node->place,
				      "a duration such as 20m or one distribution such as "
				      "{lognormal: {median: 20m, sigma: 0.3}} is expected here");
	if (yaml_is(only->key, "empirical"))
		return load_empirical(only, context, ret);
	for (size_t i = 0; i < sizeof(dist_forms) / sizeof(dist_forms[0]); i++)
		if (yaml_is(only->key, dist_forms[i].name))
			return load_form(i, only, context, ret);
	suggestion = param_suggest(only->key->text, dist_names);
	return error_list_add(
		&context->errors, ERROR_SCENARIO, only->key->place,
		"unknown distribution '%s'; %s%s%s", yaml_quote(only->key->text, quoted),
		suggestion ? "did you mean '" : "there are ",
		suggestion
			? suggestion
			: "uniform, exponential, lognormal, weibull, normal, pareto and empirical",
		suggestion ? "'?" : "");
}
