/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer over a folder, by FUSE: passes everything through to the folder below and breaks what it
 * is told to. Nothing is cached, so that every operation of a program is one that can be broken.
 *
 * The superblock is made here, and mounted by whoever is to see it: by machines at their birth (the
 * mount of fuse_layer_machine() in struct machine_config), all of them the same one; or over a
 * folder of this host (fuse_layer_mount()). The folder below is reached by a descriptor that was
 * opened before, so that no file opened through the layer escapes it.
 *
 * One thread of ours serves a layer. When this process dies the kernel ends the connection: those
 * who wait and all later calls get ENOTCONN (ECONNABORTED), nobody waits for good, and what was
 * written is in the folder below, synced or not. In a machine the mount goes with its namespace.
 * On the host UNDO_UNMOUNT stands in the journal before. While this process is stopped its users
 * wait: see fuse_layer_abort(). A process that is forked from this one and runs no other program
 * holds the connection too: it must close all that it inherits, or die with this one.
 *
 * Never go through the layer with the process that serves it: use fuse_layer_below(). A process
 * that hangs in a held operation ends on SIGKILL, but cannot be frozen by the cgroup freezer.
 *
 * Threads: any thread may call; one at a time opens and closes.
 */
#ifndef DRIVERS_LINUX_FUSE_H
#define DRIVERS_LINUX_FUSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/error.h"
#include "drivers/host/journal.h"
#include "drivers/host/machine.h"

#define FUSE_FAULTS_MAX 32 /* at a time on one layer */
#define FUSE_RANGES_MAX 64
#define FUSE_PARTS_MAX 64
#define FUSE_BITS_MAX 64
#define FUSE_PATH_MAX 1024                    /* of a pattern, and of what it is compared with */
#define FUSE_UNSYNCED_MAX ((size_t)256 << 20) /* bytes kept to take back what was not synced */
#define FUSE_UNSYNCED_FILES_MAX 512
#define FUSE_UNSYNCED_NAMES_MAX 4096
#define FUSE_HELD_MAX 4096 /* operations that wait at a time; the next fails with EIO */

/* ---- a layer ---- */

struct fuse_layer_config {
	const char *name; /* for messages and in /proc/mounts: "drsim-RUN" */
	/* The folder below: a path, or when it is NULL a descriptor (disk_make()), which the
	 * layer takes over. */
	const char *below;
	int below_fd;
	/*
	 * Files whose name (without folders) fits this glob go through the page cache, since
	 * without it they cannot be mapped shared; their reads are broken only when they are not
	 * cached. NULL: "*-shm", the wal-index of SQLite. "*": all.
	 */
	const char *mapped;
	uint64_t seed;
	int cpu; /* that the serving thread stays on; -1: any */
};

struct fuse_layer;

/* Can this host do it? Tried for real in a child, with a folder that nobody else sees; changes
 * nothing. *ret_why, when it returns false: why not, in words. */
bool fuse_layer_probe(struct arena *arena, const char **ret_why);

/*
 * Makes the layer and starts its thread; it is mounted nowhere yet. After machines_open(), which
 * may enter a user namespace. ERROR_UNAVAILABLE: no libfuse3, no /dev/fuse, or no right. The layer
 * belongs to the arena; its descriptors and its thread end with fuse_layer_close().
 */
int fuse_layer_open(const struct fuse_layer_config *config, struct arena *arena,
		    struct fuse_layer **ret_layer, struct error *e);
/* What is held is let go with an error; all mounts of it are dead after. Takes off what
 * fuse_layer_mount() put on. */
int fuse_layer_close(struct fuse_layer *layer, struct error *e);

/* The serving thread stays on this processor from now on; -1: on any. */
int fuse_layer_pin(struct fuse_layer *layer, int cpu, struct error *e);

/* "/proc/PID/fd/N": the folder below, for this process. */
const char *fuse_layer_below(const struct fuse_layer *layer);
/* "/proc/PID/fd/N": the folder through the layer, mounted nowhere; for tests and probes. */
const char *fuse_layer_above(const struct fuse_layer *layer);

/* The mount that puts the layer at `path` into a machine: for struct machine_config, with all but
 * the path filled in after machines_open() when that may enter a user namespace. */
