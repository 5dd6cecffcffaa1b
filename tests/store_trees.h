/* SPDX-License-Identifier: Apache-2.0 */
/* Folders for tests of the backup engine: made, changed, compared to the byte. */
#ifndef TESTS_STORE_TREES_H
#define TESTS_STORE_TREES_H

#include <stddef.h>
#include <stdint.h>

/* A file of noise; the folders above it are there already. */
void tree_file(const char *path, size_t bytes, uint64_t seed);
/* Overwrites a part of it. */
void tree_write(const char *path, uint64_t offset, const void *data, size_t bytes);
/* A folder with everything that a backup has to bring back: odd names, sizes around a chunk's,
 * holes, zeros, repeats, links, modes, times, empty folders. */
void tree_odd(const char *path);
/* What tells two folders apart, or "" when nothing does: names, types, modes, times of change,
 * targets, contents. */
const char *tree_difference(const char *a, const char *b);

/* The bytes of a whole file, for free(); its length. */
uint8_t *tree_read_file(const char *path, size_t *ret_bytes);
/* Writes them back as they are given. */
void tree_write_file(const char *path, const uint8_t *data, size_t bytes);
/* Flips one bit of a file. */
void tree_flip(const char *path, uint64_t bit);

#endif
