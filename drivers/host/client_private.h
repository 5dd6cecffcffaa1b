/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the client share: slots, endpoints, and the two ways of sending. */
#ifndef DRIVERS_HOST_CLIENT_PRIVATE_H
#define DRIVERS_HOST_CLIENT_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/arena.h"
#include "core/prng.h"
#include "drivers/host/client.h"
#include "drivers/host/judge.h"
#include "drivers/lazy/curl.h"

#define ANSWER_BYTES_MAX 512          /* of an HTTP answer's body; a longer one is wrong */
#define SLOTS_MAX ((uint64_t)1 << 20) /* remembered of one endpoint, open ones included */
#define SLOTS_KEPT (120 * NANOS_S)    /* at least, for windows, when there is room */

enum outcome {
	OUTCOME_OPEN,
	OUTCOME_GOOD,
	OUTCOME_WRONG,
	OUTCOME_LATE,
	OUTCOME_FAILED,
	OUTCOME_UNKNOWN,
};

/* One request, by its sequence number. */
struct slot {
	nanos intended, sent, ended;
	void *carrier; /* what carries it while it is out */
	uint8_t outcome;
	bool out;           /* handed over and not ended */
	bool decided, good; /* what the judge is told */
	bool answered;
};

/* One HTTP request that may be under way. */
struct request {
	struct endpoint *endpoint;
	struct request *next, *next_free; /* of all, of the free ones */
	CURL *easy;
	struct curl_slist *headers;
	char *sequence_header; /* text in `headers`, written anew each time */
	struct ledger_write write;
	char *body, *payload; /* payload: into the body */
	size_t head_length, body_length, body_sent;
	char answer[ANSWER_BYTES_MAX];
	size_t answer_length;
	bool answer_too_long;
};

/* One put that a command has not answered; in order of sending. */
struct put {
	uint64_t sequence;
	bool done;     /* answered, out of order */
	bool given_up; /* timed out: a late answer changes nothing */
	nanos sent;
};

struct command {
	pid_t pid;
	int fd;
	struct put *puts; /* ring of `room` */
	uint64_t head, tail;
	char *out; /* the rest of a line that did not go out whole */
	size_t out_length, out_written;
	struct adapter_lines lines;
	nanos last_answer, restart_at, backoff;
	bool write_wanted; /* epoll tells when there is room again */
};

struct outage {
	struct client_outage seen;
	uint64_t wrong_before; /* wrong answers before its first request */
};

struct check {
	struct client *client;
	uint32_t endpoint;
	pthread_t thread;
	bool started, running;
};

struct endpoint {
	struct client *client;
	uint32_t number;
	struct client_endpoint_config config;
	struct ledger *ledger;
	struct prng arrivals;
	double rate, carry; /* carry: of a nanosecond, of constant arrivals */
	nanos next;         /* intended time of the next request; NANOS_NEVER: none */
	uint32_t epoch, room;
	struct slot *slots; /* ring of a power of two */
	uint64_t capacity, begin, end;
	bool more;          /* pending ones could be sent at once */
	uint64_t pending;   /* the first that is not handed over */
	uint64_t oldest;    /* the first that is open */
	uint64_t undecided; /* the first that the judge does not have */
	uint64_t slice_begin;
	nanos slice_from;
	nanos *samples;
	size_t sample_room;
	struct judge judge;
	bool bad, any_longest;
	struct outage now, longest;
	struct client_totals totals;
	/* http */
	struct request *all, *free;
	uint32_t made;
	/* exec */
	struct command command;
	struct check check;
};

struct client {
	struct arena arena;
	int64_t start;
	nanos slice;
	int netns;
	struct endpoint *endpoints;
	uint32_t endpoint_count;
	int epoll, wake, told; /* wake: the thread; told: the driver has events */
	CURLM *multi;
	nanos curl_due;
	pthread_t thread;
	bool started, joined;
	atomic_bool stop_checks;

	atomic_uint wanted;   /* threads that wait for the lock */
	pthread_mutex_t lock; /* over what follows, and over the endpoints */
	pthread_cond_t ready;
	bool is_ready, stopping;
	struct error start_error;
	struct client_event *events;
	uint64_t event_head, event_tail;
	struct client_slice *slices;
	uint64_t slice_head, slice_tail;
};

/* What epoll brings: one of these, and a number below. */
enum {
	EVENT_WAKE,
	EVENT_SOCKET,
	EVENT_COMMAND
};
#define EVENT_DATA(kind, number) ((uint64_t)(kind) << 32 | (uint32_t)(number))

static inline struct slot *client_slot(const struct endpoint *endpoint, uint64_t sequence)
{
	return &endpoint->slots[sequence & (endpoint->capacity - 1)];
}

static inline nanos earlier(nanos a, nanos b)
{
	return a < b ? a : b;
}

/* ---- client_slots.c ---- */

#define P50 0.5
#define P99 0.99

/* The order statistic ceil(n p), as in core/stats.h; NANOS_NEVER for n = 0. Reorders. */
nanos client_quantile(nanos *values, size_t n, double p);
/* Makes an eventfd readable. */
void client_signal(int fd);
/* Tells the driver; fills `at`. */
void client_tell(struct client *client, struct client_event event);
/* The time to the next request, at the rate that is now. */
nanos client_gap(struct endpoint *endpoint);
/* How long the caller waited, for an answer or in vain; false: it was refused. */
bool client_waited(const struct slot *slot, nanos now, nanos *ret);
nanos client_outage_length(const struct outage *outage, nanos now);
/* All that is due by `now`: new requests, time-outs, verdicts, slices. */
void client_step(struct endpoint *endpoint, nanos now);
/* When something has to be done, if nothing happens before. */
nanos client_due(struct endpoint *endpoint, nanos now);

/* The end of a request: `answered` when an answer came, at `at`. */
void client_end(struct endpoint *endpoint, uint64_t sequence, enum outcome outcome, bool answered,
		nanos at);
/* What it is when its answer, as expected or not, comes at `at`. */
enum outcome client_outcome(const struct endpoint *endpoint, uint64_t sequence, bool expected,
			    nanos at);
/* It never left: the ledger says so, and the request has failed. */
void client_never_sent(struct endpoint *endpoint, uint64_t sequence, nanos at);

/* ---- client_http.c ---- */

int client_http_open(struct client *client, struct error *e);
void client_http_close(struct client *client);
/* Hands one over; false: no connection is free. */
bool client_http_send(struct endpoint *endpoint, uint64_t sequence, nanos now);
/* Its time is over. */
void client_http_give_up(struct endpoint *endpoint, uint64_t sequence, nanos now);
/* Something happened on a socket; -1: only time has passed. */
/* Takes the lock: for all but the client's own thread. */
void client_enter(struct client *client);
void client_http_turn(struct client *client, int fd, uint32_t events);

/* ---- client_exec.c ---- */

int client_exec_open(struct endpoint *endpoint, struct error *e);
void client_exec_close(struct endpoint *endpoint);
/* Ends the command; the next turn starts the one of the configuration. */
void client_exec_renew(struct endpoint *endpoint, nanos now);
bool client_exec_send(struct endpoint *endpoint, uint64_t sequence, nanos now);
void client_exec_give_up(struct endpoint *endpoint, uint64_t sequence, nanos now);
void client_exec_event(struct endpoint *endpoint, uint32_t events);
/* Restarts what is due or silent; returns when to be called again. */
nanos client_exec_turn(struct endpoint *endpoint, nanos now);

#endif
