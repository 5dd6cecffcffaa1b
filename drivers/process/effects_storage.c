/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults of disks: what a node does to the storage of its site, or the store to its own disk, goes
 * through a layer that breaks what it is told to. Only where a step may hit it there is one, from
 * the machine's start on. The data below stay reachable past it: what replicates and backs up sees
 * the disk as it is.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "drivers/linux/disk_trial.h"
#include "drivers/linux/fuse.h"
#include "drivers/process/effects.h"
#include "drivers/process/planned.h"

#define LOOK_PATIENCE (2 * NANOS_S) /* until a look at a disk counts as one that hangs */
#define TEAR_PATIENCE (5 * NANOS_S) /* until a program writes what is to be torn */
#define LEASE (10 * NANOS_S)        /* of a fault, which ends when nobody renews it, */
#define RENEW NANOS_S               /* and how often it is renewed */
#define EFFECTS_THAT_TEAR (EFFECT_BIT(EFFECT_FS_TORN_OP) | EFFECT_BIT(EFFECT_FS_TORN_SEQ))

/* ---- where there is a layer ---- */

static int open_layer(struct real *real, const char *below, const char *name, const char *path,
		      struct machine_config *machine, struct fuse_layer **ret, struct error *e)
{
	const struct fuse_layer_config config = {
		.name = arena_printf(&real->arena, "drsim-%s", name),
		.below = below,
		.below_fd = -1,
		.mapped = "*-shm",
		.seed = real->seed,
		.cpu = -1,
	};
	struct machine_mount *mount = arena_alloc(&real->arena, sizeof(*mount));

	if (fuse_layer_open(&config, &real->arena, ret, e))
		return -1;
	*mount = fuse_layer_machine(*ret, path);
	machine->mounts = mount;
	machine->mount_count = 1;
	return 0;
}

int disks_open(struct real *real, struct machine_config *machines, struct error *e)
{
	bool namespaces = machines_isolation(real->machines) == MACHINE_NAMESPACES;

	for (uint32_t n = 0; n < real->node_count; n++) {
		const struct node *node = &real->nodes[n];
		const char *folder = copies_site_folder(real->copies, node->site);
		if (!planned_on_node(real, EFFECTS_OF_STORAGE, n))
			continue;
		if (!namespaces)
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
					 "faults of disks need mount namespaces, which this host "
					 "does not allow: drsim doctor says why");
		if (open_layer(real, folder, arena_printf(&real->arena, "node%u", n), folder,
			       &machines[n], &real->layers[n], e))
			return -1;
	}
	if (!planned_on_store(real, EFFECTS_OF_STORAGE))
		return 0;
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
			 "this driver breaks the disks of nodes, not that of the store");
}

void disks_close(struct real *real)
{
	struct error error = {.kind = ERROR_NONE};

	for (uint32_t n = 0; n < real->node_count; n++)
		if (real->layers[n])
			fuse_layer_close(real->layers[n], &error);
	memset(real->layers, 0, sizeof(real->layers));
}

static struct fuse_layer *layer_of(const struct real *real, const struct entity *entity)
{
	if (entity->kind != ENTITY_NODE)
		return NULL;
	return real->layers[real->first_node[entity->site] + (uint32_t)entity->index];
}

/* ---- what is asked for, in the layer's words ---- */

/* Of one word of the scenario several of the layer's. */
static uint32_t methods_of(uint32_t files)
{
	static const uint32_t words[FILE_OPERATIONS] = {
		[FILE_OPEN] = FUSE_METHOD_BIT(FUSE_ON_OPEN),
		[FILE_READ] = FUSE_METHOD_BIT(FUSE_ON_READ),
		[FILE_WRITE] = FUSE_METHOD_BIT(FUSE_ON_WRITE),
		[FILE_SYNC] = FUSE_METHOD_BIT(FUSE_ON_FSYNC),
		[FILE_TRUNCATE] =
			FUSE_METHOD_BIT(FUSE_ON_TRUNCATE) | FUSE_METHOD_BIT(FUSE_ON_ALLOCATE),
		[FILE_RENAME] = FUSE_METHOD_BIT(FUSE_ON_RENAME),
		[FILE_REMOVE] = FUSE_METHOD_BIT(FUSE_ON_UNLINK) | FUSE_METHOD_BIT(FUSE_ON_RMDIR),
		[FILE_CREATE] = FUSE_METHOD_BIT(FUSE_ON_CREATE) | FUSE_METHOD_BIT(FUSE_ON_MKDIR) |
				FUSE_METHOD_BIT(FUSE_ON_LINK) | FUSE_METHOD_BIT(FUSE_ON_SYMLINK) |
				FUSE_METHOD_BIT(FUSE_ON_MKNOD),
		[FILE_LIST] = FUSE_METHOD_BIT(FUSE_ON_READDIR),
		[FILE_STATUS] = FUSE_METHOD_BIT(FUSE_ON_GETATTR) |
				FUSE_METHOD_BIT(FUSE_ON_SETATTR) | FUSE_METHOD_BIT(FUSE_ON_STATFS),
	};
	uint32_t methods = 0;

	for (int i = 0; i < FILE_OPERATIONS; i++)
		if (files & FILE_BIT(i))
			methods |= words[i];
	return methods;
}

