/* SPDX-License-Identifier: Apache-2.0 */
/* The catalogue of faults looked up by name, and the growing list of effects that a fault's plan
 * fills. */
#include "core/fault.h"

#include <string.h>

const char *const effect_names[EFFECTS] = {
	[EFFECT_GPU_GONE] = "gpu.gone",       [EFFECT_GPU_XID] = "gpu.xid",
	[EFFECT_POWER_OFF] = "power.off",     [EFFECT_NODE_CRASH] = "node.crash",
	[EFFECT_NODE_FREEZE] = "node.freeze", [EFFECT_NET_CUT] = "net.cut",
	[EFFECT_NET_DELAY] = "net.delay",     [EFFECT_PROC_EXIT] = "proc.exit",
	[EFFECT_DATA_FLIP] = "data.flip",     [EFFECT_BACKUP_FLIP] = "backup.flip",
	[EFFECT_STANDBY_OUT] = "standby.out",
};

int effects_add(struct effects *effects, struct effect effect, struct error *e)
{
	if (effects->count >= EFFECTS_PER_FAULT_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE,
				 "one fault may have at most %d effects; select fewer targets",
				 EFFECTS_PER_FAULT_MAX);
	effects->items = arena_grow(effects->arena, effects->items, effects->count,
				    &effects->capacity, sizeof(*effects->items));
	effects->items[effects->count++] = effect;
	return 0;
}

const struct fault_ops *fault_find(const char *name)
{
	for (const struct fault_ops *const *fault = fault_table; *fault; fault++)
		if (strcmp((*fault)->name, name) == 0)
			return *fault;
	return NULL;
}
