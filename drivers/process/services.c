/* SPDX-License-Identifier: Apache-2.0 */
/* A user's own servers: their keepers, and the orders that others give them. */
#include "drivers/process/services.h"
#include "drivers/process/thread.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/secret.h"
#include "drivers/process/child.h"

#define LOG_END 8192 /* bytes of the end of a log that are looked at, and told */
#define LOG_TOLD 399
#define BACKOFF_FIRST (10 * NANOS_S) /* scenario time, as the platform's containers restart */
#define BACKOFF_MAX (300 * NANOS_S)
#define BACKOFF_RESET (600 * NANOS_S)
#define TURN (20 * NANOS_MS)        /* between two looks at the process */
#define PATIENCE (500 * NANOS_MS)   /* for an answer of the node's agent */
#define END_PATIENCE (13 * NANOS_S) /* the agent itself gives up after 12 s */

/* Lepton's readiness reasons. */
static const char ready_text[] = "Ready", starting_text[] = "InProgress",
		  deleted_text[] = "Deleted", unknown_text[] = "Unknown",
		  failed_text[] = "SystemError";

/* A process as the agent of its node tells of it. */
enum process_kind {
	PROCESS_UNKNOWN, /* the agent does not answer */
	PROCESS_NEVER,   /* the agent has not started it */
	PROCESS_LIVES,
	PROCESS_ENDED
};

struct instance {
	struct real *real;
	const struct service_config *config;
	uint32_t site;
	struct node *node;
	int node_index;
	uint16_t port;
	char id[80], address[64], deployment[96];
	const char *folder, *log, *order; /* order: what the agent is told to run */
	const char *looks;                /* log of what looks at it: not what it says itself */
	struct service_look ready, health;
	const char *const *ledger;
	pthread_t thread;
	bool kept; /* has a thread */
	/* behind the lock of the drill */
	bool wanted, held, well, runs;
	bool failed; /* it ended, or did not get ready in time, before it ever was ready */
	const char *reason;
	nanos delay;
	/* the keeper's own */
	struct caller *caller;
	bool launched, over; /* over: it ended, and is not restarted */
	uint32_t crashes;
	nanos again, ready_since, looked;
};

struct services {
	struct instance *instances;
	size_t count;
	atomic_bool stop;
};

const struct service_config *services_config(const struct real *real, uint32_t endpoint)
{
	const struct deployment *d = &real->scenario->deployment;

	for (size_t i = 0; i < d->service_count; i++)
		if (d->services[i].endpoint == endpoint)
			return &d->services[i];
	return NULL;
}

static struct instance *find(struct real *real, uint32_t endpoint, uint32_t site)
{
	struct services *services = real->services;

	for (size_t i = 0; services && i < services->count; i++)
		if (services->instances[i].config->endpoint == endpoint &&
		    services->instances[i].site == site)
			return &services->instances[i];
	return NULL;
}

/* ---- looks ---- */

static bool look_tcp(const struct instance *instance, nanos timeout)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(instance->port)};
	struct pollfd ready = {.events = POLLOUT};
	int reason = 0;
	socklen_t size = sizeof(reason);

	inet_pton(AF_INET, machine_address(instance->node->machine), &address.sin_addr);
	ready.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (ready.fd < 0)
		return false;
	bool good = connect(ready.fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	if (!good && errno == EINPROGRESS && poll(&ready, 1, (int)(timeout / NANOS_MS) + 1) > 0)
		good = getsockopt(ready.fd, SOL_SOCKET, SO_ERROR, &reason, &size) == 0 &&
		       reason == 0;
	close(ready.fd);
	return good;
}

static bool is_well(struct instance *instance, const struct service_look *look, nanos timeout)
{
	struct error error = {.kind = ERROR_NONE};
	char url[PROCESS_URL_MAX + ARGV_WORD_MAX];

	switch (look->kind) {
	case CHECK_TCP:
		return look_tcp(instance, timeout);
	case CHECK_HTTP:
		snprintf(url, sizeof(url), "http://%s%s", look->address, look->path);
		return call_ok(instance->caller, url, timeout);
	case CHECK_EXEC:
		return child_run(look->argv, instance->real->run, instance->looks, timeout,
				 &instance->real->services->stop, &error) == 0;
	}
	return false;
}

