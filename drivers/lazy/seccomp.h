/* SPDX-License-Identifier: Apache-2.0 */
/* libseccomp, loaded at the first use: include this instead of <seccomp.h>. */
#ifndef DRIVERS_LAZY_SECCOMP_H
#define DRIVERS_LAZY_SECCOMP_H

#include <seccomp.h>

#include "core/lazy.h"

/* What drsim calls. One that stands neither here nor below does not link. */
#define LAZY_SECCOMP(X)                                                                            \
	X(seccomp_, attr_set)                                                                      \
	X(seccomp_, export_bpf)                                                                    \
	X(seccomp_, init)                                                                          \
	X(seccomp_, release)                                                                       \
	X(seccomp_, rule_add_array)                                                                \
	X(seccomp_, syscall_resolve_name)                                                          \
	X(seccomp_, syscall_resolve_num_arch)

struct lazy_seccomp {
	LAZY_SECCOMP(LAZY_POINTER)
};

/* Loads it the first time. From any thread, as often as one likes. */
int lazy_seccomp_open(struct error *e);
/* Only after lazy_seccomp_open() has returned 0. */
const struct lazy_seccomp *lazy_seccomp(void);

#define seccomp_attr_set lazy_seccomp()->attr_set
#define seccomp_export_bpf lazy_seccomp()->export_bpf
#define seccomp_init lazy_seccomp()->init
#define seccomp_release lazy_seccomp()->release
#define seccomp_rule_add_array lazy_seccomp()->rule_add_array
#define seccomp_syscall_resolve_name lazy_seccomp()->syscall_resolve_name
#define seccomp_syscall_resolve_num_arch lazy_seccomp()->syscall_resolve_num_arch

#endif
