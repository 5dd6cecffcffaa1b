/* SPDX-License-Identifier: Apache-2.0 */
/* Processes as /proc tells of them. */
#include "drivers/host/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define STAT_MAX 1024
#define BLOCK_SIZE 16384
#define ENTRY_MAX 1024 /* of an environment entry that is looked for */
#define MEMINFO_MAX 8192
#define PAUSE (2 * NANOS_MS)
#define BEGIN_WAIT NANOS_S /* for a program that has just been started, on a busy host */
#define BEGIN_PAUSE (NANOS_MS / 10)

nanos process_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now); /* style: allow */
	return now.tv_sec * NANOS_S + now.tv_nsec;
}

void process_pause(nanos duration)
{
	struct timespec pause = {.tv_sec = duration / NANOS_S, .tv_nsec = duration % NANOS_S};

	nanosleep(&pause, NULL);
}

uint64_t process_number(const char **at)
{
	uint64_t number = 0;

	for (; **at >= '0' && **at <= '9'; ++*at)
		number = number * 10 + (uint64_t)(**at - '0');
	return number;
}

ssize_t process_read_file(const char *path, char *ret, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t got = 0;

	if (fd < 0)
		return -1;
	while (length + 1 < size && (got = read(fd, ret + length, size - 1 - length)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			break;
		length += (size_t)got;
	}
	close(fd);
	ret[length] = '\0';
	return got < 0 ? -1 : (ssize_t)length;
}

char *process_read_text(const char *path, struct arena *arena)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0, capacity = 0;
	char *text = NULL;
	ssize_t got;

	if (fd < 0)
		return NULL;
	do {
		char block[BLOCK_SIZE];

		got = read(fd, block, sizeof(block));
		while (capacity < length + sizeof(block) + 1)
			text = arena_grow(arena, text, capacity, &capacity, 1);
		if (got > 0)
			memcpy(text + length, block, (size_t)got);
		length += got > 0 ? (size_t)got : 0;
	} while (got > 0 || (got < 0 && errno == EINTR));
	close(fd);
	if (got == 0)
		text[length] = '\0';
	return got < 0 ? NULL : text;
}

/* Moves behind `count` words. */
static void skip_words(const char **at, int count)
{
	while (count-- > 0) {
		*at += strspn(*at, " ");
		*at += strcspn(*at, " ");
	}
	*at += strspn(*at, " ");
}

bool process_read(pid_t pid, struct process *ret)
{
	char path[64], text[STAT_MAX];
	const char *open_paren, *at;
	size_t length;

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	if (pid <= 0 || process_read_file(path, text, sizeof(text)) <= 0)
		return false;
	/* The name may hold blanks and parentheses: it ends with the last one. */
	open_paren = strchr(text, '(');
	at = strrchr(text, ')');
	if (!open_paren || !at || at < open_paren || at[1] != ' ')
		return false;
	*ret = (struct process){.pid = pid, .state = at[2]};
	length = (size_t)(at - open_paren - 1);
	if (length >= sizeof(ret->name))
		length = sizeof(ret->name) - 1;
	memcpy(ret->name, open_paren + 1, length);
	at += 2;
	skip_words(&at, 1);
	ret->parent = (pid_t)process_number(&at);
	skip_words(&at, 0);
	ret->group = (pid_t)process_number(&at);
	skip_words(&at, 16); /* from field 5 of proc(5) to field 22 */
	ret->start = process_number(&at);
	return true;
}

size_t process_list(struct arena *arena, struct process **ret)
{
	struct process *list = NULL;
	size_t count = 0, capacity = 0;
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	while (dir && (entry = readdir(dir)) != NULL) {
		const char *name = entry->d_name;
		pid_t pid = (pid_t)process_number(&name);
		struct process one;

		if (pid <= 0 || *name || !process_read(pid, &one))
			continue;
		list = arena_grow(arena, list, count, &capacity, sizeof(*list));
		list[count++] = one;
	}
	if (dir)
		closedir(dir);
	*ret = list;
	return count;
}

uint64_t process_start(pid_t pid)
{
	struct process process;

	return process_read(pid, &process) ? process.start : 0;
}

