/* SPDX-License-Identifier: Apache-2.0 */
/* The observer: looks at every node and at the control plane in rounds, all at once, so that one
 * that does not answer delays nobody. What the run loop reads is the last round. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/lazy/curl.h"
#include "drivers/process/process.h"
#include "drivers/process/services.h"
#include "drivers/process/thread.h"
#include "drivers/process/training.h"

#define ROUND (100 * NANOS_MS)    /* from one round to the next, */
#define ROUND_NODE (6 * NANOS_MS) /* but so long for each node: looks cost them time too */
#define PATIENCE (200 * NANOS_MS) /* how long an answer may take */
#define FRESH (900 * NANOS_MS)    /* how long a reader waits for a round of its own */
#define ANSWER_MAX ((size_t)4 << 20)

/* One look: a node's agent, or the control plane. */
struct look {
	CURL *curl;
	char *answer;
	size_t size, room;
	bool connected, answered;
};

struct observer {
	struct real *real;
	struct look looks[PROCESS_NODES_MAX + 1 + PROCESS_JOBS_MAX];
	size_t look_count; /* nodes, the control plane, rank 0 of each job */
	CURLM *multi;
	struct curl_slist *headers;
	struct view next;
};

static size_t keep(char *data, size_t one, size_t count, void *context)
{
	struct look *look = context;
	size_t size = one * count;

	if (size > ANSWER_MAX - look->size)
		return 0;
	if (look->size + size + 1 > look->room) {
		look->room = 2 * (look->size + size + 1);
		look->answer = realloc(look->answer, look->room);
		assert(look->answer);
	}
	memcpy(look->answer + look->size, data, size);
	look->size += size;
	look->answer[look->size] = '\0';
	return size;
}

static void prepare(struct observer *observer, struct look *look, const char *url)
{
	CURL *curl = look->curl;

	look->size = 0;
	look->connected = look->answered = false;
	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, observer->headers);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(PATIENCE / NANOS_MS));
	/* A connection of its own each time: that it comes to be is what "reachable" means. */
	curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, look);
	curl_easy_setopt(curl, CURLOPT_PRIVATE, look);
	curl_multi_add_handle(observer->multi, curl);
}

static void collect(struct observer *observer)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(observer->multi, &left))) {
		struct look *look = NULL;
		long status = 0;
		curl_off_t connect = 0;
		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&look);
		curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
		curl_easy_getinfo(message->easy_handle, CURLINFO_CONNECT_TIME_T, &connect);
		look->connected = connect > 0;
		look->answered = message->data.result == CURLE_OK && status == 200;
	}
}

static void ask_all(struct observer *observer)
{
	struct real *real = observer->real;
	char url[PROCESS_URL_MAX + 32];
	int running = 0;

	for (size_t i = 0; i <= real->node_count; i++) {
		bool control = i == real->node_count;
		snprintf(url, sizeof(url), "%s/_drsim/%s",
			 control ? real->control : real->nodes[i].agent,
			 control ? "state" : "node");
		prepare(observer, &observer->looks[i], url);
	}
	for (size_t i = real->node_count + 1; i < observer->look_count; i++) {
		/* Where it was in the last round. One without an address refuses. */
		const char *first = observer->next.jobs[i - real->node_count - 1].first;
		snprintf(url, sizeof(url), "http://%s/progress", first[0] ? first : "127.0.0.1:1");
		prepare(observer, &observer->looks[i], url);
	}
	do {
		curl_multi_perform(observer->multi, &running);
		collect(observer);
		if (running)
			curl_multi_poll(observer->multi, NULL, 0, 20, NULL);
	} while (running);
	collect(observer);
	for (size_t i = 0; i < observer->look_count; i++)
		curl_multi_remove_handle(observer->multi, observer->looks[i].curl);
}

/* ---- reading the answers ---- */

const char *observe_text(const cJSON *object, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	return cJSON_IsString(item) ? item->valuestring : "";
}

