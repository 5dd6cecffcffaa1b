/* SPDX-License-Identifier: Apache-2.0 */
/* A rate that several threads share: bytes a second, after which a caller sleeps. */
#ifndef SIM_MINILEPTON_RATE_H
#define SIM_MINILEPTON_RATE_H

#include <pthread.h>
#include <stdint.h>

#include "core/clock.h"

struct rate {
	pthread_mutex_t lock;
	uint64_t bytes_per_second; /* 0: no limit */
	nanos next;                /* when the bytes taken until now are paid for */
};

void rate_open(struct rate *rate, uint64_t bytes_per_second);
/* Another limit from now on. */
void rate_set(struct rate *rate, uint64_t bytes_per_second);
uint64_t rate_get(struct rate *rate);
/* Takes `bytes` and sleeps until they are due. */
void rate_take(struct rate *rate, uint64_t bytes);
void rate_close(struct rate *rate);

#endif
