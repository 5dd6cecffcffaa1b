/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control mapping (reports/controls.yaml): what each framework asks for, which fields of a
 * record show it, and what a drill cannot show.
 */
#ifndef REPORTS_CONTROLS_H
#define REPORTS_CONTROLS_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/error.h"

#define CONTROLS_FILE_MAX ((size_t)1 << 20)
#define CONTROLS_FRAMEWORKS_MAX 64
#define CONTROLS_MAX 128      /* of one framework */
#define CONTROL_TEXTS_MAX 64  /* fields, and lines of what is not shown, of one control */
#define CONTROL_FIELD_MAX 128 /* characters of one path */
#define CONTROL_MONTHS_MAX 120

struct control {
	const char *id, *title, *asks;
	uint32_t months; /* a test is due so long after the one before; 0: the text sets no period
			  */
	const char *const *fields;
	size_t field_count;
	const char *const *not_shown;
	size_t not_shown_count;
};

struct framework {
	const char *id, *title;
	const struct control *controls;
	size_t control_count;
};

struct controls {
	const char *path;
	char sha256[65]; /* of the file */
	const struct framework *frameworks;
	size_t framework_count;
};

/* Where the shipped mapping is: ./reports, beside the program, or where it was installed. NULL:
 * nowhere. */
const char *controls_path(struct arena *arena);
/*
 * Read and check a mapping. Everything lives in `arena`. On failure *errors holds the first
 * `errors_max` errors with their places, *ret_count of them.
 */
int controls_load(const char *path, struct arena *arena, struct controls **ret_controls,
		  struct error *errors, size_t errors_max, size_t *ret_count);
/* The same from memory; `text` need not outlive the call, `path` is only for messages. */
int controls_parse(const char *path, const char *text, size_t size, struct arena *arena,
		   struct controls **ret_controls, struct error *errors, size_t errors_max,
		   size_t *ret_count);
const struct framework *controls_find(const struct controls *controls, const char *id);
/* Ids, NULL-terminated. */
const char **controls_names(const struct controls *controls, struct arena *arena);

/*
 * Calls `visit` for each value that a path of `fields` names in the record: "objectives.met" is the
 * key of every item of the list. Returns how many there were.
 */
size_t controls_values(const cJSON *record, const char *path,
		       void (*visit)(void *self, const cJSON *value), void *self);

#endif
