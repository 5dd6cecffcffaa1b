/* SPDX-License-Identifier: Apache-2.0 */
/* Loop devices, by their ioctls and by sysfs. */
#include "drivers/linux/loopdev.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/major.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "drivers/host/process.h"

#define CONTROL "/dev/loop-control"
#define BLOCKS "/sys/block"
#define DELETED " (deleted)"
#define TRIES 64 /* others may take the one that was free */
#define PATH_ROOM 4200
#define PAUSE (5 * NANOS_MS)

static int fail(struct error *e, const char *what)
{
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "%s: %s", what, strerror(errno));
}

/* -1: errno says why; EBUSY: it was taken meanwhile. */
static int open_number(int number, int file, const char *label)
{
	struct loop_config config = {
		.fd = (uint32_t)file,
		.info = {.lo_flags = LO_FLAGS_AUTOCLEAR},
	};
	char path[32];
	int fd, kept;

	snprintf((char *)config.info.lo_file_name, LO_NAME_SIZE, "%s", label);
	snprintf(path, sizeof(path), "/dev/loop%d", number);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (ioctl(fd, LOOP_CONFIGURE, &config) == 0)
		return fd;
	kept = errno;
	close(fd);
	errno = kept;
	return -1;
}

int loopdev_open(int file, const char *label, int *ret_fd, struct error *e)
{
	int control = open(CONTROL, O_RDWR | O_CLOEXEC), fd = -1, kept;

	if (control < 0)
		return fail(e, "no loop devices: " CONTROL);
	for (int i = 0; i < TRIES && fd < 0; i++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);

		if (number >= 0)
			fd = open_number(number, file, label);
		if (fd < 0 && errno != EBUSY)
			break;
	}
	kept = errno;
	close(control);
	errno = kept;
	if (fd < 0)
		return fail(e, "cannot make a loop device");
	*ret_fd = fd;
	return 0;
}

int loopdev_require(int fd, int file, char ret_device[LOOP_DEVICE_MAX], struct error *e)
{
	struct loop_info64 info = {0};
	struct stat device, backing;

	if (fstat(fd, &device) || fstat(file, &backing))
		return fail(e, "cannot look at a loop device");
	if (!S_ISBLK(device.st_mode) || major(device.st_rdev) != LOOP_MAJOR)
		return error_set(e, ERROR_USAGE, NO_PLACE,
				 "device %u:%u is no loop device of this run: left alone",
				 major(device.st_rdev), minor(device.st_rdev));
	if (ioctl(fd, LOOP_GET_STATUS64, &info))
		return fail(e, "cannot look at a loop device");
	if (info.lo_device != backing.st_dev || info.lo_inode != backing.st_ino)
		return error_set(e, ERROR_USAGE, NO_PLACE,
				 "/dev/loop%u is over another file than that of this run: left "
				 "alone",
				 info.lo_number);
	snprintf(ret_device, LOOP_DEVICE_MAX, "%u:%u", major(device.st_rdev),
		 minor(device.st_rdev));
	return 0;
}

/* ---- by sysfs ---- */

/* A file of sysfs without its last newline; false: it is not there. */
static bool read_line(const char *name, const char *file, char *ret, size_t room)
{
	char path[384];
	ssize_t got;

	snprintf(path, sizeof(path), BLOCKS "/%s/%s", name, file);
	got = process_read_file(path, ret, room);
	if (got <= 0)
		return false;
	if (ret[got - 1] == '\n')
		ret[got - 1] = '\0';
	return true;
}

static bool look(const char *name, struct arena *arena, struct loopdev_seen *ret)
{
	char file[PATH_ROOM], sectors[32];
	const char *at = name + strlen("loop");
	size_t length;

	if (strncmp(name, "loop", strlen("loop")) != 0 ||
	    !read_line(name, "loop/backing_file", file, sizeof(file)) ||
	    !read_line(name, "dev", ret->device, sizeof(ret->device)) ||
	    !read_line(name, "size", sectors, sizeof(sectors)))
		return false;
	length = strlen(file);
	if (length > strlen(DELETED) && strcmp(file + length - strlen(DELETED), DELETED) == 0)
		length -= strlen(DELETED);
	ret->number = (uint32_t)process_number(&at);
	ret->file = arena_strndup(arena, file, length);
	at = sectors;
	ret->sectors = process_number(&at);
	return true;
}

size_t loopdev_list(struct arena *arena, struct loopdev_seen **ret)
{
	size_t count = 0, capacity = 0;
	DIR *dir = opendir(BLOCKS);
	struct dirent *entry;

	*ret = NULL;
	while (dir && (entry = readdir(dir)) != NULL) {
		struct loopdev_seen one = {0};

		if (!look(entry->d_name, arena, &one))
			continue;
		*ret = arena_grow(arena, *ret, count, &capacity, sizeof(**ret));
		(*ret)[count++] = one;
	}
	if (dir)
		closedir(dir);
	return count;
}

/* The device must still have the file when it is open: another may have taken the number. */
static void detach_one(const struct loopdev_seen *seen, const char *file, struct arena *arena)
{
	struct loopdev_seen again = {0};
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/loop%u", seen->number);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (look(path + strlen("/dev/"), arena, &again) && strcmp(again.file, file) == 0)
		ioctl(fd, LOOP_CLR_FD, 0);
	close(fd);
}

/* Once through; returns how many there were. */
static size_t detach_all(const char *file)
{
	struct arena arena = {0};
	struct loopdev_seen *seen;
	size_t count = loopdev_list(&arena, &seen), found = 0;

	for (size_t i = 0; i < count; i++)
		if (strcmp(seen[i].file, file) == 0) {
			detach_one(&seen[i], file, &arena);
			found++;
		}
	arena_free(&arena);
	return found;
}

int loopdev_detach(const char *file, nanos timeout, struct error *e)
{
	nanos end = process_now() + timeout;

	while (detach_all(file) > 0) {
		if (process_now() >= end)
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
					 "the loop device of %s is still open somewhere", file);
		process_pause(PAUSE);
	}
	return 0;
}
