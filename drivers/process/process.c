/* SPDX-License-Identifier: Apache-2.0 */
/* The driver process: the run loop's door to a real deployment. Time, completions and accounts are
 * here; what it consists of is in the files beside. */
#include "drivers/process/process.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "drivers/drivers.h"
#include "drivers/host/undo.h"
#include "drivers/linux/doctor.h"
#include "drivers/process/services.h"
#include "drivers/process/training.h"

#define VERIFY_AGAIN (100 * NANOS_MS) /* until a read-back that failed is tried again */

/* ---- time ---- */

static int64_t monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now); /* style: allow */
	return (int64_t)now.tv_sec * NANOS_S + now.tv_nsec;
}

nanos real_now(void *self)
{
	const struct real *real = self;

	return monotonic() - real->start;
}

/* What the run loop was told: nothing that ends later is handed over before it asks again. */
static nanos clock_now(void *self)
{
	struct real *real = self;

	real->shown = real_now(real);
	return real->shown;
}

static bool something_to_fetch(struct real *real)
{
	pthread_mutex_lock(&real->lock);
	bool any = real->queue_count > 0;
	pthread_mutex_unlock(&real->lock);
	return any;
}

static int clock_wait_until(void *self, nanos when, struct error *e)
{
	struct real *real = self;

	(void)e;
	while (!something_to_fetch(real)) {
		nanos now = real_now(real), due = effects_deadline(real);
		nanos end = due < when ? due : when;
		struct pollfd ready[2] = {
			{.fd = real->wake, .events = POLLIN},
			{.fd = real->client ? client_eventfd(real->client) : -1, .events = POLLIN}};
		if (now >= when)
			return 0;
		struct timespec left = {.tv_sec = 0};
		if (end > now) {
			left.tv_sec = (time_t)((end - now) / NANOS_S);
			left.tv_nsec = (long)((end - now) % NANOS_S);
		}
		int count = ppoll(ready, 2, &left, NULL);
		if (count < 0 && errno == EINTR)
			return 0; /* a signal: the run loop looks at it */
		uint64_t number;
		if (ready[0].revents && read(real->wake, &number, sizeof(number)) < 0)
			continue;
		bool round = ready[0].revents && real->seen_round != observe_round(real);
		if (round || ready[1].revents || due <= real_now(real))
			return 0;
	}
	return 0;
}

static const struct clock_ops real_clock = {
	.name = "monotonic", .now = clock_now, .wait_until = clock_wait_until};

static struct clock clock_of(void *self)
{
	return (struct clock){.ops = &real_clock, .self = self};
}

bool real_sleep(struct real *real, nanos when, const atomic_bool *cancel)
{
	bool whole;

	pthread_mutex_lock(&real->lock);
	for (;;) {
		int64_t end = when == NANOS_NEVER ? INT64_MAX : when + real->start;
		struct timespec until = {.tv_sec = (time_t)(end / NANOS_S),
					 .tv_nsec = (long)(end % NANOS_S)};
		whole = real_now(real) >= when;
		if (whole || real->closing || (cancel && atomic_load(cancel)))
			break;
		pthread_cond_clockwait(&real->changed, &real->lock, CLOCK_MONOTONIC, &until);
	}
	pthread_mutex_unlock(&real->lock);
	return whole;
}

/* ---- the queue ---- */

void real_complete(struct real *real, const struct completion *completion)
{
	uint64_t one = 1;

	pthread_mutex_lock(&real->lock);
	assert(real->queue_count < PROCESS_QUEUE_MAX);
	size_t last = (real->queue_first + real->queue_count++) % PROCESS_QUEUE_MAX;
	real->queue[last] = *completion;
	real->queue[last].at = real_now(real);
	pthread_cond_broadcast(&real->changed);
	pthread_mutex_unlock(&real->lock);
	if (write(real->wake, &one, sizeof(one)) < 0)
		assert(errno == EAGAIN);
}

void real_end(struct real *real, const struct action *action, bool ok, const char *reason)
{
	const struct completion done = {.kind = COMPLETION_ACTION,
					.action = *action,
					.ok = ok,
					.reason = reason,
					.success = 1,
					.as_of = real_now(real)};

	real_complete(real, &done);
}

