/* SPDX-License-Identifier: Apache-2.0 */
/* Adapters: the texts that go to and fro, commands as children, and the read-back over both. */
#include "drivers/host/adapter.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/arena.h"
#include "drivers/lazy/curl.h"

#define BODY_MAX ((size_t)64 << 20)   /* of one answer of records */
#define BODY_TENDED ((size_t)8 << 20) /* asked for at a time */
#define RECORD_REST 256               /* of a record's line, beside its payload */
#define TRIES_MAX 5                   /* of one range, or starts of a command without progress */
#define PAUSE_MS 200                  /* before another try */
#define GETS_MAX 64                   /* asked for without an answer yet */
#define DIGITS_MAX 19

/* ---- texts ---- */

static bool number(const char *text, size_t length, uint64_t *ret)
{
	uint64_t value = 0;

	if (length == 0 || length > DIGITS_MAX)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text[i] - '0');
	}
	*ret = value;
	return true;
}

static bool number32(const char *text, size_t length, uint32_t *ret)
{
	uint64_t value;

	if (!number(text, length, &value) || value > UINT32_MAX)
		return false;
	*ret = (uint32_t)value;
	return true;
}

static bool hex32(const char *text, size_t length, uint32_t *ret)
{
	uint32_t value = 0;

	if (length != 8)
		return false;
	for (size_t i = 0; i < length; i++) {
		const char *digits = "0123456789abcdef";
		const char *at = text[i] ? strchr(digits, text[i]) : NULL;

		if (!at)
			return false;
		value = value << 4 | (uint32_t)(at - digits);
	}
	*ret = value;
	return true;
}

/* The next part of a text up to `by`; the text goes on behind it. The last part is all the rest. */
static const char *part(const char **text, size_t *left, char by, size_t *ret_length)
{
	const char *begin = *text;
	const char *end = *left ? memchr(begin, by, *left) : NULL;

	*ret_length = end ? (size_t)(end - begin) : *left;
	*left -= *ret_length + (end != NULL);
	*text = end ? end + 1 : begin + *ret_length;
	return begin;
}

static bool is_word(const char *text, size_t length, const char *word)
{
	return length == strlen(word) && memcmp(text, word, length) == 0;
}

static bool plain(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (text[i] <= ' ' || text[i] >= 127)
			return false;
	return length > 0;
}

int adapter_parse_answer(const char *line, size_t length, bool tagged,
			 struct adapter_answer *ret_answer)
{
	static const struct {
		const char *word;
		enum adapter_answer_kind kind;
		bool bare;
	} words[] = {{"ok", ADAPTER_OK, true},
		     {"fail", ADAPTER_FAIL, true},
		     {"data", ADAPTER_DATA, false},
		     {"none", ADAPTER_NONE, true}};
	struct adapter_answer answer = {.tagged = tagged};
	size_t word_length, n;
	const char *word, *tag;
	size_t i = 0;

	if (length > ADAPTER_LINE_MAX)
		return -1;
	word = part(&line, &length, ' ', &word_length);
	while (i < sizeof(words) / sizeof(words[0]) && !is_word(word, word_length, words[i].word))
		i++;
	if (i == sizeof(words) / sizeof(words[0]))
		return -1;
	answer.kind = words[i].kind;
	if (tagged) {
		tag = part(&line, &length, ' ', &n);
		if (!number(tag, n, &answer.sequence))
			return -1;
	}
	answer.text = line;
	answer.length = length;
	if (length == 0 && !words[i].bare)
		return -1;
	if ((answer.kind == ADAPTER_NONE && length > 0) ||
	    (answer.kind != ADAPTER_FAIL && length > 0 && !plain(line, length)))
		return -1;
	*ret_answer = answer;
	return 0;
}

size_t adapter_data(const struct ledger_write *write, const char *payload, char *out)
{
	int length = snprintf(out, ADAPTER_LINE_MAX, "%" PRIu64 ".%s.%" PRIu32 ".%08" PRIx32 ".",
			      write->sequence, write->key, write->epoch, write->crc);

	memcpy(out + length, payload, write->length);
	return (size_t)length + write->length;
}

int adapter_parse_data(const char *data, size_t length, struct ledger_found *ret_found)
{
	struct ledger_found found = {0};
	const char *text;
	size_t n;

	text = part(&data, &length, '.', &n);
	if (!number(text, n, &found.inner))
		return -1;
	found.key = part(&data, &length, '.', &found.key_length);
	text = part(&data, &length, '.', &n);
	if (!number32(text, n, &found.epoch))
		return -1;
	text = part(&data, &length, '.', &n);
	if (!hex32(text, n, &found.crc))
		return -1;
	found.payload = data;
	found.length = length;
	found.readable = ledger_crc32c(data, length) == found.crc;
	*ret_found = found;
	return 0;
}

