/* SPDX-License-Identifier: Apache-2.0 */
/* The stand-in machines of one drill: made, killed, stopped, limited, and taken away. */
#include "drivers/host/machine.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/device.h"
#include "drivers/host/machine_private.h"
#include "drivers/host/undo.h"

#define PORT_FIRST 20000 /* below what the kernel gives out by itself */
#define PORT_END 32000
#define PORT_TRIES 2000
#define PATH_PARTS_MAX 4352

const char *const machine_isolation_names[] = {
	[MACHINE_LOOPBACK] = "loopback",
	[MACHINE_NAMESPACES] = "namespaces",
};

/* ---- what there is, and what is lost without ---- */

static void lose(struct machines *machines, const char *text)
{
	assert(machines->lost_count < MACHINE_LOST_MAX);
	machines->lost[machines->lost_count++] = text;
}

static void tell_lost(struct machines *machines, const char *why)
{
	static const char *const without[CGROUP_USES] = {
		[CGROUP_FREEZER] = "machines are stopped by SIGSTOP, which parents can see",
		[CGROUP_CPU] = "the processors of a machine cannot be limited",
		[CGROUP_MEMORY] = "the memory of a machine cannot be limited",
	};

	if (machines->isolation == MACHINE_LOOPBACK) {
		lose(machines, arena_printf(machines->arena,
					    "no namespaces (%s): all machines share 127.0.0.1, and "
					    "what is between them cannot be cut",
					    why));
		lose(machines, "a machine is a group of processes: one that leaves it and hides "
			       "its environment is not killed or stopped with it");
		lose(machines, "the disks of machines have no limit of their own, and all "
			       "machines see all storage and devices");
	}
	for (int use = 0; use < CGROUP_USES; use++)
		if (!machines->cgroups.places[use].path)
			lose(machines,
			     arena_printf(machines->arena, "no cgroup %s (%s): %s",
					  cgroup_names[use], machines->cgroups.places[use].why,
					  without[use]));
}

/* ---- cgroups ---- */

static void drop_place(struct machines *machines, int use, const char *why)
{
	machines->cgroups.places[use] =
		(struct cgroup_place){.why = arena_strdup(machines->arena, why)};
}

/* The group of this run for one use; several uses may have the same. */
static const char *run_group(const struct machines *machines, int use)
{
	const struct cgroup_place *place = &machines->cgroups.places[use];

	return place->path ? arena_printf(machines->arena, "%s/drsim-%s", place->path,
					  machines->journal->run)
			   : NULL;
}

static bool is_repeated(const struct machines *machines, int use)
{
	const struct cgroup_place *places = machines->cgroups.places;

	for (int other = 0; other < use; other++)
		if (places[use].path && places[other].path &&
		    strcmp(places[use].path, places[other].path) == 0)
			return true;
	return false;
}

static int make_groups_of(struct machines *machines, int use, struct error *e)
{
	bool v2 = machines->cgroups.places[use].v2;
	const char *path = run_group(machines, use);

	if (cgroup_make(path, v2, true, e))
		return -1;
	/* So many machines are not one process among the others of the host. */
	if (use == CGROUP_CPU &&
	    cgroup_weigh(path, v2, (uint32_t)machines->config->machine_count, e))
		return -1;
	for (size_t i = 0; i < machines->config->machine_count; i++) {
		struct machine *machine = &machines->items[i];

		if (machine->config->place_only)
			continue;
		machine->groups[use] = arena_printf(machines->arena, "%s/m%zu", path, i);
		machine->main[use] = arena_printf(machines->arena, "%s/main", machine->groups[use]);
		machine->beside[use] =
			arena_printf(machines->arena, "%s/beside", machine->groups[use]);
		if (cgroup_make(machine->groups[use], v2, true, e) ||
		    cgroup_make(machine->main[use], v2, false, e) ||
		    cgroup_make(machine->beside[use], v2, false, e))
			return -1;
	}
	return 0;
}

