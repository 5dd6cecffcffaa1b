/* SPDX-License-Identifier: Apache-2.0 */
/* The data of a drill as files: what is there at time 0, power, fences, and moving it between
 * sites. Growing and replication are in copies_live.c. */
#include "drivers/process/copies_private.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#define COPY_BLOCK 65536
#define MIRROR_FILES_MAX ((size_t)65536) /* as many as a volume has inodes */
#define LEVELS_MAX 4     /* of folders, below that of a service */
#define WEIGHTS_MIN 4096 /* bytes: a digest of less says little */

/* ---- names ---- */

const char *copies_site_folder(const struct copies *copies, uint32_t site)
{
	return copies->sites[site].folder;
}

const char *copies_class_folder(const struct copies *copies, uint32_t site,
				enum data_class data_class, char *path)
{
	snprintf(path, COPIES_PATH_MAX, "%.900s/data/%s", copies->sites[site].folder,
		 data_class_names[data_class]);
	return path;
}

const uint8_t *copies_weights_digest(const struct copies *copies, uint32_t endpoint)
{
	return copies->digests[endpoint];
}

static int failed(struct error *e, const char *what, const char *path)
{
	return error_set(e, ERROR_IO, NO_PLACE, "cannot %s %s: %s", what, path, strerror(errno));
}

/* ---- blocks that prove themselves: number, noise, CRC ---- */

static uint64_t mix(uint64_t x)
{
	/* The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014). */
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

void copies_block_make(const struct copies *copies, uint64_t stream, uint64_t number,
		       uint8_t block[COPIES_BLOCK])
{
	uint64_t word = number;

	memcpy(block, &word, sizeof(word));
	for (size_t i = 1; i < COPIES_BLOCK / sizeof(word); i++) {
		word = mix(mix(mix(copies->config.seed) ^ stream) ^ (number * 8 + i));
		memcpy(block + i * sizeof(word), &word, sizeof(word));
	}
}

/* The stream of a file that consists of blocks; 0: it does not. */
uint64_t copies_stream_of(enum data_class data_class, const char *name)
{
	if (strcmp(name, "base") == 0)
		return 1 + (uint64_t)data_class;
	return strcmp(name, "feed") == 0 ? 16 : 0;
}

/* ---- writing files ---- */

static int write_all(int fd, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	while (size > 0) {
		ssize_t wrote = write(fd, at, size);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return -1;
		at += wrote;
		size -= (size_t)wrote;
	}
	return 0;
}

/* `size` bytes of blocks, the last one cut; their SHA-256 to `digest` unless NULL. */
static int write_blocks(const struct copies *copies, const char *path, uint64_t stream,
			uint64_t size, uint8_t *digest, struct error *e)
{
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	uint8_t piece[COPY_BLOCK];
	uint64_t number = 0;
	int rc = -1, fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert(hash);
	if (fd < 0) {
		failed(e, "create", path);
		goto out;
	}
	EVP_DigestInit_ex(hash, EVP_sha256(), NULL);
	for (uint64_t left = size; left > 0;) {
		size_t now = left < sizeof(piece) ? (size_t)left : sizeof(piece);
		for (size_t at = 0; at < sizeof(piece); at += COPIES_BLOCK)
			copies_block_make(copies, stream, number++, piece + at);
		EVP_DigestUpdate(hash, piece, now);
		if (write_all(fd, piece, now)) {
			failed(e, "write", path);
			goto out;
		}
		left -= now;
	}
	if (digest)
		EVP_DigestFinal_ex(hash, digest, NULL);
	rc = 0;
out:
	if (fd >= 0)
		close(fd);
	EVP_MD_CTX_free(hash);
	return rc;
}

static int make_folder(const char *path, struct error *e)
{
	return mkdir(path, 0755) && errno != EEXIST ? failed(e, "make the folder", path) : 0;
}

/* ---- copies ---- */

int copies_copy_range(const char *from, const char *to, uint64_t at, uint64_t end, bool truncate,
		      struct error *e)
{
	uint8_t piece[COPY_BLOCK];
	int rc = -1, out = -1, in = open(from, O_RDONLY | O_CLOEXEC);

	if (in < 0)
		return failed(e, "open", from);
	out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (out < 0 || (truncate && ftruncate(out, (off_t)at)) ||
	    lseek(out, (off_t)at, SEEK_SET) < 0) {
		failed(e, "write", to);
		goto done;
	}
	while (at < end) {
		size_t want = end - at < sizeof(piece) ? (size_t)(end - at) : sizeof(piece);
		ssize_t got = pread(in, piece, want, (off_t)at);
		if (got < 0) {
			failed(e, "read", from);
			goto done;
		}
		if (got == 0)
			break; /* it was cut meanwhile: what is there is copied */
		if (write_all(out, piece, (size_t)got)) {
			failed(e, "write", to);
			goto done;
		}
		at += (uint64_t)got;
	}
	rc = 0;
done:
	if (out >= 0)
		close(out);
	close(in);
	return rc;
}

/* One folder below `root`, or `root` itself when `below` is empty; then the folders inside it, so
 * many levels deep. Links are not followed. */
static size_t list_folder(const char *root, const char *below, int levels,
			  struct copies_file *files, size_t max)
{
	char path[2 * COPIES_PATH_MAX], name[COPIES_NAME_MAX];
	struct dirent *entry;
	struct stat status;
	size_t count = 0;

	snprintf(path, sizeof(path), "%s/%s", root, below);
	DIR *stream = opendir(path);
	if (!stream)
		return 0;
	while (count < max && (entry = readdir(stream))) {
		int length = snprintf(name, sizeof(name), "%s%s%s", below, *below ? "/" : "",
				      entry->d_name);
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    fstatat(dirfd(stream), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) ||
		    length >= COPIES_NAME_MAX)
			continue;
		if (S_ISDIR(status.st_mode) && levels > 0)
			count += list_folder(root, name, levels - 1, files + count, max - count);
		if (!S_ISREG(status.st_mode))
			continue;
		memcpy(files[count].name, name, (size_t)length + 1);
		files[count++].size = (uint64_t)status.st_size;
	}
	closedir(stream);
	return count;
}

