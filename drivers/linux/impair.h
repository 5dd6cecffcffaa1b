/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a bad network does with packets, as a model: which are lost, doubled, damaged, overtaken,
 * and when the rest goes on. No I/O and no clock: a packet comes in with its time, a verdict comes
 * out. The fate of packet n depends on (seed, stream, n) and the config alone, so that the same
 * seed loses the same packets again.
 *
 * The words and the models are netem's (tc-netem(8)), with two differences: a correlation keeps
 * the share that was asked for (netem's shifts it), and jitter of a tabled distribution has
 * exactly the deviation that was asked for. Probabilities are in [0, 1], times in nanoseconds,
 * sizes in bytes of the frame without preamble and checksum.
 *
 * Any thread; one struct impair belongs to one thread at a time. No memory is allocated.
 */
#ifndef DRIVERS_LINUX_IMPAIR_H
#define DRIVERS_LINUX_IMPAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/error.h"
#include "core/prng.h"

#define IMPAIR_COPIES_MAX 2
#define IMPAIR_FRAME_HEADER 14 /* Ethernet; never damaged, and not counted by `mtu` */
#define IMPAIR_NO_FLIP UINT32_MAX
#define IMPAIR_DELAY_MAX (3600 * NANOS_S)

/* As the machine sees it. */
enum impair_direction {
	IMPAIR_TO,
	IMPAIR_FROM,
	IMPAIR_BOTH,
};
#define IMPAIR_DIRECTIONS 2                        /* that a packet can have */
extern const char *const impair_direction_names[]; /* "to", "from", "both" */

enum impair_distribution {
	IMPAIR_UNIFORM,      /* latency - jitter … latency + jitter */
	IMPAIR_NORMAL,       /* jitter is the standard deviation, as in the next two */
	IMPAIR_PARETO,       /* of shape 3 */
	IMPAIR_PARETONORMAL, /* a quarter normal, three quarters Pareto */
};
extern const char *const impair_distribution_names[];

enum impair_loss {
	IMPAIR_LOSS_NONE,
	IMPAIR_LOSS_RANDOM,
	IMPAIR_LOSS_GEMODEL,
	IMPAIR_LOSS_STATE,
};

/* All zero: nothing happens to a packet. */
struct impair_config {
	struct {
		nanos latency, jitter;
		double correlation; /* of one packet's delay with the next one's */
		enum impair_distribution distribution;
	} delay;
	struct {
		enum impair_loss model;
		double probability; /* random: share of packets */
		double correlation; /* random: of one packet's fate with the next one's */
		/* gemodel (Gilbert 1960, Elliott 1963): good to bad, bad to good, loss while bad
		 * (1-h), loss while good (1-k). A plain Gilbert model has 1 and 0 there. */
		double p, r, one_h, one_k;
		/* state (Salsano et al. 2012): 1 received, 2 received in a burst, 3 lost in a
		 * burst, 4 lost alone; p14 goes with 4 to 1 always. */
		double p13, p31, p32, p23, p14;
	} loss;
	double duplicate; /* a second copy right behind, with a delay of its own */
	double corrupt;   /* one bit flipped, anywhere behind the Ethernet header */
	struct {
		double probability; /* goes at once, past those that wait for their delay */
		double correlation;
		uint32_t gap; /* only each gap-th packet may; 0 and 1: each one */
	} reorder;
	struct {
		uint64_t bytes_per_s; /* 0: unlimited */
		uint64_t buffer;      /* bytes that may go at once after a pause (tbf: burst) */
		uint64_t limit; /* bytes that may wait; more is dropped; 0: as many as in 1 s */
	} rate;
	uint32_t mtu; /* bytes behind the Ethernet header; larger ones vanish; 0: any */
};

enum impair_drop {
	IMPAIR_PASS,
	IMPAIR_DROP_LOSS,
	IMPAIR_DROP_LIMIT, /* too many bytes wait for the rate */
	IMPAIR_DROP_MTU,
};
#define IMPAIR_DROPS 4

struct impair_verdict {
	enum impair_drop drop;
	uint32_t copies; /* 0 when dropped */
	nanos at[IMPAIR_COPIES_MAX];
	/* Bit of the frame, counted from 8 * IMPAIR_FRAME_HEADER on (bit b is bit b % 8 of byte
	 * b / 8), or IMPAIR_NO_FLIP. */
	uint32_t flip[IMPAIR_COPIES_MAX];
};

struct impair_counters {
	uint64_t seen;
	uint64_t dropped[IMPAIR_DROPS]; /* by reason; [IMPAIR_PASS] stays 0 */
	uint64_t duplicated;
	uint64_t corrupted; /* copies */
	uint64_t reordered; /* copies that went past their delay */
	uint64_t delayed;   /* copies that do not leave when they came */
};

/* Only its counters are for others. */
struct impair {
	struct impair_config config;
	struct impair_counters counters;
	uint64_t seed, stream;
	uint64_t number;     /* of the next packet */
	uint32_t loss_state; /* of the loss model; 0 is good */
	uint32_t gap;        /* packets since the last one that was put before others */
	double loss_draw, reorder_draw, delay_draw; /* the last ones, for correlation */
	nanos line;         /* when all that was taken in is on the wire; and its rest, */
	uint64_t line_part; /* in 1 / rate.bytes_per_s of a nanosecond */
	nanos buffer_time, limit_time; /* what rate.buffer and rate.limit take on the wire */
};

/* Is it within bounds and does it make sense? The error names the word that is wrong. */
int impair_check(const struct impair_config *config, struct error *e);
/* Nothing happens to any packet. */
bool impair_is_nothing(const struct impair_config *config);
/* The fate of each packet on the wire is its own, so that one of 64 KiB that is cut only later must
 * be cut before: anything but delay without jitter, rate and mtu. */
bool impair_needs_wire_packets(const struct impair_config *config);

/* The first packet is number 0. `config` must be what impair_check() found good; it is copied. */
void impair_open(struct impair *impair, const struct impair_config *config, uint64_t seed,
		 uint64_t stream);
/* Goes on with another config: packet numbers and counters go on, packets that are under way keep
 * their times. */
void impair_change(struct impair *impair, const struct impair_config *config);
/* The fate of the next packet, which comes at `now` and has `size` bytes. Times do not go back from
 * one call to the next. */
void impair_packet(struct impair *impair, nanos now, uint32_t size,
		   struct impair_verdict *ret_verdict);

/* A distribution in units of its jitter around its latency: the value at 0 < u < 1. What netem's
 * tables are filled from. */
double impair_quantile(enum impair_distribution distribution, double u);
/* Long-run share of packets that `loss` of the config loses. */
double impair_loss_share(const struct impair_config *config);

#endif
