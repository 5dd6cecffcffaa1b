/* SPDX-License-Identifier: Apache-2.0 */
/* Replicas, gateways and node agents as real processes on loopback: what they promise, held against
 * the files that they leave. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <openssl/sha.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim/minilepton/http.h"
#include "sim/minilepton/loop.h"
#include "sim/minilepton/minilepton.h"
#include "sim/minilepton/replica.h"
#include "tests/program.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define URL_MAX 256
#define BODY_MAX 4096
#define READY_MS 20000
#define DEVICE_MS 100 /* from a device's end to its replica's */
#define LOAD_REQUESTS 20000
#define LOAD_AT_ONCE 64

static struct http_client *client;
static struct arena arena;

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

static void setup(void)
{
	struct error e = {0};

	program_find();
	workplace_enter("minilepton");
	write_file("weights", "the weights");
	ck_assert_int_eq(mkdir("io", 0777), 0);
	ck_assert_int_eq(http_client_prepare(&e), 0);
	ck_assert_int_eq(http_client_open(&client, &e), 0);
}

static void teardown(void)
{
	http_client_close(client);
	arena_free(&arena);
	workplace_leave();
}

/* ---- calls ---- */

/* The status, 0 when no answer came; the text lives until the end of the test. */
static int ask(const char *method, const char *address, const char *path, const char *token,
	       const char *body, const char **ret_text)
{
	char url[URL_MAX];
	struct http_call call = {.method = method,
				 .url = url,
				 .token = token,
				 .body = body,
				 .body_size = body ? strlen(body) : 0,
				 .timeout = 10 * NANOS_S};
	struct http_reply reply;
	struct error e = {0};

	snprintf(url, sizeof(url), "http://%s%s", address, path);
	if (http_call(client, &call, &arena, &reply, &e))
		return 0;
	if (ret_text)
		*ret_text = reply.body;
	return reply.status;
}

static cJSON *ask_json(const char *method, const char *address, const char *path, const char *body,
		       int wanted)
{
	const char *text = "";
	cJSON *json;

	ck_assert_int_eq(ask(method, address, path, NULL, body, &text), wanted);
	json = cJSON_Parse(text);
	ck_assert_msg(json != NULL, "no JSON: %s", text);
	return json;
}

static const char *json_text(const cJSON *json, const char *name)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(json, name));

	ck_assert_msg(text != NULL, "no '%s' in %s", name, cJSON_Print(json));
	return text;
}

static double json_number(const cJSON *json, const char *name)
{
	const cJSON *item = cJSON_GetObjectItem(json, name);

	ck_assert_msg(cJSON_IsNumber(item), "no '%s' in %s", name, cJSON_Print(json));
	return item->valuedouble;
}

static bool healthy(const void *address)
{
	return ask("GET", address, "/healthz", NULL, NULL, NULL) == 200;
}

static void ready(const char *address)
{
	ck_assert(program_until(healthy, address, READY_MS));
}

/* ---- records, by code of the test's own ---- */

