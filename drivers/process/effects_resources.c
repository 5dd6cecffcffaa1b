/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Effects on what a machine's processes have of CPU and memory: other work that takes it, a quota,
 * the kernel's OOM killer. All of it lives in the machines' own cgroups and goes with them.
 *
 * A stand-in machine has all CPUs of this host, among as many others. Its memory is what its
 * processes have now, with room for as much more as a real node has: so that what serves needs the
 * same share of it as there.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "drivers/host/process.h"
#include "drivers/process/effects.h"

#define PATIENCE (3 * NANOS_S) /* until an effect shows */
#define FILL_PATIENCE (20 * NANOS_S)
#define LOOK (100 * NANOS_MS)       /* between two looks at what is used */
#define USE_WINDOW (400 * NANOS_MS) /* in which the use of CPU before a quota is measured */
#define USE_MIN 1e-4                /* processors: who uses less is not seen to be held back */
#define TAKEN_MIN 0.005             /* of the CPUs: from here on it is seen that they are taken */
#define NEEDED 0.1                  /* of a node's memory, by what serves on it: as in the model */
#define MEMORY_MIN ((uint64_t)16 << 20)
#define KERNEL_SLACK ((uint64_t)512 << 10) /* page tables and the like, as memory grows */
#define STRAIN_MIN ((uint64_t)1 << 20)
/*
 * Held beside all else while memory is short: the OOM killer counts the pages of libraries too,
 * which nobody here is charged with, and gives scores in thousandths of the limit. In a group as
 * small as what a stand-in needs its agent would come before its replicas.
 */
#define BALLAST ((uint64_t)64 << 20)
#define OOM_SLACK ((uint64_t)2 << 20) /* of a limit above what is used; who takes it needs 1 MiB */
#define OOM_TRY (300 * NANOS_MS)
#define OOM_FIRST "1000" /* score of whom the killer is to take */

static double share(int64_t ppm)
{
	return (double)ppm / EFFECT_PPM;
}

static uint32_t ppm(double share)
{
	return (uint32_t)lround(fmin(fmax(share, 0), 1) * EFFECT_PPM);
}

static struct node *node_of(struct real *real, const struct fault_state *fault)
{
	return real_node(real, fault->effect.entity.site, (uint32_t)fault->effect.entity.index);
}

static double cpus_of_host(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	return sched_getaffinity(0, sizeof(set), &set) ? 1 : CPU_COUNT(&set);
}

/* Other work on the machine. */
static int start_strain(struct real *real, struct node *node, uint64_t workers, uint64_t load,
			uint64_t memory, struct machine_beside *ret, struct error *e)
{
	struct arena *arena = &real->arena;
	const char *argv[] = {
		real->program, "strain",
		"--workers",   arena_printf(arena, "%llu", (unsigned long long)workers),
		"--load-ppm",  arena_printf(arena, "%llu", (unsigned long long)load),
		"--memory",    arena_printf(arena, "%llu", (unsigned long long)memory),
		NULL,
	};
	const struct machine_start start = {
		.argv = argv,
		.log = arena_printf(arena, "%s/strain.log", real->log),
	};

	return machine_start_beside(node->machine, &start, ret, e);
}

bool strain_runs(struct real *real, const struct fault_state *fault)
{
	(void)real;
	return machine_beside_lives(&fault->strain);
}

/* ---- CPU of a node ---- */

static void look_cpu(struct real *real, struct fault_state *fault)
{
	nanos now = real_now(real), used = process_cpu(fault->strain.pid);
	double taken =
		(double)(used - fault->cpu_then) / ((double)(now - fault->cpu_at) * cpus_of_host());

	fault->cpu_at = now;
	fault->cpu_then = used;
	node_of(real, fault)->cpu_left = ppm(1 - taken);
}

int cpu_take(struct real *real, struct fault_state *fault, struct error *e)
{
	const struct effect *effect = &fault->effect;
	double workers = 1, cpus = real->scenario->deployment.sites[effect->entity.site].cpus;
	struct node *node = node_of(real, fault);
	nanos end = real_now(real) + PATIENCE;

	/* Workers are a share of the scenario's node: here they keep that of each CPU busy. */
	if (effect->spread)
		workers = fmin((double)effect->spread / cpus, 1);
	uint32_t load = ppm(share(effect->amount) * workers);
	if (start_strain(real, node, (uint64_t)cpus_of_host(), load > 0 ? load : 1, 0,
			 &fault->strain, e))
		return -1;
	fault->cpu_at = real_now(real);
	fault->cpu_then = process_cpu(fault->strain.pid);
	do {
		real_sleep(real, real_now(real) + LOOK, NULL);
		look_cpu(real, fault);
	} while (node->cpu_left > ppm(1 - TAKEN_MIN) && real_now(real) < end);
	return 0;
}

