/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger: 24 bytes a write in chunks, everything else follows from seed and sequence number. */
#include "drivers/host/ledger.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "core/prng.h"

#define CHUNK ((uint64_t)1 << 14) /* records; the lock is held for one at a time */
#define CHUNKS (LEDGER_RECORDS_MAX / CHUNK)
#define COUNT_MAX UINT8_MAX
#define NO_REPLICA UINT16_MAX
#define KEY_SPREAD 0x9e3779b97f4a7c15u /* 2^64 / golden ratio: neighbours get keys far apart */

const char *const ledger_state_names[LEDGER_STATES] = {
	[LEDGER_UNSENT] = "unsent",
	[LEDGER_OK] = "ok",
	[LEDGER_FAIL] = "fail",
	[LEDGER_UNKNOWN] = "unknown",
};

const char *const ledger_verdict_names[LEDGER_VERDICTS] = {
	[LEDGER_UNREAD] = "unread", [LEDGER_INTACT] = "intact",   [LEDGER_LOST] = "lost",
	[LEDGER_STALE] = "stale",   [LEDGER_ALTERED] = "altered",
};

enum mark {
	MARK_CHECKED = 1, /* was acknowledged when the read-back began */
	MARK_GOOD = 2,    /* a copy as it was written */
	MARK_STALE = 4,
	MARK_ALTERED = 8,
};

struct record {
	nanos acknowledged;
	uint32_t crc, epoch;
	uint16_t replica;
	uint8_t site, state, verdict, answers, copies, marks;
};

struct ledger {
	struct arena arena;
	pthread_mutex_t lock; /* over everything below but the configuration */
	uint64_t seed, stream;
	double payload_bytes;
	uint32_t keys;
	const char **sites;
	size_t site_count;

	struct record *chunks[CHUNKS];
	uint64_t count;
	char **replicas;
	size_t replica_count, replica_latest;
	uint32_t site; /* of acknowledgements without a name */
	nanos last[LEDGER_SITES_MAX + 1];
	bool any[LEDGER_SITES_MAX + 1];
	struct ledger_totals totals; /* states are counted when asked for */
	struct ledger_totals check;  /* of the read-back under way */
	uint64_t check_end;
};

