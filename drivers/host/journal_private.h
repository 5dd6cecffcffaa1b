/* SPDX-License-Identifier: Apache-2.0 */
/* Between the two halves of the journal: the file, and the text in it. */
#ifndef DRIVERS_HOST_JOURNAL_PRIVATE_H
#define DRIVERS_HOST_JOURNAL_PRIVATE_H

#include "drivers/host/journal.h"

#define JOURNAL_SHORT_MAX 128 /* a line that says that a record is undone */

#define JOURNAL_CLOSING_MAX 40

bool journal_is_run(const char *run);
/* Absolute, no "..", "." or empty part, not longer than JOURNAL_PATH_MAX. */
bool journal_is_path(const char *path);
/* A line each, added at text + *size, which has room for JOURNAL_LINE_MAX. */
int journal_print_header(const struct journal *journal, char *text, size_t *size, struct error *e);
int journal_print_undo(const struct undo *undo, char *text, size_t *size, struct error *e);
/* Puts the checksum and the end behind `length` bytes of an object that lacks its last brace;
 * returns the new length, at most JOURNAL_CLOSING_MAX more. */
size_t journal_close_line(char *text, size_t length);
void journal_print_done(uint64_t number, char *text, size_t *size);
/* Takes a record into memory, with copies of its texts. */
void journal_keep(struct journal *journal, const struct undo *undo);
/* Counts a damaged line; the first one's reason stays. */
void journal_damage(struct journal *journal, size_t line, const char *why);

#endif
