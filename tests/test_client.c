/* SPDX-License-Identifier: Apache-2.0 */
/* The client's judgement, the ledger's verdicts, the adapters' texts, the reading of captures. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "drivers/host/capture.h"
#include "tests/test.h"

#include "drivers/host/client_private.h"

/* splitmix64 (Steele, Lea and Flood, OOPSLA 2014) */
static uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static double chance(uint64_t *state)
{
	return (double)(draw(state) >> 11) * 0x1p-53;
}

/* ---- good and bad, against the definition read word by word ---- */

#define STREAM 3000
#define TURNS 400

struct stream {
	nanos at[STREAM];
	bool good[STREAM];
	double success;
	nanos window;
};

struct turns {
	struct judge_turn turn[TURNS];
	size_t count;
};

static bool naive_below(const struct stream *s, size_t from, size_t to)
{
	size_t good = 0;

	for (size_t i = from; i < to; i++)
		good += s->good[i];
	return (double)good < (s->success - 1e-9) * (double)(to - from);
}

static size_t naive_bad(const struct stream *s, size_t from, size_t to)
{
	size_t bad = 0;

	for (size_t i = from; i < to; i++)
		bad += !s->good[i];
	return bad;
}

/* Bad at request i, when nothing before `floor` counts? The stretch's first request, or STREAM. */
static size_t naive_turns_bad(const struct stream *s, size_t floor, size_t i)
{
	nanos span = s->window < NANOS_S ? s->window : NANOS_S;
	size_t from = i, best = STREAM;
	double most = -1;

	while (from > floor && (s->at[from - 1] > s->at[i] - span || i + 1 - from < 10))
		from--;
	if (naive_bad(s, from, i + 1) < 2 || !naive_below(s, from, i + 1))
		return STREAM;
	for (size_t j = from; j <= i; j++) {
		double excess =
			(double)naive_bad(s, j, i + 1) - (1 - s->success) * (double)(i + 1 - j);

		if (!s->good[j] && excess > most) {
			most = excess;
			best = j;
		}
	}
	return best;
}

/* The first request after the window that g opens when it is stable; 0: it is not, or not over. */
static size_t naive_turns_good(const struct stream *s, size_t count, size_t g, nanos frontier)
{
	size_t end = g;

	if (!s->good[g] || frontier <= s->at[g] + s->window)
		return 0;
	while (end < count && s->at[end] <= s->at[g] + s->window)
		end++;
	return naive_below(s, g, end) ? 0 : end;
}

static void naive(const struct stream *s, size_t count, nanos frontier, struct turns *ret)
{
	size_t floor = 0, i = 0;
	bool bad = false;

	ret->count = 0;
	while (i < count) {
		size_t found = bad ? naive_turns_good(s, count, i, frontier)
				   : naive_turns_bad(s, floor, i);

		if (!bad && found < STREAM) {
			ret->turn[ret->count++] =
				(struct judge_turn){JUDGE_BAD, s->at[found], found};
			bad = true; /* request i itself is the first that could open a window */
		} else if (bad && found > 0) {
			ret->turn[ret->count++] = (struct judge_turn){JUDGE_GOOD, s->at[i], i};
			bad = false;
			floor = i;
			i = found;
		} else {
			i++;
		}
		ck_assert_uint_lt(ret->count, TURNS);
	}
}

/* Requests at some rate, in phases of good, bad and mixed service; several at one instant too. */
static void make_stream(struct stream *s, uint64_t *state)
{
	static const double rates[] = {2, 20, 300, 5000};
	static const double successes[] = {0.9, 0.99, 0.999, 0.5, 1};
	double rate = rates[draw(state) % 4], good = 1;
	nanos at = 0;

	s->success = successes[draw(state) % 5];
	s->window = (nanos)(draw(state) % (uint64_t)(3 * NANOS_S));
	for (size_t i = 0; i < STREAM; i++) {
		if (draw(state) % 100 == 0)
			good = draw(state) % 3 == 0 ? chance(state) : (double)(draw(state) % 2);
		if (draw(state) % 8)
			at += (nanos)(chance(state) * 2e9 / rate);
		s->at[i] = at;
		s->good[i] = chance(state) < (good == 1 ? 0.999 : good);
	}
}

static void collect(struct turns *turns, struct judge *judge, struct judge_turn turn,
		    nanos frontier)
{
	while (turn.verdict != JUDGE_SAME) {
		turns->turn[turns->count++] = turn;
		turn = judge_look(judge, frontier);
	}
}

START_TEST(test_judge_random)
{
	static struct stream s;
	static struct turns wanted, got;
	size_t turns = 0;
	uint64_t state = (uint64_t)_i + 1;

	for (int round = 0; round < 20; round++) {
		struct judge judge;
		nanos end;

		make_stream(&s, &state);
		end = s.at[STREAM - 1] + (nanos)(draw(&state) % (uint64_t)(2 * NANOS_S));
		judge_init(&judge, s.success, s.window);
		got.count = 0;
		for (size_t i = 0; i < STREAM; i++)
			collect(&got, &judge, judge_add(&judge, s.at[i], s.good[i]), s.at[i]);
		collect(&got, &judge, judge_look(&judge, end), end);
		judge_free(&judge);
		naive(&s, STREAM, end, &wanted);
		ck_assert_uint_eq(got.count, wanted.count);
		for (size_t i = 0; i < got.count; i++) {
			ck_assert_int_eq(got.turn[i].verdict, wanted.turn[i].verdict);
			ck_assert_int_eq(got.turn[i].since, wanted.turn[i].since);
			ck_assert_uint_eq(got.turn[i].sequence, wanted.turn[i].sequence);
		}
		turns += got.count;
	}
	ck_assert_uint_gt(turns, 20);
}
END_TEST

