/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of its own for a test that runs the program: entered before it, removed after it. */
#ifndef TESTS_WORKPLACE_H
#define TESTS_WORKPLACE_H

#include <limits.h>

extern char workplace_program[PATH_MAX]; /* the program under test, $DRSIM, as a full path */
extern char workplace_root[PATH_MAX];    /* the folder that the tests were started in */

/* Makes a folder "drsim-NAME-…" under $TMPDIR or /tmp, changes into it, and puts DRSIM_STATE there.
 */
void workplace_enter(const char *name);
/* Back to the root; the folder is removed with all that is in it. */
void workplace_leave(void);
/* Remove a folder with all that is in it; nothing when there is none. */
void workplace_remove(const char *folder);
/* The whole text of a file, for free(). */
char *workplace_read(const char *path);

#endif