static const uint32_t crc_table[256] = {
	0x00000000, 0xf26b8303, 0xe13b70f7, 0x1350f3f4, 0xc79a971f, 0x35f1141c, 0x26a1e7e8,
	0xd4ca64eb, 0x8ad958cf, 0x78b2dbcc, 0x6be22838, 0x9989ab3b, 0x4d43cfd0, 0xbf284cd3,
	0xac78bf27, 0x5e133c24, 0x105ec76f, 0xe235446c, 0xf165b798, 0x030e349b, 0xd7c45070,
	0x25afd373, 0x36ff2087, 0xc494a384, 0x9a879fa0, 0x68ec1ca3, 0x7bbcef57, 0x89d76c54,
	0x5d1d08bf, 0xaf768bbc, 0xbc267848, 0x4e4dfb4b, 0x20bd8ede, 0xd2d60ddd, 0xc186fe29,
	0x33ed7d2a, 0xe72719c1, 0x154c9ac2, 0x061c6936, 0xf477ea35, 0xaa64d611, 0x580f5512,
	0x4b5fa6e6, 0xb93425e5, 0x6dfe410e, 0x9f95c20d, 0x8cc531f9, 0x7eaeb2fa, 0x30e349b1,
	0xc288cab2, 0xd1d83946, 0x23b3ba45, 0xf779deae, 0x05125dad, 0x1642ae59, 0xe4292d5a,
	0xba3a117e, 0x4851927d, 0x5b016189, 0xa96ae28a, 0x7da08661, 0x8fcb0562, 0x9c9bf696,
	0x6ef07595, 0x417b1dbc, 0xb3109ebf, 0xa0406d4b, 0x522bee48, 0x86e18aa3, 0x748a09a0,
	0x67dafa54, 0x95b17957, 0xcba24573, 0x39c9c670, 0x2a993584, 0xd8f2b687, 0x0c38d26c,
	0xfe53516f, 0xed03a29b, 0x1f682198, 0x5125dad3, 0xa34e59d0, 0xb01eaa24, 0x42752927,
	0x96bf4dcc, 0x64d4cecf, 0x77843d3b, 0x85efbe38, 0xdbfc821c, 0x2997011f, 0x3ac7f2eb,
	0xc8ac71e8, 0x1c661503, 0xee0d9600, 0xfd5d65f4, 0x0f36e6f7, 0x61c69362, 0x93ad1061,
	0x80fde395, 0x72966096, 0xa65c047d, 0x5437877e, 0x4767748a, 0xb50cf789, 0xeb1fcbad,
	0x197448ae, 0x0a24bb5a, 0xf84f3859, 0x2c855cb2, 0xdeeedfb1, 0xcdbe2c45, 0x3fd5af46,
	0x7198540d, 0x83f3d70e, 0x90a324fa, 0x62c8a7f9, 0xb602c312, 0x44694011, 0x5739b3e5,
	0xa55230e6, 0xfb410cc2, 0x092a8fc1, 0x1a7a7c35, 0xe811ff36, 0x3cdb9bdd, 0xceb018de,
	0xdde0eb2a, 0x2f8b6829, 0x82f63b78, 0x709db87b, 0x63cd4b8f, 0x91a6c88c, 0x456cac67,
	0xb7072f64, 0xa457dc90, 0x563c5f93, 0x082f63b7, 0xfa44e0b4, 0xe9141340, 0x1b7f9043,
	0xcfb5f4a8, 0x3dde77ab, 0x2e8e845f, 0xdce5075c, 0x92a8fc17, 0x60c37f14, 0x73938ce0,
	0x81f80fe3, 0x55326b08, 0xa759e80b, 0xb4091bff, 0x466298fc, 0x1871a4d8, 0xea1a27db,
	0xf94ad42f, 0x0b21572c, 0xdfeb33c7, 0x2d80b0c4, 0x3ed04330, 0xccbbc033, 0xa24bb5a6,
	0x502036a5, 0x4370c551, 0xb11b4652, 0x65d122b9, 0x97baa1ba, 0x84ea524e, 0x7681d14d,
	0x2892ed69, 0xdaf96e6a, 0xc9a99d9e, 0x3bc21e9d, 0xef087a76, 0x1d63f975, 0x0e330a81,
	0xfc588982, 0xb21572c9, 0x407ef1ca, 0x532e023e, 0xa145813d, 0x758fe5d6, 0x87e466d5,
	0x94b49521, 0x66df1622, 0x38cc2a06, 0xcaa7a905, 0xd9f75af1, 0x2b9cd9f2, 0xff56bd19,
	0x0d3d3e1a, 0x1e6dcdee, 0xec064eed, 0xc38d26c4, 0x31e6a5c7, 0x22b65633, 0xd0ddd530,
	0x0417b1db, 0xf67c32d8, 0xe52cc12c, 0x1747422f, 0x49547e0b, 0xbb3ffd08, 0xa86f0efc,
	0x5a048dff, 0x8ecee914, 0x7ca56a17, 0x6ff599e3, 0x9d9e1ae0, 0xd3d3e1ab, 0x21b862a8,
	0x32e8915c, 0xc083125f, 0x144976b4, 0xe622f5b7, 0xf5720643, 0x07198540, 0x590ab964,
	0xab613a67, 0xb831c993, 0x4a5a4a90, 0x9e902e7b, 0x6cfbad78, 0x7fab5e8c, 0x8dc0dd8f,
	0xe330a81a, 0x115b2b19, 0x020bd8ed, 0xf0605bee, 0x24aa3f05, 0xd6c1bc06, 0xc5914ff2,
	0x37faccf1, 0x69e9f0d5, 0x9b8273d6, 0x88d28022, 0x7ab90321, 0xae7367ca, 0x5c18e4c9,
	0x4f48173d, 0xbd23943e, 0xf36e6f75, 0x0105ec76, 0x12551f82, 0xe03e9c81, 0x34f4f86a,
	0xc69f7b69, 0xd5cf889d, 0x27a40b9e, 0x79b737ba, 0x8bdcb4b9, 0x988c474d, 0x6ae7c44e,
	0xbe2da0a5, 0x4c4623a6, 0x5f16d052, 0xad7d5351,
};