/* How soon a total outage is known, and since when. */
static nanos reaction(double rate, nanos window)
{
	struct judge judge;
	nanos gap = (nanos)(1e9 / rate), at = 0, since;
	struct judge_turn turn = {.verdict = JUDGE_SAME};

	judge_init(&judge, 0.99, window);
	for (; at < 3 * NANOS_S + gap; at += gap)
		ck_assert_int_eq(judge_add(&judge, at, true).verdict, JUDGE_SAME);
	since = at;
	for (; turn.verdict == JUDGE_SAME; at += gap)
		turn = judge_add(&judge, at, false);
	ck_assert_int_eq(turn.verdict, JUDGE_BAD);
	ck_assert_int_eq(turn.since, since);
	judge_free(&judge);
	return at - gap - since;
}

START_TEST(test_judge_reacts)
{
	ck_assert_int_le(reaction(3000, 30 * NANOS_S), 11 * NANOS_MS);
	ck_assert_int_le(reaction(200, 30 * NANOS_S), 10 * NANOS_MS);
	ck_assert_int_le(reaction(2, 30 * NANOS_S), 500 * NANOS_MS);
}
END_TEST

/* One bad request is no outage; an old one does not move the begin of a new outage. */
START_TEST(test_judge_single)
{
	struct judge judge;
	struct judge_turn turn = {.verdict = JUDGE_SAME};
	nanos at = 0;

	judge_init(&judge, 0.99, 2 * NANOS_S);
	for (int i = 0; i < 3000; i++, at += NANOS_MS)
		ck_assert_int_eq(judge_add(&judge, at, i != 2500).verdict, JUDGE_SAME);
	for (; turn.verdict == JUDGE_SAME; at += NANOS_MS)
		turn = judge_add(&judge, at, false);
	ck_assert_int_eq(turn.since, 3000 * NANOS_MS);
	ck_assert_int_eq(judge_look(&judge, at).verdict, JUDGE_SAME);
	ck_assert_int_eq(judge_due(&judge), NANOS_NEVER);
	ck_assert_int_eq(judge_add(&judge, at, true).verdict, JUDGE_SAME);
	ck_assert_int_eq(judge_due(&judge), at + 2 * NANOS_S + 1);
	ck_assert_int_eq(judge_look(&judge, at + 2 * NANOS_S).verdict, JUDGE_SAME);
	turn = judge_look(&judge, at + 2 * NANOS_S + 1);
	ck_assert_int_eq(turn.verdict, JUDGE_GOOD);
	ck_assert_int_eq(turn.since, at);
	judge_free(&judge);
}
END_TEST

START_TEST(test_quantiles)
{
	uint64_t state = 3;

	for (size_t n = 1; n < 200; n++) {
		nanos values[200], sorted[200];

		for (size_t i = 0; i < n; i++)
			values[i] = sorted[i] = (nanos)(draw(&state) % 50);
		for (size_t i = 0; i < n; i++)
			for (size_t j = i; j > 0 && sorted[j] < sorted[j - 1]; j--) {
				nanos t = sorted[j];

				sorted[j] = sorted[j - 1];
				sorted[j - 1] = t;
			}
		ck_assert_int_eq(client_quantile(values, n, 0.5), sorted[(n + 1) / 2 - 1]);
		ck_assert_int_eq(client_quantile(values, n, 0.99), sorted[(99 * n + 99) / 100 - 1]);
	}
	ck_assert_int_eq(client_quantile(NULL, 0, 0.5), NANOS_NEVER);
}
END_TEST

/* ---- the ledger ---- */

static const char *const sites[] = {"east", "west"};

static struct ledger *ledger_of(double payload_bytes, uint32_t keys)
{
	struct ledger_config config = {.seed = 9,
				       .stream = 2,
				       .payload_bytes = payload_bytes,
				       .keys = keys,
				       .sites = sites,
				       .site_count = 2};
	struct ledger *ledger;
	struct error e = {0};

	ck_assert_msg(ledger_new(&config, &ledger, &e) == 0, "%s", e.text);
	return ledger;
}

START_TEST(test_payload_sizes)
{
	static const double sizes[] = {0, 0.3, 1, 40.5, 8333.3333, 65535};
	struct ledger_config config = {.payload_bytes = 65536};
	struct error e = {0};
	struct ledger *refused;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct ledger *ledger = ledger_of(sizes[i], 0);
		uint64_t sum = 0;

		for (uint64_t k = 0; k < 100000; k++) {
			size_t length = ledger_payload_length(ledger, k);

			ck_assert_uint_le(length, (size_t)sizes[i] + 1);
			sum += length;
			if (k % 9973 == 0) /* any number of records together has its exact share */
				ck_assert_uint_eq(sum, (uint64_t)floor((double)(k + 1) * sizes[i]));
		}
		ledger_free(ledger);
	}
	ck_assert_int_ne(ledger_new(&config, &refused, &e), 0);
	ck_assert_int_eq(e.kind, ERROR_LIMIT);
}
END_TEST

