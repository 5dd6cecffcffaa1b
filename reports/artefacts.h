/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lies in a run folder, in the order of the bytes of its names. Links are never followed below
 * the folder itself, and nothing is opened that is not a regular file.
 */
#ifndef REPORTS_ARTEFACTS_H
#define REPORTS_ARTEFACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/error.h"

#define ARTEFACTS_MAX 10000 /* files and folders of one run */
#define ARTEFACT_NAME_MAX 512
#define ARTEFACT_DEPTH_MAX 4 /* folders inside one another */

#define ATTESTATION_FILE "attestation.intoto.jsonl"

enum artefact_kind {
	ARTEFACT_FILE,
	ARTEFACT_FOLDER,
	ARTEFACT_LINK,
	ARTEFACT_OTHER /* a pipe, a socket, a device */
};

struct artefact {
	const char *name; /* "plots/incident.svg" */
	enum artefact_kind kind;
	uint64_t size;
};

struct artefacts {
	struct artefact *items;
	size_t count;
};

/* "a link", "neither file nor folder" */
const char *artefact_kind_text(enum artefact_kind kind);
/*
 * A name that may be signed and unpacked: UTF-8 without control characters, relative, no part of it
 * empty, "." or "..", within the limits above. Nothing else is let into a statement or a bundle.
 */
bool artefact_name_ok(const char *name);

/* A run folder; the descriptor is the caller's to close. ERROR_USAGE: there is none. */
int artefacts_open(const char *folder, int *ret_fd, struct error *e);
/* Everything below it, sorted, the names in the arena. ERROR_LIMIT, ERROR_IO. */
int artefacts_list(int fd, struct arena *arena, struct artefacts *ret_artefacts, struct error *e);
/* A regular file of it, for reading; -1: no such file, or a link on the way to it (ERROR_IO). */
int artefact_open(int fd, const char *name, struct error *e);

#endif
