/* SPDX-License-Identifier: Apache-2.0 */
/* minilepton store: a remote object store. An object is there as a whole and on disk, or not at
 * all; all connections share a rate for reading and one for writing. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "sim/minilepton/http.h"
#include "sim/minilepton/minilepton.h"
#include "sim/minilepton/rate.h"
#include "sim/minilepton/store_keys.h"
#include "sim/minilepton/subtree.h"

#define TEMPORARY ".uploading-" /* a key does not begin with it */
#define BODY_MAX ((size_t)64 << 30)
#define MEMORY ((size_t)256 << 10) /* of a connection: large pieces */
#define PIECE ((size_t)64 << 10)
#define RATE_MAX ((uint64_t)1 << 50)

struct store_options {
	const char *listen, *dir, *token;
	uint64_t read_rate, write_rate;
};

struct store {
	int dir;
	struct rate reads, writes;
	atomic_bool down;
	atomic_uint_fast64_t temporaries, puts, bytes_in, bytes_out;
};

#define ROW(name) offsetof(struct store_options, name)
static const struct options_row rows[] = {
	{"listen", OPTIONS_TEXT, ROW(listen), true, 0, 0, "A:P", "where it listens"},
	{"dir", OPTIONS_TEXT, ROW(dir), true, 0, 0, "DIR", "folder of the objects; it exists"},
	{"token", OPTIONS_TEXT, ROW(token), false, 0, 0, "T", "bearer token that it asks for"},
	{"read-rate", OPTIONS_NUMBER, ROW(read_rate), false, 0, RATE_MAX, "BYTES_S",
	 "of all connections together; 0: no limit"},
	{"write-rate", OPTIONS_NUMBER, ROW(write_rate), false, 0, RATE_MAX, "BYTES_S",
	 "of all connections together; 0: no limit"},
	{NULL, OPTIONS_TEXT, 0, false, 0, 0, NULL, NULL},
};
static const struct store_options preset = {0};

/* ---- common ---- */

static void answer_errno(struct http_request *request, int code, const char *key)
{
	int status = 500;

	if (code == ENOENT || code == ENOTDIR)
		status = 404;
	else if (code == ENOSPC || code == EDQUOT)
		status = 507;
	else if (code == EEXIST)
		status = 412;
	else if (code == EISDIR || code == ENOTEMPTY)
		status = 409;
	http_error(request, status, "%s: %s", key, strerror(code));
}

/* The key of the request; NULL: it has answered. */
static const char *key_of(const struct store *store, struct http_request *request)
{
	const char *key = request->parts[0];

	if (atomic_load(&store->down)) {
		http_error(request, 503, "the store is not available");
		return NULL;
	}
	if (store_key_good(key) && strncmp(key, TEMPORARY, strlen(TEMPORARY)) != 0)
		return key;
	http_error(request, 400, "a key is of A-Z a-z 0-9 . _ - and /, at most %d bytes",
		   STORE_KEYS_BYTES_MAX);
	return NULL;
}

/* ---- put ---- */

struct upload {
	int fd, code; /* code: errno of what went wrong */
	char temporary[64];
};

static void put_begin(void *self, struct http_request *request)
{
	struct store *store = self;
	struct upload *upload;

	if (!key_of(store, request))
		return;
	upload = arena_alloc(&request->arena, sizeof(*upload));
	snprintf(upload->temporary, sizeof(upload->temporary), TEMPORARY "%" PRIu64,
		 (uint64_t)atomic_fetch_add(&store->temporaries, 1));
	upload->fd = openat(store->dir, upload->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			    0644);
	upload->code = upload->fd < 0 ? errno : 0;
	request->own = upload;
}

/* After an error the rest of the body is taken in and thrown away, so that the answer is heard. */
static int put_receive(void *self, struct http_request *request, const char *data, size_t size)
{
	struct store *store = self;
	struct upload *upload = request->own;

	while (size > 0 && upload->code == 0) {
		size_t piece = size < PIECE ? size : PIECE;
		ssize_t written;

		rate_take(&store->writes, piece);
		written = write(upload->fd, data, piece);
		if (written < 0 && errno != EINTR)
			upload->code = errno;
		if (written <= 0)
			continue;
		atomic_fetch_add(&store->bytes_in, (uint64_t)written);
		data += written;
		size -= (size_t)written;
	}
	return 0;
}

/* Durable before it has its name, and the name durable before the answer. */
static int put_commit(struct store *store, struct upload *upload, const char *key, bool only_new)
{
	const char *name;
	int parent, code = 0;

	if (fsync(upload->fd))
		return errno;
	parent = subtree_parent(store->dir, key, true, &name);
	if (parent < 0)
		return errno;
	if (only_new ? linkat(store->dir, upload->temporary, parent, name, 0)
		     : renameat(store->dir, upload->temporary, parent, name))
		code = errno;
	else if (fsync(parent))
		code = errno;
	close(parent);
	return code;
}

