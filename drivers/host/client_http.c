/* SPDX-License-Identifier: Apache-2.0 */
/* The client's HTTP: libcurl's multi interface over the client's own epoll. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "drivers/host/client_private.h"

#define HEAD_MAX 128          /* SEQ KEY EPOCH CRC32C and a blank */
#define CONNECTION_IDLE_S 30L /* then a new one: servers close idle ones after a minute or so */
#define SEQUENCE_HEADER "X-Seq: %" PRIu32 "-%" PRIu64
#define SEQUENCE_HEADER_LONGEST "X-Seq: 4294967295-18446744073709551615"

/* ---- libcurl calls these ---- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *self, void *known)
{
	struct client *client = self;
	struct epoll_event event = {.data.u64 = EVENT_DATA(EVENT_SOCKET, fd)};

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(client->epoll, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	if (what & CURL_POLL_IN)
		event.events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		event.events |= EPOLLOUT;
	if (epoll_ctl(client->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event))
		return -1;
	curl_multi_assign(client->multi, fd, client);
	return 0;
}

static int on_timer(CURLM *multi, long ms, void *self)
{
	struct client *client = self;

	(void)multi;
	client->curl_due = ms < 0 ? NANOS_NEVER : client_now(client) + ms * NANOS_MS;
	return 0;
}

/* A connection that is closed while the other side hangs must not keep its port for minutes. */
static int on_open(void *self, curl_socket_t fd, curlsocktype purpose)
{
	struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	(void)self, (void)purpose;
	return setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) ? CURL_SOCKOPT_ERROR
										: CURL_SOCKOPT_OK;
}

/*
 * The body by a function that cannot be rewound: else libcurl sends a request a second time,
 * and tells nobody, when a kept connection breaks before the answer. A write sent twice is not ours
 * to hide.
 */
static size_t on_body(char *out, size_t size, size_t count, void *self)
{
	struct request *request = self;
	size_t length = request->body_length - request->body_sent;

	if (length > size * count)
		length = size * count;
	memcpy(out, request->body + request->body_sent, length);
	request->body_sent += length;
	return length;
}

static size_t on_answer(char *data, size_t size, size_t count, void *self)
{
	struct request *request = self;
	size_t length = size * count;

	if (length > sizeof(request->answer) - request->answer_length) {
		request->answer_too_long = true;
		return length;
	}
	memcpy(request->answer + request->answer_length, data, length);
	request->answer_length += length;
	return length;
}

/* ---- requests ---- */

static void set_options(struct request *request)
{
	const struct adapter_config *adapter = &request->endpoint->config.adapter;
	CURL *easy = request->easy;
	char url[2 * ADAPTER_PATH_MAX + 32];

	snprintf(url, sizeof(url), "http://%s:%u%s", adapter->host, adapter->port, adapter->path);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
	curl_easy_setopt(easy, CURLOPT_POST, 1L);
	curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_READDATA, request);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_answer);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
	curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_open);
	curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, CONNECTION_IDLE_S);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->headers);
}

static struct request *request_new(struct endpoint *endpoint)
{
	struct arena *arena = &endpoint->client->arena;
	struct request *request = arena_alloc(arena, sizeof(*request));

	request->endpoint = endpoint;
	request->body = arena_alloc(arena, HEAD_MAX + (size_t)endpoint->config.payload_bytes + 2);
	request->easy = curl_easy_init();
	request->headers = curl_slist_append(NULL, SEQUENCE_HEADER_LONGEST);
	request->headers = curl_slist_append(request->headers, "Accept:");
	request->headers = curl_slist_append(request->headers, "Content-Type: text/plain");
	request->headers = curl_slist_append(request->headers, "Expect:");
	if (!request->easy || !request->headers)
		return NULL;
	request->sequence_header = request->headers->data;
	set_options(request);
	request->next = endpoint->all;
	endpoint->all = request;
	return request;
}

static struct request *take(struct endpoint *endpoint)
{
	struct request *request = endpoint->free;

	if (request) {
		endpoint->free = request->next_free;
		return request;
	}
	if (endpoint->made == endpoint->room)
		return NULL;
	request = request_new(endpoint);
	endpoint->made += request != NULL;
	return request;
}

static void put_back(struct request *request)
{
	struct endpoint *endpoint = request->endpoint;

	curl_multi_remove_handle(endpoint->client->multi, request->easy);
	request->next_free = endpoint->free;
	endpoint->free = request;
}

bool client_http_send(struct endpoint *endpoint, uint64_t sequence, nanos now)
{
	struct slot *slot = client_slot(endpoint, sequence);
	struct request *request = take(endpoint);
	struct ledger_write *write;
	char head[HEAD_MAX];

	if (!request)
		return false;
	write = &request->write;
	ledger_write(endpoint->ledger, sequence, write, request->body + HEAD_MAX);
	request->head_length =
		(size_t)snprintf(head, sizeof(head), "%" PRIu64 " %s %" PRIu32 " %08" PRIx32 " ",
				 sequence, write->key, write->epoch, write->crc);
	request->payload = request->body + request->head_length;
	memmove(request->payload, request->body + HEAD_MAX, write->length);
	memcpy(request->body, head, request->head_length);
	request->body_length = request->head_length + write->length;
	request->body_sent = 0;
	request->answer_length = 0;
	request->answer_too_long = false;
	snprintf(request->sequence_header, sizeof(SEQUENCE_HEADER_LONGEST), SEQUENCE_HEADER,
		 endpoint->number, sequence);
	curl_easy_setopt(request->easy, CURLOPT_POSTFIELDSIZE, (long)request->body_length);
	ledger_sent(endpoint->ledger, sequence);
	slot->carrier = request;
	slot->sent = now;
	if (curl_multi_add_handle(endpoint->client->multi, request->easy) != CURLM_OK) {
		put_back(request);
		client_never_sent(endpoint, sequence, now);
	}
	return true;
}

