/* SPDX-License-Identifier: Apache-2.0 */
/* What an incident lost: which writes nobody can read any more, class by class, and which work is
 * done again. */
#include <math.h>

#include "core/run_private.h"

/* Does it make the live content of a data class another one than was written? */
bool losses_damages(const struct effect *effect)
{
	return effect->entity.kind == ENTITY_DATA &&
	       (effect->kind == EFFECT_DATA_FLIP || effect->kind == EFFECT_DATA_CUT ||
		effect->kind == EFFECT_DATA_OLD || effect->kind == EFFECT_DATA_SEALED ||
		effect->kind == EFFECT_DATA_GONE || effect->kind == EFFECT_DATA_ZERO ||
		effect->kind == EFFECT_DATA_MISDIRECT);
}

/* Did a fault of the incident damage this class? Without a restore its cost is unknown. */
bool losses_damaged(const struct run *run, const struct place_state *state, int c)
{
	int index = state->incident;
	for (size_t i = state->first; i < run->injection_count; i++) {
		const struct injection *injection = &run->injections[i];
		for (size_t k = 0; injection->incident == index && k < injection->effect_count;
		     k++) {
			const struct effect *effect = &injection->effects[k];
			if (losses_damages(effect) && effect->entity.index == c)
				return true;
		}
	}
	return false;
}

/* t_loss and t_bp are those of the worse loss: of data, or of work. */
static void mark_loss(struct run *run, uint32_t place)
{
	struct place_state *state = &run->places[place];
	double data = state->loss == NANOS_NEVER ? -1 : (double)(state->loss - state->point) / 1e9;
	bool work = state->restarted && run->incidents[state->incident].lost_work >= data;
	run->incidents[state->incident].of_work = work;
	incident_set_mark(run, state->incident, MARK_LOSS, work ? state->work_loss : state->loss);
	incident_set_mark(run, state->incident, MARK_BP, work ? state->work_point : state->point);
}

void losses_forget(struct run *run, uint32_t place)
{
	run->places[place].loss = run->places[place].point = NANOS_NEVER;
	mark_loss(run, place);
}

/* Of several restarts the one that lost the most counts: what the others lost is part of that, or
 * was done again in between. */
void losses_of_restart(struct run *run, const struct completion *c)
{
	struct place_state *state = &run->places[c->action.domain];
	struct incident *incident = incident_at(run, c->action.domain);
	double lost = (double)c->lost / 1e9;
	if (!incident)
		return;
	if (!state->restarted || lost > incident->lost_work) {
		state->work_loss = c->stopped;
		state->work_point = c->saved;
		incident->lost_work = lost;
	}
	state->restarted = true;
	mark_loss(run, c->action.domain);
}

/* Writes of the class that nobody can read any more: those of the site that the traffic left last,
 * and of all that it left before, unless what is read now is from after them. */
static void count_lost(const struct run *run, const struct place_state *state, enum data_class c,
		       nanos at, nanos loss, uint64_t *ret_bytes, uint64_t *ret_records)
{
	const struct driver_ops *driver = run->options.driver;
	uint64_t bytes, records;
	driver->ledger(run->driver, state->moved_from, c, at, loss, ret_bytes, ret_records);
	for (size_t i = state->past_count; i-- > 0;) {
		const struct past_move *move = &state->past[i];
		at = move->as_of[c] < at ? move->as_of[c] : at;
		driver->ledger(run->driver, move->site, c, at,
			       driver->last_write(run->driver, move->site), &bytes, &records);
		*ret_bytes += bytes;
		*ret_records += records;
	}
}

/* What the move lost, class by class: from the point restored from to the last write that only the
 * old copy had. */
void losses_look(struct run *run, uint32_t place)
{
	struct place_state *state = &run->places[place];
	struct incident *incident = incident_at(run, place);
	if (!incident || place != 0 ||
	    (incident->marks[MARK_SWITCHED] == NANOS_NEVER && !state->return_lost))
		return;
	nanos loss = run->options.driver->last_write(run->driver, state->moved_from),
	      bp = NANOS_NEVER;
	nanos any = NANOS_NEVER;
	if (loss > run->now)
		loss = run->now;
	for (int c = 0; c < DATA_CLASSES; c++) {
		const struct data *data = &run->scenario->deployment.data[c];
		nanos at = state->as_of[c] < loss ? state->as_of[c] : loss;
		if (!data->declared || state->as_of[c] == NANOS_NEVER)
			continue;
		any = at < any ? at : any;
		if (data->change > 0 || data->records > 0)
			bp = at < bp ? at : bp;
	}
	state->loss = loss;
	state->point = bp != NANOS_NEVER ? bp : any;
	mark_loss(run, place);
	for (int c = 0; c < DATA_CLASSES; c++) {
		uint64_t bytes, records;
		if (state->as_of[c] == NANOS_NEVER || state->as_of[c] >= loss)
			continue;
		count_lost(run, state, (enum data_class)c, state->as_of[c], loss, &bytes, &records);
		run->lost_records = records > run->lost_records ? records : run->lost_records;
	}
}

