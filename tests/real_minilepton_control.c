/* SPDX-License-Identifier: Apache-2.0 */
/* The stand-in platform's store, control plane and training ranks as real processes on loopback:
 * killed, starved, damaged, and looked at from outside. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "core/prng.h"
#include "sim/minilepton/http.h"
#include "sim/minilepton/minilepton.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define TOKEN "secret-of-the-drill"
#define PATIENCE (20 * NANOS_S)
#define WORDS_MAX 64
#define TEXT_MAX 4096

static char program[PATH_MAX], here[PATH_MAX];
static struct http_client *client;
static struct arena arena;

/* ---- processes ---- */

struct process {
	pid_t pid;
	char address[HTTP_ADDRESS_MAX];
};

static nanos now(void)
{
	return minilepton_now();
}

static void pause_ms(int ms)
{
	usleep((useconds_t)ms * 1000);
}

/* Reads `listening ADDRESS:PORT`. */
static void read_address(int fd, struct process *process)
{
	char line[128] = "";
	size_t used = 0;

	while (used < sizeof(line) - 1 && read(fd, line + used, 1) == 1 && line[used] != '\n')
		used++;
	line[used] = '\0';
	ck_assert_msg(strncmp(line, "listening ", 10) == 0, "it said '%s'", line);
	snprintf(process->address, sizeof(process->address), "%.63s", line + 10);
}

