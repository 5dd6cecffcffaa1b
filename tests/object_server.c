/* SPDX-License-Identifier: Apache-2.0 */
/* A small object server in memory. */
#include "tests/object_server.h"

#include <check.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/param.h"

#define OBJECTS_MAX 8192
#define KEY_MAX 512

struct object {
	char key[KEY_MAX];
	uint8_t *data;
	size_t bytes;
};

struct object_server {
	struct MHD_Daemon *daemon;
	pthread_mutex_t mutex;
	struct object *objects; /* sorted */
	size_t count, page;
	uint64_t held, limit;
	unsigned busy, slow_ms;
	const char *lost;
	char address[64], bearer[128];
};

/* The body of a PUT on its way. */
struct body {
	uint8_t *data;
	size_t bytes, room;
};

/* Where the key is, or where it would stand. */
static size_t find(const struct object_server *server, const char *key, bool *ret_found)
{
	size_t low = 0, high = server->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (strcmp(server->objects[middle].key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_found = low < server->count && strcmp(server->objects[low].key, key) == 0;
	return low;
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const void *data,
			      size_t bytes)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		bytes, (void *)(uintptr_t)data, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result = MHD_queue_response(connection, status, response);

	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result put(struct object_server *server, struct MHD_Connection *connection,
			   const char *key, struct body *body)
{
	bool found;
	size_t at = find(server, key, &found);

	if (server->limit > 0 && server->held + body->bytes > server->limit)
		return answer(connection, 507, "full", 4);
	if (!found) {
		ck_assert_uint_lt(server->count, OBJECTS_MAX);
		memmove(&server->objects[at + 1], &server->objects[at],
			(server->count - at) * sizeof(*server->objects));
		server->objects[at] = (struct object){.data = NULL};
		snprintf(server->objects[at].key, KEY_MAX, "%s", key);
		server->count++;
	}
	server->held += body->bytes - server->objects[at].bytes;
	free(server->objects[at].data);
	server->objects[at].data = body->data;
	server->objects[at].bytes = body->bytes;
	body->data = NULL;
	if (server->lost && strncmp(key, server->lost, strlen(server->lost)) == 0)
		return MHD_NO;
	return answer(connection, 201, "", 0);
}

/* "bytes=A-B" */
static bool read_range(const char *text, uint64_t *ret_first, uint64_t *ret_last)
{
	char copy[64];
	char *dash;

	if (strncmp(text, "bytes=", 6) != 0)
		return false;
	snprintf(copy, sizeof(copy), "%s", text + 6);
	dash = strchr(copy, '-');
	if (!dash)
		return false;
	*dash = '\0';
	return quantity_unsigned(copy, NO_PLACE, ret_first, NULL) == 0 &&
	       quantity_unsigned(dash + 1, NO_PLACE, ret_last, NULL) == 0;
}

static enum MHD_Result get(struct object_server *server, struct MHD_Connection *connection,
			   const char *key)
{
	const char *range = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Range");
	uint64_t first, last;
	const struct object *object;
	bool found;
	size_t at = find(server, key, &found);

	if (!found)
		return answer(connection, 404, "no such object", 14);
	object = &server->objects[at];
	if (!range)
		return answer(connection, 200, object->data, object->bytes);
	ck_assert(read_range(range, &first, &last) && first <= last);
	if (first >= object->bytes)
		return answer(connection, 416, "", 0);
	if (last >= object->bytes)
		last = object->bytes - 1;
	return answer(connection, 206, object->data + first, (size_t)(last - first + 1));
}

static enum MHD_Result list(struct object_server *server, struct MHD_Connection *connection)
{
	const char *prefix =
		MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "prefix");
	const char *after = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "after");
	size_t room = server->page * (KEY_MAX + 64) + 64, used, listed = 0;
	char *text = malloc(room);
	const char *last = NULL;
	bool more = false;
	enum MHD_Result result;

	ck_assert_ptr_nonnull(text);
	used = (size_t)snprintf(text, room, "{\"objects\":[");
	for (size_t i = 0; i < server->count; i++) {
		const struct object *object = &server->objects[i];

		if ((prefix && strncmp(object->key, prefix, strlen(prefix)) != 0) ||
		    (after && strcmp(object->key, after) <= 0))
			continue;
		more = listed == server->page;
		if (more)
			break;
		used += (size_t)snprintf(text + used, room - used,
					 "%s{\"key\":\"%s\",\"bytes\":%zu}", listed > 0 ? "," : "",
					 object->key, object->bytes);
		last = object->key;
		listed++;
	}
	used += (size_t)snprintf(text + used, room - used, "],\"next\":%s%s%s}", more ? "\"" : "",
				 more ? last : "null", more ? "\"" : "");
	result = answer(connection, 200, text, used);
	free(text);
	return result;
}

static enum MHD_Result delete (struct object_server *server, struct MHD_Connection *connection,
			       const char *key) {
	bool found; size_t at = find(server, key, &found);

		if (!found) return answer(connection, 404, "", 0);
		server->held -= server->objects[at].bytes; free(server->objects[at].data);
		server->count--; memmove(&server->objects[at], &server->objects[at + 1],
					 (server->count - at) * sizeof(*server->objects));
		return answer(connection, 204, "", 0);
}

