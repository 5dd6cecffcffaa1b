/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands of the user's own, as a scenario gives them: a list of words with placeholders, such as
 * [redis-server, --port, "${PORT}"]. They are started as they are; no shell ever reads them.
 */
#ifndef CORE_ARGV_H
#define CORE_ARGV_H

#include <stddef.h>

#include "core/arena.h"
#include "core/error.h"

struct param_context;
struct yaml_node;

#define ARGV_WORDS_MAX 256
#define ARGV_WORD_MAX 4096 /* bytes of one, before its placeholders are filled in */

/* As written: ${NAME} is a placeholder, $$ a dollar; ${env:NAME} is a variable of drsim's own
 * environment, for what must not stand in a file. */
struct argv {
	const char *const *words; /* NULL-terminated */
	size_t count;             /* 0: not given */
};

/* What a placeholder stands for. A list of them ends with a NULL name. */
struct argv_value {
	const char *name, *value;
};

/* The names that can stand in a service's commands and variables, and in a backup's; NULL at the
 * end. */
extern const char *const argv_service_names[]; /* PORT ADDRESS DATA SITE NODE */
extern const char *const argv_backup_names[];  /* DATA STORE BACKUP CLASS */

/* A list of words from a node. Unknown placeholders are errors with the nearest of `names`. */
int argv_load(const struct yaml_node *node, const char *what, const char *const *names,
	      struct param_context *context, struct argv *ret);
/* The placeholders of one text; -1 with an error. */
int argv_check(const struct yaml_node *node, const char *const *names,
	       struct param_context *context);
/* With every placeholder filled in; each that occurs must be among `values`, and each variable of
 * the environment be set. */
char *argv_expand_word(const char *word, const struct argv_value *values, struct arena *arena);
/* For execvp(): NULL-terminated. */
char **argv_expand(const struct argv *argv, const struct argv_value *values, struct arena *arena);

#endif
