/* SPDX-License-Identifier: Apache-2.0 */
/* Long options: finds each word's row, checks numbers, and tells what is missing. */
#include "sim/minilepton/options.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "core/clock.h"
#include "core/param.h"

int options_number(const char *text, size_t size, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;

	if (size == 0)
		return -1;
	for (size_t i = 0; i < size; i++) {
		unsigned digit = (unsigned)(unsigned char)text[i] - '0';

		if (digit > 9 || digit > max || value > (max - digit) / 10)
			return -1;
		value = value * 10 + digit;
	}
	*ret = value;
	return 0;
}

static uint64_t row_max(const struct options_row *row)
{
	if (row->max > 0)
		return row->max;
	return row->type == OPTIONS_NANOS ? (uint64_t)INT64_MAX : UINT64_MAX;
}

static int set_number(const struct options_row *row, const char *text, char *at, struct error *e)
{
	uint64_t value, max = row_max(row);

	if (options_number(text, strlen(text), max, &value) || value < row->min)
		return error_set(e, ERROR_USAGE, NO_PLACE,
				 "--%s takes a number of %" PRIu64 " to %" PRIu64 ", not '%s'",
				 row->name, row->min, max, text);
	if (row->type == OPTIONS_NANOS)
		*(nanos *)(void *)at = (nanos)value;
	else
		*(uint64_t *)(void *)at = value;
	return 0;
}

static int set(const struct options_row *row, const char *text, bool again, void *out,
	       struct error *e)
{
	char *at = (char *)out + row->offset;
	struct options_texts *texts;

	if (again && row->type != OPTIONS_TEXTS)
		return error_set(e, ERROR_USAGE, NO_PLACE, "--%s is given twice", row->name);
	switch (row->type) {
	case OPTIONS_TEXT:
		*(const char **)(void *)at = text;
		return 0;
	case OPTIONS_TEXTS:
		texts = (struct options_texts *)(void *)at;
		if (texts->count == OPTIONS_TEXTS_MAX)
			return error_set(e, ERROR_LIMIT, NO_PLACE, "--%s is given %d times at most",
					 row->name, OPTIONS_TEXTS_MAX);
		texts->items[texts->count++] = text;
		return 0;
	case OPTIONS_NUMBER:
	case OPTIONS_NANOS:
		return set_number(row, text, at, e);
	}
	assert(false);
	return -1;
}

/* The index of the row that `name` of `size` bytes means, or -1. */
static int row_find(const struct options_row *rows, const char *name, size_t size)
{
	for (int i = 0; rows[i].name; i++)
		if (strlen(rows[i].name) == size && memcmp(rows[i].name, name, size) == 0)
			return i;
	return -1;
}

static int unknown(const struct options_row *rows, const char *word, struct error *e)
{
	const char *names[OPTIONS_ROWS_MAX + 1] = {NULL}, *near;
	size_t count = 0;

	for (; count < OPTIONS_ROWS_MAX && rows[count].name; count++)
		names[count] = rows[count].name;
	near = param_suggest(word, names);
	if (near)
		return error_set(e, ERROR_USAGE, NO_PLACE,
				 "unknown option '--%s'; did you mean '--%s'?", word, near);
	return error_set(e, ERROR_USAGE, NO_PLACE, "unknown option '--%s'", word);
}

int options_parse(const struct options_row *rows, size_t count, char *const *words, void *out,
		  struct error *e)
{
	bool given[OPTIONS_ROWS_MAX] = {false};

	for (size_t i = 0; i < count; i++) {
		const char *word = words[i], *value;
		size_t length;
		int row;

		if (strncmp(word, "--", 2) != 0)
			return error_set(e, ERROR_USAGE, NO_PLACE, "'%s' is no option", word);
		word += 2;
		length = strcspn(word, "=");
		row = row_find(rows, word, length);
		if (row < 0)
			return unknown(rows, word, e);
		if (word[length] == '=')
			value = word + length + 1;
		else if (++i < count)
			value = words[i];
		else
			return error_set(e, ERROR_USAGE, NO_PLACE, "--%s needs a value", word);
		assert(row < OPTIONS_ROWS_MAX);
		if (set(&rows[row], value, given[row], out, e))
			return -1;
		given[row] = true;
	}
	for (int i = 0; rows[i].name; i++)
		if (rows[i].required && !given[i])
			return error_set(e, ERROR_USAGE, NO_PLACE, "--%s is missing", rows[i].name);
	return 0;
}

void options_print(const struct options_row *rows, FILE *out)
{
	for (const struct options_row *row = rows; row->name; row++) {
		char left[64];

		snprintf(left, sizeof(left), "--%s %s%s", row->name, row->value,
			 row->type == OPTIONS_TEXTS ? " ..." : "");
		fprintf(out, "  %-28s %s%s\n", left, row->help, row->required ? " (needed)" : "");
	}
}