static void put(void *self, struct http_request *request)
{
	struct store *store = self;
	struct upload *upload = request->own;
	const char *only_new = http_header(request, "If-None-Match");

	if (upload->code == 0)
		upload->code = put_commit(store, upload, request->parts[0],
					  only_new && !strcmp(only_new, "*"));
	if (upload->code) {
		answer_errno(request, upload->code, request->parts[0]);
		return;
	}
	atomic_fetch_add(&store->puts, 1);
	http_answer(request, 201, NULL, "", 0);
}

static void put_forget(void *self, struct http_request *request)
{
	struct store *store = self;
	struct upload *upload = request->own;

	if (!upload)
		return; /* it was refused before it began */
	if (upload->fd >= 0)
		close(upload->fd);
	unlinkat(store->dir, upload->temporary, 0); /* as a rule it has another name by now */
}

/* ---- get ---- */

struct download {
	struct store *store;
	int fd;
	uint64_t from;
};

static ssize_t get_read(void *own, uint64_t at, char *buffer, size_t max)
{
	struct download *download = own;
	ssize_t got = pread(download->fd, buffer, max < PIECE ? max : PIECE,
			    (off_t)(download->from + at));

	if (got <= 0)
		return -1; /* it was cut short meanwhile: the reader has to see that */
	rate_take(&download->store->reads, (uint64_t)got);
	atomic_fetch_add(&download->store->bytes_out, (uint64_t)got);
	return got;
}

static void get_done(void *own)
{
	struct download *download = own;

	close(download->fd);
	free(download);
}

static void get_answer(struct http_request *request, struct download *download, uint64_t size)
{
	const char *range = http_header(request, "Range");
	uint64_t from = 0, count = size;
	char text[96];
	int status = 200;

	if (range && store_range(range, size, &from, &count) == 0) {
		status = 206;
		snprintf(text, sizeof(text), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, from,
			 from + count - 1, size);
		http_header_add(request, "Content-Range", text);
	} else if (range) {
		snprintf(text, sizeof(text), "bytes */%" PRIu64, size);
		http_header_add(request, "Content-Range", text);
		get_done(download);
		http_error(request, 416, "the object has %" PRIu64 " bytes", size);
		return;
	}
	http_header_add(request, "Accept-Ranges", "bytes");
	download->from = from;
	http_answer_stream(request, status, "application/octet-stream", count, get_read, get_done,
			   download);
}

static void get(void *self, struct http_request *request)
{
	struct store *store = self;
	const char *key = key_of(store, request);
	struct download *download;
	struct stat stat;
	int fd;

	if (!key)
		return;
	fd = subtree_open_at(store->dir, key, O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0 || fstat(fd, &stat) || !S_ISREG(stat.st_mode)) {
		int code = fd < 0 ? errno : ENOENT;

		if (fd >= 0)
			close(fd);
		answer_errno(request, code, key);
		return;
	}
	download = calloc(1, sizeof(*download));
	if (!download) {
		close(fd);
		http_error(request, 500, "no memory");
		return;
	}
	download->store = store;
	download->fd = fd;
	get_answer(request, download, (uint64_t)stat.st_size);
}

static void drop(void *self, struct http_request *request)
{
	struct store *store = self;
	const char *key = key_of(store, request), *name;
	int parent, code = 0;

	if (!key)
		return;
	parent = subtree_parent(store->dir, key, false, &name);
	if (parent < 0 || unlinkat(parent, name, 0) || fsync(parent))
		code = errno;
	if (parent >= 0)
		close(parent);
	if (code)
		answer_errno(request, code, key);
	else
		http_answer(request, 204, NULL, "", 0);
}

/* ---- list ---- */

static void list(void *self, struct http_request *request)
{
	struct store *store = self;
	const char *prefix = http_query(request, "prefix"), *after = http_query(request, "after");
	struct store_keys keys = {.arena = &request->arena};
	struct error e = {0};
	cJSON *json, *objects;
	size_t count = 0;

	if (atomic_load(&store->down)) {
		http_error(request, 503, "the store is not available");
		return;
	}
	if (store_keys_read(&keys, store->dir, prefix ? prefix : "", after ? after : "", TEMPORARY,
			    &e)) {
		http_error(request, 500, "%s", e.text);
		return;
	}
	json = cJSON_CreateObject();
	objects = cJSON_AddArrayToObject(json, "objects");
	for (; count < keys.count && count < STORE_KEYS_PAGE; count++) {
		cJSON *item = cJSON_CreateObject();

		cJSON_AddStringToObject(item, "key", keys.items[count].key);
		cJSON_AddNumberToObject(item, "bytes", (double)keys.items[count].bytes);
		cJSON_AddNumberToObject(item, "modified_ms", (double)keys.items[count].modified_ms);
		cJSON_AddItemToArray(objects, item);
	}
	if (count < keys.count)
		cJSON_AddStringToObject(json, "next", keys.items[count - 1].key);
	else
		cJSON_AddNullToObject(json, "next");
	http_answer_json(request, 200, json);
}

