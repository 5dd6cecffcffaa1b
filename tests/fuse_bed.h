/* SPDX-License-Identifier: Apache-2.0 */
/* A layer over a folder "data", in a mount namespace of the test's own, and the folder below it. */
#ifndef TESTS_FUSE_BED_H
#define TESTS_FUSE_BED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "drivers/linux/fuse.h"

#define BED_PATH_MAX 4352

extern struct fuse_layer *bed_layer;
extern struct arena bed_arena;
extern struct error bed_error;
extern char bed_data[BED_PATH_MAX]; /* the folder through the layer */

/* Fixtures. Where this host cannot do it bed_layer is NULL, and it is printed why. */
void bed_setup(void);
void bed_teardown(void);
/* Takes the layer off: then bed_data is the folder below. */
void bed_close(void);

/* A path through the layer, and below it; each valid until the fourth call after it. */
const char *bed_above(const char *name);
const char *bed_below(const char *name);

/* Begins a fault; ends it. */
uint32_t bed_set(const struct fuse_fault *fault);
void bed_end(uint32_t number);
struct fuse_counts bed_counts(uint32_t number);
struct fuse_loss bed_crash(void);

/* Of names, kinds, modes and contents of all that is in a folder. */
uint64_t bed_digest(const char *folder);
void bed_write(const char *path, const void *bytes, size_t size);
/* Bytes read, or -1 with errno. */
ssize_t bed_read(const char *path, void *bytes, size_t size);

/* A child that runs this and exits with what it returns; it dies with the test. */
pid_t bed_child(int (*run)(void *self), void *self);
/* Its wait status; -1: it has not ended after so long. */
int bed_wait(pid_t pid, int ms);
/* Runs a program to its end: its exit status, and what it says, cut off at `size`. */
int bed_run(const char *const *argv, char *said, size_t size);
bool bed_has(const char *program);

#endif
