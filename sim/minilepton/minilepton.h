/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stand-in platform's program: a table of subcommands, each a const struct with its options and
 * one function. sim/minilepton/main.c lists them.
 */
#ifndef SIM_MINILEPTON_MINILEPTON_H
#define SIM_MINILEPTON_MINILEPTON_H

#include <stdbool.h>
#include <stddef.h>

#include "core/clock.h"
#include "core/error.h"
#include "sim/minilepton/options.h"

/* Exit codes of every subcommand. */
enum {
	MINILEPTON_OK = 0,
	MINILEPTON_FAILED = 1,
	MINILEPTON_USAGE = 2,
	MINILEPTON_WRONG_WEIGHTS = 4, /* their digest is not the one that was asked for */
};

#define MINILEPTON_SAY_MAX 1024 /* bytes of a line of the log; a longer one is cut */

struct minilepton_command {
	const char *name, *help;
	const struct options_row *rows;
	const void *preset; /* options not given keep these values */
	size_t options_size;
	/* The exit code. `options` is a copy of the preset with what was given. */
	int (*main)(const void *options);
};

extern const struct minilepton_command minilepton_node, minilepton_replica, minilepton_gateway;
extern const struct minilepton_command minilepton_control, minilepton_store, minilepton_trainer,
	minilepton_strain, minilepton_clock;

/* One line to standard error, with the time since the machine was booted in seconds in front. */
void minilepton_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Says the error; returns MINILEPTON_FAILED, so that a main reads `return minilepton_fail(&e);`. */
int minilepton_fail(const struct error *e);
/* CLOCK_MONOTONIC. */
nanos minilepton_now(void);
/*
 * How readily the kernel's OOM killer ends this process and what it starts: an oom_score_adj from
 * -1000, never, to 1000, first. To be spared needs a right; without it nothing changes. Returns
 * whether it did. Also for a child before its exec.
 */
bool minilepton_oom_score(const char *score);
/*
 * SIGTERM and SIGINT are blocked in all threads from the start of main(). Waits for one of them, at
 * most for `patience`; whether one came.
 */
bool minilepton_end_wait(nanos patience);

#endif
