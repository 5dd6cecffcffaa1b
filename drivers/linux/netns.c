/* SPDX-License-Identifier: Apache-2.0 */
/* Threads and children that go into a network namespace and end there. */
#include "drivers/linux/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/lazy/netlink.h"

struct visit {
	int netns;
	netns_work work;
	void *self;
	struct error *e;
	int rc;
};

static void *visit_in_thread(void *self)
{
	struct visit *visit = self;

	if (setns(visit->netns, CLONE_NEWNET))
		visit->rc = error_set(visit->e, ERROR_UNAVAILABLE, NO_PLACE,
				      "cannot enter a network namespace: %s", strerror(errno));
	else
		visit->rc = visit->work(visit->self, visit->e);
	return NULL;
}

int netns_call(int netns, netns_work work, void *self, struct error *e)
{
	struct visit visit = {.netns = netns, .work = work, .self = self, .e = e};
	pthread_t thread;
	int rc;

	if (netns < 0)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "there is no network namespace: without the right to make them, "
				 "networks cannot be broken");
	rc = pthread_create(&thread, NULL, visit_in_thread, &visit);
	if (rc)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot start a thread: %s",
				 strerror(rc));
	pthread_join(thread, NULL);
	return visit.rc;
}

/* What a child has found out. */
struct verdict {
	int rc;
	enum error_kind kind;
	char text[ERROR_TEXT_MAX];
};

static struct verdict try_in_child(netns_work work, void *self)
{
	struct verdict verdict = {0};
	struct error error = {.kind = ERROR_NONE};

	if (unshare(CLONE_NEWNET) && unshare(CLONE_NEWUSER | CLONE_NEWNET))
		verdict.rc = error_set(&error, ERROR_UNAVAILABLE, NO_PLACE,
				       "cannot make a network namespace: %s", strerror(errno));
	else
		verdict.rc = work(self, &error);
	verdict.kind = error.kind;
	snprintf(verdict.text, sizeof(verdict.text), "%s", error.text);
	return verdict;
}

int netns_try(netns_work work, void *self, struct error *e)
{
	struct verdict verdict;
	int ends[2];
	ssize_t got;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot make a pipe: %s",
				 strerror(errno));
	pid = fork();
	if (pid == 0) {
		verdict = try_in_child(work, self);
		_exit(write(ends[1], &verdict, sizeof(verdict)) == sizeof(verdict) ? 0 : 1);
	}
	close(ends[1]);
	got = read(ends[0], &verdict, sizeof(verdict));
	close(ends[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (pid < 0 || got != sizeof(verdict))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "a child that tries it %s",
				 pid < 0 ? "cannot be started" : "ended before it could say");
	return verdict.rc ? error_set(e, verdict.kind, NO_PLACE, "%s", verdict.text) : 0;
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
