/* SPDX-License-Identifier: Apache-2.0 */
/* The server side: libmicrohttpd behind a table of routes. */
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sim/minilepton/http_private.h"
#include "sim/minilepton/options.h"

/* ---- requests ---- */

static struct pending *pending_take(struct http_server *server)
{
	struct pending *pending;

	pthread_mutex_lock(&server->lock);
	pending = server->spare;
	if (pending) {
		server->spare = pending->next;
		server->spare_count--;
	}
	pthread_mutex_unlock(&server->lock);
	if (!pending)
		pending = calloc(1, sizeof(*pending));
	return pending;
}

static void pending_give_back(struct http_server *server, struct pending *pending)
{
	struct arena arena = pending->request.arena;
	bool kept = false;

	arena_reset(&arena);
	*pending = (struct pending){.request.arena = arena};
	pthread_mutex_lock(&server->lock);
	if (server->spare_count < HTTP_SPARE_MAX) {
		pending->next = server->spare;
		server->spare = pending;
		server->spare_count++;
		kept = true;
	}
	pthread_mutex_unlock(&server->lock);
	if (!kept) {
		arena_free(&pending->request.arena);
		free(pending);
	}
}

static bool method_fits(const struct http_route *route, const char *method)
{
	return strcmp(route->method, method) == 0;
}

/* The first row that fits; 404 or 405 when none does. */
static void route_find(struct pending *pending, const char *method)
{
	struct http_request *request = &pending->request;
	const struct http_route *get = NULL;
	const char *parts[HTTP_PARTS_MAX] = {NULL};
	bool known = false;

	for (const struct http_route *row = pending->server->routes; row->method; row++) {
		if (!http_path_fits(row->pattern, request->path, &request->arena, parts))
			continue;
		known = true;
		if (method_fits(row, method)) {
			pending->route = row;
			memcpy(request->parts, parts, sizeof(parts));
			return;
		}
		if (!get && method_fits(row, "GET") && strcmp(method, "HEAD") == 0) {
			get = row;
			memcpy(request->parts, parts, sizeof(parts));
		}
	}
	pending->route = get;
	if (get)
		return;
	if (known)
		http_error(request, 405, "%s does not take this method", request->path);
	else
		http_error(request, 404, "there is no %s", request->path);
}

/* What Content-Length promises; SIZE_MAX when it is not told. */
static size_t promised(struct pending *pending)
{
	const char *text = http_header(&pending->request, "Content-Length");
	uint64_t size;

	if (!text || options_number(text, strlen(text), SIZE_MAX - 1, &size))
		return SIZE_MAX;
	return (size_t)size;
}

static void body_too_long(struct pending *pending)
{
	http_error(&pending->request, 413, "a body of at most %zu bytes belongs here",
		   pending->route->body_max);
}

/* The head has come: who may answer, and may he at all? */
static void pending_begin(struct pending *pending)
{
	struct http_request *request = &pending->request;
	const struct http_server *server = pending->server;
	size_t size;

	route_find(pending, request->method);
	if (pending->response)
		return;
	if (!pending->route->open && server->token &&
	    !http_token_fits(http_header(request, "Authorization"), server->token)) {
		http_error(request, 401, "the bearer token is missing or wrong");
		return;
	}
	if (pending->route->begin) {
		pending->begun = true;
		pending->route->begin(server->self, request);
	}
	if (pending->response || pending->route->receive)
		return;
	size = promised(pending);
	if (size == SIZE_MAX)
		return;
	if (size > pending->route->body_max) {
		body_too_long(pending);
		return;
	}
	pending->room = size;
	pending->body = arena_alloc(&request->arena, size + 1);
	request->body = pending->body;
}

/* Room for a body whose length was not told. */
static void body_grow(struct pending *pending, size_t size)
{
	struct http_request *request = &pending->request;
	size_t room = pending->room > 0 ? pending->room : 1024;
	char *body;

	while (room < request->body_size + size)
		room *= 2;
	body = arena_alloc(&request->arena, room + 1);
	memcpy(body, request->body, request->body_size);
	pending->body = body;
	pending->room = room;
	request->body = body;
}

static enum MHD_Result body_take(struct pending *pending, const char *data, size_t size)
{
	struct http_request *request = &pending->request;

	if (pending->response || pending->broken) {
		pending->swallowed += size;
		return pending->swallowed <= HTTP_SWALLOW_MAX ? MHD_YES : MHD_NO;
	}
	if (pending->route->receive) {
		if (pending->route->receive(pending->server->self, request, data, size))
			pending->broken = true;
		return MHD_YES;
	}
	if (size > pending->route->body_max - request->body_size) {
		body_too_long(pending);
		return MHD_YES;
	}
	if (size > pending->room - request->body_size)
		body_grow(pending, size);
	memcpy(pending->body + request->body_size, data, size);
	request->body_size += size;
	return MHD_YES;
}