START_TEST(test_payloads)
{
	struct ledger *a = ledger_of(100.5, 7), *b = ledger_of(100.5, 7);
	static char one[LEDGER_PAYLOAD_MAX], two[LEDGER_PAYLOAD_MAX];
	struct ledger_write write;
	uint64_t sequence;
	int keys = 0;

	ck_assert_uint_eq(ledger_crc32c("123456789", 9), 0xe3069283);
	for (uint64_t i = 0; i < 100; i++) {
		ck_assert_int_eq(ledger_next(a, 3, &sequence, NULL), 0);
		ck_assert_uint_eq(sequence, i);
		ledger_write(a, i, &write, one);
		ledger_payload(b, i, two);
		ck_assert(write.length == 100 || write.length == 101);
		ck_assert_int_eq(memcmp(one, two, write.length), 0);
		ck_assert_uint_eq(write.crc, ledger_crc32c(two, write.length));
		ck_assert_uint_eq(write.epoch, 3);
		for (size_t k = 0; k < write.length; k++)
			ck_assert(one[k] > ' ' && one[k] != '.' && one[k] < 127);
		ck_assert(write.key[0] == 'k' && write.key[1] >= '0' && write.key[1] < '7');
		keys |= 1 << (write.key[1] - '0');
	}
	ck_assert_int_eq(keys, 0x7f);
	ledger_free(a);
	ledger_free(b);
}
END_TEST

/* The record as the target should have it. */
static struct ledger_found found_of(struct ledger *ledger, uint64_t sequence,
				    struct ledger_write *write, char *payload)
{
	ledger_write(ledger, sequence, write, payload);
	return (struct ledger_found){.sequence = sequence,
				     .inner = sequence,
				     .epoch = write->epoch,
				     .crc = write->crc,
				     .key = write->key,
				     .key_length = strlen(write->key),
				     .payload = payload,
				     .length = write->length,
				     .readable = true};
}

static void acknowledge(struct ledger *ledger, uint64_t sequence, nanos at, const char *replica,
			const char *site)
{
	ledger_acknowledged(ledger, sequence, at, replica, strlen(replica), site, strlen(site));
}

enum {
	INTACT,
	LOST,
	STALE_EPOCH,
	STALE_OLDER,
	FLIPPED,
	UNREADABLE,
	SHORT,
	NEWER,
	TWICE,
	GOOD_TOO,
	REFUSED,
	UNKNOWN_THERE,
	UNKNOWN_GONE,
	UNSENT_THERE,
	LATE_OK,
	RECORDS
};

/* What the target has of one record; `copies` of them. */
static int target_has(struct ledger *ledger, uint64_t i, struct ledger_found *found, char *other)
{
	static char payload[LEDGER_PAYLOAD_MAX];
	static struct ledger_write write;

	*found = found_of(ledger, i, &write, payload);
	switch (i) {
	case LOST:
	case UNKNOWN_GONE:
		return 0;
	case STALE_EPOCH:
		found->epoch--;
		break;
	case STALE_OLDER:
		*found = found_of(ledger, 0, &write, other);
		found->sequence = i;
		break;
	case FLIPPED: /* and a checksum that fits */
		payload[3] ^= 1;
		found->crc = ledger_crc32c(payload, found->length);
		break;
	case UNREADABLE:
		found->readable = false;
		break;
	case SHORT:
		found->length--;
		break;
	case NEWER:
		found->epoch++;
		break;
	case TWICE:
		return 2;
	default:
		break;
	}
	return 1;
}

static void fill(struct ledger *ledger)
{
	uint64_t sequence;

	for (uint64_t i = 0; i < RECORDS; i++) {
		ck_assert_int_eq(ledger_next(ledger, 5, &sequence, NULL), 0);
		if (i == UNSENT_THERE)
			continue;
		ledger_sent(ledger, i);
		if (i == REFUSED)
			ledger_refused(ledger, i);
		else if (i != UNKNOWN_THERE && i != UNKNOWN_GONE && i != LATE_OK)
			acknowledge(ledger, i, (nanos)i * 10, "r0", i % 2 ? "west" : "east");
	}
}

static void read_all(struct ledger *ledger)
{
	static char other[LEDGER_PAYLOAD_MAX];
	struct ledger_found found;

	ck_assert_uint_eq(ledger_check_begin(ledger), RECORDS);
	/* Acknowledged after the read-back began: it may have come after its range was read. */
	acknowledge(ledger, LATE_OK, 999, "r0", "east");
	for (uint64_t i = 0; i < RECORDS; i++) {
		if (i == LATE_OK)
			continue;
		for (int copies = target_has(ledger, i, &found, other); copies > 0; copies--)
			ledger_check_found(ledger, &found);
		if (i == GOOD_TOO) { /* a broken copy beside the good one */
			found.readable = false;
			ledger_check_found(ledger, &found);
		}
	}
	found.sequence = RECORDS + 7;
	ledger_check_found(ledger, &found);
	ledger_check_read(ledger, 0, RECORDS);
	ledger_check_end(ledger);
}