struct machine_mount fuse_layer_machine(const struct fuse_layer *layer, const char *path);

/*
 * Mounts it over a folder of this process's mount namespace; the record UNDO_UNMOUNT is in the
 * journal before. `path` is usually the folder below itself. Once a layer.
 */
int fuse_layer_mount(struct fuse_layer *layer, const char *path, struct journal *journal,
		     struct error *e);

/*
 * Ends the connection from outside, through /sys/fs/fuse/connections: for a layer whose process is
 * stopped. `device`: st_dev of anything on it. Everyone who waits gets an error. Needs root.
 */
int fuse_layer_abort(uint64_t device, struct error *e);

/* ---- faults ---- */

/* What a program asks for. An open with O_TRUNC is OPEN and TRUNCATE. */
enum fuse_method {
	FUSE_ON_LOOKUP, /* a name in a path */
	FUSE_ON_GETATTR,
	FUSE_ON_SETATTR, /* chmod, chown, utimens */
	FUSE_ON_TRUNCATE,
	FUSE_ON_OPEN, /* of a file that is there */
	FUSE_ON_CREATE,
	FUSE_ON_READ,
	FUSE_ON_WRITE,
	FUSE_ON_FSYNC, /* fdatasync and fsync of a folder too */
	FUSE_ON_ALLOCATE,
	FUSE_ON_UNLINK,
	FUSE_ON_RENAME,
	FUSE_ON_MKDIR,
	FUSE_ON_RMDIR,
	FUSE_ON_LINK,
	FUSE_ON_SYMLINK,
	FUSE_ON_READLINK,
	FUSE_ON_MKNOD,
	FUSE_ON_READDIR, /* opendir too */
	FUSE_ON_STATFS,
	FUSE_ON_XATTR,
	FUSE_ON_OTHER, /* lseek for data and holes, access */
	FUSE_METHODS
};
extern const char *const fuse_method_names[FUSE_METHODS]; /* "lookup", "getattr", … */
#define FUSE_METHOD_BIT(method) (1u << (method))
#define FUSE_METHODS_ALL (FUSE_METHOD_BIT(FUSE_METHODS) - 1)

enum fuse_fault_kind {
	FUSE_FAULT_ERRNO,      /* io.errno, disk.error: fails with `error`, and is not done */
	FUSE_FAULT_LATENCY,    /* io.latency, disk.delay: waits time ± jitter (uniform) before */
	FUSE_FAULT_THROTTLE,   /* disk.throttle: one token bucket for all operations it matches */
	FUSE_FAULT_READONLY,   /* disk.readonly: EROFS on everything that writes */
	FUSE_FAULT_HANG,       /* disk.hang: waits until the fault ends */
	FUSE_FAULT_BADBLOCKS,  /* disk.badblocks: EIO on reads and writes that touch the ranges */
	FUSE_FAULT_BITFLIP,    /* data.bitflip: what is read has flipped bits; the file has not */
	FUSE_FAULT_LOST_FSYNC, /* fs.lost_fsync: see fuse_layer_crash() */
	FUSE_FAULT_TORN_OP,    /* fs.torn_op: one write persists in parts, then the crash comes */
	FUSE_FAULT_TORN_SEQ,   /* fs.torn_seq: some writes of a sequence persist, then the crash */
	FUSE_FAULT_KINDS
};
extern const char *const fuse_fault_names[FUSE_FAULT_KINDS]; /* "io.errno", … */

struct fuse_range {
	uint64_t offset, size;
};

/* Zero means "none" or "all" everywhere. */
struct fuse_fault {
	enum fuse_fault_kind kind;
	uint32_t methods; /* bits; 0: all that the kind can hit */
	/* Against the path from the layer's root, without a slash at its beginning: with one of
	 * "*?[" a glob, whose * takes slashes too; else that file, or all in that folder. Of
	 * several names a file has the one that was looked up last. */
	const char *path;
	double probability;         /* of each operation that matches; 0: always */
	uint64_t first, last, step; /* only these of those that match, from 1: first..last+step */
	nanos lease;                /* ends by itself when nobody renews it for so long */

