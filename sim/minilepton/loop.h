/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An event loop: descriptors, timers to the nanosecond, one HTTP server, and the signals that end a
 * process. All of it happens in the thread that runs it.
 */
#ifndef SIM_MINILEPTON_LOOP_H
#define SIM_MINILEPTON_LOOP_H

#include <stddef.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/error.h"

#define LOOP_TIMERS_MAX ((size_t)1 << 20)

struct loop;
struct http_server;

/* It belongs to its owner and must be clear before it goes. Zero-initialise. */
struct loop_timer {
	nanos at; /* of minilepton_now() */
	void (*fire)(void *self);
	void *self;
	size_t slot; /* in the heap, counted from 1; 0: it is not set */
};

int loop_open(struct loop **ret_loop, struct error *e);
void loop_close(struct loop *loop);
/* Calls `ready` while any of `events` (EPOLL…) holds; again for the same descriptor: changes it. */
int loop_watch(struct loop *loop, int fd, uint32_t events,
	       void (*ready)(void *self, int fd, uint32_t events), void *self, struct error *e);
/* Before the descriptor is closed. */
void loop_unwatch(struct loop *loop, int fd);
/* Sets a timer, or moves it. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, nanos at);
void loop_timer_clear(struct loop *loop, struct loop_timer *timer);
/* Serves HTTP in this loop (HTTP_LOOP). */
void loop_serve(struct loop *loop, struct http_server *server);
/* What SIGTERM and SIGINT do; unless told it is loop_stop(). */
void loop_on_end(struct loop *loop, void (*end)(void *self), void *self);
/* Until loop_stop(). */
int loop_run(struct loop *loop, struct error *e);
void loop_stop(struct loop *loop);

#endif
