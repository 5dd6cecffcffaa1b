/* SPDX-License-Identifier: Apache-2.0 */
/* The thread of the user-space link: takes frames, asks the rules, lets them go in their time. */
#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "drivers/linux/link_private.h"

#define EVENTS 64
#define BATCH 64 /* frames of one side before the others have their turn */
#define CLASS_SMALLEST 512
#define BUFFER_SIZE ((size_t)CLASS_SMALLEST << (LINK_CLASSES - 1))

/* A processor that sleeps wakes up so much too late; but spinning takes at most one part in so many
 * of it away from the machines, and not for longer at a time than the most that is saved up. */
#define SPIN (80 * NANOS_US)
#define SPIN_SHARE 10
#define SPIN_SAVED_MAX NANOS_MS

#define NICE (-10)
#define SLICE (100 * NANOS_US)

nanos link_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now); /* style: allow */
	return (nanos)now.tv_sec * NANOS_S + now.tv_nsec;
}

/* ---- buffers ---- */

/* NULL: too many bytes wait. */
static struct link_frame *take(struct user_links *links, uint32_t size)
{
	size_t need = sizeof(struct link_frame) + size, room = CLASS_SMALLEST;
	struct link_frame *frame;
	uint32_t class = 0;

	while (room < need) {
		room *= 2;
		class ++;
	}
	assert(class < LINK_CLASSES);
	if (links->pool_used + room > USER_LINK_QUEUE_MAX)
		return NULL;
	frame = links->free[class];
	if (frame)
		links->free[class] = frame->next;
	else
		frame = arena_alloc(&links->pool, room);
	links->pool_used += room;
	frame->class = class;
	frame->size = size;
	return frame;
}

static void give(struct user_links *links, struct link_frame *frame)
{
	links->pool_used -= (size_t)CLASS_SMALLEST << frame->class;
	frame->next = links->free[frame->class];
	links->free[frame->class] = frame;
}

/* ---- frames that wait: a heap by (time, order) ---- */

