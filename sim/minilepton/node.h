/* SPDX-License-Identifier: Apache-2.0 */
/* A node's processes: what they are started with, and what became of them. */
#ifndef SIM_MINILEPTON_NODE_H
#define SIM_MINILEPTON_NODE_H

#include <stdbool.h>
#include <sys/types.h>

#include "sim/minilepton/gpud.h"
#include "sim/minilepton/http.h"
#include "sim/minilepton/loop.h"

#define NODE_PROCESSES_MAX 64
#define NODE_ID_MAX 128
#define NODE_ARGUMENTS_MAX 256
#define NODE_ARGUMENT_MAX 4096
#define NODE_VARIABLES_MAX 128
#define NODE_GPUS_MAX GPUD_GPUS_MAX
#define NODE_REASON_MAX 200
#define NODE_BODY_MAX ((size_t)256 << 10)
#define NODE_STOPPING_MAX 16              /* DELETEs that wait for the same process */
#define NODE_KILL_AFTER (2 * NANOS_S)     /* a signal that does not end a process becomes SIGKILL */
#define NODE_GIVE_UP_AFTER (12 * NANOS_S) /* not even SIGKILL has ended it */

enum process_state {
	PROCESS_RUNNING,
	PROCESS_STOPPED,
	PROCESS_EXITED
};

struct task {
	struct node *node;
	char id[NODE_ID_MAX + 1];
	pid_t pid;
	enum process_state state;
	uint64_t starts;
	int exit_code, signal; /* -1: it has none */
	nanos started;
	/* The last line of standard error, and the one that is coming. */
	char reason[NODE_REASON_MAX + 1], line[NODE_REASON_MAX + 1];
	size_t line_size;
	int error_fd, log_fd;
	struct http_request *stopping[NODE_STOPPING_MAX];
	size_t stopping_count;
	struct loop_timer kill_timer, give_up_timer;
	struct task *next;
};

struct node {
	const struct node_options *options;
	struct loop *loop;
	struct http_server *server;
	struct task *processes;
	size_t count;
	int children; /* signalfd of SIGCHLD */
	bool ending;
	struct loop_timer end_timer;
	struct gpud gpud;
};

/* What a process is started with; the arrays end with NULL. */
struct task_plan {
	const char *id, *log; /* log: NULL: none */
	char **argv, **env;
};

/* Reads and checks the JSON text; *ret lives in the arena and in nothing else. */
int task_plan_parse(const char *text, size_t size, struct arena *arena, struct task_plan *ret,
		       struct error *e);
struct task *task_find(const struct node *node, const char *id);
/* Starts it; ERROR_UNAVAILABLE while it runs, ERROR_LIMIT when there are too many. */
int task_start(struct node *node, const struct task_plan *plan, struct task **ret,
		  struct error *e);
/* Signals its process group. */
void task_signal(const struct task *process, int number);
/* Takes note of all children that stopped, went on or ended; also of those that are not ours. */
void processes_reap(struct node *node);
bool processes_run(const struct node *node);
void processes_forget(struct node *node);
struct cJSON *task_json(const struct task *process);
/* Answers those who wait for its end. */
void task_ended(struct task *process);

#endif
