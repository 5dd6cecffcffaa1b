/* SPDX-License-Identifier: Apache-2.0 */
/* The DR controller: one state machine per primary site, fed by the run loop, without I/O and
 * without a clock. */
#include "core/recovery.h"

#include <assert.h>
#include <string.h>

#include "core/calibration.h"
#include "core/prng.h"

#define RETRY_EVERY                                                                                \
	(30 * NANOS_S) /* a move that failed for want of a standby is tried again this often */

const char *const recovery_state_names[] = {
	[RECOVERY_NORMAL] = "normal",     [RECOVERY_DECIDING] = "deciding",
	[RECOVERY_MOVING] = "moving",     [RECOVERY_ON_STANDBY] = "on standby",
	[RECOVERY_IN_PLACE] = "in place", [RECOVERY_RETURNING] = "returning",
};

#define RESTARTS_MAX 20 /* of restores that break off in one move; then the move failed */
#define TAKEOVER_GRACE (10 * NANOS_MINUTE) /* before a standby that never served is given up */

/* What the controller knows of one backup: what its completion said, and what a restore found out.
 */
struct backup_entry {
	uint32_t policy, classes;
	nanos as_of;
	bool restorable, bad, pruned;
};

struct policy_state {
	nanos due;
	action_id running;
};

/* One recovery domain. Ids are of actions under way, 0: none; a completion with another id is of a
 * past attempt. */
struct domain {
	uint32_t index, site, active, to;
	enum recovery_state state;
	nanos decide_at, retry_at;
	nanos return_at;  /* the way back failed: not again before then */
	nanos restore_at; /* the store could not be reached: a class is tried again then */
	nanos grace_ends; /* so long a standby that was switched to may take to come up */
	uint64_t used;    /* standby sites that were started since, one bit each */
	struct prng decide, coverage;
	nanos hesitates; /* of a calibrated trial: deciding takes so much longer; below 0: less */
	bool declared, wrong_answers, calm;
	bool diagnosed, repairing, repaired, verified;
	bool whole;            /* repaired, and the standbys of the incident too */
	bool touched, moved;   /* the old primary was fenced or traffic was taken from it / the
				  standby serves */
	bool fenced, switched; /* of this move */
	bool served;           /* the standby was seen to serve since the switch */
	bool failed_back;      /* traffic is on the primary again, the incident still open */
	bool no_retry; /* a person has to decide: fencing failed, or nothing to restore from */
	action_id fence, activate, switching, diagnose, verify, back, switch_back;
	action_id restore[DATA_CLASSES];
	int32_t candidate[DATA_CLASSES]; /* the point being tried; BACKUP_REPLICA first where the
					    standby holds one */
	uint32_t restored, given_up;     /* DATA_BIT masks */
	bool restoring;
	uint32_t restarts;   /* of restores that broke off, in this move */
	uint32_t next_class; /* sequential: position in order[] */
	enum data_class order[DATA_CLASSES];
	size_t order_count;
};

struct recovery {
	const struct scenario *scenario;
	struct recovery_host host;
	struct arena *arena;
	struct domain *domains;
	size_t domain_count;
	struct policy_state policies[SCENARIO_POLICIES_MAX];
	struct backup_entry *backups;
	size_t backup_count, backup_capacity;
};

static void move(struct recovery *r, struct domain *d, uint32_t to, nanos now);
static void try_return(struct recovery *r, struct domain *d);
static void settle(struct recovery *r, struct domain *d, nanos now);

static void mark(struct recovery *r, const struct domain *d, enum mark which, nanos at)
{
	r->host.mark(r->host.self, d->index, which, at);
}

static action_id start(struct recovery *r, const struct domain *d, struct action action)
{
	action.domain = d->index;
	return r->host.start(r->host.self, action);
}

/* ---- setting up ---- */

/* Needed before serving first, in the order given; then the rest; then what the standby holds
 * anyway. */
static void order_classes(const struct scenario *scenario, struct domain *d, uint32_t holds)
{
	const struct recovery_config *config = &scenario->recovery;
	uint32_t listed = 0;
	d->order_count = 0;
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < config->restore.class_count; i++) {
			enum data_class c = config->restore.classes[i];
			bool first = config->restore.before_serving & DATA_BIT(c);
			listed |= DATA_BIT(c);
			if (first == (pass == 0))
				d->order[d->order_count++] = c;
		}
	}
	for (int c = 0; c < DATA_CLASSES; c++)
		if (scenario->deployment.data[c].declared && (holds & ~listed & DATA_BIT(c)))
			d->order[d->order_count++] = (enum data_class)c;
}

