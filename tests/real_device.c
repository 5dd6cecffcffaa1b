/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that fail or hang under real replicas and trainers, and what a node then tells of them.
 * The calls on devices are made to fail by a warden of the test's own: a seccomp filter that hands
 * them to it. A few lines go to the host's kernel log where that is allowed: all are about a GPU in
 * PCI domain ffff, which no machine has, and end with "(drsim run …)".
 */
#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/device.h"
#include "drivers/linux/kmsg.h"
#include "sim/minilepton/gpud.h"
#include "sim/minilepton/http.h"
#include "tests/drill_machines.h"
#include "tests/program.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define RUN "device-test"
#define READY_MS 20000
#define END_MS 10000
#define SOCKET "warden"
#define WATCHDOG_MS 400

static struct http_client *client;
static struct arena arena;
static char self_path[4096]; /* this program, which puts others under the filter */

/* ---- the warden ---- */

enum mode {
	MODE_PASS,
	MODE_FAIL,
	MODE_HANG
};

struct warden {
	pthread_t thread;
	int socket;
	atomic_int mode, error, only; /* only: the call that fails; 0: both */
	atomic_ulong calls;           /* on devices, so far */
	atomic_bool ends;
};

/* ioctl(FIONREAD) and pread64 of a device's work go to the listener, all others to the kernel. */
static int install_filter(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 8),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FIONREAD, 0, 5),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pread64, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 16),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, DEVICE_WORK_BYTES, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			    &program);
}

static int send_fd(int socket, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.room = ""};
	struct iovec byte = {.iov_base = (char[]){'x'}, .iov_len = 1};
	struct msghdr message = {.msg_iov = &byte,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	return sendmsg(socket, &message, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

static int receive_fd(int socket)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.room = ""};
	char byte;
	struct iovec bytes = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {.msg_iov = &bytes,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	int fd = -1;

	if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1 || !CMSG_FIRSTHDR(&message))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

/* `--under SOCKET PROGRAM WORDS…`: goes under the filter, hands its listener over, runs PROGRAM. */
static int run_under(char **words)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener, to = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", words[0]);
	if (connect(to, (struct sockaddr *)&address, sizeof(address)))
		return 120;
	listener = install_filter();
	if (listener < 0 || send_fd(to, listener))
		return 121;
	/* With an own end of it, nobody would learn that the warden is gone. */
	close(listener);
	execv(words[1], words + 1);
	return 122;
}

static void answer(struct warden *warden, int listener)
{
	struct seccomp_notif call = {0};
	struct seccomp_notif_resp reply = {0};

	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call))
		return;
	atomic_fetch_add(&warden->calls, 1);
	if (atomic_load(&warden->mode) == MODE_HANG)
		return;
	reply.id = call.id;
	if (atomic_load(&warden->mode) == MODE_FAIL &&
	    (atomic_load(&warden->only) == 0 || atomic_load(&warden->only) == call.data.nr))
		reply.error = -atomic_load(&warden->error);
	else
		reply.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &reply);
}

static void *watch(void *self)
{
	struct warden *warden = self;
	struct sockaddr_un from;
	socklen_t size = sizeof(from);
	int connection = accept4(warden->socket, (struct sockaddr *)&from, &size, SOCK_CLOEXEC);
	int listener;

	if (connection < 0)
		return NULL;
	listener = receive_fd(connection);
	close(connection);
	while (listener >= 0 && !atomic_load(&warden->ends)) {
		struct pollfd wait = {.fd = listener, .events = POLLIN};

		if (poll(&wait, 1, 20) > 0) {
			if (!(wait.revents & POLLIN))
				break; /* all that were under the filter have ended */
			answer(warden, listener);
		}
	}
	if (listener >= 0)
		close(listener);
	return NULL;
}