START_TEST(test_verdicts)
{
	static const enum ledger_verdict wanted[RECORDS] = {
		[INTACT] = LEDGER_INTACT,       [LOST] = LEDGER_LOST,
		[STALE_EPOCH] = LEDGER_STALE,   [STALE_OLDER] = LEDGER_STALE,
		[FLIPPED] = LEDGER_ALTERED,     [UNREADABLE] = LEDGER_ALTERED,
		[SHORT] = LEDGER_ALTERED,       [NEWER] = LEDGER_ALTERED,
		[TWICE] = LEDGER_INTACT,        [GOOD_TOO] = LEDGER_INTACT,
		[REFUSED] = LEDGER_UNREAD,      [UNKNOWN_THERE] = LEDGER_UNREAD,
		[UNKNOWN_GONE] = LEDGER_UNREAD, [UNSENT_THERE] = LEDGER_UNREAD,
		[LATE_OK] = LEDGER_UNREAD,
	};
	struct ledger *ledger = ledger_of(40, 0);
	struct ledger_totals t;

	fill(ledger);
	read_all(ledger);
	for (uint64_t i = 0; i < RECORDS; i++)
		ck_assert_msg(ledger_verdict(ledger, i) == wanted[i], "record %d: %s", (int)i,
			      ledger_verdict_names[ledger_verdict(ledger, i)]);
	ledger_totals(ledger, &t);
	ck_assert_uint_eq(t.records, RECORDS);
	ck_assert_uint_eq(t.ok, 11);
	ck_assert_uint_eq(t.fail, 1);
	ck_assert_uint_eq(t.unknown, 2);
	ck_assert_uint_eq(t.unsent, 1);
	ck_assert_uint_eq(t.checked, 10);
	ck_assert_uint_eq(t.intact, 3);
	ck_assert_uint_eq(t.lost, 1);
	ck_assert_uint_eq(t.stale, 2);
	ck_assert_uint_eq(t.altered, 4);
	ck_assert_uint_eq(t.lost_bytes, 7 * 40);
	ck_assert_uint_eq(t.duplicated, 2);
	ck_assert_uint_eq(t.unknown_present, 1);
	ck_assert_uint_eq(t.fail_present, 1);
	ck_assert_uint_eq(t.never_sent, 2);
	ledger_free(ledger);
}
END_TEST

START_TEST(test_acknowledgements)
{
	struct ledger *ledger = ledger_of(10, 0);
	struct ledger_totals t;
	uint64_t sequence, records, bytes;
	nanos at;

	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(ledger_next(ledger, 0, &sequence, NULL), 0);
	ck_assert(!ledger_last(ledger, LEDGER_ALL_SITES, &at));
	acknowledge(ledger, 0, 100, "a", "east");
	acknowledge(ledger, 0, 110, "a", "east"); /* the same one again: no split brain */
	acknowledge(ledger, 1, 200, "a", "east");
	acknowledge(ledger, 1, 250, "b", "west");
	acknowledge(ledger, 1, 260, "c", "west"); /* one record, counted once */
	ledger_sent(ledger, 2);
	acknowledge(ledger, 2, 300, "b", "west");
	ledger_refused(ledger, 2); /* an acknowledgement stands */
	ledger_site(ledger, 1);
	acknowledge(ledger, 3, 400, "", ""); /* without a name: the site said last */
	acknowledge(ledger, 4, 500, "z", "nowhere");
	ledger_totals(ledger, &t);
	ck_assert_uint_eq(t.acknowledged_twice, 1);
	ck_assert_uint_eq(t.ok, 5);
	ledger_count(ledger, 0, 100, 200, false, &records, &bytes); /* (from, to] */
	ck_assert_uint_eq(records, 1);
	ck_assert_uint_eq(bytes, 10);
	ledger_count(ledger, 1, -1, 1000, false, &records, &bytes);
	ck_assert_uint_eq(records, 2);
	ledger_count(ledger, LEDGER_ALL_SITES, -1, 1000, false, &records, &bytes);
	ck_assert_uint_eq(records, 5);
	ck_assert(ledger_last(ledger, 0, &at) && at == 200);
	ck_assert(ledger_last(ledger, 1, &at) && at == 400);
	ck_assert(ledger_last(ledger, LEDGER_ALL_SITES, &at) && at == 500);
	ledger_free(ledger);
}
END_TEST

