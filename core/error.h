/* SPDX-License-Identifier: Apache-2.0 */
/* Errors for people: what went wrong, where in which file, and what would be right. The first error
 * wins. */
#ifndef CORE_ERROR_H
#define CORE_ERROR_H

#include <stdbool.h>
#include <stdint.h>

/* A spot in a file a person wrote; line and column count from 1, 0 means "no place". */
struct place {
	const char *file;
	uint32_t line, column;
};

enum error_kind {
	ERROR_NONE,
	ERROR_USAGE,       /* the command line */
	ERROR_SCENARIO,    /* the scenario's text or values */
	ERROR_TARGET,      /* a target that nothing declared can match */
	ERROR_LIMIT,       /* a named limit was passed */
	ERROR_UNAVAILABLE, /* the driver, injector or target cannot do it now */
	ERROR_IO,          /* a file, pipe or disk */
	ERROR_MEMORY,
};

#define ERROR_TEXT_MAX 512

struct error {
	enum error_kind kind;
	struct place place;
	char text[ERROR_TEXT_MAX];
};

/*
 * Fill *e unless it already holds an error (the first one is the cause). `place` may be NO_PLACE.
 * Always returns -1, so that a failing function reads `return error_set(e, …);`. `e` may be NULL.
 */
int error_set(struct error *e, enum error_kind kind, struct place place, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#define NO_PLACE ((struct place){0})

/*
 * Print "file:line:column: error: text" (or "drsim: error: text" without a place) to standard
 * error, then the line of the file and a caret under the column when the file can still be read.
 */
void error_print(const struct error *e);

#endif
