/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which nodes reach which, one way: a partition drops what goes from one to another, and an echo
 * cannot tell which of its two ways was cut. Each node has a datagram socket in its own network,
 * and what one sends is looked for at the other.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/process/network_private.h"

#define PORT 9                /* discard, RFC 863: nobody listens there in a node's own network */
#define COPIES 3              /* of each word, one of which has to arrive */
#define QUIET (20 * NANOS_MS) /* without a word: no more is on its way */

struct word {
	uint32_t look, from, to; /* nodes by their numbers */
};

int neighbours_open(struct real *real, uint32_t n, struct error *e)
{
	const struct sockaddr_in here = {.sin_family = AF_INET,
					 .sin_port = htons(PORT),
					 .sin_addr.s_addr = real->network->address[n]};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&here, sizeof(here))) {
		if (fd >= 0)
			close(fd);
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "cannot open a socket in the network of %s", real->nodes[n].name);
	}
	real->network->neighbours[n] = fd;
	return 0;
}

void neighbours_close(struct real *real)
{
	for (size_t n = 0; real->network->among_nodes && n < real->node_count; n++)
		if (real->network->neighbours[n] >= 0)
			close(real->network->neighbours[n]);
}

static void say(struct network *network, uint32_t from, uint32_t to)
{
	const struct word word = {.look = network->looks, .from = from, .to = to};
	const struct sockaddr_in there = {.sin_family = AF_INET,
					  .sin_port = htons(PORT),
					  .sin_addr.s_addr = network->address[to]};

	for (int i = 0; i < COPIES; i++)
		if (sendto(network->neighbours[from], &word, sizeof(word), 0,
			   (const struct sockaddr *)&there, sizeof(there)) < 0)
			return; /* the way is cut so near that its sender knows */
}

/* Marks what has come; true: something came. */
static bool hear(struct real *real, uint32_t own, bool in[PROCESS_NODES_MAX],
		 bool out[PROCESS_NODES_MAX])
{
	struct network *network = real->network;
	struct word word;
	bool any = false;

	for (uint32_t n = 0; n < real->node_count; n++)
		while (recv(network->neighbours[n], &word, sizeof(word), 0) == sizeof(word)) {
			if (word.look != network->looks || word.to != n ||
			    word.from >= real->node_count)
				continue;
			any = true;
			if (word.to == own)
				in[word.from] = true;
			else
				out[word.to] = true;
		}
	return any;
}

void neighbours_count(struct real *real, uint32_t own, struct reading *ret)
{
	struct network *network = real->network;
	bool in[PROCESS_NODES_MAX] = {false}, out[PROCESS_NODES_MAX] = {false};
	nanos begun = real_now(real), heard = begun;

	network->looks++;
	for (uint32_t n = 0; n < real->node_count; n++) {
		if (n == own)
			continue;
		say(network, own, n);
		say(network, n, own);
	}
	while (real_now(real) - heard < QUIET || real_now(real) - begun < network->patience) {
		if (hear(real, own, in, out))
			heard = real_now(real);
		else if (poll(NULL, 0, 1) < 0)
			break;
	}
	for (uint32_t n = 0; n < real->node_count; n++) {
		ret->paths += n == own ? 0 : 2;
		ret->paths_open += in[n] + out[n];
	}
}