int adapter_parse_record(const char *line, size_t length, struct ledger_found *ret_found)
{
	struct ledger_found found = {0};
	const char *text;
	size_t n;

	text = part(&line, &length, ' ', &n);
	if (!number(text, n, &found.sequence))
		return -1;
	found.inner = found.sequence;
	found.key = part(&line, &length, ' ', &found.key_length);
	text = part(&line, &length, ' ', &n);
	if (!number32(text, n, &found.epoch))
		return -1;
	text = part(&line, &length, ' ', &n);
	if (!is_word(text, n, "BAD") && !hex32(text, n, &found.crc))
		return -1;
	found.readable = n == 8;
	part(&line, &length, ' ', &n); /* the answer that was given */
	if (n == 0)
		return -1;
	found.payload = line;
	found.length = length;
	found.readable = found.readable && ledger_crc32c(line, length) == found.crc;
	*ret_found = found;
	return 0;
}

char *adapter_line(struct adapter_lines *lines, size_t *ret_length)
{
	char *begin = lines->buffer + lines->taken;
	size_t left = lines->length - lines->taken;
	char *end = left ? memchr(begin, '\n', left) : NULL;

	if (end) {
		*ret_length = (size_t)(end - begin);
		lines->taken += *ret_length + 1;
		return begin;
	}
	memmove(lines->buffer, begin, left);
	lines->length = left;
	lines->taken = 0;
	return NULL;
}

size_t adapter_room(struct adapter_lines *lines, char **ret_at)
{
	assert(lines->taken == 0);
	*ret_at = lines->buffer + lines->length;
	return ADAPTER_LINE_MAX + 1 - lines->length;
}

/* ---- commands ---- */

/* In the child: only calls that are safe after a fork of a process with threads. */
static void become(const struct adapter_config *config, int end, int log, int report, int priority)
{
	sigset_t none;
	int reason;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0,
		0); /* what it starts ends with it, and a signal to drsim's group is not for it */
	setpriority(PRIO_PROCESS, 0, priority);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (dup2(end, STDIN_FILENO) >= 0 && dup2(end, STDOUT_FILENO) >= 0 &&
	    dup2(log, STDERR_FILENO) >= 0)
		execvp(config->argv[0], (char *const *)(uintptr_t)config->argv);
	reason = errno;
	if (write(report, &reason, sizeof(reason)) < 0)
		_exit(126);
	_exit(127);
}

int adapter_spawn(const struct adapter_config *config, pid_t *ret_pid, int *ret_fd, struct error *e)
{
	int pair[2] = {-1, -1}, report[2] = {-1, -1}, log = -1, reason = 0;
	/* The thread may run at a higher priority than the program: that is not for commands. */
	int priority = getpriority(PRIO_PROCESS, (id_t)getpid());
	ssize_t got;
	pid_t pid;
	int rc = -1;

	log = open(config->log ? config->log : "/dev/null",
		   O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (log < 0 || pipe2(report, O_CLOEXEC) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
		error_set(e, ERROR_IO, NO_PLACE, "a command cannot be started: %s",
			  strerror(errno));
		goto out;
	}
	pid = fork();
	if (pid == 0)
		become(config, pair[1], log, report[1], priority);
	close(report[1]);
	report[1] = -1;
	if (pid < 0) {
		error_set(e, ERROR_IO, NO_PLACE, "a command cannot be started: %s",
			  strerror(errno));
		goto out;
	}
	do
		got = read(report[0], &reason, sizeof(reason));
	while (got < 0 && errno == EINTR);
	if (got > 0) {
		adapter_kill(pid, -1);
		error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "'%s' cannot be started: %s",
			  config->argv[0], strerror(reason));
		goto out;
	}
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	*ret_pid = pid;
	*ret_fd = pair[0];
	pair[0] = -1;
	rc = 0;
out:
	for (int i = 0; i < 2; i++) {
		if (pair[i] >= 0)
			close(pair[i]);
		if (report[i] >= 0)
			close(report[i]);
	}
	if (log >= 0)
		close(log);
	return rc;
}

void adapter_kill(pid_t pid, int fd)
{
	if (fd >= 0)
		close(fd);
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL); /* its group may not be made yet */
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* ---- read-back ---- */

struct reader {
	const struct adapter_config *config;
	struct ledger *ledger;
	const atomic_bool *stop;
	struct arena arena;
	/* http */
	CURL *easy;
	char *body;
	size_t length, capacity;
	/* exec */
	pid_t pid;
	int fd;
	struct adapter_lines lines;
};