int cpu_give(struct real *real, struct fault_state *fault, struct error *e)
{
	(void)e;
	machine_end_beside(node_of(real, fault)->machine, &fault->strain);
	node_of(real, fault)->cpu_left = EFFECT_PPM;
	return 0;
}

/* ---- memory of a node ---- */

/* Of the agent: what it has to itself, by /proc; the cgroup counts it with all others. */
static uint64_t private_bytes(pid_t pid)
{
	char path[64], text[256];
	const char *at = text;
	uint64_t pages[3] = {0}; /* mapped, resident, of them shared */

	snprintf(path, sizeof(path), "/proc/%ld/statm", (long)pid);
	if (process_read_file(path, text, sizeof(text)) <= 0)
		return 0;
	for (int i = 0; i < 3; i++) {
		pages[i] = process_number(&at);
		at += *at == ' ';
	}
	return (pages[1] - pages[2]) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int limit_memory(struct node *node, uint64_t bytes, struct error *e)
{
	if (machine_limit(node->machine, 0, bytes, e))
		return -1;
	node->memory_limit = bytes;
	return 0;
}

static int read_memory(const struct node *node, struct machine_memory *ret, struct error *e)
{
	if (machine_memory(node->machine, false, ret))
		return 0;
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
			 "no cgroup limits and counts the memory of %s", node->name);
}

/* Until it holds as much; *held: what all beside the machine's own do. */
static void wait_held(struct real *real, struct node *node, const struct machine_beside *strain,
		      uint64_t bytes, nanos end, struct machine_memory *held)
{
	while (machine_beside_lives(strain) && held->private_bytes < bytes &&
	       real_now(real) < end) {
		real_sleep(real, real_now(real) + LOOK / 10, NULL);
		machine_memory(node->machine, true, held);
	}
}

/* What other work is charged with beside the memory that it is to take: its own processes, their
 * page tables and the like. Tried with next to nothing. */
static int weigh_strain(struct real *real, struct node *node, uint64_t *ret_bytes, struct error *e)
{
	struct machine_beside strain = {0};
	struct machine_memory held = {0};
	nanos end = real_now(real) + PATIENCE;

	if (start_strain(real, node, 0, 1, STRAIN_MIN, &strain, e))
		return -1;
	wait_held(real, node, &strain, STRAIN_MIN, end, &held);
	machine_end_beside(node->machine, &strain);
	*ret_bytes = held.bytes > STRAIN_MIN ? held.bytes - STRAIN_MIN : 0;
	return 0;
}

int mem_take(struct real *real, struct fault_state *fault, struct error *e)
{
	const struct effect *effect = &fault->effect;
	const struct site *site = &real->scenario->deployment.sites[effect->entity.site];
	struct node *node = node_of(real, fault);
	struct machine_memory memory, held = {0};
	uint64_t extra;
	nanos end = real_now(real) + FILL_PATIENCE;
	double taken = effect->spread ? fmin((double)effect->spread / (double)site->memory, 1)
				      : share(effect->amount);

	if (weigh_strain(real, node, &extra, e) || read_memory(node, &memory, e))
		return -1;
	/* The agent is the node's own: what it has stays beside what the node serves with. */
	uint64_t agent = private_bytes(machine_first(node->machine));
	double serving =
		(double)(memory.private_bytes - (agent < memory.private_bytes ? agent : 0));
	double all = fmax(serving / NEEDED, (double)MEMORY_MIN);
	uint64_t wanted = (uint64_t)(taken * all);
	if (process_require_memory(BALLAST + wanted, e) ||
	    limit_memory(node,
			 memory.bytes + extra + BALLAST + (uint64_t)(all - serving) + KERNEL_SLACK,
			 e) ||
	    start_strain(real, node, 0, 1, BALLAST + wanted, &fault->strain, e))
		return -1;
	wait_held(real, node, &fault->strain, BALLAST + wanted, end, &held);
	if (!strain_runs(real, fault))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "what takes the memory of %s was ended itself", node->name);
	node->memory_left = ppm(1 - ((double)held.private_bytes - (double)BALLAST) / all);
	return 0;
}

