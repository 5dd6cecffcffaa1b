/* SPDX-License-Identifier: Apache-2.0 */
/* The client side for those that may wait: one call after the other over libcurl. */
#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "sim/minilepton/http.h"

struct http_client {
	CURL *curl;
};

/* A reply as it grows. */
struct sink {
	struct arena *arena;
	char *body;
	size_t size, room, max;
};

int http_client_prepare(struct error *e)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "libcurl does not start");
	return 0;
}

int http_client_open(struct http_client **ret_client, struct error *e)
{
	struct http_client *client = calloc(1, sizeof(*client));

	if (client)
		client->curl = curl_easy_init();
	if (!client || !client->curl) {
		free(client);
		return error_set(e, ERROR_MEMORY, NO_PLACE, "no memory for an HTTP client");
	}
	*ret_client = client;
	return 0;
}

void http_client_close(struct http_client *client)
{
	curl_easy_cleanup(client->curl);
	free(client);
}

static size_t sink_take(char *data, size_t unit, size_t count, void *self)
{
	struct sink *sink = self;
	size_t size = unit * count;
	char *body;

	if (size > sink->max - sink->size)
		return 0; /* libcurl ends the transfer with an error */
	if (size > sink->room - sink->size) {
		size_t room = sink->room;

		while (room < sink->size + size)
			room *= 2;
		body = arena_alloc(sink->arena, room + 1);
		memcpy(body, sink->body, sink->size);
		sink->body = body;
		sink->room = room;
	}
	memcpy(sink->body + sink->size, data, size);
	sink->size += size;
	return size;
}

static long milliseconds(nanos duration)
{
	nanos ms = (duration + NANOS_MS - 1) / NANOS_MS;

	return ms < 1 ? 1 : ms > INT32_MAX ? INT32_MAX : (long)ms;
}

/* The headers of a call; NULL without memory. */
static struct curl_slist *headers_make(const struct http_call *call, struct arena *arena)
{
	struct curl_slist *list = curl_slist_append(NULL, "Expect:"), *more;
	const char *lines[2] = {NULL};
	size_t count = 0;

	if (call->body)
		lines[count++] = arena_printf(arena, "Content-Type: %s",
					      call->type ? call->type : "application/json");
	if (call->token)
		lines[count++] = arena_printf(arena, "Authorization: Bearer %s", call->token);
	for (size_t i = 0; i < count && list; i++) {
		more = curl_slist_append(list, lines[i]);
		if (!more)
			curl_slist_free_all(list);
		list = more;
	}
	return list;
}

static CURLcode perform(CURL *curl, const struct http_call *call, const struct curl_slist *headers,
			struct sink *sink)
{
	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_URL, call->url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, milliseconds(call->timeout));
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(call->timeout));
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, sink_take);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, sink);
	if (call->body) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_size);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body);
	} else if (strcmp(call->method, "HEAD") == 0) {
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	}
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
	return curl_easy_perform(curl);
}

int http_call(struct http_client *client, const struct http_call *call, struct arena *arena,
	      struct http_reply *ret_reply, struct error *e)
{
	struct sink sink = {.arena = arena,
			    .room = 4096,
			    .max = call->reply_max > 0 ? call->reply_max : HTTP_REPLY_MAX};
	struct curl_slist *headers = headers_make(call, arena);
	CURLcode code;
	long status = 0;

	if (!headers)
		return error_set(e, ERROR_MEMORY, NO_PLACE, "no memory for a call");
	sink.body = arena_alloc(arena, sink.room + 1);
	code = perform(client->curl, call, headers, &sink);
	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
	/* The handle keeps no pointer to what goes now. */
	curl_easy_reset(client->curl);
	curl_slist_free_all(headers);
	if (code != CURLE_OK)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "%s %s: %s", call->method,
				 call->url, curl_easy_strerror(code));
	sink.body[sink.size] = '\0';
	*ret_reply =
		(struct http_reply){.status = (int)status, .body = sink.body, .size = sink.size};
	return 0;
}

int http_call_json(struct http_client *client, const struct http_call *call,
		   const struct cJSON *body, int *ret_status, struct cJSON **ret_json,
		   struct error *e)
{
	struct arena arena = {0};
	struct http_call whole = *call;
	struct http_reply reply = {0};
	char *text = NULL;
	int rc = -1;

	if (body) {
		text = cJSON_PrintUnformatted(body);
		if (!text)
			return error_set(e, ERROR_MEMORY, NO_PLACE, "no memory for a call");
		whole.body = text;
		whole.body_size = strlen(text);
	}
	if (http_call(client, &whole, &arena, &reply, e))
		goto out;
	*ret_status = reply.status;
	if (ret_json)
		*ret_json = http_json_parse(reply.body, reply.size);
	rc = 0;
out:
	free(text);
	arena_free(&arena);
	return rc;
}