size_t copies_list(const char *folder, struct copies_file *files, size_t max)
{
	return list_folder(folder, "", LEVELS_MAX, files, max);
}

uint64_t copies_bytes(struct copies *copies, uint32_t site, enum data_class data_class)
{
	struct copies_file *files = calloc(COPIES_FILES_MAX, sizeof(*files));
	char folder[COPIES_PATH_MAX];
	uint64_t bytes = 0;

	assert(files);
	copies_class_folder(copies, site, data_class, folder);
	size_t count = copies_list(folder, files, COPIES_FILES_MAX);
	for (size_t i = 0; i < count; i++)
		bytes += files[i].size;
	free(files);
	return bytes;
}

bool copies_is_foreign(const char *name)
{
	return strchr(name, '/') != NULL;
}

int copies_make_parents(const char *folder, const char *name, struct error *e)
{
	char path[2 * COPIES_PATH_MAX];

	for (const char *at = strchr(name, '/'); at; at = strchr(at + 1, '/')) {
		snprintf(path, sizeof(path), "%s/%.*s", folder, (int)(at - name), name);
		if (make_folder(path, e))
			return -1;
	}
	return 0;
}

static bool listed(const struct copies_file *files, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(files[i].name, name) == 0)
			return true;
	return false;
}

/* A whole file takes the place of another at once: whoever has it open goes on with the old one. */
static int replace(const char *from, const char *to, uint64_t size, struct error *e)
{
	char fresh[2 * COPIES_PATH_MAX + 8];

	snprintf(fresh, sizeof(fresh), "%s.new", to);
	if (copies_copy_range(from, fresh, 0, size, true, e))
		return -1;
	return rename(fresh, to) ? failed(e, "rename", fresh) : 0;
}

static int mirror_file(const struct copies_file *file, const char *from, const char *to, bool tail,
		       uint64_t *ret_bytes, struct error *e)
{
	char in[2 * COPIES_PATH_MAX], out[2 * COPIES_PATH_MAX];
	struct stat status;
	uint64_t have = 0;

	snprintf(in, sizeof(in), "%s/%s", from, file->name);
	snprintf(out, sizeof(out), "%s/%s", to, file->name);
	if (copies_make_parents(to, file->name, e))
		return -1;
	if (stat(out, &status) == 0)
		have = (uint64_t)status.st_size;
	if (tail && have >= file->size)
		return 0;
	*ret_bytes += file->size - (tail ? have : 0);
	return tail ? copies_copy_range(in, out, have, file->size, false, e)
		    : replace(in, out, file->size, e);
}