bool services_look(struct real *real, uint32_t endpoint, uint32_t site, struct service_look *ret)
{
	const struct instance *instance = find(real, endpoint, site);

	if (instance)
		*ret = instance->health;
	return instance != NULL;
}

/* ---- a keeper ---- */

static void tell(struct instance *instance, bool well, bool runs, const char *reason)
{
	pthread_mutex_lock(&instance->real->lock);
	instance->well = well;
	instance->runs = runs;
	instance->reason = reason;
	pthread_mutex_unlock(&instance->real->lock);
}

static void tell_failed(struct instance *instance)
{
	pthread_mutex_lock(&instance->real->lock);
	instance->failed = instance->ready_since == NANOS_NEVER;
	pthread_mutex_unlock(&instance->real->lock);
}

static bool may_run(struct instance *instance)
{
	pthread_mutex_lock(&instance->real->lock);
	bool may = instance->wanted && !instance->held;
	pthread_mutex_unlock(&instance->real->lock);
	return may;
}

static bool doze(struct instance *instance, nanos duration)
{
	struct real *real = instance->real;

	return real_sleep(real, real_now(real) + duration, &real->services->stop);
}

static enum process_kind look_process(struct instance *instance)
{
	enum process_kind kind = PROCESS_NEVER;
	struct error error = {.kind = ERROR_NONE};
	char url[PROCESS_URL_MAX + 16];
	const cJSON *item;
	cJSON *answer = NULL;

	snprintf(url, sizeof(url), "%s/_drsim/node", instance->node->agent);
	if (call_json(instance->caller, "GET", url, NULL, PATIENCE, &answer, &error))
		return PROCESS_UNKNOWN;
	cJSON_ArrayForEach (item, cJSON_GetObjectItemCaseSensitive(answer, "processes")) {
		const cJSON *id = cJSON_GetObjectItemCaseSensitive(item, "id");
		const cJSON *state = cJSON_GetObjectItemCaseSensitive(item, "state");
		if (!cJSON_IsString(id) || strcmp(id->valuestring, instance->id) != 0)
			continue;
		bool ended = cJSON_IsString(state) && strcmp(state->valuestring, "exited") == 0;
		kind = ended ? PROCESS_ENDED : PROCESS_LIVES;
	}
	cJSON_Delete(answer);
	return kind;
}

static void end_process(struct instance *instance, int number)
{
	struct error error = {.kind = ERROR_NONE};
	char url[PROCESS_URL_MAX + 160];

	snprintf(url, sizeof(url), "%s/_drsim/processes/%s?signal=%d", instance->node->agent,
		 instance->id, number);
	call_json(instance->caller, "DELETE", url, NULL, END_PATIENCE, NULL, &error);
}

/* It ended by itself: the next start comes at once, then after a time that doubles. */
static void note_end(struct instance *instance)
{
	struct real *real = instance->real;
	const struct scenario *scenario = real->scenario;
	nanos now = real_now(real), wait = 0;

	tell_failed(instance);
	if (instance->ready_since != NANOS_NEVER &&
	    now - instance->ready_since > scenario_time(scenario, BACKOFF_RESET))
		instance->crashes = 0;
	if (instance->crashes > 0)
		wait = BACKOFF_FIRST;
	for (uint32_t i = 1; i < instance->crashes && wait < BACKOFF_MAX; i++)
		wait *= 2;
	wait = wait < BACKOFF_MAX ? wait : BACKOFF_MAX;
	instance->again = now + scenario_time(scenario, wait);
	instance->crashes++;
	instance->launched = false;
	instance->over = !scenario->deployment.platform.restart;
	tell(instance, false, false, instance->over ? failed_text : starting_text);
}

/* Its data are there, and those that the plan wants before anything serves. */
static bool data_there(const struct instance *instance)
{
	const struct real *real = instance->real;
	const struct service_config *config = instance->config;
	uint32_t classes = real->scenario->recovery.restore.before_serving;

	if (config->has_data)
		classes |= DATA_BIT(config->data);
	for (int c = 0; c < DATA_CLASSES; c++)
		if ((classes & DATA_BIT(c)) &&
		    !copies_is_ready(real->copies, instance->site, (enum data_class)c))
			return false;
	return true;
}