/* Words up to NULL; standard error goes to `log`. */
static struct process start(const char *log, const char *const *words)
{
	struct process process;
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	process.pid = fork();
	ck_assert_int_ge(process.pid, 0);
	if (process.pid == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (fd < 0 || dup2(ends[1], STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
			_exit(97);
		execv(program, (char *const *)(uintptr_t)words);
		_exit(98);
	}
	close(ends[1]);
	read_address(ends[0], &process);
	close(ends[0]);
	return process;
}

static void end(struct process *process, int number)
{
	int status;

	ck_assert_int_eq(kill(process->pid, number), 0);
	ck_assert_int_eq(waitpid(process->pid, &status, 0), process->pid);
	if (number == SIGTERM) /* in order, and without a leak where one is looked for */
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %#x", status);
	process->pid = 0;
}

static void enter(const char *name)
{
	struct error e = {0};

	workplace_enter(name);
	snprintf(program, sizeof(program), "%.4000s", workplace_program);
	*strrchr(program, '/') = '\0';
	strncat(program, "/minilepton", sizeof(program) - strlen(program) - 1);
	ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
	ck_assert_int_eq(http_client_prepare(&e), 0);
	ck_assert_int_eq(http_client_open(&client, &e), 0);
}

static void leave(void)
{
	http_client_close(client);
	arena_free(&arena);
	workplace_leave();
}

static bool soak(void)
{
	const char *text = getenv("DRSIM_SOAK");
	return text && !strcmp(text, "1");
}

/* ---- calls ---- */

static int ask_raw(struct http_client *with, const char *method, const char *url, const char *token,
		   const void *body, size_t size, struct http_reply *ret)
{
	struct http_call call = {.method = method,
				 .url = url,
				 .token = token,
				 .body = body,
				 .body_size = size,
				 .timeout = PATIENCE};
	struct error e = {0};

	if (http_call(with, &call, &arena, ret, &e))
		return -1;
	return ret->status;
}

/* The reply's JSON, whatever it is; *ret_status 0 when none came. */
static cJSON *ask(const char *method, const char *address, const char *path, const char *body,
		  int *ret_status)
{
	struct http_reply reply = {0};
	char url[TEXT_MAX];
	int status;

	snprintf(url, sizeof(url), "http://%s%s", address, path);
	status = ask_raw(client, method, url, TOKEN, body, body ? strlen(body) : 0, &reply);
	*ret_status = status < 0 ? 0 : status;
	return status < 0 || !reply.body ? NULL : cJSON_ParseWithLength(reply.body, reply.size);
}

/* One that must succeed with this status. */
static cJSON *must(const char *method, const char *address, const char *path, const char *body,
		   int wanted)
{
	int status = 0;
	cJSON *json = ask(method, address, path, body, &status);
	char *text = cJSON_PrintUnformatted(json);

	ck_assert_msg(status == wanted, "%s %s: %d instead of %d: %s", method, path, status, wanted,
		      text ? text : "");
	cJSON_free(text);
	return json;
}

static void must_do(const char *method, const char *address, const char *path, const char *body,
		    int wanted)
{
	cJSON_Delete(must(method, address, path, body, wanted));
}

/* A member by names separated by '/'; numbers are indices. NULL when it is not there. */
static const cJSON *member(const cJSON *json, const char *path)
{
	char text[256], *save = NULL;

	snprintf(text, sizeof(text), "%s", path);
	for (char *word = strtok_r(text, "/", &save); json && word;
	     word = strtok_r(NULL, "/", &save))
		json = cJSON_IsArray(json) ? cJSON_GetArrayItem(json, atoi(word))
					   : cJSON_GetObjectItemCaseSensitive(json, word);
	return json;
}

/* Asks until the member is the text or number that is wanted. */
static void wait_for(const char *address, const char *path, const char *what, const char *wanted)
{
	nanos due = now() + PATIENCE;
	char last[256] = "nothing";

	while (now() < due) {
		int status = 0;
		cJSON *json = ask("GET", address, path, NULL, &status);
		const cJSON *found = member(json, what);

		if (cJSON_IsString(found))
			snprintf(last, sizeof(last), "%s", found->valuestring);
		else if (cJSON_IsNumber(found))
			snprintf(last, sizeof(last), "%.0f", found->valuedouble);
		cJSON_Delete(json);
		if (!strcmp(last, wanted))
			return;
		pause_ms(10);
	}
	ck_abort_msg("%s of %s is '%s', not '%s'", what, path, last, wanted);
}

static double number(const char *address, const char *path, const char *what)
{
	cJSON *json = must("GET", address, path, NULL, 200);
	const cJSON *found = member(json, what);
	double value;

	ck_assert_msg(cJSON_IsNumber(found), "%s has no %s", path, what);
	value = found->valuedouble;
	cJSON_Delete(json);
	return value;
}

/* ---- the store ---- */

static struct process start_store(const char *dir, const char *read_rate, const char *write_rate)
{
	const char *words[] = {
		"minilepton", "store",       "--listen", "127.0.0.1:0",  "--dir",    dir, "--token",
		TOKEN,        "--read-rate", read_rate,  "--write-rate", write_rate, NULL};

	return start("store.log", words);
}

static char *bytes(size_t size, uint64_t seed)
{
	struct prng prng;
	char *data = arena_alloc(&arena, size);

	prng_open(&prng, seed, 0, 0, PRNG_TEST);
	for (size_t i = 0; i < size; i += 8) {
		uint64_t word = prng_u64(&prng);

		memcpy(data + i, &word, size - i < 8 ? size - i : 8);
	}
	return data;
}

struct put {
	char url[TEXT_MAX];
	const char *data;
	size_t size;
	int status;
};

static void *put_run(void *self)
{
	struct put *put = self;
	struct http_call call = {.method = "PUT",
				 .url = put->url,
				 .token = TOKEN,
				 .body = put->data,
				 .body_size = put->size,
				 .timeout = PATIENCE};
	struct arena own = {0};
	struct http_client *with;
	struct http_reply reply = {0};
	struct error e = {0};

	if (http_client_open(&with, &e))
		return NULL;
	put->status = http_call(with, &call, &own, &reply, &e) ? 0 : reply.status;
	http_client_close(with);
	arena_free(&own);
	return NULL;
}

#define OBJECT ((size_t)3 << 20)

/* Puts one version over another while the store is killed; afterwards it is one of the two. */
static bool kill_during_put(struct prng *prng, const char *old, const char *new, char *seen_old)
{
	struct process store = start_store("objects", "0", "60000000");
	struct put put = {.data = new, .size = OBJECT};
	struct http_reply reply = {0};
	char url[TEXT_MAX];
	pthread_t thread;
	cJSON *list;
	bool is_new;

	snprintf(put.url, sizeof(put.url), "http://%s/o/packs/one", store.address);
	ck_assert_int_eq(pthread_create(&thread, NULL, put_run, &put), 0);
	usleep((useconds_t)prng_below(prng, 120000));
	end(&store, SIGKILL);
	pthread_join(thread, NULL);
	store = start_store("objects", "0", "0");
	snprintf(url, sizeof(url), "http://%s/o/packs/one", store.address);
	ck_assert_int_eq(ask_raw(client, "GET", url, TOKEN, NULL, 0, &reply), 200);
	ck_assert_uint_eq(reply.size, OBJECT);
	is_new = memcmp(reply.body, new, OBJECT) == 0;
	ck_assert(is_new || memcmp(reply.body, old, OBJECT) == 0);
	if (put.status == 201)
		ck_assert(is_new); /* what was acknowledged is durable */
	*seen_old |= !is_new;
	list = must("GET", store.address, "/o/", NULL, 200);
	ck_assert_int_eq(cJSON_GetArraySize(member(list, "objects")), 1);
	cJSON_Delete(list);
	end(&store, SIGTERM);
	return is_new;
}

START_TEST(a_killed_store_has_whole_objects_only)
{
	int rounds = soak() ? 200 : 12, news = 0;
	const char *versions[2];
	struct process store;
	struct prng prng;
	char url[TEXT_MAX], seen_old = 0;
	struct http_reply reply = {0};
	int current = 0;

	enter("store-kill");
	prng_open(&prng, 1, 0, 0, PRNG_TEST);
	ck_assert_int_eq(mkdir("objects", 0755), 0);
	versions[0] = bytes(OBJECT, 1);
	versions[1] = bytes(OBJECT, 2);
	store = start_store("objects", "0", "0");
	snprintf(url, sizeof(url), "http://%s/o/packs/one", store.address);
	ck_assert_int_eq(ask_raw(client, "PUT", url, TOKEN, versions[0], OBJECT, &reply), 201);
	end(&store, SIGKILL);
	for (int i = 0; i < rounds; i++) {
		if (!kill_during_put(&prng, versions[current], versions[!current], &seen_old))
			continue;
		current = !current;
		news++;
	}
	printf("store: %d kills, %d puts were whole before\n", rounds, news);
	ck_assert(seen_old && news > 0); /* both sides of the rename were met */
	leave();
}
END_TEST

START_TEST(the_store_serves_ranges_and_lists)
{
	struct process store;
	struct http_reply reply = {0};
	char url[TEXT_MAX], key[64];
	cJSON *list;
	int status;

	enter("store-list");
	ck_assert_int_eq(mkdir("objects", 0755), 0);
	store = start_store("objects", "0", "0");
	for (int i = 0; i < 1005; i++) {
		snprintf(key, sizeof(key), "/o/packs/%04d", i);
		must_do("PUT", store.address, key, "0123456789", 201);
	}
	list = must("GET", store.address, "/o/?prefix=packs/", NULL, 200);
	ck_assert_int_eq(cJSON_GetArraySize(member(list, "objects")), 1000);
	ck_assert_str_eq(member(list, "next")->valuestring, "packs/0999");
	cJSON_Delete(list);
	list = must("GET", store.address, "/o/?prefix=packs/&after=packs/0999", NULL, 200);
	ck_assert_int_eq(cJSON_GetArraySize(member(list, "objects")), 5);
	ck_assert_str_eq(member(list, "objects/0/key")->valuestring, "packs/1000");
	ck_assert(cJSON_IsNull(member(list, "next")));
	cJSON_Delete(list);
	must_do("DELETE", store.address, "/o/packs/0000", NULL, 204);
	must_do("DELETE", store.address, "/o/packs/0000", NULL, 404);
	must_do("GET", store.address, "/o/packs/0000", NULL, 404);
	must_do("GET", store.address, "/o/packs", NULL, 404);
	must_do("PUT", store.address, "/o/.uploading-1", "x", 400);
	must_do("PUT", store.address, "/_drsim/store", "{\"available\":false}", 200);
	must_do("GET", store.address, "/o/packs/0001", NULL, 503);
	must_do("PUT", store.address, "/o/packs/0001", "x", 503);
	must_do("PUT", store.address, "/_drsim/store", "{\"available\":true}", 200);
	must_do("GET", store.address, "/o/packs/0001", NULL, 200);
	snprintf(url, sizeof(url), "http://%s/o/packs/0001", store.address);
	status = ask_raw(client, "GET", url, "wrong", NULL, 0, &reply);
	ck_assert_int_eq(status, 401);
	end(&store, SIGTERM);
	leave();
}
END_TEST

/* Two at a time share the rate. */
START_TEST(the_store_keeps_its_rates)
{
	const size_t size = (size_t)1 << 20;
	struct process store;
	struct put puts[2];
	pthread_t threads[2];
	struct http_reply reply = {0};
	char url[TEXT_MAX];
	double seconds;
	nanos from;

	enter("store-rate");
	ck_assert_int_eq(mkdir("objects", 0755), 0);
	store = start_store("objects", "2000000", "2000000");
	from = now();
	for (int i = 0; i < 2; i++) {
		puts[i] = (struct put){.data = bytes(size, 3), .size = size};
		snprintf(puts[i].url, sizeof(puts[i].url), "http://%s/o/%d", store.address, i);
		ck_assert_int_eq(pthread_create(&threads[i], NULL, put_run, &puts[i]), 0);
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_int_eq(puts[i].status, 201);
	}
	seconds = (double)(now() - from) / 1e9;
	ck_assert_msg(seconds > 0.8 * 1.048 && seconds < 1.2 * 1.048, "written in %.3f s", seconds);
	from = now();
	snprintf(url, sizeof(url), "http://%s/o/0", store.address);
	ck_assert_int_eq(ask_raw(client, "GET", url, TOKEN, NULL, 0, &reply), 200);
	seconds = (double)(now() - from) / 1e9;
	ck_assert_msg(seconds > 0.8 * 0.524 && seconds < 1.2 * 0.524, "read in %.3f s", seconds);
	ck_assert_mem_eq(reply.body, puts[0].data, size);
	end(&store, SIGTERM);
	leave();
}
END_TEST

START_TEST(a_full_store_says_so)
{
	struct process store;
	struct http_reply reply = {0};
	char url[TEXT_MAX];
	const char *data;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		printf("skipped: a full disk: no mount namespace: %s\n", strerror(errno));
		return;
	}
	enter("store-full");
	ck_assert_int_eq(mkdir("objects", 0755), 0);
	ck_assert_int_eq(mount("tmpfs", "objects", "tmpfs", 0, "size=1m"), 0);
	store = start_store("objects", "0", "0");
	data = bytes((size_t)4 << 20, 4);
	snprintf(url, sizeof(url), "http://%s/o/large", store.address);
	ck_assert_int_eq(ask_raw(client, "PUT", url, TOKEN, data, (size_t)4 << 20, &reply), 507);
	ck_assert_int_eq(ask_raw(client, "GET", url, TOKEN, NULL, 0, &reply), 404);
	/* Nothing of it is left: there is room for what fits. */
	ck_assert_int_eq(ask_raw(client, "PUT", url, TOKEN, data, (size_t)900 << 10, &reply), 201);
	end(&store, SIGTERM);
	ck_assert_int_eq(umount("objects"), 0);
	leave();
}
END_TEST

/* ---- a platform ---- */

#define NODES 3

struct platform {
	struct process nodes[NODES], gateway, control;
};

static void touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0644);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

