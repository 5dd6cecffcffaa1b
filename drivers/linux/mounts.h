/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of mount by descriptors (Linux 5.2), which older C libraries do not have. Each gives 0
 * or a descriptor, or -1 with errno. */
#ifndef DRIVERS_LINUX_MOUNTS_H
#define DRIVERS_LINUX_MOUNTS_H

/* A file system of this type to be made. */
int mounts_open(const char *type);
/* The one that a path is on, to be changed. */
int mounts_pick(const char *path);
/* An option; value NULL: one without. */
int mounts_set(int context, const char *key, const char *value);
int mounts_create(int context);
int mounts_change(int context);
/* Mounts it where nobody finds it: only the descriptor leads to it. */
int mounts_nowhere(int context);
/* What is mounted by this thread from now on is for it alone: in a user namespace of our own the
 * calls above need that. */
int mounts_enter(void);

#endif
