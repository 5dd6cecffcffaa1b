/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One replica of an endpoint: loads its weights, answers predictions from them, and keeps every
 * input and output in its I/O log before it answers. The main thread serves HTTP and waits for
 * service times; the others are the boot, the one that computes and writes the log, the reader of
 * all logs, and the watch over the devices' files.
 */
#include <assert.h>
#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/prng.h"
#include "sim/lepton.h"
#include "sim/minilepton/minilepton.h"
#include "sim/minilepton/replica.h"

#define END_PATIENCE (1 * NANOS_S) /* for predictions in service, after SIGTERM */
#define SERVICE_MAX NANOS_HOUR

const char *replica_state(const struct replica *replica)
{
	switch ((enum replica_phase)atomic_load(&replica->phase)) {
	case REPLICA_STARTING:
		return lepton_reason_names[LEPTON_REASON_IN_PROGRESS];
	case REPLICA_READY:
		return lepton_reason_names[LEPTON_REASON_READY];
	case REPLICA_ENDING:
		return lepton_reason_names[LEPTON_REASON_DELETED];
	}
	assert(false);
	return NULL;
}

bool replica_is(const struct replica *replica, enum replica_phase phase)
{
	return atomic_load(&replica->phase) == (int)phase;
}

/* ---- service times ---- */

nanos replica_service(const struct replica_service *service, uint64_t seed, uint64_t seq)
{
	struct prng prng;
	double factor, took;

	if (service->sigma == 0)
		return service->median;
	prng_open(&prng, seed, 0, seq, PRNG_SERVICE);
	factor = exp(service->sigma * prng_normal(&prng));
	took = (double)service->median * factor;
	return took < (double)SERVICE_MAX ? (nanos)took : SERVICE_MAX;
}

int replica_service_parse(const char *text, struct replica_service *ret, struct error *e)
{
	size_t length = strcspn(text, ",");
	struct replica_service service = {0};
	uint64_t median;

	if (options_number(text, length, SERVICE_MAX, &median))
		goto bad;
	service.median = (nanos)median;
	if (text[length] == ',' &&
	    (quantity_number(text + length + 1, NO_PLACE, &service.sigma, e) ||
	     !(service.sigma >= 0 && service.sigma <= REPLICA_SIGMA_MAX)))
		goto bad;
	*ret = service;
	return 0;
bad:
	if (e)
		e->kind = ERROR_NONE;
	return error_set(e, ERROR_USAGE, NO_PLACE,
			 "--service-ns is N or MEDIAN,SIGMA: up to an hour, a sigma of 0 to %d",
			 REPLICA_SIGMA_MAX);
}

/* ---- predictions ---- */

static void serve(struct replica *replica, struct prediction *prediction)
{
	nanos took = devices_slowed(&replica->devices,
				    replica_service(&replica->service, replica->options->seed,
						    prediction->record.seq));

	replica->serving++;
	prediction->previous = NULL;
	prediction->next = replica->served;
	if (replica->served)
		replica->served->previous = prediction;
	replica->served = prediction;
	if (took == 0)
		prediction->timer.fire(prediction);
	else
		loop_timer_set(replica->loop, &prediction->timer, minilepton_now() + took);
}

static void ended(struct replica *replica)
{
	if (replica_is(replica, REPLICA_ENDING) && replica->serving == 0)
		loop_stop(replica->loop);
}

static void served_remove(struct replica *replica, struct prediction *prediction)
{
	if (prediction->previous)
		prediction->previous->next = prediction->next;
	else
		replica->served = prediction->next;
	if (prediction->next)
		prediction->next->previous = prediction->previous;
	prediction->next = NULL;
	replica->serving--;
}

/* Its time is over: it is computed and goes to the log, and the next one in line begins. */
static void on_served(void *self)
{
	struct prediction *prediction = self, *next;
	struct replica *replica = prediction->replica;

	served_remove(replica, prediction);
	writer_add(&replica->writer, prediction);
	next = replica->line;
	if (next) {
		replica->line = next->next;
		if (!replica->line)
			replica->line_end = &replica->line;
		replica->waiting--;
		serve(replica, next);
	}
	ended(replica);
}

static void on_predict(void *self, struct http_request *request)
{
	struct replica *replica = self;
	struct prediction *prediction;
	struct error e = {0};
	struct record record;

	if (!replica_is(replica, REPLICA_READY)) {
		http_error(request, 503, "the replica is %s", replica_state(replica));
		return;
	}
	if (record_parse_body(request->body, request->body_size, &record, &e)) {
		http_error(request, 400, "%s", e.text);
		return;
	}
	if (replica->waiting >= REPLICA_WAITING_MAX) {
		http_error(request, 503, "%d requests wait already", REPLICA_WAITING_MAX);
		return;
	}
	prediction = arena_alloc(&request->arena, sizeof(*prediction));
	prediction->replica = replica;
	prediction->request = request;
	prediction->record = record;
	prediction->record.answer = prediction->answer;
	prediction->timer.fire = on_served;
	prediction->timer.self = prediction;
	http_defer(request);
	if (replica->serving < replica->options->concurrency) {
		serve(replica, prediction);
		return;
	}
	*replica->line_end = prediction;
	replica->line_end = &prediction->next;
	replica->waiting++;
}