static bool stopped(const struct reader *r)
{
	return r->stop && atomic_load(r->stop);
}

static void pause_a_moment(void)
{
	poll(NULL, 0, PAUSE_MS);
}

static size_t take_body(char *data, size_t size, size_t count, void *self)
{
	struct reader *r = self;
	size_t length = size * count;

	if (length > BODY_MAX - r->length)
		return 0;
	while (r->length + length > r->capacity)
		r->body = arena_grow(&r->arena, r->body, r->capacity, &r->capacity, 1);
	memcpy(r->body + r->length, data, length);
	r->length += length;
	return length;
}

static int progress(void *self, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	(void)a, (void)b, (void)c, (void)d;
	return stopped(self);
}

static int http_open(struct reader *r, struct error *e)
{
	if (lazy_curl_open(e))
		return -1;
	r->easy = curl_easy_init();
	if (!r->easy)
		return error_set(e, ERROR_MEMORY, NO_PLACE, "libcurl gives no handle");
	curl_easy_setopt(r->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(r->easy, CURLOPT_PROXY, "");
	curl_easy_setopt(r->easy, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(r->easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(r->easy, CURLOPT_WRITEDATA, r);
	curl_easy_setopt(r->easy, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(r->easy, CURLOPT_XFERINFOFUNCTION, progress);
	curl_easy_setopt(r->easy, CURLOPT_XFERINFODATA, r);
	curl_easy_setopt(r->easy, CURLOPT_TIMEOUT_MS, (long)(r->config->timeout / NANOS_MS));
	return 0;
}

/* GET of one range into r->body, several times if need be. */
static int http_get(struct reader *r, uint64_t from, uint64_t count, struct error *e)
{
	char url[2 * ADAPTER_PATH_MAX + 128];
	CURLcode code = CURLE_OK;
	long status = 0;

	snprintf(url, sizeof(url), "http://%s:%u%s?from=%" PRIu64 "&count=%" PRIu64,
		 r->config->host, r->config->port, r->config->records_path, from, count);
	curl_easy_setopt(r->easy, CURLOPT_URL, url);
	for (int i = 0; i < TRIES_MAX && !stopped(r); i++) {
		if (i > 0)
			pause_a_moment();
		r->length = 0;
		status = 0;
		code = curl_easy_perform(r->easy);
		curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
		if (code == CURLE_OK && status == 200)
			return 0;
	}
	if (stopped(r))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "the read-back was stopped");
	if (code != CURLE_OK)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "%s: %s", r->config->records_path,
				 curl_easy_strerror(code));
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "%s: HTTP status %ld",
			 r->config->records_path, status);
}

/* One range [from, from + count): every line of the answer goes to the ledger. */
static int http_range(struct reader *r, uint64_t from, uint64_t count, struct error *e)
{
	const char *text;
	size_t left;

	if (http_get(r, from, count, e))
		return -1;
	text = r->body;
	left = r->length;
	while (left > 0) {
		struct ledger_found found;
		size_t length;
		const char *line = part(&text, &left, '\n', &length);

		if (adapter_parse_record(line, length, &found) || found.sequence < from ||
		    found.sequence - from >= count)
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
					 "%s: an answer that is not understood: '%.*s'",
					 r->config->records_path, (int)(length < 80 ? length : 80),
					 line);
		ledger_check_found(r->ledger, &found);
	}
	return 0;
}

static int http_read(struct reader *r, uint64_t end, struct error *e)
{
	uint64_t from = 0;

	while (from < end) {
		size_t bytes = ledger_payload_length(r->ledger, from) + RECORD_REST;
		uint64_t count = BODY_TENDED / bytes;

		if (count > ADAPTER_RECORDS)
			count = ADAPTER_RECORDS;
		if (count > end - from)
			count = end - from;
		if (http_range(r, from, count, e))
			return -1;
		ledger_check_read(r->ledger, from, from + count);
		from += count;
	}
	/* What nobody has sent yet must not be there. */
	return http_range(r, end, ADAPTER_RECORDS, e);
}

struct asked {
	uint64_t sequence;
	bool answered;
};

/* The gets under way: [head, tail), and how much of the request lines has been written. */
struct gets {
	struct asked asked[GETS_MAX];
	uint64_t head, tail, end;
	char out[64];
	size_t out_length, out_written;
};