/* CRC-32C, a bit at a time. */
static uint32_t crc_of(const char *bytes, size_t size)
{
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < size; i++) {
		crc ^= (unsigned char)bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

static void expect_of(const char *weights, const char *key, const char *payload, char answer[17])
{
	unsigned char text[1024], hash[SHA256_DIGEST_LENGTH];
	int more;

	SHA256((const unsigned char *)weights, strlen(weights), text);
	more = snprintf((char *)text + sizeof(hash), sizeof(text) - sizeof(hash), "%s%s", key,
			payload);
	SHA256(text, sizeof(hash) + (size_t)more, hash);
	for (int i = 0; i < 8; i++)
		snprintf(answer + 2 * i, 3, "%02x", hash[i]);
}

static int predict(const char *address, const char *path, uint64_t seq, const char *payload,
		   const char **ret_text)
{
	char body[BODY_MAX];

	snprintf(body, sizeof(body), "%" PRIu64 " key%" PRIu64 " 1 %08" PRIx32 " %s\n", seq, seq,
		 crc_of(payload, strlen(payload)), payload);
	return ask("POST", address, path, NULL, body, ret_text);
}

/* Reads a log: marks the sequence numbers below `count` in it; returns its lines. */
static size_t log_read(const char *path, const char *weights, unsigned char *seen, uint64_t count)
{
	char *text = workplace_read(path), *line = text, *end;
	size_t lines = 0;

	for (; (end = strchr(line, '\n')); line = end + 1) {
		char key[64], crc[9], answer[17], payload[256] = "", wanted[17];
		uint64_t seq, epoch;

		*end = '\0';
		lines++;
		ck_assert_msg(sscanf(line, "%" SCNu64 " %63s %" SCNu64 " %8s %16s %255[^\n]", &seq,
				     key, &epoch, crc, answer, payload) >= 5,
			      "line %zu: %s", lines, line);
		ck_assert_uint_eq(strtoul(crc, NULL, 16), crc_of(payload, strlen(payload)));
		expect_of(weights, key, payload, wanted);
		ck_assert_str_eq(answer, wanted);
		if (seq < count)
			seen[seq]++;
	}
	free(text);
	return lines;
}

static struct program replica_start(const char *id, const char *more)
{
	return program_start("replica --id %s --endpoint chat --site primary --listen 127.0.0.1:0 "
			     "--io-dir io --weights %s",
			     id, more);
}

/* ---- replicas ---- */

START_TEST(answers_come_from_the_weights)
{
	struct program one, two, other;
	const char *a, *b, *c;
	char wanted[128], answer[17];

	write_file("other", "other weights");
	one = replica_start("r1", "weights --seed 3 --service-ns 100000,0.5");
	two = replica_start("r2", "weights");
	other = replica_start("r3", "other");
	ready(one.address);
	ready(two.address);
	ready(other.address);
	for (uint64_t seq = 0; seq < 20; seq++) {
		char key[32];

		ck_assert_int_eq(predict(one.address, "/predict", seq, "hello", &a), 200);
		ck_assert_int_eq(predict(two.address, "/predict", seq, "hello", &b), 200);
		ck_assert_int_eq(predict(other.address, "/predict", seq, "hello", &c), 200);
		snprintf(key, sizeof(key), "key%" PRIu64, seq);
		expect_of("the weights", key, "hello", answer);
		snprintf(wanted, sizeof(wanted), "%" PRIu64 " %s r1 primary\n", seq, answer);
		ck_assert_str_eq(a, wanted);
		snprintf(wanted, sizeof(wanted), "%" PRIu64 " %s r2 primary\n", seq, answer);
		ck_assert_str_eq(b, wanted);
		expect_of("other weights", key, "hello", answer);
		snprintf(wanted, sizeof(wanted), "%" PRIu64 " %s r3 primary\n", seq, answer);
		ck_assert_str_eq(c, wanted);
	}
	ck_assert_int_eq(program_end(&one), 0);
	ck_assert_int_eq(program_end(&two), 0);
	ck_assert_int_eq(program_end(&other), 0);
}
END_TEST

START_TEST(what_is_malformed_is_refused)
{
	static const char *const bodies[] = {
		"",
		"x",
		"1 key 1 00000000 payload", /* the CRC of an empty payload */
		"1 key 1 0000000G",
		"1 key 1 000000000",
		"-1 key 1 00000000",
		"9223372036854775808 key 1 00000000",
		"1  1 00000000",
		"1 key x 00000000",
		"1 key 1 00000000\n\n",
	};
	struct program replica = replica_start("r1", "weights");
	const char *text;

	ready(replica.address);
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		ck_assert_int_eq(ask("POST", replica.address, "/predict", NULL, bodies[i], &text),
				 400);
		ck_assert_ptr_nonnull(strstr(text, "\"code\":\"InvalidRequest\""));
	}
	ck_assert_int_eq(ask("GET", replica.address, "/nothing", NULL, NULL, &text), 404);
	ck_assert_ptr_nonnull(strstr(text, "\"code\":\"ResourceNotFound\""));
	ck_assert_int_eq(ask("DELETE", replica.address, "/predict", NULL, NULL, &text), 405);
	ck_assert_int_eq(ask("GET", replica.address, "/records?count=10001", NULL, NULL, &text),
			 400);
	char *long_body = malloc(80000);

	ck_assert_ptr_nonnull(long_body);
	memset(long_body, 'x', 79999);
	long_body[79999] = '\0';
	ck_assert_int_eq(ask("POST", replica.address, "/predict", NULL, long_body, &text), 413);
	free(long_body);
	ck_assert_int_eq(program_end(&replica), 0);
	ck_assert_uint_eq(log_read("io/r1.log", "the weights", NULL, 0), 0);
}
END_TEST

START_TEST(wrong_weights_are_refused)
{
	struct program replica = replica_start(
		"r1", "weights --digest "
		      "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
	int status = program_wait(&replica, READY_MS);
	char *said = program_said(&replica);

	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), MINILEPTON_WRONG_WEIGHTS);
	ck_assert_ptr_nonnull(strstr(said, "has the digest "));
	free(said);
}
END_TEST

static bool log_is_there(const void *path)
{
	return access(path, F_OK) == 0;
}

START_TEST(a_replica_waits_for_what_it_needs)
{
	struct program replica =
		replica_start("r1", "weights --after one --after two --start-ns 300000000");
	const char *text;
	int64_t since;

	ck_assert_int_eq(ask("GET", replica.address, "/healthz", NULL, NULL, &text), 503);
	ck_assert_ptr_nonnull(strstr(text, "\"state\":\"InProgress\""));
	write_file("two", "");
	program_pause(100);
	ck_assert_int_eq(access("io/r1.log", F_OK), -1);
	ck_assert_int_eq(predict(replica.address, "/predict", 1, "x", &text), 503);
	since = program_clock();
	write_file("one", "");
	ready(replica.address);
	ck_assert_int_ge(program_clock() - since, 300 * NANOS_MS);
	ck_assert_int_eq(predict(replica.address, "/predict", 1, "x", &text), 200);
	ck_assert_int_eq(program_end(&replica), 0);
}
END_TEST

/* The weights are read and the start is over long before: what is being restored is not touched. */
START_TEST(a_replica_serves_when_its_data_are_there)
{
	struct program replica =
		replica_start("r1", "weights --ready-after data --start-ns 1000000");
	const char *text;

	program_pause(300);
	ck_assert_int_eq(ask("GET", replica.address, "/healthz", NULL, NULL, &text), 503);
	ck_assert_int_eq(access("io/r1.log", F_OK), -1);
	write_file("data", "");
	ready(replica.address);
	ck_assert(program_until(log_is_there, "io/r1.log", READY_MS));
	ck_assert_int_eq(predict(replica.address, "/predict", 1, "x", &text), 200);
	ck_assert_int_eq(program_end(&replica), 0);
}
END_TEST

