/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run in one file: a tar archive (reports/tar.h) in one LZ4 frame, which `lz4 -d` and `tar` read.
 * The folder in it is named after the drill's id. The frame has checksums of its own, so that
 * damage is found without a signature, too.
 */
#ifndef REPORTS_BUNDLE_H
#define REPORTS_BUNDLE_H

#include <stdio.h>

#include "core/arena.h"
#include "core/error.h"
#include "reports/tar.h"
#include "reports/verify.h"

struct bundle_size {
	size_t files;
	uint64_t bytes, packed;
};

/*
 * Packs everything of a run folder, signed or not, into the new file `path`. ERROR_USAGE: `folder`
 * is no run folder, holds something else than files, or `path` is there already or lies in it.
 * ERROR_LIMIT as tar_header(); ERROR_IO leaves no file.
 */
int bundle_write(const char *folder, const char *path, struct arena *arena,
		 struct bundle_size *ret_size, struct error *e);

/* ---- reading ---- */

struct bundle;

/* Reads from `file`, which stays the caller's and open; bundle_close() gives back the rest. */
struct bundle *bundle_open(FILE *file, struct arena *arena);
void bundle_close(struct bundle *bundle);
/* As tar_next() and tar_read(), of the archive in it. */
int bundle_next(struct bundle *bundle, const struct tar_reader **ret_tar, struct error *e);
int bundle_read(struct bundle *bundle, void *bytes, size_t size, size_t *ret_got, struct error *e);

/* verify_source() over a bundle. -1, ERROR_USAGE: it cannot be opened. */
int verify_bundle(const char *path, const struct public_key *key, struct arena *arena,
		  struct verified *ret_verified, struct error *e);

#endif
