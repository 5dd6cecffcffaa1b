/* SPDX-License-Identifier: Apache-2.0 */
/* Model-like data: written block by block, each from a random stream of its own. */
#include "tests/model_data.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/prng.h"

#define PIECE ((size_t)1 << 20)
#define PIECES 32    /* of one block: long enough for tools that cut where the content says */
#define EXPONENT 118 /* of the smallest numbers; weights are small */

/* Sixteen bits of one number: sign and mantissa are noise, the exponent is one of a few, larger
 * ones more often, as of a normal distribution. */
static uint16_t number(uint64_t random)
{
	static const uint8_t exponents[16] = {0, 1, 2, 3, 3, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 7};
	uint16_t exponent = (uint16_t)(EXPONENT + exponents[random & 15]);

	return (uint16_t)((random >> 4 & 0x7f) | exponent << 7 | (random >> 11 & 1) << 15);
}

void model_data_noise(uint8_t *data, size_t bytes, uint64_t seed)
{
	struct prng prng;

	prng_open(&prng, seed, 0, 0, PRNG_TEST);
	for (size_t at = 0; at < bytes; at += 10) {
		uint64_t random = prng_u64(&prng);

		for (size_t i = at; i < bytes && i < at + 10; i += 2, random >>= 12) {
			uint16_t value = number(random);

			memcpy(data + i, &value, i + 2 <= bytes ? 2 : 1);
		}
	}
}

static int write_all(int fd, const uint8_t *data, size_t bytes, uint64_t offset)
{
	while (bytes > 0) {
		ssize_t wrote = pwrite(fd, data, bytes, (off_t)offset);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			return -1;
		data += wrote;
		bytes -= (size_t)wrote;
		offset += (uint64_t)wrote;
	}
	return 0;
}

/* Of four blocks two are new, one is the first of the four before, one is zeros. */
static void fill(uint8_t *data, uint64_t piece, uint64_t seed)
{
	uint64_t block = piece / PIECES, four = block / 4;

	switch (block % 4) {
	case 0:
	case 1:
		model_data_noise(data, PIECE, seed + piece);
		return;
	case 2:
		block = four > 0 ? 4 * (four - 1) : 0;
		model_data_noise(data, PIECE, seed + block * PIECES + piece % PIECES);
		return;
	}
	memset(data, 0, PIECE);
}

int model_data_write(const char *path, uint64_t bytes, uint64_t seed)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), rc = 0;
	uint8_t *data = malloc(PIECE);

	if (fd < 0 || !data)
		rc = -1;
	for (uint64_t at = 0; rc == 0 && at < bytes; at += PIECE) {
		fill(data, at / PIECE, seed);
		rc = write_all(fd, data, bytes - at < PIECE ? (size_t)(bytes - at) : PIECE, at);
	}
	free(data);
	if (fd >= 0 && close(fd))
		rc = -1;
	return rc;
}

int model_data_change(const char *path, uint32_t ppm, uint64_t seed, uint64_t *ret_bytes)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), rc = -1;
	uint8_t *data = malloc(MODEL_DATA_RUN), *taken = NULL;
	struct stat status;
	struct prng prng;
	uint64_t runs, wanted;

	*ret_bytes = 0;
	if (fd < 0 || !data || fstat(fd, &status))
		goto out;
	/* Places lie anywhere, not on a chunk's edge, and at least a run apart from one another. */
	runs = (uint64_t)status.st_size / (2 * MODEL_DATA_RUN);
	wanted = (uint64_t)status.st_size / MODEL_DATA_RUN * ppm / 1000000;
	taken = calloc(runs + 1, 1);
	if (!taken || wanted > runs)
		goto out;
	prng_open(&prng, seed, 0, 0, PRNG_TEST);
	for (uint64_t done = 0; done < wanted;) {
		uint64_t run = prng_below(&prng, runs);
		uint64_t at = run * 2 * MODEL_DATA_RUN + prng_below(&prng, MODEL_DATA_RUN);

		if (taken[run])
			continue;
		taken[run] = 1;
		model_data_noise(data, MODEL_DATA_RUN, seed + (done + 1) * 1000003);
		if (write_all(fd, data, MODEL_DATA_RUN, at))
			goto out;
		*ret_bytes += MODEL_DATA_RUN;
		done++;
	}
	rc = 0;
out:
	free(data);
	free(taken);
	if (fd >= 0 && close(fd))
		rc = -1;
	return rc;
}
