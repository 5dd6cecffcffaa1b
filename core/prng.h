/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random numbers by purpose: Philox4x64-10 (Random123; Salmon et al., SC'11) keyed by (seed, trial)
 * and counted by (entity, purpose, draw). One stream per purpose, so that adding a step or a thread
 * shifts no other stream.
 */
#ifndef CORE_PRNG_H
#define CORE_PRNG_H

#include <stdint.h>

/* What a stream is drawn for. Append only: the numbers are part of a run's bytes. */
enum prng_purpose {
	PRNG_STEP_TIME = 1, /* entity: step */
	PRNG_STEP_TARGET,   /* select: one | N; entity: step */
	PRNG_STEP_DURATION, /* for: a distribution; entity: step */
	PRNG_FAULT,         /* inside a fault's plan(); entity: step */
	PRNG_PHASE,         /* start phase of periodic activities; entity: which */
	PRNG_PROBE,         /* losses and latencies of probes; entity: detector */
	PRNG_DETECTOR,      /* false faults; entity: detector */
	PRNG_BACKUP,        /* failures of backups; entity: policy */
	PRNG_DECIDE,
	PRNG_SWITCH,
	PRNG_FENCE,
	PRNG_REPAIR,
	PRNG_COVERAGE,
	PRNG_START, /* entity: domain, component or replica */
	PRNG_ARRIVAL,
	PRNG_SERVICE,
	PRNG_ROUTE,          /* single requests; entity: endpoint */
	PRNG_FAILURE,        /* when a failure of a long run comes; entity: row */
	PRNG_STEP_CHANCE,    /* does this occurrence come: probability; entity: step */
	PRNG_FAILURE_TARGET, /* what it hits; entity: row */
	PRNG_FAILURE_FAULT,  /* inside its fault's plan(); entity: row */
	PRNG_LEMONS,         /* which nodes fail more often */
	PRNG_JOB,            /* restart times; entity: job */
	PRNG_PAYLOAD,        /* what a real drill's client writes; entity: sequence number */
	PRNG_CALIBRATION,    /* which measured run a calibrated trial is like */
	PRNG_PLACE, /* which bytes a driver damages; entity: injection */
	PRNG_SYSCALL, /* which calls a rule hits; entity: the rule's */
	PRNG_PACKET, /* the fate of a packet; entity: its number */
	PRNG_DEVICE, /* what is in a stand-in GPU's file; entity: machine and index */
	PRNG_STORAGE, /* chance and jitter of a storage fault; entity: its number */
	PRNG_BITFLIP, /* which bits of a block are read flipped; entity: file and block */
	PRNG_TEST = 1000,
};

struct prng {
	uint64_t key[2];     /* seed, trial */
	uint64_t counter[4]; /* entity, purpose, block of draws, 0 */
	uint64_t buffer[4];
	uint32_t left; /* unread words of buffer */
	uint32_t have_normal;
	double normal; /* second half of the last pair of normal draws */
};

/* Start a stream. The same five numbers always give the same draws on every machine. */
void prng_open(struct prng *prng, uint64_t seed, uint64_t trial, uint64_t entity,
	       enum prng_purpose purpose);
uint64_t prng_u64(struct prng *prng);
/* Uniform in the open interval (0, 1), 53 bits: log() of it is always finite. */
double prng_uniform(struct prng *prng);
/* Uniform integer in [0, n), n > 0, without modulo bias. */
uint64_t prng_below(struct prng *prng, uint64_t n);
/* Standard normal (mean 0, deviation 1). */
double prng_normal(struct prng *prng);

#endif