struct recovery *recovery_new(const struct scenario *scenario, const struct recovery_host *host,
			      struct arena *arena)
{
	struct recovery *r = arena_alloc(arena, sizeof(*r));
	r->scenario = scenario;
	r->host = *host;
	r->arena = arena;
	r->domains = arena_array(arena, scenario->deployment.site_count, sizeof(*r->domains));
	for (uint32_t s = 0; s < scenario->deployment.site_count; s++) {
		if (scenario->deployment.sites[s].standby.heat != HEAT_NONE)
			continue;
		struct domain *d = &r->domains[r->domain_count];
		d->index = (uint32_t)r->domain_count++;
		d->site = s;
	}
	return r;
}

void recovery_reset(struct recovery *r, uint64_t seed, uint64_t trial)
{
	r->backup_count = 0;
	memset(r->policies, 0, sizeof(r->policies));
	struct calibration_row row;
	calibration_draw(r->scenario->calibration, seed, trial, &row);
	for (size_t i = 0; i < r->domain_count; i++) {
		struct domain *d = &r->domains[i];
		uint32_t index = d->index, site = d->site;
		memset(d, 0, sizeof(*d));
		d->index = index;
		d->site = d->active = site;
		d->decide_at = d->retry_at = d->return_at = d->restore_at = NANOS_NEVER;
		d->calm = true;
		d->hesitates = row.by[RESIDUAL_DECISION];
		prng_open(&d->decide, seed, trial, index, PRNG_DECIDE);
		prng_open(&d->coverage, seed, trial, index, PRNG_COVERAGE);
	}
}

/* ---- backups: at start, on schedule, with retention ---- */

static void backup_start(struct recovery *r, uint32_t policy)
{
	struct policy_state *state = &r->policies[policy];
	assert(r->backup_count < SCENARIO_BACKUPS_MAX);
	if (state->running) {
		r->host.note(r->host.self, SEVERITY_MEDIUM,
			     "A backup was still running when the next one of its policy was due: "
			     "backups take longer than their interval.",
			     0);
		return;
	}
	r->backups = arena_grow(r->arena, r->backups, r->backup_count, &r->backup_capacity,
				sizeof(*r->backups));
	struct backup_entry *entry = &r->backups[r->backup_count];
	*entry = (struct backup_entry){.policy = policy,
				       .classes = r->scenario->policies[policy].classes};
	int32_t id = (int32_t)r->backup_count++;
	struct domain *d = &r->domains[0];
	state->running = start(
		r, d,
		(struct action){
			.kind = ACTION_BACKUP, .policy = policy, .backup = id, .site = d->active});
}

/* Keep the newest `keep` restorable backups of a policy; the one above that goes. */
static void backup_prune(struct recovery *r, uint32_t policy)
{
	uint32_t kept = 0;
	for (size_t i = r->backup_count; i-- > 0;) {
		struct backup_entry *entry = &r->backups[i];
		if (entry->policy != policy || !entry->restorable)
			continue;
		if (entry->pruned)
			break; /* older ones went before it */
		if (++kept <= r->scenario->policies[policy].keep)
			continue;
		entry->pruned = true;
		start(r, &r->domains[0],
		      (struct action){.kind = ACTION_PRUNE, .backup = (int32_t)i});
	}
}

static void backup_done(struct recovery *r, const struct completion *c)
{
	struct policy_state *state = &r->policies[c->action.policy];
	struct backup_entry *entry = &r->backups[c->action.backup];
	if (state->running == c->action.id)
		state->running = 0;
	if (!c->ok)
		return;
	entry->as_of = c->as_of;
	entry->restorable = true;
	backup_prune(r, c->action.policy);
}

void recovery_begin(struct recovery *r, nanos now)
{
	for (uint32_t p = 0; p < r->scenario->policy_count; p++) {
		const struct backup_policy *policy = &r->scenario->policies[p];
		r->policies[p].due = NANOS_NEVER;
		if (policy->every != NANOS_NEVER)
			r->policies[p].due = now + policy->every;
		if (policy->at_start)
			backup_start(r, p);
	}
}

/* ---- diagnosis and repair, beside everything else ---- */

/* The traffic is on the primary, but only a primary that is whole ends the way back. */
static void take_back_failback(struct recovery *r, struct domain *d)
{
	if (d->failed_back)
		mark(r, d, MARK_FAILBACK, NANOS_NEVER);
}

static void mark_repaired(struct recovery *r, struct domain *d, nanos now)
{
	mark(r, d, MARK_REPAIRED, now);
	if (d->failed_back)
		mark(r, d, MARK_FAILBACK, now);
}