/* An independent reader of the file counts what the ledger counts. */
START_TEST(test_ledger_file)
{
	struct ledger *ledger = ledger_of(40, 0);
	char path[] = "/tmp/drsim-ledger-XXXXXX", *line = NULL;
	uint64_t ok = 0, not_intact = 0, bytes = 0, rows = 0, sum_at = 0;
	struct error e = {0};
	size_t size = 0;
	cJSON *json;
	FILE *file;

	close(mkstemp(path));
	fill(ledger);
	read_all(ledger);
	ck_assert_msg(ledger_write_file(ledger, "chat", path, &e) == 0, "%s", e.text);
	file = fopen(path, "r");
	ck_assert(getline(&line, &size, file) > 0);
	json = cJSON_Parse(line);
	ck_assert_str_eq(cJSON_GetObjectItem(json, "schema")->valuestring, "drsim/ledger/v1");
	ck_assert_str_eq(cJSON_GetObjectItem(json, "endpoint")->valuestring, "chat");
	ck_assert_int_eq(cJSON_GetObjectItem(json, "records")->valueint, RECORDS);
	ck_assert_int_eq(cJSON_GetObjectItem(json, "never_sent")->valueint, 2);
	ck_assert_str_eq(cJSON_GetArrayItem(cJSON_GetObjectItem(json, "sites"), 1)->valuestring,
			 "west");
	cJSON_Delete(json);
	while (getline(&line, &size, file) > 0) {
		json = cJSON_Parse(line);
		ck_assert_int_eq(cJSON_GetArraySize(json), 11);
		ck_assert_int_eq(cJSON_GetArrayItem(json, 0)->valueint, (int)rows++);
		ck_assert_int_eq(cJSON_GetArrayItem(json, 1)->valueint, 5);
		if (strcmp(cJSON_GetArrayItem(json, 4)->valuestring, "ok") == 0) {
			const cJSON *verdict = cJSON_GetArrayItem(json, 9);

			ok++;
			sum_at += (uint64_t)cJSON_GetArrayItem(json, 5)->valueint;
			ck_assert_int_eq(cJSON_GetArrayItem(json, 7)->valueint, 0);
			if (cJSON_IsString(verdict) &&
			    strcmp(verdict->valuestring, "intact") != 0) {
				not_intact++;
				bytes += (uint64_t)cJSON_GetArrayItem(json, 3)->valueint;
			}
		} else {
			ck_assert(cJSON_IsNull(cJSON_GetArrayItem(json, 5)));
		}
		cJSON_Delete(json);
	}
	ck_assert_uint_eq(rows, RECORDS);
	ck_assert_uint_eq(ok, 11);
	ck_assert_uint_eq(not_intact, 7);
	ck_assert_uint_eq(bytes, 280);
	ck_assert_uint_eq(sum_at, 450 + 999);
	free(line);
	fclose(file);
	unlink(path);
	ck_assert_int_ne(ledger_write_file(ledger, "chat", "/nowhere/ledger", &e), 0);
	ledger_free(ledger);
}
END_TEST

/* ---- texts of the adapters ---- */

static const struct {
	const char *line;
	bool tagged, good;
	enum adapter_answer_kind kind;
	uint64_t sequence;
	const char *text;
} answers[] = {
	{"ok", false, true, ADAPTER_OK, 0, ""},
	{"ok node-1", false, true, ADAPTER_OK, 0, "node-1"},
	{"ok 17", true, true, ADAPTER_OK, 17, ""},
	{"ok 17 node-1", true, true, ADAPTER_OK, 17, "node-1"},
	{"fail", false, true, ADAPTER_FAIL, 0, ""},
	{"fail disk is full", false, true, ADAPTER_FAIL, 0, "disk is full"},
	{"fail 3 disk is full", true, true, ADAPTER_FAIL, 3, "disk is full"},
	{"data 5.k5.0.00000000.", false, true, ADAPTER_DATA, 0, "5.k5.0.00000000."},
	{"data 5 5.k5.0.00000000.", true, true, ADAPTER_DATA, 5, "5.k5.0.00000000."},
	{"none", false, true, ADAPTER_NONE, 0, ""},
	{"none 9999999999999999999", true, true, ADAPTER_NONE, 9999999999999999999u, ""},
	{"", false, false, 0, 0, ""},
	{"OK", false, false, 0, 0, ""},
	{"okay", false, false, 0, 0, ""},
	{"ok", true, false, 0, 0, ""},
	{"ok x", true, false, 0, 0, ""},
	{"ok -1", true, false, 0, 0, ""},
	{"ok 99999999999999999999", true, false, 0, 0, ""},
	{"ok a b", false, false, 0, 0, ""},
	{"data", false, false, 0, 0, ""},
	{"data ", false, false, 0, 0, ""},
	{"data 5", true, false, 0, 0, ""},
	{"data a b", false, false, 0, 0, ""},
	{"data a\001", false, false, 0, 0, ""},
	{"none x", false, false, 0, 0, ""},
};

START_TEST(test_answers)
{
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct adapter_answer answer = {0};
		int rc = adapter_parse_answer(answers[i].line, strlen(answers[i].line),
					      answers[i].tagged, &answer);

		ck_assert_msg((rc == 0) == answers[i].good, "'%s'", answers[i].line);
		if (rc)
			continue;
		ck_assert_int_eq(answer.kind, answers[i].kind);
		ck_assert_uint_eq(answer.sequence, answers[i].sequence);
		ck_assert_uint_eq(answer.length, strlen(answers[i].text));
		ck_assert_int_eq(memcmp(answer.text, answers[i].text, answer.length), 0);
	}
}
END_TEST

