/* SPDX-License-Identifier: Apache-2.0 */
/* drsim run --sign: the events are chained, and everything in the run folder is attested. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/report.h"
#include "reports/artefacts.h"
#include "reports/dsse.h"
#include "reports/file.h"
#include "reports/statement.h"

#ifndef DRSIM_VERSION
#define DRSIM_VERSION "unknown"
#endif

#define BLOCK_SIZE ((size_t)64 << 10)

struct seal {
	struct signing_key key;
	struct arena *arena;
};

int seal_open(const char *path, struct arena *arena, struct seal **ret_seal, struct error *e)
{
	struct seal *seal = arena_alloc(arena, sizeof(*seal));

	seal->arena = arena;
	if (signing_key_load(path, &seal->key, e))
		return -1;
	*ret_seal = seal;
	return 0;
}

void seal_close(struct seal *seal)
{
	if (seal)
		signing_key_close(&seal->key);
}

const char *seal_key_id(const struct seal *seal)
{
	return seal->key.id;
}

int seal_events(struct seal *seal, const char *run_dir, struct record *record, struct error *e)
{
	uint8_t scenario[SHA_SIZE];
	struct chain_head head;
	bool parsed = sha_parse(record->scenario->sha256, scenario);

	assert(parsed);
	(void)parsed;
	chain_origin(scenario, record->seed, DRSIM_VERSION, head.origin);
	if (chain_write(run_dir, &head, e))
		return -1;
	record->log_events = head.events;
	record->log_head = sha_hex(head.last, arena_alloc(seal->arena, SHA_HEX));
	return 0;
}

static int hash_file(int folder, const char *name, char *block, struct sha *sha,
		     uint8_t ret_digest[SHA_SIZE], struct error *e)
{
	int fd = artefact_open(folder, name, e);
	ssize_t got = 1;

	if (fd < 0)
		return -1;
	sha_begin(sha);
	while (got > 0) {
		got = read(fd, block, BLOCK_SIZE);
		if (got < 0 && errno == EINTR)
			got = 1;
		else if (got > 0)
			sha_add(sha, block, (size_t)got);
	}
	if (got < 0)
		error_set(e, ERROR_IO, NO_PLACE, "cannot read %s: %s", name, strerror(errno));
	close(fd);
	sha_end(sha, ret_digest);
	return got < 0 ? -1 : 0;
}

static int hash_all(int folder, const struct artefacts *artefacts, struct arena *arena,
		    struct subjects *ret_subjects, struct error *e)
{
	char *block = arena_alloc(arena, BLOCK_SIZE);
	struct subjects subjects = {0};
	struct sha sha;
	int rc = 0;

	subjects.items = arena_array(arena, artefacts->count, sizeof(subjects.items[0]));
	sha_open(&sha);
	for (size_t i = 0; rc == 0 && i < artefacts->count; i++) {
		const struct artefact *artefact = &artefacts->items[i];
		struct subject *subject = &subjects.items[subjects.count];

		if (artefact->kind == ARTEFACT_FOLDER)
			continue;
		/* Nobody could verify it. */
		if (artefact->kind != ARTEFACT_FILE || !artefact_name_ok(artefact->name))
			rc = error_set(e, ERROR_IO, NO_PLACE,
				       "the run folder holds what cannot be signed, %s",
				       artefact_kind_text(artefact->kind));
		else
			rc = hash_file(folder, artefact->name, block, &sha, subject->digest, e);
		subject->name = artefact->name;
		subjects.count++;
	}
	sha_close(&sha);
	*ret_subjects = subjects;
	return rc;
}

static int attest(const struct seal *seal, const char *run_dir, const struct subjects *subjects,
		  const struct record *record, struct arena *arena, struct error *e)
{
	struct report_file out;

	if (report_file_begin(&out, run_dir, ATTESTATION_FILE, e))
		return -1;
	for (int kind = 0; kind < STATEMENTS; kind++) {
		const char *payload =
			statement_write((enum statement_kind)kind, subjects, record, arena);

		fputs(dsse_sign(payload, strlen(payload), &seal->key, arena), out.file);
		fputc('\n', out.file);
	}
	return report_file_end(&out, 0, e);
}

int seal_run(const struct seal *seal, const char *run_dir, const struct record *record,
	     struct error *e)
{
	struct artefacts artefacts;
	struct subjects subjects;
	struct arena arena = {0};
	int folder, rc;

	assert(record->log_head);
	if (artefacts_open(run_dir, &folder, e))
		return -1;
	rc = artefacts_list(folder, &arena, &artefacts, e);
	if (rc == 0)
		rc = hash_all(folder, &artefacts, &arena, &subjects, e);
	close(folder);
	if (rc == 0)
		rc = attest(seal, run_dir, &subjects, record, &arena, e);
	arena_free(&arena);
	return rc;
}