/* Without an answer: not a byte of it left, or nobody knows. */
static void without_answer(struct request *request, nanos now)
{
	struct endpoint *endpoint = request->endpoint;
	uint64_t sequence = request->write.sequence;
	long written = 0;

	curl_easy_getinfo(request->easy, CURLINFO_REQUEST_SIZE, &written);
	if (written == 0)
		client_never_sent(endpoint, sequence, now);
	else
		client_end(endpoint, sequence, OUTCOME_UNKNOWN, false, now);
}

void client_http_give_up(struct endpoint *endpoint, uint64_t sequence, nanos now)
{
	struct request *request = client_slot(endpoint, sequence)->carrier;

	without_answer(request, now);
	put_back(request);
}

/* ---- answers ---- */

struct words {
	const char *text[4]; /* SEQ ANSWER ID SITE */
	size_t length[4];
};

static bool split(const char *text, size_t length, struct words *ret)
{
	if (length > 0 && text[length - 1] == '\n')
		length--;
	for (int i = 0; i < 4; i++) {
		const char *end = length ? memchr(text, ' ', length) : NULL;

		ret->text[i] = text;
		ret->length[i] = end ? (size_t)(end - text) : length;
		if (ret->length[i] == 0 || (i < 3) != (end != NULL))
			return false;
		text = end + 1;
		length -= ret->length[i] + (i < 3);
	}
	return true;
}

/* A 2xx. Acknowledged is what gives our number back, whatever else it says. */
static void accepted(struct request *request, nanos now)
{
	struct endpoint *endpoint = request->endpoint;
	const struct ledger_write *write = &request->write;
	char number[24], expected[CLIENT_ANSWER_MAX];
	struct words words;
	bool right = true;
	int length = snprintf(number, sizeof(number), "%" PRIu64, write->sequence);

	if (request->answer_too_long || !split(request->answer, request->answer_length, &words) ||
	    words.length[0] != (size_t)length ||
	    memcmp(words.text[0], number, words.length[0]) != 0) {
		client_end(endpoint, write->sequence, OUTCOME_WRONG, true, now);
		return;
	}
	ledger_acknowledged(endpoint->ledger, write->sequence, now, words.text[2], words.length[2],
			    words.text[3], words.length[3]);
	if (endpoint->config.expect) {
		endpoint->config.expect(endpoint->config.expect_self, write->key, request->payload,
					write->length, expected);
		right = strlen(expected) == words.length[1] &&
			memcmp(expected, words.text[1], words.length[1]) == 0;
	}
	client_end(endpoint, write->sequence, client_outcome(endpoint, write->sequence, right, now),
		   true, now);
}

/* These say that it was not taken; of other errors nobody knows. */
static bool is_refusal(long status)
{
	return (status >= 400 && status < 500 && status != 408) || status == 503 || status == 507;
}

static void done(struct request *request, CURLcode code, nanos now)
{
	struct endpoint *endpoint = request->endpoint;
	long status = 0, connects = 0;

	curl_easy_getinfo(request->easy, CURLINFO_NUM_CONNECTS, &connects);
	endpoint->totals.connects += (uint64_t)connects;
	if (code != CURLE_OK) {
		without_answer(request, now);
	} else {
		curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
		if (status >= 200 && status < 300) {
			accepted(request, now);
		} else {
			if (is_refusal(status))
				ledger_refused(endpoint->ledger, request->write.sequence);
			client_end(endpoint, request->write.sequence, OUTCOME_FAILED, true, now);
		}
	}
	put_back(request);
}

void client_http_turn(struct client *client, int fd, uint32_t events)
{
	int what = 0, running, left;
	CURLMsg *message;

	if (fd < 0) {
		client->curl_due = NANOS_NEVER;
		curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	} else {
		what |= events & EPOLLIN ? CURL_CSELECT_IN : 0;
		what |= events & EPOLLOUT ? CURL_CSELECT_OUT : 0;
		what |= events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0;
		curl_multi_socket_action(client->multi, fd, what, &running);
	}
	while ((message = curl_multi_info_read(client->multi, &left))) {
		struct request *request;
		char *private = NULL;
		CURLcode code = message->data.result;

		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
		request = (struct request *)(void *)private;
		done(request, code, client_now(client));
	}
}

int client_http_open(struct client *client, struct error *e)
{
	long connections = 0;

	client->curl_due = NANOS_NEVER;
	if (lazy_curl_open(e))
		return -1;
	client->multi = curl_multi_init();
	if (!client->multi)
		return error_set(e, ERROR_MEMORY, NO_PLACE, "libcurl gives no handle");
	for (uint32_t i = 0; i < client->endpoint_count; i++)
		connections += client->endpoints[i].room;
	curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, connections);
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
	return 0;
}

void client_http_close(struct client *client)
{
	for (uint32_t i = 0; i < client->endpoint_count; i++) {
		struct request *request = client->endpoints[i].all;

		for (; request; request = request->next) {
			curl_multi_remove_handle(client->multi, request->easy);
			curl_easy_cleanup(request->easy);
			curl_slist_free_all(request->headers);
		}
	}
	if (client->multi)
		curl_multi_cleanup(client->multi);
}
