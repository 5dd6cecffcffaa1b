/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger: what became of every write. A write has a sequence number (from 0), a key, an epoch,
 * a payload that follows from seed and sequence number, and the CRC-32C of it. Only a write that
 * was acknowledged can be lost; one of unknown fate may be there or not; one that was never sent
 * and is there all the same is corruption.
 *
 * One thread writes, others count: every function locks for itself, and for a short time only.
 */
#ifndef DRIVERS_HOST_LEDGER_H
#define DRIVERS_HOST_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/clock.h"
#include "core/error.h"

#define LEDGER_RECORDS_MAX ((uint64_t)1 << 26)
#define LEDGER_PAYLOAD_MAX ((size_t)64 << 10)
#define LEDGER_SITES_MAX 64
#define LEDGER_REPLICAS_MAX 4096 /* distinct ids in acknowledgements */
#define LEDGER_NAME_MAX 128      /* of a replica or a site */
#define LEDGER_KEY_MAX 16        /* text of a key, with its NUL */
#define LEDGER_NO_SITE UINT8_MAX /* acknowledged without a site that is known */
#define LEDGER_ALL_SITES UINT32_MAX

enum ledger_state {
	LEDGER_UNSENT,  /* never handed to the network */
	LEDGER_OK,      /* acknowledged */
	LEDGER_FAIL,    /* refused: the target said that it did not take it */
	LEDGER_UNKNOWN, /* sent, but nobody said what became of it */
	LEDGER_STATES
};
extern const char *const ledger_state_names[LEDGER_STATES]; /* "unsent", "ok", "fail", "unknown" */

/* Of an acknowledged write, after a read-back. */
enum ledger_verdict {
	LEDGER_UNREAD, /* not read back (yet) */
	LEDGER_INTACT,
	LEDGER_LOST,    /* not there */
	LEDGER_STALE,   /* in its place stands an older write, whole: of an earlier sequence number
			   or epoch */
	LEDGER_ALTERED, /* there, but with other bytes */
	LEDGER_VERDICTS
};
extern const char *const ledger_verdict_names[LEDGER_VERDICTS];

struct ledger_config {
	uint64_t seed;
	uint64_t stream;          /* tells ledgers of one seed apart: the endpoint's number */
	double payload_bytes;     /* per record: record k carries floor((k+1) b) - floor(k b) */
	uint32_t keys;            /* writes go to so many keys; 0: one key for each write */
	const char *const *sites; /* names, as acknowledgements give them; their order is the id */
	size_t site_count;
};

/* One write as it goes out. */
struct ledger_write {
	uint64_t sequence;
	uint32_t epoch, crc;
	char key[LEDGER_KEY_MAX];
	size_t length; /* of the payload */
};

/* One record that a target has. */
struct ledger_found {
	uint64_t sequence; /* the place where it was looked for or found */
	uint64_t inner;    /* the sequence number that the record itself gives */
	uint32_t epoch, crc;
	const char *key, *payload; /* not NUL-terminated */
	size_t key_length, length;
	bool readable; /* false: it is there, but its own checksum says that it is broken */
};

/* Counts of a whole ledger. The second block is of the last read-back, 0 before. */
struct ledger_totals {
	uint64_t records, unsent, ok, fail, unknown;
	uint64_t
		acknowledged_twice; /* one sequence and epoch, by different replicas: split brain */

	uint64_t checked; /* acknowledged writes that were read back */
	uint64_t intact, lost, stale, altered;
	uint64_t lost_bytes;      /* payload of lost, stale and altered */
	uint64_t duplicated;      /* there more than once, whatever their state */
	uint64_t unknown_present; /* fine */
	uint64_t fail_present;    /* refused, but there: told apart, no corruption */
	uint64_t never_sent;      /* there, but never sent: corruption */
};

struct ledger;

/* Fails on a size or a number of sites beyond the limits. Owned by the caller: ledger_free(). */
int ledger_new(const struct ledger_config *config, struct ledger **ret_ledger, struct error *e);
void ledger_free(struct ledger *ledger);