static enum MHD_Result pending_queue(struct pending *pending)
{
	return MHD_queue_response(pending->connection, (unsigned)pending->status,
				  pending->response);
}

static struct pending *pending_new(struct http_server *server, struct MHD_Connection *connection,
				   const char *path, const char *method)
{
	struct pending *pending = pending_take(server);

	if (!pending)
		return NULL;
	pending->server = server;
	pending->connection = connection;
	pending->request.path = path;
	pending->request.method = method;
	pending->request.body = "";
	return pending;
}

/* libmicrohttpd calls it with the head, with each piece of the body, and at the end. */
static enum MHD_Result on_request(void *self, struct MHD_Connection *connection, const char *path,
				  const char *method, const char *version, const char *data,
				  size_t *size, void **own)
{
	struct http_server *server = self;
	struct pending *pending = *own;
	enum MHD_Result result;
	size_t length;

	(void)version;
	if (!pending) {
		pending = pending_new(server, connection, path, method);
		if (!pending)
			return MHD_NO;
		*own = pending;
		pending_begin(pending);
		length = promised(pending);
		/* A long body that nobody wants: the answer comes first and the connection ends. */
		if (pending->response && length != SIZE_MAX && length > HTTP_SWALLOW_MAX)
			return pending_queue(pending);
		return MHD_YES;
	}
	if (*size > 0) {
		result = body_take(pending, data, *size);
		*size = 0;
		return result;
	}
	if (!pending->handled && !pending->response) {
		pending->handled = true;
		pending->route->handle(server->self, &pending->request);
		/* From here on another thread may be answering: nothing but `deferred` is read. */
		if (pending->deferred)
			return MHD_YES;
	}
	assert(pending->response);
	return pending_queue(pending);
}

static void on_completed(void *self, struct MHD_Connection *connection, void **own,
			 enum MHD_RequestTerminationCode code)
{
	struct pending *pending = *own;

	(void)self;
	(void)connection;
	(void)code;
	if (!pending)
		return;
	*own = NULL;
	if (pending->begun && pending->route->forget)
		pending->route->forget(pending->server->self, &pending->request);
	if (pending->response)
		MHD_destroy_response(pending->response);
	pending_give_back(pending->server, pending);
}

/* ---- the server ---- */

/* "A:P" as a socket address. */
static int address_parse(const char *address, struct sockaddr_storage *ret, socklen_t *ret_size,
			 struct error *e)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
				 .ai_socktype = SOCK_STREAM};
	const char *colon = strrchr(address, ':');
	struct addrinfo *found = NULL;
	char host[HTTP_ADDRESS_MAX];
	size_t length;

	if (!colon || (length = (size_t)(colon - address)) >= sizeof(host))
		return error_set(e, ERROR_USAGE, NO_PLACE, "'%s' is no ADDRESS:PORT", address);
	memcpy(host, address, length);
	host[length] = '\0';
	if (host[0] == '[' && host[length - 1] == ']') {
		host[length - 1] = '\0';
		memmove(host, host + 1, length - 1);
	}
	if (!host[0] || getaddrinfo(host, colon + 1, &hints, &found))
		return error_set(e, ERROR_USAGE, NO_PLACE, "'%s' is no ADDRESS:PORT", address);
	memcpy(ret, found->ai_addr, found->ai_addrlen);
	*ret_size = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

int http_address_check(const char *address, struct error *e)
{
	struct sockaddr_storage parsed;
	socklen_t size = 0;

	return address_parse(address, &parsed, &size, e);
}

/* The address with the port that the system chose. */
static int address_name(struct http_server *server, struct error *e)
{
	struct sockaddr_storage bound = {0};
	socklen_t size = sizeof(bound);
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (getsockname(server->listener, (struct sockaddr *)&bound, &size) ||
	    getnameinfo((struct sockaddr *)&bound, size, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV))
		return error_set(e, ERROR_IO, NO_PLACE, "the address of a socket cannot be read");
	snprintf(server->address, sizeof(server->address),
		 bound.ss_family == AF_INET6 ? "[%.45s]:%.5s" : "%.45s:%.5s", host, port);
	return 0;
}

