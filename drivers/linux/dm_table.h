/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults of a block device as tables of the kernel's device-mapper, and what the kernel says of
 * such tables: text in, text out, without a call of the kernel. The words are those of the kernel's
 * Documentation/admin-guide/device-mapper/{linear,dm-flakey,dm-dust,delay}.rst. Sectors have 512
 * bytes.
 *
 * Threads: any.
 */
#ifndef DRIVERS_LINUX_DM_TABLE_H
#define DRIVERS_LINUX_DM_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/error.h"

#define DM_SECTOR 512
#define DM_RANGES_MAX 256
#define DM_PARAMS_MAX 192 /* bytes of a row's parameters, with the end of the text */
#define DM_BLOCK_PRESET 4096
#define DM_BLOCK_MAX ((uint32_t)1 << 20)
#define DM_BAD_MAX 4096 /* bad blocks at a time */
#define DM_INTERVAL_MAX NANOS_DAY
#define DM_DELAY_MAX NANOS_HOUR
#define DM_BYTE_MAX ((uint32_t)1 << 20)

enum dm_target {
	DM_LINEAR, /* passes everything on */
	DM_ERROR,  /* fails everything */
	DM_FLAKEY, /* good for a while, bad for a while */
	DM_DUST,   /* a list of bad blocks, which a write mends */
	DM_DELAY,  /* later */
	DM_TARGETS
};
extern const char *const dm_target_names[DM_TARGETS]; /* "linear", "error", … */

enum dm_fault_kind {
	DM_FAULT_NONE,
	DM_FAULT_ERROR,     /* disk.error: reads and writes fail with EIO */
	DM_FAULT_FLAKEY,    /* disk.error with intervals, fs.lost_fsync, data.bitflip */
	DM_FAULT_BADBLOCKS, /* disk.badblocks: reads fail with EIO */
	DM_FAULT_DELAY,     /* disk.delay */
	DM_FAULT_KINDS
};
extern const char *const dm_fault_names[DM_FAULT_KINDS]; /* "none", "error", … */

/* What a flakey device does while it is bad. */
enum dm_flaw {
	DM_FLAW_ERROR,        /* fails everything */
	DM_FLAW_DROP_WRITES,  /* takes writes and forgets them; reads are right */
	DM_FLAW_ERROR_WRITES, /* fails writes; reads are right */
	/* Linux 6.1 takes this one and changes nothing: look at it (block_trial.h). */
	DM_FLAW_CORRUPT_READS,
	DM_FLAW_CORRUPT_WRITES,
	DM_FLAWS
};
extern const char *const dm_flaw_names[DM_FLAWS]; /* "error", "drop_writes", … */

struct dm_range {
	uint64_t first, count; /* sectors */
};

struct dm_fault {
	enum dm_fault_kind kind;
	/* Sorted, without overlap. None: all sectors; of BADBLOCKS: none yet. */
	struct dm_range ranges[DM_RANGES_MAX];
	size_t range_count;

	/* FLAKEY: good for `up`, then bad for `down`; whole seconds. up 0: always bad. */
	nanos up, down;
	enum dm_flaw flaw;
	uint32_t byte; /* CORRUPT: this one of each request, from 1, … */
	uint8_t value; /* … becomes that */

	/* BADBLOCKS: bytes, a power of two from 512; 0: DM_BLOCK_PRESET. Ranges are whole ones. */
	uint32_t block;

	nanos read, write, flush; /* DELAY: whole milliseconds */
};

/* A table's row, as the kernel takes and gives it. */
struct dm_row {
	uint64_t first, count;
	enum dm_target target; /* DM_TARGETS: one that is not among ours */
	char params[DM_PARAMS_MAX];
};

struct dm_table {
	struct dm_row *rows;
	size_t count;
};

/* Is it within bounds, and does it fit on a device of so many sectors? The error names the word
 * that is wrong. */
int dm_fault_check(const struct dm_fault *fault, uint64_t sectors, struct error *e);

/* Bytes of a block of BADBLOCKS, and how many bad ones there are. */
uint32_t dm_fault_block(const struct dm_fault *fault);
uint64_t dm_fault_bad(const struct dm_fault *fault);

/* BADBLOCKS: puts a range among the others, or takes it out of them. ERROR_LIMIT: too many ranges;
 * then nothing has changed. */
int dm_range_add(struct dm_fault *fault, struct dm_range range, struct error *e);
int dm_range_remove(struct dm_fault *fault, struct dm_range range, struct error *e);

/*
 * The table of a fault that dm_fault_check() found good, over a whole device ("MAJOR:MINOR") of so
 * many sectors. `dust`: bad blocks by the target dust, whose list comes by messages; else by rows
 * of the target error, which fail writes too. Rows are the arena's.
 */
void dm_table_build(const struct dm_fault *fault, bool dust, const char *device, uint64_t sectors,
		    struct arena *arena, struct dm_table *ret);

/* Does what the kernel says of a table mean the same? Kernels write the same thing in several ways.
 */
bool dm_table_same(const struct dm_table *asked, const struct dm_table *found);

/* Of a kernel's name; DM_TARGETS: none of ours. */
enum dm_target dm_target_of(const char *name);

/* Requests that wait in a row of the target delay now, by its status. false: no such text. */
bool dm_status_waiting(const char *status, uint64_t *ret);
/* Does a row of the target dust fail reads of its bad blocks, by its status? */
bool dm_status_dusty(const char *status, bool *ret);
/* The answer to the message countbadblocks. */
bool dm_answer_count(const char *answer, uint64_t *ret);

#endif