START_TEST(a_fence_stops_all_writes)
{
	struct program replica = replica_start("r1", "weights --fence fence");
	const char *text;

	ready(replica.address);
	ck_assert_int_eq(predict(replica.address, "/predict", 1, "x", &text), 200);
	write_file("fence", "");
	ck_assert_int_eq(predict(replica.address, "/predict", 2, "x", &text), 503);
	ck_assert_ptr_nonnull(strstr(text, "fenced"));
	ck_assert_int_eq(unlink("fence"), 0);
	ck_assert_int_eq(predict(replica.address, "/predict", 3, "x", &text), 200);
	ck_assert_int_eq(program_end(&replica), 0);
	ck_assert_uint_eq(log_read("io/r1.log", "the weights", NULL, 0), 2);
}
END_TEST

/* ---- many requests at a time ---- */

struct load {
	struct loop *loop;
	struct http_async *async;
	struct shot {
		struct load *load;
		struct http_transfer transfer;
		uint64_t seq;
		char body[128];
	} * shots;
	size_t at_once; /* 0: LOAD_AT_ONCE */
	nanos timeout;  /* 0: 10 s */
	char url[URL_MAX];
	uint64_t next, last;
	size_t flying, acknowledged, refused, lost;
	unsigned char *answered; /* by sequence number */
	struct loop_timer timer;
	pid_t victim;
	size_t after; /* acknowledged requests, until the victim is hit */
	void (*hit)(struct load *load);
};

static void shoot(struct shot *shot)
{
	struct load *load = shot->load;
	char payload[32];

	if (load->next >= load->last) {
		if (--load->flying == 0)
			loop_stop(load->loop);
		return;
	}
	shot->seq = load->next++;
	snprintf(payload, sizeof(payload), "payload %" PRIu64, shot->seq);
	snprintf(shot->body, sizeof(shot->body), "%" PRIu64 " key%" PRIu64 " 1 %08" PRIx32 " %s",
		 shot->seq, shot->seq, crc_of(payload, strlen(payload)), payload);
	shot->transfer.body_size = strlen(shot->body);
	http_async_start(load->async, &shot->transfer);
}

static void on_shot(void *self, struct http_transfer *transfer)
{
	struct shot *shot = self;
	struct load *load = shot->load;

	free(transfer->reply);
	if (transfer->outcome != HTTP_REPLIED) {
		load->lost++;
		load->last = load->next; /* it is dead: enough */
	} else if (transfer->status == 200) {
		load->answered[shot->seq] = 1;
		load->acknowledged++;
	} else {
		load->refused++;
	}
	if (load->hit && load->acknowledged >= load->after) {
		load->hit(load);
		load->hit = NULL;
	}
	shoot(shot);
}

/* Runs `load` of which url, last, victim, after and hit are set. */
static void load_run(struct load *load)
{
	struct error e = {0};

	load->answered = calloc(1, LOAD_REQUESTS);
	ck_assert_ptr_nonnull(load->answered);
	ck_assert_int_eq(loop_open(&load->loop, &e), 0);
	ck_assert_int_eq(http_async_open(load->loop, &load->async, &e), 0);
	load->flying = load->at_once > 0 ? load->at_once : LOAD_AT_ONCE;
	load->shots = calloc(load->flying, sizeof(*load->shots));
	ck_assert_ptr_nonnull(load->shots);
	for (size_t i = 0, count = load->flying; i < count; i++) {
		struct shot *shot = &load->shots[i];

		shot->load = load;
		shot->transfer = (struct http_transfer){.method = "POST",
							.url = load->url,
							.type = "text/plain",
							.body = shot->body,
							.reply_max = 4096,
							.timeout = load->timeout > 0 ? load->timeout
										     : 10 * NANOS_S,
							.connect_timeout = 10 * NANOS_S,
							.done = on_shot,
							.self = shot};
		shoot(shot);
	}
	ck_assert_int_eq(loop_run(load->loop, &e), 0);
	http_async_close(load->async);
	loop_close(load->loop);
	free(load->shots);
}

static void hit_kill(struct load *load)
{
	kill(load->victim, SIGKILL);
}

START_TEST(acknowledged_means_on_the_disk)
{
	int rounds = getenv("DRSIM_SOAK") ? 50 : 5;

	for (int round = 0; round < rounds; round++) {
		struct load load = {.last = LOAD_REQUESTS,
				    .after = 200 + 173 * (size_t)(round % 10),
				    .hit = hit_kill};
		unsigned char *seen = calloc(1, LOAD_REQUESTS);
		struct program replica =
			replica_start("r1", "weights --service-ns 500000,0.5 --concurrency 32");
		FILE *file;

		ck_assert_ptr_nonnull(seen);
		ready(replica.address);
		load.victim = replica.pid;
		snprintf(load.url, sizeof(load.url), "http://%s/predict", replica.address);
		load_run(&load);
		ck_assert_int_ne(program_wait(&replica, READY_MS), -1);
		ck_assert_uint_ge(load.acknowledged, load.after);
		ck_assert_uint_gt(load.lost, 0);
		/* What a crash in the middle of a write leaves. */
		file = fopen("io/r1.log", "ae");
		ck_assert_ptr_nonnull(file);
		fputs("123 key123 1 00000", file);
		fclose(file);
		replica = replica_start("r1", "weights");
		ready(replica.address);
		log_read("io/r1.log", "the weights", seen, LOAD_REQUESTS);
		for (size_t i = 0; i < LOAD_REQUESTS; i++)
			ck_assert_msg(!load.answered[i] || seen[i] > 0,
				      "record %zu was acknowledged and is lost", i);
		ck_assert_int_eq(program_end(&replica), 0);
		ck_assert_int_eq(unlink("io/r1.log"), 0);
		free(load.answered);
		free(seen);
	}
	printf("acknowledged records: none lost in %d kills\n", rounds);
}
END_TEST