bool process_lives(pid_t pid, uint64_t start)
{
	struct process process;

	return process_read(pid, &process) && process.state != 'Z' && process.state != 'X' &&
	       (start == 0 || process.start == start);
}

bool process_signal(pid_t pid, uint64_t start, int number)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0), error;
	bool sent = false;

	/* The descriptor stays with this process even if its number goes to another one. */
	if (process_lives(pid, start)) {
		long rc = fd >= 0 ? syscall(SYS_pidfd_send_signal, fd, number, NULL, 0)
				  : kill(pid, number);

		sent = rc == 0;
		error = errno;
	} else {
		error = ESRCH;
	}
	if (fd >= 0)
		close(fd);
	errno = error;
	return sent;
}

nanos process_cpu(pid_t pid)
{
	struct timespec used = {0};
	clockid_t clock;

	if (pid <= 0 || clock_getcpuclockid(pid, &clock) ||
	    clock_gettime(clock, &used)) /* style: allow */
		return 0;
	return used.tv_sec * NANOS_S + used.tv_nsec;
}

/* In the middle of exec(): it has its new memory, but no environment in it yet. */
static bool has_none_yet(pid_t pid)
{
	char path[64], text[STAT_MAX];
	const char *at;
	uint64_t size, end;

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	if (process_read_file(path, text, sizeof(text)) <= 0 || !(at = strrchr(text, ')')))
		return false;
	skip_words(&at, 21); /* behind the name, which is field 2 of proc(5), to field 23 */
	size = process_number(&at);
	skip_words(&at, 27); /* to field 51 */
	end = process_number(&at);
	return size > 0 && end == 0; /* one that ends, and the kernel's own, have no memory */
}

/* *ret_empty: there is nothing to read. */
static bool look_carries(pid_t pid, const char *entry, bool *ret_empty)
{
	char path[64], block[BLOCK_SIZE], needle[ENTRY_MAX + 2] = {0};
	size_t size = strlen(entry) + 2, length = 1;
	bool found = false;
	ssize_t got = 0;
	int fd;

	*ret_empty = false;
	if (size > sizeof(needle))
		return false;
	memcpy(needle + 1, entry, size - 2);
	snprintf(path, sizeof(path), "/proc/%ld/environ", (long)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	block[0] = '\0'; /* an entry begins behind a zero, the first one too */
	*ret_empty = true;
	while (!found && (got = read(fd, block + length, sizeof(block) - length)) > 0) {
		*ret_empty = false;
		length += (size_t)got;
		found = memmem(block, length, needle, size) != NULL;
		/* An entry may lie on both sides of the border. */
		if (length >= size) {
			memmove(block, block + length - (size - 1), size - 1);
			length = size - 1;
		}
	}
	close(fd);
	return found;
}

bool process_carries(pid_t pid, const char *entry)
{
	nanos end = process_now() + BEGIN_WAIT;
	bool empty, found = look_carries(pid, entry, &empty);

	while (empty && process_now() < end) {
		bool starts = has_none_yet(pid);

		found = look_carries(pid, entry, &empty);
		if (!starts)
			break;
		process_pause(BEGIN_PAUSE);
	}
	return found;
}

bool process_wait(pid_t pid, uint64_t start, nanos timeout)
{
	nanos end = process_now() + timeout;

	while (process_lives(pid, start)) {
		if (process_now() >= end)
			return false;
		process_pause(PAUSE);
	}
	return true;
}

void process_boot(char *ret, size_t size)
{
	if (process_read_file("/proc/sys/kernel/random/boot_id", ret, size) < 0)
		ret[0] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
}

int process_require_memory(uint64_t bytes, struct error *e)
{
	char text[MEMINFO_MAX];
	const char *at = NULL;
	uint64_t there = 0;

	if (process_read_file("/proc/meminfo", text, sizeof(text)) > 0)
		at = strstr(text, "\nMemAvailable:");
	if (at) {
		at += strlen("\nMemAvailable:");
		at += strspn(at, " ");
		there = process_number(&at) << 10; /* it is told in KiB */
	}
	if (bytes <= there / 4 * 3)
		return 0;
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
			 "it takes %llu MiB of memory, and this host has %llu MiB available, of "
			 "which a quarter is left alone",
			 (unsigned long long)(bytes >> 20), (unsigned long long)(there >> 20));
}
