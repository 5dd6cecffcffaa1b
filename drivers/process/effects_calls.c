/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults of system calls, and of GPUs that do not answer: by a filter that the machines which may
 * be hit have from their start on, and rules that are switched on and off. Only the calls that a
 * step names are asked about.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/linux/syscall.h"
#include "drivers/process/effects.h"
#include "drivers/process/planned.h"

#define HIT_PATIENCE (5 * NANOS_S) /* until a program makes such a call */
#define LEASE (10 * NANOS_S)       /* of a rule, which ends when nobody renews it, */
#define RENEW NANOS_S              /* and how often it is renewed */

/* How a GPU is reached: minilepton asks it by ioctl() for each batch, and so do CUDA programs. */
static const char *const device_calls[] = {"ioctl", NULL};

/* ---- before the machines start ---- */

struct wanted {
	struct arena *arena;
	struct syscall_call *calls;
	size_t count, capacity;
};

static void want(struct wanted *wanted, const char *name)
{
	for (size_t i = 0; i < wanted->count; i++)
		if (strcmp(wanted->calls[i].name, name) == 0)
			return;
	wanted->calls = arena_grow(wanted->arena, wanted->calls, wanted->count, &wanted->capacity,
				   sizeof(*wanted->calls));
	wanted->calls[wanted->count++] = (struct syscall_call){.name = name};
}

/* "openat,write" as a NULL-terminated list. */
static const char *const *names_of(struct arena *arena, const char *list)
{
	const char **names = arena_array(arena, OPERATIONS_NAMES_MAX + 1, sizeof(*names));
	size_t count = 0;

	while (*list && count < OPERATIONS_NAMES_MAX) {
		size_t length = strcspn(list, ",");
		names[count++] = arena_strndup(arena, list, length);
		list += length + (list[length] == ',');
	}
	return names;
}

static void want_effect(void *self, const struct effect *effect)
{
	struct wanted *wanted = self;
	const char *const *names = device_calls;

	if (effect->kind != EFFECT_GPU_HANG) {
		assert(effect->operations && effect->operations->calls);
		names = names_of(wanted->arena, effect->operations->calls);
	}
	for (; *names; names++)
		want(wanted, *names);
}

int calls_open(struct real *real, struct error *e)
{
	struct wanted wanted = {.arena = &real->arena};
	const struct syscall_filter *filter;

	planned_each(real, EFFECTS_OF_CALLS, want_effect, &wanted);
	if (wanted.count == 0)
		return 0;
	const struct syscall_filter_config config = {
		.calls = wanted.calls,
		.call_count = wanted.count,
		.no_io_uring = true,
	};
	if (syscall_filter_make(&config, &real->arena, &filter, e))
		return -1;
	return syscalls_open(filter, &real->guardian, &real->arena, &real->syscalls, e);
}

void calls_close(struct real *real)
{
	if (real->syscalls)
		syscalls_close(real->syscalls);
	real->syscalls = NULL;
}

const struct syscall_launch *calls_launch(struct real *real, const struct node *node)
{
	uint32_t n = (uint32_t)(node - real->nodes);

	if (!real->syscalls || !planned_on_node(real, EFFECTS_OF_CALLS, n))
		return NULL;
	return syscalls_launch(real->syscalls, n);
}

/* ---- rules ---- */

static struct syscall_rule rule_of(struct real *real, const struct effect *effect)
{
	const struct operations *operations = effect->operations;
	struct syscall_rule rule = {
		.seed = real->seed,
		.entity = effect->injection,
		.place = SYSCALL_EVERYWHERE,
		.lease = LEASE,
	};
	static const uint32_t kinds[FD_KINDS] = {
		[FD_FILE] = SYSCALL_FILE,
		[FD_SOCKET] = SYSCALL_SOCKET,
		[FD_PIPE] = SYSCALL_PIPE,
		[FD_DEVICE] = SYSCALL_DEVICE,
	};

	if (!operations)
		return rule;
	rule.calls = names_of(&real->arena, operations->calls);
	rule.when = operations->when;
	rule.limit = operations->count;
	rule.seed = operations->seed ? operations->seed : real->seed;
	rule.kinds = kinds[operations->fd];
	rule.error = operations->error;
	rule.value = operations->value;
	rule.ppm = (uint32_t)effect->amount;
	if (effect->kind == EFFECT_SYS_ERROR)
		rule.action = SYSCALL_ERROR;
	if (effect->kind == EFFECT_SYS_RETVAL)
		rule.action = SYSCALL_RETVAL;
	if (effect->kind == EFFECT_SYS_DELAY) {
		rule.action = SYSCALL_DELAY;
		rule.delay = effect->amount;
		rule.ppm = (uint32_t)effect->spread;
	}
	if (operations->path) {
		const char **paths = arena_array(&real->arena, 2, sizeof(*paths));
		paths[0] = operations->path;
		rule.paths = paths;
	}
	return rule;
}

