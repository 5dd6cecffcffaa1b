/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The detectors' looks at real targets, many at a time in one thread. A look that fails is tried
 * again until its timeout is over, as a checker does; only then it is a miss.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/lazy/curl.h"
#include "drivers/process/child.h"
#include "drivers/process/process.h"
#include "drivers/process/services.h"
#include "drivers/process/thread.h"
#include "drivers/process/training.h"

#define LOOKS_MAX 4096 /* under way at a time */
#define RETRIES 8      /* tries that share one timeout, at most */
#define LOOK_ANSWER_MAX 16384
#define CHILD_LOOK (5 * NANOS_MS) /* how often it is looked whether a command has ended */

struct probe {
	struct action action;
	nanos begun, end, tried; /* tried: the last try began */
	CURL *curl;
	pid_t child; /* of a service's own look; 0: none */
	bool busy, canary, gpu;
	bool service, connect; /* of a service; a connection is all that is asked for */
	char url[PROCESS_URL_MAX + 300], body[128];
	char answer[LOOK_ANSWER_MAX];
	size_t size;
};

struct probes {
	struct real *real;
	pthread_t thread;
	pthread_mutex_t lock;
	struct probe *fresh[LOOKS_MAX]; /* handed over, not begun */
	size_t fresh_count;
	struct probe **under_way;
	size_t count, capacity;
	CURLM *multi;
	struct curl_slist *headers;
	bool stop;
};

static size_t keep(char *data, size_t one, size_t count, void *context)
{
	struct probe *probe = context;
	size_t size = one * count, room = sizeof(probe->answer) - 1 - probe->size;
	size_t take = size < room ? size : room;

	memcpy(probe->answer + probe->size, data, take);
	probe->size += take;
	probe->answer[probe->size] = '\0';
	return size;
}

/* ---- what is looked at ---- */

static bool target_url(struct real *real, struct probe *probe)
{
	const struct entity *entity = &probe->action.entity;
	const struct deployment *d = &real->scenario->deployment;
	struct view *view;
	char name[256];
	bool found = false;

	switch (entity->kind) {
	case ENTITY_ENDPOINT:
		snprintf(probe->url, sizeof(probe->url), "%s/%s/%s", real->gateway,
			 deploy_endpoint(real, (uint32_t)entity->index, name, sizeof(name)),
			 probe->canary ? "predict" : "healthz");
		return true;
	case ENTITY_NODE:
	case ENTITY_GPU:
		snprintf(probe->url, sizeof(probe->url), "%s/_drsim/node",
			 real_node(real, entity->site, (uint32_t)entity->index)->agent);
		return true;
	case ENTITY_JOB:
		snprintf(probe->url, sizeof(probe->url), "%s/jobs/%s", real->control,
			 training_name(real, (uint32_t)entity->index, name, sizeof(name)));
		return true;
	case ENTITY_REPLICA:
		view = calloc(1, sizeof(*view));
		assert(view);
		observe_last(real, view);
		for (size_t r = 0; r < view->replica_count && !found; r++) {
			const struct replica_view *replica = &view->replicas[r];
			found = replica->endpoint == (uint32_t)entity->index &&
				replica->ordinal == entity->part &&
				replica->site == d->endpoints[entity->index].site &&
				replica->address[0];
			if (found)
				snprintf(probe->url, sizeof(probe->url), "http://%s/healthz",
					 replica->address);
		}
		free(view);
		return found;
	case ENTITY_NONE:
	case ENTITY_SITE:
	case ENTITY_RACK:
	case ENTITY_LINK:
	case ENTITY_STORE:
	case ENTITY_DATA:
	case ENTITY_BACKUP:
	case ENTITY_STANDBY:
	case ENTITY_RANK:
	case ENTITY_CHECKPOINT:
	case ENTITY_KINDS:
		break;
	}
	return false;
}

