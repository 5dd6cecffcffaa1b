/* SPDX-License-Identifier: Apache-2.0 */
/* The parameters that the faults of packets share: which of them, in which direction. */
#ifndef FAULTS_PACKETS_H
#define FAULTS_PACKETS_H

#include "faults/faults.h"

struct packets {
	const char *match;
	double correlation;
	int direction;
};

/* Rows for a struct of the fault's own whose first member is a struct packets. */
#define PACKETS_ROWS                                                                               \
	{.name = "direction",                                                                      \
	 .type = PARAM_CHOICE,                                                                     \
	 .offset = offsetof(struct packets, direction),                                            \
	 .preset = "both",                                                                         \
	 .choices = direction_names,                                                               \
	 .help = "Packets to the target, from it, or both."},                                      \
	{                                                                                          \
		.name = "match", .type = PARAM_TEXT, .offset = offsetof(struct packets, match),    \
		.preset = "", .help = "Only packets that this pcap-filter(7) expression matches."  \
	}
#define PACKETS_CORRELATION                                                                        \
	{                                                                                          \
		.name = "correlation", .type = PARAM_PERCENT,                                      \
		.offset = offsetof(struct packets, correlation), .preset = "0%", .min = 0,         \
		.max = 0.999999, .help = "Of a packet's fate with that of the one before."         \
	}

static inline struct impairment packets_choose(const struct packets *packets)
{
	return (struct impairment){
		.direction = (enum direction)packets->direction,
		.match = packets->match,
		.correlation = packets->correlation,
	};
}

/* A copy that lives as long as the effects do; NULL where it says nothing. */
static inline const struct impairment *packets_keep(struct effects *out,
						    const struct impairment *impairment)
{
	if (impairment->direction == DIRECTION_BOTH && !impairment->match &&
	    impairment->correlation <= 0 && impairment->distribution == DELAY_NORMAL &&
	    impairment->loss == LOSS_RANDOM && impairment->gap == 0)
		return NULL;
	return faults_keep(out, impairment, sizeof(*impairment));
}

#endif
