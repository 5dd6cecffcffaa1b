/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over what is there, then held against what was signed. */
#include "reports/verify.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "reports/chain.h"
#include "reports/dsse.h"
#include "reports/statement.h"

#define BLOCK_SIZE ((size_t)64 << 10)
/* Both envelopes: a payload in base64 takes a third more, the rest is less than 1 KiB. */
#define ATTESTATION_MAX (STATEMENTS * (DSSE_PAYLOAD_MAX / 3 * 4 + 1024))

/* A file or folder that is there. */
struct seen {
	const char *name;
	enum artefact_kind kind;
	bool told; /* something about it is known already */
	uint8_t digest[SHA_SIZE];
};

struct pass {
	struct arena *arena;
	const struct public_key *key;
	struct verify_source *source;
	struct verified *result;
	struct sha sha;
	char *block;
	struct seen *seen;
	size_t count, capacity;
	bool attested;              /* the attestation is there, good or bad */
	bool proven;                /* and both its statements hold */
	struct statement statement; /* of the drill */
	struct chain_hashes hashes;
	struct chain_check check;
	bool has_hashes, checked;
};

static void tell(struct pass *pass, const char *artefact, uint64_t line, const char *what)
{
	struct verified *result = pass->result;

	if (result->count == VERIFY_FINDINGS_MAX) {
		result->more++;
		return;
	}
	if (!result->findings)
		result->findings =
			arena_array(pass->arena, VERIFY_FINDINGS_MAX, sizeof(result->findings[0]));
	result->findings[result->count++] = (struct verify_finding){artefact, line, what};
}

static void tell_error(struct pass *pass, const char *artefact, const struct error *error)
{
	tell(pass, artefact, 0, arena_strdup(pass->arena, error->text));
}

/* ---- the attestation ---- */

static int read_attestation(struct pass *pass, char **ret_text, size_t *ret_size, struct error *e)
{
	char *text = NULL;
	size_t size = 0, room = 0, got = 0;

	for (;;) {
		if (pass->source->read(pass->source->self, pass->block, BLOCK_SIZE, &got, e))
			return -1;
		if (got == 0)
			break;
		if (size + got > ATTESTATION_MAX)
			return error_set(e, ERROR_IO, NO_PLACE, "is larger than any attestation");
		if (size + got > room) {
			char *larger;

			room = 2 * (size + got);
			larger = arena_alloc(pass->arena, room);
			if (size > 0)
				memcpy(larger, text, size);
			text = larger;
		}
		memcpy(text + size, pass->block, got);
		size += got;
	}
	*ret_text = text;
	*ret_size = size;
	return 0;
}

static int check_envelope(struct pass *pass, enum statement_kind kind, const char *line,
			  size_t size, struct statement *ret, struct error *e)
{
	struct envelope envelope;

	if (dsse_read(line, size, pass->arena, &envelope, e))
		return -1;
	if (strcmp(envelope.key_id, pass->key->id) != 0)
		return error_set(e, ERROR_IO, NO_PLACE, "is signed with another key, %.16s...",
				 envelope.key_id);
	if (!dsse_verify(&envelope, pass->key, pass->arena))
		return error_set(e, ERROR_IO, NO_PLACE,
				 "the signature does not fit what is signed");
	return statement_read(kind, (const char *)envelope.payload, envelope.size, pass->arena, ret,
			      e);
}

static bool same_subjects(const struct subjects *a, const struct subjects *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->items[i].name, b->items[i].name) != 0 ||
		    memcmp(a->items[i].digest, b->items[i].digest, SHA_SIZE) != 0)
			return false;
	return true;
}

/* Two lines, and nothing else. */
static void take_attestation(struct pass *pass)
{
	struct statement statements[STATEMENTS];
	struct error error = {0};
	char *text = NULL, *at;
	size_t size = 0;

	pass->attested = true;
	if (read_attestation(pass, &text, &size, &error)) {
		tell_error(pass, ATTESTATION_FILE, &error);
		return;
	}
	at = text;
	for (int kind = 0; kind < STATEMENTS; kind++) {
		size_t left = size - (size_t)(at - text);
		char *end = left > 0 ? memchr(at, '\n', left) : NULL;

		if (!end) {
			tell(pass, ATTESTATION_FILE, (uint64_t)kind + 1, "is cut off");
			return;
		}
		if (check_envelope(pass, (enum statement_kind)kind, at, (size_t)(end - at),
				   &statements[kind], &error)) {
			tell(pass, ATTESTATION_FILE, (uint64_t)kind + 1,
			     arena_strdup(pass->arena, error.text));
			return;
		}
		at = end + 1;
	}
	if (at != text + size) {
		tell(pass, ATTESTATION_FILE, STATEMENTS + 1, "added: it has two statements");
		return;
	}
	if (!same_subjects(&statements[0].subjects, &statements[1].subjects)) {
		tell(pass, ATTESTATION_FILE, 2, "is of another run than the line before");
		return;
	}
	pass->statement = statements[STATEMENT_OF_DRILL];
	pass->proven = true;
}

