/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data of a drill, as real files: each site has a folder for each data class; the primary's
 * grow while it serves, replication carries them to the standbys that hold them, restores and the
 * way back bring them from one site to another.
 *
 *   SITE/data/model/ENDPOINT.weights   what replicas load; never changes
 *   SITE/data/training/base, feed      as large as declared; grows by whole blocks of BLOCK bytes
 *   SITE/data/io/base, REPLICA.log     as large as declared; the I/O logs of the replicas
 *   SITE/data/CLASS/SERVICE/…          what a user's own server keeps
 *   SITE/fence                         while it is there, no write is acknowledged at the site
 *   SITE/ready-CLASS                   the class is there to be served from
 */
#ifndef DRIVERS_PROCESS_COPIES_H
#define DRIVERS_PROCESS_COPIES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/scenario.h"

#define COPIES_PATH_MAX 1024
#define COPIES_BLOCK 64       /* bytes of one block of training data, its number and CRC included */
#define COPIES_FILES_MAX 1024 /* of one class at one site */

struct copies;

struct copies_config {
	const struct scenario *scenario; /* scaled */
	const char *folder;              /* FOLDER/SITE exists for every site */
	uint64_t seed;
	nanos (*now)(void *self); /* the drill's clock */
	/* Do packets come through from one site to another? Any thread. */
	bool (*reaches)(void *self, uint32_t from, uint32_t to);
	void *self;
};

/* Makes the files that every site has at time 0. Memory and file handles until copies_close(). */
int copies_open(const struct copies_config *config, struct copies **ret_copies, struct error *e);
/* Replication and growing training data, from now until copies_close(). */
int copies_start(struct copies *copies, struct error *e);
void copies_close(struct copies *copies);

/* SHA-256 of an endpoint's weights as they were released. */
const uint8_t *copies_weights_digest(const struct copies *copies, uint32_t endpoint);
/* SITE, where the fence and the ready files are. */
const char *copies_site_folder(const struct copies *copies, uint32_t site);

/* SITE/data/CLASS; `path` has room for COPIES_PATH_MAX. */
const char *copies_class_folder(const struct copies *copies, uint32_t site,
				enum data_class data_class, char *path);
/* Bytes of the files of a class at a site. */
uint64_t copies_bytes(struct copies *copies, uint32_t site, enum data_class data_class);
/* Without power nothing of a site can be read or written, and replication stands still. */
void copies_power(struct copies *copies, uint32_t site, bool on);
bool copies_is_off(struct copies *copies, uint32_t site);
/* The site that writes: its data are what is replicated, and what grows. */
uint32_t copies_source(struct copies *copies);
void copies_set_source(struct copies *copies, uint32_t site);

/* Growth and replication stand still, so that files can be put in order; false: they go on. */
void copies_pause(struct copies *copies, bool on);
/* What a class of the source looks like is not written down while its files are cut or away by a
 * fault: its history is of what it should have. Calls with true and false belong together. */
void copies_forget_now(struct copies *copies, enum data_class data_class, bool on);

/* A fence that every process of the site sees before it acknowledges. */
int copies_fence(struct copies *copies, uint32_t site, bool on, struct error *e);
bool copies_fenced(struct copies *copies, uint32_t site);
int copies_mark_ready(struct copies *copies, uint32_t site, enum data_class data_class, bool ready,
		      struct error *e);

bool copies_is_ready(struct copies *copies, uint32_t site, enum data_class data_class);

/* Replication to `site` ends: its copies are its own from now on. Returns as of when they are. */
nanos copies_promote(struct copies *copies, uint32_t site, enum data_class data_class);
/* `site` is a standby again: it gets what the source has, as at time 0. */
int copies_resume(struct copies *copies, uint32_t site, struct error *e);

/*
 * Makes the class at `to` what it is at `from`: changed, missing and surplus files. `tail`: only
 * files that grew there, nothing is taken away; what `to` wrote itself stays. Adds the bytes copied
 * to *ret_bytes. Fails when one of them is off.
 */
int copies_mirror(struct copies *copies, uint32_t from, uint32_t to, enum data_class data_class,
		  bool tail, uint64_t *ret_bytes, struct error *e);

/* Makes one folder of the class at `to` what it is at `from`. Nobody may be writing it. */
int copies_mirror_folder(struct copies *copies, uint32_t from, uint32_t to,
			 enum data_class data_class, const char *folder, struct error *e);

/* Bytes of training data written at a site in (from, to]; when the last of them was, 0: none. */
uint64_t copies_fed(struct copies *copies, uint32_t site, nanos from, nanos to);
nanos copies_last_fed(struct copies *copies, uint32_t site);
/* They grow while the service works that they belong to, and not at a site that is fenced. */
void copies_feed(struct copies *copies, bool on);

/* What a look at the files of a class says: copies whose content is not what was written. */
struct copies_look {
	uint64_t bytes, mismatches;
	uint32_t missing, unreadable;
	nanos older; /* by which training data and logs end earlier than was acknowledged */
};
void copies_look(struct copies *copies, uint32_t site, enum data_class data_class,
		 struct copies_look *ret);

#endif
