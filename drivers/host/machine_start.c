/* SPDX-License-Identifier: Apache-2.0 */
/* How a machine's first process comes to be: its namespaces, its own mounts, its program. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/device.h"
#include "drivers/host/machine_private.h"

#define LOG_TAIL 4096

extern char **environ;

/* How far the child is; the parent says it in words. */
enum stage {
	STAGE_READY,
	STAGE_NETWORK,
	STAGE_MOUNTS,
	STAGE_DISK,
	STAGE_STREAMS,
	STAGE_PROGRAM,
	STAGE_FILTER,
	STAGE_CLOCKS
};
static const char *const stage_words[] = {
	[STAGE_READY] = "begin",
	[STAGE_NETWORK] = "enter its network namespace",
	[STAGE_MOUNTS] = "set up its mount namespace",
	[STAGE_DISK] = "mount its disk and devices",
	[STAGE_STREAMS] = "open its log",
	[STAGE_PROGRAM] = "run its program",
	[STAGE_FILTER] = "filter its system calls",
	[STAGE_CLOCKS] = "set its clocks in a time namespace",
};

struct report {
	int stage, error;
};

/* What the child needs, prepared before: it must not allocate memory. */
struct birth {
	const struct machine *machine;
	char *const *argv, *const *envp;
	int go[2], status[2], output[2], listener[2], log;
	const struct syscall_launch *filter; /* NULL: none */
	nanos monotonic_ahead, boottime_ahead;
	bool beside; /* what runs there already: in its PID namespace, and nothing else of it */
};

/* ---- in the child ---- */

static _Noreturn void give_up(const struct birth *birth, enum stage stage)
{
	struct report report = {.stage = stage, .error = errno};

	if (syscall_child_write(birth->status[1], &report, sizeof(report)) != sizeof(report))
		_exit(126);
	_exit(127);
}

/* Waits for the parent's word; its death ends us, whether or not the kernel told us in time. */
static void wait_for_go(const struct birth *birth)
{
	char word;
	ssize_t got;

	while ((got = read(birth->go[0], &word, 1)) < 0 && errno == EINTR)
		;
	if (got != 1)
		_exit(126);
}

int machine_make_device(const struct machine *machine, uint32_t index)
{
	unsigned char bytes[DEVICE_BYTES];
	char path[JOURNAL_PATH_MAX + 16];
	ssize_t wrote;
	int fd, error;

	snprintf(path, sizeof(path), "%s/gpu%u", machine->config->devices, index);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return -1;
	device_print(machine->machines->journal->run, (uint32_t)machine->index, index, bytes);
	wrote = write(fd, bytes, sizeof(bytes));
	error = wrote < 0 ? errno : ENOSPC;
	close(fd);
	errno = error;
	return wrote == sizeof(bytes) ? 0 : -1;
}

static int make_devices(const struct machine *machine)
{
	const struct machine_config *config = machine->config;

	if (mount("drsim", config->devices, "tmpfs", MS_NOSUID | MS_NOEXEC, "size=1m,mode=755"))
		return -1;
	for (uint32_t i = 0; i < config->device_count; i++)
		if (machine_make_device(machine, i))
			return -1;
	return 0;
}

/* Own disk, own devices; the storage of other sites is empty here. */
static int mount_own(const struct machine *machine)
{
	const struct machines_config *all = machine->machines->config;
	const struct machine_config *config = machine->config;
	char options[64];

	snprintf(options, sizeof(options), "size=%llu,mode=755",
		 (unsigned long long)config->disk_bytes);
	if (config->disk && mount("drsim", config->disk, "tmpfs", MS_NOSUID, options))
		return -1;
	if (config->devices && make_devices(machine))
		return -1;
	for (size_t i = 0; i < all->site_count; i++)
		if (i != config->site && all->sites[i].storage &&
		    mount("drsim", all->sites[i].storage, "tmpfs", MS_RDONLY, "size=4k,mode=555"))
			return -1;
	for (size_t i = 0; i < config->mount_count; i++) {
		const struct machine_mount *more = &config->mounts[i];

		if (mount(more->source, more->path, more->type, more->flags, more->options))
			return -1;
	}
	return 0;
}

