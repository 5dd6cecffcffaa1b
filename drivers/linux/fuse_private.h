/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of a layer share: its state, its nodes, its operations. */
#ifndef DRIVERS_LINUX_FUSE_PRIVATE_H
#define DRIVERS_LINUX_FUSE_PRIVATE_H

#include <dirent.h>
#include <pthread.h>

#include "drivers/lazy/fuse.h"
#include "drivers/linux/fuse.h"
#include "drivers/linux/fuse_faults.h"
#include "drivers/linux/fuse_lost.h"

#define FUSE_LINE_MAX 64

/* ---- nodes: what the kernel knows by a number ---- */

struct fuse_node {
	struct fuse_ident ident;
	struct fuse_node *next; /* in its bucket */
	struct fuse_node *parent;
	char *name;
	uint64_t lookups;                /* the kernel's */
	uint64_t children;               /* nodes whose parent it is */
	int fd;                          /* O_PATH; -1: closed, it can be found again by its name */
	bool gone;                       /* has no name any more: its descriptor stays open */
	struct fuse_node *newer, *older; /* of those with a descriptor that may be closed */
	uint64_t epoch;                  /* of what follows */
	uint32_t paths;                  /* bits of the faults whose path it is */
	uint64_t hash;                   /* of its path */
};

struct fuse_nodes {
	struct fuse_node root;
	struct fuse_node **buckets;
	size_t bucket_count, count;
	struct fuse_node *newest, *oldest;
	size_t open_count, open_max;
	uint64_t epoch; /* goes up when paths or faults change */
};

int nodes_open(struct fuse_nodes *nodes, int below);
void nodes_close(struct fuse_nodes *nodes);
struct fuse_node *nodes_at(struct fuse_nodes *nodes, uint64_t number);
uint64_t nodes_number(const struct fuse_nodes *nodes, const struct fuse_node *node);
/* Finds or makes the node of a name in a folder, and counts a lookup. An errno. */
int nodes_lookup(struct fuse_nodes *nodes, struct fuse_node *parent, const char *name,
		 struct stat *ret_status, struct fuse_node **ret);
void nodes_forget(struct fuse_nodes *nodes, struct fuse_node *node, uint64_t lookups);
/* Its O_PATH descriptor, which stays the node's; -1 with errno. */
int nodes_fd(struct fuse_nodes *nodes, struct fuse_node *node);
/* A name is about to go: what has it must not lose its descriptor. */
void nodes_unname(struct fuse_nodes *nodes, struct fuse_node *parent, const char *name);
/* A name was given to what has it now. */
void nodes_renamed(struct fuse_nodes *nodes, struct fuse_node *parent, const char *name);
/* The path from the root, without a slash at its beginning. false: too long. */
bool nodes_path(const struct fuse_nodes *nodes, const struct fuse_node *node, const char *name,
		char ret[FUSE_PATH_MAX]);

/* ---- what is open ---- */

struct fuse_handle {
	struct fuse_handle *next, **at; /* of all that are */
	struct fuse_node *node;
	int fd;
	bool mapped; /* goes through the page cache */
	/* Of a folder: */
	DIR *dir; /* has the descriptor; NULL: a file */
	off_t place;
	struct dirent *entry; /* read, and not given away yet */
};

/* ---- operations that wait ---- */

struct fuse_held {
	struct fuse_held *next;
	nanos due;        /* when nothing holds it */
	uint32_t hangs;   /* bits of the faults that hold it */
	int error;        /* it fails with this then; 0: it is done */
	bool interrupted; /* its program got a signal: SIGKILL? */
	size_t size;
	unsigned char bytes[];
};

/* ---- a layer ---- */

enum fuse_order {
	FUSE_ORDER_NONE,
	FUSE_ORDER_CRASH,
	FUSE_ORDER_STOP
};

struct fuse_slot {
	uint32_t number;
	bool stands;
	struct fuse_fault fault; /* its path is the next */
	char path[FUSE_PATH_MAX];
	uint64_t change; /* the layer's generation when it was put in or changed */
	struct fuse_tally tally;
	_Atomic nanos renewed;
};

/* The crash that a torn write brings: what of it persists. */
struct fuse_torn {
	int fd; /* of the file; -1: none */
	struct fuse_torn_part {
		uint64_t offset;
		size_t size;
		unsigned char *bytes;
	} parts[FUSE_PARTS_MAX];
	size_t count;
};

