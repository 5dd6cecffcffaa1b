/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transfers that share resources fairly: backups, restores and weight loads over links, store
 * ports, NICs and disks.
 *
 * Every flow has a path (a set of resources, each used by the flow's whole rate) and a cap of its
 * own. At every instant the rates are the max-min fair ones: no flow can be sped up without slowing
 * down one that is not faster. They are found by progressive filling (water filling): all rates
 * rise together from 0; a flow is frozen when it meets its cap or when one of its resources is full
 * (Bertsekas and Gallager, Data Networks, 2nd ed., 1992, section 6.5.2 "Max-min flow control"; the
 * same allocation as the fluid models of SimGrid: Casanova et al., JPDC 74(10), 2014). The unit of
 * the filling here is the class: flows with the same path and the same cap always have the same
 * rate, so a class with n flows is filled as one flow of weight n, and inside a class completions
 * are ordered by service: a flow that joins with `b` bytes when the class has served `v` bytes to
 * each member ends when the class has served v + b. That is the virtual time of processor sharing
 * and of fair queueing (Demers, Keshav and Shenker, SIGCOMM 1989): a change of rate costs one step
 * per class, not one per flow. A resource that a single flow uses counts as a part of that flow's
 * cap, so that flows with a NIC each still form one class when their NICs are equally fast. With n
 * flows in k classes connected with each other, a start or an end costs O(log n + k log k); k is 1
 * for a store alone, and n at worst, when all flows have different paths or caps.
 *
 * Time. The network acts at whole nanoseconds. A flow ends at the instant nearest to the exact one
 * (ties go up), computed from the last instant at which its rate really changed: waiting and asking
 * never moves a completion. Service is counted in integers of 2^-16 nanobytes (128 bits wide), so
 * that nothing drifts; rates are doubles. Flows due at the same instant by the rates before it all
 * end at that instant, whatever else happens at it. Changes at one instant cost one recomputation,
 * made when time moves on or somebody asks, and only the classes and resources connected with a
 * change through finite resources are recomputed.
 *
 * The network does not know the event engine: the owner asks flow_next(), advances with
 * flow_advance(), and may change anything at that instant. `now` must never go back between calls
 * (asserted). A call that changes or asks something at `now` first ends what was due until then;
 * such flows wait for flow_advance() with their true instant.
 *
 * Results depend only on the sequence of calls since flow_open() or flow_reset(), also in their
 * last bit (compile with -ffp-contract=off on machines with fused multiply-add). Not thread-safe:
 * one network per thread.
 */
#ifndef SIM_FLOW_H
#define SIM_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/clock.h"

#define FLOW_PATH_MAX 8		   /* resources of one flow */
#define FLOW_MAX ((size_t)1 << 24) /* flows at a time */
#define FLOW_RESOURCES_MAX ((size_t)1 << 20)
#define FLOW_RESOURCE_NONE UINT32_MAX /* what flow_resource() returns past the limit */

/* A flow; 0 is none. Stays valid until the flow is stopped, reported as done, or the network is
 * reset. */
typedef uint64_t flow_id;

struct flow_net;

struct flow_done {
	nanos at;	   /* when it ended */
	flow_id flow;	   /* no longer valid */
	uint64_t argument; /* as given to flow_start() */
};

/*
 * An empty network at instant 0. It owns all its memory, which grows with use and is freed by
 * flow_close(). Running out of memory ends the program with a message and exit 3, as in
 * core/arena.h: never NULL.
 */
struct flow_net *flow_open(void);
void flow_close(struct flow_net *net); /* NULL allowed */

/* Forget all flows and resources and go back to instant 0, but keep the memory. All ids become
 * void. */
void flow_reset(struct flow_net *net);

/*
 * Add a resource of `capacity` bytes per second (0: stalled; INFINITY: never limits). Returns its
 * number, counting from 0, or FLOW_RESOURCE_NONE when there are FLOW_RESOURCES_MAX already.
 */
uint32_t flow_resource(struct flow_net *net, double capacity);

/* Change a resource's capacity from `now` on. 0 stalls its flows until it is set again. */
void flow_set_capacity(struct flow_net *net, uint32_t resource, double capacity, nanos now);

/*
 * Start a transfer of `bytes` at `now`. `cap` is its own limit in bytes per second (0: stalled;
 * INFINITY: none). `resources` names the `count` (0 … FLOW_PATH_MAX) resources it goes through, in
 * any order; a resource named twice counts once. The array is copied. `argument` comes back in
 * struct flow_done. A flow of 0 bytes ends at `now` even on a stalled resource, one that nothing
 * limits ends at `now` too; both are reported by flow_advance(). Returns the flow, or 0 when there
 * are FLOW_MAX already.
 */
flow_id flow_start(struct flow_net *net, nanos now, uint64_t bytes, double cap,
		   const uint32_t *resources, size_t count, uint64_t argument);

/*
 * End a flow early: it will not be reported. *ret_bytes_done (may be NULL) is what
 * flow_bytes_done() returns. Returns false, and writes nothing, when the flow does not exist (any
 * more). A flow that has ended but was not yet reported can be stopped: true, all its bytes done.
 */
bool flow_stop(struct flow_net *net, flow_id flow, nanos now, uint64_t *ret_bytes_done);

/* Change a flow's own cap from `now` on. Returns false when the flow does not exist or has ended.
 */
bool flow_set_cap(struct flow_net *net, flow_id flow, double cap, nanos now);

/* The instant of the earliest completion to report; NANOS_NEVER when there are no flows or all are
 * stalled. */
nanos flow_next(struct flow_net *net);

/*
 * Report up to `max` completions at or before `now`, ordered by (instant, order of start), and
 * return how many were written to `out`; call until it returns 0. One call reports flows of one
 * instant only, so that the owner can act at that instant (start the next flow, say) before
 * anything later is settled.
 */
size_t flow_advance(struct flow_net *net, nanos now, struct flow_done *out, size_t max);

/* Present rate in bytes per second; 0 for a flow that does not exist or has ended; INFINITY when
 * nothing limits it. */
double flow_rate(struct flow_net *net, flow_id flow);

/* Bytes moved until `now`, to the nearest byte; 0 when the flow does not exist. */
uint64_t flow_bytes_done(struct flow_net *net, flow_id flow, nanos now);

/* Sum of the present rates through a resource, bytes per second: the capacity when it is saturated.
 */
double flow_load(struct flow_net *net, uint32_t resource);

/* Flows that were started and neither stopped nor reported. */
size_t flow_count(const struct flow_net *net);

#endif
