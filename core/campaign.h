/* SPDX-License-Identifier: Apache-2.0 */
/* Many trials of one scenario: each with its own random numbers, all with the same seed, summed up
 * with intervals. */
#ifndef CORE_CAMPAIGN_H
#define CORE_CAMPAIGN_H

#include "core/run.h"

#define CAMPAIGN_TRIALS_MAX 10000000

/*
 * Runs trials 1 … trials-1 after trial 0, whose record is in *record already, and fills
 * record->campaign, the objectives and the verdict from all of them. Memory belongs to `arena`.
 * Trials run on as many threads as the machine has processors (simulated drivers only); the results
 * do not depend on how many. Progress is told with NANOS_NEVER and a text, from the calling thread.
 * A signal ends it: what is summed up then are the trials from 0 on that are done, the verdict is
 * aborted. Fails only when a trial could not be run at all.
 */
int campaign_run(const struct scenario *scenario, const struct run_options *options,
		 uint64_t trials, struct record *record, struct arena *arena, struct error *e);

#endif
