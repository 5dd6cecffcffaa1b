/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that a test starts on loopback and ends by their pid; they die with the test. */
#ifndef TESTS_PROGRAM_H
#define TESTS_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PROGRAM_WORDS_MAX 64

struct program {
	pid_t pid;        /* 0: it has been waited for */
	char address[64]; /* where it listens */
	char errors[32];  /* the file of its standard error, in the folder of the test */
};

/* Finds minilepton beside $DRSIM; before the working folder changes. */
void program_find(void);
/*
 * Starts minilepton with the words of `line` (one blank between two) and waits until it says where
 * it listens. A program that ends before that has an empty address.
 */
struct program program_start(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Its wait status when it has ended within `ms`; -1: it runs. */
int program_wait(struct program *program, int ms);
/* SIGTERM, SIGKILL after 5 s; the wait status. */
int program_end(struct program *program);
/* What it has said on standard error, for free(). */
char *program_said(const struct program *program);
/* CLOCK_MONOTONIC in ns. */
int64_t program_clock(void);
void program_pause(int ms);
/* Waits until `done` says so, at most `ms`; whether it did. */
bool program_until(bool (*done)(const void *self), const void *self, int ms);

#endif
