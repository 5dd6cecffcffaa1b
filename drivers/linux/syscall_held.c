/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that wait for their answer, the earliest first. */
#include <assert.h>
#include <string.h>
#include <sys/ioctl.h>

#include "drivers/linux/syscall_private.h"

bool syscall_answer(int fd, uint64_t id, const struct syscall_rule *rule)
{
	struct seccomp_notif_resp answer = {.id = id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};

	if (rule && rule->action == SYSCALL_ERROR) {
		answer.flags = 0;
		answer.error = -rule->error;
	} else if (rule && rule->action == SYSCALL_RETVAL) {
		answer.flags = 0;
		answer.val = rule->value;
	}
	return ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &answer) == 0;
}

/* ---- a heap of slots ---- */

static bool is_before(const struct syscalls *syscalls, uint32_t a, uint32_t b)
{
	const struct syscall_held *x = &syscalls->held[a], *y = &syscalls->held[b];

	return x->until < y->until || (x->until == y->until && x->order < y->order);
}

static void sink(struct syscalls *syscalls, uint32_t at)
{
	uint32_t *heap = syscalls->heap, slot = heap[at];

	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child + 1 < syscalls->heap_count &&
		    is_before(syscalls, heap[child + 1], heap[child]))
			child++;
		if (child >= syscalls->heap_count || !is_before(syscalls, heap[child], slot))
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = slot;
}

static void push(struct syscalls *syscalls, uint32_t slot)
{
	uint32_t *heap = syscalls->heap, at = syscalls->heap_count++;

	while (at > 0 && is_before(syscalls, slot, heap[(at - 1) / 2])) {
		heap[at] = heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	heap[at] = slot;
}

/* Without those that are not held any more. */
static void rebuild(struct syscalls *syscalls)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < syscalls->heap_count; i++)
		if (syscalls->held[syscalls->heap[i]].id)
			syscalls->heap[kept++] = syscalls->heap[i];
	syscalls->heap_count = kept;
	for (uint32_t i = kept / 2; i-- > 0;)
		sink(syscalls, i);
}

/* ---- slots ---- */

void syscall_held_open(struct syscalls *syscalls)
{
	/* The first slots are given out first: few pages are touched. */
	for (uint32_t slot = SYSCALL_PENDING_MAX; slot-- > 0;)
		syscalls->free[syscalls->free_count++] = slot;
}

void syscall_held_add(struct syscalls *syscalls, uint32_t slot, struct syscall_held held)
{
	assert(syscalls->free_count > 0 && syscalls->free[syscalls->free_count - 1] == slot);
	syscalls->free_count--;
	held.order = syscalls->order++;
	syscalls->held[slot] = held;
	if (held.until < NANOS_NEVER)
		push(syscalls, slot);
}

/* The heap is the caller's to put in order. */
static void drop(struct syscalls *syscalls, uint32_t slot)
{
	syscalls->held[slot].id = 0;
	syscalls->table->slots[slot].call.id = 0;
	syscalls->free[syscalls->free_count++] = slot;
}

void syscall_held_lift(struct syscalls *syscalls, uint32_t rule)
{
	for (uint32_t slot = 0; slot < SYSCALL_PENDING_MAX; slot++) {
		struct syscall_held *held = &syscalls->held[slot];

		if (!held->id || (rule != SYSCALL_EVERYWHERE && held->rule != rule))
			continue;
		syscall_answer(held->fd, held->id, NULL);
		drop(syscalls, slot);
	}
	rebuild(syscalls);
}

void syscall_held_sweep(struct syscalls *syscalls)
{
	bool any = false;

	for (uint32_t slot = 0; slot < SYSCALL_PENDING_MAX; slot++) {
		struct syscall_held *held = &syscalls->held[slot];

		if (!held->id || ioctl(held->fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &held->id) == 0)
			continue;
		drop(syscalls, slot);
		any = true;
	}
	if (any)
		rebuild(syscalls);
}

bool syscall_held_first(const struct syscalls *syscalls, nanos *ret_until)
{
	if (syscalls->heap_count == 0)
		return false;
	*ret_until = syscalls->held[syscalls->heap[0]].until;
	return true;
}

void syscall_held_due(struct syscalls *syscalls, nanos now)
{
	while (syscalls->heap_count > 0) {
		uint32_t slot = syscalls->heap[0];
		struct syscall_held *held = &syscalls->held[slot];
		struct syscall_rule_state *state = syscalls->rules[held->rule];

		if (held->until > now)
			break;
		if (syscall_answer(held->fd, held->id, &state->config) &&
		    state->config.action != SYSCALL_DELAY)
			state->total.acted++;
		drop(syscalls, slot);
		syscalls->heap[0] = syscalls->heap[--syscalls->heap_count];
		if (syscalls->heap_count > 0)
			sink(syscalls, 0);
	}
}
