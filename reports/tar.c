/* SPDX-License-Identifier: Apache-2.0 */
/* tar archives with one way to write them. */
#include "reports/tar.h"

#include <stdio.h>
#include <string.h>

/* POSIX.1-2017, pax: ustar header block. */
struct header {
	char name[TAR_NAME_MAX], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type,
		linked[100], magic[6], version[2], owner[32], group[32], major[8], minor[8],
		folder[TAR_FOLDER_MAX], rest[12];
};
_Static_assert(sizeof(struct header) == TAR_BLOCK, "a header is a block");

size_t tar_padding(uint64_t size)
{
	return (size_t)((TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK);
}

uint64_t tar_room(uint64_t size)
{
	return TAR_BLOCK + size + tar_padding(size);
}

/* `digits` octal digits. */
static void octal(char *field, size_t digits, uint64_t value)
{
	while (digits-- > 0) {
		field[digits] = (char)('0' + (value & 7));
		value >>= 3;
	}
}

int tar_header(const char *root, const char *name, uint64_t size, uint8_t ret_header[TAR_BLOCK],
	       struct error *e)
{
	const char *slash = strrchr(name, '/'), *own = slash ? slash + 1 : name;
	size_t root_length = strlen(root), inner = slash ? (size_t)(slash - name) : 0,
	       folder = root_length + (slash ? inner + 1 : 0);
	struct header header = {.type = '0'};
	unsigned sum = 0;

	if (strlen(own) > TAR_NAME_MAX || folder > TAR_FOLDER_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE,
				 "%.200s: a bundle holds names of at most %d bytes", name,
				 TAR_NAME_MAX);
	if (size > TAR_FILE_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE,
				 "%.200s: a bundle holds files of less than 8 GiB", name);
	memcpy(header.name, own, strlen(own));
	memcpy(header.folder, root, root_length);
	if (slash) {
		header.folder[root_length] = '/';
		memcpy(header.folder + root_length + 1, name, inner);
	}
	octal(header.mode, 7, 0644);
	octal(header.uid, 7, 0);
	octal(header.gid, 7, 0);
	octal(header.size, 11, size);
	octal(header.mtime, 11, 0);
	memcpy(header.magic, "ustar", 6);
	memcpy(header.version, "00", 2);
	octal(header.major, 7, 0);
	octal(header.minor, 7, 0);
	/* The sum counts its own field as blanks. */
	memset(header.checksum, ' ', sizeof(header.checksum));
	memcpy(ret_header, &header, TAR_BLOCK);
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += ret_header[i];
	octal(header.checksum, 6, sum);
	header.checksum[6] = '\0';
	memcpy(ret_header, &header, TAR_BLOCK);
	return 0;
}

/* ---- reading ---- */

static int damaged(struct error *e, const char *why)
{
	return error_set(e, ERROR_IO, NO_PLACE, "damaged: %s", why);
}

static int take(struct tar_reader *tar, void *bytes, size_t size, struct error *e)
{
	size_t got = 0;

	if (tar->read(tar->self, bytes, size, &got, e))
		return -1;
	return got == size ? 0 : damaged(e, "its archive is cut off");
}

int tar_read(struct tar_reader *tar, void *bytes, size_t size, size_t *ret_got, struct error *e)
{
	uint8_t zeros[TAR_BLOCK];

	if (tar->left == 0) {
		*ret_got = 0;
		return 0;
	}
	if (size > tar->left)
		size = (size_t)tar->left;
	if (take(tar, bytes, size, e))
		return -1;
	tar->left -= size;
	*ret_got = size;
	if (tar->left > 0)
		return 0;
	if (take(tar, zeros, tar->padding, e))
		return -1;
	for (size_t i = 0; i < tar->padding; i++)
		if (zeros[i] != 0)
			return damaged(e, "something stands between two files of its archive");
	return 0;
}

static int skip_file(struct tar_reader *tar, struct error *e)
{
	char block[TAR_BLOCK];
	size_t got;

	while (tar->left > 0)
		if (tar_read(tar, block, sizeof(block), &got, e))
			return -1;
	return 0;
}

static bool is_zero(const uint8_t *block)
{
	for (size_t i = 0; i < TAR_BLOCK; i++)
		if (block[i] != 0)
			return false;
	return true;
}

static int take_end(struct tar_reader *tar, struct error *e)
{
	uint8_t block[TAR_BLOCK];
	size_t got = 0;

	if (take(tar, block, TAR_BLOCK, e))
		return -1;
	if (!is_zero(block))
		return damaged(e, "its archive has no end");
	if (tar->read(tar->self, block, 1, &got, e))
		return -1;
	if (got > 0)
		return damaged(e, "something stands behind the end of its archive");
	tar->ended = true;
	return 0;
}

static int parse_size(const char field[12], uint64_t *ret_size)
{
	uint64_t size = 0;

	for (size_t i = 0; i < 11; i++) {
		if (field[i] < '0' || field[i] > '7')
			return -1;
		size = size << 3 | (uint64_t)(field[i] - '0');
	}
	*ret_size = size;
	return 0;
}

/* Root, name and size that the header has; whether it is the header that would be written for them
 * is seen by writing it. */
static int parse(const uint8_t block[TAR_BLOCK], struct tar_reader *into)
{
	char own[TAR_NAME_MAX + 1] = "", folder[TAR_FOLDER_MAX + 1] = "";
	struct header header;
	char *slash;

	memcpy(&header, block, TAR_BLOCK);
	memcpy(own, header.name, TAR_NAME_MAX);
	memcpy(folder, header.folder, TAR_FOLDER_MAX);
	if (parse_size(header.size, &into->size))
		return -1;
	slash = strchr(folder, '/');
	if (slash)
		*slash = '\0';
	memcpy(into->root, folder, sizeof(into->root));
	snprintf(into->name, sizeof(into->name), "%s%s%s", slash ? slash + 1 : "", slash ? "/" : "",
		 own);
	return 0;
}

static int take_header(struct tar_reader *tar, const uint8_t block[TAR_BLOCK], struct error *e)
{
	struct tar_reader found = {0};
	uint8_t again[TAR_BLOCK];
	struct error ignored = {0};

	if (parse(block, &found) ||
	    tar_header(found.root, found.name, found.size, again, &ignored) ||
	    memcmp(block, again, TAR_BLOCK) != 0)
		return damaged(e, "a header of its archive is not one that drsim writes");
	/* A path that leads out of its folder, or a folder that is no single name. */
	if (!artefact_name_ok(found.root) || strchr(found.root, '/') ||
	    !artefact_name_ok(found.name))
		return damaged(e, "a name in its archive is not one of a run");
	if (tar->count > 0 && strcmp(tar->root, found.root) != 0)
		return damaged(e, "its archive has more than one folder");
	if (tar->count > 0 && strcmp(tar->name, found.name) >= 0)
		return damaged(e, "the files of its archive are not in the order of their names");
	if (tar->count == ARTEFACTS_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "damaged: more than %d files",
				 ARTEFACTS_MAX);
	memcpy(tar->root, found.root, sizeof(tar->root));
	memcpy(tar->name, found.name, sizeof(tar->name));
	tar->size = tar->left = found.size;
	tar->padding = tar_padding(found.size);
	tar->count++;
	return 0;
}

int tar_next(struct tar_reader *tar, struct error *e)
{
	uint8_t block[TAR_BLOCK];

	if (tar->ended)
		return 0;
	if (skip_file(tar, e) || take(tar, block, TAR_BLOCK, e))
		return -1;
	if (is_zero(block))
		return take_end(tar, e);
	return take_header(tar, block, e) ? -1 : 1;
}
