/* SPDX-License-Identifier: Apache-2.0 */
/* A child puts a filter on; its parent takes the listener. */
#include "drivers/linux/syscall_child.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Headers are older than kernels. */
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1ul << 5)
#endif

#define MARK ((unsigned long)SYSCALL_CHILD_MARK)

union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

/* ---- in the child ---- */

static int put_on(const struct sock_fprog *program, unsigned long flags)
{
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, program);
}

/* A signal between the look at a call and its answer would have it asked about again: where the
 * kernel can, it waits. */
static int put_on_best(const struct sock_fprog *program)
{
	const unsigned long listener = SECCOMP_FILTER_FLAG_NEW_LISTENER;
	int fd = put_on(program, listener | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);

	return fd < 0 && errno == EINVAL ? put_on(program, listener) : fd;
}

static int send_listener(int socket, int listener)
{
	char word = 'l';
	struct iovec iov = {.iov_base = &word, .iov_len = 1};
	union control control = {.bytes = {0}};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &listener, sizeof(listener));
	return syscall(SYS_sendmsg, socket, &message, 0, 0, 0, MARK) == 1 ? 0 : -1;
}

int syscall_child_install(const struct syscall_launch *launch, int socket)
{
	int listener = put_on_best(&launch->program);
	char word;

	if (listener < 0 && errno == EACCES && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		listener = put_on_best(&launch->program);
	if (listener < 0)
		return -1;
	/* Under a filter that nobody listens to calls fail with ENOSYS, and without a parent there
	 * is nothing to go on for. */
	if (send_listener(socket, listener))
		_exit(126);
	/* With a copy of its own it would wait for ever once everybody else is gone. */
	syscall(SYS_close, listener, 0, 0, 0, 0, MARK);
	if (syscall(SYS_read, socket, &word, sizeof(word), 0, 0, MARK) != 1)
		_exit(126);
	/* The mark does not stay in the register for a call that has fewer arguments. */
	syscall(-1, 0, 0, 0, 0, 0, 0);
	return 0;
}

int syscall_child_exec(const char *path, char *const argv[], char *const envp[])
{
	return (int)syscall(SYS_execve, path, argv, envp, 0, 0, MARK);
}

ssize_t syscall_child_write(int fd, const void *bytes, size_t size)
{
	return syscall(SYS_write, fd, bytes, size, 0, 0, MARK);
}

/* ---- in the parent ---- */

/* The listener; -1: the other end was closed before. */
static int receive_listener(int socket)
{
	char word;
	struct iovec iov = {.iov_base = &word, .iov_len = 1};
	union control control;
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *header;
	ssize_t got;
	int fd = -1;

	while ((got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
		;
	header = got == 1 ? CMSG_FIRSTHDR(&message) : NULL;
	if (header && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

int syscall_child_take(const struct syscall_launch *launch, int socket, bool *ret_any,
		       struct error *e)
{
	int listener = receive_listener(socket);

	*ret_any = listener >= 0;
	if (listener < 0)
		return 0;
	if (launch->adopt(launch->self, listener, e))
		return -1;
	if (send(socket, "g", 1, MSG_NOSIGNAL) != 1)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "a program died while its filter was put on");
	return 0;
}