/* ---- what is there ---- */

static struct seen *remember(struct pass *pass, const struct artefact *artefact)
{
	pass->seen = arena_grow(pass->arena, pass->seen, pass->count, &pass->capacity,
				sizeof(pass->seen[0]));
	pass->seen[pass->count] = (struct seen){.name = artefact->name, .kind = artefact->kind};
	return &pass->seen[pass->count++];
}

/* events.chain comes before events.jsonl, since names come in order. */
static void take_file(struct pass *pass, struct seen *seen)
{
	bool chain = pass->proven && strcmp(seen->name, "events.chain") == 0;
	bool events = pass->proven && pass->has_hashes && strcmp(seen->name, "events.jsonl") == 0;
	struct verify_source *source = pass->source;
	struct error error = {0};
	size_t got = 0;

	if (chain)
		chain_hashes_begin(&pass->hashes, pass->arena);
	if (events)
		chain_check_begin(&pass->check, pass->statement.head.origin, &pass->hashes,
				  pass->arena);
	sha_begin(&pass->sha);
	do {
		if (source->read(source->self, pass->block, BLOCK_SIZE, &got, &error)) {
			tell_error(pass, seen->name, &error);
			seen->told = true;
			break;
		}
		sha_add(&pass->sha, pass->block, got);
		if (chain)
			chain_hashes_add(&pass->hashes, pass->block, got);
		if (events)
			chain_check_add(&pass->check, pass->block, got);
	} while (got > 0);
	sha_end(&pass->sha, seen->digest);
	if (chain)
		chain_hashes_end(&pass->hashes);
	if (events)
		chain_check_end(&pass->check);
	pass->has_hashes = pass->has_hashes || chain;
	pass->checked = pass->checked || events;
}

static void look_at_all(struct pass *pass)
{
	struct verify_source *source = pass->source;
	struct artefact artefact;
	struct error error = {0};
	int rc;

	while ((rc = source->next(source->self, &artefact, &error)) > 0) {
		if (artefact.kind == ARTEFACT_FILE &&
		    strcmp(artefact.name, ATTESTATION_FILE) == 0) {
			take_attestation(pass);
			continue;
		}
		struct seen *seen = remember(pass, &artefact);

		switch (artefact.kind) {
		case ARTEFACT_FILE:
			take_file(pass, seen);
			break;
		case ARTEFACT_FOLDER:
			break;
		case ARTEFACT_LINK:
		case ARTEFACT_OTHER:
			tell(pass, artefact.name, 0,
			     arena_printf(pass->arena, "is %s: a run holds only files",
					  artefact_kind_text(artefact.kind)));
			seen->told = true;
			break;
		}
	}
	if (rc < 0)
		tell_error(pass, source->name ? source->name : ".", &error);
}

/* ---- held against what was signed ---- */

static const char *difference_text(struct pass *pass, const char *otherwise)
{
	const struct chain_check *check = &pass->check;

	switch (check->difference) {
	case CHAIN_SAME:
		return otherwise;
	case CHAIN_CHANGED:
		return "changed";
	case CHAIN_ADDED:
		return "added";
	case CHAIN_MISSING:
		return arena_printf(pass->arena,
				    "%" PRIu64 " event%s that should be here %s missing",
				    check->missing, check->missing == 1 ? "" : "s",
				    check->missing == 1 ? "is" : "are");
	case CHAIN_MOVED:
		return "moved: it belongs further down";
	}
	return otherwise;
}

static void tell_changed(struct pass *pass, const struct seen *seen)
{
	uint64_t line = 0;
	const char *what = "changed";

	if (pass->checked && strcmp(seen->name, "events.jsonl") == 0) {
		line = pass->check.difference == CHAIN_SAME ? 0 : pass->check.line;
		what = difference_text(pass, what);
	} else if (strcmp(seen->name, "events.chain") == 0) {
		/* The events may be whole: then the line is where the two part. */
		line = pass->checked && pass->check.difference != CHAIN_SAME ? pass->check.line : 0;
		if (pass->hashes.broken > 0 && (line == 0 || pass->hashes.broken < line))
			line = pass->hashes.broken;
	}
	tell(pass, seen->name, line, what);
}

/* Does a subject lie in this folder? */
static bool is_used_folder(const struct subjects *subjects, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < subjects->count; i++)
		if (strncmp(subjects->items[i].name, name, length) == 0 &&
		    subjects->items[i].name[length] == '/')
			return true;
	return false;
}

static void compare_one(struct pass *pass, const struct seen *seen, const struct subject *subject)
{
	if (seen->told)
		return;
	if (seen->kind == ARTEFACT_FOLDER) {
		if (!is_used_folder(&pass->statement.subjects, seen->name))
			tell(pass, seen->name, 0, "added: no file that was signed is in it");
	} else if (!subject) {
		tell(pass, seen->name, 0, "added: no statement names it");
	} else if (memcmp(seen->digest, subject->digest, SHA_SIZE) != 0) {
		tell_changed(pass, seen);
	}
}

