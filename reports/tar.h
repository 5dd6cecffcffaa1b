/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tar archive (POSIX ustar) of files below one folder, of which every byte follows from the
 * folder's name and the files' names and contents: no times, no owners, no entries for folders.
 * Reading accepts nothing else, so that no byte of it can be changed unseen.
 */
#ifndef REPORTS_TAR_H
#define REPORTS_TAR_H

#include "core/error.h"
#include "reports/artefacts.h"

#define TAR_BLOCK 512
#define TAR_NAME_MAX 100                       /* bytes of a file's own name */
#define TAR_FOLDER_MAX 155                     /* of the folders above it */
#define TAR_FILE_MAX (((uint64_t)8 << 30) - 1) /* eleven octal digits */
#define TAR_END (2 * TAR_BLOCK)                /* zeros at the end */

/* The header of root/name. ERROR_LIMIT: the name or the size does not fit into one. */
int tar_header(const char *root, const char *name, uint64_t size, uint8_t ret_header[TAR_BLOCK],
	       struct error *e);
/* Zeros that follow a file of this size. */
size_t tar_padding(uint64_t size);
/* What a file takes in all. */
uint64_t tar_room(uint64_t size);

/* Gives bytes of the archive: fewer than `size` only at its end. */
typedef int tar_read_fn(void *self, void *bytes, size_t size, size_t *ret_got, struct error *e);

/* Zero-initialise, then fill the first two. */
struct tar_reader {
	tar_read_fn *read;
	void *self;
	uint64_t left;  /* of the file that is being read */
	size_t padding; /* that follows it */
	size_t count;
	bool ended;
	char root[TAR_FOLDER_MAX + 1]; /* "" before the first file */
	char name[ARTEFACT_NAME_MAX];
	uint64_t size;
};

/*
 * 1: name and size of the next file, which comes after the one before in the order of names; 0: the
 * archive is over, with nothing behind it; -1: it is no archive as above (ERROR_IO, ERROR_LIMIT).
 * What was not read of the file before is skipped.
 */
int tar_next(struct tar_reader *tar, struct error *e);
/* The next bytes of that file; 0 at its end. */
int tar_read(struct tar_reader *tar, void *bytes, size_t size, size_t *ret_got, struct error *e);

#endif