/* What is mirrored: all of a class, or `only` one folder of it. `own`: also what services keep. */
struct mirroring {
	const char *only;
	bool tail, own;
};

static bool belongs(const struct mirroring *how, const char *name)
{
	size_t length = how->only ? strlen(how->only) : 0;

	if (how->only)
		return strncmp(name, how->only, length) == 0 && name[length] == '/';
	return how->own || !copies_is_foreign(name);
}

static int mirror(struct copies *copies, uint32_t from, uint32_t to, enum data_class data_class,
		  const struct mirroring *how, uint64_t *ret_bytes, struct error *e)
{
	struct copies_file *files = calloc(MIRROR_FILES_MAX, sizeof(*files));
	struct copies_file *there = calloc(MIRROR_FILES_MAX, sizeof(*there));
	char in[COPIES_PATH_MAX], out[COPIES_PATH_MAX], path[2 * COPIES_PATH_MAX];
	int rc = -1;

	assert(files && there);
	copies_class_folder(copies, from, data_class, in);
	copies_class_folder(copies, to, data_class, out);
	size_t count = copies_list(in, files, MIRROR_FILES_MAX);
	/* Part of it is no copy, and what is not in the list would be removed at the other end. */
	if (count == MIRROR_FILES_MAX) {
		error_set(e, ERROR_LIMIT, NO_PLACE, "%s has %zu files or more", in, count);
		goto done;
	}
	for (size_t i = 0; i < count; i++) {
		if (copies_is_off(copies, from) || copies_is_off(copies, to)) {
			error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "a site lost its power");
			goto done;
		}
		if (belongs(how, files[i].name) &&
		    mirror_file(&files[i], in, out, how->tail, ret_bytes, e))
			goto done;
	}
	size_t had = how->tail ? 0 : copies_list(out, there, MIRROR_FILES_MAX);
	for (size_t i = 0; i < had; i++) {
		snprintf(path, sizeof(path), "%s/%s", out, there[i].name);
		if (belongs(how, there[i].name) && !listed(files, count, there[i].name))
			unlink(path);
	}
	rc = 0;
done:
	free(files);
	free(there);
	return rc;
}

/* Of a tail, nobody else may append to what a server of the user's keeps. */
int copies_mirror(struct copies *copies, uint32_t from, uint32_t to, enum data_class data_class,
		  bool tail, uint64_t *ret_bytes, struct error *e)
{
	const struct mirroring how = {.tail = tail, .own = !tail};

	return mirror(copies, from, to, data_class, &how, ret_bytes, e);
}

int copies_mirror_folder(struct copies *copies, uint32_t from, uint32_t to,
			 enum data_class data_class, const char *folder, struct error *e)
{
	const struct mirroring how = {.only = folder};
	uint64_t bytes = 0;

	return mirror(copies, from, to, data_class, &how, &bytes, e);
}

/* ---- what is there at time 0 ---- */

static int seed_class(struct copies *copies, uint32_t site, enum data_class c, struct error *e)
{
	const struct deployment *d = &copies->config.scenario->deployment;
	char folder[COPIES_PATH_MAX], path[2 * COPIES_PATH_MAX];

	copies_class_folder(copies, site, c, folder);
	if (c == DATA_MODEL) {
		for (uint32_t i = 0; i < d->endpoint_count; i++) {
			uint64_t size = d->endpoints[i].model_bytes;
			snprintf(path, sizeof(path), "%s/%s.weights", folder, d->endpoints[i].name);
			if (write_blocks(copies, path, 32 + i,
					 size > WEIGHTS_MIN ? size : WEIGHTS_MIN,
					 copies->digests[i], e))
				return -1;
		}
		return 0;
	}
	snprintf(path, sizeof(path), "%s/base", folder);
	if (!d->data[c].declared)
		return 0;
	return write_blocks(copies, path, copies_stream_of(c, "base"),
			    d->data[c].bytes / COPIES_BLOCK * COPIES_BLOCK, NULL, e);
}