static void begin_diagnosis(struct recovery *r, struct domain *d, uint32_t site)
{
	if (r->scenario->recovery.managed_by == MANAGED_BY_TARGET)
		return;
	if (d->diagnosed)
		mark(r, d, MARK_DIAGNOSED, NANOS_NEVER);
	if (d->repaired)
		mark(r, d, MARK_REPAIRED, NANOS_NEVER);
	take_back_failback(r, d);
	d->diagnosed = d->repaired = d->repairing = false;
	d->diagnose = start(r, d, (struct action){.kind = ACTION_DIAGNOSE, .site = site});
}

static void diagnose_done(struct recovery *r, struct domain *d, const struct completion *c,
			  nanos now)
{
	struct diagnosis diagnosis;
	d->diagnose = 0;
	diagnose(c, d->wrong_answers, &diagnosis);
	d->diagnosed = true;
	mark(r, d, MARK_DIAGNOSED, now);
	r->host.diagnosed(r->host.self, d->index, &diagnosis);
	if (d->repaired) { /* it mended itself while we were looking */
		mark_repaired(r, d, now);
		if (!d->whole)
			r->host.repair(r->host.self, d->index); /* of the standby */
		settle(r, d, now);
		return;
	}
	d->repairing = true;
	r->host.repair(r->host.self, d->index);
}

void recovery_repaired(struct recovery *r, uint32_t domain, nanos now, bool whole)
{
	struct domain *d = &r->domains[domain];
	bool known = d->repaired;
	d->repaired = true;
	d->whole = whole;
	d->repairing = false;
	if (!d->diagnose && !known)
		mark_repaired(r, d, now);
	settle(r, d, now);
}

void recovery_broken(struct recovery *r, uint32_t domain)
{
	struct domain *d = &r->domains[domain];
	if (d->repaired) {
		d->diagnosed = false; /* what was found is mended; this is something else */
		mark(r, d, MARK_REPAIRED, NANOS_NEVER);
	}
	take_back_failback(r, d);
	d->repaired = d->whole = false;
}

void recovery_anew(struct recovery *r, uint32_t domain)
{
	r->domains[domain].diagnosed = false;
}

void recovery_noticed(struct recovery *r, uint32_t domain, uint32_t site)
{
	struct domain *d = &r->domains[domain];
	if (d->diagnose || d->repairing)
		return;
	begin_diagnosis(r, d, site);
}

/* ---- the move to a standby ---- */

/* The next standby after `last`, in order of declaration, that is not the one that serves; -1
 * without one. */
static int standby_for(const struct recovery *r, const struct domain *d, uint32_t last)
{
	const struct deployment *deployment = &r->scenario->deployment;
	size_t n = deployment->site_count;
	for (size_t k = 1; k <= n; k++) {
		uint32_t s = (uint32_t)((last + k) % n);
		if (deployment->sites[s].standby.heat != HEAT_NONE && s != d->active)
			return (int)s;
	}
	return -1;
}

static void enter_in_place(struct recovery *r, struct domain *d, nanos now)
{
	d->state = RECOVERY_IN_PLACE;
	d->retry_at = NANOS_NEVER;
	if (!d->no_retry && r->scenario->recovery.prefer == PREFER_FAILOVER &&
	    standby_for(r, d, d->active) >= 0)
		d->retry_at = now + scenario_time(r->scenario, RETRY_EVERY);
	settle(r, d, now);
}

/* Give the move up: its marks are taken back, what it still runs is forgotten by id. */
static void move_failed(struct recovery *r, struct domain *d, nanos now)
{
	static const enum mark of_move[] = {MARK_SWITCH_BEGIN, MARK_SWITCHED, MARK_DATA_BEGIN,
					    MARK_DATA_RESTORED, MARK_VERIFIED};
	d->fence = d->activate = d->switching = d->verify = 0;
	memset(d->restore, 0, sizeof(d->restore));
	d->restoring = false;
	if (!d->moved)
		for (size_t i = 0; i < sizeof(of_move) / sizeof(of_move[0]); i++)
			mark(r, d, of_move[i], NANOS_NEVER);
	enter_in_place(r, d, now);
}

/* The newest point older than `before` that has the class and is not known to be bad; -2: none. */
static int32_t point_before(const struct recovery *r, enum data_class c, int32_t before)
{
	for (int32_t i = before - 1; i >= 0; i--) {
		const struct backup_entry *entry = &r->backups[i];
		if (entry->restorable && !entry->bad && !entry->pruned &&
		    (entry->classes & DATA_BIT(c)))
			return i;
	}
	return -2;
}

static uint32_t restore_site(const struct recovery *r, const struct domain *d)
{
	return r->scenario->recovery.restore.in_faulty ? d->site : d->to;
}

