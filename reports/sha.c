/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 of bytes that come in pieces, and digests as lower-case hex. */
#include "reports/sha.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

/* SHA-256 itself cannot fail; what is left is memory, and without it the program ends with 3. */
static void must(int done)
{
	if (done == 1)
		return;
	fputs("drsim: out of memory\n", stderr);
	exit(3);
}

void sha_open(struct sha *sha)
{
	sha->context = EVP_MD_CTX_new();
	must(sha->context != NULL);
	must(EVP_DigestInit_ex(sha->context, EVP_sha256(), NULL));
}

void sha_close(struct sha *sha)
{
	EVP_MD_CTX_free(sha->context);
	sha->context = NULL;
}

void sha_begin(struct sha *sha)
{
	/* Without a type it is the same again, and nothing has to be looked up. */
	must(EVP_DigestInit_ex(sha->context, NULL, NULL));
}

void sha_add(struct sha *sha, const void *bytes, size_t size)
{
	must(EVP_DigestUpdate(sha->context, bytes, size));
}

void sha_end(struct sha *sha, uint8_t ret_digest[SHA_SIZE])
{
	must(EVP_DigestFinal_ex(sha->context, ret_digest, NULL));
}

void sha_of(const void *bytes, size_t size, uint8_t ret_digest[SHA_SIZE])
{
	must(EVP_Digest(bytes, size, ret_digest, NULL, EVP_sha256(), NULL));
}

const char *sha_hex(const uint8_t digest[SHA_SIZE], char out[SHA_HEX])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < SHA_SIZE; i++) {
		out[2 * i] = digits[digest[i] >> 4];
		out[2 * i + 1] = digits[digest[i] & 15];
	}
	out[SHA_HEX - 1] = '\0';
	return out;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool sha_parse(const char *hex, uint8_t ret_digest[SHA_SIZE])
{
	uint8_t digest[SHA_SIZE];

	for (size_t i = 0; i < SHA_SIZE; i++) {
		int high = digit(hex[2 * i]), low = high < 0 ? -1 : digit(hex[2 * i + 1]);

		if (low < 0)
			return false;
		digest[i] = (uint8_t)(high << 4 | low);
	}
	for (size_t i = 0; i < SHA_SIZE; i++)
		ret_digest[i] = digest[i];
	return true;
}
