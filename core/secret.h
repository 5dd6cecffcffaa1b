/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials: found where a person wrote one into a scenario, and hidden where a line is shown.
 * What is found is what its form or its name gives away; a secret under a plain name cannot be
 * told from any other text.
 */
#ifndef CORE_SECRET_H
#define CORE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/* A part of a text that is a credential. */
struct secret {
	size_t at, length;
	const char *what; /* "a URL with a password" */
};

/*
 * The first credential that its form alone gives away: the password or a signing parameter of a
 * URL, an Authorization header, a private key, a token of a known service. What stands for a
 * variable, ${env:NAME}, is none.
 */
bool secret_find(const char *text, struct secret *ret);
/* The same of one word of a command, in which the names of options, headers and assignments tell
 * more: --password=x, "X-Api-Key: x", PGPASSWORD=x. */
bool secret_find_word(const char *word, struct secret *ret);
/* Does a variable, key or option of this name hold a credential? PGPASSWORD, api-key, --token do,
 * token_file does not. */
bool secret_is_name(const char *name, size_t length);
/* A text that stands for itself: not empty, and no ${env:NAME} in it. */
bool secret_is_literal(const char *text);
/* Puts '*' in the place of all that looks like a credential. */
void secret_mask(char *text);
/* Puts '*' in the place of each `value` in it. Values of fewer than 4 bytes stay: they are words of
 * any text. */
void secret_hide(char *text, const char *value);
/* secret_hide() of every variable of the environment whose name says that it holds a credential. */
void secret_hide_environment(char *text);

#endif
