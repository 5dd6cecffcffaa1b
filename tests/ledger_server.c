/* SPDX-License-Identifier: Apache-2.0 */
/* A server that takes writes as minilepton's replicas do, and treats each as the test wants. */
#include "tests/ledger_server.h"

#include <inttypes.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "drivers/host/client.h"

#define BODY_MAX (LEDGER_PAYLOAD_MAX + 256)
#define PRIORITY (-5) /* nice; without the right, as it is */

struct ledger_server {
	struct ledger_server_config config;
	struct MHD_Daemon *daemon;
	atomic_bool down;
	atomic_uint_fast64_t counts[FATES];
	pthread_mutex_t lock;
	char **lines; /* of a sequence number: all that is stored under it */
};

struct body {
	size_t length;
	char text[BODY_MAX];
};

struct write {
	uint64_t sequence;
	uint32_t epoch;
	char key[64], crc[16];
	const char *payload;
	size_t length;
};

static bool parse(const struct body *body, struct write *ret)
{
	int at = 0;

	if (sscanf(body->text, "%" SCNu64 " %63s %" SCNu32 " %15[0-9a-f]%n", &ret->sequence,
		   ret->key, &ret->epoch, ret->crc, &at) != 4 ||
	    body->text[at] != ' ' || ret->sequence >= LEDGER_SERVER_RECORDS)
		return false;
	ret->payload = body->text + at + 1;
	ret->length = body->length - (size_t)at - 1;
	return true;
}

static void store(struct ledger_server *server, const struct write *write, uint32_t epoch,
		  const char *crc, const char *payload)
{
	char *line = NULL, *before;

	pthread_mutex_lock(&server->lock);
	before = server->lines[write->sequence];
	if (asprintf(&line, "%s%" PRIu64 " %s %" PRIu32 " %s 0123456789abcdef %s\n",
		     before ? before : "", write->sequence, write->key, epoch, crc, payload) < 0)
		abort();
	free(before);
	server->lines[write->sequence] = line;
	pthread_mutex_unlock(&server->lock);
}

/* Another payload of the same length, never the same one. */
static void alter(const struct write *write, char *out)
{
	memcpy(out, write->payload, write->length + 1);
	if (write->length > 0)
		out[0] = out[0] == 'x' ? 'y' : 'x';
	else
		memcpy(out, "x", 2);
}

static void keep(struct ledger_server *server, const struct write *write, enum fate fate)
{
	char other[BODY_MAX], crc[16];

	alter(write, other);
	snprintf(crc, sizeof(crc), "%08" PRIx32, ledger_crc32c(other, strlen(other)));
	switch (fate) {
	case FATE_TWICE:
		store(server, write, write->epoch, write->crc, write->payload);
		/* fall through */
	case FATE_GOOD:
	case FATE_ERROR:
	case FATE_WRONG:
	case FATE_LATE:
	case FATE_HANGS:
		store(server, write, write->epoch, write->crc, write->payload);
		break;
	case FATE_ALTERED:
		store(server, write, write->epoch, crc, other);
		break;
	case FATE_BROKEN:
		store(server, write, write->epoch, "BAD", other);
		break;
	case FATE_STALE:
		store(server, write, write->epoch - 1, write->crc, write->payload);
		break;
	case FATE_REFUSED:
	case FATE_DROPPED:
	case FATE_LOST:
	case FATES:
		break;
	}
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *text)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result = MHD_queue_response(connection, status, response);

	MHD_destroy_response(response);
	return result;
}

static void wait_ms(unsigned ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

	nanosleep(&time, NULL);
}

static enum MHD_Result take(struct ledger_server *server, struct MHD_Connection *connection,
			    const struct body *body)
{
	enum fate fate = FATE_GOOD;
	char expected[CLIENT_ANSWER_MAX], text[256];
	struct write write;

	if (!parse(body, &write))
		return answer(connection, 400, "what?\n");
	if (server->config.fate)
		fate = server->config.fate(write.sequence);
	if (atomic_load(&server->down))
		fate = FATE_REFUSED;
	keep(server, &write, fate);
	atomic_fetch_add(&server->counts[fate], 1);
	client_expect_digest(server->config.digest, write.key, write.payload, write.length,
			     expected);
	if (fate == FATE_REFUSED)
		return answer(connection, 503, "not now\n");
	if (fate == FATE_ERROR)
		return answer(connection, 500, "oh\n");
	if (fate == FATE_DROPPED)
		return MHD_NO;
	if (fate == FATE_LATE)
		wait_ms(server->config.late_ms);
	if (fate == FATE_HANGS)
		wait_ms(server->config.hang_ms);
	if (fate == FATE_WRONG)
		expected[0] = expected[0] == '0' ? '1' : '0';
	snprintf(text, sizeof(text), "%" PRIu64 " %s %s %s\n", write.sequence, expected,
		 LEDGER_SERVER_REPLICA, LEDGER_SERVER_SITE);
	return answer(connection, 200, text);
}

