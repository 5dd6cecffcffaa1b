/* SPDX-License-Identifier: Apache-2.0 */
/* Checking a tree against a JSON Schema. */
#include "tests/json_schema.h"

#include <check.h>
#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct check {
	const struct yaml_node *root; /* of the schema */
	char *why;                    /* NULL: nobody asks */
};

static bool valid(const struct check *check, const struct yaml_node *schema,
		  const struct yaml_node *node);

static bool breaks(const struct check *check, const struct yaml_node *node, const char *rule,
		   const char *detail)
{
	if (check->why)
		snprintf(check->why, JSON_SCHEMA_WHY_MAX, "%u:%u: %s %.200s", node->place.line,
			 node->place.column, rule, detail ? detail : "");
	return false;
}

/* ---- types, as YAML 1.2 and JSON have them ---- */

static bool reads_as(const char *pattern, const char *text)
{
	regex_t regex;
	bool match;

	ck_assert_msg(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) == 0, "pattern %s",
		      pattern);
	match = regexec(&regex, text, 0, NULL, 0) == 0;
	regfree(&regex);
	return match;
}

static const char *type_of(const struct yaml_node *node)
{
	if (node->kind != YAML_KIND_SCALAR)
		return node->kind == YAML_KIND_LIST ? "array" : "object";
	if (node->style != YAML_STYLE_PLAIN)
		return "string";
	if (yaml_is_null(node))
		return "null";
	if (yaml_is(node, "true") || yaml_is(node, "false"))
		return "boolean";
	if (!strchr("+-.0123456789", node->text[0]))
		return "string";
	if (reads_as("^[-+]?[0-9]+$", node->text))
		return "integer";
	if (reads_as("^[-+]?(\\.[0-9]+|[0-9]+(\\.[0-9]*)?)([eE][-+]?[0-9]+)?$", node->text))
		return "number";
	return "string";
}

static bool is_number(const char *type)
{
	return strcmp(type, "integer") == 0 || strcmp(type, "number") == 0;
}

static bool has_type(const struct yaml_node *node, const char *wanted)
{
	const char *type = type_of(node);

	if (strcmp(wanted, "integer") == 0 && strcmp(type, "number") == 0) {
		double value = strtod(node->text, NULL);

		return value == floor(value); /* 1.0 is an integer */
	}
	return strcmp(type, wanted) == 0 || (strcmp(wanted, "number") == 0 && is_number(type));
}

static bool equal(const struct yaml_node *a, const struct yaml_node *b)
{
	const char *of_a = type_of(a), *of_b = type_of(b);

	ck_assert_msg(a->kind == YAML_KIND_SCALAR && b->kind == YAML_KIND_SCALAR,
		      "lists and mappings are not compared");
	if (is_number(of_a) && is_number(of_b))
		return strtod(a->text, NULL) == strtod(b->text, NULL);
	return strcmp(of_a, of_b) == 0 && strcmp(a->text, b->text) == 0;
}

/* ---- keywords ---- */

typedef bool keyword_fn(const struct check *check, const struct yaml_node *schema,
			const struct yaml_node *rule, const struct yaml_node *node);

static bool of_type(const struct check *check, const struct yaml_node *schema,
		    const struct yaml_node *rule, const struct yaml_node *node)
{
	(void)schema;
	if (rule->kind == YAML_KIND_SCALAR)
		return has_type(node, rule->text) || breaks(check, node, "type", rule->text);
	for (const struct yaml_node *item = rule->first; item; item = item->next)
		if (has_type(node, item->text))
			return true;
	return breaks(check, node, "type", rule->first->text);
}

static bool in_enum(const struct check *check, const struct yaml_node *schema,
		    const struct yaml_node *rule, const struct yaml_node *node)
{
	(void)schema;
	if (node->kind != YAML_KIND_SCALAR)
		return breaks(check, node, "enum", NULL);
	if (rule->kind == YAML_KIND_SCALAR) /* const */
		return equal(rule, node) || breaks(check, node, "const", rule->text);
	for (const struct yaml_node *item = rule->first; item; item = item->next)
		if (equal(item, node))
			return true;
	return breaks(check, node, "enum", node->text);
}

static bool in_range(const struct check *check, const struct yaml_node *schema,
		     const struct yaml_node *rule, const struct yaml_node *node)
{
	double limit = strtod(rule->text, NULL), value;
	const char *name = rule->key->text;
	bool good;

	(void)schema;
	if (!is_number(type_of(node)))
		return true;
	value = strtod(node->text, NULL);
	good = strcmp(name, "minimum") == 0   ? value >= limit
	       : strcmp(name, "maximum") == 0 ? value <= limit
					      : value > limit;
	return good || breaks(check, node, name, rule->text);
}

