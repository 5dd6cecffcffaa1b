/* SPDX-License-Identifier: Apache-2.0 */
/* A layer over a folder: made, mounted, told what to break, and taken away. */
#include "drivers/linux/fuse.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/host/machine_private.h"
#include "drivers/linux/disk.h"
#include "drivers/linux/fuse_private.h"
#include "drivers/linux/mounts.h"

#define BUFFER ((size_t)(1 << 20) + (64 << 10)) /* the longest message, and its head */
#define WAIT (5 * NANOS_S)                      /* for the serving thread */
#define TYPE "fuse.drsim"
#define FLAGS (MS_NOSUID | MS_NODEV)
#define CONNECTIONS "/sys/fs/fuse/connections"

/* ---- by the serving thread ---- */

static int fail(struct error *e, const struct fuse_layer *layer, const char *what)
{
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "layer %s: cannot %s: %s", layer->name,
			 what, strerror(errno));
}

static int make_superblock(struct fuse_layer *layer, struct error *e)
{
	char device[16], user[16], group[16];

	layer->context = mounts_open("fuse");
	if (layer->context < 0 && errno == EPERM && mounts_enter() == 0)
		layer->context = mounts_open("fuse");
	if (layer->context < 0)
		return fail(e, layer, "make a FUSE file system");
	snprintf(device, sizeof(device), "%d", layer->device);
	snprintf(user, sizeof(user), "%u", layer->user);
	snprintf(group, sizeof(group), "%u", layer->group);
	if (mounts_set(layer->context, "source", layer->name) ||
	    mounts_set(layer->context, "subtype", "drsim") ||
	    mounts_set(layer->context, "fd", device) ||
	    mounts_set(layer->context, "rootmode", "40000") ||
	    mounts_set(layer->context, "user_id", user) ||
	    mounts_set(layer->context, "group_id", group) ||
	    mounts_set(layer->context, "default_permissions", NULL) ||
	    mounts_set(layer->context, "allow_other", NULL) || mounts_create(layer->context))
		return fail(e, layer, "make a FUSE file system");
	layer->mount = mounts_nowhere(layer->context);
	return layer->mount < 0 ? fail(e, layer, "mount it") : 0;
}

int fuse_layer_begin(struct fuse_layer *layer, struct error *e)
{
	char name[] = "drsim", device[FUSE_LINE_MAX], *argv[] = {name, NULL};
	struct fuse_args args = {.argc = 1, .argv = argv};

	layer->device = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (layer->device < 0)
		return fail(e, layer, "open /dev/fuse");
	layer->session = fuse_session_new(&args, &fuse_operations, sizeof(fuse_operations), layer);
	/* It copies them to add some. */
	fuse_opt_free_args(&args);
	snprintf(device, sizeof(device), "/dev/fd/%d", layer->device);
	if (!layer->session || fuse_session_mount(layer->session, device)) {
		errno = ENOTSUP;
		return fail(e, layer, "begin a FUSE session");
	}
	if (make_superblock(layer, e))
		return -1;
	snprintf(layer->above_path, sizeof(layer->above_path), "/proc/%ld/fd/%d", (long)getpid(),
		 layer->mount);
	snprintf(layer->options, sizeof(layer->options),
		 "fd=%d,rootmode=40000,user_id=%u,group_id=%u,default_permissions,allow_other",
		 layer->device, layer->user, layer->group);
	pthread_mutex_lock(&layer->lock);
	layer->ready = true;
	pthread_cond_broadcast(&layer->changed);
	pthread_mutex_unlock(&layer->lock);
	return 0;
}

/* ---- begin ---- */

