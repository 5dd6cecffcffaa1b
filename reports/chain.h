/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chain of hashes over events.jsonl, so that a line that is changed, added, missing or moved is
 * found by its number:
 *
 *   h0 = SHA-256("drsim-log-v1\n" || scenario's SHA-256, 32 bytes || seed, 8 bytes, the highest
 *                first || version, as text)
 *   hi = SHA-256(h(i-1), 32 bytes || line i as it stands in the file, with its "\n")
 *
 * events.chain holds h1, h2 ... in hex, one a line: its line i belongs to line i of events.jsonl.
 * The same run gives the same bytes. A cut tail is seen by the count, which is signed with the last
 * hash.
 */
#ifndef REPORTS_CHAIN_H
#define REPORTS_CHAIN_H

#include "core/arena.h"
#include "core/error.h"
#include "reports/sha.h"

#define CHAIN_FORMAT "drsim-log-v1"
#define CHAIN_LINE_MAX 65536                 /* no event is as long */
#define CHAIN_EVENTS_MAX ((uint64_t)1 << 25) /* their hashes are held in memory: 1 GiB */
#define CHAIN_SEARCH_MAX 100000              /* lines that may be missing and still be counted */

/* Where a chain begins, and what its end is when it is whole. */
struct chain_head {
	uint8_t origin[SHA_SIZE], last[SHA_SIZE];
	uint64_t events;
};

/* `scenario` is the SHA-256 of scenario.yaml. */
void chain_origin(const uint8_t scenario[SHA_SIZE], uint64_t seed, const char *version,
		  uint8_t ret_origin[SHA_SIZE]);

/*
 * Hashes dir/events.jsonl from `head->origin` on, writes dir/events.chain, and fills the rest of
 * *head. ERROR_LIMIT: an event, or their number, is past the limits above.
 */
int chain_write(const char *dir, struct chain_head *head, struct error *e);

/* ---- events.chain read back, in pieces ---- */

struct chain_hashes {
	uint8_t (*items)[SHA_SIZE]; /* h1 ... in the arena */
	uint64_t count;             /* of the lines that could be read */
	uint64_t broken;            /* the first line that could not, from 1; 0: none */
	struct arena *arena;
	size_t capacity, used;
	char line[SHA_HEX]; /* 64 digits and "\n", not terminated */
};

void chain_hashes_begin(struct chain_hashes *hashes, struct arena *arena);
void chain_hashes_add(struct chain_hashes *hashes, const char *bytes, size_t size);
void chain_hashes_end(struct chain_hashes *hashes);

/* ---- events.jsonl held against the hashes, in pieces ---- */

enum chain_difference {
	CHAIN_SAME,
	CHAIN_CHANGED, /* this line is another than was signed */
	CHAIN_ADDED,   /* nothing was signed here */
	CHAIN_MISSING, /* so many lines are missing before it */
	CHAIN_MOVED,   /* it belongs elsewhere, and the next one belongs here */
};

struct chain_check {
	enum chain_difference difference; /* the first one */
	uint64_t line;                    /* where, from 1 */
	uint64_t missing;                 /* CHAIN_MISSING */
	uint64_t lines;         /* of the file, as far as it was held against the hashes */
	uint8_t last[SHA_SIZE]; /* hash of the last line that fits */
	/* its own */
	const struct chain_hashes *hashes;
	struct sha sha;
	size_t used;
	bool over;  /* a difference is known with all there is to say about it */
	char *text; /* CHAIN_LINE_MAX bytes in the arena */
};

/* Ends with chain_check_end(), which may be called without any line. */
void chain_check_begin(struct chain_check *check, const uint8_t origin[SHA_SIZE],
		       const struct chain_hashes *hashes, struct arena *arena);
void chain_check_add(struct chain_check *check, const char *bytes, size_t size);
void chain_check_end(struct chain_check *check);

#endif
