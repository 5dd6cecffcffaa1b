/* SPDX-License-Identifier: Apache-2.0 */
/* The open-loop client: its thread, and what the driver asks of it. */
#include "drivers/host/client.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <openssl/sha.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "drivers/host/client_private.h"

#define CONNECTIONS_SPARE 64
#define EVENTS_AT_ONCE 64
#define LET_IN (20 * NANOS_US) /* how long the lock stays free when somebody waits for it */
#define PRIORITY (-10)         /* nice, of the sending thread */

/* ---- time ---- */

nanos client_now(const struct client *client)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now); /* style: allow */
	return (nanos)now.tv_sec * NANOS_S + now.tv_nsec - client->start;
}

/* ---- the thread ---- */

static void on_event(struct client *client, uint64_t data, uint32_t events)
{
	uint32_t number = (uint32_t)data;
	uint64_t count;

	switch (data >> 32) {
	case EVENT_WAKE:
		if (read(client->wake, &count, sizeof(count)) < 0)
			assert(errno == EAGAIN);
		break;
	case EVENT_SOCKET:
		client_http_turn(client, (int)number, events);
		break;
	case EVENT_COMMAND:
		client_exec_event(&client->endpoints[number], events);
		break;
	default:
		assert(0);
	}
}

static bool over(const struct client *client)
{
	if (!client->stopping)
		return false;
	for (uint32_t i = 0; i < client->endpoint_count; i++)
		if (client->endpoints[i].oldest < client->endpoints[i].end)
			return false;
	return true;
}

/* All that is due now; returns when to come again. */
static nanos turn(struct client *client)
{
	nanos now = client_now(client), next = NANOS_NEVER;

	for (uint32_t i = 0; i < client->endpoint_count; i++) {
		struct endpoint *endpoint = &client->endpoints[i];

		if (endpoint->config.adapter.kind == ADAPTER_EXEC)
			next = earlier(next, client_exec_turn(endpoint, now));
		client_step(endpoint, now);
	}
	if (client->curl_due <= client_now(client)) {
		client_http_turn(client, -1, 0);
		for (uint32_t i = 0; i < client->endpoint_count; i++)
			client_step(&client->endpoints[i],
				    now); /* a connection may be refused at once */
	}
	for (uint32_t i = 0; i < client->endpoint_count; i++)
		next = earlier(next, client_due(&client->endpoints[i], now));
	return earlier(next, client->curl_due);
}

static void let_in(void)
{
	const struct timespec pause = {.tv_nsec = LET_IN};

	clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

static void wait_for_events(struct client *client, nanos until)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	struct pollfd any = {.fd = client->epoll, .events = POLLIN};
	nanos left = until - client_now(client);
	struct timespec time = {0};
	int n;

	pthread_mutex_unlock(&client->lock);
	/* A mutex is not fair: under load this thread would take it again before anybody wakes. */
	if (atomic_load(&client->wanted) > 0)
		let_in();
	if (left > 0) {
		time.tv_sec = left / NANOS_S;
		time.tv_nsec = left % NANOS_S;
	}
	/* ppoll first: epoll_wait counts in milliseconds. */
	n = ppoll(&any, 1, until == NANOS_NEVER ? NULL : &time, NULL);
	pthread_mutex_lock(&client->lock);
	if (n <= 0)
		return;
	n = epoll_wait(client->epoll, events, EVENTS_AT_ONCE, 0);
	for (int i = 0; i < n; i++)
		on_event(client, events[i].data.u64, events[i].events);
}

static int prepare(struct client *client, struct error *e)
{
	prctl(PR_SET_TIMERSLACK, 1);
	/* Who measures must not wait behind those who are measured. Without the right, as it is. */
	setpriority(PRIO_PROCESS, (id_t)gettid(), PRIORITY);
	if (client->netns >= 0 && setns(client->netns, CLONE_NEWNET))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "the client cannot enter its network namespace: %s",
				 strerror(errno));
	for (uint32_t i = 0; i < client->endpoint_count; i++) {
		struct endpoint *endpoint = &client->endpoints[i];

		if (endpoint->config.adapter.kind == ADAPTER_EXEC && client_exec_open(endpoint, e))
			return -1;
	}
	return 0;
}

