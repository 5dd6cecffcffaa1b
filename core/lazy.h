/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Libraries that are loaded when they are first needed. What only some commands call brings dozens
 * of libraries along: linked, every command would load them all before its first line runs.
 *
 * How one is used: include its header (drivers/lazy/curl.h) instead of its own (<curl/curl.h>),
 * call lazy_NAME_open() where the part that needs it is opened, then call its functions as usual.
 * A library that is missing is an error of that call. It stays loaded until the program ends.
 */
#ifndef CORE_LAZY_H
#define CORE_LAZY_H

#include <stddef.h>

#include "core/error.h"

#define LAZY_SONAMES_MAX 2

struct lazy {
	const char *sonames[LAZY_SONAMES_MAX]; /* the first that is there; distributions differ */
	const char *package;                   /* the Debian package that has it */
	const char *const *names;              /* functions, in the order of the table */
	size_t count;
};

/*
 * Loads a library and fills `table`, a struct that holds nothing but pointers to the functions.
 * -1: ERROR_UNAVAILABLE says what is missing and which package has it; the table is then all NULL.
 */
int lazy_load(const struct lazy *lazy, void *table, size_t size, struct error *e);

/* For a list of functions, X(prefix, name) for each: their names, and the fields of a table. */
#define LAZY_NAME(prefix, name) #prefix #name,
#define LAZY_POINTER(prefix, name) __typeof__(prefix##name) *(name);

#endif
