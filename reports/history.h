/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The history: one line of each drill, in an SQLite database that many drills may write at once.
 * What reads it trusts nothing in it. Written at the end of `drsim run` (history_write() of
 * core/report.h) and by `drsim history import`, read by `drsim trend`.
 */
#ifndef REPORTS_HISTORY_H
#define REPORTS_HISTORY_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/error.h"

#define HISTORY_APPLICATION 0x64727368 /* "drsh": application_id of the database */
#define HISTORY_VERSION 1              /* user_version: that of the table */
#define HISTORY_TEXT_MAX 500           /* bytes of a text */
#define HISTORY_VALUE_MAX 1e15         /* seconds */
#define HISTORY_DRILLS_MAX 200000      /* that are read at once */
#define HISTORY_BUSY_MS 10000          /* how long others may keep it locked */

/* One drill. Texts are UTF-8; NAN is null. */
struct history_drill {
	const char *id, *started; /* drill.id; RFC 3339 in UTC, "2026-03-01T02:00:00.000Z" */
	const char *name, *kind, *driver; /* kind: "simulated" | "injected" */
	const char *variant; /* what else keeps it apart from others of its name: trials, scale,
				profile; "" for none */
	const char *verdict, *version, *scenario; /* scenario: SHA-256 of its text */
	const char *host;                         /* NULL: not told */
	const char *seed;                         /* decimal */
	bool sham;
	int recovered; /* 1, 0: path "unrecovered"; -1: there was no incident */
	double frt_s, brt_s, brp_s, availability; /* of a campaign the medians */
};

struct history_list {
	struct history_drill *drills; /* by `started`, then id */
	size_t count;
};

/* The line of a record.json that was read and checked (report_load); -1: it has no id or no time,
 * or something is too long. */
int history_drill_of(const cJSON *record, struct arena *arena, struct history_drill *ret,
		     struct error *e);
/* Puts drills in, all or none; one whose id is there already stays as it is. Makes the database
 * when there is none. *ret_added: how many were new. */
int history_add(const char *path, const struct history_drill *drills, size_t count,
		struct arena *arena, size_t *ret_added, struct error *e);
/* Reads the drills of the scenarios `names` (NULL-terminated; NULL: of all). ERROR_UNAVAILABLE:
 * there is no such file. Everything that is read is checked. */
int history_read(const char *path, const char *const *names, struct arena *arena,
		 struct history_list *ret, struct error *e);
/* Is `text` a time as `started` has it? */
bool history_is_time(const char *text);

#endif
