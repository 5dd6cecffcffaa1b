/* SPDX-License-Identifier: Apache-2.0 */
/* Rules: which calls they match, and which of those they hit. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "drivers/host/process.h"
#include "drivers/linux/syscall_private.h"

#define PPM 1000000
#define PRESET_KINDS (SYSCALL_FILE | SYSCALL_SOCKET | SYSCALL_DEVICE)
#define ALL_KINDS (PRESET_KINDS | SYSCALL_PIPE | SYSCALL_OTHER)

const char *const syscall_action_names[] = {
	[SYSCALL_ERROR] = "error",
	[SYSCALL_RETVAL] = "retval",
	[SYSCALL_DELAY] = "delay",
	[SYSCALL_HANG] = "hang",
};

/* ---- is it a rule? ---- */

static int refuse(const char *why, struct error *e)
{
	return error_set(e, ERROR_SCENARIO, NO_PLACE, "a rule for system calls: %s", why);
}

static int check_action(const struct syscall_rule *rule, struct error *e)
{
	if (rule->delay < 0 || rule->delay > SYSCALL_DELAY_MAX || rule->lease < 0)
		return refuse("a delay is 0 to a day, a lease not below 0", e);
	switch (rule->action) {
	case SYSCALL_ERROR:
		return rule->error > 0 && rule->error <= SYSCALL_ERRNO_MAX
			       ? 0
			       : refuse("an errno is 1 to 4095", e);
	case SYSCALL_RETVAL:
		return rule->value >= 0 || rule->value < -SYSCALL_ERRNO_MAX
			       ? 0
			       : refuse("a return value of -4095 to -1 is an error: use that", e);
	case SYSCALL_DELAY:
		return rule->delay > 0 ? 0 : refuse("a delay of 0 delays nothing", e);
	case SYSCALL_HANG:
		return rule->delay == 0 ? 0 : refuse("what hangs has no delay", e);
	}
	return refuse("no such action", e);
}

static int check(const struct syscall_rule *rule, struct error *e)
{
	if (check_action(rule, e))
		return -1;
	if (rule->compare_count > SYSCALL_COMPARES_MAX)
		return refuse("more than 6 compares", e);
	for (size_t i = 0; i < rule->compare_count; i++)
		if (rule->compares[i].argument >= SYSCALL_COMPARES_MAX)
			return refuse("arguments are counted from 0 to 5", e);
	for (size_t i = 0; rule->paths && rule->paths[i]; i++)
		if (i == SYSCALL_PATHS_MAX || rule->paths[i][0] != '/' ||
		    strlen(rule->paths[i]) >= SYSCALL_PATH_MAX)
			return refuse("paths are absolute, at most 64 of 4095 bytes each", e);
	if (rule->kinds & ~(uint32_t)ALL_KINDS)
		return refuse("no such kind of descriptor", e);
	if (rule->when.first && (rule->when.step == 0 || rule->when.last < rule->when.first))
		return refuse("which calls are meant makes no sense", e);
	return rule->ppm <= PPM ? 0 : refuse("a probability is at most 1000000 ppm", e);
}

static int take_calls(const struct syscalls *syscalls, struct syscall_rule_state *state,
		      const char *const *calls, struct error *e)
{
	size_t present = 0;

	for (; *calls; calls++) {
		int number = syscall_number(*calls, e);

		if (number == -1)
			return -1;
		if (number < 0)
			continue;
		if (!syscalls->filter->listed[number])
			return error_set(e, ERROR_SCENARIO, NO_PLACE,
					 "a rule for the system call '%.40s', which the filter of "
					 "the programs does not list",
					 *calls);
		state->calls[number] = true;
		present++;
	}
	return present ? 0 : refuse("it names no call of this architecture", e);
}

static const char *const *copy_paths(struct arena *arena, const char *const *paths)
{
	const char **copy = arena_array(arena, SYSCALL_PATHS_MAX + 1, sizeof(*copy));

	for (size_t i = 0; paths[i]; i++)
		copy[i] = arena_strdup(arena, paths[i]);
	return copy;
}

static struct syscall_rule_state *make_state(struct arena *arena, const struct syscall_rule *rule)
{
	struct syscall_rule_state *state = arena_alloc(arena, sizeof(*state));
	struct syscall_compare *compares =
		arena_array(arena, rule->compare_count + 1, sizeof(*compares));

