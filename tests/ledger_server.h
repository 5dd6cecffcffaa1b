/* SPDX-License-Identifier: Apache-2.0 */
/* A server that takes writes as minilepton's replicas do, and treats each as the test wants. */
#ifndef TESTS_LEDGER_SERVER_H
#define TESTS_LEDGER_SERVER_H

#include <stdbool.h>
#include <stdint.h>

/* What it does with a write. */
enum fate {
	FATE_GOOD,
	FATE_REFUSED, /* 503, not stored */
	FATE_ERROR,   /* stored, then 500 */
	FATE_WRONG,   /* stored, answered with what other weights would say */
	FATE_LATE,    /* stored, answered after `late_ms` */
	FATE_HANGS,   /* stored, answered after `hang_ms`: the client has given up */
	FATE_DROPPED, /* not stored; the connection is closed without an answer */
	FATE_LOST,    /* acknowledged, not stored */
	FATE_TWICE,   /* stored two times */
	FATE_ALTERED, /* stored with another payload and the checksum that fits it */
	FATE_BROKEN,  /* stored with a payload that its checksum does not fit */
	FATE_STALE,   /* stored with an epoch before its own */
	FATES
};

#define LEDGER_SERVER_RECORDS ((uint64_t)1 << 20)
#define LEDGER_SERVER_SITE "primary"
#define LEDGER_SERVER_REPLICA "chat-primary-0"

struct ledger_server;

typedef enum fate (*fate_fn)(uint64_t sequence);

struct ledger_server_config {
	fate_fn fate; /* NULL: all good */
	bool threads; /* one for each connection, so that one that waits holds up no other */
	unsigned late_ms, hang_ms;
	const unsigned char *digest; /* of the weights: 32 bytes */
};

/* Listens on loopback. Ends the test when it cannot. */
struct ledger_server *ledger_server_start(const struct ledger_server_config *config);
void ledger_server_stop(struct ledger_server *server);
uint16_t ledger_server_port(const struct ledger_server *server);
/* From now on every write is refused with 503, or no more. */
void ledger_server_down(struct ledger_server *server, bool down);
/* Requests that met a fate so far; those while it was down are FATE_REFUSED. */
uint64_t ledger_server_count(const struct ledger_server *server, enum fate fate);
/* Takes a record away, or puts one there that nobody wrote. */
void ledger_server_forget(struct ledger_server *server, uint64_t sequence);
void ledger_server_invent(struct ledger_server *server, uint64_t sequence);

#endif