/* ---- sites ---- */

struct node *real_node(struct real *real, uint32_t site, uint32_t index)
{
	return &real->nodes[real->first_node[site] + index];
}

bool real_site_alive(struct real *real, uint32_t site)
{
	for (uint32_t n = 0; n < real->scenario->deployment.sites[site].nodes; n++) {
		const struct node *node = real_node(real, site, n);
		if (!node->down && node->power)
			return true;
	}
	return false;
}

bool real_site_usable(struct real *real, uint32_t site)
{
	return !real->standby_out[site] && real_site_alive(real, site);
}

uint32_t real_domain_of(const struct real *real, uint32_t site)
{
	uint32_t domain = 0;

	for (uint32_t s = 0; s < site; s++)
		domain += real->scenario->deployment.sites[s].standby.heat == HEAT_NONE;
	return domain;
}

const char *real_keep_text(struct real *real, const char *text)
{
	pthread_mutex_lock(&real->text_lock);
	const char *copy = arena_strdup(&real->texts, text);
	pthread_mutex_unlock(&real->text_lock);
	return copy;
}

/* ---- what the client saw ---- */

static void tell_calm(struct real *real, uint32_t site, bool calm)
{
	struct completion told = {.kind = COMPLETION_CALM, .ok = calm};

	if (calm == real->calm[site])
		return;
	real->calm[site] = calm;
	told.action.domain = real_domain_of(real, site);
	real_complete(real, &told);
}

static void tell_client(struct real *real, const struct client_event *event)
{
	const struct deployment *d = &real->scenario->deployment;
	bool bad = event->kind == CLIENT_BAD;
	struct completion seen = {
		.kind = bad ? COMPLETION_BAD : COMPLETION_GOOD,
		.endpoint = event->endpoint,
		.since = event->since > 0 ? event->since : 0,
	};

	seen.action.domain = real_domain_of(real, d->endpoints[event->endpoint].site);
	real->bad[event->endpoint] = bad;
	/* At once: what breaks may be repaired before the next round of the observer. */
	if (bad)
		tell_calm(real, d->endpoints[event->endpoint].site, false);
	if (seen.action.domain == 0) /* which the data belong to */
		copies_feed(real->copies, !bad);
	real_complete(real, &seen);
}

/* After each recovery the ledger is read back, and before anything is called calm. A verification
 * begins in a thread of its own: who is being read back is behind the lock. */
static void check_ledger(struct real *real, uint32_t endpoint)
{
	struct error error = {.kind = ERROR_NONE};

	pthread_mutex_lock(&real->lock);
	if (!real->checking[endpoint])
		real->checking[endpoint] = client_check(real->client, endpoint, &error) == 0;
	pthread_mutex_unlock(&real->lock);
}

/* Is the verification over with this one? Good is one in which every ledger could be read. */
static bool note_checked(struct real *real, const struct client_event *event)
{
	bool any = false;

	real->checking[event->endpoint] = false;
	real->check_failed |= !event->ok;
	if (event->ok) {
		real->checked[event->endpoint] = true;
		real->unread[event->endpoint] = false;
	}
	for (size_t e = 0; e < real->scenario->deployment.endpoint_count; e++)
		any |= real->checking[e];
	if (any || !real->verifying)
		return false;
	/* What was restored is read through the service, which may only be coming up. */
	if (real->check_failed && real_now(real) < real->verify_until) {
		real->verify_again = real_now(real) + VERIFY_AGAIN;
		return false;
	}
	real->verifying = false;
	return true;
}

static void checked(struct real *real, const struct client_event *event)
{
	if (!event->ok)
		real->check_reason = arena_strdup(&real->arena, event->reason);
	pthread_mutex_lock(&real->lock);
	bool over = note_checked(real, event), ok = !real->check_failed;
	const struct action action = real->verify;
	pthread_mutex_unlock(&real->lock);
	if (over)
		real_end(real, &action, ok, ok ? NULL : real->check_reason);
}