/* A service says itself how it is seen to be well. */
static bool is_service(struct real *real, const struct entity *entity, struct service_look *ret)
{
	uint32_t site, endpoint = (uint32_t)entity->index;

	if ((entity->kind != ENTITY_ENDPOINT && entity->kind != ENTITY_REPLICA) ||
	    !services_config(real, endpoint))
		return false;
	pthread_mutex_lock(&real->lock);
	site = entity->kind == ENTITY_ENDPOINT
		       ? real->route[endpoint]
		       : real->scenario->deployment.endpoints[endpoint].site;
	pthread_mutex_unlock(&real->lock);
	return services_look(real, endpoint, site, ret);
}

/* A canary sends a record of its own, which no ledger counts, and knows the answer. */
static void canary_body(struct probe *probe)
{
	static const char key[] = "canary";
	uint32_t crc = ledger_crc32c("", 0);

	snprintf(probe->body, sizeof(probe->body), "%llu %s 0 %08x \n",
		 (unsigned long long)(CANARY_SEQUENCE + probe->action.id), key, crc);
}

static bool canary_wrong(struct real *real, const struct probe *probe)
{
	const uint8_t *digest =
		copies_weights_digest(real->copies, (uint32_t)probe->action.entity.index);
	char expected[CLIENT_ANSWER_MAX];
	const char *answer = strchr(probe->answer, ' ');

	client_expect_digest(digest, "canary", "", 0, expected);
	return !answer || strncmp(answer + 1, expected, strlen(expected)) != 0;
}

/* The agent lists the GPUs that are there. */
static bool gpu_there(const struct probe *probe, cJSON *answer)
{
	const cJSON *gpus = cJSON_GetObjectItemCaseSensitive(answer, "gpus");
	const cJSON *gpu = cJSON_GetArrayItem(gpus, (int)probe->action.entity.part);

	return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(gpu, "present"));
}

/* ---- tries ---- */

/* false: there is nothing to send now; it is a command's turn, or nothing runs there. */
static bool aim(struct real *real, struct probe *probe)
{
	struct error error = {.kind = ERROR_NONE};
	struct service_look look;

	probe->service = is_service(real, &probe->action.entity, &look);
	if (!probe->service)
		return target_url(real, probe);
	probe->canary = false;
	switch (look.kind) {
	case CHECK_TCP:
		probe->connect = true;
		snprintf(probe->url, sizeof(probe->url), "http://%s/", look.address);
		return true;
	case CHECK_HTTP:
		snprintf(probe->url, sizeof(probe->url), "http://%s%s", look.address, look.path);
		return true;
	case CHECK_EXEC:
		probe->busy = child_start(look.argv, real->run, NULL, &probe->child, &error) == 0;
		return false;
	}
	return false;
}

