/* SPDX-License-Identifier: Apache-2.0 */
/* The chain of hashes over events.jsonl: written once, then held against the file. */
#include "reports/chain.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/file.h"

#define SEED_SIZE 8

void chain_origin(const uint8_t scenario[SHA_SIZE], uint64_t seed, const char *version,
		  uint8_t ret_origin[SHA_SIZE])
{
	static const char format[] = CHAIN_FORMAT "\n";
	uint8_t number[SEED_SIZE];
	struct sha sha;

	for (size_t i = 0; i < SEED_SIZE; i++)
		number[i] = (uint8_t)(seed >> (8 * (SEED_SIZE - 1 - i)));
	sha_open(&sha);
	sha_add(&sha, format, sizeof(format) - 1);
	sha_add(&sha, scenario, SHA_SIZE);
	sha_add(&sha, number, sizeof(number));
	sha_add(&sha, version, strlen(version));
	sha_end(&sha, ret_origin);
	sha_close(&sha);
}

static void link_hash(struct sha *sha, const uint8_t before[SHA_SIZE], const char *line,
		      size_t size, uint8_t ret_hash[SHA_SIZE])
{
	sha_begin(sha);
	sha_add(sha, before, SHA_SIZE);
	sha_add(sha, line, size);
	sha_end(sha, ret_hash);
}

/* ---- written ---- */

static int chain_lines(FILE *events, const char *path, FILE *out, struct chain_head *head,
		       struct error *e)
{
	char hex[SHA_HEX], *line = NULL;
	struct sha sha;
	size_t room = 0;
	ssize_t size;
	int rc = 0;

	sha_open(&sha);
	memcpy(head->last, head->origin, SHA_SIZE);
	head->events = 0;
	errno = 0;
	while (rc == 0 && (size = getline(&line, &room, events)) > 0) {
		head->events++;
		if (size > CHAIN_LINE_MAX || head->events > CHAIN_EVENTS_MAX)
			rc = error_set(e, ERROR_LIMIT, NO_PLACE,
				       "%s:%" PRIu64 ": more than can be signed: at most %" PRIu64
				       " events of %d bytes",
				       path, head->events, CHAIN_EVENTS_MAX, CHAIN_LINE_MAX);
		link_hash(&sha, head->last, line, (size_t)size, head->last);
		fprintf(out, "%s\n", sha_hex(head->last, hex));
	}
	if (rc == 0 && ferror(events))
		rc = error_set(e, ERROR_IO, NO_PLACE, "cannot read %s: %s", path, strerror(errno));
	free(line);
	sha_close(&sha);
	return rc;
}

int chain_write(const char *dir, struct chain_head *head, struct error *e)
{
	struct report_file out;
	char path[REPORT_PATH_MAX];
	FILE *events;
	int rc;

	if (report_path(path, dir, "events.jsonl", e))
		return -1;
	events = fopen(path, "re");
	if (!events)
		return error_set(e, ERROR_IO, NO_PLACE, "cannot read %s: %s", path,
				 strerror(errno));
	rc = report_file_begin(&out, dir, "events.chain", e);
	if (rc == 0)
		rc = report_file_end(&out, chain_lines(events, path, out.file, head, e), e);
	fclose(events);
	return rc;
}

/* ---- events.chain read back ---- */

void chain_hashes_begin(struct chain_hashes *hashes, struct arena *arena)
{
	*hashes = (struct chain_hashes){.arena = arena};
}

static void take_hash(struct chain_hashes *hashes)
{
	uint8_t digest[SHA_SIZE];

	if (!sha_parse(hashes->line, digest) || hashes->line[SHA_HEX - 1] != '\n' ||
	    hashes->count == CHAIN_EVENTS_MAX) {
		hashes->broken = hashes->count + 1;
		return;
	}
	hashes->items = arena_grow(hashes->arena, hashes->items, hashes->count, &hashes->capacity,
				   sizeof(hashes->items[0]));
	memcpy(hashes->items[hashes->count++], digest, SHA_SIZE);
}

