/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store on a server. PUT, GET (with Range), HEAD and DELETE of /o/KEY; a list is GET
 * /o/?prefix=P&after=KEY: {"objects": [{"key": "…", "bytes": N}, …], "next": "KEY" or null}, sorted
 * by key, "next" being the last key of a list that has more. README.md has all of it.
 */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "drivers/lazy/curl.h"
#include "drivers/store/bytes.h"
#include "drivers/store/store_private.h"

#define TRIES 3
#define TRY_NAP (150 * NANOS_MS)
#define CONNECT_MS 5000L
#define STALL_S 30L /* so long without a byte is a failure */
#define LIST_MAX ((size_t)4 << 20)
#define MESSAGE_MAX 160
#define KEPT_MAX 64 /* connections that wait for their next request */

#define LOCKS "locks/"
#define LOCK_BEAT NANOS_S        /* who holds a lock says so every … */
#define LOCK_LEASE (5 * NANOS_S) /* and is dead when it has not for … */
#define LOCK_LOOK (100 * NANOS_MS)
#define LOCK_KINDS 3

struct held {
	char key[STORE_KEY_MAX]; /* "": not held */
};

struct http {
	char *base; /* without a slash at the end */
	char *token;
	pthread_mutex_t mutex;
	const atomic_bool *_Atomic cancel;
	CURL *kept[KEPT_MAX];
	size_t kept_count;
	/* Locks, and the thread that keeps them alive. */
	pthread_mutex_t lock_mutex;
	pthread_cond_t lock_changed;
	pthread_t beat;
	bool beating, stop, lost;
	struct held held[LOCK_KINDS];
	uint64_t beats;
};

/* ---- one request ---- */

struct request {
	const char *method, *key, *query; /* query: after "/o/", instead of a key */
	const void *body;
	size_t body_bytes;
	const char *range;
	uint8_t *answer; /* room for `room` bytes */
	size_t room, got;
	bool too_long;
	long status;
	curl_off_t length; /* as the head says */
	char message[MESSAGE_MAX];
	size_t message_bytes;
};

static size_t take_bytes(char *data, size_t size, size_t count, void *self)
{
	struct request *request = self;
	size_t bytes = size * count;

	(void)size;
	if (request->message_bytes < sizeof(request->message) - 1) {
		size_t room = sizeof(request->message) - 1 - request->message_bytes;
		size_t part = bytes < room ? bytes : room;

		memcpy(request->message + request->message_bytes, data, part);
		request->message_bytes += part;
	}
	if (bytes > request->room - request->got) {
		/* What a failure says is read on; an answer that is too long is none. */
		request->too_long = true;
		bytes = request->room - request->got;
	}
	if (bytes > 0)
		memcpy(request->answer + request->got, data, bytes);
	request->got += bytes;
	return size * count;
}

static CURL *take_handle(struct http *http)
{
	CURL *handle = NULL;

	pthread_mutex_lock(&http->mutex);
	if (http->kept_count > 0)
		handle = http->kept[--http->kept_count];
	pthread_mutex_unlock(&http->mutex);
	return handle ? handle : curl_easy_init();
}

static void give_handle(struct http *http, CURL *handle)
{
	pthread_mutex_lock(&http->mutex);
	if (http->kept_count < KEPT_MAX) {
		http->kept[http->kept_count++] = handle;
		handle = NULL;
	}
	pthread_mutex_unlock(&http->mutex);
	if (handle)
		curl_easy_cleanup(handle);
}

static bool is_cancelled(struct http *http)
{
	const atomic_bool *cancel = atomic_load(&http->cancel);

	return cancel && atomic_load(cancel);
}

static int look_up(void *self, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up)
{
	(void)total;
	(void)now;
	(void)up_total;
	(void)up;
	return is_cancelled(self); /* not 0 ends the transfer */
}

static void set_up(struct http *http, CURL *handle, struct request *request, const char *url,
		   struct curl_slist *headers)
{
	curl_easy_reset(handle); /* keeps the connection */
	curl_easy_setopt(handle, CURLOPT_URL, url);
	curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(handle, CURLOPT_PROXY, "");
	curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, STALL_S);
	curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take_bytes);
	curl_easy_setopt(handle, CURLOPT_WRITEDATA, request);
	curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, look_up);
	curl_easy_setopt(handle, CURLOPT_XFERINFODATA, http);
	if (http->token) {
		curl_easy_setopt(handle, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
		curl_easy_setopt(handle, CURLOPT_XOAUTH2_BEARER, http->token);
	}
	if (request->range)
		curl_easy_setopt(handle, CURLOPT_RANGE, request->range);
	if (strcmp(request->method, "HEAD") == 0) {
		curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
	} else if (request->body) {
		curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request->body);
		curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE,
				 (curl_off_t)request->body_bytes);
	}
	if (strcmp(request->method, "HEAD") != 0)
		curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request->method);
}

