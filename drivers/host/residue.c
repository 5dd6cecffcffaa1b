/* SPDX-License-Identifier: Apache-2.0 */
/* What is left of a run. */
#include "drivers/host/residue.h"

#include <dirent.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/host/cgroup.h"
#include "drivers/host/process.h"
#include "drivers/host/undo.h"
#include "drivers/lazy/netlink.h"
#include "drivers/linux/dm_undo.h"

#define NAMESPACES "/run/netns"
#define NAME "drsim-"  /* what everything of ours that has a name begins with */
#define TABLE "drsim_" /* but nft's names have no dash (nft.c) */

struct scan {
	const struct journal *journal;
	struct arena *arena;
	const char **texts;
	size_t count, capacity;
	const char *name; /* drsim-RUN */
};

static void add(struct scan *scan, const char *what, const char *which)
{
	scan->texts = arena_grow(scan->arena, scan->texts, scan->count, &scan->capacity,
				 sizeof(*scan->texts));
	if (scan->count == RESIDUE_TEXTS_MAX)
		scan->texts[scan->count++] = "and more";
	if (scan->count < RESIDUE_TEXTS_MAX)
		scan->texts[scan->count++] = arena_printf(scan->arena, "%s %s", what, which);
}

/* ---- processes, and what is mounted for them ---- */

/* As a list of mounts has it. */
static const char *escape(const char *path, struct arena *arena)
{
	char *text = arena_alloc(arena, 4 * strlen(path) + 1), *to = text;

	for (; *path; path++)
		if (strchr(" \t\n\\", *path))
			to += snprintf(to, 5, "\\%03o", (unsigned)*path);
		else
			*to++ = *path;
	return text;
}

static void find_mounts(struct scan *scan, const struct process *process)
{
	const char *work =
		arena_printf(scan->arena, " %s", escape(scan->journal->work, scan->arena));
	char path[64], *text;

	snprintf(path, sizeof(path), "/proc/%ld/mountinfo", (long)process->pid);
	text = process_read_text(path, scan->arena);
	for (char *line; (line = strsep(&text, "\n")) != NULL;) {
		const char *at = strstr(line, work);
		char end = at ? at[strlen(work)] : '\0';

		if (end == ' ' || end == '/')
			add(scan, "mount",
			    arena_printf(scan->arena, "%.*s of process %ld (%s)",
					 (int)strcspn(at + 1, " "), at + 1, (long)process->pid,
					 process->name));
	}
}

/* One process of each mount namespace tells for all in it. */
struct seen {
	ino_t *items;
	size_t count, capacity;
};

static bool is_new_namespace(struct scan *scan, struct seen *seen, pid_t pid)
{
	char path[64];
	struct stat status;

	snprintf(path, sizeof(path), "/proc/%ld/ns/mnt", (long)pid);
	if (stat(path, &status))
		return false;
	for (size_t i = 0; i < seen->count; i++)
		if (seen->items[i] == status.st_ino)
			return false;
	seen->items = arena_grow(scan->arena, seen->items, seen->count, &seen->capacity,
				 sizeof(*seen->items));
	seen->items[seen->count++] = status.st_ino;
	return true;
}

static void find_processes(struct scan *scan)
{
	const char *mark = arena_printf(scan->arena, "DRSIM_RUN=%s", scan->journal->run);
	struct seen seen = {0};
	struct process *list;
	size_t count = process_list(scan->arena, &list);

	for (size_t i = 0; i < count; i++) {
		const struct process *one = &list[i];

		if (one->state == 'Z' || one->state == 'X')
			continue;
		if (one->pid != getpid() && process_carries(one->pid, mark))
			add(scan, "process",
			    arena_printf(scan->arena, "%ld (%s)", (long)one->pid, one->name));
		if (scan->journal->work && is_new_namespace(scan, &seen, one->pid))
			find_mounts(scan, one);
	}
}

static void add_cgroup(void *self, const char *path)
{
	add(self, "cgroup", path);
}

static void add_disk(void *self, const char *what, const char *which)
{
	add(self, what, which);
}

/* ---- network: nothing is made in the host's own, so anything of our name is too much ---- */

