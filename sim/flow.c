/* SPDX-License-Identifier: Apache-2.0 */
/* Max-min fair sharing by progressive filling over classes of equal flows; flow.h has the model and
 * its sources. */
#include "sim/flow.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Service in units of 2^-16 nanobytes: bytes per second times nanoseconds are nanobytes, without a
 * division. */
__extension__ typedef unsigned __int128 service;

#define NONE UINT32_MAX
#define ENDED (UINT32_MAX - 1) /* flow->class of a flow that waits in net->ended */
#define SERVICE_BITS 16
#define SERVICE_BYTE ((service)1000000000 << SERVICE_BITS)
#define CLASS_BIT 0x80000000u /* marks a class, not a resource, in the heap of the filling */
#define BUCKETS_MIN 64

/* 2^64 bytes take less than half a nanosecond at this rate: whatever is faster ends at once. */
#define RATE_ENDLESS 0x1p95

struct flow {
	uint64_t bytes, argument;
	uint64_t sequence; /* order of start */
	uint32_t class;	   /* its class, ENDED, or NONE when the slot is free */
	uint32_t place;	   /* in the class's members; the next free slot when free */
	double cap;	   /* its own */
	uint32_t path[FLOW_PATH_MAX], path_count; /* ascending */
};

/* Entry of a class's heap, ordered by (finish, sequence). */
struct member {
	service finish; /* service of the class at which the flow ends */
	uint64_t sequence;
	uint32_t slot;
};

/*
 * Flows with equal rates, because the resources they share with others and their caps are equal. A
 * resource that only one flow uses is no more than a cap of this flow: it is left out of the
 * class's path and lowers the class's cap, so that restores over a NIC each still form one class.
 */
struct flow_class {
	service served; /* to each member, until `anchor` */
	nanos anchor;	/* when the rate last changed */
	nanos due;	/* when the first member ends at this rate */
	double rate, cap;
	double filled;	   /* rate found by the filling under way */
	uint64_t mantissa; /* rate in service units per ns is mantissa * 2^shift; 0 when stalled or
			      endless */
	int shift;
	uint32_t count;			   /* of resources */
	uint32_t resources[FLOW_PATH_MAX]; /* ascending */
	uint32_t places[FLOW_PATH_MAX];	   /* where those resources list this class */
	struct member *members;		   /* binary heap */
	size_t member_count, member_limit;
	uint32_t chain;		/* next in the hash bucket or in the list of free classes */
	uint32_t heap;		/* place in net->heap, or NONE */
	uint64_t found, frozen; /* net->epoch when reached, when frozen by the filling */
	bool dirty;
};

/* One class in a resource's list; `index` is the resource's position in the class's path. */
struct use {
	uint32_t class, index;
};

struct resource {
	double capacity;
	uint64_t flows;	 /* through it, all classes together */
	uint32_t sole;	 /* their slots, exclusive-or: the slot itself while there is one flow */
	double left;	 /* filling: capacity not yet given away */
	uint64_t weight; /* filling: flows not yet frozen */
	struct use *uses;
	size_t use_count, use_limit;
	uint64_t found;
	bool dirty;
};

struct due {
	nanos at;
	uint32_t class;
};

/* A bound on the common level of the filling: a resource's fair share or, with CLASS_BIT, a class's
 * cap. */
struct bound {
	double level;
	uint32_t index;
};

struct ended {
	nanos at;
	uint64_t sequence;
	uint32_t slot;
};

struct list {
	uint32_t *items;
	size_t count, limit;
};

struct flow_net {
	nanos now;	   /* instant of the last change */
	uint64_t sequence; /* flows started */
	uint64_t epoch;	   /* of the last recomputation */
	size_t live;	   /* flows neither stopped nor reported */

	struct flow *flows;
	size_t flow_used, flow_limit;
	uint32_t flow_free;
	struct flow_class *classes;
	size_t class_used, class_limit,
		class_ready; /* slots below class_ready own a members array or NULL */
	uint32_t class_free;
	struct resource *resources;
	size_t resource_used, resource_limit, resource_ready;
	uint32_t *buckets; /* hash of (path, cap) to class */
	size_t bucket_count, class_live;

	struct due *heap; /* classes with a completion to come, by (due, class) */
	size_t heap_count, heap_limit;
	struct ended *ended; /* ended and not yet reported, by (at, sequence); the first ended_taken
				are reported */
	size_t ended_count, ended_limit, ended_taken;
	struct list dirty_classes, dirty_resources; /* since the last recomputation */
	struct list found_classes, found_resources; /* what it reaches */
	struct bound *bounds;
	size_t bound_count, bound_limit;
};

