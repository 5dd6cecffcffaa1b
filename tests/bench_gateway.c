/* SPDX-License-Identifier: Apache-2.0 */
/* What the gateway costs: an open-loop load on two replicas, straight at them and through the
 * gateway, the latencies of both counted from the intended send times. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sim/minilepton/http.h"
#include "sim/minilepton/loop.h"
#include "sim/minilepton/minilepton.h"
#include "sim/minilepton/record.h"
#include "tests/program.h"
#include "tests/workplace.h"

#define RATE 3000
#define SECONDS 5
#define REQUESTS (RATE * SECONDS)
#define ROUNDS 3

struct request {
	struct load *load;
	nanos intended;
	struct http_transfer transfer;
	char body[128], url[128];
};

struct load {
	struct loop *loop;
	struct http_async *async;
	struct loop_timer timer;
	nanos start;
	struct request *requests;
	size_t sent, done, good, outcomes[HTTP_BROKEN + 1];
	nanos *latencies;
};

static int order(const void *left, const void *right)
{
	nanos a = *(const nanos *)left, b = *(const nanos *)right;

	return a < b ? -1 : a > b;
}

static void on_done(void *self, struct http_transfer *transfer)
{
	struct request *request = self;
	struct load *load = request->load;

	load->latencies[load->done++] = minilepton_now() - request->intended;
	load->good += transfer->outcome == HTTP_REPLIED && transfer->status == 200;
	load->outcomes[transfer->outcome]++;
	free(transfer->reply);
	if (load->done == REQUESTS)
		loop_stop(load->loop);
}

static void on_due(void *self)
{
	struct load *load = self;
	nanos now = minilepton_now();

	while (load->sent < REQUESTS) {
		struct request *request = &load->requests[load->sent];

		request->intended = load->start + (nanos)load->sent * NANOS_S / RATE;
		if (request->intended > now) {
			loop_timer_set(load->loop, &load->timer, request->intended);
			return;
		}
		load->sent++;
		http_async_start(load->async, &request->transfer);
	}
}

/* Requests in turn to the `count` addresses. */
static void prepare(struct load *load, const char *const *addresses, size_t count,
		    const char *prefix)
{
	static const char payload[] = "what is the answer to everything?";

	for (size_t i = 0; i < REQUESTS; i++) {
		struct request *request = &load->requests[i];

		request->load = load;
		snprintf(request->url, sizeof(request->url), "http://%s%s/predict",
			 addresses[i % count], prefix);
		snprintf(request->body, sizeof(request->body), "%zu key%zu 1 %08" PRIx32 " %s", i,
			 i, record_crc(payload, sizeof(payload) - 1), payload);
		request->transfer = (struct http_transfer){
			.method = "POST",
			.url = request->url,
			.type = "text/plain",
			.body = request->body,
			.body_size = strlen(request->body),
			.reply_max = 1024,
			.timeout = 5 * NANOS_S,
			.connect_timeout = NANOS_S,
			.done = on_done,
			.self = request,
		};
	}
}

static double cpu_ms(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-3;
}

/* User and system time of a process, in ms. */
static double cpu_ms_of(pid_t pid)
{
	unsigned long user = 0, system = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file ||
	    fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
		   &system) != 2)
		user = system = 0;
	if (file)
		fclose(file);
	return (double)(user + system) * 1e3 / (double)sysconf(_SC_CLK_TCK);
}

