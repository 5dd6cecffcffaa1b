/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys that runs are signed with: Ed25519 (RFC 8032), in the files that every other tool reads. A
 * private key is a PKCS#8 PEM, a public one a SubjectPublicKeyInfo PEM. A key is known by its id:
 * the SHA-256 of the public key's DER (`openssl pkey -pubin -outform DER | sha256sum`).
 *
 * No byte of a private key is printed, and none of a wrong one is quoted. While a drill runs, the
 * key waits in a page of its own that is not written to a core dump or, where the system allows it,
 * to swap, and that processes forked for the drill do not get. It is wiped when it is given back.
 */
#ifndef REPORTS_KEYS_H
#define REPORTS_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/error.h"
#include "reports/sha.h"

#define KEYS_SIGNATURE 64        /* bytes of a signature */
#define KEYS_FILE_MAX 16384      /* a larger file is no key */
#define KEYS_PRIVATE "drsim.key" /* what keys_generate() makes */
#define KEYS_PUBLIC "drsim.pub"

struct evp_pkey_st;

struct public_key {
	struct evp_pkey_st *key;
	char id[SHA_HEX];
};

struct signing_key {
	uint8_t *secret; /* 32 bytes, alone in their page */
	char id[SHA_HEX];
};

/* All errors are ERROR_USAGE: nothing is signed with, or held against, a key in doubt. */
int public_key_load(const char *path, struct public_key *ret_key, struct error *e);
void public_key_close(struct public_key *key);
/* Is `signature` this key's over the bytes? */
bool public_key_verify(const struct public_key *key, const uint8_t signature[KEYS_SIGNATURE],
		       const void *bytes, size_t size);

/* A file of the user's own that others may read is refused, as ssh does. */
int signing_key_load(const char *path, struct signing_key *ret_key, struct error *e);
/* Wipes it. */
void signing_key_close(struct signing_key *key);
void signing_key_sign(const struct signing_key *key, const void *bytes, size_t size,
		      uint8_t ret_signature[KEYS_SIGNATURE]);

/*
 * A new pair in `folder`, which is made (mode 0700) when it is not there: drsim.key (0600) and
 * drsim.pub. Never replaces a file: ERROR_USAGE when either is there. ERROR_IO leaves neither.
 */
int keys_generate(const char *folder, struct arena *arena, char ret_id[SHA_HEX], struct error *e);

#endif
