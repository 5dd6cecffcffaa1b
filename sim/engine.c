/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The discrete-event engine: slots that hold events, and heap and ladder that order 16-byte entries
 * for them.
 */
#include "sim/engine.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SLOT_BITS 24
#define SLOT_MASK (((uint64_t)1 << SLOT_BITS) - 1)
#define SLOT_NONE UINT32_MAX
/* In slot.word, below the sequence: the event was moved, its id is in moved_ids. */
#define SLOT_MOVED ((uint64_t)1)

#define HEAP_ABOVE 96 /* more in the heap: build the ladder */
#define HEAP_BELOW 24 /* fewer pending: back to the heap */
#define LATE_MAX 1024 /* more latecomers beside a ladder: build it anew, narrower */
#define DEAD_MAX 1024 /* entries of cancelled events kept beyond the number of pending ones */

#define RING_BITS 11
#define RING_BUCKETS ((uint64_t)1 << RING_BITS)
#define RING_MASK (RING_BUCKETS - 1)
#define RING_WORDS (RING_BUCKETS / 64)
/* The ring is filled half a turn at a time: one unit of the far buckets. */
#define UNIT_BITS (RING_BITS - 1)
#define UNIT_BUCKETS ((uint64_t)1 << UNIT_BITS)
#define FAR_BITS 6
#define FAR_MASK (((uint64_t)1 << FAR_BITS) - 1)
#define FAR_LEVELS 9 /* 63 bits of time less UNIT_BITS, FAR_BITS at a time */
#define SHIFT_MAX 50

/*
 * Events per bucket: enough for few buckets to be in use at once, few enough for the run to stay in
 * cache.
 */
#define TARGET_BUCKETS 256
#define TARGET_MIN 64
#define TARGET_MAX 2048

#define SORT_BUCKETS_MAX 4096
#define INSERTION_MAX 24
#define PREFETCH_SLOT 24
#define PREFETCH_CONTEXT 12

#define CHUNK_BYTES 512
#define CHUNK_ENTRIES 31
#define SLAB_MIN ((size_t)64 << 10)
#define SLAB_MAX ((size_t)4 << 20)
#define HUGE_PAGE ((size_t)2 << 20)

struct slot {
	event_handler *handler;
	void *context;
	uint64_t argument;
	/*
	 * The sequence above SLOT_BITS, flags below; 0: free, and argument is the next free slot.
	 */
	uint64_t word;
};

/*
 * What is ordered: time, then sequence << SLOT_BITS | slot. Dead when the slot has another sequence
 * now.
 */
struct entry {
	uint64_t when, order;
};

struct chunk {
	struct chunk *next;
	uint64_t count; /* valid except in the last chunk of a bucket */
	struct entry entries[CHUNK_ENTRIES];
};
static_assert(sizeof(struct chunk) == CHUNK_BYTES, "the end of a chunk is told by its address");

/*
 * Appended to at `at`; at a multiple of CHUNK_BYTES, 0 included, the next entry needs a new chunk.
 */
struct bucket {
	struct entry *at;
	struct chunk *head;
};

struct slab {
	struct slab *next;
};

struct engine {
	nanos now;
	uint64_t sequence, executed;
	struct slot *slots;
	struct entry *run_at, *run_end; /* the sorted run */
	struct entry *heap;		/* padded with ENTRY_LAST to whole families */
	size_t heap_count;
	uint64_t front; /* buckets below are in run or heap; UINT64_MAX: everything is, there is no
			   ladder */
	uint64_t ring_end; /* buckets from front up to here are in the ring */
	uint64_t unit;	   /* ring_end / UNIT_BUCKETS - 1; all far entries belong to later units */
	uint32_t shift;	   /* a bucket is 2^shift ns wide */
	uint32_t slot_free, slot_top, slot_limit;
	bool hole; /* the top of the heap is the running event: the next insertion may take its
		      place */
	bool running, stopped, overflowed;
	uint32_t pending;
	uint64_t dead; /* entries of events cancelled or moved */
	struct chunk *chunk_free;

	/* What the width is judged by, since the ladder was built. */
	uint64_t built_at; /* work_done() then */
	uint64_t loads, loaded;

	uint64_t floor; /* the sequence at the last reset */
	uint64_t *moved_ids;
	struct entry *run, *spare; /* two buffers of run_capacity */
	size_t run_capacity, heap_capacity;
	struct slab *slabs;
	size_t slab_size, slab_total;
	uint32_t slot_peak;
	size_t slots_size, moved_size; /* of the mappings */