/* 0: there is an answer, whatever its status. -1: there is none. */
static int perform(struct http *http, struct request *request, struct error *e)
{
	CURL *handle = take_handle(http);
	/* No "Expect: 100-continue": it costs a round trip, or a second where it is not known. */
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
	char url[2 * STORE_KEY_MAX + 512];
	CURLcode code = CURLE_OUT_OF_MEMORY;

	snprintf(url, sizeof(url), "%s/o/%s", http->base,
		 request->query ? request->query : request->key);
	for (int try = 0; handle && try < TRIES && !is_cancelled(http); try++) {
		const struct timespec nap = {.tv_nsec = TRY_NAP};

		if (try > 0)
			nanosleep(&nap, NULL);
		request->got = request->message_bytes = 0;
		request->too_long = false;
		set_up(http, handle, request, url, headers);
		code = curl_easy_perform(handle);
		if (code != CURLE_OK)
			continue;
		curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &request->status);
		curl_easy_getinfo(handle, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &request->length);
		/* Busy, or on its way up: every request can be made again. */
		if (request->status != 502 && request->status != 503)
			break;
	}
	request->message[request->message_bytes] = '\0';
	curl_slist_free_all(headers);
	if (handle)
		give_handle(http, handle);
	if (code == CURLE_OK)
		return 0;
	if (is_cancelled(http))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cancelled");
	return error_set(e, ERROR_IO, NO_PLACE, "the store %s does not answer: %s", http->base,
			 curl_easy_strerror(code));
}

/* What a status says that is no success. */
static int refused(const struct http *http, const struct request *request, struct error *e)
{
	char text[MESSAGE_MAX];
	enum error_kind kind = ERROR_IO;
	size_t i;

	for (i = 0; request->message[i]; i++)
		text[i] = (unsigned char)request->message[i] < 0x20 ? ' ' : request->message[i];
	text[i] = '\0';
	if (request->status == 404)
		kind = ERROR_TARGET;
	else if (request->status == 401 || request->status == 403)
		kind = ERROR_UNAVAILABLE;
	if (request->status == 507)
		return error_set(e, ERROR_IO, NO_PLACE, "cannot write %s/o/%s: the disk is full",
				 http->base, request->key);
	return error_set(e, kind, NO_PLACE, "the store %s answers %s %s with %ld%s%s", http->base,
			 request->method, request->query ? request->query : request->key,
			 request->status, *text ? ": " : "", text);
}

/* ---- objects ---- */

static int http_put(void *self, const char *key, const void *data, size_t bytes, struct error *e)
{
	struct request request = {.method = "PUT", .key = key, .body_bytes = bytes};

	request.body = bytes > 0 ? data : "";
	if (perform(self, &request, e))
		return -1;
	return request.status / 100 == 2 ? 0 : refused(self, &request, e);
}

static int http_get(void *self, const char *key, uint64_t offset, void *buffer, size_t bytes,
		    size_t *ret_got, struct error *e)
{
	struct http *http = self;
	struct request request = {.method = "GET", .key = key, .answer = buffer, .room = bytes};
	char range[64];

	if (bytes == 0) {
		*ret_got = 0;
		return 0;
	}
	snprintf(range, sizeof(range), "%" PRIu64 "-%" PRIu64, offset, offset + bytes - 1);
	request.range = range;
	if (perform(http, &request, e))
		return -1;
	if (request.status == 416) { /* it begins behind the end */
		*ret_got = 0;
		return 0;
	}
	if (request.status != 206 && !(request.status == 200 && offset == 0))
		return refused(http, &request, e);
	/* A whole object where its beginning was asked for is right as far as it goes. */
	if (request.too_long && request.status == 206)
		return error_set(e, ERROR_IO, NO_PLACE,
				 "the store %s answers with more than was asked for", http->base);
	*ret_got = request.got;
	return 0;
}

