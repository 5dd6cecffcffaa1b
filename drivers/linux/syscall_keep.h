/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps the listeners of system-call filters open beyond the death of drsim, and answers for it:
 * every call goes on. It is a process of its own, which the guardian forks when the first listener
 * comes, so that neither waits for the other at the instant of need; it then allocates nothing.
 *
 * Calls that drsim had taken and not answered yet are known to nobody else: the kernel tells of
 * each once. So drsim has the kernel write them into memory that both share.
 */
#ifndef DRIVERS_LINUX_SYSCALL_KEEP_H
#define DRIVERS_LINUX_SYSCALL_KEEP_H

#include <linux/seccomp.h>
#include <stdint.h>

#define SYSCALL_PENDING_MAX 4096  /* calls that are held at a time */
#define SYSCALL_LISTENERS_MAX 512 /* programs started that live, at a time */
#define SYSCALL_TABLES_MAX 8      /* supervisors at a time */

struct syscall_slot {
	uint32_t key; /* of its listener */
	uint32_t unused;
	struct seccomp_notif call; /* id 0: nobody waits */
};

struct syscall_table {
	struct syscall_slot slots[SYSCALL_PENDING_MAX];
};

enum syscall_keep_kind {
	SYSCALL_KEEP_TABLE,    /* the descriptor: of a syscall_table */
	SYSCALL_KEEP_LISTENER, /* the descriptor: a listener */
	SYSCALL_KEEP_SERVE,    /* no descriptor: its supervisor has ended, answer from now on */
};

/* Each is answered with one byte when it has been taken, 0: it was refused. */
struct syscall_keep_message {
	uint32_t kind;  /* enum syscall_keep_kind */
	uint32_t table; /* the number of the supervisor's table */
	uint32_t key;   /* of a listener */
};

/*
 * The life of the keeper: takes messages from `socket` (SOCK_SEQPACKET), answers all calls as soon
 * as `owner` (a pidfd, -1: none) or everybody at the other end of the socket is gone, and ends when
 * no program is left.
 */
_Noreturn void syscall_keep(int socket, int owner);

#endif
