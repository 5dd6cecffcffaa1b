/* SPDX-License-Identifier: Apache-2.0 */
/* At which sequence numbers adapter_plain misbehaves, for it and for the test. */
#ifndef TESTS_ADAPTER_PLAIN_H
#define TESTS_ADAPTER_PLAIN_H

#include <stdbool.h>
#include <stdint.h>

enum plain_fate {
	PLAIN_GOOD,
	PLAIN_REFUSES, /* fail */
	PLAIN_FORGETS, /* ok, but not kept */
	PLAIN_DIES,    /* kept, then exits without an answer */
	PLAIN_HANGS,   /* never answers anything again */
	PLAIN_BABBLES, /* kept, then a line that is not of the protocol */
	PLAIN_TWICE,   /* tagged: acknowledged by a and by b */
};

#define PLAIN_DIES_AT 300
#define PLAIN_HANGS_AT 600
#define PLAIN_BABBLES_AT 1800 /* well after what it swallowed while it hung */

static inline enum plain_fate plain_fate(uint64_t sequence, bool tagged)
{
	if (sequence == PLAIN_DIES_AT)
		return PLAIN_DIES;
	if (sequence == PLAIN_HANGS_AT)
		return PLAIN_HANGS;
	if (sequence == PLAIN_BABBLES_AT)
		return PLAIN_BABBLES;
	if (sequence % 50 == 7)
		return PLAIN_REFUSES;
	if (sequence % 50 == 17)
		return PLAIN_FORGETS;
	if (tagged && sequence % 50 == 27)
		return PLAIN_TWICE;
	return PLAIN_GOOD;
}

#endif
