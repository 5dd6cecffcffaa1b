/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that go into a network namespace and end there. */
#include "drivers/linux/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "drivers/lazy/netlink.h"

#define OF_ITS_OWN -1

struct visit {
	int netns; /* or OF_ITS_OWN */
	netns_work work;
	void *self;
	struct error *e;
	int rc;
};

static void *visit_in_thread(void *self)
{
	struct visit *visit = self;

	if (visit->netns == OF_ITS_OWN ? unshare(CLONE_NEWNET) : setns(visit->netns, CLONE_NEWNET))
		visit->rc = error_set(
			visit->e, ERROR_UNAVAILABLE, NO_PLACE, "cannot %s a network namespace: %s",
			visit->netns == OF_ITS_OWN ? "make" : "enter", strerror(errno));
	else
		visit->rc = visit->work(visit->self, visit->e);
	return NULL;
}

static int run(struct visit *visit)
{
	pthread_t thread;
	int rc = pthread_create(&thread, NULL, visit_in_thread, visit);

	if (rc)
		return error_set(visit->e, ERROR_UNAVAILABLE, NO_PLACE, "cannot start a thread: %s",
				 strerror(rc));
	pthread_join(thread, NULL);
	return visit->rc;
}

int netns_call(int netns, netns_work work, void *self, struct error *e)
{
	struct visit visit = {.netns = netns, .work = work, .self = self, .e = e};

	if (netns < 0)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "there is no network namespace: without the right to make them, "
				 "networks cannot be broken");
	return run(&visit);
}

int netns_try(netns_work work, void *self, struct error *e)
{
	struct visit visit = {.netns = OF_ITS_OWN, .work = work, .self = self, .e = e};

	return run(&visit);
}

int netns_here(int *ret_netns, struct error *e)
{
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "cannot hold a network namespace: %s", strerror(errno));
	*ret_netns = fd;
	return 0;
}

int netns_socket(struct nl_sock **ret_socket, struct error *e)
{
	struct nl_sock *socket;
	int rc;

	if (lazy_netlink_open(e))
		return -1;
	socket = nl_socket_alloc();
	if (!socket)
		return error_set(e, ERROR_MEMORY, NO_PLACE, "out of memory");
	rc = nl_connect(socket, NETLINK_ROUTE);
	if (rc) {
		nl_socket_free(socket);
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot open a netlink socket: %s",
				 nl_geterror(rc));
	}
	fcntl(nl_socket_get_fd(socket), F_SETFD, FD_CLOEXEC);
	*ret_socket = socket;
	return 0;
}
