/* SPDX-License-Identifier: Apache-2.0 */
/* A few stand-in machines for a test, each with a node agent of minilepton, and the proof that
 * nothing of them is left. */
#ifndef TESTS_DRILL_MACHINES_H
#define TESTS_DRILL_MACHINES_H

#include <stddef.h>

#include "core/arena.h"
#include "drivers/host/guardian.h"
#include "drivers/host/journal.h"
#include "drivers/host/machine.h"

struct drill_machines {
	struct arena arena;
	struct journal *journal;
	struct guardian guardian;
	struct machine_site site;
	struct machine_config *configs;
	struct machines_config config;
	struct machines *machines;
};

/* Opens a journal, starts a guardian, makes `count` machines with two GPUs each. */
void drill_machines_open(struct drill_machines *drill, const char *run, size_t count,
			 bool loopback);
/* Starts `minilepton node` on one; `how` may hold environment and clocks. Its address. */
const char *drill_machines_start(struct drill_machines *drill, size_t index,
				 struct machine_start how);
/* Closes all of it; fails the test when something is left. */
void drill_machines_close(struct drill_machines *drill);
/* From here on without root, in the working folder: for tests of their own process. */
void drill_give_up_root(void);

#endif
