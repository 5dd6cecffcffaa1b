/* SPDX-License-Identifier: Apache-2.0 */
/* Starting, reaping and describing the processes of a node. */
#include <assert.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim/minilepton/minilepton.h"
#include "sim/minilepton/node.h"

#define READ_AT_ONCE 65536
#define EXEC_FAILED 127
#define TASK_SCORE "500" /* the OOM killer ends these first */

extern char **environ;

/* ---- plans ---- */

static int id_check(const char *id, struct error *e)
{
	for (const char *c = id; *c; c++)
		if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f || *c == '/')
			return error_set(e, ERROR_USAGE, NO_PLACE,
					 "'id' has no blanks, no '/' and only ASCII");
	return 0;
}

static int argv_parse(const cJSON *json, struct arena *arena, char ***ret, struct error *e)
{
	const cJSON *list, *item;
	size_t count = 0;
	char **argv;

	if (http_json_array(json, "argv", NODE_ARGUMENTS_MAX, &list, e))
		return -1;
	argv = arena_array(arena, (size_t)cJSON_GetArraySize(list) + 1, sizeof(char *));
	cJSON_ArrayForEach (item, list) {
		if (!cJSON_IsString(item) || strlen(item->valuestring) > NODE_ARGUMENT_MAX)
			return error_set(e, ERROR_USAGE, NO_PLACE,
					 "'argv' has texts of at most %d bytes", NODE_ARGUMENT_MAX);
		argv[count++] = arena_strdup(arena, item->valuestring);
	}
	if (count == 0 || !argv[0][0])
		return error_set(e, ERROR_USAGE, NO_PLACE, "'argv' names no program");
	*ret = argv;
	return 0;
}

/* Whether "NAME=…" is set anew by the object. */
static bool is_set(const cJSON *object, const char *variable, struct arena *arena)
{
	const char *name = arena_strndup(arena, variable, strcspn(variable, "="));

	return cJSON_GetObjectItemCaseSensitive(object, name) != NULL;
}

static int env_parse(const cJSON *json, struct arena *arena, char ***ret, struct error *e)
{
	const cJSON *object = cJSON_GetObjectItemCaseSensitive(json, "env"), *item;
	size_t count = 0, inherited = 0;
	char **env;

	if (object && (!cJSON_IsObject(object) || cJSON_GetArraySize(object) > NODE_VARIABLES_MAX))
		return error_set(e, ERROR_USAGE, NO_PLACE, "'env' is an object of at most %d texts",
				 NODE_VARIABLES_MAX);
	while (environ[inherited])
		inherited++;
	env = arena_array(arena, inherited + NODE_VARIABLES_MAX + 1, sizeof(char *));
	for (size_t i = 0; i < inherited; i++)
		if (!object || !is_set(object, environ[i], arena))
			env[count++] = environ[i];
	cJSON_ArrayForEach (item, object) {
		if (!cJSON_IsString(item) || strlen(item->valuestring) > NODE_ARGUMENT_MAX ||
		    !item->string[0] || strchr(item->string, '='))
			return error_set(e, ERROR_USAGE, NO_PLACE,
					 "'env' has names and texts of at most %d bytes",
					 NODE_ARGUMENT_MAX);
		env[count++] = arena_printf(arena, "%s=%s", item->string, item->valuestring);
	}
	*ret = env;
	return 0;
}

static int plan_read(const cJSON *json, struct arena *arena, struct task_plan *plan,
		     struct error *e)
{
	const char *text;

	if (http_json_text(json, "id", NODE_ID_MAX, &text, e) || id_check(text, e))
		return -1;
	plan->id = arena_strdup(arena, text);
	if (cJSON_GetObjectItemCaseSensitive(json, "log")) {
		if (http_json_text(json, "log", NODE_ARGUMENT_MAX, &text, e))
			return -1;
		plan->log = arena_strdup(arena, text);
	}
	return argv_parse(json, arena, &plan->argv, e) || env_parse(json, arena, &plan->env, e) ? -1
												: 0;
}

int task_plan_parse(const char *text, size_t size, struct arena *arena, struct task_plan *ret,
		    struct error *e)
{
	cJSON *json = http_json_parse(text, size);
	struct task_plan plan = {0};
	int rc;

	if (!json)
		return error_set(e, ERROR_USAGE, NO_PLACE, "the body is no JSON object");
	rc = plan_read(json, arena, &plan, e);
	cJSON_Delete(json);
	if (rc == 0)
		*ret = plan;
	return rc;
}

/* ---- standard error ---- */

static void line_take(struct task *process)
{
	if (process->line_size == 0)
		return; /* an empty line is no reason */
	memcpy(process->reason, process->line, process->line_size);
	process->reason[process->line_size] = '\0';
	process->line_size = 0;
}