static void verify_again(struct real *real)
{
	if (!real->verifying || real_now(real) < real->verify_again)
		return;
	real->verify_again = NANOS_NEVER;
	real->check_failed = false;
	for (uint32_t e = 0; e < real->scenario->deployment.endpoint_count; e++)
		if (real->scenario->deployment.endpoints[e].load.rate > 0)
			check_ledger(real, e);
}

static void drain_client(struct real *real)
{
	struct client_event events[16];
	size_t count;

	while (real->client && (count = client_events(real->client, events, 16)) > 0)
		for (size_t i = 0; i < count; i++)
			switch (events[i].kind) {
			case CLIENT_BAD:
				tell_client(real, &events[i]);
				break;
			case CLIENT_GOOD:
				tell_client(real, &events[i]);
				check_ledger(real, events[i].endpoint);
				break;
			case CLIENT_CHECKED:
				checked(real, &events[i]);
				break;
			case CLIENT_BROKEN:
				real->broken = arena_strdup(&real->arena, events[i].reason);
				break;
			}
}

/* The level as last measured: known when all requests of the slice are decided. */
static void tell_level(struct real *real, const char *endpoint, const struct client_slice *slice)
{
	struct timeline *timeline = real->timeline;
	double seconds = (double)(slice->to - slice->from) / 1e9;
	double requests = (double)slice->requests;

	if (slice->requests == 0)
		return;
	timeline_begin(timeline, real->shown, "service.level");
	timeline_text(timeline, "endpoint", endpoint);
	timeline_real(timeline, "success", (double)slice->good / requests);
	timeline_real(timeline, "latency_s",
		      slice->p50 == NANOS_NEVER ? NAN : (double)slice->p50 / 1e9);
	timeline_real(timeline, "rate", requests / seconds);
	timeline_null(timeline, "capacity");
	timeline_null(timeline, "backlog");
	timeline_end(timeline);
}

static void tell_slices(struct real *real)
{
	struct client_slice slices[32];
	struct timeline *timeline = real->timeline;
	size_t count;

	while (real->client && (count = client_slices(real->client, slices, 32)) > 0)
		for (size_t i = 0; i < count; i++) {
			const struct client_slice *s = &slices[i];
			const struct endpoint *endpoint =
				&real->scenario->deployment.endpoints[s->endpoint];
			double p50 = s->p50 == NANOS_NEVER ? NAN : (double)s->p50 / 1e9;
			double p99 = s->p99 == NANOS_NEVER ? NAN : (double)s->p99 / 1e9;
			timeline_begin(timeline, real->shown, "service.requests");
			timeline_text(timeline, "endpoint", endpoint->name);
			timeline_nanos(timeline, "from_ns", s->from);
			timeline_nanos(timeline, "to_ns", s->to);
			timeline_int(timeline, "sent", (int64_t)s->requests);
			timeline_int(timeline, "good", (int64_t)s->good);
			timeline_int(timeline, "wrong", (int64_t)s->wrong);
			timeline_int(timeline, "late", (int64_t)s->late);
			timeline_int(timeline, "failed", (int64_t)(s->failed + s->unknown));
			timeline_real(timeline, "p50_s", p50);
			timeline_real(timeline, "p99_s", p99);
			timeline_int(timeline, "waited", 0);
			timeline_end(timeline);
			tell_level(real, endpoint->name, s);
		}
}

/* ---- calm: all replicas up, latency as before, the ledger read back ---- */

#define JUDGED_REQUESTS 10.0 /* the client's verdict is about so many at least */
#define CALM_FACTOR 3        /* times the latency of the steady state */

static bool endpoint_calm(struct real *real, uint32_t e, const struct view *view)
{
	struct client_window window;
	uint32_t site = real->route[e], ready = 0;

	for (size_t r = 0; r < view->replica_count; r++)
		ready += view->replicas[r].endpoint == e && view->replicas[r].site == site &&
			 view->replicas[r].ready;
	if (real->bad[e] || real->checking[e] || ready < deploy_replicas(real, e, site))
		return false;
	if (real->unread[e]) {
		check_ledger(real, e);
		return false;
	}
	if (real->scenario->deployment.endpoints[e].load.rate <= 0)
		return true;
	client_window(real->client, e, real->scenario->steady_state.window, &window);
	if (window.p99 == NANOS_NEVER)
		return false;
	if (real->calm_level[e] == 0 && window.requests > 0)
		real->calm_level[e] = window.p99;
	return window.success >= real->scenario->steady_state.success &&
	       window.p99 <= CALM_FACTOR * real->calm_level[e] + NANOS_MS;
}

