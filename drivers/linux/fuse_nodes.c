/* SPDX-License-Identifier: Apache-2.0 */
/* The nodes of a layer: files and folders that the kernel knows by a number. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/linux/fuse_private.h"

#define BUCKETS_FIRST 1024
#define OPEN_MIN 64
#define OPEN_MAX 2048 /* descriptors of nodes at a time */
#define OPEN_SHARE 8  /* of all that this process may have */
#define ROOT FUSE_ROOT_ID

static size_t bucket_of(const struct fuse_nodes *nodes, struct fuse_ident ident)
{
	return (ident.inode ^ ident.device * UINT64_C(0x9e3779b97f4a7c15)) % nodes->bucket_count;
}

int nodes_open(struct fuse_nodes *nodes, int below)
{
	struct rlimit limit;
	struct stat status;

	if (fstat(below, &status))
		return errno;
	*nodes = (struct fuse_nodes){
		.root = {.ident = lost_ident(&status), .fd = below, .lookups = 1, .gone = true},
		.buckets = calloc(BUCKETS_FIRST, sizeof(struct fuse_node *)),
		.bucket_count = BUCKETS_FIRST,
		.open_max = OPEN_MAX,
		.epoch = 1,
	};
	if (!nodes->buckets)
		return ENOMEM;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / OPEN_SHARE < OPEN_MAX)
		nodes->open_max = limit.rlim_cur / OPEN_SHARE;
	if (nodes->open_max < OPEN_MIN)
		nodes->open_max = OPEN_MIN;
	return 0;
}

struct fuse_node *nodes_at(struct fuse_nodes *nodes, uint64_t number)
{
	return number == ROOT ? &nodes->root : (struct fuse_node *)(uintptr_t)number;
}

uint64_t nodes_number(const struct fuse_nodes *nodes, const struct fuse_node *node)
{
	return node == &nodes->root ? ROOT : (uint64_t)(uintptr_t)node;
}

/* ---- descriptors, the oldest of which is closed when there are too many ---- */

static void unlist(struct fuse_nodes *nodes, struct fuse_node *node)
{
	if (node->newer)
		node->newer->older = node->older;
	else
		nodes->newest = node->older;
	if (node->older)
		node->older->newer = node->newer;
	else
		nodes->oldest = node->newer;
	node->newer = node->older = NULL;
}

static void list_newest(struct fuse_nodes *nodes, struct fuse_node *node)
{
	node->older = nodes->newest;
	node->newer = NULL;
	if (nodes->newest)
		nodes->newest->newer = node;
	else
		nodes->oldest = node;
	nodes->newest = node;
}

static void close_fd(struct fuse_nodes *nodes, struct fuse_node *node)
{
	if (node->fd < 0)
		return;
	if (!node->gone)
		unlist(nodes, node);
	close(node->fd);
	node->fd = -1;
	nodes->open_count--;
}

static void give_fd(struct fuse_nodes *nodes, struct fuse_node *node, int fd)
{
	while (nodes->open_count >= nodes->open_max && nodes->oldest)
		close_fd(nodes, nodes->oldest);
	node->fd = fd;
	nodes->open_count++;
	if (!node->gone)
		list_newest(nodes, node);
}

int nodes_fd(struct fuse_nodes *nodes, struct fuse_node *node)
{
	struct stat status;
	int parent, fd;

	if (node->fd >= 0) {
		if (!node->gone && node != nodes->newest) {
			unlist(nodes, node);
			list_newest(nodes, node);
		}
		return node->fd;
	}
	parent = node->parent ? nodes_fd(nodes, node->parent) : -1;
	if (parent < 0) {
		errno = ESTALE;
		return -1;
	}
	fd = openat(parent, node->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(fd, &status) || status.st_ino != node->ident.inode ||
	    status.st_dev != node->ident.device) {
		close(fd);
		errno = ESTALE;
		return -1;
	}
	give_fd(nodes, node, fd);
	return fd;
}

/* ---- nodes ---- */

static void grow(struct fuse_nodes *nodes)
{
	size_t old_count = nodes->bucket_count;
	struct fuse_node **old = nodes->buckets, **grown = calloc(2 * old_count, sizeof(void *));

	if (!grown)
		return; /* slower, and right */
	nodes->buckets = grown;
	nodes->bucket_count = 2 * old_count;
	for (size_t i = 0; i < old_count; i++)
		while (old[i]) {
			struct fuse_node *node = old[i];
			size_t bucket = bucket_of(nodes, node->ident);

			old[i] = node->next;
			node->next = grown[bucket];
			grown[bucket] = node;
		}
	free(old);
}

static struct fuse_node *find(struct fuse_nodes *nodes, struct fuse_ident ident)
{
	struct fuse_node *node = nodes->buckets[bucket_of(nodes, ident)];

	if (ident.inode == nodes->root.ident.inode && ident.device == nodes->root.ident.device)
		return &nodes->root;
	while (node && (node->ident.inode != ident.inode || node->ident.device != ident.device))
		node = node->next;
	return node;
}

static void unhash(struct fuse_nodes *nodes, struct fuse_node *node)
{
	struct fuse_node **at = &nodes->buckets[bucket_of(nodes, node->ident)];

	while (*at && *at != node)
		at = &(*at)->next;
	if (*at)
		*at = node->next;
}