/* Payload bytes of record `sequence`, and of all records before it. Exact for any split. */
size_t ledger_payload_length(const struct ledger *ledger, uint64_t sequence);
/* The payload of a record: letters, digits, '-' and '_'. `out` has room for its length. */
void ledger_payload(const struct ledger *ledger, uint64_t sequence, char *out);
/* CRC-32C (Castagnoli, as in iSCSI, RFC 3720 B.4): "123456789" gives e3069283. */
uint32_t ledger_crc32c(const void *data, size_t length);

/*
 * The next write, with an epoch: opens a record of state unsent. Fails with ERROR_LIMIT past
 * LEDGER_RECORDS_MAX.
 */
int ledger_next(struct ledger *ledger, uint32_t epoch, uint64_t *ret_sequence, struct error *e);
/* A write as it goes out, and its payload (room for LEDGER_PAYLOAD_MAX). */
void ledger_write(struct ledger *ledger, uint64_t sequence, struct ledger_write *ret,
		  char *payload);
/* From here on it may be at the target: unknown until one of the others. */
void ledger_sent(struct ledger *ledger, uint64_t sequence);
/* It turned out that not one byte of it had left. */
void ledger_unsent(struct ledger *ledger, uint64_t sequence);
void ledger_refused(struct ledger *ledger, uint64_t sequence);
/*
 * Acknowledged at `at` by a replica of a site; names as the answer gave them, not NUL-terminated.
 * A length of 0: it did not say. `site` without a name is the one of ledger_site(). A second
 * acknowledgement by another replica counts as acknowledged twice and changes nothing else.
 */
void ledger_acknowledged(struct ledger *ledger, uint64_t sequence, nanos at, const char *replica,
			 size_t replica_length, const char *site, size_t site_length);
/* The site that acknowledgements without a name of one come from (0 at first). */
void ledger_site(struct ledger *ledger, uint32_t site);

/*
 * Read-back, of the records [0, end) as they stand at its begin; returns end. Tell all that is
 * there, range by range. Without ledger_check_end() the totals stay those of the one before.
 */
uint64_t ledger_check_begin(struct ledger *ledger);
void ledger_check_found(struct ledger *ledger, const struct ledger_found *found);
/* [from, to) has been read whole: what was not found there is not there. Ranges in order. */
void ledger_check_read(struct ledger *ledger, uint64_t from, uint64_t to);
void ledger_check_end(struct ledger *ledger);

/*
 * Writes acknowledged by a site (LEDGER_ALL_SITES: any) in (from, to]; lost_only: those that the
 * last read-back did not find as they were written (lost, stale, altered).
 */
void ledger_count(struct ledger *ledger, uint32_t site, nanos from, nanos to, bool lost_only,
		  uint64_t *ret_records, uint64_t *ret_bytes);
/* Instant of a site's last acknowledgement; false: there was none. */
bool ledger_last(struct ledger *ledger, uint32_t site, nanos *ret_at);
void ledger_totals(struct ledger *ledger, struct ledger_totals *ret);
enum ledger_state ledger_state(struct ledger *ledger, uint64_t sequence);
enum ledger_verdict ledger_verdict(struct ledger *ledger, uint64_t sequence);

/*
 * Writes the ledger as text, for readers that are not this program. Every line is one JSON value:
 * the first an object {"schema":"drsim/ledger/v1","endpoint":NAME,"seed":N,"stream":N,
 * "payload_bytes":B,"sites":[…],"replicas":[…],"records":N,"never_sent":N}, then for every record,
 * in the order of sequence numbers, an array
 *   [sequence, epoch, "crc as 8 hex", payload bytes, "state", acknowledged_ns|null, site|null,
 *    replica|null, acknowledgements, "verdict"|null, copies found]
 * with site and replica as indices of the lists. A verdict stands for acknowledged writes that were
 * read back. acknowledged_ns counts from the start of the drill.
 */
int ledger_write_file(struct ledger *ledger, const char *endpoint, const char *path,
		      struct error *e);

#endif