int mem_give(struct real *real, struct fault_state *fault, struct error *e)
{
	struct node *node = node_of(real, fault);

	machine_end_beside(node->machine, &fault->strain);
	node->memory_left = EFFECT_PPM;
	return limit_memory(node, 0, e);
}

/* ---- CPU of a process ---- */

/* The tightest quota of each endpoint, from all faults that stand. */
static void tell_quotas(struct real *real)
{
	uint32_t tightest[SCENARIO_ENDPOINTS_MAX] = {0};

	for (size_t i = 0; i < real->fault_count; i++) {
		const struct fault_state *fault = &real->faults[i];
		if (!fault->used || fault->effect.kind != EFFECT_CPU_QUOTA || !fault->pid_count)
			continue;
		uint32_t left = (uint32_t)(EFFECT_PPM - fault->effect.amount);
		uint32_t *at = &tightest[fault->effect.entity.index];
		*at = *at == 0 || left < *at ? left : *at;
	}
	for (uint32_t i = 0; i < real->scenario->deployment.endpoint_count; i++)
		real->quota[i] = tightest[i];
}

static int remember(struct real *real, struct node *node, pid_t pid, void *context, struct error *e)
{
	struct fault_state *fault = context;
	size_t i = 0;

	(void)e;
	while (i < fault->pid_count && fault->pids[i] != pid)
		i++;
	if (i == fault->pid_count && i < FAULT_RECORDS_MAX) {
		fault->pids[i] = pid;
		fault->node_of[i] = (uint32_t)(node - real->nodes);
		fault->cpu_used[i] = -(double)process_cpu(pid);
		fault->pid_count++;
	}
	return 0;
}

/* Those that are not held yet: what they use, then so much less. */
static int squeeze(struct real *real, struct fault_state *fault, size_t first, struct error *e)
{
	nanos from = real_now(real);

	real_sleep(real, from + USE_WINDOW, NULL);
	double window = (double)(real_now(real) - from);
	for (size_t i = first; i < fault->pid_count; i++) {
		struct machine *machine = real->nodes[fault->node_of[i]].machine;
		fault->cpu_used[i] += (double)process_cpu(fault->pids[i]);
		fault->cpu_used[i] /= window;
		if (fault->cpu_used[i] < USE_MIN)
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
					 "process %ld uses next to no CPU: no quota holds it back",
					 (long)fault->pids[i]);
		if (machine_squeeze(machine, fault->pids[i],
				    fault->cpu_used[i] * (1 - share(fault->effect.amount)), e))
			return -1;
	}
	return 0;
}

static bool held_back(struct real *real, const struct fault_state *fault)
{
	for (size_t i = 0; i < fault->pid_count; i++)
		if (machine_throttled(real->nodes[fault->node_of[i]].machine, fault->pids[i]) > 0)
			return true;
	return false;
}

int quota_set(struct real *real, struct fault_state *fault, struct error *e)
{
	nanos end = real_now(real) + PATIENCE;

	fault->pid_count = 0;
	if (effects_each_process(real, fault->effect.entity, remember, fault, e) ||
	    squeeze(real, fault, 0, e))
		return -1;
	while (!held_back(real, fault) && real_now(real) < end)
		real_sleep(real, real_now(real) + LOOK / 10, NULL);
	if (!held_back(real, fault))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "the quota never made the process wait");
	tell_quotas(real);
	return 0;
}

int quota_lift(struct real *real, struct fault_state *fault, struct error *e)
{
	int rc = 0;

	for (size_t i = 0; i < fault->pid_count; i++)
		if (machine_release(real->nodes[fault->node_of[i]].machine, fault->pids[i], e))
			rc = -1;
	fault->pid_count = 0;
	tell_quotas(real);
	return rc;
}

bool quota_holds(struct real *real, const struct fault_state *fault)
{
	(void)real;
	return fault->pid_count > 0;
}