static void choose_operations(const struct operations *operations, struct arena *arena,
			      struct fuse_fault *fault)
{
	if (!operations)
		return;
	fault->methods = methods_of(operations->files);
	/* Paths are within the data of the node's site. */
	if (operations->path && operations->path[0])
		fault->path = arena_printf(arena, "data/%s", operations->path);
	fault->first = operations->when.first;
	fault->last = operations->when.last;
	fault->step = operations->when.step;
	if (operations->count > 0) {
		uint64_t first = fault->first ? fault->first : 1;
		uint64_t step = fault->step ? fault->step : 1;
		uint64_t end = first + step * (operations->count - 1);
		fault->last = fault->last == 0 || end < fault->last ? end : fault->last;
	}
}

/* Ranges spread over the first gigabyte of each file, so large that together they are the share. */
static void choose_blocks(const struct effect *effect, struct fuse_fault *fault)
{
	const uint64_t span = (uint64_t)1 << 20, block = DISK_TRIAL_BLOCK;
	uint64_t ranges = effect->spread > 0 ? (uint64_t)effect->spread : 1;
	uint64_t bytes = (uint64_t)((double)span * (double)effect->amount / EFFECT_PPM);

	ranges = ranges > FUSE_RANGES_MAX ? FUSE_RANGES_MAX : ranges;
	for (uint64_t i = 0; i < ranges; i++) {
		uint64_t size = bytes / ranges / block * block;
		fault->ranges[i].offset = span / ranges * i / block * block;
		fault->ranges[i].size = size > 0 ? size : block;
	}
	fault->range_count = ranges;
}

static void choose_torn(const struct operations *operations, bool sequence,
			struct fuse_fault *fault)
{
	fault->occurrence = operations && operations->when.first ? operations->when.first : 1;
	fault->first = fault->last = fault->step = 0;
	fault->part_count = sequence || !operations ? 0 : operations->parts;
	for (uint32_t i = 0; operations && i < OPERATIONS_PARTS_MAX; i++)
		if (operations->persist >> i & 1 && fault->persist_count < FUSE_PARTS_MAX)
			fault->persist[fault->persist_count++] = i + 1;
}

static struct fuse_fault fault_of(const struct effect *effect, struct arena *arena)
{
	struct fuse_fault fault = {.kind = FUSE_FAULT_ERRNO, .error = EIO};

	choose_operations(effect->operations, arena, &fault);
	if (effect->kind == EFFECT_DISK_ERROR)
		fault.methods = FUSE_METHOD_BIT(FUSE_ON_READ) | FUSE_METHOD_BIT(FUSE_ON_WRITE) |
				FUSE_METHOD_BIT(FUSE_ON_FSYNC);
	if (effect->kind == EFFECT_IO_ERROR) {
		fault.error = effect->operations ? effect->operations->error : EIO;
		fault.probability = (double)effect->amount / EFFECT_PPM;
	}
	if (effect->kind == EFFECT_DISK_READONLY)
		fault.kind = FUSE_FAULT_READONLY;
	if (effect->kind == EFFECT_DISK_RATE) {
		fault.kind = FUSE_FAULT_THROTTLE;
		fault.bytes_per_second = (double)effect->amount;
	}
	if (effect->kind == EFFECT_IO_LATENCY) {
		fault.kind = FUSE_FAULT_LATENCY;
		fault.time = effect->amount;
		fault.jitter = effect->spread;
	}
	if (effect->kind == EFFECT_DISK_HANG)
		fault.kind = FUSE_FAULT_HANG;
	if (effect->kind == EFFECT_DISK_BADBLOCKS) {
		fault.kind = FUSE_FAULT_BADBLOCKS;
		choose_blocks(effect, &fault);
	}
	if (effect->kind == EFFECT_FS_UNSYNCED) {
		fault.kind = FUSE_FAULT_LOST_FSYNC;
		fault.fsync_lies = effect->spread == 1;
	}
	if (effect->kind == EFFECT_FS_TORN_OP || effect->kind == EFFECT_FS_TORN_SEQ) {
		fault.kind = effect->kind == EFFECT_FS_TORN_OP ? FUSE_FAULT_TORN_OP
							       : FUSE_FAULT_TORN_SEQ;
		choose_torn(effect->operations, effect->kind == EFFECT_FS_TORN_SEQ, &fault);
	}
	return fault;
}

