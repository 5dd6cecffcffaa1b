/* SPDX-License-Identifier: Apache-2.0 */
/* Long options `--name VALUE` from a const table: where each goes, its range, and its help. */
#ifndef SIM_MINILEPTON_OPTIONS_H
#define SIM_MINILEPTON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/error.h"

#define OPTIONS_TEXTS_MAX 64 /* how often an option that repeats may be given */
#define OPTIONS_ROWS_MAX 64

enum options_type {
	OPTIONS_TEXT,   /* const char * */
	OPTIONS_TEXTS,  /* struct options_texts; may be given again */
	OPTIONS_NUMBER, /* uint64_t, decimal, without a unit */
	OPTIONS_NANOS,  /* nanos, decimal */
};

struct options_texts {
	const char *items[OPTIONS_TEXTS_MAX];
	size_t count;
};

struct options_row {
	const char *name; /* without the dashes; NULL ends the table */
	enum options_type type;
	size_t offset;
	bool required;
	uint64_t min, max; /* of a number; max 0: only the type's own limit */
	const char *value; /* how the help calls the value: "A:P" */
	const char *help;
};

/*
 * Reads `count` words into the struct at `out`; what is not given stays as it is. Texts point into
 * `words`. `--name=VALUE` is the same as `--name VALUE`. Errors: ERROR_USAGE.
 */
int options_parse(const struct options_row *rows, size_t count, char *const *words, void *out,
		  struct error *e);
/* One line an option. */
void options_print(const struct options_row *rows, FILE *out);
/* A decimal number without sign or blanks, of the first `size` bytes of `text`; -1 when it is none
 * or more than `max`. */
int options_number(const char *text, size_t size, uint64_t max, uint64_t *ret);

#endif
