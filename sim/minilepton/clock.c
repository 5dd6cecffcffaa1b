/* SPDX-License-Identifier: Apache-2.0 */
/* minilepton clock: what the clocks of a process show that is started here. */
#include <stdio.h>
#include <time.h>

#include "sim/minilepton/minilepton.h"

static void print(clockid_t which, char end)
{
	struct timespec t;

	clock_gettime(which, &t); /* style: allow */
	printf("%lld.%09ld%c", (long long)t.tv_sec, t.tv_nsec, end);
}

static int clock_main(const void *given)
{
	(void)given;
	print(CLOCK_REALTIME, ' ');
	print(CLOCK_MONOTONIC, ' ');
	print(CLOCK_BOOTTIME, '\n');
	return MINILEPTON_OK;
}

static const struct options_row rows[] = {{.name = NULL}};
static const struct {
	char none;
} preset;

const struct minilepton_command minilepton_clock = {
	.name = "clock",
	.help = "prints the wall clock, the monotonic clock and the time since the boot",
	.rows = rows,
	.preset = &preset,
	.options_size = sizeof(preset),
	.main = clock_main,
};