static void find_links(struct scan *scan)
{
	struct if_nameindex *links = if_nameindex();

	for (size_t i = 0; links && links[i].if_index != 0; i++)
		if (strncmp(links[i].if_name, NAME, strlen(NAME)) == 0)
			add(scan, "network link", links[i].if_name);
	if (links)
		if_freenameindex(links);
}

static void find_named_namespaces(struct scan *scan)
{
	DIR *dir = opendir(NAMESPACES);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)) != NULL)
		if (strncmp(entry->d_name, scan->name, strlen(scan->name)) == 0)
			add(scan, "network namespace", entry->d_name);
	if (dir)
		closedir(dir);
}

static int on_table(struct nl_msg *message, void *self)
{
	struct nlattr *name =
		nlmsg_find_attr(nlmsg_hdr(message), sizeof(struct nfgenmsg), NFTA_TABLE_NAME);

	if (name && strncmp(nla_get_string(name), TABLE, strlen(TABLE)) == 0)
		add(self, "nft table", nla_get_string(name));
	return NL_OK;
}

/* Whoever may not ask, or has no library to ask with, cannot have made one either. */
static void find_tables(struct scan *scan)
{
	struct nfgenmsg ask = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0};
	struct nl_sock *socket;

	if (lazy_netlink_open(NULL))
		return;
	socket = nl_socket_alloc();
	if (!socket)
		return;
	nl_socket_disable_seq_check(socket);
	nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_CUSTOM, on_table, scan);
	if (nl_connect(socket, NETLINK_NETFILTER) == 0 &&
	    nl_send_simple(socket, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE,
			   NLM_F_REQUEST | NLM_F_DUMP, &ask, sizeof(ask)) >= 0)
		nl_recvmsgs_default(socket);
	nl_socket_free(socket);
}

/* ---- files ---- */

/* Is the file as it was? One that was restored and then written by its own owner is no residue. */
static const char *compare(const struct undo *undo)
{
	char digest[JOURNAL_DIGEST_MAX] = "";
	struct stat status;
	uint64_t bytes = 0;

	if (undo->pid != 0 && !process_lives(undo->pid, undo->start))
		return NULL;
	if (lstat(undo->path, &status))
		return undo->done ? NULL : "is gone";
	if (undo->done &&
	    (status.st_mtim.tv_sec != undo->mtime_s || status.st_mtim.tv_nsec != undo->mtime_ns))
		return NULL;
	if (undo_digest(undo->path, digest, &bytes, NULL) || bytes != undo->bytes ||
	    strcmp(digest, undo->digest) != 0)
		return "is changed";
	if ((status.st_mode & 07777) != undo->mode)
		return "has another mode";
	if (geteuid() == 0 && (status.st_uid != undo->uid || status.st_gid != undo->gid))
		return "has another owner";
	return NULL;
}

static void find_files(struct scan *scan)
{
	const struct journal *journal = scan->journal;
	struct stat status;

	if (journal->work && lstat(journal->work, &status) == 0)
		add(scan, "folder", journal->work);
	for (size_t i = 0; i < journal->count; i++) {
		const struct undo *undo = &journal->records[i];
		const char *why = NULL;

		if (undo->kind == UNDO_FILE)
			why = compare(undo);
		else if ((undo->kind == UNDO_REMOVE && !undo->done &&
			  lstat(undo->path, &status) == 0) ||
			 (undo->kind == UNDO_RENAME && lstat(undo->from, &status) == 0))
			why = "is not undone";
		if (why)
			add(scan, "file", arena_printf(scan->arena, "%s %s", undo->path, why));
	}
}

size_t residue_scan(const struct journal *journal, const char ***ret_texts)
{
	struct scan scan = {
		.journal = journal,
		.arena = journal->arena,
		.name = arena_printf(journal->arena, NAME "%s", journal->run),
	};

	find_processes(&scan);
	cgroup_find(scan.name, scan.arena, add_cgroup, &scan);
	find_named_namespaces(&scan);
	find_links(&scan);
	find_tables(&scan);
	dm_find(journal, add_disk, &scan);
	find_files(&scan);
	scan.texts =
		arena_grow(scan.arena, scan.texts, scan.count, &scan.capacity, sizeof(*scan.texts));
	scan.texts[scan.count] = NULL;
	*ret_texts = scan.texts;
	return scan.count;
}