static enum MHD_Result serve(struct object_server *server, struct MHD_Connection *connection,
			     const char *url, const char *method, struct body *body)
{
	const char *token =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");
	const char *key = url + strlen("/o/");

	if (server->bearer[0] && (!token || strcmp(token, server->bearer) != 0))
		return answer(connection, 401, "{\"code\":\"Unauthorized\"}", 23);
	if (server->busy > 0) {
		server->busy--;
		return answer(connection, 503, "busy", 4);
	}
	if (strncmp(url, "/o/", 3) != 0)
		return answer(connection, 404, "", 0);
	if (*key == '\0')
		return list(server, connection);
	if (strcmp(method, "PUT") == 0)
		return put(server, connection, key, body);
	if (strcmp(method, "DELETE") == 0)
		return delete (server, connection, key);
	return get(server, connection, key);
}

static enum MHD_Result handle(void *self, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *data,
			      size_t *bytes, void **state)
{
	struct object_server *server = self;
	struct body *body = *state;
	enum MHD_Result result;

	(void)version;
	if (!body) {
		*state = calloc(1, sizeof(*body));
		return *state ? MHD_YES : MHD_NO;
	}
	if (*bytes > 0) {
		if (body->bytes + *bytes > body->room) {
			body->room = 2 * (body->bytes + *bytes);
			body->data = realloc(body->data, body->room);
			ck_assert_ptr_nonnull(body->data);
		}
		memcpy(body->data + body->bytes, data, *bytes);
		body->bytes += *bytes;
		*bytes = 0;
		return MHD_YES;
	}
	if (server->slow_ms > 0 && strcmp(method, "PUT") == 0 && strncmp(url, "/o/packs/", 9) == 0)
		usleep(server->slow_ms * 1000);
	pthread_mutex_lock(&server->mutex);
	result = serve(server, connection, url, method, body);
	pthread_mutex_unlock(&server->mutex);
	return result;
}

static void forget(void *self, struct MHD_Connection *connection, void **state,
		   enum MHD_RequestTerminationCode code)
{
	struct body *body = *state;

	(void)self;
	(void)connection;
	(void)code;
	if (body)
		free(body->data);
	free(body);
	*state = NULL;
}

struct object_server *object_server_start(const char *token)
{
	struct object_server *server = calloc(1, sizeof(*server));
	const union MHD_DaemonInfo *info;
	struct sockaddr_in loopback = {.sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	ck_assert_ptr_nonnull(server);
	server->objects = calloc(OBJECTS_MAX + 1, sizeof(*server->objects));
	ck_assert_ptr_nonnull(server->objects);
	server->page = 1000;
	if (token)
		snprintf(server->bearer, sizeof(server->bearer), "Bearer %s", token);
	pthread_mutex_init(&server->mutex, NULL);
	server->daemon =
		MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION, 0,
				 NULL, NULL, handle, server, MHD_OPTION_SOCK_ADDR, &loopback,
				 MHD_OPTION_NOTIFY_COMPLETED, forget, NULL, MHD_OPTION_END);
	ck_assert_ptr_nonnull(server->daemon);
	info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);
	snprintf(server->address, sizeof(server->address), "http://127.0.0.1:%u", info->port);
	return server;
}

const char *object_server_address(const struct object_server *server)
{
	return server->address;
}

void object_server_stop(struct object_server *server)
{
	MHD_stop_daemon(server->daemon);
	for (size_t i = 0; i < server->count; i++)
		free(server->objects[i].data);
	free(server->objects);
	pthread_mutex_destroy(&server->mutex);
	free(server);
}

void object_server_limit(struct object_server *server, uint64_t bytes)
{
	pthread_mutex_lock(&server->mutex);
	server->limit = bytes;
	pthread_mutex_unlock(&server->mutex);
}

void object_server_busy(struct object_server *server, unsigned requests)
{
	pthread_mutex_lock(&server->mutex);
	server->busy = requests;
	pthread_mutex_unlock(&server->mutex);
}

void object_server_slow(struct object_server *server, unsigned milliseconds)
{
	server->slow_ms = milliseconds; /* before the requests begin */
}

void object_server_lose(struct object_server *server, const char *prefix)
{
	pthread_mutex_lock(&server->mutex);
	server->lost = prefix;
	pthread_mutex_unlock(&server->mutex);
}

void object_server_page(struct object_server *server, size_t names)
{
	pthread_mutex_lock(&server->mutex);
	server->page = names;
	pthread_mutex_unlock(&server->mutex);
}

static struct object *nth(struct object_server *server, const char *prefix, size_t index,
			  size_t *ret_count)
{
	struct object *found = NULL;

	*ret_count = 0;
	for (size_t i = 0; i < server->count; i++)
		if (strncmp(server->objects[i].key, prefix, strlen(prefix)) == 0 &&
		    (*ret_count)++ == index)
			found = &server->objects[i];
	return found;
}

size_t object_server_count(struct object_server *server, const char *prefix)
{
	size_t count;

	pthread_mutex_lock(&server->mutex);
	nth(server, prefix, 0, &count);
	pthread_mutex_unlock(&server->mutex);
	return count;
}

void object_server_drop(struct object_server *server, const char *prefix)
{
	size_t kept = 0;

	pthread_mutex_lock(&server->mutex);
	for (size_t i = 0; i < server->count; i++) {
		struct object *object = &server->objects[i];

		if (strncmp(object->key, prefix, strlen(prefix)) != 0) {
			server->objects[kept++] = *object;
			continue;
		}
		server->held -= object->bytes;
		free(object->data);
	}
	server->count = kept;
	pthread_mutex_unlock(&server->mutex);
}

void object_server_flip(struct object_server *server, const char *prefix, size_t index,
			uint64_t bit)
{
	struct object *object;
	size_t count;

	pthread_mutex_lock(&server->mutex);
	object = nth(server, prefix, index, &count);
	ck_assert(object && bit / 8 < object->bytes);
	object->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	pthread_mutex_unlock(&server->mutex);
}