static struct process start_node(int n, const char *listen)
{
	char name[32], log[32], path[64];
	const char *words[] = {"minilepton", "node",      "--name",    name,     "--listen",
			       listen,       "--devices", NULL,        "--gpus", "2",
			       "--token",    TOKEN,       "--run-dir", NULL,     NULL};

	snprintf(name, sizeof(name), "node[%d]", n);
	snprintf(log, sizeof(log), "node%d.log", n);
	words[7] = arena_printf(&arena, "%s/devices%d", here, n);
	words[13] = arena_printf(&arena, "%s/run%d", here, n);
	if (mkdir(words[7], 0755) == 0) {
		for (int g = 0; g < 2; g++) {
			snprintf(path, sizeof(path), "devices%d/gpu%d", n, g);
			touch(path);
		}
	}
	return start(log, words);
}

static struct process start_gateway(const char *listen)
{
	const char *words[] = {"minilepton", "gateway", "--listen", listen, "--token", TOKEN, NULL};

	return start("gateway.log", words);
}

static struct process start_control(const struct platform *p, const char *listen)
{
	char url[128];
	const char *words[] = {"minilepton", "control", "--listen",  listen,      "--token",
			       TOKEN,        "--spec",  "spec.json", "--gateway", url,
			       "--storage",  "files",   NULL};