/* Start restoring a class from d->candidate[c]; false when nothing is left to try. */
static bool restore_start(struct recovery *r, struct domain *d, enum data_class c)
{
	int32_t backup = d->candidate[c];
	if (backup < BACKUP_REPLICA)
		return false;
	d->restore[c] = start(r, d,
			      (struct action){.kind = ACTION_RESTORE,
					      .data_class = c,
					      .backup = backup,
					      .policy = backup < 0 ? 0 : r->backups[backup].policy,
					      .site = d->active,
					      .to = restore_site(r, d)});
	return d->restore[c] != 0;
}

static bool restores_done(const struct domain *d, uint32_t mask)
{
	uint32_t wanted = 0;
	for (size_t i = 0; i < d->order_count; i++)
		wanted |= DATA_BIT(d->order[i]);
	return ((d->restored | d->given_up) & wanted & mask) == (wanted & mask);
}

static void check_moved(struct recovery *r, struct domain *d, nanos now)
{
	uint32_t needed = r->scenario->recovery.restore.before_serving;
	if (d->state == RECOVERY_MOVING && d->switched && d->restoring &&
	    restores_done(d, needed)) {
		d->state = RECOVERY_ON_STANDBY;
		d->active = d->to;
		d->moved = true;
		d->served = d->calm;
		d->grace_ends = now + scenario_time(r->scenario, TAKEOVER_GRACE);
		d->retry_at = d->served ? NANOS_NEVER : d->grace_ends;
	}
	if (d->state == RECOVERY_ON_STANDBY && !d->verify && !d->verified &&
	    restores_done(d, ~0u)) {
		if (r->scenario->recovery.stop_standby_after_restore) {
			start(r, d, (struct action){.kind = ACTION_STOP, .site = d->to});
		}
		d->verify = start(
			r, d, (struct action){.kind = ACTION_VERIFY, .site = d->site, .to = d->to});
	}
	settle(r, d, now);
}

/* A class has no usable point at all: fatal when serving needs it, a loss to report otherwise. */
static void class_lost(struct recovery *r, struct domain *d, enum data_class c, nanos now)
{
	d->given_up |= DATA_BIT(c);
	r->host.note(
		r->host.self, SEVERITY_HIGH,
		"There was no usable recovery point for a data class: nothing could be restored.",
		0);
	if (r->scenario->recovery.restore.before_serving & DATA_BIT(c)) {
		d->no_retry = true;
		move_failed(r, d, now);
	}
}

static void restore_next(struct recovery *r, struct domain *d, nanos now)
{
	while (d->state != RECOVERY_IN_PLACE && d->next_class < d->order_count) {
		enum data_class c = d->order[d->next_class++];
		if (restore_start(r, d, c)) {
			if (r->scenario->recovery.restore.order == RESTORE_SEQUENTIAL)
				return;
		} else {
			class_lost(r, d, c, now);
		}
	}
}

static void restore_begin(struct recovery *r, struct domain *d, nanos now)
{
	uint32_t needed = r->scenario->recovery.restore.before_serving;
	uint32_t holds = r->scenario->deployment.sites[d->to].standby.holds;
	d->restoring = true;
	order_classes(r->scenario, d, d->index == 0 ? holds : 0);
	if (d->index != 0)
		d->order_count = 0; /* the data belong to the first domain */
	mark(r, d, MARK_DATA_BEGIN, now);
	for (size_t i = 0; i < d->order_count; i++) {
		enum data_class c = d->order[i];
		d->candidate[c] = point_before(r, c, (int32_t)r->backup_count);
		if ((holds & DATA_BIT(c)) && !r->scenario->recovery.restore.in_faulty)
			d->candidate[c] = BACKUP_REPLICA;
	}
	if (restores_done(d, needed))
		mark(r, d, MARK_DATA_RESTORED, now);
	restore_next(r, d, now);
	if (d->state == RECOVERY_MOVING)
		check_moved(r, d, now);
}

static void restore_done(struct recovery *r, struct domain *d, const struct completion *c,
			 nanos now)
{
	enum data_class class = c->action.data_class;
	uint32_t needed = r->scenario->recovery.restore.before_serving;
	d->restore[class] = 0;
	if (c->ok && !c->corrupt) {
		d->restored |= DATA_BIT(class);
		r->host.restored(r->host.self, d->index, class, c->as_of);
		if ((needed & DATA_BIT(class)) && restores_done(d, needed))
			mark(r, d, MARK_DATA_RESTORED, now);
	} else if (c->corrupt) {
		/* Its digest does not match: not even its other classes are trusted any more. The
		 * next older one. */
		int32_t older = (int32_t)r->backup_count;
		if (c->action.backup != BACKUP_REPLICA) {
			r->backups[c->action.backup].bad = true;
			older = c->action.backup;
			r->host.note(r->host.self, SEVERITY_HIGH,
				     "A backup that listed as restorable was corrupt, which only "
				     "the restore "
				     "found out: the next older one was taken.",
				     0);
		}
		d->candidate[class] = point_before(r, class, older);
		if (restore_start(r, d, class))
			return;
		class_lost(r, d, class, now);
	} else if (c->broke_off && d->restarts++ < RESTARTS_MAX) {
		r->host.note(r->host.self, SEVERITY_LOW, "A restore broke off and was begun again.",
			     0);
		restore_start(r, d, class);
		return;
	} else {
		/* While the standby serves without this class it is tried again and again. */
		if (d->state == RECOVERY_MOVING)
			move_failed(r, d, now);
		else
			d->restore_at = now + scenario_time(r->scenario, RETRY_EVERY);
		return;
	}
	if (r->scenario->recovery.restore.order == RESTORE_SEQUENTIAL)
		restore_next(r, d, now);
	check_moved(r, d, now);
}