/* What stayed where it was can still be lost: the ledger tells, where one is read back. */
static void lose_in_place(struct run *run, uint32_t place, struct incident *incident, int c)
{
	const struct driver_ops *driver = run->options.driver;
	int index = run->places[place].incident;
	nanos from = 0;
	struct brp *brp = &incident->brp;
	struct ledger_loss lost;
	/* What the one before lost was acknowledged before it was good again. */
	if (index > 0) {
		const struct incident *last = &run->incidents[index - 1];
		nanos good = last->marks[MARK_RESTORED];
		from = good != NANOS_NEVER ? good : last->closed;
	}
	if (!driver->lost || !driver->lost(run->driver, recovery_site(run->recovery, place),
					   (enum data_class)c, from, run->now, &lost))
		return;
	brp->by_class[c].seconds = (double)(lost.last - lost.first) / 1e9;
	brp->by_class[c].bytes = lost.bytes;
	brp->by_class[c].records = lost.records;
	incident_set_mark(run, index, MARK_LOSS, lost.last);
	incident_set_mark(run, index, MARK_BP, lost.first);
}

static void lose_class(struct run *run, uint32_t place, struct incident *incident, int c)
{
	const struct data *data = &run->scenario->deployment.data[c];
	struct place_state *state = &run->places[place];
	nanos loss = state->loss, at = state->as_of[c] < loss ? state->as_of[c] : loss;
	struct brp *brp = &incident->brp;
	bool moved = incident->path == PATH_FAILOVER || incident->path == PATH_FALSE_ALARM ||
		     state->return_lost;
	if (incident->path == PATH_UNRECOVERED || (!moved && losses_damaged(run, state, c)))
		return; /* nothing can be read yet, or what is read is in doubt: not known */
	brp->by_class[c].known = true;
	if (!moved) { /* nothing was restored */
		lose_in_place(run, place, incident, c);
		return;
	}
	if (loss == NANOS_NEVER)
		return;
	uint64_t bytes, records;
	if (state->as_of[c] == NANOS_NEVER) { /* no point at all: everything there was */
		run->options.driver->ledger(run->driver, state->moved_from, (enum data_class)c, 0,
					    loss, &bytes, &records);
		brp->by_class[c].seconds = INFINITY;
		brp->by_class[c].bytes = data->bytes + bytes;
		brp->by_class[c].records = records;
		return;
	}
	count_lost(run, state, (enum data_class)c, at, loss, &brp->by_class[c].bytes,
		   &brp->by_class[c].records);
	brp->by_class[c].seconds = (double)(loss - at) / 1e9;
}

/* The headline is the worst class; a class that never changes loses nothing by being old. */
void losses_sum(struct run *run, uint32_t place, struct incident *incident)
{
	struct brp *brp = &incident->brp;
	bool changing = false;
	brp->known = incident->path != PATH_UNRECOVERED;
	for (int c = 0; c < DATA_CLASSES; c++) {
		const struct data *data = &run->scenario->deployment.data[c];
		if (data->declared && place == 0)
			lose_class(run, place, incident, c);
		if (data->declared && place == 0 && !brp->by_class[c].known)
			brp->known = false;
		changing |= data->declared && (data->change > 0 || data->records > 0);
	}
	brp->seconds = incident->lost_work;
	for (int c = 0; c < DATA_CLASSES; c++) {
		const struct data *data = &run->scenario->deployment.data[c];
		if (!brp->by_class[c].known)
			continue;
		bool counts = !changing || data->change > 0 || data->records > 0 ||
			      isinf(brp->by_class[c].seconds);
		if (counts && brp->by_class[c].seconds > brp->seconds)
			brp->seconds = brp->by_class[c].seconds;
		if (brp->by_class[c].bytes > brp->bytes)
			brp->bytes = brp->by_class[c].bytes;
		if (brp->by_class[c].records > brp->records)
			brp->records = brp->by_class[c].records;
	}
}

/*
 * The standby died before what it had written was back: the own copy of the primary, as of its
 * last write, is what remains, and what only the standby had is the loss.
 */
void losses_of_return(struct run *run, uint32_t domain, uint32_t site)
{
	struct place_state *state = &run->places[domain];
	nanos kept =
		run->options.driver->last_write(run->driver, recovery_site(run->recovery, domain));
	for (int c = 0; c < DATA_CLASSES; c++)
		state->as_of[c] = kept;
	state->moved_from = site;
	state->past_count = 0; /* on the primary they are */
	state->return_lost = true;
	losses_look(run, domain);
}

uint64_t losses_so_far(struct run *run)
{
	uint64_t most = run->lost_records;
	for (size_t i = 0; i < run->active_count; i++) {
		const struct injection *injection = &run->injections[run->active[i]];
		const struct effect *effect = &injection->effects[0];
		for (int c = 0; c < DATA_CLASSES && effect->kind == EFFECT_SPLIT_BRAIN; c++) {
			uint64_t bytes, records;
			run->options.driver->ledger(run->driver, effect->entity.site,
						    (enum data_class)c, injection->began, run->now,
						    &bytes, &records);
			most = records > most ? records : most;
		}
	}
	return most;
}

/*
 * A split brain ends: the primary's history goes on, and what clients wrote to the standby since
 * it began is lost. Once the standby serves, it is the primary's copy that was left behind, which
 * the move counts.
 */
void losses_of_split(struct run *run, const struct injection *injection)
{
	const struct effect *effect = &injection->effects[0];
	struct place_state *state = &run->places[0];
	if (injection->effect_count == 0 || effect->kind != EFFECT_SPLIT_BRAIN ||
	    injection->incident < 0 || injection->incident != state->incident ||
	    recovery_active_site(run->recovery, 0) != recovery_site(run->recovery, 0))
		return;
	for (int c = 0; c < DATA_CLASSES; c++)
		state->as_of[c] = injection->began;
	state->moved_from = effect->entity.site;
	state->past_count = 0;
	state->return_lost = true;
	losses_look(run, 0);
}
