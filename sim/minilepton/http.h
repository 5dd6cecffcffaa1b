/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 for all subcommands. The server side is libmicrohttpd behind a table of routes, with
 * bounded bodies, JSON answers and Lepton's errors; a handler may answer later, from any thread.
 * The client side is libcurl: one blocking call for those that may wait, and transfers that run in
 * an event loop (loop.h) for the gateway.
 */
#ifndef SIM_MINILEPTON_HTTP_H
#define SIM_MINILEPTON_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/error.h"

struct cJSON;
struct loop;

/* ---- server ---- */

#define HTTP_CONNECTIONS_MAX 4096 /* more are refused */
#define HTTP_BACKLOG 4096         /* a dropped SYN comes again after a second */
#define HTTP_PARTS_MAX 4          /* wildcards of a pattern */
#define HTTP_HEADERS_MAX 8        /* that a handler adds to an answer */
#define HTTP_IDLE (75 * NANOS_S)
#define HTTP_ADDRESS_MAX 64     /* "[IPv6]:PORT" */
#define HTTP_MEMORY (16u << 10) /* of a connection: its request's head, and what is read at once */
#define HTTP_MESSAGE_MAX 512    /* of an error */
#define HTTP_JSON_DEPTH_MAX 64  /* a deeper body is refused */

struct http_server;

/*
 * One request on its way. It belongs to the server; a handler may use it until the handler has
 * answered, exactly once, and not after that.
 */
struct http_request {
	const char *method, *path;         /* percent-decoded, without the query */
	const char *parts[HTTP_PARTS_MAX]; /* what the pattern's wildcards stand for, in order */
	const char *body;                  /* followed by a 0; empty while the route has receive */
	size_t body_size;
	struct arena arena; /* for whatever lives as long as the request */
	void *own;          /* the handler's */
};

/*
 * A row of the table. The pattern is made of segments: `*` stands for one segment, `**` at the end
 * for the whole rest of the path, slashes included. The first row whose method and pattern fit has
 * it; HEAD goes to GET where it has no row of its own. No pattern fits: 404; none with this method:
 * 405.
 */
struct http_route {
	const char *method, *pattern; /* NULL method: end of the table */
	void (*handle)(void *self, struct http_request *request);
	size_t body_max; /* of a body that is kept; a longer one is 413; 0: none is taken */
	bool open;       /* asks for no token */
	/*
	 * Bodies that are not kept: `begin` is called before the body comes (and may answer, which
	 * ends it), `receive` for each piece; after -1 the rest is thrown away. `handle` answers at
	 * the end. `forget` is called when the request is over, however that came about, if `begin`
	 * was. All three may be NULL.
	 */
	void (*begin)(void *self, struct http_request *request);
	int (*receive)(void *self, struct http_request *request, const char *data, size_t size);
	void (*forget)(void *self, struct http_request *request);
};

enum http_threads {
	HTTP_LOOP, /* none: handlers run in the event loop of whoever opened it, see loop_serve() */
	HTTP_THREAD,  /* one thread for all handlers: they must not block */
	HTTP_THREADS, /* one thread a connection: they may block, but not defer */
};

struct http_config {
	const char *listen; /* "127.0.0.1:8000", "[::1]:0"; port 0 picks one */
	const char *token; /* bearer token of all routes that are not open; NULL: nobody is asked */
	const struct http_route *routes;
	void *self; /* first argument of all handlers */
	enum http_threads threads;
	size_t memory; /* of a connection; 0: HTTP_MEMORY */
};

/* Begins to listen and, with threads, to serve. `config` may go; its routes, token, self stay. */
int http_server_open(const struct http_config *config, struct http_server **ret_server,
		     struct error *e);
/* Where it listens, with the real port; as long as the server lives. */
const char *http_server_address(const struct http_server *server);
/* `listening ADDRESS:PORT` on standard output, at once. */
void http_server_announce(const struct http_server *server);
/* Takes no new connections. */
void http_server_quiesce(struct http_server *server);
/* Every deferred request must have been answered before. */
void http_server_close(struct http_server *server);

/* For loop.c: what to wait for, until when (NANOS_NEVER: for ever), and to do what is due. */
int http_server_fd(const struct http_server *server);
int http_server_wake_fd(const struct http_server *server);
nanos http_server_patience(const struct http_server *server);
void http_server_run(struct http_server *server);

/*
 * The handler returns without an answer; one of the answers below comes later, from any thread.
 * Nothing is heard of a client that leaves in between.
 */
void http_defer(struct http_request *request);

/* Adds a header to the answer that will be given. The texts are copied. */
void http_header_add(struct http_request *request, const char *name, const char *value);
/* The bytes are copied. `type` may be NULL. */
void http_answer(struct http_request *request, int status, const char *type, const void *body,
		 size_t size);
/* Takes the malloc()ed bytes. */
void http_answer_taken(struct http_request *request, int status, const char *type, char *body,
		       size_t size);