static void switch_begin(struct recovery *r, struct domain *d)
{
	d->switching =
		start(r, d, (struct action){.kind = ACTION_SWITCH, .site = d->active, .to = d->to});
}

static void fence_done(struct recovery *r, struct domain *d, const struct completion *c, nanos now)
{
	d->fence = 0;
	d->fenced = c->ok;
	if (!c->ok && r->scenario->recovery.fence_on_fail == FENCE_STOP) {
		r->host.note(r->host.self, SEVERITY_HIGH,
			     "The old primary could not be fenced and the plan says stop: the "
			     "failover was given "
			     "up, and the service waited for the repair.",
			     0);
		d->no_retry = true;
		move_failed(r, d, now);
		return;
	}
	if (!c->ok)
		r->host.note(r->host.self, SEVERITY_HIGH,
			     "The failover went on although the old primary could not be fenced: "
			     "until it was "
			     "stopped, both sides could accept writes.",
			     0);
	switch_begin(r, d);
}

static void switch_done(struct recovery *r, struct domain *d, const struct completion *c, nanos now)
{
	d->switching = 0;
	if (!c->ok) {
		move_failed(r, d, now);
		return;
	}
	d->switched = true;
	mark(r, d, MARK_SWITCHED, now);
	if (!d->restoring)
		restore_begin(r, d, now);
	else
		check_moved(r, d, now);
}

static void move(struct recovery *r, struct domain *d, uint32_t to, nanos now)
{
	const struct recovery_config *config = &r->scenario->recovery;
	d->state = RECOVERY_MOVING;
	d->to = to;
	d->touched = true;
	d->fenced = d->switched = d->restoring = d->verified = d->served = false;
	d->fence = d->activate = d->switching = d->verify = 0; /* of an earlier move */
	memset(d->restore, 0, sizeof(d->restore));
	d->restarts = 0;
	d->restore_at = NANOS_NEVER;
	d->restored = d->given_up = 0;
	d->next_class = 0;
	d->used |= (uint64_t)1 << to;
	take_back_failback(r, d);
	d->failed_back = false;
	mark(r, d, MARK_SWITCH_BEGIN, now);
	mark(r, d, MARK_SWITCHED, NANOS_NEVER);
	mark(r, d, MARK_DATA_BEGIN, NANOS_NEVER);
	mark(r, d, MARK_DATA_RESTORED, NANOS_NEVER);
	mark(r, d, MARK_VERIFIED, NANOS_NEVER);
	if (config->coverage < 1 && prng_uniform(&d->coverage) >= config->coverage) {
		r->host.note(r->host.self, SEVERITY_HIGH,
			     "The takeover did not work (coverage): the standby did not take the "
			     "traffic.",
			     0);
		d->no_retry = true;
		move_failed(r, d, now);
		return;
	}
	d->activate = start(r, d, (struct action){.kind = ACTION_ACTIVATE, .site = to, .to = to});
	if (config->fence_enabled)
		d->fence = start(r, d,
				 (struct action){.kind = ACTION_FENCE,
						 .site = d->active,
						 .timeout = config->fence_timeout});
	else
		switch_begin(r, d);
	if (config->restore.order == RESTORE_PARALLEL)
		restore_begin(r, d, now);
}

/* ---- deciding ---- */

static void decide(struct recovery *r, struct domain *d, nanos now)
{
	const struct recovery_config *config = &r->scenario->recovery;
	d->decide_at = NANOS_NEVER;
	mark(r, d, MARK_DECIDE, now);
	int to = standby_for(r, d, d->active);
	if (config->prefer == PREFER_IN_PLACE || to < 0)
		enter_in_place(r, d, now);
	else
		move(r, d, (uint32_t)to, now);
}