static int exec_send(struct reader *r, struct gets *g)
{
	for (;;) {
		ssize_t n;

		if (g->out_written == g->out_length) {
			if (g->tail == g->end || g->tail - g->head == GETS_MAX)
				return 0;
			/* Told by the life before this one. */
			if (g->asked[g->tail % GETS_MAX].answered &&
			    g->asked[g->tail % GETS_MAX].sequence == g->tail) {
				g->tail++;
				continue;
			}
			g->asked[g->tail % GETS_MAX] = (struct asked){.sequence = g->tail};
			g->out_length = (size_t)snprintf(g->out, sizeof(g->out),
							 "get %" PRIu64 "\n", g->tail);
			g->out_written = 0;
			g->tail++;
		}
		n = send(r->fd, g->out + g->out_written, g->out_length - g->out_written,
			 MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -1;
		g->out_written += (size_t)n;
	}
}

/* -1: not of the protocol, or the command could not tell. */
static int exec_answer(struct reader *r, struct gets *g, const char *line, size_t length)
{
	struct adapter_answer answer;
	struct ledger_found found;
	uint64_t sequence = g->head;

	if (adapter_parse_answer(line, length, r->config->tagged, &answer))
		return -1;
	if (answer.tagged)
		sequence = answer.sequence;
	if (sequence < g->head || sequence >= g->tail || g->asked[sequence % GETS_MAX].answered)
		return -1;
	if (answer.kind == ADAPTER_DATA) {
		if (adapter_parse_data(answer.text, answer.length, &found))
			found = (struct ledger_found){.inner = sequence,
						      .payload = answer.text,
						      .length = answer.length,
						      .key = answer.text};
		found.sequence = sequence;
		ledger_check_found(r->ledger, &found);
	} else if (answer.kind != ADAPTER_NONE) {
		return -1;
	}
	g->asked[sequence % GETS_MAX].answered = true;
	while (g->head < g->tail && g->asked[g->head % GETS_MAX].answered)
		g->head++;
	return 0;
}

static int exec_receive(struct reader *r, struct gets *g)
{
	size_t length, room;
	char *line, *at;
	ssize_t n;

	room = adapter_room(&r->lines, &at);
	n = room > 0 ? recv(r->fd, at, room, 0) : -1;
	if (n < 0 && room > 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return -1;
	r->lines.length += (size_t)n;
	while ((line = adapter_line(&r->lines, &length)))
		if (exec_answer(r, g, line, length))
			return -1;
	return 0;
}

/* One life of the command: asks for [g->head, end) until all is answered, or it fails. */
static int exec_life(struct reader *r, struct gets *g, struct error *e)
{
	nanos wait = r->config->timeout > 0 ? r->config->timeout : NANOS_S;
	int rc = -1;

	if (adapter_spawn(r->config, &r->pid, &r->fd, e))
		return -1;
	g->tail = g->head;
	g->out_length = g->out_written = 0;
	r->lines.length = r->lines.taken = 0;
	while (g->head < g->end && !stopped(r)) {
		struct pollfd ready = {.fd = r->fd, .events = POLLIN};

		if (exec_send(r, g))
			break;
		if (g->out_written < g->out_length)
			ready.events |= POLLOUT;
		if (poll(&ready, 1, (int)(wait / NANOS_MS) + 1) <= 0)
			break;
		if ((ready.revents & ~POLLOUT) && exec_receive(r, g))
			break;
	}
	if (g->head == g->end)
		rc = 0;
	adapter_kill(r->pid, r->fd);
	return rc;
}

static int exec_read(struct reader *r, uint64_t end, struct error *e)
{
	struct gets g = {.end = end};

	r->lines.buffer = arena_alloc(&r->arena, ADAPTER_LINE_MAX + 1);
	for (int i = 0; i < TRIES_MAX && !stopped(r); i++) {
		uint64_t before = g.head;
		int rc = exec_life(r, &g, e);

		ledger_check_read(r->ledger, before, g.head);
		if (rc == 0)
			return 0;
		if (g.head > before)
			i = 0;
		pause_a_moment();
	}
	if (stopped(r))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "the read-back was stopped");
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
			 "'%s' does not answer 'get %" PRIu64 "' as it should", r->config->argv[0],
			 g.head);
}

int adapter_read_back(const struct adapter_config *config, struct ledger *ledger,
		      const atomic_bool *stop, struct error *e)
{
	struct reader r = {.config = config, .ledger = ledger, .stop = stop, .fd = -1};
	uint64_t end = ledger_check_begin(ledger);
	int rc = -1;

	switch (config->kind) {
	case ADAPTER_HTTP:
		if (http_open(&r, e))
			break;
		rc = http_read(&r, end, e);
		curl_easy_cleanup(r.easy);
		break;
	case ADAPTER_EXEC:
		rc = exec_read(&r, end, e);
		break;
	}
	if (rc == 0)
		ledger_check_end(ledger);
	arena_free(&r.arena);
	return rc;
}
