/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adapters: how a ledger's writes reach a target and are read back. HTTP (minilepton, through its
 * gateway), or a command of the user's that speaks lines on its standard input and output.
 *
 * The line protocol. Requests, one a line:     put SEQ DATA       get SEQ
 * Answers, one a line, in order:                ok [BY]            fail [REASON]
 *                                               data DATA          none
 * or, with `tagged`, in any order:              ok SEQ [BY]        fail SEQ [REASON]
 *                                               data SEQ DATA      none SEQ
 * SEQ is decimal; DATA is text without blanks (letters, digits, '-', '_', '.'); BY names who
 * acknowledged. `put` is answered by ok (it is stored, durably) or fail, `get` by data or none.
 * Requests are sent without waiting for answers. A line has at most ADAPTER_LINE_MAX bytes. A
 * command that says anything else, or nothing for `timeout`, is ended and started again.
 *
 * DATA of a write is SEQ.KEY.EPOCH.CRC.PAYLOAD, so that what is read back says itself what it is.
 */
#ifndef DRIVERS_HOST_ADAPTER_H
#define DRIVERS_HOST_ADAPTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/clock.h"
#include "core/error.h"
#include "drivers/host/ledger.h"

#define ADAPTER_LINE_MAX (LEDGER_PAYLOAD_MAX + 256)
#define ADAPTER_ARGS_MAX 64
#define ADAPTER_PATH_MAX 256 /* of an endpoint's URL path, and of its host */
#define ADAPTER_RECORDS 1000 /* asked for at a time */

enum adapter_kind {
	ADAPTER_HTTP, /* POST path SEQ KEY EPOCH CRC32C PAYLOAD; GET records_path?from=N&count=N */
	ADAPTER_EXEC,
};

struct adapter_config {
	enum adapter_kind kind;
	/* http */
	const char *host; /* an IPv4 address in digits */
	uint16_t port;
	const char *path;         /* "/chat/predict" */
	const char *records_path; /* "/chat/records" */
	/* exec: NULL-terminated; argv[0] is found by PATH. Started twice: once for puts, once for
	 * each read-back. Its standard error goes to `log`, or nowhere. */
	const char *const *argv;
	const char *log;
	bool tagged;
	nanos timeout; /* of one read-back request; a command that is silent for so long is
			  started again */
};

/* ---- a command that speaks the line protocol ---- */
enum adapter_answer_kind {
	ADAPTER_OK,
	ADAPTER_FAIL,
	ADAPTER_DATA,
	ADAPTER_NONE
};

struct adapter_answer {
	enum adapter_answer_kind kind;
	bool tagged;
	uint64_t sequence;
	const char *text; /* DATA, BY or REASON: into the line, not NUL-terminated */
	size_t length;
};

/* One answer line, without its newline. -1: not of the protocol. */
int adapter_parse_answer(const char *line, size_t length, bool tagged,
			 struct adapter_answer *ret_answer);
/* DATA of a write; returns its length, out has room for ADAPTER_LINE_MAX. */
size_t adapter_data(const struct ledger_write *write, const char *payload, char *out);
/* What DATA says of itself; fields point into it. -1: not of that form. readable: the CRC fits. */
int adapter_parse_data(const char *data, size_t length, struct ledger_found *ret_found);
/* One line of GET records, SEQ KEY EPOCH CRC32C|BAD ANSWER PAYLOAD, without its newline. */
int adapter_parse_record(const char *line, size_t length, struct ledger_found *ret_found);

/* A request or answer in pieces: bytes in, whole lines out. */
struct adapter_lines {
	char *buffer; /* of ADAPTER_LINE_MAX + 1 */
	size_t length, taken;
};

/* The next whole line, without its newline; NULL: none yet. It stays until the next call. */
char *adapter_line(struct adapter_lines *lines, size_t *ret_length);
/* Room for more bytes, after adapter_line() gave NULL; 0: the line is too long. */
size_t adapter_room(struct adapter_lines *lines, char **ret_at);

/*
 * Starts a command with its standard input and output on one socket, non-blocking and
 * close-on-exec. It dies with the thread that started it. -1: it could not be started.
 */
int adapter_spawn(const struct adapter_config *config, pid_t *ret_pid, int *ret_fd,
		  struct error *e);
/* Ends a command by SIGKILL and waits for it. */
void adapter_kill(pid_t pid, int fd);

/*
 * Reads every record of the ledger back and gives it its verdict. Blocks; to be called in the
 * network namespace of the target. `stop`, when not NULL, ends it early. Fails when the target
 * cannot be read.
 */
int adapter_read_back(const struct adapter_config *config, struct ledger *ledger,
		      const atomic_bool *stop, struct error *e);

#endif
