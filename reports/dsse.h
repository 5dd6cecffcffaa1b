/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DSSE, the Dead Simple Signing Envelope: what is signed is the type and the bytes of the payload,
 * never a parsed form of them. An envelope is read only if it is byte for byte what would be
 * written for it: white space, the order of keys, padding bits of base64 and the unsigned key id
 * are not signed, and could otherwise be changed unseen.
 */
#ifndef REPORTS_DSSE_H
#define REPORTS_DSSE_H

#include "core/arena.h"
#include "core/error.h"
#include "reports/keys.h"

#define DSSE_TYPE "application/vnd.in-toto+json"
#define DSSE_PAYLOAD_MAX ((size_t)8 << 20)

struct envelope {
	const uint8_t *payload; /* followed by a 0 that does not count */
	size_t size;
	char key_id[SHA_HEX];
	uint8_t signature[KEYS_SIGNATURE];
};

/* "DSSEv1 TYPE-LENGTH TYPE LENGTH BODY": what the signature is over. */
uint8_t *dsse_pae(const char *type, const void *body, size_t size, struct arena *arena,
		  size_t *ret_size);
/* The payload signed, as one line of JSON without its end. */
const char *dsse_sign(const void *payload, size_t size, const struct signing_key *key,
		      struct arena *arena);
/* Reads one line without its end; nothing is verified. ERROR_IO says what is wrong with it. */
int dsse_read(const char *line, size_t size, struct arena *arena, struct envelope *ret_envelope,
	      struct error *e);
/* Is it signed with this key? */
bool dsse_verify(const struct envelope *envelope, const struct public_key *key,
		 struct arena *arena);

#endif
