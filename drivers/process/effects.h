/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the driver's effects, shared by effects.c and effects_data.c. */
#ifndef DRIVERS_PROCESS_EFFECTS_H
#define DRIVERS_PROCESS_EFFECTS_H

#include "drivers/process/process.h"

/* The record is on disk when this returns: then the thing may be done. */
int effects_note(struct real *real, struct fault_state *fault, struct undo undo, struct error *e);
/* All of it is undone. */
void effects_forget(struct real *real, struct fault_state *fault);

#define EFFECT_OPS(name)                                                                           \
	int name##_damage(struct real *real, struct fault_state *fault, struct error *e);          \
	int name##_mend(struct real *real, struct fault_state *fault, struct error *e);            \
	bool name##_damaged(struct real *real, const struct fault_state *fault)
EFFECT_OPS(data);
EFFECT_OPS(backup);
EFFECT_OPS(checkpoint);

int disk_fill(struct real *real, struct fault_state *fault, struct error *e);
int disk_free(struct real *real, struct fault_state *fault, struct error *e);
bool disk_filled(struct real *real, const struct fault_state *fault);

#endif
