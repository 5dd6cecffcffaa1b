/* SPDX-License-Identifier: Apache-2.0 */
/* Any program run by a test to its end: exit code and what it said. */
#ifndef TESTS_SPAWNED_H
#define TESTS_SPAWNED_H

#include <stdbool.h>
#include <stddef.h>

struct spawned {
	int code;        /* exit code, 128 + the signal's number, 127: it could not be started */
	char *out, *err; /* 0-terminated, for free() */
};

/* The words end with NULL; the first is looked for in PATH. Standard input is empty. */
struct spawned spawned_run(const char *const *words);
#define SPAWN(...) spawned_run((const char *const[]){__VA_ARGS__, NULL})
void spawned_free(struct spawned *spawned);
/* Is there a program of this name in PATH? If not, says `skipped: NAME is not installed: WHAT`. */
bool spawned_have(const char *name, const char *what);

/* Opens a pseudo terminal of so many columns (0: it does not say), runs the words with standard
 * error and, unless `piped`, standard output on it. `err` is what came on the terminal, `out` what
 * was piped. */
struct spawned spawned_on_terminal(const char *const *words, int columns, bool piped);

#endif
