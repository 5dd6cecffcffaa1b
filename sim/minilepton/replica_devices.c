/* SPDX-License-Identifier: Apache-2.0 */
/* A replica's devices: opened at the start, asked for each batch, fatal when gone. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/device.h"
#include "sim/minilepton/minilepton.h"
#include "sim/minilepton/replica.h"

#define LOOK_EVERY (5 * NANOS_MS)

static _Noreturn void lost(const char *path)
{
	const char *slash = strrchr(path, '/');
	char line[256];
	int length = snprintf(line, sizeof(line), "CUDA error: device is lost (%.200s)\n",
			      slash ? slash + 1 : path);

	/* Nothing is put in order: a program that loses its GPU cannot do that either. */
	if (write(STDERR_FILENO, line, (size_t)length) < 0)
		_exit(MINILEPTON_FAILED);
	_exit(MINILEPTON_FAILED);
}

void devices_check(const struct devices *devices)
{
	for (size_t i = 0; i < devices->count; i++) {
		const struct device *device = &devices->items[i];
		struct stat status;

		if (stat(device->path, &status) || status.st_dev != device->device ||
		    status.st_ino != device->inode)
			lost(device->path);
	}
}

/* Gives a device its work and takes the result: the calls that a fault can hit. */
static size_t ask(const struct device *device, unsigned char work[DEVICE_WORK_BYTES])
{
	size_t got = 0;
	int room;

	if (ioctl(device->fd, FIONREAD, &room))
		lost(device->path);
	while (got < DEVICE_WORK_BYTES) {
		ssize_t more = pread(device->fd, work + got, DEVICE_WORK_BYTES - got,
				     DEVICE_WORK_AT + (off_t)got);
		if (more < 0 && errno == EINTR)
			continue;
		if (more < 0)
			lost(device->path);
		if (more == 0)
			break;
		got += (size_t)more;
	}
	return got;
}

static void look_at_states(struct devices *devices)
{
	uint32_t pace = DEVICE_PACE_FULL, wrong = 0;

	for (size_t i = 0; i < devices->count; i++) {
		unsigned char bytes[DEVICE_STATE_BYTES];
		struct device_state state;
		ssize_t got = pread(devices->items[i].fd, bytes, sizeof(bytes), DEVICE_STATE_AT);
		if (got < 0 && errno != EINTR)
			lost(devices->items[i].path);
		/* An empty file, which a test may have made, is a GPU in order. */
		if (got != sizeof(bytes))
			continue;
		device_parse_state(bytes, &state);
		pace = state.pace < pace ? state.pace : pace;
		wrong = state.wrong > wrong ? state.wrong : wrong;
	}
	atomic_store(&devices->pace, pace);
	atomic_store(&devices->wrong, wrong);
}

void devices_compute(struct devices *devices, unsigned char ret_key[DEVICES_KEY_SIZE])
{
	unsigned char work[DEVICE_WORK_BYTES];

	memset(ret_key, 0, DEVICES_KEY_SIZE);
	for (size_t i = 0; i < devices->count; i++) {
		if (ask(&devices->items[i], work) != devices->items[i].work)
			lost(devices->items[i].path);
		for (size_t at = 0; at < devices->items[i].work; at++)
			ret_key[at % DEVICES_KEY_SIZE] ^= work[at];
	}
	look_at_states(devices);
}

void devices_seal(const unsigned char key[DEVICES_KEY_SIZE], void *bytes, size_t size)
{
	unsigned char *each = bytes;

	for (size_t i = 0; i < size; i++)
		each[i] ^= key[i % DEVICES_KEY_SIZE];
}

nanos devices_slowed(const struct devices *devices, nanos time)
{
	uint32_t pace = atomic_load(&devices->pace);

	/* Without devices nobody has ever looked. */
	return pace == 0 || pace == DEVICE_PACE_FULL
		       ? time
		       : (nanos)((double)time * DEVICE_PACE_FULL / pace);
}

bool devices_err(const struct devices *devices, uint64_t number)
{
	uint32_t wrong = atomic_load(&devices->wrong);
	/* Spread over all numbers by Knuth's multiplicative hash. */
	uint64_t spread = number * UINT64_C(0x9e3779b97f4a7c15);

	return wrong > 0 && (spread >> 32) % DEVICE_PACE_FULL < wrong;
}

static void *watch(void *self)
{
	const struct devices *devices = self;
	const struct timespec pause = {.tv_nsec = LOOK_EVERY};

	while (!atomic_load(&devices->ends)) {
		devices_check(devices);
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	}
	return NULL;
}

int devices_open(struct devices *devices, const struct options_texts *paths, struct error *e)
{
	int code;

	for (size_t i = 0; i < paths->count; i++) {
		struct device *device = &devices->items[i];
		unsigned char work[DEVICE_WORK_BYTES];
		struct stat status;

		device->path = paths->items[i];
		/* Held open, so that no other file can get the number of this one. */
		device->fd = open(device->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (device->fd < 0 || fstat(device->fd, &status))
			lost(device->path);
		device->device = status.st_dev;
		device->inode = status.st_ino;
		device->work = ask(device, work);
		devices->count++;
	}
	if (devices->count == 0)
		return 0;
	code = pthread_create(&devices->thread, NULL, watch, devices);
	if (code)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "pthread_create: %s",
				 strerror(code));
	devices->watched = true;
	return 0;
}

void devices_close(struct devices *devices)
{
	atomic_store(&devices->ends, true);
	if (devices->watched)
		pthread_join(devices->thread, NULL);
	for (size_t i = 0; i < devices->count; i++)
		close(devices->items[i].fd);
}