START_TEST(test_records)
{
	static const char *const bad[] = {"",
					  "1",
					  "1 k 0 0123abcd",
					  "1 k 0 0123abcd ",
					  "1 k 0 0123abc answer x",
					  "1 k 0 0123ABCD answer x",
					  "1 k 4294967296 00000000 a ",
					  "x k 0 00000000 a ",
					  " k 0 00000000 a "};
	const char *line = "17 k4 3 BAD 0123456789abcdef some payload";
	struct ledger *ledger = ledger_of(60, 0);
	static char payload[LEDGER_PAYLOAD_MAX], data[ADAPTER_LINE_MAX], text[ADAPTER_LINE_MAX];
	struct ledger_found found;
	struct ledger_write write;
	uint64_t sequence;
	size_t length;

	ck_assert_int_eq(adapter_parse_record(line, strlen(line), &found), 0);
	ck_assert(found.sequence == 17 && found.epoch == 3 && !found.readable);
	ck_assert(found.key_length == 2 && found.length == strlen("some payload"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(adapter_parse_record(bad[i], strlen(bad[i]), &found) == -1, "'%s'",
			      bad[i]);
	ck_assert_int_eq(ledger_next(ledger, 8, &sequence, NULL), 0);
	ledger_write(ledger, 0, &write, payload);
	length = adapter_data(&write, payload, data);
	ck_assert_int_eq(adapter_parse_data(data, length, &found), 0);
	ck_assert(found.inner == 0 && found.epoch == 8 && found.crc == write.crc);
	ck_assert(found.readable && found.length == 60 && !memcmp(found.payload, payload, 60));
	data[length - 1] ^= 1;
	ck_assert_int_eq(adapter_parse_data(data, length, &found), 0);
	ck_assert(!found.readable);
	ck_assert_int_eq(adapter_parse_data("garbage", 7, &found), -1);
	length = (size_t)snprintf(text, sizeof(text), "0 %s 8 %08x 0123456789abcdef %.60s",
				  write.key, write.crc, payload);
	ck_assert_int_eq(adapter_parse_record(text, length, &found), 0);
	ck_assert(found.readable && found.length == 60);
	ledger_free(ledger);
}
END_TEST

/* However the bytes come, the lines are the same. */
START_TEST(test_lines)
{
	static const char text[] = "ok\nfail why\n\ndata abc\nrest";
	static const char *const wanted[] = {"ok", "fail why", "", "data abc"};
	static char buffer[ADAPTER_LINE_MAX + 1];
	struct adapter_lines lines = {.buffer = buffer};
	size_t length, room;
	char *at, *line;

	for (size_t step = 1; step < sizeof(text); step++) {
		size_t n = 0;

		lines.length = lines.taken = 0;
		for (size_t i = 0; i < sizeof(text) - 1; i += step) {
			size_t left = sizeof(text) - 1 - i;

			room = adapter_room(&lines, &at);
			ck_assert_uint_gt(room, step);
			memcpy(at, text + i, left < step ? left : step);
			lines.length += left < step ? left : step;
			while ((line = adapter_line(&lines, &length))) {
				ck_assert_uint_lt(n, 4);
				ck_assert_uint_eq(length, strlen(wanted[n]));
				ck_assert_int_eq(memcmp(line, wanted[n++], length), 0);
			}
		}
		ck_assert_uint_eq(n, 4);
		ck_assert_uint_eq(lines.length, 4);
	}
	lines.length = ADAPTER_LINE_MAX + 1;
	memset(buffer, 'x', sizeof(buffer));
	ck_assert_ptr_null(adapter_line(&lines, &length));
	ck_assert_uint_eq(adapter_room(&lines, &at), 0);
}
END_TEST

/* ---- what the client refuses ---- */

START_TEST(test_refusals)
{
	static const struct client_endpoint_config good = {
		.name = "chat",
		.adapter = {.host = "127.0.0.1", .path = "/", .records_path = "/"},
		.rate = 10,
		.latency_limit = 10,
		.timeout = 10,
		.success = 0.9,
		.window = 10};
	struct client_endpoint_config bad[8];
	struct client_config config = {.netns = -1, .endpoint_count = 1};
	struct client *client;

	for (int i = 0; i < 8; i++)
		bad[i] = good;
	bad[0].rate = -1;
	bad[1].rate = 2e6;
	bad[2].latency_limit = 0;
	bad[3].timeout = 9;
	bad[4].success = 0;
	bad[5].connections = CLIENT_CONNECTIONS_MAX + 1;
	bad[6].payload_bytes = 1e6;
	bad[7].timeout = NANOS_DAY;
	for (int i = 0; i < 8; i++) {
		struct error e = {0};

		config.endpoints = &bad[i];
		ck_assert_int_ne(client_open(&config, &client, &e), 0);
		ck_assert_int_eq(e.kind, ERROR_LIMIT);
	}
	config.endpoints = &good;
	ck_assert_int_eq(client_open(&config, &client, NULL), 0);
	client_free(client);
}
END_TEST

START_TEST(test_expected_answer)
{
	/* sha256 of 32 zero bytes, "k1" and "abc", by another program */
	static const unsigned char digest[32];
	char answer[CLIENT_ANSWER_MAX];

	client_expect_digest(digest, "k1", "abc", 3, answer);
	ck_assert_str_eq(answer, "9375f387aade975b");
}
END_TEST

/* ---- captures ---- */

#define PACKETS_MAX 65536
#define TCP_SYN 2
#define TCP_RST 4

struct pcap_file {
	unsigned char bytes[PACKETS_MAX];
	size_t length;
	uint32_t link;
	uint32_t seq[2]; /* next byte from the client, from the server */
	uint16_t client_port;
};

static void put32(struct pcap_file *f, uint32_t value)
{
	memcpy(f->bytes + f->length, &value, 4);
	f->length += 4;
}

static void put(struct pcap_file *f, const void *bytes, size_t length)
{
	ck_assert_uint_lt(f->length + length, PACKETS_MAX);
	memcpy(f->bytes + f->length, bytes, length);
	f->length += length;
}

static void pcap_begin(struct pcap_file *f, uint32_t link)
{
	*f = (struct pcap_file){.link = link, .seq = {1000, 0xfffffff0}, .client_port = 40000};
	put32(f, 0xa1b23c4d); /* nanoseconds */
	put32(f, 2 | 4 << 16);
	put32(f, 0);
	put32(f, 0);
	put32(f, 65535);
	put32(f, link);
}

static size_t link_head(uint32_t link, unsigned char out[24])
{
	memset(out, 0, 24);
	switch (link) {
	case 1: /* Ethernet, with a VLAN tag */
		out[12] = 0x81;
		out[16] = 8;
		return 18;
	case 0: /* NULL: the host's byte order */
		out[0] = 2;
		return 4;
	case 113: /* LINUX_SLL */
		out[14] = 8;
		return 16;
	case 276: /* LINUX_SLL2 */
		out[0] = 8;
		return 20;
	default: /* RAW */
		return 0;
	}
}

/* A segment at a time in ms; `back`: begins so many bytes before what was sent last. */
static void segment(struct pcap_file *f, int ms, bool from_client, uint8_t flags, const char *text,
		    uint32_t back)
{
	unsigned char link[24], ip[40] = {0x45};
	size_t head = link_head(f->link, link), length = strlen(text);
	uint32_t seq = f->seq[from_client ? 0 : 1] - back;
	uint16_t total = (uint16_t)(40 + length), ports[2] = {f->client_port, 8000};

	put32(f, (uint32_t)(ms / 1000));
	put32(f, (uint32_t)(ms % 1000) * 1000000);
	put32(f, (uint32_t)(head + total));
	put32(f, (uint32_t)(head + total));
	ip[2] = (unsigned char)(total >> 8);
	ip[3] = (unsigned char)total;
	ip[9] = 6;
	ip[12] = ip[16] = 10;
	ip[from_client ? 15 : 19] = 1;
	ip[from_client ? 19 : 15] = 2;
	ip[20] = (unsigned char)(ports[!from_client] >> 8);
	ip[21] = (unsigned char)ports[!from_client];
	ip[22] = (unsigned char)(ports[from_client] >> 8);
	ip[23] = (unsigned char)ports[from_client];
	for (int i = 0; i < 4; i++)
		ip[24 + i] = (unsigned char)(seq >> (24 - 8 * i));
	ip[32] = 0x50;
	ip[33] = flags;
	put(f, link, head);
	put(f, ip, sizeof(ip));
	put(f, text, length);
	if (back == 0)
		f->seq[from_client ? 0 : 1] += (uint32_t)length;
}

static void post(struct pcap_file *f, int ms, uint64_t sequence)
{
	char text[128];

	snprintf(text, sizeof(text),
		 "POST /chat/predict HTTP/1.1\r\nHost: 10.0.0.2\r\nX-Seq: 3-%d\r\n\r\n",
		 (int)sequence);
	segment(f, ms, true, 0x18, text, 0);
	segment(f, ms, true, 0x18, "1 k 0 00000000 x", 0);
}

static void reply(struct pcap_file *f, int ms, const char *status)
{
	char text[128];

	snprintf(text, sizeof(text), "HTTP/1.1 %s\r\nContent-Length: 2\r\n\r\n", status);
	segment(f, ms, false, 0x18, text, 0);
}

/* Requests 0 … 9, ten ms apart: 3 … 6 are refused, 5 is never answered. */
static void make_capture(struct pcap_file *f, uint32_t link)
{
	pcap_begin(f, link);
	segment(f, 0, true, TCP_SYN, "", 0);
	for (int i = 0; i < 10; i++) {
		post(f, 100 + 10 * i, (uint64_t)i);
		if (i == 4)
			segment(f, 102 + 10 * i, true, 0x18, "POST", 30); /* sent again */
		if (i == 5) { /* the connection is given up; the ports come again */
			segment(f, 104 + 10 * i, true, TCP_RST, "", 0);
			segment(f, 105 + 10 * i, true, TCP_SYN, "", 0);
			f->seq[0] = 77;
			continue;
		}
		reply(f, 103 + 10 * i, i >= 3 && i < 7 ? "503 Service Unavailable" : "200 OK");
		if (i == 8)
			segment(f, 106 + 10 * i, false, 0x18, "ok", 0); /* the body comes later */
	}
}

/* Into a file for wire_check(), or straight to the reader. */
static void read_capture(const struct pcap_file *f, struct arena *arena,
			 struct wire_request **requests, size_t *count)
{
	FILE *file = fmemopen((void *)(uintptr_t)f->bytes, f->length, "rb");
	struct error e = {0};

	ck_assert_msg(wire_read_file(file, "capture", arena, requests, count, &e) == 0, "%s",
		      e.text);
}

START_TEST(test_wire_read)
{
	static const uint32_t links[] = {1, 0, 113, 276, 12};
	static struct pcap_file f;
	struct arena arena = {0};
	struct wire_request *requests;
	size_t count;

	make_capture(&f, links[_i]);
	read_capture(&f, &arena, &requests, &count);
	ck_assert_uint_eq(count, 10);
	for (size_t i = 0; i < 10; i++) {
		nanos at = (nanos)(100 + 10 * i) * NANOS_MS;

		ck_assert_uint_eq(requests[i].sequence, i);
		ck_assert_uint_eq(requests[i].endpoint, 3);
		ck_assert_int_eq(requests[i].sent, at);
		ck_assert_int_eq(requests[i].status, i == 5 ? 0 : i >= 3 && i < 7 ? 503 : 200);
		if (i == 5)
			ck_assert_int_eq(requests[i].answered, NANOS_NEVER);
		else
			ck_assert_int_eq(requests[i].answered, at + (i == 8 ? 6 : 3) * NANOS_MS);
	}
	/* Cut off in the middle of a packet: read as far as it goes. */
	f.length -= 10;
	read_capture(&f, &arena, &requests, &count);
	ck_assert_uint_eq(count, 10);
	arena_free(&arena);
}
END_TEST

static struct client_outage outage_of(void)
{
	return (struct client_outage){
		.endpoint = 3,
		.since = 129 * NANOS_MS,
		.until = 169 * NANOS_MS,
		.has_before = true,
		.before = {2, 119 * NANOS_MS, 120 * NANOS_MS, 123 * NANOS_MS},
		.first = {3, 129 * NANOS_MS, 130 * NANOS_MS, 133 * NANOS_MS},
		.after = {7, 169 * NANOS_MS, 170 * NANOS_MS, 173 * NANOS_MS},
	};
}

START_TEST(test_wire_check)
{
	static struct pcap_file f;
	char path[] = "/tmp/drsim-wire-XXXXXX";
	int fd = mkstemp(path);
	struct client_outage outage = outage_of();
	struct wire_result wire;
	struct capture_stats stats = {.dropped = 5};

	make_capture(&f, 1);
	ck_assert(write(fd, f.bytes, f.length) == (ssize_t)f.length);
	ck_assert_int_eq(wire_check(path, NULL, &outage, &wire, NULL), 0);
	ck_assert_msg(wire.available && wire.agrees, "%s", wire.reason);
	ck_assert_int_eq(wire.outage, 50 * NANOS_MS);
	ck_assert_int_eq(wire.client, 40 * NANOS_MS);
	ck_assert_int_eq(wire.difference, 10 * NANOS_MS);
	ck_assert_int_eq(wire.allowed, 18 * NANOS_MS); /* 10 apart, 4 and 4 late */
	ck_assert_int_eq(wire.silence, 50 * NANOS_MS);
	ck_assert(wire.requests == 10 && wire.responses == 9);
	outage.until += 40 * NANOS_MS; /* a client that is wrong */
	ck_assert_int_eq(wire_check(path, NULL, &outage, &wire, NULL), 0);
	ck_assert(wire.available && !wire.agrees);
	outage = outage_of();
	outage.after.sequence = 6; /* on the wire this one was refused */
	ck_assert_int_eq(wire_check(path, NULL, &outage, &wire, NULL), 0);
	ck_assert(!wire.agrees && strstr(wire.reason, "503"));
	outage.after.sequence = 5;
	ck_assert_int_eq(wire_check(path, &stats, &outage, &wire, NULL), 0);
	ck_assert(!wire.available && strstr(wire.reason, "dropped 5"));
	outage.until = NANOS_NEVER;
	ck_assert_int_eq(wire_check(path, NULL, &outage, &wire, NULL), 0);
	ck_assert(!wire.available && strstr(wire.reason, "after it"));
	close(fd);
	unlink(path);
	ck_assert_int_ne(wire_check(path, NULL, &outage, &wire, NULL), 0);
}
END_TEST

static void add_cases(Suite *suite)
{
	test_add_loop(suite, "judge_random", test_judge_random, 8);
	test_add(suite, "judge_reacts", test_judge_reacts);
	test_add(suite, "judge_single", test_judge_single);
	test_add(suite, "quantiles", test_quantiles);
	test_add(suite, "payload_sizes", test_payload_sizes);
	test_add(suite, "payloads", test_payloads);
	test_add(suite, "verdicts", test_verdicts);
	test_add(suite, "acknowledgements", test_acknowledgements);
	test_add(suite, "ledger_file", test_ledger_file);
	test_add(suite, "answers", test_answers);
	test_add(suite, "records", test_records);
	test_add(suite, "lines", test_lines);
	test_add(suite, "refusals", test_refusals);
	test_add(suite, "expected_answer", test_expected_answer);
	test_add_loop(suite, "wire_read", test_wire_read, 5);
	test_add(suite, "wire_check", test_wire_check);
}

TEST_MAIN("client", add_cases)
