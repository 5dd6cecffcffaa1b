/* SPDX-License-Identifier: Apache-2.0 */
/* Drivers by name, and the words for actions. */
#include "core/driver.h"

#include <string.h>

const char *const action_names[ACTION_KINDS] = {
	[ACTION_PROBE] = "probe",       [ACTION_BACKUP] = "backup",
	[ACTION_PRUNE] = "prune",       [ACTION_FENCE] = "fence",
	[ACTION_ACTIVATE] = "activate", [ACTION_SWITCH] = "switch",
	[ACTION_RESTORE] = "restore",   [ACTION_VERIFY] = "verify",
	[ACTION_DIAGNOSE] = "diagnose", [ACTION_REPAIR] = "repair",
	[ACTION_RETURN] = "return",     [ACTION_SWITCH_BACK] = "switch_back",
	[ACTION_STOP] = "stop",
};

const struct driver_ops *driver_find(const char *name)
{
	for (size_t i = 0; driver_table[i]; i++)
		if (!strcmp(driver_table[i]->name, name))
			return driver_table[i];
	return NULL;
}

int driver_scale(const struct driver_ops *driver, struct arena *arena, struct scenario **scenario,
		 struct error *e)
{
	const struct process_config *process = &(*scenario)->process;

	if (!driver->scaled)
		return 0;
	return scenario_scale(*scenario, process->time_scale, process->bytes_scale, arena, scenario,
			      e);
}
