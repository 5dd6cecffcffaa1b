/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of a drill beside the run loop's. */
#include "drivers/process/thread.h"

#include <signal.h>

int thread_start(pthread_t *ret_thread, void *(*main)(void *context), void *context)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = pthread_create(ret_thread, NULL, main, context);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc ? -1 : 0;
}
