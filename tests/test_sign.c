/* SPDX-License-Identifier: Apache-2.0 */
/* The formats of signed runs: hashes, keys, envelopes, chains, statements, archives. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/report.h"
#include "reports/bundle.h"
#include "reports/chain.h"
#include "reports/dsse.h"
#include "reports/statement.h"
#include "reports/tar.h"
#include "tests/test.h"
#include "tests/workplace.h"

static struct arena arena;
/* A drill that passed all of three objectives. */
static struct {
	struct scenario scenario;
	struct record record;
} sample;

static void setup(void)
{
	workplace_enter("sign");
}

static void teardown(void)
{
	arena_free(&arena);
	arena = (struct arena){0};
	workplace_leave();
}

static void put(const char *name, const void *bytes, size_t size, mode_t mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
	close(fd);
}

static void put_text(const char *name, const char *text)
{
	put(name, text, strlen(text), 0644);
}

/* ---- hashes ---- */

START_TEST(hex)
{
	static const char *const bad[] = {
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85",
		"E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
		"g3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		" 3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", ""};
	uint8_t digest[SHA_SIZE], again[SHA_SIZE];
	char text[SHA_HEX];
	struct sha sha;

	/* FIPS 180-4's own examples. */
	sha_of("abc", 3, digest);
	ck_assert_str_eq(sha_hex(digest, text),
			 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	sha_of("", 0, digest);
	ck_assert_str_eq(sha_hex(digest, text),
			 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	ck_assert(sha_parse(text, again));
	ck_assert_mem_eq(digest, again, SHA_SIZE);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert(!sha_parse(bad[i], again));
	/* One after another, in pieces. */
	sha_open(&sha);
	for (int i = 0; i < 2; i++) {
		sha_begin(&sha);
		sha_add(&sha, "a", 1);
		sha_add(&sha, "bc", 2);
		sha_end(&sha, again);
		sha_of("abc", 3, digest);
		ck_assert_mem_eq(digest, again, SHA_SIZE);
	}
	sha_close(&sha);
}
END_TEST

/* ---- keys ---- */

/* RFC 8032, 7.1, test 1: the secret as PKCS#8 and the public key as SubjectPublicKeyInfo. */
static const uint8_t rfc_private[] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b,
				      0x65, 0x70, 0x04, 0x22, 0x04, 0x20, 0x9d, 0x61, 0xb1, 0x9d,
				      0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec,
				      0x2c, 0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19,
				      0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60};
static const uint8_t rfc_public[] = {
	0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00, 0xd7, 0x5a, 0x98,
	0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1,
	0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a};

static void put_pem(const char *name, const char *label, const uint8_t *der, size_t size)
{
	char base64[256], text[512];

	EVP_EncodeBlock((unsigned char *)base64, der, (int)size);
	snprintf(text, sizeof(text), "-----BEGIN %s-----\n%.64s%s%s\n-----END %s-----\n", label,
		 base64, strlen(base64) > 64 ? "\n" : "", strlen(base64) > 64 ? base64 + 64 : "",
		 label);
	put(name, text, strlen(text), 0600);
}

static void load_pair(struct signing_key *ret_private, struct public_key *ret_public)
{
	struct error e = {0};

	put_pem("rfc.key", "PRIVATE KEY", rfc_private, sizeof(rfc_private));
	put_pem("rfc.pub", "PUBLIC KEY", rfc_public, sizeof(rfc_public));
	ck_assert_msg(signing_key_load("rfc.key", ret_private, &e) == 0, "%s", e.text);
	ck_assert_msg(public_key_load("rfc.pub", ret_public, &e) == 0, "%s", e.text);
	ck_assert_str_eq(ret_private->id, ret_public->id);
}

START_TEST(rfc_8032)
{
	static const char expected[] =
		"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
		"5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
	uint8_t signature[KEYS_SIGNATURE], digest[SHA_SIZE];
	struct signing_key private;
	struct public_key public;
	char text[2 * KEYS_SIGNATURE + 1], id[SHA_HEX];

	load_pair(&private, &public);
	sha_of(rfc_public, sizeof(rfc_public), digest);
	ck_assert_str_eq(public.id, sha_hex(digest, id));
	signing_key_sign(&private, "", 0, signature);
	for (size_t i = 0; i < KEYS_SIGNATURE; i++)
		snprintf(text + 2 * i, 3, "%02x", signature[i]);
	ck_assert_str_eq(text, expected);
	ck_assert(public_key_verify(&public, signature, "", 0));
	ck_assert(!public_key_verify(&public, signature, "x", 1));
	for (size_t i = 0; i < KEYS_SIGNATURE; i++) {
		signature[i] ^= 1;
		ck_assert(!public_key_verify(&public, signature, "", 0));
		signature[i] ^= 1;
	}
	signing_key_close(&private);
	signing_key_close(&private); /* twice is once */
	public_key_close(&public);
}
END_TEST

/* The order of the group added to a signature's second half gives another signature of the same
 * text, which some libraries take. */
START_TEST(one_signature_only)
{
	static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a,       0x63,
					  0x12, 0x58, 0xd6, 0x9c, 0xf7,       0xa2,
					  0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
	uint8_t signature[KEYS_SIGNATURE];
	struct signing_key private;
	struct public_key public;
	unsigned carry = 0;

	load_pair(&private, &public);
	signing_key_sign(&private, "text", 4, signature);
	ck_assert(public_key_verify(&public, signature, "text", 4));
	for (size_t i = 0; i < 32; i++) {
		carry += signature[32 + i] + (unsigned)order[i];
		signature[32 + i] = (uint8_t)carry;
		carry >>= 8;
	}
	ck_assert(!public_key_verify(&public, signature, "text", 4));
	signing_key_close(&private);
	public_key_close(&public);
}
END_TEST

static void refused(const char *path, bool private, const char *why)
{
	struct signing_key signing = {0};
	struct public_key public = {0};
	struct error e = {0};
	int rc =
		private ? signing_key_load(path, &signing, &e) : public_key_load(path, &public, &e);

	ck_assert_int_eq(rc, -1);
	ck_assert_int_eq(e.kind, ERROR_USAGE);
	ck_assert_msg(strstr(e.text, why) != NULL, "%s: not '%s'", e.text, why);
}

START_TEST(wrong_keys)
{
	char *large = calloc(1, KEYS_FILE_MAX + 1);
	struct signing_key private;
	struct public_key public;
	struct error e = {0};

	load_pair(&private, &public);
	refused("nothing", true, "cannot read the key nothing: No such file");
	refused("nothing", false, "cannot read the key nothing: No such file");
	refused(".", true, "is a folder");
	refused("rfc.key", false, "is a private key");
	ck_assert_int_eq(chmod("rfc.pub", 0600), 0);
	refused("rfc.pub", true, "is a public key");
	put("empty", "", 0, 0600);
	refused("empty", true, "is no private key in PEM");
	refused("empty", false, "is no public key in PEM");
	memset(large, 'x', KEYS_FILE_MAX + 1);
	put("large", large, KEYS_FILE_MAX + 1, 0600);
	refused("large", true, "too large");
	refused("large", false, "too large");
	put("cut", "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1h\n", 52, 0600);
	refused("cut", true, "is no private key in PEM");
	/* What others may read is no secret. */
	ck_assert_int_eq(chmod("rfc.key", 0640), 0);
	refused("rfc.key", true, "others may read (mode 0640)");
	ck_assert_int_eq(chmod("rfc.key", 0604), 0);
	refused("rfc.key", true, "others may read (mode 0604)");
	ck_assert_int_eq(chmod("rfc.key", 0400), 0);
	ck_assert_int_eq(signing_key_load("rfc.key", &private, &e), 0);
	signing_key_close(&private);
	public_key_close(&public);
	free(large);
}
END_TEST

START_TEST(generates)
{
	char id[SHA_HEX] = "", other[SHA_HEX];
	struct signing_key private;
	struct public_key public;
	struct error e = {0};
	struct stat status;
	char *before, *after;

	umask(0);
	ck_assert_int_eq(keys_generate("keys", &arena, id, &e), 0);
	ck_assert_int_eq(stat("keys", &status), 0);
	ck_assert_int_eq(status.st_mode & 07777, 0700);
	ck_assert_int_eq(stat("keys/drsim.key", &status), 0);
	ck_assert_int_eq(status.st_mode & 07777, 0600);
	ck_assert_int_eq(stat("keys/drsim.pub", &status), 0);
	ck_assert_int_eq(status.st_mode & 07777, 0644);
	ck_assert_int_eq(signing_key_load("keys/drsim.key", &private, &e), 0);
	ck_assert_int_eq(public_key_load("keys/drsim.pub", &public, &e), 0);
	ck_assert_str_eq(private.id, id);
	ck_assert_str_eq(public.id, id);
	signing_key_close(&private);
	public_key_close(&public);
	/* Never again in the same place, whichever of the two is left. */
	before = workplace_read("keys/drsim.key");
	ck_assert_int_eq(keys_generate("keys", &arena, other, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_USAGE);
	ck_assert_int_eq(unlink("keys/drsim.pub"), 0);
	e = (struct error){0};
	ck_assert_int_eq(keys_generate("keys", &arena, other, &e), -1);
	after = workplace_read("keys/drsim.key");
	ck_assert_str_eq(before, after);
	ck_assert_int_eq(rename("keys/drsim.key", "keys/drsim.pub"), 0);
	e = (struct error){0};
	ck_assert_int_eq(keys_generate("keys", &arena, other, &e), -1);
	ck_assert_int_ne(access("keys/drsim.key", F_OK), 0);
	/* A link that leads elsewhere counts too. */
	ck_assert_int_eq(unlink("keys/drsim.pub"), 0);
	ck_assert_int_eq(symlink("nowhere", "keys/drsim.key"), 0);
	e = (struct error){0};
	ck_assert_int_eq(keys_generate("keys", &arena, other, &e), -1);
	ck_assert_int_ne(access("keys/nowhere", F_OK), 0);
	ck_assert_int_eq(unlink("keys/drsim.key"), 0);
	ck_assert_int_eq(keys_generate("keys", &arena, other, &e), 0);
	ck_assert_str_ne(id, other);
	free(before);
	free(after);
}
END_TEST

/* ---- envelopes ---- */

START_TEST(dsse_vector)
{
	static const char expected[] =
		"4DHX3Zn4qpBKvEj7maE8O9u9bjXEnPLLnyXVUJ2PXJR8DSLcL3QDpFvfJOj3"
		"pB/SPHsl6Jg4boxsMb6KvuYABw==";
	uint8_t signature[KEYS_SIGNATURE], *pae;
	struct signing_key private;
	struct public_key public;
	char base64[128];
	size_t size;

	load_pair(&private, &public);
	pae = dsse_pae("http://example.com/HelloWorld", "hello world", 11, &arena, &size);
	ck_assert_uint_eq(size, strlen("DSSEv1 29 http://example.com/HelloWorld 11 hello world"));
	ck_assert_mem_eq(pae, "DSSEv1 29 http://example.com/HelloWorld 11 hello world", size);
	signing_key_sign(&private, pae, size, signature);
	EVP_EncodeBlock((unsigned char *)base64, signature, sizeof(signature));
	ck_assert_str_eq(base64, expected);
	signing_key_close(&private);
	public_key_close(&public);
}
END_TEST

START_TEST(envelope)
{
	struct signing_key private;
	struct public_key public;
	struct envelope read;
	struct error e = {0};
	const char *line, *again;
	char text[64];

	load_pair(&private, &public);
	/* Every length of padding. */
	for (size_t size = 0; size < 8; size++) {
		line = dsse_sign("{\"a\":1}", size, &private, &arena);
		ck_assert_int_eq(dsse_read(line, strlen(line), &arena, &read, &e), 0);
		ck_assert_uint_eq(read.size, size);
		ck_assert_mem_eq(read.payload, "{\"a\":1}", size);
		ck_assert(dsse_verify(&read, &public, &arena));
	}
	line = dsse_sign("{\"a\":1}", 7, &private, &arena);
	again = dsse_sign("{\"a\":1}", 7, &private, &arena);
	ck_assert_str_eq(line, again);
	snprintf(text, sizeof(text), "{\"payload\":\"eyJhIjoxfQ==\",\"payloadType\":");
	ck_assert_int_eq(strncmp(line, text, strlen(text)), 0);
	/* Not one byte of it can be another one, missing, or one more. */
	for (size_t i = 0; i < strlen(line); i++) {
		char *changed = arena_printf(&arena, "%s ", line);
		size_t size = strlen(line);
		bool held;

		for (int c = 1; c < 128; c++) {
			if (line[i] == c)
				continue;
			changed[i] = (char)c;
			e = (struct error){0};
			held = dsse_read(changed, size, &arena, &read, &e) == 0 &&
			       dsse_verify(&read, &public, &arena);
			ck_assert_msg(!held, "byte %zu as %d", i, c);
		}
		memmove(changed + i, line + i + 1, size - i);
		e = (struct error){0};
		held = dsse_read(changed, size - 1, &arena, &read, &e) == 0;
		ck_assert_msg(!held, "without byte %zu", i);
		memcpy(changed, line, i);
		changed[i] = ' ';
		memcpy(changed + i + 1, line + i, size - i);
		e = (struct error){0};
		ck_assert_int_eq(dsse_read(changed, size + 1, &arena, &read, &e), -1);
		arena_reset(&arena);
		line = dsse_sign("{\"a\":1}", 7, &private, &arena);
	}
	signing_key_close(&private);
	public_key_close(&public);
}
END_TEST

/* ---- chains ---- */

#define LINES 5
static const char *const lines[LINES] = {"{\"seq\":0}\n", "{\"seq\":1}\n", "{\"seq\":2}\n",
					 "{\"seq\":3}\n", "{\"seq\":4}\n"};

/* h0 of the empty scenario's hash, seed 42, version "1.0", from the definition alone. */
START_TEST(origin)
{
	uint8_t text[13 + 32 + 8 + 3] = "drsim-log-v1\n", digest[SHA_SIZE], expected[SHA_SIZE],
				   zero[SHA_SIZE];

	sha_of("", 0, digest);
	memcpy(text + 13, digest, 32);
	memset(text + 45, 0, 8);
	text[52] = 42;
	memcpy(text + 53, "1.0", 3);
	sha_of(text, sizeof(text), expected);
	chain_origin(digest, 42, "1.0", zero);
	ck_assert_mem_eq(zero, expected, SHA_SIZE);
	/* The largest seed, and the order of its bytes. */
	for (int i = 0; i < 8; i++)
		text[45 + i] = (uint8_t)(0xf0 + i);
	sha_of(text, sizeof(text), expected);
	chain_origin(digest, 0xf0f1f2f3f4f5f6f7, "1.0", zero);
	ck_assert_mem_eq(zero, expected, SHA_SIZE);
}
END_TEST

/* Which line of which file is told, as `order` of the five lines; 9: one that was not signed. */
static const struct {
	const char *order;
	enum chain_difference difference;
	uint64_t line, missing;
} orders[] = {
	{"01234", CHAIN_SAME, 0, 0},    {"0123", CHAIN_MISSING, 5, 1},
	{"", CHAIN_MISSING, 1, 5},      {"1234", CHAIN_MISSING, 1, 1},
	{"04", CHAIN_MISSING, 2, 3},    {"01934", CHAIN_CHANGED, 3, 0},
	{"012934", CHAIN_ADDED, 4, 0},  {"901234", CHAIN_ADDED, 1, 0},
	{"012349", CHAIN_ADDED, 6, 0},  {"0123499", CHAIN_ADDED, 6, 0},
	{"10234", CHAIN_MOVED, 1, 1},   {"01243", CHAIN_MOVED, 4, 1},
	{"01334", CHAIN_MISSING, 3, 1}, {"01123", CHAIN_ADDED, 3, 0},
	{"43210", CHAIN_MISSING, 1, 4}, {"9", CHAIN_CHANGED, 1, 0},
	{"0123 ", CHAIN_CHANGED, 5, 0},
};

START_TEST(chain)
{
	struct chain_head head = {0};
	struct chain_hashes hashes;
	struct chain_check check;
	struct error e = {0};
	char text[256] = "", *written;

	for (size_t i = 0; i < LINES; i++)
		strcat(text, lines[i]);
	put_text("events.jsonl", text);
	memset(head.origin, 7, SHA_SIZE);
	ck_assert_int_eq(chain_write(".", &head, &e), 0);
	ck_assert_uint_eq(head.events, LINES);
	written = workplace_read("events.chain");
	ck_assert_uint_eq(strlen(written), LINES * SHA_HEX);
	chain_hashes_begin(&hashes, &arena);
	for (size_t i = 0; i < strlen(written); i++)
		chain_hashes_add(&hashes, written + i, 1);
	chain_hashes_end(&hashes);
	ck_assert_uint_eq(hashes.count, LINES);
	ck_assert_uint_eq(hashes.broken, 0);
	ck_assert_mem_eq(hashes.items[LINES - 1], head.last, SHA_SIZE);

	chain_check_begin(&check, head.origin, &hashes, &arena);
	for (const char *c = orders[_i].order; *c; c++) {
		const char *line = *c == '9'   ? "{\"seq\":9}\n"
				   : *c == ' ' ? "{\"seq\":4}"
					       : lines[*c - '0'];

		/* Pieces of any size are the same. */
		chain_check_add(&check, line, 3);
		chain_check_add(&check, line + 3, strlen(line) - 3);
	}
	chain_check_end(&check);
	ck_assert_int_eq(check.difference, orders[_i].difference);
	ck_assert_uint_eq(check.line, orders[_i].line);
	if (check.difference == CHAIN_MISSING)
		ck_assert_uint_eq(check.missing, orders[_i].missing);
	if (check.difference == CHAIN_SAME)
		ck_assert_mem_eq(check.last, head.last, SHA_SIZE);
	free(written);
}
END_TEST

START_TEST(chain_limits)
{
	char *line = malloc(CHAIN_LINE_MAX + 2);
	struct chain_head head = {0};
	struct chain_hashes hashes;
	struct chain_check check;
	struct error e = {0};

	memset(line, 'x', CHAIN_LINE_MAX + 1);
	line[CHAIN_LINE_MAX - 1] = '\n';
	put("events.jsonl", line, CHAIN_LINE_MAX, 0644);
	ck_assert_int_eq(chain_write(".", &head, &e), 0);
	line[CHAIN_LINE_MAX - 1] = 'x';
	line[CHAIN_LINE_MAX] = '\n';
	put("events.jsonl", line, CHAIN_LINE_MAX + 1, 0644);
	ck_assert_int_eq(chain_write(".", &head, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_LIMIT);
	ck_assert_ptr_nonnull(strstr(e.text, "events.jsonl:1: "));
	/* Read, it is another line than any that was signed. */
	chain_hashes_begin(&hashes, &arena);
	chain_hashes_end(&hashes);
	chain_check_begin(&check, head.origin, &hashes, &arena);
	chain_check_add(&check, line, CHAIN_LINE_MAX + 1);
	chain_check_end(&check);
	ck_assert_int_eq(check.difference, CHAIN_CHANGED);
	ck_assert_uint_eq(check.line, 1);
	free(line);
}
END_TEST

START_TEST(broken_hashes)
{
	static const char *const texts[] = {"abc", "abc\n",
					    "E3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca49599"
					    "1b7852b855\n",
					    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca49599"
					    "1b7852b855x",
					    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca49599"
					    "1b7852b855"};
	struct chain_hashes hashes;

	chain_hashes_begin(&hashes, &arena);
	chain_hashes_add(&hashes, texts[_i], strlen(texts[_i]));
	chain_hashes_end(&hashes);
	ck_assert_uint_eq(hashes.count, 0);
	ck_assert_uint_eq(hashes.broken, 1);
}
END_TEST

/* ---- names ---- */

START_TEST(names)
{
	static const char *const good[] = {"record.json", "plots/a b.svg", "ledger-\xc3\xa9.jsonl",
					   "..a",         "a/..b",         "...",
					   "a/b/c/d"};
	static const char *const bad[] = {"",      ".",           "..",     "/a",        "a/",
					  "a//b",  "../a",        "a/../b", "a/..",      "./a",
					  "a\nb",  "a\x7f",       "\xff",   "a/b/c/d/e", "\xc2\x85",
					  "a\x01", "\xed\xa0\x80"};
	char large[ARTEFACT_NAME_MAX + 1];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ck_assert_msg(artefact_name_ok(good[i]), "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!artefact_name_ok(bad[i]), "%s", bad[i]);
	memset(large, 'a', sizeof(large));
	large[ARTEFACT_NAME_MAX] = '\0';
	ck_assert(!artefact_name_ok(large));
	large[ARTEFACT_NAME_MAX - 1] = '\0';
	ck_assert(artefact_name_ok(large));
}
END_TEST

/* ---- statements ---- */

static struct subject subjects_of_a_run[] = {
	{.name = "events.chain"}, {.name = "events.jsonl"},  {.name = "plots/a.svg"},
	{.name = "record.json"},  {.name = "scenario.yaml"},
};

static struct subjects make_subjects(void)
{
	for (size_t i = 0; i < 5; i++)
		sha_of(subjects_of_a_run[i].name, strlen(subjects_of_a_run[i].name),
		       subjects_of_a_run[i].digest);
	return (struct subjects){subjects_of_a_run, 5};
}

static void make_record(void)
{
	struct record *record = &sample.record;
	uint8_t digest[SHA_SIZE];

	sample.scenario = (struct scenario){.name = "gpu_loss"};
	sha_of("scenario.yaml", 13, digest);
	sha_hex(digest, sample.scenario.sha256);
	*record = (struct record){
		.scenario = &sample.scenario,
		.id = "an-id",
		.kind = "simulated",
		.driver = "sim",
		.started = "2026-03-01T02:00:00Z",
		.seed = UINT64_MAX,
		.verdict = VERDICT_PASSED,
		.objective_count = 3,
		.log_events = 4711,
		.log_head = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	};
	for (size_t i = 0; i < 3; i++)
		record->objectives[i] = (struct objective_result){
			.name = (const char *[]){"frt", "brt", "availability"}[i],
			.unit = "s",
			.limit = 300,
			.quantile = NAN,
			.achieved = 212.4,
			.met = TRISTATE_TRUE,
		};
}

START_TEST(statement_of_the_drill)
{
	struct subjects subjects = make_subjects();
	struct statement read;
	struct error e = {0};
	const char *text;

	make_record();
	text = statement_write(STATEMENT_OF_DRILL, &subjects, &sample.record, &arena);
	ck_assert_msg(statement_read(STATEMENT_OF_DRILL, text, strlen(text), &arena, &read, &e) ==
			      0,
		      "%s", e.text);
	ck_assert_uint_eq(read.subjects.count, 5);
	for (size_t i = 0; i < 5; i++) {
		ck_assert_str_eq(read.subjects.items[i].name, subjects.items[i].name);
		ck_assert_mem_eq(read.subjects.items[i].digest, subjects.items[i].digest, SHA_SIZE);
	}
	ck_assert_ptr_eq(subject_find(&read.subjects, "plots/a.svg"), &read.subjects.items[2]);
	ck_assert_ptr_null(subject_find(&read.subjects, "plots"));
	ck_assert_str_eq(read.id, "an-id");
	ck_assert_str_eq(read.kind, "simulated");
	ck_assert_str_eq(read.verdict, verdict_names[sample.record.verdict]);
	ck_assert_uint_eq(read.seed, UINT64_MAX);
	ck_assert_uint_eq(read.head.events, 4711);
	/* The other statement is of another type. */
	ck_assert_int_eq(statement_read(STATEMENT_OF_TESTS, text, strlen(text), &arena, &read, &e),
			 -1);
}
END_TEST

static const cJSON *key(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

static cJSON *test_result(void)
{
	struct subjects subjects = make_subjects();
	const char *text = statement_write(STATEMENT_OF_TESTS, &subjects, &sample.record, &arena);
	cJSON *json = cJSON_Parse(text);
	struct statement read;
	struct error e = {0};

	ck_assert_msg(statement_read(STATEMENT_OF_TESTS, text, strlen(text), &arena, &read, &e) ==
			      0,
		      "%s", e.text);
	ck_assert_str_eq(key(json, "_type")->valuestring, "https://in-toto.io/Statement/v1");
	ck_assert_str_eq(key(json, "predicateType")->valuestring,
			 "https://in-toto.io/attestation/test-result/v0.1");
	return json;
}

static const char *result_of(enum verdict verdict, enum tristate first)
{
	const char *words[] = {"PASSED", "WARNED", "FAILED"}, *found = NULL;
	cJSON *json;

	sample.record.verdict = verdict;
	sample.record.objectives[0].met = first;
	json = test_result();
	for (size_t i = 0; i < 3; i++)
		if (strcmp(key(key(json, "predicate"), "result")->valuestring, words[i]) == 0)
			found = words[i];
	cJSON_Delete(json);
	return found;
}

START_TEST(statement_of_the_tests)
{
	const cJSON *predicate, *configuration, *passed;
	cJSON *json;

	make_record();
	json = test_result();
	predicate = key(json, "predicate");
	configuration = cJSON_GetArrayItem(key(predicate, "configuration"), 0);
	ck_assert_str_eq(key(configuration, "name")->valuestring, "scenario.yaml");
	ck_assert_str_eq(key(key(configuration, "digest"), "sha256")->valuestring,
			 sample.scenario.sha256);
	ck_assert_str_eq(key(key(configuration, "annotations"), "kind")->valuestring, "simulated");
	passed = key(predicate, "passedTests");
	ck_assert_int_eq(cJSON_GetArraySize(passed), (int)sample.record.objective_count);
	ck_assert_int_eq(cJSON_GetArraySize(key(predicate, "failedTests")), 0);
	ck_assert_int_eq(cJSON_GetArraySize(key(predicate, "warnedTests")), 0);
	/* Nobody takes a simulated one for a test of something real. */
	for (int i = 0; i < cJSON_GetArraySize(passed); i++)
		ck_assert_int_eq(
			strncmp(cJSON_GetArrayItem(passed, i)->valuestring, "simulated/", 10), 0);
	cJSON_Delete(json);
	ck_assert_str_eq(result_of(VERDICT_PASSED, TRISTATE_TRUE), "PASSED");
	ck_assert_str_eq(result_of(VERDICT_PASSED, TRISTATE_NULL), "WARNED");
	ck_assert_str_eq(result_of(VERDICT_FAILED, TRISTATE_FALSE), "FAILED");
	ck_assert_str_eq(result_of(VERDICT_INVALID, TRISTATE_NULL), "FAILED");
	ck_assert_str_eq(result_of(VERDICT_RESIDUE, TRISTATE_TRUE), "FAILED");
	ck_assert_str_eq(result_of(VERDICT_ABORTED, TRISTATE_TRUE), "FAILED");
}
END_TEST

/* A part of a statement, and what stands there instead. */
static const struct {
	const char *part, *instead, *why;
} tampered[] = {
	{"{\"_type\"", "[\"_type\"", "is not JSON"},
	{"Statement/v1", "Statement/v2", "is not of type"},
	{"drsim:dr-drill/v1", "drsim:dr-drill/v2", "is not of type"},
	{"plots/a.svg", "plots/../a.svg", "no file of a run"},
	{"plots/a.svg", "/etc/passwd", "no file of a run"},
	{"plots/a.svg", "attestation.intoto.jsonl", "no file of a run"},
	{"plots/a.svg", "a.svg", "in another order"},
	{"plots/a.svg", "events.jsonl", "in another order"},
	{"events.chain", "events.chaim", "does not have events.chain"},
	{"scenario.yaml", "scenario.yamm", "does not have scenario.yaml"},
	{"\"sha256\"", "\"sha512\"", "without a SHA-256"},
	{"\"seed\":\"18446744073709551615\"", "\"seed\":\"18446744073709551616\"", "what was run"},
	{"\"seed\":\"18446744073709551615\"", "\"seed\":\"07\"", "what was run"},
	{"\"seed\":\"18446744073709551615\"", "\"seed\":7", "what was run"},
	{"an-id", "an/id", "what was run"},
	{"\"verdict\":", "\"virdict\":", "what was run"},
	{"drsim-log-v1", "drsim-log-v2", "how the events end"},
	{"\"events\":4711", "\"events\":-1", "how the events end"},
	{"\"events\":4711", "\"events\":47.5", "how the events end"},
	{"\"events\":4711", "\"events\":1e300", "how the events end"},
	{"\"events\":4711", "\"events\":\"4711\"", "how the events end"},
	{"\"scenario_sha256\":\"", "\"scenario_sha256\":\"0", "another scenario"},
	{"\"head\":\"e3", "\"head\":\"E3", "how the events end"},
};

START_TEST(tampered_statements)
{
	struct subjects subjects = make_subjects();
	const char *text, *at, *changed;
	struct statement read;
	struct error e = {0};

	make_record();
	text = statement_write(STATEMENT_OF_DRILL, &subjects, &sample.record, &arena);
	at = strstr(text, tampered[_i].part);
	ck_assert_msg(at != NULL, "%s", text);
	changed = arena_printf(&arena, "%.*s%s%s", (int)(at - text), text, tampered[_i].instead,
			       at + strlen(tampered[_i].part));
	ck_assert_int_eq(
		statement_read(STATEMENT_OF_DRILL, changed, strlen(changed), &arena, &read, &e),
		-1);
	ck_assert_msg(strstr(e.text, tampered[_i].why) != NULL, "%s: not '%s'", e.text,
		      tampered[_i].why);
}
END_TEST

/* ---- archives ---- */

struct memory {
	uint8_t bytes[16384];
	size_t size, at;
};

static int give(void *self, void *bytes, size_t size, size_t *ret_got, struct error *e)
{
	struct memory *memory = self;
	size_t left = memory->size - memory->at;

	(void)e;
	*ret_got = size < left ? size : left;
	memcpy(bytes, memory->bytes + memory->at, *ret_got);
	memory->at += *ret_got;
	return 0;
}

static void add_file(struct memory *memory, const char *root, const char *name, const char *text)
{
	struct error e = {0};

	ck_assert_msg(tar_header(root, name, strlen(text), memory->bytes + memory->size, &e) == 0,
		      "%s", e.text);
	memcpy(memory->bytes + memory->size + TAR_BLOCK, text, strlen(text));
	memory->size += (size_t)tar_room(strlen(text));
}

/* Files read, or -1 with the reason in *e. */
static int read_all(struct memory *memory, struct error *e)
{
	struct tar_reader tar = {.read = give, .self = memory};
	int files = 0, rc;

	memory->at = 0;
	while ((rc = tar_next(&tar, e)) > 0) {
		char text[64] = "";
		size_t got = 0;

		if (tar_read(&tar, text, sizeof(text), &got, e))
			return -1;
		ck_assert_uint_le(got, tar.size);
		files++;
	}
	return rc < 0 ? -1 : files;
}

START_TEST(archive)
{
	struct memory memory = {0};
	struct error e = {0};
	size_t end;

	add_file(&memory, "id", "a", "one");
	add_file(&memory, "id", "b/c", "");
	add_file(&memory, "id", "b/d", "three");
	end = memory.size;
	memory.size += TAR_END;
	ck_assert_msg(read_all(&memory, &e) == 3, "%s", e.text);
	/* Every bit of it counts. */
	for (size_t i = 0; i < memory.size; i++) {
		bool content = (i >= 512 && i < 515) || (i >= 2048 && i < 2053);

		memory.bytes[i] ^= 0x10;
		e = (struct error){0};
		ck_assert_msg(content == (read_all(&memory, &e) == 3), "byte %zu", i);
		memory.bytes[i] ^= 0x10;
	}
	for (size_t size = 0; size < end + TAR_END; size += 256) {
		memory.size = size;
		e = (struct error){0};
		ck_assert_int_eq(read_all(&memory, &e), -1);
	}
	memory.size = end + TAR_END + 1;
	e = (struct error){0};
	ck_assert_int_eq(read_all(&memory, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.text, "behind the end"));
}
END_TEST

static const struct {
	const char *root, *first, *other_root, *second, *why;
} hostile[] = {
	{"id", "../evil", NULL, NULL, "not one of a run"},
	{"id", "/etc/cron.d/evil", NULL, NULL, "not one"},
	{"id", "a/../../evil", NULL, NULL, "not one of a run"},
	{"id", "a/./b", NULL, NULL, "not one of a run"},
	{"id", "a\nb", NULL, NULL, "not one of a run"},
	{"..", "evil", NULL, NULL, "not one of a run"},
	{"", "evil", NULL, NULL, "not one of a run"},
	{"id", "", NULL, NULL, "not one of a run"},
	{"id", "a", "other", "b", "more than one folder"},
	{"id", "b", "id", "a", "in the order of their names"},
	{"id", "a", "id", "a", "in the order of their names"},
};

START_TEST(hostile_archives)
{
	struct memory memory = {0};
	struct error e = {0};

	add_file(&memory, hostile[_i].root, hostile[_i].first, "text");
	if (hostile[_i].second)
		add_file(&memory, hostile[_i].other_root, hostile[_i].second, "text");
	memory.size += TAR_END;
	ck_assert_int_eq(read_all(&memory, &e), -1);
	ck_assert_msg(strstr(e.text, hostile[_i].why) != NULL, "%s", e.text);
}
END_TEST

START_TEST(archive_limits)
{
	uint8_t header[TAR_BLOCK];
	char name[TAR_NAME_MAX + 2];
	struct error e = {0};

	memset(name, 'n', sizeof(name));
	name[TAR_NAME_MAX] = '\0';
	ck_assert_int_eq(tar_header("id", name, TAR_FILE_MAX, header, &e), 0);
	ck_assert_int_eq(tar_header("id", name, TAR_FILE_MAX + 1, header, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_LIMIT);
	name[TAR_NAME_MAX] = 'n';
	name[TAR_NAME_MAX + 1] = '\0';
	e = (struct error){0};
	ck_assert_int_eq(tar_header("id", name, 1, header, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_LIMIT);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test, int count)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test, 0, count);
	suite_add_tcase(suite, tcase);
}

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))

static void add_cases(Suite *suite)
{
	add(suite, "hex", hex, 1);
	add(suite, "rfc 8032", rfc_8032, 1);
	add(suite, "one signature only", one_signature_only, 1);
	add(suite, "wrong keys", wrong_keys, 1);
	add(suite, "generates", generates, 1);
	add(suite, "dsse vector", dsse_vector, 1);
	add(suite, "envelope", envelope, 1);
	add(suite, "origin", origin, 1);
	add(suite, "chain", chain, COUNT(orders));
	add(suite, "chain limits", chain_limits, 1);
	add(suite, "broken hashes", broken_hashes, 5);
	add(suite, "names", names, 1);
	add(suite, "statement, drill", statement_of_the_drill, 1);
	add(suite, "statement, tests", statement_of_the_tests, 1);
	add(suite, "tampered statements", tampered_statements, COUNT(tampered));
	add(suite, "archive", archive, 1);
	add(suite, "hostile archives", hostile_archives, COUNT(hostile));
	add(suite, "archive limits", archive_limits, 1);
}

TEST_MAIN("sign", add_cases)
