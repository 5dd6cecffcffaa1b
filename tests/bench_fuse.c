/* SPDX-License-Identifier: Apache-2.0 */
/* What the FUSE layer costs: operations of 4 KiB and long transfers through it and directly on the
 * folder below, in turn, with the serving thread on the client's processor and on any. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/host/process.h"
#include "drivers/linux/disk.h"
#include "drivers/linux/fuse.h"

#define ROUNDS 9
#define SMALL ((size_t)4096)
#define LARGE ((size_t)1 << 20)
#define FILE_SIZE ((size_t)64 << 20)
#define SMALL_COUNT 2000

static char buffer[1 << 20];

/* Microseconds each operation, or MiB/s. */
static double measure(int fd, bool writes, size_t size)
{
	size_t count = size == SMALL ? SMALL_COUNT : FILE_SIZE / size;
	nanos start = process_now(), took;

	for (size_t i = 0; i < count; i++) {
		/* Small ones here and there: the same places for all. */
		size_t place = size == SMALL ? i * 7919 : i;
		off_t at = (off_t)(place % (FILE_SIZE / size) * size);
		ssize_t done = writes ? pwrite(fd, buffer, size, at) : pread(fd, buffer, size, at);

		if (done != (ssize_t)size) {
			perror("bench");
			exit(1);
		}
	}
	took = process_now() - start;
	return size == SMALL ? (double)took * 1e-3 / (double)count
			     : (double)FILE_SIZE / (1 << 20) / ((double)took * 1e-9);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void report(const char *name, const int fds[2], bool writes, size_t size)
{
	double times[2][ROUNDS], direct, through;

	for (int round = 0; round < ROUNDS; round++)
		for (int i = 0; i < 2; i++)
			times[i][round] = measure(fds[i], writes, size);
	for (int i = 0; i < 2; i++)
		qsort(times[i], ROUNDS, sizeof(times[i][0]), compare);
	direct = times[0][ROUNDS / 2];
	through = times[1][ROUNDS / 2];
	if (size == SMALL)
		printf("%-28s %-7s 4 KiB: %6.2f us, directly %5.2f us, ratio %.1f (%.2f us more)\n",
		       name, writes ? "pwrite" : "pread", through, direct, through / direct,
		       through - direct);
	else
		printf("%-28s %-7s 1 MiB: %6.0f MiB/s, directly %6.0f MiB/s, ratio %.2f\n", name,
		       writes ? "pwrite" : "pread", through, direct, through / direct);
}

static void all(const char *name, const int fds[2])
{
	report(name, fds, false, SMALL);
	report(name, fds, true, SMALL);
	report(name, fds, false, LARGE);
	report(name, fds, true, LARGE);
}

static int open_file(const char *folder)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/file", folder);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	/* Memory of the guest that is touched for the first time is slow. */
	for (size_t at = 0; fd >= 0 && at < FILE_SIZE; at += LARGE)
		if (pwrite(fd, buffer, LARGE, (off_t)at) != (ssize_t)LARGE)
			exit(1);
	return fd;
}

static void set(struct fuse_layer *layer, const struct fuse_fault *fault, uint32_t *number)
{
	struct error e = {0};

	if (fuse_layer_set(layer, fault, number, &e)) {
		fprintf(stderr, "%s\n", e.text);
		exit(1);
	}
}

static void with_faults(struct fuse_layer *layer, const int fds[2])
{
	struct error e = {0};
	uint32_t number = 0, others[8] = {0};

	for (int i = 0; i < 8; i++)
		set(layer,
		    &(struct fuse_fault){.kind = FUSE_FAULT_ERRNO, .error = 5, .path = "other/*"},
		    &others[i]);
	all("pinned, 8 other faults", fds);
	for (int i = 0; i < 8; i++)
		fuse_layer_end(layer, others[i], &e);
	set(layer, &(struct fuse_fault){.kind = FUSE_FAULT_BITFLIP, .bits = 1}, &number);
	report("pinned, data.bitflip", fds, false, SMALL);
	report("pinned, data.bitflip", fds, false, LARGE);
	fuse_layer_end(layer, number, &e);
	number = 0;
	set(layer, &(struct fuse_fault){.kind = FUSE_FAULT_LOST_FSYNC}, &number);
	report("pinned, fs.lost_fsync", fds, true, SMALL);
	report("pinned, fs.lost_fsync", fds, true, LARGE);
	fuse_layer_end(layer, number, &e);
}

int main(void)
{
	struct fuse_layer_config config = {.name = "bench", .cpu = -1};
	struct arena arena = {0};
	struct error e = {0};
	struct fuse_layer *layer;
	cpu_set_t one;
	int fds[2];

	memset(buffer, 'x', sizeof(buffer));
	if (disk_make((struct disk_limits){0}, &config.below_fd, &e) ||
	    fuse_layer_open(&config, &arena, &layer, &e)) {
		printf("skipped: %s\n", e.text);
		return 0;
	}
	fds[0] = open_file(fuse_layer_below(layer));
	fds[1] = open_file(fuse_layer_above(layer));
	all("not pinned", fds);
	CPU_ZERO(&one);
	CPU_SET(1, &one);
	if (sched_setaffinity(0, sizeof(one), &one) == 0 && fuse_layer_pin(layer, 1, &e) == 0) {
		all("pinned together", fds);
		with_faults(layer, fds);
	}
	close(fds[0]);
	close(fds[1]);
	fuse_layer_close(layer, &e);
	arena_free(&arena);
	return 0;
}
