/* SPDX-License-Identifier: Apache-2.0 */
/* minilepton strain: other work on a node, which takes CPU and memory and gives nothing. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim/minilepton/minilepton.h"

#define WORKERS_MAX 1024
#define PPM 1000000
#define BEAT (10 * NANOS_MS)      /* in each a worker is busy for its share */
#define BLOCK ((uint64_t)1 << 20) /* memory is taken in such steps */
#define PAUSE (NANOS_MS / 4)      /* between two of them */
/* They share what is taken: the OOM killer takes the biggest, which is to be somebody else. */
#define HOLDERS 4
#define LOOK (100 * NANOS_MS)
#define CLAIM_MAX ((uint64_t)1 << 40)

struct strain_options {
	uint64_t workers, load, memory;
};

#define ROW(name) offsetof(struct strain_options, name)
static const struct options_row rows[] = {
	{"workers", OPTIONS_NUMBER, ROW(workers), false, 0, WORKERS_MAX, "N",
	 "threads that keep a CPU busy"},
	{"load-ppm", OPTIONS_NUMBER, ROW(load), false, 1, PPM, "PPM",
	 "share of the time in which each of them does"},
	{"memory", OPTIONS_NUMBER, ROW(memory), false, 0, CLAIM_MAX, "BYTES",
	 "memory that is taken and kept"},
	{NULL, OPTIONS_TEXT, 0, false, 0, 0, NULL, NULL},
};
static const struct strain_options preset = {.load = PPM};

static nanos used_by_thread(void)
{
	struct timespec used;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used); /* style: allow */
	return used.tv_sec * NANOS_S + used.tv_nsec;
}

static void sleep_until(nanos when)
{
	struct timespec until = {.tv_sec = when / NANOS_S, .tv_nsec = when % NANOS_S};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

/* Counted by its own CPU time: a worker that was made to wait catches nothing up. */
static void *burn(void *context)
{
	const struct strain_options *options = context;
	nanos busy = (nanos)(BEAT * (nanos)options->load / PPM);

	for (nanos beat = minilepton_now();; beat = minilepton_now()) {
		nanos end = used_by_thread() + busy;
		while (used_by_thread() < end)
			;
		if (busy < BEAT)
			sleep_until(beat + BEAT);
	}
	return NULL;
}

static int burn_all(const struct strain_options *options, struct error *e)
{
	for (uint64_t i = 0; i < options->workers; i++) {
		pthread_t thread;
		int rc = pthread_create(&thread, NULL, burn, (void *)(uintptr_t)options);
		if (rc)
			return error_set(e, ERROR_MEMORY, NO_PLACE, "cannot start a worker: %s",
					 strerror(rc));
	}
	return 0;
}

/* What it has to itself already: it counts for what it is to take. */
static uint64_t own_bytes(void)
{
	uint64_t mapped, resident, shared;
	FILE *file = fopen("/proc/self/statm", "re");
	bool read = file && fscanf(file, "%" SCNu64 " %" SCNu64 " %" SCNu64, &mapped, &resident,
				   &shared) == 3;

	if (file)
		fclose(file);
	return read ? (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

/* Step by step, so that who is killed for it is gone before the next. */
static _Noreturn void hold(uint64_t bytes, pid_t parent)
{
	const long page = sysconf(_SC_PAGESIZE);
	volatile char *block;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	block = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (getppid() != parent || block == MAP_FAILED)
		_exit(MINILEPTON_FAILED);
	for (uint64_t at = 0; at < bytes; at += (uint64_t)page) {
		block[at] = 1;
		if (at % BLOCK == 0)
			sleep_until(minilepton_now() + PAUSE);
	}
	for (;;)
		pause();
}

static int hold_all(uint64_t bytes, struct error *e)
{
	uint64_t own = own_bytes();
	pid_t parent = getpid();

	for (int i = 0; i < HOLDERS && bytes > own; i++) {
		pid_t pid = fork();
		if (pid == 0)
			hold((bytes - own) / HOLDERS, parent);
		if (pid < 0)
			return error_set(e, ERROR_MEMORY, NO_PLACE, "fork: %s", strerror(errno));
	}
	return 0;
}

static int strain_main(const void *given)
{
	const struct strain_options *options = given;
	struct error e = {0};

	if (hold_all(options->memory, &e) || burn_all(options, &e))
		return minilepton_fail(&e);
	while (!minilepton_end_wait(LOOK))
		if (waitpid(-1, NULL, WNOHANG) > 0) {
			error_set(&e, ERROR_MEMORY, NO_PLACE, "a part of the memory was lost");
			return minilepton_fail(&e);
		}
	return MINILEPTON_OK;
}

const struct minilepton_command minilepton_strain = {
	.name = "strain",
	.help = "takes CPU and memory, as other work on a node does",
	.rows = rows,
	.preset = &preset,
	.options_size = sizeof(struct strain_options),
	.main = strain_main,
};
