/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which operations an effect hits: system calls of processes (sys.*), or operations on the files of
 * a disk (io.*, disk.*, fs.*). A fault fills it, a driver that has such operations obeys it, a
 * model that has none takes the share that is hit and says so.
 *
 * An operation *matches* by name, path and kind of descriptor. Matching operations are counted from
 * 1, for each effect, over all processes of its entity, in the order in which they begin; a pulse
 * counts on. Of these `when` chooses by number, the effect's share (`amount` in parts per million)
 * draws for each that was chosen, and no more than `count` are hit in all.
 *
 * The keys `when`, `probability` and `count` of a step can mean two things. Where the fault has a
 * parameter of that name they are of single operations and the driver obeys them, here. Where it
 * has none `probability` and `count` are of the injection as a whole and the run loop obeys them
 * (core/scenario.h, struct step), and `when` is refused.
 */
#ifndef CORE_OPERATIONS_H
#define CORE_OPERATIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/error.h"
#include "core/when.h"

#define OPERATIONS_NAME_MAX 32  /* characters of one name */
#define OPERATIONS_NAMES_MAX 64 /* names in one list */
#define OPERATIONS_PARTS_MAX 64

/* What a call's descriptor is open on, or what lies at the path that it names. FD_ANY: all but what
 * a language runtime has for itself, its pipes among them. */
enum fd_kind {
	FD_ANY,
	FD_FILE, /* or folder */
	FD_SOCKET,
	FD_PIPE,
	FD_DEVICE, /* character and block devices */
	FD_KINDS
};
extern const char *const fd_kind_names[]; /* "any", "file", … NULL */

/*
 * What can be done to a file, for io.* and fs.*; lower-case words that are the same in a scenario
 * and in a record.
 */
enum file_operation {
	FILE_OPEN, /* of one that is there */
	FILE_READ,
	FILE_WRITE,
	FILE_SYNC,     /* fsync, fdatasync; of a folder too */
	FILE_TRUNCATE, /* and fallocate */
	FILE_RENAME,
	FILE_REMOVE, /* unlink, rmdir */
	FILE_CREATE, /* of a file, folder or link */
	FILE_LIST,   /* readdir */
	FILE_STATUS, /* stat, statfs; chmod, chown, utimes too */
	FILE_OPERATIONS
};
extern const char *const file_operation_names[]; /* "open", "read", … NULL */
#define FILE_BIT(operation) (1u << (operation))
#define FILE_ALL (FILE_BIT(FILE_OPERATIONS) - 1)

/* All zero: every operation. Lives as long as the effects of its injection. */
struct operations {
	const char *calls; /* sys.*: "openat,pwrite64", comma-separated, no blanks; NULL: none */
	uint32_t files;    /* io.*, disk.*, fs.*: FILE_BIT mask */
	/* A file, or a folder and all below; with * a pattern. sys.*: absolute, as the process sees
	 * it; io.*: from the entity's data folder, without a slash at its beginning; NULL: any. */
	const char *path;
	enum fd_kind fd;
	struct when when;
	uint64_t count; /* at most so many are hit; 0: no limit */
	uint64_t seed;  /* of the draws of single operations */
	int error;      /* what a call that is hit returns: an errno, above 0; 0: none */
	int64_t value;  /* sys.retval: what it returns instead */
	/* fs.torn_op: the write is cut into so many parts of equal size; fs.torn_seq: 0. Bit i of
	 * `persist`: part i of it, or write i of the sequence, from 0, is there after the crash. */
	uint32_t parts;
	uint64_t persist;
};

/*
 * A comma-separated list of names without blanks, none twice: -1 with ERROR_SCENARIO at `place`.
 * Of system calls only the form is checked (a-z, 0-9, '_'): which there are a driver knows.
 */
int operations_check_calls(const char *text, struct place place, struct error *e);
/* "read,write" as FILE_BITs; "all" is FILE_ALL. -1 with the nearest name where there is none. */
int operations_parse_files(const char *text, struct place place, uint32_t *ret_files,
			   struct error *e);
/* "1,3" as bits 0 and 2: which of `parts` there are; "none" is 0. */
int operations_parse_parts(const char *text, uint32_t parts, struct place place,
			   uint64_t *ret_persist, struct error *e);
/* "read,write", "all". Returns `buffer`. */
#define OPERATIONS_TEXT_MAX 128
const char *operations_print_files(uint32_t files, char buffer[OPERATIONS_TEXT_MAX]);

#endif
