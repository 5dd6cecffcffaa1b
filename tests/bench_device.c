/* SPDX-License-Identifier: Apache-2.0 */
/* What asking its devices costs a replica: one batch on 1 and on 8 devices, beside a look at the 8
 * files and one answer's SHA-256, which it computes for every request. Medians of turns. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/device.h"
#include "sim/minilepton/minilepton.h"
#include "sim/minilepton/record.h"
#include "sim/minilepton/replica.h"

#define DEVICES 8
#define TURNS 21
#define CALLS 2000

static void write_device(uint32_t index, char *path, size_t room)
{
	unsigned char bytes[DEVICE_BYTES];
	int fd;

	/* A machine's are on a tmpfs too. */
	snprintf(path, room, "/dev/shm/drsim-bench-%ld-gpu%u", (long)getpid(), (unsigned)index);
	device_print("bench", 0, index, bytes);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, bytes, sizeof(bytes)) != sizeof(bytes))
		abort();
	close(fd);
}

static double ask(struct devices *devices)
{
	unsigned char key[DEVICES_KEY_SIZE];
	nanos begin = minilepton_now();

	for (int i = 0; i < CALLS; i++)
		devices_compute(devices, key);
	return (double)(minilepton_now() - begin) / CALLS;
}

static double look(const struct devices *devices)
{
	nanos begin = minilepton_now();

	for (int i = 0; i < CALLS; i++)
		devices_check(devices);
	return (double)(minilepton_now() - begin) / CALLS;
}

static double answer(void)
{
	const struct record record = {.key = "key-1234",
				      .key_size = 8,
				      .payload = "payload of a request",
				      .payload_size = 20};
	const unsigned char digest[RECORD_DIGEST_SIZE] = {1};
	char text[RECORD_ANSWER_SIZE];
	nanos begin = minilepton_now();

	for (int i = 0; i < CALLS; i++)
		record_answer(digest, &record, text);
	return (double)(minilepton_now() - begin) / CALLS;
}

static int order(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static double median(double *values)
{
	qsort(values, TURNS, sizeof(values[0]), order);
	return values[TURNS / 2];
}

int main(void)
{
	static double one[TURNS], all[TURNS], looks[TURNS], answers[TURNS];
	static struct devices few, many;
	char paths[DEVICES][64];
	struct options_texts texts = {.count = 0};
	struct error e = {0};

	for (uint32_t i = 0; i < DEVICES; i++) {
		write_device(i, paths[i], sizeof(paths[i]));
		texts.items[texts.count++] = paths[i];
	}
	if (devices_open(&many, &texts, &e))
		abort();
	texts.count = 1;
	if (devices_open(&few, &texts, &e))
		abort();
	for (int turn = 0; turn < TURNS; turn++) {
		one[turn] = ask(&few);
		all[turn] = ask(&many);
		looks[turn] = look(&many);
		answers[turn] = answer();
	}
	devices_close(&few);
	devices_close(&many);
	for (int i = 0; i < DEVICES; i++)
		unlink(paths[i]);
	double batch = median(all), hash = median(answers);

	printf("a batch on 1 device %.0f ns, on %d devices %.0f ns; an answer's SHA-256 %.0f ns\n",
	       median(one), DEVICES, batch, hash);
	printf("a batch on %d devices / a look at their files: %.2f; / one answer: %.1f\n", DEVICES,
	       batch / median(looks), batch / hash);
	return 0;
}
