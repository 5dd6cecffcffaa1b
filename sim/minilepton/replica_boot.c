/* SPDX-License-Identifier: Apache-2.0 */
/* How a replica starts: waits for its files, reads and checks its weights, initialises. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sim/minilepton/minilepton.h"
#include "sim/minilepton/replica.h"

#define LOOK_EVERY (20 * NANOS_MS) /* for files that are not there yet, and for the end */
#define BLOCK ((size_t)1 << 20)

static bool ends(const struct replica *replica)
{
	return replica_is(replica, REPLICA_ENDING);
}

/* The boot has no one to hand an error to: the process ends as a container whose start failed. */
static _Noreturn void fail(const struct replica *replica, int code, const char *what,
			   const char *why)
{
	minilepton_say("replica %s: %s: %s", replica->options->id, what, why);
	_exit(code);
}

static void pause_until(nanos at)
{
	struct timespec t = {.tv_sec = at / NANOS_S, .tv_nsec = at % NANOS_S};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static void wait_for_files(const struct replica *replica, const struct options_texts *after)
{
	for (size_t i = 0; i < after->count; i++) {
		if (access(after->items[i], F_OK) == 0)
			continue;
		minilepton_say("replica %s: waits for %s", replica->options->id, after->items[i]);
		while (!ends(replica) && access(after->items[i], F_OK))
			pause_until(minilepton_now() + LOOK_EVERY);
	}
}

static void weights_read(struct replica *replica, EVP_MD_CTX *context, unsigned char *block)
{
	const char *path = replica->options->weights;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		fail(replica, MINILEPTON_FAILED, path, strerror(errno));
	while (!ends(replica) && (got = read(fd, block, BLOCK)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			fail(replica, MINILEPTON_FAILED, path, strerror(errno));
		if (!EVP_DigestUpdate(context, block, (size_t)got))
			fail(replica, MINILEPTON_FAILED, path, "no digest");
	}
	close(fd);
}

/* The weights go to the devices: what answers are made of is there alone from now on. */
static void weights_place(struct replica *replica)
{
	unsigned char key[DEVICES_KEY_SIZE];

	devices_compute(&replica->devices, key);
	devices_seal(key, replica->digest, sizeof(replica->digest));
}

static void weights_load(struct replica *replica)
{
	const char *wanted = replica->options->digest;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char *block = malloc(BLOCK);

	if (!context || !block || !EVP_DigestInit_ex(context, EVP_sha256(), NULL))
		fail(replica, MINILEPTON_FAILED, "weights", "no memory");
	weights_read(replica, context, block);
	if (!EVP_DigestFinal_ex(context, replica->digest, NULL))
		fail(replica, MINILEPTON_FAILED, "weights", "no digest");
	EVP_MD_CTX_free(context);
	free(block);
	record_hex(replica->digest, RECORD_DIGEST_SIZE, replica->digest_text);
	if (ends(replica))
		return;
	if (wanted && strcmp(wanted, replica->digest_text) != 0) {
		minilepton_say("replica %s: %s has the digest %s, not %s", replica->options->id,
			       replica->options->weights, replica->digest_text, wanted);
		_exit(MINILEPTON_WRONG_WEIGHTS);
	}
	weights_place(replica);
}

static void log_open(struct replica *replica)
{
	struct error e = {0};
	uint64_t cut;

	if (iolog_open(&replica->writer.log, replica->options->io_dir, replica->options->id, &cut,
		       &e))
		fail(replica, MINILEPTON_FAILED, "I/O log", e.text);
	if (cut > 0)
		minilepton_say("replica %s: a torn line of %llu bytes is cut off its I/O log",
			       replica->options->id, (unsigned long long)cut);
}

static void *boot(void *self)
{
	struct replica *replica = self;
	int phase = REPLICA_STARTING;
	nanos until;

	wait_for_files(replica, &replica->options->after);
	weights_load(replica);
	until = minilepton_now() + replica->options->start;
	while (!ends(replica) && minilepton_now() < until)
		pause_until(until - minilepton_now() < LOOK_EVERY ? until
								  : minilepton_now() + LOOK_EVERY);
	wait_for_files(replica, &replica->options->ready_after);
	if (ends(replica))
		return NULL;
	/* Only now: what was waited for may have been the restore of this very log. */
	log_open(replica);
	if (atomic_compare_exchange_strong(&replica->phase, &phase, REPLICA_READY))
		minilepton_say("replica %s: ready, weights %.16s", replica->options->id,
			       replica->digest_text);
	return NULL;
}

int boot_open(struct replica *replica, struct error *e)
{
	int code = pthread_create(&replica->boot, NULL, boot, replica);

	if (code)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "pthread_create: %s",
				 strerror(code));
	replica->booting = true;
	return 0;
}

void boot_close(struct replica *replica)
{
	if (replica->booting)
		pthread_join(replica->boot, NULL);
}
