/* SPDX-License-Identifier: Apache-2.0 */
/* Bundles read back: one LZ4 frame, block by block, each byte of it as it was written or damage. */
#include "reports/bundle.h"

#include <assert.h>
#include <errno.h>
#include <lz4frame.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "reports/bundle_private.h"

#define READ_SIZE ((size_t)64 << 10)
#define CONTENT_SIZE_AT 6 /* in the frame's header: after magic, FLG and BD; 8 bytes */

struct bundle {
	FILE *file;
	LZ4F_dctx *context;
	uint8_t *block; /* of the file */
	size_t begin, end;
	bool started, ended;
	struct tar_reader tar;
};

void bundle_preferences(uint64_t content, LZ4F_preferences_t *ret)
{
	*ret = (LZ4F_preferences_t){
		.frameInfo = {.blockSizeID = LZ4F_max256KB,
			      .blockMode = LZ4F_blockIndependent,
			      .contentChecksumFlag = LZ4F_contentChecksumEnabled,
			      .blockChecksumFlag = LZ4F_blockChecksumEnabled,
			      .contentSize = content},
	};
}

static int damaged(struct error *e, const char *why)
{
	return error_set(e, ERROR_IO, NO_PLACE, "damaged: %s", why);
}

/* More of the file into the block, which is used up; nothing at its end. */
static int fill(struct bundle *bundle, struct error *e)
{
	if (bundle->begin < bundle->end)
		return 0;
	errno = 0;
	bundle->begin = 0;
	bundle->end = fread(bundle->block, 1, READ_SIZE, bundle->file);
	if (bundle->end == 0 && ferror(bundle->file))
		return error_set(e, ERROR_IO, NO_PLACE, "cannot be read: %s",
				 strerror(errno ? errno : EIO));
	return 0;
}

/* The checksum of a header is one byte: the rest must be what is written for that size. */
static int start(struct bundle *bundle, struct error *e)
{
	uint8_t header[LZ4F_HEADER_SIZE_MAX];
	LZ4F_preferences_t preferences;
	uint64_t content = 0;
	LZ4F_cctx *context;
	size_t size;

	bundle->started = true;
	if (fill(bundle, e))
		return -1;
	for (size_t i = 0; i < 8 && bundle->end >= CONTENT_SIZE_AT + 8; i++)
		content |= (uint64_t)bundle->block[CONTENT_SIZE_AT + i] << (8 * i);
	bundle_preferences(content, &preferences);
	if (LZ4F_isError(LZ4F_createCompressionContext(&context, LZ4F_VERSION)))
		return error_set(e, ERROR_MEMORY, NO_PLACE, "out of memory");
	size = LZ4F_compressBegin(context, header, sizeof(header), &preferences);
	LZ4F_freeCompressionContext(context);
	/* A frame of unknown size has no such field: it is not one of drsim's either. */
	if (content == 0 || LZ4F_isError(size) || bundle->end < size ||
	    memcmp(bundle->block, header, size) != 0)
		return damaged(e, "it does not begin like a bundle");
	return 0;
}

/* After the frame there is nothing. */
static int finish(struct bundle *bundle, struct error *e)
{
	bundle->ended = true;
	if (fill(bundle, e))
		return -1;
	return bundle->begin < bundle->end ? damaged(e, "something stands behind its end") : 0;
}

/* tar_read_fn */
static int unpack(void *self, void *bytes, size_t size, size_t *ret_got, struct error *e)
{
	struct bundle *bundle = self;
	size_t got = 0;

	if (!bundle->started && start(bundle, e))
		return -1;
	while (got < size && !bundle->ended) {
		size_t room = size - got, used, hint;

		if (fill(bundle, e))
			return -1;
		used = bundle->end - bundle->begin;
		if (used == 0)
			return damaged(e, "it is cut off");
		hint = LZ4F_decompress(bundle->context, (char *)bytes + got, &room,
				       bundle->block + bundle->begin, &used, NULL);
		if (LZ4F_isError(hint))
			return damaged(e, LZ4F_getErrorName(hint));
		got += room;
		bundle->begin += used;
		if (hint == 0 && finish(bundle, e))
			return -1;
	}
	*ret_got = got;
	return 0;
}

struct bundle *bundle_open(FILE *file, struct arena *arena)
{
	struct bundle *bundle = arena_alloc(arena, sizeof(*bundle));

	bundle->file = file;
	bundle->block = arena_alloc(arena, READ_SIZE);
	bundle->tar.read = unpack;
	bundle->tar.self = bundle;
	if (LZ4F_isError(LZ4F_createDecompressionContext(&bundle->context, LZ4F_VERSION))) {
		fputs("drsim: out of memory\n", stderr);
		exit(3);
	}
	return bundle;
}

void bundle_close(struct bundle *bundle)
{
	LZ4F_freeDecompressionContext(bundle->context);
	bundle->context = NULL;
}

int bundle_next(struct bundle *bundle, const struct tar_reader **ret_tar, struct error *e)
{
	*ret_tar = &bundle->tar;
	return tar_next(&bundle->tar, e);
}

int bundle_read(struct bundle *bundle, void *bytes, size_t size, size_t *ret_got, struct error *e)
{
	return tar_read(&bundle->tar, bytes, size, ret_got, e);
}

/* ---- as a source of artefacts ---- */

struct bundle_source {
	struct bundle *bundle;
	struct arena *arena;
	struct verify_source source;
};

static int source_next(void *self, struct artefact *ret_artefact, struct error *e)
{
	struct bundle_source *own = self;
	const struct tar_reader *tar;
	int rc = bundle_next(own->bundle, &tar, e);

	own->source.root = tar->root;
	if (rc > 0)
		*ret_artefact = (struct artefact){arena_strdup(own->arena, tar->name),
						  ARTEFACT_FILE, tar->size};
	return rc;
}

static int source_read(void *self, void *bytes, size_t size, size_t *ret_got, struct error *e)
{
	struct bundle_source *own = self;

	return bundle_read(own->bundle, bytes, size, ret_got, e);
}

int verify_bundle(const char *path, const struct public_key *key, struct arena *arena,
		  struct verified *ret_verified, struct error *e)
{
	struct bundle_source self = {.arena = arena};
	const char *slash = strrchr(path, '/');
	struct stat status;
	FILE *file = fopen(path, "re");

	if (!file || fstat(fileno(file), &status) || S_ISDIR(status.st_mode)) {
		error_set(e, ERROR_USAGE, NO_PLACE, "cannot read '%s': %s", path,
			  file ? "it is a folder" : strerror(errno));
		if (file)
			fclose(file);
		return -1;
	}
	self.bundle = bundle_open(file, arena);
	self.source = (struct verify_source){
		.self = &self,
		.next = source_next,
		.read = source_read,
		.name = slash ? slash + 1 : path,
	};
	verify_source(&self.source, key, arena, ret_verified);
	bundle_close(self.bundle);
	fclose(file);
	return 0;
}