	snprintf(url, sizeof(url), "http://%s", p->gateway.address);
	return start("control.log", words);
}

/* A free range of ports each, below those that the system gives out by itself. */
static int port_base(int n)
{
	return 12000 + (int)(getpid() % 150) * 120 + n * 40;
}

static void write_spec(struct platform *p, const char *deployments, const char *jobs)
{
	static const char *const groups[NODES] = {"primary", "primary", "backup"};
	cJSON *nodes = cJSON_CreateArray();
	char *text;
	FILE *file;

	for (int n = 0; n < NODES; n++) {
		cJSON *node = cJSON_CreateObject();
		char name[32];

		snprintf(name, sizeof(name), "node[%d]", n);
		cJSON_AddStringToObject(node, "name", name);
		cJSON_AddStringToObject(node, "group", groups[n]);
		cJSON_AddStringToObject(node, "agent", p->nodes[n].address);
		cJSON_AddNumberToObject(node, "gpus", 2);
		cJSON_AddNumberToObject(node, "port_base", port_base(n));
		cJSON_AddStringToObject(node, "devices",
					arena_printf(&arena, "%s/devices%d", here, n));
		cJSON_AddItemToArray(nodes, node);
	}
	text = cJSON_PrintUnformatted(nodes);
	cJSON_Delete(nodes);
	file = fopen("spec.json", "we");
	ck_assert_ptr_nonnull(file);
	fprintf(file,
		"{\"workspace\":\"drill\",\"nodes\":%s,\"deployments\":[%s],\"jobs\":[%s],"
		"\"log_dir\":\"%s/log\",\"backoff_first_ns\":1000000000,"
		"\"backoff_max_ns\":1500000000,\"reschedule_ns\":700000000,"
		"\"allocate_ns\":400000000,\"poll_ns\":20000000,\"poll_timeout_ns\":200000000,"
		"\"gateway\":{\"interval_ns\":50000000,\"timeout_ns\":100000000}}",
		text, deployments, jobs, here);
	ck_assert_int_eq(fclose(file), 0);
	cJSON_free(text);
}

static const char *deployment(const char *site, int replicas, int weight)
{
	return arena_printf(
		&arena,
		"{\"name\":\"chat-%s\",\"endpoint\":\"chat\",\"group\":\"%s\",\"replicas\":%d,"
		"\"gpus_per_replica\":2,\"weight\":%d,\"start_ns\":1000000,\"argv\":[\"%s\","
		"\"replica\",\"--id\",\"{id}\",\"--endpoint\",\"chat\",\"--site\",\"%s\","
		"\"--listen\",\"{address}\",\"--weights\",\"%s/weights\",\"--io-dir\",\"%s/io\","
		"\"--start-ns\",\"{start_ns}\",\"--service-ns\",\"1000000\",\"--concurrency\","
		"\"8\","
		"\"--fence\",\"%s/fence\",\"--seed\",\"1\",\"{devices}\"]}",
		site, site, replicas, weight, program, site, here, here, here);
}

static struct platform *platform_open(const char *deployments, const char *jobs)
{
	static const char *const folders[] = {"io", "log", "files", "ckpt"};
	struct platform *p = arena_alloc(&arena, sizeof(*p));

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		ck_assert_int_eq(mkdir(folders[i], 0755), 0);
	for (int n = 0; n < NODES; n++)
		p->nodes[n] = start_node(n, "127.0.0.1:0");
	p->gateway = start_gateway("127.0.0.1:0");
	write_spec(p, deployments, jobs);
	p->control = start_control(p, "127.0.0.1:0");
	return p;
}