static void warden_open(struct warden *warden)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET};

	*warden = (struct warden){.socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	unlink(SOCKET);
	ck_assert_int_eq(bind(warden->socket, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(warden->socket, 1), 0);
	ck_assert_int_eq(pthread_create(&warden->thread, NULL, watch, warden), 0);
}

static void warden_close(struct warden *warden)
{
	atomic_store(&warden->ends, true);
	shutdown(warden->socket, SHUT_RDWR);
	pthread_join(warden->thread, NULL);
	close(warden->socket);
}

static void fail_calls(struct warden *warden, int error)
{
	atomic_store(&warden->error, error);
	atomic_store(&warden->mode, MODE_FAIL);
}

/* Can a filter hand calls over here? In a child that tries it. */
static bool can_watch(void)
{
	int status = 1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(install_filter() >= 0 ? 0 : 1);
	waitpid(pid, &status, 0);
	if (status != 0)
		printf("skipped: devices that fail: no seccomp user notification on this host\n");
	return status == 0;
}

/* ---- the workplace ---- */

static void write_device(const char *run, const char *folder, uint32_t index)
{
	unsigned char bytes[DEVICE_BYTES];
	char path[64];
	FILE *file;

	device_print(run, 0, index, bytes);
	snprintf(path, sizeof(path), "%s/gpu%u", folder, index);
	file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, sizeof(bytes), file), sizeof(bytes));
	ck_assert_int_eq(fclose(file), 0);
}

static void setup(void)
{
	struct error e = {0};
	FILE *file;

	program_find();
	workplace_enter("device");
	file = fopen("weights", "we");
	ck_assert(file && fputs("the weights", file) >= 0 && fclose(file) == 0);
	ck_assert_int_eq(mkdir("io", 0777) | mkdir("dev", 0777) | mkdir("other", 0777), 0);
	for (uint32_t i = 0; i < 2; i++) {
		write_device(RUN, "dev", i);
		write_device(RUN "-b", "other", i);
	}
	ck_assert_int_eq(http_client_prepare(&e), 0);
	ck_assert_int_eq(http_client_open(&client, &e), 0);
}

static void teardown(void)
{
	http_client_close(client);
	arena_free(&arena);
	workplace_leave();
}

/* 0: no answer. */
static int ask(const char *method, const char *address, const char *path, const char *body,
	       int timeout_ms, const char **ret_text)
{
	char url[256];
	struct http_call call = {.method = method,
				 .url = url,
				 .body = body,
				 .body_size = body ? strlen(body) : 0,
				 .timeout = timeout_ms * NANOS_MS};
	struct http_reply reply;
	struct error e = {0};

	snprintf(url, sizeof(url), "http://%s%s", address, path);
	if (http_call(client, &call, &arena, &reply, &e))
		return 0;
	if (ret_text)
		*ret_text = reply.body;
	return reply.status;
}

static bool healthy(const void *address)
{
	return ask("GET", address, "/healthz", NULL, 5000, NULL) == 200;
}

static bool unhealthy(const void *address)
{
	return ask("GET", address, "/healthz", NULL, 5000, NULL) == 503;
}

/* An empty payload has the CRC 0. */
static int predict(const char *address, uint64_t seq, int timeout_ms, const char **ret_text)
{
	char body[64];

	snprintf(body, sizeof(body), "%" PRIu64 " key 1 00000000 ", seq);
	return ask("POST", address, "/predict", body, timeout_ms, ret_text);
}

#define UNDER "--under " SOCKET " %s "
#define REPLICA                                                                                    \
	"replica --id r1 --endpoint chat --site primary --listen 127.0.0.1:0 --io-dir io "         \
	"--weights weights --device dev/gpu0 --device dev/gpu1 "                                   \
	"--watchdog-ns 400000000"

/* As program_start(), but this program runs it under the filter. */
static struct program start_under(const char *words)
{
	const char *minilepton = getenv("MINILEPTON");
	char *real = strdup(minilepton);
	struct program program;

	setenv("MINILEPTON", self_path, 1);
	program = program_start(UNDER "%s", real, words);
	setenv("MINILEPTON", real, 1);
	free(real);
	return program;
}

static void check_lost(struct program *program, const char *gpu)
{
	int status = program_wait(program, END_MS);
	char *said = program_said(program);

	ck_assert_msg(status >= 0 && WIFEXITED(status), "it runs on: %s", said);
	ck_assert_int_eq(WEXITSTATUS(status), 1);
	ck_assert_msg(strstr(said, "CUDA error: device is lost (gpu") && strstr(said, gpu), "%s",
		      said);
	free(said);
}

/* ---- replicas ---- */