/* Room for one more item: doubles *limit when count reaches it. New memory is not cleared. */
static void *grow(void *items, size_t count, size_t *limit, size_t size)
{
	size_t more = *limit ? *limit * 2 : 8;

	if (count < *limit)
		return items;
	items = more <= SIZE_MAX / size ? realloc(items, more * size) : NULL;
	if (!items) {
		fprintf(stderr, "drsim: error: out of memory (%zu items of %zu bytes for flows)\n",
			more, size);
		exit(3);
	}
	*limit = more;
	return items;
}

static void list_add(struct list *list, uint32_t item)
{
	list->items = grow(list->items, list->count, &list->limit, sizeof(*list->items));
	list->items[list->count++] = item;
}

/* ---- Service and time of a class ---- */

static void class_set_rate(struct flow_class *c, double rate)
{
	uint64_t bits;

	memcpy(&bits, &rate, sizeof(bits));
	c->rate = rate;
	c->mantissa = 0;
	c->shift = 0;
	/* Subnormal rates, below 1e-307 bytes per second, count as stalled. */
	if (rate >= RATE_ENDLESS || !(rate > 0) || bits >> 52 == 0)
		return;
	c->mantissa = (bits & 0xfffffffffffff) | 0x10000000000000;
	c->shift = (int)(bits >> 52) - 1075 + SERVICE_BITS;
}

/* Service to each member until `now`. Time never passes the class's `due`, which bounds the
 * product. */
static service class_served(const struct flow_class *c, nanos now)
{
	service done = (service)c->mantissa * (uint64_t)(now - c->anchor);

	if (c->shift >= 0)
		return c->served + (done << c->shift);
	if (c->shift < -120)
		return c->served;
	return c->served + ((done + ((service)1 << (-c->shift - 1))) >> -c->shift);
}

/* The instant nearest to the one at which the class has served `finish`, by its present rate. */
static nanos class_due(const struct flow_class *c, service finish)
{
	service need, each;
	double estimate;
	nanos wait;

	if (finish <= c->served || c->rate >= RATE_ENDLESS)
		return c->anchor;
	if (c->mantissa == 0)
		return NANOS_NEVER;
	need = finish - c->served;
	/* The estimate keeps the exact division within 128 bits. */
	estimate = (double)need / (c->rate * (double)(1 << SERVICE_BITS));
	if (!(estimate < 0x1p62))
		return NANOS_NEVER;
	each = c->mantissa;
	if (c->shift >= 0)
		each <<= c->shift;
	else
		need <<= -c->shift;
	wait = (nanos)((need + each / 2) / each);
	return wait < NANOS_NEVER - c->anchor ? c->anchor + wait : NANOS_NEVER;
}

/* ---- Heap of the flows in a class ---- */

static bool member_before(const struct member *a, const struct member *b)
{
	return a->finish < b->finish || (a->finish == b->finish && a->sequence < b->sequence);
}

static void member_put(struct flow_net *net, struct flow_class *c, size_t at, struct member m)
{
	c->members[at] = m;
	net->flows[m.slot].place = (uint32_t)at;
}

