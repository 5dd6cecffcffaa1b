/* SPDX-License-Identifier: Apache-2.0 */
/* A capture read again: requests and answers of TCP connections, and the outage between two. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/host/capture.h"
#include "drivers/lazy/pcap.h"

#define FLOWS_FIRST ((size_t)1 << 6) /* places of the table; half of them are used at most */
#define FLOWS_MAX ((size_t)1 << 18)
#define REQUESTS_MAX ((size_t)1 << 25)
#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_VLAN 0x8100
#define TCP 6
#define NONE SIZE_MAX

struct bytes {
	const unsigned char *at;
	size_t length; /* captured */
};

/* One TCP segment. */
struct segment {
	uint32_t from, to; /* addresses */
	uint16_t from_port, to_port;
	uint32_t sequence;
	uint8_t flags;
	size_t length; /* of the payload as sent */
	struct bytes payload;
	nanos at;
};

enum {
	FLAG_FIN = 1,
	FLAG_SYN = 2,
	FLAG_RST = 4,
	FLAG_ACK = 16
};

/* A connection, as seen from the client; `next` is the next byte of each direction. */
struct flow {
	uint32_t client, server;
	uint16_t client_port, server_port;
	bool used, known[2];
	uint32_t next[2];
	size_t request; /* the one without the next behind it; NONE */
};

struct reading {
	struct arena *arena;
	struct flow *flows; /* hash table of a power of two, with linear probing */
	size_t places, flow_count;
	struct wire_request *requests;
	size_t count, capacity;
};

/* ---- layers ---- */

