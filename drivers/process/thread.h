/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of a drill beside the run loop's. */
#ifndef DRIVERS_PROCESS_THREAD_H
#define DRIVERS_PROCESS_THREAD_H

#include <pthread.h>

/* Starts a thread that gets no signal: the drill's are for the run loop, which looks at them. -1:
 * it could not be started. */
int thread_start(pthread_t *ret_thread, void *(*main)(void *context), void *context);

#endif
