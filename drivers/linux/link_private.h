/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the user-space link share: calls, devices, the thread that copies. */
#ifndef DRIVERS_LINUX_LINK_PRIVATE_H
#define DRIVERS_LINUX_LINK_PRIVATE_H

#include <net/if.h>
#include <pthread.h>

#include "core/arena.h"
#include "drivers/lazy/pcap.h"
#include "drivers/linux/frame.h"
#include "drivers/linux/link.h"

#define LINK_CLASSES 9 /* of buffers: 512 bytes << class, up to 128 KiB */

struct link_rule {
	struct bpf_program program; /* no instructions: every frame */
	enum impair_direction direction;
	struct impair_config config;
	bool nothing, cuts;
};

struct link_rules {
	struct link_rule items[USER_LINK_RULES_MAX];
	size_t count;
};

/* A side of the link that frames come from. */
struct link_side {
	struct user_link *link;
	int fd; /* of its TAP device */
	enum impair_direction direction;
};

struct user_link {
	struct user_links *owner;
	bool used, has_inner;
	int catch; /* packet socket on the port while it is moved; -1: none */
	char port[IFNAMSIZ], bridge[IFNAMSIZ];
	char near[IFNAMSIZ], far[IFNAMSIZ], inner[IFNAMSIZ]; /* the TAP devices, and the bridge of
								port and near */
	struct link_side sides[IMPAIR_DIRECTIONS]; /* [IMPAIR_FROM] reads near, [IMPAIR_TO] far */
	uint64_t number;
	nanos lease, until;
	struct link_rules rules;
	struct impair impairs[USER_LINK_RULES_MAX][IMPAIR_DIRECTIONS];
	bool opened[USER_LINK_RULES_MAX];
	struct user_link_stats stats;
};

/* A frame that waits, and a buffer of the pool. */
struct link_frame {
	struct link_frame *next; /* free ones of the class */
	struct user_link *link;
	uint32_t size, class, stage;
	enum impair_direction direction;
	uint8_t bytes[];
};

struct link_waiting {
	nanos at;
	uint64_t order;
	struct link_frame *frame;
};

struct link_command {
	void (*run)(struct user_links *links, void *arg);
	void *arg;
};

struct user_links {
	struct arena arena; /* of the calls */
	int network;
	uint64_t seed;
	uint8_t *spare; /* two frames, for whoever moves a port */
	struct user_link *items[USER_LINKS_MAX];
	size_t count;

	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t done;
	struct link_command command; /* under the mutex; run NULL: none */
	int epoll, timer, bell;

	/* From here on of the thread alone. */
	bool ending;
	struct arena pool;
	struct link_frame *free[LINK_CLASSES];
	size_t pool_used; /* bytes that wait */
	struct link_waiting *waiting;
	size_t waiting_count, waiting_capacity;
	uint64_t order;
	nanos armed, lease_next;
	nanos spin_credit, spin_from;
	bool spinning;
	uint8_t *buffer;
};

/* ---- the thread ---- */
int link_engine_start(struct user_links *links, struct error *e);
void link_engine_stop(struct user_links *links);
/* Runs it in the thread, between two packets, and waits for its end. */
void link_engine_call(struct user_links *links, void (*run)(struct user_links *, void *arg),
		      void *arg);
/* In the thread: a frame that was read elsewhere. */
void link_engine_feed(struct user_links *links, struct user_link *link,
		      enum impair_direction direction, uint8_t *bytes, uint32_t size);
/* In the thread: begins and ends to read a link's sides. What waits goes on at once. */
int link_engine_add(struct user_links *links, struct user_link *link);
void link_engine_remove(struct user_links *links, struct user_link *link);
/* In the thread: when the next lease ends has changed. */
void link_engine_leases(struct user_links *links);
nanos link_now(void);

/* ---- devices ---- */
/* Makes them; the port is in the inner bridge then. On an error all is as it was. */
int link_wire_in(struct user_link *link, int network, struct error *e);
/* What the machine sent while its port was moved in, one frame at a time, up to one that is equal
 * to `stop`; 0: no more. */
ssize_t link_wire_caught(struct user_link *link, uint8_t *bytes, const uint8_t *stop,
			 ssize_t stop_size);
/* The port is in its bridge, the devices are gone. */
int link_wire_out(struct user_link *link, int network, struct error *e);
/* In a child with a namespace of its own: ERROR_UNAVAILABLE says what does not work. */
int link_wire_try(struct error *e);
/* Frames that the devices lost because nobody read them in time. */
int link_wire_overrun(const struct user_link *link, int network, uint64_t *ret_frames,
		      struct error *e);

#endif