static int seed_site(struct copies *copies, uint32_t site, struct error *e)
{
	const struct site *config = &copies->config.scenario->deployment.sites[site];
	bool primary = config->standby.heat == HEAT_NONE;
	char path[COPIES_PATH_MAX];

	snprintf(path, sizeof(path), "%.1000s/data", copies->sites[site].folder);
	if (make_folder(path, e))
		return -1;
	copies->sites[site].holds = primary ? 0 : config->standby.holds;
	for (int c = 0; c < DATA_CLASSES; c++) {
		bool has = primary || (config->standby.holds & DATA_BIT(c));
		bool declared = copies->config.scenario->deployment.data[c].declared;
		if (make_folder(copies_class_folder(copies, site, (enum data_class)c, path), e))
			return -1;
		if (has && seed_class(copies, site, (enum data_class)c, e))
			return -1;
		/* What is not declared is part of the image: it is there, and never moves. */
		bool ready = has && (primary || config->standby.heat == HEAT_HOT);
		if (!declared && c == DATA_MODEL && seed_class(copies, site, DATA_MODEL, e))
			return -1;
		if ((ready || !declared) &&
		    copies_mark_ready(copies, site, (enum data_class)c, true, e))
			return -1;
	}
	return 0;
}

int copies_open(const struct copies_config *config, struct copies **ret_copies, struct error *e)
{
	const struct deployment *d = &config->scenario->deployment;
	struct copies *copies = calloc(1, sizeof(*copies));

	assert(copies);
	copies->config = *config;
	copies->source = (uint32_t)d->site_count;
	pthread_mutex_init(&copies->lock, NULL);
	for (uint32_t s = 0; s < d->site_count; s++) {
		snprintf(copies->sites[s].folder, COPIES_PATH_MAX, "%.700s/%.200s", config->folder,
			 d->sites[s].name);
		if (copies->source == d->site_count && d->sites[s].standby.heat == HEAT_NONE)
			copies->source = s;
		if (seed_site(copies, s, e)) {
			copies_close(copies);
			return -1;
		}
	}
	*ret_copies = copies;
	return 0;
}

/* ---- power, fences, readiness ---- */

void copies_power(struct copies *copies, uint32_t site, bool on)
{
	pthread_mutex_lock(&copies->lock);
	copies->sites[site].off = !on;
	pthread_mutex_unlock(&copies->lock);
}

bool copies_is_off(struct copies *copies, uint32_t site)
{
	pthread_mutex_lock(&copies->lock);
	bool off = copies->sites[site].off;
	pthread_mutex_unlock(&copies->lock);
	return off;
}

uint32_t copies_source(struct copies *copies)
{
	pthread_mutex_lock(&copies->lock);
	uint32_t source = copies->source;
	pthread_mutex_unlock(&copies->lock);
	return source;
}

static int put_file(const char *path, bool there, struct error *e)
{
	int fd;

	if (!there)
		return unlink(path) && errno != ENOENT ? failed(e, "remove", path) : 0;
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return failed(e, "create", path);
	int rc = fsync(fd);
	close(fd);
	return rc ? failed(e, "write", path) : 0;
}

int copies_fence(struct copies *copies, uint32_t site, bool on, struct error *e)
{
	char path[COPIES_PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/fence", copies->sites[site].folder);
	return put_file(path, on, e);
}

bool copies_fenced(struct copies *copies, uint32_t site)
{
	char path[COPIES_PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/fence", copies->sites[site].folder);
	return access(path, F_OK) == 0;
}

int copies_mark_ready(struct copies *copies, uint32_t site, enum data_class data_class, bool ready,
		      struct error *e)
{
	char path[COPIES_PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/ready-%s", copies->sites[site].folder,
		 data_class_names[data_class]);
	return put_file(path, ready, e);
}

bool copies_is_ready(struct copies *copies, uint32_t site, enum data_class data_class)
{
	char path[COPIES_PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/ready-%s", copies->sites[site].folder,
		 data_class_names[data_class]);
	return access(path, F_OK) == 0;
}
