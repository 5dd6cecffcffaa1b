/* SPDX-License-Identifier: Apache-2.0 */
/* What only some faults do with cgroups: devices that cannot be opened, slow disks, no forks. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "drivers/host/cgroup.h"
#include "drivers/host/process.h"

#define PATH_SIZE 4352
#define INSTRUCTIONS_MAX (CGROUP_DENIED_MAX * 5 + 6)

static int write_file(const char *path, const char *name, const char *text, struct error *e)
{
	char file[PATH_SIZE];
	ssize_t wrote = -1;
	int fd, error;

	snprintf(file, sizeof(file), "%s/%s", path, name);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		wrote = write(fd, text, strlen(text));
	error = errno;
	if (fd >= 0)
		close(fd);
	if (wrote == (ssize_t)strlen(text))
		return 0;
	return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot write '%s' to %s: %s", text, file,
			 strerror(error));
}

/* ---- devices ---- */

static int call_bpf(enum bpf_cmd command, union bpf_attr *attributes)
{
	return (int)syscall(SYS_bpf, command, attributes, sizeof(*attributes));
}

static struct bpf_insn load(uint8_t to, int16_t offset)
{
	return (struct bpf_insn){.code = BPF_LDX | BPF_MEM | BPF_W,
				 .dst_reg = to,
				 .src_reg = BPF_REG_1,
				 .off = offset};
}

static struct bpf_insn unless(uint8_t with, uint32_t value, int16_t skip)
{
	return (struct bpf_insn){.code = BPF_JMP | BPF_JNE | BPF_K,
				 .dst_reg = with,
				 .off = skip,
				 .imm = (int32_t)value};
}

static size_t leave(struct bpf_insn *at, int32_t allowed)
{
	at[0] = (struct bpf_insn){
		.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = allowed};
	at[1] = (struct bpf_insn){.code = BPF_JMP | BPF_EXIT};
	return 2;
}

/* A program that refuses these devices; -1 with errno. */
static int load_filter(const struct cgroup_device *denied, size_t count)
{
	struct bpf_insn code[INSTRUCTIONS_MAX];
	union bpf_attr attributes = {0};
	size_t n = 0;

	assert(count <= CGROUP_DENIED_MAX);
	code[n++] = load(BPF_REG_2, offsetof(struct bpf_cgroup_dev_ctx, access_type));
	code[n++] = (struct bpf_insn){.code = BPF_ALU64 | BPF_AND | BPF_K,
				      .dst_reg = BPF_REG_2,
				      .imm = 0xffff}; /* above it: read, write, mknod */
	code[n++] = load(BPF_REG_3, offsetof(struct bpf_cgroup_dev_ctx, major));
	code[n++] = load(BPF_REG_4, offsetof(struct bpf_cgroup_dev_ctx, minor));
	for (size_t i = 0; i < count; i++) {
		code[n++] = unless(BPF_REG_2,
				   denied[i].block ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR, 4);
		code[n++] = unless(BPF_REG_3, denied[i].major, 3);
		code[n++] = unless(BPF_REG_4, denied[i].minor, 2);
		n += leave(&code[n], 0);
	}
	n += leave(&code[n], 1);
	attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attributes.insns = (uintptr_t)code;
	attributes.insn_cnt = (uint32_t)n;
	attributes.license = (uintptr_t) "Apache-2.0";
	return call_bpf(BPF_PROG_LOAD, &attributes);
}

bool cgroup_can_filter(void)
{
	int fd = load_filter(NULL, 0);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int attach(int group, int filter, bool detach)
{
	union bpf_attr attributes = {0};

	attributes.target_fd = (uint32_t)group;
	attributes.attach_bpf_fd = (uint32_t)filter;
	attributes.attach_type = BPF_CGROUP_DEVICE;
	attributes.attach_flags = detach ? 0 : BPF_F_ALLOW_MULTI;
	return call_bpf(detach ? BPF_PROG_DETACH : BPF_PROG_ATTACH, &attributes);
}

/* The new program is there before the old one leaves: nothing is allowed in between. */
static int filter_devices(const char *path, const struct cgroup_device *denied, size_t count,
			  int *filter, struct error *e)
{
	int group = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fresh = -1, rc = -1;

	if (group >= 0 && count > 0)
		fresh = load_filter(denied, count);
	if (group < 0 || (count > 0 && (fresh < 0 || attach(group, fresh, false)))) {
		error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot deny devices in %s: %s", path,
			  strerror(errno));
		goto out;
	}
	if (*filter >= 0) {
		attach(group, *filter, true); /* ENOENT: the group was made anew */
		close(*filter);
	}
	*filter = fresh;
	fresh = -1;
	rc = 0;
out:
	if (fresh >= 0)
		close(fresh);
	if (group >= 0)
		close(group);
	return rc;
}

