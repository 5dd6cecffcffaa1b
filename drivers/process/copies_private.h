/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the data of a drill, shared by data.c, copies_live.c and copies_look.c. */
#ifndef DRIVERS_PROCESS_COPIES_PRIVATE_H
#define DRIVERS_PROCESS_COPIES_PRIVATE_H

#include <pthread.h>
#include <sys/stat.h>

#include "drivers/process/copies.h"

#define COPIES_NAME_MAX 128

struct copies_file {
	char name[COPIES_NAME_MAX];
	enum data_class data_class; /* in a snapshot */
	uint64_t size;
};

/* How large the files of a class were at an instant: what replication may carry once its lag is
 * over. */
struct copies_snapshot {
	nanos at;
	struct copies_file *files;
	size_t count;
};

struct copies_site {
	char folder[COPIES_PATH_MAX];
	bool off;
	uint32_t holds; /* DATA_BIT mask: classes that replication carries here now */
	nanos reached;  /* what it holds is as of this instant */
	/* a ring: snapshots of the source that wait for the lag to be over */
	struct copies_snapshot *waiting;
	size_t first, count, capacity;
	nanos looked; /* when the last one was taken */
};

struct copies {
	struct copies_config config;
	pthread_mutex_t lock;
	struct copies_site sites[SCENARIO_SITES_MAX];
	uint8_t digests[SCENARIO_ENDPOINTS_MAX][32];
	uint32_t source;
	/* blocks of training data: when and where each was written */
	struct {
		nanos at;
		uint32_t site;
	} * fed;
	bool feeding; /* the service that it belongs to works */
	size_t fed_count, fed_capacity;
	double owed; /* bytes of training data that are due, but no whole block yet */
	nanos fed_at;
	/* what the source had, over time */
	struct copies_snapshot *history;
	size_t history_count, history_capacity;
	uint32_t unwritten[DATA_CLASSES]; /* faults that the history must not show */
	bool paused;
	bool running, stop;
	pthread_t thread;
};

void copies_block_make(const struct copies *copies, uint64_t stream, uint64_t number,
		       uint8_t block[COPIES_BLOCK]);
uint64_t copies_stream_of(enum data_class data_class, const char *name);
/* How large a file of the source was then; 0: it was not there. */
uint64_t copies_size_at(struct copies *copies, enum data_class data_class, const char *name,
			nanos at);
/* By how much content of so many bytes is older than the source was: since when it has more. */
nanos copies_older(struct copies *copies, enum data_class data_class, uint64_t bytes, nanos now);
/* Does a line of an I/O log, without its end, hold what was written? */
bool copies_record_right(const char *line, size_t length);
/* The regular files of a folder and of those in it, in no order; names as "redis/dump.rdb". */
size_t copies_list(const char *folder, struct copies_file *files, size_t max);
/* Is it a file that a service of the user's keeps? Nobody knows what is right in it. */
bool copies_is_foreign(const char *name);
/* The folders of a name as copies_list() gives it. */
int copies_make_parents(const char *folder, const char *name, struct error *e);
/* Bytes [at, end) of a file into another at the same place; `truncate`: what is behind `at` there
 * goes first. */
int copies_copy_range(const char *from, const char *to, uint64_t at, uint64_t end, bool truncate,
		      struct error *e);

#endif
