/* SPDX-License-Identifier: Apache-2.0 */
/* The supervisor: one thread that answers the calls of all programs under a filter. */
#include "drivers/linux/syscall.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "drivers/host/process.h"
#include "drivers/linux/syscall_private.h"

#define FIXED 1      /* descriptors that are no listeners: the wake-up */
#define SLOTS_FREE 2 /* one of them is for the next call */

/* ---- one call ---- */

/* false: it cannot be held, and goes on. */
static bool hold(struct syscalls *syscalls, const struct syscall_listener *listener, uint32_t slot,
		 uint32_t rule, nanos until)
{
	struct syscall_held held = {.id = syscalls->table->slots[slot].call.id,
				    .fd = listener->fd,
				    .rule = rule,
				    .until = until};

	if (syscalls->free_count < SLOTS_FREE) {
		syscalls->sum.crowded++;
		syscall_answer(listener->fd, held.id, NULL);
		return false;
	}
	syscall_held_add(syscalls, slot, held);
	return true;
}

/* What a rule has taken is done to it. Returns whether it waits in its slot. */
static bool act(struct syscalls *syscalls, const struct syscall_listener *listener, uint32_t slot,
		uint32_t rule, nanos now)
{
	struct syscall_rule_state *state = syscalls->rules[rule];
	const struct syscall_rule *config = &state->config;
	nanos until = config->action == SYSCALL_HANG ? NANOS_NEVER : now + config->delay;

	if (until > now) {
		bool held = hold(syscalls, listener, slot, rule, until);

		/* What shall fail later has not failed yet. */
		if (held && (config->action == SYSCALL_HANG || config->action == SYSCALL_DELAY))
			state->total.acted++;
		return held;
	}
	if (syscall_answer(listener->fd, syscalls->table->slots[slot].call.id, config)) {
		state->total.acted++;
	} else {
		/* Killed, or interrupted and asked about again: it was none. */
		state->matched--;
		state->taken--;
		state->total.matched--;
	}
	return false;
}

static void serve(struct syscalls *syscalls, const struct syscall_listener *listener)
{
	uint32_t slot, rule = 0;
	struct syscall_slot *place;
	bool gone, held = false;
	nanos now;

	if (syscalls->free_count < SLOTS_FREE)
		syscall_held_sweep(syscalls);
	assert(syscalls->free_count > 0);
	slot = syscalls->free[syscalls->free_count - 1];
	place = &syscalls->table->slots[slot];
	memset(&place->call, 0, sizeof(place->call)); /* the kernel insists */
	place->key = listener->key;
	/* From here on the keeper knows of it too. It does not block: the kernel counts a call that
	 * is over by now as one that can be taken, once. */
	if (ioctl(listener->fd, SECCOMP_IOCTL_NOTIF_RECV, &place->call)) {
		place->call.id = 0;
		return;
	}
	syscalls->sum.asked++;
	now = process_now();
	if (syscall_decide(syscalls, listener, &place->call, now, &rule, &gone))
		held = act(syscalls, listener, slot, rule, now);
	else if (!gone)
		syscall_answer(listener->fd, place->call.id, NULL);
	if (!held)
		place->call.id = 0;
}

/* ---- the thread ---- */

/* The last program of this listener is gone. */
static void remove_listener(struct syscalls *syscalls, uint32_t index)
{
	syscall_held_sweep(syscalls);
	close(syscalls->listeners[index].fd);
	syscalls->listeners[index] = syscalls->listeners[--syscalls->listener_count];
}

static void end_leases(struct syscalls *syscalls, nanos now)
{
	for (uint32_t i = 0; i < syscalls->rule_count; i++) {
		struct syscall_rule_state *state = syscalls->rules[i];

		if (!state->on || now < state->until)
			continue;
		state->on = false;
		syscall_held_lift(syscalls, i);
	}
}

static nanos next_time(const struct syscalls *syscalls)
{
	nanos next = NANOS_NEVER;

	syscall_held_first(syscalls, &next);
	for (uint32_t i = 0; i < syscalls->rule_count; i++)
		if (syscalls->rules[i]->on && syscalls->rules[i]->until < next)
			next = syscalls->rules[i]->until;
	return next;
}

