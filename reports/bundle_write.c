/* SPDX-License-Identifier: Apache-2.0 */
/* Bundles written: the files of a run folder, one after another, through one LZ4 frame. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reports/bundle.h"
#include "reports/bundle_private.h"
#include "reports/file.h"
#include "reports/view.h"

#define BLOCK_SIZE ((size_t)256 << 10)
#define RECORD_MAX ((off_t)64 << 20) /* a larger record.json is not read for its id */

struct writer {
	FILE *out;
	LZ4F_cctx *context;
	char *block, *packed;
	size_t packed_room;
	uint64_t bytes; /* written to `out` */
};

/* ---- the frame ---- */

/* What a call of LZ4F gave goes out; report_file_end() sees errors of the stream. */
static int put(struct writer *writer, size_t size, struct error *e)
{
	if (LZ4F_isError(size))
		return error_set(e, ERROR_IO, NO_PLACE, "cannot pack: %s", LZ4F_getErrorName(size));
	fwrite(writer->packed, 1, size, writer->out);
	writer->bytes += size;
	return 0;
}

static int add(struct writer *writer, const void *bytes, size_t size, struct error *e)
{
	return put(writer,
		   LZ4F_compressUpdate(writer->context, writer->packed, writer->packed_room, bytes,
				       size, NULL),
		   e);
}

static int begin(struct writer *writer, uint64_t content, FILE *out, struct arena *arena,
		 struct error *e)
{
	LZ4F_preferences_t preferences;

	bundle_preferences(content, &preferences);
	*writer = (struct writer){.out = out};
	writer->block = arena_alloc(arena, BLOCK_SIZE);
	writer->packed_room = LZ4F_compressBound(BLOCK_SIZE, &preferences) + LZ4F_HEADER_SIZE_MAX;
	writer->packed = arena_alloc(arena, writer->packed_room);
	if (LZ4F_isError(LZ4F_createCompressionContext(&writer->context, LZ4F_VERSION)))
		return error_set(e, ERROR_MEMORY, NO_PLACE, "out of memory");
	return put(writer,
		   LZ4F_compressBegin(writer->context, writer->packed, writer->packed_room,
				      &preferences),
		   e);
}

/* ---- the archive ---- */

static int add_content(struct writer *writer, int fd, const struct artefact *artefact,
		       struct error *e)
{
	uint64_t left = artefact->size;

	while (left > 0) {
		size_t size = left < BLOCK_SIZE ? (size_t)left : BLOCK_SIZE;
		ssize_t got = read(fd, writer->block, size);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return error_set(e, ERROR_IO, NO_PLACE, "cannot read %s: %s",
					 artefact->name,
					 got < 0 ? strerror(errno) : "it became shorter");
		if (add(writer, writer->block, (size_t)got, e))
			return -1;
		left -= (uint64_t)got;
	}
	if (read(fd, writer->block, 1) != 0)
		return error_set(e, ERROR_IO, NO_PLACE, "cannot read %s: it became longer",
				 artefact->name);
	memset(writer->block, 0, TAR_BLOCK);
	return add(writer, writer->block, tar_padding(artefact->size), e);
}

static int add_file(struct writer *writer, int folder, const char *root,
		    const struct artefact *artefact, struct error *e)
{
	uint8_t header[TAR_BLOCK];
	int fd, rc;

	if (tar_header(root, artefact->name, artefact->size, header, e) ||
	    add(writer, header, sizeof(header), e))
		return -1;
	fd = artefact_open(folder, artefact->name, e);
	if (fd < 0)
		return -1;
	rc = add_content(writer, fd, artefact, e);
	close(fd);
	return rc;
}

static int add_all(struct writer *writer, int folder, const char *root,
		   const struct artefacts *artefacts, struct error *e)
{
	for (size_t i = 0; i < artefacts->count; i++)
		if (artefacts->items[i].kind == ARTEFACT_FILE &&
		    add_file(writer, folder, root, &artefacts->items[i], e))
			return -1;
	memset(writer->block, 0, TAR_END);
	if (add(writer, writer->block, TAR_END, e))
		return -1;
	return put(writer,
		   LZ4F_compressEnd(writer->context, writer->packed, writer->packed_room, NULL), e);
}

/* ---- what goes in, under which name ---- */

/* The drill's id, from record.json: a name that tells bundles apart and that the signature covers.
 */
