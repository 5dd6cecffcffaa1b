/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holds a signed run, a folder or a bundle, against its attestation: both signatures, every file by
 * its SHA-256, every event by the chain, and nothing missing or added. Offline, and without
 * believing anything that is not signed.
 */
#ifndef REPORTS_VERIFY_H
#define REPORTS_VERIFY_H

#include "core/arena.h"
#include "core/error.h"
#include "reports/artefacts.h"
#include "reports/keys.h"

#define VERIFY_FINDINGS_MAX 1000 /* that are told; more are counted */

/* What does not hold. */
struct verify_finding {
	const char *artefact; /* its name in the run folder, or the bundle's */
	uint64_t line;        /* of the artefact, from 1; 0: all of it */
	const char *what;     /* "changed", "missing", "added: no statement names it" ... */
};

struct verified {
	struct verify_finding *findings; /* in the arena */
	size_t count, more;              /* more: beyond VERIFY_FINDINGS_MAX */
	/* What the signed statement says; NULL and 0 when no signature holds. */
	const char *id, *kind, *name, *version, *verdict;
	uint64_t seed, events;
	size_t artefacts; /* subjects */
};

/* Where the artefacts come from, one after another in the order of their names. */
struct verify_source {
	void *self;
	/* 1: *ret is the next one; 0: there are no more; -1: what follows cannot be read. */
	int (*next)(void *self, struct artefact *ret_artefact, struct error *e);
	/* The next bytes of that artefact; 0 bytes at its end. */
	int (*read)(void *self, void *bytes, size_t size, size_t *ret_got, struct error *e);
	const char *name; /* what is damaged when next() fails; NULL: the folder */
	const char *root; /* of a bundle, filled by next(): must be the drill's id */
};

/* -1 only when there is nothing to look at: ERROR_USAGE. Findings are not errors. */
int verify_folder(const char *folder, const struct public_key *key, struct arena *arena,
		  struct verified *ret_verified, struct error *e);
void verify_source(struct verify_source *source, const struct public_key *key, struct arena *arena,
		   struct verified *ret_verified);

#endif