	state->config = *rule;
	if (rule->compare_count)
		memcpy(compares, rule->compares, rule->compare_count * sizeof(*compares));
	state->config.compares = compares;
	state->config.calls = NULL; /* the caller's; they are numbers now */
	if (rule->paths)
		state->config.paths = copy_paths(arena, rule->paths);
	if (rule->kinds == 0)
		state->config.kinds = PRESET_KINDS;
	if (rule->ppm == 0)
		state->config.ppm = PPM;
	prng_open(&state->prng, rule->seed, 0, rule->entity, PRNG_SYSCALL);
	return state;
}

int syscalls_rule(struct syscalls *syscalls, const struct syscall_rule *rule, uint32_t *ret,
		  struct error *e)
{
	struct syscall_rule_state *state;

	if (check(rule, e))
		return -1;
	if (syscalls->rule_count == SYSCALL_RULES_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "more than %d rules for system calls",
				 SYSCALL_RULES_MAX);
	state = make_state(syscalls->arena, rule);
	if (take_calls(syscalls, state, rule->calls, e))
		return -1;
	pthread_mutex_lock(&syscalls->lock);
	*ret = syscalls->rule_count;
	syscalls->rules[syscalls->rule_count++] = state;
	pthread_mutex_unlock(&syscalls->lock);
	return 0;
}

/* ---- does it match? ---- */

/* What is known of one call so far: it is looked at only as far as rules ask. */
struct look {
	struct syscalls *syscalls;
	const struct syscall_listener *listener;
	const struct seccomp_notif *call;
	const struct syscall_role *role; /* NULL: about nothing */
	bool looked[SYSCALL_OBJECTS];
	enum syscall_seen seen[SYSCALL_OBJECTS];
	bool unread;
};

static bool compare_holds(const struct syscall_compare *compare, uint64_t argument)
{
	uint64_t value = compare->mask ? argument & compare->mask : argument;

	switch (compare->op) {
	case SYSCALL_EQUAL:
		return value == compare->value;
	case SYSCALL_NOT_EQUAL:
		return value != compare->value;
	case SYSCALL_LESS:
		return value < compare->value;
	case SYSCALL_LESS_EQUAL:
		return value <= compare->value;
	case SYSCALL_GREATER:
		return value > compare->value;
	case SYSCALL_GREATER_EQUAL:
		return value >= compare->value;
	}
	return false;
}

static bool arguments_match(const struct syscall_rule *rule, const struct look *look)
{
	for (size_t i = 0; i < rule->compare_count; i++)
		if (!compare_holds(&rule->compares[i],
				   look->call->data.args[rule->compares[i].argument]))
			return false;
	return true;
}

/* Is the thread one of this process? */
static bool process_matches(const struct syscall_rule *rule, const struct look *look)
{
	return rule->process == 0 ||
	       syscall(SYS_tgkill, rule->process, (pid_t)look->call->pid, 0) == 0 || errno == EPERM;
}

static bool path_matches(const struct syscall_rule *rule, const struct syscall_object *object,
			 bool *ret_asked)
{
	if (!rule->paths)
		return true;
	for (size_t i = 0; object->named && rule->paths[i]; i++) {
		if (!syscall_path_under(object->path, rule->paths[i]))
			continue;
		*ret_asked = syscall_path_under(rule->paths[i], "/proc") ||
			     syscall_path_under(rule->paths[i], "/sys");
		return true;
	}
	return false;
}

static bool object_matches(const struct syscall_rule *rule, struct look *look, size_t index)
{
	struct syscall_object *object = &look->syscalls->objects[index];
	bool asked = rule->runtime;

	if (!look->looked[index])
		look->seen[index] = syscall_object(look->role, index, look->call, object);
	look->looked[index] = true;
	if (look->seen[index] == SYSCALL_UNSEEN)
		look->unread = true;
	return look->seen[index] == SYSCALL_SEEN && path_matches(rule, object, &asked) &&
	       (!object->runtime || asked) && (rule->kinds & object->kind);
}