/* In the middle of the load: frozen, fenced, and woken up again. */
static void hit_freeze(struct load *load)
{
	kill(load->victim, SIGSTOP);
	write_file("fence", "");
	program_pause(50);
	load->acknowledged = 0;
	load->last = load->next;
	kill(load->victim, SIGCONT);
}

START_TEST(who_was_frozen_acknowledges_nothing_behind_the_fence)
{
	struct load load = {.last = LOAD_REQUESTS, .after = 300, .hit = hit_freeze};
	struct program replica =
		replica_start("r1", "weights --fence fence --service-ns 20000000 --concurrency 64");

	ready(replica.address);
	load.victim = replica.pid;
	snprintf(load.url, sizeof(load.url), "http://%s/predict", replica.address);
	load_run(&load);
	/* Answers that were already in the socket when it froze are from before the fence. */
	ck_assert_uint_gt(load.refused, 0);
	ck_assert_uint_lt(load.acknowledged, LOAD_AT_ONCE);
	ck_assert_int_eq(predict(replica.address, "/predict", 1, "x", NULL), 503);
	ck_assert_int_eq(program_end(&replica), 0);
	free(load.answered);
}
END_TEST

START_TEST(predictions_wait_in_line)
{
	struct load load = {.last = 400};
	struct program replica =
		replica_start("r1", "weights --service-ns 10000000 --concurrency 8");
	int64_t took;

	ready(replica.address);
	snprintf(load.url, sizeof(load.url), "http://%s/predict", replica.address);
	took = program_clock();
	load_run(&load);
	took = program_clock() - took;
	ck_assert_uint_eq(load.acknowledged, 400);
	/* 400 predictions of 10 ms, 8 at a time. */
	ck_assert_int_ge(took, 400 / 8 * 10 * NANOS_MS);
	ck_assert_int_eq(program_end(&replica), 0);
	free(load.answered);
}
END_TEST

START_TEST(a_line_has_its_limit)
{
	/* One is in service for good, REPLICA_WAITING_MAX wait behind it. */
	struct load load = {.last = REPLICA_WAITING_MAX + 76,
			    .at_once = REPLICA_WAITING_MAX + 76,
			    .timeout = 5 * NANOS_S};
	struct program replica =
		replica_start("r1", "weights --service-ns 3600000000000 --concurrency 1");

	ready(replica.address);
	snprintf(load.url, sizeof(load.url), "http://%s/predict", replica.address);
	load_run(&load);
	ck_assert_uint_eq(load.refused, 75);
	ck_assert_uint_eq(load.lost, REPLICA_WAITING_MAX + 1);
	/* It ends in order all the same. */
	ck_assert_int_eq(program_end(&replica), 0);
	ck_assert_uint_eq(log_read("io/r1.log", "the weights", NULL, 0), 0);
	free(load.answered);
}
END_TEST

/* ---- records ---- */

START_TEST(records_of_all_logs_are_read_back)
{
	struct program one = replica_start("r1", "weights"), two = replica_start("r2", "weights");
	const char *text, *before;
	FILE *file;

	ready(one.address);
	ready(two.address);
	ck_assert_int_eq(ask("GET", one.address, "/records", NULL, NULL, &text), 200);
	ck_assert_str_eq(text, "");
	for (uint64_t seq = 0; seq < 10; seq++)
		ck_assert_int_eq(
			predict(seq % 2 ? one.address : two.address, "/predict", seq, "x", NULL),
			200);
	ck_assert_int_eq(ask("GET", one.address, "/records?from=3&count=4", NULL, NULL, &text),
			 200);
	ck_assert_int_eq(strncmp(text, "3 key3 1 ", 9), 0);
	ck_assert_ptr_nonnull(strstr(text, "\n4 key4 1 "));
	ck_assert_ptr_nonnull(strstr(text, "\n6 key6 1 "));
	ck_assert_ptr_null(strstr(text, "\n7 key7 "));
	ck_assert_int_eq(ask("GET", two.address, "/records?from=3&count=4", NULL, NULL, &before),
			 200);
	ck_assert_str_eq(text, before);
	/* A restored log appears; its last line is torn, one of its CRCs does not fit. */
	file = fopen("io/restored.log", "we");
	ck_assert_ptr_nonnull(file);
	fprintf(file, "5 old 0 %08" PRIx32 " 0123456789abcdef yes\n", crc_of("yes", 3));
	fprintf(file, "11 old 0 %08" PRIx32 " 0123456789abcdef no\n", crc_of("yes", 3));
	fprintf(file, "nonsense\n");
	fprintf(file, "12 old 0 00000000 0123456789abcdef");
	fclose(file);
	ck_assert_int_eq(ask("GET", one.address, "/records?from=5&count=100", NULL, NULL, &text),
			 200);
	ck_assert_ptr_nonnull(strstr(text, "\n5 old 0 "));
	ck_assert_ptr_nonnull(strstr(text, "\n11 old 0 BAD 0123456789abcdef no\n"));
	ck_assert_ptr_null(strstr(text, "12 old"));
	ck_assert_ptr_null(strstr(text, "nonsense"));
	/* It goes again. */
	ck_assert_int_eq(unlink("io/restored.log"), 0);
	ck_assert_int_eq(ask("GET", one.address, "/records?from=5&count=100", NULL, NULL, &text),
			 200);
	ck_assert_ptr_null(strstr(text, "old"));
	ck_assert_int_eq(program_end(&one), 0);
	ck_assert_int_eq(program_end(&two), 0);
}
END_TEST

