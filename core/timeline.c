/* SPDX-License-Identifier: Apache-2.0 */
/* Writes events.jsonl: one line per event, keys in the order of the calls, numbers that read back
 * equal. */
#include "core/timeline.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

size_t real_text(char buffer[REAL_TEXT_MAX], double value)
{
	/*
	 * 15 digits hold every shorter decimal (%g drops its zeros), 17 hold every double. Below
	 * the normal range that is not so, and each length is tried.
	 */
	int digits = fabs(value) < 1e-290 ? 1 : 15;
	int length = 4;

	if (!isfinite(value)) {
		memcpy(buffer, "null", 5);
		return 4;
	}
	for (; digits <= 17; digits++) {
		length = snprintf(buffer, REAL_TEXT_MAX, "%.*g", digits, value);
		if (strtod(buffer, NULL) == value) /* style: allow */
			break;
	}
	assert(length > 0);
	assert(length < REAL_TEXT_MAX);
	return (size_t)length;
}

size_t utf8_length(const unsigned char *s)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t length = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if (length == 1)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	if (s[0] == 0xe0)
		low = 0xa0; /* overlong */
	else if (s[0] == 0xed)
		high = 0x9f; /* surrogates */
	else if (s[0] == 0xf0)
		low = 0x90; /* overlong */
	else if (s[0] == 0xf4)
		high = 0x8f; /* past U+10FFFF */
	for (size_t i = 1; i < length; i++, low = 0x80, high = 0xbf)
		if (s[i] < low || s[i] > high)
			return 0;
	return length;
}

/* What stands for the character at `s`, in `out`; the number of bytes of `s` it stands for. */
static size_t escape_one(char out[8], const unsigned char *s)
{
	static const char special[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
	const char *found = memchr(special, *s, sizeof(special) - 1);
	size_t length = utf8_length(s);

	if (found)
		snprintf(out, 8, "\\%c", letter[found - special]);
	else if (*s < 0x20 || *s == 0x7f)
		snprintf(out, 8, "\\u%04x", *s);
	else if (length == 0)
		snprintf(out, 8, REPLACEMENT);
	else
		snprintf(out, 8, "%.*s", (int)length, (const char *)s);
	return length > 0 ? length : 1;
}

size_t json_escape(char *out, size_t room, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t length = 0;

	while (*s) {
		char one[8] = {(char)*s};
		size_t bytes;

		/* Nearly every byte is plain; only the others take the long way. */
		if (*s >= 0x20 && *s < 0x7f && *s != '"' && *s != '\\')
			s++;
		else
			s += escape_one(one, s);
		bytes = strlen(one);
		if (length + bytes >= room)
			return SIZE_MAX;
		memcpy(out + length, one, bytes);
		length += bytes;
	}
	if (length >= room)
		return SIZE_MAX;
	out[length] = '\0';
	return length;
}

int timeline_open(struct timeline *timeline, const char *path, struct error *e)
{
	int fd, reason;

	*timeline = (struct timeline){0};
	if (!path)
		return 0;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		return error_set(e, ERROR_IO, NO_PLACE, "cannot create %s: %s", path,
				 strerror(errno));
	timeline->file = fdopen(fd, "w");
	if (!timeline->file) {
		reason = errno;
		close(fd);
		return error_set(e, ERROR_IO, NO_PLACE, "cannot open %s: %s", path,
				 strerror(reason));
	}
	return 0;
}

/* The first reason is the one to tell. */
static void fail(struct timeline *timeline)
{
	if (!timeline->failed)
		timeline->reason = errno;
	timeline->failed = true;
}

int timeline_close(struct timeline *timeline, struct error *e)
{
	assert(!timeline->open);
	if (!timeline->file)
		return 0;
	if (fflush(timeline->file) || fsync(fileno(timeline->file)))
		fail(timeline);
	if (fclose(timeline->file))
		fail(timeline);
	timeline->file = NULL;
	if (timeline->failed)
		return error_set(e, ERROR_IO, NO_PLACE, "the timeline could not be written: %s",
				 strerror(timeline->reason));
	return 0;
}

static void put(struct timeline *timeline, const char *bytes, size_t length)
{
	assert(timeline->length + length < TIMELINE_LINE_MAX);
	memcpy(timeline->line + timeline->length, bytes, length);
	timeline->length += length;
}

static void put_text(struct timeline *timeline, const char *value)
{
	size_t length;

	if (!value) {
		put(timeline, "null", 4);
		return;
	}
	put(timeline, "\"", 1);
	length = json_escape(timeline->line + timeline->length,
			     TIMELINE_LINE_MAX - timeline->length, value);
	assert(length != SIZE_MAX);
	timeline->length += length;
	put(timeline, "\"", 1);
}

static void put_int(struct timeline *timeline, int64_t value)
{
	char text[REAL_TEXT_MAX];

	put(timeline, text, (size_t)snprintf(text, sizeof(text), "%" PRId64, value));
}

/* `,"key":`; keys are literals of the program, they need no escape. */
static bool key_begin(struct timeline *timeline, const char *key)
{
	if (!timeline->file)
		return false;
	assert(timeline->open);
	put(timeline, ",\"", 2);
	put(timeline, key, strlen(key));
	put(timeline, "\":", 2);
	return true;
}

void timeline_begin(struct timeline *timeline, nanos t, const char *event)
{
	if (!timeline->file)
		return;
	assert(!timeline->open);
	assert(t >= timeline->last);
	assert(t != NANOS_NEVER);
	timeline->open = true;
	timeline->last = t;
	timeline->length = 0;
	put(timeline, "{\"seq\":", 7);
	put_int(timeline, (int64_t)timeline->seq++);
	put(timeline, ",\"t_ns\":", 8);
	put_int(timeline, t);
	timeline_text(timeline, "event", event);
}

void timeline_int(struct timeline *timeline, const char *key, int64_t value)
{
	if (key_begin(timeline, key))
		put_int(timeline, value);
}

void timeline_nanos(struct timeline *timeline, const char *key, nanos value)
{
	if (value == NANOS_NEVER)
		timeline_null(timeline, key);
	else
		timeline_int(timeline, key, value);
}

void timeline_real(struct timeline *timeline, const char *key, double value)
{
	char text[REAL_TEXT_MAX];

	if (key_begin(timeline, key))
		put(timeline, text, real_text(text, value));
}

void timeline_bool(struct timeline *timeline, const char *key, bool value)
{
	if (key_begin(timeline, key))
		put(timeline, value ? "true" : "false", value ? 4 : 5);
}

void timeline_null(struct timeline *timeline, const char *key)
{
	if (key_begin(timeline, key))
		put(timeline, "null", 4);
}

void timeline_text(struct timeline *timeline, const char *key, const char *value)
{
	if (key_begin(timeline, key))
		put_text(timeline, value);
}

void timeline_texts(struct timeline *timeline, const char *key, const char *const *values,
		    size_t count)
{
	if (!key_begin(timeline, key))
		return;
	put(timeline, "[", 1);
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			put(timeline, ",", 1);
		put_text(timeline, values[i]);
	}
	put(timeline, "]", 1);
}

void timeline_end(struct timeline *timeline)
{
	if (!timeline->file)
		return;
	assert(timeline->open);
	put(timeline, "}\n", 2);
	timeline->open = false;
	/* After a failed write nothing more is tried: a hole in the middle would be worse than a
	 * cut tail. */
	if (timeline->failed)
		return;
	errno = 0;
	if (fwrite(timeline->line, 1, timeline->length, timeline->file) != timeline->length)
		fail(timeline);
}
