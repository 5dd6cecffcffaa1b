/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PHOLD (Fujimoto 1990): N events pending, each schedules one at now + Exp(1 s) on a random entity.
 * Prints ns per event of the engine, and the ratio of a plain binary heap with the same order and
 * handlers, taken in turn.
 */
#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/engine.h"

#define TABLE ((size_t)1 << 14)
#define REPETITIONS 9

/* The peer: a binary heap of whole events in one array, ordered by (time, sequence). */
struct heap_event {
	uint64_t when, sequence;
	event_handler *handler;
	void *context;
	uint64_t argument;
};

struct heap {
	struct heap_event *events;
	size_t count, capacity;
	uint64_t sequence;
};

static inline bool heap_before(const struct heap_event *a, const struct heap_event *b)
{
	return a->when != b->when ? a->when < b->when : a->sequence < b->sequence;
}

static void heap_push(struct heap *heap, nanos when, event_handler *handler, void *context,
		      uint64_t argument)
{
	if (heap->count == heap->capacity)
		abort();
	struct heap_event x = {(uint64_t)when, heap->sequence++, handler, context, argument};
	size_t at = heap->count++;
	for (; at > 0 && heap_before(&x, &heap->events[(at - 1) / 2]); at = (at - 1) / 2)
		heap->events[at] = heap->events[(at - 1) / 2];
	heap->events[at] = x;
}

static struct heap_event heap_pop(struct heap *heap)
{
	struct heap_event top = heap->events[0], x = heap->events[--heap->count];
	size_t at = 0, child;
	while ((child = 2 * at + 1) < heap->count) {
		if (child + 1 < heap->count &&
		    heap_before(&heap->events[child + 1], &heap->events[child]))
			child++;
		if (!heap_before(&heap->events[child], &x))
			break;
		heap->events[at] = heap->events[child];
		at = child;
	}
	heap->events[at] = x;
	return top;
}

/* The model. */
struct entity {
	struct phold *phold;
	uint64_t events, checksum;
};

struct phold {
	struct engine *engine;
	struct heap heap;
	struct entity *entities;
	const nanos *table;
	uint64_t mask, random, left;
};

static inline uint64_t draw(struct phold *phold)
{
	uint64_t x = phold->random;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return phold->random = x;
}

static inline uint64_t account(struct entity *entity, uint64_t argument, nanos now)
{
	entity->events++;
	entity->checksum = entity->checksum * 31 + (uint64_t)now + argument;
	return draw(entity->phold);
}

static void on_engine(void *context, uint64_t argument, nanos now)
{
	struct entity *entity = context;
	struct phold *phold = entity->phold;
	uint64_t x = account(entity, argument, now);
	if (--phold->left == 0)
		engine_stop(phold->engine);
	engine_at(phold->engine, now + phold->table[x >> 50], on_engine,
		  &phold->entities[x & phold->mask], x);
}

static void on_heap(void *context, uint64_t argument, nanos now)
{
	struct entity *entity = context;
	struct phold *phold = entity->phold;
	uint64_t x = account(entity, argument, now);
	phold->left--;
	heap_push(&phold->heap, now + phold->table[x >> 50], on_heap,
		  &phold->entities[x & phold->mask], x);
}

static void phold_open(struct phold *phold, size_t count, const nanos *table, bool with_engine)
{
	*phold = (struct phold){.table = table, .mask = count - 1, .random = 88172645463325252u};
	phold->entities = calloc(count, sizeof(*phold->entities));
	if (!phold->entities)
		abort();
	if (with_engine) {
		phold->engine = engine_open(count);
	} else {
		phold->heap.capacity = count;
		phold->heap.events = calloc(count, sizeof(*phold->heap.events));
		if (!phold->heap.events)
			abort();
	}
	for (size_t i = 0; i < count; i++) {
		phold->entities[i].phold = phold;
		nanos when = table[draw(phold) >> 50];
		if (with_engine)
			engine_at(phold->engine, when, on_engine, &phold->entities[i], 0);
		else
			heap_push(&phold->heap, when, on_heap, &phold->entities[i], 0);
	}
}

static void phold_run(struct phold *phold, uint64_t events)
{
	phold->left = events;
	if (phold->engine) {
		engine_run_until(phold->engine, NANOS_NEVER);
		return;
	}
	while (phold->left > 0) {
		struct heap_event x = heap_pop(&phold->heap);
		x.handler(x.context, x.argument, (nanos)x.when);
	}
}

static uint64_t phold_close(struct phold *phold)
{
	uint64_t sum = 0;
	for (size_t i = 0; i <= phold->mask; i++)
		sum = sum * 31 + phold->entities[i].checksum + phold->entities[i].events;
	engine_close(phold->engine);
	free(phold->heap.events);
	free(phold->entities);
	return sum;
}

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t); /* style: allow */
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void measure(size_t count, uint64_t events, const nanos *table)
{
	struct phold ours, peer;
	phold_open(&ours, count, table, true);
	phold_open(&peer, count, table, false);
	/* Every page is touched and the widths have settled before the clock starts. */
	uint64_t warm = 4 * count > events ? 4 * count : events;
	phold_run(&ours, warm);
	phold_run(&peer, warm);
	double engine_ns[REPETITIONS], heap_ns[REPETITIONS], ratio[REPETITIONS];
	for (size_t i = 0; i < REPETITIONS; i++) {
		double start = seconds();
		phold_run(&ours, events);
		double middle = seconds();
		phold_run(&peer, events);
		engine_ns[i] = (middle - start) * 1e9 / (double)events;
		heap_ns[i] = (seconds() - middle) * 1e9 / (double)events;
		ratio[i] = heap_ns[i] / engine_ns[i];
	}
	qsort(engine_ns, REPETITIONS, sizeof(double), compare_double);
	qsort(heap_ns, REPETITIONS, sizeof(double), compare_double);
	qsort(ratio, REPETITIONS, sizeof(double), compare_double);
	size_t mid = REPETITIONS / 2, end = REPETITIONS - 1;
	printf("%8zu pending: engine %6.1f ns/event (%.1f-%.1f), binary heap %6.1f (%.1f-%.1f), "
	       "ratio %.2f (%.2f-%.2f)\n",
	       count, engine_ns[mid], engine_ns[0], engine_ns[end], heap_ns[mid], heap_ns[0],
	       heap_ns[end], ratio[mid], ratio[0], ratio[end]);
	fflush(stdout);
	/* The same draws in the same order: a different sum means a different order of events. */
	if (phold_close(&ours) != phold_close(&peer)) {
		fputs("bench_phold: engine and heap ran different histories\n", stderr);
		exit(1);
	}
}

/*
 * bench_phold [N [EVENTS]]: N a power of two; without N the three sizes of the table in the design.
 */
int main(int argc, char **argv)
{
	nanos *table = malloc(TABLE * sizeof(*table));
	if (!table)
		abort();
	for (size_t i = 0; i < TABLE; i++)
		table[i] = (nanos)(-log(((double)i + 0.5) / (double)TABLE) * (double)NANOS_S);
	if (argc > 1) {
		size_t count = strtoumax(argv[1], NULL, 10);
		measure(count, argc > 2 ? strtoumax(argv[2], NULL, 10) : 2000000, table);
	} else {
		measure((size_t)1 << 10, 2000000, table);
		measure((size_t)1 << 16, 2000000, table);
		measure((size_t)1 << 20, 2000000, table);
	}
	free(table);
	return 0;
}