uint32_t ledger_crc32c(const void *data, size_t length)
{
	const unsigned char *bytes = data;
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < length; i++)
		crc = crc >> 8 ^ crc_table[(crc ^ bytes[i]) & 0xff];
	return ~crc;
}

int ledger_new(const struct ledger_config *config, struct ledger **ret_ledger, struct error *e)
{
	struct arena arena = {0};
	struct ledger *ledger;

	if (!isfinite(config->payload_bytes) || config->payload_bytes < 0 ||
	    config->payload_bytes > (double)(LEDGER_PAYLOAD_MAX - 1))
		return error_set(e, ERROR_LIMIT, NO_PLACE, "a write of %g bytes, at most %zu",
				 config->payload_bytes, LEDGER_PAYLOAD_MAX - 1);
	if (config->site_count > LEDGER_SITES_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "%zu sites in a ledger, at most %d",
				 config->site_count, LEDGER_SITES_MAX);
	ledger = arena_alloc(&arena, sizeof(*ledger));
	ledger->seed = config->seed;
	ledger->stream = config->stream;
	ledger->payload_bytes = config->payload_bytes;
	ledger->keys = config->keys;
	ledger->site_count = config->site_count;
	ledger->sites = arena_array(&arena, config->site_count + 1, sizeof(*ledger->sites));
	for (size_t i = 0; i < config->site_count; i++)
		ledger->sites[i] = arena_strdup(&arena, config->sites[i]);
	ledger->replicas = arena_array(&arena, LEDGER_REPLICAS_MAX, sizeof(*ledger->replicas));
	ledger->arena = arena;
	pthread_mutex_init(&ledger->lock, NULL);
	*ret_ledger = ledger;
	return 0;
}

void ledger_free(struct ledger *ledger)
{
	struct arena arena;

	if (!ledger)
		return;
	pthread_mutex_destroy(&ledger->lock);
	arena = ledger->arena; /* the ledger lies in it */
	arena_free(&arena);
}

/* ---- what follows from the sequence number ---- */

size_t ledger_payload_length(const struct ledger *ledger, uint64_t sequence)
{
	double from = floor((double)sequence * ledger->payload_bytes);

	return (size_t)(floor((double)(sequence + 1) * ledger->payload_bytes) - from);
}

void ledger_payload(const struct ledger *ledger, uint64_t sequence, char *out)
{
	static const char digits[65] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	size_t length = ledger_payload_length(ledger, sequence);
	struct prng prng;
	uint64_t bits = 0;

	prng_open(&prng, ledger->seed, ledger->stream, sequence, PRNG_PAYLOAD);
	for (size_t i = 0; i < length; i++) {
		if (i % 10 == 0)
			bits = prng_u64(&prng);
		out[i] = digits[bits & 63];
		bits >>= 6;
	}
}

static int key_text(const struct ledger *ledger, uint64_t sequence, char out[LEDGER_KEY_MAX])
{
	uint64_t key = sequence;

	if (ledger->keys > 0)
		key = ((sequence * KEY_SPREAD) >> 32) * ledger->keys >> 32;
	return snprintf(out, LEDGER_KEY_MAX, "k%" PRIu64, key);
}

/* ---- writes ---- */

static struct record *at(const struct ledger *ledger, uint64_t sequence)
{
	assert(sequence < ledger->count);
	return &ledger->chunks[sequence / CHUNK][sequence % CHUNK];
}

int ledger_next(struct ledger *ledger, uint32_t epoch, uint64_t *ret_sequence, struct error *e)
{
	uint64_t sequence;
	struct record *record;

	pthread_mutex_lock(&ledger->lock);
	sequence = ledger->count;
	if (sequence == LEDGER_RECORDS_MAX) {
		pthread_mutex_unlock(&ledger->lock);
		return error_set(e, ERROR_LIMIT, NO_PLACE, "more than %" PRIu64 " writes",
				 LEDGER_RECORDS_MAX);
	}
	if (!ledger->chunks[sequence / CHUNK])
		ledger->chunks[sequence / CHUNK] =
			arena_array(&ledger->arena, CHUNK, sizeof(struct record));
	ledger->count++;
	record = at(ledger, sequence);
	record->epoch = epoch;
	record->site = LEDGER_NO_SITE;
	record->replica = NO_REPLICA;
	pthread_mutex_unlock(&ledger->lock);
	*ret_sequence = sequence;
	return 0;
}

