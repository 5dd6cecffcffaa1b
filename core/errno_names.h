/* SPDX-License-Identifier: Apache-2.0 */
/* The errors of system calls by name, in both directions: "ENOSPC" is 28 on Linux. */
#ifndef CORE_ERRNO_NAMES_H
#define CORE_ERRNO_NAMES_H

#include "core/error.h"

/* Its number, above 0; 0: there is none of that name. EWOULDBLOCK, EDEADLOCK and ENOTSUP are known
 * as well. */
int errno_by_name(const char *name);
/* NULL: no error has this number. */
const char *errno_name(int number);
/* -1 with ERROR_SCENARIO at `place` and the nearest name where there is none of it. */
int errno_parse(const char *name, struct place place, int *ret_number, struct error *e);

#endif