/* With the lock. */
static void see_to(struct syscalls *syscalls, const struct pollfd *ends, uint32_t count)
{
	nanos now = process_now();

	end_leases(syscalls, now);
	syscall_held_due(syscalls, now);
	/* Others have only been added behind. */
	for (uint32_t i = count; i-- > 0;)
		if (ends[FIXED + i].revents & POLLIN)
			serve(syscalls, &syscalls->listeners[i]);
		else if (ends[FIXED + i].revents)
			remove_listener(syscalls, i);
}

/* With the lock: what to wait for, and how long. */
static uint32_t prepare(const struct syscalls *syscalls, struct pollfd *ends, struct timespec *ret)
{
	nanos next = next_time(syscalls), left = next < NANOS_NEVER ? next - process_now() : 0;

	ends[0] = (struct pollfd){.fd = syscalls->wake, .events = POLLIN};
	for (uint32_t i = 0; i < syscalls->listener_count; i++)
		ends[FIXED + i] =
			(struct pollfd){.fd = syscalls->listeners[i].fd, .events = POLLIN};
	if (left < 0)
		left = 0;
	ret->tv_sec = next < NANOS_NEVER ? left / NANOS_S : NANOS_DAY / NANOS_S;
	ret->tv_nsec = left % NANOS_S;
	return syscalls->listener_count;
}

static void *supervise(void *self)
{
	struct syscalls *syscalls = self;
	struct pollfd ends[FIXED + SYSCALL_LISTENERS_MAX];

	prctl(PR_SET_NAME, "drsim-syscall");
	prctl(PR_SET_TIMERSLACK, 1ul); /* delays end when they should */
	pthread_mutex_lock(&syscalls->lock);
	while (!syscalls->ends) {
		struct timespec left;
		uint32_t count = prepare(syscalls, ends, &left);
		uint64_t woken;
		int ready;

		pthread_mutex_unlock(&syscalls->lock);
		ready = ppoll(ends, FIXED + count, &left, NULL);
		if (ready > 0 && ends[0].revents)
			ready = read(syscalls->wake, &woken, sizeof(woken)) > 0 ? ready : 0;
		pthread_mutex_lock(&syscalls->lock);
		see_to(syscalls, ends, ready > 0 ? count : 0);
	}
	pthread_mutex_unlock(&syscalls->lock);
	return NULL;
}

static int start_thread(struct syscalls *syscalls, struct error *e)
{
	sigset_t all, before;
	int code;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	code = pthread_create(&syscalls->thread, NULL, supervise, syscalls);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return code ? error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "pthread_create: %s",
				strerror(code))
		    : 0;
}

/* ---- begin and end ---- */

static int check_kernel(struct error *e)
{
	struct seccomp_notif_sizes sizes;

	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "this kernel has no seccomp user notification: %s",
				 strerror(errno));
	if (sizes.seccomp_notif != sizeof(struct seccomp_notif) ||
	    sizes.seccomp_notif_resp != sizeof(struct seccomp_notif_resp))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "this kernel tells of system calls in a form unknown to this "
				 "program");
	return 0;
}

static int open_table(struct syscalls *syscalls, struct error *e)
{
	void *map;

	syscalls->table_fd = memfd_create("drsim-syscalls", MFD_CLOEXEC);
	if (syscalls->table_fd < 0 || ftruncate(syscalls->table_fd, sizeof(*syscalls->table)))
		return error_set(e, ERROR_IO, NO_PLACE, "cannot make a table of calls: %s",
				 strerror(errno));
	map = mmap(NULL, sizeof(*syscalls->table), PROT_READ | PROT_WRITE, MAP_SHARED,
		   syscalls->table_fd, 0);
	if (map == MAP_FAILED)
		return error_set(e, ERROR_IO, NO_PLACE, "cannot map a table of calls: %s",
				 strerror(errno));
	syscalls->table = map;
	return 0;
}

/* The first number that the keeper has no table of. */
static int hand_table(struct syscalls *syscalls, struct error *e)
{
	struct syscall_keep_message message = {.kind = SYSCALL_KEEP_TABLE};
	struct error first = {.kind = ERROR_NONE};

	for (; message.table < SYSCALL_TABLES_MAX; message.table++) {
		syscalls->table_number = message.table;
		if (guardian_hand(syscalls->guardian, &message, syscalls->table_fd, &first) == 0)
			return 0;
	}
	return error_set(e, first.kind, NO_PLACE, "%s", first.text);
}