	uint64_t ring_map[RING_WORDS];
	uint64_t far_map[FAR_LEVELS];
	struct bucket ring[RING_BUCKETS];
	struct bucket far[FAR_LEVELS][(size_t)1 << FAR_BITS];
	uint32_t counts[SORT_BUCKETS_MAX + 1];
};

static const struct entry ENTRY_LAST = {UINT64_MAX, UINT64_MAX};

__extension__ typedef unsigned __int128 wide;

/* One comparison of 128 bits: the compiler makes it without a branch. */
static inline bool before(const struct entry *a, const struct entry *b)
{
	return ((wide)a->when << 64 | a->order) < ((wide)b->when << 64 | b->order);
}

static inline uint32_t log2_floor(uint64_t x)
{
	return 63 - (uint32_t)__builtin_clzll(x | 1);
}

static inline bool entry_dead(const struct engine *engine, struct entry x)
{
	return (engine->slots[x.order & SLOT_MASK].word ^ x.order) >> SLOT_BITS != 0;
}

/* ---- memory ---- */

static void *check_memory(void *memory)
{
	if (!memory) {
		fputs("drsim: error: out of memory for pending events\n", stderr);
		exit(3);
	}
	return memory;
}

/*
 * Zero pages that cost nothing until touched; beyond the first 2 MiB in huge pages if the system
 * has them.
 */
