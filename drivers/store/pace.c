/* SPDX-License-Identifier: Apache-2.0 */
/* How long calls go: their threads, the first error that ends them, progress, rate and cancel. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "drivers/store/store_private.h"

#define NAP (20 * NANOS_MS) /* a cancel is seen at least so often */

nanos store_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now); /* style: allow */
	return (nanos)now.tv_sec * NANOS_S + now.tv_nsec;
}

void pace_open(struct pace *pace, const struct store_hooks *hooks, uint64_t total)
{
	*pace = (struct pace){.hooks = hooks, .total = total, .started = store_now()};
	pthread_mutex_init(&pace->mutex, NULL);
}

void pace_close(struct pace *pace)
{
	pthread_mutex_destroy(&pace->mutex);
}

void pace_fail(struct pace *pace, const struct error *e)
{
	pthread_mutex_lock(&pace->mutex);
	if (pace->error.kind == ERROR_NONE)
		pace->error = *e;
	pthread_mutex_unlock(&pace->mutex);
	atomic_store(&pace->stop, true);
}

bool pace_stopped(struct pace *pace)
{
	struct error error = {0};

	if (atomic_load(&pace->stop))
		return true;
	if (!pace->hooks->cancel || !atomic_load(pace->hooks->cancel))
		return false;
	error_set(&error, ERROR_UNAVAILABLE, NO_PLACE, "cancelled");
	pace_fail(pace, &error);
	return true;
}

int pace_take(struct pace *pace, uint64_t bytes)
{
	uint64_t rate = pace->hooks->bytes_per_second;
	nanos turn;

	if (pace_stopped(pace))
		return -1;
	if (rate == 0)
		return 0;
	pthread_mutex_lock(&pace->mutex);
	pace->granted += bytes;
	/* The end of its own transfer: what is moved never runs ahead of the rate. */
	turn = pace->started + (nanos)((double)pace->granted / (double)rate * 1e9);
	pthread_mutex_unlock(&pace->mutex);
	for (nanos now = store_now(); now < turn; now = store_now()) {
		nanos rest = turn - now < NAP ? turn - now : NAP;
		struct timespec pause = {.tv_nsec = (long)rest};

		nanosleep(&pause, NULL);
		if (pace_stopped(pace))
			return -1;
	}
	return 0;
}

void pace_done(struct pace *pace, uint64_t bytes)
{
	pthread_mutex_lock(&pace->mutex);
	pace->done += bytes;
	if (pace->hooks->progress)
		pace->hooks->progress(pace->hooks->self, pace->done, pace->total);
	pthread_mutex_unlock(&pace->mutex);
}

struct crew {
	void (*main)(void *self, uint32_t thread);
	void *self;
	atomic_uint next;
};

static void *crew_main(void *self)
{
	struct crew *crew = self;

	crew->main(crew->self, atomic_fetch_add(&crew->next, 1));
	return NULL;
}

int pace_run(struct pace *pace, uint32_t threads, void (*main)(void *self, uint32_t thread),
	     void *self, struct error *e)
{
	struct crew crew = {.main = main, .self = self};
	pthread_t others[STORE_THREADS_MAX];
	uint32_t started = 0;

	assert(threads > 0 && threads <= STORE_THREADS_MAX);
	/* Fewer do as well: each takes what is next. */
	while (started + 1 < threads &&
	       pthread_create(&others[started], NULL, crew_main, &crew) == 0)
		started++;
	crew_main(&crew);
	for (uint32_t i = 0; i < started; i++)
		pthread_join(others[i], NULL);
	if (!atomic_load(&pace->stop))
		return 0;
	return error_set(e, pace->error.kind, pace->error.place, "%s", pace->error.text);
}