static int http_size(void *self, const char *key, uint64_t *ret_bytes, struct error *e)
{
	struct request request = {.method = "HEAD", .key = key};

	if (perform(self, &request, e))
		return -1;
	if (request.status != 200 || request.length < 0)
		return refused(self, &request, e);
	*ret_bytes = (uint64_t)request.length;
	return 0;
}

static int http_remove(void *self, const char *key, struct error *e)
{
	struct request request = {.method = "DELETE", .key = key};

	if (perform(self, &request, e))
		return -1;
	return request.status / 100 == 2 || request.status == 404 ? 0 : refused(self, &request, e);
}

static bool key_fits(const char *key, const char *prefix, const char *after)
{
	size_t length = strlen(key);

	return length > 0 && length < STORE_KEY_MAX &&
	       strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/-") ==
		       length &&
	       !strstr(key, "..") && strncmp(key, prefix, strlen(prefix)) == 0 &&
	       strcmp(key, after) > 0;
}

/* One page; `after` moves to its last key, and is "" when there is no more. */
static int take_page(const struct http *http, const char *text, const char *prefix,
		     char after[STORE_KEY_MAX], store_object_fn *each, void *each_self,
		     struct error *e)
{
	cJSON *page = cJSON_Parse(text);
	const cJSON *objects = cJSON_GetObjectItemCaseSensitive(page, "objects");
	const cJSON *next = cJSON_GetObjectItemCaseSensitive(page, "next"), *item;
	bool more = cJSON_IsString(next);
	int rc = -1;

	if (!cJSON_IsArray(objects) || (more && !objects->child))
		goto strange;
	cJSON_ArrayForEach (item, objects) {
		const cJSON *key = cJSON_GetObjectItemCaseSensitive(item, "key");
		const cJSON *bytes = cJSON_GetObjectItemCaseSensitive(item, "bytes");

		if (!cJSON_IsString(key) || !cJSON_IsNumber(bytes) || bytes->valuedouble < 0 ||
		    bytes->valuedouble > 9e15 || !key_fits(key->valuestring, prefix, after))
			goto strange;
		snprintf(after, STORE_KEY_MAX, "%s", key->valuestring);
		if (each(each_self, after, (uint64_t)bytes->valuedouble, e))
			goto out;
	}
	if (!more)
		after[0] = '\0';
	rc = 0;
out:
	cJSON_Delete(page);
	return rc;
strange:
	error_set(e, ERROR_IO, NO_PLACE, "the store %s gives a list that makes no sense",
		  http->base);
	goto out;
}

static int http_list(void *self, const char *prefix, store_object_fn *each, void *each_self,
		     struct error *e)
{
	struct http *http = self;
	char after[STORE_KEY_MAX] = "", query[2 * STORE_KEY_MAX + 32];
	char *text = malloc(LIST_MAX + 1);
	int rc = -1;

	if (!text)
		return error_set(e, ERROR_MEMORY, NO_PLACE, "no memory");
	do {
		struct request request = {.method = "GET", .query = query};

		request.answer = (uint8_t *)text;
		request.room = LIST_MAX;
		snprintf(query, sizeof(query), "?prefix=%s&after=%s", prefix, after);
		if (perform(http, &request, e))
			goto out;
		if (request.status != 200 || request.too_long) {
			refused(http, &request, e);
			goto out;
		}
		text[request.got] = '\0';
		if (take_page(http, text, prefix, after, each, each_self, e))
			goto out;
	} while (after[0]);
	rc = 0;
out:
	free(text);
	return rc;
}

/* ---- locks ----
 *
 * Each holder has an object of its own under locks/, which it writes again every LOCK_BEAT. It puts
 * it before it looks for others: of two that come at once, at least one sees the other. One that
 * does not beat for LOCK_LEASE is dead, and whoever waits for it removes it. Names are never used
 * again, so that nobody removes the lock of a third.
 */

static const char *const lock_names[LOCK_KINDS] = {
	[STORE_LOCK_WRITE] = "write", [STORE_LOCK_READ] = "read", [STORE_LOCK_PRUNE] = "prune"};

static bool excludes(enum store_lock lock, const char *key)
{
	const char *name = key + strlen(LOCKS);
	bool write = strncmp(name, "write-", 6) == 0, prune = strncmp(name, "prune-", 6) == 0;

	switch (lock) {
	case STORE_LOCK_WRITE:
		return write || prune;
	case STORE_LOCK_READ:
		return prune;
	case STORE_LOCK_PRUNE:
		return true;
	}
	return true;
}

