/* SPDX-License-Identifier: Apache-2.0 */
/* Can this host break disks by device-mapper? Tried with a disk in memory. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "drivers/host/process.h"
#include "drivers/linux/block_trial.h"
#include "drivers/linux/dm_control.h"
#include "drivers/linux/dm_private.h"

#define BYTES (1 << 20)
#define SECTORS 32 /* that are looked at */
#define PATIENCE (10 * NANOS_S)
#define DELAY (20 * NANOS_MS)
#define GONE_WAIT NANOS_S
#define PAUSE (5 * NANOS_MS)

/* Of SECTORS that are read, those from `first` on fail, or are not zero; no others. */
static bool reads_bad(const struct dm *dm, uint32_t first, uint32_t count, struct block_trial *look)
{
	const struct block_trial_ask ask = {.path = dm->path, .count = SECTORS};

	if (block_try(&ask, PATIENCE, look, NULL) || look->hangs || look->done != SECTORS)
		return false;
	for (uint32_t i = 0; i < SECTORS; i++)
		if (block_trial_bad(look, i) != (i >= first && i < first + count))
			return false;
	return true;
}

static bool fails_range(const struct dm *dm)
{
	struct block_trial look;

	return reads_bad(dm, 8, 8, &look) && look.failed == 8;
}

static bool loses_writes(const struct dm *dm)
{
	const struct block_trial_ask ask = {
		.path = dm->path, .count = SECTORS, .write = true, .fill = 'x'};
	struct block_trial look;

	return block_try(&ask, PATIENCE, &look, NULL) == 0 && !look.hangs && look.done == SECTORS &&
	       look.failed == 0 && reads_bad(dm, 0, 0, &look);
}

static bool changes_reads(const struct dm *dm)
{
	struct block_trial look;

	return reads_bad(dm, 0, SECTORS, &look) && look.wrong == SECTORS;
}

static bool is_late(const struct dm *dm)
{
	const struct block_trial_ask ask = {.path = dm->path, .count = 1};
	struct block_trial look;

	return block_try(&ask, PATIENCE, &look, NULL) == 0 && !look.hangs && look.done == 1 &&
	       look.quickest >= DELAY;
}

struct trial {
	const char *what;
	struct dm_fault fault;
	bool (*acts)(const struct dm *dm);
};

static const struct trial trials[] = {
	{"errors", {.kind = DM_FAULT_ERROR, .ranges = {{8, 8}}, .range_count = 1}, fails_range},
	{"bad blocks",
	 {.kind = DM_FAULT_BADBLOCKS, .ranges = {{8, 8}}, .range_count = 1},
	 fails_range},
	{"lost writes",
	 {.kind = DM_FAULT_FLAKEY, .down = NANOS_S, .flaw = DM_FLAW_DROP_WRITES},
	 loses_writes},
	{"changed reads",
	 {.kind = DM_FAULT_FLAKEY,
	  .down = NANOS_S,
	  .flaw = DM_FLAW_CORRUPT_READS,
	  .byte = 1,
	  .value = 'x'},
	 changes_reads},
	{"delays", {.kind = DM_FAULT_DELAY, .read = DELAY, .write = DELAY}, is_late},
};

#define TRIALS (sizeof(trials) / sizeof(trials[0]))

/* What works, then what does not. The first one is the least that counts. */
static bool try_all(struct dm *dm, struct arena *arena, const char **ret_why)
{
	const char *good = "", *bad = "";

	for (size_t i = 0; i < TRIALS; i++) {
		struct error error = {0};
		const char *how = "";

		if (dm_set(dm, &trials[i].fault, &error) == 0 && !trials[i].acts(dm))
			error_set(&error, ERROR_UNAVAILABLE, NO_PLACE, "no effect");
		if (error.kind != ERROR_NONE)
			bad = arena_printf(arena, "%s; no %s: %s", bad, trials[i].what, error.text);
		if (trials[i].fault.kind == DM_FAULT_BADBLOCKS)
			how = arena_printf(arena, " (by %s)", dm_mechanism(dm));
		if (error.kind == ERROR_NONE)
			good = arena_printf(arena, "%s%s%s%s", good, *good ? ", " : "",
					    trials[i].what, how);
		if (i == 0 && error.kind != ERROR_NONE) {
			*ret_why = arena_strdup(arena, error.text);
			return false;
		}
	}
	*ret_why = arena_printf(arena, "disks of loop devices: %s%s", good, bad);
	return true;
}

/* The kernel removes both by itself, in a moment. */
static void wait_until_gone(const char *name)
{
	nanos end = process_now() + GONE_WAIT;
	struct dm_info info;
	int control;

	if (!dm_control_loaded() || dm_control_open(&control, NULL))
		return;
	while (dm_control_info(control, name, &info) == 0 && process_now() < end)
		process_pause(PAUSE);
	close(control);
}

bool dm_probe(struct arena *arena, const char **ret_why)
{
	struct error error = {0};
	struct dm dm = {
		.arena = arena,
		.name = arena_printf(arena, "drsim-probe-%ld", (long)getpid()),
		.file = memfd_create("drsim-probe", MFD_CLOEXEC),
		.loop = -1,
		.control = -1,
		.fd = -1,
	};
	bool yes = false;

	if (dm.file < 0 || ftruncate(dm.file, BYTES))
		*ret_why = arena_printf(arena, "no memory for a disk: %s", strerror(errno));
	else if (dm_private_begin(&dm, &error))
		*ret_why = arena_strdup(arena, error.text);
	else
		yes = try_all(&dm, arena, ret_why);
	if (dm.control >= 0 && dm.fd < 0)
		dm_control_remove(dm.control, dm.name, false);
	dm_private_end(&dm, NULL);
	wait_until_gone(dm.name);
	return yes;
}