static void free_all(struct syscalls *syscalls)
{
	for (uint32_t i = 0; i < syscalls->listener_count; i++)
		close(syscalls->listeners[i].fd);
	if (syscalls->table)
		munmap(syscalls->table, sizeof(*syscalls->table));
	if (syscalls->table_fd >= 0)
		close(syscalls->table_fd);
	if (syscalls->wake >= 0)
		close(syscalls->wake);
	pthread_mutex_destroy(&syscalls->lock);
}

int syscalls_open(const struct syscall_filter *filter, struct guardian *guardian,
		  struct arena *arena, struct syscalls **ret, struct error *e)
{
	struct syscalls *syscalls = arena_alloc(arena, sizeof(*syscalls));

	if (check_kernel(e))
		return -1;
	syscalls->filter = filter;
	syscalls->guardian = guardian;
	syscalls->arena = arena;
	syscalls->next_key = 1;
	syscalls->table_fd = -1;
	syscalls->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&syscalls->lock, NULL);
	syscall_held_open(syscalls);
	if (syscalls->wake < 0) {
		error_set(e, ERROR_IO, NO_PLACE, "eventfd: %s", strerror(errno));
	} else if (open_table(syscalls, e) == 0 && (!guardian || hand_table(syscalls, e) == 0) &&
		   start_thread(syscalls, e) == 0) {
		*ret = syscalls;
		return 0;
	}
	free_all(syscalls);
	return -1;
}

void syscalls_close(struct syscalls *syscalls)
{
	struct syscall_keep_message message = {.kind = SYSCALL_KEEP_SERVE,
					       .table = syscalls->table_number};
	uint64_t one = 1;

	pthread_mutex_lock(&syscalls->lock);
	syscalls->ends = true;
	pthread_mutex_unlock(&syscalls->lock);
	while (write(syscalls->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	pthread_join(syscalls->thread, NULL);
	syscall_held_lift(syscalls, SYSCALL_EVERYWHERE);
	/* Without a guardian there is nobody to answer for what lives on. */
	if (syscalls->guardian)
		guardian_hand(syscalls->guardian, &message, -1, NULL);
	free_all(syscalls);
}

/* ---- programs ---- */

static int add_listener(struct syscalls *syscalls, struct syscall_listener listener)
{
	uint64_t flags = SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP, one = 1;
	bool sync = ioctl(listener.fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, flags) == 0, room;

	pthread_mutex_lock(&syscalls->lock);
	room = syscalls->listener_count < SYSCALL_LISTENERS_MAX;
	if (room)
		syscalls->listeners[syscalls->listener_count++] = listener;
	syscalls->sum.sync_wake_up = sync;
	pthread_mutex_unlock(&syscalls->lock);
	while (write(syscalls->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	return room ? 0 : -1;
}

static int adopt(void *self, int fd, struct error *e)
{
	const struct syscall_place *place = self;
	struct syscalls *syscalls = place->syscalls;
	struct syscall_listener listener = {
		.fd = fd, .key = syscalls->next_key++, .place = place->place};
	struct syscall_keep_message message = {.kind = SYSCALL_KEEP_LISTENER,
					       .table = syscalls->table_number,
					       .key = listener.key};

	if (syscalls->guardian && guardian_hand(syscalls->guardian, &message, fd, e)) {
		close(fd);
		return -1;
	}
	if (add_listener(syscalls, listener)) {
		close(fd);
		return error_set(e, ERROR_LIMIT, NO_PLACE,
				 "more than %d programs under a filter at a time",
				 SYSCALL_LISTENERS_MAX);
	}
	return 0;
}

const struct syscall_launch *syscalls_launch(struct syscalls *syscalls, uint32_t place)
{
	struct syscall_place *self = arena_alloc(syscalls->arena, sizeof(*self));

	*self = (struct syscall_place){
		.launch = {.program = syscalls->filter->program, .adopt = adopt, .self = self},
		.syscalls = syscalls,
		.place = place,
	};
	return &self->launch;
}

struct syscalls_sum syscalls_sum(struct syscalls *syscalls)
{
	struct syscalls_sum sum;

	pthread_mutex_lock(&syscalls->lock);
	syscall_held_sweep(syscalls);
	sum = syscalls->sum;
	sum.listeners = syscalls->listener_count;
	sum.held = SYSCALL_PENDING_MAX - syscalls->free_count;
	pthread_mutex_unlock(&syscalls->lock);
	return sum;
}