static const struct {
	int error, only;
} failures[] = {{ENODEV, SYS_ioctl}, {ENXIO, SYS_pread64}, {EIO, 0}};

/* Every other time without a request: what serves nobody sees it too, by its own beat. */
START_TEST(a_call_that_fails_ends_its_replica)
{
	struct warden warden;
	struct program replica;
	unsigned long calls;

	if (!can_watch())
		return;
	warden_open(&warden);
	replica = start_under(REPLICA);
	ck_assert(program_until(healthy, replica.address, READY_MS));
	calls = atomic_load(&warden.calls);
	ck_assert_uint_ge(calls, 4); /* two for each device */
	ck_assert_int_eq(predict(replica.address, 1, 5000, NULL), 200);
	ck_assert_uint_ge(atomic_load(&warden.calls), calls + 4);
	atomic_store(&warden.only, failures[_i].only);
	fail_calls(&warden, failures[_i].error);
	if (_i % 2)
		ck_assert_int_eq(predict(replica.address, 2, 5000, NULL), 0);
	check_lost(&replica, "gpu0");
	warden_close(&warden);
}
END_TEST

START_TEST(a_call_that_hangs_hangs_its_replica)
{
	struct warden warden;
	struct program replica;
	const char *text = "";
	int status;

	if (!can_watch())
		return;
	warden_open(&warden);
	replica = start_under(REPLICA);
	ck_assert(program_until(healthy, replica.address, READY_MS));
	ck_assert_int_eq(predict(replica.address, 1, 5000, NULL), 200);
	atomic_store(&warden.mode, MODE_HANG);
	/* No answer, and no word of it: what serves health is not what waits for the GPU. */
	ck_assert_int_eq(predict(replica.address, 2, 100, NULL), 0);
	ck_assert(healthy(replica.address));
	ck_assert(program_until(unhealthy, replica.address, WATCHDOG_MS * 10));
	ck_assert_int_eq(ask("GET", replica.address, "/healthz", NULL, 5000, &text), 503);
	ck_assert_ptr_nonnull(strstr(text, "\"state\":\"SystemError\""));
	/* Stuck for good: it does not end in order either. */
	kill(replica.pid, SIGTERM);
	ck_assert_int_eq(program_wait(&replica, 2000), -1);
	kill(replica.pid, SIGKILL);
	status = program_wait(&replica, END_MS);
	ck_assert(WIFSIGNALED(status));
	warden_close(&warden);
}
END_TEST

/* The same answers as ever, but not without what the devices hold. */
START_TEST(answers_need_the_devices)
{
	struct program bare = program_start("replica --id r0 --endpoint chat --site primary "
					    "--listen 127.0.0.1:0 --io-dir io --weights weights");
	struct program replica = program_start(REPLICA);
	const char *with = "", *without = "", *wrong = "";
	int fd;

	ck_assert(program_until(healthy, bare.address, READY_MS));
	ck_assert(program_until(healthy, replica.address, READY_MS));
	ck_assert_int_eq(predict(bare.address, 1, 5000, &without), 200);
	ck_assert_int_eq(predict(replica.address, 1, 5000, &with), 200);
	ck_assert(strncmp(with, without, 18) == 0); /* "1 " and 16 digits */
	fd = open("dev/gpu1", O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(pwrite(fd, "wrong", 5, DEVICE_WORK_AT), 5);
	close(fd);
	ck_assert_int_eq(predict(replica.address, 1, 5000, &wrong), 200);
	ck_assert(strncmp(wrong, without, 18) != 0);
	/* A device that holds less than it did is lost. */
	ck_assert_int_eq(truncate("dev/gpu1", DEVICE_WORK_AT + 8), 0);
	check_lost(&replica, "gpu1");
	ck_assert_int_eq(program_end(&bare), 0);
}
END_TEST

/* ---- trainers ---- */

#define RANK                                                                                       \
	"trainer --job pretrain --rank %d --ranks 2 --listen 127.0.0.1:0 --coordinator "           \
	"127.0.0.1:%u --step-ns 5000000 --ckpt-dir %s --timeout-ns 1500000000 --seed 5 %s"

static unsigned free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	close(fd);
	return ntohs(address.sin_port);
}