static int add_rule(struct real *real, struct fault_state *fault, const struct syscall_rule *rule,
		    struct error *e)
{
	if (fault->rule_count == FAULT_RECORDS_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE,
				 "one fault hits the calls of at most %d processes",
				 FAULT_RECORDS_MAX);
	if (syscalls_rule(real->syscalls, rule, &fault->rules[fault->rule_count], e))
		return -1;
	syscalls_switch(real->syscalls, fault->rules[fault->rule_count++], true);
	return 0;
}

static int add_process(struct real *real, struct node *node, pid_t pid, void *context,
		       struct error *e)
{
	struct fault_state *fault = context;
	struct syscall_rule rule = rule_of(real, &fault->effect);

	for (size_t i = 0; i < fault->pid_count; i++)
		if (fault->pids[i] == pid)
			return 0;
	if (fault->pid_count == FAULT_RECORDS_MAX)
		return 0;
	fault->pids[fault->pid_count++] = pid;
	rule.place = (uint32_t)(node - real->nodes);
	rule.process = pid;
	return add_rule(real, fault, &rule, e);
}

static int add_node(struct real *real, struct fault_state *fault, struct error *e)
{
	const struct entity *entity = &fault->effect.entity;
	struct syscall_rule rule = rule_of(real, &fault->effect);

	rule.place = real->first_node[entity->site] + (uint32_t)entity->index;
	if (fault->effect.kind == EFFECT_GPU_HANG) {
		const struct node *node = &real->nodes[rule.place];
		const char **paths = arena_array(&real->arena, 2, sizeof(*paths));
		paths[0] = arena_printf(&real->arena, "%s/gpu%u", node->devices,
					(unsigned)entity->part);
		rule.paths = paths;
		rule.calls = device_calls;
		rule.action = SYSCALL_HANG;
		rule.ppm = 0;
		rule.kinds = SYSCALL_FILE | SYSCALL_DEVICE;
	}
	return add_rule(real, fault, &rule, e);
}

static struct syscall_counts sum_of(struct real *real, const struct fault_state *fault)
{
	struct syscall_counts sum = {.matched = 0};

	for (size_t i = 0; i < fault->rule_count; i++) {
		struct syscall_counts one = syscalls_counts(real->syscalls, fault->rules[i]);
		sum.matched += one.matched;
		sum.acted += one.acted;
		sum.held += one.held;
		sum.on = sum.on || one.on;
	}
	return sum;
}

/* ---- the door ---- */

int calls_break(struct real *real, struct fault_state *fault, struct error *e)
{
	const struct entity *entity = &fault->effect.entity;
	bool node = entity->kind == ENTITY_NODE || entity->kind == ENTITY_GPU;
	nanos end = real_now(real) + HIT_PATIENCE;

	assert(real->syscalls);
	if (node ? add_node(real, fault, e)
		 : effects_each_process(real, *entity, add_process, fault, e))
		return -1;
	fault->renew = real_now(real) + RENEW;
	while (sum_of(real, fault).acted == 0 && real_now(real) < end)
		real_sleep(real, real_now(real) + 5 * NANOS_MS, NULL);
	return 0;
}

int calls_mend(struct real *real, struct fault_state *fault, struct error *e)
{
	(void)e;
	for (size_t i = 0; i < fault->rule_count; i++)
		syscalls_switch(real->syscalls, fault->rules[i], false);
	return 0;
}

bool calls_broken(struct real *real, const struct fault_state *fault)
{
	return fault->rule_count > 0 && sum_of(real, fault).on;
}

/* Leases; and processes that were started since. */
void calls_look(struct real *real, struct fault_state *fault)
{
	const struct entity *entity = &fault->effect.entity;
	struct error error = {.kind = ERROR_NONE};
	nanos now = real_now(real);

	if (now < fault->renew)
		return;
	fault->renew = now + RENEW;
	for (size_t i = 0; i < fault->rule_count; i++)
		syscalls_switch(real->syscalls, fault->rules[i], true);
	if (entity->kind != ENTITY_NODE && entity->kind != ENTITY_GPU)
		effects_each_process(real, *entity, add_process, fault, &error);
}

void calls_read(struct real *real, const struct entity *entity, struct reading *ret)
{
	for (size_t i = 0; i < real->fault_count; i++) {
		const struct fault_state *fault = &real->faults[i];
		struct syscall_counts sum;
		if (fault->rule_count == 0 || !entity_equal(fault->effect.entity, *entity))
			continue;
		sum = sum_of(real, fault);
		ret->calls_hit += sum.acted;
		ret->gpus_hanging +=
			fault->used && fault->effect.kind == EFFECT_GPU_HANG && sum.held > 0;
	}
}
