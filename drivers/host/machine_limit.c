/* SPDX-License-Identifier: Apache-2.0 */
/* What a machine's processes may use of CPU and memory, by its cgroups. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/host/machine_private.h"

/* ---- all of a machine ---- */

int machine_limit(struct machine *machine, double cpus, uint64_t memory_bytes, struct error *e)
{
	const struct cgroup_place *places = machine->machines->cgroups.places;
	const char *cpu = machine->groups[CGROUP_CPU], *memory = machine->groups[CGROUP_MEMORY];

	if ((cpus > 0 && !cpu) || (memory_bytes > 0 && !memory))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "machine %s cannot be limited: %s",
				 machine->config->name,
				 places[cpus > 0 && !cpu ? CGROUP_CPU : CGROUP_MEMORY].why);
	if (cpu && cgroup_limit_cpu(cpu, places[CGROUP_CPU].v2, cpus, e))
		return -1;
	if (memory && cgroup_limit_memory(memory, places[CGROUP_MEMORY].v2, memory_bytes, e))
		return -1;
	return 0;
}

bool machine_memory(const struct machine *machine, bool beside, struct machine_memory *ret)
{
	const char *group = (beside ? machine->beside : machine->main)[CGROUP_MEMORY];
	bool v2 = machine->machines->cgroups.places[CGROUP_MEMORY].v2;
	struct cgroup_memory all = {0};
	bool read = group && cgroup_read_memory(group, v2, &all);

	*ret = (struct machine_memory){all.bytes, all.private_bytes};
	return read;
}

uint64_t machine_oom_kills(const struct machine *machine)
{
	const char *group = machine->main[CGROUP_MEMORY];

	return group ? cgroup_oom_kills(group, machine->machines->cgroups.places[CGROUP_MEMORY].v2)
		     : 0;
}

/* ---- one process ---- */

static void squeeze_path(const struct machine *machine, pid_t pid, char *path, size_t room)
{
	snprintf(path, room, "%s/squeeze-%ld", machine->groups[CGROUP_CPU], (long)pid);
}

int machine_squeeze(struct machine *machine, pid_t pid, double cpus, struct error *e)
{
	const struct cgroup_place *place = &machine->machines->cgroups.places[CGROUP_CPU];
	char path[JOURNAL_PATH_MAX];

	if (!machine->groups[CGROUP_CPU])
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "machine %s cannot be limited: %s",
				 machine->config->name, place->why);
	squeeze_path(machine, pid, path, sizeof(path));
	return cgroup_make(path, place->v2, false, e) ||
			       cgroup_limit_cpu(path, place->v2, cpus, e) ||
			       cgroup_join(path, pid, e)
		       ? -1
		       : 0;
}

int machine_release(struct machine *machine, pid_t pid, struct error *e)
{
	const struct cgroup_place *place = &machine->machines->cgroups.places[CGROUP_CPU];
	char path[JOURNAL_PATH_MAX];

	if (!machine->groups[CGROUP_CPU])
		return 0;
	squeeze_path(machine, pid, path, sizeof(path));
	/* Without quota first: a process that is throttled cannot leave. */
	if (access(path, F_OK))
		return 0;
	if (cgroup_limit_cpu(path, place->v2, 0, e) ||
	    (process_lives(pid, 0) && cgroup_join(machine->main[CGROUP_CPU], pid, e)))
		return -1;
	return cgroup_destroy(path, MACHINE_WAIT, e);
}

uint64_t machine_throttled(const struct machine *machine, pid_t pid)
{
	char path[JOURNAL_PATH_MAX];

	if (!machine->groups[CGROUP_CPU])
		return 0;
	squeeze_path(machine, pid, path, sizeof(path));
	return cgroup_throttled(path);
}
