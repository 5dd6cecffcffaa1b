/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of the I/O log: what a client writes, `SEQ KEY EPOCH CRC32C PAYLOAD`, and what a replica
 * keeps of it, `SEQ KEY EPOCH CRC32C ANSWER PAYLOAD`. One line each, one blank between two words.
 */
#ifndef SIM_MINILEPTON_RECORD_H
#define SIM_MINILEPTON_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

#define RECORD_SEQ_MAX ((uint64_t)INT64_MAX)
#define RECORD_KEY_MAX 128
#define RECORD_PAYLOAD_MAX ((size_t)64 << 10)
#define RECORD_ANSWER_SIZE 16 /* hexadecimal digits */
/* Two numbers of 20 digits, a CRC, an answer, five blanks and the newline. */
#define RECORD_HEAD_MAX (20 + RECORD_KEY_MAX + 20 + 8 + RECORD_ANSWER_SIZE + 5 + 1)
#define RECORD_LINE_MAX (RECORD_HEAD_MAX + RECORD_PAYLOAD_MAX)
#define RECORD_DIGEST_SIZE 32

/* Texts are not ended by a 0; they point into what was parsed. */
struct record {
	uint64_t seq, epoch;
	const char *key, *answer, *payload; /* answer: NULL in what a client writes */
	size_t key_size, payload_size;
	uint32_t crc; /* as written; of the payload */
	bool crc_fits;
};

/* A body of POST /predict; one newline at its end is no part of it. ERROR_USAGE, also when the CRC
 * does not fit. */
int record_parse_body(const char *text, size_t size, struct record *ret, struct error *e);
/* A line of a log, without its newline. A CRC that does not fit is told in the record. */
int record_parse_line(const char *text, size_t size, struct record *ret, struct error *e);
/* The sequence number that a line begins with. */
int record_parse_seq(const char *text, size_t size, uint64_t *ret);
/*
 * The record as a line with its newline, in `buffer` of RECORD_HEAD_MAX + payload_size bytes;
 * returns the length. A CRC that does not fit is written as `BAD`.
 */
size_t record_print(const struct record *record, char *buffer);

/* CRC-32C (Castagnoli), as iSCSI has it: RFC 3720, appendix B.4. */
uint32_t record_crc(const void *data, size_t size);
/* The first RECORD_ANSWER_SIZE digits of SHA-256(weights' digest, key, payload), without a 0. */
void record_answer(const unsigned char digest[RECORD_DIGEST_SIZE], const struct record *record,
		   char ret_answer[RECORD_ANSWER_SIZE]);
/* Lower-case digits, without a 0 at the end. */
void record_hex(const unsigned char *data, size_t size, char *ret_text);

#endif