static uint16_t get16(const unsigned char *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t get32(const unsigned char *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static bool skip(struct bytes *bytes, size_t length)
{
	if (bytes->length < length)
		return false;
	bytes->at += length;
	bytes->length -= length;
	return true;
}

/* Leaves an IPv4 packet; false: it is none, or the link is of another kind. */
static bool open_link(int link, struct bytes *bytes)
{
	switch (link) {
	case DLT_EN10MB:
		while (bytes->length >= 18 && get16(bytes->at + 12) == ETHERTYPE_VLAN)
			skip(bytes, 4); /* the addresses are not looked at */
		return bytes->length >= 14 && get16(bytes->at + 12) == ETHERTYPE_IPV4 &&
		       skip(bytes, 14);
	case DLT_LINUX_SLL:
		return bytes->length >= 16 && get16(bytes->at + 14) == ETHERTYPE_IPV4 &&
		       skip(bytes, 16);
	case DLT_LINUX_SLL2:
		return bytes->length >= 20 && get16(bytes->at) == ETHERTYPE_IPV4 && skip(bytes, 20);
	case DLT_NULL:
	case DLT_LOOP:
		return skip(bytes, 4);
	case DLT_RAW:
		return true;
	default:
		return false;
	}
}

/* The segment of a packet; false: something else, or too little of it was captured. */
static bool open_packet(struct bytes bytes, struct segment *ret)
{
	size_t head, total;

	if (bytes.length < 20 || bytes.at[0] >> 4 != 4 || bytes.at[9] != TCP ||
	    (get16(bytes.at + 6) & 0x1fff) != 0)
		return false;
	head = (size_t)(bytes.at[0] & 15) * 4;
	total = get16(bytes.at + 2);
	if (head < 20 || total < head + 20)
		return false;
	ret->from = get32(bytes.at + 12);
	ret->to = get32(bytes.at + 16);
	if (bytes.length > total)
		bytes.length = total; /* padding of short frames */
	total -= head;
	if (!skip(&bytes, head) || bytes.length < 20)
		return false;
	ret->from_port = get16(bytes.at);
	ret->to_port = get16(bytes.at + 2);
	ret->sequence = get32(bytes.at + 4);
	ret->flags = bytes.at[13];
	head = (size_t)(bytes.at[12] >> 4) * 4;
	if (head < 20 || total < head || !skip(&bytes, head))
		return false;
	ret->length = total - head;
	ret->payload = bytes;
	return true;
}

/* ---- texts ---- */

static bool starts_with(struct bytes bytes, const char *word)
{
	return bytes.length >= strlen(word) && memcmp(bytes.at, word, strlen(word)) == 0;
}

static bool digits(struct bytes *bytes, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;
	size_t n = 0;

	while (n < bytes->length && bytes->at[n] >= '0' && bytes->at[n] <= '9') {
		uint64_t digit = (uint64_t)(bytes->at[n++] - '0');

		if (value > (max - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*ret = value;
	return skip(bytes, n) && n > 0;
}

/* Finds the header's value behind the request line. */
static bool is_request(struct bytes bytes, uint32_t *ret_endpoint, uint64_t *ret_sequence)
{
	static const char header[] = "\r\nX-Seq: ";
	uint64_t endpoint;
	unsigned char *at;

	if (!starts_with(bytes, "POST "))
		return false;
	at = memmem(bytes.at, bytes.length, header, strlen(header));
	if (!at)
		return false;
	skip(&bytes, (size_t)(at - bytes.at) + strlen(header));
	if (!digits(&bytes, UINT32_MAX, &endpoint) || !starts_with(bytes, "-"))
		return false;
	skip(&bytes, 1);
	/* Its end must be there too, or the number could go on behind what was captured. */
	if (!digits(&bytes, UINT64_MAX, ret_sequence) || !starts_with(bytes, "\r"))
		return false;
	*ret_endpoint = (uint32_t)endpoint;
	return true;
}

static int status_of(struct bytes bytes)
{
	uint64_t status;

	if (!starts_with(bytes, "HTTP/1.") || !skip(&bytes, 9) || !digits(&bytes, 999, &status) ||
	    status < 100)
		return 0;
	return (int)status;
}

/* ---- connections ---- */

static bool is_of(const struct flow *flow, const struct segment *s, bool from_client)
{
	if (from_client)
		return flow->client == s->from && flow->client_port == s->from_port &&
		       flow->server == s->to && flow->server_port == s->to_port;
	return flow->client == s->to && flow->client_port == s->to_port &&
	       flow->server == s->from && flow->server_port == s->from_port;
}

/* The same for both directions. */
static size_t hash(uint32_t from, uint16_t from_port, uint32_t to, uint16_t to_port)
{
	uint64_t a = (uint64_t)from << 16 | from_port;
	uint64_t b = (uint64_t)to << 16 | to_port;
	uint64_t x = (a + b) * 0x9e3779b97f4a7c15u ^ (a ^ b) * 0xbf58476d1ce4e5b9u;

	return (size_t)(x >> 32);
}

/* Old tables stay in the arena; together they are smaller than the last one. */
static void grow(struct reading *r)
{
	size_t places = r->places ? r->places * 2 : FLOWS_FIRST;
	struct flow *flows = arena_array(r->arena, places, sizeof(*flows));

	for (size_t k = 0; k < r->places; k++) {
		const struct flow *old = &r->flows[k];
		size_t i = hash(old->client, old->client_port, old->server, old->server_port);

		if (!old->used)
			continue;
		while (flows[i & (places - 1)].used)
			i++;
		flows[i & (places - 1)] = *old;
	}
	r->flows = flows;
	r->places = places;
}

/* The connection of a segment; NULL: unknown, and not begun by it, or there are too many. */
static struct flow *find(struct reading *r, const struct segment *s, bool opens,
			 bool *ret_from_client)
{
	size_t i = hash(s->from, s->from_port, s->to, s->to_port);
	struct flow *flow;

	if (r->flow_count >= r->places / 2 && r->places < FLOWS_MAX)
		grow(r);
	for (;; i++) {
		flow = &r->flows[i & (r->places - 1)];
		if (!flow->used)
			break;
		*ret_from_client = is_of(flow, s, true);
		if (*ret_from_client || is_of(flow, s, false))
			return flow;
	}
	if (!opens || r->flow_count >= r->places / 2)
		return NULL;
	r->flow_count++;
	*flow = (struct flow){.client = s->from,
			      .client_port = s->from_port,
			      .server = s->to,
			      .server_port = s->to_port,
			      .used = true,
			      .request = NONE};
	*ret_from_client = true;
	return flow;
}

static int add_request(struct reading *r, struct flow *flow, uint32_t endpoint, uint64_t sequence,
		       nanos at, struct error *e)
{
	if (r->count == REQUESTS_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "more than %zu requests in a capture",
				 REQUESTS_MAX);
	r->requests =
		arena_grow(r->arena, r->requests, r->count, &r->capacity, sizeof(*r->requests));
	flow->request = r->count;
	r->requests[r->count++] = (struct wire_request){
		.sequence = sequence, .endpoint = endpoint, .sent = at, .answered = NANOS_NEVER};
	return 0;
}

static void add_answer(struct reading *r, const struct flow *flow, const struct segment *s)
{
	struct wire_request *request;
	int status = status_of(s->payload);

	if (flow->request == NONE || status / 100 == 1)
		return;
	request = &r->requests[flow->request];
	/* The answer is there with its last segment. */
	if (request->status || status) {
		request->answered = s->at;
		if (!request->status)
			request->status = status;
	}
}

/* Is it news, or sent again? */
static bool is_new(struct flow *flow, const struct segment *s, bool from_client)
{
	uint32_t next = s->sequence + (uint32_t)s->length;

	if (flow->known[from_client] && (int32_t)(next - flow->next[from_client]) <= 0)
		return false;
	flow->known[from_client] = true;
	flow->next[from_client] = next;
	return true;
}

static int add_segment(struct reading *r, const struct segment *s, struct error *e)
{
	bool syn = (s->flags & (FLAG_SYN | FLAG_ACK)) == FLAG_SYN;
	uint32_t endpoint = 0;
	uint64_t sequence = 0;
	bool request = is_request(s->payload, &endpoint, &sequence);
	bool from_client;
	struct flow *flow = find(r, s, syn || request, &from_client);

	if (!flow)
		return 0;
	if (syn && from_client) { /* the ports are used again */
		flow->known[0] = flow->known[1] = false;
		flow->request = NONE;
	}
	if (s->length == 0 || !is_new(flow, s, from_client))
		return 0;
	if (from_client && request)
		return add_request(r, flow, endpoint, sequence, s->at, e);
	if (!from_client)
		add_answer(r, flow, s);
	return 0;
}

/* ---- files ---- */

int wire_read_file(FILE *file, const char *name, struct arena *arena,
		   struct wire_request **ret_requests, size_t *ret_count, struct error *e)
{
	struct reading r = {.arena = arena};
	char why[PCAP_ERRBUF_SIZE] = "";
	struct pcap_pkthdr *head;
	const u_char *bytes;
	pcap_t *pcap;
	int link, bad = 0;

	if (lazy_pcap_open(e)) {
		fclose(file);
		return -1;
	}
	pcap = pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, why);
	if (!pcap) {
		fclose(file);
		return error_set(e, ERROR_IO, NO_PLACE, "%s: %s", name, why);
	}
	link = pcap_datalink(pcap);
	grow(&r);
	/* A capture that was cut off is read as far as it goes. */
	while (!bad && pcap_next_ex(pcap, &head, &bytes) == 1) {
		struct bytes packet = {.at = bytes, .length = head->caplen};
		struct segment segment = {.at = (nanos)head->ts.tv_sec * NANOS_S +
						head->ts.tv_usec};

		if (open_link(link, &packet) && open_packet(packet, &segment))
			bad = add_segment(&r, &segment, e);
	}
	pcap_close(pcap);
	if (bad)
		return -1;
	*ret_requests = r.requests;
	*ret_count = r.count;
	return 0;
}

int wire_read(const char *path, struct arena *arena, struct wire_request **ret_requests,
	      size_t *ret_count, struct error *e)
{
	FILE *file = fopen(path, "rbe");

	if (!file)
		return error_set(e, ERROR_IO, NO_PLACE, "%s: %s", path, strerror(errno));
	return wire_read_file(file, path, arena, ret_requests, ret_count, e);
}

/* ---- the check ---- */

static bool is_good(const struct wire_request *request)
{
	return request->status >= 200 && request->status < 300;
}

static const struct wire_request *look_for(const struct wire_request *requests, size_t count,
					   uint32_t endpoint, uint64_t sequence)
{
	for (size_t i = 0; i < count; i++)
		if (requests[i].endpoint == endpoint && requests[i].sequence == sequence &&
		    requests[i].answered != NANOS_NEVER)
			return &requests[i];
	return NULL;
}

static int by_time(const void *a, const void *b)
{
	nanos x = *(const nanos *)a, y = *(const nanos *)b;

	return (x > y) - (x < y);
}

/* The longest time between two good responses, from one boundary to the other. */
static nanos longest_silence(const struct wire_request *requests, size_t count, uint32_t endpoint,
			     nanos from, nanos to, struct arena *arena)
{
	nanos *times = arena_array(arena, count + 2, sizeof(*times)), longest = 0;
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		if (requests[i].endpoint == endpoint && is_good(&requests[i]) &&
		    requests[i].answered >= from && requests[i].answered <= to)
			times[n++] = requests[i].answered;
	qsort(times, n, sizeof(*times), by_time);
	for (size_t i = 1; i < n; i++)
		if (times[i] - times[i - 1] > longest)
			longest = times[i] - times[i - 1];
	return longest;
}

static void not_there(struct wire_result *ret, const struct capture_stats *stats, const char *which,
		      uint64_t sequence)
{
	if (stats && stats->full)
		snprintf(ret->reason, sizeof(ret->reason),
			 "the capture ended at its limit, %" PRIu64
			 " bytes, without the %s request %" PRIu64 " and its answer",
			 stats->bytes, which, sequence);
	else if (stats && stats->dropped > 0)
		snprintf(ret->reason, sizeof(ret->reason),
			 "the kernel dropped %" PRIu64 " packets, those of the %s request %" PRIu64
			 " among them",
			 stats->dropped, which, sequence);
	else
		snprintf(ret->reason, sizeof(ret->reason),
			 "the %s request %" PRIu64 " and its answer are not in the capture", which,
			 sequence);
}

static nanos distance(nanos a)
{
	return a < 0 ? -a : a;
}

static void compare(const struct client_outage *outage, const struct wire_request *before,
		    const struct wire_request *after, struct wire_result *ret)
{
	ret->outage = after->answered - before->answered;
	ret->client = outage->until - outage->since;
	ret->difference = ret->outage - ret->client;
	ret->allowed = (outage->first.intended - outage->before.intended) +
		       (outage->before.answered - outage->before.intended) +
		       (outage->after.answered - outage->after.intended);
	ret->available = true;
	ret->agrees = distance(ret->difference) <= ret->allowed;
	if (!is_good(before) || !is_good(after)) {
		ret->agrees = false;
		snprintf(ret->reason, sizeof(ret->reason),
			 "on the wire the boundary requests were answered with %d and %d",
			 before->status, after->status);
	} else if (!ret->agrees) {
		snprintf(ret->reason, sizeof(ret->reason),
			 "the outage on the wire differs by %" PRId64 " ns, at most %" PRId64
			 " ns are explained by spacing and latency",
			 ret->difference, ret->allowed);
	}
}

static void check(const struct wire_request *requests, size_t count,
		  const struct capture_stats *stats, const struct client_outage *outage,
		  struct arena *arena, struct wire_result *ret)
{
	const struct wire_request *before, *after;

	for (size_t i = 0; i < count; i++) {
		ret->requests += requests[i].endpoint == outage->endpoint;
		ret->responses += requests[i].endpoint == outage->endpoint &&
				  requests[i].answered != NANOS_NEVER;
	}
	if (outage->until == NANOS_NEVER || !outage->has_before) {
		snprintf(ret->reason, sizeof(ret->reason), "the outage has no good request %s",
			 outage->has_before ? "after it" : "before it");
		return;
	}
	before = look_for(requests, count, outage->endpoint, outage->before.sequence);
	after = look_for(requests, count, outage->endpoint, outage->after.sequence);
	if (!before) {
		not_there(ret, stats, "last good", outage->before.sequence);
		return;
	}
	if (!after) {
		not_there(ret, stats, "first good", outage->after.sequence);
		return;
	}
	compare(outage, before, after, ret);
	ret->silence = longest_silence(requests, count, outage->endpoint, before->answered,
				       after->answered, arena);
}

int wire_check(const char *path, const struct capture_stats *stats,
	       const struct client_outage *outage, struct wire_result *ret, struct error *e)
{
	struct arena arena = {0};
	struct wire_request *requests = NULL;
	size_t count = 0;
	int rc = wire_read(path, &arena, &requests, &count, e);

	*ret = (struct wire_result){0};
	if (rc == 0)
		check(requests, count, stats, outage, &arena, ret);
	arena_free(&arena);
	return rc;
}

/* ---- an excerpt ---- */

static int copy_packets(pcap_t *pcap, pcap_dumper_t *dumper, nanos from, nanos to)
{
	struct pcap_pkthdr *head;
	const u_char *bytes;

	while (pcap_next_ex(pcap, &head, &bytes) == 1) {
		nanos at = (nanos)head->ts.tv_sec * NANOS_S + head->ts.tv_usec;
		if (at >= from && at <= to)
			pcap_dump((u_char *)dumper, head, bytes);
	}
	return pcap_dump_flush(dumper);
}

static int excerpt(const char *path, const char *to, nanos from, nanos until, struct error *e)
{
	char why[PCAP_ERRBUF_SIZE] = "";
	pcap_dumper_t *dumper = NULL;
	int rc = -1;
	pcap_t *pcap =
		pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, why);

	if (!pcap)
		return error_set(e, ERROR_IO, NO_PLACE, "%s: %s", path, why);
	dumper = pcap_dump_open(pcap, to);
	if (dumper)
		rc = copy_packets(pcap, dumper, from, until);
	if (rc)
		error_set(e, ERROR_IO, NO_PLACE, "%s: %s", to, pcap_geterr(pcap));
	if (dumper)
		pcap_dump_close(dumper);
	pcap_close(pcap);
	return rc ? -1 : 0;
}

int wire_excerpt(const char *path, const char *to, const struct client_outage *outage, nanos margin,
		 struct error *e)
{
	const struct wire_request *before, *after;
	struct wire_request *requests;
	struct arena arena = {0};
	size_t count;
	int rc = wire_read(path, &arena, &requests, &count, e);

	if (rc == 0) {
		before = look_for(requests, count, outage->endpoint,
				  outage->has_before ? outage->before.sequence
						     : outage->after.sequence);
		after = look_for(requests, count, outage->endpoint, outage->after.sequence);
		rc = before && after
			     ? excerpt(path, to, before->sent - margin, after->answered + margin, e)
			     : error_set(e, ERROR_IO, NO_PLACE,
					 "%s: the requests at the outage's edges are not in it",
					 path);
	}
	arena_free(&arena);
	return rc;
}