void ledger_write(struct ledger *ledger, uint64_t sequence, struct ledger_write *ret, char *payload)
{
	struct record *record;

	*ret = (struct ledger_write){.sequence = sequence};
	ret->length = ledger_payload_length(ledger, sequence);
	key_text(ledger, sequence, ret->key);
	ledger_payload(ledger, sequence, payload);
	ret->crc = ledger_crc32c(payload, ret->length);
	pthread_mutex_lock(&ledger->lock);
	record = at(ledger, sequence);
	record->crc = ret->crc;
	ret->epoch = record->epoch;
	pthread_mutex_unlock(&ledger->lock);
}

/* An acknowledgement stands, whatever is said later. */
static void set_state(struct ledger *ledger, uint64_t sequence, enum ledger_state state)
{
	struct record *record;

	pthread_mutex_lock(&ledger->lock);
	record = at(ledger, sequence);
	if (record->state != LEDGER_OK)
		record->state = (uint8_t)state;
	pthread_mutex_unlock(&ledger->lock);
}

void ledger_sent(struct ledger *ledger, uint64_t sequence)
{
	set_state(ledger, sequence, LEDGER_UNKNOWN);
}

void ledger_unsent(struct ledger *ledger, uint64_t sequence)
{
	set_state(ledger, sequence, LEDGER_UNSENT);
}

void ledger_refused(struct ledger *ledger, uint64_t sequence)
{
	set_state(ledger, sequence, LEDGER_FAIL);
}

static bool same(const char *name, const char *text, size_t length)
{
	return strlen(name) == length && memcmp(name, text, length) == 0;
}

/* The number of a replica's name. Most answers come from the one of the answer before. */
static uint16_t replica_number(struct ledger *ledger, const char *name, size_t length)
{
	if (length == 0 || length >= LEDGER_NAME_MAX)
		return NO_REPLICA;
	if (ledger->replica_count > 0 &&
	    same(ledger->replicas[ledger->replica_latest], name, length))
		return (uint16_t)ledger->replica_latest;
	for (size_t i = 0; i < ledger->replica_count; i++)
		if (same(ledger->replicas[i], name, length))
			return (uint16_t)(ledger->replica_latest = i);
	if (ledger->replica_count == LEDGER_REPLICAS_MAX)
		return NO_REPLICA;
	ledger->replicas[ledger->replica_count] = arena_strndup(&ledger->arena, name, length);
	return (uint16_t)(ledger->replica_latest = ledger->replica_count++);
}

static uint8_t site_number(const struct ledger *ledger, const char *name, size_t length)
{
	if (length == 0)
		return ledger->site < ledger->site_count ? (uint8_t)ledger->site : LEDGER_NO_SITE;
	for (size_t i = 0; i < ledger->site_count; i++)
		if (same(ledger->sites[i], name, length))
			return (uint8_t)i;
	return LEDGER_NO_SITE;
}

void ledger_acknowledged(struct ledger *ledger, uint64_t sequence, nanos when, const char *replica,
			 size_t replica_length, const char *site, size_t site_length)
{
	struct record *record;
	uint16_t number;
	uint8_t place;

	pthread_mutex_lock(&ledger->lock);
	record = at(ledger, sequence);
	number = replica_number(ledger, replica, replica_length);
	if (record->state == LEDGER_OK) {
		if (number != record->replica && record->answers == 1)
			ledger->totals.acknowledged_twice++;
		if (number != record->replica && record->answers < COUNT_MAX)
			record->answers++;
		goto out;
	}
	place = site_number(ledger, site, site_length);
	record->state = LEDGER_OK;
	record->acknowledged = when;
	record->replica = number;
	record->site = place;
	record->answers = 1;
	if (place == LEDGER_NO_SITE)
		place = LEDGER_SITES_MAX;
	if (!ledger->any[place] || when > ledger->last[place])
		ledger->last[place] = when;
	ledger->any[place] = true;
out:
	pthread_mutex_unlock(&ledger->lock);
}

