/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control plane's inside: the fleet and the documents that people see of it, under one lock;
 * one thread ticks and saves, one a node talks to its agent, one tells the gateway, and each
 * connection of the API has its own.
 */
#ifndef SIM_MINILEPTON_CONTROL_H
#define SIM_MINILEPTON_CONTROL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/error.h"
#include "sim/minilepton/fleet.h"

struct cJSON;
struct http_request;

#define CONTROL_SPEC_MAX ((size_t)8 << 20)
#define CONTROL_WORDS_MAX 256 /* of a command */
#define CONTROL_WORD_MAX 4096 /* bytes of one of them, placeholders filled in */
#define CONTROL_INGRESS_MAX 64
#define CONTROL_ENDPOINTS_MAX 32 /* deployments behind an ingress */
#define CONTROL_SECRETS_MAX 64
#define CONTROL_WEIGHT_MAX 1000000
#define CONTROL_ROUTES_WAIT (10 * NANOS_S) /* for the gateway, before an answer says so */

/* A deployment, a job or an ingress as people see it; `spec` is Lepton's, for cJSON_Delete(). */
struct control_doc {
	bool used;
	char name[FLEET_NAME_MAX];
	struct cJSON *spec;
	int64_t created_at, modified_at; /* ms of the wall clock */
	uint32_t version;
	nanos start; /* of a deployment: what {start_ns} says without a delay */
};

struct control_gateway {
	nanos interval, timeout, request_timeout;
	uint64_t misses, retries, concurrency;
};

/* What a spec says beside nodes, deployments and jobs. */
struct control_settings {
	char workspace[FLEET_NAME_MAX], log_dir[FLEET_PATH_MAX];
	nanos poll, poll_timeout;
	struct control_gateway gateway;
};

struct control {
	pthread_mutex_t lock;
	pthread_cond_t changed; /* anything: waiters look again */
	struct fleet *fleet;
	struct control_settings settings;
	struct control_doc deployments[FLEET_DEPLOYMENTS_MAX]; /* by the fleet's index */
	struct control_doc jobs[FLEET_JOBS_MAX];
	struct control_doc ingress[CONTROL_INGRESS_MAX];
	struct cJSON *secrets; /* [{"name","value"}] */
	nanos wall_offset;     /* wall clock minus CLOCK_MONOTONIC */
	const char *token, *gateway_url, *state_path, *storage; /* NULL: none */
	bool stopping;
	/* Ingress weights: changes asked for, and those that the gateway has. */
	uint64_t routes_wanted, routes_pushed, routes_epoch;
	struct arena arena;
};

/* ---- control_spec.c: the spec file, and Lepton's specs ---- */

/*
 * Fills the fleet and the documents from a spec's text. `now` is the time, `now_ms` the wall
 * clock's. Errors: ERROR_USAGE that names the member.
 */
int control_spec_load(struct control *control, const char *text, size_t size, nanos now,
		      struct error *e);
/* Without deployments, jobs and ingress: those come from the state file. */
int control_spec_load_nodes(struct control *control, const char *text, size_t size,
			    struct error *e);
/* What a deployment's spec asks of the fleet; nothing is changed when it is wrong. */
int control_derive_deployment(const struct cJSON *spec, struct fleet_deployment *deployment,
			      struct error *e);
int control_derive_job(const struct cJSON *spec, struct fleet_job *job, struct error *e);
int control_check_ingress(const struct cJSON *spec, struct error *e);
/* GPUs of "gpu.8xh100-sxm": 8, "gpu.a10": 1, "cpu.small": 0. */
int control_shape_gpus(const char *shape, uint32_t *ret_gpus, struct error *e);
/* Lepton's rule for names: a letter, then a-z, 0-9 and '-', at most 63. */
int control_check_name(const char *name, struct error *e);
/* That neither a deployment nor a job has the name; ERROR_TARGET. */
int control_check_free(const struct control *control, const char *name, struct error *e);
/* RFC 7396; `target` is changed in place. */
void control_merge_patch(struct cJSON *target, const struct cJSON *patch);
/* Everything of a control structure that is not the arena's. */
void control_docs_free(struct control *control);