/* A process that was started again is held too: the limit is the deployment's. */
static void squeeze_again(struct real *real, struct fault_state *fault)
{
	struct error error = {.kind = ERROR_NONE};
	size_t kept = 0, before = fault->pid_count;

	for (size_t i = 0; i < before; i++) {
		if (!process_lives(fault->pids[i], 0)) {
			machine_release(real->nodes[fault->node_of[i]].machine, fault->pids[i],
					&error);
			continue;
		}
		fault->pids[kept] = fault->pids[i];
		fault->node_of[kept] = fault->node_of[i];
		fault->cpu_used[kept++] = fault->cpu_used[i];
	}
	fault->pid_count = kept;
	if (kept < before &&
	    effects_each_process(real, fault->effect.entity, remember, fault, &error) == 0)
		squeeze(real, fault, kept, &error);
}

/* ---- the OOM killer ---- */

static bool take_first(pid_t pid)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%ld/oom_score_adj", (long)pid);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, OOM_FIRST, strlen(OOM_FIRST)) > 0;

	if (fd >= 0)
		close(fd);
	return done;
}

/* Leaves the machine nearly no room and takes a bit more than that: the kernel has to end somebody,
 * and once that one is gone there is room enough. What it could reclaim instead is gone then. */
static int want_room(struct real *real, struct node *node, uint64_t bytes, nanos patience,
		     bool (*over)(const void *context), const void *context, struct error *e)
{
	struct machine_memory memory, held = {0};
	struct machine_beside ballast, taker = {0};
	nanos until;
	int rc;

	if (start_strain(real, node, 0, 1, BALLAST, &ballast, e))
		return -1;
	wait_held(real, node, &ballast, BALLAST, real_now(real) + PATIENCE, &held);
	rc = read_memory(node, &memory, e) ||
	     machine_limit(node->machine, 0, memory.bytes + held.bytes + OOM_SLACK, e) ||
	     start_strain(real, node, 0, 1, OOM_SLACK + bytes, &taker, e);
	until = real_now(real) + patience;
	while (rc == 0 && !over(context) && real_now(real) < until)
		real_sleep(real, real_now(real) + LOOK / 50, NULL);
	machine_end_beside(node->machine, &taker);
	machine_end_beside(node->machine, &ballast);
	return rc ? -1 : 0;
}

struct victim {
	pid_t pid;
	uint64_t start;
};

static bool is_gone(const void *context)
{
	const struct victim *victim = context;

	return !process_lives(victim->pid, victim->start);
}

static int end_by_oom(struct real *real, struct node *node, pid_t pid, void *context,
		      struct error *e)
{
	const struct victim victim = {.pid = pid, .start = process_start(pid)};
	uint64_t kills = machine_oom_kills(node->machine), bytes = private_bytes(pid) / 2;
	nanos end = real_now(real) + PATIENCE;
	struct error ignored = {.kind = ERROR_NONE};
	int rc = 0;

	(void)context;
	if (victim.start == 0)
		return 0; /* it ended meanwhile */
	if (!take_first(pid))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "cannot name process %ld to the OOM killer: %s", (long)pid,
				 strerror(errno));
	while (rc == 0 && !is_gone(&victim) && real_now(real) < end)
		rc = want_room(real, node, bytes, OOM_TRY, is_gone, &victim, e);
	if (machine_limit(node->machine, 0, node->memory_limit, rc ? &ignored : e))
		return -1;
	kills = machine_oom_kills(node->machine) - kills;
	if (rc == 0 && kills != 1)
		rc = error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
			       "the OOM killer ended %llu processes instead of one",
			       (unsigned long long)kills);
	return rc;
}

int oom_kill(struct real *real, struct fault_state *fault, struct error *e)
{
	struct reading before;

	readings_take(real, fault->effect.entity, &before);
	if (effects_each_process(real, fault->effect.entity, end_by_oom, NULL, e))
		return -1;
	effects_wait_seen(real, fault->effect.entity, before.process_starts, before.processes);
	return 0;
}

/* ---- what goes on by itself ---- */

void resources_look(struct real *real, struct fault_state *fault)
{
	if (fault->effect.kind == EFFECT_CPU_TAKEN && real_now(real) - fault->cpu_at >= LOOK)
		look_cpu(real, fault);
	if (fault->effect.kind != EFFECT_CPU_QUOTA)
		return;
	for (size_t i = 0; i < fault->pid_count; i++)
		if (!process_lives(fault->pids[i], 0)) {
			squeeze_again(real, fault);
			return;
		}
}