/* ---- the door ---- */

int disks_break(struct real *real, struct fault_state *fault, struct error *e)
{
	struct fuse_layer *layer = layer_of(real, &fault->effect.entity);
	struct fuse_fault asked = fault_of(&fault->effect, &real->arena);
	const struct operations *operations = fault->effect.operations;

	assert(layer);
	if (operations && operations->count > 0 && fault->effect.kind == EFFECT_IO_ERROR &&
	    fault->effect.amount < EFFECT_PPM)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "this driver counts ('count') operations that all fail, not those "
				 "that fail by chance");
	if (fault->effect.kind == EFFECT_DISK_HANG && fault->effect.amount > 0)
		fault->due = real_now(real) + fault->effect.amount;
	asked.lease = LEASE;
	fault->renew = real_now(real) + RENEW;
	if (fuse_layer_set(layer, &asked, &fault->layer_fault, e))
		return -1;
	if (!(EFFECT_BIT(fault->effect.kind) & EFFECTS_THAT_TEAR))
		return 0;
	nanos end = real_now(real) + TEAR_PATIENCE;
	while (!fuse_layer_crashes(layer) && real_now(real) < end)
		real_sleep(real, real_now(real) + 5 * NANOS_MS, NULL);
	disks_look(real, fault);
	return 0;
}

int disks_mend(struct real *real, struct fault_state *fault, struct error *e)
{
	struct fuse_layer *layer = layer_of(real, &fault->effect.entity);
	struct node *node =
		real_node(real, fault->effect.entity.site, (uint32_t)fault->effect.entity.index);

	fault->due = NANOS_NEVER;
	if (fault->layer_fault > 0 && fuse_layer_end(layer, fault->layer_fault, e))
		return -1;
	if (!fault->crashed)
		return 0;
	fault->crashed = false;
	return node->down ? deploy_node(real, node, e) : 0;
}

bool disks_broken(struct real *real, const struct fault_state *fault)
{
	const struct fuse_layer *layer = layer_of(real, &fault->effect.entity);

	return layer && fault->layer_fault > 0 && fuse_layer_stands(layer, fault->layer_fault);
}

/* The power of a node fails: what was not synced there is gone. After its processes are. */
int disks_crash(struct real *real, const struct node *node, struct error *e)
{
	struct fuse_layer *layer = real->layers[node - real->nodes];
	struct fuse_loss loss = {.files = 0};
	bool tore = layer && fuse_layer_crashes(layer);

	if (layer && fuse_layer_crash(layer, &loss, e))
		return -1;
	/* A write of which nothing is there was torn, too. */
	real->writes_torn += tore && loss.torn == 0 ? 1 : loss.torn;
	return 0;
}

/* A write was torn, or a hanging operation has waited for its time. */
void disks_look(struct real *real, struct fault_state *fault)
{
	struct fuse_layer *layer = layer_of(real, &fault->effect.entity);
	struct node *node =
		real_node(real, fault->effect.entity.site, (uint32_t)fault->effect.entity.index);
	struct error error = {.kind = ERROR_NONE};

	if (fault->renew <= real_now(real)) {
		fault->renew = real_now(real) + RENEW;
		fuse_layer_renew(layer, fault->layer_fault);
	}
	if (fault->effect.kind == EFFECT_DISK_HANG && fault->due <= real_now(real)) {
		/* The driver of the disk gives up: from now on it fails. */
		struct fuse_fault fails = fault_of(&fault->effect, &real->arena);
		fails.kind = FUSE_FAULT_ERRNO;
		fails.lease = LEASE;
		fault->due = NANOS_NEVER;
		fuse_layer_set(layer, &fails, &fault->layer_fault, &error);
	}
	if (fault->crashed || !fuse_layer_crashes(layer))
		return;
	fault->crashed = true;
	node->down = true;
	machine_kill(node->machine, &error);
	disks_crash(real, node, &error);
}

/* ---- seen from outside ---- */

