/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wire beside the client's word: a capture of the client's link, and the outage as it stands
 * there. Requests are found by their header `X-Seq: ENDPOINT-SEQUENCE`, which stands right behind
 * Host; answers by the order on their connection.
 */
#ifndef DRIVERS_HOST_CAPTURE_H
#define DRIVERS_HOST_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/error.h"
#include "drivers/host/client.h"

#define CAPTURE_SNAPLEN 320 /* Ethernet, IP and TCP with options, request line, X-Seq */
#define CAPTURE_PORTS_MAX 16
#define CAPTURE_REASON_MAX 256

struct capture_config {
	const char *path;                  /* capture.pcap */
	const char *interface;             /* in the namespace, or "lo" */
	int netns;                         /* entered by the thread; -1: stays */
	const char *host; /* IPv4 address of the targets; NULL: any. Others' traffic is not ours */
	uint16_t ports[CAPTURE_PORTS_MAX]; /* the targets'; packets without payload are left out */
	size_t port_count;
	uint64_t max_bytes; /* of the file; 0: 256 MiB. Then it ends and says so */
};

struct capture_stats {
	uint64_t packets, bytes, dropped; /* dropped: by the kernel */
	bool full;
};

struct capture;

/* Begins to capture, in a thread of its own. ERROR_UNAVAILABLE with the reason where it cannot:
 * without CAP_NET_RAW, or without such an interface. Returns when the filter is in force. */
int capture_start(const struct capture_config *config, struct capture **ret_capture,
		  struct error *e);
/* Ends it and writes what is left; frees it. */
void capture_stop(struct capture *capture, struct capture_stats *ret_stats);

/* The wire's account of one outage. */
struct wire_result {
	bool available;
	char reason[CAPTURE_REASON_MAX]; /* why not available, or why it does not agree */
	bool agrees;
	nanos outage;     /* last good response -> first of the stable window, on the wire */
	nanos client;     /* the client's own: first bad intended -> first good intended */
	nanos difference; /* outage - client */
	nanos allowed;    /* spacing of requests at the edge + latencies of the boundary requests */
	nanos silence;    /* the longest time without a good response in it, on the wire */
	uint64_t requests, responses; /* found in the capture, of this endpoint */
};

/*
 * Reads a capture and holds the outage seen there against the client's. -1 only when the file
 * cannot be read. `stats` may be NULL.
 */
int wire_check(const char *path, const struct capture_stats *stats,
	       const struct client_outage *outage, struct wire_result *ret, struct error *e);

/*
 * Copies what a capture has of one outage, from `margin` before its last good request to `margin`
 * after the first one that is good again: enough for wire_check() to say the same. -1 when the
 * requests are not in it, or a file cannot be read or written.
 */
int wire_excerpt(const char *path, const char *to, const struct client_outage *outage, nanos margin,
		 struct error *e);

/* ---- the parts, for tests ---- */

/* What a capture has of one request. */
struct wire_request {
	uint64_t sequence;
	uint32_t endpoint;
	nanos sent, answered; /* by the capture's clock; answered: NANOS_NEVER without an answer */
	int status;           /* of HTTP; 0 without an answer */
};

/* All requests of a capture, in the order in which they were sent. The array is the arena's. */
int wire_read(const char *path, struct arena *arena, struct wire_request **ret_requests,
	      size_t *ret_count, struct error *e);
/* The same from an open file, which it closes. `name` is for messages. */
int wire_read_file(FILE *file, const char *name, struct arena *arena,
		   struct wire_request **ret_requests, size_t *ret_count, struct error *e);

#endif
