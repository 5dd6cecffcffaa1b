/* SPDX-License-Identifier: Apache-2.0 */
/* What every subcommand needs: the log, and the clock. */
#include "sim/minilepton/minilepton.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

nanos minilepton_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t); /* style: allow */
	return (nanos)t.tv_sec * NANOS_S + t.tv_nsec;
}

void minilepton_say(const char *format, ...)
{
	char line[MINILEPTON_SAY_MAX];
	nanos now = minilepton_now();
	int head = snprintf(line, sizeof(line), "[%lld.%06lld] ", (long long)(now / NANOS_S),
			    (long long)(now % NANOS_S / NANOS_US));
	size_t used = (size_t)head;
	va_list arguments;
	int more;

	va_start(arguments, format);
	more = vsnprintf(line + used, sizeof(line) - used - 1, format, arguments);
	va_end(arguments);
	used += more < 0 ? 0 : (size_t)more;
	if (used > sizeof(line) - 2)
		used = sizeof(line) - 2;
	line[used++] = '\n';
	/* One write: lines of several threads and processes do not mix. */
	if (write(STDERR_FILENO, line, used) < 0)
		return; /* there is nobody left to tell */
}

bool minilepton_end_wait(nanos patience)
{
	struct timespec most = {.tv_sec = patience / NANOS_S, .tv_nsec = patience % NANOS_S};
	sigset_t ends;

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	return sigtimedwait(&ends, NULL, &most) > 0;
}

int minilepton_fail(const struct error *e)
{
	minilepton_say("error: %s", e->text);
	return MINILEPTON_FAILED;
}

bool minilepton_oom_score(const char *score)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, score, strlen(score)) == (ssize_t)strlen(score);

	if (fd >= 0)
		close(fd);
	return done;
}
