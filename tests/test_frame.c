/* SPDX-License-Identifier: Apache-2.0 */
/* Large frames that are cut as a network card would, and checksums that are filled in. */
#include <linux/virtio_net.h>
#include <stdbool.h>
#include <string.h>

#include "drivers/linux/frame.h"
#include "tests/test.h"

#define ETHERNET 14
#define OPTIONS 12 /* a time stamp, as in all streams of Linux */
#define GSO_UDP 5

enum kind {
	TCP4,
	TCP6,
	UDP4,
	UDP6,
	KINDS
};

static uint32_t get16(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 8 | bytes[1];
}

static void put16(uint8_t *bytes, uint32_t value)
{
	bytes[0] = (uint8_t)(value >> 8);
	bytes[1] = (uint8_t)value;
}

/* Written without a look at the code under test: byte by byte, end-around carry at once. */
static uint32_t sum(const uint8_t *bytes, uint32_t size, uint32_t begin)
{
	for (uint32_t i = 0; i < size; i++) {
		begin += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
		begin = begin > 0xffff ? begin - 0xffff : begin;
	}
	return begin;
}

struct parts {
	bool tcp, ipv6;
	uint32_t network, transport, payload;
};

static struct parts parts_of(enum kind kind)
{
	struct parts parts = {
		.tcp = kind == TCP4 || kind == TCP6,
		.ipv6 = kind == TCP6 || kind == UDP6,
		.network = FRAME_HEADER + ETHERNET,
	};

	parts.transport = parts.network + (parts.ipv6 ? 40 : 20);
	parts.payload = parts.transport + (parts.tcp ? 20 + OPTIONS : 8);
	return parts;
}

static uint32_t pseudo(const uint8_t *bytes, const struct parts *parts, uint32_t size)
{
	const uint8_t *ip = bytes + parts->network;
	uint32_t begin = size - parts->transport + (parts->tcp ? 6 : 17);

	begin = begin > 0xffff ? begin - 0xffff : begin;
	return parts->ipv6 ? sum(ip + 8, 32, begin) : sum(ip + 12, 8, begin);
}

/* A frame with `payload` bytes, in packets of `segment`; returns its size. */
static uint32_t make(enum kind kind, uint32_t payload, uint32_t segment, uint8_t *out)
{
	const struct parts parts = parts_of(kind);
	uint32_t size = parts.payload + payload;
	struct virtio_net_hdr header = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = (uint8_t)(!parts.tcp     ? GSO_UDP
				      : kind == TCP4 ? VIRTIO_NET_HDR_GSO_TCPV4
						     : VIRTIO_NET_HDR_GSO_TCPV6),
		.gso_size = (uint16_t)segment,
		.csum_start = (uint16_t)(parts.transport - FRAME_HEADER),
		.csum_offset = parts.tcp ? 16 : 6,
	};

	for (uint32_t i = 0; i < size; i++)
		out[i] = (uint8_t)(i * 7 + i / 256);
	memcpy(out, &header, sizeof(header));
	put16(out + FRAME_HEADER + 12, parts.ipv6 ? 0x86dd : 0x0800);
	out[parts.network] = parts.ipv6 ? 0x60 : 0x45;
	if (parts.ipv6) {
		put16(out + parts.network + 4, size - parts.transport);
	} else {
		put16(out + parts.network + 2, size - parts.network);
		put16(out + parts.network + 4, 0xfffe); /* identification: about to wrap */
		put16(out + parts.network + 10, 0);
		put16(out + parts.network + 10, ~sum(out + parts.network, 20, 0) & 0xffff);
	}
	if (parts.tcp) {
		put16(out + parts.transport + 4, 0xffff); /* sequence: about to wrap */
		put16(out + parts.transport + 6, 0xfc00);
		out[parts.transport + 12] = (20 + OPTIONS) / 4 << 4;
		out[parts.transport + 13] = 0x99; /* CWR, ACK, PSH, FIN */
		put16(out + parts.transport + 16, pseudo(out, &parts, size));
	} else {
		put16(out + parts.transport + 4, size - parts.transport);
		put16(out + parts.transport + 6, pseudo(out, &parts, size));
	}
	return size;
}

/* As a receiver looks at it. */
static void check_packet(enum kind kind, uint8_t *bytes, uint32_t size)
{
	const struct parts parts = parts_of(kind);
	const struct virtio_net_hdr none = {0};

	frame_complete(bytes, size);
	ck_assert(memcmp(bytes, &none, sizeof(none)) == 0);
	if (parts.ipv6) {
		ck_assert_uint_eq(get16(bytes + parts.network + 4), size - parts.transport);
	} else {
		ck_assert_uint_eq(get16(bytes + parts.network + 2), size - parts.network);
		ck_assert_uint_eq(sum(bytes + parts.network, 20, 0), 0xffff);
	}
	if (!parts.tcp)
		ck_assert_uint_eq(get16(bytes + parts.transport + 4), size - parts.transport);
	ck_assert_uint_eq(
		sum(bytes + parts.transport, size - parts.transport, pseudo(bytes, &parts, size)),
		0xffff);
}