static void enter_namespaces(const struct birth *birth)
{
	const struct machine *machine = birth->machine;

	if (setns(machine->network, CLONE_NEWNET))
		give_up(birth, STAGE_NETWORK);
	if (machine->mounts >= 0) {
		if (setns(machine->mounts, CLONE_NEWNS))
			give_up(birth, STAGE_MOUNTS);
		umount2("/proc", MNT_DETACH); /* of the PID namespace that is gone */
	} else {
		if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
			give_up(birth, STAGE_MOUNTS);
		if (mount_own(machine))
			give_up(birth, STAGE_DISK);
	}
	/* In some containers it may not be mounted anew: then the host's stays, which has the same
	 * processes under other numbers. */
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) &&
	    errno != EPERM)
		give_up(birth, STAGE_MOUNTS);
}

/* Seconds and the nanoseconds that are to be added to them. */
static int print_offset(char *text, size_t room, const char *clock, nanos ahead)
{
	nanos seconds = ahead / NANOS_S - (ahead % NANOS_S < 0);

	return snprintf(text, room, "%s %lld %lld\n", clock, (long long)seconds,
			(long long)(ahead - seconds * NANOS_S));
}

/* Before any process is in it a time namespace has its offsets, and then for good. */
static void set_clocks(const struct birth *birth)
{
	char text[128];
	int length, fd;

	if (birth->monotonic_ahead == 0 && birth->boottime_ahead == 0)
		return;
	length = print_offset(text, sizeof(text), "monotonic", birth->monotonic_ahead);
	length += print_offset(text + length, sizeof(text) - (size_t)length, "boottime",
			       birth->boottime_ahead);
	if (unshare(CLONE_NEWTIME))
		give_up(birth, STAGE_CLOCKS);
	fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, (size_t)length) != length)
		give_up(birth, STAGE_CLOCKS);
	close(fd);
	/* So far it is only for children. */
	fd = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWTIME))
		give_up(birth, STAGE_CLOCKS);
	close(fd);
}

static _Noreturn void be_born(const struct birth *birth)
{
	const struct report ready = {.stage = STAGE_READY};
	bool own = birth->machine->machines->isolation == MACHINE_NAMESPACES && !birth->beside;
	int null, output = birth->beside ? birth->log : birth->output[1];
	sigset_t none;

	/* Beside others it dies with the first of them, whose child it becomes. */
	if (!birth->beside || birth->machine->machines->isolation == MACHINE_LOOPBACK)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(birth->go[1]);
	if (birth->filter)
		close(birth->listener[0]);
	wait_for_go(birth);
	setsid();
	for (int number = 1; number <= SIGRTMAX; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (own)
		enter_namespaces(birth);
	set_clocks(birth);
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
	    dup2(birth->log, STDERR_FILENO) < 0 || chdir("/"))
		give_up(birth, STAGE_STREAMS);
	if (write(birth->status[1], &ready, sizeof(ready)) != sizeof(ready))
		_exit(126);
	wait_for_go(birth);
	/* Some library may have forgotten to mark a descriptor. */
	syscall(SYS_close_range, 3, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */);
	if (birth->filter && syscall_child_install(birth->filter, birth->listener[1]))
		give_up(birth, STAGE_FILTER);
	syscall_child_exec(birth->argv[0], birth->argv, birth->envp);
	give_up(birth, STAGE_PROGRAM);
}

/* ---- in drsim ---- */

static int fail(const struct machine *machine, const char *what, struct error *e)
{
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "machine %s: cannot %s: %s",
			 machine->config->name, what, strerror(errno));
}

static char *const *make_environment(const struct machine *machine, const char *const *more)
{
	struct arena *arena = machine->machines->arena;
	const char **words = NULL;
	size_t count = 0, capacity = 0;

	words = arena_grow(arena, words, count, &capacity, sizeof(*words));
	words[count++] = machine->machines->environment_run;
	words = arena_grow(arena, words, count, &capacity, sizeof(*words));
	words[count++] = arena_printf(arena, "DRSIM_MACHINE=%s", machine->config->name);
	for (int own = 0; own < 2; own++)
		for (char **at = own ? environ : (char **)(uintptr_t)more; at && *at; at++) {
			if (strncmp(*at, "DRSIM_RUN=", 10) == 0 ||
			    strncmp(*at, "DRSIM_MACHINE=", 14) == 0)
				continue;
			words = arena_grow(arena, words, count, &capacity, sizeof(*words));
			words[count++] = *at;
		}
	words = arena_grow(arena, words, count, &capacity, sizeof(*words));
	words[count] = NULL;
	return (char *const *)(uintptr_t)words;
}