static void close_at(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* All that is left when the thread has ended. */
static void release(struct fuse_layer *layer)
{
	while (layer->held) {
		struct fuse_held *held = layer->held;

		layer->held = held->next;
		free(held);
	}
	while (layer->handles)
		fuse_handle_close(layer->handles);
	/* The session closes its device: then the kernel ends what waits. */
	if (layer->session)
		fuse_session_destroy(layer->session);
	else
		close_at(&layer->device);
	layer->session = NULL;
	layer->device = -1;
	lost_forget_all(&layer->lost);
	torn_forget(&layer->torn);
	nodes_close(&layer->nodes);
	close_at(&layer->mount);
	close_at(&layer->context);
	close_at(&layer->wake);
	close_at(&layer->wanted);
	close_at(&layer->below);
	pthread_cond_destroy(&layer->changed);
	pthread_mutex_destroy(&layer->lock);
}

static struct fuse_layer *prepare(const struct fuse_layer_config *config, struct arena *arena)
{
	struct fuse_layer *layer = arena_alloc(arena, sizeof(*layer));
	pthread_condattr_t attributes;

	layer->arena = arena;
	layer->name = arena_strdup(arena, config->name);
	layer->mapped = config->mapped ? arena_strdup(arena, config->mapped) : NULL;
	layer->device = layer->context = layer->mount = layer->torn.fd = -1;
	layer->user = geteuid();
	layer->group = getegid();
	layer->rules.seed = config->seed;
	layer->buffer_size = BUFFER;
	layer->buffer = arena_alloc(arena, BUFFER);
	layer->answer = arena_alloc(arena, BUFFER);
	layer->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	layer->wanted = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&layer->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&layer->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	layer->below = config->below ? open(config->below, O_PATH | O_DIRECTORY | O_CLOEXEC)
				     : config->below_fd;
	snprintf(layer->below_path, sizeof(layer->below_path), "/proc/%ld/fd/%d", (long)getpid(),
		 layer->below);
	return layer;
}

/* With the lock. false: the time is over. */
static bool wait_changed(struct fuse_layer *layer, const struct timespec *until)
{
	return pthread_cond_timedwait(&layer->changed, &layer->lock, until) == 0;
}

static struct timespec deadline(void)
{
	nanos until = process_now() + WAIT;

	return (struct timespec){.tv_sec = until / NANOS_S, .tv_nsec = until % NANOS_S};
}

/* No signal of this process is for the thread. */
static int start_thread(struct fuse_layer *layer, struct error *e)
{
	struct timespec until = deadline();
	sigset_t all, old;
	bool ready;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&layer->thread, NULL, fuse_serve, layer);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc) {
		errno = rc;
		return fail(e, layer, "start a thread");
	}
	layer->has_thread = true;
	pthread_mutex_lock(&layer->lock);
	while (!layer->ready && !layer->ended && wait_changed(layer, &until))
		;
	ready = layer->ready && !layer->ended;
	if (layer->ended)
		error_set(e, layer->failure.kind ? layer->failure.kind : ERROR_UNAVAILABLE,
			  NO_PLACE, "%s", layer->failure.text);
	pthread_mutex_unlock(&layer->lock);
	return ready ? 0 : error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "it does not begin");
}

int fuse_layer_open(const struct fuse_layer_config *config, struct arena *arena,
		    struct fuse_layer **ret_layer, struct error *e)
{
	struct fuse_layer *layer;
	struct stat status;
	int rc;

	if (lazy_fuse_open(e)) {
		if (!config->below && config->below_fd >= 0)
			close(config->below_fd);
		return -1;
	}
	layer = prepare(config, arena);
	if (layer->below < 0) {
		rc = fail(e, layer, "open the folder below");
	} else if (layer->wake < 0 || layer->wanted < 0) {
		rc = fail(e, layer, "make an eventfd");
	} else {
		errno = nodes_open(&layer->nodes, layer->below);
		rc = errno ? fail(e, layer, "look at the folder below") : start_thread(layer, e);
	}
	if (rc == 0 && config->cpu >= 0)
		rc = fuse_layer_pin(layer, config->cpu, e);
	/* The kernel begins by itself: a first question shows that both understand each other. */
	if (rc == 0 && stat(layer->above_path, &status))
		rc = fail(e, layer, "use it");
	if (rc) {
		fuse_layer_close(layer, NULL);
		return -1;
	}
	*ret_layer = layer;
	return 0;
}