/* Takes `json`. */
void http_answer_json(struct http_request *request, int status, struct cJSON *json);
/* {"code":"ResourceNotFound","message":"…"}; the code goes by the status. */
void http_error(struct http_request *request, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* `size` bytes of a file from `offset`. Takes the descriptor. */
void http_answer_file(struct http_request *request, int status, const char *type, int fd,
		      uint64_t offset, uint64_t size);
/*
 * `size` bytes that `read` brings, piece by piece, from the thread that serves the connection: it
 * returns how many it wrote to `buffer`, at most `max`, or -1, which breaks the connection. `done`
 * is called at the end.
 */
void http_answer_stream(struct http_request *request, int status, const char *type, uint64_t size,
			ssize_t (*read)(void *own, uint64_t at, char *buffer, size_t max),
			void (*done)(void *own), void *own);
/* "ResourceNotFound" of 404; "InternalError" of what has no word of its own. */
const char *http_error_code(int status);

/* A value of the query or a header of the request; NULL when it is not there. */
const char *http_query(const struct http_request *request, const char *name);
const char *http_header(const struct http_request *request, const char *name);
/*
 * A number of the query in [0, max]; *ret stays as it is when the name is not there. -1: it has
 * answered 400.
 */
int http_query_number(struct http_request *request, const char *name, uint64_t max, uint64_t *ret);
/* The body as a JSON object, for cJSON_Delete(); NULL: it has answered 400. */
struct cJSON *http_body_json(struct http_request *request);

/* Whether `pattern` fits the path; the wildcards' texts are copied to `arena`. For tests, too. */
bool http_path_fits(const char *pattern, const char *path, struct arena *arena,
		    const char *parts[HTTP_PARTS_MAX]);
/* Whether an Authorization header holds the token; the time it takes does not tell where they
 * differ. */
bool http_token_fits(const char *authorization, const char *token);
/* JSON text of any origin, bounded in depth; NULL when it is no JSON object. */
struct cJSON *http_json_parse(const char *text, size_t size);
/*
 * Members of a JSON object, checked. Each returns -1 with an ERROR_USAGE that names the member when
 * it is missing, of another type or out of range. Texts live in the object.
 */
int http_json_text(const struct cJSON *object, const char *name, size_t max, const char **ret,
		   struct error *e);
int http_json_number(const struct cJSON *object, const char *name, uint64_t min, uint64_t max,
		     uint64_t *ret, struct error *e);
int http_json_array(const struct cJSON *object, const char *name, size_t max,
		    const struct cJSON **ret, struct error *e);
/* "127.0.0.1:8000" or "[::1]:0": numbers only, so that nothing waits for a name server. */
int http_address_check(const char *address, struct error *e);

/* ---- client, blocking ---- */

#define HTTP_REPLY_MAX ((size_t)16 << 20) /* preset of a reply's limit */

/* Connections of one thread, kept alive from call to call. */
struct http_client;

struct http_call {
	const char *method, *url, *token; /* token may be NULL */
	const char *type;                 /* of the body; NULL: application/json */
	const char *body;                 /* NULL: none */
	size_t body_size;
	nanos timeout;    /* of the whole call; also of the connect */
	size_t reply_max; /* a longer reply is an error; 0: HTTP_REPLY_MAX */
};

struct http_reply {
	int status;
	const char *body; /* followed by a 0 */
	size_t size;
};

/* Once in a program, before any thread: what libcurl needs. */
int http_client_prepare(struct error *e);
int http_client_open(struct http_client **ret_client, struct error *e);
void http_client_close(struct http_client *client);
/* 0 when a reply came, whatever its status; -1 (ERROR_UNAVAILABLE) when none did. */
int http_call(struct http_client *client, const struct http_call *call, struct arena *arena,
	      struct http_reply *ret_reply, struct error *e);
/*
 * The same for JSON: `body` may be NULL. *ret_json, for cJSON_Delete(), is NULL when the reply is
 * no JSON object; ret_json may be NULL.
 */
int http_call_json(struct http_client *client, const struct http_call *call,
		   const struct cJSON *body, int *ret_status, struct cJSON **ret_json,
		   struct error *e);

/* ---- client, in an event loop ---- */

#define HTTP_TRANSFERS_MAX 4096 /* at a time; more fail at once */

struct http_async;

enum http_outcome {
	HTTP_REPLIED,
	HTTP_NO_CONNECTION, /* refused, unreachable, or not within the connect time-out */
	HTTP_TIMED_OUT,
	HTTP_BROKEN, /* closed in the middle, no HTTP, or a reply past its limit */
};

/* One transfer; it belongs to the caller and stays until `done`, or until it is cancelled. */
struct http_transfer {
	const char *method, *url, *type; /* type NULL: none is told */
	const char *body;
	size_t body_size, reply_max;
	nanos timeout, connect_timeout;
	void (*done)(void *self,
		     struct http_transfer *transfer); /* never inside http_async_start */
	void *self;
	/* What came of it. */
	enum http_outcome outcome;
	int status;
	char *reply; /* `done` is to free() it; NULL when there is none */
	size_t reply_size;
	char reply_type[64];
	/* Of http_async.c. */
	void *handle;
	struct http_transfer *next;
};

int http_async_open(struct loop *loop, struct http_async **ret_async, struct error *e);
void http_async_start(struct http_async *async, struct http_transfer *transfer);
void http_async_cancel(struct http_async *async, struct http_transfer *transfer);
/* Transfers still on their way are cancelled. */
void http_async_close(struct http_async *async);

#endif
