/* SPDX-License-Identifier: Apache-2.0 */
/* A rank's shard: its state, then a filling that follows from it, checked as one by its digest. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim/minilepton/checkpoint.h"
#include "sim/minilepton/subtree.h"

#define MAGIC UINT64_C(0x31544b434d495352) /* "RSIMCKT1" */
#define PIECE ((size_t)64 << 10)
#define NAME_MAX_HERE 64

static void shard_name(uint64_t step, uint32_t rank, char name[NAME_MAX_HERE])
{
	snprintf(name, NAME_MAX_HERE, "ckpt-%012" PRIu64 "/shard-%05u.bin", step, rank);
}

/* Bits that look like trained weights to whoever compresses them. */
static uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* Bytes [at, at + size) of a shard; both are multiples of 8. */
static void fill(uint64_t step, uint32_t rank, const uint64_t state[CHECKPOINT_WORDS],
		 uint64_t bytes, uint64_t at, uint64_t *out, size_t words)
{
	uint64_t head[CHECKPOINT_HEAD / 8] = {MAGIC, step, rank, bytes, CHECKPOINT_WORDS};

	memcpy(head + 5, state, CHECKPOINT_WORDS * sizeof(uint64_t));
	for (size_t i = 0; i < words; i++) {
		uint64_t word = at / 8 + i;

		out[i] = htole64(word < CHECKPOINT_HEAD / 8 ? head[word]
							    : mix(state[word % 8] ^ word));
	}
}

static int write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t written = write(fd, data, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -1;
		data += written;
		size -= (size_t)written;
	}
	return 0;
}

struct writing {
	int fd;
	EVP_MD_CTX *digest;
	uint64_t *piece;
};

static int write_pieces(struct writing *w, uint64_t step, uint32_t rank, const uint64_t *state,
			uint64_t bytes, struct rate *rate)
{
	for (uint64_t at = 0; at < bytes;) {
		size_t size = bytes - at < PIECE ? (size_t)(bytes - at) : PIECE;

		fill(step, rank, state, bytes, at, w->piece, (size + 7) / 8);
		rate_take(rate, size);
		if (write_all(w->fd, (const char *)w->piece, size) ||
		    EVP_DigestUpdate(w->digest, w->piece, size) != 1)
			return -1;
		at += size;
	}
	return fsync(w->fd);
}

int checkpoint_shard_write(const char *dir, uint64_t step, uint32_t rank,
			   const uint64_t state[CHECKPOINT_WORDS], uint64_t bytes,
			   struct rate *rate, struct checkpoint_shard *ret, struct error *e)
{
	struct writing w = {.fd = -1};
	char path[NAME_MAX_HERE];
	const char *name;
	int folder = subtree_open(dir), parent = -1, rc = -1;

	shard_name(step, rank, path);
	if (folder >= 0)
		parent = subtree_parent(folder, path, true, &name);
	if (parent >= 0)
		w.fd = openat(parent, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	w.digest = EVP_MD_CTX_new();
	w.piece = malloc(PIECE);
	if (w.fd >= 0 && w.digest && w.piece &&
	    EVP_DigestInit_ex(w.digest, EVP_sha256(), NULL) == 1 &&
	    write_pieces(&w, step, rank, state, bytes, rate) == 0 && fsync(parent) == 0 &&
	    EVP_DigestFinal_ex(w.digest, ret->digest, NULL) == 1)
		rc = 0;
	if (rc)
		error_set(e, ERROR_IO, NO_PLACE, "%s/%s: %s", dir, path, strerror(errno));
	ret->bytes = bytes;
	free(w.piece);
	EVP_MD_CTX_free(w.digest);
	if (w.fd >= 0)
		close(w.fd);
	if (parent >= 0)
		close(parent);
	if (folder >= 0)
		close(folder);
	return rc;
}

/* The digest of all that is in the file, and its first bytes. */
static int read_pieces(int fd, struct rate *rate, uint64_t head[CHECKPOINT_HEAD / 8],
		       unsigned char *digest, uint64_t *ret_bytes)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	char *piece = malloc(PIECE);
	uint64_t at = 0;
	ssize_t got = 0;
	int rc = -1;

	if (!context || !piece || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1)
		goto out;
	while ((got = read(fd, piece, PIECE)) > 0) {
		if (at < CHECKPOINT_HEAD) {
			size_t left = CHECKPOINT_HEAD - (size_t)at;

			memcpy((char *)head + at, piece, (size_t)got < left ? (size_t)got : left);
		}
		rate_take(rate, (uint64_t)got);
		if (EVP_DigestUpdate(context, piece, (size_t)got) != 1)
			goto out;
		at += (uint64_t)got;
	}
	if (got == 0 && EVP_DigestFinal_ex(context, digest, NULL) == 1)
		rc = 0;
	*ret_bytes = at;
out:
	free(piece);
	EVP_MD_CTX_free(context);
	return rc;
}

int checkpoint_shard_read(const char *dir, const struct checkpoint_manifest *manifest,
			  uint32_t rank, struct rate *rate, uint64_t state[CHECKPOINT_WORDS],
			  struct error *e)
{
	const struct checkpoint_shard *shard = &manifest->shards[rank];
	uint64_t head[CHECKPOINT_HEAD / 8] = {0}, bytes = 0;
	unsigned char digest[CHECKPOINT_DIGEST];
	char path[NAME_MAX_HERE];
	int folder = subtree_open(dir), fd = -1, rc;

	shard_name(manifest->step, rank, path);
	if (folder >= 0) {
		fd = subtree_open_at(folder, path, O_RDONLY, 0);
		close(folder);
	}
	if (fd < 0)
		return error_set(e, ERROR_IO, NO_PLACE, "%s: %s", path, strerror(errno));
	rc = read_pieces(fd, rate, head, digest, &bytes);
	close(fd);
	if (rc)
		return error_set(e, ERROR_IO, NO_PLACE, "%s cannot be read", path);
	if (bytes != shard->bytes)
		return error_set(e, ERROR_IO, NO_PLACE,
				 "%s has %" PRIu64 " bytes instead of %" PRIu64, path, bytes,
				 shard->bytes);
	if (memcmp(digest, shard->digest, sizeof(digest)) != 0)
		return error_set(e, ERROR_IO, NO_PLACE, "%s is not what was written", path);
	if (le64toh(head[0]) != MAGIC || le64toh(head[1]) != manifest->step ||
	    le64toh(head[2]) != rank || le64toh(head[4]) != CHECKPOINT_WORDS)
		return error_set(e, ERROR_IO, NO_PLACE, "%s is of another step or rank", path);
	for (size_t i = 0; i < CHECKPOINT_WORDS; i++)
		state[i] = le64toh(head[5 + i]);
	return 0;
}
