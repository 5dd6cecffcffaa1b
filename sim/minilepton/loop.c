/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop: epoll for descriptors, a binary heap for timers. */
#include "sim/minilepton/loop.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "sim/minilepton/http.h"
#include "sim/minilepton/minilepton.h"

#define EVENTS_AT_ONCE 64

struct watch {
	void (*ready)(void *self, int fd, uint32_t events);
	void *self;
	uint32_t generation; /* tells a descriptor from an earlier one of the same number */
	uint32_t events;     /* 0: not watched */
};

struct loop {
	int epoll, signals;
	bool stopped, server_ready;
	struct watch *watches; /* by descriptor */
	size_t watch_room;
	struct loop_timer **heap;
	size_t timer_count, timer_room;
	struct http_server *server;
	void (*end)(void *self);
	void *end_self;
};

/* ---- timers ---- */

static void heap_put(struct loop *loop, size_t slot, struct loop_timer *timer)
{
	loop->heap[slot] = timer;
	timer->slot = slot + 1;
}

static void heap_up(struct loop *loop, size_t slot, struct loop_timer *timer)
{
	while (slot > 0 && loop->heap[(slot - 1) / 2]->at > timer->at) {
		heap_put(loop, slot, loop->heap[(slot - 1) / 2]);
		slot = (slot - 1) / 2;
	}
	heap_put(loop, slot, timer);
}

static void heap_down(struct loop *loop, size_t slot, struct loop_timer *timer)
{
	for (;;) {
		size_t child = 2 * slot + 1;

		if (child + 1 < loop->timer_count &&
		    loop->heap[child + 1]->at < loop->heap[child]->at)
			child++;
		if (child >= loop->timer_count || loop->heap[child]->at >= timer->at)
			break;
		heap_put(loop, slot, loop->heap[child]);
		slot = child;
	}
	heap_put(loop, slot, timer);
}

void loop_timer_clear(struct loop *loop, struct loop_timer *timer)
{
	size_t slot = timer->slot - 1;
	struct loop_timer *last;

	if (timer->slot == 0)
		return;
	assert(loop->heap[slot] == timer);
	timer->slot = 0;
	last = loop->heap[--loop->timer_count];
	if (last == timer)
		return;
	if (slot > 0 && loop->heap[(slot - 1) / 2]->at > last->at)
		heap_up(loop, slot, last);
	else
		heap_down(loop, slot, last);
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, nanos at)
{
	loop_timer_clear(loop, timer);
	if (loop->timer_count == loop->timer_room) {
		size_t room = loop->timer_room > 0 ? loop->timer_room * 2 : 64;
		struct loop_timer **heap = realloc(loop->heap, room * sizeof(struct loop_timer *));

		if (!heap || room > LOOP_TIMERS_MAX) {
			minilepton_say("error: no memory for timers");
			abort();
		}
		loop->heap = heap;
		loop->timer_room = room;
	}
	timer->at = at;
	heap_up(loop, loop->timer_count++, timer);
}

static void timers_fire(struct loop *loop)
{
	nanos now = minilepton_now();

	/* What is set for now or earlier by a timer that fires has its turn in the next round. */
	for (size_t left = loop->timer_count; left > 0 && loop->timer_count > 0; left--) {
		struct loop_timer *timer = loop->heap[0];

		if (timer->at > now)
			return;
		loop_timer_clear(loop, timer);
		timer->fire(timer->self);
	}
}

/* ---- descriptors ---- */

static int watch_room(struct loop *loop, int fd, struct error *e)
{
	size_t room = loop->watch_room > 0 ? loop->watch_room : 64;
	struct watch *watches;

	if ((size_t)fd < loop->watch_room)
		return 0;
	while (room <= (size_t)fd)
		room *= 2;
	watches = realloc(loop->watches, room * sizeof(*watches));
	if (!watches)
		return error_set(e, ERROR_MEMORY, NO_PLACE, "no memory for an event loop");
	memset(watches + loop->watch_room, 0, (room - loop->watch_room) * sizeof(*watches));
	loop->watches = watches;
	loop->watch_room = room;
	return 0;
}

int loop_watch(struct loop *loop, int fd, uint32_t events,
	       void (*ready)(void *self, int fd, uint32_t events), void *self, struct error *e)
{
	struct epoll_event event = {.events = events};
	struct watch *watch;
	bool known;

	assert(fd >= 0 && events != 0);
	if (watch_room(loop, fd, e))
		return -1;
	watch = &loop->watches[fd];
	known = watch->events != 0;
	if (!known)
		watch->generation++;
	event.data.u64 = (uint64_t)watch->generation << 32 | (uint32_t)fd;
	if (epoll_ctl(loop->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event))
		return error_set(e, ERROR_IO, NO_PLACE, "epoll_ctl: %s", strerror(errno));
	watch->events = events;
	watch->ready = ready;
	watch->self = self;
	return 0;
}