int fuse_layer_pin(struct fuse_layer *layer, int cpu, struct error *e)
{
	cpu_set_t set_of;

	CPU_ZERO(&set_of);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (cpu < 0 || i == cpu)
			CPU_SET(i, &set_of);
	errno = pthread_setaffinity_np(layer->thread, sizeof(set_of), &set_of);
	return errno ? fail(e, layer, "pin its thread") : 0;
}

const char *fuse_layer_below(const struct fuse_layer *layer)
{
	return layer->below_path;
}

const char *fuse_layer_above(const struct fuse_layer *layer)
{
	return layer->above_path;
}

/* ---- mounting ---- */

struct machine_mount fuse_layer_machine(const struct fuse_layer *layer, const char *path)
{
	return (struct machine_mount){
		.source = layer->name,
		.path = path,
		.type = TYPE,
		.options = layer->options,
		.flags = FLAGS,
	};
}

int fuse_layer_mount(struct fuse_layer *layer, const char *path, struct journal *journal,
		     struct error *e)
{
	/* By this source the undo knows that the mount is ours. */
	const char *source = arena_printf(layer->arena, "drsim-%s", journal->run);
	struct undo undo = {.kind = UNDO_UNMOUNT, .path = path, .from = UNDO_LAYER};

	assert(!layer->mounted);
	if (journal_add(journal, &undo, e))
		return -1;
	layer->journal = journal;
	layer->unmount_record = undo.number;
	layer->mounted_at = arena_strdup(layer->arena, path);
	if (mount(source, path, TYPE, FLAGS, layer->options)) {
		fail(e, layer, "mount it there");
		journal_done(journal, undo.number, NULL);
		return -1;
	}
	layer->mounted = true;
	return 0;
}

int fuse_layer_abort(uint64_t device, struct error *e)
{
	char path[96];
	int fd, rc;

	snprintf(path, sizeof(path), CONNECTIONS "/%u/abort", minor((dev_t)device));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	rc = fd >= 0 && write(fd, "1", 1) == 1 ? 0 : -1;
	if (rc)
		error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot write %s: %s", path,
			  strerror(errno));
	if (fd >= 0)
		close(fd);
	return rc;
}

/* ---- orders to the thread ---- */

