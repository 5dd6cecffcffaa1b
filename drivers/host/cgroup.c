/* SPDX-License-Identifier: Apache-2.0 */
/* Control groups of both versions. */
#include "drivers/host/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "drivers/host/process.h"

#define PATH_SIZE 4352 /* a path and a file's name */
#define DEPTH_MAX 16   /* of groups in groups */
#define PAUSE (2 * NANOS_MS)
#define CPU_SHARES 1024u /* of a group, version 1, and the most */
#define CPU_SHARES_MAX (1u << 18)
#define CPU_WEIGHT 100u /* version 2 */
#define CPU_WEIGHT_MAX 10000u
#define CPU_PERIOD_US 20000
#define CPU_PERIOD_MAX_US 1000000
#define CPU_QUOTA_MIN_US 1000 /* the least that the kernel takes */

const char *const cgroup_names[CGROUP_USES] = {
	[CGROUP_FREEZER] = "freezer",
	[CGROUP_CPU] = "cpu",
	[CGROUP_MEMORY] = "memory",
};
const char *const cgroup_extra_names[CGROUP_EXTRAS] = {
	[CGROUP_DEVICES] = "devices",
	[CGROUP_IO] = "io",
	[CGROUP_PIDS] = "pids",
};

/* ---- files of a group ---- */

static bool put(const char *path, const char *name, const char *text)
{
	char file[PATH_SIZE];
	ssize_t wrote;
	int fd, error;

	snprintf(file, sizeof(file), "%s/%s", path, name);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	wrote = write(fd, text, strlen(text));
	error = errno;
	close(fd);
	errno = error;
	return wrote == (ssize_t)strlen(text);
}

static bool get(const char *path, const char *name, char *ret, size_t size)
{
	char file[PATH_SIZE];

	snprintf(file, sizeof(file), "%s/%s", path, name);
	return process_read_file(file, ret, size) >= 0;
}

/* Is `word` among the words of `text`, which are parted by any of `between`? */
static bool has_word(const char *text, const char *word, const char *between)
{
	size_t length = strlen(word);

	for (const char *at = text; *at; at += strspn(at, between)) {
		size_t size = strcspn(at, between);

		if (size == length && strncmp(at, word, length) == 0)
			return true;
		at += size;
	}
	return false;
}

static int fail(struct error *e, const char *what, const char *path)
{
	return error_set(e, ERROR_IO, NO_PLACE, "cannot %s the cgroup %s: %s", what, path,
			 strerror(errno));
}

/* ---- where ---- */

struct mount {
	const char *path;
	bool v2;
	const char *options; /* of the file system: v1 has its controllers there */
};

/* The next cgroup mount of a mountinfo text; it is cut into words. */
static bool next_mount(char **at, struct mount *ret)
{
	while (**at) {
		char *line = *at, *end = line + strcspn(line, "\n"), *words[5], *tail;

		*at = *end ? end + 1 : end;
		*end = '\0';
		tail = strstr(line, " - ");
		for (int i = 0; i < 5; i++)
			words[i] = strsep(&line, " ");
		if (!tail || !words[4] || strncmp(tail, " - cgroup", 9) != 0)
			continue;
		ret->v2 = strncmp(tail, " - cgroup2 ", 11) == 0;
		ret->path = words[4];
		ret->options = strrchr(tail, ' ') + 1;
		return true;
	}
	return false;
}

/* Our own group in the hierarchy that has this controller (v2: NULL), "" when it is the root. */
static const char *own_group(const char *controller, struct arena *arena)
{
	char *text = process_read_text("/proc/self/cgroup", arena), *line;

	while (text && (line = strsep(&text, "\n")) != NULL && *line) {
		const char *number = strsep(&line, ":"), *list = line ? strsep(&line, ":") : NULL;
		bool v2 = list && strcmp(number, "0") == 0 && !*list;

		if (!list || !line || (controller ? !has_word(list, controller, ",") : !v2))
			continue;
		/* A path that leads out of our cgroup namespace is none that we can use. */
		return strcmp(line, "/") == 0 || strncmp(line, "/..", 3) == 0 ? "" : line;
	}
	return "";
}

/* May groups be made there? */
static bool writable(const char *path)
{
	return access(path, W_OK | X_OK) == 0;
}