void loop_unwatch(struct loop *loop, int fd)
{
	if (fd < 0 || (size_t)fd >= loop->watch_room || loop->watches[fd].events == 0)
		return;
	loop->watches[fd].events = 0;
	epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, NULL);
}

static void on_signal(void *self, int fd, uint32_t events)
{
	struct loop *loop = self;
	struct signalfd_siginfo info;

	(void)events;
	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (loop->end)
		loop->end(loop->end_self);
	else
		loop_stop(loop);
}

static void on_server(void *self, int fd, uint32_t events)
{
	struct loop *loop = self;

	(void)fd;
	(void)events;
	loop->server_ready = true;
}

/* ---- the loop ---- */

int loop_open(struct loop **ret_loop, struct error *e)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	sigset_t ends;

	if (!loop)
		return error_set(e, ERROR_MEMORY, NO_PLACE, "no memory for an event loop");
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	loop->signals = signalfd(-1, &ends, SFD_NONBLOCK | SFD_CLOEXEC);
	if (loop->epoll < 0 || loop->signals < 0) {
		error_set(e, ERROR_IO, NO_PLACE, "an event loop does not start: %s",
			  strerror(errno));
		loop_close(loop);
		return -1;
	}
	if (loop_watch(loop, loop->signals, EPOLLIN, on_signal, loop, e)) {
		loop_close(loop);
		return -1;
	}
	/* Waits of this thread end when they are due, not up to 50 us later. */
	prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	*ret_loop = loop;
	return 0;
}

void loop_close(struct loop *loop)
{
	if (loop->signals >= 0)
		close(loop->signals);
	if (loop->epoll >= 0)
		close(loop->epoll);
	free(loop->watches);
	free(loop->heap);
	free(loop);
}

void loop_serve(struct loop *loop, struct http_server *server)
{
	struct error e = {0};

	if (loop_watch(loop, http_server_fd(server), EPOLLIN, on_server, loop, &e) ||
	    loop_watch(loop, http_server_wake_fd(server), EPOLLIN, on_server, loop, &e)) {
		minilepton_say("error: %s", e.text);
		abort();
	}
	loop->server = server;
}

void loop_on_end(struct loop *loop, void (*end)(void *self), void *self)
{
	loop->end = end;
	loop->end_self = self;
}

void loop_stop(struct loop *loop)
{
	loop->stopped = true;
}

/* How long nothing is due. */
static nanos patience(const struct loop *loop)
{
	nanos most = NANOS_NEVER, now = minilepton_now();

	if (loop->server)
		most = http_server_patience(loop->server);
	if (loop->timer_count > 0) {
		nanos timer = loop->heap[0]->at > now ? loop->heap[0]->at - now : 0;

		most = timer < most ? timer : most;
	}
	return most;
}

static int wait_for(const struct loop *loop, nanos most, struct error *e)
{
	struct pollfd fd = {.fd = loop->epoll, .events = POLLIN};
	struct timespec limit = {.tv_sec = most / NANOS_S, .tv_nsec = most % NANOS_S};

	/* epoll_wait() knows milliseconds only; its descriptor can be waited for by ppoll(). */
	if (ppoll(&fd, 1, most == NANOS_NEVER ? NULL : &limit, NULL) < 0 && errno != EINTR)
		return error_set(e, ERROR_IO, NO_PLACE, "ppoll: %s", strerror(errno));
	return 0;
}

static void dispatch(struct loop *loop, const struct epoll_event *event)
{
	int fd = (int)(uint32_t)event->data.u64;
	const struct watch *watch = &loop->watches[fd];

	/* An event before it in the same batch may have ended this watch. */
	if (watch->events != 0 && watch->generation == event->data.u64 >> 32)
		watch->ready(watch->self, fd, event->events);
}

int loop_run(struct loop *loop, struct error *e)
{
	struct epoll_event events[EVENTS_AT_ONCE];

	while (!loop->stopped) {
		nanos most = patience(loop);
		int count;

		if (most > 0 && wait_for(loop, most, e))
			return -1;
		count = epoll_wait(loop->epoll, events, EVENTS_AT_ONCE, 0);
		if (count < 0 && errno != EINTR)
			return error_set(e, ERROR_IO, NO_PLACE, "epoll_wait: %s", strerror(errno));
		for (int i = 0; i < count; i++)
			dispatch(loop, &events[i]);
		timers_fire(loop);
		if (loop->server &&
		    (loop->server_ready || http_server_patience(loop->server) == 0)) {
			loop->server_ready = false;
			http_server_run(loop->server);
		}
	}
	return 0;
}