double observe_number(const cJSON *object, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static void read_node(const struct look *look, struct node_view *ret)
{
	*ret = (struct node_view){.reachable = look->connected || look->answered};
	if (!look->answered)
		return;
	cJSON *answer = cJSON_ParseWithLength(look->answer, look->size);
	const cJSON *item;
	ret->responding = cJSON_IsObject(answer);
	ret->xid_lines = (uint64_t)observe_number(answer, "xid_lines");
	ret->xid = (uint32_t)observe_number(answer, "xid");
	cJSON_ArrayForEach (item, cJSON_GetObjectItemCaseSensitive(answer, "gpus"))
		if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "present"))) {
			uint32_t gpu = (uint32_t)observe_number(item, "index");
			ret->gpu_mask |= (uint64_t)1 << (gpu & 63);
			ret->gpus++;
		}
	cJSON_ArrayForEach (item, cJSON_GetObjectItemCaseSensitive(answer, "processes")) {
		const char *state = observe_text(item, "state");
		struct real_view *seen = &ret->seen[ret->processes];
		if (ret->processes == PROCESS_VIEWS_MAX)
			break;
		snprintf(seen->id, sizeof(seen->id), "%s", observe_text(item, "id"));
		seen->pid = (pid_t)observe_number(item, "pid");
		seen->starts = (uint64_t)observe_number(item, "starts");
		seen->state = strcmp(state, "running") == 0   ? 'R'
			      : strcmp(state, "stopped") == 0 ? 'T'
							      : 'X';
		ret->processes++;
	}
	cJSON_Delete(answer);
}

static void read_replica(const struct real *real, const char *deployment, const cJSON *item,
			 struct replica_view *ret)
{
	const struct deployment *d = &real->scenario->deployment;
	const char *node = observe_text(item, "node"), *dash;
	char name[256];

	*ret = (struct replica_view){.node = -1, .endpoint = UINT32_MAX, .state = 'X'};
	snprintf(ret->id, sizeof(ret->id), "%s", observe_text(item, "id"));
	snprintf(ret->deployment, sizeof(ret->deployment), "%s", deployment);
	snprintf(ret->address, sizeof(ret->address), "%s", observe_text(item, "address"));
	snprintf(ret->reason, sizeof(ret->reason), "%s", observe_text(item, "reason"));
	ret->ready = strcmp(ret->reason, "Ready") == 0;
	ret->starts = (uint64_t)observe_number(item, "starts");
	dash = strrchr(ret->id, '-');
	for (const char *at = dash ? dash + 1 : ""; *at >= '0' && *at <= '9'; at++)
		ret->ordinal = ret->ordinal * 10 + (uint32_t)(*at - '0');
	for (size_t i = 0; i < real->node_count; i++)
		if (strcmp(real->nodes[i].name, node) == 0)
			ret->node = (int)i;
	for (uint32_t e = 0; e < d->endpoint_count; e++)
		for (uint32_t s = 0; s < d->site_count; s++)
			if (strcmp(deploy_name(real, e, s, name, sizeof(name)), ret->deployment) ==
			    0) {
				ret->endpoint = e;
				ret->site = s;
			}
}

/* What the agent of its node says of its process. */
static void join_process(struct view *view, struct replica_view *replica)
{
	if (replica->node < 0)
		return;
	const struct node_view *node = &view->nodes[replica->node];
	for (size_t i = 0; i < node->processes; i++) {
		if (strcmp(node->seen[i].id, replica->id) != 0)
			continue;
		replica->pid = node->seen[i].pid;
		replica->state = node->seen[i].state;
		replica->starts = node->seen[i].starts;
	}
	if (!node->responding)
		replica->pid = 0;
}

