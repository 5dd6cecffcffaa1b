/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent of one node: starts processes, reaps them, tells what became of them, which of its
 * stand-in GPUs are there, and how healthy they are by the kernel's log. All of it in one thread: a
 * child's life hangs on the thread that made it.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim/minilepton/minilepton.h"
#include "sim/minilepton/node.h"

#define AGENT_SCORE "-900"

struct node_options {
	const char *name, *listen, *devices, *token, *run_dir, *kmsg;
	uint64_t gpus;
};

static const struct options_row rows[] = {
	{"name", OPTIONS_TEXT, offsetof(struct node_options, name), true, 0, 0, "NAME",
	 "as the scenario has it: primary/node[0]"},
	{"listen", OPTIONS_TEXT, offsetof(struct node_options, listen), true, 0, 0, "A:P",
	 "port 0 picks one"},
	{"devices", OPTIONS_TEXT, offsetof(struct node_options, devices), true, 0, 0, "DIR",
	 "holds gpu0, gpu1, ..."},
	{"gpus", OPTIONS_NUMBER, offsetof(struct node_options, gpus), true, 0, NODE_GPUS_MAX, "N",
	 "how many there should be"},
	{"token", OPTIONS_TEXT, offsetof(struct node_options, token), false, 0, 0, "T",
	 "bearer token of /_drsim/"},
	{"run-dir", OPTIONS_TEXT, offsetof(struct node_options, run_dir), false, 0, 0, "DIR",
	 "where its processes start; made when it is not there"},
	{"kmsg", OPTIONS_TEXT, offsetof(struct node_options, kmsg), false, 0, 0, "PATH",
	 "the kernel's log, or a file or FIFO of such records; /dev/kmsg"},
	{.name = NULL},
};

static const struct node_options preset = {.kmsg = "/dev/kmsg"};

/* ---- calls ---- */

static void on_health(void *self, struct http_request *request)
{
	(void)self;
	http_answer(request, 200, "text/plain", "ok\n", 3);
}

static void on_node(void *self, struct http_request *request)
{
	const struct node *node = self;
	cJSON *json = cJSON_CreateObject();
	uint32_t xid;
	uint64_t xids = gpud_xids(&node->gpud, &xid);
	cJSON *gpus = cJSON_AddArrayToObject(json, "gpus");
	cJSON *processes = cJSON_AddArrayToObject(json, "processes");

	cJSON_AddStringToObject(json, "name", node->options->name);
	cJSON_AddNumberToObject(json, "xid_lines", (double)xids);
	cJSON_AddNumberToObject(json, "xid", xid);
	for (uint64_t i = 0; i < node->options->gpus; i++) {
		const char *path = arena_printf(&request->arena, "%s/gpu%llu",
						node->options->devices, (unsigned long long)i);
		cJSON *gpu = cJSON_CreateObject();

		cJSON_AddNumberToObject(gpu, "index", (double)i);
		cJSON_AddBoolToObject(gpu, "present", access(path, F_OK) == 0);
		cJSON_AddItemToArray(gpus, gpu);
	}
	for (const struct task *at = node->processes; at; at = at->next)
		cJSON_AddItemToArray(processes, task_json(at));
	http_answer_json(request, 200, json);
}

static void on_start(void *self, struct http_request *request)
{
	struct node *node = self;
	struct task *process;
	struct task_plan plan;
	struct error e = {0};

	if (node->ending) {
		http_error(request, 503, "the node ends");
		return;
	}
	if (task_plan_parse(request->body, request->body_size, &request->arena, &plan, &e)) {
		http_error(request, 400, "%s", e.text);
		return;
	}
	if (task_start(node, &plan, &process, &e)) {
		http_error(request,
			   e.kind == ERROR_UNAVAILABLE || e.kind == ERROR_LIMIT ? 409 : 500, "%s",
			   e.text);
		return;
	}
	minilepton_say("process %s of pid %d starts, number %llu", process->id, (int)process->pid,
		       (unsigned long long)process->starts);
	http_answer_json(request, 201, task_json(process));
}

void task_ended(struct task *process)
{
	struct node *node = process->node;

	loop_timer_clear(node->loop, &process->kill_timer);
	loop_timer_clear(node->loop, &process->give_up_timer);
	while (process->stopping_count > 0)
		http_answer_json(process->stopping[--process->stopping_count], 200,
				 task_json(process));
	if (node->ending && !processes_run(node))
		loop_stop(node->loop);
}

static void on_stop(void *self, struct http_request *request)
{
	struct task *process = task_find(self, request->parts[0]);
	uint64_t number = SIGTERM;
	nanos now = minilepton_now();

	if (!process) {
		http_error(request, 404, "there is no process %s", request->parts[0]);
		return;
	}
	if (http_query_number(request, "signal", SIGRTMAX, &number))
		return;
	if (process->state == PROCESS_EXITED) {
		http_answer_json(request, 200, task_json(process));
		return;
	}
	if (process->stopping_count == NODE_STOPPING_MAX) {
		http_error(request, 503, "%d wait for its end already", NODE_STOPPING_MAX);
		return;
	}
	process->stopping[process->stopping_count++] = request;
	http_defer(request);
	task_signal(process, (int)number);
	if (process->kill_timer.slot == 0) {
		loop_timer_set(process->node->loop, &process->kill_timer, now + NODE_KILL_AFTER);
		loop_timer_set(process->node->loop, &process->give_up_timer,
			       now + NODE_GIVE_UP_AFTER);
	}
}

