/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper of listeners: "go on" to every call once nobody else answers. */
#include "drivers/linux/syscall_keep.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIXED 2 /* descriptors that are no listeners: the socket, the owner */

struct table {
	struct syscall_table *map; /* NULL: none */
	bool serving;              /* its supervisor is gone */
};

/* All of it on the stack: nothing is allocated. */
struct keeper {
	int socket, owner; /* -1: gone */
	struct table tables[SYSCALL_TABLES_MAX];
	struct pollfd ends[FIXED + SYSCALL_LISTENERS_MAX]; /* listeners from FIXED on */
	uint32_t keys[SYSCALL_LISTENERS_MAX], of[SYSCALL_LISTENERS_MAX]; /* its table */
	uint32_t count;
};

static void go_on(int listener, uint64_t id)
{
	struct seccomp_notif_resp answer = {.id = id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};

	ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer); /* ENOENT: it waits no more */
}

/* ---- what is handed over ---- */

static bool take_table(struct keeper *keeper, const struct syscall_keep_message *message, int fd)
{
	struct table *table = &keeper->tables[message->table];
	void *map;

	if (fd < 0 || table->map)
		return false;
	/* All of it is there from now on. */
	map = mmap(NULL, sizeof(*table->map), PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (map == MAP_FAILED)
		return false;
	*table = (struct table){.map = map};
	return true;
}

static bool take_listener(struct keeper *keeper, const struct syscall_keep_message *message, int fd)
{
	if (fd < 0 || !keeper->tables[message->table].map || keeper->count == SYSCALL_LISTENERS_MAX)
		return false;
	keeper->keys[keeper->count] = message->key;
	keeper->of[keeper->count] = message->table;
	keeper->ends[FIXED + keeper->count++] = (struct pollfd){.fd = fd};
	return true;
}

static bool take(struct keeper *keeper, const struct syscall_keep_message *message, int *fd)
{
	bool taken = false;

	if (message->table >= SYSCALL_TABLES_MAX)
		return false;
	switch ((enum syscall_keep_kind)message->kind) {
	case SYSCALL_KEEP_TABLE:
		return take_table(keeper, message, *fd);
	case SYSCALL_KEEP_LISTENER:
		taken = take_listener(keeper, message, *fd);
		if (taken)
			*fd = -1;
		return taken;
	case SYSCALL_KEEP_SERVE:
		keeper->tables[message->table].serving = true;
		return true;
	}
	return false;
}

/* One message. false: nobody is there any more who could send one. */
static bool hear(struct keeper *keeper)
{
	struct syscall_keep_message message = {0};
	struct iovec iov = {.iov_base = &message, .iov_len = sizeof(message)};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr envelope = {.msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = control.bytes,
				  .msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *header;
	ssize_t got;
	int fd = -1;
	char taken;

	got = recvmsg(keeper->socket, &envelope, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (got <= 0)
		return false;
	header = CMSG_FIRSTHDR(&envelope);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	taken = got == sizeof(message) && take(keeper, &message, &fd);
	if (fd >= 0)
		close(fd);
	send(keeper->socket, &taken, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	return true;
}

/* ---- answering ---- */

static void drop(struct keeper *keeper, uint32_t index)
{
	close(keeper->ends[FIXED + index].fd);
	keeper->count--;
	keeper->ends[FIXED + index] = keeper->ends[FIXED + keeper->count];
	keeper->keys[index] = keeper->keys[keeper->count];
	keeper->of[index] = keeper->of[keeper->count];
}

static int listener_of(const struct keeper *keeper, uint32_t table, uint32_t key)
{
	for (uint32_t i = 0; i < keeper->count; i++)
		if (keeper->of[i] == table && keeper->keys[i] == key)
			return keeper->ends[FIXED + i].fd;
	return -1;
}

/* What the dead had taken: the kernel tells of it no more. */
static void answer_taken(struct keeper *keeper)
{
	for (uint32_t t = 0; t < SYSCALL_TABLES_MAX; t++) {
		const struct syscall_table *map = keeper->tables[t].map;

		keeper->tables[t].serving = true;
		for (uint32_t i = 0; map && i < SYSCALL_PENDING_MAX; i++) {
			const struct syscall_slot *slot = &map->slots[i];
			int fd = slot->call.id ? listener_of(keeper, t, slot->key) : -1;

			if (fd >= 0)
				go_on(fd, slot->call.id);
		}
	}
}

static void answer_next(int listener)
{
	struct seccomp_notif call;

	memset(&call, 0, sizeof(call)); /* the kernel insists */
	/* It does not block: what the look before has seen is there, or its program is dead. */
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) == 0)
		go_on(listener, call.id);
}

static void free_tables(struct keeper *keeper)
{
	for (uint32_t t = 0; t < SYSCALL_TABLES_MAX; t++) {
		struct table *table = &keeper->tables[t];
		bool used = !table->serving;

		for (uint32_t i = 0; i < keeper->count; i++)
			used = used || keeper->of[i] == t;
		if (used)
			continue;
		if (table->map)
			munmap(table->map, sizeof(*table->map));
		*table = (struct table){0};
	}
}

/* Until something has happened; then sees to it. */
static void step(struct keeper *keeper)
{
	struct pollfd *ends = keeper->ends;
	bool gone;

	ends[0] = (struct pollfd){.fd = keeper->socket, .events = POLLIN};
	ends[1] = (struct pollfd){.fd = keeper->owner, .events = POLLIN};
	for (uint32_t i = 0; i < keeper->count; i++)
		ends[FIXED + i].events = keeper->tables[keeper->of[i]].serving ? POLLIN : 0;
	if (poll(ends, FIXED + keeper->count, -1) <= 0)
		return;
	for (uint32_t i = keeper->count; i-- > 0;)
		if (ends[FIXED + i].revents & POLLIN)
			answer_next(ends[FIXED + i].fd);
		else if (ends[FIXED + i].revents)
			drop(keeper, i); /* no program is left there */
	gone = ends[1].revents && ends[0].revents == 0;
	/* The messages come first, also those of the dead. */
	if (ends[0].revents)
		gone = !hear(keeper);
	if (gone) {
		answer_taken(keeper);
		keeper->socket = keeper->owner = -1;
	}
	free_tables(keeper);
}

void syscall_keep(int socket, int owner)
{
	struct keeper keeper = {.socket = socket, .owner = owner};

	prctl(PR_SET_NAME, "drsim-keeper");
	while (keeper.socket >= 0 || keeper.count > 0)
		step(&keeper);
	_exit(0);
}