static nanos run(const char *name, const char *const *addresses, size_t count, const char *prefix)
{
	struct load load = {0};
	struct error e = {0};
	double cpu = cpu_ms();
	nanos p99, took;

	load.requests = calloc(REQUESTS, sizeof(*load.requests));
	load.latencies = calloc(REQUESTS, sizeof(*load.latencies));
	if (!load.requests || !load.latencies || loop_open(&load.loop, &e) ||
	    http_async_open(load.loop, &load.async, &e)) {
		fprintf(stderr, "%s\n", e.text);
		exit(1);
	}
	prepare(&load, addresses, count, prefix);
	load.timer.fire = on_due;
	load.timer.self = &load;
	load.start = minilepton_now() + NANOS_MS;
	loop_timer_set(load.loop, &load.timer, load.start);
	if (loop_run(load.loop, &e)) {
		fprintf(stderr, "%s\n", e.text);
		exit(1);
	}
	took = minilepton_now() - load.start;
	qsort(load.latencies, REQUESTS, sizeof(nanos), order);
	p99 = load.latencies[REQUESTS * 99 / 100];
	printf("%-10s %6.0f/s  ok %zu of %d  p50 %7.3f ms  p90 %7.3f  p99 %7.3f  p99.9 %7.3f  "
	       "generator %5.0f ms of CPU\n",
	       name, (double)REQUESTS * 1e9 / (double)took, load.good, REQUESTS,
	       (double)load.latencies[REQUESTS / 2] * 1e-6,
	       (double)load.latencies[REQUESTS * 9 / 10] * 1e-6, (double)p99 * 1e-6,
	       (double)load.latencies[REQUESTS * 999 / 1000] * 1e-6, cpu_ms() - cpu);
	if (load.good < REQUESTS)
		printf("           other answers %zu, no connection %zu, timed out %zu, broken "
		       "%zu\n",
		       load.outcomes[HTTP_REPLIED] - load.good, load.outcomes[HTTP_NO_CONNECTION],
		       load.outcomes[HTTP_TIMED_OUT], load.outcomes[HTTP_BROKEN]);
	http_async_close(load.async);
	loop_close(load.loop);
	free(load.requests);
	free(load.latencies);
	return p99;
}

static void route(const char *gateway, const char *const *replicas)
{
	struct arena arena = {0};
	struct http_client *client;
	struct http_reply reply;
	struct error e = {0};
	char url[128], body[2048];
	struct http_call call = {.method = "PUT", .url = url, .body = body, .timeout = NANOS_S};

	snprintf(url, sizeof(url), "http://%s/_drsim/routes", gateway);
	snprintf(body, sizeof(body),
		 "{\"epoch\":1,\"endpoints\":[{\"name\":\"chat\",\"interval_ns\":500000000,"
		 "\"timeout_ns\":500000000,\"misses\":3,\"retries\":1,"
		 "\"request_timeout_ns\":5000000000,\"deployments\":[{\"name\":\"chat-primary\","
		 "\"weight\":100,\"replicas\":[{\"id\":\"r0\",\"address\":\"%s\"},"
		 "{\"id\":\"r1\",\"address\":\"%s\"}]}]}]}",
		 replicas[0], replicas[1]);
	call.body_size = strlen(body);
	if (http_client_open(&client, &e) || http_call(client, &call, &arena, &reply, &e) ||
	    reply.status != 200) {
		fprintf(stderr, "routes: %s\n", e.text);
		exit(1);
	}
	http_client_close(client);
	arena_free(&arena);
	program_pause(200);
}

int main(void)
{
	struct program replicas[2], gateway;
	const char *addresses[2], *through[1];
	struct error e = {0};
	double cpu[3];
	/* In memory: what is measured is the gateway, not the disk. */
	char folder[] = "/dev/shm/drsim-gateway-XXXXXX";
	FILE *file;

	program_find();
	if (!mkdtemp(folder) || chdir(folder))
		return 1;
	file = fopen("weights", "we");
	if (!file || fputs("weights", file) < 0 || fclose(file) || http_client_prepare(&e))
		return 1;
	for (int i = 0; i < 2; i++) {
		replicas[i] = program_start("replica --id r%d --endpoint chat --site primary "
					    "--listen 127.0.0.1:0 --weights weights --io-dir . "
					    "--service-ns 2000000,0.3 --concurrency 256",
					    i);
		addresses[i] = replicas[i].address;
	}
	gateway = program_start("gateway --listen 127.0.0.1:0");
	through[0] = gateway.address;
	program_pause(300);
	route(gateway.address, addresses);
	for (int i = 0; i < ROUNDS; i++) {
		nanos direct = run("direct", addresses, 2, ""), added;

		for (int j = 0; j < 3; j++)
			cpu[j] = -cpu_ms_of(j < 2 ? replicas[j].pid : gateway.pid);
		added = run("gateway", through, 1, "/chat") - direct;
		for (int j = 0; j < 3; j++)
			cpu[j] += cpu_ms_of(j < 2 ? replicas[j].pid : gateway.pid);
		printf("           added to p99: %.3f ms; CPU of gateway %.0f us, of replicas %.0f "
		       "us "
		       "a request\n",
		       (double)added * 1e-6, cpu[2] * 1e3 / REQUESTS,
		       (cpu[0] + cpu[1]) * 1e3 / REQUESTS);
	}
	program_end(&gateway);
	for (int i = 0; i < 2; i++)
		program_end(&replicas[i]);
	workplace_remove(folder);
	return 0;
}