static void platform_close(struct platform *p)
{
	end(&p->control, SIGTERM);
	end(&p->gateway, SIGTERM);
	for (int n = 0; n < NODES; n++)
		if (p->nodes[n].pid)
			end(&p->nodes[n], SIGTERM);
}

static void write_weights(void)
{
	const char *data = bytes(100000, 7);
	FILE *file = fopen("weights", "we");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(data, 1, 100000, file), 100000);
	ck_assert_int_eq(fclose(file), 0);
}

#define STATE "/_drsim/state"
#define FIRST "deployments/0/replicas/0/"

static pid_t replica_pid(const struct platform *p)
{
	return (pid_t)number(p->control.address, STATE, FIRST "pid");
}

static void wait_starts(const struct platform *p, int starts)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", starts);
	wait_for(p->control.address, STATE, FIRST "starts", text);
	wait_for(p->control.address, STATE, FIRST "reason", "Ready");
}

/* ---- deployments ---- */

START_TEST(a_crashed_replica_starts_again_and_backs_off)
{
	struct platform *p;
	const char *control;
	cJSON *json;
	nanos from, takes;

	enter("control-crash");
	write_weights();
	p = platform_open(deployment("primary", 1, 100), "");
	control = p->control.address;
	wait_for(control, "/deployments/chat-primary", "status/state", "Ready");
	wait_starts(p, 1);
	from = now();
	ck_assert_int_eq(kill(replica_pid(p), SIGKILL), 0);
	wait_starts(p, 2);
	takes = now() - from;
	ck_assert_int_lt(takes, 900 * NANOS_MS); /* at once */
	from = now();
	ck_assert_int_eq(kill(replica_pid(p), SIGKILL), 0);
	wait_for(control, STATE, FIRST "reason", "SystemError");
	wait_starts(p, 3);
	takes = now() - from;
	ck_assert_msg(takes > 990 * NANOS_MS && takes < 5 * NANOS_S, "%.3f s", (double)takes / 1e9);
	json = must("GET", control, "/deployments/chat-primary/termination", NULL, 200);
	ck_assert_int_eq(cJSON_GetArraySize(member(json, "chat-primary-0")), 2);
	ck_assert_int_eq(member(json, "chat-primary-0/0/exit_code")->valueint, 137);
	cJSON_Delete(json);
	json = must("GET", control, "/deployments/chat-primary/events", NULL, 200);
	ck_assert_int_gt(cJSON_GetArraySize(json), 4);
	cJSON_Delete(json);
	/* A GPU that is gone is told in the words of the library. */
	ck_assert_int_eq(unlink("devices0/gpu1"), 0);
	wait_for(control, "/deployments/chat-primary/readiness", "chat-primary-0/0/message",
		 "exit code 1: CUDA error: device is lost (gpu1)");
	wait_for(control, "/dedicated-node-groups/primary/nodes", "0/status/status/1", "Unhealthy");
	touch("devices0/gpu1");
	wait_for(control, STATE, FIRST "reason", "Ready");
	platform_close(p);
	leave();
}
END_TEST

START_TEST(a_dead_node_loses_its_replica)
{
	struct platform *p;
	const char *control;
	char address[HTTP_ADDRESS_MAX];
	nanos from;

	enter("control-move");
	write_weights();
	p = platform_open(deployment("primary", 1, 100), "");
	control = p->control.address;
	wait_starts(p, 1);
	wait_for(control, STATE, FIRST "node", "node[0]");
	snprintf(address, sizeof(address), "%s", p->nodes[0].address);
	from = now();
	end(&p->nodes[0], SIGKILL);
	wait_for(control, "/dedicated-node-groups/primary/nodes", "0/status/status/0", "NotReady");
	wait_for(control, STATE, FIRST "node", "node[1]");
	ck_assert_int_gt(now() - from, 650 * NANOS_MS);
	wait_starts(p, 2);
	/* Its log keeps its name. */
	must_do("GET", control, "/deployments/chat-primary/replicas/chat-primary-0/log", NULL, 200);
	/* Without room it waits on the lost node, and starts there when it is back. */
	end(&p->nodes[1], SIGKILL);
	wait_for(control, STATE, FIRST "reason", "Unknown");
	pause_ms(1000);
	wait_for(control, STATE, FIRST "node", "node[1]");
	p->nodes[0] = start_node(0, address);
	wait_starts(p, 3);
	wait_for(control, STATE, FIRST "node", "node[0]");
	platform_close(p);
	leave();
}
END_TEST