static int listener_open(struct http_server *server, const char *listen_at, struct error *e)
{
	struct sockaddr_storage address = {0};
	socklen_t size = 0;
	int on = 1, fd;

	if (address_parse(listen_at, &address, &size, e))
		return -1;
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set(e, ERROR_IO, NO_PLACE, "socket: %s", strerror(errno));
	server->listener = fd;
	/* What is accepted inherits TCP_NODELAY: answers are small and wait for nothing. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) ||
	    bind(fd, (struct sockaddr *)&address, size) || listen(fd, HTTP_BACKLOG))
		return error_set(e, ERROR_IO, NO_PLACE, "cannot listen on %s: %s", listen_at,
				 strerror(errno));
	return address_name(server, e);
}

static unsigned daemon_flags(enum http_threads threads)
{
	switch (threads) {
	case HTTP_LOOP:
		return MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
	case HTTP_THREAD:
		return MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_INTERNAL_POLLING_THREAD;
	case HTTP_THREADS:
		return MHD_USE_POLL | MHD_USE_INTERNAL_POLLING_THREAD |
		       MHD_USE_THREAD_PER_CONNECTION;
	}
	assert(false);
	return 0;
}

int http_server_open(const struct http_config *config, struct http_server **ret_server,
		     struct error *e)
{
	struct http_server *server = calloc(1, sizeof(*server));

	if (!server)
		return error_set(e, ERROR_MEMORY, NO_PLACE, "no memory for a server");
	server->routes = config->routes;
	server->token = config->token;
	server->self = config->self;
	server->threads = config->threads;
	server->listener = -1;
	server->loop_thread = pthread_self();
	server->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (server->wake < 0) {
		free(server);
		return error_set(e, ERROR_IO, NO_PLACE, "eventfd: %s", strerror(errno));
	}
	pthread_mutex_init(&server->lock, NULL);
	if (listener_open(server, config->listen, e))
		goto out;
	server->daemon = MHD_start_daemon(
		daemon_flags(config->threads), 0, NULL, NULL, on_request, server,
		MHD_OPTION_LISTEN_SOCKET, server->listener, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, server, MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(HTTP_IDLE / NANOS_S),
		MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		config->memory > 0 ? config->memory : (size_t)HTTP_MEMORY, MHD_OPTION_END);
	if (!server->daemon) {
		error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "the HTTP server does not start: %s",
			  strerror(errno));
		goto out;
	}
	*ret_server = server;
	return 0;
out:
	if (server->listener >= 0)
		close(server->listener);
	close(server->wake);
	pthread_mutex_destroy(&server->lock);
	free(server);
	return -1;
}

const char *http_server_address(const struct http_server *server)
{
	return server->address;
}

void http_server_announce(const struct http_server *server)
{
	printf("listening %s\n", server->address);
	fflush(stdout);
}

void http_server_quiesce(struct http_server *server)
{
	int fd = MHD_quiesce_daemon(server->daemon);

	if (fd >= 0)
		close(fd);
}

void http_server_close(struct http_server *server)
{
	struct pending *pending, *next;

	assert(atomic_load(&server->deferred) == 0);
	/* What was answered last is still to be sent. */
	for (int i = 0; server->threads == HTTP_LOOP && i < HTTP_LAST_ROUNDS; i++)
		MHD_run(server->daemon);
	MHD_stop_daemon(server->daemon);
	for (pending = server->spare; pending; pending = next) {
		next = pending->next;
		arena_free(&pending->request.arena);
		free(pending);
	}
	close(server->wake);
	pthread_mutex_destroy(&server->lock);
	free(server);
}

void http_server_wake(struct http_server *server)
{
	static const uint64_t one = 1;

	/* libmicrohttpd's own way of waking up knows its own threads only. */
	if (server->threads != HTTP_LOOP || atomic_exchange(&server->due, true) ||
	    pthread_equal(pthread_self(), server->loop_thread))
		return;
	if (write(server->wake, &one, sizeof(one)) < 0)
		return; /* full: it is awake */
}

int http_server_wake_fd(const struct http_server *server)
{
	return server->wake;
}

int http_server_fd(const struct http_server *server)
{
	const union MHD_DaemonInfo *info;

	assert(server->threads == HTTP_LOOP);
	info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	assert(info);
	return info->epoll_fd;
}

nanos http_server_patience(const struct http_server *server)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (atomic_load(&server->due))
		return 0;
	if (MHD_get_timeout(server->daemon, &ms) != MHD_YES)
		return NANOS_NEVER;
	return (nanos)ms * NANOS_MS;
}

void http_server_run(struct http_server *server)
{
	uint64_t count;

	if (read(server->wake, &count, sizeof(count)) < 0)
		count = 0; /* nobody woke it */
	atomic_store(&server->due, false);
	MHD_run(server->daemon);
}

void http_defer(struct http_request *request)
{
	struct pending *pending = (struct pending *)request;

	assert(pending->server->threads != HTTP_THREADS);
	assert(pending->handled && !pending->response && !pending->deferred);
	pending->deferred = true;
	atomic_fetch_add(&pending->server->deferred, 1);
	MHD_suspend_connection(pending->connection);
}

const char *http_query(const struct http_request *request, const char *name)
{
	const struct pending *pending = (const struct pending *)request;

	return MHD_lookup_connection_value(pending->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *http_header(const struct http_request *request, const char *name)
{
	const struct pending *pending = (const struct pending *)request;

	return MHD_lookup_connection_value(pending->connection, MHD_HEADER_KIND, name);
}
