/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What single changes of the plan would have saved: not guessed, but recomputed. Each change is a
 * variant of the scenario that `--set` could have made; it is run again with the same seed, so that
 * chance is the same and what differs is the change (common random numbers). Nothing is written.
 */
#ifndef CORE_WHAT_IF_H
#define CORE_WHAT_IF_H

#include <stdbool.h>
#include <stddef.h>

#include "core/record.h"
#include "core/run.h"

#define WHAT_IF_CHANGES_MAX 24
#define WHAT_IF_SETS_MAX 6       /* overrides of one change */
#define WHAT_IF_INCIDENTS_MAX 20 /* with more there is no one recovery to shorten */
#define WHAT_IF_WORK_MAX 3000000 /* over all changes, in the units of record.work; of a campaign
				    as much as it took itself */
#define WHAT_IF_PAIRS_MIN 10     /* trials below which only the first one is compared */

enum what_if_aim {
	WHAT_IF_RECOVERY, /* FRT first */
	WHAT_IF_LOSS,     /* BRP first */
};

struct what_if_change {
	const char *text; /* "A hot standby instead of a warm one" */
	const char *sets[WHAT_IF_SETS_MAX];
	size_t set_count;
	enum what_if_aim aim;
};

/*
 * The changes that apply to what the record shows. Fills `changes` (room for WHAT_IF_CHANGES_MAX),
 * returns how many. The record has a headline incident.
 */
size_t what_if_changes(const struct record *record, struct arena *arena,
		       struct what_if_change *changes);

/*
 * Runs them and adds what they would have saved to the record's findings; also once when none would
 * have, and how many were left out because recomputing them would take too long. Does nothing where
 * there is no recovery to shorten: real or sham drills, no incident, not evaluable, ended by a
 * signal. With a campaign the first trials are compared pairwise. Call it before
 * findings_compute(), which ranks.
 */
void what_if_compute(struct record *record, const struct run_options *options, struct arena *arena);

#endif
