/* SPDX-License-Identifier: Apache-2.0 */
/* A reference adapter: lines on standard input become SETs and GETs of a Redis, pipelined.
 * adapter_redis PORT [ADDRESS]: answers in order; a Redis that is gone makes puts fail until it is
 * back. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER ((size_t)1 << 20)
#define LINE_MAX_BYTES ((size_t)66 << 10)
#define ASKED_MAX 4096 /* requests that Redis has not answered */
#define RETRY_MS 50

struct buffer {
	char bytes[BUFFER];
	size_t begin, end;
};

struct adapter {
	uint16_t port;
	const char *address;
	int redis;
	struct buffer in, out, to_redis, from_redis;
	bool gets[ASKED_MAX]; /* of the requests under way: get, or put */
	uint64_t head, tail;
};

static size_t used(const struct buffer *b)
{
	return b->end - b->begin;
}

static size_t room(struct buffer *b)
{
	memmove(b->bytes, b->bytes + b->begin, used(b));
	b->end -= b->begin;
	b->begin = 0;
	return BUFFER - b->end;
}

static void append(struct buffer *b, const char *text, size_t length)
{
	if (room(b) < length)
		exit(3);
	memcpy(b->bytes + b->end, text, length);
	b->end += length;
}

static void say(struct adapter *a, const char *text)
{
	append(&a->out, text, strlen(text));
}

/* Nobody knows what became of what Redis had not answered: end, so that it counts as unknown. */
static void lost_redis(struct adapter *a)
{
	close(a->redis);
	a->redis = -1;
	a->to_redis.begin = a->to_redis.end = 0;
	a->from_redis.begin = a->from_redis.end = 0;
	if (a->head < a->tail)
		exit(4);
}

static void connect_redis(struct adapter *a)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(a->port)};
	int one = 1;

	inet_pton(AF_INET, a->address, &address.sin_addr);
	a->redis = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (a->redis < 0 || connect(a->redis, (struct sockaddr *)&address, sizeof(address))) {
		if (a->redis >= 0)
			close(a->redis);
		a->redis = -1;
		return;
	}
	setsockopt(a->redis, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	fcntl(a->redis, F_SETFL, O_NONBLOCK);
}

/* put SEQ DATA | get SEQ, without the newline. */
static void request(struct adapter *a, char *line)
{
	bool get = strncmp(line, "get ", 4) == 0;
	char *key = line + 4, *data = strchr(key, ' '), text[LINE_MAX_BYTES + 128];
	int n;

	if (!get && strncmp(line, "put ", 4) != 0)
		exit(2);
	if (a->redis < 0) {
		if (get)
			exit(4); /* whether it is there cannot be said */
		say(a, "fail no connection to Redis\n");
		return;
	}
	if (get) {
		n = snprintf(text, sizeof(text), "*2\r\n$3\r\nGET\r\n$%zu\r\n%s\r\n", strlen(key),
			     key);
	} else {
		if (!data)
			exit(2);
		*data++ = '\0';
		n = snprintf(text, sizeof(text), "*3\r\n$3\r\nSET\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n",
			     strlen(key), key, strlen(data), data);
	}
	append(&a->to_redis, text, (size_t)n);
	a->gets[a->tail++ % ASKED_MAX] = get;
}

static void take_lines(struct adapter *a)
{
	while (a->tail - a->head < ASKED_MAX && used(&a->to_redis) < BUFFER / 2 &&
	       used(&a->out) < BUFFER / 2) {
		char *line = a->in.bytes + a->in.begin;
		char *end = memchr(line, '\n', used(&a->in));

		if (!end)
			return;
		*end = '\0';
		a->in.begin += (size_t)(end - line) + 1;
		request(a, line);
	}
}

/* One answer of Redis; false: it is not there whole yet. */
static bool take_answer(struct adapter *a)
{
	char *text = a->from_redis.bytes + a->from_redis.begin;
	char *end = memmem(text, used(&a->from_redis), "\r\n", 2);
	long length;
	bool get = a->gets[a->head % ASKED_MAX];

	if (!end || end == text || a->head == a->tail)
		return false;
	if (text[0] == '$') {
		length = strtol(text + 1, NULL, 10);
		if (length >= 0 && end + 2 + length + 2 > text + used(&a->from_redis))
			return false;
		if (length >= 0) {
			say(a, "data ");
			append(&a->out, end + 2, (size_t)length);
			say(a, "\n");
			end += 2 + length;
		} else {
			say(a, "none\n");
		}
	} else if (get) {
		exit(4); /* -LOADING: not yet */
	} else {
		say(a, text[0] == '+' ? "ok\n" : "fail Redis refused\n");
	}
	a->from_redis.begin = (size_t)(end + 2 - a->from_redis.bytes);
	a->head++;
	return true;
}

static bool fill(int fd, struct buffer *b)
{
	size_t length = room(b);
	ssize_t n = length > 0 ? read(fd, b->bytes + b->end, length) : -1;

	if (n > 0)
		b->end += (size_t)n;
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR || length == 0));
}

static bool drain(int fd, struct buffer *b)
{
	ssize_t n = used(b) ? write(fd, b->bytes + b->begin, used(b)) : 0;

	if (n > 0)
		b->begin += (size_t)n;
	return n >= 0 || errno == EAGAIN || errno == EINTR;
}

static void turn(struct adapter *a)
{
	struct pollfd ready[3] = {
		{.fd = STDIN_FILENO, .events = POLLIN},
		{.fd = used(&a->out) ? STDOUT_FILENO : -1, .events = POLLOUT},
		{.fd = a->redis, .events = POLLIN},
	};

	if (used(&a->to_redis))
		ready[2].events |= POLLOUT;
	if (poll(ready, 3, a->redis < 0 ? RETRY_MS : -1) < 0 && errno != EINTR)
		exit(3);
	if (a->redis < 0)
		connect_redis(a);
	else if ((ready[2].revents && !fill(a->redis, &a->from_redis)) ||
		 !drain(a->redis, &a->to_redis))
		lost_redis(a);
	while (take_answer(a))
		;
	if (ready[0].revents && !fill(STDIN_FILENO, &a->in))
		exit(0);
	take_lines(a);
	if (!drain(STDOUT_FILENO, &a->out))
		exit(0);
}

int main(int argc, char **argv)
{
	static struct adapter a = {.redis = -1};

	if (argc != 2 && argc != 3)
		return 2;
	a.port = (uint16_t)strtoul(argv[1], NULL, 10);
	a.address = argc == 3 ? argv[2] : "127.0.0.1";
	fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
	fcntl(STDOUT_FILENO, F_SETFL, O_NONBLOCK);
	signal(SIGPIPE, SIG_IGN);
	connect_redis(&a);
	for (;;)
		turn(&a);
}