static bool wait_delay(struct instance *instance)
{
	pthread_mutex_lock(&instance->real->lock);
	nanos delay = instance->delay;
	pthread_mutex_unlock(&instance->real->lock);
	return delay == 0 || doze(instance, delay);
}

/* From the start of the process until the look at it is good, or the time for that is over. */
static void wait_ready(struct instance *instance)
{
	struct real *real = instance->real;
	const struct check *check = &instance->config->ready;
	nanos end = real_now(real) + check->timeout;

	while (may_run(instance) && real_now(real) < end) {
		nanos left = end - real_now(real);
		nanos patience = instance->config->health.timeout;
		enum process_kind kind = look_process(instance);
		if (kind != PROCESS_LIVES)
			return; /* the next turn sees to it */
		if (is_well(instance, &instance->ready, left < patience ? left : patience)) {
			instance->ready_since = real_now(real);
			tell(instance, true, true, ready_text);
			return;
		}
		if (!doze(instance, check->interval))
			return;
	}
	if (may_run(instance))
		end_process(instance, SIGKILL); /* it counts as one that ended by itself */
}

static void launch(struct instance *instance)
{
	struct error error = {.kind = ERROR_NONE};
	char url[PROCESS_URL_MAX + 32];

	if (instance->over || real_now(instance->real) < instance->again || !data_there(instance) ||
	    !wait_delay(instance) || !may_run(instance))
		return;
	instance->ready_since = NANOS_NEVER;
	snprintf(url, sizeof(url), "%s/_drsim/processes", instance->node->agent);
	if (call_json(instance->caller, "POST", url, instance->order, PATIENCE, NULL, &error))
		return; /* the node does not answer: tried again */
	instance->launched = true;
	tell(instance, false, true, starting_text);
	/* A server may serve again before the next round: it is to be seen to run before. */
	observe_hurry(instance->real);
	wait_ready(instance);
}

static void look_health(struct instance *instance)
{
	nanos now = real_now(instance->real);

	if (now - instance->looked < instance->config->health.interval)
		return;
	instance->looked = now;
	bool well = is_well(instance, &instance->health, instance->health.timeout);
	tell(instance, well, true, well ? ready_text : failed_text);
}

static void tend(struct instance *instance)
{
	enum process_kind kind = look_process(instance);

	if (kind == PROCESS_UNKNOWN) {
		tell(instance, false, instance->runs, unknown_text);
	} else if (!may_run(instance)) {
		if (kind == PROCESS_LIVES)
			end_process(instance, SIGTERM);
		else
			tell(instance, false, false, deleted_text);
		instance->launched = instance->over = false;
		instance->crashes = 0;
		instance->again = 0;
	} else if (kind == PROCESS_LIVES) {
		look_health(instance);
	} else {
		/* It ended; or it runs for the first time, or on a node that came up anew. */
		if (instance->launched && kind == PROCESS_ENDED)
			note_end(instance);
		launch(instance);
	}
}

static void *keep(void *context)
{
	struct instance *instance = context;

	instance->caller = caller_new(instance->real->token);
	do
		tend(instance);
	while (doze(instance, TURN));
	caller_free(instance->caller);
	return NULL;
}

/* ---- making them ---- */

static const char *const *words(const struct argv *argv, const struct argv_value *values,
				struct arena *arena)
{
	return argv->count ? (const char *const *)argv_expand(argv, values, arena) : NULL;
}

static const char *order_of(struct instance *instance, const struct argv_value *values,
			    struct arena *arena)
{
	const struct service_config *config = instance->config;
	const struct site *site = &instance->real->scenario->deployment.sites[instance->site];
	bool other = site->standby.heat != HEAT_NONE && config->standby.count > 0;
	const char *const *argv = words(other ? &config->standby : &config->command, values, arena);
	cJSON *order = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(order, "argv"), *env;

