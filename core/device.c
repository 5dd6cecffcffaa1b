/* SPDX-License-Identifier: Apache-2.0 */
/* The stand-in of a GPU: who it is, and what is in its file. */
#include "core/device.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/prng.h"

#define DOMAIN 0xffffu /* the upper half of a stand-in's PCI domain */
#define SERIAL_DIGITS 13

/* FNV-1a, 64 bits: Fowler, Noll, Vo; www.isthe.com/chongo/tech/comp/fnv. */
static uint64_t hash(const char *text)
{
	uint64_t value = UINT64_C(0xcbf29ce484222325);

	for (; *text; text++)
		value = (value ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return value;
}

static void open_stream(struct prng *prng, const char *run, uint32_t machine, uint32_t index)
{
	prng_open(prng, hash(run), 0, (uint64_t)machine << 32 | index, PRNG_DEVICE);
}

static void identify(struct prng *prng, const char *run, uint32_t machine, uint32_t index,
		     struct device_identity *ret)
{
	uint64_t high = prng_u64(prng), low = prng_u64(prng), word = hash(run);
	uint64_t serial = prng_below(prng, UINT64_C(9000000000000));

	*ret = (struct device_identity){.pci = ""};
	word ^= word >> 32;
	word ^= word >> 16;
	snprintf(ret->pci, sizeof(ret->pci), "%04x%04x:%02x:%02x", DOMAIN,
		 (unsigned)(word & 0xffff), (unsigned)(machine & 0xff), (unsigned)(index & 0xff));
	snprintf(ret->uuid, sizeof(ret->uuid),
		 "GPU-%08" PRIx64 "-%04" PRIx64 "-4%03" PRIx64 "-%04" PRIx64 "-%012" PRIx64,
		 high >> 32, high >> 16 & 0xffff, high & 0xfff, (low >> 48 & 0x3fff) | 0x8000,
		 low & UINT64_C(0xffffffffffff));
	snprintf(ret->serial, sizeof(ret->serial), "%0*" PRIu64, SERIAL_DIGITS,
		 serial + UINT64_C(1000000000000));
}

void device_identify(const char *run, uint32_t machine, uint32_t index, struct device_identity *ret)
{
	struct prng prng;

	open_stream(&prng, run, machine, index);
	identify(&prng, run, machine, index, ret);
}

void device_print(const char *run, uint32_t machine, uint32_t index,
		  unsigned char ret[DEVICE_BYTES])
{
	const struct device_state state = {.pace = DEVICE_PACE_FULL};
	struct device_identity identity;
	struct prng prng;
	int length;

	open_stream(&prng, run, machine, index);
	identify(&prng, run, machine, index, &identity);
	memset(ret, 0, DEVICE_BYTES);
	length = snprintf((char *)ret, DEVICE_STATE_AT,
			  DEVICE_MAGIC "pci: %s\nuuid: %s\nserial: %s\n", identity.pci,
			  identity.uuid, identity.serial);
	assert(length > 0 && length < DEVICE_STATE_AT);
	device_print_state(&state, ret + DEVICE_STATE_AT);
	for (size_t at = 0; at < DEVICE_WORK_BYTES; at += sizeof(uint64_t)) {
		uint64_t word = prng_u64(&prng);

		/* The same bytes on every machine. */
		for (size_t i = 0; i < sizeof(word); i++)
			ret[DEVICE_WORK_AT + at + i] = (unsigned char)(word >> 8 * i);
	}
}

/* The same bytes on every machine. */
static void put_word(uint32_t word, unsigned char *ret)
{
	for (size_t i = 0; i < sizeof(word); i++)
		ret[i] = (unsigned char)(word >> 8 * i);
}

static uint32_t get_word(const unsigned char *bytes)
{
	uint32_t word = 0;

	for (size_t i = 0; i < sizeof(word); i++)
		word |= (uint32_t)bytes[i] << 8 * i;
	return word;
}

void device_print_state(const struct device_state *state, unsigned char ret[DEVICE_STATE_BYTES])
{
	put_word(state->pace, ret);
	put_word(state->wrong, ret + sizeof(uint32_t));
}

void device_parse_state(const unsigned char bytes[DEVICE_STATE_BYTES], struct device_state *ret)
{
	struct device_state state = {.pace = get_word(bytes),
				     .wrong = get_word(bytes + sizeof(uint32_t))};

	if (state.pace == 0 || state.pace > DEVICE_PACE_FULL || state.wrong > DEVICE_PACE_FULL)
		state = (struct device_state){.pace = DEVICE_PACE_FULL};
	*ret = state;
}

/* The value of the next line, which must be `NAME: VALUE` and nothing else. */
static int take_line(const char **at, const char *end, const char *name, char *ret, size_t room)
{
	size_t length = strlen(name), size;
	const char *newline = memchr(*at, '\n', (size_t)(end - *at));

	if (!newline || (size_t)(newline - *at) < length + 3 || memcmp(*at, name, length) != 0 ||
	    memcmp(*at + length, ": ", 2) != 0)
		return -1;
	*at += length + 2;
	size = (size_t)(newline - *at);
	if (size >= room)
		return -1;
	for (size_t i = 0; i < size; i++)
		if ((unsigned char)(*at)[i] <= ' ' || (unsigned char)(*at)[i] >= 0x7f)
			return -1;
	memcpy(ret, *at, size);
	ret[size] = '\0';
	*at = newline + 1;
	return 0;
}

int device_parse(const unsigned char *bytes, size_t size, struct device_identity *ret)
{
	struct device_identity identity = {.pci = ""};
	const char *at = (const char *)bytes, *end = at + size;

	if (size < strlen(DEVICE_MAGIC) || memcmp(at, DEVICE_MAGIC, strlen(DEVICE_MAGIC)) != 0)
		return -1;
	at += strlen(DEVICE_MAGIC);
	if (take_line(&at, end, "pci", identity.pci, sizeof(identity.pci)) ||
	    take_line(&at, end, "uuid", identity.uuid, sizeof(identity.uuid)) ||
	    take_line(&at, end, "serial", identity.serial, sizeof(identity.serial)))
		return -1;
	*ret = identity;
	return 0;
}