/* ---- what only drsim asks for ---- */

static void answer_state(struct store *store, struct http_request *request)
{
	cJSON *json = cJSON_CreateObject();

	cJSON_AddBoolToObject(json, "available", !atomic_load(&store->down));
	cJSON_AddNumberToObject(json, "read_rate", (double)rate_get(&store->reads));
	cJSON_AddNumberToObject(json, "write_rate", (double)rate_get(&store->writes));
	cJSON_AddNumberToObject(json, "puts", (double)atomic_load(&store->puts));
	cJSON_AddNumberToObject(json, "bytes_in", (double)atomic_load(&store->bytes_in));
	cJSON_AddNumberToObject(json, "bytes_out", (double)atomic_load(&store->bytes_out));
	http_answer_json(request, 200, json);
}

static void state_get(void *self, struct http_request *request)
{
	answer_state(self, request);
}

/* {"available": false, "read_rate": N, "write_rate": N}: what is there is set. */
static void state_put(void *self, struct http_request *request)
{
	struct store *store = self;
	cJSON *body = http_body_json(request);
	const cJSON *available = cJSON_GetObjectItemCaseSensitive(body, "available");
	bool reads = cJSON_HasObjectItem(body, "read_rate");
	bool writes = cJSON_HasObjectItem(body, "write_rate");
	uint64_t read_rate = 0, write_rate = 0;
	struct error e = {0};

	if (!body)
		return;
	if ((reads && http_json_number(body, "read_rate", 0, RATE_MAX, &read_rate, &e)) ||
	    (writes && http_json_number(body, "write_rate", 0, RATE_MAX, &write_rate, &e)) ||
	    (available && !cJSON_IsBool(available))) {
		http_error(request, 400, "%s", e.text[0] ? e.text : "'available' is true or false");
		cJSON_Delete(body);
		return;
	}
	if (available)
		atomic_store(&store->down, cJSON_IsFalse(available));
	if (reads)
		rate_set(&store->reads, read_rate);
	if (writes)
		rate_set(&store->writes, write_rate);
	cJSON_Delete(body);
	answer_state(store, request);
}

static void healthz(void *self, struct http_request *request)
{
	struct store *store = self;

	if (atomic_load(&store->down))
		http_error(request, 503, "the store is not available");
	else
		http_answer(request, 200, "text/plain", "ok\n", 3);
}

static const struct http_route routes[] = {
	{.method = "GET", .pattern = "/healthz", .handle = healthz, .open = true},
	{.method = "GET", .pattern = "/o/", .handle = list},
	{.method = "PUT",
	 .pattern = "/o/**",
	 .handle = put,
	 .body_max = BODY_MAX,
	 .begin = put_begin,
	 .receive = put_receive,
	 .forget = put_forget},
	{.method = "GET", .pattern = "/o/**", .handle = get},
	{.method = "DELETE", .pattern = "/o/**", .handle = drop},
	{.method = "GET", .pattern = "/_drsim/store", .handle = state_get},
	{.method = "PUT", .pattern = "/_drsim/store", .handle = state_put, .body_max = 4096},
	{.method = NULL},
};

/* ---- beginning and end ---- */

static int run(const struct store_options *options, struct store *store, struct error *e)
{
	struct http_config config = {.listen = options->listen,
				     .token = options->token,
				     .routes = routes,
				     .self = store,
				     .threads = HTTP_THREADS,
				     .memory = MEMORY};
	struct http_server *server;

	store->dir = subtree_open(options->dir);
	if (store->dir < 0)
		return error_set(e, ERROR_IO, NO_PLACE, "%s: %s", options->dir, strerror(errno));
	if (store_keys_sweep(store->dir, TEMPORARY, e) || http_server_open(&config, &server, e)) {
		close(store->dir);
		return -1;
	}
	http_server_announce(server);
	while (!minilepton_end_wait(NANOS_HOUR))
		continue;
	http_server_close(server);
	close(store->dir);
	return 0;
}

static int store_main(const void *given)
{
	const struct store_options *options = given;
	struct store *store = calloc(1, sizeof(*store));
	struct error e = {0};
	int rc;

	if (!store) {
		error_set(&e, ERROR_MEMORY, NO_PLACE, "no memory for the store");
		return minilepton_fail(&e);
	}
	rate_open(&store->reads, options->read_rate);
	rate_open(&store->writes, options->write_rate);
	rc = run(options, store, &e);
	rate_close(&store->reads);
	rate_close(&store->writes);
	free(store);
	return rc ? minilepton_fail(&e) : MINILEPTON_OK;
}

const struct minilepton_command minilepton_store = {
	.name = "store",
	.help = "the remote object store: whole objects, shared rates",
	.rows = rows,
	.preset = &preset,
	.options_size = sizeof(struct store_options),
	.main = store_main,
};
