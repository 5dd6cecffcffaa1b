/* SPDX-License-Identifier: Apache-2.0 */
/* The client's puts to a command: lines on a socket, answered in order or by their number. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "drivers/host/client_private.h"

#define BACKOFF_FIRST (100 * NANOS_MS)
#define BACKOFF_MAX (2 * NANOS_S)
#define LINE_HEAD_MAX 32 /* "put SEQ " */

static struct put *put_at(const struct endpoint *endpoint, uint64_t number)
{
	return &endpoint->command.puts[number % endpoint->room];
}

static void watch(struct endpoint *endpoint, bool write)
{
	struct command *command = &endpoint->command;
	struct epoll_event event = {.events = EPOLLIN | (write ? (uint32_t)EPOLLOUT : 0),
				    .data.u64 = EVENT_DATA(EVENT_COMMAND, endpoint->number)};

	if (write == command->write_wanted)
		return;
	command->write_wanted = write;
	epoll_ctl(endpoint->client->epoll, EPOLL_CTL_MOD, command->fd, &event);
}

static int begin(struct endpoint *endpoint, nanos now, struct error *e)
{
	struct command *command = &endpoint->command;
	struct epoll_event event = {.events = EPOLLIN,
				    .data.u64 = EVENT_DATA(EVENT_COMMAND, endpoint->number)};

	if (adapter_spawn(&endpoint->config.adapter, &command->pid, &command->fd, e))
		return -1;
	command->out_length = command->out_written = 0;
	command->lines.length = command->lines.taken = 0;
	command->write_wanted = false;
	command->last_answer = now;
	command->head = command->tail = 0;
	endpoint->totals.restarts++;
	epoll_ctl(endpoint->client->epoll, EPOLL_CTL_ADD, command->fd, &event);
	return 0;
}

/* The command is gone or has to go: nobody knows what became of its puts. */
static void end(struct endpoint *endpoint, nanos now)
{
	struct command *command = &endpoint->command;

	if (command->fd < 0)
		return;
	adapter_kill(command->pid, command->fd);
	command->fd = -1;
	for (; command->head < command->tail; command->head++) {
		const struct put *put = put_at(endpoint, command->head);

		if (!put->done && !put->given_up)
			client_end(endpoint, put->sequence, OUTCOME_UNKNOWN, false, now);
	}
	command->restart_at = now + command->backoff;
	command->backoff = command->backoff * 2 < BACKOFF_MAX ? command->backoff * 2 : BACKOFF_MAX;
}

int client_exec_open(struct endpoint *endpoint, struct error *e)
{
	struct command *command = &endpoint->command;
	struct arena *arena = &endpoint->client->arena;

	command->puts = arena_array(arena, endpoint->room, sizeof(*command->puts));
	command->out = arena_alloc(arena, ADAPTER_LINE_MAX + LINE_HEAD_MAX + 1);
	command->lines.buffer = arena_alloc(arena, ADAPTER_LINE_MAX + 1);
	command->backoff = BACKOFF_FIRST;
	return begin(endpoint, client_now(endpoint->client), e);
}

void client_exec_close(struct endpoint *endpoint)
{
	if (endpoint->command.fd >= 0)
		adapter_kill(endpoint->command.pid, endpoint->command.fd);
	endpoint->command.fd = -1;
}

void client_exec_renew(struct endpoint *endpoint, nanos now)
{
	struct command *command = &endpoint->command;

	end(endpoint, now);
	command->backoff = BACKOFF_FIRST;
	command->restart_at = now;
}

/* Writes on; -1: the command is gone. */
static int flush(struct endpoint *endpoint)
{
	struct command *command = &endpoint->command;

	while (command->out_written < command->out_length) {
		ssize_t n = send(command->fd, command->out + command->out_written,
				 command->out_length - command->out_written, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return -1;
		command->out_written += (size_t)n;
	}
	return 0;
}

bool client_exec_send(struct endpoint *endpoint, uint64_t sequence, nanos now)
{
	struct command *command = &endpoint->command;
	char payload[LEDGER_PAYLOAD_MAX];
	struct ledger_write write;
	size_t head;

	if (command->fd < 0 || command->tail - command->head == endpoint->room ||
	    command->out_written < command->out_length)
		return false;
	ledger_write(endpoint->ledger, sequence, &write, payload);
	head = (size_t)snprintf(command->out, LINE_HEAD_MAX, "put %" PRIu64 " ", sequence);
	command->out_length = head + adapter_data(&write, payload, command->out + head);
	command->out[command->out_length++] = '\n';
	command->out_written = 0;
	ledger_sent(endpoint->ledger, sequence);
	if (flush(endpoint)) {
		command->out_length = 0;
		ledger_unsent(endpoint->ledger, sequence);
		end(endpoint, now);
		return false;
	}
	watch(endpoint, command->out_written < command->out_length);
	if (command->out_written == 0) { /* not a byte: it can still wait */
		command->out_length = 0;
		ledger_unsent(endpoint->ledger, sequence);
		return false;
	}
	*put_at(endpoint, command->tail++) = (struct put){.sequence = sequence, .sent = now};
	client_slot(endpoint, sequence)->sent = now;
	return true;
}

/* Puts are in order of their numbers. */
static struct put *find(struct endpoint *endpoint, uint64_t sequence)
{
	struct command *command = &endpoint->command;
	uint64_t low = command->head, high = command->tail;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (put_at(endpoint, middle)->sequence < sequence)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == command->tail || put_at(endpoint, low)->sequence != sequence)
		return NULL;
	return put_at(endpoint, low);
}