void ledger_site(struct ledger *ledger, uint32_t site)
{
	pthread_mutex_lock(&ledger->lock);
	ledger->site = site;
	pthread_mutex_unlock(&ledger->lock);
}

/* ---- all records, a chunk at a time ---- */

/* Calls `each` for the records in [from, to); the lock is given up in between. */
static void walk(struct ledger *ledger, uint64_t from, uint64_t to,
		 void (*each)(struct ledger *ledger, uint64_t sequence, struct record *record,
			      void *self),
		 void *self)
{
	while (from < to) {
		uint64_t end = from - from % CHUNK + CHUNK;

		pthread_mutex_lock(&ledger->lock);
		for (; from < end && from < to; from++)
			each(ledger, from, at(ledger, from), self);
		pthread_mutex_unlock(&ledger->lock);
	}
}

static uint64_t count_now(struct ledger *ledger)
{
	uint64_t count;

	pthread_mutex_lock(&ledger->lock);
	count = ledger->count;
	pthread_mutex_unlock(&ledger->lock);
	return count;
}

/* ---- read-back ---- */

static void prepare(struct ledger *ledger, uint64_t sequence, struct record *record, void *self)
{
	(void)ledger, (void)sequence, (void)self;
	record->copies = 0;
	record->marks = record->state == LEDGER_OK ? MARK_CHECKED : 0;
}

uint64_t ledger_check_begin(struct ledger *ledger)
{
	uint64_t end = count_now(ledger);

	/* What is acknowledged from here on can have come after its range was read. */
	walk(ledger, 0, end, prepare, NULL);
	pthread_mutex_lock(&ledger->lock);
	ledger->check = (struct ledger_totals){0};
	ledger->check_end = end;
	pthread_mutex_unlock(&ledger->lock);
	return end;
}

/* Is it, whole, what this ledger wrote as sequence number `sequence`? */
static bool is_ours(const struct ledger *ledger, const struct ledger_found *found,
		    uint64_t sequence)
{
	char key[LEDGER_KEY_MAX], payload[LEDGER_PAYLOAD_MAX];
	size_t length = ledger_payload_length(ledger, sequence);
	int key_length = key_text(ledger, sequence, key);

	if (!found->readable || found->inner != sequence || found->length != length ||
	    found->key_length != (size_t)key_length ||
	    memcmp(found->key, key, found->key_length) != 0)
		return false;
	ledger_payload(ledger, sequence, payload);
	return memcmp(payload, found->payload, length) == 0 &&
	       found->crc == ledger_crc32c(found->payload, length);
}

static uint8_t judge_copy(const struct ledger *ledger, const struct record *record,
			  const struct ledger_found *found)
{
	if (is_ours(ledger, found, found->sequence)) {
		if (found->epoch == record->epoch)
			return MARK_GOOD;
		return found->epoch < record->epoch ? MARK_STALE : MARK_ALTERED;
	}
	if (found->inner < found->sequence && is_ours(ledger, found, found->inner))
		return MARK_STALE;
	return MARK_ALTERED;
}

void ledger_check_found(struct ledger *ledger, const struct ledger_found *found)
{
	struct record *record;

	pthread_mutex_lock(&ledger->lock);
	if (found->sequence >= ledger->count ||
	    at(ledger, found->sequence)->state == LEDGER_UNSENT) {
		ledger->check.never_sent++;
		goto out;
	}
	if (found->sequence >= ledger->check_end)
		goto out; /* sent since the read-back began */
	record = at(ledger, found->sequence);
	if (record->copies < COUNT_MAX)
		record->copies++;
	record->marks |= judge_copy(ledger, record, found);
out:
	pthread_mutex_unlock(&ledger->lock);
}