/* In a process of its own, which need not come back: in a user namespace that cannot be done. */
static _Noreturn void fork_there(const struct machine *machine, const struct birth *birth, int said)
{
	char path[64];
	pid_t pid = -1;
	int theirs;

	snprintf(path, sizeof(path), "/proc/%ld/ns/pid", (long)machine->pid);
	theirs = open(path, O_RDONLY | O_CLOEXEC);
	/* Only children are born in the namespace that a process enters. */
	if (theirs >= 0 && setns(theirs, CLONE_NEWPID) == 0)
		pid = fork();
	if (pid == 0) {
		close(said);
		be_born(birth);
	}
	_exit(write(said, &pid, sizeof(pid)) == sizeof(pid) ? 0 : 1);
}

/* Born in the machine's PID namespace: a child of its first process. */
static pid_t fork_inside(const struct machine *machine, const struct birth *birth)
{
	pid_t pid = -1, between;
	int said[2];

	if (pipe2(said, O_CLOEXEC))
		return -1;
	between = fork();
	if (between == 0)
		fork_there(machine, birth, said[1]);
	close(said[1]);
	if (between > 0 && read(said[0], &pid, sizeof(pid)) != sizeof(pid))
		pid = -1;
	close(said[0]);
	while (between > 0 && waitpid(between, NULL, 0) < 0 && errno == EINTR)
		;
	if (pid < 0)
		errno = EPERM;
	return pid;
}

static pid_t clone_child(const struct machine *machine)
{
	unsigned long flags = SIGCHLD;

	if (machine->machines->isolation == MACHINE_LOOPBACK)
		return fork();
	flags |= CLONE_NEWPID;
	if (machine->mounts < 0)
		flags |= CLONE_NEWNS;
	return (pid_t)syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
}

/* Puts a process into the machine's groups of all uses. */
static int join_groups(const char *const groups[CGROUP_USES], pid_t pid, bool *ret_any,
		       struct error *e)
{
	*ret_any = false;
	for (int use = 0; use < CGROUP_USES; use++) {
		bool again = false;

		for (int other = 0; other < use; other++)
			again = again || (groups[use] && groups[other] &&
					  strcmp(groups[use], groups[other]) == 0);
		if (!groups[use] || again)
			continue;
		if (cgroup_join(groups[use], pid, e))
			return -1;
		*ret_any = true;
	}
	return 0;
}

/* Before the child does anything: it is in its cgroups, or its pid is in the journal. */
static int register_child(struct machine *machine, struct error *e)
{
	struct undo kill = {.kind = UNDO_KILL, .pid = machine->pid, .start = machine->start};
	bool joined;

	if (join_groups(machine->main, machine->pid, &joined, e) ||
	    machine_join_extras(machine, machine->pid, e))
		return -1;
	if (joined)
		return 0;
	if (journal_add(machine->machines->journal, &kill, e))
		return -1;
	machine->kill_record = kill.number;
	return 0;
}

/* What the child says next; at the end of the pipe it runs its program, or is dead. */
static bool read_report(const struct birth *birth, struct report *ret)
{
	ssize_t got;

	while ((got = read(birth->status[0], ret, sizeof(*ret))) < 0 && errno == EINTR)
		;
	return got == sizeof(*ret);
}

/* Its mounts can be seen from outside through these, also when its processes are dead. */
static int hold_mounts(struct machine *machine, struct error *e)
{
	char path[64];

	if (machine->machines->isolation == MACHINE_LOOPBACK || machine->mounts >= 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/%ld/ns/mnt", (long)machine->pid);
	machine->mounts = open(path, O_RDONLY | O_CLOEXEC);
	if (machine->mounts < 0)
		return fail(machine, "hold its mount namespace", e);
	snprintf(path, sizeof(path), "/proc/%ld/root", (long)machine->pid);
	machine->tree = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (machine->tree < 0)
		return fail(machine, "see its files", e);
	snprintf(machine->root, sizeof(machine->root), "/proc/%ld/fd/%d", (long)getpid(),
		 machine->tree);
	return 0;
}

static int say_go(const struct machine *machine, const struct birth *birth, struct error *e)
{
	return write(birth->go[1], "g", 1) == 1 ? 0 : fail(machine, "begin", e);
}

/* The last word before it runs its program, and its filter's listener is taken over. */
static int say_last_go(const struct machine *machine, const struct birth *birth, struct error *e)
{
	bool any;

	if (say_go(machine, birth, e))
		return -1;
	return birth->filter ? syscall_child_take(birth->filter, birth->listener[0], &any, e) : 0;
}

/* From the fork to the running program. */
static int bring_up(struct machine *machine, const struct birth *birth, struct error *e)
{
	struct report report;

	if (register_child(machine, e) || say_go(machine, birth, e))
		return -1;
	if (!read_report(birth, &report))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "machine %s: it died at once",
				 machine->config->name);
	if (report.stage == STAGE_READY) {
		if (hold_mounts(machine, e) || say_last_go(machine, birth, e))
			return -1;
		if (!read_report(birth, &report))
			return 0;
	}
	errno = report.error;
	return fail(machine, stage_words[report.stage], e);
}

