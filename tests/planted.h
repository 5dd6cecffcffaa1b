/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens that a test plants, and the search for them in everything that a run leaves. */
#ifndef TESTS_PLANTED_H
#define TESTS_PLANTED_H

#include <stddef.h>

/* Plants a token in variables of this process' environment, of those that hold credentials by
 * custom and of one with a plain name. */
void planted_environment(void);
/* How many tokens there are, and one of them: "planted-0-…". */
#define PLANTED 8
const char *planted_token(size_t number);
/* Fails when a token is in the text, or in any file below the folder; returns how many files were
 * read. */
void planted_nowhere_in(const char *where, const char *text);
size_t planted_nowhere_below(const char *folder);

#endif