/* Bytes stand for characters: what drsim limits is longer than any text in question. */
static bool in_size(const struct check *check, const struct yaml_node *schema,
		    const struct yaml_node *rule, const struct yaml_node *node)
{
	const char *name = rule->key->text;
	size_t limit = strtoul(rule->text, NULL, 10), size = node->count;
	enum yaml_kind of = strstr(name, "Items")        ? YAML_KIND_LIST
			    : strstr(name, "Properties") ? YAML_KIND_MAP
							 : YAML_KIND_SCALAR;
	bool good;

	(void)schema;
	if (node->kind != of || (of == YAML_KIND_SCALAR && strcmp(type_of(node), "string") != 0))
		return true;
	if (of == YAML_KIND_SCALAR)
		size = node->length;
	good = strncmp(name, "min", 3) == 0 ? size >= limit : size <= limit;
	return good || breaks(check, node, name, rule->text);
}

static bool matches(const struct check *check, const struct yaml_node *schema,
		    const struct yaml_node *rule, const struct yaml_node *node)
{
	(void)schema;
	if (strcmp(type_of(node), "string") != 0)
		return true;
	return reads_as(rule->text, node->text) || breaks(check, node, "pattern", node->text);
}

static bool is_unique(const struct check *check, const struct yaml_node *schema,
		      const struct yaml_node *rule, const struct yaml_node *node)
{
	(void)schema;
	if (!yaml_is(rule, "true") || node->kind != YAML_KIND_LIST)
		return true;
	for (const struct yaml_node *a = node->first; a; a = a->next)
		for (const struct yaml_node *b = a->next; b; b = b->next)
			if (a->kind == YAML_KIND_SCALAR && b->kind == YAML_KIND_SCALAR &&
			    equal(a, b))
				return breaks(check, b, "uniqueItems", b->text);
	return true;
}

static bool has_required(const struct check *check, const struct yaml_node *schema,
			 const struct yaml_node *rule, const struct yaml_node *node)
{
	(void)schema;
	if (node->kind != YAML_KIND_MAP)
		return true;
	for (const struct yaml_node *name = rule->first; name; name = name->next)
		if (!yaml_get(node, name->text))
			return breaks(check, node, "required", name->text);
	return true;
}

static bool has_dependent(const struct check *check, const struct yaml_node *schema,
			  const struct yaml_node *rule, const struct yaml_node *node)
{
	for (const struct yaml_node *names = rule->first; names; names = names->next)
		if (yaml_get(node, names->key->text) && !has_required(check, schema, names, node))
			return false;
	return true;
}

static bool has_properties(const struct check *check, const struct yaml_node *schema,
			   const struct yaml_node *rule, const struct yaml_node *node)
{
	(void)schema;
	if (node->kind != YAML_KIND_MAP)
		return true;
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		const struct yaml_node *property = yaml_get(rule, child->key->text);

		if (property && !valid(check, property, child))
			return false;
	}
	return true;
}

static bool has_others(const struct check *check, const struct yaml_node *schema,
		       const struct yaml_node *rule, const struct yaml_node *node)
{
	const struct yaml_node *known = yaml_get(schema, "properties");

	if (node->kind != YAML_KIND_MAP)
		return true;
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		if (known && yaml_get(known, child->key->text))
			continue;
		if (rule->kind == YAML_KIND_SCALAR && yaml_is(rule, "false"))
			return breaks(check, child->key, "additionalProperties", child->key->text);
		if (rule->kind == YAML_KIND_MAP && !valid(check, rule, child))
			return false;
	}
	return true;
}

static bool has_names(const struct check *check, const struct yaml_node *schema,
		      const struct yaml_node *rule, const struct yaml_node *node)
{
	(void)schema;
	if (node->kind != YAML_KIND_MAP)
		return true;
	for (const struct yaml_node *child = node->first; child; child = child->next)
		if (!valid(check, rule, child->key))
			return breaks(check, child->key, "propertyNames", child->key->text);
	return true;
}

static bool has_items(const struct check *check, const struct yaml_node *schema,
		      const struct yaml_node *rule, const struct yaml_node *node)
{
	(void)schema;
	if (node->kind != YAML_KIND_LIST)
		return true;
	for (const struct yaml_node *item = node->first; item; item = item->next)
		if (!valid(check, rule, item))
			return false;
	return true;
}

/* allOf, anyOf, oneOf. */
static bool of_several(const struct check *check, const struct yaml_node *schema,
		       const struct yaml_node *rule, const struct yaml_node *node)
{
	const struct check silent = {.root = check->root};
	const char *name = rule->key->text;
	size_t count = 0;

	(void)schema;
	for (const struct yaml_node *item = rule->first; item; item = item->next)
		count += valid(&silent, item, node);
	if (strcmp(name, "allOf") == 0   ? count == rule->count
	    : strcmp(name, "anyOf") == 0 ? count > 0
					 : count == 1)
		return true;
	return breaks(check, node, name, NULL);
}

static bool is_not(const struct check *check, const struct yaml_node *schema,
		   const struct yaml_node *rule, const struct yaml_node *node)
{
	const struct check silent = {.root = check->root};

	(void)schema;
	return !valid(&silent, rule, node) || breaks(check, node, "not", NULL);
}