static void error_close(struct task *process)
{
	if (process->error_fd < 0)
		return;
	line_take(process);
	loop_unwatch(process->node->loop, process->error_fd);
	close(process->error_fd);
	process->error_fd = -1;
}

static void log_copy(const struct task *process, const char *bytes, size_t size)
{
	if (process->log_fd >= 0 && write(process->log_fd, bytes, size) < 0)
		return; /* a full disk must not stop the process */
}

/* What the pipe holds right now. */
static void error_read(struct task *process)
{
	char bytes[4096];
	size_t total = 0;
	ssize_t got;

	while (process->error_fd >= 0 && total < READ_AT_ONCE) {
		got = read(process->error_fd, bytes, sizeof(bytes));
		if (got < 0)
			return;
		if (got == 0) {
			error_close(process);
			return;
		}
		log_copy(process, bytes, (size_t)got);
		total += (size_t)got;
		for (ssize_t i = 0; i < got; i++) {
			unsigned char c = (unsigned char)bytes[i];

			if (c == '\n')
				line_take(process);
			else if (process->line_size < NODE_REASON_MAX)
				process->line[process->line_size++] =
					(char)(c < ' ' || c >= 0x7f ? '?' : c);
		}
	}
}

static void on_error(void *self, int fd, uint32_t events)
{
	(void)fd;
	(void)events;
	error_read(self);
}

/* ---- start ---- */

struct task *task_find(const struct node *node, const char *id)
{
	for (struct task *at = node->processes; at; at = at->next)
		if (strcmp(at->id, id) == 0)
			return at;
	return NULL;
}

static void on_kill(void *self)
{
	task_signal(self, SIGKILL);
}

static void on_give_up(void *self)
{
	struct task *process = self;

	while (process->stopping_count > 0)
		http_error(process->stopping[--process->stopping_count], 504,
			   "process %s does not end", process->id);
}

static void process_free(struct task *process)
{
	loop_timer_clear(process->node->loop, &process->kill_timer);
	loop_timer_clear(process->node->loop, &process->give_up_timer);
	error_close(process);
	if (process->log_fd >= 0)
		close(process->log_fd);
	free(process);
}

/* Room for one more: the one that ended first is forgotten. */
static int room_make(struct node *node)
{
	struct task **oldest = NULL;

	if (node->count < NODE_PROCESSES_MAX)
		return 0;
	for (struct task **link = &node->processes; *link; link = &(*link)->next)
		if ((*link)->state == PROCESS_EXITED &&
		    (!oldest || (*link)->started < (*oldest)->started))
			oldest = link;
	if (!oldest)
		return -1;
	struct task *gone = *oldest;

	*oldest = gone->next;
	node->count--;
	process_free(gone);
	return 0;
}

static struct task *process_new(struct node *node, const char *id, struct error *e)
{
	struct task *process;

	if (room_make(node)) {
		error_set(e, ERROR_LIMIT, NO_PLACE, "more than %d processes", NODE_PROCESSES_MAX);
		return NULL;
	}
	process = calloc(1, sizeof(*process));
	if (!process) {
		error_set(e, ERROR_MEMORY, NO_PLACE, "no memory for a process");
		return NULL;
	}
	process->node = node;
	snprintf(process->id, sizeof(process->id), "%s", id);
	process->state = PROCESS_EXITED;
	process->exit_code = process->signal = -1;
	process->error_fd = process->log_fd = -1;
	process->kill_timer.fire = on_kill;
	process->give_up_timer.fire = on_give_up;
	process->kill_timer.self = process->give_up_timer.self = process;
	process->next = node->processes;
	node->processes = process;
	node->count++;
	return process;
}

static _Noreturn void child_fail(const char *what)
{
	/* The agent reads it as the reason. */
	dprintf(STDERR_FILENO, "cannot start %s: %s\n", what, strerror(errno));
	_exit(EXEC_FAILED);
}

static _Noreturn void child_run(const struct task_plan *plan, int log_fd, int error_fd, pid_t agent)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	setpgid(0, 0);
	if (dup2(error_fd, STDERR_FILENO) < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(log_fd >= 0 ? log_fd : null, STDOUT_FILENO) < 0)
		child_fail(plan->argv[0]);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != agent)
		_exit(EXEC_FAILED); /* the agent died before it could take us along */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	minilepton_oom_score(TASK_SCORE);
	execvpe(plan->argv[0], plan->argv, plan->env);
	child_fail(plan->argv[0]);
}

/* The descriptors of the next start: its log, and a pipe for standard error. */
static int channels_open(struct task *process, const struct task_plan *plan, int *ret_child,
			 struct error *e)
{
	struct error ignored = {0};
	int pipe[2];

