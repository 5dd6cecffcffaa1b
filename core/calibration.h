/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What real drills add to the figures of a scenario: a profile of residuals, one row a run, by
 * which the simulator is corrected.
 *
 * A row holds, for each thing that takes time, by how much the real drill took longer (or shorter)
 * than the simulator says for the same scenario and seed. A trial of a calibrated simulation takes
 * one row as a whole, so that what belongs together stays together (a run on a busy host was slow
 * in everything), and moves it by a share g of the difference of two others. Such a row has the
 * covariance of the rows times (n - 1)/n + 2 g^2; g is the one that makes this (t / z)^2 (1 + 1/n),
 * t and z the 95 % quantiles of Student's t with n - 1 degrees of freedom and of the normal: then
 * the 5 % and 95 % quantiles of many trials are the limits of Student's prediction interval for one
 * further run (Hahn and Meeker, Statistical Intervals, section 4.7), whatever phases FRT is the sum
 * of. With one row there is no spread.
 */
#ifndef CORE_CALIBRATION_H
#define CORE_CALIBRATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/scenario.h"

#define CALIBRATION_RUNS_MAX 1000
#define CALIBRATION_FILE_MAX ((size_t)1 << 20)

/* What a residual is of. In the order of profile.yaml. */
enum residual {
	RESIDUAL_DETECTION,     /* from the fault to the declaration */
	RESIDUAL_DECISION,      /* from the declaration to the first action */
	RESIDUAL_FENCE,         /* of the old primary */
	RESIDUAL_SWITCH,        /* of the traffic */
	RESIDUAL_RESTORE_MODEL, /* one restore of a class, beyond restore_time times the model's */
	RESIDUAL_RESTORE_TRAINING,
	RESIDUAL_RESTORE_IO,
	RESIDUAL_START,     /* of a replica, from its order until it is ready */
	RESIDUAL_READINESS, /* from a replica that is ready until the gateway sends to it */
	RESIDUAL_BACKUP,    /* one backup, beyond backup_time times the model's */
	RESIDUALS
};
extern const char *const residual_names[RESIDUALS];

/* One row: nanoseconds, of either sign. */
struct calibration_row {
	nanos by[RESIDUALS];
};

/* Where a row comes from. */
struct calibration_source {
	const char *id, *sha256; /* of the drill; of its record.json */
	nanos frt, modelled;     /* measured; what the simulator says without a profile */
	nanos missing;           /* of FRT: what the corrected simulator still leaves open */
};

struct calibration {
	const char *scenario;             /* its name */
	struct process_scale scale;       /* at which the residuals were measured */
	double restore_time, backup_time; /* transfers take so many times as long as modelled */
	/* What one takes in the model; a negative residual makes it shorter by its share of it. */
	nanos restore_modelled[DATA_CLASSES], backup_modelled;
	const struct calibration_source *sources;
	const struct calibration_row *rows;
	uint64_t known[RESIDUALS]; /* rows that have it; in the others is their mean */
	const bool *gaps;          /* count * RESIDUALS: this row lacks it */
	size_t count;              /* rows, and sources */
	const char *sha256;        /* of profile.yaml; NULL: not read from one */
};

/*
 * The row of one trial, the same for everyone who asks with the same seed and trial. All zero when
 * `calibration` is NULL. One row alone is given as it is. Fencing and readiness take no time in the
 * model: what would make them shorter is taken off the switch and the start.
 */
void calibration_draw(const struct calibration *calibration, uint64_t seed, uint64_t trial,
		      struct calibration_row *ret_row);
/* Takes the rows, of which there are `count` with `gaps`: where a run lacks a residual, the mean of
 * the others stands. */
void calibration_complete(struct calibration *calibration, struct calibration_row *rows);
/* The share g of a difference that moves a row, for n rows; 0 below 2. */
double calibration_spread(size_t n);
/*
 * How long a transfer takes: by which its bytes are multiplied, and what comes on top when the last
 * one is there. `modelled`: what it takes without a profile, as the calibration saw it.
 */
void calibration_transfer(double time, nanos modelled, nanos residual, double *ret_factor,
			  nanos *ret_more);

/* Lower-case hex, as `sha256sum` prints it. */
void calibration_sha256(const void *bytes, size_t size, char ret_hex[65]);

/* Read profile.yaml: errors name file, line and column. Everything lives in `arena`. */
int calibration_load(const char *path, struct arena *arena, struct calibration **ret_calibration,
		     struct error *e);
/* The same from memory; `path` is only for messages. */
int calibration_parse(const char *path, const char *text, size_t size, struct arena *arena,
		      struct calibration **ret_calibration, struct error *e);
/* As profile.yaml: the same calibration gives the same text. */
char *calibration_text(const struct calibration *calibration, struct arena *arena);

#endif
