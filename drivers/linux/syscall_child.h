/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a program comes to run under a filter of system calls: between fork and exec the child puts
 * it on, hands the listener to its parent, and runs the program when that has taken it over. The
 * child's part allocates nothing and locks nothing. What the filter lists is not asked about in
 * these few calls: they carry a mark that the filter knows.
 */
#ifndef DRIVERS_LINUX_SYSCALL_CHILD_H
#define DRIVERS_LINUX_SYSCALL_CHILD_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/error.h"

/* In the sixth argument of sendmsg, close, read, write and execve, which have fewer. */
#define SYSCALL_CHILD_MARK UINT64_C(0x6472d51ab3e5f00d)

/* What a start needs; syscalls_launch() makes one. */
struct syscall_launch {
	struct sock_fprog program;
	/* Takes the listener over, before the program runs; it is the callee's even on failure. */
	int (*adopt)(void *self, int listener, struct error *e);
	void *self;
};

/*
 * In the child, as the last thing before syscall_child_exec(): the filter is on, for it and all
 * that comes of it, and the parent has the listener. `socket` is its end of a pair
 * (SOCK_SEQPACKET).
 * NO_NEW_PRIVS is set only where CAP_SYS_ADMIN is missing. -1 with errno: no filter is on.
 */
int syscall_child_install(const struct syscall_launch *launch, int socket);
/* execve() and write() that no filter asks about. Also where there is none. */
int syscall_child_exec(const char *path, char *const argv[], char *const envp[]);
ssize_t syscall_child_write(int fd, const void *bytes, size_t size);

/*
 * In the parent, which has closed its copy of the child's end: waits for the listener, has it
 * adopted, and lets the child go on. *ret_any false: the child ended or failed before; it has said
 * why elsewhere.
 */
int syscall_child_take(const struct syscall_launch *launch, int socket, bool *ret_any,
		       struct error *e);

#endif