	cJSON_AddStringToObject(order, "id", instance->id);
	cJSON_AddStringToObject(order, "log", instance->log);
	for (size_t i = 0; argv[i]; i++)
		cJSON_AddItemToArray(list, cJSON_CreateString(argv[i]));
	env = cJSON_AddObjectToObject(order, "env");
	for (size_t i = 0; i < config->env_count; i++)
		cJSON_AddStringToObject(env, config->env[i].name,
					argv_expand_word(config->env[i].value, values, arena));
	char *text = cJSON_PrintUnformatted(order);
	assert(text);
	const char *kept = arena_strdup(arena, text);
	free(text);
	cJSON_Delete(order);
	return kept;
}

static struct service_look look_of(const struct instance *instance, const struct check *check,
				   const struct argv_value *values, struct arena *arena)
{
	return (struct service_look){.kind = check->kind,
				     .address = instance->address,
				     .path = check->path,
				     .argv = words(&check->exec, values, arena),
				     .timeout = check->timeout};
}

static int make_folder(struct instance *instance, struct arena *arena, struct error *e)
{
	struct real *real = instance->real;
	const struct service_config *config = instance->config;
	char class_folder[COPIES_PATH_MAX];

	/* Without data that are backed up it keeps them beside. */
	copies_class_folder(real->copies, instance->site, config->data, class_folder);
	instance->folder = config->has_data
				   ? arena_printf(arena, "%s/%s", class_folder, config->name)
				   : arena_printf(arena, "%s/service-%s",
						  copies_site_folder(real->copies, instance->site),
						  config->name);
	if (mkdir(instance->folder, 0755) && errno != EEXIST)
		return error_set(e, ERROR_IO, NO_PLACE, "cannot make %s: %s", instance->folder,
				 strerror(errno));
	return 0;
}

static int make_instance(struct real *real, struct instance *instance, size_t service,
			 uint32_t site, struct error *e)
{
	const struct deployment *d = &real->scenario->deployment;
	const struct service_config *config = &d->services[service];
	struct arena *arena = &real->arena;
	uint32_t n = (uint32_t)service % d->sites[site].nodes;
	char name[256];

	*instance = (struct instance){.real = real, .config = config, .site = site};
	instance->node = real_node(real, site, n);
	instance->node_index = (int)(real->first_node[site] + n);
	/* From the end: those at the beginning are the control plane's to give. */
	instance->port = (uint16_t)(instance->node->port + PROCESS_PORTS - 1 - service);
	snprintf(instance->address, sizeof(instance->address), "%s:%u",
		 machine_address(instance->node->machine), instance->port);
	deploy_name(real, config->endpoint, site, name, sizeof(name));
	snprintf(instance->deployment, sizeof(instance->deployment), "%.90s", name);
	snprintf(instance->id, sizeof(instance->id), "%.70s-0", name);
	instance->log = arena_printf(arena, "%s/%s.log", real->log, instance->id);
	instance->looks = arena_printf(arena, "%s/%s.looks.log", real->log, instance->id);
	instance->wanted = d->sites[site].standby.heat == HEAT_NONE;
	instance->reason = deleted_text;
	instance->ready_since = NANOS_NEVER;
	if (make_folder(instance, arena, e))
		return -1;
	const struct argv_value values[] = {
		{"PORT", arena_printf(arena, "%u", instance->port)},
		{"ADDRESS", machine_address(instance->node->machine)},
		{"DATA", instance->folder},
		{"SITE", d->sites[site].name},
		{"NODE", instance->node->name},
		{NULL, NULL},
	};
	instance->order = order_of(instance, values, arena);
	instance->ready = look_of(instance, &config->ready, values, arena);
	instance->health = look_of(instance, &config->health, values, arena);
	instance->ledger = words(&config->ledger, values, arena);
	return 0;
}

int services_start(struct real *real, struct error *e)
{
	const struct deployment *d = &real->scenario->deployment;
	struct services *services = arena_alloc(&real->arena, sizeof(*services));

	*services = (struct services){0};
	services->instances = arena_array(&real->arena, d->service_count * d->site_count + 1,
					  sizeof(*services->instances));
	real->services = services;
	for (size_t i = 0; i < d->service_count; i++)
		for (uint32_t s = 0; s < d->site_count; s++) {
			if (deploy_replicas(real, d->services[i].endpoint, s) == 0)
				continue;
			if (make_instance(real, &services->instances[services->count], i, s, e))
				return -1;
			services->count++;
		}
	for (size_t i = 0; i < services->count; i++) {
		struct instance *instance = &services->instances[i];
		instance->kept = thread_start(&instance->thread, keep, instance) == 0;
		if (!instance->kept)
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
					 "cannot start the thread that keeps %s", instance->id);
	}
	return 0;
}

