/* SPDX-License-Identifier: Apache-2.0 */
/* Envelopes: one canonical text, and nothing else. */
#include "reports/dsse.h"

#include <assert.h>
#include <openssl/evp.h>
#include <string.h>

/* All that stands between the four values. */
static const char before_payload[] = "{\"payload\":\"",
		  before_key[] =
			  "\",\"payloadType\":\"" DSSE_TYPE "\",\"signatures\":[{\"keyid\":\"",
		  before_signature[] = "\",\"sig\":\"", after_signature[] = "\"}]}";

#define BASE64_MAX(size) ((size) / 3 * 4 + 5) /* with what is left over, and a 0 */

uint8_t *dsse_pae(const char *type, const void *body, size_t size, struct arena *arena,
		  size_t *ret_size)
{
	const char *head = arena_printf(arena, "DSSEv1 %zu %s %zu ", strlen(type), type, size);
	size_t length = strlen(head);
	uint8_t *pae = arena_alloc(arena, length + size + 1);

	memcpy(pae, head, length);
	memcpy(pae + length, body, size);
	*ret_size = length + size;
	return pae;
}

static char *base64(const uint8_t *bytes, size_t size, struct arena *arena)
{
	char *text = arena_alloc(arena, BASE64_MAX(size));

	assert(size <= DSSE_PAYLOAD_MAX);
	EVP_EncodeBlock((unsigned char *)text, bytes, (int)size);
	return text;
}

static const char *envelope_text(const struct envelope *envelope, struct arena *arena)
{
	return arena_printf(arena, "%s%s%s%s%s%s%s", before_payload,
			    base64(envelope->payload, envelope->size, arena), before_key,
			    envelope->key_id, before_signature,
			    base64(envelope->signature, KEYS_SIGNATURE, arena), after_signature);
}

const char *dsse_sign(const void *payload, size_t size, const struct signing_key *key,
		      struct arena *arena)
{
	struct envelope envelope = {.payload = payload, .size = size};
	size_t length;
	uint8_t *pae = dsse_pae(DSSE_TYPE, payload, size, arena, &length);

	signing_key_sign(key, pae, length, envelope.signature);
	memcpy(envelope.key_id, key->id, SHA_HEX);
	return envelope_text(&envelope, arena);
}

/* ---- reading ---- */

static int refuse(struct error *e, const char *why)
{
	return error_set(e, ERROR_IO, NO_PLACE, "%s", why);
}

/* Steps over `text` at *at; false: something else is there. */
static bool skip(const char **at, const char *end, const char *text)
{
	size_t length = strlen(text);

	if ((size_t)(end - *at) < length || memcmp(*at, text, length) != 0)
		return false;
	*at += length;
	return true;
}

/* The base64 up to the next quote, in the arena; NULL: it is none. */
static uint8_t *take_base64(const char **at, const char *end, struct arena *arena, size_t *ret_size)
{
	const char *quote = memchr(*at, '"', (size_t)(end - *at));
	size_t length = quote ? (size_t)(quote - *at) : 0, padding = 0;
	uint8_t *bytes;
	int got;

	if (!quote || length % 4 != 0 || length > BASE64_MAX(DSSE_PAYLOAD_MAX))
		return NULL;
	while (padding < 2 && padding < length && quote[-1 - (ptrdiff_t)padding] == '=')
		padding++;
	bytes = arena_alloc(arena, length / 4 * 3 + 1);
	got = EVP_DecodeBlock(bytes, (const unsigned char *)*at, (int)length);
	if (got < 0 || (size_t)got < padding)
		return NULL;
	*ret_size = (size_t)got - padding;
	bytes[*ret_size] = 0;
	*at = quote;
	return bytes;
}

int dsse_read(const char *line, size_t size, struct arena *arena, struct envelope *ret_envelope,
	      struct error *e)
{
	static const char not_ours[] = "is no DSSE envelope in the form in which drsim writes it";
	const char *at = line, *end = line + size;
	struct envelope envelope = {0};
	uint8_t digest[SHA_SIZE], *signature;
	size_t length = 0;
	const char *again;

	if (!skip(&at, end, before_payload))
		return refuse(e, not_ours);
	envelope.payload = take_base64(&at, end, arena, &envelope.size);
	if (!envelope.payload || envelope.size > DSSE_PAYLOAD_MAX || !skip(&at, end, before_key))
		return refuse(e, not_ours);
	if ((size_t)(end - at) < SHA_HEX || !sha_parse(at, digest))
		return refuse(e, not_ours);
	sha_hex(digest, envelope.key_id);
	at += SHA_HEX - 1;
	if (!skip(&at, end, before_signature))
		return refuse(e, not_ours);
	signature = take_base64(&at, end, arena, &length);
	if (!signature || length != KEYS_SIGNATURE)
		return refuse(e, not_ours);
	memcpy(envelope.signature, signature, KEYS_SIGNATURE);
	/* The decoder is generous: what it took must be what would be written. */
	again = envelope_text(&envelope, arena);
	if (strlen(again) != size || memcmp(again, line, size) != 0)
		return refuse(e, not_ours);
	*ret_envelope = envelope;
	return 0;
}

bool dsse_verify(const struct envelope *envelope, const struct public_key *key, struct arena *arena)
{
	size_t size;
	uint8_t *pae = dsse_pae(DSSE_TYPE, envelope->payload, envelope->size, arena, &size);

	/* The id is not signed, but it must be this key's. */
	return strcmp(envelope->key_id, key->id) == 0 &&
	       public_key_verify(key, envelope->signature, pae, size);
}
