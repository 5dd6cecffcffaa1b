/* SPDX-License-Identifier: Apache-2.0 */
/* Faults of a machine by single cgroup controllers: devices, disks, numbers of processes. Their
 * groups are made when they are first needed. */
#include <string.h>
#include <unistd.h>

#include "drivers/host/machine_private.h"

#define PASSES_MAX 16 /* until all processes are moved: they may fork meanwhile */

static int refuse(const struct machine *machine, enum cgroup_extra extra, const char *why,
		  struct error *e)
{
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "machine %s has no cgroup for %s: %s",
			 machine->config->name, cgroup_extra_names[extra], why);
}

/* ---- moving a machine's processes ---- */

struct members {
	pid_t *pids;
	size_t count, capacity;
	struct arena *arena;
};

static void add_member(void *self, pid_t pid)
{
	struct members *members = self;

	members->pids = arena_grow(members->arena, members->pids, members->count,
				   &members->capacity, sizeof(pid_t));
	members->pids[members->count++] = pid;
}

static bool is_member(const struct members *members, pid_t pid)
{
	for (size_t i = 0; i < members->count; i++)
		if (members->pids[i] == pid)
			return true;
	return false;
}

/* One look at all of them; returns how many were moved, or -1. */
static int move_some(const struct machine *machine, const char *group, struct error *e)
{
	struct arena arena = {0};
	struct members members = {.arena = &arena};
	struct process *list;
	size_t count = machine_collect(machine, &arena, &list);
	int moved = 0;

	cgroup_each(group, add_member, &members);
	for (size_t i = 0; i < count && moved >= 0; i++) {
		if (is_member(&members, list[i].pid))
			continue;
		if (cgroup_join(group, list[i].pid, NULL) == 0)
			moved++;
		else if (process_lives(list[i].pid, list[i].start) &&
			 cgroup_join(group, list[i].pid, e))
			moved = -1;
	}
	arena_free(&arena);
	return moved;
}

static int move_all(const struct machine *machine, const char *group, struct error *e)
{
	for (int pass = 0; pass < PASSES_MAX && machine->pid > 0; pass++) {
		int moved = move_some(machine, group, e);

		if (moved < 0)
			return -1;
		if (moved == 0)
			return 0;
	}
	/* What forks so fast is in it with its parent. */
	return 0;
}

/* ---- its groups ---- */

static const struct cgroup_place *place_of(struct machines *machines, enum cgroup_extra extra)
{
	if (!machines->extras_known)
		cgroup_extras_probe(machines->arena, machines->extras);
	machines->extras_known = true;
	return &machines->extras[extra];
}

/* In version 2 it is the machine's one group, when that has the file. */
static const char *own_group(const struct machine *machine, const char *file)
{
	const struct cgroups *cgroups = &machine->machines->cgroups;

	for (int use = 0; use < CGROUP_USES; use++) {
		const char *group = machine->groups[use];

		if (!group || !cgroups->places[use].v2)
			continue;
		if (!file ||
		    access(arena_printf(machine->machines->arena, "%s/%s", group, file), W_OK) == 0)
			return group;
	}
	return NULL;
}

static int make_group(struct machine *machine, enum cgroup_extra extra, struct error *e)
{
	struct machines *machines = machine->machines;
	const char *run = arena_printf(machines->arena, "%s/drsim-%s", machines->extras[extra].path,
				       machines->journal->run);
	const char *group = arena_printf(machines->arena, "%s/m%zu", run, machine->index);
	struct undo undo = {.kind = UNDO_CGROUP, .path = run};

	/* The group of the run stands in the journal, once. */
	if (machines->extra_records[extra] == 0) {
		if (journal_add(machines->journal, &undo, e))
			return -1;
		machines->extra_records[extra] = undo.number;
	}
	if (cgroup_make(run, false, false, e) || cgroup_make(group, false, false, e) ||
	    move_all(machine, group, e))
		return -1;
	machine->extra[extra] = group;
	return 0;
}

static int need_group(struct machine *machine, enum cgroup_extra extra, const char **ret,
		      bool *ret_v2, struct error *e)
{
	static const char *const files[CGROUP_EXTRAS] = {
		[CGROUP_DEVICES] = NULL, [CGROUP_IO] = "io.max", [CGROUP_PIDS] = "pids.max"};
	const struct cgroup_place *place = place_of(machine->machines, extra);

	if (!place->path)
		return refuse(machine, extra, place->why, e);
	*ret_v2 = place->v2;
	if (place->v2) {
		*ret = own_group(machine, files[extra]);
		return *ret ? 0
			    : refuse(machine, extra, "its cgroup does not have that controller", e);
	}
	if (!machine->extra[extra] && make_group(machine, extra, e))
		return -1;
	*ret = machine->extra[extra];
	return 0;
}

int machine_join_extras(const struct machine *machine, pid_t pid, struct error *e)
{
	for (int extra = 0; extra < CGROUP_EXTRAS; extra++)
		if (machine->extra[extra] && cgroup_join(machine->extra[extra], pid, e))
			return -1;
	return 0;
}

/* ---- faults ---- */

/* The list with or without the device; how many are in it then. */
static size_t list_with(const struct machine *machine, const struct cgroup_device *device,
			bool denied, struct cgroup_device list[CGROUP_DENIED_MAX + 1])
{
	size_t count = 0;

	for (size_t i = 0; i < machine->denied_count; i++)
		if (machine->denied[i].block != device->block ||
		    machine->denied[i].major != device->major ||
		    machine->denied[i].minor != device->minor)
			list[count++] = machine->denied[i];
	if (denied)
		list[count++] = *device;
	return count;
}

int machine_deny_device(struct machine *machine, const struct cgroup_device *device, bool denied,
			struct error *e)
{
	struct cgroup_device list[CGROUP_DENIED_MAX + 1];
	size_t count = list_with(machine, device, denied, list);
	const char *group = NULL;
	bool v2 = false;

	if (count == machine->denied_count && !denied)
		return 0;
	if (need_group(machine, CGROUP_DEVICES, &group, &v2, e) ||
	    cgroup_deny_devices(group, v2, list, count, machine->denied, machine->denied_count,
				&machine->device_filter, e))
		return -1;
	memcpy(machine->denied, list, count * sizeof(list[0]));
	machine->denied_count = count;
	return 0;
}

int machine_limit_io(struct machine *machine, const struct cgroup_device *device,
		     uint64_t read_rate, uint64_t write_rate, struct error *e)
{
	const char *group = NULL;
	bool v2 = false;

	return need_group(machine, CGROUP_IO, &group, &v2, e) ||
			       cgroup_limit_io(group, v2, device, read_rate, write_rate, e)
		       ? -1
		       : 0;
}

int machine_limit_processes(struct machine *machine, uint64_t count, struct error *e)
{
	const char *group = NULL;
	bool v2 = false;

	return need_group(machine, CGROUP_PIDS, &group, &v2, e) ||
			       cgroup_limit_processes(group, count, e)
		       ? -1
		       : 0;
}

uint64_t machine_refused_forks(const struct machine *machine)
{
	const char *group = machine->extra[CGROUP_PIDS];

	if (!group)
		group = own_group(machine, "pids.max");
	return group ? cgroup_refused_forks(group) : 0;
}