static void begin(struct client *client)
{
	nanos now = client_now(client);

	for (uint32_t i = 0; i < client->endpoint_count; i++) {
		struct endpoint *endpoint = &client->endpoints[i];
		nanos from = now > 0 ? now : 0;

		endpoint->slice_from = from - from % client->slice;
		endpoint->next = endpoint->rate > 0 ? from + client_gap(endpoint) : NANOS_NEVER;
	}
}

void client_enter(struct client *client)
{
	atomic_fetch_add(&client->wanted, 1);
	pthread_mutex_lock(&client->lock);
	atomic_fetch_sub(&client->wanted, 1);
}

static void *run(void *self)
{
	struct client *client = self;
	int rc;

	pthread_mutex_lock(&client->lock);
	rc = prepare(client, &client->start_error);
	client->is_ready = true;
	pthread_cond_signal(&client->ready);
	if (rc == 0) {
		begin(client);
		while (!over(client))
			wait_for_events(client, turn(client));
	}
	for (uint32_t i = 0; i < client->endpoint_count; i++)
		client_exec_close(&client->endpoints[i]);
	pthread_mutex_unlock(&client->lock);
	return NULL;
}

/* ---- opening and closing ---- */

static int check_endpoint(const struct client_endpoint_config *config, struct error *e)
{
	double open = config->rate * (double)config->timeout / 1e9;
	double judged = config->rate * (double)config->window / 1e9;

	if (!(config->rate >= 0 && config->rate <= CLIENT_RATE_MAX))
		return error_set(e, ERROR_LIMIT, NO_PLACE, "%s: %g requests a second, at most %g",
				 config->name, config->rate, CLIENT_RATE_MAX);
	if (config->latency_limit <= 0 || config->timeout < config->latency_limit)
		return error_set(e, ERROR_LIMIT, NO_PLACE,
				 "%s: the time-out must not be below the latency limit",
				 config->name);
	if (2 * open > (double)SLOTS_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE,
				 "%s: %.0f requests can be open at a time, at most %" PRIu64,
				 config->name, open, SLOTS_MAX / 2);
	if (2 * judged > (double)SLOTS_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE,
				 "%s: too many requests within the stable window", config->name);
	if (config->connections > CLIENT_CONNECTIONS_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE,
				 "%s: %" PRIu32 " connections, at most %d", config->name,
				 config->connections, CLIENT_CONNECTIONS_MAX);
	if (!(config->success > 0 && config->success <= 1) || config->window < 0)
		return error_set(e, ERROR_LIMIT, NO_PLACE,
				 "%s: the steady state needs a share of success above 0",
				 config->name);
	return 0;
}

static uint32_t room_of(const struct client_endpoint_config *config)
{
	double room = config->rate * (double)config->timeout / 1e9 + CONNECTIONS_SPARE;

	if (config->connections > 0)
		return config->connections;
	return room < CLIENT_CONNECTIONS_MAX ? (uint32_t)room : CLIENT_CONNECTIONS_MAX;
}

static int open_endpoint(struct client *client, const struct client_config *config, uint32_t number,
			 struct error *e)
{
	struct endpoint *endpoint = &client->endpoints[number];
	const struct client_endpoint_config *c = &config->endpoints[number];
	struct ledger_config ledger = {
		.seed = config->seed,
		.stream = number,
		.payload_bytes = c->payload_bytes,
		.keys = c->keys,
		.sites = config->sites,
		.site_count = config->site_count,
	};

	if (check_endpoint(c, e) || ledger_new(&ledger, &endpoint->ledger, e))
		return -1;
	endpoint->client = client;
	endpoint->number = number;
	endpoint->config = *c;
	endpoint->rate = c->rate;
	endpoint->room = room_of(c);
	endpoint->next = NANOS_NEVER;
	endpoint->command.fd = -1;
	prng_open(&endpoint->arrivals, config->seed, 0, number, PRNG_ARRIVAL);
	judge_init(&endpoint->judge, c->success, c->window);
	return 0;
}