static void *reserve(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	check_memory(memory == MAP_FAILED ? NULL : memory);
	if (size > 2 * HUGE_PAGE) {
		uintptr_t start = ((uintptr_t)memory + 2 * HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
		/* Only speed depends on it. */
		(void)madvise((void *)start, (uintptr_t)memory + size - start, MADV_HUGEPAGE);
	}
	return memory;
}

static void slab_add(struct engine *engine)
{
	size_t size = engine->slab_size;
	bool huge = size >= HUGE_PAGE;
	char *memory = check_memory(aligned_alloc(huge ? HUGE_PAGE : CHUNK_BYTES, size));
	if (huge)
		(void)madvise(memory, size, MADV_HUGEPAGE);
	/*
	 * The first chunk's place holds the list of slabs; the others go to the free list, lowest
	 * address first.
	 */
	struct slab *slab = (struct slab *)memory;
	slab->next = engine->slabs;
	engine->slabs = slab;
	for (size_t at = size - CHUNK_BYTES; at > 0; at -= CHUNK_BYTES) {
		struct chunk *chunk = (struct chunk *)(memory + at);
		chunk->next = engine->chunk_free;
		engine->chunk_free = chunk;
	}
	engine->slab_total += size;
	engine->slab_size = size < SLAB_MAX ? 2 * size : size;
}

static inline void chunk_release(struct engine *engine, struct chunk *chunk)
{
	chunk->next = engine->chunk_free;
	engine->chunk_free = chunk;
}

/*
 * Room for `count` entries in both buffers, by doubling. The run must be empty; the spare keeps
 * what it holds.
 */
static void run_reserve(struct engine *engine, size_t count, size_t spare_used)
{
	if (count + PREFETCH_SLOT <= engine->run_capacity)
		return;
	size_t capacity = engine->run_capacity;
	while (capacity < count + PREFETCH_SLOT)
		capacity *= 2;
	struct entry *run = check_memory(aligned_alloc(64, capacity * sizeof(*run)));
	struct entry *spare = check_memory(aligned_alloc(64, capacity * sizeof(*spare)));
	if (spare_used > 0)
		memcpy(spare, engine->spare, spare_used * sizeof(*spare));
	free(engine->run);
	free(engine->spare);
	engine->run = run;
	engine->spare = spare;
	engine->run_at = engine->run_end = run;
	engine->run_capacity = capacity;
}

/* The root lies 48 bytes into a line, so that each family of four children fills one line. */
#define HEAP_OFFSET 3
#define HEAP_PADDING 8

static void heap_reserve(struct engine *engine, size_t capacity)
{
	size_t size = HEAP_OFFSET + capacity + HEAP_PADDING + 5;
	struct entry *memory = check_memory(aligned_alloc(64, size / 4 * 4 * sizeof(*memory)));
	struct entry *heap = memory + HEAP_OFFSET;
	if (engine->heap) {
		memcpy(heap, engine->heap, engine->heap_count * sizeof(*heap));
		free(engine->heap - HEAP_OFFSET);
	}
	for (size_t i = engine->heap_count; i < capacity + HEAP_PADDING; i++)
		heap[i] = ENTRY_LAST;
	engine->heap = heap;
	engine->heap_capacity = capacity;
}

/* ---- heap: entries below the front; without a ladder, all ---- */

/* Puts x where it belongs at or below the root. */
static inline void heap_sift_down(struct engine *engine, struct entry x)
{
	struct entry *heap = engine->heap;
	size_t count = engine->heap_count, at = 0;
	for (;;) {
		size_t child = 4 * at + 1;
		if (child >= count)
			break;
		size_t left = child + before(&heap[child + 1], &heap[child]);
		size_t right = child + 2 + before(&heap[child + 3], &heap[child + 2]);
		size_t least = before(&heap[right], &heap[left]) ? right : left;
		if (!before(&heap[least], &x))
			break;
		heap[at] = heap[least];
		at = least;
	}
	heap[at] = x;
}

static void heap_push(struct engine *engine, struct entry x)
{
	if (engine->heap_count == engine->heap_capacity)
		heap_reserve(engine, 2 * engine->heap_capacity);
	struct entry *heap = engine->heap;
	size_t at = engine->heap_count++;
	while (at > 0) {
		size_t parent = (at - 1) / 4;
		if (!before(&x, &heap[parent]))
			break;
		heap[at] = heap[parent];
		at = parent;
	}
	heap[at] = x;
}

static void heap_drop_top(struct engine *engine)
{
	size_t last = --engine->heap_count;
	struct entry x = engine->heap[last];
	engine->heap[last] = ENTRY_LAST;
	if (last > 0)
		heap_sift_down(engine, x);
}

static inline void heap_insert(struct engine *engine, struct entry x)
{
	if (engine->hole) {
		engine->hole = false;
		heap_sift_down(engine, x);
	} else {
		heap_push(engine, x);
	}
}

/* The running event leaves the heap for good. */
static inline void heap_settle(struct engine *engine)
{
	if (engine->hole) {
		engine->hole = false;
		heap_drop_top(engine);
	}
}

/* ---- buckets ---- */

static inline struct chunk *bucket_tail(const struct bucket *bucket)
{
	return (struct chunk *)(((uintptr_t)bucket->at - 1) & ~(uintptr_t)(CHUNK_BYTES - 1));
}

static inline size_t tail_count(const struct bucket *bucket)
{
	return (size_t)(bucket->at - bucket_tail(bucket)->entries);
}

static __attribute__((noinline)) void bucket_grow(struct engine *engine, struct bucket *bucket)
{
	if (!engine->chunk_free)
		slab_add(engine);
	struct chunk *chunk = engine->chunk_free;
	engine->chunk_free = chunk->next;
	chunk->next = NULL;
	if (bucket->at) {
		struct chunk *tail = bucket_tail(bucket);
		tail->next = chunk;
		tail->count = CHUNK_ENTRIES;
	} else {
		bucket->head = chunk;
	}
	bucket->at = chunk->entries;
}

/* Returns whether the bucket may have been empty: its bit must be set then. */
static inline bool bucket_append(struct engine *engine, struct bucket *bucket, struct entry x)
{
	bool full = ((uintptr_t)bucket->at & (CHUNK_BYTES - 1)) == 0;
	if (full)
		bucket_grow(engine, bucket);
	*bucket->at++ = x;
	return full;
}

/* Empties the bucket; returns its chunks, all with a count, and the last of them. */
static struct chunk *bucket_take(struct bucket *bucket, struct chunk **ret_last)
{
	struct chunk *head = bucket->head;
	*ret_last = bucket_tail(bucket);
	(*ret_last)->count = tail_count(bucket);
	*bucket = (struct bucket){0};
	return head;
}

/* ---- ladder: ring and far buckets ---- */

static inline void ring_insert(struct engine *engine, uint64_t number, struct entry x)
{
	uint64_t at = number & RING_MASK;
	if (bucket_append(engine, &engine->ring[at], x))
		engine->ring_map[at / 64] |= (uint64_t)1 << (at % 64);
}

/*
 * The bucket of a far entry: the highest digit (base 64) in which its unit differs from the current
 * one, and that digit. So all of a bucket comes before all of the next one, and the level falls as
 * its time draws near.
 */
static void far_insert(struct engine *engine, uint64_t number, struct entry x)
{
	uint64_t unit = number >> UNIT_BITS;
	uint32_t level = log2_floor(unit ^ engine->unit) / FAR_BITS;
	uint64_t digit = unit >> (level * FAR_BITS) & FAR_MASK;
	if (bucket_append(engine, &engine->far[level][digit], x))
		engine->far_map[level] |= (uint64_t)1 << digit;
}

static inline void insert(struct engine *engine, struct entry x)
{
	uint64_t number = x.when >> engine->shift;
	if (number < engine->front)
		heap_insert(engine, x);
	else if (number < engine->ring_end)
		ring_insert(engine, number, x);
	else
		far_insert(engine, number, x);
}

/* Insert the entries of a list of chunks and release it; dead entries stay behind. */
static void insert_chunks(struct engine *engine, struct chunk *chunk)
{
	while (chunk) {
		struct chunk *next = chunk->next;
		if (next)
			__builtin_prefetch(next);
		for (size_t i = 0; i < chunk->count; i++) {
			struct entry x = chunk->entries[i];
			if (engine->dead > 0 && entry_dead(engine, x))
				engine->dead--;
			else
				insert(engine, x);
		}
		chunk_release(engine, chunk);
		chunk = next;
	}
}

/*
 * Make `unit` the current one; no far entry may be earlier. Only one bucket can hold entries whose
 * highest differing digit has just become equal: it is dealt out again, downwards or into the ring.
 */
static void far_advance(struct engine *engine, uint64_t unit)
{
	uint32_t level = log2_floor(unit ^ engine->unit) / FAR_BITS;
	uint64_t digit = unit >> (level * FAR_BITS) & FAR_MASK;
	engine->unit = unit;
	engine->ring_end = (unit + 1) << UNIT_BITS;
	if (!(engine->far_map[level] >> digit & 1))
		return;
	engine->far_map[level] &= ~((uint64_t)1 << digit);
	struct chunk *last;
	insert_chunks(engine, bucket_take(&engine->far[level][digit], &last));
}

/*
 * A lower bound of the units of far entries, later than the current one. False when there is no far
 * entry.
 */
static bool far_next(const struct engine *engine, uint64_t *ret_unit)
{
	for (uint32_t level = 0; level < FAR_LEVELS; level++) {
		if (engine->far_map[level] == 0)
			continue;
		uint64_t digit = (uint64_t)__builtin_ctzll(engine->far_map[level]);
		uint32_t low = level * FAR_BITS;
		*ret_unit = (engine->unit >> low & ~FAR_MASK) << low | digit << low;
		return true;
	}
	return false;
}

/* The first bucket of the ring in use, from front on. */
static bool ring_next(const struct engine *engine, uint64_t *ret_number)
{
	uint64_t start = engine->front & RING_MASK;
	/* The ring ends at a whole unit: nothing wraps around into the word it starts in. */
	for (uint64_t i = 0; i < RING_WORDS; i++) {
		uint64_t word = (start / 64 + i) % RING_WORDS;
		uint64_t bits = engine->ring_map[word];
		if (bits != 0) {
			uint64_t at = word * 64 + (uint64_t)__builtin_ctzll(bits);
			*ret_number = engine->front + ((at - start) & RING_MASK);
			return true;
		}
	}
	return false;
}

/* ---- building ---- */

static uint64_t work_done(const struct engine *engine)
{
	return engine->sequence + engine->executed;
}

/*
 * Building anew costs a step per pending event: at most once per as much other work, hence O(1)
 * amortised.
 */
static bool may_build(const struct engine *engine)
{
	return work_done(engine) - engine->built_at >= engine->pending;
}

static uint64_t target_count(const struct engine *engine)
{
	uint64_t target = engine->pending / TARGET_BUCKETS;
	return target < TARGET_MIN ? TARGET_MIN : target > TARGET_MAX ? TARGET_MAX : target;
}

/* The width at which `count` entries over `span` ns fall into buckets of the wanted size. */
static uint32_t choose_shift(const struct engine *engine, uint64_t count, uint64_t span)
{
	double width = (double)span / (double)count * (double)target_count(engine);
	if (width >= (double)((uint64_t)1 << SHIFT_MAX))
		return SHIFT_MAX;
	return log2_floor((uint64_t)width);
}

/* Take every chunk out of ring and far buckets, appending to the list that ends at *last. */
static struct chunk *ladder_take(struct engine *engine, struct chunk *list)
{
	for (size_t word = 0; word < RING_WORDS; word++) {
		for (uint64_t bits = engine->ring_map[word]; bits != 0; bits &= bits - 1) {
			struct chunk *last;
			struct chunk *head = bucket_take(
				&engine->ring[word * 64 + (size_t)__builtin_ctzll(bits)], &last);
			last->next = list;
			list = head;
		}
		engine->ring_map[word] = 0;
	}
	for (size_t level = 0; level < FAR_LEVELS; level++) {
		for (uint64_t bits = engine->far_map[level]; bits != 0; bits &= bits - 1) {
			struct chunk *last;
			struct chunk *head =
				bucket_take(&engine->far[level][__builtin_ctzll(bits)], &last);
			last->next = list;
			list = head;
		}
		engine->far_map[level] = 0;
	}
	return list;
}

static void heap_clear(struct engine *engine)
{
	for (size_t i = 0; i < engine->heap_count; i++)
		engine->heap[i] = ENTRY_LAST;
	engine->heap_count = 0;
	engine->hole = false;
}

static void use_heap(struct engine *engine)
{
	engine->shift = 0;
	engine->front = UINT64_MAX;
}

static void use_ladder(struct engine *engine, uint32_t shift)
{
	engine->shift = shift;
	engine->front = (uint64_t)engine->now >> shift;
	/* Between half a turn and a whole turn is in the ring. */
	engine->unit = (engine->front >> UNIT_BITS) + 1;
	engine->ring_end = (engine->unit + 1) << UNIT_BITS;
}

/*
 * Deal everything out again: into the heap when there is little, else into a ladder of that width.
 */
static void build(struct engine *engine, uint32_t shift)
{
	heap_settle(engine);
	struct bucket rest = {0};
	for (const struct entry *x = engine->run_at; x < engine->run_end; x++)
		bucket_append(engine, &rest, *x);
	for (size_t i = 0; i < engine->heap_count; i++)
		bucket_append(engine, &rest, engine->heap[i]);
	engine->run_at = engine->run_end = engine->run;
	heap_clear(engine);

	struct chunk *list = NULL, *last;
	if (rest.at)
		list = bucket_take(&rest, &last);
	list = ladder_take(engine, list);
	if (engine->pending < HEAP_BELOW)
		use_heap(engine);
	else
		use_ladder(engine, shift);
	insert_chunks(engine, list);
	engine->built_at = work_done(engine);
	engine->loads = engine->loaded = 0;
}

static int compare_times(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* The heap has become large: a width by the earlier half of a sample of it. */
static void build_from_heap(struct engine *engine)
{
	enum {
		SAMPLE = 64
	};
	uint64_t times[SAMPLE];
	size_t step = engine->heap_count / SAMPLE;
	for (size_t i = 0; i < SAMPLE; i++)
		times[i] = engine->heap[i * step].when;
	qsort(times, SAMPLE, sizeof(times[0]), compare_times);
	build(engine, choose_shift(engine, engine->heap_count / 2, times[SAMPLE / 2] - times[0]));
}

/* Cancelled events have left more entries than there are live ones: drop those. */
static void drop_dead(struct engine *engine)
{
	build(engine, engine->front == UINT64_MAX ? 0 : engine->shift);
}

/* ---- the run ---- */

static void sort_insertion(struct entry *entries, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct entry x = entries[i];
		size_t at = i;
		for (; at > 0 && before(&x, &entries[at - 1]); at--)
			entries[at] = entries[at - 1];
		entries[at] = x;
	}
}

/* Merges pieces that double in length; input already in order costs one pass. */
static void sort_merge(struct entry *entries, struct entry *buffer, size_t count)
{
	size_t ordered = 1;
	while (ordered < count && before(&entries[ordered - 1], &entries[ordered]))
		ordered++;
	if (ordered == count)
		return;
	for (size_t at = 0; at < count; at += INSERTION_MAX)
		sort_insertion(entries + at,
			       count - at < INSERTION_MAX ? count - at : INSERTION_MAX);
	struct entry *from = entries, *to = buffer;
	for (size_t length = INSERTION_MAX; length < count; length *= 2) {
		for (size_t at = 0; at < count; at += 2 * length) {
			size_t middle = count - at < length ? count : at + length;
			size_t end = count - at < 2 * length ? count : at + 2 * length;
			size_t a = at, b = middle;
			for (size_t out = at; out < end; out++) {
				bool second =
					a == middle || (b < end && before(&from[b], &from[a]));
				to[out] = second ? from[b++] : from[a++];
			}
		}
		struct entry *swap = from;
		from = to;
		to = swap;
	}
	if (from != entries)
		memcpy(entries, from, count * sizeof(*entries));
}

/*
 * One pass by the leading bits puts about one entry into each cell; what lies in a cell is sorted
 * in place.
 */
static void sort_spare_to_run(struct engine *engine, size_t count, uint64_t low, uint64_t span)
{
	struct entry *from = engine->spare, *to = engine->run;
	if (count <= INSERTION_MAX) {
		memcpy(to, from, count * sizeof(*to));
		sort_insertion(to, count);
		return;
	}
	uint32_t cell_bits = log2_floor(count) + 1;
	if (cell_bits > 12)
		cell_bits = 12;
	uint32_t span_bits = log2_floor(span) + 1;
	uint32_t drop = span_bits > cell_bits ? span_bits - cell_bits : 0;
	size_t cells = (size_t)(span >> drop) + 1;
	uint32_t *counts = engine->counts;
	memset(counts, 0, cells * sizeof(*counts));
	for (size_t i = 0; i < count; i++)
		counts[(from[i].when - low) >> drop]++;
	uint32_t sum = 0, most = 0;
	for (size_t i = 0; i < cells; i++) {
		uint32_t here = counts[i];
		counts[i] = sum;
		sum += here;
		most = here > most ? here : most;
	}
	for (size_t i = 0; i < count; i++)
		to[counts[(from[i].when - low) >> drop]++] = from[i];
	if (most > INSERTION_MAX) {
		/* counts[i] is now where cell i ends. */
		for (size_t i = 0, start = 0; i < cells; start = counts[i++]) {
			if (counts[i] - start > INSERTION_MAX)
				sort_merge(to + start, from, counts[i] - start);
		}
	}
	sort_insertion(to, count);
}

/* Copy the bucket's entries to the spare buffer and release its chunks. */
static size_t bucket_to_spare(struct engine *engine, struct bucket *bucket, uint64_t *ret_low,
			      uint64_t *ret_span)
{
	uint64_t low = UINT64_MAX, high = 0;
	size_t count = 0;
	struct chunk *last;
	struct chunk *chunk = bucket_take(bucket, &last);
	while (chunk) {
		struct chunk *next = chunk->next;
		for (size_t line = 0; next && line < CHUNK_BYTES; line += 64)
			__builtin_prefetch((const char *)next + line);
		run_reserve(engine, count + CHUNK_ENTRIES, count);
		struct entry *to = engine->spare + count;
		for (size_t i = 0; i < chunk->count; i++) {
			struct entry x = chunk->entries[i];
			low = x.when < low ? x.when : low;
			high = x.when > high ? x.when : high;
			to[i] = x;
		}
		count += chunk->count;
		chunk_release(engine, chunk);
		chunk = next;
	}
	*ret_low = low;
	*ret_span = high - low;
	return count;
}

/* Whether buckets have turned out so thin that wider ones pay; tells the width. */
static bool too_thin(const struct engine *engine, uint32_t *ret_shift)
{
	uint64_t target = target_count(engine);
	if (engine->loads < 256 || engine->loaded / engine->loads >= target / 8 + 1)
		return false;
	if (work_done(engine) - engine->built_at < 4 * (uint64_t)engine->pending)
		return false;
	uint32_t wider = engine->shift + log2_floor(target * engine->loads / (engine->loaded + 1));
	*ret_shift = wider < SHIFT_MAX ? wider : SHIFT_MAX;
	return *ret_shift > engine->shift;
}

/*
 * Make the next bucket the run. Both run and heap are empty, events are pending, and there is a
 * ladder.
 */
static void load(struct engine *engine)
{
	uint32_t shift = engine->shift;
	if (engine->pending < HEAP_BELOW || too_thin(engine, &shift)) {
		build(engine, shift);
		return;
	}
	uint64_t number, unit;
	while (!ring_next(engine, &number)) {
		bool found = far_next(engine, &unit);
		assert(found);
		(void)found;
		engine->front = unit << UNIT_BITS;
		far_advance(engine, unit);
	}
	uint64_t at = number & RING_MASK, low, span;
	engine->ring_map[at / 64] &= ~((uint64_t)1 << (at % 64));
	size_t count = bucket_to_spare(engine, &engine->ring[at], &low, &span);
	engine->front = number + 1;
	if (engine->ring_end - engine->front < UNIT_BUCKETS)
		far_advance(engine, engine->unit + 1);

	struct entry *run = engine->run;
	if (count > 4 * target_count(engine) && may_build(engine)) {
		shift = choose_shift(engine, count, span);
		if (shift + 2 <= engine->shift) {
			memcpy(run, engine->spare, count * sizeof(*run));
			engine->run_at = run;
			engine->run_end = run + count;
			build(engine, shift);
			return;
		}
	}
	sort_spare_to_run(engine, count, low, span);
	/* Prefetching looks a few entries ahead of the last one. */
	memset(run + count, 0, PREFETCH_SLOT * sizeof(*run));
	engine->run_at = run;
	engine->run_end = run + count;
	engine->loads++;
	engine->loaded += count;
}

/* Forget all entries. One step per bucket in use, hence at most one per entry. */
static void clear(struct engine *engine)
{
	heap_clear(engine);
	engine->run_at = engine->run_end = engine->run;
	struct chunk *chunk = engine->front == UINT64_MAX ? NULL : ladder_take(engine, NULL);
	while (chunk) {
		struct chunk *next = chunk->next;
		chunk_release(engine, chunk);
		chunk = next;
	}
	use_heap(engine);
	engine->dead = 0;
}

/*
 * Bring the earliest live entry to the head of the run or the top of the heap; *ret_from_run tells
 * which. False when nothing is pending.
 */
static inline bool peek(struct engine *engine, struct entry *ret_entry, bool *ret_from_run)
{
	for (;;) {
		bool in_run = engine->run_at < engine->run_end;
		struct entry x;
		if (in_run) {
			x = *engine->run_at;
			/* Without anything in the heap its root is ENTRY_LAST. */
			if (before(&engine->heap[0], &x)) {
				x = engine->heap[0];
				in_run = false;
			}
		} else if (engine->heap_count > 0) {
			size_t most = engine->front == UINT64_MAX ? HEAP_ABOVE : LATE_MAX;
			if (engine->heap_count > most && may_build(engine)) {
				build_from_heap(engine);
				continue;
			}
			x = engine->heap[0];
		} else if (engine->pending > 0) {
			load(engine);
			continue;
		} else {
			if (engine->dead > 0)
				clear(engine);
			return false;
		}
		if (!entry_dead(engine, x)) {
			*ret_entry = x;
			*ret_from_run = in_run;
			return true;
		}
		engine->dead--;
		if (in_run)
			engine->run_at++;
		else
			heap_drop_top(engine);
	}
}

/* ---- slots ---- */

static inline void slot_release(struct engine *engine, uint32_t slot)
{
	engine->slots[slot].word = 0;
	engine->slots[slot].argument = engine->slot_free;
	engine->slot_free = slot;
	engine->pending--;
}

/* The slot of a pending event. */
static bool slot_find(const struct engine *engine, event_id id, uint32_t *ret_slot)
{
	uint32_t slot = (uint32_t)(id & SLOT_MASK);
	if (slot >= engine->slot_top)
		return false;
	uint64_t word = engine->slots[slot].word;
	if (word == 0 ||
	    (word & SLOT_MOVED ? engine->moved_ids[slot] != id : (word ^ id) >> SLOT_BITS != 0))
		return false;
	*ret_slot = slot;
	return true;
}

static bool sequence_spent(const struct engine *engine)
{
	return engine->sequence - engine->floor >= ENGINE_SEQUENCE_MAX;
}

static void entry_died(struct engine *engine)
{
	engine->dead++;
	if (engine->dead > (uint64_t)engine->pending + DEAD_MAX)
		drop_dead(engine);
}

/* ---- public ---- */

struct engine *engine_open(size_t pending_limit)
{
	assert(pending_limit >= 1 && pending_limit <= ENGINE_PENDING_MAX);
	struct engine *engine = check_memory(calloc(1, sizeof(*engine)));
	engine->slots_size = pending_limit * sizeof(*engine->slots);
	engine->moved_size = pending_limit * sizeof(*engine->moved_ids);
	engine->slots = reserve(engine->slots_size);
	engine->moved_ids = reserve(engine->moved_size);
	engine->slot_limit = (uint32_t)pending_limit;
	engine->slab_size = SLAB_MIN;
	engine->run_capacity = 64;
	run_reserve(engine, 64, 0);
	heap_reserve(engine, HEAP_ABOVE + 1);
	engine->slot_free = SLOT_NONE;
	use_heap(engine);
	return engine;
}

void engine_close(struct engine *engine)
{
	if (!engine)
		return;
	while (engine->slabs) {
		struct slab *next = engine->slabs->next;
		free(engine->slabs);
		engine->slabs = next;
	}
	free(engine->heap - HEAP_OFFSET);
	free(engine->spare);
	free(engine->run);
	munmap(engine->moved_ids, engine->moved_size);
	munmap(engine->slots, engine->slots_size);
	free(engine);
}

void engine_reset(struct engine *engine)
{
	assert(!engine->running);
	clear(engine);
	if (engine->slot_top > engine->slot_peak)
		engine->slot_peak = engine->slot_top;
	/* Old ids stay old since the sequence goes on. Once in 2^39 events it starts again. */
	if (engine->sequence > ENGINE_SEQUENCE_MAX)
		engine->sequence = 0;
	engine->floor = engine->sequence;
	engine->slot_free = SLOT_NONE;
	engine->slot_top = 0;
	engine->pending = 0;
	engine->now = 0;
	engine->executed = 0;
	engine->built_at = engine->sequence;
	engine->loads = engine->loaded = 0;
	engine->stopped = engine->overflowed = false;
}

nanos engine_now(const struct engine *engine)
{
	return engine->now;
}

event_id engine_at(struct engine *engine, nanos when, event_handler *handler, void *context,
		   uint64_t argument)
{
	assert(when >= engine->now);
	assert(when < NANOS_NEVER);
	uint32_t index = engine->slot_free;
	if (engine->pending == engine->slot_limit || sequence_spent(engine)) {
		engine->overflowed = engine->stopped = true;
		return EVENT_NONE;
	}
	struct slot *slot;
	if (index != SLOT_NONE) {
		slot = &engine->slots[index];
		engine->slot_free = (uint32_t)slot->argument;
	} else {
		index = engine->slot_top++;
		slot = &engine->slots[index];
	}
	uint64_t word = ++engine->sequence << SLOT_BITS;
	*slot = (struct slot){handler, context, argument, word};
	engine->pending++;
	insert(engine, (struct entry){(uint64_t)when, word | index});
	return word | index;
}

bool engine_cancel(struct engine *engine, event_id id)
{
	uint32_t slot;
	if (!slot_find(engine, id, &slot))
		return false;
	slot_release(engine, slot);
	entry_died(engine);
	return true;
}

bool engine_move(struct engine *engine, event_id id, nanos when)
{
	assert(when >= engine->now);
	assert(when < NANOS_NEVER);
	uint32_t slot;
	if (!slot_find(engine, id, &slot))
		return false;
	if (sequence_spent(engine)) {
		engine->overflowed = engine->stopped = true;
		return false;
	}
	uint64_t word = ++engine->sequence << SLOT_BITS;
	engine->slots[slot].word = word | SLOT_MOVED;
	engine->moved_ids[slot] = id;
	insert(engine, (struct entry){(uint64_t)when, word | slot});
	entry_died(engine);
	return true;
}

nanos engine_next(struct engine *engine)
{
	struct entry x;
	bool from_run;
	heap_settle(engine);
	return peek(engine, &x, &from_run) ? (nanos)x.when : NANOS_NEVER;
}

void engine_stop(struct engine *engine)
{
	engine->stopped = true;
}

/*
 * Always inline: gcc takes a function that only prefetches for one without effect and drops calls
 * of it.
 */
static inline __attribute__((always_inline)) void prefetch_ahead(const struct engine *engine)
{
	const struct entry *at = engine->run_at;
	__builtin_prefetch(&engine->slots[at[PREFETCH_SLOT - 1].order & SLOT_MASK], 1);
	__builtin_prefetch(engine->slots[at[PREFETCH_CONTEXT - 1].order & SLOT_MASK].context, 1);
}

/* Run events with time <= last; returns whether none of those is left. */
static bool run_through(struct engine *engine, nanos last)
{
	assert(!engine->running);
	if (engine->overflowed)
		return false;
	engine->running = true;
	engine->stopped = false;
	struct entry x;
	bool from_run;
	while (!engine->stopped && peek(engine, &x, &from_run) && (nanos)x.when <= last) {
		if (from_run) {
			engine->run_at++;
			prefetch_ahead(engine);
		} else {
			engine->hole = true;
		}
		uint32_t index = (uint32_t)(x.order & SLOT_MASK);
		struct slot slot = engine->slots[index];
		slot_release(engine, index);
		engine->now = (nanos)x.when;
		engine->executed++;
		slot.handler(slot.context, slot.argument, (nanos)x.when);
		heap_settle(engine);
	}
	engine->running = false;
	return !engine->stopped;
}

bool engine_run_before(struct engine *engine, nanos when)
{
	assert(when >= engine->now);
	if (!run_through(engine, when - 1))
		return false;
	if (when != NANOS_NEVER)
		engine->now = when;
	return true;
}

bool engine_run_until(struct engine *engine, nanos when)
{
	assert(when >= engine->now);
	if (!run_through(engine, when))
		return false;
	if (when != NANOS_NEVER)
		engine->now = when;
	return true;
}

bool engine_overflowed(const struct engine *engine)
{
	return engine->overflowed;
}

uint64_t engine_executed(const struct engine *engine)
{
	return engine->executed;
}

size_t engine_pending(const struct engine *engine)
{
	return engine->pending;
}

size_t engine_memory(const struct engine *engine)
{
	size_t slots = engine->slot_top > engine->slot_peak ? engine->slot_top : engine->slot_peak;
	return sizeof(*engine) + engine->slab_total +
	       2 * engine->run_capacity * sizeof(struct entry) +
	       (HEAP_OFFSET + engine->heap_capacity + HEAP_PADDING) * sizeof(struct entry) +
	       slots * (sizeof(struct slot) + sizeof(uint64_t));
}