/* ---- control_command.c ---- */

/*
 * The body for a node agent that starts a unit: {"id","argv","env","log"}. Placeholders of the
 * command: {id} {name} {ordinal} {rank} {ranks} {job} {node} {group} {host} {port} {address}
 * {coordinator} {start_ns} {start_delay_ns}; a word that is {devices} becomes `--device FILE` for
 * each GPU. For cJSON_Delete().
 */
int control_command(const struct control *control, const struct unit *unit, struct cJSON **ret_body,
		    struct error *e);
/* HOST:PORT of a unit that has a place. */
void control_address(const struct fleet *fleet, const struct unit *unit,
		     char address[FLEET_ADDRESS_MAX]);
/* Its log's path; -1 when there is none. */
int control_log_path(const struct control *control, const char *id, char path[FLEET_PATH_MAX]);

/* ---- control_state.c ---- */

/* The state as text, for free(). The lock is held. */
char *control_state_print(const struct control *control, nanos now);
/* Takes over a state; the nodes are there already. Errors: ERROR_USAGE. */
int control_state_load(struct control *control, const char *text, size_t size, nanos now,
		       struct error *e);
/* Temporary file, fsync, rename, fsync of the folder. */
int control_state_write(const char *path, const char *text, struct error *e);

/* ---- control_docs.c: JSON shapes, for cJSON_Delete() ---- */

struct cJSON *control_deployment_json(const struct control *control, uint32_t deployment);
struct cJSON *control_job_json(const struct control *control, uint32_t job);
struct cJSON *control_ingress_json(const struct control *control, const struct control_doc *doc);
struct cJSON *control_node_json(const struct control *control, uint32_t node);
struct cJSON *control_group_json(const struct control *control, const char *group);
struct cJSON *control_replicas_json(const struct control *control, enum unit_kind kind,
				    uint32_t owner);
struct cJSON *control_readiness_json(const struct control *control, uint32_t deployment);
struct cJSON *control_termination_json(const struct control *control, uint32_t deployment);
/* Of a deployment or job, and of its units. */
struct cJSON *control_events_json(const struct control *control, const char *name);
struct cJSON *control_workspace_json(const struct control *control);
struct cJSON *control_shapes_json(const struct control *control);
/* What only drsim asks for. */
struct cJSON *control_whole_json(const struct control *control);
/* What the gateway is told, without the epoch. */
struct cJSON *control_routes_json(const struct control *control);
/* Bytes below a folder; -1 when it cannot be read. */
int control_storage_usage(const char *folder, uint64_t *ret_bytes);
int64_t control_wall_ms(const struct control *control, nanos at);

/* ---- control_api*.c ---- */

struct control_call {
	const char *method, *pattern; /* below the base path */
	void (*handle)(struct control *control, struct http_request *request,
		       const char *const *parts);
};
extern const struct control_call control_calls_deployments[], control_calls_jobs[],
	control_calls_ingress[], control_calls_workspace[], control_calls_storage[],
	control_calls_drsim[];
/* Serves a request by the tables above, with and without the base path. */
void control_dispatch(void *self, struct http_request *request);
/* After a change, with the lock held: ticks, and wakes all that wait. */
void control_changed(struct control *control);
/* The same for a change that somebody asked for: it is on disk on return, so that the answer may
 * come. The lock is given up meanwhile. */
void control_commit(struct control *control);
/* Answers 400, 404, 409 by the error's kind. */
void control_answer_error(struct http_request *request, const struct error *e);
/* What the log of a replica or rank holds now. */
void control_answer_log(struct control *control, struct http_request *request, const char *name,
			const char *id, enum unit_kind kind);
/* Waits until the gateway has all weights that stand now. The lock is held. -1: it does not answer.
 */
int control_routes_wait(struct control *control);

/* ---- control_agents.c, control_routes.c: threads; `self` is their argument ---- */

struct control_agent {
	struct control *control;
	uint32_t node;
	pthread_t thread;
};
void *control_agent_run(void *agent);
void *control_routes_run(void *control);

#endif
