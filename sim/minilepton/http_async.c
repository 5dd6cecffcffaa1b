/* SPDX-License-Identifier: Apache-2.0 */
/* The client side in an event loop: libcurl's multi interface, told by epoll and timers what is
 * ready. */
#include <assert.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "sim/minilepton/http.h"
#include "sim/minilepton/loop.h"
#include "sim/minilepton/minilepton.h"

#define CONNECTIONS_KEPT 256L
/*
 * libcurl looks through all connections to a server for one that is free. With the thousands that
 * a stall leaves, that takes longer than the transfer: so several of its stacks share them.
 */
#define SHARDS 16

/* A handle of libcurl, kept from transfer to transfer. */
struct handle {
	CURL *easy;
	struct shard *shard;
	struct http_transfer *transfer;
	char *reply;
	size_t size, room;
	char type[64]; /* of the body, what `headers` say */
	struct curl_slist *headers;
	struct handle *next, *previous;
};

struct shard {
	struct http_async *async;
	CURLM *multi;
	struct loop_timer timer;
};

struct http_async {
	struct loop *loop;
	struct shard shards[SHARDS];
	size_t turn;
	struct loop_timer failing;
	struct handle *busy, *spare;
	struct http_transfer *failed; /* that did not even start */
	size_t busy_count;
};

/* ---- handles ---- */

static size_t reply_take(char *data, size_t unit, size_t count, void *self)
{
	struct handle *handle = self;
	size_t size = unit * count, room = handle->room > 0 ? handle->room : 256;
	char *reply;

	if (size > handle->transfer->reply_max - handle->size)
		return 0; /* libcurl ends the transfer with an error */
	if (handle->size + size >= handle->room) {
		while (room <= handle->size + size)
			room *= 2;
		reply = realloc(handle->reply, room);
		if (!reply)
			return 0;
		handle->reply = reply;
		handle->room = room;
	}
	memcpy(handle->reply + handle->size, data, size);
	handle->size += size;
	return size;
}

static void handle_free(struct handle *handle)
{
	curl_easy_cleanup(handle->easy);
	curl_slist_free_all(handle->headers);
	free(handle->reply);
	free(handle);
}

static struct handle *handle_new(void)
{
	struct handle *handle = calloc(1, sizeof(*handle));

	if (!handle)
		return NULL;
	handle->easy = curl_easy_init();
	handle->headers = curl_slist_append(NULL, "Expect:");
	if (!handle->easy || !handle->headers) {
		handle_free(handle);
		return NULL;
	}
	curl_easy_setopt(handle->easy, CURLOPT_PRIVATE, handle);
	curl_easy_setopt(handle->easy, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(handle->easy, CURLOPT_PROXY, "");
	curl_easy_setopt(handle->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(handle->easy, CURLOPT_WRITEFUNCTION, reply_take);
	curl_easy_setopt(handle->easy, CURLOPT_WRITEDATA, handle);
	curl_easy_setopt(handle->easy, CURLOPT_HTTPHEADER, handle->headers);
	return handle;
}

/* The list of headers is made anew only when the type differs from the last transfer's. */
static int headers_set(struct handle *handle, const char *type)
{
	char line[sizeof("Content-Type: ") + sizeof(handle->type)] = "Content-Type: ";
	struct curl_slist *list;

	type = type ? type : "";
	if (strcmp(handle->type, type) == 0)
		return 0;
	if (strlen(type) >= sizeof(handle->type))
		return -1;
	memcpy(line + sizeof("Content-Type: ") - 1, type, strlen(type) + 1);
	list = curl_slist_append(NULL, "Expect:");
	if (!list || (type[0] && !curl_slist_append(list, line))) {
		curl_slist_free_all(list);
		return -1;
	}
	curl_slist_free_all(handle->headers);
	handle->headers = list;
	curl_easy_setopt(handle->easy, CURLOPT_HTTPHEADER, list);
	memcpy(handle->type, type, strlen(type) + 1);
	return 0;
}

static long milliseconds(nanos duration)
{
	nanos ms = (duration + NANOS_MS - 1) / NANOS_MS;

	return ms < 1 ? 1 : ms > INT32_MAX ? INT32_MAX : (long)ms;
}

static int handle_load(struct handle *handle, struct http_transfer *transfer)
{
	CURL *easy = handle->easy;

	if (headers_set(handle, transfer->type))
		return -1;
	if (transfer->body) {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
				 (curl_off_t)transfer->body_size);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer->body);
	} else {
		curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
	}
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, transfer->method);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, milliseconds(transfer->timeout));
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(transfer->connect_timeout));
	return curl_easy_setopt(easy, CURLOPT_URL, transfer->url) == CURLE_OK ? 0 : -1;
}

