/* SPDX-License-Identifier: Apache-2.0 */
/* What http_server.c and http_answer.c share: a request with all that the server keeps of it. */
#ifndef SIM_MINILEPTON_HTTP_PRIVATE_H
#define SIM_MINILEPTON_HTTP_PRIVATE_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "sim/minilepton/http.h"

/* A refused request's body up to this is read and thrown away, so that its connection stays. */
#define HTTP_SWALLOW_MAX ((size_t)1 << 20)
#define HTTP_LAST_ROUNDS 8 /* of a loop's server that closes */
#define HTTP_SPARE_MAX 256 /* requests kept for reuse */

struct pending {
	struct http_request request; /* first: handlers are given its address */
	struct http_server *server;
	struct MHD_Connection *connection;
	const struct http_route *route;
	struct pending *next; /* among the spare ones */
	char *body;
	size_t room, swallowed;
	bool begun, handled, broken;
	bool deferred; /* written by the handler's thread alone, before it lets go of the request */
	struct MHD_Response *response;
	int status;
	const char *names[HTTP_HEADERS_MAX], *values[HTTP_HEADERS_MAX];
	size_t header_count;
};

struct http_server {
	struct MHD_Daemon *daemon;
	const struct http_route *routes;
	const char *token;
	void *self;
	enum http_threads threads;
	int listener; /* until the daemon has it */
	char address[HTTP_ADDRESS_MAX];
	atomic_size_t deferred;
	/* HTTP_LOOP: answers from elsewhere wake the loop, once until it runs. */
	int wake;
	atomic_bool due;
	pthread_t loop_thread; /* that opened it */
	pthread_mutex_t lock;  /* of the spare requests */
	struct pending *spare;
	size_t spare_count;
};

/* There is something to run. From any thread. */
void http_server_wake(struct http_server *server);

#endif
