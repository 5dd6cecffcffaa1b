/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames as TAP devices and packet sockets give them: a struct virtio_net_hdr, then an Ethernet
 * frame, which may be a large one that the network card is meant to cut (TSO, USO) and whose
 * checksum it is meant to fill in. What the card would do is done here.
 *
 * Pure functions; `bytes` begins with the header. Frames come from other programs: whatever is in
 * them, nothing outside of `size` is touched.
 */
#ifndef DRIVERS_LINUX_FRAME_H
#define DRIVERS_LINUX_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#define FRAME_HEADER 10 /* struct virtio_net_hdr */
/* Header, Ethernet with two tags, and the largest packet that IP can have. */
#define FRAME_MAX (FRAME_HEADER + 22 + 65535)

/* A large frame and the packets that it stands for. */
struct frame_large {
	uint32_t network, transport; /* where the IP and the TCP or UDP header begin */
	uint32_t headers;            /* bytes before the payload, FRAME_HEADER included */
	uint32_t payload;            /* bytes in all */
	uint32_t segment;            /* bytes in each packet but the last */
	uint32_t count;              /* of packets, at least 1 */
	bool udp, ipv6;
};

/* false: it is one packet, or nothing that can be cut. */
bool frame_is_large(const uint8_t *bytes, uint32_t size, struct frame_large *ret);
/* Size on the wire of its packet i, without FRAME_HEADER. */
uint32_t frame_wire_size(const struct frame_large *large, uint32_t i);
/* Writes packets first … first + count - 1 as one frame, large again if count > 1; returns its
 * size, at most that of the whole. `out` must not overlap. */
uint32_t frame_part(const uint8_t *bytes, const struct frame_large *large, uint32_t first,
		    uint32_t count, uint8_t *out);
/* Fills in the checksum that the card is meant to, if there is one, so that bits can be flipped
 * that a receiver then notices. Not for large frames. */
void frame_complete(uint8_t *bytes, uint32_t size);

#endif