static void read_control(struct observer *observer, const struct look *look)
{
	struct real *real = observer->real;
	struct view *view = &observer->next;
	const cJSON *item, *deployment;

	view->control = look->answered;
	view->replica_count = 0;
	if (!look->answered)
		return;
	cJSON *answer = cJSON_ParseWithLength(look->answer, look->size);
	cJSON_ArrayForEach (deployment, cJSON_GetObjectItemCaseSensitive(answer, "deployments"))
		cJSON_ArrayForEach (item,
				    cJSON_GetObjectItemCaseSensitive(deployment, "replicas")) {
			struct replica_view *replica = &view->replicas[view->replica_count];
			if (view->replica_count == PROCESS_REPLICAS_MAX)
				break;
			read_replica(real, observe_text(deployment, "name"), item, replica);
			if (replica->endpoint == UINT32_MAX)
				continue;
			join_process(view, replica);
			view->replica_count++;
		}
	cJSON_ArrayForEach (item, cJSON_GetObjectItemCaseSensitive(answer, "nodes"))
		for (size_t i = 0; i < real->node_count; i++)
			if (strcmp(real->nodes[i].name, observe_text(item, "name")) == 0)
				view->nodes[i].ready = cJSON_IsTrue(
					cJSON_GetObjectItemCaseSensitive(item, "ready"));
	training_hear_control(real, view, cJSON_GetObjectItemCaseSensitive(answer, "jobs"));
	cJSON_Delete(answer);
}

/* ---- rounds ---- */

static void round_once(struct observer *observer)
{
	struct real *real = observer->real;

	observer->next.at = real_now(real);
	ask_all(observer);
	for (size_t i = 0; i < real->node_count; i++) {
		struct node_view *node = &observer->next.nodes[i];
		read_node(&observer->looks[i], node);
		node->oom_kills = machine_oom_kills(real->nodes[i].machine);
	}
	for (size_t i = real->node_count + 1; i < observer->look_count; i++) {
		const struct look *look = &observer->looks[i];
		cJSON *answer =
			look->answered ? cJSON_ParseWithLength(look->answer, look->size) : NULL;
		training_hear_rank(&observer->next, (uint32_t)(i - real->node_count - 1), answer);
		cJSON_Delete(answer);
	}
	read_control(observer, &observer->looks[real->node_count]);
	size_t first = observer->next.replica_count;
	services_view(real, &observer->next);
	for (size_t r = first; r < observer->next.replica_count; r++)
		join_process(&observer->next, &observer->next.replicas[r]);
}

/* Until the next round, or until somebody cannot wait for it. */
static void pause_round(struct real *real)
{
	nanos pause = (nanos)real->node_count * ROUND_NODE;
	nanos end = real_now(real) + (pause > ROUND ? pause : ROUND);

	pthread_mutex_lock(&real->lock);
	while (real->rounds_wanted <= real->view.round && !real->observer_ends &&
	       real_now(real) < end) {
		int64_t at = end + real->start;
		struct timespec until = {.tv_sec = (time_t)(at / NANOS_S),
					 .tv_nsec = (long)(at % NANOS_S)};
		pthread_cond_clockwait(&real->changed, &real->lock, CLOCK_MONOTONIC, &until);
	}
	pthread_mutex_unlock(&real->lock);
}

static void *observe(void *context)
{
	struct observer *observer = context;
	struct real *real = observer->real;
	uint64_t one = 1;
	bool closing = false;

	while (!closing) {
		pthread_mutex_lock(&real->lock);
		observer->next.round = real->rounds_begun = real->view.round + 1;
		pthread_mutex_unlock(&real->lock);
		round_once(observer);
		pthread_mutex_lock(&real->lock);
		real->view = observer->next;
		bool hurry = real->rounds_wanted > real->view.round;
		closing = real->observer_ends;
		pthread_cond_broadcast(&real->changed);
		pthread_mutex_unlock(&real->lock);
		if (write(real->wake, &one, sizeof(one)) < 0)
			continue; /* full: it is awake already */
		if (!hurry && !closing)
			pause_round(real);
	}
	for (size_t i = 0; i < observer->look_count; i++) {
		curl_easy_cleanup(observer->looks[i].curl);
		free(observer->looks[i].answer);
	}
	curl_multi_cleanup(observer->multi);
	curl_slist_free_all(observer->headers);
	free(observer);
	return NULL;
}

