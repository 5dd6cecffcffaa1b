/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of the operations that are hit, in strace's grammar. */
#include "core/when.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/yaml.h"

struct reader {
	const char *at;
	bool too_large;
};

static bool skip(struct reader *reader, const char *word)
{
	size_t length = strlen(word);

	if (strncmp(reader->at, word, length) != 0)
		return false;
	reader->at += length;
	return true;
}

/* A whole number above 0; false when there is none. */
static bool number(struct reader *reader, uint64_t *ret)
{
	const char *start = reader->at;
	uint64_t value = 0;

	for (; *reader->at >= '0' && *reader->at <= '9'; reader->at++) {
		value = value * 10 + (uint64_t)(*reader->at - '0');
		if (value > WHEN_MAX) {
			reader->too_large = true;
			return false;
		}
	}
	*ret = value;
	return reader->at > start && value > 0;
}

static bool parse(struct reader *reader, struct when *ret)
{
	struct when when = {.step = 1};

	if (!number(reader, &when.first))
		return false;
	when.last = when.first;
	if (skip(reader, "..")) {
		if (!number(reader, &when.last))
			return false;
	} else if (*reader->at == '+') {
		when.last = WHEN_ENDLESS;
	}
	if (skip(reader, "+") && *reader->at && !number(reader, &when.step))
		return false;
	*ret = when;
	return *reader->at == '\0';
}

int when_parse(const char *text, struct place place, struct when *ret_when, struct error *e)
{
	struct reader reader = {.at = text};
	char quoted[YAML_QUOTE_MAX];
	struct when when;

	if (!parse(&reader, &when)) {
		if (reader.too_large)
			return error_set(e, ERROR_SCENARIO, place, "'%s' counts further than %llu",
					 yaml_quote(text, quoted), WHEN_MAX);
		return error_set(e, ERROR_SCENARIO, place,
				 "'%s' says no operations; write first..last+step, counted from 1, "
				 "such as 3, 3+, 3..9 or 3..9+2",
				 yaml_quote(text, quoted));
	}
	if (when.last < when.first)
		return error_set(e, ERROR_SCENARIO, place, "'%s' ends before it begins",
				 yaml_quote(text, quoted));
	*ret_when = when;
	return 0;
}

bool when_hits(const struct when *when, uint64_t number)
{
	assert(number > 0 && when->first > 0 && when->step > 0);
	return number >= when->first && number <= when->last &&
	       (number - when->first) % when->step == 0;
}

uint64_t when_hits_among(const struct when *when, uint64_t count)
{
	uint64_t end = count < when->last ? count : when->last;

	assert(when->first > 0 && when->step > 0);
	return end < when->first ? 0 : (end - when->first) / when->step + 1;
}

const char *when_print(const struct when *when, char buffer[WHEN_TEXT_MAX])
{
	char last[24] = "", step[24] = "";

	if (when->last != WHEN_ENDLESS && when->last != when->first)
		snprintf(last, sizeof(last), "..%llu", (unsigned long long)when->last);
	if (when->step != 1)
		snprintf(step, sizeof(step), "+%llu", (unsigned long long)when->step);
	else if (when->last == WHEN_ENDLESS)
		snprintf(step, sizeof(step), "+");
	snprintf(buffer, WHEN_TEXT_MAX, "%llu%s%s", (unsigned long long)when->first, last, step);
	return buffer;
}