	int error;                                      /* ERRNO */
	nanos time, jitter;                             /* LATENCY */
	double bytes_per_second, operations_per_second; /* THROTTLE; bytes of reads and writes */
	struct fuse_range ranges[FUSE_RANGES_MAX];      /* BADBLOCKS: of each file that matches */
	size_t range_count;
	/* BITFLIP: in each 4 KiB block that is hit (probability), by seed, path and block: whoever
	 * reads it again sees the same. */
	uint32_t bits;

	/* LOST_FSYNC */
	bool fsync_lies;   /* fsync returns 0 and nothing is synced */
	bool names_follow; /* an fsync of any file syncs all names too, as journaling file systems
			      do; else names wait for the fsync of their folder (POSIX) */
	bool data_only;    /* names are synced at once */

	/*
	 * TORN_OP: the occurrence-th write is cut into `part_count` equal parts, or into those of
	 * `parts_bytes` (what is left over is one part more). TORN_SEQ: the occurrence-th sequence
	 * of writes to a file without an fsync between. `persist`: which parts or writes of it,
	 * counted from 1; in TORN_SEQ the last of them brings the crash. Of what came before only
	 * what was synced, or written before the fault began, is there after the crash.
	 */
	uint64_t occurrence; /* 0: the first */
	uint32_t part_count;
	uint64_t parts_bytes[FUSE_PARTS_MAX];
	uint32_t persist[FUSE_PARTS_MAX], persist_count;
};

/* What it did so far. It may be read after the end too, until the number is given out again. */
struct fuse_counts {
	uint64_t matched; /* operations that it could have hit; LOST_FSYNC: that need a sync */
	/* That it hit: failed, delayed, held, read with flipped bits, torn. LOST_FSYNC: files and
	 * names that crashes took back, and syncs that lied. */
	uint64_t acted;
	uint64_t bits; /* BITFLIP: flipped ones that were read */
	nanos delayed; /* LATENCY, THROTTLE: in all */
};

/*
 * Begins a fault, or with *number > 0 changes that one while it stands (or begins it again under
 * its number): its counters go on. When it returns 0 the next operation sees it. ERROR_USAGE: makes
 * no sense; ERROR_LIMIT: too many at a time.
 */
int fuse_layer_set(struct fuse_layer *layer, const struct fuse_fault *fault, uint32_t *number,
		   struct error *e);
/* Ends it: operations that it holds go on, and no later one sees it. Nothing when it has ended. */
int fuse_layer_end(struct fuse_layer *layer, uint32_t number, struct error *e);
/* Its lease begins anew. Nothing when it has ended. */
void fuse_layer_renew(struct fuse_layer *layer, uint32_t number);
bool fuse_layer_stands(const struct fuse_layer *layer, uint32_t number);
void fuse_layer_counts(const struct fuse_layer *layer, uint32_t number, struct fuse_counts *ret);
/* Operations of this kind that were asked for since the layer is open. */
uint64_t fuse_layer_operations(const struct fuse_layer *layer, enum fuse_method method);
/* Operations that wait now. */
uint32_t fuse_layer_held(const struct fuse_layer *layer);

/* ---- the crash ---- */

struct fuse_loss {
	uint64_t files, bytes; /* whose content went back, and how much of it was gone */
	uint64_t names;        /* creations, removals and renames taken back */
	uint64_t torn;         /* parts or writes that persisted of what was torn */
	uint64_t written_back; /* files and names that were over a limit, and count as synced */
};

/*
 * The power fails: with LOST_FSYNC, TORN_OP or TORN_SEQ in force the folder below goes back to what
 * was synced (written before the fault began: counts as synced). Held operations fail with EIO.
 * Kill the programs before: what they do after is done to the folder as it is then.
 *
 * Content is synced by fsync, fdatasync, O_SYNC and O_DSYNC; names by the fsync of their folder.
 * Attributes (mode, owner, times, extended ones) are never lost. The kernel tells a FUSE server
 * nothing of sync(2) and syncfs(2): they sync nothing here.
 */
int fuse_layer_crash(struct fuse_layer *layer, struct fuse_loss *ret, struct error *e);
/* A torn write was met: all operations wait for the kill of the programs and fuse_layer_crash(). */
bool fuse_layer_crashes(const struct fuse_layer *layer);
/* Readable as soon as that is so; it stays the layer's. */
int fuse_layer_crash_fd(const struct fuse_layer *layer);

#endif
