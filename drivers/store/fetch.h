/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks come out of packs: neighbours in one read, each checked, from another pack when one is
 * damaged. */
#ifndef DRIVERS_STORE_FETCH_H
#define DRIVERS_STORE_FETCH_H

#include "drivers/store/store_private.h"

#define FETCH_CHUNKS 16

struct fetched {
	const char *what; /* NULL: sound; else what is wrong with it */
	uint32_t row;     /* where it was last looked for; INDEX_NONE: nowhere */
};

struct fetcher {
	struct store_handle *store;
	const struct index *index;
	struct chunk_tool tool;
	uint8_t *stored; /* FETCH_CHUNKS chunks as they are stored */
	uint8_t *data;   /* the chunks, one after another, STORE_CHUNK apart */
	struct fetched results[FETCH_CHUNKS];
};

void fetcher_open(struct fetcher *fetcher, struct store_handle *store, const struct index *index,
		  struct arena *arena);
void fetcher_close(struct fetcher *fetcher);

/*
 * Fetches `count` chunks by id, the first being number `first` of a file of `size`. Damage stands
 * in the results; -1 is for a disk or a server that does not answer.
 */
int fetch_chunks(struct fetcher *fetcher, const uint8_t *ids, uint32_t count, uint64_t size,
		 uint64_t first, struct error *e);

#endif
