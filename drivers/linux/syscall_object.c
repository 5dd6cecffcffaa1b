/* SPDX-License-Identifier: Apache-2.0 */
/* What a call is about: the paths in its program's memory, and what its descriptors are open on. */
#include <assert.h>
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "drivers/linux/syscall_private.h"

#define PAGE 4096 /* the least there is: what is in one is readable as a whole */

/* ---- paths ---- */

void syscall_path_tidy(char *path)
{
	char *out = path;

	assert(path[0] == '/');
	for (const char *at = path; *at;) {
		size_t length;

		while (*at == '/')
			at++;
		length = strcspn(at, "/");
		if (length == 2 && at[0] == '.' && at[1] == '.') {
			while (out > path && *--out != '/')
				;
		} else if (length > 0 && !(length == 1 && at[0] == '.')) {
			*out++ = '/';
			memmove(out, at, length);
			out += length;
		}
		at += length;
	}
	if (out == path)
		*out++ = '/';
	*out = '\0';
}

bool syscall_path_under(const char *path, const char *prefix)
{
	size_t length = strlen(prefix);

	if (length > 0 && prefix[length - 1] == '*')
		return strncmp(path, prefix, length - 1) == 0;
	while (length > 0 && prefix[length - 1] == '/')
		length--;
	return strncmp(path, prefix, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* libc.so.6, ld-linux-x86-64.so.2, plugin.so, and the linker's list of them. */
static bool is_library(const char *path)
{
	const char *name = strrchr(path, '/') + 1, *end = strstr(name, ".so");

	if (strcmp(path, "/etc/ld.so.cache") == 0 || strcmp(path, "/etc/ld.so.preload") == 0)
		return true;
	for (; end; end = strstr(end + 3, ".so")) {
		const char *at = end + 3;

		while (*at == '.' || isdigit((unsigned char)*at))
			at++;
		if (*at == '\0')
			return true;
	}
	return false;
}

/* What its name alone says. */
static void name_object(struct syscall_object *object)
{
	const char *path = object->path;

	object->named = true;
	object->kind = syscall_path_under(path, "/dev") && !syscall_path_under(path, "/dev/shm")
			       ? SYSCALL_DEVICE
			       : SYSCALL_FILE;
	object->runtime = syscall_path_under(path, "/proc") || syscall_path_under(path, "/sys") ||
			  is_library(path);
}

/* ---- descriptors ---- */

/* What a descriptor is open on, or AT_FDCWD: the working folder; 0: there is none. */
static size_t read_link(pid_t pid, int fd, char *ret)
{
	char link[64];
	ssize_t length;

	if (fd == AT_FDCWD)
		snprintf(link, sizeof(link), "/proc/%d/cwd", (int)pid);
	else
		snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)pid, fd);
	length = readlink(link, ret, SYSCALL_PATH_MAX - 1);
	if (length <= 0)
		return 0;
	ret[length] = '\0';
	return (size_t)length;
}

/* A file that has a name no more is shown with a word behind its last one. */
static void cut_deleted(pid_t pid, int fd, char *path, size_t length)
{
	static const char word[] = " (deleted)";
	const size_t size = sizeof(word) - 1;
	char link[64];
	struct statx status;

	if (length <= size || strcmp(path + length - size, word) != 0)
		return;
	snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)pid, fd);
	/* Not asked of the file system itself, which may be what hangs. */
	if (statx(AT_FDCWD, link, AT_STATX_DONT_SYNC, STATX_NLINK, &status) == 0 &&
	    status.stx_nlink == 0)
		path[length - size] = '\0';
}

static enum syscall_seen see_descriptor(pid_t pid, int fd, struct syscall_object *object)
{
	size_t length = fd >= 0 ? read_link(pid, fd, object->path) : 0;

	if (length == 0) {
		char own[SYSCALL_PATH_MAX];

		/* No such descriptor, or no right to look at any. */
		return read_link(pid, AT_FDCWD, own) ? SYSCALL_ABSENT : SYSCALL_UNSEEN;
	}
	object->named = object->runtime = false;
	if (strncmp(object->path, "socket:", 7) == 0) {
		object->kind = SYSCALL_SOCKET;
	} else if (strncmp(object->path, "pipe:", 5) == 0) {
		object->kind = SYSCALL_PIPE;
	} else if (object->path[0] != '/' || strncmp(object->path, "/memfd:", 7) == 0) {
		object->kind = SYSCALL_OTHER;
	} else {
		cut_deleted(pid, fd, object->path, length);
		name_object(object);
	}
	return SYSCALL_SEEN;
}

/* ---- memory ---- */

/* A text of the program, with its end; SYSCALL_ABSENT: longer than a path may be. */
static enum syscall_seen read_text(pid_t pid, uint64_t address, char ret[SYSCALL_PATH_MAX])
{
	size_t have = 0;

	while (have < SYSCALL_PATH_MAX) {
		size_t part = PAGE - (address + have) % PAGE;
		struct iovec here = {.iov_base = ret + have}, there;
		ssize_t got;

		if (part > SYSCALL_PATH_MAX - have)
			part = SYSCALL_PATH_MAX - have;
		here.iov_len = part;
		there = (struct iovec){.iov_base = (void *)(uintptr_t)(address + have),
				       .iov_len = part};
		got = process_vm_readv(pid, &here, 1, &there, 1, 0);
		if (got <= 0)
			return SYSCALL_UNSEEN;
		if (memchr(ret + have, '\0', (size_t)got))
			return SYSCALL_SEEN;
		have += (size_t)got;
	}
	return SYSCALL_ABSENT;
}

static enum syscall_seen see_path(pid_t pid, uint64_t address, int folder,
				  struct syscall_object *object)
{
	char text[SYSCALL_PATH_MAX];
	enum syscall_seen seen;
	size_t length = 0;

	if (address == 0)
		return SYSCALL_ABSENT;
	seen = read_text(pid, address, text);
	if (seen != SYSCALL_SEEN)
		return seen;
	/* AT_EMPTY_PATH: the descriptor itself. */
	if (text[0] == '\0')
		return folder == AT_FDCWD ? SYSCALL_ABSENT : see_descriptor(pid, folder, object);
	if (text[0] != '/') {
		length = read_link(pid, folder, object->path);
		if (length == 0 || object->path[0] != '/')
			return SYSCALL_ABSENT;
		object->path[length++] = '/';
	}
	memcpy(object->path + length, text, strlen(text) + 1);
	syscall_path_tidy(object->path);
	name_object(object);
	return SYSCALL_SEEN;
}

enum syscall_seen syscall_object(const struct syscall_role *role, size_t index,
				 const struct seccomp_notif *call, struct syscall_object *ret)
{
	int path = role->objects[index].path, fd = role->objects[index].fd;
	pid_t pid = (pid_t)call->pid;

	assert(index < SYSCALL_OBJECTS);
	if (path == SYSCALL_NONE && fd == SYSCALL_NONE)
		return SYSCALL_ABSENT;
	if (path == SYSCALL_NONE)
		return see_descriptor(pid, (int)call->data.args[fd], ret);
	return see_path(pid, call->data.args[path],
			fd == SYSCALL_HERE ? AT_FDCWD : (int)call->data.args[fd], ret);
}