void services_stop(struct real *real)
{
	struct services *services = real->services;

	if (!services)
		return;
	atomic_store(&services->stop, true);
	pthread_mutex_lock(&real->lock);
	pthread_cond_broadcast(&real->changed);
	pthread_mutex_unlock(&real->lock);
	for (size_t i = 0; i < services->count; i++)
		if (services->instances[i].kept)
			pthread_join(services->instances[i].thread, NULL);
	real->services = NULL;
}

/* ---- what others see and order ---- */

static bool hide_variable(void *text, const char *name, struct place place)
{
	const char *value = getenv(name);

	(void)place;
	if (value)
		secret_hide(text, value);
	return true;
}

/* The end of a log, in one line. What a server says may be what it was given: credentials that came
 * with the environment are covered. */
static const char *last_line(const struct real *real, const char *path, char text[LOG_END])
{
	FILE *file = fopen(path, "re");
	size_t got = 0;

	if (file && (fseek(file, -(long)(LOG_END - 1), SEEK_END) == 0 || errno == EINVAL))
		got = fread(text, 1, LOG_END - 1, file);
	if (file)
		fclose(file);
	while (got > 0 && (unsigned char)text[got - 1] <= ' ')
		got--;
	text[got] = '\0';
	for (size_t i = 0; i < got; i++)
		if ((unsigned char)text[i] < ' ' && text[i] != '\n')
			text[i] = ' ';
	scenario_variables(real->scenario, hide_variable, text);
	secret_hide_environment(text);
	char *line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	/* Of a long one the end: at the begin of the buffer a credential may be cut. */
	size_t length = strlen(line);
	return length > LOG_TOLD ? line + length - LOG_TOLD : line;
}

/* What a service says, or what looks at it, where it says nothing. */
static const char *last_word(const struct instance *instance, char text[LOG_END])
{
	const char *said = last_line(instance->real, instance->log, text);

	return *said ? said : last_line(instance->real, instance->looks, text);
}

int services_failed(struct real *real, struct error *e)
{
	struct services *services = real->services;
	char text[LOG_END];

	for (size_t i = 0; services && i < services->count; i++) {
		const struct instance *instance = &services->instances[i];
		pthread_mutex_lock(&real->lock);
		bool failed = instance->failed;
		pthread_mutex_unlock(&real->lock);
		if (failed)
			return error_set(
				e, ERROR_UNAVAILABLE, instance->config->place,
				"service '%s' does not get ready; the end of what it says: "
				"%s",
				instance->config->name, last_word(instance, text));
	}
	return 0;
}

void services_view(struct real *real, struct view *view)
{
	struct services *services = real->services;

	pthread_mutex_lock(&real->lock);
	for (size_t i = 0; services && i < services->count; i++) {
		const struct instance *instance = &services->instances[i];
		struct replica_view *replica = &view->replicas[view->replica_count];
		if ((!instance->wanted && !instance->runs) ||
		    view->replica_count == PROCESS_REPLICAS_MAX)
			continue;
		*replica = (struct replica_view){.endpoint = instance->config->endpoint,
						 .site = instance->site,
						 .node = instance->node_index,
						 .ready = instance->well,
						 .state = 'X'};
		snprintf(replica->id, sizeof(replica->id), "%s", instance->id);
		snprintf(replica->deployment, sizeof(replica->deployment), "%s",
			 instance->deployment);
		snprintf(replica->address, sizeof(replica->address), "%s", instance->address);
		snprintf(replica->reason, sizeof(replica->reason), "%s", instance->reason);
		view->replica_count++;
	}
	pthread_mutex_unlock(&real->lock);
}