/* What a fault did to operations of the programs, which may be others than those of a look. */
static void add_counts(const struct real *real, const struct fuse_layer *layer,
		       const struct disk_trial *look, struct reading *ret)
{
	for (size_t i = 0; i < real->fault_count; i++) {
		const struct fault_state *fault = &real->faults[i];
		struct fuse_counts counts;
		if (!fault->used || fault->layer_fault == 0 ||
		    layer_of(real, &fault->effect.entity) != layer)
			continue;
		fuse_layer_counts(layer, fault->layer_fault, &counts);
		/* Who forgets has nothing to do before the crash. */
		ret->disks_unsynced +=
			fault->effect.kind == EFFECT_FS_UNSYNCED && counts.matched > 0;
		if (counts.acted == 0)
			continue;
		if (fault->effect.kind == EFFECT_IO_ERROR)
			ret->io_failing_ppm = (uint32_t)((double)counts.acted * EFFECT_PPM /
							 (double)counts.matched);
		if (fault->effect.kind == EFFECT_IO_LATENCY)
			ret->io_added = look->slowest > counts.delayed / (nanos)counts.acted
						? look->slowest
						: counts.delayed / (nanos)counts.acted;
	}
}

bool disks_read(struct real *real, const struct entity *entity, struct reading *ret)
{
	const struct fuse_layer *layer = layer_of(real, entity);
	struct error error = {.kind = ERROR_NONE};
	struct disk_trial look = {.operations = 0};

	if (!layer)
		return false;
	ret->writes_torn = real->writes_torn;
	/* A write of the look's own must not be the one that is torn. */
	if (!(real->about & ~EFFECTS_THAT_TEAR))
		return true;
	if (disk_try(fuse_layer_above(layer), LOOK_PATIENCE, &look, &error))
		return false;
	ret->disks = 1;
	ret->disks_failing = look.fails && look.unreadable == look.blocks;
	ret->disks_readonly = look.readonly;
	ret->disks_hanging = look.hangs;
	ret->disk_rate = readings_steady(
		&real->disk_rate[real->first_node[entity->site] + (uint32_t)entity->index],
		look.rate);
	if (look.blocks > 0)
		ret->bad_blocks_ppm =
			(uint32_t)((uint64_t)look.unreadable * EFFECT_PPM / look.blocks);
	add_counts(real, layer, &look, ret);
	return true;
}

/* ---- inodes ---- */

static void inode_folder(struct real *real, const struct fault_state *fault, char *path,
			 size_t room)
{
	snprintf(path, room, "%s/.drsim-inodes-%u",
		 copies_site_folder(real->copies, fault->effect.entity.site),
		 fault->effect.injection);
}

/* On the volume of a site, which is a mount of this drill: whatever happens they go with it. */
int inodes_fill(struct real *real, struct fault_state *fault, struct error *e)
{
	char folder[COPIES_PATH_MAX], path[COPIES_PATH_MAX + 32];
	struct statvfs space;

	if (fault->effect.entity.kind != ENTITY_NODE || !real->volumes[fault->effect.entity.site])
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "its storage is no volume of limited size on this host");
	inode_folder(real, fault, folder, sizeof(folder));
	if (mkdir(folder, 0700) || statvfs(folder, &space))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot make %s: %s", folder,
				 strerror(errno));
	double keep = (double)space.f_files * (double)fault->effect.amount / EFFECT_PPM;
	for (fault->inodes_taken = 0; (double)fault->inodes_taken + keep < (double)space.f_favail;
	     fault->inodes_taken++) {
		snprintf(path, sizeof(path), "%s/%u", folder, fault->inodes_taken);
		int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 && errno == ENOSPC)
			break;
		if (fd < 0)
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot make %s: %s", path,
					 strerror(errno));
		close(fd);
	}
	return 0;
}

int inodes_free(struct real *real, struct fault_state *fault, struct error *e)
{
	char folder[COPIES_PATH_MAX], path[COPIES_PATH_MAX + 32];

	inode_folder(real, fault, folder, sizeof(folder));
	for (uint32_t i = 0; i < fault->inodes_taken; i++) {
		snprintf(path, sizeof(path), "%s/%u", folder, i);
		if (unlink(path) && errno != ENOENT)
			return error_set(e, ERROR_IO, NO_PLACE, "cannot remove %s: %s", path,
					 strerror(errno));
	}
	if (rmdir(folder) && errno != ENOENT)
		return error_set(e, ERROR_IO, NO_PLACE, "cannot remove %s: %s", folder,
				 strerror(errno));
	return 0;
}

bool inodes_filled(struct real *real, const struct fault_state *fault)
{
	char folder[COPIES_PATH_MAX];

	inode_folder(real, fault, folder, sizeof(folder));
	return access(folder, F_OK) == 0;
}