	error_close(process);
	if (process->log_fd >= 0)
		close(process->log_fd);
	process->log_fd = -1;
	if (plan->log) {
		process->log_fd = open(plan->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
		if (process->log_fd < 0)
			return error_set(e, ERROR_IO, NO_PLACE, "%s: %s", plan->log,
					 strerror(errno));
	}
	if (pipe2(pipe, O_CLOEXEC))
		return error_set(e, ERROR_IO, NO_PLACE, "pipe: %s", strerror(errno));
	/* Our end alone: a program may expect that its standard error blocks. */
	if (fcntl(pipe[0], F_SETFL, O_NONBLOCK) ||
	    loop_watch(process->node->loop, pipe[0], EPOLLIN, on_error, process, &ignored)) {
		close(pipe[0]);
		close(pipe[1]);
		return error_set(e, ERROR_IO, NO_PLACE, "a pipe cannot be watched");
	}
	process->error_fd = pipe[0];
	*ret_child = pipe[1];
	return 0;
}

int task_start(struct node *node, const struct task_plan *plan, struct task **ret, struct error *e)
{
	struct task *process = task_find(node, plan->id);
	pid_t agent = getpid(), pid;
	int child = -1;

	if (process && process->state != PROCESS_EXITED)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "process %s runs", plan->id);
	if (!process)
		process = process_new(node, plan->id, e);
	if (!process || channels_open(process, plan, &child, e))
		return -1;
	pid = fork();
	if (pid == 0)
		child_run(plan, process->log_fd, child, agent);
	close(child);
	if (pid < 0)
		return error_set(e, ERROR_IO, NO_PLACE, "fork: %s", strerror(errno));
	/* Both sides set it: whoever signals the group next must find it. */
	setpgid(pid, pid);
	process->pid = pid;
	process->state = PROCESS_RUNNING;
	process->starts++;
	process->exit_code = process->signal = -1;
	process->reason[0] = '\0';
	process->line_size = 0;
	process->started = minilepton_now();
	*ret = process;
	return 0;
}

/* ---- end ---- */

void task_signal(const struct task *process, int number)
{
	if (process->state == PROCESS_EXITED)
		return;
	/* Before its setpgid() a child has no group of its own. */
	if (kill(-process->pid, number))
		kill(process->pid, number);
}

static struct task *process_of(const struct node *node, pid_t pid)
{
	for (struct task *at = node->processes; at; at = at->next)
		if (at->pid == pid && at->state != PROCESS_EXITED)
			return at;
	return NULL;
}

static void process_note(struct task *process, int status)
{
	if (WIFSTOPPED(status)) {
		process->state = PROCESS_STOPPED;
		return;
	}
	if (WIFCONTINUED(status)) {
		process->state = PROCESS_RUNNING;
		return;
	}
	process->state = PROCESS_EXITED;
	process->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	process->signal = WIFSIGNALED(status) ? WTERMSIG(status) : -1;
	error_read(process);
	line_take(process);
	minilepton_say("process %s of pid %d %s %d: %s", process->id, (int)process->pid,
		       process->signal >= 0 ? "was ended by signal" : "exited with",
		       process->signal >= 0 ? process->signal : process->exit_code,
		       process->reason);
	task_ended(process);
}

void processes_reap(struct node *node)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)) > 0) {
		struct task *process = process_of(node, pid);

		if (process)
			process_note(process, status);
	}
}

bool processes_run(const struct node *node)
{
	for (const struct task *at = node->processes; at; at = at->next)
		if (at->state != PROCESS_EXITED)
			return true;
	return false;
}

void processes_forget(struct node *node)
{
	while (node->processes) {
		struct task *process = node->processes;

		node->processes = process->next;
		process_free(process);
	}
}

struct cJSON *task_json(const struct task *process)
{
	static const char *const states[] = {"running", "stopped", "exited"};
	nanos started_ms = process->started / NANOS_MS;
	cJSON *json = cJSON_CreateObject();

	cJSON_AddStringToObject(json, "id", process->id);
	cJSON_AddNumberToObject(json, "pid", process->pid);
	cJSON_AddStringToObject(json, "state", states[process->state]);
	cJSON_AddNumberToObject(json, "starts", (double)process->starts);
	if (process->exit_code >= 0)
		cJSON_AddNumberToObject(json, "exit_code", process->exit_code);
	else
		cJSON_AddNullToObject(json, "exit_code");
	if (process->signal >= 0)
		cJSON_AddNumberToObject(json, "signal", process->signal);
	else
		cJSON_AddNullToObject(json, "signal");
	cJSON_AddStringToObject(json, "reason", process->reason);
	cJSON_AddNumberToObject(json, "started_ms", (double)started_ms);
	return json;
}
