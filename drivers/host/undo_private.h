/* SPDX-License-Identifier: Apache-2.0 */
/* Between the parts of undo: files on one side, everything else on the other. */
#ifndef DRIVERS_HOST_UNDO_PRIVATE_H
#define DRIVERS_HOST_UNDO_PRIVATE_H

#include "drivers/host/undo.h"

/* Is `path` in the folder `folder`? */
bool undo_is_below(const char *path, const char *folder);
/* The next word of a line of mountinfo, in place: blanks and the like are octal in it. */
char *undo_next_word(char **at);

int undo_file(const struct journal *journal, const struct undo *undo, struct error *e);
int undo_remove(const struct undo *undo, struct error *e);
int undo_rename(const struct undo *undo, struct error *e);

#endif