static void check_part(enum kind kind, const uint8_t *whole, const uint8_t *part,
		       const struct frame_large *large, uint32_t first, uint32_t count)
{
	const struct parts parts = parts_of(kind);
	const uint8_t *transport = part + parts.transport;
	struct virtio_net_hdr header;
	bool last = first + count == large->count;

	memcpy(&header, part, sizeof(header));
	ck_assert_int_eq(header.gso_type != 0, count > 1);
	if (!parts.ipv6)
		ck_assert_uint_eq(get16(part + parts.network + 4), (0xfffe + first) & 0xffff);
	if (!parts.tcp)
		return;
	ck_assert_uint_eq(get16(transport + 4) << 16 | get16(transport + 6),
			  0xfffffc00 + first * large->segment);
	ck_assert_uint_eq(transport[13], (first == 0 ? 0x80 : 0) | 0x10 | (last ? 0x09 : 0));
	ck_assert_mem_eq(transport + 20, whole + parts.transport + 20, OPTIONS);
}

START_TEST(each_packet_is_right)
{
	static uint8_t whole[FRAME_MAX], part[FRAME_MAX], collected[FRAME_MAX];
	static const uint32_t payloads[] = {2, 1449, 2896, 14479, 14480, 64000};
	const enum kind kind = (enum kind)_i;
	const struct parts parts = parts_of(kind);

	for (size_t p = 0; p < sizeof(payloads) / sizeof(payloads[0]); p++) {
		uint32_t segment = payloads[p] == 2 ? 1 : 1448, at = 0;
		uint32_t size = make(kind, payloads[p], segment, whole);
		struct frame_large large;

		ck_assert(frame_is_large(whole, size, &large));
		ck_assert_uint_eq(large.count, (payloads[p] + segment - 1) / segment);
		for (uint32_t i = 0; i < large.count; i++) {
			uint32_t length = frame_part(whole, &large, i, 1, part);

			ck_assert_uint_eq(length - FRAME_HEADER, frame_wire_size(&large, i));
			check_part(kind, whole, part, &large, i, 1);
			memcpy(collected + at, part + parts.payload, length - parts.payload);
			at += length - parts.payload;
			check_packet(kind, part, length);
		}
		ck_assert_uint_eq(at, payloads[p]);
		ck_assert_mem_eq(collected, whole + parts.payload, at);
	}
}
END_TEST

/* Cut in two steps it is the same as cut in one. */
START_TEST(parts_of_parts_are_the_same)
{
	static uint8_t whole[FRAME_MAX], run[FRAME_MAX], twice[FRAME_MAX], once[FRAME_MAX];
	const enum kind kind = (enum kind)_i;
	struct frame_large large, smaller;
	uint32_t size = make(kind, 40 * 1448 + 5, 1448, whole), length;

	ck_assert(frame_is_large(whole, size, &large));
	for (uint32_t first = 0; first < large.count; first += 3) {
		uint32_t count = large.count - first < 7 ? large.count - first : 7;

		length = frame_part(whole, &large, first, count, run);
		check_part(kind, whole, run, &large, first, count);
		if (count == 1) {
			ck_assert(!frame_is_large(run, length, &smaller));
			continue;
		}
		ck_assert(frame_is_large(run, length, &smaller));
		ck_assert_uint_eq(smaller.count, count);
		for (uint32_t i = 0; i < count; i++) {
			length = frame_part(run, &smaller, i, 1, twice);
			ck_assert_uint_eq(frame_part(whole, &large, first + i, 1, once), length);
			ck_assert_mem_eq(once, twice, length);
		}
	}
}
END_TEST

/* A sum of 0 is written as 0xffff: in UDP 0 means "none". */
START_TEST(a_sum_is_never_none)
{
	static uint8_t bytes[FRAME_MAX];
	const struct parts parts = parts_of(UDP4);
	uint32_t size = make(UDP4, 2, 0, bytes), rest;

	bytes[1] = 0; /* one packet */
	put16(bytes + parts.payload, 0);
	rest = sum(bytes + parts.transport, size - parts.transport, 0);
	put16(bytes + parts.payload, 0xffff - rest);
	ck_assert_uint_eq(sum(bytes + parts.transport, size - parts.transport, 0), 0xffff);
	frame_complete(bytes, size);
	ck_assert_uint_eq(get16(bytes + parts.transport + 6), 0xffff);
}
END_TEST

START_TEST(what_is_no_large_frame)
{
	static uint8_t bytes[FRAME_MAX];
	const struct parts parts = parts_of(TCP4);
	struct frame_large large;
	uint32_t size = make(TCP4, 1448, 1448, bytes);

	ck_assert(!frame_is_large(bytes, size, &large)); /* it fits into one */
	size = make(TCP4, 5000, 1448, bytes);
	ck_assert(frame_is_large(bytes, size, &large));
	for (uint32_t cut = 0; cut < parts.payload; cut++)
		ck_assert(!frame_is_large(bytes, cut, &large));
	bytes[parts.transport + 12] = 0x40; /* a header of 16 bytes */
	ck_assert(!frame_is_large(bytes, size, &large));
	make(TCP4, 5000, 1448, bytes);
	bytes[parts.network] = 0x46; /* options that the card does not know of */
	ck_assert(!frame_is_large(bytes, size, &large));
	make(TCP4, 5000, 1448, bytes);
	put16(bytes + FRAME_HEADER + 12, 0x0806);
	ck_assert(!frame_is_large(bytes, size, &large));
}
END_TEST

static void add_cases(Suite *suite)
{
	test_add_loop(suite, "packets", each_packet_is_right, KINDS);
	test_add_loop(suite, "parts", parts_of_parts_are_the_same, KINDS);
	test_add(suite, "none", a_sum_is_never_none);
	test_add(suite, "other", what_is_no_large_frame);
}

TEST_MAIN("frame", add_cases)