static enum ledger_verdict verdict_of(const struct record *record)
{
	if (record->marks & MARK_GOOD)
		return LEDGER_INTACT;
	if (record->marks & MARK_STALE)
		return LEDGER_STALE;
	return record->marks & MARK_ALTERED ? LEDGER_ALTERED : LEDGER_LOST;
}

static void settle(struct ledger *ledger, uint64_t sequence, struct record *record, void *self)
{
	struct ledger_totals *check = &ledger->check;
	enum ledger_verdict verdict = verdict_of(record);

	(void)self;
	check->duplicated += record->copies > 1;
	check->unknown_present += record->state == LEDGER_UNKNOWN && record->copies > 0;
	check->fail_present += record->state == LEDGER_FAIL && record->copies > 0;
	if (!(record->marks & MARK_CHECKED))
		return;
	record->verdict = (uint8_t)verdict;
	check->checked++;
	switch (verdict) {
	case LEDGER_UNREAD:
		break;
	case LEDGER_INTACT:
		check->intact++;
		return;
	case LEDGER_LOST:
		check->lost++;
		break;
	case LEDGER_STALE:
		check->stale++;
		break;
	case LEDGER_ALTERED:
		check->altered++;
		break;
	case LEDGER_VERDICTS:
		break;
	}
	check->lost_bytes += ledger_payload_length(ledger, sequence);
}

void ledger_check_read(struct ledger *ledger, uint64_t from, uint64_t to)
{
	walk(ledger, from, to < ledger->check_end ? to : ledger->check_end, settle, NULL);
}

void ledger_check_end(struct ledger *ledger)
{
	pthread_mutex_lock(&ledger->lock);
	ledger->check.acknowledged_twice = ledger->totals.acknowledged_twice;
	ledger->totals = ledger->check;
	pthread_mutex_unlock(&ledger->lock);
}

/* ---- counts ---- */

struct counting {
	uint32_t site;
	nanos from, to;
	bool lost_only;
	uint64_t records, bytes;
};

static void count_one(struct ledger *ledger, uint64_t sequence, struct record *record, void *self)
{
	struct counting *c = self;

	if (record->state != LEDGER_OK || record->acknowledged <= c->from ||
	    record->acknowledged > c->to ||
	    (c->site != LEDGER_ALL_SITES && record->site != c->site))
		return;
	if (c->lost_only && (record->verdict == LEDGER_UNREAD || record->verdict == LEDGER_INTACT))
		return;
	c->records++;
	c->bytes += ledger_payload_length(ledger, sequence);
}

void ledger_count(struct ledger *ledger, uint32_t site, nanos from, nanos to, bool lost_only,
		  uint64_t *ret_records, uint64_t *ret_bytes)
{
	struct counting c = {.site = site, .from = from, .to = to, .lost_only = lost_only};

	walk(ledger, 0, count_now(ledger), count_one, &c);
	*ret_records = c.records;
	*ret_bytes = c.bytes;
}

bool ledger_last(struct ledger *ledger, uint32_t site, nanos *ret_at)
{
	bool any = false;

	pthread_mutex_lock(&ledger->lock);
	for (uint32_t i = 0; i <= LEDGER_SITES_MAX; i++) {
		if (!ledger->any[i] || (site != LEDGER_ALL_SITES && site != i))
			continue;
		if (!any || ledger->last[i] > *ret_at)
			*ret_at = ledger->last[i];
		any = true;
	}
	pthread_mutex_unlock(&ledger->lock);
	return any;
}

static void total_one(struct ledger *ledger, uint64_t sequence, struct record *record, void *self)
{
	struct ledger_totals *totals = self;

	(void)ledger, (void)sequence;
	totals->records++;
	totals->unsent += record->state == LEDGER_UNSENT;
	totals->ok += record->state == LEDGER_OK;
	totals->fail += record->state == LEDGER_FAIL;
	totals->unknown += record->state == LEDGER_UNKNOWN;
}

void ledger_totals(struct ledger *ledger, struct ledger_totals *ret)
{
	pthread_mutex_lock(&ledger->lock);
	*ret = ledger->totals;
	pthread_mutex_unlock(&ledger->lock);
	walk(ledger, 0, count_now(ledger), total_one, ret);
}