/* ---- the other calls ---- */

static void on_health(void *self, struct http_request *request)
{
	struct replica *replica = self;
	bool stuck = replica_is(replica, REPLICA_READY) && writer_stuck(&replica->writer);
	bool ready = replica_is(replica, REPLICA_READY) && !stuck;
	cJSON *json = cJSON_CreateObject();

	cJSON_AddStringToObject(json, "state",
				stuck ? lepton_reason_names[LEPTON_REASON_SYSTEM_ERROR]
				      : replica_state(replica));
	cJSON_AddStringToObject(json, "id", replica->options->id);
	if (ready) {
		cJSON_AddStringToObject(json, "digest", replica->digest_text);
		cJSON_AddBoolToObject(json, "fenced", writer_fenced(&replica->writer));
	}
	http_answer_json(request, ready ? 200 : 503, json);
}

static void on_records(void *self, struct http_request *request)
{
	struct replica *replica = self;
	uint64_t from = 0, count = IOLOG_ASKED_MAX;

	if (!replica_is(replica, REPLICA_READY)) {
		http_error(request, 503, "the replica is %s", replica_state(replica));
		return;
	}
	if (http_query_number(request, "from", RECORD_SEQ_MAX, &from) ||
	    http_query_number(request, "count", IOLOG_ASKED_MAX, &count))
		return;
	records_add(&replica->records, request, from, count);
}

static const struct http_route routes[] = {
	{.method = "POST",
	 .pattern = "/predict",
	 .handle = on_predict,
	 .body_max = RECORD_LINE_MAX,
	 .open = true},
	{.method = "GET", .pattern = "/healthz", .handle = on_health, .open = true},
	{.method = "GET", .pattern = "/records", .handle = on_records, .open = true},
	{.method = NULL},
};

/* ---- the end ---- */

/* Those in line have not begun: they are told to go elsewhere. */
static void line_refuse(struct replica *replica)
{
	struct prediction *prediction, *next;

	for (prediction = replica->line; prediction; prediction = next) {
		next = prediction->next;
		http_error(prediction->request, 503, "the replica ends");
	}
	replica->line = NULL;
	replica->line_end = &replica->line;
	replica->waiting = 0;
}

static void on_end_patience(void *self)
{
	struct replica *replica = self;

	minilepton_say("replica %s: %zu predictions are given up", replica->options->id,
		       (size_t)replica->serving);
	loop_stop(replica->loop);
}

static void on_end(void *self)
{
	struct replica *replica = self;

	if (replica_is(replica, REPLICA_ENDING))
		return;
	atomic_store(&replica->phase, REPLICA_ENDING);
	http_server_quiesce(replica->server);
	line_refuse(replica);
	loop_timer_set(replica->loop, &replica->end_timer, minilepton_now() + END_PATIENCE);
	ended(replica);
}

/* ---- the start ---- */

static const struct options_row rows[] = {
	{"id", OPTIONS_TEXT, offsetof(struct replica_options, id), true, 0, 0, "ID",
	 "its name, also of its I/O log"},
	{"endpoint", OPTIONS_TEXT, offsetof(struct replica_options, endpoint), true, 0, 0, "NAME",
	 "what it serves"},
	{"site", OPTIONS_TEXT, offsetof(struct replica_options, site), true, 0, 0, "NAME",
	 "where it runs; part of its answers"},
	{"listen", OPTIONS_TEXT, offsetof(struct replica_options, listen), true, 0, 0, "A:P",
	 "port 0 picks one"},
	{"weights", OPTIONS_TEXT, offsetof(struct replica_options, weights), true, 0, 0, "FILE",
	 "the model, read whole at the start"},
	{"digest", OPTIONS_TEXT, offsetof(struct replica_options, digest), false, 0, 0, "SHA256",
	 "of the weights; exit 4 when theirs differs"},
	{"after", OPTIONS_TEXTS, offsetof(struct replica_options, after), false, 0, 0, "FILE",
	 "begins when it is there"},
	{"ready-after", OPTIONS_TEXTS, offsetof(struct replica_options, ready_after), false, 0, 0,
	 "FILE", "is not ready before this file is there (repeatable)"},
	{"fence", OPTIONS_TEXT, offsetof(struct replica_options, fence), false, 0, 0, "FILE",
	 "while it is there nothing is written"},
	{"io-dir", OPTIONS_TEXT, offsetof(struct replica_options, io_dir), true, 0, 0, "DIR",
	 "the I/O logs of the site"},
	{"start-ns", OPTIONS_NANOS, offsetof(struct replica_options, start), false, 0, 0, "N",
	 "what initialising takes"},
	{"service-ns", OPTIONS_TEXT, offsetof(struct replica_options, service), false, 0, 0,
	 "N[,SIGMA]", "a prediction's time, log-normal around its median"},
	{"concurrency", OPTIONS_NUMBER, offsetof(struct replica_options, concurrency), false, 1,
	 REPLICA_CONCURRENCY_MAX, "N", "predictions at a time; more wait in line"},
	{"device", OPTIONS_TEXTS, offsetof(struct replica_options, devices), false, 0, 0, "FILE",
	 "a GPU; exit 1 when it is gone"},
	{"watchdog-ns", OPTIONS_NANOS, offsetof(struct replica_options, watchdog), false, 1, 0, "N",
	 "not healthy when its devices have not answered for so long; 60 s"},
	{"seed", OPTIONS_NUMBER, offsetof(struct replica_options, seed), false, 0, 0, "N",
	 "of the service times"},
	{.name = NULL},
};

