/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The drill's client: an open-loop sender. Every request has an intended time that follows from
 * rate and seed alone, never from the answers, so that an outage does not thin out its own samples
 * (coordinated omission). One thread sends for all endpoints; the driver asks from any other.
 *
 * Every request is a write of its endpoint's ledger. Its outcome:
 *   good    answered as expected within the latency limit, counted from the intended time
 *   wrong   answered in time or late, but not as expected
 *   late    answered as expected, after the limit
 *   failed  refused, or never sent: no connection, or none free before the limit
 *   unknown sent, but no answer before the time-out, or the connection broke
 *
 * All times are nanoseconds of CLOCK_MONOTONIC counted from `start`.
 */
#ifndef DRIVERS_HOST_CLIENT_H
#define DRIVERS_HOST_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/error.h"
#include "drivers/host/adapter.h"
#include "drivers/host/ledger.h"

#define CLIENT_ENDPOINTS_MAX 64
#define CLIENT_CONNECTIONS_MAX 8192 /* of one endpoint */
#define CLIENT_ANSWER_MAX 64        /* of an expected answer, with its NUL */
#define CLIENT_RATE_MAX 1e6         /* requests a second */
#define CLIENT_SLICES_MAX 4096 /* finished ones that nobody has fetched; then the oldest goes */
#define CLIENT_EVENTS_MAX 1024 /* likewise */

enum client_arrival {
	CLIENT_POISSON,
	CLIENT_CONSTANT
};

/* What the answer to a write has to be. Called by the client's thread. NULL: any answer will do. */
typedef void (*client_expect_fn)(const void *self, const char *key, const char *payload,
				 size_t length, char ret_answer[CLIENT_ANSWER_MAX]);

/* minilepton's: `self` is the SHA-256 of the weights, 32 bytes; the first 16 hex digits of
 * SHA-256(weights' digest, key, payload). */
void client_expect_digest(const void *self, const char *key, const char *payload, size_t length,
			  char ret_answer[CLIENT_ANSWER_MAX]);

struct client_endpoint_config {
	const char *name;
	struct adapter_config adapter; /* strings live as long as the client */
	double rate;                   /* requests a second; 0: none until client_rate() */
	enum client_arrival arrival;
	nanos latency_limit;  /* L, > 0 */
	nanos timeout;        /* of an answer, from the intended time; at least L */
	uint32_t connections; /* at one time, exec: unanswered puts; 0: rate * timeout + 64 */
	double payload_bytes;
	uint32_t keys;
	client_expect_fn expect;
	const void *expect_self;
	double success; /* S, 0 < S <= 1 */
	nanos window;   /* W */
};

struct client_config {
	uint64_t seed;
	int64_t start; /* CLOCK_MONOTONIC, ns: instant 0; sending begins at the later of it and
			  client_start() */
	int netns;     /* a network namespace that the thread enters; -1: stays where it is */
	nanos slice;   /* length of one point of the timeline; 0: 1 s */
	const struct client_endpoint_config *endpoints;
	size_t endpoint_count;
	const char *const *sites; /* names as acknowledgements give them; the index is the id */
	size_t site_count;
};

enum client_event_kind {
	CLIENT_BAD,     /* the endpoint turned bad at `since` */
	CLIENT_GOOD,    /* it is good again since `since` */
	CLIENT_CHECKED, /* a read-back is over: `ok`, or the reason */
	CLIENT_BROKEN,  /* the client itself cannot go on: `reason`; the drill is not evaluable */
};

struct client_event {
	enum client_event_kind kind;
	uint32_t endpoint;
	nanos since, at; /* at: when it was known */
	bool ok;
	char reason[ERROR_TEXT_MAX];
};

