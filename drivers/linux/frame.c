/* SPDX-License-Identifier: Apache-2.0 */
/* What a network card does with a large frame: cutting it and filling in checksums. */
#include "drivers/linux/frame.h"

#include <assert.h>
#include <linux/virtio_net.h>
#include <string.h>

#define ETHERNET 14
#define VLAN_TAG 4
#define VLAN_TAGS_MAX 2
#define IPV4_HEADER 20
#define IPV6_HEADER 40
#define TCP_HEADER 20
#define UDP_HEADER 8
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17
#define TCP_FIN 0x01
#define TCP_PSH 0x08
#define TCP_CWR 0x80
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4 /* headers older than Linux 6.2 */
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

static_assert(sizeof(struct virtio_net_hdr) == FRAME_HEADER, "the header of TAP devices");

static uint32_t get16(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 8 | bytes[1];
}

static void put16(uint8_t *bytes, uint32_t value)
{
	bytes[0] = (uint8_t)(value >> 8);
	bytes[1] = (uint8_t)value;
}

/* RFC 1071, not yet complemented. */
static uint64_t sum_of(const uint8_t *bytes, uint32_t size)
{
	uint64_t sum = 0;
	uint32_t i;

	for (i = 0; i + 1 < size; i += 2)
		sum += get16(bytes + i);
	return i < size ? sum + ((uint64_t)bytes[i] << 8) : sum;
}

static uint32_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint32_t)sum;
}

/* Where the IP header begins; 0: there is none. */
static uint32_t find_network(const uint8_t *bytes, uint32_t size, bool *ret_ipv6)
{
	uint32_t at = FRAME_HEADER + ETHERNET - 2, type;

	for (int tags = 0; tags <= VLAN_TAGS_MAX && at + 2 <= size; tags++) {
		type = get16(bytes + at);
		*ret_ipv6 = type == 0x86dd;
		if (type == 0x0800 || type == 0x86dd)
			return at + 2;
		if (type != 0x8100 && type != 0x88a8)
			return 0;
		at += VLAN_TAG;
	}
	return 0;
}