static void begin_deciding(struct recovery *r, struct domain *d, nanos now)
{
	d->no_retry = false;
	mark(r, d, MARK_DETECT, now);
	take_back_failback(r, d);
	if (r->scenario->recovery.managed_by == MANAGED_BY_TARGET) {
		d->state = RECOVERY_IN_PLACE; /* the target's own DR acts; we watch */
		if (d->repaired)
			mark(r, d, MARK_REPAIRED, now); /* it was over before anybody saw it */
		return;
	}
	d->state = RECOVERY_DECIDING;
	d->retry_at = NANOS_NEVER;
	d->decide_at =
		now + dist_sample_nanos(&r->scenario->recovery.decide, &d->decide) + d->hesitates;
	d->decide_at = d->decide_at > now ? d->decide_at : now;
	if (!d->diagnose && !d->repairing)
		begin_diagnosis(r, d, d->active);
	else if (d->diagnosed)
		mark(r, d, MARK_DIAGNOSED, now); /* the platform had noticed before: it is known */
	if (d->decide_at == now)
		decide(r, d, now);
}

void recovery_declared(struct recovery *r, uint32_t domain, nanos now, bool wrong_answers)
{
	struct domain *d = &r->domains[domain];
	bool coming_up = d->state == RECOVERY_ON_STANDBY && !d->served && now < d->grace_ends;
	bool here = d->state == RECOVERY_NORMAL || (d->state == RECOVERY_ON_STANDBY && !coming_up);
	d->wrong_answers |= wrong_answers;
	d->declared = true;
	if (!d->diagnosed) /* else the platform knew it already, and this finds nothing out */
		mark(r, d, MARK_DETECT, now);
	if (coming_up)
		d->retry_at = d->grace_ends;
	/* Back on the primary, or back before anybody decided, and it breaks again. */
	here |= d->state == RECOVERY_IN_PLACE && d->retry_at == NANOS_NEVER && !d->no_retry &&
		r->scenario->recovery.managed_by != MANAGED_BY_TARGET;
	/* Elsewhere it is being handled; what breaks meanwhile shows as an action that fails. */
	if (here)
		begin_deciding(r, d, now);
	else if (!d->diagnose && !d->repairing && !d->diagnosed)
		begin_diagnosis(r, d, d->active);
}

void recovery_declared_job(struct recovery *r, uint32_t domain, nanos now, bool wrong_answers)
{
	struct domain *d = &r->domains[domain];
	if (standby_for(r, d, d->active) < 0) {
		recovery_declared(r, domain, now, wrong_answers);
		return;
	}
	d->wrong_answers |= wrong_answers;
	if (d->repaired)
		return; /* a crew has been there already; what is missing is calm */
	mark(r, d, MARK_DETECT, now);
	if (d->diagnosed)
		mark(r, d, MARK_DIAGNOSED, now); /* the platform had noticed before: it is known */
	else if (!d->diagnose && !d->repairing)
		begin_diagnosis(r, d, d->site);
}

/* By a standby, from which no further move was begun that came to nothing. */
static bool is_served(const struct domain *d)
{
	return d->moved && (d->verified || (d->switched && d->restoring));
}

/* The standby goes on where it was: with what is still to be restored, and verified. */
static void serve_on(struct recovery *r, struct domain *d, nanos now)
{
	bool running = d->restore_at != NANOS_NEVER;
	d->state = RECOVERY_ON_STANDBY;
	d->retry_at = NANOS_NEVER;
	for (int c = 0; c < DATA_CLASSES; c++)
		running |= d->restore[c] != 0;
	if (d->restoring && !running)
		restore_next(r, d, now);
	check_moved(r, d, now);
}

void recovery_cleared(struct recovery *r, uint32_t domain, nanos now)
{
	struct domain *d = &r->domains[domain];
	d->declared = false;
	d->served |= d->state == RECOVERY_ON_STANDBY;
	if (d->state == RECOVERY_DECIDING) { /* it came back before anybody decided */
		d->decide_at = NANOS_NEVER;
		if (is_served(d))
			serve_on(r, d, now);
		else
			enter_in_place(r, d, now);
		return;
	}
	if (d->state == RECOVERY_IN_PLACE && is_served(d))
		serve_on(r, d, now); /* the standby that had failed serves again */
	else
		settle(r, d, now);
}

/* ---- the way back ---- */

/* Of the standbys that were started only the one that serves, if any, goes on. */
static void stop_standbys(struct recovery *r, struct domain *d)
{
	for (uint32_t s = 0; s < r->scenario->deployment.site_count; s++) {
		if (s == d->active || !(d->used >> s & 1))
			continue;
		d->used &= ~((uint64_t)1 << s);
		start(r, d, (struct action){.kind = ACTION_STOP, .site = s});
	}
}