static int open_files(struct client *client, struct error *e)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = EVENT_DATA(EVENT_WAKE, 0)};

	client->epoll = epoll_create1(EPOLL_CLOEXEC);
	client->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	client->told = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (client->epoll < 0 || client->wake < 0 || client->told < 0 ||
	    epoll_ctl(client->epoll, EPOLL_CTL_ADD, client->wake, &event))
		return error_set(e, ERROR_IO, NO_PLACE, "the client cannot be set up: %s",
				 strerror(errno));
	return 0;
}

int client_open(const struct client_config *config, struct client **ret_client, struct error *e)
{
	struct arena arena = {0};
	struct client *client;

	if (config->endpoint_count > CLIENT_ENDPOINTS_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "%zu endpoints, at most %d",
				 config->endpoint_count, CLIENT_ENDPOINTS_MAX);
	client = arena_alloc(&arena, sizeof(*client));
	client->start = config->start;
	client->netns = config->netns;
	client->slice = config->slice > 0 ? config->slice : NANOS_S;
	client->epoll = client->wake = client->told = -1;
	client->endpoints =
		arena_array(&arena, config->endpoint_count + 1, sizeof(*client->endpoints));
	client->events = arena_array(&arena, CLIENT_EVENTS_MAX, sizeof(*client->events));
	client->slices = arena_array(&arena, CLIENT_SLICES_MAX, sizeof(*client->slices));
	client->arena = arena;
	pthread_mutex_init(&client->lock, NULL);
	pthread_cond_init(&client->ready, NULL);
	for (uint32_t i = 0; i < config->endpoint_count; i++) {
		client->endpoint_count = i + 1;
		if (open_endpoint(client, config, i, e))
			goto fail;
	}
	if (open_files(client, e) || client_http_open(client, e))
		goto fail;
	*ret_client = client;
	return 0;
fail:
	client_free(client);
	return -1;
}

int client_start(struct client *client, struct error *e)
{
	sigset_t all, before;
	int rc;

	assert(!client->started);
	/* The drill's signals are for the main thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&client->thread, NULL, run, client);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc)
		return error_set(e, ERROR_MEMORY, NO_PLACE, "the client's thread: %s",
				 strerror(rc));
	client->started = true;
	client_enter(client);
	while (!client->is_ready)
		pthread_cond_wait(&client->ready, &client->lock);
	pthread_mutex_unlock(&client->lock);
	if (client->start_error.kind == ERROR_NONE)
		return 0;
	client_stop(client);
	return error_set(e, client->start_error.kind, NO_PLACE, "%s", client->start_error.text);
}

void client_stop(struct client *client)
{
	if (!client->started || client->joined)
		return;
	client_enter(client);
	client->stopping = true;
	for (uint32_t i = 0; i < client->endpoint_count; i++)
		client->endpoints[i].next = NANOS_NEVER;
	pthread_mutex_unlock(&client->lock);
	client_signal(client->wake);
	pthread_join(client->thread, NULL);
	client->joined = true;
}

void client_free(struct client *client)
{
	struct arena arena;

	if (!client)
		return;
	client_stop(client);
	atomic_store(&client->stop_checks, true);
	for (uint32_t i = 0; i < client->endpoint_count; i++)
		if (client->endpoints[i].check.started)
			pthread_join(client->endpoints[i].check.thread, NULL);
	client_http_close(client);
	for (uint32_t i = 0; i < client->endpoint_count; i++) {
		ledger_free(client->endpoints[i].ledger);
		judge_free(&client->endpoints[i].judge);
	}
	if (client->epoll >= 0)
		close(client->epoll);
	if (client->wake >= 0)
		close(client->wake);
	if (client->told >= 0)
		close(client->told);
	pthread_cond_destroy(&client->ready);
	pthread_mutex_destroy(&client->lock);
	arena = client->arena; /* the client lies in it */
	arena_free(&arena);
}

/* ---- the driver's side ---- */