struct fuse_layer {
	struct arena *arena;
	const char *name, *mapped;
	int below, device, context, mount, wake, wanted;
	char below_path[FUSE_LINE_MAX], above_path[FUSE_LINE_MAX], options[256];
	pthread_t thread;
	bool has_thread, mounted;
	const char *mounted_at;
	struct journal *journal;
	uint64_t unmount_record;

	/* Between the threads. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct fuse_slot slots[FUSE_FAULTS_MAX];
	uint32_t numbers;
	_Atomic uint64_t generation; /* of the faults that are wanted */
	uint64_t adopted;            /* of those that are in force */
	enum fuse_order order;
	struct fuse_loss loss; /* of the last crash */
	bool ready, ended;
	struct error failure; /* of the thread */
	_Atomic bool crashes;
	_Atomic uint32_t held_count;
	_Atomic uint64_t operations[FUSE_METHODS];

	/* The serving thread's own. */
	struct fuse_session *session;
	struct fuse_nodes nodes;
	struct fuse_rules rules;
	struct fuse_lost lost;
	struct fuse_torn torn;
	struct fuse_held *held;
	struct fuse_handle *handles;
	uint64_t seen; /* generation */
	unsigned char *buffer, *answer;
	size_t buffer_size;
	uint32_t user, group;
};

/* Makes the session and the superblock, by the thread that is to serve it. */
int fuse_layer_begin(struct fuse_layer *layer, struct error *e);

/* ---- fuse_serve.c ---- */
void *fuse_serve(void *layer);
/* Bits of the faults whose path this node, or this name in it, is. */
uint32_t fuse_paths_of(struct fuse_layer *layer, struct fuse_node *node, const char *name);

/* ---- fuse_ops.c, fuse_files.c ---- */
extern const struct fuse_lowlevel_ops fuse_operations;

struct fuse_layer *fuse_of(fuse_req_t request);
struct fuse_handle *fuse_handle_of(const struct fuse_file_info *info);
/* A handle that info carries from now on, for an open descriptor, or a folder, which it takes over;
 * NULL: no memory. */
struct fuse_handle *fuse_handle_open(struct fuse_layer *layer, int fd, DIR *dir,
				     struct fuse_file_info *info);
void fuse_handle_close(struct fuse_handle *handle);
void files_open(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info);
void files_create(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode,
		  struct fuse_file_info *info);
void files_read(fuse_req_t request, fuse_ino_t number, size_t size, off_t offset,
		struct fuse_file_info *info);
void files_write(fuse_req_t request, fuse_ino_t number, const char *bytes, size_t size,
		 off_t offset, struct fuse_file_info *info);
void files_fsync(fuse_req_t request, fuse_ino_t number, int datasync, struct fuse_file_info *info);
void files_release(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info);
void files_allocate(fuse_req_t request, fuse_ino_t number, int mode, off_t offset, off_t length,
		    struct fuse_file_info *info);
void files_seek(fuse_req_t request, fuse_ino_t number, off_t offset, int whence,
		struct fuse_file_info *info);
/* An errno. */
int files_truncate(struct fuse_layer *layer, struct fuse_node *node, off_t size,
		   const struct fuse_file_info *info);
/* Opens what a node is, by the descriptor that it has. */
int files_reopen(struct fuse_layer *layer, struct fuse_node *node, int flags);

/* Do names with these paths wait for a sync? Counts. */
bool fuse_tracks_names(struct fuse_layer *layer, uint32_t paths);
/* Syncs a file or folder with these paths, and what is kept of it. An errno. */
int fuse_sync(struct fuse_layer *layer, uint32_t paths, int fd, bool data_only);

/* What is kept of torn writes is thrown away, or written. */
void torn_forget(struct fuse_torn *torn);
void torn_persist(struct fuse_torn *torn, struct fuse_loss *ret);
/* A write to a file whose paths these are. true: the crash comes with it. */
bool torn_write(struct fuse_layer *layer, uint32_t paths, int fd, const unsigned char *bytes,
		size_t size, uint64_t offset);
/* A sequence of writes ends. */
void torn_synced(struct fuse_layer *layer, uint32_t paths);

#endif