static uint64_t argument(struct MHD_Connection *connection, const char *name)
{
	const char *text = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);

	return text ? strtoull(text, NULL, 10) : 0;
}

static enum MHD_Result tell(struct ledger_server *server, struct MHD_Connection *connection)
{
	uint64_t from = argument(connection, "from"), count = argument(connection, "count");
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	enum MHD_Result result;

	pthread_mutex_lock(&server->lock);
	for (uint64_t i = from; i < from + count && i < LEDGER_SERVER_RECORDS; i++)
		if (server->lines[i])
			fputs(server->lines[i], out);
	pthread_mutex_unlock(&server->lock);
	fclose(out);
	result = answer(connection, 200, text);
	free(text);
	return result;
}

static enum MHD_Result handle(void *self, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *data,
			      size_t *length, void **state)
{
	struct body *body = *state;

	(void)url, (void)version;
	if (strcmp(method, "GET") == 0)
		return tell(self, connection);
	if (!body) {
		*state = calloc(1, sizeof(*body));
		return MHD_YES;
	}
	if (*length > 0) {
		if (*length >= BODY_MAX - body->length)
			return MHD_NO;
		memcpy(body->text + body->length, data, *length);
		body->length += *length;
		*length = 0;
		return MHD_YES;
	}
	return take(self, connection, body);
}

static void completed(void *self, struct MHD_Connection *connection, void **state,
		      enum MHD_RequestTerminationCode code)
{
	(void)self, (void)connection, (void)code;
	free(*state);
}

struct ledger_server *ledger_server_start(const struct ledger_server_config *config)
{
	struct ledger_server *server = calloc(1, sizeof(*server));
	unsigned flags = config->threads ? MHD_USE_THREAD_PER_CONNECTION |
						   MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL
					 : MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TURBO;
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	/* Its threads inherit it: other programs on the machine must not make it look bad. */
	setpriority(PRIO_PROCESS, 0, PRIORITY);
	server->config = *config;
	server->lines = calloc(LEDGER_SERVER_RECORDS, sizeof(*server->lines));
	pthread_mutex_init(&server->lock, NULL);
	server->daemon =
		MHD_start_daemon(flags, 0, NULL, NULL, handle, server, MHD_OPTION_SOCK_ADDR,
				 &address, MHD_OPTION_NOTIFY_COMPLETED, completed, server,
				 MHD_OPTION_CONNECTION_LIMIT, 2000u, MHD_OPTION_END);
	if (!server->daemon)
		abort();
	return server;
}

void ledger_server_stop(struct ledger_server *server)
{
	MHD_stop_daemon(server->daemon);
	for (uint64_t i = 0; i < LEDGER_SERVER_RECORDS; i++)
		free(server->lines[i]);
	free(server->lines);
	pthread_mutex_destroy(&server->lock);
	free(server);
}

uint16_t ledger_server_port(const struct ledger_server *server)
{
	return MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

void ledger_server_down(struct ledger_server *server, bool down)
{
	atomic_store(&server->down, down);
}

uint64_t ledger_server_count(const struct ledger_server *server, enum fate fate)
{
	return atomic_load(&server->counts[fate]);
}

void ledger_server_forget(struct ledger_server *server, uint64_t sequence)
{
	pthread_mutex_lock(&server->lock);
	free(server->lines[sequence]);
	server->lines[sequence] = NULL;
	pthread_mutex_unlock(&server->lock);
}

void ledger_server_invent(struct ledger_server *server, uint64_t sequence)
{
	struct write write = {.sequence = sequence, .key = "k1", .payload = "", .length = 0};

	store(server, &write, 0, "00000000", "");
}