struct client_totals {
	uint64_t intended;                           /* slots whose time has come */
	uint64_t sent;                               /* handed to the network */
	uint64_t good, wrong, late, failed, unknown; /* sum: intended - open */
	uint64_t open;                               /* not decided for good yet */
	uint64_t unsent;                             /* of failed: never sent */
	uint64_t connects, restarts;                 /* connections opened; exec: command starts */
	nanos lag;                                   /* how late the sender itself was, at most */
};

/* Requests of a stretch of intended times that are decided. */
struct client_window {
	uint64_t requests, good;
	double success; /* good / requests; 1 without any */
	nanos p50, p99; /* over answers, and over requests that waited in vain with the time
			       they had waited; refusals do not count. NANOS_NEVER: none */
};

/* One finished point of the timeline: requests intended in [from, to). */
struct client_slice {
	uint32_t endpoint;
	nanos from, to;
	uint64_t requests, good, wrong, late, failed, unknown;
	nanos p50, p99; /* as in struct client_window */
};

/* One request, as the client saw it. */
struct client_request {
	uint64_t sequence;
	nanos intended, sent, answered; /* answered: NANOS_NEVER when it was not */
};

/* An outage from the first bad request to the first of the stable window. */
struct client_outage {
	uint32_t endpoint;
	nanos since, until;           /* until: NANOS_NEVER while it lasts */
	bool has_before;              /* false: no good request came before it */
	struct client_request before; /* the last good request before it */
	struct client_request first;  /* its first bad request */
	struct client_request after;  /* the first good request after it (until is not NEVER) */
	uint64_t wrong;               /* of its requests: answered, but not as expected */
};

struct client;

/* Checks the configuration and makes the ledgers; sends nothing. Strings of it must live on. */
int client_open(const struct client_config *config, struct client **ret_client, struct error *e);
/* Starts the thread. Fails when it cannot enter the namespace or start a command. */
int client_start(struct client *client, struct error *e);
/* No new requests from now on; returns when all that are out are answered or timed out, and the
 * thread has ended. Everything can still be asked for, and read back. Safe to call twice. */
void client_stop(struct client *client);
/* Stops first, and breaks off a read-back. */
void client_free(struct client *client);

/* Readable while there are events. */
int client_eventfd(const struct client *client);
/* The oldest events; returns how many. */
size_t client_events(struct client *client, struct client_event *ret, size_t max);

/* From now on. A rate of 0 pauses: no slots, so that nothing counts as bad. */
void client_rate(struct client *client, uint32_t endpoint, double rate);
/* The epoch that writes carry from now on (0 at first). */
void client_epoch(struct client *client, uint32_t endpoint, uint32_t epoch);
/* What answers are held against from now on. */
void client_expect(struct client *client, uint32_t endpoint, client_expect_fn expect,
		   const void *self);

/* From now on writes and read-backs go by this adapter, whose strings live as long as the client,
 * and acknowledgements that name no site are of `site`. Of both an adapter before and this one the
 * kind is ADAPTER_EXEC. What the one before had not answered is unknown. */
void client_adapter(struct client *client, uint32_t endpoint, const struct adapter_config *adapter,
		    uint32_t site);

/* Now, on the client's clock. */
nanos client_now(const struct client *client);
/* Requests intended in the last `span` that are decided. */
void client_window(struct client *client, uint32_t endpoint, nanos span, struct client_window *ret);
bool client_is_bad(struct client *client, uint32_t endpoint);
void client_totals(struct client *client, uint32_t endpoint, struct client_totals *ret);
/* Finished slices of all endpoints since the last call, oldest first. Returns how many. */
size_t client_slices(struct client *client, struct client_slice *ret, size_t max);
/* The longest outage of an endpoint so far; false: none. */
bool client_outage(struct client *client, uint32_t endpoint, struct client_outage *ret);
struct ledger *client_ledger(struct client *client, uint32_t endpoint); /* the client's */

/* Reads the endpoint's ledger back in a thread of its own; CLIENT_CHECKED tells the end. One at a
 * time for an endpoint. */
int client_check(struct client *client, uint32_t endpoint, struct error *e);

#endif
