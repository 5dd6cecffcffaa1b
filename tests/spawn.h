/* SPDX-License-Identifier: Apache-2.0 */
/* Running the drsim program from a test. */
#ifndef TESTS_SPAWN_H
#define TESTS_SPAWN_H

#define SPAWN_ARGS_MAX 32

/*
 * Runs $DRSIM with `arguments` (NULL-terminated, at most SPAWN_ARGS_MAX), its output to `log` (or
 * to nowhere when NULL). Returns the exit status, 128 + signal when one ended it, -1 when it could
 * not be started.
 */
int spawn_drsim(const char *const *arguments, const char *log);

#endif
