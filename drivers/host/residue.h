/* SPDX-License-Identifier: Apache-2.0 */
/* What is left of a run: everything that carries its id or stands in its journal. */
#ifndef DRIVERS_HOST_RESIDUE_H
#define DRIVERS_HOST_RESIDUE_H

#include <stddef.h>

#include "drivers/host/journal.h"

#define RESIDUE_TEXTS_MAX 1000 /* then "and more" */

/*
 * Looks for processes of the run, its cgroups, mounts in any mount table that can be read, named
 * network namespaces, links, nft tables and device-mapper devices of its name, loop devices over
 * files in its work folder, that folder, and files that the journal
 * says to have been changed and that do not have their pristine content back. Returns how many;
 * *ret_texts tells each ("process 4711 (minilepton)"), NULL-terminated, in the journal's arena.
 * 0: proven clean.
 */
size_t residue_scan(const struct journal *journal, const char ***ret_texts);

#endif