/* ---- gpud's calls ---- */

/* The components that are asked for; false: it has answered. */
static bool components_of(struct http_request *request, const char **ret)
{
	*ret = http_query(request, "components");
	if (gpud_knows(*ret))
		return true;
	http_error(request, 404, "there is no such component in '%.200s'", *ret);
	return false;
}

static void on_states(void *self, struct http_request *request)
{
	struct node *node = self;
	const char *components;

	if (components_of(request, &components))
		http_answer_json(request, 200, gpud_states(&node->gpud, components, gpud_now()));
}

static void on_events(void *self, struct http_request *request)
{
	const struct node *node = self;
	const char *components;
	uint64_t from = 0;

	if (!components_of(request, &components) ||
	    http_query_number(request, "startTime", (uint64_t)(INT64_MAX / NANOS_S), &from))
		return;
	http_answer_json(request, 200,
			 gpud_events(&node->gpud, components, (nanos)from * NANOS_S, gpud_now()));
}

static void on_set_healthy(void *self, struct http_request *request)
{
	struct node *node = self;
	const char *components;
	cJSON *json;

	if (!components_of(request, &components))
		return;
	if (!components || !*components) {
		http_error(request, 400, "components parameter is required");
		return;
	}
	json = gpud_set_healthy(&node->gpud, components, gpud_now());
	if (json)
		http_answer_json(request, 200, json);
	else
		http_error(request, 400, "failed to set any component to healthy");
}

static const struct http_route routes[] = {
	{.method = "GET", .pattern = "/healthz", .handle = on_health, .open = true},
	{.method = "GET", .pattern = "/v1/states", .handle = on_states, .open = true},
	{.method = "GET", .pattern = "/v1/events", .handle = on_events, .open = true},
	{.method = "POST",
	 .pattern = "/v1/health-states/set-healthy",
	 .handle = on_set_healthy,
	 .open = true},
	{.method = "GET", .pattern = "/_drsim/node", .handle = on_node},
	{.method = "POST",
	 .pattern = "/_drsim/processes",
	 .handle = on_start,
	 .body_max = NODE_BODY_MAX},
	{.method = "DELETE", .pattern = "/_drsim/processes/*", .handle = on_stop},
	{.method = NULL},
};

/* ---- start and end ---- */

static void on_child(void *self, int fd, uint32_t events)
{
	struct signalfd_siginfo info;

	(void)events;
	/* Several children may share one signal: how many, only waitpid() knows. */
	while (read(fd, &info, sizeof(info)) == sizeof(info))
		;
	processes_reap(self);
}

static void on_end_patience(void *self)
{
	const struct node *node = self;

	for (const struct task *at = node->processes; at; at = at->next)
		task_signal(at, SIGKILL);
}

static void on_end(void *self)
{
	struct node *node = self;

	if (node->ending)
		return;
	node->ending = true;
	http_server_quiesce(node->server);
	if (!processes_run(node)) {
		loop_stop(node->loop);
		return;
	}
	for (const struct task *at = node->processes; at; at = at->next)
		task_signal(at, SIGTERM);
	loop_timer_set(node->loop, &node->end_timer, minilepton_now() + NODE_KILL_AFTER);
}

static int children_watch(struct node *node, struct error *e)
{
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	node->children = signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC);
	if (node->children < 0)
		return error_set(e, ERROR_IO, NO_PLACE, "signalfd: %s", strerror(errno));
	return loop_watch(node->loop, node->children, EPOLLIN, on_child, node, e);
}

static int folder_enter(const char *path, struct error *e)
{
	if (!path)
		return 0;
	if ((mkdir(path, 0777) && errno != EEXIST) || chdir(path))
		return error_set(e, ERROR_IO, NO_PLACE, "%s: %s", path, strerror(errno));
	return 0;
}

static int serve(struct node *node, struct error *e)
{
	const struct http_config config = {
		.listen = node->options->listen,
		.token = node->options->token,
		.routes = routes,
		.self = node,
		.threads = HTTP_LOOP,
	};
	int rc;

	if (children_watch(node, e) || http_server_open(&config, &node->server, e))
		return -1;
	loop_serve(node->loop, node->server);
	loop_on_end(node->loop, on_end, node);
	gpud_open(&node->gpud, node->options->devices, (uint32_t)node->options->gpus,
		  node->options->kmsg, node->loop);
	http_server_announce(node->server);
	rc = loop_run(node->loop, e);
	loop_timer_clear(node->loop, &node->end_timer);
	gpud_close(&node->gpud);
	processes_forget(node);
	http_server_close(node->server);
	return rc;
}

static int node_main(const void *given)
{
	struct node node = {.options = given, .children = -1};
	struct error e = {0};
	int rc;

	/* As agents of clusters do: what runs on the node is ended before its agent. */
	minilepton_oom_score(AGENT_SCORE);
	node.end_timer.fire = on_end_patience;
	node.end_timer.self = &node;
	if (folder_enter(node.options->run_dir, &e) || loop_open(&node.loop, &e))
		return minilepton_fail(&e);
	rc = serve(&node, &e);
	loop_close(node.loop);
	if (node.children >= 0)
		close(node.children);
	return rc ? minilepton_fail(&e) : MINILEPTON_OK;
}

const struct minilepton_command minilepton_node = {
	.name = "node",
	.help = "the agent of one node: starts, reaps and tells of its processes and GPUs",
	.rows = rows,
	.preset = &preset,
	.options_size = sizeof(struct node_options),
	.main = node_main,
};