int client_eventfd(const struct client *client)
{
	return client->told;
}

size_t client_events(struct client *client, struct client_event *ret, size_t max)
{
	uint64_t count;
	size_t n = 0;

	client_enter(client);
	while (n < max && client->event_head < client->event_tail)
		ret[n++] = client->events[client->event_head++ % CLIENT_EVENTS_MAX];
	if (client->event_head == client->event_tail &&
	    read(client->told, &count, sizeof(count)) < 0)
		assert(errno == EAGAIN);
	pthread_mutex_unlock(&client->lock);
	return n;
}

static struct endpoint *lock_endpoint(struct client *client, uint32_t endpoint)
{
	assert(endpoint < client->endpoint_count);
	client_enter(client);
	return &client->endpoints[endpoint];
}

void client_rate(struct client *client, uint32_t endpoint, double rate)
{
	struct endpoint *ep = lock_endpoint(client, endpoint);
	nanos now = client_now(client);

	assert(rate >= 0);
	if (rate > CLIENT_RATE_MAX)
		rate = CLIENT_RATE_MAX;
	if (client->stopping || !client->started) {
		ep->rate = rate;
	} else if (rate == 0) {
		ep->rate = 0;
		ep->next = NANOS_NEVER;
	} else if (ep->rate == 0) {
		ep->rate = rate;
		ep->next = now + client_gap(ep);
	} else {
		/* What is left of the gap shrinks with it: exact for Poisson arrivals. */
		if (ep->next > now)
			ep->next = now + (nanos)((double)(ep->next - now) * ep->rate / rate);
		ep->rate = rate;
	}
	pthread_mutex_unlock(&client->lock);
	client_signal(client->wake);
}

void client_epoch(struct client *client, uint32_t endpoint, uint32_t epoch)
{
	lock_endpoint(client, endpoint)->epoch = epoch;
	pthread_mutex_unlock(&client->lock);
}

void client_expect(struct client *client, uint32_t endpoint, client_expect_fn expect,
		   const void *self)
{
	struct endpoint *ep = lock_endpoint(client, endpoint);

	ep->config.expect = expect;
	ep->config.expect_self = self;
	pthread_mutex_unlock(&client->lock);
}

void client_adapter(struct client *client, uint32_t endpoint, const struct adapter_config *adapter,
		    uint32_t site)
{
	struct endpoint *ep = lock_endpoint(client, endpoint);

	assert(ep->config.adapter.kind == ADAPTER_EXEC && adapter->kind == ADAPTER_EXEC);
	client_exec_renew(ep, client_now(client));
	ep->config.adapter = *adapter;
	ledger_site(ep->ledger, site);
	pthread_mutex_unlock(&client->lock);
	client_signal(client->wake);
}

void client_window(struct client *client, uint32_t endpoint, nanos span, struct client_window *ret)
{
	struct endpoint *ep = lock_endpoint(client, endpoint);
	nanos now = client_now(client);
	struct arena arena = {0};
	uint64_t from = ep->undecided;
	nanos *samples;
	size_t n = 0;

	*ret = (struct client_window){.success = 1};
	while (from > ep->begin && client_slot(ep, from - 1)->intended >= now - span)
		from--;
	samples = arena_array(&arena, ep->undecided - from + 1, sizeof(*samples));
	for (uint64_t i = from; i < ep->undecided; i++) {
		ret->requests++;
		ret->good += client_slot(ep, i)->good;
		n += client_waited(client_slot(ep, i), now, &samples[n]);
	}
	pthread_mutex_unlock(&client->lock);
	if (ret->requests > 0)
		ret->success = (double)ret->good / (double)ret->requests;
	ret->p50 = client_quantile(samples, n, P50);
	ret->p99 = client_quantile(samples, n, P99);
	arena_free(&arena);
}

bool client_is_bad(struct client *client, uint32_t endpoint)
{
	bool bad = lock_endpoint(client, endpoint)->bad;

	pthread_mutex_unlock(&client->lock);
	return bad;
}