static void member_up(struct flow_net *net, struct flow_class *c, size_t at, struct member m)
{
	while (at > 0 && member_before(&m, &c->members[(at - 1) / 2])) {
		member_put(net, c, at, c->members[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	member_put(net, c, at, m);
}

static void member_down(struct flow_net *net, struct flow_class *c, size_t at, struct member m)
{
	size_t child;

	while ((child = 2 * at + 1) < c->member_count) {
		if (child + 1 < c->member_count &&
		    member_before(&c->members[child + 1], &c->members[child]))
			child++;
		if (!member_before(&c->members[child], &m))
			break;
		member_put(net, c, at, c->members[child]);
		at = child;
	}
	member_put(net, c, at, m);
}

/* ---- Heap of the classes by their first completion ---- */

static bool due_before(const struct due *a, const struct due *b)
{
	return a->at < b->at || (a->at == b->at && a->class < b->class);
}

static void due_put(struct flow_net *net, size_t at, struct due d)
{
	net->heap[at] = d;
	net->classes[d.class].heap = (uint32_t)at;
}

static void due_sift(struct flow_net *net, size_t at, struct due d)
{
	size_t child;

	while (at > 0 && due_before(&d, &net->heap[(at - 1) / 2])) {
		due_put(net, at, net->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	while ((child = 2 * at + 1) < net->heap_count) {
		if (child + 1 < net->heap_count &&
		    due_before(&net->heap[child + 1], &net->heap[child]))
			child++;
		if (!due_before(&net->heap[child], &d))
			break;
		due_put(net, at, net->heap[child]);
		at = child;
	}
	due_put(net, at, d);
}

/* Bring the class's entry in line with the head of its members; never before net->now. */
static void due_update(struct flow_net *net, uint32_t class)
{
	struct flow_class *c = &net->classes[class];
	size_t at = c->heap;

	c->due = c->member_count ? class_due(c, c->members[0].finish) : NANOS_NEVER;
	if (c->due < net->now)
		c->due = net->now;
	if (c->due != NANOS_NEVER) {
		if (at == NONE) {
			net->heap = grow(net->heap, net->heap_count, &net->heap_limit,
					 sizeof(*net->heap));
			at = net->heap_count++;
		}
		due_sift(net, at, (struct due){c->due, class});
		return;
	}
	if (at == NONE)
		return;
	c->heap = NONE;
	if (at != --net->heap_count)
		due_sift(net, at, net->heap[net->heap_count]);
}

/* ---- Classes ---- */

static size_t class_bucket(const struct flow_net *net, const uint32_t *resources, size_t count,
			   double cap)
{
	uint64_t hash;

	memcpy(&hash, &cap, sizeof(hash));
	hash = (hash ^ count) * 0x9e3779b97f4a7c15;
	for (size_t i = 0; i < count; i++)
		hash = ((hash ^ hash >> 32) + resources[i]) * 0x9e3779b97f4a7c15;
	return (size_t)(hash >> 32) & (net->bucket_count - 1);
}

static void class_rehash(struct flow_net *net, size_t count)
{
	free(net->buckets);
	net->buckets = malloc(count * sizeof(*net->buckets));
	if (!net->buckets) {
		fprintf(stderr, "drsim: error: out of memory (%zu classes of flows)\n", count);
		exit(3);
	}
	net->bucket_count = count;
	memset(net->buckets, 0xff, count * sizeof(*net->buckets));
	for (size_t i = 0; i < net->class_used; i++) {
		struct flow_class *c = &net->classes[i];
		size_t b;

		if (c->count > FLOW_PATH_MAX)
			continue; /* free */
		b = class_bucket(net, c->resources, c->count, c->cap);
		c->chain = net->buckets[b];
		net->buckets[b] = (uint32_t)i;
	}
}

static uint32_t class_slot(struct flow_net *net)
{
	uint32_t class = net->class_free;

	if (class != NONE) {
		net->class_free = net->classes[class].chain;
		return class;
	}
	net->classes =
		grow(net->classes, net->class_used, &net->class_limit, sizeof(*net->classes));
	if (net->class_used == net->class_ready)
		net->classes[net->class_ready++] = (struct flow_class){0};
	return (uint32_t)net->class_used++;
}

static uint32_t class_new(struct flow_net *net, const uint32_t *resources, size_t count, double cap)
{
	uint32_t class = class_slot(net);
	struct flow_class *c = &net->classes[class];
	size_t b;

	*c = (struct flow_class){.members = c->members,
				 .member_limit = c->member_limit,
				 .cap = cap,
				 .anchor = net->now,
				 .due = NANOS_NEVER,
				 .count = (uint32_t)count,
				 .heap = NONE};
	for (size_t i = 0; i < count; i++) {
		struct resource *r = &net->resources[resources[i]];

		c->resources[i] = resources[i];
		c->places[i] = (uint32_t)r->use_count;
		r->uses = grow(r->uses, r->use_count, &r->use_limit, sizeof(*r->uses));
		r->uses[r->use_count++] = (struct use){class, (uint32_t)i};
	}
	b = class_bucket(net, resources, count, cap);
	c->chain = net->buckets[b];
	net->buckets[b] = class;
	if (++net->class_live > net->bucket_count)
		class_rehash(net, net->bucket_count * 2);
	return class;
}

/* The class of this path (ascending, no repetition) and cap, made when there is none. */
static uint32_t class_of(struct flow_net *net, const uint32_t *resources, size_t count, double cap)
{
	uint32_t class = net->buckets[class_bucket(net, resources, count, cap)];

	for (; class != NONE; class = net->classes[class].chain) {
		const struct flow_class *c = &net->classes[class];

		if (c->cap == cap && c->count == count &&
		    (count == 0 ||
		     memcmp(c->resources, resources, count * sizeof(*resources)) == 0))
			return class;
	}
	return class_new(net, resources, count, cap);
}

/* Give an empty class back, out of the heap already. */
static void class_release(struct flow_net *net, uint32_t class)
{
	struct flow_class *c = &net->classes[class];
	uint32_t *link = &net->buckets[class_bucket(net, c->resources, c->count, c->cap)];

	assert(c->member_count == 0);
	assert(c->heap == NONE);
	while (*link != class)
		link = &net->classes[*link].chain;
	*link = c->chain;
	for (size_t i = 0; i < c->count; i++) {
		struct resource *r = &net->resources[c->resources[i]];
		struct use last = r->uses[--r->use_count];

		r->uses[c->places[i]] = last;
		net->classes[last.class].places[last.index] = c->places[i];
	}
	c->count = NONE;
	c->chain = net->class_free;
	net->class_free = class;
	net->class_live--;
}

static void class_touch(struct flow_net *net, uint32_t class)
{
	if (net->classes[class].dirty)
		return;
	net->classes[class].dirty = true;
	list_add(&net->dirty_classes, class);
}

/* Put a flow with `left` service to go into a class, at net->now. */
static void class_join(struct flow_net *net, uint32_t class, uint32_t slot, service left)
{
	struct flow_class *c = &net->classes[class];
	service finish = class_served(c, net->now) + left;

	assert(finish >> 126 == 0);
	net->flows[slot].class = class;
	c->members = grow(c->members, c->member_count, &c->member_limit, sizeof(*c->members));
	member_up(net, c, c->member_count++,
		  (struct member){finish, net->flows[slot].sequence, slot});
	class_touch(net, class);
}

/* Take the flow out of its class, at net->now; returns its service to go. */
static service class_leave(struct flow_net *net, uint32_t slot)
{
	struct flow *f = &net->flows[slot];
	struct flow_class *c = &net->classes[f->class];
	service finish = c->members[f->place].finish, served = class_served(c, net->now);
	struct member last = c->members[--c->member_count];

	if (last.slot != slot) {
		if (f->place > 0 && member_before(&last, &c->members[(f->place - 1) / 2]))
			member_up(net, c, f->place, last);
		else
			member_down(net, c, f->place, last);
	}
	class_touch(net, f->class);
	f->class = ENDED;
	return finish > served ? finish - served : 0;
}

/* ---- Flows on their resources ---- */

/* The class a flow belongs to now: resources of its own become part of the cap. */
static uint32_t class_for(struct flow_net *net, const struct flow *f)
{
	uint32_t shared[FLOW_PATH_MAX];
	double cap = f->cap;
	size_t count = 0;

	for (size_t i = 0; i < f->path_count; i++) {
		const struct resource *r = &net->resources[f->path[i]];

		if (r->flows > 1)
			shared[count++] = f->path[i];
		else if (r->capacity < cap)
			cap = r->capacity;
	}
	return class_of(net, shared, count, cap);
}

/* Move a running flow to the class it belongs to now. */
static void flow_reclass(struct flow_net *net, uint32_t slot)
{
	uint32_t class;

	if (net->flows[slot].class == ENDED)
		return;
	class = class_for(net, &net->flows[slot]);
	if (class != net->flows[slot].class)
		class_join(net, class, slot, class_leave(net, slot));
}

/* Enter a new flow at its resources; those it does not find empty may stop being a single flow's
 * own. */
static void path_take(struct flow_net *net, uint32_t slot)
{
	const struct flow *f = &net->flows[slot];

	for (size_t i = 0; i < f->path_count; i++) {
		net->resources[f->path[i]].flows++;
		net->resources[f->path[i]].sole ^= slot;
	}
	for (size_t i = 0; i < f->path_count; i++) {
		const struct resource *r = &net->resources[f->path[i]];

		if (r->flows == 2)
			flow_reclass(net, r->sole ^ slot);
	}
}

/* The reverse, for a flow that has left its class. */
static void path_release(struct flow_net *net, uint32_t slot)
{
	const struct flow *f = &net->flows[slot];

	for (size_t i = 0; i < f->path_count; i++) {
		net->resources[f->path[i]].flows--;
		net->resources[f->path[i]].sole ^= slot;
	}
	for (size_t i = 0; i < f->path_count; i++) {
		const struct resource *r = &net->resources[f->path[i]];

		if (r->flows == 1)
			flow_reclass(net, r->sole);
	}
}

/* ---- Recomputation of the rates ---- */

static void find_class(struct flow_net *net, uint32_t class)
{
	if (net->classes[class].found == net->epoch)
		return;
	net->classes[class].found = net->epoch;
	list_add(&net->found_classes, class);
}

static void find_resource(struct flow_net *net, uint32_t resource)
{
	if (net->resources[resource].found == net->epoch)
		return;
	net->resources[resource].found = net->epoch;
	list_add(&net->found_resources, resource);
}

/* Collect what is connected with the changes. A resource without limit ties nobody together, unless
 * it just changed. */
static void find(struct flow_net *net)
{
	size_t class = 0, resource = 0;

	net->epoch++;
	net->found_classes.count = net->found_resources.count = 0;
	for (size_t i = 0; i < net->dirty_resources.count; i++)
		find_resource(net, net->dirty_resources.items[i]);
	for (size_t i = 0; i < net->dirty_classes.count; i++)
		find_class(net, net->dirty_classes.items[i]);
	while (class < net->found_classes.count || resource < net->found_resources.count) {
		if (class < net->found_classes.count) {
			const struct flow_class *c =
				&net->classes[net->found_classes.items[class ++]];

			for (size_t i = 0; i < c->count; i++) {
				if (net->resources[c->resources[i]].capacity < INFINITY)
					find_resource(net, c->resources[i]);
			}
		} else {
			const struct resource *r =
				&net->resources[net->found_resources.items[resource++]];

			for (size_t i = 0; i < r->use_count; i++)
				find_class(net, r->uses[i].class);
		}
	}
}

static bool bound_before(const struct bound *a, const struct bound *b)
{
	return a->level < b->level || (a->level == b->level && a->index < b->index);
}

/* Sink `b` from the hole `at`. */
static void bound_down(struct flow_net *net, size_t at, struct bound b)
{
	size_t child;

	while ((child = 2 * at + 1) < net->bound_count) {
		if (child + 1 < net->bound_count &&
		    bound_before(&net->bounds[child + 1], &net->bounds[child]))
			child++;
		if (!bound_before(&net->bounds[child], &b))
			break;
		net->bounds[at] = net->bounds[child];
		at = child;
	}
	net->bounds[at] = b;
}

static void bound_drop(struct flow_net *net)
{
	if (--net->bound_count)
		bound_down(net, 0, net->bounds[net->bound_count]);
}

static void bound_add(struct flow_net *net, double level, uint32_t index)
{
	net->bounds = grow(net->bounds, net->bound_count, &net->bound_limit, sizeof(*net->bounds));
	net->bounds[net->bound_count++] = (struct bound){level, index};
}

/* All bounds of what was found; the rate of a class that nothing bounds stays INFINITY. */
static void fill_start(struct flow_net *net)
{
	net->bound_count = 0;
	for (size_t i = 0; i < net->found_resources.count; i++) {
		struct resource *r = &net->resources[net->found_resources.items[i]];

		r->left = r->capacity;
		r->weight = r->flows > 1 ? r->flows : 0;
		if (r->weight && r->capacity < INFINITY)
			bound_add(net, r->capacity / (double)r->weight,
				  net->found_resources.items[i]);
	}
	for (size_t i = 0; i < net->found_classes.count; i++) {
		struct flow_class *c = &net->classes[net->found_classes.items[i]];

		c->filled = INFINITY;
		if (c->member_count && c->cap < INFINITY)
			bound_add(net, c->cap, net->found_classes.items[i] | CLASS_BIT);
	}
	for (size_t i = net->bound_count / 2; i-- > 0;)
		bound_down(net, i, net->bounds[i]);
}

static void fill_freeze(struct flow_net *net, struct flow_class *c, double rate)
{
	double taken = rate * (double)c->member_count;

	c->frozen = net->epoch;
	c->filled = rate;
	for (size_t i = 0; i < c->count; i++) {
		struct resource *r = &net->resources[c->resources[i]];

		if (r->found != net->epoch)
			continue;
		r->left = taken < r->left ? r->left - taken : 0;
		r->weight -= c->member_count;
	}
}

/*
 * Progressive filling. A resource's share of the flows still rising can only grow while others
 * freeze below it, so the stored level is a lower bound and is brought up to date only when it
 * comes to the top of the heap. Frozen flows are never faster than the level, which keeps the
 * subtraction in `left` well-conditioned.
 */
static void fill(struct flow_net *net)
{
	fill_start(net);
	while (net->bound_count) {
		struct bound *top = &net->bounds[0];
		struct resource *r;
		double share;

		if (top->index & CLASS_BIT) {
			struct flow_class *c = &net->classes[top->index & ~CLASS_BIT];

			if (c->frozen != net->epoch)
				fill_freeze(net, c, c->cap);
			bound_drop(net);
			continue;
		}
		r = &net->resources[top->index];
		if (r->weight == 0) {
			bound_drop(net);
			continue;
		}
		share = r->left / (double)r->weight;
		if (share > top->level) {
			bound_down(net, 0, (struct bound){share, top->index});
			continue;
		}
		for (size_t i = 0; i < r->use_count; i++) {
			struct flow_class *c = &net->classes[r->uses[i].class];

			if (c->frozen != net->epoch && c->member_count)
				fill_freeze(net, c, share);
		}
		bound_drop(net);
	}
}

/* Bring rates and completions up to date with all changes until net->now. */
static void settle(struct flow_net *net)
{
	if (net->dirty_classes.count == 0 && net->dirty_resources.count == 0)
		return;
	find(net);
	fill(net);
	for (size_t i = 0; i < net->found_classes.count; i++) {
		uint32_t class = net->found_classes.items[i];
		struct flow_class *c = &net->classes[class];
		bool dirty = c->dirty;

		c->dirty = false;
		if (c->member_count && c->filled != c->rate) {
			c->served = class_served(c, net->now);
			c->anchor = net->now;
			class_set_rate(c, c->filled);
			dirty = true;
		}
		if (dirty)
			due_update(net, class);
		if (c->member_count == 0)
			class_release(net, class);
	}
	for (size_t i = 0; i < net->dirty_resources.count; i++)
		net->resources[net->dirty_resources.items[i]].dirty = false;
	net->dirty_classes.count = net->dirty_resources.count = 0;
}

/* ---- Completions ---- */

static int ended_order(const void *a, const void *b)
{
	const struct ended *x = a, *y = b;

	return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

static void ended_add(struct flow_net *net, uint32_t slot)
{
	if (net->ended_taken == net->ended_count)
		net->ended_taken = net->ended_count = 0;
	net->ended = grow(net->ended, net->ended_count, &net->ended_limit, sizeof(*net->ended));
	net->ended[net->ended_count++] = (struct ended){net->now, net->flows[slot].sequence, slot};
}

/* Move the flows due at net->now from their classes to net->ended. */
static void gather(struct flow_net *net)
{
	size_t first, added = 0;

	while (net->heap_count && net->heap[0].at <= net->now) {
		uint32_t class = net->heap[0].class;
		struct flow_class *c = &net->classes[class];

		do {
			uint32_t slot = c->members[0].slot;

			class_leave(net, slot);
			ended_add(net, slot);
			added++;
		} while (c->member_count && class_due(c, c->members[0].finish) <= net->now);
		due_update(net, class);
	}
	/* Only now, since a flow that changes its class on this account must not miss its end. */
	for (size_t i = net->ended_count - added; i < net->ended_count; i++)
		path_release(net, net->ended[i].slot);
	/* What waits from this very instant (a flow of 0 bytes, say) is put in order with the rest.
	 */
	for (first = net->ended_count;
	     first > net->ended_taken && net->ended[first - 1].at == net->now; first--)
		continue;
	if (net->ended_count - first > 1)
		qsort(&net->ended[first], net->ended_count - first, sizeof(*net->ended),
		      ended_order);
}

/* Move time on to `now`, ending what is due on the way. */
static void enter(struct flow_net *net, nanos now)
{
	assert(now >= net->now);
	assert(now < NANOS_NEVER);
	while (net->now < now) {
		settle(net);
		net->now = net->heap_count && net->heap[0].at < now ? net->heap[0].at : now;
		gather(net);
	}
}

static void flow_free_slot(struct flow_net *net, uint32_t slot)
{
	net->flows[slot].class = NONE;
	net->flows[slot].place = net->flow_free;
	net->flow_free = slot;
	net->live--;
}

/* The slot of a flow, or NONE. */
static uint32_t flow_slot(const struct flow_net *net, flow_id flow)
{
	uint32_t slot = (uint32_t)flow;

	if (flow == 0 || slot >= net->flow_used || net->flows[slot].class == NONE ||
	    (uint32_t)net->flows[slot].sequence != flow >> 32)
		return NONE;
	return slot;
}

/* ---- Public ---- */

struct flow_net *flow_open(void)
{
	size_t limit = 0;
	struct flow_net *net = grow(NULL, 0, &limit, sizeof(*net));

	*net = (struct flow_net){.flow_free = NONE, .class_free = NONE};
	class_rehash(net, BUCKETS_MIN);
	return net;
}

void flow_close(struct flow_net *net)
{
	if (!net)
		return;
	for (size_t i = 0; i < net->class_ready; i++)
		free(net->classes[i].members);
	for (size_t i = 0; i < net->resource_ready; i++)
		free(net->resources[i].uses);
	free(net->flows);
	free(net->classes);
	free(net->resources);
	free(net->buckets);
	free(net->heap);
	free(net->ended);
	free(net->dirty_classes.items);
	free(net->dirty_resources.items);
	free(net->found_classes.items);
	free(net->found_resources.items);
	free(net->bounds);
	free(net);
}

void flow_reset(struct flow_net *net)
{
	/* Emptying the buckets of the live classes alone keeps a small trial cheap after a large
	 * one. */
	for (size_t i = 0; i < net->class_used; i++) {
		const struct flow_class *c = &net->classes[i];

		if (c->count <= FLOW_PATH_MAX)
			net->buckets[class_bucket(net, c->resources, c->count, c->cap)] = NONE;
	}
	net->now = 0;
	net->sequence = 0;
	net->live = 0;
	net->flow_used = net->class_used = net->resource_used = net->class_live = 0;
	net->flow_free = net->class_free = NONE;
	net->heap_count = net->ended_count = net->ended_taken = 0;
	net->dirty_classes.count = net->dirty_resources.count = 0;
}

uint32_t flow_resource(struct flow_net *net, double capacity)
{
	struct resource *r;

	assert(capacity >= 0);
	if (net->resource_used >= FLOW_RESOURCES_MAX)
		return FLOW_RESOURCE_NONE;
	net->resources = grow(net->resources, net->resource_used, &net->resource_limit,
			      sizeof(*net->resources));
	if (net->resource_used == net->resource_ready)
		net->resources[net->resource_ready++] = (struct resource){0};
	r = &net->resources[net->resource_used];
	*r = (struct resource){.capacity = capacity, .uses = r->uses, .use_limit = r->use_limit};
	return (uint32_t)net->resource_used++;
}

void flow_set_capacity(struct flow_net *net, uint32_t resource, double capacity, nanos now)
{
	struct resource *r = &net->resources[resource];

	assert(resource < net->resource_used);
	assert(capacity >= 0);
	enter(net, now);
	if (r->capacity == capacity)
		return;
	r->capacity = capacity;
	if (r->flows == 1)
		flow_reclass(net, r->sole);
	if (!r->dirty)
		list_add(&net->dirty_resources, resource);
	r->dirty = true;
}

/* Copy a path in ascending order without repetition; returns its length. */
static uint32_t path_sort(const struct flow_net *net, const uint32_t *resources, size_t count,
			  uint32_t *path)
{
	uint32_t length = 0;

	for (size_t i = 0; i < count; i++) {
		uint32_t at = length;

		assert(resources[i] < net->resource_used);
		while (at > 0 && path[at - 1] > resources[i])
			at--;
		if (at > 0 && path[at - 1] == resources[i])
			continue;
		memmove(&path[at + 1], &path[at], (length - at) * sizeof(*path));
		path[at] = resources[i];
		length++;
	}
	return length;
}

flow_id flow_start(struct flow_net *net, nanos now, uint64_t bytes, double cap,
		   const uint32_t *resources, size_t count, uint64_t argument)
{
	struct flow *f;
	uint32_t slot;

	assert(count <= FLOW_PATH_MAX);
	assert(cap >= 0);
	enter(net, now);
	slot = net->flow_free;
	if (net->live >= FLOW_MAX)
		return 0;
	if (slot == NONE) {
		net->flows =
			grow(net->flows, net->flow_used, &net->flow_limit, sizeof(*net->flows));
		slot = (uint32_t)net->flow_used++;
	} else {
		net->flow_free = net->flows[slot].place;
	}
	net->live++;
	/* The low half of the sequence is the generation in the id: never 0. */
	if ((uint32_t)++net->sequence == 0)
		net->sequence++;
	f = &net->flows[slot];
	*f = (struct flow){.bytes = bytes,
			   .argument = argument,
			   .sequence = net->sequence,
			   .class = ENDED,
			   .cap = cap};
	if (bytes == 0) {
		ended_add(net, slot);
	} else {
		f->path_count = path_sort(net, resources, count, f->path);
		path_take(net, slot);
		class_join(net, class_for(net, f), slot, bytes * SERVICE_BYTE);
	}
	return net->sequence << 32 | slot;
}

/* Bytes of a transfer that are done when `left` is to go. */
static uint64_t bytes_done(const struct flow *f, service left)
{
	uint64_t open = (uint64_t)((left + SERVICE_BYTE / 2) / SERVICE_BYTE);

	return open < f->bytes ? f->bytes - open : 0;
}

bool flow_stop(struct flow_net *net, flow_id flow, nanos now, uint64_t *ret_bytes_done)
{
	uint32_t slot;
	service left = 0;

	enter(net, now);
	slot = flow_slot(net, flow);
	if (slot == NONE)
		return false;
	if (net->flows[slot].class != ENDED) {
		left = class_leave(net, slot);
		path_release(net, slot);
	}
	if (ret_bytes_done)
		*ret_bytes_done = bytes_done(&net->flows[slot], left);
	flow_free_slot(net, slot);
	return true;
}

bool flow_set_cap(struct flow_net *net, flow_id flow, double cap, nanos now)
{
	uint32_t slot;

	assert(cap >= 0);
	enter(net, now);
	slot = flow_slot(net, flow);
	if (slot == NONE || net->flows[slot].class == ENDED)
		return false;
	net->flows[slot].cap = cap;
	flow_reclass(net, slot);
	return true;
}

/* Skip ended flows that were stopped before they could be reported; true when one is left to
 * report. */
static bool ended_peek(struct flow_net *net)
{
	for (; net->ended_taken < net->ended_count; net->ended_taken++) {
		const struct ended *e = &net->ended[net->ended_taken];
		const struct flow *f = &net->flows[e->slot];

		if (f->class == ENDED && f->sequence == e->sequence)
			return true;
	}
	return false;
}

nanos flow_next(struct flow_net *net)
{
	if (ended_peek(net))
		return net->ended[net->ended_taken].at;
	settle(net);
	return net->heap_count ? net->heap[0].at : NANOS_NEVER;
}

size_t flow_advance(struct flow_net *net, nanos now, struct flow_done *out, size_t max)
{
	size_t count = 0;
	nanos at = flow_next(net);

	assert(now < NANOS_NEVER);
	if (at > now)
		return 0;
	if (!ended_peek(net)) {
		net->now = at;
		gather(net);
	}
	while (count < max && ended_peek(net) && net->ended[net->ended_taken].at == at) {
		const struct ended *e = &net->ended[net->ended_taken++];
		const struct flow *f = &net->flows[e->slot];

		out[count++] = (struct flow_done){at, f->sequence << 32 | e->slot, f->argument};
		flow_free_slot(net, e->slot);
	}
	return count;
}

double flow_rate(struct flow_net *net, flow_id flow)
{
	uint32_t slot = flow_slot(net, flow);

	if (slot == NONE || net->flows[slot].class == ENDED)
		return 0;
	settle(net);
	return net->classes[net->flows[slot].class].rate;
}

uint64_t flow_bytes_done(struct flow_net *net, flow_id flow, nanos now)
{
	const struct flow_class *c;
	const struct flow *f;
	service served, finish;
	uint32_t slot;

	enter(net, now);
	slot = flow_slot(net, flow);
	if (slot == NONE)
		return 0;
	f = &net->flows[slot];
	if (f->class == ENDED)
		return f->bytes;
	c = &net->classes[f->class];
	served = class_served(c, now);
	finish = c->members[f->place].finish;
	return bytes_done(f, finish > served ? finish - served : 0);
}

double flow_load(struct flow_net *net, uint32_t resource)
{
	const struct resource *r = &net->resources[resource];
	double sum = 0;

	assert(resource < net->resource_used);
	settle(net);
	if (r->flows == 1)
		return net->classes[net->flows[r->sole].class].rate;
	for (size_t i = 0; i < r->use_count; i++) {
		const struct flow_class *c = &net->classes[r->uses[i].class];

		sum += c->rate * (double)c->member_count;
	}
	return sum;
}

size_t flow_count(const struct flow_net *net)
{
	return net->live;
}
