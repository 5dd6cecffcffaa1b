/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: any bytes as a bundle, and as the archive in one; with its headers made right what
 * lies behind them is read too. No name leads out of its folder. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "reports/bundle.h"
#include "reports/tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct memory {
	const uint8_t *bytes;
	size_t size, at;
};

static int give(void *self, void *bytes, size_t size, size_t *ret_got, struct error *e)
{
	struct memory *memory = self;
	size_t left = memory->size - memory->at;

	(void)e;
	*ret_got = size < left ? size : left;
	memcpy(bytes, memory->bytes + memory->at, *ret_got);
	memory->at += *ret_got;
	return 0;
}

static void check_name(const struct tar_reader *tar)
{
	assert(artefact_name_ok(tar->name) && artefact_name_ok(tar->root));
	assert(!strchr(tar->root, '/') && tar->name[0] != '/');
	/* A name may end in two dots, but not be them. */
	assert(!strstr(tar->name, "/../") && strncmp(tar->name, "../", 3) != 0);
	assert(tar->size <= TAR_FILE_MAX && tar->count <= ARTEFACTS_MAX);
}

static void read_archive(const uint8_t *data, size_t size)
{
	struct memory memory = {.bytes = data, .size = size};
	struct tar_reader tar = {.read = give, .self = &memory};
	char before[ARTEFACT_NAME_MAX] = "", block[700];
	struct error e = {0};
	size_t got;
	int rc;

	while ((rc = tar_next(&tar, &e)) > 0) {
		check_name(&tar);
		assert(strcmp(before, tar.name) < 0);
		memcpy(before, tar.name, sizeof(before));
		/* One file is read, the next one skipped. */
		while (tar.count % 2 && tar_read(&tar, block, sizeof(block), &got, &e) == 0)
			if (got == 0)
				break;
		if (e.kind != ERROR_NONE)
			break;
	}
	assert(rc != 0 || (tar.ended && memory.at == size));
	assert(rc >= 0 || e.kind != ERROR_NONE);
}

/* Each header as it would be written for the name and the size in it, and an end. */
static void read_mended(const uint8_t *data, size_t size)
{
	size_t room = size / TAR_BLOCK * TAR_BLOCK;
	uint8_t *copy = calloc(1, room + TAR_END);
	struct error e = {0};

	assert(copy);
	if (room > 0)
		memcpy(copy, data, room);
	for (size_t at = 0; at < room;) {
		size_t left = room - at - TAR_BLOCK, length = copy[at + 124] * 16U;
		char name[TAR_NAME_MAX + 1] = "";

		memcpy(name, copy + at, TAR_NAME_MAX);
		length = tar_room(length) - TAR_BLOCK > left ? left : length;
		if (tar_header("root", name, length, copy + at, &e))
			break;
		memset(copy + at + TAR_BLOCK + length, 0, tar_padding(length));
		at += (size_t)tar_room(length);
	}
	read_archive(copy, room + TAR_END);
	free(copy);
}

static void read_bundle(const uint8_t *data, size_t size)
{
	struct arena arena = {0};
	struct error e = {0};
	FILE *file = fmemopen((void *)(uintptr_t)data, size, "r");
	const struct tar_reader *tar;
	struct bundle *bundle;
	char block[700];
	size_t got;
	int rc;

	assert(file);
	bundle = bundle_open(file, &arena);
	while ((rc = bundle_next(bundle, &tar, &e)) > 0) {
		check_name(tar);
		while (bundle_read(bundle, block, sizeof(block), &got, &e) == 0 && got > 0)
			;
		if (e.kind != ERROR_NONE)
			break;
	}
	assert(rc >= 0 || (e.kind != ERROR_NONE && e.text[0]));
	bundle_close(bundle);
	fclose(file);
	arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	read_bundle(data, size);
	read_archive(data, size);
	read_mended(data, size);
	return 0;
}