/* Where a group cannot be made after all, the drill goes on without, and says so. */
static void make_groups(struct machines *machines)
{
	for (int use = 0; use < CGROUP_USES; use++) {
		struct error error = {0};

		if (!machines->cgroups.places[use].path)
			continue;
		if (make_groups_of(machines, use, &error) == 0)
			continue;
		drop_place(machines, use, error.text);
		for (size_t i = 0; i < machines->config->machine_count; i++)
			machines->items[i].groups[use] = NULL;
	}
}

/* In the journal, before anything is made: the groups, and that processes carry the run's id. */
static int note_what_will_be(struct machines *machines, struct error *e)
{
	struct undo undos[CGROUP_USES + 1] = {{.kind = UNDO_RUN}};
	int uses[CGROUP_USES + 1] = {0};
	size_t count = 1;

	/* The freezer comes last, so that it is undone first: with version 1 nothing that is frozen
	 * in it ends in the other groups before. */
	for (int use = CGROUP_USES; use-- > CGROUP_FREEZER;) {
		const char *path = run_group(machines, use);

		if (!path || is_repeated(machines, use))
			continue;
		uses[count] = use;
		undos[count++] = (struct undo){.kind = UNDO_CGROUP, .path = path};
	}
	if (journal_add_all(machines->journal, undos, count, e))
		return -1;
	machines->run_record = undos[0].number;
	for (size_t i = 1; i < count; i++)
		machines->group_records[uses[i]] = undos[i].number;
	return 0;
}

/* ---- folders ---- */

static int make_folder(const struct machines *machines, const char *path, struct error *e)
{
	char part[PATH_PARTS_MAX];

	if (!path)
		return 0;
	/* What is made must be removed with the work folder, and a machine's mount hide nothing. */
	if (strncmp(path, machines->journal->work, strlen(machines->journal->work)) != 0 ||
	    path[strlen(machines->journal->work)] != '/' || strlen(path) >= JOURNAL_PATH_MAX)
		return error_set(e, ERROR_USAGE, NO_PLACE, "%s is not in the work folder", path);
	snprintf(part, sizeof(part), "%s", path);
	for (char *slash = part + strlen(machines->journal->work) + 1; slash;) {
		slash = strchr(slash, '/');
		if (slash)
			*slash = '\0';
		if (mkdir(part, 0755) && errno != EEXIST)
			return error_set(e, ERROR_IO, NO_PLACE, "cannot make the folder %s: %s",
					 part, strerror(errno));
		if (slash)
			*slash++ = '/';
	}
	return 0;
}

/* On loopback the devices are plain files. */
static int make_devices(const struct machine *machine, struct error *e)
{
	const struct machine_config *config = machine->config;

	for (uint32_t i = 0; config->devices && i < config->device_count; i++)
		if (machine_make_device(machine, i))
			return error_set(e, ERROR_IO, NO_PLACE, "cannot create %s/gpu%u: %s",
					 config->devices, (unsigned)i, strerror(errno));
	return 0;
}

static int make_folders(const struct machines *machines, struct error *e)
{
	const struct machines_config *config = machines->config;

	for (size_t i = 0; i < config->site_count; i++)
		if (make_folder(machines, config->sites[i].storage, e))
			return -1;
	for (size_t i = 0; i < config->machine_count; i++) {
		const struct machine_config *machine = &config->machines[i];

		if (make_folder(machines, machine->disk, e) ||
		    make_folder(machines, machine->devices, e))
			return -1;
		for (size_t k = 0; k < machine->mount_count; k++)
			if (make_folder(machines, machine->mounts[k].path, e))
				return -1;
		if (machines->isolation == MACHINE_LOOPBACK &&
		    make_devices(&machines->items[i], e))
			return -1;
	}
	return 0;
}

/* ---- begin and end ---- */