/* Nobody knows it any more: it goes, and its parent perhaps with it. */
static void drop_unused(struct fuse_nodes *nodes, struct fuse_node *node)
{
	while (node && node != &nodes->root && node->lookups == 0 && node->children == 0) {
		struct fuse_node *parent = node->parent;

		unhash(nodes, node);
		close_fd(nodes, node);
		nodes->count--;
		free(node->name);
		free(node);
		if (parent)
			parent->children--;
		node = parent;
	}
}

/* What a node is called is known from the last time it was looked up. */
static int call(struct fuse_nodes *nodes, struct fuse_node *node, struct fuse_node *parent,
		const char *name)
{
	struct fuse_node *old = node->parent;
	char *copy;

	if (old == parent && node->name && strcmp(node->name, name) == 0)
		return 0;
	for (const struct fuse_node *up = parent; up; up = up->parent)
		if (up == node)
			return ELOOP;
	copy = strdup(name);
	if (!copy)
		return ENOMEM;
	free(node->name);
	node->name = copy;
	node->parent = parent;
	parent->children++;
	/* All that lies in it has another path too. */
	nodes->epoch += old != NULL;
	if (old) {
		old->children--;
		drop_unused(nodes, old);
	}
	return 0;
}

static struct fuse_node *make(struct fuse_nodes *nodes, struct fuse_ident ident)
{
	struct fuse_node *node = calloc(1, sizeof(*node));
	size_t bucket;

	if (!node)
		return NULL;
	if (nodes->count >= nodes->bucket_count)
		grow(nodes);
	bucket = bucket_of(nodes, ident);
	node->ident = ident;
	node->fd = -1;
	node->next = nodes->buckets[bucket];
	nodes->buckets[bucket] = node;
	nodes->count++;
	return node;
}

int nodes_lookup(struct fuse_nodes *nodes, struct fuse_node *parent, const char *name,
		 struct stat *ret_status, struct fuse_node **ret)
{
	int folder = nodes_fd(nodes, parent), fd, rc;
	struct fuse_node *node;

	if (folder < 0)
		return errno;
	fd = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno;
	if (fstat(fd, ret_status)) {
		rc = errno;
		close(fd);
		return rc;
	}
	node = find(nodes, lost_ident(ret_status));
	if (!node)
		node = make(nodes, lost_ident(ret_status));
	if (!node) {
		close(fd);
		return ENOMEM;
	}
	if (node->fd < 0)
		give_fd(nodes, node, fd);
	else
		close(fd);
	node->lookups++;
	rc = node == &nodes->root ? 0 : call(nodes, node, parent, name);
	if (rc)
		nodes_forget(nodes, node, 1);
	else
		*ret = node;
	return rc;
}

void nodes_forget(struct fuse_nodes *nodes, struct fuse_node *node, uint64_t lookups)
{
	if (node == &nodes->root)
		return;
	assert(node->lookups >= lookups);
	node->lookups -= lookups;
	drop_unused(nodes, node);
}

void nodes_unname(struct fuse_nodes *nodes, struct fuse_node *parent, const char *name)
{
	struct fuse_node *node;
	struct stat status;
	int folder = nodes_fd(nodes, parent);

	if (folder < 0 || fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW))
		return;
	node = find(nodes, lost_ident(&status));
	/* One with other links is looked up by them. */
	if (!node || node == &nodes->root || node->gone ||
	    (!S_ISDIR(status.st_mode) && status.st_nlink > 1) || nodes_fd(nodes, node) < 0)
		return;
	unlist(nodes, node);
	node->gone = true;
}

void nodes_renamed(struct fuse_nodes *nodes, struct fuse_node *parent, const char *name)
{
	struct fuse_node *node;
	struct stat status;
	int folder = nodes_fd(nodes, parent);

	if (folder < 0 || fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW))
		return;
	node = find(nodes, lost_ident(&status));
	if (node && node != &nodes->root)
		call(nodes, node, parent, name);
}

bool nodes_path(const struct fuse_nodes *nodes, const struct fuse_node *node, const char *name,
		char ret[FUSE_PATH_MAX])
{
	char reversed[FUSE_PATH_MAX];
	size_t at = FUSE_PATH_MAX - 1, length;

	reversed[at] = '\0';
	for (;;) {
		if (name) {
			length = strlen(name);
			if (length + 1 > at)
				return false;
			if (reversed[at] != '\0')
				reversed[--at] = '/';
			at -= length;
			memcpy(reversed + at, name, length);
		}
		if (node == &nodes->root || !node)
			break;
		name = node->name;
		node = node->parent;
	}
	memcpy(ret, reversed + at, FUSE_PATH_MAX - at);
	return true;
}

void nodes_close(struct fuse_nodes *nodes)
{
	for (size_t i = 0; i < nodes->bucket_count && nodes->buckets; i++)
		while (nodes->buckets[i]) {
			struct fuse_node *node = nodes->buckets[i];

			nodes->buckets[i] = node->next;
			if (node->fd >= 0)
				close(node->fd);
			free(node->name);
			free(node);
		}
	free(nodes->buckets);
	*nodes = (struct fuse_nodes){.root.fd = -1};
}