static void become_normal(struct recovery *r, struct domain *d, nanos now)
{
	mark(r, d, MARK_NORMAL, now);
	d->state = RECOVERY_NORMAL;
	d->wrong_answers = d->diagnosed = d->repaired = d->repairing = false;
	d->whole = false;
	d->touched = d->fenced = d->switched = d->restoring = d->no_retry = false;
	d->failed_back = false;
	d->moved = d->verified = d->active != d->site; /* what a standby serves was verified */
	d->decide_at = d->retry_at = d->return_at = d->restore_at = NANOS_NEVER;
	d->diagnose = d->verify = 0;
	stop_standbys(r, d);
	r->host.normal(r->host.self, d->index);
}

/* Back to the primary: its replicas and data first, then the traffic. */
static void try_return(struct recovery *r, struct domain *d)
{
	d->state = RECOVERY_RETURNING;
	d->retry_at = NANOS_NEVER;
	d->back = start(r, d,
			(struct action){.kind = ACTION_RETURN, .site = d->active, .to = d->site});
}

static void return_done(struct recovery *r, struct domain *d, const struct completion *c, nanos now)
{
	d->back = 0;
	if (c->ok && c->corrupt)
		r->host.note(r->host.self, SEVERITY_HIGH,
			     "The standby was lost before what it had written was back on the "
			     "primary: those writes are lost.",
			     0);
	if (c->ok) {
		d->switch_back = start(r, d,
				       (struct action){.kind = ACTION_SWITCH_BACK,
						       .site = d->active,
						       .to = d->site});
		return;
	}
	/* The primary broke again: look again, and come back when that is mended. */
	d->state = is_served(d) ? RECOVERY_ON_STANDBY : RECOVERY_IN_PLACE;
	d->return_at = now + scenario_time(r->scenario, RETRY_EVERY);
	begin_diagnosis(r, d, d->site);
}

static void switch_back_done(struct recovery *r, struct domain *d, const struct completion *c,
			     nanos now)
{
	d->switch_back = 0;
	if (!c->ok) {
		d->state = is_served(d) ? RECOVERY_ON_STANDBY : RECOVERY_IN_PLACE;
		d->return_at = now + scenario_time(r->scenario, RETRY_EVERY);
		begin_diagnosis(r, d, d->site);
		return;
	}
	if (d->moved) {
		d->failed_back = true;
		if (d->repaired && !d->diagnose) /* else when that is so again */
			mark(r, d, MARK_FAILBACK, now);
	}
	d->active = d->site;
	d->moved = d->touched = d->no_retry = false;
	stop_standbys(r, d);
	d->state = RECOVERY_IN_PLACE; /* on the primary again: calm is all that is missing */
	settle(r, d, now);
}

/* Called whenever something changed that may have been the last thing missing. */
static void settle(struct recovery *r, struct domain *d, nanos now)
{
	bool mended = d->repaired && !d->diagnose;
	bool normal = mended && d->whole && d->calm;
	switch (d->state) {
	case RECOVERY_NORMAL:
		if (normal)
			become_normal(r, d, now);
		break;
	case RECOVERY_IN_PLACE:
		if (r->scenario->recovery.managed_by == MANAGED_BY_TARGET)
			normal = d->calm;
		if (mended && (d->touched || d->moved) && d->return_at == NANOS_NEVER)
			try_return(r, d);
		else if (d->touched || d->moved)
			break;
		else if (normal && !d->declared)
			become_normal(r, d, now);
		break;
	case RECOVERY_ON_STANDBY:
		if (!mended || !d->verified || !restores_done(d, ~0u) ||
		    d->return_at != NANOS_NEVER)
			break;
		if (r->scenario->recovery.failback.after == FAILBACK_REPAIRED)
			try_return(r, d);
		else if (normal)
			become_normal(r, d, now);
		break;
	case RECOVERY_DECIDING:
	case RECOVERY_MOVING:
	case RECOVERY_RETURNING:
		break;
	}
}

void recovery_calm(struct recovery *r, uint32_t domain, nanos now, bool calm)
{
	struct domain *d = &r->domains[domain];
	bool waits = d->state == RECOVERY_IN_PLACE && d->repaired && !d->touched;
	d->calm = calm;
	d->served |= calm && d->state == RECOVERY_ON_STANDBY;
	if (calm)
		settle(r, d, now);
	else if (waits && d->declared) /* a declaration that never cleared, and now it is true */
		begin_deciding(r, d, now);
}

/* ---- inputs ---- */

static void activate_done(struct recovery *r, struct domain *d, const struct completion *c,
			  nanos now)
{
	d->activate = 0;
	if (c->ok || d->state != RECOVERY_MOVING)
		return;
	r->host.note(r->host.self, SEVERITY_HIGH,
		     "The standby could not be started when it was needed.", 0);
	move_failed(r, d, now);
}

