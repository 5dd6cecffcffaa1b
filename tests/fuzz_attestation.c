/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: any bytes as an envelope, and as what is in one. What is accepted keeps its
 * promises, and there is one way to write it. */
#include <assert.h>
#include <string.h>

#include "reports/artefacts.h"
#include "reports/dsse.h"
#include "reports/statement.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_statement(const struct statement *statement)
{
	const struct subjects *subjects = &statement->subjects;

	assert(subjects->count >= 4 && subjects->count <= ARTEFACTS_MAX);
	for (size_t i = 0; i < subjects->count; i++) {
		assert(artefact_name_ok(subjects->items[i].name));
		assert(strcmp(subjects->items[i].name, ATTESTATION_FILE) != 0);
		assert(subject_find(subjects, subjects->items[i].name) == &subjects->items[i]);
	}
	assert(subject_find(subjects, "events.jsonl") && subject_find(subjects, "events.chain"));
}

static void read_statement(const char *payload, size_t size)
{
	struct arena arena = {0};

	for (int kind = 0; kind < STATEMENTS; kind++) {
		struct statement statement;
		struct error e = {0};

		if (statement_read((enum statement_kind)kind, payload, size, &arena, &statement,
				   &e)) {
			assert(e.kind == ERROR_IO && e.text[0]);
			continue;
		}
		check_statement(&statement);
		if (kind == STATEMENT_OF_DRILL)
			assert(artefact_name_ok(statement.id) && statement.verdict);
	}
	arena_free(&arena);
}

static void read_envelope(const char *line, size_t size)
{
	struct arena arena = {0};
	struct envelope envelope;
	struct error e = {0};

	if (dsse_read(line, size, &arena, &envelope, &e) == 0) {
		uint8_t digest[SHA_SIZE];

		assert(envelope.size <= DSSE_PAYLOAD_MAX && envelope.payload[envelope.size] == 0);
		assert(sha_parse(envelope.key_id, digest));
		read_statement((const char *)envelope.payload, envelope.size);
	} else {
		assert(e.kind == ERROR_IO && e.text[0]);
	}
	arena_free(&arena);
}

/* The bytes in an envelope: they come out as they went in. */
static void wrap(const uint8_t *data, size_t size)
{
	uint8_t secret[32] = {1};
	struct signing_key key = {.secret = secret};
	struct arena arena = {0};
	struct envelope envelope;
	struct error e = {0};
	const char *line;
	int rc;

	memset(key.id, 'a', SHA_HEX - 1);
	line = dsse_sign(data, size, &key, &arena);
	rc = dsse_read(line, strlen(line), &arena, &envelope, &e);
	assert(rc == 0);
	(void)rc;
	assert(envelope.size == size && memcmp(envelope.payload, data, size) == 0);
	arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_envelope((const char *)data, size);
	read_statement((const char *)data, size);
	wrap(data, size);
	return 0;
}
