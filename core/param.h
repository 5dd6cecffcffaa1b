/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Option tables: one row says an option's name, type, unit, range, default and help, and where it
 * goes in a struct. The same rows load a step, print `drsim list faults` and are the reference of
 * the documentation. Below them, the quantities that the rows are made of: numbers with units, read
 * exactly and without a locale.
 */
#ifndef CORE_PARAM_H
#define CORE_PARAM_H

#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/dist.h"
#include "core/error.h"
#include "core/yaml.h"

enum param_type {
	PARAM_BOOL,     /* bool */
	PARAM_INTEGER,  /* int64_t; without unit */
	PARAM_DURATION, /* nanos; `30s 5m 2h 1d`, also ns us ms w */
	PARAM_SIZE,     /* uint64_t bytes; `140GB 1TiB` */
	PARAM_RATE,     /* double bytes/s; `10Gbit/s 2GB/s 500GB/h 50GB/d` */
	PARAM_PER_TIME, /* double 1/s; `120/s 3/h` */
	PARAM_PERCENT,  /* double 0 … 1; `99.9%` */
	PARAM_NUMBER,   /* double; without unit */
	PARAM_CHOICE,   /* int: index in `choices` */
	PARAM_DIST,     /* struct dist of durations: a duration or a distribution */
	PARAM_TEXT,     /* const char * */
	PARAM_COUNT,    /* uint32_t; without unit */
	PARAM_SEED,     /* uint64_t; without unit */
	PARAM_NODE,     /* const struct yaml_node *: taken as it is, read by someone else */
};

struct param {
	const char *name;
	enum param_type type;
	size_t offset;      /* offsetof the field in the params struct */
	const char *preset; /* default as it would be written in YAML; NULL: required; "": the field
			       stays as it is */
	double min, max; /* in the base unit (ns, bytes, 1/s, fraction); both 0: only the type's own
			    limits */
	const char *const *choices; /* PARAM_CHOICE: NULL-terminated words */
	const char *help;           /* one sentence */
};

#define PARAMS_END                                                                                 \
	{                                                                                          \
		.name = NULL                                                                       \
	}

/* Twenty years: the longest public failure log, replayed, spans 3766 days. */
#define PARAM_DURATION_MAX (7300 * NANOS_DAY)
#define PARAM_SIZE_MAX ((uint64_t)1 << 60)    /* 1 EiB */
#define PARAM_UNKNOWN_KEYS_MAX 32             /* unknown keys told of one mapping */
#define PARAM_DIGITS_MAX 19 /* significant digits of a number: what 64 bits hold exactly */
#define PARAM_EMPIRICAL_FILE_MAX ((size_t)1 << 20)
#define PARAM_EMPIRICAL_VALUES_MAX 100000
#define PARAM_ERRORS_MAX 256 /* errors kept of one scenario; later ones in the file are dropped */

/*
 * Errors in the order of the file: those in `file` first, by line and column, then those elsewhere
 * as they came. At most one is kept for a place. Zero-initialise and set `arena` and `file`.
 */
struct error_list {
	struct arena *arena;
	const char *file;
	struct error *items;
	size_t count;
};

/* Always returns -1. */
int error_list_add(struct error_list *list, enum error_kind kind, struct place place,
		   const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Where values come from and where their errors go. */
struct param_context {
	struct arena *arena;
	struct error_list errors;
	const char *folder; /* `empirical: FILE` is relative to it; NULL: files are refused (parsing
			       from memory) */
};

/* The path of a file that the scenario names, relative to its folder; NULL with an error without
 * one. */
const char *param_file(struct param_context *context, const struct yaml_node *node);

/*
 * Fill the struct at `out` from the mapping `map`, one row per key; keys that are not there get
 * their preset. Keys without a row are errors with the nearest name, unless they are in
 * `also_known` (NULL-terminated, may be NULL: keys someone else reads). `what` names the mapping in
 * messages: "a site". A field whose value is wrong gets its preset. Returns -1 when anything was
 * wrong; the errors are in context->errors. Texts and values live in context->arena.
 */
extern const char *const param_any_key[]; /* as `also_known`: no key is unknown */
int params_load(const struct yaml_node *map, const char *what, const struct param *rows, void *out,
		struct param_context *context, const char *const *also_known);
/* Fill the struct from the presets alone; fields of required rows stay as they are. */
void params_preset(const struct param *rows, void *out, struct param_context *context);

/* "duration", "size", … and an example of each type, for lists and messages. */
const char *param_type_name(enum param_type type);
const char *param_type_example(enum param_type type);

/*
 * The word of `words` that `word` was probably meant to be: within two edits, or one begins with
 * the other; NULL when none is near. `words` ends with NULL.
 */
const char *param_suggest(const char *word, const char *const *words);

/*
 * Quantities from text. Each fails with ERROR_SCENARIO at `place`, saying what was expected.
 * Durations and sizes are exact: decimals are rounded once, to the nearest nanosecond or byte; the
 * others to the nearest double.
 */
int quantity_duration(const char *text, struct place place, nanos *ret,
		      struct error *e); /* 0 … twenty years */
int quantity_size(const char *text, struct place place, uint64_t *ret,
		  struct error *e); /* 0 … 1 EiB */
int quantity_rate(const char *text, struct place place, double *ret,
		  struct error *e); /* bytes/s, >= 0 */
int quantity_per_time(const char *text, struct place place, double *ret,
		      struct error *e); /* 1/s, >= 0 */
int quantity_percent(const char *text, struct place place, double *ret,
		     struct error *e); /* 0 … 1 */
int quantity_number(const char *text, struct place place, double *ret,
		    struct error *e); /* any finite number */
int quantity_integer(const char *text, struct place place, int64_t *ret, struct error *e);
int quantity_unsigned(const char *text, struct place place, uint64_t *ret, struct error *e);

/* "uniform", "exponential", …; ends with NULL. */
extern const char *const dist_names[];
/* A duration or a distribution of durations from a node: `20m`, `{lognormal: {median: 20m, sigma:
 * 0.3}}`. */
int dist_load(const struct yaml_node *node, struct param_context *context, struct dist *ret);

/* A duration as people write it: "90s" as "1m30s" never, but as "90s"; the largest unit that
 * divides it. */
#define QUANTITY_TEXT_MAX 48
const char *quantity_print_duration(nanos value, char buffer[QUANTITY_TEXT_MAX]);

#endif
