/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the kernel's log, and the Xid lines in them. */
#include "core/kernel_log.h"

#include <assert.h>
#include <string.h>

#define CODE_MAX 9999 /* no Xid is near it */

/* A decimal number before `end`; moves *at behind it. */
static int take_number(const char **at, const char *end, uint64_t max, uint64_t *ret)
{
	const char *begin = *at;
	uint64_t value = 0;

	for (; *at < end && **at >= '0' && **at <= '9'; ++*at) {
		uint64_t digit = (uint64_t)(**at - '0');

		if (value > (max - digit) / 10)
			return -1;
		value = value * 10 + digit;
	}
	if (*at == begin)
		return -1;
	*ret = value;
	return 0;
}

static bool take_byte(const char **at, const char *end, char byte)
{
	if (*at == end || **at != byte)
		return false;
	++*at;
	return true;
}

int kernel_log_parse(const char *text, size_t size, struct kernel_log_record *ret)
{
	struct kernel_log_record record = {0};
	const char *at = text, *end = text + size, *newline;
	uint64_t prefix;

	/* "PREFIX,SEQUENCE,MICROSECONDS,FLAGS[,…];MESSAGE\n", then " NAME=VALUE\n" … */
	if (take_number(&at, end, UINT32_MAX, &prefix) || !take_byte(&at, end, ',') ||
	    take_number(&at, end, UINT64_MAX, &record.sequence) || !take_byte(&at, end, ',') ||
	    take_number(&at, end, UINT64_MAX, &record.microseconds) || at == end ||
	    (*at != ',' && *at != ';'))
		return -1;
	newline = memchr(at, '\n', (size_t)(end - at));
	if (newline)
		end = newline;
	at = memchr(at, ';', (size_t)(end - at));
	if (!at)
		return -1;
	record.priority = (uint32_t)(prefix & 7);
	record.facility = (uint32_t)(prefix >> 3);
	record.message = at + 1;
	record.message_size = (size_t)(end - at - 1);
	*ret = record;
	return 0;
}

/* ---- Xid ---- */

static const char *find(const char *text, const char *end, const char *wanted)
{
	return memmem(text, (size_t)(end - text), wanted, strlen(wanted));
}

static bool is_address(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') ||
	       c == ':';
}

/* What stands between "(" or "(PCI:" and ")". */
static bool take_pci(const char **at, const char *end, char ret[KERNEL_LOG_PCI_SIZE])
{
	size_t size = 0;

	if (end - *at >= 4 && memcmp(*at, "PCI:", 4) == 0)
		*at += 4;
	for (; *at < end && is_address(**at); ++*at) {
		if (size + 1 == KERNEL_LOG_PCI_SIZE)
			return false;
		ret[size++] = **at;
	}
	ret[size] = '\0';
	return size > 0 && take_byte(at, end, ')');
}

bool kernel_log_is_xid(const char *message, size_t size, struct kernel_log_xid *ret)
{
	static const char begin[] = "NVRM: Xid (";
	struct kernel_log_xid xid = {.pci = ""};
	const char *end = message + size, *at = find(message, end, begin);
	uint64_t code;

	if (!at)
		return false;
	at += strlen(begin);
	if (!take_pci(&at, end, xid.pci))
		return false;
	/* Anything may stand before the code; the comma behind it is what makes it one. */
	while ((at = find(at, end, ": ")) != NULL) {
		at += 2;
		if (take_number(&at, end, CODE_MAX, &code) == 0 && take_byte(&at, end, ','))
			break;
	}
	if (!at)
		return false;
	xid.code = (uint32_t)code;
	while (at < end && *at == ' ')
		at++;
	xid.detail = at;
	xid.detail_size = (size_t)(end - at);
	*ret = xid;
	return true;
}

/* ---- streams ---- */

static void take_line(struct kernel_log_stream *stream,
		      void (*each)(void *self, const struct kernel_log_record *record), void *self)
{
	struct kernel_log_record record;
	size_t size = stream->size;

	stream->size = 0;
	/* A line that begins with a blank is of the dictionary of the record before it. */
	if (size == 0 || stream->line[0] == ' ')
		return;
	if (kernel_log_parse(stream->line, size, &record) == 0)
		each(self, &record);
	else
		stream->refused++;
}

void kernel_log_feed(struct kernel_log_stream *stream, const char *bytes, size_t size,
		     void (*each)(void *self, const struct kernel_log_record *record), void *self)
{
	const char *end = bytes + size;

	while (bytes < end) {
		const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));
		size_t piece = (size_t)((newline ? newline : end) - bytes);

		if (stream->skipping || piece > sizeof(stream->line) - stream->size) {
			stream->refused += !stream->skipping;
			stream->skipping = true;
			stream->size = 0;
		} else {
			memcpy(stream->line + stream->size, bytes, piece);
			stream->size += piece;
		}
		if (!newline)
			return;
		if (!stream->skipping)
			take_line(stream, each, self);
		stream->skipping = false;
		bytes = newline + 1;
	}
}