static double steps_of(const char *address)
{
	const char *text = "";
	cJSON *json;
	double steps;

	ck_assert_int_eq(ask("GET", address, "/progress", NULL, 5000, &text), 200);
	json = cJSON_Parse(text);
	steps = cJSON_GetNumberValue(cJSON_GetObjectItem(json, "step"));
	cJSON_Delete(json);
	return steps;
}

static bool trains(const void *address)
{
	return steps_of(address) >= 5;
}

/* Rank 1 under the filter; rank 0 without. */
static void start_gang(struct warden *warden, struct program ranks[2])
{
	unsigned port = free_port();
	char words[1024];

	warden_open(warden);
	ranks[0] = program_start(RANK, 0, port, "ckpt", "--device dev/gpu0");
	snprintf(words, sizeof(words), RANK, 1, port, "ckpt", "--device dev/gpu1");
	ranks[1] = start_under(words);
	ck_assert(program_until(trains, ranks[1].address, READY_MS));
}

static void check_gang_ends(struct program *rank)
{
	int status = program_wait(rank, END_MS);
	char *said = program_said(rank);

	ck_assert_msg(status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == 1, "%s", said);
	ck_assert_msg(strstr(said, "NCCL") != NULL, "%s", said);
	free(said);
}

START_TEST(a_call_that_fails_ends_its_rank)
{
	struct program ranks[2];
	struct warden warden;

	if (!can_watch())
		return;
	start_gang(&warden, ranks);
	fail_calls(&warden, ENODEV);
	check_lost(&ranks[1], "gpu1");
	check_gang_ends(&ranks[0]);
	warden_close(&warden);
}
END_TEST

START_TEST(a_call_that_hangs_hangs_its_rank)
{
	struct program ranks[2];
	struct warden warden;
	double steps;

	if (!can_watch())
		return;
	start_gang(&warden, ranks);
	atomic_store(&warden.mode, MODE_HANG);
	program_pause(100);
	steps = steps_of(ranks[1].address);
	check_gang_ends(&ranks[0]);
	/* It answers, and does nothing any more. */
	ck_assert(steps_of(ranks[1].address) == steps);
	ck_assert_int_eq(program_wait(&ranks[1], 0), -1);
	kill(ranks[1].pid, SIGKILL);
	ck_assert(WIFSIGNALED(program_wait(&ranks[1], END_MS)));
	warden_close(&warden);
}
END_TEST

/* The bytes of the last checkpoint of 30 steps, which all sums are in. */
static char *train(const char *folder, const char *words)
{
	struct program rank = program_start("trainer --job pretrain --rank 0 --ranks 1 --listen "
					    "127.0.0.1:0 --coordinator 127.0.0.1:0 --step-ns "
					    "2000000 --ckpt-dir %s --ckpt-every-ns 1 --async 0 "
					    "--ckpt-bytes 4096 --steps 30 %s",
					    folder, words);
	char path[64], *bytes;
	FILE *file;

	ck_assert_int_eq(program_wait(&rank, END_MS), 0);
	snprintf(path, sizeof(path), "%s/ckpt-000000000030/shard-00000.bin", folder);
	file = fopen(path, "re");
	bytes = malloc(4096);
	ck_assert(file && bytes);
	ck_assert_uint_eq(fread(bytes, 1, 4096, file), 4096);
	fclose(file);
	return bytes;
}

START_TEST(sums_are_those_without_devices)
{
	char *with = train("with", "--seed 5 --device dev/gpu0 --device dev/gpu1");
	char *without = train("without", "--seed 5"), *other = train("other", "--seed 6");

	ck_assert(memcmp(with, without, 4096) == 0);
	ck_assert(memcmp(with, other, 4096) != 0);
	free(other);
	free(with);
	free(without);
}
END_TEST

/* ---- health ---- */

static struct program node_start(const char *devices, const char *kmsg)
{
	struct program node =
		program_start("node --name primary/node[0] --listen 127.0.0.1:0 --devices %s "
			      "--gpus 2 --kmsg %s",
			      devices, kmsg);

	ck_assert(program_until(healthy, node.address, READY_MS));
	return node;
}