static bool before(const struct link_waiting *a, const struct link_waiting *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void sift_down(struct link_waiting *heap, size_t count, size_t i)
{
	struct link_waiting item = heap[i];

	for (size_t child = 2 * i + 1; child < count; child = 2 * i + 1) {
		if (child + 1 < count && before(&heap[child + 1], &heap[child]))
			child++;
		if (!before(&heap[child], &item))
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = item;
}

static void push(struct user_links *links, nanos at, struct link_frame *frame)
{
	struct link_waiting item = {.at = at, .order = links->order++, .frame = frame};
	size_t i = links->waiting_count;

	links->waiting = arena_grow(&links->pool, links->waiting, links->waiting_count,
				    &links->waiting_capacity, sizeof(item));
	links->waiting_count++;
	frame->link->stats.waiting++;
	for (; i > 0 && before(&item, &links->waiting[(i - 1) / 2]); i = (i - 1) / 2)
		links->waiting[i] = links->waiting[(i - 1) / 2];
	links->waiting[i] = item;
}

static struct link_waiting pop(struct user_links *links)
{
	struct link_waiting first = links->waiting[0];

	links->waiting[0] = links->waiting[--links->waiting_count];
	if (links->waiting_count > 0)
		sift_down(links->waiting, links->waiting_count, 0);
	first.frame->link->stats.waiting--;
	return first;
}

/* ---- one frame through the rules ---- */

struct trip {
	struct user_links *links;
	struct user_link *link;
	enum impair_direction direction;
	nanos now;
};

static void go_on(const struct trip *trip, const uint8_t *bytes, uint32_t size)
{
	struct user_link *link = trip->link;
	int fd = link->sides[trip->direction == IMPAIR_TO ? IMPAIR_FROM : IMPAIR_TO].fd;
	ssize_t rc;

	do
		rc = write(fd, bytes, size);
	while (rc < 0 && errno == EINTR);
	if (rc < 0) {
		link->stats.refused++;
		return;
	}
	link->stats.frames[trip->direction]++;
	link->stats.bytes[trip->direction] += size - FRAME_HEADER;
}

static bool matches(const struct link_rule *rule, enum impair_direction direction,
		    const uint8_t *bytes, uint32_t size)
{
	uint32_t length = size - FRAME_HEADER;

	if (rule->nothing || (rule->direction != IMPAIR_BOTH && rule->direction != direction))
		return false;
	return rule->program.bf_len == 0 ||
	       bpf_filter(rule->program.bf_insns, bytes + FRAME_HEADER, length, length) != 0;
}

/* The first rule from `stage` on that means this frame; else their count. */
static uint32_t next_rule(const struct trip *trip, uint32_t stage, const uint8_t *bytes,
			  uint32_t size)
{
	const struct link_rules *rules = &trip->link->rules;

	while (stage < rules->count && !matches(&rules->items[stage], trip->direction, bytes, size))
		stage++;
	return stage;
}

static void travel(const struct trip *trip, uint8_t *bytes, uint32_t size, uint32_t stage);

/* Takes over the frame. */
static void later(const struct trip *trip, struct link_frame *frame, nanos at, uint32_t stage)
{
	frame->link = trip->link;
	frame->direction = trip->direction;
	frame->stage = stage;
	if (at > trip->now) {
		push(trip->links, at, frame);
		return;
	}
	travel(trip, frame->bytes, frame->size, stage);
	give(trip->links, frame);
}

static void damage(uint8_t *bytes, uint32_t size, uint32_t bit)
{
	if (bit == IMPAIR_NO_FLIP)
		return;
	frame_complete(bytes, size);
	bytes[FRAME_HEADER + bit / 8] ^= (uint8_t)(1 << bit % 8);
}

/* One packet, or a large frame that may stay whole. */
static void judge_one(const struct trip *trip, uint8_t *bytes, uint32_t size, uint32_t stage)
{
	struct impair_verdict verdict;

	impair_packet(&trip->link->impairs[stage][trip->direction], trip->now, size - FRAME_HEADER,
		      &verdict);
	if (verdict.copies == 1 && verdict.at[0] <= trip->now) {
		damage(bytes, size, verdict.flip[0]);
		travel(trip, bytes, size, stage + 1);
		return;
	}
	for (uint32_t i = 0; i < verdict.copies; i++) {
		struct link_frame *frame = take(trip->links, size);

		if (!frame) {
			trip->link->stats.queue_full++;
			continue;
		}
		memcpy(frame->bytes, bytes, size);
		damage(frame->bytes, size, verdict.flip[i]);
		later(trip, frame, verdict.at[i], stage + 1);
	}
}

/* Packets of a large frame that go on together. */
struct run {
	uint8_t *bytes;
	const struct frame_large *large;
	uint32_t first, count;
	nanos at;
};

static void end_run(const struct trip *trip, struct run *run, uint32_t flip, uint32_t stage)
{
	const struct frame_large *large = run->large;
	struct link_frame *frame;

	if (run->count == 0)
		return;
	if (run->count == large->count && run->at <= trip->now) {
		travel(trip, run->bytes, large->headers + large->payload, stage + 1);
		run->count = 0;
		return;
	}
	frame = take(trip->links, large->headers + large->payload);
	if (!frame) {
		trip->link->stats.queue_full += run->count;
	} else {
		frame->size =
			frame_part(run->bytes, run->large, run->first, run->count, frame->bytes);
		damage(frame->bytes, frame->size, flip);
		later(trip, frame, run->at, stage + 1);
	}
	run->count = 0;
}

/* Each packet of it has its own fate; neighbours with the same one stay together, since one large
 * frame costs no more than one packet. */
static void judge_each(const struct trip *trip, uint8_t *bytes, const struct frame_large *large,
		       uint32_t stage)
{
	struct impair *impair = &trip->link->impairs[stage][trip->direction];
	struct run run = {.bytes = bytes, .large = large};
	struct impair_verdict verdict;

	for (uint32_t i = 0; i < large->count; i++) {
		bool alone;

		impair_packet(impair, trip->now, frame_wire_size(large, i), &verdict);
		alone = verdict.copies != 1 || verdict.flip[0] != IMPAIR_NO_FLIP;
		if (alone || verdict.at[0] != run.at)
			end_run(trip, &run, IMPAIR_NO_FLIP, stage);
		for (uint32_t c = 0; c < verdict.copies; c++) {
			if (run.count++ == 0) {
				run.first = i;
				run.at = verdict.at[c];
			}
			if (alone)
				end_run(trip, &run, verdict.flip[c], stage);
		}
	}
	end_run(trip, &run, IMPAIR_NO_FLIP, stage);
}

/* Recursion ends with the rules, of which there are at most USER_LINK_RULES_MAX. */
static void travel(const struct trip *trip, uint8_t *bytes, uint32_t size, uint32_t stage)
{
	const struct link_rules *rules = &trip->link->rules;
	struct frame_large large;

	stage = next_rule(trip, stage, bytes, size);
	if (stage >= rules->count)
		go_on(trip, bytes, size);
	else if (rules->items[stage].cuts && frame_is_large(bytes, size, &large))
		judge_each(trip, bytes, &large, stage);
	else
		judge_one(trip, bytes, size, stage);
}

static void release_due(struct user_links *links, nanos now)
{
	while (links->waiting_count > 0 && links->waiting[0].at <= now) {
		struct link_waiting item = pop(links);
		struct link_frame *frame = item.frame;
		struct trip trip = {links, frame->link, frame->direction, item.at};

		if (now - item.at > frame->link->stats.late_max)
			frame->link->stats.late_max = now - item.at;
		travel(&trip, frame->bytes, frame->size, frame->stage);
		give(links, frame);
	}
}

/* ---- reading ---- */

static void stop_reading(struct user_links *links, const struct link_side *side)
{
	epoll_ctl(links->epoll, EPOLL_CTL_DEL, side->fd, NULL);
}

static void read_side(struct user_links *links, struct link_side *side)
{
	struct trip trip = {.links = links, .link = side->link, .direction = side->direction};

	for (int i = 0; i < BATCH; i++) {
		ssize_t size = read(side->fd, links->buffer, FRAME_MAX);

		if (size < 0 && errno == EINTR)
			continue;
		/* A device that is gone would be ready for ever. */
		if (size < 0 && errno != EAGAIN)
			stop_reading(links, side);
		if (size < FRAME_HEADER + IMPAIR_FRAME_HEADER)
			return;
		/* After the read: a frame never goes on before its time. */
		trip.now = link_now();
		release_due(links, trip.now);
		travel(&trip, links->buffer, (uint32_t)size, 0);
	}
}

void link_engine_feed(struct user_links *links, struct user_link *link,
		      enum impair_direction direction, uint8_t *bytes, uint32_t size)
{
	struct trip trip = {links, link, direction, link_now()};

	if (size >= FRAME_HEADER + IMPAIR_FRAME_HEADER)
		travel(&trip, bytes, size, 0);
}

/* ---- leases ---- */

void link_engine_leases(struct user_links *links)
{
	links->lease_next = NANOS_NEVER;
	for (size_t i = 0; i < links->count; i++) {
		const struct user_link *link = links->items[i];

		if (link->used && link->lease > 0 && !link->stats.lapsed &&
		    link->until < links->lease_next)
			links->lease_next = link->until;
	}
}

static void end_leases(struct user_links *links, nanos now)
{
	for (size_t i = 0; i < links->count; i++) {
		struct user_link *link = links->items[i];

		if (!link->used || link->lease == 0 || link->until > now)
			continue;
		link->stats.lapsed = true;
		for (size_t j = 0; j < link->rules.count; j++)
			link->rules.items[j].nothing = true;
	}
	link_engine_leases(links);
}

/* ---- the loop ---- */

/* Ahead of those that compute: a short slice is a claim to run soon, which the kernel grants from
 * Linux 6.12 on to everybody; a lower nice value needs the right to. */
static void hurry(void)
{
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} wish = {.size = 48, .policy = SCHED_OTHER, .nice = NICE, .runtime = SLICE};

	if (syscall(SYS_sched_setattr, 0, &wish, 0) == 0)
		return;
	wish.nice = getpriority(PRIO_PROCESS, 0);
	syscall(SYS_sched_setattr, 0, &wish, 0);
}

static void arm(struct user_links *links, nanos at)
{
	struct itimerspec when = {
		.it_value = {.tv_sec = at / NANOS_S, .tv_nsec = at % NANOS_S},
	};

	if (links->armed == at)
		return;
	links->armed = at;
	timerfd_settime(links->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* How long to sleep in milliseconds: not at all, or until something comes or the timer ends it. */
static int prepare_sleep(struct user_links *links, nanos now)
{
	nanos due = links->waiting_count > 0 ? links->waiting[0].at : NANOS_NEVER;

	if (links->spinning)
		links->spin_credit -= now - links->spin_from;
	else
		links->spin_credit += (now - links->spin_from) / SPIN_SHARE;
	links->spinning = false;
	if (links->spin_credit > SPIN_SAVED_MAX)
		links->spin_credit = SPIN_SAVED_MAX;
	links->spin_from = now;
	if (due <= now || links->lease_next <= now)
		return 0;
	if (due - now <= SPIN && links->spin_credit > SPIN) {
		links->spinning = true;
		return 0;
	}
	if (due != NANOS_NEVER && due - now > SPIN && links->spin_credit > SPIN)
		due -= SPIN;
	if (links->lease_next < due)
		due = links->lease_next;
	if (due != NANOS_NEVER)
		arm(links, due);
	return -1;
}

static void obey(struct user_links *links)
{
	uint64_t rings;

	if (read(links->bell, &rings, sizeof(rings)) < 0)
		return;
	pthread_mutex_lock(&links->mutex);
	if (links->command.run)
		links->command.run(links, links->command.arg);
	links->command.run = NULL;
	pthread_cond_signal(&links->done);
	pthread_mutex_unlock(&links->mutex);
}

static void *copy(void *self)
{
	struct user_links *links = self;
	struct epoll_event events[EVENTS];
	nanos now = link_now();

	hurry();
	while (!links->ending) {
		int count = epoll_wait(links->epoll, events, EVENTS, prepare_sleep(links, now));
		bool called = false;

		now = link_now();
		if (links->lease_next <= now)
			end_leases(links, now);
		release_due(links, now);
		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr == &links->timer) {
				uint64_t times;

				if (read(links->timer, &times, sizeof(times)) > 0)
					links->armed = 0;
			} else if (events[i].data.ptr == &links->bell) {
				called = true;
			} else {
				read_side(links, events[i].data.ptr);
			}
		}
		/* Last: it may take away a link that one of the events is of. */
		if (called)
			obey(links);
		now = link_now();
	}
	return NULL;
}

/* ---- calls ---- */

void link_engine_call(struct user_links *links, void (*run)(struct user_links *, void *arg),
		      void *arg)
{
	uint64_t one = 1;

	pthread_mutex_lock(&links->mutex);
	links->command = (struct link_command){run, arg};
	/* An event counter of ours cannot be full. */
	if (write(links->bell, &one, sizeof(one)) != sizeof(one))
		abort();
	while (links->command.run)
		pthread_cond_wait(&links->done, &links->mutex);
	pthread_mutex_unlock(&links->mutex);
}

static int watch(struct user_links *links, int fd, void *pointer)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = pointer};

	return epoll_ctl(links->epoll, EPOLL_CTL_ADD, fd, &event);
}