void real_disturbed(struct real *real)
{
	real->disturbed = real_now(real);
	/* A server of the user's may have lost what it acknowledged, however soon it is back. */
	for (uint32_t e = 0; e < real->scenario->deployment.endpoint_count; e++)
		real->unread[e] = services_config(real, e) != NULL;
	for (uint32_t s = 0; s < real->scenario->deployment.site_count; s++)
		if (real->scenario->deployment.sites[s].standby.heat == HEAT_NONE)
			tell_calm(real, s, false);
}

/* How long the client takes at most until it calls the service bad: what is mended faster than that
 * must not look as if it had never been bad. */
static nanos judged_within(const struct real *real)
{
	const struct scenario *scenario = real->scenario;
	nanos window = scenario->steady_state.window, most;

	most = window < NANOS_S ? window : NANOS_S;
	for (uint32_t e = 0; e < scenario->deployment.endpoint_count; e++) {
		double rate = scenario->deployment.endpoints[e].load.rate;
		if (rate > 0 && JUDGED_REQUESTS / rate * 1e9 > (double)most)
			most = (nanos)(JUDGED_REQUESTS / rate * 1e9);
	}
	return most + scenario->steady_state.latency;
}

static void look_calm(struct real *real, const struct view *view)
{
	const struct deployment *d = &real->scenario->deployment;

	if (real->disturbed != 0 && real_now(real) - real->disturbed < judged_within(real))
		return;
	for (uint32_t s = 0; s < d->site_count; s++) {
		bool calm = true;
		if (d->sites[s].standby.heat != HEAT_NONE)
			continue;
		for (uint32_t e = 0; e < d->endpoint_count && calm; e++)
			if (d->endpoints[e].site == s)
				calm = endpoint_calm(real, e, view);
		tell_calm(real, s, calm && training_calm(real, s));
	}
}

/* ---- what the run loop asks for ---- */

static size_t real_poll(void *self, struct completion *ret, size_t max)
{
	struct real *real = self;
	size_t count = 0;

	drain_client(real);
	verify_again(real);
	tell_slices(real);
	actions_reap(real);
	effects_look(real);
	if (real->seen_round != observe_round(real)) {
		struct view *view = real->scratch;
		observe_last(real, view);
		real->seen_round = view->round;
		observe_tell(real, view);
		training_look(real, view);
		look_calm(real, view);
	}
	pthread_mutex_lock(&real->lock);
	while (count < max && real->queue_count > 0 &&
	       real->queue[real->queue_first].at <= real->shown) {
		ret[count++] = real->queue[real->queue_first];
		real->queue_first = (real->queue_first + 1) % PROCESS_QUEUE_MAX;
		real->queue_count--;
	}
	pthread_mutex_unlock(&real->lock);
	return count;
}

static int real_start(void *self, const struct action *action, struct error *e)
{
	return actions_start(self, action, e);
}

static nanos real_expected_end(void *self, action_id id)
{
	return actions_expected_end(self, id);
}

static int real_apply(void *self, const struct effect *effect, struct undo_record *undo,
		      struct error *e)
{
	return effects_apply(self, effect, undo, e);
}

/* None of the effects here has a strength that a ramp could change while it stands, but for those
 * that can be put anew in one step. */
static int real_adjust(void *self, const struct effect *effect, struct undo_record *undo,
		       struct error *e)
{
	return effects_adjust(self, effect, undo, e);
}

static int real_revert(void *self, struct undo_record *undo, struct error *e)
{
	return effects_revert(self, undo, e);
}

static bool real_present(void *self, const struct undo_record *undo)
{
	return effects_present(self, undo);
}

static void real_read(void *self, struct entity entity, effect_mask about, struct reading *ret)
{
	struct real *real = self;

	real->about = about;
	readings_take(real, entity, ret);
	real->about = 0;
}

/* ---- accounts ---- */