static void try_once(struct probes *probes, struct probe *probe)
{
	nanos now = real_now(probes->real), left = probe->end - now;
	long ms = (long)((left + NANOS_MS - 1) / NANOS_MS);

	probe->tried = now;
	probe->size = 0;
	probe->answer[0] = '\0';
	if (!aim(probes->real, probe))
		return; /* tried again until the end */
	if (!probe->curl)
		probe->curl = curl_easy_init();
	assert(probe->curl);
	curl_easy_reset(probe->curl);
	curl_easy_setopt(probe->curl, CURLOPT_URL, probe->url);
	curl_easy_setopt(probe->curl, CURLOPT_HTTPHEADER, probes->headers);
	curl_easy_setopt(probe->curl, CURLOPT_TIMEOUT_MS, ms > 0 ? ms : 1);
	curl_easy_setopt(probe->curl, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(probe->curl, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(probe->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(probe->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(probe->curl, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(probe->curl, CURLOPT_WRITEFUNCTION, keep);
	curl_easy_setopt(probe->curl, CURLOPT_WRITEDATA, probe);
	curl_easy_setopt(probe->curl, CURLOPT_PRIVATE, probe);
	curl_easy_setopt(probe->curl, CURLOPT_CONNECT_ONLY, probe->connect ? 1L : 0L);
	if (probe->canary) {
		canary_body(probe);
		curl_easy_setopt(probe->curl, CURLOPT_POSTFIELDS, probe->body);
	}
	probe->busy = true;
	curl_multi_add_handle(probes->multi, probe->curl);
}

static void let_go(struct probes *probes, struct probe *probe)
{
	if (probe->child)
		child_kill(probe->child);
	else if (probe->busy)
		curl_multi_remove_handle(probes->multi, probe->curl);
	if (probe->curl)
		curl_easy_cleanup(probe->curl);
	probe->child = 0;
	probe->busy = false;
}

static void finish(struct probes *probes, size_t index, bool ok, bool wrong)
{
	struct probe *probe = probes->under_way[index];
	struct completion done = {.kind = COMPLETION_ACTION,
				  .action = probe->action,
				  .ok = ok,
				  .wrong = wrong,
				  .success = 1,
				  .reason = ok ? NULL : "no answer in time",
				  .latency = real_now(probes->real) - probe->begun};

	let_go(probes, probe);
	real_complete(probes->real, &done);
	free(probe);
	probes->under_way[index] = probes->under_way[--probes->count];
}

static size_t index_of(const struct probes *probes, const struct probe *probe)
{
	size_t i = 0;

	while (probes->under_way[i] != probe)
		i++;
	return i;
}

static void answered(struct probes *probes, struct probe *probe, bool ok)
{
	bool job = probe->action.entity.kind == ENTITY_JOB;
	cJSON *json = (probe->gpu || job) && ok ? cJSON_Parse(probe->answer) : NULL;

	curl_multi_remove_handle(probes->multi, probe->curl);
	probe->busy = false;
	if (probe->gpu)
		ok = ok && gpu_there(probe, json);
	if (job)
		ok = ok && training_runs(json);
	cJSON_Delete(json);
	if (ok)
		finish(probes, index_of(probes, probe), true,
		       probe->canary && canary_wrong(probes->real, probe));
}

static void collect(struct probes *probes)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(probes->multi, &left))) {
		struct probe *probe = NULL;
		long status = 0;
		if (message->msg != CURLMSG_DONE)
			continue;
		CURLcode code = message->data.result;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&probe);
		curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
		bool good = probe->connect || (status >= 200 && status <= 299);
		answered(probes, probe, code == CURLE_OK && good);
	}
}

/* Commands that have ended: with 0 they saw that all is well. */
static void reap(struct probes *probes)
{
	for (size_t i = 0; i < probes->count;) {
		struct probe *probe = probes->under_way[i];
		int code = 0;
		if (!probe->child || !child_over(probe->child, &code)) {
			i++;
			continue;
		}
		probe->child = 0;
		probe->busy = false;
		if (code == 0)
			finish(probes, i, true, false);
		else
			i++;
	}
}

/* Ends what is over time, begins what is due again; returns when to look again. */
static nanos tend(struct probes *probes)
{
	nanos now = real_now(probes->real), next = now + 50 * NANOS_MS;

	for (size_t i = 0; i < probes->count;) {
		struct probe *probe = probes->under_way[i];
		nanos again = probe->tried + probe->action.timeout / RETRIES;
		if (now >= probe->end) {
			finish(probes, i, false, false);
			continue;
		}
		if (!probe->busy && now >= again)
			try_once(probes, probe);
		nanos due = probe->busy || again > probe->end ? probe->end : again;
		if (probe->child && now + CHILD_LOOK < due)
			due = now + CHILD_LOOK;
		next = due < next ? due : next;
		i++;
	}
	return next;
}

static void take_fresh(struct probes *probes)
{
	pthread_mutex_lock(&probes->lock);
	for (size_t i = 0; i < probes->fresh_count; i++) {
		if (probes->count == probes->capacity) {
			probes->capacity = probes->capacity ? 2 * probes->capacity : 64;
			probes->under_way = realloc(probes->under_way,
						    probes->capacity * sizeof(struct probe *));
			assert(probes->under_way);
		}
		probes->under_way[probes->count++] = probes->fresh[i];
	}
	probes->fresh_count = 0;
	pthread_mutex_unlock(&probes->lock);
}

static void *probing(void *context)
{
	struct probes *probes = context;
	int running = 0;

	for (;;) {
		pthread_mutex_lock(&probes->lock);
		bool stop = probes->stop;
		pthread_mutex_unlock(&probes->lock);
		if (stop)
			return NULL;
		take_fresh(probes);
		reap(probes);
		nanos next = tend(probes);
		curl_multi_perform(probes->multi, &running);
		collect(probes);
		nanos wait = next - real_now(probes->real);
		curl_multi_poll(probes->multi, NULL, 0, wait > 0 ? (int)(wait / NANOS_MS) + 1 : 0,
				NULL);
	}
}

/* ---- the door ---- */

int probes_start(struct real *real, struct error *e)
{
	struct probes *probes = calloc(1, sizeof(*probes));
	char line[128];

	assert(probes);
	probes->real = real;
	pthread_mutex_init(&probes->lock, NULL);
	probes->multi = curl_multi_init();
	assert(probes->multi);
	snprintf(line, sizeof(line), "Authorization: Bearer %s", real->token);
	probes->headers = curl_slist_append(NULL, line);
	if (thread_start(&probes->thread, probing, probes)) {
		curl_slist_free_all(probes->headers);
		curl_multi_cleanup(probes->multi);
		free(probes);
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "cannot start the thread that probes");
	}
	real->probes = probes;
	return 0;
}