START_TEST(a_killed_control_plane_goes_on)
{
	struct platform *p;
	char address[HTTP_ADDRESS_MAX];
	int rounds = soak() ? 50 : 5;
	pid_t pid;

	enter("control-kill");
	write_weights();
	p = platform_open(deployment("primary", 1, 100), "");
	wait_starts(p, 1);
	pid = replica_pid(p);
	must_do("PATCH", p->control.address, "/ingress/chat",
		"{\"spec\":{\"endpoints\":[{\"deployment\":\"chat-primary\",\"weight\":7}]}}", 200);
	snprintf(address, sizeof(address), "%s", p->control.address);
	for (int i = 0; i < rounds; i++) {
		end(&p->control, SIGKILL);
		p->control = start_control(p, address);
		wait_starts(p, 1);
		ck_assert_int_eq(replica_pid(p), pid);
	}
	wait_for(p->control.address, "/ingress/chat", "spec/endpoints/0/weight", "7");
	wait_for(p->gateway.address, "/_drsim/stats", "endpoints/0/deployments/0/weight", "7");
	/* What happened while it was away is seen. */
	end(&p->control, SIGKILL);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	p->control = start_control(p, address);
	for (nanos due = now() + PATIENCE; replica_pid(p) == pid && now() < due;)
		pause_ms(10);
	wait_for(p->control.address, STATE, FIRST "reason", "Ready");
	ck_assert_int_ne(replica_pid(p), pid);
	platform_close(p);
	leave();
}
END_TEST

START_TEST(weights_are_in_force_when_the_answer_comes)
{
	struct platform *p;
	const char *control;
	struct http_reply reply = {0};
	char url[TEXT_MAX];
	cJSON *json;

	enter("control-ingress");
	write_weights();
	p = platform_open(arena_printf(&arena, "%s,%s", deployment("primary", 1, 100),
				       deployment("backup", 0, 0)),
			  "");
	control = p->control.address;
	wait_starts(p, 1);
	/* The standby is cold: it waits for its allocation. */
	must_do("PATCH", control, "/deployments/chat-backup",
		"{\"spec\":{\"resource_requirement\":{\"min_replicas\":1}}}", 200);
	wait_for(control, "/deployments/chat-backup/readiness", "chat-backup-0/0/reason",
		 "Queueing");
	wait_for(control, "/deployments/chat-backup", "status/state", "Ready");
	for (int weight = 0; weight < 4; weight++) {
		char body[256];

		snprintf(
			body, sizeof(body),
			"{\"spec\":{\"endpoints\":[{\"deployment\":\"chat-primary\",\"weight\":%d},"
			"{\"deployment\":\"chat-backup\",\"weight\":%d}]}}",
			weight, 100 - weight);
		must_do("PATCH", control, "/ingress/chat", body, 200);
		json = must("GET", p->gateway.address, "/_drsim/stats", NULL, 200);
		ck_assert_int_eq(member(json, "endpoints/0/deployments/1/weight")->valueint,
				 100 - weight);
		ck_assert_int_eq(member(json, "endpoints/0/deployments/0/weight")->valueint,
				 weight);
		cJSON_Delete(json);
	}
	/* A gateway that is away, and comes back empty. */
	end(&p->gateway, SIGKILL);
	p->gateway = start_gateway(p->gateway.address);
	wait_for(p->gateway.address, "/_drsim/stats", "endpoints/0/deployments/1/weight", "97");
	must_do("PATCH", control, "/deployments/chat-backup",
		"{\"spec\":{\"resource_requirement\":{\"min_replicas\":0}}}", 200);
	wait_for(control, "/deployments/chat-backup", "status/state", "Stopped");
	wait_for(control, "/dedicated-node-groups/backup/nodes", "0/spec/resource/gpu/allocated",
		 "0");
	snprintf(url, sizeof(url), "http://%s/deployments", control);
	ck_assert_int_eq(ask_raw(client, "GET", url, "wrong", NULL, 0, &reply), 401);
	ck_assert_int_eq(ask_raw(client, "GET", url, NULL, NULL, 0, &reply), 401);
	platform_close(p);
	leave();
}
END_TEST