/* Would a group made in `path` have this controller? What the host hands on is not ours to change:
 * it would stay after the run. */
static bool hands_on(const char *path, const char *controller)
{
	char text[1024];

	return get(path, "cgroup.subtree_control", text, sizeof(text)) &&
	       has_word(text, controller, " \n");
}

/* controller NULL: one that every group has. */
static void consider_v2(const struct mount *mount, const char *controller, struct arena *arena,
			struct cgroup_place *place)
{
	const char *own = arena_printf(arena, "%s%s", mount->path, own_group(NULL, arena));
	const char *folders[] = {geteuid() == 0 ? mount->path : own, own};

	for (size_t i = 0; i < 2 && !place->path; i++) {
		if (!writable(folders[i]))
			place->why = arena_printf(arena, "%s: %s", folders[i], strerror(errno));
		else if (controller && !hands_on(folders[i], controller))
			place->why = arena_printf(arena,
						  "%s hands on no controller %s: write +%s to its "
						  "cgroup.subtree_control",
						  folders[i], controller, controller);
		else
			*place = (struct cgroup_place){
				.path = folders[i],
				.v2 = true,
				.why = arena_printf(arena, "version 2, in %s", folders[i]),
			};
	}
}

static void consider_v1(const struct mount *mount, const char *controller, struct arena *arena,
			struct cgroup_place *place)
{
	const char *folder;

	if (place->path || !has_word(mount->options, controller, ","))
		return;
	folder = arena_printf(arena, "%s%s", mount->path, own_group(controller, arena));
	if (access(folder, F_OK))
		folder = mount->path;
	if (!writable(folder)) {
		place->why = arena_printf(arena, "%s: %s", folder, strerror(errno));
		return;
	}
	*place = (struct cgroup_place){.path = folder,
				       .why = arena_printf(arena, "version 1, in %s", folder)};
}

/* Version 2 first: there a frozen process can be killed. */
static void consider(const char *v1, const char *v2, struct arena *arena, struct cgroup_place *ret)
{
	const struct mount none = {0};

	*ret = (struct cgroup_place){.why = "no cgroup file system is mounted with it"};
	for (int version = 2; version >= 1; version--) {
		char *text = process_read_text("/proc/self/mountinfo", arena);
		struct mount mount = none;

		while (text && next_mount(&text, &mount)) {
			mount.path = arena_strdup(arena, mount.path);
			if (mount.v2 && version == 2)
				consider_v2(&mount, v2, arena, ret);
			else if (!mount.v2 && version == 1)
				consider_v1(&mount, v1, arena, ret);
		}
	}
}

void cgroups_probe(struct arena *arena, struct cgroups *ret)
{
	*ret = (struct cgroups){0};
	for (int use = 0; use < CGROUP_USES; use++)
		consider(cgroup_names[use], use == CGROUP_FREEZER ? NULL : cgroup_names[use], arena,
			 &ret->places[use]);
}

void cgroup_extras_probe(struct arena *arena, struct cgroup_place ret[CGROUP_EXTRAS])
{
	static const char *const v1[CGROUP_EXTRAS] = {"devices", "blkio", "pids"};
	struct cgroup_place v2 = {0};

	for (int extra = 0; extra < CGROUP_EXTRAS; extra++)
		consider(v1[extra], cgroup_extra_names[extra], arena, &ret[extra]);
	/* Not a controller, but a program: in whichever group of version 2. */
	consider("", NULL, arena, &v2);
	if (v2.path && v2.v2 && cgroup_can_filter())
		ret[CGROUP_DEVICES] = (struct cgroup_place){
			.path = v2.path,
			.v2 = true,
			.why = arena_printf(arena, "version 2, by a BPF program, in %s", v2.path),
		};
}

/* ---- what can be done with one ---- */

int cgroup_make(const char *path, bool v2, bool parent, struct error *e)
{
	static const char *const hand_on[] = {"+cpu", "+memory", "+io", "+pids"};

	if (mkdir(path, 0755) && errno != EEXIST)
		return fail(e, "make", path);
	/* What it does not have to hand on is told by the probe. */
	for (size_t i = 0; v2 && parent && i < sizeof(hand_on) / sizeof(hand_on[0]); i++)
		put(path, "cgroup.subtree_control", hand_on[i]);
	return 0;
}