void probes_stop(struct real *real)
{
	struct probes *probes = real->probes;

	if (!probes)
		return;
	pthread_mutex_lock(&probes->lock);
	probes->stop = true;
	pthread_mutex_unlock(&probes->lock);
	curl_multi_wakeup(probes->multi);
	pthread_join(probes->thread, NULL);
	for (size_t i = 0; i < probes->count; i++) {
		let_go(probes, probes->under_way[i]);
		free(probes->under_way[i]);
	}
	for (size_t i = 0; i < probes->fresh_count; i++)
		free(probes->fresh[i]);
	curl_slist_free_all(probes->headers);
	curl_multi_cleanup(probes->multi);
	pthread_mutex_destroy(&probes->lock);
	free(probes->under_way);
	free(probes);
	real->probes = NULL;
}

/* The client's own figures of the window: known at once. */
static void look_at_service(struct real *real, const struct action *action)
{
	const struct detector_config *config = &real->scenario->detectors[action->detector];
	struct client_window window;
	struct completion done = {.kind = COMPLETION_ACTION, .action = *action, .ok = true};

	client_window(real->client, (uint32_t)action->entity.index, config->slo_window, &window);
	done.success = window.success;
	done.latency_p99 = window.p99;
	real_complete(real, &done);
}

int probes_send(struct real *real, const struct action *action, struct error *e)
{
	const struct detector_config *config = &real->scenario->detectors[action->detector];
	struct probes *probes = real->probes;
	struct probe *probe;

	if (config->kind == DETECTOR_SLO) {
		look_at_service(real, action);
		return 0;
	}
	if (config->kind == DETECTOR_WATCHDOG) {
		training_watch(real, action);
		return 0;
	}
	probe = calloc(1, sizeof(*probe));
	assert(probe);
	probe->action = *action;
	probe->begun = real_now(real);
	probe->end = probe->begun + action->timeout;
	probe->tried = probe->begun - action->timeout;
	probe->canary = config->kind == DETECTOR_CANARY && action->entity.kind == ENTITY_ENDPOINT;
	probe->gpu = action->entity.kind == ENTITY_GPU;
	pthread_mutex_lock(&probes->lock);
	bool full = probes->fresh_count == LOOKS_MAX;
	if (!full)
		probes->fresh[probes->fresh_count++] = probe;
	pthread_mutex_unlock(&probes->lock);
	if (full) {
		free(probe);
		return error_set(e, ERROR_LIMIT, config->place,
				 "more than %d looks wait to be sent at a time", LOOKS_MAX);
	}
	curl_multi_wakeup(probes->multi);
	return 0;
}
