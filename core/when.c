/* SPDX-License-Identifier: Apache-2.0 */
/* Reads `first[..last][+[step]]` and counts by it. */
#include "core/when.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct reader {
	const char *text, *at;
	struct place place;
	struct error *e;
};

static int wrong(const struct reader *reader, const char *at, const char *what)
{
	struct place place = reader->place;

	if (place.column)
		place.column += (uint32_t)(at - reader->text);
	return error_set(reader->e, ERROR_SCENARIO, place,
			 "'%.40s': %s; expected FIRST[..LAST][+[STEP]], like 3, 3+, 3+2, 3..7 or "
			 "3..7+2",
			 reader->text, what);
}

/* From 1 on; the place of an error is its first digit. */
static int number(struct reader *reader, const char *what, uint64_t *ret)
{
	const char *begin = reader->at;
	uint64_t value = 0;
	char text[64];

	for (; *reader->at >= '0' && *reader->at <= '9'; reader->at++)
		if (__builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (unsigned)(*reader->at - '0'), &value)) {
			snprintf(text, sizeof(text), "%s is too large", what);
			return wrong(reader, begin, text);
		}
	if (reader->at == begin)
		snprintf(text, sizeof(text), "%s is no number", what);
	else if (value == 0)
		snprintf(text, sizeof(text), "%s is 0, but they count from 1", what);
	else {
		*ret = value;
		return 0;
	}
	return wrong(reader, begin, text);
}

int when_parse(const char *text, struct place place, struct when *ret, struct error *e)
{
	struct reader reader = {.text = text, .at = text, .place = place, .e = e};
	struct when when = {.step = 1};
	const char *last;

	if (number(&reader, "the first", &when.first))
		return -1;
	when.last = when.first;
	if (strncmp(reader.at, "..", 2) == 0) {
		last = reader.at += 2;
		if (number(&reader, "the last", &when.last))
			return -1;
		if (when.last < when.first)
			return wrong(&reader, last, "the last comes before the first");
	} else if (*reader.at == '+') {
		when.last = UINT64_MAX;
	}
	if (*reader.at == '+' && *++reader.at && number(&reader, "the step", &when.step))
		return -1;
	if (*reader.at)
		return wrong(&reader, reader.at, "something follows");
	*ret = when;
	return 0;
}

bool when_includes(const struct when *when, uint64_t n)
{
	if (when->first == 0)
		return true;
	assert(when->step > 0);
	return n >= when->first && n <= when->last && (n - when->first) % when->step == 0;
}

const char *when_text(char out[WHEN_TEXT_MAX], const struct when *when)
{
	const struct when w = when->first ? *when : (struct when){1, UINT64_MAX, 1};
	int length = snprintf(out, WHEN_TEXT_MAX, "%" PRIu64, w.first);

	if (w.last == UINT64_MAX)
		length += snprintf(out + length, WHEN_TEXT_MAX - (size_t)length, "+");
	else if (w.last != w.first)
		length += snprintf(out + length, WHEN_TEXT_MAX - (size_t)length, "..%" PRIu64,
				   w.last);
	if (w.step > 1)
		snprintf(out + length, WHEN_TEXT_MAX - (size_t)length, "%s%" PRIu64,
			 w.last == UINT64_MAX ? "" : "+", w.step);
	return out;
}