int observe_start(struct real *real, struct error *e)
{
	struct observer *observer = calloc(1, sizeof(*observer));
	char line[128];

	assert(observer);
	observer->real = real;
	observer->multi = curl_multi_init();
	assert(observer->multi);
	snprintf(line, sizeof(line), "Authorization: Bearer %s", real->token);
	observer->headers = curl_slist_append(NULL, line);
	observer->look_count = real->node_count + 1 + real->scenario->deployment.job_count;
	for (size_t i = 0; i < observer->look_count; i++) {
		observer->looks[i].curl = curl_easy_init();
		assert(observer->looks[i].curl);
	}
	real->observing = thread_start(&real->observer, observe, observer) == 0;
	if (!real->observing)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "cannot start the thread that observes");
	return 0;
}

void observe_stop(struct real *real)
{
	if (!real->observing)
		return;
	pthread_mutex_lock(&real->lock);
	real->observer_ends = true;
	pthread_cond_broadcast(&real->changed);
	pthread_mutex_unlock(&real->lock);
	pthread_join(real->observer, NULL);
	real->observing = false;
}

void observe_fresh(struct real *real, struct view *ret)
{
	nanos end = real_now(real) + FRESH;

	pthread_mutex_lock(&real->lock);
	/* The round under way may have looked before: the one after it counts. */
	uint64_t wanted = real->rounds_begun + 1;
	if (real->rounds_wanted < wanted)
		real->rounds_wanted = wanted;
	pthread_cond_broadcast(&real->changed);
	while (real->view.round < wanted && real->observing) {
		int64_t at = end + real->start;
		struct timespec until = {.tv_sec = (time_t)(at / NANOS_S),
					 .tv_nsec = (long)(at % NANOS_S)};
		if (real_now(real) >= end)
			break;
		pthread_cond_clockwait(&real->changed, &real->lock, CLOCK_MONOTONIC, &until);
	}
	*ret = real->view;
	pthread_mutex_unlock(&real->lock);
}

void observe_hurry(struct real *real)
{
	pthread_mutex_lock(&real->lock);
	if (real->rounds_wanted < real->rounds_begun + 1)
		real->rounds_wanted = real->rounds_begun + 1;
	pthread_cond_broadcast(&real->changed);
	pthread_mutex_unlock(&real->lock);
}

void observe_last(struct real *real, struct view *ret)
{
	pthread_mutex_lock(&real->lock);
	if (ret->round != real->view.round || ret->round == 0)
		*ret = real->view;
	pthread_mutex_unlock(&real->lock);
}

uint64_t observe_round(struct real *real)
{
	pthread_mutex_lock(&real->lock);
	uint64_t round = real->view.round;
	pthread_mutex_unlock(&real->lock);
	return round;
}

/* ---- what changed, for the timeline ---- */

static void tell_replica(struct real *real, const struct replica_view *replica)
{
	struct timeline *timeline = real->timeline;
	char name[ENTITY_TEXT_MAX];
	struct entity entity = {.kind = ENTITY_REPLICA,
				.index = (int32_t)replica->endpoint,
				.part = replica->ordinal};

	timeline_begin(timeline, real->shown, "replica.state");
	timeline_text(timeline, "replica", entity_print(entity, real->scenario, name));
	timeline_text(timeline, "site", real->scenario->deployment.sites[replica->site].name);
	timeline_text(timeline, "state", replica->reason);
	timeline_text(timeline, "why",
		      services_config(real, replica->endpoint) ? "its own check says so"
							       : "the control plane says so");
	timeline_end(timeline);
}

/* After each round, in the run loop's thread. */
void observe_tell(struct real *real, const struct view *view)
{
	for (size_t r = 0; r < view->replica_count; r++) {
		const struct replica_view *replica = &view->replicas[r];
		const char *before = "";
		for (size_t k = 0; k < real->told_count; k++)
			if (strcmp(real->told[k].id, replica->id) == 0)
				before = real->told[k].reason;
		if (strcmp(before, replica->reason) != 0)
			tell_replica(real, replica);
	}
	memcpy(real->told, view->replicas, view->replica_count * sizeof(*view->replicas));
	real->told_count = view->replica_count;
}
