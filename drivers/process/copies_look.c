/* SPDX-License-Identifier: Apache-2.0 */
/* Is the content of a data class what was written? Every file proves itself: weights by the digest
 * of their release, blocks by their number and noise, I/O logs by the CRC of each record. */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "drivers/host/adapter.h"
#include "drivers/process/copies_private.h"

struct content {
	const uint8_t *bytes;
	size_t size;
};

static int map(const char *path, struct content *ret)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	*ret = (struct content){NULL, 0};
	if (fd < 0)
		return -1;
	if (fstat(fd, &status) || status.st_size < 0) {
		close(fd);
		return -1;
	}
	if (status.st_size > 0) {
		void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
		if (bytes == MAP_FAILED) {
			close(fd);
			return -1;
		}
		*ret = (struct content){bytes, (size_t)status.st_size};
	}
	close(fd);
	return 0;
}

static void unmap(struct content *content)
{
	if (content->size > 0)
		munmap((void *)(uintptr_t)content->bytes, content->size);
}

/* By its CRC, and by its answer, which follows from key and payload. */
bool copies_record_right(const char *line, size_t length)
{
	struct ledger_found found;

	return adapter_parse_record(line, length, &found) == 0 && found.readable;
}

static bool weights_right(const struct copies *copies, const char *name,
			  const struct content *content)
{
	const struct deployment *d = &copies->config.scenario->deployment;
	uint8_t digest[EVP_MAX_MD_SIZE];
	char own[COPIES_NAME_MAX];

	EVP_Digest(content->bytes, content->size, digest, NULL, EVP_sha256(), NULL);
	for (uint32_t i = 0; i < d->endpoint_count; i++) {
		snprintf(own, sizeof(own), "%.100s.weights", d->endpoints[i].name);
		if (strcmp(own, name) == 0)
			return memcmp(digest, copies->digests[i], 32) == 0;
	}
	return false;
}

/* The numbers rise: what grew at one site and was lost there leaves a gap behind what was restored
 * at another. A file that never grows has no gap. */
static bool blocks_right(const struct copies *copies, uint64_t stream, bool grows,
			 const struct content *content)
{
	uint8_t block[COPIES_BLOCK];
	uint64_t next = 0, number;

	for (size_t at = 0; at < content->size; at += COPIES_BLOCK) {
		size_t left = content->size - at;
		number = next;
		if (grows && left >= sizeof(number))
			memcpy(&number, content->bytes + at, sizeof(number));
		copies_block_make(copies, stream, number, block);
		if (number < next || memcmp(block, content->bytes + at,
					    left < COPIES_BLOCK ? left : COPIES_BLOCK) != 0)
			return false;
		next = number + 1;
	}
	return true;
}

/* A last line without an end is being written now. */
static bool log_right(const struct content *content)
{
	const uint8_t *at = content->bytes, *end = content->bytes + content->size;

	while (at < end) {
		const uint8_t *line = memchr(at, '\n', (size_t)(end - at));
		if (!line)
			return true;
		if (!copies_record_right((const char *)at, (size_t)(line - at)))
			return false;
		at = line + 1;
	}
	return true;
}

static bool file_right(const struct copies *copies, enum data_class data_class, const char *name,
		       const struct content *content)
{
	uint64_t stream = copies_stream_of(data_class, name);

	if (copies_is_foreign(name))
		return true;
	if (data_class == DATA_MODEL)
		return weights_right(copies, name, content);
	if (stream)
		return blocks_right(copies, stream, strcmp(name, "feed") == 0, content);
	return log_right(content);
}

void copies_look(struct copies *copies, uint32_t site, enum data_class data_class,
		 struct copies_look *ret)
{
	struct copies_file *files = calloc(COPIES_FILES_MAX, sizeof(*files));
	char folder[COPIES_PATH_MAX], path[2 * COPIES_PATH_MAX];

	assert(files);
	*ret = (struct copies_look){0};
	/* With the lock: what the history says of the time before was looked at before. */
	pthread_mutex_lock(&copies->lock);
	nanos now = copies->config.now(copies->config.self);
	pthread_mutex_unlock(&copies->lock);
	copies_class_folder(copies, site, data_class, folder);
	size_t count = copies_list(folder, files, COPIES_FILES_MAX);
	for (size_t i = 0; i < count; i++) {
		struct content content;
		snprintf(path, sizeof(path), "%s/%s", folder, files[i].name);
		if (map(path, &content)) {
			ret->unreadable++;
			continue;
		}
		ret->bytes += content.size;
		ret->mismatches += !file_right(copies, data_class, files[i].name, &content);
		unmap(&content);
	}
	ret->missing = count == 0;
	ret->older = copies_older(copies, data_class, ret->bytes, now);
	free(files);
}
