/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the faults of a layer say to one operation: which it is in the reach of, whose turn it is,
 * what it costs. Knows nothing of FUSE; owned by the thread that serves the layer.
 */
#ifndef DRIVERS_LINUX_FUSE_FAULTS_H
#define DRIVERS_LINUX_FUSE_FAULTS_H

#include <stdatomic.h>

#include "core/prng.h"
#include "drivers/linux/fuse.h"

#define FUSE_BLOCK ((uint64_t)4096)

/* Read by any thread. */
struct fuse_tally {
	_Atomic uint64_t matched, acted, bits;
	_Atomic nanos delayed;
};

/* A fault as the serving thread has it. */
struct fuse_rule {
	uint32_t number;          /* 0: none */
	struct fuse_fault fault;  /* its path is the next */
	char path[FUSE_PATH_MAX]; /* "": all */
	uint32_t methods;
	struct fuse_tally *tally;
	struct prng prng;
	uint64_t turns;                    /* operations that matched */
	nanos bytes_free, operations_free; /* when the bucket is empty of debts */
	uint64_t sequence, in_sequence;    /* torn: of writes; how many of this one */
};

struct fuse_rules {
	uint64_t seed;
	uint32_t standing;      /* bits of the slots that stand */
	uint32_t reads, tracks; /* those of them that flip bits, and that need what was synced */
	struct fuse_rule slots[FUSE_FAULTS_MAX];
};

struct fuse_operation {
	enum fuse_method method;
	bool writes;    /* changes something */
	uint32_t paths; /* bits of the slots whose path it is */
	uint64_t offset, size;
	nanos now;
};

struct fuse_verdict {
	int error;      /* an errno, 0: none */
	nanos wait;     /* before it is done, or fails */
	uint32_t hangs; /* bits of the slots that hold it */
};

/* Does the fault make sense? */
int fuse_fault_check(const struct fuse_fault *fault, struct error *e);
bool fuse_path_matches(const char *pattern, const char *path);

/* Puts a fault into a slot, or changes it; its random numbers go on when the number is the same. */
void fuse_rules_put(struct fuse_rules *rules, size_t slot, uint32_t number,
		    const struct fuse_fault *fault, struct fuse_tally *tally);
void fuse_rules_drop(struct fuse_rules *rules, size_t slot);
/* Bits of the slots whose path this is; other: a second name, of a rename; NULL: none. */
uint32_t fuse_rules_paths(const struct fuse_rules *rules, const char *path, const char *other);
/* What befalls it before it is done. Counts. */
struct fuse_verdict fuse_rules_decide(struct fuse_rules *rules,
				      const struct fuse_operation *operation);
/* Flips bits of what was read at `offset` of a file; `file`: fuse_path_hash(). */
void fuse_rules_flip(struct fuse_rules *rules, uint32_t paths, uint64_t file, uint64_t offset,
		     unsigned char *bytes, size_t size);
uint64_t fuse_path_hash(const char *path);

/* Is it this rule's turn, of those that match? Counts it as matched. */
bool fuse_rule_turn(struct fuse_rule *rule);
void fuse_rule_acted(struct fuse_rule *rule);

/*
 * The ranges of a torn write of `size` bytes that persist, in the order of the fault's `persist`;
 * returns how many. Offsets from the beginning of the write.
 */
size_t fuse_torn_parts(const struct fuse_fault *fault, uint64_t size,
		       struct fuse_range ret[FUSE_PARTS_MAX]);

#endif