void client_exec_give_up(struct endpoint *endpoint, uint64_t sequence, nanos now)
{
	struct put *put = find(endpoint, sequence);

	assert(put);
	put->given_up = true;
	client_end(endpoint, sequence, OUTCOME_UNKNOWN, false, now);
}

/* An answer to a put that has one already, or that nobody waits for any more. */
static int second_answer(struct endpoint *endpoint, const struct adapter_answer *answer, nanos now)
{
	if (answer->sequence >= endpoint->pending)
		return -1;
	if (answer->kind == ADAPTER_OK &&
	    ledger_state(endpoint->ledger, answer->sequence) == LEDGER_OK)
		ledger_acknowledged(endpoint->ledger, answer->sequence, now, answer->text,
				    answer->length, NULL, 0);
	return 0;
}

/* -1: not an answer that can come now. */
static int take(struct endpoint *endpoint, const char *line, size_t length, nanos now)
{
	struct command *command = &endpoint->command;
	struct adapter_answer answer;
	struct put *put;

	if (adapter_parse_answer(line, length, endpoint->config.adapter.tagged, &answer) ||
	    (answer.kind != ADAPTER_OK && answer.kind != ADAPTER_FAIL))
		return -1;
	if (!answer.tagged && command->head == command->tail)
		return -1;
	put = answer.tagged ? find(endpoint, answer.sequence) : put_at(endpoint, command->head);
	if (!put || put->done)
		return second_answer(endpoint, &answer, now);
	put->done = true;
	if (!put->given_up && answer.kind == ADAPTER_OK) {
		ledger_acknowledged(endpoint->ledger, put->sequence, now, answer.text,
				    answer.length, NULL, 0);
		client_end(endpoint, put->sequence,
			   client_outcome(endpoint, put->sequence, true, now), true, now);
	} else if (!put->given_up) {
		ledger_refused(endpoint->ledger, put->sequence);
		client_end(endpoint, put->sequence, OUTCOME_FAILED, true, now);
	}
	while (command->head < command->tail && put_at(endpoint, command->head)->done)
		command->head++;
	command->last_answer = now;
	command->backoff = BACKOFF_FIRST;
	return 0;
}

static int receive(struct endpoint *endpoint)
{
	struct command *command = &endpoint->command;
	size_t length, room;
	char *line, *at;
	ssize_t n;

	for (;;) {
		room = adapter_room(&command->lines, &at);
		n = room > 0 ? recv(command->fd, at, room, 0) : -1;
		if (n < 0 && room > 0 && errno == EINTR)
			continue;
		if (n < 0 && room > 0 && errno == EAGAIN)
			return 0;
		if (n <= 0)
			return -1;
		command->lines.length += (size_t)n;
		while ((line = adapter_line(&command->lines, &length)))
			if (take(endpoint, line, length, client_now(endpoint->client)))
				return -1;
	}
}

void client_exec_event(struct endpoint *endpoint, uint32_t events)
{
	struct command *command = &endpoint->command;
	bool gone = false;

	if (command->fd < 0)
		return;
	if (events & EPOLLOUT)
		gone = flush(endpoint) != 0;
	if (!gone && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		gone = receive(endpoint) != 0;
	if (gone)
		end(endpoint, client_now(endpoint->client));
	else
		watch(endpoint, command->out_written < command->out_length);
}

nanos client_exec_turn(struct endpoint *endpoint, nanos now)
{
	struct command *command = &endpoint->command;
	nanos since;

	if (command->fd < 0) {
		if (now < command->restart_at)
			return command->restart_at;
		if (begin(endpoint, now, NULL)) {
			command->restart_at = now + command->backoff;
			return command->restart_at;
		}
	}
	/* By number, an answer that never comes must not stop those behind it. */
	while (endpoint->config.adapter.tagged && command->head < command->tail &&
	       (put_at(endpoint, command->head)->given_up || put_at(endpoint, command->head)->done))
		command->head++;
	if (command->head == command->tail)
		return NANOS_NEVER;
	since = put_at(endpoint, command->head)->sent;
	if (since < command->last_answer)
		since = command->last_answer;
	if (now - since < endpoint->config.timeout)
		return since + endpoint->config.timeout;
	end(endpoint, now);
	return command->restart_at;
}