static bool is_about_nothing(const struct look *look)
{
	const int map_fd = 4;

	/* Memory without a file. */
	return !look->role ||
	       (look->role->objects[0].path == SYSCALL_NONE &&
		look->role->objects[0].fd == map_fd && (int)look->call->data.args[map_fd] == -1);
}

static bool matches(const struct syscall_rule_state *state, struct look *look)
{
	const struct syscall_rule *rule = &state->config;

	if (!state->calls[look->call->data.nr] ||
	    (rule->place != SYSCALL_EVERYWHERE && rule->place != look->listener->place) ||
	    !arguments_match(rule, look) || !process_matches(rule, look))
		return false;
	if (is_about_nothing(look))
		return !rule->paths && rule->kinds == PRESET_KINDS;
	/* Whatever it is: then nobody has to look. */
	if (!rule->paths && rule->kinds == ALL_KINDS && rule->runtime)
		return true;
	for (size_t i = 0; i < SYSCALL_OBJECTS; i++)
		if (object_matches(rule, look, i))
			return true;
	return false;
}

/* ---- does it hit? ---- */

static bool hits(struct syscall_rule_state *state)
{
	const struct syscall_rule *rule = &state->config;

	if (!when_includes(&rule->when, ++state->matched))
		return false;
	if (rule->limit && state->taken >= rule->limit)
		return false;
	return rule->ppm == PPM || prng_below(&state->prng, PPM) < rule->ppm;
}

static bool is_over(const struct look *look)
{
	for (size_t i = 0; i < SYSCALL_OBJECTS; i++)
		if (look->looked[i])
			return ioctl(look->listener->fd, SECCOMP_IOCTL_NOTIF_ID_VALID,
				     &look->call->id) != 0;
	return false;
}

struct syscall_rule_state *syscall_decide(struct syscalls *syscalls,
					  const struct syscall_listener *listener,
					  const struct seccomp_notif *call, nanos now,
					  uint32_t *ret_rule, bool *ret_gone)
{
	int number = call->data.nr;
	struct look look = {.syscalls = syscalls, .listener = listener, .call = call};

	*ret_gone = false;
	/* Calls of another architecture come here only from a filter that is not ours. */
	if (number < 0 || number >= SYSCALL_NUMBERS_MAX)
		return NULL;
	look.role = syscalls->filter->roles[number];
	for (uint32_t i = 0; i < syscalls->rule_count; i++) {
		struct syscall_rule_state *state = syscalls->rules[i];

		if (!state->on || now >= state->until || !matches(state, &look))
			continue;
		/* What was read may be another program's that has got its number. */
		*ret_gone = is_over(&look);
		if (*ret_gone)
			return NULL;
		state->total.matched++;
		if (!hits(state))
			continue;
		state->taken++;
		*ret_rule = i;
		return state;
	}
	syscalls->sum.unread += look.unread;
	return NULL;
}

/* ---- switching ---- */

void syscalls_switch(struct syscalls *syscalls, uint32_t rule, bool on)
{
	struct syscall_rule_state *state;
	nanos now = process_now();
	uint64_t one = 1;

	pthread_mutex_lock(&syscalls->lock);
	assert(rule < syscalls->rule_count);
	state = syscalls->rules[rule];
	if (on && !(state->on && now < state->until))
		state->matched = state->taken = 0;
	state->on = on;
	state->until = state->config.lease ? now + state->config.lease : NANOS_NEVER;
	if (!on)
		syscall_held_lift(syscalls, rule);
	pthread_mutex_unlock(&syscalls->lock);
	/* Its thread waits until a time that may have changed. */
	while (on && write(syscalls->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

struct syscall_counts syscalls_counts(struct syscalls *syscalls, uint32_t rule)
{
	struct syscall_counts counts;

	pthread_mutex_lock(&syscalls->lock);
	assert(rule < syscalls->rule_count);
	syscall_held_sweep(syscalls);
	counts = syscalls->rules[rule]->total;
	counts.on = syscalls->rules[rule]->on && process_now() < syscalls->rules[rule]->until;
	for (uint32_t slot = 0; slot < SYSCALL_PENDING_MAX; slot++)
		counts.held += syscalls->held[slot].id && syscalls->held[slot].rule == rule;
	pthread_mutex_unlock(&syscalls->lock);
	return counts;
}
