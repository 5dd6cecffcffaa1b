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

/* Calls back for each process of the replicas or ranks that the entity names, until one call
 * fails. ERROR_UNAVAILABLE when there is none. */
int effects_each_process(struct real *real, struct entity entity,
			 int (*act)(struct real *real, struct node *node, pid_t pid, void *context,
				    struct error *e),
			 void *context, struct error *e);
/* Until the agent has seen that one of `processes`, started `starts` times in all, has ended: so
 * that the look at the effect does not come too early. */
void effects_wait_seen(struct real *real, struct entity entity, uint64_t starts,
		       uint32_t processes);

/* ---- effects_resources.c ---- */
int cpu_take(struct real *real, struct fault_state *fault, struct error *e);
int cpu_give(struct real *real, struct fault_state *fault, struct error *e);
int mem_take(struct real *real, struct fault_state *fault, struct error *e);
int mem_give(struct real *real, struct fault_state *fault, struct error *e);
bool strain_runs(struct real *real, const struct fault_state *fault);
int quota_set(struct real *real, struct fault_state *fault, struct error *e);
int quota_lift(struct real *real, struct fault_state *fault, struct error *e);
bool quota_holds(struct real *real, const struct fault_state *fault);
int oom_kill(struct real *real, struct fault_state *fault, struct error *e);
/* While the fault stands: what is left now; a process that was started again is held too. */
void resources_look(struct real *real, struct fault_state *fault);

int disk_fill(struct real *real, struct fault_state *fault, struct error *e);
int disk_free(struct real *real, struct fault_state *fault, struct error *e);
bool disk_filled(struct real *real, const struct fault_state *fault);

#endif
