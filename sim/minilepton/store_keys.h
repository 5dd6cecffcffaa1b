/* SPDX-License-Identifier: Apache-2.0 */
/* The names of objects: which are good, which are there, and ranges of their bytes. */
#ifndef SIM_MINILEPTON_STORE_KEYS_H
#define SIM_MINILEPTON_STORE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/error.h"

#define STORE_KEYS_BYTES_MAX 512
#define STORE_KEYS_MAX ((size_t)1 << 20) /* of one store */
#define STORE_KEYS_PAGE 1000

struct store_key {
	const char *key;
	uint64_t bytes;
	int64_t modified_ms;
};

/* Set `arena`. */
struct store_keys {
	struct arena *arena;
	struct store_key *items;
	size_t count, capacity;
};

/* Of [A-Za-z0-9._/-], no empty segment, no "." or "..", at most STORE_KEYS_BYTES_MAX bytes. */
bool store_key_good(const char *key);
/* All objects below the folder whose keys begin with `prefix` and sort behind `after`, in the order
 * of their bytes; names in the folder itself that begin with `hidden` are left out. */
int store_keys_read(struct store_keys *keys, int dir, const char *prefix, const char *after,
		    const char *hidden, struct error *e);
/* Removes what writers that were killed left behind. */
int store_keys_sweep(int dir, const char *hidden, struct error *e);
/* "bytes=0-99", "bytes=100-", "bytes=-5" of an object of `size` bytes; -1: no byte of it. */
int store_range(const char *text, uint64_t size, uint64_t *ret_from, uint64_t *ret_count);

#endif