static void close_pair(int ends[2])
{
	for (int i = 0; i < 2; i++)
		if (ends[i] >= 0)
			close(ends[i]);
}

static void close_at(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int open_birth(const struct machine *machine, struct birth *birth, const char *log,
		      struct error *e)
{
	if (pipe2(birth->go, O_CLOEXEC) || pipe2(birth->status, O_CLOEXEC) ||
	    pipe2(birth->output, O_CLOEXEC))
		return fail(machine, "make a pipe", e);
	if (birth->filter && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, birth->listener))
		return fail(machine, "make a socket", e);
	birth->log = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return birth->log < 0 ? fail(machine, "open its log", e) : 0;
}

int machine_start(struct machine *machine, const struct machine_start *start, struct error *e)
{
	struct birth birth = {
		.machine = machine,
		.argv = (char *const *)(uintptr_t)start->argv,
		.envp = make_environment(machine, start->environment),
		.go = {-1, -1},
		.status = {-1, -1},
		.output = {-1, -1},
		.listener = {-1, -1},
		.log = -1,
		.filter = start->filter,
		.monotonic_ahead = start->monotonic_ahead,
		.boottime_ahead = start->boottime_ahead,
	};
	int rc = -1;

	/* What it starts dies with the thread that started it. */
	assert(syscall(SYS_gettid) == getpid());
	assert(!machine->config->place_only);
	/* What is left of the one before must be gone. */
	if (machine_kill(machine, e))
		return -1;
	if (open_birth(machine, &birth, start->log, e))
		goto out;
	machine->pid = clone_child(machine);
	if (machine->pid == 0)
		be_born(&birth);
	if (machine->pid < 0) {
		machine->pid = 0;
		fail(machine, "start a process", e);
		goto out;
	}
	machine->start = process_start(machine->pid);
	machine->log = arena_strdup(machine->machines->arena, start->log);
	machine->output = birth.output[0];
	machine->line_length = 0;
	birth.output[0] = -1;
	close_at(&birth.status[1]);
	close_at(&birth.go[0]);
	close_at(&birth.listener[1]);
	rc = bring_up(machine, &birth, e);
out:
	close_pair(birth.go);
	close_pair(birth.status);
	close_pair(birth.output);
	close_pair(birth.listener);
	close_at(&birth.log);
	if (rc && machine->pid > 0)
		machine_kill(machine, NULL);
	return rc;
}

/* ---- beside it ---- */

/* From the fork to the running program; it hangs on our word until it is in its cgroups. */
static int bring_up_beside(struct machine *machine, const struct birth *birth, pid_t pid,
			   struct error *e)
{
	struct report report;
	bool joined;

	if (join_groups(machine->beside, pid, &joined, e) || say_go(machine, birth, e))
		return -1;
	if (!read_report(birth, &report))
		return fail(machine, "start a process beside it", e);
	if (report.stage == STAGE_READY) {
		if (say_last_go(machine, birth, e))
			return -1;
		if (!read_report(birth, &report))
			return 0;
	}
	errno = report.error;
	return fail(machine, stage_words[report.stage], e);
}

int machine_start_beside(struct machine *machine, const struct machine_start *start,
			 struct machine_beside *ret, struct error *e)
{
	struct birth birth = {
		.machine = machine,
		.argv = (char *const *)(uintptr_t)start->argv,
		.envp = make_environment(machine, start->environment),
		.go = {-1, -1},
		.status = {-1, -1},
		.output = {-1, -1},
		.listener = {-1, -1},
		.log = -1,
		.filter = start->filter,
		.monotonic_ahead = start->monotonic_ahead,
		.boottime_ahead = start->boottime_ahead,
		.beside = true,
	};
	bool inside = machine->machines->isolation == MACHINE_NAMESPACES;
	int rc = -1;