enum ledger_state ledger_state(struct ledger *ledger, uint64_t sequence)
{
	enum ledger_state state;

	pthread_mutex_lock(&ledger->lock);
	state = (enum ledger_state)at(ledger, sequence)->state;
	pthread_mutex_unlock(&ledger->lock);
	return state;
}

enum ledger_verdict ledger_verdict(struct ledger *ledger, uint64_t sequence)
{
	enum ledger_verdict verdict;

	pthread_mutex_lock(&ledger->lock);
	verdict = (enum ledger_verdict)at(ledger, sequence)->verdict;
	pthread_mutex_unlock(&ledger->lock);
	return verdict;
}

/* ---- the file ---- */

static cJSON *names(const char *const *list, size_t count)
{
	cJSON *array = cJSON_CreateArray();

	for (size_t i = 0; i < count; i++)
		cJSON_AddItemToArray(array, cJSON_CreateString(list[i]));
	return array;
}

static int write_head(struct ledger *ledger, const char *endpoint, FILE *file)
{
	cJSON *head = cJSON_CreateObject();
	char number[24], *text;
	int rc = -1;

	pthread_mutex_lock(&ledger->lock);
	cJSON_AddStringToObject(head, "schema", "drsim/ledger/v1");
	cJSON_AddStringToObject(head, "endpoint", endpoint);
	snprintf(number, sizeof(number), "%" PRIu64, ledger->seed); /* more digits than a double */
	cJSON_AddRawToObject(head, "seed", number);
	cJSON_AddNumberToObject(head, "stream", (double)ledger->stream);
	cJSON_AddNumberToObject(head, "payload_bytes", ledger->payload_bytes);
	cJSON_AddItemToObject(head, "sites", names(ledger->sites, ledger->site_count));
	cJSON_AddItemToObject(head, "replicas",
			      names((const char *const *)ledger->replicas, ledger->replica_count));
	cJSON_AddNumberToObject(head, "records", (double)ledger->count);
	cJSON_AddNumberToObject(head, "never_sent", (double)ledger->totals.never_sent);
	pthread_mutex_unlock(&ledger->lock);
	text = cJSON_PrintUnformatted(head);
	if (text)
		rc = fprintf(file, "%s\n", text) < 0 ? -1 : 0;
	cJSON_free(text);
	cJSON_Delete(head);
	return rc;
}

static void write_number(FILE *file, bool known, uint32_t number)
{
	if (known)
		fprintf(file, ",%" PRIu32, number);
	else
		fputs(",null", file);
}

static void write_one(struct ledger *ledger, uint64_t sequence, struct record *record, void *self)
{
	FILE *file = self;
	bool ok = record->state == LEDGER_OK;

	fprintf(file, "[%" PRIu64 ",%" PRIu32 ",\"%08" PRIx32 "\",%zu,\"%s\"", sequence,
		record->epoch, record->crc, ledger_payload_length(ledger, sequence),
		ledger_state_names[record->state]);
	if (ok)
		fprintf(file, ",%" PRId64, record->acknowledged);
	else
		fputs(",null", file);
	write_number(file, ok && record->site != LEDGER_NO_SITE, record->site);
	write_number(file, ok && record->replica != NO_REPLICA, record->replica);
	fprintf(file, ",%u", record->answers);
	if (record->verdict == LEDGER_UNREAD)
		fputs(",null", file);
	else
		fprintf(file, ",\"%s\"", ledger_verdict_names[record->verdict]);
	fprintf(file, ",%u]\n", record->copies);
}

int ledger_write_file(struct ledger *ledger, const char *endpoint, const char *path,
		      struct error *e)
{
	FILE *file = fopen(path, "we");
	bool bad;

	if (!file)
		return error_set(e, ERROR_IO, NO_PLACE, "%s: %s", path, strerror(errno));
	bad = write_head(ledger, endpoint, file) != 0;
	walk(ledger, 0, count_now(ledger), write_one, file);
	bad = ferror(file) || bad;
	if (fclose(file) || bad)
		return error_set(e, ERROR_IO, NO_PLACE, "%s: cannot be written: %s", path,
				 strerror(errno));
	return 0;
}
