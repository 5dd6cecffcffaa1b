/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Detectors: from single looks at a target to a declaration. No I/O and no clock: the run loop
 * sends the looks (ACTION_PROBE), hands the results in, and asks for the next deadline.
 *
 * A look that fails counts as a miss when its timeout is over, not at the first refusal: a
 * checker goes on trying until its deadline. So a probe detector (interval I, timeout T, k
 * misses) takes U((k-1)I+T, kI+T) from the fault to the declaration, the closed form the
 * simulator is held against.
 */
#ifndef CORE_DETECTOR_H
#define CORE_DETECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/driver.h"
#include "core/prng.h"
#include "core/scenario.h"

#define DETECTOR_TARGETS_MAX 100000
#define DETECTOR_REASON_MAX 64
#define DETECTOR_PHI_SAMPLES_MIN 10 /* with fewer, phi goes by the configured interval and jitter */

struct detector_target {
	struct entity entity; /* fixed: the site as a whole */
	uint32_t domain;      /* index of the primary site it belongs to */
	uint32_t misses;      /* in a row */
	bool declared;
	bool probing;         /* a look is under way: the next one waits for it */
	nanos busy_until;     /* the end of the last look, when it was handed over ahead of time */
	/* phi accrual; the ring holds inter-arrival times less the configured interval, in ns */
	double *intervals;
	uint32_t filled, next;
	double sum, sum_squares;
	nanos last_arrival;
	nanos arriving;       /* after the deadline, but known already; NANOS_NEVER */
	/* phi: when it reaches the threshold if nothing arrives; fixed: when it declares */
	nanos deadline;
};

struct detector {
	const struct detector_config *config;
	uint32_t index;
	struct detector_target *targets;
	size_t target_count;
	nanos next;        /* next round of looks; NANOS_NEVER: none (fixed) */
	const struct calibration *calibration; /* the scenario's */
	struct prng prng;  /* false faults, delays of fixed */
	nanos late;        /* of a calibrated trial: it declares so much later; below 0: earlier */
	double sigmas;     /* phi: phi_sigmas(threshold) */
	nanos *due;        /* phi, fixed: tournament of deadlines, due[1] is the earliest */
	size_t due_leaves;
	nanos blind_round; /* a blind poll's round whose verdicts are not drawn yet; NANOS_NEVER */
	size_t blind_next; /* the target whose draw is next */
	char reason[DETECTOR_REASON_MAX]; /* text of a declaration that names a number */
	char latency_reason[DETECTOR_REASON_MAX];
};

/*
 * What a detector says after an input. MISS: another miss of a target that is not declared; the
 * miss that declares is told by DECLARE alone. A declared target goes on being looked at; the
 * first good answer, heartbeat or window is told as CLEAR.
 */
enum detector_verdict { DETECTOR_QUIET, DETECTOR_MISS, DETECTOR_DECLARE, DETECTOR_CLEAR };

struct detector_news {
	enum detector_verdict verdict;
	struct detector_target *target; /* NULL when QUIET */
	nanos at;
	const char *reason; /* "phi above 8"; lives as long as the detector */
};

/*
 * Prepare for one trial: finds the targets of its scope at the primary sites, in the order of
 * declaration. Memory comes from `arena`. The struct stays where it is while news are in use.
 * Fails with ERROR_LIMIT at the detector's place.
 */
int detector_init(struct detector *detector, const struct scenario *scenario, uint32_t index,
		  uint64_t seed, uint64_t trial, struct arena *arena, struct error *e);
void detector_reset(struct detector *detector, uint64_t seed, uint64_t trial);

/* The next instant at which a round or detector_expire() has something to do; NANOS_NEVER: none. */
nanos detector_deadline(const struct detector *detector);
/*
 * A round, when one is due at `now`: fills `out` (room for target_count) with the probe for each
 * target, returns how many, sets the next round. The first one is at time `interval`, then every
 * interval; rounds that a late caller missed are not made up for. A target whose last look is not
 * over is left out, but a heartbeat (phi) waits for nobody. A blind poll looks at nothing: it
 * returns 0 and leaves its verdicts to detector_expire(). At one instant: results, then
 * detector_expire() until QUIET, then detector_round(), then detector_expire() again.
 */
size_t detector_round(struct detector *detector, nanos now, struct action *out, size_t max);
/* A probe's completion. One verdict, at completion->at, which a simulator may know ahead. */
struct detector_news detector_result(struct detector *detector,
				     const struct completion *completion);
/*
 * Deadlines that passed without an arrival (phi), delays that are over (fixed), draws of a blind
 * poll. Call until QUIET.
 */
struct detector_news detector_expire(struct detector *detector, nanos now);
/*
 * fixed: the run loop says that a fault took effect in `domain`; the declaration comes `delay`
 * later by detector_expire(), at the earliest of several. Nothing happens while a declaration
 * stands. Others ignore it.
 */
void detector_fault(struct detector *detector, uint32_t domain, nanos now);
/*
 * fixed: the run loop says that `domain` is good again, since it looks at nothing itself. Takes
 * back the declaration (CLEAR) and one that is still to come (QUIET). Others clear by their own
 * looks and answer QUIET.
 */
struct detector_news detector_clear_domain(struct detector *detector, uint32_t domain, nanos now);

/*
 * Phi accrual. The deadline after an arrival is arrival + mean + phi_sigmas(threshold) * sigma,
 * rounded up to the nanosecond, over the last `window` inter-arrival times (deviation with n - 1,
 * at least 1 ns). With fewer than DETECTOR_PHI_SAMPLES_MIN of them (or than the window holds)
 * mean is the configured interval and sigma is jitter_sigma times it. Before the first heartbeat
 * the deadline is one interval later, for its way. The gap that ends a declaration is an outage,
 * not a sample.
 */
void detector_phi_reset(struct detector_target *target, const struct detector_config *config,
			double sigmas);
/* A heartbeat at `at` sets last_arrival and deadline; one that was overtaken is ignored. */
void detector_phi_arrive(struct detector_target *target, const struct detector_config *config,
			 double sigmas, nanos at);

/* Phi accrual (Hayashibara et al., SRDS 2004, normal distribution): -log10(1 - F(elapsed)). */
double phi_value(double elapsed, double mean, double sigma);
/* The inverse: how many sigma beyond the mean phi reaches `threshold`; 8 -> 5.6120. */
double phi_sigmas(double threshold);

#endif