bool frame_is_large(const uint8_t *bytes, uint32_t size, struct frame_large *ret)
{
	struct virtio_net_hdr header;
	struct frame_large large = {0};
	uint32_t type, length;

	if (size < FRAME_HEADER)
		return false;
	memcpy(&header, bytes, sizeof(header));
	type = header.gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
	if (type == VIRTIO_NET_HDR_GSO_NONE || header.gso_size == 0 ||
	    !(header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return false;
	large.udp = type == VIRTIO_NET_HDR_GSO_UDP_L4;
	if (!large.udp && type != VIRTIO_NET_HDR_GSO_TCPV4 && type != VIRTIO_NET_HDR_GSO_TCPV6)
		return false;
	large.network = find_network(bytes, size, &large.ipv6);
	large.transport = FRAME_HEADER + header.csum_start;
	if (large.network == 0 || large.transport > size ||
	    large.transport < large.network + (large.ipv6 ? IPV6_HEADER : IPV4_HEADER) ||
	    size - large.transport < (large.udp ? UDP_HEADER : TCP_HEADER))
		return false;
	/* The header's own length goes up to the transport's: else its checksum would be of what
	 * is not it. */
	if (!large.ipv6 &&
	    large.transport != large.network + (uint32_t)(bytes[large.network] & 15) * 4)
		return false;
	length = large.udp ? UDP_HEADER : (uint32_t)(bytes[large.transport + 12] >> 4) * 4;
	if (length < UDP_HEADER || (!large.udp && length < TCP_HEADER) ||
	    size - large.transport < length)
		return false;
	large.headers = large.transport + length;
	large.payload = size - large.headers;
	large.segment = header.gso_size;
	large.count = (large.payload + large.segment - 1) / large.segment;
	if (large.count <= 1)
		return false;
	*ret = large;
	return true;
}

uint32_t frame_wire_size(const struct frame_large *large, uint32_t i)
{
	uint32_t payload = large->segment;

	assert(i < large->count);
	if (i == large->count - 1)
		payload = large->payload - i * large->segment;
	return large->headers - FRAME_HEADER + payload;
}

static void put_network(uint8_t *out, const struct frame_large *large, uint32_t first,
			uint32_t size)
{
	uint8_t *ip = out + large->network;

	if (large->ipv6) {
		put16(ip + 4, size - large->network - IPV6_HEADER);
		return;
	}
	put16(ip + 2, size - large->network);
	put16(ip + 4, get16(ip + 4) + first); /* identification: one more for each packet */
	put16(ip + 10, 0);
	put16(ip + 10, ~fold(sum_of(ip, large->transport - large->network)) & 0xffff);
}

/* As in a frame whose checksum is to be filled in: the pseudo header's sum, not complemented. */
static uint32_t pseudo_sum(const uint8_t *out, const struct frame_large *large, uint32_t size)
{
	const uint8_t *ip = out + large->network;
	uint64_t sum = (large->udp ? PROTOCOL_UDP : PROTOCOL_TCP) + (size - large->transport);

	return fold(sum + (large->ipv6 ? sum_of(ip + 8, 32) : sum_of(ip + 12, 8)));
}

static void put_transport(uint8_t *out, const struct frame_large *large, uint32_t first,
			  uint32_t count, uint32_t size)
{
	uint8_t *transport = out + large->transport;
	uint32_t sequence;

	if (large->udp) {
		put16(transport + 4, size - large->transport);
		put16(transport + 6, pseudo_sum(out, large, size));
		return;
	}
	sequence = (get16(transport + 4) << 16 | get16(transport + 6)) + first * large->segment;
	put16(transport + 4, sequence >> 16);
	put16(transport + 6, sequence & 0xffff);
	if (first + count < large->count)
		transport[13] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (first > 0)
		transport[13] &= (uint8_t)~TCP_CWR;
	put16(transport + 16, pseudo_sum(out, large, size));
}

uint32_t frame_part(const uint8_t *bytes, const struct frame_large *large, uint32_t first,
		    uint32_t count, uint8_t *out)
{
	struct virtio_net_hdr header;
	uint32_t from = first * large->segment, payload = count * large->segment, size;

	assert(count > 0 && first + count <= large->count);
	if (first + count == large->count)
		payload = large->payload - from;
	size = large->headers + payload;
	memcpy(&header, bytes, sizeof(header));
	header.hdr_len = (uint16_t)(large->headers - FRAME_HEADER);
	if (count == 1) {
		header.gso_type = VIRTIO_NET_HDR_GSO_NONE;
		header.gso_size = 0;
	} else if (first > 0) {
		header.gso_type &= (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
	}
	memcpy(out, bytes, large->headers);
	memcpy(out, &header, sizeof(header));
	memcpy(out + large->headers, bytes + large->headers + from, payload);
	put_network(out, large, first, size);
	put_transport(out, large, first, count, size);
	return size;
}

void frame_complete(uint8_t *bytes, uint32_t size)
{
	struct virtio_net_hdr header;
	uint32_t start, field, sum;

	if (size < FRAME_HEADER)
		return;
	memcpy(&header, bytes, sizeof(header));
	if (header.gso_type != VIRTIO_NET_HDR_GSO_NONE ||
	    !(header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return;
	start = FRAME_HEADER + (uint32_t)header.csum_start;
	field = start + header.csum_offset;
	if (start > size || field + 2 > size)
		return;
	sum = ~fold(sum_of(bytes + start, size - start)) & 0xffff;
	/* 0 means "none" in UDP, and the same number as 0xffff in all (RFC 768). */
	put16(bytes + field, sum == 0 ? 0xffff : sum);
	/* Whoever takes it from here has to check it. */
	memset(bytes, 0, sizeof(header));
}