static void wake(const struct fuse_layer *layer)
{
	const uint64_t one = 1;

	/* EAGAIN: it is awake for so many reasons already. */
	while (write(layer->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* With the lock: waits until what was changed is in force. */
static int await(struct fuse_layer *layer, struct error *e)
{
	uint64_t wanted = atomic_load(&layer->generation);
	struct timespec until = deadline();

	wake(layer);
	while (layer->adopted < wanted && !layer->ended)
		if (!wait_changed(layer, &until))
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
					 "layer %s: its folder does not answer", layer->name);
	if (layer->ended)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "layer %s: its connection was ended", layer->name);
	return 0;
}

/* With the lock. The number's slot, or NULL. */
static struct fuse_slot *slot_of(const struct fuse_layer *layer, uint32_t number)
{
	for (size_t i = 0; i < FUSE_FAULTS_MAX && number > 0; i++)
		if (layer->slots[i].number == number)
			return (struct fuse_slot *)(uintptr_t)&layer->slots[i];
	return NULL;
}

/* With the lock. The one that has been free for the longest time. */
static struct fuse_slot *free_slot(struct fuse_layer *layer)
{
	struct fuse_slot *found = NULL;

	for (size_t i = 0; i < FUSE_FAULTS_MAX; i++) {
		struct fuse_slot *slot = &layer->slots[i];

		if (!slot->stands && (!found || slot->number < found->number))
			found = slot;
	}
	return found;
}

static int put(struct fuse_layer *layer, const struct fuse_fault *fault, uint32_t *number,
	       struct error *e)
{
	struct fuse_slot *slot = *number > 0 ? slot_of(layer, *number) : free_slot(layer);

	if (!slot)
		return *number > 0 ? error_set(e, ERROR_USAGE, NO_PLACE,
					       "layer %s: fault %u is not known any more",
					       layer->name, *number)
				   : error_set(e, ERROR_LIMIT, NO_PLACE,
					       "layer %s: more than %d faults at a time",
					       layer->name, FUSE_FAULTS_MAX);
	if (*number == 0) {
		slot->number = ++layer->numbers;
		atomic_store(&slot->tally.matched, 0);
		atomic_store(&slot->tally.acted, 0);
		atomic_store(&slot->tally.bits, 0);
		atomic_store(&slot->tally.delayed, 0);
	}
	slot->fault = *fault;
	snprintf(slot->path, sizeof(slot->path), "%s", fault->path ? fault->path : "");
	slot->fault.path = slot->path;
	slot->stands = true;
	atomic_store(&slot->renewed, process_now());
	slot->change = atomic_fetch_add(&layer->generation, 1) + 1;
	*number = slot->number;
	return await(layer, e);
}

int fuse_layer_set(struct fuse_layer *layer, const struct fuse_fault *fault, uint32_t *number,
		   struct error *e)
{
	int rc;

	if (fuse_fault_check(fault, e))
		return -1;
	pthread_mutex_lock(&layer->lock);
	rc = put(layer, fault, number, e);
	pthread_mutex_unlock(&layer->lock);
	return rc;
}

int fuse_layer_end(struct fuse_layer *layer, uint32_t number, struct error *e)
{
	struct fuse_slot *slot;
	int rc = 0;

	pthread_mutex_lock(&layer->lock);
	slot = slot_of(layer, number);
	if (slot && slot->stands) {
		slot->stands = false;
		atomic_fetch_add(&layer->generation, 1);
		/* Where nothing is served any more nothing is broken either. */
		rc = layer->ended ? 0 : await(layer, e);
	}
	pthread_mutex_unlock(&layer->lock);
	return rc;
}

void fuse_layer_renew(struct fuse_layer *layer, uint32_t number)
{
	struct fuse_slot *slot;

	pthread_mutex_lock(&layer->lock);
	slot = slot_of(layer, number);
	if (slot)
		atomic_store(&slot->renewed, process_now());
	pthread_mutex_unlock(&layer->lock);
}

/* ---- readings ---- */

bool fuse_layer_stands(const struct fuse_layer *layer, uint32_t number)
{
	struct fuse_layer *mutable = (struct fuse_layer *)(uintptr_t)layer;
	const struct fuse_slot *slot;
	bool stands;

	pthread_mutex_lock(&mutable->lock);
	slot = slot_of(layer, number);
	stands = slot && slot->stands && !layer->ended;
	pthread_mutex_unlock(&mutable->lock);
	return stands;
}

void fuse_layer_counts(const struct fuse_layer *layer, uint32_t number, struct fuse_counts *ret)
{
	struct fuse_layer *mutable = (struct fuse_layer *)(uintptr_t)layer;
	const struct fuse_slot *slot;

	*ret = (struct fuse_counts){0};
	pthread_mutex_lock(&mutable->lock);
	slot = slot_of(layer, number);
	if (slot)
		*ret = (struct fuse_counts){
			.matched = atomic_load(&slot->tally.matched),
			.acted = atomic_load(&slot->tally.acted),
			.bits = atomic_load(&slot->tally.bits),
			.delayed = atomic_load(&slot->tally.delayed),
		};
	pthread_mutex_unlock(&mutable->lock);
}

uint64_t fuse_layer_operations(const struct fuse_layer *layer, enum fuse_method method)
{
	return atomic_load(&layer->operations[method]);
}

uint32_t fuse_layer_held(const struct fuse_layer *layer)
{
	return atomic_load(&layer->held_count);
}

bool fuse_layer_crashes(const struct fuse_layer *layer)
{
	return atomic_load(&layer->crashes);
}

int fuse_layer_crash_fd(const struct fuse_layer *layer)
{
	return layer->wanted;
}

int fuse_layer_crash(struct fuse_layer *layer, struct fuse_loss *ret, struct error *e)
{
	int rc = 0;

	pthread_mutex_lock(&layer->lock);
	layer->order = FUSE_ORDER_CRASH;
	wake(layer);
	/* However much has to be put back: until it is there is no going on. */
	while (layer->order == FUSE_ORDER_CRASH && !layer->ended)
		pthread_cond_wait(&layer->changed, &layer->lock);
	if (layer->ended)
		rc = error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "layer %s: its connection was ended",
			       layer->name);
	else
		*ret = layer->loss;
	pthread_mutex_unlock(&layer->lock);
	return rc;
}