/* ---- devices ---- */

START_TEST(a_lost_device_ends_its_replica)
{
	int64_t best = INT64_MAX;

	/* A busy machine may be late once, not three times. */
	for (int i = 0; i < 3 && best > DEVICE_MS * NANOS_MS; i++) {
		struct program replica;
		int64_t since;
		char *said;
		int status;

		write_file("gpu0", "");
		write_file("gpu3", "");
		replica = replica_start("r1", "weights --device gpu0 --device gpu3");
		ready(replica.address);
		ck_assert_int_eq(program_wait(&replica, 50), -1);
		ck_assert_int_eq(unlink("gpu3"), 0);
		since = program_clock();
		status = program_wait(&replica, READY_MS);
		since = program_clock() - since;
		best = since < best ? since : best;
		ck_assert(WIFEXITED(status));
		ck_assert_int_eq(WEXITSTATUS(status), 1);
		said = program_said(&replica);
		ck_assert_ptr_nonnull(strstr(said, "CUDA error: device is lost (gpu3)\n"));
		free(said);
	}
	ck_assert_int_le(best, DEVICE_MS * NANOS_MS);
}
END_TEST

/* ---- gateways ---- */

/* Puts routes in force: for each replica a deployment of its own. */
static int route(const struct program *gateway, int epoch, const struct program *replicas,
		 const int *weights, size_t count)
{
	char body[BODY_MAX];
	size_t used;

	used = (size_t)snprintf(
		body, sizeof(body),
		"{\"epoch\":%d,\"endpoints\":[{\"name\":\"chat\",\"interval_ns\":50000000,"
		"\"timeout_ns\":300000000,\"misses\":2,\"retries\":2,"
		"\"request_timeout_ns\":700000000,\"deployments\":[",
		epoch);
	for (size_t i = 0; i < count; i++)
		used += (size_t)snprintf(body + used, sizeof(body) - used,
					 "%s{\"name\":\"chat-%zu\",\"weight\":%d,\"replicas\":"
					 "[{\"id\":\"r%zu\",\"address\":\"%s\"}]}",
					 i > 0 ? "," : "", i, weights[i], i, replicas[i].address);
	snprintf(body + used, sizeof(body) - used, "]}]}");
	return ask("PUT", gateway->address, "/_drsim/routes", "secret", body, NULL);
}

struct wanted {
	const struct program *gateway;
	int healthy;
};

static bool is_healthy(const void *self)
{
	const struct wanted *wanted = self;
	const char *text = "";
	char part[32];

	snprintf(part, sizeof(part), "\"healthy\":%d,", wanted->healthy);
	return ask("GET", wanted->gateway->address, "/_drsim/stats", "secret", NULL, &text) ==
		       200 &&
	       strstr(text, part);
}

static void wait_healthy(const struct program *gateway, int count)
{
	struct wanted wanted = {gateway, count};

	ck_assert(program_until(is_healthy, &wanted, READY_MS));
}

/* How many of `count` predictions each replica answers; those that fail are told. */
static size_t shares(const struct program *gateway, size_t count, size_t of[3])
{
	size_t failed = 0;

	memset(of, 0, 3 * sizeof(*of));
	for (uint64_t seq = 0; seq < count; seq++) {
		const char *text;

		if (predict(gateway->address, "/chat/predict", seq, "x", &text) != 200)
			failed++;
		else
			for (int i = 0; i < 3; i++) {
				char part[8];

				snprintf(part, sizeof(part), " r%d ", i);
				of[i] += strstr(text, part) != NULL;
			}
	}
	return failed;
}

struct platform {
	struct program gateway, replicas[3];
};

static void platform_start(struct platform *platform, size_t count)
{
	platform->gateway = program_start("gateway --listen 127.0.0.1:0 --token secret");
	for (size_t i = 0; i < count; i++) {
		char id[8];

		snprintf(id, sizeof(id), "r%zu", i);
		platform->replicas[i] = replica_start(id, "weights");
		ready(platform->replicas[i].address);
	}
}

static void platform_end(struct platform *platform, size_t count)
{
	ck_assert_int_eq(program_end(&platform->gateway), 0);
	for (size_t i = 0; i < count; i++)
		program_end(&platform->replicas[i]);
}

