/* SPDX-License-Identifier: Apache-2.0 */
/* Errors for people: keeps the first one, prints it with the line it points at. */
#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "core/secret.h"

/* Bytes of a line worth showing; a longer one is no help to a reader. */
#define ERROR_LINE_MAX 400

int error_set(struct error *e, enum error_kind kind, struct place place, const char *format, ...)
{
	va_list arguments;
	int length;

	if (!e || e->kind != ERROR_NONE)
		return -1;
	e->kind = kind;
	e->place = place;
	va_start(arguments, format);
	length = vsnprintf(e->text, sizeof(e->text), format, arguments);
	va_end(arguments);
	/* A text too long for a line ends in dots, so that nobody takes the rest for the whole. */
	if (length >= (int)sizeof(e->text))
		memcpy(e->text + sizeof(e->text) - 4, "...", 4);
	return -1;
}

/* Read line `number` (from 1) of a file; the caller frees *ret_line. */
static int line_read(const char *path, uint32_t number, char **ret_line)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;
	ssize_t length = -1;

	if (!file)
		return -1;
	for (uint32_t i = 0; i < number; i++) {
		length = getline(&line, &room, file);
		if (length < 0)
			break;
	}
	fclose(file);
	if (length < 0 || length > ERROR_LINE_MAX) {
		free(line);
		return -1;
	}
	line[strcspn(line, "\r\n")] = '\0';
	secret_mask(line); /* what an error shows may end in a log that many read */
	*ret_line = line;
	return 0;
}

/* Columns count characters, as libyaml does: the continuation bytes of UTF-8 take no place. */
static void caret_print(const char *line, uint32_t column)
{
	uint32_t at = 1;

	for (const char *c = line; *c && at < column; c++) {
		if (((unsigned char)*c & 0xc0) == 0x80)
			continue;
		fputc(*c == '\t' ? '\t' : ' ', stderr);
		at++;
	}
	fputs("^\n", stderr);
}

/* A file's bytes go to a terminal: control characters are shown as '?', or they would drive it. */
static void line_print(const char *line)
{
	for (const char *c = line; *c; c++) {
		unsigned char byte = (unsigned char)*c;

		fputc((byte < 0x20 && byte != '\t') || byte == 0x7f ? '?' : byte, stderr);
	}
	fputc('\n', stderr);
}

void error_print(const struct error *e)
{
	const struct place *place = &e->place;
	char *line = NULL;

	if (!place->file) {
		fprintf(stderr, "drsim: error: %s\n", e->text);
		return;
	}
	if (place->line == 0) {
		fprintf(stderr, "%s: error: %s\n", place->file, e->text);
		return;
	}
	if (place->column == 0)
		fprintf(stderr, "%s:%u: error: %s\n", place->file, place->line, e->text);
	else
		fprintf(stderr, "%s:%u:%u: error: %s\n", place->file, place->line, place->column,
			e->text);
	if (line_read(place->file, place->line, &line))
		return;
	line_print(line);
	if (place->column > 0)
		caret_print(line, place->column);
	free(line);
}
