/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 of bytes that come in pieces, and digests in hex as `sha256sum` prints them. */
#ifndef REPORTS_SHA_H
#define REPORTS_SHA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHA_SIZE 32
#define SHA_HEX 65 /* with the 0 at its end */

struct evp_md_ctx_st;

/* One hash after another: begin, any number of adds, end. */
struct sha {
	struct evp_md_ctx_st *context;
};

/* Ends the program when there is no memory, as an arena does. */
void sha_open(struct sha *sha);
void sha_close(struct sha *sha);
void sha_begin(struct sha *sha);
void sha_add(struct sha *sha, const void *bytes, size_t size);
void sha_end(struct sha *sha, uint8_t ret_digest[SHA_SIZE]);

/* At once. */
void sha_of(const void *bytes, size_t size, uint8_t ret_digest[SHA_SIZE]);
const char *sha_hex(const uint8_t digest[SHA_SIZE], char out[SHA_HEX]);
/* Exactly 64 lower-case digits, of which nothing is said about what follows them. */
bool sha_parse(const char *hex, uint8_t ret_digest[SHA_SIZE]);

#endif