/* Under lock_mutex. */
static int beat_once(struct http *http, const char *key, bool first, struct error *e)
{
	char text[32];
	uint64_t bytes;

	/* One that was taken away must not come back. */
	if (!first && http_size(http, key, &bytes, e))
		return -1;
	snprintf(text, sizeof(text), "%" PRIu64 "\n", ++http->beats);
	return http_put(http, key, text, strlen(text), e);
}

static void *beat(void *self)
{
	struct http *http = self;
	nanos last = store_now();

	pthread_mutex_lock(&http->lock_mutex);
	while (!http->stop) {
		struct timespec until;
		bool good = true;

		clock_gettime(CLOCK_REALTIME, &until); /* style: allow */
		until.tv_sec += LOCK_BEAT / NANOS_S;
		pthread_cond_timedwait(&http->lock_changed, &http->lock_mutex, &until);
		for (int i = 0; i < LOCK_KINDS && !http->stop; i++) {
			struct error ignored = {0};

			if (http->held[i].key[0] &&
			    beat_once(http, http->held[i].key, false, &ignored)) {
				good = false;
				http->lost = http->lost || ignored.kind == ERROR_TARGET;
			}
		}
		if (good)
			last = store_now();
		else if (store_now() - last > LOCK_LEASE / 2)
			http->lost = true;
	}
	pthread_mutex_unlock(&http->lock_mutex);
	return NULL;
}

struct rivals {
	struct http *http;
	enum store_lock lock;
	char key[STORE_KEY_MAX]; /* the first one found */
};

static int note_rival(void *self, const char *key, uint64_t bytes, struct error *e)
{
	struct rivals *rivals = self;

	(void)bytes;
	(void)e;
	for (int i = 0; i < LOCK_KINDS; i++)
		if (strcmp(rivals->http->held[i].key, key) == 0)
			return 0;
	if (!rivals->key[0] && excludes(rivals->lock, key))
		snprintf(rivals->key, sizeof(rivals->key), "%s", key);
	return 0;
}

/* Does it beat? A dead one is removed, and then it is not there any more. */
static int outwait(struct http *http, const char *key, struct error *e)
{
	char first[64] = "", now[64];
	nanos since = store_now();
	const struct timespec nap = {.tv_nsec = LOCK_LOOK};
	size_t got;

	for (bool begun = false; store_now() - since < LOCK_LEASE; begun = true) {
		struct error error = {0};

		memset(now, 0, sizeof(now));
		if (http_get(http, key, 0, now, sizeof(now) - 1, &got, &error))
			return error.kind == ERROR_TARGET
				       ? 0
				       : error_set(e, error.kind, NO_PLACE, "%s", error.text);
		if (!begun)
			memcpy(first, now, sizeof(first));
		else if (strcmp(first, now) != 0)
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
					 "another process uses the store %s (%s)", http->base, key);
		nanosleep(&nap, NULL);
	}
	return http_remove(http, key, e);
}

static void let_go(struct http *http, enum store_lock lock)
{
	struct error ignored = {0};

	pthread_mutex_lock(&http->lock_mutex);
	if (http->held[lock].key[0] && !http->lost)
		http_remove(http, http->held[lock].key, &ignored);
	http->held[lock].key[0] = '\0';
	pthread_mutex_unlock(&http->lock_mutex);
}

static int take_lock(struct http *http, enum store_lock lock, struct error *e)
{
	uint8_t name[8];
	char hex[17];
	int rc = 0;

	if (getrandom(name, sizeof(name), 0) != sizeof(name))
		return error_set(e, ERROR_IO, NO_PLACE, "no random numbers");
	hex_print(hex, name, sizeof(name));
	pthread_mutex_lock(&http->lock_mutex);
	if (!http->beating) {
		http->stop = http->lost = false;
		http->beating = pthread_create(&http->beat, NULL, beat, http) == 0;
	}
	if (!http->beating) {
		rc = error_set(e, ERROR_MEMORY, NO_PLACE, "no thread can be started");
	} else {
		snprintf(http->held[lock].key, STORE_KEY_MAX, LOCKS "%s-%s", lock_names[lock], hex);
		rc = beat_once(http, http->held[lock].key, true, e);
	}
	pthread_mutex_unlock(&http->lock_mutex);
	return rc;
}

