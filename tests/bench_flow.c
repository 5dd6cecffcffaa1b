/* SPDX-License-Identifier: Apache-2.0 */
/* Speed of the fair sharing: restores through one store and through a data centre, and drsim
 * against the naive way. */
#include "tests/flow_naive.h"

#include <stdio.h>
#include <time.h>

#define NODES 100
#define FLOWS 10000
#define NAIVE_FLOWS 2000
#define ROUNDS 5

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* splitmix64 (Steele, Lea and Flood, OOPSLA 2014) */
static uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

struct load {
	const char *name;
	bool random_sizes;
	size_t nodes, links; /* NICs of 25 GB/s / links of 50 GB/s in front of the store of 100
				GB/s; 0: the store alone */
};

static const struct load loads[] = {
	{"one store, equal sizes", false, 0, 0},
	{"one store, random sizes", true, 0, 0},
	{"100 NICs, 2 links, 1 store", true, NODES, 2},
	{"a NIC per flow, 2 links, 1 store", true, FLOWS, 2},
};

struct plan {
	nanos at;
	uint64_t bytes;
	uint32_t path[3];
	size_t count;
};

/* One restore every millisecond, 1 GB or 0 … 2 GB each: the store is 10 times overloaded until the
 * starts end. */
static void plan(const struct load *load, size_t flows, struct plan *plans)
{
	uint64_t state = 1;

	for (size_t i = 0; i < flows; i++) {
		struct plan *p = &plans[i];

		*p = (struct plan){.at = (nanos)i * NANOS_MS, .bytes = 1000000000};
		if (load->random_sizes)
			p->bytes = 1 + draw(&state) % 2000000000;
		p->path[p->count++] = 0;
		if (load->nodes) {
			size_t node = load->nodes == FLOWS ? i : draw(&state) % load->nodes;

			p->path[p->count++] = (uint32_t)(1 + node % load->links);
			p->path[p->count++] = (uint32_t)(1 + load->links + node);
		}
	}
}

static double capacity(const struct load *load, size_t resource)
{
	return resource == 0 ? 100e9 : resource <= load->links ? 50e9 : 25e9;
}

static nanos run_drsim(struct flow_net *net, const struct load *load, const struct plan *plans,
		       size_t flows)
{
	struct flow_done done[16];
	nanos last = 0;

	flow_reset(net);
	for (size_t r = 0; r < 1 + load->links + load->nodes; r++)
		flow_resource(net, capacity(load, r));
	for (size_t i = 0; i <= flows; i++) {
		nanos until = i < flows ? plans[i].at : NANOS_DAY;
		size_t count;

		while ((count = flow_advance(net, until, done, 16)))
			last = done[count - 1].at;
		if (i < flows)
			flow_start(net, until, plans[i].bytes, INFINITY, plans[i].path,
				   plans[i].count, i);
	}
	return last;
}

static nanos run_naive(struct naive *naive, const struct load *load, const struct plan *plans,
		       size_t flows)
{
	static uint64_t arguments[FLOWS];
	nanos last = 0;

	naive->resource_count = 1 + load->links + load->nodes;
	for (size_t r = 0; r < naive->resource_count; r++)
		naive->capacity[r] = capacity(load, r);
	for (size_t i = 0; i <= flows; i++) {
		nanos until = i < flows ? plans[i].at : NANOS_DAY, at;

		while ((at = naive_next(naive)) <= until) {
			naive_advance(naive, at, arguments);
			naive_settle(naive, at);
			last = at;
		}
		if (i < flows) {
			naive_start(naive, until, plans[i].bytes, INFINITY, plans[i].path,
				    plans[i].count, i);
			naive_settle(naive, until);
		}
	}
	return last;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median(double *values)
{
	qsort(values, ROUNDS, sizeof(*values), by_value);
	return values[ROUNDS / 2];
}

/* Both sides in turn on the same plan; the medians. */
static void compare(struct flow_net *net, struct naive *naive, const struct load *load,
		    struct plan *plans)
{
	double ours[ROUNDS], theirs[ROUNDS];
	nanos a = 0, b = 0;

	plan(load, NAIVE_FLOWS, plans);
	for (size_t i = 0; i < ROUNDS; i++) {
		double start = seconds(), middle;

		a = run_drsim(net, load, plans, NAIVE_FLOWS);
		middle = seconds();
		b = run_naive(naive, load, plans, NAIVE_FLOWS);
		ours[i] = middle - start;
		theirs[i] = seconds() - middle;
	}
	printf("  %-33s %6d flows: %9.6f s, naive %9.6f s, ratio %7.1f, last ends %+lld ns\n",
	       load->name, NAIVE_FLOWS, median(ours), median(theirs), median(theirs) / median(ours),
	       (long long)(a - b));
}

static void measure(struct flow_net *net, const struct load *load, struct plan *plans)
{
	double ours[ROUNDS];
	nanos last = 0;

	plan(load, FLOWS, plans);
	for (size_t i = 0; i < ROUNDS; i++) {
		double start = seconds();

		last = run_drsim(net, load, plans, FLOWS);
		ours[i] = seconds() - start;
	}
	printf("  %-33s %6d flows: %9.6f s, %8.0f ns a flow, all done at %.3f s\n", load->name,
	       FLOWS, median(ours), median(ours) / FLOWS * 1e9, (double)last * 1e-9);
}

/* A trial as in a campaign: reset, one store, 8 flows, all ends. */
static void measure_trials(struct flow_net *net, struct plan *plans)
{
	enum {
		TRIALS = 100000,
		EACH = 8
	};
	double start;

	plan(&loads[1], EACH, plans);
	start = seconds();
	for (int i = 0; i < TRIALS; i++)
		run_drsim(net, &loads[1], plans, EACH);
	printf("  trials of 8 flows through one store: %.0f a second\n",
	       TRIALS / (seconds() - start));
}

int main(void)
{
	static struct plan plans[FLOWS];
	static struct naive_flow flows[NAIVE_FLOWS];
	static double capacities[FLOWS + 3], used[FLOWS + 3];
	static size_t rising[FLOWS + 3];
	struct naive naive = {
		.flows = flows, .capacity = capacities, .used = used, .rising = rising};
	struct flow_net *net = flow_open();

	printf("flow: max-min fair transfers, medians of %d\n", ROUNDS);
	for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
		measure(net, &loads[i], plans);
	for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
		compare(net, &naive, &loads[i], plans);
	measure_trials(net, plans);
	flow_close(net);
	return 0;
}
