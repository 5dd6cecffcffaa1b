/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much goes through the wire from one network namespace to another: a moment of UDP as fast as
 * it can be sent, and what of it arrives. Between namespaces that we made only.
 */
#ifndef DRIVERS_LINUX_FLOOD_H
#define DRIVERS_LINUX_FLOOD_H

#include <stdint.h>

#include "core/clock.h"
#include "core/error.h"

#define FLOOD_BYTES 1400              /* of a packet */
#define FLOOD_MAX ((uint64_t)1 << 28) /* bytes sent at most */

/* From the namespace `from` to `address` (IPv4, network order), which is one of the namespace `to`,
 * for so long. *ret_rate: bytes a second between the first and the last packet that arrived, 0 when
 * hardly any did. */
int flood_measure(int from, int to, uint32_t address, nanos time, double *ret_rate,
		  struct error *e);

#endif
