/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GPUs that go on working and are not in order: slower, wrong, or spoken of in the kernel's log. A
 * stand-in's state is in its device file, which is in the machine's own mount namespace and goes
 * with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/device.h"
#include "drivers/linux/kmsg.h"
#include "drivers/process/effects.h"
#include "drivers/process/planned.h"

#define SEEN_PATIENCE (2 * NANOS_S) /* until the agent tells of a line of the log */

/* ---- the kernel's log ---- */

int devices_open_log(struct real *real, struct error *e)
{
	bool host = real->scenario->process.kernel_log == KERNEL_LOG_HOST;
	const char *path = host ? NULL : arena_printf(&real->arena, "%s/kmsg", real->journal->work);
	const struct kmsg_config config = {
		.allowed = true, /* a log of our own, or the scenario names the host's */
		.run = real->run,
		.path = path,
	};
	bool planned = false;
	int fd;

	for (uint32_t n = 0; n < real->node_count; n++)
		planned = planned || planned_on_node(real, EFFECT_BIT(EFFECT_GPU_XID), n);
	if (path) {
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0)
			return error_set(e, ERROR_IO, NO_PLACE, "cannot make %s: %s", path,
					 strerror(errno));
		close(fd);
	}
	real->kernel_log = host ? KMSG_PATH : path;
	if (!planned)
		return 0;
	return kmsg_open(&config, &real->arena, &real->kmsg, e);
}

void devices_close_log(struct real *real)
{
	if (real->kmsg)
		kmsg_close(real->kmsg);
	real->kmsg = NULL;
}

static uint64_t lines_seen(struct real *real, const struct entity *entity)
{
	struct reading now;

	readings_take(real, *entity, &now);
	return now.xid_lines;
}

int xid_write(struct real *real, struct fault_state *fault, struct error *e)
{
	const struct entity *entity = &fault->effect.entity;
	const struct node *node = real_node(real, entity->site, (uint32_t)entity->index);
	nanos end = real_now(real) + SEEN_PATIENCE;
	uint64_t before = lines_seen(real, entity);
	struct device_identity identity;
	struct kmsg_xid xid = {.code = (uint32_t)fault->effect.amount};

	machine_device(node->machine, entity->part, &identity);
	xid.pci = identity.pci;
	if (kmsg_write(real->kmsg, &xid, e))
		return -1;
	while (lines_seen(real, entity) == before && real_now(real) < end)
		real_sleep(real, real_now(real) + 20 * NANOS_MS, NULL);
	return 0;
}

/* ---- the state of a stand-in ---- */

static int open_device(struct real *real, const struct entity *entity, uint32_t gpu, int flags)
{
	const struct node *node = real_node(real, entity->site, (uint32_t)entity->index);
	char path[1024];

	snprintf(path, sizeof(path), "%s%s/gpu%u", machine_root(node->machine), node->devices, gpu);
	return open(path, flags | O_CLOEXEC);
}

/* One that is gone, or whose machine is dead, is a GPU in order: nothing of ours is there. */
static void read_state(struct real *real, const struct entity *entity, uint32_t gpu,
		       struct device_state *ret)
{
	int fd = open_device(real, entity, gpu, O_RDONLY);
	unsigned char bytes[DEVICE_STATE_BYTES];

	*ret = (struct device_state){.pace = DEVICE_PACE_FULL};
	if (fd < 0)
		return;
	if (pread(fd, bytes, sizeof(bytes), DEVICE_STATE_AT) == sizeof(bytes))
		device_parse_state(bytes, ret);
	close(fd);
}

static int write_state(struct real *real, const struct fault_state *fault, int64_t amount,
		       struct error *e)
{
	const struct entity *entity = &fault->effect.entity;
	unsigned char bytes[DEVICE_STATE_BYTES];
	struct device_state state;
	int fd = open_device(real, entity, entity->part, O_WRONLY);

	if (fd < 0 && amount == 0)
		return 0; /* it went, and its state with it */
	read_state(real, entity, entity->part, &state);
	if (fault->effect.kind == EFFECT_GPU_SLOW)
		state.pace = DEVICE_PACE_FULL - (uint32_t)amount;
	else
		state.wrong = (uint32_t)amount;
	state.pace = state.pace > 0 ? state.pace : 1;
	device_print_state(&state, bytes);
	bool ok = fd >= 0 && pwrite(fd, bytes, sizeof(bytes), DEVICE_STATE_AT) == sizeof(bytes);
	int error = errno;
	if (fd >= 0)
		close(fd);
	return ok ? 0
		  : error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot change gpu%u: %s",
			      entity->part, strerror(error));
}

int devices_weaken(struct real *real, struct fault_state *fault, struct error *e)
{
	return write_state(real, fault, fault->effect.amount, e);
}

int devices_restore(struct real *real, struct fault_state *fault, struct error *e)
{
	return write_state(real, fault, 0, e);
}

bool devices_weak(struct real *real, const struct fault_state *fault)
{
	const struct entity *entity = &fault->effect.entity;
	struct device_state state;

	read_state(real, entity, entity->part, &state);
	return fault->effect.kind == EFFECT_GPU_SLOW ? state.pace < DEVICE_PACE_FULL
						     : state.wrong > 0;
}

void devices_read(struct real *real, const struct entity *entity, uint32_t node, uint32_t gpus,
		  struct reading *ret)
{
	const struct entity place = {
		.kind = ENTITY_NODE, .site = entity->site, .index = (int32_t)node};

	for (uint32_t gpu = 0; gpu < gpus; gpu++) {
		struct device_state state;
		if (entity->kind == ENTITY_GPU && gpu != entity->part)
			continue;
		read_state(real, &place, gpu, &state);
		ret->pace_ppm = state.pace < ret->pace_ppm ? state.pace : ret->pace_ppm;
		ret->gpus_wrong += state.wrong > 0;
	}
}