static int find_root(int folder, struct arena *arena, const char **ret_root, struct error *e)
{
	int fd = artefact_open(folder, "record.json", e);
	struct stat status;
	const char *id;
	ssize_t got = -1;
	char *text;
	cJSON *record;

	if (fd < 0)
		return -1;
	if (fstat(fd, &status) == 0 && status.st_size <= RECORD_MAX) {
		text = arena_alloc(arena, (size_t)status.st_size + 1);
		got = read(fd, text, (size_t)status.st_size);
	}
	close(fd);
	if (got < 0)
		return error_set(e, ERROR_IO, NO_PLACE, "record.json cannot be read");
	record = cJSON_ParseWithLength(text, (size_t)got);
	id = view_text(record, "drill.id");
	*ret_root = id && artefact_name_ok(id) && !strchr(id, '/') ? arena_strdup(arena, id) : NULL;
	cJSON_Delete(record);
	if (!*ret_root)
		return error_set(e, ERROR_USAGE, NO_PLACE,
				 "record.json does not say which drill it is of: no 'drill.id'");
	return 0;
}

static int measure(const struct artefacts *artefacts, struct bundle_size *ret_size,
		   uint64_t *ret_content, struct error *e)
{
	*ret_size = (struct bundle_size){0};
	*ret_content = TAR_END;
	for (size_t i = 0; i < artefacts->count; i++) {
		const struct artefact *artefact = &artefacts->items[i];

		if (artefact->kind != ARTEFACT_FILE && artefact->kind != ARTEFACT_FOLDER)
			return error_set(e, ERROR_USAGE, NO_PLACE,
					 "%.200s is %s: a run holds only files", artefact->name,
					 artefact_kind_text(artefact->kind));
		if (!artefact_name_ok(artefact->name))
			return error_set(e, ERROR_USAGE, NO_PLACE,
					 "the run folder holds a name that is none of a run");
		if (artefact->kind == ARTEFACT_FOLDER)
			continue;
		*ret_content += tar_room(artefact->size);
		ret_size->files++;
		ret_size->bytes += artefact->size;
	}
	return 0;
}

/* A file inside the run folder would be one that nobody signed. */
static int check_target(const char *folder, const char *path, struct arena *arena, struct error *e)
{
	char *above = arena_strdup(arena, path), *slash = strrchr(above, '/');
	char *inner = NULL, *outer = NULL;
	struct stat status;
	size_t length;
	bool inside;

	if (lstat(path, &status) == 0)
		return error_set(e, ERROR_USAGE, NO_PLACE, "%s exists already", path);
	if (slash)
		slash[slash == above] = '\0';
	inner = realpath(slash ? above : ".", NULL);
	outer = realpath(folder, NULL);
	length = outer ? strlen(outer) : 0;
	inside = inner && outer && strncmp(inner, outer, length) == 0 &&
		 (inner[length] == '/' || inner[length] == '\0');
	free(inner);
	free(outer);
	return inside ? error_set(e, ERROR_USAGE, NO_PLACE, "%s lies in the run folder", path) : 0;
}

static int write_file(const char *path, int folder, const char *root,
		      const struct artefacts *artefacts, uint64_t content, struct arena *arena,
		      uint64_t *ret_packed, struct error *e)
{
	struct report_file out;
	struct writer writer = {0};
	int rc;

	if (report_file_begin(&out, NULL, path, e))
		return -1;
	rc = begin(&writer, content, out.file, arena, e);
	if (rc == 0)
		rc = add_all(&writer, folder, root, artefacts, e);
	LZ4F_freeCompressionContext(writer.context);
	*ret_packed = writer.bytes;
	return report_file_end(&out, rc, e);
}

int bundle_write(const char *folder, const char *path, struct arena *arena,
		 struct bundle_size *ret_size, struct error *e)
{
	struct artefacts artefacts;
	uint64_t content, packed = 0;
	const char *root;
	int fd, rc = -1;

	if (check_target(folder, path, arena, e) || artefacts_open(folder, &fd, e))
		return -1;
	if (artefacts_list(fd, arena, &artefacts, e) == 0 && find_root(fd, arena, &root, e) == 0 &&
	    measure(&artefacts, ret_size, &content, e) == 0)
		rc = write_file(path, fd, root, &artefacts, content, arena, &packed, e);
	close(fd);
	ret_size->packed = packed;
	return rc;
}
