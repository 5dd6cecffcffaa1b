/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls inside a network namespace. Each runs in a thread of its own, so that the caller stays
 * where it is, and returns when that thread has ended. Any thread.
 */
#ifndef DRIVERS_LINUX_NETNS_H
#define DRIVERS_LINUX_NETNS_H

#include "core/error.h"

struct nl_sock;

typedef int (*netns_work)(void *self, struct error *e);

/* What `work` returns, called with `self` in the namespace of that descriptor. ERROR_UNAVAILABLE
 * when it cannot be entered. */
int netns_call(int netns, netns_work work, void *self, struct error *e);
/* The same in a child, in a new namespace that nothing else is in and that vanishes with it;
 * without the right to make one, in a user namespace of its own: for probes. What `work` writes is
 * lost with the child, but for its result and *e. ERROR_UNAVAILABLE when there can be no such
 * namespace. */
int netns_try(netns_work work, void *self, struct error *e);

/* A descriptor of the namespace that the calling thread is in, for close(). */
int netns_here(int *ret_netns, struct error *e);
/* A socket of rtnetlink in the namespace that the calling thread is in; loads libnl. For
 * nl_socket_free(). */
int netns_socket(struct nl_sock **ret_socket, struct error *e);

#endif