int cgroup_join(const char *path, pid_t pid, struct error *e)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", (long)pid);
	return put(path, "cgroup.procs", text) ? 0 : fail(e, "move a process to", path);
}

static bool is_frozen(const char *path, bool v2, bool wanted)
{
	char text[1024];

	if (!get(path, v2 ? "cgroup.events" : "freezer.state", text, sizeof(text)))
		return false;
	if (v2)
		return strstr(text, wanted ? "frozen 1" : "frozen 0") != NULL;
	return strcmp(text, wanted ? "FROZEN\n" : "THAWED\n") == 0;
}

int cgroup_freeze(const char *path, bool v2, bool frozen, nanos timeout, struct error *e)
{
	nanos end = process_now() + timeout;

	for (;;) {
		/* Version 1 can stay FREEZING when a process was busy: it has to be asked again. */
		if (!put(path, v2 ? "cgroup.freeze" : "freezer.state",
			 v2 ? (frozen ? "1" : "0") : (frozen ? "FROZEN" : "THAWED")))
			return fail(e, frozen ? "freeze" : "thaw", path);
		if (is_frozen(path, v2, frozen))
			return 0;
		if (process_now() >= end)
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
					 "the cgroup %s does not get %s within %lld ms", path,
					 frozen ? "frozen" : "thawed",
					 (long long)(timeout / NANOS_MS));
		process_pause(PAUSE / 4);
	}
}

int cgroup_limit_cpu(const char *path, bool v2, double cpus, struct error *e)
{
	char quota_text[32] = "max", text[80], period_text[32];
	double period = CPU_PERIOD_US;
	long quota = -1;

	/* The kernel takes no quota below a millisecond: a longer period makes a small one. */
	if (cpus > 0 && cpus * period < CPU_QUOTA_MIN_US)
		period = fmin(ceil(CPU_QUOTA_MIN_US / cpus), CPU_PERIOD_MAX_US);
	if (cpus > 0)
		quota = lround(fmax(cpus * period, CPU_QUOTA_MIN_US));
	snprintf(period_text, sizeof(period_text), "%.0f", period);
	if (v2) {
		if (quota >= 0)
			snprintf(quota_text, sizeof(quota_text), "%ld", quota);
		snprintf(text, sizeof(text), "%s %s", quota_text, period_text);
		return put(path, "cpu.max", text) ? 0 : fail(e, "limit", path);
	}
	snprintf(text, sizeof(text), "%ld", quota);
	if (!put(path, "cpu.cfs_period_us", period_text) || !put(path, "cpu.cfs_quota_us", text))
		return fail(e, "limit", path);
	return 0;
}

int cgroup_weigh(const char *path, bool v2, uint32_t groups, struct error *e)
{
	uint32_t usual = v2 ? CPU_WEIGHT : CPU_SHARES, most = v2 ? CPU_WEIGHT_MAX : CPU_SHARES_MAX;
	uint32_t weight = groups < most / usual ? groups * usual : most;
	char text[32];

	snprintf(text, sizeof(text), "%u", (unsigned)weight);
	return put(path, v2 ? "cpu.weight" : "cpu.shares", text) ? 0 : fail(e, "weigh", path);
}

int cgroup_limit_memory(const char *path, bool v2, uint64_t bytes, struct error *e)
{
	char text[32];

	if (bytes > 0)
		snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
	else
		snprintf(text, sizeof(text), "%s", v2 ? "max" : "-1");
	return put(path, v2 ? "memory.max" : "memory.limit_in_bytes", text)
		       ? 0
		       : fail(e, "limit", path);
}

/* The number behind `name` in a file of lines "NAME NUMBER". */
static uint64_t figure(const char *text, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, name, length) == 0 && at[length] == ' ') {
			at += length + 1;
			return process_number(&at);
		}
	}
	return 0;
}

uint64_t cgroup_throttled(const char *path)
{
	char text[1024];

	return get(path, "cpu.stat", text, sizeof(text)) ? figure(text, "nr_throttled") : 0;
}

