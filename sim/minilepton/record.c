/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the I/O log: parsing, printing, checksums, answers. */
#include "sim/minilepton/record.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/minilepton/options.h"

static uint32_t crc_portable(uint32_t crc, const unsigned char *bytes, size_t size)
{
	/* Four bits at a time, the polynomial 0x82f63b78 in reflected order. */
	static const uint32_t table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
		0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};

	for (size_t i = 0; i < size; i++) {
		crc ^= bytes[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t crc_fast(uint32_t crc, const unsigned char *bytes,
							   size_t size)
{
	uint64_t wide = crc, word;

	for (; size >= sizeof(word); size -= sizeof(word), bytes += sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		wide = __builtin_ia32_crc32di(wide, word);
	}
	crc = (uint32_t)wide;
	for (; size > 0; size--)
		crc = __builtin_ia32_crc32qi(crc, *bytes++);
	return crc;
}
#endif

uint32_t record_crc(const void *data, size_t size)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("sse4.2"))
		return ~crc_fast(0xffffffff, data, size);
#endif
	return ~crc_portable(0xffffffff, data, size);
}

void record_hex(const unsigned char *data, size_t size, char *ret_text)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < size; i++) {
		ret_text[2 * i] = digits[data[i] >> 4];
		ret_text[2 * i + 1] = digits[data[i] & 15];
	}
}

void record_answer(const unsigned char digest[RECORD_DIGEST_SIZE], const struct record *record,
		   char ret_answer[RECORD_ANSWER_SIZE])
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	EVP_MD_CTX *context = EVP_MD_CTX_new();

	if (!context || !EVP_DigestInit_ex(context, EVP_sha256(), NULL) ||
	    !EVP_DigestUpdate(context, digest, RECORD_DIGEST_SIZE) ||
	    !EVP_DigestUpdate(context, record->key, record->key_size) ||
	    !EVP_DigestUpdate(context, record->payload, record->payload_size) ||
	    !EVP_DigestFinal_ex(context, hash, NULL))
		abort(); /* only without memory */
	EVP_MD_CTX_free(context);
	record_hex(hash, RECORD_ANSWER_SIZE / 2, ret_answer);
}

/* The words of a line that are still unread. */
struct rest {
	const char *at, *end;
};

/* The next word and the blank behind it; at the end of the line a word may stand without one. */
static const char *word_next(struct rest *rest, size_t *ret_size)
{
	const char *word = rest->at;
	const char *blank = memchr(word, ' ', (size_t)(rest->end - word));

	*ret_size = (size_t)((blank ? blank : rest->end) - word);
	rest->at = blank ? blank + 1 : rest->end;
	return word;
}

static int hex_parse(const char *text, size_t size, size_t wanted, uint64_t *ret)
{
	uint64_t value = 0;

	if (size != wanted)
		return -1;
	for (size_t i = 0; i < size; i++) {
		char c = text[i];

		if (c >= '0' && c <= '9')
			value = value << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value << 4 | (uint64_t)(c - 'a' + 10);
		else
			return -1;
	}
	*ret = value;
	return 0;
}

static bool key_fits(const char *key, size_t size)
{
	if (size < 1 || size > RECORD_KEY_MAX)
		return false;
	for (size_t i = 0; i < size; i++)
		if ((unsigned char)key[i] <= ' ' || key[i] == 0x7f)
			return false;
	return true;
}

static int bad(struct error *e, const char *what)
{
	return error_set(e, ERROR_USAGE, NO_PLACE, "a record's %s", what);
}

static int parse(const char *text, size_t size, bool answered, struct record *ret, struct error *e)
{
	struct rest rest = {text, text + size};
	struct record record = {0};
	uint64_t crc, answer;
	const char *word;
	size_t length;

	word = word_next(&rest, &length);
	if (options_number(word, length, RECORD_SEQ_MAX, &record.seq))
		return bad(e, "SEQ is no number");
	record.key = word_next(&rest, &record.key_size);
	if (!key_fits(record.key, record.key_size))
		return bad(e, "KEY has 1 to 128 bytes without blanks");
	word = word_next(&rest, &length);
	if (options_number(word, length, UINT64_MAX, &record.epoch))
		return bad(e, "EPOCH is no number");
	word = word_next(&rest, &length);
	if (hex_parse(word, length, 8, &crc))
		return bad(e, "CRC32C is not 8 lower-case hexadecimal digits");
	record.crc = (uint32_t)crc;
	if (answered) {
		record.answer = word_next(&rest, &length);
		if (hex_parse(record.answer, length, RECORD_ANSWER_SIZE, &answer))
			return bad(e, "ANSWER is not 16 lower-case hexadecimal digits");
	}
	record.payload = rest.at;
	record.payload_size = (size_t)(rest.end - rest.at);
	if (record.payload_size > RECORD_PAYLOAD_MAX)
		return bad(e, "PAYLOAD has more than 65536 bytes");
	if (memchr(record.payload, '\n', record.payload_size) ||
	    memchr(record.payload, '\0', record.payload_size))
		return bad(e, "PAYLOAD is one line without a 0");
	record.crc_fits = record_crc(record.payload, record.payload_size) == record.crc;
	*ret = record;
	return 0;
}

int record_parse_body(const char *text, size_t size, struct record *ret, struct error *e)
{
	struct record record = {0};

	if (size > 0 && text[size - 1] == '\n')
		size--;
	if (parse(text, size, false, &record, e))
		return -1;
	if (!record.crc_fits)
		return bad(e, "CRC32C does not fit its PAYLOAD");
	*ret = record;
	return 0;
}

int record_parse_line(const char *text, size_t size, struct record *ret, struct error *e)
{
	return parse(text, size, true, ret, e);
}

int record_parse_seq(const char *text, size_t size, uint64_t *ret)
{
	const char *blank = memchr(text, ' ', size);

	return blank ? options_number(text, (size_t)(blank - text), RECORD_SEQ_MAX, ret) : -1;
}

size_t record_print(const struct record *record, char *buffer)
{
	char crc[9] = "BAD";
	int head;
	size_t used;

	if (record->crc_fits)
		snprintf(crc, sizeof(crc), "%08" PRIx32, record->crc);
	head = snprintf(buffer, RECORD_HEAD_MAX, "%" PRIu64 " %.*s %" PRIu64 " %s %.*s ",
			record->seq, (int)record->key_size, record->key, record->epoch, crc,
			RECORD_ANSWER_SIZE, record->answer);
	used = (size_t)head;
	memcpy(buffer + used, record->payload, record->payload_size);
	used += record->payload_size;
	buffer[used++] = '\n';
	return used;
}
