/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two in-toto statements of a run (https://in-toto.io/Statement/v1). Both have every file of
 * the run folder as a subject, by name and SHA-256.
 *
 * test-result/v0.1 is for tools that know it: PASSED when the drill passed, WARNED when it passed
 * but an objective could not be evaluated, FAILED for everything else, an aborted or invalid drill
 * too. Its tests are the objectives, named KIND/SCENARIO/OBJECTIVE, so that nobody takes a
 * simulated one for a test of something real.
 *
 * drsim:dr-drill/v1 says what was run (drill), what came of it (verdict, objectives), and how many
 * events there are and the hash of the last (log).
 */
#ifndef REPORTS_STATEMENT_H
#define REPORTS_STATEMENT_H

#include "core/arena.h"
#include "core/error.h"
#include "core/record.h"
#include "reports/chain.h"

#define STATEMENT_TEST_RESULT "https://in-toto.io/attestation/test-result/v0.1"
#define STATEMENT_DRILL "drsim:dr-drill/v1"

enum statement_kind {
	STATEMENT_OF_DRILL,
	STATEMENT_OF_TESTS,
	STATEMENTS /* in this order in the file */
};

struct subject {
	const char *name;
	uint8_t digest[SHA_SIZE];
};

struct subjects {
	struct subject *items; /* in the order of the bytes of their names */
	size_t count;
};

/* What a drill's statement says; texts in the arena. */
struct statement {
	struct subjects subjects;
	/* STATEMENT_OF_DRILL only */
	const char *id, *kind, *name, *version, *verdict;
	uint64_t seed;
	uint8_t scenario[SHA_SIZE];
	struct chain_head head; /* with the origin that follows from the above */
};

/* The payload as JSON text. `record` has its log. */
const char *statement_write(enum statement_kind kind, const struct subjects *subjects,
			    const struct record *record, struct arena *arena);
/*
 * Reads a payload back. ERROR_IO: it is no such statement, names are not in order or not allowed,
 * scenario.yaml, record.json, events.jsonl or events.chain are no subjects.
 */
int statement_read(enum statement_kind kind, const char *payload, size_t size, struct arena *arena,
		   struct statement *ret_statement, struct error *e);
/* NULL: no subject has that name. */
const struct subject *subject_find(const struct subjects *subjects, const char *name);

#endif