	assert(syscall(SYS_gettid) == getpid());
	*ret = (struct machine_beside){0};
	if (!machine_alive(machine))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "machine %s is not running",
				 machine->config->name);
	if (open_birth(machine, &birth, start->log, e))
		goto out;
	ret->pid = inside ? fork_inside(machine, &birth) : fork();
	if (ret->pid == 0)
		be_born(&birth);
	if (ret->pid < 0) {
		ret->pid = 0;
		fail(machine, "start a process beside it", e);
		goto out;
	}
	ret->start = process_start(ret->pid);
	close_at(&birth.status[1]);
	close_at(&birth.go[0]);
	close_at(&birth.listener[1]);
	rc = bring_up_beside(machine, &birth, ret->pid, e);
out:
	close_pair(birth.go);
	close_pair(birth.status);
	close_pair(birth.output);
	close_pair(birth.listener);
	close_at(&birth.log);
	if (rc)
		machine_end_beside(machine, ret);
	return rc;
}

bool machine_beside_lives(const struct machine_beside *beside)
{
	return beside->pid > 0 && process_lives(beside->pid, beside->start);
}

void machine_end_beside(struct machine *machine, struct machine_beside *beside)
{
	if (beside->pid > 0)
		process_signal(beside->pid, beside->start, SIGKILL);
	/* In a frozen machine it ends when that goes on. */
	if (beside->pid > 0 && !machine->frozen) {
		process_wait(beside->pid, beside->start, MACHINE_WAIT);
		waitpid(beside->pid, NULL, WNOHANG); /* on loopback it is a child of ours */
	}
	*beside = (struct machine_beside){0};
}

/* ---- its first line ---- */

/* The last line of its log, to say why. */
static const char *last_words(const struct machine *machine)
{
	struct arena *arena = machine->machines->arena;
	char *text = arena_alloc(arena, LOG_TAIL + 1), *line;
	int fd = open(machine->log, O_RDONLY | O_CLOEXEC);
	off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
	ssize_t got = 0;

	if (fd >= 0) {
		got = pread(fd, text, LOG_TAIL, size > LOG_TAIL ? size - LOG_TAIL : 0);
		close(fd);
	}
	while (got > 0 && text[got - 1] == '\n')
		text[--got] = '\0';
	line = strrchr(text, '\n');
	return line ? line + 1 : text;
}

/* Takes the address out of "listening 10.90.0.1:8000". */
static int take_address(const struct machine *machine, char ret[MACHINE_ADDRESS_MAX],
			struct error *e)
{
	static const char word[] = "listening ";
	const char *address = machine->line + strlen(word);

	if (strncmp(machine->line, word, strlen(word)) != 0 || !strchr(address, ':') ||
	    strlen(address) >= MACHINE_ADDRESS_MAX)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "machine %s: it should say where it listens, but says '%.100s'",
				 machine->config->name, machine->line);
	memcpy(ret, address, strlen(address) + 1);
	return 0;
}

int machine_listening(struct machine *machine, nanos timeout, char ret_address[MACHINE_ADDRESS_MAX],
		      struct error *e)
{
	nanos end = process_now() + timeout;

	assert(machine->output >= 0);
	for (;;) {
		struct pollfd output = {.fd = machine->output, .events = POLLIN};
		nanos left = end - process_now();
		ssize_t got;
		char *newline;

		if (left <= 0)
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
					 "machine %s does not listen within %lld ms: %.200s",
					 machine->config->name, (long long)(timeout / NANOS_MS),
					 last_words(machine));
		if (poll(&output, 1, (int)(left / NANOS_MS) + 1) <= 0)
			continue;
		got = read(machine->output, machine->line + machine->line_length,
			   sizeof(machine->line) - 1 - machine->line_length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
					 "machine %s ended before it listened: %.200s",
					 machine->config->name, last_words(machine));
		machine->line_length += (size_t)got;
		machine->line[machine->line_length] = '\0';
		newline = strchr(machine->line, '\n');
		if (newline) {
			*newline = '\0';
			return take_address(machine, ret_address, e);
		}
	}
}