/* ---- end ---- */

int fuse_layer_close(struct fuse_layer *layer, struct error *e)
{
	int rc = 0;

	if (layer->mounted) {
		if (umount2(layer->mounted_at, MNT_DETACH | UMOUNT_NOFOLLOW) && errno != EINVAL)
			rc = fail(e, layer, "unmount it");
		else
			rc = journal_done(layer->journal, layer->unmount_record, e);
		layer->mounted = false;
	}
	if (layer->has_thread) {
		pthread_mutex_lock(&layer->lock);
		layer->order = FUSE_ORDER_STOP;
		wake(layer);
		pthread_mutex_unlock(&layer->lock);
		pthread_join(layer->thread, NULL);
		layer->has_thread = false;
	}
	release(layer);
	return rc;
}

/* ---- can it be done here? ---- */

/* In a child: a layer over a disk that nobody else sees, one file written and read through it. */
static int try_it(struct error *e)
{
	static const char text[] = "drsim";
	struct arena arena = {0};
	struct fuse_layer *layer;
	struct fuse_layer_config config = {.name = "drsim-probe", .cpu = -1};
	char path[FUSE_LINE_MAX + 16], read_back[sizeof(text)] = "";
	int fd, rc = -1;

	/* Without root in a user namespace of its own, as machines are. */
	if (geteuid() != 0 && machine_enter_user(e))
		return -1;
	if (disk_make((struct disk_limits){.bytes = 1 << 20}, &config.below_fd, e) ||
	    fuse_layer_open(&config, &arena, &layer, e))
		return -1;
	snprintf(path, sizeof(path), "%s/probe", fuse_layer_above(layer));
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || pwrite(fd, text, sizeof(text), 0) != sizeof(text) ||
	    pread(fd, read_back, sizeof(text), 0) != sizeof(text) || strcmp(text, read_back) != 0)
		error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "a file on it cannot be used: %s",
			  strerror(errno));
	/* As machines do: the same one again, in other mount namespaces. Linux 5.15 has that. */
	else if (mounts_enter() || mount(layer->name, "/proc", TYPE, FLAGS, layer->options) ||
		 access("/proc/probe", R_OK))
		error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "it cannot be mounted twice: %s",
			  strerror(errno));
	else
		rc = 0;
	if (fd >= 0)
		close(fd);
	fuse_layer_close(layer, NULL);
	arena_free(&arena);
	return rc;
}

bool fuse_layer_probe(struct arena *arena, const char **ret_why)
{
	struct error error = {0};
	char text[ERROR_TEXT_MAX] = "";
	struct pollfd answer = {.events = POLLIN};
	int said[2], status = 0;
	ssize_t got;
	pid_t pid;

	*ret_why = "no process can be started";
	if (lazy_fuse_open(&error)) {
		*ret_why = arena_strdup(arena, error.text);
		return false;
	}
	if (pipe2(said, O_CLOEXEC))
		return false;
	pid = fork();
	if (pid == 0) {
		int rc = try_it(&error);

		if (write(said[1], error.text, strlen(error.text)) < 0)
			_exit(2);
		_exit(rc ? 1 : 0);
	}
	answer.fd = said[0];
	close(said[1]);
	got = poll(&answer, 1, WAIT / NANOS_MS) == 1 ? read(said[0], text, sizeof(text) - 1) : -1;
	close(said[0]);
	if (pid < 0)
		return false;
	if (got < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	*ret_why = got > 0 ? arena_strdup(arena, text) : "it hangs, or dies";
	return false;
}