START_TEST(the_api_answers_as_the_platform_does)
{
	static const char base[] = "/api/v2/workspaces/drill";
	struct platform *p;
	const char *control;
	char path[256];
	cJSON *json;

	enter("control-api");
	write_weights();
	p = platform_open(deployment("primary", 1, 100), "");
	control = p->control.address;
	wait_starts(p, 1);
	json = must("GET", control, base, NULL, 200);
	ck_assert_str_eq(member(json, "workspace_name")->valuestring, "drill");
	ck_assert_int_eq(member(json, "workloads/num_deployments")->valueint, 1);
	cJSON_Delete(json);
	must_do("GET", control, "/api/v2/workspaces/other/workspace", NULL, 404);
	snprintf(path, sizeof(path), "%s/deployments/chat-primary", base);
	json = must("GET", control, path, NULL, 200);
	ck_assert(!cJSON_HasObjectItem(member(json, "metadata"), "semantic_version"));
	cJSON_Delete(json);
	json = must("PATCH", control, path,
		    "{\"spec\":{\"resource_requirement\":{\"min_replicas\":1}}}", 400);
	ck_assert_str_eq(member(json, "message")->valuestring, "no valid field to update");
	cJSON_Delete(json);
	json = must("GET", control, "/deployments/none", NULL, 404);
	ck_assert_str_eq(member(json, "code")->valuestring, "ResourceNotFound");
	cJSON_Delete(json);
	must_do("PUT", control, "/deployments/chat-primary", "{}", 405);
	must_do("POST", control, "/deployments", "{\"metadata\":{\"name\":\"X\"}}", 400);
	must_do("POST", control, "/deployments",
		"{\"metadata\":{\"name\":\"chat-primary\"},\"spec\":{\"container\":{\"command\":"
		"[\"x\"]},\"resource_requirement\":{\"resource_shape\":\"cpu.small\"}}}",
		409);
	must_do("POST", control, "/deployments",
		"{\"metadata\":{\"name\":\"more\"},\"spec\":{\"container\":{\"command\":"
		"[\"/nowhere\"]},\"resource_requirement\":{\"resource_shape\":\"gpu.2xa10\"}}}",
		201);
	wait_for(control, "/deployments/more", "metadata/name", "more");
	must_do("DELETE", control, "/deployments/more", NULL, 200);
	for (int status = 200; status == 200; pause_ms(10))
		cJSON_Delete(ask("GET", control, "/deployments/more", NULL, &status));
	must_do("PUT", control, "/deployments/chat-primary/restart", NULL, 200);
	wait_starts(p, 2);
	must_do("POST", control, "/_drsim/deployments/chat-primary/start-delay",
		"{\"ns\":600000000}", 200);
	must_do("PUT", control, "/deployments/chat-primary/restart", NULL, 200);
	wait_for(control, "/deployments/chat-primary", "status/state", "Restarting");
	{
		nanos from = now();

		wait_starts(p, 3);
		ck_assert_int_gt(now() - from, 400 * NANOS_MS);
	}
	must_do("PUT", control, "/_drsim/nodes/node%5B0%5D",
		"{\"schedulable\":false,\"evict\":true}", 200);
	wait_for(control, STATE, FIRST "node", "node[1]");
	json = must("GET", control, "/jobs?page=2&page_size=500", NULL, 200);
	ck_assert_int_eq(cJSON_GetArraySize(member(json, "jobs")), 0);
	cJSON_Delete(json);
	platform_close(p);
	leave();
}
END_TEST

START_TEST(files_go_in_and_out)
{
	struct platform *p;
	const char *control;
	struct http_reply reply = {0};
	struct error e = {0};
	char url[TEXT_MAX];
	struct http_call upload = {
		.method = "POST",
		.url = url,
		.token = TOKEN,
		.type = "multipart/form-data; boundary=XX",
		.body = "--XX\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n"
			"hello\r\n--XX--\r\n",
		.timeout = PATIENCE,
	};
	cJSON *json;

	enter("control-files");
	p = platform_open("", "");
	control = p->control.address;
	must_do("PUT", control, "/storage/default/a/b", NULL, 200);
	snprintf(url, sizeof(url), "http://%s/storage/default/a/b/c.txt", control);
	upload.body_size = strlen(upload.body);
	ck_assert_int_eq(http_call(client, &upload, &arena, &reply, &e), 0);
	ck_assert_int_eq(reply.status, 200);
	ck_assert_int_eq(ask_raw(client, "GET", url, TOKEN, NULL, 0, &reply), 200);
	ck_assert_uint_eq(reply.size, 5);
	ck_assert_mem_eq(reply.body, "hello", 5);
	json = must("GET", control, "/storage/default/a/b/", NULL, 200);
	ck_assert_str_eq(member(json, "0/name")->valuestring, "c.txt");
	ck_assert_str_eq(member(json, "0/type")->valuestring, "file");
	cJSON_Delete(json);
	json = must("GET", control, "/storage/default/", NULL, 200);
	ck_assert_str_eq(member(json, "0/type")->valuestring, "dir");
	cJSON_Delete(json);
	ck_assert_int_eq((int)number(control, "/storage/du", "status/total_usage_bytes"), 5);
	ck_assert_int_eq(ask_raw(client, "HEAD", url, TOKEN, NULL, 0, &reply), 200);
	must_do("DELETE", control, "/storage/default/a", NULL, 409);
	must_do("DELETE", control, "/storage/default/a?removeall=true", NULL, 200);
	ck_assert_int_eq(ask_raw(client, "HEAD", url, TOKEN, NULL, 0, &reply), 404);
	must_do("GET", control, "/storage/default/%2e%2e/spec.json", NULL, 400);
	platform_close(p);
	leave();
}
END_TEST

/* ---- jobs ---- */

/* Two ranks a node of the group primary, one GPU each; the third node is another group's. */
static const char *job(void)
{
	return arena_printf(
		&arena,
		"{\"name\":\"pre\",\"group\":\"primary\",\"ranks\":4,\"gpus_per_rank\":1,"
		"\"restart_ns\":300000000,\"argv\":[\"%s\",\"trainer\",\"--job\",\"{job}\","
		"\"--rank\",\"{rank}\",\"--ranks\",\"{ranks}\",\"--listen\",\"{address}\","
		"\"--coordinator\",\"{coordinator}\",\"--step-ns\",\"20000000\",\"--ckpt-dir\","
		"\"%s/ckpt\",\"--ckpt-every-ns\",\"200000000\",\"--ckpt-bytes\",\"400000\","
		"\"--timeout-ns\",\"1000000000\",\"{devices}\"]}",
		program, here);
}