void client_totals(struct client *client, uint32_t endpoint, struct client_totals *ret)
{
	*ret = lock_endpoint(client, endpoint)->totals;
	pthread_mutex_unlock(&client->lock);
}

size_t client_slices(struct client *client, struct client_slice *ret, size_t max)
{
	size_t n = 0;

	client_enter(client);
	while (n < max && client->slice_head < client->slice_tail)
		ret[n++] = client->slices[client->slice_head++ % CLIENT_SLICES_MAX];
	pthread_mutex_unlock(&client->lock);
	return n;
}

bool client_outage(struct client *client, uint32_t endpoint, struct client_outage *ret)
{
	struct endpoint *ep = lock_endpoint(client, endpoint);
	nanos now = client_now(client);
	const struct outage *longest = ep->any_longest ? &ep->longest : NULL;

	if (ep->bad &&
	    (!longest || client_outage_length(&ep->now, now) > client_outage_length(longest, now)))
		longest = &ep->now;
	if (longest)
		*ret = longest->seen;
	pthread_mutex_unlock(&client->lock);
	return longest != NULL;
}

struct ledger *client_ledger(struct client *client, uint32_t endpoint)
{
	assert(endpoint < client->endpoint_count);
	return client->endpoints[endpoint].ledger;
}

/* ---- read-back ---- */

static int check_now(struct check *check, struct error *e)
{
	struct client *client = check->client;
	struct endpoint *endpoint = &client->endpoints[check->endpoint];

	client_enter(client);
	struct adapter_config adapter = endpoint->config.adapter;
	pthread_mutex_unlock(&client->lock);
	if (client->netns >= 0 && setns(client->netns, CLONE_NEWNET))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "the read-back cannot enter the network namespace: %s",
				 strerror(errno));
	return adapter_read_back(&adapter, endpoint->ledger, &client->stop_checks, e);
}

static void *run_check(void *self)
{
	struct check *check = self;
	struct client *client = check->client;
	struct error e = {0};
	struct client_event event = {.kind = CLIENT_CHECKED, .endpoint = check->endpoint};

	event.ok = check_now(check, &e) == 0;
	snprintf(event.reason, sizeof(event.reason), "%s", e.text);
	client_enter(client);
	check->running = false;
	client_tell(client, event);
	pthread_mutex_unlock(&client->lock);
	return NULL;
}

int client_check(struct client *client, uint32_t endpoint, struct error *e)
{
	struct check *check = &lock_endpoint(client, endpoint)->check;
	bool running = check->running;
	sigset_t all, before;
	int rc;

	pthread_mutex_unlock(&client->lock);
	if (running)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "a read-back is under way");
	if (check->started)
		pthread_join(check->thread, NULL);
	check->client = client;
	check->endpoint = endpoint;
	check->running = true;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&check->thread, NULL, run_check, check);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	check->started = rc == 0;
	if (rc == 0)
		return 0;
	check->running = false;
	return error_set(e, ERROR_MEMORY, NO_PLACE, "the read-back's thread: %s", strerror(rc));
}

/* ---- what minilepton answers ---- */

void client_expect_digest(const void *self, const char *key, const char *payload, size_t length,
			  char ret_answer[CLIENT_ANSWER_MAX])
{
	unsigned char text[SHA256_DIGEST_LENGTH + LEDGER_KEY_MAX + LEDGER_PAYLOAD_MAX];
	unsigned char digest[SHA256_DIGEST_LENGTH];
	size_t key_length = strnlen(key, LEDGER_KEY_MAX);

	assert(length <= LEDGER_PAYLOAD_MAX && key_length < LEDGER_KEY_MAX);
	memcpy(text, self, SHA256_DIGEST_LENGTH);
	memcpy(text + SHA256_DIGEST_LENGTH, key, key_length);
	memcpy(text + SHA256_DIGEST_LENGTH + key_length, payload, length);
	SHA256(text, SHA256_DIGEST_LENGTH + key_length + length, digest);
	for (int i = 0; i < 8; i++)
		snprintf(ret_answer + 2 * i, 3, "%02x", digest[i]);
}
