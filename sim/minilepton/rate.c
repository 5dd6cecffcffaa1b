/* SPDX-License-Identifier: Apache-2.0 */
/* A rate as a line in time: each taker moves its end, and sleeps until it is there. */
#include "sim/minilepton/rate.h"

#include <time.h>

#include "sim/minilepton/minilepton.h"

/* Time that was not used is lost but for this: a rate, not a volume. */
#define SLACK (5 * NANOS_MS)

void rate_open(struct rate *rate, uint64_t bytes_per_second)
{
	*rate = (struct rate){.bytes_per_second = bytes_per_second};
	pthread_mutex_init(&rate->lock, NULL);
}

void rate_set(struct rate *rate, uint64_t bytes_per_second)
{
	pthread_mutex_lock(&rate->lock);
	rate->bytes_per_second = bytes_per_second;
	rate->next = 0;
	pthread_mutex_unlock(&rate->lock);
}

uint64_t rate_get(struct rate *rate)
{
	uint64_t bytes_per_second;

	pthread_mutex_lock(&rate->lock);
	bytes_per_second = rate->bytes_per_second;
	pthread_mutex_unlock(&rate->lock);
	return bytes_per_second;
}

void rate_take(struct rate *rate, uint64_t bytes)
{
	nanos now = minilepton_now(), due;
	struct timespec until;

	pthread_mutex_lock(&rate->lock);
	if (rate->bytes_per_second == 0) {
		pthread_mutex_unlock(&rate->lock);
		return;
	}
	if (rate->next < now - SLACK)
		rate->next = now - SLACK;
	rate->next += (nanos)((double)bytes * 1e9 / (double)rate->bytes_per_second);
	due = rate->next;
	pthread_mutex_unlock(&rate->lock);
	if (due <= now)
		return;
	until = (struct timespec){.tv_sec = (time_t)(due / NANOS_S),
				  .tv_nsec = (long)(due % NANOS_S)};
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL))
		continue;
}

void rate_close(struct rate *rate)
{
	pthread_mutex_destroy(&rate->lock);
}