static const char *rank_address(const struct platform *p, int rank)
{
	cJSON *json = must("GET", p->control.address, STATE, NULL, 200);
	char path[64];
	const char *address;

	snprintf(path, sizeof(path), "jobs/0/ranks/%d/address", rank);
	address = arena_strdup(&arena, member(json, path)->valuestring);
	cJSON_Delete(json);
	return address;
}

static pid_t rank_pid(const struct platform *p, int rank)
{
	char path[64];

	snprintf(path, sizeof(path), "jobs/0/ranks/%d/pid", rank);
	return (pid_t)number(p->control.address, STATE, path);
}

static void wait_failures(const struct platform *p, int failures)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", failures);
	wait_for(p->control.address, STATE, "jobs/0/failures", text);
	wait_for(p->control.address, "/jobs/pre", "status/state", "Running");
}

/* Until the two newest checkpoints are of later steps than `step`. */
static void wait_checkpoints(const struct platform *p, double step)
{
	nanos due = now() + PATIENCE;
	bool there = false;

	while (!there && now() < due) {
		cJSON *json = must("GET", rank_address(p, 0), "/progress", NULL, 200);
		const cJSON *second = member(json, "checkpoints/1/step");

		there = second && second->valuedouble > step;
		cJSON_Delete(json);
		pause_ms(20);
	}
	ck_assert(there);
}

START_TEST(a_gang_resumes_from_what_is_whole)
{
	struct platform *p;
	double newest, from;
	char path[256];
	cJSON *json;
	int fd;

	enter("control-gang");
	p = platform_open("", job());
	wait_for(p->control.address, "/jobs/pre", "status/state", "Running");
	wait_checkpoints(p, 0);
	/* One rank dies, all leave, all start again. */
	ck_assert_int_eq(kill(rank_pid(p, 2), SIGKILL), 0);
	wait_failures(p, 1);
	from = number(rank_address(p, 0), "/progress", "restored_from");
	ck_assert(from > 0);
	json = must("GET", p->control.address, "/jobs/pre/replicas", NULL, 200);
	ck_assert_int_eq(cJSON_GetArraySize(json), 4);
	cJSON_Delete(json);
	/* One hangs: the time-out ends the others. A shard of the newest checkpoint is damaged. */
	wait_checkpoints(p, from);
	ck_assert_int_eq(kill(rank_pid(p, 1), SIGSTOP), 0);
	pause_ms(300); /* a save that goes on ends or never will */
	newest = number(rank_address(p, 0), "/progress", "checkpoints/0/step");
	snprintf(path, sizeof(path), "ckpt/ckpt-%012.0f/shard-00003.bin", newest);
	fd = open(path, O_WRONLY);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, "damage", 6, 5000), 6);
	close(fd);
	wait_failures(p, 2);
	json = must("GET", rank_address(p, 0), "/progress", NULL, 200);
	ck_assert(member(json, "restored_from")->valuedouble < newest);
	ck_assert(member(json, "restored_from")->valuedouble >= from);
	ck_assert_int_eq(member(json, "bad/0/rank")->valueint, 3);
	ck_assert_int_gt(member(json, "lost_steps")->valueint, 0);
	cJSON_Delete(json);
	json = must("GET", p->control.address, "/jobs/pre/events", NULL, 200);
	ck_assert_int_gt(cJSON_GetArraySize(json), 4);
	cJSON_Delete(json);
	/* Stopped and started. */
	must_do("PATCH", p->control.address, "/jobs/pre", "{\"spec\":{\"stopped\":true}}", 200);
	wait_for(p->control.address, "/jobs/pre", "status/state", "Stopped");
	must_do("PATCH", p->control.address, "/jobs/pre", "{\"spec\":{\"stopped\":false}}", 200);
	wait_for(p->control.address, "/jobs/pre", "status/state", "Running");
	platform_close(p);
	leave();
}
END_TEST

static void add_one(Suite *suite, const char *name, const TTest *test)
{
	TCase *tcase = tcase_create(name);

	tcase_set_timeout(tcase, 600);
	tcase_add_test(tcase, test);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	add_one(suite, "store_kill", a_killed_store_has_whole_objects_only);
	add_one(suite, "store_list", the_store_serves_ranges_and_lists);
	add_one(suite, "store_rate", the_store_keeps_its_rates);
	add_one(suite, "store_full", a_full_store_says_so);
	add_one(suite, "crash", a_crashed_replica_starts_again_and_backs_off);
	add_one(suite, "move", a_dead_node_loses_its_replica);
	add_one(suite, "control_kill", a_killed_control_plane_goes_on);
	add_one(suite, "ingress", weights_are_in_force_when_the_answer_comes);
	add_one(suite, "api", the_api_answers_as_the_platform_does);
	add_one(suite, "files", files_go_in_and_out);
	add_one(suite, "gang", a_gang_resumes_from_what_is_whole);
}

TEST_MAIN("minilepton_control", add_cases)
