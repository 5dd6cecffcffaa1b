/* SPDX-License-Identifier: Apache-2.0 */
/* Can system calls be made to fail here? A child is asked. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/linux/syscall_private.h"

#define CALL "getppid" /* which never fails by itself */
#define FAILURE EOVERFLOW
#define WORKS 0
#define FAILS_NOT 255

static _Noreturn void be_child(const struct syscall_launch *launch, int socket)
{
	if (syscall_child_install(launch, socket))
		_exit(errno);
	_exit(syscall(SYS_getppid) == -1 && errno == FAILURE ? WORKS : FAILS_NOT);
}

static int judge(int status, struct error *e)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : FAILS_NOT;

	if (code == WORKS)
		return 0;
	if (code == EBUSY)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "this process runs under a filter that has a listener already: a "
				 "container runtime's");
	if (code == FAILS_NOT)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "a call under a filter did not fail as it should");
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot put a filter on: %s",
			 strerror(code));
}

static int try_child(struct syscalls *syscalls, struct error *e)
{
	const struct syscall_launch *launch = syscalls_launch(syscalls, 0);
	int ends[2], status = 0, rc;
	bool any;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return error_set(e, ERROR_IO, NO_PLACE, "socketpair: %s", strerror(errno));
	pid = fork();
	if (pid == 0)
		be_child(launch, ends[1]);
	close(ends[1]);
	rc = pid < 0 ? error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "fork: %s", strerror(errno))
		     : syscall_child_take(launch, ends[0], &any, e);
	close(ends[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return rc ? rc : judge(status, e);
}

int syscall_probe(bool *ret_sync, struct error *e)
{
	static const char *const names[] = {CALL, NULL};
	const struct syscall_call call = {.name = CALL};
	const struct syscall_filter_config config = {.calls = &call, .call_count = 1};
	const struct syscall_rule rule = {.calls = names,
					  .action = SYSCALL_ERROR,
					  .error = FAILURE,
					  .place = SYSCALL_EVERYWHERE};
	const struct syscall_filter *filter;
	struct arena arena = {0};
	struct syscalls *syscalls;
	uint32_t number;
	int rc = -1;

	if (syscall_filter_make(&config, &arena, &filter, e) ||
	    syscalls_open(filter, NULL, &arena, &syscalls, e))
		goto out;
	rc = syscalls_rule(syscalls, &rule, &number, e);
	if (rc == 0) {
		syscalls_switch(syscalls, number, true);
		rc = try_child(syscalls, e);
	}
	*ret_sync = syscalls_sum(syscalls).sync_wake_up;
	syscalls_close(syscalls);
out:
	arena_free(&arena);
	return rc;
}
