/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of a test that run under a filter of system calls. */
#ifndef TESTS_FILTERED_H
#define TESTS_FILTERED_H

#include <sys/types.h>

#include "drivers/linux/syscall.h"

/* A supervisor for these calls, without compares; aborts with the reason. */
struct syscalls *filtered_open(struct arena *arena, struct guardian *guardian,
			       const char *const *calls);
/* A rule that is on. */
uint32_t filtered_rule(struct syscalls *syscalls, const struct syscall_rule *rule);

/* Starts a program; standard output goes to `output`, -1: as it is. It dies with this thread
 * unless it `outlives`. */
pid_t filtered_start(const struct syscall_launch *launch, const char *const *argv, int output,
		     bool outlives);
/* Runs `body` in a child, whose exit status it returns. */
pid_t filtered_fork(const struct syscall_launch *launch, int (*body)(void *self), void *self);
/* Its exit status, after at most `ms`; -1: it was killed, -2: it runs. */
int filtered_wait(pid_t pid, int ms);

#endif
