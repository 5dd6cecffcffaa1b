/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DR controller: the state machine that the source document describes. Backup at start and on
 * schedule; detect, diagnose, decide, switch (the old primary fenced first), restore, verify,
 * repair, switch back, normal.
 *
 * It has no I/O and no clock of its own: declarations, completions and deadlines go in, actions and
 * marks come out through struct recovery_host. The code that a real drill runs is the code that a
 * million simulated drills run.
 *
 * One machine per recovery domain (a primary site with its endpoints; the first one owns the data):
 *
 *   NORMAL ───── declared ─────▶ DECIDING
 *   DECIDING ─── decided ──────▶ MOVING: fence, switch, activate, restore
 *            ─── no standby, or prefer: in_place; or it cleared by itself ─▶ IN_PLACE
 *   MOVING ───── all done ─────▶ ON_STANDBY
 *            ─── failed ───────▶ IN_PLACE, and the move is tried again every 30 s
 *   ON_STANDBY ─ repaired, verified, failback: after repaired ─▶ RETURNING
 *            ─── declared again ▶ DECIDING, for the next standby
 *   RETURNING ── data and traffic are back ─▶ IN_PLACE
 *            ─── the primary broke again ───▶ ON_STANDBY (or IN_PLACE), diagnosed anew
 *   IN_PLACE ─── repaired and calm ─▶ NORMAL
 *
 * Diagnosis, repair and verification run beside these states. A fault in any state is either a new
 * declaration or an action that fails; both lead to a state of this picture.
 */
#ifndef CORE_RECOVERY_H
#define CORE_RECOVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/diagnosis.h"
#include "core/driver.h"
#include "core/scenario.h"

enum recovery_state {
	RECOVERY_NORMAL,
	RECOVERY_DECIDING,
	RECOVERY_MOVING,
	RECOVERY_ON_STANDBY,
	RECOVERY_IN_PLACE,
	RECOVERY_RETURNING,
};
extern const char *const recovery_state_names[];

/* What the controller gives out. All calls return at once. */
struct recovery_host {
	void *self;
	/* Starts an action; its completion comes back through recovery_completed(). Returns its id,
	 * 0: could not start. */
	action_id (*start)(void *self, struct action action);
	/* A mark of the incident that is open in `domain`; at NANOS_NEVER takes an earlier mark
	 * back. */
	void (*mark)(void *self, uint32_t domain, enum mark mark, nanos at);
	void (*diagnosed)(void *self, uint32_t domain, const struct diagnosis *diagnosis);
	/* Mend everything that the open incident of `domain` broke; recovery_repaired() comes when
	 * that is done. */
	void (*repair)(void *self, uint32_t domain);
	/* A class was restored from a point of this time: the loss of the incident is counted by
	 * it. */
	void (*restored)(void *self, uint32_t domain, enum data_class data_class, nanos as_of);
	/* The incident is over: traffic, data and redundancy as before. */
	void (*normal)(void *self, uint32_t domain);
	/* Something a person should read: becomes a finding of the record. `text` is static. */
	void (*note)(void *self, enum severity severity, const char *text, double seconds);
};

struct recovery;

/* The controller for one scenario; memory from `arena`. recovery_reset() prepares it for a trial.
 */
struct recovery *recovery_new(const struct scenario *scenario, const struct recovery_host *host,
			      struct arena *arena);
void recovery_reset(struct recovery *recovery, uint64_t seed, uint64_t trial);

/* Time 0: backups `at_start`. */
void recovery_begin(struct recovery *recovery, nanos now);
/* The next instant at which recovery_tick() has something to do; NANOS_NEVER: none. */
nanos recovery_deadline(const struct recovery *recovery);
void recovery_tick(struct recovery *recovery, nanos now);

/* A detector declared, or cleared, a target of the place that serves `domain`; `wrong_answers` when
 * it was the content of an answer that told. */
void recovery_declared(struct recovery *recovery, uint32_t domain, nanos now, bool wrong_answers);

/* A detector declares of a training job, which no move brings back: a crew comes, and traffic stays
 * where it is. Without a standby it is as any declaration. */
void recovery_declared_job(struct recovery *recovery, uint32_t domain, nanos now,
			   bool wrong_answers);
void recovery_cleared(struct recovery *recovery, uint32_t domain, nanos now);
/* An action ended. Probes do not come here. */
void recovery_completed(struct recovery *recovery, const struct completion *completion, nanos now);
/* The platform noticed broken hardware at a site of `domain` that no detector declared: diagnose
 * and repair, no failover. */
void recovery_noticed(struct recovery *recovery, uint32_t domain, uint32_t site);
/* Something else broke that belongs to the open incident of `domain`: it is not mended any more. */
void recovery_broken(struct recovery *recovery, uint32_t domain);
/* An incident of its own begins in `domain`, though what was found before is not mended yet. */
void recovery_anew(struct recovery *recovery, uint32_t domain);
/* What the open incident of `domain` broke at its primary is mended; `whole`: elsewhere too. */
void recovery_repaired(struct recovery *recovery, uint32_t domain, nanos now, bool whole);
/* Whether the service of `domain` is calm: good, all replicas up, backlog and latency as before the
 * fault. */
void recovery_calm(struct recovery *recovery, uint32_t domain, nanos now, bool calm);

enum recovery_state recovery_state(const struct recovery *recovery, uint32_t domain);
/* The site that `domain` is moving to; -1: it is not moving. */
int recovery_next_site(const struct recovery *recovery, uint32_t domain);
/* The site that serves `domain` now. */
uint32_t recovery_active_site(const struct recovery *recovery, uint32_t domain);
/* Domains are numbered by primary site: site index -> domain; a standby site belongs to no domain
 * (-1). */
int recovery_domain_of(const struct recovery *recovery, uint32_t site);
uint32_t recovery_site(const struct recovery *recovery, uint32_t domain); /* its primary site */
size_t recovery_domains(const struct recovery *recovery);

#endif
