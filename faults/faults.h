/* SPDX-License-Identifier: Apache-2.0 */
/* The catalogue of faults: one line each, in the order of `drsim list faults`. */
#ifndef FAULTS_FAULTS_H
#define FAULTS_FAULTS_H

#include "core/fault.h"

#define FAULT_LIST(FAULT)                                                                          \
	FAULT(gpu_lost)                                                                            \
	FAULT(gpu_xid)                                                                             \
	FAULT(node_crash)                                                                          \
	FAULT(node_hang)                                                                           \
	FAULT(rack_power_loss)                                                                     \
	FAULT(zone_outage)                                                                         \
	FAULT(net_partition)                                                                       \
	FAULT(net_delay)                                                                           \
	FAULT(proc_kill)                                                                           \
	FAULT(data_bitflip)                                                                        \
	FAULT(backup_corrupt)                                                                      \
	FAULT(standby_unavailable)

#define FAULT_DECLARE(name) extern const struct fault_ops fault_##name;
FAULT_LIST(FAULT_DECLARE)
#undef FAULT_DECLARE

/* The mask of one entity kind, for `targets`. */
#define TARGET_BIT(kind) (1u << (kind))

/* Most faults do the same to each thing that was selected: `effect` once for each entity. */
static inline int faults_each(struct effect effect, const struct entity *entities, size_t count,
			      struct effects *out, struct error *e)
{
	effect.fraction = 1;
	for (size_t i = 0; i < count; i++) {
		effect.entity = entities[i];
		if (effects_add(out, effect, e))
			return -1;
	}
	return 0;
}

#endif
