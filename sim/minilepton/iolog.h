/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I/O logs of a site: each replica appends to one of its own, and any of them reads all. A log
 * is made of the lines of record.h; what follows its last newline is torn and never served.
 */
#ifndef SIM_MINILEPTON_IOLOG_H
#define SIM_MINILEPTON_IOLOG_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

#define IOLOG_FILES_MAX 256                 /* logs in a folder */
#define IOLOG_RECORDS_MAX ((size_t)1 << 25) /* in all of them */
#define IOLOG_ASKED_MAX 10000               /* sequence numbers asked for at once */
#define IOLOG_ANSWER_MAX ((size_t)64 << 20) /* bytes of an answer */
#define IOLOG_SUFFIX ".log"

/* ---- writing ---- */

struct iolog {
	int fd;
	uint64_t size; /* of what is known to be on the disk */
};

/*
 * Opens or makes DIR/ID.log. A torn last line is cut off; *ret_cut is its length. The folder is
 * synced, so that the name is as durable as the records.
 */
int iolog_open(struct iolog *log, const char *dir, const char *id, uint64_t *ret_cut,
	       struct error *e);
/*
 * Appends whole lines and returns when they are on the disk. ERROR_UNAVAILABLE: nothing was
 * written (the disk is full), the log is as it was. ERROR_IO: what the disk holds is not known any
 * more; only a new start can find out.
 */
int iolog_append(struct iolog *log, const char *lines, size_t size, struct error *e);
void iolog_close(struct iolog *log);

/* ---- reading ---- */

struct iolog_reader;

int iolog_reader_open(const char *dir, struct iolog_reader **ret_reader, struct error *e);
/*
 * The records of all logs with a sequence number in [from, from + count), sorted by it, then by the
 * log's name and place. *ret_text is for free(). Only what has come since the last call is
 * searched. ERROR_LIMIT: too many, ask for fewer.
 */
int iolog_read(struct iolog_reader *reader, uint64_t from, uint64_t count, char **ret_text,
	       size_t *ret_size, struct error *e);
/* Lines whose sequence number cannot be read, in all logs, at the last call. */
uint64_t iolog_damaged(const struct iolog_reader *reader);
void iolog_reader_close(struct iolog_reader *reader);

#endif
