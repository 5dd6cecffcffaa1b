/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The report plug-in: one file of the run folder, made from what the folder already holds.
 * record.json comes first and from the record in memory; everything after it reads record.json and
 * events.jsonl, so that `drsim report` makes the same pages again from an old run.
 */
#ifndef CORE_REPORT_H
#define CORE_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "core/arena.h"
#include "core/error.h"
#include "core/record.h"

struct cJSON;

/* What a report is made from. Owned by the caller. */
struct report_input {
	const char *run_dir;        /* holds record.json, events.jsonl, scenario.yaml */
	const char *out_dir;        /* where to write; may be the same */
	const struct cJSON *record; /* record.json, parsed and checked */
	const struct cJSON *events; /* array of the lines of events.jsonl */
	bool plots, png;            /* --no-plots; --png */
};

struct report_ops {
	const char *name, *file, *help; /* "html", "report.html" */
	/* Writes out_dir/file. Without gnuplot the plots say so in the page and everything else
	 * works. */
	int (*write)(const struct report_input *input, struct error *e);
};

extern const struct report_ops
	*const report_table[]; /* NULL-terminated, in the order they are written */

/* Written by reports/. record.json from the record in memory; everything of report_table from the
 * folder. */
int report_write_record(const struct record *record, const char *path, struct error *e);
int report_write_all(const struct report_input *input, struct error *e);
/*
 * Read and check record.json and events.jsonl of a run folder (bounded; a damaged line is an error
 * that names it). Fills record, events and run_dir of *ret_input; give it back with report_free().
 */
int report_load(const char *run_dir, struct report_input *ret_input, struct error *e);
void report_free(struct report_input *input);
/*
 * Where the history of drills is: `wanted` (--history) unless NULL, else $DRSIM_HISTORY, else
 * history.db in $DRSIM_STATE, in drsim/ of $XDG_STATE_HOME, or in ~/.local/state/drsim.
 * *ret_path is NULL for the word "none". Fails with ERROR_UNAVAILABLE when none of these is set.
 */
int history_path(const char *wanted, struct arena *arena, const char **ret_path, struct error *e);
/* Adds one line for a drill that is over. Waits while others write. */
int history_write(const struct record *record, const char *path, struct arena *arena,
		  struct error *e);
/* The table at the end of `drsim run`. `folder` may be NULL; it fits a terminal of so many columns,
 * 0: of the usual ones. */
void summary_print(const struct record *record, const char *folder, FILE *out, bool colour,
		   int columns);

/* ---- signing a run (--sign KEY) ---- */

struct seal;

/* Reads and checks the key, which waits in memory of its own until seal_close() wipes it.
 * ERROR_USAGE: it is none. */
int seal_open(const char *key, struct arena *arena, struct seal **ret_seal, struct error *e);
/* May be NULL. */
void seal_close(struct seal *seal);
/* SHA-256 of the public key, in hex. */
const char *seal_key_id(const struct seal *seal);
/* Writes events.chain, and how the events end into the record: before record.json is written. */
int seal_events(struct seal *seal, const char *run_dir, struct record *record, struct error *e);
/* Writes attestation.intoto.jsonl over all files of the folder: the last of them. */
int seal_run(const struct seal *seal, const char *run_dir, const struct record *record,
	     struct error *e);

#endif
