/* SPDX-License-Identifier: Apache-2.0 */
/* Monotonic clocks that are off: time namespaces, tried and looked into by children. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "drivers/linux/clock.h"

#define TRIED_AHEAD (1000 * NANOS_S)
#define TRIED_TEXT "monotonic 1000 0\nboottime 1000 0\n"
#define TRIED_SLACK NANOS_S

static nanos now_of(clockid_t which)
{
	struct timespec t;

	clock_gettime(which, &t); /* style: allow */
	return (nanos)t.tv_sec * NANOS_S + t.tv_nsec;
}

struct clock_reading clock_look(void)
{
	return (struct clock_reading){
		.wall = now_of(CLOCK_REALTIME),
		.monotonic = now_of(CLOCK_MONOTONIC),
		.boottime = now_of(CLOCK_BOOTTIME),
	};
}

/* What a child has found, sent through a pipe. */
struct found {
	const char *what; /* static text of this program: what did not work; NULL: all did */
	int error;
	bool user; /* in a user namespace of its own */
	struct clock_reading before, after;
};

static _Noreturn void tell(int pipe, struct found *found)
{
	found->error = found->what ? errno : 0;
	_exit(write(pipe, found, sizeof(*found)) == sizeof(*found) ? 0 : 1);
}

/* Runs `work` in a child, which ends by tell(). */
static int in_child(void (*work)(int pipe, const char *path), const char *path, struct found *ret,
		    struct error *e)
{
	int ends[2], error;
	ssize_t got = -1;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return error_set(e, ERROR_IO, NO_PLACE, "pipe: %s", strerror(errno));
	pid = fork();
	if (pid == 0)
		work(ends[1], path);
	error = errno;
	close(ends[1]);
	if (pid > 0)
		while ((got = read(ends[0], ret, sizeof(*ret))) < 0 && errno == EINTR)
			;
	close(ends[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (pid < 0)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "fork: %s", strerror(error));
	if (got != sizeof(*ret))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "a child that looks at clocks has died");
	if (ret->what)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "%s: %s", ret->what,
				 strerror(ret->error));
	return 0;
}

static bool enter(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd >= 0 && setns(fd, CLONE_NEWTIME) == 0;
}

static _Noreturn void try_in_child(int pipe, const char *path)
{
	struct found found = {.before = clock_look()};
	int fd;

	(void)path;
	if (unshare(CLONE_NEWTIME)) {
		found.user = true;
		if (unshare(CLONE_NEWUSER | CLONE_NEWTIME)) {
			found.what = "no time namespace, without and with a user namespace";
			tell(pipe, &found);
		}
	}
	fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, TRIED_TEXT, strlen(TRIED_TEXT)) != (ssize_t)strlen(TRIED_TEXT))
		found.what = "a time namespace takes no offsets";
	else if (!enter("/proc/self/ns/time_for_children"))
		found.what = "a time namespace cannot be entered";
	found.after = clock_look();
	tell(pipe, &found);
}

/* By how much it went ahead between two looks, beside the wall clock, which has no namespace. */
static nanos ahead_of(nanos before, nanos after, const struct found *found)
{
	return (after - before) - (found->after.wall - found->before.wall);
}

bool clock_namespace_probe(struct arena *arena, const char **ret_why)
{
	struct found found = {0};
	struct error e = {0};
	nanos off;

	if (in_child(try_in_child, NULL, &found, &e)) {
		*ret_why = arena_strdup(arena, e.text);
		return false;
	}
	off = ahead_of(found.before.monotonic, found.after.monotonic, &found) - TRIED_AHEAD;
	if (off < -TRIED_SLACK || off > TRIED_SLACK) {
		*ret_why = "a time namespace does not move the clock";
		return false;
	}
	*ret_why = arena_printf(arena, "monotonic clocks of what is started, by a time namespace%s",
				found.user ? " in a user namespace" : "");
	return true;
}

static _Noreturn void look_in_child(int pipe, const char *path)
{
	struct found found = {.before = clock_look()};

	if (!enter(path))
		found.what = "cannot enter the time namespace of a process";
	found.after = clock_look();
	tell(pipe, &found);
}

int clock_namespace_look(pid_t pid, struct clock_reading *ret_ahead, struct error *e)
{
	struct stat ours, theirs;
	struct found found = {0};
	char path[64];

	*ret_ahead = (struct clock_reading){0};
	snprintf(path, sizeof(path), "/proc/%ld/ns/time", (long)pid);
	if (stat("/proc/self/ns/time", &ours) || stat(path, &theirs))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "cannot see the time namespace of process %ld: %s", (long)pid,
				 strerror(errno));
	if (ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev)
		return 0;
	if (in_child(look_in_child, path, &found, e))
		return -1;
	ret_ahead->monotonic = ahead_of(found.before.monotonic, found.after.monotonic, &found);
	ret_ahead->boottime = ahead_of(found.before.boottime, found.after.boottime, &found);
	return 0;
}