static const struct yaml_node *follow(const struct yaml_node *root, const struct yaml_node *rule)
{
	static const char begin[] = "#/$defs/";
	const struct yaml_node *there = NULL;

	if (strncmp(rule->text, begin, strlen(begin)) == 0)
		there = yaml_get(yaml_get(root, "$defs"), rule->text + strlen(begin));
	ck_assert_msg(there != NULL, "a reference to nothing: %s", rule->text);
	return there;
}

static bool keeps_reference(const struct check *check, const struct yaml_node *schema,
			    const struct yaml_node *rule, const struct yaml_node *node)
{
	(void)schema;
	return valid(check, follow(check->root, rule), node);
}

/* What stands inside a keyword: nothing, a schema, a list of them, a mapping to them. */
enum inside {
	INSIDE_NOTHING,
	INSIDE_SCHEMA,
	INSIDE_LIST,
	INSIDE_MAP
};

/* `keep` NULL: an annotation. */
static const struct keyword {
	const char *name;
	enum inside inside;
	keyword_fn *keep;
} keywords[] = {
	{"$schema", INSIDE_NOTHING, NULL},
	{"$id", INSIDE_NOTHING, NULL},
	{"$defs", INSIDE_MAP, NULL},
	{"title", INSIDE_NOTHING, NULL},
	{"description", INSIDE_NOTHING, NULL},
	{"default", INSIDE_NOTHING, NULL},
	{"examples", INSIDE_NOTHING, NULL},
	{"$ref", INSIDE_NOTHING, keeps_reference},
	{"type", INSIDE_NOTHING, of_type},
	{"const", INSIDE_NOTHING, in_enum},
	{"enum", INSIDE_NOTHING, in_enum},
	{"minimum", INSIDE_NOTHING, in_range},
	{"maximum", INSIDE_NOTHING, in_range},
	{"exclusiveMinimum", INSIDE_NOTHING, in_range},
	{"minLength", INSIDE_NOTHING, in_size},
	{"maxLength", INSIDE_NOTHING, in_size},
	{"minItems", INSIDE_NOTHING, in_size},
	{"maxItems", INSIDE_NOTHING, in_size},
	{"minProperties", INSIDE_NOTHING, in_size},
	{"maxProperties", INSIDE_NOTHING, in_size},
	{"pattern", INSIDE_NOTHING, matches},
	{"uniqueItems", INSIDE_NOTHING, is_unique},
	{"required", INSIDE_NOTHING, has_required},
	{"dependentRequired", INSIDE_NOTHING, has_dependent},
	{"properties", INSIDE_MAP, has_properties},
	{"additionalProperties", INSIDE_SCHEMA, has_others},
	{"propertyNames", INSIDE_SCHEMA, has_names},
	{"items", INSIDE_SCHEMA, has_items},
	{"allOf", INSIDE_LIST, of_several},
	{"anyOf", INSIDE_LIST, of_several},
	{"oneOf", INSIDE_LIST, of_several},
	{"not", INSIDE_SCHEMA, is_not},
};

static const struct keyword *find(const char *name)
{
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
		if (strcmp(keywords[i].name, name) == 0)
			return &keywords[i];
	ck_abort_msg("the schema has a keyword that this checker does not know: %s", name);
	return NULL;
}

static bool valid(const struct check *check, const struct yaml_node *schema,
		  const struct yaml_node *node)
{
	if (schema->kind == YAML_KIND_SCALAR) /* true: anything; false: nothing */
		return yaml_is(schema, "true") || breaks(check, node, "false", NULL);
	for (const struct yaml_node *rule = schema->first; rule; rule = rule->next) {
		const struct keyword *keyword = find(rule->key->text);

		if (keyword->keep && !keyword->keep(check, schema, rule, node))
			return false;
	}
	return true;
}

/* ---- the schema itself ---- */

static size_t check_inside(const struct yaml_node *root, const struct yaml_node *schema)
{
	size_t count = 1;

	if (schema->kind == YAML_KIND_SCALAR) {
		ck_assert(yaml_is(schema, "true") || yaml_is(schema, "false"));
		return 0;
	}
	ck_assert_int_eq(schema->kind, YAML_KIND_MAP);
	for (const struct yaml_node *rule = schema->first; rule; rule = rule->next) {
		const struct keyword *keyword = find(rule->key->text);

		if (keyword->keep == keeps_reference)
			follow(root, rule);
		if (keyword->inside == INSIDE_SCHEMA)
			count += check_inside(root, rule);
		else if (keyword->inside != INSIDE_NOTHING)
			for (const struct yaml_node *item = rule->first; item; item = item->next)
				count += check_inside(root, item);
	}
	return count;
}

size_t json_schema_check(const struct yaml_node *schema)
{
	const struct yaml_node *dialect = yaml_get(schema, "$schema");

	ck_assert_ptr_nonnull(dialect);
	ck_assert_str_eq(dialect->text, "https://json-schema.org/draft/2020-12/schema");
	return check_inside(schema, schema);
}

bool json_schema_valid(const struct yaml_node *schema, const struct yaml_node *instance,
		       char why[JSON_SCHEMA_WHY_MAX])
{
	const struct check check = {.root = schema, .why = why};

	why[0] = '\0';
	return valid(&check, schema, instance);
}