int link_engine_add(struct user_links *links, struct user_link *link)
{
	if (watch(links, link->sides[IMPAIR_TO].fd, &link->sides[IMPAIR_TO]) ||
	    watch(links, link->sides[IMPAIR_FROM].fd, &link->sides[IMPAIR_FROM]))
		return -1;
	link_engine_leases(links);
	return 0;
}

void link_engine_remove(struct user_links *links, struct user_link *link)
{
	nanos now = link_now();

	stop_reading(links, &link->sides[IMPAIR_TO]);
	stop_reading(links, &link->sides[IMPAIR_FROM]);
	/* All of it is due, in its order, and past all rules. */
	for (size_t i = 0; i < links->waiting_count; i++) {
		if (links->waiting[i].frame->link != link)
			continue;
		links->waiting[i].frame->stage = USER_LINK_RULES_MAX;
		if (links->waiting[i].at > now)
			links->waiting[i].at = now;
	}
	for (size_t i = links->waiting_count / 2; i-- > 0;)
		sift_down(links->waiting, links->waiting_count, i);
	release_due(links, now);
	link_engine_leases(links);
}

static int open_engine(struct user_links *links)
{
	sigset_t all, old;
	int rc;

	links->epoll = epoll_create1(EPOLL_CLOEXEC);
	links->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	links->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (links->epoll < 0 || links->timer < 0 || links->bell < 0 ||
	    watch(links, links->timer, &links->timer) || watch(links, links->bell, &links->bell))
		return errno;
	/* Signals are for the threads that expect them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&links->thread, NULL, copy, links);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

int link_engine_start(struct user_links *links, struct error *e)
{
	int rc;

	links->pool.limit = 2 * USER_LINK_QUEUE_MAX * LINK_CLASSES;
	links->buffer = arena_alloc(&links->pool, BUFFER_SIZE);
	links->lease_next = NANOS_NEVER;
	pthread_mutex_init(&links->mutex, NULL);
	pthread_cond_init(&links->done, NULL);
	rc = open_engine(links);
	if (rc == 0)
		return 0;
	close(links->epoll);
	close(links->timer);
	close(links->bell);
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot start the thread of links: %s",
			 strerror(rc));
}

static void end_thread(struct user_links *links, void *arg)
{
	(void)arg;
	links->ending = true;
}

void link_engine_stop(struct user_links *links)
{
	link_engine_call(links, end_thread, NULL);
	pthread_join(links->thread, NULL);
	close(links->epoll);
	close(links->timer);
	close(links->bell);
	pthread_cond_destroy(&links->done);
	pthread_mutex_destroy(&links->mutex);
	arena_free(&links->pool);
}