static int check(const struct machines_config *config, struct error *e)
{
	if (config->machine_count > MACHINES_MAX || config->site_count > MACHINE_SITES_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE,
				 "more than %d machines or %d sites on one host", MACHINES_MAX,
				 MACHINE_SITES_MAX);
	for (size_t i = 0; i < config->machine_count; i++) {
		if (strlen(config->machines[i].name) > MACHINE_NAME_MAX)
			return error_set(e, ERROR_LIMIT, NO_PLACE,
					 "the name of machine %.40s... is longer than %d bytes",
					 config->machines[i].name, MACHINE_NAME_MAX);
		if (config->machines[i].site >= config->site_count ||
		    config->machines[i].device_count > MACHINE_DEVICES_MAX)
			return error_set(e, ERROR_USAGE, NO_PLACE,
					 "machine %s: no such site, or more than %d devices",
					 config->machines[i].name, MACHINE_DEVICES_MAX);
	}
	return 0;
}

static void close_at(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_namespaces(struct machines *machines)
{
	close_at(&machines->router);
	for (size_t i = 0; i < machines->config->machine_count; i++) {
		close_at(&machines->items[i].network);
		close_at(&machines->items[i].mounts);
		close_at(&machines->items[i].tree);
		close_at(&machines->items[i].output);
		close_at(&machines->items[i].device_filter);
	}
}

/* With namespaces when they can be had; why not is told. */
static void isolate(struct machines *machines, struct error *why)
{
	bool user = false;
	int error;

	machines->isolation = MACHINE_LOOPBACK;
	if (machines->config->loopback_only) {
		error_set(why, ERROR_UNAVAILABLE, NO_PLACE, "not wanted");
		return;
	}
	error = machine_probe(&user);
	if (error) {
		error_set(why, ERROR_UNAVAILABLE, NO_PLACE, "%s", strerror(error));
		return;
	}
	if (user && machine_enter_user(why))
		return;
	if (machine_build_network(machines, why)) {
		close_namespaces(machines);
		return;
	}
	machines->isolation = MACHINE_NAMESPACES;
}

static struct machines *prepare(const struct machines_config *config, struct journal *journal,
				struct arena *arena)
{
	struct machines *machines = arena_alloc(arena, sizeof(*machines));

	*machines = (struct machines){
		.arena = arena,
		.journal = journal,
		.config = config,
		.items = arena_array(arena, config->machine_count + 1, sizeof(*machines->items)),
		.router = -1,
		.environment_run = arena_printf(arena, "DRSIM_RUN=%s", journal->run),
	};
	for (size_t i = 0; i < config->machine_count; i++)
		machines->items[i] = (struct machine){
			.machines = machines,
			.config = &config->machines[i],
			.index = i,
			.network = -1,
			.mounts = -1,
			.tree = -1,
			.output = -1,
			.device_filter = -1,
			.address = "127.0.0.1",
		};
	return machines;
}

int machines_open(const struct machines_config *config, struct journal *journal,
		  struct arena *arena, struct machines **ret_machines, struct error *e)
{
	struct machines *machines;
	struct error why = {0};

	if (check(config, e))
		return -1;
	machines = prepare(config, journal, arena);
	/* Our cgroups as the host sees them, not as a user namespace does. */
	cgroups_probe(arena, &machines->cgroups);
	isolate(machines, &why);
	if (machines->isolation == MACHINE_LOOPBACK)
		for (size_t i = 0; i < config->machine_count; i++)
			snprintf(machines->items[i].address, sizeof(machines->items[i].address),
				 "127.0.0.1");
	if (note_what_will_be(machines, e) || make_folders(machines, e)) {
		close_namespaces(machines);
		return -1;
	}
	make_groups(machines);
	tell_lost(machines, why.text);
	*ret_machines = machines;
	return 0;
}

/* Files in machines that are changed still: mended before they are out of reach. */
static int mend_files(struct machines *machines, struct error *e)
{
	struct journal *journal = machines->journal;
	int rc = 0;

	for (size_t i = journal->count; i-- > 0;) {
		const struct undo *undo = &journal->records[i];

		if (!undo->done && undo->path && undo->pid == getpid())
			rc |= undo_number(journal, undo->number, e);
	}
	return rc;
}

int machines_close(struct machines *machines, struct error *e)
{
	int rc = mend_files(machines, e);

	/* All at once; below each is waited for. */
	for (size_t i = 0; i < machines->config->machine_count; i++)
		if (machines->items[i].pid > 0)
			kill(machines->items[i].pid, SIGKILL);

	for (size_t i = 0; i < machines->config->machine_count; i++)
		rc |= machine_kill(&machines->items[i], e);
	for (int use = 0; use < CGROUP_USES; use++)
		if (machines->group_records[use] > 0)
			rc |= undo_number(machines->journal, machines->group_records[use], e);
	for (int extra = 0; extra < CGROUP_EXTRAS; extra++)
		if (machines->extra_records[extra] > 0)
			rc |= undo_number(machines->journal, machines->extra_records[extra], e);
	rc |= undo_number(machines->journal, machines->run_record, e);
	close_namespaces(machines);
	return rc ? -1 : 0;
}

enum machine_isolation machines_isolation(const struct machines *machines)
{
	return machines->isolation;
}

const char *const *machines_lost(const struct machines *machines)
{
	return machines->lost;
}

void machine_device(const struct machine *machine, uint32_t index, struct device_identity *ret)
{
	device_identify(machine->machines->journal->run, (uint32_t)machine->index, index, ret);
}

struct machine *machines_get(const struct machines *machines, size_t index)
{
	assert(index < machines->config->machine_count);
	return &machines->items[index];
}

/* ---- its processes ---- */

static bool same_namespace(pid_t pid, const struct stat *wanted)
{
	struct stat status;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%ld/ns/pid", (long)pid);
	return stat(path, &status) == 0 && status.st_ino == wanted->st_ino &&
	       status.st_dev == wanted->st_dev;
}

/* On loopback: what carries the machine's name, its group, and all their children. */
static void mark_tree(const struct machine *machine, const struct process *list, size_t count,
		      bool *ours)
{
	const char *name = machine->config->name;
	char mark[MACHINE_NAME_MAX + 32];
	bool more = true;

	snprintf(mark, sizeof(mark), "DRSIM_MACHINE=%s", name);
	for (size_t i = 0; i < count; i++)
		ours[i] = (machine->pid > 0 && list[i].group == machine->pid) ||
			  (list[i].pid != getpid() &&
			   process_carries(list[i].pid, machine->machines->environment_run) &&
			   process_carries(list[i].pid, mark));
	while (more) {
		more = false;
		for (size_t i = 0; i < count; i++)
			for (size_t k = 0; k < count && !ours[i]; k++)
				if (ours[k] && list[k].pid == list[i].parent)
					ours[i] = more = true;
	}
}

size_t machine_collect(const struct machine *machine, struct arena *arena, struct process **ret)
{
	struct process *list;
	size_t count = process_list(arena, &list), kept = 0;
	bool *ours = arena_array(arena, count + 1, sizeof(*ours));
	char path[64];
	struct stat status;

	*ret = list;
	snprintf(path, sizeof(path), "/proc/%ld/ns/pid", (long)machine->pid);
	if (machine->machines->isolation == MACHINE_LOOPBACK)
		mark_tree(machine, list, count, ours);
	else if (machine->pid > 0 && stat(path, &status) == 0 && !same_namespace(getpid(), &status))
		for (size_t i = 0; i < count; i++)
			ours[i] = same_namespace(list[i].pid, &status);
	for (size_t i = 0; i < count; i++)
		if (ours[i] && list[i].state != 'Z' && list[i].state != 'X')
			list[kept++] = list[i];
	return kept;
}

size_t machine_processes(const struct machine *machine,
			 void (*each)(void *self, pid_t pid, char state), void *self)
{
	struct arena arena = {0};
	struct process *list;
	size_t count = machine_collect(machine, &arena, &list);

	for (size_t i = 0; each && i < count; i++)
		each(self, list[i].pid, list[i].state);
	arena_free(&arena);
	return count;
}

/* The last number of "NSpid:	4711	12": the pid in the innermost namespace. */
static pid_t inner_pid(pid_t pid)
{
	char path[64], text[4096];
	const char *at;
	pid_t inner = 0;

	snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
	if (process_read_file(path, text, sizeof(text)) < 0)
		return 0;
	at = strstr(text, "\nNSpid:");
	if (!at)
		return 0;
	at += strlen("\nNSpid:");
	while (*at == '\t') {
		at++;
		inner = (pid_t)process_number(&at);
	}
	return inner;
}

pid_t machine_first(const struct machine *machine)
{
	return machine->pid;
}

pid_t machine_pid(const struct machine *machine, pid_t inner)
{
	struct arena arena = {0};
	struct process *list;
	size_t count = machine_collect(machine, &arena, &list);
	bool same = machine->machines->isolation == MACHINE_LOOPBACK;
	pid_t found = 0;

	for (size_t i = 0; i < count && !found; i++)
		if ((same ? list[i].pid : inner_pid(list[i].pid)) == inner)
			found = list[i].pid;
	arena_free(&arena);
	return found;
}

bool machine_alive(struct machine *machine)
{
	siginfo_t info = {0};

	/* Only looked at: machine_kill() takes it away. */
	return machine->pid > 0 &&
	       waitid(P_PID, (id_t)machine->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == 0;
}

/* ---- killed ---- */

static size_t kill_processes(const struct machine *machine)
{
	struct arena arena = {0};
	struct process *list;
	size_t met = 0;

	if (machine->machines->isolation == MACHINE_LOOPBACK) {
		met = machine_collect(machine, &arena, &list);
		for (size_t i = 0; i < met; i++)
			process_signal(list[i].pid, list[i].start, SIGKILL);
		arena_free(&arena);
	}
	for (int use = 0; use < CGROUP_USES; use++)
		if (machine->groups[use])
			met += cgroup_kill(machine->groups[use]);
	return met;
}

static int kill_and_wait(struct machine *machine, struct error *e)
{
	nanos end = process_now() + MACHINE_WAIT;

	/* All of a PID namespace ends with its first process. */
	kill(machine->pid, SIGKILL);
	for (;;) {
		size_t left = kill_processes(machine);

		/* It is waited for last: until then its number belongs to nobody else. */
		if (left == 0 && waitpid(machine->pid, NULL, WNOHANG) != 0)
			return 0;
		if (process_now() >= end)
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
					 "machine %s: %zu processes do not end on SIGKILL",
					 machine->config->name, left);
		process_pause(MACHINE_PAUSE / 4);
	}
}

int machine_kill(struct machine *machine, struct error *e)
{
	if (machine->pid == 0)
		return 0;
	if (kill_and_wait(machine, e))
		return -1;
	machine->pid = 0;
	machine->frozen = false;
	machine->stopped_count = 0;
	close_at(&machine->output);
	if (machine->kill_record > 0 &&
	    journal_done(machine->machines->journal, machine->kill_record, e))
		return -1;
	machine->kill_record = 0;
	return 0;
}

/* ---- stopped ---- */

static void remember_stopped(struct machine *machine, const struct process *process)
{
	struct machine_stopped *grown;

	for (size_t i = 0; i < machine->stopped_count; i++)
		if (machine->stopped[i].pid == process->pid &&
		    machine->stopped[i].start == process->start)
			return;
	grown = arena_array(machine->machines->arena, machine->stopped_count + 1, sizeof(*grown));
	if (machine->stopped_count > 0)
		memcpy(grown, machine->stopped, machine->stopped_count * sizeof(*grown));
	grown[machine->stopped_count++] =
		(struct machine_stopped){.pid = process->pid, .start = process->start};
	machine->stopped = grown;
}

/* One look; returns how many run still. Those that were stopped before are not ours to go on. */
static size_t stop_running(struct machine *machine)
{
	struct arena arena = {0};
	struct process *list;
	size_t count = machine_collect(machine, &arena, &list), running = 0;

	for (size_t i = 0; i < count; i++) {
		if (list[i].state == 'T' || list[i].state == 't')
			continue;
		running++;
		process_signal(list[i].pid, list[i].start, SIGSTOP);
		remember_stopped(machine, &list[i]);
	}
	arena_free(&arena);
	return running;
}

static int stop_by_signals(struct machine *machine, struct error *e)
{
	nanos end = process_now() + MACHINE_WAIT;

	while (stop_running(machine) > 0) {
		if (process_now() >= end)
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
					 "machine %s does not stop on SIGSTOP",
					 machine->config->name);
		process_pause(MACHINE_PAUSE);
	}
	return 0;
}

