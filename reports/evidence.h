/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evidence for an auditor: what the records of several drills show of a framework's controls, what
 * they do not show, what was due and what was done. Nothing is judged here, and a simulated drill
 * is never a test.
 */
#ifndef REPORTS_EVIDENCE_H
#define REPORTS_EVIDENCE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "reports/controls.h"

#define EVIDENCE_DRILLS_MAX 400 /* a year of nights, and some */

/* Does a drill count as a test, and if not, what is it? */
enum standing {
	STANDING_COUNTS,
	STANDING_SIMULATED,
	STANDING_SHAM,
	STANDING_INVALID,
	STANDING_ABORTED,
	STANDING_RESIDUE,
	STANDING_UNKNOWN, /* a verdict that this version does not know */
	STANDING_UNDATED,
	STANDING_LATER, /* than the day of the page */
};

struct evidence_drill {
	const char *folder;
	const cJSON *record;
	char sha256[65]; /* of record.json */
	bool attested;   /* its folder holds an attestation, which is not checked here */
	bool dated;      /* `day` is the day on which it started */
	int32_t day;
	enum standing standing;
};

struct evidence {
	const struct controls *controls;
	const struct framework *framework;
	struct evidence_drill *drills; /* in order of their start */
	size_t drill_count;
	int32_t today;
};

/* Fills dated, day and standing of each drill, and puts them in order. */
void evidence_sort(struct evidence *evidence);
/* What stands in the way of counting; "counts as a test" for one that counts. */
const char *evidence_standing_text(enum standing standing);

/* How one control stands with these drills. */
struct control_state {
	size_t counted;   /* drills that count */
	size_t in_period; /* of them within the period that ends today */
	int32_t last;     /* day of the latest, with counted > 0 */
	int32_t due;      /* of the next, where the control has a period and counted > 0 */
	bool overdue;     /* it has a period, and no drill that counts lies in it */
	size_t shown;     /* fields that some drill which counts has a value of */
};
struct control_state evidence_state(const struct evidence *evidence, const struct control *control);
/* Has the record a value at this path? An empty list is one: it says that there is none. A sign-off
 * is none that was given before the drill. */
bool evidence_shows(const cJSON *record, const char *field);
bool evidence_signed_off(const cJSON *record, const cJSON *signoff);

/* Does a drill that counts show the field? */
bool evidence_tested(const struct evidence *evidence, const char *field);

/* The page: title, body and end. */
void evidence_page(FILE *page, const struct evidence *evidence);
/* The value of a field as people read it, escaped; nothing where there is none. */
void evidence_value(FILE *page, const cJSON *record, const char *field);

#endif