/* Both are in the order of their names. */
static void compare_all(struct pass *pass)
{
	const struct subjects *subjects = &pass->statement.subjects;
	size_t i = 0, k = 0;

	while (i < pass->count || k < subjects->count) {
		int order = i == pass->count ? 1
			    : k == subjects->count
				    ? -1
				    : strcmp(pass->seen[i].name, subjects->items[k].name);

		if (order > 0) {
			tell(pass, subjects->items[k++].name, 0, "missing");
			continue;
		}
		/* A folder of a subject's name does not stand for the file. */
		if (order == 0 && pass->seen[i].kind == ARTEFACT_FOLDER)
			tell(pass, subjects->items[k++].name, 0, "missing: a folder has its name");
		else
			compare_one(pass, &pass->seen[i],
				    order == 0 ? &subjects->items[k++] : NULL);
		i++;
	}
}

/* Everything fits its digest: then the events end as the drill's statement says. */
static void compare_log(struct pass *pass)
{
	const struct chain_head *head = &pass->statement.head;

	if (!pass->checked || pass->check.difference != CHAIN_SAME || pass->hashes.broken > 0 ||
	    pass->check.lines != head->events ||
	    memcmp(pass->check.last, head->last, SHA_SIZE) != 0)
		tell(pass, "events.chain", pass->check.line,
		     "is not the chain of the events that the statement is about");
	if (pass->source->root && strcmp(pass->source->root, pass->statement.id) != 0)
		tell(pass, pass->source->name, 0,
		     "its folder has another name than the drill's id");
}

static void fill_result(struct pass *pass)
{
	const struct statement *statement = &pass->statement;
	struct verified *result = pass->result;

	result->id = statement->id;
	result->kind = statement->kind;
	result->name = statement->name;
	result->version = statement->version;
	result->verdict = statement->verdict;
	result->seed = statement->seed;
	result->events = statement->head.events;
	result->artefacts = statement->subjects.count;
}

void verify_source(struct verify_source *source, const struct public_key *key, struct arena *arena,
		   struct verified *ret_verified)
{
	struct pass pass = {.arena = arena, .key = key, .source = source, .result = ret_verified};

	*ret_verified = (struct verified){0};
	pass.block = arena_alloc(arena, BLOCK_SIZE);
	sha_open(&pass.sha);
	look_at_all(&pass);
	sha_close(&pass.sha);
	if (!pass.attested)
		tell(&pass, ATTESTATION_FILE, 0, "missing: the run is not signed");
	if (!pass.proven)
		return;
	fill_result(&pass);
	/* What could not be read to its end is no reason to call the rest missing. */
	if (ret_verified->count > 0 && source->name)
		return;
	compare_all(&pass);
	if (ret_verified->count == 0)
		compare_log(&pass);
}

/* ---- a folder ---- */

struct folder_source {
	struct artefacts all;
	size_t next;
	int folder, file; /* file: -1 when none is open */
};

static int folder_next(void *self, struct artefact *ret_artefact, struct error *e)
{
	struct folder_source *folder = self;

	(void)e;
	if (folder->file >= 0)
		close(folder->file);
	folder->file = -1;
	if (folder->next == folder->all.count)
		return 0;
	*ret_artefact = folder->all.items[folder->next++];
	return 1;
}

static int folder_read(void *self, void *bytes, size_t size, size_t *ret_got, struct error *e)
{
	struct folder_source *folder = self;
	ssize_t got;

	if (folder->file < 0)
		folder->file =
			artefact_open(folder->folder, folder->all.items[folder->next - 1].name, e);
	if (folder->file < 0)
		return -1;
	do
		got = read(folder->file, bytes, size);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return error_set(e, ERROR_IO, NO_PLACE, "cannot be read: %s", strerror(errno));
	*ret_got = (size_t)got;
	return 0;
}

int verify_folder(const char *folder, const struct public_key *key, struct arena *arena,
		  struct verified *ret_verified, struct error *e)
{
	struct folder_source self = {.file = -1};
	struct verify_source source = {.self = &self, .next = folder_next, .read = folder_read};
	struct error error = {0};

	if (artefacts_open(folder, &self.folder, e))
		return -1;
	if (artefacts_list(self.folder, arena, &self.all, &error)) {
		/* More than a run has, or something that cannot be read: neither is whole. */
		struct pass pass = {.arena = arena, .result = ret_verified};

		*ret_verified = (struct verified){0};
		tell_error(&pass, ".", &error);
	} else {
		verify_source(&source, key, arena, ret_verified);
	}
	if (self.file >= 0)
		close(self.file);
	close(self.folder);
	return 0;
}