void services_scale(struct real *real, uint32_t endpoint, uint32_t site, bool on)
{
	struct instance *instance = find(real, endpoint, site);

	assert(instance);
	pthread_mutex_lock(&real->lock);
	/* What is started anew is meant to run. */
	if (on && !instance->wanted)
		instance->held = false;
	instance->wanted = on;
	pthread_cond_broadcast(&real->changed);
	pthread_mutex_unlock(&real->lock);
}

void services_delay(struct real *real, uint32_t endpoint, nanos delay)
{
	struct services *services = real->services;

	pthread_mutex_lock(&real->lock);
	for (size_t i = 0; services && i < services->count; i++)
		if (services->instances[i].config->endpoint == endpoint)
			services->instances[i].delay = delay;
	pthread_mutex_unlock(&real->lock);
}

/* One that is frozen, or whose agent cannot be reached, dies all the same. */
static void kill_at_once(struct real *real, const struct instance *instance)
{
	pid_t inner = 0;

	pthread_mutex_lock(&real->lock);
	for (size_t r = 0; r < real->view.replica_count; r++)
		if (strcmp(real->view.replicas[r].id, instance->id) == 0)
			inner = real->view.replicas[r].pid;
	pthread_mutex_unlock(&real->lock);
	pid_t pid = inner > 0 ? machine_pid(instance->node->machine, inner) : 0;
	if (pid > 0)
		kill(pid, SIGKILL);
}

void services_fence(struct real *real, uint32_t site, bool on)
{
	struct services *services = real->services;

	for (size_t i = 0; services && i < services->count; i++) {
		struct instance *instance = &services->instances[i];
		if (instance->site != site)
			continue;
		pthread_mutex_lock(&real->lock);
		instance->held = on;
		pthread_mutex_unlock(&real->lock);
		if (on)
			kill_at_once(real, instance);
	}
}

void services_adapter(struct real *real, uint32_t endpoint, uint32_t site,
		      struct adapter_config *ret)
{
	const struct instance *instance = find(real, endpoint, site);

	assert(instance && instance->ledger);
	*ret = (struct adapter_config){.kind = ADAPTER_EXEC,
				       .argv = instance->ledger,
				       .log = instance->log,
				       .timeout = 10 * NANOS_S};
}

/* ---- the way back ---- */

static bool wait_for(struct instance *instance, bool up, nanos timeout, const atomic_bool *cancel)
{
	struct real *real = instance->real;
	nanos end = real_now(real) + timeout;

	while (real_now(real) < end) {
		pthread_mutex_lock(&real->lock);
		bool there = up ? instance->well : !instance->runs;
		pthread_mutex_unlock(&real->lock);
		if (there)
			return true;
		if (!real_sleep(real, real_now(real) + TURN, cancel))
			return false;
	}
	return false;
}

static const char *stop_both(struct instance *old, struct instance *own, const atomic_bool *cancel)
{
	services_scale(old->real, own->config->endpoint, own->site, false);
	services_scale(old->real, old->config->endpoint, old->site, false);
	return wait_for(own, false, END_PATIENCE, cancel) &&
			       wait_for(old, false, END_PATIENCE, cancel)
		       ? NULL
		       : "a service did not end";
}

const char *services_hand_over(struct real *real, uint32_t domain, uint32_t from, uint32_t to,
			       const atomic_bool *cancel)
{
	const struct deployment *d = &real->scenario->deployment;
	struct error error = {.kind = ERROR_NONE};
	const char *reason = NULL;

	for (size_t i = 0; !reason && i < d->service_count; i++) {
		const struct service_config *config = &d->services[i];
		struct instance *old = find(real, config->endpoint, from);
		struct instance *own = find(real, config->endpoint, to);
		if (real_domain_of(real, config->site) != domain || !old || !own)
			continue;
		reason = stop_both(old, own, cancel);
		if (!reason && config->has_data &&
		    copies_mirror_folder(real->copies, from, to, config->data, config->name,
					 &error))
			reason = real_keep_text(real, error.text);
		services_scale(real, config->endpoint, to, true);
		if (!reason && !wait_for(own, true, config->ready.timeout, cancel))
			reason = "a service did not start on the data that came back";
	}
	return reason;
}