static struct handle *handle_take(struct http_async *async)
{
	struct handle *handle = async->spare;

	if (async->busy_count == HTTP_TRANSFERS_MAX)
		return NULL;
	if (handle)
		async->spare = handle->next;
	else
		handle = handle_new();
	if (!handle)
		return NULL;
	handle->shard = &async->shards[async->turn++ % SHARDS];
	handle->size = 0;
	handle->previous = NULL;
	handle->next = async->busy;
	if (async->busy)
		async->busy->previous = handle;
	async->busy = handle;
	async->busy_count++;
	return handle;
}

static void handle_give_back(struct http_async *async, struct handle *handle)
{
	assert(handle->transfer);
	if (handle->previous)
		handle->previous->next = handle->next;
	else
		async->busy = handle->next;
	if (handle->next)
		handle->next->previous = handle->previous;
	handle->transfer->handle = NULL;
	handle->transfer = NULL;
	async->busy_count--;
	handle->next = async->spare;
	async->spare = handle;
}

/* ---- transfers ---- */

static enum http_outcome outcome_of(CURL *easy, CURLcode code)
{
	curl_off_t sent = 0;

	if (code == CURLE_OK)
		return HTTP_REPLIED;
	if (code == CURLE_COULDNT_CONNECT)
		return HTTP_NO_CONNECTION;
	if (code != CURLE_OPERATION_TIMEDOUT)
		return HTTP_BROKEN;
	curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &sent);
	return sent > 0 ? HTTP_TIMED_OUT : HTTP_NO_CONNECTION;
}

static void finish(struct http_async *async, struct handle *handle, CURLcode code)
{
	struct http_transfer *transfer = handle->transfer;
	char *type = NULL;
	long status = 0;

	curl_easy_getinfo(handle->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(handle->easy, CURLINFO_CONTENT_TYPE, &type);
	transfer->outcome = outcome_of(handle->easy, code);
	transfer->status = (int)status;
	transfer->reply_type[0] = '\0';
	if (type && strlen(type) < sizeof(transfer->reply_type))
		memcpy(transfer->reply_type, type, strlen(type) + 1);
	transfer->reply = handle->reply;
	transfer->reply_size = handle->size;
	handle->reply = NULL;
	handle->room = 0;
	curl_multi_remove_handle(handle->shard->multi, handle->easy);
	handle_give_back(async, handle);
	transfer->done(transfer->self, transfer);
}

static void collect(struct shard *shard)
{
	struct handle *handle;
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(shard->multi, &left))) {
		CURLcode code = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&handle);
		finish(shard->async, handle, code);
	}
}

static void on_socket(void *self, int fd, uint32_t events)
{
	struct shard *shard = self;
	int flags = 0, running;

	if (events & (EPOLLIN | EPOLLHUP))
		flags |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		flags |= CURL_CSELECT_OUT;
	if (events & EPOLLERR)
		flags |= CURL_CSELECT_ERR;
	curl_multi_socket_action(shard->multi, fd, flags, &running);
	collect(shard);
}