void recovery_completed(struct recovery *r, const struct completion *c, nanos now)
{
	struct domain *d = &r->domains[c->action.domain];
	action_id id = c->action.id;
	switch (c->action.kind) {
	case ACTION_BACKUP:
		backup_done(r, c);
		break;
	case ACTION_FENCE:
		if (id == d->fence)
			fence_done(r, d, c, now);
		break;
	case ACTION_ACTIVATE:
		if (id == d->activate)
			activate_done(r, d, c, now);
		break;
	case ACTION_SWITCH:
		if (id == d->switching)
			switch_done(r, d, c, now);
		break;
	case ACTION_RESTORE:
		if (id == d->restore[c->action.data_class])
			restore_done(r, d, c, now);
		break;
	case ACTION_VERIFY:
		if (id == d->verify) {
			d->verify = 0;
			d->verified = true;
			mark(r, d, MARK_VERIFIED, now);
			settle(r, d, now);
		}
		break;
	case ACTION_DIAGNOSE:
		if (id == d->diagnose)
			diagnose_done(r, d, c, now);
		break;
	case ACTION_RETURN:
		if (id == d->back)
			return_done(r, d, c, now);
		break;
	case ACTION_SWITCH_BACK:
		if (id == d->switch_back)
			switch_back_done(r, d, c, now);
		break;
	case ACTION_PROBE:
	case ACTION_PRUNE:
	case ACTION_REPAIR:
	case ACTION_STOP:
	case ACTION_KINDS:
		break;
	}
}

nanos recovery_deadline(const struct recovery *r)
{
	nanos next = NANOS_NEVER;
	for (size_t p = 0; p < r->scenario->policy_count; p++)
		next = r->policies[p].due < next ? r->policies[p].due : next;
	for (size_t i = 0; i < r->domain_count; i++) {
		const struct domain *d = &r->domains[i];
		next = d->decide_at < next ? d->decide_at : next;
		next = d->retry_at < next ? d->retry_at : next;
		next = d->return_at < next ? d->return_at : next;
		next = d->restore_at < next ? d->restore_at : next;
	}
	return next;
}

static void retry(struct recovery *r, struct domain *d, nanos now)
{
	d->retry_at = NANOS_NEVER;
	if (d->state == RECOVERY_IN_PLACE && !d->repaired && !d->calm && d->declared) {
		int to = standby_for(r, d, d->to);
		if (to >= 0) {
			mark(r, d, MARK_DECIDE, now);
			move(r, d, (uint32_t)to, now);
		}
		return;
	}
	if (d->state == RECOVERY_ON_STANDBY && d->declared && !d->served) {
		begin_deciding(r, d, now);
		return;
	}
	settle(r, d, now);
}

/* Those that were begun and not brought to an end. */
static void restore_again(struct recovery *r, struct domain *d, nanos now)
{
	bool later = d->state != RECOVERY_ON_STANDBY && d->moved;
	d->restore_at = later ? now + scenario_time(r->scenario, RETRY_EVERY) : NANOS_NEVER;
	for (size_t i = 0; d->state == RECOVERY_ON_STANDBY && i < d->next_class; i++) {
		enum data_class c = d->order[i];
		if (!d->restore[c] && !((d->restored | d->given_up) & DATA_BIT(c)))
			restore_start(r, d, c);
	}
}

void recovery_tick(struct recovery *r, nanos now)
{
	for (size_t i = 0; i < r->domain_count; i++) {
		struct domain *d = &r->domains[i];
		if (d->decide_at <= now)
			decide(r, d, now);
		if (d->retry_at <= now)
			retry(r, d, now);
		if (d->restore_at <= now)
			restore_again(r, d, now);
		if (d->return_at <= now) {
			d->return_at = NANOS_NEVER;
			settle(r, d, now);
		}
	}
	for (uint32_t p = 0; p < r->scenario->policy_count; p++) {
		if (r->policies[p].due > now)
			continue;
		r->policies[p].due = now + r->scenario->policies[p].every;
		backup_start(r, p);
	}
}

enum recovery_state recovery_state(const struct recovery *r, uint32_t domain)
{
	return r->domains[domain].state;
}

int recovery_next_site(const struct recovery *r, uint32_t domain)
{
	return r->domains[domain].state == RECOVERY_MOVING ? (int)r->domains[domain].to : -1;
}

uint32_t recovery_active_site(const struct recovery *r, uint32_t domain)
{
	return r->domains[domain].active;
}

int recovery_domain_of(const struct recovery *r, uint32_t site)
{
	for (size_t i = 0; i < r->domain_count; i++)
		if (r->domains[i].site == site)
			return (int)i;
	return -1;
}

size_t recovery_domains(const struct recovery *r)
{
	return r->domain_count;
}

uint32_t recovery_site(const struct recovery *r, uint32_t domain)
{
	return r->domains[domain].site;
}
