/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is given back all at once: everything of a scenario or of a trial belongs to one
 * arena. */
#ifndef CORE_ARENA_H
#define CORE_ARENA_H

#include <stddef.h>

struct arena_block;

/* Zero-initialise ({0}) to use. */
struct arena {
	struct arena_block *head; /* block allocations come from */
	size_t used, block_size;  /* of the head block */
	size_t total, limit;      /* bytes handed out; limit 0 means ARENA_LIMIT_DEFAULT */
};

#define ARENA_LIMIT_DEFAULT                                                                        \
	((size_t)8 << 30) /* past it the program ends with a message: a bug, not an input */

/* Zeroed memory, aligned for any type. Never returns NULL: out of memory ends the program with
 * exit 3. */
void *arena_alloc(struct arena *arena, size_t size);
/* count * size, checked for overflow. */
void *arena_array(struct arena *arena, size_t count, size_t size);
char *arena_strdup(struct arena *arena, const char *text);
char *arena_strndup(struct arena *arena, const char *text, size_t length);
char *arena_printf(struct arena *arena, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Grow a dynamic array living in the arena: returns `items` when *capacity > count, else a copy
 * with doubled capacity (the old copy stays until the arena is freed; total waste below the final
 * size).
 */
void *arena_grow(struct arena *arena, void *items, size_t count, size_t *capacity, size_t size);

/* Forget all allocations but keep the blocks for reuse (one trial after another without malloc). */
void arena_reset(struct arena *arena);
void arena_free(struct arena *arena);

#endif
