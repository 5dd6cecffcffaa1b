/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the steps of a drill may break, known before anything is started: some faults need
 * something to be there from a program's start on (a filter of its system calls, a layer over its
 * disk), and who will not be hit shall not pay for it.
 */
#ifndef DRIVERS_PROCESS_PLANNED_H
#define DRIVERS_PROCESS_PLANNED_H

#include "drivers/process/process.h"

/* All effects of all steps, on everything that their targets may name. */
int planned_open(struct real *real, struct error *e);
/* Can one of these kinds hit this node, or what runs there? */
bool planned_on_node(const struct real *real, effect_mask kinds, uint32_t node);
/* Can one of these kinds hit the store? */
bool planned_on_store(const struct real *real, effect_mask kinds);
/* Calls back for each effect of these kinds. */
void planned_each(const struct real *real, effect_mask kinds,
		  void (*each)(void *self, const struct effect *effect), void *self);

#endif
