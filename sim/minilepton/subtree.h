/* SPDX-License-Identifier: Apache-2.0 */
/* Files below one folder by names that come from outside: nothing leads out of it. */
#ifndef SIM_MINILEPTON_SUBTREE_H
#define SIM_MINILEPTON_SUBTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SUBTREE_PATH_MAX 512
#define SUBTREE_DEPTH_MAX 64

/* The folder itself, opened with O_PATH or more; -1 with errno. */
int subtree_open(const char *path);
/*
 * Opens a path below `folder` ("" is the folder itself); -1 with errno: ENOENT, EXDEV or ELOOP for
 * one that leads out, EINVAL for one that is no plain path.
 */
int subtree_open_at(int folder, const char *path, int flags, mode_t mode);
/* The folder that holds the last segment of `path`, made with those above it where they are missing
 * and `make` is set; *ret_name points into `path`. -1 with errno. */
int subtree_parent(int folder, const char *path, bool make, const char **ret_name);
/*
 * Puts a file there as a whole or not at all: a temporary file, fsync, rename, fsync of its folder.
 * -1 with errno.
 */
int subtree_write(int folder, const char *path, const void *data, size_t size);
/* Removes a file, an empty folder, or with `all` whatever is there. -1 with errno. */
int subtree_remove(int folder, const char *path, bool all);
/* Sum of the sizes of all files below. -1 with errno. */
int subtree_usage(int folder, uint64_t *ret_bytes);
/* "a/b.c_d-1": no empty segment, no "." or "..", at most SUBTREE_PATH_MAX bytes and
 * SUBTREE_DEPTH_MAX segments. */
bool subtree_path_good(const char *path);

#endif
