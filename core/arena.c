/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is given back all at once: a list of blocks, allocated from front to back. */
#include "core/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#endif

/* Under AddressSanitizer what has not been handed out is poisoned, and a red zone follows each
 * allocation. */
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define ARENA_RED_ZONE ((size_t)16)
#else
#define ASAN_POISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#define ARENA_RED_ZONE ((size_t)0)
#endif

#define ARENA_BLOCK_FIRST ((size_t)64 << 10)
#define ARENA_BLOCK_MAX                                                                            \
	((size_t)16 << 20) /* blocks double up to this; a larger request gets its own */
#define ARENA_ALIGN _Alignof(max_align_t)

/* Blocks stay in the order they were made; those after `head` are free since the last reset. */
struct arena_block {
	struct arena_block *previous, *next;
	size_t size;
	_Alignas(max_align_t) unsigned char bytes[];
};

static _Noreturn void arena_die(const char *why, size_t size)
{
	fprintf(stderr, "drsim: error: memory: %s (%zu bytes asked for)\n", why, size);
	exit(3);
}

static struct arena_block *block_new(const struct arena *arena, size_t need)
{
	size_t size = ARENA_BLOCK_FIRST;
	struct arena_block *block;

	if (arena->head)
		size = arena->head->size < ARENA_BLOCK_MAX / 2 ? arena->head->size * 2
							       : ARENA_BLOCK_MAX;
	if (size < need)
		size = need;
	block = malloc(sizeof(*block) + size);
	if (!block)
		arena_die("the system has no more", size);
	block->previous = arena->head;
	block->next = NULL;
	block->size = size;
	ASAN_POISON_MEMORY_REGION(block->bytes, size);
	return block;
}

/* Make head a block with `need` free bytes: one kept by a reset if large enough, else a new one. */
static void head_advance(struct arena *arena, size_t need)
{
	struct arena_block *block = arena->head ? arena->head->next : NULL;

	while (block && block->size < need) {
		arena->head = block;
		block = block->next;
	}
	if (!block) {
		block = block_new(arena, need);
		if (arena->head)
			arena->head->next = block;
	}
	arena->head = block;
	arena->used = 0;
	arena->block_size = block->size;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	size_t limit = arena->limit > 0 ? arena->limit : ARENA_LIMIT_DEFAULT;
	size_t need;
	void *memory;

	if (size > limit || arena->total > limit - size)
		arena_die("the limit of an arena was passed", size);
	need = (size > 0 ? size : 1) + ARENA_RED_ZONE;
	need = (need + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
	if (!arena->head || arena->block_size - arena->used < need)
		head_advance(arena, need);
	memory = arena->head->bytes + arena->used;
	arena->used += need;
	arena->total += size;
	ASAN_UNPOISON_MEMORY_REGION(memory, size);
	memset(memory, 0, size);
	return memory;
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
	if (size > 0 && count > SIZE_MAX / size)
		arena_die("an array whose size overflows", SIZE_MAX);
	return arena_alloc(arena, count * size);
}

char *arena_strndup(struct arena *arena, const char *text, size_t length)
{
	char *copy;

	length = strnlen(text, length);
	copy = arena_alloc(arena, length + 1);
	memcpy(copy, text, length);
	return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
	return arena_strndup(arena, text, strlen(text));
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	va_list arguments, again;
	int length;
	char *text;

	va_start(arguments, format);
	va_copy(again, arguments);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length < 0)
		arena_die("a text that cannot be formatted", 0);
	text = arena_alloc(arena, (size_t)length + 1);
	vsnprintf(text, (size_t)length + 1, format, again);
	va_end(again);
	return text;
}

void *arena_grow(struct arena *arena, void *items, size_t count, size_t *capacity, size_t size)
{
	size_t wanted = *capacity > 0 ? *capacity : 4;
	void *copy;

	if (*capacity > count)
		return items;
	while (wanted <= count || wanted == *capacity) {
		if (wanted > SIZE_MAX / 2)
			arena_die("an array whose size overflows", SIZE_MAX);
		wanted *= 2;
	}
	copy = arena_array(arena, wanted, size);
	if (count > 0)
		memcpy(copy, items, count * size);
	*capacity = wanted;
	return copy;
}

void arena_reset(struct arena *arena)
{
	while (arena->head && arena->head->previous) {
		ASAN_POISON_MEMORY_REGION(arena->head->bytes, arena->head->size);
		arena->head = arena->head->previous;
	}
	if (arena->head)
		ASAN_POISON_MEMORY_REGION(arena->head->bytes, arena->head->size);
	arena->block_size = arena->head ? arena->head->size : 0;
	arena->used = 0;
	arena->total = 0;
}

void arena_free(struct arena *arena)
{
	struct arena_block *block, *next;

	arena_reset(arena);
	for (block = arena->head; block; block = next) {
		next = block->next;
		ASAN_UNPOISON_MEMORY_REGION(block->bytes, block->size);
		free(block);
	}
	arena->head = NULL;
	arena->block_size = 0;
}