START_TEST(traffic_goes_by_weight)
{
	struct platform p;
	size_t of[3];
	cJSON *health;

	platform_start(&p, 2);
	ck_assert_int_eq(route(&p.gateway, 1, p.replicas, (int[]){75, 25}, 2), 200);
	wait_healthy(&p.gateway, 2);
	ck_assert_uint_eq(shares(&p.gateway, 800, of), 0);
	/* Four standard deviations of 800 draws are 49. */
	ck_assert_uint_ge(of[0], 551);
	ck_assert_uint_le(of[0], 649);
	ck_assert_uint_eq(of[0] + of[1], 800);
	ck_assert_int_eq(route(&p.gateway, 2, p.replicas, (int[]){0, 100}, 2), 200);
	ck_assert_uint_eq(shares(&p.gateway, 100, of), 0);
	ck_assert_uint_eq(of[1], 100);
	/* An older epoch changes nothing; who does not know the token neither. */
	ck_assert_int_eq(route(&p.gateway, 1, p.replicas, (int[]){100, 0}, 2), 409);
	ck_assert_int_eq(ask("PUT", p.gateway.address, "/_drsim/routes", "wrong", "{}", NULL), 401);
	ck_assert_int_eq(ask("PUT", p.gateway.address, "/_drsim/routes", "secret", "{}", NULL),
			 400);
	ck_assert_uint_eq(shares(&p.gateway, 50, of), 0);
	ck_assert_uint_eq(of[1], 50);
	ck_assert_int_eq(predict(p.gateway.address, "/none/predict", 1, "x", NULL), 404);
	health = ask_json("GET", p.gateway.address, "/chat/healthz", NULL, 200);
	ck_assert_str_eq(json_text(health, "id"), "r1");
	cJSON_Delete(health);
	ck_assert_int_eq(
		ask("GET", p.gateway.address, "/chat/records?from=0&count=10", NULL, NULL, NULL),
		200);
	platform_end(&p, 2);
}
END_TEST

START_TEST(replicas_go_out_and_come_back)
{
	struct platform p;
	size_t of[3];

	platform_start(&p, 2);
	ck_assert_int_eq(route(&p.gateway, 1, p.replicas, (int[]){50, 50}, 2), 200);
	wait_healthy(&p.gateway, 2);
	/* Dead: until the health checks have seen it, others are tried. */
	kill(p.replicas[0].pid, SIGKILL);
	ck_assert_int_ne(program_wait(&p.replicas[0], READY_MS), -1);
	ck_assert_uint_eq(shares(&p.gateway, 40, of), 0);
	ck_assert_uint_eq(of[1], 40);
	wait_healthy(&p.gateway, 1);
	/* Frozen: no answer in time; nobody else is there. */
	kill(p.replicas[1].pid, SIGSTOP);
	ck_assert_int_eq(predict(p.gateway.address, "/chat/predict", 1, "x", NULL), 504);
	wait_healthy(&p.gateway, 0);
	ck_assert_int_eq(predict(p.gateway.address, "/chat/predict", 2, "x", NULL), 503);
	kill(p.replicas[1].pid, SIGCONT);
	wait_healthy(&p.gateway, 1);
	ck_assert_int_eq(predict(p.gateway.address, "/chat/predict", 3, "x", NULL), 200);
	p.replicas[0] = replica_start("r0", "weights");
	ck_assert_int_eq(route(&p.gateway, 2, p.replicas, (int[]){50, 50}, 2), 200);
	wait_healthy(&p.gateway, 2);
	ck_assert_uint_eq(shares(&p.gateway, 40, of), 0);
	ck_assert_uint_gt(of[0], 0);
	platform_end(&p, 2);
}
END_TEST

START_TEST(no_answer_in_time_goes_elsewhere)
{
	struct platform p;
	size_t of[3];
	cJSON *stats;
	const char *text;

	platform_start(&p, 2);
	ck_assert_int_eq(route(&p.gateway, 1, p.replicas, (int[]){50, 50}, 2), 200);
	wait_healthy(&p.gateway, 2);
	kill(p.replicas[0].pid, SIGSTOP);
	ck_assert_uint_eq(shares(&p.gateway, 6, of), 0);
	ck_assert_uint_eq(of[1], 6);
	kill(p.replicas[0].pid, SIGCONT);
	/* A replica that refuses (its storage is fenced) is no end either. */
	ck_assert_int_eq(ask("GET", p.gateway.address, "/_drsim/stats", "secret", NULL, &text),
			 200);
	stats = cJSON_Parse(text);
	ck_assert(json_number(cJSON_GetArrayItem(cJSON_GetObjectItem(stats, "endpoints"), 0),
			      "failed") == 0);
	cJSON_Delete(stats);
	platform_end(&p, 2);
}
END_TEST

START_TEST(a_gateway_under_load_loses_nothing)
{
	struct load load = {.last = 5000};
	struct platform p;
	unsigned char *seen = calloc(1, LOAD_REQUESTS);

	platform_start(&p, 2);
	ck_assert_int_eq(route(&p.gateway, 1, p.replicas, (int[]){50, 50}, 2), 200);
	wait_healthy(&p.gateway, 2);
	snprintf(load.url, sizeof(load.url), "http://%s/chat/predict", p.gateway.address);
	load_run(&load);
	ck_assert_uint_eq(load.acknowledged, 5000);
	ck_assert_uint_eq(log_read("io/r0.log", "the weights", seen, LOAD_REQUESTS) +
				  log_read("io/r1.log", "the weights", seen, LOAD_REQUESTS),
			  5000);
	for (size_t i = 0; i < 5000; i++)
		ck_assert_uint_eq(seen[i], 1);
	platform_end(&p, 2);
	free(load.answered);
	free(seen);
}
END_TEST

/* ---- node agents ---- */