void real_ledger(void *self, uint32_t site, enum data_class data_class, nanos from, nanos to,
		 uint64_t *ret_bytes, uint64_t *ret_records)
{
	struct real *real = self;
	const struct deployment *d = &real->scenario->deployment;

	*ret_bytes = *ret_records = 0;
	if (data_class == DATA_TRAINING)
		*ret_bytes = copies_fed(real->copies, site, from, to);
	for (uint32_t e = 0; data_class == DATA_IO && e < d->endpoint_count; e++) {
		uint64_t records, bytes;
		if (d->endpoints[e].load.rate <= 0)
			continue;
		/* Of one that nobody could read back, all that may be lost counts. */
		ledger_count(client_ledger(real->client, e), site, from, to, real->checked[e],
			     &records, &bytes);
		*ret_records += records;
		*ret_bytes += bytes;
	}
}

/* The earliest instant up to which so many of the losses were acknowledged. */
static nanos when_lost(struct ledger *ledger, uint32_t site, nanos from, nanos to, uint64_t wanted)
{
	nanos low = from, high = to;

	while (low + 1 < high) {
		nanos middle = low + (high - low) / 2;
		uint64_t records, bytes;
		ledger_count(ledger, site, from, middle, true, &records, &bytes);
		if (records >= wanted)
			high = middle;
		else
			low = middle;
	}
	return high;
}

static bool real_lost(void *self, uint32_t site, enum data_class data_class, nanos from, nanos to,
		      struct ledger_loss *ret)
{
	struct real *real = self;
	const struct deployment *d = &real->scenario->deployment;

	*ret = (struct ledger_loss){.first = NANOS_NEVER};
	for (uint32_t e = 0; data_class == DATA_IO && e < d->endpoint_count; e++) {
		struct ledger *ledger = client_ledger(real->client, e);
		uint64_t records, bytes;
		if (d->endpoints[e].load.rate <= 0 || !real->checked[e])
			continue;
		ledger_count(ledger, site, from, to, true, &records, &bytes);
		if (records == 0)
			continue;
		nanos first = when_lost(ledger, site, from, to, 1);
		nanos last = when_lost(ledger, site, from, to, records);
		ret->records += records;
		ret->bytes += bytes;
		ret->first = first < ret->first ? first : ret->first;
		ret->last = last > ret->last ? last : ret->last;
	}
	return ret->records > 0;
}

static nanos real_last_write(void *self, uint32_t site)
{
	struct real *real = self;
	const struct deployment *d = &real->scenario->deployment;
	nanos last = 0, at;

	for (uint32_t e = 0; e < d->endpoint_count; e++)
		if (d->endpoints[e].load.rate > 0 &&
		    ledger_last(client_ledger(real->client, e), site, &at) && at > last)
			last = at;
	if (d->data[DATA_TRAINING].change > 0) {
		at = copies_last_fed(real->copies, site);
		last = at > last ? at : last;
	}
	return last;
}

static void real_level(void *self, double *ret_success, nanos *ret_latency)
{
	struct real *real = self;
	const struct deployment *d = &real->scenario->deployment;

	*ret_success = 1;
	*ret_latency = 0;
	for (uint32_t e = 0; e < d->endpoint_count; e++) {
		struct client_window window;
		if (d->endpoints[e].load.rate <= 0)
			continue;
		client_window(real->client, e, real->scenario->steady_state.window, &window);
		*ret_success = fmin(*ret_success, window.success);
		if (window.p99 != NANOS_NEVER && window.p99 > *ret_latency)
			*ret_latency = window.p99;
	}
	if (!training_all_good(real))
		*ret_success = 0;
}

static void real_account(void *self, struct account *ret)
{
	struct real *real = self;
	const struct deployment *d = &real->scenario->deployment;

	*ret = (struct account){0};
	for (uint32_t e = 0; e < d->endpoint_count; e++) {
		struct client_totals totals;
		if (d->endpoints[e].load.rate <= 0)
			continue;
		client_totals(real->client, e, &totals);
		ret->sent += (double)(totals.intended - totals.open);
		ret->good += (double)totals.good;
		ret->wrong += (double)totals.wrong;
		ret->late += (double)totals.late;
		ret->failed += (double)(totals.failed + totals.unknown);
	}
}