bool cgroup_read_memory(const char *path, bool v2, struct cgroup_memory *ret)
{
	char text[8192];
	const char *at = text;

	*ret = (struct cgroup_memory){0};
	if (!get(path, v2 ? "memory.current" : "memory.usage_in_bytes", text, sizeof(text)))
		return false;
	ret->bytes = process_number(&at);
	if (!get(path, "memory.stat", text, sizeof(text)))
		return false;
	ret->private_bytes = figure(text, v2 ? "anon" : "rss");
	return true;
}

uint64_t cgroup_oom_kills(const char *path, bool v2)
{
	char text[1024];

	return get(path, v2 ? "memory.events" : "memory.oom_control", text, sizeof(text))
		       ? figure(text, "oom_kill")
		       : 0;
}

bool cgroup_is_group(const char *path)
{
	struct statfs status;

	return statfs(path, &status) == 0 &&
	       (status.f_type == CGROUP_SUPER_MAGIC || status.f_type == CGROUP2_SUPER_MAGIC);
}

/* ---- emptied and removed ---- */

void cgroup_each(const char *path, void (*each)(void *self, pid_t pid), void *self)
{
	char file[PATH_SIZE], line[64];
	FILE *list;

	snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	list = fopen(file, "re");
	while (list && fgets(line, sizeof(line), list)) {
		const char *at = line;
		pid_t pid = (pid_t)process_number(&at);

		/* 0: it is in a PID namespace that we do not see. */
		if (pid > 0)
			each(self, pid);
	}
	if (list)
		fclose(list);
}

static void kill_one(void *self, pid_t pid)
{
	size_t *count = self;

	if (pid == getpid() || !process_lives(pid, 0))
		return;
	++*count;
	kill(pid, SIGKILL);
}

/* Calls back for the groups in `path`, then for itself. */
static void each_group(const char *path, int depth, void (*each)(void *self, const char *path),
		       void *self)
{
	DIR *dir = depth < DEPTH_MAX ? opendir(path) : NULL;
	struct dirent *entry;

	while (dir && (entry = readdir(dir)) != NULL) {
		char below[PATH_SIZE];

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' ||
		    strlen(path) + strlen(entry->d_name) + 64 > sizeof(below))
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
		each_group(below, depth + 1, each, self);
	}
	if (dir)
		closedir(dir);
	each(self, path);
}

static void kill_group(void *self, const char *path)
{
	put(path, "cgroup.kill", "1");
	/* A frozen process of version 1 takes SIGKILL only when it is thawed. */
	put(path, "freezer.state", "THAWED");
	put(path, "cgroup.freeze", "0");
	cgroup_each(path, kill_one, self);
}

size_t cgroup_kill(const char *path)
{
	size_t count = 0;

	each_group(path, 0, kill_group, &count);
	return count;
}

static void remove_group(void *self, const char *path)
{
	(void)self;
	rmdir(path); /* whether all are gone is seen in the end */
}

int cgroup_destroy(const char *path, nanos timeout, struct error *e)
{
	nanos end = process_now() + timeout;

	if (access(path, F_OK) && errno == ENOENT)
		return 0;
	if (!cgroup_is_group(path))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "%s is no cgroup", path);
	for (;;) {
		cgroup_kill(path);
		each_group(path, 0, remove_group, NULL);
		if (access(path, F_OK) && errno == ENOENT)
			return 0;
		if (process_now() >= end) {
			errno = EBUSY;
			return fail(e, "remove", path);
		}
		process_pause(PAUSE);
	}
}

/* ---- searched ---- */

struct search {
	const char *name;
	void (*each)(void *self, const char *path);
	void *self;
};

static void match(void *self, const char *path)
{
	const struct search *search = self;
	const char *base = strrchr(path, '/') + 1;

	if (strncmp(base, search->name, strlen(search->name)) == 0)
		search->each(search->self, path);
}

void cgroup_find(const char *name, struct arena *arena, void (*each)(void *self, const char *path),
		 void *self)
{
	struct search search = {.name = name, .each = each, .self = self};
	char *text = process_read_text("/proc/self/mountinfo", arena);
	struct mount mount;

	while (text && next_mount(&text, &mount))
		each_group(mount.path, 0, match, &search);
}