static cJSON *process_of(const struct program *node, const char *id)
{
	cJSON *json = ask_json("GET", node->address, "/_drsim/node", NULL, 200), *item, *found;
	int at = 0;

	cJSON_ArrayForEach (item, cJSON_GetObjectItem(json, "processes")) {
		if (strcmp(json_text(item, "id"), id) == 0)
			break;
		at++;
	}
	ck_assert_msg(item != NULL, "no process %s", id);
	found = cJSON_DetachItemFromArray(cJSON_GetObjectItem(json, "processes"), at);
	cJSON_Delete(json);
	return found;
}

struct expected {
	const struct program *node;
	const char *id, *state;
};

static bool is_in_state(const void *self)
{
	const struct expected *expected = self;
	cJSON *json = process_of(expected->node, expected->id);
	bool is = strcmp(json_text(json, "state"), expected->state) == 0;

	cJSON_Delete(json);
	return is;
}

static void wait_state(const struct program *node, const char *id, const char *state)
{
	struct expected expected = {node, id, state};

	ck_assert(program_until(is_in_state, &expected, READY_MS));
}

static struct program node_start(void)
{
	ck_assert_int_eq(mkdir("dev", 0777), 0);
	write_file("dev/gpu0", "");
	write_file("dev/gpu1", "");
	return program_start("node --name primary/node[0] --listen 127.0.0.1:0 --devices dev "
			     "--gpus 2");
}

static bool process_is_gone(const void *self)
{
	return kill(*(const pid_t *)self, 0) != 0;
}

START_TEST(an_agent_starts_and_ends_processes)
{
	static const char failing[] =
		"{\"id\":\"a\",\"argv\":[\"/bin/sh\",\"-c\",\"echo out; echo first >&2; "
		"echo $WHY >&2; exit 7\"],\"env\":{\"WHY\":\"because\"},\"log\":\"a.log\"}";
	static const char stubborn[] = "{\"id\":\"b\",\"argv\":[\"/bin/sh\",\"-c\","
				       "\"trap '' TERM; while :; do sleep 0.1; done\"]}";
	struct program node = node_start();
	cJSON *json;
	char *log;
	int64_t since;

	for (int starts = 1; starts <= 3; starts++) {
		cJSON_Delete(ask_json("POST", node.address, "/_drsim/processes", failing, 201));
		wait_state(&node, "a", "exited");
		json = process_of(&node, "a");
		ck_assert_int_eq((int)json_number(json, "exit_code"), 7);
		ck_assert(cJSON_IsNull(cJSON_GetObjectItem(json, "signal")));
		ck_assert_str_eq(json_text(json, "reason"), "because");
		ck_assert_int_eq((int)json_number(json, "starts"), starts);
		cJSON_Delete(json);
	}
	log = workplace_read("a.log");
	ck_assert_ptr_nonnull(strstr(log, "out\n"));
	ck_assert_ptr_nonnull(strstr(log, "first\nbecause\n"));
	free(log);
	cJSON_Delete(ask_json("POST", node.address, "/_drsim/processes", stubborn, 201));
	ck_assert_int_eq(ask("POST", node.address, "/_drsim/processes", NULL, stubborn, NULL), 409);
	program_pause(200); /* its trap is set */
	since = program_clock();
	json = ask_json("DELETE", node.address, "/_drsim/processes/b", NULL, 200);
	ck_assert_int_ge(program_clock() - since, 1900 * NANOS_MS);
	ck_assert_int_eq((int)json_number(json, "signal"), SIGKILL);
	cJSON_Delete(json);
	ck_assert_int_eq(ask("DELETE", node.address, "/_drsim/processes/c", NULL, NULL, NULL), 404);
	cJSON_Delete(ask_json("POST", node.address, "/_drsim/processes",
			      "{\"id\":\"d\",\"argv\":[\"/does/not/exist\"]}", 201));
	wait_state(&node, "d", "exited");
	json = process_of(&node, "d");
	ck_assert_int_eq((int)json_number(json, "exit_code"), 127);
	ck_assert_ptr_nonnull(strstr(json_text(json, "reason"), "No such file"));
	cJSON_Delete(json);
	ck_assert_int_eq(program_end(&node), 0);
}
END_TEST

START_TEST(an_agent_tells_what_it_sees)
{
	struct program node = node_start();
	cJSON *json = ask_json("GET", node.address, "/_drsim/node", NULL, 200), *gpus;
	pid_t pid;

	ck_assert_str_eq(json_text(json, "name"), "primary/node[0]");
	gpus = cJSON_GetObjectItem(json, "gpus");
	ck_assert_int_eq(cJSON_GetArraySize(gpus), 2);
	ck_assert(cJSON_IsTrue(cJSON_GetObjectItem(cJSON_GetArrayItem(gpus, 1), "present")));
	cJSON_Delete(json);
	ck_assert_int_eq(unlink("dev/gpu1"), 0);
	json = ask_json("GET", node.address, "/_drsim/node", NULL, 200);
	gpus = cJSON_GetObjectItem(json, "gpus");
	ck_assert(cJSON_IsTrue(cJSON_GetObjectItem(cJSON_GetArrayItem(gpus, 0), "present")));
	ck_assert(cJSON_IsFalse(cJSON_GetObjectItem(cJSON_GetArrayItem(gpus, 1), "present")));
	cJSON_Delete(json);
	json = ask_json("POST", node.address, "/_drsim/processes",
			"{\"id\":\"s\",\"argv\":[\"/bin/sleep\",\"1000\"]}", 201);
	pid = (pid_t)json_number(json, "pid");
	cJSON_Delete(json);
	kill(pid, SIGSTOP);
	wait_state(&node, "s", "stopped");
	kill(pid, SIGCONT);
	wait_state(&node, "s", "running");
	kill(pid, SIGKILL);
	wait_state(&node, "s", "exited");
	json = process_of(&node, "s");
	ck_assert_int_eq((int)json_number(json, "signal"), SIGKILL);
	ck_assert(cJSON_IsNull(cJSON_GetObjectItem(json, "exit_code")));
	cJSON_Delete(json);
	ck_assert_int_eq(program_end(&node), 0);
}
END_TEST