static bool is_among(const struct cgroup_device *device, const struct cgroup_device *list,
		     size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].block == device->block && list[i].major == device->major &&
		    list[i].minor == device->minor)
			return true;
	return false;
}

/* Writes those of `list` that are not in `without`. */
static int put_devices(const char *path, const char *file, const struct cgroup_device *list,
		       size_t count, const struct cgroup_device *without, size_t without_count,
		       struct error *e)
{
	for (size_t i = 0; i < count; i++) {
		char text[64];

		if (is_among(&list[i], without, without_count))
			continue;
		snprintf(text, sizeof(text), "%c %u:%u rwm", list[i].block ? 'b' : 'c',
			 (unsigned)list[i].major, (unsigned)list[i].minor);
		if (write_file(path, file, text, e))
			return -1;
	}
	return 0;
}

int cgroup_deny_devices(const char *path, bool v2, const struct cgroup_device *denied, size_t count,
			const struct cgroup_device *before, size_t before_count, int *filter,
			struct error *e)
{
	if (count > CGROUP_DENIED_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "more than %d devices are denied",
				 CGROUP_DENIED_MAX);
	if (v2)
		return filter_devices(path, denied, count, filter, e);
	return put_devices(path, "devices.allow", before, before_count, denied, count, e) ||
			       put_devices(path, "devices.deny", denied, count, NULL, 0, e)
		       ? -1
		       : 0;
}

/* ---- disks ---- */

/* Limits are those of whole disks: that of a partition is the folder above it. */
static void whole_disk(const struct cgroup_device *device, char *ret, size_t room)
{
	char path[128], text[32];

	snprintf(ret, room, "%u:%u", (unsigned)device->major, (unsigned)device->minor);
	snprintf(path, sizeof(path), "/sys/dev/block/%s/partition", ret);
	if (access(path, F_OK))
		return;
	snprintf(path, sizeof(path), "/sys/dev/block/%s/../dev", ret);
	if (process_read_file(path, text, sizeof(text)) > 0)
		snprintf(ret, room, "%.*s", (int)strcspn(text, "\n"), text);
}

int cgroup_limit_io(const char *path, bool v2, const struct cgroup_device *disk, uint64_t read_rate,
		    uint64_t write_rate, struct error *e)
{
	const uint64_t rates[2] = {read_rate, write_rate};
	static const char *const files[2] = {"blkio.throttle.read_bps_device",
					     "blkio.throttle.write_bps_device"};
	char name[32], text[128], words[2][24] = {"max", "max"};

	whole_disk(disk, name, sizeof(name));
	for (int i = 0; i < 2; i++)
		if (rates[i] > 0)
			snprintf(words[i], sizeof(words[i]), "%llu", (unsigned long long)rates[i]);
	if (v2) {
		snprintf(text, sizeof(text), "%s rbps=%s wbps=%s", name, words[0], words[1]);
		return write_file(path, "io.max", text, e);
	}
	for (int i = 0; i < 2; i++) {
		snprintf(text, sizeof(text), "%s %llu", name, (unsigned long long)rates[i]);
		if (write_file(path, files[i], text, e))
			return -1;
	}
	return 0;
}

/* ---- processes ---- */

int cgroup_limit_processes(const char *path, uint64_t count, struct error *e)
{
	char text[24] = "max";

	if (count > 0)
		snprintf(text, sizeof(text), "%llu", (unsigned long long)count);
	return write_file(path, "pids.max", text, e);
}

uint64_t cgroup_refused_forks(const char *path)
{
	char file[PATH_SIZE], text[256];
	const char *at;

	snprintf(file, sizeof(file), "%s/pids.events", path);
	if (process_read_file(file, text, sizeof(text)) < 0 || strncmp(text, "max ", 4) != 0)
		return 0;
	at = text + 4;
	return process_number(&at);
}
