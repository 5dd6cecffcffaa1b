/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the driver's effects, shared by effects.c and effects_*.c. */
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

/* ---- effects_storage.c ---- */
/* Layers over what the nodes see of their site's storage, where a step may hit it. After the
 * machines and the data are made, before a machine is started. */
int disks_open(struct real *real, struct machine_config *machines, struct error *e);
void disks_close(struct real *real);
int disks_break(struct real *real, struct fault_state *fault, struct error *e);
int disks_mend(struct real *real, struct fault_state *fault, struct error *e);
bool disks_broken(struct real *real, const struct fault_state *fault);
/* The power of a node failed: what it had not synced is gone. */
int disks_crash(struct real *real, const struct node *node, struct error *e);
void disks_look(struct real *real, struct fault_state *fault);
/* By a look of its own; false: there is no layer. */
bool disks_read(struct real *real, const struct entity *entity, struct reading *ret);
int inodes_fill(struct real *real, struct fault_state *fault, struct error *e);
int inodes_free(struct real *real, struct fault_state *fault, struct error *e);
bool inodes_filled(struct real *real, const struct fault_state *fault);

/* ---- effects_calls.c ---- */
/* A filter for the machines that may be hit. Before a machine is started. */
int calls_open(struct real *real, struct error *e);
void calls_close(struct real *real);
struct syscall_launch;
/* For the start of its machine; NULL: nothing there may be hit. */
const struct syscall_launch *calls_launch(struct real *real, const struct node *node);
int calls_break(struct real *real, struct fault_state *fault, struct error *e);
int calls_mend(struct real *real, struct fault_state *fault, struct error *e);
bool calls_broken(struct real *real, const struct fault_state *fault);
void calls_look(struct real *real, struct fault_state *fault);
void calls_read(struct real *real, const struct entity *entity, struct reading *ret);

/* ---- effects_devices.c ---- */
/* The log of the kernel that the nodes read. Before a machine is started. */
int devices_open_log(struct real *real, struct error *e);
void devices_close_log(struct real *real);
int xid_write(struct real *real, struct fault_state *fault, struct error *e);
int devices_weaken(struct real *real, struct fault_state *fault, struct error *e);
int devices_restore(struct real *real, struct fault_state *fault, struct error *e);
bool devices_weak(struct real *real, const struct fault_state *fault);
/* Of the node of this number in its site, or of the one GPU that the entity is. */
void devices_read(struct real *real, const struct entity *entity, uint32_t node, uint32_t gpus,
		  struct reading *ret);

/* ---- effects_clock.c ---- */
int clocks_open(struct real *real, struct error *e);
void clocks_close(struct real *real);
/* For the start of its machine; NULL: nothing. */
const char *const *clocks_environment(const struct real *real, const struct node *node);
int clocks_skew(struct real *real, struct fault_state *fault, struct error *e);
int clocks_right(struct real *real, struct fault_state *fault, struct error *e);
bool clocks_skewed(struct real *real, const struct fault_state *fault);
void clocks_read(struct real *real, const struct entity *entity, struct reading *ret);

int disk_fill(struct real *real, struct fault_state *fault, struct error *e);
int disk_free(struct real *real, struct fault_state *fault, struct error *e);
bool disk_filled(struct real *real, const struct fault_state *fault);

#endif