START_TEST(processes_die_with_their_agent)
{
	for (int round = 0; round < 2; round++) {
		struct program node = round == 0 ? node_start()
						 : program_start("node --name n --listen "
								 "127.0.0.1:0 --devices dev "
								 "--gpus 2");
		cJSON *json = ask_json("POST", node.address, "/_drsim/processes",
				       "{\"id\":\"s\",\"argv\":[\"/bin/sleep\",\"1000\"]}", 201);
		pid_t pid = (pid_t)json_number(json, "pid");

		cJSON_Delete(json);
		ck_assert_int_eq(kill(pid, 0), 0);
		if (round == 0)
			kill(node.pid, SIGKILL);
		ck_assert_int_ne(program_end(&node), -1);
		ck_assert(program_until(process_is_gone, &pid, READY_MS));
	}
}
END_TEST

/* The first child of a process, as the test's own PID namespace numbers it; 0: none. */
static pid_t child_of(pid_t pid)
{
	char path[64];
	int child = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	if (fscanf(file, "%d", &child) != 1)
		child = 0;
	fclose(file);
	return (pid_t)child;
}

static bool has_no_child(const void *self)
{
	return child_of(*(const pid_t *)self) == 0;
}

START_TEST(an_agent_reaps_as_process_1)
{
	static const char orphan[] = "{\"id\":\"o\",\"argv\":[\"/bin/sh\",\"-c\","
				     "\"setsid sleep 1000 & exit 0\"]}";
	struct program node;
	cJSON *json;
	pid_t pid;

	if (unshare(CLONE_NEWPID)) {
		printf("skipped: PID namespaces need root: %s\n", strerror(errno));
		return;
	}
	node = node_start();
	for (int round = 0; round < 2; round++) {
		cJSON_Delete(ask_json("POST", node.address, "/_drsim/processes", orphan, 201));
		wait_state(&node, "o", "exited");
		json = process_of(&node, "o");
		ck_assert_int_eq((int)json_number(json, "exit_code"), 0);
		cJSON_Delete(json);
		pid = child_of(node.pid);
		ck_assert_int_gt(pid, 0);
		if (round == 0) {
			ck_assert_int_eq(kill(pid, SIGKILL), 0);
			ck_assert(program_until(has_no_child, &node.pid, READY_MS));
		}
	}
	/* Its namespace goes with it, and all that is in there. */
	ck_assert_int_eq(kill(node.pid, SIGKILL), 0);
	ck_assert_int_ne(program_wait(&node, READY_MS), -1);
	ck_assert(program_until(process_is_gone, &pid, READY_MS));
}
END_TEST

START_TEST(an_unknown_command_lists_those_that_exist)
{
	struct program program = program_start("nonsense");
	int status = program_wait(&program, READY_MS);
	char *said = program_said(&program);

	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), MINILEPTON_USAGE);
	ck_assert_ptr_nonnull(strstr(said, "unknown command 'nonsense'"));
	ck_assert_ptr_nonnull(strstr(said, "  replica "));
	ck_assert_ptr_nonnull(strstr(said, "  gateway "));
	ck_assert_ptr_nonnull(strstr(said, "  node "));
	free(said);
	program = program_start("replica --id r1 --lisen 127.0.0.1:0");
	status = program_wait(&program, READY_MS);
	said = program_said(&program);
	ck_assert_int_eq(WEXITSTATUS(status), MINILEPTON_USAGE);
	ck_assert_ptr_nonnull(strstr(said, "unknown option '--lisen'; did you mean '--listen'?"));
	free(said);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	add(suite, "answers", answers_come_from_the_weights);
	add(suite, "malformed", what_is_malformed_is_refused);
	add(suite, "digest", wrong_weights_are_refused);
	add(suite, "after", a_replica_waits_for_what_it_needs);
	add(suite, "ready after", a_replica_serves_when_its_data_are_there);
	add(suite, "fence", a_fence_stops_all_writes);
	add(suite, "kill", acknowledged_means_on_the_disk);
	add(suite, "frozen", who_was_frozen_acknowledges_nothing_behind_the_fence);
	add(suite, "line", predictions_wait_in_line);
	add(suite, "long line", a_line_has_its_limit);
	add(suite, "records", records_of_all_logs_are_read_back);
	add(suite, "device", a_lost_device_ends_its_replica);
	add(suite, "weights", traffic_goes_by_weight);
	add(suite, "health", replicas_go_out_and_come_back);
	add(suite, "retries", no_answer_in_time_goes_elsewhere);
	add(suite, "load", a_gateway_under_load_loses_nothing);
	add(suite, "processes", an_agent_starts_and_ends_processes);
	add(suite, "node", an_agent_tells_what_it_sees);
	add(suite, "death", processes_die_with_their_agent);
	add(suite, "process 1", an_agent_reaps_as_process_1);
	add(suite, "usage", an_unknown_command_lists_those_that_exist);
}

TEST_MAIN("minilepton", add_cases)