static double real_wrong(void *self, uint32_t site)
{
	struct real *real = self;
	const struct deployment *d = &real->scenario->deployment;
	double wrong = 0;

	for (uint32_t e = 0; e < d->endpoint_count; e++) {
		struct client_totals totals;
		if (d->endpoints[e].site != site || d->endpoints[e].load.rate <= 0)
			continue;
		client_totals(real->client, e, &totals);
		wrong += (double)totals.wrong;
	}
	return wrong;
}

static void real_job(void *self, uint32_t job, struct job_record *ret)
{
	training_account(self, job, ret);
}

/* ---- begin and end ---- */

static bool is_set(void *e, const char *name, struct place place)
{
	if (getenv(name))
		return true;
	error_set(e, ERROR_UNAVAILABLE, place,
		  "the environment has no variable '%s', which the scenario names", name);
	return false;
}

static int real_open(void **ret_self, const struct scenario *scenario, uint64_t seed,
		     uint64_t trial, struct timeline *timeline, struct error *e)
{
	struct real *real = calloc(1, sizeof(*real));

	(void)trial;
	assert(real);
	real->scenario = scenario;
	real->seed = seed;
	real->timeline = timeline;
	real->home = real->wake = -1;
	pthread_mutex_init(&real->lock, NULL);
	pthread_mutex_init(&real->store_lock, NULL);
	pthread_mutex_init(&real->text_lock, NULL);
	pthread_cond_init(&real->changed, NULL);
	for (uint32_t s = 0; s < SCENARIO_SITES_MAX; s++)
		real->calm[s] = true;
	prng_open(&real->switching, seed, trial, 0, PRNG_SWITCH);
	real->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	*ret_self = real;
	if (real->wake < 0)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "eventfd: %s", strerror(errno));
	scenario_variables(scenario, is_set, e);
	return e->kind != ERROR_NONE ? -1 : deploy_open(real, e);
}

static void real_finish(void *self, const char *folder, struct arena *arena, struct measured *ret)
{
	deploy_end(self, folder, arena, ret);
}

static void real_close(void *self)
{
	struct real *real = self;
	struct measured measured = {0};

	deploy_end(real, NULL, &real->arena, &measured);
	if (real->wake >= 0)
		close(real->wake);
	pthread_cond_destroy(&real->changed);
	pthread_mutex_destroy(&real->text_lock);
	pthread_mutex_destroy(&real->store_lock);
	pthread_mutex_destroy(&real->lock);
	training_free(real);
	free(real->backups);
	free(real->scratch);
	arena_free(&real->texts);
	arena_free(&real->arena);
	free(real);
}

static void real_doctor(struct arena *arena,
			void (*say)(const char *what, bool yes, const char *detail))
{
	host_doctor(arena, say);
	linux_doctor(arena, say);
}

static int real_require_clean(struct arena *arena, struct error *e)
{
	return undo_require_clean(arena, e);
}

const struct driver_ops driver_process = {
	.name = "process",
	.help = "real processes on this host: a small Lepton deployment, or services of your own",
	.kind = "injected",
	.detectors = 1u << DETECTOR_PROBE | 1u << DETECTOR_PHI | 1u << DETECTOR_POLL |
		     1u << DETECTOR_FIXED | 1u << DETECTOR_CANARY | 1u << DETECTOR_SLO |
		     1u << DETECTOR_WATCHDOG,
	.effects = EFFECTS_OF_PROCESS,
	.mechanism = effects_mechanism,
	.open = real_open,
	.clock = clock_of,
	.apply = real_apply,
	.adjust = real_adjust,
	.revert = real_revert,
	.present = real_present,
	.read = real_read,
	.start = real_start,
	.poll = real_poll,
	.expected_end = real_expected_end,
	.ledger = real_ledger,
	.last_write = real_last_write,
	.level = real_level,
	.account = real_account,
	.job = real_job,
	.close = real_close,
	.wrong = real_wrong,
	.scaled = true,
	.lost = real_lost,
	.finish = real_finish,
	.require_clean = real_require_clean,
	.doctor = real_doctor,
};