static bool state_is(const char *address, const char *health, const char *reason)
{
	const char *text = "";
	cJSON *list, *state;
	bool is;

	ck_assert_int_eq(ask("GET", address, "/v1/states?components=" GPUD_XID, NULL, 5000, &text),
			 200);
	list = cJSON_Parse(text);
	state = cJSON_GetArrayItem(cJSON_GetObjectItem(cJSON_GetArrayItem(list, 0), "states"), 0);
	is = state &&
	     strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(state, "health")), health) == 0 &&
	     strstr(cJSON_GetStringValue(cJSON_GetObjectItem(state, "reason")), reason);
	cJSON_Delete(list);
	return is;
}

static bool fallen(const void *address)
{
	return state_is(address, "Unhealthy", "XID 79 (fallen off the bus)");
}

static bool complains(const void *address)
{
	ck_assert(!fallen(address));
	return state_is(address, "Healthy", "XID 13 (graphics engine exception)");
}

/* Written, seen by the node whose GPU it is and by no other, set healthy. */
static void check_health(const char *path, bool allowed)
{
	const struct kmsg_config config = {.allowed = allowed, .run = RUN, .path = path};
	struct program node = node_start("dev", path ? path : KMSG_PATH);
	struct program other = node_start("other", path ? path : KMSG_PATH);
	struct device_identity identity;
	struct kmsg_xid xid = {.code = 79, .pci = identity.pci, .pid = 7, .process = "python3"};
	struct kmsg *kmsg = NULL;
	const char *text = "";
	struct error e = {0};

	device_identify(RUN, 0, 1, &identity);
	ck_assert_msg(kmsg_open(&config, &arena, &kmsg, &e) == 0, "%s", e.text);
	ck_assert(state_is(node.address, "Healthy", "XIDComponent is healthy"));
	ck_assert_msg(kmsg_write(kmsg, &xid, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(kmsg_count(kmsg).written, 1);
	ck_assert(program_until(fallen, node.address, 5000));
	ck_assert_int_eq(ask("GET", node.address, "/v1/events", NULL, 5000, &text), 200);
	ck_assert_ptr_nonnull(strstr(text, "\"type\":\"Fatal\""));
	ck_assert_ptr_nonnull(strstr(text, identity.pci));
	/* The other one has read that line too when it shows the next. */
	device_identify(RUN "-b", 0, 0, &identity);
	xid.code = 13;
	ck_assert_msg(kmsg_write(kmsg, &xid, &e) == 0, "%s", e.text);
	ck_assert(program_until(complains, other.address, 5000));
	ck_assert(fallen(node.address));
	ck_assert_int_eq(ask("POST", node.address, "/v1/health-states/set-healthy", "", 5000, NULL),
			 400);
	ck_assert_int_eq(ask("POST", node.address,
			     "/v1/health-states/set-healthy?components=" GPUD_XID, "", 5000, NULL),
			 200);
	ck_assert(state_is(node.address, "Healthy", "XIDComponent is healthy"));
	ck_assert_int_eq(
		ask("GET", node.address, "/v1/states?components=nothing", NULL, 5000, NULL), 404);
	kmsg_close(kmsg);
	ck_assert_int_eq(program_end(&node), 0);
	ck_assert_int_eq(program_end(&other), 0);
}

START_TEST(a_node_tells_of_what_its_log_says)
{
	FILE *file = fopen("log", "we");

	/* What was there before does not count. */
	ck_assert(file && fputs("3,1,2,-;NVRM: Xid (PCI:0000:00:00): 79, old\n", file) >= 0 &&
		  fclose(file) == 0);
	check_health("log", false);
}
END_TEST

START_TEST(a_node_reads_a_fifo)
{
	struct device_identity identity;
	struct program node;
	FILE *file;

	ck_assert_int_eq(mkfifo("fifo", 0600), 0);
	node = node_start("dev", "fifo");
	device_identify(RUN, 0, 0, &identity);
	/* Writers come and go. */
	for (int i = 0; i < 3; i++) {
		file = fopen("fifo", "we");
		ck_assert_ptr_nonnull(file);
		fprintf(file, "3,%d,2,-;NVRM: Xid (PCI:%s): %d, x\n", i, identity.pci,
			i == 2 ? 79 : 31);
		ck_assert_int_eq(fclose(file), 0);
	}
	ck_assert(program_until(fallen, node.address, 5000));
	ck_assert_int_eq(program_end(&node), 0);
}
END_TEST

START_TEST(a_node_reads_the_kernels_log)
{
	struct kmsg_config config = {.run = RUN};
	struct kmsg *kmsg = NULL;
	struct error e = {0};
	const char *why;

	if (!kmsg_probe(NULL, &arena, &why)) {
		printf("skipped: the kernel's log: %s\n", why);
		return;
	}
	/* Not without a word. */
	ck_assert_int_eq(kmsg_open(&config, &arena, &kmsg, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.text, "does not allow it"));
	check_health(NULL, true);
}
END_TEST

/* What a machine sees is what drsim knows of it, and its agent takes lines about it for its own. */
START_TEST(machines_have_gpus_that_say_who_they_are)
{
	struct drill_machines drill;

	drill_machines_open(&drill, _i ? "gpus" : "gpus-loopback", 2, _i == 0);
	for (size_t i = 0; i < 2; i++) {
		struct machine *machine = machines_get(drill.machines, i);

		drill_machines_start(&drill, i, (struct machine_start){0});
		for (uint32_t gpu = 0; gpu < 2; gpu++) {
			const char *path = arena_printf(&arena, "%s%s/gpu%u", machine_root(machine),
							drill.configs[i].devices, (unsigned)gpu);
			struct device_identity wanted, read = {.pci = ""};
			char *bytes = workplace_read(path);

			machine_device(machine, gpu, &wanted);
			ck_assert_int_eq(
				device_parse((unsigned char *)bytes, DEVICE_WORK_AT, &read), 0);
			ck_assert_str_eq(read.pci, wanted.pci);
			ck_assert_str_eq(read.uuid, wanted.uuid);
			ck_assert_str_eq(wanted.pci + 8, arena_printf(&arena, ":%02x:%02x",
								      (unsigned)i, (unsigned)gpu));
			free(bytes);
		}
	}
	drill_machines_close(&drill);
}
END_TEST

/* More lines than the kernel takes of one descriptor: all are there. In a soak only, since they are
 * the host's. */
START_TEST(a_burst_of_lines_is_not_dropped)
{
	const struct kmsg_config config = {.allowed = true, .run = RUN};
	struct kmsg_xid xid = {.code = 31, .pci = "ffff:04:00"};
	struct kmsg *kmsg = NULL;
	struct error e = {0};
	const char *why;

	if (!getenv("DRSIM_SOAK") || !kmsg_probe(NULL, &arena, &why))
		return;
	ck_assert_int_eq(kmsg_open(&config, &arena, &kmsg, &e), 0);
	for (int i = 0; i < KMSG_BURST + 2; i++)
		ck_assert_msg(kmsg_write(kmsg, &xid, &e) == 0, "line %d: %s", i, e.text);
	ck_assert_uint_eq(kmsg_count(kmsg).seen, KMSG_BURST + 2);
	ck_assert_uint_eq(kmsg_count(kmsg).reopened, 1);
	kmsg_close(kmsg);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test, int count)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test, 0, count);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	add(suite, "replica: fails", a_call_that_fails_ends_its_replica, 3);
	add(suite, "replica: hangs", a_call_that_hangs_hangs_its_replica, 1);
	add(suite, "replica: needs", answers_need_the_devices, 1);
	add(suite, "trainer: fails", a_call_that_fails_ends_its_rank, 1);
	add(suite, "trainer: hangs", a_call_that_hangs_hangs_its_rank, 1);
	add(suite, "trainer: sums", sums_are_those_without_devices, 1);
	add(suite, "health: file", a_node_tells_of_what_its_log_says, 1);
	add(suite, "health: fifo", a_node_reads_a_fifo, 1);
	add(suite, "health: kernel", a_node_reads_the_kernels_log, 1);
	add(suite, "machines", machines_have_gpus_that_say_who_they_are, 2);
	add(suite, "health: burst", a_burst_of_lines_is_not_dropped, 1);
}

int main(int argc, char **argv)
{
	if (argc > 3 && strcmp(argv[1], "--under") == 0)
		return run_under(argv + 2);
	if (readlink("/proc/self/exe", self_path, sizeof(self_path) - 1) < 0)
		return EXIT_FAILURE;
	return test_main("device", add_cases);
}
