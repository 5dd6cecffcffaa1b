/* SPDX-License-Identifier: Apache-2.0 */
/* Disks of device-mapper that a run has left on the host: found, and taken back. */
#ifndef DRIVERS_LINUX_DM_UNDO_H
#define DRIVERS_LINUX_DM_UNDO_H

#include "drivers/host/journal.h"

#define DM_FOLDER "/dev/mapper/" /* before a device's name, in a record */

/* The device's name is of this run, and of no other: drsim-RUN-NAME, with no "-" in NAME. */
bool dm_is_of_run(const char *name, const char *run);

/* UNDO_MAPPER: in order again and resumed, so that nobody waits; then unmounted here, and removed.
 * Nothing when it is gone. */
int dm_undo_mapper(const struct journal *journal, const struct undo *undo, struct error *e);
/* UNDO_LOOP: only over a file in the run's work folder. */
int dm_undo_loop(const struct journal *journal, const struct undo *undo, struct error *e);

/* Tells each device of the run's name, and each loop device over a file in its work folder. */
void dm_find(const struct journal *journal,
	     void (*add)(void *self, const char *what, const char *which), void *self);

#endif