static void go_on_by_signals(struct machine *machine)
{
	for (size_t i = 0; i < machine->stopped_count; i++)
		process_signal(machine->stopped[i].pid, machine->stopped[i].start, SIGCONT);
	machine->stopped_count = 0;
}

int machine_freeze(struct machine *machine, bool frozen, struct error *e)
{
	const char *group = machine->groups[CGROUP_FREEZER];

	if (frozen && !machine_alive(machine))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "machine %s is not running",
				 machine->config->name);
	if (group) {
		if (cgroup_freeze(group, machine->machines->cgroups.places[CGROUP_FREEZER].v2,
				  frozen, MACHINE_WAIT, e))
			return -1;
	} else if (!frozen) {
		go_on_by_signals(machine);
	} else if (stop_by_signals(machine, e)) {
		go_on_by_signals(machine);
		return -1;
	}
	machine->frozen = frozen;
	return 0;
}

bool machine_frozen(const struct machine *machine)
{
	return machine->frozen;
}

/* ---- seen from outside ---- */

const char *machine_root(const struct machine *machine)
{
	return machine->root;
}

const char *machine_address(const struct machine *machine)
{
	return machine->address;
}

int machine_network(const struct machine *machine)
{
	return machine->network;
}

int machines_router(const struct machines *machines)
{
	return machines->router;
}