void chain_hashes_add(struct chain_hashes *hashes, const char *bytes, size_t size)
{
	while (size > 0 && hashes->broken == 0) {
		size_t now = SHA_HEX - hashes->used;

		now = now < size ? now : size;
		memcpy(hashes->line + hashes->used, bytes, now);
		hashes->used += now;
		bytes += now;
		size -= now;
		if (hashes->used == SHA_HEX) {
			hashes->used = 0;
			take_hash(hashes);
		}
	}
}

void chain_hashes_end(struct chain_hashes *hashes)
{
	if (hashes->used > 0 && hashes->broken == 0)
		hashes->broken = hashes->count + 1;
}

/* ---- events.jsonl held against the hashes ---- */

void chain_check_begin(struct chain_check *check, const uint8_t origin[SHA_SIZE],
		       const struct chain_hashes *hashes, struct arena *arena)
{
	*check = (struct chain_check){.hashes = hashes};
	memcpy(check->last, origin, SHA_SIZE);
	check->text = arena_alloc(arena, CHAIN_LINE_MAX);
	sha_open(&check->sha);
}

/* Does the line stand after `before` with the hash `hash`? */
static bool fits(struct chain_check *check, const uint8_t before[SHA_SIZE],
		 const uint8_t hash[SHA_SIZE])
{
	uint8_t own[SHA_SIZE];

	link_hash(&check->sha, before, check->text, check->used, own);
	return memcmp(own, hash, SHA_SIZE) == 0;
}

/* The first line that does not fit: was it signed for a place further down? */
static void look_further(struct chain_check *check)
{
	const struct chain_hashes *hashes = check->hashes;
	uint64_t at = check->lines - 1; /* of items: the hash that it should have */

	check->line = check->lines;
	check->difference = at < hashes->count ? CHAIN_CHANGED : CHAIN_ADDED;
	for (uint64_t i = at + 1; i < hashes->count && i - at <= CHAIN_SEARCH_MAX; i++) {
		if (!fits(check, hashes->items[i - 1], hashes->items[i]))
			continue;
		check->difference = CHAIN_MISSING;
		check->missing = i - at;
		return;
	}
	check->over = at >= hashes->count;
}

/* The line after it: does it belong where that one stands? */
static void look_behind(struct chain_check *check)
{
	uint64_t at = check->line - 1;

	check->over = true;
	if (at < check->hashes->count && fits(check, check->last, check->hashes->items[at]))
		check->difference = check->difference == CHAIN_MISSING ? CHAIN_MOVED : CHAIN_ADDED;
}

static void take_line(struct chain_check *check)
{
	const struct chain_hashes *hashes = check->hashes;
	uint64_t at = check->lines++;

	if (check->difference != CHAIN_SAME)
		look_behind(check);
	else if (at < hashes->count && fits(check, check->last, hashes->items[at]))
		memcpy(check->last, hashes->items[at], SHA_SIZE);
	else
		look_further(check);
	check->used = 0;
}

void chain_check_add(struct chain_check *check, const char *bytes, size_t size)
{
	while (size > 0 && !check->over) {
		const char *end = memchr(bytes, '\n', size);
		size_t now = end ? (size_t)(end - bytes) + 1 : size;

		if (check->used + now > CHAIN_LINE_MAX) {
			/* No event is as long: there is nothing to hold against a hash. */
			if (check->difference == CHAIN_SAME) {
				check->difference = CHAIN_CHANGED;
				check->line = check->lines + 1;
			}
			check->over = true;
			return;
		}
		memcpy(check->text + check->used, bytes, now);
		check->used += now;
		bytes += now;
		size -= now;
		if (end)
			take_line(check);
	}
}

void chain_check_end(struct chain_check *check)
{
	/* A last line without its end is cut off. */
	if (check->used > 0 && !check->over)
		take_line(check);
	if (check->difference == CHAIN_SAME && check->lines < check->hashes->count) {
		check->difference = CHAIN_MISSING;
		check->line = check->lines + 1;
		check->missing = check->hashes->count - check->lines;
	}
	sha_close(&check->sha);
}
