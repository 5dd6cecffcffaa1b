/* SPDX-License-Identifier: Apache-2.0 */
/* The answers of the server side: bytes, JSON, Lepton's errors, files and streams. */
#include <assert.h>
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/minilepton/http_private.h"
#include "sim/minilepton/options.h"

/* Pieces that a stream is read in. */
#define STREAM_BLOCK ((size_t)64 << 10)

struct code {
	int status;
	const char *word;
};

static const struct code codes[] = {
	{400, "InvalidRequest"},     {401, "Unauthorized"},        {403, "Forbidden"},
	{404, "ResourceNotFound"},   {405, "MethodNotAllowed"},    {409, "ResourceConflict"},
	{412, "PreconditionFailed"}, {413, "RequestTooLarge"},     {416, "RangeNotSatisfiable"},
	{429, "TooManyRequests"},    {502, "BadGateway"},          {503, "ServiceUnavailable"},
	{504, "GatewayTimeout"},     {507, "InsufficientStorage"},
};

const char *http_error_code(int status)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].status == status)
			return codes[i].word;
	return "InternalError";
}

void http_header_add(struct http_request *request, const char *name, const char *value)
{
	struct pending *pending = (struct pending *)request;

	assert(pending->header_count < HTTP_HEADERS_MAX);
	pending->names[pending->header_count] = arena_strdup(&request->arena, name);
	pending->values[pending->header_count++] = arena_strdup(&request->arena, value);
}

/* The one place where a request gets its answer. After it the request may be gone. */
static void answer(struct http_request *request, int status, const char *type,
		   struct MHD_Response *response)
{
	struct pending *pending = (struct pending *)request;
	struct MHD_Connection *connection = pending->connection;
	struct http_server *server = pending->server;

	assert(!pending->response);
	if (!response) {
		/* Without memory for an answer there is none for a word about it either. */
		response = MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
		status = 500;
		if (!response)
			abort();
	}
	if (type)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	for (size_t i = 0; i < pending->header_count; i++)
		MHD_add_response_header(response, pending->names[i], pending->values[i]);
	pending->status = status;
	pending->response = response;
	if (pending->deferred) {
		MHD_resume_connection(connection);
		http_server_wake(server);
		atomic_fetch_sub(&server->deferred, 1);
	}
}

void http_answer(struct http_request *request, int status, const char *type, const void *body,
		 size_t size)
{
	/* libmicrohttpd copies from what it takes as writable only for its other modes. */
	answer(request, status, type,
	       MHD_create_response_from_buffer(size, (void *)(uintptr_t)body,
					       MHD_RESPMEM_MUST_COPY));
}

void http_answer_taken(struct http_request *request, int status, const char *type, char *body,
		       size_t size)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(size, body, MHD_RESPMEM_MUST_FREE);

	if (!response)
		free(body);
	answer(request, status, type, response);
}

void http_answer_json(struct http_request *request, int status, struct cJSON *json)
{
	char *text = json ? cJSON_PrintUnformatted(json) : NULL;

	cJSON_Delete(json);
	if (!text) {
		http_error(request, 500, "no memory for the answer");
		return;
	}
	http_answer_taken(request, status, "application/json", text, strlen(text));
}

void http_error(struct http_request *request, int status, const char *format, ...)
{
	cJSON *json = cJSON_CreateObject();
	char message[HTTP_MESSAGE_MAX];
	va_list arguments;
	char *text;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	/* Parts of it may be a client's bytes: the answer stays JSON whatever they are. */
	for (char *c = message; *c; c++)
		if ((unsigned char)*c < ' ' || (unsigned char)*c >= 0x7f)
			*c = '?';
	cJSON_AddStringToObject(json, "code", http_error_code(status));
	cJSON_AddStringToObject(json, "message", message);
	text = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	if (text)
		http_answer_taken(request, status, "application/json", text, strlen(text));
	else
		http_answer(request, status, NULL, "", 0);
}

void http_answer_file(struct http_request *request, int status, const char *type, int fd,
		      uint64_t offset, uint64_t size)
{
	struct MHD_Response *response = MHD_create_response_from_fd_at_offset64(size, fd, offset);

	if (!response)
		close(fd);
	answer(request, status, type, response);
}

struct stream {
	ssize_t (*read)(void *own, uint64_t at, char *buffer, size_t max);
	void (*done)(void *own);
	void *own;
};

static ssize_t stream_read(void *self, uint64_t at, char *buffer, size_t max)
{
	struct stream *stream = self;
	ssize_t got = stream->read(stream->own, at, buffer, max);

	return got > 0 ? got : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void stream_done(void *self)
{
	struct stream *stream = self;

	if (stream->done)
		stream->done(stream->own);
	free(stream);
}

void http_answer_stream(struct http_request *request, int status, const char *type, uint64_t size,
			ssize_t (*read)(void *own, uint64_t at, char *buffer, size_t max),
			void (*done)(void *own), void *own)
{
	struct stream *stream = malloc(sizeof(*stream));
	struct MHD_Response *response = NULL;

	if (stream) {
		*stream = (struct stream){.read = read, .done = done, .own = own};
		response = MHD_create_response_from_callback(size, STREAM_BLOCK, stream_read,
							     stream, stream_done);
	}
	if (!response) {
		free(stream);
		if (done)
			done(own);
	}
	answer(request, status, type, response);
}

int http_query_number(struct http_request *request, const char *name, uint64_t max, uint64_t *ret)
{
	const char *text = http_query(request, name);

	if (!text)
		return 0;
	if (options_number(text, strlen(text), max, ret) == 0)
		return 0;
	http_error(request, 400, "%s is a number of 0 to %" PRIu64, name, max);
	return -1;
}

struct cJSON *http_body_json(struct http_request *request)
{
	struct cJSON *json = http_json_parse(request->body, request->body_size);

	if (!json)
		http_error(request, 400, "the body is no JSON object");
	return json;
}