static int http_lock(void *self, enum store_lock lock, struct error *e)
{
	struct http *http = self;

	if (http->held[lock].key[0])
		return 0;
	if (take_lock(http, lock, e))
		return -1;
	for (;;) {
		struct rivals rivals = {.http = http, .lock = lock};

		if (http_list(http, LOCKS, note_rival, &rivals, e))
			break;
		if (!rivals.key[0])
			return 0;
		if (outwait(http, rivals.key, e))
			break;
	}
	let_go(http, lock);
	return -1;
}

static int http_check_lock(void *self, struct error *e)
{
	struct http *http = self;
	bool lost;

	pthread_mutex_lock(&http->lock_mutex);
	for (int i = 0; i < LOCK_KINDS; i++) {
		struct error error = {0};
		uint64_t bytes;

		if (http->held[i].key[0] && http_size(http, http->held[i].key, &bytes, &error))
			http->lost = true;
	}
	lost = http->lost;
	pthread_mutex_unlock(&http->lock_mutex);
	return lost ? error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				"the lock on the store %s was lost: it did not answer in time",
				http->base)
		    : 0;
}

static void http_unlock(void *self)
{
	struct http *http = self;

	for (int i = 0; i < LOCK_KINDS; i++)
		let_go(http, (enum store_lock)i);
	pthread_mutex_lock(&http->lock_mutex);
	http->stop = true;
	pthread_cond_broadcast(&http->lock_changed);
	pthread_mutex_unlock(&http->lock_mutex);
	if (http->beating)
		pthread_join(http->beat, NULL);
	http->beating = false;
}

static int http_flush(void *self, struct error *e)
{
	(void)self;
	(void)e;
	return 0; /* the server answers when it is durable */
}

static void http_heed(void *self, const atomic_bool *cancel)
{
	struct http *http = self;

	atomic_store(&http->cancel, cancel);
}

static int http_sweep(void *self, struct error *e)
{
	(void)self;
	(void)e;
	return 0; /* the server keeps no half objects */
}

/* ---- opening ---- */

static void http_close(void *self)
{
	struct http *http = self;

	http_unlock(http);
	for (size_t i = 0; i < http->kept_count; i++)
		curl_easy_cleanup(http->kept[i]);
	pthread_mutex_destroy(&http->mutex);
	pthread_mutex_destroy(&http->lock_mutex);
	pthread_cond_destroy(&http->lock_changed);
	free(http->base);
	free(http->token);
	free(http);
}

static int http_open(const char *where, const struct store_options *options, void **ret_self,
		     struct error *e)
{
	struct http *http;
	struct error error = {0};
	uint64_t bytes;
	size_t length;

	if (lazy_curl_open(e))
		return -1;
	http = calloc(1, sizeof(*http));
	if (!http)
		return error_set(e, ERROR_MEMORY, NO_PLACE, "no memory");
	pthread_mutex_init(&http->mutex, NULL);
	pthread_mutex_init(&http->lock_mutex, NULL);
	pthread_cond_init(&http->lock_changed, NULL);
	http->base = strdup(where);
	http->token = options->token ? strdup(options->token) : NULL;
	length = http->base ? strlen(http->base) : 0;
	while (length > 0 && http->base[length - 1] == '/')
		http->base[--length] = '\0';
	if (!http->base || (options->token && !http->token)) {
		error_set(e, ERROR_MEMORY, NO_PLACE, "no memory");
	} else if (length > STORE_KEY_MAX || strpbrk(where, "?# ")) {
		error_set(e, ERROR_USAGE, NO_PLACE, "'%.64s' is no address of a store", where);
	} else if (http_size(http, KEY_HEADER, &bytes, &error) == 0 || error.kind == ERROR_TARGET) {
		*ret_self = http;
		return 0;
	} else {
		error_set(e, error.kind, NO_PLACE, "%s", error.text);
	}
	http_close(http);
	return -1;
}

const struct store_backend_ops store_http_backend = {
	.name = "http",
	.late = true,
	.open = http_open,
	.put = http_put,
	.flush = http_flush,
	.get = http_get,
	.list = http_list,
	.size = http_size,
	.remove = http_remove,
	.lock = http_lock,
	.check_lock = http_check_lock,
	.unlock = http_unlock,
	.heed = http_heed,
	.sweep = http_sweep,
	.close = http_close,
};