static const struct replica_options preset = {
	.service = "0", .concurrency = 64, .watchdog = NANOS_MINUTE};

/* The identity becomes a file's name and a word of the answers. */
static int word_check(const char *option, const char *word, struct error *e)
{
	size_t length = strlen(word);

	if (length < 1 || length > REPLICA_WORD_MAX || word[0] == '.' ||
	    strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") !=
		    length)
		return error_set(e, ERROR_USAGE, NO_PLACE,
				 "--%s has 1 to %d letters, digits, dots, dashes and underscores",
				 option, REPLICA_WORD_MAX);
	return 0;
}

static int options_check(struct replica *replica, struct error *e)
{
	const struct replica_options *options = replica->options;
	size_t length;

	if (word_check("id", options->id, e) || word_check("endpoint", options->endpoint, e) ||
	    word_check("site", options->site, e) ||
	    replica_service_parse(options->service, &replica->service, e))
		return -1;
	if (!options->digest)
		return 0;
	length = strlen(options->digest);
	if (length != 2 * RECORD_DIGEST_SIZE ||
	    strspn(options->digest, "0123456789abcdef") != length)
		return error_set(e, ERROR_USAGE, NO_PLACE,
				 "--digest has 64 lower-case hexadecimal digits");
	return 0;
}

static int serve_all(struct replica *replica, struct error *e)
{
	const struct http_config config = {
		.listen = replica->options->listen,
		.routes = routes,
		.self = replica,
		.threads = HTTP_LOOP,
		.memory = REPLICA_CONNECTION_MEMORY,
	};

	if (http_server_open(&config, &replica->server, e))
		return -1;
	loop_serve(replica->loop, replica->server);
	loop_on_end(replica->loop, on_end, replica);
	http_server_announce(replica->server);
	return loop_run(replica->loop, e);
}

static void refuse_serving(struct replica *replica)
{
	/* The loop has ended: what is still in service has a timer and no answer. */
	loop_timer_clear(replica->loop, &replica->end_timer);
	while (replica->served) {
		struct prediction *prediction = replica->served;

		loop_timer_clear(replica->loop, &prediction->timer);
		served_remove(replica, prediction);
		http_error(prediction->request, 503, "the replica ends");
	}
}

static int replica_main(const void *given)
{
	struct replica replica = {.options = given};
	struct error e = {0};
	int code = MINILEPTON_OK;

	replica.line_end = &replica.line;
	replica.end_timer.fire = on_end_patience;
	replica.end_timer.self = &replica;
	atomic_init(&replica.phase, REPLICA_STARTING);
	if (options_check(&replica, &e)) {
		minilepton_fail(&e);
		return MINILEPTON_USAGE;
	}
	replica.writer.log.fd = -1;
	if (devices_open(&replica.devices, &replica.options->devices, &e) ||
	    loop_open(&replica.loop, &e))
		return minilepton_fail(&e);
	if (writer_open(&replica, &e) || records_open(&replica, &e) || boot_open(&replica, &e) ||
	    serve_all(&replica, &e))
		code = minilepton_fail(&e);
	atomic_store(&replica.phase, REPLICA_ENDING);
	boot_close(&replica);
	refuse_serving(&replica);
	writer_close(&replica);
	records_close(&replica);
	if (replica.server)
		http_server_close(replica.server);
	loop_close(replica.loop);
	devices_close(&replica.devices);
	return code;
}

const struct minilepton_command minilepton_replica = {
	.name = "replica",
	.help = "one replica of an endpoint: weights, predictions, I/O log",
	.rows = rows,
	.preset = &preset,
	.options_size = sizeof(struct replica_options),
	.main = replica_main,
};