void machines_uplink(uint32_t site, char ret_name[MACHINE_PORT_MAX])
{
	snprintf(ret_name, MACHINE_PORT_MAX, "u%u", site);
}

void machines_gateway(uint32_t site, char ret_name[MACHINE_PORT_MAX])
{
	snprintf(ret_name, MACHINE_PORT_MAX, "gw%u", site);
}

const char *machine_port(const struct machine *machine)
{
	return machine->port;
}

int machine_enter(const struct machine *machine, struct error *e)
{
	if (machine->network >= 0 && setns(machine->network, CLONE_NEWNET))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "cannot enter the network of %s: %s", machine->config->name,
				 strerror(errno));
	return 0;
}

static bool is_free(uint32_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool can = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;

	if (fd >= 0)
		close(fd);
	return can;
}

static bool all_free(uint32_t first, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (!is_free(first + i))
			return false;
	return true;
}

int machine_ports(struct machine *machine, uint32_t count, uint16_t *ret_first, struct error *e)
{
	struct machines *machines = machine->machines;
	bool own = machines->isolation == MACHINE_NAMESPACES;
	uint32_t *given = own ? &machine->ports : &machines->ports;
	const uint32_t room = PORT_END - PORT_FIRST;
	/* Drills beside one another look for theirs at different places. */
	uint32_t begin = own ? 0 : (uint32_t)getpid() * 101 % room;

	assert(count > 0);
	for (int i = 0; i < PORT_TRIES && *given + count <= room; i++) {
		uint32_t first = PORT_FIRST + (begin + *given) % room;

		if (first + count > PORT_END) {
			*given += PORT_END - first;
			continue;
		}
		*given += count;
		if (!own && !all_free(first, count))
			continue;
		*ret_first = (uint16_t)first;
		return 0;
	}
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
			 "machine %s: no %u ports in a row are free", machine->config->name, count);
}