static void on_timer(void *self)
{
	struct shard *shard = self;
	int running;

	curl_multi_socket_action(shard->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	collect(shard);
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *self, void *of_socket)
{
	struct shard *shard = self;
	struct error e = {0};
	uint32_t events = 0;

	(void)easy;
	(void)of_socket;
	if (what == CURL_POLL_REMOVE) {
		loop_unwatch(shard->async->loop, fd);
		return 0;
	}
	if (what & CURL_POLL_IN)
		events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		events |= EPOLLOUT;
	if (loop_watch(shard->async->loop, fd, events, on_socket, shard, &e) == 0)
		return 0;
	minilepton_say("error: %s", e.text);
	return -1;
}

static int want_timer(CURLM *multi, long ms, void *self)
{
	struct shard *shard = self;

	(void)multi;
	if (ms < 0)
		loop_timer_clear(shard->async->loop, &shard->timer);
	else
		loop_timer_set(shard->async->loop, &shard->timer, minilepton_now() + ms * NANOS_MS);
	return 0;
}

static void on_failing(void *self)
{
	struct http_async *async = self;

	while (async->failed) {
		struct http_transfer *transfer = async->failed;

		async->failed = transfer->next;
		transfer->done(transfer->self, transfer);
	}
}

void http_async_start(struct http_async *async, struct http_transfer *transfer)
{
	struct handle *handle = handle_take(async);

	transfer->reply = NULL;
	transfer->reply_size = 0;
	transfer->status = 0;
	if (handle) {
		handle->transfer = transfer;
		transfer->handle = handle;
		if (handle_load(handle, transfer) == 0 &&
		    curl_multi_add_handle(handle->shard->multi, handle->easy) == CURLM_OK)
			return;
		handle_give_back(async, handle);
	}
	transfer->outcome = HTTP_NO_CONNECTION;
	transfer->next = async->failed;
	async->failed = transfer;
	loop_timer_set(async->loop, &async->failing, minilepton_now());
}

void http_async_cancel(struct http_async *async, struct http_transfer *transfer)
{
	struct handle *handle = transfer->handle;

	if (handle) {
		curl_multi_remove_handle(handle->shard->multi, handle->easy);
		handle_give_back(async, handle);
	}
	for (struct http_transfer **link = &async->failed; *link;)
		if (*link == transfer)
			*link = transfer->next;
		else
			link = &(*link)->next;
}

static int shard_open(struct http_async *async, struct shard *shard)
{
	shard->async = async;
	shard->timer.fire = on_timer;
	shard->timer.self = shard;
	shard->multi = curl_multi_init();
	if (!shard->multi)
		return -1;
	curl_multi_setopt(shard->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	curl_multi_setopt(shard->multi, CURLMOPT_SOCKETDATA, shard);
	curl_multi_setopt(shard->multi, CURLMOPT_TIMERFUNCTION, want_timer);
	curl_multi_setopt(shard->multi, CURLMOPT_TIMERDATA, shard);
	curl_multi_setopt(shard->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT);
	curl_multi_setopt(shard->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	return 0;
}

int http_async_open(struct loop *loop, struct http_async **ret_async, struct error *e)
{
	struct http_async *async = calloc(1, sizeof(*async));

	if (!async)
		return error_set(e, ERROR_MEMORY, NO_PLACE, "no memory for an HTTP client");
	async->loop = loop;
	async->failing.fire = on_failing;
	async->failing.self = async;
	for (size_t i = 0; i < SHARDS; i++)
		if (shard_open(async, &async->shards[i])) {
			http_async_close(async);
			return error_set(e, ERROR_MEMORY, NO_PLACE, "no memory for an HTTP client");
		}
	*ret_async = async;
	return 0;
}

void http_async_close(struct http_async *async)
{
	struct handle *handle, *next;

	while (async->busy)
		http_async_cancel(async, async->busy->transfer);
	for (handle = async->spare; handle; handle = next) {
		next = handle->next;
		handle_free(handle);
	}
	for (size_t i = 0; i < SHARDS; i++) {
		curl_multi_cleanup(async->shards[i].multi);
		loop_timer_clear(async->loop, &async->shards[i].timer);
	}
	loop_timer_clear(async->loop, &async->failing);
	free(async);
}
